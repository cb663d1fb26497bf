"""What batches, resolution, joints, workers and processes cost, and whether the memory formula holds.

    python benchmarks/scale.py [--quick] [--json benchmarks/results/scale.json]

Cost: forward passes and training steps of `nano` and of networks like it, each row's shapes timed in turns.
Memory: peaks of processes of their own against `hemlets_lib.memory`, within 10 %. On a CPU the C library is
told to hand back every freed block ("handed back"), so that what is resident is what tensors hold; rows
"kept" are measured as `train` runs, which keeps freed memory for speed, and pays in gaps between blocks.
Workers: pictures drawn by threads, and samples read from shards by loader processes, a second.
Processes: the library's training of `nano`, the same batch for each process, one thread each; with more
processes than cores they share these, and no more than cores/processes is to be had.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from prepare import time_loading
from render import person_picture, rate
from rich.console import Console
from rich.table import Table
from scale_processes import forward_of, recipe_for, step_of

from hemlets_lib.data.samples import find_samples
from hemlets_lib.memory import inference_memory, training_memory
from hemlets_lib.model import PRESETS, ModelConfig
from hemlets_lib.results import provenance, write_json
from hemlets_lib.skeleton import HEMLETS18, Skeleton
from hemlets_lib.timing import Headline, medians_ms, times_ms

HERE = Path(__file__).parent
WITHIN_PERCENT = 10  # the formula, of what is measured
LINEAR = 1.8  # of two workers, as many times as fast as one: nine tenths of linear
CELLS_PX = 4  # pixels for each cell of the maps, in all of `resolution`
HANDED_BACK = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
# (preset, batch size, precision, use, freed memory)
PEAKS = (
    ("nano", 32, "float32", "training", "handed back"),
    ("nano", 32, "bfloat16", "training", "handed back"),
    ("small", 4, "float32", "training", "handed back"),
    ("small", 16, "float32", "training", "handed back"),
    ("small", 16, "bfloat16", "training", "handed back"),
    ("baseline", 2, "float32", "training", "handed back"),
    ("official", 2, "float32", "training", "handed back"),
    ("official", 2, "bfloat16", "training", "handed back"),
    ("official", 4, "float32", "inference", "handed back"),
    ("nano", 32, "float32", "training", "kept"),
    ("small", 16, "float32", "training", "kept"),
    ("official", 2, "float32", "training", "kept"),
)
FULL_TO = 10**9  # bytes; one more row trains `nano` with the largest batch for it


def chain(joints: int) -> Skeleton:
    """That many joints in a row, each pair of neighbours a part."""
    names = tuple(f"joint {number}" for number in range(joints))
    pairs = tuple(itertools.pairwise(names))
    return Skeleton(f"chain{joints}", names, {child: parent for parent, child in pairs}, pairs)


def shapes(quick: bool) -> Iterator[tuple[str, list[tuple[int, ModelConfig, int]]]]:
    """What changes, and for each of its values the network and the batch size."""
    nano = PRESETS["nano"]
    yield "batch size", [(count, nano, count) for count in ((1, 4, 16) if quick else (1, 2, 4, 8, 16, 32))]
    sides = (64, 128, 256) if quick else (64, 96, 128, 192, 256)
    yield (
        "resolution",
        [
            (
                side,
                dataclasses.replace(
                    nano, image_size=side, heatmap_size=side // CELLS_PX, depth_size=side // CELLS_PX
                ),
                2,
            )
            for side in sides
        ],
    )
    yield (
        "joints",
        [
            (joints, dataclasses.replace(nano, skeleton=HEMLETS18 if joints == 18 else chain(joints)), 8)
            for joints in ((9, 18, 36) if quick else (9, 18, 36, 72))
        ],
    )
    yield (
        "depth",
        [
            (depth, dataclasses.replace(nano, depth_size=depth), 8)
            for depth in ((12, 24, 48) if quick else (12, 24, 48, 96))
        ],
    )


def cost_rows(quick: bool) -> list[dict[str, Any]]:
    """A row for each shape: ms of a forward pass and of a training step."""
    accelerator, rows = Accelerator(), []
    for axis, variants in shapes(quick):
        ways: dict[str, Any] = {}
        for value, config, count in variants:
            ways[f"forward {value}"] = forward_of(config, count, "float32", accelerator.device)
            ways[f"step {value}"] = step_of(recipe_for(config, count), accelerator)
        times = times_ms(ways, rounds=3 if quick else 5, device=accelerator.device.type)
        ms = medians_ms(times)
        for value, config, count in variants:
            rows.append(
                {
                    "axis": axis, "value": value, "batch_size": count, "image_size": config.image_size,
                    "joints": config.skeleton.num_joints, "volume": config.volume_size,
                    "forward_ms": round(ms[f"forward {value}"], 3), "step_ms": round(ms[f"step {value}"], 3),
                }
            )  # fmt: skip
    return rows


def in_a_process(script: list[str], what: str, options: dict[str, Any], **variables: str) -> dict[str, Any]:
    """What a script of this folder prints as JSON, in its last line."""
    command = [sys.executable, *script, str(HERE / "scale_processes.py"), what, json.dumps(options)]
    done = subprocess.run(
        command, env={**os.environ, **variables}, check=True, text=True, stdout=subprocess.PIPE
    )
    return json.loads(done.stdout.splitlines()[-1])


def memory_rows(quick: bool) -> list[dict[str, Any]]:
    """Predicted and measured peaks, bytes; none where neither Linux nor a GPU tells them."""
    if not torch.cuda.is_available() and platform.system() != "Linux":
        return []
    full = training_memory(PRESETS["nano"]).largest_batch(FULL_TO)
    peaks = (*PEAKS, ("nano", full, "float32", "training", "handed back"))
    rows = []
    for preset, count, precision, use, freed in peaks[:1] + peaks[3:4] + peaks[-1:] if quick else peaks:
        formula = {"training": training_memory, "inference": inference_memory}[use]
        predicted = formula(PRESETS[preset], precision=precision).peak(count)
        options = {"preset": preset, "batch_size": count, "precision": precision, "use": use}
        found = in_a_process(
            [], "memory", options | {"kept": freed == "kept"}, **({} if freed == "kept" else HANDED_BACK)
        )
        measured = found["measured_bytes"]
        rows.append(
            {
                **options, "freed_memory": freed, "device": found["device"], "predicted_bytes": predicted,
                "measured_bytes": measured, "off_percent": round(100 * (predicted / measured - 1), 2),
            }
        )  # fmt: skip
    return rows


def worker_rows(quick: bool) -> list[dict[str, Any]]:
    """Images a second by workers: threads that draw, processes that read shards."""
    torch.set_num_threads(1)  # the workers are the parallelism
    rows = []
    for number in (1, 2):
        speed = rate(person_picture(128), seconds=1 if quick else 4, threads=number)
        rows.append({"what": "drawing, 128 px", "workers": number, "images_per_s": round(speed, 1)})
    folder, images = find_samples(), 2048 if quick else 8192
    for number in (1, 2, 4):
        read = time_loading(folder, images=images, batch_size=32, workers=number)
        rows.append(
            {"what": "reading shards, 256 px", "workers": number, "images_per_s": read["images_per_s"]}
        )
    return rows


def process_rows(quick: bool) -> list[dict[str, Any]]:
    """Steps of the library's training by 1, 2 and 4 processes."""
    options, rows = {"batch_size": 16, "steps": 12 if quick else 40}, []
    for number in (1, 2) if quick else (1, 2, 4):
        launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(number)]
        found = in_a_process(launcher, "training", options, OMP_NUM_THREADS="1")
        found |= {"batch_per_process": options["batch_size"]}
        found["images_per_s"] = round(number * options["batch_size"] / found["step_s"], 1)
        if number > 1:  # of each process, what it sends and receives
            sent = 2 * (number - 1) / number * found["message_bytes"]
            found["all_reduce_bytes_per_s"] = round(sent / found["all_reduce_s"])
        rows.append(found)
    return rows


def headlines_of(result: dict[str, Any]) -> list[Headline]:
    """The lines that the targets' table asks for."""
    lines = []
    counted = [row for row in result["memory"] if row["freed_memory"] != "kept"]
    if counted:
        worst = max(counted, key=lambda row: abs(row["off_percent"]))
        lines.append(
            Headline(
                f"memory formula, the worst of {len(counted)}: {worst['preset']}, {worst['use']}, "
                f"batch {worst['batch_size']}, {worst['precision']}",
                "measured peak", worst["device"], abs(worst["off_percent"]), WITHIN_PERCENT, unit="%",
                at_least=False,
            )
        )  # fmt: skip
    for what in dict.fromkeys(row["what"] for row in result["workers"]):
        speed = {row["workers"]: row["images_per_s"] for row in result["workers"] if row["what"] == what}
        times = round(speed[2] / speed[1], 2)
        busy = f"{result['device']['cpu_cores']} cores for two workers and what takes their work over"
        bound = "" if times >= LINEAR else busy
        lines.append(Headline(f"{what}, two workers", "one", "cpu", times, LINEAR, bound=bound))
    return lines


def print_tables(console: Console, result: dict[str, Any]) -> None:
    """Everything, in words."""
    cost = Table("cost of", "value", "batch", "forward (ms)", "training step (ms)", box=None)
    for row in result["cost"]:
        cost.add_row(
            row["axis"], str(row["value"]), str(row["batch_size"]), f"{row['forward_ms']:.1f}",
            f"{row['step_ms']:.1f}",
        )  # fmt: skip
    memory = Table("memory", "batch", "use", "freed memory", "formula (MB)", "measured (MB)", "off", box=None)
    for row in result["memory"]:
        memory.add_row(
            row["preset"], str(row["batch_size"]), f"{row['use']}, {row['precision']}", row["freed_memory"],
            f"{row['predicted_bytes'] / 1e6:.0f}", f"{row['measured_bytes'] / 1e6:.0f}",
            f"{row['off_percent']:+.1f} %",
        )  # fmt: skip
    workers = Table("workers", "number", "images/s", box=None)
    for row in result["workers"]:
        workers.add_row(row["what"], str(row["workers"]), f"{row['images_per_s']:.0f}")
    processes = Table("processes", "step (ms)", "images/s", "all-reduce (GB/s)", box=None)
    for row in result["processes"]:
        rate_of = f"{row['all_reduce_bytes_per_s'] / 1e9:.2f}" if "all_reduce_bytes_per_s" in row else ""
        processes.add_row(
            str(row["processes"]), f"{1000 * row['step_s']:.0f}", f"{row['images_per_s']:.0f}", rate_of
        )
    for table in (cost, memory, workers, processes):
        console.print(table, "")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer shapes and rounds")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    busy = os.getloadavg()[0]  # of other work on the machine: nothing was started here yet
    result: dict[str, Any] = {
        "config": {"quick": arguments.quick, "preset": "nano", "load_average_before": round(busy, 2)},
        "cost": cost_rows(arguments.quick),
        "memory": memory_rows(arguments.quick),
        "workers": worker_rows(arguments.quick),
        "processes": process_rows(arguments.quick),
    }
    result["message_bytes"] = {
        name: training_memory(config, gradients_stay=True).parts["gradients"]
        for name, config in PRESETS.items()
    }
    result |= provenance(HERE)
    lines = headlines_of(result)
    result["headlines"] = [line.to_dict() for line in lines]
    console = Console(width=120)
    print_tables(console, result)
    for line in lines:
        console.print(
            f"{line.what}: {line.measured:g} {line.unit} of {line.against}; the goal is {line.target:g}"
        )
    console.print(f"load of the machine when this began: {busy:.1f}; timings suffer above 0.5")
    if arguments.json:
        write_json(arguments.json, result)


if __name__ == "__main__":
    main()
