"""Which of several ways is faster, and by how much: timed in turns, on whatever this machine is doing.

A machine that slows down for a second slows down all ways alike if they take turns, so that a ratio of
medians over rounds holds where a time does not. `benchmarks/` builds on this; nothing else does.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch

__all__ = ["Headline", "best_of", "medians_ms", "ratio_of", "times_ms"]


@dataclass(frozen=True)
class Headline:
    """One line of the table that `hemlets bench` prints: what was measured, and what was aimed at.

    Args:
        what: Such as "forward pass, official, batch 8, bfloat16".
        against: What it is compared with, such as "plain float32".
        device: "cpu" or the GPU's name.
        measured: The figure, in `unit`.
        target: The figure that is aimed at.
        unit: "×" for a ratio, or "ms".
        at_least: Whether `measured` should be `target` or more; else `target` or less.
        bound: Where the target is not met, what stops it, in words; empty where it is met.
    """

    what: str
    against: str
    device: str
    measured: float
    target: float
    unit: str = "×"
    at_least: bool = True
    bound: str = ""

    @property
    def met(self) -> bool:
        """Whether the target is reached."""
        return self.measured >= self.target if self.at_least else self.measured <= self.target

    def to_dict(self) -> dict[str, Any]:
        """For JSON, with `met`."""
        return {**asdict(self), "met": self.met}


def times_ms(
    ways: Mapping[str, Callable[[], object]], *, rounds: int, warm_up: int = 1, device: str = "cpu"
) -> dict[str, list[float]]:
    """Wall times of several ways of doing a thing, which take turns.

    Args:
        ways: Name → what to call; each call is one measurement.
        rounds: How often each has its turn.
        warm_up: Rounds before those, which do not count.
        device: Where they compute; a GPU is waited for before and after each call.

    Returns:
        Name → milliseconds, round by round.
    """
    wait = torch.cuda.synchronize if torch.device(device).type == "cuda" else lambda: None
    found: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(warm_up + rounds):
        for name, way in ways.items():
            wait()
            started = time.perf_counter()
            way()
            wait()
            if turn >= warm_up:
                found[name].append(1000 * (time.perf_counter() - started))
    return found


def medians_ms(times: Mapping[str, list[float]]) -> dict[str, float]:
    """The median of each way's rounds.

    Args:
        times: What `times_ms` gives.

    Returns:
        Name → milliseconds.
    """
    return {name: statistics.median(each) for name, each in times.items()}


def best_of(times: Mapping[str, list[float]]) -> dict[str, float]:
    """The shortest of each way's rounds: its time without what else the machine was doing.

    Args:
        times: What `times_ms` gives.

    Returns:
        Name → milliseconds.
    """
    return {name: min(each) for name, each in times.items()}


def ratio_of(times: Mapping[str, list[float]], slow: str, fast: str) -> float:
    """How many times as long one way takes as another.

    Args:
        times: What `times_ms` gives.
        slow, fast: Names of the two.

    Returns:
        The median over rounds of each round's ratio.
    """
    return statistics.median(a / b for a, b in zip(times[slow], times[fast], strict=True))
