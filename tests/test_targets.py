"""Targets made from joints: what is labelled is drawn, what is not is masked and has no gradient at all."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hemlets_lib import losses
from hemlets_lib.data.sample import Batch, Meta, Sample, collate, label_sample
from hemlets_lib.heatmaps import render_heatmaps
from hemlets_lib.losses import hemlets_loss
from hemlets_lib.model import PRESETS, HEMletsOutput, ModelConfig
from hemlets_lib.skeleton import HEMLETS18, Skeleton
from hemlets_lib.targets import make_targets, states_for
from hemlets_lib.triplets import UNKNOWN, encode_triplets, part_mask, part_states

CHAIN = Skeleton(
    name="chain3",
    joint_names=("hip", "knee", "ankle"),
    parent_names={"knee": "hip", "ankle": "knee"},
    part_names=(("hip", "knee"), ("knee", "ankle")),
)
CONFIG = ModelConfig("chain", "tiny", 32, 8, 5, skeleton=CHAIN, upsample_channels=8, encoder_channels=8)
FIVE = replace(CONFIG, variant="5s")
JOINTS_PX = torch.tensor([[10.0, 8.0], [16.0, 18.0], [20.0, 28.0]])
# The thigh rises 700 mm towards the camera over 300 mm across: more than 60°. The shank is level.
JOINTS_MM = torch.tensor([[0.0, 0.0, 4000.0], [0.0, 300.0, 3300.0], [30.0, 700.0, 3300.0]])


def sample(kind: str) -> Sample:
    labels = {
        "2d": {},
        "ordinal": {"states": torch.tensor([1, 0])},
        "3d": {"joints_cam_mm": JOINTS_MM},
    }[kind]
    return label_sample(
        np.zeros((32, 32, 3), np.uint8), affine=torch.eye(3)[:2], meta=Meta("test", sample_id=kind),
        skeleton=CHAIN, joints_px=JOINTS_PX, **labels,
    )  # fmt: skip


@pytest.fixture
def mixed() -> Batch:
    """One sample of each kind."""
    return collate([sample(kind) for kind in ("2d", "ordinal", "3d")])


def prediction(config: ModelConfig, batch: int = 3) -> HEMletsOutput:
    generator = torch.Generator().manual_seed(0)
    n, skeleton = config.heatmap_size, config.skeleton

    def draw(*shape: int) -> torch.Tensor:
        return (torch.rand(batch, *shape, generator=generator) - 0.5).requires_grad_()

    return HEMletsOutput(
        joints=draw(skeleton.num_joints, 3),
        triplets=draw(skeleton.num_parts, config.num_states, n, n),
        heatmaps=draw(skeleton.num_joints, n, n),
        volume=None,
    )


# --- golden -----------------------------------------------------------------------------------------


def test_maps_are_drawn_as_the_network_says(mixed):
    config = replace(CONFIG, sigma_scale=6.0, gaussian_norm="sum", overlap="sum")
    assert CONFIG.sigma == 0.25 and config.sigma == 1.5
    made = make_targets(mixed, config)
    options = {"size": 8, "sigma": 1.5, "norm": "sum"}
    states = states_for(mixed, CHAIN)
    expected = encode_triplets(mixed.joints_crop, states, skeleton=CHAIN, overlap="sum", **options)
    assert torch.equal(made.triplets, expected)
    assert torch.equal(made.heatmaps, render_heatmaps(mixed.joints_crop, **options))
    assert not torch.equal(make_targets(mixed, replace(config, overlap="maximum")).triplets, expected)


def test_masks_of_a_mixed_batch_by_hand(mixed):
    made = make_targets(mixed, CONFIG, sigma=1.0)
    assert made.joint_valid.tolist() == [[True] * 3] * 3
    assert made.has_depth.tolist() == [[False] * 3, [False] * 3, [True] * 3]
    assert made.part_mask.tolist() == [[False] * 2, [True] * 2, [True] * 2]
    assert states_for(mixed, CHAIN).tolist() == [[UNKNOWN] * 2, [1, 0], [1, 0]]
    # x = (10 + ½) / 32 - ½; the knee is 700 mm nearer than the root: -0.35.
    torch.testing.assert_close(made.joints[2, 1], torch.tensor([16.5 / 32 - 0.5, 18.5 / 32 - 0.5, -0.35]))
    # Of 8 cells of 4 pixels: the hip is in cell (2.125, 1.625), nearest to column 2 and row 2.
    assert made.heatmaps[0, 0].flatten().argmax().item() == 2 * 8 + 2
    assert not made.triplets[0].any()  # nobody labelled the order
    assert torch.equal(made.triplets[1], made.triplets[2])
    assert made.triplets[2, 0, 2].amax() > 0.5 and not made.triplets[2, 0, 0].any()  # child nearer: map +


def test_the_maps_are_those_of_the_encoders(mixed):
    config = replace(CONFIG, grid="corner_aligned", variant="2s")
    made = make_targets(mixed, config, sigma=0.7)
    options = {"size": 8, "sigma": 0.7, "grid": "corner_aligned"}
    expected = encode_triplets(
        mixed.joints_crop, mixed.part_states, skeleton=CHAIN, variant="2s", joint_valid=mixed.joint_valid,
        **options,
    )  # fmt: skip
    assert torch.equal(made.triplets, expected)
    assert torch.equal(made.heatmaps, render_heatmaps(mixed.joints_crop, **options))


def test_five_states_come_from_space_alone(mixed):
    """A label of 1 may be 1 or 2 there; of the parts labelled by order none is used, not even a 0."""
    assert states_for(mixed, CHAIN, variant="5s").tolist() == [[UNKNOWN] * 2, [UNKNOWN] * 2, [2, 0]]
    made = make_targets(mixed, FIVE, sigma=1.0)
    assert made.triplets.shape == (3, 2, 5, 8, 8)
    assert made.part_mask.tolist() == [[False] * 2, [False] * 2, [True] * 2]
    assert made.triplets[2, 0, 4].amax() > 0.5


@pytest.mark.parametrize("hidden", ["depth_valid", "part_states"])
def test_five_states_do_not_see_what_labels_hide(mixed, hidden):
    """A sample may keep its joints in space for evaluation while training is to know less."""
    values = getattr(mixed, hidden).clone()
    values[2, 1] = False if hidden == "depth_valid" else UNKNOWN
    states = states_for(replace(mixed, **{hidden: values}), CHAIN, variant="5s")
    assert states[2].tolist() == ([UNKNOWN, UNKNOWN] if hidden == "depth_valid" else [2, UNKNOWN])


def test_a_missing_joint_masks_its_parts(mixed):
    valid = mixed.joint_valid.clone()
    valid[2, 2] = False
    made = make_targets(replace(mixed, joint_valid=valid), CONFIG)
    assert made.part_mask[2].tolist() == [True, False]
    assert not made.heatmaps[2, 2].any()


def test_joints_outside_the_crop_count_unless_told(mixed):
    joints = mixed.joints_crop.clone()
    joints[:, 2, 0] = 0.55
    batch = replace(mixed, joints_crop=joints)
    by_default, inside = make_targets(batch, CONFIG), make_targets(batch, CONFIG, only_in_crop=True)
    assert by_default.joint_valid.all() and by_default.heatmaps[0, 2].any()
    assert inside.joint_valid.tolist() == [[True, True, False]] * 3
    assert not inside.heatmaps[:, 2].any()
    assert torch.equal(by_default.triplets, inside.triplets)


@pytest.mark.parametrize(
    ("supervision", "made"),
    [("full", (True, True)), ("hemlets", (True, False)), ("2d", (False, True)), ("none", (False, False))],
)
def test_only_what_the_loss_uses_is_made(mixed, supervision, made):
    result = make_targets(mixed, CONFIG, supervision=supervision)
    assert (result.triplets is not None, result.heatmaps is not None) == made
    terms = hemlets_loss(prediction(CONFIG), result, size=CONFIG.volume_size, supervision=supervision)
    assert terms.total.isfinite()


def test_a_model_without_the_branch_needs_joints_only(mixed):
    config = replace(CONFIG, intermediate=False)
    assert make_targets(mixed, config, supervision="none").triplets is None
    with pytest.raises(ValueError, match=r"supervision='full' needs an intermediate branch, which model"):
        make_targets(mixed, config)


# --- gradient -------------------------------------------------------------------------------------


@pytest.mark.parametrize("config", [CONFIG, FIVE], ids=["hemlets", "5s"])
def test_what_is_not_labelled_has_no_gradient(mixed, config):
    output = prediction(config)
    terms = hemlets_loss(output, make_targets(mixed, config), size=config.volume_size)
    terms.total.backward()
    depth = output.joints.grad[..., 2]
    assert not depth[:2].any()  # exactly zero: 2D-only, and ordinal
    assert (depth[2] != 0).all()
    assert (output.joints.grad[..., :2] != 0).all()
    used = output.triplets.grad.flatten(1).any(1).tolist()
    assert used == [False, config is CONFIG, True]
    assert output.heatmaps.grad.flatten(1).any(1).all()


def test_unknown_space_does_not_turn_the_loss_into_nan(mixed):
    """Joints in space are NaN for two of the three samples."""
    assert mixed.joints_cam_mm[:2].isnan().all()
    for config in (CONFIG, FIVE):
        made = make_targets(mixed, config)
        assert all(value.isfinite().all() for value in made)
        assert hemlets_loss(prediction(config), made, size=config.volume_size).total.isfinite()


# --- law and message --------------------------------------------------------------------------------


def test_presets_get_the_shapes_they_predict():
    config = PRESETS["nano"]
    joints_mm = torch.randn(HEMLETS18.num_joints, 3) * 300 + torch.tensor([0.0, 0.0, 4000.0])
    joints_px = torch.rand(HEMLETS18.num_joints, 2) * 96
    one = label_sample(
        np.zeros((96, 96, 3), np.uint8), affine=torch.eye(3)[:2], meta=Meta("test"), joints_px=joints_px,
        joints_cam_mm=joints_mm,
    )  # fmt: skip
    made = make_targets(collate([one, one]), config)
    assert made.triplets.shape == (2, 14, 3, 24, 24) and made.heatmaps.shape == (2, 18, 24, 24)
    assert isinstance(made, losses.Targets)
    assert torch.equal(
        made.part_mask[0], part_mask(part_states(joints_mm, HEMLETS18), one.joint_valid, HEMLETS18)
    )


def test_messages(mixed):
    with pytest.raises(ValueError, match=r"`supervision` must be one of 'full', .* got '3d'"):
        make_targets(mixed, CONFIG, supervision="3d")
    with pytest.raises(ValueError, match=r"`batch.joints_crop` must have 18 joints for skeleton 'hemlets18'"):
        make_targets(mixed, PRESETS["nano"])
    with pytest.raises(ValueError, match=r"must hold 2 parts for skeleton 'chain3', got 1. Make the samples"):
        make_targets(replace(mixed, part_states=mixed.part_states[:, :1]), CONFIG)
    with pytest.raises(ValueError, match="`variant` must be one of 'hemlets', '2s', '5s', got '4s'"):
        states_for(mixed, CHAIN, variant="4s")
