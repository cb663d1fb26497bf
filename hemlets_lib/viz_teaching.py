"""Figures of ideas: sectors of Eq. (1), gradients, errors in space, labels and noise, networks compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from torch import Tensor

from hemlets_lib.data.sample import Sample
from hemlets_lib.geometry import crop_to_px
from hemlets_lib.skeleton import Skeleton
from hemlets_lib.triplets import UNKNOWN
from hemlets_lib.viz import CHARCOAL, ORANGE, SKY, as_array, draw_image, draw_pose, state_colour, state_label
from hemlets_lib.viz_3d import POSE_STYLES, draw_pose_3d

__all__ = [
    "descent_figure",
    "error_views_figure",
    "labelled_people_figure",
    "noise_figure",
    "pull_figure",
    "sectors_figure",
    "side_by_side_figure",
]

_NO_ANSWER = "#e6e6e6"
_LOOKS = ((SKY, ""), (ORANGE, "//"), (CHARCOAL, "xx"), (_NO_ANSWER, ".."))  # of stacked bars: colour, hatch


def sectors_figure(degrees: Float[Tensor, "N"], polarity: Int[Tensor, "N"], *, epsilon_deg: float) -> Figure:
    """Eq. (1) as sectors about a part's parent, beside the polarity over the part's tilt.

    Args:
        degrees: Tilts towards the camera.
        polarity: Of a part at each.
        epsilon_deg: Where the middle sector ends, to both sides.

    Source: Eq. (1).
    """
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1, 2))
    for start, end, state in ((-90, -epsilon_deg, -1), (-epsilon_deg, epsilon_deg, 0), (epsilon_deg, 90, 1)):
        angles, middle = np.radians(np.linspace(start, end, 30)), np.radians((start + end) / 2)
        left.fill([0, *np.cos(angles)], [0, *np.sin(angles)], color=state_colour(state), alpha=0.75)
        place = 0.6 * np.cos(middle), 0.6 * np.sin(middle)
        left.text(*place, state_label(state), color="white", weight="bold", ha="center", va="center")
    left.plot(0, 0, "o", color="black")
    left.text(-0.08, 0, "parent", ha="right", va="center")
    left.set(aspect="equal", xlim=(-0.65, 1.05), xticks=[], yticks=[])
    left.set(xlabel="along the image", ylabel="→ towards the camera")
    left.set_title("polarity, by where the child lies", fontsize=10)
    right.plot(as_array(degrees), as_array(polarity), color="black")
    right.set(xlabel="tilt towards the camera (degrees)", ylabel="polarity", xticks=range(-90, 91, 30))
    right.set_yticks([-1, 0, 1], ["−1", "0", "+1"])
    return figure


def descent_figure(
    runs: Mapping[str, tuple[Float[Tensor, "T N"], Sequence[float]]], *, truth: float
) -> Figure:
    """Soft-argmax led by its own gradient: the first pull on each cell, and two rows over the steps.

    Args:
        runs: Name → probabilities of the cells at each step, and where soft-argmax is, in cells; two of them,
            whose first gives the pull.
        truth: Where it should be, in cells.

    Source: Eq. (2.3) of notebook 02.
    """
    figure = Figure(figsize=(10.5, 3.3), layout="constrained")
    first, *others = figure.subplots(1, 3, width_ratios=(1, 1.2, 1.4))
    name, (history, places) = next(iter(runs.items()))
    cells = np.arange(history.shape[1])
    probs = as_array(history[0])
    first.bar(cells, probs, color="#cccccc", label="$p$")
    pull = probs * (cells - places[0])
    first.bar(cells, pull, width=0.4, color=CHARCOAL, label=r"$p\,(x - \hat x)$")
    first.axvline(places[0], color=CHARCOAL, lw=1, ls=":")
    first.set(xlabel="cell", ylabel="probability, gradient (cells)", ylim=(-0.3, 0.3))
    first.set_title(f"{name}: the first gradient")
    first.legend(frameon=False, loc="upper right")
    for axes, (name, (history, places)) in zip(others, runs.items(), strict=True):
        picture = axes.imshow(
            as_array(history).T, cmap="cividis", aspect="auto", origin="lower", vmin=0, vmax=0.3
        )
        axes.plot(places, color="white", lw=2, label=r"soft-argmax $\hat x$")
        axes.axhline(truth, color="white", ls=":", label="truth")
        axes.set(xlabel="step down the gradient", ylabel="cell", title=f"starting {name}")
    others[0].legend(loc="upper right", facecolor="#333333", labelcolor="white", fontsize=8)
    figure.colorbar(picture, ax=others[1], label="probability")
    return figure


def pull_figure(
    pulls: Mapping[str, Float[Tensor, "D H W"]], *, believed: tuple[float, float], true: tuple[float, float]
) -> Figure:
    """How a step down the loss changes the scores of a volume, from above and along z.

    Args:
        pulls: Name → minus the gradient; two of them.
        believed: Where the volume has the joint, (x, z) in cells.
        true: Where it is.

    Source: Eq. (2.4) of notebook 02.
    """
    figure = Figure(figsize=(10, 3.2), layout="constrained")
    *maps, marginal = figure.subplots(1, 3)
    looks = ((CHARCOAL, "-"), (ORANGE, "--"))
    for axes, (title, pull), (colour, line) in zip(maps, pulls.items(), looks, strict=True):
        picture = axes.imshow(as_array(pull.sum(1)), cmap="PuOr_r", vmin=-0.06, vmax=0.06)  # summed over y
        axes.plot(*believed, "o", color="black", label="believed", ls="none")
        axes.plot(*true, "*", color="black", ms=11, label="true", ls="none")
        axes.set(title=title, xlabel="x (cell)", ylabel="z (cell), away ↓")
        marginal.plot(as_array(pull.sum((1, 2))), line, color=colour, label=title)
    maps[0].legend(loc="upper left", fontsize=8)
    figure.colorbar(picture, ax=maps[1], label="−gradient")
    marginal.axvline(believed[1], color="black", lw=0.8, ls=":")
    marginal.set(xlabel="z (cell)", title="z-marginal of −gradient")
    marginal.legend(fontsize=8, loc="lower left")
    return figure


def error_views_figure(
    sample: Sample,
    joints_crop: Float[Tensor, "J D"],
    true_mm: Float[Tensor, "J 3"],
    views: Mapping[str, tuple[Float[Tensor, "J 3"], float]],
    skeleton: Skeleton,
) -> Figure:
    """A predicted pose over its picture, and beside the true one in space.

    Args:
        sample: The picture.
        joints_crop: As predicted; x and y are drawn.
        true_mm: The true pose.
        views: Title → the predicted pose as it is compared, and the camera's azimuth in degrees.
        skeleton: Theirs.
    """
    columns = 1 + len(views)
    figure = Figure(figsize=(2.65 * columns, 3.7), layout="constrained")
    axes = figure.add_subplot(1, columns, 1)
    draw_image(axes, sample.image, title="joints as predicted")
    draw_pose(axes, crop_to_px(joints_crop[:, :2], sample.size), skeleton)
    for place, (title, (pose, azimuth)) in enumerate(views.items(), start=2):
        space = figure.add_subplot(1, columns, place, projection="3d")
        draw_pose_3d(space, {"true": true_mm, "predicted": pose}, skeleton, azimuth=azimuth)
        space.set_title(title, fontsize=9)
    lines = [Line2D([], [], color=colour, ls=style, lw=2) for colour, style, _ in POSE_STYLES[:2]]
    figure.legend(lines, ["true", "predicted"], loc="outside lower right", ncols=2, frameon=False, fontsize=9)
    return figure


def side_by_side_figure(
    samples: Sequence[Sample], said: Sequence[Mapping[str, Any]], names: Sequence[str], skeleton: Skeleton
) -> Figure:
    """What several networks say of the same people: a row for each, in the picture and from the side.

    Args:
        samples: The pictures.
        said: For each a record: under `true` and every name `joints_mm`, under every name also
            `joints_crop`, `plane_mm` and `depth_mm`, its mean errors.
        names: Of the networks.
        skeleton: Theirs.

    Source: the paper's Fig. 4.
    """
    columns = 2 * len(names)
    figure = Figure(figsize=(2.4 * columns, 2.35 * len(samples)), layout="constrained")
    for row, (sample, record) in enumerate(zip(samples, said, strict=True)):
        for side, name in enumerate(names):
            place = columns * row + 2 * side + 1
            axes = figure.add_subplot(len(samples), columns, place)
            draw_image(axes, sample.image, title=f"{name}: {record[name]['plane_mm']:.0f} mm in the plane")
            joints = torch.tensor(record[name]["joints_crop"])
            draw_pose(axes, crop_to_px(joints[:, :2], sample.size), skeleton)
            space = figure.add_subplot(len(samples), columns, place + 1, projection="3d")
            poses = {key: torch.tensor(record[key]["joints_mm"]) for key in ("true", name)}
            draw_pose_3d(space, poses, skeleton, azimuth=0, scale_note=False)
            space.set_title(f"from the side: {record[name]['depth_mm']:.0f} mm in depth", fontsize=9)
    return figure


def labelled_people_figure(samples: Mapping[str, Sample], skeleton: Skeleton) -> Figure:
    """People in a row, their parts coloured by label, dotted where there is none.

    Args:
        samples: Title → a picture with its labels.
        skeleton: Supplies the parts.
    """
    figure = Figure(figsize=(2.75 * len(samples), 3.2), layout="constrained")
    panels = figure.subplots(1, len(samples), squeeze=False)[0]
    for axes, (title, sample) in zip(panels, samples.items(), strict=True):
        draw_image(axes, sample.image, title=title, grey=True)
        places = as_array(crop_to_px(sample.joints_crop[:, :2], sample.size))
        for part, state in zip(skeleton.parts, sample.part_states.tolist(), strict=True):
            if not sample.joint_valid[list(part)].all():
                continue
            ends = places[list(part)].T
            axes.plot(*ends, color=state_colour(state), lw=3, ls=":" if state == UNKNOWN else "-")
            axes.annotate(
                state_label(state), ends.mean(1), fontsize=7, ha="center", va="center",
                bbox={"fc": "white", "ec": "none", "alpha": 0.75, "pad": 0.6},
            )  # fmt: skip
    return figure


def noise_figure(shares: Mapping[str, Mapping[float, Mapping[str, float]]]) -> Figure:
    """What becomes of labels as annotators err more: a panel of stacked bars for each scheme.

    Args:
        shares: Scheme → noise → kind of answer → share of all parts, 0 … 1; the kinds in one order, four
            at most.

    Raises:
        ValueError: If there are more kinds than looks.
    """
    kinds = _kinds(shares)
    figure = Figure(figsize=(4.8 * len(shares), 3.4), layout="constrained")
    panels: Sequence = figure.subplots(1, len(shares), sharey=True, squeeze=False)[0]
    for axes, (scheme, by_noise) in zip(panels, shares.items(), strict=True):
        floor = np.zeros(len(by_noise))
        for kind, (colour, hatch) in zip(kinds, _LOOKS, strict=False):
            heights = np.array([100 * each[kind] for each in by_noise.values()])
            axes.bar(
                range(len(by_noise)), heights, bottom=floor, color=colour, hatch=hatch, ec="white", width=0.7,
                label=kind,
            )  # fmt: skip
            floor += heights
        axes.set_xticks(range(len(by_noise)), [f"σ = {noise}" for noise in by_noise])
        axes.set_title(scheme, fontsize=10)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set(ylabel="% of all parts")
    handles = panels[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=2, fontsize=8, frameon=False)
    return figure


def _kinds(shares: Mapping[str, Mapping[float, Mapping[str, float]]]) -> list[str]:
    kinds = list(next(iter(next(iter(shares.values())).values())))
    if len(kinds) > len(_LOOKS):
        raise ValueError(
            f"`shares` must have {len(_LOOKS)} kinds of answer at most, got {len(kinds)}: {kinds}"
        )
    return kinds
