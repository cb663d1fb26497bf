"""What the lower body does when it sits: on a chair, or on the floor in several ways."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from hemlets_lib.data.appearance import Prop
from hemlets_lib.data.body import SIDES, apply, normalise, rotation
from hemlets_lib.data.puppet import Puppet
from hemlets_lib.data.signals import NUM_KEYS, Schedule, Signals
from hemlets_lib.data.stances import _direction, _floor

__all__ = ["sit_on_chair", "sit_on_floor"]

Array = np.ndarray
KNEE_CLEARANCE_MM = 45.0  # a knee's joint over the floor that it rests on
SEAT_TO_HIP_MM = 92.0  # from the seat's top to the hip joints
CROSSED, STRETCHED, KNEES_UP, ONE_KNEE_UP, KNEELING, SIDEWAYS, SQUAT, STAND, RECLINING = range(9)


def sit_on_chair(puppet: Puppet, signals: Signals, *, recline: Float[Array, "F"] | float = 0.0) -> tuple[Prop, ...]:
    """Sits on a chair whose height suits the subject; the legs change their arrangement.

    Args:
        puppet: Gets a pelvis and legs.
        signals: Source of the choices.
        recline: The pelvis' tilt, radians, negative leans back.

    Returns:
        The chair.
    """
    subject = puppet.subject
    yaw = signals.uniform(0, 2 * np.pi)
    spot = signals.uniform(0, 450.0) * _direction(np.float64(signals.uniform(0, 2 * np.pi)))
    seat_mm = subject.shank_mm + subject.ankle_mm - 45.0 + signals.uniform(-45.0, 35.0)
    heading = yaw + signals.wander(0.05, 6.0)
    xy = spot + signals.wander(10.0, 5.0, 2)
    height = np.full(puppet.num_frames, seat_mm + SEAT_TO_HIP_MM)
    puppet.place_pelvis(_floor(xy, height), yaw=heading, pitch=recline, roll=signals.wander(0.025, 5.0))

    moves = signals.schedule(signals.uniform(4.0, 9.0), 1.4)
    habit = [signals.uniform(0.4, 2), signals.uniform(0.1, 1), signals.uniform(0, 1), signals.uniform(0, 1)]
    arrangement = signals.picks(habit)  # 0 flat, 1 ankles crossed, 2 stretched out, 3 ankle on knee
    upper = signals.sign()  # which leg lies on top
    frame = rotation("z", np.float64(yaw))
    thigh = subject.thigh_mm
    ankles, poles = {}, {}
    tall = np.full(NUM_KEYS, subject.ankle_mm)
    for side, sign in SIDES.items():
        on_top = sign == upper
        apart = signals.keys(0.7, 1.9) * subject.hip_mm
        flat = np.stack([thigh + signals.keys(-140, 190), sign * apart, tall], axis=-1)
        crossed = np.stack(
            [thigh + signals.keys(20, 240) + 60 * on_top, -sign * signals.keys(15, 70), tall + 35 * on_top], axis=-1
        )
        long = np.stack([thigh + 0.6 * subject.shank_mm + signals.keys(-60, 40), sign * apart * 0.8, tall], axis=-1)
        knee_height = seat_mm + SEAT_TO_HIP_MM + 70.0
        rested = np.stack([thigh - 30.0 + 0 * tall, -sign * 0.62 * subject.hip_mm + 0 * tall, tall * 0 + knee_height], axis=-1)
        options = np.stack([flat, crossed, long, rested if on_top else flat])
        local = options[arrangement, np.arange(NUM_KEYS)]
        moving = np.linalg.norm(local[moves.now] - local[moves.before], axis=-1)
        at = moves.blend(local) + moves.bump()[:, None] * np.minimum(0.2 * moving, 70.0)[:, None] * [0, 0, 1]
        ankles[side] = np.array([*spot, 0.0]) + apply(np.broadcast_to(frame, (puppet.num_frames, 3, 3)), at)
        open_knee = np.where((arrangement == 3) & on_top, 1.1, np.where(arrangement == 1, 0.12, 0.25))
        outward = moves.blend(open_knee + signals.keys(-0.1, 0.2))
        pole = np.stack([0 * outward + 0.6, sign * outward, 0 * outward + 1.0], axis=-1)
        poles[side] = pole @ frame.T
    puppet.place_feet(ankles, poles)
    return _chair(signals, spot, yaw, seat_mm)


def _chair(signals: Signals, spot: Float[Array, "2"], yaw: float, seat_mm: float) -> tuple[Prop, ...]:
    frame = rotation("z", np.float64(yaw))
    shade = signals.rng.integers(40, 200)
    colour = np.clip(shade + signals.rng.integers(-35, 35, 3), 0, 255).astype(np.uint8)
    half, thick = signals.uniform(190.0, 235.0), signals.uniform(12.0, 30.0)
    back_mm = signals.uniform(330.0, 520.0)
    centre = 90.0  # the seat reaches from behind the pelvis to under the thighs

    def box(x: float, y: float, z: float, *half_size: float) -> Prop:
        at = np.array([*spot, 0.0]) + frame @ np.array([x, y, z])
        return Prop(centre_mm=at, half_size_mm=np.array(half_size), rotation=frame, colour=tuple(int(c) for c in colour))

    parts = [box(centre, 0.0, seat_mm - thick, half, half, thick)]
    if signals.chance(0.8):
        lean = centre - half - 14.0
        parts.append(box(lean, 0.0, seat_mm + 0.5 * back_mm + 60.0, 14.0, half, 0.5 * back_mm - 40.0))
        for y in (-half + 20.0, half - 20.0):
            parts.append(box(lean, y, seat_mm + 20.0, 12.0, 14.0, 100.0))
    low = (seat_mm - 2 * thick) / 2
    for x in (centre - half + 20.0, centre + half - 20.0):
        for y in (-half + 20.0, half - 20.0):
            parts.append(box(x, y, low, 16.0, 16.0, low))
    return tuple(parts)


def sit_on_floor(puppet: Puppet, signals: Signals) -> tuple[Schedule, Float[Array, "K"]]:
    """Goes down to the floor, sits there in one way and another, and may get up again.

    Args:
        puppet: Gets a pelvis and legs.
        signals: Source of the choices.

    Returns:
        The schedule of the changes, and how upright each key is: 1 standing, 0 on the floor.
    """
    subject = puppet.subject
    moves = signals.schedule(signals.uniform(4.0, 6.5), signals.uniform(1.7, 2.4))
    habit = [float(w) for w in signals.rng.uniform(0.3, 1.0, 7)]
    kinds = signals.picks([*habit, 0.7, signals.uniform(0.0, 0.9)])
    if signals.chance(0.5):
        kinds[kinds == STAND] = SQUAT
    leg, shank, thigh, ankle = subject.leg_mm, subject.shank_mm, subject.thigh_mm, subject.ankle_mm
    low, which = 0.11 * leg, signals.sign()
    jitter = {name: signals.keys(-1, 1) for name in ("near", "wide", "turn", "tall", "left", "right", "slide")}

    # For each way to sit: the pelvis' height and tilt, and per foot where it is from the pelvis
    # (forward, sideways, height) and where the knee points (forward, sideways, up).
    one, zero = np.ones(NUM_KEYS), np.zeros(NUM_KEYS)
    heights = np.stack(
        [low * one] * 4 + [0.27 * leg * one, low * one, 0.33 * leg + 40 * jitter["tall"], 0.975 * leg + ankle + 10 * jitter["tall"], low * one]
    )
    tilts = np.radians(np.stack([-18 * one, -22 * one, -32 * one, -28 * one, 2 * one, -12 * one, 12 * one, 2 * one, -52 + 14 * jitter["tall"]]))
    ankles, poles = {}, {}
    yaw = signals.uniform(0, 2 * np.pi)
    turn = signals.uniform(0.2, 0.9) * jitter["turn"]
    heading = yaw + moves.blend(turn)
    kind = (kinds, np.arange(NUM_KEYS))
    # Feet go under the body, or out from under it, while it is lifted off them.
    folds = np.isin(kinds, [KNEELING, SIDEWAYS])
    folding = (folds[moves.now] | folds[moves.before]) & (kinds[moves.now] != kinds[moves.before])
    pelvis_height = moves.blend(heights[kind]) + signals.wander(3.0, 4.0) + 0.3 * leg * folding * moves.bump()
    # On the way down the feet stay and the pelvis goes behind them.
    backward = np.array([-260.0, -430.0, -330.0, -380.0, -120.0, -300.0, -150.0, -10.0, -420.0])[kinds] + 50 * jitter["slide"]
    spot = signals.uniform(0, 400.0) * np.array([np.cos(a := signals.uniform(0, 2 * np.pi)), np.sin(a)])
    pelvis_x = moves.blend(backward)
    forward = np.array([np.cos(yaw), np.sin(yaw)])
    xy = spot + (pelvis_x[:, None] + 250.0) * forward + signals.wander(6.0, 5.0, 2)
    for side, sign in SIDES.items():
        inner = 1.0 if sign == which else 0.0  # the leg that folds closer, bends up, or lies below
        near, wide = 60 * jitter["near"] + 30 * jitter[side], 40 * jitter["wide"] + 25 * jitter[side]
        places = [
            (0.36 * leg + 0.4 * near - 40 * inner, -sign * (105 + 25 * inner) + 0 * near, 68 + 12 * inner + zero),  # crossed
            (0.97 * leg + 0.25 * near, sign * (110 + abs(wide) * 2), 64 + zero),  # stretched
            (0.55 * leg + near, sign * (120 + wide), ankle + zero),  # knees up
            (0.55 * leg + near if inner else 0.965 * leg + 0.3 * near, sign * (130 + wide), (ankle if inner else 64.0) + zero),
            (-0.045 * leg + 0.1 * near, sign * (75 + 0.5 * wide), 62 + zero),  # kneeling
            (0.36 * leg + near if inner else -0.02 * leg + 0 * near, sign * 60 * inner - which * 0 + (1 - inner) * sign * 330, 66 + zero),
            (0.1 * leg + 0.4 * near, sign * (150 + wide), ankle + 20 + zero),  # squatting
            (0.02 * leg + 0.3 * near, sign * (110 + 0.6 * wide), ankle + zero),  # standing
            ((0.6 if inner else 0.9) * leg + near, sign * (120 + wide), (ankle if inner else 70.0) + zero),  # reclining
        ]  # fmt: skip
        knees = [
            (0.25, 1.0 * sign, 0.22),
            (0.1, 0.12 * sign, 1.0),
            (0.2, 0.1 * sign, 1.0),
            (0.2, 0.12 * sign, 1.0),
            (1.0, 0.16 * sign, -0.15),
            (0.25, 1.0 * sign, 0.3) if inner else (1.0, 0.55 * sign, 0.1),
            (1.0, 0.5 * sign, 0.35),
            (1.0, 0.15 * sign, 0.0),
            (0.2, 0.15 * sign, 1.0),
        ]
        local = np.stack([np.stack(np.broadcast_arrays(*place), axis=-1) for place in places])[kind]
        local[:, 0] += backward  # from the pelvis to the fixed spot
        pole = np.array(knees)[kinds] + np.stack([zero, 0.12 * jitter[side], zero], axis=-1)
        # Feet turn with the body, about the pelvis of their key.
        cos, sin = np.cos(turn), np.sin(turn)
        ahead = local[:, 0] - backward
        world = np.stack([cos * ahead - sin * local[:, 1] + backward + 250.0, sin * ahead + cos * local[:, 1], local[:, 2]], -1)
        moving = np.linalg.norm(world[moves.now] - world[moves.before], axis=-1)
        begin, end = (0.1, 0.8) if inner else (0.2, 0.9)
        at = moves.blend(world, begin, end)
        at[:, 2] += moves.bump(begin, end) * np.minimum(0.22 * moving, 80.0)
        frame = rotation("z", np.float64(yaw))
        ankles[side] = np.array([*spot, 0.0]) + at @ frame.T
        poles[side] = apply(rotation("z", heading), normalise(moves.blend(pole, begin, end)))
    pitch = moves.blend(tilts[kind]) + signals.wander(0.03, 5.0) + 0.3 * moves.bump()
    for _ in range(3):  # a body that rests on its knees is held up by them
        puppet.place_pelvis(_floor(xy, pelvis_height), yaw=heading, pitch=pitch)
        puppet.place_feet(ankles, poles)
        knees_mm = np.minimum(puppet.points["left_knee"][:, 2], puppet.points["right_knee"][:, 2])
        pelvis_height = pelvis_height + 10.0 * np.logaddexp(0.0, (KNEE_CLEARANCE_MM - knees_mm) / 10.0)
    return moves, kinds
