"""One process against two: the same losses at the same global batch, but for batch normalisation.

    python experiments/data_parallel.py --json experiments/results/distributed.json

Trains `nano` for some steps on the shipped samples, on the CPU, in one process and in two under torchrun
(gloo). With frozen statistics the two do the same sums in another order. With ordinary batch normalisation
each process normalises with its own half of the batch: another network at every step, and how far it
drifts is the question.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from hemlets_lib.checkpoint import load_checkpoint
from hemlets_lib.data.mixing import Mixture
from hemlets_lib.data.samples import load_samples
from hemlets_lib.losses import LossTerms
from hemlets_lib.model import HEMletsNet
from hemlets_lib.recipes import RECIPES, TrainConfig
from hemlets_lib.results import provenance, write_json
from hemlets_lib.run_folder import RunFolder
from hemlets_lib.train import train

VARIANTS: dict[str, dict[str, Any]] = {
    "frozen statistics": {"freeze_batch_norm": True},
    "ordinary batch normalisation": {},
}
PROCESSES = (1, 2)
WARM_UP_STEPS = 5  # not timed


def config_of(variant: str, steps: int) -> TrainConfig:
    return replace(
        RECIPES["nano"], steps=steps, warmup_steps=steps // 10, log_every=1, save_every=steps,
        validate_every=steps, ema_decay=None, precision="float32", **VARIANTS[variant],
    )  # fmt: skip


def run(variant: str, steps: int, processes: int, folder: Path) -> RunFolder:
    """This script once more, as the program that is run by so many processes with a thread each."""
    launcher = [] if processes == 1 else ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node"]
    launcher += [] if processes == 1 else [str(processes)]
    command = [sys.executable, *launcher, __file__, "--steps", str(steps), "--worker", variant, str(folder)]
    subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=True)
    return RunFolder(folder)


def weights_of(model: HEMletsNet) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


def compared(variant: str, steps: int, folder: Path) -> dict[str, Any]:
    """A run in one process beside that in two."""
    runs = {count: run(variant, steps, count, folder / f"{variant}-{count}") for count in PROCESSES}
    one, two = (runs[count].read_log("train") for count in PROCESSES)
    apart = {
        name: [abs(b[name] - a[name]) / abs(a[name]) for a, b in zip(one, two, strict=True)]
        for name in LossTerms._fields
    }
    torch.manual_seed(config_of(variant, steps).seed)
    start = weights_of(HEMletsNet(config_of(variant, steps).model))  # as `train` makes it
    ends = [weights_of(load_checkpoint(runs[count].model_path).model) for count in PROCESSES]
    return {
        "variant": variant,
        "totals": {str(count): [r["total"] for r in runs[count].read_log("train")] for count in PROCESSES},
        "relative_difference_of_totals": apart["total"],
        "largest_relative_difference_of_a_term": {
            "first_step": max(values[0] for values in apart.values()),
            "all_steps": max(map(max, apart.values())),
        },
        "distance_of_weights": {
            "between_them": (ends[0] - ends[1]).norm().item(),
            "from_the_start": (ends[0] - start).norm().item(),
        },
        "images_per_s": {
            str(count): statistics.median(
                r["images_per_s"] for r in runs[count].read_log("train")[WARM_UP_STEPS:]
            )
            for count in PROCESSES
        },
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--worker", nargs=2, metavar=("VARIANT", "FOLDER"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        variant, folder = args.worker
        data = Mixture([load_samples(size=96)])
        train(config_of(variant, args.steps), data, folder, device="cpu")
        return

    with tempfile.TemporaryDirectory() as folder:
        rows = [compared(variant, args.steps, Path(folder)) for variant in VARIANTS]
    table = Table(
        "", "loss apart, first step", "any step", "weights apart / way", "images/s, 1", "2", box=None
    )
    for row in rows:
        apart, weights = row["largest_relative_difference_of_a_term"], row["distance_of_weights"]
        table.add_row(
            row["variant"], f"{apart['first_step']:.1e}", f"{apart['all_steps']:.1e}",
            f"{weights['between_them'] / weights['from_the_start']:.1e}",
            *(f"{row['images_per_s'][str(count)]:.0f}" for count in PROCESSES),
        )  # fmt: skip
    Console().print(table)
    if args.json:
        base = config_of("ordinary batch normalisation", args.steps)
        write_json(
            args.json,
            {
                "steps": args.steps, "batch_size": base.batch_size, "recipe": base.to_dict(),
                "threads_per_process": 1, "load_average": os.getloadavg()[0], "variants": rows,
                **provenance(Path(__file__).parent),
            },
        )  # fmt: skip


if __name__ == "__main__":
    main()
