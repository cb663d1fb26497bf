"""The exercises of notebook 12: verdicts, means with gaps, orders, rounding, and ratios of times."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import mean, stdev

import torch
from torch import Tensor

from hemlets_lib.exercises.contract import Exercise, Mistake
from hemlets_lib.experiments.statistics import mean_interval

__all__ = ["EXERCISES"]


def _verdict(differences: Sequence[float], claimed: int) -> int:
    """Rule 1 of `experiments.verdicts`, as a number."""
    found = mean_interval(differences)
    return claimed * _sign(found.mean) if found.excludes_zero else 0


def _sign(value: float) -> int:
    return (value > 0) - (value < 0)


def _two_errors(differences: Sequence[float], claimed: int) -> int:
    if len(differences) < 2:
        return 0
    errors = stdev(differences) / math.sqrt(len(differences))
    return claimed * _sign(mean(differences)) if abs(mean(differences)) > 2 * errors else 0


def _one_seed_decides(differences: Sequence[float], claimed: int) -> int:
    return claimed * _sign(differences[0]) if len(differences) == 1 else _verdict(differences, claimed)


def _all_agree(differences: Sequence[float], claimed: int) -> int:
    signs = {_sign(each) for each in differences}
    return claimed * signs.pop() if len(signs) == 1 else 0


_VERDICT = Exercise(
    "The verdict on a claim: 1 reproduced, −1 not reproduced, 0 undecided.",
    _verdict,
    (
        ((-5.0, -6.0, -7.0), -1),
        ((-1.0, -6.0, -11.0), -1),
        ((5.0, 6.0, 7.0), -1),
        ((5.0, 6.0, 7.0), 1),
        ((-30.0,), -1),
        ((4.0, 6.0, 9.0), 1),
        ((-2.0, 6.0, 1.0, -3.0), 1),
        ((-9.0, -9.5, -8.8, -9.1, -9.4), 1),
    ),
    (
        Mistake(
            "you go by the mean alone; an interval that holds zero leaves the claim open",
            lambda differences, claimed: claimed * _sign(mean(differences)),
        ),
        Mistake(
            "you do not ask which side was claimed: an interval on the other side does *not* reproduce it",
            lambda differences, claimed: abs(_verdict(differences, claimed)),
        ),
        Mistake(
            "you give the sign of the difference; 1 means that it agrees with the claim's, whichever that is",
            lambda differences, claimed: claimed * _verdict(differences, claimed),
        ),
        Mistake(
            "your verdicts are turned round: reproduced is the interval on the claim's own side",
            lambda differences, claimed: -_verdict(differences, claimed),
        ),
        Mistake(
            "a single seed has no interval, so nothing is decided by it",
            _one_seed_decides,
        ),
        Mistake(
            "two standard errors are not enough with so few seeds: Eq. (12.1) has Student's factor",
            _two_errors,
        ),
        Mistake(
            "seeds that agree on the sign may still be lucky; the rule is about the interval of their mean",
            _all_agree,
        ),
        Mistake(
            "an interval that holds zero is no refutation: undecided is 0",
            lambda differences, claimed: _verdict(differences, claimed) or -1,
        ),
    ),
)


def _mean_of_rows(cells: Tensor) -> Tensor:
    return cells.nanmean(1).mean()


_nan = math.nan

_SUBJECTS = Exercise(
    "The mean over actions of the mean over the subjects that an action has.",
    _mean_of_rows,
    (
        (torch.tensor([[13.5, 9.9, 17.1], [24.5, 14.8, 14.4]]),),
        (torch.tensor([[10.0, 20.0, _nan], [40.0, 40.0, 40.0]]),),
        (torch.tensor([[13.5, _nan, 17.1], [24.5, 14.8, 14.4], [30.0, _nan, _nan], [12.0, 18.0, 27.0]]),),
    ),
    (
        Mistake(
            "you average all cells at once, so that an action with a missing subject counts for less",
            lambda cells: cells.nanmean(),
        ),
        Mistake(
            "a cell that is missing is not an error of 0 mm: leave it out of the mean",
            lambda cells: cells.nan_to_num(0).mean(),
        ),
        Mistake(
            "a missing cell, NaN, eats the mean: take only the subjects that are there",
            lambda cells: cells.mean(),
        ),
        Mistake(
            "you average each subject first; the rows are actions, and they come first",
            lambda cells: cells.nanmean(0).mean(),
        ),
        Mistake(
            "you dropped every action that lacks a subject; the others of it are there",
            lambda cells: cells[~cells.isnan().any(1)].mean(),
        ),
        Mistake(
            "you dropped every subject who lacks an action; where they are there, they count",
            lambda cells: cells[:, ~cells.isnan().any(0)].mean(),
        ),
        Mistake(
            "you add the actions up; their mean is asked for",
            lambda cells: cells.nanmean(1).sum(),
        ),
    ),
)


def _agreeing(names: int, tau: float, pairs: Callable[[int], int] = lambda names: math.comb(names, 2)) -> int:
    return math.ceil(pairs(names) * (1 + tau) / 2)


_PAIRS = Exercise(
    "The fewest pairs in the same order that make Kendall's τ at least so large, without ties.",
    _agreeing,
    ((4, 1.0), (15, 0.5), (3, 0.2), (5, 0.1), (15, -0.25)),
    (
        Mistake(
            "you took τ for the share of pairs in the same order; each pair in the other order also takes "
            "one off",
            lambda names, tau: math.ceil(math.comb(names, 2) * tau),
        ),
        Mistake(
            "count the pairs again: each is one pair, whichever of the two is named first",
            lambda names, tau: _agreeing(names, tau, lambda n: n * (n - 1)),
        ),
        Mistake(
            "nothing makes a pair with itself: of m names there are m(m − 1)/2 pairs",
            lambda names, tau: _agreeing(names, tau, lambda n: n * (n + 1) // 2),
        ),
        Mistake(
            "rounded down, it is one pair too few: τ would stay below",
            lambda names, tau: math.floor(math.comb(names, 2) * (1 + tau) / 2),
        ),
        Mistake(
            "those are the pairs in the *other* order",
            lambda names, tau: math.comb(names, 2) - _agreeing(names, tau),
        ),
        Mistake(
            "you return a share; the number of pairs is asked for",
            lambda names, tau: (1 + tau) / 2,
        ),
        Mistake(
            "one pair fewer would do where the number comes out whole: at least so large includes equal",
            lambda names, tau: math.floor(math.comb(names, 2) * (1 + tau) / 2) + 1,
        ),
    ),
)

Bounds = tuple[float, float]


def _off(digits: int) -> float:
    """How far a number may be from what is printed with so many digits after the point."""
    return 0.5 * 10.0**-digits


def _ratio_bounds(above: float, below: float, digits: int) -> Bounds:
    half = _off(digits)
    return (above - half) / (below + half), (above + half) / (below - half)


def _together(above: float, below: float, digits: int) -> Bounds:
    half = _off(digits)
    first, second = (above - half) / (below - half), (above + half) / (below + half)
    return min(first, second), max(first, second)


def _one_rounded(above: float, below: float, digits: int) -> Bounds:
    half = _off(digits)
    return (above - half) / below, (above + half) / below


def _difference_bounds(above: float, below: float, digits: int) -> Bounds:
    return above - below - 2 * _off(digits), above - below + 2 * _off(digits)


_ROUNDED = Exercise(
    "The smallest and the largest ratio that two printed numbers can have had before rounding.",
    _ratio_bounds,
    ((13.3, 8.5, 1), (3.0, 2.9, 1), (48.0, 34.0, 0), (1.25, 0.75, 2)),
    (
        Mistake(
            "the smallest ratio comes second with you",
            lambda above, below, digits: _ratio_bounds(above, below, digits)[::-1],
        ),
        Mistake(
            "rounding moves a number by *half* of its last digit at most",
            lambda above, below, digits: (
                (above - 2 * _off(digits)) / (below + 2 * _off(digits)),
                (above + 2 * _off(digits)) / (below - 2 * _off(digits)),
            ),
        ),
        Mistake(
            "you move both numbers the same way; a ratio is smallest when the one above is low and the one "
            "below is high",
            _together,
        ),
        Mistake("the number below the line was rounded, too", _one_rounded),
        Mistake(
            "you round the ratio; the numbers that it is made of were rounded, each by itself",
            lambda above, below, digits: (above / below - _off(digits), above / below + _off(digits)),
        ),
        Mistake("those are bounds of the difference; the ratio is asked for", _difference_bounds),
        Mistake(
            "your ratio is upside down: the first number stands above the line",
            lambda above, below, digits: _ratio_bounds(below, above, digits),
        ),
    ),
)

Interval = tuple[float, float, float]
Times = Sequence[float]


def _student(probability: float, degrees: int) -> float:
    from scipy.stats import t

    return float(t.ppf(probability, degrees))


def _logs(full_ms: Times, base_ms: Times) -> list[float]:
    return [math.log(full / base) for full, base in zip(full_ms, base_ms, strict=True)]


def _about(middle: float, half_width: float) -> Interval:
    """Ratio and bounds from those of its logarithm."""
    return math.exp(middle), math.exp(middle - half_width), math.exp(middle + half_width)


def _ratio_interval(full_ms: Times, base_ms: Times) -> Interval:
    found = mean_interval(_logs(full_ms, base_ms))
    return _about(found.mean, found.half_width or 0.0)


def _of_ratios(full_ms: Times, base_ms: Times) -> Interval:
    found = mean_interval([full / base for full, base in zip(full_ms, base_ms, strict=True)])
    half_width = found.half_width or 0.0
    return found.mean, found.mean - half_width, found.mean + half_width


def _in_logarithms(full_ms: Times, base_ms: Times) -> Interval:
    found = mean_interval(_logs(full_ms, base_ms))
    half_width = found.half_width or 0.0
    return found.mean, found.mean - half_width, found.mean + half_width


def _with_width(width: Callable[[list[float]], float]) -> Callable[[Times, Times], Interval]:
    def answer(full_ms: Times, base_ms: Times) -> Interval:
        logs = _logs(full_ms, base_ms)
        return _about(mean(logs), width(logs))

    return answer


def _unpaired(full_ms: Times, base_ms: Times) -> Interval:
    """Both networks' logarithms by themselves, as if the machine had been the same to each turn."""
    full, base = ([math.log(each) for each in times] for times in (full_ms, base_ms))
    n = len(full)
    error = math.sqrt((stdev(full) ** 2 + stdev(base) ** 2) / n)
    return _about(mean(full) - mean(base), _student(0.975, 2 * n - 2) * error)


def _sorted_turns(full_ms: Times, base_ms: Times) -> Interval:
    return _ratio_interval(sorted(full_ms), sorted(base_ms))


_SPEED = Exercise(
    "The ratio of times taken in turns with its 95 % interval, by way of logarithms.",
    _ratio_interval,
    (
        ((20.0, 40.0, 30.0), (10.0, 19.0, 16.0)),
        ((131.0, 118.0, 260.0, 122.0, 125.0), (61.0, 60.0, 118.0, 64.0, 58.0)),
        ((7.0, 9.0), (8.0, 8.5)),
    ),
    (
        Mistake(
            "you average the ratios themselves; then twice as fast and half as fast do not cancel: their "
            "logarithms do",
            _of_ratios,
        ),
        Mistake("those are still logarithms: undo them at the end", _in_logarithms),
        Mistake(
            "your ratio is upside down: the full network's time over the baseline's",
            lambda full_ms, base_ms: _ratio_interval(base_ms, full_ms),
        ),
        Mistake(
            "you left the turns out: what slowed the machine down hit both networks of a turn, so they are "
            "a pair",
            _unpaired,
        ),
        Mistake(
            "sorting takes the pairs apart: the first time of one belongs to the first of the other",
            _sorted_turns,
        ),
        Mistake(
            "1.96 is for many turns; with few it takes Student's factor, as in Eq. (12.1)",
            _with_width(lambda logs: 1.959964 * stdev(logs) / math.sqrt(len(logs))),
        ),
        Mistake(
            "√n is missing: that is where single turns lie, not how sure their mean is",
            _with_width(lambda logs: _student(0.975, len(logs) - 1) * stdev(logs)),
        ),
    ),
)

EXERCISES: dict[str, Exercise] = {
    "12.1": _VERDICT,
    "12.2": _SUBJECTS,
    "12.3": _PAIRS,
    "12.4": _ROUNDED,
    "12.5": _SPEED,
}
