"""The losses of §3.2, term by term, with masks, so that every kind of label can mix in one batch.

Contract: predictions may be in half precision, the arithmetic is in float32 (or float64 for float64
input). Masks are boolean, True where there is a label. What a mask leaves out is replaced by an exact
zero before any arithmetic: it adds nothing to value or gradient, whatever it holds, NaN included.

Every loss is a mean over the B samples of the batch, those without labels included. Per sample, Eq. 3
and 4 sum over maps and cells, Eq. 6 over joints, as printed. The options `map_reduction`,
`joint_reduction` and `unit` change that, and with it what α in Eq. 8 weighs against what.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from hemlets_lib.geometry import Grid
from hemlets_lib.kernels.map_loss import Drawing, can_compare, squared_errors

__all__ = [
    "ALPHA",
    "LossTerms",
    "Supervision",
    "Targets",
    "heatmap_loss",
    "hem_loss",
    "hemlets_loss",
    "joint_loss",
]

ALPHA = 0.05  # Eq. (8)

Reduction = Literal["sum", "mean"]
Unit = Literal["cells", "crop"]
Supervision = Literal["full", "hemlets", "2d", "none"]  # the rows of Table 4, from the last to the first


@runtime_checkable
class Prediction(Protocol):
    """What is needed of a network's output; `model.HEMletsOutput` is one."""

    @property
    def joints(self) -> Tensor: ...
    @property
    def triplets(self) -> Tensor | None: ...
    @property
    def heatmaps(self) -> Tensor | None: ...


class Targets(NamedTuple):
    """The labels of a batch: every one with its mask, all but the first optional.

    J joints, K parts, S states. A mask left out (None) means that everything is labelled. Maps may be
    described instead of drawn: Eq. (3) and (4) need no maps to compare with.
    """

    joints: Float[Tensor, "B J 3"]  # crop space; z only counts where `has_depth`
    joint_valid: Bool[Tensor, "B J"] | None = None  # the joint's (x, y) and its 2D heatmap are known
    has_depth: Bool[Tensor, "B"] | Bool[Tensor, "B J"] | None = None  # λ of Eq. 6
    triplets: Float[Tensor, "B K S H W"] | Drawing | None = None
    part_mask: Bool[Tensor, "B K"] | None = None  # A of Eq. 3
    heatmaps: Float[Tensor, "B J H W"] | Drawing | None = None


class LossTerms(NamedTuple):
    """The total of Eq. 8 and what it is made of; scalars. Only `total` needs a backward pass."""

    total: Float[Tensor, ""]  # α · intermediate + joints
    intermediate: Float[Tensor, ""]  # hem + heatmap, Eq. 7; before α
    hem: Float[Tensor, ""]  # Eq. 3
    heatmap: Float[Tensor, ""]  # Eq. 4
    joints: Float[Tensor, ""]  # xy + z, Eq. 6
    xy: Float[Tensor, ""]
    z: Float[Tensor, ""]


def hem_loss(
    predicted: Float[Tensor, "B K S H W"],
    target: Float[Tensor, "B K S H W"] | Drawing,
    *,
    mask: Bool[Tensor, "B K"] | None = None,
    reduction: Reduction = "sum",
) -> Float[Tensor, ""]:
    """The HEMlets loss: squared error of the triplets of every labelled part.

    Args:
        predicted: The network's triplets.
        target: From `triplets.encode_triplets`, or described.
        mask: Parts that count, `triplets.part_mask`; all where left out.
        reduction: Over maps and cells: "sum" as printed, or "mean" over all K·S·H·W of them.

    Raises:
        ValueError: If shapes differ, or the mask is not boolean.

    Source: Eq. (3). Paper silent on the reduction.
    """
    return _map_loss(predicted, target, mask, reduction, name="mask")


def heatmap_loss(
    predicted: Float[Tensor, "B J H W"],
    target: Float[Tensor, "B J H W"] | Drawing,
    *,
    valid: Bool[Tensor, "B J"] | None = None,
    reduction: Reduction = "sum",
) -> Float[Tensor, ""]:
    """The auxiliary 2D joint loss: squared error of the heatmaps of every labelled joint.

    Args:
        predicted, target: A map per joint; the target may be described.
        valid: Joints that count; all where left out.
        reduction: As in `hem_loss`.

    Source: Eq. (4). Differs from the paper: there is no mask in it, but MPII labels 16 of the 18 joints.
    """
    return _map_loss(predicted, target, valid, reduction, name="valid")


def joint_loss(
    predicted: Float[Tensor, "B J 3"],
    target: Float[Tensor, "B J 3"],
    *,
    size: tuple[int, int, int],
    valid: Bool[Tensor, "B J"] | None = None,
    has_depth: Bool[Tensor, "B"] | Bool[Tensor, "B J"] | None = None,
    grid: Grid | str = Grid.CELL_CENTRED,
    unit: Unit = "cells",
    reduction: Reduction = "sum",
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """The soft-argmax 3D joint loss, L1, as its two parts: along x and y, and along z.

    Args:
        predicted: Joints in crop space, (x, y, z).
        target: The same; NaN is allowed wherever a mask leaves it out.
        size: (depth, height, width) of the volume in cells, `ModelConfig.volume_size`.
        valid: Joints that count; all where left out.
        has_depth: λ per sample or per joint: whether z is labelled; True where left out.
        grid: How crop space lies over the cells, `ModelConfig.grid`.
        unit: What an error of 1 is: one cell of its axis, or the whole side of the crop.
        reduction: Over joints: "sum" as printed, or "mean" over all J of them.

    Returns:
        Σ|x - x'| + |y - y'| and Σ λ|z - z'|, each a mean over the batch.

    Raises:
        ValueError: If shapes differ, a mask is not boolean, or an option is unknown.

    Source: Eq. (6). Paper silent on the unit; cells make α = 0.05 a balance between Eq. 6 and Eq. 7.
    """
    _check_choice("unit", unit, ("cells", "crop"))
    _check_choice("reduction", reduction, ("sum", "mean"))
    _check_same(predicted, target)
    planar = _mask(valid, predicted.shape[:2], predicted, "valid")
    if has_depth is not None and has_depth.ndim == 1:
        has_depth = has_depth[:, None].expand(-1, predicted.shape[1])
    deep = planar & _mask(has_depth, predicted.shape[:2], predicted, "has_depth")

    counted = torch.stack([planar, planar, deep], -1)  # (B, J, 3)
    difference = torch.where(counted, _full_precision(predicted) - _full_precision(target), 0)
    errors = difference.abs().sum(1) if reduction == "sum" else difference.abs().mean(1)  # (B, 3)
    x, y, z = errors.unbind(-1)
    if unit == "cells":
        depth, height, width = (Grid(grid).cells_per_unit(n) for n in size)
        x, y, z = x * width, y * height, z * depth
    return (x + y).mean(), z.mean()


def hemlets_loss(
    output: Prediction,
    targets: Targets,
    *,
    size: tuple[int, int, int],
    grid: Grid | str = Grid.CELL_CENTRED,
    supervision: Supervision = "full",
    alpha: float = ALPHA,
    map_reduction: Reduction = "sum",
    joint_reduction: Reduction = "sum",
    unit: Unit = "cells",
) -> LossTerms:
    """The end-to-end training loss and its terms.

    Args:
        output: The network's output.
        targets: Labels and masks.
        size: (depth, height, width) of the volume in cells, `ModelConfig.volume_size`.
        grid: `ModelConfig.grid`.
        supervision: Which intermediate terms there are: "full" both, "hemlets" Eq. 3, "2d" Eq. 4,
            "none" only the joints. A term that is not there is zero.
        alpha: Weight of the intermediate terms.
        map_reduction, joint_reduction, unit: See `hem_loss` and `joint_loss`.

    Raises:
        ValueError: If the supervision needs maps that output or targets lack, or as in the terms.

    Source: Eq. (7) and (8); the choices of supervision are those of Table 4.
    """
    _check_choice("supervision", supervision, ("full", "hemlets", "2d", "none"))
    hem = heatmap = torch.zeros((), dtype=_full_precision(output.joints).dtype, device=output.joints.device)
    if supervision in ("full", "hemlets"):
        triplets, wanted = _needed(output.triplets, targets.triplets, "triplets", supervision)
        hem = hem_loss(triplets, wanted, mask=targets.part_mask, reduction=map_reduction)
    if supervision in ("full", "2d"):
        heatmaps, wanted = _needed(output.heatmaps, targets.heatmaps, "heatmaps", supervision)
        heatmap = heatmap_loss(heatmaps, wanted, valid=targets.joint_valid, reduction=map_reduction)
    xy, z = joint_loss(
        output.joints,
        targets.joints,
        size=size,
        valid=targets.joint_valid,
        has_depth=targets.has_depth,
        grid=grid,
        unit=unit,
        reduction=joint_reduction,
    )
    intermediate, joints = hem + heatmap, xy + z
    return LossTerms(alpha * intermediate + joints, intermediate, hem, heatmap, joints, xy, z)


def _map_loss(
    predicted: Tensor, target: Tensor | Drawing, mask: Tensor | None, reduction: Reduction, *, name: str
) -> Tensor:
    """Squared error per map of (B, maps, …), summed or averaged per sample, mean over the batch."""
    _check_choice("reduction", reduction, ("sum", "mean"))
    _check_same(predicted, target)
    counted = _mask(mask, predicted.shape[:2], predicted, name)
    if isinstance(target, Drawing) and can_compare(predicted, target):
        per_sample = squared_errors(predicted, target, counted)
    else:
        drawn = target.draw() if isinstance(target, Drawing) else target
        counted = counted.reshape(*counted.shape, *[1] * (predicted.ndim - 2))
        # The difference may be NaN where masked; `where` drops it on the way there and on the way back.
        error = torch.where(counted, _full_precision(predicted) - _full_precision(drawn), 0)
        per_sample = error.square().flatten(1).sum(1)
    return (per_sample if reduction == "sum" else per_sample / predicted[0].numel()).mean()


def _full_precision(values: Tensor) -> Tensor:
    return values if values.dtype == torch.float64 else values.float()


def _mask(mask: Tensor | None, shape: torch.Size, like: Tensor, name: str) -> Tensor:
    if mask is None:
        return torch.ones(shape, dtype=torch.bool, device=like.device)
    if mask.shape != shape or mask.dtype != torch.bool:
        raise ValueError(
            f"`{name}` must be a boolean mask of shape {tuple(shape)}, got {mask.dtype} {tuple(mask.shape)}. "
            "True marks what is labelled."
        )
    return mask


def _check_same(predicted: Tensor, target: Tensor | Drawing) -> None:
    if predicted.shape != target.shape:
        raise ValueError(
            f"`target` must have the shape of `predicted`, {tuple(predicted.shape)}, "
            f"got {tuple(target.shape)}. Encode targets with the size, skeleton and variant of the config."
        )


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"`{name}` must be one of {', '.join(map(repr, choices))}, got {value!r}.")


def _needed(
    predicted: Tensor | None, target: Tensor | Drawing | None, name: str, supervision: str
) -> tuple[Tensor, Tensor | Drawing]:
    if predicted is None:
        raise ValueError(
            f"supervision={supervision!r} needs `output.{name}`, which a model without an intermediate "
            'branch does not put out. Use supervision="none", or another model preset than "baseline".'
        )
    if target is None:
        raise ValueError(
            f"supervision={supervision!r} needs `targets.{name}`, got None. Encode them, or mask them out."
        )
    return predicted, target
