"""The exercises of notebook 07: paired intervals, percent, power, and what pairing is worth."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from statistics import mean, pstdev, stdev

from hemlets_lib.exercises.contract import Exercise, Mistake
from hemlets_lib.experiments.statistics import detectable_effect, mean_interval, paired_difference

__all__ = ["EXERCISES"]

_NORMAL = 1.959964  # what Student's quantile tends to with many seeds
_POWER = 0.8
_NORMAL_POWER = 0.841621  # the normal quantile at it
Pairs = Sequence[float]
BySeed = Mapping[int, float]


def _student(probability: float, degrees: int) -> float:
    from scipy.stats import t

    return float(t.ppf(probability, degrees))


def _excludes_zero(pairs: Pairs) -> bool:
    return mean_interval(pairs).excludes_zero


def _beyond(pairs: Pairs, factor: float, error: float) -> bool:
    """Whether the mean of the pairs is more than so many errors away from zero."""
    return abs(mean(pairs)) > factor * error


def _error(pairs: Pairs) -> float:
    return stdev(pairs) / math.sqrt(len(pairs))


def _about(middle: float, errors: float) -> tuple[float, float, float]:
    """Three differences with this mean, which is so many standard errors away from zero."""
    step = round(middle / errors * math.sqrt(3), 2)
    return middle - step, middle, middle + step


_EXCLUDES = Exercise(
    "Does the interval of Eq. (7.1) exclude zero?",
    _excludes_zero,
    (
        ((-3.0, -3.4),),
        ((-3.0, -5.0),),
        *((_about(6.0, errors),) for errors in (1.8, 2.4, 3.05, 3.35, 4.0, 6.0, 9.0)),
        (_about(-6.0, 9.0),),
        ((-1.0, 0.5, 0.4, -0.6, 0.8),),
    ),
    (
        Mistake(
            "your answers are the wrong way round: True is asked for where zero lies outside",
            lambda pairs: not _excludes_zero(pairs),
        ),
        Mistake(
            "you use the normal distribution's 1.96; with so few seeds Student's quantile for n − 1 degrees "
            "of "
            "freedom is much larger",
            lambda pairs: _beyond(pairs, _NORMAL, _error(pairs)),
        ),
        Mistake(
            "you ask whether all seeds agree on the sign; a few seeds may all be lucky, so their spread "
            "counts too",
            lambda pairs: min(pairs) > 0 or max(pairs) < 0,
        ),
        Mistake(
            "your quantile is one-sided: 95 % about the mean leave 2.5 % at either end",
            lambda pairs: _beyond(pairs, _student(0.95, len(pairs) - 1), _error(pairs)),
        ),
        Mistake(
            "count the degrees of freedom again: the mean has used one up, n − 1 are left",
            lambda pairs: _beyond(pairs, _student(0.975, len(pairs)), _error(pairs)),
        ),
        Mistake(
            "your standard deviation divides by n; Eq. (7.1) divides by n − 1",
            lambda pairs: _beyond(
                pairs, _student(0.975, len(pairs) - 1), pstdev(pairs) / math.sqrt(len(pairs))
            ),
        ),
        Mistake(
            "√n is missing: the mean of several seeds is surer than a single one",
            lambda pairs: _beyond(pairs, _student(0.975, len(pairs) - 1), stdev(pairs)),
        ),
        Mistake(
            "an improvement is a negative difference: it is the size of the mean that counts, not its sign",
            lambda pairs: mean(pairs) > _student(0.975, len(pairs) - 1) * _error(pairs),
        ),
    ),
)


def _both(values: BySeed, baseline: BySeed) -> list[int]:
    return sorted(values.keys() & baseline.keys())


def _of(pairs: Pairs, factor: float | None = None) -> tuple[float, float]:
    """Mean and half-width of the interval."""
    factor = _student(0.975, len(pairs) - 1) if factor is None else factor
    return mean(pairs), factor * _error(pairs)


def _gains(values: BySeed, baseline: BySeed) -> list[float]:
    return [100 * (values[seed] / baseline[seed] - 1) for seed in _both(values, baseline)]


def _percent(values: BySeed, baseline: BySeed) -> tuple[float, float]:
    return _of(_gains(values, baseline))


def _percent_of_the_mean(values: BySeed, baseline: BySeed) -> tuple[float, float]:
    found = paired_difference(values, baseline)
    level = mean(baseline[seed] for seed in _both(values, baseline))
    return 100 * found.mean / level, 100 * (found.half_width or 0.0) / level  # type: ignore[union-attr]


def _percent_of_itself(values: BySeed, baseline: BySeed) -> tuple[float, float]:
    return _of([100 * (1 - baseline[seed] / values[seed]) for seed in _both(values, baseline)])


def _by_place(values: BySeed, baseline: BySeed) -> tuple[float, float]:
    pairs = zip(values.values(), baseline.values(), strict=False)
    return _of([100 * (mine / theirs - 1) for mine, theirs in pairs])


def _scaled(change: Callable[[float], float]) -> Callable[[BySeed, BySeed], tuple[float, float]]:
    return lambda values, baseline: _of([change(gain) for gain in _gains(values, baseline)])


_PERCENT = Exercise(
    "The change in percent of the baseline, seed by seed: mean and half-width.",
    _percent,
    (
        ({0: 57.0, 1: 66.0, 2: 63.0}, {0: 60.0, 1: 70.0, 2: 65.0}),
        ({0: 50.0, 1: 100.0}, {0: 40.0, 1: 120.0}),
        ({3: 44.0, 1: 91.0, 2: 63.0, 7: 30.0}, {1: 90.0, 2: 70.0, 3: 45.0, 5: 80.0}),
    ),
    (
        Mistake(
            "your sign is the wrong way round: less error than the baseline is a negative change",
            _scaled(lambda gain: -gain),
        ),
        Mistake("that is a fraction; percent are asked for", _scaled(lambda gain: gain / 100)),
        Mistake(
            "that is the condition as percent of the baseline; what is asked for is the change, so 100 less",
            _scaled(lambda gain: 100 + gain),
        ),
        Mistake(
            "you divide millimetres by the mean baseline; here each seed's change is put into percent of "
            "that "
            "seed's own baseline first",
            _percent_of_the_mean,
        ),
        Mistake("you divide by the condition; the baseline is the whole", _percent_of_itself),
        Mistake(
            "you pair values by their place in the mapping: seeds are its keys, and only those that both "
            "have "
            "make pairs",
            _by_place,
        ),
        Mistake(
            "1.96 is for many seeds; Eq. (7.1) takes Student's quantile for n − 1 degrees of freedom",
            lambda values, baseline: _of(_gains(values, baseline), _NORMAL),
        ),
        Mistake(
            "√n is missing in the half-width: that is the interval of a single seed",
            lambda values, baseline: (
                _percent(values, baseline)[0],
                _percent(values, baseline)[1] * math.sqrt(len(_both(values, baseline))),
            ),
        ),
    ),
)


def _first(reached: Callable[[int], bool]) -> int:
    return next(n for n in range(2, 10_000) if reached(n))


def _seeds_needed(deviation: float, effect: float) -> int:
    return _first(lambda n: detectable_effect(deviation, n, power=_POWER) <= effect)


def _with_quantiles(deviation: float, effect: float, quantiles: Callable[[int], float]) -> int:
    return _first(lambda n: quantiles(n) * deviation / math.sqrt(n) <= effect)


_SEEDS = Exercise(
    "The smallest number of seeds that shows an effect with a probability of 80 %, by Eq. (7.2).",
    _seeds_needed,
    tuple(product((1.0, 3.0), (3.0, 1.5, 1.0))),
    (
        Mistake(
            "you stop as soon as the interval alone is narrow enough: the term for the power of 80 % is "
            "missing",
            lambda deviation, effect: _with_quantiles(deviation, effect, lambda n: _student(0.975, n - 1)),
        ),
        Mistake(
            "you use quantiles of the normal distribution; Student's depend on n, and at few seeds they are "
            "larger",
            lambda deviation, effect: math.ceil(((_NORMAL + _NORMAL_POWER) * deviation / effect) ** 2),
        ),
        Mistake(
            "your answer is one too small: an effect as large as δ has to be reached, and at yours it is "
            "not yet",
            lambda deviation, effect: _seeds_needed(deviation, effect) - 1,
        ),
        Mistake(
            "you divide by n; the spread of a mean falls with √n",
            lambda deviation, effect: _first(
                lambda n: (_student(0.975, n - 1) + _student(_POWER, n - 1)) * deviation / n <= effect
            ),
        ),
        Mistake(
            "both quantiles of yours are two-sided; the power's is t at 0.8, since only one side counts "
            "there",
            lambda deviation, effect: _with_quantiles(
                deviation, effect, lambda n: _student(0.975, n - 1) + _student(0.9, n - 1)
            ),
        ),
        Mistake(
            "your interval is one-sided: its quantile is that at 0.975",
            lambda deviation, effect: _with_quantiles(
                deviation, effect, lambda n: _student(0.95, n - 1) + _student(_POWER, n - 1)
            ),
        ),
        Mistake(
            "deviation and effect have changed places: more spread needs more seeds, a larger effect fewer",
            lambda deviation, effect: _seeds_needed(effect, deviation),
        ),
    ),
)


def _quantile_ratio(n: int, probability: float = 0.975) -> float:
    """Student's quantile of the unpaired comparison over that of the paired one."""
    return _student(probability, 2 * n - 2) / _student(probability, n - 1)


def _break_even(n: int) -> float:
    return 1 - _quantile_ratio(n) ** 2


_CORRELATION = Exercise(
    "The correlation from which on pairing makes the interval of n seeds narrower.",
    _break_even,
    ((3,), (2,), (5,), (10,)),
    (
        Mistake(
            "that would be right without Student: pairing also costs degrees of freedom, n − 1 instead of "
            "2n − 2",
            lambda n: 0.0,
        ),
        Mistake(
            "the half-widths go with the *root* of the variance: at equal width the ratio of the quantiles "
            "comes "
            "in squared",
            lambda n: 1 - _quantile_ratio(n),
        ),
        Mistake(
            "you found 1 − ρ; solve for ρ itself",
            lambda n: _quantile_ratio(n) ** 2,
        ),
        Mistake(
            "the quotient is upside down: the paired quantile is the larger one, and ρ cannot be negative "
            "here",
            lambda n: 1 - _quantile_ratio(n) ** -2,
        ),
        Mistake(
            "the 2 in Var d = 2σ²(1 − ρ) is in the unpaired variance too, and cancels; you have half of the "
            "answer",
            lambda n: _break_even(n) / 2,
        ),
        Mistake(
            "the unpaired comparison estimates two means from 2n values: 2n − 2 degrees of freedom, not 2n "
            "− 1",
            lambda n: 1 - (_student(0.975, 2 * n - 1) / _student(0.975, n - 1)) ** 2,
        ),
        Mistake("take the quantile at 0.975, not 0.95", lambda n: 1 - _quantile_ratio(n, 0.95) ** 2),
    ),
)


def _totals(pairs: Pairs) -> list[float]:
    """The sums under every choice of signs."""
    signs = product((1, -1), repeat=len(pairs))
    return [sum(sign * pair for sign, pair in zip(each, pairs, strict=True)) for each in signs]


def _share(pairs: Pairs, counts: Callable[[float, float], bool]) -> float:
    found, totals = sum(pairs), _totals(pairs)
    return sum(counts(total, found) for total in totals) / len(totals)


_SLACK = 1e-9  # sums of the same numbers in another order


def _sign_flips(pairs: Pairs) -> float:
    return _share(pairs, lambda total, found: abs(total) >= abs(found) - _SLACK)


_FLIPS = Exercise(
    "The share of sign choices whose mean is at least as far from zero as the one found.",
    _sign_flips,
    (((-3.0, -4.0, -2.0),), ((1.0, 2.0, -1.5, 4.0),), ((-5.0, 1.0, -2.0, 2.5, -1.0, -3.5),), ((2.0,),)),
    (
        Mistake(
            "you look at one side only: as far from zero in the *other* direction counts too",
            lambda pairs: _share(
                pairs, lambda total, found: total * math.copysign(1, found) >= abs(found) - _SLACK
            ),
        ),
        Mistake(
            "'at least as far' includes what was found itself: your share can become 0, which no test may "
            "say",
            lambda pairs: _share(pairs, lambda total, found: abs(total) > abs(found) + _SLACK),
        ),
        Mistake(
            "you count the choices that come out *nearer* to zero",
            lambda pairs: _share(pairs, lambda total, found: abs(total) < abs(found) - _SLACK),
        ),
        Mistake(
            "that is the least share there can be, 2/2ⁿ, whatever the numbers; count the choices",
            lambda pairs: 2 / 2 ** len(pairs),
        ),
        Mistake(
            "you return a number of choices; divide it by 2ⁿ",
            lambda pairs: _sign_flips(pairs) * 2 ** len(pairs),
        ),
        Mistake(
            "you turn one sign at a time; every combination of signs is a choice of its own",
            lambda pairs: mean(
                abs(sum(pairs) - 2 * pair) >= abs(sum(pairs)) - _SLACK for pair in (0.0, *pairs)
            ),
        ),
    ),
)

EXERCISES: dict[str, Exercise] = {
    "07.1": _EXCLUDES,
    "07.2": _PERCENT,
    "07.3": _SEEDS,
    "07.4": _CORRELATION,
    "07.5": _FLIPS,
}
