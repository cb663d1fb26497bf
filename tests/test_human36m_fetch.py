"""Human3.6M as h36m-fetch processes it."""

import shutil

import h5py
import numpy as np
import pytest
import torch
from downloads import human36m as made

from hemlets_lib.data.cameras import h36m_camera
from hemlets_lib.data.readers.contract import Skipped, Take
from hemlets_lib.data.readers.files import DownloadError
from hemlets_lib.data.readers.human36m.fetch import Human36mFetch
from hemlets_lib.data.sample import UnreadableSample

TAKE = "processed/S9/SittingDown-2"


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    root = tmp_path_factory.mktemp("fetch")
    made.write_fetch(root)
    return root


@pytest.fixture
def copied(written, tmp_path):
    return shutil.copytree(written, tmp_path / "copy")


def read(root, split="test", step=1):
    items = list(Human36mFetch(root).takes(split, step=step))
    takes = {item.name: item for item in items if isinstance(item, Take)}
    return takes, {item.name: item for item in items if isinstance(item, Skipped)}


def problems(root):
    return {each.path: each.problem for each in Human36mFetch(root).check() if each.problem}


def alter(path, key, change):
    with h5py.File(path, "r+") as file:
        values = change(file[key][()])
        del file[key]
        if values is not None:
            file[key] = values


def test_a_take_is_what_was_written(written):
    takes, _ = read(written)
    take = takes["human36m/S9/SittingDown/58860488"]
    lens = made.lens("S9", "58860488", changed=True)
    cam = lens.to_camera(made.world_poses("S9", "SittingDown 1", changed=True))[:, list(made.PLACES17)]
    np.testing.assert_allclose(take.joints_cam_mm[:, :17], cam, atol=1e-9)
    np.testing.assert_allclose(take.joints_px[:, :17], lens.project(cam), atol=1e-9)
    np.testing.assert_allclose(take.camera.focal_px.numpy(), lens.f)
    assert take.frames.tolist() == [0, 64, 128]  # annot.h5 counts from 1
    meta = take.sample(1, size=64).meta
    assert (meta.subject, meta.action, meta.camera_name, meta.frame, meta.source) == (
        "S9", "SittingDown", "58860488", 64, "fetch",
    )  # fmt: skip
    assert meta.sample_id == "human36m/S9/SittingDown/58860488/SittingDown-2.58860488:64"
    assert take.pictures.paths[1].name == "img_000065.jpg"
    assert take.sample(0, size=64).camera.focal_px.numpy() == pytest.approx(lens.f, abs=1e-3)


def test_the_files_own_intrinsics_are_not_used(written, copied):
    for path in copied.glob("processed/*/*/annot.h5"):
        with h5py.File(path, "r+") as file:
            del file["intrinsics"]
    assert {name: len(take) for name, take in read(copied)[0].items()} == {
        name: len(take) for name, take in read(written)[0].items()
    }


def test_splits_actions_and_the_corrupt_take(written):
    takes, skipped = read(written)
    assert sorted({take.meta.subject for take in takes.values()}) == ["S11", "S9"] and len(takes) == 7
    assert list(skipped.values()) == [Skipped("S11/Directions-2.54138969", "the published video is corrupt")]
    takes, skipped = read(written, "train")
    assert {take.meta.action for take in takes.values()} == {
        "Eating", "Photo", "WalkDog", "SittingDown", "Sitting", "WalkTogether",
    }  # fmt: skip
    assert not skipped


def test_a_step_chooses_by_the_frames_number(written):
    takes, _ = read(written, step=128)
    assert {tuple(take.frames.tolist()) for take in takes.values()} == {(0, 128)}
    assert Human36mFetch.default_steps == {"train": 1, "test": 1}


def test_without_metadata_the_published_calibration(tmp_path):
    made.write_fetch(tmp_path, metadata=False)
    takes, _ = read(tmp_path)
    assert len(takes) == 7
    take = takes["human36m/S11/Directions/55011271"]
    assert torch.equal(take.camera.position_mm, h36m_camera("55011271", "S11").position_mm)
    found = problems(tmp_path)["processed/S11/*/annot.h5"]
    assert found.startswith("expected 30 takes of S11, 29 of them are missing: Directions-1, Discussion-1,")
    assert "TakingPhoto-1" in found and "WalkingTogether-2" in found


def test_the_folder_processed_by_itself(written):
    assert Human36mFetch.recognises(written / "processed")
    assert len(read(written / "processed")[0]) == 7  # with the metadata.xml that lies one folder up


def test_the_universal_skeleton_fits_no_picture(tmp_path):
    made.write_fetch(tmp_path, universal=True)
    takes, skipped = read(tmp_path)
    assert not takes
    assert skipped["S9/SittingDown-2.60457274"].reason == "its 3D and 2D joints do not belong together"
    found = problems(tmp_path)["processed/S9/*/annot.h5"]
    assert found.startswith("its 3D and 2D joints do not belong together in SittingDown-2: up to")
    assert "Early versions of h36m-fetch stored the universal skeleton" in found


def test_missing_pictures(copied):
    folder = copied / TAKE / "imageSequence/54138969"
    (folder / "img_000001.jpg").unlink()
    (folder / "img_000129.jpg").unlink()
    shutil.rmtree(copied / TAKE / "imageSequence/55011271")
    take = read(copied)[0]["human36m/S9/SittingDown/54138969"]
    with pytest.raises(UnreadableSample, match=r"img_000001\.jpg: expected a picture file, found none"):
        take.sample(0, size=32)
    assert take.sample(1, size=32).meta.frame == 64
    found = problems(copied)
    assert found[f"{TAKE}/imageSequence/54138969/img_000001.jpg"] == (
        "expected 3 pictures there, found none of img_000001.jpg, img_000129.jpg"
    )
    assert (
        "none of img_000001.jpg, img_000065.jpg, img_000129.jpg"
        in found[f"{TAKE}/imageSequence/55011271/img_000001.jpg"]
    )


def test_missing_folders(copied):
    shutil.rmtree(copied / "processed/S5")
    shutil.rmtree(copied / "processed/S1/TakingPhoto-1")
    takes, skipped = read(copied, "train")
    assert skipped["S5"].reason == "the subject's folder is missing"
    assert "human36m/S1/Photo/54138969" not in takes
    found = problems(copied)
    assert "the split 'train' needs it" in found["processed/S5"]
    assert found["processed/S1/TakingPhoto-1/annot.h5"].endswith("are missing: TakingPhoto-1")


@pytest.mark.parametrize(
    ("key", "change", "message"),
    [
        ("pose/3d", lambda values: None, "expected `pose/3d`, found only"),
        ("pose/3d", lambda values: values[:, :17], r"expected `pose/3d` of shape \(any, 32, 3\)"),
        ("pose/2d", lambda values: values[:-1], "expected as many rows in every array"),
        ("frame", lambda values: values - 1, r"expected `frame` out of 1 … 999999, got others"),
        ("frame", lambda values: values + 0.5, r"expected `frame` out of 1 … 999999, got others"),
        ("frame", lambda values: values * np.nan, r"expected `frame` out of 1 … 999999, got others"),
        ("camera", lambda values: values + 1, "expected `camera` out of 54138969, 55011271"),
        ("subject", lambda values: values + 2, "expected `subject` 9, as its folder says, got 11"),
        ("action", lambda values: values - 1, "expected `action` 10, as its folder says, got 9"),
        ("subaction", lambda values: values - 1, "expected `subaction` 2, as its folder says, got 1"),
        ("subject", lambda values: [b"S9"] * 12, "expected numbers in `subject`"),
    ],
)
def test_wrong_labels(copied, key, change, message):
    path = copied / TAKE / "annot.h5"
    alter(path, key, change)
    assert read(copied)[1]["S9/SittingDown-2"].reason == "its labels cannot be read"
    (finding,) = (each for each in Human36mFetch(copied).check() if each.problem)
    assert finding.path == f"{TAKE}/annot.h5"
    with pytest.raises(AssertionError, match=rf"annot\.h5: {message}"):
        raise AssertionError(finding.problem)


def test_links_out_of_the_file_are_not_followed(copied, tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["frame"] = np.arange(12)
    with h5py.File(copied / TAKE / "annot.h5", "r+") as file:
        del file["frame"]
        file["frame"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "frame")
    assert read(copied)[1]["S9/SittingDown-2"].reason == "its labels cannot be read"
    assert "It was not followed." in problems(copied)[f"{TAKE}/annot.h5"]


def test_truncated_labels(copied):
    path = copied / TAKE / "annot.h5"
    path.write_bytes(path.read_bytes()[:3000])
    assert read(copied)[1]["S9/SittingDown-2"].reason == "its labels cannot be read"
    assert "expected an HDF5 file, got a file that cannot be read" in problems(copied)[f"{TAKE}/annot.h5"]


def test_unknown_joints_are_masked(copied):
    def forget(values):
        values[0, 19] = np.nan  # the left wrist, before the first camera
        return values

    alter(copied / TAKE / "annot.h5", "pose/3d", forget)
    alter(copied / TAKE / "annot.h5", "pose/2d", forget)
    sample = read(copied)[0]["human36m/S9/SittingDown/54138969"].sample(0, size=32)
    assert not sample.joint_valid[13] and not sample.depth_valid[13]
    assert sample.joint_valid.sum() == 17


def test_nothing_there(tmp_path):
    assert not Human36mFetch.recognises(tmp_path)
    with pytest.raises(DownloadError, match=r"expected folders S9, S11 for the split 'test'.*found none"):
        list(Human36mFetch(tmp_path).takes("test"))


def test_nothing_is_wrong_with_a_complete_one(written):
    assert problems(written) == {}
    notes = {each.path: each.note for each in Human36mFetch(written).check()}
    assert notes["processed/S11"] == "1 takes, 9 frames"
