"""Samples and batches: labels move with the crop, what is unknown is masked, shapes are checked."""

import numpy as np
import pytest
import torch

from hemlets_lib.data.sample import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    Meta,
    collate,
    joints_box,
    label_sample,
    make_sample,
    normalise,
)
from hemlets_lib.geometry import Camera, crop_to_cam
from hemlets_lib.skeleton import Skeleton
from hemlets_lib.triplets import UNKNOWN

CHAIN = Skeleton(
    name="chain3",
    joint_names=("hip", "knee", "ankle"),
    parent_names={"knee": "hip", "ankle": "knee"},
    part_names=(("hip", "knee"), ("knee", "ankle")),
)


@pytest.fixture
def camera() -> Camera:
    return Camera(torch.tensor([1000.0, 1100.0]), torch.tensor([60.0, 40.0]))


@pytest.fixture
def joints_cam_mm() -> torch.Tensor:
    """A leg whose knee is nearer than the hip, and the ankle as far as the knee."""
    return torch.tensor([[0.0, -100.0, 4000.0], [0.0, 0.0, 3700.0], [20.0, 200.0, 3700.0]])


@pytest.fixture
def picture() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (100, 120, 3), dtype=np.uint8)


def sample_of(picture, **labels):
    where = {"box_centre_px": torch.tensor([60.0, 45.0]), "box_side_px": 80.0, "size": 40, "skeleton": CHAIN}
    return make_sample(picture, **{**where, "meta": Meta("test", sample_id="a"), **labels})


def test_coordinates_by_hand(picture, camera, joints_cam_mm):
    sample = sample_of(picture, joints_cam_mm=joints_cam_mm, camera=camera)
    # The hip: u = 60, v = 40 - 1100 / 40 = 12.5. The box spans 20 … 100 by 5 … 85 from edge to edge,
    # so x = (60 - 60) / 80 = 0 and y = (12.5 - 45) / 80 = -0.40625.
    torch.testing.assert_close(sample.joints_crop[0], torch.tensor([0.0, -0.40625, 0.0]))
    torch.testing.assert_close(sample.joints_crop[:, 2], torch.tensor([0.0, -0.15, -0.15]))
    assert sample.part_states.tolist() == [1, 0]
    assert sample.image.shape == (40, 40, 3)
    assert sample.joint_valid.all() and sample.depth_valid.all()


def test_a_sample_leads_back_to_camera_space(picture, camera, joints_cam_mm):
    sample = sample_of(picture, joints_cam_mm=joints_cam_mm, camera=camera)
    back = crop_to_cam(
        sample.joints_crop, camera, sample.affine, size=sample.size, root_depth_mm=joints_cam_mm[0, 2]
    )
    torch.testing.assert_close(back, joints_cam_mm, atol=0.05, rtol=0)


def test_pixels_alone_leave_depth_and_states_unknown(picture):
    joints_px = torch.tensor([[60.0, 20.0], [torch.nan, torch.nan], [70.0, 80.0]])
    sample = sample_of(picture, joints_px=joints_px)
    assert sample.joint_valid.tolist() == [True, False, True]
    assert not sample.depth_valid.any()
    assert (sample.part_states == UNKNOWN).all()
    assert sample.joints_crop[1].tolist() == [0, 0, 0]
    assert sample.joints_cam_mm is None and sample.camera is None


def test_labelled_states_are_kept(picture):
    joints_px = torch.tensor([[60.0, 20.0], [60.0, 50.0], [70.0, 80.0]])
    sample = sample_of(picture, joints_px=joints_px, states=torch.tensor([-1, UNKNOWN]))
    assert sample.part_states.tolist() == [-1, UNKNOWN]


def test_an_unknown_joint_masks_its_depth_and_parts(picture, camera, joints_cam_mm):
    joints_cam_mm[2] = torch.nan
    sample = sample_of(picture, joints_cam_mm=joints_cam_mm, camera=camera)
    assert sample.depth_valid.tolist() == [True, True, False]
    assert sample.part_states.tolist() == [1, UNKNOWN]
    assert sample.joints_crop.isfinite().all()


def test_without_the_root_no_depth_is_known(picture, camera, joints_cam_mm):
    joints_cam_mm[0] = torch.nan
    sample = sample_of(picture, joints_cam_mm=joints_cam_mm, camera=camera)
    assert not sample.depth_valid.any()
    assert sample.joint_valid.tolist() == [False, True, True]
    assert sample.part_states.tolist() == [UNKNOWN, 0]  # the lower leg needs no root


def test_poses_about_the_root_give_depths_and_states_but_no_place(picture, joints_cam_mm):
    joints_px = torch.tensor([[60.0, 20.0], [torch.nan, torch.nan], [70.0, 80.0]])
    about_hip = joints_cam_mm - joints_cam_mm[0]
    sample = sample_of(picture, joints_px=joints_px, joints_root_rel_mm=about_hip)
    assert sample.joints_cam_mm is None
    assert sample.depth_valid.all() and sample.part_states.tolist() == [1, 0]
    torch.testing.assert_close(sample.joints_crop[:, 2], torch.tensor([0.0, -0.15, -0.15]))
    assert sample.joint_valid.tolist() == [True, False, True]
    with pytest.raises(ValueError, match="expected `joints_cam_mm` or `joints_root_rel_mm`, got both"):
        sample_of(picture, joints_px=joints_px, joints_cam_mm=joints_cam_mm, joints_root_rel_mm=about_hip)
    with pytest.raises(ValueError, match="`joints_root_rel_mm` must have 3 joints"):
        sample_of(picture, joints_px=joints_px, joints_root_rel_mm=about_hip[:2])


def test_joints_box_by_hand():
    joints_px = torch.tensor([[10.0, 0.0], [30.0, 80.0], [torch.nan, 5.0]])
    centre, side = joints_box(joints_px, margin=1.5)
    assert centre.tolist() == [20.0, 40.0] and side == 120.0


def test_joints_box_needs_two_points():
    with pytest.raises(ValueError, match="at least two different known joints for a box, got 1 known"):
        joints_box(torch.tensor([[1.0, 2.0], [torch.nan, 3.0]]))


def test_collate_mixes_full_and_2d_only_samples(picture, camera, joints_cam_mm):
    full = sample_of(picture, joints_cam_mm=joints_cam_mm, camera=camera)
    weak = sample_of(picture, joints_px=torch.tensor([[60.0, 20.0], [60.0, 50.0], [70.0, 80.0]]))
    batch = collate([full, weak]).to("cpu")
    assert len(batch) == 2
    assert batch.images.shape == (2, 3, 40, 40) and batch.images.dtype == torch.uint8
    assert batch.images[0, :, 3, 7].tolist() == full.image[3, 7].tolist()
    assert batch.depth_valid.tolist() == [[True] * 3, [False] * 3]
    assert batch.has_camera.tolist() == [True, False]
    assert batch.camera.rotation.shape == (2, 3, 3) and batch.camera.focal_px[1].isnan().all()
    assert batch.joints_cam_mm[1].isnan().all()
    assert [meta.dataset for meta in batch.meta] == ["test", "test"]


def test_a_batch_projects_like_its_samples(picture, camera, joints_cam_mm):
    sample = sample_of(picture, joints_cam_mm=joints_cam_mm, camera=camera)
    batch = collate([sample, sample])
    torch.testing.assert_close(batch.camera.project(batch.joints_cam_mm)[1], camera.project(joints_cam_mm))


def test_normalise_by_hand():
    images = torch.zeros(2, 3, 5, 6, dtype=torch.uint8)
    images[1, 1] = 255
    normal = normalise(images)
    assert normal.shape == (2, 3, 5, 6)
    assert normal[0, 0, 0, 0] == pytest.approx(-IMAGENET_MEAN[0] / IMAGENET_STD[0])
    assert normal[1, 1, 0, 0] == pytest.approx((1 - IMAGENET_MEAN[1]) / IMAGENET_STD[1])


def test_normalising_twice_is_refused():
    with pytest.raises(ValueError, match=r"must be uint8 .* Are they normalised already"):
        normalise(normalise(torch.zeros(1, 3, 4, 4, dtype=torch.uint8)))


def test_collate_refuses_mixed_sizes(picture):
    joints_px = torch.tensor([[60.0, 20.0], [60.0, 50.0], [70.0, 80.0]])
    with pytest.raises(ValueError, match=r"\(40, 3, 2\) in 'a' and \(32, 3, 2\) in 'b'"):
        collate([
            sample_of(picture, joints_px=joints_px),
            sample_of(picture, joints_px=joints_px, size=32, meta=Meta("test", sample_id="b")),
        ])  # fmt: skip


def test_collate_refuses_an_empty_list():
    with pytest.raises(ValueError, match="at least one sample"):
        collate([])


def test_wrong_joint_count_and_missing_labels(picture, joints_cam_mm):
    with pytest.raises(ValueError, match="must have 3 joints for skeleton 'chain3', got 2"):
        sample_of(picture, joints_px=torch.zeros(2, 2))
    with pytest.raises(ValueError, match="expected `joints_px`, or `joints_cam_mm` with `camera`"):
        sample_of(picture, joints_cam_mm=joints_cam_mm)


def test_float_images_are_refused():
    with pytest.raises(ValueError, match=r"`image` must be \(H, W, 3\) uint8 RGB"):
        label_sample(
            np.zeros((8, 8, 3)), affine=torch.eye(3)[:2], meta=Meta("test"), skeleton=CHAIN,
            joints_px=torch.zeros(3, 2),
        )  # fmt: skip
