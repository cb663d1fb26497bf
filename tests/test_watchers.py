"""Watchers: what a run says where there is no terminal, and that TensorBoard holds what the log holds."""

import dataclasses
import io

import pytest
from rich.console import Console

from hemlets_lib.data.mixing import Mixture
from hemlets_lib.data.samples import load_samples
from hemlets_lib.model import HEMletsNet
from hemlets_lib.recipes import RECIPES
from hemlets_lib.run_folder import RunFolder, Watcher
from hemlets_lib.train import train
from hemlets_lib.viz_training import NotebookWatcher
from hemlets_lib.watchers import TensorBoardWatcher, TerminalWatcher

NANO = dataclasses.replace(
    RECIPES["nano"], steps=4, batch_size=4, warmup_steps=2, log_every=2, save_every=4, validate_every=4
)
LOSS = {"step": 2, "kind": "train", "total": 123.45, "images_per_s": 50.0, "images": 8, "seconds": 1.0}
TRIED = {"step": 2, "kind": "validation", "mpjpe_mm": 99.44, "pa_mpjpe_mm": 80.06, "images": 8}


@pytest.fixture
def printed(monkeypatch):
    """What is printed where there is no terminal."""
    stream = io.StringIO()
    plain = Console(file=stream, force_terminal=False, highlight=False, soft_wrap=True)
    monkeypatch.setattr("hemlets_lib.watchers.console", plain)
    return stream


def told(records, stream):
    """The lines for some records, after those that every run begins with."""
    watcher, model = TerminalWatcher(), HEMletsNet(NANO.model)
    watcher.start(RunFolder("runs/a [b] c"), NANO, 0)
    stream.seek(0)
    stream.truncate()
    for record in records:
        watcher.record(record, model)
    watcher.stop()
    return stream.getvalue().splitlines()


def test_the_beginning_says_what_runs_and_where(printed):
    watcher = TerminalWatcher()
    watcher.start(RunFolder("runs/a [b] c"), NANO, 0)
    watcher.stop()
    assert printed.getvalue().splitlines() == [
        "Training nano: 4 steps of 4 images", "into runs/a [b] c",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("record", "line"),
    [
        (LOSS, "step 2/4 · loss 123.5 · 50 images/s · 0.2 s left"),
        (LOSS | {"total": None}, "step 2/4 · loss not finite · 50 images/s · 0.2 s left"),
        (TRIED, "step 2: MPJPE 99.4 mm, PA-MPJPE 80.1 mm"),
        (
            TRIED | {"polarity_percent": 61.26},
            "step 2: MPJPE 99.4 mm, PA-MPJPE 80.1 mm, polarity 61.3 %",
        ),
        ({"step": 0, "kind": "event", "what": "started"}, "step 0: started"),
        (
            {"step": 3, "kind": "event", "what": "failed", "message": "ValueError: [red] is no joint"},
            "step 3: failed: ValueError: [red] is no joint",
        ),
    ],
)
def test_a_line_for_each_kind_of_record(printed, record, line):
    assert told([record], printed) == [line]


def test_a_log_is_not_flooded(printed):
    """A line a minute for losses; validations and events are never left out."""
    losses = [LOSS | {"step": second, "seconds": float(second)} for second in range(1, 182)]
    lines = told([*losses, TRIED], printed)
    assert [line.partition(" ·")[0] for line in lines] == [
        "step 1/4", "step 61/4", "step 121/4", "step 181/4", "step 2: MPJPE 99.4 mm, PA-MPJPE 80.1 mm",
    ]  # fmt: skip


def test_a_terminal_gets_a_bar_and_no_lines_of_losses(monkeypatch):
    stream = io.StringIO()
    terminal = Console(file=stream, force_terminal=True, width=120, color_system=None)
    monkeypatch.setattr("hemlets_lib.watchers.console", terminal)
    watcher = TerminalWatcher()
    watcher.start(RunFolder("run"), NANO, 0)
    watcher.record(LOSS, HEMletsNet(NANO.model))
    watcher.stop()
    assert "2/4 loss 123.5 · 50 images/s · 0.2 s left" in stream.getvalue()
    assert "step 2/4" not in stream.getvalue()


def scalars(folder):
    """Everything in the run's TensorBoard files: tag → {step: value}."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    read = EventAccumulator(str(folder.root / "tensorboard"), size_guidance={"scalars": 0})
    read.Reload()
    return {tag: {event.step: event.value for event in read.Scalars(tag)} for tag in read.Tags()["scalars"]}


def test_tensorboard_holds_what_the_log_holds(tmp_path):
    """A run that was stopped and resumed: its scalars are one curve."""
    samples = load_samples(size=96)[:8]
    options = {"validation": samples[:2], "watchers": [TensorBoardWatcher()], "device": "cpu"}
    train(NANO, Mixture([samples]), tmp_path, stop_at=2, **options)
    folder = train(NANO, Mixture([samples]), tmp_path, resume=True, **options)
    found = scalars(folder)
    for kind in ("train", "validation"):
        for record in folder.read_log(kind):
            for name in record.keys() - {"step", "kind"}:
                value = found[f"{kind}/{name}"][record["step"]]
                assert value == pytest.approx(record[name], rel=1e-6), (kind, name)
    assert found["train/total"].keys() == {2, 4} and found["validation/mpjpe_mm"].keys() == {4}


def test_steps_that_are_done_again_replace_those_before(tmp_path):
    """Killed after step 6, resumed from the state of step 4: TensorBoard forgets 6."""
    model, folder = HEMletsNet(NANO.model), RunFolder(tmp_path)
    for start, steps in ((0, (2, 4, 6)), (4, (6, 8))):
        watcher = TensorBoardWatcher()
        watcher.start(folder, NANO, start)
        for step in steps:
            watcher.record(LOSS | {"step": step, "total": float(start + step)}, model)
        watcher.stop()
    assert scalars(folder)["train/total"] == {2: 2.0, 4: 4.0, 6: 10.0, 8: 12.0}


def test_all_of_them_are_watchers():
    for kind in (TerminalWatcher, TensorBoardWatcher, NotebookWatcher):
        assert issubclass(kind, Watcher)
