"""How much faster, and in how much less memory, does the fused soft-argmax go forward and backward?

    python benchmarks/soft_argmax.py [--quick] [--json benchmarks/results/soft_argmax.json]

`kernels.soft_argmax_3d_fused` against its readable form, `heatmaps.soft_argmax_3d`, from logits to the
logits' gradient, for the volumes of the presets `official` (which `paper` has too) and `nano`, in float32
and bfloat16, by rows (contiguous) and by channels (as a channels-last network leaves them), on one thread
and on all. The two take turns. A GPU is measured too where there is one.

Traffic is what one pass forward and one backward must move: the logits twice, their gradient once. It is
held against the copy bandwidth measured in the same turns; on a CPU it includes that the system clears the
gradient's memory wherever that is new. Memory is the peak beyond the logits themselves, in a fresh process
for each form (on a GPU, of its allocator).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from hemlets_lib import ModelConfig
from hemlets_lib.heap import keep_freed_memory
from hemlets_lib.heatmaps import soft_argmax_3d
from hemlets_lib.kernels.soft_argmax import soft_argmax_3d_fused
from hemlets_lib.model_config import PRESETS
from hemlets_lib.results import provenance, write_json
from hemlets_lib.timing import Headline, medians_ms, ratio_of, times_ms

FORMS = {"plain": soft_argmax_3d, "fused": soft_argmax_3d_fused}
BATCHES = {"official": 8, "nano": 32}
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
LAYOUTS = ("rows", "channels")
TIME_TARGET = {"cpu": 2.5, "cuda": 5.0}
MEMORY_TARGET = 0.5
TRAFFIC_TARGET = 0.6  # of copy bandwidth, on a GPU


def logits(config: ModelConfig, batch: int, dtype: str, layout: str, device: str) -> Tensor:
    """(B, J, D, H, W), random, leaf of a gradient; made in place, so that nothing else is ever as large."""
    joints, (depth, height, width) = config.skeleton.num_joints, config.volume_size
    order = torch.channels_last if layout == "channels" else torch.contiguous_format
    shape = (batch, joints * depth, height, width)
    maps = torch.empty(shape, dtype=DTYPES[dtype], device=device, memory_format=order)
    maps.normal_(generator=torch.Generator(device).manual_seed(0))
    return maps.unflatten(1, (joints, depth)).requires_grad_()


def there_and_back(form: str, volume: Tensor) -> Callable[[], Tensor]:
    """A call that goes from logits to places and back to the logits' gradient."""
    pull = torch.ones(*volume.shape[:2], 3, device=volume.device)

    def run() -> Tensor:
        return torch.autograd.grad(FORMS[form](volume), volume, pull)[0]

    return run


def time_rows(
    device: str, rounds: int, *, presets: list[str], threads: list[int]
) -> Iterator[dict[str, Any]]:
    """A row for each volume, type, layout and number of threads.

    Args:
        device: "cpu" or "cuda".
        rounds: That count.
        presets: Whose volumes.
        threads: Numbers of threads; of no meaning on a GPU.
    """
    all_threads = torch.get_num_threads()
    for preset in presets:
        for dtype in DTYPES:
            for layout in LAYOUTS:
                volume = logits(PRESETS[preset], BATCHES[preset], dtype, layout, device)
                source, copy = volume.detach().flatten(), torch.empty(volume.numel(), dtype=volume.dtype)
                copy = copy.to(device)
                for count in threads:
                    torch.set_num_threads(count)
                    ways = {form: there_and_back(form, volume) for form in FORMS}
                    times = times_ms(
                        {**ways, "copy": lambda source=source, copy=copy: copy.copy_(source)},
                        rounds=rounds, warm_up=2, device=device,
                    )  # fmt: skip
                    ms = medians_ms(times)
                    size_gb = volume.numel() * volume.element_size() / 1e9
                    copied, moved = 2 * size_gb / ms["copy"] * 1e3, 3 * size_gb / ms["fused"] * 1e3
                    yield {
                        "device": device, "preset": preset, "batch": BATCHES[preset], "dtype": dtype,
                        "layout": layout, "threads": count, "plain_ms": ms["plain"], "fused_ms": ms["fused"],
                        "ratio": ratio_of(times, "plain", "fused"), "traffic_gb_per_s": moved,
                        "copy_gb_per_s": copied, "traffic_share": moved / copied,
                    }  # fmt: skip
    torch.set_num_threads(all_threads)


def resident_bytes(line: str) -> int:
    """What the system says of this process: "VmRSS", its memory now, or "VmHWM", at its highest."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(each.split()[1]) * 1024 for each in status.splitlines() if each.startswith(f"{line}:"))


def peak_bytes(form: str, dtype: str, layout: str, device: str) -> int:
    """Memory beyond the logits, at its highest, of one pass there and back; this process did nothing else."""
    small = logits(PRESETS["nano"], 1, dtype, layout, device)
    there_and_back(form, small)()  # loads what is loaded or compiled once
    volume = logits(PRESETS["official"], BATCHES["official"], dtype, layout, device)
    run = there_and_back(form, volume)
    if device == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        run()
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated() - before
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the highest so far is now
    before = resident_bytes("VmRSS")
    run()
    return resident_bytes("VmHWM") - before


def memory_rows(device: str, layouts: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """A row for each type and layout of the volumes of `official`; none where the system does not tell."""
    if device == "cpu" and not Path("/proc/self/clear_refs").exists():
        return
    for dtype in DTYPES:
        for layout in layouts:
            peaks = {}
            for form in FORMS:
                command = [sys.executable, __file__, "--peak", form, dtype, layout, device]
                done = subprocess.run(
                    command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True
                )
                peaks[f"{form}_peak_mb"] = json.loads(done.stdout) / 1e6
            ratio = peaks["fused_peak_mb"] / peaks["plain_peak_mb"]
            labels = {"device": device, "preset": "official", "batch": BATCHES["official"], "dtype": dtype}
            yield {**labels, "layout": layout, **peaks, "peak_ratio": ratio}


def headlines(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The lines for the table of targets: `official`, on all threads."""
    found = []
    all_threads = max(row["threads"] for row in rows if "threads" in row)
    for row in rows:
        if row["preset"] != "official" or row.get("threads", all_threads) != all_threads:
            continue
        name = "cpu" if row["device"] == "cpu" else torch.cuda.get_device_name()
        volumes = f"batch {row['batch']}, {row['dtype']}, by {row['layout']}"
        what = f"soft-argmax 3D, forward + backward, official, {volumes}"
        if "peak_ratio" in row:
            against = "peak memory of the plain form"
            line = Headline(what, against, name, row["peak_ratio"], MEMORY_TARGET, at_least=False)
            found.append(line.to_dict())
            continue
        bound = f"moves {row['traffic_share']:.0%} of what a copy does in the same time"
        target = TIME_TARGET[row["device"]]
        met = row["ratio"] >= target
        line = Headline(
            what, "time of the plain form", name, row["ratio"], target, bound="" if met else bound
        )
        found.append(line.to_dict())
        if row["device"] == "cuda":
            share, met = row["traffic_share"], row["traffic_share"] >= TRAFFIC_TARGET
            bound = "" if met else "starting kernels and sums within a tile"
            found.append(Headline(what, "copy bandwidth", name, share, TRAFFIC_TARGET, bound=bound).to_dict())
    return found


def show(rows: list[dict[str, Any]]) -> None:
    times = Table("forward + backward", "plain, ms", "fused, ms", "ratio", "GB/s", "copy, GB/s", box=None)
    memory = Table("peak beyond the logits", "plain, MB", "fused, MB", "ratio", box=None)
    for row in rows:
        name = f"{row['device']} {row['preset']} {row['dtype']} {row['layout']}"
        if "peak_ratio" in row:
            peaks = (f"{row[f'{form}_peak_mb']:.0f}" for form in FORMS)
            memory.add_row(name, *peaks, f"{row['peak_ratio']:.2f}")
            continue
        figures = [f"{row['plain_ms']:.2f}", f"{row['fused_ms']:.2f}", f"{row['ratio']:.1f}"]
        figures += [f"{row['traffic_gb_per_s']:.1f}", f"{row['copy_gb_per_s']:.1f}"]
        times.add_row(f"{name} ×{row['threads']}", *figures)
    for table in (times, memory):
        Console().print(table)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--quick", action="store_true", help="three rounds, `official` on all threads")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--peak", nargs=4, help=argparse.SUPPRESS)  # one measurement in a process of its own
    arguments = parser.parse_args()
    if arguments.peak:
        print(peak_bytes(*arguments.peak))
        return

    keep_freed_memory()
    quick, count = arguments.quick, torch.get_num_threads()
    rounds = 3 if quick else arguments.rounds
    presets = ["official"] if quick else list(BATCHES)
    rows = list(time_rows("cpu", rounds, presets=presets, threads=[count] if quick else sorted({1, count})))
    rows += memory_rows("cpu", ("channels",) if quick else LAYOUTS)
    if torch.cuda.is_available():
        rows += time_rows("cuda", 10 * rounds, presets=presets, threads=[count])
        rows += memory_rows("cuda", LAYOUTS)
    show(rows)
    if arguments.json:
        config = {"rounds": rounds, "batches": BATCHES, "threads": count}
        content = {"config": config, "rows": rows, "headlines": headlines(rows)}
        write_json(arguments.json, {**content, **provenance(Path(__file__).parent)})


if __name__ == "__main__":
    main()
