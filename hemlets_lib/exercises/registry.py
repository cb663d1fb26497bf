"""All exercises, gathered from the modules `chapterNN` beside this one.

A chapter is added by its file alone: `chapter07.py` with `EXERCISES`, from `"07.1"` on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import MappingProxyType

from hemlets_lib.exercises.contract import Exercise

__all__ = ["EXERCISES"]


def _gathered() -> dict[str, Exercise]:
    """Every chapter's exercises, in the order of the chapters."""
    found: dict[str, Exercise] = {}
    for path in sorted(Path(__file__).parent.glob("chapter*.py")):
        chapter = path.stem.removeprefix("chapter")
        exercises: dict[str, Exercise] = import_module(f"hemlets_lib.exercises.{path.stem}").EXERCISES
        for name in exercises:
            if not re.fullmatch(rf"{chapter}\.\d+", name):
                raise ValueError(
                    f"{path.name} must name its exercises '{chapter}.1', '{chapter}.2', …, got {name!r}."
                )
        found.update(exercises)
    return found


EXERCISES: Mapping[str, Exercise] = MappingProxyType(_gathered())
