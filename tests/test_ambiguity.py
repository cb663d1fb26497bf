"""Poses that share a view: an arm by hand, brute force, lengths, projection and states of all of them."""

import itertools
import math

import pytest
import torch

from hemlets_lib.ambiguity import (
    count_poses,
    depth_steps_mm,
    mean_depth_errors_mm,
    poses_of_signs,
    remaining_signs,
    signs_allowed,
    states_of_signs,
)
from hemlets_lib.skeleton import HEMLETS18
from hemlets_lib.triplets import UNKNOWN, VARIANTS, part_lengths, part_states, polarity

VARIANT_NAMES = tuple(VARIANTS)


def some_pose(seed: int = 0) -> torch.Tensor:
    """Parts of 150 to 450 mm in all directions, relative to the root; joints without parts stay NaN."""
    generator = torch.Generator().manual_seed(seed)
    steps = torch.randn(14, 3, generator=generator, dtype=torch.float64)
    lengths = 150 + 300 * torch.rand(14, generator=generator, dtype=torch.float64)
    steps *= lengths[:, None] / steps.norm(dim=-1, keepdim=True)
    paths = HEMLETS18.part_paths
    pose = paths.double() @ steps
    reached = paths.any(-1)
    reached[0] = True
    return torch.where(reached[:, None], pose, torch.nan)


def view_of(pose: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(steps, lengths, true signs)."""
    lengths = part_lengths(pose, HEMLETS18)
    nearer = pose[HEMLETS18.part_parents, 2] - pose[HEMLETS18.part_children, 2]
    return depth_steps_mm(pose, lengths, HEMLETS18), lengths, nearer.sign().long()


def test_an_arm_by_hand(skeleton3):
    # 500 mm seen as 400: 300 nearer or farther. 260 seen as 240: 100. A right triangle each.
    planar = torch.tensor([[0.0, 0.0], [400.0, 0.0], [400.0, 240.0]])
    lengths = torch.tensor([500.0, 260.0])
    steps = depth_steps_mm(planar, lengths, skeleton3)
    assert steps.tolist() == pytest.approx([300, 100])
    nothing_known = signs_allowed(torch.tensor([UNKNOWN, UNKNOWN]), steps, lengths)
    poses = poses_of_signs(planar, steps, remaining_signs(nothing_known), skeleton3)
    assert poses[:, :, 2].tolist() == [[0, -300, -400], [0, -300, -200], [0, 300, 200], [0, 300, 400]]
    # The upper arm is nearer: two poses. The forearm's 100 mm are within ε = 130: state 0 leaves both.
    assert signs_allowed(torch.tensor([1, 0]), steps, lengths) == [(1,), (1, -1)]
    assert signs_allowed(torch.tensor([-1, 0]), steps, lengths, sine_bounds=(0.1,)) == [(-1,), ()]
    errors = mean_depth_errors_mm(torch.tensor([False, True]), steps, torch.tensor([1, -1]), skeleton3)
    assert errors.tolist() == [0, 0, 100]  # right, or 200 mm off


@pytest.mark.parametrize("flat", [0, 1])
def test_counts_by_brute_force(skeleton3, flat):
    """A grid of depths for every joint: the lengths fit at as many places as there are poses."""
    planar = torch.tensor([[0.0, 0.0], [40.0, 0.0], [40.0, 24.0]], dtype=torch.float64)
    lengths = torch.tensor([50.0, 24.0 if flat else 26.0], dtype=torch.float64)
    found = set()
    for z1, z2 in itertools.product(range(-50, 51), repeat=2):
        pose = torch.cat([planar, torch.tensor([[0.0], [z1], [z2]], dtype=torch.float64)], 1)
        if (part_lengths(pose, skeleton3) - lengths).abs().max() < 1e-9:
            found.add((z1, z2))
    steps = depth_steps_mm(planar, lengths, skeleton3)
    allowed = signs_allowed(torch.tensor([UNKNOWN] * 2), steps, lengths)
    poses = poses_of_signs(planar, steps, remaining_signs(allowed), skeleton3)
    assert count_poses(allowed) == len(poses) == len(found) == (2 if flat else 4)
    assert {tuple(map(round, pose)) for pose in poses[:, 1:, 2].tolist()} == found


def test_all_poses_have_the_lengths_and_the_projection():
    pose = some_pose()
    steps, lengths, signs = view_of(pose)
    allowed = signs_allowed(torch.full((14,), UNKNOWN), steps, lengths)
    every = remaining_signs(allowed)
    poses = poses_of_signs(pose, steps, every, HEMLETS18)
    assert count_poses(allowed) == len(poses) == 2**14 == len(every.unique(dim=0))
    torch.testing.assert_close(part_lengths(poses, HEMLETS18), lengths.expand(len(poses), -1))
    torch.testing.assert_close(
        poses[..., :2], pose[:, :2].expand(len(poses), -1, -1), equal_nan=True, rtol=0, atol=0
    )
    true = poses[(every == signs).all(-1)]
    torch.testing.assert_close(true, pose[None], equal_nan=True)


@pytest.mark.parametrize("variant", VARIANT_NAMES)
@pytest.mark.parametrize("labelled", [3, 9, 14])
def test_what_remains_is_what_has_the_labels(variant, labelled):
    """Exactly the poses among all 16 384 whose states, taken from their joints, are the labelled ones."""
    pose = some_pose(1)
    steps, lengths, _ = view_of(pose)
    bounds = VARIANTS[variant].sine_bounds
    states = part_states(pose, HEMLETS18, variant=variant)
    states[labelled:] = UNKNOWN
    every = remaining_signs(signs_allowed(torch.full((14,), UNKNOWN), steps, lengths))
    poses = poses_of_signs(pose, steps, every, HEMLETS18)
    theirs = part_states(poses, HEMLETS18, variant=variant)[:, :labelled]
    expected = every[(theirs == states[:labelled]).all(-1)]
    allowed = signs_allowed(states, steps, lengths, sine_bounds=bounds)
    assert 0 < len(expected) < len(every) and count_poses(allowed) == len(expected)
    torch.testing.assert_close(remaining_signs(allowed), expected)


def test_states_are_those_of_the_poses():
    pose = some_pose(2)
    steps, lengths, signs = view_of(pose)
    for epsilon in (0.0, 0.3, 0.5):
        states = states_of_signs(signs, steps, lengths, sine_bounds=(epsilon,))
        torch.testing.assert_close(states, polarity(pose, HEMLETS18, epsilon_ratio=epsilon))
    known = signs_allowed(signs, steps, lengths, sine_bounds=(0.0,))
    assert count_poses(known) == 1 and remaining_signs(known)[0].tolist() == signs.tolist()


def test_mean_errors_are_those_of_the_list():
    pose = some_pose(3)
    steps, lengths, signs = view_of(pose)
    states = polarity(pose, HEMLETS18)
    states[5:] = UNKNOWN
    allowed = signs_allowed(states, steps, lengths)
    poses = poses_of_signs(pose, steps, remaining_signs(allowed), HEMLETS18)
    expected = (poses - pose).norm(dim=-1).mean(0)
    open_parts = torch.tensor([len(places) == 2 for places in allowed])
    found = mean_depth_errors_mm(open_parts, steps, signs, HEMLETS18)
    assert found[0] == 0 and found.isnan().sum() == 3  # torso, nose and thorax are not ends of parts
    torch.testing.assert_close(found, expected, equal_nan=True)


def test_five_states_tell_no_more_than_three_where_lengths_are_known():
    pose = some_pose(4)
    steps, lengths, _ = view_of(pose)
    counts = [
        count_poses(
            signs_allowed(
                part_states(pose, HEMLETS18, variant=name), steps, lengths,
                sine_bounds=VARIANTS[name].sine_bounds,
            )
        )
        for name in ("hemlets", "5s")
    ]  # fmt: skip
    assert counts[0] == counts[1] > 1


def test_a_state_that_contradicts_the_length_leaves_nothing(skeleton3):
    planar = torch.tensor([[0.0, 0.0], [400.0, 0.0], [400.0, 240.0]])
    lengths = torch.tensor([500.0, 260.0])
    steps = depth_steps_mm(planar, lengths, skeleton3)
    allowed = signs_allowed(torch.tensor([1, 1]), steps, lengths)
    assert count_poses(allowed) == 0 and remaining_signs(allowed).shape == (0, 2)


def test_errors(skeleton3):
    planar = torch.tensor([[0.0, 0.0], [400.0, 0.0], [400.0, 240.0]])
    with pytest.raises(
        ValueError, match=r"at most as long as it is, got 400\.0 mm seen and a length of 390\.0"
    ):
        depth_steps_mm(planar, torch.tensor([390.0, 260.0]), skeleton3)
    with pytest.raises(ValueError, match=r"got nan mm seen"):
        depth_steps_mm(planar * math.nan, torch.tensor([500.0, 260.0]), skeleton3)
    with pytest.raises(ValueError, match="must have 3 joints"):
        depth_steps_mm(planar[:2], torch.tensor([500.0, 260.0]), skeleton3)
    with pytest.raises(ValueError, match="expected at most 262144 poses to write down, got 524288"):
        remaining_signs([(1, -1)] * 19)
