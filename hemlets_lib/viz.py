"""Pictures of poses, heatmaps and triplets, each with words for those who cannot see it.

Static figures are matplotlib's, on white, in Okabe-Ito colours with markers that differ in shape too.
`show` puts one into a notebook together with its alt text. Poses in space are in `viz_3d`.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from torch import Tensor

from hemlets_lib.callouts import name_points
from hemlets_lib.geometry import crop_to_px
from hemlets_lib.skeleton import Skeleton
from hemlets_lib.triplets import UNKNOWN

__all__ = [
    "SIDE_COLOURS",
    "as_array",
    "compare_triplets_figure",
    "draw_image",
    "draw_map",
    "draw_pose",
    "edges_between",
    "gallery_figure",
    "heatmaps_figure",
    "png_bytes",
    "pose_figure",
    "show",
    "state_colour",
    "state_label",
    "triplet_figure",
    "triplets_at_a_glance",
]

# Okabe & Ito, a palette that people with the common colour blindnesses can tell apart.
# States own vermillion and blue; sides have two others, so that no colour means two things.
BLUE, GREEN, VERMILLION, PURPLE, CHARCOAL = "#0072B2", "#009E73", "#D55E00", "#CC79A7", "#222222"
ORANGE, SKY = "#E69F00", "#56B4E9"  # free for whatever a figure compares
SIDE_COLOURS = {"left": PURPLE, "right": GREEN, "centre": "#555555"}
SIDE_MARKERS = {"left": "s", "right": "o", "centre": "D"}
_DPI = 110

Numbers = Tensor | np.ndarray


def as_array(values: Numbers) -> np.ndarray:
    """A tensor on any device, or an array, as an array."""
    return values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)


def show(figure: Figure, *, alt: str) -> None:
    """Display a figure in a notebook with its alternative text, and close it.

    Args:
        figure: A matplotlib figure; pyplot's or not.
        alt: What the picture shows, in a sentence or two.

    Raises:
        ValueError: If the alternative text is empty.
    """
    import matplotlib.pyplot as plt
    from IPython.display import display

    if not alt.strip():
        raise ValueError("`alt` must say what the picture shows, got an empty text")
    display(
        {"image/png": png_bytes(figure), "text/plain": alt}, metadata={"image/png": {"alt": alt}}, raw=True
    )
    plt.close(figure)  # else a notebook would show a pyplot figure a second time


def png_bytes(figure: Figure) -> bytes:
    """A figure as a PNG file's bytes, on white, the same bytes for the same figure."""
    buffer = io.BytesIO()
    figure.savefig(
        buffer, format="png", dpi=_DPI, facecolor="white", bbox_inches="tight", metadata={"Software": None}
    )
    return buffer.getvalue()


def side_of(joint: str) -> str:
    """`left`, `right` or `centre`, read off a joint's name."""
    prefix = joint.partition("_")[0]
    return prefix if prefix in ("left", "right") else "centre"


def state_label(state: int) -> str:
    """`+1`, `0`, `−1`, or `?` for a part nobody labelled."""
    return "?" if state == UNKNOWN else f"{state:+d}".replace("-", "−") if state else "0"


def state_colour(state: int) -> str:
    """Vermillion where the child is nearer, blue where it is farther, charcoal where neither."""
    return "#999999" if state == UNKNOWN else VERMILLION if state > 0 else BLUE if state < 0 else CHARCOAL


def edges_between(skeleton: Skeleton, shown: np.ndarray) -> list[tuple[int, int]]:
    """The bones between shown joints, and parts where the bones on their way are missing.

    Args:
        skeleton: Supplies bones and parts.
        shown: Which joints there are, (J,) booleans.
    """
    bones = [bone for bone in skeleton.bones if shown[list(bone)].all()]
    attached = {child for _, child in bones}
    return bones + [part for part in skeleton.parts if shown[list(part)].all() and part[1] not in attached]


def draw_image(axes: Axes, image: Numbers, *, title: str = "", grey: bool = False) -> None:
    """A picture (H, W, 3), its pixel centres on the integers, without ticks.

    Args:
        axes: Where to draw.
        image: uint8, or floats in 0 … 1.
        title: Above the picture.
        grey: Washed-out grey, as a ground for coloured maps.
    """
    pixels = as_array(image)
    if grey:
        luminance = pixels[..., :3].mean(-1) / (255 if pixels.dtype == np.uint8 else 1)
        pixels = np.repeat((0.6 + 0.4 * luminance)[..., None], 3, -1)
    axes.imshow(pixels, interpolation="nearest" if pixels.shape[0] < 100 else "antialiased")
    axes.set(xticks=[], yticks=[])
    axes.set_title(title, fontsize=9)


def draw_pose(
    axes: Axes,
    joints_px: Float[Tensor, "J C"] | np.ndarray,
    skeleton: Skeleton,
    *,
    valid: Bool[Tensor, "J"] | np.ndarray | None = None,
    labels: bool = False,
    line_width: float = 2.0,
) -> None:
    """Bones and joints over a picture: left purple squares, right green circles, middle diamonds.

    Args:
        axes: Where to draw; pixel coordinates.
        joints_px: (x, y) in pixels, further coordinates ignored.
        skeleton: Supplies bones and names.
        valid: Joints to draw; all where left out.
        labels: Also write the joints' names.
        line_width: Of the bones, in points.
    """
    joints = as_array(joints_px)[:, :2]
    drawn = np.isfinite(joints).all(-1) if valid is None else as_array(valid) & np.isfinite(joints).all(-1)
    for parent, child in edges_between(skeleton, drawn):
        side = side_of(skeleton.joint_names[child])
        for width, colour in ((line_width + 1.5, "white"), (line_width, SIDE_COLOURS[side])):
            axes.plot(*joints[[parent, child]].T, color=colour, lw=width, solid_capstyle="round")
    for side in SIDE_COLOURS:
        of_side = [j for j, name in enumerate(skeleton.joint_names) if drawn[j] and side_of(name) == side]
        axes.scatter(
            joints[of_side, 0], joints[of_side, 1], marker=SIDE_MARKERS[side], s=8 * line_width, zorder=3,
            color=SIDE_COLOURS[side], edgecolors="white", linewidths=0.6,
        )  # fmt: skip
    if labels:
        shown = np.flatnonzero(drawn)
        name_points(axes, joints[shown], [skeleton.joint_names[j].replace("_", " ") for j in shown])


def pose_figure(
    image: Numbers,
    joints_crop: Float[Tensor, "J C"],
    skeleton: Skeleton,
    *,
    valid: Bool[Tensor, "J"] | None = None,
    title: str = "",
    labels: bool = False,
) -> Figure:
    """A crop beside the same crop with its pose drawn on.

    Args:
        image: The crop, (H, W, 3).
        joints_crop: Its joints in crop space.
        skeleton: Supplies bones and names.
        valid: Joints to draw; all where left out.
        title: Above the plain crop.
        labels: Also write the joints' names.
    """
    figure = Figure(figsize=(7.0, 3.6), layout="constrained")
    plain, marked = figure.subplots(1, 2)
    draw_image(plain, image, title=title)
    draw_image(marked, image, title="left: purple squares, right: green circles")
    draw_pose(
        marked,
        crop_to_px(torch.as_tensor(joints_crop)[:, :2], image.shape[0]),
        skeleton,
        valid=valid,
        labels=labels,
    )
    return figure


def _fading(colour: str) -> LinearSegmentedColormap:
    """From transparent to a colour."""
    return LinearSegmentedColormap.from_list(colour, [(*to_rgb(colour), 0.0), (*to_rgb(colour), 0.95)])


def draw_map(axes: Axes, heatmap: Float[Tensor, "H W"] | np.ndarray, image_size: int, *, colour: str) -> None:
    """A heatmap laid over a picture, edge to edge, from transparent (0) to a colour (1).

    Args:
        axes: Where the picture is.
        heatmap: Values in 0 … 1.
        image_size: Side of the picture, pixels.
        colour: Where the map is 1.
    """
    edge = (-0.5, image_size - 0.5, image_size - 0.5, -0.5)  # the map's outer edges are the crop's
    axes.imshow(
        as_array(heatmap), cmap=_fading(colour), vmin=0, vmax=1, extent=edge, interpolation="bilinear"
    )
    axes.set(xlim=edge[:2], ylim=edge[2:])


def _part_title(skeleton: Skeleton, part: int) -> str:
    return " → ".join(name.replace("_", " ") for name in skeleton.part_names[part])


def _draw_maps(panels: Sequence[Axes], image: Numbers, triplet: Float[Tensor, "S H W"]) -> None:
    """A part's maps over the washed-out picture, a panel each, from the most negative."""
    for index, axes in enumerate(panels):
        level = index - len(panels) // 2
        peak = float(triplet[index].max())
        draw_image(axes, image, grey=True, title=f"map {state_label(level)}   (highest: {peak:.2f})")
        draw_map(axes, triplet[index], image.shape[0], colour=state_colour(level))
        for spine in axes.spines.values():
            spine.set(edgecolor=state_colour(level), linewidth=2)


def triplet_figure(
    image: Numbers,
    triplet: Float[Tensor, "S H W"],
    skeleton: Skeleton,
    part: int,
    *,
    state: int,
    joints_crop: Float[Tensor, "J C"] | None = None,
) -> Figure:
    """One part's maps side by side over the picture, the parent marked P and the child C.

    Args:
        image: The crop, (H, W, 3).
        triplet: The part's maps, from the most negative.
        skeleton: Supplies names.
        part: Which part.
        state: Its state, for the title.
        joints_crop: Marks the two ends where given.
    """
    count, size = triplet.shape[0], image.shape[0]
    figure = Figure(figsize=(2.5 * (count + 1), 2.95), layout="constrained")
    picture, *panels = figure.subplots(1, count + 1)
    draw_image(picture, image, title=_part_title(skeleton, part))
    _draw_maps(panels, image, triplet)
    if joints_crop is not None:
        ends = as_array(crop_to_px(torch.as_tensor(joints_crop)[list(skeleton.parts[part]), :2], size))
        for axes in (picture, *panels):
            for letter, (x, y) in zip("PC", ends, strict=True):
                axes.annotate(
                    letter, (x, y), xytext=(7, 7), textcoords="offset points", fontsize=8, weight="bold",
                    bbox={"fc": "white", "ec": "none", "alpha": 0.75, "pad": 0.8},
                )  # fmt: skip
                axes.plot(x, y, "+", color="black", ms=6)
    figure.suptitle(f"state {state_label(state)}", fontsize=10, color=state_colour(state), weight="bold")
    return figure


def compare_triplets_figure(
    image: Numbers,
    triplets: Mapping[str, Float[Tensor, "K S H W"]],
    skeleton: Skeleton,
    parts: Sequence[int],
    *,
    states: Mapping[str, Sequence[int] | Tensor],
) -> Figure:
    """Some parts' maps from several sources side by side: a row for each part, a block for each source.

    Args:
        image: The crop, (H, W, 3).
        triplets: Source → the parts' maps, such as what a network drew and the truth.
        skeleton: Supplies names.
        parts: Which to show.
        states: Source → the state of every part, written beside its maps.
    """
    count = next(iter(triplets.values())).shape[1]
    figure = Figure(figsize=(1.72 * count * len(triplets), 2.05 * len(parts)), layout="constrained")
    blocks = figure.subfigures(1, len(triplets), squeeze=False)[0]
    for block, (source, maps) in zip(blocks, triplets.items(), strict=True):
        block.suptitle(source, fontsize=10, weight="bold")
        for part, panels in zip(parts, block.subplots(len(parts), count, squeeze=False), strict=True):
            _draw_maps(list(panels), image, maps[part])
            state = int(states[source][part])
            panels[0].set_ylabel(
                f"{_part_title(skeleton, part)}\n{state_label(state)}", fontsize=8, color=state_colour(state)
            )
    return figure


def triplets_at_a_glance(
    image: Numbers,
    triplets: Float[Tensor, "K S H W"],
    skeleton: Skeleton,
    *,
    states: Sequence[int] | Tensor,
    columns: int = 7,
) -> Figure:
    """Every part in one panel, its maps blended over the picture by colour.

    Vermillion: maps above the middle (child nearer). Grey: the middle map. Blue: below (child
    farther). Parts without a known state are left empty.

    Args:
        image: The crop, (H, W, 3).
        triplets: Its parts' maps.
        skeleton: Supplies names.
        states: Of the parts, for the titles.
        columns: Panels in a row.
    """
    rows = -(-skeleton.num_parts // columns)
    figure = Figure(figsize=(1.72 * columns, 2.05 * rows), layout="constrained")
    for part, axes in enumerate(figure.subplots(rows, columns, squeeze=False).flat):
        if part >= skeleton.num_parts:
            axes.set_axis_off()
            continue
        state = int(states[part])
        draw_image(axes, image, grey=True)
        count = triplets.shape[1]
        for index in sorted(range(count), key=lambda i: abs(i - count // 2)):  # the middle map below
            draw_map(axes, triplets[part, index], image.shape[0], colour=state_colour(index - count // 2))
        axes.set_title(
            f"{_part_title(skeleton, part)}\n{state_label(state)}", fontsize=7, color=state_colour(state)
        )
    return figure


def heatmaps_figure(
    image: Numbers,
    heatmaps: Float[Tensor, "J H W"],
    skeleton: Skeleton,
    *,
    valid: Bool[Tensor, "J"],
    columns: int = 9,
) -> Figure:
    """Every joint's 2D heatmap over the picture, coloured by side; a joint nobody labelled is left empty.

    Args:
        image: The crop, (H, W, 3).
        heatmaps: A map per joint.
        skeleton: Supplies names.
        valid: Joints that are labelled.
        columns: Panels in a row.
    """
    rows = -(-skeleton.num_joints // columns)
    figure = Figure(figsize=(1.34 * columns, 1.6 * rows), layout="constrained")
    for joint, axes in enumerate(figure.subplots(rows, columns, squeeze=False).flat):
        if joint >= skeleton.num_joints:
            axes.set_axis_off()
            continue
        name = skeleton.joint_names[joint]
        draw_image(axes, image, grey=True)
        draw_map(axes, heatmaps[joint], image.shape[0], colour=SIDE_COLOURS[side_of(name)])
        axes.set_title(name.replace("_", " ") + ("" if valid[joint] else "\nnot labelled"), fontsize=7)
    return figure


def gallery_figure(
    images: Sequence[Numbers],
    joints_crop: Sequence[Float[Tensor, "J C"]],
    skeleton: Skeleton,
    *,
    valid: Sequence[Bool[Tensor, "J"]],
    titles: Sequence[str],
    columns: int = 5,
) -> Figure:
    """Crops with their poses drawn on, in rows.

    Args:
        images: Crops, each (H, W, 3).
        joints_crop: Their joints in crop space.
        skeleton: Supplies bones and names.
        valid: Joints to draw on each.
        titles: Above each.
        columns: Pictures in a row.
    """
    rows = -(-len(images) // columns)
    figure = Figure(figsize=(1.9 * columns, 2.1 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).flat
    for axes in panels[len(images) :]:
        axes.set_axis_off()
    for axes, image, joints, shown, title in zip(panels, images, joints_crop, valid, titles, strict=False):
        draw_image(axes, image, title=title)
        draw_pose(axes, crop_to_px(joints[:, :2], image.shape[0]), skeleton, valid=shown, line_width=1.4)
    return figure
