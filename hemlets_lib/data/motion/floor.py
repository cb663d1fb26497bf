"""What the lower body does when it goes down to the floor and sits there."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from hemlets_lib.data.motion.body import SIDES, apply, normalise, rotation
from hemlets_lib.data.motion.puppet import Puppet
from hemlets_lib.data.motion.signals import Schedule, Signals
from hemlets_lib.data.motion.stances import direction, over_floor

__all__ = ["WAYS", "sit_on_floor", "way"]

Array = np.ndarray
Triple = tuple[float, float, float]
KNEE_CLEARANCE_MM = 45.0  # a knee's joint over the floor that it rests on
SOLE, HEEL = 0.0, -20.0  # an ankle's height against standing: the sole flat, or the heel alone down
LYING_FOOT = -22.0  # the foot's side or back on the floor


class Foot(NamedTuple):
    """Where a foot is from the pelvis, and where its knee points.

    Args:
        forward: Of the leg's length, along the heading.
        outward_mm: To its own side; negative crosses over.
        height_mm: The ankle's, against standing.
        knee: Forward, outward and up.
    """

    forward: float
    outward_mm: float
    height_mm: float
    knee: Triple


class Way(NamedTuple):
    """A way to be on the floor, or on the way down to it.

    Args:
        name: What people would call it.
        weight: How often it is chosen.
        height: The pelvis', of the leg's length (over the ankles', for those who stand).
        pitch_deg: The pelvis' tilt forward.
        back_mm: How far the pelvis is behind the spot where the feet would stand.
        feet: The foot that folds closer, and the other one.
        play: How much both vary.
    """

    name: str
    weight: float
    height: float
    pitch_deg: float
    back_mm: float
    feet: tuple[Foot, Foot]
    play: float = 1.0


_UP: Triple = (0.2, 0.11, 1.0)
_BENT, _LONG = Foot(0.55, 120, SOLE, _UP), Foot(0.967, 125, HEEL, _UP)
WAYS: tuple[Way, ...] = (
    Way("crossed", 1.0, 0.11, -18, 260,
        (Foot(0.315, -130, -6, (0.25, 1, 0.22)), Foot(0.36, -105, -18, (0.25, 1, 0.22)))),
    Way("stretched", 0.8, 0.11, -22, 430, (_LONG, _LONG)),
    Way("knees up", 0.8, 0.11, -32, 330, (_BENT, _BENT)),
    Way("one knee up", 0.8, 0.11, -28, 380, (_BENT, _LONG)),
    Way("kneeling", 0.7, 0.27, 2, 120, (Foot(-0.045, 75, LYING_FOOT, (1, 0.16, -0.15)),) * 2, play=0.3),
    Way("sideways", 0.7, 0.11, -12, 300,
        (Foot(0.36, 60, LYING_FOOT, (0.25, 1, 0.3)), Foot(-0.02, 330, LYING_FOOT, (1, 0.55, 0.1))), play=0.6),
    Way("squatting", 0.7, 0.33, 12, 150, (Foot(0.1, 150, 20, (1, 0.5, 0.35)),) * 2, play=0.7),
    Way("standing", 0.6, 1.07, 2, 10, (Foot(0.02, 110, SOLE, (1, 0.15, 0)),) * 2, play=0.6),
    Way("reclining", 0.5, 0.11, -52, 420, (Foot(0.6, 120, SOLE, _UP), Foot(0.9, 120, HEEL, _UP))),
)  # fmt: skip


def way(*names: str) -> list[int]:
    """The numbers of ways, by name."""
    return [next(number for number, each in enumerate(WAYS) if each.name == name) for name in names]


def sit_on_floor(puppet: Puppet, signals: Signals) -> tuple[Schedule, Int[Array, "K"]]:
    """Goes down to the floor, sits there in one way and another, and may get up again.

    Args:
        puppet: Gets a pelvis and legs.
        signals: Source of the choices.

    Returns:
        The schedule of the changes, and each key's number in `WAYS`.
    """
    subject = puppet.subject
    moves = signals.schedule(signals.uniform(4.0, 6.5), signals.uniform(1.7, 2.4))
    habit = [each.weight * signals.uniform(0.4, 1.3) for each in WAYS]
    ways = signals.picks(habit)
    if signals.chance(0.4):  # never gets up
        ways[np.isin(ways, way("standing"))] = way("squatting")[0]

    def of_way(name: str) -> Float[Array, "K"]:
        return np.array([getattr(WAYS[number], name) for number in ways], dtype=np.float64)

    play = of_way("play")
    yaw = signals.uniform(0, 2 * np.pi)
    turn = signals.uniform(0.2, 0.9) * signals.keys(-1, 1)
    heading = yaw + moves.blend(turn)
    spot = signals.uniform(0, 400.0) * direction(signals.uniform(0, 2 * np.pi)) + 250.0 * direction(yaw)
    back = of_way("back_mm") + 50.0 * signals.keys(-1, 1)
    centre = spot - back[:, None] * direction(yaw)  # (K, 2): the pelvis at each key
    reclining = np.isin(ways, way("reclining"))
    pitch = np.radians(of_way("pitch_deg") + signals.keys(-1, 1) * np.where(reclining, 14.0, 5.0))

    closer = signals.sign()  # which side's foot folds closer
    near, wide = signals.keys(-60, 60), signals.keys(-40, 40)
    ankles, poles = {}, {}
    for side, sign in SIDES.items():
        feet = [WAYS[number].feet[0 if sign == closer else 1] for number in ways]
        ahead = np.array([foot.forward for foot in feet]) * subject.leg_mm
        ahead = ahead + play * (near + signals.keys(-30, 30)) * np.where(
            ahead > 0.8 * subject.leg_mm, 0.3, 1.0
        )
        out = np.array([foot.outward_mm for foot in feet]) + play * (wide + signals.keys(-25, 25))
        height = subject.ankle_mm + np.array([foot.height_mm for foot in feet])
        facing = yaw + turn  # feet turn with the body of their key
        xy = centre + ahead[:, None] * direction(facing) + sign * out[:, None] * direction(facing + np.pi / 2)
        places = over_floor(xy, height)
        moved = np.linalg.norm(places[moves.now] - places[moves.before], axis=-1)
        begin, end = (0.1, 0.8) if sign == closer else (0.2, 0.9)
        ankles[side] = moves.blend(places, begin, end)
        ankles[side][:, 2] += moves.bump(begin, end) * np.minimum(0.22 * moved, 80.0)
        knee = np.array([foot.knee for foot in feet]) + signals.keys(-0.12, 0.12)[:, None] * [0.0, 1.0, 0.0]
        poles[side] = apply(
            rotation("z", heading), normalise(moves.blend(knee * [1.0, sign, 1.0], begin, end))
        )

    # Feet go under the body, or out from under it, while it is lifted off them.
    folded = np.isin(ways, way("kneeling", "sideways"))
    folding = (folded[moves.now] | folded[moves.before]) & (ways[moves.now] != ways[moves.before])
    low = moves.blend(of_way("height") * subject.leg_mm + play * signals.keys(-12, 12))
    low = low + signals.wander(3.0, 4.0) + 0.3 * subject.leg_mm * folding * moves.bump()
    tilt = moves.blend(pitch) + signals.wander(0.03, 5.0) + 0.3 * moves.bump()
    xy = moves.blend(centre) + signals.wander(6.0, 5.0, 2)
    for _ in range(3):  # a body that rests on its knees is held up by them
        puppet.place_pelvis(over_floor(xy, low), yaw=heading, pitch=tilt)
        puppet.place_feet(ankles, poles)
        knees_mm = np.minimum(puppet.points["left_knee"][:, 2], puppet.points["right_knee"][:, 2])
        low = low + 10.0 * np.logaddexp(0.0, (KNEE_CLEARANCE_MM - knees_mm) / 10.0)
    return moves, ways
