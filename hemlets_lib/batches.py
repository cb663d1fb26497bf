"""Which samples a step takes, read and stacked: the same ones however many processes share the work."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Int
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from hemlets_lib.data.mixing import Draw, Mixture
from hemlets_lib.data.sample import Batch, Sample, collate
from hemlets_lib.recipes import TrainConfig

__all__ = ["draw_batches"]


def draw_batches(
    data: Mixture,
    config: TrainConfig,
    steps: range,
    *,
    rank: int = 0,
    processes: int = 1,
    workers: int = 0,
    pin_memory: bool = False,
) -> Iterator[tuple[Batch, Int[Tensor, "B"]]]:
    """The (micro-)batches of some steps, as one process takes them.

    Args:
        data: What is drawn from.
        config: Size of a batch, and the pieces it is worked through in.
        steps: Which steps of the run.
        rank, processes: Whose share, of how many.
        workers: Processes that read and decode samples; none reads them here.
        pin_memory: Keep them where a GPU can fetch them while it computes.

    Returns:
        An iterator over batches, each with the numbers of its samples' draws.

    Raises:
        ValueError: If a sample cannot be read, or holds a labelled joint that is not finite.
    """
    loader = DataLoader(
        _Numbered(data),
        batch_sampler=_Plan(data, config, steps, rank, processes),
        collate_fn=_collate_numbered,
        num_workers=workers,
        worker_init_fn=_leave_interrupts_to_the_main_process,
        pin_memory=pin_memory,
        generator=torch.Generator(),  # else it would draw from the one that is saved, once for each start
    )
    return iter(loader)


class _Numbered(Dataset):
    """A mixture's samples with the numbers of their draws, which key their augmentation."""

    def __init__(self, data: Mixture) -> None:
        self._data = data

    def __getitem__(self, draw: Draw) -> tuple[Sample, int]:
        return self._data[draw], draw.number


def _collate_numbered(rows: Sequence[tuple[Sample, int]]) -> tuple[Batch, Tensor]:
    samples, numbers = zip(*rows, strict=True)
    for sample in samples:
        if not bool(sample.joints_crop[sample.joint_valid | sample.depth_valid].isfinite().all()):
            raise ValueError(
                f"sample {sample.meta.sample_id!r} of {sample.meta.dataset!r}: expected finite joints where "
                "they are marked as labelled, got NaN or infinity. Mend the label, or its mask."
            )
    return collate(samples), torch.tensor(numbers)


def _leave_interrupts_to_the_main_process(worker: int) -> None:
    """Ctrl-C reaches every process in the terminal; a reader that ended there would take the run along."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


class _Plan:
    """The draws of each micro-batch of one process, step after step."""

    def __init__(self, data: Mixture, config: TrainConfig, steps: range, rank: int, processes: int) -> None:
        self._data, self._config, self._steps, self._rank, self._processes = (
            data,
            config,
            steps,
            rank,
            processes,
        )

    def __iter__(self) -> Iterator[list[Draw]]:
        pieces = self._processes * self._config.micro_batches
        rows = self._config.batch_size // pieces
        for step in self._steps:
            draws = self._data.draws(step, self._config.batch_size)
            for micro in range(self._config.micro_batches):
                start = (self._rank * self._config.micro_batches + micro) * rows
                yield draws[start : start + rows]

    def __len__(self) -> int:
        return len(self._steps) * self._config.micro_batches
