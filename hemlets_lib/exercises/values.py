"""What readers' functions give back, as values that can be compared and shown.

Readers write in many styles: a tensor, an array, a list of floats and a list of tensors can all be the same
right answer. Only numbers and shapes count, never types.
"""

from __future__ import annotations

import itertools
import reprlib
from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["agree", "numbers", "remark", "shown", "unchanged"]

_PRINTED_ENTRIES = 12
_TOLERANCE = 1e-4
_WHOLE_TOLERANCE = 1e-6  # relative, of whole numbers: float32 cannot hold every large one


def numbers(value: Any) -> Tensor | None:
    """A number, array, tensor or nested list of them as a float64 tensor; None where it is none of these."""
    if value is None or isinstance(value, str | bytes):
        return None  # NumPy would make NaN of one and numbers of the others
    if isinstance(value, Tensor):
        return None if value.is_complex() else value.detach().cpu().double()
    if isinstance(value, list | tuple):
        parts = [numbers(part) for part in value]
        known = [part for part in parts if part is not None]
        if len(known) < len(parts) or len({part.shape for part in known}) > 1:
            return None
        return torch.stack(known) if known else torch.zeros(0, dtype=torch.float64)
    try:
        return torch.from_numpy(np.array(value, dtype=np.float64))
    except (TypeError, ValueError):
        return None


def agree(got: Any, expected: Any) -> bool:
    """Whether an answer is the expected one, up to rounding; NaN agrees with NaN.

    Tuples of several shapes are compared part by part, text and dicts as they are.
    """
    wanted, given = numbers(expected), numbers(got)
    if wanted is None:
        if isinstance(expected, list | tuple) and isinstance(got, list | tuple):
            return len(got) == len(expected) and all(map(agree, got, expected))
        return isinstance(got, type(expected)) and bool(got == expected)
    if given is None or given.shape != wanted.shape:
        return False
    return bool(_close(given, wanted, whole=_is_whole(expected)).all())


def unchanged(before: Any, after: Any) -> bool:
    """Whether an argument is as it was; only numbers, tensors and collections of them are looked at."""
    if isinstance(before, Tensor | np.ndarray | list | tuple):
        first, second = numbers(before), numbers(after)
        if first is None or second is None:
            return not isinstance(before, list | tuple) or (
                len(before) == len(after) and all(map(unchanged, before, after))
            )
        same_shape = first.shape == second.shape
        return same_shape and bool(torch.isclose(first, second, atol=0, rtol=0, equal_nan=True).all())
    return True


def shown(value: Any) -> str:
    """A value as it is printed in a complaint: short, and rounded to four digits."""
    if isinstance(value, bool | int):
        return repr(value)
    if isinstance(value, float):
        return f"{value:.4g}"
    found = numbers(value)
    if found is None:
        return reprlib.repr(value)
    if found.numel() > _PRINTED_ENTRIES:
        kind = "a tensor" if isinstance(value, Tensor) else f"a {type(value).__name__}"
        return f"{kind} of shape {tuple(found.shape)}"
    return str(_rounded(found.tolist())) if found.ndim else f"{found.item():.4g}"


def remark(got: Any, expected: Any) -> str:
    """What is notable in an answer that differs: None, NaN, another shape, or the first place that differs.

    Empty where expected and got, side by side, say it all. It is made to stand behind `shown(got)`.
    """
    if got is None:
        return ". Does every path through your function end in `return`? (`print` alone returns None.)"
    wanted, given = numbers(expected), numbers(got)
    if wanted is None:
        return ""
    if given is None:
        return f". A {type(got).__name__} like this cannot be read as numbers of one shape"
    if given.shape != wanted.shape:
        return _about_shape(given, wanted)
    missing = int((given.isnan() & ~wanted.isnan()).sum())
    if missing and given.ndim == 0:
        return ". NaN is what 0 · NaN, 0 / 0, inf - inf and the root of a negative number give"
    if missing:
        return f". {missing} of {given.numel()} entries are NaN"
    if wanted.numel() <= _PRINTED_ENTRIES:
        return ""
    place = tuple((~_close(given, wanted, whole=_is_whole(expected))).nonzero()[0].tolist())
    return f"; first differing at {list(place)}: expected {shown(wanted[place])}, got {shown(given[place])}"


def _about_shape(given: Tensor, wanted: Tensor) -> str:
    right, shape = tuple(wanted.shape), tuple(given.shape)
    form = f"shape {right}" if right else "a single number"
    if given.numel() == wanted.numel() and _close(given.flatten(), wanted.flatten(), whole=False).all():
        return f". The numbers are right, but their shape is {shape}: expected {form}"
    for order in itertools.permutations(range(given.ndim)):
        moved = given.permute(order)
        if moved.shape == wanted.shape and _close(moved, wanted, whole=False).all():
            return f". The numbers are right, but the axes of {shape} are in another order: expected {form}"
    return f". Its shape is {shape}: expected {form}"


def _is_whole(expected: Any) -> bool:
    if isinstance(expected, Tensor):
        return not expected.is_floating_point()
    return isinstance(expected, int)


def _close(given: Tensor, wanted: Tensor, *, whole: bool) -> Tensor:
    relative = _WHOLE_TOLERANCE if whole else _TOLERANCE
    return torch.isclose(given, wanted, atol=_TOLERANCE, rtol=relative, equal_nan=True)


def _rounded(entries: Any) -> Any:
    return [_rounded(entry) for entry in entries] if isinstance(entries, list) else round(entries, 4)
