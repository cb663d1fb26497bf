"""The exercises of notebook 10: your own photo, your own mocap."""

from __future__ import annotations

import torch
from torch import Tensor

from hemlets_lib.exercises.contract import Exercise, Mistake
from hemlets_lib.exercises.inputs import random_tensor
from hemlets_lib.skeleton import HEMLETS18
from hemlets_lib.triplets import UNKNOWN, part_mask

__all__ = ["EXERCISES"]

Box = tuple[float, float, float, float]  # x, y of the upper left corner; width, height


def _overlap(first: Box, second: Box) -> float:
    common = _common(first, second)
    return common / (_area(first) + _area(second) - common)


def _area(box: Box) -> float:
    return box[2] * box[3]


def _extents(first: Box, second: Box) -> tuple[float, float]:
    """How far two boxes reach over each other, across and down; below 0 where they are apart."""
    return (
        min(first[0] + first[2], second[0] + second[2]) - max(first[0], second[0]),
        min(first[1] + first[3], second[1] + second[3]) - max(first[1], second[1]),
    )


def _common(first: Box, second: Box) -> float:
    across, down = _extents(first, second)
    return max(across, 0.0) * max(down, 0.0)


def _overlap_unclamped(first: Box, second: Box) -> float:
    across, down = _extents(first, second)
    return across * down / (_area(first) + _area(second) - across * down)


def _from_corners(box: Box) -> Box:
    """A box whose last two numbers are taken for its lower right corner."""
    return box[0], box[1], box[2] - box[0], box[3] - box[1]


_OVERLAP_MISTAKES = (
    Mistake(
        "boxes that do not touch get an overlap: two negative extents make a positive area, so each has to "
        "be stopped at 0 before they are multiplied",
        _overlap_unclamped,
    ),
    Mistake(
        "the common part is counted twice below: it belongs to both boxes, and to the area that they cover "
        "together only once",
        lambda first, second: _common(first, second) / (_area(first) + _area(second)),
    ),
    Mistake(
        "you divide by the smaller box: then a small box within a large one counts as the same, and is "
        "left out",
        lambda first, second: _common(first, second) / min(_area(first), _area(second)),
    ),
    Mistake(
        "you divide by the first box alone: the two boxes must be exchangeable",
        lambda first, second: _common(first, second) / _area(first),
    ),
    Mistake(
        "the last two numbers are taken for the lower right corner: they are width and height",
        lambda first, second: _overlap(_from_corners(first), _from_corners(second)),
    ),
    Mistake(
        "the boxes are taken to lie about (x, y): that is their upper left corner",
        lambda first, second: _overlap(
            (first[0] - first[2] / 2, first[1] - first[3] / 2, first[2], first[3]),
            (second[0] - second[2] / 2, second[1] - second[3] / 2, second[2], second[3]),
        ),
    ),
    Mistake(
        "that is the common area in square pixels: a share of the area that both cover was asked for",
        _common,
    ),
)


def _known_states(states: Tensor, joint_valid: Tensor) -> Tensor:
    return torch.where(part_mask(states, joint_valid, HEMLETS18), states, UNKNOWN)


_PARENTS, _CHILDREN = list(HEMLETS18.part_parents), list(HEMLETS18.part_children)

_KNOWN_STATES_MISTAKES = (
    Mistake(
        "what is not known is called level: 0 is a statement about depth, `UNKNOWN` is none",
        lambda states, joint_valid: torch.where(
            joint_valid[:, _PARENTS] & joint_valid[:, _CHILDREN], states, 0
        ),
    ),
    Mistake(
        "only the child's end is looked at: a part whose parent is missing has no depth order either",
        lambda states, joint_valid: torch.where(joint_valid[:, _CHILDREN], states, UNKNOWN),
    ),
    Mistake(
        "only the parent's end is looked at: a part whose child is missing has no depth order either",
        lambda states, joint_valid: torch.where(joint_valid[:, _PARENTS], states, UNKNOWN),
    ),
    Mistake(
        "a part is given up only where both its ends are missing: one is enough",
        lambda states, joint_valid: torch.where(
            joint_valid[:, _PARENTS] | joint_valid[:, _CHILDREN], states, UNKNOWN
        ),
    ),
    Mistake(
        "part k is taken for joint k: there are 14 parts and 18 joints, and `HEMLETS18.parts` says which "
        "joints a part ends in",
        lambda states, joint_valid: torch.where(joint_valid[:, : states.shape[1]], states, UNKNOWN),
    ),
    Mistake(
        "one missing joint silences the whole person: the parts that do not end in it stay known",
        lambda states, joint_valid: torch.where(joint_valid.all(1, keepdim=True), states, UNKNOWN),
    ),
    Mistake(
        "the mask is upside down: where both ends are labelled, the state stays",
        lambda states, joint_valid: torch.where(
            joint_valid[:, _PARENTS] & joint_valid[:, _CHILDREN], UNKNOWN, states
        ),
    ),
    Mistake(
        "-1 stands for not known in your answer: it is the state of a child that is farther away",
        lambda states, joint_valid: torch.where(part_mask(states, joint_valid, HEMLETS18), states, -1),
    ),
)


def _mm_per_px(seen_px: Tensor, lengths_mm: Tensor, depths_mm: Tensor) -> Tensor:
    """s of least Σ ((s ℓ)² + δ² - L²)²: s² = Σ ℓ² (L² - δ²) / Σ ℓ⁴, by its derivative with respect to s²."""
    seen = seen_px.square()
    return ((seen * _across(lengths_mm, depths_mm)).sum() / seen.square().sum()).sqrt()


def _across(lengths_mm: Tensor, depths_mm: Tensor) -> Tensor:
    """(L² - δ²), what is left of a bone's squared length across the line of sight."""
    return (lengths_mm.square() - depths_mm.square()).clamp_min(0)


def _without_limit(seen_px: Tensor, lengths_mm: Tensor, depths_mm: Tensor) -> Tensor:
    seen, across = seen_px.square(), lengths_mm.square() - depths_mm.square()
    return ((seen * across).sum() / seen.square().sum()).sqrt()


def _with_sum(seen_px: Tensor, lengths_mm: Tensor, depths_mm: Tensor) -> Tensor:
    seen, longer = seen_px.square(), lengths_mm.square() + depths_mm.square()
    return ((seen * longer).sum() / seen.square().sum()).sqrt()


_MM_PER_PX_MISTAKES = (
    Mistake(
        "that is s²: the sum is least at that *square*, and a scale was asked for",
        lambda seen_px, lengths_mm, depths_mm: _mm_per_px(seen_px, lengths_mm, depths_mm).square(),
    ),
    Mistake(
        "depth is left out: a bone that comes out of the image plane looks shorter than it is",
        lambda seen_px, lengths_mm, depths_mm: _mm_per_px(seen_px, lengths_mm, torch.zeros_like(depths_mm)),
    ),
    Mistake(
        "δ² is added to L²: of the bone's length it is what *cannot* be seen",
        _with_sum,
    ),
    Mistake(
        "a bone deeper than it is long pulls the scale down: a δ beyond L counts as L, which leaves 0 to "
        "be seen",
        _without_limit,
    ),
    Mistake(
        "that is pixels for each millimetre: a pose in millimetres takes the other one",
        lambda seen_px, lengths_mm, depths_mm: 1 / _mm_per_px(seen_px, lengths_mm, depths_mm),
    ),
    Mistake(
        "you average the bones' own scales: in the sum of squares a long bone counts for more, and a mean "
        "of ratios gives all the same say",
        lambda seen_px, lengths_mm, depths_mm: (_across(lengths_mm, depths_mm).sqrt() / seen_px).mean(),
    ),
    Mistake(
        "you divide sum by sum: that makes the *totals* agree, and is not where the derivative is 0",
        lambda seen_px, lengths_mm, depths_mm: (
            _across(lengths_mm, depths_mm).sum() / seen_px.square().sum()
        ).sqrt(),
    ),
    Mistake(
        "you fit the lengths themselves: in the sum that is asked for they stand squared, each term being "
        "the square of a difference of squares",
        lambda seen_px, lengths_mm, depths_mm: (
            (seen_px * _across(lengths_mm, depths_mm).sqrt()).sum() / seen_px.square().sum()
        ),
    ),
)


def _smoothed(track_mm: Tensor, half: int) -> Tensor:
    frames = range(len(track_mm))
    return torch.stack([track_mm[max(0, at - half) : at + half + 1].nanmean(0) for at in frames])


def _spans(track_mm: Tensor, before: int, after: int) -> Tensor:
    """Means over other windows, gaps left out."""
    frames = range(len(track_mm))
    return torch.stack([track_mm[max(0, at - before) : at + after + 1].nanmean(0) for at in frames])


def _with_plain_means(track_mm: Tensor, half: int) -> Tensor:
    frames = range(len(track_mm))
    return torch.stack([track_mm[max(0, at - half) : at + half + 1].mean(0) for at in frames])


def _padded(track_mm: Tensor, half: int) -> Tensor:
    """The first and the last frame repeated beyond the ends."""
    first, last = track_mm[:1].expand(half, -1), track_mm[-1:].expand(half, -1)
    return _spans(torch.cat([first, track_mm, last]), half, half)[half : half + len(track_mm)]


def _always_divided(track_mm: Tensor, half: int) -> Tensor:
    """By the full window's count, so that whatever is not there counts as 0."""
    frames = range(len(track_mm))
    sums = torch.stack([track_mm[max(0, at - half) : at + half + 1].nansum(0) for at in frames])
    return sums / (2 * half + 1)


_SMOOTHED_MISTAKES = (
    Mistake(
        "your answer lags behind: the window has to reach as far ahead as back, or every movement comes late",
        lambda track_mm, half: _spans(track_mm, half, 0),
    ),
    Mistake(
        "the last frame of the window is missing: `half` frames before, the frame itself, and `half` after",
        lambda track_mm, half: _spans(track_mm, half, half - 1) if half else track_mm,
    ),
    Mistake(
        "frames in which the joint was not found spread: a mean with a NaN in it is NaN, so leave those out",
        _with_plain_means,
    ),
    Mistake(
        "frames in which the joint was not found count as 0 mm, on the pelvis: they must not count at all",
        lambda track_mm, half: _with_plain_means(track_mm.nan_to_num(0.0), half),
    ),
    Mistake(
        "you always divide by 2·half + 1: near the ends, and beside gaps, there are fewer frames in the "
        "window",
        _always_divided,
    ),
    Mistake(
        "gaps stay open: where the neighbours are known, their mean is what can be said of the frame between",
        lambda track_mm, half: torch.where(track_mm.isnan(), torch.nan, _smoothed(track_mm, half)),
    ),
    Mistake(
        "the first and the last frame count several times: beyond the video's ends there is nothing",
        _padded,
    ),
    Mistake(
        "frames are lost at both ends: every frame gets an answer, from as much of the window as there is",
        lambda track_mm, half: _smoothed(track_mm, half)[half : len(track_mm) - half],
    ),
    Mistake(
        "the window is `half` frames wide in all: it reaches `half` frames to *each* side",
        lambda track_mm, half: _spans(track_mm, half // 2, half // 2),
    ),
)


def _track(frames: int, lost: tuple[int, ...], seed: int) -> Tensor:
    """A joint that wanders, NaN where it was not found."""
    track_mm = 40 * random_tensor(frames, 3, seed=seed).cumsum(0)
    track_mm[list(lost)] = torch.nan
    return track_mm


def _labels(seed: int) -> tuple[Tensor, Tensor]:
    """States of three people, some unknown from the start, and joints of which some are missing."""
    states = random_tensor(3, 14, seed=seed).round().clamp(-1, 1).long()
    states[:, 5] = UNKNOWN
    joint_valid = random_tensor(3, 18, seed=seed + 9) < 1
    joint_valid[0] = True
    return states, joint_valid


EXERCISES: dict[str, Exercise] = {
    "10.1": Exercise(
        "By how much two boxes overlap.",
        _overlap,
        (
            ((0.0, 0.0, 4.0, 2.0), (2.0, 0.0, 4.0, 2.0)),
            ((583.0, 15.0, 114.0, 229.0), (591.0, 15.0, 114.0, 229.0)),
            ((0.0, 0.0, 10.0, 10.0), (2.0, 3.0, 5.0, 5.0)),
            ((0.0, 0.0, 30.0, 30.0), (40.0, 60.0, 25.0, 20.0)),  # apart
            ((61.0, 17.0, 133.0, 225.0), (120.0, 90.0, 85.0, 229.0)),
        ),
        _OVERLAP_MISTAKES,
    ),
    "10.2": Exercise(
        "The depth order that is left where joints are not labelled.",
        _known_states,
        (_labels(1), _labels(2)),
        _KNOWN_STATES_MISTAKES,
    ),
    "10.3": Exercise(
        "The scale of weak perspective.",
        _mm_per_px,
        (
            (torch.tensor([30.0]), torch.tensor([250.0]), torch.tensor([-200.0])),
            (torch.tensor([30.0, 80.0]), torch.tensor([250.0, 450.0]), torch.tensor([200.0, 90.0])),
            (
                torch.tensor([55.0, 12.0, 70.0, 31.0]),
                torch.tensor([260.0, 240.0, 430.0, 420.0]),
                torch.tensor([20.0, -290.0, 0.0, 380.0]),  # the second deeper than it is long
            ),
        ),
        _MM_PER_PX_MISTAKES,
    ),
    "10.4": Exercise(
        "A joint's track over a video, smoothed.",
        _smoothed,
        (
            (_track(6, (), seed=1), 1),
            (_track(7, (3,), seed=2), 1),
            (_track(9, (0, 4, 5, 6), seed=3), 2),
            (_track(12, (2, 3, 4, 5, 6, 7), seed=4), 2),  # a gap longer than the window
        ),
        _SMOOTHED_MISTAKES,
    ),
}
