"""What others do instead of triplets, so that the same network can be trained on it for the same time.

| rival | after | what is learnt beside the joints of Eq. (6) |
|---|---|---|
| `ranking` | Pavlakos et al. 2018 [19] | the order of the predicted depths, pair by pair: no maps |
| `tri-state` | Shi et al. 2018 [25] | each part's state as a class of three: no place in the picture |
| `volume` | Pavlakos et al. 2017 [20] | a 3D Gaussian in the volume: no depth order |
| lifting | Martinez et al. 2017 [13] | depth from the joints in the picture alone (`ModelConfig.lifted`) |

None is its authors' code, nor tuned as they would. Every loss is a mean over the batch of sums over what is
labelled, like Eq. (6).
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from hemlets_lib.geometry import Grid
from hemlets_lib.heatmaps import default_sigma
from hemlets_lib.skeleton import Skeleton

__all__ = ["RIVALS", "JointLifter", "Rival", "ranking_loss", "tristate_loss", "volume_loss"]

Rival = Literal["none", "ranking", "tri-state", "volume"]
RIVALS: tuple[Rival, ...] = get_args(Rival)


def ranking_loss(
    depth: Float[Tensor, "B J"],
    states: Int[Tensor, "B K"],
    mask: Bool[Tensor, "B K"],
    *,
    skeleton: Skeleton,
) -> Float[Tensor, ""]:
    """Predicted depths shall have the labelled order.

    log(1 + exp(-r (z_p - z_c))) where the child is nearer (r = 1) or farther (-1), (z_p - z_c)² where
    they are level: every pair by itself, and none has a place in the picture.

    Args:
        depth: z of the predicted joints, away from the camera, in cells.
        states: r of Eq. (1).
        mask: Parts that are labelled.
        skeleton: Supplies the parts.

    Source: Pavlakos et al. 2018, their Eq. (2); the paper's §3.1 'Discussions'.
    """
    ahead = (depth[:, skeleton.part_parents] - depth[:, skeleton.part_children]).float()
    order = torch.where(mask, states, 0).to(ahead.dtype)
    loss = torch.where(order == 0, ahead.square(), F.softplus(-order * ahead))
    return torch.where(mask, loss, 0).sum(1).mean()


def tristate_loss(
    triplets: Float[Tensor, "B K 3 H W"], states: Int[Tensor, "B K"], mask: Bool[Tensor, "B K"]
) -> Float[Tensor, ""]:
    """Each part's state as a class: the maps' means over the picture are its three logits.

    The same layers as the triplets', but where in the picture a peak is does not matter.

    Args:
        triplets: As the network puts them out.
        states: r of Eq. (1).
        mask: Parts that are labelled.

    Source: after the labels of Shi et al. 2018 ('forward or backward information'); their network differs.
    """
    logits = triplets.float().mean((-2, -1))  # (B, K, 3)
    classes = torch.where(mask, states + 1, 0)
    loss = F.cross_entropy(logits.flatten(0, 1), classes.flatten(), reduction="none").view_as(classes)
    return torch.where(mask, loss, 0).sum(1).mean()


def volume_loss(
    volume: Float[Tensor, "B J D H W"],
    joints: Float[Tensor, "B J 3"],
    valid: Bool[Tensor, "B J"],
    has_depth: Bool[Tensor, "B J"],
    *,
    grid: Grid | str = Grid.CELL_CENTRED,
) -> Float[Tensor, ""]:
    """The softmax over a joint's volume shall be a Gaussian about the joint: cross-entropy.

    Without a label of depth, its sum along the line of sight shall be a Gaussian in the picture.

    Args:
        volume: Logits, `HEMletsOutput.volume`.
        joints: Labels in crop space.
        valid: Joints that are labelled in the picture.
        has_depth: Of which z is labelled, too.
        grid: How crop space lies over the cells.

    Source: Pavlakos et al. 2017, who take the squared difference; cross-entropy fits a softmax (Sun et al.
    2018 compare losses of volumes).
    """
    volume = volume.float()
    z, y, x = (
        _bell(joints[..., axis], n, valid if axis < 2 else valid & has_depth, grid)
        for axis, n in zip((2, 1, 0), volume.shape[-3:], strict=True)
    )
    everywhere = volume.flatten(2).logsumexp(-1)  # (B, J)
    deep = everywhere - torch.einsum("bjzyx,bjz,bjy,bjx->bj", volume, z, y, x)
    flat = everywhere - torch.einsum("bjyx,bjy,bjx->bj", volume.logsumexp(2), y, x)
    loss = torch.where(has_depth, deep, flat)
    return torch.where(valid, loss, 0).sum(1).mean()


def _bell(
    along: Float[Tensor, "B J"], n: int, counted: Bool[Tensor, "B J"], grid: Grid | str
) -> Float[Tensor, "B J n"]:
    """Gaussians along an axis, each of sum 1; a joint far outside is drawn to the border."""
    place = Grid(grid).to_cells(torch.where(counted, along, 0), n)[..., None].clamp(0, n - 1)
    cells = torch.arange(n, device=along.device, dtype=along.dtype)
    return (-0.5 * ((cells - place) / default_sigma(n)).square()).softmax(-1)


class JointLifter(nn.Module):
    """Depth of the joints from where they are in the picture, and nothing else.

    Two residual blocks of two layers each, with batch normalisation, after a first layer; no dropout, which
    short runs do not need. Gradients end at the joints: the picture is never asked for depth.

    Args:
        skeleton: Supplies J and the root.
        width: Of the layers.

    Source: Martinez et al. 2017, with a quarter of their width.
    """

    def __init__(self, skeleton: Skeleton, width: int = 256) -> None:
        super().__init__()
        self.root = skeleton.root
        self.first = _layer(2 * skeleton.num_joints, width)
        self.blocks = nn.ModuleList(nn.Sequential(_layer(width, width), _layer(width, width)) for _ in "12")
        self.last = nn.Linear(width, skeleton.num_joints)
        nn.init.normal_(self.last.weight, std=0.001)
        nn.init.zeros_(self.last.bias)

    def forward(self, planar: Float[Tensor, "B J 2"]) -> Float[Tensor, "B J"]:
        """(x, y) in crop space in, z in crop space out; in float32 also under autocast."""
        with torch.autocast(planar.device.type, enabled=False):
            planar = planar.detach().float()
            hidden = self.first((planar - planar[:, self.root, None]).flatten(1))
            for block in self.blocks:
                hidden = hidden + block(hidden)
            return self.last(hidden)


def _layer(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.ReLU())
