"""The scripts of `benchmarks/` that answer the table of speed, run one after the other, and their headlines.

Each has a process of its own and writes what it found as JSON; one that fails does not stop the others. The
result is one file with every headline and the limits of the machine, for notebook 12 and for comparing.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hemlets_lib.paper import paper_number
from hemlets_lib.results import provenance, read_json, write_json

__all__ = [
    "SCRIPTS",
    "Outcome",
    "bench_result",
    "benchmarks_folder",
    "found_words",
    "limits_words",
    "run_script",
    "run_scripts",
    "shown_figure",
    "write_results",
]

SCRIPTS = (
    "limits",
    "inference",
    "soft_argmax",
    "encode",
    "training_step",
    "metrics",
)  # in the order of the table
_PATIENCE_S = 900.0  # for one script
_LAST_LINES = 12  # of what a script that failed has said


@dataclass(frozen=True)
class Outcome:
    """What came of one script.

    Args:
        name: The script.
        seconds: How long it took.
        result: What it wrote; empty if it failed.
        problem: The last lines of what it said if it failed; else empty.
    """

    name: str
    seconds: float
    result: Mapping[str, Any] = field(default_factory=dict)
    problem: str = ""

    @property
    def headlines(self) -> list[dict[str, Any]]:
        """Its lines of the table, as `timing.Headline.to_dict` gives them."""
        return list(self.result.get("headlines", ()))


def benchmarks_folder() -> Path:
    """Where the scripts are, in the checkout that this library is installed from.

    Raises:
        FileNotFoundError: If the library was installed without its checkout.
    """
    folder = Path(__file__).resolve().parents[1] / "benchmarks"
    if not folder.is_dir():
        raise FileNotFoundError(
            f"expected the scripts of benchmarks/ at {folder}, found no such folder. They come with the "
            "checkout: clone the repository and install it from there, `pip install -e .`."
        )
    return folder


def run_script(path: Path, *, quick: bool = False, timeout_s: float = _PATIENCE_S) -> Outcome:
    """Runs one script to its end, in a process that ends with this one.

    Args:
        path: The script; it takes `--json PATH` and `--quick`.
        quick: Pass `--quick` on.
        timeout_s: After so long it has failed.

    Returns:
        What it wrote, or why it did not.
    """
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        result, said = Path(folder) / "result.json", Path(folder) / "said.txt"
        command = [sys.executable, str(path), "--json", str(result), *(["--quick"] if quick else [])]
        with said.open("w") as stream:
            process = subprocess.Popen(
                command, stdout=stream, stderr=subprocess.STDOUT, start_new_session=True
            )
            try:
                status = process.wait(timeout_s)
                why = "wrote no result" if status == 0 else f"exit status {status}"
            except subprocess.TimeoutExpired:
                status, why = 1, f"not done after {timeout_s:.0f} s"
            finally:  # also on Ctrl-C
                _end(process)
        seconds = time.monotonic() - started
        if status == 0 and result.is_file():
            try:
                return Outcome(path.stem, seconds, read_json(result))
            except ValueError as error:
                why = f"wrote a result that cannot be read: {error}"
        lines = said.read_text(errors="replace").strip().splitlines()[-_LAST_LINES:]
    return Outcome(path.stem, seconds, problem="\n".join([*lines, why]))


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends a script and what it has started: these would go on, and disturb the next one's measurement."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # the leader of its session
    else:
        process.kill()
    process.wait()


def run_scripts(
    folder: Path,
    *,
    only: Sequence[str] = (),
    quick: bool = False,
    told: Callable[[str, Outcome | None], None] = lambda name, outcome: None,
) -> list[Outcome]:
    """Runs the scripts in the order of the table.

    Args:
        folder: Where they are.
        only: Their names; all where empty.
        quick: A few rounds of each.
        told: Called with a name when it starts, and with its outcome when it has ended.

    Raises:
        ValueError: If a name is not one of `SCRIPTS`.
    """
    if unknown := [name for name in only if name not in SCRIPTS]:
        raise ValueError(f"bench: expected names among {', '.join(SCRIPTS)}; got {', '.join(unknown)}.")
    outcomes = []
    for name in SCRIPTS:
        if not only or name in only:
            told(name, None)
            outcomes.append(run_script(folder / f"{name}.py", quick=quick))
            told(name, outcomes[-1])
    return outcomes


def bench_result(outcomes: Sequence[Outcome], folder: Path, *, quick: bool) -> dict[str, Any]:
    """Everything in one object, ready for JSON.

    Args:
        outcomes: Of the scripts.
        folder: Of the scripts, for the commit that they are of.
        quick: Whether only a few rounds were run.

    Returns:
        `config`, `scripts` (seconds and problem of each), `headlines`, `limits` of the machine where they
        were measured, `paper`, which is quoted as context alone, and where and when.
    """
    found = [each.result for each in outcomes if each.name == "limits" and each.result]
    return {
        "config": {"quick": quick},
        "scripts": {each.name: {"seconds": each.seconds, "problem": each.problem} for each in outcomes},
        "headlines": [{"script": each.name, **line} for each in outcomes for line in each.headlines],
        "limits": found[0]["limits"] if found else [],
        "paper": {
            "full_ms": paper_number("runtime", "Full", "forward pass").value,
            "baseline_ms": paper_number("runtime", "Baseline", "forward pass").value,
            "device": "GTX 1080",
        },
        **provenance(folder),
    }


def write_results(path: Path, result: Mapping[str, Any], outcomes: Sequence[Outcome]) -> None:
    """Writes the whole to `path`, and beside it what each script found, `<name>.json`.

    Args:
        path: Of the whole; its folder is made if there is none.
        result: From `bench_result`.
        outcomes: Of the scripts; those that failed leave an older file as it is.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    for each in outcomes:
        if each.result:
            write_json(path.parent / f"{each.name}.json", each.result)
    write_json(path, result)


def shown_figure(value: float, unit: str) -> str:
    """A figure of a headline as people read it: `2.53 ×`, `112 ×`, `1.4 ms`.

    Args:
        value: The figure.
        unit: Its unit.
    """
    return f"{value:.0f} {unit}" if value >= 100 else f"{value:.3g} {unit}"


def found_words(result: Mapping[str, Any]) -> list[str]:
    """What a committed benchmark has found, a line for each of its headlines; of older ones, in their words.

    Args:
        result: A file of `benchmarks/results`.
    """
    if headlines := result.get("headlines"):
        return [
            f"{line['what']}, {line['device']}, against {line['against']}: "
            f"{shown_figure(line['measured'], line['unit'])}"
            for line in headlines
        ]
    words = [f"{what}: {speed:.0f} images/s" for what, speed in result.get("images_per_second", {}).items()]
    for each in result.get("prepare", ()):
        words.append(f"{each['mbit_per_s']:g} Mbit/s: {each['video_frames_per_s_wall']:.0f} video frames/s")
    for each in result.get("load", ()):
        words.append(f"loading, batch {each['batch_size']}: {each['images_per_s']:.0f} images/s")
    times: dict[str, list[float]] = {}
    for move in result.get("moves", {}).values():
        times.setdefault(move["form"], []).append(move["median_ms"])
    words += [f"{form}: {min(ms):.0f} to {max(ms):.0f} ms from key to figure" for form, ms in times.items()]
    words += [limits_words(limits) for limits in result.get("limits", ())]
    for row in result.get("rows", ()) if not words else ():
        if "images_per_s" in row and "precision" in row:
            freed = f", freed memory {row['freed_memory']}" if "freed_memory" in row else ""
            words.append(
                f"{_threads(row['threads'])}, {row['precision']}{freed}: {row['images_per_s']:.0f} images/s"
            )
        elif "preset" in row and "ms" in row:
            words.append(f"{row['preset']}, batch {row['batch']}, {row['device']}: {row['ms']:.0f} ms")
    return words or [f"{len(result.get('rows', ()))} rows"]


def limits_words(limits: Mapping[str, Any]) -> str:
    """A machine's limits in a line.

    Args:
        limits: As `limits.Limits.to_dict` gives them.
    """
    rates = ", ".join(f"{rate:.0f} GFLOP/s in {name}" for name, rate in limits["gflops"].items())
    where = f"cpu, {_threads(limits['threads'])}" if limits["device"] == "cpu" else limits["device"]
    return f"{where}: {rates}; copying {limits['copy_gb_per_s']:.0f} GB/s"


def _threads(count: int) -> str:
    return f"{count} thread{'s' * (count != 1)}"
