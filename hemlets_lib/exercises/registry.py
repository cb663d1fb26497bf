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

__all__ = ["EXERCISES", "merged"]


def merged(chapters: Mapping[str, Mapping[str, Exercise]]) -> dict[str, Exercise]:
    """The exercises of all chapters, by name.

    Args:
        chapters: By number, such as `"07"`, each chapter's exercises.

    Returns:
        Each exercise under its name, in the order of the chapters.

    Raises:
        ValueError: If an exercise is not named after its chapter.
    """
    for chapter, exercises in chapters.items():
        for name in exercises:
            if not re.fullmatch(rf"{chapter}\.\d+", name):
                raise ValueError(
                    f"chapter{chapter} must name its exercises '{chapter}.1', '{chapter}.2', …, got {name!r}."
                )
    return {name: exercise for exercises in chapters.values() for name, exercise in exercises.items()}


EXERCISES: Mapping[str, Exercise] = MappingProxyType(
    merged(
        {
            path.stem.removeprefix("chapter"): import_module(f"hemlets_lib.exercises.{path.stem}").EXERCISES
            for path in sorted(Path(__file__).parent.glob("chapter*.py"))
        }
    )
)
"""All exercises, by name: `EXERCISES["01.2"]`."""
