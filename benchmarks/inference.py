"""How much faster than the plain form of the authors' network is the fused one?

    python benchmarks/inference.py [--quick] [--json benchmarks/results/inference.json]

The plain form is the preset `official` layer for layer: float32, eager, memory as it comes, batch
normalisations apart, the soft-argmax in its readable form. Against it, with the same weights: the plain
layers under autocast with channels last, which two lines of PyTorch give, and `model.fuse()` in both
precisions; on a GPU also compiled into a CUDA graph. One picture and eight. All take turns, round after
round; a ratio is the median over rounds. All use the same threads, and for all memory that is freed is kept.
The arithmetic is counted, and held against the device's measured peak.
"""

from __future__ import annotations

import argparse
import copy
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from hemlets_lib.heap import keep_freed_memory
from hemlets_lib.heatmaps import soft_argmax_3d
from hemlets_lib.limits import Limits, measure_limits
from hemlets_lib.model import HEMletsNet
from hemlets_lib.results import provenance, write_json
from hemlets_lib.timing import Headline, medians_ms, ratio_of, times_ms

BATCHES = (1, 8)
LARGE = max(BATCHES)
PLAIN, AUTOCAST, FUSED, FUSED_HALF = "plain", "plain, autocast, channels last", "fused", "fused, bfloat16"
GRAPH_HALF = "fused, bfloat16, CUDA graph"
TARGETS = {FUSED: 1.2, FUSED_HALF: 2.5}  # on a CPU
GPU_TARGET, GPU_LATENCY_MS = 4.0, 2.0
WARM_UP_ROUNDS = 2
SLOWEST = 8  # operations of a profile that are kept
Way = Callable[[Tensor], Tensor]


def plain_joints(model: HEMletsNet, images: Tensor) -> Tensor:
    """Fig. 3 with nothing done for speed."""
    features = model.backbone(images)
    maps = model.hemlets_branch(features)
    joined = torch.cat([model.feature_branch(features), model.encoder(maps)], dim=1)
    config = model.config
    volume = model.head(joined).unflatten(1, (config.skeleton.num_joints, config.depth_size))
    return soft_argmax_3d(volume, grid=config.grid)


def network() -> HEMletsNet:
    """`official` with weights of the size that trained ones have, so that joints differ from the middle."""
    torch.manual_seed(0)
    model = HEMletsNet.from_preset("official").eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
            nn.init.uniform_(module.running_var, 0.8, 1.25)
    nn.init.normal_(model.head[-1].weight, std=0.02)
    return model


def make_ways(model: HEMletsNet, device: str) -> dict[str, Way]:
    """Name → images to joints.

    Args:
        model: On the device.
        device: "cpu" or "cuda".
    """
    last = copy.deepcopy(model).to(memory_format=torch.channels_last)

    def autocast(images: Tensor) -> Tensor:
        with torch.autocast(device, torch.bfloat16):
            return plain_joints(last, images.to(memory_format=torch.channels_last))

    fused = {FUSED: model.fuse(), FUSED_HALF: model.fuse(precision="bfloat16")}
    if device == "cuda":
        fused[GRAPH_HALF] = model.fuse(precision="bfloat16", compiled=True)
    ways: dict[str, Way] = {PLAIN: lambda images: plain_joints(model, images), AUTOCAST: autocast}
    return ways | {name: lambda images, net=net: net(images).joints for name, net in fused.items()}


def gflop_of(way: Way, images: Tensor) -> float:
    """Billions of additions and multiplications, for one picture."""
    with FlopCounterMode(display=False) as counter:
        way(images[:1])
    return counter.get_total_flops() / 1e9


def slowest_operations(way: Way, images: Tensor) -> list[dict[str, Any]]:
    """Where the time goes: an operation's name and inputs, its calls and share of the whole."""
    on_gpu = images.is_cuda
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    with profile(activities=activities, record_shapes=True) as found:
        way(images)
    kind = "self_device_time_total" if on_gpu else "self_cpu_time_total"
    events = found.key_averages(group_by_input_shape=not on_gpu)
    whole = sum(getattr(each, kind) for each in events)
    events = sorted(events, key=lambda each: -getattr(each, kind))[:SLOWEST]
    return [
        {
            "operation": each.key, "calls": each.count, "share": round(getattr(each, kind) / whole, 4),
            "shapes": [list(shape) for shape in each.input_shapes[:2]] if each.input_shapes else [],
        }
        for each in events
    ]  # fmt: skip


@torch.inference_mode()
def measure(device: str, rounds: int) -> tuple[list[dict[str, Any]], list[Headline], dict[str, Any]]:
    """A row for each way and batch size, the device's lines of the table, and what explains them.

    Args:
        device: "cpu" or "cuda".
        rounds: In each of which every way has its turn.
    """
    model = network().to(device)
    limits, _ = measure_limits(device, rounds=rounds)
    ways = make_ways(model, device)
    zeros = torch.zeros(1, 3, 256, 256, device=device)
    gflops = {name: gflop_of(way, zeros) for name, way in ways.items() if name != GRAPH_HALF}
    gflops[GRAPH_HALF] = gflops[FUSED_HALF]  # a compiler hides its arithmetic
    rows: list[dict[str, Any]] = []
    for batch in BATCHES:
        images = torch.randn(batch, 3, 256, 256, device=device)
        expected = plain_joints(model, images)
        times = times_ms(
            {name: partial(way, images) for name, way in ways.items()},
            rounds=rounds, warm_up=WARM_UP_ROUNDS, device=device,
        )  # fmt: skip
        for name, ms in medians_ms(times).items():
            kind = "float32" if name in (PLAIN, FUSED) else "bfloat16"
            rows.append(
                {
                    "way": name, "batch": batch, "device": device, "precision": kind, "ms": ms,
                    "fastest_ms": min(times[name]), "ratio": ratio_of(times, PLAIN, name),
                    "gflop": gflops[name], "gflop_per_s": batch * gflops[name] / ms * 1000,
                    "of_peak": batch * gflops[name] / ms * 1000 / limits.gflops[kind],
                    "joints_off": float((ways[name](images) - expected).abs().max()),
                }
            )  # fmt: skip
    images = torch.randn(LARGE, 3, 256, 256, device=device)
    profiles = {name: slowest_operations(ways[name], images) for name in (PLAIN, FUSED, FUSED_HALF)}
    return rows, headlines_of(rows, limits), {"limits": limits.to_dict(), "profiles": profiles}


def headlines_of(rows: list[dict[str, Any]], limits: Limits) -> list[Headline]:
    """What the table of targets asks of a device."""

    def row_of(name: str, batch: int) -> dict[str, Any]:
        return next(row for row in rows if (row["way"], row["batch"]) == (name, batch))

    def bound(row: dict[str, Any]) -> str:
        plain, peak = row_of(PLAIN, row["batch"]), limits.gflops[row["precision"]]
        at_peak = plain["ms"] / (row["ms"] * row["of_peak"])
        return (
            f"{row['gflop']:.1f} of {plain['gflop']:.1f} GFLOP a picture are left, at {row['of_peak']:.0%} "
            f"of the peak of {peak:.0f} GFLOP/s; at the peak it would be {at_peak:.1f} times as fast "
            f"as plain, which runs at {plain['of_peak']:.0%} of its own"
        )

    if limits.device == "cpu":
        found = []
        for name, target in TARGETS.items():
            row = row_of(name, LARGE)
            found.append(
                Headline(
                    what=f"forward pass, official, batch {LARGE}, {row['precision']}",
                    against="plain, float32", device="cpu", measured=row["ratio"], target=target,
                    bound="" if row["ratio"] >= target else bound(row),
                )
            )  # fmt: skip
        return found
    device = torch.cuda.get_device_name()
    large, one = row_of(GRAPH_HALF, LARGE), row_of(GRAPH_HALF, 1)
    return [
        Headline(
            what=f"forward pass, official, batch {LARGE}, bfloat16", against="plain, float32", device=device,
            measured=large["ratio"], target=GPU_TARGET,
            bound="" if large["ratio"] >= GPU_TARGET else bound(large),
        ),
        Headline(
            what="forward pass, official, one picture, bfloat16", against="", device=device,
            measured=one["ms"], target=GPU_LATENCY_MS, unit="ms", at_least=False,
            bound="" if one["ms"] <= GPU_LATENCY_MS else bound(one),
        ),
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a few rounds")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()

    rounds = 3 if arguments.quick else 15
    keep_freed_memory()
    devices = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    load = os.getloadavg()[0]
    rows, headlines, explained = [], [], {}
    for device in devices:
        more, lines, explained[device] = measure(device, rounds)
        rows, headlines = rows + more, headlines + lines
    table = Table(
        "device", "batch", "way", "ms", "times plain", "GFLOP/s", "of peak", "joints differ by", box=None
    )
    for row in rows:
        table.add_row(
            row["device"], str(row["batch"]), row["way"], f"{row['ms']:.1f}", f"{row['ratio']:.2f}",
            f"{row['gflop_per_s']:.0f}", f"{row['of_peak']:.0%}", f"{row['joints_off']:.0e}",
        )  # fmt: skip
    Console(width=120).print(table)
    for line in headlines:
        print(f"{line.what}: {line.measured:.2f} {line.unit}, aimed at {line.target:g}. {line.bound}")
    if arguments.json:
        config = {"threads": torch.get_num_threads(), "rounds": rounds, "load_average": load}
        content = {"config": config, "rows": rows, "headlines": [line.to_dict() for line in headlines]}
        write_json(arguments.json, {**content, "explained": explained, **provenance(Path(__file__).parent)})


if __name__ == "__main__":
    main()
