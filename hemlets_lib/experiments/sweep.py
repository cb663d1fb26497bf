"""Many cells: the missing ones run side by side, each through papermill; results are gathered.

joblib spreads the cells. Its default is processes on this machine; inside `with
joblib.parallel_config("dask")` (or "ray") the same call goes to a cluster. On a CPU each cell computes in one
thread: two single-threaded runs outrun one that has two, and numbers do not hang on how many there are.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from hemlets_lib.experiments.cells import Workplace, ensure_data, result_of
from hemlets_lib.experiments.design import Cell, Experiment, Profile
from hemlets_lib.experiments.digests import seal
from hemlets_lib.experiments.statistics import Interval, mean_interval, paired_difference
from hemlets_lib.notebooks import execute
from hemlets_lib.results import read_json, write_json

__all__ = [
    "Gathered",
    "TableRow",
    "gather",
    "jobs_here",
    "pending",
    "read_gathered",
    "results_folder",
    "run_cells",
    "run_notebook",
    "table",
    "values",
]


_PATIENCE = 10  # times the minutes of its profile: slow machines train slowly, and resume


def results_folder() -> Path:
    """Where results are committed, in the checkout that this library is installed from."""
    return Path(__file__).resolve().parents[2] / "experiments" / "results"


def run_notebook() -> Path:
    """The notebook that runs one cell, with parameters that papermill fills in."""
    return Path(__file__).resolve().parents[2] / "experiments" / "run.ipynb"


@dataclass(frozen=True)
class Gathered:
    """Finished cells of a profile, whatever experiments they belong to and machines they ran on.

    Args:
        profile: Its name, with "-real" for cells on real data.
        cells: Key → result.
    """

    profile: str
    cells: Mapping[str, Mapping[str, Any]]

    def __len__(self) -> int:
        return len(self.cells)


def read_gathered(profile: str, folder: Path | None = None) -> Gathered:
    """What is committed of a profile: a file for each cell.

    Args:
        profile: Its name, with "-real" for cells on real data.
        folder: Where results are committed; the checkout's own where left out.
    """
    files = sorted(((folder or results_folder()) / "cells" / profile).glob("*.json"))
    return Gathered(profile, {path.stem: read_json(path) for path in files})


def gather(cells: Iterable[Cell], workplace: Workplace, *, folder: Path | None = None) -> list[Path]:
    """Copies the results of finished cells to where they are committed, and takes their digests.

    What is there already stays.

    Args:
        cells: Whose results.
        workplace: Where they ran.
        folder: Where results are committed; the checkout's own where left out.

    Returns:
        The files that were made.
    """
    made = []
    for cell in cells:
        path = (folder or results_folder()) / "cells" / workplace.kind(cell) / f"{cell.key}.json"
        if not path.exists() and (result := result_of(cell, workplace)):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_json(path, result)
            made.append(path)
    if made:
        seal(folder or results_folder())
    return made


def pending(cells: Sequence[Cell], workplace: Workplace, *, folder: Path | None = None) -> list[Cell]:
    """The cells that have neither run here nor are committed, each once.

    Args:
        cells: Those wanted.
        workplace: Where they would run; with real data, committed results of drawn data do not count.
        folder: Where results are committed.

    Returns:
        Those to run, in order.

    Raises:
        FileNotFoundError: If a folder of real data has no manifest.
        ValueError: If a cell is committed that was made from other real data.
    """
    wanted = {(workplace.kind(cell), cell.key): cell for cell in reversed(cells)}
    committed = {kind: read_gathered(kind, folder).cells for kind, _ in wanted}
    for (kind, key), cell in wanted.items():
        there, asked = committed[kind].get(key), workplace.made_from(cell)
        if there is not None and (before := there.get("made_from", {})) != asked:
            raise ValueError(
                f"cells/{kind}/{key}.json ({cell.name}): expected the real data it was made from, role and "
                f"hash of the manifest, {before}, got {asked}. Give the same folders, or another for results."
            )
    return [
        cell
        for (kind, key), cell in reversed(wanted.items())
        if key not in committed[kind] and not result_of(cell, workplace)
    ]


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
    cores = os.cpu_count() or 1
    threads = max(1, cores // max(jobs, 1)) if _on_gpu(workplace) else 1
    tasks = (delayed(_run_in_notebook)(number, cell, workplace, threads) for number, cell in enumerate(todo))
    for number, problem in Parallel(n_jobs=jobs, return_as="generator_unordered")(tasks):
        if not problem:
            gather([todo[number]], workplace, folder=folder)
        yield todo[number], problem


def jobs_here(cells: Iterable[Cell], workplace: Workplace) -> int:
    """How many of some cells this machine takes side by side: one on a GPU, else what cores and memory allow.

    Args:
        cells: Those to run.
        workplace: Says whether a GPU is used.
    """
    import psutil

    cells = list(cells)
    if _on_gpu(workplace):
        return 1
    room = psutil.virtual_memory().available / 2**30
    by_memory = int(room / max((cell.profile.memory_gb for cell in cells), default=room))
    return max(1, min(os.cpu_count() or 1, by_memory, len(cells)))


def _on_gpu(workplace: Workplace) -> bool:
    if workplace.device is None:
        return torch.cuda.is_available()
    return torch.device(workplace.device).type != "cpu"


@contextmanager
def _threads_of_kernels(threads: int) -> Iterator[None]:
    """Kernels that start meanwhile inherit the number; afterwards the caller's environment is as it was."""
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = str(threads)
    try:
        yield
    finally:
        if before is None:
            os.environ.pop("OMP_NUM_THREADS", None)
        else:
            os.environ["OMP_NUM_THREADS"] = before


def _run_in_notebook(number: int, cell: Cell, workplace: Workplace, threads: int) -> tuple[int, str]:
    """A cell by way of its notebook, which stays beside its result; says what went wrong, if anything."""
    folder = workplace.cell_folder(cell)
    folder.mkdir(parents=True, exist_ok=True)
    parameters = {
        "experiment": cell.experiment,
        "profile": cell.profile.name,
        "setting": cell.setting,
        "condition": cell.condition,
        "seed": cell.seed,
        "shards": str(workplace.shards.absolute()),
        "runs": str(workplace.runs.absolute()),
        "real": {role: str(Path(path).absolute()) for role, path in workplace.real.items()},
        "device": workplace.device,
    }
    with _threads_of_kernels(threads):
        outcome = execute(
            run_notebook(), folder / "run.ipynb", parameters=parameters,
            timeout_s=_PATIENCE * 60 * cell.profile.minutes,
        )  # fmt: skip
    if outcome.status == "ok" and result_of(cell, workplace) is None:
        return number, f"{folder}: the notebook ended without a result"
    return number, "" if outcome.error is None else f"{outcome.status}: {outcome.error['summary']}"


def values(
    gathered: Gathered,
    cells: Iterable[Cell],
    *,
    protocol: str,
    score: str,
    column: str | None = None,
    mean: str = "columns",
) -> dict[int, float]:
    """A score of finished cells, seed by seed.

    Args:
        gathered: Results.
        cells: Which of them, one for each seed; those that have not finished are passed over.
        protocol: By which they were evaluated.
        score: Name of a row of the protocol, "MPJPE, S9 + S11".
        column: A heading of the protocol's table; a mean where left out.
        mean: Over "columns" or "samples".

    Returns:
        Seed → value.

    Raises:
        ValueError: If the results have no such score or column.
    """
    found = {}
    for cell in cells:
        if cell.key not in gathered.cells:
            continue
        row = gathered.cells[cell.key]["scores"].get(protocol, {"rows": {}})["rows"].get(score)
        if row is None or (column is not None and column not in row["columns"]):
            raise ValueError(f"the results have no {score!r} by {protocol!r} of {column or 'all columns'}.")
        value = row[f"mean_of_{mean}"] if column is None else row["columns"][column]
        if value is not None:
            found[cell.seed] = value
    return found


@dataclass(frozen=True)
class TableRow:
    """A setting and a condition of an experiment, over the seeds that have finished.

    Args:
        setting: Column of the experiment's table.
        condition: Row.
        mean: Of the score.
        difference: To the experiment's baseline, paired over seeds; None for itself, or without common seeds.
    """

    setting: str
    condition: str
    mean: Interval
    difference: Interval | None


def table(
    experiment: Experiment,
    profile: Profile,
    gathered: Gathered,
    *,
    score: str,
    protocol: str | None = None,
    mean: str | None = None,
) -> list[TableRow]:
    """An experiment's table, as far as it is filled.

    Args:
        experiment: Whose.
        profile: In which profile.
        gathered: Results.
        score: As for `values`.
        protocol: The experiment's own where left out.
        mean: As for `values`; as the paper's numbers of this score take it where left out.

    Returns:
        A row for each setting and condition that has results.
    """
    protocol = protocol or experiment.protocol
    options = {
        "protocol": protocol, "score": score, "mean": mean or experiment.mean_of(protocol, score),
    }  # fmt: skip
    rows = []
    for setting in experiment.settings:
        baseline = values(gathered, experiment.over_seeds(profile, setting, experiment.baseline), **options)
        for condition in experiment.conditions:
            found = values(gathered, experiment.over_seeds(profile, setting, condition), **options)
            if found:
                own = condition == experiment.baseline
                difference = None if own else paired_difference(found, baseline)
                rows.append(TableRow(setting, condition, mean_interval(list(found.values())), difference))
    return rows
