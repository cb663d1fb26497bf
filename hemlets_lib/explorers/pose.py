"""Pose viewer: a predicted pose against the true one, over the picture and in space, part by part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from torch import Tensor

from hemlets_lib.data.sample import Sample
from hemlets_lib.explorers.common import (
    grey_pixels,
    image_panel,
    joint_title,
    part_ticks,
    part_title,
    pen_path,
    skeleton_lines,
    space_box,
    space_panel,
)
from hemlets_lib.explorers.pose_errors import (
    BINS,
    FITS,
    PoseErrors,
    bin_of,
    compare_poses,
    drawn_motion,
)
from hemlets_lib.explorers.scene import (
    Bars,
    Choice,
    Clicks,
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
from hemlets_lib.metrics import EVALUATED_JOINTS
from hemlets_lib.prediction import Prediction
from hemlets_lib.skeleton import HEMLETS18, Skeleton
from hemlets_lib.viz import BLUE, CHARCOAL, ORANGE, VERMILLION, state_label

__all__ = ["MARKS", "PoseView", "pose_explorer", "pose_rows", "pose_words"]

MARKS = ("nothing", "worst joint", "worst part")
_HIGHEST_BAR_MM = 250.0  # a higher one is cut, which a white break says; its number is written above it
_ROOM = 1.25  # above the highest bar, for its number
_BREAK = ((-0.42, 0.80), (0.42, 0.88))  # from left to right through a cut bar, as shares of the highest
_GREY = "#999999"


@dataclass(frozen=True, eq=False)
class PoseView:
    """What stays the same while poses change: axes, and how a pose is to be seen.

    Args:
        box: Ends of the space's axes.
        top_mm: Of the bars' axes.
        skeleton: Of all poses.
    """

    box: tuple[tuple[float, float], ...]
    top_mm: float
    skeleton: Skeleton

    @classmethod
    def of(cls, found: Sequence[PoseErrors], skeleton: Skeleton) -> PoseView:
        """Axes that suit all of some poses."""
        box = space_box([each.true_mm for each in found], margin=1.15)
        highest = max(
            max(fit.joint_mm.max(), fit.part_mm.max()) for each in found for fit in each.fits.values()
        )
        return cls(box, min(float(highest), _HIGHEST_BAR_MM), skeleton)

    @property
    def bars(self) -> str:
        """What a title says of bars: their unit, and where they are cut."""
        return f"mm; with a break: higher than {self.top_mm:.0f}" if self.top_mm == _HIGHEST_BAR_MM else "mm"

    @property
    def num_joints(self) -> int:
        """How many joints the metrics count."""
        return min(EVALUATED_JOINTS, self.skeleton.num_joints)

    @property
    def marks(self) -> tuple[str, ...]:
        """What can be marked: nothing, the worst, every part and every joint."""
        parts = (part_title(self.skeleton, part) for part in range(self.skeleton.num_parts))
        return (*MARKS, *parts, *map(joint_title, self.skeleton.joint_names[: self.num_joints]))

    def marked(self, choice: str, errors: PoseErrors, fit: str) -> tuple[int | None, int | None]:
        """Which joint, and which part, one of `marks` means; a part's joint is its child.

        Args:
            choice: One of `marks`.
            errors: The pose, as the worst is another in each.
            fit: One of `FITS`.

        Returns:
            The joint's number and the part's; None where there is none.
        """
        if choice == MARKS[0]:
            return None, None
        place = self.marks.index(choice) - len(MARKS)
        if choice == MARKS[1] or place >= self.skeleton.num_parts:
            worst = int(errors.fits[fit].joint_mm[: self.num_joints].argmax())
            return (worst if choice == MARKS[1] else place - self.skeleton.num_parts), None
        part = int(errors.fits[fit].part_mm.argmax()) if choice == MARKS[2] else place
        return self.skeleton.parts[part][1], part


def pose_rows(errors: PoseErrors, view: PoseView, *, fit: str, mark: str) -> tuple[tuple[Panel, ...], ...]:
    """Panels of one prediction against the truth.

    Args:
        errors: The prediction.
        view: Axes.
        fit: One of `FITS`: how the poses lie on each other in space.
        mark: One of the view's `marks`: what is pointed out.

    Returns:
        Three rows: picture and space; error of each joint; error of each part.

    Source: Fig. 4; MPJPE and PA-MPJPE of §4.1.
    """
    joint, part = view.marked(mark, errors, fit)
    laid = errors.fits[fit]
    skeleton, count = view.skeleton, view.num_joints
    joint_ticks = {
        float(j): joint_title(name).replace(" ", "\n") for j, name in enumerate(skeleton.joint_names[:count])
    }
    size = errors.sample.size
    picture = (
        Picture(grey_pixels(errors.sample.image)),
        *_pose_marks(errors.true_px, errors.predicted_px, view, laid.joint_mm, joint, part, legend=True),
    )
    space = _pose_marks(errors.true_points, laid.points, view, laid.joint_mm, joint, part, legend=False)
    return (
        (
            image_panel("over the picture", picture, size),
            space_panel("in space", space, view.box, weight=1.6),
        ),
        (
            _bars_panel(
                f"error of each joint ({view.bars})", laid.joint_mm[:count], joint_ticks, joint, view.top_mm
            ),
        ),
        (
            _bars_panel(
                f"error of each part by itself: of the way from parent to child ({view.bars})",
                laid.part_mm,
                part_ticks(skeleton),
                part,
                view.top_mm,
            ),
        ),
    )


def _pose_marks(
    true: np.ndarray,
    predicted: np.ndarray,
    view: PoseView,
    joint_mm: np.ndarray,
    joint: int | None,
    part: int | None,
    *,
    legend: bool,
) -> tuple[Mark, ...]:
    """Both poses in two or three dimensions: what is marked lies below, joints by their error on top."""
    skeleton = view.skeleton
    edges = [] if part is None else [skeleton.parts[part]]
    wide = np.concatenate([pen_path(edges, true), pen_path(edges, predicted)])
    if joint is not None and part is None:
        wide = np.stack([true[joint], predicted[joint]])
    between = np.stack([true, predicted, np.full_like(true, np.nan)], 1).reshape(-1, true.shape[1])
    bins = [bin_of(error) for error in joint_mm]
    hover = tuple(
        f"{joint_title(name)}: {error:.0f} mm"
        for name, error in zip(skeleton.joint_names, joint_mm, strict=True)
    )
    word = np.full((1, true.shape[1]), np.nan) if joint is None else predicted[joint][None]
    # Without its error: plotly draws a text in space from triangles, slowly where it is not one of before.
    said = "" if joint is None else f"  {joint_title(skeleton.joint_names[joint])}"
    marks: list[Mark] = [
        Lines(wide, ORANGE, 14),
        Lines(between, _GREY, 2, "dot"),
        skeleton_lines(true, skeleton, colour=CHARCOAL, name="true" * legend),
        skeleton_lines(predicted, skeleton, colour=VERMILLION, name="predicted" * legend, dash="dash"),
    ]
    if legend:  # a mark for each bin gives each a line of the legend
        for number, each in enumerate(BINS):
            own = np.where((np.array(bins) == number)[:, None], predicted, np.nan)
            size = 13 if each is BINS[-1] else 9
            marks.append(Points(own, each.colour, each.symbol, size, hover=hover, name=each.name))
    else:
        colours, symbols = ([getattr(BINS[each], name) for each in bins] for name in ("colour", "symbol"))
        marks.append(Points(predicted, colours, symbols, 6, hover=hover))
    return (*marks, Points(word, CHARCOAL, size=5, texts=(said,)))


def _bars_panel(
    title: str, errors_mm: np.ndarray, ticks: dict[float, str], marked: int | None, top_mm: float
) -> Panel:
    count = len(errors_mm)
    places, heights = np.arange(count, dtype=float), np.minimum(errors_mm, top_mm)
    frame = np.full((1, 2), np.nan)
    if marked is not None:
        frame = np.array([[-0.5, 0], [0.5, 0], [0.5, _ROOM * top_mm], [-0.5, _ROOM * top_mm], [-0.5, 0]])
        frame = frame * (0.92, 0.99) + (marked, 0)
    marks = (
        Bars(places, heights, tuple(BINS[bin_of(error)].colour for error in errors_mm)),
        Lines(frame, ORANGE, 3),
        Points(
            np.stack([places, heights + 0.11 * top_mm], 1), CHARCOAL,
            texts=tuple(f"{error:.0f}" for error in errors_mm), markers=False,
        ),
        Lines(_breaks(errors_mm, top_mm), "white", 5),
    )  # fmt: skip
    return Panel(
        title, marks, (-0.6, count - 0.4), (0, _ROOM * top_mm), labels=("", ""), square=False, ticks=ticks
    )


def _breaks(errors_mm: np.ndarray, top_mm: float) -> np.ndarray:
    """Where a line crosses each bar that goes on above its axis; a single NaN where none does."""
    gap = np.full((1, 2), np.nan)
    across = np.array(_BREAK) * (1, top_mm)
    cut = np.flatnonzero(errors_mm > top_mm)
    return np.concatenate([part for place in cut for part in (across + np.array([place, 0]), gap)] or [gap])


def pose_words(errors: PoseErrors, view: PoseView, *, fit: str, mark: str) -> tuple[tuple[str, str], ...]:
    """The numbers of `pose_rows` in words. Arguments as in `pose_rows`.

    Returns:
        (name, value) pairs for a readout.
    """
    laid, skeleton = errors.fits[fit], view.skeleton
    joint, part = view.marked(mark, errors, fit)
    worst = int(laid.joint_mm[: view.num_joints].argmax())
    worst_part = int(laid.part_mm.argmax())
    size = errors.sample.size
    right = int((errors.true_states == errors.predicted_states).sum())
    said = "nothing"
    if part is not None:
        states = state_label(int(errors.true_states[part])), state_label(int(errors.predicted_states[part]))
        said = (
            f"{part_title(skeleton, part)}: {laid.part_mm[part]:.0f} mm, turned "
            f"{errors.turned_deg[part]:.0f}°; state {states[0]}, predicted {states[1]}"
        )
    elif joint is not None:
        said = f"{joint_title(skeleton.joint_names[joint])}: {laid.joint_mm[joint]:.0f} mm"
    return (
        ("MPJPE", f"{errors.mpjpe:.0f} mm"),
        ("PA-MPJPE", f"{errors.pa_mpjpe:.0f} mm"),
        (
            "mean error by direction",
            f"{laid.away_mm:.0f} mm in depth, {laid.across_mm:.0f} mm across; {fit.partition(' (')[0]}",
        ),
        ("2D error", f"{errors.mean_px:.1f} px of {size}, {100 * errors.mean_px / size:.1f} %"),
        ("worst joint", f"{joint_title(skeleton.joint_names[worst])}, {laid.joint_mm[worst]:.0f} mm"),
        ("worst part", f"{part_title(skeleton, worst_part)}, {laid.part_mm[worst_part]:.0f} mm"),
        (
            "polarity",
            f"{right} of {skeleton.num_parts} parts right, {100 * right / skeleton.num_parts:.0f} %",
        ),
        ("marked", said),
    )


def pose_explorer(
    samples: Sequence[Sample] | None = None,
    *,
    predictions: Prediction | Float[Tensor, "N J 3"] | None = None,
    skeleton: Skeleton = HEMLETS18,
) -> Explorer:
    """Predicted against true poses, frame by frame; point out a part, and lay one pose on the other.

    Args:
        samples: With joints in camera space and a camera, such as the frames of a motion; a drawn motion
            where left out.
        predictions: Of `predict` for these samples, or poses (N, J, 3) in camera axes and millimetres;
            the shipped network's where left out.
        skeleton: Of both.

    Raises:
        ValueError: If no sample has all of its joints in space, or predictions do not fit the samples.

    Source: Fig. 4, which shows that nearly the same 2D error can go with half the 3D error.
    """
    found = compare_poses(drawn_motion() if samples is None else samples, predictions, skeleton)
    view = PoseView.of(found, skeleton)
    means = np.array([[each.mpjpe, each.pa_mpjpe] for each in found])
    numbers = tuple(float(number) for number in range(1, len(found) + 1))
    parts = view.marks[len(MARKS) : len(MARKS) + skeleton.num_parts]
    controls = (
        Slider("frame", "frame", numbers, numbers[int(means[:, 0].argmax())], playable=len(found) > 1),
        Choice("fit", "lay the poses", FITS, FITS[0]),
        Choice("mark", "point out", view.marks, MARKS[2], offline=(*MARKS, *parts)),
    )

    def draw(state: State) -> Scene:
        number, look = int(state["frame"]), {"fit": state["fit"], "mark": state["mark"]}
        errors = found[number - 1]
        rows = (*pose_rows(errors, view, **look), (_frames_panel(means, number),))
        words = pose_words(errors, view, **look)
        readout = (("frame", f"{number} of {len(found)}: {errors.name}"), *words)
        told = dict(words)
        alt = (
            f"True and predicted pose of {errors.name}, frame {number}, over the picture and in space, and "
            f"bars of the error of each joint and part: MPJPE {told['MPJPE']}, PA-MPJPE "
            f"{told['PA-MPJPE']}, worst joint {told['worst joint']}."
        )
        return Scene(rows, readout, alt)

    above = sum(
        len(panel.marks) for row in pose_rows(found[0], view, fit=FITS[0], mark=MARKS[0]) for panel in row
    )
    return Explorer(
        "pose", "Pose viewer",
        "Turn the space until you look from the side: what lies on each other in the picture is apart in "
        "depth. Then play, and lay the poses by the best similarity: which errors does that forgive?",
        controls, draw, row_heights=(330, 150, 165, 130), clicks=Clicks(above, "frame"),
    )  # fmt: skip


def _frames_panel(means: Float[np.ndarray, "N 2"], number: int) -> Panel:
    """MPJPE and PA-MPJPE over all frames; a click on one goes there."""
    count = len(means)
    frames = np.arange(1, count + 1, dtype=float)
    here = np.array([[number, 0], [number, 1.15 * means.max()]])
    root, similar = (np.stack([frames, column], 1) for column in means.T)
    marks = (
        Points(root, BLUE, "circle", 9, hover=tuple(f"frame {n:.0f}: {mm:.0f} mm" for n, mm in root)),
        Lines(root, BLUE, 2, name="MPJPE (below)"),
        Lines(similar, BLUE, 2, "dot", "PA-MPJPE (below)"),
        Lines(here, ORANGE, 3),
    )
    ticks = {frame: f"{frame:.0f}" for frame in frames if count <= 30 or frame % 10 == 0}
    return Panel(
        "mean error of every frame (mm)", marks, (0.5, count + 0.5), (0, here[1, 1]),
        labels=("frame", ""), square=False, ticks=ticks, hint=": click one to go there",
    )  # fmt: skip
