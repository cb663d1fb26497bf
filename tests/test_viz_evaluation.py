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
from hemlets_lib.viz_evaluation import (
    conventions_figure,
    draw_columns,
    draw_joint_errors,
    draw_polarity,
    evaluation_figure,
    thresholds_figure,
)


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


def test_errors_are_counted_as_bars_and_as_shares_below_each_threshold():
    errors_mm = torch.tensor([[5.0, 15.0, 25.0], [12.0, 95.0, 148.0]])
    thresholds = torch.tensor([0.0, 20.0, 50.0, 100.0])
    curve = torch.tensor([0.0, 50.0, 66.7, 83.3])
    knee = torch.tensor([0.0, 100.0, 100.0, 100.0])
    left, right = thresholds_figure(errors_mm, thresholds, curve, {"right knee": knee}).axes
    heights = [bar.get_height() for bar in left.patches]
    assert sum(heights) == 6 and heights[:3] == [1, 2, 1] and heights[9] == heights[14] == 1
    assert [line.get_xdata()[0] for line in left.lines] == pytest.approx([50.0, 15.0])
    assert [line.get_label() for line in left.lines] == ["mean 50 mm", "median 15 mm"]
    assert [line.get_label() for line in right.lines] == ["3 joints: AUC 50.0 %", "right knee"]
    for line, shares in zip(right.lines, (curve, knee), strict=True):
        assert list(line.get_ydata()) == pytest.approx(shares.tolist())


def test_each_metric_has_a_marker_in_each_way_of_scoring_and_each_group_its_histogram():
    scores = {"told, averaged": {"MPJPE": 60.0, "PA-MPJPE": 45.0}, "found": {"MPJPE": 64.0, "PA-MPJPE": 44.0}}
    off = {"S9": torch.tensor([-1.5, -0.5, 2.5]), "S11": torch.tensor([-4.5])}
    left, right = conventions_figure(scores, off).axes
    assert {line.get_label(): list(line.get_xdata()) for line in left.lines} == {
        "MPJPE": [60.0, 64.0],
        "PA-MPJPE": [45.0, 44.0],
    }
    assert [label.get_text() for label in left.get_yticklabels()] == ["told,\naveraged", "found"]
    assert left.get_ylim() == (1.5, -0.5)  # the first on top
    counted = {
        bars[0].get_label(): {bar.get_x(): bar.get_height() for bar in bars if bar.get_height()}
        for bars in right.containers
    }
    assert counted == {"S9": {-2: 1, -1: 1, 2: 1}, "S11": {-5: 1}}
