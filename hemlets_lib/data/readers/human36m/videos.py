"""Takes of Human3.6M whose pictures are frames of its videos, whatever form their poses come in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Shaped

from hemlets_lib.data.readers.contract import Finding, Skipped, Take
from hemlets_lib.data.readers.human36m.facts import (
    DATASET,
    SHIFTED_TAKES,
    TakeName,
    frames_taken,
    parse_take,
    pelvis_boxes,
    to_hemlets18,
    why_corrupt,
)
from hemlets_lib.data.readers.pictures import VideoFrames
from hemlets_lib.data.sample import Meta
from hemlets_lib.data.videos import Video
from hemlets_lib.geometry import Camera
from hemlets_lib.skeleton import H36M17, HEMLETS18

__all__ = [
    "DISAGREE",
    "REPROJECTION_PX",
    "VIDEO_MISSING",
    "TakeKey",
    "check_videos",
    "disagreement_px",
    "find_files",
    "missing_files",
    "shifted_note",
    "video_takes",
]

# The data set's 2D joints are its 3D joints seen through its cameras, to a ten-thousandth of a pixel.
REPROJECTION_PX = 1.0
VIDEO_MISSING = "its video is missing"
DISAGREE = "its 3D and 2D joints do not belong together"

# (action, number, camera): 'TakingPhoto 1' is 'Photo 1'. No camera where a file is of all four.
TakeKey = tuple[str, int | None, str]


def find_files(folder: Path, suffix: str) -> dict[TakeKey, Path]:
    """A folder's files by what they are of, however they spell it; `_ALL` and strangers are left out.

    Args:
        folder: Need not exist.
        suffix: '.mp4'.

    Returns:
        Their paths, by what they are of.
    """
    named = ((parse_take(path.stem), path) for path in sorted(folder.glob(f"*{suffix}")))
    return {(name.action, name.number, name.camera): path for name, path in named if name is not None}


def missing_files(root: Path, expected: Sequence[Path]) -> Iterator[Finding]:
    """One finding for each folder that lacks files, or for a single file.

    Args:
        root: Paths are told from there.
        expected: Files of a download, some of which may not be there.
    """
    for folder in dict.fromkeys(path.parent for path in expected):
        wanted = [path for path in expected if path.parent == folder]
        missing = [path for path in wanted if not path.is_file()]
        where = folder.relative_to(root).as_posix()
        if len(missing) == 1:
            yield Finding(f"{where}/{missing[0].name}", "expected a file there, found none")
        elif len(missing) == len(wanted):
            yield Finding(f"{where}/*{missing[0].suffix}", f"expected {len(wanted)} files there, found none")
        elif missing:
            names = ", ".join(path.name for path in missing)
            yield Finding(
                f"{where}/*{missing[0].suffix}",
                f"expected {len(wanted)} files there, {len(missing)} of them are missing: {names}",
            )


def disagreement_px(
    joints_cam_mm: Float[np.ndarray, "F J 3"], joints_px: Float[np.ndarray, "F J 2"], camera: Camera
) -> float:
    """How far at most a labelled pixel lies from where the camera sees the joint; infinite behind it.

    Of the 18 joints the thorax does not count: the middle of two points is not seen at the middle of their
    pixels, but up to 2 px beside it.

    Args:
        joints_cam_mm: NaN where unknown; such joints do not count.
        joints_px: The same.
        camera: What should see the one as the other.
    """
    if joints_cam_mm.shape[1] == HEMLETS18.num_joints:
        joints_cam_mm, joints_px = joints_cam_mm[:, : H36M17.num_joints], joints_px[:, : H36M17.num_joints]
    seen = camera.project(torch.from_numpy(np.asarray(joints_cam_mm, dtype=np.float64))).numpy()
    both = np.isfinite(joints_cam_mm).all(-1) & np.isfinite(joints_px).all(-1)
    with np.errstate(over="ignore", invalid="ignore"):  # of damaged numbers, which then disagree
        distance = np.linalg.norm(seen - joints_px, axis=-1)[both]
    return float(np.nan_to_num(distance, nan=np.inf).max(initial=0.0))


def video_takes(
    *,
    form: str,
    subject: str,
    name: TakeName,
    camera_name: str,
    camera: Camera,
    joints_cam_mm: Shaped[np.ndarray, "F J 3"],
    joints_px: Shaped[np.ndarray, "G L 2"] | None,
    video: Path | None,
    step: int,
) -> Iterator[Take | Skipped]:
    """The labelled frames of one take, and what is left out of it.

    Args:
        form: For `Meta.source`.
        subject: 'S1'.
        name: Of the take.
        camera_name: One of `CAMERA_NAMES`.
        camera: Of that session.
        joints_cam_mm: 32 or 17 joints, camera space, of every frame.
        joints_px: 32 or 17 joints in the picture; None: where the camera sees `joints_cam_mm`.
        video: None where it is missing.
        step: From one frame taken to the next.
    """
    title = f"{subject}/{name.take}.{camera_name}"
    frames = frames_taken(len(joints_cam_mm), step)
    if reason := why_corrupt(subject, camera_name, take=name.take):
        yield Skipped(title, reason, len(frames))
        return
    if video is None:
        yield Skipped(title, VIDEO_MISSING, len(frames))
        return
    if joints_px is not None and len(joints_px) != len(joints_cam_mm):
        yield Skipped(title, DISAGREE, len(frames))
        return
    try:
        with Video(video) as opened:
            length = opened.num_frames
    except (OSError, ValueError):
        yield Skipped(title, "its video cannot be opened", len(frames))
        return
    shown = frames if length is None else frames[frames < length]
    joints_cam = to_hemlets18(joints_cam_mm[shown], where=title)
    pixels = None if joints_px is None else to_hemlets18(joints_px[shown], where=title)
    if pixels is not None and disagreement_px(joints_cam, pixels, camera) >= REPROJECTION_PX:
        yield Skipped(title, DISAGREE, len(frames))
        return
    if len(shown) < len(frames):
        yield Skipped(title, "the video ends before the poses", len(frames) - len(shown))
    if len(shown):
        yield Take(
            meta=Meta(DATASET, subject=subject, action=name.action, camera_name=camera_name, source=form),
            pictures=VideoFrames(video, shown),
            frames=shown,
            joints_px=pixels,
            joints_cam_mm=joints_cam,
            camera=camera,
            boxes_px=pelvis_boxes(joints_cam, camera),
        )


def check_videos(
    root: Path, subject: str, videos: Mapping[TakeKey, Path], poses: Mapping[TakeKey, int]
) -> Iterator[Finding]:
    """Opens every video's header.

    Args:
        root: Of the download; paths are told from there.
        subject: 'S1'.
        videos: As `find_files` gives them.
        poses: How many poses each take has, as far as that is known.
    """
    frames, short = 0, []
    for key, path in videos.items():
        where = path.relative_to(root).as_posix()
        try:
            with Video(path) as video:
                length, size = video.num_frames, (video.width, video.height)
        except (OSError, ValueError) as error:
            known = parse_take(path.stem)
            corrupt = why_corrupt(subject, key[2], take=known.take) if known else ""
            yield Finding(where, "" if corrupt else f"cannot be opened ({error})", note=corrupt)
            continue
        frames += length or 0
        if min(size) <= 0:
            yield Finding(where, f"expected pictures, got a size of {size[0]} by {size[1]} pixels")
        if length is not None and length < poses.get(key, 0):
            short.append(f"{path.name} by {poses[key] - length}")
    if videos:
        folder = next(iter(videos.values())).parent.relative_to(root).as_posix()
        note = f"{len(videos)} videos, {frames} frames"
        if short:
            note += f"; shorter than the poses, whose last frames are left out: {', '.join(short)}"
        yield Finding(f"{folder}/*.mp4", note=note)


def shifted_note(subject: str) -> str:
    """What there is to know about a subject's poses, for the report."""
    names = sorted(take for who, take in SHIFTED_TAKES if who == subject)
    return f"the joints of {', '.join(names)} lie about 200 mm off; read as they are" if names else ""
