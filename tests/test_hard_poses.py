"""Unusual poses: by hand, whatever their place and size, and no two alike."""

import math

import numpy as np
import pytest
import torch

from hemlets_lib.data.sample import Meta, make_sample
from hemlets_lib.geometry import Camera
from hemlets_lib.hard_poses import hardest_poses, judge, unusualness
from hemlets_lib.prediction import Prediction
from hemlets_lib.skeleton import HEMLETS18

EVERY = torch.ones(1, 3, dtype=torch.bool)
UPRIGHT = torch.tensor([[0.0, -3.0], [-1.0, 1.0], [1.0, 2.0]])  # a head and two feet, centre at the origin


def turned(degrees: float) -> torch.Tensor:
    angle = math.radians(degrees)
    turn = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return UPRIGHT @ turn.T


def test_upside_down_by_hand():
    """The median is the upright pose; each joint of the one on its head is twice its distance from there."""
    joints = torch.stack([UPRIGHT, UPRIGHT, turned(180), UPRIGHT, turned(20)])
    found = unusualness(joints, EVERY.expand(5, 3))
    rms = (UPRIGHT.square().sum() / 3).sqrt()
    expected = 2 * UPRIGHT.norm(dim=-1).mean() / rms
    small = 2 * math.sin(math.radians(10)) * UPRIGHT.norm(dim=-1).mean() / rms  # the chord of 20°
    torch.testing.assert_close(
        found, torch.stack([expected * 0, expected * 0, expected, expected * 0, small])
    )
    assert [index for index, _ in hardest_poses(joints, EVERY.expand(5, 3), 2)] == [2, 4]


def test_place_size_and_depth_do_not_matter():
    joints = torch.randn(6, 7, 3)
    valid = torch.rand(6, 7) < 0.8
    valid[:, :4] = True
    moved = torch.cat(
        [joints[..., :2] * torch.rand(6, 1, 1) * 9 + torch.randn(6, 1, 2), joints[..., 2:] ** 2], -1
    )
    torch.testing.assert_close(unusualness(moved, valid), unusualness(joints, valid), atol=1e-4, rtol=1e-4)


def test_unlabelled_joints_have_no_say():
    joints, valid = torch.randn(4, 5, 2), torch.ones(4, 5, dtype=torch.bool)
    valid[2, 3] = False
    changed = joints.clone()
    changed[2, 3] = torch.nan
    torch.testing.assert_close(unusualness(joints, valid), unusualness(changed, valid))


def test_no_two_alike_and_the_most_unusual_first():
    joints = torch.stack([UPRIGHT] * 5 + [turned(150), turned(152), turned(90), UPRIGHT * 3])
    chosen = hardest_poses(joints, EVERY.expand(9, 3), 9)
    assert [index for index, _ in chosen] == [6, 7, 0]
    values = [value for _, value in chosen]
    assert values == sorted(values, reverse=True) and values[-1] == 0


def test_too_few_labels_are_passed_over():
    joints, valid = torch.randn(3, 4, 2), torch.ones(3, 4, dtype=torch.bool)
    valid[1, 1:] = False
    assert unusualness(joints, valid).isnan().tolist() == [False, True, False]
    assert 1 not in [index for index, _ in hardest_poses(joints, valid, 3)]
    with pytest.raises(ValueError, match=r"half of their 4 joints labelled, got 3 and none of those"):
        hardest_poses(joints, torch.zeros(3, 4, dtype=torch.bool), 3)
    with pytest.raises(ValueError, match="`count` must be at least 1, got 0"):
        hardest_poses(joints, valid, 0)


# --- beside a prediction --------------------------------------------------------------------------


def labelled(*, in_3d: bool):
    joints_mm = torch.randn(18, 3) * 200 + torch.tensor([0.0, 0.0, 4000.0])
    camera = Camera(torch.tensor([800.0, 800.0]), torch.tensor([50.0, 50.0]))
    joints_px = camera.project(joints_mm)
    joints_px[3] = torch.nan
    place = {"box_centre_px": torch.tensor([50.0, 50.0]), "box_side_px": 100.0, "size": 40}
    space = {"joints_cam_mm": joints_mm, "camera": camera} if in_3d else {}
    picture = np.zeros((100, 100, 3), np.uint8)
    return make_sample(picture, **place, meta=Meta("test", sample_id="it"), joints_px=joints_px, **space)


def predicted(sample, off_crop: float, off_mm: float) -> Prediction:
    """All is shifted, in the crop to the right, in space (but the root) away from the camera; row 1."""
    pose_mm = torch.zeros(18, 3) if sample.joints_cam_mm is None else sample.joints_cam_mm
    crop = torch.stack([sample.joints_crop * 0, sample.joints_crop + torch.tensor([off_crop, 0, 0])])
    space = torch.stack([pose_mm * 0, pose_mm - pose_mm[:1]])
    space[1, 1:, 2] += off_mm
    return Prediction(crop, crop[..., :2], space, ("known",) * 2, torch.zeros(2, 2, 3), None, None, None)


def test_how_far_off_by_hand():
    sample = labelled(in_3d=True)
    pose = judge(sample, predicted(sample, 0.07, 34.0), 1, HEMLETS18, unusual=1.5)
    assert pose.name == "it" and pose.unusual == 1.5
    assert pose.off_percent == pytest.approx(7, abs=1e-3) and pose.error_mm == pytest.approx(
        16 / 17 * 34, abs=1e-3
    )
    assert pose.true_crop[3].isnan().all() and pose.true_crop[4].isfinite().all()
    torch.testing.assert_close(pose.true_mm[0], torch.zeros(3))


def test_without_3d_labels_there_are_no_millimetres():
    sample = labelled(in_3d=False)
    pose = judge(sample, predicted(sample, 0.02, 0.0), 1, HEMLETS18)
    assert pose.error_mm is None and pose.true_mm is None and math.isnan(pose.unusual)
    assert pose.off_percent == pytest.approx(2, abs=1e-3)
