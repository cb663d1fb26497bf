"""Pictures of experiments: points stand where the numbers are, and what has not run says so."""

import pytest
from matplotlib.colors import to_hex

from hemlets_lib.experiments.differences import Difference
from hemlets_lib.viz import CHARCOAL, ORANGE, png_bytes
from hemlets_lib.viz_experiments import (
    curves_figure,
    differences_figure,
    differences_words,
    levels_figure,
    levels_words,
    power_figure,
    power_words,
)

FOUND = [
    Difference("full", {0: -9.0, 1: -10.0, 2: -11.0}, "few"),
    Difference("2d", {0: -9.0, 1: 9.0}, "few"),
    Difference("hemlets", {4: 3.0}, "many"),
    Difference("smaller", {}, "many"),
]


def diamonds(axes):
    """y → (mean, half-width of its bar, colour of the filling)."""
    found = {}
    for container in axes.containers:
        line, _, (bars,) = container.lines
        (start, end) = bars.get_segments()[0]
        place = line.get_ydata()[0]
        found[place] = (line.get_xdata()[0], (end[0] - start[0]) / 2, to_hex(line.get_markerfacecolor()))
    return found


def test_differences_are_where_they_belong():
    figure = differences_figure(FOUND, unit="mm", against="none", highlight=["2d"])
    (axes,) = figure.axes
    names = [text.get_text() for text in axes.get_yticklabels()]
    assert names == ["few", "full", "2d", "many", "hemlets", "smaller"]
    assert axes.get_xlabel() == "difference to none, mm"
    means = diamonds(axes)
    assert means[1] == (pytest.approx(-10), pytest.approx(2.4841, abs=1e-3), CHARCOAL)
    assert means[2][0] == pytest.approx(0) and means[2][2] == "#ffffff"  # its interval holds zero
    assert set(means) == {1, 2}  # one seed has no interval
    rings = [line for line in axes.lines if line.get_marker() == "o"]
    assert [list(line.get_xdata()) for line in rings] == [[-9, -10, -11], [-9, 9], [3]]
    assert [line.get_markeredgecolor() for line in rings] == [CHARCOAL, ORANGE, CHARCOAL]
    assert [text.get_text() for text in axes.texts] == [
        "−10.0 ± 2.5", "+0.0 ± 114.4", "+3.0 (one seed)", "not run"
    ]  # fmt: skip
    assert png_bytes(figure).startswith(b"\x89PNG")


def test_a_bar_as_wide_as_a_barn_hides_no_seeds():
    rows = [Difference("two seeds", {0: -10.0, 1: 10.0}), Difference("three", {0: 1.0, 1: 2.0, 2: 3.0})]
    (axes,) = differences_figure(rows, unit="mm").axes
    assert axes.get_xlim() == (-30, 30)  # zero and seeds are 20 apart; the bar would reach 127
    (axes,) = differences_figure(rows[1:], unit="mm").axes
    assert axes.get_xlim()[1] > 4.48  # the whole bar


def test_differences_in_words():
    words = differences_words(FOUND, unit="mm")
    assert "full (few) −10.0 ± 2.5 mm" in words and "smaller (many) not run." in words


def test_curves_have_a_band_over_seeds():
    none = {0: {100: 50.0, 200: 40.0}, 1: {100: 54.0, 200: 42.0, 300: 1.0}}
    panels = {"few": {"none": none, "full": {0: {100: 45.0, 200: 30.0}}}, "many": {"none": {}, "full": {}}}
    figure = curves_figure(panels, unit="mm", zero=True)
    few, many = figure.axes
    first, second, zero = few.lines
    assert list(first.get_xdata()) == [100, 200]  # where every seed has been
    assert list(first.get_ydata()) == [52, 41] and list(second.get_ydata()) == [45, 30]
    assert first.get_marker() != second.get_marker() and list(zero.get_ydata()) == [0, 0]
    (band,) = few.collections
    heights = {tuple(point) for point in band.get_paths()[0].vertices}
    assert {(100, 50), (100, 54), (200, 40), (200, 42)} <= heights
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["none", "full"]
    assert few.get_title() == "few\n1 or 2 seeds"
    assert many.texts[0].get_text() == "not run"


def test_a_condition_looks_alike_in_every_panel():
    curve = {0: {100: 1.0}}
    figure = curves_figure({"a": {"x": curve, "y": curve}, "b": {"y": curve}}, unit="mm")
    left, right = figure.axes
    assert left.lines[1].get_color() == right.lines[0].get_color() != left.lines[0].get_color()


def test_the_band_of_an_interval():
    by_seed = {0: {100: 1.0}, 1: {100: 2.0}, 2: {100: 3.0}}
    figure = curves_figure({"": {"x": by_seed}}, unit="mm", band="interval")
    (band,) = figure.axes[0].collections
    heights = band.get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == pytest.approx((2 - 2.4841, 2 + 2.4841), abs=1e-3)


def test_levels_join_a_seeds_values():
    panels = {"plane": {"2d": {0: 40.0, 1: 50.0}, "full": {0: 38.0}}, "depth": {"2d": {0: 80.0}, "full": {}}}
    figure = levels_figure(panels, unit="mm", from_zero=True)
    plane, depth = figure.axes
    seeds = [line for line in plane.lines if line.get_marker() == "o"]
    assert [list(line.get_ydata()) for line in seeds] == [[40, 38], [50]]
    means = [list(line.get_ydata()) for line in plane.lines if to_hex(line.get_color()) == ORANGE.lower()]
    assert means == [[45, 45], [38, 38]]
    assert [text.get_text() for text in depth.texts] == ["80.0", "not run"]
    assert depth.get_ylim() == plane.get_ylim() and plane.get_ylim()[0] == 0


def test_nothing_to_draw():
    with pytest.raises(ValueError, match="`found` must have at least one row, got none"):
        differences_figure([], unit="mm")
    for draw in (curves_figure, levels_figure):
        with pytest.raises(ValueError, match="`panels` must have at least one, got none"):
            draw({}, unit="mm")


def test_levels_in_words():
    panels = {"left": {"none": {0: 10.0, 1: 13.0}, "full": {}}, "right": {"none": {0: 2.0}}}
    said = levels_words(panels, unit="mm")
    assert said.endswith("left: none 11.5 mm, full not run; right: none 2.0 mm.")


def test_power_by_hand():
    """σ = 1 over three seeds: (4.303 + 1.061) / √3 = 3.10; two seeds have no curve."""
    (axes,) = power_figure(FOUND, unit="mm", against="none").axes
    (curve,) = axes.lines
    assert list(curve.get_xdata()) == list(range(3, 11))
    assert curve.get_ydata()[0] == pytest.approx(3.097, abs=1e-3)
    assert list(curve.get_ydata()) == sorted(curve.get_ydata(), reverse=True)
    (label,) = (text.get_text() for text in axes.get_legend().get_texts())
    assert label == "full (σ = 1.0 mm)"
    words = power_words(FOUND, unit="mm")
    assert "full 3.1 mm with 3 seeds" in words and "2d has fewer than 3 seeds" in words


def test_power_of_nothing():
    (axes,) = power_figure(FOUND[1:], unit="mm", against="none").axes
    assert [text.get_text() for text in axes.texts] == [
        "nothing has three seeds yet"
    ] and axes.get_legend() is None
