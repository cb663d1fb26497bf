"""Figures of ideas: sectors and steps agree with Eq. (1), bars with shares, panels with people."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb

from hemlets_lib.data.samples import load_samples
from hemlets_lib.skeleton import HEMLETS18
from hemlets_lib.triplets import UNKNOWN
from hemlets_lib.viz import state_colour
from hemlets_lib.viz_teaching import (
    descent_figure,
    error_views_figure,
    labelled_people_figure,
    noise_figure,
    pull_figure,
    sectors_figure,
    side_by_side_figure,
)


@pytest.fixture(scope="module")
def samples():
    return load_samples(size=48)[:2]


def test_a_sector_holds_the_tilts_of_its_state():
    degrees = torch.linspace(-90, 90, 61)
    polarity = (degrees > 20).int() - (degrees < -20).int()
    sectors, steps = sectors_figure(degrees, polarity, epsilon_deg=20).axes
    for sector, state in zip(sectors.patches, (-1, 0, 1), strict=True):
        x, y = sector.get_xy()[1:-1].T
        angles = np.degrees(np.arctan2(y, x))
        inside = degrees[polarity == state].numpy()
        assert angles.min() <= inside.min() + 1e-3 and inside.max() <= angles.max() + 1e-3
        assert sector.get_facecolor()[:3] == to_rgb(state_colour(state))
    np.testing.assert_allclose(steps.lines[0].get_xydata(), np.stack([degrees, polarity], 1))


def test_parts_without_a_label_are_dotted_and_missing_ends_leave_them_out(samples):
    wrist = HEMLETS18.index("left_wrist")
    states = samples[0].part_states.clone()
    states[2] = UNKNOWN
    valid = samples[0].joint_valid & (torch.arange(18) != wrist)
    shot = replace(samples[0], part_states=states, joint_valid=valid)
    plain, gappy = labelled_people_figure({"all": samples[0], "some": shot}, HEMLETS18).axes
    assert [axes.get_title() for axes in (plain, gappy)] == ["all", "some"]
    assert (len(plain.lines), len(gappy.lines)) == (14, 13)
    assert [line.get_linestyle() for line in gappy.lines].count(":") == 1
    assert [text.get_text() for text in gappy.texts][2] == "?"


def test_bars_are_the_shares_and_add_up():
    shares = {
        scheme: {noise: {"right": 0.9 - noise, "wrong": noise, "none": 0.1} for noise in (0.0, 0.2, 0.4)}
        for scheme in ("ordinal", "fbi")
    }
    figure = noise_figure(shares)
    for axes in figure.axes:
        right, wrong, _ = ([bar.get_height() for bar in bars] for bars in axes.containers)
        np.testing.assert_allclose(right, [90, 70, 50])
        np.testing.assert_allclose(wrong, [0, 20, 40])
        assert [bar.get_y() + bar.get_height() for bar in axes.containers[2]] == pytest.approx([100] * 3)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["right", "wrong", "none"]
    with pytest.raises(ValueError, match=r"must have 4 kinds of answer at most, got 5"):
        noise_figure({"ordinal": {0.0: dict.fromkeys("abcde", 0.2)}})


def test_networks_stand_beside_each_other(samples):
    def said(sample, plane_mm):
        joints = {"joints_crop": sample.joints_crop.tolist(), "joints_mm": sample.joints_cam_mm.tolist()}
        return {**joints, "plane_mm": plane_mm, "depth_mm": 2 * plane_mm}

    records = [{"true": said(s, 0), "2d": said(s, 10), "full": said(s, 5)} for s in samples]
    figure = side_by_side_figure(samples, records, ("2d", "full"), HEMLETS18)
    assert [axes.get_title() for axes in figure.axes[:4]] == [
        "2d: 10 mm in the plane", "from the side: 20 mm in depth",
        "full: 5 mm in the plane", "from the side: 10 mm in depth",
    ]  # fmt: skip
    assert len(figure.axes) == 4 * len(samples)
    assert len(figure.axes[1].lines) == 2 * len(HEMLETS18.bones)


def test_the_first_pull_sums_to_zero_and_each_row_is_drawn_with_its_place():
    history = torch.tensor([[0.1, 0.2, 0.6, 0.1], [0.0, 0.1, 0.8, 0.1]])
    places = (history @ torch.arange(4.0)).tolist()
    doubtful = history.flip(1)
    runs = {"confident": (history, places), "in doubt": (doubtful, (doubtful @ torch.arange(4.0)).tolist())}
    first, left, right, _ = descent_figure(runs, truth=2.5).axes
    probs, pull = ([bar.get_height() for bar in bars] for bars in first.containers)
    np.testing.assert_allclose(probs, history[0])
    np.testing.assert_allclose(pull, [0.1 * -1.7, 0.2 * -0.7, 0.6 * 0.3, 0.1 * 1.3], atol=1e-6)
    assert sum(pull) == pytest.approx(0, abs=1e-6)
    for axes, (name, (rows, at)) in zip((left, right), runs.items(), strict=True):
        np.testing.assert_array_equal(axes.images[0].get_array(), rows.T)
        assert list(axes.lines[0].get_ydata()) == at and axes.lines[1].get_ydata()[0] == 2.5
        assert axes.get_title() == f"starting {name}"


def test_a_volume_of_pulls_is_summed_over_y_from_above_and_over_the_picture_along_z():
    pulls = {name: torch.randn(4, 5, 6) for name in ("with depth", "2D only")}
    *maps, marginal, _ = pull_figure(pulls, believed=(2, 3), true=(5, 1)).axes
    for axes, line, (name, pull) in zip(maps, marginal.lines, pulls.items(), strict=False):
        np.testing.assert_allclose(axes.images[0].get_array(), pull.sum(1))  # (z, x)
        assert [tuple(mark.get_xydata()[0]) for mark in axes.lines] == [(2, 3), (5, 1)]
        np.testing.assert_allclose(line.get_ydata(), pull.sum((1, 2)))
        assert axes.get_title() == line.get_label() == name


def test_a_prediction_stands_over_its_picture_and_in_every_view(samples):
    shot = samples[0]
    joints_mm = shot.joints_cam_mm - shot.joints_cam_mm[HEMLETS18.root]
    views = {"from the front": (1.1 * joints_mm, -90), "from the side": (0.9 * joints_mm, 0)}
    figure = error_views_figure(shot, shot.joints_crop, joints_mm, views, HEMLETS18)
    over, *spaces = figure.axes
    assert [axes.get_title() for axes in figure.axes] == ["joints as predicted", *views]
    assert over.images and over.lines
    assert [len(axes.lines) for axes in spaces] == [2 * len(HEMLETS18.bones)] * 2
    assert [axes.azim for axes in spaces] == [-90, 0]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["true", "predicted"]
