"""What can this machine do at best: arithmetic and copying?

    python benchmarks/limits.py [--quick] [--json benchmarks/results/limits.json]

Matrix products of several sizes and a 3x3 convolution as the network has them, in float32 and bfloat16, and
copying an array that no cache holds; with one thread and with all, and on a GPU if there is one. The fastest
of many rounds counts, in which all of them take turns. What other benchmarks measure is held against these.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from hemlets_lib.limits import measure_limits, threads
from hemlets_lib.results import provenance, write_json

ROUNDS, QUICK_ROUNDS = 25, 4


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a few rounds")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()

    rounds = QUICK_ROUNDS if arguments.quick else ROUNDS
    found = []
    for count in sorted({1, torch.get_num_threads()}):
        with threads(count):
            found.append(measure_limits("cpu", rounds=rounds))
    if torch.cuda.is_available():
        found.append(measure_limits("cuda", rounds=rounds))
    rows = [row for _, measured in found for row in measured]
    table = Table("device", "threads", "what", "numbers", "rate", box=None)
    for row in rows:
        shown = f"{row['rate']:.0f} {row['unit']}"
        table.add_row(row["device"], str(row["threads"]), row["what"], row["dtype"], shown)
    Console(width=110).print(table)
    if arguments.json:
        content = {
            "config": {"rounds": rounds},
            "rows": rows,
            "limits": [limits.to_dict() for limits, _ in found],
            "headlines": [],
        }
        write_json(arguments.json, {**content, **provenance(Path(__file__).parent)})


if __name__ == "__main__":
    main()
