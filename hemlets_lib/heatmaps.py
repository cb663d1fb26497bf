"""Heatmaps: Gaussians from joints, and joints back from maps by their expectation.

Contract: joints are in crop space (`geometry`), (x, y) or (x, y, z) in [-0.5, 0.5]. Maps are (…, H, W)
and volumes (…, D, H, W). Gaussians have height 1, or sum 1 (`norm`), and σ in cells.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from hemlets_lib.geometry import Grid

__all__ = [
    "GaussianNorm",
    "default_sigma",
    "gaussian_profiles",
    "peak_2d",
    "peak_height",
    "render_heatmaps",
    "soft_argmax_2d",
    "soft_argmax_3d",
]

GaussianNorm = Literal["height", "sum"]


def default_sigma(size: int | tuple[int, int]) -> float:
    """σ in cells where none is given: 2.0 at 64 cells, in proportion otherwise. Paper silent."""
    return (size if isinstance(size, int) else size[1]) / 32


def peak_height(norm: GaussianNorm, sigma: float) -> float:
    """How high a Gaussian's peak is: 1, or 1 / (2πσ²) where its cells sum to 1.

    Args:
        norm: What is 1, the "height" or the "sum". The paper's 'normalized' could mean either.
        sigma: In cells. Far below half a cell the sum depends on where in its cell the joint is.

    Raises:
        ValueError: If the norm is unknown.

    Source: Paper silent; `height` is the default.
    """
    if norm not in ("height", "sum"):
        raise ValueError(f"`norm` must be 'height' or 'sum', got {norm!r}")
    return 1.0 if norm == "height" else 1 / (2 * math.pi * sigma**2)


def gaussian_profiles(
    joints_crop: Float[Tensor, "*batch C"],
    *,
    size: int | tuple[int, int],
    sigma: float | None = None,
    grid: Grid | str = Grid.CELL_CENTRED,
    valid: Bool[Tensor, "*batch"] | None = None,
    norm: GaussianNorm = "height",
) -> tuple[Float[Tensor, "*batch W"], Float[Tensor, "*batch H"]]:
    """The two 1D Gaussians whose outer product is each joint's 2D Gaussian.

    A missing joint (`valid` False, or coordinates that are not finite) has zero profiles.

    Args:
        joints_crop: (x, y), or (x, y, z) of which z is ignored.
        size: Side of the map in cells, or (H, W).
        sigma: In cells; `default_sigma(size)` where left out.
        grid: How crop space lies over the cells.
        valid: Which joints to draw; all where left out.
        norm: What is 1: each Gaussian's height, or its sum (`peak_height`).

    Returns:
        The profile along x, and the one along y.

    Raises:
        ValueError: If there are fewer than two coordinates, σ is not positive, or the norm is unknown.
    """
    height, width = (size, size) if isinstance(size, int) else size
    sigma = default_sigma(size) if sigma is None else sigma
    if joints_crop.shape[-1] < 2:
        raise ValueError(
            f"`joints_crop` must hold (x, y) or (x, y, z), got {joints_crop.shape[-1]} coordinates"
        )
    if not sigma > 0:
        raise ValueError(f"`sigma` must be positive (cells), got {sigma}")
    planar = joints_crop[..., :2]
    drawn = planar.isfinite().all(-1)
    if valid is not None:
        drawn = drawn & valid
    planar = torch.where(drawn[..., None], planar, 0)
    peak = math.sqrt(peak_height(norm, sigma))  # of each profile; exactly 1 by default

    def profile(axis: int, n: int) -> Tensor:
        cells = torch.arange(n, device=planar.device, dtype=planar.dtype)
        distance = cells - Grid(grid).to_cells(planar[..., axis : axis + 1], n)  # (*batch, n)
        return torch.exp(-0.5 * (distance / sigma).square()) * drawn[..., None] * peak

    return profile(0, width), profile(1, height)


def render_heatmaps(
    joints_crop: Float[Tensor, "B J C"],
    *,
    size: int | tuple[int, int],
    sigma: float | None = None,
    grid: Grid | str = Grid.CELL_CENTRED,
    valid: Bool[Tensor, "B J"] | None = None,
    norm: GaussianNorm = "height",
) -> Float[Tensor, "B J H W"]:
    """One Gaussian per joint, of height 1 by default: the target of the 2D joint loss.

    Args:
        joints_crop: (x, y), or (x, y, z) of which z is ignored.
        size: Side of the map in cells, or (H, W).
        sigma: In cells; `default_sigma(size)` where left out.
        grid: How crop space lies over the cells.
        valid: Which joints to draw; all where left out. A missing joint's map is empty.
        norm: What is 1: each Gaussian's height, or its sum (`peak_height`).

    Source: Eq. (4); the paper's 'normalized' Gaussian is read as height 1.
    """
    along_x, along_y = gaussian_profiles(
        joints_crop, size=size, sigma=sigma, grid=grid, valid=valid, norm=norm
    )
    return along_y[..., :, None] * along_x[..., None, :]


def peak_2d(
    maps: Float[Tensor, "*batch H W"], *, grid: Grid | str = Grid.CELL_CENTRED
) -> tuple[Float[Tensor, "*batch 2"], Float[Tensor, "*batch"]]:
    """Where each map is highest, to a fraction of a cell, and how high.

    The largest cell is refined along each axis by the parabola through the logarithms of it and its
    two neighbours, which is exact for a Gaussian. A largest cell at the border stays as it is.
    Computed in at least float32.

    Returns:
        (x, y) in crop space, and the value at the largest cell.
    """
    height, width = maps.shape[-2:]
    maps = _full_precision(maps)
    value, place = maps.flatten(-2).max(-1)
    row, column = place // width, place % width

    def refine(at: Tensor, n: int, line: Tensor) -> Tensor:
        """`line`: the map along one axis through its largest cell, (*batch, n)."""
        around = (at[..., None] + torch.tensor([-1, 0, 1], device=maps.device)).clamp(0, n - 1)
        low, mid, high = line.gather(-1, around).clamp_min(1e-12).log().unbind(-1)
        bend = low - 2 * mid + high
        inside = (at > 0) & (at < n - 1) & (bend < 0)
        shift = 0.5 * (low - high) / torch.where(inside, bend, 1)
        return at + torch.where(inside, shift.clamp(-0.5, 0.5), 0)

    along_x = maps.gather(-2, row[..., None, None].expand(*row.shape, 1, width))[..., 0, :]
    along_y = maps.gather(-1, column[..., None, None].expand(*row.shape, height, 1))[..., 0]
    grid = Grid(grid)
    x = grid.to_crop(refine(column, width, along_x), width)
    y = grid.to_crop(refine(row, height, along_y), height)
    return torch.stack([x, y], -1), value


def _full_precision(values: Tensor) -> Tensor:
    """float16 and bfloat16 cannot sum 64³ probabilities, nor tell tenths of a cell: float32 instead."""
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values


def _expectation(marginal: Float[Tensor, "*batch n"], grid: Grid | str) -> Float[Tensor, "*batch"]:
    n = marginal.shape[-1]
    centres = Grid(grid).centres(n, device=marginal.device, dtype=marginal.dtype)
    return (marginal * centres).sum(-1)  # not a matrix product: autocast would round that to half precision


def soft_argmax_2d(
    heatmap_logits: Float[Tensor, "*batch H W"], *, grid: Grid | str = Grid.CELL_CENTRED
) -> Float[Tensor, "*batch 2"]:
    """The expected (x, y) under the softmax of each map, in crop space. Eq. (5) without depth."""
    probs = _full_precision(heatmap_logits).flatten(-2).softmax(-1).unflatten(-1, heatmap_logits.shape[-2:])
    return torch.stack([_expectation(probs.sum(-2), grid), _expectation(probs.sum(-1), grid)], -1)


def soft_argmax_3d(
    volume_logits: Float[Tensor, "*batch D H W"], *, grid: Grid | str = Grid.CELL_CENTRED
) -> Float[Tensor, "*batch 3"]:
    """The expected (x, y, z) under the softmax over each joint's whole volume, in crop space.

    Unlike arg-max it is differentiable and not tied to cells. Computed in at least float32, also
    under autocast.

    Args:
        volume_logits: Unnormalised scores; D is depth, away from the camera.
        grid: The integral's grid; the one the model was trained with.

    Returns:
        (x, y, z) in [-0.5, 0.5], in float32 for half-precision input, else in the input's type.

    Source: Eq. (5), after Sun et al. 2018.
    """
    probs = _full_precision(volume_logits).flatten(-3).softmax(-1).unflatten(-1, volume_logits.shape[-3:])
    over_x = probs.sum((-3, -2))  # (*batch, W)
    over_y = probs.sum((-3, -1))  # (*batch, H)
    over_z = probs.sum((-2, -1))  # (*batch, D)
    return torch.stack([_expectation(over, grid) for over in (over_x, over_y, over_z)], -1)
