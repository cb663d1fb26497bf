"""Pictures of predictions: poses over whole photographs, and labelled poses beside predicted ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import UInt8
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from hemlets_lib.data.images import crop_image
from hemlets_lib.geometry import crop_affine, crop_to_px
from hemlets_lib.hard_poses import HardPose
from hemlets_lib.people import FoundPeople
from hemlets_lib.skeleton import Skeleton
from hemlets_lib.triplets import UNKNOWN
from hemlets_lib.viz import ORANGE, draw_image, draw_pose, state_colour, triplets_at_a_glance
from hemlets_lib.viz_3d import draw_pose_3d, legend

__all__ = [
    "TripletsSheet",
    "figure_pixels",
    "hard_poses_figure",
    "overlay_figure",
    "person_crop",
    "triplets_figure",
    "triplets_sheet",
]

_DPI = 100
_SHORTEST_PX, _LONGEST_PX = 480, 1280  # of an overlay's longer side
_PERSON_PX_PER_POINT = 160.0  # a person this tall gets lines 1 point wide
_CROP_PX = 256  # the paper's input size
_PANEL_PX, _PANEL_COLUMNS = 192, 7  # of a sheet of triplets
_STRONGEST = 0.9  # opacity of a map where it is highest
_FALLOFF = 0.75  # below 1: flanks show, too


def overlay_figure(found: FoundPeople, skeleton: Skeleton, *, longest_px: int = _LONGEST_PX) -> Figure:
    """A whole picture with everybody's pose; people in boxes are numbered as in `found`.

    Args:
        found: From `people.predict_people`.
        skeleton: The network's.
        longest_px: The longer side of the figure, at most; small pictures are enlarged.
    """
    height, width = found.image.shape[:2]
    scale = min(max(_SHORTEST_PX / max(height, width), 1), longest_px / max(height, width))
    across, down = max(width * scale, 1), max(height * scale, 1)  # a strip shrinks to a pixel, not to none
    figure = Figure(figsize=(across / _DPI, down / _DPI), dpi=_DPI)
    axes = figure.add_axes((0, 0, 1, 1))
    draw_image(axes, _shrunk(found.image, scale))
    axes.images[0].set_extent((-0.5, width - 0.5, height - 0.5, -0.5))  # its own pixels, however it is shown
    axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5), aspect="auto")
    axes.set_axis_off()
    poses = () if found.prediction is None else tuple(found.prediction.joints_px)
    for number, (box, joints) in enumerate(zip(found.boxes, poses, strict=True), start=1):
        lines = min(max(box.height * scale / _PERSON_PX_PER_POINT, 1.0), 4.0)
        if found.origin != "whole picture":
            _draw_box(axes, (box.x, box.y, box.width, box.height), str(number))
        draw_pose(axes, joints, skeleton, line_width=lines)
    return figure


def _shrunk(image: UInt8[np.ndarray, "H W 3"], scale: float) -> UInt8[np.ndarray, "h w 3"]:
    """The picture for a figure that is smaller; matplotlib would convert all of it to floats first."""
    if scale >= 1:
        return image
    from PIL import Image

    size = [max(1, round(side * scale)) for side in (image.shape[1], image.shape[0])]
    return np.asarray(Image.fromarray(image).resize((size[0], size[1]), Image.Resampling.BOX))


def _draw_box(axes: Axes, box: tuple[float, float, float, float], label: str) -> None:
    x, y, width, height = box
    corner = (x - 0.5, y - 0.5)
    for colour, line_width in (("white", 3.0), (ORANGE, 1.5)):
        axes.add_patch(Rectangle(corner, width, height, fill=False, ec=colour, lw=line_width))
    axes.annotate(
        label, corner, xytext=(2, -2), textcoords="offset points", va="top", fontsize=10, weight="bold",
        bbox={"fc": ORANGE, "ec": "white", "pad": 1.5}, annotation_clip=False,
    )  # fmt: skip


def figure_pixels(figure: Figure) -> UInt8[np.ndarray, "H W 3"]:
    """A figure as it would be saved, to its edges."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def person_crop(found: FoundPeople, row: int, size: int = _CROP_PX) -> UInt8[np.ndarray, "size size 3"]:
    """What the network was shown of one person, in as many pixels as wanted.

    Args:
        found: From `people.predict_people`.
        row: Which person, from 0.
        size: Side of the crop, pixels.
    """
    x, y, side = found.squares[row]
    centre, side_px = torch.tensor([x, y], dtype=torch.float64), torch.tensor(side, dtype=torch.float64)
    return crop_image(found.image, crop_affine(centre, side_px, size).numpy(), size)


def triplets_figure(found: FoundPeople, row: int, skeleton: Skeleton) -> Figure | None:
    """One person's heatmap triplets over what the network was shown; None without an intermediate branch.

    Args:
        found: From `people.predict_people`.
        row: Which person, from 0.
        skeleton: The network's.
    """
    prediction = found.prediction
    if prediction is None or prediction.triplets is None or prediction.decoded is None:
        return None
    return triplets_at_a_glance(
        person_crop(found, row), prediction.triplets[row], skeleton, states=prediction.decoded.states[row]
    )


class TripletsSheet(NamedTuple):
    """Panels of one person's triplets side by side, without titles, to be shown one by one.

    Args:
        pixels: All panels, square, row upon row.
        columns: Panels in a row.
        peaks: Each part's highest value in any of its maps.
        states: Read off each part's maps.
    """

    pixels: UInt8[np.ndarray, "H W 3"]
    columns: int
    peaks: tuple[float, ...]
    states: tuple[int, ...]


def triplets_sheet(found: FoundPeople, row: int) -> TripletsSheet | None:
    """One person's heatmap triplets over what the network was shown; None without an intermediate branch.

    Each panel's strongest place is opaque, however high it is, unless no state could be read there.

    Args:
        found: From `people.predict_people`.
        row: Which person, from 0.
    """
    prediction = found.prediction
    if prediction is None or prediction.triplets is None or prediction.decoded is None:
        return None
    grey = 0.6 + 0.4 * person_crop(found, row, _PANEL_PX).mean(-1, keepdims=True) / 255  # (H, W, 1)
    triplets, states = prediction.triplets[row].float().cpu(), prediction.decoded.states[row].tolist()
    large = torch.nn.functional.interpolate(triplets, size=(_PANEL_PX, _PANEL_PX), mode="bilinear")
    large = large.clamp(min=0)  # (K, S, H, W)
    count, peaks = triplets.shape[1], tuple(triplets.amax((1, 2, 3)).tolist())
    lines = -(-len(states) // _PANEL_COLUMNS)
    sheet = np.ones((lines, _PANEL_PX, _PANEL_COLUMNS, _PANEL_PX, 3))
    for part, (state, peak) in enumerate(zip(states, peaks, strict=True)):
        panel = np.repeat(grey, 3, -1)
        for index in sorted(range(count), key=lambda i: abs(i - count // 2)):  # the middle map below
            share = (large[part, index] / (1.0 if state == UNKNOWN else max(peak, 1e-6))).clamp(max=1)
            opacity = _STRONGEST * share.numpy()[..., None] ** _FALLOFF
            panel = (1 - opacity) * panel + opacity * np.array(to_rgb(state_colour(index - count // 2)))
        sheet[part // _PANEL_COLUMNS, :, part % _PANEL_COLUMNS] = panel
    pixels = sheet.reshape(lines * _PANEL_PX, _PANEL_COLUMNS * _PANEL_PX, 3)
    return TripletsSheet((255 * pixels).round().astype(np.uint8), _PANEL_COLUMNS, peaks, tuple(states))


def hard_poses_figure(poses: Sequence[HardPose], skeleton: Skeleton, *, columns: int = 3) -> Figure:
    """Poses in rows, each as a pair: its picture with the predicted joints, and from the side in space.

    Args:
        poses: In the order of the figure.
        skeleton: Supplies bones.
        columns: Pairs in a row.
    """
    rows = -(-len(poses) // columns)
    figure = Figure(figsize=(3.9 * columns, 2.15 * rows + 0.3), layout="constrained")
    for number, pose in enumerate(poses):
        at = 2 * number + 1
        flat = figure.add_subplot(rows, 2 * columns, at)
        draw_image(flat, pose.image, title=pose.name)
        draw_pose(flat, crop_to_px(pose.joints_crop[:, :2], pose.image.shape[0]), skeleton, line_width=1.4)
        space = figure.add_subplot(rows, 2 * columns, at + 1, projection="3d")
        in_space = {} if pose.true_mm is None else {"true": pose.true_mm}
        known = None if pose.true_mm is None else pose.true_mm.isfinite().all(-1)
        draw_pose_3d(space, in_space | {"predicted": pose.joints_mm}, skeleton, valid=known)
        error = "no 3D labels" if pose.error_mm is None else f"{pose.error_mm:.0f} mm"
        space.set_title(f"from the side, {error}", fontsize=9)
    labelled = any(pose.true_mm is not None for pose in poses)
    legend(figure, ("true", "predicted") if labelled else ())
    return figure
