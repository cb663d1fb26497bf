"""What each part of the `nano` recipe buys: short runs that leave one thing out, over several seeds.

    python experiments/recipe.py --data shards/train --validation shards/val --seeds 0 1 \\
        --json experiments/results/recipe.json

Same data, images and schedule for all. A variant's runs share their seeds with the recipe's, so that
differences are paired. A run that is there already is not run again; one that was killed carries on.
"""

from __future__ import annotations

import argparse
import contextlib
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from rich.console import Console
from rich.table import Table

from hemlets_lib.data.mixing import Mixture
from hemlets_lib.data.shards import ShardDataset
from hemlets_lib.model import HEMletsNet
from hemlets_lib.recipes import RECIPES, TrainConfig
from hemlets_lib.results import provenance, write_json
from hemlets_lib.run_folder import RunFolder
from hemlets_lib.train import TrainingDiverged, train

# Changes to the recipe; "default_init" is a switch of this experiment's.
VARIANTS: dict[str, dict[str, Any]] = {
    "recipe": {},
    "alpha 0.05": {"alpha": 0.05},
    "no warm-up": {"warmup_steps": 0},
    "no clipping": {"gradient_clip": None},
    "PyTorch's initial weights": {"default_init": True},
    "rate x4": {"learning_rate": 8e-3},
    "rate x4, none of the three": {
        "learning_rate": 8e-3, "warmup_steps": 0, "gradient_clip": None, "default_init": True,
    },
}  # fmt: skip


@contextlib.contextmanager
def initial_weights(default: bool) -> Iterator[None]:
    """Inside, networks keep the weights that PyTorch's layers are born with, if `default`."""
    with mock.patch.object(HEMletsNet, "_initialise") if default else contextlib.nullcontext():
        yield


def one_run(
    config: TrainConfig, args: argparse.Namespace, folder: Path, default_init: bool
) -> dict[str, Any]:
    """The last validation of a run, or that it diverged."""
    data = Mixture([ShardDataset(args.data)], seed=config.seed)
    resume = RunFolder(folder).state_path.exists()
    with initial_weights(default_init):
        try:
            run = train(
                config, data, folder, validation=ShardDataset(args.validation), resume=resume, device="cpu"
            )
        except TrainingDiverged as error:
            return {"seed": config.seed, "diverged": str(error)}
    last = run.read_log("validation")[-1]
    norms = [record["gradient_norm"] for record in run.read_log("train")]
    return {
        "seed": config.seed, "mpjpe_mm": last["mpjpe_mm"], "pa_mpjpe_mm": last["pa_mpjpe_mm"],
        "polarity_percent": last["polarity_percent"], "largest_mean_gradient_norm": max(norms),
        "seconds": last["seconds"],
    }  # fmt: skip


def paired(runs: list[dict[str, Any]], base: list[dict[str, Any]]) -> dict[str, float | None]:
    """The mean difference to the recipe in mm, and its standard error, over the seeds that both have."""
    of_base = {run["seed"]: run["mpjpe_mm"] for run in base if "mpjpe_mm" in run}
    found = [
        run["mpjpe_mm"] - of_base[run["seed"]] for run in runs if "mpjpe_mm" in run and run["seed"] in of_base
    ]
    differences = torch.tensor(found, dtype=torch.float64)
    count = len(differences)
    return {
        "mean_mm": differences.mean().item() if count else None,
        "standard_error_mm": differences.std().item() / math.sqrt(count) if count > 1 else None,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("shards/train"))
    parser.add_argument("--validation", type=Path, default=Path("shards/val"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--runs", type=Path, default=Path("runs/recipe"))
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()

    base = replace(
        RECIPES["nano"], steps=args.steps, warmup_steps=args.steps // 8, log_every=args.steps // 8,
        save_every=args.steps // 2, validate_every=args.steps, ema_decay=0.99,
    )  # fmt: skip
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in VARIANTS}
    for seed in args.seeds:
        for number, (name, changes) in enumerate(VARIANTS.items()):
            options = {key: value for key, value in changes.items() if key != "default_init"}
            folder = args.runs / f"{number}-{args.steps}-{seed}"
            config = replace(base, seed=seed, **options)
            found[name].append(one_run(config, args, folder, "default_init" in changes))
            print(name, found[name][-1], flush=True)

    table = Table("variant", "MPJPE, mm", "difference to the recipe, mm", box=None)
    rows = []
    for name, runs in found.items():
        difference = paired(runs, found["recipe"])
        rows.append({"variant": name, "changes": VARIANTS[name], "runs": runs, "difference": difference})
        values = ", ".join(f"{run['mpjpe_mm']:.1f}" if "mpjpe_mm" in run else "diverged" for run in runs)
        mean = difference["mean_mm"]
        table.add_row(name, values, "–" if mean is None else f"{mean:+.1f}")
    Console().print(table)
    if args.json:
        images = args.steps * base.batch_size
        write_json(
            args.json,
            {
                "images": images,
                "recipe": base.to_dict(),
                "variants": rows,
                **provenance(Path(__file__).parent),
            },
        )


if __name__ == "__main__":
    main()
