"""The network: its parameters counted, its channels in order, its stages wired as in Fig. 3."""

import dataclasses
import json

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from hemlets_lib.geometry import Grid
from hemlets_lib.heatmaps import soft_argmax_3d
from hemlets_lib.losses import Targets, hemlets_loss
from hemlets_lib.model import PRESETS, HEMletsNet, ModelConfig, count_parameters
from hemlets_lib.pretrained import OFFICIAL_GRID, official_key
from hemlets_lib.skeleton import HEMLETS18, Skeleton

B = 2


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
def images() -> torch.Tensor:
    return torch.randn(B, 3, 32, 32)


# --- golden: parameters ---------------------------------------------------------------------------

RESNET50, BODY = 23_508_032, 10_487_296  # the trunk; three transposed convolutions with their norms


@pytest.mark.parametrize(
    ("preset", "stages", "total"),
    [
        (
            "baseline",
            {"backbone": RESNET50, "feature_branch": BODY, "head": 257 * 1152},
            34_291_392,
        ),
        (
            "paper",
            {
                "backbone": RESNET50,
                "feature_branch": BODY,
                "hemlets_branch": BODY + (256 * 9 + 1) * 60,
                "encoder": (60 * 9 + 1) * 256 + 2 * 256,
                "head": (512 * 9 + 1) * 512 + 2 * 512 + 513 * 1152,
            },
            47_711_740,
        ),
        (
            "official",
            {
                "backbone": RESNET50,
                "feature_branch": BODY + (256 * 9 + 1) * 1024,
                "hemlets_branch": BODY + (256 * 9 + 1) * 60,
                "encoder": (60 * 9 + 1) * 256 + 2 * 256,
                "head": 1281 * 1024 + 2 * 1024 + 1025 * 1152,
            },
            49_614_844,
        ),
    ],
)
def test_parameters_of_the_papers_networks(preset, stages, total):
    with torch.device("meta"):
        counted = count_parameters(HEMletsNet.from_preset(preset))
    assert counted == stages
    assert sum(counted.values()) == total


def test_the_papers_totals():
    """§4.3: 34.3 M without and 47.7 M with the intermediate branch."""
    with torch.device("meta"):
        totals = [
            sum(count_parameters(HEMletsNet.from_preset(name)).values()) for name in ("baseline", "paper")
        ]
    assert [round(total / 1e6, 1) for total in totals] == [34.3, 47.7]


def test_the_small_presets_stay_small():
    nano, small = (sum(count_parameters(HEMletsNet.from_preset(name)).values()) for name in ("nano", "small"))
    assert nano == 2_110_596
    assert small == 14_832_060


# The authors' names and shapes beyond the backbone. '#' stands for a batch normalisation's five entries.
OFFICIAL_LAYERS = """
conv_feature.conv_body.0.weight 2048 256 4 4
conv_feature.conv_body.1 # 256
conv_feature.conv_body.3.weight 256 256 4 4
conv_feature.conv_body.4 # 256
conv_feature.conv_body.6.weight 256 256 4 4
conv_feature.conv_body.7 # 256
conv_feature.conv_tail.weight 1024 256 3 3
conv_feature.conv_tail.bias 1024
conv_FBI.conv_body.0.weight 2048 256 4 4
conv_FBI.conv_body.1 # 256
conv_FBI.conv_body.3.weight 256 256 4 4
conv_FBI.conv_body.4 # 256
conv_FBI.conv_body.6.weight 256 256 4 4
conv_FBI.conv_body.7 # 256
conv_FBI.conv_tail.weight 60 256 3 3
conv_FBI.conv_tail.bias 60
FBI_encoder.0.weight 256 60 3 3
FBI_encoder.0.bias 256
FBI_encoder.1 # 256
conv_tail.0.weight 1024 1280 1 1
conv_tail.0.bias 1024
conv_tail.1 # 1024
conv_tail.3.weight 1152 1024 1 1
conv_tail.3.bias 1152
"""


def official_layout() -> dict[str, list[int]]:
    """The preset `official`, in the authors' names."""
    with torch.device("meta"):
        state = HEMletsNet.from_preset("official").state_dict()
    return {official_key(name): list(value.shape) for name, value in state.items()}


def test_official_names_and_shapes():
    expected: dict[str, list[int]] = {}
    for line in OFFICIAL_LAYERS.split("\n")[1:-1]:
        name, *shape = line.split()
        if shape[0] == "#":
            for entry in ("weight", "bias", "running_mean", "running_var"):
                expected[f"{name}.{entry}"] = [int(shape[1])]
            expected[f"{name}.num_batches_tracked"] = []
        else:
            expected[name] = [int(side) for side in shape]
    layout = official_layout()
    beyond_backbone = {name: shape for name, shape in layout.items() if not name.startswith("backbone.")}
    assert beyond_backbone == expected
    assert len(layout) - len(beyond_backbone) == 318  # ResNet-50 without its classifier
    assert layout["backbone.conv1.weight"] == [64, 3, 7, 7]
    assert layout["backbone.layer4.2.bn3.num_batches_tracked"] == []


def test_official_layout_is_that_of_the_released_checkpoint(real_samples):
    file = real_samples.parent / "official_checkpoint_layout.json"
    if not file.is_file():
        pytest.skip(f"no {file.name} in {file.parent}")
    released = json.loads(file.read_text())
    assert released.pop(OFFICIAL_GRID) == [1, 18, 64]
    assert official_layout() == released


# --- golden: channels -----------------------------------------------------------------------------


@pytest.mark.parametrize(("variant", "states"), [("hemlets", 3), ("2s", 3), ("5s", 5)])
def test_maps_are_triplets_part_by_part_then_heatmaps(config, images, variant, states):
    model = HEMletsNet(dataclasses.replace(config, variant=variant))
    tail = model.hemlets_branch.tail
    nn.init.zeros_(tail.weight)
    tail.bias.data = torch.arange(float(tail.out_channels))
    output = model(images)
    assert output.triplets.shape == (B, 2, states, 8, 8)
    assert output.triplets[0, :, :, 4, 3].tolist() == torch.arange(2.0 * states).view(2, states).tolist()
    assert output.heatmaps.shape == (B, 3, 8, 8)
    assert output.heatmaps[0, :, 4, 3].tolist() == [2.0 * states, 2 * states + 1, 2 * states + 2]


def test_volume_channels_are_depth_within_joint(model, images):
    head = model.head[-1]
    nn.init.zeros_(head.weight)
    head.bias.data.view(3, 5)[torch.arange(3), torch.tensor([0, 2, 4])] = 50.0
    output = model(images, return_volume=True)
    assert output.volume.shape == (B, 3, 5, 8, 8)
    # Cells 0, 2 and 4 of 5, each centred in its fifth of [-0.5, 0.5]; even in x and y.
    expected = torch.tensor([[0.0, 0.0, -0.4], [0.0, 0.0, 0.0], [0.0, 0.0, 0.4]]).expand(B, 3, 3)
    torch.testing.assert_close(output.joints, expected, atol=1e-6, rtol=0)


# --- law ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("preset", PRESETS)
def test_shapes_of_every_preset(preset):
    config = PRESETS[preset]
    with FakeTensorMode():  # shapes only
        model = HEMletsNet(config)
        output = model(torch.empty(B, 3, config.image_size, config.image_size), return_volume=True)
    side = config.heatmap_size
    assert config.name == preset
    assert output.joints.shape == (B, 18, 3)
    assert output.volume.shape == (B, 18, *config.volume_size)
    assert config.volume_size == (config.depth_size, side, side)
    if preset == "baseline":
        assert output.triplets is None
        assert output.heatmaps is None
    else:
        assert output.triplets.shape == (B, 14, 3, side, side)
        assert output.heatmaps.shape == (B, 18, side, side)


@pytest.mark.parametrize("grid", list(Grid))
def test_the_stages_are_wired_as_in_figure_3(config, images, grid):
    model = HEMletsNet(dataclasses.replace(config, grid=grid)).eval()
    output = model(images, return_volume=True)
    features = model.backbone(images)
    maps = model.hemlets_branch(features)
    both = torch.cat([model.feature_branch(features), model.encoder(maps)], dim=1)
    assert features.shape == (B, 192, 2, 2)
    assert both.shape == (B, 7 + 9, 8, 8)
    torch.testing.assert_close(output.volume.flatten(1, 2), model.head(both))
    torch.testing.assert_close(output.joints, soft_argmax_3d(output.volume, grid=grid))
    assert model(images).volume is None


@pytest.mark.parametrize(
    ("backbone", "image_size", "heatmap_size", "doublings"),
    [("tiny", 96, 24, 2), ("tiny", 96, 12, 1), ("resnet18", 64, 32, 4), ("resnet50", 256, 64, 3)],
)
def test_as_many_transposed_convolutions_as_needed(backbone, image_size, heatmap_size, doublings):
    config = ModelConfig("test", backbone, image_size, heatmap_size, depth_size=8)
    assert config.num_upsamplings == doublings
    with FakeTensorMode():
        model = HEMletsNet(config)
        assert sum(isinstance(m, nn.ConvTranspose2d) for m in model.feature_branch.modules()) == doublings
        assert model(torch.empty(1, 3, image_size, image_size)).heatmaps.shape[-1] == heatmap_size


def test_training_starts_from_empty_maps_and_an_even_softmax():
    output = HEMletsNet.from_preset("nano")(torch.randn(B, 3, 96, 96))
    assert output.joints.abs().max() < 0.01  # the middle of the crop
    assert output.heatmaps.abs().max() < 0.1
    assert output.triplets.abs().max() < 0.1


def test_output_layers_may_start_like_the_others():
    large = HEMletsNet(dataclasses.replace(PRESETS["nano"], output_std=None))
    small = HEMletsNet(dataclasses.replace(PRESETS["nano"], output_std=0.02))
    fan_out = 18 * 24  # of the 1x1 convolution that puts out the volume
    assert large.head[-1].weight.std().item() == pytest.approx((2 / fan_out) ** 0.5, rel=0.05)
    assert small.head[-1].weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert small.hemlets_branch.tail.weight.std().item() == pytest.approx(0.02, rel=0.05)


def test_the_range_of_depth_stretches_the_volume(config, images):
    model = HEMletsNet(config).eval()
    torch.nn.init.normal_(model.head[-1].weight, std=20.0)
    expected = model(images).joints
    model.config = dataclasses.replace(config, depth_range_mm=3000.0)
    joints = model(images).joints
    assert torch.equal(joints[..., :2], expected[..., :2])
    torch.testing.assert_close(joints[..., 2], expected[..., 2] * 1.5)
    assert expected[..., 2].abs().max() > 0.05


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"sigma_scale": 0.0}, "`sigma_scale` must be positive and finite, got 0.0"),
        ({"sigma_scale": None}, "`sigma_scale` must be positive and finite, got None"),
        ({"depth_range_mm": float("inf")}, "`depth_range_mm` must be positive and finite, got inf"),
        ({"output_std": -1.0}, "`output_std` must be positive and finite, got -1.0"),
        ({"gaussian_norm": "l2"}, "`gaussian_norm` must be one of height, sum, got 'l2'"),
        ({"overlap": "mean"}, "`overlap` must be one of maximum, sum, clipped, got 'mean'"),
    ],
)
def test_choices_that_cannot_be(config, values, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(config, **values)


def test_samples_do_not_mix(model, images):
    model.eval()
    together = model(images)
    for i in range(B):
        alone = model(images[i : i + 1])
        torch.testing.assert_close(alone.joints[0], together.joints[i])
        torch.testing.assert_close(alone.triplets[0], together.triplets[i])


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_half_precision_still_gives_float32_joints(model, images, memory_format):
    model.eval().to(memory_format=memory_format)
    images = images.to(memory_format=memory_format)
    expected = model(images).joints
    with torch.autocast("cpu", torch.bfloat16):
        output = model(images, return_volume=True)
    assert output.volume.dtype == torch.bfloat16
    assert output.joints.dtype == torch.float32
    torch.testing.assert_close(output.joints, expected, atol=1e-3, rtol=0)


def test_compiles_into_one_graph(model, images):
    model.eval()
    assert torch._dynamo.explain(model)(images).graph_break_count == 0
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    for one, other in zip(compiled(images)[:3], model(images)[:3], strict=True):
        torch.testing.assert_close(one, other)


def test_config_survives_json(config):
    for original in (*PRESETS.values(), config, dataclasses.replace(config, variant="5s", fusion=None)):
        text = json.dumps(original.to_dict())
        assert ModelConfig.from_dict(json.loads(text)) == original
    assert PRESETS["nano"].to_dict()["skeleton"] == "hemlets18"
    assert config.to_dict()["skeleton"]["joint_names"] == ("shoulder", "elbow", "wrist")


def test_a_changed_skeleton_is_not_stored_under_the_old_name(config):
    shorter = dataclasses.replace(HEMLETS18, part_names=HEMLETS18.part_names[:3])
    stored = dataclasses.replace(config, skeleton=shorter).to_dict()
    assert ModelConfig.from_dict(json.loads(json.dumps(stored))).skeleton.num_parts == 3


# --- gradient -------------------------------------------------------------------------------------


def test_the_joint_loss_reaches_every_weight(model, images):
    (model(images).joints - 0.3).square().sum().backward()  # joints start near 0, the middle
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        if name.endswith("weight"):  # a bias before a batch normalisation does nothing
            assert parameter.grad.abs().max() > 1e-6, name


def test_the_intermediate_loss_stops_at_its_own_branch(model, images):
    output = model(images)
    (output.triplets.square().sum() + output.heatmaps.square().sum()).backward()
    learns = {
        name: any(p.grad is not None for p in stage.parameters()) for name, stage in model.named_children()
    }
    assert learns == {
        "backbone": True,
        "feature_branch": False,
        "hemlets_branch": True,
        "encoder": False,
        "head": False,
    }


def test_it_learns_two_images_by_heart(config, images):
    model = HEMletsNet(config)
    joints = 0.8 * (torch.rand(B, 3, 3) - 0.5)  # within the outermost cells' centres
    targets = Targets(joints=joints, triplets=torch.rand(B, 2, 3, 8, 8), heatmaps=torch.rand(B, 3, 8, 8))
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-2)
    losses = []
    for _ in range(80):
        terms = hemlets_loss(model(images), targets, size=config.volume_size)
        optimizer.zero_grad()
        terms.total.backward()
        optimizer.step()
        losses.append(terms.joints.item())
    assert losses[-1] < 0.1 * losses[0]


# --- errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"backbone": "vgg"}, r"`backbone` must be one of resnet50, resnet18, tiny, got 'vgg'"),
        ({"variant": "7s"}, r"`variant` must be one of hemlets, 2s, 5s, got '7s'"),
        ({"grid": "off_by_one"}, r"`grid` must be one of cell_centred, corner_aligned, got 'off_by_one'"),
        ({"depth_size": 0}, r"`depth_size` must be positive, got 0"),
        ({"fusion": (2, 8)}, r"`fusion` must be \(odd kernel, channels\) or None, got \(2, 8\)"),
        ({"heatmap_size": 12}, r"`heatmap_size` one of \[4, 8, 16, 32, 64\], got 32 and 12"),
        ({"image_size": 40}, r"`image_size` must be a multiple of 16 for backbone 'tiny'"),
        ({"skeleton": Skeleton("dot", ("dot",), {})}, r"skeleton 'dot' has no parts.*intermediate=False"),
    ],
)
def test_config_errors_say_what_is_wrong(config, change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(config, **change)


def test_stored_config_errors_say_what_is_wrong():
    stored = PRESETS["nano"].to_dict()
    with pytest.raises(ValueError, match=r"model config: expected keys among name, backbone, .*; got widht"):
        ModelConfig.from_dict(stored | {"widht": 3})
    with pytest.raises(ValueError, match=r"`skeleton` must be one of hemlets18, .*got 'octopus'"):
        ModelConfig.from_dict(stored | {"skeleton": "octopus"})


@pytest.mark.parametrize("shape", [(B, 3, 32, 48), (B, 1, 32, 32), (3, 32, 32)])
def test_wrong_images_are_refused(model, shape):
    with pytest.raises(ValueError, match=r"`images` must be \(B, 3, 32, 32\) for 'test', got .*resize"):
        model(torch.zeros(shape))


def test_an_unknown_preset_is_refused():
    with pytest.raises(ValueError, match=r"`name` must be a preset \(baseline, .*\), got 'huge'"):
        HEMletsNet.from_preset("huge")
