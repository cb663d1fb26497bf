"""The 15 actions: bodies stay bodies, feet stay planted, frames stand alone."""

from __future__ import annotations

import numpy as np
import pytest

from hemlets_lib.data.motion import ACTION_NAMES, perform
from hemlets_lib.data.motion.actions import ACTIONS, MORE_ACTIONS
from hemlets_lib.data.motion.body import LIMITS_DEG, SIDES, SUBJECTS
from hemlets_lib.data.motion.puppet import Puppet
from hemlets_lib.data.motion.signals import Signals, minimum_jerk
from hemlets_lib.skeleton import H36M17, HEMLETS18

J = {name: HEMLETS18.index(name) for name in HEMLETS18.joint_names}
NAMES = list(SUBJECTS)
FPS = 50.0
WALKS = ("Walking", "WalkDog", "WalkTogether")
ALL = (*ACTION_NAMES, *MORE_ACTIONS)


def take_of(action, seed=0, num_frames=500, **kwargs):
    return perform(action, SUBJECTS[NAMES[seed % 7]], num_frames=num_frames, seed=seed, **kwargs)


def bend(joints, *names):
    """The angle between two bones that meet, radians."""
    a, b, c = (joints[:, J[name]] for name in names)
    cos = ((b - a) * (c - b)).sum(-1) / np.linalg.norm(b - a, axis=-1) / np.linalg.norm(c - b, axis=-1)
    return np.arccos(np.clip(cos, -1, 1))


def test_actions_are_human36m_s_in_its_order():
    assert ACTION_NAMES == (
        "Directions", "Discussion", "Eating", "Greeting", "Phoning", "Posing", "Purchases", "Sitting",
        "SittingDown", "Smoking", "Photo", "Waiting", "Walking", "WalkDog", "WalkTogether",
    )  # fmt: skip


@pytest.mark.parametrize("action", ALL)
def test_bodies_stay_bodies(action):
    for seed in range(4):
        take = take_of(action, seed)
        joints = take.joints_world_mm
        subject = SUBJECTS[take.subject]
        assert joints.shape == (500, 18, 3) and joints.dtype == np.float64 and np.isfinite(joints).all()
        assert (take.fps, take.action) == (FPS, action)
        for parent, child in H36M17.bones:
            assert np.ptp(np.linalg.norm(joints[:, parent] - joints[:, child], axis=-1)) < 0.1
        shoulders = (joints[:, J["left_shoulder"]] + joints[:, J["right_shoulder"]]) / 2
        np.testing.assert_array_equal(joints[:, J["thorax"]], shoulders)
        # Smooth: no joint above 5 m/s (a runner's foot: 7 m/s), none that jumps.
        faster = 1.4 if action == "Jog" else 1.0
        step = np.linalg.norm(np.diff(joints, axis=0), axis=-1)
        assert step.max() < faster * 100.0
        assert np.linalg.norm(np.diff(joints, 2, axis=0), axis=-1).max() < faster * 60.0
        # On the floor and in view.
        assert joints[..., 2].min() > 0.0
        assert np.abs(joints[:, J["pelvis"], :2]).max() < (
            1500.0 if action in (*WALKS, "Phoning", "Jog") else 1000.0
        )
        assert joints[..., 2].max() < subject.height_mm + subject.arm_mm
        for side in SIDES:
            assert bend(joints, f"{side}_hip", f"{side}_knee", f"{side}_ankle").max() < np.radians(158.1)
            assert bend(joints, f"{side}_shoulder", f"{side}_elbow", f"{side}_wrist").max() < np.radians(
                150.1
            )


@pytest.mark.parametrize("action", ALL)
def test_joint_limits_hold_and_are_seldom_needed(action):
    for seed in range(3):
        puppet = Puppet(SUBJECTS[NAMES[seed]], 300)
        (ACTIONS | MORE_ACTIONS)[action](puppet, Signals(np.random.default_rng(seed), np.arange(300) / 10))
        for name, (low, high) in LIMITS_DEG.items():
            angle = np.degrees(puppet.angles[name])
            assert angle.min() >= low - 1e-6 and angle.max() <= high + 1e-6, name
            assert np.mean((angle < low + 1e-6) | (angle > high - 1e-6)) < 0.25, name


@pytest.mark.parametrize("action", ALL)
def test_knees_bend_backwards(action):
    """The knee lies in front of the line from hip to ankle, as the thigh's own frame has it."""
    take = take_of(action, 2, 200, start_s=3.0)
    joints = take.joints_world_mm
    for side in SIDES:
        hip, knee, ankle = (joints[:, J[f"{side}_{name}"]] for name in ("hip", "knee", "ankle"))
        along = (ankle - hip) / np.linalg.norm(ankle - hip, axis=-1, keepdims=True)
        out = (knee - hip) - ((knee - hip) * along).sum(-1, keepdims=True) * along
        across = joints[:, J["left_hip"]] - joints[:, J["right_hip"]]
        ahead = np.cross(across, joints[:, J["torso"]] - joints[:, J["pelvis"]])  # forward of the pelvis
        up = joints[:, J["torso"]] - joints[:, J["pelvis"]]
        outward = SIDES[side] * across
        toward = sum(v / np.linalg.norm(v, axis=-1, keepdims=True) for v in (ahead, 0.8 * up, 0.8 * outward))
        bent = np.linalg.norm(out, axis=-1) > 40.0
        assert ((out * toward).sum(-1)[bent] > 0).all()


@pytest.mark.parametrize("action", ALL)
def test_a_frame_does_not_depend_on_its_company(action):
    whole = take_of(action, 5, 100)
    alone = take_of(action, 5, 1, start_s=50 / FPS)
    np.testing.assert_allclose(alone.joints_world_mm[0], whole.joints_world_mm[50], atol=1e-6)
    assert len(alone.props) == len(whole.props)
    for one, other in zip(alone.props, whole.props, strict=True):
        np.testing.assert_array_equal(one.centre_mm, other.centre_mm)


@pytest.mark.parametrize("action", ALL)
def test_seeds_decide(action):
    first, again, other = (take_of(action, seed, 3).joints_world_mm for seed in (7, 7, 14))  # both S1
    np.testing.assert_array_equal(first, again)
    rooted = first - first[:, :1], other - other[:, :1]
    assert np.linalg.norm(rooted[0] - rooted[1], axis=-1).mean() > 20.0


def test_a_seed_may_be_a_key_and_subjects_move_unalike():
    keyed = perform("Posing", SUBJECTS["S1"], num_frames=1, seed=(3, 5)).joints_world_mm
    assert not np.allclose(
        keyed, perform("Posing", SUBJECTS["S1"], num_frames=1, seed=(5, 3)).joints_world_mm
    )
    takes = [perform("Posing", SUBJECTS[name], num_frames=1, seed=0).joints_world_mm for name in ("S1", "S9")]
    angles = [bend(joints, "neck", "left_shoulder", "left_elbow") for joints in takes]
    assert abs(angles[0] - angles[1]) > 1e-3


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("action", WALKS)
def test_planted_feet_do_not_slide(action, seed):
    take = take_of(action, seed, 300)
    ankle_mm = SUBJECTS[take.subject].ankle_mm
    for side in SIDES:
        foot = take.joints_world_mm[:, J[f"{side}_ankle"]]
        planted = foot[:, 2] < ankle_mm + 6.0
        both = planted[1:] & planted[:-1]
        assert 0.25 < planted.mean() < 0.75
        assert np.linalg.norm(np.diff(foot[:, :2], axis=0), axis=-1)[both].max() < 15.0
        assert foot[:, 2].min() > ankle_mm - 10.0
    # One foot at least carries the body, and the body gets on.
    feet = np.minimum(*(take.joints_world_mm[:, J[f"{side}_ankle"], 2] for side in SIDES))
    assert feet.max() < ankle_mm + 60.0
    assert np.linalg.norm(np.diff(take.joints_world_mm[:, 0, :2], axis=0), axis=-1).mean() * FPS > 400.0


@pytest.mark.parametrize("seed", range(5))
def test_who_jogs_leaves_the_floor_and_does_not_slide(seed):
    take = take_of("Jog", seed, 300)
    ankle_mm = SUBJECTS[take.subject].ankle_mm
    feet = np.stack([take.joints_world_mm[:, J[f"{side}_ankle"]] for side in SIDES], axis=1)
    planted = feet[..., 2] < ankle_mm + 6.0
    both = planted[1:] & planted[:-1]
    assert np.linalg.norm(np.diff(feet[..., :2], axis=0), axis=-1)[both].max() < 15.0
    assert 0.2 < planted.mean() < 0.5
    assert 0.1 < (feet[..., 2].min(1) > ankle_mm + 20.0).mean() < 0.4
    assert np.linalg.norm(np.diff(take.joints_world_mm[:, 0, :2], axis=0), axis=-1).mean() * FPS > 1300.0
    elbows = [
        bend(take.joints_world_mm, f"{side}_shoulder", f"{side}_elbow", f"{side}_wrist") for side in SIDES
    ]
    assert np.median(elbows) > np.radians(50.0)


def test_walkers_look_where_they_go():
    take = take_of("Walking", 3, 200)
    joints = take.joints_world_mm
    ahead = np.gradient(joints[:, 0, :2], axis=0)
    across = joints[:, J["left_hip"], :2] - joints[:, J["right_hip"], :2]
    facing = np.stack([across[:, 1], -across[:, 0]], axis=-1)
    cos = (ahead * facing).sum(-1) / np.linalg.norm(ahead, axis=-1) / np.linalg.norm(facing, axis=-1)
    assert cos.min() > 0.8
    face = joints[:, J["nose"], :2] - (joints[:, J["head"], :2] + joints[:, J["neck"], :2]) / 2
    assert ((face * facing).sum(-1) > 0).all()


def test_who_sits_is_on_the_seat():
    for seed in range(7):
        take = take_of("Sitting", seed, 100)
        seat = take.props[0]
        top = seat.centre_mm[2] + seat.half_size_mm[2]
        pelvis = take.joints_world_mm[:, 0]
        assert np.abs(pelvis[:, 2] - top - 92.0).max() < 15.0
        local = (pelvis - seat.centre_mm) @ seat.rotation
        assert (np.abs(local[:, :2]) < seat.half_size_mm[:2]).all()
        legs = [prop for prop in take.props if prop.half_size_mm[0] < 20.0 and prop.centre_mm[2] < top]
        assert len(legs) >= 4
        assert min(prop.centre_mm[2] - prop.half_size_mm[2] for prop in take.props) == pytest.approx(
            0.0, abs=1e-6
        )


def test_who_sits_down_reaches_the_floor_and_gets_up():
    heights = [take_of("SittingDown", seed, 60, fps=1.0).joints_world_mm[:, 0, 2] for seed in range(8)]
    heights = np.concatenate(heights)
    assert np.mean(heights < 300.0) > 0.5
    assert heights.max() > 800.0


@pytest.mark.parametrize(
    ("action", "place_mm"), [("Phoning", 215.0), ("Photo", 260.0), ("Smoking", 230.0), ("Eating", 230.0)]
)
def test_hands_come_to_the_head_when_the_action_says_so(action, place_mm):
    nearest = []
    for seed in range(10):
        joints = take_of(action, seed, 60, fps=2.0).joints_world_mm
        apart = [
            np.linalg.norm(joints[:, J[f"{side}_wrist"]] - joints[:, J["nose"]], axis=-1) for side in SIDES
        ]
        nearest.append(np.minimum(*apart))
    often = np.mean(np.concatenate(nearest) < place_mm)
    assert often > (0.95 if action == "Phoning" else 0.25)


def test_every_heading_occurs():
    joints = np.concatenate([take_of("Waiting", seed, 1).joints_world_mm for seed in range(60)])
    across = joints[:, J["left_hip"]] - joints[:, J["right_hip"]]
    quadrant = np.floor(np.arctan2(across[:, 1], across[:, 0]) / (np.pi / 2)).astype(int)
    assert np.bincount(quadrant + 2, minlength=4).min() > 5


def test_parts_come_in_every_polarity():
    """As in real motion: limbs point to the camera, away from it and across, from any side."""
    rng = np.random.default_rng(0)
    joints = np.concatenate(
        [take_of(a, seed, 4, fps=0.3).joints_world_mm for a in ACTION_NAMES for seed in range(8)]
    )
    yaw = rng.uniform(0, 2 * np.pi, len(joints))
    view = np.stack([np.cos(yaw), np.sin(yaw), np.full(len(yaw), -0.17)], axis=-1)
    depth = (joints * view[:, None]).sum(-1)
    parents, children = HEMLETS18.part_parents, HEMLETS18.part_children
    length = np.linalg.norm(joints[:, parents] - joints[:, children], axis=-1)
    ahead = (depth[:, parents] - depth[:, children]) / length
    limbs = [k for k, (parent, _) in enumerate(HEMLETS18.part_names) if parent not in ("pelvis", "neck")]
    assert ((ahead[:, limbs] > 0.5).mean(0) > 0.02).all()
    assert ((ahead[:, limbs] < -0.5).mean(0) > 0.02).all()


def test_minimum_jerk_golden():
    np.testing.assert_allclose(
        minimum_jerk(np.array([-1, 0, 0.25, 0.5, 1, 2])), [0, 0, 0.103515625, 0.5, 1, 1]
    )


def test_schedules_pass_through_their_keys():
    signals = Signals(np.random.default_rng(0), np.linspace(0, 40, 4001))
    schedule = signals.schedule(3.0, 1.2)
    keys = signals.keys(-1, 1)
    values = schedule.blend(keys)
    assert np.abs(np.diff(values)).max() < 0.05  # continuous where segments meet
    resting = schedule.linear >= 1
    np.testing.assert_array_equal(values[resting], keys[schedule.now[resting]])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"action": "Jogging"}, r"`action` must be one of Directions, .*got 'Jogging'"),
        ({"num_frames": 0}, r"`num_frames` must be a whole number of 1 or more, got 0"),
        ({"num_frames": 2.5}, r"`num_frames` must be a whole number of 1 or more, got 2\.5"),
        ({"fps": 0.0}, r"`fps` must be a positive number of frames per second, got 0\.0"),
        ({"start_s": -1.0}, r"`start_s` must be a finite moment of 0 s or later, got -1\.0"),
    ],
)
def test_wrong_requests_are_explained(changes, message):
    request = {"action": "Walking", "num_frames": 2, "fps": FPS, "seed": 0, "start_s": 0.0} | changes
    with pytest.raises(ValueError, match=message):
        perform(request.pop("action"), SUBJECTS["S1"], **request)
