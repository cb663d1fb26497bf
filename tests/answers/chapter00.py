"""Answers to the exercises of notebook 00, as readers might write them."""

from __future__ import annotations

import numpy as np
import torch

STATES = [-1, 0, 1]


def state_with_branches(heat):
    farther, level, nearer = heat.tolist()
    if nearer > level and nearer > farther:
        return 1
    if farther > level:
        return -1
    return 0


def state_without_the_middle(heat):
    farther, _, nearer = heat.tolist()
    if nearer > farther:
        return 1
    return -1


def state_above_half(heat):
    for state, value in zip(STATES, heat.tolist(), strict=True):
        if value > 0.5:
            return state
    return 0


def moved_joint_by_joint(joints_mm, root):
    return [[float(x - y) for x, y in zip(joint, joints_mm[root], strict=True)] for joint in joints_mm]


def moved_in_depth(joints_mm, root):
    moved = joints_mm.numpy().copy()
    moved[:, 2] -= moved[root, 2]
    return moved


def moved_in_the_picture(joints_mm, root):
    x, y, z = joints_mm.T
    return torch.stack([x - x[root], y - y[root], z], dim=1)


def moved_without_the_root(joints_mm, root):
    return np.delete((joints_mm - joints_mm[root]).numpy(), root, axis=0)


def error_in_a_loop(predicted, target, known):
    total, count = 0.0, 0
    for j in range(len(known)):
        if known[j]:
            off = (predicted[j] - predicted[0]) - (target[j] - target[0])
            total, count = total + float((off**2).sum()) ** 0.5, count + 1
    return total / count


def error_by_numpy(predicted, target, known):
    off = (predicted - target).numpy()
    distances = np.linalg.norm(off - off[0], axis=1)
    return np.mean(distances[known.numpy()])


def off(predicted, target):
    difference = (predicted - target).numpy()
    return difference - difference[:1]


def seen_by_matrix(joints_mm, degrees):
    angle = torch.deg2rad(torch.tensor(degrees))
    c, s, zero = angle.cos(), angle.sin(), torch.zeros(())
    rows = [torch.stack(row) for row in ((c, zero, s), (zero, zero + 1, zero), (-s, zero, c))]
    return joints_mm @ torch.stack(rows).T


def seen_by_complex_numbers(joints_mm, degrees):
    x, y, z = joints_mm.numpy().T
    turned = (x + 1j * z) * np.exp(-1j * np.radians(degrees))
    return np.stack([turned.real, y, turned.imag], 1)


def turned(joints_mm, angle, axes=(0, 2)):
    pose = joints_mm.numpy().astype(float).copy()
    u, v = pose[:, axes[0]].copy(), pose[:, axes[1]].copy()
    pose[:, axes[0]] = np.cos(angle) * u + np.sin(angle) * v
    pose[:, axes[1]] = np.cos(angle) * v - np.sin(angle) * u
    return pose


ACCEPTED = {
    "00.1": (
        state_with_branches,
        lambda heat: np.argmax(heat.numpy()) - 1,
        lambda heat: max(STATES, key=lambda state: heat[state + 1]),
    ),
    "00.2": (
        moved_joint_by_joint,
        lambda joints_mm, root: joints_mm.numpy() - joints_mm.numpy()[root : root + 1],
        lambda joints_mm, root: torch.stack([joint - joints_mm[root] for joint in joints_mm]),
    ),
    "00.3": (
        error_in_a_loop,
        error_by_numpy,
        lambda p, t, known: (
            torch.linalg.vector_norm(p - p[:1] - t + t[:1], dim=1) * known
        ).sum() / known.sum(),
    ),
    "00.4": (
        seen_by_matrix,
        seen_by_complex_numbers,
        lambda joints_mm, degrees: turned(joints_mm, np.radians(degrees)),
    ),
}  # fmt: skip

REJECTED = {
    "00.1": (
        (lambda heat: {0: 1, 1: 0, 2: -1}[int(heat.argmax())], "polarity is flipped"),
        (lambda heat: np.argmax(heat.numpy()), "counted from 0"),
        (lambda heat: min(STATES, key=lambda state: heat[state + 1]), "faintest"),
        (state_without_the_middle, "never answer level"),
        (state_above_half, "strong in itself"),
        (lambda heat: np.rint(np.average(STATES, weights=heat.numpy())), "average the states"),
    ),
    "00.2": (
        (lambda joints_mm, root: joints_mm.numpy() + joints_mm[root].numpy(), "away from the origin"),
        (lambda joints_mm, root: -(joints_mm - joints_mm[root]), "wrong sign"),
        (lambda joints_mm, root: joints_mm.numpy() - np.mean(joints_mm.numpy(), axis=0), "middle of all"),
        (moved_in_depth, "depth alone"),
        (moved_in_the_picture, "x and y alone"),
        (lambda joints_mm, root: [joint - joints_mm[0] for joint in joints_mm], "first joint for the root"),
        (moved_without_the_root, "left the root out"),
    ),
    "00.3": (
        (
            lambda p, t, known: np.linalg.norm((p - t).numpy(), axis=1)[known.numpy()].mean(),
            "where they are",
        ),
        (lambda p, t, known: np.linalg.norm(off(p, t), axis=1).mean(), "not labelled count"),
        (
            lambda p, t, known: (np.linalg.norm(off(p, t), axis=1) * known.numpy()).mean(),
            "number of all joints",
        ),
        (lambda p, t, known: (off(p, t)[known.numpy()] ** 2).sum(1).mean(), "average squared"),
        (lambda p, t, known: (off(p, t)[known.numpy()] ** 2).sum(1).mean() ** 0.5, "root mean square"),
        (lambda p, t, known: np.abs(off(p, t)[known.numpy()]).mean(), "single coordinates"),
        (lambda p, t, known: np.hypot(*off(p, t)[known.numpy(), :2].T).mean(), "depth is missing"),
        (lambda p, t, known: sum(np.linalg.norm(row) for row in off(p, t)[known.numpy()]), "add the joints"),
    ),
    "00.4": (
        (lambda joints_mm, degrees: turned(joints_mm, -np.radians(degrees)), "the other way"),
        (lambda joints_mm, degrees: turned(joints_mm, degrees), "want radians"),
        (lambda joints_mm, degrees: turned(joints_mm, np.radians(degrees), (1, 2)), "about the x axis"),
        (lambda joints_mm, degrees: turned(joints_mm, np.radians(degrees), (0, 1)), "line of sight"),
        (
            lambda joints_mm, degrees: turned(joints_mm, np.radians(degrees)) * np.array([1, 1, -1]),
            "mirrored",
        ),
    ),
}  # fmt: skip
