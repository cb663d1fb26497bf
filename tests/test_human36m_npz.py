"""MMPose's and SPIN's lists: which joints are which, what a list leaves open, what may be wrong."""

from __future__ import annotations

import pickle
import shutil

import numpy as np
import pytest
import torch
from downloads.human36m import CAMERAS
from downloads.human36m_images import mmpose_cameras, shot, spin_arrays, write_mmpose, write_spin

from hemlets_lib.data.readers import Skipped, Take
from hemlets_lib.data.readers.files import DownloadError
from hemlets_lib.data.readers.human36m.lists import boxes_px, known_joints
from hemlets_lib.data.readers.human36m.npz import Human36mMmpose, Human36mSpin
from hemlets_lib.data.readers.joint_orders import SPIN24
from hemlets_lib.data.sample import UnreadableSample
from hemlets_lib.skeleton import HEMLETS18
from hemlets_lib.triplets import part_states

SHOTS = (
    shot("S9", 10, 2, "SittingDown 1", CAMERAS[0], (0, 5, 10)),
    shot("S11", 2, 1, "Directions 1", CAMERAS[1], (0, 5)),
    shot("S1", 15, 1, "WalkingDog 1", CAMERAS[2], (0, 10)),
)
LIST = "annotation_body3d/fps50/h36m_test.npz"


def read(reader, split="test", **options):
    items = list(reader.takes(split, **options))
    return [each for each in items if isinstance(each, Take)], [
        (each.name, each.reason, each.frames) for each in items if isinstance(each, Skipped)
    ]


def rewrite(path, **changes):
    """The same .npz with other arrays; None takes one out."""
    with np.load(path) as stored:
        arrays = {**dict(stored), **changes}
    np.savez(path, **{key: value for key, value in arrays.items() if value is not None})


def arrays_of(path):
    with np.load(path) as stored:
        return dict(stored)


@pytest.fixture
def mmpose(tmp_path):
    write_mmpose(tmp_path, SHOTS)
    return tmp_path


@pytest.fixture
def spin(tmp_path):
    write_spin(tmp_path, SHOTS)
    return tmp_path


# --- MMPose ----------------------------------------------------------------------------------------


def test_mmpose_boxes_and_cameras(mmpose):
    takes, skipped = read(Human36mMmpose(mmpose))
    assert not skipped and [take.meta.subject for take in takes] == ["S9", "S11"]
    centre, side = SHOTS[0].boxes
    np.testing.assert_allclose(takes[0].boxes_px, np.column_stack([centre, side]), atol=1e-9)
    np.testing.assert_allclose(takes[0].camera.rotation.numpy(), SHOTS[0].lens.R, atol=1e-12)
    np.testing.assert_allclose(takes[0].camera.position_mm.numpy(), SHOTS[0].lens.T, atol=1e-9)
    np.testing.assert_allclose(takes[0].camera.p_tangential.numpy(), SHOTS[0].lens.p, atol=1e-12)
    assert takes[0].sample(1, size=32).in_crop[:17].all()


def test_the_highest_rate_is_read(mmpose):
    slow = mmpose / "annotation_body3d" / "fps10"
    slow.mkdir()
    shutil.copy(mmpose / LIST, slow / "h36m_test.npz")
    rewrite(slow / "h36m_test.npz", scale=np.full(5, 9.0))
    assert read(Human36mMmpose(mmpose))[0][0].boxes_px[0, 2] != 1800
    (mmpose / LIST).unlink()
    assert read(Human36mMmpose(mmpose))[0][0].boxes_px[0, 2] == 1800


def test_lists_beside_the_cameras(mmpose, tmp_path_factory):
    root = tmp_path_factory.mktemp("flat")
    shutil.move(mmpose / LIST, root)
    shutil.move(mmpose / "annotation_body3d" / "cameras.pkl", root)
    shutil.move(mmpose / "images", root)
    assert Human36mMmpose.recognises(root) and not Human36mSpin.recognises(root)
    assert len(read(Human36mMmpose(root))[0]) == 2


def test_names_from_windows(mmpose):
    names = arrays_of(mmpose / LIST)["imgname"]
    rewrite(mmpose / LIST, imgname=np.char.replace(names, "/", "\\"))
    assert read(Human36mMmpose(mmpose))[0][0].sample(0, size=32).in_crop[:17].all()
    assert not [found for found in Human36mMmpose(mmpose).check() if found.problem]
    rewrite(mmpose / LIST, imgname=np.char.encode(names))
    assert len(read(Human36mMmpose(mmpose))[0]) == 2


def test_joints_that_are_not_there(mmpose):
    arrays = arrays_of(mmpose / LIST)
    arrays["part"][0, 10, 2] = 0  # the head's pixel, and the left wrist in space
    arrays["S"][0, 13, 3] = 0
    rewrite(mmpose / LIST, **arrays)
    take = read(Human36mMmpose(mmpose))[0][0]
    sample = take.sample(0, size=32)
    unseen = [HEMLETS18.joint_names[j] for j in torch.where(~sample.joint_valid)[0]]
    shallow = [HEMLETS18.joint_names[j] for j in torch.where(~sample.depth_valid)[0]]
    assert (unseen, shallow) == (["head"], ["left_wrist"])


def test_rows_that_do_not_belong_together(mmpose):
    arrays = arrays_of(mmpose / LIST)
    rewrite(mmpose / LIST, part=arrays["part"][::-1])
    takes, skipped = read(Human36mMmpose(mmpose))
    reason = "its 3D and 2D joints do not belong together"
    assert not takes and skipped == [
        ("S9/SittingDown 1.54138969", reason, 3), ("S11/Directions 1.55011271", reason, 2),
    ]  # fmt: skip


def test_fewer_names_than_rows_are_refused(mmpose):
    """What preprocess_h36m.py leaves where a video is shorter than its poses."""
    names = arrays_of(mmpose / LIST)["imgname"]
    rewrite(mmpose / LIST, imgname=names[:-1])
    message = r"h36m_test\.npz: expected as many rows everywhere, got 4 names of pictures and 5 of `center`"
    with pytest.raises(DownloadError, match=message):
        read(Human36mMmpose(mmpose))
    assert any("4 names of pictures" in found.problem for found in Human36mMmpose(mmpose).check())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"S": None}, r"h36m_test\.npz: expected `S`, found only imgname, center, scale, part"),
        ({"part": None}, "expected `part`, found only"),
        ({"S": np.zeros((5, 16, 4))}, r"expected `S` of shape \(any, 17, 4\), got \(5, 16, 4\)"),
        ({"part": np.zeros((5, 17, 2))}, r"expected `part` of shape \(any, 17, 3\), got \(5, 17, 2\)"),
        ({"imgname": np.arange(5)}, "expected a list of pictures' names in `imgname`, got something else"),
        ({"imgname": np.array([["a"]] * 5)}, "expected a list of pictures' names"),
        ({"imgname": np.array([{}] * 5)}, "imgname: expected numbers, got Python objects"),
        ({"center": np.array(5.0)}, r"expected `center` of shape \(any, 2\), got \(\)"),
        ({"scale": np.array(["a"] * 5)}, "expected numbers in `scale`"),
    ],
)
def test_malformed_lists(mmpose, changes, message):
    rewrite(mmpose / LIST, **changes)
    with pytest.raises(DownloadError, match=message):
        read(Human36mMmpose(mmpose))


@pytest.mark.parametrize("prefix", ["../../", "/etc/", "S9/../../"])
def test_hostile_names_of_pictures(mmpose, prefix):
    names = arrays_of(mmpose / LIST)["imgname"]
    rewrite(mmpose / LIST, imgname=np.array([prefix + name.rpartition("/")[2] for name in names]))
    with pytest.raises(DownloadError, match=r"h36m_test\.npz, imgname: expected a path inside"):
        read(Human36mMmpose(mmpose))
    assert any("leads out of it" in found.problem for found in Human36mMmpose(mmpose).check())


def _change_camera(content, key, value):
    content["S9", CAMERAS[0]][key] = value


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda c: c.pop(("S9", CAMERAS[0])), r"cameras\.pkl, S9 54138969: expected a camera, found none"),
        (lambda c: c["S9", CAMERAS[0]].pop("k"), "expected `k`, found only R, T, c, f, p, w, h, name, id"),
        (lambda c: _change_camera(c, "f", np.ones(3)), r"`f` of shape \(2\), got \(3,\)"),
        (lambda c: _change_camera(c, "R", np.ones((3, 3))), "S9 54138969: expected a rotation in `R`"),
        (lambda c: _change_camera(c, "T", [np.nan] * 3), "expected finite numbers in `T`"),
    ],
)
def test_malformed_cameras(mmpose, spoil, message):
    cameras = mmpose_cameras()
    spoil(cameras)
    (mmpose / "annotation_body3d" / "cameras.pkl").write_bytes(pickle.dumps(cameras))
    with pytest.raises(DownloadError, match=message):
        read(Human36mMmpose(mmpose))
    assert any("cameras.pkl" in found.path and found.problem for found in Human36mMmpose(mmpose).check())


def test_a_pickle_that_would_run_something(mmpose):
    (mmpose / "annotation_body3d" / "cameras.pkl").write_bytes(pickle.dumps({"a": shutil.rmtree}))
    with pytest.raises(DownloadError, match=r"asks for shutil\.rmtree\. It was not run"):
        read(Human36mMmpose(mmpose))


def test_missing_folders_and_pictures(mmpose):
    shutil.rmtree(mmpose / "images" / "S11")
    takes, skipped = read(Human36mMmpose(mmpose))
    assert skipped == [("S11/Directions 1.55011271", "its pictures are missing", 2)]
    takes[0].pictures.paths[1].write_bytes(b"not a picture")
    with pytest.raises(UnreadableSample, match=r"_000006\.jpg: expected a complete picture"):
        takes[0].sample(1, size=32)


def test_a_box_that_is_none(mmpose):
    scale = arrays_of(mmpose / LIST)["scale"]
    scale[1] = np.inf
    rewrite(mmpose / LIST, scale=scale)
    take = read(Human36mMmpose(mmpose))[0][0]
    with pytest.raises(UnreadableSample, match="`box_side_px` must be positive"):
        take.sample(1, size=32)
    assert take.sample(2, size=32).in_crop[:17].all()
    assert np.isnan(boxes_px(np.ones((1, 2)), np.array([1e308]))).all()


def test_nothing_to_read(tmp_path):
    with pytest.raises(DownloadError, match=r"cameras\.pkl: expected a file there, found none"):
        read(Human36mMmpose(tmp_path))
    with pytest.raises(DownloadError, match=r"h36m_valid_protocol1\.npz: expected a file there, found none"):
        read(Human36mSpin(tmp_path))
    assert {found.path for found in Human36mSpin(tmp_path).check() if found.problem} == {
        "h36m_train.npz", "h36m_valid_protocol1.npz", "h36m_valid_protocol2.npz",
    }  # fmt: skip


# --- SPIN ------------------------------------------------------------------------------------------


def test_spin_joints_by_name():
    """A number for each of the 24 places, against the names of constants.py."""
    places = torch.arange(24.0)[:, None].repeat(1, 2)
    mapped, known = SPIN24.remap(places, HEMLETS18)
    assert known.all()
    by_name = {name: int(mapped[place, 0]) for place, name in enumerate(HEMLETS18.joint_names)}
    assert by_name == {
        "pelvis": 14, "right_hip": 2, "right_knee": 1, "right_ankle": 0, "left_hip": 3, "left_knee": 4,
        "left_ankle": 5, "torso": 16, "neck": 12, "nose": 17, "head": 18, "left_shoulder": 9,
        "left_elbow": 10, "left_wrist": 11, "right_shoulder": 8, "right_elbow": 7, "right_wrist": 6,
        "thorax": 8,  # the middle of 8 and 9, cut to a whole number
    }  # fmt: skip


def test_spin_knows_depth_and_order_but_no_place(spin):
    (take,), _ = read(Human36mSpin(spin), "train")
    assert take.joints_cam_mm is None and take.camera is not None
    sample = take.sample(0, size=32)
    assert sample.joints_cam_mm is None and sample.depth_valid.all() and sample.in_crop[:17].all()
    pose = np.concatenate([SHOTS[2].cam_mm[0], SHOTS[2].cam_mm[0, [11, 14]].mean(0, keepdims=True)])
    torch.testing.assert_close(sample.part_states, part_states(torch.from_numpy(pose), HEMLETS18))


def test_spin_test_lists_have_no_pixels(spin):
    takes, _ = read(Human36mSpin(spin))
    sample = takes[0].sample(0, size=32)
    assert not sample.joint_valid.any() and (sample.joints_crop[:, :2] == 0).all()
    assert sample.depth_valid.all()
    notes = {found.path: found.note for found in Human36mSpin(spin).check()}
    assert notes["h36m_valid_protocol1.npz"] == "5 pictures; no pixels of joints"
    assert notes["h36m_train.npz"] == "2 pictures"


def test_spin_test_lists_with_pixels(spin):
    np.savez(spin / "h36m_valid_protocol2.npz", **spin_arrays(SHOTS[:1], pixels=True))
    takes, _ = read(Human36mSpin(spin), "test_p2", step=10)
    assert takes[0].frames.tolist() == [0, 10]
    np.testing.assert_allclose(takes[0].joints_px[1, :17], SHOTS[0].px[2], atol=1e-9)


def test_spin_training_lists_need_pixels(spin):
    rewrite(spin / "h36m_train.npz", part=None)
    with pytest.raises(DownloadError, match=r"h36m_train\.npz: expected `part`, found only"):
        read(Human36mSpin(spin), "train")


def test_lists_below_dataset_extras(spin):
    (spin / "dataset_extras").mkdir()
    shutil.move(spin / "h36m_train.npz", spin / "dataset_extras")
    assert len(read(Human36mSpin(spin), "train")[0]) == 1


def test_known_joints():
    joints = np.array([[[1.0, 2, 1], [3, 4, 0]]])
    found = known_joints(joints, unit=10)
    assert found[0, 0].tolist() == [10, 20] and np.isnan(found[0, 1]).all()
