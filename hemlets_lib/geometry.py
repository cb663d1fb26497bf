"""Where things are: pixels and cells, the camera, crops, and how two poses are laid over each other.

The pixel convention, used everywhere. A pixel's centre has integer coordinates, so a row of four
pixels spans -0.5 … 3.5; the same holds for the cells of a heatmap. Crop space measures the same row
from -0.5 (left edge) to +0.5 (right edge):

    pixel        |    0    |    1    |    2    |    3    |
    u_px       -0.5   0   0.5   1   1.5   2   2.5   3   3.5
    x_crop     -0.5                   0                 0.5        x_crop = (u_px + 0.5) / 4 - 0.5

Camera space: +x right, +y down, +z away from the camera, millimetres. World space: +z up. The depth
axis of crop space is metric: z_crop = (z - z_root) / 2000 mm, so ±0.5 is ±1 m about the root joint.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, get_args

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from hemlets_lib.rotation import best_rotation

__all__ = [
    "DEPTH_RANGE_MM",
    "Camera",
    "Grid",
    "Solver",
    "apply_affine",
    "cam_to_crop",
    "crop_affine",
    "crop_to_cam",
    "crop_to_px",
    "invert_affine",
    "procrustes",
    "px_to_crop",
    "recover_root_depth",
    "root_relative",
]

# The depth axis of crop space. Paper silent: the official code's ±1000 mm about the root. A network's volume
# may span another range (`ModelConfig.depth_range_mm`).
DEPTH_RANGE_MM = 2000.0

Solver = Literal["svd", "jacobi"]


class Grid(StrEnum):
    """How an axis of crop space, [-0.5, 0.5], is laid over n cells.

    `cell_centred` follows the pixel convention above: the axis ends at the outer edges of the first
    and last cell. `corner_aligned` puts its ends on those cells' centres, as the official network
    does (bins i/63 - 0.5). Gaussians and integrals must use the same one. Paper silent.
    """

    CELL_CENTRED = "cell_centred"
    CORNER_ALIGNED = "corner_aligned"

    def to_cells(self, coordinates: Tensor, n: int) -> Tensor:
        """Crop coordinates as (fractional) cell numbers 0 … n-1."""
        if self is Grid.CELL_CENTRED:
            return (coordinates + 0.5) * n - 0.5
        return (coordinates + 0.5) * (n - 1)

    def to_crop(self, cells: Tensor, n: int) -> Tensor:
        """The inverse of `to_cells`."""
        if self is Grid.CELL_CENTRED:
            return (cells + 0.5) / n - 0.5
        return cells / (n - 1) - 0.5

    def cells_per_unit(self, n: int) -> int:
        """How many cells one unit of crop space covers."""
        return n if self is Grid.CELL_CENTRED else n - 1

    def centres(
        self, n: int, *, device: torch.device | None = None, dtype: torch.dtype = torch.float32
    ) -> Float[Tensor, "n"]:
        """The crop coordinates of the n cells' centres."""
        return self.to_crop(torch.arange(n, device=device, dtype=dtype), n)


@dataclass(frozen=True)
class Camera:
    """A pinhole camera with Human3.6M's lens distortion; any leading batch axes.

    Args:
        focal_px: (fx, fy).
        centre_px: (cx, cy), in the pixel convention above.
        k_radial: k1, k2, k3.
        p_tangential: p1, p2.
        rotation: World to camera, X_cam = R (X_world - position).
        position_mm: The camera's centre in the world.

    Everything takes precision and device from `focal_px`.

    Raises:
        ValueError: If a field has another shape.

    Source: Human3.6M's own projection. It is not OpenCV's: the tangential terms sit in the common
    factor, g = 1 + k1 r² + k2 r⁴ + k3 r⁶ + p1 y + p2 x, and u = fx (x g + p2 r²) + cx.
    """

    focal_px: Float[Tensor, "*batch 2"]
    centre_px: Float[Tensor, "*batch 2"]
    k_radial: Float[Tensor, "*batch 3"] = field(default_factory=lambda: torch.zeros(3))
    p_tangential: Float[Tensor, "*batch 2"] = field(default_factory=lambda: torch.zeros(2))
    rotation: Float[Tensor, "*batch 3 3"] = field(default_factory=lambda: torch.eye(3))
    position_mm: Float[Tensor, "*batch 3"] = field(default_factory=lambda: torch.zeros(3))

    def __post_init__(self) -> None:
        shapes = {"k_radial": (3,), "p_tangential": (2,), "position_mm": (3,), "rotation": (3, 3)}
        for name, shape in {"focal_px": (2,), "centre_px": (2,), **shapes}.items():
            value = getattr(self, name)
            if tuple(value.shape[-len(shape) :]) != shape:
                wanted, got = " by ".join(map(str, shape)), tuple(value.shape)
                raise ValueError(f"camera: `{name}` must end in {wanted} numbers, got shape {got}")
            # One precision and device throughout, the focal lengths': what is left out is float32 on the CPU.
            object.__setattr__(self, name, value.to(self.focal_px))

    def world_to_cam(self, joints_world_mm: Float[Tensor, "*#batch J 3"]) -> Float[Tensor, "*#batch J 3"]:
        """World to camera space, R (X - position)."""
        return (joints_world_mm - self.position_mm[..., None, :]) @ self.rotation.mT

    def cam_to_world(self, joints_cam_mm: Float[Tensor, "*#batch J 3"]) -> Float[Tensor, "*#batch J 3"]:
        """The inverse of `world_to_cam`."""
        return joints_cam_mm @ self.rotation + self.position_mm[..., None, :]

    def distort(self, rays: Float[Tensor, "*#batch J 2"]) -> Float[Tensor, "*#batch J 2"]:
        """Ideal image-plane coordinates (x/z, y/z) to those the lens makes of them."""
        k, p = self.k_radial[..., None, :], self.p_tangential[..., None, :]
        r2 = rays.square().sum(-1)
        radial = 1 + r2 * (k[..., 0] + r2 * (k[..., 1] + r2 * k[..., 2]))
        gain = radial + p[..., 0] * rays[..., 1] + p[..., 1] * rays[..., 0]
        return rays * gain[..., None] + p.flip(-1) * r2[..., None]

    def undistort(self, distorted: Float[Tensor, "*#batch J 2"]) -> Float[Tensor, "*#batch J 2"]:
        """The inverse of `distort`, by fixed-point iteration (exact to rounding for these lenses)."""
        rays = distorted
        for _ in range(30):
            rays = rays + distorted - self.distort(rays)
        return rays

    def project(self, joints_cam_mm: Float[Tensor, "*#batch J 3"]) -> Float[Tensor, "*#batch J 2"]:
        """Camera space to pixels. Points behind the camera come out as NaN."""
        depth_mm = joints_cam_mm[..., 2:]
        rays = joints_cam_mm[..., :2] / torch.where(depth_mm > 0, depth_mm, torch.nan)
        return self.distort(rays) * self.focal_px[..., None, :] + self.centre_px[..., None, :]

    def rays(self, joints_px: Float[Tensor, "*#batch J 2"]) -> Float[Tensor, "*#batch J 2"]:
        """Pixels to the directions (x/z, y/z) they look along, lens undone."""
        return self.undistort((joints_px - self.centre_px[..., None, :]) / self.focal_px[..., None, :])

    def back_project(
        self, joints_px: Float[Tensor, "*#batch J 2"], depth_mm: Float[Tensor, "*#batch J"]
    ) -> Float[Tensor, "*#batch J 3"]:
        """Pixels with known depth to camera space, the inverse of `project`."""
        planar = self.rays(joints_px) * depth_mm[..., None]
        return torch.cat([planar, depth_mm[..., None].expand(*planar.shape[:-1], 1)], -1)


def root_relative(joints_mm: Float[Tensor, "*#batch J 3"], root: int) -> Float[Tensor, "*#batch J 3"]:
    """The pose with its root joint at the origin."""
    return joints_mm - joints_mm[..., root : root + 1, :]


def crop_affine(
    box_centre_px: Shaped[Tensor, "*#batch 2"],
    box_side_px: Shaped[Tensor, "*#batch"] | float,
    size: int,
    *,
    rotation_deg: Shaped[Tensor, "*#batch"] | float = 0.0,
    flip: bool = False,
) -> Float[Tensor, "*#batch 2 3"]:
    """The affine map from a picture's pixels to those of a square crop of `size` pixels.

    Args:
        box_centre_px: Middle of the box in the picture.
        box_side_px: Side of the box; it fills the crop.
        size: Side of the crop in pixels.
        rotation_deg: Turn of the picture's content, clockwise on the screen.
        flip: Mirror left and right after turning.

    Returns:
        A and b of p ↦ A p + b, side by side.

    Raises:
        ValueError: If a side is not positive.
    """
    centre = box_centre_px if box_centre_px.is_floating_point() else box_centre_px.float()
    side, degrees = (torch.as_tensor(value).to(centre) for value in (box_side_px, rotation_deg))
    if not bool((side > 0).all()):
        raise ValueError(f"`box_side_px` must be positive, got {box_side_px}. Is the person's box empty?")
    batch = torch.broadcast_shapes(centre.shape[:-1], side.shape, degrees.shape)
    centre = centre.expand(*batch, 2)
    scale, angle = (size / side).expand(batch), torch.deg2rad(degrees).expand(batch)
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    mirror = -1.0 if flip else 1.0
    linear = torch.stack([torch.stack([mirror * cos, -mirror * sin], -1), torch.stack([sin, cos], -1)], -2)
    shift = (size - 1) / 2 - (linear @ centre[..., None])[..., 0]
    return torch.cat([linear, shift[..., None]], -1)


def apply_affine(
    affine: Float[Tensor, "*#batch 2 3"], points: Float[Tensor, "*#batch J 2"]
) -> Float[Tensor, "*#batch J 2"]:
    """Each point p to A p + b."""
    return points @ affine[..., :2].mT + affine[..., None, :, 2]


def invert_affine(affine: Float[Tensor, "*#batch 2 3"]) -> Float[Tensor, "*#batch 2 3"]:
    """The affine map that undoes `affine`."""
    linear = torch.linalg.inv(affine[..., :2])
    return torch.cat([linear, -linear @ affine[..., 2:]], -1)


def px_to_crop(crop_px: Float[Tensor, "*any"], size: int) -> Float[Tensor, "*any"]:
    """Pixel coordinates of the crop to [-0.5, 0.5]."""
    return Grid.CELL_CENTRED.to_crop(crop_px, size)


def crop_to_px(coordinates: Float[Tensor, "*any"], size: int) -> Float[Tensor, "*any"]:
    """[-0.5, 0.5] to pixel coordinates of the crop."""
    return Grid.CELL_CENTRED.to_cells(coordinates, size)


def cam_to_crop(
    joints_cam_mm: Float[Tensor, "*#batch J 3"],
    camera: Camera,
    affine: Float[Tensor, "*#batch 2 3"],
    *,
    size: int,
    root: int,
) -> Float[Tensor, "*#batch J 3"]:
    """Camera space to crop space: the network's target. Depth becomes relative to the root joint.

    Args:
        joints_cam_mm: In front of the camera.
        camera: Projects them.
        affine: The picture's pixels to the crop's.
        size: Side of the crop, pixels.
        root: The joint that depth is measured from.
    """
    planar = px_to_crop(apply_affine(affine, camera.project(joints_cam_mm)), size)
    depth = root_relative(joints_cam_mm, root)[..., 2:] / DEPTH_RANGE_MM
    return torch.cat([planar, depth], -1)


def crop_to_cam(
    joints_crop: Float[Tensor, "*#batch J 3"],
    camera: Camera,
    affine: Float[Tensor, "*#batch 2 3"],
    *,
    size: int,
    root_depth_mm: Float[Tensor, "*#batch"],
) -> Float[Tensor, "*#batch J 3"]:
    """The inverse of `cam_to_crop`, given how far away the root joint is.

    Args:
        joints_crop: In crop space.
        camera: The picture's camera.
        affine: The picture's pixels to the crop's.
        size: Side of the crop, pixels.
        root_depth_mm: Depth of the root joint, camera space.
    """
    joints_px = apply_affine(invert_affine(affine), crop_to_px(joints_crop[..., :2], size))
    depth_mm = joints_crop[..., 2] * DEPTH_RANGE_MM + root_depth_mm[..., None]
    return camera.back_project(joints_px, depth_mm)


def recover_root_depth(
    rays: Float[Tensor, "*#batch J 2"],
    depth_root_rel_mm: Float[Tensor, "*#batch J"],
    bones: tuple[tuple[int, int], ...],
    bone_lengths_mm: Float[Tensor, "*#batch E"],
    *,
    nearest_mm: float = 500.0,
    farthest_mm: float = 20000.0,
) -> Float[Tensor, "*#batch"]:
    """How far away the root must be for the bones to have the lengths they should have.

    Every joint lies on its ray at depth d + δ, so bone e is a vector a_e d + b_e, and the one unknown
    d is found by minimising Σ (‖a_e d + b_e‖ - L_e)²: first over a ladder of depths, then by
    Gauss-Newton steps. The alternative to being told the root's depth.

    Args:
        rays: Where each joint is seen, as (x/z, y/z) (`Camera.rays`).
        depth_root_rel_mm: δ, each joint's depth behind the root.
        bones: E pairs of joints.
        bone_lengths_mm: The lengths they should have.
        nearest_mm, farthest_mm: The range of depths considered.

    Returns:
        The root's depth; NaN where no bone tells, as when each points straight along its ray.

    Raises:
        ValueError: If the number of lengths differs from the number of bones, or the range is empty.
    """
    if not 0 < nearest_mm < farthest_mm:
        raise ValueError(f"expected 0 < `nearest_mm` < `farthest_mm`, got {nearest_mm} and {farthest_mm}")
    if bone_lengths_mm.shape[-1] != len(bones):
        raise ValueError(
            f"`bone_lengths_mm` must have one length for each of {len(bones)} bones, "
            f"got {bone_lengths_mm.shape[-1]}"
        )
    homogeneous = torch.cat([rays, torch.ones_like(rays[..., :1])], -1)
    heads, tails = [child for _, child in bones], [parent for parent, _ in bones]
    offsets = homogeneous * depth_root_rel_mm[..., None]
    slope = homogeneous[..., heads, :] - homogeneous[..., tails, :]  # a, (*batch, E, 3)
    start = offsets[..., heads, :] - offsets[..., tails, :]  # b

    ladder = torch.logspace(
        math.log10(nearest_mm), math.log10(farthest_mm), 200, dtype=rays.dtype, device=rays.device
    )
    ladder = ladder.view(-1, *[1] * (slope.ndim - 1))  # (200, 1, …)
    misfit = ((slope * ladder[..., None] + start).norm(dim=-1) - bone_lengths_mm).square().sum(-1)
    depth = ladder.flatten()[misfit.argmin(0)]
    for _ in range(10):
        vectors = slope * depth[..., None, None] + start
        lengths = vectors.norm(dim=-1).clamp_min(1e-6)
        gradient = (vectors * slope).sum(-1) / lengths
        step = (gradient * (lengths - bone_lengths_mm)).sum(-1) / gradient.square().sum(-1).clamp_min(1e-12)
        depth = (depth - step).clamp(nearest_mm, farthest_mm)
    telling = slope.square().sum((-2, -1)) > 1e-12
    return torch.where(telling, depth, torch.nan)


def procrustes(
    predicted: Float[Tensor, "*batch J 3"],
    target: Float[Tensor, "*batch J 3"],
    *,
    with_scale: bool = True,
    allow_reflection: bool = False,
    valid: Bool[Tensor, "*batch J"] | None = None,
    solver: Solver = "svd",
) -> Float[Tensor, "*batch J 3"]:
    """The prediction laid over the target as closely as a similarity (or rigid) motion allows.

    Args:
        predicted: The pose that is moved. The order matters: aligning the target instead gives
            another, smaller or larger, number.
        target: The pose that stays.
        with_scale: Also scale; the literature's PA-MPJPE does.
        allow_reflection: Also mirror. A mirrored person is a wrong answer, so off by default.
        valid: Joints that take part; all where left out.
        solver: Finds the rotation: "svd" is RoMa's, "jacobi" `rotation.best_rotation`, which is faster for
            many float64 poses, in particular on a GPU, and has no gradient. Where several rotations are
            equally good, as onto joints in a line, the two may choose differently.

    Raises:
        ValueError: If the shapes differ, or the solver is unknown or cannot reflect.

    Source: Umeyama 1991.
    """
    if solver not in get_args(Solver):
        raise ValueError(f"`solver` must be 'svd' or 'jacobi', got {solver!r}")
    if solver == "jacobi" and allow_reflection:
        raise ValueError("solver='jacobi' finds rotations only: use solver='svd' with allow_reflection=True")
    if predicted.shape != target.shape:
        raise ValueError(
            "`predicted` and `target` must have one shape, "
            f"got {tuple(predicted.shape)} and {tuple(target.shape)}"
        )

    def centred(joints: Tensor) -> tuple[Tensor, Tensor]:
        """The joints about the mean of those that take part; the others are 0, and may hold NaN."""
        if valid is None:
            mean = joints.mean(-2, keepdim=True)
            return joints - mean, mean
        mean = torch.where(valid[..., None], joints, 0).sum(-2, keepdim=True) / count
        return torch.where(valid[..., None], joints - mean, 0), mean

    count = predicted.new_ones(()) if valid is None else valid.sum(-1)[..., None, None].clamp_min(1)
    moving, moving_mean = centred(predicted)
    fixed, fixed_mean = centred(target)
    covariance = fixed.mT @ moving
    if solver == "jacobi":
        rotation, trace = best_rotation(covariance.reshape(-1, 3, 3))
        rotation, trace = rotation.reshape(covariance.shape), trace.reshape(covariance.shape[:-2])
    else:
        import roma  # only here, so that the rest of the library runs without it

        rotation, singular = roma.procrustes(
            covariance, force_rotation=not allow_reflection, return_singular_values=True, method="svd"
        )
        trace = singular.sum(-1)
    scale = predicted.new_ones(())
    if with_scale:
        spread = moving.square().sum((-2, -1))  # 0 when all joints coincide: leave such a pose unscaled
        scale = torch.where(spread > 0, trace / spread.clamp_min(1e-12), 1.0)[..., None, None]
    return (predicted - moving_mean) @ (scale * rotation).mT + fixed_mean
