"""How much faster are the batched metrics than scoring pose by pose?

    python benchmarks/metrics.py [--poses 10000] [--json benchmarks/results/metrics.json]

Prints the time for all poses in one call, the time for a sample of them one call each (scaled up),
and their ratio. Only the ratio carries over to other machines.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import torch

from hemlets_lib.metrics import auc_3d, mpjpe, pa_mpjpe, pck_3d
from hemlets_lib.results import provenance, write_json

ONE_BY_ONE = 200  # poses scored singly


def best_seconds(function: Callable[[], object], repeats: int = 5) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--poses", type=int, default=10_000)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()

    generator = torch.Generator().manual_seed(0)
    target = 300 * torch.randn(arguments.poses, 18, 3, generator=generator)
    predicted = target + 50 * torch.randn(target.shape, generator=generator)
    rows = []
    for metric in (mpjpe, pa_mpjpe, pck_3d, auc_3d):

        def together(metric: Callable[..., object] = metric) -> None:
            metric(predicted=predicted, target=target)

        def singly(metric: Callable[..., object] = metric) -> None:
            for i in range(ONE_BY_ONE):
                metric(predicted=predicted[i : i + 1], target=target[i : i + 1])

        batched_s = best_seconds(together)
        single_s = best_seconds(singly, repeats=2) * arguments.poses / ONE_BY_ONE
        rows.append(
            {
                "metric": metric.__name__,
                "poses": arguments.poses,
                "batched_s": round(batched_s, 4),
                "one_by_one_s": round(single_s, 3),
                "ratio": round(single_s / batched_s, 1),
            }
        )
        times = f"{batched_s:8.3f} s  {single_s:8.2f} s one by one"
        print(f"{metric.__name__:10} {times}  {single_s / batched_s:6.1f} x")
    if arguments.json:
        write_json(arguments.json, {"rows": rows, **provenance(Path(__file__).parent)})


if __name__ == "__main__":
    main()
