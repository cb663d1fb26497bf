"""Pictures of the network: its stages with what travels between them, and what each stage costs.

A stage goes by its name in `HEMletsNet` and has one colour and one hatching everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle
from torch import Tensor

from hemlets_lib.geometry import crop_to_px
from hemlets_lib.model import BACKBONES, ModelConfig
from hemlets_lib.skeleton import Skeleton
from hemlets_lib.viz import (
    BLUE,
    CHARCOAL,
    GREEN,
    PURPLE,
    VERMILLION,
    Numbers,
    as_array,
    draw_image,
    draw_pose,
    state_label,
)

__all__ = ["STAGE_LOOKS", "StageLook", "draw_stage_bars", "network_figure"]


class StageLook(NamedTuple):
    """How a stage is drawn, and its name in running text."""

    title: str
    colour: str
    hatch: str


STAGE_LOOKS: Mapping[str, StageLook] = {
    "backbone": StageLook("backbone", CHARCOAL, ""),
    "feature_branch": StageLook("feature branch", GREEN, "//"),
    "hemlets_branch": StageLook("HEMlets branch", VERMILLION, "\\\\"),
    "encoder": StageLook("encoder", BLUE, ".."),
    "head": StageLook("head", PURPLE, "xx"),
}

# The picture is 150 units wide. Boxes: (left, bottom, width, height).
_BOXES = {
    "backbone": (19, 16, 15, 16),
    "feature_branch": (45, 30, 20, 14),
    "hemlets_branch": (45, 4, 20, 14),
    "encoder": (79, 4, 17, 14),
    "head": (106, 16, 17, 16),
    "soft-argmax": (126.5, 19, 10, 10),
}
_TRUNK = (
    ((14, 24), (19, 24)), ((34, 24), (39.5, 24), (39.5, 37), (45, 37)), ((123, 24), (126.5, 24)),
    ((136.5, 24), (139, 24)),
)  # fmt: skip
_THROUGH_MAPS = (  # with a HEMlets branch: two streams that meet before the head
    ((34, 24), (39.5, 24), (39.5, 11), (45, 11)), ((65, 11), (79, 11)),
    ((72, 11), (72, 0), (60, 0), (60, -2.7)), ((72, 0), (89, 0), (89, -2.7)),
    ((65, 37), (101, 37), (101, 26.4)), ((96, 11), (101, 11), (101, 21.6)), ((103.4, 24), (106, 24)),
)  # fmt: skip
_STRAIGHT = (((65, 37), (101, 37), (101, 24), (106, 24)),)
_TEXT_PT, _TITLE_PT = 8.5, 9.5


def _shape(*sizes: int) -> str:
    return " × ".join(map(str, sizes))


def _made_of(config: ModelConfig) -> dict[str, str]:
    """What each stage of a network consists of, in a few words."""
    ups, volume = f"{config.num_upsamplings} × deconvolution", "1×1 convolution"
    made_of = {
        "backbone": config.backbone.replace("resnet", "ResNet-"),
        "feature_branch": ups + (",\n3×3 convolution" if config.feature_channels else ""),
        "head": f"{config.fusion[0]}×{config.fusion[0]} convolution,\n{volume}" if config.fusion else volume,
        "soft-argmax": "",
    }
    if config.intermediate:  # the baseline has neither
        side = config.map_kernel
        made_of |= {"hemlets_branch": f"{ups},\n{side}×{side} convolution", "encoder": "3×3 convolution"}
    return made_of


def _shapes(config: ModelConfig) -> list[tuple[float, float, str, str]]:
    """(x, y, side of the text that is at x, text) for what travels along the arrows."""
    skeleton, n = config.skeleton, config.heatmap_size
    coarse, fine = n // 2**config.num_upsamplings, config.feature_channels or config.upsample_channels
    features = _shape(BACKBONES[config.backbone][0], coarse, coarse)
    texts = [
        (6.5, 15, "center", _shape(3, config.image_size, config.image_size)),
        (41, 24, "left", features),
        (83, 38.7, "center", _shape(fine, n, n)),
        (124.7, 34, "center", _shape(skeleton.num_joints, *config.volume_size)),
        (145.5, 15, "center", _shape(skeleton.num_joints, 3)),
    ]
    if config.intermediate:
        maps = skeleton.num_parts * config.num_states + skeleton.num_joints
        texts += [
            (72, 13, "center", _shape(maps, n, n)),
            (102, 9, "left", _shape(config.encoder_channels, n, n)),
            (98, 24, "right", _shape(fine + config.encoder_channels, n, n)),
        ]
    return texts


def network_figure(
    config: ModelConfig,
    *,
    image: Numbers,
    joints: Float[Tensor, "J C"],
    triplets: Float[Tensor, "K S H W"] | None = None,
    heatmaps: Float[Tensor, "J H W"] | None = None,
) -> Figure:
    """The network as a block diagram, with one person's picture, maps and joints in it.

    Args:
        config: The network; boxes and shapes follow it.
        image: The crop, (H, W, 3).
        joints: Its joints in crop space; those that are not finite are left out.
        triplets: Its parts' maps, needed where the network has a HEMlets branch; one part is shown.
        heatmaps: A map per joint; needed there, too.

    Raises:
        ValueError: If the network has a HEMlets branch and there are no maps to show.

    Source: Fig. 3.
    """
    whole = config.intermediate
    figure = Figure(figsize=(10.5, 4.7 if whole else 2.3), layout="constrained")
    axes = figure.add_subplot(xlim=(-1, 153), ylim=(-20 if whole else 12.5, 45.5), aspect="equal")
    axes.set_axis_off()
    for name, text in _made_of(config).items():
        _draw_box(axes, name, text)
    for path in (*_TRUNK, *(_THROUGH_MAPS if whole else _STRAIGHT)):
        axes.plot(*zip(*path, strict=True), color="black", lw=1.2, solid_joinstyle="round")
        axes.annotate("", path[-1], path[-2], arrowprops={"arrowstyle": "-|>", "color": "black", "lw": 1.2})
    for x, y, side, text in _shapes(config):
        axes.text(x, y, text, ha=side, va="center", fontsize=_TEXT_PT, color="#333333", style="italic")
    axes.plot([124.7, 124.7], [24, 32.3], color="#999999", lw=0.8, ls=":")
    for x, y, title in ((6.5, 32.5, "images"), (145.5, 32.5, "joints"), (124.7, 37.3, "volume")):
        axes.text(x, y, title, ha="center", va="center", fontsize=_TITLE_PT, weight="bold")
    for x in (0, 139):
        small = axes.inset_axes((x, 17.5, 13, 13), transform=axes.transData)
        draw_image(small, image, grey=x > 0)
    draw_pose(small, crop_to_px(joints[:, :2], image.shape[0]), config.skeleton, line_width=1.2)
    if whole:
        if triplets is None or heatmaps is None:
            raise ValueError(
                f"`triplets` and `heatmaps` must be given for {config.name!r}, which puts them out; got None."
            )
        axes.add_patch(Circle((101, 24), 2.4, fc="white", ec="black", lw=1.2))
        axes.text(101, 24, "cat", ha="center", va="center", fontsize=_TEXT_PT)
        _draw_maps(axes, triplets, heatmaps, config.skeleton)
    return figure


def _draw_box(axes: Axes, name: str, made_of: str) -> None:
    x, y, width, height = _BOXES[name]
    look = STAGE_LOOKS.get(name, StageLook("soft-\nargmax", "#777777", ""))  # no weights, no colour
    axes.add_patch(Rectangle((x, y), width, height, fc=look.colour + "22", ec=look.colour, lw=1.8))
    at = 0.7 if made_of else 0.5
    for text, level, size, weight in (
        (look.title, at, _TITLE_PT, "bold"),
        (made_of, 0.32, _TEXT_PT, "normal"),
    ):
        place = x + width / 2, y + height * level
        axes.text(*place, text, weight=weight, fontsize=size, ha="center", va="center")


def _draw_maps(axes: Axes, triplets: Tensor, heatmaps: Tensor, skeleton: Skeleton) -> None:
    (parts, states), joints = triplets.shape[:2], len(heatmaps)
    outer = triplets[:, [s for s in range(states) if s != states // 2]]  # tell more than the middle map
    part = int(outer.flatten(1).amax(1).argmax())
    titles = [f"map {state_label(level - states // 2)}" for level in range(states)] + [f"all {joints}"]
    room = 33 / states
    places, width = [43.5 + room * level for level in range(states)] + [84.0], min(10.0, room - 1)
    for x, pixels, title in zip(places, [*triplets[part], heatmaps.amax(0)], titles, strict=True):
        small = axes.inset_axes((x, -16.5, width, width), transform=axes.transData)
        small.imshow(as_array(pixels), cmap="cividis", vmin=0, vmax=1)
        small.set(xticks=[], yticks=[])
        axes.text(x + width / 2, -4.8, title, ha="center", va="center", fontsize=_TEXT_PT)
    ends = " → ".join(name.replace("_", " ") for name in skeleton.part_names[part])
    for x, y, align, text in (
        (42.0, -11.5, "right", f"{parts} triplets\n{_shape(*triplets.shape)}"),
        (95.5, -11.5, "left", f"{joints} heatmaps\n{_shape(*heatmaps.shape)}"),
        (59.5, -18.8, "center", ends),
    ):
        axes.text(x, y, text, ha=align, va="center", fontsize=_TEXT_PT)


def draw_stage_bars(
    axes: Axes,
    rows: Mapping[str, Mapping[str, float]],
    *,
    label_from: float,
    style: str = "{:.1f}",
    totals: bool = False,
) -> None:
    """A bar per row, stacked of what its stages have; the stages' names go into the legend once.

    Args:
        axes: Where to draw; the first row is at the top.
        rows: Per row, a number for every stage it has.
        label_from: Write a stage's number into its piece of the bar from this size on.
        style: How numbers are written.
        totals: Also write each row's sum behind it.
    """
    white: dict[str, Any] = {"fc": "white", "ec": "none", "alpha": 0.85, "pad": 1}
    for level, numbers in enumerate(rows.values()):
        left = 0.0
        for stage, look in STAGE_LOOKS.items():
            size, label = numbers.get(stage, 0), "_" * bool(level) + look.title
            colours: dict[str, Any] = {"fc": look.colour + "55", "ec": look.colour, "hatch": look.hatch}
            axes.barh(level, size, left=left, height=0.64, label=label, **colours)
            if size >= label_from:
                place, text = (left + size / 2, level), style.format(size)
                axes.text(*place, text, ha="center", va="center", fontsize=_TEXT_PT, bbox=white)
            left += size
        if totals:
            axes.annotate(
                style.format(left), (left, level), xytext=(4, 0), textcoords="offset points", va="center",
                fontsize=_TITLE_PT, weight="bold", bbox=white,
            )  # fmt: skip
    axes.set_yticks(range(len(rows)), list(rows))
    axes.invert_yaxis()
    axes.spines[["top", "right"]].set_visible(False)
