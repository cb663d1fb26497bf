"""The training part of MPI-INF-3DHP as it is downloaded: a folder for each subject and sequence.

    S1/Seq1/annot.mat              annot2, annot3, univ_annot3: a cell for each camera, a row for each frame
    S1/Seq1/camera.calibration     text: lenses, and world to camera
    S1/Seq1/imageSequence/video_0.avi

The frames of a video may lie beside it as pictures instead, under the names that the README of the download
proposes or that nkolot/SPIN gives them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int

from hemlets_lib.data.readers.contract import Finding, Skipped, Take
from hemlets_lib.data.readers.files import DownloadError, as_array, read_mat
from hemlets_lib.data.readers.joint_orders import MPI_INF_3DHP28
from hemlets_lib.data.readers.mpi_inf_3dhp.facts import (
    DATASET,
    SEQUENCE_FRAMES,
    SEQUENCES,
    SHORT_VIDEOS,
    TRAIN_SUBJECTS,
    USED_CAMERAS,
    distances_px,
    to_hemlets18,
    universal_poses,
)
from hemlets_lib.data.readers.pictures import ImageFiles, Pictures, VideoFrames
from hemlets_lib.data.readers.recordings import mat5_missing_bytes, video_problem
from hemlets_lib.data.sample import Meta
from hemlets_lib.geometry import Camera

__all__ = ["Calibrated", "check_train", "find_train", "read_calibration", "train_takes"]

_TRAIN_FOLDERS = ("", "train")  # the second: how open-mmlab/mmpose lays the data set out
_CAMERAS = 14
# Where the frames of a video may lie as pictures, by camera and frame number, which counts from 1: as SPIN
# extracts them, and as the README's ffmpeg command does.
_FRAME_NAMES = (
    "imageFrames/video_{camera}/frame_{number:06d}.jpg",
    "imageSequence/img_{camera}_{number:06d}.jpg",
)
_NOT_RIGID = 1e-3  # how far R R' may be from 1; the file gives six to seven digits
_LARGEST_SIDE_PX = 1 << 14
# Of the picture's width, by which joints may miss their pixels on average; real ones miss by a thousandth.
_LARGEST_MISFIT = 0.01


class Calibrated(NamedTuple):
    """A camera of a sequence, and the size of its pictures."""

    camera: Camera
    size: tuple[int, int]


def find_train(root: Path) -> Path | None:
    """The folder that holds S1 … S8; None where there is none."""
    for name in _TRAIN_FOLDERS:
        if any((root / name / sub / seq).is_dir() for sub in TRAIN_SUBJECTS for seq in SEQUENCES):
            return root / name
    return None


def train_takes(folder: Path, *, form: str, step: int, universal: bool) -> Iterator[Take | Skipped]:
    """Each sequence before each of the eight cameras that are used.

    Args:
        folder: As `find_train` gives it.
        form: For `Meta.source`.
        step: From one frame taken to the next.
        universal: Whether poses have the universal size.

    Raises:
        DownloadError: If annotations or calibration are missing or damaged; names the file.
    """
    for subject in TRAIN_SUBJECTS:
        if not (folder / subject).is_dir():
            yield Skipped(subject, "not in this download")
            continue
        for sequence in SEQUENCES:
            if not (folder / subject / sequence).is_dir():
                yield Skipped(f"{subject}/{sequence}", "not in this download")
                continue
            yield from _sequence_takes(folder, subject, sequence, form, step, universal)


def _sequence_takes(
    folder: Path, subject: str, sequence: str, form: str, step: int, universal: bool
) -> Iterator[Take | Skipped]:
    place = folder / subject / sequence
    path = place / "annot.mat"
    cameras = read_calibration(place / "camera.calibration")
    content = read_mat(path, "annot2", "annot3", "frames", "cameras", *(["univ_annot3"] if universal else []))
    numbers = _frame_numbers(content["frames"], where=str(path))
    recorded = SEQUENCE_FRAMES[subject, sequence]
    cells = as_array(content["cameras"], (None, None), name="cameras", where=str(path)).ravel().tolist()
    for name in USED_CAMERAS:
        title = f"{subject}/{sequence}/video_{name}"
        if name not in cells:
            raise DownloadError(f"{path}: expected camera {name} in `cameras`, got {cells}.")

        def poses(variable: str, coordinates: int, cell: int = cells.index(name)) -> np.ndarray:
            return _poses(content[variable], cell, coordinates, len(numbers), name=variable, path=path)

        rows = np.arange(0, len(numbers), step)
        there = rows[numbers[rows] < recorded]
        if len(there) < len(rows):
            yield Skipped(title, "annotated past the end of the recording", len(rows) - len(there))
        length = SHORT_VIDEOS.get((subject, sequence, name), recorded)
        shown = there[numbers[there] < length]
        if len(shown) < len(there):
            yield Skipped(title, "the video is shorter than its sequence", len(there) - len(shown))
        if not len(shown):
            continue
        frames = numbers[shown]
        pictures = _pictures(place, name, frames, cameras[name].size)
        if pictures is None:
            yield Skipped(title, "its video is missing", len(shown))
            continue
        joints_cam_mm = to_hemlets18(poses("annot3", 3)[shown], MPI_INF_3DHP28)
        joints_px = to_hemlets18(poses("annot2", 2)[shown], MPI_INF_3DHP28)
        apart = distances_px(joints_px, joints_cam_mm, cameras[name].camera)
        if len(apart) and np.median(apart) > _LARGEST_MISFIT * cameras[name].size[0]:
            yield Skipped(title, "its 3D and 2D joints do not belong together", len(shown))
            continue
        if universal:
            scaled = to_hemlets18(poses("univ_annot3", 3)[shown], MPI_INF_3DHP28)
            joints_cam_mm = universal_poses(
                joints_cam_mm, scaled, where=f"{path}, camera {name}"
            ).joints_cam_mm
        yield Take(
            meta=Meta(DATASET, subject=subject, action=sequence, camera_name=str(name), source=form),
            pictures=pictures,
            frames=frames,
            joints_px=joints_px,
            joints_cam_mm=joints_cam_mm,
            camera=cameras[name].camera,
        )


def _frame_numbers(value: object, *, where: str) -> Int[np.ndarray, "F"]:
    """`frames`: the number of each row's frame, from 0."""
    array = as_array(value, (None, 1), name="frames", where=where, finite=True)[:, 0]
    numbers = np.where(np.abs(array) < 1e9, array, -1).astype(np.int64)
    if not len(numbers) or (numbers != array).any() or numbers[0] < 0 or (np.diff(numbers) < 1).any():
        raise DownloadError(
            f"{where}: expected `frames` to count upwards from 0 or more, got {array[:6].tolist()} …"
        )
    return numbers


def _poses(
    value: object, cell: int, coordinates: int, rows: int, *, name: str, path: Path
) -> Float[np.ndarray, "F 28 C"]:
    """One camera's cell of a variable: a row for each frame, joint after joint."""
    if not isinstance(value, np.ndarray) or value.dtype != object or value.size != _CAMERAS:
        raise DownloadError(
            f"{path}: expected `{name}` to be a cell for each of {_CAMERAS} cameras, got "
            f"{getattr(value, 'dtype', type(value).__name__)} of shape {getattr(value, 'shape', ())}."
        )
    joints = MPI_INF_3DHP28.num_joints
    array = as_array(
        value.ravel()[cell], (rows, joints * coordinates), name=f"{name}{{{cell + 1}}}", where=str(path)
    )
    return array.reshape(rows, joints, coordinates)


def _pictures(
    place: Path, camera: int, frames: Int[np.ndarray, "F"], size: tuple[int, int]
) -> Pictures | None:
    video = place / "imageSequence" / f"video_{camera}.avi"
    if video.is_file():
        return VideoFrames(video, frames, size=size)
    pattern = _frame_pattern(place, camera)
    if pattern is None:
        return None
    return ImageFiles(
        tuple(place / pattern.format(camera=camera, number=number + 1) for number in frames.tolist()),
        size=size,
    )


def _frame_pattern(place: Path, camera: int) -> str | None:
    """Which of `_FRAME_NAMES` the frames of a camera have, by the first of them."""
    return next(
        (name for name in _FRAME_NAMES if (place / name.format(camera=camera, number=1)).is_file()), None
    )


def read_calibration(path: Path) -> dict[int, Calibrated]:
    """`camera.calibration`: the cameras of a sequence, by number.

    A line without meaning, then for each camera its name, sensor, size, intrinsic and extrinsic matrix (4 by
    4, row by row; world to camera, millimetres, the world's y upwards) and more, a word and numbers a line.

    Returns:
        Those of `USED_CAMERAS`.

    Raises:
        DownloadError: If it is missing, or lacks a camera that is used, or a camera is no pinhole.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DownloadError(f"{path}: expected the cameras' calibration, got none ({error}).") from error
    entries: dict[str, dict[str, list[float]]] = {}
    for number, line in enumerate(lines, start=1):
        key, *words = line.split() or [""]
        if key == "name" and words:
            entries[words[0]] = {}
        elif entries and key in ("size", "intrinsic", "extrinsic", "radial"):
            try:
                entries[list(entries)[-1]][key] = [float(word) for word in words]
            except ValueError:
                raise DownloadError(
                    f"{path}, line {number}: expected numbers after `{key}`, got {line.strip()[:60]!r}."
                ) from None
    if missing := [name for name in USED_CAMERAS if str(name) not in entries]:
        raise DownloadError(
            f"{path}: expected cameras {', '.join(map(str, USED_CAMERAS))}, lacks "
            f"{', '.join(map(str, missing))}."
        )
    return {name: _calibrated(entries[str(name)], where=f"{path}, camera {name}") for name in USED_CAMERAS}


def _calibrated(entry: dict[str, list[float]], *, where: str) -> Calibrated:
    def numbers(key: str, count: int) -> np.ndarray:
        return as_array(entry.get(key, []), (count,), name=key, where=where, finite=True)

    size, lens, pose = numbers("size", 2), numbers("intrinsic", 16), numbers("extrinsic", 16)
    lens, pose = lens.reshape(4, 4), pose.reshape(4, 4)
    if not ((size >= 1) & (size <= _LARGEST_SIDE_PX) & (size == size.round())).all():
        raise DownloadError(f"{where}: expected a size in pixels, got {size.tolist()}.")
    if min(lens[0, 0], lens[1, 1]) <= 0 or lens[0, 1] != 0 or any(entry.get("radial", [])):
        raise DownloadError(
            f"{where}: expected a pinhole camera without skew or distortion, got intrinsic "
            f"{lens[:2, :3].tolist()}, radial {entry.get('radial')}."
        )
    rotation = pose[:3, :3]
    with np.errstate(over="ignore", invalid="ignore"):
        rigid = np.abs(rotation @ rotation.T - np.eye(3)).max() < _NOT_RIGID and np.linalg.det(rotation) > 0
    if not rigid:
        raise DownloadError(f"{where}: expected a rotation in `extrinsic`, got {rotation.tolist()}.")
    camera = Camera(
        focal_px=torch.tensor([lens[0, 0], lens[1, 1]], dtype=torch.float64),
        centre_px=torch.from_numpy(lens[:2, 2].copy()),
        rotation=torch.from_numpy(rotation.copy()),
        position_mm=torch.from_numpy(-rotation.T @ pose[:3, 3]),
    )
    return Calibrated(camera, (int(size[0]), int(size[1])))


def check_train(folder: Path, root: Path) -> Iterator[Finding]:
    """What the training part should hold and whether it does.

    Subjects are fetched one by one (`subjects` in the download script's configuration), so a subject that is
    not there is told and no problem; of one that is there, everything must be.
    """
    prefix = "" if folder == root else f"{folder.relative_to(root).as_posix()}/"
    present = [subject for subject in TRAIN_SUBJECTS if (folder / subject).is_dir()]
    if absent := [subject for subject in TRAIN_SUBJECTS if subject not in present]:
        yield Finding(f"{prefix}{', '.join(absent)}", absent=True)
    for subject in present:
        for sequence in SEQUENCES:
            yield from _check_sequence(folder / subject / sequence, f"{prefix}{subject}/{sequence}")


def _check_sequence(place: Path, name: str) -> Iterator[Finding]:
    subject, sequence = place.parent.name, place.name
    rows, note = 0, ""
    try:
        rows = _annotated_frames(place / "annot.mat")
        note = f"{rows} rows for {SEQUENCE_FRAMES[subject, sequence]} recorded frames"
        yield Finding(f"{name}/annot.mat", note=note)
    except DownloadError as error:
        yield Finding(f"{name}/annot.mat", str(error).removeprefix(f"{place / 'annot.mat'}: "))
    try:
        cameras = read_calibration(place / "camera.calibration")
    except DownloadError as error:
        text = str(error).removeprefix(str(place / "camera.calibration")).lstrip(":, ")
        yield Finding(f"{name}/camera.calibration", text)
        return
    needed = min(rows, SEQUENCE_FRAMES[subject, sequence])
    whole = 0
    for camera in USED_CAMERAS:
        video = place / "imageSequence" / f"video_{camera}.avi"
        length = min(needed, SHORT_VIDEOS.get((subject, sequence, camera), needed))
        pattern = None if video.is_file() else _frame_pattern(place, camera)
        if pattern is None:
            problem = video_problem(video, size=cameras[camera].size, frames=length)
            where = f"{name}/imageSequence/{video.name}"
        else:
            last = place / pattern.format(camera=camera, number=max(length, 1))
            problem = "" if last.is_file() else f"missing; expected pictures up to frame {length}"
            where = f"{name}/{last.relative_to(place).as_posix()}"
        whole += not problem
        if problem:
            yield Finding(where, problem)
    yield Finding(f"{name}/imageSequence", note=f"{whole} of {len(USED_CAMERAS)} cameras complete")


def _annotated_frames(path: Path) -> int:
    """How many rows the annotations have; from the file's structure, without reading them.

    Raises:
        DownloadError: If it is missing, cut short, or lacks a variable.
    """
    from scipy.io import whosmat

    if path.is_file() and (lacking := mat5_missing_bytes(path)):
        raise DownloadError(f"{path}: cut short: {lacking} bytes are missing at its end. Fetch it again.")
    read_mat(path, "cameras")  # small; says what is wrong with a file that is none
    try:
        shapes = {name: shape for name, shape, _ in whosmat(str(path))}
    except Exception as error:
        raise DownloadError(
            f"{path}: expected a MATLAB file, got one that cannot be read ({error})."
        ) from error
    for name in ("annot2", "annot3", "univ_annot3", "cameras", "frames"):
        if name not in shapes:
            raise DownloadError(f"{path}: expected `{name}`, found only {', '.join(shapes) or 'nothing'}.")
        if name.endswith(("2", "3")) and int(np.prod(shapes[name])) != _CAMERAS:
            raise DownloadError(
                f"{path}: expected `{name}` to be a cell for each of {_CAMERAS} cameras, got shape "
                f"{tuple(shapes[name])}."
            )
    return int(shapes["frames"][0])
