"""Augmentation of whole batches, on the batch's own device: pictures move, and every label with them.

Each sample is turned, scaled, perhaps mirrored and shifted within its crop (one affine map, hence one
resampling, which also brings the picture to the model's size), then its colours are distorted (one affine
map of RGB), then it may be partly covered. What happens to a sample depends on (seed, epoch, its number)
alone: not on the batch it is in, the worker that read it or the device.

    joints_crop    x, y move with the picture. z stays, also under scaling: depth is metric. Paper silent:
                   `scale_depth` scales it along
    joint_valid    stays: a joint that has left the crop is still known, `Batch.in_crop` tells
    part_states    a mirror swaps left and right parts; each keeps its own depth order
    affine         now the whole way from the picture's pixels to those of the new crop
    joints_cam_mm  stay where they were, as does the camera; a mirror swaps left and right names

So the person remains where the picture's camera saw them, and `geometry.crop_to_cam` with the new affine
map still leads from `joints_crop` to `joints_cam_mm`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from hemlets_lib.data.images import FILL_RGB
from hemlets_lib.data.sample import Batch, per_channel
from hemlets_lib.geometry import Grid, crop_to_px, px_to_crop
from hemlets_lib.skeleton import Skeleton

__all__ = [
    "NO_AUGMENTATION",
    "AugmentConfig",
    "Augmentation",
    "Colours",
    "apply_augmentation",
    "augment",
    "draw_augmentation",
]

LUMA = (0.299, 0.587, 0.114)  # grey from RGB, ITU-R BT.601; torchvision's and Pillow's too
_WHITE = 255.0
_STRENGTHS = ("brightness", "contrast", "saturation", "channel_gain")
# Where in a sample's row of random numbers each decision finds its own: switching one off moves no other.
_TURN, _SCALE, _FLIP, _SHIFT, _COLOUR, _GAIN, _COVER = 0, 1, 2, 3, 5, 8, 11
_DRAWS = 16
# SplitMix64 (Steele et al. 2014), as signed numbers.
_GOLDEN, _FIRST, _SECOND = (
    number - 2**64 for number in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
)


@dataclass(frozen=True)
class AugmentConfig:
    """How much to augment; every amount is drawn evenly from its range. The defaults are the paper's.

    Args:
        rotation_deg: Largest turn to either side, about the crop's middle.
        scale: Smallest and largest magnification.
        flip: Probability of a mirror image.
        translation: Largest shift along each axis, as a fraction of the crop's side.
        brightness: Grey levels are multiplied by up to 1 ± this.
        contrast: Their distance from the picture's mean grey, likewise.
        saturation: Their distance from the pixel's own grey, likewise.
        channel_gain: Each of R, G and B on its own, likewise: the colour of the light.
        erase: Probability that a rectangle is covered. Joints below it stay labelled: they are hidden.
        erase_side: Its shortest and longest side, as a fraction of the crop's.
        scale_depth: Magnify depth about the root along with the picture, as if the person were larger.
            `joints_cam_mm` stay, so the way back from `joints_crop` no longer leads to them.

    Raises:
        ValueError: If a value is out of range.

    Source: 'Implementation details': ±30°, 0.75-1.25, probability 0.5. Paper silent on the
    strength of its 'color distortions'. Nothing is shifted or covered there.
    """

    rotation_deg: float = 30.0
    scale: tuple[float, float] = (0.75, 1.25)
    flip: float = 0.5
    translation: float = 0.0
    brightness: float = 0.2
    contrast: float = 0.2
    saturation: float = 0.2
    channel_gain: float = 0.1
    erase: float = 0.0
    erase_side: tuple[float, float] = (0.1, 0.3)
    scale_depth: bool = False

    def __post_init__(self) -> None:
        for names, low, high in (
            (("rotation_deg",), 0.0, 180.0),
            (("flip", "erase", *_STRENGTHS), 0.0, 1.0),
            (("translation",), 0.0, 0.5),
        ):
            for name in names:
                if not low <= (got := getattr(self, name)) <= high:
                    raise ValueError(f"augmentation: `{name}` must lie in {low:g}…{high:g}, got {got}.")
        for name, largest in (("scale", math.inf), ("erase_side", 1.0)):
            got = getattr(self, name)
            if len(got) != 2 or not 0 < got[0] <= got[1] <= largest or math.isinf(got[1]):
                limit = "" if math.isinf(largest) else f", at most {largest:g}"
                raise ValueError(
                    f"augmentation: `{name}` must be (smallest, largest), positive{limit}, got {got}."
                )

    @property
    def changes_colour(self) -> bool:
        return any(getattr(self, name) > 0 for name in _STRENGTHS)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> AugmentConfig:
        """From `dataclasses.asdict`, also after JSON has made lists of tuples.

        Raises:
            ValueError: If a key is unknown, or a value is out of range.
        """
        keys = [field.name for field in fields(cls)]
        if unknown := sorted(set(values) - set(keys)):
            raise ValueError(
                f"augmentation: expected keys among {', '.join(keys)}; got {', '.join(unknown)}."
            )
        arguments: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in values.items()
        }
        return cls(**arguments)


NO_AUGMENTATION = AugmentConfig(
    rotation_deg=0.0, scale=(1.0, 1.0), flip=0.0, brightness=0.0, contrast=0.0, saturation=0.0,
    channel_gain=0.0,
)  # fmt: skip
"""Leaves a batch as it is; with another `size`, only resizes it."""


class Colours(NamedTuple):
    """Factors about 1 for each sample; see `AugmentConfig`. Applied last to first."""

    brightness: Float[Tensor, "B"]
    contrast: Float[Tensor, "B"]
    saturation: Float[Tensor, "B"]
    channel_gain: Float[Tensor, "B 3"]


class Augmentation(NamedTuple):
    """What is done to each sample of a batch; None where nothing is. Drawn, or written by hand."""

    rotation_deg: Float[Tensor, "B"]  # of the picture's content, clockwise on the screen
    scale: Float[Tensor, "B"]  # above 1 the person gets larger
    flip: Bool[Tensor, "B"] | None = None  # mirrored, after turning
    shift: Float[Tensor, "B 2"] | None = None  # (x, y) in crop space, last
    colours: Colours | None = None
    cover: Float[Tensor, "B 4"] | None = None  # left, top, right, bottom in the new crop; empty for none
    depth_scale: Float[Tensor, "B"] | None = None  # of z

    def linear(self) -> Float[Tensor, "B 2 2"]:
        """What happens to (x, y) in crop space, but for the shift; cf. `geometry.crop_affine`."""
        angle = self.rotation_deg * (math.pi / 180)
        cos, sin = torch.cos(angle) * self.scale, torch.sin(angle) * self.scale
        mirror = torch.ones_like(cos) if self.flip is None else 1 - 2 * self.flip.to(cos.dtype)
        return torch.stack([torch.stack([mirror * cos, -mirror * sin], -1), torch.stack([sin, cos], -1)], -2)


def augment(
    batch: Batch,
    config: AugmentConfig,
    *,
    skeleton: Skeleton,
    seed: int,
    epoch: int,
    indices: Int[Tensor, "B"],
    size: int | None = None,
) -> Batch:
    """A batch with every sample altered at random, its labels moved along; the input is not changed.

    The resampling is bilinear. A picture that shrinks by a factor of f or more to reach `size` is first
    averaged over blocks of f x f whole pixels, f dividing its side. Below 2 there is no such smoothing:
    every pixel of the source still counts as long as fewer than two of them meet one of the result's along
    each axis, which holds for 128 to 96 pixels at scale 0.75. What comes from outside the crop is
    `images.FILL_RGB`.

    Args:
        batch: On any device; the work is done there.
        config: How much.
        skeleton: Says which joints and parts a mirror swaps.
        seed, epoch: The same pair gives the same augmentation to the same sample.
        indices: The number of each sample in its data set, or of each draw where samples repeat.
        size: Side of the pictures that come out; that of the batch where left out.

    Raises:
        ValueError: If pictures are not square, sizes do not fit, or the skeleton's parts have no mirror
            image while `flip` is on.

    Source: 'Implementation details'.
    """
    if indices.shape != (len(batch),):
        raise ValueError(
            f"`indices` must hold one number for each of the {len(batch)} samples, got {tuple(indices.shape)}"
        )
    indices = indices.to(batch.images.device, non_blocking=True)
    drawn = draw_augmentation(config, seed=seed, epoch=epoch, indices=indices)
    return apply_augmentation(batch, drawn, skeleton=skeleton, size=size)


def draw_augmentation(
    config: AugmentConfig, *, seed: int, epoch: int, indices: Int[Tensor, "B"]
) -> Augmentation:
    """The random decisions of `augment`, on the device of `indices`.

    Args:
        config: The ranges.
        seed, epoch, indices: As in `augment`.

    Raises:
        ValueError: If seed or epoch is negative.
    """
    for name, number in (("seed", seed), ("epoch", epoch)):
        if not 0 <= number < 2**63:
            raise ValueError(f"`{name}` must lie in 0…2^63-1, got {number}")
    uniform = _uniform(seed, epoch, indices)  # (B, 16)

    def about(middle: float, width: float, at: int, count: int = 1) -> Tensor:
        values = middle + width * (2 * uniform[:, at : at + count] - 1)
        return values[:, 0] if count == 1 else values

    low, high = config.scale
    colours = cover = None
    if config.changes_colour:
        brightness, contrast, saturation = (
            about(1, width, _COLOUR + i)
            for i, width in enumerate((config.brightness, config.contrast, config.saturation))
        )
        colours = Colours(brightness, contrast, saturation, about(1, config.channel_gain, _GAIN, 3))
    if config.erase > 0:
        shortest, longest = config.erase_side
        side = shortest + (longest - shortest) * uniform[:, _COVER : _COVER + 2]
        side = side * (uniform[:, _COVER + 4, None] < config.erase)
        middle = uniform[:, _COVER + 2 : _COVER + 4] - 0.5
        cover = torch.cat([middle - side / 2, middle + side / 2], -1)
    scale = low + (high - low) * uniform[:, _SCALE]
    return Augmentation(
        rotation_deg=about(0, config.rotation_deg, _TURN),
        scale=scale,
        flip=uniform[:, _FLIP] < config.flip if config.flip > 0 else None,
        shift=about(0, config.translation, _SHIFT, 2) if config.translation > 0 else None,
        colours=colours,
        cover=cover,
        depth_scale=scale if config.scale_depth else None,
    )


def apply_augmentation(
    batch: Batch, augmentation: Augmentation, *, skeleton: Skeleton, size: int | None = None
) -> Batch:
    """Does to a batch what `augmentation` says; the rest of `augment`.

    Args:
        batch, skeleton, size: As in `augment`.
        augmentation: On the batch's device.

    Raises:
        ValueError: As in `augment`.
    """
    skeleton.check_joints(batch.joints_crop, "joints_crop")
    height, side = batch.images.shape[-2:]
    if height != side:
        raise ValueError(f"`images` must be square crops, got {height} x {side} pixels. Crop them first.")
    size = side if size is None else size
    if size < 1:
        raise ValueError(f"`size` must be a positive number of pixels, got {size}")
    linear = augmentation.linear()  # (B, 2, 2)
    shift = linear.new_zeros(len(linear), 2) if augmentation.shift is None else augmentation.shift

    planar = _times(linear, batch.joints_crop[..., :2]) + shift[:, None]
    planar = torch.where(batch.joint_valid[..., None], planar, 0)
    depth = batch.joints_crop[..., 2:]
    if augmentation.depth_scale is not None:
        depth = depth * augmentation.depth_scale[:, None, None]
    to_crop = px_to_crop(batch.affine[..., 2], side)  # where the picture's origin lies in crop space
    moved = replace(
        batch,
        images=_alter(batch.images, augmentation, linear, shift, size),
        joints_crop=torch.cat([planar, depth], -1),
        affine=torch.cat(
            [
                _times(linear, batch.affine[..., :2].mT).mT * (size / side),
                crop_to_px(_times(linear, to_crop[:, None])[:, 0] + shift, size)[..., None],
            ],
            -1,
        ),
    )
    return moved if augmentation.flip is None else _swap_sides(moved, augmentation.flip, skeleton)


def _times(linear: Tensor, points: Tensor) -> Tensor:
    """A p for each of the points (B, P, 2), without a matrix product: those may round to TF32 on a GPU."""
    return (linear[:, None] * points[..., None, :]).sum(-1)


@cache
def _mirror_orders(skeleton: Skeleton, device: torch.device) -> tuple[Tensor, Tensor]:
    """Orders of joints and parts as they are (row 0) and mirrored (row 1); kept, for a copy would stall."""
    orders = (skeleton.flip_permutation, skeleton.part_flip_permutation)
    joints, parts = (torch.tensor([tuple(range(len(order))), order], device=device) for order in orders)
    return joints, parts


def _swap_sides(batch: Batch, flip: Tensor, skeleton: Skeleton) -> Batch:
    """Left named right and right left, where `flip`."""
    joint_orders, part_orders = _mirror_orders(skeleton, flip.device)
    joints = torch.where(flip[:, None], joint_orders[1], joint_orders[0])  # (B, J)
    parts = torch.where(flip[:, None], part_orders[1], part_orders[0])  # (B, K)
    points = joints[..., None].expand(-1, -1, 3)
    return replace(
        batch,
        joints_crop=batch.joints_crop.gather(1, points),
        joint_valid=batch.joint_valid.gather(1, joints),
        depth_valid=batch.depth_valid.gather(1, joints),
        part_states=batch.part_states.gather(1, parts),
        joints_cam_mm=batch.joints_cam_mm.gather(1, points),
    )


def _alter(
    images: UInt8[Tensor, "B 3 N N"], augmentation: Augmentation, linear: Tensor, shift: Tensor, size: int
) -> UInt8[Tensor, "B 3 size size"]:
    """The pictures resampled, recoloured, covered; rounded once, at the end."""
    fill = per_channel(FILL_RGB, images.device)
    # `grid_sample` takes what is outside to be 0, so grey levels are counted from the fill until the end.
    pixels = _resample(images - fill, linear, shift, size)
    if augmentation.colours is None:
        pixels.add_(fill)
    else:
        pixels = _recolour(pixels, images, augmentation.colours, fill)
    if augmentation.cover is not None:
        centres = Grid.CELL_CENTRED.centres(size, device=images.device)
        left, top, right, bottom = augmentation.cover[..., None].unbind(1)  # (B, 1) each
        columns = (centres >= left) & (centres < right)  # (B, W)
        rows = (centres >= top) & (centres < bottom)
        pixels = torch.where((rows[:, None, :, None] & columns[:, None, None, :]), fill, pixels)
    return pixels.round_().clamp_(0, _WHITE).to(torch.uint8)


def _resample(pixels: Tensor, linear: Tensor, shift: Tensor, size: int) -> Float[Tensor, "B 3 size size"]:
    """Each pixel of the result taken from where it comes from, in one step."""
    side = pixels.shape[-1]
    factor = max(f for f in range(1, max(side // size, 1) + 1) if side % f == 0)
    if factor > 1:
        pixels = torch.nn.functional.avg_pool2d(pixels, factor)
    # Crop space times 2 is what grid_sample counts in. An inverse written out, and sums that broadcast a
    # row and a column: the same to the last bit whatever else is in the batch.
    a, b, c, d = linear.flatten(1)[..., None, None].unbind(1)  # (B, 1, 1) each
    det = a * d - b * c
    ends = 2 * Grid.CELL_CENTRED.centres(size, device=pixels.device)
    x = ends[None, None, :] - 2 * shift[:, 0, None, None]  # (B, 1, W)
    y = ends[None, :, None] - 2 * shift[:, 1, None, None]  # (B, H, 1)
    from_x, from_y = (d * x - b * y) / det, (a * y - c * x) / det
    return torch.nn.functional.grid_sample(
        pixels, torch.stack([from_x, from_y], -1), mode="bilinear", align_corners=False
    )


def _recolour(
    pixels: Float[Tensor, "B 3 H W"], source: UInt8[Tensor, "B 3 N N"], colours: Colours, fill: Tensor
) -> Float[Tensor, "B 3 H W"]:
    """The four distortions as one: each is affine in (R, G, B), and so is what they come to.

    With gains g, grey y = Σ w g p and the whole picture's mean grey m:
    p ↦ brightness · (contrast · (saturation · g p + (1 - saturation) · y) + (1 - contrast) · m).
    """
    gain = colours.channel_gain[..., None, None]  # (B, 3, 1, 1)
    weighted = per_channel(LUMA, pixels.device) * gain
    # Whole numbers, so that no order of summing matters (below 256 x 256 pixels, exactly).
    mean = source.sum((-2, -1), dtype=torch.float32)[..., None, None] / source.shape[-1] ** 2
    mean_grey = (weighted * mean).sum(1, keepdim=True)  # (B, 1, 1, 1)
    brightness, contrast, saturation = (factor[:, None, None, None] for factor in colours[:3])
    own = brightness * contrast * saturation * gain
    to_grey = brightness * contrast * (1 - saturation)
    red, green, blue = pixels.split(1, dim=1)
    grey = (
        (red * weighted[:, 0:1]).add_(green * weighted[:, 1:2]).add_(blue * weighted[:, 2:3])
    )  # (B, 1, H, W)
    of_fill = own * fill + to_grey * (weighted * fill).sum(1, keepdim=True)  # pixels are counted from it
    offset = brightness * (1 - contrast) * mean_grey + of_fill
    return pixels.mul_(own).add_(grey.mul_(to_grey)).add_(offset)  # `pixels` is ours: no copy


def _uniform(seed: int, epoch: int, indices: Int[Tensor, "B"]) -> Float[Tensor, "B 16"]:
    """Sixteen numbers in [0, 1) for each (seed, epoch, index), the same on every device."""
    key = _scramble(torch.full_like(indices, seed, dtype=torch.int64))
    key = _scramble(_scramble(key + epoch) + indices)
    steps = torch.arange(1, _DRAWS + 1, device=indices.device) * _GOLDEN
    bits = _scramble(key[:, None] + steps) >> 40 & (1 << 24) - 1  # as many as float32 holds exactly
    return bits.float() * 2.0**-24


def _scramble(numbers: Int[Tensor, "*any"]) -> Int[Tensor, "*any"]:
    """SplitMix64's output function: every bit of the result depends on every bit. Products wrap around."""
    for shift, factor in ((30, _FIRST), (27, _SECOND)):
        numbers = (numbers ^ _shift_right(numbers, shift)) * factor
    return numbers ^ _shift_right(numbers, 31)


def _shift_right(numbers: Tensor, places: int) -> Tensor:
    """Zeros move in from the left, also for negative numbers."""
    return numbers >> places & (1 << 64 - places) - 1
