"""Every check of the project, one after the other: `make test`.

A check that fails does not keep the next ones from running; the exit status tells. The last lines are
each check's verdict, pytest's own summary, and 'N passed, N failed'.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COMPARED = "NBVAL_CHECK_OUTPUT"
LINTED = ["hemlets_lib", "tests", "tools", "benchmarks", "experiments", "book", "notebooks"]
NOTEBOOK_CELL_TIMEOUT_S = 600


@dataclass(frozen=True)
class Check:
    """A command to run and what to call it."""

    name: str
    arguments: list[str]


def checks(*, lint_only: bool) -> list[Check]:
    """The checks, quick ones first."""
    folders = [name for name in LINTED if (ROOT / name).is_dir()]
    found = [
        Check("ruff check", ["ruff", "check", *folders]),
        Check("ruff format", ["ruff", "format", "--check", *folders]),
        Check("mypy", ["mypy"]),
    ]
    if lint_only:
        return found
    found.append(Check("pytest", ["pytest", "-q", "--tb=short"]))
    # Executing a notebook in which nothing is compared would repeat what the smoke run does.
    notebooks = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    compared = [
        path.relative_to(ROOT).as_posix()
        for path in notebooks
        if COMPARED in path.read_text(encoding="utf-8")
    ]
    if compared:
        nbval = ["pytest", "-q", "--tb=short", "-p", "no:cacheprovider", "--nbval-lax", "--nbval-current-env"]
        nbval += [f"--nbval-cell-timeout={NOTEBOOK_CELL_TIMEOUT_S}", *compared]
        found.append(Check("nbval", nbval))
    if notebooks:
        found.append(Check("notebooks, smoke", ["hemlets_lib.cli", "notebooks", "--profile", "smoke"]))
    return found


def run(check: Check) -> tuple[bool, float, str]:
    """Run a check, passing its output on; returns whether it passed, its seconds and its last line."""
    print(f"\n== {check.name} ==", flush=True)
    started = time.monotonic()
    last = ""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "RUFF_OUTPUT_FORMAT": "concise"}
    with subprocess.Popen(
        [sys.executable, "-m", *check.arguments],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        env=environment,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            sys.stdout.write(line)
            sys.stdout.flush()
            last = line.strip() or last
    return process.returncode == 0, time.monotonic() - started, last


def main() -> int:
    """Run all checks; returns the exit status."""
    started = time.monotonic()
    outcomes = [(check, *run(check)) for check in checks(lint_only="--lint" in sys.argv[1:])]
    print("\n== Summary ==")
    for check, passed, seconds, last in outcomes:
        said = f"  {last}" if "pytest" in check.arguments else ""
        print(f"{'passed' if passed else 'FAILED'}  {check.name:<18}{seconds:7.1f} s{said}")
    failed = sum(not passed for _, passed, _, _ in outcomes)
    print(f"{time.monotonic() - started:.0f} s in all")
    print(f"{len(outcomes) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
