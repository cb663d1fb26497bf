"""Pictures of a scorecard: what is filled, which orders agree, how far equal runs part, where time goes.

No picture puts a stand-in's millimetres beside the paper's: only orders are drawn side by side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogFormatterSciNotation

from hemlets_lib.experiments.orderings import Ordering
from hemlets_lib.experiments.scorecard import ScoreRow
from hemlets_lib.paper import TABLES
from hemlets_lib.viz import BLUE, CHARCOAL, GREEN, ORANGE, PURPLE, SKY

__all__ = ["coverage_figure", "determinism_figure", "orderings_figure", "step_figure"]

# Status → colour, hatching.
_STATUSES = {
    "measured": (GREEN, ""),
    "stand-in": (SKY, "//"),
    "not run": ("#ffffff", ""),
    "not measurable here": ("#dddddd", ".."),
}
_PANELS_IN_A_ROW = 4
_SAME_BITS = "the same bits"
_SLIGHTLY = 2  # places that a name moves before its line is coloured as moved far
# Stage of a training step → the fields of a row, colour, hatching.
_STAGES = {
    "data": (("read_ms", "collate_ms", "augment_ms", "normalise_ms", "targets_ms"), ORANGE, ""),
    "forward": (("forward_ms",), SKY, "//"),
    "loss": (("loss_ms",), PURPLE, ""),
    "backward": (("backward_ms",), BLUE, ".."),
    "update": (("clip_ms", "optimiser_ms", "average_ms"), CHARCOAL, ""),
}


def coverage_figure(rows: Sequence[ScoreRow]) -> Figure:
    """How many of each table's numbers have which status, a bar for each table.

    Args:
        rows: Of the scorecard.
    """
    figure = Figure(figsize=(9.0, 3.0), layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(TABLES))
    left = np.zeros(len(TABLES))
    for status, (colour, hatch) in _STATUSES.items():
        counts = np.array(
            [sum(row.paper.table == table and row.status == status for row in rows) for table in TABLES]
        )
        axes.barh(
            places,
            counts,
            left=left,
            color=colour,
            hatch=hatch,
            ec=CHARCOAL,
            lw=0.6,
            height=0.66,
            label=status,
        )
        for place, count, start in zip(places, counts, left, strict=True):
            if count:
                axes.text(
                    start + count / 2, float(place), str(count), ha="center", va="center", fontsize=8,
                    bbox={"fc": "white", "ec": "none", "alpha": 0.8, "pad": 0.8},
                )  # fmt: skip
        left += counts
    names = [name.capitalize().replace("Table", "Table ") for name in TABLES]
    axes.set_yticks(places, names, fontsize=9)
    axes.invert_yaxis()
    axes.margins(x=0.02)
    axes.set_xlabel("numbers of the paper's own method", fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=8, frameon=False, ncols=4, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return figure


def orderings_figure(orderings: Sequence[Ordering]) -> Figure:
    """The paper's order on the left of each panel, ours on the right, the best on top.

    A name is joined to itself: level lines agree, crossings do not.

    Args:
        orderings: At least one; panels come in their order.

    Raises:
        ValueError: If there is none.
    """
    if not orderings:
        raise ValueError("`orderings` must hold at least one, got none: no two numbers have results yet")
    starts = range(0, len(orderings), _PANELS_IN_A_ROW)
    lines = [orderings[start : start + _PANELS_IN_A_ROW] for start in starts]
    heights = [max(len(each.names) for each in line) + 2.5 for line in lines]
    columns = min(_PANELS_IN_A_ROW, len(orderings))
    figure = Figure(figsize=(2.75 * columns, 0.21 * sum(heights) + 0.3), layout="constrained")
    for strip, line in zip(
        figure.subfigures(len(lines), 1, squeeze=False, height_ratios=heights)[:, 0], lines, strict=True
    ):
        panels = strip.subplots(1, columns, squeeze=False)[0]
        for axes in panels[len(line) :]:
            axes.set_axis_off()
        for axes, ordering in zip(panels, line, strict=False):
            _draw_ordering(axes, ordering)
            axes.set_ylim(max(len(each.names) for each in line) - 0.4, -0.6)
    return figure


def _draw_ordering(axes: Axes, ordering: Ordering) -> None:
    best_first = -1.0 if ordering.higher_is_better else 1.0
    theirs, mine = (
        np.argsort(np.argsort(best_first * np.array(values), kind="stable"))
        for values in (ordering.paper, ordering.ours)
    )
    for name, left, right in zip(ordering.names, theirs, mine, strict=True):
        moved = abs(int(left) - int(right))
        colour = "#999999" if moved == 0 else SKY if moved <= _SLIGHTLY else ORANGE
        axes.plot((0, 1), (left, right), "o-", ms=3, lw=1.3, color=colour)
        for x, y, align in ((-0.06, left, "right"), (1.06, right, "left")):
            axes.text(x, y, name, ha=align, va="center", fontsize=7)
    agree, total = ordering.pairs
    axes.set(xlim=(-1.25, 2.25))
    axes.set_axis_off()
    axes.set_title(f"{ordering.title}\n{agree} of {total} pairs in the same order", fontsize=8.5)


def determinism_figure(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """How far runs that ought to agree lie apart, on a logarithmic axis; equal bits at its left edge.

    Args:
        rows: what, difference_mm and bitwise of each comparison; those of one kind share a line, and None
            stands for what could not be measured.

    Raises:
        ValueError: If there are no rows.
    """
    if not rows:
        raise ValueError("`rows` must hold at least one comparison, got none")
    kinds = list(dict.fromkeys(row["what"] for row in rows))
    figure = Figure(figsize=(9.0, 0.4 * len(kinds) + 1.2), layout="constrained")
    axes = figure.subplots()
    apart = [abs(row["difference_mm"]) for row in rows if row["difference_mm"]]
    low = float(10.0 ** np.floor(np.log10(min(apart, default=1e-3)) - 1.0))
    high = max([*apart, 10 * low])
    for place, kind in enumerate(kinds):
        axes.axhline(place, color="#eeeeee", lw=1, zorder=0)
        measured = [row for row in rows if row["what"] == kind and row["difference_mm"] is not None]
        for row in measured:
            same, distance = bool(row["bitwise"]), max(abs(row["difference_mm"]), low)
            marker, colour = ("s", GREEN) if same else ("o", ORANGE)
            axes.plot(distance, place, marker, color=colour, mec=CHARCOAL, mew=0.7, ms=7, alpha=0.8)
        axes.annotate(
            _how_far(measured), (1.01, place), xycoords=("axes fraction", "data"), va="center", fontsize=8
        )
    axes.set_yticks(range(len(kinds)), kinds, fontsize=8)
    axes.set(xscale="log", ylim=(len(kinds) - 0.5, -0.5), xlim=(low / 1.6, high * 1.6))
    in_powers = LogFormatterSciNotation()
    in_powers.set_axis(axes.xaxis)
    axes.xaxis.set_major_formatter(  # a logarithm has no zero: the edge stands for it
        FuncFormatter(lambda value, place: "0" if np.isclose(value, low) else in_powers(value, place))
    )
    axes.set_xlabel("difference of the error, mm (log scale)", fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def _how_far(measured: Sequence[Mapping[str, Any]]) -> str:
    """The comparisons of one kind in words."""
    if not measured:
        return "not measured here"
    if all(row["bitwise"] for row in measured):
        return _SAME_BITS
    distances = sorted(abs(row["difference_mm"]) for row in measured)
    words = list(dict.fromkeys(f"{distance:.2g}" for distance in (distances[0], distances[-1])))
    return f"{' to '.join(words)} mm"


def step_figure(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """What a training step's time goes into, a bar for each row.

    Args:
        rows: Of `benchmarks/results/training.json`: threads, precision, a time for each stage in ms.

    Raises:
        ValueError: If there are no rows.
    """
    if not rows:
        raise ValueError("`rows` must hold at least one measurement, got none")
    figure = Figure(figsize=(9.0, 0.45 * len(rows) + 1.3), layout="constrained")
    axes = figure.subplots()
    places, left = np.arange(len(rows)), np.zeros(len(rows))
    for stage, (names, colour, hatch) in _STAGES.items():
        spent = np.array([sum(row[name] for name in names) for row in rows])
        axes.barh(places, spent, left=left, color=colour, hatch=hatch, ec="white", height=0.7, label=stage)
        left += spent
    for place, end, row in zip(places, left, rows, strict=True):
        axes.text(end * 1.01, float(place), f"{row['images_per_s']:.0f} images/s", va="center", fontsize=8)
    axes.set_yticks(
        places,
        [f"{row['threads']} thread{'s' * (row['threads'] > 1)}, {row['precision']}" for row in rows],
        fontsize=8,
    )
    axes.invert_yaxis()
    axes.set(xlim=(0, float(left.max()) * 1.18))
    axes.set_xlabel("ms for a step", fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=8, frameon=False, ncols=5, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return figure
