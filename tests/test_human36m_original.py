"""Human3.6M's original download: every sample is what the files say, and what is left out is told."""

import shutil

import h5py
import numpy as np
import pytest
import torch
from downloads import human36m as made

from hemlets_lib.data.cameras import h36m_camera
from hemlets_lib.data.readers.contract import Skipped, Take
from hemlets_lib.data.readers.files import DownloadError
from hemlets_lib.data.readers.human36m.files import read_box_px, read_joints
from hemlets_lib.data.readers.human36m.original import Human36mOriginal
from hemlets_lib.data.sample import UnreadableSample
from hemlets_lib.geometry import apply_affine, crop_to_px, invert_affine
from hemlets_lib.skeleton import HEMLETS18

MONO = "MyPoseFeatures/D3_Positions_mono"
PIXELS = "MyPoseFeatures/D2_Positions"


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    root = tmp_path_factory.mktemp("original")
    made.write_original(root)
    return root


@pytest.fixture
def copied(written, tmp_path):
    return shutil.copytree(written, tmp_path / "copy")


def read(root, split="test", step=1):
    items = list(Human36mOriginal(root).takes(split, step=step))
    takes = {item.name: item for item in items if isinstance(item, Take)}
    assert len(takes) == sum(isinstance(item, Take) for item in items), "two takes of one name"
    return takes, {item.name: item for item in items if isinstance(item, Skipped)}


def problems(root):
    return {each.path: each.problem for each in Human36mOriginal(root).check() if each.problem}


def notes(root):
    return {each.path: each.note for each in Human36mOriginal(root).check() if each.note}


def test_a_take_is_what_was_written(written):
    takes, _ = read(written)
    take = takes["human36m/S9/SittingDown/55011271"]
    lens = made.lens("S9", "55011271", changed=True)
    cam = lens.to_camera(made.world_poses("S9", "SittingDown 1", changed=True))[:, list(made.PLACES17)]
    assert take.joints_cam_mm is not None and take.joints_px is not None
    np.testing.assert_allclose(take.joints_cam_mm[:, :17], cam, atol=1e-3)  # single precision
    np.testing.assert_allclose(take.joints_px[:, :17], lens.project(cam), atol=1e-4)
    left, right = HEMLETS18.index("left_wrist"), HEMLETS18.index("right_wrist")
    np.testing.assert_allclose(take.joints_cam_mm[:, left], cam[:, 13], atol=1e-3)
    np.testing.assert_allclose(take.joints_cam_mm[:, right], cam[:, 16], atol=1e-3)
    assert take.frames.tolist() == [0, 1, 2]
    meta = take.sample(1, size=64).meta
    assert (meta.dataset, meta.subject, meta.action, meta.camera_name, meta.frame, meta.source) == (
        "human36m", "S9", "SittingDown", "55011271", 1, "original",
    )  # fmt: skip
    assert meta.sample_id == "human36m/S9/SittingDown/55011271/SittingDown 1.55011271:1"


def test_a_sample_leads_back_to_the_joints(written):
    """Crop, project, back-project: less than 1 mm from the file's camera-space joints.

    All but the thorax: the middle of the shoulders is not seen quite at the middle of their pixels.
    """
    takes, _ = read(written)
    take = takes["human36m/S11/Directions/60457274"]
    sample = take.sample(2, size=256)
    assert sample.camera is not None and sample.joints_cam_mm is not None and take.camera is not None
    px = apply_affine(
        invert_affine(sample.affine.double()), crop_to_px(sample.joints_crop[:, :2].double(), 256)
    )
    depth = sample.joints_crop[:, 2].double() * 2000 + float(sample.joints_cam_mm[0, 2])
    again = take.camera.back_project(px, depth)
    off_mm = (again - torch.from_numpy(take.joints_cam_mm[2])).norm(dim=-1)
    assert float(off_mm[:17].max()) < 1e-3 and float(off_mm[17]) < 5


def test_pictures_keep_their_own_size(written):
    takes, _ = read(written)
    sizes = {take.meta.camera_name: take.pictures.read(0).shape[:2] for take in takes.values()}
    assert sizes == {name: made.SIZES[name][::-1] for name in made.CAMERAS}


def test_the_person_is_in_the_picture_where_the_labels_say(written):
    """The video shows coloured dots at S9's joints, before the published cameras."""
    root = written.parent / "published"
    if not root.exists():
        made.write_original(root, metadata=False)
    take = read(root)[0]["human36m/S9/SittingDown/54138969"]
    sample = take.sample(0, size=256)
    pelvis = crop_to_px(sample.joints_crop[0, :2], 256).round().int()
    red, green, blue = sample.image[int(pelvis[1]), int(pelvis[0])].astype(int)
    assert red > green + 80 and blue > green + 80  # the first dot is magenta, the backdrop grey


def test_splits_and_actions(written):
    takes, skipped = read(written, "train")
    seen = sorted({(take.meta.subject, take.meta.action) for take in takes.values()})
    assert seen == [
        ("S1", "Eating"), ("S1", "Photo"), ("S5", "WalkDog"), ("S6", "SittingDown"), ("S7", "Sitting"),
        ("S8", "WalkTogether"),
    ]  # fmt: skip
    assert len(takes) == 6 * 4 and not skipped


def test_what_is_left_out(written):
    takes, skipped = read(written)
    assert skipped == {
        "S9/SittingDown 1.58860488": Skipped(
            "S9/SittingDown 1.58860488", "the video ends before the poses", 1
        ),
        "S11/Directions.54138969": Skipped("S11/Directions.54138969", "the published video is corrupt", 3),
    }
    assert len(takes["human36m/S9/SittingDown/58860488"]) == 2
    assert "human36m/S11/Directions/54138969" not in takes and len(takes) == 7


def test_every_second_frame(written):
    takes, skipped = read(written, step=2)
    assert takes["human36m/S9/SittingDown/54138969"].frames.tolist() == [0, 2]
    assert takes["human36m/S9/SittingDown/58860488"].frames.tolist() == [0]
    assert skipped["S9/SittingDown 1.58860488"].frames == 1
    assert skipped["S11/Directions.54138969"].frames == 2


@pytest.mark.parametrize("options", [{"flat": True}, {"metadata": False}, {"world": True}], ids=str)
def test_other_layouts_hold_the_same(tmp_path, options):
    made.write_original(tmp_path, **options)
    assert Human36mOriginal.recognises(tmp_path)
    takes, skipped = read(tmp_path)
    assert len(takes) == 7 and len(skipped) == 2
    changed = options.get("metadata", True)
    for take in takes.values():
        meta = take.meta
        name = "SittingDown 1" if meta.subject == "S9" else "Directions"
        lens = made.lens(meta.subject, meta.camera_name, changed=changed)
        cam = lens.to_camera(made.world_poses(meta.subject, name, changed=changed))[:, list(made.PLACES17)]
        np.testing.assert_allclose(take.joints_cam_mm[:, :17], cam[: len(take)], atol=5e-3)
    if not changed:
        focal = take.camera.focal_px
        assert torch.equal(focal, h36m_camera(take.meta.camera_name, take.meta.subject).focal_px)


def test_the_folder_extracted_by_itself(tmp_path):
    made.write_original(tmp_path, flat=True)
    assert len(read(tmp_path / "extracted")[0]) == 7  # with the metadata.xml that lies one folder up


def test_without_pixels_they_are_projected(copied):
    shutil.rmtree(copied / "S9" / PIXELS)
    take = read(copied)[0]["human36m/S9/SittingDown/55011271"]
    assert take.joints_px is None
    lens = made.lens("S9", "55011271", changed=True)
    cam = lens.to_camera(made.world_poses("S9", "SittingDown 1", changed=True))[0, 3]  # right ankle
    sample = take.sample(0, size=100)
    px = apply_affine(
        invert_affine(sample.affine.double()), crop_to_px(sample.joints_crop[:, :2].double(), 100)
    )
    np.testing.assert_allclose(px[3].numpy(), lens.project(cam), atol=0.02)


def test_poses_and_pixels_of_different_takes(copied):
    folder = copied / "S9" / PIXELS
    other = read_joints(folder / "SittingDown 1.55011271.cdf", 2)
    made.write_cdf(folder / "SittingDown 1.54138969.cdf", other)
    made.write_cdf(folder / "SittingDown 1.60457274.cdf", other[:2])
    _, skipped = read(copied)
    for camera in ("54138969", "60457274"):
        name = f"S9/SittingDown 1.{camera}"
        assert skipped[name] == Skipped(name, "its 3D and 2D joints do not belong together", 3)
    found = problems(copied)
    assert "do not belong together: up to" in found[f"S9/{PIXELS}/SittingDown 1.54138969.cdf"]
    assert "expected 3 frames, as in its 3D poses, got 2" in found[f"S9/{PIXELS}/SittingDown 1.60457274.cdf"]


def test_cameras_of_another_calibration_are_noticed(copied):
    """Poses before cameras that metadata.xml does not have: nothing is read, and the check says why."""
    (copied / "metadata.xml").unlink()
    takes, skipped = read(copied)
    assert not takes
    assert {each.reason for each in skipped.values()} == {
        "its 3D and 2D joints do not belong together", "the published video is corrupt",
    }  # fmt: skip
    assert any("Are the cameras those of this data set?" in problem for problem in problems(copied).values())


def test_files_that_are_missing(copied):
    (copied / "S9/Videos/SittingDown 1.54138969.mp4").unlink()
    (copied / f"S9/{MONO}/SittingDown 1.55011271.cdf").unlink()
    (copied / f"S9/{PIXELS}/SittingDown 1.60457274.cdf").unlink()
    takes, skipped = read(copied)
    assert skipped["S9/SittingDown 1.54138969"].reason == "its video is missing"
    assert skipped["S9/SittingDown 1.55011271"].reason == "its poses are missing"
    assert "human36m/S9/SittingDown/60457274" in takes
    found = problems(copied)
    for name in (
        "S9/Videos/SittingDown 1.54138969.mp4",
        f"S9/{MONO}/SittingDown 1.55011271.cdf",
        f"S9/{PIXELS}/SittingDown 1.60457274.cdf",
    ):
        assert found[name] == "expected a file there, found none"


def test_folders_that_are_missing(copied):
    shutil.rmtree(copied / "S7")
    shutil.rmtree(copied / "S8/Videos")
    (copied / "S9/Videos/SittingDown 1.54138969.mp4").unlink()
    (copied / "S9/Videos/SittingDown 1.55011271.mp4").unlink()
    takes, skipped = read(copied, "train")
    assert skipped["S7"].reason == "the subject's poses are missing"
    assert skipped["S8/WalkTogether 1.58860488"].reason == "its video is missing"
    assert {take.meta.subject for take in takes.values()} == {"S1", "S5", "S6"}
    found = problems(copied)
    assert "the split 'train' needs S7" in found["S7"]
    assert found["S8/Videos/*.mp4"] == "expected 4 files there, found none"
    assert found["S9/Videos/*.mp4"] == (
        "expected 4 files there, 2 of them are missing: "
        "SittingDown 1.54138969.mp4, SittingDown 1.55011271.mp4"
    )


def test_takes_that_only_metadata_knows(copied):
    mapping = {**made.MAPPING, "S9": {(10, 2): "SittingDown 1", (14, 1): "Walking 1"}}
    made.write_metadata(copied / "metadata.xml", mapping=mapping)
    found = problems(copied)
    assert "Walking 1.54138969.cdf, Walking 1.55011271.cdf" in found[f"S9/{MONO}/*.cdf"]
    assert "Walking 1.60457274.mp4" in found["S9/Videos/*.mp4"]


def test_without_metadata_takes_are_counted(tmp_path):
    made.write_original(tmp_path, metadata=False)
    found = problems(tmp_path)
    assert found["S9"] == "expected 30 takes, each of 15 actions twice, found 1: SittingDown 1"
    assert found["S1"].endswith("found 2: Eating 2, TakingPhoto 1")


@pytest.mark.parametrize("kind", [MONO, PIXELS])
def test_damaged_poses(copied, kind):
    path = copied / "S9" / kind / "SittingDown 1.54138969.cdf"
    path.write_bytes(path.read_bytes()[:700])
    assert read(copied)[1]["S9/SittingDown 1.54138969"].reason == "its poses cannot be read"
    assert "expected a CDF file" in problems(copied)[path.relative_to(copied).as_posix()]


def test_poses_of_another_shape(copied):
    path = copied / f"S9/{MONO}/SittingDown 1.54138969.cdf"
    made.write_cdf(path, np.zeros((3, 17, 3)))
    assert read(copied)[1]["S9/SittingDown 1.54138969"].reason == "its poses cannot be read"
    with pytest.raises(
        DownloadError, match=r"54138969\.cdf: expected `Pose` of shape \(any, 96\), got \(3, 51\)"
    ):
        read_joints(path, 3)
    assert (
        r"expected `Pose` of shape (1, any, 96), got (1, 3, 51)"
        in problems(copied)[path.relative_to(copied).as_posix()]
    )


def test_an_unlabelled_joint_is_masked_and_an_unlabelled_pelvis_unreadable(copied):
    poses = read_joints(copied / f"S9/{MONO}/SittingDown 1.54138969.cdf", 3)
    poses[0, 3] = np.nan  # right ankle
    poses[1, 0] = np.nan
    made.write_cdf(copied / f"S9/{MONO}/SittingDown 1.54138969.cdf", poses)
    shutil.rmtree(copied / f"S9/{PIXELS}")
    take = read(copied)[0]["human36m/S9/SittingDown/54138969"]
    sample = take.sample(0, size=64)
    assert not sample.joint_valid[3] and not sample.depth_valid[3] and sample.joint_valid[[0, 2, 4]].all()
    with pytest.raises(UnreadableSample, match=r"SittingDown 1\.54138969:1"):
        take.sample(1, size=64)


def test_videos_that_cannot_be_opened_or_end_early(copied):
    broken, short = (copied / f"S9/Videos/SittingDown 1.{name}.mp4" for name in ("54138969", "55011271"))
    broken.write_bytes(b"\0" * 5000)
    content = short.read_bytes()
    at = content.index(b"mdat") + 200  # the index at the file's end stays, the pictures do not
    short.write_bytes(
        content[:at] + b"\0" * (content.index(b"moov") - at) + content[content.index(b"moov") :]
    )
    takes, skipped = read(copied)
    assert skipped["S9/SittingDown 1.54138969"].reason == "its video cannot be opened"
    assert "cannot be opened" in problems(copied)["S9/Videos/SittingDown 1.54138969.mp4"]
    take = takes["human36m/S9/SittingDown/55011271"]
    with pytest.raises(UnreadableSample, match="human36m/S9/SittingDown/55011271"):
        [take.sample(place, size=32) for place in range(len(take))]


def test_notes_of_the_check(written):
    assert not problems(written)
    found = notes(written)
    assert found["S11/Videos/Directions.54138969.mp4"] == "the published video is corrupt"
    assert "shorter than the poses" in found["S9/Videos/*.mp4"]
    assert "SittingDown 1.58860488.mp4 by 1" in found["S9/Videos/*.mp4"]
    assert "about 200 mm off" in found["S9"]
    assert "cameras and names of takes read from there" in found["metadata.xml"]


def test_nothing_there(tmp_path):
    assert not Human36mOriginal.recognises(tmp_path)
    with pytest.raises(
        DownloadError,
        match=r"expected poses of S9, S11 for the split 'test', as S9/MyPoseFeatures.*found none",
    ):
        list(Human36mOriginal(tmp_path).takes("test"))
    with pytest.raises(ValueError, match=r"`split` of human36m \(original\) must be one of train, test"):
        list(Human36mOriginal(tmp_path).takes("val"))


def test_bad_metadata_stops_and_says_so(copied):
    (copied / "metadata.xml").write_text("<metadata>", encoding="utf-8")
    with pytest.raises(DownloadError, match=r"metadata\.xml: expected XML.*or remove it: hemlets has"):
        read(copied)
    assert "expected XML" in problems(copied)["metadata.xml"]


def test_the_data_sets_own_boxes(tmp_path):
    path = tmp_path / "Eating.54138969.mat"
    made.write_masks(path, [(10, 20, 30, 90), (0, 0, 5, 4), (7, 7, 6, 6)], (120, 100))
    low, high = read_box_px(path, 0)
    assert (low.tolist(), high.tolist()) == ([10, 20], [30, 90])
    low, high = read_box_px(path, 1)
    assert (low.tolist(), high.tolist()) == ([0, 0], [5, 4])
    with pytest.raises(DownloadError, match="frame 2: expected ones inside the box, got an empty mask"):
        read_box_px(path, 2)
    with pytest.raises(
        DownloadError, match=r"Eating\.54138969\.mat: expected a mask of frame 3, got 3 masks"
    ):
        read_box_px(path, 3)
    with h5py.File(tmp_path / "other.mat", "w") as file:
        file["Box"] = np.zeros(3)
    with pytest.raises(DownloadError, match=r"other\.mat: expected `Masks`, found only Box"):
        read_box_px(tmp_path / "other.mat", 0)


def test_a_box_that_does_not_hold_the_person(copied):
    folder = copied / "S9/MySegmentsMat/ground_truth_bb"
    made.write_masks(folder / "SittingDown 1.54138969.mat", [(0, 0, 40, 40)], (1000, 1002))
    found = problems(copied)["S9/MySegmentsMat/ground_truth_bb/SittingDown 1.54138969.mat"]
    assert found.startswith("expected the pelvis at [") and "in the box [0, 0] … [40, 40]" in found
