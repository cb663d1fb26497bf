"""A scene as plotly's traces and layout; the live widget and the offline page share it.

A mark becomes a trace, a picture one of the layout's images, which plotly redraws much faster. `changing` is
what of a mark depends on the state: only that travels when a control moves, to where `targets` says.
"""

from __future__ import annotations

import base64
import functools
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.colors import to_rgb
from PIL import Image

from hemlets_lib.explorers.scene import (
    GREY_LEVELS,
    Bars,
    Explorer,
    Isosurface,
    Lines,
    Map,
    Mark,
    Panel,
    Picture,
    Points,
    Scene,
)

__all__ = ["changing", "figure_of", "targets"]

WIDTH = 940  # of a figure, pixels: fits a notebook's cell in a window of 1280
_GAP = 0.02  # between panels, of the width
_TITLE_PX, _LABELS_PX = 26, 34  # above and below a panel
_LEGEND_PX = 24
_WORDS_IN_SPACE = 16  # plotly draws them smaller there
_SPACE = 1.45  # length of a space's longest axis in plotly's units: its labels just fit, if the panel is
_SPACE_SHAPE = 1.35  # so many times as wide as high at least
_QUANTUM = 3  # decimals of coordinates: a thousandth of a pixel or millimetre


def _numbers(values: np.ndarray) -> list[float | None]:
    """Rounded, with None where plotly lifts its pen: as JSON, a widget's message and a page alike."""
    return [None if not np.isfinite(value) else round(float(value), _QUANTUM) for value in values]


def _coordinates(points: np.ndarray) -> dict[str, list[float | None]]:
    points = np.asarray(points, dtype=float)
    return {
        letter: _numbers(points[:, axis]) for axis, letter in zip(range(points.shape[1]), "xyz", strict=False)
    }


def _listed(values: str | Sequence[str]) -> Any:
    return values if isinstance(values, str) else list(values)


def _bytes(levels: np.ndarray) -> dict[str, str]:
    """An array of bytes in the form that plotly.js reads."""
    return {
        "dtype": "u1",
        "bdata": base64.b64encode(np.ascontiguousarray(levels).tobytes()).decode("ascii"),
        "shape": ", ".join(map(str, levels.shape)),
    }


def _png(pixels: np.ndarray) -> str:
    return _png_of(pixels.tobytes(), pixels.shape[1], pixels.shape[0])


@functools.lru_cache(maxsize=64)  # a picture stays the same while sliders move
def _png_of(pixels: bytes, width: int, height: int) -> str:
    buffer = io.BytesIO()
    Image.frombytes("RGB", (width, height), pixels).save(buffer, format="png")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def changing(mark: Mark) -> dict[str, Any]:
    """What of a mark depends on the state.

    Returns:
        Plain JSON values by plotly's names, dotted where nested.
    """
    match mark:
        case Picture(pixels):
            return {"source": _png(pixels)}
        case Map():
            return {"z": _bytes(mark.levels)}
        case Isosurface():
            return {"value": _bytes(mark.levels.ravel()), "isomin": mark.level * GREY_LEVELS}
        case Bars():
            along, up = ("y", "x") if mark.across else ("x", "y")
            places = mark.places if isinstance(mark.places[0], str) else _numbers(np.asarray(mark.places))
            return {
                along: list(places),
                up: _numbers(np.asarray(mark.heights)),
                "marker.color": _listed(mark.colours),
            }
        case Lines():
            return {**_coordinates(mark.points), "line.color": mark.colour, "line.width": mark.width}
        case Points():
            colours = _listed(mark.colours)
            return {
                **_coordinates(mark.points), "marker.color": colours, "marker.symbol": _listed(mark.symbols),
                "marker.size": mark.size, "text": list(mark.texts), "hovertext": list(mark.hover),
                "textfont.color": colours,
            }  # fmt: skip


def _trace(mark: Map | Lines | Points | Bars | Isosurface, axis: str) -> dict[str, Any]:
    """A mark as one of plotly's traces, without what `changing` gives; `axis` is empty for the first."""
    place = {"xaxis": f"x{axis}", "yaxis": f"y{axis}"}
    in_space = isinstance(mark, Isosurface) or getattr(mark, "points", np.empty((0, 2))).shape[1] == 3
    if in_space:
        place = {"scene": f"scene{axis}"}
    silent: dict[str, Any] = {**place, "showlegend": False, "hoverinfo": "skip"}
    match mark:
        case Map():
            red, green, blue = (round(255 * part) for part in to_rgb(mark.colour))
            clear, full = (f"rgba({red},{green},{blue},{alpha})" for alpha in (0, 0.95))
            height, width = mark.levels.shape
            return {
                "type": "heatmap", **place, "hoverinfo": "skip", "showscale": False,
                "zmin": 0, "zmax": GREY_LEVELS, "colorscale": [[0, clear], [1, full]], "zsmooth": "fast",
                "x0": (mark.side / width - 1) / 2, "dx": mark.side / width,
                "y0": (mark.side / height - 1) / 2, "dy": mark.side / height,
            }  # fmt: skip
        case Isosurface():
            return {
                "type": "isosurface", **silent, **_lattice(mark), "isomax": GREY_LEVELS, "showscale": False,
                "surface": {"count": 1}, "caps": {f"{letter}": {"show": False} for letter in "xyz"},
                "colorscale": [[0, mark.colour], [1, mark.colour]], "opacity": 0.6, "flatshading": False,
            }  # fmt: skip
        case Bars():
            return {"type": "bar", **silent, "orientation": "h" if mark.across else "v"}
        case Lines():
            named = {"name": mark.name, "showlegend": bool(mark.name), "legendgroup": mark.name}
            drawn: dict[str, Any] = {"type": "scatter3d" if in_space else "scatter", "mode": "lines"}
            dash = {"line": {"dash": mark.dash}}
            filled = {"fill": "toself", "fillcolor": _faint(mark.colour)} if mark.fill else {}
            return {**silent, **named, **drawn, **dash, **filled}
        case Points():
            mode = "+".join(["markers"] * mark.markers + ["text"] * bool(len(mark.texts)))
            hover = {"hoverinfo": "text"} if len(mark.hover) else {}
            named = {"name": mark.name, "showlegend": bool(mark.name), "legendgroup": mark.name}
            thick = 3 if mark.symbols == "square-open" else 1
            edge = {"marker": {"line": {"color": "white", "width": thick}}}
            kind = "scatter3d" if in_space else "scatter"
            text: dict[str, Any] = {"textposition": "middle right" if mark.markers else "middle center"}
            if in_space:
                text["textfont"] = {"size": _WORDS_IN_SPACE}
            return {**silent, **named, **hover, **edge, **text, "type": kind, "mode": mode}


def _faint(colour: str) -> str:
    red, green, blue = (round(255 * part) for part in to_rgb(colour))
    return f"rgba({red},{green},{blue},0.15)"


def _lattice(mark: Isosurface) -> dict[str, Any]:
    """The cells' centres along plotly's axes, in the order of the raveled (D, H, W) values."""
    depth, height, width = mark.levels.shape

    def centres(count: int, low: float, high: float) -> np.ndarray:
        return low + (np.arange(count) + 0.5) * (high - low) / count

    y = centres(depth, mark.low[1], mark.high[1])
    z = centres(height, mark.low[2], mark.high[2])[::-1]  # H runs down
    x = centres(width, mark.low[0], mark.high[0])
    grid = np.meshgrid(y, z, x, indexing="ij")
    return dict(zip("yzx", (_numbers(axis.ravel()) for axis in grid), strict=True))


def targets(scene: Scene) -> list[tuple[str, int]]:
    """Where each mark is in a figure.

    Returns:
        `("data", n)` or `("images", n)` for each.
    """
    places, counts = [], {"data": 0, "images": 0}
    for _, mark in scene.marks:
        kind = "images" if isinstance(mark, Picture) else "data"
        places.append((kind, counts[kind]))
        counts[kind] += 1
    return places


def figure_of(explorer: Explorer, scene: Scene) -> dict[str, Any]:
    """A whole figure in the state of a scene.

    Returns:
        Plotly's JSON: `data` and `layout`.
    """
    made: dict[str, list[dict[str, Any]]] = {"data": [], "images": []}
    for (kind, _), (number, mark) in zip(targets(scene), scene.marks, strict=True):
        axis = str(number + 1) if number else ""
        whole = _image(mark, axis) if isinstance(mark, Picture) else _trace(mark, axis)
        for name, value in changing(mark).items():
            *above, last = name.split(".")
            inner = whole
            for step in above:
                inner = inner.setdefault(step, {})
            inner[last] = value
        made[kind].append(whole)
    return {"data": made["data"], "layout": {**_layout(explorer, scene), "images": made["images"]}}


def _image(picture: Picture, axis: str) -> dict[str, Any]:
    """From edge to edge of its pixels, whose centres are on the integers."""
    (height, width), (left, top) = picture.pixels.shape[:2], picture.corner
    return {
        "xref": f"x{axis}", "yref": f"y{axis}", "x": left - 0.5, "y": top - 0.5,
        "sizex": width, "sizey": height, "xanchor": "left", "yanchor": "top", "sizing": "stretch",
        "layer": "below",
    }  # fmt: skip


def _layout(explorer: Explorer, scene: Scene) -> dict[str, Any]:
    """Axes with fixed ends in fixed places: nothing moves but what the marks say."""
    legend = any(getattr(mark, "name", "") for _, mark in scene.marks)
    height = sum(explorer.row_heights) + legend * _LEGEND_PX
    layout: dict[str, Any] = {
        "width": WIDTH, "height": height, "margin": {"l": 4, "r": 4, "t": 0, "b": legend * _LEGEND_PX},
        "template": "plotly_white", "annotations": [], "bargap": 0.25, "uirevision": explorer.name,
        "paper_bgcolor": "white", "plot_bgcolor": "white", "font": {"color": "#222222", "size": 12},
        "legend": {"orientation": "h", "y": 0, "yanchor": "top", "x": 0.5, "xanchor": "center"},
        "hovermode": "closest", "dragmode": False,
    }  # fmt: skip
    number, top = 0, 0.0
    pixels = float(sum(explorer.row_heights))
    for row, row_height in zip(scene.rows, explorer.row_heights, strict=True):
        unit = (1 - _GAP * (len(row) - 1)) / sum(panel.weight for panel in row)
        left = 0.0
        for panel in row:
            right = left + unit * panel.weight
            lift = 0 if panel.z else _LABELS_PX * bool(panel.labels or panel.ticks)
            indent = 48 / WIDTH if panel.labels and not panel.z else 0
            domain = {
                "x": [left + indent, min(right, 1)],
                "y": [1 - (top + row_height - 4 - lift) / pixels, 1 - (top + _TITLE_PX) / pixels],
            }
            shape = (right - left) * WIDTH / (row_height - _TITLE_PX)
            _place(layout, panel, str(number + 1) if number else "", domain, shape)
            layout["annotations"].append(
                {
                    "text": panel.title + panel.hint,
                    "x": (domain["x"][0] + right) / 2,
                    "y": domain["y"][1],
                    "xref": "paper",
                    "yref": "paper",
                    "showarrow": False,
                    "xanchor": "center",
                    "yanchor": "bottom",
                    "font": {"size": 13},
                }
            )
            number, left = number + 1, right + _GAP
        top += row_height
    return layout


def _place(layout: dict[str, Any], panel: Panel, axis: str, domain: dict[str, Any], shape: float) -> None:
    """One panel's axes; `shape` is its width over its height."""
    if panel.z is not None:
        ends = {"x": panel.x, "y": panel.y, "z": panel.z}
        lengths = np.array([high - low for low, high in ends.values()])
        size = _SPACE * min(1, shape / _SPACE_SHAPE)
        scene: dict[str, Any] = {
            "domain": domain, "dragmode": "orbit", "aspectmode": "manual",
            "aspectratio": dict(zip("xyz", (size * lengths / lengths.max()).tolist(), strict=True)),
            "camera": {
                "eye": {"x": 0.9, "y": -1.9, "z": 0.55}, "center": {"x": 0, "y": 0, "z": -0.05},
                "projection": {"type": "orthographic"},
            },
        }  # fmt: skip
        for (letter, between), label in zip(ends.items(), panel.labels, strict=True):
            scene[f"{letter}axis"] = {
                "range": list(between), "title": {"text": label}, "nticks": 5, "showspikes": False,
                "gridcolor": "#cccccc", "zerolinecolor": "#cccccc", "showbackground": False,
            }  # fmt: skip
        layout[f"scene{axis}"] = scene
        return
    bare = not panel.labels
    common = {
        "showgrid": not bare,
        "zeroline": False,
        "fixedrange": True,
        "gridcolor": "#e3e3e3",
        "ticks": "",
    }
    texts = panel.labels or ("", "")
    x: dict[str, Any] = {"domain": domain["x"], "range": list(panel.x), "anchor": f"y{axis}", **common}
    y: dict[str, Any] = {"domain": domain["y"], "range": list(panel.y), "anchor": f"x{axis}", **common}
    x |= {"title": {"text": texts[0], "standoff": 4}, "showticklabels": bool(panel.ticks) or not bare}
    y |= {"title": {"text": texts[1], "standoff": 4}, "showticklabels": not bare}
    if panel.ticks:
        x |= {
            "tickvals": list(panel.ticks),
            "ticktext": [text.replace("\n", "<br>") for text in panel.ticks.values()],
            "tickangle": 0,
            "tickfont": {"size": 10},
        }
    if panel.square:
        y |= {"scaleanchor": f"x{axis}", "constrain": "domain"}
        x |= {"constrain": "domain"}
    layout[f"xaxis{axis}"], layout[f"yaxis{axis}"] = x, y
