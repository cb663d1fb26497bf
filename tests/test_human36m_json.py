"""Moon et al.'s JSON: what `t` means is found out, records by name, everything that may be wrong."""

from __future__ import annotations

import json

import numpy as np
import pytest
from downloads.human36m import CAMERAS
from downloads.human36m_images import shot, write_posenet_json

from hemlets_lib.data.readers import Skipped, Take
from hemlets_lib.data.readers.files import DownloadError
from hemlets_lib.data.readers.human36m.posenet_json import Human36mPosenetJson
from hemlets_lib.data.readers.human36m.posenet_json_files import read_subject

SHOTS = (
    shot("S9", 10, 2, "SittingDown 1", CAMERAS[0], (0, 5, 64)),
    shot("S9", 10, 2, "SittingDown 1", CAMERAS[1], (0, 5, 64)),
    shot("S9", 4, 1, "Eating", CAMERAS[0], (0, 64)),
)


@pytest.fixture
def root(tmp_path):
    write_posenet_json(tmp_path, SHOTS)
    return tmp_path


def path_of(root, kind):
    return root / "annotations" / f"Human36M_subject9_{kind}.json"


def change(root, kind, function):
    """The content of a file, changed in place by a function."""
    path = path_of(root, kind)
    content = json.loads(path.read_text())
    function(content)
    path.write_text(json.dumps(content))


def read(root, split="test", **options):
    items = list(Human36mPosenetJson(root).takes(split, **options))
    return [each for each in items if isinstance(each, Take)], [
        (each.name, each.reason, each.frames) for each in items if isinstance(each, Skipped)
    ]


@pytest.mark.parametrize("centre", [("S9",), ()], ids=["centre", "translation"])
def test_either_meaning_of_t_gives_the_same_joints(tmp_path, centre):
    write_posenet_json(tmp_path, SHOTS, centre=centre)
    takes, skipped = read(tmp_path)
    assert skipped == [("S11", "the subject is missing", 0)]
    assert [take.meta.action for take in takes] == ["Eating", "SittingDown", "SittingDown"]
    for take, one in zip(takes, (SHOTS[2], SHOTS[0], SHOTS[1]), strict=True):
        np.testing.assert_allclose(take.joints_cam_mm[:, :17], one.cam_mm, atol=1e-6)
        np.testing.assert_allclose(take.camera.position_mm.numpy(), one.lens.T, atol=1e-6)


def test_a_t_that_is_neither_is_refused(root):
    def shift(cameras):
        cameras["2"]["t"] = [value + 3000 for value in cameras["2"]["t"]]

    change(root, "camera", shift)
    with pytest.raises(
        DownloadError,
        match=r"subject9_camera\.json, camera 2: expected `t` to bring the joints into the boxes of "
        r".*subject9_data\.json, .*got \d+ % as centre and \d+ % as translation",
    ):
        read(root)


def test_translations_may_be_columns(root):
    change(root, "camera", lambda cameras: cameras["1"].update(t=[[v] for v in cameras["1"]["t"]]))
    assert len(read(root)[0]) == 3


def test_steps_divide_the_number_of_a_frame(root):
    takes, _ = read(root, step=64)
    assert [take.frames.tolist() for take in takes] == [[0, 64]] * 3
    assert takes[1].pictures.paths[1].name == f"{SHOTS[0].folder}_000003.jpg"  # as `file_name` says
    assert takes[1].sample(1, size=32).meta.frame == 64


def test_single_frames_without_joints_are_left_out(root):
    change(root, "joint_3d", lambda joints: joints["10"]["2"].pop("5"))
    takes, skipped = read(root)
    assert (SHOTS[0].folder, "no 3D joints are listed", 1) in skipped
    assert takes[1].frames.tolist() == [0, 64]
    change(root, "joint_3d", lambda joints: joints.pop("10"))
    takes, skipped = read(root)
    assert len(takes) == 1 and (SHOTS[1].folder, "no 3D joints are listed", 3) in skipped


def test_a_picture_listed_twice(root):
    def again(data):
        data["images"].append({**data["images"][0], "id": 999999})

    change(root, "data", again)
    takes, skipped = read(root)
    assert (SHOTS[0].folder, "listed twice", 1) in skipped
    assert takes[1].frames.tolist() == [0, 5, 64]


def test_numbers_that_are_none_of_the_data_set(root):
    def rename(data):
        data["images"][0].update(action_idx=1)
        data["images"][1].update(cam_idx=7)

    change(root, "data", rename)
    _, skipped = read(root)
    reason = "not an action and camera of Human3.6M"
    assert ("s_09_act_01_subact_02_ca_01", reason, 1) in skipped
    assert ("s_09_act_10_subact_02_ca_07", reason, 1) in skipped


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("file_name", None, r"subject9_data\.json, images 1: expected `file_name`, found only action_idx"),
        ("frame_idx", "5", r"images 1: expected `frame_idx` to be a whole number from 0, got '5'"),
        ("frame_idx", -1, "expected `frame_idx` to be a whole number from 0, got -1"),
        ("frame_idx", 10**400, "expected `frame_idx` to be a whole number"),
        ("cam_idx", True, "expected `cam_idx` to be a whole number from 0, got True"),
        ("id", [1], r"expected `id` to be a whole number from 0, got \[1\]"),
        ("subject", 11, "images 1: expected `subject` to be 9, got 11"),
    ],
)
def test_malformed_images(root, key, value, message):
    def spoil(data):
        if value is None:
            del data["images"][1][key]
        else:
            data["images"][1][key] = value

    change(root, "data", spoil)
    with pytest.raises(DownloadError, match=message):
        read(root)


@pytest.mark.parametrize("name", ["../../secret.jpg", "/etc/passwd", "C:\\secret.jpg", 3, ""])
def test_hostile_names_of_pictures(root, name):
    change(root, "data", lambda data: data["images"][1].update(file_name=name))
    with pytest.raises(DownloadError, match=r"file_name: expected (a path inside|the name of a file)"):
        read(root)
    if name:  # what is no text is not looked for in the text of the file
        problems = [found.problem for found in Human36mPosenetJson(root).check() if found.problem]
        assert name == 3 or any("which leads out of it" in problem for problem in problems)


@pytest.mark.parametrize(
    ("kind", "content", "message"),
    [
        ("data", [], r"subject9_data\.json: expected an object, got list"),
        ("data", {"images": []}, "expected `annotations`, found only images"),
        ("data", {"images": {}, "annotations": []}, "expected `images` to be a list, got dict"),
        ("data", {"images": [3], "annotations": []}, "images 0: expected an object, got int"),
        (
            "data",
            {"images": [], "annotations": [{}]},
            "annotations 0: expected `image_id`, found only nothing",
        ),
        ("camera", {}, r"subject9_camera\.json, camera 1: expected R, t, f and c, found none"),
        ("camera", [1], "camera 1: expected R, t, f and c, found none"),
        ("camera", {"1": {"R": 1}}, r"`R` of shape \(9\), got \(1,\)"),
        ("camera", {"1": {"R": [[1, 2], [3]]}}, "expected numbers in `R`"),
    ],
)
def test_malformed_files(root, kind, content, message):
    path_of(root, kind).write_text(json.dumps(content))
    with pytest.raises(DownloadError, match=message):
        read(root)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([[1, 2, 3]] * 16, r"joint_3d\.json, 10/2/0: expected `joints` of shape \(17, 3\), got \(16, 3\)"),
        ([[1, 2, float("nan")]] * 17, "10/2/0: expected finite numbers in `joints`, got nan"),
        ("far", "10/2/0: expected numbers in `joints`"),
    ],
)
def test_malformed_joints(root, value, message):
    change(root, "joint_3d", lambda joints: joints["10"]["2"].update({"0": value}))
    with pytest.raises(DownloadError, match=message):
        read(root)


def test_boxes_may_be_missing_but_not_all(root):
    change(root, "data", lambda data: data["annotations"][0].pop("bbox"))
    assert len(read(root)[0]) == 3
    change(root, "data", lambda data: data["annotations"][1].update(bbox=[1, 2, 3]))
    with pytest.raises(
        DownloadError, match=rf"{SHOTS[0].folder}_000002\.jpg: expected `bbox` of shape \(4\)"
    ):
        read(root)
    change(root, "data", lambda data: data.update(annotations=[]))
    with pytest.raises(DownloadError, match=r"expected `bbox` of frames before camera 1, found none"):
        read(root)


@pytest.mark.parametrize("kind", ["data", "camera", "joint_3d"])
def test_a_file_that_is_missing_or_cut_short_is_named(root, kind):
    path = path_of(root, kind)
    whole = path.read_bytes()
    path.write_bytes(whole[:-2])
    with pytest.raises(DownloadError, match=rf"{path.name}: expected JSON"):
        read(root)
    problems = {found.path: found.problem for found in Human36mPosenetJson(root).check() if found.problem}
    assert "cut short" in problems[f"annotations/{path.name}"]
    path.unlink()
    with pytest.raises(DownloadError, match=rf"{path.name}: expected a file there, found none"):
        read(root)
    problems = {found.path: found.problem for found in Human36mPosenetJson(root).check() if found.problem}
    assert problems[f"annotations/{path.name}"] == "missing"


def test_nothing_to_read(tmp_path):
    with pytest.raises(
        DownloadError, match=r"subject9_data\.json: expected annotations of S9, S11, found none"
    ):
        read(tmp_path)
    assert any(found.problem for found in Human36mPosenetJson(tmp_path).check())


def test_one_subject_at_a_time(root):
    files = read_subject("S9", {kind: path_of(root, kind) for kind in ("data", "camera", "joint_3d")})
    assert len(files.frames) == 8
    third = files.frames[2]
    assert third.file_name == f"{SHOTS[0].folder}/{SHOTS[0].folder}_000003.jpg"
    assert (third.number, third.key) == (64, (10, 2, 1))
