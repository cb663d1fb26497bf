"""How much slower is encoding triplets than merely writing that much memory?

    python benchmarks/encode.py [--batch 64] [--size 64] [--json benchmarks/results/encode.json]

Prints, per thread count, the median time of `encode_triplets` and of filling a fresh tensor of the same
size, and their ratio. Only the ratio carries over to other machines.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import torch
from torch.utils.benchmark import Timer

from hemlets_lib import HEMLETS18, encode_triplets
from hemlets_lib.results import provenance, write_json


def median_ms(function: Callable[[], object], threads: int) -> float:
    timer = Timer("function()", globals={"function": function}, num_threads=threads)
    return timer.blocked_autorange(min_run_time=3.0).median * 1000


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()

    generator = torch.Generator().manual_seed(0)
    joints = torch.rand(arguments.batch, 18, 3, generator=generator) - 0.5
    states = torch.randint(-1, 2, (arguments.batch, 14), generator=generator)
    shape = (arguments.batch, 14, 3, arguments.size, arguments.size)
    rows = []
    for threads in sorted({1, torch.get_num_threads()}):
        write = median_ms(lambda: torch.full(shape, 0.5), threads)
        encode = median_ms(
            lambda: encode_triplets(joints, states, skeleton=HEMLETS18, size=arguments.size), threads
        )
        rows.append({"threads": threads, "write_ms": write, "encode_ms": encode, "ratio": encode / write})
        print(
            f"{threads} thread(s): write {write:.1f} ms, encode {encode:.1f} ms, ratio {encode / write:.2f}"
        )
    if arguments.json:
        config = {"batch": arguments.batch, "parts": 14, "size": arguments.size}
        write_json(arguments.json, {"config": config, "rows": rows, **provenance(Path(__file__).parent)})


if __name__ == "__main__":
    main()
