"""Answers to the exercises of notebook 06."""

import statistics
from collections import defaultdict
from itertools import groupby, pairwise

import numpy as np
import torch

# 06.1, MPJPE with the root


def from_the_sum(mpjpe_mm, num_joints):
    sum_mm = mpjpe_mm * num_joints
    return (sum_mm + 0.0) / (num_joints + 1)


def with_a_zero(mpjpe_mm, num_joints):
    return np.mean([0.0] + [mpjpe_mm] * num_joints)


# 06.2, the mean of the actions' means


def gathered(errors, actions):
    found = defaultdict(list)
    for error, action in zip(errors.tolist(), actions.tolist(), strict=True):
        found[action].append(error)
    return found


def by_dictionary(errors, actions):
    return statistics.fmean(statistics.fmean(group) for group in gathered(errors, actions).values())


def by_weights(errors, actions):
    """Each frame weighs one over its action's frames."""
    _, place, count = np.unique(actions.numpy(), return_inverse=True, return_counts=True)
    return np.average(errors.numpy(), weights=1 / count[place])


def by_scatter(errors, actions):
    present, place = actions.unique(return_inverse=True)
    sums = torch.zeros(len(present)).index_add(0, place, errors)
    return (sums / place.bincount()).mean()


def over_frames(errors, actions):
    return sum(errors.tolist()) / len(errors)


def of_all_numbers(errors, actions):
    means = np.zeros(int(actions.max()) + 1)
    for action in np.unique(actions):
        means[action] = errors.numpy()[actions.numpy() == action].mean()
    return means.mean()


def of_sums(errors, actions):
    return np.mean([sum(group) for group in gathered(errors, actions).values()])


def over_the_frames_again(errors, actions):
    return sum(np.mean(group) for group in gathered(errors, actions).values()) / len(actions)


def of_runs(errors, actions):
    means, start = [], 0
    for _, run in groupby(actions.tolist()):
        length = len(list(run))
        means.append(errors[start : start + length].mean().item())
        start += length
    return np.mean(means)


# 06.3, the error after the best scale


def distances(predicted, target):
    return np.linalg.norm(np.asarray(predicted) - np.asarray(target), axis=-1)


def rooted(pose):
    pose = np.asarray(pose, dtype=float)
    return pose - pose[:1]


def projected(predicted, target):
    """Least squares with one unknown, by NumPy."""
    predicted, target = rooted(predicted), rooted(target)
    (scale,), *_ = np.linalg.lstsq(predicted.reshape(-1, 1), target.ravel(), rcond=None)
    return distances(scale * predicted, target).mean()


def by_loops(predicted, target):
    joints, above, below = range(len(predicted)), 0.0, 0.0
    for j in joints:
        for axis in range(3):
            x = float(predicted[j, axis] - predicted[0, axis])
            above += x * float(target[j, axis] - target[0, axis])
            below += x * x
    moved = [(above / below) * (predicted[j] - predicted[0]) - (target[j] - target[0]) for j in joints]
    return sum(float(off.norm()) for off in moved) / len(predicted)


def by_search(predicted, target):
    """Newton's step from anywhere: the sum is a parabola in s."""
    predicted, target = (torch.as_tensor(rooted(pose)) for pose in (predicted, target))
    s = torch.zeros((), dtype=torch.float64, requires_grad=True)
    slope = torch.autograd.grad((s * predicted - target).square().sum(), s)[0]
    return (-slope / (2 * predicted.square().sum()) * predicted - target).norm(dim=1).mean()


def at_scale(predicted, target, scale):
    return distances(scale * rooted(predicted), rooted(target))


def best(predicted, target):
    predicted, target = np.asarray(predicted, dtype=float), np.asarray(target, dtype=float)
    return np.vdot(predicted, target) / np.vdot(predicted, predicted)


def not_rooted(predicted, target):
    return distances(best(predicted, target) * predicted.numpy(), target).mean()


def equally_large(predicted, target):
    size = [np.sqrt((rooted(pose) ** 2).sum()) for pose in (predicted, target)]
    return at_scale(predicted, target, size[1] / size[0]).mean()


def wrong_denominator(predicted, target):
    return at_scale(predicted, target, best(rooted(target), rooted(predicted))).mean()


def by_centroids(predicted, target):
    predicted, target = predicted - predicted.mean(dim=0), target - target.mean(dim=0)
    return distances(best(predicted, target) * predicted, target).mean()


# 06.4, AUC with gaps

THRESHOLDS = np.linspace(0, 150, 31)


def auc(errors, thresholds=THRESHOLDS, below=np.less):
    errors = np.asarray(errors, dtype=float).ravel()
    return 100 * np.mean([np.mean(below(errors, threshold)) for threshold in thresholds])


def labelled(errors_mm):
    return [error for error in errors_mm.flatten().tolist() if error == error]


def one_by_one(errors_mm):
    known = labelled(errors_mm)
    right = sum(1 for threshold in range(0, 151, 5) for error in known if error < threshold)
    return 100 * right / (31 * len(known))


def by_numpy(errors_mm):
    return auc(labelled(errors_mm))


def by_nanmean(errors_mm):
    right = (errors_mm[..., None] < torch.arange(31) * 5).float()
    right[errors_mm.isnan()] = torch.nan
    return 100 * right.nanmean()


def by_pose(errors_mm):
    return np.mean([auc(labelled(pose)) for pose in errors_mm])


def trapezoids(errors_mm):
    curve = [auc(labelled(errors_mm), [threshold]) for threshold in THRESHOLDS]
    return sum((low + high) / 2 for low, high in pairwise(curve)) * 5 / 150


ACCEPTED = {
    "06.1": (from_the_sum, with_a_zero),
    "06.2": (by_dictionary, by_weights, by_scatter),
    "06.3": (projected, by_loops, by_search),
    "06.4": (one_by_one, by_numpy, by_nanmean),
}

REJECTED = {
    "06.1": (
        (lambda mpjpe_mm, num_joints: mpjpe_mm * (1 + 1 / num_joints), "the other way"),
        (lambda mpjpe_mm, num_joints: np.mean([mpjpe_mm] * num_joints), "changes nothing"),
        (lambda mpjpe_mm, num_joints: mpjpe_mm - mpjpe_mm / num_joints, "on top"),
        (lambda mpjpe_mm, num_joints: mpjpe_mm / 17 * 16, "fixed at Human3.6M's"),
        (lambda mpjpe_mm, num_joints: sum([mpjpe_mm] * num_joints), "the sum of the errors"),
        (lambda mpjpe_mm, num_joints: mpjpe_mm / (1 + num_joints), "once more"),
    ),
    "06.2": (
        (over_frames, "the mean over frames"),
        (
            lambda errors, actions: [
                np.mean(group) for _, group in sorted(gathered(errors, actions).items())
            ],
            "one for each",
        ),
        (of_all_numbers, "without frames"),
        (of_sums, "*sums*"),
        (over_the_frames_again, "divided by the number of frames"),
        (of_runs, "interrupted"),
        (
            lambda errors, actions: statistics.median(map(np.mean, gathered(errors, actions).values())),
            "a median",
        ),
    ),
    "06.3": (
        (lambda predicted, target: at_scale(predicted, target, 1.0).mean(), "no scale in it"),
        (not_rooted, "do not coincide"),
        (equally_large, "equally large"),
        (wrong_denominator, "the wrong pose below"),
        (lambda predicted, target: projected(target, predicted), "the *truth* is scaled"),
        (by_centroids, "centroid upon centroid"),
        (
            lambda predicted, target: np.sqrt(
                (at_scale(predicted, target, best(rooted(predicted), rooted(target))) ** 2).mean()
            ),
            "root of the mean square",
        ),
        (
            lambda predicted, target: projected(predicted, target) * len(target) / (len(target) - 1),
            "left out of the mean",
        ),
    ),
    "06.4": (
        (auc, "count as wrong"),
        (lambda errors_mm: auc(torch.where(errors_mm.isnan(), 0, errors_mm)), "labelled count as right"),
        (lambda errors_mm: auc(labelled(errors_mm)) / 100, "a fraction"),
        (lambda errors_mm: auc(labelled(errors_mm), range(0, 150, 5)), "the last threshold"),
        (lambda errors_mm: auc(labelled(errors_mm), range(5, 151, 5)), "the first threshold"),
        (lambda errors_mm: auc(labelled(errors_mm), below=np.less_equal), "exactly the threshold"),
        (lambda errors_mm: auc(labelled(errors_mm), [150]), "the end of the curve"),
        (by_pose, "poses are averaged"),
        (trapezoids, "by trapezoids"),
    ),
}
