"""`hemlets eval`: what it writes and where, and what it says when something is missing."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from hemlets_lib import cli
from hemlets_lib.checkpoint import save_checkpoint
from hemlets_lib.model import HEMletsNet, ModelConfig
from hemlets_lib.skeleton import HEMLETS18

CONFIG = ModelConfig(
    "test", "tiny", image_size=32, heatmap_size=16, depth_size=5, upsample_channels=6, encoder_channels=9,
    fusion=(3, 11),
)  # fmt: skip


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "test.safetensors"
    save_checkpoint(path, HEMletsNet(CONFIG), metadata={"step": 7})
    return path


@pytest.fixture
def call(tmp_path, monkeypatch):
    """Call `hemlets eval` in an empty folder; returns (exit status, output on one line)."""
    monkeypatch.chdir(tmp_path)

    def invoke(*arguments) -> tuple[int, str]:
        result = CliRunner().invoke(cli.app, ["eval", *map(str, arguments)], env={"COLUMNS": "200"})
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, " ".join(result.output.replace("│", " ").split())

    return invoke


@pytest.fixture
def photos(tmp_path):
    """One photograph with 3D joints, and one without."""
    folder = tmp_path / "photos"
    folder.mkdir()
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 255, (200, 200, 3), dtype=np.uint8)).save(folder / "a.png")
    joints_cam_mm = rng.normal((0, 0, 4000), 300, (17, 3))
    joints_px = joints_cam_mm[:, :2] / joints_cam_mm[:, 2:] * 500 + 100
    labelled = {"image": "a.png", "joints_px": joints_px.tolist()}
    camera = {"camera": {"f_px": [500, 500], "c_px": [100, 100]}, "joints_cam_mm": joints_cam_mm.tolist()}
    content = {"joint_names": HEMLETS18.joint_names[:17], "records": [labelled | camera, labelled]}
    (folder / "annotations.json").write_text(json.dumps(content))
    return folder


def read(folder):
    return json.loads((folder / "results.json").read_text())


def test_drawn_people_without_a_data_set(call, weights, tmp_path):
    status, text = call("--weights", weights, "--n", 3, "--flip-test", "--out", tmp_path / "out")
    assert status == 0
    assert (
        "MPJPE, S9 + S11 (mm)" in text
        and f"results.json, results.md and figure.png are in {tmp_path / 'out'}" in text
    )
    found = read(tmp_path / "out")
    assert found["evaluation"]["counts"]["samples counted"] == 3
    assert found["evaluation"]["statements"]["flip test"] == "mean with the mirrored picture"
    assert found["weights"]["metadata"] == {"step": 7} and found["weights"]["preset"] is None
    assert found["data"]["kind"] == "synthetic" and found["git"].keys() == {"commit", "dirty"}
    assert (tmp_path / "out" / "figure.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "out" / "results.md").read_text().startswith("# test on drawn people")


@pytest.mark.parametrize(("protocol", "row"), [("humaneva", "PA-MPJPE"), ("mpi_inf_3dhp", "3DPCK")])
def test_every_protocol_has_a_drawn_counterpart(call, weights, tmp_path, protocol, row):
    status, _ = call("--weights", weights, "--protocol", protocol, "--n", 2, "--out", tmp_path / "out")
    found = read(tmp_path / "out")["evaluation"]
    assert status == 0 and found["counts"]["samples counted"] == 2
    assert found["rows"][row]["mean_of_samples"] is not None


def test_the_way_of_the_authors_release(call, weights, tmp_path):
    status, text = call("--weights", weights, "--mode", "official", "--n", 3, "--out", tmp_path / "out")
    found = read(tmp_path / "out")["evaluation"]
    assert status == 0 and "Reverse PA-MPJPE, S9 + S11 (mm)" in text
    assert found["protocol"] == "h36m_official" and found["counts"]["samples counted"] == 3
    assert "(bone search: 3)" in found["statements"]["root depth"]
    assert "for reverse PA-MPJPE the truth is rotated" in found["statements"]["alignment"]
    for option in (["--flip-test"], ["--protocol", "h36m"], ["--root-depth", "bones"]):
        status, text = call("--weights", weights, "--mode", "official", *option)
        assert status == 2 and "beside official: the release decides them" in text


def test_the_authors_search_in_the_standard_table(call, weights, tmp_path):
    status, text = call(
        "--weights", weights, "--root-depth", "bone_search", "--n", 2, "--out", tmp_path / "out"
    )
    statements = read(tmp_path / "out")["evaluation"]["statements"]
    assert status == 0 and "PA-MPJPE, S9 + S11" in text
    assert "(bone search: 2)" in statements["root depth"] and statements["flip test"] == "none"


def test_the_results_go_into_a_run_of_their_own(call, weights, tmp_path):
    assert call("--weights", weights, "--n", 1)[0] == 0
    (folder,) = (tmp_path / "runs").glob("eval-*")
    assert {path.name for path in folder.iterdir()} == {"results.json", "results.md", "figure.png"}


def test_shards(call, weights, tmp_path):
    from hemlets_lib.data.shards import build_shards
    from hemlets_lib.data.synthetic import SyntheticDataset

    source = SyntheticDataset(3, split="test", size=32)
    build_shards(tmp_path / "shards", source, show_progress=False, workers=0)
    status, _ = call("--weights", weights, "--data", tmp_path / "shards", "--out", tmp_path / "out")
    found = read(tmp_path / "out")
    assert status == 0 and found["evaluation"]["counts"]["samples looked at"] == 3
    assert found["data"] == source.config | {"subjects": ["S9", "S11"]}


def test_photographs_stay_below_runs(call, weights, photos, tmp_path):
    status, text = call("--weights", weights, "--photos", photos, "--out", tmp_path / "elsewhere")
    assert status == 2 and "expected a folder below runs/ for results of photographs" in text
    assert not (tmp_path / "elsewhere").exists()
    assert call("--weights", weights, "--photos", photos, "--out", "runs/mine")[0] == 0
    counts = read(tmp_path / "runs" / "mine")["evaluation"]["counts"]
    assert counts["samples counted"] == 1 and counts["without 3D joints"] == 1


def test_motion_is_spread_over_takes_and_cameras(call, weights, tmp_path, monkeypatch):
    """Two takes before four cameras: 16 views are two frames of each, its first and its last."""
    from hemlets_lib.data import mocap
    from hemlets_lib.data.motion import SUBJECTS, perform

    takes = {name: perform(name, SUBJECTS["S9"], num_frames=5, seed=0) for name in ("Walking", "Posing")}
    monkeypatch.setattr(mocap, "find_mocap", lambda folder: [folder / name for name in takes])
    monkeypatch.setattr(mocap, "read_mocap", lambda path: takes[path.name])
    status, _ = call("--weights", weights, "--mocap", tmp_path, "--n", 16, "--out", tmp_path / "out")
    found = read(tmp_path / "out")
    assert status == 0 and found["data"]["takes"] == ["Walking", "Posing"]
    assert found["evaluation"]["protocol"] == "all"
    assert found["evaluation"]["rows"]["MPJPE"]["samples"] == {"Walking": 8, "Posing": 8}
    assert found["evaluation"]["statements"]["pictures"] == "mocap (drawn): 16"


# --- error ----------------------------------------------------------------------------------------


def test_one_source_at_a_time(call, weights):
    status, text = call("--weights", weights, "--data", "a", "--photos", "b")
    assert status == 2 and "expected one of --data, --mocap and --photos, got several" in text


def test_no_shipped_network(call, tmp_path, monkeypatch):
    (tmp_path / "data_samples").mkdir()
    (tmp_path / "data_samples" / "manifest.json").write_text("{}")
    with pytest.raises(FileNotFoundError, match=r"found none. Train one with `hemlets train --preset nano`"):
        call("--n", 1)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--data", "expected a folder of shards with a manifest, found none"),
        ("--mocap", r"expected .amc or .bvh files there or below, found none"),
        ("--photos", "expected annotations.json there or one folder below, found none"),
        ("--weights", "nowhere"),
    ],
)
def test_what_is_not_there(call, weights, option, message):
    given = ["--weights", weights] if option != "--weights" else []
    with pytest.raises((FileNotFoundError, ValueError), match=message):
        call(*given, option, "nowhere")


def test_a_truncated_checkpoint(call, weights):
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"test.safetensors"):
        call("--weights", weights, "--n", 1)


def test_a_pickled_checkpoint(call, tmp_path):
    torch.save({"weights": torch.zeros(3)}, tmp_path / "model.pt")
    with pytest.raises(ValueError, match=r"model.pt"):
        call("--weights", tmp_path / "model.pt", "--n", 1)


def test_shards_of_other_subjects(call, weights, tmp_path):
    from hemlets_lib.data.shards import build_shards
    from hemlets_lib.data.synthetic import SyntheticDataset

    build_shards(tmp_path / "shards", SyntheticDataset(2, size=16), show_progress=False, workers=0)
    with pytest.raises(ValueError, match=r"counts subjects S9, S11; .* got 2 samples and none of those"):
        call("--weights", weights, "--data", tmp_path / "shards")
    assert not (tmp_path / "runs").exists()
