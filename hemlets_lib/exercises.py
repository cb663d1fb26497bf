"""Checks for the notebooks' exercises: the reader's own function against the library's.

A check never raises for a wrong answer. It prints the first case that differs, with what was put in,
what was expected and what came out, so that the reader can go on from there.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from hemlets_lib.geometry import Grid
from hemlets_lib.heatmaps import soft_argmax_2d, soft_argmax_3d
from hemlets_lib.skeleton import HEMLETS18
from hemlets_lib.triplets import EPSILON_RATIO, encode_triplets, part_states

__all__ = ["EXERCISES", "Exercise", "check", "compare", "first_difference"]


_NOT_TRIED = "nothing returned yet"
_PRINTED_ENTRIES = 12
_TOLERANCE = 1e-4


@dataclass(frozen=True)
class Exercise:
    """A task, a function that solves it, and inputs to try an answer on.

    Args:
        task: What the function must do, in a line.
        reference: A correct answer.
        cases: Argument tuples, the simplest first.
    """

    task: str
    reference: Callable[..., Any]
    cases: tuple[tuple[Any, ...], ...]


def compare(guess: Any, answer: Any, *, unit: str = "") -> None:
    """Put a prediction made before running a cell beside what came out.

    Args:
        guess: The reader's, or None where none was made.
        answer: What was computed.
        unit: Printed behind both.
    """
    unit = f" {unit}" if unit else ""
    shown = f"{answer:.4g}" if isinstance(answer, float) else f"{answer}"
    said = "you made no prediction" if guess is None else f"you predicted {guess}{unit}"
    print(f"{said}; it is {shown}{unit}")


def check(name: str, answer: Callable[..., Any]) -> None:
    """Try a reader's function on the cases of an exercise and print how it went.

    Args:
        name: The exercise, such as `"01.2"`.
        answer: The reader's function.

    Raises:
        ValueError: If there is no such exercise.
    """
    complaint = first_difference(name, answer)
    exercise = EXERCISES[name]
    if complaint == _NOT_TRIED:
        print(f"○ {name}: not tried yet. {exercise.task}")
        return
    print(
        f"✗ {name}: {complaint}"
        if complaint
        else f"✓ {name}: {exercise.task} All {len(exercise.cases)} cases agree."
    )


def first_difference(name: str, answer: Callable[..., Any]) -> str | None:
    """What `check` says of a wrong answer; None where every case agrees.

    Arguments and errors as in `check`.
    """
    if name not in EXERCISES:
        raise ValueError(f"there is no exercise {name!r}; there are {', '.join(EXERCISES)}")
    exercise = EXERCISES[name]
    names = list(inspect.signature(exercise.reference).parameters)
    for case in exercise.cases:
        given = ", ".join(f"{key}={_shown(value)}" for key, value in zip(names, case, strict=True))
        expected = exercise.reference(*case)
        try:
            got = answer(*(value.clone() if isinstance(value, Tensor) else value for value in case))
        except Exception as error:  # the reader's code may fail in any way
            return f"for {given} your function raised {type(error).__name__}: {error}"
        if got is None:
            return _NOT_TRIED
        if not _agree(got, expected):
            return f"for {given} expected {_shown(expected)}, got {_shown(got)}{_where(got, expected)}"
    return None


def _where(got: Any, expected: Any) -> str:
    """The first entry that differs, for tensors too large to print."""
    if not (isinstance(got, Tensor) and isinstance(expected, Tensor)):
        return ""
    if got.shape != expected.shape or expected.numel() <= _PRINTED_ENTRIES:
        return ""
    differing = ~torch.isclose(got.double(), expected.double(), atol=_TOLERANCE, rtol=_TOLERANCE)
    place = tuple(differing.nonzero()[0].tolist())
    return f"; first differing at {list(place)}: expected {_shown(expected[place])}, got {_shown(got[place])}"


def _shown(value: Any) -> str:
    if isinstance(value, Tensor):
        if value.numel() > _PRINTED_ENTRIES:
            return f"a tensor of shape {tuple(value.shape)}"
        return str([round(x, 4) for x in value.flatten().tolist()]) if value.ndim else f"{value.item():.4g}"
    return f"{value:.4g}" if isinstance(value, float) else repr(value)


def _agree(got: Any, expected: Any) -> bool:
    try:
        got, expected = torch.as_tensor(got), torch.as_tensor(expected)
    except (TypeError, ValueError, RuntimeError):
        return False
    if got.shape != expected.shape:
        return False
    return torch.allclose(got.double(), expected.double(), atol=_TOLERANCE, rtol=_TOLERANCE)


def _state_from_depths(z_parent: float, z_child: float, length: float) -> int:
    difference = z_parent - z_child
    if abs(difference) <= EPSILON_RATIO * length:
        return 0
    return 1 if difference > 0 else -1


def _leaving_angle(epsilon_ratio: float) -> float:
    return math.degrees(math.asin(epsilon_ratio))


def _argmax_rms_mm(crop_mm: float, n: int) -> float:
    return crop_mm / n / math.sqrt(12)


def _mirror(joints_crop: Tensor, states: Tensor) -> Tensor:
    flipped = joints_crop[:, list(HEMLETS18.flip_permutation)] * torch.tensor([-1.0, 1.0, 1.0])
    swapped = states[:, list(HEMLETS18.part_flip_permutation)]
    return encode_triplets(flipped, swapped, skeleton=HEMLETS18, size=16)


def _ordinal_to_state(child_minus_parent_label: float) -> int:
    return int(-child_minus_parent_label)


def _people(count: int, seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    joints = torch.rand(count, 18, 3, generator=generator) * 0.8 - 0.4
    return joints, part_states(joints * 2000, HEMLETS18)


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
    target = _random(len(has_depth), 3, 3, seed=seed)
    target[..., 2] = torch.where(known[:, None], target[..., 2], torch.nan)
    return _random(len(has_depth), 3, 3, seed=seed + 9), target, known, n


def _conv_parameters(channels_in: int, channels_out: int, kernel: int, bias: bool) -> int:
    return channels_out * (channels_in * kernel**2 + bias)


def _volume_bytes(joints: int, depth: int, height: int, width: int) -> int:
    return 4 * joints * depth * height * width


def _upsampled_size(size: int, kernel: int, stride: int, padding: int, times: int) -> int:
    for _ in range(times):
        size = (size - 1) * stride - 2 * padding + kernel
    return size


def _joints_from_channels(channels: Tensor, num_joints: int) -> Tensor:
    return soft_argmax_3d(channels.unflatten(1, (num_joints, -1)))


def _picture_position(u_crop: float, m: int, middle: float, side: float) -> float:
    return middle + side * Grid.CELL_CENTRED.to_crop(torch.tensor(u_crop), m).item()


def _project_opencv(joint: Tensor, f: Tensor, c: Tensor, k: Tensor, p: Tensor) -> Tensor:
    ray = joint[:2] / joint[2]
    r2 = ray.square().sum()
    radial = 1 + r2 * (k[0] + r2 * (k[1] + r2 * k[2]))
    tangential = 2 * ray * (p.flip(0) * ray).sum() + p.flip(0) * r2  # 2 p1 x y + p2 (r² + 2 x²), and so on
    return (ray * radial + tangential) * f + c


def _lens(x: float, y: float, k: tuple[float, ...], p: tuple[float, ...]) -> tuple[Tensor, ...]:
    """A joint and a camera for `_project_opencv`."""
    camera = torch.tensor([1145.0, 1143.8]), torch.tensor([512.5, 515.5])
    return torch.tensor([x, y, 4000.0]), *camera, torch.tensor(k), torch.tensor(p)


def _composed(first: Tensor, second: Tensor) -> Tensor:
    below = torch.tensor([[0.0, 0.0, 1.0]])
    return second @ torch.cat([first, below])


def _rows_per_source(ratios: Tensor, batch_size: int, offset: float) -> Tensor:
    points = (torch.arange(batch_size) + offset) / batch_size
    owners = torch.bucketize(points, ratios.cumsum(0)[:-1] / ratios.sum(), right=True)
    return owners.bincount(minlength=len(ratios))


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
    groups = [_random(count, channels, seed=seed + place) + place for place, count in enumerate(counts)]
    means = torch.stack([group.mean(0) for group in groups])
    variances = torch.stack([group.var(0, correction=0) for group in groups])
    return means, variances, torch.tensor(counts)


def _times_seen(steps: int, batch_size: int, samples: int) -> float:
    return steps * batch_size / samples


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
    errors_mm = 80 * _random(*shape, seed=seed).abs()
    return torch.where(_random(*shape, seed=seed + 9) > 1, torch.nan, errors_mm)


def _random(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


EXERCISES = MappingProxyType(
    {
        "01.1": Exercise(
            "The angle at which a part leaves state 0.", _leaving_angle, ((0.5,), (0.0,), (0.7071,), (1.0,))
        ),
        "01.2": Exercise(
            "Eq. (1) with its adaptive threshold.",
            _state_from_depths,
            tuple((3000.0, z_child, 300.0) for z_child in (2800.0, 3200.0, 2900.0, 2850.0)),
        ),
        "01.3": Exercise(
            "An Ordinal label ord(child, parent) as a state.", _ordinal_to_state, ((-1.0,), (1.0,), (0.0,))
        ),
        "01.4": Exercise("The triplets of a mirrored person.", _mirror, (_people(1, 1), _people(3, 2))),
        "02.1": Exercise(
            "The rms error of arg-max in mm.", _argmax_rms_mm, ((2000.0, 64), (2000.0, 16), (1500.0, 24))
        ),
        "02.2": Exercise(
            "Soft-argmax with a factor on the scores.",
            _tempered_mean,
            tuple((_random(7, seed=seed), beta) for seed, beta in enumerate((1.0, 0.0, 5.0))),
        ),
        "02.3": Exercise(
            "The gradient of soft-argmax.", _gradient, tuple((_random(7, seed=seed),) for seed in range(3))
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
        "03.1": Exercise(
            "The parameters of a convolution.",
            _conv_parameters,
            ((3, 64, 7, False), (256, 60, 3, True), (512, 1152, 1, True)),
        ),
        "03.2": Exercise(
            "The bytes of a float32 volume.", _volume_bytes, ((18, 64, 64, 64), (17, 24, 24, 24))
        ),
        "03.3": Exercise(
            "The size after transposed convolutions.",
            _upsampled_size,
            ((8, 4, 2, 1, 1), (8, 4, 2, 1, 3), (3, 4, 2, 1, 2), (8, 3, 2, 0, 1), (5, 2, 3, 0, 2)),
        ),
        "03.4": Exercise(
            "From the head's channels to joints.",
            _joints_from_channels,
            tuple((_random(2, joints * 5, 6, 7, seed=joints), joints) for joints in (1, 3, 8)),
        ),
        "04.1": Exercise(
            "Where in the picture a position of the crop lies.",
            _picture_position,
            ((0.0, 8, 1.5, 4.0), (31.5, 64, 512.0, 400.0), (-0.5, 64, 512.0, 400.0), (7.0, 5, 30.25, 16.0)),
        ),
        "04.2": Exercise(
            "OpenCV's projection.",
            _project_opencv,
            (
                _lens(400.0, -300.0, (-0.2, 0.0, 0.0), (0.0, 0.0)),
                _lens(900.0, 500.0, (-0.2, 0.25, -0.003), (0.0, 0.0)),
                _lens(900.0, 500.0, (-0.2, 0.25, -0.003), (-0.0014, -0.001)),
            ),
        ),
        "04.3": Exercise(
            "Two affine maps as one.",
            _composed,
            tuple((_random(2, 3, seed=seed), _random(2, 3, seed=seed + 5)) for seed in range(3)),
        ),
        "04.4": Exercise(
            "The rows of each source in a batch.",
            _rows_per_source,
            (
                (torch.tensor([1.0, 1.0]), 8, 0.5),
                (torch.tensor([2.0, 1.0]), 4, 0.25),
                (torch.tensor([2.0, 1.0]), 4, 0.75),
                (torch.tensor([5.0, 2.0, 1.5]), 17, 0.4),
            ),
        ),
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
        "06.1": Exercise(
            "MPJPE with the root.", _with_root, ((42.5, 16), (30.0, 2), (52.7, 13))
        ),
        "06.2": Exercise(
            "The mean of the actions' means.",
            _mean_of_means,
            (
                (torch.tensor([10.0, 20.0, 30.0, 80.0]), torch.tensor([0, 0, 0, 1])),
                (_random(20, seed=1), torch.arange(20) % 3),
                (_random(50, seed=2), (torch.arange(50).sqrt()).long()),
            ),
        ),
        "06.3": Exercise(
            "The error after the best scale alone.",
            _scaled_error,
            (
                (torch.tensor([[5.0] * 3, [6.0, 5.0, 5.0]]), torch.tensor([[0.0] * 3, [3.0, 4.0, 0.0]])),
                (_random(17, 3, seed=3), _random(17, 3, seed=4)),
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
)  # fmt: skip
