"""HumanEva-I: joints by name, frames in step with videos, the lens, chunks, and what is said of damage."""

import shutil

import numpy as np
import pytest
import torch
from downloads import humaneva as written
from downloads import write_video
from scipy.io import savemat

from hemlets_lib.data.readers.contract import Skipped, Take
from hemlets_lib.data.readers.files import DownloadError
from hemlets_lib.data.readers.humaneva import files
from hemlets_lib.data.readers.humaneva.reader import HumanEvaMat, HumanEvaNpz
from hemlets_lib.data.sample import UnreadableSample
from hemlets_lib.geometry import Camera
from hemlets_lib.protocols import PROTOCOLS
from hemlets_lib.skeleton import HEMLETS18
from hemlets_lib.triplets import UNKNOWN

UNLABELLED = {"torso", "nose"}
THEIR_NAMES = {name: name for name in HEMLETS18.joint_names} | {"neck": "thorax"}
BOTH = pytest.mark.parametrize("reader", [HumanEvaMat, HumanEvaNpz], ids=lambda reader: reader.form)


@pytest.fixture(scope="module")
def downloads(tmp_path_factory):
    """A folder for each form; to be left as they are."""
    folders = {}
    for reader, write in ((HumanEvaMat, written.write_mat_form), (HumanEvaNpz, written.write_npz_form)):
        folders[reader] = tmp_path_factory.mktemp(reader.form)
        write(folders[reader])
    return folders


@pytest.fixture
def copied(downloads, tmp_path):
    return lambda reader: shutil.copytree(downloads[reader], tmp_path / reader.form)


def read(reader, root, split="validate", step=1):
    items = list(reader(root).takes(split, step=step))
    takes = {
        f"{t.meta.subject}/{t.meta.action}/{t.meta.camera_name}": t for t in items if isinstance(t, Take)
    }
    return takes, [item for item in items if isinstance(item, Skipped)]


def problems(reader, root):
    return [f"{found.path}: {found.problem}" for found in reader(root).check() if found.problem]


# --- golden ---------------------------------------------------------------------------------------


@BOTH
def test_joints_by_name(downloads, reader):
    takes, _ = read(reader, downloads[reader])
    world = written.world_mm("Validate", "Walking")[[0, 1, 2, 10, 11]]
    for camera in written.CAMERAS:
        rotation, translation = written.pose_camera(camera)
        in_camera = world @ rotation.T + translation
        joints = takes[f"S1/Walking/{camera}"].joints_cam_mm
        for place, name in enumerate(HEMLETS18.joint_names):
            if name in UNLABELLED:
                assert np.isnan(joints[:, place]).all()
                continue
            if name == "thorax":
                shoulders = [
                    in_camera[:, written.NAMES15.index(f"{side}_shoulder")] for side in ("left", "right")
                ]
                expected = sum(shoulders) / 2
            else:
                expected = in_camera[:, written.NAMES15.index(THEIR_NAMES[name])]
            # The .npz file has float32 metres.
            np.testing.assert_allclose(joints[:, place], expected, atol=2e-3, err_msg=name)


@BOTH
def test_projection(downloads, reader):
    """The camera puts joints where the data set's own code does, to a twentieth of a pixel."""
    for name, take in read(reader, downloads[reader])[0].items():
        camera = name.split("/")[-1]
        world = written.world_mm("Validate", take.meta.action)
        world = world[np.isfinite(world).all((1, 2))]
        theirs = written.project(world, camera)
        ours = take.camera.project(torch.from_numpy(take.joints_cam_mm)).numpy()
        for joint in ("left_wrist", "right_ankle", "head"):
            at = written.NAMES15.index(joint)
            np.testing.assert_allclose(ours[:, HEMLETS18.index(joint)], theirs[:, at], atol=0.05)
        assert (theirs > 0).all() and (theirs < (640, 480)).all()


def test_pixels_of_the_mat_files_are_kept(downloads):
    take = read(HumanEvaMat, downloads[HumanEvaMat])[0]["S1/Jog/C2"]
    theirs = written.project(written.world_mm("Validate", "Jog")[[0, 4, 5]], "C2")
    np.testing.assert_allclose(
        take.joints_px[:, HEMLETS18.index("right_wrist")], theirs[:, written.NAMES15.index("right_wrist")]
    )
    assert np.isnan(take.joints_px[:, HEMLETS18.index("torso")]).all()


@BOTH
def test_frames_in_step_with_the_videos(downloads, reader):
    """Row r of a range that begins at b belongs to the video's frame b + r + offset - 1, all from 0."""
    for split, partition in (("validate", "Validate"), ("train", "Train")):
        takes, _ = read(reader, downloads[reader], split)
        for action in ("Walking", "Jog"):
            (first, _), valid = written.MOTION[partition, action]
            for camera, offset in zip(written.CAMERAS, written.FIRST_FRAMES[action], strict=True):
                take = takes[f"S1/{action}/{camera}"]
                assert take.frames.tolist() == [first + row + offset - 1 for row in valid]
    take = read(reader, downloads[reader], "train")[0]["S1/Walking/C1"]
    assert take.frames.tolist() == [590 + 81, 591 + 81]
    for place, frame in enumerate(take.frames.tolist()):
        assert abs(take.pictures.read(place).mean() - written.brightness(frame)) <= 1.2
    sample = take.sample(1, size=32)
    assert sample.meta.frame == 672 and sample.meta.action == "Walking" and sample.meta.source == reader.form
    assert sample.meta.sample_id == "humaneva/S1/Walking/C1/Walking_1_(C1):672"


@BOTH
def test_torso_and_nose_are_masked(downloads, reader):
    sample = read(reader, downloads[reader])[0]["S1/Jog/C1"].sample(0, size=48)
    unknown = {n for n, known in zip(HEMLETS18.joint_names, sample.joint_valid, strict=True) if not known}
    assert unknown == UNLABELLED
    assert (sample.part_states != UNKNOWN).all()  # no part needs them
    scored = {HEMLETS18.index(name) for name in PROTOCOLS["humaneva"].joints}
    assert all(sample.depth_valid[index] for index in scored)


@BOTH
def test_splits_and_steps(downloads, reader):
    root = downloads[reader]
    assert list(read(reader, root, "validate_c1")[0]) == ["S1/Walking/C1", "S1/Jog/C1"]
    assert len(read(reader, root, "train")[0]) == 6
    takes, skipped = read(reader, root, step=5)
    first = 5 + written.FIRST_FRAMES["Walking"][0] - 1
    assert takes["S1/Walking/C1"].frames.tolist() == [first, first + 10]
    lost = {item.name: item.frames for item in skipped if item.frames}
    assert lost == {"Validate/S1/Walking_1": 3 * (117 - 2), "Validate/S1/Jog_1": 3 * (73 - 2)}
    headings = {PROTOCOLS["humaneva"].column_of(take.meta) for take in takes.values()}
    assert headings == {"Walking S1", "Jogging S1"}


def test_tables_of_the_source():
    """Lines of he_dataset.m and prepare_data_humaneva.py, copied by hand."""
    assert files.RANGES["Train", "S1", "Walking"] == (590, 1203)
    assert files.RANGES["Validate", "S2", "Jog"] == (5, 398)
    assert files.RANGES["Train", "S3", "Jog"] == (401, 842)
    assert files.FIRST_FRAMES["S2", "Walking"] == (115, 115, 114) and len(files.FIRST_FRAMES) == 6
    train = sum(end - first for (part, *_), (first, end) in files.RANGES.items() if part == "Train")
    validate = sum(end - first for (part, *_), (first, end) in files.RANGES.items() if part == "Validate")
    assert (train, validate) == (613 + 373 + 438 + 397 + 491 + 441, 585 + 362 + 433 + 393 + 443 + 396)
    for subject in files.SUBJECTS:
        for action in files.ACTIONS:
            assert files.RANGES["Validate", subject, action][1] == files.RANGES["Train", subject, action][0]


# --- the lens and the offsets ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("distortion", "skew", "most"),
    [
        ((-0.3, 0.2, 0.0, 0.0, -0.05), 0.0, 1e-9),  # radial: the same formula
        ((-0.2, 0.1, 0.001, -0.002, 0.0), 0.0, 0.25),
        ((0.0, 0.0, 0.0, 0.0, 0.0), 1e-4, 0.03),
    ],
)
def test_the_lens_against_bouguets(distortion, skew, most):
    focal, centre = np.array([760.0, 755.0]), np.array([320.0, 240.0])
    k_radial, p_tangential, misfit = files.lens(focal, centre, skew, np.array(distortion))
    camera = Camera(*map(torch.from_numpy, (focal, centre, k_radial, p_tangential)))
    points = torch.rand(400, 2, dtype=torch.float64) * torch.tensor([640.0, 480.0]) - torch.tensor(
        [320.0, 240.0]
    )
    points = torch.cat([points / torch.from_numpy(focal) * 4000, torch.full((400, 1), 4000.0)], -1).double()
    x, y = (points[:, i].numpy() / 4000 for i in range(2))
    k1, k2, p1, p2, k3 = distortion
    r2 = x**2 + y**2
    radial = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3
    u = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
    v = y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
    theirs = np.stack([focal[0] * (u + skew * v) + centre[0], focal[1] * v + centre[1]], -1)
    off = np.linalg.norm(camera.project(points).numpy() - theirs, axis=-1).max()
    assert off <= misfit + 1e-6 and misfit < most


def test_the_calibration_by_hand(downloads):
    camera = files.read_calibration(downloads[HumanEvaMat] / "S1/Calibration_Data/C3.cal")
    rotation, translation = written.pose_camera("C3")
    point = np.array([[100.0, -250.0, 1500.0]])
    np.testing.assert_allclose(
        camera.world_to_cam(torch.from_numpy(point)).numpy()[0], rotation @ point[0] + translation, atol=1e-5
    )
    assert camera.focal_px.tolist() == [772, 769] and camera.centre_px.tolist() == [327, 241]
    assert camera.position_mm[2] == pytest.approx(1300, abs=1e-4)  # the world's z is up


def test_offsets_follow_from_the_ofs_files(downloads, copied):
    root = downloads[HumanEvaMat]
    assert files.offsets_of_streams(root, "S1", "Walking") == (82, 81, 82)
    assert files.offsets_of_streams(root, "S1", "Jog") is None
    notes = " ".join(found.note for found in HumanEvaMat(root).check())
    assert "offsets (82, 81, 82), as the .ofs files say" in notes and "not all .ofs files are there" in notes
    root = copied(HumanEvaMat)
    path = root / "S1/Sync_Data/Walking_1_(C2).ofs"
    path.write_text("191 201 2")  # ten frames of the video later
    assert "the .ofs files say (82, 91, 82)" in " ".join(found.note for found in HumanEvaMat(root).check())
    path.write_text("191 201 0")
    assert "expected two numbers of frames and a positive rate, got 191.0, 201.0, 0.0" in " ".join(
        found.note for found in HumanEvaMat(root).check()
    )


def test_motion_that_starts_after_the_first_camera(tmp_path):
    """Worked by hand, at two frames of motion per frame of video."""
    (tmp_path / "S1/Sync_Data").mkdir(parents=True)
    for stream, image in zip(
        ("C1", "C2", "C3", "BW1", "BW2", "BW3", "BW4"), (8, 7, 9, 5, 6, 6, 6), strict=True
    ):
        (tmp_path / f"S1/Sync_Data/Jog_1_({stream}).ofs").write_text(f"{image}\n3\n2\n")
    # C1 first shows motion's frame 3; the earliest camera's frame 1 is then motion's 3 - 2 (5 - 1) = -5,
    # before its first. Frame 1 comes 3 frames of video later: 8 - 5 + 1 + 3, and so on.
    assert files.offsets_of_streams(tmp_path, "S1", "Jog") == (7, 6, 8)


# --- chunks ---------------------------------------------------------------------------------------


def test_without_detections_only_the_first_chunk_is_placed(copied):
    root = copied(HumanEvaNpz)
    (root / "data/data_2d_humaneva15_detectron_pt_coco.npz").unlink()
    takes, skipped = read(HumanEvaNpz, root)
    first = 5 + written.FIRST_FRAMES["Walking"][0] - 1
    assert takes["S1/Walking/C1"].frames.tolist() == [first, first + 1, first + 2]
    unplaced = [item for item in skipped if item.reason == "poses whose frames the file does not tell"]
    assert [(item.name, item.frames) for item in unplaced] == [
        ("Validate/S1/Walking_1", 6),
        ("Validate/S1/Jog_1", 6),
    ]
    lost = {item.name: item.frames for item in skipped if item.reason.startswith("no motion")}
    assert lost == {"Validate/S1/Walking_1": 3 * (585 - 5), "Validate/S1/Jog_1": 3 * (362 - 3)}
    assert "Validate/S1/Walking_1: 2 poses whose frames the file does not tell" in problems(HumanEvaNpz, root)


def test_a_gap_at_the_start(tmp_path, monkeypatch):
    """Where the first chunk has no motion, all hangs on the detections."""
    motion = {key: (limits, (3, 4)) for key, (limits, _) in written.MOTION.items()}
    monkeypatch.setattr(written, "MOTION", motion)
    written.write_npz_form(tmp_path)
    offset = written.FIRST_FRAMES["Jog"][2] - 1
    assert read(HumanEvaNpz, tmp_path)[0]["S1/Jog/C3"].frames.tolist() == [5 + 3 + offset, 5 + 4 + offset]
    (tmp_path / "data/data_2d_humaneva15_detectron_pt_coco.npz").unlink()
    assert read(HumanEvaNpz, tmp_path)[0] == {}


# --- what is left out -----------------------------------------------------------------------------


@BOTH
def test_absent_subjects_and_other_actions_are_told(downloads, reader):
    _, skipped = read(reader, downloads[reader], "validate" if reader is HumanEvaMat else "train")
    left_out = {(item.name, item.reason) for item in skipped}
    assert {("S2", "not in this download"), ("S3", "not in this download")} <= left_out
    box = "Validate/S1/Box_1" if reader is HumanEvaMat else "Train/S1/Box 1"
    assert (box, "not an action of the benchmark") in left_out


def test_single_joints_without_motion_are_masked(copied):
    root = copied(HumanEvaMat)
    poses = written.world_mm("Validate", "Jog")
    poses[0, written.NAMES15.index("left_wrist")] = np.nan
    poses[4, written.NAMES15.index("pelvis")] = np.nan  # nothing can be measured from
    written.write_mat(root, "Validate", "Jog", poses_3d=poses)
    takes, _ = read(HumanEvaMat, root)
    take = takes["S1/Jog/C1"]
    assert take.frames.tolist() == [55, 60]
    sample = take.sample(0, size=32)
    assert not sample.depth_valid[HEMLETS18.index("left_wrist")]
    assert sample.joints_cam_mm[HEMLETS18.index("left_wrist")].isnan().all()


def test_another_number_of_poses_than_frames(copied):
    root = copied(HumanEvaMat)
    poses = written.world_mm("Validate", "Jog")[:-1]
    pixels = np.stack([written.project(poses, camera) for camera in written.CAMERAS])
    written.write_mat(root, "Validate", "Jog", poses_3d=poses, poses_2d=pixels)
    takes, skipped = read(HumanEvaMat, root)
    assert "S1/Jog/C1" not in takes and "S1/Walking/C1" in takes
    (item,) = [item for item in skipped if item.name == "Validate/S1/Jog_1"]
    assert item.reason == "its poses cannot be told to frames: 361 for 362 frames" and item.frames == 361
    assert f"Validate/S1/Jog_1: {item.reason}" in problems(HumanEvaMat, root)


def test_poses_of_another_camera(copied):
    root = copied(HumanEvaMat)
    poses = written.world_mm("Validate", "Jog")
    pixels = np.stack([written.project(poses, camera) for camera in ("C1", "C3", "C2")])
    written.write_mat(root, "Validate", "Jog", poses_2d=pixels)
    takes, skipped = read(HumanEvaMat, root)
    assert "S1/Jog/C1" in takes and "S1/Jog/C2" not in takes
    reasons = {item.name: item.reason for item in skipped}
    assert reasons["Validate/S1/Jog_1_(C3)"] == "its 3D and 2D joints do not belong together"


@BOTH
def test_missing_and_short_videos(copied, reader):
    root = copied(reader)
    (root / "S1/Image_Data/Jog_1_(C2).avi").unlink()
    short = root / "S1/Image_Data/Walking_1_(C1).avi"
    short.unlink()
    write_video(short, [np.zeros((480, 640, 3), np.uint8)] * 90, fps=60, codec="mpeg4")
    assert problems(reader, root) == [
        "S1/Image_Data/Walking_1_(C1).avi: expected at least 673 frames for its labels, got 90",
        "S1/Image_Data/Jog_1_(C2).avi: missing",
    ]
    takes, skipped = read(reader, root)
    assert ("Validate/S1/Jog_1_(C2)", "its video is missing", 3) in [
        (item.name, item.reason, item.frames) for item in skipped
    ]
    take = takes["S1/Walking/C1"]
    assert take.sample(2, size=32).meta.frame == 88
    with pytest.raises(UnreadableSample, match=r"expected frame 96, got a video that ends after 90 frames"):
        take.sample(3, size=32)


def test_a_video_of_another_size(copied):
    root = copied(HumanEvaMat)
    path = root / "S1/Image_Data/Jog_1_(C1).avi"
    path.unlink()
    write_video(path, [np.zeros((240, 320, 3), np.uint8)] * 60, fps=60, codec="mpeg4")
    with pytest.raises(UnreadableSample, match=r"expected a picture of 640 by 480 pixels.*got 320 by 240"):
        read(HumanEvaMat, root)[0]["S1/Jog/C1"].sample(0, size=32)


# --- errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"poses_3d": None}, r"Jog_1.mat: expected `poses_3d`, found only poses_2d"),
        (
            {"poses_3d": np.zeros((362, 20, 3))},
            r"expected `poses_3d` of shape \(any, 15, 3\), got \(362, 20, 3\)",
        ),
        (
            {"poses_2d": np.zeros((362, 3, 15, 2))},
            r"expected `poses_2d` of shape \(3, 362, 15, 2\), got \(362",
        ),
        ({"poses_3d": "none"}, r"expected numbers in `poses_3d`"),
    ],
)
def test_damaged_mat_files(copied, changes, message):
    root = copied(HumanEvaMat)
    written.write_mat(root, "Validate", "Jog", **changes)
    with pytest.raises(DownloadError, match=message):
        read(HumanEvaMat, root)
    assert any(line.startswith("Validate/S1/Jog_1: ") for line in problems(HumanEvaMat, root))


def test_missing_mat_file(copied):
    root = copied(HumanEvaMat)
    (root / "converted_15j/Validate/S1/Walking_1.mat").unlink()
    with pytest.raises(DownloadError, match=r"Validate/S1/Walking_1.mat: expected a file there, found none"):
        read(HumanEvaMat, root)
    assert read(HumanEvaMat, root, "train")[0]  # which does not need it


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ("772 769 327", r"C2.cal: expected `22 numbers of a camera` of shape \(22\), got \(3,\)"),
        ("a b c", r"C2.cal: expected 22 numbers of a camera, got a file that is none"),
        (
            " ".join(["nan", *"0" * 21]),
            r"expected finite numbers in `22 numbers of a camera`, got nan at \[0\]",
        ),
        (" ".join("1" * 22), r"C2.cal: expected positive focal lengths and a rotation"),
        (
            "772 769 327 241 0.3 0 0 0 0 0 1 0 0 0 1 0 0 0 1 0 0 4000",
            r"C2.cal: expected a lens without skew and with little tangential distortion, got one that",
        ),
        (
            "772 769 327 241 0 1e300 1e300 0 0 1e300 1 0 0 0 1 0 0 0 1 0 0 4000",
            r"C2.cal: expected a lens without skew",
        ),
    ],
)
def test_damaged_calibration(copied, numbers, message):
    root = copied(HumanEvaMat)
    (root / "S1/Calibration_Data/C2.cal").write_text(numbers)
    with pytest.raises(DownloadError, match=message):
        read(HumanEvaMat, root)
    assert problems(HumanEvaMat, root)[0].startswith("S1/Calibration_Data/C2.cal: expected ")
    assert read(HumanEvaMat, root, "validate_c1")[0]  # which does not need it


def test_missing_calibration(copied):
    root = copied(HumanEvaNpz)
    (root / "S1/Calibration_DATA/C1.cal").unlink()
    with pytest.raises(DownloadError, match=r"S1/Calibration_DATA/C1.cal: expected 22 numbers.*, found none"):
        read(HumanEvaNpz, root)
    assert problems(HumanEvaNpz, root) == [
        "S1/Calibration_DATA/C1.cal: expected 22 numbers of a camera, found none."
    ]


def test_nothing_of_the_data_set(tmp_path):
    written.write_npz(tmp_path)
    assert HumanEvaNpz.recognises(tmp_path) and not HumanEvaMat.recognises(tmp_path)
    assert problems(HumanEvaNpz, tmp_path) == [
        "S1: missing; expected the subjects' folders S1, S2, S3 of the data set"
    ]
    assert [item.name for item in read(HumanEvaNpz, tmp_path)[1]] == ["S1", "S2", "S3"]


def save_npz(root, **content):
    np.savez(root / "data/data_3d_humaneva15.npz", **content)


class Hostile:
    def __reduce__(self):
        return (print, ("run",))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"poses": np.zeros(3)}, r"data_3d_humaneva15.npz: expected `positions_3d`, found only poses"),
        (
            {"positions_3d": np.zeros(3)},
            r"expected `positions_3d` to hold subjects and their actions, got ndarray",
        ),
        (
            {"positions_3d": {"Train/S1": [1, 2]}},
            r"expected `positions_3d` to hold subjects and their actions",
        ),
        ({"positions_3d": {"a": Hostile()}}, r"expected plain data, got a pickle that asks for \w+.print"),
        (
            {"positions_3d": {"Validate/S1": {"Walking 1 chunk0": np.zeros((4, 17, 3))}}},
            r"Validate/S1/Walking_1: expected `chunk0` of shape \(any, 15, 3\), got \(4, 17, 3\)",
        ),
        (
            {"positions_3d": {"Validate/S1": {"Walking 1 chunk0": np.zeros((586, 15, 3))}}},
            r"expected at most 585 frames, got chunks of 586",
        ),
        (
            {"positions_3d": {"Validate/S1": {"Walking 1 chunk0": "poses"}}},
            r"expected numbers in `chunk0`",
        ),
    ],
)
def test_damaged_npz_files(copied, capsys, content, message):
    root = copied(HumanEvaNpz)
    save_npz(root, **content)
    with pytest.raises(DownloadError, match=message):
        read(HumanEvaNpz, root)
    assert problems(HumanEvaNpz, root)
    assert "run" not in capsys.readouterr().out


def test_damaged_detections(copied):
    root = copied(HumanEvaNpz)
    path = root / "data/data_2d_humaneva15_detectron_pt_coco.npz"
    np.savez(path, positions_2d={"Unlabeled/Validate/S1": {"Walking 1 chunk1": "seven"}})
    with pytest.raises(DownloadError, match=r"chunk1: expected detections of each camera, got str"):
        read(HumanEvaNpz, root)


def test_an_action_that_the_npz_file_lacks(copied):
    root = copied(HumanEvaNpz)
    save_npz(root, positions_3d={"Validate/S1": {"Jog 1 chunk0": np.zeros((2, 15, 3), np.float32)}})
    reasons = {item.name: item.reason for item in read(HumanEvaNpz, root)[1]}
    assert reasons["Validate/S1/Walking_1"].startswith("not in data_3d_humaneva15.npz: Validate/S1, Walking")


def test_files_of_the_other_form_are_not_needed(downloads, tmp_path):
    """Both in one folder: each form is recognised, and each reads its own."""
    root = shutil.copytree(downloads[HumanEvaMat], tmp_path / "both")
    written.write_npz(root)
    assert HumanEvaMat.recognises(root) and HumanEvaNpz.recognises(root)
    one, other = (read(reader, root)[0] for reader in (HumanEvaMat, HumanEvaNpz))
    assert list(one) == list(other)
    for name, take in one.items():
        assert take.frames.tolist() == other[name].frames.tolist()
        np.testing.assert_allclose(take.joints_cam_mm, other[name].joints_cam_mm, atol=2e-3)


def test_a_version_7_3_file(copied, tmp_path):
    root = copied(HumanEvaMat)
    path = root / "converted_15j/Train/S1/Jog_1.mat"
    savemat(path, {"x": 1})
    content = bytearray(path.read_bytes())
    content[:20] = b"MATLAB 7.3 MAT-file "
    path.write_bytes(content)
    with pytest.raises(
        DownloadError, match=r"Jog_1.mat: expected a MATLAB file of version 5 to 7, got version 7.3"
    ):
        read(HumanEvaMat, root, "train")
