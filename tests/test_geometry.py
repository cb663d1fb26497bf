"""Geometry: the pixel convention, Human3.6M's projection, crops, depth recovery, alignment."""

import json
import math

import pytest
import torch

from hemlets_lib.geometry import (
    Camera,
    Grid,
    apply_affine,
    cam_to_crop,
    crop_affine,
    crop_to_cam,
    crop_to_px,
    invert_affine,
    procrustes,
    px_to_crop,
    recover_root_depth,
    root_relative,
)
from hemlets_lib.skeleton import H36M17


@pytest.fixture
def h36m_camera() -> Camera:
    """Camera 54138969, to the digits Human3.6M publishes."""
    return Camera(
        torch.tensor([1145.0494, 1143.7811], dtype=torch.float64),
        torch.tensor([512.5415, 515.4515], dtype=torch.float64),
        torch.tensor([-0.207099, 0.247775, -0.003075], dtype=torch.float64),
        torch.tensor([-0.001424, -0.000976], dtype=torch.float64),
        torch.eye(3, dtype=torch.float64),
        torch.zeros(3, dtype=torch.float64),
    )


@pytest.fixture
def joints_cam_mm() -> torch.Tensor:
    """Two people of seven joints within three to six metres."""
    spread = torch.tensor([900.0, 900.0, 600.0], dtype=torch.float64)
    centre = torch.tensor([0.0, 0.0, 4500.0], dtype=torch.float64)
    return (torch.rand(2, 7, 3, dtype=torch.float64) * 2 - 1) * spread + centre


def test_grids_by_hand():
    # Four cells: edges at -0.5, -0.25, 0, 0.25, 0.5, centres between them.
    assert Grid.CELL_CENTRED.centres(4).tolist() == [-0.375, -0.125, 0.125, 0.375]
    assert Grid.CORNER_ALIGNED.centres(5).tolist() == [-0.5, -0.25, 0.0, 0.25, 0.5]
    assert Grid("cell_centred").to_cells(torch.tensor(-0.5), 4) == -0.5
    assert Grid("corner_aligned").to_cells(torch.tensor(-0.5), 4) == 0


@pytest.mark.parametrize("grid", Grid)
def test_cells_and_back(grid):
    coordinates = torch.linspace(-0.7, 0.7, 11, dtype=torch.float64)
    torch.testing.assert_close(grid.to_crop(grid.to_cells(coordinates, 6), 6), coordinates)
    step = grid.to_cells(torch.tensor(0.25), 6) - grid.to_cells(torch.tensor(-0.75), 6)
    assert step == pytest.approx(grid.cells_per_unit(6))


def test_projection_by_hand():
    camera = Camera(torch.tensor([100.0, 200.0]), torch.tensor([50.0, 60.0]))
    assert camera.project(torch.tensor([[1.0, 2.0, 10.0]])).tolist() == [[60.0, 100.0]]


def test_distortion_by_hand():
    # r² = 0.25 at (0.5, 0): radial 1 + 0.4·0.25 = 1.1, plus p2·x = 0.01; then p2·r² = 0.005 along x.
    camera = Camera(torch.ones(2), torch.zeros(2), torch.tensor([0.4, 0.0, 0.0]), torch.tensor([0.0, 0.02]))
    distorted = camera.distort(torch.tensor([[0.5, 0.0]]))
    torch.testing.assert_close(distorted, torch.tensor([[0.5 * 1.11 + 0.005, 0.0]]))


def test_real_frames_reproject(real_samples):
    records = json.loads((real_samples / "h36m" / "annotations.json").read_text())["records"]
    assert len(records) == 4
    for record in records:
        names = ("f_px", "c_px", "k_radial", "p_tangential")
        camera = Camera(*(torch.tensor(record["camera"][name], dtype=torch.float64) for name in names))
        joints = torch.tensor(record["joints_cam_mm"], dtype=torch.float64)
        expected = torch.tensor(record["joints_px"], dtype=torch.float64)
        assert (camera.project(joints) - expected).abs().max() < 1e-3
        back = camera.back_project(expected, joints[:, 2])
        assert (back - joints).norm(dim=-1).max() < 0.01


def test_back_projection_undoes_projection(h36m_camera, joints_cam_mm):
    pixels = h36m_camera.project(joints_cam_mm)
    back = h36m_camera.back_project(pixels, joints_cam_mm[..., 2])
    torch.testing.assert_close(back, joints_cam_mm, atol=1e-6, rtol=0)


def test_points_behind_the_camera_are_nan(h36m_camera, joints_cam_mm):
    joints_cam_mm[0, 0, 2] = -10
    pixels = h36m_camera.project(joints_cam_mm)
    assert pixels[0, 0].isnan().all()
    assert pixels[0, 1:].isfinite().all()


def test_world_and_camera_are_inverse(joints_cam_mm):
    turn, _ = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64))
    camera = Camera(
        torch.ones(2, dtype=torch.float64),
        torch.zeros(2),
        rotation=turn,
        position_mm=torch.tensor([1000.0, -4000.0, 1500.0], dtype=torch.float64),
    )
    torch.testing.assert_close(camera.cam_to_world(camera.world_to_cam(joints_cam_mm)), joints_cam_mm)
    # The camera's own centre is the origin of camera space.
    assert camera.world_to_cam(camera.position_mm[None]).abs().max() < 1e-9


def test_crop_by_hand():
    # An 8-pixel box centred on pixel (10, 20) becomes 4 pixels: each covers two, and the box's left
    # edge, at 10 - 4 = 6, becomes the crop's left edge at -0.5.
    affine = crop_affine(torch.tensor([10.0, 20.0]), torch.tensor(8.0), 4)
    corners = apply_affine(affine, torch.tensor([[6.0, 16.0], [14.0, 24.0], [10.0, 20.0]]))
    torch.testing.assert_close(corners, torch.tensor([[-0.5, -0.5], [3.5, 3.5], [1.5, 1.5]]))
    torch.testing.assert_close(px_to_crop(corners, 4)[2], torch.tensor([0.0, 0.0]))


def test_crop_turns_clockwise_and_flips():
    centre, side = torch.tensor([10.0, 20.0]), torch.tensor(4.0)
    right_of_centre = torch.tensor([[11.0, 20.0]])
    turned = apply_affine(crop_affine(centre, side, 4, rotation_deg=90.0), right_of_centre)
    torch.testing.assert_close(turned, torch.tensor([[1.5, 2.5]]))  # right becomes down
    flipped = apply_affine(crop_affine(centre, side, 4, flip=True), right_of_centre)
    torch.testing.assert_close(flipped, torch.tensor([[0.5, 1.5]]))  # right becomes left


def test_boxes_centres_and_angles_broadcast():
    centres = torch.tensor([[10.0, 20.0], [30.0, 5.0]])
    together = crop_affine(centres, 8.0, 4, rotation_deg=torch.tensor([0.0, 90.0]))
    assert together.shape == (2, 2, 3)
    alone = crop_affine(centres[1], torch.tensor(8.0), 4, rotation_deg=90.0)
    torch.testing.assert_close(together[1], alone)
    many = crop_affine(torch.tensor([10, 20]), torch.tensor([4.0, 8.0]), 4)  # whole pixels are numbers too
    torch.testing.assert_close(many[1], crop_affine(torch.tensor([10.0, 20.0]), 8.0, 4))


@pytest.mark.parametrize("flip", [False, True])
def test_affine_inverse(flip, joints_cam_mm):
    affine = crop_affine(
        torch.tensor([[500.0, 400.0], [300.0, 610.0]], dtype=torch.float64),
        torch.tensor([400.0, 317.0], dtype=torch.float64),
        256,
        rotation_deg=torch.tensor([30.0, -17.0], dtype=torch.float64),
        flip=flip,
    )
    points = joints_cam_mm[..., :2]
    back = apply_affine(invert_affine(affine), apply_affine(affine, points))
    torch.testing.assert_close(back, points, atol=1e-9, rtol=0)


def test_pixels_and_crop_units_are_inverse():
    pixels = torch.rand(2, 7, 2, dtype=torch.float64) * 100
    torch.testing.assert_close(crop_to_px(px_to_crop(pixels, 96), 96), pixels)


def test_cam_to_crop_and_back(h36m_camera, joints_cam_mm):
    affine = crop_affine(
        torch.tensor([510.0, 490.0], dtype=torch.float64),
        torch.tensor(600.0, dtype=torch.float64),
        256,
        rotation_deg=12.0,
    )
    joints_crop = cam_to_crop(joints_cam_mm, h36m_camera, affine, size=256, root=2)
    assert joints_crop[:, 2, 2].abs().max() == 0
    back = crop_to_cam(joints_crop, h36m_camera, affine, size=256, root_depth_mm=joints_cam_mm[:, 2, 2])
    torch.testing.assert_close(back, joints_cam_mm, atol=1e-6, rtol=0)


def test_root_relative(joints_cam_mm):
    moved = root_relative(joints_cam_mm + 1000, 3)
    torch.testing.assert_close(moved, root_relative(joints_cam_mm, 3))
    assert moved[:, 3].abs().max() == 0


def test_root_depth_from_bone_lengths(h36m_camera, joints_cam_mm):
    bones = ((0, 1), (1, 2), (2, 3), (0, 4), (4, 5), (5, 6))
    lengths = torch.stack(
        [(joints_cam_mm[:, child] - joints_cam_mm[:, parent]).norm(dim=-1) for parent, child in bones], -1
    )
    relative = root_relative(joints_cam_mm, 0)[..., 2]
    depth = recover_root_depth(h36m_camera.rays(h36m_camera.project(joints_cam_mm)), relative, bones, lengths)
    torch.testing.assert_close(depth, joints_cam_mm[:, 0, 2], atol=1e-3, rtol=0)


def test_root_depth_of_a_bone_parallel_to_the_image():
    # A bone of 400 mm seen under 0.1 (in x/z) is 4 m away.
    rays = torch.tensor([[0.0, 0.0], [0.1, 0.0]])
    depth = recover_root_depth(rays, torch.zeros(2), ((0, 1),), torch.tensor([400.0]))
    assert depth == pytest.approx(4000, abs=0.01)


def test_a_bone_along_its_ray_tells_nothing():
    rays = torch.tensor([[0.1, 0.0], [0.1, 0.0]])
    lengths = torch.tensor([400.0])
    assert recover_root_depth(rays, torch.tensor([0.0, 390.0]), ((0, 1),), lengths).isnan()
    assert recover_root_depth(rays, torch.zeros(2), (), torch.zeros(0)).isnan()
    with pytest.raises(ValueError, match=r"0 < `nearest_mm` < `farthest_mm`, got 9000 and 500"):
        recover_root_depth(rays, torch.zeros(2), ((0, 1),), lengths, nearest_mm=9000, farthest_mm=500)


def test_one_camera_serves_a_batch(h36m_camera, joints_cam_mm):
    pixels = h36m_camera.project(joints_cam_mm)
    back = h36m_camera.back_project(pixels[:1], joints_cam_mm[..., 2])
    assert back.shape == joints_cam_mm.shape
    torch.testing.assert_close(back[0], joints_cam_mm[0], atol=1e-6, rtol=0)


def test_root_depth_of_real_frames(real_samples):
    """With each frame's own bone lengths the depth returns; with another person's it is off by percents."""
    records = json.loads((real_samples / "h36m" / "annotations.json").read_text())["records"]
    for record in records:
        names = ("f_px", "c_px", "k_radial", "p_tangential")
        camera = Camera(*(torch.tensor(record["camera"][name], dtype=torch.float64) for name in names))
        joints = torch.tensor(record["joints_cam_mm"], dtype=torch.float64)
        lengths = torch.stack([(joints[c] - joints[p]).norm() for p, c in H36M17.bones])
        rays = camera.rays(torch.tensor(record["joints_px"], dtype=torch.float64))
        depth = recover_root_depth(rays, joints[:, 2] - joints[0, 2], H36M17.bones, lengths)
        assert depth == pytest.approx(joints[0, 2].item(), abs=1.0)
        scaled = recover_root_depth(rays, joints[:, 2] - joints[0, 2], H36M17.bones, lengths * 1.1)
        assert scaled > depth + 100


def _similarity(seed: int) -> tuple[torch.Tensor, float, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    turn, _ = torch.linalg.qr(torch.randn(3, 3, generator=generator, dtype=torch.float64))
    return turn * torch.linalg.det(turn), 1.7, torch.tensor([100.0, -50.0, 7.0], dtype=torch.float64)


def test_procrustes_undoes_a_similarity(joints_cam_mm):
    turn, scale, shift = _similarity(0)
    moved = scale * joints_cam_mm @ turn.mT + shift
    torch.testing.assert_close(procrustes(moved, joints_cam_mm), joints_cam_mm, atol=1e-6, rtol=0)
    rigid = procrustes(joints_cam_mm @ turn.mT + shift, joints_cam_mm, with_scale=False)
    torch.testing.assert_close(rigid, joints_cam_mm, atol=1e-6, rtol=0)


def test_procrustes_keeps_the_scale_when_told(joints_cam_mm):
    doubled = procrustes(2 * joints_cam_mm, joints_cam_mm, with_scale=False)
    spread = (doubled - doubled.mean(1, keepdim=True)).norm() / (
        joints_cam_mm - joints_cam_mm.mean(1, keepdim=True)
    ).norm()
    assert spread == pytest.approx(2)


def test_a_mirrored_pose_is_not_aligned_away(joints_cam_mm):
    mirrored = joints_cam_mm * torch.tensor([-1.0, 1.0, 1.0])
    assert (procrustes(mirrored, joints_cam_mm) - joints_cam_mm).norm(dim=-1).mean() > 100
    reflected = procrustes(mirrored, joints_cam_mm, allow_reflection=True)
    torch.testing.assert_close(reflected, joints_cam_mm, atol=1e-6, rtol=0)


def test_procrustes_ignores_missing_joints(joints_cam_mm):
    turn, scale, shift = _similarity(1)
    moved = scale * joints_cam_mm @ turn.mT + shift
    moved[:, 2] = torch.nan
    valid = torch.ones(2, 7, dtype=torch.bool)
    valid[:, 2] = False
    aligned = procrustes(moved, joints_cam_mm, valid=valid)
    torch.testing.assert_close(aligned[valid], joints_cam_mm[valid], atol=1e-6, rtol=0)


def test_procrustes_of_a_single_point_is_finite():
    target = torch.randn(2, 5, 3)
    aligned = procrustes(torch.zeros(2, 5, 3), target)
    torch.testing.assert_close(aligned, target.mean(1, keepdim=True).expand_as(target))


def test_a_camera_is_of_one_precision():
    camera = Camera(torch.ones(2, dtype=torch.float64), torch.zeros(2))
    world = torch.rand(5, 3, dtype=torch.float64)
    assert camera.world_to_cam(world).dtype == torch.float64
    assert torch.equal(camera.cam_to_world(camera.world_to_cam(world)), world)
    with pytest.raises(ValueError, match=r"`rotation` must end in 3 by 3 numbers, got shape \(2, 2\)"):
        Camera(torch.ones(2), torch.zeros(2), rotation=torch.eye(2))


def test_messages():
    with pytest.raises(ValueError, match=r"`box_side_px` must be positive.*Is the person's box empty"):
        crop_affine(torch.zeros(2), torch.tensor(0.0), 64)
    with pytest.raises(ValueError, match=r"`k_radial` must end in 3 numbers, got shape \(2,\)"):
        Camera(torch.ones(2), torch.zeros(2), torch.zeros(2))
    with pytest.raises(ValueError, match=r"one length for each of 1 bones, got 2"):
        recover_root_depth(torch.zeros(2, 2), torch.zeros(2), ((0, 1),), torch.ones(2))
    with pytest.raises(ValueError, match=r"one shape, got \(2, 5, 3\) and \(2, 6, 3\)"):
        procrustes(torch.zeros(2, 5, 3), torch.zeros(2, 6, 3))


def test_rotation_angle_is_in_degrees():
    affine = crop_affine(torch.zeros(2), torch.tensor(4.0), 4, rotation_deg=30.0)
    assert affine[0, 0] == pytest.approx(math.cos(math.pi / 6))
