"""Triplets: Eq. (1) and (2) by hand, a slow reference, the variants, decode∘encode."""

import math

import pytest
import torch

from hemlets_lib.geometry import Grid
from hemlets_lib.heatmaps import render_heatmaps
from hemlets_lib.skeleton import HEMLETS18, Skeleton
from hemlets_lib.triplets import (
    UNKNOWN,
    VARIANTS,
    decode_triplets,
    encode_triplets,
    part_mask,
    part_states,
    polarity,
)


def arm_bent_by(*degrees: float) -> torch.Tensor:
    """A shoulder-elbow-wrist arm along +x, each part turned towards the camera by an angle."""
    joints, at = [torch.zeros(3, dtype=torch.float64)], torch.zeros(3, dtype=torch.float64)
    for length, angle in zip((300.0, 250.0), degrees, strict=True):
        radians = math.radians(angle)
        at = at + length * torch.tensor([math.cos(radians), 0.0, -math.sin(radians)], dtype=torch.float64)
        joints.append(at)
    return torch.stack(joints) + torch.tensor([0.0, 0.0, 3000.0])


@pytest.mark.parametrize(
    ("angles", "tri_state", "five_state"),
    [
        ((0, 0), [0, 0], [0, 0]),
        ((29, 31), [0, 1], [0, 1]),
        ((-31, -29), [-1, 0], [-1, 0]),
        ((59, 61), [1, 1], [1, 2]),
        ((-61, 90), [-1, 1], [-2, 2]),
    ],
)
def test_states_by_angle(skeleton3, angles, tri_state, five_state):
    joints = arm_bent_by(*angles)
    assert polarity(joints, skeleton3).tolist() == tri_state
    assert part_states(joints, skeleton3, variant="hemlets").tolist() == tri_state
    assert part_states(joints, skeleton3, variant="2s").tolist() == tri_state
    assert part_states(joints, skeleton3, variant="5s").tolist() == five_state


def test_nearer_child_is_positive(skeleton3):
    # Eq. (1): z_p - z_c = 3000 - 2800 = 200 > ε = 0.5 · 200 = 100.
    joints = torch.tensor([[0.0, 0.0, 3000.0], [0.0, 0.0, 2800.0], [0.0, 0.0, 3100.0]])
    assert polarity(joints, skeleton3).tolist() == [1, -1]


def test_on_the_boundary_the_state_is_zero(skeleton3):
    # A 3-4-5 part: |Δz| = 300 of length 500, ratio 0.6 exactly.
    joints = torch.tensor([[0.0, 0.0, 1000.0], [400.0, 0.0, 700.0], [400.0, 0.0, 700.0]])
    assert polarity(joints, skeleton3, epsilon_ratio=300 / 500).tolist() == [0, 0]
    assert polarity(joints, skeleton3, epsilon_ratio=0.59).tolist() == [1, 0]  # a part of length 0 is 0


def test_swapping_depth_swaps_the_sign():
    joints = torch.randn(2, 18, 3) * 300
    mirrored = joints * torch.tensor([1.0, 1.0, -1.0])
    for variant in VARIANTS:
        states = part_states(joints, HEMLETS18, variant=variant)
        assert torch.equal(part_states(mirrored, HEMLETS18, variant=variant), -states)
        moved = part_states(joints * 3 + 500, HEMLETS18, variant=variant)
        assert torch.equal(moved, states)  # neither scale nor place matters


def test_unlabelled_joints_give_unknown_states(skeleton3):
    joints = arm_bent_by(45, 45)
    joints[2, 2] = torch.nan
    assert part_states(joints, skeleton3).tolist() == [1, UNKNOWN]


def test_part_mask(skeleton3):
    states = torch.tensor([[1, 0], [UNKNOWN, -1], [1, 1]])
    valid = torch.tensor([[True, True, True], [True, True, True], [True, True, False]])
    assert part_mask(states, valid, skeleton3).tolist() == [[True, True], [False, True], [True, False]]


@pytest.mark.parametrize(
    ("variant", "state", "parent_in", "child_in"),
    [
        ("hemlets", -1, 1, 0), ("hemlets", 0, 1, 1), ("hemlets", 1, 1, 2),
        ("2s", -1, 2, 0), ("2s", 0, 1, 1), ("2s", 1, 0, 2),
        ("5s", -2, 2, 0), ("5s", -1, 2, 1), ("5s", 0, 2, 2), ("5s", 1, 2, 3), ("5s", 2, 2, 4),
    ],
)  # fmt: skip
def test_which_map_holds_which_joint(skeleton3, variant, state, parent_in, child_in):
    centres = Grid.CELL_CENTRED.centres(7), Grid.CELL_CENTRED.centres(6)
    parent, child = (1, 1), (5, 4)  # (column, row), far enough apart at σ = 0.5
    joints = torch.zeros(1, 3, 2)
    joints[0, 0] = torch.stack([centres[0][parent[0]], centres[1][parent[1]]])
    joints[0, 1] = torch.stack([centres[0][child[0]], centres[1][child[1]]])
    maps = encode_triplets(
        joints, torch.tensor([[state, UNKNOWN]]), skeleton=skeleton3, size=(6, 7), sigma=0.5, variant=variant
    )
    assert maps.shape == (1, 2, VARIANTS[variant].num_maps, 6, 7)
    for at, expected in ((parent, parent_in), (child, child_in)):
        peaks = maps[0, 0, :, at[1], at[0]]
        assert peaks[expected] == 1
        assert peaks.sum() == pytest.approx(1, abs=1e-6)
    assert maps[0, 1].abs().sum() == 0  # unknown: empty


def test_overlap_is_the_maximum(skeleton3):
    joints = torch.zeros(1, 3, 2)
    joints[0, 1, 0] = 1 / 7  # one cell to the right
    maps = encode_triplets(joints, torch.tensor([[0, 0]]), skeleton=skeleton3, size=(6, 7), sigma=1.0)
    separate = render_heatmaps(joints, size=(6, 7), sigma=1.0)
    torch.testing.assert_close(maps[:, 0, 1], torch.maximum(separate[:, 0], separate[:, 1]))
    assert maps.max() <= 1


def encode_slowly(joints_crop, states, *, skeleton, size, variant, grid, joint_valid):
    """The definition, one joint at a time."""
    rule = VARIANTS[variant]
    maps = torch.zeros(*states.shape, rule.num_maps, *size, dtype=joints_crop.dtype)
    for b in range(states.shape[0]):
        for k, ends in enumerate(skeleton.parts):
            if states[b, k] == UNKNOWN or not all(joint_valid[b, joint] for joint in ends):
                continue
            row = int(states[b, k]) + rule.max_state
            for joint, places in zip(ends, (rule.parent_maps, rule.child_maps), strict=True):
                one = render_heatmaps(joints_crop[b : b + 1, joint : joint + 1], size=size, grid=grid)[0, 0]
                maps[b, k, places[row]] = torch.maximum(maps[b, k, places[row]], one)
    return maps


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("grid", Grid)
def test_encoding_equals_the_per_joint_loop(variant, grid):
    joints = torch.rand(2, 18, 3, dtype=torch.float64) * 1.2 - 0.6  # some outside the crop
    limit = VARIANTS[variant].max_state
    states = torch.randint(-limit, limit + 1, (2, 14))
    states[0, 3] = UNKNOWN
    valid = torch.rand(2, 18) > 0.1
    options = {"skeleton": HEMLETS18, "size": (6, 7), "variant": variant, "grid": grid, "joint_valid": valid}
    fast, slow = encode_triplets(joints, states, **options), encode_slowly(joints, states, **options)
    torch.testing.assert_close(fast, slow)


def test_nan_joints_mask_their_parts(skeleton3):
    joints = torch.zeros(2, 3, 3)
    joints[1, 2] = torch.nan
    maps = encode_triplets(joints, torch.ones(2, 2, dtype=torch.long), skeleton=skeleton3, size=(6, 7))
    assert maps.isfinite().all()
    assert (maps.amax((-3, -2, -1)) > 0).tolist() == [[True, True], [True, False]]


def spread_pose(batch: int) -> torch.Tensor:
    """People whose joints lie well inside the crop, (batch, 18, 3) in crop space."""
    return torch.rand(batch, 18, 3, dtype=torch.float64) * 0.8 - 0.4


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("grid", Grid)
def test_decoding_undoes_encoding(variant, grid):
    joints = spread_pose(5)
    limit = VARIANTS[variant].max_state
    states = torch.randint(-limit, limit + 1, (5, 14))
    options = {"skeleton": HEMLETS18, "variant": variant, "grid": grid}
    maps = encode_triplets(joints, states, size=64, **options)
    decoded = decode_triplets(maps, render_heatmaps(joints, size=64, grid=grid), **options)
    assert decoded.joint_found.all()
    assert torch.equal(decoded.states, states)
    assert (decoded.joints_crop - joints[..., :2]).abs().max() * 64 < 0.01


@pytest.mark.parametrize("norm", ["height", "sum"])
@pytest.mark.parametrize("overlap", ["maximum", "sum", "clipped"])
@pytest.mark.parametrize("sigma", [1.0, 4.0])
def test_decoding_undoes_every_way_of_drawing(norm, overlap, sigma):
    joints = spread_pose(5)
    states = torch.randint(-1, 2, (5, 14))
    drawn = {"sigma": sigma, "norm": norm}
    maps = encode_triplets(joints, states, skeleton=HEMLETS18, size=64, overlap=overlap, **drawn)
    heatmaps = render_heatmaps(joints, size=64, **drawn)
    decoded = decode_triplets(maps, heatmaps, skeleton=HEMLETS18, overlap=overlap, **drawn)
    assert torch.equal(decoded.states, states) and decoded.joint_found.all()
    alone = decode_triplets(maps, skeleton=HEMLETS18, overlap=overlap, **drawn)
    assert torch.equal(alone.states, states)


def test_overlap_by_hand(skeleton3):
    """σ = 1, parent and child 1 cell apart on one row, both in the middle map: exp(-½) of each reaches the
    other."""
    joints = torch.tensor([[[-0.5 / 8, 0.5 / 8], [0.5 / 8, 0.5 / 8], [0.5 / 8, 0.5 / 8]]])
    reach = math.exp(-0.5)
    for overlap, at_parent, at_shared in (
        ("maximum", 1.0, 1.0),
        ("sum", 1 + reach, 2.0),
        ("clipped", 1.0, 1.0),
    ):
        maps = encode_triplets(
            joints,
            torch.zeros(1, 2, dtype=torch.long),
            skeleton=skeleton3,
            size=8,
            sigma=1.0,
            overlap=overlap,
        )
        assert maps[0, 0, 1, 4, 3].item() == pytest.approx(at_parent)
        assert maps[0, 1, 1, 4, 4].item() == pytest.approx(at_shared)
        beyond = math.exp(-0.5), math.exp(-2.0)  # of the nearer, of the farther
        expected = beyond[0] if overlap == "maximum" else sum(beyond)
        assert maps[0, 0, 1, 4, 5].item() == pytest.approx(expected)
        assert not maps[0, :, (0, 2)].any()


def test_an_unknown_overlap(skeleton3):
    states = torch.zeros(1, 2, dtype=torch.long)
    with pytest.raises(ValueError, match="`overlap` must be one of 'maximum', 'sum', 'clipped', got 'mean'"):
        encode_triplets(torch.zeros(1, 3, 2), states, skeleton=skeleton3, size=8, overlap="mean")


def test_decoding_when_child_and_parent_coincide(skeleton3):
    joints = torch.zeros(1, 3, 2)
    heatmaps = render_heatmaps(joints, size=32)
    for variant in ("hemlets", "5s"):
        for state in range(-VARIANTS[variant].max_state, VARIANTS[variant].max_state + 1):
            states = torch.full((1, 2), state)
            maps = encode_triplets(joints, states, skeleton=skeleton3, size=32, variant=variant)
            assert torch.equal(
                decode_triplets(maps, heatmaps, skeleton=skeleton3, variant=variant).states, states
            )


def test_decoding_survives_noise():
    joints = spread_pose(8)
    states = torch.randint(-1, 2, (8, 14))
    maps = encode_triplets(joints, states, skeleton=HEMLETS18, size=64)
    noisy = maps * 0.7 + 0.1 * torch.randn_like(maps)
    heatmaps = render_heatmaps(joints, size=64)
    assert (decode_triplets(noisy, heatmaps, skeleton=HEMLETS18).states == states).float().mean() > 0.97


def test_without_heatmaps_only_signed_parts_tell_joints_apart(skeleton3):
    joints = torch.tensor([[[-0.3, 0.0], [0.0, 0.1], [0.3, -0.1]]], dtype=torch.float64)
    maps = encode_triplets(joints, torch.tensor([[1, 0]]), skeleton=skeleton3, size=64)
    decoded = decode_triplets(maps, skeleton=skeleton3)
    assert decoded.states.tolist() == [[1, 0]]
    assert decoded.joint_found.tolist() == [[True, True, False]]
    torch.testing.assert_close(decoded.joints_crop[0, :2], joints[0, :2], atol=1e-6, rtol=0)


@pytest.mark.parametrize("maps", [0.0, torch.nan, torch.inf])
@pytest.mark.parametrize("variant", ["hemlets", "5s"])
def test_no_evidence_is_not_a_state(maps, variant):
    """A network that has diverged, or says nothing, must not pass for one that always says 'farther'."""
    empty = torch.full((2, 14, VARIANTS[variant].num_maps, 32, 32), maps)
    options = {"skeleton": HEMLETS18, "variant": variant}
    heatmaps = render_heatmaps(spread_pose(2).float(), size=32)
    for decoded in (decode_triplets(empty, heatmaps, **options), decode_triplets(empty, **options)):
        assert (decoded.states == UNKNOWN).all()
        assert decoded.joints_crop.isfinite().all()
    nothing = decode_triplets(empty, torch.full_like(heatmaps, maps), **options)
    assert not nothing.joint_found.any()


def test_a_skeleton_without_parts_decodes_to_nothing():
    bare = Skeleton(name="bare", joint_names=("a", "b"), parent_names={"b": "a"})
    decoded = decode_triplets(torch.zeros(2, 0, 3, 8, 8), skeleton=bare)
    assert decoded.states.shape == (2, 0)
    assert not decoded.joint_found.any()


def test_missing_joints_decode_to_unknown():
    joints = spread_pose(2)
    valid = torch.ones(2, 18, dtype=torch.bool)
    valid[1, HEMLETS18.index("left_elbow")] = False
    states = torch.ones(2, 14, dtype=torch.long)
    maps = encode_triplets(joints, states, skeleton=HEMLETS18, size=64, joint_valid=valid)
    heatmaps = render_heatmaps(joints, size=64, valid=valid)
    decoded = decode_triplets(maps, heatmaps, skeleton=HEMLETS18)
    assert torch.equal(decoded.joint_found, valid)
    assert torch.equal(decoded.states == UNKNOWN, ~part_mask(states, valid, HEMLETS18))
    alone = decode_triplets(maps, skeleton=HEMLETS18)
    assert torch.equal(alone.states == UNKNOWN, ~part_mask(states, valid, HEMLETS18))


def test_real_frames_return_every_polarity_and_joint(real_samples):
    """Human3.6M and MPI-INF-3DHP photographs: encode, decode, compare, in every variant."""
    from hemlets_lib.data.photos import read_photos
    from hemlets_lib.data.samples import sample_from_photo

    photos = [photo for photo in read_photos(real_samples) if photo.joints_cam_mm is not None]
    assert len(photos) == 8
    for photo in photos:
        sample = sample_from_photo(photo, size=256)
        crop = sample.joints_crop[None]
        inside = sample.joint_valid[None] & (crop[..., :2].abs() < 0.5).all(-1)
        heatmaps = render_heatmaps(crop, size=64, valid=inside)
        for variant in VARIANTS:
            states = part_states(sample.joints_cam_mm[None], HEMLETS18, variant=variant)
            options = {"skeleton": HEMLETS18, "variant": variant}
            maps = encode_triplets(crop, states, size=64, joint_valid=inside, **options)
            decoded = decode_triplets(maps, heatmaps, **options)
            known = part_mask(states, inside, HEMLETS18)
            assert known.sum() >= 10
            assert torch.equal(decoded.joint_found, inside)
            assert torch.equal(decoded.states[known], states[known])
            assert (decoded.joints_crop - crop[..., :2])[inside].abs().max() * 64 < 0.5


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_maps_are_decoded_in_full(dtype):
    """What autocast puts out is rounded; reading it must not round once more."""
    joints, states = spread_pose(4).float(), torch.randint(-1, 2, (4, 14))
    maps = encode_triplets(joints, states, skeleton=HEMLETS18, size=64).to(dtype)
    heatmaps = render_heatmaps(joints, size=64).to(dtype)
    decoded = decode_triplets(maps, heatmaps, skeleton=HEMLETS18)
    assert decoded.joints_crop.dtype == torch.float32
    assert torch.equal(decoded.states, states)
    assert (decoded.joints_crop - joints[..., :2]).abs().max() * 64 < 0.05


def test_encoding_compiles_without_graph_breaks():
    joints, states = spread_pose(2).float(), torch.randint(-1, 2, (2, 14))

    def encode(joints, states):
        return encode_triplets(joints, states, skeleton=HEMLETS18, size=16)

    compiled = torch.compile(encode, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(joints, states), encode(joints, states))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_encoding_on_the_gpu():
    joints, states = spread_pose(4).float(), torch.randint(-1, 2, (4, 14))
    on_gpu = encode_triplets(joints.cuda(), states.cuda(), skeleton=HEMLETS18, size=64)
    torch.testing.assert_close(on_gpu.cpu(), encode_triplets(joints, states, skeleton=HEMLETS18, size=64))


def test_messages(skeleton3):
    with pytest.raises(ValueError, match="must have 3 joints for skeleton 'arm', got 5"):
        polarity(torch.zeros(2, 5, 3), skeleton3)
    with pytest.raises(ValueError, match=r"`variant` must be one of 'hemlets', '2s', '5s', got '3s'"):
        part_states(torch.zeros(2, 3, 3), skeleton3, variant="3s")
    joints = torch.zeros(2, 3, 3)
    with pytest.raises(ValueError, match=r"`states` must be \(B, K\) = \(2, 2\).* got \(2, 3\)"):
        encode_triplets(joints, torch.zeros(2, 3, dtype=torch.long), skeleton=skeleton3, size=8)
    with pytest.raises(ValueError, match=r"must lie in -1…1 or be UNKNOWN \(-100\), got 2"):
        encode_triplets(joints, torch.full((2, 2), 2), skeleton=skeleton3, size=8)
    with pytest.raises(ValueError, match=r"`triplets` must be \(B, 2, 3, H, W\).* got \(2, 2, 5, 8, 8\)"):
        decode_triplets(torch.zeros(2, 2, 5, 8, 8), skeleton=skeleton3)
    with pytest.raises(ValueError, match=r"`heatmaps` must be \(B, J, H, W\) = \(2, 3, 8, 8\)"):
        decode_triplets(torch.zeros(2, 2, 3, 8, 8), torch.zeros(2, 3, 9, 9), skeleton=skeleton3)
    with pytest.raises(ValueError, match="does not tell parent from child: pass the 2D `heatmaps` too"):
        decode_triplets(torch.zeros(2, 2, 3, 8, 8), skeleton=skeleton3, variant="2s")
