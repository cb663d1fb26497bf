"""Augmentation and camera explorer: which labels a turned picture keeps, and which a moved camera changes."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from hemlets_lib.augment import Augmentation, apply_augmentation
from hemlets_lib.data.sample import Batch, Sample, collate, resize_sample
from hemlets_lib.explorers.common import (
    grey_pixels,
    image_panel,
    joint_title,
    known_in_space,
    part_ticks,
    part_title,
    sample_names,
    state_lines,
    state_symbol,
)
from hemlets_lib.explorers.label_changes import BLANK, LabelChanges, label_changes, seen_from
from hemlets_lib.explorers.scene import (
    Bars,
    Choice,
    Explorer,
    Lines,
    Map,
    Mark,
    Panel,
    Picture,
    Points,
    Scene,
    Slider,
    State,
    Toggle,
)
from hemlets_lib.geometry import DEPTH_RANGE_MM, crop_to_px
from hemlets_lib.heatmaps import render_heatmaps
from hemlets_lib.skeleton import HEMLETS18, Skeleton
from hemlets_lib.triplets import UNKNOWN, part_lengths
from hemlets_lib.viz import CHARCOAL, GREEN, ORANGE, PURPLE, state_colour, state_label

__all__ = ["augmentation_explorer"]

_CELLS = 64  # a heatmap's side, as the paper's
_SHADES = 32  # of the heatmap: as many as are seen, and a page holds it in half of the bytes
_PICTURE_PX = 256
_BEFORE = "#b0b0b0"  # of what was
_REACH_MM = DEPTH_RANGE_MM / 2  # of the depth axis: the volume's own
_MOVED_PX, _MOVED_MM = 0.05, 0.5  # less is rounding
_NOTE_PX = 20  # below each picture, for a note
_HIGHEST_RATIO, _CUT_AT = 3.0, 2.8  # of the length axis, and where marks of what lies above it stand


def augmentation_explorer(
    samples: Sequence[Sample] | None = None, *, skeleton: Skeleton = HEMLETS18
) -> Explorer:
    """Turn, scale and mirror a picture as training does, or move its camera; see what becomes of the labels.

    Args:
        samples: With joints in camera space and a camera; the shipped ones where left out.
        skeleton: Theirs.

    Raises:
        ValueError: If no sample has all of its joints in space.

    Source: 'Implementation details' (±30°, 0.75-1.25, mirror); Eq. (1) for what depends on the camera.
    """
    named = sample_names(known_in_space(samples, skeleton))
    first = max(named, key=lambda name: int(named[name].part_states.ne(0).sum()))
    turns = tuple(float(angle) for angle in range(-180, 181, 10))
    controls = (
        Choice("sample", "pose", tuple(named), first, offline=(first,)),
        Slider("rotation", "turn the picture", turns, 0.0, "°", offline=(-30.0, 0.0, 30.0, 90.0)),
        Slider("scale", "scale it", tuple(round(0.05 * step, 2) for step in range(10, 31)), 1.0,
               offline=(0.75, 1.0, 1.25)),
        Toggle("flip", "mirror it", False),
        Slider("azimuth", "camera round", turns, 0.0, "°",
               offline=(-90.0, -30.0, 0.0, 30.0, 90.0, 180.0)),
        Slider("elevation", "camera up", tuple(map(float, range(-30, 61, 10))), 0.0, "°",
               offline=(0.0, 30.0)),
        Slider("distance", "its distance ×", (0.6, 0.7, 0.8, 0.9, 1.0, 1.2, 1.5, 2.0), 1.0,
               offline=(0.7, 1.0)),
    )  # fmt: skip

    @functools.cache
    def whole(name: str) -> Sample:
        return resize_sample(named[name], _PICTURE_PX)

    @functools.lru_cache(maxsize=256)
    def augmented(name: str, camera: tuple[float, ...], rotation: float, scale: float, flip: bool) -> Batch:
        sample = whole(name)
        if camera != (0.0, 0.0, 1.0):
            azimuth, elevation, distance = camera
            sample = seen_from(
                sample, azimuth_deg=azimuth, elevation_deg=elevation, distance=distance, skeleton=skeleton
            )
        if (rotation, scale, flip) == (0.0, 1.0, False):
            return collate([sample])
        recipe = Augmentation(torch.tensor([rotation]), torch.tensor([scale]), flip=torch.tensor([flip]))
        return apply_augmentation(collate([sample]), recipe, skeleton=skeleton)

    def draw(state: State) -> Scene:
        camera = (state["azimuth"], state["elevation"], state["distance"])
        before = augmented(state["sample"], (0.0, 0.0, 1.0), 0.0, 1.0, False)
        after = augmented(state["sample"], camera, state["rotation"], state["scale"], state["flip"])
        return _scene(before, after, state, camera != (0.0, 0.0, 1.0), skeleton)

    return Explorer(
        "augmentation", "Augmentation and camera explorer",
        "Turn the picture by 90°, then scale it: every joint moves, and no mark below leaves its grey one. "
        "Set both back and walk round the person: at 180° each + has become a −.",
        controls, draw, row_heights=(345, 176, 232),
    )  # fmt: skip


def _scene(before: Batch, after: Batch, state: State, camera_moved: bool, skeleton: Skeleton) -> Scene:
    changes = label_changes(before, after, skeleton, renamed=state["flip"])
    grounds = [grey_pixels(batch.images[0].permute(1, 2, 0)) for batch in (before, after)]
    if camera_moved:
        grounds[1] = np.full_like(grounds[1], BLANK)
    joints = [crop_to_px(batch.joints_crop[0, :, :2], _PICTURE_PX).numpy() for batch in (before, after)]
    states = [batch.part_states[0] for batch in (before, after)]
    rows = (
        (
            _pose_panel("before", grounds[0], joints[0], states[0], False, skeleton),
            _pose_panel("after", grounds[1], joints[1], states[1], camera_moved, skeleton),
            _heatmap_panel(grounds[1], after),
        ),
        (_polarity_panel(states, skeleton),),
        (_depth_panel(before, after, skeleton), _length_panel(changes, before, after, skeleton)),
    )
    readout = _readout(changes, state, camera_moved, skeleton)
    said = dict(readout)
    alt = (
        "A person before and after, with parts coloured by state, and the heatmaps after. Below, before and "
        "after on top of each other: states of all parts, depths of joints, lengths of parts. "
        f"2D joints: {said['2D joints']}. Depth: {said['depth behind the root']}. "
        f"Polarity: {said['polarity']}."
    )
    return Scene(rows, readout, alt)


def _readout(
    changes: LabelChanges, state: State, camera_moved: bool, skeleton: Skeleton
) -> tuple[tuple[str, str], ...]:
    """Which labels changed, in words and numbers."""
    names = ", but left and right have swapped names" if changes.renamed else ""
    done = {
        "turned": state["rotation"] != 0,
        "scaled": state["scale"] != 1,
        "mirrored": state["flip"],
    }
    altered = ", ".join(word for word, was in done.items() if was)
    picture = f"{altered}, with the labels" if altered else "as it was"
    ratios = changes.length_ratios[changes.length_ratios.isfinite()]
    shortest, longest = float(ratios.min()), float(ratios.max())
    return (
        (
            "2D joints",
            f"changed: {changes.joints_px:.1f} px of {_PICTURE_PX} on average"
            if changes.joints_px > _MOVED_PX
            else "unchanged",
        ),
        (
            "depth behind the root",
            f"changed by up to {changes.depth_mm:.0f} mm{names}"
            if changes.depth_mm > _MOVED_MM
            else f"unchanged{names}",
        ),
        (
            "polarity",
            f"changed in {changes.states} of {skeleton.num_parts} parts{names}"
            if changes.states
            else f"unchanged in all {skeleton.num_parts} parts{names}",
        ),
        (
            "lengths in space",
            f"changed by up to {changes.length_mm:.1f} mm" if changes.length_mm > _MOVED_MM else "unchanged",
        ),
        ("lengths in the picture", f"× {shortest:.2f} to × {longest:.2f}"),
        ("picture", "none: nobody took one from there" if camera_moved else picture),
    )


def _pose_panel(
    title: str, ground: np.ndarray, joints_px: np.ndarray, states: Tensor, blank: bool, skeleton: Skeleton
) -> Panel:
    """A picture with its pose; the legend's entries are those of the first, `before`."""
    size, legend = ground.shape[0], title == "before"
    pose: tuple[Lines | Points, ...] = (
        *state_lines(joints_px, states, skeleton),
        *_sided_joints(joints_px, skeleton),
    )
    note = np.array([[size / 2, size + _NOTE_PX / 2]]) if blank else np.full((1, 2), np.nan)
    marks: tuple[Mark, ...] = (
        Picture(ground),
        *(mark if legend else replace(mark, name="") for mark in pose),
        Points(note, CHARCOAL, texts=("no picture from here",), markers=False),
    )
    return _noted(image_panel(title, marks, size))


def _noted(panel: Panel) -> Panel:
    """A picture's panel with room below, for a note that lies on nothing."""
    bottom, top = panel.y
    return replace(panel, y=(bottom + _NOTE_PX, top))


def _sided_joints(joints_px: np.ndarray, skeleton: Skeleton) -> tuple[Points, ...]:
    """Left and right joints in their colours and shapes: a mirror swaps them."""
    sides = (("left", PURPLE, "square"), ("right", GREEN, "circle"))
    return tuple(
        Points(
            joints_px[places], colour, symbol, 8,
            hover=tuple(joint_title(skeleton.joint_names[j]) for j in places), name=f"{side} joints",
        )
        for side, colour, symbol in sides
        for places in [[j for j, name in enumerate(skeleton.joint_names) if name.startswith(f"{side}_")]]
    )  # fmt: skip


def _heatmap_panel(ground: np.ndarray, after: Batch) -> Panel:
    maps = render_heatmaps(after.joints_crop, size=_CELLS)[0] * after.in_crop[0, :, None, None]
    highest = (maps.amax(0) * _SHADES).round() / _SHADES
    marks = (Picture(ground), Map(highest, ORANGE, ground.shape[0]))
    return _noted(image_panel("2D heatmaps after, all joints", marks, ground.shape[0]))


def _polarity_panel(states: Sequence[Int[Tensor, "K"]], skeleton: Skeleton) -> Panel:
    """All parts' states, before in grey below after; a line leads from one to the other."""
    were, are = ([math.nan if s == UNKNOWN else s for s in each.tolist()] for each in states)
    count = skeleton.num_parts
    ways = np.array([[x, y] for k in range(count) for x, y in ((k, were[k]), (k, are[k]), (math.nan,) * 2)])
    after = states[1].tolist()
    hover = tuple(
        f"{part_title(skeleton, k)}: {state_label(s)}" if s != UNKNOWN else part_title(skeleton, k)
        for k, s in enumerate(after)
    )
    marks = (
        Lines(np.array([[-0.6, 0], [count - 0.4, 0]]), "#bbbbbb", 1),
        Lines(ways, _BEFORE, 4),
        Points(
            np.array(list(enumerate(were)), dtype=float), _BEFORE,
            tuple(map(state_symbol, states[0].tolist())), 22,
        ),
        Points(
            np.array(list(enumerate(are)), dtype=float), tuple(map(state_colour, after)),
            tuple(map(state_symbol, after)), 12, hover=hover,
        ),
    )  # fmt: skip
    return Panel(
        "polarity of all parts: large and grey before, small and coloured after   (+ ▲   0 ●   − ▼)", marks,
        (-0.6, count - 0.4), (-1.6, 1.6), square=False, ticks=part_ticks(skeleton),
    )  # fmt: skip


def _depth_panel(before: Batch, after: Batch, skeleton: Skeleton) -> Panel:
    """Depth behind the root of the joints that end a part: bars before, marks after."""
    ends = sorted({joint for part in skeleton.parts for joint in part} - {skeleton.root})
    were, are = (
        (batch.joints_crop[0, ends, 2] * DEPTH_RANGE_MM).numpy().astype(float) for batch in (before, after)
    )
    places = np.arange(len(ends), dtype=float)
    names = [joint_title(skeleton.joint_names[joint]) for joint in ends]
    hover = tuple(f"{name}: {depth:.0f} mm" for name, depth in zip(names, are, strict=True))
    marks = (
        Bars(places, were, _BEFORE),
        Points(np.stack([places, are], 1), CHARCOAL, "diamond", 9, hover=hover),
    )
    ticks = {float(at): name.replace(" ", "\n") for at, name in enumerate(names)}
    return Panel(
        "depth behind the root: bars before, diamonds after", marks, (-0.6, len(ends) - 0.4),
        (-_REACH_MM, _REACH_MM), labels=("", "mm, + is farther"), weight=2.6, square=False, ticks=ticks,
    )  # fmt: skip


def _length_panel(changes: LabelChanges, before: Batch, after: Batch, skeleton: Skeleton) -> Panel:
    """Every limb's length, after / before, in space and in the picture."""
    order = list(skeleton.part_flip_permutation if changes.renamed else range(skeleton.num_parts))
    in_space = (
        part_lengths(after.joints_cam_mm[0], skeleton)
        / part_lengths(before.joints_cam_mm[0], skeleton)[order]
    )
    places = np.arange(skeleton.num_parts, dtype=float)
    in_picture = changes.length_ratios.double().numpy()
    hover = tuple(part_title(skeleton, k) for k in range(skeleton.num_parts))
    beyond = np.where(in_picture > _HIGHEST_RATIO, _CUT_AT, np.nan)  # they lie above the axis
    marks = (
        Lines(np.array([[-1.0, 1.0], [skeleton.num_parts, 1.0]]), "#bbbbbb", 1),
        Points(np.stack([places, in_picture], 1), ORANGE, "x", 13, hover=hover, name="length in the picture"),
        Points(np.stack([places, in_space.double().numpy()], 1), CHARCOAL, "circle", 7, hover=hover,
               name="length in space"),
        Points(np.stack([places, beyond], 1), ORANGE, "triangle-up", 11, hover=hover),
        Points(np.stack([places, beyond - 0.28], 1), CHARCOAL, markers=False,
               texts=tuple(f"{ratio:.1f}" if ratio > _HIGHEST_RATIO else "" for ratio in in_picture)),
    )  # fmt: skip
    return Panel(
        "lengths, after / before (▲: above 3)", marks, (-0.6, skeleton.num_parts - 0.4),
        (0, _HIGHEST_RATIO), labels=("part, in the order above", ""), square=False,
    )  # fmt: skip
