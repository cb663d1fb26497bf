"""Human3.6M's poses as two projects handed them round, beside the original videos.

`videopose`: VideoPose3D's data_3d_h36m.npz, world space in metres, all subjects in one pickled dictionary;
with it, where it is there, data_2d_h36m_gt.npz, 17 joints in pixels. `martinez`: h36m.zip of
'3d-pose-baseline', one HDF5 file for each take, world space in millimetres, and cameras.h5.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from hemlets_lib.data.cameras import h36m_camera
from hemlets_lib.data.readers.contract import Finding, Reader, Skipped, Take
from hemlets_lib.data.readers.files import DownloadError, as_array, h5_array, open_h5, read_npz
from hemlets_lib.data.readers.human36m.cameras import read_cameras
from hemlets_lib.data.readers.human36m.facts import (
    ACTION_NUMBERS,
    CAMERA_NAMES,
    DATASET,
    DEFAULT_STEPS,
    FRAMES_PER_SECOND,
    JOINT_NAMES_32,
    SPLITS,
    TakeName,
    parse_take,
    why_corrupt,
)
from hemlets_lib.data.readers.human36m.videos import (
    TakeKey,
    check_videos,
    find_files,
    missing_files,
    shifted_note,
    video_takes,
)
from hemlets_lib.geometry import Camera
from hemlets_lib.skeleton import H36M17

__all__ = ["Human36mMartinez", "Human36mVideopose"]

_MM_PER_M = 1000.0
_JOINTS = len(JOINT_NAMES_32)
_POSES_NAME, _PIXELS_NAME = "data_3d_h36m.npz", "data_2d_h36m_gt.npz"
_CAMERAS_NAME = "cameras.h5"
_MARTINEZ_POSES = "MyPoses/3D_positions"


class _WorldPoses(Reader):
    """Takes whose poses are in world space and in no file of their own; subclasses say where."""

    dataset = DATASET
    splits = tuple(SPLITS)
    frames_per_second = FRAMES_PER_SECOND
    default_steps = DEFAULT_STEPS

    def _base(self) -> Path:
        """The folder with S1, S5, …"""
        return self.root

    def _poses(self, who: str) -> list[tuple[TakeName, Any]]:
        """A subject's takes, and whatever `_world_mm` needs to read their poses."""
        raise NotImplementedError

    def _world_mm(self, poses: Any, where: str) -> Float[np.ndarray, "F 32 3"]:
        raise NotImplementedError

    def _count(self, poses: Any, where: str) -> int:
        """How many poses a take has."""
        return len(self._world_mm(poses, where))

    def _pixels(self, who: str, name: TakeName, camera_name: str) -> np.ndarray | None:
        return None

    def _camera(self, who: str, camera_name: str) -> Camera:
        return h36m_camera(camera_name, who)

    def _load(self) -> None:
        """Reads what all takes need."""

    def takes(self, split: str, *, step: int = 1) -> Iterator[Take | Skipped]:
        self.check_split(split)
        self._load()
        found = {who: self._poses(who) for who in SPLITS[split]}
        if not any(found.values()):
            raise DownloadError(
                f"{self.root}: expected poses of {', '.join(found)} for the split '{split}', found none."
            )
        for who, poses in found.items():
            if not poses:
                yield Skipped(who, "the subject's poses are missing")
            videos = find_files(self._base() / who / "Videos", ".mp4")
            for name, stored in poses:
                title = f"{who}/{name.take}"
                try:
                    world_mm = self._world_mm(stored, f"{self.root}, {title}")
                    pixels = {each: self._pixels(who, name, each) for each in CAMERA_NAMES}
                except DownloadError:
                    yield Skipped(title, "its poses cannot be read")
                    continue
                for camera_name in CAMERA_NAMES:
                    camera = self._camera(who, camera_name)
                    yield from video_takes(
                        form=self.form,
                        subject=who,
                        name=name,
                        camera_name=camera_name,
                        camera=camera,
                        joints_cam_mm=camera.world_to_cam(torch.from_numpy(world_mm)).numpy(),
                        joints_px=pixels[camera_name],
                        video=videos.get((name.action, name.number, camera_name)),
                        step=step,
                    )
            known = {(name.action, name.number) for name, _ in poses}
            for key, path in videos.items():
                if key[:2] not in known:
                    yield Skipped(f"{who}/{path.stem}", "its poses are missing")

    def check(self) -> Iterator[Finding]:
        try:
            self._load()
        except DownloadError as error:
            yield Finding(self._main_file(), str(error))
            return
        for who in (who for names in SPLITS.values() for who in names):
            yield from self._check_subject(who)

    def _main_file(self) -> str:
        raise NotImplementedError

    def _check_subject(self, who: str) -> Iterator[Finding]:
        poses = self._poses(who)
        if not poses:
            yield Finding(self._main_file(), f"expected poses of {who}, found none")
        folder = self._base() / who / "Videos"
        videos = find_files(folder, ".mp4")
        lengths: dict[TakeKey, int] = {}
        expected = []
        for name, stored in poses:
            try:
                count = self._count(stored, f"{self.root}, {who}/{name.take}")
                for camera_name in CAMERA_NAMES:
                    pixels = self._pixels(who, name, camera_name)
                    if pixels is not None and len(pixels) != count:
                        yield Finding(
                            _PIXELS_NAME,
                            f"expected {count} frames of {who}/{name.take} before {camera_name}, as in its "
                            f"3D poses, got {len(pixels)}",
                        )
            except DownloadError as error:
                yield Finding(self._main_file(), str(error))
                continue
            for camera_name in CAMERA_NAMES:
                key = (name.action, name.number, camera_name)
                lengths[key] = count
                if not why_corrupt(who, camera_name, take=name.take):
                    expected.append(videos.get(key, folder / f"{name.take}.{camera_name}.mp4"))
        yield from missing_files(self.root, expected)
        note = f"poses of {len(poses)} takes; the data set has 30. {shifted_note(who)}".strip()
        yield Finding(folder.parent.relative_to(self.root).as_posix(), note=note)
        yield from check_videos(self.root, who, videos, lengths)


class Human36mVideopose(_WorldPoses):
    """VideoPose3D's poses with the original videos; see the module's docstring."""

    form = "videopose"
    title = "Human3.6M, poses of VideoPose3D (.npz) and the original videos"
    layout = f"""\
{_POSES_NAME}
{_PIXELS_NAME}                                  optional: pixels are projected otherwise
S1/Videos/Directions 1.54138969.mp4             (S1, S5, S6, S7, S8, S9, S11)"""
    source = "prepare_data_h36m.py of facebookresearch/VideoPose3D"
    assumptions = (
        "The .npz holds pickled dictionaries of arrays: met in files written by numpy.",
        "A take's four arrays of 2D joints are in the order of the cameras' names; else it is skipped.",
    )

    def __init__(self, root: str | Path) -> None:
        super().__init__(root)
        self._positions: dict[str, Any] | None = None
        self._pixel_positions: dict[str, Any] | None = None

    @classmethod
    def recognises(cls, root: Path) -> bool:
        return (root / _POSES_NAME).is_file()

    def _main_file(self) -> str:
        return _POSES_NAME

    def _load(self) -> None:
        if self._positions is None:
            self._positions = _dictionary(self.root / _POSES_NAME, "positions_3d")
        if self._pixel_positions is None and (self.root / _PIXELS_NAME).is_file():
            self._pixel_positions = _dictionary(self.root / _PIXELS_NAME, "positions_2d")

    def _poses(self, who: str) -> list[tuple[TakeName, Any]]:
        takes = (self._positions or {}).get(who, {})
        if not isinstance(takes, dict):
            raise DownloadError(
                f"{self.root / _POSES_NAME}: expected a dictionary of {who}'s takes, "
                f"got {type(takes).__name__}."
            )
        named = [(parse_take(name), stored) for name, stored in takes.items() if isinstance(name, str)]
        return _in_order([(name, stored) for name, stored in named if name is not None])

    def _world_mm(self, poses: Any, where: str) -> Float[np.ndarray, "F 32 3"]:
        metres = as_array(poses, (None, _JOINTS, 3), name="positions_3d", where=where)
        if not len(metres):
            raise DownloadError(f"{where}: expected poses in `positions_3d`, got none.")
        return metres * _MM_PER_M

    def _pixels(self, who: str, name: TakeName, camera_name: str) -> np.ndarray | None:
        if self._pixel_positions is None:
            return None
        where = f"{self.root / _PIXELS_NAME}, {who}/{name.take}"
        takes = self._pixel_positions.get(who)
        views = takes.get(name.take) if isinstance(takes, dict) else None
        if not isinstance(views, list) or len(views) != len(CAMERA_NAMES):
            raise DownloadError(f"{where}: expected a list of {len(CAMERA_NAMES)} arrays, got another thing.")
        shape = (None, H36M17.num_joints, 2)
        return as_array(views[CAMERA_NAMES.index(camera_name)], shape, name="positions_2d", where=where)


class Human36mMartinez(_WorldPoses):
    """The poses of '3d-pose-baseline' with the original videos; see the module's docstring."""

    form = "martinez"
    title = "Human3.6M, poses of h36m.zip (3d-pose-baseline) and the original videos"
    layout = f"""\
h36m/{_CAMERAS_NAME}
h36m/S1/{_MARTINEZ_POSES}/Directions 1.h5
h36m/S1/Videos/Directions 1.54138969.mp4         (S1, S5, S6, S7, S8, S9, S11)"""
    source = "README, cameras.py of una-dinosauria/3d-pose-baseline; prepare_data_h36m.py of VideoPose3D"
    assumptions = (
        "`3D_positions` is (96, frames): met in files written by h5py.",
        f"{_CAMERAS_NAME} holds the published calibration, rotations transposed or not; else it is refused.",
    )

    def __init__(self, root: str | Path) -> None:
        super().__init__(root)
        self._cameras: dict[tuple[str, str], Camera] | None = None

    @classmethod
    def recognises(cls, root: Path) -> bool:
        base = cls(root)._base()
        return any((base / who / _MARTINEZ_POSES).is_dir() for names in SPLITS.values() for who in names)

    def _base(self) -> Path:
        inner = self.root / "h36m"
        return inner if inner.is_dir() else self.root

    def _main_file(self) -> str:
        return (self._base() / _CAMERAS_NAME).relative_to(self.root).as_posix()

    def _load(self) -> None:
        if self._cameras is None:
            self._cameras = read_cameras(self._base() / _CAMERAS_NAME)

    def _camera(self, who: str, camera_name: str) -> Camera:
        assert self._cameras is not None
        return self._cameras[who, camera_name]

    def _poses(self, who: str) -> list[tuple[TakeName, Any]]:
        named = [
            (parse_take(path.stem), path) for path in (self._base() / who / _MARTINEZ_POSES).glob("*.h5")
        ]
        return _in_order([(name, path) for name, path in named if name is not None and not name.camera])

    def _world_mm(self, poses: Any, where: str) -> Float[np.ndarray, "F 32 3"]:
        path: Path = poses
        with open_h5(path) as file:
            flat = h5_array(file, "3D_positions", path=path, shape=(_JOINTS * 3, None))
        numbers = as_array(flat, (_JOINTS * 3, None), name="3D_positions", where=str(path))
        if not numbers.shape[1]:
            raise DownloadError(f"{path}: expected poses in `3D_positions`, got none.")
        return numbers.T.reshape(-1, _JOINTS, 3)

    def _count(self, poses: Any, where: str) -> int:
        with open_h5(poses) as file:
            h5_array(file, "3D_positions", path=poses, shape=(_JOINTS * 3, None), rows=np.s_[:, :0])
            if not (count := int(file["3D_positions"].shape[1])):
                raise DownloadError(f"{poses}: expected poses in `3D_positions`, got none.")
            return count


def _in_order(takes: list[tuple[TakeName, Any]]) -> list[tuple[TakeName, Any]]:
    return sorted(takes, key=lambda each: (ACTION_NUMBERS[each[0].action], each[0].number or 0))


def _dictionary(path: Path, name: str) -> dict[str, Any]:
    """The one dictionary in an .npz file of pickled ones."""
    found = read_npz(path, name, plain_objects=True)[name]
    content = found.item() if isinstance(found, np.ndarray) and found.size == 1 else found
    if not isinstance(content, dict):
        raise DownloadError(f"{path}: expected a dictionary in `{name}`, got {type(content).__name__}.")
    return content
