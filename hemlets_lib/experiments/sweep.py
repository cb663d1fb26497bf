"""Many cells: the missing ones run side by side, each through papermill, and results gathered in one file.

joblib spreads the cells. Its default is processes on this machine; inside `with
joblib.parallel_config("dask")` (or "ray") the same call goes to a cluster. Each cell computes in one thread:
two single-threaded runs outrun one that has two.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hemlets_lib.experiments.cells import Workplace, ensure_data, result_of
from hemlets_lib.experiments.registry import Cell, Experiment
from hemlets_lib.experiments.statistics import Interval, mean_interval, paired_difference
from hemlets_lib.notebooks import PROFILES, execute
from hemlets_lib.results import only_process, read_json, write_json

__all__ = [
    "Gathered",
    "gather",
    "pending",
    "read_gathered",
    "results_folder",
    "run_cells",
    "run_notebook",
    "table",
    "values",
]


def results_folder() -> Path:
    """Where results are committed, in the checkout that this library is installed from."""
    return Path(__file__).resolve().parents[2] / "experiments" / "results"


def run_notebook() -> Path:
    """The notebook that runs one cell, with parameters that papermill fills in."""
    return Path(__file__).resolve().parents[2] / "experiments" / "run.ipynb"


def _file(folder: Path, experiment: str, profile: str) -> Path:
    return folder / f"{experiment}.{profile}.json"


@dataclass(frozen=True)
class Gathered:
    """The finished cells of an experiment in one profile, whatever machine they ran on."""

    experiment: str
    profile: str
    cells: Mapping[str, Mapping[str, Any]]  # key → result

    def __len__(self) -> int:
        return len(self.cells)


def read_gathered(experiment: str, profile: str, folder: Path | None = None) -> Gathered:
    """What is committed of an experiment; empty where there is nothing.

    Args:
        experiment: Its name.
        profile: Likewise.
        folder: Where results are committed; the checkout's own where left out.
    """
    path = _file(folder or results_folder(), experiment, profile)
    cells = read_json(path)["cells"] if path.is_file() else {}
    return Gathered(experiment, profile, cells)


def gather(
    cells: Iterable[Cell], workplace: Workplace, *, folder: Path | None = None
) -> dict[tuple[str, str], Gathered]:
    """Adds the results of finished cells to the committed files; what is there already stays.

    Args:
        cells: Whose results, of any experiments and profiles.
        workplace: Where they ran.
        folder: Where results are committed.

    Returns:
        (experiment, profile) → all that its file now holds.
    """
    folder = folder or results_folder()
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for cell in cells:
        if result := result_of(cell, workplace):
            place = (
                cell.experiment,
                f"{cell.profile.name}{'-real' if 'real' in result['data'].values() else ''}",
            )
            found.setdefault(place, {})[cell.key] = result
    gathered = {}
    for (experiment, profile), new in found.items():
        path = _file(folder, experiment, profile)
        busy = RuntimeError(f"{path}: another process is gathering results there. Wait for it.")
        with only_process(path.with_suffix(".lock"), otherwise=busy):
            kept = read_gathered(experiment, profile, folder).cells
            merged = {**new, **kept}
            if merged.keys() != kept.keys():
                write_json(path, {"experiment": experiment, "profile": profile, "cells": merged})
        path.with_suffix(".lock").unlink(missing_ok=True)
        gathered[experiment, profile] = Gathered(experiment, profile, merged)
    return gathered


def pending(cells: Sequence[Cell], workplace: Workplace, *, folder: Path | None = None) -> list[Cell]:
    """The cells that have neither run here nor are committed.

    Args:
        cells: Those wanted.
        workplace: Where they would run; with real data, committed results of drawn data do not count.
        folder: Where results are committed.

    Returns:
        Those to run, in order.
    """
    committed = {
        key
        for experiment, profile in {(cell.experiment, cell.profile.name) for cell in cells}
        for key in read_gathered(experiment, profile, folder).cells
    }
    real = bool(workplace.real)
    return [cell for cell in cells if (real or cell.key not in committed) and not result_of(cell, workplace)]


def run_cells(
    cells: Sequence[Cell], workplace: Workplace, *, jobs: int = 1, folder: Path | None = None
) -> Iterator[tuple[Cell, str]]:
    """Runs what is pending; yields each cell as it ends, with an error's text or an empty one.

    A cell that fails does not stop the others. Results are gathered as they come.

    Args:
        cells: Those wanted.
        workplace: Where data and runs lie.
        jobs: How many side by side.
        folder: Where results are committed.
    """
    from joblib import Parallel, delayed

    todo = pending(cells, workplace, folder=folder)
    ensure_data(todo, workplace)
    threads = max(1, (os.cpu_count() or 1) // max(jobs, 1))
    tasks = (delayed(_run_in_notebook)(number, cell, workplace, threads) for number, cell in enumerate(todo))
    for number, problem in Parallel(n_jobs=jobs, return_as="generator_unordered")(tasks):
        if not problem:
            gather([todo[number]], workplace, folder=folder)
        yield todo[number], problem


def _run_in_notebook(number: int, cell: Cell, workplace: Workplace, threads: int) -> tuple[int, str]:
    """A cell by way of its notebook, which stays beside its result; says what went wrong, if anything."""
    folder = workplace.cell_folder(cell)
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["OMP_NUM_THREADS"] = str(threads)  # of the kernel, which inherits it
    outcome = execute(
        run_notebook(),
        folder / "run.ipynb",
        parameters={
            "experiment": cell.experiment,
            "profile": cell.profile.name,
            "setting": cell.setting,
            "condition": cell.condition,
            "seed": cell.seed,
            "shards": str(workplace.shards.absolute()),
            "runs": str(workplace.runs.absolute()),
            "real": {role: str(Path(path).absolute()) for role, path in workplace.real.items()},
            "device": workplace.device,
        },
        timeout_s=PROFILES[cell.profile.name],
    )
    if outcome.status == "ok" and result_of(cell, workplace) is None:
        return number, f"{folder}: the notebook ended without a result"
    return number, "" if outcome.error is None else f"{outcome.status}: {outcome.error['summary']}"


def values(
    gathered: Gathered,
    setting: str,
    condition: str,
    *,
    protocol: str,
    score: str,
    column: str | None = None,
    mean: str = "columns",
) -> dict[int, float]:
    """A score of the finished cells of one setting and condition.

    Args:
        gathered: The experiment's results.
        setting: Column of its table.
        condition: Row.
        protocol: By which it was evaluated.
        score: Name of a row of the protocol, "MPJPE, S9 + S11".
        column: A heading of the protocol's table; a mean where left out.
        mean: Over "columns" or "samples".

    Returns:
        Seed → value.

    Raises:
        ValueError: If the results have no such score or column.
    """
    found = {}
    for result in gathered.cells.values():
        if (result["setting"], result["condition"]) != (setting, condition):
            continue
        row = result["scores"].get(protocol, {"rows": {}})["rows"].get(score)
        if row is None or (column is not None and column not in row["columns"]):
            raise ValueError(f"the results have no {score!r} by {protocol!r} of {column or 'all columns'}.")
        value = row[f"mean_of_{mean}"] if column is None else row["columns"][column]
        if value is not None:
            found[result["seed"]] = value
    return found


def table(
    experiment: Experiment, gathered: Gathered, *, score: str, protocol: str | None = None
) -> list[dict[str, Any]]:
    """An experiment's table: each condition's mean, and its paired difference to the baseline.

    Args:
        experiment: Whose.
        gathered: Its results.
        score: As for `values`.
        protocol: The experiment's own where left out.

    Returns:
        A record for each setting and condition that has results: `setting`, `condition`, `mean` and
        `difference` (both `Interval`, the latter None for the baseline).
    """
    protocol = protocol or experiment.protocol
    records: list[dict[str, Any]] = []
    for setting in experiment.settings:
        baseline = values(gathered, setting, experiment.baseline, protocol=protocol, score=score)
        for condition in experiment.conditions:
            found = values(gathered, setting, condition, protocol=protocol, score=score)
            if not found:
                continue
            difference: Interval | None = None
            if condition != experiment.baseline:
                difference = paired_difference(found, baseline)
            records.append(
                {
                    "setting": setting,
                    "condition": condition,
                    "mean": mean_interval(list(found.values())),
                    "difference": difference,
                }
            )
    return records
