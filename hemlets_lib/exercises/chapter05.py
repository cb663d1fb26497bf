"""The exercises of notebook 05: training."""

from __future__ import annotations

import torch
from torch import Tensor

from hemlets_lib.exercises.contract import Exercise
from hemlets_lib.exercises.inputs import random_tensor

__all__ = ["EXERCISES"]


def _times_seen(steps: int, batch_size: int, samples: int) -> float:
    return steps * batch_size / samples


def _linear_rate(step: int, steps: int, peak: float, warmup: int) -> float:
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * (1 - 0.99 * (step - warmup) / (steps - warmup))


def _adam_after(t: int, g: float, rate: float) -> float:
    """With equal gradients both corrected averages are what they average, at every step."""
    return -rate * t * g / (abs(g) + 1e-8)


def _together(means: Tensor, variances: Tensor, counts: Tensor) -> Tensor:
    """Mean and variance of groups together: the groups' variances, and that of their means."""
    shares = (counts / counts.sum())[:, None]
    mean = (shares * means).sum(0)
    return torch.stack([mean, (shares * (variances + (means - mean).square())).sum(0)])


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
    ),
    "05.2": Exercise(
        "A learning rate that falls along a straight line.",
        _linear_rate,
        ((0, 100, 1.0, 10), (9, 100, 1.0, 10), (10, 100, 1.0, 10), (55, 100, 2.0, 10), (99, 100, 2.0, 0)),
    ),
    "05.3": Exercise(
        "How far Adam has gone with equal gradients.",
        _adam_after,
        ((1, 0.02, 1e-3), (10, -300.0, 0.1), (100, 1e-6, 0.1), (50, 1e-8, 0.1)),
    ),
    "05.4": Exercise(
        "Mean and variance of several processes together.",
        _together,
        (_groups((4, 4), 2, seed=0), _groups((3, 5, 9), 7, seed=3)),
    ),
}
