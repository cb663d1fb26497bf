"""Human3.6M as lists in .npz files beside pictures (`human36m_lists`): MMPose's conversion, and SPIN's.

MMPose's `S` are the 17 joints in camera space, and its cameras.pkl has the cameras, rotations transposed and
positions in metres. SPIN's are 24 joints less the pelvis: they give depths about the pelvis and depth order,
and nobody's place in the room. Its files for testing have no `part`, so no pixels are known there.

Source: preprocess_h36m.py of open-mmlab/mmpose; h36m.py and h36m_train.py of nkolot/SPIN.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Shaped

from hemlets_lib.data.cameras import h36m_camera
from hemlets_lib.data.readers.contract import Finding, Skipped, Take, empty_joints
from hemlets_lib.data.readers.files import DownloadError, read_plain_pickle
from hemlets_lib.data.readers.human36m.facts import CAMERA_NAMES, DEFAULT_STEPS, SPLITS, to_hemlets18
from hemlets_lib.data.readers.human36m.images import LISTED_STEPS, Listed, check_rotation, flat_numbers
from hemlets_lib.data.readers.human36m.lists import MM_PER_M, PictureLists, known_joints
from hemlets_lib.data.readers.human36m.videos import DISAGREE, REPROJECTION_PX, disagreement_px
from hemlets_lib.data.readers.joint_orders import SPIN24
from hemlets_lib.data.readers.pictures import ImageFiles
from hemlets_lib.geometry import Camera
from hemlets_lib.skeleton import H36M17, HEMLETS18

__all__ = ["Human36mMmpose", "Human36mSpin"]

_CAMERAS_NAME = "cameras.pkl"
_RATE = re.compile(r"fps([0-9]+)")


class Human36mMmpose(PictureLists):
    """MMPose's conversion; see the module's docstring."""

    form = "mmpose"
    title = "Human3.6M, converted by MMPose (h36m_train.npz, cameras.pkl)"
    layout = """\
annotation_body3d/fps50/h36m_train.npz, h36m_test.npz     the highest rate is read; of fps10, which holds
                                                          every 5th frame, test with a step of 5
annotation_body3d/cameras.pkl
images/S1/S1_Directions_1.54138969/S1_Directions_1.54138969_000001.jpg …"""
    source = "preprocess_h36m.py and docs/en/dataset_zoo/3d_body_keypoint.md of open-mmlab/mmpose"
    splits = tuple(SPLITS)
    default_steps = DEFAULT_STEPS
    assumptions = (
        "Keys and shapes are those that preprocess_h36m.py writes: met in files written by numpy.",
        "cameras.pkl holds dictionaries of arrays, R transposed, T in metres: met as pickle writes it.",
        "`part` is where the camera sees `S`, to 1 px in every take: checked on four real frames.",
    )
    num_joints = H36M17.num_joints
    pictures_from = "images"

    @classmethod
    def recognises(cls, root: Path) -> bool:
        reader = cls(root)
        return any(
            (path := reader._path(split)).is_file()
            and (path.parent != root or (root / _CAMERAS_NAME).is_file())
            for split in cls.splits
        )

    def _path(self, split: str) -> Path:
        name, base = f"h36m_{split}.npz", self.root / "annotation_body3d"
        rates = [
            (int(found.group(1)), folder)
            for folder in base.glob("fps*")
            if (found := _RATE.fullmatch(folder.name)) and (folder / name).is_file()
        ]
        if rates:
            return max(rates)[1] / name
        beside = [folder / name for folder in (base, self.root) if (folder / name).is_file()]
        return beside[0] if beside else base / "fps50" / name

    def _cameras_path(self) -> Path:
        above = self.root / "annotation_body3d" / _CAMERAS_NAME
        return above if above.parent.is_dir() else self.root / _CAMERAS_NAME

    def takes(self, split: str, *, step: int = 1) -> Iterator[Take | Skipped]:
        self.check_split(split)
        self._cameras = read_plain_pickle(self._cameras_path())
        yield from super().takes(split, step=step)

    def _take(
        self,
        item: Listed,
        rows: Mapping[str, np.ndarray],
        pictures: ImageFiles,
        boxes_px: Float[np.ndarray, "F 3"],
    ) -> Take | Skipped:
        camera = _camera(self._cameras, item.subject, item.name.camera, self._cameras_path())
        joints_cam = to_hemlets18(known_joints(rows["S"], unit=MM_PER_M), where=item.title)
        joints_px = to_hemlets18(known_joints(rows["part"]), where=item.title)
        if disagreement_px(joints_cam, joints_px, camera) >= REPROJECTION_PX:
            return Skipped(item.title, DISAGREE, len(item.frames))
        return Take(
            meta=self._meta(item),
            pictures=pictures,
            frames=item.frames,
            joints_px=joints_px,
            joints_cam_mm=joints_cam,
            camera=camera,
            boxes_px=boxes_px,
        )

    def check(self) -> Iterator[Finding]:
        path = self._cameras_path()
        try:
            cameras = read_plain_pickle(path)
            for subject in (subject for split in self.splits for subject in SPLITS[split]):
                for name in CAMERA_NAMES:
                    _camera(cameras, subject, name, path)
        except DownloadError as error:
            yield Finding(path.relative_to(self.root).as_posix(), str(error))
        yield from super().check()


class Human36mSpin(PictureLists):
    """SPIN's lists; see the module's docstring."""

    form = "spin"
    title = "Human3.6M, lists of SPIN (h36m_valid_protocol1.npz)"
    layout = """\
h36m_train.npz, h36m_valid_protocol1.npz, h36m_valid_protocol2.npz     (here or below dataset_extras/)
images/S9_Directions_1.54138969_000001.jpg …"""
    source = "datasets/preprocess/h36m.py, h36m_train.py and constants.py of nkolot/SPIN"
    splits = ("train", "test", "test_p2")
    default_steps = MappingProxyType({**LISTED_STEPS, "test_p2": LISTED_STEPS["test"]})
    assumptions = (
        "Keys and shapes are those that SPIN's scripts write: met in files written by numpy.",
        "`S` is in metres about the pelvis, along the camera's axes: taken from SPIN's scripts.",
        "SPIN's script for the test pictures reads one frame before its loop: they may be one frame late.",
    )
    num_joints = SPIN24.num_joints
    pictures_from = "."
    splits_without_pixels = frozenset({"test", "test_p2"})

    @classmethod
    def recognises(cls, root: Path) -> bool:
        reader = cls(root)
        return any(
            (path := reader._path(split)).is_file() and not (path.parent / _CAMERAS_NAME).is_file()
            for split in cls.splits
        )

    def _path(self, split: str) -> Path:
        names = {"train": "h36m_train.npz", "test": "h36m_valid_protocol1.npz"}
        name = names.get(split, "h36m_valid_protocol2.npz")
        places = (self.root, self.root / "dataset_extras", self.root / "data" / "dataset_extras")
        return next((place / name for place in places if (place / name).is_file()), self.root / name)

    def _take(
        self,
        item: Listed,
        rows: Mapping[str, np.ndarray],
        pictures: ImageFiles,
        boxes_px: Float[np.ndarray, "F 3"],
    ) -> Take | Skipped:
        pixels = _from_spin(known_joints(rows["part"])) if "part" in rows else None
        return Take(
            meta=self._meta(item),
            pictures=pictures,
            frames=item.frames,
            joints_px=empty_joints(len(item.frames), 2) if pixels is None else pixels,
            joints_root_rel_mm=_from_spin(known_joints(rows["S"], unit=MM_PER_M)),
            camera=h36m_camera(item.name.camera, item.subject),
            boxes_px=boxes_px,
        )


def _from_spin(joints: Shaped[np.ndarray, "F 24 C"]) -> Float[np.ndarray, "F 18 C"]:
    mapped, known = SPIN24.remap(torch.from_numpy(joints), HEMLETS18)
    return torch.where(known[..., None], mapped, torch.nan).numpy()


def _camera(cameras: Any, subject: str, name: str, path: Path) -> Camera:
    where = f"{path}, {subject} {name}"
    content = cameras.get((subject, name)) if isinstance(cameras, dict) else None
    if not isinstance(content, dict):
        raise DownloadError(f"{where}: expected a camera, found none.")
    numbers = {}
    for key, length in (("R", 9), ("T", 3), ("f", 2), ("c", 2), ("k", 3), ("p", 2)):
        if key not in content:
            raise DownloadError(f"{where}: expected `{key}`, found only {', '.join(map(str, content))}.")
        numbers[key] = torch.from_numpy(flat_numbers(content[key], length, name=key, where=where))
    rotation = numbers["R"].reshape(3, 3).T.contiguous()
    check_rotation(rotation.numpy(), where=where)
    return Camera(
        focal_px=numbers["f"],
        centre_px=numbers["c"],
        k_radial=numbers["k"],
        p_tangential=numbers["p"],
        rotation=rotation,
        position_mm=numbers["T"] * MM_PER_M,
    )
