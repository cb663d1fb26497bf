"""The plan for several processes: by hand, and its limits."""

import math

import pytest

from hemlets_lib.scaling import LINKS, all_reduce_seconds, plan


def test_a_ring_by_hand():
    """4 processes send 3/4 of 200 MB twice: 300 MB, at 1.25 GB/s 0.24 s."""
    assert all_reduce_seconds(200e6, 4, 1.25e9) == pytest.approx(0.24)
    found = plan(0.36, 200e6, 4, 1.25e9)
    assert (found.step_s, found.overlapped_s) == (pytest.approx(0.6), 0.36)
    assert (found.efficiency, found.overlapped_efficiency) == (pytest.approx(0.6), 1.0)


def test_one_process_exchanges_nothing():
    found = plan(0.1, 1e9, 1, 1.0)
    assert found.exchange_s == 0 and found.efficiency == found.overlapped_efficiency == 1


@pytest.mark.parametrize("link", LINKS, ids=lambda link: link.name)
def test_more_processes_cost_more_up_to_twice_the_message(link):
    times = [all_reduce_seconds(2e8, processes, link.bytes_per_s) for processes in (2, 3, 8, 64, 10**6)]
    assert times == sorted(times) and times[0] == pytest.approx(2e8 / link.bytes_per_s)
    assert times[-1] == pytest.approx(2 * 2e8 / link.bytes_per_s, rel=1e-5)
    assert link.source


def test_links_are_listed_from_the_fastest():
    speeds = [link.bytes_per_s for link in LINKS]
    assert speeds == sorted(speeds, reverse=True)


def test_where_the_exchange_outlasts_computing_overlap_is_bounded_too():
    found = plan(0.1, 1.25e9, 2, 1.25e9)
    assert found.overlapped_s == found.exchange_s == 1 and found.overlapped_efficiency == pytest.approx(0.1)
    assert math.isclose(found.step_s, 1.1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0.0, 1.0, 2, 1.0), "`compute_s` must be positive, got 0"),
        ((1.0, 0.0, 2, 1.0), "`message_bytes` must be positive, got 0"),
        ((1.0, 1.0, 0, 1.0), "`processes` must be positive, got 0"),
        ((1.0, 1.0, 2, -1.0), "`bytes_per_s` must be positive, got -1"),
    ],
)
def test_what_is_not_positive_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        plan(*arguments)
