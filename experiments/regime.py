"""Where does intermediate supervision pay? Short runs over label budgets, one seed first.

    python experiments/regime.py --data shards/train --validation shards/val --seeds 0 \\
        --json experiments/results/regime.json

Three label budgets over the same pictures: 3D labels on all of them; 3D on a few and only 2D on the rest (as
Human3.6M with MPII); 3D on a few and the parts' depth order on the rest (as with Ordinal and FBI labels).
Four supervisions of one network, and the smaller network without the intermediate branch. Same images,
order, augmentation and schedule; a run that is there already is not run again, one that was killed carries
on. Results are written after every run, so the search may be stopped at any time.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from hemlets_lib.data.mixing import Mixture
from hemlets_lib.data.sample import Sample
from hemlets_lib.data.shards import ShardDataset
from hemlets_lib.model import ModelConfig
from hemlets_lib.recipes import RECIPES, TrainConfig
from hemlets_lib.results import provenance, write_json
from hemlets_lib.run_folder import RunFolder
from hemlets_lib.train import train
from hemlets_lib.triplets import UNKNOWN

BUDGETS = ("3D on all", "3D on few, 2D on the rest", "3D on few, depth order on the rest")
# Name → (supervision, whether the network has the intermediate branch); what is compared with first.
CONDITIONS: dict[str, tuple[str, bool]] = {
    "none": ("none", True),
    "full": ("full", True),
    "none, smaller network": ("none", False),
    "2d": ("2d", True),
    "hemlets": ("hemlets", True),
}


class Labels:
    """The same pictures with fewer labels: one in `every` keeps its depth, the rest what the budget says."""

    def __init__(self, source: ShardDataset, budget: str, *, every: int) -> None:
        self.source, self.budget, self.every = source, budget, every

    @property
    def config(self) -> dict[str, Any]:
        return {**self.source.config, "budget": self.budget, "every": self.every}

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> Sample:
        sample = self.source[index]
        if self.budget == BUDGETS[0] or index % self.every == 0:
            return sample
        flat = sample.joints_crop.clone()
        flat[:, 2] = 0
        states = (
            sample.part_states if self.budget == BUDGETS[2] else torch.full_like(sample.part_states, UNKNOWN)
        )
        return replace(
            sample, joints_crop=flat, depth_valid=torch.zeros_like(sample.depth_valid), part_states=states,
            joints_cam_mm=None,
        )  # fmt: skip


def recipe(args: argparse.Namespace, condition: str, seed: int) -> TrainConfig:
    """One network, budget of images and schedule for all; only the supervision differs."""
    supervision, branch = CONDITIONS[condition]
    base = RECIPES["nano"]
    model: ModelConfig = replace(
        base.model, image_size=args.size, heatmap_size=args.cells, depth_size=args.cells
    )
    if not branch:
        model = replace(model, intermediate=False, fusion=None)
    return replace(
        base, model=model, supervision=supervision, steps=args.steps, warmup_steps=args.steps // 8,
        seed=seed, alpha=args.alpha, log_every=args.steps // 8, save_every=args.steps // 4,
        validate_every=args.steps // 4, ema_decay=0.995,
    )  # fmt: skip


def one_run(args: argparse.Namespace, budget: str, condition: str, seed: int) -> dict[str, Any]:
    """What a run's validations say, along the way and at its end."""
    name = f"{args.size}-{args.steps}-{args.every}-{BUDGETS.index(budget)}-{condition}-{seed}".replace(
        ", ", "-"
    )
    folder = args.runs / name.replace(" ", "_")
    source = Labels(ShardDataset(args.data), budget, every=args.every)
    run = train(
        recipe(args, condition, seed), Mixture([source], seed=seed), folder,
        validation=ShardDataset(args.validation), resume=RunFolder(folder).state_path.exists(), device="cpu",
    )  # fmt: skip
    curve = run.read_log("validation")
    keys = ("step", "mpjpe_mm", "pa_mpjpe_mm", "polarity_percent", "joints", "z", "xy")
    return {
        "budget": budget, "condition": condition, "seed": seed,
        "validation": [{key: record[key] for key in keys if key in record} for record in curve],
        "seconds": curve[-1]["seconds"],
    }  # fmt: skip


def contrasts(runs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each condition against `none`, paired over seeds: mean difference in mm, with a 95 % interval."""
    final = {
        (run["budget"], run["condition"], run["seed"]): run["validation"][-1]["mpjpe_mm"] for run in runs
    }
    found = []
    for budget in BUDGETS:
        for condition in CONDITIONS:
            pairs = [
                value - final[budget, "none", seed]
                for (b, c, seed), value in final.items()
                if b == budget and c == condition != "none" and (budget, "none", seed) in final
            ]
            if not pairs:
                continue
            values = torch.tensor(pairs, dtype=torch.float64)
            half = None
            if len(pairs) > 1:
                from scipy.stats import t

                half = float(t.ppf(0.975, len(pairs) - 1)) * values.std().item() / math.sqrt(len(pairs))
            found.append(
                {
                    "budget": budget,
                    "condition": condition,
                    "seeds": len(pairs),
                    "mean_mm": values.mean().item(),
                    "half_width_mm": half,
                }
            )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("shards/train"))
    parser.add_argument("--validation", type=Path, default=Path("shards/val"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument(
        "--budgets", type=int, nargs="+", default=[2, 1, 0], help="numbers of BUDGETS, in order"
    )
    parser.add_argument("--conditions", nargs="+", choices=list(CONDITIONS), default=list(CONDITIONS))
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--every", type=int, default=30, help="one picture in so many has 3D labels")
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--cells", type=int, default=24)
    parser.add_argument("--alpha", type=float, default=RECIPES["nano"].alpha)
    parser.add_argument("--runs", type=Path, default=Path("runs/regime"))
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()

    runs: list[dict[str, Any]] = []
    for seed in args.seeds:
        for condition in args.conditions:
            for number in args.budgets:
                runs.append(one_run(args, BUDGETS[number], condition, seed))
                print(runs[-1], flush=True)
                if args.json:
                    settings = {
                        key: value for key, value in vars(args).items() if not isinstance(value, Path)
                    }
                    recipe_used = recipe(args, "full", 0).to_dict()
                    write_json(args.json, {
                        "settings": settings, "images": args.steps * RECIPES["nano"].batch_size,
                        "pictures": len(ShardDataset(args.data)), "recipe": recipe_used, "runs": runs,
                        "contrasts": contrasts(runs), **provenance(Path(__file__).parent),
                    })  # fmt: skip
    table = Table("labels", "supervision", "difference to none, mm", box=None)
    for row in contrasts(runs):
        table.add_row(row["budget"], row["condition"], f"{row['mean_mm']:+.1f} ({row['seeds']} seeds)")
    Console().print(table)


if __name__ == "__main__":
    main()
