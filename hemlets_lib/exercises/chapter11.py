"""The exercises of notebook 11: explorers."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

from hemlets_lib.exercises.contract import Exercise, Mistake
from hemlets_lib.triplets import EPSILON_RATIO, UNKNOWN

__all__ = ["EXERCISES"]


def _poses_left(states: Sequence[int]) -> int:
    return 2 ** sum(state in (0, UNKNOWN) for state in states)


_POSES_LEFT = Exercise(
    "How many poses share one picture once some parts have a state.",
    _poses_left,
    (
        ([UNKNOWN, UNKNOWN, UNKNOWN],),
        ([1, -1, UNKNOWN],),
        ([0, 0, 1, -1, 0],),
        ([1, -1, 1, 1],),
        ([0, UNKNOWN, -1, 0, 1, UNKNOWN, 1],),
        ([0, 1],),
    ),
    (
        Mistake(
            "a part at state 0 is not settled: its child may be a little nearer or a little farther",
            lambda states: 2 ** sum(state == UNKNOWN for state in states),
        ),
        Mistake(
            "a part that nobody labelled has both of its places, too",
            lambda states: 2 ** sum(state == 0 for state in states),
        ),
        Mistake(
            "you leave the labels unused: a part at +1 or -1 has only one place left",
            lambda states: 2 ** len(states),
        ),
        Mistake(
            "you count the settled parts: it is the others that still have a choice",
            lambda states: 2 ** sum(state in (1, -1) for state in states),
        ),
        Mistake(
            "you add the parts' choices up; they choose independently of each other, so choices multiply",
            lambda states: 2 * sum(state in (0, UNKNOWN) for state in states),
        ),
        Mistake(
            "three states, but only two places: a part that is seen shortened reaches nearer or farther",
            lambda states: 3 ** sum(state in (0, UNKNOWN) for state in states),
        ),
        Mistake(
            "you count parts, not poses",
            lambda states: sum(state in (0, UNKNOWN) for state in states),
        ),
    ),
)


def _turned(bone_mm: Sequence[float], angle: float) -> tuple[float, float, float]:
    """A bone as it is seen from an angle (radians) further to the camera's right."""
    x, y, z = bone_mm
    return math.cos(angle) * x + math.sin(angle) * z, y, math.cos(angle) * z - math.sin(angle) * x


def _banded(nearer_mm: float, band_mm: float) -> int:
    return int(nearer_mm > band_mm) - int(nearer_mm < -band_mm)


def _state(bone_mm: Sequence[float], ratio: float = EPSILON_RATIO) -> int:
    """Eq. (1) of a bone from parent to child."""
    return _banded(-bone_mm[2], ratio * math.hypot(*bone_mm))


def _state_from(bone_mm: Sequence[float], azimuth_deg: float) -> int:
    return _state(_turned(bone_mm, math.radians(azimuth_deg)))


def _by_the_length_seen(bone_mm: Sequence[float], azimuth_deg: float) -> int:
    x, y, z = _turned(bone_mm, math.radians(azimuth_deg))
    return _banded(-z, EPSILON_RATIO * math.hypot(x, y))


def _by_the_length_seen_before(bone_mm: Sequence[float], azimuth_deg: float) -> int:
    x, y, _ = bone_mm
    return _banded(-_turned(bone_mm, math.radians(azimuth_deg))[2], EPSILON_RATIO * math.hypot(x, y))


def _over_the_head(bone_mm: Sequence[float], azimuth_deg: float) -> int:
    x, y, z = bone_mm
    return -_state_from((y, x, -z), azimuth_deg)


_STATE_FROM = Exercise(
    "A part's polarity once the camera has gone round the person.",
    _state_from,
    (
        ([300.0, 0.0, 0.0], 90.0),
        ([300.0, 0.0, 0.0], 40.0),
        ([300.0, 0.0, 0.0], -40.0),
        ([300.0, 0.0, 0.0], 20.0),
        ([0.0, 400.0, 0.0], 90.0),
        ([0.0, 0.0, -250.0], 0.0),
        ([0.0, 0.0, -250.0], 180.0),
        ([0.0, 0.0, -250.0], 70.0),
        ([200.0, 100.0, -150.0], -60.0),
        ([-120.0, 60.0, 200.0], 25.0),
        ([50.0, 240.0, 40.0], 100.0),
        ([221.0, 0.0, 117.0], 0.0),  # between half of the length seen and half of the length
        ([0.0, 221.0, -117.0], 0.0),
        ([300.0, 0.0, 0.0], 28.0),
    ),
    (
        Mistake(
            "you turn the wrong way: from the camera's right, what lies on the right comes *nearer*",
            lambda bone_mm, azimuth_deg: _state_from(bone_mm, -azimuth_deg),
        ),
        Mistake(
            "your polarity is flipped: a nearer child should be +1, and nearer means a smaller z",
            lambda bone_mm, azimuth_deg: -_state_from(bone_mm, azimuth_deg),
        ),
        Mistake(
            "sine and cosine take radians; the angle comes in degrees",
            lambda bone_mm, azimuth_deg: _state(_turned(bone_mm, azimuth_deg)),
        ),
        Mistake(  # what an answer that turns x and y gives, too: z is all that counts
            "you never use `azimuth_deg`: going round turns x and z. (Turning x and y turns the picture, and "
            "no polarity with it.)",
            lambda bone_mm, azimuth_deg: _state(bone_mm),
        ),
        Mistake(
            "the camera goes over the person's head: going round leaves y alone and turns x and z",
            _over_the_head,
        ),
        Mistake(
            "you have no zero band: a part whose ends are at about the same depth is 0",
            lambda bone_mm, azimuth_deg: _state(_turned(bone_mm, math.radians(azimuth_deg)), 1e-9),
        ),
        Mistake(
            "you take ε from the length in the picture; it is half of the 3D length, which no camera changes",
            _by_the_length_seen,
        ),
        Mistake(
            "you take ε from x and y alone, before turning; the length is that in 3D, and z belongs to it",
            _by_the_length_seen_before,
        ),
        Mistake(
            "your zero band is too wide: ε is half of the part's length, not all of it",
            lambda bone_mm, azimuth_deg: _state(_turned(bone_mm, math.radians(azimuth_deg)), 1 + 1e-9),
        ),
    ),
)


def _azimuth_for(across: float, epsilon_ratio: float) -> float:
    """The azimuth (degrees) that turns `across`, a share of the part's length, to a depth of ε."""
    return math.degrees(math.asin(epsilon_ratio / across)) if across > epsilon_ratio else math.inf


def _azimuth_to_leave(tilt_deg: float, epsilon_ratio: float) -> float:
    return _azimuth_for(math.cos(math.radians(tilt_deg)), epsilon_ratio)


def _times_the_share(tilt_deg: float, epsilon_ratio: float) -> float:
    return math.degrees(math.asin(epsilon_ratio * math.cos(math.radians(tilt_deg))))


def _angle_over_the_share(tilt_deg: float, epsilon_ratio: float) -> float:
    return math.degrees(math.asin(epsilon_ratio)) / math.cos(math.radians(tilt_deg))


def _of_degrees_guarded_by_sine(tilt_deg: float, epsilon_ratio: float) -> float:
    sine = epsilon_ratio / math.cos(tilt_deg)
    return math.degrees(math.asin(sine)) if sine < 1 else math.inf


def _without_a_guard(tilt_deg: float, epsilon_ratio: float) -> float:
    """What NumPy and PyTorch, which do not raise, make of a sine above 1."""
    right = _azimuth_to_leave(tilt_deg, epsilon_ratio)
    return math.nan if math.isinf(right) else right


def _where_it_leaves(rule: Callable[[float, float], float]) -> Callable[[float, float], float]:
    """A rule where the part ever leaves state 0; infinity where it does not."""

    def answer(tilt_deg: float, epsilon_ratio: float) -> float:
        right = _azimuth_to_leave(tilt_deg, epsilon_ratio)
        return right if math.isinf(right) else rule(tilt_deg, epsilon_ratio)

    return answer


_AZIMUTH_TO_LEAVE = Exercise(
    "How far the camera must go round until a part leaves state 0.",
    _azimuth_to_leave,
    (
        (0.0, 0.5),
        (30.0, 0.5),
        (45.0, 0.5),
        (45.0, 0.25),
        (10.0, 0.8),
        (90.0, 0.25),
        (70.0, 0.5),
        (55.0, 0.25),
    ),
    (
        Mistake(
            "you never use `tilt_deg`: only the part's share to the right, cos φ, can turn into depth",
            lambda tilt_deg, epsilon_ratio: math.degrees(math.asin(epsilon_ratio)),
        ),
        Mistake(
            "you forget the tilt where the part does leave: only what it reaches to the side can come to lie "
            "in depth",
            _where_it_leaves(lambda tilt_deg, epsilon_ratio: math.degrees(math.asin(epsilon_ratio))),
        ),
        Mistake(
            "sin φ is the part's share downwards, which going round leaves alone; its share to the right is "
            "cos φ",
            lambda tilt_deg, epsilon_ratio: _azimuth_for(math.sin(math.radians(tilt_deg)), epsilon_ratio),
        ),
        Mistake(
            "the tilt comes in degrees, and sine and cosine take radians",
            lambda tilt_deg, epsilon_ratio: _azimuth_for(math.cos(tilt_deg), epsilon_ratio),
        ),
        Mistake(
            "no cosine from 0 to 90° is negative: yours takes the tilt in degrees, and needs radians",
            _of_degrees_guarded_by_sine,
        ),
        Mistake(
            "asin takes no number above 1: NaN is what NumPy and PyTorch give there. No angle will do, so "
            "the answer is `math.inf`",
            _without_a_guard,
        ),
        Mistake(
            "you say that every part leaves: one that reaches too little to the side stays at 0 even at 90°. "
            "The answer is then `math.inf`",
            lambda tilt_deg, epsilon_ratio: min(_azimuth_to_leave(tilt_deg, epsilon_ratio), 90.0),
        ),
        Mistake(
            "the steeper the part, the farther the camera has to go; yours has less far to go",
            _where_it_leaves(_times_the_share),
        ),
        Mistake(
            "you multiply ε by cos φ: write down the depth of the turned part, set it to ε, and solve again. "
            "Some parts never leave",
            _times_the_share,
        ),
        Mistake(
            "you divide the angle by cos φ; what has to be divided is its sine, before asin",
            _where_it_leaves(_angle_over_the_share),
        ),
        Mistake(
            "you divide asin(ε) by cos φ: solve for the sine first, and take asin last. Where that sine is "
            "above 1, no angle will do",
            _angle_over_the_share,
        ),
        Mistake(
            "your angle is in radians; the exercise asks for degrees",
            _where_it_leaves(
                lambda tilt_deg, epsilon_ratio: math.radians(_azimuth_to_leave(tilt_deg, epsilon_ratio))
            ),
        ),
        Mistake(
            "angles do not simply add up: write the part as a vector, turn it, and look at its z",
            _where_it_leaves(
                lambda tilt_deg, epsilon_ratio: tilt_deg + math.degrees(math.asin(epsilon_ratio))
            ),
        ),
        Mistake(
            "you always take the paper's ratio of 0.5: make use of `epsilon_ratio`",
            _where_it_leaves(lambda tilt_deg, epsilon_ratio: _azimuth_to_leave(tilt_deg, EPSILON_RATIO)),
        ),
        Mistake(
            "you measure from the wrong direction: the answer is 0 if the part leaves at once, and 90 if it "
            "only just does",
            _where_it_leaves(lambda tilt_deg, epsilon_ratio: 90 - _azimuth_to_leave(tilt_deg, epsilon_ratio)),
        ),
    ),
)


def _subsets(steps_mm: Sequence[float], signs: Sequence[int], open_: Sequence[bool]) -> list[float]:
    """By how much the chain's end is off in depth, in each of the poses that are left."""
    wrong = [2 * sign * step for step, sign, free in zip(steps_mm, signs, open_, strict=True) if free]
    choices = itertools.product(*((0.0, each) for each in wrong))
    return [math.fsum(choice) for choice in choices]


def _mean_depth_error(steps_mm: Sequence[float], signs: Sequence[int], open_: Sequence[bool]) -> float:
    errors = _subsets(steps_mm, signs, open_)
    return math.fsum(map(abs, errors)) / len(errors)


_MEAN_DEPTH_ERROR = Exercise(
    "The depth error that the poses left over cost at the end of a chain, on average.",
    _mean_depth_error,
    (
        ([100.0], [1], [True]),
        ([100.0], [-1], [False]),
        ([100.0, 60.0], [1, 1], [True, True]),
        ([100.0, 60.0], [1, -1], [True, True]),
        ([100.0, 60.0], [1, -1], [False, True]),
        ([120.0, 80.0, 150.0], [1, -1, -1], [True, True, True]),
        ([120.0, 80.0, 150.0], [-1, 1, -1], [True, False, True]),
    ),
    (
        Mistake(
            "a part on its wrong side is off by *twice* its depth: from one side of the plane to the other",
            lambda steps_mm, signs, open_: _mean_depth_error(steps_mm, signs, open_) / 2,
        ),
        Mistake(
            "you give the worst pose; asked for is the mean over all that are left",
            lambda steps_mm, signs, open_: max(map(abs, _subsets(steps_mm, signs, open_))),
        ),
        Mistake(
            "errors of two parts can cancel: add them up with their signs first, and take the absolute value "
            "of the sum",
            lambda steps_mm, signs, open_: _mean_depth_error(steps_mm, [1] * len(signs), open_),
        ),
        Mistake(
            "a distance is not negative: take the absolute value in each pose, before the mean",
            lambda steps_mm, signs, open_: (
                math.fsum(_subsets(steps_mm, signs, open_)) / 2 ** sum(map(bool, open_))
            ),
        ),
        Mistake(
            "you leave the labels unused: a part whose place is known has no other",
            lambda steps_mm, signs, open_: _mean_depth_error(steps_mm, signs, [True] * len(open_)),
        ),
        Mistake(
            "that is the root of the mean square; asked for is the mean distance",
            lambda steps_mm, signs, open_: math.sqrt(
                math.fsum(error**2 for error in _subsets(steps_mm, signs, open_)) / 2 ** sum(map(bool, open_))
            ),
        ),
        Mistake(
            "you leave the true pose out of the mean: it is one of those that are left",
            lambda steps_mm, signs, open_: (
                math.fsum(map(abs, _subsets(steps_mm, signs, open_))) / max(2 ** sum(map(bool, open_)) - 1, 1)
            ),
        ),
    ),
)

EXERCISES: dict[str, Exercise] = {
    "11.1": _POSES_LEFT,
    "11.2": _STATE_FROM,
    "11.3": _AZIMUTH_TO_LEAVE,
    "11.4": _MEAN_DEPTH_ERROR,
}
