"""The ambiguity of one view: the 3D poses that share a 2D pose, and how depth order cuts them down.

Under a distant camera a part of known length that is seen shorter than it is has two places in space: its
child is nearer than its parent, or as much farther. The parts choose independently, so K parts make up to
2^K poses with one and the same picture. A part's state says which of its two places it is. Nothing else is
used, not what a body can do, nor that the pelvis is midway between the hips.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from hemlets_lib.skeleton import Skeleton
from hemlets_lib.triplets import EPSILON_RATIO, UNKNOWN

__all__ = [
    "MOST_POSES",
    "count_poses",
    "depth_steps_mm",
    "mean_depth_errors_mm",
    "poses_of_signs",
    "remaining_signs",
    "signs_allowed",
    "states_of_signs",
]

MOST_POSES = 1 << 18  # that are written down at once: 200 MB of poses of 18 joints
_FLAT = 1e-6  # of a part's length: a smaller depth is rounding in √(L² − ℓ²)


def depth_steps_mm(
    planar_mm: Float[Tensor, "J C"], lengths_mm: Float[Tensor, "K"], skeleton: Skeleton
) -> Float[Tensor, "K"]:
    """How much each part's ends differ in depth: √(L² − ℓ²), 0 for a part seen at its full length.

    Args:
        planar_mm: A pose as a distant camera sees it, (x, y) in millimetres at the person, which is s·ℓ in
            the terms of `lifting`; a third coordinate is ignored.
        lengths_mm: L, the parts' lengths.
        skeleton: Supplies the parts.

    Raises:
        ValueError: If the joint count differs from the skeleton's, a number is not finite, or a part is seen
            longer than it is.
    """
    skeleton.check_joints(planar_mm, "planar_mm")
    bone = planar_mm[skeleton.part_children, :2].double() - planar_mm[skeleton.part_parents, :2].double()
    seen, lengths = bone.norm(dim=-1), lengths_mm.double()
    fits = seen <= lengths * (1 + _FLAT)  # False for NaN
    if not bool(fits.all()):
        part = int((~fits).nonzero()[0])
        raise ValueError(
            f"part {' → '.join(skeleton.part_names[part])} must be seen at most as long as it is, got "
            f"{float(seen[part]):.1f} mm seen and a length of {float(lengths[part]):.1f} mm. Scale the 2D "
            "pose to millimetres at the person, and leave out joints that are not known."
        )
    depth = (lengths.square() - seen.square()).clamp_min(0).sqrt()
    return torch.where(depth > _FLAT * lengths, depth, 0)


def states_of_signs(
    signs: Int[Tensor, "*batch K"],
    steps_mm: Float[Tensor, "K"],
    lengths_mm: Float[Tensor, "K"],
    *,
    sine_bounds: Sequence[float] = (EPSILON_RATIO,),
) -> Int[Tensor, "*batch K"]:
    """The parts' states where the children are nearer (+1) or farther (−1), as Eq. (1) has it.

    Args:
        signs: As states have them: +1 is nearer.
        steps_mm: Of `depth_steps_mm`.
        lengths_mm: The parts' lengths.
        sine_bounds: A variant's, as in `triplets.Variant`; (0,) asks for the plain order of every part.
    """
    size = sum((steps_mm > bound * lengths_mm).long() for bound in sine_bounds)
    return signs * size


def signs_allowed(
    states: Int[Tensor, "K"],
    steps_mm: Float[Tensor, "K"],
    lengths_mm: Float[Tensor, "K"],
    *,
    sine_bounds: Sequence[float] = (EPSILON_RATIO,),
) -> list[tuple[int, ...]]:
    """Which of its two places each part may be in, given the states: (1, −1), one of them, or none.

    State 0 leaves both, as long as the part's depth is within ε, and `UNKNOWN` leaves both always. A part
    without depth has one place, called +1. A state that contradicts the part's length leaves none.

    Args:
        states: As `triplets.part_states` gives them.
        steps_mm, lengths_mm, sine_bounds: As in `states_of_signs`.

    Source: Eq. (1) and §3.1.
    """
    both = torch.tensor([[1], [-1]], device=states.device).expand(2, len(states))
    found = states_of_signs(both, steps_mm, lengths_mm, sine_bounds=sine_bounds)
    fits = (found == states) | (states == UNKNOWN)
    fits[1] &= steps_mm > 0
    return [tuple(sign for sign, ok in zip((1, -1), pair, strict=True) if ok) for pair in fits.T.tolist()]


def count_poses(allowed: Sequence[Sequence[int]]) -> int:
    """How many poses the parts' places make up, exactly: their product."""
    return math.prod(map(len, allowed))


def remaining_signs(allowed: Sequence[Sequence[int]]) -> Int[Tensor, "N K"]:
    """All combinations of the parts' places, the last part's running fastest.

    Raises:
        ValueError: If there are more than `MOST_POSES`.
    """
    count = count_poses(allowed)
    if count > MOST_POSES:
        raise ValueError(
            f"expected at most {MOST_POSES} poses to write down, got {count}. Give more parts a state, or "
            "take `count_poses` and `mean_depth_errors_mm`, which need no list."
        )
    grids = torch.meshgrid(*map(torch.tensor, allowed), indexing="ij") if count else ()
    return (
        torch.stack([grid.flatten() for grid in grids], -1) if count else torch.empty(0, len(allowed)).long()
    )


def poses_of_signs(
    planar_mm: Float[Tensor, "J C"],
    steps_mm: Float[Tensor, "K"],
    signs: Int[Tensor, "*batch K"],
    skeleton: Skeleton,
) -> Float[Tensor, "*batch J 3"]:
    """The poses in space: one projection, the parts' lengths, and their children nearer or farther.

    Args:
        planar_mm, steps_mm: As in `depth_steps_mm`.
        signs: As in `states_of_signs`.
        skeleton: Supplies the parts.

    Returns:
        Relative to the root, x right, y down, z away, in float64. NaN where no parts lead to a joint.
    """
    paths = skeleton.part_paths.to(signs.device)
    z = (-signs * steps_mm.double()) @ paths.double().T
    planar = (planar_mm[..., :2] - planar_mm[skeleton.root, :2]).double().expand(*z.shape, 2)
    reached = paths.any(-1)
    reached[skeleton.root] = True
    return torch.where(reached[:, None], torch.cat([planar, z[..., None]], -1), torch.nan)


def mean_depth_errors_mm(
    open_parts: Bool[Tensor, "K"], steps_mm: Float[Tensor, "K"], signs: Int[Tensor, "K"], skeleton: Skeleton
) -> Float[Tensor, "J"]:
    """How far each joint is from the truth on average, in one of the remaining poses taken at random.

    The poses differ in depth alone, and a joint's depth hangs on the parts on its way from the root, so no
    list of all poses is needed: the mean is taken over those parts' places, and is exact.

    Args:
        open_parts: Those with both places left.
        steps_mm: Of `depth_steps_mm`.
        signs: The truth's.
        skeleton: Supplies the parts.

    Returns:
        Millimetres; 0 for the root, NaN where no parts lead to a joint.
    """
    wrong = (2 * signs * steps_mm.double() * open_parts).tolist()  # z − z_true of the wrong place
    means = []
    for joint, path in enumerate(skeleton.part_paths.tolist()):
        offsets = [0.0]
        for part, on_the_way in enumerate(path):
            if on_the_way and open_parts[part]:
                offsets += [offset + wrong[part] for offset in offsets]
        known = joint == skeleton.root or any(path)
        means.append(sum(map(abs, offsets)) / len(offsets) if known else math.nan)
    return torch.tensor(means, dtype=torch.float64)
