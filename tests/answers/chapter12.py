"""Answers to the exercises of notebook 12, as readers might write them."""

from __future__ import annotations

import itertools
import math

import numpy as np
import torch
from scipy import stats


def bounds(values):
    half = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)
    return np.mean(values) - half, np.mean(values) + half


def verdict_by_ends(differences, claimed):
    if len(differences) < 2:
        return 0
    low, high = bounds(differences)
    if low > 0:
        return claimed
    if high < 0:
        return -claimed
    return 0


def verdict_by_test(differences, claimed):
    if len(differences) == 1:
        return 0
    test = stats.ttest_1samp(differences, 0)
    return int(test.pvalue < 0.05) * np.sign(test.statistic) * claimed


def verdict_of_one(differences, claimed):
    if len(differences) == 1:
        return 1 if differences[0] * claimed > 0 else -1
    return verdict_by_ends(differences, claimed)


def verdict_by_two_errors(differences, claimed):
    if len(differences) == 1:
        return 0
    score = np.mean(differences) / stats.sem(differences)
    return claimed * np.sign(score) * (abs(score) > 2)


def mean_in_a_loop(cells):
    means = []
    for row in cells.tolist():
        there = [cell for cell in row if cell == cell]
        means.append(sum(there) / len(there))
    return sum(means) / len(means)


def mean_by_masks(cells):
    there = ~cells.isnan()
    return (torch.where(there, cells, 0).sum(1) / there.sum(1)).mean()


def pairs_by_trying(names, tau):
    every = len(list(itertools.combinations(range(names), 2)))
    return next(agree for agree in range(every + 1) if (2 * agree - every) / every >= tau - 1e-12)


def pairs(names):
    return names * (names - 1) / 2


def ratio_by_corners(above, below, digits):
    half = 10**-digits / 2
    corners = [(above + a) / (below + b) for a in (-half, half) for b in (-half, half)]
    return min(corners), max(corners)


def corners_of_one_side(above, below, digits):
    half = 10**-digits / 2
    return sorted([(above + half) / (below + half), (above - half) / (below - half)])


def logs(full_ms, base_ms):
    return np.log(full_ms) - np.log(base_ms)


def ratio_by_numpy(full_ms, base_ms):
    low, high = bounds(logs(full_ms, base_ms))
    return np.exp([(low + high) / 2, low, high])


def ratio_by_torch(full_ms, base_ms):
    ratios = torch.tensor(full_ms, dtype=torch.float64) / torch.tensor(base_ms, dtype=torch.float64)
    n = len(ratios)
    middle = ratios.prod() ** (1 / n)
    factor = torch.exp(stats.t.ppf(0.975, n - 1) * ratios.log().std() / n**0.5)
    return middle, middle / factor, middle * factor


def ratio_of_ratios(full_ms, base_ms):
    ratios = np.array(full_ms) / np.array(base_ms)
    return [ratios.mean(), *bounds(ratios)]


def ratio_of_strangers(full_ms, base_ms):
    test = stats.ttest_ind(np.log(full_ms), np.log(base_ms))
    low, high = test.confidence_interval(0.95)
    return np.exp([(low + high) / 2, low, high])


def ratio_with(width):
    def of(full_ms, base_ms):
        found = logs(full_ms, base_ms)
        return np.exp(found.mean() + np.array([0, -1, 1]) * width(found))

    return of


ACCEPTED = {
    "12.1": (verdict_by_ends, verdict_by_test),
    "12.2": (
        mean_in_a_loop,
        mean_by_masks,
        lambda cells: np.nanmean(np.nanmean(cells.double().numpy(), axis=1)),
    ),
    "12.3": (pairs_by_trying, lambda names, tau: math.ceil((1 + tau) * pairs(names) / 2)),
    "12.4": (
        ratio_by_corners,
        lambda a, b, digits: np.array(
            [(a - 0.5 / 10**digits) / (b + 0.5 / 10**digits), (a + 0.5 / 10**digits) / (b - 0.5 / 10**digits)]
        ),
    ),
    "12.5": (ratio_by_numpy, ratio_by_torch),
}  # fmt: skip

REJECTED = {
    "12.1": (
        (lambda differences, claimed: np.sign(np.mean(differences)) * claimed, "the mean alone"),
        (lambda differences, claimed: abs(verdict_by_ends(differences, claimed)), "which side was claimed"),
        (lambda differences, claimed: verdict_by_ends(differences, 1), "the sign of the difference"),
        (lambda differences, claimed: verdict_by_ends(differences, -claimed), "turned round"),
        (verdict_of_one, "a single seed"),
        (verdict_by_two_errors, "two standard errors"),
        (
            lambda differences, claimed: (
                claimed * np.sign(differences[0]) if np.ptp(np.sign(differences)) == 0 else 0
            ),
            "may still be lucky",
        ),
        (lambda d, claimed: 1 if verdict_by_ends(d, claimed) == 1 else -1, "no refutation"),
    ),
    "12.2": (
        (lambda cells: np.nanmean(cells.numpy()), "all cells at once"),
        (lambda cells: torch.where(cells.isnan(), 0, cells).mean(1).mean(), "0 mm"),
        (lambda cells: np.mean(cells.numpy()), "eats the mean"),
        (lambda cells: np.nanmean(cells.numpy(), axis=0).mean(), "each subject first"),
        (lambda cells: cells[cells.isfinite().all(dim=1)].mean(), "every action that lacks"),
        (lambda cells: cells.T[cells.T.isfinite().all(dim=1)].mean(), "every subject who lacks"),
        (lambda cells: sum(row.nanmean() for row in cells), "add the actions up"),
    ),
    "12.3": (
        (lambda names, tau: math.ceil(tau * pairs(names)), "share of pairs"),
        (lambda names, tau: math.ceil(names * (names - 1) * (1 + tau) / 2), "whichever of the two"),
        (lambda names, tau: math.ceil(names * (names + 1) * (1 + tau) / 4), "pair with itself"),
        (lambda names, tau: int(pairs(names) * (1 + tau) / 2), "rounded down"),
        (lambda names, tau: int(pairs(names)) - pairs_by_trying(names, tau), "*other* order"),
        (lambda names, tau: (tau + 1) / 2, "share; the number"),
    ),
    "12.4": (
        (lambda a, b, digits: ratio_by_corners(a, b, digits)[::-1], "comes second"),
        (
            lambda a, b, digits: ratio_by_corners(a, b, digits - np.log10(2)),
            "*half*",
        ),
        (corners_of_one_side, "the same way"),
        (lambda a, b, digits: ((a - 10**-digits / 2) / b, (a + 10**-digits / 2) / b), "below the line was"),
        (lambda a, b, digits: np.array([-0.5, 0.5]) * 10.0**-digits + a / b, "you round the ratio"),
        (lambda a, b, digits: ratio_by_corners(b, a, digits), "upside down"),
    ),
    "12.5": (
        (ratio_of_ratios, "do not cancel"),
        (lambda f, b: np.log(ratio_by_numpy(f, b)), "still logarithms"),
        (lambda f, b: ratio_by_torch(b, f), "upside down"),
        (ratio_of_strangers, "left the turns out"),
        (lambda f, b: ratio_by_numpy(np.sort(f), np.sort(b)), "sorting"),
        (ratio_with(lambda found: 1.96 * stats.sem(found)), "1.96"),
        (ratio_with(lambda found: stats.t.ppf(0.975, len(found) - 1) * found.std(ddof=1)), "√n is missing"),
    ),
}  # fmt: skip
