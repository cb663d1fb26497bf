"""`hemlets train` from the command line, on shards made here."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from hemlets_lib import cli
from hemlets_lib.cli.training import Preset
from hemlets_lib.data.samples import load_samples
from hemlets_lib.data.shards import build_shards
from hemlets_lib.recipes import RECIPES
from hemlets_lib.run_folder import RunFolder
from hemlets_lib.tensor_files import load_tensors

SHORT = [
    word
    for option in (
        "steps=2",
        "batch_size=4",
        "warmup_steps=1",
        "log_every=1",
        "save_every=1",
        "validate_every=2",
    )
    for word in ("--set", option)
]


class Few:
    """Eight of the shipped samples, as a source for shards."""

    config = {"kind": "few"}  # noqa: RUF012

    def __init__(self):
        self._samples = load_samples(size=96)[:8]

    def __len__(self):
        return len(self._samples)

    def __getitem__(self, index):
        return self._samples[index]


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards") / "train"
    build_shards(folder, Few(), workers=1, show_progress=False)
    return folder


def call(*arguments):
    return CliRunner().invoke(
        cli.app, ["train", "--device", "cpu", *map(str, arguments)], env={"COLUMNS": "200"}
    )


def test_presets_are_the_recipes():
    assert [preset.value for preset in Preset] == sorted(RECIPES, key=lambda name: list(Preset).index(name))
    assert set(Preset) == set(RECIPES)


def test_train_then_resume(shards, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "a run"
    done = call("--data", f"{shards}:1", "--data", shards, "--validation", shards, "--out", out, *SHORT)
    assert done.exit_code == 0, done.exception
    assert "step 2: MPJPE" in done.output and "The network is in" in done.output
    folder = RunFolder(out)
    assert [source["ratio"] for source in folder.read_config()[1]["sources"]] == [1.0, 1.0]
    assert any((out / "tensorboard").iterdir())
    before = load_tensors(folder.state_path)
    # It knows where its data are; there is nothing left to do, and nothing changes.
    again = call("--resume", out)
    assert again.exit_code == 0, again.exception
    after = load_tensors(folder.state_path)
    assert after["step"] == before["step"] == 2


def test_missing_data_names_the_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = call(*SHORT)
    assert isinstance(done.exception, FileNotFoundError)
    assert "shards/train" in str(done.exception) and "hemlets data build" in str(done.exception)
    assert not (tmp_path / "runs").exists()


def test_wrong_options_are_refused(shards, tmp_path):
    done = call("--data", shards, "--set", "stpes=3", "--out", tmp_path / "run")
    assert isinstance(done.exception, ValueError) and "no option 'stpes'" in str(done.exception)
    for option in (("--set", "steps=3"), ("--preset", "small"), ("--out", tmp_path / "other")):
        done = call("--resume", tmp_path / "run", *option)
        assert done.exit_code == 2 and "a run is resumed as it is" in " ".join(done.output.split())
    done = call("--resume", tmp_path / "run")
    assert isinstance(done.exception, FileNotFoundError) and "no config.json" in str(done.exception)
    assert not (tmp_path / "run").exists()
