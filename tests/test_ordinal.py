"""Ordinal depth: the sign by a worked table, the pelvis by deduction, joints of other pictures."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.io
import torch
from downloads.ordinal import depth_order, write_half, write_original
from downloads.photographs import LSP14_OF_H36M17, MPII16_OF_H36M17, in_order, people

from hemlets_lib.data.readers.contract import Skipped, Take
from hemlets_lib.data.readers.files import DownloadError
from hemlets_lib.data.readers.joint_orders import LSP14
from hemlets_lib.data.readers.ordinal import OrdinalOriginal, check_within, part_orders
from hemlets_lib.skeleton import H36M17, HEMLETS18, MPII16
from hemlets_lib.triplets import UNKNOWN, part_states

NAN = np.nan
PARTS = HEMLETS18.part_names


def read(reader, split="train"):
    """The takes together, and what was left out."""
    items = list(reader.takes(split))
    (take,) = [item for item in items if isinstance(item, Take)]
    return take, [item for item in items if isinstance(item, Skipped)]


def labels(skeleton, **pairs):
    """(1, J, J): NaN but for pairs given as first__second=value."""
    order = np.full((1, skeleton.num_joints, skeleton.num_joints), NAN)
    for pair, value in pairs.items():
        first, second = pair.split("__")
        order[0, skeleton.index(first), skeleton.index(second)] = value
    return order


def state(order, skeleton, *part):
    found = part_orders(order, skeleton)
    return int(found.states[0, PARTS.index(part)]), int(found.contradictions[0])


# --- The sign --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("elbow_wrist", "wrist_elbow", "expected"),
    [
        # ord(i, j) = -1: i is nearer. The part is elbow → wrist; +1 where the wrist, its child, is nearer.
        (1, -1, (1, 0)),
        (-1, 1, (-1, 0)),
        (0, 0, (0, 0)),
        (NAN, -1, (1, 0)),
        (1, NAN, (1, 0)),
        (NAN, 0, (0, 0)),
        (NAN, NAN, (UNKNOWN, 0)),
        (-1, -1, (UNKNOWN, 1)),
        (1, 1, (UNKNOWN, 1)),
        (0, -1, (UNKNOWN, 1)),
        (1, 0, (UNKNOWN, 1)),
    ],
)
@pytest.mark.parametrize("skeleton", [LSP14, MPII16], ids=lambda skeleton: skeleton.name)
def test_the_sign_by_hand(skeleton, elbow_wrist, wrist_elbow, expected):
    order = labels(
        skeleton, left_elbow__left_wrist=elbow_wrist, left_wrist__left_elbow=wrist_elbow
    )  # fmt: skip
    assert state(order, skeleton, "left_elbow", "left_wrist") == expected
    others = np.delete(part_orders(order, skeleton).states[0], PARTS.index(("left_elbow", "left_wrist")))
    assert (others == UNKNOWN).all()


@pytest.mark.parametrize(
    ("skeleton", "order"), [(LSP14, LSP14_OF_H36M17), (MPII16, MPII16_OF_H36M17)], ids=["lsp", "mpii"]
)
def test_labels_of_true_depths_are_the_parts_states(skeleton, order):
    """With a margin of nothing, the label is the sign of the depth difference that Eq. (1) asks for."""
    poses, _ = people(40, seed=5)
    poses[:, 0] = (poses[:, 1] + poses[:, 4]) / 2  # the pelvis is the hips' middle, as in HEMLETS18
    depths = in_order(poses, order)[..., 2]
    found = part_orders(np.sign(depths[:, :, None] - depths[:, None, :]), skeleton).states
    mapped, _ = H36M17.remap(torch.from_numpy(poses), HEMLETS18)
    p, c = HEMLETS18.part_parents, HEMLETS18.part_children
    nearer = np.sign((mapped[:, p, 2] - mapped[:, c, 2]).numpy())
    to_neck = PARTS.index(("pelvis", "neck"))
    assert (np.delete(found, to_neck, axis=1) != UNKNOWN).all()
    unknown = (found[:, to_neck] == UNKNOWN).mean()
    assert unknown == 0 if skeleton is MPII16 else 0 < unknown < 0.95  # LSP's hips do not always agree
    np.testing.assert_array_equal(found[found != UNKNOWN], nearer[found != UNKNOWN])


def test_hips_about_their_middle_are_the_same_part_halved():
    """Why pelvis → hip may be deduced: by Eq. (1) the line between the hips and its half have one state."""
    joints = torch.from_numpy(people(60, seed=6)[0])
    hips = joints[:, [1, 4]]
    joints[:, 0] = hips.mean(1)
    mapped, _ = H36M17.remap(joints, HEMLETS18)
    states = part_states(mapped, HEMLETS18)
    line = hips[:, 0] - hips[:, 1]  # right less left: how much farther the right hip is
    steep = (line[:, 2] / line.norm(dim=-1)).numpy()
    left = np.where(np.abs(steep) > 0.5, np.sign(steep), 0)
    assert set(left) == {-1, 0, 1}
    np.testing.assert_array_equal(states[:, PARTS.index(("pelvis", "left_hip"))], left)
    np.testing.assert_array_equal(states[:, PARTS.index(("pelvis", "right_hip"))], -left)


# --- The pelvis ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pairs", "right", "left", "neck"),
    [
        ({}, UNKNOWN, UNKNOWN, UNKNOWN),
        # The left hip is nearer than the right one.
        ({"left_hip__right_hip": -1}, -1, 1, UNKNOWN),
        ({"left_hip__right_hip": 1, "right_hip__left_hip": -1}, 1, -1, UNKNOWN),
        ({"left_hip__right_hip": 0}, 0, 0, UNKNOWN),
        # The neck is nearer than both hips, than one of them, and the same as both.
        ({"neck__right_hip": -1, "left_hip__neck": 1}, UNKNOWN, UNKNOWN, 1),
        ({"neck__right_hip": -1, "neck__left_hip": 1}, UNKNOWN, UNKNOWN, UNKNOWN),
        ({"neck__right_hip": -1, "neck__left_hip": 0}, UNKNOWN, UNKNOWN, UNKNOWN),
        ({"neck__right_hip": -1}, UNKNOWN, UNKNOWN, UNKNOWN),
        ({"neck__right_hip": 0, "neck__left_hip": 0}, UNKNOWN, UNKNOWN, 0),
        ({"neck__right_hip": 1, "neck__left_hip": 1}, UNKNOWN, UNKNOWN, -1),
    ],
)
@pytest.mark.parametrize("skeleton", [LSP14, MPII16], ids=lambda skeleton: skeleton.name)
def test_the_pelvis_without_labels_of_its_own(skeleton, pairs, right, left, neck):
    states = part_orders(labels(skeleton, **pairs), skeleton).states[0]
    found = {
        child: int(states[PARTS.index(("pelvis", child))]) for child in ("right_hip", "left_hip", "neck")
    }
    assert found == {"right_hip": right, "left_hip": left, "neck": neck}


def test_labels_of_the_pelvis_come_first():
    pairs = {"neck__right_hip": -1, "neck__left_hip": -1}
    assert state(labels(MPII16, **pairs, neck__pelvis=1), MPII16, "pelvis", "neck") == (-1, 0)
    # Asked and contradictory: not deduced either.
    contradictory = labels(MPII16, **pairs, neck__pelvis=1, pelvis__neck=1)
    assert state(contradictory, MPII16, "pelvis", "neck") == (UNKNOWN, 1)


# --- The download ----------------------------------------------------------------------------------


def test_both_halves(tmp_path):
    write_original(tmp_path)
    take, skipped = read(OrdinalOriginal(tmp_path))
    assert not skipped and take.frames.tolist() == [0, 1, 2] * 2
    assert [take.pictures.name(place) for place in range(6)] == [
        "im0001", "im0002", "im0003", "00001_full", "00002_full", "00003_full",
    ]  # fmt: skip
    for place, (seed, order) in enumerate([(31, LSP14_OF_H36M17)] * 3 + [(32, MPII16_OF_H36M17)] * 3):
        poses, joints_px = people(3, seed=seed)
        place_in_half = place % 3
        expected = in_order(joints_px, order)[place_in_half]
        skeleton = LSP14 if place < 3 else MPII16
        for name, px in zip(skeleton.joint_names, expected, strict=True):
            np.testing.assert_array_equal(take.joints_px[place, HEMLETS18.index(name)], px, err_msg=name)
        depths = depth_order(in_order(poses, order)[[place_in_half], :, 2])
        elbow, wrist = skeleton.index("left_elbow"), skeleton.index("left_wrist")
        assert take.states[place, PARTS.index(("left_elbow", "left_wrist"))] == -depths[0, wrist, elbow]
    sample = take.sample(3, size=32)
    assert (sample.meta.dataset, sample.meta.source) == ("ordinal", "original")
    assert sample.part_states.tolist() == take.states[3].tolist()
    assert not sample.depth_valid.any() and sample.joints_cam_mm is None


def test_splits(tmp_path):
    write_half(
        tmp_path / "lsp_dataset_original", "images/im{:04d}.jpg", LSP14_OF_H36M17, count=2, seed=1,
        labelled=np.ones(14, dtype=bool),
    )  # fmt: skip
    folder = tmp_path / "lsp_dataset_original"
    joints = np.tile(np.arange(1.0, 15), (3, 1))[..., None] + np.arange(1002.0)  # (3, 14, N)
    scipy.io.savemat(folder / "joints.mat", {"joints": joints})
    scipy.io.savemat(folder / "ordinal.mat", {"ord": np.zeros((1002, 14, 14))})
    reader = OrdinalOriginal(tmp_path)
    train, test = (list(reader.people(split)) for split in ("lsp_train", "lsp_test"))
    assert (len(train), len(test)) == (1000, 2)
    assert [person.picture.name for person in test] == ["im1001.jpg", "im1002.jpg"]
    with pytest.raises(DownloadError, match=r"mpii_upis1h.joints\.mat: expected a file there, found none"):
        list(reader.people("train"))
    problems = [(found.path, found.problem[:20]) for found in reader.check() if found.problem]
    assert problems[0] == ("mpii_upis1h/joints.mat", "expected a file ther")


def test_contradictions_are_counted_and_told(tmp_path):
    write_original(tmp_path)
    path = tmp_path / "mpii_upis1h" / "ordinal.mat"
    order = scipy.io.loadmat(path)["ord"]
    knee, ankle, head, neck = (MPII16.index(name) for name in ("left_knee", "left_ankle", "head", "neck"))
    for first, second in ((knee, ankle), (head, neck)):
        order[1, first, second] = order[1, second, first] = 1
    scipy.io.savemat(path, {"ord": order})
    take, (skipped,) = read(OrdinalOriginal(tmp_path), "mpii_train")
    assert (skipped.name, skipped.frames) == ("00002_full, 2 of its labels", 0)
    assert skipped.reason == "depth order contradicts itself; those parts are left unlabelled"
    unknown = {PARTS[at] for at in np.flatnonzero(take.states[1] == UNKNOWN)}
    assert {("left_knee", "left_ankle"), ("neck", "head")} <= unknown
    to_neck = PARTS.index(("pelvis", "neck"))  # deduced, so that it may be unknown anyway
    assert len(take) == 3 and (np.delete(take.states[[0, 2]], to_neck, axis=1) != UNKNOWN).all()
    notes = [found.note for found in OrdinalOriginal(tmp_path).check()]
    assert f"mpii_train: people: 3; {skipped.reason}: 1" in notes


def test_a_joint_at_the_origin_is_unlabelled(tmp_path):
    write_original(tmp_path)
    path = tmp_path / "mpii_upis1h" / "joints.mat"
    joints = scipy.io.loadmat(path)["joints"]
    joints[:2, 0, 1] = 0
    joints[0, 1, 1] = 0  # only x
    scipy.io.savemat(path, {"joints": joints})
    take, _ = read(OrdinalOriginal(tmp_path), "mpii_train")
    known = np.isfinite(take.joints_px[1]).all(-1)
    assert not known[HEMLETS18.index("right_ankle")] and known[HEMLETS18.index("right_knee")]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "ordinal",
            {"ord": np.zeros((3, 14, 14))},
            r"ordinal\.mat: expected `ord` of shape \(3, 16, 16\), got",
        ),
        ("ordinal", {"ord": np.zeros((2, 16, 16))}, r"`ord` of shape \(3, 16, 16\), got \(2, 16, 16\)"),
        ("ordinal", {"ord": np.full((3, 16, 16), 2.0)}, r"expected -1, 0, 1 or NaN in `ord`, got 2"),
        ("ordinal", {"ord": np.full((3, 16, 16), np.inf)}, r"expected -1, 0, 1 or NaN in `ord`, got inf"),
        ("ordinal", {"order": 1}, r"ordinal\.mat: expected `ord`, found only"),
        (
            "joints",
            {"joints": np.zeros((3, 14, 3))},
            r"joints\.mat: expected `joints` of shape \(3, 16, any\), got",
        ),
        ("joints", {"joints": np.full((3, 16, 3), 1e8)}, r"expected pixels in `joints`, got 1e\+08"),
    ],
)
def test_damage(tmp_path, name, content, message):
    write_original(tmp_path)
    scipy.io.savemat(tmp_path / "mpii_upis1h" / f"{name}.mat", content)
    with pytest.raises(DownloadError, match=message):
        list(OrdinalOriginal(tmp_path).takes("train"))
    assert len(read(OrdinalOriginal(tmp_path), "lsp_train")[0]) == 3  # the other half is as ever


# --- Joints of other pictures ----------------------------------------------------------------------


def enlarge(path, factor):
    content = scipy.io.loadmat(path)["joints"].astype(float)
    content[:2] *= factor
    scipy.io.savemat(path, {"joints": content})


def test_joints_outside_their_pictures_stop_the_reading(tmp_path):
    write_original(tmp_path)
    enlarge(tmp_path / "mpii_upis1h" / "joints.mat", 3)
    reader = OrdinalOriginal(tmp_path)
    message = (
        r"mpii_upis1h.joints\.mat: expected joints inside their pictures, got \d+ of 42 outside, in 3 of 3 "
        r"pictures\. First \(\d+, \d+\) px in 00001_full\.jpg, which is 200 x 160\. The other half can be "
        r"read alone, as split lsp_train\."
    )
    for split in ("train", "mpii_train"):
        with pytest.raises(DownloadError, match=message):
            list(reader.takes(split))
    assert len(read(reader, "lsp_train")[0]) == 3
    (found,) = [found for found in reader.check() if found.problem]
    assert found.path == "mpii_upis1h/joints.mat" and found.problem.startswith("expected joints inside")


def test_a_few_joints_may_lie_outside(tmp_path):
    write_original(tmp_path)
    path = tmp_path / "lsp_dataset_original" / "joints.mat"
    joints = scipy.io.loadmat(path)["joints"]
    pictures = [tmp_path / "lsp_dataset_original" / "images" / f"im{n:04d}.jpg" for n in (1, 2, 3)]
    joints_px = np.tile(joints[:2].transpose(2, 1, 0), (1, 3, 1))  # 126 joints; 2 % are 2.5
    for outside, raises in ((2, False), (3, True)):
        moved = joints_px.copy()
        moved[0, :outside] = (-30, 20)
        if raises:
            with pytest.raises(
                DownloadError, match=r"f: expected joints inside .* got 3 of 126 outside, in 1 of 3"
            ):
                check_within(moved, pictures, where="f")
        else:
            check_within(moved, pictures, where="f")


def test_joints_of_smaller_pictures_keep_to_a_corner(tmp_path):
    pictures = []
    rng = np.random.default_rng(0)
    joints_px = rng.uniform(0, 199, (25, 14, 2)) * (1, 0.8)
    write_original(tmp_path)
    picture = (tmp_path / "lsp_dataset_original" / "images" / "im0001.jpg").read_bytes()
    for number in range(25):
        pictures.append(tmp_path / f"{number}.jpg")
        pictures[-1].write_bytes(picture)
    check_within(joints_px, pictures, where="f")
    with pytest.raises(
        DownloadError,
        match=r"got 95 % of 25 people in the upper left 40 %: they were placed in smaller pictures",
    ):
        check_within(0.4 * joints_px, pictures, where="f")
    check_within(0.4 * joints_px[:19], pictures[:19], where="f")  # too few to tell
    check_within(3 * joints_px, [tmp_path / "none.jpg"] * 25, where="f")  # nothing to compare with
