"""What a run leaves behind as JSON: metrics a notebook records, and where numbers come from.

A notebook calls `record("encoding", {"max_error_px": 0.2})`. Under the runner the values land in that
notebook's entry of `runs/<id>/results.json`; in JupyterLab the call checks them and writes nothing. No
number is ever scraped from a notebook's printed output.
"""

from __future__ import annotations

import json
import math
import os
import platform
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Any

__all__ = [
    "EXPERIMENTS_VARIABLE",
    "RESULTS_VARIABLE",
    "committed_result",
    "device_summary",
    "differences",
    "git_state",
    "only_process",
    "package_versions",
    "provenance",
    "provenance_words",
    "read_json",
    "record",
    "write_json",
]

RESULTS_VARIABLE = "HEMLETS_RESULTS"
"""Environment variable: the JSON file that `record` adds to."""

EXPERIMENTS_VARIABLE = "HEMLETS_EXPERIMENTS"
"""Environment variable: a folder of results that are taken instead of the committed ones."""

_REPORTED_PACKAGES = (
    "hemlets",
    "torch",
    "torchvision",
    "numpy",
    "numba",
    "matplotlib",
    "plotly",
    "papermill",
)


def record(name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Keep numbers a notebook has computed, under a name.

    Recording the same name again replaces its values, so that re-running a cell is harmless.

    Args:
        name: What the numbers belong to, e.g. `"soft_argmax"`.
        values: Numbers, strings, booleans, lists or mappings of them; tensors and arrays are taken
            as (nested) lists.

    Returns:
        The values as plain Python objects, as they are written.

    Raises:
        ValueError: If a number is not finite, or a value has no JSON form.
    """
    plain = {str(key): _plain(value, f"{name}.{key}") for key, value in values.items()}
    if target := os.environ.get(RESULTS_VARIABLE):
        path = Path(target)
        recorded = read_json(path) if path.exists() else {}
        write_json(path, {**recorded, name: plain})
    return plain


def committed_result(name: str) -> dict[str, Any]:
    """What an experiment found, `experiments/results/<name>.json`, with its provenance.

    Looked for in the folder that the environment variable HEMLETS_EXPERIMENTS names, then in the checkout
    that this library is installed from.

    Args:
        name: The experiment.

    Returns:
        What the file holds.

    Raises:
        FileNotFoundError: If there is no such result; the message lists the places.
        ValueError: If the file is not a JSON object.
    """
    named = os.environ.get(EXPERIMENTS_VARIABLE)
    checkout = Path(__file__).resolve().parents[1] / "experiments" / "results"
    places = [folder / f"{name}.json" for folder in ([Path(named)] if named else []) + [checkout]]
    for path in places:
        if path.is_file():
            return read_json(path)
    raise FileNotFoundError(
        f"expected the result of experiment {name!r} at {' or '.join(map(str, places))}, found none. Results "
        "come with the checkout, and the scripts in its experiments/ make them."
    )


def _plain(value: Any, where: str) -> Any:
    if hasattr(value, "tolist"):  # tensors, arrays and their scalars
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): _plain(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, f"{where}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"`{where}` must be finite, got {value}. Record None where there is no value.")
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise ValueError(
        f"`{where}` must be a number, string, list, mapping, array or tensor, got {type(value).__name__}."
    )


def differences(there: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    """Where two configurations differ, one line for each entry, nested ones with dots in their names.

    Args:
        there: What a file holds.
        asked: What is wanted. In both, tuples count as the lists that JSON makes of them.
    """
    before, after = (_flat(json.loads(json.dumps(config))) for config in (there, asked))
    return [
        f"{key}: there {before.get(key)!r}, asked {after.get(key)!r}"
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key)
    ]


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if isinstance(value, Mapping):
        parts = [_flat(value[name], f"{prefix}{name}.") for name in value]
        return {key: item for part in parts for key, item in part.items()}
    return {prefix.rstrip("."): value}


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Args:
        path: The file.

    Returns:
        The object it holds.

    Raises:
        ValueError: If it is not a JSON object; the message names the file.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not valid JSON ({error}). Delete it to start afresh.") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} must hold a JSON object, got {type(content).__name__}.")
    return content


@contextmanager
def only_process(lock: Path, *, otherwise: Exception) -> Iterator[None]:
    """Holds a lock file; the operating system frees that of a killed process.

    Args:
        lock: The file; its folder must exist.
        otherwise: What to raise if another process holds it.
    """
    from filelock import FileLock, Timeout  # comes with torch and `datasets`

    held = FileLock(lock)
    try:
        held.acquire(timeout=0)
    except Timeout as error:
        raise otherwise from error
    try:
        yield
    finally:
        held.release()


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON object so that readers see the old file or the new one, never half of one.

    Args:
        path: The file; its folder must exist.
        content: What to write. Keys keep their order.
    """
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", text=True)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            json.dump(content, stream, indent=2, allow_nan=False)
            stream.write("\n")
            stream.flush()
            os.fsync(stream.fileno())  # else a power failure may leave the new name on an empty file
        os.chmod(temporary, 0o644)  # mkstemp's 0600 would hide results from colleagues
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def git_state(folder: Path) -> dict[str, Any]:
    """The commit that a folder is at.

    Args:
        folder: Any folder of a checkout.

    Returns:
        `commit` (None outside a checkout, or without git) and `dirty`, whether tracked files differ from it.
    """

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", *arguments], cwd=folder, capture_output=True, text=True, timeout=20, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    commit = git("rev-parse", "HEAD")
    changes = git("status", "--porcelain", "--untracked-files=no") if commit else None
    return {"commit": commit, "dirty": bool(changes) if changes is not None else None}


def package_versions(names: tuple[str, ...] = _REPORTED_PACKAGES) -> dict[str, str | None]:
    """Installed versions, without importing anything.

    Args:
        names: Distribution names.

    Returns:
        A version for each name, None where it is not installed.
    """
    versions: dict[str, str | None] = {}
    for name in names:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = None
    return versions


def device_summary() -> dict[str, Any]:
    """The hardware that torch would use here.

    Returns:
        `device` ("cuda", "mps" or "cpu"), its `name`, `cpu_cores`, and `memory_gib` (None if unknown).
    """
    import torch

    device, name = "cpu", platform.processor() or platform.machine()
    if torch.cuda.is_available():
        device, name = "cuda", torch.cuda.get_device_name()
    elif torch.backends.mps.is_available():
        device, name = "mps", "Apple GPU"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"device": device, "name": name, "cpu_cores": cores, "memory_gib": _memory_gib()}


def _memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        return None


def provenance(folder: Path) -> dict[str, Any]:
    """Everything needed to say where a number comes from: time, commit, versions, hardware.

    Args:
        folder: The checkout whose commit is meant.

    Returns:
        A JSON-ready mapping with `time`, `git`, `python`, `platform`, `packages` and `device`.
    """
    return {
        "time": datetime.now().astimezone().isoformat(timespec="seconds"),
        "git": git_state(folder),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": package_versions(),
        "device": device_summary(),
    }


def provenance_words(result: Mapping[str, Any]) -> str:
    """Where a committed result comes from, in a line: day, commit, machine, version of torch.

    Args:
        result: As a script wrote it, with its `provenance`; what it lacks is left out.
    """
    machine, packages = result.get("device") or {}, result.get("packages") or {}
    commit = (result.get("git") or {}).get("commit")
    words = [result.get("time", "")[:10], f"commit {commit[:10]}" if commit else "no commit"]
    if machine:
        words += [
            f"{machine.get('cpu_cores', '?')} cores {machine.get('name', '')}",
            machine.get("device", ""),
        ]
    if packages.get("torch"):
        words.append(f"torch {packages['torch']}")
    return ", ".join(word for word in words if word)
