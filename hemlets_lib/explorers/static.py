"""An explorer without a kernel: a picture of a scene, drawn by matplotlib, and its numbers in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure

from hemlets_lib.explorers.scene import (
    GREY_LEVELS,
    Bars,
    Explorer,
    Isosurface,
    Lines,
    Map,
    Panel,
    Picture,
    Points,
    Scene,
)
from hemlets_lib.viz import png_bytes

__all__ = ["static_figure", "static_picture", "static_text"]

_INCHES = 10.5  # of a figure's width
_PX_AN_INCH = 95
_CELLS_POINTS = 90  # points of print that a volume's cells share, from side to side
_DASHES = {"solid": "-", "dash": "--", "dot": ":"}
_SYMBOLS = {
    "circle": "o", "square": "s", "diamond": "D", "triangle-up": "^", "triangle-down": "v",
    "cross": "P", "x": "X", "square-open": "s",
}  # fmt: skip


def static_text(explorer: Explorer, scene: Scene) -> str:
    """Title, description and numbers as plain text."""
    return "\n".join([explorer.title, scene.alt, *(f"{name}: {value}" for name, value in scene.readout)])


def static_picture(explorer: Explorer, scene: Scene) -> bytes:
    """A PNG file's bytes of `static_figure`."""
    return png_bytes(static_figure(explorer, scene))


def static_figure(explorer: Explorer, scene: Scene) -> Figure:
    """The scene's panels in their rows, and below them what the controls' numbers are.

    Args:
        explorer: Supplies the rows' heights.
        scene: What to draw.
    """
    heights = [height / _PX_AN_INCH for height in explorer.row_heights]
    words = 0.17 * ((len(scene.readout) + 1) // 2) + 0.1  # inches below, two columns of numbers
    figure = Figure(figsize=(_INCHES, sum(heights) + words), layout="constrained")
    *rows, below = figure.subfigures(len(scene.rows) + 1, 1, height_ratios=[*heights, words], squeeze=False)[
        :, 0
    ]
    for part, row in zip(rows, scene.rows, strict=True):
        grid = part.add_gridspec(1, len(row), width_ratios=[panel.weight for panel in row])
        for column, panel in enumerate(row):
            axes = part.add_subplot(grid[0, column], projection="3d" if panel.z else None)
            _draw_panel(axes, panel)
    half = (len(scene.readout) + 1) // 2
    for column, entries in enumerate((scene.readout[:half], scene.readout[half:])):
        text = "\n".join(f"{name}: {value}" for name, value in entries)
        below.text(0.03 + 0.5 * column, 0.95, text, ha="left", va="top", fontsize=8)
    names = {mark.name: mark for _, mark in scene.marks if isinstance(mark, Lines | Points) and mark.name}
    if names:
        _legend(rows[0], list(names.values()))
    return figure


def _legend(part: Any, marks: Sequence[Lines | Points]) -> None:
    from matplotlib.lines import Line2D

    handles = []
    for mark in marks:
        if isinstance(mark, Lines):
            handles.append(Line2D([], [], color=mark.colour, ls=_DASHES[mark.dash], label=mark.name))
        else:
            symbol = mark.symbols if isinstance(mark.symbols, str) else mark.symbols[0]
            colour = mark.colours if isinstance(mark.colours, str) else mark.colours[0]
            handles.append(Line2D([], [], color=colour, ls="", marker=_SYMBOLS[symbol], label=mark.name))
    part.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False, fontsize=8)


def _draw_panel(axes: Any, panel: Panel) -> None:
    axes.set_title(panel.title, fontsize=9)
    for mark in panel.marks:
        _draw(axes, mark)
    axes.set(xlim=panel.x, ylim=panel.y)
    if panel.z is not None:
        axes.set_zlim(panel.z)
        lengths = [high - low for low, high in (panel.x, panel.y, panel.z)]
        axes.set_box_aspect(lengths, zoom=1.15)
        axes.view_init(14, -65)
        axes.set_proj_type("ortho")
        axes.tick_params(labelsize=6, pad=-2)
        axes.locator_params(nbins=4)
        for letter, label in zip("xyz", panel.labels, strict=True):
            getattr(axes, f"set_{letter}label")(label, fontsize=7, labelpad=-6)
        return
    if panel.square:
        axes.set_aspect("equal", adjustable="box")
    if panel.labels:
        axes.set_xlabel(panel.labels[0], fontsize=8)
        axes.set_ylabel(panel.labels[1], fontsize=8)
        axes.tick_params(labelsize=7)
    else:
        axes.set_yticks([])
        axes.set_xticks([])
    if panel.ticks:
        axes.set_xticks(list(panel.ticks), list(panel.ticks.values()), fontsize=7)


def _draw(axes: Any, mark: Any) -> None:
    match mark:
        case Picture(pixels):
            (left, top), (height, width) = mark.corner, pixels.shape[:2]
            axes.imshow(pixels, extent=(left - 0.5, left + width - 0.5, top + height - 0.5, top - 0.5))
        case Map():
            colours = LinearSegmentedColormap.from_list("", [(*to_rgb(mark.colour), a) for a in (0.0, 0.95)])
            edge = (-0.5, mark.side - 0.5, mark.side - 0.5, -0.5)
            axes.imshow(
                mark.levels, cmap=colours, vmin=0, vmax=GREY_LEVELS, extent=edge, interpolation="bilinear"
            )
        case Bars():
            draw = axes.barh if mark.across else axes.bar
            draw(list(mark.places), list(mark.heights), color=mark.colours)
        case Lines():
            points = np.asarray(mark.points, dtype=float)
            line = {"color": mark.colour, "lw": mark.width * 0.6, "ls": _DASHES[mark.dash]}
            if mark.fill:
                axes.fill(*points.T, color=mark.colour, alpha=0.15, lw=0)
            axes.plot(*points.T, **line)
        case Points():
            _draw_points(axes, mark)
        case Isosurface():
            _draw_cells(axes, mark)


def _draw_points(axes: Any, mark: Points) -> None:
    points = np.asarray(mark.points, dtype=float)
    colours = [mark.colours] * len(points) if isinstance(mark.colours, str) else list(mark.colours)
    symbols = [mark.symbols] * len(points) if isinstance(mark.symbols, str) else list(mark.symbols)
    for number, (point, colour, symbol) in enumerate(zip(points, colours, symbols, strict=True)):
        if not np.isfinite(point).all():
            continue
        if mark.markers:
            looks = {"s": (0.75 * mark.size) ** 2, "color": colour, "edgecolors": "white", "linewidths": 0.5}
            if symbol == "square-open":
                looks |= {"color": "none", "edgecolors": colour, "linewidths": 2}
            axes.scatter(*([value] for value in point), marker=_SYMBOLS[symbol], zorder=3, **looks)
        if len(mark.texts):
            shift = "  " if mark.markers else ""
            align = "left" if mark.markers else "center"
            text = shift + mark.texts[number]
            axes.text(*point, text, fontsize=7, ha=align, va="center", color=colour, clip_on=True)


def _draw_cells(axes: Any, mark: Isosurface) -> None:
    """The cells above the level as points: matplotlib has no surface of a volume."""
    above = np.argwhere(mark.levels >= mark.level * GREY_LEVELS)
    depth, height, width = mark.levels.shape
    low, high = np.array(mark.low), np.array(mark.high)
    share = np.stack(
        [(above[:, 2] + 0.5) / width, (above[:, 0] + 0.5) / depth, 1 - (above[:, 1] + 0.5) / height], axis=1
    )
    axes.scatter(
        *(low + share * (high - low)).T,
        s=(_CELLS_POINTS / width) ** 2,
        color=mark.colour,
        alpha=0.5,
        linewidths=0,
    )
