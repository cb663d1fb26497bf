"""Answers to the exercises of notebook 02, as readers might write them."""

from __future__ import annotations

import math

import numpy as np
import torch


def rms_by_integral(crop_mm, n):
    places = (np.arange(2000) + 0.5) / 2000 - 0.5  # of a joint in its cell
    return float(np.sqrt(np.mean((places * crop_mm / n) ** 2)))


def middles(n):
    return (np.arange(n) + 0.5) / n - 0.5


def tempered_loop(scores, beta):
    weights = [math.exp(beta * score) for score in scores.tolist()]
    total, n = sum(weights), len(weights)
    return sum(weight / total * ((i + 0.5) / n - 0.5) for i, weight in enumerate(weights))


def tempered_numpy(scores, beta):
    weights = np.exp(beta * scores.numpy())
    return np.average(middles(len(scores)), weights=weights)


def tempered_probabilities(scores, beta):
    weights = scores.softmax(-1) ** beta
    return (weights / weights.sum() * torch.from_numpy(middles(len(scores)))).sum()


def softmax_array(scores):
    scores = scores.numpy()
    return np.exp(scores) / np.exp(scores).sum()


def slope_by_covariance(scores, beta):
    probs, x, scores = softmax_array(beta * scores), middles(len(scores)), scores.numpy()
    return (probs * scores * x).sum() - (probs * scores).sum() * (probs * x).sum()


def slope_by_differences(scores, beta):
    return (tempered_loop(scores, beta + 1e-4) - tempered_loop(scores, beta - 1e-4)) / 2e-4


def slope_by_autograd(scores, beta):
    beta = torch.tensor(beta, requires_grad=True)
    ((beta * scores).softmax(0) @ torch.from_numpy(middles(len(scores))).float()).backward()
    return beta.grad


def slope_by_loops(scores, beta):
    probs, x = softmax_array(beta * scores).tolist(), middles(len(scores)).tolist()
    mean = tempered_loop(scores, beta)
    return sum(s * p * (place - mean) for s, p, place in zip(scores.tolist(), probs, x, strict=True))


def slopes_of_the_scores(scores, beta):
    scores = (beta * scores).requires_grad_()
    (scores.softmax(0) @ torch.from_numpy(middles(len(scores))).float()).backward()
    return scores.grad


def loss_by_loops(predicted, target, has_depth, n):
    total = 0.0
    for person in range(len(predicted)):
        for joint in range(predicted.shape[1]):
            for axis in range(3 if has_depth[person] else 2):
                total += abs(float(predicted[person, joint, axis] - target[person, joint, axis])) * n
    return total / len(predicted)


def loss_by_nansum(predicted, target, has_depth, n):
    return torch.nansum(n * (predicted - target).abs()) / predicted.shape[0]


def loss_by_numpy(predicted, target, has_depth, n):
    errors = np.abs(predicted.numpy() - target.numpy()) * n
    return np.nansum(errors, axis=(1, 2)).mean()


def loss_with_a_product(predicted, target, has_depth, n):
    weights = torch.ones_like(predicted)
    weights[..., 2] = has_depth[:, None].float()
    return (weights * (n * predicted - n * target).abs()).sum() / len(predicted)


def loss_of_labelled_samples(predicted, target, has_depth, n):
    kept = [person for person in range(len(predicted)) if has_depth[person]]
    if not kept:
        return float("nan")
    return loss_by_loops(predicted[kept], target[kept], has_depth[kept], n)


def loss_with_zeros(predicted, target, has_depth, n):
    filled = np.nan_to_num(target.numpy())
    return np.abs((predicted.numpy() - filled) * n).sum() / len(predicted)


def loss_in_the_plane(predicted, target, has_depth, n):
    return torch.nn.functional.l1_loss(predicted[..., :2] * n, target[..., :2] * n, reduction="sum") / len(
        predicted
    )


def squared_loss(predicted, target, has_depth, n):
    return np.nansum((n * (predicted - target)).numpy() ** 2) / len(predicted)


ACCEPTED = {
    "02.1": (
        lambda crop_mm, n: crop_mm / n * 12**-0.5,
        lambda crop_mm, n: torch.tensor(crop_mm) / (n * torch.tensor(12.0).sqrt()),
        rms_by_integral,
    ),
    "02.2": (tempered_loop, tempered_numpy, tempered_probabilities),
    "02.3": (slope_by_covariance, slope_by_differences, slope_by_autograd, slope_by_loops),
    "02.4": (loss_by_loops, loss_by_nansum, loss_by_numpy),
}

REJECTED = {
    "02.1": (
        (lambda crop_mm, n: 0.5 * crop_mm / n, "half a cell"),
        (lambda crop_mm, n: np.sqrt(3) * crop_mm / n / np.sqrt(12), "half a cell"),
        (lambda crop_mm, n: int(crop_mm) / n, "a whole cell"),
        (
            lambda crop_mm, n: np.abs((np.arange(1000) + 0.5) / 1000 - 0.5).mean() * crop_mm / n,
            "errors' sizes",
        ),
        (lambda crop_mm, n: crop_mm / (12 * n), "root is missing"),
        (lambda crop_mm, n: np.sqrt(1 / 12), "in cells"),
        (lambda width, cells: width / (cells - 1) * 12**-0.5, "too wide"),
    ),
    "02.2": (
        (lambda scores, beta: np.average(middles(len(scores)), weights=np.exp(scores.numpy())), "nothing"),
        (lambda scores, beta: ((beta * softmax_array(scores)) * middles(len(scores))).sum(), "too late"),
        (
            lambda scores, beta: 0.0 if beta == 0 else tempered_numpy(scores, 1 / beta),
            "the wrong way round",
        ),
        (lambda scores, beta: middles(len(scores))[int(np.argmax(scores.numpy()))], "arg-max"),
        (lambda scores, beta: (tempered_loop(scores, beta) + 0.5) * len(scores) - 0.5, "cell's number"),
        (
            lambda scores, beta: tempered_loop(scores, beta) * len(scores) / (len(scores) - 1),
            "on the border",
        ),
        (
            lambda scores, beta: sum(
                p * (i / len(scores) - 0.5) for i, p in enumerate(softmax_array(beta * scores))
            ),
            "left edge",
        ),
        (
            lambda scores, beta: (np.exp(beta * scores.numpy()) * middles(len(scores))).sum(),
            "do not add up",
        ),
    ),
    "02.3": (
        (lambda scores, beta: slope_by_differences(-scores, -beta), "sign is flipped"),
        (
            lambda scores, beta: (softmax_array(beta * scores) * scores.numpy() * middles(len(scores))).sum(),
            "keep their sum",
        ),
        (lambda scores, beta: slope_by_covariance(scores, 1), "those at β = 1"),
        (lambda scores, beta: slopes_of_the_scores(scores, beta) @ scores * beta, "a factor β too much"),
        (slopes_of_the_scores, "a number per score"),
        (lambda scores, beta: scores * slopes_of_the_scores(scores, beta), "shares"),
        (lambda scores, beta: slope_by_differences(scores, beta) * len(scores), "in cells"),
    ),
    "02.4": (
        (loss_with_a_product, "NaN gets through"),
        (loss_with_zeros, "counts as 0"),
        (loss_of_labelled_samples, "drop out"),
        (loss_in_the_plane, "never counts"),
        (
            lambda predicted, target, has_depth, n: loss_by_numpy(predicted, target, has_depth, 1),
            "crop units",
        ),
        (
            lambda predicted, target, has_depth, n: loss_by_loops(predicted, target, has_depth, n) / 3,
            "over joints",
        ),
        (
            lambda predicted, target, has_depth, n: np.nansum((predicted - target).abs().numpy()) * n,
            "add up the samples",
        ),
        (squared_loss, "square the errors"),
    ),
}
