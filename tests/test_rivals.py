"""The rivals' losses by hand; each trains the network it is given, and none sees what it must not."""

import math
from dataclasses import replace

import pytest
import torch

from hemlets_lib.geometry import Grid
from hemlets_lib.model import PRESETS, HEMletsNet
from hemlets_lib.recipes import RECIPES
from hemlets_lib.rivals import JointLifter, ranking_loss, tristate_loss, volume_loss
from hemlets_lib.skeleton import HEMLETS18
from hemlets_lib.triplets import UNKNOWN

B, J, K = 2, HEMLETS18.num_joints, HEMLETS18.num_parts


def states_of(state: int) -> torch.Tensor:
    return torch.full((B, K), state)


def test_ranking_by_hand():
    depth = torch.zeros(B, J)
    depth[:, HEMLETS18.part_children[0]] = -2.0  # the first part's child is 2 cells nearer
    only = torch.zeros(B, K, dtype=torch.bool)
    only[:, 0] = True
    for state, expected in ((1, math.log1p(math.exp(-2))), (-1, math.log1p(math.exp(2))), (0, 4.0)):
        loss = ranking_loss(depth, states_of(state), only, skeleton=HEMLETS18)
        assert loss.item() == pytest.approx(expected, rel=1e-6)
    assert ranking_loss(depth, states_of(1), ~only & only, skeleton=HEMLETS18).item() == 0


def test_ranking_pushes_the_depths_apart_and_nothing_else():
    joints = torch.zeros(B, J, 3, requires_grad=True)
    states = states_of(UNKNOWN)
    states[0, 0] = 1
    ranking_loss(joints[..., 2], states, states != UNKNOWN, skeleton=HEMLETS18).backward()
    parent, child = int(HEMLETS18.part_parents[0]), int(HEMLETS18.part_children[0])
    assert joints.grad[..., :2].abs().max() == 0
    assert joints.grad[0, child, 2] > 0 > joints.grad[0, parent, 2]  # descent moves the child nearer
    assert joints.grad[1].abs().max() == 0


def test_tristate_does_not_ask_where():
    """Moving a peak inside its map changes nothing: what sets it apart from a triplet."""
    maps = torch.zeros(B, K, 3, 6, 8)
    maps[:, :, 2, 1, 1] = 48.0  # mean 1
    moved = maps.roll((3, 4), (-2, -1))
    mask = torch.ones(B, K, dtype=torch.bool)
    at, elsewhere = (tristate_loss(each, states_of(1), mask).item() for each in (maps, moved))
    assert at == elsewhere == pytest.approx(K * -math.log(math.e / (math.e + 2)), rel=1e-6)
    assert tristate_loss(maps, states_of(-1), mask).item() > at
    assert tristate_loss(maps, states_of(UNKNOWN), ~mask).item() == 0


@pytest.mark.parametrize("grid", list(Grid))
def test_the_volume_loss_is_least_at_the_gaussian_itself(grid):
    joints = torch.rand(B, J, 3) * 0.8 - 0.4
    valid = torch.ones(B, J, dtype=torch.bool)
    shape = (8, 10, 12)
    cells = [torch.arange(n, dtype=torch.float32) for n in shape]
    places = [grid.to_cells(joints[..., axis, None], n) for axis, n in zip((2, 1, 0), shape, strict=True)]
    logs = [
        -0.5 * ((line - place) / (n / 32)).square()
        for line, place, n in zip(cells, places, shape, strict=True)
    ]
    right = logs[0][..., :, None, None] + logs[1][..., None, :, None] + logs[2][..., None, None, :]
    least = volume_loss(right, joints, valid, valid, grid=grid)
    for wrong in (right.roll(1, -1), right * 0.5, right + torch.randn(1)[0] * torch.randn_like(right)):
        assert volume_loss(wrong, joints, valid, valid, grid=grid) > least
    assert volume_loss(right + 5.0, joints, valid, valid, grid=grid).item() == pytest.approx(
        least.item(), rel=1e-5
    )


def test_without_depth_the_volume_loss_leaves_z_alone():
    volume, joints = torch.randn(B, J, 6, 7, 8), torch.rand(B, J, 3) - 0.5
    valid, flat = torch.ones(B, J, dtype=torch.bool), torch.zeros(B, J, dtype=torch.bool)
    loss = volume_loss(volume, joints, valid, flat)
    assert torch.allclose(loss, volume_loss(volume.flip(2), joints, valid, flat), rtol=1e-5)
    joints[..., 2] = math.nan
    assert torch.allclose(loss, volume_loss(volume, joints, valid, flat))
    assert volume_loss(volume, joints, flat, flat).item() == 0


def test_lifted_depth_is_made_of_joints_alone():
    torch.manual_seed(0)
    model = HEMletsNet(replace(PRESETS["nano"], lifted=True))
    images = torch.randn(B, 3, 96, 96)
    output = model(images)
    output.joints[..., 2].sum().backward()
    assert all(
        p.grad is None or not p.grad.any() for name, p in model.named_parameters() if "lifter" not in name
    )
    assert any(p.grad.any() for p in model.lifter.parameters())
    model.eval()
    lifter, planar = model.lifter, output.joints[..., :2].detach()
    assert torch.allclose(lifter(planar), lifter(planar + 0.1), atol=1e-6)  # not where they stand


def test_a_lifter_learns_a_depth_that_the_picture_gives():
    torch.manual_seed(0)
    lifter = JointLifter(HEMLETS18, width=32)
    optimiser = torch.optim.Adam(lifter.parameters(), lr=1e-2)
    for _ in range(60):
        planar = torch.rand(64, J, 2) - 0.5
        wanted = 0.5 * (planar[..., 0] - planar[:, :1, 1])
        wanted = wanted - wanted[:, :1]
        loss = (lifter(planar) - wanted).abs().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.6 * wanted.abs().mean().item()


def test_recipes_say_what_a_rival_needs():
    config = RECIPES["nano"].with_options({"rival": "ranking", "rival_weight": "4"})
    assert (config.rival, config.rival_weight) == ("ranking", 4)
    with pytest.raises(ValueError, match=r"`rival` must be one of none, ranking, .*, got 'rank'"):
        RECIPES["nano"].with_options({"rival": "rank"})
    with pytest.raises(ValueError, match="`rival_weight` must not be negative"):
        replace(RECIPES["nano"], rival_weight=-1.0)
    five = replace(PRESETS["nano"], variant="5s")
    with pytest.raises(ValueError, match="needs the three maps a part"):
        replace(RECIPES["nano"], model=five, rival="tri-state")
