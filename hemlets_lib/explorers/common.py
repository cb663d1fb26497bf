"""What several explorers share: samples by name, and panels and lines of poses."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from hemlets_lib.data.sample import Sample
from hemlets_lib.explorers.scene import Dash, Lines, Mark, Panel, Points
from hemlets_lib.skeleton import Skeleton
from hemlets_lib.triplets import UNKNOWN
from hemlets_lib.viz import Numbers, as_array, edges_between, state_colour

__all__ = [
    "grey_pixels",
    "image_panel",
    "joint_points",
    "joint_title",
    "known_in_space",
    "part_ticks",
    "part_title",
    "pen_path",
    "sample_names",
    "skeleton_lines",
    "space_box",
    "space_panel",
    "state_lines",
    "state_symbol",
    "to_plot_space",
]

_STATE_LINES: tuple[tuple[int, Dash, str], ...] = (
    (1, "solid", "child nearer (+)"),
    (0, "dot", "about the same (0)"),
    (-1, "dash", "child farther (−)"),
)
_WASHED_OUT = 0.6  # of white in a picture that is a ground for colours


def known_in_space(samples: Sequence[Sample] | None, skeleton: Skeleton) -> list[Sample]:
    """The samples whose joints are all known in camera space, with a camera; the shipped ones for None.

    Raises:
        ValueError: If none is.
    """
    if samples is None:
        from hemlets_lib.data.samples import load_samples

        samples = load_samples()
    known = [
        sample
        for sample in (samples[place] for place in range(len(samples)))
        if sample.camera is not None
        and sample.joints_cam_mm is not None
        and sample.joints_cam_mm.shape[0] == skeleton.num_joints
        and bool(sample.joints_cam_mm.isfinite().all())
    ]
    if not known:
        raise ValueError(
            f"expected samples with all {skeleton.num_joints} joints in camera space and a camera, got none "
            f"among {len(samples)}. Pass labelled photographs or motion, or leave `samples` out for the "
            "shipped ones."
        )
    return known


def sample_names(samples: Sequence[Sample]) -> dict[str, Sample]:
    """Samples by a short name for a list.

    Returns:
        Subject and action, numbered where two would be the same → the sample.
    """
    named: dict[str, Sample] = {}
    for sample in samples:
        plain = (
            " ".join(filter(None, (sample.meta.subject, sample.meta.action)))
            or sample.meta.sample_id
            or "sample"
        )
        name, number = plain, 1
        while name in named:
            number += 1
            name = f"{plain} ({number})"
        named[name] = sample
    return named


def joint_title(joint: str) -> str:
    """A joint as the reader sees it: `R knee`."""
    side, _, rest = joint.partition("_")
    return f"{side[0].upper()} {rest}" if side in ("left", "right") else joint.replace("_", " ")


def part_title(skeleton: Skeleton, part: int) -> str:
    """A part as the reader sees it: `R hip → R knee`."""
    return " → ".join(map(joint_title, skeleton.part_names[part]))


def part_ticks(skeleton: Skeleton) -> dict[float, str]:
    """Names below a chart whose x axis counts the parts.

    Returns:
        Part's number → its two joints on two lines.
    """
    return {float(k): part_title(skeleton, k).replace(" →", "\n→") for k in range(skeleton.num_parts)}


def grey_pixels(image: Numbers) -> UInt8[np.ndarray, "H W 3"]:
    """A picture as washed-out grey, a ground for colours."""
    luminance = as_array(image)[..., :3].mean(-1)
    pale = np.rint(255 * _WASHED_OUT + (1 - _WASHED_OUT) * luminance).astype(np.uint8)
    return np.repeat(pale[..., None], 3, -1)


def state_symbol(state: int) -> str:
    """A marker for each sign, so that colour is not needed to tell them apart."""
    return "triangle-up" if state > 0 else "triangle-down" if state < 0 else "circle"


def image_panel(title: str, marks: tuple[Mark, ...], size: int, *, weight: float = 1) -> Panel:
    """A panel over a square picture, without ticks; y runs down.

    Args:
        title: Above it.
        marks: What it holds, the picture first.
        size: The picture's side, pixels.
        weight: Width, relative to the others in its row.
    """
    return Panel(title, marks, (-0.5, size - 0.5), (size - 0.5, -0.5), weight=weight)


def pen_path(edges: Sequence[tuple[int, int]], points: Float[np.ndarray, "J D"]) -> Float[np.ndarray, "N D"]:
    """A line along edges, the pen lifted (NaN) between them; a single NaN where there are none."""
    gap = np.full((1, points.shape[1]), np.nan)
    return np.concatenate([part for edge in edges for part in (points[list(edge)], gap)] or [gap])


def state_lines(
    joints: Float[np.ndarray, "J D"],
    states: Int[Tensor, "K"] | Sequence[int],
    skeleton: Skeleton,
    *,
    width: float = 4,
) -> tuple[Lines, ...]:
    """The parts by the sign of their states; those nobody labelled are left out.

    Args:
        joints: In the panel's axes.
        states: Of any variant.
        skeleton: Supplies the parts.
        width: Of the lines, pixels.

    Returns:
        A line for nearer, about the same and farther, each in its colour and dash, named for the legend.
    """
    states = torch.as_tensor(states)
    signs = torch.where(states == UNKNOWN, UNKNOWN, states.sign()).tolist()
    return tuple(
        Lines(
            pen_path([p for k, p in enumerate(skeleton.parts) if signs[k] == sign], joints),
            state_colour(sign), width, dash, name,
        )
        for sign, dash, name in _STATE_LINES
    )  # fmt: skip


def to_plot_space(pose: Numbers) -> Float[np.ndarray, "J 3"]:
    """Camera axes (right, down, away) to those of a space panel: (right, away, up)."""
    return as_array(pose).astype(float)[..., [0, 2, 1]] * (1, 1, -1)


def space_box(poses: Sequence[Numbers], *, margin: float = 1.08) -> tuple[tuple[float, float], ...]:
    """Where a space panel has to reach to hold all of some poses.

    Args:
        poses: In camera axes, millimetres.
        margin: How much further, as a factor.

    Returns:
        The ends along the panel's x, y and z axes, equally far apart.
    """
    points = np.concatenate([to_plot_space(pose).reshape(-1, 3) for pose in poses])
    points = points[np.isfinite(points).all(-1)]
    middle, half = (points.max(0) + points.min(0)) / 2, margin * (points.max(0) - points.min(0)).max() / 2
    return tuple((float(at - half), float(at + half)) for at in middle)


def space_panel(
    title: str, marks: tuple[Mark, ...], box: Sequence[tuple[float, float]], *, weight: float = 1
) -> Panel:
    """A panel of camera space in millimetres, to turn with the mouse.

    Args:
        title: Above it.
        marks: What it holds, in plot space.
        box: From `space_box`.
        weight: Width, relative to the others in its row.
    """
    x, y, z = box
    labels = "right (mm)", "away (mm)", "up (mm)"
    return Panel(title, marks, x, y, z, labels, weight, hint=" (drag to turn)")


def skeleton_lines(
    points: Float[np.ndarray, "J D"],
    skeleton: Skeleton,
    *,
    colour: str,
    name: str = "",
    dash: Dash = "solid",
    width: float = 4,
) -> Lines:
    """A pose's bones as one line; bones of joints that are not finite are left out.

    Args:
        points: The joints in the panel's axes.
        skeleton: Supplies bones.
        colour, name, dash, width: As in `Lines`.
    """
    shown = np.isfinite(points).all(-1)
    return Lines(pen_path(edges_between(skeleton, shown), points), colour, width, dash, name)


def joint_points(
    points: Float[np.ndarray, "J D"], skeleton: Skeleton, *, colours: str | Sequence[str], size: float = 6
) -> Points:
    """A pose's joints, each with its name under the mouse.

    Args:
        points: The joints in the panel's axes.
        skeleton: Supplies names.
        colours: One for all, or one for each.
        size: Pixels.
    """
    return Points(points, colours, size=size, hover=tuple(map(joint_title, skeleton.joint_names)))
