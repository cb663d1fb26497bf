"""Answers to the exercises as readers might write them, in a module `chapterNN` for every chapter.

Each module has, by exercise,

- `ACCEPTED`: right answers in different styles (two at least), and
- `REJECTED`: pairs of a wrong answer, written without looking at the library's `mistakes`, and words that
  only the hint it must be met with contains.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

Answer = Callable[..., Any]

MODULES = [
    import_module(f"answers.{path.stem}") for path in sorted(Path(__file__).parent.glob("chapter*.py"))
]
ACCEPTED: dict[str, tuple[Answer, ...]] = {
    name: answers for module in MODULES for name, answers in module.ACCEPTED.items()
}
REJECTED: dict[str, tuple[tuple[Answer, str], ...]] = {
    name: answers for module in MODULES for name, answers in module.REJECTED.items()
}
