"""Poses in space: a static picture from several sides, and plotly figures to turn around.

`show_pose_3d` displays both at once: JupyterLab shows the widget, and pages without a kernel (GitHub,
HTML) the picture with its alt text.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from hemlets_lib.geometry import crop_to_px
from hemlets_lib.skeleton import Skeleton
from hemlets_lib.viz import (
    BLUE,
    CHARCOAL,
    GREEN,
    SIDE_COLOURS,
    VERMILLION,
    Numbers,
    as_array,
    draw_image,
    draw_map,
    draw_pose,
    edges_between,
    png_bytes,
    side_of,
    state_colour,
)

if TYPE_CHECKING:
    from plotly.graph_objects import Figure as PlotlyFigure
    from plotly.graph_objects import FigureWidget

__all__ = [
    "compare_pose_figure",
    "draw_pose_3d",
    "legend",
    "motion_plot",
    "overview_figure",
    "plotly_script",
    "pose_3d_figure",
    "pose_plot",
    "pose_widget",
    "show_pose_3d",
    "side_view_png",
]

# Line colours and styles of several poses in one space: matplotlib's dashes, and plotly's.
POSE_STYLES = (
    (CHARCOAL, "-", "solid"),
    (VERMILLION, "--", "dash"),
    (BLUE, ":", "dot"),
    (GREEN, "-.", "dashdot"),
)


_LEAST_REACH_MM = 1.0  # of all joints in one place
_GRID_CELLS = 4  # along an axis of a static picture, at most
_SIZE = 1.55  # of the space in plotly's units: its labels just fit around it
_DEEPEST = 0.5  # a pose deeper than it is wide and high is shown smaller, by this share


def _extent(poses: Mapping[str, np.ndarray], shown: np.ndarray) -> tuple[np.ndarray, float]:
    points = np.concatenate([pose[shown] for pose in poses.values()])
    points = points[np.isfinite(points).all(-1)]
    low, high = points.min(0), points.max(0)
    return (low + high) / 2, float((high - low).max()) / 2 * 1.08


def _box(poses: Mapping[str, np.ndarray], shown: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The middle of what plotly shows, and how far that reaches: as far up as to the right."""
    points = np.concatenate([pose[shown] for pose in poses.values()])
    points = points[np.isfinite(points).all(-1)]
    half = (points.max(0) - points.min(0)) / 2 * 1.08
    across = max(half[0], half[2], _LEAST_REACH_MM)
    return (points.max(0) + points.min(0)) / 2, np.array([across, max(half[1], across / 3), across])


def _plot_space(poses: Mapping[str, Numbers]) -> dict[str, np.ndarray]:
    """Camera space (right, down, away) to what 3D plots expect: (right, away, up)."""
    return {name: as_array(pose)[:, [0, 2, 1]] * (1, 1, -1) for name, pose in poses.items()}


def _shown(poses: Mapping[str, Numbers], skeleton: Skeleton, valid: Numbers | None) -> np.ndarray:
    if not 1 <= len(poses) <= len(POSE_STYLES):
        raise ValueError(f"`poses` must hold one to {len(POSE_STYLES)} poses, got {len(poses)}")
    for name, pose in poses.items():
        skeleton.check_joints(torch.as_tensor(pose), f"poses[{name!r}]")
    return np.ones(skeleton.num_joints, bool) if valid is None else as_array(valid).astype(bool)


def draw_pose_3d(
    axes: Any,
    poses: Mapping[str, Numbers],
    skeleton: Skeleton,
    *,
    valid: Numbers | None = None,
    elevation: float = 0,
    azimuth: float = -90,
    scale_note: bool = True,
) -> None:
    """Poses on matplotlib's 3D axes, without perspective; -90° of azimuth is the camera's own view.

    Args:
        axes: Made with `projection="3d"`.
        poses: Name → (J, 3) in camera axes, millimetres.
        skeleton: Supplies bones. A single pose is coloured by side, several each in their own colour.
        valid: Joints to draw.
        elevation, azimuth: Where to look from, degrees.
        scale_note: Say below how far the grid's lines are apart.
    """
    shown, placed = _shown(poses, skeleton, valid), _plot_space(poses)
    centre, reach = _extent(placed, shown)
    for pose, (colour, style, _) in zip(placed.values(), POSE_STYLES, strict=False):
        for parent, child in edges_between(skeleton, shown):
            tint = SIDE_COLOURS[side_of(skeleton.joint_names[child])] if len(placed) == 1 else colour
            axes.plot(*pose[[parent, child]].T, style, color=tint, lw=2)
    for limit, middle in zip((axes.set_xlim, axes.set_ylim, axes.set_zlim), centre, strict=True):
        limit(middle - reach, middle + reach)
    axes.set_box_aspect((1, 1, 1), zoom=1.25)
    axes.view_init(elevation, azimuth)
    axes.set_proj_type("ortho")
    low, high = axes.get_zlim()
    step_mm = np.diff(mpl.ticker.MaxNLocator(_GRID_CELLS).tick_values(low, high))[0]
    for axis in (axes.xaxis, axes.yaxis, axes.zaxis):
        axis.set_major_locator(mpl.ticker.MultipleLocator(step_mm))
        axis.set_major_formatter(mpl.ticker.NullFormatter())
    if scale_note:
        axes.text2D(0.5, -0.01, f"grid: {step_mm:.0f} mm", transform=axes.transAxes, ha="center", fontsize=7)


def pose_3d_figure(
    poses: Mapping[str, Numbers], skeleton: Skeleton, *, valid: Numbers | None = None
) -> Figure:
    """Poses as the camera sees them, from the side and from above: a static picture.

    Args:
        poses: Name → (J, 3) in camera axes, millimetres.
        skeleton: Supplies bones.
        valid: Joints to draw.
    """
    views = (
        ("as the camera sees it", 0, -90),
        ("from the side; camera at the left →", 0, 0),
        ("from above; camera at the bottom ↑", 90, -90),
    )
    figure = Figure(figsize=(3.1 * len(views), 3.3), layout="constrained")
    for column, (title, elevation, azimuth) in enumerate(views, start=1):
        axes = figure.add_subplot(1, len(views), column, projection="3d")
        draw_pose_3d(axes, poses, skeleton, valid=valid, elevation=elevation, azimuth=azimuth)
        axes.set_title(title, fontsize=9)
    if len(poses) > 1:
        legend(figure, poses)
    return figure


def side_view_png(poses: Mapping[str, Numbers], skeleton: Skeleton, *, valid: Numbers | None = None) -> bytes:
    """Poses from the side without axes, on a transparent ground, as a PNG file's bytes.

    Args:
        poses: Name → (J, 3) in camera axes, millimetres.
        skeleton: Supplies bones.
        valid: Joints to draw.
    """
    figure = Figure(figsize=(4, 4))
    axes = figure.add_axes((0, 0, 1, 1), projection="3d")
    draw_pose_3d(axes, poses, skeleton, valid=valid, azimuth=0, scale_note=False)
    axes.set_axis_off()
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100, transparent=True, metadata={"Software": None})
    return buffer.getvalue()


def legend(figure: Figure, poses: Iterable[str]) -> None:
    """What the lines of several poses stand for, below all panels; without names, a single pose's sides."""
    looks = [(name, colour, style) for name, (colour, style, _) in zip(poses, POSE_STYLES, strict=False)]
    looks = looks or [(side, colour, "-") for side, colour in SIDE_COLOURS.items()]
    handles = [mpl.lines.Line2D([], [], color=colour, ls=style, label=name) for name, colour, style in looks]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(looks), frameon=False, fontsize=9)


def compare_pose_figure(
    pictures: Mapping[str, tuple[Numbers, Float[Tensor, "J C"]]],
    poses: Mapping[str, Numbers],
    skeleton: Skeleton,
    *,
    valid: Numbers | None = None,
) -> Figure:
    """Pictures with joints drawn on, and poses in one space from the side, where depth shows.

    Args:
        pictures: Title → a crop and the joints to draw on it, in crop space.
        poses: Name → (J, 3) in camera axes, millimetres.
        skeleton: Supplies bones.
        valid: Joints to draw in space; in the pictures all that are finite.
    """
    figure = Figure(figsize=(2.75 * (len(pictures) + 1), 3.2), layout="constrained")
    for column, (title, (image, joints)) in enumerate(pictures.items(), start=1):
        axes = figure.add_subplot(1, len(pictures) + 1, column)
        draw_image(axes, image, title=title)
        draw_pose(axes, crop_to_px(joints[:, :2], image.shape[0]), skeleton)
    space = figure.add_subplot(1, len(pictures) + 1, len(pictures) + 1, projection="3d")
    draw_pose_3d(space, poses, skeleton, valid=valid, azimuth=0)
    space.set_title("from the side; camera at the left →", fontsize=9)
    legend(figure, poses if len(poses) > 1 else ())
    return figure


def overview_figure(
    image: Numbers,
    joints_crop: Float[Tensor, "J C"],
    triplets: Float[Tensor, "K S H W"],
    pose: Numbers,
    skeleton: Skeleton,
    *,
    valid_2d: Numbers,
    valid_3d: Numbers,
) -> Figure:
    """Picture, 2D joints, all triplets in one, and the pose from the side: the paper's Fig. 1 at a glance.

    Args:
        image: The crop.
        joints_crop: Its joints in crop space.
        triplets: Its parts' maps; the highest of all parts is drawn, a colour per map.
        pose: (J, 3) in camera axes, millimetres.
        skeleton: Supplies bones.
        valid_2d, valid_3d: Joints to draw in the picture and in space.
    """
    figure = Figure(figsize=(11.6, 3.25), layout="constrained")
    picture, joints, maps = (figure.add_subplot(1, 4, column) for column in (1, 2, 3))
    draw_image(picture, image, title="(a) the picture")
    draw_image(joints, image, title="(b) where the joints are")
    draw_pose(joints, crop_to_px(joints_crop[:, :2], image.shape[0]), skeleton, valid=as_array(valid_2d))
    draw_image(maps, image, title="(c) the heatmap triplets", grey=True)
    count = triplets.shape[1]
    for index in sorted(range(count), key=lambda i: abs(i - count // 2)):  # the middle map first, below
        draw_map(maps, triplets[:, index].amax(0), image.shape[0], colour=state_colour(index - count // 2))
    space = figure.add_subplot(1, 4, 4, projection="3d")
    draw_pose_3d(space, {"pose": pose}, skeleton, valid=valid_3d, elevation=10, azimuth=-40)
    space.set_title("(d) the pose, from another side", fontsize=9)
    return figure


def pose_plot(
    poses: Mapping[str, Numbers], skeleton: Skeleton, *, valid: Numbers | None = None
) -> PlotlyFigure:
    """Poses as a plotly figure to turn with the mouse; hovering names the joint.

    Args:
        poses: Name → (J, 3) in camera axes, millimetres.
        skeleton: Supplies bones.
        valid: Joints to draw.
    """
    import plotly.graph_objects as go

    shown, placed = _shown(poses, skeleton, valid), _plot_space(poses)
    centre, reach = _box(placed, shown)
    traces = []
    for (name, pose), (colour, _, dash) in zip(placed.items(), POSE_STYLES, strict=False):
        sides = SIDE_COLOURS if len(placed) == 1 else {"": colour}
        for side, tint in sides.items():
            path = _pen_path(skeleton, shown, side)
            labels = [joint.replace("_", " ") for joint in skeleton.joint_names]
            names = ["" if j is None else labels[j] for j in path]
            traces.append(
                go.Scatter3d(
                    **_along(path, pose), mode="lines+markers", name=f"{name} {side}".strip(), text=names,
                    hovertemplate="%{text}: right %{x:.0f}, away %{y:.0f}, up %{z:.0f} mm<extra></extra>",
                    line={"color": tint, "width": 6, "dash": dash}, marker={"size": 3, "color": tint},
                )
            )  # fmt: skip
    return go.Figure(data=traces, layout=_space_layout(centre, reach))


def motion_plot(frames_mm: Mapping[str, Numbers], skeleton: Skeleton) -> PlotlyFigure:
    """One person's poses over time as a plotly figure with a frame for each; space stays as it is.

    Args:
        frames_mm: Frame's name → (J, 3) in camera axes, millimetres; all NaN where nobody is there.
        skeleton: Supplies bones.

    Raises:
        ValueError: If there are no frames, or nobody is in any.
    """
    import plotly.graph_objects as go

    there = {frame: pose for frame, pose in frames_mm.items() if np.isfinite(as_array(pose)).all()}
    if not there:
        raise ValueError(f"`frames_mm` must hold a pose in one frame at least, got {len(frames_mm)} frames.")
    first = next(iter(there.values()))
    figure = pose_plot({"": first}, skeleton)
    figure.update_layout(_space_layout(*_box(_plot_space(there), np.ones(skeleton.num_joints, bool))))
    paths = [_pen_path(skeleton, np.ones(skeleton.num_joints, bool), side) for side in SIDE_COLOURS]
    placed = {frame: pose.round(1) for frame, pose in _plot_space(frames_mm).items()}  # for smaller pages
    figure.frames = [
        go.Frame(
            name=frame,
            data=[go.Scatter3d(**_along(path if frame in there else [], pose)) for path in paths],
        )
        for frame, pose in placed.items()
    ]
    return figure


def _pen_path(skeleton: Skeleton, shown: np.ndarray, side: str) -> list[int | None]:
    """The joints along all bones of a side (of all, where it is empty); None lifts the pen."""
    path: list[int | None] = []
    for parent, child in edges_between(skeleton, shown):
        if not side or side_of(skeleton.joint_names[child]) == side:
            path += [parent, child, None]
    return path


def _along(path: list[int | None], pose: np.ndarray) -> dict[str, list[float | None]]:
    """Where a pen goes."""
    return {
        letter: [None if j is None else float(pose[j, axis]) for j in path]
        for axis, letter in enumerate("xyz")
    }


def _space_layout(centre: np.ndarray, reach: np.ndarray) -> dict[str, Any]:
    axis: dict[str, Any] = {"gridcolor": "#cccccc", "zerolinecolor": "#cccccc", "nticks": 5}
    axis |= {"showbackground": False, "showspikes": False}
    titles = ("right (mm)", "away (mm)", "up (mm)")
    scene = {
        f"{letter}axis": {**axis, "range": [middle - half, middle + half], "title": {"text": title}}
        for letter, middle, half, title in zip("xyz", centre.tolist(), reach.tolist(), titles, strict=True)
    }
    lengths = _SIZE * reach / max(reach[0], _DEEPEST * reach[1])
    ratio = dict(zip("xyz", lengths.tolist(), strict=True))
    view: dict[str, Any] = {"eye": {"x": 0.45, "y": -2.1, "z": 0.42}, "center": {"x": 0, "y": 0, "z": -0.05}}
    view["projection"] = {"type": "orthographic"}  # a deep pose does not come too near
    return {
        "scene": {**scene, "aspectmode": "manual", "aspectratio": ratio, "camera": view},
        "width": 860, "height": 460, "margin": {"l": 0, "r": 0, "t": 30, "b": 0}, "template": "plotly_white",
        "legend": {"orientation": "h", "y": 1, "yanchor": "bottom"},
    }  # fmt: skip


def pose_widget(
    poses: Mapping[str, Numbers], skeleton: Skeleton, *, valid: Numbers | None = None
) -> FigureWidget:
    """`pose_plot` as a widget, for notebooks with a kernel. Arguments as in `pose_plot`."""
    import plotly.graph_objects as go

    return go.FigureWidget(pose_plot(poses, skeleton, valid=valid))


def plotly_script() -> str:
    """The JavaScript that draws plotly's figures, for pages that open without a network; 5 MB."""
    from plotly.offline import get_plotlyjs

    return get_plotlyjs()


def show_pose_3d(
    poses: Mapping[str, Numbers], skeleton: Skeleton, *, alt: str, valid: Numbers | None = None
) -> None:
    """Display poses to turn around in JupyterLab; without a kernel, the static picture shows instead.

    Args:
        poses: Name → (J, 3) in camera axes, millimetres.
        skeleton: Supplies bones.
        alt: What there is to see.
        valid: Joints to draw.
    """
    from IPython.display import display

    figure = pose_3d_figure(poses, skeleton, valid=valid)
    bundle = pose_widget(poses, skeleton, valid=valid)._repr_mimebundle_()
    data = bundle[0] if isinstance(bundle, tuple) else bundle
    data = {**data, "image/png": png_bytes(figure), "text/plain": alt}
    display(data, metadata={"image/png": {"alt": alt}}, raw=True)
