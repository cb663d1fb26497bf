"""The network as a file: what it gives is what the network gives, for any number of pictures."""

import dataclasses
import json
from importlib.util import find_spec

import pytest
import torch
from torch import nn

from hemlets_lib import export
from hemlets_lib.export import METADATA, SUFFIXES, export_network
from hemlets_lib.model import PRESETS, HEMletsNet, ModelConfig

needs_onnx = pytest.mark.skipif(
    not (find_spec("onnx") and find_spec("onnxscript") and find_spec("onnxruntime")),
    reason="needs the extra `export`: onnx, onnxscript, onnxruntime",
)
FORMATS = [".pt2", pytest.param(".onnx", marks=needs_onnx)]
SIZE, DEPTH = 32, 5


@pytest.fixture
def model() -> HEMletsNet:
    """The authors' layout, small, after something like training; its volume is large enough for a kernel."""
    config = dataclasses.replace(
        PRESETS["official"], backbone="tiny", image_size=SIZE, heatmap_size=32, depth_size=DEPTH,
        upsample_channels=6, encoder_channels=9, feature_channels=17, fusion=(1, 11), output_std=0.5,
    )  # fmt: skip
    model = HEMletsNet(config)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.5, 0.5)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
    return model


def run(path, images) -> list[torch.Tensor]:
    """As somebody without this library would."""
    if path.suffix == ".pt2":
        return list(torch.export.load(path).module()(images))
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return [torch.from_numpy(each) for each in session.run(None, {"images": images.numpy()})]


def metadata(path) -> dict:
    if path.suffix == ".pt2":
        files = {METADATA: ""}
        torch.export.load(path, extra_files=files)
        return json.loads(files[METADATA])
    import onnx

    return json.loads({each.key: each.value for each in onnx.load(path).metadata_props}[METADATA])


@pytest.mark.parametrize("suffix", FORMATS)
def test_the_file_gives_what_the_network_gives(model, tmp_path, suffix):
    path, random = tmp_path / f"small{suffix}", torch.get_rng_state()
    difference = export_network(model, path)
    assert 0 < difference < 1e-4 and model.training and torch.equal(torch.get_rng_state(), random)
    assert [each.name for each in tmp_path.iterdir()] == [path.name]  # no data beside it, nothing left over
    for count in (1, 4):
        images = torch.randn(count, 3, SIZE, SIZE)
        with torch.no_grad():
            expected = model.eval()(images)
        found = run(path, images)
        assert [tuple(each.shape) for each in found] == [
            (count, 18, 3), (count, 14, 3, 32, 32), (count, 18, 32, 32),
        ]  # fmt: skip
        assert expected.joints.std() > 0.01
        for one, other in zip(found, expected[:3], strict=True):
            torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)
    about = metadata(path)
    assert ModelConfig.from_dict(about["config"]) == model.config
    assert about["images"]["mean"] == [0.485, 0.456, 0.406] and "git" in about["provenance"]


@needs_onnx
def test_onnx_knows_its_outputs_by_name(tmp_path):
    import onnxruntime

    config = dataclasses.replace(
        PRESETS["baseline"], backbone="tiny", image_size=SIZE, heatmap_size=8, depth_size=DEPTH
    )
    export_network(HEMletsNet(config).fuse(), tmp_path / "baseline.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "baseline.onnx")
    assert [(each.name, each.shape) for each in session.get_inputs()] == [
        ("images", ["batch", 3, SIZE, SIZE])
    ]
    assert [(each.name, each.shape) for each in session.get_outputs()] == [("joints", ["batch", 18, 3])]


def test_a_compiled_network_is_exported_uncompiled(model, tmp_path, monkeypatch):
    def compiled(function, **_):
        def run(*arguments):
            assert not torch.compiler.is_compiling()
            return function(*arguments)

        return run

    monkeypatch.setattr("hemlets_lib.fused_model.compiled_or_eager", compiled)
    assert export_network(model.fuse(compiled=True), tmp_path / "small.pt2") < 1e-4


def test_the_commands_formats():
    from hemlets_lib.cli.options import Precision
    from hemlets_lib.cli.weights import Format
    from hemlets_lib.fused_model import PRECISIONS

    assert list(Format) == list(SUFFIXES) and list(Precision) == list(PRECISIONS)


# --- errors ---------------------------------------------------------------------------------------


def test_what_cannot_be_exported(model, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"`path` must end in .pt2 or .onnx, got .*small.pth"):
        export_network(model, tmp_path / "small.pth")
    with pytest.raises(
        ValueError, match=r"`model` must be in float32, got bfloat16. Export the network that"
    ):
        export_network(model.fuse(precision="bfloat16"), tmp_path / "small.pt2")
    monkeypatch.setattr(export, "find_spec", lambda name: None if name == "onnxscript" else object())
    with pytest.raises(RuntimeError, match=r"not installed: onnxscript. pip install 'hemlets\[export\]'"):
        export_network(model, tmp_path / "small.onnx")
    assert not list(tmp_path.iterdir())


def test_a_file_that_gives_something_else_is_not_written(model, tmp_path, monkeypatch):
    path = tmp_path / "small.pt2"
    path.write_bytes(b"before")
    honest = export._run_torch
    monkeypatch.setattr(export, "_run_torch", lambda *a: [[x + 0.001 for x in b] for b in honest(*a)])
    with pytest.raises(RuntimeError, match=r"small.pt2: expected .* the same to 0.0001, got .* of 1.0e-03"):
        export_network(model, path)
    assert path.read_bytes() == b"before" and len(list(tmp_path.iterdir())) == 1
