"""The soft-argmax of volumes in one pass over their logits, in Triton, for GPUs.

The readable form is `heatmaps.soft_argmax_3d`. A volume is split over several programs, for a batch has
fewer volumes than a GPU has room for; each goes through its pixels in tiles (pixels, depths) and keeps a
running maximum and the sums below it (online softmax). A second, small kernel merges the parts in order: no
sum depends on which program ends first. The backward pass makes the probabilities anew from the logits.

One kernel serves all layouts: it is told how far apart joints, depths and pixels lie. Whether volumes are
contiguous or by channels, a tile's shorter stride is 1 and its reads are whole lines of memory.

Source: Eq. (5). Milakov and Gimelshein 2018 for the online softmax.
"""

from __future__ import annotations

import functools

import torch
import triton
import triton.language as tl
from torch import Tensor

from hemlets_lib.geometry import Grid

__all__ = ["backward", "forward"]

_STATISTICS = 5  # of a volume: maximum, 1 / sum of exponentials, x, y, z
_TILE = 4096  # logits, 32 for each thread of four warps
_PROGRAMS = 2048  # aimed at: many times the 100 to 150 multiprocessors of a large GPU


@triton.jit
def _forward_part(
    logits, at_x, at_y, at_z, partial, joints, stride_b, stride_j, stride_d, stride_p,
    depth, cells, width, share: tl.constexpr, tile_p: tl.constexpr, tile_d: tl.constexpr,
):  # fmt: skip
    """One part of one volume: maximum, sum of exponentials, the same weighted with x, y, z."""
    volume = tl.program_id(0)
    part = tl.program_id(1)
    start = (volume // joints).to(tl.int64) * stride_b + (volume % joints).to(tl.int64) * stride_j
    d = tl.arange(0, tile_d)
    z = tl.load(at_z + d, mask=d < depth, other=0.0)
    maximum = float("-inf")
    total, total_x, total_y, total_z = 0.0, 0.0, 0.0, 0.0
    for first in range(0, share, tile_p):
        p = part * share + first + tl.arange(0, tile_p)
        x = tl.load(at_x + p % width, mask=p < cells, other=0.0)
        y = tl.load(at_y + p // width, mask=p < cells, other=0.0)
        place = start + p.to(tl.int64)[:, None] * stride_p + d.to(tl.int64)[None, :] * stride_d
        inside = (p < cells)[:, None] & (d < depth)[None, :]
        tile = tl.load(logits + place, mask=inside, other=float("-inf")).to(tl.float32)
        higher = tl.maximum(maximum, tl.max(tl.max(tile, 1), 0))
        # Nothing is taken from -inf: exp of it shall be 0, and not NaN, while higher cells may follow.
        reference = tl.where(higher == float("-inf"), 0.0, higher)
        scale = tl.exp(maximum - reference)
        e = tl.exp(tile - reference)
        over_depth = tl.sum(e, 1)
        total = total * scale + tl.sum(over_depth, 0)
        total_x = total_x * scale + tl.sum(over_depth * x, 0)
        total_y = total_y * scale + tl.sum(over_depth * y, 0)
        total_z = total_z * scale + tl.sum(tl.sum(e, 0) * z, 0)
        maximum = higher
    written = partial + (volume * tl.num_programs(1) + part) * 5
    tl.store(written, maximum)
    tl.store(written + 1, total)
    tl.store(written + 2, total_x)
    tl.store(written + 3, total_y)
    tl.store(written + 4, total_z)


@triton.jit
def _merge_parts(partial, statistics, parts: tl.constexpr):
    """A volume's statistics from those of its parts."""
    volume = tl.program_id(0)
    of_part = partial + (volume * parts + tl.arange(0, parts)) * 5
    maxima = tl.load(of_part)
    maximum = tl.max(maxima, 0)
    scale = tl.exp(maxima - tl.where(maximum == float("-inf"), 0.0, maximum))
    total = tl.sum(tl.load(of_part + 1) * scale, 0)
    written = statistics + volume * 5
    tl.store(written, maximum)
    tl.store(written + 1, 1.0 / total)
    tl.store(written + 2, tl.sum(tl.load(of_part + 2) * scale, 0) / total)
    tl.store(written + 3, tl.sum(tl.load(of_part + 3) * scale, 0) / total)
    tl.store(written + 4, tl.sum(tl.load(of_part + 4) * scale, 0) / total)


@triton.jit
def _backward_part(
    logits, at_x, at_y, at_z, statistics, gradient, out, joints, stride_b, stride_j, stride_d, stride_p,
    depth, cells, width, share: tl.constexpr, tile_p: tl.constexpr, tile_d: tl.constexpr,
):  # fmt: skip
    """The gradient in one part of one volume: p · Σ over axes of g (place - expected place)."""
    volume = tl.program_id(0)
    part = tl.program_id(1)
    start = (volume // joints).to(tl.int64) * stride_b + (volume % joints).to(tl.int64) * stride_j
    maximum = tl.load(statistics + volume * 5)
    scale = tl.load(statistics + volume * 5 + 1)
    mean_x = tl.load(statistics + volume * 5 + 2)
    mean_y = tl.load(statistics + volume * 5 + 3)
    mean_z = tl.load(statistics + volume * 5 + 4)
    g_x = tl.load(gradient + volume * 3) * scale
    g_y = tl.load(gradient + volume * 3 + 1) * scale
    g_z = tl.load(gradient + volume * 3 + 2) * scale
    d = tl.arange(0, tile_d)
    along_z = g_z * (tl.load(at_z + d, mask=d < depth, other=0.0) - mean_z)
    for first in range(0, share, tile_p):
        p = part * share + first + tl.arange(0, tile_p)
        x = tl.load(at_x + p % width, mask=p < cells, other=0.0)
        y = tl.load(at_y + p // width, mask=p < cells, other=0.0)
        planar = g_x * (x - mean_x) + g_y * (y - mean_y)
        place = start + p.to(tl.int64)[:, None] * stride_p + d.to(tl.int64)[None, :] * stride_d
        inside = (p < cells)[:, None] & (d < depth)[None, :]
        tile = tl.load(logits + place, mask=inside, other=0.0).to(tl.float32)
        slope = tl.exp(tile - maximum) * (planar[:, None] + along_z[None, :])
        tl.store(out + place, slope.to(out.dtype.element_ty), mask=inside)


@functools.lru_cache(maxsize=32)
def _places(grid: Grid, sizes: tuple[int, int, int], device: torch.device) -> tuple[Tensor, ...]:
    """Crop coordinates of columns, rows and slices, from sizes (D, H, W)."""
    return tuple(grid.centres(n, device=device) for n in reversed(sizes))


def _plan(volumes: Tensor) -> tuple[tuple[int, int], tuple[int, ...], dict[str, int]]:
    """How a kernel is started.

    Returns:
        (volumes, parts), the numbers that say how the logits lie, and the sizes of parts and tiles.
    """
    batch, joints, depth, height, width = volumes.shape
    stride_b, stride_j, stride_d, stride_h, stride_w = volumes.stride()
    cells = height * width
    # Pixels are counted through: by rows they are next to each other, by channels a pixel's channels apart.
    stride_p = stride_w if width > 1 else stride_h
    tile_d = triton.next_power_of_2(depth)
    tile_p = min(max(1, _TILE // tile_d), triton.next_power_of_2(cells))
    tiles = triton.next_power_of_2(triton.cdiv(cells, tile_p))
    parts = min(tiles, triton.next_power_of_2(triton.cdiv(_PROGRAMS, batch * joints)))
    lie = (joints, stride_b, stride_j, stride_d, stride_p, depth, cells, width)
    return (
        (batch * joints, parts),
        lie,
        {"share": tiles // parts * tile_p, "tile_p": tile_p, "tile_d": tile_d},
    )


def forward(volumes: Tensor, grid: Grid) -> Tensor:
    """What `backward` needs to know of volumes, and the expected places.

    Args:
        volumes: (B, J, D, H, W) logits, whose rows of pixels follow each other evenly.
        grid: The integral's grid.

    Returns:
        (B, J, 5) float32: maximum, 1 / sum of exponentials, x, y, z.
    """
    programs, lie, tiles = _plan(volumes)
    partial = torch.empty(*programs, _STATISTICS, dtype=torch.float32, device=volumes.device)
    statistics = torch.empty_like(partial[:, 0]).unflatten(0, volumes.shape[:2])
    places = _places(grid, tuple(volumes.shape[2:]), volumes.device)
    with torch.cuda.device_of(volumes):
        _forward_part[programs](volumes, *places, partial, *lie, **tiles)
        _merge_parts[programs[:1]](partial, statistics, programs[1])
    return statistics


def backward(volumes: Tensor, grid: Grid, statistics: Tensor, gradient: Tensor, out: Tensor) -> None:
    """Writes the logits' gradient.

    Args:
        volumes, grid: As `forward` took them.
        statistics: What it gave.
        gradient: (B, J, 3) float32, contiguous, with respect to x, y, z.
        out: In the type and layout of `volumes`; written.
    """
    programs, lie, tiles = _plan(volumes)
    places = _places(grid, tuple(volumes.shape[2:]), volumes.device)
    with torch.cuda.device_of(volumes):
        _backward_part[programs](volumes, *places, statistics, gradient, out, *lie, **tiles)
