"""The exercises of notebook 00: what a state, a pose and an error are, and a pose seen from the side."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from hemlets_lib.exercises.contract import Exercise, Mistake
from hemlets_lib.exercises.inputs import random_tensor

__all__ = ["EXERCISES"]


def _state_at_child(heat: Tensor) -> int:
    return int(heat.argmax()) - 1


def _ends_alone(heat: Tensor) -> int:
    return 1 if heat[2] > heat[0] else -1


def _above_a_height(heat: Tensor) -> int:
    return int(heat.argmax()) - 1 if heat.max() > 0.5 else 0


def _averaged_state(heat: Tensor) -> int:
    return round(((heat * torch.tensor([-1.0, 0.0, 1.0])).sum() / heat.sum()).item())


_STATE = Exercise(
    "A part's state, from how strong its three maps are where the child is.",
    _state_at_child,
    tuple(
        (torch.tensor(heat),)
        for heat in (
            (0.1, 0.2, 0.9),
            (0.8, 0.3, 0.1),
            (0.1, 0.7, 0.3),
            (0.05, 0.1, 0.4),
            (0.3, 0.25, 0.28),
        )
    ),
    (
        Mistake(
            "your polarity is flipped: the last map means nearer, which is +1, the first farther, −1",
            lambda heat: 1 - int(heat.argmax()),
        ),
        Mistake(
            "you return which place in the list is strongest, counted from 0; states are counted from the "
            "middle map, which is level",
            lambda heat: int(heat.argmax()),
        ),
        Mistake("you take the faintest of the three maps", lambda heat: int(heat.argmin()) - 1),
        Mistake(
            "you never answer level: the middle map is a candidate like the other two",
            _ends_alone,
        ),
        Mistake(
            "you wait for a map that is strong in itself; the strongest of the three decides, however faint",
            _above_a_height,
        ),
        Mistake(
            "you average the states, so that two unsure outer maps make a level one; take the strongest "
            "alone",
            _averaged_state,
        ),
    ),
)


def _root_relative(joints_mm: Tensor, root: int) -> Tensor:
    return joints_mm - joints_mm[root]


def _along(joints_mm: Tensor, root: int, axes: tuple[int, ...]) -> Tensor:
    moved = joints_mm.clone()
    for axis in axes:
        moved[:, axis] = joints_mm[:, axis] - joints_mm[root, axis]
    return moved


def _without_root(joints_mm: Tensor, root: int) -> Tensor:
    moved = joints_mm - joints_mm[root]
    return torch.cat([moved[:root], moved[root + 1 :]])


_ROOT = Exercise(
    "A pose moved as a whole, so that its root joint lies in the origin.",
    _root_relative,
    tuple(
        (300 * random_tensor(joints, 3, seed=joints) + torch.tensor([100.0, -50.0, 4000.0]), root)
        for joints, root in ((3, 0), (5, 3))
    ),
    (
        Mistake(
            "you move the pose away from the origin: the root's own coordinates have to vanish",
            lambda joints_mm, root: joints_mm + joints_mm[root],
        ),
        Mistake(
            "every coordinate has the wrong sign: up has become down; from each joint the root is taken "
            "away, "
            "not the other way round",
            lambda joints_mm, root: joints_mm[root] - joints_mm,
        ),
        Mistake(
            "you move the middle of all joints into the origin, not the root",
            lambda joints_mm, root: joints_mm - joints_mm.mean(0),
        ),
        Mistake(
            "you moved depth alone; x and y belong to the root's place too",
            lambda joints_mm, root: _along(joints_mm, root, (2,)),
        ),
        Mistake(
            "you moved x and y alone; depth is the third coordinate of the root's place",
            lambda joints_mm, root: _along(joints_mm, root, (0, 1)),
        ),
        Mistake(
            "you take the first joint for the root; `root` says which one it is",
            lambda joints_mm, root: joints_mm - joints_mm[0],
        ),
        Mistake(
            "you left the root out; it stays in the list, with three zeros",
            _without_root,
        ),
    ),
)


def _mean_error(predicted: Tensor, target: Tensor, known: Tensor) -> Tensor:
    return _distances(predicted, target)[known].mean()


def _distances(predicted: Tensor, target: Tensor) -> Tensor:
    return ((predicted - predicted[0]) - (target - target[0])).norm(dim=-1)


def _error_where_it_is(predicted: Tensor, target: Tensor, known: Tensor) -> Tensor:
    return (predicted - target).norm(dim=-1)[known].mean()


def _mean_coordinate(predicted: Tensor, target: Tensor, known: Tensor) -> Tensor:
    return ((predicted - predicted[0]) - (target - target[0])).abs()[known].mean()


def _in_the_picture(predicted: Tensor, target: Tensor, known: Tensor) -> Tensor:
    return _mean_error(predicted[:, :2], target[:, :2], known)


def _pose_pair(known: tuple[bool, ...], seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """A predicted pose far from the true one, and which of its joints are labelled."""
    target = 200 * random_tensor(len(known), 3, seed=seed)
    predicted = target + 40 * random_tensor(len(known), 3, seed=seed + 9) + torch.tensor([30.0, 0.0, 90.0])
    return predicted, target, torch.tensor(known)


_ERROR = Exercise(
    "The MPJPE of one pose, root upon root, over the joints that are labelled.",
    _mean_error,
    (
        (
            torch.tensor([[0.0, 0.0, 100.0], [0.0, 30.0, 140.0]]),
            torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]),
            torch.tensor([True, True]),
        ),
        _pose_pair((True, True, True, True), seed=1),
        _pose_pair((True, False, True, True, False), seed=2),
    ),
    (
        Mistake(
            "you compare the poses where they are; first both are moved so that their first joints coincide",
            _error_where_it_is,
        ),
        Mistake(
            "joints that are not labelled count with you; `known` says which do",
            lambda predicted, target, known: _distances(predicted, target).mean(),
        ),
        Mistake(
            "you add the labelled joints up but divide by the number of all joints",
            lambda predicted, target, known: _distances(predicted, target)[known].sum() / len(known),
        ),
        Mistake(
            "you average squared distances: a joint's error is a length in mm, so its root is taken first",
            lambda predicted, target, known: _distances(predicted, target)[known].square().mean(),
        ),
        Mistake(
            "you take the root mean square, which punishes one bad joint; the plain mean of the distances "
            "is meant",
            lambda predicted, target, known: _distances(predicted, target)[known].square().mean().sqrt(),
        ),
        Mistake(
            "you average over single coordinates; a joint's error is its distance in space, from x, y and z "
            "together",
            _mean_coordinate,
        ),
        Mistake("depth is missing: the distance is one in space, of three coordinates", _in_the_picture),
        Mistake(
            "you add the joints' errors up; what is asked for is their mean",
            lambda predicted, target, known: _distances(predicted, target)[known].sum(),
        ),
    ),
)


def _seen_from(joints_mm: Tensor, degrees: float) -> Tensor:
    return _rotated(joints_mm, math.radians(degrees))


def _rotated(joints_mm: Tensor, angle: float, *, fixed: int = 1, mirrored: float = 1.0) -> Tensor:
    """The two other coordinates (u, v) become (u cos + v sin, v cos - u sin)."""
    first, second = (axis for axis in range(3) if axis != fixed)
    u, v = joints_mm[:, first], joints_mm[:, second]
    turned = joints_mm.clone()
    turned[:, first] = u * math.cos(angle) + v * math.sin(angle)
    turned[:, second] = mirrored * (v * math.cos(angle) - u * math.sin(angle))
    return turned


_TURNED = Exercise(
    "A root-relative pose after a turn about the vertical axis.",
    _seen_from,
    tuple(
        (300 * random_tensor(joints, 3, seed=20 + joints), degrees)
        for joints, degrees in ((2, 90.0), (3, 0.0), (4, 30.0), (4, -120.0))
    ),
    (
        Mistake(
            "you turn the other way: at 90° what was behind, z > 0, has to come to the right, x > 0",
            lambda joints_mm, degrees: _rotated(joints_mm, -math.radians(degrees)),
        ),
        Mistake(
            "the angle is in degrees, sine and cosine want radians",
            lambda joints_mm, degrees: _rotated(joints_mm, degrees),
        ),
        Mistake(
            "you turn about the x axis: heights change; a turn about the vertical leaves y alone",
            lambda joints_mm, degrees: _rotated(joints_mm, math.radians(degrees), fixed=0),
        ),
        Mistake(
            "you turn the picture about the line of sight: depth stays, and should not; the axis is the "
            "vertical, y",
            lambda joints_mm, degrees: _rotated(joints_mm, math.radians(degrees), fixed=2),
        ),
        Mistake(
            "your pose comes out mirrored: of the two sines exactly one has a minus sign",
            lambda joints_mm, degrees: _rotated(joints_mm, math.radians(degrees), mirrored=-1.0),
        ),
        Mistake(
            "you turn twice as far as asked",
            lambda joints_mm, degrees: _rotated(joints_mm, 2 * math.radians(degrees)),
        ),
    ),
)

EXERCISES: dict[str, Exercise] = {"00.1": _STATE, "00.2": _ROOT, "00.3": _ERROR, "00.4": _TURNED}
