"""The authors' own test data: an HDF5 file with the crops of one video of Human3.6M, and its labels.

    images        (N, 256, 256, 3)  crops, uint8; blue, green, red
    joints        (N, 18, 3)        x, y in the crop, px; z = 255 (d / 2000 + 1/2), d mm behind the pelvis
    joints3d_cam  (N, 32, 3)        camera space, mm
    trans         (N, 3)            x0, y0, s: crop px = s (picture px - (x0, y0))
    camid         (N, 3)            subject, camera 1-4, and a third number that is not used

`S_11_C_4_1_full.h5` is the first of 120 videos of S11, before camera 4; `S11.json` beside it says which take
each is. The whole picture is not there: pixels are told in it all the same, and `trans` leads to the crop.
The authors' code divides x and y by 256; here a pixel's middle is half a pixel further (`geometry`).

Source: test_dataset.py, metric_3d.py (`cropPoseToFullPose`), getActionID.py and data/S11/S11.json below
inference/ of redrock303/HEMlets.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float

from hemlets_lib.data.cameras import h36m_camera
from hemlets_lib.data.readers.contract import Finding, Reader, Skipped, Take
from hemlets_lib.data.readers.files import DownloadError, as_array, h5_array, open_h5, read_json
from hemlets_lib.data.readers.human36m.facts import (
    CAMERA_NAMES,
    DATASET,
    FRAMES_PER_SECOND,
    SPLITS,
    TakeName,
    frames_taken,
    parse_take,
    to_hemlets18,
    why_corrupt,
)
from hemlets_lib.data.readers.human36m.videos import DISAGREE
from hemlets_lib.data.readers.pictures import H5Pictures
from hemlets_lib.data.sample import Meta
from hemlets_lib.geometry import apply_affine, invert_affine
from hemlets_lib.skeleton import H36M17, HEMLETS18

__all__ = ["CROP_PX", "Human36mHemlets"]

CROP_PX = 256
DEPTH_LEVELS, DEPTH_SPAN_MM = 255.0, 2000.0  # how `joints` stores depth
# `joints` and `joints3d_cam` of one frame: in the whole picture, of which a crop pixel is about four; without
# the lens's distortion, joints lie 2.4 px off. And in depth, of which a level is 7.8 mm.
_AGREE_PX, _AGREE_MM = 10.0, 16.0
_NAME = re.compile(r"S_([0-9]{1,2})_C_([1-4])_([0-9]{1,3})(?:_full)?\.h5")
_SHAPES: Mapping[str, tuple[int | None, ...]] = MappingProxyType(
    {"joints": (None, 18, 3), "joints3d_cam": (None, 32, 3), "trans": (None, 3), "camid": (None, 3)}
)
_PICTURES_SHAPE = (None, CROP_PX, CROP_PX, 3)
# The one file that was handed round, by S11.json of the authors' repository.
_PUBLISHED: Mapping[str, str] = MappingProxyType({"S_11_C_4_1": "Walking 1.60457274"})


class _File(NamedTuple):
    path: Path
    subject: str
    camera: str
    video: str  # S_11_C_4_1


class _Labels(NamedTuple):
    joints_px: Float[np.ndarray, "F 18 2"]  # in the whole picture
    joints_cam_mm: Float[np.ndarray, "F 18 3"]
    affines: Float[np.ndarray, "F 2 3"]
    # How far `joints` lies from `joints3d_cam` at most, in the picture; the derived thorax does not count.
    off_px: Float[np.ndarray, "F"]
    off_mm: Float[np.ndarray, "F"]  # and in depth

    @property
    def agree(self) -> Bool[np.ndarray, "F"]:
        return (self.off_px < _AGREE_PX) & (self.off_mm < _AGREE_MM)


class Human36mHemlets(Reader):
    """The authors' test data; see the module's docstring."""

    dataset = DATASET
    form = "hemlets"
    title = "Human3.6M, the test data of the HEMlets authors (S_11_C_4_1_full.h5)"
    layout = """\
S_11_C_4_1_full.h5                (here or below S11/ or data/S11/)
S11.json                          beside it: which take each video is; optional for the published file"""
    source = "inference/test_dataset.py of redrock303/HEMlets"
    splits = ("test", "train")
    frames_per_second = FRAMES_PER_SECOND
    default_steps = MappingProxyType({"test": 1, "train": 1})
    assumptions = (
        "Keys and shapes are those that test_dataset.py reads: met in files written by h5py.",
        "Channels are stored blue, green, red, as OpenCV has them: inferred from test_dataset.py.",
        "Row i is frame i of the video: `full` in the file's name says so, nothing else does.",
        "Crop pixels are whole at their middles, as OpenCV's warps have them: half a crop pixel is at stake.",
        "`joints3d_cam` is what `joints` shows, to 10 px and 16 mm: frames where it is not are left out.",
    )

    @classmethod
    def recognises(cls, root: Path) -> bool:
        return bool(cls(root)._files())

    def _files(self) -> list[_File]:
        found = []
        for place in (".", "S*", "data/S*"):
            for path in sorted(self.root.glob(f"{place}/*.h5")):
                if name := _NAME.fullmatch(path.name):
                    subject, camera, number = (int(text) for text in name.groups())
                    video = f"S_{subject}_C_{camera}_{number}"
                    found.append(_File(path, f"S{subject}", CAMERA_NAMES[camera - 1], video))
        return found

    def takes(self, split: str, *, step: int = 1) -> Iterator[Take | Skipped]:
        self.check_split(split)
        files = [file for file in self._files() if file.subject in SPLITS[split]]
        if not files:
            raise DownloadError(
                f"{self.root}: expected files of {', '.join(SPLITS[split])}, such as S_11_C_4_1_full.h5; "
                "found none."
            )
        for file in files:
            yield from self._take(file, step)

    def _name(self, file: _File) -> TakeName | None:
        """Which take a video is; None where nothing says so."""
        listing = file.path.with_name(f"{file.subject}.json")
        named = _PUBLISHED.get(file.video)
        if listing.is_file():
            content = read_json(listing)
            videos = content.items() if isinstance(content, dict) else ()
            named = next((name for name, video in videos if video == file.video), named)
        name = None if named is None else parse_take(named)
        return name if name is not None and name.camera == file.camera else None

    def _take(self, file: _File, step: int) -> Iterator[Take | Skipped]:
        name = self._name(file)
        if name is None:
            yield Skipped(file.path.name, f"no {file.subject}.json says which take it is")
            return
        if reason := why_corrupt(file.subject, name.camera, take=name.take):
            yield Skipped(file.path.name, reason)
            return
        labels = _read(file)
        frames = frames_taken(len(labels.joints_px), step)
        agree = labels.agree[frames]
        if not agree.all():
            yield Skipped(file.path.name, DISAGREE, int((~agree).sum()))
            frames = frames[agree]
        if len(frames):
            yield Take(
                meta=Meta(
                    DATASET,
                    subject=file.subject,
                    action=name.action,
                    camera_name=file.camera,
                    source=self.form,
                ),
                pictures=H5Pictures(file.path, "images", frames, bgr=True),
                frames=frames,
                joints_px=labels.joints_px[frames],
                joints_cam_mm=labels.joints_cam_mm[frames],
                camera=h36m_camera(file.camera, file.subject),
                affines=labels.affines[frames],
            )

    def check(self) -> Iterator[Finding]:
        files = self._files()
        for file in files:
            where = file.path.relative_to(self.root).as_posix()
            try:
                name, labels = self._name(file), _read(file)
            except DownloadError as error:
                yield Finding(where, str(error))
                continue
            problem = "" if name is not None else f"no {file.subject}.json beside it says which take it is"
            apart = f"{labels.off_px.max(initial=0):.2f} px and {labels.off_mm.max(initial=0):.1f} mm"
            if not labels.agree.all():
                count = int((~labels.agree).sum())
                problem = f"`joints` and `joints3d_cam` lie up to {apart} apart, too far in {count} frames"
            take = name.take if name else "an unknown take"
            yield Finding(where, problem, f"{len(labels.agree)} crops, {take}; 2D and 3D agree to {apart}")
        if not files:
            yield Finding(".", "expected S_11_C_4_1_full.h5, found no such file")


def _read(file: _File) -> _Labels:
    """All labels, checked against the file's name and against each other."""
    where = str(file.path)
    with open_h5(file.path) as opened:
        first = h5_array(opened, "images", path=file.path, shape=_PICTURES_SHAPE, rows=slice(0, 1))
        count = len(opened["images"])
        arrays = {
            name: as_array(h5_array(opened, name, path=file.path, shape=shape), shape, name=name, where=where)
            for name, shape in _SHAPES.items()
        }
    if first.dtype != np.uint8:
        raise DownloadError(f"{where}: expected `images` of uint8, got {first.dtype}.")
    for name, array in arrays.items():
        if len(array) != count:
            raise DownloadError(
                f"{where}: expected `{name}` for each of the {count} images, got {len(array)}."
            )
    subject, camera = int(file.subject[1:]), CAMERA_NAMES.index(file.camera) + 1
    strangers = (arrays["camid"][:, :2] != (subject, camera)).any(-1)
    if strangers.any():
        got_subject, got_camera = arrays["camid"][strangers][0, :2]
        raise DownloadError(
            f"{where}: expected `camid` to name subject {subject} and camera {camera}, as the file does, "
            f"got {got_subject:g} and {got_camera:g}."
        )
    affines = _affines(arrays["trans"], where=where)
    joints = arrays["joints"]
    back = invert_affine(torch.from_numpy(affines))
    joints_px = apply_affine(back, torch.from_numpy(joints[..., :2].copy()))
    joints_cam = to_hemlets18(arrays["joints3d_cam"], where=where)
    behind_mm = torch.from_numpy(joints_cam[..., 2] - joints_cam[:, HEMLETS18.root, 2:])
    stored_mm = (torch.from_numpy(joints[..., 2].copy()) / DEPTH_LEVELS - 0.5) * DEPTH_SPAN_MM
    seen_px = h36m_camera(file.camera, file.subject).project(torch.from_numpy(joints_cam))
    return _Labels(
        joints_px.numpy(),
        joints_cam,
        affines,
        (seen_px - joints_px).norm(dim=-1)[:, : H36M17.num_joints].nan_to_num(torch.inf).amax(-1).numpy(),
        (stored_mm - behind_mm).abs()[:, : H36M17.num_joints].nan_to_num(torch.inf).amax(-1).numpy(),
    )


def _affines(trans: Float[np.ndarray, "F 3"], *, where: str) -> Float[np.ndarray, "F 2 3"]:
    """The whole picture's pixels to the crop's."""
    corner, scale = torch.from_numpy(trans[:, :2].copy()), torch.from_numpy(trans[:, 2].copy())
    affines = torch.cat([torch.eye(2).to(scale).expand(len(scale), 2, 2), -corner[..., None]], -1)
    affines = affines * scale[:, None, None]
    if not (affines.isfinite().all() and (scale > 0).all()):
        raise DownloadError(f"{where}: expected finite numbers and a positive scale in `trans`, got others.")
    return affines.numpy()
