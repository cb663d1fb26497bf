"""Checkpoints: the same network comes back, and every wrong file is told apart."""

import copy
import dataclasses
import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from hemlets_lib.checkpoint import load_checkpoint, read_checkpoint_info, save_checkpoint
from hemlets_lib.model import PRESETS, HEMletsNet, ModelConfig
from hemlets_lib.pretrained import from_official, official_key
from hemlets_lib.tensor_files import save_tensors, write_tensor_file


@pytest.fixture
def config(skeleton3) -> ModelConfig:
    """J = 3, K = 2; maps of 8 x 8 and a volume 5 deep."""
    return ModelConfig(
        "test", "tiny", image_size=32, heatmap_size=8, depth_size=5, skeleton=skeleton3,
        upsample_channels=6, feature_channels=7, encoder_channels=9, fusion=(3, 11),
    )  # fmt: skip


@pytest.fixture
def model(config) -> HEMletsNet:
    return HEMletsNet(config)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "test.safetensors"


def rewritten(path, *, header=None, tensors=None) -> None:
    """The checkpoint with parts of its header or its tensors replaced; None takes a tensor out."""
    _, found = contents(path)
    state = load_file(path) | (tensors or {})
    save_file(
        {name: value for name, value in state.items() if value is not None},
        path,
        metadata={"hemlets": json.dumps(found | (header or {}))},
    )


def contents(path) -> tuple[list[str], dict]:
    with safe_open(path, framework="pt") as file:
        return list(file.keys()), json.loads(file.metadata()["hemlets"])


# --- law: the same network comes back -------------------------------------------------------------


def test_the_same_network_comes_back(path, model):
    images = torch.randn(2, 3, 32, 32)
    model(images)  # moves the batch statistics away from where they start
    save_checkpoint(path, model, metadata={"step": 3, "mpjpe_mm": 61.5, "curve": [1, 2.5]})
    loaded, info = load_checkpoint(path)
    for (name, value), (other, expected) in zip(
        loaded.state_dict().items(), model.state_dict().items(), strict=True
    ):
        assert name == other and value.dtype == expected.dtype and torch.equal(value, expected), name
    assert loaded.config == model.config == info.config
    assert all(parameter.requires_grad for parameter in loaded.parameters())
    assert not loaded.training and model.training
    assert torch.equal(loaded(images).joints, model.eval()(images).joints)
    assert info.metadata == {"step": 3, "mpjpe_mm": 61.5, "curve": [1, 2.5]}
    assert info == read_checkpoint_info(path) and info.weights == "float32"
    assert {"time", "git", "packages", "device"} <= info.provenance.keys()


@pytest.mark.parametrize(
    ("config", "preset"),
    [
        (PRESETS["nano"], "nano"),
        (dataclasses.replace(PRESETS["nano"], variant="5s"), None),
        (dataclasses.replace(PRESETS["nano"], intermediate=False, fusion=None, name="mine"), None),
    ],
)
def test_presets_go_by_their_name(path, config, preset):
    save_checkpoint(path, HEMletsNet(config))
    loaded = load_checkpoint(path, expected=config)
    assert loaded.info.preset == preset and loaded.model.config == config


def test_half_precision_halves_the_file_and_loads_as_float32(tmp_path):
    model = HEMletsNet.from_preset("nano")
    model(torch.randn(2, 3, 96, 96))  # moves the batch statistics away from where they start
    sizes = {}
    for dtype in ("float32", "float16"):
        save_checkpoint(tmp_path / f"{dtype}.safetensors", model, dtype=dtype)
        sizes[dtype] = (tmp_path / f"{dtype}.safetensors").stat().st_size
    assert sizes["float32"] < 10e6 and sizes["float16"] < 0.52 * sizes["float32"]
    loaded, info = load_checkpoint(tmp_path / "float16.safetensors")
    assert info.weights == "float16"
    for name, value in loaded.state_dict().items():
        expected = model.state_dict()[name]
        assert value.dtype == expected.dtype
        if value.ndim > 1:
            torch.testing.assert_close(value, expected, rtol=2**-11, atol=6e-8)
        else:
            assert torch.equal(value, expected), name


def test_neither_saving_nor_loading_draws_random_numbers(path, model):
    before = torch.get_rng_state()
    save_checkpoint(path, model)
    load_checkpoint(path)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_loaded_network_does_not_hang_on_its_file(path, model):
    save_checkpoint(path, model)
    loaded = load_checkpoint(path).model
    with path.open("r+b") as file:
        file.seek(-64, 2)
        file.write(b"\xff" * 64)
    assert all(bool(value.isfinite().all()) for value in loaded.state_dict().values())
    torch.nn.init.zeros_(loaded.head[-1].weight)  # and can be trained on


def test_a_channels_last_model_in_training_is_left_as_it_is(path, model):
    model = model.to(memory_format=torch.channels_last)
    save_checkpoint(path, model)
    weight = model.head[0].weight
    assert weight.is_contiguous(memory_format=torch.channels_last) and model.training
    assert torch.equal(load_checkpoint(path).model.head[0].weight, weight)


# --- errors: what is not saved --------------------------------------------------------------------


def test_a_model_gone_wrong_does_not_replace_a_good_one(path, model):
    save_checkpoint(path, model, metadata={"step": 1})
    broken = copy.deepcopy(model)
    broken.backbone[0].weight.data[0, 0, 0, 0] = torch.nan
    broken.head[-1].bias.data[0] = torch.inf
    with pytest.raises(
        ValueError, match=r"NaN or infinity in backbone.0.weight, head.3.bias; nothing was wri"
    ):
        save_checkpoint(path, broken, metadata={"step": 2})
    assert load_checkpoint(path).info.metadata == {"step": 1}


def test_numbers_too_large_for_half_precision(path, model):
    model.head[-1].weight.data[0] = 70_000.0
    with pytest.raises(ValueError, match=r"float16 reaches to 65504, got larger numbers in head.3.weight"):
        save_checkpoint(path, model, dtype="float16")
    save_checkpoint(path, model)
    assert load_checkpoint(path).model.head[-1].weight.max() == 70_000


def test_only_a_whole_plain_network_is_saved(path, model):
    with pytest.raises(ValueError, match=r"`model` must be a HEMletsNet, got AveragedModel.*`.module`"):
        save_checkpoint(path, torch.optim.swa_utils.AveragedModel(model))
    with pytest.raises(
        ValueError, match=r"layers of its config 'test', got \d+ that differ .*before fuse\(\)"
    ):
        save_checkpoint(path, model.fuse())
    with pytest.raises(ValueError, match="`dtype` must be one of float32, float16, got 'int8'"):
        save_checkpoint(path, model, dtype="int8")
    assert not path.exists()


@pytest.mark.parametrize("value", [torch.zeros(2), float("nan"), {1, 2}])
def test_metadata_is_json(path, model, value):
    with pytest.raises(ValueError, match=r"`metadata` must be JSON .*\.item\(\) or \.tolist\(\)"):
        save_checkpoint(path, model, metadata={"loss": value})
    assert not path.exists()


def test_a_full_disk_leaves_the_old_one(path, model, monkeypatch):
    save_checkpoint(path, model, metadata={"step": 1})

    def full(*args):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("hemlets_lib.tensor_files.os.fsync", full)
        with pytest.raises(
            OSError, match=r"test.safetensors: expected to write .*No space left on device.*uncha"
        ):
            save_checkpoint(path, model, metadata={"step": 2})
    assert load_checkpoint(path).info.metadata == {"step": 1}


# --- errors: what is not loaded -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"head.3.bias": None, "head.3.weight": None}, r"got 2 missing \(head.3.weight, head.3.bias\)"),
        ({"extra": torch.zeros(1)}, r"got 1 unknown \(extra\)"),
        ({"head.3.bias": torch.zeros(7)}, r"got 1 of another shape \(head.3.bias: \(7,\), not \(15,\)\)"),
        ({"head.3.bias": None, "x": torch.zeros(1)}, r"got 1 missing \(head.3.bias\) and 1 unknown \(x\)"),
        ({"head.3.bias": torch.zeros(15).long()}, r"`head.3.bias` must be torch.float32, got torch.int64"),
        ({"head.3.bias": torch.full((15,), torch.nan)}, r"NaN or infinity in head.3.bias. That training div"),
    ],
)  # fmt: skip
def test_tensors_that_do_not_fit(path, model, tensors, message):
    save_checkpoint(path, model)
    rewritten(path, tensors=tensors)
    with pytest.raises(ValueError, match=f"test.safetensors: .*{message}"):
        load_checkpoint(path)


def test_many_names_are_cut_short(path, model):
    save_checkpoint(path, model)
    rewritten(path, tensors={name: None for name in contents(path)[0] if name.startswith("encoder")})
    with pytest.raises(
        ValueError, match=r"got 7 missing \(encoder.0.weight, encoder.0.bias, encoder.1.weight and 4"
    ):
        load_checkpoint(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"backbone": "vgg"}, r"`backbone` must be one of resnet50, .*got 'vgg'. Written by hemlets"),
        ({"attention": True}, r"model config: expected keys among .*got attention"),
        ({"skeleton": "octopus"}, r"`skeleton` must be one of .*got 'octopus'"),
        ({"skeleton": {"name": "x"}}, r"a config that this version of hemlets can build"),
        ({"image_size": "32"}, r"a config that this version of hemlets can build"),
        ({"upsample_channels": 10**12}, r"a config that this version of hemlets can build"),
        ({"depth_size": 6}, r"2 of another shape \(head.3.weight: \(15, 11, 1, 1\), not \(18, 11, 1, 1\)"),
    ],
)
def test_configs_that_do_not_fit(path, model, change, message):
    save_checkpoint(path, model)
    rewritten(path, header={"config": model.config.to_dict() | change})
    with pytest.raises(ValueError, match=f"test.safetensors: .*{message}"):
        load_checkpoint(path)


@pytest.mark.parametrize("value", [None, [], "text", {}])
def test_a_config_that_is_none(path, model, value):
    save_checkpoint(path, model)
    rewritten(path, header={"config": value})
    with pytest.raises(ValueError, match="a config that this version of hemlets can build"):
        load_checkpoint(path)


def test_headers_of_other_versions_and_shapes(path, model):
    save_checkpoint(path, model)
    rewritten(path, header={"format_version": 2, "library_version": "3.0"})
    with pytest.raises(
        ValueError, match=r"expected format version 1, got 2, written by hemlets 3.0. Use that ver"
    ):
        load_checkpoint(path)
    rewritten(path, header={"format_version": 1, "metadata": [1]})
    with pytest.raises(ValueError, match=r"`metadata` must be .*dict.*, got \[1\]"):
        read_checkpoint_info(path)
    write_tensor_file(path, {}, kind="hemlets-checkpoint", content={"config": {}})
    with pytest.raises(ValueError, match="expected metadata, provenance, weights in its header, got none"):
        load_checkpoint(path)
    save_tensors(path, {"model": model.state_dict()})
    with pytest.raises(
        ValueError, match=r"kind 'hemlets-checkpoint', got 'hemlets-state'. .*load_tensors\(\)"
    ):
        load_checkpoint(path)


def test_another_network_than_expected(path, model):
    save_checkpoint(path, model)
    with pytest.raises(
        ValueError, match=r"expected the network 'nano', got 'test' \(name 'test', not 'nano'; .*ima"
    ):
        load_checkpoint(path, expected="nano")
    other = dataclasses.replace(model.config, depth_size=4)
    with pytest.raises(ValueError, match=r"got 'test' \(depth_size 5, not 4\)"):
        load_checkpoint(path, expected=other)
    with pytest.raises(ValueError, match=r"`expected` must be a preset \(baseline, .*got 'huge'"):
        load_checkpoint(path, expected="huge")
    assert load_checkpoint(path, expected=model.config).model.config == model.config


def test_files_that_are_no_checkpoints(tmp_path, path, model):
    torch.save(model.state_dict(), tmp_path / "model.pth")
    with pytest.raises(
        ValueError, match=r"model.pth: .*looks like a pickle.*torch.load\(path, weights_only=True\)"
    ):
        load_checkpoint(tmp_path / "model.pth")
    save_checkpoint(path, model)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"test.safetensors: expected a whole .safetensors file"):
        load_checkpoint(path)
    with pytest.raises(FileNotFoundError, match=r"missing.safetensors"):
        load_checkpoint(tmp_path / "missing.safetensors")


def test_the_authors_weights_become_a_checkpoint(tmp_path):
    """The remedy that the message about pickles gives, on a network as small as a test allows."""
    config = ModelConfig("small one", "resnet18", 32, 2, 2, upsample_channels=2, encoder_channels=2)
    model = HEMletsNet(config)
    released = {f"module.{official_key(name)}": value for name, value in model.state_dict().items()}
    torch.save(released, tmp_path / "released.pth")
    ours = HEMletsNet(config)
    ours.load_state_dict(from_official(torch.load(tmp_path / "released.pth", weights_only=True)))
    save_checkpoint(tmp_path / "ours.safetensors", ours)
    loaded = load_checkpoint(tmp_path / "ours.safetensors").model
    assert all(map(torch.equal, loaded.state_dict().values(), model.state_dict().values()))
