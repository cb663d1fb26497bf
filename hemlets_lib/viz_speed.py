"""Pictures of speed: ratios beside their targets, and where the time of a step goes beside its bound."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from hemlets_lib.limits import Limits
from hemlets_lib.viz import BLUE, CHARCOAL, GREEN, ORANGE, PURPLE, SKY, VERMILLION

__all__ = [
    "bounds_figure",
    "bounds_words",
    "headlines_figure",
    "headlines_words",
    "margin",
    "roofline_figure",
]

# Kind of operation (`roofline.KINDS`) → colour, hatching.
_KINDS = {
    "convolutions and products": (BLUE, ""),
    "normalisation": (SKY, "//"),
    "optimiser": (PURPLE, ""),
    "copies and casts": (ORANGE, ".."),
    "the rest": (CHARCOAL, ""),
}
_TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)
_ROOFS = {"float32": (BLUE, "-"), "bfloat16": (VERMILLION, "--")}
_LINE_HEIGHT = 0.5  # inches of a bar with its label


def margin(line: Mapping[str, Any]) -> float:
    """How many times as good as its target a headline is; below 1 it misses it.

    Args:
        line: A `timing.Headline` as JSON.
    """
    measured, target = line["measured"], line["target"]
    return measured / target if line["at_least"] else target / measured


def headlines_figure(lines: Sequence[Mapping[str, Any]]) -> Figure:
    """What was measured, as a multiple of what was aimed at: a bar each, the target one line for all.

    Bars are drawn on a logarithmic axis from the target on: to the right what exceeds it, to the left what
    falls short. Green and plain are met, vermillion and hatched missed; each says what it is beside it.

    Args:
        lines: Headlines as `hemlets bench` writes them.

    Raises:
        ValueError: If there are none.
    """
    if not lines:
        raise ValueError("`lines` must hold at least one headline, got none")
    figure = Figure(figsize=(9.0, _LINE_HEIGHT * len(lines) + 1.2), layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(lines))
    margins = [margin(line) for line in lines]
    for place, value, line in zip(places, margins, lines, strict=True):
        colour, hatch = (GREEN, "") if line["met"] else (VERMILLION, "//")
        axes.barh(place, value - 1, left=1, color=colour, hatch=hatch, ec="white", height=0.6)
        sign = "≥" if line["at_least"] else "≤"
        said = f"{_figure(line['measured'])} {line['unit']}  (aim {sign} {_figure(line['target'])})"
        axes.annotate(
            said, (max(value, 1), float(place)), (5, 0), textcoords="offset points", va="center", fontsize=8
        )
    axes.axvline(1, color=CHARCOAL, lw=1.5)
    axes.annotate(
        "target", (1, 1), (0, 3), xycoords=axes.get_xaxis_transform(), textcoords="offset points",
        ha="center", fontsize=8,
    )  # fmt: skip
    axes.set_xscale("log")
    low, high = min(*margins, 1 / 1.25), max(*margins, 1.25)
    axes.set(xlim=(low / 1.1, high * (high / low) ** 0.5), ylim=(len(lines) - 0.4, -0.8))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xticks(
        [tick for tick in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100) if low / 1.1 <= tick <= high * 1.1]
    )
    axes.set_xlabel("times as good as the target", fontsize=9)
    axes.set_yticks(places, [f"{line['what']}\nagainst {line['against']}" for line in lines], fontsize=8)
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    return figure


def headlines_words(lines: Sequence[Mapping[str, Any]]) -> str:
    """The same for those who cannot see it.

    Args:
        lines: Headlines as `hemlets bench` writes them.
    """
    return "; ".join(
        f"{line['what']} against {line['against']}: {_figure(line['measured'])} {line['unit']}, aim "
        f"{'at least' if line['at_least'] else 'at most'} {_figure(line['target'])}, "
        f"{'met' if line['met'] else 'missed'}"
        for line in lines
    )


def roofline_figure(limits: Limits, points: Sequence[Mapping[str, Any]]) -> Figure:
    """Computations under the roof of a machine: arithmetic a second against arithmetic for a byte moved.

    Left of a roof's bend a computation waits for memory, right of it for arithmetic.

    Args:
        limits: The machine's.
        points: `name`, `gflop`, `gb` and the measured `ms` of each computation; `dtype` says under which
            of the roofs it belongs.

    Raises:
        ValueError: If there are none.
    """
    if not points:
        raise ValueError("`points` must hold at least one computation, got none")
    figure = Figure(figsize=(9.0, 4.2), layout="constrained")
    axes = figure.subplots()
    reached = [point["gflop"] / point["gb"] for point in points]
    bends = [peak / limits.copy_gb_per_s for peak in limits.gflops.values()]
    intensity = np.geomspace(min(*reached, *bends) / 3, max(*reached, *bends) * 4, 200)
    for name, peak in limits.gflops.items():
        colour, style = _ROOFS[name]
        roof = np.minimum(peak, intensity * limits.copy_gb_per_s)
        axes.plot(intensity, roof, color=colour, ls=style, label=f"{name}: {peak:.0f} GFLOP/s at most")
    for point, marker in zip(points, itertools.cycle("osD^vP"), strict=False):
        place = (point["gflop"] / point["gb"], 1000 * point["gflop"] / point["ms"])
        axes.plot(
            *place, marker=marker, color=_ROOFS[point["dtype"]][0], mec="white", ms=9, ls="none",
            label=f"{point['name']}: {place[1]:.3g}",
        )  # fmt: skip
    axes.set(xscale="log", yscale="log")
    axes.set_xlabel("operations for a byte moved", fontsize=9)
    axes.set_ylabel("GFLOP/s", fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(
        fontsize=8, frameon=False, title=f"memory: {limits.copy_gb_per_s:.0f} GB/s at most", title_fontsize=8
    )
    return figure


def bounds_figure(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """A training step against the machine's limits: measured on top, the sum of its bounds below.

    Args:
        rows: Of `benchmarks/results/training_step.json`: preset, batch, device, `ours` and `roofline`.

    Raises:
        ValueError: If there are none.
    """
    if not rows:
        raise ValueError("`rows` must hold at least one measurement, got none")
    figure = Figure(figsize=(9.0, 1.3 * len(rows) + 1.1), layout="constrained")
    axes = figure.subplots()
    labels: list[tuple[float, str]] = []
    longest = 0.0
    for number, row in enumerate(rows):
        top = 2.6 * number
        spent = row["ours"]["step_ms"]
        waits = row["ours"]["wait_ms"] + row["ours"]["prepare_ms"]
        axes.barh(top, waits, color="white", ec=CHARCOAL, hatch="xx", height=0.8)
        axes.barh(top, spent - waits, left=waits, color="#dddddd", ec=CHARCOAL, height=0.8)
        left = 0.0
        for work in row["roofline"][:-1]:
            colour, hatch = _KINDS[work["kind"]]
            axes.barh(
                top + 0.95, work["bound_ms"], left=left, color=colour, hatch=hatch, ec="white", height=0.8
            )
            left += work["bound_ms"]
        for place, value in ((top, spent), (top + 0.95, left)):
            axes.annotate(
                f"{value:.0f} ms", (value, place), (4, 0), textcoords="offset points", va="center", fontsize=8
            )
        name = f"{row['preset']}, batch {row['batch']}, {row['device']}"
        labels += [(top, f"{name}\nmeasured"), (top + 0.95, "at the limits")]
        longest = max(longest, spent, left)
    for kind, (colour, hatch) in _KINDS.items():
        axes.barh(0, 0, color=colour, hatch=hatch, ec="white", label=kind)
    axes.barh(0, 0, color="white", ec=CHARCOAL, hatch="xx", label="data and targets")
    axes.barh(0, 0, color="#dddddd", ec=CHARCOAL, label="network and update")
    axes.set_yticks([place for place, _ in labels], [text for _, text in labels], fontsize=8)
    axes.tick_params(axis="y", length=0)
    axes.set(xlim=(0, longest * 1.12))
    axes.invert_yaxis()
    axes.set_xlabel("ms for a step", fontsize=9)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.legend(fontsize=8, frameon=False, ncols=4, loc="lower center", bbox_to_anchor=(0.45, 1.0))
    return figure


def bounds_words(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The same for those who cannot see it, a line for each row: bounds, what lies above them, waiting.

    Args:
        rows: As of `bounds_figure`.
    """
    said = []
    for row in rows:
        *works, bound = row["roofline"]
        longest = max(works, key=lambda work: work["bound_ms"])
        spent = row["ours"]["step_ms"]
        waits = row["ours"]["wait_ms"] + row["ours"]["prepare_ms"]
        said.append(
            f"{row['preset']}, batch {row['batch']}, {row['device']}: a step takes {spent:.0f} ms, its "
            f"operations at the machine's limits {bound['bound_ms']:.0f} ms, most of all {longest['kind']}, "
            f"{longest['bound_ms']:.0f} ms; {100 * (1 - bound['bound_ms'] / spent):.0f} % of the step lies "
            f"above all bounds, and {100 * waits / spent:.0f} % goes to data and targets"
        )
    return said


def _figure(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
