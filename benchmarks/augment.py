"""How much of a training step goes into augmentation and targets?

    python benchmarks/augment.py [--preset nano] [--source-size 128] [--json benchmarks/results/augment.json]

Times, on this machine's CPU, what happens to a batch between the loader and the network (augmentation to
the model's size, normalisation, targets), and a training step of the network on it (forward, loss,
backward, Adam), in float32 and in bfloat16 with channels last. The parts are timed in turn, round after
round, and the fastest round of each is kept. Only the shares carry over to other machines.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from hemlets_lib import HEMLETS18, HEMletsNet, hemlets_loss
from hemlets_lib.augment import AugmentConfig, augment
from hemlets_lib.data import Batch, Meta, collate, normalise
from hemlets_lib.data.sample import label_sample
from hemlets_lib.results import provenance, write_json
from hemlets_lib.targets import make_targets

GOAL_PERCENT = 15  # data and target making together, of a step


def random_batch(count: int, size: int) -> Batch:
    """Noise, and joints anywhere: their values do not change the time."""
    rng = np.random.default_rng(0)
    generator = torch.Generator().manual_seed(0)
    samples = []
    for number in range(count):
        joints_mm = 800 * (torch.rand(18, 3, generator=generator) - 0.5) + torch.tensor([0.0, 0.0, 4000.0])
        samples.append(
            label_sample(
                rng.integers(0, 256, (size, size, 3), dtype=np.uint8),
                affine=torch.eye(3)[:2],
                meta=Meta("noise", sample_id=str(number)),
                joints_px=size * torch.rand(18, 2, generator=generator),
                joints_cam_mm=joints_mm,
            )
        )
    return collate(samples)


def fastest_ms(functions: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    times: dict[str, list[float]] = {name: [] for name in functions}
    for number in range(rounds + 2):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            if number > 1:  # the first two warm up
                times[name].append(1000 * (time.perf_counter() - start))
    return {name: min(values) for name, values in times.items()}


def measure(count: int, *, preset: str, source_size: int, bfloat16: bool, rounds: int) -> dict[str, float]:
    model = HEMletsNet.from_preset(preset).train()
    layout = torch.channels_last if bfloat16 else torch.contiguous_format
    model = model.to(memory_format=layout)
    config, optimiser = model.config, torch.optim.Adam(model.parameters(), lr=1e-3)
    batch, indices = random_batch(count, source_size), torch.arange(count)

    def move() -> Batch:
        return augment(
            batch,
            AugmentConfig(),
            skeleton=HEMLETS18,
            seed=0,
            epoch=0,
            indices=indices,
            size=config.image_size,
        )

    moved = move()
    images, targets = normalise(moved.images).to(memory_format=layout), make_targets(moved, config)

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            output = model(images)
        terms = hemlets_loss(output, targets, size=config.volume_size, grid=config.grid)
        optimiser.zero_grad()
        terms.total.backward()
        optimiser.step()

    times = fastest_ms(
        {
            "augment_ms": move,
            "normalise_ms": lambda: normalise(moved.images).to(memory_format=layout),
            "targets_ms": lambda: make_targets(moved, config),
            "network_ms": step,
        },
        rounds,
    )
    making = sum(times.values()) - times["network_ms"]
    return {name: round(value, 2) for name, value in times.items()} | {
        "share_percent": round(100 * making / sum(times.values()), 1),
        "images_per_s": round(1000 * count / sum(times.values()), 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--preset", default="nano")
    parser.add_argument("--source-size", type=int, default=128)
    parser.add_argument("--batches", type=int, nargs="+", default=[32, 64])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()

    threads = torch.get_num_threads()
    print(
        f"{arguments.preset}, {arguments.source_size} px samples, {threads} thread(s); milliseconds a batch"
    )
    print(f"{'batch':>5}  {'step in':9}  augment  normalise  targets  network  share  images/s")
    rows = []
    for bfloat16 in (False, True):
        for count in arguments.batches:
            row = measure(
                count,
                preset=arguments.preset,
                source_size=arguments.source_size,
                bfloat16=bfloat16,
                rounds=arguments.rounds,
            )
            precision = "bfloat16" if bfloat16 else "float32"
            rows.append({"batch": count, "precision": precision, "threads": threads, **row})
            print(
                f"{count:5}  {precision:9}  {row['augment_ms']:7.1f}  {row['normalise_ms']:9.1f}  "
                f"{row['targets_ms']:7.1f}  {row['network_ms']:7.1f}  {row['share_percent']:4.1f}%  "
                f"{row['images_per_s']:8.0f}"
            )
    worst = max(row["share_percent"] for row in rows)
    verdict = "within" if worst <= GOAL_PERCENT else "above"
    print(f"at most {worst} % of a step, {verdict} the goal of {GOAL_PERCENT} %")
    if arguments.json:
        config = {"preset": arguments.preset, "source_size": arguments.source_size}
        write_json(arguments.json, {"config": config, "rows": rows, **provenance(Path(__file__).parent)})


if __name__ == "__main__":
    main()
