"""Names beside the points of a picture, where they neither hide the picture nor each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke

__all__ = ["name_points", "spread"]

_INK = "#222222"
_BESIDE, _NAME, _GAP = 0.06, 0.2, 0.045  # shares of a picture's width: distance, a name's length, step down


def name_points(axes: Axes, points: Float[np.ndarray, "N 2"], names: Sequence[str]) -> None:
    """Names in a column to each side of all points, none on another, with a line from each to its point.

    Args:
        axes: A picture's, drawn already: its width is the measure.
        points: Where they are, (x, y).
        names: What they are called.
    """
    left_edge, right_edge = axes.get_xlim()
    width = right_edge - left_edge
    by_x = np.argsort(points[:, 0], kind="stable")
    columns = (
        (
            by_x[: len(by_x) // 2],
            "right",
            max(points[:, 0].min() - _BESIDE * width, left_edge + _NAME * width),
        ),
        (
            by_x[len(by_x) // 2 :],
            "left",
            min(points[:, 0].max() + _BESIDE * width, right_edge - _NAME * width),
        ),
    )
    line = {"arrowstyle": "-", "lw": 0.7, "color": _INK, "shrinkB": 3}
    line |= {"path_effects": [withStroke(linewidth=1.8, foreground="white")]}
    for members, align, x in columns:
        members = members[np.argsort(points[members, 1], kind="stable")]
        for member, y in zip(members, spread(points[members, 1], _GAP * width), strict=True):
            axes.annotate(
                names[member], points[member], xytext=(x, y), ha=align, va="center", fontsize=6,
                arrowprops=line, bbox={"fc": "white", "ec": "none", "alpha": 0.85, "pad": 0.5},
            )  # fmt: skip


def spread(wanted: Float[np.ndarray, "N"], gap: float) -> Float[np.ndarray, "N"]:
    """The places nearest to some wanted ones that are a gap apart at least (least squares).

    Args:
        wanted: In rising order, which stays.
        gap: Between two.
    """
    steps = gap * np.arange(len(wanted))
    groups: list[tuple[float, int]] = []  # mean and size of places that touch
    for mean in wanted - steps:
        size = 1
        while groups and groups[-1][0] > mean:
            before, count = groups.pop()
            mean, size = (before * count + mean * size) / (count + size), count + size
        groups.append((mean, size))
    return np.repeat([mean for mean, _ in groups], [size for _, size in groups]) + steps
