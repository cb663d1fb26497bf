"""Folders of labelled photographs: pictures beside an `annotations.json`.

Two forms of that file are read.

One is an object: `joint_names`, and `records` that hold `image`, `joints_px` (J, 2), and where they
are known `joints_cam_mm` (J, 3), `camera` (`f_px`, `c_px`, with `k_radial` and `p_tangential` for
Human3.6M's distortion), `bbox_center_px` and `bbox_size_px`. Pixels are taken as they stand: a
pixel's centre has integer coordinates, from 0.

The other is MPII's list: `image`, `joints` (16, 2), `joints_vis`, `center`, `scale`. What its numbers mean
is `readers.mpii`'s business, which reads the whole data set.

Image paths may start from the folder itself or from its parent. Image sizes stated in a file are
not used; the picture knows its own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8

from hemlets_lib.data.images import read_image
from hemlets_lib.data.readers.mpii import mpii_box_px, mpii_joints_px
from hemlets_lib.data.sample import joints_box
from hemlets_lib.skeleton import HEMLETS18, MPII16, Skeleton

__all__ = ["ANNOTATIONS_NAME", "Photo", "PhotoError", "read_photos"]

ANNOTATIONS_NAME = "annotations.json"

# What other data sets call our joints. A file with 'head_top' calls 'head' what is our nose.
_OTHER_NAMES = {"spine": "torso", "upper_neck": "neck"}
_OTHER_NAMES_WITH_HEAD_TOP = {"head_top": "head", "head": "nose"}


class PhotoError(ValueError):
    """Annotations or a picture that cannot be read; the message names the file and the record."""


@dataclass(frozen=True, eq=False)
class Photo:
    """One labelled person in one picture, joints in the order of HEMLETS18.

    Args:
        image_path: The picture.
        name: Its file name without suffix.
        dataset: The name of the folder with the annotations.
        joints_px: (x, y), zero where unknown.
        joint_valid: Which joints are labelled in the picture; they may be hidden, or outside it.
        box_centre_px: Centre of the square to crop.
        box_side_px: Its side.
        joints_cam_mm: Camera space, zero where unknown; None without 3D labels.
        joints_cam_valid: Which of them are known; None without 3D labels.
        focal_px: Focal lengths (x, y); None without a camera, as are the three below.
        centre_px: Principal point.
        k_radial: Radial distortion k1, k2, k3; zero for a pinhole.
        p_tangential: Tangential distortion p1, p2, in Human3.6M's order; zero for a pinhole.
    """

    image_path: Path
    name: str
    dataset: str
    joints_px: Float[np.ndarray, "18 2"]
    joint_valid: Bool[np.ndarray, "18"]
    box_centre_px: Float[np.ndarray, "2"]
    box_side_px: float
    joints_cam_mm: Float[np.ndarray, "18 3"] | None = None
    joints_cam_valid: Bool[np.ndarray, "18"] | None = None
    focal_px: Float[np.ndarray, "2"] | None = None
    centre_px: Float[np.ndarray, "2"] | None = None
    k_radial: Float[np.ndarray, "3"] | None = None
    p_tangential: Float[np.ndarray, "2"] | None = None

    def load_image(self) -> UInt8[np.ndarray, "H W 3"]:
        """The picture as RGB, turned as its EXIF orientation says; transparency becomes white.

        Raises:
            PhotoError: If the file is missing, damaged or no picture.
        """
        try:
            return read_image(self.image_path)
        except (OSError, ValueError) as error:
            raise PhotoError(str(error)) from error


def read_photos(root: str | Path) -> list[Photo]:
    """Reads the photographs of a folder, or of all its subfolders that hold annotations.

    Args:
        root: A folder with an `annotations.json`, or a parent of such folders.

    Returns:
        One entry per record, in the files' order, folders by name.

    Raises:
        PhotoError: If there are no annotations, they are malformed, or a picture is missing.
    """
    root = Path(root)
    files = [root / ANNOTATIONS_NAME]
    if not files[0].is_file():
        files = sorted(root.glob(f"*/{ANNOTATIONS_NAME}"))
    if not files:
        raise PhotoError(f"{root}: expected {ANNOTATIONS_NAME} there or one folder below, found none.")
    return [photo for file in files for photo in _read_file(file)]


def _read_file(file: Path) -> list[Photo]:
    try:
        content = json.loads(file.read_text(encoding="utf-8-sig"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise PhotoError(f"{file}: expected JSON, got: {error}. The file may be cut short.") from error
    if isinstance(content, list):
        return [_read_mpii(record) for record in _records(file, content)]
    if not isinstance(content, dict) or not {"joint_names", "records"} <= set(content):
        got = sorted(content) if isinstance(content, dict) else type(content).__name__
        raise PhotoError(
            f"{file}: expected an object with joint_names and records, or MPII's list, got {got}."
        )
    skeleton = _file_skeleton(file, content["joint_names"])
    return [_read_record(record, skeleton) for record in _records(file, content["records"])]


def _file_skeleton(file: Path, names: Any) -> Skeleton:
    """The file's joint order under our names; only names matter here, so the tree is a star."""
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise PhotoError(f"{file}: expected joint_names to be a list of names, got {names!r}.")
    other = _OTHER_NAMES | (_OTHER_NAMES_WITH_HEAD_TOP if "head_top" in names else {})
    ours = tuple(str(other.get(name, name)) for name in names)
    if unknown := sorted(set(ours) - set(HEMLETS18.joint_names)):
        raise PhotoError(
            f"{file}: expected joint_names out of {', '.join(HEMLETS18.joint_names)}, "
            f"got {', '.join(unknown)}."
        )
    if repeated := sorted({name for name in ours if ours.count(name) > 1}):
        raise PhotoError(f"{file}: expected joint_names used once, got {', '.join(repeated)} again.")
    return Skeleton(name=file.parent.name, joint_names=ours, parent_names=dict.fromkeys(ours[1:], ours[0]))


class _Record:
    """One entry of a file; reads its fields and names it in messages."""

    def __init__(self, file: Path, number: int, fields: Any) -> None:
        self.file, self.number = file, number
        self.where = f"{file}, record {number}"
        if not isinstance(fields, dict):
            raise PhotoError(f"{self.where}: expected an object, got {type(fields).__name__}.")
        self.fields = fields
        if isinstance(fields.get("image"), str):
            self.where += f" ({fields['image']})"

    def need(self, key: str, fields: Mapping[str, Any] | None = None) -> Any:
        fields = self.fields if fields is None else fields
        if key not in fields:
            raise PhotoError(f"{self.where}: expected `{key}`, got only {', '.join(sorted(fields))}.")
        return fields[key]

    def array(
        self, key: str, shape: tuple[int, ...], fields: Mapping[str, Any] | None = None
    ) -> Float[np.ndarray, "..."]:
        value = self.need(key, fields)
        try:
            array = np.array(value, dtype=np.float64)
        except (TypeError, ValueError):
            raise PhotoError(
                f"{self.where}: expected `{key}` to be numbers of shape {shape}, got others."
            ) from None
        if array.shape != shape:
            raise PhotoError(f"{self.where}: expected `{key}` of shape {shape}, got {array.shape}.")
        return array

    def finite(
        self, key: str, shape: tuple[int, ...], fields: Mapping[str, Any] | None = None
    ) -> Float[np.ndarray, "..."]:
        array = self.array(key, shape, fields)
        if not np.isfinite(array).all():
            at = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
            raise PhotoError(
                f"{self.where}: expected finite numbers in `{key}`, got {array[at]} at {list(at)}. "
                "Leave the key out where a label is unknown."
            )
        return array

    def image_path(self) -> Path:
        image = self.need("image")
        if not isinstance(image, str):
            raise PhotoError(f"{self.where}: expected `image` to be a path, got {image!r}.")
        tried = [folder / image for folder in (self.file.parent, self.file.parent.parent)]
        for path in tried:
            if path.is_file():
                return path
        raise PhotoError(f"{self.where}: expected a picture at {tried[0]} or {tried[1]}, found neither.")


def _records(file: Path, entries: Any) -> list[_Record]:
    if not isinstance(entries, list):
        raise PhotoError(f"{file}: expected a list of records, got {type(entries).__name__}.")
    if not entries:
        raise PhotoError(f"{file}: expected at least one record, got none. Add one per labelled person.")
    return [_Record(file, number, fields) for number, fields in enumerate(entries)]


def _to_hemlets(
    joints: Float[np.ndarray, "J C"], skeleton: Skeleton, known: Bool[np.ndarray, "J"] | None = None
) -> tuple[Float[np.ndarray, "18 C"], Bool[np.ndarray, "18"]]:
    valid = None if known is None else torch.from_numpy(known)
    mapped, mapped_valid = skeleton.remap(torch.from_numpy(joints), HEMLETS18, valid=valid)
    return mapped.numpy(), mapped_valid.numpy()


def _read_record(record: _Record, skeleton: Skeleton) -> Photo:
    path = record.image_path()
    joints_px, px_valid = _to_hemlets(record.finite("joints_px", (skeleton.num_joints, 2)), skeleton)
    joints_cam = cam_valid = None
    if "joints_cam_mm" in record.fields:
        labelled = record.finite("joints_cam_mm", (skeleton.num_joints, 3))
        if not (labelled[:, 2] > 0).all():
            at = int(np.argmin(labelled[:, 2]))
            raise PhotoError(
                f"{record.where}: expected `joints_cam_mm` in front of the camera (z above 0 mm), got z "
                f"{labelled[at, 2]:g} for {skeleton.joint_names[at]!r}. Give camera space, +z away from it."
            )
        joints_cam, cam_valid = _to_hemlets(labelled, skeleton)
    camera: dict[str, Float[np.ndarray, "..."]] = {}
    if "camera" in record.fields:
        fields = record.need("camera")
        if not isinstance(fields, dict):
            raise PhotoError(f"{record.where}: expected `camera` to be an object, got {fields!r}.")
        camera = {
            "focal_px": record.finite("f_px", (2,), fields),
            "centre_px": record.finite("c_px", (2,), fields),
        }
        if not (camera["focal_px"] > 0).all():
            raise PhotoError(
                f"{record.where}: expected focal lengths `f_px` above 0 px, got "
                f"{camera['focal_px'].tolist()}. Leave `camera` out where it is unknown."
            )
        for key, size in (("k_radial", 3), ("p_tangential", 2)):
            camera[key] = record.finite(key, (size,), fields) if key in fields else np.zeros(size)
    if "bbox_center_px" in record.fields:
        centre = record.finite("bbox_center_px", (2,))
        side = float(record.finite("bbox_size_px", ()))
    else:
        try:
            centre_tensor, side = joints_box(torch.from_numpy(joints_px[px_valid]))
        except ValueError as error:
            raise PhotoError(f"{record.where}: {error}") from error
        centre = centre_tensor.numpy()
    return Photo(
        path, path.stem, record.file.parent.name, joints_px, px_valid, centre, _positive(record, side),
        joints_cam_mm=joints_cam, joints_cam_valid=cam_valid, **camera,
    )  # fmt: skip


def _read_mpii(record: _Record) -> Photo:
    path = record.image_path()
    known = record.finite("joints_vis", (MPII16.num_joints,)) > 0
    joints = record.array("joints", (MPII16.num_joints, 2))
    joints = np.where(known[:, None], joints, 0.0)
    if not np.isfinite(joints).all():
        at = int(np.argwhere(~np.isfinite(joints))[0, 0])
        raise PhotoError(
            f"{record.where}: expected finite numbers in `joints`, got {joints[at].tolist()} for "
            f"{MPII16.joint_names[at]!r}. Set its joints_vis to 0 if it is unknown."
        )
    joints_px, px_valid = _to_hemlets(mpii_joints_px(joints, known), MPII16, known)
    scale = float(record.finite("scale", ()))
    *centre, side = mpii_box_px(record.finite("center", (2,)), scale).tolist()
    return Photo(
        path, path.stem, record.file.parent.name, joints_px, px_valid, np.array(centre),
        _positive(record, side),
    )  # fmt: skip


def _positive(record: _Record, side_px: float) -> float:
    if not side_px > 0:
        raise PhotoError(f"{record.where}: expected a box with a side above 0, got {side_px:g} px.")
    return side_px
