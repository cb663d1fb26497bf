from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image

from hemlets_lib.data.photos import PhotoError, read_photos
from hemlets_lib.geometry import Camera
from hemlets_lib.skeleton import H36M17, HEMLETS18, MPI_INF_3DHP17, MPII16

THREE = ["right_shoulder", "head_top", "left_shoulder"]


def record(**changes):
    """One record in the camera's form, over THREE; None takes a key out."""
    fields = {
        "image": "a.png",
        "joints_px": [[10, 20], [20, 4], [30, 24]],
        "joints_cam_mm": [[-200, 0, 3000], [0, -300, 3010], [200, 10, 3020]],
        "camera": {"f_px": [1100, 1101], "c_px": [16, 12]},
        "bbox_center_px": [20, 15],
        "bbox_size_px": 40,
    }
    return {key: value for key, value in {**fields, **changes}.items() if value is not None}


def mpii_record(**changes):
    fields = {
        "image": "a.png",
        "joints": [[i + 1, 2 * i + 1] for i in range(16)],
        "joints_vis": [1] * 16,
        "center": [9, 16],
        "scale": 0.2,
    }
    return {key: value for key, value in {**fields, **changes}.items() if value is not None}


@pytest.fixture
def folder(tmp_path):
    """Writes annotations and one 40 x 30 picture; returns the folder."""

    def write(content, name="studio"):
        (tmp_path / name).mkdir(exist_ok=True)
        Image.new("RGB", (40, 30), (1, 2, 3)).save(tmp_path / name / "a.png")
        text = content if isinstance(content, str) else json.dumps(content)
        (tmp_path / name / "annotations.json").write_text(text, encoding="utf-8")
        return tmp_path / name

    return write


def at(values, name):
    return values[HEMLETS18.index(name)]


# --- Golden ----------------------------------------------------------------------------------------


def test_record_by_hand(folder):
    (photo,) = read_photos(folder({"joint_names": THREE, "records": [record()]}))
    assert (photo.name, photo.dataset, photo.image_path.name) == ("a", "studio", "a.png")
    known = [HEMLETS18.joint_names[i] for i in np.flatnonzero(photo.joint_valid)]
    assert known == ["head", "left_shoulder", "right_shoulder", "thorax"]  # thorax: the shoulders' mean
    np.testing.assert_array_equal(at(photo.joints_px, "head"), (20, 4))  # head_top is our head
    np.testing.assert_array_equal(at(photo.joints_px, "thorax"), (20, 22))
    np.testing.assert_array_equal(at(photo.joints_px, "left_hip"), (0, 0))
    np.testing.assert_array_equal(at(photo.joints_cam_mm, "right_shoulder"), (-200, 0, 3000))
    np.testing.assert_array_equal(photo.joints_cam_valid, photo.joint_valid)
    np.testing.assert_array_equal(photo.focal_px, (1100, 1101))
    np.testing.assert_array_equal(photo.k_radial, (0, 0, 0))
    np.testing.assert_array_equal(photo.p_tangential, (0, 0))
    np.testing.assert_array_equal(photo.box_centre_px, (20, 15))
    assert photo.box_side_px == 40.0


def test_record_without_3d_and_box(folder):
    changes = {"joints_cam_mm": None, "camera": None, "bbox_center_px": None, "bbox_size_px": None}
    (photo,) = read_photos(folder({"joint_names": THREE, "records": [record(**changes)]}))
    assert photo.joints_cam_mm is None and photo.joints_cam_valid is None and photo.focal_px is None
    np.testing.assert_array_equal(photo.box_centre_px, (20, 14))  # joints span 10…30, 4…24
    assert photo.box_side_px == 25.0


def test_head_without_head_top_stays_head(folder):
    (photo,) = read_photos(folder({"joint_names": ["neck", "head", "pelvis"], "records": [record()]}))
    np.testing.assert_array_equal(at(photo.joints_px, "head"), (20, 4))
    assert not at(photo.joint_valid, "nose")


def test_mpii_by_hand(folder):
    visible = [1] * 16
    visible[9] = 0  # head top
    joints = mpii_record()["joints"]
    joints[9] = [-1, -1]
    (photo,) = read_photos(folder([mpii_record(joints=joints, joints_vis=visible)]))
    # Pixels count from 1 there: right ankle (1, 1) is our pixel (0, 0); the pelvis, joint 6, (6, 12).
    np.testing.assert_array_equal(at(photo.joints_px, "right_ankle"), (0, 0))
    np.testing.assert_array_equal(at(photo.joints_px, "pelvis"), (6, 12))
    np.testing.assert_array_equal(at(photo.joints_px, "thorax"), (7, 14))
    assert at(photo.joint_valid, "right_ankle")
    unknown = [HEMLETS18.joint_names[i] for i in np.flatnonzero(~photo.joint_valid)]
    assert unknown == ["torso", "nose", "head"]
    np.testing.assert_allclose(photo.box_centre_px, (8, 18))  # (9, 16 + 15 * 0.2) - 1
    assert photo.box_side_px == pytest.approx(50)  # 200 * 1.25 * 0.2
    assert photo.joints_cam_mm is None and photo.focal_px is None


# --- Pictures --------------------------------------------------------------------------------------


def picture(folder, save):
    root = folder({"joint_names": THREE, "records": [record()]})
    save(root / "a.png")
    return read_photos(root)[0].load_image()


def test_picture_is_turned_by_its_exif_orientation(folder):
    pixels = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to show
    image = picture(folder, lambda path: Image.fromarray(pixels).save(path, exif=exif))
    np.testing.assert_array_equal(image, np.rot90(pixels, -1))
    assert image.dtype == np.uint8 and image.flags.writeable


def test_grey_transparent_and_palette_pictures(folder):
    grey = np.array([[0, 100, 255]], dtype=np.uint8)
    image = picture(folder, lambda path: Image.fromarray(grey).save(path))
    np.testing.assert_array_equal(image, np.repeat(grey[..., None], 3, -1))
    deep = np.array([[0, 25600, 65535]], dtype=np.uint16)
    image = picture(folder, lambda path: Image.fromarray(deep).save(path))
    np.testing.assert_array_equal(image, np.repeat(grey[..., None], 3, -1))
    clear = np.array([[[9, 9, 9, 0], [9, 9, 9, 255]]], dtype=np.uint8)
    image = picture(folder, lambda path: Image.fromarray(clear).save(path))
    np.testing.assert_array_equal(image, [[[255, 255, 255], [9, 9, 9]]])
    image = picture(folder, lambda path: Image.new("RGB", (3, 2), (255, 0, 0)).quantize(4).save(path))
    np.testing.assert_array_equal(image, np.broadcast_to(np.uint8([255, 0, 0]), (2, 3, 3)))


def test_damaged_picture(folder):
    root = folder({"joint_names": THREE, "records": [record()]})
    (photo,) = read_photos(root)
    noise = np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8)
    Image.fromarray(noise).save(root / "a.png")
    whole = (root / "a.png").read_bytes()
    for damaged in (b"not a picture", whole[: len(whole) // 2], b""):
        (root / "a.png").write_bytes(damaged)
        with pytest.raises(PhotoError, match=r"a\.png: expected a complete picture .* got \d+ bytes"):
            photo.load_image()


# --- Folders ---------------------------------------------------------------------------------------


def test_parent_of_folders_and_paths_from_the_parent(folder, tmp_path):
    folder({"joint_names": THREE, "records": [record(image="studio/a.png"), record()]})
    folder([mpii_record()], name="mpii")
    photos = read_photos(tmp_path)
    assert [photo.dataset for photo in photos] == ["mpii", "studio", "studio"]
    assert len(read_photos(str(tmp_path / "studio"))) == 2


def test_a_byte_order_mark_is_no_content(folder):
    root = folder("\ufeff" + json.dumps({"joint_names": THREE, "records": [record()]}))
    assert len(read_photos(root)) == 1


def test_folders_without_annotations(tmp_path):
    with pytest.raises(PhotoError, match=r"expected annotations\.json there or one folder below, found none"):
        read_photos(tmp_path)
    with pytest.raises(PhotoError, match="expected annotations"):
        read_photos(tmp_path / "nowhere")


# --- Errors ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"joint_names": ["neck"], "rec', r"annotations\.json: expected JSON, got: .* may be cut short"),
        ("", r"annotations\.json: expected JSON, got"),
        ("3", r"expected an object with joint_names and records, or MPII's list, got int"),
        ({"records": []}, r"expected an object with joint_names and records, .* got \['records'\]"),
        ({"joint_names": THREE, "records": {}}, r"expected a list of records, got dict"),
        ({"joint_names": "neck", "records": []}, r"expected joint_names to be a list of names, got 'neck'"),
        (
            {"joint_names": ["neck", "tail"], "records": []},
            r"expected joint_names out of pelvis, .*, got tail",
        ),
        ({"joint_names": ["spine", "torso"], "records": []}, r"joint_names used once, got torso again"),
        ([3], r"record 0: expected an object, got int"),
        ([], r"annotations\.json: expected at least one record, got none\. Add one"),
        ({"joint_names": THREE, "records": []}, r"annotations\.json: expected at least one record, got none"),
    ],
)
def test_malformed_file(folder, content, message):
    with pytest.raises(PhotoError, match=message):
        read_photos(folder(content))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"image": "b.png"},
            r"record 1 \(b\.png\): expected a picture at .*studio.b\.png or .*, found neither",
        ),
        ({"image": 3}, r"record 1: expected `image` to be a path, got 3"),
        ({"image": None}, r"record 1: expected `image`, got only bbox_center_px, "),
        ({"joints_px": None}, r"record 1 \(a\.png\): expected `joints_px`, got only"),
        ({"joints_px": [[1, 2]] * 4}, r"expected `joints_px` of shape \(3, 2\), got \(4, 2\)"),
        ({"joints_px": [[1, 2], [3], [4, 5]]}, r"`joints_px` to be numbers of shape \(3, 2\), got others"),
        (
            {"joints_px": [[1, 2], [3, float("nan")], [4, 5]]},
            r"finite numbers in `joints_px`, got nan at \[1, 1\]",
        ),
        ({"joints_cam_mm": [[1, 2]] * 3}, r"expected `joints_cam_mm` of shape \(3, 3\), got \(3, 2\)"),
        ({"camera": [1]}, r"expected `camera` to be an object, got \[1\]"),
        ({"camera": {"f_px": [1, 1]}}, r"expected `c_px`, got only f_px"),
        (
            {"camera": {"f_px": [1, 1], "c_px": [0, 0], "k_radial": [0]}},
            r"`k_radial` of shape \(3,\), got \(1,\)",
        ),
        (
            {"camera": {"f_px": [1100, 0], "c_px": [0, 0]}},
            r"record 1 \(a\.png\): expected focal lengths `f_px` above 0 px, got \[1100\.0, 0\.0\]",
        ),
        (
            {"joints_cam_mm": [[0, 0, 3000], [0, 0, -5], [0, 0, 3000]]},
            r"record 1 \(a\.png\): expected .* in front of the camera .*, got z -5 for 'head'",
        ),
        ({"bbox_size_px": -4}, r"expected a box with a side above 0, got -4 px"),
        (
            {"bbox_center_px": None, "joints_px": [[1, 2]] * 3},
            r"record 1 \(a\.png\): .*two different known joints",
        ),
    ],
)
def test_malformed_record(folder, changes, message):
    content = {"joint_names": THREE, "records": [record(), record(**changes)]}
    with pytest.raises(PhotoError, match=message):
        read_photos(folder(content))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"joints": [[1, 2]] * 17},
            r"record 0 \(a\.png\): expected `joints` of shape \(16, 2\), got \(17, 2\)",
        ),
        (
            {"joints": [[1, float("nan")]] * 16},
            r"finite numbers in `joints`, got \[1\.0, nan\] for 'right_ankle'",
        ),
        ({"joints_vis": None}, r"expected `joints_vis`, got only center, image, joints, scale"),
        ({"scale": "big"}, r"expected `scale` to be numbers of shape \(\), got others"),
        ({"scale": 0}, r"expected a box with a side above 0, got 0 px"),
    ],
)
def test_malformed_mpii_record(folder, changes, message):
    with pytest.raises(PhotoError, match=message):
        read_photos(folder([mpii_record(**changes)]))


# --- Real photographs ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real_photos(real_samples):
    return read_photos(real_samples)


def test_real_photographs(real_photos):
    counts = {name: sum(p.dataset == name for p in real_photos) for name in ("h36m", "mpi_inf_3dhp", "mpii")}
    assert counts == {"h36m": 4, "mpi_inf_3dhp": 4, "mpii": 5}
    sources = {"h36m": H36M17, "mpi_inf_3dhp": MPI_INF_3DHP17, "mpii": MPII16}
    for photo in real_photos:
        height, width, channels = photo.load_image().shape
        assert channels == 3 and min(height, width) > 400
        names = sources[photo.dataset].joint_names
        if photo.joints_cam_mm is not None:
            assert photo.joint_valid.all() and photo.joints_cam_valid.all()
            assert photo.joints_cam_mm[:, 2].min() > 2000
        else:
            assert photo.joint_valid.sum() >= 14
            assert not photo.joint_valid[
                [HEMLETS18.index(j) for j in HEMLETS18.joint_names if j not in names]
            ].any()
        # The box holds the person.
        off = np.abs(photo.joints_px[photo.joint_valid] - photo.box_centre_px).max()
        assert off < photo.box_side_px / 2, photo.name


def test_real_cameras_reproject(real_photos):
    # Human3.6M with its distortion, to rounding; MPI-INF-3DHP's fitted pinholes within 2 pixels.
    for photo in real_photos:
        if photo.focal_px is None:
            continue
        camera = Camera(
            *(
                torch.from_numpy(value)
                for value in (photo.focal_px, photo.centre_px, photo.k_radial, photo.p_tangential)
            )
        )
        projected = camera.project(torch.from_numpy(photo.joints_cam_mm))[:17].numpy()
        tolerance = 1e-3 if photo.dataset == "h36m" else 2.0
        assert np.abs(projected - photo.joints_px[:17]).max() < tolerance, photo.name


def test_real_people_are_left_and_right_handed(real_photos):
    for photo in real_photos:
        if photo.dataset != "h36m":  # elsewhere "nose" is the middle of the head
            continue
        joints = {name: at(photo.joints_cam_mm, name) for name in HEMLETS18.joint_names}
        facing = joints["nose"] - (joints["neck"] + joints["head"]) / 2
        right = np.cross(facing, joints["neck"] - joints["pelvis"])
        assert right @ (joints["right_shoulder"] - joints["left_shoulder"]) > 0, photo.name
