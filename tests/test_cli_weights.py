"""`hemlets convert`: the authors' file becomes a checkpoint, its channels put in order; `hemlets export`."""

from __future__ import annotations

import copy

import pytest
import torch
from typer.testing import CliRunner

from hemlets_lib import cli
from hemlets_lib.channels import reorder_channels
from hemlets_lib.checkpoint import load_checkpoint, save_checkpoint
from hemlets_lib.data.samples import find_samples, find_weights
from hemlets_lib.model import HEMletsNet, ModelConfig
from hemlets_lib.weights import RELEASE, load_network, official_layout


@pytest.fixture
def released(tmp_path):
    """A file in the authors' layout, of a few bytes: one number for each tensor."""
    state = {
        name: torch.tensor(3) if name.endswith("tracked") else torch.rand(1).expand(shape)
        for name, shape in official_layout().items()
    }
    state["volume_reg.dis_map"] = (torch.arange(64) / 63).expand(1, 18, 64)
    torch.save(state, tmp_path / "hemlets_h36m_lastest.pth")
    return tmp_path / "hemlets_h36m_lastest.pth"


@pytest.fixture
def call():
    """Call `hemlets convert`; returns (exit status, output on one line)."""

    def invoke(*arguments) -> tuple[int, str]:
        given = ["convert", *map(str, arguments), "--device", "cpu"]
        result = CliRunner().invoke(cli.app, given, env={"COLUMNS": "220"})
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, " ".join(result.output.replace("│", " ").split())

    return invoke


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_authors_file_becomes_a_checkpoint(call, released, tmp_path):
    out = tmp_path / "new" / "official.safetensors"
    status, text = call(released, "--out", out)
    assert status == 0 and "preset 'official': the authors' release" in text
    assert "Trained on Human3.6M and MPII" in text and f"Written to {out}: 199 MB" in text
    before, after = load_network(released), load_network(out)
    for (name, value), other in zip(
        before.model.state_dict().items(), after.model.state_dict().values(), strict=True
    ):
        assert torch.equal(value, other), name
    assert after.info.preset == "official" and after.info.metadata == before.info.metadata
    assert after.info.metadata["channel_order"] == RELEASE["channel_order"]
    assert names(out.parent) == ["official.safetensors"]
    out.unlink()  # 199 MB


def test_a_file_that_is_there_stays(call, released, tmp_path):
    there = tmp_path / "hemlets_h36m_lastest.safetensors"
    there.write_text("mine")
    status, text = call(released)
    assert status == 2 and "got" in text and "which is there. Name another, or add --force" in text
    assert there.read_text() == "mine" and len(names(tmp_path)) == 2
    assert call(released, "--force")[0] == 0
    assert load_checkpoint(there).info.preset == "official"
    there.unlink()


def test_a_failed_conversion_leaves_what_was_there(call, released, tmp_path):
    there = tmp_path / "hemlets_h36m_lastest.safetensors"
    there.write_text("mine")
    released.write_bytes(released.read_bytes()[:-100])
    with pytest.raises(ValueError, match="truncated, damaged or of another kind"):
        call(released, "--force")
    assert there.read_text() == "mine" and len(names(tmp_path)) == 2


def test_other_names_and_kinds(call, released, tmp_path):
    status, text = call(released, "--out", tmp_path / "x.pth")
    assert status == 2 and "expected a name that ends in .safetensors" in text
    save_checkpoint(tmp_path / "mine.safetensors", HEMletsNet(ModelConfig("test", "tiny", 32, 8, 5)))
    with pytest.raises(ValueError, match=r"got a checkpoint of this library: there is nothing to convert"):
        call(tmp_path / "mine.safetensors", "--out", tmp_path / "x.safetensors")
    with pytest.raises(FileNotFoundError, match=r"none.pth: expected a file with weights, found none"):
        call(tmp_path / "none.pth")
    assert len(names(tmp_path)) == 2


def test_channels_are_put_in_order(call, tmp_path):
    model, info = load_checkpoint(find_weights("nano"))
    order = torch.randperm(60, generator=torch.Generator().manual_seed(1))
    save_checkpoint(tmp_path / "mixed.safetensors", reorder_channels(model, order), metadata=info.metadata)
    out = tmp_path / "ordered.safetensors"
    status, text = call(tmp_path / "mixed.safetensors", "--inspect", find_samples(), "--out", out)
    assert status == 0 and "52 of 60 channels are certain on 60 samples" in text
    assert f"| heatmap of nose | {order.tolist().index(42 + 9)} | 0.9" in text
    ordered, found = load_checkpoint(out)
    tail = model.hemlets_branch.tail.weight
    sure = [
        row for row, each in enumerate(found.metadata["channels"]["maps"]) if each["verdict"] == "certain"
    ]
    assert len(sure) == 52 and torch.equal(ordered.hemlets_branch.tail.weight[sure], tail[sure])
    assert found.metadata["channel_order"] == (
        f"worked out on {find_samples().name}: 52 of 60 channels are certain on 60 samples"
    )
    assert found.metadata["step"] == info.metadata["step"]
    assert found.metadata["before"]["provenance"]["git"].keys() == {"commit", "dirty"}

    status, text = call(out, "--inspect", find_samples(), "--force", "--out", out)  # over itself
    assert status == 0 and "in this library's order already" in text


def test_channels_of_a_network_that_shows_nothing(call, tmp_path):
    model, _ = load_checkpoint(find_weights("nano"))
    blank = copy.deepcopy(model)
    torch.nn.init.zeros_(blank.hemlets_branch.tail.weight)
    save_checkpoint(tmp_path / "blank.safetensors", blank)
    with pytest.raises(
        ValueError, match=r"most channels can be told, got 0 of 60 .* on 9 samples; nothing was"
    ):
        call(
            tmp_path / "blank.safetensors", "--inspect", find_samples(), "--n", 9,
            "--out", tmp_path / "o.safetensors",
        )  # fmt: skip
    assert names(tmp_path) == ["blank.safetensors"]


# --- export ---------------------------------------------------------------------------------------


def test_a_checkpoint_is_exported_once(tmp_path):
    def export(*arguments) -> tuple[int, str]:
        given = ["export", *map(str, arguments)]
        result = CliRunner().invoke(cli.app, given, env={"COLUMNS": "220"})
        return result.exit_code, " ".join(result.output.replace("│", " ").split())

    config = ModelConfig("plain", "tiny", 32, 8, 5, upsample_channels=4, intermediate=False)
    weights, out = tmp_path / "small.safetensors", tmp_path / "new" / "small.pt2"
    save_checkpoint(weights, HEMletsNet(config))
    status, said = export(weights, "--format", "onnx", "--out", out)
    assert status == 2 and f"expected a name that ends in .onnx, got {out}" in said
    status, said = export(weights, "--out", out)
    assert status == 0 and f"Written to {out}: " in said and "its outputs differ by" in said
    assert torch.export.load(out).module()(torch.zeros(3, 3, 32, 32))[0].shape == (3, 18, 3)
    status, said = export(weights, "--out", out)
    assert status == 2 and "expected a new file" in said and "--force" in said
