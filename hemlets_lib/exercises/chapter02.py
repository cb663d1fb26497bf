"""The exercises of notebook 02: soft-argmax and the losses."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from hemlets_lib.exercises.contract import Exercise, Mistake
from hemlets_lib.exercises.inputs import random_tensor
from hemlets_lib.geometry import Grid
from hemlets_lib.heatmaps import soft_argmax_2d

__all__ = ["EXERCISES"]


def _argmax_rms_mm(crop_mm: float, n: int) -> float:
    return crop_mm / n / math.sqrt(12)


_ARGMAX_RMS = Exercise(
    "The rms error of arg-max in mm.",
    _argmax_rms_mm,
    ((2000.0, 64), (2000.0, 16), (1500.0, 24)),
    (
        Mistake(
            "that is half a cell: the largest error along an axis (and the rms of all three axes together). "
            "How large is one axis's error on average, if large and small ones are equally likely?",
            lambda crop_mm, n: crop_mm / n / 2,
        ),
        Mistake("that is a whole cell; no error is larger than half of it", lambda crop_mm, n: crop_mm / n),
        Mistake(
            "that is the mean of the errors' sizes; rms is the root of the mean of their *squares*, Eq. "
            "(2.2)",
            lambda crop_mm, n: crop_mm / n / 4,
        ),
        Mistake("1/12 is the mean of the squares: the root is missing", lambda crop_mm, n: crop_mm / n / 12),
        Mistake(
            "that is in cells; how many millimetres is a cell wide?", lambda crop_mm, n: 1 / math.sqrt(12)
        ),
        Mistake(
            "your cell is too wide: `n` cells fill the crop, while n - 1 steps lie between the middles of "
            "the first and the last",
            lambda crop_mm, n: crop_mm / (n - 1) / math.sqrt(12),
        ),
        Mistake(
            "you count on a crop of 2000 mm always: make use of `crop_mm`",
            lambda crop_mm, n: 2000 / n / math.sqrt(12),
        ),
    ),
)


def _tempered_mean(scores: Tensor, beta: float) -> Tensor:
    return soft_argmax_2d(beta * scores[None, :])[0]


def _centres(scores: Tensor) -> Tensor:
    return Grid.CELL_CENTRED.centres(len(scores))


_TEMPERED_MEAN = Exercise(
    "Soft-argmax with a factor on the scores.",
    _tempered_mean,
    tuple((random_tensor(7 - seed, seed=seed), beta) for seed, beta in enumerate((1.0, 0.0, 5.0, 0.3))),
    (
        Mistake("your β changes nothing", lambda scores, beta: _tempered_mean(scores, 1)),
        Mistake(
            "β comes too late: it has to act on the scores, before the softmax",
            lambda scores, beta: beta * _tempered_mean(scores, 1),
        ),
        Mistake(
            "your β works the wrong way round: a large one should make the highest score count more, not "
            "less",
            lambda scores, beta: (scores / beta).softmax(0) @ _centres(scores),
        ),
        Mistake(
            "that is arg-max, the middle of the highest cell, whatever β is",
            lambda scores, beta: _centres(scores)[scores.argmax()],
        ),
        Mistake(
            "that is a cell's number, counted from 0; asked is a place in crop space, -0.5 to 0.5",
            lambda scores, beta: (beta * scores).softmax(0) @ torch.arange(float(len(scores))),
        ),
        Mistake(
            "your first and last cell have their middles on the border: that is the other of the two grids "
            "of section 2.2",
            lambda scores, beta: (beta * scores).softmax(0) @ torch.linspace(-0.5, 0.5, len(scores)),
        ),
        Mistake(
            "you are half a cell off: a cell counts with its middle, not with its left edge",
            lambda scores, beta: _tempered_mean(scores, beta) - 0.5 / len(scores),
        ),
        Mistake(
            "your weights do not add up to 1",
            lambda scores, beta: (beta * scores).exp() @ _centres(scores),
        ),
    ),
)


def _slope(scores: Tensor, beta: float) -> Tensor:
    """d x̂ / d β = Σ F p (x - x̂): the covariance of score and place under p."""
    return (scores * _pull(scores, beta)).sum()


def _pull(scores: Tensor, beta: float) -> Tensor:
    """p (x - x̂), Eq. (2.3), with the probabilities at β."""
    return (beta * scores).softmax(0) * _offsets(scores, beta)


def _offsets(scores: Tensor, beta: float) -> Tensor:
    """From the mean place to each cell's."""
    x = _centres(scores)
    return x - (beta * scores).softmax(0) @ x


_SLOPE = Exercise(
    "How fast soft-argmax moves with β.",
    _slope,
    tuple((random_tensor(7 - seed, seed=seed), beta) for seed, beta in enumerate((1.0, 0.0, 2.5, 0.4))),
    (
        Mistake(
            "your sign is flipped: where high scores lie to the right, a larger β moves x̂ to the right",
            lambda scores, beta: -_slope(scores, beta),
        ),
        Mistake(
            "you leave out that the probabilities keep their sum: add 1 to every score and nothing may "
            "change",
            lambda scores, beta: (beta * scores).softmax(0) * scores @ _centres(scores),
        ),
        Mistake(
            "your probabilities are those at β = 1; β changes them",
            lambda scores, beta: _slope(scores, 1),
        ),
        Mistake(
            "you have a factor β too much: the derivative of β·F by β is F, and that by F is β",
            lambda scores, beta: beta * _slope(scores, beta),
        ),
        Mistake(
            "a cell that nobody believes in has to have no say: its probability is missing",
            lambda scores, beta: scores @ _offsets(scores, beta),
        ),
        Mistake(
            "that is Eq. (2.3), a number per score; β turns all scores at once, so the chain rule adds them "
            "up",
            _pull,
        ),
        Mistake(
            "those are the cells' shares; how fast x̂ itself moves is their sum",
            lambda scores, beta: scores * _pull(scores, beta),
        ),
        Mistake(
            "your place is in cells; in crop space the slope is smaller by a factor of n",
            lambda scores, beta: len(scores) * _slope(scores, beta),
        ),
    ),
)


def _joint_loss(predicted: Tensor, target: Tensor, has_depth: Tensor, n: int) -> Tensor:
    in_plane, depth = _absolute(predicted, target, has_depth, n)
    return (in_plane + depth).mean()


def _absolute(predicted: Tensor, target: Tensor, has_depth: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """Per sample, the sums over joints in the image plane and in depth, in cells; each (B,)."""
    errors = (predicted - target).abs() * n
    depth = torch.where(has_depth[:, None], errors[..., 2], 0)
    return errors[..., :2].sum((1, 2)), depth.sum(1)


def _squared_loss(predicted: Tensor, target: Tensor, has_depth: Tensor, n: int) -> Tensor:
    squares = ((predicted - target) * n).square()
    squares[..., 2] = torch.where(has_depth[:, None], squares[..., 2], 0)
    return squares.sum((1, 2)).mean()


def _multiplied_loss(predicted: Tensor, target: Tensor, has_depth: Tensor, n: int) -> Tensor:
    errors = (predicted - target).abs() * n
    return (errors[..., :2].sum((1, 2)) + has_depth * errors[..., 2].sum(1)).mean()


def _depth_of_the_labelled(predicted: Tensor, target: Tensor, has_depth: Tensor, n: int) -> Tensor:
    in_plane, depth = _absolute(predicted, target, has_depth, n)
    return in_plane.mean() + depth.sum() / has_depth.sum().clamp_min(1)


def _mixed_batch(has_depth: tuple[bool, ...], n: int, seed: int) -> tuple[Tensor, Tensor, Tensor, int]:
    """Predictions and targets of some three-joint samples; NaN where there is no depth."""
    known = torch.tensor(has_depth)
    target = random_tensor(len(has_depth), 3, 3, seed=seed)
    target[..., 2] = torch.where(known[:, None], target[..., 2], torch.nan)
    return random_tensor(len(has_depth), 3, 3, seed=seed + 9), target, known, n


_JOINT_LOSS = Exercise(
    "Eq. (6) for a mixed batch, in cells.",
    _joint_loss,
    (
        _mixed_batch((True,), 64, seed=0),
        _mixed_batch((False,), 64, seed=1),
        _mixed_batch((True, False, True), 24, seed=2),
    ),
    (
        Mistake(
            "NaN gets through: λ = 0 times NaN is NaN, so what has no label must not be computed with at all",
            _multiplied_loss,
        ),
        Mistake(
            "a missing depth counts as 0, as if the joint were known to lie in the middle of the crop",
            lambda predicted, target, has_depth, n: _joint_loss(
                predicted, target.nan_to_num(), has_depth | True, n
            ),
        ),
        Mistake(
            "samples without depth drop out altogether; their x and y are labelled and have to count",
            lambda predicted, target, has_depth, n: _joint_loss(
                predicted[has_depth], target[has_depth], has_depth[has_depth], n
            ),
        ),
        Mistake(
            "depth never counts: λ is 1 where there is a label",
            lambda predicted, target, has_depth, n: _joint_loss(predicted, target, has_depth & False, n),
        ),
        Mistake(
            "your errors are in crop units; Eq. (6) counts in cells here",
            lambda predicted, target, has_depth, n: _joint_loss(predicted, target, has_depth, 1),
        ),
        Mistake(
            "you take the mean over joints; Eq. (6) has their sum",
            lambda predicted, target, has_depth, n: (
                _joint_loss(predicted, target, has_depth, n) / predicted.shape[1]
            ),
        ),
        Mistake(
            "you add up the samples of the batch; asked is their mean",
            lambda predicted, target, has_depth, n: (
                _joint_loss(predicted, target, has_depth, n) * len(predicted)
            ),
        ),
        Mistake("you square the errors; Eq. (6) takes their absolute values", _squared_loss),
        Mistake(
            "the depth term is divided by the number of samples with depth, and Eq. (6) by that of all "
            "samples: a sample's depth must weigh the same in every batch of that size",
            _depth_of_the_labelled,
        ),
    ),
)

EXERCISES: dict[str, Exercise] = {
    "02.1": _ARGMAX_RMS,
    "02.2": _TEMPERED_MEAN,
    "02.3": _SLOPE,
    "02.4": _JOINT_LOSS,
}
