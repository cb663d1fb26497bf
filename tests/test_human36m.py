"""What all forms of Human3.6M share, and metadata.xml."""

import json

import numpy as np
import pytest
import torch
from downloads import human36m as made

from hemlets_lib.data.cameras import h36m_camera
from hemlets_lib.data.readers.files import DownloadError
from hemlets_lib.data.readers.human36m.facts import (
    ACTION_NUMBERS,
    ACTIONS,
    DEFAULT_STEPS,
    FRAMES_PER_SECOND,
    JOINT_NAMES_32,
    JOINTS17_OF_32,
    SHIFTED_TAKES,
    SPLITS,
    action_name,
    frames_taken,
    parse_take,
    pelvis_boxes,
    to_hemlets18,
    why_corrupt,
)
from hemlets_lib.data.readers.human36m.metadata import calibration, find_metadata, read_metadata
from hemlets_lib.data.readers.human36m.videos import disagreement_px
from hemlets_lib.geometry import Camera
from hemlets_lib.protocols import get_protocol
from hemlets_lib.skeleton import HEMLETS18

# Which of the data set's own names each of our joints is; worked out from the names, not the numbers.
OWN_NAMES = {
    "pelvis": "Hips", "right_hip": "RightUpLeg", "right_knee": "RightLeg", "right_ankle": "RightFoot",
    "left_hip": "LeftUpLeg", "left_knee": "LeftLeg", "left_ankle": "LeftFoot", "torso": "Spine1",
    "neck": "Neck", "nose": "Head", "head": "Site 15", "left_shoulder": "LeftArm",
    "left_elbow": "LeftForeArm", "left_wrist": "LeftHand", "right_shoulder": "RightArm",
    "right_elbow": "RightForeArm", "right_wrist": "RightHand",
}  # fmt: skip


def test_the_17_joints_by_name():
    assert len(JOINT_NAMES_32) == len(set(JOINT_NAMES_32)) == 32
    named = [JOINT_NAMES_32[place] for place in JOINTS17_OF_32]
    assert named == [OWN_NAMES[joint] for joint in HEMLETS18.joint_names[:17]]


@pytest.mark.parametrize("count", [32, 17])
def test_joints_in_our_order(count):
    joints = np.stack([np.arange(count), 10.0 * np.arange(count)], -1)[None].repeat(2, 0)  # (2, J, 2)
    joints[1] += 1000
    found = to_hemlets18(joints, where="x")
    assert found.shape == (2, 18, 2)
    for place, name in enumerate(HEMLETS18.joint_names[:17]):
        number = JOINT_NAMES_32.index(OWN_NAMES[name]) if count == 32 else place
        assert found[0, place].tolist() == [number, 10 * number], name
        assert found[1, place].tolist() == [1000 + number, 1000 + 10 * number], name
    shoulders = [HEMLETS18.index("left_shoulder"), HEMLETS18.index("right_shoulder")]
    np.testing.assert_array_equal(found[:, 17], found[:, shoulders].mean(1))


def test_unknown_joints_stay_unknown():
    joints = np.ones((1, 32, 3))
    joints[0, JOINT_NAMES_32.index("LeftArm"), 2] = np.nan
    found = to_hemlets18(joints, where="x")
    missing = np.flatnonzero(np.isnan(found[0]).any(-1))
    assert [HEMLETS18.joint_names[place] for place in missing] == ["left_shoulder", "thorax"]
    assert np.isnan(found[0, missing]).all()


def test_another_number_of_joints_is_refused():
    with pytest.raises(DownloadError, match=r"S1/Eating: expected poses of 32 or 17 joints, got an array of"):
        to_hemlets18(np.zeros((3, 16, 3)), where="S1/Eating")


@pytest.mark.parametrize(
    ("name", "action"),
    [
        ("Eating", "Eating"),
        ("Sitting", "Sitting"),
        ("SittingDown", "SittingDown"),
        ("Walking", "Walking"),
        ("WalkingDog", "WalkDog"),
        ("WalkDog", "WalkDog"),
        ("WalkTogether", "WalkTogether"),
        ("WalkingTogether", "WalkTogether"),
        ("Photo", "Photo"),
        ("TakingPhoto", "Photo"),
        ("_ALL", None),
        ("Sit", None),
        ("eating", None),
        ("", None),
    ],
)
def test_actions_go_by_the_whole_name(name, action):
    assert action_name(name) == action


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Eating 2.54138969", ("Eating", "Eating 2", 2, "54138969")),
        ("SittingDown.60457274", ("SittingDown", "SittingDown", None, "60457274")),
        ("TakingPhoto 1", ("Photo", "TakingPhoto 1", 1, "")),
        ("Directions_1", ("Directions", "Directions 1", 1, "")),
        ("WalkingDog-2", ("WalkDog", "WalkingDog 2", 2, "")),
        ("Eating 2.12345678", None),
        ("_ALL 1.54138969", None),
        ("Eating 2.54138969.extra", None),
        ("../Eating 2", None),
        ("Eating  2", None),
    ],
)
def test_names_of_takes(name, expected):
    assert parse_take(name) == expected


def test_actions_are_the_protocols():
    scored = {action for column in get_protocol("h36m").columns for action in column.actions}
    assert set(ACTION_NUMBERS) <= scored and len(ACTIONS) == 15
    assert (ACTIONS[2], ACTIONS[4], ACTIONS[12], ACTIONS[16]) == (
        "Directions",
        "Eating",
        "Photo",
        "WalkTogether",
    )
    assert set(get_protocol("h36m").subjects) == set(SPLITS["test"])


def test_sampling():
    assert DEFAULT_STEPS["test"] == get_protocol("h36m").frame_step
    assert FRAMES_PER_SECOND / DEFAULT_STEPS["train"] == 5
    assert frames_taken(10, 4).tolist() == [0, 4, 8] and frames_taken(0, 4).tolist() == []


def test_damaged_takes():
    assert why_corrupt("S11", "54138969", take="Directions") == "the published video is corrupt"
    assert why_corrupt("S11", "54138969", subaction=("Directions", 2)) == "the published video is corrupt"
    for subject, camera, take in [
        ("S11", "55011271", "Directions"),
        ("S9", "54138969", "Directions"),
        ("S11", "54138969", "Directions 1"),
    ]:
        assert why_corrupt(subject, camera, take=take) == ""
    assert why_corrupt("S11", "54138969", subaction=("Directions", 1)) == ""
    assert {take for _, take in SHIFTED_TAKES} == {"Greeting", "SittingDown 1", "Waiting 1"}


def test_the_box_is_2_m_about_the_pelvis():
    camera = Camera(
        focal_px=torch.tensor([1100.0, 1200.0], dtype=torch.float64),
        centre_px=torch.tensor([500.0, 510.0], dtype=torch.float64),
    )
    joints = np.full((3, 18, 3), 777.0)
    joints[0, 0] = (500, -250, 5000)  # 500 + 1100 · 0.1, 510 - 1200 · 0.05; 1150 · 2000 / 5000
    joints[1, 0] = np.nan
    joints[2, 0] = (0, 0, -5000)
    boxes = pelvis_boxes(joints, camera)
    np.testing.assert_allclose(boxes[0], [610, 450, 460])
    assert np.isnan(boxes[1:]).all()


def test_disagreement_is_the_farthest_pixel():
    camera = h36m_camera("54138969")
    joints = np.array([[[0, 0, 5000.0], [100, 50, 5000], [np.nan] * 3]])
    seen = camera.project(torch.from_numpy(joints)).numpy()
    assert disagreement_px(joints, seen, camera) < 1e-9
    seen[0, 1] += (3, -4)
    assert disagreement_px(joints, seen, camera) == pytest.approx(5)
    seen[0, 1] = np.nan
    assert disagreement_px(joints, seen, camera) < 1e-9
    behind = np.array([[[0, 0, -5000.0]]])
    assert disagreement_px(behind, np.zeros((1, 1, 2)), camera) == np.inf


def test_real_frames_agree_with_the_published_calibration(real_samples):
    """3D and 2D joints of four real frames belong together, and the box holds the person."""
    records = json.loads((real_samples / "h36m" / "annotations.json").read_text(encoding="utf-8"))["records"]
    for record in records:
        camera = h36m_camera(record["camera_id"], record["subject"])
        joints_cam = to_hemlets18(np.array([record["joints_cam_mm"]]), where=record["image"])
        joints_px = to_hemlets18(np.array([record["joints_px"]]), where=record["image"])
        assert disagreement_px(joints_cam[:, :17], joints_px[:, :17], camera) < 0.01, record["image"]
        x, y, side = pelvis_boxes(joints_cam, camera)[0]
        off = np.abs(joints_px[0] - (x, y)).max()
        assert 0.2 * side < off < 0.6 * side, record["image"]


@pytest.fixture
def metadata_path(tmp_path):
    made.write_metadata(tmp_path / "metadata.xml")
    return tmp_path / "metadata.xml"


def test_metadata_cameras(metadata_path):
    metadata = read_metadata(metadata_path)
    assert len(metadata.cameras) == 4 * 11
    for subject, name in [("S1", "54138969"), ("S9", "55011271"), ("S11", "60457274")]:
        known, camera = made.lens(subject, name, changed=True), calibration(metadata, subject, name)
        point = known.T + known.R.T @ np.array([300.0, -200.0, 4000.0])
        np.testing.assert_allclose(
            camera.world_to_cam(torch.from_numpy(point[None])).numpy()[0], [300, -200, 4000], atol=1e-6
        )
        seen = camera.project(torch.tensor([[300.0, -200, 4000]], dtype=torch.float64)).numpy()[0]
        np.testing.assert_allclose(seen, known.project(np.array([300.0, -200, 4000])), atol=1e-9)
        published = h36m_camera(name, subject)
        assert float((camera.focal_px - published.focal_px).abs().min()) > 6, "not read from the file"


def test_metadata_names_of_takes(metadata_path):
    takes = read_metadata(metadata_path).takes
    assert dict(takes["S1"]) == {("Eating", 1): "Eating 2", ("Photo", 1): "TakingPhoto 1"}
    assert dict(takes["S9"]) == {("SittingDown", 2): "SittingDown 1"}
    assert "S2" not in takes


def test_without_metadata_the_published_calibration():
    camera = calibration(None, "S5", "58860488")
    assert torch.equal(camera.position_mm, h36m_camera("58860488", "S5").position_mm)


def test_where_metadata_is_looked_for(metadata_path, tmp_path):
    assert find_metadata(tmp_path) == metadata_path
    (tmp_path / "extracted").mkdir()
    (tmp_path / "S1").mkdir()
    found = find_metadata(tmp_path / "extracted")
    assert found is not None and found.samefile(metadata_path)
    assert find_metadata(tmp_path / "S1") is None


BOMB = (
    '<?xml version="1.0"?><!DOCTYPE m [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]>'
    "<metadata><w0>&b;</w0></metadata>"
)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (BOMB.encode(), "expected plain XML, got one that declares a document type"),
        (BOMB.encode("utf-16"), "expected plain XML, got one that declares a document type"),
        (b"<metadata><w0>[1 2 3]", "expected XML, got a file that cannot be read"),
        (b"<metadata></metadata>", "expected the cameras' calibration in `w0`, found none"),
        (b"<metadata><w0>[1 2 3]</w0></metadata>", r"expected `w0` of shape \(300\), got \(3,\)"),
        (b"<metadata><w0>[a b]</w0></metadata>", "expected numbers in `w0`, got others"),
        (
            b"<metadata><w0>" + b"nan " * 300 + b"</w0></metadata>",
            r"expected finite numbers in `w0`, got nan at \[0\]",
        ),
        (b"", "expected XML of at most 33554432 bytes, got 0"),
        (b"\xff\xfe\x00", "expected XML, got a file that cannot be read"),
    ],
)
def test_bad_metadata(tmp_path, content, message):
    (tmp_path / "metadata.xml").write_bytes(content)
    with pytest.raises(DownloadError, match=rf"metadata\.xml: {message}"):
        read_metadata(tmp_path / "metadata.xml")


def test_odd_tables_of_names_do_not_stop_the_cameras(tmp_path):
    made.write_metadata(tmp_path / "metadata.xml")
    text = (tmp_path / "metadata.xml").read_text(encoding="utf-8")
    start, end = text.index("<mapping>"), text.index("</mapping>")
    for table in ("", "<tr/>", "<tr><td>1</td></tr><tr><td/><td>x</td><td>../../etc</td></tr>"):
        (tmp_path / "metadata.xml").write_text(
            text[:start] + "<mapping>" + table + text[end:], encoding="utf-8"
        )
        assert read_metadata(tmp_path / "metadata.xml").takes == {}
