"""HumanEva-I's own files: where they lie, the cameras' calibration, and when each camera began to record.

    S1/Image_Data/Walking_1_(C1).avi         640 by 480, 60 frames a second
    S1/Calibration_Data/C1.cal               22 numbers
    S1/Sync_Data/Walking_1_(C1).ofs          3 numbers; not needed, but held against the table of offsets

Names of folders are found in any case; releases differ in it (`Calibration_DATA`).

Source: support code of the data set (he_dataset.m, sync_stream.m, ReadSpicaCalib.m, ReadStreamOffset.m; there
is a copy in emredog/humaneva), and prepare_data_humaneva.py of facebookresearch/VideoPose3D; they agree on
the ranges.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
from jaxtyping import Float

from hemlets_lib.data.readers.files import DownloadError, as_array
from hemlets_lib.geometry import Camera

__all__ = [
    "ACTIONS",
    "CAMERA_NAMES",
    "FIRST_FRAMES",
    "PICTURE_SIZE",
    "RANGES",
    "SUBJECTS",
    "find",
    "lens",
    "offsets_of_streams",
    "read_calibration",
    "read_offsets",
    "recording",
]

SUBJECTS = ("S1", "S2", "S3")  # S4's motion was never published
CAMERA_NAMES = ("C1", "C2", "C3")  # the colour cameras
PICTURE_SIZE = (640, 480)

# The benchmark's actions (Bo and Sminchisescu, IJCV 2010, and since) and what their files are called. The
# others (ThrowCatch, Gestures, Box) and trials without motion (2) are no part of it.
ACTIONS: Mapping[str, str] = MappingProxyType({"Walking": "Walking_1", "Jog": "Jog_1"})

# (partition, subject, action) -> [first, end) of the synchronised frames, from 0. he_dataset.m, which counts
# from 1. The first five frames of the videos repeat one picture (README of the support code).
RANGES: Mapping[tuple[str, str, str], tuple[int, int]] = MappingProxyType(
    {
        (partition, subject, action): (5, middle) if partition == "Validate" else (middle, end)
        for subject, action, middle, end in (
            ("S1", "Walking", 590, 1203), ("S1", "Jog", 367, 740), ("S2", "Walking", 438, 876),
            ("S2", "Jog", 398, 795), ("S3", "Walking", 448, 939), ("S3", "Jog", 401, 842),
        )
        for partition in ("Train", "Validate")
    }
)  # fmt: skip

# (subject, action) -> the frame of C1's, C2's and C3's video, from 1, that shows the first synchronised one.
# Source: `sync_data` of prepare_data_humaneva.py; they follow from the .ofs files (`offsets_of_streams`).
FIRST_FRAMES: Mapping[tuple[str, str], tuple[int, int, int]] = MappingProxyType(
    {
        ("S1", "Walking"): (82, 81, 82), ("S1", "Jog"): (51, 51, 50), ("S2", "Walking"): (115, 115, 114),
        ("S2", "Jog"): (100, 100, 99), ("S3", "Walking"): (80, 80, 80), ("S3", "Jog"): (65, 65, 65),
    }
)  # fmt: skip

_STREAMS = ("C1", "C2", "C3", "BW1", "BW2", "BW3", "BW4")  # sync_stream.m takes them in this order
_NUMBERS_IN_CAL, _NUMBERS_IN_OFS = 22, 3
_LATEST_FRAME, _LARGEST_RATE = 1e6, 1e3  # beyond any recording
_NOT_RIGID = 1e-3  # how far R R' may be from 1
_LENS_TOLERANCE_PX = 1.0  # beyond it, `geometry.Camera` does not describe the lens
_LARGEST_STRETCH = 2.0  # a lens moves no point of the picture further out than four times, nor in
_GRID = 17  # points along each side of the picture, at which lenses are compared


def find(folder: Path, *names: str) -> Path:
    """A file or folder below `folder`, in any case; where there is none, the path as it should be."""
    for name in names:
        there = folder / name
        if not there.exists() and folder.is_dir():
            there = next(
                (path for path in sorted(folder.iterdir()) if path.name.lower() == name.lower()), there
            )
        folder = there
    return folder


def recording(root: Path, subject: str, action: str, camera: str) -> Path:
    """The video of an action; it need not be there.

    Args:
        root: The data set's folder.
        subject: One of `SUBJECTS`.
        action: One of `ACTIONS`.
        camera: One of `CAMERA_NAMES`.
    """
    return find(root, subject, "Image_Data", f"{ACTIONS[action]}_({camera}).avi")


def _numbers(path: Path, count: int, what: str) -> Float[np.ndarray, "N"]:
    try:
        values = [float(word) for word in path.read_text(encoding="ascii").split()]
    except OSError as error:
        raise DownloadError(f"{path}: expected {what}, found none.") from error
    except ValueError as error:  # no text, or no numbers
        raise DownloadError(f"{path}: expected {what}, got a file that is none ({error}).") from error
    return as_array(values, (count,), name=what, where=str(path), finite=True)


def read_calibration(path: Path) -> Camera:
    """A `.cal` file: focal lengths, principal point, skew, lens (5 numbers), rotation, translation.

    X_cam = R X_world + T, in millimetres, the world's z upwards.

    Raises:
        DownloadError: If it is missing, holds other than 22 numbers, or its lens cannot be described.
    """
    numbers = _numbers(path, _NUMBERS_IN_CAL, "22 numbers of a camera")
    focal, centre, skew, distortion = numbers[:2], numbers[2:4], float(numbers[4]), numbers[5:10]
    rotation, translation = numbers[10:19].reshape(3, 3), numbers[19:]
    with np.errstate(over="ignore", invalid="ignore"):
        rigid = np.abs(rotation @ rotation.T - np.eye(3)).max() < _NOT_RIGID and np.linalg.det(rotation) > 0
    if focal.min() <= 0 or not rigid:
        raise DownloadError(
            f"{path}: expected positive focal lengths and a rotation, got {focal.tolist()} and "
            f"{rotation.tolist()}."
        )
    k_radial, p_tangential, misfit = lens(focal, centre, skew, distortion)
    if not misfit < _LENS_TOLERANCE_PX:
        raise DownloadError(
            f"{path}: expected a lens without skew and with little tangential distortion, got one that is "
            f"described to {misfit:.1f} px only."
        )
    return Camera(
        focal_px=torch.from_numpy(focal.copy()),
        centre_px=torch.from_numpy(centre.copy()),
        k_radial=torch.from_numpy(k_radial),
        p_tangential=torch.from_numpy(p_tangential),
        rotation=torch.from_numpy(rotation.copy()),
        position_mm=torch.from_numpy(-rotation.T @ translation),
    )


def lens(
    focal: Float[np.ndarray, "2"],
    centre: Float[np.ndarray, "2"],
    skew: float,
    distortion: Float[np.ndarray, "5"],
) -> tuple[Float[np.ndarray, "3"], Float[np.ndarray, "2"], float]:
    """Bouguet's lens in the terms of `geometry.Camera`.

    His tangential terms are 2 p1 x y + p2 (r² + 2 x²) and p1 (r² + 2 y²) + 2 p2 x y; Camera's are
    x (p1 y + p2 x) + p2 r² and y (p1 y + p2 x) + p1 r². The closest p1 and p2 over the picture are taken;
    what remains is at most a tenth of a pixel for p of a thousandth. Skew is not described at all.

    Args:
        focal: Focal lengths, pixels.
        centre: Principal point, pixels.
        skew: Of the axes, as a fraction of the focal length.
        distortion: k1, k2, p1, p2, k3.

    Returns:
        k1, k2, k3; p1, p2; and the largest distance between the two lenses within the picture, in pixels.

    Source: J.-Y. Bouguet, 'Camera Calibration Toolbox for Matlab', which the support code uses.
    """
    k1, k2, p1, p2, k3 = distortion
    axes = [np.linspace(-0.5, side - 0.5, _GRID) for side in PICTURE_SIZE]
    with np.errstate(all="ignore"):
        x, y = ((grid - c).ravel() / f for grid, c, f in zip(np.meshgrid(*axes), centre, focal, strict=True))
        r2 = x * x + y * y
        radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
        theirs = np.stack([2 * p1 * x * y + p2 * (r2 + 2 * x * x), p1 * (r2 + 2 * y * y) + 2 * p2 * x * y])
        terms = np.stack([[x * y, x * x + r2], [y * y + r2, x * y]])  # axis, of p1 and p2, point
        equations = terms.transpose(0, 2, 1).reshape(-1, 2)
        if not (np.isfinite(theirs).all() and (np.abs(np.log2(radial)) < _LARGEST_STRETCH).all()):
            return np.array([k1, k2, k3]), np.array([p1, p2]), math.inf
        found = np.linalg.lstsq(equations, theirs.ravel(), rcond=None)[0]
        off = np.stack([theirs[i] - found @ terms[i] for i in range(2)])
        off[0] += skew * (y * radial + theirs[1])
        misfit = float(np.linalg.norm(off * focal[:, None], axis=0).max())
    return np.array([k1, k2, k3]), found, misfit


def read_offsets(path: Path) -> tuple[float, float, float]:
    """An `.ofs` file.

    Returns:
        A frame of the video from 1, the frame of the motion that it shows, and frames of motion per frame
        of video.

    Raises:
        DownloadError: If it is missing or holds other than three numbers.
    """
    image, motion, rate = _numbers(path, _NUMBERS_IN_OFS, "3 numbers of a time offset").tolist()
    if max(abs(image), abs(motion)) > _LATEST_FRAME or not 1 / _LARGEST_RATE < rate < _LARGEST_RATE:
        raise DownloadError(
            f"{path}: expected two numbers of frames and a positive rate, got {image}, {motion}, {rate}."
        )
    return image, motion, rate


def offsets_of_streams(root: Path, subject: str, action: str) -> tuple[int, int, int] | None:
    """`FIRST_FRAMES` worked out from the `.ofs` files; None unless those of all seven cameras are there.

    Streams are counted from the first frame that all of them have, and motion has too.

    Args:
        root: The data set's folder.
        subject: One of `SUBJECTS`.
        action: One of `ACTIONS`.

    Returns:
        For C1, C2 and C3.

    Raises:
        DownloadError: If one of them is damaged.

    Source: sync_stream.m.
    """
    folder = find(root, subject, "Sync_Data")
    paths = [find(folder, f"{ACTIONS[action]}_({name}).ofs") for name in _STREAMS]
    if not all(path.is_file() for path in paths):
        return None
    read = [read_offsets(path) for path in paths]
    time = read[0][1]
    rate = sum(each[2] for each in read) / len(read)
    first = [image + (time - motion) / own for image, motion, own in read]
    time -= rate * (min(first) - 1)
    first = [value - min(first) + 1 for value in first]
    if time < 1:
        first = [value - (time - 1) / rate for value in first]
    c1, c2, c3 = (math.floor(value + 0.5) for value in first[:3])  # MATLAB's round, of positive numbers
    return c1, c2, c3
