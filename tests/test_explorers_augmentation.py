"""Moving the camera and augmenting the picture: which labels must change, which must not, by how much."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch

from hemlets_lib.augment import Augmentation, apply_augmentation
from hemlets_lib.data.sample import collate
from hemlets_lib.data.samples import load_samples
from hemlets_lib.explorers.augmentation import augmentation_explorer
from hemlets_lib.explorers.label_changes import label_changes, orbit, seen_from
from hemlets_lib.explorers.scene import Bars, Picture, Points
from hemlets_lib.skeleton import HEMLETS18
from hemlets_lib.triplets import part_states

PIXELS = 256
TOY = torch.tensor([[100.0, -50.0, 4000.0], [400.0, -50.0, 4000.0], [100.0, -650.0, 4000.0]])


@pytest.fixture(scope="module")
def samples():
    return load_samples()[:3]


@pytest.fixture(scope="module")
def explorer(samples):
    return augmentation_explorer(samples)


def panel(scene, start: str):
    return next(panel for panel in scene.panels if panel.title.startswith(start))


def marks(scene, start: str, kind) -> list:
    return [mark for mark in panel(scene, start).marks if isinstance(mark, kind)]


def test_orbit_by_hand():
    """A joint 300 mm to the right of the root, one 600 mm above it; the camera 4 m away."""
    aside = orbit(
        TOY, azimuth_deg=90, root=0
    )  # the camera goes to the right: there the right joint is nearer
    torch.testing.assert_close(
        aside, torch.tensor([[100.0, -50, 4000], [100, -50, 3700], [100, -650, 4000]]).double()
    )
    above = orbit(TOY, azimuth_deg=0, elevation_deg=30, root=0)  # and from higher up, the upper one
    torch.testing.assert_close(above[2] - above[0], torch.tensor([0, -600 * math.sqrt(0.75), -300]).double())
    near = orbit(TOY, azimuth_deg=0, distance=0.5, root=0)
    torch.testing.assert_close(near[0], torch.tensor([50.0, -25, 2000]).double())
    torch.testing.assert_close(near - near[0], (TOY - TOY[0]).double())


@pytest.mark.parametrize("azimuth", [-120.0, 10.0, 180.0])
@pytest.mark.parametrize("elevation", [-20.0, 50.0])
def test_orbit_is_rigid_and_keeps_the_root_in_the_picture(samples, azimuth, elevation):
    joints = samples[0].joints_cam_mm.double()
    moved = orbit(joints, azimuth_deg=azimuth, elevation_deg=elevation, distance=1.3, root=HEMLETS18.root)
    torch.testing.assert_close(torch.cdist(moved, moved), torch.cdist(joints, joints))
    centred = [pose - pose[HEMLETS18.root] for pose in (joints, moved)]
    turn = torch.linalg.lstsq(*centred).solution
    assert float(torch.linalg.det(turn)) == pytest.approx(1)  # no mirror image
    torch.testing.assert_close(moved[0] / moved[0, 2], joints[0] / joints[0, 2])


def test_from_behind_every_state_has_the_other_sign(samples):
    for sample in samples:
        joints = sample.joints_cam_mm.double()
        behind = orbit(joints, azimuth_deg=180, root=HEMLETS18.root)
        assert torch.equal(part_states(behind, HEMLETS18), -part_states(joints, HEMLETS18))


def test_a_camera_that_has_not_moved_sees_the_same_labels(samples):
    for sample in samples:
        same = seen_from(sample, azimuth_deg=0, elevation_deg=0, distance=1, skeleton=HEMLETS18)
        torch.testing.assert_close(same.joints_crop, sample.joints_crop, atol=1e-5, rtol=0)
        assert torch.equal(same.part_states, sample.part_states)


def changes(sample, skeleton=HEMLETS18, *, rotation=0.0, scale=1.0, flip=False):
    before = collate([sample])
    recipe = Augmentation(torch.tensor([rotation]), torch.tensor([scale]), flip=torch.tensor([flip]))
    after = apply_augmentation(before, recipe, skeleton=skeleton)
    return label_changes(before, after, skeleton, renamed=flip)


@pytest.mark.parametrize(
    ("recipe", "ratio"),
    [({"rotation": 70.0}, 1), ({"scale": 0.6}, 0.6), ({"flip": True}, 1), ({"flip": True, "scale": 2.0}, 2)],
)
def test_the_picture_plane_leaves_depth_alone(samples, recipe, ratio):
    for sample in samples:
        found = changes(sample, **recipe)
        assert (found.depth_mm, found.states, found.length_mm) == (0, 0, 0)
        assert found.joints_px > 1
        torch.testing.assert_close(found.length_ratios, torch.full((14,), float(ratio)), atol=1e-3, rtol=0)


def test_half_a_turn_moves_a_joint_by_twice_its_distance_from_the_middle(samples):
    sample = samples[0]
    expected = 2 * PIXELS * float(sample.joints_crop[:, :2].norm(dim=-1).mean())
    assert changes(sample, rotation=180.0).joints_px == pytest.approx(expected, rel=1e-4)


def test_a_mirror_without_new_names_would_be_counted(samples):
    before = collate([samples[0]])
    mirrored = dataclasses.replace(before, joints_crop=before.joints_crop * torch.tensor([-1.0, 1, 1]))
    assert label_changes(before, mirrored, HEMLETS18, renamed=True).depth_mm > 50


def test_marks_before_and_after_meet_in_the_picture_plane(explorer):
    scene = explorer.scene(rotation=-50.0, scale=0.75)
    were, are = marks(scene, "polarity", Points)
    np.testing.assert_array_equal(were.points, are.points)
    (bars,), (diamonds,) = marks(scene, "depth", Bars), marks(scene, "depth", Points)
    np.testing.assert_array_equal(diamonds.points[:, 1], bars.heights)
    said = dict(scene.readout)
    assert said["polarity"] == "unchanged in all 14 parts" and said["depth behind the root"] == "unchanged"
    assert said["picture"] == "turned, scaled, with the labels"
    assert said["lengths in the picture"] == "× 0.75 to × 0.75" and said["2D joints"].startswith("changed")


def test_marks_from_behind_are_mirrored_at_zero(explorer):
    scene = explorer.scene(azimuth=180.0)
    were, are = marks(scene, "polarity", Points)
    np.testing.assert_array_equal(are.points[:, 1], -were.points[:, 1])
    (bars,), (diamonds,) = marks(scene, "depth", Bars), marks(scene, "depth", Points)
    np.testing.assert_allclose(diamonds.points[:, 1], -np.asarray(bars.heights), atol=0.01)
    said = dict(scene.readout)
    changed = int((were.points[:, 1] != 0).sum())
    assert said["polarity"] == f"changed in {changed} of 14 parts"
    assert said["lengths in space"] == "unchanged" and said["picture"].startswith("none")


def test_a_mirror_swaps_the_sides_of_the_marks(explorer):
    were, are = marks(explorer.scene(flip=True), "polarity", Points)
    order = list(HEMLETS18.part_flip_permutation)
    np.testing.assert_array_equal(are.points[:, 1], were.points[order, 1])
    assert (
        dict(explorer.scene(flip=True).readout)["polarity"]
        == "unchanged in all 14 parts, but left and right have swapped names"
    )


def test_the_picture_is_training_s_own(explorer, samples):
    """Grey, but in each pixel from where `augment` takes it."""
    name = explorer.controls[0].start
    scene = explorer.scene(rotation=30.0)
    sample = next(
        each for each in samples if f"{each.meta.subject} {each.meta.action}" == name.partition(" (")[0]
    )
    recipe = Augmentation(torch.tensor([30.0]), torch.tensor([1.0]))
    wanted = apply_augmentation(collate([sample]), recipe, skeleton=HEMLETS18).images[0].float().mean(0)
    shown = marks(scene, "after", Picture)[0].pixels[..., 0]
    np.testing.assert_allclose(shown, 153 + 0.4 * wanted.numpy(), atol=1)


def test_from_elsewhere_there_is_no_picture(explorer):
    assert len(np.unique(marks(explorer.scene(azimuth=10.0), "after", Picture)[0].pixels)) == 1
    noted = marks(explorer.scene(azimuth=10.0), "after", Points)[-1]
    assert np.isfinite(noted.points).all() and noted.texts == ("no picture from here",)
    assert np.isnan(marks(explorer.scene(), "after", Points)[-1].points).all()


def test_the_note_lies_below_the_picture(explorer):
    shown = panel(explorer.scene(azimuth=10.0), "after")
    ((_, height),) = marks(explorer.scene(azimuth=10.0), "after", Points)[-1].points
    assert PIXELS < height < shown.y[0]


def test_a_length_above_the_axis_is_marked_and_told(samples):
    """From the side, a part that pointed at the camera is many times as long in the picture."""
    for explorer in (augmentation_explorer([sample]) for sample in samples):
        scene = explorer.scene(azimuth=90.0, distance=0.6)
        shown = panel(scene, "length")
        crosses, _, arrows, words = (mark for mark in shown.marks if isinstance(mark, Points))
        high = crosses.points[:, 1] > shown.y[1]
        np.testing.assert_array_equal(np.isfinite(arrows.points[:, 1]), high)
        assert (arrows.points[high, 1] < shown.y[1]).all()
        told = [text for text in words.texts if text]
        assert told == [f"{ratio:.1f}" for ratio in crosses.points[high, 1]]
        if high.any():
            return
    pytest.fail("the samples must have a part that gets more than three times as long")
