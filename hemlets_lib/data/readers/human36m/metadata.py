"""Human3.6M's metadata.xml: the cameras of every session, and what each subject's takes are called.

The file comes with the data set's code release, not with its videos. Where it is not at hand, `cameras`
has the same calibration of the seven subjects whose poses were published, rounded to seven decimals.

Source: metadata.xml (`w0`, `mapping`); its 300 numbers are read as cameras.py of
una-dinosauria/3d-pose-baseline reads them, its table as metadata.py of anibali/h36m-fetch does.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn
from xml.parsers import expat

import numpy as np

from hemlets_lib.data.cameras import CAMERA_NAMES, calibrated_camera, h36m_camera
from hemlets_lib.data.readers.files import DownloadError, as_array
from hemlets_lib.data.readers.human36m.facts import ACTIONS, parse_take
from hemlets_lib.geometry import Camera

__all__ = ["METADATA_NAME", "Metadata", "calibration", "find_metadata", "read_metadata"]

METADATA_NAME = "metadata.xml"
# Where it lies: beside the subjects, in the code release unpacked there, or as in h36m-fetch above them.
_PLACES = (".", "Release-v1.2", "code-v1.2", "Release-v1.2/code-v1.2", "Release-v1.2/H36M", "..")
_SUBJECTS = 11  # S1 … S11, of whom seven have published poses
_EXTRINSICS, _INTRINSICS = 6, 9  # numbers of a camera in one session, and of its lens
_LARGEST_XML = 32 * 2**20  # bytes; the published file is far smaller
_REMEDY = "Take it from the data set's code release again, or remove it: hemlets has the calibration itself."


@dataclass(frozen=True, eq=False)
class Metadata:
    """What is used of the file.

    Args:
        path: Where it was read from.
        cameras: By (subject, camera).
        takes: By subject: what the files of each (action, subaction) are called, 'Eating 2'. Empty where the
            file has no such table.
    """

    path: Path
    cameras: Mapping[tuple[str, str], Camera]
    takes: Mapping[str, Mapping[tuple[str, int], str]]


def find_metadata(root: Path) -> Path | None:
    """The metadata.xml of a download, if it has one."""
    for place in _PLACES:
        path = root / place / METADATA_NAME
        # One folder up only from h36m-fetch's own folders: elsewhere it may be anybody's.
        if path.is_file() and (place != ".." or root.name in ("extracted", "processed")):
            return path
    return None


def read_metadata(path: Path) -> Metadata:
    """Cameras and names of takes.

    Raises:
        DownloadError: If it is no XML, declares entities or a document type (which are not expanded), or its
            calibration is not 300 finite numbers.
    """
    root = _parse(path)
    numbers = _numbers(root, path)
    each = _SUBJECTS * _EXTRINSICS
    extrinsics = numbers[: len(CAMERA_NAMES) * each].reshape(len(CAMERA_NAMES), _SUBJECTS, _EXTRINSICS)
    lenses = numbers[len(CAMERA_NAMES) * each :].reshape(len(CAMERA_NAMES), _INTRINSICS)
    cameras = {
        (f"S{subject + 1}", name): calibrated_camera(lenses[at].tolist(), extrinsics[at, subject].tolist())
        for at, name in enumerate(CAMERA_NAMES)
        for subject in range(_SUBJECTS)
    }
    return Metadata(path, cameras, _takes(root))


def calibration(metadata: Metadata | None, subject: str, camera_name: str) -> Camera:
    """A camera as it stood in a subject's session.

    Args:
        metadata: None where there is no metadata.xml; then the published calibration, from `cameras`.
        subject: 'S1'.
        camera_name: One of `CAMERA_NAMES`.
    """
    return h36m_camera(camera_name, subject) if metadata is None else metadata.cameras[subject, camera_name]


def _parse(path: Path) -> ElementTree.Element:
    """The root element. Python's parser expands entities; a file that declares any is refused before."""

    def refuse(*_: Any) -> NoReturn:
        raise DownloadError(
            f"{path}: expected plain XML, got one that declares a document type, which could expand without "
            f"end. It was not read. {_REMEDY}"
        )

    try:
        size = path.stat().st_size
        if not 0 < size <= _LARGEST_XML:
            raise DownloadError(
                f"{path}: expected XML of at most {_LARGEST_XML} bytes, got {size}. {_REMEDY}"
            )
        content = path.read_bytes()
        watch = expat.ParserCreate()
        watch.StartDoctypeDeclHandler = refuse
        watch.Parse(content, True)
        return ElementTree.fromstring(content)
    except (expat.ExpatError, ElementTree.ParseError, OSError, ValueError, LookupError) as error:
        if isinstance(error, DownloadError):
            raise
        raise DownloadError(
            f"{path}: expected XML, got a file that cannot be read ({error}). {_REMEDY}"
        ) from error


def _numbers(root: ElementTree.Element, path: Path) -> np.ndarray:
    found = next(root.iter("w0"), None)
    if found is None:
        raise DownloadError(f"{path}: expected the cameras' calibration in `w0`, found none. {_REMEDY}")
    words = (found.text or "").strip().strip("[]").replace(",", " ").replace(";", " ").split()
    try:
        numbers = [float(word) for word in words]
    except ValueError as error:
        raise DownloadError(f"{path}: expected numbers in `w0`, got others ({error}). {_REMEDY}") from None
    count = len(CAMERA_NAMES) * (_SUBJECTS * _EXTRINSICS + _INTRINSICS)
    return as_array(numbers, (count,), name="w0", where=str(path), finite=True)


def _takes(root: ElementTree.Element) -> dict[str, dict[tuple[str, int], str]]:
    """The table `mapping`: a row of subjects, then (action, subaction) and each subject's name for it."""
    rows = [[(cell.text or "").strip() for cell in row] for row in root.find("mapping") or ()]
    if not rows:
        return {}
    subjects = rows[0][2:]
    takes: dict[str, dict[tuple[str, int], str]] = {subject: {} for subject in subjects}
    for number, subaction, *names in (row for row in rows[1:] if len(row) > 2):
        action = ACTIONS.get(int(number)) if number.isdecimal() else None
        if action is None or not subaction.isdecimal():
            continue  # '_ALL', and the rows below the table
        for subject, name in zip(subjects, names, strict=False):
            known = parse_take(name)
            if known is not None and known.action == action:
                takes[subject][action, int(subaction)] = known.take
    return {subject: names for subject, names in takes.items() if names}
