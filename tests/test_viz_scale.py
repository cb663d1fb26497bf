"""Pictures of scale: points where the numbers are, the words that go with them."""

import pytest

from hemlets_lib.scaling import LINKS
from hemlets_lib.viz import png_bytes
from hemlets_lib.viz_scale import (
    cost_figure,
    cost_words,
    efficiency_figure,
    efficiency_words,
    memory_figure,
    memory_words,
    plan_figure,
    slope,
)

COST = [
    {"axis": axis, "value": value, "forward_ms": 2.0 * value, "step_ms": 0.5 * value**2}
    for axis in ("batch size", "joints")
    for value in (1, 2, 4)
]
WORKERS = [
    {"what": "drawing", "workers": 2, "images_per_s": 190.0},
    {"what": "drawing", "workers": 1, "images_per_s": 100.0},
    {"processes": 1, "images_per_s": 80.0},
    {"processes": 4, "images_per_s": 120.0},
]
MEMORY = [
    {"freed_memory": "handed back", "predicted_bytes": 95e6, "measured_bytes": 100e6, "off_percent": -5.0},
    {"freed_memory": "handed back", "predicted_bytes": 1.2e9, "measured_bytes": 1e9, "off_percent": 20.0},
    {"freed_memory": "kept", "predicted_bytes": 95e6, "measured_bytes": 119e6, "off_percent": -20.2},
]


def test_the_slope_of_a_power_is_its_exponent():
    assert slope([1, 2, 8], [3, 12, 192]) == pytest.approx(2)


def test_each_cost_has_a_panel_with_its_exponents():
    figure = cost_figure(COST)
    exponents = "\ntraining step $n^{2.00}$\nforward pass $n^{1.00}$"
    assert [axes.get_title() for axes in figure.axes] == ["batch size" + exponents, "joints" + exponents]
    for axes in figure.axes:
        assert [list(line.get_ydata()) for line in axes.lines] == [[0.5, 2.0, 8.0], [2.0, 4.0, 8.0]]
        assert axes.get_xscale() == axes.get_yscale() == "log"
    assert "batch size 1 to 4: training step 0.5 to 8 ms, exponent 2.00" in cost_words(COST)
    assert len(png_bytes(figure)) > 10_000


def test_speeds_are_those_of_one_worker_times_so_much():
    axes = efficiency_figure(WORKERS, cores=2).axes[0]
    ideal, drawing, training = axes.lines
    assert list(ideal.get_ydata()) == [1, 2, 2]  # two cores make nobody four times as fast
    assert list(drawing.get_xdata()) == [1, 2] and list(drawing.get_ydata()) == [1, 1.9]
    assert list(training.get_xdata()) == [1, 4] and list(training.get_ydata()) == [1, 1.5]
    assert len({drawing.get_marker(), training.get_marker()}) == 2
    assert "drawing: 1 1.00, 2 1.90; training: 1 1.00, 4 1.50" in efficiency_words(WORKERS, cores=2)


def test_peaks_stand_against_the_band():
    axes = memory_figure(MEMORY).axes[0]
    equal, back, kept = axes.lines
    assert list(equal.get_xdata()) == list(equal.get_ydata())
    assert list(back.get_xdata()) == [100, 1000] and list(back.get_ydata()) == [95, 1200]
    assert (list(kept.get_xdata()), list(kept.get_ydata())) == ([119], [95])
    assert axes.get_legend().get_texts()[0].get_text() == "±10 %"
    words = memory_words(MEMORY)
    assert "freed memory handed back: 1 of 2 within 10 %, off by -5.0 to +20.0 %" in words
    assert "freed memory kept: 0 of 1 within 10 %" in words


def test_the_plan_falls_with_processes_and_with_slower_links():
    axes = plan_figure(compute_s=0.1, message_bytes=2e8, most=8).axes[0]
    shares = [list(line.get_ydata()) for line in axes.lines]
    assert len(shares) == len(LINKS) and all(line[0] == 100 and len(line) == 4 for line in shares)
    assert all(line == sorted(line, reverse=True) for line in shares)
    at_eight = [line[-1] for line in shares]
    assert at_eight == sorted(at_eight, reverse=True)
    # 10 Gbit/s: 2 · 7/8 · 200 MB take 0.28 s beside 0.1 s of computing.
    assert at_eight[-1] == pytest.approx(100 * 0.1 / 0.38)


@pytest.mark.parametrize("draw", [cost_figure, cost_words, memory_figure])
def test_nothing_to_draw(draw):
    with pytest.raises(ValueError, match="`rows` must hold at least one measurement, got none"):
        draw([])
