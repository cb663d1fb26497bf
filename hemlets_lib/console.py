"""Printing for people: one console, elapsed times, and progress that suits both terminals and logs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.status import Status

__all__ = ["Ticker", "console", "error_console", "format_seconds", "progress_line"]

# soft_wrap keeps paths and log lines whole when the output is not a terminal.
console = Console(highlight=False, soft_wrap=True)
error_console = Console(stderr=True, highlight=False, soft_wrap=True)


def format_seconds(seconds: float) -> str:
    """A duration as people write it.

    Args:
        seconds: The duration.

    Returns:
        `"0.4 s"`, `"12 s"`, `"3 min 05 s"` or `"2 h 07 min"`.
    """
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


class Ticker:
    """A line that says what is going on and for how long; redrawn on a terminal, absent elsewhere.

    Args:
        label: What is being done.
    """

    def __init__(self, label: str) -> None:
        self.label = label
        self.detail = ""
        self.started = time.monotonic()

    def __rich__(self) -> str:
        elapsed = format_seconds(time.monotonic() - self.started)
        return f"{self.label}  [dim]{elapsed}  {self.detail}[/dim]"

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.started


@contextmanager
def progress_line(label: str) -> Iterator[Ticker]:
    """Show a live line with elapsed time while the block runs.

    Args:
        label: What is being done (rich markup allowed).

    Yields:
        The ticker; set its `detail` to say how far things are.
    """
    ticker = Ticker(label)
    if not console.is_terminal:
        yield ticker
        return
    with Status(ticker, console=console, spinner="dots"):
        yield ticker
