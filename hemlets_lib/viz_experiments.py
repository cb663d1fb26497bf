"""Pictures of experiments: paired differences with intervals, curves, levels seed by seed.

    found = differences(setting, against="none")
    show(differences_figure(found, unit="mm"), alt=differences_words(found, unit="mm"))

Every seed is a point of its own beside the mean over them, so that nobody has to trust an interval. What has
not run has its row all the same and says so. The numbers come from `experiments.differences`.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from statistics import stdev
from typing import Literal, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter

from hemlets_lib.experiments.differences import NOT_RUN, BySeed, Curve, Difference, signed
from hemlets_lib.experiments.statistics import detectable_effect, mean_interval
from hemlets_lib.viz import CHARCOAL, ORANGE, SKY

__all__ = [
    "curves_figure",
    "differences_figure",
    "differences_words",
    "levels_figure",
    "levels_words",
    "power_figure",
    "power_words",
]

_GREY = "#8a8a8a"
_SEEDS = range(3, 11)  # fewer say nothing of a spread
_NO_SPREAD = "nothing has three seeds yet"
_BESIDE = 0.27  # of a row, that seeds stand below their mean


class _Look(NamedTuple):
    colour: str
    marker: str
    line: str


_LOOKS = tuple(
    _Look(colour, marker, line)
    for line, markers in (("-", "os^"), ("--", "DvP"), (":", "X<>"))
    for colour, marker in zip((CHARCOAL, ORANGE, SKY), markers, strict=True)
)


def differences_figure(
    found: Sequence[Difference],
    *,
    unit: str,
    against: str = "the baseline",
    title: str = "",
    highlight: Iterable[str] = (),
) -> Figure:
    """Paired differences in rows: small rings for seeds, a diamond for their mean, a bar for its interval.

    The diamond is filled where the interval excludes zero. Intervals of two seeds can be so long that nothing
    else could be seen; such a bar runs out of the picture.

    Args:
        found: The rows; those of one group follow each other under its heading.
        unit: Of the differences.
        against: What they are differences to, for the axis.
        title: Above.
        highlight: Labels drawn in orange.

    Raises:
        ValueError: If there are no rows.
    """
    if not found:
        raise ValueError("`found` must have at least one row, got none")
    groups = list(dict.fromkeys(each.group for each in found if each.group))
    figure = Figure(figsize=(8.2, 1.2 + 0.29 * (len(found) + len(groups))), layout="constrained")
    axes = figure.subplots()
    marked, ticks, labels, place, group = set(highlight), [], [], 0, ""
    for each in found:
        if each.group != group:
            group = each.group
            ticks.append(place)
            labels.append(group)
            place += 1
        _draw_difference(axes, each, place, ORANGE if each.label in marked else CHARCOAL)
        ticks.append(place)
        labels.append(each.label)
        place += 1
    axes.axvline(0, color=CHARCOAL, lw=1, zorder=0)
    axes.set_yticks(ticks, labels, fontsize=8)
    for tick, text in zip(axes.yaxis.get_major_ticks(), axes.get_yticklabels(), strict=True):
        if text.get_text() in groups:
            text.set(fontweight="bold")
            tick.tick1line.set_visible(False)
    axes.set(ylim=(place - 0.4, -0.6), xlabel=f"difference to {against}, {unit}")
    _keep_to_seeds(axes, [value for each in found for value in each.pairs.values()])
    axes.set_title(title, fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def _keep_to_seeds(axes: Axes, values: Sequence[float]) -> None:
    """Ends the axis at most as far beyond seeds and zero as these are apart."""
    if values:
        least, most = min(0.0, *values), max(0.0, *values)
        (left, right), reach = axes.get_xlim(), most - least
        if reach:
            axes.set_xlim(max(left, least - reach), min(right, most + reach))


def _draw_difference(axes: Axes, difference: Difference, place: float, colour: str) -> None:
    interval = difference.interval
    axes.annotate(
        signed(interval), (1.01, place), xycoords=("axes fraction", "data"), va="center", fontsize=8,
        color=_GREY if interval is None else colour,
    )  # fmt: skip
    axes.axhline(place, color="#eeeeee", lw=1, zorder=-1)
    if interval is None:
        return
    seeds = list(difference.pairs.values())
    axes.plot(seeds, [place + _BESIDE] * len(seeds), "o", ms=4, mfc="none", mec=colour, mew=0.8, alpha=0.8)
    if interval.half_width is not None:
        axes.errorbar(
            interval.mean, place, xerr=interval.half_width, fmt="D", ms=6, capsize=3, color=colour, lw=1.6,
            mfc=colour if interval.excludes_zero else "white", zorder=3,
        )  # fmt: skip


def differences_words(found: Sequence[Difference], *, unit: str) -> str:
    """What `differences_figure` shows, in words: its alternative text.

    Args:
        found: As there.
        unit: Likewise.
    """
    said = []
    for each in found:
        name = f"{each.label} ({each.group})" if each.group else each.label
        interval = each.interval
        said.append(f"{name} {signed(interval)}{f' {unit}' if interval else ''}")
    return f"Paired differences with zero as a line, a row each: {'; '.join(said)}."


def curves_figure(
    panels: Mapping[str, Mapping[str, Mapping[int, Curve]]],
    *,
    unit: str,
    band: Literal["range", "interval"] = "range",
    zero: bool = False,
) -> Figure:
    """Means over seeds against images seen, a panel for each setting and a line for each condition.

    Args:
        panels: Title → condition → seed → curve. A condition looks the same in every panel.
        unit: Of the values.
        band: Drawn about a mean of several seeds: from the least to the largest, or the mean's interval.
        zero: Draw a line at zero.

    Raises:
        ValueError: If there are no panels.
    """
    if not panels:
        raise ValueError("`panels` must have at least one, got none")
    looks = _looks(name for lines in panels.values() for name in lines)
    figure = Figure(figsize=(1.2 + 3.6 * len(panels), 3.8), layout="constrained")
    columns = figure.subplots(1, len(panels), squeeze=False)[0]
    drawn: dict[str, Line2D] = {}
    for axes, (title, lines) in zip(columns, panels.items(), strict=True):
        if not any(lines.values()):
            axes.text(0.5, 0.5, NOT_RUN, transform=axes.transAxes, ha="center", color=_GREY)
        for name, by_seed in lines.items():
            if by_seed:
                drawn[name] = _draw_curve(axes, by_seed, looks[name], band)
        if zero:
            axes.axhline(0, color=CHARCOAL, lw=1, zorder=0)
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        axes.set(xlabel="images seen", ylabel=unit)
        axes.set_title(f"{title}\n{_seeds_of(lines)}", fontsize=9)
        axes.spines[["top", "right"]].set_visible(False)
    if drawn:
        handles = {name: drawn[name] for name in looks if name in drawn}
        figure.legend(
            list(handles.values()), list(handles), loc="outside lower center", ncols=5, fontsize=8,
            frameon=False,
        )  # fmt: skip
    return figure


def _seeds_of(lines: Mapping[str, Mapping[int, Curve]]) -> str:
    counts = sorted({len(by_seed) for by_seed in lines.values() if by_seed})
    if not counts:
        return ""
    return f"{' or '.join(map(str, counts))} seed{'' if counts == [1] else 's'}"


def _looks(names: Iterable[str]) -> dict[str, _Look]:
    return {name: _LOOKS[place % len(_LOOKS)] for place, name in enumerate(dict.fromkeys(names))}


def _draw_curve(axes: Axes, by_seed: Mapping[int, Curve], look: _Look, band: str) -> Line2D:
    common = sorted(set.intersection(*(set(curve) for curve in by_seed.values())))
    at = {images: [curve[images] for curve in by_seed.values()] for images in common}
    means = [mean_interval(there) for there in at.values()]
    (line,) = axes.plot(
        common, [each.mean for each in means], look.line, marker=look.marker, color=look.colour, ms=4.5
    )
    if len(by_seed) > 1:
        low, high = [min(there) for there in at.values()], [max(there) for there in at.values()]
        if band == "interval":
            low = [each.mean - (each.half_width or 0) for each in means]
            high = [each.mean + (each.half_width or 0) for each in means]
        axes.fill_between(common, low, high, color=look.colour, alpha=0.18, lw=0)
    return line


def levels_figure(
    panels: Mapping[str, Mapping[str, BySeed]], *, unit: str, from_zero: bool = False
) -> Figure:
    """Values seed by seed: a panel for each title, a place for each condition, a thin line for each seed.

    Lines that run alike are what pairing uses: seeds that differ in level and agree in difference.

    Args:
        panels: Title → condition → seed → value; all panels have one scale.
        unit: Of the values.
        from_zero: Let the scale begin at zero.

    Raises:
        ValueError: If there are no panels.
    """
    if not panels:
        raise ValueError("`panels` must have at least one, got none")
    width = sum(0.9 + 0.75 * len(places) for places in panels.values())
    figure = Figure(figsize=(max(4.0, min(width, 12.0)), 3.4), layout="constrained")
    columns = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axes, (title, places) in zip(columns, panels.items(), strict=True):
        _draw_levels(axes, places)
        axes.set_title(title, fontsize=9)
        axes.spines[["top", "right"]].set_visible(False)
    columns[0].set(ylabel=unit)
    if from_zero:
        columns[0].set_ylim(0, 1.1 * columns[0].get_ylim()[1])  # room for the numbers
    return figure


def levels_words(panels: Mapping[str, Mapping[str, BySeed]], *, unit: str) -> str:
    """What `levels_figure` shows, in words: its alternative text.

    Args:
        panels: As there.
        unit: Likewise.
    """

    def level(by_seed: BySeed) -> str:
        return f"{sum(by_seed.values()) / len(by_seed):.1f} {unit}" if by_seed else NOT_RUN

    said = [
        f"{title}: {', '.join(f'{name} {level(by_seed)}' for name, by_seed in places.items())}"
        for title, places in panels.items()
    ]
    return f"A mark for each mean and a thin line for each seed. {'; '.join(said)}."


def _draw_levels(axes: Axes, places: Mapping[str, BySeed]) -> None:
    for seed in sorted({seed for by_seed in places.values() for seed in by_seed}):
        there = [(x, by_seed[seed]) for x, by_seed in enumerate(places.values()) if seed in by_seed]
        axes.plot(*zip(*there, strict=True), "o-", color=_GREY, lw=0.7, ms=3.5, mfc="none", zorder=1)
    for x, by_seed in enumerate(places.values()):
        if by_seed:
            mean = sum(by_seed.values()) / len(by_seed)
            axes.plot(
                [x - 0.22, x + 0.22], [mean, mean], color=ORANGE, lw=3, solid_capstyle="round", zorder=2
            )
            axes.annotate(
                f"{mean:.1f}", (x + 0.05, mean), xytext=(0, 5), textcoords="offset points", fontsize=8,
                ha="center", fontweight="bold",
            )  # fmt: skip
        else:
            axes.text(
                x, 0.5, NOT_RUN, transform=axes.get_xaxis_transform(), ha="center", va="center", color=_GREY,
                rotation=90, fontsize=8,
            )  # fmt: skip
    names = [textwrap.fill(name, 12) for name in places]
    axes.set_xticks(range(len(places)), names, fontsize=8)
    axes.set_xlim(-0.5, len(places) - 0.5)


def power_figure(found: Sequence[Difference], *, unit: str, against: str, power: float = 0.8) -> Figure:
    """The smallest difference that would be seen, against the number of seeds, by the spread measured.

    Args:
        found: Paired differences; those of fewer than three seeds have no spread to speak of, and no curve.
        unit: Of them.
        against: What they are differences to.
        power: Probability with which it would be seen.

    Source: `statistics.detectable_effect`.
    """
    figure = Figure(figsize=(7.6, 3.4), layout="constrained")
    axes = figure.subplots()
    spreads = _spreads(found)
    for name, look in _looks(spreads).items():
        seen = [detectable_effect(spreads[name], n, power=power) for n in _SEEDS]
        label = f"{name} (σ = {spreads[name]:.1f} {unit})"
        axes.plot(_SEEDS, seen, look.line, marker=look.marker, color=look.colour, label=label)
    if spreads:
        axes.legend(fontsize=8, frameon=False)
    else:
        axes.text(0.5, 0.5, _NO_SPREAD, transform=axes.transAxes, ha="center", color=_GREY)
    title = f"the smallest difference to {against} that would be seen ({100 * power:.0f} %)"
    axes.set(
        xlabel="seeds", ylabel=unit, title=title, ylim=(0, None), xlim=(_SEEDS[0] - 0.5, _SEEDS[-1] + 0.5)
    )
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def power_words(found: Sequence[Difference], *, unit: str, power: float = 0.8) -> str:
    """What `power_figure` shows, in words: its alternative text. Arguments as in `power_figure`."""
    spreads = _spreads(found)
    few, many = _SEEDS[0], _SEEDS[-1]

    def seen(name: str) -> str:
        if name not in spreads:
            return f"{name} has fewer than {few} seeds, which say nothing of a spread"
        least = (detectable_effect(spreads[name], n, power=power) for n in (few, many))
        return "{} {:.1f} {unit} with {few} seeds, {:.1f} {unit} with {many}".format(
            name, *least, unit=unit, few=few, many=many
        )

    said = [seen(each.label) for each in found]
    return f"Falling curves of the smallest difference that would be seen. {'; '.join(said)}."


def _spreads(found: Iterable[Difference]) -> dict[str, float]:
    """The standard deviation over seeds, where there are enough."""
    return {each.label: stdev(each.pairs.values()) for each in found if len(each.pairs) >= _SEEDS[0]}
