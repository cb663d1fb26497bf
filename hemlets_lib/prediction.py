"""Predictions: pictures in, poses out, on any device.

    model, _ = load_checkpoint("nano.safetensors")
    predict(model, "person.jpg").joints_px
    predict(model, [Picture("party.jpg", box=(410, 230, 380))], flip_test=True)

There is no detector here (`people` has one): a picture goes in as it is when it shows one person who fills
it, and otherwise with a square box. The network sees (x, y) as places in the crop and depth in millimetres
about the root joint. To make millimetres of (x, y) takes the person's distance, which is, in this order,

    "known"               told, or taken from a sample's own labels, as the benchmarks' protocols do;
    "bones"               with a camera: at which the bones have the lengths they should have;
    "weak perspective"    without: one scale for the whole body, again by the bones' lengths.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from hemlets_lib.data.images import crop_image, read_image
from hemlets_lib.data.sample import Sample, camera_to, normalise, resize_sample
from hemlets_lib.fused_model import FusedNet
from hemlets_lib.geometry import (
    DEPTH_RANGE_MM,
    Camera,
    apply_affine,
    crop_affine,
    crop_to_px,
    invert_affine,
    recover_root_depth,
    root_relative,
)
from hemlets_lib.model import HEMletsNet, HEMletsOutput
from hemlets_lib.skeleton import HEMLETS18, Skeleton
from hemlets_lib.triplets import DecodedTriplets, decode_triplets

__all__ = [
    "Picture",
    "Prediction",
    "Sources",
    "evaluating",
    "infer",
    "mirror_output",
    "picture_pixels",
    "predict",
]

_FUSED_FROM = 32  # pictures, for which fusing takes less time than it saves


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture, where the person is in it, and what is known about the camera.

    Args:
        image: A file, or (H, W, 3) uint8 RGB.
        box: (x, y, side) of a square about the person with some room (`data.sample.BOX_MARGIN`): its
            middle and its side, pixels. The whole picture where left out.
        camera: Of the whole picture.
        root_depth_mm: Depth of the skeleton's root joint in front of that camera.

    Raises:
        ValueError: If the box is not three finite numbers with a positive side, or there is a depth that
            is not positive or has no camera.
    """

    image: str | Path | np.ndarray
    box: tuple[float, float, float] | None = None
    camera: Camera | None = None
    root_depth_mm: float | None = None

    def __post_init__(self) -> None:
        box, depth_mm = self.box, self.root_depth_mm
        if box is not None and (len(box) != 3 or not all(map(math.isfinite, box)) or box[2] <= 0):
            raise ValueError(f"`box` must be (x, y, side) in pixels with a positive side, got {box}.")
        if depth_mm is not None and not 0 < depth_mm < math.inf:
            raise ValueError(f"`root_depth_mm` must be positive, got {depth_mm}. Leave it out if unknown.")
        if depth_mm is not None and self.camera is None:
            raise ValueError(
                "`root_depth_mm` is of use with a `camera` only, got none. Pass both or neither."
            )


class Prediction(NamedTuple):
    """What a network says about N people; on the CPU. J joints, K parts, S states."""

    joints_crop: Float[Tensor, "N J 3"]
    joints_px: Float[Tensor, "N J 2"]  # in the whole picture
    joints_root_rel_mm: Float[Tensor, "N J 3"]  # camera axes; NaN where no bone's length is known
    depth_source: tuple[str, ...]  # "known", "bones" or "weak perspective", for each person
    affine: Float[Tensor, "N 2 3"]  # the picture's pixels to those of the network's input
    decoded: DecodedTriplets | None  # of triplets and heatmaps; None without an intermediate branch
    triplets: Float[Tensor, "N K S H W"] | None  # None also if not asked for
    heatmaps: Float[Tensor, "N J H W"] | None


@runtime_checkable
class Sources(Protocol):
    """What holds several inputs: a list, an (N, H, W, 3) array, a data set."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> Any: ...


class _Origin(NamedTuple):
    affine: Float[Tensor, "2 3"]
    camera: Camera | None
    root_depth_mm: float | None


def predict(
    model: HEMletsNet,
    images: str | Path | Picture | Sample | Sources,
    *,
    flip_test: bool = False,
    batch_size: int = 32,
    device: str | torch.device | None = None,
    bone_lengths_mm: Float[Tensor, "E"] | None = None,
    return_maps: bool = True,
    precision: str | None = None,
) -> Prediction:
    """The poses of people in pictures. The model's mode and all random generators stay as they are.

    Many pictures are predicted by a fused copy (`HEMletsNet.fuse`), which is faster and equal to 1e-4. For
    many calls fuse the network once, and pass that: `predict(fast, …)`.

    Args:
        model: In any mode; fused or not.
        images: One, or several, of: a file's path; an (H, W, 3) uint8 RGB array; a `Picture`, which can
            say where in it the person is; a `Sample`. They are read as they are needed.
        flip_test: Also predict the mirrored pictures, and take the mean; takes twice the time.
        batch_size: How many at once.
        device: Where to compute, on a copy of the model if that is elsewhere; the model's own device
            where left out.
        bone_lengths_mm: The person's, one for each of the skeleton's `bones`, NaN where unknown. Those of
            an average adult where left out.
        return_maps: Whether triplets and heatmaps are wanted; 10 000 people's take gigabytes.
        precision: "bfloat16" computes in half the bits: faster where the hardware has them, less exact. The
            model's own where left out.

    Raises:
        ValueError: If there are no images, or one of them is not uint8 RGB, or its box is beside the
            picture; the message says which.
        FileNotFoundError: If there is no such file.
    """
    config = model.config
    sources = _as_sources(images)
    if batch_size < 1:
        raise ValueError(f"`batch_size` must be positive, got {batch_size}.")
    if bone_lengths_mm is None:
        bone_lengths_mm = _adult_bone_lengths_mm(config.skeleton)
    if len(bone_lengths_mm) != len(config.skeleton.bones):
        raise ValueError(
            f"`bone_lengths_mm` must have one length for each of the {len(config.skeleton.bones)} bones of "
            f"{config.skeleton.name!r}, got {len(bone_lengths_mm)}. Put NaN where one is unknown."
        )
    at = next(model.parameters()).device
    if device is not None and torch.device(device) != at:
        at, model = torch.device(device), copy.deepcopy(model).to(device)
    model = _fused_if_it_pays(model, len(sources), precision)

    origins: list[_Origin] = []
    outputs: list[tuple[Tensor, ...]] = []
    for start in range(0, len(sources), batch_size):
        places = range(start, min(start + batch_size, len(sources)))
        crops, from_where = zip(
            *(_prepare(sources[i], f"images[{i}]", config.image_size, config.skeleton) for i in places),
            strict=True,
        )
        origins += from_where
        batch = torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2)  # (B, 3, S, S)
        output = infer(model, batch.to(at), flip_test=flip_test)
        made: tuple[Tensor, ...] = (output.joints,)
        if output.triplets is not None and output.heatmaps is not None:
            maps = (output.triplets, output.heatmaps)
            made += decode_triplets(
                *maps, skeleton=config.skeleton, sigma=config.sigma, variant=config.variant, grid=config.grid,
                norm=config.gaussian_norm, overlap=config.overlap,
            )  # fmt: skip
            made += maps if return_maps else ()
        outputs.append(tuple(each.cpu() for each in made))

    joints_crop, *rest = (torch.cat(parts) for parts in zip(*outputs, strict=True))
    affine = torch.stack([each.affine for each in origins])
    joints_px = apply_affine(
        invert_affine(affine), crop_to_px(joints_crop[..., :2].double(), config.image_size)
    )
    depth_mm = joints_crop[..., 2].double() * DEPTH_RANGE_MM
    joints_mm, depth_source = _millimetres(joints_px, depth_mm, origins, config.skeleton, bone_lengths_mm)
    decoded, maps_of_all = rest[:3], rest[3:]
    return Prediction(
        joints_crop=joints_crop,
        joints_px=joints_px.float(),
        joints_root_rel_mm=root_relative(joints_mm, config.skeleton.root).float(),
        depth_source=depth_source,
        affine=affine.float(),
        decoded=DecodedTriplets(*decoded) if decoded else None,
        triplets=maps_of_all[0] if maps_of_all else None,
        heatmaps=maps_of_all[1] if maps_of_all else None,
    )


def _fused_if_it_pays(model: HEMletsNet, pictures: int, precision: str | None) -> HEMletsNet:
    if isinstance(model, FusedNet):
        if precision not in (None, model.precision):
            raise ValueError(
                f"`precision` of this fused network is {model.precision!r}, got {precision!r}. Leave it out, "
                "or pass the network that it was made of."
            )
        return model
    watched = any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    if precision is None and (pictures < _FUSED_FROM or watched or type(model) is not HEMletsNet):
        return model
    return model.fuse(precision=precision or "float32")


def infer(model: HEMletsNet, images: UInt8[Tensor, "B 3 S S"], *, flip_test: bool = False) -> HEMletsOutput:
    """The network's output in evaluation mode and without gradients, for a batch that is at hand.

    Args:
        model: In any mode; the mode is put back.
        images: As in `data.Batch.images`, on the model's device.
        flip_test: Take the mean with what the mirrored images give, mirrored back. Joints' coordinates
            and maps are averaged; soft-argmax makes no half-cell correction necessary.

    Raises:
        ValueError: If the images are not uint8, or their size is not the network's; or with `flip_test`
            if the skeleton's parts have no mirror images.
    """
    skeleton = model.config.skeleton
    with evaluating(model), torch.inference_mode():
        output = model(normalise(images))
        if not flip_test:
            return output
        mirrored = mirror_output(model(normalise(images.flip(-1))), skeleton)
        mean = [
            one if one is None or other is None else (one + other) / 2
            for one, other in zip(output, mirrored, strict=True)
        ]
        return output._make(mean)


def mirror_output(output: HEMletsOutput, skeleton: Skeleton) -> HEMletsOutput:
    """What the network would have said of the mirrored images: x reversed, left and right swapped.

    A part's state is about depth, so it stays with its part. Doing it twice changes nothing.

    Raises:
        ValueError: If the skeleton's parts have no mirror images.
    """
    joint_order = list(skeleton.flip_permutation)
    triplets, heatmaps, volume = output.triplets, output.heatmaps, output.volume
    return HEMletsOutput(
        output.joints[:, joint_order] * output.joints.new_tensor([-1.0, 1.0, 1.0]),
        None if triplets is None else triplets[:, list(skeleton.part_flip_permutation)].flip(-1),
        None if heatmaps is None else heatmaps[:, joint_order].flip(-1),
        None if volume is None else volume[:, joint_order].flip(-1),
    )


@contextlib.contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode inside the `with`; every layer's own mode is put back after it."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def _as_sources(images: Any) -> Sources:
    one = isinstance(images, str | Path | Picture | Sample)
    if one or (isinstance(images, np.ndarray) and images.ndim < 4):
        return [images]
    if isinstance(images, Tensor) or not isinstance(images, Sources):
        raise ValueError(
            "`images` must be paths, (H, W, 3) uint8 arrays, Pictures or Samples, or one of them; got "
            f"{type(images).__name__}. For a batch of tensors there is infer(model, batch.images); "
            "make a list of a generator."
        )
    if not len(images):
        raise ValueError("`images` must hold at least one, got none. Is the folder or the split empty?")
    return images


def _prepare(
    source: Any, name: str, size: int, skeleton: Skeleton
) -> tuple[UInt8[np.ndarray, "S S 3"], _Origin]:
    """The network's input for one person, and what turns its output into pixels and millimetres."""
    if isinstance(source, Sample):
        resized, depth_mm = resize_sample(source, size), None
        if source.camera is not None and source.joints_cam_mm is not None:
            skeleton.check_joints(source.joints_cam_mm, f"{name}.joints_cam_mm")
            labelled_mm = float(source.joints_cam_mm[skeleton.root, 2])
            depth_mm = labelled_mm if math.isfinite(labelled_mm) else None
        return resized.image, _Origin(resized.affine.double(), source.camera, depth_mm)
    image = picture_pixels(source.image if isinstance(source, Picture) else source, name)
    picture = source if isinstance(source, Picture) else Picture(image)
    height, width = image.shape[:2]
    x, y, side = picture.box or ((width - 1) / 2, (height - 1) / 2, max(height, width))
    centre = torch.tensor([x, y], dtype=torch.float64)
    affine = crop_affine(centre, torch.tensor(side, dtype=torch.float64), size)
    try:
        crop = crop_image(image, affine.numpy(), size)
    except ValueError as error:
        raise ValueError(f"`{name}`: {error}") from error
    return crop, _Origin(affine, picture.camera, picture.root_depth_mm)


def picture_pixels(image: Any, name: str) -> UInt8[np.ndarray, "H W 3"]:
    """A picture's pixels: those of a file, or an array that is checked.

    Args:
        image: A path, or (H, W, 3) uint8 RGB.
        name: What messages call it.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no picture, or an array of another kind; says how to turn it into one.
    """
    if isinstance(image, str | Path):
        return read_image(image)
    expected = f"`{name}` must be a path or an (H, W, 3) uint8 RGB array, got"
    if not isinstance(image, np.ndarray):
        raise ValueError(f"{expected} {type(image).__name__}. Turn it into an array (numpy.asarray) first.")
    got = f"shape {image.shape} of {image.dtype}"
    if image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 1):
        raise ValueError(f"{expected} a grey picture, {got}. Repeat it: np.dstack([image] * 3).")
    if image.ndim == 3 and image.shape[2] == 4:
        raise ValueError(f"{expected} a picture with alpha, {got}. Drop that: image[..., :3].")
    if image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise ValueError(f"{expected} {got}. Put the colours last; pass several pictures as a list.")
    if image.dtype != np.uint8:
        raise ValueError(
            f"{expected} {got}. If its levels are 0 to 1: (255 * image).round().astype(np.uint8)."
        )
    return image


@functools.cache
def _adult_bone_lengths_mm(skeleton: Skeleton) -> Float[Tensor, "E"]:
    """The mean of the synthetic training subjects, standing; NaN for bones that they do not have."""
    from hemlets_lib.data.motion.body import SUBJECTS, forward_kinematics
    from hemlets_lib.data.synthetic import SPLITS

    upright = [
        forward_kinematics(SUBJECTS[name], np.zeros((1, 3)), np.eye(3)[None], {}) for name in SPLITS["train"]
    ]
    joints_mm, known = HEMLETS18.remap(torch.from_numpy(np.concatenate(upright)), skeleton)
    joints_mm = torch.where(known[..., None], joints_mm, torch.nan)
    parents, children = [parent for parent, _ in skeleton.bones], [child for _, child in skeleton.bones]
    return (joints_mm[:, children] - joints_mm[:, parents]).norm(dim=-1).mean(0)


def _millimetres(
    joints_px: Float[Tensor, "N J 2"],
    depth_mm: Float[Tensor, "N J"],
    origins: list[_Origin],
    skeleton: Skeleton,
    bone_lengths_mm: Float[Tensor, "E"],
) -> tuple[Float[Tensor, "N J 3"], tuple[str, ...]]:
    """Poses in millimetres, wherever their origin, and for each where its distance comes from."""
    known = [e for e, length_mm in enumerate(bone_lengths_mm.tolist()) if math.isfinite(length_mm)]
    bones, lengths_mm = tuple(skeleton.bones[e] for e in known), bone_lengths_mm[known].double()
    joints_mm = _weak_perspective(joints_px, depth_mm, bones, lengths_mm)
    source = ["weak perspective"] * len(origins)
    for told in (True, False):
        rows = [
            row
            for row, each in enumerate(origins)
            if each.camera is not None and (each.root_depth_mm is not None) == told
        ]
        if not rows or not (told or bones):
            continue
        camera, behind_mm = _stacked([origins[row].camera for row in rows]), depth_mm[rows]
        if told:
            root_mm = depth_mm.new_tensor([origins[row].root_depth_mm for row in rows])
        else:
            root_mm = recover_root_depth(camera.rays(joints_px[rows]), behind_mm, bones, lengths_mm)
        joints_mm[rows] = camera.back_project(joints_px[rows], root_mm[:, None] + behind_mm)
        for row in rows:
            source[row] = "known" if told else "bones"
    return joints_mm, tuple(source)


def _weak_perspective(
    joints_px: Float[Tensor, "N J 2"],
    depth_mm: Float[Tensor, "N J"],
    bones: tuple[tuple[int, int], ...],
    lengths_mm: Float[Tensor, "E"],
) -> Float[Tensor, "N J 3"]:
    """Pixels to millimetres by one scale s per person: the least-squares fit of the bones' lengths.

    A bone that is ℓ pixels long, its ends δ mm apart in depth, should have (s ℓ)² + δ² = L². The sum of
    the squared differences is least at s² = Σ ℓ² (L² - δ²) / Σ ℓ⁴; a δ beyond L counts as L.
    """
    if not bones:
        return joints_px.new_full((*joints_px.shape[:2], 3), torch.nan)
    parents, children = [parent for parent, _ in bones], [child for _, child in bones]
    seen = (joints_px[:, children] - joints_px[:, parents]).square().sum(-1)  # ℓ², (N, E)
    across = (lengths_mm.square() - (depth_mm[:, children] - depth_mm[:, parents]).square()).clamp_min(0)
    scale = ((seen * across).sum(-1) / seen.square().sum(-1).clamp_min(1e-12)).sqrt()
    return torch.cat([joints_px * scale[:, None, None], depth_mm[..., None]], -1)


def _stacked(cameras: list[Camera | None]) -> Camera:
    precise = [camera_to(camera, torch.float64) for camera in cameras if camera is not None]
    return Camera(
        **{item.name: torch.stack([getattr(one, item.name) for one in precise]) for item in fields(Camera)}
    )
