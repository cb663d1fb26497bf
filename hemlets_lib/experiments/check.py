"""Do the committed numbers still come out? A cheap subset is run again and held against what is committed.

    report = check(results_folder())
    print(report.problems)  # empty where all is well

The subset is `REFERENCES`, cells of the `smoke` profile that between them take every way through data,
network, losses and protocols. Their data are drawn afresh into a temporary folder; the checkout is only read.
On the machine that made them the numbers come out bitwise; elsewhere sums are taken in another order, and
Adam's first steps, g / |g|, make full steps of the rounding. `TOLERANCES` says what that may come to. All
other cells are held against the digests that were taken when they were gathered.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from hemlets_lib.experiments.cells import Workplace, ensure_data, run_cell
from hemlets_lib.experiments.design import MOST_SEEDS, Cell, key_of
from hemlets_lib.experiments.digests import broken_seals, seal
from hemlets_lib.experiments.registry import Registry, read_registry
from hemlets_lib.results import read_json, write_json

__all__ = [
    "PROFILE",
    "REFERENCES",
    "TOLERANCES",
    "Held",
    "Report",
    "Tolerance",
    "check",
    "compare",
    "digest",
    "held_numbers",
    "misplaced",
    "reference_cells",
    "reference_path",
    "rerun",
    "write_references",
]

PROFILE = "smoke"

REFERENCES = (
    ("table4", "H3.6M #1", "full"),
    ("table4", "H3.6M #1*", "none"),
    ("table4", "H3.6M #1*", "none, smaller network"),
    ("table4", "few 3D, 2D on the rest", "2d"),
    ("table4", "few 3D, depth order on the rest", "hemlets"),
    ("table2", "HumanEva-I", "full"),
    ("figure6", "H3.6M #1*", "2s-HEM"),
    ("figure6", "H3.6M #1*", "5s-HEM"),
    ("table5", "noise 0.2", "w/ FBI + Ordinal"),
    ("rivals", "few 3D repeated, depth order on the rest", "ranking loss"),
    ("rivals", "few 3D repeated, depth order on the rest", "tri-state labels"),
    ("rivals", "few 3D repeated, depth order on the rest", "volume heatmaps"),
)
"""Experiment, setting and condition of each cell that is run again, with seed 0.

The rival "lifted from 2D" is none of them: after so few steps one unit in the last place of its 2D joints
moves the error by 30 mm, so that a difference would say nothing.
"""


@dataclass(frozen=True)
class Tolerance:
    """How far a number may move before it counts as another.

    Args:
        amount: In the number's unit, or as a fraction of the committed number.
        unit: For people.
        relative: Whether it is a fraction.
        reason: Why so much.
    """

    amount: float
    unit: str
    relative: bool
    reason: str

    def allowed(self, committed: float) -> float:
        """The largest difference to a committed number, in that number's unit."""
        return self.amount * abs(committed) if self.relative else self.amount


TOLERANCES: Mapping[str, Tolerance] = {
    "count": Tolerance(0.0, "", False, "Counts of samples, joints, images and parameters do not round."),
    "mean, mm": Tolerance(
        4.0, "mm", False,
        "About 1 % of an untrained network's error; four times what two threads or a processor without "
        "AVX-512 make of the mean over the test set.",
    ),
    "column, mm": Tolerance(
        10.0, "mm", False, "As the mean, over the few pictures of one action or scene, or at one joint."
    ),
    "mean, %": Tolerance(
        5.0, "%", False,
        "Of 1024 joints or 896 parts, those close to a threshold change sides: 2 % where it was tried.",
    ),
    "column, %": Tolerance(10.0, "%", False, "As the mean, over the pictures of one scene."),
    "loss": Tolerance(
        0.01, "", True, "A mean over eight steps, which rounding moved by 0.15 % where it was tried."
    ),
    "gradient": Tolerance(0.03, "", True, "As the losses; the norm's largest terms weigh more."),
}  # fmt: skip
"""By kind of number, from two of the cells with two threads, with AVX2 and without vector instructions."""

_LOSSES = ("total", "intermediate", "hem", "heatmap", "joints", "xy", "z")
_SHOWN_KINDS = ("mean, mm", "mean, %", "loss")


@dataclass(frozen=True)
class Held:
    """A number of a cell, as committed and as it comes out now.

    Args:
        file: Where it is committed.
        name: The way to it in that file.
        kind: Of `TOLERANCES`.
        committed: None where the file has no such number.
        now: None where the new run has none.
    """

    file: Path
    name: str
    kind: str
    committed: float | None
    now: float | None

    @property
    def tolerance(self) -> float:
        """The largest difference that passes."""
        return TOLERANCES[self.kind].allowed(self.committed or 0.0)

    @property
    def difference(self) -> float:
        """Between the two, without sign; infinite where only one of them is there."""
        if self.committed is None or self.now is None:
            return float("inf")
        return abs(self.now - self.committed)

    @property
    def share(self) -> float:
        """The difference as a part of the tolerance, so that kinds of number can be compared."""
        return self.difference / self.tolerance if self.tolerance else self.difference

    @property
    def ok(self) -> bool:
        """Whether it reproduces; a number that is not finite does not."""
        return self.difference <= self.tolerance

    def __str__(self) -> str:
        committed, now = ("none" if each is None else f"{each:.6g}" for each in (self.committed, self.now))
        return (
            f"{self.file}: {self.name}: committed {committed}, now {now}; they differ by "
            f"{self.difference:.3g}, and the tolerance is {self.tolerance:.3g}"
        )


@dataclass(frozen=True)
class Report:
    """What `check` found.

    Args:
        numbers: All that were held, cell by cell.
        problems: What does not hold, each with its file.
    """

    numbers: Sequence[Held]
    problems: Sequence[str]

    def shown(self) -> list[Held]:
        """Of each cell and each main kind of number, the one that is closest to its tolerance."""
        closest: dict[tuple[Path, str], Held] = {}
        for each in self.numbers:
            place = (each.file, each.kind)
            if each.kind in _SHOWN_KINDS and (place not in closest or each.share > closest[place].share):
                closest[place] = each
        return list(closest.values())


def reference_cells(registry: Registry) -> list[Cell]:
    """The cells that are run again.

    Args:
        registry: Has them all.

    Raises:
        ValueError: If an experiment, a setting or a condition of `REFERENCES` is in it no more.
    """
    profile = registry.profile(PROFILE)
    return [registry.experiment(name).cell(profile, setting, row, 0) for name, setting, row in REFERENCES]


def reference_path(cell: Cell, folder: Path) -> Path:
    """Where a reference is committed: `cells/smoke/<key>.json` in the folder of results."""
    return folder / "cells" / PROFILE / f"{cell.key}.json"


def rerun(cells: Sequence[Cell]) -> dict[str, dict[str, Any]]:
    """Draws the cells' data and runs them, in one thread and in a temporary folder.

    Args:
        cells: Which.

    Returns:
        Key → result.
    """
    threads = torch.get_num_threads()
    with tempfile.TemporaryDirectory() as folder:
        place = Workplace(Path(folder) / "shards", Path(folder) / "runs", device="cpu")
        try:
            torch.set_num_threads(1)
            ensure_data(cells, place, workers=0, show_progress=False)
            return {cell.key: run_cell(cell, place) for cell in cells}
        finally:
            torch.set_num_threads(threads)


def held_numbers(result: Mapping[str, Any]) -> dict[str, tuple[str, float]]:
    """The numbers of a cell's result that must come out again.

    Times need not, nor the accuracy of single parts, of which there are 64 labels each.

    Args:
        result: As `run_cell` makes it.

    Returns:
        Name → kind, of `TOLERANCES`, and value.

    Raises:
        KeyError: If the result lacks a part that every result has.
    """
    found = {name: ("count", result[name]) for name in ("images", "parameters")}
    for protocol, scores in result["scores"].items():
        for name, kind, value in _scores(scores):
            found[f"scores.{protocol}.{name}"] = (kind, value)
    for split, errors in result["probes"].items():
        for name, value in errors.items():
            found[f"probes.{split}.{name}"] = ("mean, mm" if name.endswith("_mm") else "mean, %", value)
    for name in _LOSSES:
        found[f"last_losses.{name}"] = ("loss", result["last_losses"][name])
    found["last_losses.gradient_norm"] = ("gradient", result["last_losses"]["gradient_norm"])
    return {name: (kind, value) for name, (kind, value) in found.items() if value is not None}


def compare(file: Path, committed: Mapping[str, Any], now: Mapping[str, Any]) -> list[Held]:
    """Two results of one cell, number by number.

    Args:
        file: Where the first is committed.
        committed: The first.
        now: The second.

    Returns:
        Every number that either has.
    """
    before, after = held_numbers(committed), held_numbers(now)
    return [
        Held(
            file, name, (before.get(name) or after[name])[0],
            before[name][1] if name in before else None, after[name][1] if name in after else None,
        )
        for name in {**before, **after}
    ]  # fmt: skip


def digest(model: nn.Module) -> str:
    """A hash of a network's weights and statistics: equal exactly where every bit of them is."""
    found = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        found.update(name.encode())
        found.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def misplaced(folder: Path, registry: Registry) -> Iterator[str]:
    """Committed cells that lie about themselves, or belong to no experiment any more.

    Args:
        folder: Of results.
        registry: What there is to run.

    Yields:
        A problem, with its file.
    """
    known: dict[str, set[str]] = {}
    for path in sorted((folder / "cells").glob("*/*.json")):
        result, profile = read_json(path), path.parent.name.removesuffix("-real")
        key = key_of(result.get("identity"))
        if {path.stem, result.get("key")} != {key}:
            yield (
                f"{path}: expected the key {key}, the hash of its `identity`, as its name and `key`, got "
                f"{path.stem} and {result.get('key')}"
            )
        elif profile not in registry.profiles:
            yield f"{path}: expected a profile of the registry, got {profile}"
        elif key not in (known.get(profile) or known.setdefault(profile, _keys(registry, profile))):
            yield (
                f"{path}: {result.get('name')} belongs to no experiment of the registry in profile {profile} "
                "any more. Remove it, or put back what it was made by"
            )


def check(folder: Path, *, registry: Registry | None = None) -> Report:
    """Runs the references again and compares; also finds committed cells that are misplaced or were altered.

    Args:
        folder: Of results.
        registry: The checkout's where left out.
    """
    registry = registry or read_registry()
    problems = list(misplaced(folder, registry))
    cells = reference_cells(registry)
    problems += broken_seals(folder, but={reference_path(cell, folder) for cell in cells})
    missing = [cell for cell in cells if not reference_path(cell, folder).is_file()]
    problems += [
        f"{reference_path(cell, folder)}: expected the reference of {cell.name}, found none. "
        "`hemlets experiments check --write` makes it"
        for cell in missing
    ]
    there = [cell for cell in cells if cell not in missing]
    results = rerun(there)
    numbers = [
        held
        for cell in there
        for path in (reference_path(cell, folder),)
        for held in compare(path, read_json(path), results[cell.key])
    ]
    return Report(numbers, problems + [str(held) for held in numbers if not held.ok])


def write_references(folder: Path, *, registry: Registry | None = None) -> list[Path]:
    """Runs the references again and commits to what comes out.

    Args:
        folder: Of results.
        registry: The checkout's where left out.

    Returns:
        The files.
    """
    cells = reference_cells(registry or read_registry())
    results = rerun(cells)
    paths = []
    for cell in cells:
        path = reference_path(cell, folder)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, results[cell.key])
        paths.append(path)
    seal(folder, anew=paths)
    return paths


def _scores(scores: Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    for row, entry in scores["rows"].items():
        for mean in ("mean_of_columns", "mean_of_samples"):
            yield f"rows.{row}.{mean}", f"mean, {entry['unit']}", entry[mean]
        for column, value in entry["columns"].items():
            yield f"rows.{row}.columns.{column}", f"column, {entry['unit']}", value
            yield f"rows.{row}.samples.{column}", "count", entry["samples"][column]
    for joint, value in scores["joint_errors_mm"].items():
        yield f"joint_errors_mm.{joint}", "column, mm", value
    for source, accuracy in scores["polarity_percent"].items():
        yield f"polarity_percent.{source}", "mean, %", accuracy["overall"]
    for name, value in scores["counts"].items():
        yield f"counts.{name}", "count", value


def _keys(registry: Registry, profile: str) -> set[str]:
    """Of every cell that anybody may have run in a profile."""
    cells = (each.cells(registry.profile(profile), MOST_SEEDS) for each in registry.experiments.values())
    return {cell.key for found in cells for cell in found}
