"""Leeds Sports Pose and its extension: the order by name, what a joint's third number means."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.io
from downloads.lsp import WRITERS, lsp_people, write_extended, write_extended_hr, write_original

from hemlets_lib.data.readers.contract import Skipped, Take
from hemlets_lib.data.readers.files import DownloadError
from hemlets_lib.data.readers.joint_orders import LSP14
from hemlets_lib.data.readers.lsp import (
    LSP_TRAINING,
    READERS,
    LspExtended,
    LspExtendedHighResolution,
    LspOriginal,
    lsp_joints_px,
)
from hemlets_lib.skeleton import HEMLETS18
from hemlets_lib.triplets import UNKNOWN

# The order of README.txt, under our names.
ORDER = [
    "right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle", "right_wrist",
    "right_elbow", "right_shoulder", "left_shoulder", "left_elbow", "left_wrist", "neck", "head",
]  # fmt: skip


def read(reader, split="train"):
    """The take, and what was left out."""
    items = list(reader.takes(split))
    (take,) = [item for item in items if isinstance(item, Take)]
    return take, [item for item in items if isinstance(item, Skipped)]


def at(joints_px, name):
    return joints_px[HEMLETS18.index(name)]


def save(root, joints):
    scipy.io.savemat(root / "joints.mat", {"joints": joints})


def test_the_order_by_name():
    assert list(LSP14.joint_names) == ORDER
    pairs = {(LSP14.joint_names[i], LSP14.joint_names[j]) for i, j in LSP14.flip_pairs}
    assert LSP14.flip_pairs == ((0, 5), (1, 4), (2, 3), (6, 11), (7, 10), (8, 9))
    assert all(left.removeprefix("right_") == right.removeprefix("left_") for left, right in pairs)


def test_original(tmp_path):
    write_original(tmp_path)
    people = lsp_people(3, seed=21)
    take, skipped = read(LspOriginal(tmp_path))
    assert not skipped and take.frames.tolist() == [0, 1, 2]
    for found, expected in zip(take.joints_px, people, strict=True):
        for name, place in zip(ORDER, expected, strict=True):
            np.testing.assert_array_equal(at(found, name), place, err_msg=name)
        np.testing.assert_allclose(at(found, "pelvis"), (expected[2] + expected[3]) / 2)
        np.testing.assert_allclose(at(found, "thorax"), (expected[8] + expected[9]) / 2)
        for name in ("torso", "nose"):
            assert np.isnan(at(found, name)).all()
    # Person 1's right ankle and elbow are occluded: placed all the same.
    assert np.isfinite(take.joints_px[1]).all(-1).sum() == 16
    assert (take.states == UNKNOWN).all() and take.boxes_px is None
    sample = take.sample(1, size=64)
    assert (sample.meta.sample_id, sample.meta.dataset, sample.meta.source) == (
        "lsp/im0002", "lsp", "original",
    )  # fmt: skip
    assert sample.in_crop.sum() == 16 and not sample.depth_valid.any()


def test_the_first_thousand_are_for_training(tmp_path):
    joints = np.arange(3 * 14 * (LSP_TRAINING + 2), dtype=float).reshape(3, 14, -1)
    save(tmp_path, joints)
    train, test = (list(LspOriginal(tmp_path).people(split)) for split in ("train", "test"))
    assert (len(train), len(test)) == (1000, 2)
    assert [person.picture.name for person in (train[0], train[-1], *test)] == [
        "im0001.jpg", "im1000.jpg", "im1001.jpg", "im1002.jpg",
    ]  # fmt: skip
    np.testing.assert_array_equal(test[0].joints_px, joints[:2, :, 1000].T)
    assert [person.number for person in test] == [1000, 1001]


def test_extended_labels_only_what_is_visible(tmp_path):
    write_extended(tmp_path)
    people = lsp_people(4, seed=22)
    take, skipped = read(LspExtended(tmp_path))
    assert [(item.name, item.reason) for item in skipped] == [("im00004", "fewer than two joints labelled")]
    assert take.frames.tolist() == [0, 1, 2]
    np.testing.assert_array_equal(at(take.joints_px[0], "left_ankle"), people[0, 5])
    known = [name for name in ORDER if np.isfinite(at(take.joints_px[1], name)).all()]
    assert known == [name for name in ORDER if name not in ("left_ankle", "head")]
    np.testing.assert_array_equal(at(take.joints_px[2], "head"), people[2, 13])


def test_high_resolution_names_have_gaps(tmp_path):
    write_extended_hr(tmp_path)
    people = lsp_people(3, seed=23)
    take, skipped = read(LspExtendedHighResolution(tmp_path))
    assert not skipped
    assert [path.name for path in take.pictures.paths] == ["im00002.png", "im00010.png", "im00731.png"]
    for found, expected in zip(take.joints_px, people, strict=True):
        np.testing.assert_array_equal(at(found, "right_wrist"), expected[6])
    (tmp_path / "im00010.png").unlink()
    with pytest.raises(
        DownloadError, match=r"joints\.mat: expected a picture im\*\.png for each of its 3 entri"
    ):
        read(LspExtendedHighResolution(tmp_path))


def test_both_layouts_are_read_alike(tmp_path):
    joints = np.random.default_rng(0).uniform(1, 90, (5, 14, 3))
    save(tmp_path, joints.transpose(2, 1, 0))  # (3, 14, N)
    first = lsp_joints_px(tmp_path / "joints.mat")
    save(tmp_path, joints.transpose(1, 2, 0))  # (14, 3, N)
    np.testing.assert_array_equal(first, lsp_joints_px(tmp_path / "joints.mat"))
    np.testing.assert_array_equal(first, joints)


def test_nan_is_unlabelled(tmp_path):
    joints = np.random.default_rng(0).uniform(1, 90, (3, 14, 1))
    joints[0, 4, 0] = np.nan
    save(tmp_path, joints)
    (person,) = LspOriginal(tmp_path).people("train")
    assert np.isnan(person.joints_px).any(-1).tolist() == [joint == 4 for joint in range(14)]


@pytest.mark.parametrize(
    ("joints", "message"),
    [
        (np.zeros((3, 16, 2)), r"joints\.mat: expected `joints` of shape \(14, 3, any\), got \(3, 16, 2\)"),
        (np.zeros((14, 3)), r"expected `joints` of shape \(14, 3, any\), got \(14, 3\)"),
        (np.zeros((14, 3, 0)), r"expected people in `joints`, got none|expected `joints` of shape"),
        ("text", r"expected `joints` of shape|expected numbers in `joints`"),
        (np.full((14, 3, 1), 1e9), r"expected pixels in `joints`, got 1e\+09"),
    ],
)
def test_damaged_joints(tmp_path, joints, message):
    save(tmp_path, joints)
    for reader in READERS:
        with pytest.raises(DownloadError, match=message):
            list(reader(tmp_path).people("train"))


def test_the_flag_must_be_one(tmp_path):
    joints = np.ones((14, 3, 2))
    joints[3, 2, 1] = 2
    save(tmp_path, joints)
    with pytest.raises(DownloadError, match=r"expected 0 or 1 as a joint's third number, got 2"):
        list(LspExtended(tmp_path).people("train"))
    assert len(list(LspOriginal(tmp_path).people("train"))) == 2  # where it does not matter


def test_missing_and_other_files(tmp_path):
    with pytest.raises(DownloadError, match=r"joints\.mat: expected a file there, found none"):
        list(LspOriginal(tmp_path).takes("train"))
    scipy.io.savemat(tmp_path / "joints.mat", {"other": 1})
    with pytest.raises(DownloadError, match=r"joints\.mat: expected `joints`, found only"):
        list(LspOriginal(tmp_path).takes("train"))
    (tmp_path / "joints.mat").write_bytes(b"MATLAB 5.0 MAT-file" + bytes(200))
    with pytest.raises(DownloadError, match=r"joints\.mat: expected"):
        list(LspOriginal(tmp_path).takes("train"))


def test_forms_know_themselves(tmp_path):
    for reader in READERS:
        root = tmp_path / reader.form
        root.mkdir()
        WRITERS["lsp", reader.form](root)
        assert [other.form for other in READERS if other.recognises(root)] == [reader.form]
        (root / "joints.mat").unlink()  # by its pictures alone
        assert reader.recognises(root)
        assert [found.path for found in reader(root).check() if found.problem] == ["joints.mat"]
    assert not any(reader.recognises(tmp_path) for reader in READERS)
