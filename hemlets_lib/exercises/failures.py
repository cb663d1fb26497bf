"""What a reader is told whose function raises: what and where, for which input, and what that often means."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

__all__ = ["told"]

_LONGEST = 160  # characters of a message; PyTorch's can fill a screen
# A kind of error, words of its message, and what a beginner may look for. The first that fits is said.
_ADVICE: tuple[tuple[type[Exception], str, str], ...] = (
    (NameError, "", "Is the name misspelt, or has the cell that imports or defines it not run yet?"),
    (ZeroDivisionError, "", "A divisor is 0 for this input: what does the task ask for there?"),
    (RecursionError, "", "Your function calls itself without coming to an end."),
    (IndexError, "", "Places are counted from 0, so the last of n is n - 1."),
    (Exception, "NoneType", "Something is None there: does every function that you call end in `return`?"),
    (
        Exception,
        "math domain error",
        "asin and acos take −1 to 1, sqrt nothing below 0; floats can be just outside.",
    ),
    (
        Exception,
        "ambiguous",
        "An `if`, `and` or `not` got many numbers at once: go through them, or use torch.where.",
    ),
    (
        Exception,
        "match the size",
        "Two shapes do not fit each other: print both `.shape`s just before this line.",
    ),
    (Exception, "broadcast", "Two shapes do not fit each other: print both `.shape`s just before this line."),
    (
        AttributeError,
        "",
        "Such an object has no attribute of that name: print its `type` just before this line.",
    ),
    (
        TypeError,
        "must be Tensor",
        "PyTorch wants a tensor there: torch.as_tensor(…) makes one of a number or a list.",
    ),
)


def told(error: Exception, answer: Callable[..., Any], *, given: str, failing: int, cases: int) -> str:
    """An exception that a reader's function raised, in words and without a traceback.

    Args:
        error: What it raised for its first failing case.
        answer: The function.
        given: What it was called with, in words.
        failing: In how many cases it raises.
        cases: How many there are.

    Returns:
        The exception with its place in the function, the input, how many cases fare alike, and advice
        where there is some for this kind.
    """
    message = (str(error).strip().splitlines() or [""])[0]
    if len(message) > _LONGEST:
        message = message[:_LONGEST].rstrip() + " …"
    named = type(error).__name__ + (f": {message}" if message else "")
    how_often = f"all {cases} cases" if failing == cases else f"{failing} of {cases} cases"
    lines = [
        f"your function raised {named}{_place(error, answer)}",
        f"It was called with {given}; it raises in {how_often}.",
    ]
    lines += [advice for kind, words, advice in _ADVICE if isinstance(error, kind) and words in str(error)][
        :1
    ]
    return "\n  ".join(lines)


def _place(error: Exception, answer: Callable[..., Any]) -> str:
    """The line of the reader's function that was at work; empty where it is no plain function."""
    code = getattr(answer, "__code__", None)
    walked = list(traceback.walk_tb(error.__traceback__))
    own = [place for place, (frame, _) in enumerate(walked) if frame.f_code is code]
    if code is None or not own:
        return ""
    line = walked[own[-1]][1] - code.co_firstlineno + 1
    source = traceback.extract_tb(error.__traceback__)[own[-1]].line
    return f", in its line {line}" + (f": `{source}`" if source else "")
