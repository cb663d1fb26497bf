"""Metrics: poses worked out by hand, SciPy's Procrustes, what each metric must not notice."""

import math

import numpy as np
import pytest
import scipy.linalg
import scipy.spatial
import torch

from hemlets_lib.metrics import (
    AUC_THRESHOLDS_MM,
    MPI_INF_3DHP_JOINTS,
    action_table,
    auc_3d,
    joint_errors,
    mpjpe,
    pa_mpjpe,
    pck_3d,
    pckh,
    polarity_accuracy,
)
from hemlets_lib.skeleton import HEMLETS18
from hemlets_lib.triplets import UNKNOWN


def random_poses(count: int = 4, joints: int = 18, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Poses of a person's size some metres away, and noisy predictions of them."""
    rng = np.random.default_rng(seed)
    target = rng.normal(0, 400, (count, joints, 3)) + rng.normal(0, 200, (count, 1, 3)) + [0, 0, 4000]
    return torch.tensor(target + rng.normal(0, 60, target.shape)), torch.tensor(target)


def random_rotation(seed: int) -> torch.Tensor:
    orthogonal = scipy.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0]
    return torch.tensor(orthogonal * np.linalg.det(orthogonal))


# Three joints. After laying joint 0 on joint 0 the errors are 0, |(3, 4, 0)| = 5 and |(0, 0, 12)| = 12.
BY_HAND = {
    "target": torch.tensor([[[0.0, 0.0, 1000.0], [100.0, 0.0, 1000.0], [0.0, 200.0, 1000.0]]]),
    "predicted": torch.tensor([[[10.0, 0.0, 900.0], [113.0, 4.0, 900.0], [10.0, 200.0, 912.0]]]),
}


# --- golden ---------------------------------------------------------------------------------------


def test_joint_errors_by_hand():
    torch.testing.assert_close(joint_errors(**BY_HAND), torch.tensor([[0.0, 5.0, 12.0]], dtype=torch.float64))
    # Where they are, joint 0 is off by |(10, 0, -100)|.
    unaligned = joint_errors(**BY_HAND, root=None)
    assert unaligned[0, 0].item() == pytest.approx(math.hypot(10, 100))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, 17 / 3),
        ({"valid": torch.tensor([[True, True, False]])}, 5 / 2),
        ({"joints": [1, 2]}, 17 / 2),
        ({"joints": [2]}, 12.0),
        ({"joints": 2}, 5 / 2),
        ({"joints": None}, 17 / 3),
        ({"root": 1}, (5 + 0 + math.sqrt(3**2 + 4**2 + 12**2)) / 3),
    ],
)
def test_mpjpe_by_hand(options, expected):
    assert mpjpe(**BY_HAND, **options).tolist() == pytest.approx([expected])


def test_the_eighteenth_joint_does_not_count():
    predicted, target = random_poses()
    moved = predicted.clone()
    moved[:, 17] += 1e6
    for metric in (mpjpe, pa_mpjpe, pck_3d, auc_3d):
        assert torch.equal(metric(predicted=moved, target=target), metric(predicted=predicted, target=target))
    assert (mpjpe(predicted=moved, target=target, joints=None) > 1e4).all()


def pose_with_errors(*errors_mm: float) -> dict[str, torch.Tensor]:
    """A root and one more joint per error, off by that much along z."""
    target = torch.zeros(1, len(errors_mm) + 1, 3, dtype=torch.float64)
    predicted = target.clone()
    predicted[0, 1:, 2] = torch.tensor(errors_mm)
    return {"predicted": predicted, "target": target, "joints": range(1, len(errors_mm) + 1)}


def test_pck_is_strict():
    assert pck_3d(**pose_with_errors(149.0, 150.0, 151.0, 10.0)).tolist() == [50.0]
    assert pck_3d(**pose_with_errors(149.0, 150.0, 151.0, 10.0), threshold_mm=150.5).tolist() == [75.0]


def test_auc_by_hand():
    assert len(AUC_THRESHOLDS_MM) == 31
    # 0 mm passes all but the threshold 0; 72 mm passes 75, 80, … 150; 150 mm passes none.
    assert auc_3d(**pose_with_errors(0.0)).item() == pytest.approx(100 * 30 / 31)
    assert auc_3d(**pose_with_errors(72.0)).item() == pytest.approx(100 * 16 / 31)
    assert auc_3d(**pose_with_errors(0.0, 72.0, 150.0)).item() == pytest.approx(100 * (30 + 16 + 0) / 93)


def test_auc_is_the_mean_of_pck_over_its_thresholds():
    predicted, target = random_poses(count=5)
    curve = [pck_3d(predicted=predicted, target=target, threshold_mm=t) for t in AUC_THRESHOLDS_MM]
    torch.testing.assert_close(auc_3d(predicted=predicted, target=target), torch.stack(curve).mean(0))


def test_mpi_inf_3dhp_scores_fourteen_joints():
    left_out = set(HEMLETS18.joint_names) - {HEMLETS18.joint_names[i] for i in MPI_INF_3DHP_JOINTS}
    assert len(MPI_INF_3DHP_JOINTS) == 14
    assert left_out == {"pelvis", "torso", "nose", "thorax"}


def test_pckh_by_hand():
    # Head of 20 px: 10 px still pass, 10.1 do not.
    target = torch.zeros(2, 3, 2)
    predicted = torch.tensor([[[6.0, 8.0], [0.0, 10.1], [0.0, 0.0]]] * 2)
    head_size = torch.tensor([20.0, 40.0])
    scores = pckh(predicted=predicted, target=target, head_size=head_size)
    assert scores.tolist() == pytest.approx([200 / 3, 100.0])
    valid = torch.tensor([[False, True, True], [True, True, True]])
    scores = pckh(predicted=predicted, target=target, head_size=head_size, valid=valid)
    assert scores.tolist() == pytest.approx([50.0, 100.0])


def test_polarity_accuracy_by_hand():
    target = torch.tensor([[1, 0, UNKNOWN], [1, -1, UNKNOWN], [0, -1, UNKNOWN]])
    predicted = torch.tensor([[1, 0, 0], [1, 1, 0], [1, UNKNOWN, 0]])
    accuracy = polarity_accuracy(predicted=predicted, target=target)
    assert accuracy.overall == pytest.approx(100 * 3 / 6)
    assert accuracy.per_part[:2].tolist() == pytest.approx([200 / 3, 100 / 3])
    assert accuracy.per_part[2].isnan()  # nobody labelled this part
    mask = torch.tensor([[True, True, True], [True, False, True], [False, False, True]])
    accuracy = polarity_accuracy(predicted=predicted, target=target, mask=mask)
    assert accuracy.overall == 100.0
    assert accuracy.per_part[:2].tolist() == [100.0, 100.0]


def test_action_table_by_hand():
    errors = torch.tensor([10.0, 20.0, 60.0, math.nan])
    table = action_table(errors, ["Walking", "Walking", "Sitting", "Sitting"])
    assert table.means == {"Walking": 15.0, "Sitting": 60.0}
    assert table.counts == {"Walking": 2, "Sitting": 1}
    assert table.mean_of_actions == 37.5
    assert table.mean_of_frames == 30.0


def test_action_table_as_markdown():
    errors = torch.tensor([10.0, 20.0, 60.0])
    table = action_table(errors, ["Walking", "Walking", "Sitting"], order=["Sitting", "Photo", "Walking"])
    assert table.counts["Photo"] == 0
    assert table.mean_of_actions == 37.5  # of the actions there are
    assert table.to_markdown(row="nano") == (
        "|  | Sitting | Photo | Walking | Mean of actions | Mean of frames |\n"
        "| --- | ---: | ---: | ---: | ---: | ---: |\n"
        "| nano | 60.0 | – | 15.0 | 37.5 | 30.0 |"
    )
    assert list(table.to_dict()) == ["Sitting", "Photo", "Walking", "Mean of actions", "Mean of frames"]


# --- against SciPy --------------------------------------------------------------------------------


@pytest.mark.parametrize("with_scale", [True, False])
def test_pa_mpjpe_against_orthogonal_procrustes(with_scale):
    predicted, target = random_poses(count=6, joints=17)
    expected = []
    for moving, fixed in zip(predicted.numpy(), target.numpy(), strict=True):
        a, b = moving - moving.mean(0), fixed - fixed.mean(0)
        rotation, singular_sum = scipy.linalg.orthogonal_procrustes(a, b)
        assert np.linalg.det(rotation) > 0  # these poses are close enough that no mirror image fits better
        scale = singular_sum / (a**2).sum() if with_scale else 1.0
        expected.append(np.linalg.norm(scale * a @ rotation - b, axis=-1).mean())
    actual = pa_mpjpe(predicted=predicted, target=target, with_scale=with_scale)
    np.testing.assert_allclose(actual, expected, rtol=1e-9)


def test_the_alignment_behind_pa_mpjpe_has_scipys_disparity():
    predicted, target = random_poses(count=1, joints=17)
    _, _, disparity = scipy.spatial.procrustes(target[0].numpy(), predicted[0].numpy())
    from hemlets_lib.geometry import procrustes

    residual = (procrustes(predicted, target) - target).square().sum()
    spread = (target - target.mean(1, keepdim=True)).square().sum()
    assert (residual / spread).item() == pytest.approx(disparity, rel=1e-9)


def test_aligning_a_mirror_image_agrees_with_a_rotation_found_by_search():
    """Independent of any SVD: the best proper rotation of a mirrored pose, by SciPy's optimiser."""
    import scipy.optimize
    from scipy.spatial.transform import Rotation

    _, target = random_poses(count=1, joints=17)
    fixed = target[0].numpy() - target[0].numpy().mean(0)
    moving = fixed * [-1, 1, 1]

    def misfit(vector: np.ndarray) -> float:
        turned = moving @ Rotation.from_rotvec(vector).as_matrix().T
        scale = max((turned * fixed).sum() / (turned**2).sum(), 0)
        return ((scale * turned - fixed) ** 2).sum()

    starts = np.random.default_rng(0).normal(0, 1.5, (12, 3))
    best = min((scipy.optimize.minimize(misfit, start) for start in starts), key=lambda found: found.fun)
    turned = moving @ Rotation.from_rotvec(best.x).as_matrix().T
    scale = (turned * fixed).sum() / (turned**2).sum()
    expected = np.linalg.norm(scale * turned - fixed, axis=-1).mean()
    mirrored = target * torch.tensor([-1.0, 1.0, 1.0])
    actual = pa_mpjpe(predicted=mirrored, target=target).item()
    assert actual == pytest.approx(expected, rel=1e-4)
    assert actual > 100  # a mirror image is a wrong pose, and stays one


# --- laws -----------------------------------------------------------------------------------------


def test_a_perfect_prediction():
    _, target = random_poses()
    assert mpjpe(predicted=target, target=target).tolist() == [0.0] * 4
    assert pa_mpjpe(predicted=target, target=target).max() < 1e-9
    assert pck_3d(predicted=target, target=target).tolist() == [100.0] * 4


def test_mpjpe_ignores_where_the_person_stands():
    predicted, target = random_poses()
    shifted = predicted + torch.tensor([100.0, -50.0, 2000.0])
    torch.testing.assert_close(
        mpjpe(predicted=shifted, target=target), mpjpe(predicted=predicted, target=target)
    )


def test_pa_mpjpe_is_unchanged_by_a_similarity_of_the_prediction():
    predicted, target = random_poses()
    expected = pa_mpjpe(predicted=predicted, target=target)
    for seed in range(5):
        moved = 0.3 * (seed + 1) * predicted @ random_rotation(seed).mT + 500.0 * seed
        torch.testing.assert_close(pa_mpjpe(predicted=moved, target=target), expected)
    rigid = predicted @ random_rotation(9).mT + 100.0
    torch.testing.assert_close(
        pa_mpjpe(predicted=rigid, target=target, with_scale=False),
        pa_mpjpe(predicted=predicted, target=target, with_scale=False),
    )


def test_which_pose_is_aligned_matters():
    predicted, target = random_poses()
    forwards = pa_mpjpe(predicted=0.5 * predicted, target=target)
    backwards = pa_mpjpe(predicted=target, target=0.5 * predicted)
    assert (forwards > 1.5 * backwards).all()


def test_only_joints_that_count_take_part_in_the_alignment():
    predicted, target = random_poses(joints=17)
    valid = torch.ones(4, 17, dtype=torch.bool)
    valid[:, 3] = valid[2, 7] = False
    wild = predicted.clone()
    wild[~valid] = 1e7
    torch.testing.assert_close(
        pa_mpjpe(predicted=wild, target=target, valid=valid),
        pa_mpjpe(predicted=predicted, target=target, valid=valid),
    )
    others = [joint for joint in range(17) if joint != 3]
    torch.testing.assert_close(
        pa_mpjpe(predicted=predicted, target=target, valid=valid)[0],
        pa_mpjpe(predicted=predicted[:, others], target=target[:, others], joints=None)[0],
    )


@pytest.mark.parametrize("metric", [mpjpe, pa_mpjpe, pck_3d, auc_3d])
def test_missing_labels_may_hold_anything(metric):
    predicted, target = random_poses()
    valid = torch.ones(4, 18, dtype=torch.bool)
    valid[1, 5] = valid[2] = False
    expected = metric(predicted=predicted, target=target, valid=valid)
    target = target.masked_fill(~valid[..., None], math.nan)
    actual = metric(predicted=predicted, target=target, valid=valid)
    torch.testing.assert_close(actual, expected, equal_nan=True)
    assert actual.isnan().tolist() == [False, False, True, False]  # nothing is labelled in sample 2


def test_without_a_root_there_is_no_root_alignment():
    predicted, target = random_poses(count=2)
    valid = torch.ones(2, 18, dtype=torch.bool)
    valid[0, 0] = False
    assert mpjpe(predicted=predicted, target=target, valid=valid).isnan().tolist() == [True, False]
    assert not mpjpe(predicted=predicted, target=target, valid=valid, root=None).isnan().any()
    assert not pa_mpjpe(predicted=predicted, target=target, valid=valid).isnan().any()


def test_samples_are_scored_one_by_one():
    predicted, target = random_poses(count=3)
    for metric in (mpjpe, pa_mpjpe, pck_3d, auc_3d):
        together = metric(predicted=predicted, target=target)
        alone = [metric(predicted=predicted[i : i + 1], target=target[i : i + 1])[0] for i in range(3)]
        torch.testing.assert_close(together, torch.stack(alone))


def test_a_collapsed_prediction_is_scored_from_the_centroid():
    _, target = random_poses(count=2, joints=17)
    collapsed = torch.full_like(target, 1234.567)
    expected = (target - target.mean(1, keepdim=True)).norm(dim=-1).mean(-1)
    torch.testing.assert_close(pa_mpjpe(predicted=collapsed, target=target), expected)
    assert pa_mpjpe(predicted=target, target=collapsed).max() < 1e-6  # scaled down to a point


def test_inputs_of_any_float_type_are_left_as_they_are():
    predicted, target = (pose.float().requires_grad_() for pose in random_poses())
    before = predicted.detach().clone()
    error = mpjpe(predicted=predicted, target=target)
    assert error.dtype == torch.float64
    assert not error.requires_grad
    assert torch.equal(predicted, before)


# --- errors ---------------------------------------------------------------------------------------


def test_errors_say_what_is_wrong():
    predicted, target = random_poses()
    with pytest.raises(TypeError, match="positional"):
        mpjpe(predicted, target)
    with pytest.raises(ValueError, match=r"`predicted` must have the shape of the target, \(4, 18, 3\), got"):
        mpjpe(predicted=predicted[:, :17], target=target)
    with pytest.raises(ValueError, match=r"`target` must be \(B, J, 2 or 3\), got \(18, 3\)"):
        mpjpe(predicted=predicted[0], target=target[0])
    with pytest.raises(ValueError, match=r"`valid` must have the shape of the target, \(4, 18\)"):
        mpjpe(predicted=predicted, target=target, valid=torch.ones(4, 17, dtype=torch.bool))
    with pytest.raises(ValueError, match=r"`joints` must lie in 0 … 17 for poses of 18 joints, got \[18\]"):
        mpjpe(predicted=predicted, target=target, joints=[0, 18])
    predicted[2, 4, 1] = math.nan
    with pytest.raises(ValueError, match=r"`predicted` must be finite.*for sample 2, joint 4.*`valid`"):
        pck_3d(predicted=predicted, target=target)
    with pytest.raises(ValueError, match=r"`predicted` must have the shape of the target, \(2, 3\)"):
        polarity_accuracy(
            predicted=torch.zeros(2, 2, dtype=torch.long), target=torch.zeros(2, 3, dtype=torch.long)
        )
    with pytest.raises(ValueError, match=r"`actions` must name each of \(3,\) samples, got 2 names"):
        action_table(torch.zeros(3), ["Walking", "Sitting"])
    with pytest.raises(ValueError, match=r"`actions` must be among Walking, got Sitting"):
        action_table(torch.zeros(2), ["Walking", "Sitting"], order=["Walking"])


# --- many poses -----------------------------------------------------------------------------------


@pytest.mark.parametrize("labelled", ["all", "some"])
def test_many_poses_are_aligned_as_single_ones(labelled):
    """Many take turns in pieces and another way to the rotation; see `geometry.procrustes`."""
    predicted, target = random_poses(count=4500)
    generator = torch.Generator().manual_seed(0)
    valid = None if labelled == "all" else torch.rand(4500, 18, generator=generator) < 0.9
    together = pa_mpjpe(predicted=predicted, target=target, valid=valid)
    for some in (slice(0, 200), slice(4090, 4100), slice(4490, 4500)):
        few = {"predicted": predicted[some], "target": target[some]}
        single = pa_mpjpe(**few, valid=None if valid is None else valid[some])
        torch.testing.assert_close(together[some], single, rtol=1e-9, atol=0)


def test_no_poses_have_no_errors():
    assert pa_mpjpe(predicted=torch.zeros(0, 18, 3), target=torch.zeros(0, 18, 3)).shape == (0,)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_poses_on_a_gpu_are_scored_there():
    predicted, target = random_poses(count=600)
    for metric in (mpjpe, pa_mpjpe, pck_3d, auc_3d):
        there = metric(predicted=predicted.cuda(), target=target.cuda())
        assert there.is_cuda
        here = metric(predicted=predicted, target=target)
        torch.testing.assert_close(there.cpu(), here, rtol=1e-9, atol=0)
        # One of the two elsewhere: on the CPU.
        torch.testing.assert_close(metric(predicted=predicted.cuda(), target=target), here)
