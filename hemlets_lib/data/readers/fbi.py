"""Forward-or-backward labels of parts (FBI, Shi et al. 2018), in a form of this project's own.

The paper labelled the bones of some 12 000 MPII photographs; no file of it and no format is public. Whoever
has such labels brings them into one JSON file, `fbi.json`, beside or above their pictures:

    {
      "format": "hemlets-fbi", "format_version": 1,
      "origin": "who labelled what, in a few words",
      "joint_names": ["pelvis", "right_hip", ...],        names of HEMLETS18, in any order, J of them
      "parts": [["pelvis", "right_hip"], ...],            parts of HEMLETS18, (parent, child), K of them
      "zero": "parallel",                                 what state 0 means, see below
      "records": [
        {"image": "images/1.jpg",                         from the folder of fbi.json
         "joints_px": [[104.0, 52.5], null, ...],         J; pixel centres are integers, from 0; null unknown
         "states": [1, -1, 0, null, ...],                 K
         "box_px": [110.0, 80.0, 190.0]}                  optional: x, y of the middle, side of the crop
      ]
    }

A state is 1 where the part points *forward*, its child nearer to the camera than its parent, -1 where it
points *backward*, null where nobody said. 0 may mean two things, which are not to be confused: that both ends
are about as far away, which is a label, the middle map of a triplet; or that the annotator could not tell,
which is none. `zero` says which it is in the file: "parallel" makes state 0 of it, "uncertain" `UNKNOWN`.

`convert` brings labels of another kind into this form by a function from a folder to such a document, one of
`CONVERTERS` or your own; `fbi_document` makes and checks a document of records, `write_fbi` writes it.

Source of the task: Shi et al., 'FBI-Pose', arXiv:1806.09241, 2018.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

import numpy as np

from hemlets_lib.data.readers.contract import Reader, Skipped
from hemlets_lib.data.readers.files import DownloadError, inside, read_json
from hemlets_lib.data.readers.photographs import Person, PhotoReader, need, px_array
from hemlets_lib.results import write_json
from hemlets_lib.skeleton import HEMLETS18
from hemlets_lib.triplets import UNKNOWN

__all__ = ["FBI_NAME", "READERS", "Converter", "Fbi", "Zero", "convert", "fbi_document", "write_fbi"]

FBI_NAME = "fbi.json"
FORMAT = "hemlets-fbi"
FORMAT_VERSION = 1
Zero = Literal["parallel", "uncertain"]
Converter = Callable[[Path], Mapping[str, Any]]
"""From a folder of labels to a document (`fbi_document`) whose image paths start there."""

_KEYS = ("format", "format_version", "origin", "joint_names", "parts", "zero", "records")
_RECORD_KEYS = ("image", "joints_px", "states", "box_px")
_STATES = (1, 0, -1, None)


def fbi_document(
    records: Sequence[Mapping[str, Any]],
    *,
    joint_names: Sequence[str],
    parts: Sequence[tuple[str, str]],
    zero: Zero,
    origin: str,
) -> dict[str, Any]:
    """A checked document for `fbi.json`; see the module's docstring.

    Args:
        records: One for each labelled person: `image`, `joints_px`, `states`, and `box_px` if there is one.
        joint_names: The order of `joints_px`.
        parts: The order of `states`.
        zero: What state 0 means.
        origin: Who labelled what.

    Returns:
        The document, for JSON.

    Raises:
        DownloadError: If something is not as the form demands; names the record.
    """
    document = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "origin": origin,
        "joint_names": list(joint_names),
        "parts": [list(part) for part in parts],
        "zero": zero,
        "records": [dict(record) for record in records],
    }
    for _ in _people(document, Path(FBI_NAME), where="document"):  # a folder that is not there
        pass
    return document


def write_fbi(folder: str | Path, document: Mapping[str, Any]) -> Path:
    """Writes `fbi.json` into a folder, whole or not at all; replaces an earlier one.

    Raises:
        DownloadError: If the document is not as the form demands, or a path in it leads out of the folder.
    """
    path = Path(folder) / FBI_NAME
    for _ in _people(document, path.parent, where=FBI_NAME):
        pass
    write_json(path, document)
    return path


def convert(folder: str | Path, converter: Converter) -> Path:
    """Brings a folder of labels into the form: runs a converter and writes `fbi.json` there.

    Args:
        folder: With the labels, and the pictures in it.
        converter: E.g. `fbi_label_texts.ordinal_pose_labels` with its options set (`functools.partial`).

    Raises:
        DownloadError: If the labels cannot be read, or what comes out is not as the form demands.
    """
    return write_fbi(folder, converter(Path(folder)))


class Fbi(PhotoReader):
    """A folder with `fbi.json`."""

    dataset = "fbi"
    form = "json"
    title = "Forward-or-backward labels, in this project's form"
    layout = "fbi.json (hemlets_lib/data/readers/fbi.py says what is in it), pictures where it says"
    source = "this project; no form of the labels of Shi et al. 2018 is public"
    splits = ("train",)
    assumptions = (
        "FBI: the labels of Shi et al. are not public; only files in this project's own form were read",
    )
    skeleton: ClassVar = HEMLETS18

    @classmethod
    def recognises(cls, root: Path) -> bool:
        return (root / FBI_NAME).is_file()

    def annotation_names(self, split: str) -> tuple[str, ...]:
        return (FBI_NAME,)

    def people(self, split: str) -> Iterator[Person | Skipped]:
        path = self.root / FBI_NAME
        yield from _people(read_json(path), self.root, where=str(path))


READERS: tuple[type[Reader], ...] = (Fbi,)


def _people(document: Any, root: Path, *, where: str) -> Iterator[Person]:
    """The people of a document, everything checked."""
    if not isinstance(document, Mapping) or document.get("format") != FORMAT:
        got = document.get("format") if isinstance(document, Mapping) else type(document).__name__
        raise DownloadError(f"{where}: expected an object with format {FORMAT!r}, got {got!r}.")
    if document.get("format_version") != FORMAT_VERSION:
        raise DownloadError(
            f"{where}: expected format_version {FORMAT_VERSION}, got {document.get('format_version')!r}. "
            "Convert the labels again with this version of hemlets."
        )
    _check_keys(document, _KEYS, where, needed=_KEYS)
    if not isinstance(document["origin"], str) or not document["origin"].strip():
        raise DownloadError(
            f"{where}: expected `origin` to say who labelled what, got {document['origin']!r}."
        )
    names = _joint_names(document["joint_names"], where)
    parts = _parts(document["parts"], where)
    if document["zero"] not in get_args(Zero):
        raise DownloadError(
            f"{where}: expected `zero` to be one of {', '.join(get_args(Zero))}, got {document['zero']!r}."
        )
    states_of = dict(
        zip(_STATES, (1, 0 if document["zero"] == "parallel" else UNKNOWN, -1, UNKNOWN), strict=True)
    )
    records = document["records"]
    if not isinstance(records, list) or not records:
        got = "none" if records == [] else repr(records)
        raise DownloadError(f"{where}: expected a list of `records`, got {got}.")
    for number, record in enumerate(records):
        here = f"{where}, record {number}"
        if not isinstance(record, Mapping):
            raise DownloadError(f"{here}: expected an object, got {type(record).__name__}.")
        if isinstance(record.get("image"), str):
            here += f" ({record['image']})"
        _check_keys(record, _RECORD_KEYS, here, needed=_RECORD_KEYS[:3])
        picture = inside(root, record["image"], where=here)
        labelled = _list(record, "states", len(parts), here)
        if strange := [
            state for state in labelled if type(state) not in (int, type(None)) or state not in _STATES
        ]:
            raise DownloadError(f"{here}: expected 1, 0, -1 or null in `states`, got {strange[0]!r}.")
        states = np.full(HEMLETS18.num_parts, UNKNOWN)
        states[parts] = [states_of[state] for state in labelled]
        joints_px = np.full((HEMLETS18.num_joints, 2), np.nan)
        for joint, point in zip(names, _list(record, "joints_px", len(names), here), strict=True):
            if point is not None:
                name = f"joints_px of {HEMLETS18.joint_names[joint]}"
                joints_px[joint] = px_array(point, (2,), name=name, where=here, finite=True)
        box_px = None
        if record.get("box_px") is not None:
            box_px = px_array(record["box_px"], (3,), name="box_px", where=here, finite=True)
            if box_px[2] <= 0:
                raise DownloadError(f"{here}: expected `box_px` to have a side above 0, got {box_px[2]:g}.")
        yield Person(picture, f"{picture.stem}:{number}", number, joints_px, box_px, states)


def _check_keys(
    content: Mapping[str, Any], keys: Sequence[str], where: str, *, needed: Sequence[str]
) -> None:
    if unknown := [key for key in content if key not in keys]:
        raise DownloadError(f"{where}: expected no keys but {', '.join(keys)}, got {unknown[0]!r}.")
    for key in needed:
        need(content, key, where)


def _list(record: Mapping[str, Any], key: str, length: int, where: str) -> list[Any]:
    value = record[key]
    if not isinstance(value, list) or len(value) != length:
        got = f"{len(value)}" if isinstance(value, list) else type(value).__name__
        raise DownloadError(f"{where}: expected `{key}` to be a list of {length}, got {got}.")
    return value


def _joint_names(names: Any, where: str) -> list[int]:
    """The joints' places in HEMLETS18."""
    if not isinstance(names, list) or not names or len(set(map(str, names))) < len(names):
        raise DownloadError(
            f"{where}: expected `joint_names` to be a list of different names, got {names!r}."
        )
    if unknown := [name for name in names if name not in HEMLETS18.joint_names]:
        raise DownloadError(
            f"{where}: expected joint_names out of {', '.join(HEMLETS18.joint_names)}, got {unknown[0]!r}."
        )
    return [HEMLETS18.index(name) for name in names]


def _parts(parts: Any, where: str) -> list[int]:
    """The parts' places in HEMLETS18."""
    pairs = (
        [tuple(part) if isinstance(part, list) else part for part in parts] if isinstance(parts, list) else []
    )
    if not pairs or any(pairs.count(pair) > 1 for pair in pairs):
        raise DownloadError(
            f"{where}: expected `parts` to be a list of different pairs of names, got {parts!r}."
        )
    for pair in pairs:
        if pair not in HEMLETS18.part_names:
            turned = isinstance(pair, tuple) and pair[::-1] in HEMLETS18.part_names
            remedy = "Turn the pair round, and its states with it." if turned else "Leave others out."
            known = ", ".join(f"{parent}-{child}" for parent, child in HEMLETS18.part_names)
            raise DownloadError(f"{where}: expected (parent, child) out of {known}, got {pair!r}. {remedy}")
    return [HEMLETS18.part_names.index(pair) for pair in pairs]
