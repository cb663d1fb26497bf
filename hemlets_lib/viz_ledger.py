"""Pictures of choices: a part in every variant's maps, and how errors answer to a choice that is turned up.

show(variants_figure(sample.image, maps, states, HEMLETS18, part=2), alt="…")
show(tolerance_figure([Sweep("ε", "ε / ‖B‖", {0.25: [150.1], 0.5: [148.6]}, shares)]), alt="…")
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from hemlets_lib.experiments.differences import NOT_RUN, Difference
from hemlets_lib.experiments.statistics import mean_interval
from hemlets_lib.geometry import crop_to_px
from hemlets_lib.skeleton import Skeleton
from hemlets_lib.viz import (
    CHARCOAL,
    ORANGE,
    PURPLE,
    SKY,
    Numbers,
    as_array,
    draw_image,
    draw_map,
    state_colour,
    state_label,
)
from hemlets_lib.viz_experiments import differences_figure

__all__ = ["Sweep", "effects_figure", "tolerance_figure", "variants_figure"]

_LEVEL_LINES = (":", "-.", "--")
_SHARE_LOOKS = (("o", SKY, "-"), ("s", ORANGE, "--"), ("D", PURPLE, ":"))


@dataclass(frozen=True)
class Sweep:
    """A choice that is turned up, what it does to the labels and what to the error.

    Args:
        title: Above its column.
        label: Of the horizontal axis, with its unit.
        errors_mm: Value of the choice → the error of each seed; no entry, or an empty one, where nothing ran.
        shares: Name → value of the choice → percent of the labels.
        default: The value that is this library's, marked.
    """

    title: str
    label: str
    errors_mm: Mapping[float, Sequence[float]]
    shares: Mapping[str, Mapping[float, float]] = field(default_factory=dict)
    default: float | None = None


def variants_figure(
    image: Numbers,
    maps: Mapping[str, Float[Tensor, "S H W"]],
    states: Mapping[str, int],
    skeleton: Skeleton,
    *,
    part: int,
    joints_crop: Float[Tensor, "J C"],
) -> Figure:
    """One part in several variants: a row for each, maps of the same level below each other.

    Args:
        image: The crop, (H, W, 3).
        maps: Variant → the part's maps, from the most negative level; an odd number of them.
        states: Variant → the part's state in it.
        skeleton: Supplies names.
        part: Which part.
        joints_crop: The joints; P and C mark the part's ends.

    Raises:
        ValueError: If there is no variant.
    """
    if not maps:
        raise ValueError("`maps` must hold at least one variant's maps, got none")
    widest = max(len(each) for each in maps.values())
    figure = Figure(figsize=(1.95 * (widest + 1), 2.2 * len(maps)), layout="constrained")
    ends = as_array(crop_to_px(torch.as_tensor(joints_crop)[list(skeleton.parts[part]), :2], image.shape[0]))
    grid = figure.subplots(len(maps), widest + 1, squeeze=False)
    for (name, levels), (picture, *panels) in zip(maps.items(), grid, strict=True):
        draw_image(picture, image)
        _mark(picture, ends)
        state = states[name]
        picture.set_ylabel(f"{name}\nstate {state_label(state)}", fontsize=9, color=state_colour(state))
        _draw_levels(panels, image, levels, ends)
    figure.suptitle(" → ".join(name.replace("_", " ") for name in skeleton.part_names[part]), fontsize=10)
    return figure


def _draw_levels(
    panels: Sequence[Axes], image: Numbers, levels: Float[Tensor, "S H W"], ends: Float[np.ndarray, "2 2"]
) -> None:
    """A variant's maps, centred, so that the middle maps of all rows are in one column."""
    outside = (len(panels) - len(levels)) // 2
    for place, axes in enumerate(panels):
        if not 0 <= place - outside < len(levels):
            axes.set_axis_off()
            continue
        level = place - len(panels) // 2
        draw_image(axes, image, grey=True, title=f"map {state_label(level)}")
        draw_map(axes, levels[place - outside], image.shape[0], colour=state_colour(level))
        _mark(axes, ends)
        for spine in axes.spines.values():
            spine.set(edgecolor=state_colour(level), linewidth=2)


def _mark(axes: Axes, ends: Float[np.ndarray, "2 2"]) -> None:
    """P and C beside a part's ends, in pixels."""
    for letter, (x, y) in zip("PC", ends, strict=True):
        axes.plot(x, y, "+", color="black", ms=6)
        axes.annotate(
            letter, (x, y), xytext=(6, 6), textcoords="offset points", fontsize=7, weight="bold",
            bbox={"fc": "white", "ec": "none", "alpha": 0.75, "pad": 0.6},
        )  # fmt: skip


def effects_figure(
    found: Sequence[Difference], *, spread: float | None, unit: str, title: str = ""
) -> Figure:
    """What other choices do, as `differences_figure` draws it, and how far seeds of the default lie apart.

    Args:
        found: A row for each choice.
        spread: How far the default's own seeds lie apart; no band where it is not known.
        unit: Of the differences.
        title: Above.

    Raises:
        ValueError: If there are no rows.
    """
    figure = differences_figure(found, unit=unit, against="the default", title=title)
    if spread is not None:
        axes = figure.axes[0]
        axes.axvspan(-spread, spread, color="#e9e9e9", lw=0, zorder=-2)
        axes.annotate(
            f"± {spread:.1f} {unit}: between seeds of the default", (0.0, 0.0), xycoords="axes fraction",
            xytext=(4, 4), textcoords="offset points", fontsize=7, color="#666666",
        )  # fmt: skip
    return figure


def tolerance_figure(
    sweeps: Sequence[Sweep], *, levels_mm: Mapping[str, float] | None = None, score: str = "MPJPE (mm)"
) -> Figure:
    """Errors above, shares of the labels below, a column for each choice that is turned up.

    Dots are seeds; the line joins their means, and has a 95 % interval where there are several.

    Args:
        sweeps: The choices.
        levels_mm: Name → an error to compare with, as a level line in every column; three at most.
        score: Label of the vertical axis above.

    Raises:
        ValueError: If there is nothing to draw, or there are more levels than line styles.
    """
    levels_mm = levels_mm or {}
    if not sweeps or len(levels_mm) > len(_LEVEL_LINES):
        raise ValueError(
            f"expected at least one of `sweeps` and at most {len(_LEVEL_LINES)} of `levels_mm`, got "
            f"{len(sweeps)} and {len(levels_mm)}"
        )
    figure = Figure(figsize=(4.9 * len(sweeps), 5.4), layout="constrained")
    above, below = figure.subplots(2, len(sweeps), squeeze=False, sharey="row", height_ratios=(1.25, 1))
    for number, (sweep, errors, shares) in enumerate(zip(sweeps, above, below, strict=True)):
        _draw_errors(errors, sweep, levels_mm)
        _draw_shares(shares, sweep)
        errors.set_title(sweep.title, fontsize=10)
        values = {*sweep.errors_mm, *(value for share in sweep.shares.values() for value in share)}
        if values:  # also those that have not run
            margin = 0.06 * (max(values) - min(values)) or 0.05
            for axes in (errors, shares):
                axes.set_xlim(min(values) - margin, max(values) + margin)
        if not number:
            errors.set_ylabel(score, fontsize=9)
            shares.set_ylabel("% of the labels", fontsize=9)
        for axes in (errors, shares):
            axes.grid(color="#e4e4e4", lw=0.6)
            axes.tick_params(labelsize=8)
            if sweep.default is not None:
                axes.axvline(sweep.default, color=CHARCOAL, lw=0.8, ls=(0, (1, 3)), zorder=0)
    lines = above[0].get_legend_handles_labels()
    figure.legend(*lines, loc="outside upper center", ncols=len(lines[0]), fontsize=8, frameon=False)
    return figure


def _draw_errors(axes: Axes, sweep: Sweep, levels_mm: Mapping[str, float]) -> None:
    ran = {value: list(errors) for value, errors in sorted(sweep.errors_mm.items()) if errors}
    if not ran:
        axes.text(0.5, 0.5, NOT_RUN, transform=axes.transAxes, ha="center", color="#767676")
    means = {value: mean_interval(errors) for value, errors in ran.items()}
    for value, errors in ran.items():
        axes.plot([value] * len(errors), errors, "o", color=CHARCOAL, ms=3.5, alpha=0.45, mew=0)
    axes.errorbar(
        list(means), [each.mean for each in means.values()],
        yerr=[each.half_width or 0.0 for each in means.values()],
        fmt="D-", color=CHARCOAL, ms=5, lw=1.4, capsize=3, label="mean of the seeds",
    )  # fmt: skip
    for (name, level), line in zip(levels_mm.items(), _LEVEL_LINES, strict=False):
        axes.axhline(level, color="#777777", ls=line, lw=1.3, label=name)


def _draw_shares(axes: Axes, sweep: Sweep) -> None:
    for (name, shares), (marker, colour, line) in zip(sweep.shares.items(), _SHARE_LOOKS, strict=False):
        axes.plot(
            list(shares), list(shares.values()), marker + line, color=colour, mec=CHARCOAL, ms=5, lw=1.4,
            label=name,
        )  # fmt: skip
    axes.set(xlabel=sweep.label, ylim=(0, None))
    if sweep.shares:
        axes.legend(fontsize=7.5, frameon=False)
