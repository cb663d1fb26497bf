"""Drawn samples: real cameras, exact labels, and nothing that depends on order."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from hemlets_lib.data.cameras import CAMERA_NAMES, SESSIONS, h36m_camera
from hemlets_lib.data.motion import SUBJECTS, Take, perform
from hemlets_lib.data.render import Appearance
from hemlets_lib.data.sample import Meta
from hemlets_lib.data.synthetic import (
    SPLITS,
    SyntheticDataset,
    redraw,
    render_pose,
    render_sample,
    samples_from_take,
)
from hemlets_lib.geometry import apply_affine, cam_to_crop, crop_to_px, invert_affine
from hemlets_lib.skeleton import HEMLETS18

PAINTS = ("skin", "hair", "top", "top_detail", "bottoms", "shoes", "soles", "socks")


@pytest.fixture(scope="module")
def sample():
    return render_sample("S9", "Directions", seed=3, frame=120, camera="55011271", size=96)


@pytest.mark.parametrize("subject", SESSIONS)
@pytest.mark.parametrize("name", CAMERA_NAMES)
def test_every_camera_sees_the_middle_of_the_room_upright(name, subject):
    camera = h36m_camera(name, subject)
    torch.testing.assert_close(camera.rotation @ camera.rotation.mT, torch.eye(3, dtype=torch.float64))
    assert torch.linalg.det(camera.rotation) > 0
    feet_and_head = torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.0, 1700.0]], dtype=torch.float64)
    px = camera.project(camera.world_to_cam(feet_and_head))
    assert ((px > 0) & (px < 1000)).all()
    assert px[0, 1] > px[1, 1] + 200  # v grows downwards


def test_cameras_are_those_of_the_real_data(real_samples):
    records = json.loads((real_samples / "h36m" / "annotations.json").read_text())["records"]
    assert records
    for record in records:
        camera, theirs = h36m_camera(record["camera_id"], record["subject"]), record["camera"]
        # The file gives the camera's orientation in the world, which is our rotation's transpose.
        np.testing.assert_allclose(camera.rotation.mT, theirs["R_world_to_cam"], atol=1e-6)
        np.testing.assert_allclose(camera.position_mm, 1000 * np.array(theirs["T_m"]), atol=1e-3)
        joints_cam = torch.tensor(record["joints_cam_mm"], dtype=torch.float64)
        np.testing.assert_allclose(camera.project(joints_cam), record["joints_px"], atol=2e-3)
        heights = camera.cam_to_world(joints_cam)[:, 2]
        assert 0 < heights.min() < 150 and heights.max() < 2000  # the lowest joint is near the floor


def test_unknown_names():
    with pytest.raises(ValueError, match=r"`name` must be one of 54138969, .* got '1'"):
        h36m_camera("1")
    with pytest.raises(ValueError, match=r"`subject` must be one of S1, .* got 'S2'"):
        h36m_camera("54138969", "S2")
    with pytest.raises(ValueError, match=r"`subject` must be one of .* got 'S2'"):
        render_sample("S2", "Walking", seed=0, frame=0, camera="54138969")
    with pytest.raises(ValueError, match="`outfits` must be one of subject, random, got 'mine'"):
        render_sample("S1", "Walking", seed=0, frame=0, camera="54138969", outfits="mine")


def test_labels_agree_with_the_camera(sample):
    camera, affine = sample.camera, sample.affine
    again = cam_to_crop(sample.joints_cam_mm, camera, affine, size=96, root=HEMLETS18.root)
    torch.testing.assert_close(sample.joints_crop, again, atol=1e-4, rtol=0)
    assert sample.joint_valid.all() and sample.depth_valid.all()
    assert sample.joints_crop[:, :2].abs().max() < 0.5
    assert sample.meta.subject == "S9" and sample.meta.frame == 120
    bone = (sample.joints_cam_mm[2] - sample.joints_cam_mm[1]).norm()
    assert bone == pytest.approx(SUBJECTS["S9"].thigh_mm, abs=0.01)


def test_size_changes_pixels_only(sample):
    small = render_sample("S9", "Directions", seed=3, frame=120, camera="55011271", size=64)
    torch.testing.assert_close(small.joints_crop, sample.joints_crop, atol=1e-6, rtol=0)
    assert small.image.shape == (64, 64, 3)


@pytest.mark.parametrize("camera", CAMERA_NAMES)
@pytest.mark.parametrize("action", ["Walking", "Greeting", "SittingDown"])
def test_joints_lie_within_the_drawn_body(action, camera):
    """Where two pictures differ that differ in colours alone, there is the person."""
    size = 128
    take = perform(action, SUBJECTS["S11"], num_frames=1, seed=5, start_s=4.0)

    def draw(grey: int):
        looks = replace(SUBJECTS["S11"].appearance, **dict.fromkeys(PAINTS, (grey, grey, grey)))
        return render_pose(
            take.joints_world_mm[0], camera=h36m_camera(camera, "S11"), appearance=looks, meta=Meta("test"),
            rng=np.random.default_rng(0), size=size,
        )  # fmt: skip

    dark, light = draw(10), draw(250)
    body = torch.from_numpy((dark.image != light.image).any(-1))
    near = torch.nn.functional.max_pool2d(body[None, None].float(), 5, stride=1, padding=2)[0, 0] > 0
    places = crop_to_px(dark.joints_crop[:, :2], size).round().long()
    assert near[places[:, 1], places[:, 0]].all()
    assert 0.03 < body.float().mean() < 0.6
    # Head and feet are where the labels say, not just the middle: the body's upper edge is at the head's top.
    top = float(torch.nonzero(body)[:, 0].min())
    assert abs(top - float(crop_to_px(dark.joints_crop[:, :2], size)[:, 1].min())) < 0.12 * size


def test_the_lens_is_in_the_picture():
    """What the renderer's pinhole sees is where the real lens puts each joint."""
    from hemlets_lib.data.synthetic import _as_pinhole

    camera = h36m_camera("58860488", "S5")
    take = perform("Eating", SUBJECTS["S5"], num_frames=1, seed=1)
    joints_cam = camera.world_to_cam(torch.from_numpy(take.joints_world_mm[0]))
    moved = _as_pinhole(joints_cam, camera)
    pinhole_px = moved[:, :2] / moved[:, 2:] * camera.focal_px.numpy() + camera.centre_px.numpy()
    np.testing.assert_allclose(pinhole_px, camera.project(joints_cam), atol=1e-9)
    without = joints_cam[:, :2] / joints_cam[:, 2:] * camera.focal_px + camera.centre_px
    assert float((without - torch.from_numpy(pinhole_px)).abs().max()) > 0.3  # the lens does something


def test_hands_and_feet_have_room():
    """Crouching makes the joints' box small, not the hands."""
    shot = render_sample("S8", "SittingDown", seed=2, frame=500, camera="54138969", size=64)
    joints_px = apply_affine(shot.affine, shot.camera.project(shot.joints_cam_mm))
    pixels_per_mm = float(shot.affine[0, 0] * shot.camera.focal_px[0] / shot.joints_cam_mm[0, 2])
    assert float(joints_px.min()) + 0.5 >= 170 * pixels_per_mm - 0.1


def test_a_sample_does_not_depend_on_order_or_length():
    first = SyntheticDataset(6, seed=4, size=32)
    second = SyntheticDataset(900, seed=4, size=32)
    late = [second[index] for index in (5, 3, 0)]
    for got, index in zip(late, (5, 3, 0), strict=True):
        expected = first[index]
        np.testing.assert_array_equal(got.image, expected.image)
        torch.testing.assert_close(got.joints_cam_mm, expected.joints_cam_mm, rtol=0, atol=0)
        assert got.meta == expected.meta
    assert first[-1].meta == late[0].meta
    assert SyntheticDataset(6, seed=5, size=32)[5].meta != late[0].meta
    with pytest.raises(IndexError, match="within the 6 samples, got 6"):
        first[6]


def test_each_block_holds_every_combination_once():
    options = {
        "subjects": ("S9", "S11"),
        "actions": ("Waiting", "Photo"),
        "cameras": CAMERA_NAMES[:2],
        "size": 16,
    }
    data = SyntheticDataset(16, **options)
    for block in (range(8), range(8, 16)):
        metas = [data[index].meta for index in block]
        assert len({(meta.subject, meta.action, meta.camera_name) for meta in metas}) == 8
    assert len({data[index].meta.sample_id for index in range(16)}) == 16


def test_splits_share_nobody():
    assert not set(SPLITS["train"]) & set(SPLITS["test"])
    test = SyntheticDataset(4, split="test", size=16)
    assert {test[index].meta.subject for index in range(4)} <= {"S9", "S11"}


def test_config_is_json_without_the_length():
    short, long = SyntheticDataset(5, seed=1), SyntheticDataset(50, seed=1)
    assert json.loads(json.dumps(short.config)) == long.config
    assert SyntheticDataset(5, seed=2).config != short.config


def test_scene_outfit_and_jitter_change_what_they_should():
    options = {"seed": 1, "frame": 9, "camera": "54138969", "size": 32}
    plain = render_sample("S1", "Posing", **options)
    outdoor = render_sample("S1", "Posing", **options, scene="outdoor")
    dressed = render_sample("S1", "Posing", **options, outfits="random")
    jittered = render_sample("S1", "Posing", **options, box_jitter=0.1)
    for other in (outdoor, dressed, jittered):
        assert (other.image != plain.image).any()
        torch.testing.assert_close(other.joints_cam_mm, plain.joints_cam_mm, rtol=0, atol=0)
    torch.testing.assert_close(outdoor.joints_crop, plain.joints_crop, rtol=0, atol=0)
    assert (jittered.affine != plain.affine).any()


def test_a_take_is_drawn_from_where_the_cameras_look():
    take = perform("Walking", SUBJECTS["S7"], num_frames=4, seed=0)
    far = Take(take.joints_world_mm + np.array([20_000.0, -3000.0, 0.0]), take.fps, "02_01", "02", take.props)
    near = Take(take.joints_world_mm, take.fps, "02_01", "02", take.props)
    shots = list(samples_from_take(far, frames=[0, 3], cameras=CAMERA_NAMES[1:3], size=32))
    assert [(shot.meta.frame, shot.meta.camera_name) for shot in shots] == [
        (0, "55011271"), (0, "58860488"), (3, "55011271"), (3, "58860488"),
    ]  # fmt: skip
    assert shots[0].meta.dataset == "mocap" and shots[0].meta.action == "02_01"
    again = list(samples_from_take(near, frames=[0, 3], cameras=CAMERA_NAMES[1:3], size=32))
    for shot, other in zip(shots, again, strict=True):
        torch.testing.assert_close(shot.joints_crop, other.joints_crop, atol=1e-5, rtol=0)
    world = shots[0].camera.cam_to_world(shots[0].joints_cam_mm)
    torch.testing.assert_close(world[0, :2], torch.zeros(2), atol=0.01, rtol=0)
    heights = torch.from_numpy(take.joints_world_mm[0, :, 2]).float()
    torch.testing.assert_close(world[:, 2], heights, atol=0.01, rtol=0)


def test_a_take_has_only_its_frames():
    take = perform("Walking", SUBJECTS["S7"], num_frames=2, seed=0)
    with pytest.raises(ValueError, match=r"`frames` must lie within 0 … 1 for take 'Walking', got \[2\]"):
        next(samples_from_take(take, frames=[0, 2]))


def test_a_person_behind_the_camera_is_refused():
    joints = perform("Walking", SUBJECTS["S7"], num_frames=1, seed=0).joints_world_mm[0] + np.array(
        [0, 9000.0, 0]
    )
    with pytest.raises(ValueError, match=r"must be in front of the camera, .* centre the take"):
        render_pose(
            joints, camera=h36m_camera("54138969"), appearance=Appearance.random(np.random.default_rng(0)),
            meta=Meta("test"), rng=np.random.default_rng(0),
        )  # fmt: skip


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "val"}, "`split` must be one of train, test, got 'val'"),
        ({"subjects": ("S2",)}, "`subjects` must be out of S1, .* got S2"),
        ({"actions": ()}, "`actions` must be out of Directions, .* got none"),
        ({"scenes": ("moon",)}, "`scenes` must be out of studio, green_screen, outdoor, got moon"),
        ({"size": 8}, "`size` must be at least 16 pixels, got 8"),
        ({"num_samples": 0}, "`num_samples` must be at least 1, got 0"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        SyntheticDataset(**{"num_samples": 3, **options})


def test_redrawing_keeps_joints_and_camera_and_changes_pixels(sample):
    again = redraw(sample, size=64, scene="outdoor")
    torch.testing.assert_close(again.joints_cam_mm, sample.joints_cam_mm, atol=0.01, rtol=0)
    assert torch.equal(again.part_states, sample.part_states)
    in_picture = [
        apply_affine(invert_affine(each.affine), crop_to_px(each.joints_crop[:, :2], each.size))
        for each in (sample, again)
    ]
    torch.testing.assert_close(*in_picture, atol=0.05, rtol=0)
    assert again.size == 64 and again.in_crop.all()
    assert again.meta.action == sample.meta.action
    assert again.meta.source == f"drawn; pose of {sample.meta.sample_id}; scene outdoor; seed 0"
    assert np.array_equal(again.image, redraw(sample, size=64, scene="outdoor").image)
    assert not np.array_equal(again.image, redraw(sample, size=64, scene="outdoor", seed=1).image)


def test_redrawing_stands_people_on_the_floor(sample):
    """A level camera at the world's own height: the lowest joint is an ankle's height over the floor."""
    camera = redraw(sample).camera
    world_mm = camera.cam_to_world(sample.joints_cam_mm)
    assert world_mm[:, 2].min().item() == pytest.approx(80, abs=0.01)
    assert world_mm[0, :2].abs().max() < 0.01
    assert world_mm[HEMLETS18.index("head"), 2] > world_mm[HEMLETS18.index("pelvis"), 2]


@pytest.mark.parametrize(
    ("lacking", "got"),
    [({"camera": None}, "no camera"), ({"joints_cam_mm": None}, "joints that nobody labelled")],
)
def test_only_a_pose_that_is_known_can_be_redrawn(sample, lacking, got):
    with pytest.raises(ValueError, match=f"expected a camera and all joints in camera space, got {got}"):
        redraw(replace(sample, **lacking))
