"""A run's curves and its live view: heights and places are the log's, and a run does not notice who looks."""

import dataclasses

import numpy as np
import pytest
import torch

from hemlets_lib.data.mixing import Mixture
from hemlets_lib.data.samples import load_samples
from hemlets_lib.model import HEMletsNet
from hemlets_lib.recipes import RECIPES
from hemlets_lib.run_folder import RunFolder
from hemlets_lib.train import train
from hemlets_lib.viz import png_bytes
from hemlets_lib.viz_training import (
    NotebookWatcher,
    parts_of_loss_figure,
    training_figure,
    training_words,
)

NANO = dataclasses.replace(
    RECIPES["nano"], steps=4, batch_size=4, warmup_steps=2, log_every=2, save_every=4, validate_every=4
)
TERMS = {"total": 60.0, "hem": 5.0, "heatmap": 3.0, "xy": 20.0, "z": 8.0}


def loss(step, factor=1.0):
    terms = {name: factor * value for name, value in TERMS.items()}
    return {"step": step, "kind": "train", **terms, "images_per_s": 50.0, "images": 8 * step}


def tried(step, mpjpe_mm, **more):
    values = {"mpjpe_mm": mpjpe_mm, "pa_mpjpe_mm": 0.8 * mpjpe_mm, **more}
    return {"step": step, "kind": "validation", **values, "images": 8 * step}


RECORDS = [
    {"step": 0, "kind": "event", "what": "started"},
    loss(10),
    tried(10, 150.0, polarity_percent=55.0),
    loss(20, 0.5),
    {"step": 20, "kind": "event", "what": "resumed"},
    loss(30, 0.25),
    tried(30, 90.0, polarity_percent=75.0),
]


@pytest.fixture(scope="module")
def samples():
    return load_samples(size=96)[:8]


@pytest.fixture
def notebook(monkeypatch):
    """What a front end would be told: (display_id given or picture updated, data, metadata)."""
    told = []

    class Handle:
        def update(self, data, *, metadata, raw):
            told.append(("update", data, metadata))

    def display(data, *, display_id, metadata, raw):
        told.append(("display", data, metadata))
        return Handle()

    monkeypatch.setattr("IPython.get_ipython", object)
    monkeypatch.setattr("IPython.display.display", display)
    return told


def lines_of(axes):
    return {line.get_label(): line for line in axes.lines}


def test_every_number_is_where_the_log_says():
    left, middle, right = training_figure(RECORDS).axes
    total = lines_of(left)["total (Eq. 8)"]
    assert list(total.get_xdata()) == [80, 160, 240] and list(total.get_ydata()) == [60, 30, 15]
    assert list(lines_of(left)["z (Eq. 6)"].get_ydata()) == [8, 4, 2]
    assert list(lines_of(middle)["MPJPE"].get_ydata()) == [150, 90]
    assert list(lines_of(middle)["PA-MPJPE"].get_xdata()) == [80, 240]
    assert list(right.lines[0].get_ydata()) == [55, 75]
    assert left.get_yscale() == "log" and middle.get_yscale() == "linear" and middle.get_ylim()[0] == 0
    for axes in (left, middle, right):
        assert list(lines_of(axes)["resumed"].get_xdata()) == [160, 160]


def test_lines_differ_in_more_than_colour():
    looks = [
        (line.get_color(), line.get_linestyle(), line.get_marker())
        for axes in training_figure(RECORDS, levels_mm={"mean pose": 160.0, "flat": 110.0}).axes
        for line in axes.lines
        if len(line.get_xdata()) > 2
    ]
    assert len(set(looks)) == len(looks)


def test_words_hold_the_numbers():
    words = training_words(RECORDS)
    for number in ("240 images", "60 to 15", "150 to 90 mm", "120 to 72 mm", "55 to 75 percent"):
        assert number in words
    assert "not recorded a loss yet" in training_words(RECORDS[:1])


def test_terms_that_are_off_and_numbers_that_are_not_there():
    """No intermediate supervision: its terms are 0. A loss that was not finite is null in the log."""
    off = {"hem": 0.0, "heatmap": 0.0}
    records = [loss(1) | off, loss(2) | off | {"total": None}, tried(2, 100.0)]
    figure = training_figure(records)
    left, _ = figure.axes  # and no panel of the depth order
    assert set(lines_of(left)) == {"total (Eq. 8)", "x, y (Eq. 6)", "z (Eq. 6)"}
    assert np.isnan(lines_of(left)["total (Eq. 8)"].get_ydata()).tolist() == [False, True]
    assert png_bytes(figure).startswith(b"\x89PNG")


def test_what_cannot_be_drawn():
    with pytest.raises(
        ValueError, match=r"`records` must hold at least one of kind 'train', got none.*read_log"
    ):
        training_figure(RECORDS[:1])
    with pytest.raises(ValueError, match=r"`levels_mm` must hold at most 3 levels, got 4"):
        training_figure(RECORDS, levels_mm=dict.fromkeys("abcd", 100.0))


class Nobody:
    def start(self, folder, config, step): ...
    def record(self, record, model): ...
    def stop(self): ...


def run(watcher, samples, out):
    data = Mixture([samples])
    return train(NANO, data, out, validation=samples[:2], watchers=[watcher], device="cpu")


def test_one_picture_is_drawn_anew_and_the_run_is_the_same(notebook, samples, tmp_path):
    watched = run(NotebookWatcher(samples[:2], every_s=0), samples, tmp_path / "watched")
    alone = run(Nobody(), samples, tmp_path / "alone")
    kinds = [kind for kind, _, _ in notebook]
    assert kinds[0] == "display" and set(kinds[1:]) == {"update"}
    _, data, metadata = notebook[-1]
    assert data["image/png"].startswith(b"\x89PNG")
    assert metadata["image/png"]["alt"] == data["text/plain"]
    assert training_words(watched.read_log()) in data["text/plain"] and "2 people" in data["text/plain"]
    assert len({data["image/png"] for _, data, _ in notebook}) > 1
    assert [r["total"] for r in watched.read_log("train")] == [r["total"] for r in alone.read_log("train")]


def test_drawing_takes_a_small_share_of_the_run(notebook, samples, tmp_path, monkeypatch):
    """A minute passes at each look at the clock, so each picture takes one: the next is due in twenty.

    But for the first one, whose cost says nothing of the next one's.
    """
    clock = iter(range(0, 10**9, 60))
    monkeypatch.setattr("hemlets_lib.viz_training.time.monotonic", lambda: float(next(clock)))
    watcher = NotebookWatcher(samples[:1], every_s=1)
    watcher.start(RunFolder(tmp_path), NANO, 0)
    model = HEMletsNet(NANO.model)
    for step in range(1, 61):
        watcher.record(loss(step), model)
    assert len(notebook) == 4
    watcher.stop()
    assert len(notebook) == 5


def test_generators_and_mode_are_left_alone(notebook, samples, tmp_path):
    model = HEMletsNet(NANO.model).train()
    watcher = NotebookWatcher(samples[:2], every_s=0)
    watcher.start(RunFolder(tmp_path), NANO, 0)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    watcher.record(loss(1), model)
    watcher.stop()
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()
    assert model.training


def test_a_resumed_run_shows_what_came_before(notebook, samples, tmp_path):
    folder = RunFolder(tmp_path)
    for record in RECORDS[:4]:
        folder.append(record)
    watcher = NotebookWatcher(samples[:1])
    watcher.start(folder, NANO, 10)  # killed after step 20, saved at 10
    watcher.record(loss(20, 0.7), HEMletsNet(NANO.model))
    shown = [*RECORDS[:3], loss(20, 0.7)]
    assert training_words(shown) in notebook[-1][1]["text/plain"]


def test_a_sample_without_depth_can_be_watched(notebook, samples, tmp_path):
    flat = dataclasses.replace(samples[0], joints_cam_mm=None)
    watcher = NotebookWatcher([flat])
    watcher.start(RunFolder(tmp_path), NANO, 0)
    watcher.record(loss(1), HEMletsNet(NANO.model))
    assert notebook[0][1]["image/png"].startswith(b"\x89PNG")


def test_where_it_cannot_watch(samples):
    with pytest.raises(RuntimeError, match=r"expected to run in a notebook.*watchers.TerminalWatcher"):
        NotebookWatcher(samples[:1])
    with pytest.raises(ValueError, match="`samples` must hold at least one"):
        NotebookWatcher([])


def test_weighed_terms_are_stacked_to_the_total_and_errors_have_logarithmic_axes():
    losses = [loss(10 * step, 1 / step) | {"learning_rate": 0.001 / step} for step in (1, 2, 4)]
    records = [*losses, tried(10, 150.0), tried(40, 90.0)]
    weighed = {
        name: [factor * record[name] for record in losses]
        for name, factor in (("hem", 4), ("heatmap", 4), ("xy", 1), ("z", 1))
    }
    stacked, power, rate = parts_of_loss_figure(weighed, records).axes
    tops = [area.get_paths()[0].vertices[:, 1].max() for area in stacked.collections]
    assert tops == pytest.approx([20, 32, 52, 60])  # each upon those before, the last the total
    assert power.get_xscale() == power.get_yscale() == "log"
    assert {line.get_label(): list(line.get_ydata()) for line in power.lines} == {
        "MPJPE": [150.0, 90.0],
        "PA-MPJPE": pytest.approx([120.0, 72.0]),
    }
    assert list(power.get_yticks()) == [80, 100, 150]  # about the errors, in whole millimetres
    np.testing.assert_allclose(rate.lines[0].get_xydata(), [(80, 1e-3), (160, 5e-4), (320, 2.5e-4)])
