"""Answers to the exercises of notebook 01, as readers might write them."""

from __future__ import annotations

import math

import numpy as np
import torch

from hemlets_lib.skeleton import HEMLETS18
from hemlets_lib.triplets import UNKNOWN, encode_triplets


def state_with_branches(z_parent, z_child, length):
    epsilon = length / 2
    if z_child < z_parent - epsilon:
        return 1.0
    elif z_child > z_parent + epsilon:
        return -1.0
    return 0.0


def state_by_sine(z_parent, z_child, length):
    sine = torch.tensor((z_parent - z_child) / length)
    return (sine > 0.5).int() - (sine < -0.5).int()


def state_by_numpy(z_parent, z_child, length):
    return np.sign(z_parent - z_child) * (np.abs(z_parent - z_child) > 0.5 * length)


def state_with_the_nearer_end_negative(z_parent, z_child, length):
    if z_child - z_parent > length / 2:
        return 1
    if z_parent - z_child > length / 2:
        return -1
    return 0


def state_that_forgets_the_third_case(z_parent, z_child, length):
    if z_parent - z_child > length / 2:
        return 1
    else:
        return 0


def state_with_swapped_branches(z_parent, z_child, length):
    return 1 if z_child < z_parent else -1


def state_by_lookup(label, child_first):
    if label != label:
        return UNKNOWN
    table = {(-1.0, True): 1, (1.0, True): -1, (-1.0, False): -1, (1.0, False): 1}
    return table.get((label, child_first), 0)


def state_by_factor(label, child_first):
    state = torch.tensor(label) * (1 - 2 * int(child_first))
    return torch.nan_to_num(state, nan=UNKNOWN)


def state_of_a_tree(label, child_first):
    nearer_child = (label < 0) == child_first
    if np.isnan(label):
        return np.int64(UNKNOWN)
    return np.where(label == 0, 0, np.where(nearer_child, 1, -1))


def gaussian_maps(joints_crop, states):
    """Triplets drawn peak by peak with NumPy."""
    joints, states = joints_crop.numpy(), states.numpy()
    cells = (joints + 0.5) * 16 - 0.5
    maps, at = np.zeros((len(joints), 14, 3, 16, 16)), np.arange(16)
    for person in range(len(joints)):
        for k, (parent, child) in enumerate(HEMLETS18.parts):
            for joint, which in ((parent, 0), (child, states[person, k])):
                x, y, _ = cells[person, joint]
                peak = np.exp(-2 * ((at[None, :] - x) ** 2 + (at[:, None] - y) ** 2))  # σ is half a cell
                maps[person, k, which + 1] = np.maximum(maps[person, k, which + 1], peak)
    return maps


def mirror_drawn_by_hand(joints_crop, states):
    joints = joints_crop[:, list(HEMLETS18.flip_permutation)].clone()
    joints[:, :, 0] = -joints[:, :, 0]
    return gaussian_maps(joints, states[:, list(HEMLETS18.part_flip_permutation)])


def mirror_of_the_maps(joints_crop, states):
    maps = encode_triplets(joints_crop, states, skeleton=HEMLETS18, size=16)
    return maps.flip(-1)[:, list(HEMLETS18.part_flip_permutation)]


def mirror_by_names(joints_crop, states):
    def twin(name):
        swap = {"left": "right", "right": "left"}
        side, _, rest = name.partition("_")
        return f"{swap[side]}_{rest}" if side in swap else name

    names, parts = HEMLETS18.joint_names, HEMLETS18.part_names
    joints = torch.stack([joints_crop[:, names.index(twin(name))] for name in names], 1)
    joints[..., 0] *= -1
    order = [parts.index((twin(parent), twin(child))) for parent, child in parts]
    return encode_triplets(joints, states[:, order], skeleton=HEMLETS18, size=16)


def mirror_of_the_picture_alone(joints_crop, states):
    return np.flip(encode_triplets(joints_crop, states, skeleton=HEMLETS18, size=16).numpy(), -1)


def mirror_without_the_states(joints_crop, states):
    joints = joints_crop.clone()
    joints[..., 0] = -joints[..., 0]
    return gaussian_maps(joints[:, list(HEMLETS18.flip_permutation)], states)


def mirror_that_turns_states(joints_crop, states):
    joints = joints_crop[:, list(HEMLETS18.flip_permutation)].clone()
    joints[..., 0] *= -1
    swapped = states[:, list(HEMLETS18.part_flip_permutation)]
    return gaussian_maps(joints, 0 - swapped)


def mirror_that_forgets_the_joints(joints_crop, states):
    return gaussian_maps(
        joints_crop * torch.tensor([-1, 1, 1]), states[:, list(HEMLETS18.part_flip_permutation)]
    )


ACCEPTED = {
    "01.1": (
        lambda ratio: np.degrees(np.arcsin(ratio)),
        lambda ratio: torch.asin(torch.tensor(ratio)) * 180 / torch.pi,
        lambda ratio: math.atan2(ratio, math.sqrt(1 - ratio**2)) / math.pi * 180,
    ),
    "01.2": (state_with_branches, state_by_sine, state_by_numpy),
    "01.3": (state_by_lookup, state_by_factor, state_of_a_tree),
    "01.4": (mirror_drawn_by_hand, mirror_of_the_maps, mirror_by_names),
}

REJECTED = {
    "01.1": (
        (lambda ratio: np.arcsin(ratio), "radians"),
        (lambda ratio: torch.tensor(30), "always say 30"),
        (lambda ratio: 30 * ratio / 0.5, "proportion"),
        (lambda ratio: 90 - math.degrees(math.asin(ratio)), "wrong direction"),
        (lambda ratio: np.rad2deg(np.arctan2(ratio, 1)), "in the picture"),
        (lambda ratio: np.degrees(np.arcsin(0.5 * ratio)), "halve the ratio"),
    ),
    "01.2": (
        (state_with_the_nearer_end_negative, "polarity is flipped"),
        (state_that_forgets_the_third_case, "never -1"),
        (state_with_swapped_branches, "no zero band"),
        (lambda z_parent, z_child, length: int((z_parent - z_child) / length), "too wide"),
        (
            lambda z_parent, z_child, length: np.sign(np.trunc((z_parent - z_child) / (length / 4 + 1e-9))),
            "too narrow",
        ),
        (lambda z_parent, z_child, length: np.sign(int((z_parent - z_child) / (length / 2))), "exactly ε"),
        (
            lambda z_p, z_c, length: 0 if abs(z_p - z_c) <= 150 else np.sign(z_p - z_c),
            "the same for every part",
        ),
        (lambda z_p, z_c, length: bool(abs(z_p - z_c) > length / 2), "not which way"),
    ),
    "01.3": (
        (lambda label, first: UNKNOWN if label != label else label * (2 * first - 1), "wrong way round"),
        (lambda label, first: {-1.0: 1, 1.0: -1, 0.0: 0}.get(label, UNKNOWN), "every sign"),
        (lambda label, first: torch.tensor(label).nan_to_num(UNKNOWN), "never turn"),
        (lambda label, first: np.nan_to_num(label) * (-1 if first else 1), "nobody answered is not"),
        (lambda label, first: np.multiply(label, 1 - 2 * first), "pass NaN on"),
    ),
    "01.4": (
        (mirror_of_the_picture_alone, "the names are not"),
        (mirror_without_the_states, "states do not"),
        (mirror_that_forgets_the_joints, "joints do not"),
        (mirror_that_turns_states, "polarity around"),
        (lambda joints_crop, states: mirror_by_names(-joints_crop, states), "top to bottom"),
        (gaussian_maps, "before the mirror"),
        (
            lambda joints_crop, states: encode_triplets(
                joints_crop[:, list(HEMLETS18.flip_permutation)],
                states[:, list(HEMLETS18.part_flip_permutation)],
                skeleton=HEMLETS18,
                size=16,
            ),
            "nobody moves",
        ),
    ),
}
