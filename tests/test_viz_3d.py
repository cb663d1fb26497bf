"""The 3D viewer: the widget and its static picture show the same joints."""

import io

import numpy as np
import pytest
import torch
from mpl_toolkits.mplot3d import proj3d
from PIL import Image

from hemlets_lib.skeleton import HEMLETS18
from hemlets_lib.viz import SIDE_COLOURS, png_bytes
from hemlets_lib.viz_3d import (
    compare_pose_figure,
    motion_plot,
    plotly_script,
    pose_3d_figure,
    pose_plot,
    pose_widget,
    show_pose_3d,
    side_view_png,
)


@pytest.fixture
def pose():
    return torch.randn(18, 3) * 300


def test_the_static_picture_shows_every_bone_from_every_side(pose):
    figure = pose_3d_figure({"true": pose, "lifted": pose * 1.1}, HEMLETS18)
    assert [len(axes.lines) for axes in figure.axes] == [2 * len(HEMLETS18.bones)] * 3
    assert png_bytes(figure).startswith(b"\x89PNG")
    for axes in figure.axes:  # drawn by now, so that these are the grid's lines
        (note,) = [text.get_text() for text in axes.texts]
        for ticks in (axes.get_xticks(), axes.get_yticks(), axes.get_zticks()):
            assert note == f"grid: {np.diff(ticks)[0]:.0f} mm"


def test_titles_say_where_the_camera_is(pose):
    """The camera looks along +z: from the side that must run to the right, from above it must run up."""
    toy = torch.zeros(18, 3)
    toy[HEMLETS18.index("head"), 2] = 500.0  # farther than the rest
    _, side, above = pose_3d_figure({"true": toy}, HEMLETS18).axes
    for axes, word, axis in ((side, "left →", 0), (above, "bottom ↑", 1)):
        near, far = (proj3d.proj_transform(0, depth, 0, axes.get_proj())[axis] for depth in (0.0, 500.0))
        assert far > near and axes.get_title().endswith(word)


def test_pictures_beside_the_poses(pose):
    image = np.full((32, 32, 3), 200, np.uint8)
    joints = torch.zeros(18, 3)
    pictures = {"predicted": (image, joints), "true": (image, joints)}
    figure = compare_pose_figure(pictures, {"true": pose, "predicted": pose * 1.1}, HEMLETS18)
    *flat, space = figure.axes
    assert [axes.get_title() for axes in figure.axes] == [
        "predicted",
        "true",
        "from the side; camera at the left →",
    ]
    assert all(len(axes.images) == 1 for axes in flat)
    assert len(space.lines) == 2 * len(HEMLETS18.bones)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["true", "predicted"]


def test_a_single_pose_is_explained_by_its_sides(pose):
    """One pose is coloured by side, so that a legend with its name and one colour would be wrong."""
    image = np.full((32, 32, 3), 200, np.uint8)
    figure = compare_pose_figure({"predicted": (image, torch.zeros(18, 3))}, {"predicted": pose}, HEMLETS18)
    (key,) = figure.legends
    assert {
        text.get_text(): line.get_color() for text, line in zip(key.get_texts(), key.get_lines(), strict=True)
    } == SIDE_COLOURS


def test_the_side_view_is_transparent(pose):
    with Image.open(io.BytesIO(side_view_png({"": pose}, HEMLETS18))) as picture:
        alpha = np.asarray(picture)[..., 3]
    assert alpha[0, 0] == 0 and alpha.max() == 255 and (alpha == 0).mean() > 0.5


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


def test_the_plot_without_a_kernel_is_the_widgets(pose):
    plot, widget = pose_plot({"pose": pose}, HEMLETS18), pose_widget({"pose": pose}, HEMLETS18)
    assert plot.layout.scene.xaxis.range == widget.layout.scene.xaxis.range
    for ours, theirs in zip(plot.data, widget.data, strict=True):
        assert ours.x == theirs.x and ours.name == theirs.name


def test_motion_has_a_frame_for_each_pose_in_one_space(pose):
    """The pose walks 2 m to the right, and is gone in between; axes hold all of it."""
    walked = pose + torch.tensor([2000.0, 0, 0])
    nobody = torch.full((18, 3), torch.nan)
    plot = motion_plot({"0": pose, "5": nobody, "10": walked}, HEMLETS18)
    assert [frame.name for frame in plot.frames] == ["0", "5", "10"]
    start, gone, end = plot.frames
    assert len(start.data) == len(plot.data) == len(SIDE_COLOURS)
    for trace, first, last in zip(plot.data, start.data, end.data, strict=True):
        assert [x for x in first.x if x is not None] == pytest.approx(
            [x for x in trace.x if x is not None], abs=0.06
        )
        assert [b - a for a, b in zip(first.x, last.x, strict=True) if a is not None] == pytest.approx(
            [2000] * sum(x is not None for x in first.x), abs=0.2
        )
    assert all(not trace.x for trace in gone.data)
    low, high = plot.layout.scene.xaxis.range
    assert low < pose[:, 0].min() and high > walked[:, 0].max()
    assert high - low == pytest.approx(plot.layout.scene.zaxis.range[1] - plot.layout.scene.zaxis.range[0])


def test_the_space_is_no_larger_than_the_pose():
    """1.8 m high, 0.6 m wide and 3.6 m deep: a millimetre is equally long along all axes; little is empty."""
    pose = torch.zeros(18, 3)
    pose[1], pose[2] = torch.tensor([0.0, 0.0, 3600.0]), torch.tensor([600.0, -1800.0, 0.0])
    scene = pose_plot({"": pose}, HEMLETS18).layout.scene
    lengths = np.array([np.ptp(axis.range) for axis in (scene.xaxis, scene.yaxis, scene.zaxis)])
    assert lengths == pytest.approx(1.08 * np.array([1800, 3600, 1800]))
    ratio = scene.aspectratio
    assert np.array([ratio.x, ratio.y, ratio.z]) / lengths == pytest.approx([ratio.z / lengths[2]] * 3)
    assert scene.camera.projection.type == "orthographic"
    level = pose_plot({"": pose * torch.tensor([1.0, 1.0, 0.0])}, HEMLETS18).layout.scene.yaxis.range
    assert np.ptp(level) == pytest.approx(1.08 * 600)  # a flat pose keeps a third


def test_the_script_is_plotlys():
    assert "plotly.js v" in plotly_script()[:200]


def test_show_3d_carries_a_picture_for_pages_without_a_kernel(monkeypatch, pose):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda data, **options: shown.append((data, options)))
    show_pose_3d({"true": pose}, HEMLETS18, alt="A person.")
    data, options = shown[0]
    assert "application/vnd.jupyter.widget-view+json" in data
    assert data["image/png"].startswith(b"\x89PNG")
    assert options["metadata"]["image/png"]["alt"] == "A person."


def test_messages(pose):
    with pytest.raises(ValueError, match=r"must hold a pose in one frame at least, got 1 frames"):
        motion_plot({"0": torch.full((18, 3), torch.nan)}, HEMLETS18)
    with pytest.raises(ValueError, match="one to 4 poses, got 0"):
        pose_3d_figure({}, HEMLETS18)
    with pytest.raises(ValueError, match=r"`poses\['short'\]` must have 18 joints.* got 17"):
        pose_3d_figure({"short": pose[:17]}, HEMLETS18)
