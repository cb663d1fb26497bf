"""Leeds Sports Pose and its extension: `joints.mat` written by scipy, pictures by Pillow."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import scipy.io

from downloads import Writer, Written
from downloads.photographs import LSP14_OF_H36M17, in_order, people, write_people


def lsp_people(count: int, *, seed: int) -> np.ndarray:
    """(N, 14, 2) px."""
    return in_order(people(count, seed=seed)[1], LSP14_OF_H36M17)


def write_original(root: Path) -> Written:
    """(3, 14, N); the third row says 'occluded'."""
    joints_px = lsp_people(3, seed=21)
    occluded = np.zeros((3, 14))
    occluded[1, [0, 7]] = 1
    joints = np.concatenate([joints_px, occluded[..., None]], -1).transpose(2, 1, 0)
    scipy.io.savemat(root / "joints.mat", {"joints": joints}, do_compression=True)
    names = [f"images/im{number + 1:04d}.jpg" for number in range(3)]
    for name, person in zip(names, joints_px, strict=True):
        write_people(root / name, person)
    return Written("train", 3, ("joints.mat", *names))


def _write_extended(root: Path, pattern: str, seed: int) -> np.ndarray:
    """(14, 3, N); the third column says 'visible', and what is not has no place."""
    joints_px = lsp_people(4, seed=seed)
    visible = np.ones((4, 14))
    visible[1, [5, 13]] = 0
    visible[3, 1:] = 0  # nobody left
    placed = np.where(visible[..., None] == 1, joints_px, 0)
    placed[1, 13] = -7.5, 3.25
    joints = np.concatenate([placed, visible[..., None]], -1).transpose(1, 2, 0)
    scipy.io.savemat(root / "joints.mat", {"joints": joints}, do_compression=True)
    for number, person in enumerate(joints_px):
        write_people(root / pattern.format(number + 1), person)
    return joints


def write_extended(root: Path) -> Written:
    """Four people, of whom one has a single joint."""
    _write_extended(root, "images/im{:05d}.jpg", seed=22)
    names = [f"images/im{number:05d}.jpg" for number in (1, 2, 3, 4)]
    return Written("train", 3, ("joints.mat", *names), skipped=1)


def write_extended_hr(root: Path) -> Written:
    """Names with gaps, in PNG, all joints placed."""
    joints_px = lsp_people(3, seed=23)
    flags = np.zeros((3, 14, 1))
    joints = np.concatenate([joints_px, flags], -1).transpose(1, 2, 0)
    scipy.io.savemat(root / "joints.mat", {"joints": joints}, do_compression=True)
    names = [f"im{number:05d}.png" for number in (2, 10, 731)]
    for name, person in zip(names, joints_px, strict=True):
        write_people(root / name, person)
    return Written("train", 3, ("joints.mat",))  # a lost picture leaves no gap that could be named


WRITERS: dict[tuple[str, str], Writer] = {
    ("lsp", "original"): write_original,
    ("lsp", "extended"): write_extended,
    ("lsp", "extended_hr"): write_extended_hr,
}
