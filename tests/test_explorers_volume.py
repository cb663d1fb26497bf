"""The volume viewer: expectation and arg-max by loops and by the network, temperature, what is where."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from hemlets_lib.data.samples import load_samples
from hemlets_lib.explorers.scene import Bars, Isosurface, Map, Points
from hemlets_lib.explorers.volume import MADE_UP, volume_explorer
from hemlets_lib.explorers.volume_scores import (
    REACH_CELLS,
    JointScores,
    around,
    middle_cell,
    predict_volumes,
    read_out,
    two_peaks,
)
from hemlets_lib.geometry import DEPTH_RANGE_MM, Grid, root_relative
from hemlets_lib.model import HEMletsNet
from hemlets_lib.prediction import infer

SIZE = (5, 6, 7)  # D, H, W


def scores_of(logits: torch.Tensor, grid: Grid = Grid.CELL_CENTRED) -> JointScores:
    blank = np.zeros((8, 8, 3), np.uint8)
    return JointScores(logits, grid, torch.zeros(3), lambda places: 1000 * places, blank)


def made_up(size: tuple[int, int, int]) -> torch.Tensor:
    """What the explorer calls so."""
    return two_peaks(size, sigma=0.8, apart=1 / 3)


@pytest.fixture(scope="module")
def samples():
    return load_samples()[:1]


@pytest.fixture(scope="module")
def network() -> HEMletsNet:
    torch.manual_seed(0)
    net = HEMletsNet.from_preset("nano")
    torch.nn.init.normal_(net.head[-1].weight, std=0.5)  # fresh scores are all but even: make them differ
    return net


@pytest.mark.parametrize("grid", list(Grid))
@pytest.mark.parametrize("beta", [0.25, 1.0, 8.0])
def test_places_and_probability_by_loops(grid, beta):
    logits = torch.randn(SIZE, generator=torch.Generator().manual_seed(1))
    found = read_out(scores_of(logits, grid), beta)
    centres = [grid.centres(n).double() for n in SIZE]
    total, mean, entropy = 0.0, torch.zeros(3, dtype=torch.float64), 0.0
    for d, h, w in itertools.product(*map(range, SIZE)):
        weight = math.exp(beta * float(logits[d, h, w]))
        total += weight
        mean += weight * torch.stack([centres[2][w], centres[1][h], centres[0][d]])
    for score in logits.flatten().tolist():
        share = math.exp(beta * score) / total
        entropy -= share * math.log2(share)
    torch.testing.assert_close(found.places[0], mean / total, rtol=1e-6, atol=1e-7)
    assert found.entropy_bits == pytest.approx(entropy)
    d, h, w = found.peak
    assert logits[d, h, w] == logits.max()
    expected = torch.stack([centres[2][w], centres[1][h], centres[0][d]])
    torch.testing.assert_close(found.places[1], expected, rtol=0, atol=1e-7)
    near = sum(
        float(found.probs[i, j, k])
        for i, j, k in itertools.product(*map(range, SIZE))
        if math.dist((i, j, k), (d, h, w)) <= 2
    )
    assert found.near[1] == pytest.approx(near)
    for marginal, axis in zip(found.marginals, (2, 1, 0), strict=True):
        assert len(marginal) == SIZE[axis] and float(marginal.sum()) == pytest.approx(1)
        place = found.places[0][2 - axis]
        assert float((marginal * centres[axis]).sum()) == pytest.approx(float(place), abs=1e-6)


def test_temperature_moves_the_expectation_and_not_the_arg_max():
    scores = scores_of(two_peaks((24, 20, 22)))
    found = [read_out(scores, beta) for beta in (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)]
    assert all(torch.equal(each.places[1], found[0].places[1]) for each in found)
    apart = [float((each.places[0] - each.places[1]).norm()) for each in found]
    assert apart == sorted(apart, reverse=True) and apart[0] > 10 * apart[-1]
    assert [each.entropy_bits for each in found] == sorted((f.entropy_bits for f in found), reverse=True)


def test_two_peaks_by_hand():
    """60 % at a quarter of the depth, 40 % at three quarters: the mean is at 0.6 and 0.4 of them."""
    found = read_out(scores_of(two_peaks((24, 20, 22))), 1.0)
    assert found.peak == (6, 6, 11)
    front, behind = found.marginals[2][:12].sum(), found.marginals[2][12:].sum()
    assert (float(front), float(behind)) == pytest.approx((0.6, 0.4), abs=1e-3)
    cell = float(Grid.CELL_CENTRED.to_cells(found.places[0][2], 24))
    assert cell == pytest.approx(0.6 * 6 + 0.4 * 18, abs=0.01)
    assert found.near[0] < 0.01 < 0.2 < found.near[1]
    with pytest.raises(ValueError, match=r"`share` must be between 0 and 1, got 1"):
        two_peaks((4, 4, 4), share=1.0)


def test_peaks_can_be_nearer_to_each_other():
    found = read_out(scores_of(two_peaks((24, 6, 6), sigma=0.8, apart=1 / 3)), 1.0)
    along = found.marginals[2]
    assert along.topk(2).indices.tolist() == [8, 16]


def test_the_space_shown_is_cut_out_around_the_expectation():
    """A volume that counts its cells; beyond its edge there is nothing."""
    depth, height, width = 9, 8, 20
    volume = torch.arange(depth * height * width, dtype=torch.float64).view(depth, height, width) + 1
    side = 2 * REACH_CELLS + 1
    cut = around(volume, (12, 3, 0))
    assert cut.shape == (side,) * 3 and float(cut[REACH_CELLS, REACH_CELLS, REACH_CELLS]) == volume[0, 3, 12]
    assert float(cut[REACH_CELLS + 2, REACH_CELLS + 1, REACH_CELLS - 4]) == volume[2, 4, 8]
    assert (cut[:REACH_CELLS] == 0).all()  # in front of the first
    logits = torch.full((5, 6, 7), -50.0)
    logits[1, 5, 3] = 0
    scores = scores_of(logits)
    assert middle_cell(scores, read_out(scores, 1.0)) == (3, 5, 1)


def test_a_place_outside_the_space_shown_is_told(samples, network):
    """The truth of the made-up network's joint is seldom near what it says."""
    explorer, outside = volume_explorer(samples, network), set()
    for title in explorer.controls[1].values:
        scene = explorer.scene(joint=title)
        diamond = next(m for _, m in scene.marks if isinstance(m, Points) and m.symbols == "diamond")
        said = dict(scene.readout)["space shown"]
        assert np.isnan(diamond.points).all() == ("truth" in said)
        outside.add("truth" in said)
    assert outside == {True, False}
    assert "outside: " not in dict(explorer.scene(source=MADE_UP).readout)["space shown"]


def test_at_beta_one_it_is_the_networks_answer(samples, network):
    from hemlets_lib.data.sample import collate, resize_sample

    volumes = predict_volumes(network, samples[0])
    assert volumes.shape == (18, *network.config.volume_size) and network.training
    joints = infer(network, collate([resize_sample(samples[0], network.config.image_size)]).images).joints[0]
    for joint in (0, 3, 13):
        found = read_out(scores_of(volumes[joint], network.config.grid), 1.0)
        torch.testing.assert_close(found.places[0].float(), joints[joint], rtol=0, atol=1e-5)


def numbers_mm(said: str) -> list[float]:
    return [float(number) for number in said.split("), (")[1].split(") mm")[0].replace("−", "-").split(", ")]


def test_millimetres_are_those_of_camera_space(samples, network):
    explorer = volume_explorer(samples, network, joint="right_knee")
    said = dict(explorer.scene().readout)
    expected = root_relative(samples[0].joints_cam_mm, 0)[2]
    assert numbers_mm(said["truth"]) == pytest.approx(expected.tolist(), abs=1)
    one, other = (torch.tensor(numbers_mm(said[name])) for name in ("soft-argmax (Eq. 5)", "arg-max"))
    apart = float(said["soft-argmax to arg-max"].split()[0])
    assert apart == pytest.approx(float((one - other).norm()), abs=1.5)


def test_a_volume_of_another_depth(samples, network, monkeypatch):
    """A volume that spans 4 m places the truth at half of crop space's depth, and the same millimetres."""
    monkeypatch.setitem(network.config.__dict__, "depth_range_mm", 2 * DEPTH_RANGE_MM)
    said = dict(volume_explorer(samples, network, joint="right_knee").scene().readout)["truth"]
    expected = root_relative(samples[0].joints_cam_mm, 0)[2]
    assert numbers_mm(said) == pytest.approx(expected.tolist(), abs=1)
    depth = float(said.split(")")[0].split(", ")[2].replace("−", "-"))
    assert depth == pytest.approx(float(samples[0].joints_crop[2, 2]) / 2, abs=6e-3)


def test_the_scene_shows_the_slices(samples, network):
    explorer = volume_explorer(samples, network)
    size = network.config.volume_size
    found = read_out(scores_of(made_up(size)), 1.0)
    shares = found.probs / found.probs.max()
    for cut in (0.0, 3.0, 12.0):
        scene = explorer.scene(source=MADE_UP, cut=cut)
        front, side = (mark for _, mark in scene.marks if isinstance(mark, Map))
        np.testing.assert_array_equal(front.values, shares[found.peak[0] + int(cut)])
        np.testing.assert_array_equal(side.values, shares[:, :, found.peak[2]].T)
    surface = next(mark for _, mark in scene.marks if isinstance(mark, Isosurface))
    middle = middle_cell(scores_of(made_up(size)), found)
    np.testing.assert_array_equal(surface.values, around(shares, middle))
    assert (surface.low, surface.high) == ((-REACH_CELLS - 0.5,) * 3, (REACH_CELLS + 0.5,) * 3)
    assert float(surface.values[1:-1, 1:-1, 1:-1].max()) == 1  # whole, and both peaks are inside
    for face in (surface.values[0], surface.values[-1], surface.values[:, 0], surface.values[:, :, -1]):
        assert float(face.max()) < 0.05
    bars = [mark for _, mark in scene.marks if isinstance(mark, Bars)]
    for mark, marginal in zip(bars, found.marginals, strict=True):
        np.testing.assert_array_equal(mark.heights, marginal)


def test_the_arg_max_is_on_the_peak_in_every_view(samples, network):
    scene = volume_explorer(samples, network).scene(source=MADE_UP)
    scores = scores_of(made_up((24, 24, 24)))
    found = read_out(scores, 1.0)
    depth, row, column = (int(at) for at in found.peak)
    x_middle, y_middle, z_middle = middle_cell(scores, found)
    squares = [
        mark.points[0] for _, mark in scene.marks if isinstance(mark, Points) and mark.symbols == "square"
    ]
    space, front, side, x, y, z = squares
    expected = (column - x_middle, depth - z_middle, y_middle - row)
    assert tuple(float(value) for value in space) == pytest.approx(expected, abs=1e-5)
    for point, cells in ((front, (column, row)), (side, (depth, row))):
        assert tuple(np.floor((point + 0.5) / 256 * 24)) == cells
    assert [float(point[0]) for point in (x, y, z)] == pytest.approx([column, row, depth], abs=1e-5)


def test_a_slice_behind_the_last_is_the_last(samples, network):
    scene = volume_explorer(samples, network).scene(source=MADE_UP, cut=-12.0)
    assert dict(scene.readout)["front slice"].startswith("cell 0, z = −0.479")


def test_errors(samples, network):
    with pytest.raises(ValueError, match="has no joint 'wrist'"):
        volume_explorer(samples, network, joint="wrist")
    with pytest.raises(ValueError, match="expected samples with all 18 joints in camera space"):
        volume_explorer([], network)
