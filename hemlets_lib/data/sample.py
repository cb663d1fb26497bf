"""One person in one square crop: the contract between every source of data and every user of it.

A `Sample` says what is known and, with a mask, what is not. What a data set does not label is masked,
never invented: masked coordinates are 0, masked camera-space joints NaN, masked states `UNKNOWN`.

    image          (H, W, 3) uint8 RGB, H = W = size
    joints_crop    (J, 3)    x, y in [-0.5, 0.5] over the crop, z = (Z - Z_root) / 2000 mm  (`geometry`)
    joint_valid    (J,)      x, y are known; the joint may lie outside the crop, or be hidden
    depth_valid    (J,)      z is known: the λ of Eq. (6)
    part_states    (K,)      depth order of each part, `UNKNOWN` where nobody labelled it
    joints_cam_mm  (J, 3)    camera space, NaN where unknown; None where the set has no 3D at all
    affine         (2, 3)    the picture's pixels to the crop's

A `Batch` is the same with a leading axis, images as (B, 3, H, W).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from hemlets_lib.data.images import crop_image
from hemlets_lib.geometry import DEPTH_RANGE_MM, Camera, apply_affine, crop_affine, px_to_crop
from hemlets_lib.skeleton import HEMLETS18, Skeleton
from hemlets_lib.triplets import UNKNOWN, part_states

__all__ = [
    "BOX_MARGIN",
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "Batch",
    "Meta",
    "Sample",
    "UnreadableSample",
    "camera_to",
    "collate",
    "joints_box",
    "label_sample",
    "make_sample",
    "normalise",
    "per_channel",
    "resize_sample",
]

# Colour statistics of ImageNet, which the backbones' weights expect (torchvision's models).
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
_LARGEST_GREY_LEVEL = 255.0

BOX_MARGIN = 1.25  # side of a person's box over the longer side of the joints' extent; paper silent


class UnreadableSample(ValueError):
    """A sample that its source lists and cannot deliver: a damaged picture, a video that ends too early."""


@dataclass(frozen=True)
class Meta:
    """Where a sample comes from. Protocols select and average by these."""

    dataset: str
    subject: str = ""
    action: str = ""
    frame: int = 0
    camera_name: str = ""
    sample_id: str = ""
    source: str = ""


@dataclass(frozen=True, eq=False)
class Sample:
    """One person in one square crop; see the module's docstring for shapes and masks."""

    image: np.ndarray  # (H, W, 3) uint8
    joints_crop: Float[Tensor, "J 3"]
    joint_valid: Bool[Tensor, "J"]
    depth_valid: Bool[Tensor, "J"]
    part_states: Int[Tensor, "K"]
    affine: Float[Tensor, "2 3"]
    meta: Meta
    camera: Camera | None = None
    joints_cam_mm: Float[Tensor, "J 3"] | None = None

    def __post_init__(self) -> None:
        if self.image.ndim != 3 or self.image.shape[2] != 3 or self.image.dtype != np.uint8:
            raise ValueError(
                f"sample {self.meta.sample_id!r}: `image` must be (H, W, 3) uint8 RGB, got shape "
                f"{self.image.shape} of {self.image.dtype}. Read pictures with images.read_image()."
            )
        joints = self.joints_crop.shape[0]
        for name in ("joint_valid", "depth_valid", "joints_cam_mm"):
            value = getattr(self, name)
            if value is not None and value.shape[0] != joints:
                raise ValueError(
                    f"sample {self.meta.sample_id!r}: `{name}` must have {joints} joints like "
                    f"`joints_crop`, got {value.shape[0]}"
                )

    @property
    def in_crop(self) -> Bool[Tensor, "J"]:
        """Joints that are known and lie inside the crop: those its heatmaps can show."""
        return self.joint_valid & (self.joints_crop[:, :2].abs() < 0.5).all(-1)

    @property
    def size(self) -> int:
        """Side of the crop in pixels."""
        return self.image.shape[0]


@dataclass(frozen=True, eq=False)
class Batch:
    """Stacked samples. Where a sample has no camera, `camera` holds NaN and `has_camera` is False."""

    images: UInt8[Tensor, "B 3 H W"]
    joints_crop: Float[Tensor, "B J 3"]
    joint_valid: Bool[Tensor, "B J"]
    depth_valid: Bool[Tensor, "B J"]
    part_states: Int[Tensor, "B K"]
    joints_cam_mm: Float[Tensor, "B J 3"]
    affine: Float[Tensor, "B 2 3"]
    camera: Camera
    has_camera: Bool[Tensor, "B"]
    meta: tuple[Meta, ...]

    def __len__(self) -> int:
        return len(self.meta)

    @property
    def in_crop(self) -> Bool[Tensor, "B J"]:
        """Joints that are known and lie inside their crop: those its heatmaps can show."""
        return self.joint_valid & (self.joints_crop[..., :2].abs() < 0.5).all(-1)

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> Batch:
        """The same batch on another device."""
        return self._map(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> Batch:
        """Called by `DataLoader(pin_memory=True)`."""
        return self._map(lambda tensor: tensor.pin_memory())

    def _map(self, function: Callable[[Tensor], Tensor]) -> Batch:
        moved: dict = {"camera": _map_camera(self.camera, function)}
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, Tensor):
                moved[item.name] = function(value)
        return replace(self, **moved)


def _map_camera(camera: Camera, function: Callable[[Tensor], Tensor]) -> Camera:
    return replace(camera, **{item.name: function(getattr(camera, item.name)) for item in fields(camera)})


def camera_to(camera: Camera, target: torch.device | torch.dtype | str) -> Camera:
    """A camera with all its numbers in another precision, or on another device."""
    return _map_camera(camera, lambda tensor: tensor.to(target))


def _unknown_camera() -> Camera:
    def nans(*shape: int) -> Tensor:
        return torch.full(shape, torch.nan)

    return Camera(
        focal_px=nans(2), centre_px=nans(2), k_radial=nans(3), p_tangential=nans(2), rotation=nans(3, 3),
        position_mm=nans(3),
    )  # fmt: skip


def joints_box(
    joints_px: Float[Tensor, "J 2"], *, margin: float = BOX_MARGIN, least_room_px: float = 0.0
) -> tuple[Float[Tensor, "2"], float]:
    """The square box about the joints: its middle, and `margin` times their longer extent as its side.

    Args:
        joints_px: In the picture; rows that are not finite do not count.
        margin: Room for hands, feet and hair, which lie beyond the joints.
        least_room_px: Room on each side at least; a crouching person's hands are as long as ever.

    Returns:
        Its centre, and its side in pixels.

    Raises:
        ValueError: If fewer than two joints are known, or all lie in one point.
    """
    known = joints_px[joints_px.isfinite().all(-1)]
    extent = float((known.amax(0) - known.amin(0)).amax()) if len(known) > 1 else 0.0
    if extent <= 0:
        raise ValueError(
            f"`joints_px` must hold at least two different known joints for a box, got {len(known)} known."
            " Pass the data set's own box instead."
        )
    return (known.amax(0) + known.amin(0)) / 2, max(margin * extent, extent + 2 * least_room_px)


def label_sample(
    image: np.ndarray,
    *,
    affine: Float[Tensor, "2 3"],
    meta: Meta,
    skeleton: Skeleton = HEMLETS18,
    joints_px: Float[Tensor, "J 2"] | None = None,
    joints_cam_mm: Float[Tensor, "J 3"] | None = None,
    joints_root_rel_mm: Float[Tensor, "J 3"] | None = None,
    camera: Camera | None = None,
    states: Int[Tensor, "K"] | None = None,
) -> Sample:
    """A sample from a crop that exists already; everything else is computed from what is known.

    Args:
        image: The square crop, (H, W, 3) uint8 RGB.
        affine: The picture's pixels to the crop's.
        meta: Where it comes from.
        skeleton: The joints' order, and the parts.
        joints_px: Joints in the picture, NaN where unlabelled; projected by `camera` where left out.
        joints_cam_mm: Joints in camera space, NaN where unknown.
        joints_root_rel_mm: Instead, where a data set does not say how far away the person is: the same less
            the root joint. It gives depths and states, and no `joints_cam_mm`.
        camera: The picture's camera, where it is known.
        states: Depth order of the parts where people labelled it; from the 3D joints where left out.

    Raises:
        ValueError: If joints are of another skeleton, or neither given nor to be had by projection.
    """
    if joints_cam_mm is not None and joints_root_rel_mm is not None:
        raise ValueError(
            f"sample {meta.sample_id!r}: expected `joints_cam_mm` or `joints_root_rel_mm`, got both. Leave "
            "the second out."
        )
    if joints_px is None:
        if joints_cam_mm is None or camera is None:
            missing = "`joints_cam_mm`" if joints_cam_mm is None else "`camera`"
            raise ValueError(
                f"sample {meta.sample_id!r}: expected `joints_px`, or `joints_cam_mm` with `camera`; got "
                f"neither joints_px nor {missing}. Pass the labelled pixels."
            )
        joints_px = camera_to(camera, torch.float64).project(joints_cam_mm.double())
    skeleton.check_joints(joints_px, "joints_px")
    joint_valid = joints_px.isfinite().all(-1)
    planar = px_to_crop(apply_affine(affine.double(), joints_px.double()), image.shape[0])
    planar = torch.where(joint_valid[:, None], planar, 0)
    pose_mm = joints_root_rel_mm if joints_cam_mm is None else joints_cam_mm
    if pose_mm is None:
        depth_valid = torch.zeros(skeleton.num_joints, dtype=torch.bool)
        depth = planar.new_zeros(skeleton.num_joints)
    else:
        skeleton.check_joints(pose_mm, "joints_root_rel_mm" if joints_cam_mm is None else "joints_cam_mm")
        depth_mm = pose_mm[:, 2].double()
        depth = (depth_mm - depth_mm[skeleton.root]) / DEPTH_RANGE_MM  # all NaN where the root is unknown
        depth_valid = depth.isfinite()
        depth = torch.where(depth_valid, depth, 0)
    if states is None:
        if pose_mm is None:
            states = torch.full((skeleton.num_parts,), UNKNOWN)
        else:
            states = part_states(pose_mm.double(), skeleton, variant="hemlets")
    return Sample(
        image=image,
        joints_crop=torch.cat([planar, depth[:, None]], -1).float(),
        joint_valid=joint_valid,
        depth_valid=depth_valid,
        part_states=states.long(),
        affine=affine.float(),
        meta=meta,
        camera=None if camera is None else camera_to(camera, torch.float32),
        joints_cam_mm=None if joints_cam_mm is None else joints_cam_mm.float(),
    )


def make_sample(
    picture: np.ndarray,
    *,
    box_centre_px: Float[Tensor, "2"],
    box_side_px: float,
    size: int,
    meta: Meta,
    skeleton: Skeleton = HEMLETS18,
    joints_px: Float[Tensor, "J 2"] | None = None,
    joints_cam_mm: Float[Tensor, "J 3"] | None = None,
    joints_root_rel_mm: Float[Tensor, "J 3"] | None = None,
    camera: Camera | None = None,
    states: Int[Tensor, "K"] | None = None,
) -> Sample:
    """A sample cut out of a whole picture. The other arguments are those of `label_sample`.

    Args:
        picture: The whole picture, (H, W, 3) uint8 RGB.
        box_centre_px: Middle of the person's square box (`joints_box`, or the data set's own).
        box_side_px: Its side.
        size: Side of the crop in pixels.

    Raises:
        ValueError: As `label_sample`; or if the box is empty or outside the picture.
    """
    side = torch.as_tensor(box_side_px, dtype=torch.float64)
    affine = crop_affine(torch.as_tensor(box_centre_px, dtype=torch.float64), side, size)
    return label_sample(
        crop_image(picture, affine.numpy(), size),
        affine=affine, meta=meta, skeleton=skeleton, joints_px=joints_px, joints_cam_mm=joints_cam_mm,
        joints_root_rel_mm=joints_root_rel_mm, camera=camera, states=states,
    )  # fmt: skip


def collate(samples: Sequence[Sample]) -> Batch:
    """Samples of one size and one skeleton, stacked; for `DataLoader(collate_fn=collate)`.

    Raises:
        ValueError: If there are none, or their sizes, joint counts or part counts differ.
    """
    if not samples:
        raise ValueError("`samples` must hold at least one sample to make a batch, got none")
    shapes = {sample: (sample.size, len(sample.joints_crop), len(sample.part_states)) for sample in samples}
    first = samples[0]
    for sample, shape in shapes.items():
        if shape != shapes[first]:
            raise ValueError(
                "`samples` must share one (size, joints, parts), got "
                f"{shapes[first]} in {first.meta.sample_id!r} and {shape} in {sample.meta.sample_id!r}. "
                "Make all samples with one `size` and one skeleton."
            )
    cameras = [_unknown_camera() if sample.camera is None else sample.camera for sample in samples]
    lenses = {
        item.name: torch.stack([getattr(camera, item.name) for camera in cameras]) for item in fields(Camera)
    }
    unknown_joints = torch.full_like(first.joints_crop, torch.nan)
    stack = {
        name: torch.stack([getattr(sample, name) for sample in samples])
        for name in ("joints_crop", "joint_valid", "depth_valid", "part_states", "affine")
    }
    images = torch.from_numpy(np.stack([sample.image for sample in samples]))  # (B, H, W, 3)
    return Batch(
        images=images.permute(0, 3, 1, 2).contiguous(),
        joints_cam_mm=torch.stack(
            [unknown_joints if sample.joints_cam_mm is None else sample.joints_cam_mm for sample in samples]
        ),
        camera=Camera(**lenses),
        has_camera=torch.tensor([sample.camera is not None for sample in samples]),
        meta=tuple(sample.meta for sample in samples),
        **stack,
    )


def normalise(images: Tensor) -> Float[Tensor, "B 3 H W"]:
    """Grey levels 0-255 to what the backbone expects, on the images' own device.

    Args:
        images: (B, 3, H, W) uint8, as in `Batch.images`.

    Raises:
        ValueError: If the images are not uint8 with three channels: they may be normalised already.
    """
    if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3:
        raise ValueError(
            f"`images` must be uint8 (B, 3, H, W), got {images.dtype} {tuple(images.shape)}. "
            "Are they normalised already?"
        )
    mean, std = (per_channel(values, images.device) for values in (IMAGENET_MEAN, IMAGENET_STD))
    return (images.float() / _LARGEST_GREY_LEVEL - mean) / std


def per_channel(values: tuple[float, float, float], device: torch.device) -> Float[Tensor, "3 1 1"]:
    """Three numbers as a tensor, filled in on the device: a copy there would wait for it."""
    return torch.stack([torch.full((1, 1), float(value), device=device) for value in values])


def resize_sample(sample: Sample, size: int) -> Sample:
    """The same crop with another number of pixels; crop-space labels do not change.

    Raises:
        ValueError: If `size` is not positive.
    """
    if size < 1:
        raise ValueError(f"`size` must be a positive number of pixels, got {size}")
    if size == sample.size:
        return sample
    middle = torch.full((2,), (sample.size - 1) / 2, dtype=torch.float64)
    change = crop_affine(middle, torch.tensor(float(sample.size), dtype=torch.float64), size)
    affine = change[:, :2] @ sample.affine.double() + torch.nn.functional.pad(change[:, 2:], (2, 0))
    return replace(sample, image=crop_image(sample.image, change.numpy(), size), affine=affine.float())
