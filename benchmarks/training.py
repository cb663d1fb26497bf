"""Where does the time of a training step go, and how many images a second does that make?

    python benchmarks/training.py [--preset nano] [--json benchmarks/results/training.json]

Every part of a step of `train.train` is timed in turn, round after round, on this machine's CPU, with
drawn samples read from shards; the fastest round of each is kept. `data` and `targets` together should
stay below 15 % of a step. Measured for each precision, and with and without `heap.keep_freed_memory`,
each in a process of its own. Only the shares carry over to other machines.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch.optim.swa_utils import AveragedModel

from hemlets_lib import HEMletsNet, hemlets_loss
from hemlets_lib.augment import augment
from hemlets_lib.data import collate, normalise
from hemlets_lib.data.shards import ShardDataset, build_shards
from hemlets_lib.data.synthetic import SyntheticDataset
from hemlets_lib.heap import keep_freed_memory
from hemlets_lib.recipes import RECIPES
from hemlets_lib.results import provenance, write_json
from hemlets_lib.targets import make_targets

GOAL_PERCENT = 15  # data and target making together, of a step
DATA = ("read", "collate", "augment", "normalise", "targets")
NETWORK = ("forward", "loss", "backward", "clip", "optimiser", "average")
SAMPLES = 256


class Stopwatch:
    """The shortest time of each named part."""

    def __init__(self) -> None:
        self.ms: dict[str, float] = {}

    @contextlib.contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.ms[name] = min(self.ms.get(name, float("inf")), 1000 * (time.perf_counter() - start))


def measure(preset: str, folder: str, *, precision: str, keep_heap: bool, rounds: int) -> dict[str, float]:
    """Milliseconds of each part of a step on one batch."""
    if keep_heap:
        keep_freed_memory()
    config = replace(RECIPES[preset], precision=precision)
    shape, count = config.model, config.batch_size
    model = HEMletsNet(shape).to(memory_format=torch.channels_last).train()
    optimiser = torch.optim.Adam(model.parameters(), lr=config.learning_rate)
    average = AveragedModel(model, avg_fn=lambda old, new, _: torch.lerp(old, new, 0.001), use_buffers=False)
    dataset, watch = ShardDataset(folder), Stopwatch()
    for number in range(rounds):
        rows = [(number * count + row) % len(dataset) for row in range(count)]
        with watch("read"):
            samples = [dataset[row] for row in rows]
        with watch("collate"):
            batch = collate(samples)
        with watch("augment"):
            batch = augment(
                batch, config.augmentation, skeleton=shape.skeleton, seed=0, epoch=number,
                indices=torch.arange(count), size=shape.image_size,
            )  # fmt: skip
        with watch("normalise"):
            images = normalise(batch.images).contiguous(memory_format=torch.channels_last)
        with watch("targets"):
            targets = make_targets(batch, shape)
        optimiser.zero_grad()
        with watch("forward"), torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            output = model(images)
        with watch("loss"):
            terms = hemlets_loss(output, targets, size=shape.volume_size, grid=shape.grid, alpha=config.alpha)
        with watch("backward"):
            terms.total.backward()
        with watch("clip"):
            torch.nn.utils.clip_grad_norm_(model.parameters(), config.gradient_clip or float("inf"))
        with watch("optimiser"):
            optimiser.step()
        with watch("average"):
            average.update_parameters(model)
    return watch.ms


def row_of(ms: dict[str, float], count: int) -> dict[str, float]:
    whole = sum(ms.values())
    return {f"{name}_ms": round(value, 2) for name, value in ms.items()} | {
        "data_percent": round(100 * sum(ms[name] for name in DATA) / whole, 1),
        "images_per_s": round(1000 * count / whole, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--preset", default="nano", choices=tuple(RECIPES))
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--one", help=argparse.SUPPRESS)  # one measurement, in this process: its options
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(**json.loads(arguments.one))))
        return

    count = RECIPES[arguments.preset].batch_size
    table = Table(
        "threads", "precision", "freed memory", *DATA, *NETWORK, "data and targets", "images/s", box=None
    )
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        build_shards(folder, SyntheticDataset(SAMPLES), workers=1, show_progress=False)
        for threads in arguments.threads:
            for precision in ("float32", "bfloat16"):
                for keep_heap in (False, True):
                    one = {
                        "preset": arguments.preset, "folder": folder, "precision": precision,
                        "keep_heap": keep_heap, "rounds": arguments.rounds,
                    }  # fmt: skip
                    done = subprocess.run(
                        [sys.executable, __file__, "--one", json.dumps(one)],
                        env={**os.environ, "OMP_NUM_THREADS": str(threads)}, check=True, text=True,
                        stdout=subprocess.PIPE,
                    )  # fmt: skip
                    ms = json.loads(done.stdout)
                    row = row_of(ms, count)
                    heap = "kept" if keep_heap else "handed back"
                    rows.append({"threads": threads, "precision": precision, "freed_memory": heap, **row})
                    table.add_row(
                        str(threads), precision, heap, *(f"{ms[name]:.1f}" for name in (*DATA, *NETWORK)),
                        f"{row['data_percent']} %", f"{row['images_per_s']:.0f}",
                    )  # fmt: skip
    Console(width=170).print(f"{arguments.preset}, batches of {count}: milliseconds a step", table)
    worst = max(row["data_percent"] for row in rows)
    print(f"data and targets: at most {worst} % of a step; the goal is {GOAL_PERCENT} %")
    if arguments.json:
        config = {"preset": arguments.preset, "batch_size": count, "rounds": arguments.rounds}
        write_json(arguments.json, {"config": config, "rows": rows, **provenance(Path(__file__).parent)})


if __name__ == "__main__":
    main()
