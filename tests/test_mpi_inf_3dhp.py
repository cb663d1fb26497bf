"""MPI-INF-3DHP: joints by name, both sizes of the poses, what is left out, and what is said of damage."""

import json
import re
import shutil

import numpy as np
import pytest
import torch
from downloads import mpi_inf_3dhp as written
from downloads import picture, write_picture, write_video
from scipy.io import savemat

from hemlets_lib.data.images import read_image
from hemlets_lib.data.readers.contract import Skipped, Take
from hemlets_lib.data.readers.files import DownloadError
from hemlets_lib.data.readers.mpi_inf_3dhp import facts
from hemlets_lib.data.readers.mpi_inf_3dhp import train_part as train
from hemlets_lib.data.readers.mpi_inf_3dhp.reader import MpiInf3dhp
from hemlets_lib.data.readers.recordings import mat5_missing_bytes, missing_bytes, video_problem
from hemlets_lib.data.sample import UnreadableSample
from hemlets_lib.geometry import Camera
from hemlets_lib.skeleton import HEMLETS18, MPI_INF_3DHP17

# What the data set calls our joints.
THEIR_NAMES = {name: name for name in HEMLETS18.joint_names}
THEIR_NAMES |= {"torso": "spine", "nose": "head", "head": "head_top"}
TS = "mpi_inf_3dhp_test_set"


@pytest.fixture(scope="module")
def download(tmp_path_factory):
    """Both parts; to be left as they are."""
    root = tmp_path_factory.mktemp("3dhp")
    written.write(root)
    return root


@pytest.fixture
def copied(download, tmp_path):
    return shutil.copytree(download, tmp_path / "copy")


def read(root, split, step=1):
    items = list(MpiInf3dhp(root).takes(split, step=step))
    takes = {
        f"{t.meta.subject}/{t.meta.action}/{t.meta.camera_name}": t for t in items if isinstance(t, Take)
    }
    return takes, [item for item in items if isinstance(item, Skipped)]


def problems(root):
    return [f"{found.path}: {found.problem}" for found in MpiInf3dhp(root).check() if found.problem]


def in_their_order(joints28):
    """(F, 28, C) by our names."""
    by_name = {
        ours: joints28[:, written.NAMES28.index(THEIR_NAMES[ours])] for ours in HEMLETS18.joint_names[:17]
    }
    by_name["thorax"] = (by_name["left_shoulder"] + by_name["right_shoulder"]) / 2
    return np.stack([by_name[name] for name in HEMLETS18.joint_names], 1)


# --- golden: the training part --------------------------------------------------------------------


def test_training_joints_by_name(download):
    takes, _ = read(download, "train")
    assert list(takes) == [f"S6/{seq}/{cam}" for seq in ("Seq1", "Seq2") for cam in written.CAMERAS]
    for camera in (0, 8):
        joints = written.poses28_cam_mm(written.ROWS, seed=200 + camera)
        take = takes[f"S6/Seq2/{camera}"]
        np.testing.assert_allclose(take.joints_cam_mm, in_their_order(joints), atol=1e-9)
        pixels = in_their_order(written.project(joints, written.train_lens(camera)))
        np.testing.assert_allclose(take.joints_px[:, :17], pixels[:, :17], atol=1e-9)
        seen = take.camera.project(torch.from_numpy(take.joints_cam_mm)).numpy()
        np.testing.assert_allclose(seen[:, :17], take.joints_px[:, :17], atol=1e-9)


def test_a_camera_by_hand(download):
    camera, size = train.read_calibration(download / "S6/Seq1/camera.calibration")[5]
    fx, fy, cx, cy = written.train_lens(5)
    assert size == (written.WIDTH, written.WIDTH)
    assert camera.focal_px.tolist() == [fx, fy] and camera.centre_px.tolist() == [cx, cy]
    point = np.array([300.0, -200.0, 900.0])  # of the world
    expected = written.rotation(5) @ point + (50, 1400, 3900)
    torch.testing.assert_close(
        camera.world_to_cam(torch.from_numpy(point[None]))[0], torch.from_numpy(expected), atol=1e-3, rtol=0
    )


def test_frames_show_what_is_labelled(download):
    """Dots of the joints' colours lie where the labels say; of a video, and of extracted frames."""
    takes, _ = read(download, "train", step=3)
    for name in ("S6/Seq1/4", "S6/Seq2/7"):
        take = takes[name]
        assert take.frames.tolist() == [0, 3]
        image = take.pictures.read(1)
        for joint, number in (("left_wrist", 11), ("head", 7), ("right_knee", 24)):
            x, y = take.joints_px[1, HEMLETS18.index(joint)].round().astype(int)
            colour = (250, 20 + 12 * number % 230, 255 - 12 * number % 230)
            assert np.abs(image[y, x].astype(int) - colour).max() < 90, (name, joint)
        sample = take.sample(1, size=64)
        assert sample.meta.frame == 3 and sample.meta.dataset == "mpi_inf_3dhp"
        assert sample.meta.sample_id.startswith(f"mpi_inf_3dhp/{name}/") and sample.joint_valid.all()


def test_the_universal_training_poses(download):
    measured, scaled = (read(download, split)[0]["S6/Seq1/2"] for split in ("train", "train_universal"))
    scale = written.UNIVERSAL["S6"]
    np.testing.assert_allclose(scaled.joints_cam_mm, measured.joints_cam_mm / scale, rtol=1e-9)
    np.testing.assert_array_equal(scaled.joints_px, measured.joints_px)


# --- golden: the test part ------------------------------------------------------------------------


def test_test_joints_by_name(download):
    takes, skipped = read(download, "test_measured")
    assert {item.name: item.frames for item in skipped} == {
        "TS1": 2, "TS2": 1, "TS3": 1, "TS4": 1, "TS5": 2, "TS6": 1,
    }  # fmt: skip
    joints, pixels = written.test_poses("TS1")
    take = takes["TS1/Standing/Walking/"]
    assert take.frames.tolist() == [3] and take.pictures.name(0) == "img_000004"
    names17 = [written.NAMES28[index] for index in written.RELEVANT17]
    for ours in HEMLETS18.joint_names[:17]:
        at = names17.index(THEIR_NAMES[ours])
        np.testing.assert_allclose(take.joints_cam_mm[0, HEMLETS18.index(ours)], joints[3, at])
        np.testing.assert_allclose(take.joints_px[0, HEMLETS18.index(ours)], pixels[3, at])


def test_activities_and_sequences(download):
    takes, _ = read(download, "test")
    assert list(takes) == [
        "TS1/Standing/Walking/", "TS1/Exercising/", "TS2/Sitting/", "TS3/Reaching/Crouching/", "TS4/Misc/",
        "TS5/Sports/", "TS6/On The Floor/",
    ]  # fmt: skip
    assert takes["TS1/Exercising/"].frames.tolist() == [1, 4]
    assert read(download, "test", step=2)[0]["TS1/Exercising/"].frames.tolist() == [1, 4]
    assert "TS1/Standing/Walking/" not in read(download, "test", step=2)[0]


def test_universal_poses_are_theirs_about_the_root_and_project(download):
    takes, _ = read(download, "test")
    joints, _ = written.test_poses("TS5")
    stored = written.universal(joints, written.UNIVERSAL["TS"], root=14)[0]
    take = takes["TS5/Sports/"]
    pose = take.joints_cam_mm[0]
    names17 = [written.NAMES28[index] for index in written.RELEVANT17]
    for ours in HEMLETS18.joint_names[:17]:
        at = names17.index(THEIR_NAMES[ours])
        np.testing.assert_allclose(pose[HEMLETS18.index(ours)] - pose[0], stored[at] - stored[14], atol=1e-9)
    np.testing.assert_allclose(pose[0], joints[0, 14] / written.UNIVERSAL["TS"], rtol=1e-9)
    seen = take.camera.project(torch.from_numpy(take.joints_cam_mm)).numpy()
    assert np.linalg.norm(seen - take.joints_px, axis=-1).max() < 2


def test_the_fitted_camera(download):
    for name, lens in (("TS1/Exercising/", written.STUDIO), ("TS6/On The Floor/", written.OUTDOOR)):
        camera = read(download, "test")[0][name].camera
        found = [*camera.focal_px.tolist(), *camera.centre_px.tolist()]
        np.testing.assert_allclose(found, lens, atol=4)  # the pixels are off by 0.3 px each


def test_knees_of_another_pose_do_not_spoil_the_scale():
    """As in the revised TS6: there the metric's knees are those of `univ_annot3` all the same."""
    measured = facts.to_hemlets18(written.test_poses("TS6")[0], MPI_INF_3DHP17)
    scaled = (measured - measured[:, :1]) / 1.1 + measured[:, :1]
    knees = [HEMLETS18.index(f"{side}_{joint}") for side in ("left", "right") for joint in ("knee", "ankle")]
    scaled[:, knees] += 90.0
    found = facts.universal_poses(measured, scaled, where="TS6")
    assert found.scale == pytest.approx(1.1, rel=1e-9) and found.misfit_mm < 1e-6
    np.testing.assert_allclose(
        found.joints_cam_mm - found.joints_cam_mm[:, :1], scaled - scaled[:, :1], atol=1e-9
    )


def test_counts_are_those_of_the_papers():
    assert sum(facts.VALID_FRAMES.values()) == 2929
    assert sum(facts.SEQUENCE_FRAMES.values()) == 131_592
    assert facts.SEQUENCE_FRAMES["S5", "Seq1"] == 12820 and facts.SEQUENCE_FRAMES["S8", "Seq2"] == 6054
    fast = {key for key, rate in facts.SEQUENCE_RATES.items() if rate == 50}
    assert fast == {
        ("S1", "Seq2"),
        *(("S3", s) for s in ("Seq1", "Seq2")),
        *(("S5", s) for s in ("Seq1", "Seq2")),
    }
    # Twice as fast, so about twice as long.
    assert all((facts.SEQUENCE_FRAMES[key] > 10_000) == (key in fast) for key in facts.SEQUENCE_FRAMES)


# --- where it lies --------------------------------------------------------------------------------


def test_splits_are_what_is_there(download, tmp_path):
    assert MpiInf3dhp(download).splits == ("train", "test", "train_universal", "test_measured")
    (tmp_path / "alone").mkdir()
    shutil.copytree(download / TS, tmp_path / "alone", dirs_exist_ok=True)
    for folder in ("alone", f"{TS}/{TS}", "test"):
        shutil.copytree(tmp_path / "alone", tmp_path / folder / "root" / folder, dirs_exist_ok=True)
    assert MpiInf3dhp(tmp_path / "alone").splits == ("test", "test_measured")
    assert problems(tmp_path / "alone") == []
    only_train = tmp_path / "only" / "train"
    shutil.copytree(download / "S6", only_train / "S6")
    reader = MpiInf3dhp(only_train.parent)
    assert reader.splits == ("train", "train_universal") and reader.recognises(only_train.parent)
    assert "S6/Seq1/0" in read(only_train.parent, "train")[0]
    assert [f for f in reader.check() if f.absent and f.path == "the test part"] and problems(
        only_train.parent
    ) == []
    with pytest.raises(ValueError, match=r"must be one of train, train_universal, got 'test'"):
        next(iter(reader.takes("test")))


@pytest.mark.parametrize("folder", ["", TS, f"{TS}/{TS}", "test"])
def test_folders_of_the_test_set(download, tmp_path, folder):
    (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    shutil.copytree(download / TS / "TS2", tmp_path / folder / "TS2")
    assert MpiInf3dhp.recognises(tmp_path)
    assert list(read(tmp_path, "test")[0]) == ["TS2/Sitting/"]
    assert [item.name for item in read(tmp_path, "test")[1]] == ["TS1", "TS2", "TS3", "TS4", "TS5", "TS6"]


def test_frames_extracted_as_the_readme_says(copied):
    place = copied / "S6/Seq1/imageSequence"
    (place / "video_5.avi").unlink()
    for number in range(1, written.ROWS + 1):
        write_picture(place / f"img_5_{number:06d}.jpg", np.full((256, 256, 3), 50 * number, np.uint8))
    assert problems(copied) == []
    take = read(copied, "train")[0]["S6/Seq1/5"]
    assert abs(int(take.pictures.read(2).mean()) - 150) < 3 and take.pictures.name(2) == "img_5_000003"
    (place / "img_5_000004.jpg").unlink()
    assert problems(copied) == [
        "S6/Seq1/imageSequence/img_5_000004.jpg: missing; expected pictures up to frame 4"
    ]


# --- what is left out -----------------------------------------------------------------------------


def test_rows_without_a_picture_are_left_out(download, monkeypatch):
    monkeypatch.setattr(train, "SEQUENCE_FRAMES", {("S6", "Seq1"): 3, ("S6", "Seq2"): 400})
    monkeypatch.setattr(train, "SHORT_VIDEOS", {("S6", "Seq2", 2): 1})
    takes, skipped = read(download, "train")
    past = [item for item in skipped if item.reason == "annotated past the end of the recording"]
    assert [(item.name, item.frames) for item in past] == [(f"S6/Seq1/video_{c}", 1) for c in written.CAMERAS]
    short = [item for item in skipped if item.reason == "the video is shorter than its sequence"]
    assert [(item.name, item.frames) for item in short] == [("S6/Seq2/video_2", 3)]
    assert takes["S6/Seq1/0"].frames.tolist() == [0, 1, 2] and takes["S6/Seq2/2"].frames.tolist() == [0]


def test_the_short_video_is_the_published_one():
    assert dict(facts.SHORT_VIDEOS) == {("S6", "Seq2", 2): 3911}


def test_absent_subjects_and_videos_are_told(copied):
    (copied / "S6/Seq2/imageSequence/video_6.avi").unlink()
    takes, skipped = read(copied, "train")
    assert "S6/Seq2/6" not in takes and "S6/Seq1/6" in takes
    assert [(item.name, item.reason, item.frames) for item in skipped] == [
        *((f"S{n}", "not in this download", 0) for n in (1, 2, 3, 4, 5)),
        ("S6/Seq2/video_6", "its video is missing", written.ROWS),
        *((f"S{n}", "not in this download", 0) for n in (7, 8)),
    ]
    assert problems(copied) == ["S6/Seq2/imageSequence/video_6.avi: missing"]
    notes = [found.path for found in MpiInf3dhp(copied).check() if found.absent]
    assert notes == ["S1, S2, S3, S4, S5, S7, S8"]


def test_a_video_that_ends_early(copied):
    video = copied / "S6/Seq1/imageSequence/video_1.avi"
    video.unlink()
    write_video(video, [np.zeros((256, 256, 3), np.uint8)] * 3, fps=25, codec="mpeg4")
    assert problems(copied) == [
        "S6/Seq1/imageSequence/video_1.avi: expected at least 4 frames for its labels, got 3"
    ]
    take = read(copied, "train")[0]["S6/Seq1/1"]
    with pytest.raises(UnreadableSample, match=r"expected frame 3, got a video that ends after 3 frames"):
        take.sample(3, size=32)


def test_pictures_of_another_size_are_refused(copied):
    place = copied / TS / "TS3/imageSequence/img_000002.jpg"
    write_picture(place, picture(np.zeros((0, 2)), (768, 768)))
    take = read(copied, "test")[0]["TS3/Reaching/Crouching/"]
    with pytest.raises(UnreadableSample, match=r"expected a picture of 2048 by 2048 pixels.*got 768 by 768"):
        take.sample(0, size=32)
    video = copied / "S6/Seq1/imageSequence/video_0.avi"
    video.unlink()
    write_video(video, [np.zeros((64, 64, 3), np.uint8)] * 4, fps=25, codec="mpeg4")
    assert problems(copied) == [
        "S6/Seq1/imageSequence/video_0.avi: expected pictures of 256 by 256 pixels, got 64 by 64"
    ]


def test_a_missing_test_picture(copied):
    (copied / TS / "TS1/imageSequence/img_000005.jpg").unlink()
    assert problems(copied) == [f"{TS}/TS1/imageSequence/img_000005.jpg: missing"]
    take = read(copied, "test")[0]["TS1/Exercising/"]
    assert take.sample(0, size=32).meta.action == "Exercising"
    with pytest.raises(UnreadableSample, match=r"img_000005"):
        take.sample(1, size=32)


def test_joints_that_are_no_numbers_are_masked(copied):
    joints, pixels = written.test_poses("TS2")
    joints[0, 4], pixels[0, 4] = np.nan, np.nan  # the right wrist
    written.write_annot_data(copied / TS / "TS2/annot_data.mat", joints, pixels, [0], [3], scale=0.94)
    sample = read(copied, "test")[0]["TS2/Sitting/"].sample(0, size=32)
    unknown = [
        name for name, known in zip(HEMLETS18.joint_names, sample.joint_valid, strict=True) if not known
    ]
    assert unknown == ["right_wrist"] and not sample.depth_valid[HEMLETS18.index("right_wrist")]
    assert sample.joints_cam_mm[HEMLETS18.index("right_wrist")].isnan().all()


def test_an_activity_that_is_none(copied):
    joints, pixels = written.test_poses("TS2")
    written.write_annot_data(copied / TS / "TS2/annot_data.mat", joints, pixels, [0, 1], [9, 0], scale=0.94)
    take = read(copied, "test")[0]["TS2//"]
    assert take.meta.action == "" and take.frames.tolist() == [0, 1]


# --- errors ---------------------------------------------------------------------------------------

CELLS = np.empty((14, 1), dtype=object)
CELLS[:, 0] = [np.zeros((4, 84))] * 14
FEWER = np.empty((14, 1), dtype=object)
FEWER[:, 0] = [np.zeros((3, 84))] * 14


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"annot3": None}, r"S6/Seq1/annot.mat: expected `annot3`, found only"),
        ({"cameras": np.arange(3.0)[:, None]}, r"expected camera 4 in `cameras`, got \[0.0, 1.0, 2.0\]"),
        ({"annot2": CELLS}, r"expected `annot2\{1\}` of shape \(4, 56\), got \(4, 84\)"),
        ({"annot3": FEWER}, r"expected `annot3\{1\}` of shape \(4, 84\), got \(3, 84\)"),
        (
            {"annot3": np.zeros((14, 84))},
            r"expected `annot3` to be a cell for each of 14 cameras, got float64",
        ),
        ({"frames": np.array([[0.0], [2], [1], [3]])}, r"expected `frames` to count upwards"),
        ({"frames": np.array([[0.0], [np.nan], [2], [3]])}, r"expected finite numbers in `frames`"),
        ({"frames": np.array([[0.5], [1.5], [2.5], [3.5]])}, r"expected `frames` to count upwards"),
        ({"frames": np.zeros((0, 1))}, r"expected `frames` to count upwards"),
    ],
)
def test_damaged_annotations(copied, changes, message):
    poses = {c: written.poses28_cam_mm(written.ROWS, seed=c) for c in written.CAMERAS}
    written.write_annot_mat(copied / "S6/Seq1/annot.mat", poses, scale=1.0, **changes)
    with pytest.raises(DownloadError, match=message):
        read(copied, "train")


def test_universal_poses_of_somebody_else(copied):
    poses = {c: written.poses28_cam_mm(written.ROWS, seed=c) for c in written.CAMERAS}
    others = np.empty((14, 1), dtype=object)
    others[:, 0] = [written.poses28_cam_mm(written.ROWS, seed=99).reshape(4, 84)] * 14
    written.write_annot_mat(copied / "S6/Seq1/annot.mat", poses, scale=1.0, univ_annot3=others)
    with pytest.raises(
        DownloadError, match=r"camera 0: expected `univ_annot3` to be `annot3` in another size"
    ):
        read(copied, "train_universal")
    assert "S6/Seq1/0" in read(copied, "train")[0]  # which does not need it


def test_poses_of_another_camera(copied):
    """Cells in another order than the cameras: what does not project is left out, and told."""
    poses = {c: written.poses28_cam_mm(written.ROWS, seed=c) for c in written.CAMERAS}
    written.write_annot_mat(copied / "S6/Seq1/annot.mat", poses, scale=1.0)
    pixels = np.empty((14, 1), dtype=object)
    for camera in range(14):
        other = {7: 8, 8: 7}.get(camera, camera)
        pixels[camera, 0] = (
            written.project(poses[other], written.train_lens(other)).reshape(4, 56)
            if other in poses
            else np.zeros((4, 56))
        )
    written.write_annot_mat(copied / "S6/Seq1/annot.mat", poses, scale=1.0, annot2=pixels)
    takes, skipped = read(copied, "train")
    assert [name for name in takes if "Seq1" in name] == [f"S6/Seq1/{c}" for c in (0, 1, 2, 4, 5, 6)]
    reason = "its 3D and 2D joints do not belong together"
    assert [item.name for item in skipped if item.reason == reason] == ["S6/Seq1/video_7", "S6/Seq1/video_8"]


def test_an_annotation_file_cut_short(copied):
    path = copied / "S6/Seq1/annot.mat"
    path.write_bytes(path.read_bytes()[:-20])
    assert any("S6/Seq1/annot.mat: cut short: 20 bytes are missing" in line for line in problems(copied))
    with pytest.raises(DownloadError, match=r"annot.mat"):
        read(copied, "train")


def test_version_7_3_for_version_5(copied):
    shutil.copy(copied / TS / "TS1/annot_data.mat", copied / "S6/Seq1/annot.mat")
    with pytest.raises(
        DownloadError, match=r"annot.mat: expected a MATLAB file of version 5 to 7, got version"
    ):
        read(copied, "train")
    assert any("version 7.3" in line for line in problems(copied))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("name          8\n", "name          18\n", r"expected cameras 0, 1, 2, .*, lacks 8"),
        (
            "  radial      0",
            "  radial      1",
            r"camera 0: expected a pinhole camera without skew or distort",
        ),
        (
            "  size        256 256",
            "  size        256",
            r"camera 0: expected `size` of shape \(2\), got \(1,\)",
        ),
        ("  size        256 256", "  size        0 256", r"camera 0: expected a size in pixels, got \[0.0"),
        ("  intrinsic   ", "  intrinsics  ", r"camera 0: expected `intrinsic` of shape \(16\), got \(0,\)"),
        (
            "  intrinsic   1",
            "  intrinsic   nan 1",
            r"camera 0: expected `intrinsic` of shape \(16\), got \(17",
        ),
        (
            "  intrinsic   1",
            "  intrinsic   x1",
            r"line 6: expected numbers after `intrinsic`, got 'intrinsic",
        ),
        ("  extrinsic   1", "  extrinsic   2", r"camera 0: expected a rotation in `extrinsic`"),
    ],
)
def test_damaged_calibration(copied, old, new, message):
    path = copied / "S6/Seq2/camera.calibration"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(DownloadError, match=message):
        train.read_calibration(path)
    assert any(line.startswith("S6/Seq2/camera.calibration: ") for line in problems(copied))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"annot2": None}, r"TS4/annot_data.mat: expected `annot2`, found only"),
        ({"annot3": np.zeros((2, 17, 3))}, r"expected `annot3` of shape \(any, 1, 17, 3\), got \(2, 17, 3\)"),
        ({"annot3": np.zeros((2, 2, 17, 3))}, r"expected `annot3` of shape \(any, 1, 17, 3\), got \(2, 2"),
        ({"annot2": np.ones((3, 1, 17, 2))}, r"expected `annot2` for each of 2 frames, got 3"),
        ({"valid_frame": np.zeros((2, 1))}, r"expected frames marked in `valid_frame`, got none of 2"),
        ({"valid_frame": np.full((2, 1), np.nan)}, r"expected finite numbers in `valid_frame`"),
        ({"annot3": np.full((2, 1, 17, 3), np.nan)}, r"to tell the camera, got 0 usable joints"),
        ({"annot2": np.random.default_rng(0).uniform(0, 2048, (2, 1, 17, 2))}, r"to project onto `annot2`"),
        ({"univ_annot3": np.zeros((2, 1, 17, 3))}, r"expected `univ_annot3` to be `annot3` in another size"),
    ],
)
def test_damaged_test_annotations(copied, changes, message):
    joints, pixels = written.test_poses("TS4")
    path = copied / TS / "TS4/annot_data.mat"
    written.write_annot_data(path, joints, pixels, [1], [7], scale=0.94, **changes)
    with pytest.raises(DownloadError, match=message):
        read(copied, "test")
    assert [line for line in problems(copied) if line.startswith(f"{TS}/TS4/annot_data.mat: ")]


def test_a_camera_that_is_not_theirs(copied):
    joints, _ = written.test_poses("TS1")
    pixels = written.project(joints, (1200.0, 1200.0, 800.0, 800.0))
    written.write_annot_data(
        copied / TS / "TS1/annot_data.mat", joints, pixels, [1, 3, 4], [1, 1, 1], scale=1.0
    )
    (line,) = problems(copied)
    assert "expected a camera near [1500.172" in line and re.search(r"fitted \[1(199|200)\.\d, ", line)


@pytest.mark.parametrize("name", ["annot.mat", "camera.calibration"])
def test_a_missing_file_is_named(copied, name):
    (copied / "S6/Seq2" / name).unlink()
    with pytest.raises(DownloadError, match=rf"S6/Seq2/{name}: expected .*"):
        read(copied, "train")


# --- videos ---------------------------------------------------------------------------------------


def test_matlab_files_cut_short(tmp_path):
    path = tmp_path / "a.mat"
    for compressed in (False, True):
        savemat(path, {"one": np.arange(400.0), "two": "text"}, do_compression=compressed)
        whole = path.read_bytes()
        for content, lacking in ((whole, 0), (whole[:-9], 9), (whole[:100], 0), (whole[:130], 6)):
            path.write_bytes(content)
            assert mat5_missing_bytes(path) == lacking
    path.write_bytes(whole[:128] + bytes(64))  # no variables
    assert mat5_missing_bytes(path) == 0


def test_videos_cut_short(download, tmp_path):
    whole = (download / "S6/Seq1/imageSequence/video_0.avi").read_bytes()
    path = tmp_path / "video.avi"
    for content, lacking in ((whole, 0), (whole[:-70], 70), (whole + b"\0" * 5, 0), (b"RIFF", 0)):
        path.write_bytes(content)
        assert missing_bytes(path) == lacking
    path.write_bytes(whole + b"RIFF\x10\0\0\0AVIX")  # the second of several, and most of it missing
    assert missing_bytes(path) == 12
    path.write_bytes(whole[:-70])
    assert video_problem(path, size=(256, 256), frames=1) == "cut short: 70 bytes are missing at its end"
    path.write_bytes(b"no video" * 40)
    assert "expected a video" in video_problem(path, size=(256, 256), frames=1)
    assert video_problem(tmp_path / "none.avi", size=(256, 256), frames=1) == "missing"


# --- real frames ----------------------------------------------------------------------------------


def test_real_test_frames(real_samples, tmp_path):
    """Real labels go into files of the original form; what comes out is them, and fits the real picture."""
    for record in real_records(real_samples, "test"):
        joints, pixels = np.array([record["joints_cam_mm"]]), np.array([record["joints_px"]])
        frame = int(record["image"].split("_")[-1].removesuffix(".jpg")) - 1
        place = tmp_path / record["sequence"]
        stored = {
            name: np.repeat(value, frame + 1, 0) for name, value in (("joints", joints), ("pixels", pixels))
        }
        written.write_annot_data(
            place / "annot_data.mat", stored["joints"], stored["pixels"], [frame], [1], scale=1.1
        )
        target = place / f"imageSequence/img_{frame + 1:06d}.jpg"
        target.parent.mkdir(parents=True)
        shutil.copy(real_samples / record["image"], target)
        take = read(tmp_path, "test_measured")[0][f"{record['sequence']}/Standing/Walking/"]
        check_by_name(take, record)
        fitted = [*take.camera.focal_px.tolist(), *take.camera.centre_px.tolist()]
        known = [*record["camera"]["f_px"], *record["camera"]["c_px"]]
        np.testing.assert_allclose(fitted, known, rtol=0.02)  # 17 points of one frame
        sample = take.sample(0, size=128)
        back = sample.camera.project(sample.joints_cam_mm[None].double())[0]
        assert np.linalg.norm(back.numpy()[:17] - take.joints_px[0, :17], axis=-1).max() < 2.5


def test_real_training_frames(real_samples, tmp_path):
    for record in real_records(real_samples, "train"):
        subject, sequence, camera = record["sequence"].split("_")
        camera = int(camera.removeprefix("Cam"))
        row = int(record["image"].split("_")[-1].removesuffix(".jpg")) - 1
        place = tmp_path / subject / sequence
        joints28, pixels28 = np.full((1, 28, 3), 1e3), np.full((1, 28, 2), 1e3)
        for at, index in enumerate(written.RELEVANT17):
            joints28[0, index], pixels28[0, index] = record["joints_cam_mm"][at], record["joints_px"][at]
        cells = {name: np.empty((14, 1), dtype=object) for name in ("annot2", "annot3", "univ_annot3")}
        for name, value in (("annot2", pixels28), ("annot3", joints28), ("univ_annot3", joints28)):
            cells[name][:, 0] = [value.reshape(1, -1)] * 14
        written.write_annot_mat(
            place / "annot.mat", {0: joints28}, scale=1.0, frames=np.array([[float(row)]]), **cells
        )
        (place / "camera.calibration").write_text(real_calibration(record))
        target = place / f"imageFrames/video_{camera}/frame_{row + 1:06d}.jpg"
        target.parent.mkdir(parents=True)
        shutil.copy(real_samples / record["image"], target)
        shutil.copy(target, target.with_name("frame_000001.jpg"))  # by which the layout is recognised
        take = read(tmp_path, "train")[0][f"{subject}/{sequence}/{camera}"]
        check_by_name(take, record)
        seen = take.camera.project(torch.from_numpy(take.joints_cam_mm)).numpy()
        assert np.linalg.norm(seen - take.joints_px, axis=-1).max() < 2.5
        sample = take.sample(0, size=128)
        assert sample.meta.frame == row and np.array_equal(take.pictures.read(0), read_image(target))


def real_records(folder, split):
    annotations = folder / "mpi_inf_3dhp" / "annotations.json"
    if not annotations.is_file():
        pytest.skip(f"no real frames of MPI-INF-3DHP at {annotations.parent}")
    records = json.loads(annotations.read_text())["records"]
    return [record for record in records if record["split"] == split]


def check_by_name(take, record):
    theirs = json_names()
    for joint in HEMLETS18.joint_names[:17]:
        at = theirs.index(THEIR_NAMES[joint])
        np.testing.assert_allclose(take.joints_cam_mm[0, HEMLETS18.index(joint)], record["joints_cam_mm"][at])
        np.testing.assert_allclose(take.joints_px[0, HEMLETS18.index(joint)], record["joints_px"][at])


def json_names():
    """The 17 in the order of the real annotations, which is the data set's."""
    return [written.NAMES28[index] for index in written.RELEVANT17]


def real_calibration(record):
    (fx, fy), (cx, cy) = record["camera"]["f_px"], record["camera"]["c_px"]
    lines = ["a first line"]
    for camera in range(14):
        lines += [
            f"name {camera}",
            "size 2048 2048",
            f"intrinsic {fx} 0 {cx} 0 0 {fy} {cy} 0 0 0 1 0 0 0 0 1",
            "extrinsic 1 0 0 0 0 1 0 0 0 0 1 0 0 0 0 1",
        ]
    return "\n".join(lines)


def test_the_real_order_is_ours(real_samples):
    annotations = real_samples / "mpi_inf_3dhp" / "annotations.json"
    if not annotations.is_file():
        pytest.skip(f"no real frames of MPI-INF-3DHP at {annotations.parent}")
    assert json.loads(annotations.read_text())["joint_names"] == json_names()


def test_a_camera_from_scarce_joints_is_none():
    pose = np.full((1, 18, 3), np.nan)
    pose[0, 0] = (0, 0, 4000)
    with pytest.raises(DownloadError, match=r"x.mat: expected .* to tell the camera, got 1 usable joints"):
        facts.fit_camera(pose[..., :2], pose, where="x.mat")
    assert len(facts.distances_px(pose[..., :2], pose * np.nan, Camera(torch.ones(2), torch.ones(2)))) == 0
