"""What the losses compare with, made on the batch's device from its joints: no map crosses the bus.

A sample may be labelled in 2D only, in 2D with depth order, or in 3D; a batch may mix them. Everything
that is not labelled is masked:

    labels                      xy, 2D heatmaps   triplets                    z
    joints in the picture       yes               no                          no
    and parts' depth order      yes               yes (not for variant 5s)    no
    and joints in space         yes               yes                         yes
"""

from __future__ import annotations

from typing import get_args

import torch
from jaxtyping import Int
from torch import Tensor

from hemlets_lib.data.sample import Batch
from hemlets_lib.heatmaps import render_heatmaps
from hemlets_lib.losses import Supervision, Targets
from hemlets_lib.model import ModelConfig
from hemlets_lib.skeleton import Skeleton
from hemlets_lib.triplets import UNKNOWN, VARIANTS, encode_triplets, part_mask, part_states

__all__ = ["make_targets", "states_for"]


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
    if supervision in ("full", "hemlets"):
        states = states_for(batch, skeleton, variant=config.variant)
        triplets = encode_triplets(
            batch.joints_crop,
            states,
            skeleton=skeleton,
            size=size,
            sigma=sigma,
            variant=config.variant,
            grid=config.grid,
            joint_valid=batch.joint_valid,
            norm=config.gaussian_norm,
            overlap=config.overlap,
        )
        targets = targets._replace(
            triplets=triplets, part_mask=part_mask(states, batch.joint_valid, skeleton)
        )
    if supervision in ("full", "2d"):
        heatmaps = render_heatmaps(
            batch.joints_crop,
            size=size,
            sigma=sigma,
            grid=config.grid,
            valid=valid,
            norm=config.gaussian_norm,
        )
        targets = targets._replace(heatmaps=heatmaps)
    return targets
