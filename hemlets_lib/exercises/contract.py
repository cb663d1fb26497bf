"""What a chapter says of its exercises."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["Exercise", "Mistake"]


@dataclass(frozen=True)
class Mistake:
    """A wrong answer that readers are likely to give.

    Args:
        hint: What is wrong in it and where to look, without giving the code away: `"your polarity is
            flipped: a nearer child should be +1"`. It is printed behind a colon, so it starts in lower case
            and ends without a full stop.
        answer: The wrong answer itself, with the arguments of the exercise's reference.
    """

    hint: str
    answer: Callable[..., Any]


@dataclass(frozen=True)
class Exercise:
    """A task, a function that solves it, inputs to try an answer on, and the mistakes to expect.

    Args:
        task: What the function must do, in a line.
        reference: A correct answer.
        cases: Argument tuples, the simplest first. Between them every mistake must differ from the
            reference and from every other mistake.
        mistakes: Likely wrong answers, the likeliest first.
    """

    task: str
    reference: Callable[..., Any]
    cases: tuple[tuple[Any, ...], ...]
    mistakes: tuple[Mistake, ...] = ()
