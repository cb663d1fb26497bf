"""The 15 actions of Human3.6M; here those on the feet, in `seated_actions` the others. And a jog.

Each action is a function of a `Puppet`, which it poses, and of `Signals`, its source of style and
its clock; it returns the furniture that it needs. `ACTIONS` has them in Human3.6M's order, and
`MORE_ACTIONS` those of other data sets.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from hemlets_lib.data.motion.body import SIDES
from hemlets_lib.data.motion.gestures import (
    alternate,
    at_chin,
    before_chest,
    behind_head,
    by_side,
    choose_hand,
    folded,
    gesturing,
    look_about,
    on_hip,
    other_side,
    pose_trunk,
    put_hand,
    rest_hand,
    swinging,
)
from hemlets_lib.data.motion.puppet import Puppet
from hemlets_lib.data.motion.seated_actions import eating, phoning, sitting, sitting_down, smoking, waiting
from hemlets_lib.data.motion.signals import Signals
from hemlets_lib.data.motion.stances import JOG, stand, walk
from hemlets_lib.data.render import Prop

__all__ = ["ACTIONS", "MORE_ACTIONS"]

Props = tuple[Prop, ...]


def directions(puppet: Puppet, signals: Signals) -> Props:
    """Points the way to somewhere, looking there."""
    steps = stand(puppet, signals, period_s=signals.uniform(4.0, 9.0))
    side = choose_hand(signals)
    points = signals.schedule(signals.uniform(2.2, 4.0), 0.9)
    azimuth = signals.keys(-0.45, 1.8)  # outward of straight ahead
    elevation = signals.keys(-0.55, 0.75)
    sign = SIDES[side]
    aimed = points.blend(azimuth)
    pose_trunk(puppet, signals, twist=sign * 0.22 * aimed)
    look_about(puppet, signals, yaw=sign * np.clip(0.5 * aimed, -0.6, 0.8), roam=0.3)
    reach = points.blend(signals.keys(0.8, 0.97)) + signals.wander(0.02, 1.0)
    up = points.blend(elevation) + signals.wander(0.05, 1.2)
    out = aimed + signals.wander(0.06, 1.0)
    pointing = puppet.near_shoulder(
        side, reach * np.cos(up) * np.cos(out), reach * np.cos(up) * np.sin(out), reach * np.sin(up)
    )
    busy = signals.picks([signals.uniform(0.7, 1), signals.uniform(0.0, 0.4)])
    places = [(pointing, signals.uniform(-0.2, 0.3)), by_side(puppet, signals, side)]
    put_hand(puppet, side, alternate(puppet, side, points, busy, places))
    free = other_side(side)
    if signals.chance(0.35):  # both hands show the way, or the width of it
        out = 0.3 + 0.5 * points.blend(signals.keys(-0.6, 1.2))
        both = puppet.near_shoulder(
            free, 0.8 * np.cos(out), 0.8 * np.sin(out), points.blend(signals.keys(-0.5, 0.2))
        )
        mixed = alternate(
            puppet, free, steps, signals.picks([1.0, 1.0]), [(both, 0.0), rest_hand(puppet, signals, free)]
        )
        put_hand(puppet, free, mixed)
    else:
        put_hand(puppet, free, rest_hand(puppet, signals, free))
    return ()


def discussion(puppet: Puppet, signals: Signals) -> Props:
    """Argues with both hands."""
    stand(puppet, signals, period_s=signals.uniform(3.5, 8.0), turn=0.8, radius_mm=300.0)
    pose_trunk(puppet, signals, flexion=0.05, lively=1.6)
    look_about(puppet, signals, roam=0.5)
    phrases = signals.schedule(signals.uniform(3.0, 6.0), 0.9)
    size = signals.uniform(0.7, 1.35)
    for side in SIDES:
        places = [gesturing(puppet, signals, side, size=size), rest_hand(puppet, signals, side)]
        put_hand(
            puppet,
            side,
            alternate(puppet, side, phrases, signals.picks([1.0, signals.uniform(0.1, 0.8)]), places),
        )
    return ()


def greeting(puppet: Puppet, signals: Signals) -> Props:
    """Waves, bows, holds out a hand, opens the arms."""
    greets = signals.schedule(signals.uniform(2.5, 4.5), 0.9)
    kinds = signals.picks([1.0, 0.55, 0.5, 0.35, 0.35])  # wave, bow, handshake, open arms, at ease
    bow = greets.blend((kinds == 1).astype(float))
    deep = signals.uniform(0.45, 1.1)
    stand(puppet, signals, period_s=signals.uniform(4.0, 8.0), pitch=0.6 * deep * bow)
    pose_trunk(puppet, signals, flexion=0.5 * deep * bow)
    look_about(puppet, signals, pitch=0.4 * deep * bow, roam=0.3)
    side = choose_hand(signals)
    both = signals.chance(0.2)
    wag, pace = signals.uniform(0.08, 0.2), signals.uniform(1.0, 1.9)
    for hand in SIDES:
        swing = wag * signals.wave(pace)
        high = signals.uniform(0.05, 0.62)
        waving = puppet.near_shoulder(
            hand, signals.uniform(0.2, 0.4), signals.uniform(0.25, 0.5) + swing, high - 0.3 * np.abs(swing)
        )
        shaking = puppet.near_shoulder(hand, 0.78, -0.05, -0.35 + 0.05 * signals.wave(1.2), frame="upright")
        wide, rise = signals.uniform(0.45, 0.8), signals.uniform(-0.2, 0.35)
        open_arm = puppet.near_shoulder(hand, 0.55, wide, rise)
        rest = by_side(puppet, signals, hand)
        active = hand == side or both
        bowed = by_side(puppet, signals, hand) if signals.chance(0.6) else before_chest(puppet, signals, hand)
        places = [
            (waving, 0.2) if active else rest,
            bowed,
            (shaking, 0.0) if hand == side else rest,
            (open_arm, 0.1),
            rest,
        ]
        put_hand(puppet, hand, alternate(puppet, hand, greets, kinds, places))
    return ()


def posing(puppet: Puppet, signals: Signals) -> Props:
    """Strikes one pose after the other, as for a photographer."""
    period = signals.uniform(3.0, 5.0)
    poses = signals.schedule(period, 1.3)
    stand(
        puppet, signals, period_s=period, width=(0.5, 2.4), stagger_mm=200.0, turn=1.0, shift=0.9,
        crouch_mm=poses.blend(np.maximum(signals.keys(-120, 140), 0)),
        pitch=poses.blend(signals.keys(-0.1, 0.25)),
    )  # fmt: skip
    pose_trunk(
        puppet, signals,
        flexion=poses.blend(signals.keys(-0.2, 0.3)), bend=poses.blend(signals.keys(-0.35, 0.35)),
        twist=poses.blend(signals.keys(-0.6, 0.6)),
    )  # fmt: skip
    look_about(
        puppet,
        signals,
        yaw=poses.blend(signals.keys(-0.7, 0.7)),
        roll=poses.blend(signals.keys(-0.25, 0.25)),
        roam=0.15,
    )
    symmetric = signals.keys(0, 1) < 0.4
    shared = signals.picks([0.8, 0.5, 0.7, 0.8, 0.7, 0.5, 0.5, 0.6])
    for side in SIDES:
        elevation, azimuth = poses.blend(signals.keys(-0.4, 1.45)), poses.blend(signals.keys(0.1, 1.45))
        long = poses.blend(signals.keys(0.6, 0.98))
        spread = puppet.near_shoulder(
            side,
            long * np.cos(elevation) * np.cos(azimuth),
            long * np.cos(elevation) * np.sin(azimuth),
            long * np.sin(elevation),
        )
        flexed = puppet.near_shoulder(side, 0.15, 0.52, 0.45), 0.2
        overhead = puppet.near_shoulder(side, 0.1, -0.05, 0.88), 0.0
        crossed = folded(puppet, signals, side, above=side == "left")
        places = [
            on_hip(puppet, signals, side), by_side(puppet, signals, side), crossed, (spread, 0.1),
            behind_head(puppet, signals, side), flexed, overhead, at_chin(puppet, signals, side),
        ]  # fmt: skip
        own = np.where(symmetric, shared, signals.picks([0.9, 0.8, 0.0, 0.9, 0.6, 0.3, 0.3, 0.5]))
        put_hand(puppet, side, alternate(puppet, side, poses, own, places))
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
    side = choose_hand(signals)
    sign = SIDES[side]
    pose_trunk(puppet, signals, flexion=0.6 * low, twist=tasks.blend(signals.keys(-0.35, 0.35)))
    look_about(
        puppet,
        signals,
        pitch=0.2 + 0.5 * low - 0.3 * tasks.blend((kinds == 0).astype(float)),
        yaw=sign * 0.15,
    )
    out, lift = tasks.blend(signals.keys(-0.2, 0.6)), tasks.blend(signals.keys(-0.1, 0.3))
    high = puppet.near_shoulder(side, 0.6, out, 0.55 + lift, frame="upright"), 0.0
    deep = puppet.near_shoulder(side, 0.42, 0.5 * out, -0.85, frame="upright"), 0.0
    near = puppet.near_shoulder(side, 0.62, 0.5 * out, -0.35 + lift), 0.0
    put_hand(
        puppet,
        side,
        alternate(puppet, side, tasks, kinds, [high, deep, near, before_chest(puppet, signals, side)]),
    )
    free = other_side(side)
    # A bag hangs from the forearm, from the hand or from the shoulder.
    bags = [
        (puppet.near_shoulder(free, 0.42, 0.1, -0.55, frame="upright"), 0.1),
        (puppet.hanging(free, flexion=0.05, abduction=0.22, elbow=0.1), 0.0),
        (puppet.near_shoulder(free, 0.25, 0.0, -0.2), 0.1),
        (puppet.near_shoulder(free, 0.42, 0.0, -0.85, frame="upright"), 0.0),
    ]
    bag = bags[int(signals.rng.integers(3))]
    both = signals.chance(0.5)  # low goods are taken with both hands
    put_hand(puppet, free, alternate(puppet, free, tasks, (both & (kinds == 1)).astype(int), [bag, bags[3]]))
    return ()


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
    pose_trunk(
        puppet, signals, flexion=0.12 + 0.4 * aim, twist=shots.blend(signals.keys(-0.3, 0.3)), lively=0.7
    )
    look_about(puppet, signals, pitch=0.7 * aim, roam=0.08)
    at_face = signals.picks([1.0, signals.uniform(0.1, 0.5), 0.15])
    phone = signals.chance(0.3)  # held out to look at its screen
    shake = signals.wander(3.0, 1.0, 3)
    for side in SIDES:
        face = puppet.near_head(side, *((240.0, 80.0, -40.0) if phone else (122.0, 74.0, -50.0))) + shake
        chest = puppet.near_shoulder(side, 0.52, -0.18, -0.28) + shake
        low = puppet.near_shoulder(side, 0.5, -0.15, -0.6) + shake
        put_hand(
            puppet,
            side,
            alternate(
                puppet, side, shots, at_face, [(face, signals.uniform(-0.35, 0.15)), (chest, 0.0), (low, 0.0)]
            ),
        )
    return ()


def walking(puppet: Puppet, signals: Signals) -> Props:
    """Walks round, arms swinging."""
    gait = walk(puppet, signals)
    pose_trunk(puppet, signals, flexion=0.04, twist=0.16 * np.cos(gait.phase), lively=0.6)
    look_about(puppet, signals, pitch=0.1, roam=0.25)
    for side in SIDES:
        put_hand(puppet, side, swinging(puppet, signals, gait, side))
    return ()


def walk_dog(puppet: Puppet, signals: Signals) -> Props:
    """Walks with one arm out ahead, at the end of a leash that tugs."""
    gait = walk(puppet, signals, speed_m_s=(0.6, 1.2))
    side = choose_hand(signals)
    sign = SIDES[side]
    tug = 0.5 + 0.5 * np.tanh(1.5 * signals.wander(0.8, 2.0))
    pose_trunk(
        puppet,
        signals,
        flexion=0.12 - 0.2 * tug,
        twist=-sign * 0.18 * tug + 0.08 * np.cos(gait.phase),
        lively=0.8,
    )
    look_about(puppet, signals, pitch=0.45, roam=0.2)
    low, out = signals.uniform(-0.5, -0.1), signals.uniform(-0.1, 0.35)
    leash = puppet.near_shoulder(
        side,
        0.55 + 0.3 * tug,
        out + signals.wander(0.1, 2.5),
        low + signals.wander(0.06, 1.5),
        frame="upright",
    )
    put_hand(puppet, side, (leash, signals.uniform(-0.1, 0.2)))
    free = other_side(side)
    if signals.chance(0.3):  # both hands on the leash
        put_hand(
            puppet,
            free,
            (leash + (puppet.points[f"{free}_shoulder"] - puppet.points[f"{side}_shoulder"]) * 0.2, 0.0),
        )
    else:
        put_hand(puppet, free, swinging(puppet, signals, gait, free))
    return ()


def walk_together(puppet: Puppet, signals: Signals) -> Props:
    """Walks beside somebody: looks at them and talks."""
    gait = walk(puppet, signals, speed_m_s=(0.6, 1.1))
    companion = signals.sign()  # on which side they walk, +1 left
    attention = signals.schedule(signals.uniform(2.5, 5.0), 0.8)
    looking = attention.blend(np.clip(signals.keys(-0.5, 1.3), 0.0, 1.0))
    pose_trunk(puppet, signals, flexion=0.03, twist=0.12 * np.cos(gait.phase) + 0.15 * companion * looking)
    look_about(puppet, signals, yaw=0.85 * companion * looking, roam=0.15)
    for side in SIDES:
        swing = swinging(puppet, signals, gait, side, size=0.8)
        picks = signals.picks([1.0, signals.uniform(0.0, 0.5)])
        put_hand(
            puppet, side, alternate(puppet, side, attention, picks, [swing, gesturing(puppet, signals, side)])
        )
    return ()


def jog(puppet: Puppet, signals: Signals) -> Props:
    """Runs round at an easy pace, elbows bent."""
    gait = walk(puppet, signals, speed_m_s=(1.5, 2.1), size_mm=(850.0, 1300.0), pace=JOG)
    pose_trunk(puppet, signals, flexion=0.08, twist=0.2 * np.cos(gait.phase), lively=0.5)
    look_about(puppet, signals, pitch=0.08, roam=0.12)
    swing, elbow = signals.uniform(0.3, 0.6), signals.uniform(1.2, 1.7)
    for side in SIDES:
        pumping = puppet.hanging(
            side,
            flexion=signals.uniform(-0.35, -0.1) + swing * gait.swing(side),
            abduction=signals.uniform(0.1, 0.3),
            elbow=elbow + 0.2 * gait.swing(side),
        )
        put_hand(puppet, side, (pumping, signals.uniform(-0.1, 0.3)))
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

MORE_ACTIONS: Mapping[str, Callable[[Puppet, Signals], Props]] = MappingProxyType({"Jog": jog})  # HumanEva-I
