"""Weights made elsewhere: ImageNet's, without a network connection, and the authors' names."""

import math
import urllib.error

import pytest
import torch
import torch.nn.functional as F
from torchvision.models import resnet18

from hemlets_lib.model import HEMletsNet, ModelConfig
from hemlets_lib.pretrained import from_official, load_imagenet_backbone, official_key
from hemlets_lib.weights import official_layout


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


# --- golden: the released network, from its layout, without a module of ours -------------------------

BLOCKS = (
    3,
    4,
    6,
    3,
)  # ResNet-50's; in each first block from the second group on, the 3x3 kernel has stride 2


def released_joints(state: dict[str, torch.Tensor], images: torch.Tensor) -> torch.Tensor:
    """The joints that the authors' weights stand for, (x, y, z), by functions driven by their names alone."""

    def convolve(x, name, **options):
        return F.conv2d(x, state[f"{name}.weight"], state.get(f"{name}.bias"), **options)

    def standardise(x, name):
        statistics = (state[f"{name}.running_mean"], state[f"{name}.running_var"])
        return F.batch_norm(x, *statistics, state[f"{name}.weight"], state[f"{name}.bias"], eps=1e-5)

    def residual(x, name, stride):
        y = F.relu(standardise(convolve(x, f"{name}.conv1"), f"{name}.bn1"))
        y = F.relu(standardise(convolve(y, f"{name}.conv2", stride=stride, padding=1), f"{name}.bn2"))
        y = standardise(convolve(y, f"{name}.conv3"), f"{name}.bn3")
        if f"{name}.downsample.0.weight" in state:
            x = standardise(convolve(x, f"{name}.downsample.0", stride=stride), f"{name}.downsample.1")
        return F.relu(x + y)

    def branch(x, name):
        for layer in (0, 3, 6):
            kernel = state[f"{name}.conv_body.{layer}.weight"]
            x = F.conv_transpose2d(x, kernel, stride=2, padding=1)
            x = F.relu(standardise(x, f"{name}.conv_body.{layer + 1}"))
        return convolve(x, f"{name}.conv_tail", padding=1)

    x = F.relu(standardise(convolve(images, "backbone.conv1", stride=2, padding=3), "backbone.bn1"))
    x = F.max_pool2d(x, kernel_size=3, stride=2, padding=1)
    for group, blocks in enumerate(BLOCKS, start=1):
        for block in range(blocks):
            x = residual(x, f"backbone.layer{group}.{block}", 2 if group > 1 and block == 0 else 1)
    maps = branch(x, "conv_FBI")
    encoded = F.relu(standardise(convolve(maps, "FBI_encoder.0", padding=1), "FBI_encoder.1"))
    both = torch.cat([branch(x, "conv_feature"), encoded], 1)  # features first
    volume = convolve(F.relu(standardise(convolve(both, "conv_tail.0"), "conv_tail.1")), "conv_tail.3")

    batch, channels, height, width = volume.shape
    depth = state["volume_reg.dis_map"].shape[-1]
    joints = channels // depth  # joint by joint, and within a joint depth by depth
    probs = volume.reshape(batch, joints, -1).softmax(-1).reshape(batch, joints, depth, height, width)
    bins = torch.arange(depth, dtype=probs.dtype) / (depth - 1) - 0.5
    x_of, y_of, z_of = probs.sum((2, 3)), probs.sum((2, 4)), probs.sum((3, 4))
    return torch.stack([x_of @ bins, y_of @ bins, z_of @ bins], -1)


@pytest.fixture(scope="module")
def released() -> dict[str, torch.Tensor]:
    """Random numbers in the release's layout, tamed so that no layer's output grows or dies out."""
    generator = torch.Generator().manual_seed(0)
    state = {}
    for name, shape in official_layout().items():
        if name.endswith("num_batches_tracked"):
            state[name] = torch.tensor(7)
        elif name.endswith("running_var"):
            state[name] = torch.rand(shape, generator=generator) + 0.5
        elif len(shape) < 2:
            state[name] = torch.randn(shape, generator=generator) * 0.1 + name.endswith("weight")
        else:
            inputs = shape[0] * 4 if "conv_body" in name else math.prod(shape[1:])  # of one output number
            state[name] = torch.randn(shape, generator=generator) * math.sqrt(2 / inputs)
    for name in state:
        if name.endswith("bn3.weight"):  # sixteen residual blocks, each adding a little
            state[name] *= 0.5
    state["volume_reg.dis_map"] = torch.linspace(0, 1, 64).expand(1, 18, 64)
    return state


def test_the_official_preset_is_the_released_network(released):
    network = HEMletsNet.from_preset("official").eval()
    network.load_state_dict(from_official(released))
    images = torch.randn(2, 3, 256, 256, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    precise = {name: value.double() for name, value in released.items()}
    with torch.inference_mode():
        single = network(images.float()).joints
        ours, theirs = network.double()(images).joints, released_joints(precise, images)
    assert theirs.std(1).min() > 0.02  # the joints are apart, so an exchange of any two, or of axes, shows
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)
    torch.testing.assert_close(single.double(), theirs, rtol=0, atol=1e-3)


def test_a_released_volume_is_joints_by_depth_by_height_by_width():
    """One sharp peak for each joint, set by hand in the last layer's output: cell i lies at i/63 - 0.5."""
    cells = torch.stack([torch.arange(18), 63 - 2 * torch.arange(18), 3 * torch.arange(18)], -1)  # x, y, z
    channels = torch.zeros(1, 18 * 64, 64, 64, dtype=torch.float64)
    for joint, (x, y, z) in enumerate(cells.tolist()):
        channels[0, joint * 64 + z, y, x] = 100.0
    network = HEMletsNet.from_preset("official").eval()
    network.head.register_forward_hook(lambda *_: channels)
    with torch.inference_mode():
        joints = network(torch.zeros(1, 3, 256, 256)).joints[0]
    torch.testing.assert_close(joints, cells.double() / 63 - 0.5, rtol=0, atol=1e-12)
