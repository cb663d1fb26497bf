"""Volume viewer: a joint's scores in space, their expectation (Eq. 5) and their arg-max."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from hemlets_lib.data.sample import Sample, resize_sample
from hemlets_lib.explorers.common import grey_pixels, image_panel, joint_title, known_in_space, sample_names
from hemlets_lib.explorers.scene import (
    Bars,
    Choice,
    Explorer,
    Isosurface,
    Lines,
    Map,
    Mark,
    Panel,
    Picture,
    Points,
    Scene,
    Slider,
    State,
)
from hemlets_lib.explorers.volume_scores import (
    NEAR_CELLS,
    REACH_CELLS,
    JointScores,
    ReadOut,
    around,
    middle_cell,
    predict_volumes,
    read_out,
    two_peaks,
)
from hemlets_lib.geometry import DEPTH_RANGE_MM, Grid, crop_to_cam
from hemlets_lib.model import HEMletsNet
from hemlets_lib.viz import BLUE, CHARCOAL, GREEN, ORANGE, SKY

__all__ = ["MADE_UP", "volume_explorer"]

MADE_UP = "made up: two peaks, 60 % and 40 %"
_MADE_UP_MM = 2000.0  # a side of its volume
_MADE_UP_APART = 1 / 3  # of the depth, between its peaks: both lie in the space shown
_MADE_UP_SIGMA = 0.8  # cells
_PICTURE_PX = 256
_NAMES = ("soft-argmax (Eq. 5)", "arg-max", "truth")
_COLOURS = (ORANGE, CHARCOAL, GREEN)
_SYMBOLS = ("circle", "square", "diamond")


def volume_explorer(
    samples: Sequence[Sample] | None = None, model: HEMletsNet | None = None, *, joint: str = "left_wrist"
) -> Explorer:
    """A joint's volume as a surface, in slices and by its marginals; the temperature moves its expectation.

    Args:
        samples: With joints in camera space and a camera; the shipped ones where left out.
        model: The network that scores them; the shipped smallest one where left out.
        joint: To begin with.

    Raises:
        ValueError: If no sample has all of its joints in space, or there is no such joint.

    Source: Eq. (5), integral regression after Sun et al. 2018. Eq. (5) has no temperature: β is 1 there.
    """
    if model is None:
        from hemlets_lib.checkpoint import load_checkpoint
        from hemlets_lib.data.samples import find_weights

        model = load_checkpoint(find_weights("nano")).model
    network, skeleton = model, model.config.skeleton
    named = sample_names(known_in_space(samples, skeleton))
    start = skeleton.index(joint)
    titles = tuple(map(joint_title, skeleton.joint_names))
    first = next(iter(named))
    offered = tuple(titles[each] for each in sorted({start, skeleton.num_joints // 6, skeleton.root}))
    levels = (0.01, 0.02, 0.05, *(round(0.1 * step, 1) for step in range(1, 10)))
    controls = (
        Choice("source", "scores", (*named, MADE_UP), first, offline=(first, MADE_UP)),
        Choice("joint", "joint", titles, titles[start], offline=offered),
        Slider(
            "beta", "β, on the scores", (0.25, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.7, 8.0), 1.0,
            offline=(0.25, 0.5, 1.0, 2.0, 4.0, 8.0), playable=True,
        ),
        Slider("level", "surface at", levels, 0.05, "of the peak", offline=(0.02, 0.05, 0.2, 0.5)),
        Slider(
            "cut", "front slice", tuple(map(float, range(-12, 13))), 0.0, "cells behind",
            offline=(-4.0, -2.0, -1.0, 0.0, 1.0, 2.0, 4.0, 8.0, 12.0),
        ),
    )  # fmt: skip

    @functools.lru_cache(maxsize=16)
    def volumes(name: str) -> Tensor:
        return predict_volumes(network, named[name])

    @functools.lru_cache(maxsize=64)
    def scores(name: str, number: int) -> JointScores:
        if name == MADE_UP:
            nowhere, blank = (
                torch.full((3,), torch.nan),
                np.full((_PICTURE_PX, _PICTURE_PX, 3), 245, np.uint8),
            )
            return JointScores(
                two_peaks(network.config.volume_size, sigma=_MADE_UP_SIGMA, apart=_MADE_UP_APART),
                Grid.CELL_CENTRED,
                nowhere,
                lambda at: at * _MADE_UP_MM,
                blank,
            )
        return _scores_of(named[name], volumes(name)[number], number, network)

    @functools.lru_cache(maxsize=64)
    def reading(name: str, number: int, beta: float) -> ReadOut:
        return read_out(scores(name, number), beta)

    def draw(state: State) -> Scene:
        number = titles.index(state["joint"])
        mine = scores(state["source"], number)
        middle = middle_cell(mine, reading(state["source"], number, 1.0))
        return _scene(mine, reading(state["source"], number, state["beta"]), middle, state)

    return Explorer(
        "volume", "Volume viewer",
        "Take the made-up scores and move β: the expectation wanders between two peaks, through places where "
        "the joint certainly is not, and the arg-max stays. Then find a joint of the network that does so.",
        controls, draw, row_heights=(400, 215),
    )  # fmt: skip


def _scores_of(sample: Sample, logits: Tensor, joint: int, model: HEMletsNet) -> JointScores:
    """The volume's depth spans `depth_range_mm`, crop space `DEPTH_RANGE_MM`."""
    camera, joints_mm, root = sample.camera, sample.joints_cam_mm, model.config.skeleton.root
    assert camera is not None and joints_mm is not None  # as `known_in_space` chose
    stretch = torch.tensor([1.0, 1.0, model.config.depth_range_mm / DEPTH_RANGE_MM])
    root_mm = joints_mm[root]

    def to_mm(places: Tensor) -> Tensor:
        cam_mm = crop_to_cam(
            (places * stretch).float(), camera, sample.affine, size=sample.size, root_depth_mm=root_mm[2]
        )
        return cam_mm - root_mm

    ground = grey_pixels(resize_sample(sample, _PICTURE_PX).image)
    return JointScores(logits, Grid(model.config.grid), sample.joints_crop[joint] / stretch, to_mm, ground)


def _scene(scores: JointScores, found: ReadOut, middle: tuple[int, int, int], state: State) -> Scene:
    depth, _, column = found.peak
    cut = min(max(depth + int(state["cut"]), 0), found.probs.shape[0] - 1)
    shares = found.probs / found.probs.max()
    front = shares[cut]
    rows = (
        (
            _space_panel(scores, found, shares, cut, middle, state["level"]),
            _slice_panel(
                "front slice, at one depth", scores, found, front, (0, 1), scores.ground,
                f"highest here: {float(front.max()):.2g} of the peak",
            ),
            _slice_panel(
                "side slice, through the arg-max", scores, found, shares[:, :, column].T,
                (2, 1), np.full_like(scores.ground, 245), "← camera      away →",
            ),
        ),
        tuple(_marginal_panel(axis, scores, found) for axis in range(3)),
    )  # fmt: skip
    return Scene(rows, _words(scores, found, cut, middle, state["level"]), _alt(scores, found, state))


def _edges(scores: JointScores) -> Float[np.ndarray, "3 2"]:
    """The volume's outer edges along x, y, z: half a cell beyond the outer cells' centres."""
    ends = [
        [float(scores.grid.to_crop(torch.tensor(at), n)) for at in (-0.5, n - 0.5)]
        for n in scores.logits.shape[::-1]
    ]
    return np.array(ends)


def _from_middle(
    scores: JointScores, found: ReadOut, middle: tuple[int, int, int]
) -> Float[np.ndarray, "3 3"]:
    """Expectation, arg-max and truth in cells from the middle of the space shown, (x, y, z)."""
    sizes = scores.logits.shape[::-1]
    cells = [scores.grid.to_cells(found.places[:, axis], n) - middle[axis] for axis, n in enumerate(sizes)]
    return torch.stack(cells, 1).numpy()


def _space_panel(
    scores: JointScores,
    found: ReadOut,
    shares: Tensor,
    cut: int,
    middle: tuple[int, int, int],
    level: float,
) -> Panel:
    """Axes: right, away, up, in cells from the middle; the whole volume would leave the surface tiny."""
    edge = REACH_CELLS + 0.5
    places = _from_middle(scores, found, middle)[:, [0, 2, 1]] * (1, 1, -1)
    places = np.where(np.abs(places).max(1, keepdims=True) > edge, np.nan, places)
    at = cut - middle[2]
    corners = ((-edge, -edge), (edge, -edge), (edge, edge), (-edge, edge), (-edge, -edge))
    frame = np.array([(x, at if abs(at) < edge else np.nan, z) for x, z in corners])
    marks: tuple[Mark, ...] = (
        Isosurface(around(shares, middle), level, (-edge,) * 3, (edge,) * 3, BLUE),
        Lines(frame, BLUE, 3, "dash", "front slice"),
        Lines(places[:2], CHARCOAL, 3, "dot"),
        *(
            Points(places[each : each + 1], _COLOURS[each], _SYMBOLS[each], 7, name=_NAMES[each])
            for each in range(3)
        ),
    )
    ends = (-1.05 * edge, 1.05 * edge)
    return Panel(
        f"in space: the surface at this level, ±{REACH_CELLS} cells", marks, ends, ends, ends,
        ("x (cells)", "z (cells, away)", "−y (cells, up)"), 1.25, hint=" (drag to turn)",
    )  # fmt: skip


def _slice_panel(
    title: str,
    scores: JointScores,
    found: ReadOut,
    shares: Tensor,
    axes: tuple[int, int],
    ground: np.ndarray,
    said: str,
) -> Panel:
    """A slice over a picture, with the places projected onto it; axes are those to the right and down."""
    side = ground.shape[0]
    edges = _edges(scores)[list(axes)]
    places = (found.places.numpy()[:, list(axes)] - edges[:, 0]) / (edges[:, 1] - edges[:, 0]) * side - 0.5
    marks: tuple[Mark, ...] = (
        Picture(ground),
        Map(shares, BLUE, side),
        *(Points(places[each : each + 1], _COLOURS[each], _SYMBOLS[each], 11) for each in range(3)),
        Points(np.array([[side / 2, 0.95 * side]]), CHARCOAL, texts=(said,), markers=False),
    )
    return image_panel(title, marks, side)


def _marginal_panel(axis: int, scores: JointScores, found: ReadOut) -> Panel:
    """Probability along an axis in cells, and where the places are on it."""
    heights = found.marginals[axis].numpy()
    cells = len(heights)
    at = [float(scores.grid.to_cells(place[axis], cells)) for place in found.places]
    marks = (
        Bars(np.arange(cells, dtype=float), heights, SKY),
        *(
            mark
            for each in range(3)
            for mark in (
                Lines(np.array([[at[each], 0.0], [at[each], 0.94 + 0.07 * each]]), _COLOURS[each], 2),
                Points(np.array([[at[each], 0.94 + 0.07 * each]]), _COLOURS[each], _SYMBOLS[each], 9),
            )
        ),
    )
    letter = "xyz"[axis]
    what = ("to the right", "down", "away")[axis]
    return Panel(
        f"probability along {letter}, {what}", marks, (-0.7, cells - 0.3), (0, 1.15),
        labels=(f"{letter} (cells)", "probability" if axis == 0 else ""), square=False,
    )  # fmt: skip


def _triple(values: Tensor, form: str) -> str:
    return f"({', '.join(format(float(value), form) for value in values)})".replace("-", "−")


def _words(
    scores: JointScores, found: ReadOut, cut: int, middle: tuple[int, int, int], level: float
) -> tuple[tuple[str, str], ...]:
    there = bool(scores.truth.isfinite().all())
    places_mm = scores.to_mm(found.places).double()

    def said(each: int) -> str:
        words = f"{_triple(found.places[each], '+.2f')}, {_triple(places_mm[each], '+.0f')} mm"
        off = float((places_mm[each] - places_mm[2]).norm())
        return words + (f", {off:.0f} mm off" if there and each < 2 else "")

    apart = float((places_mm[0] - places_mm[1]).norm())
    at = float(scores.grid.to_crop(torch.tensor(float(cut)), scores.logits.shape[0]))
    return (
        (_NAMES[0], said(0)),
        (_NAMES[1], said(1)),
        (_NAMES[2], said(2) if there else "made up: there is none"),
        ("soft-argmax to arg-max", f"{apart:.0f} mm"),
        (
            f"within {NEAR_CELLS} cells",
            f"of the expectation {100 * found.near[0]:.1f} %, of the arg-max {100 * found.near[1]:.1f} %",
        ),
        ("entropy", f"{found.entropy_bits:.1f} bits: as of {2**found.entropy_bits:.0f} equally likely cells"),
        ("front slice", f"cell {cut}, z = {at:+.3f}".replace("-", "−")),
        ("surface", f"at {level:g} of the peak"),
        ("space shown", _shown_words(scores, found, middle)),
    )


def _shown_words(scores: JointScores, found: ReadOut, middle: tuple[int, int, int]) -> str:
    """Which cells the space shows, their share of the probability, and which places are not in it."""
    x, y, z = middle
    share = 100 * float(around(found.probs, middle).sum())
    offsets = _from_middle(scores, found, middle)
    outside = [
        name
        for name, offset in zip(_NAMES, offsets, strict=True)
        if np.abs(offset).max() > REACH_CELLS + 0.5  # not where it is NaN
    ]
    words = f"±{REACH_CELLS} cells about x {x}, y {y}, z {z}; {share:.1f} % of the probability"
    return words + (f"; outside: {', '.join(outside)}" if outside else "")


def _alt(scores: JointScores, found: ReadOut, state: State) -> str:
    places_mm = scores.to_mm(found.places).double()
    apart = float((places_mm[0] - places_mm[1]).norm())
    whose = state["joint"] if state["source"] != MADE_UP else "a made-up joint"
    return (
        f"The volume of {whose} in space, in a front and a side slice, and its probability along three axes: "
        f"at β of {state['beta']:g} the expectation is {apart:.0f} mm from the arg-max, and within "
        f"{NEAR_CELLS} cells of it lie {100 * found.near[0]:.0f} % of the probability."
    )
