"""The ambiguity explorer: its numbers against a list of all poses, its drawn poses, its orders."""

from __future__ import annotations

import pytest
import torch

from hemlets_lib.ambiguity import count_poses, poses_of_signs, remaining_signs
from hemlets_lib.data.samples import load_samples
from hemlets_lib.explorers.ambiguity import (
    ORDERS,
    RULES,
    OneView,
    ambiguity_explorer,
    bounds_of,
    curve_of,
    drawn_signs,
)
from hemlets_lib.metrics import mpjpe
from hemlets_lib.skeleton import HEMLETS18
from hemlets_lib.triplets import UNKNOWN, part_lengths, polarity

ENDS = sorted({joint for part in HEMLETS18.parts for joint in part})


@pytest.fixture(scope="module")
def samples():
    return [load_samples()[number] for number in (6, 26)]


@pytest.fixture(scope="module")
def view(samples) -> OneView:
    return OneView.of(samples[1].joints_cam_mm, HEMLETS18)


def test_the_true_pose_is_one_of_them(view):
    pose = poses_of_signs(view.true_mm, view.steps_mm, view.signs, HEMLETS18)
    torch.testing.assert_close(pose[ENDS], view.true_mm[ENDS], rtol=0, atol=1e-3)
    for rule in RULES:
        for number in range(15):
            allowed = view.allowed(range(number), bounds_of(rule, 0.5))
            assert all(sign in places for sign, places in zip(view.signs.tolist(), allowed, strict=True))


def test_labels_are_the_polarities(view):
    torch.testing.assert_close(
        view.states(range(14), bounds_of("HEMlets", 0.5)), polarity(view.true_mm, HEMLETS18)
    )
    states = view.states([2, 5], (0.0,))
    assert (states == UNKNOWN).sum() == 12
    assert states[[2, 5]].tolist() == polarity(view.true_mm, HEMLETS18, epsilon_ratio=0)[[2, 5]].tolist()


@pytest.mark.parametrize("rule", RULES)
def test_a_curve_counts_and_measures_all_poses(view, rule):
    bounds = bounds_of(rule, 0.4)
    curve = curve_of(view, bounds, ORDERS[1])
    assert sorted(curve.order) == list(range(14)) and curve.poses[0] == 2**14
    for number in (0, 4, 14):
        signs = remaining_signs(view.allowed(curve.order[:number], bounds))
        poses = poses_of_signs(view.true_mm, view.steps_mm, signs, HEMLETS18)
        errors = mpjpe(predicted=poses, target=view.true_mm.expand_as(poses).nan_to_num(), joints=ENDS)
        assert curve.poses[number] == len(signs)
        assert curve.errors_mm[number] == pytest.approx(float(errors.mean()), abs=1e-3)
    halvings = [before / after for before, after in zip(curve.poses, curve.poses[1:], strict=False)]
    assert set(halvings) <= {1, 2}


def test_every_sign_labelled_leaves_the_true_pose_alone(view):
    end = curve_of(view, bounds_of("ordinal", 0.5), ORDERS[0])
    assert end.order == tuple(range(14)) and end.poses[-1] == 1 and end.errors_mm[-1] == 0
    held = curve_of(view, bounds_of("HEMlets", 0.5), ORDERS[0])
    zeros = int((polarity(view.true_mm, HEMLETS18) == 0).sum())
    assert held.poses[-1] == 2**zeros and held.errors_mm[-1] > 0


def test_the_most_telling_first_is_never_behind_at_the_first_label(view):
    telling, tree = (curve_of(view, (0.5,), order) for order in reversed(ORDERS))
    alone = [view.mean_error_mm(view.allowed([part], (0.5,))) for part in range(14)]
    assert telling.errors_mm[1] == pytest.approx(min(alone)) and telling.errors_mm[1] <= tree.errors_mm[1]
    assert telling.poses[-1] == tree.poses[-1]


def test_a_smaller_epsilon_leaves_fewer_poses(view):
    left = [curve_of(view, bounds_of("HEMlets", epsilon), ORDERS[0]).poses[-1] for epsilon in (0.0, 0.3, 0.8)]
    assert left == sorted(left) and left[0] == 1 and left[-1] > left[1]


@pytest.mark.parametrize("labelled", [0, 6, 14])
def test_drawn_poses_have_lengths_projection_and_labels(view, labelled):
    bounds = bounds_of("HEMlets", 0.5)
    allowed = view.allowed(range(labelled), bounds)
    signs = drawn_signs(view, allowed)
    poses = poses_of_signs(view.true_mm, view.steps_mm, signs, HEMLETS18)
    torch.testing.assert_close(part_lengths(poses, HEMLETS18), view.lengths_mm.expand(len(poses), -1))
    assert (poses[:, ENDS, :2] == view.true_mm[ENDS, :2]).all()
    states, theirs = view.states(range(labelled), bounds), polarity(poses, HEMLETS18)
    assert (theirs[:, :labelled] == states[:labelled]).all()
    if count_poses(allowed) > len(signs):
        assert len(signs.unique(dim=0)) > 0.8 * len(signs)


def test_where_few_remain_all_are_drawn(view):
    bounds = bounds_of("ordinal", 0.5)
    allowed = view.allowed(range(10), bounds)
    assert len(drawn_signs(view, allowed).unique(dim=0)) == count_poses(allowed) == 16


def test_the_readout_says_the_count(samples):
    explorer = ambiguity_explorer(samples)
    said = dict(explorer.scene(labelled=0.0).readout)
    assert said["poses that remain"].startswith("16\u202f384 of 16\u202f384")
    said = dict(explorer.scene(labelled=14.0, rule="ordinal").readout)
    assert said["poses that remain"] == "1 of 16\u202f384; 1 of them drawn" and said["next"] == "none is left"
    assert said["mean error of one at random"] == "0 mm"


def test_all_poses_of_all_samples_are_within_the_axes(samples):
    explorer = ambiguity_explorer(samples)
    for name in explorer.controls[0].values:
        space = explorer.scene(sample=name).panels[1]
        for mark in space.marks:
            for axis, (low, high) in enumerate((space.x, space.y, space.z)):
                points = torch.as_tensor(mark.points)[:, axis]
                assert points[points.isfinite()].min() > low and points[points.isfinite()].max() < high
