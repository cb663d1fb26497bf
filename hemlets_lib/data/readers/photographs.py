"""What the data sets of photographs have in common: people, each with joints in 2D and a square box.

A reader of such a form says who is in which picture (`PhotoReader.people`); here they become one take, a
frame a person, and what must be left out is told. A picture that shows several people comes several times.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float, Int

from hemlets_lib.data.readers.contract import Finding, Reader, Skipped, Take
from hemlets_lib.data.readers.files import DownloadError, as_array
from hemlets_lib.data.readers.pictures import ImageFiles
from hemlets_lib.data.sample import BOX_MARGIN, Meta, joints_box
from hemlets_lib.skeleton import HEMLETS18, Skeleton
from hemlets_lib.triplets import UNKNOWN

__all__ = [
    "LARGEST_PX",
    "PeoplePictures",
    "Person",
    "PhotoReader",
    "need",
    "px_array",
    "px_field",
    "to_hemlets18",
]

LARGEST_PX = 1e6  # no photograph is so wide; a number beyond it is damage
_LEAST_JOINTS = 2  # that make a person: fewer have no extent
_CONFIRMED = 200  # people whose pictures `check` measures at most, or twice as many
_NAMED = 5  # missing files that a message lists


@dataclass(frozen=True, eq=False)
class Person:
    """Somebody in a picture, in the data set's own joint order; J joints.

    Args:
        picture: The file; it need not exist.
        name: What to call the person; begins with the picture's name.
        number: Of the record in the annotations, from 0.
        joints_px: Pixel centres have integer coordinates, from 0; NaN where unlabelled.
        box_px: The data set's own square box (x, y of the middle, side); about the joints where left out.
        states: Depth order of HEMLETS18's parts, `UNKNOWN` where unlabelled; all of them where left out.
    """

    picture: Path
    name: str
    number: int
    joints_px: Float[np.ndarray, "J 2"]
    box_px: Float[np.ndarray, "3"] | None = None
    states: Int[np.ndarray, "14"] | None = None


class PeoplePictures(ImageFiles):
    """A picture file for each person.

    Args:
        paths: The files; the same one for several people who are in it.
        names: What each person is called.
    """

    def __init__(self, paths: tuple[Path, ...], names: tuple[str, ...]) -> None:
        super().__init__(paths)
        self.names = names

    def name(self, place: int) -> str:
        return self.names[place]


class PhotoReader(Reader):
    """One form of a data set of photographs.

    Class attributes beside those of `Reader`: `skeleton`, the joints' order; `unlabelled`, splits whose
    joints are kept back by the data set, of which only boxes are known.
    """

    skeleton: ClassVar[Skeleton]
    unlabelled: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def annotation_names(self, split: str) -> tuple[str, ...]:
        """The files that a split's labels lie in, from the root."""

    @abstractmethod
    def people(self, split: str) -> Iterator[Person | Skipped]:
        """Everybody in a split, in the order of the annotations.

        Raises:
            DownloadError: If a file is missing or damaged; names it, and the record.
        """

    def takes(self, split: str, *, step: int = 1) -> Iterator[Take | Skipped]:
        self.check_split(split)
        people = []
        for item in self.people(split):
            if isinstance(item, Skipped):
                yield item
            elif reason := self._why_not(item, split):
                yield Skipped(item.name, reason, 1)
            else:
                people.append(item)
        self.confirm(people)
        if people := people[::step]:
            yield self._take(people)

    def confirm(self, people: Sequence[Person]) -> None:
        """Raises DownloadError if labels and pictures do not belong together.

        For data sets that are known for it; this one trusts.
        """

    def _why_not(self, person: Person, split: str) -> str:
        """Why somebody is left out; empty where they are not."""
        if not person.picture.is_file():
            return "picture missing"
        known = person.joints_px[np.isfinite(person.joints_px).all(-1)]
        if len(known) < _LEAST_JOINTS:
            return "" if split in self.unlabelled else "fewer than two joints labelled"
        return "joints all in one point" if np.ptp(known, axis=0).max() == 0 else ""

    def _take(self, people: Sequence[Person]) -> Take:
        joints_px = to_hemlets18(np.stack([person.joints_px for person in people]), self.skeleton)
        nobody_knows = np.full(HEMLETS18.num_parts, UNKNOWN)
        states = [nobody_knows if person.states is None else person.states for person in people]
        boxes_px = None
        if any(person.box_px is not None for person in people):
            boxes_px = np.stack(
                [
                    _box_about(joints) if person.box_px is None else person.box_px
                    for person, joints in zip(people, joints_px, strict=True)
                ]
            )
        return Take(
            meta=Meta(dataset=self.dataset, source=self.form),
            pictures=PeoplePictures(
                tuple(person.picture for person in people), tuple(person.name for person in people)
            ),
            frames=np.array([person.number for person in people]),
            joints_px=joints_px,
            states=np.stack(states),
            boxes_px=boxes_px,
        )

    def check(self) -> Iterator[Finding]:
        pictures: dict[Path, None] = {}
        told: set[str] = set()
        for split in self.splits:
            names, people, left_out = self.annotation_names(split), list[Person](), Counter[str]()
            try:
                for item in self.people(split):
                    if isinstance(item, Skipped):
                        left_out[item.reason] += max(item.frames, 1)
                    else:
                        people.append(item)
                        pictures[item.picture] = None
                self.confirm(people[:: max(len(people) // _CONFIRMED, 1)])
            except DownloadError as error:
                name = next((name for name in names if str(self.root / name) in str(error)), names[0])
                problem = str(error).removeprefix(f"{self.root / name}: ")
                if problem not in told:
                    yield Finding(name, problem=problem)
                told.add(problem)
                continue
            notes = [f"people: {len(people)}", *(f"{reason}: {count}" for reason, count in left_out.items())]
            yield Finding(" ".join(names), note=f"{split}: {'; '.join(notes)}")
        yield from self._check_pictures(tuple(pictures))

    def _check_pictures(self, pictures: Sequence[Path]) -> Iterator[Finding]:
        folders = dict.fromkeys(path.parent for path in pictures)
        for folder in folders:
            own = [path for path in pictures if path.parent == folder]
            lacking = [self.name_of(path) for path in own if not path.is_file() or not path.stat().st_size]
            some = ", ".join(lacking[:_NAMED]) + (", …" if len(lacking) > _NAMED else "")
            yield Finding(
                self.name_of(folder),
                problem=f"{len(lacking)} of {len(own)} pictures are missing or empty: {some}"
                if lacking
                else "",
                note=f"{len(own) - len(lacking)} pictures",
            )

    def name_of(self, path: Path) -> str:
        """A path from the root, for messages."""
        return path.relative_to(self.root).as_posix()


def to_hemlets18(joints_px: Float[np.ndarray, "F J 2"], skeleton: Skeleton) -> Float[np.ndarray, "F 18 2"]:
    """Joints in the order of HEMLETS18, by name; NaN where unlabelled, before and after."""
    mapped, known = skeleton.remap(torch.from_numpy(joints_px), HEMLETS18)
    return np.where(known.numpy()[..., None], mapped.numpy(), np.nan)


def _box_about(joints_px: Float[np.ndarray, "18 2"]) -> Float[np.ndarray, "3"]:
    centre, side = joints_box(torch.from_numpy(joints_px), margin=BOX_MARGIN)
    return np.array([*centre.tolist(), side])


def need(record: Mapping[str, Any], key: str, where: str) -> Any:
    """A field of a record.

    Args:
        record: From JSON.
        key: The field's name.
        where: The file, and the record.

    Raises:
        DownloadError: If there is none; names those that there are.
    """
    if key not in record:
        raise DownloadError(
            f"{where}: expected `{key}`, found only {', '.join(sorted(map(str, record))) or 'nothing'}."
        )
    return record[key]


def px_array(
    value: Any, shape: Sequence[int | None], *, name: str, where: str, finite: bool = False
) -> Float[np.ndarray, "..."]:
    """Numbers of pixels, as `files.as_array` gives them, none of them absurd.

    Args:
        value: What was read.
        shape: None stands for any length.
        name: Of the value, for messages.
        where: The file, and the record.
        finite: Whether NaN is refused.

    Raises:
        DownloadError: As `files.as_array`; or if a number is beyond `LARGEST_PX`.
    """
    array = as_array(value, shape, name=name, where=where, finite=finite)
    beyond = np.abs(array) > LARGEST_PX  # False for NaN
    if beyond.any():
        raise DownloadError(
            f"{where}: expected pixels in `{name}`, got {array[beyond][0]:g}. The file may be damaged."
        )
    return array


def px_field(
    record: Mapping[str, Any],
    key: str,
    shape: Sequence[int | None],
    *,
    where: str,
    finite: bool = True,
) -> Float[np.ndarray, "..."]:
    """A field that a record needs, as pixels; arguments as in `need` and `px_array`."""
    return px_array(need(record, key, where), shape, name=key, where=where, finite=finite)
