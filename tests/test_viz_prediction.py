"""Overlays: poses where the joints are, in figures of a bounded size."""

import numpy as np
import pytest
import torch
from matplotlib.patches import Rectangle

from hemlets_lib.data.images import crop_image
from hemlets_lib.geometry import crop_affine
from hemlets_lib.hard_poses import HardPose
from hemlets_lib.model import HEMletsNet, ModelConfig
from hemlets_lib.people import FoundPeople, PersonBox, predict_people
from hemlets_lib.skeleton import HEMLETS18
from hemlets_lib.triplets import UNKNOWN
from hemlets_lib.viz_prediction import (
    figure_pixels,
    hard_poses_figure,
    overlay_figure,
    person_crop,
    triplets_figure,
    triplets_sheet,
)

CONFIG = ModelConfig(
    "test", "tiny", image_size=32, heatmap_size=16, depth_size=5, upsample_channels=6, encoder_channels=9,
    fusion=(3, 11),
)  # fmt: skip
BOXES = (PersonBox(5, 6, 20, 30, 0.75), PersonBox(30.5, 2, 25, 40))


def people_in(height: int, width: int, boxes=BOXES) -> FoundPeople:
    torch.manual_seed(1)
    picture = np.full((height, width, 3), 90, np.uint8)
    return predict_people(HEMletsNet(CONFIG), picture, boxes=boxes)


@pytest.mark.parametrize(
    ("size", "expected"),
    [((50, 70), (343, 480)), ((1, 1), (480, 480)), ((600, 800), (600, 800)), ((2000, 1000), (1280, 640))],
)
def test_an_overlay_has_the_pictures_shape(size, expected):
    found = people_in(*size, boxes=())
    pixels = figure_pixels(overlay_figure(found, HEMLETS18))
    assert pixels.shape[2] == 3 and np.abs(np.array(pixels.shape[:2]) - expected).max() <= 1
    assert tuple(pixels[0, 0]) == (90, 90, 90) and tuple(pixels[-1, -1]) == (90, 90, 90)  # to its very edges


def test_a_joint_is_drawn_where_it_is():
    """All joints moved to (1500, 400) of a picture that is shown at half its size."""
    found = people_in(1280, 2560, boxes=())
    there = torch.tensor([1500.0, 400.0]).expand(1, 18, 2)
    found = FoundPeople(
        found.image, found.boxes, found.squares, found.origin, found.prediction._replace(joints_px=there)
    )
    pixels = figure_pixels(overlay_figure(found, HEMLETS18)).astype(int)
    rows, columns = np.nonzero(np.abs(pixels - 90).sum(-1) > 60)
    assert abs(rows.mean() - 400 / 2) < 1 and abs(columns.mean() - 1500 / 2) < 1
    assert np.ptp(rows) < 40


def test_people_in_boxes_are_numbered():
    figure = overlay_figure(people_in(50, 70), HEMLETS18)
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.texts] == ["1", "2"]
    boxes = {patch.get_bbox().bounds for patch in axes.patches if isinstance(patch, Rectangle)}
    assert boxes == {(4.5, 5.5, 20.0, 30.0), (30.0, 1.5, 25.0, 40.0)}
    whole = overlay_figure(people_in(50, 70, boxes=()), HEMLETS18).axes[0]
    assert not whole.texts and not whole.patches and whole.lines


def test_nobody_leaves_the_picture_alone():
    image = np.random.default_rng(0).integers(0, 256, (600, 800, 3), dtype=np.uint8)
    figure = overlay_figure(FoundPeople(image, (), (), "detector", None), HEMLETS18)
    assert not figure.axes[0].lines
    np.testing.assert_allclose(figure_pixels(figure), image, atol=1)


def test_the_crop_is_what_the_network_was_shown():
    found = people_in(50, 70)
    x, y, side = BOXES[1].square()
    affine = crop_affine(torch.tensor([x, y], dtype=torch.float64), torch.tensor(side), 64)
    np.testing.assert_array_equal(person_crop(found, 1, 64), crop_image(found.image, affine.numpy(), 64))


def test_triplets_where_there_are_any():
    found = people_in(50, 70)
    figure = triplets_figure(found, 1, HEMLETS18)
    assert len([axes for axes in figure.axes if axes.images]) == HEMLETS18.num_parts
    without = found.prediction._replace(triplets=None)
    assert (
        triplets_figure(FoundPeople(found.image, BOXES, found.squares, "given", without), 0, HEMLETS18)
        is None
    )


def test_a_sheet_of_triplets():
    """A map that is 0.2 in one place and 0 elsewhere: that place is as strong as can be, others are grey."""
    found = people_in(50, 70)
    prediction = found.prediction
    maps, states = torch.zeros_like(prediction.triplets), prediction.decoded.states.clone()
    states[0] = 1
    maps[0, 8, -1, 4:8, 4:8] = 0.2  # cells of 16
    maps[0, 9, -1, 4:8, 4:8], states[0, 9] = 0.2, UNKNOWN
    prediction = prediction._replace(triplets=maps, decoded=prediction.decoded._replace(states=states))
    sheet = triplets_sheet(FoundPeople(found.image, BOXES, found.squares, "given", prediction), 0)
    assert sheet.pixels.shape == (2 * 192, 7 * 192, 3) and sheet.columns == 7
    assert sheet.peaks == pytest.approx([0.2 if part in (8, 9) else 0 for part in range(14)])
    panels = sheet.pixels.reshape(2, 192, 7, 192, 3).swapaxes(1, 2)
    strong, unread = panels[1, 1], panels[1, 2]  # parts 8 and 9
    grey = panels[0, 0, 72, 72]
    assert len(set(grey.tolist())) == 1
    vermillion = np.array([213, 94, 0])
    np.testing.assert_allclose(strong[72, 72], 0.9 * vermillion + 0.1 * grey, atol=1.5)
    assert (
        np.abs(unread[72, 72].astype(int) - grey).max() < np.abs(strong[72, 72].astype(int) - grey).max() / 2
    )
    np.testing.assert_array_equal(strong[150, 150], panels[0, 0, 150, 150])
    without = FoundPeople(found.image, BOXES, found.squares, "given", prediction._replace(triplets=None))
    assert triplets_sheet(without, 0) is None


def hard_pose(number: int, *, in_3d: bool) -> HardPose:
    return HardPose(
        name=f"pose {number}", image=np.full((40, 40, 3), 9, np.uint8), joints_crop=torch.rand(18, 3) - 0.5,
        true_crop=torch.rand(18, 3) - 0.5, joints_mm=torch.randn(18, 3) * 300,
        true_mm=torch.randn(18, 3) * 300 if in_3d else None, unusual=1.0, off_percent=3.0,
        error_mm=87.4 if in_3d else None,
    )  # fmt: skip


def test_hard_poses_in_pairs():
    figure = hard_poses_figure([hard_pose(n, in_3d=n != 3) for n in range(5)], HEMLETS18, columns=2)
    assert [axes.get_title() for axes in figure.axes[::2]] == [f"pose {n}" for n in range(5)]
    assert [axes.get_title() for axes in figure.axes[1::2]] == [
        f"from the side, {error}" for error in ["87 mm"] * 3 + ["no 3D labels", "87 mm"]
    ]
    lines = [len(axes.lines) for axes in figure.axes[1::2]]
    assert lines == [2 * len(HEMLETS18.bones)] * 3 + [len(HEMLETS18.bones), 2 * len(HEMLETS18.bones)]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["true", "predicted"]
    flat = hard_poses_figure([hard_pose(0, in_3d=False)], HEMLETS18)
    assert [text.get_text() for text in flat.legends[0].get_texts()] == ["left", "right", "centre"]
