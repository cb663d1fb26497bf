"""What every reader of a downloaded data set has in common.

A data set is found on disk in one of several *forms*: the original download, or a prepared one that other
projects handed round. A `Reader` reads one form. It yields *takes*, each a series of labelled frames of one
person before one camera, all joints in the order of HEMLETS18 and whatever is not labelled NaN or
`UNKNOWN`; and `Skipped` for what it leaves out, with the reason. Reading labels and decoding pictures are
apart: a take holds its labels, and decodes a frame when it is asked for one.

    for item in reader.takes("train", step=10):     Take | Skipped
    take.sample(3, size=256)                        Sample

Data sets cannot ship with the project, so readers are tested on small files in the same formats, made by
the formats' own libraries. What that leaves open, a reader lists in `assumptions`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float, Int

from hemlets_lib.data.readers.files import DownloadError
from hemlets_lib.data.readers.pictures import Pictures
from hemlets_lib.data.sample import (
    BOX_MARGIN,
    Meta,
    Sample,
    UnreadableSample,
    joints_box,
    label_sample,
    make_sample,
    resize_sample,
)
from hemlets_lib.geometry import Camera
from hemlets_lib.skeleton import HEMLETS18

__all__ = ["Finding", "Reader", "Skipped", "Take"]

_LABELS = ("joints_px", "joints_cam_mm", "joints_root_rel_mm", "states")  # a frame's, for `label_sample`


@dataclass(frozen=True)
class Skipped:
    """Something that the data set holds and the reader leaves out.

    Args:
        name: A take or a file, as the data set calls it.
        reason: Why; the same words for the same reason, as reasons are counted.
        frames: How many frames, as far as that is known.
    """

    name: str
    reason: str
    frames: int = 0


@dataclass(frozen=True)
class Finding:
    """What `Reader.check` says about one file or folder.

    Args:
        path: From the root; a pattern such as `S1/Videos/*.mp4` where many are meant.
        problem: What is wrong with it; empty where it is as it should be.
        note: What was seen, for the report.
        absent: Not there, and perhaps on purpose: a part that the download lets one leave out.
    """

    path: str
    problem: str = ""
    note: str = ""
    absent: bool = False


@dataclass(frozen=True, eq=False)
class Take:
    """Labelled frames of one person before one camera; F frames, joints in the order of HEMLETS18.

    Args:
        meta: Of every frame but for `frame` and `sample_id`, which are filled in. `source` is the form.
        pictures: Decodes the frames' pictures, by place 0 … F-1.
        frames: Each frame's number in the recording, from 0.
        joints_px: In the whole picture, NaN where unlabelled; None: projected by `camera`.
        joints_cam_mm: Camera space, NaN where unknown; None where the set has no 3D.
        joints_root_rel_mm: Instead, where nobody knows how far away the person is: the same less the root.
        camera: Of the whole picture, where it is known.
        states: Depth order of the parts where people labelled it, `UNKNOWN` elsewhere; None: from 3D.
        boxes_px: The data set's own square boxes (x, y of the middle, side); None: about the joints.
        affines: Where the pictures are square crops already: the whole picture's pixels to the crop's. The
            other numbers then still speak of the whole picture.
    """

    meta: Meta
    pictures: Pictures
    frames: Int[np.ndarray, "F"]
    joints_px: Float[np.ndarray, "F 18 2"] | None = None
    joints_cam_mm: Float[np.ndarray, "F 18 3"] | None = None
    camera: Camera | None = None
    states: Int[np.ndarray, "F 14"] | None = None
    boxes_px: Float[np.ndarray, "F 3"] | None = None
    affines: Float[np.ndarray, "F 2 3"] | None = None
    joints_root_rel_mm: Float[np.ndarray, "F 18 3"] | None = None

    def __post_init__(self) -> None:
        lengths = {
            name: len(value)
            for name in ("frames", "pictures", *_LABELS, "boxes_px", "affines")
            if (value := getattr(self, name)) is not None
        }
        if len(set(lengths.values())) != 1:
            raise DownloadError(
                f"{self.name}: expected as many frames in everything, got "
                f"{', '.join(f'{count} in `{name}`' for name, count in lengths.items())}."
            )

    @property
    def name(self) -> str:
        """For messages and identifiers."""
        words = (self.meta.dataset, self.meta.subject, self.meta.action, self.meta.camera_name)
        return "/".join(word for word in words if word)

    def __len__(self) -> int:
        return len(self.frames)

    def sample(self, place: int, *, size: int) -> Sample:
        """One frame, cropped and labelled.

        Args:
            place: Which of the take's frames, from 0.
            size: Side of the crop in pixels.

        Raises:
            UnreadableSample: If its picture is missing, damaged or shows nothing of the person.
        """
        number = int(self.frames[place])
        meta = replace(self.meta, frame=number, sample_id=f"{self.name}/{self.pictures.name(place)}")
        labels: dict[str, Any] = {
            name: None if (values := getattr(self, name)) is None else torch.from_numpy(values[place])
            for name in _LABELS
        }
        try:
            picture = self.pictures.read(place)
            if self.affines is not None:
                affine = torch.from_numpy(self.affines[place])
                cropped = label_sample(picture, affine=affine, meta=meta, camera=self.camera, **labels)
                return resize_sample(cropped, size)
            centre, side = self._box(place, labels["joints_px"], labels["joints_cam_mm"])
            return make_sample(
                picture,
                box_centre_px=centre,
                box_side_px=side,
                size=size,
                meta=meta,
                camera=self.camera,
                **labels,
            )
        except (ValueError, OSError, IndexError) as error:
            raise UnreadableSample(f"{meta.sample_id}: {error}") from error

    def _box(
        self, place: int, joints_px: torch.Tensor | None, joints_cam_mm: torch.Tensor | None
    ) -> tuple[torch.Tensor, float]:
        if self.boxes_px is not None:
            x, y, side = self.boxes_px[place].tolist()
            return torch.tensor([x, y], dtype=torch.float64), side
        if joints_px is None:
            assert self.camera is not None and joints_cam_mm is not None  # label_sample says so politely
            joints_px = self.camera.project(joints_cam_mm)
        return joints_box(joints_px, margin=BOX_MARGIN)


class Reader(ABC):
    """One form of one data set.

    Args:
        root: The folder of the download.

    Class attributes: `dataset` and `form`, for the command line; `title`; `layout`, what the folder holds;
    `source`, where that is documented; `splits`, the first being the default; `frames_per_second` of its
    videos, None for photographs; `assumptions`, what only a real download can confirm.
    """

    dataset: ClassVar[str]
    form: ClassVar[str]
    title: ClassVar[str]
    layout: ClassVar[str]
    source: ClassVar[str]
    splits: ClassVar[tuple[str, ...]]
    frames_per_second: ClassVar[float | None] = None
    default_steps: ClassVar[Mapping[str, int]] = {}
    assumptions: ClassVar[tuple[str, ...]]

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)

    @classmethod
    @abstractmethod
    def recognises(cls, root: Path) -> bool:
        """Whether the folder looks like this form; by a few names, without reading files."""

    @abstractmethod
    def check(self) -> Iterator[Finding]:
        """What should be there and whether it is, in seconds: names, sizes, headers; not every frame."""

    @abstractmethod
    def takes(self, split: str, *, step: int = 1) -> Iterator[Take | Skipped]:
        """The labelled frames of a split, in a fixed order.

        Args:
            split: One of `splits`.
            step: Of recorded videos, from one frame taken to the next.

        Raises:
            DownloadError: If a file that cannot be done without is missing or damaged; names it.
        """

    def check_split(self, split: str) -> None:
        """Raises ValueError unless the split is one of this form's."""
        if split not in self.splits:
            raise ValueError(
                f"`split` of {self.dataset} ({self.form}) must be one of {', '.join(self.splits)}, "
                f"got {split!r}."
            )


def empty_joints(frames: int, coordinates: int) -> Float[np.ndarray, "F 18 C"]:
    """Joints of which nothing is known."""
    return np.full((frames, HEMLETS18.num_joints, coordinates), np.nan)
