"""Error explorer: test samples sorted and filtered by their errors; any of them opens in the pose viewer."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8
from torch import Tensor

from hemlets_lib.data.sample import Sample, resize_sample
from hemlets_lib.explorers.common import part_title
from hemlets_lib.explorers.pose import MARKS, PoseView, pose_rows, pose_words
from hemlets_lib.explorers.pose_errors import BINS, FITS, PoseErrors, bin_of, compare_poses
from hemlets_lib.explorers.scene import (
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
from hemlets_lib.prediction import Prediction
from hemlets_lib.skeleton import HEMLETS18, Skeleton
from hemlets_lib.viz import CHARCOAL, ORANGE

__all__ = ["ANY", "ON_A_PAGE", "ORDERS", "STATES", "error_explorer", "matching"]

ANY = "any"
ORDERS = ("worst first", "best first")
STATES = ("child nearer", "about the same", "child farther", "predicted wrong")
ON_A_PAGE = 12
_PICTURE_PX, _THUMB_PX = 96, 64
_PITCH = _THUMB_PX + 12  # from one thumbnail to the next
_FRAME_PX = 72  # of a figure, where a thumbnail with its edge is so large
_SIGNS = {STATES[0]: 1, STATES[1]: 0, STATES[2]: -1}


def matching(
    found: Sequence[PoseErrors],
    skeleton: Skeleton,
    *,
    order: str = ORDERS[0],
    action: str = ANY,
    polarity: str = ANY,
    at_least_mm: float = 0.0,
) -> list[int]:
    """Which predictions a choice leaves, in their order.

    Args:
        found: All of them.
        skeleton: Supplies the parts.
        order: One of `ORDERS`, by MPJPE.
        action: Of the sample, or `ANY`.
        polarity: `<part>: <one of STATES>`, of the labels, such as `R hip → R knee: child nearer`; or `ANY`.
        at_least_mm: The smallest MPJPE.

    Returns:
        Their places in `found`.
    """

    def fits(each: PoseErrors) -> bool:
        if each.mpjpe < at_least_mm or action not in (ANY, each.sample.meta.action):
            return False
        if polarity == ANY:
            return True
        title, _, state = polarity.partition(": ")
        part = [part_title(skeleton, k) for k in range(skeleton.num_parts)].index(title)
        true, predicted = int(each.true_states[part]), int(each.predicted_states[part])
        return true != predicted if state == STATES[3] else true == _SIGNS[state]

    sign = -1 if order == ORDERS[0] else 1
    return sorted(
        (place for place, each in enumerate(found) if fits(each)), key=lambda at: sign * found[at].mpjpe
    )


def error_explorer(
    samples: Sequence[Sample] | None = None,
    *,
    predictions: Prediction | Float[Tensor, "N J 3"] | None = None,
    skeleton: Skeleton = HEMLETS18,
) -> Explorer:
    """A gallery of samples with their errors: sort and filter it, and open any in the pose viewer.

    Args:
        samples: With joints in camera space and a camera, such as a test set; the shipped ones where left
            out.
        predictions: Of `predict` for these samples, or poses (N, J, 3) in camera axes and millimetres;
            the shipped network's where left out.
        skeleton: Of both.

    Raises:
        ValueError: If no sample has all of its joints in space, or predictions do not fit the samples.
    """
    if samples is None:
        from hemlets_lib.data.samples import load_samples

        samples = load_samples()
    small = [resize_sample(samples[place], _PICTURE_PX) for place in range(len(samples))]
    found = compare_poses(small, predictions, skeleton)
    thumbs = [resize_sample(each.sample, _THUMB_PX).image for each in found]
    view = PoseView.of(found, skeleton)
    mean_mm = float(np.mean([each.mpjpe for each in found]))

    def draw(state: State) -> Scene:
        places = matching(
            found, skeleton, order=state["order"], action=state["action"], polarity=state["polarity"],
            at_least_mm=state["at_least"],
        )  # fmt: skip
        pages = math.ceil(len(places) / ON_A_PAGE)
        page = min(int(state["page"]), max(pages, 1))
        shown = places[(page - 1) * ON_A_PAGE : page * ON_A_PAGE]
        chosen = min(int(state["chosen"]), max(len(shown), 1)) - 1
        # Where nothing matches, the last panels have to show something: the first of all in this order.
        opened = found[(shown or matching(found, skeleton, order=state["order"]))[chosen]]
        mark = MARKS[2] if state["polarity"] == ANY else state["polarity"].partition(": ")[0]
        gallery = _gallery([found[at] for at in shown], [thumbs[at] for at in shown], chosen)
        opened_name = opened.name if shown else f"none matches; still showing {opened.name}"
        kept_mm = float(np.mean([found[at].mpjpe for at in places])) if places else math.nan
        words = pose_words(opened, view, fit=FITS[0], mark=mark)
        readout = (
            ("matching", f"{len(places)} of {len(found)}; {_page_words(page, pages, int(state['page']))}"),
            (
                "mean MPJPE",
                f"{kept_mm:.0f} mm of these, {mean_mm:.0f} mm of all"
                if places
                else f"of none; {mean_mm:.0f} mm of all",
            ),
            ("opened", opened_name),
            *words,
        )
        alt = (
            f"{len(shown)} pictures of people with their errors, {state['order']}; opened: "
            f"{opened_name}, MPJPE {opened.mpjpe:.0f} mm, shown below with its true and predicted pose over "
            "the picture and in space, and the errors of its joints and parts."
        )
        return Scene(((gallery,), *pose_rows(opened, view, fit=FITS[0], mark=mark)), readout, alt)

    return Explorer(
        "errors", "Error explorer",
        "Click a picture to open it. Then ask for parts whose polarity was predicted wrong: is the error "
        "of those poses larger than that of the rest?",
        _controls(found, skeleton), draw, row_heights=(172, 330, 150, 165),
        clicks=Clicks(ON_A_PAGE, "chosen"),
    )  # fmt: skip


def _page_words(page: int, pages: int, asked: int) -> str:
    """Which page is shown, of those that a filter leaves; the slider counts those without a filter."""
    if not pages:
        return "no page"
    return f"page {page} of {pages}" + (f", as there is no page {asked}" if asked > pages else "")


def _controls(found: Sequence[PoseErrors], skeleton: Skeleton) -> tuple[Choice | Slider, ...]:
    of_action: dict[str, list[float]] = {}
    for each in found:
        of_action.setdefault(each.sample.meta.action, []).append(each.mpjpe)
    of_action.pop("", None)
    hardest = sorted(of_action, key=lambda action: -float(np.mean(of_action[action])))[:2]
    wrong = np.sum([each.true_states != each.predicted_states for each in found], axis=0)
    worst_part = part_title(skeleton, int(wrong.argmax()))
    polarities = tuple(
        f"{part_title(skeleton, part)}: {state}" for part in range(skeleton.num_parts) for state in STATES
    )
    offered = (ANY, f"{worst_part}: {STATES[0]}", f"{worst_part}: {STATES[3]}")
    pages = tuple(float(page) for page in range(1, math.ceil(len(found) / ON_A_PAGE) + 1))
    places = tuple(float(place) for place in range(1, ON_A_PAGE + 1))
    return (
        Choice("order", "order", ORDERS, ORDERS[0]),
        Slider(
            "at_least", "error at least", tuple(float(mm) for mm in range(0, 160, 20)), 0.0, "mm", (0.0, 60.0)
        ),
        Choice("action", "action", (ANY, *sorted(of_action)), ANY, (ANY, *hardest)),
        Choice("polarity", "a part's polarity", (ANY, *polarities), ANY, offered),
        Slider("page", "page", pages, 1.0, offline=pages[:2]),
        Slider("chosen", "opened", places, 1.0),
    )


def _gallery(shown: Sequence[PoseErrors], thumbs: Sequence[UInt8[np.ndarray, "H W 3"]], chosen: int) -> Panel:
    """A row of thumbnails with their errors; places that are not filled are white."""
    left = np.arange(ON_A_PAGE) * float(_PITCH)
    there = np.arange(ON_A_PAGE) < len(shown)
    middle = np.where(there, left + (_THUMB_PX - 1) / 2, np.nan)
    white = np.full((_THUMB_PX, _THUMB_PX, 3), 255, np.uint8)
    padding = ON_A_PAGE - len(shown)

    def row(height: float) -> Float[np.ndarray, "N 2"]:
        return np.stack([middle, np.full(ON_A_PAGE, height)], 1)

    def filled(words: Sequence[str]) -> tuple[str, ...]:
        return (*words, *[""] * padding)

    high, low, half = -8.0, _THUMB_PX + 32.0, 0.48 * _PITCH
    card = np.array([[-half, high], [half, high], [half, low], [-half, low], [-half, high]])
    card += (middle[chosen], 0.0)
    colours = [*(BINS[bin_of(each.mpjpe)].colour for each in shown), *["white"] * padding]
    marks: tuple[Mark, ...] = (
        *(
            Picture(thumbs[place] if there[place] else white, (left[place], 0.0))
            for place in range(ON_A_PAGE)
        ),
        Points(
            row((_THUMB_PX - 1) / 2), colours, "square-open", _FRAME_PX,
            hover=filled([f"{each.name}: {each.mpjpe:.1f} mm" for each in shown]),
        ),
        Points(
            row(_THUMB_PX + 12.0), CHARCOAL, texts=filled([f"{each.mpjpe:.0f} mm" for each in shown]),
            markers=False,
        ),
        Points(
            row(_THUMB_PX + 25.0), CHARCOAL, texts=filled([each.sample.meta.action for each in shown]),
            markers=False,
        ),
        Lines(card, ORANGE, 4),
    )  # fmt: skip
    return Panel(
        "samples and their MPJPE", marks, (-6.0, ON_A_PAGE * _PITCH - 6.0),
        (_THUMB_PX + 34.0, -10.0), hint=": click one to open it below",
    )  # fmt: skip
