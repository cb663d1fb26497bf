"""Names beside points: each at its own, none on another, moved as little as needed."""

import itertools

import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from hemlets_lib.callouts import spread
from hemlets_lib.skeleton import HEMLETS18
from hemlets_lib.viz import draw_image, draw_pose


def test_names_do_not_lie_on_each_other():
    """Eighteen joints within a few pixels: every name has a line to its own joint and a place of its own."""
    joints = 14 + 4 * torch.rand(18, 2)
    figure = Figure(figsize=(3.5, 3.5))
    axes = figure.subplots()
    draw_image(axes, np.full((32, 32, 3), 200, np.uint8))
    draw_pose(axes, joints, HEMLETS18, labels=True)
    drawn = {text.get_text(): text for text in axes.texts}
    assert len(drawn) == 18
    for joint, name in enumerate(HEMLETS18.joint_names):
        np.testing.assert_allclose(drawn[name.replace("_", " ")].xy, joints[joint], rtol=1e-6)
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    boxes = [Text.get_window_extent(text, renderer) for text in axes.texts]
    assert not [(a, b) for a, b in itertools.combinations(boxes, 2) if a.overlaps(b)]


@pytest.mark.parametrize(
    ("wanted", "places"),
    [
        ([0, 10, 20], [0, 10, 20]),
        ([5, 5], [3, 7]),
        ([0, 1, 20], [-1.5, 2.5, 20]),
        ([9, 9, 10], [5.33, 9.33, 13.33]),
    ],
)
def test_places_are_spread_as_little_as_needed(wanted, places):
    np.testing.assert_allclose(spread(np.array(wanted, float), 4.0), places, atol=0.01)
