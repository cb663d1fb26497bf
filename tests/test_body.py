"""Subjects, joint limits, forward and inverse kinematics."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from hemlets_lib.data.motion.body import LIMITS_DEG, SIDES, SUBJECTS, forward_kinematics, reach_limb, rotation
from hemlets_lib.data.synthetic import SPLITS
from hemlets_lib.skeleton import H36M17, HEMLETS18

S1 = SUBJECTS["S1"]
UPRIGHT = np.eye(3)[None]
J = {name: HEMLETS18.index(name) for name in HEMLETS18.joint_names}


def stand(angles, subject=S1, frames=1):
    pelvis = np.zeros((frames, 3))
    return forward_kinematics(subject, pelvis, np.broadcast_to(np.eye(3), (frames, 3, 3)), angles)


def test_subjects_are_human36m_s():
    assert list(SUBJECTS) == ["S1", "S5", "S6", "S7", "S8", "S9", "S11"]
    assert all(name == subject.name for name, subject in SUBJECTS.items())
    heights = [subject.height_mm for subject in SUBJECTS.values()]
    assert 1500 < min(heights) < 1560 and 1780 < max(heights) < 1900
    assert len({subject.appearance for subject in SUBJECTS.values()}) == 7


def colour_gap(one, other, fields=("top", "bottoms")):
    """The largest difference of any channel, in grey levels."""
    return max(np.abs(np.subtract(getattr(one, field), getattr(other, field))).max() for field in fields)


@pytest.mark.parametrize(("one", "other"), list(combinations(SUBJECTS, 2)))
def test_no_two_subjects_look_alike(one, other):
    first, second = (SUBJECTS[name].appearance for name in (one, other))
    differing_cut = max(abs(first.sleeve - second.sleeve), abs(first.trouser_length - second.trouser_length))
    # S1 and S6 (both for training) wear similar colours, but one of them on bare arms and legs.
    in_other_clothes = differing_cut > 0.5 and colour_gap(first, second, ("skin", "hair")) > 60
    assert colour_gap(first, second) > 60 or in_other_clothes


@pytest.mark.parametrize("test", SPLITS["test"])
@pytest.mark.parametrize("train", SPLITS["train"])
def test_the_looks_of_the_test_subjects_are_not_in_training(train, test):
    assert colour_gap(SUBJECTS[train].appearance, SUBJECTS[test].appearance) > 60


def test_golden_s1_standing():
    joints = stand({})[0]
    expected = {
        "pelvis": (0, 0, 0),
        "right_hip": (0, -133, 0),
        "left_hip": (0, 133, 0),
        "left_knee": (0, 133, -443),
        "right_ankle": (0, -133, -897),
        "torso": (0, 0, 233),
        "neck": (0, 0, 490),
        "left_shoulder": (0, 151 * np.cos(np.radians(18)), 490 - 151 * np.sin(np.radians(18))),
        "nose": (121 * np.sin(np.radians(35)), 0, 490 + 121 * np.cos(np.radians(35))),
    }
    for name, place in expected.items():
        np.testing.assert_allclose(joints[J[name]], place, atol=1e-9, err_msg=name)
    wrist = joints[J["left_shoulder"]] - [0, 0, 279 + 252]
    np.testing.assert_allclose(joints[J["left_wrist"]], wrist, atol=1e-9)


@pytest.mark.parametrize(
    ("angle", "joint", "axis", "sign"),
    [
        ("right_hip_flexion", "right_knee", 0, 1),  # forward
        ("left_hip_abduction", "left_knee", 1, 1),  # to its own side
        ("right_hip_abduction", "right_knee", 1, -1),
        ("left_knee_flexion", "left_ankle", 0, -1),  # knees bend backwards,
        ("left_elbow_flexion", "left_wrist", 0, 1),  # elbows forwards
        ("right_shoulder_flexion", "right_elbow", 0, 1),
        ("right_shoulder_abduction", "right_wrist", 1, -1),
        ("lumbar_flexion", "head", 0, 1),
        ("thoracic_bend", "head", 1, 1),  # to the left
        ("thoracic_twist", "left_shoulder", 0, -1),  # turning left takes the left shoulder back
        ("head_flexion", "head", 0, 1),
        ("left_collar_elevation", "left_wrist", 2, 1),
        ("left_collar_protraction", "left_shoulder", 0, 1),
    ],
)
def test_each_angle_moves_its_joint_the_right_way(angle, joint, axis, sign):
    moved = stand({angle: np.array([0.3])})[0] - stand({})[0]
    assert sign * moved[J[joint], axis] > 10


def test_bones_keep_their_length_and_thorax_is_the_mean_of_the_shoulders():
    rng = np.random.default_rng(3)
    angles = {name: np.radians(rng.uniform(*limits, 50)) for name, limits in LIMITS_DEG.items()}
    joints = stand(angles, SUBJECTS["S11"], 50)
    lengths = np.stack([np.linalg.norm(joints[:, a] - joints[:, b], axis=-1) for a, b in H36M17.bones], -1)
    assert np.ptp(lengths, axis=0).max() < 1e-6
    shoulders = (joints[:, J["left_shoulder"]] + joints[:, J["right_shoulder"]]) / 2
    np.testing.assert_array_equal(joints[:, J["thorax"]], shoulders)


def test_angles_are_clipped_to_their_limits():
    beyond = stand({"left_knee_flexion": np.array([-0.5]), "neck_flexion": np.array([3.0])})
    limit = np.radians(LIMITS_DEG["neck_flexion"][1])
    np.testing.assert_allclose(beyond, stand({"neck_flexion": np.array([limit])}))  # no knee bends forward


@pytest.mark.parametrize("limb", ["leg", "arm"])
@pytest.mark.parametrize("side", list(SIDES))
def test_inverse_kinematics_reaches_its_target(limb, side):
    rng = np.random.default_rng([len(limb), len(side)])
    joint, end = {"leg": ("hip", "ankle"), "arm": ("shoulder", "wrist")}[limb]
    start = stand({}, S1, 40)[:, J[f"{side}_{joint}"]]
    length = S1.leg_mm if limb == "leg" else S1.arm_mm
    way = np.stack(
        [rng.uniform(0.1, 0.8, 40), SIDES[side] * rng.uniform(-0.1, 0.5, 40), -rng.uniform(0.5, 1, 40)], -1
    )
    way /= np.linalg.norm(way, axis=-1, keepdims=True)
    target = start + way * rng.uniform(0.5, 0.94, (40, 1)) * length
    pole = np.array([[1.0, 0.2 * SIDES[side], 0.3]]) * (1 if limb == "leg" else -1)
    frames = np.broadcast_to(np.eye(3), (40, 3, 3))
    pole = np.broadcast_to(pole, (40, 3))
    angles = reach_limb(S1, limb, side, start_mm=start, target_mm=target, pole=pole, frame=frames)
    reached = stand(angles, S1, 40)[:, J[f"{side}_{end}"]]
    np.testing.assert_allclose(reached, target, atol=0.02 * length if limb == "arm" else 1.0)
    hinge = angles[f"{side}_{'knee' if limb == 'leg' else 'elbow'}_flexion"]
    assert (hinge > 0).all()


def test_a_target_out_of_reach_stretches_the_limb_towards_it():
    start = stand({})[:, J["left_hip"]]
    target = start + np.array([[0.0, 0.0, -2000.0]])
    pole = np.array([[1.0, 0.0, 0.0]])
    angles = reach_limb(S1, "leg", "left", start_mm=start, target_mm=target, pole=pole, frame=UPRIGHT)
    foot = stand(angles)[0, J["left_ankle"]]
    assert 0.998 * S1.leg_mm < start[0, 2] - foot[2] <= S1.leg_mm


def test_kinematics_turn_with_the_pelvis():
    angles = {"left_elbow_flexion": np.array([1.0]), "lumbar_twist": np.array([0.2])}
    turn = rotation("z", 0.7) @ rotation("x", 0.2)
    offset = np.array([[10.0, 20.0, 30.0]])
    turned = forward_kinematics(S1, offset, turn[None], angles)
    np.testing.assert_allclose(turned, stand(angles) @ turn.T + offset, atol=1e-9)


def test_unknown_angle_is_named():
    with pytest.raises(ValueError, match=r"degrees of freedom listed in LIMITS_DEG, got \['knee_flexion'\]"):
        stand({"knee_flexion": np.array([0.1])})
