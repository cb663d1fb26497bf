"""How long an explorer takes from a key to the frame with its new figure and numbers, in a real browser.

    python -m pytest tests/browser
    python benchmarks/explorers.py --output benchmarks/results/explorers.json

The browser's tests measure each move that they make with the keyboard and leave `runs/browser/latency.json`;
this prints that as a table and keeps it. The figure is drawn without a GPU. `load` is the number of processes
that wanted a core meanwhile: where it exceeds the cores, times are those of a busy machine.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from hemlets_lib.results import read_json, write_json

MEASURED = Path(__file__).resolve().parents[1] / "runs" / "browser" / "latency.json"


def main() -> None:
    """Parses the command line, prints the table, and writes the result where asked to."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--measured", type=Path, default=MEASURED, help="what the browser's tests have left")
    parser.add_argument("--output", type=Path, help="also write the JSON here")
    arguments = parser.parse_args()
    if not arguments.measured.is_file():
        parser.error(
            f"expected measurements at {arguments.measured}, found none: run the browser's tests first"
        )
    measured = read_json(arguments.measured)
    moves: dict[str, dict[str, Any]] = measured.pop("moves")
    print(
        f"{'explorer':14} {'slider':24} {'form':14} {'moves':>5} {'median ms':>10} {'most ms':>9} {'load':>5}"
    )
    for move in moves.values():
        print(
            f"{move['explorer']:14} {move['label']:24} {move['form']:14} {move['moves']:5d} "
            f"{move['median_ms']:10.0f} {move['max_ms']:9.0f} {move['load']:5.1f}"
        )
    result = {"benchmark": "explorers", "moves": moves, **measured}
    print(json.dumps(result, ensure_ascii=False))
    if arguments.output:
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        write_json(arguments.output, result)


if __name__ == "__main__":
    main()
