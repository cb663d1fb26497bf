"""Weights made elsewhere: ImageNet's, without a network connection, and the authors' names."""

import urllib.error

import pytest
import torch
from torchvision.models import resnet18

from hemlets_lib.model import HEMletsNet, ModelConfig
from hemlets_lib.pretrained import from_official, load_imagenet_backbone, official_key


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """No connection, and an empty cache in a folder of its own."""

    def refuse(*args, **kwargs):
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    return tmp_path


@pytest.fixture
def model() -> HEMletsNet:
    config = ModelConfig("test", "resnet18", 32, 2, 2, upsample_channels=2, encoder_channels=2)
    return HEMletsNet(config)


def test_imagenet_weights_from_the_cache(offline, model):
    network = resnet18()
    (offline / "checkpoints").mkdir()
    torch.save(network.state_dict(), offline / "checkpoints" / "resnet18-f37072fd.pth")
    assert load_imagenet_backbone(model.backbone, "resnet18")
    expected = network.state_dict()
    for name, value in model.backbone.state_dict().items():
        torch.testing.assert_close(value, expected[name])


def test_a_file_that_runs_code_is_not_loaded(offline, model):
    class Sneaky:
        def __reduce__(self):
            return (print, ("this must never be printed",))

    (offline / "checkpoints").mkdir()
    torch.save({"conv1.weight": Sneaky()}, offline / "checkpoints" / "resnet18-f37072fd.pth")
    with pytest.raises(RuntimeError, match="could not be loaded"):
        load_imagenet_backbone(model.backbone, "resnet18")


def test_without_weights_it_says_where_to_put_them(offline, model):
    with pytest.raises(
        RuntimeError, match=r"(?s)no route to host.*checkpoints.*resnet18-f37072fd.pth.*allow_missing"
    ):
        load_imagenet_backbone(model.backbone, "resnet18")
    before = {name: value.clone() for name, value in model.backbone.state_dict().items()}
    with pytest.warns(UserWarning, match="keeps its random weights"):
        assert not load_imagenet_backbone(model.backbone, "resnet18", allow_missing=True)
    for name, value in model.backbone.state_dict().items():
        assert torch.equal(value, before[name])


def test_presets_pass_it_on(offline):
    with pytest.raises(RuntimeError, match="ImageNet weights for backbone 'resnet18' could not be loaded"):
        HEMletsNet.from_preset("small", pretrained=True)
    with pytest.warns(UserWarning, match="ImageNet weights for backbone 'resnet18' could not be loaded"):
        HEMletsNet.from_preset("small", pretrained=True, allow_missing=True)
    with pytest.raises(ValueError, match="'tiny' has no ImageNet weights"):
        HEMletsNet.from_preset("nano", pretrained=True)


def test_the_authors_state_dict_comes_back_under_our_names():
    with torch.device("meta"):
        ours = HEMletsNet.from_preset("official").state_dict()
    theirs = {"module." + official_key(name): value for name, value in ours.items()}
    theirs["module.volume_reg.dis_map"] = torch.linspace(0, 1, 64).expand(1, 18, 64)
    assert len(theirs) == len(ours) + 1  # no two names fall together
    back = from_official(theirs)
    assert list(back) == list(ours)
    assert all(back[name] is value for name, value in ours.items())


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match=r"`name` must start with one of backbone., .*got 'decoder.weight'"):
        official_key("decoder.weight")
    with pytest.raises(ValueError, match=r"`state` must have the official names .*got 'state_dict'"):
        from_official({"state_dict": torch.zeros(1)})
