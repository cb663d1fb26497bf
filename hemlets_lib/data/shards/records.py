"""One sample as one row of a shard, and back.

Numbers are stored as they are in the sample (float32, exactly); pictures as JPEG or PNG. What a sample
does not have (a camera, 3D joints) is null.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from hemlets_lib.data.images import decode_image, encode_jpeg
from hemlets_lib.data.sample import Meta, Sample
from hemlets_lib.geometry import Camera

__all__ = ["image_encoding", "make_features", "sample_from_record", "sample_to_record"]

# A camera's numbers in the order they are stored, with their shapes.
_CAMERA_FIELDS: Mapping[str, tuple[int, ...]] = {
    "focal_px": (2,),
    "centre_px": (2,),
    "k_radial": (3,),
    "p_tangential": (2,),
    "rotation": (3, 3),
    "position_mm": (3,),
}
_CAMERA_NUMBERS = 21
_META_TYPES = {"int": "int64", "str": "string"}


def image_encoding(image_format: str, quality: int) -> dict[str, Any]:
    """How pictures are stored, as it stands in the manifest.

    Returns:
        `format`, and for JPEG `quality`.

    Raises:
        ValueError: If the format is neither `jpeg` nor `png`, or the quality is not 1-100.
    """
    if image_format == "png":
        return {"format": "png"}
    if image_format != "jpeg":
        raise ValueError(f"`image_format` must be 'jpeg' or 'png', got {image_format!r}")
    if not 1 <= quality <= 100:
        raise ValueError(f"`quality` must be within 1 … 100, got {quality}")
    return {"format": "jpeg", "quality": quality, "colour": "4:4:4"}


def make_features(*, joints: int, parts: int) -> Any:
    """The columns of a shard, as Hugging Face `Features`; `Image` shows pictures in its viewers."""
    from datasets import Features, List, Value
    from datasets import Image as ImageFeature

    def numbers(length: int, kind: str = "float32") -> Any:
        return List(Value(kind), length=length)

    columns = {
        "image": ImageFeature(),
        "joints_crop": numbers(3 * joints),
        "joint_valid": numbers(joints, "bool"),
        "depth_valid": numbers(joints, "bool"),
        "part_states": numbers(parts, "int64"),
        "joints_cam_mm": numbers(3 * joints),
        "affine": numbers(6),
        "camera": numbers(_CAMERA_NUMBERS),
    }
    for field in fields(Meta):
        columns[field.name] = Value(_META_TYPES[str(field.type)])
    return Features(columns)


def _encode(sample: Sample, encoding: Mapping[str, Any]) -> bytes:
    if encoding["format"] == "jpeg":
        return encode_jpeg(sample.image, quality=encoding["quality"])
    buffer = io.BytesIO()
    Image.fromarray(sample.image).save(buffer, "PNG")
    return buffer.getvalue()


def sample_to_record(sample: Sample, encoding: Mapping[str, Any]) -> dict[str, Any]:
    """A sample as one row of a shard.

    Args:
        sample: What is stored.
        encoding: As `image_encoding` gives it.

    Returns:
        Column → value; a sample without camera or 3D joints has None there.
    """
    camera = None
    if sample.camera is not None:
        numbers = [getattr(sample.camera, name).flatten() for name in _CAMERA_FIELDS]
        camera = torch.cat(numbers).float().numpy()
    record: dict[str, Any] = {
        "image": {"bytes": _encode(sample, encoding), "path": None},
        "camera": camera,
        "joints_cam_mm": None if sample.joints_cam_mm is None else sample.joints_cam_mm.flatten().numpy(),
    }
    for name in ("joints_crop", "joint_valid", "depth_valid", "part_states", "affine"):
        record[name] = getattr(sample, name).flatten().numpy()
    return record | {field.name: getattr(sample.meta, field.name) for field in fields(Meta)}


def sample_from_record(record: Mapping[str, Any], *, name: str) -> Sample:
    """The inverse of `sample_to_record`.

    Args:
        record: A row, its picture not yet decoded.
        name: What to call it in messages.

    Raises:
        ValueError: If its picture cannot be decoded.
    """

    def floats(column: str, *shape: int) -> Tensor:
        return torch.tensor(record[column], dtype=torch.float32).reshape(shape)

    camera = None
    if record["camera"] is not None:
        numbers, at = floats("camera", -1), 0
        values = {}
        for part, shape in _CAMERA_FIELDS.items():
            count = torch.Size(shape).numel()
            values[part] = numbers[at : at + count].reshape(shape)
            at += count
        camera = Camera(**values)
    return Sample(
        image=decode_image(record["image"]["bytes"], name=name),
        joints_crop=floats("joints_crop", -1, 3),
        joint_valid=torch.tensor(record["joint_valid"], dtype=torch.bool),
        depth_valid=torch.tensor(record["depth_valid"], dtype=torch.bool),
        part_states=torch.tensor(record["part_states"], dtype=torch.int64),
        affine=floats("affine", 2, 3),
        meta=Meta(**{field.name: record[field.name] for field in fields(Meta)}),
        camera=camera,
        joints_cam_mm=None if record["joints_cam_mm"] is None else floats("joints_cam_mm", -1, 3),
    )
