"""Every check of the project, one after the other: `make test`.

A check that fails does not keep the next ones from running; the exit status tells. The browser's tests, which
mostly wait for pages, run beside the others; what they print comes after. The last lines are each check's
verdict, pytest's own summary, and 'N passed, N failed'.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COMPARED = "NBVAL_CHECK_OUTPUT"
LINTED = ["hemlets_lib", "tests", "tools", "benchmarks", "experiments", "book", "notebooks"]
NOTEBOOK_CELL_TIMEOUT_S = 600
PYTEST = ["pytest", "-q", "--tb=short"]
BROWSER_TESTS = "tests/browser"
PAUSE_S = 0.2  # between looks at what a check has printed


@dataclass(frozen=True)
class Check:
    """A command to run and what to call it; `beside` starts it together with the one before."""

    name: str
    arguments: list[str]
    beside: bool = False


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
    found.append(Check("pytest", [*PYTEST, f"--ignore={BROWSER_TESTS}"]))
    found.append(Check("pytest, browser", [*PYTEST, "-p", "no:cacheprovider", BROWSER_TESTS], beside=True))
    # Executing a notebook in which nothing is compared would repeat what the smoke run does.
    notebooks = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    compared = [
        path.relative_to(ROOT).as_posix()
        for path in notebooks
        if COMPARED in path.read_text(encoding="utf-8")
    ]
    if compared:
        nbval = [*PYTEST, "-p", "no:cacheprovider", "--nbval-lax", "--nbval-current-env"]
        nbval += [f"--nbval-cell-timeout={NOTEBOOK_CELL_TIMEOUT_S}", *compared]
        found.append(Check("nbval", nbval))
    if notebooks:
        found.append(Check("notebooks, smoke", ["hemlets_lib.cli", "notebooks", "--profile", "smoke"]))
    return found


class Running:
    """A check that has been started; what it prints goes to a file until `follow` passes it on."""

    def __init__(self, check: Check, printed: Path) -> None:
        self.check, self.printed, self.started = check, printed, time.time()
        with printed.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *check.arguments],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONUNBUFFERED": "1", "RUFF_OUTPUT_FORMAT": "concise"},
            )

    def follow(self) -> tuple[bool, float, str]:
        """Pass on what it prints until it ends; returns whether it passed, its seconds and its last line."""
        print(f"\n== {self.check.name} ==", flush=True)
        with self.printed.open(encoding="utf-8", errors="replace") as lines:
            ended = False
            while not ended:
                time.sleep(PAUSE_S)
                ended = self.process.poll() is not None  # asked before reading, so that nothing is missed
                sys.stdout.write(lines.read())
                sys.stdout.flush()
            seconds = os.fstat(lines.fileno()).st_mtime - self.started  # it may have ended long ago
        whole = self.printed.read_text(encoding="utf-8", errors="replace").strip()
        return self.process.returncode == 0, max(seconds, 0.0), whole.rpartition("\n")[2]


def run_all(listed: list[Check]) -> list[tuple[Check, bool, float, str]]:
    """Run them in their order, those `beside` another together with it; each with what `follow` returns."""
    outcomes: list[tuple[Check, bool, float, str]] = []
    with tempfile.TemporaryDirectory() as folder:
        running: list[Running] = []
        for number, check in enumerate(listed):
            running.append(Running(check, Path(folder) / f"{number}.txt"))
            if number + 1 == len(listed) or not listed[number + 1].beside:
                outcomes += [(each.check, *each.follow()) for each in running]
                running = []
    return outcomes


def main() -> int:
    """Run all checks; returns the exit status."""
    started = time.monotonic()
    outcomes = run_all(checks(lint_only="--lint" in sys.argv[1:]))
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
