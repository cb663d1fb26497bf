"""The 3D viewer: the widget and its static picture show the same joints."""

import numpy as np
import pytest
import torch

from hemlets_lib.skeleton import HEMLETS18
from hemlets_lib.viz import SIDE_COLOURS, png_bytes
from hemlets_lib.viz_3d import compare_pose_figure, pose_3d_figure, pose_widget, show_pose_3d


@pytest.fixture
def pose():
    return torch.randn(18, 3) * 300


def test_the_static_picture_shows_every_bone_from_every_side(pose):
    figure = pose_3d_figure({"true": pose, "lifted": pose * 1.1}, HEMLETS18)
    assert [len(axes.lines) for axes in figure.axes] == [2 * len(HEMLETS18.bones)] * 3
    assert png_bytes(figure).startswith(b"\x89PNG")


def test_pictures_beside_the_poses(pose):
    image = np.full((32, 32, 3), 200, np.uint8)
    joints = torch.zeros(18, 3)
    pictures = {"predicted": (image, joints), "true": (image, joints)}
    figure = compare_pose_figure(pictures, {"true": pose, "predicted": pose * 1.1}, HEMLETS18)
    *flat, space = figure.axes
    assert [axes.get_title() for axes in figure.axes] == ["predicted", "true", "from the side"]
    assert all(len(axes.images) == 1 for axes in flat)
    assert len(space.lines) == 2 * len(HEMLETS18.bones)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["true", "predicted"]


def test_the_widget_holds_every_joint(pose):
    widget = pose_widget({"true": pose, "lifted": pose * 1.1}, HEMLETS18)
    assert [trace.name for trace in widget.data] == ["true", "lifted"]
    points = np.array([widget.data[0].x, widget.data[0].y, widget.data[0].z], dtype=object).T
    points = np.array([point for point in points if None not in point], dtype=float)
    expected = pose[:, [0, 2, 1]].numpy() * (1, 1, -1)  # right, away, up
    assert len(points) == 2 * len(HEMLETS18.bones)
    for joint in expected:
        assert np.abs(points - joint).sum(-1).min() < 1e-3


def test_a_single_pose_is_coloured_by_side(pose):
    widget = pose_widget({"pose": pose}, HEMLETS18)
    assert [trace.line.color for trace in widget.data] == list(SIDE_COLOURS.values())


def test_show_3d_carries_a_picture_for_pages_without_a_kernel(monkeypatch, pose):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda data, **options: shown.append((data, options)))
    show_pose_3d({"true": pose}, HEMLETS18, alt="A person.")
    data, options = shown[0]
    assert "application/vnd.jupyter.widget-view+json" in data
    assert data["image/png"].startswith(b"\x89PNG")
    assert options["metadata"]["image/png"]["alt"] == "A person."


def test_messages(pose):
    with pytest.raises(ValueError, match="one to 4 poses, got 0"):
        pose_3d_figure({}, HEMLETS18)
    with pytest.raises(ValueError, match=r"`poses\['short'\]` must have 18 joints.* got 17"):
        pose_3d_figure({"short": pose[:17]}, HEMLETS18)
