"""Depth order of bones in text files, one a picture, as a document for `fbi.json`.

The nearest public relative of FBI's labels: what data/ordinal/process_full_labels.py of
KaiHangYang/ordinal_pose reads.

    line 1   15 joints x y, in the order of `joint_orders.ORDINAL_POSE15`, in the picture's pixels
    line 2   14 bones, in that order of parts: 0 uncertain, 1 forward, 2 backward
    line 3   14 x 14 relations between bones, which are not used here

`12.txt` in a folder of labels belongs to `12.jpg` in a folder of pictures.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, get_args

import numpy as np

from hemlets_lib.data.readers.fbi import Converter, Zero, fbi_document
from hemlets_lib.data.readers.files import DownloadError
from hemlets_lib.data.readers.joint_orders import ORDINAL_POSE15
from hemlets_lib.data.readers.photographs import px_array

__all__ = ["CONVERTERS", "Sides", "ordinal_pose_labels"]

Sides = Literal["as_named", "swapped"]
_STATES = {"0": 0, "1": 1, "2": -1}


def ordinal_pose_labels(
    folder: str | Path,
    *,
    sides: Sides,
    zero: Zero,
    labels: str = "our_labels",
    pictures: str = "images",
) -> dict[str, Any]:
    """A folder of such text files as a document for `fbi.json` (`fbi.convert`).

    Args:
        folder: Holds the two folders.
        sides: "as_named" where joint 1 is the right hip, as `mSkeleton15` names it; "swapped" where it is the
            left one, as crop_lsp.py and crop_mpii.py of that project write it.
        zero: Whether 0 stands for a part parallel to the image or for one that nobody could tell. The files
            call it uncertain; that project sets it too where the ends differ by less than 100 mm.
        labels: The folder of text files.
        pictures: The folder of pictures.

    Returns:
        The document.

    Raises:
        DownloadError: If there are no labels, or a file is damaged; names it and the line.
    """
    folder = Path(folder)
    if sides not in get_args(Sides):
        raise ValueError(f"`sides` must be one of {', '.join(get_args(Sides))}, got {sides!r}.")
    texts = sorted((folder / labels).glob("*.txt"), key=lambda path: (len(path.stem), path.stem))
    if not texts:
        raise DownloadError(f"{folder / labels}: expected label files such as 1.txt, found none.")
    joint_names, parts = list(ORDINAL_POSE15.joint_names), list(ORDINAL_POSE15.part_names)
    if sides == "swapped":
        turn = {"left": "right", "right": "left"}
        names = {name: "_".join(turn.get(word, word) for word in name.split("_")) for name in joint_names}
        joint_names = [names[name] for name in joint_names]
        parts = [(names[parent], names[child]) for parent, child in parts]
    return fbi_document(
        [_record(path, f"{pictures}/{path.stem}.jpg") for path in texts],
        joint_names=joint_names,
        parts=parts,
        zero=zero,
        origin=f"text files after KaiHangYang/ordinal_pose, sides {sides.replace('_', ' ')}",
    )


def _record(path: Path, image: str) -> dict[str, Any]:
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DownloadError(
            f"{path}: expected lines of numbers, got a file that cannot be read ({error})."
        ) from error
    if len(lines) < 2:
        raise DownloadError(f"{path}: expected a line of joints and a line of bones, got {len(lines)} lines.")
    numbers = px_array(
        lines[0].split(),
        (2 * ORDINAL_POSE15.num_joints,),
        name="joints",
        where=f"{path}, line 1",
        finite=True,
    )
    bones = lines[1].split()
    if len(bones) != ORDINAL_POSE15.num_parts or not set(bones) <= set(_STATES):
        raise DownloadError(
            f"{path}, line 2: expected {ORDINAL_POSE15.num_parts} bones of 0, 1 or 2, got {lines[1][:60]!r}."
        )
    joints = np.reshape(numbers, (ORDINAL_POSE15.num_joints, 2)).tolist()
    return {"image": image, "joints_px": joints, "states": [_STATES[bone] for bone in bones]}


def _swapped(folder: Path) -> dict[str, Any]:
    return ordinal_pose_labels(folder, sides="swapped", zero="uncertain")


def _as_named(folder: Path) -> dict[str, Any]:
    return ordinal_pose_labels(folder, sides="as_named", zero="uncertain")


CONVERTERS: Mapping[str, Converter] = MappingProxyType(
    {"ordinal_pose_as_named": _as_named, "ordinal_pose_swapped": _swapped}
)
"""By name, for `fbi.convert`; each leaves parts of state 0 unlabelled."""
