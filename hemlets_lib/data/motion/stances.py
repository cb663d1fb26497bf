"""What the lower body does on its feet: standing with a step now and then, and walking.

Each stance poses the pelvis and the legs of a `Puppet`; what trunk, head and hands do on top of it is
the action's matter. Feet are planned first and stay where they are planted; the pelvis is then put
as high as both legs allow.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from hemlets_lib.data.motion.body import SIDES, rotation, soft_min
from hemlets_lib.data.motion.puppet import Puppet
from hemlets_lib.data.motion.signals import NUM_KEYS, Schedule, Signals, minimum_jerk

__all__ = ["JOG", "WALK", "Gait", "Pace", "stand", "walk"]

Array = np.ndarray
STANDING_REACH = (0.988, 0.998)  # of a leg's length: the knee is never quite straight
WALKING_REACH = 0.996
STANCE_FRACTION = 0.42  # of the gait cycle with the foot flat; the heel leaves the floor after it
LANDED = 0.96  # of the swing: the foot is over its place, and comes down on it


@dataclass(frozen=True)
class Pace:
    """What tells a run from a walk; fractions are of the gait cycle, one foot's landing to its next.

    Args:
        stance: How long a foot stays flat; below a half there are moments with no foot on the floor.
        passing: When the pelvis passes over the foot, after its landing.
        kick_mm: Range of how high a foot is lifted in its swing.
        lean: Range of the pelvis' tilt forward, radians.
        crouch: How much shorter than straight legs make it the body stands, as a fraction of their length.
        bounce_mm: How far the pelvis rises and falls beyond what the legs make it.
    """

    stance: float = STANCE_FRACTION
    passing: float = 0.27
    kick_mm: tuple[float, float] = (95.0, 150.0)
    lean: tuple[float, float] = (0.0, 0.08)
    crouch: float = 0.015
    bounce_mm: float = 0.0


WALK = Pace()
JOG = Pace(stance=0.30, passing=0.16, kick_mm=(200.0, 330.0), lean=(0.06, 0.16), crouch=0.035, bounce_mm=32.0)


def over_floor(xy: Float[Array, "F 2"], height: Float[Array, "F"]) -> Float[Array, "F 3"]:
    return np.concatenate([xy, height[:, None]], axis=1)


def direction(yaw: Float[Array, "*F"] | float) -> Float[Array, "*F 2"]:
    return np.stack([np.cos(yaw), np.sin(yaw)], axis=-1)


def _highest_pelvis(
    puppet: Puppet,
    xy: Float[Array, "F 2"],
    frame: Float[Array, "F 3 3"],
    ankles: dict[str, Array],
    reach: float,
) -> Float[Array, "F"]:
    """As high as the legs allow, the lower of the two, with a rounded corner."""
    length = reach * puppet.subject.leg_mm
    limits = []
    for side, sign in SIDES.items():
        hip = frame @ np.array([0.0, sign * puppet.subject.hip_mm, 0.0])
        apart = np.linalg.norm(xy + hip[:, :2] - ankles[side][:, :2], axis=-1)
        limits.append(
            ankles[side][:, 2] + np.sqrt(np.maximum(length**2 - apart**2, 0.2 * length**2)) - hip[:, 2]
        )
    return soft_min(limits[0], limits[1], 6.0)


def stand(
    puppet: Puppet,
    signals: Signals,
    *,
    radius_mm: float = 220.0,
    turn: float = 0.6,
    period_s: float = 6.0,
    width: tuple[float, float] = (0.75, 1.5),
    stagger_mm: float = 90.0,
    shift: float = 0.6,
    crouch_mm: Float[Array, "F"] | float = 0.0,
    kneel: Float[Array, "F"] | float = 0.0,
    pitch: Float[Array, "F"] | float = 0.0,
) -> Schedule:
    """Stands on planted feet, shifts weight, and steps to another spot now and then.

    Args:
        puppet: Gets a pelvis and legs.
        signals: Source of the choices.
        radius_mm: How far from the take's middle the spots lie.
        turn: How far the spots' headings differ, radians.
        period_s: Time between steps.
        width: Range of half the distance between the feet, in hip offsets.
        stagger_mm: How far one foot may stand ahead of the other.
        shift: How much of the way to one foot the weight goes.
        crouch_mm: How far the knees let the pelvis down.
        kneel: 0 to 1, going down on one knee.
        pitch: The pelvis' tilt forward, radians; it moves back to keep the balance.

    Returns:
        The schedule of steps, for what else should change with them.
    """
    move = min(1.5, 0.7 * period_s)
    steps = signals.schedule(period_s, move)
    facing = signals.uniform(0, 2 * np.pi)
    yaws = facing + signals.keys(-turn, turn)
    away, around = radius_mm * np.sqrt(signals.keys(0, 1)), signals.keys(0, 2 * np.pi)
    spots = away[:, None] * direction(around)
    spots[NUM_KEYS // 2 :] = spots[NUM_KEYS // 2 - 1 :: -1] * 0.5 + spots[NUM_KEYS // 2 :] * 0.5
    half_width = signals.keys(*width) * puppet.subject.hip_mm
    stagger = signals.keys(-stagger_mm, stagger_mm)
    foot_out = signals.uniform(0.05, 0.45)
    kneeling_side = "left" if signals.chance(0.5) else "right"
    kneel = np.zeros(puppet.num_frames) + kneel

    yaw = steps.blend(yaws, 0.1, 0.85) + signals.wander(0.05, 5.0)
    ankles, poles = {}, {}
    for (side, sign), (begin, end) in zip(SIDES.items(), ((0.0, 0.5), (0.4, 0.9)), strict=True):
        ahead, across = direction(yaws), direction(yaws + np.pi / 2)
        places = spots + sign * (stagger[:, None] * ahead + half_width[:, None] * across)
        xy = steps.blend(places, begin, end)
        moved = np.linalg.norm(places[steps.now] - places[steps.before], axis=-1)
        lift = steps.bump(begin, end) * np.minimum(0.35 * moved, 90.0)
        toes = steps.blend(yaws + sign * foot_out, begin, end)
        back = kneel * (side == kneeling_side)
        xy = xy - 0.62 * puppet.subject.leg_mm * back[:, None] * direction(toes)
        lift = lift + 40.0 * back + 90.0 * (4 * back * (1 - back)) ** 2
        ankles[side] = over_floor(xy, puppet.subject.ankle_mm + lift)
        knees = 0.5 * direction(toes) + 0.5 * direction(yaw + sign * 0.15)
        poles[side] = np.concatenate([knees, -0.25 * back[:, None]], axis=1)

    sway = shift * steps.blend(signals.keys(-1, 1), 0.2, 1.0) + signals.wander(0.05, 3.0)
    middle = (ankles["left"][:, :2] + ankles["right"][:, :2]) / 2
    toward_left = (ankles["left"][:, :2] - ankles["right"][:, :2]) / 2
    xy = middle + sway[:, None] * toward_left * (1 - 0.7 * kneel[:, None])
    crouch = np.zeros(puppet.num_frames) + crouch_mm
    tilt = np.zeros(puppet.num_frames) + pitch
    behind = -30.0 + 0.14 * crouch + 170.0 * np.sin(np.maximum(tilt, 0.0)) + signals.wander(8.0, 2.5)
    xy = xy - behind[:, None] * direction(yaw)
    # The hip of the leg that carries less hangs lower, and its knee bends.
    roll = 0.065 * np.tanh(1.5 * sway) * (1 - kneel) + signals.wander(0.012, 4.0)
    frame = rotation("z", yaw) @ rotation("y", tilt) @ rotation("x", -roll)
    height = _highest_pelvis(puppet, xy, frame, ankles, signals.uniform(*STANDING_REACH)) - crouch
    kneeling = 0.98 * puppet.subject.thigh_mm + 45.0
    height = height + kneel * (np.minimum(kneeling, height) - height)
    puppet.place_pelvis(over_floor(xy, height), yaw=yaw, pitch=tilt, roll=roll)
    puppet.place_feet(ankles, poles)
    return steps


@dataclass(frozen=True)
class Gait:
    """What the arms need to know of a walk.

    Args:
        phase: Angle of the gait cycle; the left foot is planted at 0 and the right one at pi.
        speed: Walking speed in leg lengths per second.
    """

    phase: Float[Array, "F"]
    speed: float

    def swing(self, side: str) -> Float[Array, "F"]:
        """-1 to 1: an arm goes forward with the other side's leg."""
        return -SIDES[side] * np.cos(self.phase - 0.35)


def walk(
    puppet: Puppet,
    signals: Signals,
    *,
    speed_m_s: tuple[float, float] = (0.8, 1.35),
    size_mm: tuple[float, float] = (650.0, 1150.0),
    pace: Pace = WALK,
) -> Gait:
    """Walks or runs round a closed, curved path about the origin.

    Args:
        puppet: Gets a pelvis and legs.
        signals: Source of the choices.
        speed_m_s: Range of speeds.
        size_mm: Range of the path's two half axes.
        pace: How the legs do it.

    Returns:
        What the arms need to know.
    """
    subject = puppet.subject
    long, short = signals.uniform(*size_mm), signals.uniform(*size_mm)
    turned, way = signals.uniform(0, 2 * np.pi), signals.sign()
    dent, dent_phase = signals.uniform(0.0, 0.14), signals.uniform(0, 2 * np.pi)
    around = np.linspace(0, 2 * np.pi, 1025)
    radius = 1 + dent * np.sin(2 * around + dent_phase)
    local = np.stack([long * np.cos(around), way * short * np.sin(around)], axis=-1) * radius[:, None]
    path = local @ rotation("z", turned)[:2, :2].T
    arc = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=-1))])

    def along(distance: Array) -> tuple[Float[Array, "*F 2"], Float[Array, "*F"]]:
        """The path's point and heading so far along it."""
        at = np.mod(distance, arc[-1])
        angle = np.interp(at, arc, around)
        point = np.stack([np.interp(angle, around, path[:, i]) for i in range(2)], axis=-1)
        ahead = np.stack([np.interp(np.mod(at + 60.0, arc[-1]), arc, path[:, i]) for i in range(2)], axis=-1)
        behind = np.stack([np.interp(np.mod(at - 60.0, arc[-1]), arc, path[:, i]) for i in range(2)], axis=-1)
        slope = ahead - behind
        return point, np.arctan2(slope[..., 1], slope[..., 0])

    speed = 1000.0 * signals.uniform(*speed_m_s)
    # Longer steps at higher speed; the path's length is a whole number of strides, so it closes.
    stride = 2 * subject.leg_mm * (0.45 + 0.25 * speed / 1350.0) * signals.uniform(0.92, 1.08)
    stride = arc[-1] / max(1, round(arc[-1] / stride))
    cycles = (speed * signals.times_s + signals.uniform(0, arc[-1])) / stride
    half_width = signals.uniform(0.35, 0.75) * subject.hip_mm
    foot_out = signals.uniform(0.0, 0.25)
    kick = signals.uniform(*pace.kick_mm)

    ankles, poles = {}, {}
    for (side, sign), shift in zip(SIDES.items(), (0.0, 0.5), strict=True):
        count = np.floor(cycles - shift)
        fraction = cycles - shift - count
        swing = np.clip((fraction - pace.stance) / (1 - pace.stance), 0.0, 1.0)
        # A foot lands ahead of the body, by half of the way that the body makes over it.
        feet, toes = [], []
        for ahead in (0.0, 1.0):
            point, yaw = along((count + ahead + shift + pace.passing) * stride)
            feet.append(point + sign * half_width * direction(yaw + np.pi / 2))
            toes.append(yaw + sign * foot_out)
        over = np.minimum(swing / LANDED, 1.0)  # a foot that comes down does not slide
        done = (over**2 * (3 - 2 * over) + minimum_jerk(over)) / 2
        xy = feet[0] + (feet[1] - feet[0]) * done[:, None]
        lift = kick * swing**1.3 * (1 - swing) ** 1.8 / 0.1214  # the peak of u^1.3 (1-u)^1.8
        ankles[side] = over_floor(xy, subject.ankle_mm + lift)
        turn = np.mod(toes[1] - toes[0] + np.pi, 2 * np.pi) - np.pi
        poles[side] = over_floor(direction(toes[0] + done * turn), np.zeros_like(swing))

    xy, yaw = along(cycles * stride)
    phase = 2 * np.pi * cycles
    # The left foot carries from phase 0 to pi: the pelvis moves over it.
    sideways = signals.uniform(12.0, 32.0) * np.sin(phase)
    xy = xy + sideways[:, None] * direction(yaw + np.pi / 2)
    twist = 0.10 * np.cos(phase)  # the pelvis turns with the leg that goes ahead
    roll = 0.05 * np.sin(phase)
    lean = signals.uniform(*pace.lean)
    frame = rotation("z", yaw - twist) @ rotation("y", lean + 0 * yaw) @ rotation("x", -roll)
    height = _highest_pelvis(puppet, xy, frame, ankles, WALKING_REACH)
    upright = (1 - pace.crouch) * subject.leg_mm + subject.ankle_mm - signals.uniform(0.0, 25.0)
    # Lowest over the foot that carries, highest half a step later.
    bounce = pace.bounce_mm * np.cos(2 * (phase - 2 * np.pi * pace.passing))
    height = soft_min(height, upright - bounce, 10.0)
    puppet.place_pelvis(over_floor(xy, height), yaw=yaw - twist, pitch=lean, roll=roll)
    puppet.place_feet(ankles, poles)
    return Gait(phase=phase, speed=speed / subject.leg_mm)
