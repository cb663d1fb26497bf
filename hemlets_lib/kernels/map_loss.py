"""Target maps that are described instead of drawn, and the squared error of predictions against them.

Every target map shows the larger of at most two Gaussians, and a Gaussian is the product of two profiles.
`Drawing` holds the profiles and which joints each map shows: enough to know any cell's value. `draw` makes
the maps; `squared_errors` reads the predictions once and compares them with values made on the spot, and
once more for the gradient, so that neither maps nor differences are ever stored.

The readable forms are `triplets.encode_triplets`, `heatmaps.render_heatmaps` and `losses.hem_loss`.
"""

from __future__ import annotations

import functools
import importlib
import warnings
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from hemlets_lib.kernels.threads import in_shares

__all__ = ["Drawing", "can_compare", "squared_errors"]

_BITS = {torch.float32: torch.int32, torch.bfloat16: torch.int16}  # what the compiled functions read
_CELLS_PER_THREAD = 2**18  # 0.1 ms of work


@dataclass(frozen=True, eq=False)
class Drawing:
    """Maps of a batch, each the larger of at most two joints' Gaussians.

    Args:
        along_x: Each joint's profile along x, from `heatmaps.gaussian_profiles`; 0 for a missing joint.
        along_y: The same along y.
        shown: The two joints of each map; J stands for none, and a map of one joint names it first. The
            maps may have several axes, such as K parts and S states.
    """

    along_x: Float[Tensor, "B J W"]
    along_y: Float[Tensor, "B J H"]
    shown: Int[Tensor, "B *maps 2"]

    @property
    def shape(self) -> torch.Size:
        """Of the maps: (B, …, H, W)."""
        return torch.Size([*self.shown.shape[:-1], self.along_y.shape[-1], self.along_x.shape[-1]])

    def draw(self) -> Float[Tensor, "B *maps H W"]:
        """The maps."""
        along = (self.along_x, self.along_y)
        if not _is_plain(*along) or any(each.dtype != torch.float32 or each.requires_grad for each in along):
            return self._drawn_by_torch()
        out = torch.empty(self.shape)
        shares = {"most": out.numel() // _CELLS_PER_THREAD}
        in_shares(_compiled().draw, len(out), *self._arrays(), out.flatten(1, -3).numpy(), **shares)
        return out

    def _drawn_by_torch(self) -> Tensor:
        shown = self.shown.flatten(1, -2)  # (B, M, 2)

        def outer(which: int) -> Tensor:
            chosen = shown[..., which, None]
            x, y = (
                torch.nn.functional.pad(along, (0, 0, 0, 1)).gather(1, chosen.expand(-1, -1, along.shape[-1]))
                for along in (self.along_x, self.along_y)
            )
            return y[..., :, None] * x[..., None, :]

        return torch.maximum(outer(0), outer(1)).reshape(self.shape)

    def _arrays(self) -> tuple[Any, ...]:
        along = (self.along_x.contiguous().numpy(), self.along_y.contiguous().numpy())
        return (*along, self.shown.flatten(1, -2).contiguous().numpy())


def can_compare(predicted: Tensor, target: Drawing) -> bool:
    """Whether `squared_errors` takes these predictions, here and now; else draw, and compare as written.

    It does for float32 and bfloat16 on the CPU, from a channels-last network, not while one is compiled,
    traced or exported.
    """
    if not _is_plain(predicted, target.along_x) or predicted.dtype not in _BITS or not predicted.numel():
        return False
    step = 1  # from map to map: side by side in each cell
    for axis in reversed(range(1, predicted.ndim - 2)):
        if predicted.stride(axis) != step:
            return False
        step *= predicted.shape[axis]
    rows, columns = predicted.stride()[-2:]
    return target.along_x.dtype == torch.float32 and columns >= step and rows == columns * predicted.shape[-1]


def squared_errors(
    predicted: Float[Tensor, "B M *more H W"], target: Drawing, counted: Bool[Tensor, "B M"]
) -> Float[Tensor, "B"]:
    """Σ (prediction - target)² of each sample, over the maps that count; float32.

    The result does not depend on the number of threads.

    Args:
        predicted: For which `can_compare` holds.
        target: The maps, of the same shape.
        counted: Along the maps' first axis. What does not count may be NaN and has no gradient.

    Source: Eq. (3) and (4), without their means.
    """
    return _SquaredErrors.apply(predicted, target, counted)


class _SquaredErrors(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, predicted: Tensor, target: Drawing, counted: Tensor) -> Tensor:
        out = torch.empty(len(predicted), dtype=torch.float64)
        _over_samples(_compiled().squared_error, predicted, target, counted, out.numpy())
        ctx.save_for_backward(predicted, counted)
        ctx.target = target
        return out.float()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        predicted, counted = ctx.saved_tensors
        if torch.is_grad_enabled():  # someone wants the gradient's own gradient
            ones = [1] * (predicted.ndim - 2)
            error = predicted.float() - ctx.target.draw()
            error = torch.where(counted.view(*counted.shape, *ones), error, 0)
            return (2 * error * gradient.view(-1, 1, *ones)).to(predicted.dtype), None, None
        scale = (2 * gradient).contiguous().numpy()
        cells = predicted.shape[-2:]
        out = torch.empty(len(predicted), *cells, predicted[0, ..., 0, 0].numel(), dtype=predicted.dtype)
        bits = out.view(_BITS[out.dtype]).numpy()
        _over_samples(_compiled().gradient, predicted, ctx.target, counted, scale, bits)
        return out.permute(0, 3, 1, 2).reshape(predicted.shape), None, None


def _over_samples(function: Any, predicted: Tensor, target: Drawing, counted: Tensor, *more: Any) -> None:
    predicted = predicted.detach()
    samples, cells = len(predicted), predicted.shape[-2] * predicted.shape[-1]
    steps, maps = (predicted.stride(0), predicted.stride(-1)), predicted[0, ..., 0, 0].numel()
    last = (samples - 1) * steps[0] + (cells - 1) * steps[1] + maps
    flat = predicted.as_strided((last,), (1,)).view(_BITS[predicted.dtype]).numpy()
    keep = counted.repeat_interleave(maps // counted.shape[1], 1).numpy()
    most = predicted.numel() // _CELLS_PER_THREAD
    in_shares(function, samples, flat, *steps, *target._arrays(), keep, *more, most=most)


def _is_plain(*tensors: Tensor) -> bool:
    """Ordinary tensors on the CPU, and a compiler for them."""
    if torch.compiler.is_compiling() or torch.jit.is_tracing():
        return False
    # No public word for these two: torch.func's transforms, and modes such as make_fx's.
    if torch._C._are_functorch_transforms_active() or torch._C._len_torch_dispatch_stack():
        return False
    here = all(type(each) is Tensor and each.device.type == "cpu" for each in tensors)  # no Parameter, say
    return here and _compiled() is not None


@functools.cache
def _compiled() -> Any:
    """The compiled functions, or None, said once, where numba is missing."""
    try:
        return importlib.import_module("hemlets_lib.kernels.map_loss_cpu")
    except ImportError as error:
        warnings.warn(f"maps are drawn and compared in the readable, slower form: {error}", stacklevel=4)
        return None
