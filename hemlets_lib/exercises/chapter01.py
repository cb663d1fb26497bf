"""The exercises of notebook 01: skeleton, polarity and heatmap triplets."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from hemlets_lib.exercises.contract import Exercise
from hemlets_lib.skeleton import HEMLETS18
from hemlets_lib.triplets import EPSILON_RATIO, encode_triplets, part_states

__all__ = ["EXERCISES"]


def _state_from_depths(z_parent: float, z_child: float, length: float) -> int:
    difference = z_parent - z_child
    if abs(difference) <= EPSILON_RATIO * length:
        return 0
    return 1 if difference > 0 else -1


def _leaving_angle(epsilon_ratio: float) -> float:
    return math.degrees(math.asin(epsilon_ratio))


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


EXERCISES: dict[str, Exercise] = {
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
}
