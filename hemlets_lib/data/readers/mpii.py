"""MPII Human Pose: photographs of people doing 410 things, 16 joints in 2D.

Three forms: the original MATLAB file, the JSON lists that came with 'Simple Baselines', and a JSON in the
style of COCO. All hold the same numbers: pixels count from 1, as MATLAB does, and here 1 comes off. A joint
counts as labelled where it has coordinates; whether it can be seen is another question (`is_visible`), which
the heatmaps do not ask. Joints of the test pictures were never published: of `test` only boxes are known.

The head's box and the activity have no place in a `Sample` and are not read.

Source: Andriluka et al., '2D human pose estimation', CVPR 2014; the description that comes with the data.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Bool, Float

from hemlets_lib.data.readers import mat_structs as mat
from hemlets_lib.data.readers.contract import Reader, Skipped
from hemlets_lib.data.readers.files import DownloadError, inside, read_json, read_mat
from hemlets_lib.data.readers.photographs import Person, PhotoReader, px_array, px_field
from hemlets_lib.skeleton import MPII16

__all__ = [
    "READERS",
    "MpiiCocoJson",
    "MpiiOriginal",
    "MpiiSimpleBaselines",
    "mpii_box_px",
    "mpii_joints_px",
]

FIRST_PX = 1.0  # MATLAB's pixels count from 1

# Crop about a person. Source: lib/dataset/mpii.py of microsoft/human-pose-estimation.pytorch.
CENTRE_SHIFT = 15.0  # pixels per unit of scale, downwards: `center` lies at the chest
SCALE_MARGIN = 1.25
PX_PER_SCALE = 200.0  # `scale` is a person's height over 200 pixels

# Crop about COCO's box. Source: process_bbox in common/utils/pose_utils.py of
# mks0601/3DMPPE_POSENET_RELEASE, whose network's input is square.
BBOX_MARGIN = 1.25

MAT_NAMES = ("mpii_human_pose_v1_u12_1.mat", "mpii_human_pose_v1_u12_2/mpii_human_pose_v1_u12_1.mat")
_LARGEST_SCALE = 1e4
_NUM_JOINTS = MPII16.num_joints
_UNPLACED = "no position or scale"
_ABSENT = -1.0  # both coordinates of a joint, or of the centre, that is not there


def mpii_joints_px(
    joints: Float[np.ndarray, "16 2"], known: Bool[np.ndarray, "16"]
) -> Float[np.ndarray, "16 2"]:
    """MPII's joints in our pixels, NaN where unlabelled."""
    return np.where((known & (joints != _ABSENT).any(-1))[:, None], joints - FIRST_PX, np.nan)


def mpii_box_px(centre: Float[np.ndarray, "2"], scale: float) -> Float[np.ndarray, "3"]:
    """The square to crop about a person, in our pixels: x, y of its middle, side.

    Args:
        centre: `objpos` or `center`, in MPII's pixels.
        scale: MPII's.

    Source: lib/dataset/mpii.py of 'Simple Baselines for Human Pose Estimation and Tracking'.
    """
    x, y = (centre - FIRST_PX).tolist()
    return np.array([x, y + CENTRE_SHIFT * scale, PX_PER_SCALE * SCALE_MARGIN * scale])


class _Mpii(PhotoReader):
    dataset: ClassVar[str] = "mpii"
    skeleton = MPII16


class MpiiOriginal(_Mpii):
    """The MATLAB file as published, with the pictures in `images`.

    `train` is everybody whose joints are labelled in a training picture; `train_single` only those who
    stand apart from others (`single_person`), as MeTRo (isarandi/metro-pose3d) trains on.
    """

    form = "original"
    title = "MPII Human Pose, as published"
    layout = "mpii_human_pose_v1_u12_1.mat (or in mpii_human_pose_v1_u12_2), images/*.jpg"
    source = "human-pose.mpi-inf.mpg.de, and README.md in mpii_human_pose_v1_u12_2"
    splits = ("train", "train_single", "test")
    unlabelled = ("test",)
    assumptions = (
        "MPII (.mat): which levels of RELEASE may be missing is known from other projects' readers alone",
        "MPII: coordinates count from 1 in the .mat as in the JSON lists made of it",
        "MPII: a point with coordinates is a label whatever `is_visible` says",
    )

    @classmethod
    def recognises(cls, root: Path) -> bool:
        return any((root / name).is_file() for name in MAT_NAMES)

    def annotation_names(self, split: str) -> tuple[str, ...]:
        return (next((name for name in MAT_NAMES if (self.root / name).is_file()), MAT_NAMES[0]),)

    @cached_property
    def _release(self) -> tuple[list[Any], list[float | None], list[Any]]:
        """For each picture: its entry, whether it is for training, who stands apart."""
        path = self.root / self.annotation_names("")[0]
        release = mat.structs(read_mat(path, "RELEASE")["RELEASE"])
        if len(release) != 1:
            raise DownloadError(f"{path}: expected one struct `RELEASE`, got {len(release)}.")
        pictures = mat.structs(mat.field(release[0], "annolist"))
        if not pictures:
            raise DownloadError(f"{path}: expected pictures in `RELEASE.annolist`, got none.")
        training = [mat.number(value) for value in mat.elements(mat.field(release[0], "img_train"))]
        single = mat.elements(mat.field(release[0], "single_person"))
        for name, found in (("img_train", training), ("single_person", single)):
            if len(found) != len(pictures):
                raise DownloadError(
                    f"{path}: expected `RELEASE.{name}` to have an entry for each of the {len(pictures)} "
                    f"pictures, got {len(found)}."
                )
        return pictures, training, single

    def people(self, split: str) -> Iterator[Person | Skipped]:
        path = self.root / self.annotation_names(split)[0]
        wanted = float(split not in self.unlabelled)
        for place, (entry, training, single) in enumerate(zip(*self._release, strict=True)):
            if training != wanted:
                continue
            image = mat.text(mat.field(mat.first_struct(mat.field(entry, "image")), "name"))
            where = f"{path}, annolist({place + 1})" + (f" ({image})" if image else "")
            picture = inside(self.root / "images", image, where=where)
            people = mat.structs(mat.field(entry, "annorect"))
            if not people:
                yield Skipped(picture.stem, "nobody labelled in the picture")
            chosen: Iterable[int] = range(len(people))
            if split == "train_single":
                chosen = _numbers_from_1(single, where)
            for person in chosen:
                name = f"{picture.stem}:{person}"
                if not 0 <= person < len(people):
                    yield Skipped(name, "single_person names nobody")
                    continue
                where_person = f"{where}, annorect({person + 1})"
                yield self._person(people[person], picture, name, place, split, where_person)

    def _person(
        self, person: Any, picture: Path, name: str, number: int, split: str, where: str
    ) -> Person | Skipped:
        joints = np.full((_NUM_JOINTS, 2), np.nan)
        points = mat.structs(mat.field(mat.first_struct(mat.field(person, "annopoints")), "point"))
        if split in self.unlabelled:
            points = []
        elif not points:
            return Skipped(name, "no joints labelled", 1)
        for point in points:
            joint, *place = (mat.number(mat.field(point, key)) for key in ("id", "x", "y"))
            if joint is None or not 0 <= joint < _NUM_JOINTS or joint % 1:
                raise DownloadError(
                    f"{where}: expected `id` of a point to be 0…{_NUM_JOINTS - 1}, got {joint}."
                )
            joints[int(joint)] = px_array(place, (2,), name="x, y", where=where, finite=True)
        position = mat.first_struct(mat.field(person, "objpos"))
        centre = [mat.number(mat.field(position, axis)) for axis in ("x", "y")]
        scale = mat.number(mat.field(person, "scale"))
        if None in centre or scale is None:
            return Skipped(name, _UNPLACED, 1)
        return Person(
            picture, name, number, mpii_joints_px(joints, np.isfinite(joints).all(-1)),
            _checked_box(centre, scale, name="objpos", where=where),
        )  # fmt: skip


class MpiiSimpleBaselines(_Mpii):
    """The lists `annot/train.json`, `valid.json`, `trainval.json` and `test.json`.

    The split into train and valid is Tompson's; nobody in a picture of `valid` is in `train`, so that the
    two do not add up to `trainval`. Source: README of microsoft/human-pose-estimation.pytorch, and issue 34
    of leoxiaobin/deep-high-resolution-net.pytorch (22 246, 2 958, 29 116 and 7 247 people).
    """

    form = "simple_baselines"
    title = "MPII Human Pose, JSON lists of 'Simple Baselines' and HRNet"
    layout = "annot/{train,valid,trainval,test}.json, images/*.jpg"
    source = "README of microsoft/human-pose-estimation.pytorch"
    splits = ("train", "valid", "trainval", "test")
    unlabelled = ("test",)
    assumptions = (
        "MPII (JSON lists): `joints_vis` means labelled, not in sight; seen on five real records",
        "MPII (JSON lists): test.json may hold no joints",
    )

    @classmethod
    def recognises(cls, root: Path) -> bool:
        return any((root / "annot" / f"{split}.json").is_file() for split in cls.splits)

    def annotation_names(self, split: str) -> tuple[str, ...]:
        return (f"annot/{split}.json",)

    def people(self, split: str) -> Iterator[Person | Skipped]:
        path = self.root / self.annotation_names(split)[0]
        for number, record in enumerate(_records(read_json(path), path)):
            image = record.get("image")
            where = f"{path}, record {number}" + (f" ({image})" if isinstance(image, str) else "")
            picture = inside(self.root / "images", image, where=where)
            name = f"{picture.stem}:{number}"
            joints, known = np.zeros((_NUM_JOINTS, 2)), np.zeros(_NUM_JOINTS, dtype=bool)
            if split not in self.unlabelled:
                known = px_field(record, "joints_vis", (_NUM_JOINTS,), where=where) > 0
                joints = px_field(record, "joints", (_NUM_JOINTS, 2), where=where, finite=False)
                if not np.isfinite(joints[known]).all():
                    raise DownloadError(
                        f"{where}: expected finite numbers in `joints` where joints_vis is 1, got others."
                    )
            centre = px_field(record, "center", (2,), where=where)
            scale = float(px_field(record, "scale", (), where=where))
            if (centre == _ABSENT).all():
                yield Skipped(name, _UNPLACED, 1)
                continue
            yield Person(
                picture, name, number, mpii_joints_px(joints, known),
                _checked_box(centre, scale, name="center", where=where),
            )  # fmt: skip


class MpiiCocoJson(_Mpii):
    """`annotations/train.json` in the style of COCO, with the boxes of its maker.

    Source: tool/mpii2coco.py of mks0601/TF-SimpleHumanPose, which copies the .mat file's numbers unshifted
    and leaves out whoever has no box.
    """

    form = "coco_json"
    title = "MPII Human Pose, JSON in the style of COCO"
    layout = "annotations/train.json, images/*.jpg"
    source = "tool/mpii2coco.py of mks0601/TF-SimpleHumanPose"
    splits = ("train",)
    assumptions = (
        "MPII (COCO style): coordinates count from 1, as the script that makes the file does not shift them",
    )

    @classmethod
    def recognises(cls, root: Path) -> bool:
        return (root / "annotations" / "train.json").is_file()

    def annotation_names(self, split: str) -> tuple[str, ...]:
        return (f"annotations/{split}.json",)

    def people(self, split: str) -> Iterator[Person | Skipped]:
        path = self.root / self.annotation_names(split)[0]
        content = read_json(path)
        if not isinstance(content, dict):
            raise DownloadError(f"{path}: expected an object, got {type(content).__name__}.")
        images = {}
        for number, image in enumerate(_records(content.get("images"), path, what="images")):
            if not isinstance(image.get("id"), int) or image["id"] in images:
                raise DownloadError(
                    f"{path}, images[{number}]: expected an `id` of its own, got {image.get('id')!r}."
                )
            images[image["id"]] = image
        for number, record in enumerate(_records(content.get("annotations"), path, what="annotations")):
            where = f"{path}, annotations[{number}]"
            image_id = record.get("image_id")
            if not isinstance(image_id, int) or image_id not in images:
                raise DownloadError(f"{where}: expected `image_id` to be one of `images`, got {image_id!r}.")
            image = images[image_id]
            picture = self._picture(image.get("file_name"), f"{where}, file_name of its image")
            joints = px_field(record, "keypoints", (3 * _NUM_JOINTS,), where=where).reshape(_NUM_JOINTS, 3)
            bbox = px_field(record, "bbox", (4,), where=where)
            width = float(px_field(image, "width", (), where=f"{where}, its image"))
            height = float(px_field(image, "height", (), where=f"{where}, its image"))
            name = f"{picture.stem}:{number}"
            box = _coco_box_px(bbox, width, height)
            if box is None:
                yield Skipped(name, "box outside the picture", 1)
                continue
            yield Person(picture, name, number, mpii_joints_px(joints[:, :2], joints[:, 2] > 0), box)

    def _picture(self, name: Any, where: str) -> Path:
        """The pictures' folder may be a link; what is in it may not lead out of it."""
        if isinstance(name, str) and name.startswith("images/"):
            return inside(self.root / "images", name.removeprefix("images/"), where=where)
        return inside(self.root, name, where=where)


READERS: tuple[type[Reader], ...] = (MpiiOriginal, MpiiSimpleBaselines, MpiiCocoJson)


def _coco_box_px(bbox: Float[np.ndarray, "4"], width: float, height: float) -> Float[np.ndarray, "3"] | None:
    """The square to crop about COCO's box (x, y, width, height), in our pixels; None where it is empty."""
    low = np.maximum(bbox[:2], 0)
    high = np.minimum(np.array([width, height]) - 1, low + np.maximum(bbox[2:] - 1, 0))
    if (bbox[2:] <= 0).any() or (high <= low).any():
        return None
    x, y = ((low + high) / 2 - FIRST_PX).tolist()
    return np.array([x, y, BBOX_MARGIN * float((high - low).max())])


def _checked_box(centre: Any, scale: float, *, name: str, where: str) -> Float[np.ndarray, "3"]:
    if not 0 < scale < _LARGEST_SCALE:
        raise DownloadError(f"{where}: expected `scale` above 0, got {scale:g}.")
    return mpii_box_px(px_array(centre, (2,), name=name, where=where, finite=True), scale)


def _records(entries: Any, path: Path, *, what: str = "") -> list[dict[str, Any]]:
    name = f" `{what}`" if what else ""
    if not isinstance(entries, list) or not entries:
        got = "none" if entries == [] else type(entries).__name__
        raise DownloadError(f"{path}: expected a list of records{name}, got {got}.")
    kinds = Counter(type(entry).__name__ for entry in entries if not isinstance(entry, dict))
    if kinds:
        raise DownloadError(f"{path}: expected objects in the list{name}, got {', '.join(kinds)} among them.")
    return entries


def _numbers_from_1(value: Any, where: str) -> list[int]:
    """MATLAB's places in an array, as ours."""
    found = [mat.number(element) for element in mat.elements(value)]
    if any(each is None or each % 1 for each in found):
        raise DownloadError(f"{where}: expected whole numbers in its `single_person`, got others.")
    return [int(each) - 1 for each in found if each is not None]
