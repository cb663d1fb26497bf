"""What the losses compare with, made on the batch's device from its joints: no map crosses the bus.

A sample may be labelled in 2D only, in 2D with depth order, or in 3D; a batch may mix them. Everything
that is not labelled is masked:

    labels                      xy, 2D heatmaps   triplets                    z
    joints in the picture       yes               no                          no
    and parts' depth order      yes               yes (not for variant 5s)    no
    and joints in space         yes               yes                         yes
"""

from __future__ import annotations

from functools import cache
from typing import get_args

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from hemlets_lib.data.sample import Batch
from hemlets_lib.heatmaps import gaussian_profiles
from hemlets_lib.kernels.map_loss import Drawing
from hemlets_lib.losses import Supervision, Targets
from hemlets_lib.model import ModelConfig
from hemlets_lib.skeleton import Skeleton
from hemlets_lib.triplets import (
    UNKNOWN,
    VARIANTS,
    Variant,
    check_states,
    encode_triplets,
    get_variant,
    kept_numbers,
    part_mask,
    part_states,
)

__all__ = ["make_targets", "shown_joints", "states_for"]


def states_for(batch: Batch, skeleton: Skeleton, *, variant: str = "hemlets") -> Int[Tensor, "B K"]:
    """The parts' states in a variant, `UNKNOWN` where the labels do not tell.

    `hemlets` and `2s` share the three states that a batch holds. The five of `5s` need the part's angle:
    they come from `joints_cam_mm`, where a part's depth order and the depth of both its ends may be used.
    A part labelled with its order alone is unknown. Its 0 would be a 0 there too, but its ±1 could be ±2;
    with only the zeros labelled, such pictures would teach that all parts are level.
    Paper silent.

    Args:
        batch: Its labels and masks.
        skeleton: Supplies the parts.
        variant: `hemlets`, `2s` or `5s`.

    Raises:
        ValueError: If the joint or part count differs from the skeleton's, or the variant is unknown.
    """
    if batch.part_states.shape[-1] != skeleton.num_parts:
        raise ValueError(
            f"`batch.part_states` must hold {skeleton.num_parts} parts for skeleton {skeleton.name!r}, got "
            f"{batch.part_states.shape[-1]}. Make the samples with the model's skeleton."
        )
    if variant in VARIANTS and VARIANTS[variant].sine_bounds == VARIANTS["hemlets"].sine_bounds:
        return batch.part_states
    states = part_states(batch.joints_cam_mm, skeleton, variant=variant)
    known = part_mask(batch.part_states, batch.depth_valid, skeleton)
    return torch.where(known, states, UNKNOWN)


@torch.no_grad()
def make_targets(
    batch: Batch,
    config: ModelConfig,
    *,
    supervision: Supervision = "full",
    sigma: float | None = None,
    only_in_crop: bool = False,
    draw: bool = True,
) -> Targets:
    """Labels and masks of a batch for `losses.hemlets_loss`, in the shape a model needs them.

    Args:
        batch: On any device, augmented or not; its pictures are not used.
        config: The model's: skeleton, variant, size of the maps, grid, and how its maps are drawn.
        supervision: The loss's; maps that it does not use are not made.
        sigma: Of the Gaussians, in cells; `config.sigma` where left out.
        only_in_crop: Leave joints outside the crop out of every loss but Eq. (3). Paper silent; by default
            they count:
            the soft-argmax is drawn to the nearest border (the L1 norm pulls no harder for a joint far
            off), depth is learnt from them too, and their 2D heatmap is as empty as it should be.
        draw: False describes the maps (`kernels.map_loss.Drawing`) where they can be described, and leaves
            it to the loss to draw them or do without.

    Raises:
        ValueError: If joints or parts are not those of the config's skeleton, or the supervision is
            unknown or needs an intermediate branch that the model lacks.
    """
    if supervision not in (choices := get_args(Supervision)):
        raise ValueError(
            f"`supervision` must be one of {', '.join(map(repr, choices))}, got {supervision!r}."
        )
    if supervision != "none" and not config.intermediate:
        raise ValueError(
            f"supervision={supervision!r} needs an intermediate branch, which model {config.name!r} lacks. "
            'Use supervision="none", or another model preset.'
        )
    skeleton, size = config.skeleton, config.heatmap_size
    skeleton.check_joints(batch.joints_crop, "batch.joints_crop")
    valid = batch.in_crop if only_in_crop else batch.joint_valid
    sigma = config.sigma if sigma is None else sigma
    targets = Targets(batch.joints_crop, joint_valid=valid, has_depth=batch.depth_valid)

    def profiles(drawn: Tensor) -> tuple[Tensor, Tensor]:
        return gaussian_profiles(
            batch.joints_crop,
            size=size,
            sigma=sigma,
            grid=config.grid,
            valid=drawn,
            norm=config.gaussian_norm,
        )

    # A joint without a label has an empty profile: heatmaps and triplets may share them.
    along = profiles(valid)
    if supervision in ("full", "hemlets"):
        states = states_for(batch, skeleton, variant=config.variant)
        targets = targets._replace(part_mask=part_mask(states, batch.joint_valid, skeleton))
        if config.overlap == "maximum":
            finite = batch.joint_valid & batch.joints_crop[..., :2].isfinite().all(-1)
            shown = shown_joints(states, finite, skeleton, variant=config.variant)
            triplets = Drawing(*(profiles(batch.joint_valid) if only_in_crop else along), shown)
            targets = targets._replace(triplets=triplets.draw() if draw else triplets)
        else:
            encoded = encode_triplets(
                batch.joints_crop, states, skeleton=skeleton, size=size, sigma=sigma,
                variant=config.variant, grid=config.grid, joint_valid=batch.joint_valid,
                norm=config.gaussian_norm, overlap=config.overlap,
            )  # fmt: skip
            targets = targets._replace(triplets=encoded)
    if supervision in ("full", "2d"):
        heatmaps = Drawing(*along, _each_alone(len(valid), skeleton.num_joints, valid.device))
        targets = targets._replace(heatmaps=heatmaps.draw() if draw else heatmaps)
    return targets


def _each_alone(batch: int, joints: int, device: torch.device) -> Int[Tensor, "B J 2"]:
    """What the 2D heatmaps show: a joint each, and no second one."""
    shown = torch.full((joints, 2), joints, device=device)
    shown[:, 0] = torch.arange(joints, device=device)
    return shown.expand(batch, joints, 2)


@torch.no_grad()
def shown_joints(
    states: Int[Tensor, "B K"],
    joint_valid: Bool[Tensor, "B J"],
    skeleton: Skeleton,
    *,
    variant: str = "hemlets",
) -> Int[Tensor, "B K S 2"]:
    """Which joints each map of `encode_triplets` shows: a joint alone comes first, and J stands for none.

    In the middle map of a part that lies level both places are taken, by parent and child.

    Args:
        states: From `part_states`, or annotated.
        joint_valid: Joints that are labelled and finite. A part without both is left empty.
        skeleton: Supplies the parts.
        variant: `hemlets`, `2s` or `5s`.

    Raises:
        ValueError: As `encode_triplets`.

    Source: Eq. (2).
    """
    rule = get_variant(variant)
    check_states(states, joint_valid.shape[0], skeleton, rule)
    drawn = part_mask(states, joint_valid, skeleton)
    row = torch.where(drawn, states + rule.max_state, rule.num_maps)  # (B, K)
    ends = zip(skeleton.part_parents, skeleton.part_children, strict=True)
    table = kept_numbers(_shown(tuple(ends), skeleton.num_joints, rule), states.device)
    table = table.view(skeleton.num_parts, rule.num_maps + 1, rule.num_maps, 2)
    return table[torch.arange(skeleton.num_parts, device=states.device), row]


@cache
def _shown(ends: tuple[tuple[int, int], ...], none: int, rule: Variant) -> tuple[int, ...]:
    """For each part and state, and last for a part that is not drawn: two places in each of its maps."""
    table: list[int] = []
    for parent_and_child in ends:
        for places in zip(rule.parent_maps, rule.child_maps, strict=True):
            for place in range(rule.num_maps):
                here = [joint for joint, at in zip(parent_and_child, places, strict=True) if at == place]
                table += [*here, none, none][:2]
        table += [none, none] * rule.num_maps
    return tuple(table)
