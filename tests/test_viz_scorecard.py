"""Pictures of a scorecard: bars as long as counts, names in their order, equal bits at the edge."""

import dataclasses

import pytest

from hemlets_lib.experiments.orderings import Ordering
from hemlets_lib.experiments.scorecard import ScoreRow
from hemlets_lib.experiments.statistics import Interval
from hemlets_lib.paper import OWN, TABLES
from hemlets_lib.viz import png_bytes
from hemlets_lib.viz_scorecard import coverage_figure, determinism_figure, orderings_figure, step_figure

STATUSES = ["measured", "stand-in", "not run", "not measurable here"]
ACTIONS = Ordering("Table 1, protocol #1", "actions", ("a", "b", "c"), (40.0, 45.0, 60.0), (55.0, 50.0, 90.0))
FOUR = Ordering(
    "Table 4, H3.6M #1", "supervisions", tuple("wxyz"), (4.0, 3.0, 2.0, 1.0), (1.0, 2.0, 3.0, 4.0)
)


def test_bars_count_every_number_once():
    rows = [
        ScoreRow(number, "stand-in" if number.table == "table4" else "not run", Interval(1.0, None, 1))
        for number in OWN.values()
    ]
    axes = coverage_figure(rows).axes[0]
    lengths = {
        label: [bar.get_width() for bar in bars]
        for bars, label in zip(axes.containers, STATUSES, strict=True)
    }
    assert lengths["stand-in"] == [0, 0, 0, 8, 0, 0] and lengths["not run"] == [48, 7, 5, 0, 4, 4]
    assert [text.get_text() for text in axes.get_yticklabels()][:2] == ["Table 1", "Table 2"]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == STATUSES
    assert len(axes.get_yticks()) == len(TABLES)


def test_each_name_goes_from_its_place_to_its_place():
    figure = orderings_figure([ACTIONS])
    axes = figure.axes[0]
    joined = [[int(place) for place in line.get_ydata()] for line in axes.lines]
    assert joined == [[0, 1], [1, 0], [2, 2]]
    assert axes.get_title() == "Table 1, protocol #1\n2 of 3 pairs in the same order"
    assert [text.get_text() for text in axes.texts] == ["a", "a", "b", "b", "c", "c"]
    low, high = axes.get_ylim()
    assert low > high  # the best on top: the lowest error


def test_the_highest_share_of_right_joints_is_on_top():
    shares = dataclasses.replace(ACTIONS, higher_is_better=True)
    axes = orderings_figure([shares]).axes[0]
    assert [[int(place) for place in line.get_ydata()] for line in axes.lines] == [[2, 1], [1, 2], [0, 0]]


def test_panels_come_in_the_order_given():
    titles = [
        axes.get_title() for axes in orderings_figure([ACTIONS, FOUR, ACTIONS]).axes if axes.get_title()
    ]
    assert [title.partition(",")[0] for title in titles] == ["Table 1", "Table 4", "Table 1"]


def test_lines_are_coloured_by_how_far_a_name_moves():
    colours = {
        abs(line.get_ydata()[0] - line.get_ydata()[1]): line.get_color()
        for ordering in (ACTIONS, FOUR)
        for line in orderings_figure([ordering]).axes[0].lines
    }
    assert len({colours[0], colours[1], colours[3]}) == 3


def test_many_orderings_fill_several_lines():
    figure = orderings_figure([FOUR] * 5 + [ACTIONS])
    assert sum(axes.axison is False and bool(axes.get_title()) for axes in figure.axes) == 6
    assert len(png_bytes(figure)) > 10_000


def test_equal_bits_stand_at_the_edge_and_a_kind_has_one_line():
    rows = [
        {"what": "again", "difference_mm": 0.0, "bitwise": True},
        {"what": "two threads", "difference_mm": -0.25, "bitwise": False},
        {"what": "two threads", "difference_mm": 4.0, "bitwise": False},
        {"what": "a GPU", "difference_mm": None, "bitwise": None},
    ]
    axes = determinism_figure(rows).axes[0]
    points = [line for line in axes.lines if line.get_marker() != "None"]
    assert [line.get_marker() for line in points] == ["s", "o", "o"]
    places = [(float(line.get_xdata()[0]), int(line.get_ydata()[0])) for line in points]
    assert places == [(pytest.approx(0.01), 0), (0.25, 1), (4.0, 1)]
    assert [text.get_text() for text in axes.texts] == ["the same bits", "0.25 to 4 mm", "not measured here"]
    assert axes.get_xscale() == "log"
    said = axes.xaxis.get_major_formatter()
    assert said(0.01, 0) == "0" and said(0.1, 1) != "0"


def test_stages_of_a_step_add_up():
    row = {"threads": 2, "precision": "bfloat16", "images_per_s": 300.0} | dict.fromkeys(
        (
            "read_ms", "collate_ms", "augment_ms", "normalise_ms", "targets_ms", "forward_ms", "loss_ms",
            "backward_ms", "clip_ms", "optimiser_ms", "average_ms",
        ), 2.0,
    )  # fmt: skip
    axes = step_figure([row]).axes[0]
    assert [bars[0].get_width() for bars in axes.containers] == [10.0, 2.0, 2.0, 2.0, 6.0]
    assert axes.get_yticklabels()[0].get_text() == "2 threads, bfloat16"
    assert [text.get_text() for text in axes.texts] == ["300 images/s"]


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (orderings_figure, "`orderings` must hold at least one, got none"),
        (determinism_figure, "`rows` must hold at least one comparison, got none"),
        (step_figure, "`rows` must hold at least one measurement, got none"),
    ],
)
def test_nothing_to_draw(draw, message):
    with pytest.raises(ValueError, match=message):
        draw([])
