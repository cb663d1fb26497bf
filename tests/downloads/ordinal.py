"""Ordinal depth of LSP and MPII: `joints.mat` and `ordinal.mat` written by scipy, pictures by Pillow."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import scipy.io

from downloads import Writer, Written
from downloads.photographs import LSP14_OF_H36M17, MPII16_OF_H36M17, in_order, people, write_people

ABOUT_THE_SAME_MM = 100.0


def depth_order(depths_mm: np.ndarray) -> np.ndarray:
    """(N, J) → (N, J, J): -1 where the first of a pair is nearer, 1 where the second is, 0 about the same."""
    difference = depths_mm[:, :, None] - depths_mm[:, None, :]
    return np.where(np.abs(difference) < ABOUT_THE_SAME_MM, 0, np.sign(difference))


def write_half(
    folder: Path, pattern: str, order: tuple[int, ...], *, count: int, seed: int, labelled: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """One half; returns joints (N, J, 2) and `ord`, NaN where `labelled` (J,) has neither end of a pair."""
    poses, joints_px = (in_order(found, order) for found in people(count, seed=seed))
    depths = depth_order(poses[..., 2])
    depths[:, ~(labelled[:, None] & labelled[None, :])] = np.nan
    flags = np.zeros((*joints_px.shape[:2], 1))
    folder.mkdir(parents=True, exist_ok=True)
    joints = np.concatenate([joints_px, flags], -1).transpose(2, 1, 0)
    scipy.io.savemat(folder / "joints.mat", {"joints": joints}, do_compression=True)
    scipy.io.savemat(folder / "ordinal.mat", {"ord": depths}, do_compression=True)
    for number, person in enumerate(joints_px):
        write_people(folder / pattern.format(number + 1), person)
    return joints_px, depths


def write_original(root: Path) -> Written:
    """Three people of LSP, three of MPII without labels of pelvis and thorax."""
    everything = np.ones(14, dtype=bool)
    write_half(
        root / "lsp_dataset_original", "images/im{:04d}.jpg", LSP14_OF_H36M17, count=3, seed=31,
        labelled=everything,
    )  # fmt: skip
    labelled = np.ones(16, dtype=bool)
    labelled[[6, 7]] = False
    write_half(
        root / "mpii_upis1h", "images/{:05d}_full.jpg", MPII16_OF_H36M17, count=3, seed=32, labelled=labelled
    )
    needed = [
        f"{half}/{name}.mat"
        for half in ("lsp_dataset_original", "mpii_upis1h")
        for name in ("joints", "ordinal")
    ]
    needed += [f"lsp_dataset_original/images/im{number:04d}.jpg" for number in (1, 2, 3)]
    needed += [f"mpii_upis1h/images/{number:05d}_full.jpg" for number in (1, 2, 3)]
    return Written("train", 6, tuple(needed))


WRITERS: dict[tuple[str, str], Writer] = {("ordinal", "original"): write_original}
