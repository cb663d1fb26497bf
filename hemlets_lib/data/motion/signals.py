"""Smooth random functions of time that can be asked for at any moment.

Everything random is drawn once, from a generator that the caller seeds, and never depends on which
moments are asked for. A value at time t is therefore the same whether t comes alone or among
thousands, which is what makes single frames of a take cheap.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

__all__ = ["Schedule", "Signals", "minimum_jerk"]

Array = np.ndarray
NUM_KEYS = 12  # a schedule repeats after so many segments, about a minute


def minimum_jerk(progress: Float[Array, "*F"]) -> Float[Array, "*F"]:
    """From 0 to 1 with no velocity and no acceleration at the ends: how people move their limbs.

    Source: Flash and Hogan, 'The coordination of arm movements', J. Neuroscience 5(7), 1985.
    """
    u = np.clip(progress, 0.0, 1.0)
    return u**3 * (10.0 - 15.0 * u + 6.0 * u**2)


class Schedule:
    """A row of segments; in each, a movement from the last key to the next, then a rest.

    Args:
        times_s: The moments asked for.
        period_s: Length of a segment.
        move_s: Length of the movement in it.
        offset_s: When within its segment each movement starts, `NUM_KEYS` of them.
        phase_s: Where in the row time zero lies.
    """

    def __init__(
        self,
        times_s: Float[Array, "F"],
        *,
        period_s: float,
        move_s: float,
        offset_s: Float[Array, "K"],
        phase_s: float,
    ) -> None:
        segment, into = np.divmod(times_s + phase_s, period_s)
        self.now: Int[Array, "F"] = segment.astype(np.int64) % NUM_KEYS
        self.before: Int[Array, "F"] = (self.now - 1) % NUM_KEYS
        self.linear: Float[Array, "F"] = (into - offset_s[self.now]) / move_s

    def progress(self, begin: float = 0.0, end: float = 1.0) -> Float[Array, "F"]:
        """0 before and 1 after the part [begin, end] of the segment's movement."""
        return minimum_jerk((self.linear - begin) / (end - begin))

    def blend(self, keys: Float[Array, "K *V"], begin: float = 0.0, end: float = 1.0) -> Float[Array, "F *V"]:
        """The keys' values over time; vectors are blended element by element."""
        start, stop = keys[self.before], keys[self.now]
        weight = self.progress(begin, end).reshape(-1, *[1] * (keys.ndim - 1))
        return start + (stop - start) * weight

    def bump(self, begin: float = 0.0, end: float = 1.0) -> Float[Array, "F"]:
        """Rises to 1 half-way through that part of the movement and falls to 0 again."""
        u = np.clip((self.linear - begin) / (end - begin), 0.0, 1.0)
        return (4 * u * (1 - u)) ** 2


class Signals:
    """Draws a take's choices and gives its smooth functions of time.

    Args:
        rng: Source of every choice. What is drawn from it must not depend on `times_s`.
        times_s: The moments asked for.
    """

    def __init__(self, rng: np.random.Generator, times_s: Float[Array, "F"]) -> None:
        self.rng = rng
        self.times_s = times_s

    def uniform(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def sign(self) -> int:
        return 1 if self.chance(0.5) else -1

    def keys(self, low: float, high: float) -> Float[Array, "K"]:
        return self.rng.uniform(low, high, NUM_KEYS)

    def picks(self, weights: list[float]) -> Int[Array, "K"]:
        """A choice per segment; one that repeats the last is drawn again, once."""
        bounds = np.cumsum(weights)
        first, second = np.searchsorted(
            bounds[:-1], bounds[-1] * self.rng.random((2, NUM_KEYS)), side="right"
        )
        for i in range(1, NUM_KEYS):
            if first[i] == first[i - 1]:
                first[i] = second[i]
        return first

    def schedule(self, period_s: float, move_s: float) -> Schedule:
        return Schedule(
            self.times_s,
            period_s=period_s,
            move_s=move_s,
            offset_s=self.rng.uniform(0.0, max(period_s - move_s, 1e-3), NUM_KEYS),
            phase_s=self.uniform(0.0, period_s * NUM_KEYS),
        )

    def wander(self, amplitude: float, period_s: float, size: int | None = None) -> Float[Array, "F *size"]:
        """Band-limited noise with that typical amplitude and pace."""
        waves = 4
        shape = (waves, size or 1)
        rates = 2 * np.pi / period_s * self.rng.uniform(0.45, 1.6, shape)
        phases = self.rng.uniform(0, 2 * np.pi, shape)
        values = np.sin(self.times_s[:, None, None] * rates + phases).sum(1) * (
            amplitude / np.sqrt(waves / 2)
        )
        return values if size else values[:, 0]

    def wave(self, rate_hz: float) -> Float[Array, "F"]:
        """A sine of slightly uneven pace, amplitude 1."""
        drift = self.wander(0.25, 3.0 / rate_hz)
        return np.sin(2 * np.pi * rate_hz * self.times_s + self.uniform(0, 2 * np.pi) + drift)
