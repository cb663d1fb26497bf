"""Unusual poses of a labelled data set, chosen by the labels alone: people upside down, bent, at sports.

A pose is what is labelled of it in the picture, moved to one centre and scaled to one size, but not turned.
How unusual it is, is how far its joints lie from the median pose of the whole set, on average, where 1 is
the root mean square distance of a pose's joints from their centre. Somebody who stands on their hands is
far from the median of people who stand on their feet. No network has a say.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from hemlets_lib.data.sample import Sample
from hemlets_lib.geometry import root_relative
from hemlets_lib.metrics import mpjpe
from hemlets_lib.prediction import Prediction
from hemlets_lib.skeleton import Skeleton

__all__ = ["CRITERION", "HardPose", "hardest_poses", "judge", "unusualness"]

CRITERION = (
    "the poses whose labelled joints lie, on average, farthest from the median pose of all {count} samples "
    "in the picture, each moved to one centre and scaled to one size but not turned; of poses that are "
    "nearly alike the farthest only. The labels alone decide, before any prediction"
)
_LEAST_LABELLED = 0.5  # of the joints; fewer do not make a pose
_LEAST_APART = 0.25  # of a pose's size, mean over the joints: frames of one moment are closer


def unusualness(joints: Float[Tensor, "N J C"], joint_valid: Bool[Tensor, "N J"]) -> Float[Tensor, "N"]:
    """How far each pose is from the median of all; NaN where fewer than half of the joints are labelled.

    Args:
        joints: In any unit, in the picture; coordinates after x and y are not looked at.
        joint_valid: Which of them are labelled.
    """
    return _distances(_in_one_size(joints, joint_valid))


def hardest_poses(
    joints: Float[Tensor, "N J C"], joint_valid: Bool[Tensor, "N J"], count: int
) -> list[tuple[int, float]]:
    """The most unusual poses, no two of them alike.

    Args:
        joints, joint_valid: As in `unusualness`.
        count: How many; fewer if there are not so many different ones.

    Returns:
        Each one's number and its `unusualness`, the most unusual first.

    Raises:
        ValueError: If `count` is not positive, or no pose has labels enough.
    """
    if count < 1:
        raise ValueError(f"`count` must be at least 1, got {count}.")
    poses = _in_one_size(joints, joint_valid)
    distances = _distances(poses)
    order = distances.nan_to_num(-1.0).argsort(descending=True, stable=True)
    order = order[: int(distances.isfinite().sum())]
    if not len(order):
        raise ValueError(
            f"`joints` must hold poses with half of their {joints.shape[1]} joints labelled, got "
            f"{len(joints)} and none of those."
        )
    chosen: list[int] = []
    for index in order.tolist():
        apart = (poses[chosen] - poses[index]).norm(dim=-1).nanmean(-1)  # (chosen,)
        if not bool((apart < _LEAST_APART).any()):
            chosen.append(index)
            if len(chosen) == count:
                break
    return [(index, float(distances[index])) for index in chosen]


def _in_one_size(joints: Float[Tensor, "N J C"], joint_valid: Bool[Tensor, "N J"]) -> Float[Tensor, "N J 2"]:
    """(x, y) about the pose's centre, in its size; NaN where nobody labelled it, or too little else."""
    planar = torch.where(joint_valid[..., None], joints[..., :2].double(), torch.nan)
    centred = planar - planar.nanmean(1, keepdim=True)
    size = centred.square().sum(-1).nanmean(1).sqrt()  # (N,)
    enough = (joint_valid.double().mean(1) >= _LEAST_LABELLED) & (size > 0)
    return torch.where(enough[:, None, None], centred / size[:, None, None], torch.nan).float()


def _distances(poses: Float[Tensor, "N J 2"]) -> Float[Tensor, "N"]:
    median = poses.nanmedian(0).values
    return (poses - median).norm(dim=-1).nanmean(-1)


class HardPose(NamedTuple):
    """A labelled pose, what was predicted of it, and how far off that is.

    Args:
        name: The sample's.
        image: Its crop, (H, W, 3).
        joints_crop, true_crop: Predicted and labelled, in crop space; NaN where unlabelled.
        joints_mm, true_mm: The same about the root in camera axes; None without 3D labels.
        unusual: Its `unusualness`; NaN where nobody asked.
        off_percent: Mean distance in the picture, in percent of the crop's side.
        error_mm: MPJPE; None without 3D labels.
    """

    name: str
    image: np.ndarray
    joints_crop: Tensor
    true_crop: Tensor
    joints_mm: Tensor
    true_mm: Tensor | None
    unusual: float
    off_percent: float
    error_mm: float | None


def judge(
    sample: Sample, found: Prediction, row: int, skeleton: Skeleton, *, unusual: float = math.nan
) -> HardPose:
    """A labelled sample beside what was predicted of it.

    Args:
        sample: With its labels.
        found: From `predict`, of this sample among others.
        row: Which of them it is.
        skeleton: The network's.
        unusual: Its `unusualness`, if that is known.
    """
    off = (found.joints_crop[row, :, :2] - sample.joints_crop[:, :2]).norm(dim=-1)[sample.joint_valid]
    truth_mm, error_mm = None, None
    if sample.joints_cam_mm is not None and bool(sample.depth_valid.any()):
        truth_mm = root_relative(sample.joints_cam_mm, skeleton.root)
        known = truth_mm.isfinite().all(-1)
        predicted_mm = found.joints_root_rel_mm[row : row + 1]
        error_mm = float(mpjpe(predicted=predicted_mm, target=truth_mm[None], valid=known[None])[0])
    return HardPose(
        name=sample.meta.sample_id or sample.meta.source,
        image=sample.image,
        joints_crop=found.joints_crop[row],
        true_crop=torch.where(sample.joint_valid[:, None], sample.joints_crop, torch.nan),
        joints_mm=found.joints_root_rel_mm[row],
        true_mm=truth_mm,
        unusual=unusual,
        off_percent=100 * float(off.mean()),
        error_mm=error_mm,
    )
