"""The actions of Human3.6M that people do seated, or as well seated as standing."""

from __future__ import annotations

import numpy as np

from hemlets_lib.data.motion.body import SIDES
from hemlets_lib.data.motion.floor import sit_on_floor, way
from hemlets_lib.data.motion.gestures import (
    Rest,
    alternate,
    alternate_rests,
    at_chin,
    at_ear,
    at_mouth,
    behind_back,
    behind_head,
    by_side,
    choose_hand,
    folded,
    gesturing,
    in_lap,
    in_pocket,
    look_about,
    on_thigh,
    other_side,
    pose_trunk,
    put_hand,
    rest_hand,
    supporting,
)
from hemlets_lib.data.motion.puppet import Puppet
from hemlets_lib.data.motion.seats import sit_on_chair
from hemlets_lib.data.motion.signals import Signals
from hemlets_lib.data.motion.stances import stand, walk
from hemlets_lib.data.render import Prop

__all__ = ["eating", "phoning", "sitting", "sitting_down", "smoking", "waiting"]

Props = tuple[Prop, ...]


def eating(puppet: Puppet, signals: Signals) -> Props:
    """Takes bites from one hand, mostly seated."""
    seated = signals.chance(0.65)
    props: Props = ()
    if seated:
        props = sit_on_chair(puppet, signals, recline=signals.uniform(-0.25, 0.1))
    else:
        stand(puppet, signals, period_s=signals.uniform(5, 10))
    side = choose_hand(signals)
    bites = signals.schedule(signals.uniform(2.2, 4.2), signals.uniform(0.8, 1.2))
    bitten = signals.picks([1.0, 0.8])
    biting = bites.blend((bitten == 0).astype(float))
    pose_trunk(puppet, signals, flexion=0.10 + 0.12 * biting)
    look_about(puppet, signals, pitch=0.25 - 0.15 * biting, roam=0.25)
    bowl = puppet.near_shoulder(side, 0.5, signals.uniform(-0.25, 0.05), signals.uniform(-0.6, -0.4))
    if seated and signals.chance(0.4):
        bowl = in_lap(puppet, signals, side)[0]
    put_hand(
        puppet,
        side,
        alternate(
            puppet,
            side,
            bites,
            bitten,
            [at_mouth(puppet, signals, side), (bowl + signals.wander(12.0, 1.5, 3), 0.1)],
        ),
    )
    free = other_side(side)
    holding = puppet.near_shoulder(free, 0.48, signals.uniform(-0.25, 0.0), signals.uniform(-0.6, -0.4)), 0.1
    put_hand(
        puppet, free, holding if signals.chance(0.5) else rest_hand(puppet, signals, free, seated=seated)
    )
    return props


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
    side = choose_hand(signals, right=0.65)
    sign = SIDES[side]
    pose_trunk(puppet, signals, flexion=signals.uniform(-0.02, 0.15))
    look_about(
        puppet, signals, pitch=signals.uniform(0.0, 0.35), roll=sign * signals.uniform(0.0, 0.2), roam=0.35
    )
    put_hand(puppet, side, at_ear(puppet, signals, side))
    free = other_side(side)
    rests: tuple[Rest, ...] = (
        (on_thigh, supporting, gesturing) if how == 2 else (by_side, supporting, gesturing, in_pocket)
    )
    put_hand(puppet, free, alternate_rests(puppet, signals, free, rests))
    return props


def sitting(puppet: Puppet, signals: Signals) -> Props:
    """Sits on a chair, and does what people do there."""
    changes = signals.schedule(signals.uniform(4.0, 7.0), 1.5)
    lean = changes.blend(signals.keys(-0.32, 0.3))
    props = sit_on_chair(puppet, signals, recline=0.6 * lean)
    pose_trunk(
        puppet,
        signals,
        flexion=0.9 * lean + 0.1,
        bend=changes.blend(signals.keys(-0.2, 0.2)),
        twist=changes.blend(signals.keys(-0.3, 0.3)),
    )
    look_about(puppet, signals, pitch=0.1, roam=0.45)
    picks = [signals.picks([1.0, 0.8, 0.5, 0.4, 0.3, 0.3]) for _ in range(2)]
    alike = signals.keys(0, 1) < 0.55
    for number, side in enumerate(SIDES):
        other_leg = puppet.on_thigh(side, fraction=0.7, of=other_side(side)), 0.2
        places = [
            on_thigh(puppet, signals, side), in_lap(puppet, signals, side),
            folded(puppet, signals, side, above=side == "left"), at_chin(puppet, signals, side),
            behind_head(puppet, signals, side), other_leg,
        ]  # fmt: skip
        own = np.where(alike, picks[0], picks[number])
        own = np.where((own == 3) & (number == 1) & (picks[0] == 3), 0, own)
        put_hand(puppet, side, alternate(puppet, side, changes, own, places))
    return props


def sitting_down(puppet: Puppet, signals: Signals) -> Props:
    """Sits on the floor, on the way down to it, or changes how it sits there."""
    moves, ways = sit_on_floor(puppet, signals)
    forward = np.array([0.35, 0.05, 0.55, 0.4, 0.1, 0.1, 0.45, 0.0, 0.3])[ways]
    flexion = moves.blend(forward + signals.keys(-0.15, 0.25)) + 0.12 * moves.bump()
    twist, bend = moves.blend(signals.keys(-0.35, 0.35)), moves.blend(signals.keys(-0.15, 0.15))
    pose_trunk(puppet, signals, flexion=flexion, twist=twist, bend=bend)
    look_about(puppet, signals, pitch=0.2, roam=0.5)
    alike = signals.keys(0, 1) < 0.6
    habit = [1.0, 0.7, 0.8, 0.5, 0.4]
    on_knee, behind, lap, beside, talking = range(5)
    both = signals.picks(habit)
    standing = moves.blend(np.isin(ways, way("standing")).astype(float))[:, None]
    for side in SIDES:
        own = np.where(alike, both, signals.picks(habit))
        upright = np.isin(ways, way("kneeling", "squatting", "standing"))
        own[upright & np.isin(own, [behind, beside])] = on_knee
        own[np.isin(ways, way("knees up")) & (own == lap)] = on_knee
        own[np.isin(ways, way("stretched")) & (own == lap)] = behind
        own[np.isin(ways, way("reclining")) & (own != talking)] = behind
        hang = puppet.hanging(side, flexion=0.1, abduction=0.15)
        knee = puppet.on_thigh(side, fraction=0.9, lift_mm=80.0), signals.uniform(0.0, 0.4)
        in_both = in_lap(puppet, signals, side)
        places = [
            ((1 - standing) * knee[0] + standing * hang, knee[1]),
            (puppet.below_shoulder(side, -110.0, 90.0, 75.0), 0.0),
            ((1 - standing) * in_both[0] + standing * hang, in_both[1]),
            (puppet.below_shoulder(side, 60.0, 150.0, 80.0), 0.1),
            gesturing(puppet, signals, side, size=0.8),
        ]
        put_hand(puppet, side, alternate(puppet, side, moves, own, places))
    return ()


def smoking(puppet: Puppet, signals: Signals) -> Props:
    """Draws at a cigarette, lowers it, and draws again."""
    seated = signals.chance(0.45)
    props: Props = ()
    if seated:
        props = sit_on_chair(puppet, signals, recline=signals.uniform(-0.3, 0.12))
    else:
        stand(puppet, signals, period_s=signals.uniform(4.0, 9.0), turn=0.7)
    side = choose_hand(signals)
    draws = signals.schedule(signals.uniform(3.0, 4.5), 0.9)
    picks = signals.picks([1.0, 0.6, 0.5])
    pose_trunk(puppet, signals, flexion=signals.uniform(-0.05, 0.15))
    look_about(puppet, signals, pitch=signals.uniform(-0.2, 0.15), roam=0.4)
    raised = (
        puppet.near_shoulder(side, 0.35, signals.uniform(0.05, 0.35), signals.uniform(-0.25, 0.05)),
        signals.uniform(-0.2, 0.3),
    )
    low = on_thigh(puppet, signals, side) if seated else by_side(puppet, signals, side)
    put_hand(
        puppet, side, alternate(puppet, side, draws, picks, [at_mouth(puppet, signals, side), raised, low])
    )
    free = other_side(side)
    rests: tuple[Rest, ...] = (on_thigh, supporting) if seated else (in_pocket, supporting, by_side)
    put_hand(puppet, free, alternate_rests(puppet, signals, free, rests, period_s=8.0))
    return props


def waiting(puppet: Puppet, signals: Signals) -> Props:
    """Shifts its weight, crosses its arms, looks at the time."""
    props: Props = ()
    seated = signals.chance(0.15)
    if seated:
        props = sit_on_chair(puppet, signals, recline=signals.uniform(-0.25, 0.1))
    else:
        stand(puppet, signals, period_s=signals.uniform(3.5, 7.0), shift=0.95, width=(0.6, 1.6), turn=0.9)
    moods = signals.schedule(signals.uniform(4.0, 8.0), 1.2)
    pose_trunk(
        puppet, signals, twist=moods.blend(signals.keys(-0.3, 0.3)), bend=moods.blend(signals.keys(-0.1, 0.1))
    )
    habit = [signals.uniform(0.3, 1.0) for _ in range(6)]
    kinds = signals.picks(habit)  # folded, pockets, behind, by side, watch, chin
    look_about(puppet, signals, pitch=0.55 * moods.blend((kinds == 4).astype(float)), roam=0.6)
    watch = "left" if signals.chance(0.8) else "right"
    for side in SIDES:
        looking = puppet.near_shoulder(side, 0.42, -0.2, -0.22), 0.25
        chin = at_chin(puppet, signals, side) if side != watch else supporting(puppet, signals, side)
        low = on_thigh if seated else by_side
        places = [
            folded(puppet, signals, side, above=side == watch),
            (in_lap if seated else in_pocket)(puppet, signals, side),
            (on_thigh if seated else behind_back)(puppet, signals, side),
            low(puppet, signals, side),
            looking if side == watch else low(puppet, signals, side),
            chin,
        ]
        put_hand(puppet, side, alternate(puppet, side, moods, kinds, places))
    return props
