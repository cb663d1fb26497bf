"""Checks for the notebooks' exercises: the reader's own function against the library's.

A check never raises for a wrong answer. It prints the first case that differs, with what was put in,
what was expected and what came out, so that the reader can go on from there.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from hemlets_lib.exercises.registry import EXERCISES

__all__ = ["check", "compare", "first_difference"]


_NOT_TRIED = "nothing returned yet"
_PRINTED_ENTRIES = 12
_TOLERANCE = 1e-4


def compare(guess: Any, answer: Any, *, unit: str = "") -> None:
    """Put a prediction made before running a cell beside what came out.

    Args:
        guess: The reader's, or None where none was made.
        answer: What was computed.
        unit: Printed behind both.
    """
    unit = f" {unit}" if unit else ""
    shown = f"{answer:.4g}" if isinstance(answer, float) else f"{answer}"
    said = "you made no prediction" if guess is None else f"you predicted {guess}{unit}"
    print(f"{said}; it is {shown}{unit}")


def check(name: str, answer: Callable[..., Any]) -> None:
    """Try a reader's function on the cases of an exercise and print how it went.

    Args:
        name: The exercise, such as `"01.2"`.
        answer: The reader's function.

    Raises:
        ValueError: If there is no such exercise.
    """
    complaint = first_difference(name, answer)
    exercise = EXERCISES[name]
    if complaint == _NOT_TRIED:
        print(f"○ {name}: not tried yet. {exercise.task}")
        return
    print(
        f"✗ {name}: {complaint}"
        if complaint
        else f"✓ {name}: {exercise.task} All {len(exercise.cases)} cases agree."
    )


def first_difference(name: str, answer: Callable[..., Any]) -> str | None:
    """What `check` says of a wrong answer; None where every case agrees.

    Arguments and errors as in `check`.
    """
    if name not in EXERCISES:
        raise ValueError(f"there is no exercise {name!r}; there are {', '.join(EXERCISES)}")
    exercise = EXERCISES[name]
    names = list(inspect.signature(exercise.reference).parameters)
    for case in exercise.cases:
        given = ", ".join(f"{key}={_shown(value)}" for key, value in zip(names, case, strict=True))
        expected = exercise.reference(*case)
        try:
            got = answer(*(value.clone() if isinstance(value, Tensor) else value for value in case))
        except Exception as error:  # the reader's code may fail in any way
            return f"for {given} your function raised {type(error).__name__}: {error}"
        if got is None:
            return _NOT_TRIED
        if not _agree(got, expected):
            return f"for {given} expected {_shown(expected)}, got {_shown(got)}{_where(got, expected)}"
    return None


def _where(got: Any, expected: Any) -> str:
    """The first entry that differs, for tensors too large to print."""
    if not (isinstance(got, Tensor) and isinstance(expected, Tensor)):
        return ""
    if got.shape != expected.shape or expected.numel() <= _PRINTED_ENTRIES:
        return ""
    differing = ~torch.isclose(got.double(), expected.double(), atol=_TOLERANCE, rtol=_TOLERANCE)
    place = tuple(differing.nonzero()[0].tolist())
    return f"; first differing at {list(place)}: expected {_shown(expected[place])}, got {_shown(got[place])}"


def _shown(value: Any) -> str:
    if isinstance(value, Tensor):
        if value.numel() > _PRINTED_ENTRIES:
            return f"a tensor of shape {tuple(value.shape)}"
        return str([round(x, 4) for x in value.flatten().tolist()]) if value.ndim else f"{value.item():.4g}"
    return f"{value:.4g}" if isinstance(value, float) else repr(value)


def _agree(got: Any, expected: Any) -> bool:
    try:
        got, expected = torch.as_tensor(got), torch.as_tensor(expected)
    except (TypeError, ValueError, RuntimeError):
        return False
    if got.shape != expected.shape:
        return False
    return torch.allclose(got.double(), expected.double(), atol=_TOLERANCE, rtol=_TOLERANCE)
