"""From triplets to a coarse 3D pose, with the parts' lengths and nothing else.

No network and no training: what `lift` recovers is what the representation itself holds.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from hemlets_lib.skeleton import Skeleton
from hemlets_lib.triplets import UNKNOWN, get_variant

__all__ = ["LiftedPose", "lift"]


class LiftedPose(NamedTuple):
    """A coarse 3D pose made from 2D joints, depth order and bone lengths."""

    joints_root_rel_mm: Float[Tensor, "B J 3"]  # 0 where not valid
    valid: Bool[Tensor, "B J"]
    mm_per_crop: Float[Tensor, "B"]  # millimetres that one crop width spans at the person

    @property
    def flat_root_rel_mm(self) -> Float[Tensor, "B J 3"]:
        """The same pose with all depth taken out: what there is without the triplets."""
        return self.joints_root_rel_mm * self.joints_root_rel_mm.new_tensor([1.0, 1.0, 0.0])


def lift(
    joints_crop: Float[Tensor, "B J 2"],
    states: Int[Tensor, "B K"],
    part_lengths_mm: Float[Tensor, "*#B K"],
    *,
    skeleton: Skeleton,
    variant: str = "hemlets",
    joint_found: Bool[Tensor, "B J"] | None = None,
    mm_per_crop: Float[Tensor, "B"] | None = None,
) -> LiftedPose:
    """How much 3D the triplets hold: a pose from them and the parts' lengths alone.

    Under a distant camera a part of length L that is seen at length s·ℓ differs in depth by
    √(L² - (s ℓ)²) between its ends; the state says in which direction, and within which bounds. At
    state 0 the sign is unknown and the part is laid flat. Depths add up along the parts from the root.

    The scale s, where not given, is the weighted least-squares fit of s·ℓ to L·E[cos θ], θ being
    uniform over the angles that the part's state allows.

    Args:
        joints_crop: 2D joints in crop space.
        states: As decoded; `UNKNOWN` counts as flat.
        part_lengths_mm: ‖B_k‖, one length per part, for all or for each sample. NaN: not known.
        skeleton, variant: As in encoding.
        joint_found: Joints that are there; all where left out.
        mm_per_crop: The scale s, if known.

    Returns:
        The pose relative to the root joint, x right, y down, z away, and the scale used. Joints that
        no chain of known parts connects to the root are not valid.

    Raises:
        ValueError: If the joint count differs from the skeleton's, or the variant is unknown.
    """
    rule = get_variant(variant)
    skeleton.check_joints(joints_crop, "joints_crop")
    parents, children = skeleton.part_parents, skeleton.part_children
    lengths_mm = part_lengths_mm.expand(*states.shape)
    if joint_found is None:
        joint_found = torch.ones(joints_crop.shape[:-1], dtype=torch.bool, device=joints_crop.device)
    joints_crop = joints_crop.to(torch.promote_types(joints_crop.dtype, torch.float32))  # 300² mm² needs it
    lengths_mm = lengths_mm.to(joints_crop.dtype)
    joint_found = joint_found & joints_crop.isfinite().all(-1)
    joints_crop = torch.where(joint_found[..., None], joints_crop, 0)
    usable = joint_found[:, parents] & joint_found[:, children] & lengths_mm.isfinite() & (lengths_mm > 0)
    lengths_mm = torch.where(usable, lengths_mm, 1)  # anything finite: what is not usable has no weight
    seen = (joints_crop[:, children] - joints_crop[:, parents]).norm(dim=-1)  # ℓ, in crop widths
    known = torch.where(states == UNKNOWN, 0, states)
    size = known.abs()

    sines = torch.tensor((0.0, *rule.sine_bounds, 1.0), dtype=seen.dtype, device=seen.device)
    if mm_per_crop is None:
        low, high = sines[:-1].asin(), sines[1:].asin()
        mean = (high.sin() - low.sin()) / (high - low)  # E[cos θ]
        variance = 0.5 + ((2 * high).sin() - (2 * low).sin()) / (4 * (high - low)) - mean.square()
        weight = usable / (variance[size] * lengths_mm.square())
        fit = (weight * mean[size] * lengths_mm * seen).sum(-1)
        mm_per_crop = fit / (weight * seen.square()).sum(-1).clamp_min(1e-12)

    squared = lengths_mm.square() - (mm_per_crop[:, None] * seen).square()
    depth_mm = squared.clamp_min(0).sqrt()
    depth_mm = torch.minimum(torch.maximum(depth_mm, sines[size] * lengths_mm), sines[size + 1] * lengths_mm)
    step_mm = -known.sign() * depth_mm * usable  # (B, K): z_c - z_p

    paths = skeleton.part_paths.to(joints_crop.device)  # (J, K)
    z = step_mm @ paths.to(step_mm.dtype).T
    reached = paths.any(-1)
    reached[skeleton.root] = True
    broken = (~usable).to(step_mm.dtype) @ paths.to(step_mm.dtype).T > 0
    planar = (joints_crop - joints_crop[:, skeleton.root, None]) * mm_per_crop[:, None, None]
    valid = reached & ~broken & joint_found & joint_found[:, skeleton.root, None]
    pose = torch.cat([planar, z[..., None]], -1)
    return LiftedPose(torch.where(valid[..., None], pose, 0), valid, mm_per_crop)
