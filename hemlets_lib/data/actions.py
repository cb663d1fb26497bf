"""The 15 actions of Human3.6M: what trunk, head and hands do on top of a stance.

Each action is a function of a `Puppet`, which it poses, and of `Signals`, its source of style and
its clock; it returns the furniture that it needs. `ACTIONS` lists them in Human3.6M's order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
from jaxtyping import Float, Int

from hemlets_lib.data.appearance import Prop
from hemlets_lib.data.puppet import Puppet
from hemlets_lib.data.seats import KNEELING, KNEES_UP, RECLINING, SQUAT, STAND, STRETCHED, sit_on_chair, sit_on_floor
from hemlets_lib.data.signals import NUM_KEYS, Schedule, Signals
from hemlets_lib.data.stances import Gait, stand, walk

__all__ = ["ACTIONS"]

Array = np.ndarray
Props = tuple[Prop, ...]
Place = tuple[Array, Array | float]  # a wrist's place over time, and its elbow's swivel

PARTS = ("right", "left")
ARC = 0.22  # how far a hand goes out of its straight way, of the way's length


def _other(side: str) -> str:
    return "left" if side == "right" else "right"


def _hand(signals: Signals, *, right: float = 0.75) -> str:
    return "right" if signals.chance(right) else "left"


def _trunk(
    puppet: Puppet,
    signals: Signals,
    *,
    flexion: Array | float = 0.0,
    bend: Array | float = 0.0,
    twist: Array | float = 0.0,
    lively: float = 1.0,
) -> None:
    """Bends the trunk, with a posture of the take's own and some sway on top."""
    slouch = signals.uniform(-0.09, 0.14)
    puppet.bend_trunk(
        flexion=flexion + slouch + signals.wander(0.04 * lively, 4.0),
        bend=bend + signals.wander(0.04 * lively, 4.0),
        twist=twist + signals.wander(0.07 * lively, 4.5),
    )


def _gaze(
    puppet: Puppet,
    signals: Signals,
    *,
    yaw: Array | float = 0.0,
    pitch: Array | float = 0.0,
    roll: Array | float = 0.0,
    roam: float = 0.35,
) -> None:
    """Looks about: glances that last, and a little wobble."""
    glances = signals.schedule(signals.uniform(1.8, 4.0), 0.6)
    puppet.turn_head(
        yaw=yaw + roam * glances.blend(signals.keys(-1.2, 1.2)) + signals.wander(0.04, 2.0),
        pitch=pitch + roam * glances.blend(signals.keys(-0.4, 0.6)) + signals.wander(0.04, 2.5),
        roll=roll + signals.wander(0.05, 3.0),
    )


def _alternate(
    puppet: Puppet, side: str, schedule: Schedule, picks: Int[Array, "K"], places: Sequence[Place]
) -> Place:
    """Goes from place to place as picked for each segment, in an arc that avoids the body."""
    weights = schedule.blend(np.eye(len(places))[picks])  # (F, places), rows sum to 1
    wrists = np.stack([place[0] for place in places])  # (places, F, 3)
    frames = np.arange(puppet.num_frames)
    step = wrists[picks[schedule.now], frames] - wrists[picks[schedule.before], frames]
    arc = ARC * np.linalg.norm(step, axis=-1) * schedule.bump()
    sign = 1 if side == "left" else -1
    away = puppet.frames["chest"] @ np.array([0.7, 0.7 * sign, 0.1])
    wrist = np.einsum("fp,pfc->fc", weights, wrists) + arc[:, None] * away
    swivel = sum(weights[:, i] * np.asarray(place[1]) for i, place in enumerate(places))
    return wrist, swivel


def _put(puppet: Puppet, side: str, place: Place, *, through: bool = False) -> None:
    puppet.place_hand(side, place[0], swivel=place[1], through=through)


# Places where a hand rests. Each draws its own variation.


def _by_side(puppet: Puppet, signals: Signals, side: str) -> Place:
    hang = puppet.hanging(
        side,
        flexion=signals.uniform(-0.12, 0.2) + signals.wander(0.05, 3.0),
        abduction=signals.uniform(0.08, 0.28) + signals.wander(0.02, 4.0),
        elbow=signals.uniform(0.1, 0.55) + signals.wander(0.05, 3.5),
    )
    return hang, signals.uniform(-0.3, 0.3)


def _on_hip(puppet: Puppet, signals: Signals, side: str) -> Place:
    place = puppet.near_pelvis(side, signals.uniform(-0.3, 0.3), signals.uniform(1.5, 1.8), signals.uniform(0.7, 1.3))
    return place, signals.uniform(0.0, 0.5)


def _in_pocket(puppet: Puppet, signals: Signals, side: str) -> Place:
    place = puppet.near_pelvis(side, signals.uniform(0.2, 0.6), signals.uniform(1.3, 1.5), signals.uniform(0.05, 0.5))
    return place, signals.uniform(-0.1, 0.3)


def _behind_back(puppet: Puppet, signals: Signals, side: str) -> Place:
    return puppet.near_pelvis(side, -1.15, signals.uniform(0.15, 0.5), signals.uniform(0.2, 0.9)), 0.1


def _folded(puppet: Puppet, signals: Signals, side: str, *, above: bool) -> Place:
    """Arms crossed before the chest."""
    place = puppet.near_shoulder(side, 0.40 + 0.06 * above, -0.30, -0.38 + 0.05 * above)
    return place + signals.wander(6.0, 3.0, 3), signals.uniform(-0.2, 0.25)


def _supporting(puppet: Puppet, signals: Signals, side: str) -> Place:
    """The forearm lies across the belly, under the other arm's elbow."""
    return puppet.near_shoulder(side, signals.uniform(0.42, 0.5), -0.28, signals.uniform(-0.55, -0.42)), 0.0


def _before_chest(puppet: Puppet, signals: Signals, side: str) -> Place:
    place = puppet.near_shoulder(side, signals.uniform(0.35, 0.6), signals.uniform(-0.2, 0.15), signals.uniform(-0.6, -0.25))
    return place + signals.wander(15.0, 2.0, 3), signals.uniform(-0.3, 0.3)


def _on_thigh(puppet: Puppet, signals: Signals, side: str) -> Place:
    place = puppet.on_thigh(side, fraction=signals.uniform(0.45, 0.95), lift_mm=signals.uniform(75, 95))
    return place, signals.uniform(-0.1, 0.5)


def _in_lap(puppet: Puppet, signals: Signals, side: str) -> Place:
    lap = (puppet.on_thigh(side, fraction=0.45) + puppet.on_thigh(_other(side), fraction=0.45)) / 2
    return 0.7 * lap + 0.3 * puppet.on_thigh(side, fraction=0.5), signals.uniform(0.0, 0.4)


def _at_chin(puppet: Puppet, signals: Signals, side: str) -> Place:
    return puppet.near_head(side, signals.uniform(70, 100), signals.uniform(15, 50), -125.0), -0.2


def _behind_head(puppet: Puppet, signals: Signals, side: str) -> Place:
    return puppet.near_head(side, signals.uniform(-50, -10), signals.uniform(105, 135), signals.uniform(20, 60)), signals.uniform(-0.3, 0.3)


def _at_mouth(puppet: Puppet, signals: Signals, side: str) -> Place:
    return puppet.at_mouth(side) + signals.wander(5.0, 0.8, 3), signals.uniform(-0.5, 0.15)


def _at_ear(puppet: Puppet, signals: Signals, side: str) -> Place:
    return puppet.at_ear(side) + signals.wander(4.0, 1.0, 3), signals.uniform(-0.6, -0.1)


def _gesturing(puppet: Puppet, signals: Signals, side: str, *, size: float = 1.0) -> Place:
    """Talks with a hand: strokes about a place before the body."""
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
STANDING_RESTS: tuple[Rest, ...] = (_by_side, _on_hip, _in_pocket, _before_chest, _supporting, _behind_back)
SEATED_RESTS: tuple[Rest, ...] = (_on_thigh, _in_lap, _before_chest, _supporting)


def _rest(puppet: Puppet, signals: Signals, side: str, *, seated: bool = False) -> Place:
    rests = SEATED_RESTS if seated else STANDING_RESTS
    weights = (0.45, 0.3, 0.1, 0.15) if seated else (0.4, 0.13, 0.17, 0.1, 0.12, 0.08)
    return rests[int(signals.rng.choice(len(rests), p=weights))](puppet, signals, side)


def _alternatives(puppet: Puppet, signals: Signals, side: str, rests: Sequence[Rest], *, period_s: float = 5.0) -> Place:
    """Changes between several resting places."""
    schedule = signals.schedule(period_s * signals.uniform(0.7, 1.4), 1.1)
    picks = signals.picks([float(w) for w in signals.rng.uniform(0.2, 1.0, len(rests))])
    return _alternate(puppet, side, schedule, picks, [rest(puppet, signals, side) for rest in rests])


def _swinging(puppet: Puppet, signals: Signals, gait: Gait, side: str, *, size: float = 1.0) -> Place:
    """An arm that swings with the steps."""
    swing = size * signals.uniform(0.2, 0.48) * gait.swing(side)
    hang = puppet.hanging(
        side,
        flexion=signals.uniform(0.0, 0.12) + swing,
        abduction=signals.uniform(0.1, 0.25),
        elbow=signals.uniform(0.2, 0.6) + 0.35 * np.maximum(swing, -0.25),
    )
    return hang, signals.uniform(-0.2, 0.2)


# The actions.


def directions(puppet: Puppet, signals: Signals) -> Props:
    """Points the way to somewhere, looking there."""
    steps = stand(puppet, signals, period_s=signals.uniform(4.0, 9.0))
    side = _hand(signals)
    points = signals.schedule(signals.uniform(2.2, 4.0), 0.9)
    azimuth = signals.keys(-0.45, 1.8)  # outward of straight ahead
    elevation = signals.keys(-0.55, 0.75)
    sign = 1 if side == "left" else -1
    aimed = points.blend(azimuth)
    _trunk(puppet, signals, twist=sign * 0.22 * aimed)
    _gaze(puppet, signals, yaw=sign * np.clip(0.5 * aimed, -0.6, 0.8), roam=0.3)
    reach = points.blend(signals.keys(0.8, 0.97)) + signals.wander(0.02, 1.0)
    up = points.blend(elevation) + signals.wander(0.05, 1.2)
    out = aimed + signals.wander(0.06, 1.0)
    pointing = puppet.near_shoulder(side, reach * np.cos(up) * np.cos(out), reach * np.cos(up) * np.sin(out), reach * np.sin(up))
    busy = signals.picks([signals.uniform(0.7, 1), signals.uniform(0.0, 0.4)])
    places = [(pointing, signals.uniform(-0.2, 0.3)), _by_side(puppet, signals, side)]
    _put(puppet, side, _alternate(puppet, side, points, busy, places))
    free = _other(side)
    if signals.chance(0.35):  # both hands show the way, or the width of it
        out = 0.3 + 0.5 * points.blend(signals.keys(-0.6, 1.2))
        both = puppet.near_shoulder(free, 0.8 * np.cos(out), 0.8 * np.sin(out), points.blend(signals.keys(-0.5, 0.2)))
        mixed = _alternate(puppet, free, steps, signals.picks([1.0, 1.0]), [(both, 0.0), _rest(puppet, signals, free)])
        _put(puppet, free, mixed)
    else:
        _put(puppet, free, _rest(puppet, signals, free))
    return ()


def discussion(puppet: Puppet, signals: Signals) -> Props:
    """Argues with both hands."""
    stand(puppet, signals, period_s=signals.uniform(3.5, 8.0), turn=0.8, radius_mm=300.0)
    _trunk(puppet, signals, flexion=0.05, lively=1.6)
    _gaze(puppet, signals, roam=0.5)
    phrases = signals.schedule(signals.uniform(3.0, 6.0), 0.9)
    size = signals.uniform(0.7, 1.35)
    for side in PARTS:
        places = [_gesturing(puppet, signals, side, size=size), _rest(puppet, signals, side)]
        _put(puppet, side, _alternate(puppet, side, phrases, signals.picks([1.0, signals.uniform(0.1, 0.8)]), places))
    return ()


def eating(puppet: Puppet, signals: Signals) -> Props:
    """Takes bites from one hand, mostly seated."""
    seated = signals.chance(0.65)
    props: Props = ()
    if seated:
        props = sit_on_chair(puppet, signals, recline=signals.uniform(-0.25, 0.1))
    else:
        stand(puppet, signals, period_s=signals.uniform(5, 10))
    side = _hand(signals)
    bites = signals.schedule(signals.uniform(2.2, 4.2), signals.uniform(0.8, 1.2))
    at_mouth = signals.picks([1.0, 0.8])
    biting = bites.blend((at_mouth == 0).astype(float))
    _trunk(puppet, signals, flexion=0.10 + 0.12 * biting)
    _gaze(puppet, signals, pitch=0.25 - 0.15 * biting, roam=0.25)
    bowl = puppet.near_shoulder(side, 0.5, signals.uniform(-0.25, 0.05), signals.uniform(-0.6, -0.4))
    if seated and signals.chance(0.4):
        bowl = _in_lap(puppet, signals, side)[0]
    _put(puppet, side, _alternate(puppet, side, bites, at_mouth, [_at_mouth(puppet, signals, side), (bowl + signals.wander(12.0, 1.5, 3), 0.1)]))
    free = _other(side)
    holding = puppet.near_shoulder(free, 0.48, signals.uniform(-0.25, 0.0), signals.uniform(-0.6, -0.4)), 0.1
    _put(puppet, free, holding if signals.chance(0.5) else _rest(puppet, signals, free, seated=seated))
    return props


def greeting(puppet: Puppet, signals: Signals) -> Props:
    """Waves, bows, holds out a hand, opens the arms."""
    greets = signals.schedule(signals.uniform(2.5, 4.5), 0.9)
    kinds = signals.picks([1.0, 0.55, 0.5, 0.35, 0.35])  # wave, bow, handshake, open arms, at ease
    bow = greets.blend((kinds == 1).astype(float))
    deep = signals.uniform(0.45, 1.1)
    stand(puppet, signals, period_s=signals.uniform(4.0, 8.0), pitch=0.6 * deep * bow)
    _trunk(puppet, signals, flexion=0.5 * deep * bow)
    _gaze(puppet, signals, pitch=0.4 * deep * bow, roam=0.3)
    side = _hand(signals)
    both = signals.chance(0.2)
    wag, pace = signals.uniform(0.08, 0.2), signals.uniform(1.0, 1.9)
    for hand in PARTS:
        swing = wag * signals.wave(pace)
        high = signals.uniform(0.05, 0.62)
        waving = puppet.near_shoulder(hand, signals.uniform(0.2, 0.4), signals.uniform(0.25, 0.5) + swing, high - 0.3 * np.abs(swing))
        shaking = puppet.near_shoulder(hand, 0.78, -0.05, -0.35 + 0.05 * signals.wave(1.2), frame="upright")
        wide, rise = signals.uniform(0.45, 0.8), signals.uniform(-0.2, 0.35)
        open_arm = puppet.near_shoulder(hand, 0.55, wide, rise)
        rest = _by_side(puppet, signals, hand)
        active = hand == side or both
        bowed = _by_side(puppet, signals, hand) if signals.chance(0.6) else _before_chest(puppet, signals, hand)
        places = [
            (waving, 0.2) if active else rest,
            bowed,
            (shaking, 0.0) if hand == side else rest,
            (open_arm, 0.1),
            rest,
        ]
        _put(puppet, hand, _alternate(puppet, hand, greets, kinds, places))
    return ()


def phoning(puppet: Puppet, signals: Signals) -> Props:
    """Talks into a phone: pacing, standing or seated."""
    how = int(signals.rng.choice(3, p=[0.35, 0.3, 0.35]))
    props: Props = ()
    if how == 0:
        walk(puppet, signals, speed_m_s=(0.45, 0.9), size_mm=(500.0, 850.0))
    elif how == 1:
        stand(puppet, signals, period_s=signals.uniform(3.0, 7.0), turn=1.0, radius_mm=350.0)
    else:
        props = sit_on_chair(puppet, signals, recline=signals.uniform(-0.3, 0.1))
    side = _hand(signals, right=0.65)
    sign = 1 if side == "left" else -1
    _trunk(puppet, signals, flexion=signals.uniform(-0.02, 0.15))
    _gaze(puppet, signals, pitch=signals.uniform(0.0, 0.35), roll=sign * signals.uniform(0.0, 0.2), roam=0.35)
    _put(puppet, side, _at_ear(puppet, signals, side))
    free = _other(side)
    rests: tuple[Rest, ...] = (_on_thigh, _supporting, _gesturing) if how == 2 else (_by_side, _supporting, _gesturing, _in_pocket)
    _put(puppet, free, _alternatives(puppet, signals, free, rests))
    return props


def posing(puppet: Puppet, signals: Signals) -> Props:
    """Strikes one pose after the other, as for a photographer."""
    period = signals.uniform(3.0, 5.0)
    poses = signals.schedule(period, 1.3)
    stand(
        puppet, signals, period_s=period, width=(0.5, 2.4), stagger_mm=200.0, turn=1.0,
        crouch_mm=poses.blend(np.maximum(signals.keys(-120, 140), 0)), pitch=poses.blend(signals.keys(-0.1, 0.25)), shift=0.9,
    )  # fmt: skip
    _trunk(
        puppet, signals,
        flexion=poses.blend(signals.keys(-0.2, 0.3)), bend=poses.blend(signals.keys(-0.35, 0.35)), twist=poses.blend(signals.keys(-0.6, 0.6)),
    )  # fmt: skip
    _gaze(puppet, signals, yaw=poses.blend(signals.keys(-0.7, 0.7)), roll=poses.blend(signals.keys(-0.25, 0.25)), roam=0.15)
    symmetric = signals.keys(0, 1) < 0.4
    shared = signals.picks([0.8, 0.5, 0.7, 0.8, 0.7, 0.5, 0.5, 0.6])
    for side in PARTS:
        elevation, azimuth = poses.blend(signals.keys(-0.4, 1.45)), poses.blend(signals.keys(0.1, 1.45))
        long = poses.blend(signals.keys(0.6, 0.98))
        spread = puppet.near_shoulder(
            side, long * np.cos(elevation) * np.cos(azimuth), long * np.cos(elevation) * np.sin(azimuth), long * np.sin(elevation)
        )
        flexed = puppet.near_shoulder(side, 0.15, 0.52, 0.45), 0.2
        overhead = puppet.near_shoulder(side, 0.1, -0.05, 0.88), 0.0
        folded = _folded(puppet, signals, side, above=side == "left")
        places = [
            _on_hip(puppet, signals, side), _by_side(puppet, signals, side), folded, (spread, 0.1), _behind_head(puppet, signals, side),
            flexed, overhead, _at_chin(puppet, signals, side),
        ]  # fmt: skip
        own = np.where(symmetric, shared, signals.picks([0.9, 0.8, 0.0, 0.9, 0.6, 0.3, 0.3, 0.5]))
        _put(puppet, side, _alternate(puppet, side, poses, own, places))
    return ()


def purchases(puppet: Puppet, signals: Signals) -> Props:
    """Reaches for goods, high and low, and carries a bag."""
    tasks = signals.schedule(signals.uniform(3.0, 5.0), 1.4)
    kinds = signals.picks([0.9, 0.9, 0.8, 0.6])  # high, low, at hand, carrying along
    low = tasks.blend(signals.keys(0.55, 1.0) * (kinds == 1))
    squats = signals.uniform(0.0, 1.0)
    stand(
        puppet, signals, period_s=signals.uniform(3.0, 6.0), turn=1.0, radius_mm=400.0, stagger_mm=150.0,
        crouch_mm=(120.0 + 260.0 * squats) * low, pitch=(0.8 - 0.35 * squats) * low,
    )  # fmt: skip
    side = _hand(signals)
    sign = 1 if side == "left" else -1
    _trunk(puppet, signals, flexion=0.6 * low, twist=tasks.blend(signals.keys(-0.35, 0.35)))
    _gaze(puppet, signals, pitch=0.2 + 0.5 * low - 0.3 * tasks.blend((kinds == 0).astype(float)), yaw=sign * 0.15)
    out, lift = tasks.blend(signals.keys(-0.2, 0.6)), tasks.blend(signals.keys(-0.1, 0.3))
    high = puppet.near_shoulder(side, 0.6, out, 0.55 + lift, frame="upright"), 0.0
    deep = puppet.near_shoulder(side, 0.42, 0.5 * out, -0.85, frame="upright"), 0.0
    near = puppet.near_shoulder(side, 0.62, 0.5 * out, -0.35 + lift), 0.0
    _put(puppet, side, _alternate(puppet, side, tasks, kinds, [high, deep, near, _before_chest(puppet, signals, side)]))
    free = _other(side)
    # A bag hangs from the forearm, from the hand or from the shoulder.
    bags = [
        (puppet.near_shoulder(free, 0.42, 0.1, -0.55, frame="upright"), 0.1),
        (puppet.hanging(free, flexion=0.05, abduction=0.22, elbow=0.1), 0.0),
        (puppet.near_shoulder(free, 0.25, 0.0, -0.2), 0.1),
        (puppet.near_shoulder(free, 0.42, 0.0, -0.85, frame="upright"), 0.0),
    ]
    bag = bags[int(signals.rng.integers(3))]
    both = signals.chance(0.5)  # low goods are taken with both hands
    _put(puppet, free, _alternate(puppet, free, tasks, (both & (kinds == 1)).astype(int), [bag, bags[3]]))
    return ()


def sitting(puppet: Puppet, signals: Signals) -> Props:
    """Sits on a chair, and does what people do there."""
    changes = signals.schedule(signals.uniform(4.0, 7.0), 1.5)
    lean = changes.blend(signals.keys(-0.32, 0.3))
    props = sit_on_chair(puppet, signals, recline=0.6 * lean)
    _trunk(puppet, signals, flexion=0.9 * lean + 0.1, bend=changes.blend(signals.keys(-0.2, 0.2)), twist=changes.blend(signals.keys(-0.3, 0.3)))
    _gaze(puppet, signals, pitch=0.1, roam=0.45)
    picks = [signals.picks([1.0, 0.8, 0.5, 0.4, 0.3, 0.3]) for _ in range(2)]
    alike = signals.keys(0, 1) < 0.55
    for number, side in enumerate(PARTS):
        other_leg = puppet.on_thigh(side, fraction=0.7, of=_other(side)), 0.2
        places = [
            _on_thigh(puppet, signals, side), _in_lap(puppet, signals, side), _folded(puppet, signals, side, above=side == "left"),
            _at_chin(puppet, signals, side), _behind_head(puppet, signals, side), other_leg,
        ]  # fmt: skip
        own = np.where(alike, picks[0], picks[number])
        own = np.where((own == 3) & (number == 1) & (picks[0] == 3), 0, own)
        _put(puppet, side, _alternate(puppet, side, changes, own, places))
    return props


def sitting_down(puppet: Puppet, signals: Signals) -> Props:
    """Sits on the floor, on the way down to it, or changes how it sits there."""
    moves, kinds = sit_on_floor(puppet, signals)
    forward = np.array([0.35, 0.05, 0.55, 0.4, 0.1, 0.1, 0.45, 0.0, 0.3])[kinds]
    flexion = moves.blend(forward + signals.keys(-0.15, 0.25)) + 0.12 * moves.bump()
    _trunk(puppet, signals, flexion=flexion, twist=moves.blend(signals.keys(-0.35, 0.35)), bend=moves.blend(signals.keys(-0.15, 0.15)))
    _gaze(puppet, signals, pitch=0.2, roam=0.5)
    alike = signals.keys(0, 1) < 0.6
    habit = [1.0, 0.7, 0.8, 0.5, 0.4]
    first = signals.picks(habit)  # knee, floor behind, lap, floor beside, gesture
    for side in PARTS:
        own = np.where(alike, first, signals.picks(habit))
        own = np.where(np.isin(kinds, [KNEELING, SQUAT, STAND]) & np.isin(own, [1, 3]), 0, own)
        own = np.where((kinds == STRETCHED) & (own == 2), 1, own)
        own = np.where((kinds == RECLINING) & (own != 4), 1, own)
        own = np.where((kinds == KNEES_UP) & (own == 2), 0, own)
        behind = puppet.below_shoulder(side, -110.0, 90.0, 75.0), 0.0
        beside = puppet.below_shoulder(side, 60.0, 150.0, 80.0), 0.1
        knee = puppet.on_thigh(side, fraction=0.9, lift_mm=80.0), signals.uniform(0.0, 0.4)
        standing = moves.blend((kinds == STAND).astype(float))[:, None]
        hang = puppet.hanging(side, flexion=0.1, abduction=0.15)
        knee = (1 - standing) * knee[0] + standing * hang, knee[1]
        lap = _in_lap(puppet, signals, side)
        lap = (1 - standing) * lap[0] + standing * hang, lap[1]
        places = [knee, behind, lap, beside, _gesturing(puppet, signals, side, size=0.8)]
        _put(puppet, side, _alternate(puppet, side, moves, own, places))
    return ()


def smoking(puppet: Puppet, signals: Signals) -> Props:
    """Draws at a cigarette, lowers it, and draws again."""
    seated = signals.chance(0.45)
    props: Props = ()
    if seated:
        props = sit_on_chair(puppet, signals, recline=signals.uniform(-0.3, 0.12))
    else:
        stand(puppet, signals, period_s=signals.uniform(4.0, 9.0), turn=0.7)
    side = _hand(signals)
    draws = signals.schedule(signals.uniform(3.0, 4.5), 0.9)
    picks = signals.picks([1.0, 0.6, 0.5])
    _trunk(puppet, signals, flexion=signals.uniform(-0.05, 0.15))
    _gaze(puppet, signals, pitch=signals.uniform(-0.2, 0.15), roam=0.4)
    raised = puppet.near_shoulder(side, 0.35, signals.uniform(0.05, 0.35), signals.uniform(-0.25, 0.05)), signals.uniform(-0.2, 0.3)
    low = _on_thigh(puppet, signals, side) if seated else _by_side(puppet, signals, side)
    _put(puppet, side, _alternate(puppet, side, draws, picks, [_at_mouth(puppet, signals, side), raised, low]))
    free = _other(side)
    rests: tuple[Rest, ...] = (_on_thigh, _supporting) if seated else (_in_pocket, _supporting, _by_side)
    _put(puppet, free, _alternatives(puppet, signals, free, rests, period_s=8.0))
    return props


def photo(puppet: Puppet, signals: Signals) -> Props:
    """Holds a camera at the face with both hands; crouches and turns for a better view."""
    shots = signals.schedule(signals.uniform(3.0, 5.5), 1.4)
    crouch = shots.blend(np.maximum(signals.keys(-250, 380), 0.0))
    kneel = shots.blend((signals.keys(0, 1) < signals.uniform(0.0, 0.35)).astype(float))
    stand(
        puppet, signals, period_s=signals.uniform(3.5, 6.5), turn=1.0, radius_mm=350.0, stagger_mm=170.0,
        crouch_mm=crouch * (1 - kneel), kneel=kneel, pitch=0.0011 * crouch * (1 - kneel) + 0.1 * kneel,
    )  # fmt: skip
    aim = shots.blend(signals.keys(-0.35, 0.4))
    _trunk(puppet, signals, flexion=0.12 + 0.4 * aim, twist=shots.blend(signals.keys(-0.3, 0.3)), lively=0.7)
    _gaze(puppet, signals, pitch=0.7 * aim, roam=0.08)
    at_face = signals.picks([1.0, signals.uniform(0.1, 0.5), 0.15])
    phone = signals.chance(0.3)  # held out to look at its screen
    shake = signals.wander(3.0, 1.0, 3)
    for side in PARTS:
        face = puppet.near_head(side, *((240.0, 80.0, -40.0) if phone else (122.0, 74.0, -50.0))) + shake
        chest = puppet.near_shoulder(side, 0.52, -0.18, -0.28) + shake
        low = puppet.near_shoulder(side, 0.5, -0.15, -0.6) + shake
        _put(puppet, side, _alternate(puppet, side, shots, at_face, [(face, signals.uniform(-0.35, 0.15)), (chest, 0.0), (low, 0.0)]))
    return ()


def waiting(puppet: Puppet, signals: Signals) -> Props:
    """Shifts its weight, crosses its arms, looks at the time."""
    props: Props = ()
    seated = signals.chance(0.15)
    if seated:
        props = sit_on_chair(puppet, signals, recline=signals.uniform(-0.25, 0.1))
    else:
        stand(puppet, signals, period_s=signals.uniform(3.5, 7.0), shift=0.95, width=(0.6, 1.6), turn=0.9)
    moods = signals.schedule(signals.uniform(4.0, 8.0), 1.2)
    _trunk(puppet, signals, twist=moods.blend(signals.keys(-0.3, 0.3)), bend=moods.blend(signals.keys(-0.1, 0.1)))
    habit = [signals.uniform(0.3, 1.0) for _ in range(6)]
    kinds = signals.picks(habit)  # folded, pockets, behind, by side, watch, chin
    _gaze(puppet, signals, pitch=0.55 * moods.blend((kinds == 4).astype(float)), roam=0.6)
    watch = "left" if signals.chance(0.8) else "right"
    for side in PARTS:
        looking = puppet.near_shoulder(side, 0.42, -0.2, -0.22), 0.25
        chin = _at_chin(puppet, signals, side) if side != watch else _supporting(puppet, signals, side)
        low = _on_thigh if seated else _by_side
        places = [
            _folded(puppet, signals, side, above=side == watch),
            (_in_lap if seated else _in_pocket)(puppet, signals, side),
            (_on_thigh if seated else _behind_back)(puppet, signals, side),
            low(puppet, signals, side),
            looking if side == watch else low(puppet, signals, side),
            chin,
        ]
        _put(puppet, side, _alternate(puppet, side, moods, kinds, places))
    return props


def walking(puppet: Puppet, signals: Signals) -> Props:
    """Walks round, arms swinging."""
    gait = walk(puppet, signals)
    _trunk(puppet, signals, flexion=0.04, twist=0.16 * np.cos(gait.phase), lively=0.6)
    _gaze(puppet, signals, pitch=0.1, roam=0.25)
    for side in PARTS:
        _put(puppet, side, _swinging(puppet, signals, gait, side))
    return ()


def walk_dog(puppet: Puppet, signals: Signals) -> Props:
    """Walks with one arm out ahead, at the end of a leash that tugs."""
    gait = walk(puppet, signals, speed_m_s=(0.6, 1.2))
    side = _hand(signals)
    sign = 1 if side == "left" else -1
    tug = 0.5 + 0.5 * np.tanh(1.5 * signals.wander(0.8, 2.0))
    _trunk(puppet, signals, flexion=0.12 - 0.2 * tug, twist=-sign * 0.18 * tug + 0.08 * np.cos(gait.phase), lively=0.8)
    _gaze(puppet, signals, pitch=0.45, roam=0.2)
    low, out = signals.uniform(-0.5, -0.1), signals.uniform(-0.1, 0.35)
    leash = puppet.near_shoulder(side, 0.55 + 0.3 * tug, out + signals.wander(0.1, 2.5), low + signals.wander(0.06, 1.5), frame="upright")
    _put(puppet, side, (leash, signals.uniform(-0.1, 0.2)))
    free = _other(side)
    if signals.chance(0.3):  # both hands on the leash
        _put(puppet, free, (leash + (puppet.points[f"{free}_shoulder"] - puppet.points[f"{side}_shoulder"]) * 0.2, 0.0))
    else:
        _put(puppet, free, _swinging(puppet, signals, gait, free))
    return ()


def walk_together(puppet: Puppet, signals: Signals) -> Props:
    """Walks beside somebody: looks at them and talks."""
    gait = walk(puppet, signals, speed_m_s=(0.6, 1.1))
    companion = signals.sign()  # on which side they walk, +1 left
    attention = signals.schedule(signals.uniform(2.5, 5.0), 0.8)
    looking = attention.blend(np.clip(signals.keys(-0.5, 1.3), 0.0, 1.0))
    _trunk(puppet, signals, flexion=0.03, twist=0.12 * np.cos(gait.phase) + 0.15 * companion * looking)
    _gaze(puppet, signals, yaw=0.85 * companion * looking, roam=0.15)
    for side in PARTS:
        swinging = _swinging(puppet, signals, gait, side, size=0.8)
        picks = signals.picks([1.0, signals.uniform(0.0, 0.5)])
        _put(puppet, side, _alternate(puppet, side, attention, picks, [swinging, _gesturing(puppet, signals, side)]))
    return ()


ACTIONS: Mapping[str, Callable[[Puppet, Signals], Props]] = MappingProxyType(
    {
        "Directions": directions,
        "Discussion": discussion,
        "Eating": eating,
        "Greeting": greeting,
        "Phoning": phoning,
        "Posing": posing,
        "Purchases": purchases,
        "Sitting": sitting,
        "SittingDown": sitting_down,
        "Smoking": smoking,
        "Photo": photo,
        "Waiting": waiting,
        "Walking": walking,
        "WalkDog": walk_dog,
        "WalkTogether": walk_together,
    }
)
