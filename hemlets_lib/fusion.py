"""Fewer layers that compute the same: algebra on convolutions, for networks that are done training.

A convolution, and a batch normalisation in evaluation mode, are linear. Two linear layers with nothing
between them are one; two that read the same input are one with more channels. What comes out differs by
rounding alone. The functions return new layers and leave those they are given as they are.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from itertools import pairwise
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

__all__ = [
    "compiled_or_eager",
    "compose",
    "composing_pays",
    "fold_batch_norms",
    "join_transposed",
    "split_by_input",
]

_Module = TypeVar("_Module", bound=nn.Module)


def fold_batch_norms(module: _Module) -> _Module:
    """A copy in evaluation mode whose batch normalisations are part of the convolutions before them.

    With y = γ (W∗x + b - μ) / s + β and s = √(σ² + ε), the folded layer has the kernel γ W / s and the bias
    γ (b - μ) / s + β. A normalisation that follows something else stays.

    Args:
        module: Where a convolution and its normalisation follow each other among one module's children.

    Returns:
        Identities stand where the normalisations were.
    """
    folded = copy.deepcopy(module).eval()
    for parent in list(folded.modules()):
        for (name, layer), (norm_name, norm) in pairwise(list(parent.named_children())):
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) and isinstance(norm, nn.BatchNorm2d):
                transposed = isinstance(layer, nn.ConvTranspose2d)
                setattr(parent, name, fuse_conv_bn_eval(layer, norm, transpose=transposed))
                setattr(parent, norm_name, nn.Identity())
    return folded


def compose(inner: nn.Conv2d, outer: nn.Conv2d) -> nn.Conv2d:
    """One convolution for a k x k one and the 1 x 1 one that reads its output, with nothing between.

    The outer layer mixes channels at each cell by itself: W_o (W_i∗x + b_i) + b_o = (W_o W_i)∗x + W_o b_i
    + b_o. The inner layer pads its input, and its bias is the same at the border as elsewhere, so this
    holds at the border too. With the kernels the other way round it would not.

    Args:
        inner: Reads the input; ungrouped. Any kernel, stride and zero padding.
        outer: Reads what `inner` gives; ungrouped, kernel and stride 1, no padding.

    Raises:
        ValueError: If the outer layer is not of that kind, or does not read as many channels.
    """
    if outer.kernel_size != (1, 1) or outer.stride != (1, 1) or outer.padding != (0, 0):
        raise ValueError(
            "`outer` must be a 1x1 convolution of stride 1 without padding, got kernel "
            f"{outer.kernel_size}, stride {outer.stride}, padding {outer.padding}. Leave the two apart."
        )
    if outer.groups != 1 or inner.groups != 1 or outer.in_channels != inner.out_channels:
        raise ValueError(
            f"`outer` must read all {inner.out_channels} channels of `inner`, got {outer.in_channels} and "
            f"groups {inner.groups} and {outer.groups}. Leave the two apart."
        )
    mix = outer.weight.flatten(1)  # (outputs, between)
    with torch.no_grad():
        weight = torch.einsum("om,mikl->oikl", mix, inner.weight)
        bias = mix.new_zeros(len(mix)) if outer.bias is None else outer.bias.clone()
        if inner.bias is not None:
            bias += mix @ inner.bias
    return _like(inner, weight, bias)


def composing_pays(inner: nn.Conv2d, outer: nn.Conv2d) -> bool:
    """Whether `compose` of the two multiplies less: not if the outer layer has far more outputs."""
    return outer.out_channels * inner.weight[0].numel() < inner.weight.numel() + outer.weight.numel()


def split_by_input(layer: nn.Conv2d, channels: int) -> tuple[nn.Conv2d, nn.Conv2d]:
    """Two convolutions whose outputs add up to the layer's: W [x, y] + b = (W_x x + b) + W_y y.

    Args:
        layer: Reads x and y one after the other; ungrouped.
        channels: How many of them are x's.

    Returns:
        For x, with the bias, and for y, without.

    Raises:
        ValueError: If either would have no channels.
    """
    if not 0 < channels < layer.in_channels or layer.groups != 1:
        raise ValueError(
            f"`channels` must be between 1 and {layer.in_channels - 1} of an ungrouped layer, got {channels} "
            f"and groups {layer.groups}."
        )
    weight = layer.weight.detach()
    return (
        _like(layer, weight[:, :channels].clone(), None if layer.bias is None else layer.bias.clone()),
        _like(layer, weight[:, channels:].clone(), None),
    )


def join_transposed(first: nn.ConvTranspose2d, second: nn.ConvTranspose2d) -> nn.ConvTranspose2d:
    """One transposed convolution for two that read the same input: its channels are theirs in turn.

    Args:
        first, second: Alike but for their weights and numbers of output channels; ungrouped.

    Raises:
        ValueError: If they differ in more.
    """
    names = ("in_channels", "kernel_size", "stride", "padding", "output_padding", "dilation", "groups")
    for name in names:
        one, other = getattr(first, name), getattr(second, name)
        if one != other or (name == "groups" and one != 1):
            raise ValueError(
                f"`first` and `second` must be ungrouped and agree in {name}, got {one} and {other}. "
                "Leave the two apart."
            )
    biases = [
        layer.weight.new_zeros(layer.out_channels) if layer.bias is None else layer.bias
        for layer in (first, second)
    ]
    with torch.no_grad():
        weight, bias = torch.cat([first.weight, second.weight], dim=1), torch.cat(biases)
    made: dict[str, Any] = {name: getattr(first, name) for name in names}
    joined = nn.ConvTranspose2d(out_channels=weight.shape[1], **made, device="meta")
    joined.weight, joined.bias = nn.Parameter(weight), nn.Parameter(bias)
    return joined.train(first.training)


def _like(layer: nn.Conv2d, weight: Tensor, bias: Tensor | None) -> nn.Conv2d:
    """A convolution that moves over its input as `layer` does."""
    names = ("kernel_size", "stride", "padding", "dilation", "padding_mode")
    like: dict[str, Any] = {name: getattr(layer, name) for name in names}
    made = nn.Conv2d(weight.shape[1], weight.shape[0], **like, bias=bias is not None, device="meta")
    made.weight = nn.Parameter(weight.detach())
    if bias is not None:
        made.bias = nn.Parameter(bias.detach())
    return made.train(layer.training)


def compiled_or_eager(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """`torch.compile` of a function, which runs the function itself where that does not work.

    The compiler runs at the first call, and needs what a reader may lack: a C++ compiler, or Triton.

    Args:
        function: Of tensors.
        options: Of `torch.compile`.

    Returns:
        A function that gives the same. It warns once if it could not be compiled.
    """
    tried: list[Callable[..., Any]] = [torch.compile(function, **options)]  # empty once it has failed

    def run(*arguments: Any) -> Any:
        for compiled in tuple(tried):
            try:
                return compiled(*arguments)
            except torch.OutOfMemoryError:  # of this call alone
                raise
            except Exception as error:  # whatever the compiler of some machine raises
                result = function(*arguments)  # if this fails too, compiling was not to blame
                if tried:
                    tried.clear()
                    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
                    warnings.warn(
                        f"torch.compile failed ({reason:.200}); the network runs uncompiled, "
                        "which is slower. It needs a C++ compiler on a CPU, and Triton on a GPU.",
                        RuntimeWarning,
                        stacklevel=2,
                    )
                return result
        return function(*arguments)

    return run
