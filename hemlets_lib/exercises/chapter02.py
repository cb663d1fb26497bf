"""The exercises of notebook 02: soft-argmax and the losses."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from hemlets_lib.exercises.contract import Exercise
from hemlets_lib.exercises.inputs import random_tensor
from hemlets_lib.geometry import Grid
from hemlets_lib.heatmaps import soft_argmax_2d

__all__ = ["EXERCISES"]


def _argmax_rms_mm(crop_mm: float, n: int) -> float:
    return crop_mm / n / math.sqrt(12)


def _tempered_mean(scores: Tensor, beta: float) -> Tensor:
    return soft_argmax_2d(beta * scores[None, :])[0]


def _gradient(scores: Tensor) -> Tensor:
    """d x̂ / d scores = p (x - x̂)."""
    probs, x = scores.softmax(-1), Grid.CELL_CENTRED.centres(scores.shape[-1])
    return probs * (x - (probs * x).sum())


def _joint_loss(predicted: Tensor, target: Tensor, has_depth: Tensor, n: int) -> Tensor:
    errors = (predicted - target).abs() * n
    depth = torch.where(has_depth[:, None], errors[..., 2], 0)
    return (errors[..., :2].sum((1, 2)) + depth.sum(1)).mean()


def _mixed_batch(has_depth: tuple[bool, ...], n: int, seed: int) -> tuple[Tensor, Tensor, Tensor, int]:
    """Predictions and targets of some three-joint samples; NaN where there is no depth."""
    known = torch.tensor(has_depth)
    target = random_tensor(len(has_depth), 3, 3, seed=seed)
    target[..., 2] = torch.where(known[:, None], target[..., 2], torch.nan)
    return random_tensor(len(has_depth), 3, 3, seed=seed + 9), target, known, n


EXERCISES: dict[str, Exercise] = {
    "02.1": Exercise(
        "The rms error of arg-max in mm.", _argmax_rms_mm, ((2000.0, 64), (2000.0, 16), (1500.0, 24))
    ),
    "02.2": Exercise(
        "Soft-argmax with a factor on the scores.",
        _tempered_mean,
        tuple((random_tensor(7, seed=seed), beta) for seed, beta in enumerate((1.0, 0.0, 5.0))),
    ),
    "02.3": Exercise(
        "The gradient of soft-argmax.", _gradient, tuple((random_tensor(7, seed=seed),) for seed in range(3))
    ),
    "02.4": Exercise(
        "Eq. (6) for a mixed batch, in cells.",
        _joint_loss,
        (
            _mixed_batch((True,), 64, seed=0),
            _mixed_batch((False,), 64, seed=1),
            _mixed_batch((True, False, True), 24, seed=2),
        ),
    ),
}
