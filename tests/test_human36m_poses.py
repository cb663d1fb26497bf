"""Human3.6M's poses from VideoPose3D and from 3d-pose-baseline, with the original videos."""

import os
import shutil

import h5py
import numpy as np
import pytest
import torch
from downloads import human36m as made

from hemlets_lib.data.cameras import h36m_camera
from hemlets_lib.data.readers.contract import Skipped, Take
from hemlets_lib.data.readers.files import DownloadError
from hemlets_lib.data.readers.human36m.cameras import read_cameras
from hemlets_lib.data.readers.human36m.poses import Human36mMartinez, Human36mVideopose

WRITERS = {Human36mVideopose: made.write_videopose, Human36mMartinez: made.write_martinez}
BOTH = pytest.mark.parametrize("reader", WRITERS, ids=lambda reader: reader.form)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    roots = {}
    for reader, write in WRITERS.items():
        roots[reader] = tmp_path_factory.mktemp(reader.form)
        write(roots[reader])
    return roots


@pytest.fixture
def copied(written, tmp_path):
    return {reader: shutil.copytree(root, tmp_path / reader.form) for reader, root in written.items()}


def read(reader, root, split="test", step=1):
    items = list(reader(root).takes(split, step=step))
    takes = {item.name: item for item in items if isinstance(item, Take)}
    return takes, {item.name: item for item in items if isinstance(item, Skipped)}


def problems(reader, root):
    return {each.path: each.problem for each in reader(root).check() if each.problem}


def base(reader, root):
    return root / "h36m" if reader is Human36mMartinez else root


@BOTH
def test_takes_are_what_was_written(written, reader):
    takes, _ = read(reader, written[reader])
    for camera in made.CAMERAS:
        take = takes[f"human36m/S9/SittingDown/{camera}"]
        lens = made.lens("S9", camera)
        cam = lens.to_camera(made.world_poses("S9", "SittingDown 1"))[: len(take), list(made.PLACES17)]
        np.testing.assert_allclose(take.joints_cam_mm[:, :17], cam, atol=5e-3)  # metres in single precision
        seen = take.camera.project(torch.from_numpy(take.joints_cam_mm)).numpy()[:, :17]
        np.testing.assert_allclose(seen, lens.project(cam), atol=2e-3)
        assert take.sample(0, size=32).meta.source == reader.form
    assert takes["human36m/S9/SittingDown/58860488"].frames.tolist() == [0, 1]


@BOTH
def test_other_names_of_the_same_video(written, reader):
    """The poses of S1 and S5 are called 'Photo 1' and 'WalkDog', the videos 'TakingPhoto 1', 'WalkingDog'."""
    takes, skipped = read(reader, written[reader], "train")
    photo = takes["human36m/S1/Photo/54138969"]
    assert photo.pictures.path.name == "TakingPhoto 1.54138969.mp4"
    assert takes["human36m/S5/WalkDog/60457274"].pictures.path.name == "WalkingDog.60457274.mp4"
    assert len(takes) == 6 * 4 and not skipped


def test_left_out_of_videopose(written):
    _, skipped = read(Human36mVideopose, written[Human36mVideopose])
    assert list(skipped.values()) == [
        Skipped("S9/SittingDown 1.58860488", "the video ends before the poses", 1),
        *(Skipped(f"S11/Directions.{camera}", "its poses are missing") for camera in made.CAMERAS),
    ]


def test_left_out_of_martinez(written):
    _, skipped = read(Human36mMartinez, written[Human36mMartinez], step=2)
    assert list(skipped.values()) == [
        Skipped("S9/SittingDown 1.58860488", "the video ends before the poses", 1),
        Skipped("S11/Directions.54138969", "the published video is corrupt", 2),
    ]


@BOTH
def test_nothing_is_wrong_with_a_complete_one(written, reader):
    root = written[reader]
    assert problems(reader, root) == {}
    where = base(reader, root).relative_to(root)
    notes = {each.path: each.note for each in reader(root).check() if each.note}
    assert notes[(where / "S1").as_posix()] == "poses of 2 takes; the data set has 30."
    assert "about 200 mm off" in notes[(where / "S9").as_posix()]


@BOTH
def test_missing_videos(copied, reader):
    root = copied[reader]
    (base(reader, root) / "S9/Videos/SittingDown 1.55011271.mp4").unlink()
    shutil.rmtree(base(reader, root) / "S7/Videos")
    assert read(reader, root)[1]["S9/SittingDown 1.55011271"].reason == "its video is missing"
    found = problems(reader, root)
    inner = base(reader, root).relative_to(root) / "S9/Videos/SittingDown 1.55011271.mp4"
    assert found[inner.as_posix()] == "expected a file there, found none"
    inner = base(reader, root).relative_to(root) / "S7/Videos/*.mp4"
    assert found[inner.as_posix()] == "expected 4 files there, found none"


@BOTH
def test_nothing_there(tmp_path, reader):
    assert not reader.recognises(tmp_path)
    with pytest.raises(DownloadError, match="expected a file there, found none"):
        list(reader(tmp_path).takes("test"))
    assert [each.problem for each in reader(tmp_path).check()]


def test_with_pixels_or_without(tmp_path, written):
    takes, _ = read(Human36mVideopose, written[Human36mVideopose])
    assert takes["human36m/S9/SittingDown/54138969"].joints_px is not None
    made.write_videopose(tmp_path, pixels=False)
    takes, skipped = read(Human36mVideopose, tmp_path)
    assert takes["human36m/S9/SittingDown/54138969"].joints_px is None and len(takes) == 8
    assert len(skipped) == 1 + 4


def save(path, **arrays):
    np.savez_compressed(path, **{name: np.array(value, dtype=object) for name, value in arrays.items()})


def test_pixels_before_other_cameras(copied):
    root = copied[Human36mVideopose]
    seen = np.load(root / "data_2d_h36m_gt.npz", allow_pickle=True)["positions_2d"].item()
    seen["S9"]["SittingDown 1"].reverse()
    seen["S11"]["Directions 1"][1] = seen["S11"]["Directions 1"][1][:2]
    save(root / "data_2d_h36m_gt.npz", positions_2d=seen)
    takes, skipped = read(Human36mVideopose, root)
    reason = "its 3D and 2D joints do not belong together"
    assert skipped["S9/SittingDown 1.54138969"] == Skipped("S9/SittingDown 1.54138969", reason, 3)
    assert skipped["S11/Directions 1.55011271"].reason == reason
    assert "human36m/S11/Directions/54138969" in takes
    assert problems(Human36mVideopose, root)["data_2d_h36m_gt.npz"] == (
        "expected 3 frames of S11/Directions 1 before 55011271, as in its 3D poses, got 2"
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"positions_3d": [1, 2]}, "expected a dictionary in `positions_3d`, got ndarray"),
        ({"other": {}}, "expected `positions_3d`, found only other"),
        ({"positions_3d": {"S9": 4}}, "expected a dictionary of S9's takes, got int"),
        ({"positions_3d": {}}, r"expected poses of S9, S11 for the split 'test', found none"),
    ],
)
def test_other_dictionaries(copied, content, message):
    root = copied[Human36mVideopose]
    save(root / "data_3d_h36m.npz", **content)
    with pytest.raises(DownloadError, match=message):
        read(Human36mVideopose, root)


def test_one_take_of_another_shape(copied):
    root = copied[Human36mVideopose]
    poses = np.load(root / "data_3d_h36m.npz", allow_pickle=True)["positions_3d"].item()
    poses["S9"]["SittingDown 1"] = np.zeros((3, 17, 3), np.float32)
    poses["S11"]["Directions 1"] = "nothing"
    poses["S1"]["Eating 2"] = poses["S1"]["Eating 2"][:0]
    save(root / "data_3d_h36m.npz", positions_3d=poses)
    takes, skipped = read(Human36mVideopose, root)
    assert not takes
    assert (
        skipped["S9/SittingDown 1"].reason == skipped["S11/Directions 1"].reason == "its poses cannot be read"
    )
    assert read(Human36mVideopose, root, "train")[1]["S1/Eating 2"].reason == "its poses cannot be read"
    found = [each.problem for each in Human36mVideopose(root).check() if each.problem]
    assert any("S1/Eating 2: expected poses in `positions_3d`, got none" in each for each in found)
    assert any("S9/SittingDown 1: expected `positions_3d` of shape (any, 32, 3)" in each for each in found)
    assert any(
        "S11/Directions 1: expected numbers in `positions_3d`, got 'nothing'" in each for each in found
    )


class _Hostile:
    def __reduce__(self):
        return os.mkdir, ("made-by-a-pickle",)


def test_a_pickle_that_would_run_something(copied, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    root = copied[Human36mVideopose]
    save(root / "data_3d_h36m.npz", positions_3d=_Hostile())
    with pytest.raises(DownloadError, match=r"asks for .*mkdir\. It was not run"):
        read(Human36mVideopose, root)
    assert not (tmp_path / "made-by-a-pickle").exists()
    assert "It was not run" in problems(Human36mVideopose, root)["data_3d_h36m.npz"]


@pytest.mark.parametrize("transposed", [True, False])
def test_rotations_either_way(tmp_path, transposed):
    made.write_martinez(tmp_path, transposed=transposed)
    cameras = read_cameras(tmp_path / "h36m/cameras.h5")
    assert len(cameras) == 7 * 4
    for (subject, name), camera in cameras.items():
        published = h36m_camera(name, subject)
        torch.testing.assert_close(camera.rotation, published.rotation, rtol=0, atol=1e-12)
        torch.testing.assert_close(camera.position_mm, published.position_mm)
        torch.testing.assert_close(camera.p_tangential, published.p_tangential)


@pytest.mark.parametrize(
    ("key", "change", "message"),
    [
        (
            "R",
            lambda values: values * [[1, 1, -1]],
            r"expected the published calibration of 55011271 in S9's",
        ),
        ("T", lambda values: values + 10, r"10 mm in its place"),
        ("f", lambda values: values * 1.01, r"px in its lens"),
        ("Name", lambda values: values[::-1], r"got '17211055'"),
        ("Name", lambda values: values * 0, r"got '\?\?\?\?\?\?\?\?'"),
        ("Name", lambda values: values[:3], r"expected `subject9/camera2/Name` of shape \(8\), got \(3,\)"),
        ("c", lambda values: values[:1], r"expected `subject9/camera2/c` of shape \(2\), got \(1,\)"),
        ("k", lambda values: values * np.nan, r"expected finite numbers in `subject9/camera2/k`, got nan"),
        ("p", lambda values: None, r"expected `subject9/camera2/p`"),
    ],
)
def test_cameras_that_are_not_the_published_ones(copied, key, change, message):
    path = copied[Human36mMartinez] / "h36m/cameras.h5"
    with h5py.File(path, "r+") as file:
        values = change(file[f"subject9/camera2/{key}"][()])
        del file[f"subject9/camera2/{key}"]
        if values is not None:
            file[f"subject9/camera2/{key}"] = values
    with pytest.raises(DownloadError, match=rf"cameras\.h5.*{message}"):
        read(Human36mMartinez, copied[Human36mMartinez])
    assert str(path) in problems(Human36mMartinez, copied[Human36mMartinez])["h36m/cameras.h5"]


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        (np.zeros((51, 3)), r"expected `3D_positions` of shape \(96, any\), got \(51, 3\)"),
        (np.zeros((96, 0)), "expected poses in `3D_positions`, got none"),
        (None, "expected `3D_positions`"),
    ],
)
def test_other_poses(copied, stored, message):
    root = copied[Human36mMartinez]
    path = root / "h36m/S9/MyPoses/3D_positions/SittingDown 1.h5"
    with h5py.File(path, "w") as file:
        if stored is not None:
            file["3D_positions"] = stored
    assert read(Human36mMartinez, root)[1]["S9/SittingDown 1"].reason == "its poses cannot be read"
    found = [each.problem for each in Human36mMartinez(root).check() if each.problem]
    with pytest.raises(AssertionError, match=rf"SittingDown 1\.h5: {message}"):
        raise AssertionError("\n".join(found))


def test_the_folder_h36m_by_itself(written):
    assert len(read(Human36mMartinez, written[Human36mMartinez] / "h36m")[0]) == 7
