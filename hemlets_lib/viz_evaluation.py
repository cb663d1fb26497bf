"""Pictures of an evaluation: errors by action and by joint, and how often the parts' states are right."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hemlets_lib.scores import Evaluation
from hemlets_lib.viz import CHARCOAL, ORANGE, SIDE_COLOURS, SKY, side_of

__all__ = ["draw_columns", "draw_joint_errors", "draw_polarity", "evaluation_figure"]

_MARKERS = (("D", CHARCOAL), ("o", "white"), ("^", SKY))
_SIDE_HATCHES = {"left": "//", "right": "", "centre": ".."}
_SOURCE_LOOKS = (("o", ORANGE), ("s", SKY), ("|", CHARCOAL))


def evaluation_figure(evaluation: Evaluation, *, title: str = "") -> Figure:
    """All of an evaluation: the table above; below it the joints' errors and the parts' states.

    Args:
        evaluation: What was measured.
        title: Above everything; the protocol's where left out.
    """
    figure = Figure(figsize=(11.0, 8.2), layout="constrained")
    grid = figure.add_gridspec(2, 2, height_ratios=(0.8, 1))
    draw_columns(figure.add_subplot(grid[0, :]), evaluation)
    draw_joint_errors(figure.add_subplot(grid[1, 0]), evaluation)
    draw_polarity(figure.add_subplot(grid[1, 1]), evaluation)
    figure.suptitle(title or evaluation.protocol.title, fontsize=12)
    return figure


def draw_columns(axes: Axes, evaluation: Evaluation) -> None:
    """The first row of the table as bars, a bar for each column, and other rows of its unit as markers.

    Args:
        axes: Where to draw.
        evaluation: What was measured.
    """
    first, *others = evaluation.protocol.rows
    table = evaluation.tables[first.name]
    places = np.arange(len(table.means))
    axes.bar(places, list(table.means.values()), color=ORANGE, width=0.7, label=first.name)
    axes.axhline(table.mean_of_actions, color=ORANGE, ls="--", lw=1)
    axes.annotate(
        f"{table.mean_of_actions:.1f}", (1, table.mean_of_actions), xycoords=("axes fraction", "data"),
        xytext=(4, 0), textcoords="offset points", va="center", fontsize=8,
    )  # fmt: skip
    same_unit = [row for row in others if row.unit == first.unit]
    for row, (marker, colour) in zip(same_unit, _MARKERS, strict=False):
        values = list(evaluation.tables[row.name].means.values())
        axes.plot(places, values, marker, color=colour, mec=CHARCOAL, ms=6, ls="none", label=row.name)
    many = len(places) > 6
    axes.set_xticks(
        places, list(table.means), fontsize=8, rotation=35 if many else 0, ha="right" if many else "center"
    )
    axes.set(ylabel=first.unit, ylim=(0, None))
    axes.set_title("by column of the table; dashed: mean of the bars", fontsize=9)
    *lines, bars = axes.get_legend_handles_labels()[0]
    axes.legend(
        handles=[bars, *lines], fontsize=8, ncols=4, frameon=False, loc="lower left", bbox_to_anchor=(0, 1.08)
    )


def draw_joint_errors(axes: Axes, evaluation: Evaluation) -> None:
    """A bar for each joint, in the colour and hatching of its side.

    Args:
        axes: Where to draw.
        evaluation: What was measured.
    """
    names = list(evaluation.joint_errors_mm)
    for place, name in enumerate(names):
        side = side_of(name)
        axes.barh(
            place, evaluation.joint_errors_mm[name], color=SIDE_COLOURS[side], hatch=_SIDE_HATCHES[side],
            ec="white", height=0.75,
        )  # fmt: skip
    axes.set_yticks(range(len(names)), [name.replace("_", " ") for name in names], fontsize=8)
    axes.invert_yaxis()
    axes.set(xlabel="mm")
    axes.set_title("mean error of each joint, root upon root", fontsize=9)


def draw_polarity(axes: Axes, evaluation: Evaluation) -> None:
    """For each part, how often its state is right, by where the state comes from.

    Args:
        axes: Where to draw.
        evaluation: What was measured.
    """
    places = np.arange(len(evaluation.part_names))
    axes.hlines(places, 0, 100, color="#eeeeee", lw=1, zorder=0)
    for (source, accuracy), (marker, colour) in zip(
        evaluation.polarity.items(), _looks(evaluation), strict=True
    ):
        axes.plot(
            accuracy.per_part.numpy(), places, marker, color=colour, ls="none", mec=CHARCOAL,
            ms=11 if marker == "|" else 7, label=f"{source} ({accuracy.overall:.1f} overall)",
        )  # fmt: skip
    axes.set_yticks(places, evaluation.part_names, fontsize=8)
    axes.invert_yaxis()
    axes.set(xlabel="%", xlim=(-2, 102))
    axes.set_title("how often a part's state is right", fontsize=9)
    axes.legend(fontsize=8, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=1)


def _looks(evaluation: Evaluation) -> tuple[tuple[str, str], ...]:
    """A source keeps its marker where another is missing."""
    return _SOURCE_LOOKS[len(_SOURCE_LOOKS) - len(evaluation.polarity) :]
