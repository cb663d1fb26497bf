"""The evaluation of the authors' release, step by step, beside the one the literature uses.

Both score the same network by the same joints. They differ in three places:

                    literature (`evaluate`)                     release (mode "official")
    mirror image    x → -x, where crop space's x = 0 lies       x → -x - 1 / 256, where it lies on
                    between pixels 127 and 128                  pixel 128
    distance        the root's true depth, the true camera      searched for, by the bones' lengths, in a
                                                                camera of f = 1150, c = (500, 500)
    alignment       PA-MPJPE: the prediction is laid over       reverse PA-MPJPE: the truth is laid over
                    the truth                                   the prediction

Both mirrors send pixel u, counted from 0, to 255 - u: pixel 100 to 155. What differs is crop space, in the
release u / 256 - 0.5, here (u + 0.5) / 256 - 0.5 (`geometry`). A network of one kind, read as the other, is
half a pixel off. Along x the mean with the mirrored picture undoes that, along y nothing does; all joints of
a person move alike, and a root-relative pose hardly notices.

Source: the authors' inference code (github.com/redrock303/HEMlets): metric_3d.py, test_dataset.py, table.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from hemlets_lib.data.sample import Sample, camera_to
from hemlets_lib.geometry import DEPTH_RANGE_MM, apply_affine, invert_affine
from hemlets_lib.prediction import Prediction
from hemlets_lib.skeleton import HEMLETS18, Skeleton

__all__ = [
    "ASSUMED_CENTRE_PX",
    "ASSUMED_FOCAL_PX",
    "SEARCH_BONES",
    "BoneSearch",
    "bone_search",
    "official_flip_mean",
    "official_joints_px",
    "restore_by_labels",
    "restore_by_search",
]

ASSUMED_FOCAL_PX, ASSUMED_CENTRE_PX = 1150.0, 500.0  # for all four cameras of Human3.6M; the lens left out
_FOCAL_TOLERANCE, _CENTRE_TOLERANCE_PX = 0.05, 50.0  # Human3.6M's own stay within 0.6 % and 20 px

# The release's 15 bones and what it calls their average lengths, mm. They are those of subject S1.
SEARCH_BONES: tuple[tuple[str, str, float], ...] = (
    ("right_hip", "pelvis", 132.9486),
    ("left_hip", "pelvis", 132.9488),
    ("torso", "pelvis", 233.4706),
    ("right_knee", "right_hip", 442.8946),
    ("right_ankle", "right_knee", 454.2064),
    ("left_knee", "left_hip", 442.8944),
    ("left_ankle", "left_knee", 454.2066),
    ("right_shoulder", "neck", 151.0314),
    ("left_shoulder", "neck", 151.0342),
    ("nose", "neck", 121.1349),
    ("head", "nose", 115.0022),
    ("right_elbow", "right_shoulder", 278.8929),
    ("right_wrist", "right_elbow", 251.7287),
    ("left_elbow", "left_shoulder", 278.8828),
    ("left_wrist", "left_elbow", 251.7335),
)
# The scale s is the root's depth over the focal length, mm per pixel: from 2.3 m to 9.2 m, then in tenths.
_COARSE_SCALES = tuple(2.0 + 0.5 * step for step in range(13))
_FINE_STEPS = tuple(0.1 * step for step in range(-5, 5))


class BoneSearch(NamedTuple):
    """Poses whose distance the bones decide."""

    joints_cam_mm: Float[Tensor, "N J 3"]
    scale: Float[Tensor, "N"]  # mm per pixel at the root; times the focal length it is the root's depth
    misfit_mm: Float[Tensor, "N"]  # mean difference between the bones and their lengths


def official_flip_mean(
    joints_crop: Float[Tensor, "N J 3"],
    mirrored_joints_crop: Float[Tensor, "N J 3"],
    *,
    size: int,
    skeleton: Skeleton = HEMLETS18,
) -> Float[Tensor, "N J 3"]:
    """The mean with the mirrored picture's joints as the release takes it, in crop space.

    Args:
        joints_crop: What the network says of a picture.
        mirrored_joints_crop: What it says of the mirrored picture; left and right not yet exchanged.
        size: Side of the network's input, pixels.
        skeleton: Says which joints to exchange.
    """
    x, rest = mirrored_joints_crop[..., :1], mirrored_joints_crop[..., 1:]
    x_px = size - (x + 0.5) * size - 1  # 256 - x - 1: the pixels counted from the other end
    back = torch.cat([x_px / size - 0.5, rest], -1)[..., list(skeleton.flip_permutation), :]
    return (joints_crop + back) / 2


def official_joints_px(found: Prediction, *, size: int) -> Float[Tensor, "N J 2"]:
    """Joints in the whole picture by the release's pixels, from a prediction with `flip_test=True`.

    That has taken the mean of x and -x; `official_flip_mean`, of x and -x - 1 / size, lies half a pixel to
    the left of it. Crop space is then u / size - 0.5.

    Args:
        found: Of `predict`.
        size: Side of the network's input, pixels.
    """
    crop_px = (found.joints_crop[..., :2].double() + 0.5) * size
    crop_px = crop_px - crop_px.new_tensor([0.5, 0.0])
    return apply_affine(invert_affine(found.affine.double()), crop_px)


def bone_search(
    joints_px: Float[Tensor, "N J 2"], depth_mm: Float[Tensor, "N J"], *, skeleton: Skeleton = HEMLETS18
) -> BoneSearch:
    """The release's search for the distance at which 15 bones are as long as it expects.

    At scale s a joint at pixel u and depth d behind the root lies at x = (u - 500) (d / 1150 + s) and
    z = d + 1150 s. The mean of |bone - length| decides: first among s = 2, 2.5, … 8, then among the best of
    these and its neighbours from -0.5 to +0.4 in steps of 0.1.

    Args:
        joints_px: In a picture as large as Human3.6M's, 1000 pixels.
        depth_mm: Behind the root.
        skeleton: With the joints of `SEARCH_BONES`.

    Raises:
        ValueError: If the skeleton lacks one of them, or the joint count is another.
    """
    skeleton.check_joints(joints_px, "joints_px")
    ends = [(skeleton.index(one), skeleton.index(other)) for one, other, _ in SEARCH_BONES]
    lengths_mm = depth_mm.new_tensor([length for _, _, length in SEARCH_BONES])
    planar = joints_px - ASSUMED_CENTRE_PX

    def at(scale: Tensor) -> Tensor:
        """(N, …) scales to (N, …, J, 3) joints."""
        more = (slice(None), *[None] * (scale.ndim - 1))
        depth = depth_mm[more] / ASSUMED_FOCAL_PX + scale[..., None]
        return torch.cat([planar[more] * depth[..., None], (depth * ASSUMED_FOCAL_PX)[..., None]], -1)

    def misfit(scale: Tensor) -> Tensor:
        joints = at(scale)
        bones = joints[..., [one for one, _ in ends], :] - joints[..., [other for _, other in ends], :]
        return (bones.norm(dim=-1) - lengths_mm).abs().mean(-1)

    coarse = depth_mm.new_tensor(_COARSE_SCALES).expand(len(depth_mm), -1)
    best = coarse.gather(1, misfit(coarse).argmin(1, keepdim=True))
    fine = best + depth_mm.new_tensor(_FINE_STEPS)
    least, place = misfit(fine).min(1, keepdim=True)
    scale = fine.gather(1, place)[:, 0]
    return BoneSearch(at(scale), scale, least[:, 0])


def restore_by_search(
    joints_px: Float[Tensor, "N J 2"],
    found: Prediction,
    samples: Sequence[Sample],
    *,
    skeleton: Skeleton = HEMLETS18,
) -> Float[Tensor, "N J 3"]:
    """Camera space, mm, from `bone_search`: nothing is told of a person's distance.

    Args:
        joints_px: In the whole picture: `official_joints_px`, or `found.joints_px`.
        found: Supplies the depths.
        samples: Their cameras must be such as the search assumes, where they are known.
        skeleton: The network's.

    Raises:
        ValueError: If a sample's camera is another than Human3.6M's.
    """
    for sample in samples:
        if sample.camera is None:
            continue
        focal, centre = sample.camera.focal_px, sample.camera.centre_px
        if not bool(
            ((focal / ASSUMED_FOCAL_PX - 1).abs() <= _FOCAL_TOLERANCE).all()
            and ((centre - ASSUMED_CENTRE_PX).abs() <= _CENTRE_TOLERANCE_PX).all()
        ):
            said = ", ".join(f"{value:.0f}" for value in [*focal.tolist(), *centre.tolist()])
            raise ValueError(
                f"sample {sample.meta.sample_id!r}: the authors' search expects a camera such as Human3.6M's "
                f"(f about {ASSUMED_FOCAL_PX:.0f}, c about {ASSUMED_CENTRE_PX:.0f} pixels), got fx, fy, cx, "
                f"cy = {said}. Use root_depth='labels' or 'bones', which take the sample's own camera."
            )
    depth_mm = found.joints_crop[..., 2].double() * DEPTH_RANGE_MM
    return bone_search(joints_px.double(), depth_mm, skeleton=skeleton).joints_cam_mm


def restore_by_labels(
    joints_px: Float[Tensor, "N J 2"],
    found: Prediction,
    samples: Sequence[Sample],
    *,
    skeleton: Skeleton = HEMLETS18,
) -> Float[Tensor, "N J 3"]:
    """Camera space, mm, from the root's true depth and the true camera. Arguments as in `restore_by_search`.

    Raises:
        ValueError: If a sample has no camera or no root depth.
    """
    restored = []
    for place, sample in enumerate(samples):
        if sample.camera is None or sample.joints_cam_mm is None:
            raise ValueError(
                f"sample {sample.meta.sample_id!r}: expected a camera and the root's depth, got none. Use "
                "root_depth='bone_search', or flip_test='standard'."
            )
        root_mm = sample.joints_cam_mm[skeleton.root, 2].double()
        depth_mm = found.joints_crop[place, :, 2].double() * DEPTH_RANGE_MM + root_mm
        camera = camera_to(sample.camera, torch.float64)
        restored.append(camera.back_project(joints_px[place].double(), depth_mm))
    return torch.stack(restored)
