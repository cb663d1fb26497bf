"""What MPI-INF-3DHP consists of, as data with its sources, and what its two parts share.

The training set shows eight people before the green screen, two sequences each, by fourteen cameras; the test
set six sequences by one camera each. Joints are in camera space, in millimetres.

Every pose comes in two sizes. `annot3` is as measured: it projects onto `annot2`. `univ_annot3` is the same
scaled to one height for everybody, which the official metric compares with; as it stands, it does not project
(README of the download). Root upon root the two differ by one factor for a whole sequence (`preprocess.py`
of anibali/margipose asserts it). A person scaled about the camera looks the same, so `universal_poses` puts
the scaled root where it is seen: then the picture, the camera and the metric's pose belong together.

Source: Mehta et al., 'Monocular 3D Human Pose Estimation In The Wild Using Improved CNN Supervision', 3DV
2017, and the README and MATLAB files of the download, unless a line says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float

from hemlets_lib.data.readers.files import DownloadError
from hemlets_lib.geometry import Camera
from hemlets_lib.skeleton import HEMLETS18, Skeleton

__all__ = [
    "ACTIVITIES",
    "DATASET",
    "PUBLISHED_CAMERAS",
    "SEQUENCES",
    "SEQUENCE_FRAMES",
    "SEQUENCE_RATES",
    "SHORT_VIDEOS",
    "TEST_SEQUENCES",
    "TEST_SIZES",
    "TRAIN_SUBJECTS",
    "USED_CAMERAS",
    "VALID_FRAMES",
    "Universal",
    "distances_px",
    "fit_camera",
    "to_hemlets18",
    "universal_poses",
]

DATASET = "mpi_inf_3dhp"

TRAIN_SUBJECTS = tuple(f"S{number}" for number in range(1, 9))
SEQUENCES = ("Seq1", "Seq2")

# The cameras at the height of chest and knees and two that look down a little, 'vnect' of
# mpii_get_camera_set.m: the ones that the download script fetches, and that the field trains on.
USED_CAMERAS = (0, 1, 2, 4, 5, 6, 7, 8)

# (subject, sequence) -> frames that have pictures; the annotations may go on. mpii_get_sequence_info.m, which
# the README says to keep to.
SEQUENCE_FRAMES: Mapping[tuple[str, str], int] = MappingProxyType(
    {
        (subject, sequence): count
        for subject, counts in zip(
            TRAIN_SUBJECTS,
            (
                (6416, 12430), (6502, 6081), (12488, 12283), (6171, 6675),
                (12820, 12312), (6188, 6145), (6239, 6320), (6468, 6054),
            ),
            strict=True,
        )
        for sequence, count in zip(SEQUENCES, counts, strict=True)
    }
)  # fmt: skip

# Frames per second, same source.
SEQUENCE_RATES: Mapping[tuple[str, str], float] = MappingProxyType(
    {
        key: 50.0 if key[0] in ("S3", "S5") or key == ("S1", "Seq2") else 25.0
        for key in SEQUENCE_FRAMES
    }
)  # fmt: skip

# (subject, sequence, camera) -> frames in a video that is shorter than the others of its sequence.
# Source: mpi_inf_3dhp.py of isarandi/metro-pose3d; margipose leaves the video out.
SHORT_VIDEOS: Mapping[tuple[str, str, int], int] = MappingProxyType({("S6", "Seq2", 2): 3911})

# (width, height) of the test pictures. Source: preprocess_mpi_inf_3dhp.py of open-mmlab/mmpose.
TEST_SIZES: Mapping[str, tuple[int, int]] = MappingProxyType(
    {f"TS{number}": (2048, 2048) if number <= 4 else (1920, 1080) for number in range(1, 7)}
)
TEST_SEQUENCES = tuple(TEST_SIZES)

# How many frames of each the data set marks as valid; 2929 in all, the number that papers give.
VALID_FRAMES: Mapping[str, int] = MappingProxyType(
    dict(zip(TEST_SEQUENCES, (603, 540, 505, 553, 276, 452), strict=True))
)

# `activity_annotation`, from 1.
ACTIVITIES = (
    "Standing/Walking", "Exercising", "Sitting", "Reaching/Crouching", "On The Floor", "Sports", "Misc",
)  # fmt: skip

# Focal length (x, y) and principal point (x, y), pixels: to hold a fit against. TS1-4 were taken by the
# training set's camera 8, whose calibration this is; TS5-6 by another one, whose focal length
# isarandi/metro-pose3d gives, and whose principal point is a fit of mmpose's to all frames.
_STUDIO_CAMERA, _OUTDOOR_CAMERA = (1500.172, 1500.837, 1017.387, 1043.032), (1684.0, 1672.6, 939.9, 560.2)
PUBLISHED_CAMERAS: Mapping[str, tuple[float, float, float, float]] = MappingProxyType(
    {name: _STUDIO_CAMERA if size == (2048, 2048) else _OUTDOOR_CAMERA for name, size in TEST_SIZES.items()}
)

# In the revised TS6, knees and ankles of `univ_annot3` are another pose than those of `annot3`, which project
# rightly. Source: preprocess.py of anibali/margipose. They do not take part in finding the scale.
_UNRELIABLE_IN_UNIVERSAL = ("left_knee", "left_ankle", "right_knee", "right_ankle")
_LARGEST_MM = 1e5  # no coordinate of a person in a room is larger; keeps sums of squares of anything finite
_LARGEST_MISFIT_PX = 20.0  # root mean square; projections agree to 2 px on real frames
_LARGEST_MISFIT = 0.05  # of the pose's size, root mean square; real sequences agree to rounding
_LEAST_SCALE, _LARGEST_SCALE = 0.5, 2.0  # a person's height over the universal one's
_MATCHED = [
    index
    for index, joint in enumerate(HEMLETS18.joint_names)
    if joint not in ("pelvis", *_UNRELIABLE_IN_UNIVERSAL)
]


def to_hemlets18(joints: Float[np.ndarray, "F J C"], order: Skeleton) -> Float[np.ndarray, "F 18 C"]:
    """Poses in the order of HEMLETS18; NaN where a joint is not finite.

    Args:
        joints: In the data set's order of 28 or 17.
        order: `joint_orders.MPI_INF_3DHP28` or `skeleton.MPI_INF_3DHP17`.
    """
    mapped, known = order.remap(torch.from_numpy(np.ascontiguousarray(joints, dtype=np.float64)), HEMLETS18)
    return torch.where(known[..., None], mapped, torch.nan).numpy()


def _sensible(*values: Float[np.ndarray, "F J _"]) -> Bool[np.ndarray, "F J"]:
    """Where all of them are numbers that a person in a room can have."""
    with np.errstate(invalid="ignore"):
        return np.logical_and.reduce([(np.abs(value) < _LARGEST_MM).all(-1) for value in values])


def fit_camera(
    joints_px: Float[np.ndarray, "F J 2"], joints_cam_mm: Float[np.ndarray, "F J 3"], *, where: str
) -> Camera:
    """The pinhole camera that projects the joints onto their pixels, by least squares.

    The test set comes without calibration. Each axis has two unknowns, u = f x/z + c.

    Args:
        joints_px: In the picture.
        joints_cam_mm: The same, camera space.
        where: The file, for messages.

    Raises:
        DownloadError: If there is too little to tell, or the joints do not project onto the pixels.

    Source: preprocess_mpi_inf_3dhp.py of open-mmlab/mmpose and preprocess.py of anibali/margipose, which
    weight joints by their depth; here all count alike.
    """
    usable = _sensible(joints_px, joints_cam_mm)
    usable &= np.where(usable, joints_cam_mm[..., 2], 0) > 1
    rays = joints_cam_mm[usable][:, :2] / joints_cam_mm[usable][:, 2:]
    found, misfits = [], []
    for axis in range(2):
        equations = np.stack([rays[:, axis], np.ones(len(rays))], -1)
        solution, _, rank, _ = np.linalg.lstsq(equations, joints_px[usable][:, axis], rcond=None)
        if rank < 2:
            raise DownloadError(
                f"{where}: expected `annot2` and `annot3` to tell the camera, got {len(rays)} usable joints."
            )
        found.append(solution)
        misfits.append(equations @ solution - joints_px[usable][:, axis])
    misfit = float(np.sqrt(np.mean(np.square(misfits))))
    (fx, cx), (fy, cy) = found
    if misfit > _LARGEST_MISFIT_PX or fx <= 0 or fy <= 0:
        raise DownloadError(
            f"{where}: expected `annot3` to project onto `annot2`, got {misfit:.0f} px off at a focal length "
            f"of {fx:.0f}, {fy:.0f} px. Do both belong to one sequence?"
        )
    return Camera(
        focal_px=torch.tensor([fx, fy], dtype=torch.float64),
        centre_px=torch.tensor([cx, cy], dtype=torch.float64),
    )


def distances_px(
    joints_px: Float[np.ndarray, "F J 2"], joints_cam_mm: Float[np.ndarray, "F J 3"], camera: Camera
) -> Float[np.ndarray, "N"]:
    """How far projected joints are from their pixels; of the N that are known.

    Args:
        joints_px: In the picture.
        joints_cam_mm: The same, camera space.
        camera: Projects them.
    """
    usable = _sensible(joints_px, joints_cam_mm)
    projected = camera.project(torch.from_numpy(joints_cam_mm[usable])).numpy()
    distances = np.linalg.norm(projected - joints_px[usable], axis=-1)
    return distances[np.isfinite(distances)]


class Universal(NamedTuple):
    """What `universal_poses` found."""

    joints_cam_mm: Float[np.ndarray, "F 18 3"]
    scale: float  # measured over universal size
    misfit_mm: float  # largest, of the joints that the scale was found by


def universal_poses(
    measured_mm: Float[np.ndarray, "F 18 3"], universal_mm: Float[np.ndarray, "F 18 3"], *, where: str
) -> Universal:
    """The poses that the official metric compares with, put where the camera sees them.

    Root-relative they are `univ_annot3`, exactly. The root is moved along its ray to where a person of that
    size must stand: to the measured root over the scale.

    Args:
        measured_mm: `annot3`.
        universal_mm: `univ_annot3`.
        where: The file, for messages.

    Raises:
        DownloadError: If the two are not one pose in two sizes.
    """
    root = HEMLETS18.root
    measured = measured_mm - measured_mm[:, root : root + 1]
    universal = universal_mm - universal_mm[:, root : root + 1]
    usable = _sensible(measured, universal)[:, _MATCHED]
    one, other = measured[:, _MATCHED][usable], universal[:, _MATCHED][usable]
    square = float((other**2).sum())
    scale = float((one * other).sum()) / square if square > 0 else float("nan")
    with np.errstate(invalid="ignore", over="ignore"):
        misfit = one - scale * other
        relative = float(np.sqrt((misfit**2).sum() / max((one**2).sum(), 1e-12)))
    if not (_LEAST_SCALE < scale < _LARGEST_SCALE and relative < _LARGEST_MISFIT):
        raise DownloadError(
            f"{where}: expected `univ_annot3` to be `annot3` in another size, got a scale of {scale:.3g} "
            f"that leaves {100 * relative:.0f} % of the pose over. Is one damaged, or of another sequence?"
        )
    placed = universal + measured_mm[:, root : root + 1] / scale
    return Universal(placed, scale, float(np.linalg.norm(misfit, axis=-1).max()))
