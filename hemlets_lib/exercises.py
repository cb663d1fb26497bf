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
from hemlets_lib.heatmaps import soft_argmax_2d
from hemlets_lib.skeleton import HEMLETS18
from hemlets_lib.triplets import EPSILON_RATIO, encode_triplets, part_states

__all__ = ["EXERCISES", "Exercise", "check", "compare"]


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


def check(name: str, answer: Callable[..., Any]) -> bool:
    """Try a reader's function on the cases of an exercise.

    Args:
        name: The exercise, such as `"01.2"`.
        answer: The reader's function.

    Returns:
        Whether every case agrees. What disagrees first is printed.

    Raises:
        ValueError: If there is no such exercise.
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
            print(f"✗ {name}: for {given} your function raised {type(error).__name__}: {error}")
            return False
        if not _agree(got, expected):
            todo = " (nothing returned yet)" if got is None else ""
            print(f"✗ {name}: for {given} expected {_shown(expected)}, got {_shown(got)}{todo}")
            return False
    print(f"✓ {name}: {exercise.task} All {len(exercise.cases)} cases agree.")
    return True


def _shown(value: Any) -> str:
    if isinstance(value, Tensor):
        if value.numel() > 12:
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
    return torch.allclose(got.double(), expected.double(), atol=1e-4, rtol=1e-4)


def _state_from_depths(z_parent: float, z_child: float, length: float) -> int:
    difference = z_parent - z_child
    if abs(difference) <= EPSILON_RATIO * length:
        return 0
    return 1 if difference > 0 else -1


def _leaving_angle(epsilon_ratio: float) -> float:
    return math.degrees(math.asin(epsilon_ratio))


def _cell_of(x_crop: float, n: int) -> float:
    return Grid.CELL_CENTRED.to_cells(torch.tensor(x_crop), n).item()


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


def _softmax_mean(logits: Tensor) -> Tensor:
    return soft_argmax_2d(logits[None, :])[0]


def _gradient(logits: Tensor) -> Tensor:
    """d x̂ / d logits = p (x - x̂)."""
    probs, x = logits.softmax(-1), Grid.CELL_CENTRED.centres(logits.shape[-1])
    return probs * (x - (probs * x).sum())


def _joint_loss(predicted: Tensor, target: Tensor, lambda_: float, cells: int) -> Tensor:
    difference = (predicted - target).abs() * cells
    return difference[:, 0].sum() + difference[:, 1].sum() + lambda_ * difference[:, 2].sum()


def _conv_parameters(channels_in: int, channels_out: int, kernel: int, bias: bool) -> int:
    return channels_out * (channels_in * kernel**2 + bias)


def _volume_bytes(joints: int, depth: int, height: int, width: int) -> int:
    return 4 * joints * depth * height * width


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
            ((3000.0, 2800.0, 300.0), (3000.0, 3200.0, 300.0), (3000.0, 2900.0, 300.0), (3000.0, 2850.0, 300.0)),
        ),
        "01.3": Exercise(
            "An Ordinal label ord(child, parent) as a HEMlets state.", _ordinal_to_state, ((-1.0,), (1.0,), (0.0,))
        ),
        "01.4": Exercise("The triplets of a mirrored person.", _mirror, (_people(1, 1), _people(3, 2))),
        "02.1": Exercise(
            "The cell a coordinate falls on.", _cell_of, ((0.0, 64), (-0.5, 64), (0.5, 64), (0.125, 24))
        ),
        "02.2": Exercise(
            "The expectation of x under a softmax.",
            _softmax_mean,
            tuple((_random(7, seed=seed),) for seed in range(3)),
        ),
        "02.3": Exercise(
            "The gradient of soft-argmax.", _gradient, tuple((_random(7, seed=seed),) for seed in range(3))
        ),
        "02.4": Exercise(
            "Eq. (6) in cells.",
            _joint_loss,
            tuple((_random(3, 3, seed=s), _random(3, 3, seed=s + 9), float(s % 2), 64) for s in range(3)),
        ),
        "03.1": Exercise(
            "The parameters of a convolution.",
            _conv_parameters,
            ((3, 64, 7, False), (256, 60, 3, True), (512, 1152, 1, True)),
        ),
        "03.2": Exercise("The bytes of a float32 volume.", _volume_bytes, ((18, 64, 64, 64), (17, 24, 24, 24))),
    }
)  # fmt: skip
