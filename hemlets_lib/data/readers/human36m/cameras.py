"""The cameras.h5 of '3d-pose-baseline': Human3.6M's calibration, out of MATLAB."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float

from hemlets_lib.data.cameras import h36m_camera
from hemlets_lib.data.readers.files import DownloadError, as_array, h5_array, open_h5
from hemlets_lib.data.readers.human36m.facts import CAMERA_NAMES, SPLITS
from hemlets_lib.geometry import Camera

__all__ = ["read_cameras"]

# How far a camera may be off the published one. The numbers are the same but for rounding; a rotation that
# is transposed, or of another session, is off by far more.
_SAME_ROTATION, _SAME_LENS_PX, _SAME_PLACE_MM = 1e-3, 1.0, 5.0
_ASCII = 128


def read_cameras(path: Path) -> dict[tuple[str, str], Camera]:
    """The cameras of the seven sessions with published poses, each held against the published calibration.

    Returns:
        By (subject, camera).

    Raises:
        DownloadError: If the file is damaged, or a camera is another than it should be.

    Source: cameras.py of una-dinosauria/3d-pose-baseline, whose first version read this file: `subject1/
    camera1/` has R, T (the centre), f, c, k, p and Name, a row of character codes. Whether R is transposed,
    as MATLAB's matrices come out, is told from the published calibration.
    """
    cameras = {}
    with open_h5(path) as file:
        for who in (who for names in SPLITS.values() for who in names):
            for place, camera_name in enumerate(CAMERA_NAMES, start=1):
                at = f"subject{who[1:]}/camera{place}"
                cameras[who, camera_name] = _camera(file, path, at, who, camera_name)
    return cameras


def _camera(file: Any, path: Path, at: str, who: str, camera_name: str) -> Camera:
    def numbers(key: str, count: int) -> Float[torch.Tensor, "N"]:
        found = h5_array(file, f"{at}/{key}", path=path, shape=(None, None)).reshape(-1)
        return torch.from_numpy(as_array(found, (count,), name=f"{at}/{key}", where=str(path), finite=True))

    published, stored = h36m_camera(camera_name, who), numbers("R", 9).reshape(3, 3)
    camera = Camera(
        focal_px=numbers("f", 2),
        centre_px=numbers("c", 2),
        k_radial=numbers("k", 3),
        p_tangential=numbers("p", 2),
        rotation=min(stored.T, stored, key=lambda each: _apart(each, published.rotation)),
        position_mm=numbers("T", 3),
    )
    codes = as_array(
        h5_array(file, f"{at}/Name", path=path, shape=(None, None)).reshape(-1), (len(camera_name),),
        name=f"{at}/Name", where=str(path), finite=True,
    )  # fmt: skip
    letters = "".join(chr(int(code)) if 0 < code < _ASCII else "?" for code in codes)
    turned = _apart(camera.rotation, published.rotation)
    lens = max(_apart(camera.focal_px, published.focal_px), _apart(camera.centre_px, published.centre_px))
    moved = _apart(camera.position_mm, published.position_mm)
    same = turned <= _SAME_ROTATION and lens <= _SAME_LENS_PX and moved <= _SAME_PLACE_MM
    if letters != camera_name or not same:
        raise DownloadError(
            f"{path}, {at}: expected the published calibration of {camera_name} in {who}'s session, got "
            f"{letters!r}, off by {turned:.2g} in its rotation, {lens:.2g} px in its lens and {moved:.2g} mm "
            "in its place. Take the file from h36m.zip again."
        )
    return camera


def _apart(numbers: torch.Tensor, others: torch.Tensor) -> float:
    return float((numbers - others).abs().max())
