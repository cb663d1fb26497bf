"""Ambiguity explorer: all poses that share one picture, and how the parts' depth order cuts them down."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from hemlets_lib.ambiguity import (
    count_poses,
    depth_steps_mm,
    mean_depth_errors_mm,
    poses_of_signs,
    remaining_signs,
    signs_allowed,
    states_of_signs,
)
from hemlets_lib.data.sample import Sample, resize_sample
from hemlets_lib.explorers.common import (
    grey_pixels,
    image_panel,
    known_in_space,
    part_title,
    pen_path,
    sample_names,
    skeleton_lines,
    space_panel,
    state_lines,
    to_plot_space,
)
from hemlets_lib.explorers.scene import (
    Choice,
    Dash,
    Explorer,
    Lines,
    Mark,
    Panel,
    Picture,
    Points,
    Scene,
    Slider,
    State,
)
from hemlets_lib.geometry import crop_to_px, root_relative
from hemlets_lib.skeleton import HEMLETS18, Skeleton
from hemlets_lib.triplets import EPSILON_RATIO, UNKNOWN, get_variant, part_lengths
from hemlets_lib.viz import CHARCOAL, GREEN, ORANGE, PURPLE, SKY

__all__ = [
    "ORDERS",
    "RULES",
    "Curve",
    "OneView",
    "ambiguity_explorer",
    "bounds_of",
    "curve_of",
    "drawn_signs",
]

RULES = ("HEMlets", "ordinal", "5s-HEM")
ORDERS = ("along the tree", "most telling first")
_DRAWN = 36  # poses in space at once
_PICTURE_PX = 256
_MARGIN_MM = 50.0  # around all poses
_LOOKS: dict[str, tuple[str, float, Dash]] = {  # HEMlets' line shows on both sides of that of 5s-HEM
    "HEMlets": (ORANGE, 7, "solid"),
    "ordinal": (GREEN, 3, "solid"),
    "5s-HEM": (PURPLE, 3, "dash"),
}


def bounds_of(rule: str, epsilon_ratio: float) -> tuple[float, ...]:
    """What a kind of label tells of a part.

    Args:
        rule: One of `RULES`; `ordinal` labels the sign of every part, as if ε were 0.
        epsilon_ratio: The first bound of the others.

    Returns:
        |z_p − z_c| / ‖B‖ at which the state's size grows by one.
    """
    if rule == "ordinal":
        return (0.0,)
    name = {"HEMlets": "hemlets", "5s-HEM": "5s"}[rule]
    return (epsilon_ratio, *get_variant(name).sine_bounds[1:])


@dataclass(frozen=True, eq=False)
class OneView:
    """A pose as a distant camera sees it: along z, from wherever the root is.

    Args:
        true_mm: Relative to the root.
        lengths_mm, steps_mm: Of the parts, and in depth.
        signs: +1 where a child is nearer.
        skeleton: Supplies the parts.
    """

    true_mm: Float[Tensor, "J 3"]
    lengths_mm: Float[Tensor, "K"]
    steps_mm: Float[Tensor, "K"]
    signs: Int[Tensor, "K"]
    skeleton: Skeleton

    @classmethod
    def of(cls, joints_cam_mm: Float[Tensor, "J 3"], skeleton: Skeleton) -> OneView:
        """The view of a pose in camera space."""
        pose = root_relative(joints_cam_mm.double(), skeleton.root)
        nearer = pose[skeleton.part_parents, 2] - pose[skeleton.part_children, 2]
        lengths = part_lengths(pose, skeleton)
        signs = torch.where(nearer < 0, -1, 1)
        return cls(pose, lengths, depth_steps_mm(pose, lengths, skeleton), signs, skeleton)

    def states(self, labelled: Sequence[int], bounds: Sequence[float]) -> Int[Tensor, "K"]:
        """What is known of the parts when only some are labelled."""
        true = states_of_signs(self.signs, self.steps_mm, self.lengths_mm, sine_bounds=bounds)
        states = torch.full_like(true, UNKNOWN)
        states[list(labelled)] = true[list(labelled)]
        return states

    def allowed(self, labelled: Sequence[int], bounds: Sequence[float]) -> list[tuple[int, ...]]:
        """Which places that leaves each part."""
        states = self.states(labelled, bounds)
        return signs_allowed(states, self.steps_mm, self.lengths_mm, sine_bounds=bounds)

    def mean_error_mm(self, allowed: Sequence[Sequence[int]]) -> float:
        """MPJPE of a remaining pose taken at random, over the joints that parts lead to and the root."""
        open_parts = torch.tensor([len(places) == 2 for places in allowed])
        errors = mean_depth_errors_mm(open_parts, self.steps_mm, self.signs, self.skeleton)
        return float(errors.nanmean())


@dataclass(frozen=True)
class Curve:
    """What remains as parts are labelled one by one: after 0, 1, …, K of them.

    Args:
        order: In which they are labelled.
        poses: How many remain.
        errors_mm: `OneView.mean_error_mm`.
    """

    order: tuple[int, ...]
    poses: tuple[int, ...]
    errors_mm: tuple[float, ...]


def curve_of(view: OneView, bounds: Sequence[float], order: str) -> Curve:
    """What remains when the parts are labelled in an order.

    Args:
        view: The pose.
        bounds: Of the labels, from `bounds_of`.
        order: One of `ORDERS`. The most telling part is the one whose label lowers the mean error most.
    """
    left, chosen = list(range(view.skeleton.num_parts)), list[int]()
    allowed = [view.allowed(chosen, bounds)]
    while left:
        after = {
            part: view.allowed([*chosen, part], bounds) for part in (left if order != ORDERS[0] else left[:1])
        }
        best = min(after, key=lambda part: view.mean_error_mm(after[part]))
        left.remove(best)
        chosen.append(best)
        allowed.append(after[best])
    errors = tuple(map(view.mean_error_mm, allowed))
    return Curve(tuple(chosen), tuple(map(count_poses, allowed)), errors)


@functools.cache
def _dice(parts: int) -> Bool[Tensor, "N K"]:
    """The same throws every time."""
    return torch.rand(_DRAWN, parts, generator=torch.Generator().manual_seed(0)) < 0.5


def drawn_signs(view: OneView, allowed: Sequence[Sequence[int]]) -> Int[Tensor, "N K"]:
    """The poses to draw: all that remain, again and again, or as many of them at random.

    Args:
        view: The pose.
        allowed: Of `OneView.allowed`.

    Returns:
        Always as many. While many remain, each keeps its open parts as they are when others get labels.
    """
    count = count_poses(allowed)
    if count <= _DRAWN:
        return remaining_signs(allowed)[torch.arange(_DRAWN) % count]
    open_parts = torch.tensor([len(places) == 2 for places in allowed])
    return torch.where(open_parts & _dice(len(allowed)), -view.signs, view.signs)


def ambiguity_explorer(
    samples: Sequence[Sample] | None = None, *, skeleton: Skeleton = HEMLETS18
) -> Explorer:
    """The poses that one picture leaves possible, fewer with every part whose depth order is known.

    Args:
        samples: With joints in camera space and a camera; the shipped ones where left out.
        skeleton: Theirs.

    Raises:
        ValueError: If no sample has all of its joints in space.

    Source: the 'inherent ambiguities' of §1; §3.1, Eq. (1). The paper counts no poses; how many there are
    follows from the parts' lengths under a distant camera (`hemlets_lib.ambiguity`).
    """
    named = sample_names(known_in_space(samples, skeleton))
    views = {
        name: OneView.of(sample.joints_cam_mm, skeleton)
        for name, sample in named.items()
        if sample.joints_cam_mm is not None
    }
    first = max(named, key=lambda name: int(named[name].part_states.ne(0).sum()))
    box = _box(list(views.values()))
    top_mm = max(view.mean_error_mm(view.allowed([], (0.0,))) for view in views.values())
    parts = tuple(float(number) for number in range(skeleton.num_parts + 1))
    epsilons = tuple(round(0.05 * step, 2) for step in range(18))
    controls = (
        Choice("sample", "pose", tuple(named), first, offline=(first,)),
        Slider("labelled", "labelled parts", parts, parts[len(parts) // 2], playable=True),
        Choice("order", "order", ORDERS, ORDERS[0]),
        Choice("rule", "labels", RULES, RULES[0]),
        Slider("epsilon", "ε / ‖B‖", epsilons, EPSILON_RATIO, offline=(0.1, 0.25, 0.5, 0.75)),
    )

    @functools.cache
    def shown(name: str) -> Sample:
        return resize_sample(named[name], _PICTURE_PX)

    @functools.lru_cache(maxsize=512)
    def curve(name: str, rule: str, epsilon: float, order: str) -> Curve:
        return curve_of(views[name], bounds_of(rule, epsilon), order)

    def draw(state: State) -> Scene:
        view, rule, number = views[state["sample"]], state["rule"], int(state["labelled"])
        curves = {each: curve(state["sample"], each, state["epsilon"], state["order"]) for each in RULES}
        bounds = bounds_of(rule, state["epsilon"])
        labelled = curves[rule].order[:number]
        allowed = view.allowed(labelled, bounds)
        states = view.states(labelled, bounds)
        picture = _picture_panel(shown(state["sample"]), states, skeleton)
        space = _space_panel(view, drawn_signs(view, allowed), box)
        charts = _charts(curves, rule, number, top_mm)
        return Scene(
            ((picture, space), charts), _words(view, curves, rule, number, states, bounds[0]),
            f"A picture with {number} of {len(states)} parts labelled, and in space the poses that have this "
            f"picture, these bone lengths and these labels: {_grouped(curves[rule].poses[number])} of "
            f"{_grouped(curves[rule].poses[0])}, on average {curves[rule].errors_mm[number]:.0f} mm from the "
            "true one. Two charts show both numbers against the number of labelled parts.",
        )  # fmt: skip

    return Explorer(
        "ambiguity", "Ambiguity explorer",
        "Turn the space until you look along 'away': all poses become one. Then label from none to all: what "
        "stays when all are labelled? Move ε. And why do five states leave as many poses as three?",
        controls, draw, row_heights=(430, 250),
    )  # fmt: skip


def _box(views: Sequence[OneView]) -> tuple[tuple[float, float], ...]:
    """Ends of the space's axes that hold all poses of all views.

    They lie between two: every child nearer, and every child farther.
    """
    both = [torch.ones_like(views[0].signs), -torch.ones_like(views[0].signs)]
    poses = [
        poses_of_signs(view.true_mm, view.steps_mm, signs, view.skeleton) for view in views for signs in both
    ]
    points = to_plot_space(torch.cat(poses))
    low, high = np.nanmin(points, 0) - _MARGIN_MM, np.nanmax(points, 0) + _MARGIN_MM
    return tuple((float(start), float(end)) for start, end in zip(low, high, strict=True))


def _grouped(count: int) -> str:
    return f"{count:,}".replace(",", "\u202f")


def _picture_panel(sample: Sample, states: Tensor, skeleton: Skeleton) -> Panel:
    joints_px = crop_to_px(sample.joints_crop[:, :2], sample.size).numpy().astype(float)
    unlabelled = [skeleton.parts[part] for part in (states == UNKNOWN).nonzero()[:, 0].tolist()]
    marks: tuple[Mark, ...] = (
        Picture(grey_pixels(sample.image)),
        Lines(pen_path(unlabelled, joints_px), "#777777", 3, "solid", "no label"),
        *state_lines(joints_px, states, skeleton, width=5),
        Points(joints_px[sorted({joint for part in skeleton.parts for joint in part})], CHARCOAL, size=5),
    )
    return image_panel("the picture, and what is known of its parts", marks, sample.size)


def _space_panel(view: OneView, signs: Tensor, box: Sequence[tuple[float, float]]) -> Panel:
    poses = poses_of_signs(view.true_mm, view.steps_mm, signs, view.skeleton)
    true = to_plot_space(poses_of_signs(view.true_mm, view.steps_mm, view.signs, view.skeleton))
    marks = (
        *(
            skeleton_lines(
                pose, view.skeleton, colour=SKY, width=2, name="" if number else "poses that remain"
            )
            for number, pose in enumerate(map(to_plot_space, poses))
        ),
        skeleton_lines(true, view.skeleton, colour=CHARCOAL, width=8, name="the true pose"),
    )
    return space_panel("poses with this picture, in space", marks, box, weight=1.5)


def _charts(curves: dict[str, Curve], rule: str, number: int, top_mm: float) -> tuple[Panel, Panel]:
    bits = {each: tuple(map(math.log2, curve.poses)) for each, curve in curves.items()}
    errors = {each: curve.errors_mm for each, curve in curves.items()}
    parts = len(curves[rule].order)
    return (
        _chart("how many poses remain", "log₂ of the poses", bits, rule, number, parts),
        _chart(
            "how far a remaining pose is from the true one", "mean error (mm)", errors, rule, number, top_mm
        ),
    )


def _chart(
    title: str, label: str, lines: dict[str, tuple[float, ...]], rule: str, number: int, top: float
) -> Panel:
    """The rules' lines, where the reader stands, and above them a key."""
    parts = len(lines[rule]) - 1
    key_y, step = 1.2 * top, (parts + 1) / len(RULES)
    marks: list[Lines | Points] = []
    for place, each in enumerate(RULES):
        colour, width, dash = _LOOKS[each]
        points = np.stack([np.arange(parts + 1.0), np.array(lines[each])], 1)
        x = place * step
        key = np.array([[np.nan, np.nan], [x, key_y], [x + 0.22 * step, key_y]])
        marks.append(Lines(np.concatenate([points, key]), colour, width, dash))
        marks.append(Points(np.array([[x + 0.45 * step, key_y]]), CHARCOAL, texts=(each,), markers=False))
    marks.append(Points(np.array([[number, lines[rule][number]]]), CHARCOAL, "diamond", 13))
    return Panel(
        title, tuple(marks), (-0.5, parts + 0.5), (-0.05 * top, 1.32 * top), labels=("labelled parts", label),
        square=False,
    )  # fmt: skip


def _words(
    view: OneView, curves: dict[str, Curve], rule: str, number: int, states: Tensor, epsilon: float
) -> tuple[tuple[str, str], ...]:
    curve = curves[rule]
    count, zeros = curve.poses[number], int((states == 0).sum())
    following = (
        part_title(view.skeleton, curve.order[number]) if number < len(curve.order) else "none is left"
    )
    ends = "; ".join(
        f"{each} {_grouped(end.poses[-1])} ({end.errors_mm[-1]:.0f} mm)" for each, end in curves.items()
    )
    return (
        (
            "poses that remain",
            f"{_grouped(count)} of {_grouped(curve.poses[0])}; {min(count, _DRAWN)} of them drawn",
        ),
        ("mean error of one at random", f"{curve.errors_mm[number]:.0f} mm"),
        ("labelled", f"{number} parts: {number - zeros} by sign, {zeros} as 0 (both signs stay)"),
        ("next", following),
        ("ε", f"{epsilon:g} ‖B‖: a part has a sign from {math.degrees(math.asin(epsilon)):.1f}°"),
        ("with all parts labelled", ends),
    )
