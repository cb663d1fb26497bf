"""The `hemlets` command. Heavy imports wait inside the commands, so that `--help` answers at once."""

from __future__ import annotations

import io
import os
import signal
import sys
from typing import NoReturn

from hemlets_lib.cli import bench, downloads, evaluation, memory, prediction, suite, training, weights
from hemlets_lib.cli.experiments import experiments
from hemlets_lib.cli.explorers import explorers
from hemlets_lib.cli.options import Profile, app
from hemlets_lib.cli.shards import data

__all__ = [
    "Profile",
    "app",
    "bench",
    "data",
    "downloads",
    "evaluation",
    "experiments",
    "explorers",
    "main",
    "memory",
    "prediction",
    "suite",
    "training",
    "weights",
]

app.add_typer(data, name="data")
app.add_typer(experiments, name="experiments")
app.add_typer(explorers, name="explorers")


def _stop(signum: int, frame: object) -> NoReturn:
    raise KeyboardInterrupt


def main() -> None:
    """Entry point. Failures become one line: exit 2 for bad usage, 1 for the rest.

    `HEMLETS_DEBUG=1` in the environment shows tracebacks.
    """
    signal.signal(signal.SIGTERM, _stop)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a stream that cannot write '·' writes '?'
            stream.reconfigure(errors="replace")
    try:
        app()
    except Exception as error:
        if os.environ.get("HEMLETS_DEBUG") == "1":
            raise
        message = str(error).strip() or "no message"
        if _is_usage(error):
            _fail(message, 2)
        if not isinstance(error, ValueError | OSError | RuntimeError):  # not meant for the reader: a bug
            message = f"{type(error).__name__}: {message} (HEMLETS_DEBUG=1 shows where)"
        _fail(message, 1)


def _is_usage(error: Exception) -> bool:
    """Whether the error is about the command line, told without importing the runner for other commands."""
    module = sys.modules.get("hemlets_lib.notebooks")
    return module is not None and isinstance(error, module.NotebookUsageError)


def _fail(message: str, status: int) -> NoReturn:
    from hemlets_lib.console import error_console

    error_console.print("[red]error:[/red] ", end="")
    error_console.print(message, markup=False)
    raise SystemExit(status)
