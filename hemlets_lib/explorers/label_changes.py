"""What moving the camera about a person, or augmenting the picture, does to a sample's labels."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from hemlets_lib.data.sample import Batch, Sample, label_sample
from hemlets_lib.geometry import DEPTH_RANGE_MM, crop_to_px, root_relative
from hemlets_lib.skeleton import Skeleton
from hemlets_lib.triplets import part_lengths

__all__ = ["BLANK", "LabelChanges", "label_changes", "orbit", "seen_from"]

BLANK = 240  # grey level where no camera has been


def orbit(
    joints_cam_mm: Float[Tensor, "J 3"],
    *,
    azimuth_deg: float,
    elevation_deg: float = 0.0,
    distance: float = 1.0,
    root: int,
) -> Float[Tensor, "J 3"]:
    """A pose as a camera sees it that has moved about the person's root joint, and turned along with it.

    The root stays on its line of sight, so it stays where it is in the picture.

    Args:
        joints_cam_mm: Camera space before, millimetres.
        azimuth_deg: How far round, about the picture's vertical; positive to the camera's right.
        elevation_deg: Then how far up.
        distance: From the root, as a factor.
        root: The joint to move about.

    Returns:
        Camera space after, float64.
    """
    joints = joints_cam_mm.double()
    round_, up = math.radians(azimuth_deg), math.radians(elevation_deg)
    across = joints.new_tensor(
        [[math.cos(round_), 0, math.sin(round_)], [0, 1, 0], [-math.sin(round_), 0, math.cos(round_)]]
    )
    over = joints.new_tensor([[1, 0, 0], [0, math.cos(up), -math.sin(up)], [0, math.sin(up), math.cos(up)]])
    return root_relative(joints, root) @ (over @ across).T + distance * joints[root]


def seen_from(
    sample: Sample, *, azimuth_deg: float, elevation_deg: float, distance: float, skeleton: Skeleton
) -> Sample:
    """A sample with the labels that it would have from elsewhere, and a blank picture: nobody took one there.

    Args:
        sample: With a camera and all joints in camera space.
        azimuth_deg, elevation_deg, distance: As in `orbit`.
        skeleton: Its own.
    """
    assert sample.joints_cam_mm is not None  # as `known_in_space` chose
    moved = orbit(
        sample.joints_cam_mm,
        azimuth_deg=azimuth_deg,
        elevation_deg=elevation_deg,
        distance=distance,
        root=skeleton.root,
    )
    return label_sample(
        np.full_like(sample.image, BLANK), affine=sample.affine, meta=sample.meta, skeleton=skeleton,
        joints_cam_mm=moved, camera=sample.camera,
    )  # fmt: skip


@dataclass(frozen=True)
class LabelChanges:
    """How far labels are from what they were, before → after.

    Args:
        joints_px: Mean distance in the picture between where a joint's label was and is, pixels.
        depth_mm: Largest change of a limb's or joint's own depth behind the root, millimetres.
        states: How many limbs have another state than they had.
        length_mm: Largest change of a limb's length in space, millimetres.
        length_ratios: Each limb's length in the picture, after / before (K,), by the parts after; NaN where
            a limb had none.
        renamed: Left and right have swapped names: a limb's label is to be looked for on the other side.
    """

    joints_px: float
    depth_mm: float
    states: int
    length_mm: float
    length_ratios: Float[Tensor, "K"]
    renamed: bool


def label_changes(before: Batch, after: Batch, skeleton: Skeleton, *, renamed: bool) -> LabelChanges:
    """What happened to the labels of one sample.

    Args:
        before, after: A batch of one each, with all joints in camera space.
        skeleton: Theirs.
        renamed: A mirror has swapped left and right: limbs are followed to their new names.
    """
    joint_order = list(skeleton.flip_permutation if renamed else range(skeleton.num_joints))
    part_order = list(skeleton.part_flip_permutation if renamed else range(skeleton.num_parts))
    size = before.images.shape[-1]
    were_px, are_px = (crop_to_px(batch.joints_crop[0, :, :2], size) for batch in (before, after))
    known = before.joint_valid[0] & after.joint_valid[0]
    depths = (before.joints_crop[0, joint_order, 2] - after.joints_crop[0, :, 2]) * DEPTH_RANGE_MM
    in_space = [part_lengths(batch.joints_cam_mm[0], skeleton) for batch in (before, after)]
    flat = [
        (ends[skeleton.part_children] - ends[skeleton.part_parents]).norm(dim=-1)
        for ends in (were_px[joint_order], are_px)
    ]
    return LabelChanges(
        joints_px=float((are_px - were_px).norm(dim=-1)[known].mean()),
        depth_mm=float(depths.abs().max()),
        states=int((before.part_states[0, part_order] != after.part_states[0]).sum()),
        length_mm=float((in_space[0][part_order] - in_space[1]).abs().max()),
        length_ratios=torch.where(flat[0] > 0, flat[1] / flat[0], math.nan),
        renamed=renamed,
    )
