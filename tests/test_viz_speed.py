"""Pictures of speed: bars start at the target and end where the measurement is; bounds add up."""

from __future__ import annotations

import pytest

from hemlets_lib.limits import Limits
from hemlets_lib.timing import Headline
from hemlets_lib.viz import png_bytes
from hemlets_lib.viz_speed import (
    bounds_figure,
    bounds_words,
    headlines_figure,
    headlines_words,
    margin,
    roofline_figure,
)

MET = Headline("soft-argmax", "plain", "cpu", 5.0, 2.5).to_dict()
MISSED = Headline("targets", "writing", "cpu", 6.0, 3.0, at_least=False, bound="memory").to_dict()
WORKS = [
    {"kind": "convolutions and products", "bound_ms": 60.0},
    {"kind": "the rest", "bound_ms": 20.0},
    {"kind": "all", "bound_ms": 80.0},
]
ROW = {
    "preset": "nano", "batch": 32, "device": "cpu",
    "ours": {"step_ms": 100.0, "wait_ms": 10.0, "prepare_ms": 5.0}, "roofline": WORKS,
}  # fmt: skip


def test_a_margin_is_how_many_times_as_good_as_the_target():
    assert margin(MET) == 2.0 and margin(MISSED) == 0.5


def test_bars_go_from_the_target_to_what_was_measured():
    axes = headlines_figure([MET, MISSED]).axes[0]
    met, missed = (bars[0] for bars in axes.containers)
    assert (met.get_x(), met.get_width()) == (1, 1.0)
    assert (missed.get_x(), missed.get_width()) == (1, -0.5)
    assert met.get_facecolor() != missed.get_facecolor() and missed.get_hatch() and not met.get_hatch()
    assert axes.get_xscale() == "log" and list(axes.lines[0].get_xdata()) == [1, 1]
    said = [text.get_text() for text in axes.texts]
    assert "5 ×  (aim ≥ 2.5)" in said and "6 ×  (aim ≤ 3)" in said
    assert axes.get_yticklabels()[1].get_text() == "targets\nagainst writing"


def test_the_first_headline_is_on_top_and_many_fit():
    axes = headlines_figure([MET] * 20).axes[0]
    assert axes.get_ylim()[0] > axes.get_ylim()[1]
    assert len(png_bytes(axes.figure)) > 10_000


def test_words_say_the_same():
    assert headlines_words([MET, MISSED]) == (
        "soft-argmax against plain: 5 ×, aim at least 2.5, met; targets against writing: 6 ×, aim at most 3, "
        "missed"
    )


def test_measured_and_bounds_stand_below_each_other():
    axes = bounds_figure([ROW]).axes[0]
    bars = [(bar.get_y(), bar.get_x(), bar.get_width()) for bars in axes.containers for bar in bars]
    drawn = [(x, width) for _, x, width in bars if width]
    assert drawn == [(0, 15.0), (15.0, 85.0), (0.0, 60.0), (60.0, 20.0)]
    assert [text.get_text() for text in axes.texts] == ["100 ms", "80 ms"]
    assert axes.get_yticklabels()[0].get_text() == "nano, batch 32, cpu\nmeasured"


def test_bounds_in_words():
    (said,) = bounds_words([ROW])
    assert said == (
        "nano, batch 32, cpu: a step takes 100 ms, its operations at the machine's limits 80 ms, most of all "
        "convolutions and products, 60 ms; 20 % of the step lies above all bounds, and 15 % goes to data and "
        "targets"
    )


def test_computations_stand_under_their_roof():
    limits = Limits("cpu", 2, {"float32": 200.0, "bfloat16": 800.0}, 20.0)
    product = {"name": "product", "gflop": 10.0, "gb": 0.1, "ms": 100.0, "dtype": "float32"}
    sum_of_two = {"name": "sum", "gflop": 0.01, "gb": 0.12, "ms": 10.0, "dtype": "bfloat16"}
    axes = roofline_figure(limits, [product, sum_of_two]).axes[0]
    low, high, *points = axes.lines
    places = [(float(line.get_xdata()[0]), float(line.get_ydata()[0])) for line in points]
    assert places == [(pytest.approx(100.0), 100.0), (pytest.approx(1 / 12), pytest.approx(1.0))]
    assert [line.get_color() for line in points] == [low.get_color(), high.get_color()]
    legend = [text.get_text() for text in axes.get_legend().get_texts()]
    assert legend[2:] == ["product: 100", "sum: 1"]
    bend = low.get_ydata()[low.get_xdata() > 10.0]  # 200 GFLOP/s over 20 GB/s
    assert (bend == 200.0).all() and high.get_ydata().max() == 800.0
    assert low.get_ydata()[0] == pytest.approx(20 * low.get_xdata()[0])
    with pytest.raises(ValueError, match="`points` must hold at least one"):
        roofline_figure(limits, [])


@pytest.mark.parametrize(("draw", "name"), [(headlines_figure, "lines"), (bounds_figure, "rows")])
def test_nothing_to_draw(draw, name):
    with pytest.raises(ValueError, match=f"`{name}` must hold at least one"):
        draw([])
