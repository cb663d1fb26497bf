"""Figures of how data come to a network: lenses, pixels, augmented pictures, the plan of batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from jaxtyping import Float
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from hemlets_lib.data.mixing import Draw
from hemlets_lib.data.sample import Batch
from hemlets_lib.geometry import crop_to_px
from hemlets_lib.skeleton import Skeleton
from hemlets_lib.viz import (
    BLUE,
    CHARCOAL,
    ORANGE,
    PURPLE,
    VERMILLION,
    Numbers,
    as_array,
    draw_image,
    draw_map,
    draw_pose,
    state_colour,
)

__all__ = ["enlarged_figure", "lens_figure", "plan_figure", "versions_figure"]

_LOOKS = ((BLUE, "-"), (ORANGE, "--"), (CHARCOAL, "-."), (PURPLE, ":"))
_SOURCES = ((ORANGE, "black"), (CHARCOAL, "white"))  # of a batch's rows: colour, ink upon it
_MARKS = (("*", "white", 14), ("X", VERMILLION, 10))  # on an enlarged picture: marker, colour, size


def lens_figure(
    ideal_px: Float[Tensor, "N 2"],
    seen_px: Float[Tensor, "N 2"],
    centre_px: Float[Tensor, "2"],
    radii: Float[Tensor, "R"],
    inward_px: Mapping[str, Float[Tensor, "R"]],
    *,
    size: int,
    reach: float,
) -> Figure:
    """What a lens does to the picture, five times enlarged, beside what several do over the angle.

    Args:
        ideal_px: Where a pinhole would show some points.
        seen_px: Where the lens shows them.
        centre_px: Its principal point.
        radii: Tangents of angles to the optical axis.
        inward_px: Name of a camera → how far it moves a point towards the middle at each; four at most.
        size: The picture's sides, in pixels.
        reach: The radius within which 95 % of the joints are.

    Raises:
        ValueError: If there are more cameras than looks.
    """
    if len(inward_px) > len(_LOOKS):
        raise ValueError(f"`inward_px` must have {len(_LOOKS)} cameras at most, got {len(inward_px)}")
    figure = Figure(figsize=(9, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    bend = as_array(seen_px - ideal_px)
    left.quiver(
        *as_array(ideal_px).T, *bend.T, angles="xy", scale_units="xy", scale=0.2, color=BLUE, width=0.005
    )
    left.plot(*as_array(centre_px), "+", color="black", ms=12)
    left.set(xlim=(0, size), ylim=(size, 0), aspect="equal", xlabel="u (px)", ylabel="v (px)")
    left.set_title("what the lens does, five times enlarged", fontsize=10)
    for (name, inward), (colour, line) in zip(inward_px.items(), _LOOKS, strict=False):
        right.plot(as_array(radii), as_array(inward), line, color=colour, lw=2, label=name)
    right.axvspan(0, reach, color="#e4e4e4", zorder=0)
    right.text(0.01, 31, "95 % of the samples' joints", fontsize=9)
    right.set(xlabel="r, tangent of the angle to the axis", ylabel="inward shift (px)")
    right.legend(frameon=False, title="camera", fontsize=9, loc="center left")
    return figure


def enlarged_figure(
    small: Numbers, large: Numbers, place: Float[Tensor, "2"], marks: Mapping[str, Float[Tensor, "2"]]
) -> Figure:
    """A tiny picture with a label, and the same enlarged with where rules put the label.

    Args:
        small: Of shape (n, n, 3).
        large: Of shape (m, m, 3), m at least 8.
        place: The label in the small one, in pixels.
        marks: What a rule says → where that is in the large one; two at most, the right one first.
    """
    figure = Figure(figsize=(7.4, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    n, m = len(small), len(large)
    for axes, picture, title in (
        (left, small, f"{n} × {n} pixels"),
        (right, large, f"enlarged to {m} × {m}"),
    ):
        axes.imshow(as_array(picture), interpolation="nearest")
        axes.set(xlabel="u (px)", ylabel="v (px)", title=title)
    left.plot(*as_array(place), "*", color="white", ms=14, mec="black")
    left.set(xticks=range(n), yticks=range(n))
    for (rule, (u, v)), (marker, colour, points) in zip(marks.items(), _MARKS, strict=False):
        label = f"{rule}: ({u:g}, {v:g})"
        right.plot(u, v, marker, color=colour, ms=points, mec="black", label=label)
    right.set(xticks=range(0, m, m // 8), yticks=range(0, m, m // 8))
    figure.legend(loc="outside right center", frameon=False)
    return figure


def versions_figure(
    versions: Mapping[str, Batch], maps: Mapping[str, Float[Tensor, "S H W"]], skeleton: Skeleton
) -> Figure:
    """One picture augmented in several ways: its joints above, its triplets below.

    Args:
        versions: Title → a batch of the one sample.
        maps: The same titles → its triplets, all parts in one: farther, level, nearer.
        skeleton: Supplies the bones.
    """
    columns = len(versions)
    figure = Figure(figsize=(2.1 * columns, 4.9), layout="constrained")
    panels = figure.subplots(2, columns, squeeze=False)
    for (above, below), (title, version) in zip(panels.T, versions.items(), strict=True):
        picture, size = version.images[0].permute(1, 2, 0), version.images.shape[-1]
        draw_image(above, picture, title=title)
        joints = crop_to_px(version.joints_crop[0, :, :2], size)
        draw_pose(above, joints, skeleton, valid=version.joint_valid[0])
        draw_image(below, picture, grey=True)
        for state in (0, -1, 1):
            draw_map(below, maps[title][state + 1], size, colour=state_colour(state))
        for axes in (above, below):
            axes.set(xlim=(-0.5, size - 0.5), ylim=(size - 0.5, -0.5))
    return figure


def plan_figure(plan: Sequence[Sequence[Draw]], *, epoch: int) -> Figure:
    """Which sample each row of a run's first batches holds, cut between two processes; the epochs beside it.

    Args:
        plan: For each step its draws, from two sources.
        epoch: How many samples the second source has.

    Source: Eq. (4.8) of notebook 04.
    """
    steps, width = len(plan), len(plan[0])
    figure = Figure(figsize=(10.6, 4.1), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.5, 1))
    for step, rows in enumerate(plan):
        for row, draw in enumerate(rows):
            colour, ink = _SOURCES[draw.source]
            left.add_patch(Rectangle((row, step), 1, 1, fc=colour, ec="white"))
            left.text(row + 0.5, step + 0.5, draw.index, color=ink, ha="center", va="center", fontsize=8)
    left.axvline(width // 2, color=BLUE, lw=2)
    left.set(xlim=(0, width), ylim=(steps, 0), xlabel="row of the batch", ylabel="step")
    left.set_title("process 0 | process 1", color=BLUE, fontsize=10)
    for axis, last in ((left.xaxis, width - 1), (left.yaxis, steps - 1)):
        ticks = [0, last // 2, last]
        axis.set_ticks([tick + 0.5 for tick in ticks], ticks)
    second = [draw.index for rows in plan for draw in rows if draw.source == 1]
    right.plot(second, "o", color=_SOURCES[1][0], ms=5)
    for start in range(0, len(second) + 1, epoch):
        right.axvline(start - 0.5, color="#999999", lw=1, ls=":")
    right.set(xlabel="draws of the second source", ylabel="sample", yticks=range(epoch))
    right.set_title(f"each epoch of {epoch} holds every sample once", fontsize=10)
    return figure
