"""Poses beyond the actions: within the limits of a body, on the floor, and the way up they should be."""

import numpy as np
import pytest
import torch

from hemlets_lib.data.motion import SUBJECTS
from hemlets_lib.data.motion.acrobatics import ACROBATICS, hold
from hemlets_lib.data.motion.body import LIMITS_DEG
from hemlets_lib.data.synthetic import samples_from_take
from hemlets_lib.skeleton import HEMLETS18

EVERY = pytest.mark.parametrize("name", ACROBATICS)


def height(take, joint: str) -> float:
    return float(take.joints_world_mm[0, HEMLETS18.index(joint), 2])


@EVERY
def test_bones_keep_their_lengths_and_the_floor_is_below(name):
    take, upright = hold(name, SUBJECTS["S9"]), hold("plank", SUBJECTS["S9"])
    assert take.joints_world_mm.shape == (1, 18, 3) and take.action == name and take.subject == "S9"
    assert take.joints_world_mm[0, :, 2].min() == pytest.approx(75)
    bones = [bone for bone in HEMLETS18.bones if "thorax" not in (HEMLETS18.joint_names[j] for j in bone)]
    parents, children = zip(*bones, strict=True)
    lengths = [
        np.linalg.norm(pose.joints_world_mm[0, children] - pose.joints_world_mm[0, parents], axis=-1)
        for pose in (take, upright)
    ]
    np.testing.assert_allclose(lengths[0], lengths[1], atol=1e-6)


@EVERY
def test_no_angle_is_beyond_a_healthy_adults(name):
    """Clipping would hold another pose than the one written down."""
    for dof, angle in ACROBATICS[name].items():
        if dof in ("pitch", "roll"):
            continue
        names = [dof] if dof in LIMITS_DEG else [f"{side}_{dof}" for side in ("left", "right")]
        assert all(LIMITS_DEG[each][0] <= angle <= LIMITS_DEG[each][1] for each in names), dof


def test_which_way_up():
    for name in ("handstand", "straddled handstand"):
        take = hold(name, SUBJECTS["S11"])
        assert (
            height(take, "left_wrist")
            < height(take, "head")
            < height(take, "pelvis")
            < height(take, "left_ankle")
        )
    assert height(hold("bridge", SUBJECTS["S11"]), "pelvis") > height(hold("bridge", SUBJECTS["S11"]), "head")
    kick = hold("high kick", SUBJECTS["S11"])
    assert height(kick, "left_ankle") > height(kick, "pelvis") > height(kick, "right_ankle")


def test_facing_turns_the_body_about_the_vertical():
    """By 90°: what pointed forward, +x, points to +y."""
    ahead, aside = (hold("lunge", SUBJECTS["S1"], facing_deg=turn).joints_world_mm[0] for turn in (0, 90))
    np.testing.assert_allclose(aside, np.stack([-ahead[:, 1], ahead[:, 0], ahead[:, 2]], -1), atol=1e-6)


def test_they_can_be_drawn():
    (sample,) = samples_from_take(hold("cartwheel", SUBJECTS["S1"]), cameras=("54138969",), size=64)
    assert sample.in_crop.all() and torch.isfinite(sample.joints_cam_mm).all()


def test_an_unknown_pose():
    with pytest.raises(ValueError, match=r"must be one of handstand, .* got 'flying'"):
        hold("flying", SUBJECTS["S1"])
