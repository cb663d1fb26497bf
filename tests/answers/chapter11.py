"""Answers to the exercises of notebook 11, as readers might write them."""

from __future__ import annotations

import math

import numpy as np
import torch

from hemlets_lib.triplets import UNKNOWN


def doubled_for_each_open_part(states):
    poses = 1
    for state in states:
        poses *= 1 if abs(state) == 1 else 2
    return poses


def halved_for_each_label(states):
    settled = np.isin(np.array(states), (-1, 1)).sum()
    return 2 ** len(states) / 2**settled


def seen_with_a_matrix(bone_mm, azimuth_deg):
    a = np.deg2rad(azimuth_deg)
    forward = np.array([-np.sin(a), 0, np.cos(a)])  # the moved camera's line of sight
    depth = float(np.dot(bone_mm, forward))
    return 0 if abs(depth) <= np.linalg.norm(bone_mm) / 2 else -int(np.sign(depth))


def seen_by_torch(bone_mm, azimuth_deg):
    bone, angle = torch.tensor(bone_mm), torch.deg2rad(torch.tensor(azimuth_deg))
    nearer = bone[0] * torch.sin(angle) - bone[2] * torch.cos(angle)
    band = 0.5 * bone.norm()
    return (nearer > band).int() - (nearer < -band).int()


def seen_from_the_left(bone_mm, azimuth_deg):
    x, _, z = bone_mm
    a = math.radians(azimuth_deg)
    nearer = -(math.cos(a) * z + math.sin(a) * x)
    band = math.sqrt(sum(c * c for c in bone_mm)) / 2
    return 1 if nearer > band else -1 if nearer < -band else 0


def seen_in_radians(bone_mm, azimuth_deg):
    return seen_with_a_matrix(bone_mm, np.rad2deg(azimuth_deg))


def seen_in_a_turned_picture(bone_mm, azimuth_deg):
    return seen_with_a_matrix(bone_mm, 0.0)


def seen_from_above(bone_mm, azimuth_deg):
    _, y, z = bone_mm
    a = math.radians(azimuth_deg)
    nearer = -(math.sin(a) * y + math.cos(a) * z)
    return int(nearer > np.linalg.norm(bone_mm) / 2) - int(nearer < -np.linalg.norm(bone_mm) / 2)


def seen_without_a_band(bone_mm, azimuth_deg):
    a = math.radians(azimuth_deg)
    nearer = round(math.sin(a) * bone_mm[0] - math.cos(a) * bone_mm[2], 6)
    return np.sign(nearer)


def seen_with_a_band(band_mm):
    """Answers that turn as they should and take their own half band: from the bone before and after."""

    def answer(bone_mm, azimuth_deg):
        a = np.deg2rad(azimuth_deg)
        turn = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
        before = np.array(bone_mm)
        after = turn @ before
        return 0 if abs(after[2]) <= band_mm(before, after) else -int(np.sign(after[2]))

    return answer


def seen_from_where_it_was(bone_mm, azimuth_deg):
    sine = bone_mm[2] / np.linalg.norm(bone_mm)
    return 0 if abs(sine) <= 0.5 else -np.sign(sine)


def leaves_by_search(tilt_deg, epsilon_ratio):
    azimuths = np.linspace(0, 90, 900_001)
    reach = np.sin(np.radians(azimuths)) * np.cos(np.radians(tilt_deg))
    if reach.max() <= epsilon_ratio + 1e-12:
        return math.inf
    low, high = 0.0, 90.0
    for _ in range(60):
        middle = (low + high) / 2
        if math.sin(math.radians(middle)) * math.cos(math.radians(tilt_deg)) > epsilon_ratio:
            high = middle
        else:
            low = middle
    return high


def leaves_by_torch(tilt_deg, epsilon_ratio):
    sine = epsilon_ratio / torch.cos(torch.deg2rad(torch.tensor(tilt_deg, dtype=torch.float64)))
    return torch.rad2deg(torch.asin(sine)) if 0 <= sine < 1 else torch.tensor(torch.inf)


def leaves_at_last(tilt_deg, epsilon_ratio):
    sine = epsilon_ratio / max(np.cos(np.radians(tilt_deg)), 1e-9)
    return np.degrees(np.arcsin(np.clip(sine, 0, 1)))


def leaves_with_numpy(tilt_deg, epsilon_ratio):
    with np.errstate(invalid="ignore"):
        return np.rad2deg(np.arcsin(epsilon_ratio / np.cos(np.deg2rad(tilt_deg))))


def leaves_by_sine(tilt_deg, epsilon_ratio):
    down = np.sin(np.deg2rad(tilt_deg))
    return np.rad2deg(np.arcsin(epsilon_ratio / down)) if down > epsilon_ratio else np.inf


def leaves_by_degrees(tilt_deg, epsilon_ratio):
    across = np.cos(tilt_deg)
    if across <= epsilon_ratio:
        return np.inf
    return np.rad2deg(np.arcsin(epsilon_ratio / across))


def leaves_by_degrees_unless_above_one(tilt_deg, epsilon_ratio):
    sine = epsilon_ratio / np.cos(tilt_deg)
    if sine >= 1:
        return np.inf
    return np.rad2deg(np.arcsin(sine))


def where_it_does(rule):
    def answer(tilt_deg, epsilon_ratio):
        right = leaves_by_torch(tilt_deg, epsilon_ratio)
        return right if torch.isinf(right) else rule(tilt_deg, epsilon_ratio)

    return answer


def mean_over_bits(steps_mm, signs, open_):
    free = [k for k, known in enumerate(open_) if known]
    total = 0.0
    for code in range(2 ** len(free)):
        z = sum(2 * signs[k] * steps_mm[k] for bit, k in enumerate(free) if code >> bit & 1)
        total += abs(z)
    return total / 2 ** len(free)


def mean_by_recursion(steps_mm, signs, open_):
    def offsets(k):
        if k == len(steps_mm):
            return [0.0]
        rest = offsets(k + 1)
        return rest + [each + 2 * signs[k] * steps_mm[k] for each in rest] if open_[k] else rest

    return np.abs(offsets(0)).mean()


def all_ends(steps_mm, signs, open_):
    """Depth of the chain's end in all poses left, and its true depth."""
    ends = np.zeros(1)
    for step, sign, free in zip(steps_mm, signs, open_, strict=True):
        ends = np.concatenate([ends - sign * step, ends + sign * step] if free else [ends - sign * step])
    return ends, -np.dot(signs, steps_mm)


def mean_of_differences(steps_mm, signs, open_):
    ends, true = all_ends(steps_mm, signs, open_)
    return np.abs(ends - true).mean()


def without_the_truth(steps_mm, signs, open_):
    ends, true = all_ends(steps_mm, signs, open_)
    return np.abs(ends - true).sum() / max(len(ends) - 1, 1)


ACCEPTED = {
    "11.1": (doubled_for_each_open_part, halved_for_each_label),
    "11.2": (seen_with_a_matrix, seen_by_torch),
    "11.3": (leaves_by_search, leaves_by_torch),
    "11.4": (mean_over_bits, mean_by_recursion, mean_of_differences),
}

REJECTED = {
    "11.1": (
        (lambda states: np.prod([2 if s == UNKNOWN else 1 for s in states]), "not settled"),
        (lambda states: 2 ** list(states).count(0), "nobody labelled"),
        (lambda states: 1 << len(states), "labels unused"),
        (lambda states: 2 ** np.sum(np.abs(states) == 1), "settled parts"),
        (lambda states: sum(0 if s in (1, -1) else 2 for s in states), "choices multiply"),
        (lambda states: np.prod([1 if abs(s) == 1 else 3 for s in states]), "three states"),
        (lambda states: len([s for s in states if s not in (1, -1)]), "not poses"),
    ),
    "11.2": (
        (seen_from_the_left, "wrong way"),
        (lambda bone_mm, azimuth_deg: -1 * seen_by_torch(bone_mm, azimuth_deg), "flipped"),
        (seen_in_radians, "radians"),
        (seen_in_a_turned_picture, "never use `azimuth_deg`"),
        (seen_from_where_it_was, "never use `azimuth_deg`"),
        (seen_from_above, "over the person's head"),
        (seen_without_a_band, "no zero band"),
        (seen_with_a_band(lambda before, after: np.linalg.norm(after[:2]) / 2), "length in the picture"),
        (seen_with_a_band(lambda before, after: np.linalg.norm(before[:2]) / 2), "before turning"),
        (seen_with_a_band(lambda before, after: np.linalg.norm(before) + 1e-6), "too wide"),
    ),
    "11.3": (
        (lambda tilt, ratio: np.rad2deg(np.arcsin(ratio)), "never use `tilt_deg`"),
        (where_it_does(lambda tilt, ratio: np.rad2deg(np.arcsin(ratio))), "forget the tilt"),
        (leaves_by_sine, "share downwards"),
        (leaves_by_degrees, "tilt comes in degrees"),
        (leaves_by_degrees_unless_above_one, "is negative"),
        (leaves_with_numpy, "no number above 1"),
        (lambda tilt, ratio: np.rad2deg(np.arcsin(ratio * np.cos(np.deg2rad(tilt)))), "multiply ε"),
        (
            where_it_does(lambda tilt, ratio: np.rad2deg(np.arcsin(ratio)) / np.cos(np.deg2rad(tilt))),
            "divide the angle",
        ),
        (lambda tilt, ratio: np.rad2deg(np.arcsin(ratio)) / np.cos(np.deg2rad(tilt)), "divide asin(ε)"),
        (leaves_at_last, "every part leaves"),
        (
            where_it_does(lambda tilt, ratio: np.degrees(np.arcsin(ratio * np.cos(np.radians(tilt))))),
            "less far to go",
        ),
        (
            where_it_does(lambda tilt, ratio: math.asin(ratio / math.cos(math.radians(tilt)))),
            "in radians",
        ),
        (where_it_does(lambda tilt, ratio: math.degrees(math.asin(ratio)) + tilt), "simply add up"),
        (
            where_it_does(lambda tilt, ratio: np.degrees(np.arcsin(0.5 / np.cos(np.radians(tilt))))),
            "always take",
        ),
        (
            where_it_does(lambda tilt, ratio: np.degrees(np.arccos(ratio / np.cos(np.radians(tilt))))),
            "wrong direction",
        ),
    ),
    "11.4": (
        (lambda steps_mm, signs, open_: mean_over_bits([s / 2 for s in steps_mm], signs, open_), "twice"),
        (
            lambda steps_mm, signs, open_: (
                np.ptp(np.append(all_ends(steps_mm, signs, open_)[0], all_ends(steps_mm, signs, open_)[1]))
                if len(set(signs)) == 1
                else np.abs(np.subtract(*all_ends(steps_mm, signs, open_))).max()
            ),
            "worst pose",
        ),
        (
            lambda steps_mm, signs, open_: sum(s for s, free in zip(steps_mm, open_, strict=True) if free),
            "can cancel",
        ),
        (
            lambda steps_mm, signs, open_: np.subtract(*all_ends(steps_mm, signs, open_)).mean(),
            "not negative",
        ),
        (
            lambda steps_mm, signs, open_: mean_of_differences(steps_mm, signs, [True for _ in open_]),
            "leave the labels unused",
        ),
        (
            lambda steps_mm, signs, open_: np.sqrt(
                (np.subtract(*all_ends(steps_mm, signs, open_)) ** 2).mean()
            ),
            "root of the mean square",
        ),
        (without_the_truth, "true pose out"),
    ),
}
