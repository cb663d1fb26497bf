"""Human3.6M as Moon et al.'s JSON: three files for each subject, and pictures in a folder for each take.

    data      images: file_name, subject, action_idx, subaction_idx, cam_idx, frame_idx (from 0)
              annotations: image_id, bbox (x, y, width, height) about the joints, a fifth larger
    camera    camera → R, t, f, c; the lens's distortion is left out, and the published one is used
    joint_3d  action → subaction → frame → 17 joints in world space, mm

The files of one subject are read together (`human36m_json_files`), some hundred megabytes.

Source: h36m2coco.py, which writes them, and Human36M.py of mks0601/3DMPPE_POSENET_RELEASE.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from hemlets_lib.data.readers.contract import Finding, Reader, Skipped, Take
from hemlets_lib.data.readers.files import DownloadError, inside, read_json
from hemlets_lib.data.readers.human36m.facts import (
    CAMERA_NAMES,
    DATASET,
    DEFAULT_STEPS,
    FRAMES_PER_SECOND,
    SPLITS,
    pelvis_boxes,
    to_hemlets18,
    why_corrupt,
)
from hemlets_lib.data.readers.human36m.images import (
    LISTED_TWICE,
    OUT_OF_SIGHT,
    check_pictures,
    coverage,
    parse_folder,
    sees,
)
from hemlets_lib.data.readers.human36m.posenet_json_files import (
    KINDS,
    Frame,
    SubjectFiles,
    camera_numbers,
    read_camera,
    read_poses,
    read_subject,
)
from hemlets_lib.data.readers.pictures import ImageFiles
from hemlets_lib.data.sample import Meta
from hemlets_lib.geometry import Camera

__all__ = ["Human36mPosenetJson"]

_PICTURES = "images"
_FILE_NAME = re.compile(rb'"file_name"\s*:\s*("(?:[^"\\]|\\.)*")')
_BLANK = b"\xef\xbb\xbf \t\r\n"  # with the mark that some editors begin files with


class Human36mPosenetJson(Reader):
    """Moon et al.'s JSON; see the module's docstring."""

    dataset = DATASET
    form = "posenet_json"
    title = "Human3.6M, JSON annotations (Moon et al., 3DMPPE)"
    layout = """\
annotations/Human36M_subject1_data.json, …_camera.json, …_joint_3d.json   (subjects 1, 5, 6, 7, 8, 9, 11)
images/s_01_act_02_subact_01_ca_01/s_01_act_02_subact_01_ca_01_000001.jpg …"""
    source = "h36m2coco.py and Human36M.py of mks0601/3DMPPE_POSENET_RELEASE"
    splits = tuple(SPLITS)
    frames_per_second = FRAMES_PER_SECOND
    default_steps = DEFAULT_STEPS
    assumptions = (
        "Keys and nesting are those that h36m2coco.py writes: met in files written by Python's json.",
        "`t` is told by which meaning brings the joints into `bbox`: met with both, in files written here.",
        "The lens is the published one of the camera that `cam_idx` counts: checked on four real frames.",
    )

    @classmethod
    def recognises(cls, root: Path) -> bool:
        return any(
            cls(root)._path(subject, "data").is_file() for split in SPLITS.values() for subject in split
        )

    def _path(self, subject: str, kind: str) -> Path:
        name = f"Human36M_subject{subject.removeprefix('S')}_{kind}.json"
        beside = self.root / name
        return beside if beside.is_file() else self.root / "annotations" / name

    def _paths(self, subject: str) -> dict[str, Path]:
        return {kind: self._path(subject, kind) for kind in KINDS}

    def takes(self, split: str, *, step: int = 1) -> Iterator[Take | Skipped]:
        self.check_split(split)
        there = [
            subject
            for subject in SPLITS[split]
            if any(path.is_file() for path in self._paths(subject).values())
        ]
        if not there:
            raise DownloadError(
                f"{self._path(SPLITS[split][0], 'data')}: expected annotations of "
                f"{', '.join(SPLITS[split])}, found none."
            )
        for subject in SPLITS[split]:
            if subject not in there:
                yield Skipped(subject, "the subject is missing")
            else:
                yield from self._takes_of(read_subject(subject, self._paths(subject)), step)

    def _takes_of(self, subject: SubjectFiles, step: int) -> Iterator[Take | Skipped]:
        by_take: dict[tuple[int, int, int], list[Frame]] = {}
        for frame in subject.frames:
            if frame.number % step == 0:
                by_take.setdefault(frame.key, []).append(frame)
        cameras: dict[int, Camera] = {}
        for (action, subaction, number), frames in sorted(by_take.items()):
            title = f"s_{int(subject.name[1:]):02}_act_{action:02}_subact_{subaction:02}_ca_{number:02}"
            name = parse_folder(title)
            if name is None:
                yield Skipped(title, "not an action and camera of Human3.6M", len(frames))
                continue
            if reason := why_corrupt(name.subject, name.camera, subaction=(name.action, name.subaction)):
                yield Skipped(title, reason, len(frames))
                continue
            unique = {frame.number: frame for frame in frames}
            if len(unique) < len(frames):
                yield Skipped(title, LISTED_TWICE, len(frames) - len(unique))
            posed, joints = read_poses(subject, [unique[each] for each in sorted(unique)])
            if len(posed) < len(unique):
                yield Skipped(title, "no 3D joints are listed", len(unique) - len(posed))
            if not posed:
                continue
            if number not in cameras:
                cameras[number] = read_camera(subject, number)
            world = torch.from_numpy(to_hemlets18(joints, where=str(subject.paths["joint_3d"])))
            joints_cam = cameras[number].world_to_cam(world).numpy()
            if not sees(cameras[number], joints_cam):
                yield Skipped(title, OUT_OF_SIGHT, len(posed))
                continue
            yield Take(
                meta=Meta(
                    DATASET,
                    subject=name.subject,
                    action=name.action,
                    camera_name=name.camera,
                    source=self.form,
                ),
                pictures=ImageFiles(self._pictures(subject, posed)),
                frames=np.array([frame.number for frame in posed]),
                joints_cam_mm=joints_cam,
                camera=cameras[number],
                boxes_px=pelvis_boxes(joints_cam, cameras[number]),
            )

    def _pictures(self, subject: SubjectFiles, frames: list[Frame]) -> tuple[Path, ...]:
        where = f"{subject.paths['data']}, file_name"
        return tuple(inside(self.root / _PICTURES, frame.file_name, where=where) for frame in frames)

    def check(self) -> Iterator[Finding]:
        present: list[tuple[str, str, str]] = []
        any_there = False
        for subject in (subject for split in SPLITS.values() for subject in split):
            paths = self._paths(subject)
            if not any(path.is_file() for path in paths.values()):
                continue
            any_there = True
            for kind, path in paths.items():
                if problem := _whole(path):
                    yield Finding(path.relative_to(self.root).as_posix(), problem)
                elif kind == "camera":
                    yield from self._check_cameras(path)
                elif kind == "data":
                    yield from self._check_listed(path, present)
        if not any_there:
            yield Finding("annotations", "expected Human36M_subject1_data.json and so on, found none")
        yield from coverage(present)

    def _check_cameras(self, path: Path) -> Iterator[Finding]:
        try:
            cameras = read_json(path)
            for number in range(1, len(CAMERA_NAMES) + 1):
                if not isinstance(cameras, dict) or not cameras or str(number) in cameras:
                    camera_numbers(cameras, number, path)
        except DownloadError as error:
            yield Finding(path.relative_to(self.root).as_posix(), str(error))

    def _check_listed(self, path: Path, present: list[tuple[str, str, str]]) -> Iterator[Finding]:
        """Looks for pictures' names in the text: parsing a hundred megabytes of JSON takes too long."""
        where = path.relative_to(self.root).as_posix()
        try:
            names = [json.loads(name) for name in _FILE_NAME.findall(path.read_bytes())]
            folders: dict[Path, set[str]] = {}
            parents: dict[str, Path] = {}
            for name in names:
                parent, _, last = name.replace("\\", "/").rpartition("/")
                if parent not in parents:
                    parents[parent] = inside(self.root / _PICTURES, name, where=where).parent
                folders.setdefault(parents[parent], set()).add(last)
        except (OSError, ValueError) as error:  # DownloadError is one of them
            yield Finding(where, str(error))
            return
        for folder, files in folders.items():
            if (name := parse_folder(folder.name)) is not None:
                if why_corrupt(name.subject, name.camera, subaction=(name.action, name.subaction)):
                    continue
                present.append((name.subject, name.action, name.camera))
            yield from check_pictures(self.root, folder, files)
        yield Finding(where, "" if names else "names no pictures", f"{len(names)} pictures")


def _whole(path: Path) -> str:
    """What is wrong with a file, as far as its ends and the number of its brackets show."""
    if not path.is_file():
        return "missing"
    content = path.read_bytes()
    closed = all(content.count(left) == content.count(right) for left, right in ((b"{", b"}"), (b"[", b"]")))
    if not closed or content.lstrip(_BLANK)[:1] != b"{" or content.rstrip(_BLANK)[-1:] != b"}":
        return "expected a JSON object, got a file that is cut short or of another kind"
    return ""
