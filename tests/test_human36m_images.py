"""Prepared forms of Human3.6M with picture files: names, lists, cameras; real frames through every form."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from downloads.human36m import CAMERAS
from downloads.human36m_images import (
    meta_text,
    posenet_content,
    real_shots,
    shot,
    write_hemlets,
    write_meta_mat,
    write_meta_txt,
    write_mmpose,
    write_pavlakos,
    write_posenet_json,
    write_spin,
)

from hemlets_lib.data.images import crop_image
from hemlets_lib.data.readers import READERS, Skipped, Take
from hemlets_lib.data.readers.files import DownloadError
from hemlets_lib.data.readers.human36m.images import (
    FolderName,
    check_listed,
    check_pictures,
    check_rotation,
    coverage,
    flat_numbers,
    listed_takes,
    parse_folder,
    picture_paths,
    sees,
    with_published_lens,
)
from hemlets_lib.skeleton import H36M17, HEMLETS18

FORMS = {
    "meta_mat": write_meta_mat,
    "meta_txt": write_meta_txt,
    "posenet_json": write_posenet_json,
    "mmpose": write_mmpose,
    "spin": write_spin,
    "pavlakos": write_pavlakos,
}


def read(form, root, split="test", step=1):
    """Takes, and what was left out."""
    items = list(READERS["human36m"][form](root).takes(split, step=step))
    return [each for each in items if isinstance(each, Take)], [
        each for each in items if isinstance(each, Skipped)
    ]


def by_name(joints, name):
    return joints[..., HEMLETS18.index(name), :]


# --- Names and lists -------------------------------------------------------------------------------


def test_folders_by_number():
    assert parse_folder("s_11_act_02_subact_02_ca_01") == FolderName("S11", "Directions", 2, "54138969")
    assert parse_folder("s_05_act_16_subact_01_ca_04") == FolderName("S5", "WalkTogether", 1, "60457274")
    for name in ("s_01_act_01_subact_01_ca_01", "s_01_act_02_subact_01_ca_05", "s_1_act_2", "S1_Directions"):
        assert parse_folder(name) is None


def test_lists_are_sorted_into_takes():
    names = [
        "a/S9_Waiting_1.55011271_000006.jpg",
        "a/S9_Waiting_1.55011271_000001.jpg",
        "S9_Waiting.55011271_000001.jpg",
        "a/S9_Waiting_1.55011271_000004.jpg",
        "b/S9_Waiting_1.55011271_000006.jpg",
        "S1_TakingPhoto_1.55011271_000001.jpg",
        "S11_Directions.54138969_000001.jpg",
        "S9_Waiting_1.55011271_000000.jpg",
        "S9_Flying_1.55011271_000001.jpg",
        "S9_Waiting_1_000001.jpg",
        "readme.txt",
    ]
    items = list(listed_takes(names, subjects=("S9", "S11")))
    takes = [item for item in items if not isinstance(item, Skipped)]
    assert [(take.title, take.frames.tolist(), take.rows.tolist()) for take in takes] == [
        ("S9/Waiting 1.55011271", [0, 3, 5], [1, 3, 0]),
        ("S9/Waiting.55011271", [0], [2]),
    ]
    left = {(item.name, item.reason, item.frames) for item in items if isinstance(item, Skipped)}
    strange = "its name says no take and frame of Human3.6M"
    assert left == {
        ("S9/Waiting 1.55011271", "listed twice", 1),
        ("S1/TakingPhoto 1.55011271", "not a subject of this split", 1),
        ("S11/Directions.54138969", "the published video is corrupt", 1),
        ("S9_Waiting_1.55011271_000000.jpg", strange, 1),  # counted from 1
        ("S9_Flying_1.55011271_000001.jpg", strange, 1),
        ("S9_Waiting_1_000001.jpg", strange, 1),
        ("readme.txt", strange, 1),
    }


@pytest.mark.parametrize("number", ["9" * 20, "9" * 5000, "1" + "0" * 9, "٣", "0", "-1", "1.5"])
def test_numbers_that_no_frame_has(number):
    name = f"S5_Eating_1.55011271_{number}.jpg"
    good = f"S5_Eating_1.55011271_{'0' * 5000}21.jpg"
    skipped, listed = listed_takes([name, good], subjects=("S5",))
    assert isinstance(skipped, Skipped) and skipped.reason == "its name says no take and frame of Human3.6M"
    assert listed.frames.tolist() == [20] and listed.rows.tolist() == [1]


def test_a_step_divides_the_number_of_a_frame():
    names = [f"S9_Waiting_1.55011271_{frame + 1:06}.jpg" for frame in range(0, 130, 5)]
    for step, frames in ((5, 26), (10, 13), (64, 1)):
        (take,) = listed_takes(names, subjects=("S9",), step=step)
        assert len(take.frames) == frames and not (take.frames % step).any()


@pytest.mark.parametrize("name", ["../secret.jpg", "/etc/passwd", "a/../../b.jpg", "a/..", "a/", "a/\0.jpg"])
def test_names_that_lead_out_are_not_followed(tmp_path, name):
    with pytest.raises(DownloadError, match=r"list\.txt: expected (a path inside|the name of a file)"):
        picture_paths(tmp_path, ["fine/a.jpg", name], where="list.txt")


def test_a_folder_that_is_a_link_out_is_not_followed(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "out").symlink_to(tmp_path)
    with pytest.raises(DownloadError, match="which leads out of it"):
        picture_paths(tmp_path / "data", ["out/a.jpg"], where="list.txt")
    assert picture_paths(tmp_path / "data", ["in/a.jpg", "b.jpg"], where="list.txt") == (
        tmp_path / "data" / "in" / "a.jpg",
        tmp_path / "data" / "b.jpg",
    )


# --- Cameras ---------------------------------------------------------------------------------------


def numbers(**changes):
    known = shot("S7", 2, 1, "Directions 1", CAMERAS[2]).lens
    given = {
        "focal_px": known.f, "centre_px": known.c, "rotation": known.R, "position_mm": known.T,
        "where": "a.mat",
    }  # fmt: skip
    return {**given, **changes}


def test_the_published_lens_is_put_in():
    one = shot("S7", 2, 1, "Directions 1", CAMERAS[2])
    camera = with_published_lens(CAMERAS[2], **numbers())
    world = torch.from_numpy(one.world_mm)
    np.testing.assert_allclose(camera.project(camera.world_to_cam(world)).numpy(), one.px, atol=1e-6)
    off = np.linalg.norm(one.px - one.pinhole_px, axis=-1).max()
    assert off > 1  # what the lens is worth here


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"focal_px": np.array([0.0, 1])}, r"a\.mat: expected focal lengths above 0 px, got \[0\.0, 1\.0\]"),
        ({"rotation": np.ones((3, 3))}, r"a\.mat: expected a rotation in `R`, got a matrix that is none"),
        ({"rotation": np.diag([1.0, 1, -1])}, r"expected a rotation in `R`"),
        ({"rotation": np.full((3, 3), 1e200)}, r"expected a rotation in `R`"),
    ],
)
def test_what_is_no_camera_is_refused(changes, message):
    with pytest.raises(DownloadError, match=message):
        with_published_lens(CAMERAS[2], **numbers(**changes))


def test_flat_numbers():
    assert flat_numbers([[1], [2]], 2, name="T", where="a").tolist() == [1, 2]
    assert flat_numbers(np.eye(2), 4, name="R", where="a").tolist() == [1, 0, 0, 1]
    check_rotation(np.eye(3), where="a")
    for value, message in (
        ([[1], [2, 3]], "numbers in `T`"),
        ([1, 2, 3], r"`T` of shape \(2\), got \(3,\)"),
        ([1, np.nan], "finite numbers in `T`, got nan"),
        ("ab", "numbers in `T`"),
    ):
        with pytest.raises(DownloadError, match=message):
            flat_numbers(value, 2, name="T", where="a")


def test_a_camera_of_another_take_sees_nothing():
    one = shot("S7", 2, 1, "Directions 1", CAMERAS[2])
    pose = np.concatenate([one.cam_mm, one.cam_mm[:, :1]], 1)
    camera = with_published_lens(CAMERAS[2], **numbers())
    assert sees(camera, pose)
    assert not sees(camera, -pose)  # behind it
    assert not sees(camera, pose + np.array([9000, 0, 0]))
    assert not sees(camera, pose[:0])


# --- Pictures that should be there -----------------------------------------------------------------


def test_missing_pictures_are_named_few_and_counted_many(tmp_path):
    folder = tmp_path / "p"
    folder.mkdir()
    names = {f"{number}.jpg" for number in range(6)}
    for name in sorted(names)[1:]:
        (folder / name).write_bytes(b"x")
    (folder / "5.jpg").write_bytes(b"")
    found = {(each.path, each.problem) for each in check_pictures(tmp_path, folder, names)}
    assert found == {("p/0.jpg", "missing"), ("p/5.jpg", "the picture is empty")}
    (each,) = check_pictures(tmp_path, tmp_path / "q", names)
    assert (each.path, each.problem) == ("q/*", "6 of 6 pictures are missing or empty, first 0.jpg")
    assert not list(check_pictures(tmp_path, folder, {"1.jpg"}))


def test_coverage_says_what_there_is():
    notes = {each.path: each.note for each in coverage([("S9", "Walking", CAMERAS[0])] * 2)}
    assert notes["S9"] == "2 of 120 takes, 1 of 15 actions"
    assert notes["S5"] == "0 of 120 takes, 0 of 15 actions"
    many = [("S1", action, CAMERAS[0]) for action in ("Eating", "Photo", "Posing", "Sitting", "Phoning",
            "Waiting", "Walking", "Smoking", "Greeting", "WalkDog", "Purchases", "WalkTogether",
            "SittingDown", "Discussion")]  # fmt: skip
    assert next(coverage(many)).note == "14 of 120 takes, 14 of 15 actions; none of Directions"


def test_pictures_of_the_damaged_take_are_not_missed(tmp_path):
    names = ["S11_Directions.54138969_000001.jpg", "S9_Waiting_1.55011271_000006.jpg"]
    problems = [each.path for each in check_listed(tmp_path, tmp_path, names) if each.problem]
    assert problems == ["S9_Waiting_1.55011271_000006.jpg"]


# --- The same shots through every form --------------------------------------------------------------


@pytest.mark.parametrize("form", sorted(FORMS))
def test_every_form_gives_the_same_labels(form, tmp_path):
    """Joints by name, camera space and pixels; a person who leans so that no two axes look alike."""
    one = shot("S1", 15, 1, "WalkingDog 1", CAMERAS[2], (0, 1))
    FORMS[form](tmp_path, [one])
    (take,), _ = read(form, tmp_path, "train")
    assert (take.meta.dataset, take.meta.subject, take.meta.action) == ("human36m", "S1", "WalkDog")
    assert (take.meta.camera_name, take.meta.source) == (CAMERAS[2], form)
    assert take.frames.tolist() == [0, 1]
    sample = take.sample(1, size=64)
    planar = take.joints_px
    if planar is None:
        planar = take.camera.project(torch.from_numpy(take.joints_cam_mm)).numpy()
    for place, name in enumerate(H36M17.joint_names):
        np.testing.assert_allclose(by_name(planar, name), one.px[:, place], atol=1e-2, err_msg=name)
        depth = one.cam_mm[1, place, 2] - one.cam_mm[1, 0, 2]
        assert float(by_name(sample.joints_crop, name)[2]) == pytest.approx(depth / 2000, abs=1e-5)
    if form == "spin":
        assert take.joints_cam_mm is None and sample.joints_cam_mm is None
        about = one.cam_mm - one.cam_mm[:, :1]
        np.testing.assert_allclose(take.joints_root_rel_mm[:, :17], about, atol=1e-6)
    else:
        np.testing.assert_allclose(take.joints_cam_mm[:, :17], one.cam_mm, atol=1e-4)
    assert sample.depth_valid.all() and sample.joint_valid.all() and sample.in_crop.all()
    assert sample.meta.frame == 1 and sample.meta.sample_id.endswith("_000002")


@pytest.mark.parametrize("form", sorted(FORMS))
def test_the_damaged_take_is_left_out_and_others_are_not(form, tmp_path):
    listed = [
        shot("S11", 2, 2, "Directions", CAMERAS[0], (0,)),
        shot("S11", 2, 2, "Directions", CAMERAS[1], (0,)),
        shot("S1", 2, 2, "Directions", CAMERAS[0], (0,)),
    ]
    FORMS[form](tmp_path, listed)
    takes, skipped = read(form, tmp_path)
    assert [(take.meta.subject, take.meta.camera_name) for take in takes] == [("S11", CAMERAS[1])]
    if form != "spin":  # whose writer leaves it out, as SPIN does not say
        assert "the published video is corrupt" in {item.reason for item in skipped}


# --- Real frames -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real(real_samples):
    return real_shots(real_samples / "h36m")


@pytest.mark.parametrize("form", [*sorted(FORMS), "hemlets"])
def test_real_frames_through_every_form(form, real, real_samples, tmp_path):
    """Four real frames, written as this form by its format's library: pixels and picture come back."""
    records = json.loads((real_samples / "h36m" / "annotations.json").read_text(encoding="utf-8"))["records"]
    known_px = {each["subject"]: np.array(each["joints_px"]) for each in records}
    takes = []
    if form == "hemlets":
        for one in real:
            (tmp_path / one.subject).mkdir()
            write_hemlets(tmp_path / one.subject, one)
        takes, skipped = read(form, tmp_path, "train")
    else:
        FORMS[form](tmp_path, real)
        takes, skipped = read(form, tmp_path, "train")
    assert len(takes) == 4 and not any(item.frames for item in skipped)
    for take in takes:
        one = next(each for each in real if each.subject == take.meta.subject)
        planar = take.joints_px
        if planar is None:
            planar = take.camera.project(torch.from_numpy(take.joints_cam_mm)).numpy()
        np.testing.assert_allclose(planar[0, :17], known_px[one.subject], atol=2e-2)
        sample = take.sample(0, size=128)
        assert sample.in_crop.all() and sample.depth_valid.all()
        picture = take.pictures.read(0)
        if form != "hemlets":
            assert np.abs(picture.astype(int) - one.images[0]).mean() < 4  # grey levels; JPEG twice
        # The person is where the joints are: the crop looks like the real picture's at the same place.
        expected = crop_image(one.images[0], sample.affine.double().numpy(), 128)
        assert np.abs(sample.image.astype(int) - expected).mean() < 6


def test_shots_are_what_they_say():
    one = shot("S9", 10, 2, "SittingDown 1", CAMERAS[0])
    assert one.folder == "s_09_act_10_subact_02_ca_01"
    assert one.stem == "S9_SittingDown_1.54138969"
    assert meta_text(one).splitlines()[0] == "3"
    old, new = (posenet_content("S9", [one], centre=centre)["camera"]["1"] for centre in (True, False))
    np.testing.assert_allclose(-np.array(new["R"]).T @ new["t"], old["t"], atol=1e-9)
