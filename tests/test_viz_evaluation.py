"""Pictures of an evaluation: bars and markers stand where the numbers are."""

import math

import pytest
import torch
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from hemlets_lib.data.sample import Meta
from hemlets_lib.protocols import PROTOCOLS
from hemlets_lib.scores import Poses, score_poses
from hemlets_lib.viz import SIDE_COLOURS, png_bytes
from hemlets_lib.viz_evaluation import draw_columns, draw_joint_errors, draw_polarity, evaluation_figure


@pytest.fixture
def evaluation():
    target = 300 * torch.randn(6, 18, 3)
    actions = ("Walking", "Photo", "Sitting") * 2
    metas = tuple(Meta("random", ("S9", "S11")[i % 2], action) for i, action in enumerate(actions))
    states = torch.zeros(6, 14, dtype=torch.long)
    return score_poses(Poses(target + 50, target * 1.1, metas, states), PROTOCOLS["h36m"])


def test_a_bar_for_each_column_and_a_marker_for_each_further_row(evaluation):
    axes = Figure().subplots()
    draw_columns(axes, evaluation)
    heights = {
        label.get_text(): bar.get_height()
        for label, bar in zip(axes.get_xticklabels(), axes.patches, strict=True)
    }
    means = evaluation.tables["MPJPE, S9 + S11"].means
    assert {name: height for name, height in heights.items() if math.isfinite(height)} == pytest.approx(
        {name: mean for name, mean in means.items() if math.isfinite(mean)}
    )
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == [row.name for row in evaluation.protocol.rows]


def test_markers_are_only_of_the_bars_unit():
    target = 300 * torch.randn(3, 18, 3)
    found = score_poses(Poses(target * 0.9, target, (Meta("mine"),) * 3), PROTOCOLS["all"])
    axes = Figure().subplots()
    draw_columns(axes, found)
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["MPJPE", "PA-MPJPE"]
    assert axes.get_ylabel() == "mm"


def test_joints_have_the_colour_of_their_side(evaluation):
    axes = Figure().subplots()
    draw_joint_errors(axes, evaluation)
    names = [label.get_text() for label in axes.get_yticklabels()]
    colours = {
        name: to_hex(bar.get_facecolor()).upper() for name, bar in zip(names, axes.patches, strict=True)
    }
    assert colours["left knee"] == SIDE_COLOURS["left"] and colours["right wrist"] == SIDE_COLOURS["right"]
    widths = [bar.get_width() for bar in axes.patches]
    assert widths == pytest.approx(list(evaluation.joint_errors_mm.values()))


def test_polarity_by_source(evaluation):
    axes = Figure().subplots()
    draw_polarity(axes, evaluation)
    for line, accuracy in zip(axes.lines, evaluation.polarity.values(), strict=True):
        assert list(line.get_xdata()) == pytest.approx(accuracy.per_part.tolist())
    assert len({line.get_marker() for line in axes.lines}) == 3


def test_a_source_keeps_its_marker_where_another_is_missing(evaluation):
    target = 300 * torch.randn(3, 18, 3)
    found = score_poses(Poses(target, target, (Meta("mine"),) * 3), PROTOCOLS["all"])
    whole, part = Figure().subplots(), Figure().subplots()
    draw_polarity(whole, evaluation)
    draw_polarity(part, found)
    assert [line.get_marker() for line in part.lines] == [line.get_marker() for line in whole.lines][1:]


def test_the_whole_figure(evaluation):
    figure = evaluation_figure(evaluation, title="A network on something")
    assert png_bytes(figure).startswith(b"\x89PNG")
    assert figure.get_suptitle() == "A network on something"
    assert evaluation_figure(evaluation).get_suptitle() == "Human3.6M, the layout of Table 1"
