"""Orders of a scorecard: which numbers are ordered against which, and how many pairs agree."""

import pytest

from hemlets_lib.experiments.orderings import Ordering, orderings
from hemlets_lib.experiments.scorecard import ScoreRow
from hemlets_lib.experiments.statistics import Interval
from hemlets_lib.paper import ACTIONS, OWN


def filled(value=lambda number: number.value):
    return [ScoreRow(number, "stand-in", Interval(value(number), None, 1)) for number in OWN.values()]


def test_pairs_and_tau_by_hand():
    three = Ordering("", "", ("a", "b", "c"), (40.0, 45.0, 60.0), (55.0, 50.0, 90.0))
    assert three.pairs == (2, 3) and three.tau == pytest.approx(1 / 3)


def test_a_tie_counts_on_neither_side():
    tied = Ordering("", "", ("a", "b", "c"), (1.0, 1.0, 2.0), (5.0, 4.0, 4.0))
    assert tied.pairs == (0, 3) and tied.tau == pytest.approx(-1 / 3)  # only a and c differ in both
    assert Ordering("", "", ("a", "b"), (1.0, 1.0), (1.0, 2.0)).tau == 0.0


def test_the_paper_agrees_with_itself_and_not_with_its_mirror_image():
    for found, tau in ((filled(), 1.0), (filled(lambda number: -number.value), -1.0)):
        assert {each.tau for each in orderings(found)} == {tau}


def test_numbers_are_ordered_against_their_like_alone():
    found = {each.title: each for each in orderings(filled())}
    assert list(found) == [
        "Table 1, protocol #1", "Table 1, protocol #2", "Table 1, PA MPJPE", "Table 2, PA MPJPE",
        "Table 3, 3DPCK", "Table 4, H3.6M #1", "Table 4, H3.6M #1*", "Table 5, 3DPCK",
    ]  # fmt: skip
    assert found["Table 1, protocol #1"].names == ACTIONS  # without the average
    assert found["Table 3, 3DPCK"].names == ("Studio GS", "Studio no GS", "Outdoor")
    assert found["Table 4, H3.6M #1*"].paper == (55.3, 49.9, 46.0, 45.1)


def test_what_has_not_run_is_left_out():
    rows = [
        row if row.paper.column in ("Sitting", "Walk") else ScoreRow(row.paper, "not run") for row in filled()
    ]
    assert [each.names for each in orderings(rows)] == [("Sitting", "Walk")] * 3
    assert orderings([ScoreRow(number, "not run") for number in OWN.values()]) == []
