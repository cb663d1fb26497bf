"""Makes the virtual environment `.venv` of this project, or brings it up to date.

Run by `make`, or by hand with any Python 3.11 or newer: `python tools/setup_env.py`. Needs nothing but
the standard library. What was installed is noted in `.venv/.hemlets-installed` only once everything
is in place, so an interrupted installation is simply continued by the next call.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOWEST_PYTHON = (3, 11)
GIGABYTES_NEEDED = 9  # the environment itself, and what pip unpacks on the way
HEARTBEAT_S = 20.0
LOG_TAIL = 25


def main() -> int:
    """Make or update the environment; returns the exit status."""
    if sys.version_info < LOWEST_PYTHON:
        print(
            f"Python 3.11 or newer is needed, this is {sys.version.split()[0]} ({sys.executable}). "
            "Install one, or name it: make demo PYTHON=/path/to/python3.11",
            file=sys.stderr,
        )
        return 1
    venv = ROOT / ".venv"
    stamp = venv / ".hemlets-installed"
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == fingerprint() and python_of(venv).exists():
        return 0
    started = time.monotonic()
    free = shutil.disk_usage(ROOT).free / 1e9
    print("Setting up .venv, once: about 3 minutes and 7 GB of disk, most of it PyTorch.", flush=True)
    if free < GIGABYTES_NEEDED and not (venv / "pyvenv.cfg").exists():
        print(f"  warning: only {free:.1f} GB are free here, {GIGABYTES_NEEDED} GB are advisable", flush=True)
    try:
        create(venv)
        install(venv)
    except (OSError, RuntimeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    stamp.write_text(fingerprint(), encoding="utf-8")
    print(f"[3/3] ready: {spent(started)}", flush=True)
    return 0


def fingerprint() -> str:
    """What the environment depends on: the dependencies and where the project lies."""
    digest = hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest()
    return f"{digest}\n{ROOT}\n"


def python_of(venv: Path) -> Path:
    """The environment's interpreter."""
    return venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def spent(since: float) -> str:
    """Elapsed time, in seconds or minutes."""
    seconds = round(time.monotonic() - since)
    return f"{seconds} s" if seconds < 60 else f"{seconds // 60} min {seconds % 60:02d} s"


def create(venv: Path) -> None:
    """Create the environment, unless a working one is there."""
    if python_of(venv).exists() and (venv / "pyvenv.cfg").exists():
        probe = subprocess.run([python_of(venv), "-m", "pip", "--version"], capture_output=True, check=False)
        if probe.returncode == 0:
            print("[1/3] .venv is there", flush=True)
            return
    started = time.monotonic()
    made = subprocess.run(
        [sys.executable, "-m", "venv", "--clear", str(venv)], capture_output=True, text=True, check=False
    )
    if made.returncode != 0:
        said = (made.stdout + made.stderr).strip()
        raise RuntimeError(
            f"could not create .venv:\n{said}\n(On Debian and Ubuntu: sudo apt-get install python3-venv)"
        )
    print(f"[1/3] created .venv with Python {sys.version.split()[0]}: {spent(started)}", flush=True)


def install(venv: Path) -> None:
    """Install the project with all extras, saying now and then how far it is."""
    started = time.monotonic()
    print("[2/3] installing the library and its dependencies", flush=True)
    command = [str(python_of(venv)), "-m", "pip", "install", "--progress-bar", "off", "--no-input"]
    command += ["--disable-pip-version-check", "-e", ".[all]"]
    log_path = venv / "install.log"
    lines: list[str] = []
    done = threading.Event()

    def heartbeat() -> None:  # pip itself is silent for minutes while it unpacks
        while not done.wait(HEARTBEAT_S):
            said = next((words for line in reversed(lines) if (words := summary(line))), "starting")
            print(f"      {spent(started):>12}  {said}", flush=True)

    threading.Thread(target=heartbeat, daemon=True).start()
    try:
        with (
            log_path.open("w", encoding="utf-8") as log,
            subprocess.Popen(
                command,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                encoding="utf-8",
                errors="replace",
            ) as pip,
        ):
            assert pip.stdout is not None
            for line in pip.stdout:
                log.write(line)
                lines.append(line.rstrip())
    finally:
        done.set()
    if pip.returncode != 0:
        tail = "\n".join(lines[-LOG_TAIL:])
        raise RuntimeError(f"pip failed (the whole log: {log_path}):\n{tail}\nThe next call tries again.")
    print(f"      installed: {spent(started)}", flush=True)


def summary(line: str) -> str | None:
    """One of pip's lines in few words, or None where it says nothing new."""
    words = line.split()
    if line.startswith("Installing collected packages"):
        return f"unpacking {len(words) - 3} packages"
    if words[:1] in (["Collecting"], ["Building"]) and len(words) > 1:
        return f"{words[0].lower()} {words[1]}"
    if words[:1] in (["Downloading"], ["Using"]) and len(words) > 1:
        return f"downloading {' '.join(words[1:]).rpartition('/')[2]}"
    return None


if __name__ == "__main__":
    raise SystemExit(main())
