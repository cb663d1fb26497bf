"""The authors' own test data: colours, from crop to picture, labels that must agree, what may be wrong."""

from __future__ import annotations

import json

import h5py
import numpy as np
import pytest
import torch
from downloads.human36m import CAMERAS
from downloads.human36m_images import hemlets_arrays, shot, write_hemlets

from hemlets_lib.data.readers import Skipped, Take
from hemlets_lib.data.readers.files import DownloadError
from hemlets_lib.data.readers.human36m.hemlets import Human36mHemlets
from hemlets_lib.geometry import apply_affine, crop_to_cam, crop_to_px
from hemlets_lib.skeleton import HEMLETS18

ONE = shot("S11", 14, 1, "Walking 1", CAMERAS[3], range(4))
NAME = "S_11_C_4_1_full.h5"


@pytest.fixture
def root(tmp_path):
    write_hemlets(tmp_path, ONE)
    return tmp_path


def change(root, **arrays):
    """Other arrays in the file; None takes one out."""
    with h5py.File(root / NAME, "a") as file:
        for key, value in arrays.items():
            del file[key]
            if value is not None:
                file[key] = value


def read(root, split="test", **options):
    items = list(Human36mHemlets(root).takes(split, **options))
    return [each for each in items if isinstance(each, Take)], [
        (each.name, each.reason, each.frames) for each in items if isinstance(each, Skipped)
    ]


def test_by_hand(root):
    (take,), skipped = read(root)
    assert not skipped
    assert (take.meta.subject, take.meta.action, take.meta.camera_name) == ("S11", "Walking", CAMERAS[3])
    np.testing.assert_allclose(take.joints_px[:, :17], ONE.px, atol=1e-2)  # single precision in the file
    np.testing.assert_allclose(take.joints_cam_mm[:, :17], ONE.cam_mm, atol=1e-3)
    sample = take.sample(2, size=256)
    stored = hemlets_arrays(ONE)["joints"][2]
    at_px = crop_to_px(sample.joints_crop[:, :2], 256)
    np.testing.assert_allclose(at_px[:17], stored[:17, :2], atol=1e-3)
    # Their depth is 255 (d / 2000 + 1/2), ours d / 2000.
    np.testing.assert_allclose(sample.joints_crop[:17, 2], stored[:17, 2] / 255 - 0.5, atol=1e-5)
    assert sample.meta.frame == 2 and sample.meta.sample_id.endswith("S_11_C_4_1_full:2")


def test_colours_are_turned_round(root):
    arrays = hemlets_arrays(ONE)
    (take,), _ = read(root)
    image = take.sample(0, size=256).image
    np.testing.assert_array_equal(image, arrays["images"][0][..., ::-1])
    x, y = arrays["joints"][0, 16, :2].round().astype(int)  # the right wrist, which is drawn last
    assert image[y, x].tolist() == [250, 20 + 12 * 16, 255 - 12 * 16]


def test_camera_and_crop_agree(root):
    """From the crop back into the room with the whole picture's camera."""
    (take,), _ = read(root)
    for size in (256, 96):
        sample = take.sample(1, size=size)
        assert sample.size == size
        back = crop_to_cam(
            sample.joints_crop.double(), take.camera, sample.affine.double(), size=size,
            root_depth_mm=torch.tensor(ONE.cam_mm[1, 0, 2]),
        )  # fmt: skip
        np.testing.assert_allclose(back[:17], ONE.cam_mm[1], atol=0.5)
    seen = apply_affine(torch.from_numpy(take.affines[1]), torch.from_numpy(take.joints_px[1]))
    assert ((seen > 0) & (seen < 256)).all()


def test_frames_whose_labels_disagree_are_left_out(root):
    arrays = hemlets_arrays(ONE)
    arrays["joints"][1, 5, 0] += 20
    arrays["joints"][3, 6, 2] += 5  # 39 mm
    change(root, joints=arrays["joints"])
    (take,), skipped = read(root)
    assert take.frames.tolist() == [0, 2]
    assert skipped == [(NAME, "its 3D and 2D joints do not belong together", 2)]
    (found,) = [found for found in Human36mHemlets(root).check() if found.problem]
    assert "too far in 2 frames" in found.problem


def test_a_whole_picture_through_a_pinhole_still_agrees(root):
    """If the authors left the lens out: up to 2.4 px, less than a pixel of the crop."""
    arrays = hemlets_arrays(ONE)
    corner, scale = arrays["trans"][:, None, :2], arrays["trans"][:, None, 2:]
    arrays["joints"][:, :17, :2] = (ONE.pinhole_px - corner) * scale
    change(root, joints=arrays["joints"])
    assert len(read(root)[0][0]) == 4
    (found,) = Human36mHemlets(root).check()
    assert "2D and 3D agree to" in found.note and not found.problem


def test_which_take_it_is(root):
    listing = root / "S11.json"
    listing.unlink()
    assert read(root)[0][0].meta.action == "Walking"  # the published file is known
    (root / NAME).rename(root / "S_11_C_4_13.h5")
    reason = "no S11.json says which take it is"
    assert read(root) == ([], [("S_11_C_4_13.h5", reason, 0)])
    assert any("S11.json" in found.problem for found in Human36mHemlets(root).check())
    listing.write_text(json.dumps({"Phoning 3.60457274": "S_11_C_4_13"}))
    assert read(root)[0][0].meta.action == "Phoning"
    listing.write_text(json.dumps({"Phoning 3.54138969": "S_11_C_4_13"}))  # another camera
    assert read(root)[1] == [("S_11_C_4_13.h5", reason, 0)]
    listing.write_text("{")
    with pytest.raises(DownloadError, match=r"S11\.json: expected JSON"):
        read(root)


def test_the_damaged_take(tmp_path):
    write_hemlets(tmp_path, shot("S11", 2, 2, "Directions", CAMERAS[0], (0,)))
    assert read(tmp_path) == ([], [("S_11_C_1_1_full.h5", "the published video is corrupt", 0)])


def test_other_places_and_steps(root, tmp_path_factory):
    below = tmp_path_factory.mktemp("repository")
    (below / "data" / "S11").mkdir(parents=True)
    (root / NAME).rename(below / "data" / "S11" / NAME)
    assert Human36mHemlets.recognises(below)
    (take,), _ = read(below, step=3)
    assert take.frames.tolist() == [0, 3]
    assert take.pictures.read(1).shape == (256, 256, 3)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"joints": None}, r"S_11_C_4_1_full\.h5: expected `joints`, found only camid, images"),
        ({"joints3d_cam": np.zeros((4, 17, 3))}, r"`joints3d_cam` of shape \(any, 32, 3\), got \(4, 17, 3\)"),
        ({"images": np.zeros((4, 3, 256, 256), np.uint8)}, r"`images` of shape \(any, 256, 256, 3\)"),
        ({"images": np.zeros((4, 256, 256, 3), np.float32)}, "expected `images` of uint8, got float32"),
        ({"trans": np.zeros((3, 3))}, "expected `trans` for each of the 4 images, got 3"),
        ({"trans": np.zeros((4, 3))}, "expected finite numbers and a positive scale in `trans`"),
        (
            {"camid": np.tile([9, 4, 0], (4, 1))},
            "name subject 11 and camera 4, as the file does, got 9 and 4",
        ),
        ({"camid": np.array([["a"] * 3] * 4, dtype="S1")}, "expected numbers in `camid`"),
    ],
)
def test_malformed_files(root, arrays, message):
    change(root, **arrays)
    with pytest.raises(DownloadError, match=message):
        read(root)
    assert any(found.path == NAME and found.problem for found in Human36mHemlets(root).check())


def test_joints_that_are_unknown(root):
    arrays = hemlets_arrays(ONE)
    arrays["joints3d_cam"][2, 27] = np.nan  # the right wrist
    change(root, joints3d_cam=arrays["joints3d_cam"])
    (take,), skipped = read(root)
    assert len(take) == 3 and skipped[0][2] == 1  # what cannot be compared is not trusted
    assert HEMLETS18.index("right_wrist") == 16


def test_nothing_to_read(root, tmp_path_factory):
    with pytest.raises(
        DownloadError, match=r"expected files of S1, .*, such as S_11_C_4_1_full\.h5; found none"
    ):
        read(root, "train")
    empty = tmp_path_factory.mktemp("empty")
    assert [found.problem for found in Human36mHemlets(empty).check()] == [
        "expected S_11_C_4_1_full.h5, found no such file"
    ]
