"""Answers to the exercises of notebook 07, as readers might write them."""

from __future__ import annotations

import itertools

import numpy as np
import torch
from scipy import stats


def outside_by_scipy(pairs):
    return stats.ttest_1samp(pairs, 0.0).pvalue < 0.05


def outside_by_ends(pairs):
    low, high = stats.t.interval(0.95, len(pairs) - 1, loc=np.mean(pairs), scale=stats.sem(pairs))
    return not low <= 0 <= high


def outside_by_torch(pairs):
    pairs = torch.tensor(pairs, dtype=torch.float64)
    n = len(pairs)
    return pairs.mean().abs() > stats.t.ppf(0.975, n - 1) * pairs.std() / n**0.5


def width(values, factor=None, spread=1):
    """Half of an interval's width; `spread` is what NumPy takes off n."""
    factor = stats.t.ppf(0.975, len(values) - 1) if factor is None else factor
    return factor * np.std(values, ddof=spread) / np.sqrt(len(values))


def changes(values, baseline):
    common = sorted(set(values) & set(baseline))
    return np.array([(values[seed] - baseline[seed]) / baseline[seed] for seed in common])


def percent_by_numpy(values, baseline):
    gains = 100 * changes(values, baseline)
    return gains.mean(), width(gains)


def percent_in_a_loop(values, baseline):
    gains = []
    for seed, value in values.items():
        if seed in baseline:
            gains.append(value * 100 / baseline[seed] - 100)
    gains = torch.tensor(gains, dtype=torch.float64)
    factor = stats.t.ppf(0.975, len(gains) - 1)
    return torch.stack([gains.mean(), factor * gains.std() / len(gains) ** 0.5])


def percent_of_means(values, baseline):
    common = sorted(set(values) & set(baseline))
    pairs = np.array([values[seed] - baseline[seed] for seed in common])
    level = np.mean([baseline[seed] for seed in common])
    return 100 * pairs.mean() / level, 100 * width(pairs) / level


def percent_by_place(values, baseline):
    count = min(len(values), len(baseline))
    gains = 100 * (np.array([*values.values()][:count]) / np.array([*baseline.values()][:count]) - 1)
    return gains.mean(), width(gains)


def counted(deviation, effect, power_quantile, probability=0.975, root=0.5):
    n = 2
    while (stats.t.ppf(probability, n - 1) + power_quantile(n)) * deviation > effect * n**root:
        n += 1
    return n


def power_term(n):
    return stats.t.ppf(0.8, n - 1)


def seeds_from_a_table(deviation, effect):
    n = np.arange(2, 500)
    needed = (stats.t.ppf(0.975, n - 1) + stats.t.ppf(0.8, n - 1)) * deviation / np.sqrt(n)
    return n[needed <= effect][0]


def seeds_by_the_normal(deviation, effect):
    return int(np.ceil(((stats.norm.ppf(0.975) + stats.norm.ppf(0.8)) * deviation / effect) ** 2))


def quantiles(n, probability=0.975):
    return stats.t.ppf(probability, 2 * n - 2), stats.t.ppf(probability, n - 1)


def correlation_found_by_halving(n):
    unpaired, paired = quantiles(n)
    low, high = 0.0, 1.0
    for _ in range(60):
        rho = (low + high) / 2
        low, high = (rho, high) if paired * (1 - rho) ** 0.5 > unpaired else (low, rho)
    return low


def flips_by_numpy(pairs):
    signs = np.array(list(itertools.product([1, -1], repeat=len(pairs))))
    return np.mean(np.abs(signs @ np.array(pairs)) >= abs(sum(pairs)) - 1e-6)


def flips_by_bits(pairs):
    found, hits = abs(sum(pairs)), 0
    for number in range(2 ** len(pairs)):
        total = sum(-pair if number >> place & 1 else pair for place, pair in enumerate(pairs))
        hits += abs(total) > found - 1e-6
    return torch.tensor(hits) / 2 ** len(pairs)


def means(pairs):
    signs = torch.cartesian_prod(*[torch.tensor([1.0, -1.0])] * len(pairs)).view(-1, len(pairs))
    return (signs * torch.tensor(pairs)).mean(1), torch.tensor(pairs).mean()


def flips_above(pairs):
    every, found = means(pairs)
    every, found = (every, found) if found > 0 else (-every, -found)
    return (every >= found - 1e-5).float().mean()


def flips_beyond(pairs):
    every, found = means(pairs)
    return (every.abs() > found.abs() + 1e-5).float().mean()


def flips_within(pairs):
    every, found = means(pairs)
    return (every.abs() < found.abs() - 1e-5).double().mean()


def flips_counted(pairs):
    every, found = means(pairs)
    return (every.abs() >= found.abs() - 1e-5).sum()


ACCEPTED = {
    "07.1": (outside_by_scipy, outside_by_ends, outside_by_torch),
    "07.2": (percent_by_numpy, percent_in_a_loop),
    "07.3": (seeds_from_a_table, lambda s, e: counted(s, e, power_term)),
    "07.4": (
        correlation_found_by_halving,
        lambda n: 1 - np.square(np.divide(*quantiles(n))),
        lambda n: 1 - torch.tensor(quantiles(n)).square().unbind()[0] / quantiles(n)[1] ** 2,
    ),
    "07.5": (flips_by_numpy, flips_by_bits),
}

REJECTED = {
    "07.1": (
        (lambda pairs: stats.ttest_1samp(pairs, 0.0).pvalue > 0.05, "wrong way round"),
        (lambda pairs: abs(np.mean(pairs)) > 1.96 * stats.sem(pairs), "1.96"),
        (lambda pairs: len({np.sign(pair) for pair in pairs}) == 1, "agree on the sign"),
        (lambda pairs: stats.ttest_1samp(pairs, 0.0).pvalue < 0.1, "one-sided"),
        (lambda x: abs(np.mean(x)) > width(x, stats.t.ppf(0.975, len(x))), "degrees of freedom again"),
        (lambda pairs: abs(np.mean(pairs)) > width(pairs, spread=0), "divides by n;"),
        (lambda pairs: abs(np.mean(pairs)) > width(pairs) * len(pairs) ** 0.5, "√n is missing"),
        (lambda pairs: np.mean(pairs) - width(pairs) > 0, "negative difference"),
    ),
    "07.2": (
        (lambda v, b: (-100 * changes(v, b).mean(), 100 * width(changes(v, b))), "wrong way round"),
        (lambda v, b: (changes(v, b).mean(), width(changes(v, b))), "fraction"),
        (lambda v, b: (100 + 100 * changes(v, b).mean(), 100 * width(changes(v, b))), "100 less"),
        (percent_of_means, "mean baseline"),
        (percent_by_place, "place in the mapping"),
        (lambda v, b: (100 * changes(v, b).mean(), 100 * width(changes(v, b), 1.96)), "1.96"),
        (
            lambda v, b: tuple(-x for x in percent_by_numpy(b, v))[:1] + percent_by_numpy(b, v)[1:],
            "the baseline is the whole",
        ),
    ),
    "07.3": (
        (lambda s, e: counted(s, e, lambda n: 0), "term for the power"),
        (seeds_by_the_normal, "normal distribution"),
        (lambda s, e: seeds_from_a_table(s, e) - 1, "one too small"),
        (lambda s, e: counted(s, e, power_term, root=1), "divide by n"),
        (lambda s, e: counted(s, e, lambda n: stats.t.ppf(0.9, n - 1)), "two-sided"),
        (lambda s, e: counted(s, e, power_term, probability=0.95), "interval is one-sided"),
        (lambda s, e: counted(e, s, power_term), "changed places"),
    ),
    "07.4": (
        (lambda n: 0, "without Student"),
        (lambda n: 1 - quantiles(n)[0] / quantiles(n)[1], "squared"),
        (lambda n: np.divide(*quantiles(n)) ** 2, "solve for ρ"),
        (lambda n: 1 - (quantiles(n)[1] / quantiles(n)[0]) ** 2, "upside down"),
        (lambda n: (1 - (quantiles(n)[0] / quantiles(n)[1]) ** 2) / 2, "half of the answer"),
        (lambda n: 1 - np.divide(*quantiles(n, 0.95)) ** 2, "at 0.975"),
    ),
    "07.5": (
        (flips_above, "one side"),
        (flips_beyond, "includes what was found"),
        (flips_within, "nearer"),
        (flips_counted, "divide it by"),
        (lambda pairs: 2 ** (1 - len(pairs)), "whatever the numbers"),
    ),
}  # fmt: skip
