"""MATLAB's structs as scipy hands them over (`files.read_mat`), where any level may be missing.

A struct array is an array of objects with attributes; what holds one of something may be an array of one,
and what holds none an empty array of numbers, or not there at all. These functions make no difference.
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["elements", "field", "first_struct", "number", "structs", "text"]


def elements(value: Any) -> list[Any]:
    """What an array, a cell array or a single value holds; nothing where it is missing."""
    return list(value.ravel()) if isinstance(value, np.ndarray) else [] if value is None else [value]


def structs(value: Any) -> list[Any]:
    """The structs among the elements."""
    return [element for element in elements(value) if hasattr(element, "_fieldnames")]


def first_struct(value: Any) -> Any:
    """The first of the structs, None where there is none."""
    return next(iter(structs(value)), None)


def field(struct: Any, name: str) -> Any:
    """A struct's field, None where it has none of that name, or is no struct."""
    return getattr(struct, name, None) if name in getattr(struct, "_fieldnames", ()) else None


def number(value: Any) -> float | None:
    """A single real number, None for whatever is not one."""
    array = np.asarray(value)
    return float(array.item()) if array.size == 1 and array.dtype.kind in "fiub" else None


def text(value: Any) -> str | None:
    """A single text, None for whatever is not one."""
    found = elements(value)
    return str(found[0]) if len(found) == 1 and isinstance(found[0], str) else None
