"""MPII in its three forms: people by name, the published crop, what may be missing, what is damage."""

from __future__ import annotations

import json
import shutil

import h5py
import numpy as np
import pytest
import scipy.io
from downloads.mpii import (
    EMPTY,
    MAT_NAME,
    NAME,
    WRITERS,
    list_record,
    mpii_people,
    points,
    rect,
    release,
    structs,
    write_coco_json,
    write_original,
    write_simple_baselines,
)

from hemlets_lib.data.photos import read_photos
from hemlets_lib.data.readers import mat_structs as mat
from hemlets_lib.data.readers.contract import Skipped, Take
from hemlets_lib.data.readers.files import DownloadError
from hemlets_lib.data.readers.mpii import (
    READERS,
    MpiiCocoJson,
    MpiiOriginal,
    MpiiSimpleBaselines,
    mpii_box_px,
    mpii_joints_px,
)
from hemlets_lib.skeleton import HEMLETS18
from hemlets_lib.triplets import UNKNOWN

# MPII's order, as its README counts joints, under our names.
ORDER = [
    "right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle", "pelvis", "thorax",
    "neck", "head", "right_wrist", "right_elbow", "right_shoulder", "left_shoulder", "left_elbow",
    "left_wrist",
]  # fmt: skip


def read(reader, split="train"):
    """The take, and what was left out."""
    items = list(reader.takes(split))
    takes = [item for item in items if isinstance(item, Take)]
    return (takes or [None])[0], [item for item in items if isinstance(item, Skipped)]


def assert_by_name(joints_px, expected):
    """(18, 2) against (16, 2) in MPII's order, from 1."""
    for name, place in zip(ORDER, expected, strict=True):
        np.testing.assert_allclose(joints_px[HEMLETS18.index(name)], place - 1, err_msg=name)
    for name in ("torso", "nose"):
        assert np.isnan(joints_px[HEMLETS18.index(name)]).all()


# --- Golden ----------------------------------------------------------------------------------------


def test_the_published_crop_by_hand():
    # Position (60, 40) from 1, scale 0.8: 15 x 0.8 px lower, 200 x 1.25 x 0.8 px wide.
    np.testing.assert_allclose(mpii_box_px(np.array([60.0, 40.0]), 0.8), (59, 51, 200))


def test_joints_count_from_1_and_two_times_minus_1_is_none():
    joints = np.array([(1.0, 5.0), (-1.0, -1.0), (-1.0, 7.0), (3.0, 4.0)] * 4)
    known = np.array([True, True, True, False] * 4)
    found = mpii_joints_px(joints, known)[:4]
    np.testing.assert_array_equal(found, [(0, 4), (np.nan, np.nan), (-2, 6), (np.nan, np.nan)])


def test_original(tmp_path):
    write_original(tmp_path)
    people = mpii_people(6, seed=11)
    take, skipped = read(MpiiOriginal(tmp_path))
    assert take.frames.tolist() == [0, 3, 3]
    assert [take.pictures.name(place) for place in range(3)] == ["000000001:0", "000000004:0", "000000004:1"]
    people[3, [0, 9]] = np.nan
    for place, person in enumerate((0, 2, 3)):
        assert_by_name(take.joints_px[place], people[person])
    assert (take.states == UNKNOWN).all()
    position = np.round((people[0, 6] + people[0, 7]) / 2)
    np.testing.assert_allclose(take.boxes_px[0], mpii_box_px(position, np.ptp(people[0, :, 1]) / 200))
    assert [(item.name, item.reason, item.frames) for item in skipped] == [
        ("000000001:1", "no position or scale", 1),
        ("000000002", "nobody labelled in the picture", 0),
        ("000000003:0", "no joints labelled", 1),
        ("000000003:1", "no joints labelled", 1),
        ("000000004:2", "no joints labelled", 1),
        ("000000005:0", "fewer than two joints labelled", 1),
    ]


def test_original_people_who_stand_apart(tmp_path):
    write_original(tmp_path)
    take, skipped = read(MpiiOriginal(tmp_path), "train_single")
    assert [take.pictures.name(place) for place in range(len(take))] == [
        "000000001:0", "000000004:0", "000000004:1",
    ]  # fmt: skip
    assert {item.reason for item in skipped} == {
        "nobody labelled in the picture",
        "fewer than two joints labelled",
    }


def test_of_test_pictures_only_boxes_are_known(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
    write_original(tmp_path / "a")
    write_simple_baselines(tmp_path / "b")
    take, skipped = read(MpiiOriginal(tmp_path / "a"), "test")
    assert not skipped and take.frames.tolist() == [5]
    np.testing.assert_allclose(take.boxes_px, [(89, 69 + 7.5, 125)])
    sample = take.sample(0, size=32)
    assert not sample.joint_valid.any() and (sample.part_states == UNKNOWN).all()
    take, _ = read(MpiiSimpleBaselines(tmp_path / "b"), "test")
    assert len(take) == 1 and np.isnan(take.joints_px).all()


def test_simple_baselines(tmp_path):
    write_simple_baselines(tmp_path)
    people = mpii_people(5, seed=12)
    people[1, [2, 15]] = np.nan
    take, skipped = read(MpiiSimpleBaselines(tmp_path))
    assert [take.pictures.name(place) for place in range(2)] == ["000000001:0", "000000001:1"]
    for place in range(2):
        assert_by_name(take.joints_px[place], people[place])
    assert [(item.name, item.reason) for item in skipped] == [("000000002:2", "no position or scale")]
    assert len(read(MpiiSimpleBaselines(tmp_path), "valid")[0]) == 1
    assert len(read(MpiiSimpleBaselines(tmp_path), "trainval")[0]) == 3


def test_coco_json(tmp_path):
    write_coco_json(tmp_path)
    people = mpii_people(3, seed=13)
    people[2, 0] = np.nan
    take, skipped = read(MpiiCocoJson(tmp_path))
    assert not skipped
    assert [take.pictures.paths[place].name for place in range(3)] == [
        NAME.format(4), NAME.format(4), NAME.format(9),
    ]  # fmt: skip
    for place, person in enumerate(people):
        assert_by_name(take.joints_px[place], person)


@pytest.mark.parametrize(
    ("bbox", "box"),
    [
        # 101 x 51 from (10, 20): last pixels 110 and 70, middle (60, 45), less 1; side 1.25 x 100.
        ((10, 20, 101, 51), (59, 44, 125)),
        # Cut at the picture's edges: 0 … 60 and 20 … 159, middle (30, 89.5).
        ((-20, 20, 61, 400), (29, 88.5, 1.25 * 139)),
    ],
)
def test_coco_box_by_hand(tmp_path, bbox, box):
    write_coco_json(tmp_path)
    path = tmp_path / "annotations" / "train.json"
    content = json.loads(path.read_text())
    content["annotations"][0]["bbox"] = bbox
    content["annotations"][1]["bbox"] = (300, 20, 10, 10)
    path.write_text(json.dumps(content))
    take, skipped = read(MpiiCocoJson(tmp_path))
    np.testing.assert_allclose(take.boxes_px[0], box)
    assert [(item.name, item.reason) for item in skipped] == [("000000004:1", "box outside the picture")]


def test_the_picture_shows_the_joints_where_the_sample_says(tmp_path):
    """A dot's colour at the crop's pixel of each joint: labels and picture agree to the pixel."""
    for reader in READERS:
        root = tmp_path / reader.form
        root.mkdir()
        written = WRITERS["mpii", reader.form](root)
        take, _ = read(reader(root), written.split)
        sample = take.sample(len(take) - 1, size=200)
        shown = sample.in_crop.nonzero()[:, 0].tolist()
        grey = 0
        for joint in shown:
            x, y = ((sample.joints_crop[joint, :2] + 0.5) * 200 - 0.5).round().int().clamp(0, 199).tolist()
            red, green, blue = sample.image[y, x].astype(int)
            grey += max(abs(red - green), abs(green - blue)) < 20
        assert len(shown) >= 12 and grey <= 1, reader.form  # the thorax is no dot where it is derived


def test_real_records(real_samples, tmp_path):
    source = real_samples / "mpii"
    (tmp_path / "annot").mkdir()
    (tmp_path / "images").mkdir()
    shutil.copy(source / "annotations.json", tmp_path / "annot" / "train.json")
    for path in source.glob("*.jpg"):
        shutil.copy(path, tmp_path / "images")
    take, skipped = read(MpiiSimpleBaselines(tmp_path))
    assert len(take) == 5 and not skipped
    photos = read_photos(source)
    for place, photo in enumerate(photos):
        known = np.isfinite(take.joints_px[place]).all(-1)
        np.testing.assert_array_equal(known, photo.joint_valid)
        np.testing.assert_allclose(take.joints_px[place][known], photo.joints_px[known])
        np.testing.assert_allclose(take.boxes_px[place], [*photo.box_centre_px, photo.box_side_px])
        sample = take.sample(place, size=64)
        assert sample.in_crop.sum() == sample.joint_valid.sum() >= 14
    # Worked by hand from the first record: right ankle (804, 711), position (966, 340), scale 4.718488.
    np.testing.assert_array_equal(take.joints_px[0, HEMLETS18.index("right_ankle")], (803, 710))
    np.testing.assert_allclose(take.boxes_px[0], (965, 339 + 70.77732, 1179.622))


# --- What may be missing ---------------------------------------------------------------------------


def write_mat(root, pictures, training=None, single=None, **changes):
    content = release(pictures, training or [1] * len(pictures), single or [[1]] * len(pictures))
    content |= changes
    for name in [name for name, value in content.items() if value is None]:
        del content[name]
    scipy.io.savemat(root / MAT_NAME, {"RELEASE": content})
    return MpiiOriginal(root)


def labelled(reader, split="train"):
    return [item for item in reader.people(split) if not isinstance(item, Skipped)]


def test_single_structs_need_no_arrays(tmp_path):
    (joints,) = mpii_people(1, seed=1)
    two = {"x": 3.0, "y": 4.0, "id": 2.0}  # a struct where others have an array of them
    reader = write_mat(
        tmp_path,
        [("a.jpg", rect(joints)), ("b.jpg", rect(joints, annopoints={"point": two}))],
    )
    first, second = labelled(reader)
    assert np.isfinite(first.joints_px).all()
    np.testing.assert_array_equal(second.joints_px[2], (2, 3))
    assert np.isnan(second.joints_px).all(-1).sum() == 15


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"annopoints": EMPTY}, "no joints labelled"),
        ({"annopoints": {"point": EMPTY}}, "no joints labelled"),
        ({"annopoints": {"other": 1}}, "no joints labelled"),
        ({"objpos": EMPTY}, "no position or scale"),
        ({"objpos": {"x": EMPTY, "y": 2}}, "no position or scale"),
        ({"scale": EMPTY}, "no position or scale"),
        ({"scale": "big"}, "no position or scale"),
    ],
)
def test_a_level_may_be_missing(tmp_path, fields, reason):
    (joints,) = mpii_people(1, seed=1)
    reader = write_mat(tmp_path, [("a.jpg", rect(joints, **fields))])
    assert [item.reason for item in reader.people("train")] == [reason]


def test_visibility_does_not_matter(tmp_path):
    (joints,) = mpii_people(1, seed=1)
    kinds = [None, lambda joint: 0, lambda joint: "0", lambda joint: EMPTY, lambda joint: joint % 2]
    annorects = [
        rect(joints, annopoints=points(joints, **({} if kind is None else {"is_visible": kind})))
        for kind in kinds
    ]
    found = labelled(write_mat(tmp_path, [("a.jpg", annorect) for annorect in annorects]))
    assert len(found) == len(kinds)
    for person in found:
        np.testing.assert_allclose(person.joints_px, joints - 1)


def test_single_person_may_name_nobody(tmp_path):
    (joints,) = mpii_people(1, seed=1)
    reader = write_mat(tmp_path, [("a.jpg", structs(rect(joints)))], single=[[1, 3]])
    person, skipped = reader.people("train_single")
    assert person.name == "a:0"
    assert (skipped.name, skipped.reason) == ("a:2", "single_person names nobody")


def test_the_mat_may_lie_in_the_folder_of_its_archive(tmp_path):
    (joints,) = mpii_people(1, seed=1)
    (tmp_path / "mpii_human_pose_v1_u12_2").mkdir()
    write_mat(tmp_path / "mpii_human_pose_v1_u12_2", [("a.jpg", rect(joints))])
    assert MpiiOriginal.recognises(tmp_path) and len(labelled(MpiiOriginal(tmp_path))) == 1


def test_structs_as_scipy_has_them():
    assert mat.elements(None) == [] and mat.elements(np.zeros((0, 0))) == [] and mat.elements(3) == [3]
    assert mat.structs(np.array([[1, 2]])) == [] and mat.first_struct(None) is None
    assert mat.field(3, "real") is None  # an attribute, but of no struct
    assert mat.number(np.array([[7]])) == 7.0 and mat.number(np.array(["7"])) is None
    assert mat.number(np.zeros((0, 0))) is None and mat.number(1j) is None
    assert mat.text(np.array(["a"])) == "a" and mat.text(np.array([1])) is None


# --- Damage ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"annopoints": {"point": {"x": 1, "y": 2, "id": 16}}}, r"`id` of a point to be 0…15, got 16"),
        ({"annopoints": {"point": {"x": 1, "y": 2, "id": 1.5}}}, r"`id` of a point to be 0…15, got 1\.5"),
        ({"annopoints": {"point": {"x": 1, "y": 2}}}, r"`id` of a point to be 0…15, got None"),
        (
            {"annopoints": {"point": {"x": np.nan, "y": 2, "id": 3}}},
            r"finite numbers in `x, y`, got nan at \[0\]",
        ),
        (
            {"annopoints": {"point": {"x": 1, "y": EMPTY, "id": 3}}},
            r"finite numbers in `x, y`, got nan at \[1\]",
        ),
        ({"annopoints": {"point": {"x": 1, "y": 1e300, "id": 3}}}, r"expected pixels in `x, y`, got 1e\+300"),
        ({"scale": -1}, r"expected `scale` above 0, got -1"),
        ({"scale": np.nan}, r"expected `scale` above 0, got nan"),
        ({"objpos": {"x": 1, "y": np.inf}}, r"finite numbers in `objpos`, got inf at \[1\]"),
    ],
)
def test_a_damaged_person(tmp_path, fields, message):
    (joints,) = mpii_people(1, seed=1)
    reader = write_mat(tmp_path, [("a.jpg", structs(rect(joints), rect(joints, **fields)))])
    with pytest.raises(DownloadError, match=message) as caught:
        list(reader.people("train"))
    assert f"{MAT_NAME}, annolist(1) (a.jpg), annorect(2): " in str(caught.value)


@pytest.mark.parametrize("name", ["../a.jpg", "/etc/passwd", "C:\\a.jpg", "..\\a.jpg"])
def test_hostile_names(tmp_path, name):
    (joints,) = mpii_people(1, seed=1)
    with pytest.raises(DownloadError, match=r"annolist\(1\).*leads out of it\. It was not followed"):
        list(write_mat(tmp_path, [(name, rect(joints))]).takes("train"))
    (tmp_path / "annot").mkdir()
    (tmp_path / "annot" / "train.json").write_text(json.dumps([list_record(name, joints)]))
    with pytest.raises(DownloadError, match=r"train\.json, record 0 .*leads out of it"):
        list(MpiiSimpleBaselines(tmp_path).takes("train"))
    write_coco_json(tmp_path)
    path = tmp_path / "annotations" / "train.json"
    for hostile in (name, f"images/{name}"):
        content = json.loads(path.read_text())
        content["images"][0]["file_name"] = hostile
        path.write_text(json.dumps(content))
        with pytest.raises(
            DownloadError, match=r"annotations\[0\], file_name of its image: .*leads out of it"
        ):
            list(MpiiCocoJson(tmp_path).takes("train"))


def test_a_picture_must_have_a_name(tmp_path):
    (joints,) = mpii_people(1, seed=1)
    with pytest.raises(DownloadError, match=r"annolist\(1\): expected the name of a file, got None"):
        list(write_mat(tmp_path, [(EMPTY, rect(joints))]).takes("train"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"annolist": None}, r"expected pictures in `RELEASE\.annolist`, got none"),
        ({"annolist": 3}, r"expected pictures in `RELEASE\.annolist`, got none"),
        ({"img_train": None}, r"`RELEASE\.img_train` to have an entry for each of the 1 pictures, got 0"),
        ({"single_person": None}, r"`RELEASE\.single_person` to have an entry for each of the 1 pictures"),
    ],
)
def test_a_release_without_its_parts(tmp_path, changes, message):
    (joints,) = mpii_people(1, seed=1)
    with pytest.raises(DownloadError, match=message):
        list(write_mat(tmp_path, [("a.jpg", rect(joints))], **changes).takes("train"))


def test_files_that_are_no_release(tmp_path):
    path = tmp_path / MAT_NAME
    reader = MpiiOriginal(tmp_path)
    with pytest.raises(DownloadError, match=rf"{MAT_NAME}: expected a file there, found none"):
        list(reader.takes("train"))
    scipy.io.savemat(path, {"RELEASE": 3})
    with pytest.raises(DownloadError, match=r"expected one struct `RELEASE`, got 0"):
        list(reader.takes("train"))
    scipy.io.savemat(path, {"other": 3})
    with pytest.raises(DownloadError, match=r"expected `RELEASE`, found only"):
        list(reader.takes("train"))
    with h5py.File(path, "w") as file:
        file["RELEASE"] = 3
    with pytest.raises(DownloadError, match=r"version 5 to 7, got version 7\.3"):
        list(reader.takes("train"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"joints_vis": None},
            r"record 0 \(a\.jpg\): expected `joints_vis`, found only center, image, joints, s",
        ),
        ({"joints": [[1, 2]] * 15}, r"expected `joints` of shape \(16, 2\), got \(15, 2\)"),
        ({"joints": [[1, float("nan")]] * 16}, r"expected finite numbers in `joints` where joints_vis is 1"),
        ({"joints": "many"}, r"expected numbers in `joints`, got 'many'"),
        ({"center": [1]}, r"expected `center` of shape \(2\), got \(1,\)"),
        ({"scale": 0}, r"expected `scale` above 0, got 0"),
        ({"image": 3}, r"record 0: expected the name of a file, got 3"),
    ],
)
def test_a_damaged_record(tmp_path, changes, message):
    (joints,) = mpii_people(1, seed=1)
    record = {k: v for k, v in (list_record("a.jpg", joints) | changes).items() if v is not None}
    (tmp_path / "annot").mkdir()
    (tmp_path / "annot" / "train.json").write_text(json.dumps([record]))
    with pytest.raises(DownloadError, match=message):
        list(MpiiSimpleBaselines(tmp_path).takes("train"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"train\.json: expected content, got an empty file"),
        ("[{", r"train\.json: expected JSON, got a file that cannot be read"),
        ("[]", r"expected a list of records, got none"),
        ("{}", r"expected a list of records, got dict"),
        ("[3]", r"expected objects in the list, got int among them"),
    ],
)
def test_a_damaged_list(tmp_path, text, message):
    (tmp_path / "annot").mkdir()
    (tmp_path / "annot" / "train.json").write_text(text)
    with pytest.raises(DownloadError, match=message):
        list(MpiiSimpleBaselines(tmp_path).takes("train"))


@pytest.mark.parametrize(
    ("where", "changes", "message"),
    [
        (
            "annotations",
            {"image_id": 77},
            r"annotations\[0\]: expected `image_id` to be one of `images`, got 77",
        ),
        ("annotations", {"image_id": [4]}, r"expected `image_id` to be one of `images`, got \[4\]"),
        ("annotations", {"keypoints": [1, 2]}, r"expected `keypoints` of shape \(48\), got \(2,\)"),
        ("annotations", {"bbox": None}, r"expected `bbox`, found only category_id, id"),
        ("images", {"id": 9}, r"images\[1\]: expected an `id` of its own, got 9"),
        (
            "images",
            {"width": None},
            r"annotations\[0\], its image: expected `width`, found only file_name, h",
        ),
        ("images", {"width": float("nan")}, r"its image: expected finite numbers in `width`"),
    ],
)
def test_damage_in_coco_json(tmp_path, where, changes, message):
    write_coco_json(tmp_path)
    path = tmp_path / "annotations" / "train.json"
    content = json.loads(path.read_text())
    entry = content[where][0] | changes
    content[where][0] = {key: value for key, value in entry.items() if value is not None}
    path.write_text(json.dumps(content))
    with pytest.raises(DownloadError, match=message):
        list(MpiiCocoJson(tmp_path).takes("train"))
    path.write_text("[]")
    with pytest.raises(DownloadError, match=r"train\.json: expected an object, got list"):
        list(MpiiCocoJson(tmp_path).takes("train"))
    path.write_text("{}")
    with pytest.raises(DownloadError, match=r"expected a list of records `images`, got NoneType"):
        list(MpiiCocoJson(tmp_path).takes("train"))


def test_check_names_lists_that_are_missing(tmp_path):
    write_simple_baselines(tmp_path)
    reader = MpiiSimpleBaselines(tmp_path)
    assert not [found for found in reader.check() if found.problem]
    (tmp_path / "annot" / "test.json").unlink()
    (tmp_path / "images" / NAME.format(3)).unlink()
    problems = {found.path: found.problem for found in reader.check() if found.problem}
    assert problems == {
        "annot/test.json": "expected a file there, found none.",
        "images": f"1 of 2 pictures are missing or empty: images/{NAME.format(3)}",
    }


def test_forms_know_themselves(tmp_path):
    for reader in READERS:
        root = tmp_path / reader.form
        root.mkdir()
        WRITERS["mpii", reader.form](root)
        assert [other.form for other in READERS if other.recognises(root)] == [reader.form]
