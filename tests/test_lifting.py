"""Lifting: an arm by hand, the state's bounds, the scale, what cannot be reached, real motion."""

import math

import pytest
import torch

from hemlets_lib.geometry import Camera, cam_to_crop, crop_affine, root_relative
from hemlets_lib.lifting import lift
from hemlets_lib.metrics import mpjpe
from hemlets_lib.skeleton import HEMLETS18
from hemlets_lib.triplets import part_lengths, polarity


def test_lifting_an_arm_by_hand(skeleton3):
    # A 3-4-5 arm: 500 mm, seen as 400 mm, so 300 mm nearer; then 260 mm seen as 240, 100 farther,
    # which is inside state 0's band only if |Δz| <= 130: laid flat.
    joints_crop = torch.tensor([[[0.0, 0.0], [0.4, 0.0], [0.4, 0.24]]])
    pose = lift(
        joints_crop,
        torch.tensor([[1, 0]]),
        torch.tensor([500.0, 260.0]),
        skeleton=skeleton3,
        mm_per_crop=torch.tensor([1000.0]),
    )
    expected = torch.tensor([[[0.0, 0.0, 0.0], [400.0, 0.0, -300.0], [400.0, 240.0, -300.0]]])
    torch.testing.assert_close(pose.joints_root_rel_mm, expected)
    assert pose.valid.all()


def test_lifting_respects_the_state_bounds(skeleton3):
    # Seen at full length, yet said to be nearer: at least ε = L/2.
    joints_crop = torch.tensor([[[0.0, 0.0], [0.5, 0.0], [0.5, 0.0]]])
    pose = lift(
        joints_crop, torch.tensor([[1, -1]]), torch.tensor([500.0, 200.0]), skeleton=skeleton3,
        mm_per_crop=torch.tensor([1000.0]),
    )  # fmt: skip
    assert pose.joints_root_rel_mm[0, :, 2].tolist() == pytest.approx([0, -250, -50])  # then 200 back


def test_the_scale_is_found_when_all_parts_lie_flat():
    joints = torch.randn(2, 18, 3, dtype=torch.float64) * 200
    joints[..., 2] = 0
    lengths = torch.stack([(joints[:, c] - joints[:, p]).norm(dim=-1) for p, c in HEMLETS18.parts], -1)
    states = torch.zeros(2, 14, dtype=torch.long)
    pose = lift(joints[..., :2] / 1800, states, lengths, skeleton=HEMLETS18)
    # Every part at state 0 is expected to be seen at E[cos θ] = 3/π of its length.
    torch.testing.assert_close(pose.mm_per_crop, torch.full((2,), 1800 * 3 / math.pi, dtype=torch.float64))


def test_lifting_beats_laying_flat():
    camera = Camera(torch.tensor([1150.0, 1150.0]), torch.tensor([500.0, 500.0]))
    generator = torch.Generator().manual_seed(3)
    steps = torch.randn(64, 14, 3, generator=generator)
    lengths = torch.rand(64, 14, generator=generator) * 300 + 150
    steps = steps / steps.norm(dim=-1, keepdim=True) * lengths[..., None]
    joints = torch.einsum("jk,bkc->bjc", HEMLETS18.part_paths.float(), steps) + torch.tensor(
        [0.0, 0.0, 5000.0]
    )
    affine = crop_affine(torch.tensor([500.0, 500.0]), torch.tensor(500.0), 256)
    crop = cam_to_crop(joints, camera, affine, size=256, root=0)
    pose = lift(crop[..., :2], polarity(joints, HEMLETS18), lengths, skeleton=HEMLETS18)
    truth, valid = root_relative(joints, 0), pose.valid
    flat = pose.joints_root_rel_mm * torch.tensor([1.0, 1.0, 0.0])
    lifted_error = (pose.joints_root_rel_mm - truth).norm(dim=-1)[valid].mean()
    assert lifted_error < 0.7 * (flat - truth).norm(dim=-1)[valid].mean()


def test_lift_marks_what_it_cannot_reach():
    joints = torch.rand(1, 18, 2, dtype=torch.float64) * 0.8 - 0.4
    found = torch.ones(1, 18, dtype=torch.bool)
    found[0, HEMLETS18.index("left_shoulder")] = False
    pose = lift(
        joints, torch.zeros(1, 14, dtype=torch.long), torch.full((14,), 300.0).double(),
        skeleton=HEMLETS18, joint_found=found,
    )  # fmt: skip
    unreached = {HEMLETS18.joint_names[j] for j in (~pose.valid[0]).nonzero()[:, 0]}
    assert unreached == {"left_shoulder", "left_elbow", "left_wrist", "torso", "nose", "thorax"}
    assert pose.joints_root_rel_mm.isfinite().all()


def test_lifting_real_motion_beats_laying_it_flat(real_samples):
    """CMU takes before a camera four metres away: each is nearer the truth lifted than flat."""
    from hemlets_lib.data.mocap import read_mocap

    turned = torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, -1.0], [-1.0, 0.0, 0.0]])  # looks along -x, z up
    for path in sorted((real_samples / "cmu_mocap").glob("*.amc")):
        world = torch.from_numpy(read_mocap(path).joints_world_mm).float()[::10]
        centred = world - world[:, :1] * torch.tensor([1.0, 1.0, 0.0])
        camera = Camera(
            torch.tensor([1150.0, 1150.0]),
            torch.tensor([500.0, 500.0]),
            rotation=turned,
            position_mm=torch.tensor([4000.0, 0.0, 1000.0]),
        )
        joints = camera.world_to_cam(centred)
        affine = crop_affine(torch.tensor([500.0, 500.0]), torch.tensor(700.0), 256)
        crop = cam_to_crop(joints, camera, affine, size=256, root=0)
        pose = lift(
            crop[..., :2], polarity(joints, HEMLETS18), part_lengths(joints, HEMLETS18), skeleton=HEMLETS18
        )
        lifted = pose.joints_root_rel_mm
        flat = pose.flat_root_rel_mm
        lifted_mm, flat_mm = (
            mpjpe(predicted=p, target=joints, valid=pose.valid).mean() for p in (lifted, flat)
        )
        assert lifted_mm < 0.85 * flat_mm, path.name


def test_what_is_not_known_does_not_spread():
    """One NaN length or joint costs the joints beyond it and no others."""
    joints = torch.rand(1, 18, 2, dtype=torch.float64) * 0.8 - 0.4
    lengths = torch.full((1, 14), 300.0, dtype=torch.float64)
    whole = lift(joints, torch.ones(1, 14, dtype=torch.long), lengths, skeleton=HEMLETS18)
    upper_arm = HEMLETS18.part_names.index(("left_shoulder", "left_elbow"))
    gappy = lengths.clone()
    gappy[0, upper_arm] = torch.nan
    scale = whole.mm_per_crop
    states = torch.ones(1, 14, dtype=torch.long)
    pose = lift(joints, states, gappy, skeleton=HEMLETS18, mm_per_crop=scale)
    lost = {HEMLETS18.joint_names[j] for j in (whole.valid & ~pose.valid)[0].nonzero()[:, 0]}
    assert lost == {"left_elbow", "left_wrist"}
    torch.testing.assert_close(pose.joints_root_rel_mm[pose.valid], whole.joints_root_rel_mm[pose.valid])
    joints[0, HEMLETS18.index("right_ankle")] = torch.nan
    pose = lift(joints, states, lengths, skeleton=HEMLETS18)
    assert pose.joints_root_rel_mm.isfinite().all()
    assert pose.mm_per_crop.isfinite().all()
    lost = (whole.valid & ~pose.valid)[0].nonzero()[:, 0].tolist()
    assert lost == [HEMLETS18.index("right_ankle")]


def test_flat_keeps_the_plane_and_drops_the_depth(skeleton3):
    pose = lift(
        torch.tensor([[[0.0, 0.0], [0.4, 0.0], [0.4, 0.24]]]), torch.tensor([[1, -1]]),
        torch.tensor([500.0, 300.0]), skeleton=skeleton3,
    )  # fmt: skip
    assert pose.joints_root_rel_mm[..., 2].abs().max() > 0
    assert pose.flat_root_rel_mm[..., 2].abs().max() == 0
    assert torch.equal(pose.flat_root_rel_mm[..., :2], pose.joints_root_rel_mm[..., :2])


def test_half_precision_joints_are_lifted_in_full(skeleton3):
    joints = torch.tensor([[[0.0, 0.0], [0.4, 0.0], [0.4, 0.25]]], dtype=torch.float16)
    pose = lift(joints, torch.tensor([[1, 0]]), torch.tensor([500.0, 300.0]).half(), skeleton=skeleton3)
    assert pose.joints_root_rel_mm.dtype == torch.float32
    assert pose.joints_root_rel_mm.isfinite().all()
