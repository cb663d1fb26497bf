"""The exercises of notebook 05: training."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from hemlets_lib.exercises.contract import Exercise, Mistake
from hemlets_lib.exercises.inputs import random_tensor

__all__ = ["EXERCISES"]

_EPSILON = 1e-8  # Adam's
_BETAS = (0.9, 0.999)


def _times_seen(steps: int, batch_size: int, samples: int) -> float:
    return steps * batch_size / samples


_TIMES_SEEN_MISTAKES = (
    Mistake(
        "a step is counted as one sample: it takes a whole batch of them",
        lambda steps, batch_size, samples: steps / samples,
    ),
    Mistake(
        "the fraction is upside down: that is the part of a pass that a run leaves for each look",
        lambda steps, batch_size, samples: samples / (steps * batch_size),
    ),
    Mistake(
        "whole passes only: a run may end in the middle of one, and the average need not be whole",
        lambda steps, batch_size, samples: steps * batch_size // samples,
    ),
    Mistake(
        "a pass that is begun counts as a whole one in your answer: the average need not be whole",
        lambda steps, batch_size, samples: math.ceil(steps * batch_size / samples),
    ),
    Mistake(
        "that is how many pictures the run sees in all: among how many samples are they shared out?",
        lambda steps, batch_size, samples: steps * batch_size,
    ),
    Mistake(
        "that is how many steps one pass takes: how many such passes fit into the run?",
        lambda steps, batch_size, samples: samples / batch_size,
    ),
)


def _linear_rate(step: int, steps: int, peak: float, warmup: int) -> float:
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * (1 - 0.99 * (step - warmup) / (steps - warmup))


def _warmed(step: int, warmup: int, peak: float, afterwards: float) -> float:
    """The warm-up of Eq. (5.4), then `afterwards`."""
    return peak * (step + 1) / warmup if step < warmup else afterwards


def _gone(step: int, steps: int, warmup: int) -> float:
    """Share of the way from the end of the warm-up to the last step."""
    return (step - warmup) / (steps - warmup)


_LINEAR_RATE_MISTAKES = (
    Mistake(
        "your line goes down to 0: a hundredth of the peak should be left at step `steps`",
        lambda step, steps, peak, warmup: _warmed(
            step, warmup, peak, peak * (1 - _gone(step, steps, warmup))
        ),
    ),
    Mistake(
        "your line begins at step 0: at the end of the warm-up the rate has to be the peak itself",
        lambda step, steps, peak, warmup: _warmed(step, warmup, peak, peak * (1 - 0.99 * step / steps)),
    ),
    Mistake(
        "the warm-up is one step late: the very first step, number 0, takes a share of the peak already",
        lambda step, steps, peak, warmup: (
            peak * step / warmup if step < warmup else _linear_rate(step, steps, peak, warmup)
        ),
    ),
    Mistake(
        "there is no warm-up: below step `warmup` the rate rises, as in Eq. (5.4)",
        lambda step, steps, peak, warmup: peak * (1 - 0.99 * _gone(step, steps, warmup)),
    ),
    Mistake(
        "that is still the cosine of Eq. (5.4): a straight line was asked for",
        lambda step, steps, peak, warmup: _warmed(
            step, warmup, peak, peak * (0.01 + 0.495 * (1 + math.cos(math.pi * _gone(step, steps, warmup))))
        ),
    ),
    Mistake(
        "the line ends at 0.01, whatever the peak: it should end at a hundredth *of the peak*",
        lambda step, steps, peak, warmup: _warmed(
            step, warmup, peak, peak + (0.01 - peak) * _gone(step, steps, warmup)
        ),
    ),
    Mistake(
        "the line is a step short: the hundredth belongs to step `steps`, which comes after the last",
        lambda step, steps, peak, warmup: _warmed(
            step, warmup, peak, peak * (1 - 0.99 * (step - warmup) / (steps - 1 - warmup))
        ),
    ),
    Mistake(
        "the line goes down to 0 and is stopped at a hundredth: it should arrive there at the end, not "
        "before",
        lambda step, steps, peak, warmup: _warmed(
            step, warmup, peak, peak * max(1 - _gone(step, steps, warmup), 0.01)
        ),
    ),
    Mistake(
        "that is a share of the peak, not a rate",
        lambda step, steps, peak, warmup: _linear_rate(step, steps, 1.0, warmup),
    ),
)


def _adam_after(t: int, g: float, rate: float) -> float:
    """With equal gradients both corrected averages are what they average, at every step."""
    return -rate * t * g / (abs(g) + _EPSILON)


def _adam_uncorrected(t: int, g: float, rate: float) -> float:
    first, second = _BETAS
    return -rate * sum(
        (1 - first**step) * g / (math.sqrt(1 - second**step) * abs(g) + _EPSILON) for step in range(1, t + 1)
    )


_ADAM_MISTAKES = (
    Mistake(
        "the sign is wrong: a step goes against the gradient",
        lambda t, g, rate: -_adam_after(t, g, rate),
    ),
    Mistake(
        "that is plain gradient descent: Adam divides by the root of the averaged square, so the gradient's "
        "size nearly cancels",
        lambda t, g, rate: -rate * t * g,
    ),
    Mistake(
        "that is a single step: with equal gradients every one of the `t` steps is as long",
        lambda t, g, rate: _adam_after(1, g, rate),
    ),
    Mistake(
        "ε is left out: it does not matter until the gradient is as small as ε itself, and one case has that",
        lambda t, g, rate: -rate * t * math.copysign(1.0, g),
    ),
    Mistake(
        "the averages are not corrected for their start at 0, Eq. (5.3): without that the first steps are "
        "too long",
        _adam_uncorrected,
    ),
    Mistake(
        "the root is missing: the second average is one of squares, and has to be brought back to the size "
        "of a gradient",
        lambda t, g, rate: -rate * t * g / (g * g + _EPSILON),
    ),
    Mistake(
        "the weight moves the same way for positive and negative gradients: only the second average forgets "
        "the sign",
        lambda t, g, rate: -rate * t * abs(g) / (abs(g) + _EPSILON),
    ),
    Mistake(
        "ε stands under the root, where it counts as 10⁻⁴ does outside: Eq. (5.3) adds it to the root",
        lambda t, g, rate: -rate * t * g / math.sqrt(g * g + _EPSILON),
    ),
)


def _together(means: Tensor, variances: Tensor, counts: Tensor) -> Tensor:
    """Mean and variance of groups together: the groups' variances, and that of their means."""
    shares = _shares(counts)
    mean = (shares * means).sum(0)
    return torch.stack([mean, (shares * (variances + (means - mean).square())).sum(0)])


def _shares(counts: Tensor) -> Tensor:
    return (counts / counts.sum())[:, None]


def _together_with(means: Tensor, counts: Tensor, variance: Tensor) -> Tensor:
    """The right mean, and a variance."""
    return torch.stack([(_shares(counts) * means).sum(0), variance])


_TOGETHER_MISTAKES = (
    Mistake(
        "every process counts the same in your answer: they have different numbers of values, see `counts`",
        lambda means, variances, counts: _together(means, variances, torch.ones_like(counts)),
    ),
    Mistake(
        "the variance is too small: besides the spread within each process there is that of their means "
        "about the common one",
        lambda means, variances, counts: _together_with(means, counts, (_shares(counts) * variances).sum(0)),
    ),
    Mistake(
        "means and variances are averaged plainly: that forgets `counts`, and that the means differ",
        lambda means, variances, counts: torch.stack([means.mean(0), variances.mean(0)]),
    ),
    Mistake(
        "the second row is the mean of the squares: the square of the mean has to come off",
        lambda means, variances, counts: _together_with(
            means, counts, (_shares(counts) * (variances + means.square())).sum(0)
        ),
    ),
    Mistake(
        "that is the variance with 1/(n - 1): batch normalisation, and this exercise, use 1/n",
        lambda means, variances, counts: _together_with(
            means, counts, _together(means, variances, counts)[1] * counts.sum() / (counts.sum() - 1)
        ),
    ),
    Mistake(
        "the second row is a standard deviation: the variance is its square",
        lambda means, variances, counts: _together_with(
            means, counts, _together(means, variances, counts)[1].sqrt()
        ),
    ),
    Mistake(
        "the rows have changed places: first the mean, then the variance",
        lambda means, variances, counts: _together(means, variances, counts).flip(0),
    ),
    Mistake(
        "that is the variance of the *mean* of all values: you have weighed with squared shares",
        lambda means, variances, counts: _together_with(
            means, counts, (_shares(counts).square() * variances).sum(0)
        ),
    ),
)


def _groups(counts: tuple[int, ...], channels: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Each group's means and variances, and how many values it has."""
    groups = [random_tensor(count, channels, seed=seed + place) + place for place, count in enumerate(counts)]
    means = torch.stack([group.mean(0) for group in groups])
    variances = torch.stack([group.var(0, correction=0) for group in groups])
    return means, variances, torch.tensor(counts)


EXERCISES: dict[str, Exercise] = {
    "05.1": Exercise(
        "How often a run sees each sample.",
        _times_seen,
        ((1000, 32, 16_000), (100_000, 64, 320_000), (7, 3, 42)),
        _TIMES_SEEN_MISTAKES,
    ),
    "05.2": Exercise(
        "A learning rate that falls along a straight line.",
        _linear_rate,
        (
            (0, 100, 1.0, 10),
            (9, 100, 1.0, 10),
            (10, 100, 1.0, 10),
            (55, 100, 2.0, 10),
            (99, 100, 2.0, 0),
            (999, 1000, 3.0, 0),
        ),
        _LINEAR_RATE_MISTAKES,
    ),
    "05.3": Exercise(
        "How far Adam has gone with equal gradients.",
        _adam_after,
        ((1, 0.02, 1e-3), (10, -300.0, 0.1), (100, 1e-6, 0.1), (50, 1e-8, 0.1)),
        _ADAM_MISTAKES,
    ),
    "05.4": Exercise(
        "Mean and variance of several processes together.",
        _together,
        (_groups((4, 4), 2, seed=0), _groups((3, 5, 9), 7, seed=3)),
        _TOGETHER_MISTAKES,
    ),
}
