"""Checks for the notebooks' exercises: the reader's own function against the reference.

A check never raises for a wrong answer. Where the answer does what a known mistake does, it says which;
then it prints the first case that differs, with what was put in, what was expected and what came out, so
that the reader can go on from there. Nor does it raise what the answer raises: it tells (`failures`).
"""

from __future__ import annotations

import copy
import dis
import inspect
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hemlets_lib.exercises.contract import Exercise, Mistake
from hemlets_lib.exercises.failures import told
from hemlets_lib.exercises.registry import EXERCISES
from hemlets_lib.exercises.values import agree, remark, shown, unchanged

__all__ = ["check", "compare", "first_difference", "recognised"]

_NOT_TRIED = "nothing returned yet"
_OF_AN_EMPTY_BODY = {"RESUME", "LOAD_CONST", "RETURN_VALUE", "RETURN_CONST", "COPY_FREE_VARS", "NOP"}


@dataclass(frozen=True)
class _Outcome:
    """What a function made of one case: a value or an exception, and the arguments that it changed."""

    value: Any = None
    error: Exception | None = None
    changed: tuple[int, ...] = ()

    def agrees_with(self, expected: Any) -> bool:
        return self.error is None and agree(self.value, expected)


def compare(guess: Any, answer: Any, *, unit: str = "") -> None:
    """Put a prediction made before running a cell beside what came out.

    Args:
        guess: The reader's, or None where none was made.
        answer: What was computed.
        unit: Printed behind both.
    """
    unit = f" {unit}" if unit else ""
    value = f"{answer:.4g}" if isinstance(answer, float) else f"{answer}"
    said = "you made no prediction" if guess is None else f"you predicted {guess}{unit}"
    print(f"{said}; it is {value}{unit}")


def check(name: str, answer: Any) -> None:
    """Try a reader's function on the cases of an exercise and print how it went.

    Args:
        name: The exercise, such as `"01.2"`.
        answer: The reader's function.

    Raises:
        ValueError: If there is no such exercise.
    """
    exercise = _exercise(name)
    complaint, changed = _verdict(name, answer)
    if complaint == _NOT_TRIED:
        print(f"○ {name}: not tried yet. {exercise.task}")
        return
    if complaint:
        print(f"✗ {name}: {complaint}")
    else:
        print(f"✓ {name}: {exercise.task} All {len(exercise.cases)} cases agree.")
    if changed:
        print(f"  Besides, your function changes what it is given ({', '.join(changed)}): work on a copy.")


def first_difference(name: str, answer: Any) -> str | None:
    """What `check` says of a wrong answer; None where every case agrees.

    Arguments and errors as in `check`.
    """
    return _verdict(name, answer)[0]


def _verdict(name: str, answer: Any) -> tuple[str | None, list[str]]:
    """What is wrong with an answer, and the names of the arguments that it changed."""
    exercise = _exercise(name)
    if not callable(answer):
        return f"expected your function itself, got {shown(answer)}. Write its name alone, without (…)", []
    if _has_empty_body(answer):
        return _NOT_TRIED, []
    if refused := _refused_arguments(exercise, answer):
        return refused, []
    outcomes, expected = _outcomes(exercise, answer), _expected(exercise)
    names = _argument_names(exercise, answer)
    changed = sorted({place for outcome in outcomes for place in outcome.changed})
    return _complaint(exercise, answer, outcomes, expected), [names[place] for place in changed]


def _complaint(
    exercise: Exercise, answer: Callable[..., Any], outcomes: Sequence[_Outcome], expected: Sequence[Any]
) -> str | None:
    for case, outcome, right in zip(exercise.cases, outcomes, expected, strict=True):
        if not outcome.agrees_with(right):
            given = _given(exercise, answer, case)
            if outcome.error is not None:
                failing = sum(each.error is not None for each in outcomes)
                return told(outcome.error, answer, given=given, failing=failing, cases=len(outcomes))
            difference = _difference(given, outcome.value, right)
            mistake = _recognised(exercise, outcomes, expected)
            return f"{mistake.hint}.\n  The first case: {difference}" if mistake else difference
    return None


def recognised(name: str, answer: Callable[..., Any]) -> Mistake | None:
    """The known mistake that a wrong answer makes; None where it is right, or wrong in its own way.

    An answer makes a mistake if it gives the same wherever the answer is wrong. Of several mistakes, it is
    the one that agrees with it on most of the other cases, too.

    Arguments and errors as in `check`.
    """
    exercise = _exercise(name)
    return _recognised(exercise, _outcomes(exercise, answer), _expected(exercise))


def _recognised(exercise: Exercise, outcomes: Sequence[_Outcome], expected: Sequence[Any]) -> Mistake | None:
    wrong = [not outcome.agrees_with(right) for outcome, right in zip(outcomes, expected, strict=True)]
    if not any(wrong):
        return None
    best, best_count = None, 0
    for mistake in exercise.mistakes:
        of_mistake = [outcome.value for outcome in _outcomes(exercise, mistake.answer)]
        same = [outcome.agrees_with(value) for outcome, value in zip(outcomes, of_mistake, strict=True)]
        explained = all(same[place] for place, is_wrong in enumerate(wrong) if is_wrong)
        if explained and sum(same) > best_count:
            best, best_count = mistake, sum(same)
    return best


def _exercise(name: str) -> Exercise:
    if name not in EXERCISES:
        raise ValueError(f"there is no exercise {name!r}; there are {', '.join(EXERCISES)}")
    return EXERCISES[name]


def _expected(exercise: Exercise) -> list[Any]:
    return [exercise.reference(*copy.deepcopy(case)) for case in exercise.cases]


def _outcomes(exercise: Exercise, answer: Callable[..., Any]) -> list[_Outcome]:
    """What a function makes of each case; its arguments are copies, so that it cannot spoil the next case."""
    found = []
    for case in exercise.cases:
        given = copy.deepcopy(case)
        try:
            with (
                warnings.catch_warnings()
            ):  # a warning does not make an answer wrong, whatever Python is told
                warnings.simplefilter("default")
                warnings.simplefilter("ignore", DeprecationWarning)
                value = answer(*given)
        except Exception as error:  # the reader's code may fail in any way
            found.append(_Outcome(error=error))
            continue
        changed = [i for i, pair in enumerate(zip(case, given, strict=True)) if not unchanged(*pair)]
        found.append(_Outcome(value=value, changed=tuple(changed)))
    return found


def _difference(given: str, value: Any, expected: Any) -> str:
    return f"for {given} expected {shown(expected)}, got {shown(value)}{remark(value, expected)}"


def _given(exercise: Exercise, answer: Callable[..., Any], case: tuple[Any, ...]) -> str:
    pairs = zip(_argument_names(exercise, answer), case, strict=True)
    return ", ".join(f"{key}={shown(value)}" for key, value in pairs)


def _argument_names(exercise: Exercise, answer: Callable[..., Any]) -> list[str]:
    """The reader's own names where there is one for each argument, the reference's otherwise."""
    names = _parameters(exercise)
    code = getattr(answer, "__code__", None)
    own = list(code.co_varnames[: code.co_argcount]) if code else []
    return own if len(own) == len(names) else names


def _parameters(exercise: Exercise) -> list[str]:
    """The names of the arguments that the cases give; the reference may have further ones, with defaults."""
    return list(inspect.signature(exercise.reference).parameters)[: len(exercise.cases[0])]


def _refused_arguments(exercise: Exercise, answer: Callable[..., Any]) -> str | None:
    try:
        signature = inspect.signature(answer)
    except (TypeError, ValueError):  # some builtins have none
        return None
    try:
        signature.bind(*exercise.cases[0])
    except TypeError:
        names = ", ".join(_parameters(exercise))
        return f"your function takes {signature}, and the exercise gives it ({names}), by position"
    return None


def _has_empty_body(answer: Callable[..., Any]) -> bool:
    """Whether a function is as the notebook left it: `...` and a comment."""
    code = getattr(answer, "__code__", None)
    if code is None:
        return False
    steps = list(dis.get_instructions(code))
    returned = steps[-1] if steps[-1].opname == "RETURN_CONST" else steps[-2]
    return returned.argval is None and {step.opname for step in steps} <= _OF_AN_EMPTY_BODY
