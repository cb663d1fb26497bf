"""Human3.6M as a folder of pictures for each take, with its poses and camera beside them.

Two forms share the folders' names, `s_01_act_02_subact_01_ca_01`, and the pictures'. Moon et al. hand round
`h36m_meta.mat`, which keeps the 17 joints and leaves out the lens's distortion (the published one is used);
Sun et al. `matlab_meta.txt`, which keeps all 32 and the lens (`human36m_meta_text`).

Source: `load_h36m_annot_file` of mks0601/Integral-Human-Pose-Regression-for-3D-Human-Pose-Estimation;
`gt_db` of hm36.py in JimmySuen/integral-human-pose.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float

from hemlets_lib.data.readers.contract import Finding, Reader, Skipped, Take
from hemlets_lib.data.readers.files import DownloadError, as_array, check_shape, read_mat
from hemlets_lib.data.readers.human36m.facts import (
    DATASET,
    DEFAULT_STEPS,
    FRAMES_PER_SECOND,
    SPLITS,
    frames_taken,
    pelvis_boxes,
    to_hemlets18,
    why_corrupt,
)
from hemlets_lib.data.readers.human36m.images import (
    OUT_OF_SIGHT,
    FolderName,
    check_pictures,
    coverage,
    flat_numbers,
    parse_folder,
    sees,
    with_published_lens,
)
from hemlets_lib.data.readers.human36m.meta_text import count_poses, parse_meta_text
from hemlets_lib.data.readers.pictures import ImageFiles
from hemlets_lib.data.sample import Meta
from hemlets_lib.geometry import Camera

__all__ = ["Human36mMetaMat", "Human36mMetaText"]

_MAT_NAMES = ("pose3d_world", "R", "T", "f", "c")
_LONGEST_TAKE = 100_000  # frames, half an hour; a file that claims more is damaged


class _Content(NamedTuple):
    joints_world_mm: Float[np.ndarray, "F J 3"]
    camera: Camera


class _Folders(Reader):
    """Folders of pictures, one for each take and camera."""

    dataset = DATASET
    splits = tuple(SPLITS)
    frames_per_second = FRAMES_PER_SECOND
    default_steps = DEFAULT_STEPS
    annotation_name: str
    places: tuple[tuple[str, str], ...]  # where the annotations' folders lie, and the pictures'

    @classmethod
    def recognises(cls, root: Path) -> bool:
        return next(cls(root)._annotated(), None) is not None and not any(root.glob("annotations/*.json"))

    def _folders(self) -> Iterator[tuple[FolderName, Path, Path]]:
        """Names of takes, the annotations' folder and the pictures', in order."""
        found: dict[str, tuple[FolderName, Path, Path]] = {}
        for place, pictures in self.places:
            for folder in (self.root / place).glob("s_*_act_*"):
                name = parse_folder(folder.name)
                if name is None or not folder.is_dir():
                    continue
                # The pictures' folder without annotations counts if no other place has the annotations.
                if folder.name not in found or (folder / self.annotation_name).is_file():
                    found[folder.name] = (name, folder, self.root / pictures / folder.name)
        return iter(found[key] for key in sorted(found))

    def _annotated(self) -> Iterator[FolderName]:
        return (name for name, folder, _ in self._folders() if (folder / self.annotation_name).is_file())

    def takes(self, split: str, *, step: int = 1) -> Iterator[Take | Skipped]:
        self.check_split(split)
        folders = [entry for entry in self._folders() if entry[0].subject in SPLITS[split]]
        if not folders:
            raise DownloadError(
                f"{self.root}: expected folders of {', '.join(SPLITS[split])}, such as "
                f"{self.places[0][0]}/s_{int(SPLITS[split][0][1:]):02}_act_02_subact_01_ca_01; found none."
            )
        there = {name.subject for name, _, _ in folders}
        yield from (Skipped(who, "the subject is missing") for who in SPLITS[split] if who not in there)
        for name, folder, pictures in folders:
            yield self._take(name, folder, pictures, step)

    def _take(self, name: FolderName, folder: Path, pictures: Path, step: int) -> Take | Skipped:
        if reason := why_corrupt(name.subject, name.camera, subaction=(name.action, name.subaction)):
            return Skipped(folder.name, reason)
        path = folder / self.annotation_name
        if not path.is_file():
            return Skipped(folder.name, f"its {self.annotation_name} is missing")
        try:
            content = self._read(path, name.camera)
        except DownloadError:
            return Skipped(folder.name, f"its {self.annotation_name} cannot be read")
        frames = frames_taken(len(content.joints_world_mm), step)
        world = torch.from_numpy(to_hemlets18(content.joints_world_mm[frames], where=str(path)))
        joints_cam = content.camera.world_to_cam(world).numpy()
        if not sees(content.camera, joints_cam):
            return Skipped(folder.name, OUT_OF_SIGHT, len(frames))
        if not pictures.is_dir():
            return Skipped(folder.name, "its pictures are missing", len(frames))
        return Take(
            meta=Meta(
                DATASET,
                subject=name.subject,
                action=name.action,
                camera_name=name.camera,
                source=self.form,
            ),
            pictures=ImageFiles(tuple(pictures / _picture(folder.name, frame) for frame in frames.tolist())),
            frames=frames,
            joints_cam_mm=joints_cam,
            camera=content.camera,
            boxes_px=pelvis_boxes(joints_cam, content.camera),
        )

    def check(self) -> Iterator[Finding]:
        present = []
        frames = 0
        for name, folder, pictures in self._folders():
            if why_corrupt(name.subject, name.camera, subaction=(name.action, name.subaction)):
                continue
            path = folder / self.annotation_name
            try:
                count = self._count(path)
                if count > _LONGEST_TAKE:
                    raise DownloadError(f"claims {count} frames, more than any take has")
            except DownloadError as error:
                yield Finding(path.relative_to(self.root).as_posix(), str(error))
                continue
            present.append((name.subject, name.action, name.camera))
            frames += count
            yield from check_pictures(
                self.root, pictures, {_picture(folder.name, frame) for frame in range(count)}
            )
        if not present:
            yield Finding(".", f"expected {self.annotation_name} in folders of takes, found none")
        yield Finding(self.annotation_name, note=f"{len(present)} takes, {frames} frames")
        yield from coverage(present)

    @abstractmethod
    def _read(self, path: Path, camera: str) -> _Content:
        """Poses and camera of one take; DownloadError if they cannot be had."""

    @abstractmethod
    def _count(self, path: Path) -> int:
        """How many frames there are, from the file's head; DownloadError if that is not as it should be."""


def _picture(folder: str, frame: int) -> str:
    return f"{folder}_{frame + 1:06}.jpg"  # counted from 1: `_H36ImageName` of both projects


class Human36mMetaMat(_Folders):
    """Moon et al.'s folders with `h36m_meta.mat`; see the module's docstring."""

    form = "meta_mat"
    title = "Human3.6M, folders with h36m_meta.mat (Moon et al.)"
    layout = """\
s_01_act_02_subact_01_ca_01/h36m_meta.mat
s_01_act_02_subact_01_ca_01/s_01_act_02_subact_01_ca_01_000001.jpg …
also below images/ or data/, or with the annotations below annotations/ and the pictures below images/"""
    source = "Human36M.py of mks0601/Integral-Human-Pose-Regression-for-3D-Human-Pose-Estimation"
    assumptions = (
        "h36m_meta.mat is a MATLAB 5 file of pose3d_world (F, 17, 3), R, T, f, c: met as scipy writes it.",
        "World space is in mm, T the camera's centre: checked on four real frames in files written by scipy.",
        "The lens is the published one of the camera that the folder names: checked on four real frames.",
        "Every frame of a take has its picture; frames whose picture is missing are left out.",
    )
    annotation_name = "h36m_meta.mat"
    places = ((".", "."), ("images", "images"), ("data", "data"), ("annotations", "images"))

    def _read(self, path: Path, camera: str) -> _Content:
        content, where = read_mat(path, *_MAT_NAMES), str(path)
        joints = as_array(
            content["pose3d_world"], (None, 17, 3), name="pose3d_world", where=where, finite=True
        )
        numbers = {
            name: flat_numbers(content[name], length, name=name, where=where)
            for name, length in (("R", 9), ("T", 3), ("f", 2), ("c", 2))
        }
        return _Content(
            joints,
            with_published_lens(
                camera,
                focal_px=numbers["f"],
                centre_px=numbers["c"],
                rotation=numbers["R"].reshape(3, 3),
                position_mm=numbers["T"],
                where=where,
            ),
        )

    def _count(self, path: Path) -> int:
        from scipy.io import whosmat

        if not path.is_file() or not path.stat().st_size:
            raise DownloadError("the file is missing or empty")
        try:
            shapes = {name: shape for name, shape, _ in whosmat(str(path))}
        except Exception as error:  # scipy raises many kinds
            raise DownloadError(
                f"expected a MATLAB file of version 5 to 7, got one that cannot be read ({error})"
            ) from error
        if missing := [name for name in _MAT_NAMES if name not in shapes]:
            raise DownloadError(f"expected {', '.join(missing)}, found only {', '.join(shapes) or 'nothing'}")
        check_shape(shapes["pose3d_world"], (None, 17, 3), name="pose3d_world", where=path.name)
        return int(shapes["pose3d_world"][0])


class Human36mMetaText(_Folders):
    """Sun et al.'s `annot/` with `matlab_meta.txt`; see the module's docstring."""

    form = "meta_txt"
    title = "Human3.6M, annot/ with matlab_meta.txt (Sun et al.)"
    layout = """\
annot/s_01_act_02_subact_01_ca_01/matlab_meta.txt
images/s_01_act_02_subact_01_ca_01/s_01_act_02_subact_01_ca_01_000001.jpg …"""
    source = "hm36.py of JimmySuen/integral-human-pose"
    assumptions = (
        "Lines of matlab_meta.txt after the first begin with one word: met in files written here.",
        "R is stored column by column, T is the camera's centre: taken from code that reads such files.",
        "Every frame of a take has its picture; frames whose picture is missing are left out.",
    )
    annotation_name = "matlab_meta.txt"
    places = (("annot", "images"),)

    def _read(self, path: Path, camera: str) -> _Content:
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise DownloadError(
                f"{path}: expected text, got a file that cannot be read ({error})."
            ) from error
        return _Content(*parse_meta_text(text, where=str(path)))

    def _count(self, path: Path) -> int:
        return count_poses(path)
