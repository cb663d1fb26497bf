"""Soft-argmax of volumes in one pass forward and one backward; no volume of probabilities is kept.

`soft_argmax_3d_fused` gives what `heatmaps.soft_argmax_3d`, the readable form, gives, and its gradient. Of a
volume it keeps five numbers beside the logits: their maximum, the sum of exponentials, and the expected place
E. The gradient follows from the logits p was made of:

    ∂L/∂logit(c) = p(c) · Σ over axes a of ∂L/∂E_a · (place_a(c) - E_a)

Where the kernels do not apply, the readable form is used: for float64, on devices other than CPU and CUDA,
where numba or Triton is missing or fails, while a network is traced, compiled or exported, and inside
`torch.func`'s transforms. A second derivative goes through the readable form too. Small volumes on a CPU are
left to it because a kernel's call would take as long.
"""

from __future__ import annotations

import functools
import importlib
import warnings
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from hemlets_lib.geometry import Grid
from hemlets_lib.heatmaps import soft_argmax_3d
from hemlets_lib.kernels.threads import in_shares

__all__ = ["is_fused", "soft_argmax_3d_fused"]

_LOGITS = (torch.float32, torch.bfloat16, torch.float16)
_BITS = {torch.float32: torch.int32, torch.bfloat16: torch.int16}  # what the CPU's kernels read
_FEWEST_CELLS = 2**12  # of a volume; with fewer, the readable form is as fast on a CPU
_CELLS_PER_THREAD = 2**18  # 0.1 ms of work, which a thread is worth waking for


def soft_argmax_3d_fused(
    volume_logits: Float[Tensor, "*batch D H W"], *, grid: Grid | str = Grid.CELL_CENTRED
) -> Float[Tensor, "*batch 3"]:
    """As `heatmaps.soft_argmax_3d`, in one pass over the logits.

    Both contiguous volumes and those of a channels-last network, (B, J·D, H, W) with its channels split
    into joints and depths, are taken as they lie in memory, and so is the gradient; others are copied.
    The result does not depend on the number of threads.

    Args:
        volume_logits: Unnormalised scores; D is depth, away from the camera.
        grid: The integral's grid; the one the model was trained with.

    Returns:
        (x, y, z) in [-0.5, 0.5], in float32 for half-precision input, else in the input's type.

    Source: Eq. (5), after Sun et al. 2018.
    """
    if not is_fused(volume_logits):
        return soft_argmax_3d(volume_logits, grid=grid)
    *batch, depth, height, width = volume_logits.shape
    if volume_logits.dtype == torch.float16 and not volume_logits.is_cuda:
        volume_logits = volume_logits.float()  # numba knows no float16
    joints = batch[-1] if batch else 1
    volumes = volume_logits.reshape(-1, joints, depth, height, width)
    if not _by_channels(volumes):
        volumes = volumes.contiguous()
    return _SoftArgmax.apply(volumes, Grid(grid)).reshape(*batch, 3)


def is_fused(volume_logits: Tensor) -> bool:
    """Whether `soft_argmax_3d_fused` uses a kernel for this tensor, here and now."""
    if torch.compiler.is_compiling() or torch.jit.is_tracing():
        return False
    if type(volume_logits) not in (Tensor, torch.nn.Parameter):  # such as torch.fx's stand-ins
        return False
    # No public word for these two: torch.func's transforms, and modes such as make_fx's.
    if torch._C._are_functorch_transforms_active() or torch._C._len_torch_dispatch_stack():
        return False
    if volume_logits.dtype not in _LOGITS or volume_logits.ndim < 3 or not volume_logits.numel():
        return False
    if volume_logits.device.type == "cpu":
        cells = volume_logits.shape[-3:].numel()  # and not those of the batch, whose size shall not matter
        return cells >= _FEWEST_CELLS and _kernels("cpu") is not None
    return volume_logits.is_cuda and _kernels("triton") is not None


@functools.cache
def _kernels(kind: str) -> Any:
    """The module of the CPU's or Triton's kernels, or None, said once, where what it needs is missing.

    Triton is tried on a volume of one cell: besides a GPU of some age it needs a C compiler, and says so
    no earlier.
    """
    try:
        module = importlib.import_module(f"hemlets_lib.kernels.soft_argmax_{kind}")
        if kind == "triton":
            module.forward(torch.zeros(1, 1, 1, 1, 1, device="cuda"), Grid.CELL_CENTRED)
        return module
    except Exception as error:  # of whatever kind: the readable form will do
        warnings.warn(f"soft-argmax takes its readable, slower form: {error}", stacklevel=4)
        return None


@functools.lru_cache(maxsize=32)
def _places(grid: Grid, depth: int, height: int, width: int) -> tuple[np.ndarray, ...]:
    """Crop coordinates of the columns, rows and slices, and x and y of each cell of a slice."""
    x, y, z = (grid.centres(n, device=torch.device("cpu")).numpy() for n in (width, height, depth))
    return x, y, z, np.tile(x, height), np.repeat(y, width)


def _by_channels(volumes: Tensor) -> bool:
    """Whether (B, J, D, H, W) volumes lie as (B, H, W, J, D)."""
    return not volumes.is_contiguous() and volumes.permute(0, 3, 4, 1, 2).is_contiguous()


def _empty_like(volumes: Tensor) -> Tensor:
    """Memory for as many numbers in the same layout."""
    if not _by_channels(volumes):
        return torch.empty(volumes.shape, dtype=volumes.dtype, device=volumes.device)
    by_channels = volumes.permute(0, 3, 4, 1, 2)
    return torch.empty(by_channels.shape, dtype=volumes.dtype, device=volumes.device).permute(0, 3, 4, 1, 2)


def _bits(volumes: Tensor) -> np.ndarray:
    """The kernels' view: (B·H, W, J·D) of volumes by channels, else (B·J, D, H·W)."""
    if _by_channels(volumes):
        flat = volumes.permute(0, 3, 4, 1, 2).flatten(0, 1).flatten(2, 3)
    else:
        flat = volumes.flatten(0, 1).flatten(2, 3)
    return flat.view(_BITS[volumes.dtype]).numpy()


def _forward_cpu(volumes: Tensor, grid: Grid) -> Tensor:
    """The statistics, (B, J, 5)."""
    kernels = _kernels("cpu")
    batch, joints, depth, height, width = volumes.shape
    x, y, z, cells_x, cells_y = _places(grid, depth, height, width)
    bits, most = _bits(volumes), volumes.numel() // _CELLS_PER_THREAD
    statistics = torch.empty(batch, joints, len(kernels.STATISTICS), dtype=torch.float32, device="cpu")
    if _by_channels(volumes):
        partial = np.empty((batch * height, joints, 4), np.float32)
        in_shares(kernels.forward_by_channels, len(bits), bits, x, z, partial, most=most)
        kernels.merge_rows(partial.reshape(batch, height, joints, 4), y, statistics.numpy())
    else:
        written = statistics.flatten(0, 1).numpy()
        in_shares(kernels.forward_by_rows, len(bits), bits, cells_x, cells_y, z, written, most=most)
    return statistics


def _backward_cpu(volumes: Tensor, grid: Grid, statistics: Tensor, gradient: Tensor, out: Tensor) -> None:
    """Writes the logits' gradient into `out`."""
    kernels = _kernels("cpu")
    x, y, z, cells_x, cells_y = _places(grid, *volumes.shape[2:])
    bits, most = _bits(volumes), volumes.numel() // _CELLS_PER_THREAD
    if _by_channels(volumes):
        given = (statistics.numpy(), gradient.numpy())
        in_shares(kernels.backward_by_channels, len(bits), bits, x, y, z, *given, _bits(out), most=most)
    else:
        given = (statistics.flatten(0, 1).numpy(), gradient.flatten(0, 1).numpy())
        places = (cells_x, cells_y, z)
        in_shares(kernels.backward_by_rows, len(bits), bits, *places, *given, _bits(out), most=most)


class _SoftArgmax(torch.autograd.Function):
    """(B, J, D, H, W) logits → (B, J, 3) expected places."""

    @staticmethod
    def forward(ctx: Any, volumes: Tensor, grid: Grid) -> Tensor:
        forward = _kernels("triton").forward if volumes.is_cuda else _forward_cpu
        statistics = forward(volumes, grid)
        ctx.save_for_backward(volumes, statistics)
        ctx.grid = grid
        return statistics[..., 2:].clone()  # a view would be written to where the caller writes

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        volumes, statistics = ctx.saved_tensors
        if torch.is_grad_enabled():  # someone wants the gradient's own gradient
            places = soft_argmax_3d(volumes, grid=ctx.grid)
            return torch.autograd.grad(places, volumes, gradient, create_graph=True)[0], None
        backward = _kernels("triton").backward if volumes.is_cuda else _backward_cpu
        out = _empty_like(volumes)
        backward(volumes, ctx.grid, statistics, gradient.contiguous(), out)
        return out, None
