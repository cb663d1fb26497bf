"""How much longer does a forward pass take with the intermediate branch than without?

    python benchmarks/forward.py [--json benchmarks/results/forward.json]

The paper gives 13.3 ms for the full network and 8.5 ms for the baseline, one picture on a GTX 1080. Here
both, and the layout of the authors' release, at 256 px in float32, on this machine's CPU and its GPU if it
has one. The networks take turns, round after round; the median counts. On the CPU a pass has one thread, and
its processor time is taken, which leaves out what other programs take. Only the ratio carries over.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from hemlets_lib import HEMletsNet
from hemlets_lib.heap import keep_freed_memory
from hemlets_lib.paper import paper_number
from hemlets_lib.results import provenance, write_json

PRESETS = ("paper", "baseline", "official")
BATCHES = (1, 8)
WARM_UP_ROUNDS = 1  # not counted


def forward_ms(model: HEMletsNet, images: torch.Tensor) -> float:
    """One pass, milliseconds: processor time of the one thread, or until a GPU has finished."""
    clock = time.perf_counter if images.is_cuda else time.process_time
    started = clock()
    model(images)
    if images.is_cuda:
        torch.cuda.synchronize()
    return 1000 * (clock() - started)


@torch.inference_mode()
def measure(device: str, batches: tuple[int, ...], rounds: int) -> list[dict[str, Any]]:
    """A row for each preset and batch size.

    Args:
        device: "cpu" or "cuda".
        batches: Pictures at once.
        rounds: That count; in each, every preset has its turn.

    Returns:
        Preset, batch, device, median and fastest time in ms.
    """
    rows = []
    models = {name: HEMletsNet.from_preset(name).eval().to(device) for name in PRESETS}
    for batch in batches:
        times: dict[str, list[float]] = {name: [] for name in PRESETS}
        for _ in range(WARM_UP_ROUNDS + rounds):
            for name, model in models.items():
                size = model.config.image_size
                times[name].append(forward_ms(model, torch.zeros(batch, 3, size, size, device=device)))
        rows += [
            {
                "preset": name, "batch": batch, "device": device,
                "ms": statistics.median(found[WARM_UP_ROUNDS:]), "fastest_ms": min(found[WARM_UP_ROUNDS:]),
            }
            for name, found in times.items()
        ]  # fmt: skip
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()

    torch.set_num_threads(1)  # whose time `forward_ms` takes
    keep_freed_memory()
    devices = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    rows = [row for device in devices for row in measure(device, BATCHES, arguments.rounds)]
    paper = {row: paper_number("runtime", row, "forward pass").value for row in ("Full", "Baseline")}
    table = Table("device", "batch", *(f"{name}, ms" for name in PRESETS), "paper / baseline", box=None)
    for device in devices:
        for batch in BATCHES:
            found = {r["preset"]: r["ms"] for r in rows if (r["device"], r["batch"]) == (device, batch)}
            ratio = found["paper"] / found["baseline"]
            table.add_row(device, str(batch), *(f"{ms:.1f}" for ms in found.values()), f"{ratio:.2f}")
    Console().print(table)
    print(f"the paper, on a GTX 1080: {paper['Full']} / {paper['Baseline']} = "
          f"{paper['Full'] / paper['Baseline']:.2f}")  # fmt: skip
    if arguments.json:
        config = {
            "threads": 1, "clock": {"cpu": "processor time", "cuda": "wall time"},
            "rounds": arguments.rounds, "precision": "float32",
            "load_average": os.getloadavg()[0],
        }  # fmt: skip
        write_json(arguments.json, {"config": config, "rows": rows, **provenance(Path(__file__).parent)})


if __name__ == "__main__":
    main()
