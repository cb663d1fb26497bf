"""HumanEva-I with motion converted by VideoPose3D: as .mat files, or as one .npz file.

The data set publishes markers, not joints; its MATLAB code makes joints of them, and ConvertHumanEva.m of
facebookresearch/VideoPose3D runs that code and writes what readers need. Videos and calibration are the data
set's own (`humaneva_files`).

    converted_15j/Train/S1/Walking_1.mat     poses_3d (F, 15, 3), world, mm; poses_2d (3, F, 15, 2), pixels
    data_3d_humaneva15.npz                   positions_3d['Train/S1']['Walking 1 chunk0'] (F, 15, 3), metres

The two parts of the first trial of an action are for training and for validation, which the field tests on.
Frames whose markers were lost have no poses: NaN in the .mat files; left out of the .npz file, which then has
several chunks for an action without saying where each begins.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from hemlets_lib.data.readers.contract import Skipped
from hemlets_lib.data.readers.files import DownloadError, as_array, read_mat, read_npz
from hemlets_lib.data.readers.humaneva.base import HumanEva, Motion
from hemlets_lib.data.readers.humaneva.files import ACTIONS, CAMERA_NAMES, RANGES
from hemlets_lib.data.readers.joint_orders import HUMANEVA15

__all__ = ["HumanEvaMat", "HumanEvaNpz"]

_JOINTS = HUMANEVA15.num_joints
_MM_PER_METRE = 1000.0
_CHUNK = re.compile(r"(\w+) 1 chunk([0-9]{1,4})")


def _below(root: Path, name: str) -> Path | None:
    """A file or folder in the root, or one folder further down."""
    return next((path for path in (root / name, *sorted(root.glob(f"*/{name}"))) if path.exists()), None)


class HumanEvaMat(HumanEva):
    """The .mat files of ConvertHumanEva.m."""

    form = "videopose_mat"
    layout = (
        "S1…3/{Image_Data/*.avi, Calibration_Data/*.cal} of the data set, and "
        "converted_15j/{Train,Validate}/S1…3/{Walking,Jog}_1.mat"
    )
    assumptions = (
        *HumanEva.assumptions,
        "The .mat files are of version 5 to 7, with a row for each frame of their range, NaN without motion.",
    )

    @classmethod
    def recognises(cls, root: Path) -> bool:
        return _below(root, "converted_15j") is not None

    def _file(self, partition: str, subject: str, name: str) -> Path:
        folder = _below(self.root, "converted_15j") or self.root / "converted_15j"
        return folder / partition / subject / f"{name}.mat"

    def _motion(self, partition: str, subject: str, action: str) -> Motion | Skipped:
        path = self._file(partition, subject, ACTIONS[action])
        content = read_mat(path, "poses_3d", "poses_2d")
        joints = as_array(content["poses_3d"], (None, _JOINTS, 3), name="poses_3d", where=str(path))
        shape = (len(CAMERA_NAMES), len(joints), _JOINTS, 2)
        joints_px = as_array(content["poses_2d"], shape, name="poses_2d", where=str(path))
        start, end = RANGES[partition, subject, action]
        if len(joints) != end - start:
            return Skipped(
                f"{partition}/{subject}/{ACTIONS[action]}",
                f"its poses cannot be told to frames: {len(joints)} for {end - start} frames",
                len(joints),
            )
        return Motion(np.arange(start, end), joints, joints_px)

    def _others(self, partition: str, subject: str) -> list[str]:
        folder = self._file(partition, subject, "").parent
        known = set(ACTIONS.values())
        return sorted(path.stem for path in folder.glob("*.mat") if path.stem not in known)


class HumanEvaNpz(HumanEva):
    """The .npz files of prepare_data_humaneva.py.

    Chunks of an action follow each other with gaps. The first begins with the range; the others' places need
    the gaps' lengths, which are those of the 'Unlabeled/…' entries in a file of 2D detections, if one is
    there: `data_2d_humaneva15_detectron_pt_coco.npz`, which VideoPose3D distributes, or another of its kind.
    """

    form = "videopose_npz"
    layout = (
        "S1…3/{Image_Data/*.avi, Calibration_Data/*.cal} of the data set, data_3d_humaneva15.npz, and for "
        "chunks after the first also a data_2d_humaneva15_*.npz with detections"
    )
    assumptions = (
        *HumanEva.assumptions,
        "Detections' 'Unlabeled/…' entries are as long as the gaps between the chunks of poses.",
    )

    def __init__(self, root: str | Path) -> None:
        super().__init__(root)
        self._content: dict[str, dict[str, Any]] | None = None

    @classmethod
    def recognises(cls, root: Path) -> bool:
        return _below(root, "data_3d_humaneva15.npz") is not None

    def _read(self) -> dict[str, dict[str, Any]]:
        """Everything, once: 'Train/S1' and 'Unlabeled/Train/S1' → name of a chunk → what there is of it."""
        if self._content is None:
            path = _below(self.root, "data_3d_humaneva15.npz") or self.root / "data_3d_humaneva15.npz"
            content = _tree(path, "positions_3d")
            for other in sorted(path.parent.glob("data_2d_humaneva15_*.npz")):
                found = _tree(other, "positions_2d")
                content |= {key: value for key, value in found.items() if key.startswith("Unlabeled/")}
            self._content = content
        return self._content

    def _motion(self, partition: str, subject: str, action: str) -> Motion | Skipped:
        title = f"{partition}/{subject}/{ACTIONS[action]}"
        poses = _chunks(self._read().get(f"{partition}/{subject}", {}), action)
        gaps = _chunks(self._read().get(f"Unlabeled/{partition}/{subject}", {}), action)
        if not poses:
            return Skipped(title, f"not in data_3d_humaneva15.npz: {partition}/{subject}, {action} 1 chunk…")
        where = f"{self.root}, {title}"
        chunks = {
            number: as_array(value, (None, _JOINTS, 3), name=f"chunk{number}", where=where)
            for number, value in poses.items()
        }
        start, end = RANGES[partition, subject, action]
        at, frames, joints = start, [], []
        for number in range(max(chunks) + 1):
            if number in chunks:
                frames.append(np.arange(at, at + len(chunks[number])))
                joints.append(chunks.pop(number))
                at += len(frames[-1])
            elif number in gaps:
                at += _length_of_gap(gaps[number], where=f"{where}, chunk{number}")
            else:
                break
        if at > end:
            raise DownloadError(
                f"{where}: expected at most {end - start} frames, got chunks of {at - start}."
            )
        return Motion(
            np.concatenate([np.zeros(0, np.int64), *frames]),
            np.concatenate([np.zeros((0, _JOINTS, 3)), *joints]) * _MM_PER_METRE,
            None,
            unplaced=sum(map(len, chunks.values())),
        )

    def _others(self, partition: str, subject: str) -> list[str]:
        found = {str(name).split(" chunk")[0] for name in self._read().get(f"{partition}/{subject}", {})}
        return sorted(found - {f"{action} 1" for action in ACTIONS})


def _tree(path: Path, key: str) -> dict[str, dict[str, Any]]:
    """A dictionary of dictionaries from an .npz file."""
    content = read_npz(path, key, plain_objects=True)[key]
    if isinstance(content, np.ndarray) and content.shape == ():
        content = content.item()
    if not isinstance(content, dict) or not all(isinstance(each, dict) for each in content.values()):
        raise DownloadError(
            f"{path}: expected `{key}` to hold subjects and their actions, got {type(content).__name__}."
        )
    return {str(name): each for name, each in content.items()}


def _chunks(entries: dict[str, Any], action: str) -> dict[int, Any]:
    """The chunks of an action, by number."""
    found = ((_CHUNK.fullmatch(str(name)), value) for name, value in entries.items())
    return {int(name[2]): value for name, value in found if name and name[1] == action}


def _length_of_gap(value: Any, *, where: str) -> int:
    """Of detections of each camera, which all have the gap's frames."""
    if not isinstance(value, list | tuple) or not value or not isinstance(value[0], np.ndarray):
        raise DownloadError(f"{where}: expected detections of each camera, got {type(value).__name__}.")
    return len(value[0])
