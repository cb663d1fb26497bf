"""Answers to the exercises of notebook 10."""

import math

import numpy as np
import torch

from hemlets_lib import HEMLETS18
from hemlets_lib.people import PersonBox
from hemlets_lib.triplets import UNKNOWN

# 10.1, by how much two boxes overlap


def of_the_library(first, second):
    return PersonBox(*first).overlap(PersonBox(*second))


def interval(start, length, other_start, other_length):
    return max(0.0, min(start + length, other_start + other_length) - max(start, other_start))


def with_names(first, second):
    x, y, width, height = first
    other_x, other_y, other_width, other_height = second
    common = interval(x, width, other_x, other_width) * interval(y, height, other_y, other_height)
    return common / (width * height + other_width * other_height - common)


def by_corners(first, second):
    """Torch, with corners instead of sizes."""
    boxes = torch.tensor([first, second], dtype=torch.float64)
    low, high = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
    common = (high.amin(0) - low.amax(0)).clamp(min=0).prod()
    return common / (boxes[:, 2:].prod(1).sum() - common)


def common_area(first, second, *, clamped=True):
    sides = [
        min(first[axis] + first[axis + 2], second[axis] + second[axis + 2]) - max(first[axis], second[axis])
        for axis in (0, 1)
    ]
    return math.prod(max(side, 0) for side in sides) if clamped else math.prod(sides)


def area(box):
    return math.prod(box[2:])


def never_apart(first, second):
    common = common_area(first, second, clamped=False)
    return common / (area(first) + area(second) - common)


def as_corners(first, second):
    left, top, right, bottom = first
    other_left, other_top, other_right, other_bottom = second
    across = max(0, min(right, other_right) - max(left, other_left))
    down = max(0, min(bottom, other_bottom) - max(top, other_top))
    both = (right - left) * (bottom - top) + (other_right - other_left) * (other_bottom - other_top)
    return across * down / (both - across * down)


def as_centres(first, second):
    boxes = np.array([first, second])
    boxes[:, :2] -= boxes[:, 2:] / 2
    return with_names(*boxes)


# 10.2, the depth order that is left

PARENTS, CHILDREN = zip(*HEMLETS18.parts, strict=True)


def part_by_part(states, joint_valid):
    answer = states.clone()
    for person in range(len(states)):
        for k, (parent, child) in enumerate(HEMLETS18.parts):
            if not (joint_valid[person, parent] and joint_valid[person, child]):
                answer[person, k] = UNKNOWN
    return answer


def with_arrays(states, joint_valid):
    valid = np.asarray(joint_valid)
    return np.where(valid[:, PARENTS] * valid[:, CHILDREN], np.asarray(states), UNKNOWN)


def filled(states, joint_valid):
    ends = joint_valid[:, torch.tensor(HEMLETS18.parts)]  # (B, K, 2)
    return states.masked_fill(~ends.all(dim=-1), UNKNOWN)


def as_level(states, joint_valid):
    return states * (joint_valid[:, PARENTS] & joint_valid[:, CHILDREN])


def by_one_end(ends):
    def answer(states, joint_valid):
        states[~joint_valid[:, ends]] = UNKNOWN
        return states

    return answer


def by_either_end(states, joint_valid):
    gone = ~joint_valid
    return states.masked_fill(gone[:, PARENTS] & gone[:, CHILDREN], UNKNOWN)


def by_the_parts_number(states, joint_valid):
    return [
        [int(state) if valid else UNKNOWN for state, valid in zip(row[:14], valids[:14], strict=True)]
        for row, valids in zip(states, joint_valid, strict=True)
    ]


def whole_people(states, joint_valid):
    answer = states.clone()
    answer[~joint_valid.all(dim=1)] = UNKNOWN
    return answer


def turned_round(states, joint_valid):
    ends = joint_valid[:, PARENTS] & joint_valid[:, CHILDREN]
    return states.masked_fill(ends, UNKNOWN)


def minus_one(states, joint_valid):
    answer = part_by_part(states, joint_valid)
    answer[answer == UNKNOWN] = -1
    return answer


# 10.3, the scale of weak perspective


def bones(seen_px, lengths_mm, depths_mm):
    return list(zip(seen_px.tolist(), lengths_mm.tolist(), depths_mm.tolist(), strict=True))


def term_by_term(seen_px, lengths_mm, depths_mm):
    above = sum(
        seen**2 * max(length**2 - depth**2, 0)
        for seen, length, depth in bones(seen_px, lengths_mm, depths_mm)
    )
    return math.sqrt(above / sum(seen**4 for seen in seen_px.tolist()))


def least_squares(seen_px, lengths_mm, depths_mm):
    """s² by NumPy; a δ beyond L counts as L."""
    length, depth = lengths_mm.numpy().astype(float), np.abs(depths_mm.numpy().astype(float))
    across = length**2 - np.minimum(depth, length) ** 2
    return np.linalg.lstsq(seen_px.numpy().astype(float)[:, None] ** 2, across, rcond=None)[0][0] ** 0.5


def fitted(seen_px, lengths_mm, depths_mm, *, share=1.0, limited=True):
    seen, length, depth = (np.asarray(each, dtype=float) for each in (seen_px, lengths_mm, depths_mm))
    across = length**2 - share * depth**2
    across = np.maximum(across, 0) if limited else across
    return np.sqrt(np.dot(seen**2, across) / np.dot(seen**2, seen**2))


def across_mm(lengths_mm, depths_mm):
    return torch.sqrt(torch.relu(lengths_mm**2 - depths_mm**2))


def bone_by_bone(seen_px, lengths_mm, depths_mm):
    scales = [
        math.sqrt(max(length**2 - depth**2, 0)) / seen
        for seen, length, depth in bones(seen_px, lengths_mm, depths_mm)
    ]
    return sum(scales) / len(scales)


def sum_by_sum(seen_px, lengths_mm, depths_mm):
    return across_mm(lengths_mm, depths_mm).norm() / seen_px.norm()


def of_plain_lengths(seen_px, lengths_mm, depths_mm):
    return torch.dot(seen_px, across_mm(lengths_mm, depths_mm)) / torch.dot(seen_px, seen_px)


# 10.4, a smoothed track


def frame_by_frame(track_mm, half):
    answer = []
    for at in range(len(track_mm)):
        near = [
            track_mm[other]
            for other in range(at - half, at + half + 1)
            if 0 <= other < len(track_mm) and not track_mm[other].isnan().any()
        ]
        answer.append(torch.stack(near).mean(0) if near else torch.full((3,), torch.nan))
    return torch.stack(answer)


def by_convolution(track_mm, half):
    """Sums and counts, each by a convolution with ones."""
    track = track_mm.numpy().astype(float)
    found, ones = ~np.isnan(track), np.ones(2 * half + 1)
    summed, counted = (
        np.stack([np.convolve(column, ones)[half : half + len(track)] for column in values.T], axis=1)
        for values in (np.nan_to_num(track), found.astype(float))
    )
    return np.where(counted > 0, summed / np.maximum(counted, 1), np.nan)


def by_distance(track_mm, half):
    """A matrix of weights: which frame is near which."""
    at = torch.arange(len(track_mm))
    near = ((at[:, None] - at).abs() <= half).float()
    return (near @ track_mm.nan_to_num()) / (near @ (~track_mm.isnan()).float())  # 0 / 0 is NaN


def window(track_mm, before, after, mean=np.nanmean):
    track = track_mm.numpy()
    spans = [track[max(at - before, 0) : at + after + 1] for at in range(len(track))]
    return np.stack([mean(span, axis=0) if np.isfinite(span).any() else span[0] * np.nan for span in spans])


def full_windows(track_mm, half):
    return torch.from_numpy(window(track_mm, half, half))[half : len(track_mm) - half]


def ends_repeated(track_mm, half):
    track = np.pad(track_mm.numpy(), ((half, half), (0, 0)), mode="edge")
    return window(torch.from_numpy(track), half, half)[half:-half]


def convolved(track_mm, half):
    weights = np.full(2 * half + 1, 1 / (2 * half + 1))
    columns = np.nan_to_num(track_mm.numpy()).T
    return np.stack([np.convolve(column, weights, mode="same") for column in columns], axis=1)


def holes_kept(track_mm, half):
    answer = by_distance(track_mm, half)
    answer[track_mm.isnan()] = torch.nan
    return answer


ACCEPTED = {
    "10.1": (of_the_library, with_names, by_corners),
    "10.2": (part_by_part, with_arrays, filled),
    "10.3": (term_by_term, least_squares, fitted),
    "10.4": (frame_by_frame, by_convolution, by_distance),
}

REJECTED = {
    "10.1": (
        (never_apart, "do not touch"),
        (lambda first, second: common_area(first, second) / (area(first) + area(second)), "counted twice"),
        (lambda first, second: common_area(first, second) / min(area(first), area(second)), "smaller box"),
        (lambda first, second: common_area(first, second) / area(first), "first box alone"),
        (as_corners, "lower right corner"),
        (as_centres, "lie about (x, y)"),
        (common_area, "square pixels"),
    ),
    "10.2": (
        (as_level, "called level"),
        (by_one_end(CHILDREN), "only the child's end"),
        (by_one_end(PARENTS), "only the parent's end"),
        (by_either_end, "one is enough"),
        (by_the_parts_number, "taken for joint k"),
        (whole_people, "whole person"),
        (turned_round, "upside down"),
        (minus_one, "stands for not known"),
    ),
    "10.3": (
        (lambda *given: fitted(*given) ** 2, "that is s²"),
        (lambda *given: fitted(*given, share=0.0), "depth is left out"),
        (lambda *given: fitted(*given, share=-1.0), "added to L²"),
        (lambda *given: fitted(*given, limited=False), "deeper than it is long"),
        (lambda *given: fitted(*given) ** -1, "pixels for each millimetre"),
        (bone_by_bone, "own scales"),
        (sum_by_sum, "sum by sum"),
        (of_plain_lengths, "the lengths themselves"),
    ),
    "10.4": (
        (lambda track_mm, half: window(track_mm, half, 0), "lags behind"),
        (lambda track_mm, half: window(track_mm, half, half - 1), "last frame of the window"),
        (lambda track_mm, half: window(track_mm, half, half, np.mean), "spread"),
        (lambda track_mm, half: window(track_mm.nan_to_num(), half, half), "on the pelvis"),
        (convolved, "2·half + 1"),
        (holes_kept, "gaps stay open"),
        (ends_repeated, "count several times"),
        (full_windows, "lost at both ends"),
        (lambda track_mm, half: window(track_mm, half // 2, half // 2), "wide in all"),
    ),
}
