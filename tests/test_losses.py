"""Losses: small maps worked out by hand, exact zeros where masked, Table 4's choices, gradcheck."""

import math

import pytest
import torch

from hemlets_lib.losses import ALPHA, Targets, heatmap_loss, hem_loss, hemlets_loss, joint_loss
from hemlets_lib.model import HEMletsOutput

B, J, K, S, D, H, W = 2, 3, 2, 3, 5, 6, 7
SIZE = (D, H, W)
DOUBLE = torch.float64


def random_batch(seed: int = 0, dtype: torch.dtype = DOUBLE) -> tuple[HEMletsOutput, Targets]:
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> torch.Tensor:
        return torch.rand(shape, generator=generator, dtype=dtype) - 0.5

    output = HEMletsOutput(
        joints=draw(B, J, 3).requires_grad_(),
        triplets=draw(B, K, S, H, W).requires_grad_(),
        heatmaps=draw(B, J, H, W).requires_grad_(),
        volume=None,
    )
    targets = Targets(
        joints=draw(B, J, 3),
        joint_valid=torch.tensor([[True, True, False], [True, True, True]]),
        has_depth=torch.tensor([False, True]),
        triplets=draw(B, K, S, H, W),
        part_mask=torch.tensor([[True, False], [True, True]]),
        heatmaps=draw(B, J, H, W),
    )
    return output, targets


# --- golden ---------------------------------------------------------------------------------------


def test_hem_loss_by_hand():
    # One sample, two parts, three maps of 1 x 2 cells.
    target = torch.tensor(
        [
            [
                [[[0.0, 0.0]], [[1.0, 0.0]], [[0.0, 1.0]]],  # part 0: parent left, child right and nearer
                [[[0.0, 0.0]], [[1.0, 1.0]], [[0.0, 0.0]]],  # part 1: both in the zero map
            ]
        ]
    )
    predicted = torch.tensor(
        [
            [
                [[[0.5, 0.0]], [[1.0, 0.0]], [[0.0, 0.0]]],  # 0.25 + 0 + 1
                [[[0.0, 0.0]], [[0.0, 1.0]], [[0.0, 2.0]]],  # 0 + 1 + 4
            ]
        ],
        requires_grad=True,
    )
    loss = hem_loss(predicted, target)
    loss.backward()
    assert loss.item() == pytest.approx(6.25)
    # d/dT' = 2 (T' - T)
    expected = [[[[[1.0, 0.0]], [[0.0, 0.0]], [[0.0, -2.0]]], [[[0.0, 0.0]], [[-2.0, 0.0]], [[0.0, 4.0]]]]]
    assert predicted.grad.tolist() == expected

    assert hem_loss(predicted, target, mask=torch.tensor([[True, False]])).item() == pytest.approx(1.25)
    assert hem_loss(predicted, target, reduction="mean").item() == pytest.approx(6.25 / 12)


def test_heatmap_loss_by_hand_is_a_mean_over_the_batch():
    # Two samples, three joints, maps of 1 x 2 cells: 0.25 in sample 0; 1 + 4 in sample 1.
    target = torch.zeros(2, 3, 1, 2)
    predicted = torch.zeros(2, 3, 1, 2)
    predicted[0, 0, 0, 1] = 0.5
    predicted[1, 1, 0, 0] = 1.0
    predicted[1, 2, 0, 1] = -2.0
    predicted.requires_grad_()
    loss = heatmap_loss(predicted, target)
    loss.backward()
    assert loss.item() == pytest.approx((0.25 + 5.0) / 2)
    assert predicted.grad[1, 2].tolist() == [[0.0, -2.0]]  # 2 · (-2) / B
    valid = torch.tensor([[True, True, True], [True, True, False]])
    assert heatmap_loss(predicted, target, valid=valid).item() == pytest.approx((0.25 + 1.0) / 2)


def test_joint_loss_by_hand_in_cells():
    # Width 7, height 6, depth 5: the errors below are 1.4, 0.6 and 0.5 cells, and 0.7, 0 and 1.
    target = torch.zeros(1, 3, 3, dtype=DOUBLE)
    predicted = torch.tensor(
        [[[0.2, -0.1, 0.1], [0.0, 0.0, 0.0], [-0.1, 0.0, -0.2]]], dtype=DOUBLE, requires_grad=True
    )
    xy, z = joint_loss(predicted, target, size=SIZE)
    (xy + z).backward()
    assert xy.item() == pytest.approx(1.4 + 0.6 + 0.7)
    assert z.item() == pytest.approx(0.5 + 1.0)
    assert predicted.grad.tolist() == [[[7.0, -6.0, 5.0], [0.0, 0.0, 0.0], [-7.0, 0.0, -5.0]]]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, (2.7, 1.5)),
        ({"grid": "corner_aligned"}, (0.2 * 6 + 0.1 * 5 + 0.1 * 6, 0.1 * 4 + 0.2 * 4)),
        ({"unit": "crop"}, (0.4, 0.3)),
        ({"reduction": "mean"}, (0.9, 0.5)),
        ({"valid": torch.tensor([[True, True, False]])}, (2.0, 0.5)),
        ({"has_depth": torch.tensor([False])}, (2.7, 0.0)),
        ({"has_depth": torch.tensor([[False, True, True]])}, (2.7, 1.0)),
        # A joint that is not labelled has no depth either.
        (
            {"valid": torch.tensor([[True, True, False]]), "has_depth": torch.tensor([[False, True, True]])},
            (2.0, 0.0),
        ),
    ],
)
def test_joint_loss_options(options, expected):
    predicted = torch.tensor([[[0.2, -0.1, 0.1], [0.0, 0.0, 0.0], [-0.1, 0.0, -0.2]]], dtype=DOUBLE)
    xy, z = joint_loss(predicted, torch.zeros_like(predicted), size=SIZE, **options)
    assert (xy.item(), z.item()) == pytest.approx(expected)


def test_joint_loss_is_a_mean_over_all_samples_of_the_batch():
    predicted = torch.full((2, 1, 3), 0.1, dtype=DOUBLE)
    target = torch.zeros_like(predicted)
    xy, z = joint_loss(predicted, target, size=(10, 10, 10), has_depth=torch.tensor([True, False]))
    assert (xy.item(), z.item()) == pytest.approx((2.0, 0.5))  # the unlabelled sample is in the divisor


# --- laws -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("supervision", "hem", "heatmap"),
    [("full", True, True), ("hemlets", True, False), ("2d", False, True), ("none", False, False)],
)
def test_the_terms_sum_to_the_total(supervision, hem, heatmap):
    output, targets = random_batch()
    terms = hemlets_loss(output, targets, size=SIZE, supervision=supervision)
    assert (terms.hem.item() > 0) == hem
    assert (terms.heatmap.item() > 0) == heatmap
    assert terms.intermediate == terms.hem + terms.heatmap
    assert terms.joints == terms.xy + terms.z
    torch.testing.assert_close(terms.total, ALPHA * terms.intermediate + terms.joints)
    if hem:
        expected = hem_loss(output.triplets, targets.triplets, mask=targets.part_mask)
        torch.testing.assert_close(terms.hem, expected)
    if heatmap:
        expected = heatmap_loss(output.heatmaps, targets.heatmaps, valid=targets.joint_valid)
        torch.testing.assert_close(terms.heatmap, expected)


def test_alpha_is_the_papers_and_acts_linearly():
    assert ALPHA == 0.05
    output, targets = random_batch()
    totals = [hemlets_loss(output, targets, size=SIZE, alpha=alpha).total.item() for alpha in (0.0, 0.5, 1.0)]
    assert totals[1] - totals[0] == pytest.approx(totals[2] - totals[1])
    assert totals[0] == pytest.approx(hemlets_loss(output, targets, size=SIZE).joints.item())


def test_the_order_of_samples_does_not_matter():
    output, targets = random_batch()
    swapped = HEMletsOutput(*[None if field is None else field.flip(0) for field in output])
    turned = Targets(*[field.flip(0) for field in targets])
    for one, other in zip(
        hemlets_loss(output, targets, size=SIZE), hemlets_loss(swapped, turned, size=SIZE), strict=True
    ):
        torch.testing.assert_close(one, other)


def test_a_batch_is_the_mean_of_its_samples():
    output, targets = random_batch()
    singles = [
        hemlets_loss(
            HEMletsOutput(*[None if field is None else field[i : i + 1] for field in output]),
            Targets(*[field[i : i + 1] for field in targets]),
            size=SIZE,
        ).total
        for i in range(B)
    ]
    torch.testing.assert_close(hemlets_loss(output, targets, size=SIZE).total, torch.stack(singles).mean())


@pytest.mark.parametrize("poison", [math.nan, math.inf, -math.inf, 1e30])
def test_masked_labels_leave_no_trace(poison):
    """Whatever stands in a masked label, values and gradients are those of a zero there."""
    output, targets = random_batch(dtype=torch.float32)
    joints, triplets, heatmaps = targets.joints.clone(), targets.triplets.clone(), targets.heatmaps.clone()
    joints[0, :, 2] = poison  # sample 0 has no depth
    joints[0, 2] = poison  # its joint 2 has no label at all
    heatmaps[0, 2] = poison
    triplets[0, 1] = poison
    poisoned = targets._replace(joints=joints, triplets=triplets, heatmaps=heatmaps)

    leaves = [output.joints, output.triplets, output.heatmaps]
    clean = hemlets_loss(output, targets, size=SIZE)
    clean_gradients = torch.autograd.grad(clean.total, leaves)
    terms = hemlets_loss(output, poisoned, size=SIZE)
    gradients = torch.autograd.grad(terms.total, leaves)
    assert torch.equal(torch.stack(terms), torch.stack(clean))
    assert all(torch.equal(one, other) for one, other in zip(gradients, clean_gradients, strict=True))
    to_joints, to_triplets, to_heatmaps = gradients
    assert not to_joints[0, :, 2].any()
    assert not to_joints[0, 2].any()
    assert not to_triplets[0, 1].any()
    assert not to_heatmaps[0, 2].any()
    assert to_joints[0, :2, :2].all()  # while what is labelled does learn
    assert to_joints[1].all()


def test_a_prediction_gone_wrong_where_masked_leaves_no_trace_either():
    predicted = torch.zeros(1, 2, 1, 1, 2)
    predicted[0, 1] = math.nan
    predicted.requires_grad_()
    loss = hem_loss(predicted, torch.ones(1, 2, 1, 1, 2), mask=torch.tensor([[True, False]]))
    loss.backward()
    assert loss.item() == 2.0
    assert predicted.grad[0].tolist() == [[[[-2.0, -2.0]]], [[[0.0, 0.0]]]]


def test_where_it_counts_nan_shows():
    output, targets = random_batch()
    joints = targets.joints.clone()
    joints[1, 0, 0] = math.nan
    assert hemlets_loss(output, targets._replace(joints=joints), size=SIZE).total.isnan()


def test_without_masks_everything_counts():
    output, targets = random_batch()
    plain = targets._replace(joint_valid=None, part_mask=None, has_depth=None)
    full = targets._replace(
        joint_valid=torch.ones(B, J, dtype=torch.bool),
        part_mask=torch.ones(B, K, dtype=torch.bool),
        has_depth=torch.ones(B, dtype=torch.bool),
    )
    one, other = hemlets_loss(output, plain, size=SIZE), hemlets_loss(output, full, size=SIZE)
    assert torch.equal(torch.stack(one), torch.stack(other))


def test_half_precision_predictions_are_summed_in_float32():
    # 300 · 300 squares of 0.25: bfloat16 would stop counting at 256.
    predicted = torch.full((1, 1, 1, 300, 300), 0.5, dtype=torch.bfloat16)
    loss = hem_loss(predicted, torch.zeros(1, 1, 1, 300, 300))
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(22500)
    with torch.autocast("cpu", torch.bfloat16):
        output, targets = random_batch(dtype=torch.float32)
        assert hemlets_loss(output, targets, size=SIZE).total.dtype == torch.float32


def test_a_model_without_maps_trains_on_joints_alone():
    output, targets = random_batch()
    bare = HEMletsOutput(output.joints, None, None, None)
    alone = Targets(joints=targets.joints)
    terms = hemlets_loss(bare, alone, size=SIZE, supervision="none")
    assert terms.total == terms.joints
    assert terms.intermediate == 0


def test_compiles_into_one_graph():
    output, targets = random_batch()
    compiled = torch.compile(hemlets_loss, backend="eager", fullgraph=True)
    torch.testing.assert_close(
        torch.stack(compiled(output, targets, size=SIZE)),
        torch.stack(hemlets_loss(output, targets, size=SIZE)),
    )


# --- gradient -------------------------------------------------------------------------------------


def test_gradcheck_of_all_terms():
    output, targets = random_batch()

    def total(joints: torch.Tensor, triplets: torch.Tensor, heatmaps: torch.Tensor) -> torch.Tensor:
        return hemlets_loss(HEMletsOutput(joints, triplets, heatmaps, None), targets, size=SIZE).total

    assert torch.autograd.gradcheck(total, (output.joints, output.triplets, output.heatmaps))


# --- errors ---------------------------------------------------------------------------------------


def test_errors_say_what_is_wrong():
    output, targets = random_batch()
    bare = HEMletsOutput(output.joints, None, None, None)
    with pytest.raises(ValueError, match=r"supervision='full' needs `output.triplets`.*\"none\""):
        hemlets_loss(bare, targets, size=SIZE)
    with pytest.raises(ValueError, match=r"supervision='2d' needs `output.heatmaps`"):
        hemlets_loss(bare, targets, size=SIZE, supervision="2d")
    with pytest.raises(ValueError, match=r"needs `targets.triplets`, got None"):
        hemlets_loss(output, targets._replace(triplets=None), size=SIZE)
    with pytest.raises(ValueError, match=r"`supervision` must be one of 'full'.*got '3d'"):
        hemlets_loss(output, targets, size=SIZE, supervision="3d")
    with pytest.raises(ValueError, match=r"`unit` must be one of 'cells', 'crop', got 'mm'"):
        joint_loss(output.joints, targets.joints, size=SIZE, unit="mm")
    with pytest.raises(ValueError, match=r"`reduction` must be one of 'sum', 'mean', got 'max'"):
        heatmap_loss(output.heatmaps, targets.heatmaps, reduction="max")
    with pytest.raises(ValueError, match=r"`target` must have the shape of `predicted`, \(2, 2, 3, 6, 7\)"):
        hem_loss(output.triplets, targets.triplets[:, :1])
    with pytest.raises(
        ValueError, match=r"`mask` must be a boolean mask of shape \(2, 2\), got torch.float32"
    ):
        hem_loss(output.triplets, targets.triplets, mask=torch.ones(B, K))
    with pytest.raises(ValueError, match=r"`valid` must be a boolean mask of shape \(2, 3\)"):
        heatmap_loss(output.heatmaps, targets.heatmaps, valid=torch.ones(B, 1, dtype=torch.bool))
    with pytest.raises(ValueError, match=r"`has_depth` must be a boolean mask of shape \(2, 3\)"):
        joint_loss(output.joints, targets.joints, size=SIZE, has_depth=torch.ones(B + 1, dtype=torch.bool))
