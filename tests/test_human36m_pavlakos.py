"""Pavlakos et al.'s HDF5 with names as text: with and without 3D joints, everything that may be wrong."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from downloads.human36m import CAMERAS
from downloads.human36m_images import shot, write_pavlakos

from hemlets_lib.data.readers import Skipped, Take
from hemlets_lib.data.readers.files import DownloadError
from hemlets_lib.data.readers.human36m.pavlakos import Human36mPavlakos
from hemlets_lib.skeleton import HEMLETS18
from hemlets_lib.triplets import UNKNOWN

SHOTS = (
    shot("S9", 10, 2, "SittingDown 1", CAMERAS[0], (0, 5, 10)),
    shot("S11", 2, 1, "Directions 1", CAMERAS[1], (0, 5)),
)


@pytest.fixture
def root(tmp_path):
    write_pavlakos(tmp_path, SHOTS)
    return tmp_path


def change(root, **arrays):
    """Other arrays in valid.h5; None takes one out."""
    with h5py.File(root / "annot" / "valid.h5", "a") as file:
        for key, value in arrays.items():
            if key in file:
                del file[key]
            if value is not None:
                file[key] = value


def stored(root, key):
    with h5py.File(root / "annot" / "valid.h5") as file:
        return file[key][...]


def read(root, split="test", **options):
    items = list(Human36mPavlakos(root).takes(split, **options))
    return [each for each in items if isinstance(each, Take)], [
        (each.name, each.reason, each.frames) for each in items if isinstance(each, Skipped)
    ]


def test_by_hand(root):
    takes, skipped = read(root)
    assert not skipped and [len(take) for take in takes] == [3, 2]
    take, one = takes[0], SHOTS[0]
    assert take.frames.tolist() == [0, 5, 10]
    assert [path.name for path in take.pictures.paths][1] == "S9_SittingDown_1.54138969_000006.jpg"
    np.testing.assert_allclose(take.joints_cam_mm[:, :17], one.cam_mm, atol=1e-9)
    np.testing.assert_allclose(take.boxes_px, np.column_stack(one.boxes), atol=1e-9)
    assert Human36mPavlakos.default_steps == {"train": 10, "test": 5}
    assert read(root, step=10)[0][0].frames.tolist() == [0, 10]


def test_without_3d_there_is_2d(tmp_path):
    write_pavlakos(tmp_path, SHOTS, poses=False)
    take = read(tmp_path)[0][0]
    sample = take.sample(0, size=32)
    assert sample.joints_cam_mm is None and not sample.depth_valid.any()
    assert (sample.part_states == UNKNOWN).all() and sample.in_crop[:17].all()
    notes = [found.note for found in Human36mPavlakos(tmp_path).check()]
    assert "5 pictures, 2D joints; `S` is not there" in notes


def test_joints_that_are_not_annotated(root):
    part = stored(root, "part")
    part[0, 13] = 0  # as pose-c2f.lua tells them
    change(root, part=part)
    take = read(root)[0][0]
    unknown = np.flatnonzero(np.isnan(take.joints_px[0]).any(-1))
    assert [HEMLETS18.joint_names[place] for place in unknown] == ["left_wrist"]


def test_whole_pixels_agree_and_others_do_not(root):
    change(root, part=stored(root, "part").round())
    assert len(read(root)[0]) == 2
    part = stored(root, "part")
    part[3, 5] += 5
    change(root, part=part)
    takes, skipped = read(root)
    assert len(takes) == 1
    assert skipped == [("S11/Directions 1.55011271", "its 3D and 2D joints do not belong together", 2)]


def test_a_picture_without_a_row(root):
    listing = root / "annot" / "valid_images.txt"
    listing.write_text(listing.read_text() + "\nS9_SittingDown_1.54138969_000016.jpg\n")  # and an empty line
    message = r"valid\.h5: expected `part` for each of the 6 pictures of valid_images\.txt, got 5"
    with pytest.raises(DownloadError, match=message):
        read(root)
    assert any("6 pictures" in found.problem for found in Human36mPavlakos(root).check())


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"center": None}, r"valid\.h5: expected `center`, found only S, imgname, index"),
        ({"part": np.zeros((5, 16, 2))}, r"`part` of shape \(any, 17, 2\), got \(5, 16, 2\)"),
        ({"S": np.zeros((5, 3, 17))}, r"`S` of shape \(any, 17, 3\), got \(5, 3, 17\)"),
        ({"scale": np.zeros((5, 1))}, r"`scale` of shape \(any\), got \(5, 1\)"),
        ({"scale": np.array([b"a"] * 5)}, "expected numbers in `scale`"),
        ({"center": h5py.ExternalLink("other.h5", "center")}, r"link to 'other\.h5'. It was not followed"),
    ],
)
def test_malformed_annotations(root, arrays, message):
    change(root, **arrays)
    with pytest.raises(DownloadError, match=message):
        read(root)


@pytest.mark.parametrize(
    "name", ["../S9_SittingDown_1.54138969_000001.jpg", "/S9_Waiting.54138969_000001.jpg"]
)
def test_hostile_names(root, name):
    listing = root / "annot" / "valid_images.txt"
    lines = listing.read_text().splitlines()
    listing.write_text("\n".join([name, *lines[1:]]))
    with pytest.raises(DownloadError, match=r"valid_images\.txt: expected a path inside"):
        read(root)


def test_damaged_and_missing_files(root):
    annotations, listing = root / "annot" / "valid.h5", root / "annot" / "valid_images.txt"
    listing.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DownloadError, match=r"valid_images\.txt: expected text"):
        read(root)
    listing.unlink()
    with pytest.raises(DownloadError, match=r"valid_images\.txt: expected the names of the pictures"):
        read(root)
    assert any("valid_images.txt" in found.problem for found in Human36mPavlakos(root).check())
    listing.write_text("S9_SittingDown_1.54138969_000001.jpg")
    annotations.write_bytes(annotations.read_bytes()[:500])
    with pytest.raises(DownloadError, match=r"valid\.h5: expected an HDF5 file"):
        read(root)
    with pytest.raises(DownloadError, match=r"train_images\.txt: expected the names"):
        read(root, "train")


def test_nothing_to_check(tmp_path):
    problems = {found.path: found.problem for found in Human36mPavlakos(tmp_path).check() if found.problem}
    assert problems == {"annot/train.h5": "missing", "annot/valid.h5": "missing"}
