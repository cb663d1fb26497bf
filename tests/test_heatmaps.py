"""Heatmaps: Gaussians by hand, soft-argmax by hand, both grids, half precision, gradients."""

import math

import pytest
import torch

from hemlets_lib.geometry import Grid
from hemlets_lib.heatmaps import (
    default_sigma,
    peak_2d,
    peak_height,
    render_heatmaps,
    soft_argmax_2d,
    soft_argmax_3d,
)


def test_a_gaussian_by_hand():
    # On 6x7 cells the middle of the crop lies at row 2.5 and column 3; σ = 1.
    maps = render_heatmaps(torch.zeros(1, 1, 2), size=(6, 7), sigma=1.0)
    assert maps.shape == (1, 1, 6, 7)
    assert maps[0, 0, 2, 3] == pytest.approx(math.exp(-0.125))
    assert maps[0, 0, 2, 4] == pytest.approx(math.exp(-0.125 - 0.5))
    assert maps[0, 0, 0, 0] == pytest.approx(math.exp(-0.5 * (2.5**2 + 3**2)))


def test_a_gaussian_on_a_cell_has_height_one():
    at_cell = Grid.CORNER_ALIGNED.centres(7)[4]
    maps = render_heatmaps(torch.tensor([[[at_cell, -0.5]]]), size=(6, 7), sigma=2.0, grid="corner_aligned")
    assert maps.max() == 1
    assert maps[0, 0, 0, 4] == 1


def test_default_sigma():
    assert default_sigma(64) == 2.0
    assert default_sigma((10, 24)) == 0.75


def test_a_gaussian_of_sum_one():
    joints = torch.tensor([[[0.01, -0.03], [0.1, 0.12]]], dtype=torch.float64)
    low, high = (render_heatmaps(joints, size=(24, 28), sigma=1.5, norm=norm) for norm in ("sum", "height"))
    torch.testing.assert_close(low.sum((-2, -1)), torch.ones(1, 2, dtype=torch.float64), atol=1e-4, rtol=0)
    torch.testing.assert_close(low, high / (2 * math.pi * 1.5**2))
    assert peak_height("sum", 2.0) == pytest.approx(1 / (8 * math.pi)) and peak_height("height", 2.0) == 1


def test_an_unknown_norm():
    with pytest.raises(ValueError, match="`norm` must be 'height' or 'sum', got 'l2'"):
        render_heatmaps(torch.zeros(1, 1, 2), size=6, norm="l2")


def test_missing_joints_leave_empty_maps():
    joints = torch.rand(2, 3, 3) - 0.5
    joints[0, 1, 0] = torch.nan
    valid = torch.ones(2, 3, dtype=torch.bool)
    valid[1, 2] = False
    maps = render_heatmaps(joints, size=(6, 7), valid=valid)
    filled = maps.amax((-2, -1)) > 0
    assert filled.tolist() == [[True, False, True], [True, True, False]]
    assert maps.isfinite().all()


@pytest.mark.parametrize("grid", Grid)
def test_peak_recovers_the_joint(grid):
    joints = (torch.rand(2, 3, 2, dtype=torch.float64) - 0.5) * 0.7
    place, value = peak_2d(render_heatmaps(joints, size=(24, 28), grid=grid), grid=grid)
    torch.testing.assert_close(place, joints, atol=1e-6, rtol=0)
    assert (value > 0.7).all()


def test_peak_at_the_border_is_a_cell_centre():
    maps = torch.zeros(6, 7)
    maps[0, 6] = 1
    place, value = peak_2d(maps)
    torch.testing.assert_close(place, torch.tensor([6.5 / 7 - 0.5, 0.5 / 6 - 0.5]))
    assert value == 1


def test_soft_argmax_by_hand():
    # Two voxels of five, six, seven carry all the weight, 3 to 1.
    logits = torch.full((1, 1, 5, 6, 7), -1e4, dtype=torch.float64)
    logits[0, 0, 1, 2, 3] = math.log(3)
    logits[0, 0, 4, 2, 5] = 0.0
    x, y, z = soft_argmax_3d(logits)[0, 0].tolist()
    assert x == pytest.approx((0.75 * 3 + 0.25 * 5 + 0.5) / 7 - 0.5)
    assert y == pytest.approx(2.5 / 6 - 0.5)
    assert z == pytest.approx((0.75 * 1 + 0.25 * 4 + 0.5) / 5 - 0.5)
    x, y, z = soft_argmax_3d(logits, grid="corner_aligned")[0, 0].tolist()
    assert (x, y, z) == pytest.approx((3.5 / 6 - 0.5, 2 / 5 - 0.5, 1.75 / 4 - 0.5))


@pytest.mark.parametrize("grid", Grid)
def test_a_flat_volume_answers_the_middle(grid):
    torch.testing.assert_close(soft_argmax_3d(torch.zeros(2, 3, 5, 6, 7), grid=grid), torch.zeros(2, 3, 3))


def test_adding_a_constant_changes_nothing():
    logits = torch.randn(2, 3, 5, 6, 7, dtype=torch.float64)
    torch.testing.assert_close(soft_argmax_3d(logits + 50), soft_argmax_3d(logits))
    torch.testing.assert_close(soft_argmax_2d(logits[:, :, 0] - 50), soft_argmax_2d(logits[:, :, 0]))


def test_three_dimensions_contain_two():
    planar = torch.randn(2, 3, 6, 7, dtype=torch.float64)
    volume = planar[:, :, None].expand(-1, -1, 5, -1, -1)
    answer = soft_argmax_3d(volume)
    torch.testing.assert_close(answer[..., :2], soft_argmax_2d(planar))
    torch.testing.assert_close(answer[..., 2], torch.zeros(2, 3, dtype=torch.float64), atol=1e-12, rtol=0)


def test_soft_argmax_of_a_gaussian_is_its_centre():
    joints = (torch.rand(2, 3, 2, dtype=torch.float64) - 0.5) * 0.4
    logits = render_heatmaps(joints, size=(48, 56), sigma=1.5).clamp_min(1e-300).log()
    torch.testing.assert_close(soft_argmax_2d(logits), joints, atol=1e-6, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype):
    volume = (torch.randn(2, 3, 32, 32, 32) * 3).to(dtype)
    answer = soft_argmax_3d(volume)
    assert answer.dtype == torch.float32
    torch.testing.assert_close(answer, soft_argmax_3d(volume.double()).float(), atol=1e-5, rtol=0)


def test_autocast_does_not_round_the_expectation():
    volume = torch.randn(2, 3, 16, 16, 16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        answer = soft_argmax_3d(volume)
    assert answer.dtype == torch.float32
    torch.testing.assert_close(answer, soft_argmax_3d(volume))


def test_large_half_precision_logits_do_not_overflow():
    volume = torch.full((1, 1, 5, 6, 7), 60000.0, dtype=torch.float16)
    volume[0, 0, 2, 3, 4] = 65000.0
    expected = torch.tensor([4.5 / 7 - 0.5, 3.5 / 6 - 0.5, 0.0])
    torch.testing.assert_close(soft_argmax_3d(volume)[0, 0], expected)


@pytest.mark.parametrize("grid", Grid)
def test_gradients(grid):
    volume = torch.randn(2, 3, 3, 4, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda v: soft_argmax_3d(v, grid=grid), (volume,))
    maps = torch.randn(2, 3, 4, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda m: soft_argmax_2d(m, grid=grid), (maps,))


def test_the_gradient_pulls_towards_the_target():
    """∂x̂/∂logit = p (x - x̂): cells right of the answer pull it right."""
    logits = torch.zeros(1, 7, dtype=torch.float64, requires_grad=True)
    soft_argmax_2d(logits)[0].backward()
    expected = Grid.CELL_CENTRED.centres(7, dtype=torch.float64) / 7
    torch.testing.assert_close(logits.grad[0], expected)


def test_messages():
    with pytest.raises(ValueError, match=r"must hold \(x, y\) or \(x, y, z\), got 1 coordinates"):
        render_heatmaps(torch.zeros(1, 2, 1), size=8)
    with pytest.raises(ValueError, match=r"`sigma` must be positive \(cells\), got 0"):
        render_heatmaps(torch.zeros(1, 2, 2), size=8, sigma=0.0)
