"""A run's folder: its log survives kills, its state and config say what is wrong with them."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch

from hemlets_lib.checkpoint import read_checkpoint_info, save_checkpoint
from hemlets_lib.heap import keep_freed_memory
from hemlets_lib.model import HEMletsNet
from hemlets_lib.recipes import RECIPES
from hemlets_lib.run_folder import RunFolder, RunLog, describe_checkpoint

NANO = RECIPES["nano"]


@pytest.fixture
def folder(tmp_path):
    made = RunFolder(tmp_path / "run")
    with made.held(resume=False):
        made.create(NANO, {"seed": 0})
    return made


@pytest.fixture
def model():
    with torch.device("meta"):
        return HEMletsNet.from_preset("nano")


class Collector:
    def __init__(self):
        self.told = []

    def start(self, folder, config, step):
        self.told.append(("start", step))

    def record(self, record, model):
        self.told.append((record["kind"], record["step"]))

    def stop(self):
        self.told.append("stop")


def test_config_and_state_come_back(folder):
    assert folder.read_config() == (NANO, {"seed": 0})
    state = {"step": 3, "seconds": 0.5, "model": {"weight": torch.arange(3.0)}}
    folder.save_state(state)
    back = folder.load_state()
    assert back["step"] == 3 and torch.equal(back["model"]["weight"], torch.arange(3.0))


def test_the_log_survives_a_line_that_a_kill_cut_short(folder):
    folder.append({"step": 1, "kind": "train", "total": 2.0})
    with (folder.root / "log.jsonl").open("a") as file:
        file.write('{"step": 2, "kind": "tr')
    folder.append({"step": 2, "kind": "train", "total": 1.5})
    assert [record["total"] for record in folder.read_log()] == [2.0, 1.5]


def test_what_was_done_again_counts_once(folder):
    for step, total in ((1, 5.0), (2, 4.0), (2, 4.5), (3, 3.0)):
        folder.append({"step": step, "kind": "train", "total": total})
    folder.append({"step": 2, "kind": "event", "what": "resumed"})
    assert [record["total"] for record in folder.read_log("train")] == [5.0, 4.5, 3.0]
    assert len(folder.read_log()) == 4


def test_the_log_is_json_whatever_the_numbers(folder):
    folder.append({"step": 1, "kind": "train", "total": float("nan"), "joints": float("inf"), "z": -1.5})
    line = (folder.root / "log.jsonl").read_text()
    assert json.loads(line) == {"step": 1, "kind": "train", "total": None, "joints": None, "z": -1.5}


def test_the_log_tells_watchers_and_counts_time_across_resumptions(folder, model):
    watcher = Collector()
    with RunLog(folder, NANO, model, [watcher], step=10, seconds=100.0) as log:
        log.losses(60, {"total": 1.0}, 2e-3)
        log.validation(60, {"mpjpe_mm": 99.0})
    assert watcher.told == [("start", 10), ("event", 10), ("train", 60), ("validation", 60), "stop"]
    resumed, losses, validation = folder.read_log()
    assert resumed["what"] == "resumed"
    assert losses["images"] == 60 * NANO.batch_size and losses["learning_rate"] == 2e-3
    assert validation["mpjpe_mm"] == 99.0
    assert all(100 <= record["seconds"] < 160 for record in folder.read_log())
    assert log.summary(60, {"seed": 0})["validation"] == {"mpjpe_mm": 99.0}


def test_a_failure_is_written_down_and_watchers_are_let_go(folder, model):
    watcher = Collector()
    with pytest.raises(RuntimeError), RunLog(folder, NANO, model, [watcher], step=0, seconds=0.0):
        raise RuntimeError("out of paper")
    failed = folder.read_log("event")[-1]
    assert (failed["what"], failed["message"]) == ("failed", "RuntimeError: out of paper")
    assert watcher.told[-1] == "stop"


def test_one_process_at_a_time(folder):
    with (
        folder.held(resume=True),
        pytest.raises(ValueError, match=r"run: another process is training here. Wait for it"),
        folder.held(resume=False),
    ):
        pass
    with folder.held(resume=True):
        pass


def test_nothing_is_made_where_a_run_should_be(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"found no config.json"):
        RunFolder(tmp_path / "typo").held(resume=True)
    assert not (tmp_path / "typo").exists()


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"file/run: expected a folder to write to.*Choose another one"):
        RunFolder(tmp_path / "file" / "run").held(resume=False)


def test_a_watcher_that_cannot_start_leaves_no_other_running(folder, model):
    class Broken(Collector):
        def start(self, folder, config, step):
            raise RuntimeError("no screen")

    first = Collector()
    with (
        pytest.raises(RuntimeError, match="no screen"),
        RunLog(folder, NANO, model, [first, Broken()], step=0, seconds=0.0),
    ):
        pass
    assert first.told == [("start", 0), "stop"]


def test_the_last_validation_survives_a_resumption(folder, model):
    for step, error in ((50, 90.0), (100, 80.0)):
        folder.append({"step": step, "kind": "validation", "mpjpe_mm": error, "images": 1, "seconds": 1.0})
    log = RunLog(folder, NANO, model, [], step=60, seconds=0.0)
    assert log.summary(60, {})["validation"] == {"mpjpe_mm": 90.0}


def test_other_processes_write_nothing(folder, model):
    watcher = Collector()
    with RunLog(folder, NANO, model, [watcher], step=0, seconds=0.0, active=False) as log:
        log.losses(50, {"total": 1.0}, 1e-3)
    assert watcher.told == [] and not (folder.root / "log.jsonl").exists()


def test_what_differs_is_named(folder):
    folder.check_same(NANO, {"seed": 0})
    other = dataclasses.replace(
        NANO, alpha=0.05, augmentation=dataclasses.replace(NANO.augmentation, flip=0.0)
    )
    expected = (
        r"alpha: there 4.0, asked 0.05; augmentation.flip: there 0.5, asked 0.0; data.seed: there 0, as"
    )
    with pytest.raises(ValueError, match=expected):
        folder.check_same(other, {"seed": 1})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", r"config.json is not valid JSON"),
        ("{}", r"config.json: expected a recipe that this version of hemlets knows, got an error: 'recipe'"),
        ('{"recipe": {"model": {}, "steps": 1}, "data": {}}', r"expected a recipe that this version"),
    ],
)
def test_a_damaged_config_is_named(folder, content, message):
    (folder.root / "config.json").write_text(content)
    with pytest.raises(ValueError, match=message):
        folder.read_config()


def test_a_truncated_state_is_named(folder):
    folder.save_state({"step": 3, "model": {"weight": torch.arange(3000.0)}})
    whole = folder.state_path.read_bytes()
    folder.state_path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"state.safetensors: expected a whole .* truncated"):
        folder.load_state()


def test_freed_memory_is_kept_where_the_c_library_can():
    import platform

    assert keep_freed_memory() is (platform.libc_ver()[0] == "glibc")


def test_a_checkpoint_says_how_its_network_came_about(tmp_path):
    path, model = tmp_path / "nano.safetensors", HEMletsNet.from_preset("nano")
    save_checkpoint(path, model, metadata={"recipe": "by hand"})
    words = describe_checkpoint(read_checkpoint_info(path))
    assert words == {"network": "nano, 96 px"} | dict.fromkeys(
        ("trained on", "steps", "validation"), "not recorded"
    )

    drawn = {
        "samples": 600,
        "ratio": 1.0,
        "kind": "synthetic",
        "subjects": ["S1", "S5"],
        "scenes": ["studio"],
    }
    wild = {"samples": 40, "ratio": 1.0, "kind": "counterpart", "name": "in_the_wild"}
    recipe = dataclasses.replace(NANO, steps=50, warmup_steps=5)
    log = RunLog(RunFolder(tmp_path / "run"), recipe, model, [], step=0, seconds=0.0, active=False)
    log.validation(20, {"mpjpe_mm": 61.25, "pa_mpjpe_mm": 50.0, "polarity_percent": 84.0})
    save_checkpoint(path, model, metadata=log.summary(20, {"seed": 0, "sources": [drawn, wild]}))
    both = "600 samples, drawn (subjects S1, S5; scenes studio); 40 samples, drawn after in_the_wild"
    assert describe_checkpoint(read_checkpoint_info(path)) == {
        "network": "nano, 96 px",
        "trained on": both,
        "steps": f"20 of 50, {NANO.batch_size} pictures each",
        "validation": "MPJPE 61.2 mm, PA-MPJPE 50.0 mm, polarity 84.0 %",
    }
