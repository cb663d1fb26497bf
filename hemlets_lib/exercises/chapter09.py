"""The exercises of notebook 09: annotators who doubt, who are biased, who err, and who vote."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from hemlets_lib.exercises.contract import Exercise, Mistake
from hemlets_lib.exercises.inputs import random_tensor
from hemlets_lib.triplets import EPSILON_RATIO, UNKNOWN

__all__ = ["EXERCISES"]


def _by_steepness(seen: Tensor, threshold: float = EPSILON_RATIO) -> Tensor:
    return torch.where(seen.abs() > threshold, seen.sign(), 0).long()


def _where_sure(states: Tensor, seen: Tensor, band: float, *, gap: int = UNKNOWN) -> Tensor:
    """States, and a gap where what is seen is nearer to the threshold than the band is wide."""
    return torch.where((seen.abs() - EPSILON_RATIO).abs() < band, gap, states)


def _fbi(seen: Tensor, noise: float) -> Tensor:
    return _where_sure(_by_steepness(seen), seen, noise)


_SEEN = torch.tensor([0.80, 0.45, -0.10, -0.95, -0.55, 0.05, 0.62, -0.37])

_FBI = Exercise(
    "FBI's answers by Eq. (9.2), UNKNOWN where there is none.",
    _fbi,
    ((_SEEN[:3], 0.2), (_SEEN, 0.2), (_SEEN, 0.0), (-_SEEN, 0.1), (_SEEN, 0.35)),
    (
        Mistake(
            "your polarity is flipped: steepness is positive towards the camera, and a nearer child is +1",
            lambda seen, noise: torch.where(_fbi(seen, noise) == UNKNOWN, UNKNOWN, -_fbi(seen, noise)),
        ),
        Mistake(
            "those are Ordinal's answers: FBI leaves the doubtful ones out",
            lambda seen, noise: _by_steepness(seen),
        ),
        Mistake(
            "a gap is not a zero: 0 says level; no answer is UNKNOWN",
            lambda seen, noise: _where_sure(_by_steepness(seen), seen, noise, gap=0),
        ),
        Mistake(
            "you leave out what is seen near *zero*; doubt is about the threshold ½, on either side of it",
            lambda seen, noise: torch.where(seen.abs() < noise, UNKNOWN, _by_steepness(seen)),
        ),
        Mistake(
            "the doubtful band is at −½ too, where parts point away",
            lambda seen, noise: torch.where(
                (seen - EPSILON_RATIO).abs() < noise, UNKNOWN, _by_steepness(seen)
            ),
        ),
        Mistake(
            "your band is half as wide: σ on either side of the threshold",
            lambda seen, noise: _where_sure(_by_steepness(seen), seen, noise / 2),
        ),
        Mistake(
            "your band is on one side of the threshold only: what is seen just below it is as doubtful as "
            "just above",
            lambda seen, noise: torch.where(
                (seen.abs() > EPSILON_RATIO) & (seen.abs() < EPSILON_RATIO + noise),
                UNKNOWN,
                _by_steepness(seen),
            ),
        ),
        Mistake(
            "level is missing: an answer between −½ and ½ is 0",
            lambda seen, noise: _where_sure(seen.sign().long(), seen, noise),
        ),
    ),
)


def _biased(steepness: Tensor, errors: Tensor, noise: float, bias: float) -> Tensor:
    return _fbi(steepness + noise * errors + bias, noise)


def _tilted(shift: Callable[[Tensor, Tensor, float, float], Tensor]) -> Callable[..., Tensor]:
    """FBI's answers to what is seen according to a rule."""
    return lambda steepness, errors, noise, bias: _fbi(shift(steepness, errors, noise, bias), noise)


def _bias_after_the_doubt(steepness: Tensor, errors: Tensor, noise: float, bias: float) -> Tensor:
    seen = steepness + noise * errors
    return _where_sure(_by_steepness(seen + bias), seen, noise)


def _bias_before_the_doubt(steepness: Tensor, errors: Tensor, noise: float, bias: float) -> Tensor:
    seen = steepness + noise * errors
    return _where_sure(_by_steepness(seen), seen + bias, noise)


def _looks(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """True steepness of some parts, and the errors of those who look at them."""
    return random_tensor(count, seed=seed).tanh(), random_tensor(count, seed=seed + 9)


_BIAS = Exercise(
    "FBI's answers of somebody to whom everything seems to point at them more than it does.",
    _biased,
    (
        (torch.tensor([0.15, -0.6, 0.9]), torch.zeros(3), 0.2, 0.5),
        (*_looks(40, seed=3), 0.2, 0.15),
        (*_looks(40, seed=4), 0.1, -0.3),
        (*_looks(40, seed=5), 0.2, 0.0),
    ),
    (
        Mistake(
            "your bias points the wrong way: with a positive one, things seem to point *at* the camera, to +",
            _tilted(lambda steepness, errors, noise, bias: steepness + noise * errors - bias),
        ),
        Mistake(
            "you scale the bias by the noise; it is a steepness of its own and is there without any noise",
            _tilted(lambda steepness, errors, noise, bias: steepness + noise * (errors + bias)),
        ),
        Mistake(
            "with you everything looks steeper, away from the camera too; the bias has one direction",
            _tilted(
                lambda steepness, errors, noise, bias: (
                    steepness + noise * errors + bias * (steepness + noise * errors).sign()
                )
            ),
        ),
        Mistake(
            "your doubt is about what they would see without bias; they know nothing of it, so doubt and "
            "answer "
            "both go by the biased look",
            _bias_after_the_doubt,
        ),
        Mistake(
            "your answer goes by a look without bias; doubt and answer are about the same look",
            _bias_before_the_doubt,
        ),
        Mistake(
            "the bias does nothing yet",
            _tilted(lambda steepness, errors, noise, bias: steepness + noise * errors),
        ),
        Mistake(
            "the errors are missing: the bias comes on top of them",
            _tilted(lambda steepness, errors, noise, bias: steepness + bias),
        ),
        Mistake(
            "that is Ordinal: FBI leaves the doubtful parts out",
            lambda steepness, errors, noise, bias: _by_steepness(steepness + noise * errors + bias),
        ),
    ),
)

Shares = tuple[float, float, float]


def _normal(z: float) -> float:
    """Φ, the normal distribution function."""
    return (1 + math.erf(z / math.sqrt(2))) / 2


def _shares(steepness: float, noise: float, edge: float = EPSILON_RATIO) -> Shares:
    below, above = _normal((-edge - steepness) / noise), _normal((edge - steepness) / noise)
    return below, above - below, 1 - above


def _without_lower_edge(steepness: float, noise: float) -> Shares:
    level = _normal((EPSILON_RATIO - steepness) / noise)
    return (1 - level) / 2, level, (1 - level) / 2


def _one_tail(steepness: float, noise: float) -> Shares:
    """What is not level is all put on the part's true side."""
    level = _shares(steepness, noise)[1]
    return (0.0, level, 1 - level) if steepness > 0 else (1 - level, level, 0.0)


_SHARES = Exercise(
    "How often Ordinal's annotators say farther, level and nearer of a part, by Eq. (9.3).",
    _shares,
    ((0.5, 0.2), (0.0, 0.5), (-0.7, 0.4), (0.3, 2.0)),
    (
        Mistake(
            "your order is the other way round: −1 first, then 0, then +1",
            lambda steepness, noise: _shares(steepness, noise)[::-1],
        ),
        Mistake(
            "σ is a standard deviation: divide by it, not by its square",
            lambda steepness, noise: _shares(steepness, noise**2),
        ),
        Mistake(
            "there are two edges, ½ and −½; you have one",
            _without_lower_edge,
        ),
        Mistake(
            "noise can take a part to the far side as well: all that is not level is not on its true side",
            _one_tail,
        ),
        Mistake(
            "the threshold is a sine, ½, not an angle; it needs no conversion",
            lambda steepness, noise: _shares(steepness, noise, math.radians(30)),
        ),
        Mistake(
            "you multiply by σ inside of Φ; more noise makes the distance to an edge count for *less*",
            lambda steepness, noise: _shares(steepness, 1 / noise),
        ),
        Mistake(
            "those are percent; probabilities are asked for",
            lambda steepness, noise: tuple(100 * share for share in _shares(steepness, noise)),
        ),
    ),
)


def _majority(answers: Tensor) -> Tensor:
    """Votes in which at least two of three agree; UNKNOWN elsewhere."""
    vote = answers.mode(0).values
    return torch.where((answers == vote).sum(0) >= 2, vote, UNKNOWN)


def _mean_rounded(answers: Tensor) -> Tensor:
    """The mean of what was answered, gaps left out."""
    given = answers != UNKNOWN
    mean = torch.where(given, answers, 0).sum(0) / given.sum(0).clamp(min=1)
    return torch.where(given.any(0), mean.round().long(), UNKNOWN)


def _unanimous(answers: Tensor) -> Tensor:
    return torch.where((answers == answers[0]).all(0), answers[0], UNKNOWN)


def _all_three_ways(number: int) -> Tensor:
    """Every triple of answers once, in an order of its own: (3, 1, 64)."""
    every = torch.cartesian_prod(*[torch.tensor([-1, 0, 1, UNKNOWN])] * 3)
    order = torch.randperm(len(every), generator=torch.Generator().manual_seed(number))
    return every[order].T[:, None].contiguous()


_VOTES = Exercise(
    "The majority of three annotators, UNKNOWN where no two agree.",
    _majority,
    (
        (torch.tensor([[[1, -1, 0]], [[1, 0, 0]], [[0, 1, 0]]]),),
        (
            torch.tensor(
                [
                    [[UNKNOWN, UNKNOWN, 1], [1, -1, 0]],
                    [[1, UNKNOWN, 1], [1, 1, 1]],
                    [[1, 0, UNKNOWN], [-1, -1, 1]],
                ]
            ),
        ),
        (_all_three_ways(1),),
    ),
    (
        Mistake(
            "where all three differ there is no majority: that is UNKNOWN, not the smallest of the answers",
            lambda answers: answers.mode(0).values,
        ),
        Mistake(
            "you take the middle answer; farther and nearer do not make level, they make a doubt",
            lambda answers: answers.median(0).values,
        ),
        Mistake(
            "you average the answers; states are names, not amounts, and have to be counted",
            _mean_rounded,
        ),
        Mistake(
            "two of three are enough; you want all",
            _unanimous,
        ),
        Mistake(
            "a gap is not a vote for level",
            lambda answers: _majority(torch.where(answers == UNKNOWN, 0, answers)),
        ),
        Mistake(
            "where no two agree you say level, 0; nobody knows there, which is UNKNOWN",
            lambda answers: torch.where(
                (answers == answers.mode(0).values).sum(0) >= 2, answers.mode(0).values, 0
            ),
        ),
        Mistake("you believe the first annotator alone", lambda answers: answers[0]),
    ),
)

EXERCISES: dict[str, Exercise] = {"09.1": _FBI, "09.2": _BIAS, "09.3": _SHARES, "09.4": _VOTES}
