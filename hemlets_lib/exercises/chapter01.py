"""The exercises of notebook 01: skeleton, polarity and heatmap triplets."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from hemlets_lib.exercises.contract import Exercise, Mistake
from hemlets_lib.skeleton import HEMLETS18
from hemlets_lib.triplets import EPSILON_RATIO, UNKNOWN, encode_triplets, part_states

__all__ = ["EXERCISES"]


def _leaving_angle(epsilon_ratio: float) -> float:
    return math.degrees(math.asin(epsilon_ratio))


_LEAVING_ANGLE = Exercise(
    "The angle at which a part leaves state 0.",
    _leaving_angle,
    ((0.5,), (0.25,), (0.7071,), (1.0,), (0.0,)),
    (
        Mistake("your angle is in radians; the exercise asks for degrees", math.asin),
        Mistake(
            "you always say 30 degrees, which belongs to the paper's ratio of 0.5: make use of "
            "`epsilon_ratio`",
            lambda epsilon_ratio: 30.0,
        ),
        Mistake(
            "an angle does not grow in proportion to the ratio: your rule fits 0 and 0.5, and a part that "
            "points straight at the camera, ratio 1, is tilted by 90 degrees",
            lambda epsilon_ratio: 60 * epsilon_ratio,
        ),
        Mistake(
            "you measure from the wrong direction: the tilt is 0 for a part that lies in the image, and 90 "
            "degrees for one along the line of sight",
            lambda epsilon_ratio: math.degrees(math.acos(epsilon_ratio)),
        ),
        Mistake(
            "you take the ratio for depth over length *in the picture*; ε is a fraction of the part's 3D "
            "length, the longest side of that triangle",
            lambda epsilon_ratio: math.degrees(math.atan(epsilon_ratio)),
        ),
        Mistake(
            "you go from angle to ratio where the way is from ratio to angle: the inverse function is needed",
            lambda epsilon_ratio: math.degrees(math.sin(epsilon_ratio)),
        ),
        Mistake(
            "you halve the ratio: the band reaches `epsilon_ratio` times the length to *each* side of 0",
            lambda epsilon_ratio: math.degrees(math.asin(epsilon_ratio / 2)),
        ),
    ),
)


def _state_from_depths(z_parent: float, z_child: float, length: float) -> int:
    return _banded(z_parent - z_child, EPSILON_RATIO * length)


def _banded(difference: float, epsilon: float) -> int:
    return int(difference > epsilon) - int(difference < -epsilon)


_STATE_FROM_DEPTHS = Exercise(
    "Eq. (1) with its adaptive threshold.",
    _state_from_depths,
    (
        *((3000.0, z_child, 300.0) for z_child in (2800.0, 3200.0, 2900.0, 2960.0, 2850.0, 3150.0)),
        (3000.0, 2820.0, 400.0),
        (3000.0, 2940.0, 100.0),
        (3500.0, 3620.0, 200.0),
    ),
    (
        Mistake(
            "your polarity is flipped: a nearer child should be +1, and nearer means a smaller z",
            lambda z_parent, z_child, length: _banded(z_child - z_parent, 0.5 * length),
        ),
        Mistake(
            "you have no zero band: a part whose ends are at about the same depth is 0",
            lambda z_parent, z_child, length: _banded(z_parent - z_child, 0.0),
        ),
        Mistake(
            "your zero band is too wide: ε is half of the part's length, not all of it",
            lambda z_parent, z_child, length: _banded(z_parent - z_child, length),
        ),
        Mistake(
            "your zero band is too narrow: it reaches half of the length to each side, not half of it in all",
            lambda z_parent, z_child, length: _banded(z_parent - z_child, 0.25 * length),
        ),
        Mistake(
            "a farther child is never -1: Eq. (1) has three cases, and the band a lower edge",
            lambda z_parent, z_child, length: int(z_parent - z_child > 0.5 * length),
        ),
        Mistake(
            "a difference of exactly ε counts as 0 here, on both sides: look at your comparison signs",
            lambda z_parent, z_child, length: (
                int(z_parent - z_child >= 0.5 * length) - int(z_child - z_parent >= 0.5 * length)
            ),
        ),
        Mistake(
            "your ε is the same for every part; it has to grow with the length",
            lambda z_parent, z_child, length: _banded(z_parent - z_child, 150.0),
        ),
        Mistake(
            "you say that the part is tilted, and not which way: nearer is +1, farther -1",
            lambda z_parent, z_child, length: abs(_banded(z_parent - z_child, 0.5 * length)),
        ),
        Mistake(
            "those are places in the stack of maps, 0 to 2; a state is -1, 0 or +1",
            lambda z_parent, z_child, length: 1 + _banded(z_parent - z_child, 0.5 * length),
        ),
    ),
)


def _ordinal_to_state(label: float, child_first: bool) -> int:
    if math.isnan(label):
        return UNKNOWN
    return int(-label if child_first else label)


def _where_answered(rule: Callable[[float, bool], float]) -> Callable[[float, bool], float]:
    """A rule for labels that were given; UNKNOWN where none was."""
    return lambda label, child_first: UNKNOWN if math.isnan(label) else rule(label, child_first)


_ORDINAL_TO_STATE = Exercise(
    "An Ordinal label as a state, whichever joint was asked about first.",
    _ordinal_to_state,
    (
        (-1.0, True),
        (1.0, True),
        (0.0, True),
        (-1.0, False),
        (1.0, False),
        (0.0, False),
        (math.nan, True),
    ),
    (
        Mistake(
            "your signs are the wrong way round: ord(child, parent) = -1 says that the child is nearer, and "
            "HEMlets call that +1",
            _where_answered(lambda label, child_first: label if child_first else -label),
        ),
        Mistake(
            "you turn every sign around: what does -1 say if the *parent* was the first of the two joints?",
            _where_answered(lambda label, child_first: -label),
        ),
        Mistake(
            "you never turn a sign around: what does -1 say if the *child* was the first of the two joints?",
            _where_answered(lambda label, child_first: label),
        ),
        Mistake(
            "a question that nobody answered is not 'about the same': section 1.5 has a state for it, "
            "UNKNOWN",
            lambda label, child_first: 0 if math.isnan(label) else (-label if child_first else label),
        ),
        Mistake(
            "you pass NaN on where nobody answered: section 1.5 has a state for it, UNKNOWN",
            lambda label, child_first: -label if child_first else label,
        ),
        Mistake(
            "you lose the sign: nearer and farther come out alike",
            _where_answered(lambda label, child_first: abs(label)),
        ),
        Mistake(
            "you count maps from 0 to 2; a state is -1, 0 or +1",
            _where_answered(lambda label, child_first: 1 + (-label if child_first else label)),
        ),
    ),
)

_MIRRORED_JOINTS = list(HEMLETS18.flip_permutation)
_MIRRORED_PARTS = list(HEMLETS18.part_flip_permutation)


def _mirror(joints_crop: Tensor, states: Tensor) -> Tensor:
    return _encoded(_negated(joints_crop, 0)[:, _MIRRORED_JOINTS], states[:, _MIRRORED_PARTS])


def _encoded(joints_crop: Tensor, states: Tensor, size: int = 16) -> Tensor:
    return encode_triplets(joints_crop, states, skeleton=HEMLETS18, size=size)


def _negated(joints_crop: Tensor, axis: int) -> Tensor:
    signs = torch.ones(joints_crop.shape[-1])
    signs[axis] = -1
    return joints_crop * signs


def _about_one(joints_crop: Tensor) -> Tensor:
    """x → 1 - x, right where x runs from 0 to 1."""
    return _negated(joints_crop, 0) + torch.tensor([1.0, 0.0, 0.0])


def _people(count: int, seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    joints = torch.rand(count, 18, 3, generator=generator) * 0.8 - 0.4
    return joints, part_states(joints * 2000, HEMLETS18)


_MIRROR = Exercise(
    "The triplets of a mirrored person.",
    _mirror,
    (_people(1, 1), _people(3, 2)),
    (
        Mistake(
            "the places are mirrored, the names are not: the left wrist of a mirrored person is a right "
            "wrist, and left parts become right ones",
            lambda joints_crop, states: _encoded(_negated(joints_crop, 0), states),
        ),
        Mistake(
            "joints change sides and states do not: the left forearm's polarity has to go with it",
            lambda joints_crop, states: _encoded(_negated(joints_crop, 0)[:, _MIRRORED_JOINTS], states),
        ),
        Mistake(
            "states change sides and joints do not: left and right joints have to trade places, too",
            lambda joints_crop, states: _encoded(_negated(joints_crop, 0), states[:, _MIRRORED_PARTS]),
        ),
        Mistake(
            "you turn the polarity around: a mirror that hangs beside the person leaves every depth as it is",
            lambda joints_crop, states: _mirror(joints_crop, -states),
        ),
        Mistake(
            "left and right trade names and nobody moves: where does each joint appear in the mirrored "
            "picture?",
            lambda joints_crop, states: _mirror(_negated(joints_crop, 0), states),
        ),
        Mistake(
            "you flip top to bottom: left to right is the other of the two coordinates",
            lambda joints_crop, states: _mirror(_negated(_negated(joints_crop, 0), 1), states),
        ),
        Mistake(
            "your joints leave the picture: the middle of crop space is 0, not 0.5 (section 1.3)",
            lambda joints_crop, states: _encoded(
                _about_one(joints_crop)[:, _MIRRORED_JOINTS], states[:, _MIRRORED_PARTS]
            ),
        ),
        Mistake("those are the triplets of the person before the mirror", _encoded),
        Mistake(
            "your maps have 64 cells a side; 16 were asked for",
            lambda joints_crop, states: _encoded(
                _negated(joints_crop, 0)[:, _MIRRORED_JOINTS], states[:, _MIRRORED_PARTS], size=64
            ),
        ),
    ),
)

EXERCISES: dict[str, Exercise] = {
    "01.1": _LEAVING_ANGLE,
    "01.2": _STATE_FROM_DEPTHS,
    "01.3": _ORDINAL_TO_STATE,
    "01.4": _MIRROR,
}
