"""Intervals and power against worked examples and what simulation gives."""

import numpy as np
import pytest
from scipy import stats

from hemlets_lib.experiments.statistics import Interval, detectable_effect, mean_interval, paired_difference


def test_a_worked_interval():
    """1, 2, 3: mean 2, deviation 1, t(0.975, 2) = 4.3027, half-width 4.3027 / √3 = 2.4841."""
    found = mean_interval([1.0, 2.0, 3.0])
    assert (found.mean, found.n) == (2.0, 3) and found.half_width == pytest.approx(2.4841, abs=1e-4)
    assert not found.excludes_zero and str(found) == "2.0 ± 2.5"
    assert mean_interval([9.0, 10.0, 11.0]).excludes_zero


def test_one_seed_has_no_interval():
    found = mean_interval([-5.0])
    assert found == Interval(-5.0, None, 1) and not found.excludes_zero and str(found) == "-5.0 (one seed)"


def test_pairs_share_their_seeds():
    found = paired_difference({0: 10.0, 1: 30.0, 2: 50.0, 7: 99.0}, {0: 11.0, 1: 33.0, 2: 52.0, 8: 1.0})
    assert found is not None and (found.mean, found.n) == (pytest.approx(-2.0), 3)
    assert found.half_width == pytest.approx(4.3027 / np.sqrt(3), abs=1e-4)
    assert paired_difference({0: 1.0}, {1: 1.0}) is None


def test_intervals_cover_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(0)
    draws = rng.normal(3.0, 2.0, (4000, 4))
    covered = [abs(found.mean - 3.0) <= found.half_width for found in map(mean_interval, draws.tolist())]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.015)


def test_the_detectable_effect_is_detected_with_its_power():
    effect = detectable_effect(2.0, 6, power=0.8)
    rng = np.random.default_rng(0)
    draws = rng.normal(effect, 2.0, (4000, 6))
    detected = np.mean([stats.ttest_1samp(each, 0).pvalue < 0.05 for each in draws])
    assert detected == pytest.approx(0.8, abs=0.05)
    assert detectable_effect(2.0, 24) < effect / 2


@pytest.mark.parametrize("values", [[], [1.0, float("nan")]])
def test_values_that_have_no_mean(values):
    with pytest.raises(ValueError, match="`values` must be at least one finite number"):
        mean_interval(values)


def test_power_needs_pairs():
    with pytest.raises(ValueError, match="`n` at least 2"):
        detectable_effect(1.0, 1)
