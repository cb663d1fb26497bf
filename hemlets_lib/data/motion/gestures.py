"""What trunk, head and hands do on top of a stance: postures, glances, places for a hand.

A place is where a wrist goes over time, with how its elbow swivels. Each function draws its own
variation from the take's `Signals`, so that two takes never rest a hand in quite the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float, Int

from hemlets_lib.data.motion.body import SIDES
from hemlets_lib.data.motion.puppet import Puppet
from hemlets_lib.data.motion.signals import Schedule, Signals
from hemlets_lib.data.motion.stances import Gait

__all__ = [
    "Place",
    "alternate",
    "alternate_rests",
    "choose_hand",
    "gesturing",
    "look_about",
    "other_side",
    "pose_trunk",
    "put_hand",
    "rest_hand",
    "swinging",
]

Array = np.ndarray
Place = tuple[Float[Array, "F 3"], Float[Array, "F"] | float]
ARC = 0.22  # how far a hand goes out of its straight way, of the way's length


def other_side(side: str) -> str:
    """'left' for 'right', and the other way round."""
    return "left" if side == "right" else "right"


def choose_hand(signals: Signals, *, right: float = 0.75) -> str:
    """The side of the hand that acts; the right one with that probability."""
    return "right" if signals.chance(right) else "left"


def pose_trunk(
    puppet: Puppet,
    signals: Signals,
    *,
    flexion: Array | float = 0.0,
    bend: Array | float = 0.0,
    twist: Array | float = 0.0,
    lively: float = 1.0,
) -> None:
    """Bends the trunk, with a posture of the take's own and some sway on top.

    Args:
        puppet: Has a pelvis already.
        signals: Source of posture and sway.
        flexion: Forwards, radians.
        bend: To the left, radians.
        twist: Turning left, radians.
        lively: Scales the sway.
    """
    slouch = signals.uniform(-0.09, 0.14)
    puppet.bend_trunk(
        flexion=flexion + slouch + signals.wander(0.04 * lively, 4.0),
        bend=bend + signals.wander(0.04 * lively, 4.0),
        twist=twist + signals.wander(0.07 * lively, 4.5),
    )


def look_about(
    puppet: Puppet,
    signals: Signals,
    *,
    yaw: Array | float = 0.0,
    pitch: Array | float = 0.0,
    roll: Array | float = 0.0,
    roam: float = 0.35,
) -> None:
    """Looks about: glances that last, and a little wobble.

    Args:
        puppet: Has a trunk already.
        signals: Source of the glances.
        yaw: Where the action looks, radians left of the chest.
        pitch: Down from the horizon, radians.
        roll: The head's tilt to the left, radians.
        roam: How far the glances stray from there.
    """
    glances = signals.schedule(signals.uniform(1.8, 4.0), 0.6)
    puppet.turn_head(
        yaw=yaw + roam * glances.blend(signals.keys(-1.2, 1.2)) + signals.wander(0.04, 2.0),
        pitch=pitch + roam * glances.blend(signals.keys(-0.4, 0.6)) + signals.wander(0.04, 2.5),
        roll=roll + signals.wander(0.05, 3.0),
    )


def alternate(
    puppet: Puppet, side: str, schedule: Schedule, picks: Int[Array, "K"], places: Sequence[Place]
) -> Place:
    """Goes from place to place as picked for each segment, in an arc that avoids the body.

    Args:
        puppet: Has a trunk already.
        side: The hand's.
        schedule: When the hand moves.
        picks: Which of the places each key has.
        places: The places, all followed at all times.

    Returns:
        The hand's place over time.
    """
    weights = schedule.blend(np.eye(len(places))[picks])  # (F, places), rows sum to 1
    wrists = np.stack([place[0] for place in places])  # (places, F, 3)
    frames = np.arange(puppet.num_frames)
    step = wrists[picks[schedule.now], frames] - wrists[picks[schedule.before], frames]
    arc = ARC * np.linalg.norm(step, axis=-1) * schedule.bump()
    sign = SIDES[side]
    away = puppet.frames["chest"] @ np.array([0.7, 0.7 * sign, 0.1])
    wrist = np.einsum("fp,pfc->fc", weights, wrists) + arc[:, None] * away
    swivel = sum(weights[:, i] * np.asarray(place[1]) for i, place in enumerate(places))
    return wrist, swivel


def put_hand(puppet: Puppet, side: str, place: Place) -> None:
    """Brings a hand to its place.

    Args:
        puppet: Has a trunk already.
        side: The hand's.
        place: Where the wrist goes, and how the elbow swivels.
    """
    puppet.place_hand(side, place[0], swivel=place[1])


# Places where a hand rests. Each draws its own variation.


def by_side(puppet: Puppet, signals: Signals, side: str) -> Place:
    hang = puppet.hanging(
        side,
        flexion=signals.uniform(-0.22, 0.15) + signals.wander(0.05, 3.0),
        abduction=signals.uniform(0.08, 0.28) + signals.wander(0.02, 4.0),
        elbow=signals.uniform(0.1, 0.55) + signals.wander(0.05, 3.5),
    )
    return hang, signals.uniform(-0.3, 0.3)


def on_hip(puppet: Puppet, signals: Signals, side: str) -> Place:
    place = puppet.near_pelvis(
        side, signals.uniform(-0.3, 0.3), signals.uniform(1.5, 1.8), signals.uniform(0.7, 1.3)
    )
    return place, signals.uniform(0.0, 0.5)


def in_pocket(puppet: Puppet, signals: Signals, side: str) -> Place:
    place = puppet.near_pelvis(
        side, signals.uniform(0.2, 0.6), signals.uniform(1.3, 1.5), signals.uniform(0.05, 0.5)
    )
    return place, signals.uniform(-0.1, 0.3)


def behind_back(puppet: Puppet, signals: Signals, side: str) -> Place:
    return puppet.near_pelvis(side, -1.15, signals.uniform(0.15, 0.5), signals.uniform(0.2, 0.9)), 0.1


def folded(puppet: Puppet, signals: Signals, side: str, *, above: bool) -> Place:
    """Arms crossed before the chest."""
    place = puppet.near_shoulder(side, 0.40 + 0.06 * above, -0.30, -0.38 + 0.05 * above)
    return place + signals.wander(6.0, 3.0, 3), signals.uniform(-0.2, 0.25)


def supporting(puppet: Puppet, signals: Signals, side: str) -> Place:
    """The forearm lies across the belly, under the other arm's elbow."""
    return puppet.near_shoulder(side, signals.uniform(0.42, 0.5), -0.28, signals.uniform(-0.55, -0.42)), 0.0


def before_chest(puppet: Puppet, signals: Signals, side: str) -> Place:
    place = puppet.near_shoulder(
        side, signals.uniform(0.35, 0.6), signals.uniform(-0.2, 0.15), signals.uniform(-0.6, -0.25)
    )
    return place + signals.wander(15.0, 2.0, 3), signals.uniform(-0.3, 0.3)


def on_thigh(puppet: Puppet, signals: Signals, side: str) -> Place:
    place = puppet.on_thigh(side, fraction=signals.uniform(0.45, 0.95), lift_mm=signals.uniform(75, 95))
    return place, signals.uniform(-0.1, 0.5)


def in_lap(puppet: Puppet, signals: Signals, side: str) -> Place:
    lap = (puppet.on_thigh(side, fraction=0.45) + puppet.on_thigh(other_side(side), fraction=0.45)) / 2
    return 0.7 * lap + 0.3 * puppet.on_thigh(side, fraction=0.5), signals.uniform(0.0, 0.4)


def at_chin(puppet: Puppet, signals: Signals, side: str) -> Place:
    return puppet.near_head(side, signals.uniform(70, 100), signals.uniform(15, 50), -125.0), -0.2


def behind_head(puppet: Puppet, signals: Signals, side: str) -> Place:
    return puppet.near_head(
        side, signals.uniform(-50, -10), signals.uniform(105, 135), signals.uniform(20, 60)
    ), signals.uniform(-0.3, 0.3)


def at_mouth(puppet: Puppet, signals: Signals, side: str) -> Place:
    return puppet.at_mouth(side) + signals.wander(5.0, 0.8, 3), signals.uniform(-0.5, 0.15)


def at_ear(puppet: Puppet, signals: Signals, side: str) -> Place:
    return puppet.at_ear(side) + signals.wander(4.0, 1.0, 3), signals.uniform(-0.6, -0.1)


def gesturing(puppet: Puppet, signals: Signals, side: str, *, size: float = 1.0) -> Place:
    """Talks with a hand: strokes about a place before the body.

    Args:
        puppet: Has a trunk already.
        signals: Source of the strokes.
        side: The hand's.
        size: Scales the strokes.

    Returns:
        The hand's place over time.
    """
    strokes = signals.schedule(signals.uniform(0.9, 1.6), 0.6)
    high = signals.uniform(-0.6, -0.2)
    place = puppet.near_shoulder(
        side,
        0.45 + size * strokes.blend(signals.keys(-0.15, 0.3)) + signals.wander(0.03, 0.9),
        0.05 + size * strokes.blend(signals.keys(-0.22, 0.42)) + signals.wander(0.03, 1.1),
        high + size * strokes.blend(signals.keys(-0.22, 0.4)) + signals.wander(0.04, 0.8),
    )
    return place, signals.uniform(-0.3, 0.5) + signals.wander(0.15, 2.0)


Rest = Callable[[Puppet, Signals, str], Place]
STANDING_RESTS: tuple[Rest, ...] = (by_side, on_hip, in_pocket, before_chest, supporting, behind_back)
SEATED_RESTS: tuple[Rest, ...] = (on_thigh, in_lap, before_chest, supporting)


def rest_hand(puppet: Puppet, signals: Signals, side: str, *, seated: bool = False) -> Place:
    """A resting place, drawn from those that suit who stands or sits.

    Args:
        puppet: Has a trunk already.
        signals: Source of the choice.
        side: The hand's.
        seated: Whether there is a lap.

    Returns:
        The hand's place over time.
    """
    rests = SEATED_RESTS if seated else STANDING_RESTS
    weights = (0.45, 0.3, 0.1, 0.15) if seated else (0.4, 0.13, 0.17, 0.1, 0.12, 0.08)
    return rests[int(signals.rng.choice(len(rests), p=weights))](puppet, signals, side)


def alternate_rests(
    puppet: Puppet, signals: Signals, side: str, rests: Sequence[Rest], *, period_s: float = 5.0
) -> Place:
    """Changes between several resting places.

    Args:
        puppet: Has a trunk already.
        signals: Source of the choices.
        side: The hand's.
        rests: The places to choose from.
        period_s: About how long the hand stays.

    Returns:
        The hand's place over time.
    """
    schedule = signals.schedule(period_s * signals.uniform(0.7, 1.4), 1.1)
    picks = signals.picks([float(w) for w in signals.rng.uniform(0.2, 1.0, len(rests))])
    return alternate(puppet, side, schedule, picks, [rest(puppet, signals, side) for rest in rests])


def swinging(puppet: Puppet, signals: Signals, gait: Gait, side: str, *, size: float = 1.0) -> Place:
    """An arm that swings with the steps.

    Args:
        puppet: Has a trunk already.
        signals: Source of the style.
        gait: The walk.
        side: The arm's.
        size: Scales the swing.

    Returns:
        The hand's place over time.
    """
    swing = size * signals.uniform(0.2, 0.48) * gait.swing(side)
    hang = puppet.hanging(
        side,
        flexion=signals.uniform(-0.2, 0.06) + swing,
        abduction=signals.uniform(0.1, 0.25),
        elbow=signals.uniform(0.25, 0.8) + 0.35 * np.maximum(swing, -0.25),
    )
    return hang, signals.uniform(-0.2, 0.2)
