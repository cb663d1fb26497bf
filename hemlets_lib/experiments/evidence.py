"""What committed cells say, seed by seed: the material that claims are judged by.

    found = Evidence.read(read_registry(), "laptop")
    few = found.setting("table4", "few 3D, depth order on the rest")
    (few.probe("full", "bone_mm") - few.probe("none", "bone_mm")).values      {0: -7.1, 1: -6.4, …}

A `Series` knows which cells it takes, so that what has not run can say which command fills it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from hemlets_lib.experiments.design import Cell
from hemlets_lib.experiments.registry import Registry
from hemlets_lib.experiments.sweep import Gathered, read_gathered, values
from hemlets_lib.protocols import get_protocol
from hemlets_lib.results import read_json

__all__ = [
    "LONGER",
    "REAL",
    "SEEDS",
    "Evidence",
    "Place",
    "Series",
    "Setting",
    "forward_ratios",
    "read_forward",
    "result_file",
    "run_command",
    "run_commands",
]

SEEDS = 3
"""How many seeds a command asks for, and a verdict prefers: with fewer an interval says next to nothing."""

REAL = "-real"
"""Ends the name under which results on real data are committed."""

LONGER = ("laptop", "long")
"""Two profiles that differ in how long they train."""


class Place(NamedTuple):
    """Where a number comes from: cells that differ in their seeds alone."""

    profile: str
    experiment: str
    setting: str
    condition: str


@dataclass(frozen=True)
class Series:
    """A number for each seed, with the cells that it takes.

    Args:
        values: Seed → number.
        places: The cells whose results it needs.
        files: The files that it was read from, from the checkout.
        short: Those of `places` that have it from fewer than `SEEDS` seeds.
    """

    values: Mapping[int, float]
    places: tuple[Place, ...] = ()
    files: tuple[str, ...] = ()
    short: tuple[Place, ...] = ()

    def __sub__(self, other: Series) -> Series:
        return self._with(other, lambda mine, theirs: mine - theirs)

    def percent_of(self, other: Series) -> Series:
        """This as a percentage of another, over the seeds that both have."""
        return self._with(other, lambda mine, theirs: 100.0 * mine / theirs)

    def mean_with(self, *others: Series) -> Series:
        """The mean of this and others, over the seeds that all have."""
        total = self
        for other in others:
            total = total._with(other, lambda mine, theirs: mine + theirs)
        return Series(
            {seed: value / (1 + len(others)) for seed, value in total.values.items()},
            total.places, total.files, total.short,
        )  # fmt: skip

    def _with(self, other: Series, operation: Callable[[float, float], float]) -> Series:
        seeds = sorted(self.values.keys() & other.values.keys())

        def both(mine: Iterable[Any], theirs: Iterable[Any]) -> tuple[Any, ...]:
            return tuple(dict.fromkeys((*mine, *theirs)))

        return Series(
            {seed: operation(self.values[seed], other.values[seed]) for seed in seeds},
            both(self.places, other.places), both(self.files, other.files), both(self.short, other.short),
        )  # fmt: skip


@dataclass(frozen=True)
class Evidence:
    """The registry and the results at hand.

    Args:
        registry: Which cells there are.
        profile: Whose results are asked for; with "-real" at its end, of cells on real data.
        results: Such names → results.
        forward: Rows of `benchmarks/results/forward.json`: preset, batch, device, ms.
    """

    registry: Registry
    profile: str
    results: Mapping[str, Gathered]
    forward: Sequence[Mapping[str, Any]] = ()
    _finished: dict[Place, list[Cell]] = field(default_factory=dict, init=False, repr=False, compare=False)

    @classmethod
    def read(cls, registry: Registry, profile: str, folder: Path | None = None) -> Evidence:
        """What is committed.

        Args:
            registry: Which cells there are.
            profile: Whose results, with "-real" at its end for those on real data.
            folder: Where results are committed; the checkout's own where left out.

        Raises:
            ValueError: If there is no such profile.
        """
        registry.profile(profile.removesuffix(REAL))
        kinds = dict.fromkeys((profile, *LONGER))
        return cls(registry, profile, {kind: read_gathered(kind, folder) for kind in kinds}, read_forward())

    @property
    def is_real(self) -> bool:
        """Whether these are results on real data."""
        return self.profile.endswith(REAL)

    @property
    def gathered(self) -> Gathered:
        """The results asked for."""
        return self.of(self.profile)

    def finished(self, place: Place) -> list[Cell]:
        """The cells of a place that have results; worked out once.

        Args:
            place: Which.

        Raises:
            ValueError: If the registry has no such place.
        """
        if place not in self._finished:
            base = self.registry.profile(place.profile.removesuffix(REAL))
            cells = self.registry.experiment(place.experiment).over_seeds(
                base, place.setting, place.condition
            )
            there = self.of(place.profile).cells
            self._finished[place] = [cell for cell in cells if cell.key in there]
        return self._finished[place]

    def of(self, profile: str) -> Gathered:
        """The results of a profile, if any are at hand."""
        return self.results.get(profile, Gathered(profile, {}))

    def setting(self, experiment: str, setting: str, profile: str | None = None) -> Setting:
        """One setting of an experiment.

        Args:
            experiment: Its name.
            setting: A column of its table.
            profile: Another than the one asked for.
        """
        return Setting(self, profile or self.profile, experiment, setting)


@dataclass(frozen=True)
class Setting:
    """The conditions of one setting, each as a series over its seeds."""

    found: Evidence
    profile: str
    experiment: str
    setting: str

    def score(
        self, condition: str, score: str | None = None, *, column: str | None = None, mean: str = "columns"
    ) -> Series:
        """A score by the experiment's own protocol, or by the first of its tests that has it.

        Args:
            condition: A row of the experiment's table.
            score: A row of the protocol's table; its first where left out.
            column: A heading of the protocol's table; a mean where left out.
            mean: Over "columns" or "samples".

        Raises:
            ValueError: If the results have no such score.
        """
        experiment = self.found.registry.experiment(self.experiment)
        score = score or get_protocol(experiment.protocol).rows[0].name
        protocols = [name for name in experiment.tests if score in {r.name for r in get_protocol(name).rows}]
        if not protocols:
            raise ValueError(f"`score` must be a row of {', '.join(experiment.tests)}, got {score!r}.")
        place = self._place(condition)
        cells = self.found.finished(place)
        there = values(
            self.found.of(self.profile), cells, protocol=protocols[0], score=score, column=column, mean=mean
        )
        return _series(place, [(cell, there.get(cell.seed)) for cell in cells])

    def probe(self, condition: str, name: str, *, pictures: str = "test") -> Series:
        """What `probes` measured.

        Args:
            condition: A row of the experiment's table.
            name: An entry of `probes.PROBED`.
            pictures: "test", or "train": those that the network was trained on.
        """
        return self._read(condition, lambda result: result.get("probes", {}).get(pictures, {}).get(name))

    def data(self, condition: str, role: str) -> set[str]:
        """What a role was in the cells that have finished: "drawn", "real", or both.

        Args:
            condition: A row of the experiment's table.
            role: Data set and split.
        """
        results = self.found.of(self.profile).cells
        cells = self.found.finished(self._place(condition))
        return {results[cell.key]["data"][role] for cell in cells}

    def curve_area(self, condition: str, name: str = "mpjpe_mm") -> Series:
        """The mean height of the validation curve, from its first point to its last: low is early and deep.

        Args:
            condition: A row of the experiment's table.
            name: What the curve shows.
        """
        return self._read(condition, lambda result: _mean_height(result.get("curve", []), name))

    def _place(self, condition: str) -> Place:
        return Place(self.profile, self.experiment, self.setting, condition)

    def _read(self, condition: str, read: Callable[[Mapping[str, Any]], float | None]) -> Series:
        place = self._place(condition)
        results = self.found.of(self.profile).cells
        return _series(place, [(cell, read(results[cell.key])) for cell in self.found.finished(place)])


def _series(place: Place, found: Iterable[tuple[Cell, float | None]]) -> Series:
    there = [(cell, number) for cell, number in found if number is not None]
    return Series(
        {cell.seed: number for cell, number in there},
        (place,),
        tuple(result_file(place.profile, cell) for cell, _ in there),
        () if len(there) >= SEEDS else (place,),
    )


def _mean_height(curve: Sequence[Mapping[str, float]], name: str) -> float | None:
    """By the trapezium rule; a single point is its own mean."""
    points = [(point["step"], point[name]) for point in curve if name in point]
    if not points:
        return None
    steps = points[-1][0] - points[0][0]
    if not steps:
        return points[-1][1]
    pairs = pairwise(points)
    return sum((after[0] - before[0]) * (before[1] + after[1]) / 2 for before, after in pairs) / steps


def result_file(profile: str, cell: Cell) -> str:
    """Where a cell's result is committed, from the checkout.

    Args:
        profile: Its name, with "-real" at its end for cells on real data.
        cell: Which.
    """
    return f"experiments/results/cells/{profile}/{cell.key}.json"


def run_command(
    experiment: str,
    *,
    profile: str,
    only: Iterable[str],
    seeds: int = SEEDS,
    roles: Iterable[str] = (),
) -> str:
    """The command that runs some of an experiment's cells.

    Args:
        experiment: Its name.
        profile: In which profile; with "-real" at its end, on real data.
        only: Settings and conditions.
        seeds: How many.
        roles: Data sets to be given as folders.
    """
    chosen = " ".join(f'--only "{name}"' for name in dict.fromkeys(only))
    command = f"hemlets experiments run {experiment} --profile {profile.removesuffix(REAL)} --seeds {seeds}"
    real = "".join(f" --real {role}=FOLDER" for role in dict.fromkeys(roles))
    return f"{command} {chosen}{real}"


def run_commands(registry: Registry, places: Iterable[Place]) -> tuple[str, ...]:
    """The commands that run what several numbers need, one for each experiment, profile and setting.

    Args:
        registry: Which experiments there are.
        places: Cells; those on real data get their roles to be filled in.

    Returns:
        A line for the shell each.
    """
    groups: dict[tuple[str, str, str], list[str]] = {}
    for place in places:
        groups.setdefault((place.profile, place.experiment, place.setting), []).append(place.condition)
    commands = []
    for (profile, experiment, setting), conditions in groups.items():
        roles: list[str] = []
        if profile.endswith(REAL):
            base = registry.profile(profile.removesuffix(REAL))
            for condition in conditions:
                cell = registry.experiment(experiment).cell(base, setting, condition, 0)
                roles += cell.used_roles
        commands.append(run_command(experiment, profile=profile, only=(setting, *conditions), roles=roles))
    return tuple(commands)


def read_forward(path: Path | None = None) -> tuple[Mapping[str, Any], ...]:
    """The measured forward passes; none where there is no such file.

    Args:
        path: The benchmark's result; the checkout's own where left out.

    Returns:
        preset, batch, device and ms of each.
    """
    path = path or Path(__file__).resolve().parents[2] / "benchmarks" / "results" / "forward.json"
    return tuple(read_json(path)["rows"]) if path.is_file() else ()


def forward_ratios(rows: Iterable[Mapping[str, Any]]) -> dict[tuple[str, int], float]:
    """How many times as long a forward pass of the full network takes as one of the baseline.

    Args:
        rows: preset, batch, device and ms of each measurement.

    Returns:
        (device, batch) → time of preset `paper` over that of `baseline`, where both were measured.
    """
    times = {(row["device"], row["batch"], row["preset"]): row["ms"] for row in rows}
    return {
        (device, batch): ms / times[device, batch, "baseline"]
        for (device, batch, preset), ms in times.items()
        if preset == "paper" and (device, batch, "baseline") in times
    }
