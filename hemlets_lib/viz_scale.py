"""Pictures of scale: what larger batches and pictures cost, what workers bring, memory and its formula."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from hemlets_lib.scaling import LINKS, plan
from hemlets_lib.viz import BLUE, CHARCOAL, GREEN, ORANGE, PURPLE, SKY, VERMILLION

__all__ = [
    "cost_figure",
    "cost_words",
    "efficiency_figure",
    "efficiency_words",
    "memory_figure",
    "memory_words",
    "plan_figure",
    "slope",
]

Rows = Sequence[Mapping[str, Any]]
_BAND_PERCENT = 10
_MEGABYTES = (10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000)  # ticks
# What is timed → the field of a row, colour, marker.
_TIMED = {"training step": ("step_ms", BLUE, "s"), "forward pass": ("forward_ms", ORANGE, "o")}
_UNITS = {"batch size": "images", "resolution": "side of the picture, px", "depth": "slices of the volume"}
_FREED = {"handed back": (BLUE, "o"), "kept": (VERMILLION, "^")}
_LINE_STYLES = (("-", "o"), ("--", "s"), ("-.", "^"), (":", "D"), ((0, (5, 1, 1, 1, 1, 1)), "v"))
_LINE_COLOURS = (BLUE, GREEN, PURPLE, ORANGE, VERMILLION)


def slope(values: Sequence[float], costs: Sequence[float]) -> float:
    """The exponent e of the best cost ∝ value^e: the slope of a straight line through their logarithms.

    Args:
        values: At least two different ones.
        costs: As many.
    """
    return float(np.polyfit(np.log(values), np.log(costs), 1)[0])


def _some(rows: Rows, what: str) -> Rows:
    if not rows:
        raise ValueError(f"`rows` must hold at least one {what}, got none")
    return rows


def _on(rows: Rows, axis: str) -> list[Mapping[str, Any]]:
    return sorted((row for row in rows if row["axis"] == axis), key=lambda row: row["value"])


def cost_figure(rows: Rows) -> Figure:
    """Milliseconds against batch size, resolution, joints and depth, a panel each; both axes logarithmic.

    Args:
        rows: `cost` of `benchmarks/results/scale.json`: axis, value, forward_ms and step_ms.

    Raises:
        ValueError: If there are no rows.
    """
    names = list(dict.fromkeys(row["axis"] for row in _some(rows, "measurement")))
    figure = Figure(figsize=(2.6 * len(names), 3.0), layout="constrained")
    panels = figure.subplots(1, len(names), squeeze=False)[0]
    for axes, name in zip(panels, names, strict=True):
        here = _on(rows, name)
        values = [row["value"] for row in here]
        said = []
        for label, (field, colour, marker) in _TIMED.items():
            costs = [row[field] for row in here]
            axes.plot(values, costs, color=colour, marker=marker, ms=5, label=label)
            said.append(f"{label} $n^{{{slope(values, costs):.2f}}}$")
        axes.set(xscale="log", yscale="log")
        axes.set_title("\n".join([name, *said]), fontsize=8.5)
        axes.set_xlabel(_UNITS.get(name, name), fontsize=8)
        axes.set_xticks(values, [str(value) for value in values])
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.margins(y=0.2)
        _quiet(axes)
    panels[0].set_ylabel("ms", fontsize=9)
    panels[0].legend(fontsize=8, frameon=False)
    return figure


def cost_words(rows: Rows) -> str:
    """The same for those who cannot see it: each panel's ends and exponents."""
    said = []
    for name in dict.fromkeys(row["axis"] for row in _some(rows, "measurement")):
        here = _on(rows, name)
        values = [row["value"] for row in here]
        for label, (field, _, _) in _TIMED.items():
            costs = [row[field] for row in here]
            said.append(
                f"{name} {values[0]} to {values[-1]}: {label} {costs[0]:.3g} to {costs[-1]:.3g} ms, exponent "
                f"{slope(values, costs):.2f}"
            )
    return "A panel for each, with logarithmic axes, time against what changes. " + "; ".join(said) + "."


def _by_number(rows: Rows) -> dict[str, dict[int, float]]:
    """What → workers or processes → images a second."""
    found: dict[str, dict[int, float]] = {}
    for row in rows:
        number = row.get("workers") or row["processes"]
        found.setdefault(row.get("what", "training"), {})[number] = row["images_per_s"]
    return {what: dict(sorted(speeds.items())) for what, speeds in found.items()}


def efficiency_figure(rows: Rows, *, cores: int) -> Figure:
    """How many times as fast several workers or processes are as one, beside as many times as fast.

    Args:
        rows: `workers` and `processes` of the same file: what, workers or processes, images_per_s.
        cores: Of the machine, at which the ideal line ends: beyond, more workers share them.

    Raises:
        ValueError: If there are no rows.
    """
    speeds = _by_number(_some(rows, "measurement"))
    most = max(number for each in speeds.values() for number in each)
    figure = Figure(figsize=(6.4, 3.4), layout="constrained")
    axes = figure.subplots()
    ideal = [1, min(cores, most), most]
    axes.plot(
        ideal, [1, ideal[1], ideal[1]], color=CHARCOAL, ls="--", lw=1.2, label=f"ideal, on {cores} cores"
    )
    styles = zip(_LINE_COLOURS, _LINE_STYLES, (10, 7, 5, 4, 3), strict=True)
    for (what, each), (colour, (_, marker), size) in zip(speeds.items(), styles, strict=False):
        times = [speed / each[min(each)] for speed in each.values()]
        # Each is smaller than the one before, which shows from under it where they are equal.
        axes.plot(list(each), times, color=colour, marker=marker, ms=size, lw=size / 3, label=what)
    axes.set_xticks(sorted({number for each in speeds.values() for number in each}))
    axes.set_ylim(0, max(2.2, axes.get_ylim()[1]))
    axes.set_xlabel("workers, or processes", fontsize=9)
    axes.set_ylabel("times as fast as one", fontsize=9)
    axes.legend(fontsize=8, frameon=False, loc="lower right")
    _quiet(axes)
    return figure


def efficiency_words(rows: Rows, *, cores: int) -> str:
    """The same in words."""
    said = [
        f"{what}: " + ", ".join(f"{number} {speed / each[min(each)]:.2f}" for number, speed in each.items())
        for what, each in _by_number(_some(rows, "measurement")).items()
    ]
    return (
        f"Times as fast as one worker, on a machine of {cores} cores, beside the ideal line. "
        + "; ".join(said)
        + "."
    )


def memory_figure(rows: Rows) -> Figure:
    """Predicted against measured peaks, both axes logarithmic, with the band of ten per cent.

    Args:
        rows: `memory` of the same file: preset, batch_size, precision, use, freed_memory and both peaks.

    Raises:
        ValueError: If there are no rows.
    """
    measured = np.array([row["measured_bytes"] for row in _some(rows, "measurement")]) / 1e6
    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    axes = figure.subplots()
    ends = np.array([measured.min() / 1.6, measured.max() * 1.6])
    share = _BAND_PERCENT / 100
    axes.fill_between(
        ends, ends * (1 - share), ends * (1 + share), color=SKY, alpha=0.35, lw=0, label="±10 %"
    )
    axes.plot(ends, ends, color=CHARCOAL, lw=1, ls="--", label="equal")
    for freed, (colour, marker) in _FREED.items():
        here = [row for row in rows if row["freed_memory"] == freed]
        if here:
            axes.plot(
                [row["measured_bytes"] / 1e6 for row in here], [row["predicted_bytes"] / 1e6 for row in here],
                marker, color=colour, mec=CHARCOAL, mew=0.6, ms=7, label=f"freed memory {freed}",
            )  # fmt: skip
    axes.set(xscale="log", yscale="log", xlim=ends, ylim=ends)
    ticks = [tick for tick in _MEGABYTES if ends[0] <= tick <= ends[1]]
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.set_yticks(ticks, [str(tick) for tick in ticks])
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("measured peak, MB", fontsize=9)
    axes.set_ylabel("formula, MB", fontsize=9)
    axes.legend(fontsize=8, frameon=False, loc="upper left")
    _quiet(axes)
    return figure


def memory_words(rows: Rows) -> str:
    """The same in words."""
    said = []
    for freed in _FREED:
        off = [row["off_percent"] for row in rows if row["freed_memory"] == freed]
        if off:
            held = sum(abs(each) <= _BAND_PERCENT for each in off)
            said.append(
                f"freed memory {freed}: {held} of {len(off)} within 10 %, off by {min(off):+.1f} to "
                f"{max(off):+.1f} %"
            )
    return "The formula's peaks against measured ones. " + "; ".join(said) + "."


def plan_figure(*, compute_s: float, message_bytes: float, most: int = 64) -> Figure:
    """The efficiency of up to so many processes on each kind of link, nothing overlapped; on paper.

    Args:
        compute_s: A step of one process.
        message_bytes: Of its gradients.
        most: Processes, a power of two.

    Raises:
        ValueError: If a value is not positive.
    """
    counts = [2**power for power in range(most.bit_length())]
    figure = Figure(figsize=(6.4, 3.4), layout="constrained")
    axes = figure.subplots()
    for link, colour, (style, marker) in zip(LINKS, _LINE_COLOURS, _LINE_STYLES, strict=True):
        shares = [
            100 * plan(compute_s, message_bytes, count, link.bytes_per_s).efficiency for count in counts
        ]
        axes.plot(counts, shares, color=colour, ls=style, marker=marker, ms=5, label=link.name)
    axes.set(xscale="log", ylim=(0, 105))
    axes.set_xticks(counts, [str(count) for count in counts])
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("processes, a GPU each", fontsize=9)
    axes.set_ylabel("% of as many times as fast", fontsize=9)
    axes.legend(fontsize=8, frameon=False, loc="lower left")
    _quiet(axes)
    return figure


def _quiet(axes: Axes) -> None:
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
