"""A run's curves, and a view of a run that lives in a notebook while it trains.

    train(config, data, out, validation=samples, watchers=[NotebookWatcher(samples[:3])])
    show(training_figure(folder.read_log()), alt=training_words(folder.read_log()))

Records are those of `RunFolder.read_log`. Losses have a logarithmic axis: each term falls to a fraction of
where it began. Errors have a linear one from zero: a millimetre is a millimetre.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import EngFormatter, LogLocator, MaxNLocator

from hemlets_lib.console import format_seconds
from hemlets_lib.data.sample import Sample
from hemlets_lib.geometry import crop_to_px, root_relative
from hemlets_lib.model import HEMletsNet
from hemlets_lib.prediction import Prediction, predict
from hemlets_lib.recipes import TrainConfig
from hemlets_lib.run_folder import RunFolder
from hemlets_lib.skeleton import Skeleton
from hemlets_lib.viz import CHARCOAL, ORANGE, SKY, as_array, draw_image, draw_pose, edges_between, png_bytes

__all__ = ["NotebookWatcher", "parts_of_loss_figure", "training_figure", "training_words"]

Record = Mapping[str, Any]

# Field of a record → label, colour, line. Maps are orange, joints sky; of each pair the second is dashed.
_LOSSES = {
    "total": ("total (Eq. 8)", CHARCOAL, "-"),
    "hem": ("triplets (Eq. 3)", ORANGE, "-"),
    "heatmap": ("heatmaps (Eq. 4)", ORANGE, "--"),
    "xy": ("x, y (Eq. 6)", SKY, "-"),
    "z": ("z (Eq. 6)", SKY, "--"),
}
_ERRORS = {"mpjpe_mm": ("MPJPE", CHARCOAL, "o-"), "pa_mpjpe_mm": ("PA-MPJPE", SKY, "s--")}
_STACKED = ((ORANGE, ""), ("#F5D79B", "//"), (SKY, ""), ("#BFE0F5", "//"))  # as above, paler for dashed
_TICKS_MM = (20, 25, 30, 40, 50, 60, 80, 100, 150)
_LEVEL_LINES = (":", "-.", "--")
_SHARE = 0.05  # of the time of a run goes into drawing it, at most


def training_figure(
    records: Sequence[Record], *, levels_mm: Mapping[str, float] | None = None, title: str = ""
) -> Figure:
    """Loss terms before their weights, and what validations gave, against images seen.

    Args:
        records: Of a run, in order.
        levels_mm: Name → an error to compare with, drawn as a level line, at most three.
        title: Above everything.

    Raises:
        ValueError: If there is not one record of a loss, or more than three levels.
    """
    if not any(record["kind"] == "train" for record in records):
        raise ValueError(
            "`records` must hold at least one of kind 'train', got none. Read them with RunFolder.read_log()."
        )
    figure = Figure(figsize=(10.5, 3.5), layout="constrained")
    _draw_curves(figure, records, levels_mm or {})
    figure.suptitle(title, fontsize=10)
    return figure


def training_words(records: Sequence[Record]) -> str:
    """What `training_figure` shows, in words, with the run's numbers: its alternative text."""
    losses, tried = _of_kind(records, "train"), _of_kind(records, "validation")
    if not losses:
        return "Curves of a training run that has not recorded a loss yet."
    first, last = losses[0], losses[-1]
    words = (
        f"Curves of a training run over {last['images']:,} images. The total loss goes from "
        f"{_number(first['total']):.0f} to {_number(last['total']):.0f}."
    )
    names = {
        "mpjpe_mm": "On validation samples MPJPE goes from {:.0f} to {:.0f} mm",
        "pa_mpjpe_mm": "after Procrustes alignment from {:.0f} to {:.0f} mm",
        "polarity_percent": "the share of parts in the right depth order from {:.0f} to {:.0f} percent",
    }
    found = [
        text.format(tried[0][name], tried[-1][name])
        for name, text in names.items()
        if tried and name in tried[-1]
    ]
    return f"{words} {', '.join(found)}." if found else words


def parts_of_loss_figure(weighed: Mapping[str, Sequence[float]], records: Sequence[Record]) -> Figure:
    """A finished run in other axes: its weighed terms stacked, errors on log-log axes, the learning rate.

    Args:
        weighed: Term → its part of the total in each record of a loss; four of them.
        records: Of the run, in order.
    """
    figure = Figure(figsize=(11, 3.4), layout="constrained")
    stacked, power, rate = figure.subplots(1, 3)
    losses, tried = _of_kind(records, "train"), _of_kind(records, "validation")
    images = _column(losses, "images")
    areas = stacked.stackplot(
        images, *weighed.values(), labels=list(weighed), colors=[colour for colour, _ in _STACKED]
    )
    for area, (_, hatch) in zip(areas, _STACKED, strict=True):
        area.set(hatch=hatch, ec="white", lw=0.5)
    stacked.set(xscale="log", xlabel="images seen (log scale)", title="what the loss is made of")
    for name, (label, colour, line) in _ERRORS.items():
        power.plot(_column(tried, "images"), _column(tried, name), line, color=colour, ms=4, label=label)
    power.set(xscale="log", yscale="log", xlabel="images seen (log scale)", title="validation, log-log (mm)")
    errors = _column(tried, "mpjpe_mm")
    ticks = [tick for tick in _TICKS_MM if 0.7 * errors.min() < tick < 1.1 * errors.max()]
    power.set_yticks(ticks, ticks)
    power.minorticks_off()
    for axes in (stacked, power):
        axes.legend(fontsize=8, frameon=False)
    rate.plot(images, _column(losses, "learning_rate"), color=CHARCOAL)
    rate.set(xlabel="images seen", title="learning rate", ylim=(0, None))
    return figure


class NotebookWatcher:
    """One picture below a cell, drawn anew as a run goes on: its curves, and what the network says now.

    The last picture stays, with its description, where a notebook is saved or turned into a page. Drawing
    takes at most a twentieth of the run's time, first and last picture aside, and leaves the random
    generators and the network's mode alone.

    Args:
        samples: Watched; three or four. Their labels are drawn beside what the network says.
        every_s: Seconds between two pictures, at least.
        levels_mm: As in `training_figure`.

    Raises:
        ValueError: If there are no samples.
        RuntimeError: If this is not a notebook.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        *,
        every_s: float = 5.0,
        levels_mm: Mapping[str, float] | None = None,
    ) -> None:
        from IPython import get_ipython

        if not len(samples):
            raise ValueError("`samples` must hold at least one to watch, got none")
        if get_ipython() is None:
            raise RuntimeError(
                "NotebookWatcher expected to run in a notebook, got plain Python. Use "
                "watchers.TerminalWatcher() there."
            )
        self._samples, self._every_s, self._levels_mm = list(samples), every_s, dict(levels_mm or {})

    def start(self, folder: RunFolder, config: TrainConfig, step: int) -> None:
        self._config = config
        self._records = [record for record in folder.read_log() if record["step"] <= step] if step else []
        self._model: HEMletsNet | None = None
        self._handle: Any = None
        self._next_at = -math.inf

    def record(self, record: Record, model: HEMletsNet) -> None:
        self._records.append(dict(record))
        self._model = model
        if time.monotonic() >= self._next_at:
            self._draw()

    def stop(self) -> None:
        if self._model is not None:
            self._draw()

    def _draw(self) -> None:
        from IPython.display import display

        began = time.monotonic()
        assert self._model is not None
        found = predict(self._model, self._samples, return_maps=False)
        if not bool(found.joints_root_rel_mm.isfinite().all()):
            return  # the run has diverged, and is about to say so; the last picture stays
        figure = _view(
            self._records, self._samples, found, self._model.config.skeleton, self._levels_mm, self._heading()
        )
        alt = (
            f"{training_words(self._records)} Below, {len(self._samples)} people with the poses that the "
            "network sees and, dotted, the true ones, from the front and from the side."
        )
        shown = {"image/png": png_bytes(figure), "text/plain": alt}
        options: dict[str, Any] = {"metadata": {"image/png": {"alt": alt}}, "raw": True}
        if self._handle is None:
            self._handle = display(shown, display_id=True, **options)
            self._next_at = time.monotonic() + self._every_s  # the first one also loads fonts
        else:
            self._handle.update(shown, **options)
            now = time.monotonic()
            self._next_at = now + max(self._every_s, (now - began) / _SHARE)

    def _heading(self) -> str:
        """How far the run is, how fast, and how long it has still to go."""
        step, config = self._records[-1]["step"], self._config
        words = [f"step {step} of {config.steps}", f"{step * config.batch_size:,} images"]
        if losses := _of_kind(self._records, "train"):
            speed = losses[-1]["images_per_s"]
            words.append(f"{speed:.0f} images/s")
            if step < config.steps:
                left_s = (config.steps - step) * config.batch_size / max(speed, 1e-9)
                words.append(f"{format_seconds(left_s)} left")
        if (last := self._records[-1])["kind"] == "event":
            words.append(last["what"])
        return " · ".join(words)


def _view(
    records: Sequence[Record],
    samples: Sequence[Sample],
    found: Prediction,
    skeleton: Skeleton,
    levels_mm: Mapping[str, float],
    heading: str,
) -> Figure:
    """Curves above, people below: each from the front, over the picture, and from the side."""
    columns = max(len(samples), 3)
    heights = (3.2, 4.4 / columns)
    figure = Figure(figsize=(10.5, sum(heights) + 0.3), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=heights, squeeze=False)[:, 0]
    _draw_curves(above, records, levels_mm)
    above.suptitle(heading, fontsize=10)
    panels = below.subplots(1, 2 * columns).reshape(columns, 2)
    for axes in panels[len(samples) :].flat:
        axes.set_axis_off()
    people = zip(panels, samples, found.joints_crop, found.joints_root_rel_mm, strict=False)
    for (front, side), sample, joints_crop, joints_mm in people:
        draw_image(front, sample.image, title="front")
        truth = as_array(crop_to_px(sample.joints_crop[:, :2], sample.size))
        truth[~as_array(sample.joint_valid)] = np.nan
        _draw_dotted(front, truth, skeleton)
        draw_pose(front, crop_to_px(joints_crop[:, :2], sample.size), skeleton, line_width=1.6)
        _frame(front, np.array([(0, 0), (sample.size - 1,) * 2]), margin=0.5)

        draw_pose(side, joints_mm[:, [2, 1]], skeleton, line_width=1.6)
        frame = joints_mm
        if sample.joints_cam_mm is not None and sample.joints_cam_mm.isfinite().any():
            frame = root_relative(sample.joints_cam_mm, skeleton.root)
            _draw_dotted(side, as_array(frame)[:, [2, 1]], skeleton)
        _frame(side, as_array(frame)[:, [2, 1]], margin=150)
        side.set(xticks=[], yticks=[], aspect="equal")
        side.set_title("side, → away", fontsize=9)
    return figure


def _draw_curves(
    figure: Figure | SubFigure, records: Sequence[Record], levels_mm: Mapping[str, float]
) -> None:
    """Losses, errors and the depth order in panels side by side."""
    losses, tried = _of_kind(records, "train"), _of_kind(records, "validation")
    with_order = any("polarity_percent" in record for record in tried)
    left, *right = figure.subplots(1, 3 if with_order else 2).flat
    for name, (label, colour, line) in _LOSSES.items():
        heights = _column(losses, name)
        if np.nansum(heights) > 0:  # a term that is off is zero throughout
            left.plot(_column(losses, "images"), heights, line, color=colour, label=label, lw=1.4)
    left.set(yscale="log")
    low, high = left.get_ylim()
    left.set_ylim(low, high * (high / low) ** 0.4)  # room for the legend
    left.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    left.yaxis.set_major_formatter("{x:g}")
    left.yaxis.set_minor_formatter("")
    left.set_title("loss, terms before α", fontsize=9)

    for name, (label, colour, line) in _ERRORS.items():
        right[0].plot(
            _column(tried, "images"), _column(tried, name), line, color=colour, label=label, ms=4, lw=1.4
        )
    if len(levels_mm) > len(_LEVEL_LINES):
        raise ValueError(f"`levels_mm` must hold at most {len(_LEVEL_LINES)} levels, got {len(levels_mm)}")
    for (name, level), line in zip(levels_mm.items(), _LEVEL_LINES, strict=False):
        right[0].axhline(level, color="#777777", ls=line, lw=1.2, label=name)
    right[0].set(ylim=(0, None))
    right[0].set_title("error on validation samples (mm)", fontsize=9)
    if with_order:
        right[1].plot(_column(tried, "images"), _column(tried, "polarity_percent"), "D-", color=ORANGE, ms=4)
        right[1].set(ylim=(0, 100))
        right[1].set_title("parts in the right depth order (%)", fontsize=9)
    batch = _batch_size(records)
    resumed = [record["step"] * batch for record in records if record.get("what") == "resumed"]
    for axes in (left, *right):
        _finish(axes, resumed, end=max((record.get("images", 0) for record in records), default=0))


def _finish(axes: Axes, resumed: Iterable[float], *, end: float) -> None:
    """The axis of images, where the run was resumed, and a legend if there is something to name."""
    for number, place in enumerate(resumed):
        axes.axvline(place, color=CHARCOAL, lw=0.8, ls=(0, (1, 2)), label="_" * bool(number) + "resumed")
    axes.set(xlim=(0, max(end, 1)), xlabel="images seen")
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.grid(color="#e4e4e4", lw=0.6)
    axes.tick_params(labelsize=8)
    if axes.get_legend_handles_labels()[1]:
        axes.legend(
            fontsize=7, frameon=False, ncols=2, loc="upper right" if axes.get_yscale() == "log" else "best"
        )


def _draw_dotted(axes: Axes, places: np.ndarray, skeleton: Skeleton) -> None:
    """A pose as dotted bones."""
    for edge in edges_between(skeleton, np.isfinite(places).all(-1)):
        axes.plot(*places[list(edge)].T, ":", color=CHARCOAL, lw=1.6, zorder=3)


def _frame(axes: Axes, places: np.ndarray, *, margin: float) -> None:
    """Limits about some places, y downwards, so that a network that errs wildly does not shrink the rest."""
    low, high = np.nanmin(places, axis=0) - margin, np.nanmax(places, axis=0) + margin
    axes.set(xlim=(low[0], high[0]), ylim=(high[1], low[1]))


def _of_kind(records: Sequence[Record], kind: str) -> list[Record]:
    return [record for record in records if record["kind"] == kind]


def _number(value: float | None) -> float:
    """The log has null where a number is not finite."""
    return math.nan if value is None else value


def _column(records: Sequence[Record], name: str) -> np.ndarray:
    return np.array([_number(record.get(name)) for record in records], dtype=float)


def _batch_size(records: Sequence[Record]) -> float:
    """Events tell their step only."""
    return next((record["images"] / record["step"] for record in records if record.get("images")), 1)
