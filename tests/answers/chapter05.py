"""Answers to the exercises of notebook 05."""

import math

import numpy as np
import torch

# 05.1, how often a run sees each sample


def by_passes(steps, batch_size, samples):
    steps_per_pass = samples / batch_size
    return steps / steps_per_pass


def as_tensor(steps, batch_size, samples):
    return torch.tensor(float(batch_size)) * steps / samples


# 05.2, a rate along a straight line


def by_interpolation(step, steps, peak, warmup):
    if step < warmup:
        return peak * (step + 1) / warmup
    return float(np.interp(step, [warmup, steps], [peak, peak / 100]))


def by_walking(step, steps, peak, warmup):
    """Down by the same amount each step."""
    rate = peak
    if step < warmup:
        return torch.linspace(0, peak, warmup + 1)[step + 1]
    for _ in range(warmup, step):
        rate -= (peak - 0.01 * peak) / (steps - warmup)
    return rate


def line(step, steps, peak, warmup, *, lowest=None, begin=None, end=None, floor=0.0, ahead=1):
    if step < warmup:
        return peak * (step + ahead) / warmup
    lowest = peak / 100 if lowest is None else lowest
    begin, end = warmup if begin is None else begin, steps if end is None else end
    along = (step - begin) / (end - begin)
    return max((1 - along) * peak + along * lowest, floor)


def cosine(step, steps, peak, warmup):
    if step < warmup:
        return peak * (step + 1) / warmup
    angle = np.pi * (step - warmup) / (steps - warmup)
    return peak * (0.01 + 0.99 * (np.cos(angle) + 1) / 2)


def never_warm(step, steps, peak, warmup):
    return peak + (0.01 * peak - peak) / (steps - warmup) * (step - warmup)


# 05.3, Adam with equal gradients


def by_steps(t, g, rate, *, corrected=True, root=True, epsilon=1e-8, sign=-1, inside=0.0):
    """Step for step, as in Eq. (5.2) and (5.3), with what can be got wrong as options."""
    weight = m = v = 0.0
    for step in range(1, t + 1):
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        m_hat, v_hat = (m / (1 - 0.9**step), v / (1 - 0.999**step)) if corrected else (m, v)
        weight += sign * rate * m_hat / ((math.sqrt(v_hat + inside) if root else v_hat) + epsilon)
    return weight


def by_torch(t, g, rate):
    weight = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    adam = torch.optim.Adam([weight], lr=rate)
    for _ in range(t):
        weight.grad = torch.full_like(weight, g)
        adam.step()
    return weight.detach()[0]


def closed(t, g, rate):
    return -t * rate / (1 + 1e-8 / abs(g)) * np.sign(g)


def downhill(t, g, rate):
    weight = 0.0
    for _ in range(t):
        weight -= rate * g
    return weight


# 05.4, mean and variance of several processes


def from_sums(means, variances, counts):
    """By the sums of the values and of their squares, channel for channel."""
    means, variances, counts = (np.asarray(each, dtype=float) for each in (means, variances, counts))
    total = counts.sum()
    result = np.empty((2, means.shape[1]))
    for channel in range(means.shape[1]):
        mean = (counts * means[:, channel]).sum() / total
        squares = (counts * (variances[:, channel] + means[:, channel] ** 2)).sum() / total
        result[:, channel] = mean, squares - mean**2
    return result


def pairwise(means, variances, counts):
    """One process after the other is added to what is there already."""
    mean, variance, count = means[0], variances[0], counts[0]
    for each_mean, each_variance, each_count in zip(means[1:], variances[1:], counts[1:], strict=True):
        both = count + each_count
        gap = each_mean - mean
        variance = (count * variance + each_count * each_variance + gap**2 * count * each_count / both) / both
        mean, count = mean + gap * each_count / both, both
    return torch.stack([mean, variance])


def averaged(values, counts=None):
    return np.average(np.asarray(values), axis=0, weights=None if counts is None else np.asarray(counts))


def counted_alike(means, variances, counts):
    return np.stack([averaged(means), averaged(variances) + np.var(np.asarray(means), axis=0)])


def spread_within(means, variances, counts):
    return np.stack([averaged(means, counts), averaged(variances, counts)])


def mean_of_squares(means, variances, counts):
    return np.stack([averaged(means, counts), averaged(variances + means**2, counts)])


def unbiased(means, variances, counts):
    mean, variance = pairwise(means, variances, counts)
    n = int(counts.sum())
    return torch.stack([mean, variance * (n / (n - 1))])


def deviations(means, variances, counts):
    mean, variance = from_sums(means, variances, counts)
    return [list(mean), [math.sqrt(value) for value in variance]]


def squared_shares(means, variances, counts):
    shares = np.asarray(counts) / counts.sum().item()
    return np.stack([averaged(means, counts), (shares[:, None] ** 2 * variances.numpy()).sum(0)])


ACCEPTED = {
    "05.1": (by_passes, as_tensor),
    "05.2": (by_interpolation, by_walking, line),
    "05.3": (by_steps, by_torch, closed),
    "05.4": (from_sums, pairwise),
}

REJECTED = {
    "05.1": (
        (lambda steps, batch_size, samples: steps / samples, "counted as one sample"),
        (lambda steps, batch_size, samples: samples / batch_size / steps, "upside down"),
        (lambda steps, batch_size, samples: int(steps * batch_size / samples), "whole passes only"),
        (lambda steps, batch_size, samples: -(-steps * batch_size // samples), "a pass that is begun"),
        (lambda steps, batch_size, samples: sum(batch_size for _ in range(steps)), "in all"),
        (lambda steps, batch_size, samples: samples / batch_size, "one pass takes"),
    ),
    "05.2": (
        (lambda *given: line(*given, lowest=0.0), "goes down to 0: a hundredth"),
        (lambda *given: line(*given, begin=0), "begins at step 0"),
        (lambda *given: line(*given, ahead=0), "one step late"),
        (never_warm, "no warm-up"),
        (cosine, "still the cosine"),
        (lambda *given: line(*given, lowest=0.01), "whatever the peak"),
        (lambda step, steps, *given: line(step, steps, *given, end=steps - 1), "a step short"),
        (
            lambda step, steps, peak, warmup: line(step, steps, peak, warmup, lowest=0, floor=peak / 100),
            "stopped",
        ),
        (lambda step, steps, peak, warmup: line(step, steps, 1, warmup), "a share of the peak, not a rate"),
    ),
    "05.3": (
        (lambda *given: by_steps(*given, sign=1), "against the gradient"),
        (downhill, "plain gradient descent"),
        (lambda t, g, rate: by_steps(1, g, rate), "a single step"),
        (lambda *given: by_steps(*given, epsilon=0), "left out"),
        (lambda *given: by_steps(*given, corrected=False), "not corrected"),
        (lambda *given: by_steps(*given, root=False), "the root is missing"),
        (lambda t, g, rate: by_steps(t, abs(g), rate), "forgets the sign"),
        (lambda *given: by_steps(*given, epsilon=0, inside=1e-8), "under the root"),
    ),
    "05.4": (
        (counted_alike, "counts the same"),
        (spread_within, "too small"),
        (lambda means, variances, counts: [averaged(means), averaged(variances)], "averaged plainly"),
        (mean_of_squares, "mean of the squares"),
        (unbiased, "1/(n - 1)"),
        (deviations, "standard deviation"),
        (lambda *given: from_sums(*given)[::-1], "changed places"),
        (squared_shares, "squared shares"),
    ),
}
