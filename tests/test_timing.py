"""`timing`: ways take turns, and ratios are of rounds. No test here looks at a clock."""

from __future__ import annotations

import pytest

from hemlets_lib.timing import Headline, best_of, medians_ms, ratio_of, times_ms


def test_ways_take_turns_and_the_warm_up_does_not_count():
    called = []
    times = times_ms({name: (lambda name=name: called.append(name)) for name in "ab"}, rounds=3, warm_up=2)
    assert called == list("ab" * 5)
    assert {name: len(each) for name, each in times.items()} == {"a": 3, "b": 3}


def test_a_slow_round_moves_no_ratio():
    times = {"plain": [20.0, 200.0, 22.0], "fast": [10.0, 100.0, 11.0]}
    assert ratio_of(times, "plain", "fast") == 2
    assert medians_ms(times) == {"plain": 22, "fast": 11}
    assert best_of(times) == {"plain": 20, "fast": 10}


@pytest.mark.parametrize(
    ("measured", "at_least", "met"),
    [(2.5, True, True), (2.4, True, False), (2.5, False, True), (2.6, False, False)],
)
def test_a_headline_knows_whether_its_target_is_met(measured, at_least, met):
    line = Headline("forward pass", "plain", "cpu", measured, 2.5, at_least=at_least)
    assert line.met is met
    assert line.to_dict()["met"] is met
