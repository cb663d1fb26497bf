"""Digests of committed cells, so that a number which is altered by hand or by accident is noticed.

    seal(results_folder())            takes the digest of each committed cell that has none
    list(broken_seals(results_folder()))   what differs from its digest, or has none

Only a few cells are cheap enough to run again (`check`); figures and verdicts rest on the others.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from hemlets_lib.results import read_json, write_json

__all__ = ["broken_seals", "digest_of", "digests_path", "seal"]

_SEALED = ("scores", "probes", "curve")


def digests_path(folder: Path) -> Path:
    """Where the digests are committed.

    Args:
        folder: Of results.
    """
    return folder / "cells" / "digests.json"


def digest_of(result: Mapping[str, Any]) -> str:
    """A hash of all that a cell measured.

    Args:
        result: Of a cell.
    """
    measured = {name: result.get(name) for name in _SEALED}
    return hashlib.sha256(json.dumps(measured, sort_keys=True).encode()).hexdigest()


def seal(folder: Path, *, anew: Collection[Path] = ()) -> None:
    """Takes the digests of committed cells that have none; forgets those of cells that are gone.

    Args:
        folder: Of results.
        anew: Files of cells whose digests are taken again.
    """
    path = digests_path(folder)
    before = read_json(path) if path.is_file() else {}
    names = {_name(cell): cell for cell in _cells(folder)}
    now = {
        name: before[name] if name in before and cell not in anew else digest_of(read_json(cell))
        for name, cell in names.items()
    }
    if now != before:
        write_json(path, now)


def broken_seals(folder: Path, *, but: Collection[Path] = ()) -> Iterator[str]:
    """Committed cells whose numbers are not those of their digests.

    Args:
        folder: Of results.
        but: Files that are not asked about.

    Yields:
        A problem, with its file.
    """
    path = digests_path(folder)
    digests = read_json(path) if path.is_file() else {}
    for cell in _cells(folder):
        if cell in but:
            continue
        there = digests.get(_name(cell))
        if there is None:
            yield (
                f"{cell}: expected its digest in {path.name}, found none. "
                "`hemlets experiments check --seal` takes it"
            )
        elif there != (now := digest_of(read_json(cell))):
            yield (
                f"{cell}: expected numbers with the digest {there[:12]} that {path.name} has of them, got "
                f"{now[:12]}: they were altered. Put them back"
            )


def _cells(folder: Path) -> list[Path]:
    return sorted((folder / "cells").glob("*/*.json"))


def _name(cell: Path) -> str:
    return f"{cell.parent.name}/{cell.stem}"
