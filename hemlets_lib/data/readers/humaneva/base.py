"""What both forms of HumanEva-I share: takes of the synchronised frames that have poses, and their check.

The motion of an action comes from the form (`humaneva`), videos and cameras from the data set's own files
(`humaneva_files`). The two parts of an action's first trial are for training and for validation, which the
field tests on.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int

from hemlets_lib.data.readers.contract import Finding, Reader, Skipped, Take
from hemlets_lib.data.readers.files import DownloadError
from hemlets_lib.data.readers.humaneva.files import (
    ACTIONS,
    CAMERA_NAMES,
    FIRST_FRAMES,
    PICTURE_SIZE,
    RANGES,
    SUBJECTS,
    find,
    offsets_of_streams,
    read_calibration,
    recording,
)
from hemlets_lib.data.readers.joint_orders import HUMANEVA15
from hemlets_lib.data.readers.pictures import VideoFrames
from hemlets_lib.data.readers.recordings import video_problem
from hemlets_lib.data.sample import Meta
from hemlets_lib.geometry import Camera
from hemlets_lib.skeleton import HEMLETS18

__all__ = ["HumanEva", "Motion"]

# Split -> partition of the data set, cameras. Papers use the first camera or all three; both are here.
_SPLITS = MappingProxyType(
    {
        "train": ("Train", CAMERA_NAMES),
        "validate": ("Validate", CAMERA_NAMES),
        "train_c1": ("Train", CAMERA_NAMES[:1]),
        "validate_c1": ("Validate", CAMERA_NAMES[:1]),
    }
)
_PARTITIONS = ("Train", "Validate")
_REPROJECTION_PX = 3.0  # poses_2d has means of projections where poses_3d has means of points; and the lens
_NO_MOTION = "no motion was captured (markers were lost)"


class Motion(NamedTuple):
    """Poses of one action, F frames; some frames of the range may have none."""

    frames: Int[np.ndarray, "F"]  # synchronised, from 0
    joints_world_mm: Float[np.ndarray, "F 15 3"]
    joints_px: Float[np.ndarray, "3 F 15 2"] | None  # a row for each of CAMERA_NAMES
    unplaced: int = 0  # further poses whose frames are not known


def _map(joints: Float[np.ndarray, "F 15 C"]) -> Float[np.ndarray, "F 18 C"]:
    mapped, known = HUMANEVA15.remap(torch.from_numpy(np.ascontiguousarray(joints)), HEMLETS18)
    return torch.where(known[..., None], mapped, torch.nan).numpy()


class HumanEva(Reader):
    """What the forms share. Motion comes from `_motion`."""

    dataset = "humaneva"
    title = "HumanEva-I"
    splits = tuple(_SPLITS)
    frames_per_second = 60.0
    source = "Sigal et al., IJCV 2010, and its support code; facebookresearch/VideoPose3D"
    assumptions: ClassVar[tuple[str, ...]] = (
        "The frames that FFmpeg gives of the XVID videos are numbered as the support code numbers them.",
        "The videos' offsets that VideoPose3D lists follow from the .ofs files (told where all are there).",
        ".cal files hold 22 numbers, and lenses have no skew.",
        "As its toolbox does, the support code counts pixels from 0 at the middle of the first one.",
        "Thorax and head of VideoPose3D's 15 joints are where our neck and head are.",
    )

    @abstractmethod
    def _motion(self, partition: str, subject: str, action: str) -> Motion | Skipped:
        """Poses of one action; or why there are none."""

    @abstractmethod
    def _others(self, partition: str, subject: str) -> list[str]:
        """Names of what else the form holds of a subject."""

    def takes(self, split: str, *, step: int = 1) -> Iterator[Take | Skipped]:
        self.check_split(split)
        partition, cameras = _SPLITS[split]
        for subject in SUBJECTS:
            if not find(self.root, subject).is_dir():
                yield Skipped(subject, "not in this download")
                continue
            lenses = {name: self._camera(subject, name) for name in cameras}
            for action in ACTIONS:
                motion = self._motion(partition, subject, action)
                if isinstance(motion, Skipped):
                    yield motion
                else:
                    yield from self._takes(partition, subject, action, motion, lenses, step)
            for name in self._others(partition, subject):
                yield Skipped(f"{partition}/{subject}/{name}", "not an action of the benchmark")

    def _camera(self, subject: str, name: str) -> Camera:
        return read_calibration(find(self.root, subject, "Calibration_Data", f"{name}.cal"))

    def _takes(
        self, partition: str, subject: str, action: str, motion: Motion, lenses: dict[str, Camera], step: int
    ) -> Iterator[Take | Skipped]:
        title = f"{partition}/{subject}/{ACTIONS[action]}"
        start, end = RANGES[partition, subject, action]
        root = motion.joints_world_mm[:, HUMANEVA15.root]
        known = np.isfinite(motion.joints_world_mm).all(-1).sum(-1) > 1  # joints, to make a box of
        chosen = np.isfinite(root).all(-1) & known & ((motion.frames - start) % step == 0)
        unplaced = -(-motion.unplaced // step)
        if unplaced:
            yield Skipped(title, "poses whose frames the file does not tell", unplaced * len(lenses))
        lost = len(range(start, end, step)) - int(chosen.sum()) - unplaced
        if lost > 0:
            yield Skipped(title, _NO_MOTION, lost * len(lenses))
        if not chosen.any():
            return
        world = torch.from_numpy(motion.joints_world_mm[chosen])
        for name, camera in lenses.items():
            number = CAMERA_NAMES.index(name)
            joints_cam_mm = _map(camera.world_to_cam(world).numpy())
            joints_px = None if motion.joints_px is None else _map(motion.joints_px[number][chosen])
            if joints_px is not None and _apart_px(joints_cam_mm, joints_px, camera) >= _REPROJECTION_PX:
                yield Skipped(f"{title}_({name})", "its 3D and 2D joints do not belong together", len(world))
                continue
            video = recording(self.root, subject, action, name)
            if not video.is_file():
                yield Skipped(f"{title}_({name})", "its video is missing", len(world))
                continue
            frames = motion.frames[chosen] + FIRST_FRAMES[subject, action][number] - 1
            yield Take(
                meta=Meta(self.dataset, subject=subject, action=action, camera_name=name, source=self.form),
                pictures=VideoFrames(video, frames, size=PICTURE_SIZE),
                frames=frames,
                joints_px=joints_px,
                joints_cam_mm=joints_cam_mm,
                camera=camera,
            )

    def check(self) -> Iterator[Finding]:
        absent = [subject for subject in SUBJECTS if not find(self.root, subject).is_dir()]
        if len(absent) == len(SUBJECTS):
            yield Finding("S1", "missing; expected the subjects' folders S1, S2, S3 of the data set")
        elif absent:
            yield Finding(", ".join(absent), absent=True)
        for subject in SUBJECTS:
            if subject in absent:
                continue
            for name in CAMERA_NAMES:
                try:
                    self._camera(subject, name)
                except DownloadError as error:
                    yield self._finding(
                        find(self.root, subject, "Calibration_Data", f"{name}.cal"), str(error)
                    )
            for action in ACTIONS:
                yield from self._check_action(subject, action)

    def _finding(self, path: Path, problem: str = "", note: str = "") -> Finding:
        return Finding(path.relative_to(self.root).as_posix(), problem.removeprefix(f"{path}: "), note)

    def _check_action(self, subject: str, action: str) -> Iterator[Finding]:
        last, poses = 0, []
        for partition in _PARTITIONS:
            where = f"{partition}/{subject}/{ACTIONS[action]}"
            try:
                motion = self._motion(partition, subject, action)
            except DownloadError as error:
                yield Finding(where, str(error).removeprefix(f"{self.root}/"))
                continue
            if isinstance(motion, Skipped):
                yield Finding(where, motion.reason)
                continue
            valid = np.isfinite(motion.joints_world_mm[:, HUMANEVA15.root]).all(-1)
            start, end = RANGES[partition, subject, action]
            poses.append(f"{where}: {int(valid.sum())} poses for {end - start} frames")
            if valid.any():
                last = max(last, int(motion.frames[valid][-1]) + 1)
            if motion.unplaced:
                yield Finding(where, f"{motion.unplaced} poses whose frames the file does not tell")
        for number, name in enumerate(CAMERA_NAMES):
            video = recording(self.root, subject, action, name)
            needed = last + FIRST_FRAMES[subject, action][number] - 1 if last else 1
            problem = video_problem(video, size=PICTURE_SIZE, frames=needed)
            if problem:
                yield self._finding(video, problem)
        yield Finding(
            f"{subject}/{ACTIONS[action]}", note="; ".join([*poses, self._offsets(subject, action)])
        )

    def _offsets(self, subject: str, action: str) -> str:
        """What the .ofs files say of the offsets that are used."""
        listed = FIRST_FRAMES[subject, action]
        try:
            found = offsets_of_streams(self.root, subject, action)
        except DownloadError as error:
            return f"offsets not confirmed ({str(error).removeprefix(f'{self.root}/')})"
        if found is None:
            return "offsets not confirmed: not all .ofs files are there"
        return f"offsets {listed}, " + (
            "as the .ofs files say" if found == listed else f"the .ofs files say {found}"
        )


def _apart_px(
    joints_cam_mm: Float[np.ndarray, "F J 3"], joints_px: Float[np.ndarray, "F J 2"], camera: Camera
) -> float:
    seen = camera.project(torch.from_numpy(joints_cam_mm)).numpy()
    both = np.isfinite(joints_cam_mm).all(-1) & np.isfinite(joints_px).all(-1)
    with np.errstate(over="ignore", invalid="ignore"):
        apart = np.linalg.norm((seen - joints_px)[both], axis=-1)
    return float(np.nan_to_num(apart, nan=np.inf).max(initial=0.0))  # behind the camera: infinite
