"""People in photographs, for the data sets that label them in 2D."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from downloads import picture, poses_cam_mm, write_picture

# Joints of the data sets among Human3.6M's 17; the thorax, -1, is the middle of the shoulders, 11 and 14.
MPII16_OF_H36M17 = (3, 2, 1, 4, 5, 6, 0, -1, 8, 10, 16, 15, 14, 11, 12, 13)
LSP14_OF_H36M17 = (3, 2, 1, 4, 5, 6, 16, 15, 14, 11, 12, 13, 8, 10)
PARENTS_AND_CHILDREN_H36M17 = (
    (0, 1), (1, 2), (2, 3), (0, 4), (4, 5), (5, 6), (0, 8), (8, 10), (8, 14), (14, 15), (15, 16), (8, 11),
    (11, 12), (12, 13),
)  # fmt: skip
"""The 14 parts."""

SIZE = (200, 160)  # width, height


def in_order(poses: np.ndarray, order: tuple[int, ...]) -> np.ndarray:
    """(F, 17, C) as (F, J, C)."""
    thorax = (poses[:, 11] + poses[:, 14]) / 2
    return np.stack([thorax if joint < 0 else poses[:, joint] for joint in order], 1)


def people(count: int, *, seed: int, size: tuple[int, int] = SIZE) -> tuple[np.ndarray, np.ndarray]:
    """(N, 17, 3) camera space, and (N, 17, 2) where a pixel's centre has integer coordinates, from 0."""
    poses = poses_cam_mm(count, seed=seed)
    focal = 0.32 * 5000 * size[1] / 900
    middle = (np.array(size) - 1) / 2
    return poses, focal * poses[..., :2] / poses[..., 2:] + middle


def write_people(path: Path, *joints_px: np.ndarray, size: tuple[int, int] = SIZE) -> None:
    """A picture of one or several."""
    write_picture(path, picture(np.concatenate(joints_px), size))
