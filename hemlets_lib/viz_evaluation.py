"""Pictures of an evaluation: errors by action, joint, threshold and convention; how often states hold."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from hemlets_lib.scores import Evaluation
from hemlets_lib.viz import CHARCOAL, ORANGE, SIDE_COLOURS, SKY, as_array, side_of

__all__ = [
    "conventions_figure",
    "draw_columns",
    "draw_joint_errors",
    "draw_polarity",
    "evaluation_figure",
    "thresholds_figure",
]

_MARKERS = (("D", CHARCOAL), ("o", "white"), ("^", SKY))
_SIDE_HATCHES = {"left": "//", "right": "", "centre": ".."}
_SOURCE_LOOKS = (("o", ORANGE), ("s", SKY), ("|", CHARCOAL))
_METRIC_LOOKS = (("o", ORANGE, -0.22), ("s", SKY, 0), ("D", CHARCOAL, 0.22))  # the last: how far aside
_GROUP_LOOKS = ((ORANGE, ""), (SKY, "//"))
_LINES = ("--", ":", "-.")


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


def thresholds_figure(
    errors_mm: Float[Tensor, "B J"],
    thresholds_mm: Float[Tensor, "N"],
    curve: Float[Tensor, "N"],
    of_joints: Mapping[str, Float[Tensor, "N"]],
) -> Figure:
    """Joints' errors as a histogram, and as the share of joints below each threshold.

    Args:
        errors_mm: Of the joints that are counted.
        thresholds_mm: From 0 up.
        curve: Percent of `errors_mm` below each.
        of_joints: Name → the same of a single joint; three at most.

    Source: Eq. (6.3) of notebook 06.
    """
    errors, thresholds, count = as_array(errors_mm), as_array(thresholds_mm), errors_mm.shape[1]
    figure = Figure(figsize=(9.6, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.hist(errors.ravel(), bins=range(0, 401, 10), color="#bbbbbb")
    for name, level, colour, line in (
        ("mean", errors_mm.mean().item(), ORANGE, "-"),
        ("median", errors_mm.median().item(), SKY, "--"),
    ):
        left.axvline(level, color=colour, lw=2, ls=line, label=f"{name} {level:.0f} mm")
    left.set(xlabel="error of a joint, mm", ylabel="joints", title=f"{count} joints, root left out")
    left.legend(fontsize=8, frameon=False)
    right.fill_between(thresholds, as_array(curve), color=ORANGE, alpha=0.3)
    label = f"{count} joints: AUC {curve.mean():.1f} %"
    right.plot(thresholds, as_array(curve), color=ORANGE, lw=2.5, label=label)
    for (name, shares), line in zip(of_joints.items(), _LINES, strict=False):
        right.plot(thresholds, as_array(shares), line, color=CHARCOAL, label=name)
    right.set(xlabel="threshold, mm", ylabel="3DPCK, %", ylim=(0, 101), xlim=(0, thresholds[-1]))
    right.legend(fontsize=8, frameon=False)
    return figure


def conventions_figure(
    scores: Mapping[str, Mapping[str, float]], off_percent: Mapping[str, Float[Tensor, "N"]]
) -> Figure:
    """What ways of scoring do to metrics, beside how far a distance that was searched for is off.

    Args:
        scores: Way → metric → mm; three metrics at most.
        off_percent: Group of people → distance found, percent off the true one; two groups at most.
    """
    figure = Figure(figsize=(9.6, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.25, 1))
    count = len(scores)
    for name, (marker, colour, aside) in zip(next(iter(scores.values())), _METRIC_LOOKS, strict=False):
        places = [place + aside for place in range(count)]  # one below the other, or they would hide
        values = [row[name] for row in scores.values()]
        left.plot(values, places, marker, color=colour, mec=CHARCOAL, ms=8, label=name)
    left.set_yticks(range(count), [way.replace(", averaged", ",\naveraged") for way in scores])
    left.margins(x=0.12)
    left.set(xlabel="mm, Avg of frames", ylim=(count - 0.5, -0.5))
    left.grid(axis="x", alpha=0.3)
    between, across = np.arange(count - 1) + 0.5, left.get_yaxis_transform()
    left.hlines(between, 0, 1, "#bbbbbb", lw=0.8, transform=across)
    left.legend(fontsize=8, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=3)
    for (name, off), (colour, hatch) in zip(off_percent.items(), _GROUP_LOOKS, strict=False):
        right.hist(
            as_array(off), bins=range(-15, 16), color=colour, alpha=0.7, hatch=hatch, ec="white", label=name
        )
    right.axvline(0, color=CHARCOAL, ls="--", lw=1)
    right.set(xlabel="distance found, % off the true one", ylabel="people")
    right.legend(fontsize=8, frameon=False)
    return figure
