"""Mixed batches from several data sets, by a plan that is a pure function of (seed, step).

    mixture = Mixture([human36m, in_the_wild], ratios=[1, 1], seed=0)
    plan = [mixture.draws(step, 64) for step in range(start, stop)]
    loader = DataLoader(mixture, batch_sampler=plan, collate_fn=collate, num_workers=4)

Nothing is carried from step to step, so a run that resumes at a step needs no state of a sampler. Process
r of R takes rows [r·B/R, (r+1)·B/R) of the same plan; sources alternate along a batch, so that shares hold
in each of these slices too. Within a source every sample comes once an epoch, in an order of that epoch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int

from hemlets_lib.data.sample import Sample

__all__ = ["Draw", "Mixture", "Source"]

# A batch lays B equally spaced points over the shares; its first point's place moves on by a golden section
# of their distance from batch to batch, and is back after `_PERIOD` batches. Neighbours in Fibonacci's row.
_PERIOD, _STRIDE = 987, 610


@runtime_checkable
class Source(Protocol):
    """Samples by number: `ShardDataset`, `SyntheticDataset`, a list of samples."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Sample: ...


class Draw(NamedTuple):
    """One row of one batch.

    `number` counts the rows of all batches, step · batch size + row; it keys the sample's augmentation.
    """

    source: int
    index: int  # type: ignore[assignment]  # takes the place of the method that tuples have
    number: int


class Mixture:
    """Several data sets as one, map-style; its samples are asked for by `Draw`.

    Args:
        sources: The data sets, of one skeleton and one picture size.
        ratios: Their shares of every batch, in any unit; equal ones where left out.
        seed: Decides the orders.

    Raises:
        ValueError: If there are no sources, one is empty or they do not fit together, or the ratios are
            not one positive number for each.

    Paper silent on the shares of 2D and 3D data; the method whose mixed training it adopts takes half of
    each batch from either.
    Source: §3.2, 'mixed training strategy'; Sun et al., 'Integral human pose regression', ECCV 2018.
    """

    def __init__(
        self, sources: Sequence[Source], *, ratios: Sequence[float] | None = None, seed: int = 0
    ) -> None:
        if not len(sources):
            raise ValueError("`sources` must hold at least one data set, got none")
        if seed < 0:
            raise ValueError(f"`seed` must be 0 or more, got {seed}")
        ratios = [1.0] * len(sources) if ratios is None else [float(ratio) for ratio in ratios]
        if len(ratios) != len(sources) or not all(0 < ratio < math.inf for ratio in ratios):
            raise ValueError(
                f"`ratios` must hold one positive number for each of the {len(sources)} sources, got "
                f"{ratios}. Leave a data set out of `sources` rather than giving it no share."
            )
        self.sources, self.ratios, self.seed = tuple(sources), tuple(ratios), seed
        self._check_sources()
        self._shares = np.cumsum(ratios) / sum(ratios)  # where each source's part of [0, 1] ends
        self._orders: dict[int, tuple[int, Int[np.ndarray, "N"]]] = {}  # source → (epoch, its order)

    def __len__(self) -> int:
        """Samples of all sources together."""
        return sum(map(len, self.sources))

    @property
    def config(self) -> Mapping[str, Any]:
        """What determines the draws, as JSON; a source that does not describe itself goes by its type."""
        described = [
            {
                "samples": len(source),
                "ratio": ratio,
                **getattr(source, "config", {"kind": type(source).__name__}),
            }
            for source, ratio in zip(self.sources, self.ratios, strict=True)
        ]
        return {"seed": self.seed, "sources": described}

    def draws(self, step: int, batch_size: int) -> list[Draw]:
        """The rows of one batch; the same whatever was asked for before.

        Each source has as many rows as its share comes to, rounded up or down; over many batches the shares
        are exact.

        Args:
            step: Which batch, from 0.
            batch_size: Rows of the whole batch, over all processes. A run must not change it, or samples
                come again before their time.

        Raises:
            ValueError: If `step` is negative or `batch_size` not positive.
        """
        if step < 0 or batch_size < 1:
            raise ValueError(
                f"`step` must be 0 or more and `batch_size` at least 1, got {step} and {batch_size}"
            )
        rounds, place = divmod(step, _PERIOD)
        period = self._counts(np.arange(_PERIOD), batch_size)  # (steps, sources)
        taken = (rounds * period.sum(0) + period[:place].sum(0)).tolist()
        counts = period[place].tolist()
        # Row j of a source's c lies at (j + ½) / c of the batch: sources alternate.
        positions = np.concatenate([(np.arange(count) + 0.5) / max(count, 1) for count in counts])
        whose = np.repeat(np.arange(len(counts)), counts)
        indices = np.concatenate(
            [self._indices(source, taken[source], count) for source, count in enumerate(counts)]
        )
        return [
            Draw(int(whose[row]), int(indices[row]), step * batch_size + number)
            for number, row in enumerate(np.argsort(positions, kind="stable"))
        ]

    def __getitem__(self, draw: Draw) -> Sample:
        """The sample of a draw.

        Raises:
            IndexError: If there is no such source or sample.
            ValueError: If the sample cannot be read; names its source and number.
        """
        source, index, _ = draw
        if not 0 <= source < len(self.sources) or not 0 <= index < len(self.sources[source]):
            raise IndexError(f"`draw` must name one of {self._describe()}, got {draw}")
        try:
            return self.sources[source][index]
        except (ValueError, OSError) as error:
            name, folder = self._name(source), getattr(self.sources[source], "root", None)
            remedy = (
                "Leave this source out, or mend it."
                if folder is None
                else f"`hemlets data verify {folder}` lists what is damaged; the same `hemlets data build` "
                "makes it anew."
            )
            raise ValueError(f"{name}, sample {index}: cannot be read ({error}). {remedy}") from error

    def _counts(self, places: Int[np.ndarray, "P"], batch_size: int) -> Int[np.ndarray, "P S"]:
        """Rows of each source in the batches at these places of the period.

        The points (i + offset) / B that lie below a share's end are ⌈B · end - offset⌉.
        """
        offsets = (places * _STRIDE % _PERIOD + 0.5) / _PERIOD
        below = np.ceil(batch_size * self._shares - offsets[:, None]).astype(np.int64)
        below[:, -1] = batch_size  # 1 by definition, whatever rounding made of it
        return np.diff(below, axis=1, prepend=0)

    def _indices(self, source: int, start: int, count: int) -> Int[np.ndarray, "C"]:
        """The source's samples from its `start`-th draw on."""
        epochs, places = np.divmod(start + np.arange(count), len(self.sources[source]))
        found = np.empty(count, dtype=np.int64)
        for epoch in np.unique(epochs):
            here = epochs == epoch
            found[here] = self._order(source, int(epoch))[places[here]]
        return found

    def _order(self, source: int, epoch: int) -> Int[np.ndarray, "N"]:
        """All of a source's samples, in the order of an epoch; the last one asked for is kept."""
        if self._orders.get(source, (-1,))[0] != epoch:
            rng = np.random.default_rng([self.seed, source, epoch])
            self._orders[source] = epoch, rng.permutation(len(self.sources[source]))
        return self._orders[source][1]

    def _name(self, source: int) -> str:
        what = getattr(self.sources[source], "root", None) or type(self.sources[source]).__name__
        return f"source {source} ({what})"

    def _describe(self) -> str:
        sizes = [
            f"{len(source)} samples of {self._name(number)}" for number, source in enumerate(self.sources)
        ]
        return ", ".join(sizes)

    def _check_sources(self) -> None:
        shapes = []
        for number, source in enumerate(self.sources):
            if not len(source):
                raise ValueError(f"{self._name(number)} must hold at least one sample, got none")
            first = self[Draw(number, 0, 0)]
            shapes.append((first.size, len(first.joints_crop), len(first.part_states)))
            if shapes[-1] != shapes[0]:
                raise ValueError(
                    "`sources` must share one (size, joints, parts), got "
                    f"{shapes[0]} in {self._name(0)} and {shapes[-1]} in {self._name(number)}. "
                    "Build them with one `--size` and one skeleton."
                )
