"""What the prepared forms of Human3.6M share that keep its frames as picture files: names, cameras, checks.

Such a file is called after its take and the frame's number, counted from 1: either
`S5_Eating_1.55011271_000321.jpg`, or `s_05_act_04_subact_02_ca_02_000321.jpg` by the numbers of metadata.xml.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int

from hemlets_lib.data.cameras import h36m_camera
from hemlets_lib.data.readers.contract import Finding, Skipped
from hemlets_lib.data.readers.files import DownloadError, as_array, inside
from hemlets_lib.data.readers.human36m.facts import (
    ACTION_NUMBERS,
    ACTIONS,
    CAMERA_NAMES,
    SPLITS,
    TakeName,
    parse_take,
    why_corrupt,
)
from hemlets_lib.geometry import Camera
from hemlets_lib.skeleton import HEMLETS18

__all__ = [
    "LISTED_STEPS",
    "OUT_OF_SIGHT",
    "FolderName",
    "Listed",
    "check_listed",
    "check_pictures",
    "check_rotation",
    "coverage",
    "flat_numbers",
    "listed_takes",
    "parse_folder",
    "picture_paths",
    "refuse_outside",
    "sees",
    "with_published_lens",
]

# Forms that hold every 5th frame already: all of them for testing, as Pavlakos et al. 2017 and the methods
# after it score them, every other one for training, as in `facts.DEFAULT_STEPS`. A step selects frames
# whose number it divides, so that every form gives the same frames for the same step.
LISTED_STEPS: Mapping[str, int] = MappingProxyType({"train": 10, "test": 5})

OUT_OF_SIGHT = "its camera does not see the joints"
ANOTHER_SUBJECT = "not a subject of this split"
STRANGE_NAME = "its name says no take and frame of Human3.6M"
LISTED_TWICE = "listed twice"

_TAKES_OF_SUBJECT = 2 * len(ACTION_NUMBERS) * len(CAMERA_NAMES)
_PICTURE_PX = 1002  # the pictures are 1000 or 1002 pixels wide and high. Source: the videos' headers
_NAMED_MISSING, _NAMED_LACKING = (
    3,
    5,
)  # pictures of a folder, and actions of a subject, are named up to so many
_ROTATION_TOLERANCE = 1e-3
_PELVIS = HEMLETS18.root
_FOLDER = re.compile(r"s_([0-9]{2})_act_([0-9]{2})_subact_([0-9]{2})_ca_([0-9]{2})")
_TAKE = re.compile(r"(S[0-9]{1,2})_(.+)")
_NUMBER = re.compile(r"0*[1-9][0-9]{0,8}")
_SUFFIXES = (".jpg", ".jpeg", ".png")


class FolderName(NamedTuple):
    """The name of a folder of one take's pictures, by the numbers of metadata.xml."""

    subject: str
    action: str
    subaction: int
    camera: str


def parse_folder(name: str) -> FolderName | None:
    """`s_01_act_02_subact_01_ca_01` taken apart; None for any other name.

    Source: `_H36FolderName` of JimmySuen/integral-human-pose (Sun et al., ECCV 2018).
    """
    found = _FOLDER.fullmatch(name)
    if not found:
        return None
    subject, action, subaction, camera = (int(number) for number in found.groups())
    if action not in ACTIONS or not 1 <= camera <= len(CAMERA_NAMES):
        return None
    return FolderName(f"S{subject}", ACTIONS[action], subaction, CAMERA_NAMES[camera - 1])


@dataclass(frozen=True, eq=False)
class Listed:
    """One take in a list of pictures.

    Args:
        subject: 'S1'.
        name: Of the take.
        rows: Places in the list, by frame.
        frames: Their numbers in the recording, from 0, ascending.
    """

    subject: str
    name: TakeName
    rows: Int[np.ndarray, "F"]
    frames: Int[np.ndarray, "F"]

    @property
    def title(self) -> str:
        """For messages."""
        return f"{self.subject}/{self.name.take}.{self.name.camera}"


def listed_takes(
    names: Sequence[str], *, subjects: Collection[str], step: int = 1
) -> Iterator[Listed | Skipped]:
    """Sorts a list of pictures into takes, in the order in which they first occur.

    Args:
        names: `S5_Eating_1.55011271_000321.jpg`, with or without folders.
        subjects: Whose count.
        step: Only frames whose number, from 0, it divides.
    """
    rows: dict[str, list[tuple[int, int]]] = {}
    strange: list[str] = []
    for row, name in enumerate(names):
        stem, suffix = os.path.splitext(name.rpartition("/")[2])
        prefix, _, number = stem.rpartition("_")
        if suffix.lower() not in _SUFFIXES or not _NUMBER.fullmatch(number):
            strange.append(name)
        elif (frame := int(number.lstrip("0")) - 1) % step == 0:
            rows.setdefault(prefix, []).append((frame, row))
    yield from (Skipped(name, STRANGE_NAME, 1) for name in strange)
    for prefix, found in rows.items():
        matched = _TAKE.fullmatch(prefix)
        take = parse_take(matched.group(2)) if matched else None
        if matched is None or take is None or not take.camera:
            yield Skipped(names[found[0][1]], STRANGE_NAME, len(found))
            continue
        subject = matched.group(1)
        ordered = np.array(sorted(found))  # (F, 2): frame, row
        first = np.diff(ordered[:, 0], prepend=-1) > 0
        listed = Listed(subject, take, ordered[first, 1], ordered[first, 0])
        reason = why_corrupt(subject, take.camera, take=take.take)
        if subject not in subjects or reason:
            yield Skipped(listed.title, reason or ANOTHER_SUBJECT, len(found))
            continue
        if not first.all():
            yield Skipped(listed.title, LISTED_TWICE, int((~first).sum()))
        yield listed


def picture_paths(folder: Path, names: Iterable[str], *, where: str) -> tuple[Path, ...]:
    """Pictures that a list names, below a folder.

    Args:
        folder: They may not leave it.
        names: With their folders, with forward slashes.
        where: The list, for the message.

    Returns:
        Their paths, in the list's order; they need not exist.

    Raises:
        DownloadError: If a name leads out of the folder.
    """
    names = list(names)
    parents = refuse_outside(folder, names, where=where)
    return tuple(parents[parent] / last for parent, _, last in (name.rpartition("/") for name in names))


def refuse_outside(folder: Path, names: Iterable[str], *, where: str) -> Mapping[str, Path]:
    """Checks the names of a list; asks the disk once for each folder, as there may be a million names.

    Args:
        folder: They may not leave it.
        names: With their folders, with forward slashes.
        where: The list, for the message.

    Raises:
        DownloadError: If a name leads out of the folder.
    """
    parents: dict[str, Path] = {}
    for name in names:
        parent, slash, last = name.rpartition("/")
        if parent not in parents:
            parents[parent] = inside(folder, parent or slash or ".", where=where)
        if last in ("", "..") or "\0" in last:
            inside(folder, last, where=where)  # says what is wrong with it
    return parents


def with_published_lens(
    name: str,
    *,
    focal_px: Float[np.ndarray, "2"],
    centre_px: Float[np.ndarray, "2"],
    rotation: Float[np.ndarray, "3 3"],
    position_mm: Float[np.ndarray, "3"],
    where: str,
) -> Camera:
    """A camera from a form that leaves the lens's distortion out, with the published one; float64.

    Without it, joints would be projected 1 to 2 pixels beside where the picture shows them. The coefficients
    hold for pictures of any size.

    Args:
        name: One of `CAMERA_NAMES`.
        focal_px: As the file has it, as are the rest.
        centre_px: Principal point.
        rotation: World to camera.
        position_mm: The camera's centre.
        where: The file, for the message.

    Raises:
        DownloadError: If a focal length is not positive or the rotation is none.
    """
    if not (focal_px > 0).all():
        raise DownloadError(f"{where}: expected focal lengths above 0 px, got {focal_px.tolist()}.")
    check_rotation(rotation, where=where)
    lens = h36m_camera(name)
    return Camera(
        torch.from_numpy(focal_px),
        torch.from_numpy(centre_px),
        k_radial=lens.k_radial,
        p_tangential=lens.p_tangential,
        rotation=torch.from_numpy(rotation),
        position_mm=torch.from_numpy(position_mm),
    )


def flat_numbers(value: Any, length: int, *, name: str, where: str) -> Float[np.ndarray, "N"]:
    """A row, a column, or a matrix row by row, as so many numbers.

    Args:
        value: What was read.
        length: How many it must be.
        name: Of the value, for messages.
        where: The file, and the record where there are several.

    Raises:
        DownloadError: If it is not so many finite numbers.
    """
    with contextlib.suppress(ValueError):  # of lists of several lengths; the next line says so
        value = np.asarray(value).reshape(-1)
    return as_array(value, (length,), name=name, where=where, finite=True)


def check_rotation(rotation: Float[np.ndarray, "3 3"], *, where: str) -> None:
    """Raises DownloadError unless the matrix is a rotation."""
    matrix = torch.from_numpy(np.ascontiguousarray(rotation))
    off = (matrix @ matrix.T - torch.eye(3, dtype=matrix.dtype)).abs().max()
    if not off < _ROTATION_TOLERANCE or torch.linalg.det(matrix) < 0:
        raise DownloadError(f"{where}: expected a rotation in `R`, got a matrix that is none.")


def sees(camera: Camera, joints_cam_mm: Float[np.ndarray, "F 18 3"]) -> bool:
    """Whether the pelvis lies in the picture in most frames, as it does not before another take's camera."""
    pelvis_px = camera.project(torch.from_numpy(joints_cam_mm[:, _PELVIS])[:, None])[:, 0]
    within = ((pelvis_px > 0) & (pelvis_px < _PICTURE_PX)).all(-1)  # False where it is NaN
    return bool(within.double().mean() > 0.5) if len(within) else False


def check_pictures(root: Path, folder: Path, names: Collection[str]) -> Iterator[Finding]:
    """Whether a folder holds the pictures that it should.

    Args:
        root: Of the download; paths are told from there.
        folder: Where they should be.
        names: File names without folders.
    """
    try:
        with os.scandir(folder) as entries:
            there = {entry.name: entry.stat().st_size for entry in entries if entry.name in names}
    except OSError:
        there = {}
    missing = sorted(name for name in names if not there.get(name))
    if 0 < len(missing) <= _NAMED_MISSING:
        for name in missing:
            where = (folder / name).relative_to(root).as_posix()
            yield Finding(where, "the picture is empty" if name in there else "missing")
    elif missing:
        yield Finding(
            (folder / "*").relative_to(root).as_posix(),
            f"{len(missing)} of {len(names)} pictures are missing or empty, first {missing[0]}",
        )


def check_listed(root: Path, base: Path, names: Sequence[str]) -> Iterator[Finding]:
    """Whether the pictures that lists name are there, and how much of the data set they are.

    Args:
        root: Of the download; paths are told from there.
        base: The folder that the names start in.
        names: With their folders, with forward slashes; none leads out of `base`.
    """
    folders: dict[str, set[str]] = {}
    prefixes: dict[str, tuple[str, TakeName] | None] = {}
    for name in names:
        parent, _, last = name.rpartition("/")
        prefix = last.rpartition("_")[0]
        if prefix not in prefixes:
            matched = _TAKE.fullmatch(prefix)
            take = parse_take(matched.group(2)) if matched else None
            prefixes[prefix] = (matched.group(1), take) if matched and take else None
        known = prefixes[prefix]
        if known is None or not why_corrupt(known[0], known[1].camera, take=known[1].take):
            folders.setdefault(parent, set()).add(last)
    for parent, files in folders.items():
        yield from check_pictures(root, base / parent, files)
    takes = [known for known in prefixes.values() if known is not None]
    yield from coverage((subject, take.action, take.camera) for subject, take in takes)


def coverage(takes: Iterable[tuple[str, str, str]]) -> Iterator[Finding]:
    """How much of the published data set a download holds, subject by subject.

    Args:
        takes: (subject, action, camera) of each take.
    """
    found = list(takes)
    for subject in (subject for subjects in SPLITS.values() for subject in subjects):
        own = [take for take in found if take[0] == subject]
        actions = Counter(action for _, action, _ in own)
        lacking = [action for action in ACTION_NUMBERS if action not in actions]
        note = f"{len(own)} of {_TAKES_OF_SUBJECT} takes, {len(actions)} of {len(ACTION_NUMBERS)} actions"
        if own and 0 < len(lacking) <= _NAMED_LACKING:
            note += f"; none of {', '.join(lacking)}"
        yield Finding(subject, note=note)
