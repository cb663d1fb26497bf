"""The exercises of notebook 08: variants of the triplet, what their losses hide, and many effects at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import product

import torch
from torch import Tensor

from hemlets_lib.exercises.contract import Exercise, Mistake
from hemlets_lib.triplets import VARIANTS

__all__ = ["EXERCISES"]

Levels = tuple[int, int]
Cell = tuple[int, int]


def _state(angle: float, bounds: Sequence[float]) -> int:
    """Signed number of bounds, in degrees, that an angle to the image plane exceeds."""
    return int(math.copysign(1, angle)) * sum(abs(angle) > bound for bound in bounds)


def _levels(angle: float, variant: str) -> Levels:
    rule = VARIANTS[variant]
    state = _state(angle, [math.degrees(math.asin(bound)) for bound in rule.sine_bounds])
    place, middle = state + rule.max_state, rule.max_state
    return rule.parent_maps[place] - middle, rule.child_maps[place] - middle


def _parent_in_the_middle(angle: float, variant: str) -> Levels:
    return 0, _levels(angle, variant)[1]


def _three_states(angle: float, variant: str) -> Levels:
    return _levels(angle, "hemlets" if variant == "5s" else variant)


def _always_five(angle: float, variant: str) -> Levels:
    state = _levels(angle, "5s")[1]
    return (-state if variant == "2s" else 0), state


def _by_sign(angle: float, variant: str) -> Levels:
    return _levels(math.copysign(45.0, angle), variant)


def _counted_from_zero(angle: float, variant: str) -> Levels:
    parent, child = _levels(angle, variant)
    return parent + VARIANTS[variant].max_state, child + VARIANTS[variant].max_state


_LEVELS = Exercise(
    "The maps that hold a part's parent and its child, in each of the variants.",
    _levels,
    tuple(product((45.0, 10.0, -70.0, 75.0, -40.0), ("hemlets", "2s", "5s"))),
    (
        Mistake(
            "your polarity is flipped: a part that points at the camera has its child in a positive map",
            lambda angle, variant: _levels(-angle, variant),
        ),
        Mistake(
            "in 2s the parent does not stay in the middle: it is as far on the other side as the child is "
            "on its own",
            _parent_in_the_middle,
        ),
        Mistake(
            "5s takes a second step, at 60°: a steep part is in the outermost maps",
            _three_states,
        ),
        Mistake(
            "a step at 60° is 5s' alone; the other two have three maps",
            _always_five,
        ),
        Mistake(
            "no part is level with you: one tilted by less than 30° is in the middle map",
            _by_sign,
        ),
        Mistake(
            "your maps are counted from 0; by their names the middle one is 0, and those of farther joints "
            "are negative",
            _counted_from_zero,
        ),
        Mistake(
            "you give child, then parent; the parent comes first",
            lambda angle, variant: _levels(angle, variant)[::-1],
        ),
    ),
)


def _encode(parent: Cell, child: Cell, places: tuple[int, int], size: int, *, add: bool = False) -> Tensor:
    """Three maps with a one in the cell (x, y) of each joint; `places`: the parent's map, the child's."""
    maps = torch.zeros(3, size, size)
    for (x, y), place in zip((parent, child), places, strict=True):
        maps[place, y, x] = maps[place, y, x] + 1 if add else 1
    return maps


def _encode_2s(parent: Cell, child: Cell, state: int, size: int) -> Tensor:
    return _encode(parent, child, (1 - state, 1 + state), size)


def _child_alone(parent: Cell, child: Cell, state: int, size: int) -> Tensor:
    return _encode(child, child, (1 + state, 1 + state), size)


_ENCODE_2S = Exercise(
    "The three maps of a part in 2s, a one in the cell of each joint.",
    _encode_2s,
    (
        ((1, 0), (3, 2), 1, 4),
        ((4, 1), (0, 3), -1, 5),
        ((0, 2), (2, 1), 0, 4),
        ((2, 1), (2, 1), 0, 3),
    ),
    (
        Mistake(
            "your polarity is flipped: at state +1 the child is the nearer joint, which 2s draws in the "
            "last map",
            lambda parent, child, state, size: _encode_2s(parent, child, -state, size),
        ),
        Mistake(
            "that is HEMlets: there the parent stays in the middle map; in 2s it goes to the other side",
            lambda parent, child, state, size: _encode(parent, child, (1, 1 + state), size),
        ),
        Mistake(
            "x and y have changed places: a map's rows are y, its columns x",
            lambda parent, child, state, size: _encode_2s(parent[::-1], child[::-1], state, size),
        ),
        Mistake(
            "state −1 indexes the *last* map in Python: maps are counted from 0, so the middle one is "
            "number 1",
            lambda parent, child, state, size: _encode(parent, child, (-state, state), size),
        ),
        Mistake(
            "your peaks add up: where both ends are in one cell of one map, it still holds a one",
            lambda parent, child, state, size: _encode(parent, child, (1 - state, 1 + state), size, add=True),
        ),
        Mistake(
            "both joints are in one map, the child's; the parent's is on the other side of the middle",
            lambda parent, child, state, size: _encode(parent, child, (1 + state, 1 + state), size),
        ),
        Mistake("the parent is missing: both ends leave a peak", _child_alone),
    ),
)


def _cost_of_guessing(shares: Tensor, moving_ends: int) -> Tensor:
    return 2 * moving_ends * (1 - shares.max())


def _cost(form: Callable[[Tensor], Tensor]) -> Callable[[Tensor, int], Tensor]:
    return lambda shares, moving_ends: moving_ends * form(shares)


_GUESSING = Exercise(
    "The loss, in peaks a part, of a network that always draws the commonest state.",
    _cost_of_guessing,
    tuple(
        (torch.tensor(shares), moving_ends)
        for shares, moving_ends in (
            ((0.2, 0.6, 0.2), 1),
            ((0.2, 0.6, 0.2), 2),
            ((0.5, 0.1, 0.4), 1),
            ((0.1, 0.15, 0.4, 0.3, 0.05), 1),
        )
    ),
    (
        Mistake(
            "that is Eq. (8.2), of a network that draws every map by its share; this one draws a whole peak "
            "in "
            "one map",
            _cost(lambda shares: 1 - shares.square().sum()),
        ),
        Mistake(
            "a wrong map costs twice: one peak is missing, and one is too many",
            _cost(lambda shares: 1 - shares.max()),
        ),
        Mistake(
            "how many ends move with the state is missing: in 2s a wrong state puts both ends into wrong "
            "maps",
            lambda shares, moving_ends: 2 * (1 - shares.max()),
        ),
        Mistake(
            "that is how often the guess is *right*; being right costs nothing",
            _cost(lambda shares: 2 * shares.max()),
        ),
        Mistake(
            "you take level for the commonest state; it need not be",
            _cost(lambda shares: 2 * (1 - shares[len(shares) // 2])),
        ),
        Mistake(
            "you take all states for equally common; the shares say otherwise",
            _cost(lambda shares: 2 * (1 - torch.ones(()) / len(shares))),
        ),
        Mistake(
            "the guess is the commonest state, not the rarest",
            _cost(lambda shares: 2 * (1 - shares.min())),
        ),
    ),
)

_ERROR_RATE = 0.05


def _holm(p_values: Sequence[float]) -> list[bool]:
    from hemlets_lib.experiments.verdicts import (
        holm,
    )  # reads results: too much to load for the other chapters

    return holm(p_values)


def _step_down(p_values: Sequence[float], bound: Callable[[int, int], float]) -> list[bool]:
    """Smallest first, each against the bound for its place and their number, up to the first above."""
    stand, count = [False] * len(p_values), len(p_values)
    for place, index in enumerate(sorted(range(count), key=lambda i: p_values[i])):
        if p_values[index] > bound(place, count):
            break
        stand[index] = True
    return stand


def _benjamini_hochberg(p_values: Sequence[float]) -> list[bool]:
    """Step up: everything up to the last that is below its bound."""
    ranked = sorted(p_values)
    below = [p for place, p in enumerate(ranked) if p <= _ERROR_RATE * (place + 1) / len(ranked)]
    return [p <= max(below, default=-1.0) for p in p_values]


def _without_stopping(p_values: Sequence[float]) -> list[bool]:
    ranked, count = sorted(p_values), len(p_values)
    return [p <= _ERROR_RATE / (count - ranked.index(p)) for p in p_values]


def _in_order_of_size(p_values: Sequence[float]) -> list[bool]:
    return _holm(sorted(p_values))


_HOLM = Exercise(
    "Which of several effects stand after Holm's correction for their number, at 5 %.",
    _holm,
    (
        ((0.04,),),
        ((0.03, 0.01),),
        ((0.02, 0.04, 0.013, 0.6),),
        ((0.03, 0.001, 0.03, 0.04),),
        ((0.011, 0.015, 0.04, 0.012, 0.9),),
        ((0.5, 0.045, 0.004, 0.024),),
    ),
    (
        Mistake(
            "every effect is held against 5 % with you, as if it were the only one",
            lambda p_values: [p <= _ERROR_RATE for p in p_values],
        ),
        Mistake(
            "that is Bonferroni's correction, which holds all against the same bound; Holm's grows as "
            "effects "
            "have been accepted",
            lambda p_values: [p <= _ERROR_RATE / len(p_values) for p in p_values],
        ),
        Mistake(
            "your answers are in order of size; they belong in the order in which the numbers came",
            _in_order_of_size,
        ),
        Mistake(
            "you go on after the first one that fails; everything above it falls with it",
            _without_stopping,
        ),
        Mistake(
            "that is Benjamini and Hochberg's rule, whose bounds are multiples of 5 %/m: it limits the "
            "share of "
            "wrong findings, not the chance of any",
            _benjamini_hochberg,
        ),
        Mistake(
            "your bounds are one place ahead: the smallest is held against 5 %/m, for m effects",
            lambda p_values: _step_down(
                p_values, lambda place, count: _ERROR_RATE / max(count - place - 1, 1)
            ),
        ),
        Mistake(
            "your answers are the wrong way round: True is asked for where an effect stands",
            lambda p_values: [not stands for stands in _holm(p_values)],
        ),
    ),
)

EXERCISES: dict[str, Exercise] = {
    "08.1": _LEVELS,
    "08.2": _ENCODE_2S,
    "08.3": _GUESSING,
    "08.4": _HOLM,
}
