"""Fewer labels: what is kept stays as it was, what is not is masked, and pictures do not change."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hemlets_lib.data.label_budget import LabelBudget
from hemlets_lib.data.samples import find_samples
from hemlets_lib.data.shards import ShardDataset
from hemlets_lib.skeleton import HEMLETS18, HEMLETS18_CHAIN
from hemlets_lib.triplets import UNKNOWN, polarity


@pytest.fixture(scope="module")
def shards():
    return ShardDataset(find_samples())


@pytest.mark.parametrize("otherwise", ["2d", "order"])
def test_one_in_three_keeps_its_depth(shards, otherwise):
    budget = LabelBudget(shards, depth_every=3, otherwise=otherwise, length=7)
    assert len(budget) == 7
    for index in range(7):
        kept, whole = budget[index], shards[index * len(shards) // 7]
        np.testing.assert_array_equal(kept.image, whole.image)
        assert torch.equal(kept.joints_crop[:, :2], whole.joints_crop[:, :2])
        assert torch.equal(kept.joint_valid, whole.joint_valid)
        if index % 3 == 0:
            assert torch.equal(kept.joints_crop, whole.joints_crop) and kept.joints_cam_mm is not None
            assert torch.equal(kept.part_states, whole.part_states)
        else:
            assert not kept.depth_valid.any() and kept.joints_cam_mm is None
            assert (kept.joints_crop[:, 2] == 0).all()
            expected = (
                whole.part_states if otherwise == "order" else torch.full_like(whole.part_states, UNKNOWN)
            )
            assert torch.equal(kept.part_states, expected)


def test_another_threshold_is_everybodys(shards):
    budget = LabelBudget(shards, depth_every=2, otherwise="order", epsilon_ratio=0.1)
    for index in range(6):
        expected = polarity(shards[index].joints_cam_mm, HEMLETS18, epsilon_ratio=0.1)
        assert torch.equal(budget[index].part_states, expected)
    assert any(not torch.equal(budget[n].part_states, shards[n].part_states) for n in range(6))


def test_who_labels_by_eye_errs(shards):
    budget = LabelBudget(shards, depth_every=2, otherwise="order", noise=0.5)
    changed = [(budget[n].part_states != shards[n].part_states).float().mean().item() for n in range(12)]
    assert max(changed[::2]) == 0  # 3D labels do not err
    assert 0.1 < np.mean(changed[1::2]) < 0.7
    again = LabelBudget(shards, depth_every=2, otherwise="order", noise=0.5)
    assert torch.equal(again[1].part_states, budget[1].part_states)


def test_pictures_with_3d_labels_may_come_as_often_as_the_others(shards):
    budget = LabelBudget(shards, depth_every=4, length=9, repeat=3)
    ids = [budget[n].meta.sample_id for n in range(len(budget))]
    assert ids[:9] == [LabelBudget(shards, length=9)[n].meta.sample_id for n in range(9)]
    assert ids[9:] == 2 * [ids[n] for n in (0, 4, 8)]
    assert all(budget[n].joints_cam_mm is not None for n in range(9, len(budget)))
    assert LabelBudget(shards, depth_every=4, length=9).config != budget.config


def test_some_of_them_lie_evenly_over_all(shards):
    budget = LabelBudget(shards, length=5)
    ids = [budget[n].meta.sample_id for n in range(5)]
    assert ids == [shards[n * len(shards) // 5].meta.sample_id for n in range(5)]


def test_what_determines_them(shards):
    one, other = (LabelBudget(shards, depth_every=n).config for n in (2, 3))
    assert LabelBudget(shards, depth_every=2, noise=0.1).config != one
    assert one != other and one.keys() == {*shards.config, "label_budget"}


def test_numbers_out_of_range(shards):
    with pytest.raises(ValueError, match="`depth_every` and `repeat` must be at least 1"):
        LabelBudget(shards, depth_every=0)
    with pytest.raises(
        ValueError, match=rf"`length` within 1 … {len(shards)}, got 1, 1 and {len(shards) + 1}"
    ):
        LabelBudget(shards, length=len(shards) + 1)
    with pytest.raises(ValueError, match="`otherwise` must be '2d' or 'order', got '3d'"):
        LabelBudget(shards, otherwise="3d")
    with pytest.raises(ValueError, match=r"`epsilon_ratio` must be within \[0, 1\) and `noise` 0 or more"):
        LabelBudget(shards, epsilon_ratio=1.0)
    with pytest.raises(ValueError, match=r"got 0.5 and -0.1"):
        LabelBudget(shards, noise=-0.1)
    with pytest.raises(IndexError, match="`index` must be within the 2 samples"):
        LabelBudget(shards, length=2)[2]


def test_other_parts_have_their_own_order(shards):
    budget = LabelBudget(shards, depth_every=2, otherwise="order", skeleton=HEMLETS18_CHAIN)
    for index in range(6):
        expected = polarity(shards[index].joints_cam_mm, HEMLETS18_CHAIN)
        assert torch.equal(budget[index].part_states, expected)
    assert any(not torch.equal(budget[n].part_states, shards[n].part_states) for n in range(6))
    assert budget.config != LabelBudget(shards, depth_every=2, otherwise="order").config


def test_the_order_of_other_parts_is_unknown_where_the_joints_are(shards):
    """As in pictures that were labelled by eye, for the usual parts."""

    class ByEye(ShardDataset):
        def __getitem__(self, index):
            return replace(super().__getitem__(index), joints_cam_mm=None)

    by_eye = ByEye(shards.root)
    states = LabelBudget(by_eye, otherwise="order", depth_every=2, skeleton=HEMLETS18_CHAIN)[1].part_states
    assert states.tolist() == [UNKNOWN] * 14
    usual = LabelBudget(by_eye, otherwise="order", depth_every=2)[1].part_states
    assert torch.equal(usual, shards[1].part_states)
