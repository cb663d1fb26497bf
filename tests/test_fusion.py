"""Fewer layers that compute the same: each function against the layers it replaces, then whole networks."""

import copy
import dataclasses

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from hemlets_lib.fused_model import FusedNet
from hemlets_lib.fusion import (
    compiled_or_eager,
    compose,
    composing_pays,
    fold_batch_norms,
    join_transposed,
    split_by_input,
)
from hemlets_lib.model import PRESETS, HEMletsNet, ModelConfig

B = 2


def trained(model: nn.Module) -> nn.Module:
    """Statistics and weights as after training, so that there is something to fold."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.5, 0.5)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.3, 0.3)
        if isinstance(module, nn.Conv2d) and module.bias is not None:
            nn.init.uniform_(module.bias, -0.5, 0.5)
    return model


def shrunken(preset: str, **changes) -> ModelConfig:
    """A preset's structure at a small size, its widths all different."""
    config = PRESETS[preset]
    small = {
        "backbone": "tiny", "image_size": 32, "heatmap_size": 8, "depth_size": 5, "upsample_channels": 6,
        "encoder_channels": 9, "feature_channels": config.feature_channels and 17,
        "fusion": config.fusion and (config.fusion[0], 11), "output_std": None,
    }  # fmt: skip
    return dataclasses.replace(config, **(small | changes))


# --- golden ---------------------------------------------------------------------------------------


def test_two_layers_worked_by_hand():
    """x = 1 on 3 x 3 cells; a 3x3 kernel of ones and bias 1, then y → 2 y - 3 and y → 5 y."""
    inner, outer = nn.Conv2d(1, 1, 3, padding=1), nn.Conv2d(1, 2, 1)
    with torch.no_grad():
        inner.weight.fill_(1), inner.bias.fill_(1)
        (
            outer.weight.copy_(torch.tensor([2.0, 5.0]).view(2, 1, 1, 1)),
            outer.bias.copy_(torch.tensor([-3.0, 0.0])),
        )
    one = compose(inner, outer)
    assert one.weight[0].unique().tolist() == [2.0] and one.weight[1].unique().tolist() == [5.0]
    assert one.bias.tolist() == [-1.0, 5.0]
    seen = torch.tensor([[4.0, 6, 4], [6, 9, 6], [4, 6, 4]])  # how many ones the kernel covers
    expected = torch.stack([2 * (seen + 1) - 3, 5 * (seen + 1)])
    assert torch.equal(one(torch.ones(1, 1, 3, 3))[0], expected)


def flops_of(function, *arguments) -> float:
    with FlopCounterMode(display=False) as counter:
        function(*arguments)
    return counter.get_total_flops() / 1e9


def test_arithmetic_of_the_official_network():
    """60.2 GFLOP for a picture. The fused layer saves 1024 x 1024 products in each of 64 x 64 cells, 8.6."""
    with torch.device("meta"):
        model = HEMletsNet.from_preset("official")
    with torch.no_grad():
        images = torch.zeros(1, 3, 256, 256, device="meta")
        plain, fused = flops_of(model, images), flops_of(model.fuse().layers, images)
    assert round(plain, 1) == 60.2
    assert plain - fused == pytest.approx(2 * 1024 * 1024 * 64 * 64 / 1e9)


# --- law: layers ----------------------------------------------------------------------------------


@pytest.mark.parametrize("bias", [(True, True), (True, False), (False, True), (False, False)])
@pytest.mark.parametrize(("kernel", "stride", "padding"), [(1, 1, 0), (3, 1, 1), (3, 2, 0), (5, 1, 3)])
def test_composing_is_exact_at_the_border_too(kernel, stride, padding, bias):
    inner = nn.Conv2d(3, 4, kernel, stride, padding, bias=bias[0]).double()
    outer = nn.Conv2d(4, 5, 1, bias=bias[1]).double()
    x = torch.randn(B, 3, 6, 7).double()
    torch.testing.assert_close(compose(inner, outer)(x), outer(inner(x)))


def test_composing_pays_unless_there_are_many_outputs():
    """3x3 of 2 → 10 channels, then n outputs: 18 n products for a cell, against 180 + 10 n."""
    pays = [composing_pays(nn.Conv2d(2, 10, 3), nn.Conv2d(10, n, 1)) for n in (22, 23)]
    assert pays == [True, False]


@pytest.mark.parametrize("bias", [True, False])
def test_parts_of_the_input_add_up(bias):
    layer = nn.Conv2d(5, 4, 3, padding=1, bias=bias).double()
    x, y = torch.randn(B, 2, 6, 7).double(), torch.randn(B, 3, 6, 7).double()
    of_x, of_y = split_by_input(layer, 2)
    torch.testing.assert_close(of_x(x) + of_y(y), layer(torch.cat([x, y], 1)))


def test_a_joined_layer_gives_both_outputs():
    first = nn.ConvTranspose2d(3, 2, 4, stride=2, padding=1)
    second = nn.ConvTranspose2d(3, 5, 4, stride=2, padding=1, bias=False)
    x = torch.randn(B, 3, 4, 5)
    one, other = join_transposed(first, second)(x).split([2, 5], dim=1)
    torch.testing.assert_close(one, first(x))
    torch.testing.assert_close(other, second(x))


def test_folding_leaves_its_argument_and_other_norms_alone():
    block = trained(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.BatchNorm2d(4)))
    before = copy.deepcopy(block.state_dict())
    folded, x = fold_batch_norms(block), torch.randn(B, 3, 6, 7)
    assert [type(layer) for layer in folded] == [nn.Conv2d, nn.Identity, nn.ReLU, nn.BatchNorm2d]
    assert block.training and all(torch.equal(block.state_dict()[name], before[name]) for name in before)
    torch.testing.assert_close(folded(x), block.eval()(x))


# --- law: networks --------------------------------------------------------------------------------

STRUCTURES = {
    "official": shrunken("official"),
    "paper": shrunken("paper"),
    "baseline": shrunken("baseline"),
    "nano": PRESETS["nano"],
    "composing would not pay": shrunken("official", feature_channels=2),
    "a feature layer before a 3x3 one": shrunken("official", fusion=(3, 11)),
    "a feature layer before the volume": shrunken("official", fusion=None, feature_channels=90),
    "without the branch": shrunken("official", intermediate=False),
    "one upsampling": shrunken("official", heatmap_size=4),
    "lifted, half the depth": shrunken("paper", lifted=True, depth_range_mm=1000.0),
}
COMPOSED = {"official", "a feature layer before the volume", "without the branch", "one upsampling"}


def check_equal(model, images, *, absolute=1e-4):
    """A fused copy gives the same joints, maps and volume."""
    fused = model.eval().fuse()
    with torch.no_grad():
        expected, actual = model(images, return_volume=True), fused(images, return_volume=True)
    for one, other in zip(actual, expected, strict=True):
        torch.testing.assert_close(one, other, atol=absolute, rtol=1e-4)
    assert fused(images).volume is None
    return fused


@pytest.mark.parametrize("name", STRUCTURES)
def test_a_fused_network_gives_the_same(name):
    model = trained(HEMletsNet(STRUCTURES[name]))
    size = model.config.image_size
    fused = check_equal(model, torch.randn(B, 3, size, size))
    assert not any(isinstance(module, nn.BatchNorm2d | nn.Identity) for module in fused.layers.children())
    assert not any(isinstance(module, nn.BatchNorm2d) for module in fused.modules())
    is_composed = len(list(fused.layers.merge.children())) > 0
    assert is_composed == (name in COMPOSED)
    transposed = [sum(isinstance(m, nn.ConvTranspose2d) for m in net.modules()) for net in (model, fused)]
    assert transposed[0] - transposed[1] == (1 if model.config.intermediate else 0)


def test_the_official_network_itself():
    model = trained(HEMletsNet.from_preset("official"))
    nn.init.normal_(model.head[-1].weight, std=0.05)  # joints spread over the volume
    check_equal(model, torch.randn(1, 3, 256, 256))


def test_fusing_leaves_the_network_as_it_was_and_shares_nothing():
    model = trained(HEMletsNet(STRUCTURES["official"]))
    images = torch.randn(B, 3, 32, 32)
    model.train()
    before = copy.deepcopy(model.state_dict())
    fused = model.fuse()
    expected = fused(images).joints
    assert model.training and not fused.training
    assert all(torch.equal(model.state_dict()[name], before[name]) for name in before)
    with torch.no_grad():
        for parameter in (*model.parameters(), *model.buffers()):
            parameter.zero_()
    assert torch.equal(fused(images).joints, expected)


@pytest.mark.parametrize("name", ["official", "nano", "lifted, half the depth"])
def test_bfloat16_is_close_and_gives_float32(name):
    model = trained(HEMletsNet(STRUCTURES[name])).eval()
    size = model.config.image_size
    images = torch.randn(B, 3, size, size)
    fused = model.fuse(precision="bfloat16")
    assert {p.dtype for p in fused.layers.parameters()} == {torch.bfloat16}
    with torch.no_grad():
        expected, actual = model(images), fused(images, return_volume=True)
    assert {each.dtype for each in actual[:3]} == {torch.float32}
    assert actual.volume.dtype == torch.bfloat16
    for one, other in zip(actual[:3], expected[:3], strict=True):
        error = (one - other).abs().max()
        assert error < 0.05 * other.abs().max().clamp_min(1), error  # eight bits, through twenty layers


def test_a_fused_network_compiles_into_one_graph():
    fused = HEMletsNet(STRUCTURES["official"]).eval().fuse()
    images = torch.randn(B, 3, 32, 32)
    compiled = torch.compile(fused.layers, backend="eager", fullgraph=True)
    for one, other in zip(compiled(images), fused.layers(images), strict=True):
        torch.testing.assert_close(one, other)


# --- compiling, or not ----------------------------------------------------------------------------


def test_what_compiles_is_used(recwarn):
    calls = []

    def backend(graph, inputs):
        calls.append(graph)
        return graph.forward

    run = compiled_or_eager(lambda x: x.sin() + 1, backend=backend)
    x = torch.randn(3)
    torch.testing.assert_close(run(x), x.sin() + 1)
    assert len(calls) == 1 and not recwarn.list


def test_what_does_not_compile_runs_all_the_same():
    tried = []

    def backend(graph, inputs):
        tried.append(graph)
        raise RuntimeError("no C++ compiler found\nand much more")

    run, x = compiled_or_eager(lambda x: x.cos() + 1, backend=backend), torch.randn(3)
    with pytest.warns(RuntimeWarning, match=r"torch.compile failed \(.*\); the network runs uncompiled"):
        torch.testing.assert_close(run(x), x.cos() + 1)
    torch.testing.assert_close(run(2 * x), (2 * x).cos() + 1)  # without another attempt, or a warning
    assert len(tried) == 1


def test_a_function_that_is_wrong_is_not_blamed_on_the_compiler():
    run = compiled_or_eager(lambda x: x @ x, backend="eager")
    with pytest.raises(RuntimeError):
        run(torch.randn(2, 3))


def test_a_copy_of_a_compiled_network_has_its_own_weights(monkeypatch):
    monkeypatch.setattr("hemlets_lib.fused_model.compiled_or_eager", lambda function, **_: function)
    fused = HEMletsNet(STRUCTURES["official"]).fuse(compiled=True)
    other, images = copy.deepcopy(fused), torch.randn(B, 3, 32, 32)
    expected = fused(images).heatmaps
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    assert torch.equal(fused(images).heatmaps, expected) and other(images).heatmaps.abs().max() == 0


# --- errors ---------------------------------------------------------------------------------------


def test_a_fused_network_says_what_it_cannot():
    fused = HEMletsNet(STRUCTURES["baseline"]).fuse()
    assert isinstance(fused, FusedNet) and fused.eval() is fused
    with pytest.raises(ValueError, match=r"is for inference: .*Train the network that it was made of"):
        fused.train()
    assert not fused.training
    with pytest.raises(ValueError, match="expected a network that is not fused yet"):
        fused.fuse()
    with pytest.raises(ValueError, match="`precision` must be one of float32, bfloat16, got 'half'"):
        HEMletsNet(STRUCTURES["baseline"]).fuse(precision="half")
    with pytest.raises(ValueError, match=r"`images` must be \(B, 3, 32, 32\) .*got \(1, 3, 8, 8\)"):
        fused(torch.zeros(1, 3, 8, 8))


def test_layers_that_cannot_be_merged():
    with pytest.raises(ValueError, match=r"`outer` must be a 1x1 convolution .*got kernel \(3, 3\)"):
        compose(nn.Conv2d(2, 3, 1), nn.Conv2d(3, 4, 3))
    with pytest.raises(ValueError, match="`outer` must read all 3 channels of `inner`, got 4"):
        compose(nn.Conv2d(2, 3, 1), nn.Conv2d(4, 4, 1))
    with pytest.raises(ValueError, match=r"`channels` must be between 1 and 4 .*got 5"):
        split_by_input(nn.Conv2d(5, 2, 1), 5)
    with pytest.raises(ValueError, match=r"agree in stride, got \(2, 2\) and \(1, 1\)"):
        join_transposed(nn.ConvTranspose2d(2, 3, 4, 2), nn.ConvTranspose2d(2, 3, 4, 1))
