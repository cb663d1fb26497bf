"""Answers to the exercises of notebook 08, as readers might write them."""

from __future__ import annotations

import numpy as np
import torch


def levels_with_branches(angle, variant):
    if abs(angle) < 30:
        return 0, 0
    side = 1 if angle > 0 else -1
    if variant == "2s":
        return -side, side
    if variant == "5s" and abs(angle) > 60:
        return 0, 2 * side
    return 0, side


def levels_by_sine(angle, variant):
    sine = torch.tensor(angle).deg2rad().sin()
    bounds = torch.tensor([0.5, 3**0.5 / 2] if variant == "5s" else [0.5])
    child = (sine.abs() > bounds).sum() * sine.sign()
    return torch.stack([-child if variant == "2s" else 0 * child, child])


def levels_by_table(angle, variant):
    bounds = {"hemlets": [-30, 30], "2s": [-30, 30], "5s": [-60, -30, 30, 60]}[variant]
    child = np.digitize(angle, bounds) - len(bounds) // 2
    return np.array([-child if variant == "2s" else 0, child])


def two_peaks(parent, child, places, size, dtype=np.int64):
    maps = np.zeros((3, size, size), dtype)
    for joint, place in zip((parent, child), places, strict=True):
        maps[place][joint[1]][joint[0]] = 1
    return maps


def peaks_in_torch(parent, child, state, size):
    maps = torch.zeros(3, size * size)
    maps[1 - state, parent[1] * size + parent[0]] = 1
    maps[1 + state, child[1] * size + child[0]] = 1
    return maps.reshape(3, size, size)


def peaks_by_maximum(parent, child, state, size):
    def one(x, y):
        column, row = np.meshgrid(np.arange(size), np.arange(size))
        return ((column == x) & (row == y)).astype(float)

    empty = np.zeros((size, size))
    order = {-1: [one(*child), empty, one(*parent)], 1: [one(*parent), empty, one(*child)]}
    return np.stack(order.get(state, [empty, np.maximum(one(*parent), one(*child)), empty]))


def peaks_that_add_up(parent, child, state, size):
    return two_peaks(parent, parent, (1 - state,) * 2, size) + two_peaks(child, child, (1 + state,) * 2, size)


def guess_by_enumeration(shares, moving_ends):
    guess = int(np.argmax(shares.numpy()))
    return sum(
        float(share) * (0 if state == guess else moving_ends * 2) for state, share in enumerate(shares)
    )


def holm_in_a_loop(p_values):
    left, stand = list(range(len(p_values))), set()
    while left:
        smallest = min(left, key=lambda i: p_values[i])
        if p_values[smallest] > 0.05 / len(left):
            break
        stand.add(smallest)
        left.remove(smallest)
    return [i in stand for i in range(len(p_values))]


def holm_by_numpy(p_values):
    p = np.array(p_values)
    order = p.argsort(kind="stable")
    adjusted = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    stand = np.empty(len(p), bool)
    stand[order] = adjusted <= 0.05
    return stand


def holm_that_never_stops(p_values):
    p = torch.tensor(p_values)
    rank = (p[:, None] > p[None, :]).sum(1)
    return p * (len(p) - rank) <= 0.05


def benjamini_hochberg(p_values):
    p = np.array(p_values)
    ranked = np.sort(p)
    below = np.flatnonzero(ranked <= 0.05 * np.arange(1, len(p) + 1) / len(p))
    return p <= (ranked[below[-1]] if len(below) else -1)


ACCEPTED = {
    "08.1": (levels_with_branches, levels_by_sine, levels_by_table),
    "08.2": (
        peaks_in_torch,
        peaks_by_maximum,
        lambda parent, child, state, size: two_peaks(parent, child, (1 - state, state + 1), size),
    ),
    "08.3": (
        guess_by_enumeration,
        lambda shares, ends: 2 * ends * (shares.sum() - shares.max()),
        lambda shares, ends: np.sort(shares.numpy())[:-1].sum() * ends * 2,
    ),
    "08.4": (holm_in_a_loop, holm_by_numpy),
}

REJECTED = {
    "08.1": (
        (lambda angle, variant: -levels_by_sine(angle, variant), "polarity is flipped"),
        (lambda angle, variant: (0, levels_with_branches(angle, variant)[1]), "does not stay in the middle"),
        (
            lambda angle, variant: levels_by_table(angle, "2s" if variant == "2s" else "hemlets"),
            "second step",
        ),
        (lambda angle, variant: levels_with_branches(np.sign(angle) * 40, variant), "no part is level"),
        (lambda angle, name: levels_by_table(angle, name) + (2 if name == "5s" else 1), "counted from 0"),
        (lambda angle, variant: levels_by_sine(angle, variant).flip(0), "parent comes first"),
    ),
    "08.2": (
        (lambda p, c, state, size: two_peaks(p, c, (1 + state, 1 - state), size), "polarity is flipped"),
        (lambda p, c, state, size: two_peaks(p, c, (1, 1 + state), size), "that is HEMlets"),
        (lambda p, c, state, size: peaks_in_torch(p, c, state, size).mT, "x and y"),
        (lambda p, c, state, size: two_peaks(p, c, (-state, state), size), "indexes the *last*"),
        (peaks_that_add_up, "add up"),
        (lambda p, c, state, size: two_peaks(p, c, [1 + state] * 2, size), "in one map"),
        (lambda p, c, state, size: two_peaks(c, c, [1 + state] * 2, size), "parent is missing"),
    ),
    "08.3": (
        (lambda shares, ends: ends * (1 - (shares**2).sum()), "Eq. (8.2)"),
        (lambda shares, ends: ends * (1 - float(max(shares))), "costs twice"),
        (lambda shares, ends: 2 - 2 * np.max(shares.numpy()), "how many ends"),
        (lambda shares, ends: 2 * ends * shares.max(), "*right*"),
        (lambda shares, ends: 2 * ends * (1 - shares[shares.numel() // 2]), "level for the commonest"),
        (lambda shares, ends: 2 * ends * (1 - 1 / len(shares)), "equally common"),
        (lambda shares, ends: 2 * ends * (1 - shares.min()), "not the rarest"),
    ),
    "08.4": (
        (lambda p_values: np.array(p_values) < 0.05, "the only one"),
        (lambda p_values: torch.tensor(p_values) * len(p_values) < 0.05, "Bonferroni"),
        (lambda p_values: holm_in_a_loop(sorted(p_values)), "in order of size"),
        (holm_that_never_stops, "go on after"),
        (benjamini_hochberg, "Benjamini"),
        (lambda p_values: ~holm_by_numpy(p_values), "wrong way round"),
    ),
}  # fmt: skip
