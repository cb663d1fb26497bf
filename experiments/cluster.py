"""Cells on a cluster: the same `run_cells`, inside joblib's Dask back end, with the same numbers.

    python experiments/cluster.py --json experiments/results/cluster.json

Starts a Dask cluster on this machine, a scheduler and two worker processes that talk over the network as
those of a real one do, and runs two cells of the smoke profile there, then both without it. For a real
cluster, give `Client` the scheduler's address; the folders of data and runs must be shared between machines.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from typing import Any

import joblib
from rich.console import Console
from rich.table import Table

from hemlets_lib.checkpoint import load_checkpoint
from hemlets_lib.experiments.cells import Workplace, result_of
from hemlets_lib.experiments.check import digest, reference_cells
from hemlets_lib.experiments.design import Cell
from hemlets_lib.experiments.registry import read_registry
from hemlets_lib.experiments.sweep import run_cells
from hemlets_lib.results import package_versions, provenance, write_json
from hemlets_lib.run_folder import RunFolder

WORKERS = 2
MEASURED = ("scores", "probes", "curve")  # of a result: all but times and provenance


def local_cluster(workers: int) -> AbstractContextManager[Any]:
    """Inside, joblib's work goes to worker processes with a thread each, over TCP."""
    from distributed import Client, LocalCluster

    stack = ExitStack()
    cluster = LocalCluster(
        n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=":0", protocol="tcp"
    )
    stack.enter_context(cluster)
    stack.enter_context(Client(cluster))
    stack.enter_context(joblib.parallel_config("dask"))
    return stack


def run_there(
    cells: Sequence[Cell], place: Workplace, results: Path, where: AbstractContextManager[Any]
) -> list[dict[str, Any]]:
    """What each cell found, with its weights' digest.

    Raises:
        RuntimeError: If a cell failed.
    """
    with where:
        for cell, problem in run_cells(cells, place, jobs=WORKERS, folder=results):
            if problem:
                raise RuntimeError(f"{cell.name}: {problem}")
    found = []
    for cell in cells:
        model, _ = load_checkpoint(RunFolder(place.cell_folder(cell)).model_path)
        found.append({**(result_of(cell, place) or {}), "weights": digest(model)})
    return found


def compared(
    cells: Sequence[Cell], folder: Path, cluster: AbstractContextManager[Any]
) -> list[dict[str, Any]]:
    """A row for each cell, run on the cluster and without it."""
    places = {name: Workplace(folder / "shards", folder / name, device="cpu") for name in ("dask", "loky")}
    there = run_there(cells, places["dask"], folder / "dask results", cluster)
    here = run_there(cells, places["loky"], folder / "loky results", nullcontext())
    return [
        {
            "cell": cell.name,
            "key": cell.key,
            "equal": all(one[part] == other[part] for part in MEASURED),
            "weights": [one["weights"], other["weights"]],
            "seconds": [one["seconds"], other["seconds"]],
        }
        for cell, one, other in zip(cells, there, here, strict=True)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    registry = read_registry()
    cells = reference_cells(registry)[:WORKERS]
    with tempfile.TemporaryDirectory() as folder:
        rows = compared(cells, Path(folder), local_cluster(WORKERS))
    table = Table("cell", "same numbers", "same weights", "seconds: cluster", "without", box=None)
    for row in rows:
        one, other = row["weights"]
        seconds = (f"{value:.1f}" for value in row["seconds"])
        table.add_row(row["cell"], str(row["equal"]), str(one == other), *seconds)
    Console().print(table)
    if args.json:
        write_json(
            args.json,
            {
                "back_ends": ["dask", "loky"], "workers": WORKERS, "threads_per_worker": 1,
                "profile": cells[0].profile.name, "cells": rows,
                "engine": package_versions(("dask", "distributed", "joblib")),
                **provenance(Path(__file__).parent),
            },
        )  # fmt: skip


if __name__ == "__main__":
    main()
