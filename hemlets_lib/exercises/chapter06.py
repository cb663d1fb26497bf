"""The exercises of notebook 06: evaluation."""

from __future__ import annotations

import torch
from torch import Tensor

from hemlets_lib.exercises.contract import Exercise
from hemlets_lib.exercises.inputs import random_tensor

__all__ = ["EXERCISES"]


def _with_root(mpjpe_mm: float, num_joints: int) -> float:
    return mpjpe_mm * num_joints / (num_joints + 1)


def _mean_of_means(errors: Tensor, actions: Tensor) -> Tensor:
    return torch.stack([errors[actions == action].mean() for action in actions.unique()]).mean()


def _scaled_error(predicted: Tensor, target: Tensor) -> Tensor:
    """N-MPJPE: roots in the origin, and the scale s that makes Σ‖s x̂ - x‖² least."""
    predicted, target = predicted - predicted[0], target - target[0]
    scale = (predicted * target).sum() / predicted.square().sum()
    return (scale * predicted - target).norm(dim=-1).mean()


def _area_under_curve(errors_mm: Tensor) -> Tensor:
    known = errors_mm[~errors_mm.isnan()]
    return 100 * (known[:, None] < torch.arange(0, 151, 5)).double().mean()


def _errors_with_gaps(*shape: int, seed: int) -> Tensor:
    errors_mm = 80 * random_tensor(*shape, seed=seed).abs()
    return torch.where(random_tensor(*shape, seed=seed + 9) > 1, torch.nan, errors_mm)


EXERCISES: dict[str, Exercise] = {
    "06.1": Exercise("MPJPE with the root.", _with_root, ((42.5, 16), (30.0, 2), (52.7, 13))),
    "06.2": Exercise(
        "The mean of the actions' means.",
        _mean_of_means,
        (
            (torch.tensor([10.0, 20.0, 30.0, 80.0]), torch.tensor([0, 0, 0, 1])),
            (random_tensor(20, seed=1), torch.arange(20) % 3),
            (random_tensor(50, seed=2), (torch.arange(50).sqrt()).long()),
        ),
    ),
    "06.3": Exercise(
        "The error after the best scale alone.",
        _scaled_error,
        (
            (torch.tensor([[5.0] * 3, [6.0, 5.0, 5.0]]), torch.tensor([[0.0] * 3, [3.0, 4.0, 0.0]])),
            (random_tensor(17, 3, seed=3), random_tensor(17, 3, seed=4)),
        ),
    ),
    "06.4": Exercise(
        "AUC where some joints are not labelled.",
        _area_under_curve,
        (
            (torch.tensor([[0.0, 30.0, 60.0]]),),
            (torch.tensor([[0.0, torch.nan], [200.0, 149.0]]),),
            (_errors_with_gaps(40, 14, seed=5),),
        ),
    ),
}
