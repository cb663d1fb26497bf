"""The files that one subject of Human3.6M has in the original download, and how each kind is read."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int

from hemlets_lib.data.readers.cdf import cdf_shape, read_cdf
from hemlets_lib.data.readers.files import DownloadError, as_array, h5_array, open_h5
from hemlets_lib.data.readers.human36m.facts import ACTION_NUMBERS, JOINT_NAMES_32, TakeName, parse_take
from hemlets_lib.data.readers.human36m.videos import TakeKey, find_files
from hemlets_lib.geometry import Camera

__all__ = [
    "CAMERA_POSES",
    "COORDINATES",
    "SubjectFiles",
    "num_poses",
    "read_box_px",
    "read_joints",
]

_VARIABLE = "Pose"
# Each kind of file, in the folders of the archives and in h36m-fetch's.
CAMERA_POSES = ("MyPoseFeatures/D3_Positions_mono", "Poses_D3_Positions_mono")
_WORLD_POSES = ("MyPoseFeatures/D3_Positions", "Poses_D3_Positions")
_PIXELS = ("MyPoseFeatures/D2_Positions", "Poses_D2_Positions")
_BOXES = ("MySegmentsMat/ground_truth_bb", "Segments_mat_gt_bb")
COORDINATES = {"poses": 3, "pixels": 2}


@dataclass(frozen=True)
class SubjectFiles:
    """One subject's folder; a kind of file that is not there is None.

    Args:
        folder: 'S1'.
    """

    folder: Path

    def _first(self, places: tuple[str, ...]) -> Path | None:
        return next((self.folder / place for place in places if (self.folder / place).is_dir()), None)

    @cached_property
    def camera_poses(self) -> Path | None:
        return self._first(CAMERA_POSES)

    @cached_property
    def world_poses(self) -> Path | None:
        return self._first(_WORLD_POSES)

    @cached_property
    def pixels(self) -> Path | None:
        return self._first(_PIXELS)

    @cached_property
    def boxes(self) -> Path | None:
        return self._first(_BOXES)

    @property
    def is_there(self) -> bool:
        return self.camera_poses is not None or self.world_poses is not None

    @cached_property
    def _found(self) -> dict[str, dict[TakeKey, Path]]:
        folders = {"poses": self.camera_poses or self.world_poses, "pixels": self.pixels}
        found = {kind: find_files(folder, ".cdf") if folder else {} for kind, folder in folders.items()}
        return found | {"video": self.videos}

    @cached_property
    def videos(self) -> dict[TakeKey, Path]:
        return find_files(self.folder / "Videos", ".mp4")

    def names(self) -> list[TakeName]:
        """Every take that has a file of any kind, the camera left out; by action and number."""
        takes = {}
        for files in reversed(self._found.values()):  # the poses' spelling counts where there are several
            for path in files.values():
                name = parse_take(path.stem)
                assert name is not None  # find_files keeps no others
                takes[name.action, name.number] = name._replace(camera="")
        return sorted(takes.values(), key=lambda name: (ACTION_NUMBERS[name.action], name.number or 0))

    def files(self, name: TakeName, camera_name: str) -> dict[str, Path | None]:
        """The files of a take: where each is or should be; None for a kind that the subject has not."""
        of_all = self.camera_poses is None  # world space: one file for the four cameras
        view = f"{name.take}.{camera_name}"
        expected = {
            "poses": self.world_poses / f"{name.take}.cdf" if of_all and self.world_poses else None,
            "pixels": self.pixels / f"{view}.cdf" if self.pixels else None,
            "video": self.folder / "Videos" / f"{view}.mp4",
        }
        if self.camera_poses is not None:
            expected["poses"] = self.camera_poses / f"{view}.cdf"
        for kind, files in self._found.items():
            key = (name.action, name.number, "" if kind == "poses" and of_all else camera_name)
            expected[kind] = files.get(key, expected[kind])
        return expected

    def in_camera(self, joints: np.ndarray, camera: Camera) -> np.ndarray:
        """The 3D joints of this subject's files in camera space, wherever they were before."""
        if self.camera_poses is not None:
            return joints
        return camera.world_to_cam(torch.from_numpy(joints)).numpy()


def read_joints(path: Path, coordinates: int) -> Float[np.ndarray, "F 32 C"]:
    """The poses of a CDF file, millimetres or pixels.

    Raises:
        DownloadError: If the file is damaged, or does not hold poses of 32 joints with so many coordinates.
    """
    poses = read_cdf(path, _VARIABLE)
    if poses.ndim == 3 and len(poses) == 1:
        poses = poses[0]
    width = len(JOINT_NAMES_32) * coordinates
    poses = as_array(poses, (None, width), name=_VARIABLE, where=str(path))
    if not len(poses):
        raise DownloadError(f"{path}: expected poses in `{_VARIABLE}`, got none.")
    return poses.reshape(len(poses), len(JOINT_NAMES_32), coordinates)


def num_poses(path: Path, coordinates: int) -> int:
    """How many poses a CDF file has, from its header.

    Raises:
        DownloadError: As `read_joints`.
    """
    shape = cdf_shape(path, _VARIABLE)
    width = len(JOINT_NAMES_32) * coordinates
    if shape[-1] != width or len(shape) not in (2, 3) or (len(shape) == 3 and shape[0] != 1):
        raise DownloadError(f"{path}: expected `{_VARIABLE}` of shape (1, any, {width}), got {shape}.")
    return shape[-2]


def read_box_px(path: Path, frame: int) -> tuple[Int[np.ndarray, "2"], Int[np.ndarray, "2"]]:
    """The data set's own box of a frame, from a file of ground_truth_bb.

    Returns:
        Its upper left and lower right pixel (x, y), both inside.

    Raises:
        DownloadError: If the file is damaged, has no such frame, or the frame's mask is empty.

    Source: h36m.py of nkolot/SPIN (datasets/preprocess): `Masks` refers to a picture of ones and zeros for
    each frame, stored by MATLAB column by column.
    """
    with open_h5(path) as file:
        references = h5_array(file, "Masks", path=path, shape=(None, 1))
        if frame >= len(references) or not references[frame, 0]:
            raise DownloadError(f"{path}: expected a mask of frame {frame}, got {len(references)} masks.")
        key = file[references[frame, 0]].name or ""
        mask = h5_array(file, key.strip("/"), path=path, shape=(None, None)).T  # (H, W)
    rows, columns = np.flatnonzero((mask != 0).any(1)), np.flatnonzero((mask != 0).any(0))
    if not len(rows):
        raise DownloadError(f"{path}, frame {frame}: expected ones inside the box, got an empty mask.")
    return np.array([columns[0], rows[0]]), np.array([columns[-1], rows[-1]])
