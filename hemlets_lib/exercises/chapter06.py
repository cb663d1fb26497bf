"""The exercises of notebook 06: evaluation."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor

from hemlets_lib.exercises.contract import Exercise, Mistake
from hemlets_lib.exercises.inputs import random_tensor

__all__ = ["EXERCISES"]

_LAST_MM, _STEP_MM = 150, 5  # the thresholds of Eq. (6.3): 0, 5, … 150


def _with_root(mpjpe_mm: float, num_joints: int) -> float:
    return mpjpe_mm * num_joints / (num_joints + 1)


_WITH_ROOT_MISTAKES = (
    Mistake(
        "you go the other way: counting a joint that is never wrong can only lower the mean",
        lambda mpjpe_mm, num_joints: mpjpe_mm * (num_joints + 1) / num_joints,
    ),
    Mistake(
        "the root changes nothing in your answer: its error is 0, and a 0 counts in a mean",
        lambda mpjpe_mm, num_joints: mpjpe_mm,
    ),
    Mistake(
        "you count the root among `num_joints`: the paper left it out, so it comes on top",
        lambda mpjpe_mm, num_joints: mpjpe_mm * (num_joints - 1) / num_joints,
    ),
    Mistake(
        "the number of joints is fixed at Human3.6M's: other data sets have others, see `num_joints`",
        lambda mpjpe_mm, num_joints: mpjpe_mm * 16 / 17,
    ),
    Mistake(
        "that is the sum of the errors, which the root leaves as it is: divide it by all joints",
        lambda mpjpe_mm, num_joints: mpjpe_mm * num_joints,
    ),
    Mistake(
        "you divide the mean once more: turn it into a sum first",
        lambda mpjpe_mm, num_joints: mpjpe_mm / (num_joints + 1),
    ),
)


def _mean_of_means(errors: Tensor, actions: Tensor) -> Tensor:
    return _means(errors, actions).mean()


def _means(errors: Tensor, actions: Tensor) -> Tensor:
    return torch.stack([errors[actions == action].mean() for action in actions.unique()])


def _counting_absent_actions(errors: Tensor, actions: Tensor) -> Tensor:
    sums, counts = actions.bincount(errors), actions.bincount()
    return (sums / counts.clamp_min(1)).mean()


def _mean_of_runs(errors: Tensor, actions: Tensor) -> float:
    """A group ends wherever the action changes, as `itertools.groupby` has it."""
    pairs = zip(actions.tolist(), errors.tolist(), strict=True)
    runs = [[error for _, error in run] for _, run in itertools.groupby(pairs, key=lambda pair: pair[0])]
    return sum(sum(run) / len(run) for run in runs) / len(runs)


_MEAN_OF_MEANS_MISTAKES = (
    Mistake(
        "that is the mean over frames, in which a long action counts for more: average each action first",
        lambda errors, actions: errors.mean(),
    ),
    Mistake(
        "these are the actions' means, one for each: their own mean is still to be taken",
        _means,
    ),
    Mistake(
        "actions without frames count as 0 mm in your answer: numbers may be missing, so go by those that "
        "occur",
        _counting_absent_actions,
    ),
    Mistake(
        "the actions' *sums* are averaged: divide each by the number of its own frames",
        lambda errors, actions: torch.stack(
            [errors[actions == action].sum() for action in actions.unique()]
        ).mean(),
    ),
    Mistake(
        "the sum of the actions' means is divided by the number of frames: there are as many means as "
        "actions",
        lambda errors, actions: _means(errors, actions).sum() / len(errors),
    ),
    Mistake(
        "an action that is interrupted counts twice: gather all its frames, wherever they stand",
        _mean_of_runs,
    ),
    Mistake(
        "that is the middle one of the actions' means (a median): their mean was asked for",
        lambda errors, actions: _means(errors, actions).quantile(0.5),
    ),
)


def _scaled_error(predicted: Tensor, target: Tensor) -> Tensor:
    """N-MPJPE: roots in the origin, and the scale s that makes Σ‖s x̂ - x‖² least."""
    return _scaled_distances(predicted - predicted[0], target - target[0]).mean()


def _scaled_distances(predicted: Tensor, target: Tensor) -> Tensor:
    scale = (predicted * target).sum() / predicted.square().sum()
    return (scale * predicted - target).norm(dim=-1)


def _error_at(predicted: Tensor, target: Tensor, scale: Tensor) -> Tensor:
    return (scale * (predicted - predicted[0]) - (target - target[0])).norm(dim=-1).mean()


_SCALED_ERROR_MISTAKES = (
    Mistake(
        "there is no scale in it: that is MPJPE, Eq. (6.1)",
        lambda predicted, target: _error_at(predicted, target, torch.tensor(1.0)),
    ),
    Mistake(
        "the roots do not coincide: lay root upon root before you look for the scale",
        lambda predicted, target: _scaled_distances(predicted, target).mean(),
    ),
    Mistake(
        "you have made the two poses equally large: that is a scale, but not the one of least squares, "
        "because joints that point elsewhere pull it down",
        lambda predicted, target: _error_at(
            predicted, target, (target - target[0]).norm() / (predicted - predicted[0]).norm()
        ),
    ),
    Mistake(
        "the fraction for s has the wrong pose below: divide by the squares of the pose that is scaled",
        lambda predicted, target: _error_at(
            predicted,
            target,
            ((predicted - predicted[0]) * (target - target[0])).sum() / (target - target[0]).square().sum(),
        ),
    ),
    Mistake(
        "the *truth* is scaled onto the prediction: the error comes out in the prediction's size",
        lambda predicted, target: _scaled_error(target, predicted),
    ),
    Mistake(
        "the poses are laid centroid upon centroid: here it is root upon root",
        lambda predicted, target: _scaled_distances(
            predicted - predicted.mean(0), target - target.mean(0)
        ).mean(),
    ),
    Mistake(
        "that is the root of the mean square: s comes from squares, the error is a mean of distances",
        lambda predicted, target: (
            _scaled_distances(predicted - predicted[0], target - target[0]).square().mean().sqrt()
        ),
    ),
    Mistake(
        "the root is left out of the mean: it counts among the joints, as in Eq. (6.1)",
        lambda predicted, target: _scaled_distances(predicted - predicted[0], target - target[0])[1:].mean(),
    ),
)


def _area_under_curve(errors_mm: Tensor) -> Tensor:
    return _area(_known(errors_mm))


def _known(errors_mm: Tensor) -> Tensor:
    return errors_mm[~errors_mm.isnan()]


def _curve(errors_mm: Tensor) -> Tensor:
    """3DPCK at each threshold, in percent."""
    thresholds = torch.arange(0, _LAST_MM + 1, _STEP_MM)
    return 100 * (errors_mm.flatten()[:, None] < thresholds).double().mean(0)


def _area(errors_mm: Tensor) -> Tensor:
    return _curve(errors_mm).mean()


_AREA_MISTAKES = (
    Mistake(
        "joints that nobody labelled count as wrong: NaN is smaller than no threshold, so take them out "
        "first",
        _area,
    ),
    Mistake(
        "joints that nobody labelled count as right: an unknown error is not an error of 0 mm",
        lambda errors_mm: _area(errors_mm.nan_to_num(0.0)),
    ),
    Mistake(
        "that is a fraction: Eq. (6.3) is in percent",
        lambda errors_mm: _area_under_curve(errors_mm) / 100,
    ),
    Mistake(
        "the last threshold, 150 mm, is missing: there are 31 of them (mind where `range` ends)",
        lambda errors_mm: _curve(_known(errors_mm))[:-1].mean(),
    ),
    Mistake(
        "the first threshold, 0 mm, is missing: no error is below it, and it counts all the same, so that a "
        "perfect AUC is 96.8 %",
        lambda errors_mm: _curve(_known(errors_mm))[1:].mean(),
    ),
    Mistake(
        "an error of exactly the threshold counts as right: Eq. (6.3) has <, not ≤",
        lambda errors_mm: (
            100 * (_known(errors_mm)[:, None] <= torch.arange(0, _LAST_MM + 1, _STEP_MM)).double().mean()
        ),
    ),
    Mistake(
        "that is 3DPCK at 150 mm, the end of the curve: the area is its mean over all thresholds",
        lambda errors_mm: _curve(_known(errors_mm))[-1],
    ),
    Mistake(
        "poses are averaged, and within them joints: then a joint counts for more in a pose of which less is "
        "labelled. Here every labelled joint counts the same",
        lambda errors_mm: torch.stack([_area_under_curve(pose) for pose in errors_mm]).mean(),
    ),
    Mistake(
        "that is the area by trapezoids: Eq. (6.3) takes the plain mean over the thresholds",
        lambda errors_mm: torch.trapezoid(_curve(_known(errors_mm))) / (_LAST_MM / _STEP_MM),
    ),
)


def _errors_with_gaps(*shape: int, seed: int) -> Tensor:
    errors_mm = 80 * random_tensor(*shape, seed=seed).abs()
    return torch.where(random_tensor(*shape, seed=seed + 9) > 1, torch.nan, errors_mm)


EXERCISES: dict[str, Exercise] = {
    "06.1": Exercise(
        "MPJPE with the root.",
        _with_root,
        ((42.5, 16), (30.0, 2), (52.7, 13)),
        _WITH_ROOT_MISTAKES,
    ),
    "06.2": Exercise(
        "The mean of the actions' means.",
        _mean_of_means,
        (
            (torch.tensor([10.0, 20.0, 30.0, 80.0]), torch.tensor([0, 0, 0, 1])),
            (random_tensor(20, seed=1).abs(), torch.arange(20) % 3),
            (random_tensor(50, seed=2).abs(), (torch.arange(50).sqrt()).long()),
            (torch.tensor([40.0, 70.0, 55.0]), torch.tensor([2, 7, 2])),  # no others
        ),
        _MEAN_OF_MEANS_MISTAKES,
    ),
    "06.3": Exercise(
        "The error after the best scale alone.",
        _scaled_error,
        (
            (torch.tensor([[5.0] * 3, [6.0, 5.0, 5.0]]), torch.tensor([[0.0] * 3, [3.0, 4.0, 0.0]])),
            (random_tensor(17, 3, seed=3), random_tensor(17, 3, seed=4)),
        ),
        _SCALED_ERROR_MISTAKES,
    ),
    "06.4": Exercise(
        "AUC where some joints are not labelled.",
        _area_under_curve,
        (
            (torch.tensor([[0.0, 30.0, 60.0]]),),
            (torch.tensor([[0.0, torch.nan], [200.0, 149.0]]),),
            (_errors_with_gaps(40, 14, seed=5),),
        ),
        _AREA_MISTAKES,
    ),
}
