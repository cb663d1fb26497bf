"""Answers to the exercises of notebook 09, as readers might write them."""

from __future__ import annotations

from collections import Counter

import numpy as np
import torch
from scipy import stats

from hemlets_lib.triplets import UNKNOWN


def answer(seen, noise, *, gap=UNKNOWN):
    """One part, in plain Python."""
    if abs(abs(seen) - 0.5) < noise:
        return gap
    return int(np.sign(seen)) if abs(seen) > 0.5 else 0


def fbi_in_a_loop(seen, noise):
    return [answer(value, noise) for value in seen.tolist()]


def ordinal(seen):
    return (seen > 0.5).int() - (seen < -0.5).int()


def fbi_by_mask(seen, noise):
    answers = ordinal(seen)
    answers[(seen.abs() > 0.5 - noise) & (seen.abs() < 0.5 + noise)] = UNKNOWN
    return answers


def fbi_by_numpy(seen, noise):
    size = np.abs(seen.numpy())
    sure = [size >= 0.5 + noise, size <= 0.5 - noise]
    return np.select(sure, [np.sign(seen.numpy()), np.zeros_like(size)], UNKNOWN)


def fbi_without_level(seen, noise):
    return torch.where((seen.abs() - 0.5).abs() < noise, UNKNOWN, torch.where(seen > 0, 1, -1))


def biased_in_a_loop(steepness, errors, noise, bias):
    pairs = zip(steepness.tolist(), errors.tolist(), strict=True)
    return [answer(true + bias + error * noise, noise) for true, error in pairs]


def doubt_of_the_unbiased(steepness, errors, noise, bias):
    seen = steepness + noise * errors
    return torch.where((seen.abs() - 0.5).abs() < noise, UNKNOWN, ordinal(seen + bias))


def answer_of_the_unbiased(steepness, errors, noise, bias):
    seen = steepness + noise * errors
    return torch.where(((seen + bias).abs() - 0.5).abs() < noise, UNKNOWN, ordinal(seen))


def everything_steeper(steepness, errors, noise, bias):
    seen = steepness + noise * errors
    return fbi_by_mask((seen.abs() + bias) * seen.sign(), noise)


def shares_by_scipy(steepness, noise):
    eye = stats.norm(steepness, noise)
    return eye.cdf(-0.5), eye.cdf(0.5) - eye.cdf(-0.5), eye.sf(0.5)


def shares_by_torch(steepness, noise):
    eye = torch.distributions.Normal(torch.tensor(steepness, dtype=torch.float64), noise)
    edges = torch.tensor([-torch.inf, -0.5, 0.5, torch.inf], dtype=torch.float64)
    return eye.cdf(edges).diff()


def shares_on_one_side(steepness, noise):
    level = shares_by_scipy(steepness, noise)[1]
    return [0, level, 1 - level] if steepness > 0 else [1 - level, level, 0]


def shares_with_one_edge(steepness, noise):
    level = stats.norm.cdf((0.5 - steepness) / noise)
    return np.array([(1 - level) / 2, level, (1 - level) / 2])


def vote(said, missing=UNKNOWN):
    (best, count), *_ = Counter(said).most_common()
    return best if count > 1 else missing


def votes_counted(answers, **options):
    flat = answers.flatten(1).T.tolist()
    return torch.tensor([vote(said, **options) for said in flat]).view(answers.shape[1:])


def votes_by_pairs(answers):
    first, second, third = answers
    last = torch.where(second == third, second, UNKNOWN)
    return torch.where((first == second) | (first == third), first, last)


def votes_by_numpy(answers):
    votes = np.stack([(answers.numpy() == state).sum(0) for state in (-1, 0, 1)])  # (3 states, …)
    return np.where(votes.max(0) >= 2, votes.argmax(0) - 1, UNKNOWN)


def votes_averaged(answers):
    known = np.where(answers.numpy() == UNKNOWN, np.nan, answers.numpy())
    rows = [column[~np.isnan(column)] for column in known.reshape(3, -1).T]
    means = [np.rint(row.mean()) if len(row) else UNKNOWN for row in rows]
    return np.array(means).reshape(answers.shape[1:])


ACCEPTED = {
    "09.1": (fbi_in_a_loop, fbi_by_mask, fbi_by_numpy),
    "09.2": (
        biased_in_a_loop,
        lambda steepness, errors, noise, bias: fbi_by_mask(steepness + bias + noise * errors, noise),
    ),
    "09.3": (shares_by_scipy, shares_by_torch),
    "09.4": (votes_counted, votes_by_pairs, votes_by_numpy),
}

REJECTED = {
    "09.1": (
        (lambda seen, noise: fbi_by_mask(-seen, noise), "polarity is flipped"),
        (lambda seen, noise: np.where(np.abs(seen) > 0.5, np.sign(seen), 0), "Ordinal's answers"),
        (lambda seen, noise: [answer(value, noise, gap=0) for value in seen.tolist()], "not a zero"),
        (lambda seen, noise: ordinal(seen).masked_fill(seen.abs() < noise, UNKNOWN), "near *zero*"),
        (
            lambda seen, noise: ordinal(seen).masked_fill((0.5 - seen).abs() < noise, UNKNOWN),
            "at −½ too",
        ),
        (lambda seen, noise: fbi_by_mask(seen, 0.5 * noise), "half as wide"),
        (fbi_without_level, "level is missing"),
    ),
    "09.2": (
        (lambda s, e, noise, bias: fbi_by_mask(s - bias + noise * e, noise), "the wrong way"),
        (lambda s, e, noise, bias: fbi_by_numpy(s + (e + bias) * noise, noise), "scale the bias"),
        (everything_steeper, "looks steeper"),
        (doubt_of_the_unbiased, "know nothing of it"),
        (answer_of_the_unbiased, "look without bias"),
        (lambda s, e, noise, bias: fbi_in_a_loop(s + noise * e, noise), "does nothing"),
        (lambda s, e, noise, bias: fbi_by_mask(s + bias, noise), "errors are missing"),
        (lambda s, e, noise, bias: ordinal(s + bias + noise * e), "that is Ordinal"),
    ),
    "09.3": (
        (lambda steepness, noise: shares_by_torch(-steepness, noise), "order is the other way"),
        (lambda steepness, noise: shares_by_scipy(steepness, noise**2), "not by its square"),
        (shares_with_one_edge, "two edges"),
        (shares_on_one_side, "far side"),
        (
            lambda steepness, noise: np.diff(
                stats.norm.cdf(np.array([-np.inf, -np.pi / 6, np.pi / 6, np.inf]), steepness, noise)
            ),
            "not an angle",
        ),
        (lambda steepness, noise: 100 * shares_by_torch(steepness, noise), "percent"),
    ),
    "09.4": (
        (lambda answers: torch.mode(answers, dim=0)[0], "all three differ"),
        (lambda answers: np.median(answers.numpy(), axis=0), "middle answer"),
        (votes_averaged, "average the answers"),
        (
            lambda answers: np.where(np.ptp(answers.numpy(), axis=0) == 0, answers[0].numpy(), UNKNOWN),
            "two of three",
        ),
        (lambda answers: votes_counted(answers.masked_fill(answers == UNKNOWN, 0)), "vote for level"),
        (lambda answers: votes_counted(answers, missing=0), "nobody knows"),
        (lambda answers: answers[0].tolist(), "first annotator"),
    ),
}  # fmt: skip
