"""Maps that are described: drawn and compared with as the readable forms draw and compare them."""

from dataclasses import replace

import pytest
import torch

from hemlets_lib.data.sample import Batch, Meta, Sample, collate
from hemlets_lib.heatmaps import gaussian_profiles, render_heatmaps
from hemlets_lib.kernels import map_loss
from hemlets_lib.kernels.map_loss import Drawing, can_compare, squared_errors
from hemlets_lib.losses import hem_loss, hemlets_loss
from hemlets_lib.model import PRESETS, HEMletsOutput
from hemlets_lib.skeleton import HEMLETS18
from hemlets_lib.targets import make_targets, shown_joints
from hemlets_lib.triplets import UNKNOWN, VARIANTS, encode_triplets, part_mask

COUNT, HEIGHT, WIDTH = 5, 9, 11
LAYOUTS = {"channels last": torch.channels_last, "contiguous": torch.contiguous_format}


def drawn_labels(variant: str = "hemlets") -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Joints, some outside and some NaN; states, some unknown; which joints are labelled."""
    generator = torch.Generator().manual_seed(0)
    joints = 1.2 * torch.rand(COUNT, 18, 3, generator=generator) - 0.6
    joints[1, 3] = torch.nan
    most = VARIANTS[variant].max_state
    states = torch.randint(-most, most + 1, (COUNT, 14), generator=generator)
    states[torch.rand(COUNT, 14, generator=generator) < 0.2] = UNKNOWN
    return joints, states, torch.rand(COUNT, 18, generator=generator) < 0.9


def described(variant: str, dtype: torch.dtype = torch.float32) -> tuple[Drawing, torch.Tensor, torch.Tensor]:
    """Triplets described, the same encoded, and which of them count."""
    joints, states, valid = drawn_labels(variant)
    joints = joints.to(dtype)
    size = (HEIGHT, WIDTH)
    along = gaussian_profiles(joints, size=size, valid=valid)
    finite = valid & joints.isfinite().all(-1)
    drawing = Drawing(*along, shown_joints(states, finite, HEMLETS18, variant=variant))
    encoded = encode_triplets(
        joints, states, skeleton=HEMLETS18, size=size, variant=variant, joint_valid=valid
    )
    return drawing, encoded, part_mask(states, finite, HEMLETS18)


def predictions(
    *maps: int, dtype: torch.dtype = torch.float32, layout: str = "channels last"
) -> tuple[torch.Tensor, torch.Tensor]:
    """What a network puts out, of which the maps are a slice, and that slice."""
    channels = torch.Size(maps).numel()
    generator = torch.Generator().manual_seed(1)
    whole = torch.randn(COUNT, channels + 7, HEIGHT, WIDTH, generator=generator).to(dtype)
    whole = whole.contiguous(memory_format=LAYOUTS[layout]).requires_grad_()
    return whole, whole[:, 4 : 4 + channels].unflatten(1, maps)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_described_triplets_are_drawn_as_they_are_encoded(variant, dtype):
    drawing, encoded, _ = described(variant, dtype)
    assert drawing.shape == encoded.shape
    assert torch.equal(drawing.draw(), encoded)


def test_torch_draws_what_the_compiled_function_draws(monkeypatch):
    drawing, encoded, _ = described("hemlets")
    monkeypatch.setattr(map_loss, "_compiled", lambda: None)
    assert torch.equal(drawing.draw(), encoded)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("variant", VARIANTS)
def test_loss_and_gradient_as_with_drawn_maps(variant, dtype, layout):
    drawing, encoded, mask = described(variant)
    found = []
    for target in (drawing, encoded):
        whole, part = predictions(14, VARIANTS[variant].num_maps, dtype=dtype, layout=layout)
        if target is drawing:
            assert can_compare(part, target) == (layout == "channels last")
        loss = hem_loss(part, target, mask=mask)
        (0.05 * loss).backward()
        found.append((loss.detach(), whole.grad))
    torch.testing.assert_close(found[0][0], found[1][0], rtol=1e-6, atol=0)
    assert torch.equal(found[0][1], found[1][1])  # bit by bit
    assert found[0][1].count_nonzero() > 0 and not found[0][1][:, :4].any()


def test_what_does_not_count_may_be_nan():
    drawing, _, mask = described("hemlets")
    _, part = predictions(14, 3)
    clean = hem_loss(part, drawing, mask=mask).detach()
    spoilt = torch.where(mask[..., None, None, None], part, torch.nan).detach()
    spoilt = spoilt.flatten(1, 2).contiguous(memory_format=torch.channels_last).requires_grad_()
    loss = hem_loss(spoilt.unflatten(1, (14, 3)), drawing, mask=mask)
    loss.backward()
    assert torch.equal(loss.detach(), clean)
    assert spoilt.grad.isfinite().all()
    counts = mask.repeat_interleave(3, 1)
    assert not spoilt.grad[~counts].any() and spoilt.grad[counts].any()


def test_the_number_of_threads_does_not_show(monkeypatch):
    drawing, _, mask = described("hemlets")
    monkeypatch.setattr(map_loss, "_CELLS_PER_THREAD", 1)
    found, threads = [], torch.get_num_threads()
    try:
        for count in (1, 3):
            torch.set_num_threads(count)
            whole, part = predictions(14, 3)
            errors = squared_errors(part, drawing, mask)
            errors.sum().backward()
            found.append((errors.detach(), whole.grad, drawing.draw()))
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(one, three) for one, three in zip(*found, strict=True))


def test_each_sample_has_its_own_factor_and_a_second_derivative():
    drawing, _, mask = described("hemlets")
    weights = torch.arange(1.0, COUNT + 1)
    gradients = []
    for again in (False, True):
        whole, part = predictions(14, 3)
        total = (weights * squared_errors(part, drawing, mask)).sum()
        gradients.append(torch.autograd.grad(total, whole, create_graph=again)[0])
    torch.testing.assert_close(*gradients)
    (second,) = torch.autograd.grad(gradients[1].sum(), whole)
    expected = 2 * weights[:, None] * mask.repeat_interleave(3, 1)
    torch.testing.assert_close(second[:, 4:46], expected[..., None, None].expand(-1, -1, HEIGHT, WIDTH))


@pytest.mark.parametrize("change", ["float64", "meta", "parameter"])
def test_the_readable_form_where_the_fast_one_does_not_apply(change):
    drawing, _, _ = described("hemlets")
    _, part = predictions(14, 3)
    assert can_compare(part, drawing)
    other = {
        "float64": part.double(), "meta": part.to("meta"),
        "parameter": torch.nn.Parameter(part.detach()),
    }[change]  # fmt: skip
    assert not can_compare(other, drawing)


# --- as a training step uses them -----------------------------------------------------------------


def batch_of(variant: str) -> Batch:
    joints, states, valid = drawn_labels(variant)
    joints = joints.nan_to_num()
    blank = torch.zeros(32, 32, 3, dtype=torch.uint8).numpy()
    return collate(
        [
            Sample(
                blank, joints[i], valid[i], valid[i], states[i], torch.eye(3)[:2], Meta("test"),
                joints_cam_mm=1000 * joints[i],
            )
            for i in range(COUNT)
        ]
    )  # fmt: skip


@pytest.mark.parametrize("preset", ["nano", "official"])
@pytest.mark.parametrize("options", [{}, {"variant": "5s"}, {"overlap": "sum"}, {"gaussian_norm": "sum"}])
@pytest.mark.parametrize("only_in_crop", [False, True])
def test_the_loss_of_described_targets(preset, options, only_in_crop):
    config = replace(PRESETS[preset], **options)
    batch, n, states = batch_of(config.variant), config.heatmap_size, config.num_states
    drawn, lazy = (
        make_targets(batch, config, only_in_crop=only_in_crop, draw=draw) for draw in (True, False)
    )
    assert isinstance(lazy.heatmaps, Drawing)
    assert isinstance(lazy.triplets, Drawing) == (config.overlap == "maximum")
    valid = batch.in_crop if only_in_crop else batch.joint_valid
    common = {"size": n, "sigma": config.sigma, "grid": config.grid, "norm": config.gaussian_norm}
    torch.testing.assert_close(drawn.heatmaps, render_heatmaps(batch.joints_crop, valid=valid, **common))

    found = []
    for targets in (drawn, lazy):
        generator = torch.Generator().manual_seed(2)
        maps = torch.randn(COUNT, 14 * states + 18, n, n, generator=generator)
        maps = maps.contiguous(memory_format=torch.channels_last).requires_grad_()
        triplets, heatmaps = maps.split([14 * states, 18], 1)
        output = HEMletsOutput(torch.zeros(COUNT, 18, 3), triplets.unflatten(1, (14, states)), heatmaps, None)
        terms = hemlets_loss(output, targets, size=config.volume_size, grid=config.grid)
        terms.total.backward()
        found.append((torch.stack(terms).detach(), maps.grad))
    torch.testing.assert_close(found[0][0], found[1][0], rtol=1e-6, atol=0)
    assert torch.equal(found[0][1], found[1][1])


def test_targets_are_made_without_a_look_at_the_numbers():
    """Tensors that have none, as on a GPU whose numbers nobody waits for: a branch on them would fail."""
    config = PRESETS["nano"]
    targets = make_targets(batch_of(config.variant).to("meta"), config)
    assert targets.triplets.shape == (COUNT, 14, 3, 24, 24)
    assert targets.heatmaps.shape == (COUNT, 18, 24, 24)
    lazy = make_targets(batch_of(config.variant).to("meta"), config, draw=False)
    assert hem_loss(torch.zeros(COUNT, 14, 3, 24, 24, device="meta"), lazy.triplets).shape == ()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_is_not_waited_for():
    config = PRESETS["nano"]
    there = batch_of(config.variant).to("cuda")
    expected = make_targets(batch_of(config.variant), config)
    make_targets(there, config)  # what stays on the device is copied there once
    torch.cuda.set_sync_debug_mode("error")
    try:
        targets = make_targets(there, config)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    torch.testing.assert_close(targets.triplets.cpu(), expected.triplets)
    torch.testing.assert_close(targets.heatmaps.cpu(), expected.heatmaps)


def test_messages():
    drawing, _, _ = described("hemlets")
    with pytest.raises(
        ValueError, match=r"`target` must have the shape of `predicted`, .*got \(5, 14, 3, 9, 11\)"
    ):
        hem_loss(torch.zeros(COUNT, 14, 3, 8, 8), drawing)
