"""Weights from elsewhere: the authors' file in every wrapping, and everything that only looks like it."""

from __future__ import annotations

import io
import json
import os
import pickle
import zipfile
from pathlib import Path

import pytest
import torch

from hemlets_lib.checkpoint import load_checkpoint, read_checkpoint_info, save_checkpoint
from hemlets_lib.model import HEMletsNet, ModelConfig
from hemlets_lib.weights import (
    RELEASE,
    describe_network,
    load_network,
    official_layout,
)

LAYOUT = official_layout()
KERNEL = "conv_FBI.conv_tail.weight"


@pytest.fixture
def state() -> dict[str, torch.Tensor]:
    """All 375 tensors of the release in a few bytes: one number each, seen under the full shape."""
    numbers = torch.Generator().manual_seed(0)
    made = {
        name: torch.tensor(3)
        if name.endswith("num_batches_tracked")
        else torch.rand(1, generator=numbers).expand(shape)
        for name, shape in LAYOUT.items()
    }
    return made | {"volume_reg.dis_map": (torch.arange(64) / 63).expand(1, 18, 64)}


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "hemlets_h36m_lastest.pth"


def refused(path: Path, message: str) -> str:
    """The whole message; whatever is refused leaves the folder as it was."""
    before = sorted(path.parent.iterdir())
    with pytest.raises(ValueError, match=message) as caught:
        load_network(path)
    assert str(path) in str(caught.value) and sorted(path.parent.iterdir()) == before
    return str(caught.value)


# --- golden ---------------------------------------------------------------------------------------


def test_the_layout_is_the_published_one(real_samples):
    published = real_samples.parent / "official_checkpoint_layout.json"
    if not published.is_file():
        pytest.skip(f"no published layout at {published}")
    assert json.loads(published.read_text()) == {name: list(shape) for name, shape in LAYOUT.items()}


def test_the_layout_in_numbers():
    """What the authors' own script counts: 49.615 M parameters; batch statistics and bins are no such."""
    buffers = ("running_mean", "running_var", "num_batches_tracked", "dis_map")
    sizes = [torch.Size(shape).numel() for name, shape in LAYOUT.items() if not name.endswith(buffers)]
    assert len(LAYOUT) == 375 and sum(sizes) == 49_614_844
    assert LAYOUT["conv_tail.3.weight"] == (18 * 64, 1024, 1, 1) and LAYOUT[KERNEL] == (60, 256, 3, 3)


# --- law: the same network, however it is wrapped ---------------------------------------------------


def test_the_authors_file_as_it_is(path, state, tmp_path):
    torch.save(state, path)
    before = torch.get_rng_state()
    model, info = load_network(path)
    assert torch.equal(torch.get_rng_state(), before) and list(tmp_path.iterdir()) == [path]
    assert not model.training and model.config.name == info.preset == "official"
    assert torch.equal(model.hemlets_branch.tail.weight, state[KERNEL])
    assert torch.equal(model.backbone.bn1.running_var, state["backbone.bn1.running_var"])
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert info.metadata["trained_on"].startswith("Human3.6M and MPII, as the paper states")
    assert info.metadata.items() >= RELEASE.items() and info.metadata["file"] == path.name
    assert len(info.metadata["sha256"]) == 64
    said = describe_network(info)
    assert said.startswith("preset 'official': the authors' release") and "not for commercial use" in said
    torch.nn.init.zeros_(model.backbone.bn1.weight)  # each tensor has memory of its own, and can be trained
    assert model.backbone.bn1.bias.min() > 0


@pytest.mark.parametrize(
    ("wrap", "prefix"),
    [("model", ""), ("state_dict", "module."), ("network", "module.module."), (None, "_orig_mod.")],
)
def test_wrappings(path, state, wrap, prefix):
    renamed = {prefix + name: value for name, value in state.items()}
    torch.save(
        {wrap: renamed, "epoch": 3} if wrap else renamed, path, _use_new_zipfile_serialization=not wrap
    )
    model, _ = load_network(path)
    assert torch.equal(model.head[-1].bias, state["conv_tail.3.bias"])


def test_saved_on_a_gpu_in_half_precision_by_an_old_pytorch(path, state, monkeypatch):
    """Names of counters came with PyTorch 0.4.1; half precision reads as float32."""
    monkeypatch.setattr(torch.serialization, "location_tag", lambda storage: "cuda:0")
    old = {
        name: value.flatten()[:1].half().expand(value.shape)
        for name, value in state.items()
        if value.is_floating_point()
    }
    old["volume_reg.dis_map"] = state["volume_reg.dis_map"]
    torch.save({name: torch.nn.Parameter(value) for name, value in old.items()}, path)
    assert b"cuda:0" in zipfile.ZipFile(path).read("hemlets_h36m_lastest/data.pkl")
    model, _ = load_network(path)
    weight = model.hemlets_branch.tail.weight
    assert weight.dtype == torch.float32 and weight.device.type == "cpu"
    assert torch.equal(weight, state[KERNEL].half().float())
    assert model.backbone.bn1.num_batches_tracked == 0


def test_our_own_checkpoints_load_likewise(tmp_path):
    config = ModelConfig("test", "tiny", 32, 8, 5, upsample_channels=6, encoder_channels=9)
    model = HEMletsNet(config)
    source = {"kind": "synthetic", "samples": 60}
    metadata = {"step": 7, "data": {"sources": [source, {"kind": "mpii", "samples": 5}]}}
    save_checkpoint(tmp_path / "ours.safetensors", model, metadata=metadata)
    loaded, info = load_network(tmp_path / "ours.safetensors")
    assert torch.equal(loaded.head[-1].weight, model.head[-1].weight) and info.metadata == metadata
    said = describe_network(info)
    assert said.startswith("network 'test', no preset: saved by hemlets ")
    assert said.endswith("Trained on 60 samples of drawn people and 5 samples of 'mpii'.")
    save_checkpoint(tmp_path / "ours.safetensors", model)
    said = describe_network(read_checkpoint_info(tmp_path / "ours.safetensors"))
    assert said.endswith("Trained on data that the file does not name.")


# --- errors: layouts ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({KERNEL: None}, rf"the 375 tensors of the authors' release, got 1 missing \({KERNEL}\). Down"),
        ({"fc.weight": torch.zeros(2)}, r"got 1 unknown \(fc.weight\)"),
        (
            {"conv_tail.3.bias": torch.zeros(17 * 64)},
            r"1 of another shape \(conv_tail.3.bias: \(1088,\), not \(1152,\)\)",
        ),
        (
            {"conv_tail.3.bias": torch.zeros(1152).long()},
            r"1 of another type \(conv_tail.3.bias: torch.int64, strided\)",
        ),
        (
            {"conv_tail.3.bias": torch.zeros(1152).to_sparse()},
            r"1 of another type \(conv_tail.3.bias: torch.float32, sparse_coo",
        ),
        (
            {"conv_tail.3.bias": torch.zeros(1152, device="meta")},
            r"1 of another type \(conv_tail.3.bias: torch.float32, meta\)",
        ),
        ({"backbone.bn1.num_batches_tracked": torch.tensor(0.5)}, r"1 of another type .*num_batches_tracked"),
        (
            {"FBI_encoder.0.bias": None, "extra": torch.zeros(1)},
            r"got 1 missing \(FBI_encoder.0.bias\) and 1 unknown \(extra\)",
        ),
        (
            {"volume_reg.dis_map": torch.arange(64).add(0.5).div(64).expand(1, 18, 64)},
            r"bins i/63, got \[0.0078, 0.0234, 0.0391\]",
        ),
        (
            {
                "FBI_encoder.0.bias": torch.full((256,), torch.nan),
                KERNEL: torch.tensor(-torch.inf).expand(60, 256, 3, 3),
            },
            rf"finite weights, got NaN or infinity in {KERNEL}, FBI_encoder.0.bias",
        ),
    ],
)  # fmt: skip
def test_tensors_that_do_not_fit(path, state, change, message):
    state = {name: value for name, value in (state | change).items() if value is not None}
    torch.save(state, path)
    refused(path, message)


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_a_nested_tensor(path, state, monkeypatch):
    """However `torch.load` came to build one."""
    nested = torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)])
    torch.save(state, path)
    changed = state | {"conv_tail.3.bias": nested}
    monkeypatch.setattr(torch, "load", lambda *_, **__: changed)
    refused(path, r"1 of another type \(conv_tail.3.bias: torch.float32, nested\)")


def test_another_network(path):
    torch.save({"layer.weight": torch.zeros(3, 3), "layer.bias": torch.zeros(3)}, path)
    said = refused(
        path, r"got 314 missing \(backbone.conv1.weight, backbone.bn1.weight, backbone.bn1.bias and"
    )
    assert "and 2 unknown (layer.bias, layer.weight). Download hemlets_h36m_lastest.pth again" in said


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([torch.zeros(2)], "expected a state dict .*or one under state_dict, .*got list"),
        ({"state_dict": {"epoch": 3}}, r"got a dict with 1 entries of other kinds \(epoch\)"),
        ({"weights": 3, "epoch": 4}, r"got a dict with 2 entries of other kinds \(weights, epoch\)"),
        ({7: torch.zeros(2)}, "expected text as tensors' names, got 7"),
        (
            {"backbone.conv1.weight": torch.zeros(1), "module.backbone.conv1.weight": torch.zeros(1)},
            r"unknown \(module.backbone.conv1.weight\)",
        ),
        (
            {"module.backbone.conv1.weight": torch.zeros(1), "module.x": torch.zeros(1), "x": torch.zeros(1)},
            r"expected each tensor once, got x also under 'module.'",
        ),
    ],
)
def test_dicts_that_are_no_state_dicts(path, content, message):
    torch.save(content, path)
    refused(path, message)


# --- errors: files --------------------------------------------------------------------------------


class Hostile:
    """A pickle of this makes a folder when it is opened."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self):
        return (os.mkdir, (str(self.folder),))


@pytest.mark.parametrize("new", [True, False])
@pytest.mark.parametrize("beside", [True, False])
def test_a_file_that_would_run_code(path, state, tmp_path, new, beside):
    trap = Hostile(tmp_path / "sprung")
    torch.save(state | {"x": trap} if beside else trap, path, _use_new_zipfile_serialization=new)
    said = refused(path, r"got a pickle that asks for '\w+.mkdir': refused, nothing of it was run")
    assert not trap.folder.exists() and "weights_only" not in said  # no advice to open it after all
    pickle.loads(pickle.dumps(trap))  # the trap itself works
    assert trap.folder.exists()


def test_a_file_that_unpacks_to_more_than_any_network(path, monkeypatch):
    monkeypatch.setattr("hemlets_lib.weights._LARGEST_BYTES", 10**7)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/data.pkl", bytes(3 * 10**7))
    assert path.stat().st_size < 10**5
    refused(path, r"expected at most 0.01 GB of weights, got 0.03 GB")


def test_files_that_are_none(path, state, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"lastest.pth: expected a file with weights, found none"):
        load_network(path)
    refused(tmp_path, "expected a file with weights, got a folder. Name the file in it")
    path.write_bytes(b"")
    refused(path, "expected weights, got an empty file. Download")
    path.write_bytes(b"<!DOCTYPE html><html>Sign in to Google Drive</html>")
    refused(path, r"this library or the authors' PyTorch file, got 51 bytes that are neither")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "not a network")
    refused(path, "bytes that are truncated, damaged or of another kind")


@pytest.mark.parametrize("new", [True, False])
def test_truncated_files(path, state, new):
    torch.save(state, path, _use_new_zipfile_serialization=new)
    whole = path.read_bytes()
    for kept in (2, 9, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:kept])
        refused(path, "truncated, damaged or of another kind|that are neither")


def test_flipped_bytes_end_in_a_message_of_ours(path, state):
    """A seventh of the release, so that even harmless damage (to a number, to a time stamp) is refused."""
    buffer = io.BytesIO()
    torch.save({name: value for name, value in state.items() if name.startswith("FBI")}, buffer)
    whole = buffer.getvalue()
    places = torch.randperm(len(whole), generator=torch.Generator().manual_seed(0))[:150].tolist()
    for place in places:
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        refused(path, "missing|damaged|neither|state dict|at most|asks for|text as")


def test_a_checkpoint_whose_first_byte_is_a_pickles(tmp_path):
    """The length of a safetensors header comes first, and its lowest byte may be anything."""
    model = HEMletsNet(ModelConfig("test", "tiny", 32, 8, 5, upsample_channels=6))
    path = tmp_path / "a.safetensors"
    for padding in range(0, 256, 8):  # headers are padded to eights
        save_checkpoint(path, model, metadata={"note": "x" * padding})
        if path.read_bytes()[:1] == b"\x80":
            break
    assert path.read_bytes()[:1] == b"\x80"
    assert load_network(path).info.config == model.config


def test_a_truncated_checkpoint_of_ours(tmp_path):
    path = tmp_path / "ours.safetensors"
    save_checkpoint(path, HEMletsNet(ModelConfig("test", "tiny", 32, 8, 5, upsample_channels=6)))
    path.write_bytes(path.read_bytes()[:-50])
    refused(path, "expected a whole .safetensors file")
    with pytest.raises(ValueError, match=r"expected a whole \.safetensors file"):
        load_checkpoint(path)
