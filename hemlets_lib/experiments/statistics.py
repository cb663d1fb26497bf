"""What a few seeds can tell: means with intervals, paired differences, the smallest effect that would show.

Runs that share a seed share their data's order and the augmentation, so conditions are compared seed by
seed: the interval of a mean of differences is narrower than that of a difference of means. Intervals are
Student's, which assumes normally distributed differences; with three seeds that is no finding.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import stdev

__all__ = [
    "CONFIDENCE",
    "NOT_RUN",
    "Interval",
    "detectable_effect",
    "mean_interval",
    "paired_difference",
    "signed",
]

CONFIDENCE = 0.95
NOT_RUN = "not run"


@dataclass(frozen=True)
class Interval:
    """A mean over n values and the half-width of its confidence interval.

    Args:
        mean: Of the values.
        half_width: Half the interval's length; None with a single value.
        n: How many values.
    """

    mean: float
    half_width: float | None
    n: int

    @property
    def excludes_zero(self) -> bool:
        """Whether zero lies outside; never with a single value."""
        return self.half_width is not None and abs(self.mean) > self.half_width

    def __str__(self) -> str:
        if self.half_width is None:
            return f"{self.mean:.1f} (one seed)"
        return f"{self.mean:.1f} ± {self.half_width:.1f}"


def signed(interval: Interval | None, digits: int = 1, *, unit: str = "") -> str:
    """A difference in words: "−39.4 ± 3.1", "+2.0 mm (one seed)", or "not run".

    Args:
        interval: A difference.
        digits: After the point.
        unit: Of it; none where left out.
    """
    if interval is None:
        return NOT_RUN
    mean, unit = f"{interval.mean:+.{digits}f}".replace("-", "−"), f" {unit}" if unit else ""
    if interval.half_width is None:
        return f"{mean}{unit} (one seed)"
    return f"{mean} ± {interval.half_width:.{digits}f}{unit}"


def _student(probability: float, degrees: int) -> float:
    """The quantile of Student's distribution."""
    from scipy.stats import t

    return float(t.ppf(probability, degrees))


def mean_interval(values: Sequence[float], *, confidence: float = CONFIDENCE) -> Interval:
    """The mean of independent values with its interval.

    Args:
        values: One for each seed.
        confidence: Of the interval.

    Raises:
        ValueError: If there are no values, or one is not finite.
    """
    if not values or not all(map(math.isfinite, values)):
        raise ValueError(f"`values` must be at least one finite number, got {list(values)}.")
    n = len(values)
    mean = sum(values) / n
    if n == 1:
        return Interval(mean, None, 1)
    return Interval(mean, _student((1 + confidence) / 2, n - 1) * stdev(values) / math.sqrt(n), n)


def paired_difference(
    values: Mapping[int, float], baseline: Mapping[int, float], *, confidence: float = CONFIDENCE
) -> Interval | None:
    """How much one condition differs from another, over the seeds that both have.

    Args:
        values: Seed → value.
        baseline: Seed → value of what is compared with.
        confidence: Of the interval.

    Returns:
        Of `values` minus `baseline`; None where no seed is common to both.
    """
    seeds = sorted(values.keys() & baseline.keys())
    if not seeds:
        return None
    return mean_interval([values[seed] - baseline[seed] for seed in seeds], confidence=confidence)


def detectable_effect(
    deviation: float, n: int, *, power: float = 0.8, confidence: float = CONFIDENCE
) -> float:
    """The smallest true mean difference that n pairs would have shown, with a given probability.

    The usual approximation by Student's quantiles: (t₁ + t₂) · deviation / √n.

    Args:
        deviation: Standard deviation of the paired differences.
        n: Pairs.
        power: Probability that the interval excludes zero if the difference is that large.
        confidence: Of the interval.

    Raises:
        ValueError: If there are fewer than two pairs, or a number is out of range.
    """
    if n < 2 or not deviation >= 0 or not 0 < power < 1 or not 0 < confidence < 1:
        raise ValueError(
            "`deviation` must not be negative, `n` at least 2, `power` and `confidence` within (0, 1); got "
            f"{deviation}, {n}, {power}, {confidence}."
        )
    degrees = n - 1
    return (_student((1 + confidence) / 2, degrees) + _student(power, degrees)) * deviation / math.sqrt(n)
