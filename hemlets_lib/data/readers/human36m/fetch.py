"""Human3.6M as h36m-fetch processes it: a folder for each take, chosen frames as JPEG, labels in annot.h5.

The labels are the original ones of the chosen frames, so the original cameras fit them. The file's own
`intrinsics` are a pinhole fitted to them without the lens's distortion, and are not used.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from hemlets_lib.data.readers.contract import Finding, Reader, Skipped, Take
from hemlets_lib.data.readers.files import DownloadError, as_array, h5_array, open_h5
from hemlets_lib.data.readers.human36m.facts import (
    ACTION_NUMBERS,
    CAMERA_NAMES,
    DATASET,
    FRAMES_PER_SECOND,
    JOINT_NAMES_32,
    JOINTS17_OF_32,
    SPLITS,
    TakeName,
    parse_take,
    pelvis_boxes,
    to_hemlets18,
    why_corrupt,
)
from hemlets_lib.data.readers.human36m.metadata import Metadata, calibration, find_metadata, read_metadata
from hemlets_lib.data.readers.human36m.videos import DISAGREE, REPROJECTION_PX, disagreement_px
from hemlets_lib.data.readers.pictures import ImageFiles
from hemlets_lib.data.sample import Meta
from hemlets_lib.geometry import Camera

__all__ = ["Human36mFetch"]

_ANNOTATIONS = "annot.h5"
_SUBACTIONS = (1, 2)
# Its folders have the actions' names of metadata.xml. Source: generate-labels-npy-multiview.py of
# karfly/learnable-triangulation-pytorch, which reads them.
_FOLDERS = {"Photo": "TakingPhoto", "WalkDog": "WalkingDog", "WalkTogether": "WalkingTogether"}
_MOST_FRAMES = 999_999  # pictures have six digits; the longest take has some 6 000 frames
_FEW = 3  # names of missing pictures that are told


class _Rows(NamedTuple):
    """An annot.h5; N labelled frames of all its cameras."""

    frames: Int[np.ndarray, "N"]  # from 0; the file counts from 1
    cameras: Int[np.ndarray, "N"]
    joints_px: Float[np.ndarray, "N 32 2"]
    joints_cam_mm: Float[np.ndarray, "N 32 3"]


class Human36mFetch(Reader):
    """What process_all.py of h36m-fetch writes; see the module's docstring."""

    dataset = DATASET
    form = "fetch"
    title = "Human3.6M as h36m-fetch processes it (annot.h5 and JPEG)"
    layout = """\
processed/S1/Directions-1/annot.h5                                     (S1, S5, S6, S7, S8, S9, S11)
processed/S1/Directions-1/imageSequence/54138969/img_000001.jpg
metadata.xml                                                           optional"""
    source = "process_all.py and metadata.py of anibali/h36m-fetch"
    splits = tuple(SPLITS)
    frames_per_second = FRAMES_PER_SECOND
    # Its frames are chosen already: for testing every 64th, for training where somebody moved by 40 mm.
    default_steps = dict.fromkeys(SPLITS, 1)
    assumptions = ("annot.h5 holds what process_all.py writes: met in files written by h5py.",)

    @classmethod
    def recognises(cls, root: Path) -> bool:
        return any(
            next(subject.glob(f"*/{_ANNOTATIONS}"), None) is not None
            for subject in cls(root)._subjects().values()
        )

    def _subjects(self) -> dict[str, Path]:
        processed = self.root / "processed"
        base = processed if processed.is_dir() else self.root
        return {name: base / name for names in SPLITS.values() for name in names}

    def _metadata(self) -> Metadata | None:
        path = find_metadata(self.root)
        return None if path is None else read_metadata(path)

    def takes(self, split: str, *, step: int = 1) -> Iterator[Take | Skipped]:
        """As `Reader.takes`; of the frames that are there, those whose number the step divides."""
        self.check_split(split)
        subjects = {name: folder for name, folder in self._subjects().items() if name in SPLITS[split]}
        if not any(folder.is_dir() for folder in subjects.values()):
            raise DownloadError(
                f"{self.root}: expected folders {', '.join(subjects)} for the split '{split}', as "
                f"{next(iter(subjects))}/Directions-1/{_ANNOTATIONS}; found none."
            )
        metadata = self._metadata()
        for who, folder in subjects.items():
            if not folder.is_dir():
                yield Skipped(who, "the subject's folder is missing")
            for path, name in _take_folders(folder):
                try:
                    rows = _read_rows(path / _ANNOTATIONS, who, name)
                except DownloadError:
                    yield Skipped(f"{who}/{path.name}", "its labels cannot be read")
                    continue
                for camera_name in CAMERA_NAMES:
                    camera = calibration(metadata, who, camera_name)
                    yield from self._take(path, who, name, camera_name, camera, rows, step)

    def _take(
        self, path: Path, who: str, name: TakeName, camera_name: str, camera: Camera, rows: _Rows, step: int
    ) -> Iterator[Take | Skipped]:
        here = np.flatnonzero((rows.cameras == int(camera_name)) & (rows.frames % step == 0))
        title = f"{who}/{path.name}.{camera_name}"
        if not (rows.cameras == int(camera_name)).any():
            corrupt = why_corrupt(who, camera_name, subaction=(name.action, name.number or 0))
            yield Skipped(title, corrupt or "h36m-fetch left it out")
            return
        if not len(here):
            return
        joints_cam = to_hemlets18(rows.joints_cam_mm[here], where=title)
        joints_px = to_hemlets18(rows.joints_px[here], where=title)
        if disagreement_px(joints_cam, joints_px, camera) >= REPROJECTION_PX:
            yield Skipped(title, DISAGREE, len(here))
            return
        frames = rows.frames[here]
        folder = path / "imageSequence" / camera_name
        yield Take(
            meta=Meta(DATASET, subject=who, action=name.action, camera_name=camera_name, source=self.form),
            pictures=_Pictures(tuple(folder / _picture_name(frame) for frame in frames.tolist())),
            frames=frames,
            joints_px=joints_px,
            joints_cam_mm=joints_cam,
            camera=camera,
            boxes_px=pelvis_boxes(joints_cam, camera),
        )

    def check(self) -> Iterator[Finding]:
        metadata = None
        try:
            metadata = self._metadata()
        except DownloadError as error:
            yield Finding("metadata.xml", str(error))
        every = [(action, subaction) for action in ACTION_NUMBERS for subaction in _SUBACTIONS]
        for who, folder in self._subjects().items():
            if not folder.is_dir():
                split = next(split for split, names in SPLITS.items() if who in names)
                yield Finding(
                    self._where(folder), f"expected a folder there, found none; the split '{split}' needs it"
                )
                continue
            there = _take_folders(folder)
            seen = {(name.action, name.number) for _, name in there}
            wanted = metadata.takes.get(who, {}) if metadata else every
            missing = [_folder_name(*take) for take in wanted if take not in seen]
            if missing:
                yield Finding(
                    self._where(folder / (missing[0] if len(missing) == 1 else "*") / _ANNOTATIONS),
                    f"expected {len(wanted)} takes of {who}, {len(missing)} of them are missing: "
                    f"{', '.join(missing)}",
                )
            frames, apart = 0, dict[str, float]()
            for path, name in there:
                try:
                    rows = _read_rows(path / _ANNOTATIONS, who, name)
                except DownloadError as error:
                    yield Finding(self._where(path / _ANNOTATIONS), str(error))
                    continue
                frames += len(rows.frames)
                yield from self._check_pictures(path, rows)
                apart[path.name] = _apart_px(rows, metadata, who)
            wrong = [name for name, distance in apart.items() if distance >= REPROJECTION_PX]
            if wrong:
                yield Finding(
                    self._where(folder / "*" / _ANNOTATIONS),
                    f"{DISAGREE} in {', '.join(wrong)}: up to {max(apart.values()):.1f} px apart, expected "
                    f"less than {REPROJECTION_PX:g}. Early versions of h36m-fetch stored the universal "
                    "skeleton, which fits no picture; process the data set with a later one",
                )
            yield Finding(self._where(folder), note=f"{len(there)} takes, {frames} frames")

    def _check_pictures(self, path: Path, rows: _Rows) -> Iterator[Finding]:
        for camera in np.unique(rows.cameras):
            folder = path / "imageSequence" / str(camera)
            wanted = [_picture_name(frame) for frame in rows.frames[rows.cameras == camera].tolist()]
            there = {file.name for file in folder.iterdir()} if folder.is_dir() else set()
            missing = [name for name in wanted if name not in there]
            if missing:
                more = f" and {len(missing) - _FEW} more" if len(missing) > _FEW else ""
                where = self._where(folder / missing[0])
                yield Finding(
                    where,
                    f"expected {len(wanted)} pictures there, found none of {', '.join(missing[:_FEW])}{more}",
                )

    def _where(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()


def _apart_px(rows: _Rows, metadata: Metadata | None, who: str) -> float:
    """How far 2D joints lie from where the camera sees the 3D joints, in each camera's first frame."""
    firsts = {int(camera): np.flatnonzero(rows.cameras == camera)[:1] for camera in np.unique(rows.cameras)}
    return max(
        disagreement_px(
            rows.joints_cam_mm[first][:, list(JOINTS17_OF_32)],
            rows.joints_px[first][:, list(JOINTS17_OF_32)],
            calibration(metadata, who, str(camera)),
        )
        for camera, first in firsts.items()
    )


class _Pictures(ImageFiles):
    """Pictures whose names do not count from 0, and are the same in every take."""

    def name(self, place: int) -> str:
        path = self.paths[place]
        return f"{path.parents[2].name}.{path.parent.name}:{int(path.stem.rpartition('_')[2]) - 1}"


def _folder_name(action: str, subaction: int) -> str:
    return f"{_FOLDERS.get(action, action)}-{subaction}"


def _picture_name(frame: int) -> str:
    return f"img_{frame + 1:06d}.jpg"


def _take_folders(subject: Path) -> list[tuple[Path, TakeName]]:
    """A subject's takes in the order of actions; the number in a folder's name is the subaction."""
    named = [(path, parse_take(path.name)) for path in subject.glob("*-*") if path.is_dir()]
    takes = [(path, name) for path, name in named if name is not None]
    return sorted(takes, key=lambda each: (ACTION_NUMBERS[each[1].action], each[1].number or 0))


def _read_rows(path: Path, who: str, name: TakeName) -> _Rows:
    """The labels of a take.

    Raises:
        DownloadError: If the file is damaged, lacks a key, or is another take's.
    """
    joints = len(JOINT_NAMES_32)
    shapes = {
        "frame": (None,), "camera": (None,), "subject": (None,), "action": (None,), "subaction": (None,),
        "pose/2d": (None, joints, 2), "pose/3d": (None, joints, 3),
    }  # fmt: skip
    with open_h5(path) as file:
        found = {
            key: as_array(h5_array(file, key, path=path, shape=shape), shape, name=key, where=str(path))
            for key, shape in shapes.items()
        }
    if len({len(values) for values in found.values()}) != 1 or not len(found["frame"]):
        counts = ", ".join(f"{len(values)} in `{key}`" for key, values in found.items())
        raise DownloadError(f"{path}: expected as many rows in every array, and at least one; got {counts}.")
    wanted = {"subject": int(who[1:]), "action": ACTION_NUMBERS[name.action], "subaction": name.number}
    for key, number in wanted.items():
        if (found[key] != number).any():
            raise DownloadError(
                f"{path}: expected `{key}` {number}, as its folder says, got {found[key].tolist()[0]:g}."
            )
    frames = found["frame"] - 1
    if not np.isin(found["camera"], [int(each) for each in CAMERA_NAMES]).all():
        raise DownloadError(f"{path}: expected `camera` out of {', '.join(CAMERA_NAMES)}, got others.")
    if not ((frames >= 0) & (frames < _MOST_FRAMES) & (frames == np.floor(frames))).all():
        raise DownloadError(f"{path}: expected `frame` out of 1 … {_MOST_FRAMES}, got others.")
    return _Rows(
        frames.astype(np.int64), found["camera"].astype(np.int64), found["pose/2d"], found["pose/3d"]
    )
