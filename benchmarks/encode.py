"""How much slower is making target maps than merely writing that much memory, and does the loss need them?

    python benchmarks/encode.py [--quick] [--json benchmarks/results/encode.json]

Three tables. `encode_triplets` alone, per thread count, against filling a fresh tensor of its output's
size, memory as the system hands it out. The whole of `make_targets`, of two networks' sizes, against
filling tensors of both outputs' sizes, with freed memory kept as in training (`heap.keep_freed_memory`):
drawn, described as training has them, and in the readable form. And a training step of the network,
forward, losses and backward, against drawn maps and against described ones (`kernels.map_loss`). With a GPU
the second and third table run there too, targets also compiled. Only the ratios carry over to other
machines.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from hemlets_lib import HEMLETS18, HEMletsNet, encode_triplets, hemlets_loss
from hemlets_lib.data import collate, normalise
from hemlets_lib.data.sample import Batch
from hemlets_lib.data.samples import load_samples
from hemlets_lib.heap import keep_freed_memory
from hemlets_lib.heatmaps import render_heatmaps
from hemlets_lib.model import PRESETS
from hemlets_lib.results import provenance, write_json
from hemlets_lib.targets import make_targets
from hemlets_lib.timing import Headline, medians_ms, ratio_of, times_ms

TARGETS = {"cpu": 3, "cuda": 2}  # times the time of writing
CALLS = {"official": 1, "nano": 20}  # of make_targets in a measurement, so that it lasts milliseconds
STEPS = {"cpu": (("nano", 32), ("paper", 2)), "cuda": (("nano", 32), ("paper", 64))}


def rows_of_encoding(batch: int, size: int, rounds: int) -> Iterator[dict[str, Any]]:
    """Triplets alone, on the CPU."""
    generator = torch.Generator().manual_seed(0)
    joints = torch.rand(batch, 18, 3, generator=generator) - 0.5
    states = torch.randint(-1, 2, (batch, 14), generator=generator)
    ways: dict[str, Callable[[], object]] = {
        "write": lambda: torch.full((batch, 14, 3, size, size), 0.5),
        "encode": lambda: encode_triplets(joints, states, skeleton=HEMLETS18, size=size),
    }
    several = torch.get_num_threads()
    for threads in sorted({1, several}):
        torch.set_num_threads(threads)
        times = times_ms(ways, rounds=rounds)
        found = medians_ms(times)
        yield {
            "threads": threads, "write_ms": found["write"], "encode_ms": found["encode"],
            "ratio": ratio_of(times, "encode", "write"),
        }  # fmt: skip
    torch.set_num_threads(several)


def batch_of(count: int, size: int, device: str) -> Batch:
    """The shipped samples, over and over."""
    samples = load_samples(size=size)
    return collate([samples[i % len(samples)] for i in range(count)]).to(device)


def rows_of_targets(device: str, rounds: int) -> Iterator[dict[str, Any]]:
    """All of a batch's maps, of the paper's size and of a small one."""
    for preset, count in (("official", 64), ("nano", 32)):
        config, calls = PRESETS[preset], CALLS[preset]
        batch, n = batch_of(count, 64, device), PRESETS[preset].heatmap_size
        common = {"size": n, "sigma": config.sigma, "grid": config.grid}

        def write(shapes: tuple[tuple[int, ...], ...]) -> None:
            for shape in shapes:
                torch.full(shape, 0.5, device=device)

        def readable(batch: Batch, common: dict[str, Any]) -> None:
            encode_triplets(
                batch.joints_crop,
                batch.part_states,
                skeleton=HEMLETS18,
                joint_valid=batch.joint_valid,
                **common,
            )
            render_heatmaps(batch.joints_crop, valid=batch.joint_valid, **common)

        shapes = ((count, 14, 3, n, n), (count, 18, n, n))
        once: dict[str, Callable[[], object]] = {
            "write": lambda shapes=shapes: write(shapes),
            "targets": lambda batch=batch, config=config: make_targets(batch, config),
            "described": lambda batch=batch, config=config: make_targets(batch, config, draw=False),
            "readable": lambda batch=batch, common=common: readable(batch, common),
        }
        if device == "cuda":
            # A function that is compiled leaves Python's caches aside, and says so.
            warnings.filterwarnings("ignore", message="Dynamo detected a call to a `functools.lru_cache`")
            compiled = torch.compile(lambda batch, config=config: make_targets(batch, config))
            once["compiled"] = lambda batch=batch, compiled=compiled: compiled(batch)

        def several_times(way: Callable[[], object], calls: int) -> None:
            for _ in range(calls):
                way()

        ways = {name: (lambda way=way, calls=calls: several_times(way, calls)) for name, way in once.items()}
        times = times_ms(ways, rounds=rounds, warm_up=2, device=device)
        found = medians_ms(times)
        for name in list(once)[1:]:
            yield {
                "device": name_of(device), "network": preset, "batch": count, "cells": n, "way": name,
                "write_ms": found["write"] / calls, "ms": found[name] / calls,
                "ratio": ratio_of(times, name, "write"),
            }  # fmt: skip


def rows_of_steps(device: str, rounds: int, networks: int) -> Iterator[dict[str, Any]]:
    """Forward, losses and backward in bfloat16, channels last, of the first few networks."""
    for preset, count in STEPS[device][:networks]:
        config = PRESETS[preset]
        batch = batch_of(count, config.image_size, device)
        images = normalise(batch.images).contiguous(memory_format=torch.channels_last)
        model = HEMletsNet(config).to(device, memory_format=torch.channels_last).train()

        def step(draw: bool, batch=batch, config=config, images=images, model=model) -> None:
            targets = make_targets(batch, config, draw=draw)
            with torch.autocast(device, torch.bfloat16):
                output = model(images)
            hemlets_loss(output, targets, size=config.volume_size, grid=config.grid).total.backward()
            model.zero_grad()

        ways = {"drawn": lambda step=step: step(True), "described": lambda step=step: step(False)}
        times = times_ms(ways, rounds=rounds * (3 if preset == "nano" else 1), warm_up=2, device=device)
        found = medians_ms(times)
        yield {
            "device": name_of(device), "network": preset, "batch": count, "drawn_ms": found["drawn"],
            "described_ms": found["described"], "ratio": ratio_of(times, "drawn", "described"),
        }  # fmt: skip


def name_of(device: str) -> str:
    return torch.cuda.get_device_name() if device == "cuda" else device


def headlines(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each size's targets, drawn and described; the drawn compiled on a GPU."""
    lines = []
    for row in rows:
        on_cpu = row["device"] == "cpu"
        if row["way"] not in ("targets" if on_cpu else "compiled", "described"):
            continue
        how = "described, as training has it" if row["way"] == "described" else "drawn"
        line = Headline(
            what=f"target making, {row['cells']} cells, batch {row['batch']}, {how}",
            against="writing its maps",
            device=row["device"], measured=row["ratio"], target=TARGETS["cpu" if on_cpu else "cuda"],
            at_least=False,
        )  # fmt: skip
        bound = (
            f"writing takes {1000 * row['write_ms']:.0f} µs; of the targets' "
            f"{1000 * row['ms']:.0f} µs most are calls of operations on small tensors, masks and profiles, "
            "whatever the maps' size"
        )
        lines.append(replace(line, bound="" if line.met else bound).to_dict())
    return lines


def show(title: str, rows: list[dict[str, Any]]) -> None:
    """The rows as a table, its headings their names."""
    table = Table(*(name.replace("_", " ") for name in rows[0]), title=title, box=None, title_justify="left")
    for row in rows:
        table.add_row(*(f"{value:.3g}" if isinstance(value, float) else str(value) for value in row.values()))
    Console().print(table)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batch", type=int, default=64, help="of the first table")
    parser.add_argument("--size", type=int, default=64, help="of the first table, in cells")
    parser.add_argument("--rounds", type=int, default=31)
    parser.add_argument("--quick", action="store_true", help="a few rounds; no step of the paper's network")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()

    rounds, networks = (7, 1) if arguments.quick else (arguments.rounds, 2)
    encoded = list(rows_of_encoding(arguments.batch, arguments.size, rounds))
    show("Triplets against writing", encoded)
    keep_freed_memory()
    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    targets = [row for device in devices for row in rows_of_targets(device, rounds)]
    show("Targets against writing", targets)
    steps = [row for device in devices for row in rows_of_steps(device, max(3, rounds // 4), networks)]
    show("A step with drawn and with described maps", steps)
    if arguments.json:
        config = {"batch": arguments.batch, "parts": 14, "size": arguments.size}
        write_json(
            arguments.json,
            {
                "config": config | {"threads": torch.get_num_threads()},
                "rows": encoded,
                "targets": targets,
                "steps": steps,
                "headlines": headlines(targets),
                **provenance(Path(__file__).parent),
            },
        )


if __name__ == "__main__":
    main()
