"""Figures of data: arrows and marks stand where numbers say, labels with pictures, rows with the plan."""

import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex

from hemlets_lib.data.mixing import Draw
from hemlets_lib.data.sample import collate
from hemlets_lib.data.samples import load_samples
from hemlets_lib.skeleton import HEMLETS18
from hemlets_lib.viz import CHARCOAL, ORANGE
from hemlets_lib.viz_data import enlarged_figure, lens_figure, plan_figure, versions_figure


def lens(names):
    ideal = torch.tensor([[10.0, 20.0], [80.0, 90.0], [50.0, 40.0]])
    radii = torch.linspace(0, 0.6, 5)
    inward = {name: (number + 1) * radii**2 for number, name in enumerate(names)}
    figure = lens_figure(ideal, ideal + 2, torch.tensor([48.0, 52.0]), radii, inward, size=100, reach=0.2)
    return figure, ideal, inward


def test_arrows_lead_from_where_a_pinhole_shows_a_point_to_where_the_lens_does():
    figure, ideal, inward = lens("ab")
    left, right = figure.axes
    (arrows,) = (each for each in left.collections if hasattr(each, "U"))
    np.testing.assert_allclose(arrows.XY, ideal)
    assert set(arrows.U) == set(arrows.V) == {2.0}
    assert left.get_ylim() == (100, 0)  # v grows downwards
    assert {line.get_label(): line.get_ydata().tolist() for line in right.lines} == {
        name: shift.tolist() for name, shift in inward.items()
    }
    assert right.patches[0].get_width() == pytest.approx(0.2)
    with pytest.raises(ValueError, match=r"`inward_px` must have 4 cameras at most, got 5"):
        lens("abcde")


def test_marks_stand_where_their_rules_say_and_say_so():
    small = np.zeros((4, 4, 3), dtype=np.uint8)
    large = small.repeat(4, 0).repeat(4, 1)
    place, right_place = torch.tensor([1.0, 2.0]), torch.tensor([5.5, 9.5])
    figure = enlarged_figure(small, large, place, {"right": right_place, "wrong": 4 * place})
    left, right = figure.axes
    assert [axes.get_title() for axes in figure.axes] == ["4 × 4 pixels", "enlarged to 16 × 16"]
    assert [tuple(mark.get_xydata()[0]) for mark in right.lines] == [(5.5, 9.5), (4.0, 8.0)]
    assert [mark.get_label() for mark in right.lines] == ["right: (5.5, 9.5)", "wrong: (4, 8)"]
    assert tuple(left.lines[0].get_xydata()[0]) == (1, 2)


def test_each_version_has_its_joints_above_and_its_maps_below():
    versions = {f"person {i}": collate([shot]) for i, shot in enumerate(load_samples(size=48)[:3])}
    maps = {name: torch.rand(3, 16, 16) for name in versions}
    figure = versions_figure(versions, maps, HEMLETS18)
    above, below = figure.axes[:3], figure.axes[3:]
    assert [axes.get_title() for axes in above] == list(versions)
    assert [len(axes.images) for axes in figure.axes] == [1, 1, 1, 4, 4, 4]  # the picture, and a map a state
    for axes, name in zip(below, versions, strict=True):
        drawn = [image.get_array() for image in axes.images[1:]]  # level, farther, nearer
        for picture, state in zip(drawn, (1, 0, 2), strict=True):
            np.testing.assert_allclose(picture, maps[name][state])
    assert all(axes.get_xlim() == (-0.5, 47.5) and axes.get_ylim() == (47.5, -0.5) for axes in figure.axes)


def test_rows_of_the_plan_have_their_sources_colour_and_their_samples_number():
    plan = [[Draw(0, 7, 0), Draw(1, 2, 1)], [Draw(1, 0, 2), Draw(0, 5, 3)], [Draw(1, 1, 4), Draw(1, 2, 5)]]
    left, right = plan_figure(plan, epoch=3).axes
    assert [text.get_text() for text in left.texts] == ["7", "2", "0", "5", "1", "2"]
    colours = [to_hex(cell.get_facecolor()) for cell in left.patches]
    expected = {0: ORANGE.lower(), 1: CHARCOAL.lower()}
    assert colours == [expected[draw.source] for rows in plan for draw in rows]
    assert left.lines[0].get_xdata()[0] == 1  # between the processes
    samples, *epochs = right.lines
    assert list(samples.get_ydata()) == [2, 0, 1, 2]
    assert [line.get_xdata()[0] for line in epochs] == [-0.5, 2.5]
