"""The manifest of a folder of shards: what is in it, what made it, and whether it is whole.

`manifest.json` holds the configuration (its `identity`), versions, and each shard's name, rows, bytes and
SHA-256, with the samples that could not be read and why. It is replaced as a whole, so a killed build leaves
the previous one, never half of one.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from hemlets_lib.results import differences, only_process, package_versions, write_json

__all__ = [
    "LOCK_NAME",
    "MANIFEST_NAME",
    "check_identity",
    "locked",
    "read_manifest",
    "sha256",
    "span_length",
    "write_manifest",
]

MANIFEST_NAME = "manifest.json"
_FORMAT = "hemlets-shards"
_FORMAT_VERSION = 1
LOCK_NAME = ".building.lock"
_PACKAGES = ("hemlets", "numpy", "numba", "pillow", "torch", "datasets")
_SHARD_NAME = re.compile(r"shard-[0-9]+\.arrow")  # so never a path out of the folder
_LINE_TYPES = {"name": str, "rows": int, "bytes": int, "sha256": str}
_KEYS = {"format", "format_version", "complete", "identity", "num_rows", "shards"}


def sha256(path: Path) -> str:
    """The hash of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def span_length(line: Mapping[str, Any]) -> int:
    """How many of the source's samples a shard stands for: its rows, and those that could not be read."""
    return line["rows"] + len(line.get("skipped", ()))


def write_manifest(
    root: Path,
    *,
    identity: Mapping[str, Any],
    num_rows: int,
    shards: Sequence[Mapping[str, Any]],
    complete: bool,
) -> dict[str, Any]:
    """Puts a manifest in place of the previous one.

    Args:
        root: The folder.
        identity: All that determines the samples; JSON.
        num_rows: How many samples the build is for, those that cannot be read among them.
        shards: Name, rows, bytes and sha256 of each finished shard, and `skipped` where there are any.
        complete: Whether these are all.

    Returns:
        What was written.
    """
    packages = {name: found for name, found in package_versions(_PACKAGES).items() if found}
    manifest = {
        "format": _FORMAT,
        "format_version": _FORMAT_VERSION,
        "complete": complete,
        "num_rows": num_rows,
        "identity": identity,
        "versions": {"python": platform.python_version(), **packages},
        "shards": list(shards),
    }
    path = root / MANIFEST_NAME
    write_json(path, manifest)
    with path.open("rb+") as file:
        os.fsync(file.fileno())  # without its manifest, hours of finished shards would not be trusted
    return manifest


def read_manifest(root: str | Path) -> dict[str, Any]:
    """The manifest of a folder of shards.

    Returns:
        What `write_manifest` wrote.

    Raises:
        FileNotFoundError: If the folder or its manifest is missing.
        ValueError: If the manifest is damaged or of another format; the message names the file.
    """
    path = Path(root) / MANIFEST_NAME
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: expected a folder of shards with a manifest, found none. "
            "`hemlets data build` draws one, `hemlets data prepare` makes one of a downloaded data set."
        )
    remedy = "Delete the folder and build it again; without its manifest shards cannot be trusted."
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: expected JSON, got a damaged file ({error}). {remedy}") from error
    if not isinstance(manifest, dict) or not manifest.keys() >= _KEYS or manifest["format"] != _FORMAT:
        raise ValueError(
            f"{path}: expected a manifest with {', '.join(sorted(_KEYS))}, got another file. {remedy}"
        )
    if manifest["format_version"] != _FORMAT_VERSION:
        raise ValueError(
            f"{path}: expected format version {_FORMAT_VERSION}, got {manifest['format_version']}. "
            "Build the shards again with this version of hemlets."
        )
    if problem := _problem(manifest):
        raise ValueError(f"{path}: {problem}. {remedy}")
    return manifest


def _problem(manifest: Mapping[str, Any]) -> str:
    """What is wrong with a manifest's values, as 'expected …, got …'; nothing where all is well."""
    identity, shards, num_rows = (manifest[key] for key in ("identity", "shards", "num_rows"))
    if not isinstance(identity, dict) or not isinstance(identity.get("source"), dict):
        return "expected `identity` to be an object with an object `source`, got others"
    if not isinstance(shards, list):
        return f"expected `shards` to be a list, got {shards!r}"
    for number, line in enumerate(shards):
        if not isinstance(line, dict) or any(
            type(line.get(k)) is not kind for k, kind in _LINE_TYPES.items()
        ):
            got = {k: line.get(k) for k in _LINE_TYPES} if isinstance(line, dict) else line
            return f"expected `name`, `rows`, `bytes` and `sha256` of shard {number}, got {got}"
        if not _SHARD_NAME.fullmatch(line["name"]):
            return f"expected shard names such as shard-{number:05d}.arrow, got {line['name']!r}"
        skipped = line.get("skipped", [])
        if not isinstance(skipped, list) or not all(isinstance(reason, str) for reason in skipped):
            return f"expected `skipped` of shard {number} to be a list of texts, got {skipped!r}"
    if len({line["name"] for line in shards}) < len(shards):
        return "expected every shard once, got one twice"
    rows = sum(span_length(line) for line in shards)
    if type(num_rows) is not int or num_rows < 1:
        return f"expected `num_rows` to be 1 or more, got {num_rows!r}"
    if manifest["complete"] and rows != num_rows:
        return f"expected {num_rows} samples in a complete set, got shards of {rows}"
    return ""


def check_identity(
    root: Path, manifest: Mapping[str, Any], identity: Mapping[str, Any], num_rows: int
) -> None:
    """Compares what a folder holds with what is to be built there.

    Args:
        root: The folder, for the message.
        manifest: What it holds.
        identity: All that determines the samples asked for.
        num_rows: How many are asked for.

    Raises:
        ValueError: If they differ, listing how; or if the folder was begun for more samples.
    """
    if differing := differences(manifest["identity"], identity):
        raise ValueError(
            f"{root} holds shards of another configuration ({'; '.join(differing)}). "
            "Choose another folder, or delete this one first."
        )
    if manifest["num_rows"] > num_rows:
        raise ValueError(
            f"{root} was begun for {manifest['num_rows']} samples, asked for {num_rows}. A folder can be "
            "extended but not shortened: choose another folder, or read only the first samples."
        )


def locked(root: Path) -> AbstractContextManager[None]:
    """One build at a time in a folder.

    Raises:
        ValueError: If another build holds it.
    """
    busy = f"{root}: another build is writing here. Wait for it, or choose another folder."
    return only_process(root / LOCK_NAME, otherwise=ValueError(busy))
