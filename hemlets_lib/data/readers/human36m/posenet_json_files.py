"""The three JSON files that Moon et al. hand round for each subject of Human3.6M: content, poses, cameras.

What `t` of a camera is changed on 8 June 2020: files made before have its centre there, X_cam = R (X - t),
later ones the translation, X_cam = R X + t. Nothing in a file says which; what brings the joints into the
boxes of their frames holds. The boxes are made of joints seen through a pinhole camera, so all of them must.

Source: h36m2coco.py, and the history ('world2cam changed') of mks0601/3DMPPE_POSENET_RELEASE.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from hemlets_lib.data.readers.files import DownloadError, as_array, read_json
from hemlets_lib.data.readers.human36m.facts import CAMERA_NAMES
from hemlets_lib.data.readers.human36m.images import flat_numbers, with_published_lens
from hemlets_lib.geometry import Camera

__all__ = ["KINDS", "Frame", "SubjectFiles", "camera_numbers", "read_camera", "read_poses", "read_subject"]

KINDS = ("data", "camera", "joint_3d")
_COMPARED = 100  # frames of a camera that tell what its `t` is
_IN_BOXES = 0.9  # of their joints must lie in the boxes; a few may be damaged
_BOX_SLACK_PX = 1.0
_LARGEST_NUMBER = 10**9


class Frame(NamedTuple):
    """One picture of the data file.

    Args:
        file_name: As it stands there.
        bbox: As it stands there.
        number: In the recording, from 0.
        key: Numbers of action, subaction and camera.
    """

    file_name: Any
    bbox: Any
    number: int
    key: tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class SubjectFiles:
    """What the three files of one subject hold.

    Args:
        name: 'S1'.
        paths: Where they are, by `KINDS`.
        frames: Of the data file.
        cameras: The content of the camera file, not looked at yet.
        joints: The content of the joints' file, not looked at yet.
    """

    name: str
    paths: Mapping[str, Path]
    frames: list[Frame]
    cameras: Any
    joints: Any


def read_subject(subject: str, paths: Mapping[str, Path]) -> SubjectFiles:
    """Reads the three files of a subject.

    Args:
        subject: 'S1'.
        paths: By `KINDS`.

    Raises:
        DownloadError: If one is missing or no JSON, or a picture's record lacks what is needed.
    """
    data, cameras, joints = (read_json(paths[kind]) for kind in KINDS)
    where = str(paths["data"])
    if not isinstance(data, dict):
        raise DownloadError(f"{where}: expected an object, got {type(data).__name__}.")
    boxes = {
        _number(record, "image_id", each): record.get("bbox")
        for record, each in _records(data, "annotations", where)
    }
    frames = []
    for record, each in _records(data, "images", where):
        if (who := _number(record, "subject", each)) != int(subject[1:]):
            raise DownloadError(f"{each}: expected `subject` to be {subject[1:]}, got {who}.")
        action, subaction, camera = (
            _number(record, key, each) for key in ("action_idx", "subaction_idx", "cam_idx")
        )
        frames.append(
            Frame(
                file_name=_field(record, "file_name", each),
                bbox=boxes.get(_number(record, "id", each)),
                number=_number(record, "frame_idx", each),
                key=(action, subaction, camera),
            )
        )
    return SubjectFiles(subject, paths, frames, cameras, joints)


def _records(data: dict[str, Any], key: str, where: str) -> Iterator[tuple[dict[str, Any], str]]:
    """Each record of a list, with its name for messages."""
    records = _field(data, key, where)
    if not isinstance(records, list):
        raise DownloadError(f"{where}: expected `{key}` to be a list, got {type(records).__name__}.")
    for at, record in enumerate(records):
        each = f"{where}, {key} {at}"
        if not isinstance(record, dict):
            raise DownloadError(f"{each}: expected an object, got {type(record).__name__}.")
        yield record, each


def _field(record: dict[str, Any], key: str, where: str) -> Any:
    if key not in record:
        raise DownloadError(
            f"{where}: expected `{key}`, found only {', '.join(sorted(record)) or 'nothing'}."
        )
    return record[key]


def _number(record: dict[str, Any], key: str, where: str) -> int:
    value = _field(record, key, where)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < _LARGEST_NUMBER:
        raise DownloadError(f"{where}: expected `{key}` to be a whole number from 0, got {value!r:.40}.")
    return value


def read_poses(subject: SubjectFiles, frames: list[Frame]) -> tuple[list[Frame], Float[np.ndarray, "F 17 3"]]:
    """The 3D joints of frames, in world space.

    Returns:
        Those of the frames that have any, and the joints, mm.

    Raises:
        DownloadError: If joints are not 17 finite points.
    """
    path = subject.paths["joint_3d"]
    posed, joints = [], []
    for frame in frames:
        action, subaction, _ = frame.key
        found = subject.joints
        for key in (action, subaction, frame.number):
            found = found.get(str(key)) if isinstance(found, dict) else None
        if found is not None:
            where = f"{path}, {action}/{subaction}/{frame.number}"
            posed.append(frame)
            joints.append(as_array(found, (17, 3), name="joints", where=where, finite=True))
    return posed, np.stack(joints) if joints else np.empty((0, 17, 3))


def camera_numbers(cameras: Any, number: int, path: Path) -> dict[str, np.ndarray]:
    """The numbers of one camera.

    Args:
        cameras: The content of the camera file.
        number: 1 to 4.
        path: The file, for messages.

    Returns:
        `R` (9), `t` (3), `f` (2) and `c` (2).

    Raises:
        DownloadError: If one is missing, or is no such numbers.
    """
    where = f"{path}, camera {number}"
    content = cameras.get(str(number)) if isinstance(cameras, dict) else None
    if not isinstance(content, dict):
        raise DownloadError(f"{where}: expected R, t, f and c, found none.")
    return {
        key: flat_numbers(_field(content, key, where), length, name=key, where=where)
        for key, length in (("R", 9), ("t", 3), ("f", 2), ("c", 2))
    }


def read_camera(subject: SubjectFiles, number: int) -> Camera:
    """One camera, its `t` read as what brings the joints of its frames into their boxes.

    Args:
        subject: Whose files.
        number: 1 to 4.

    Raises:
        DownloadError: If neither meaning does, or no frame before that camera has 3D joints and a box.
    """
    path = subject.paths["camera"]
    numbers = camera_numbers(subject.cameras, number, path)
    rotation, t = numbers["R"].reshape(3, 3), numbers["t"]
    own = [frame for frame in subject.frames if frame.key[2] == number and frame.bbox is not None]
    compared, joints = read_poses(subject, own[:: max(1, len(own) // _COMPARED)])
    if not compared:
        compared, joints = read_poses(subject, own)
    where = str(subject.paths["data"])
    if not compared:
        raise DownloadError(f"{where}: expected `bbox` of frames before camera {number}, found none.")
    boxes = np.stack(
        [as_array(frame.bbox, (4,), name="bbox", where=f"{where}, {frame.file_name}") for frame in compared]
    )
    with np.errstate(over="ignore", invalid="ignore"):  # of joints or boxes that are damaged
        shares = {
            meaning: (_share_in_boxes((joints - at) @ rotation.T, boxes, numbers["f"], numbers["c"]), at)
            for meaning, at in (("centre", t), ("translation", -rotation.T @ t))
        }
    share, position = max(shares.values(), key=lambda found: found[0])
    if share < _IN_BOXES:
        told = " and ".join(f"{100 * found:.0f} % as {meaning}" for meaning, (found, _) in shares.items())
        raise DownloadError(
            f"{path}, camera {number}: expected `t` to bring the joints into the boxes of {where}, as the "
            f"camera's centre or as its translation; got {told}. Take all files of a subject from one source."
        )
    return with_published_lens(
        CAMERA_NAMES[number - 1],
        focal_px=numbers["f"],
        centre_px=numbers["c"],
        rotation=rotation,
        position_mm=np.ascontiguousarray(position),
        where=f"{path}, camera {number}",
    )


def _share_in_boxes(
    joints_cam_mm: Float[np.ndarray, "F J 3"],
    boxes: Float[np.ndarray, "F 4"],
    focal_px: Float[np.ndarray, "2"],
    centre_px: Float[np.ndarray, "2"],
) -> float:
    """How many of the joints a pinhole camera sees within their frame's box."""
    depth = np.where(joints_cam_mm[..., 2:] > 0, joints_cam_mm[..., 2:], np.nan)
    pixels = joints_cam_mm[..., :2] / depth * focal_px + centre_px
    low = boxes[:, None, :2] - _BOX_SLACK_PX
    high = low + boxes[:, None, 2:] + 2 * _BOX_SLACK_PX
    return float(((pixels >= low) & (pixels <= high)).all(-1).mean())
