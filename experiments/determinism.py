"""Same seed, same numbers? One cell trained again and again, with one thing changed about how it is computed.

    python experiments/determinism.py --json experiments/results/determinism.json
    python experiments/determinism.py --other-python OLD/bin/python     # an environment with another torch

Each run is a process of its own: the cell `CELL` of the smoke profile, for a few steps and for more of them,
since differences grow with training. Runs are held against the first by their weights, bit by bit, and by
their error on the drawn test pictures. How far seeds move the committed numbers stands beside it.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from hemlets_lib.checkpoint import load_checkpoint
from hemlets_lib.experiments.cells import Workplace, ensure_data, run_cell
from hemlets_lib.experiments.check import digest
from hemlets_lib.experiments.design import Cell
from hemlets_lib.experiments.registry import Registry, read_registry
from hemlets_lib.experiments.sweep import read_gathered, values
from hemlets_lib.results import provenance, write_json
from hemlets_lib.run_folder import RunFolder

CELL = ("table4", "H3.6M #1*", "full")
COMMITTED = "laptop"  # the profile whose seeds are compared
METRIC = "MPJPE, S9 + S11"
AVX2 = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"}


@dataclass(frozen=True)
class Run:
    """A way to compute the cell.

    Args:
        what: That is compared.
        name: Of this way, beside the first run's.
        usual: The first run's own.
        options: Of the recipe, in place of the profile's.
        seed: Of the cell.
        threads: That torch computes with.
        environment: Variables that must be set before torch is loaded.
    """

    what: str
    name: str
    usual: str
    options: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    threads: int = 1
    environment: Mapping[str, str] = field(default_factory=dict)


RUNS = (
    Run("the same again", "second run", "first run"),
    Run("threads", "2", "1", threads=2),
    Run("instruction set", "AVX2", "the processor's own", environment=AVX2),
    Run("precision", "bfloat16", "float32", {"precision": "bfloat16"}),
    Run("memory layout", "contiguous", "channels last", {"channels_last": False}),
    Run("seed", "1", "0", seed=1),
)


def cell_of(registry: Registry, steps: int, run: Run) -> Cell:
    experiment, setting, condition = CELL
    usual = registry.profile("smoke")
    options = {**usual.options, "steps": steps, "warmup_steps": steps // 8, "log_every": steps,
               "validate_every": steps, "save_every": steps, **run.options}  # fmt: skip
    return registry.experiment(experiment).cell(replace(usual, options=options), setting, condition, run.seed)


def computed(cell: Cell, threads: int, shards: Path) -> dict[str, Any]:
    """What a cell comes to, here and now.

    Args:
        cell: Which.
        threads: That torch computes with.
        shards: Where its data have been drawn.

    Returns:
        `mm`, `weights` (their digest) and `torch` (its version).
    """
    torch.set_num_threads(threads)
    with tempfile.TemporaryDirectory() as folder:
        place = Workplace(shards, Path(folder), device="cpu")
        result = run_cell(cell, place)
        model, _ = load_checkpoint(RunFolder(place.cell_folder(cell)).model_path)
    row = result["scores"]["h36m"]["rows"][METRIC]
    return {"mm": row["mean_of_samples"], "weights": digest(model), "torch": torch.__version__}


def in_a_process(run: Run, steps: int, shards: Path, python: str = sys.executable) -> dict[str, Any]:
    """`computed` in a fresh process, perhaps of another environment."""
    number = RUNS.index(run) if run in RUNS else 0
    command = [python, __file__, "--worker", str(number), str(steps), str(shards)]
    threads = {"OMP_NUM_THREADS": str(run.threads), "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    environment = {**os.environ, **threads, **run.environment}
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def row_of(what: str, steps: int, names: tuple[str, str], found: tuple[Any, Any]) -> dict[str, Any]:
    """Two runs beside each other."""
    one, other = found
    return {
        "what": what, "metric": f"{METRIC}, after {steps} steps", "a": names[0], "b": names[1],
        "difference_mm": abs(other["mm"] - one["mm"]), "bitwise": other["weights"] == one["weights"],
    }  # fmt: skip


def not_measured(what: str, a: str, b: str, why: str) -> dict[str, Any]:
    return {"what": what, "metric": f"not measured here: {why}", "a": a, "b": b,
            "difference_mm": None, "bitwise": None}  # fmt: skip


def rows_of_seeds(registry: Registry) -> list[dict[str, Any]]:
    """How far the seeds of a committed cell lie apart, for each pair of seeds; weights are not committed."""
    experiment = registry.experiment(CELL[0])
    profile = registry.profile(COMMITTED)
    rows: list[dict[str, Any]] = []
    seen: set[str] = set()
    for setting, condition in itertools.product(experiment.settings, experiment.conditions):
        cells = experiment.over_seeds(profile, setting, condition)
        if cells[0].key in seen:  # settings may share cells
            continue
        seen.add(cells[0].key)
        found = values(read_gathered(COMMITTED), cells, protocol="h36m", score=METRIC, mean="samples")
        for one, other in itertools.combinations(sorted(found), 2):
            rows.append(
                {
                    "what": f"seed, profile {COMMITTED}",
                    "metric": f"{METRIC}: {setting}, {condition}",
                    "a": str(one), "b": str(other),
                    "difference_mm": abs(found[one] - found[other]), "bitwise": None,
                }
            )  # fmt: skip
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, nargs="+", default=[16, 150])
    parser.add_argument("--other-python", help="an interpreter whose environment has another torch")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--worker", nargs=3, metavar=("RUN", "STEPS", "SHARDS"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    registry = read_registry()
    if args.worker:
        number, steps, shards = args.worker
        run = RUNS[int(number)]
        print(json.dumps(computed(cell_of(registry, int(steps), run), run.threads, Path(shards))))
        return

    rows: list[dict[str, Any]] = []
    versions = [torch.__version__]
    with tempfile.TemporaryDirectory() as folder:
        shards = Path(folder)
        ensure_data([cell_of(registry, 16, RUNS[0])], Workplace(shards), workers=0, show_progress=False)
        for steps in args.steps:
            first = in_a_process(RUNS[0], steps, shards)
            for run in RUNS:
                found = in_a_process(run, steps, shards)
                rows.append(row_of(run.what, steps, (run.usual, run.name), (first, found)))
                print(rows[-1], flush=True)
            if args.other_python:
                found = in_a_process(RUNS[0], steps, shards, args.other_python)
                versions.append(found["torch"])
                names = (first["torch"], found["torch"])
                rows.append(row_of("torch version", steps, names, (first, found)))
                print(rows[-1], flush=True)
    if not args.other_python:
        why = "no environment with another torch was given"
        rows.append(not_measured("torch version", versions[0], "another", why))
    why = "training on a GPU sums in an order of its own" if torch.cuda.is_available() else "no GPU"
    rows.append(not_measured("device", "CPU", "GPU", why))
    rows += rows_of_seeds(registry)
    table = Table("", "", "a", "b", "apart, mm", "bitwise", box=None)
    for row in rows:
        apart = "" if row["difference_mm"] is None else f"{row['difference_mm']:.3f}"
        bitwise = "" if row["bitwise"] is None else str(row["bitwise"])
        table.add_row(row["what"], row["metric"], row["a"], row["b"], apart, bitwise)
    Console().print(table)
    if args.json:
        cell = " · ".join(CELL)
        write_json(args.json, {"cell": cell, "rows": rows, **provenance(Path(__file__).parent)})


if __name__ == "__main__":
    main()
