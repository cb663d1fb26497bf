"""What the lower body does when it sits on a chair, and the chair."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from hemlets_lib.data.motion.body import SIDES, apply, rotation
from hemlets_lib.data.motion.puppet import Puppet
from hemlets_lib.data.motion.signals import NUM_KEYS, Signals
from hemlets_lib.data.motion.stances import direction, over_floor
from hemlets_lib.data.render import Prop

__all__ = ["sit_on_chair"]

Array = np.ndarray
SEAT_TO_HIP_MM = 92.0  # from the seat's top to the hip joints


def sit_on_chair(
    puppet: Puppet, signals: Signals, *, recline: Float[Array, "F"] | float = 0.0
) -> tuple[Prop, ...]:
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
    spot = signals.uniform(0, 450.0) * direction(np.float64(signals.uniform(0, 2 * np.pi)))
    seat_mm = subject.shank_mm + subject.ankle_mm - 45.0 + signals.uniform(-45.0, 35.0)
    heading = yaw + signals.wander(0.05, 6.0)
    xy = spot + signals.wander(10.0, 5.0, 2)
    height = np.full(puppet.num_frames, seat_mm + SEAT_TO_HIP_MM)
    puppet.place_pelvis(over_floor(xy, height), yaw=heading, pitch=recline, roll=signals.wander(0.025, 5.0))

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
            [thigh + signals.keys(20, 240) + 60 * on_top, -sign * signals.keys(15, 70), tall + 35 * on_top],
            axis=-1,
        )
        long = np.stack(
            [thigh + 0.6 * subject.shank_mm + signals.keys(-60, 40), sign * apart * 0.8, tall], axis=-1
        )
        knee_height = seat_mm + SEAT_TO_HIP_MM + 70.0
        rested = np.stack(
            [thigh - 30.0 + 0 * tall, -sign * 0.62 * subject.hip_mm + 0 * tall, tall * 0 + knee_height],
            axis=-1,
        )
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
    red, green, blue = np.clip(shade + signals.rng.integers(-35, 35, 3), 0, 255).tolist()
    colour = (red, green, blue)
    half, thick = signals.uniform(190.0, 235.0), signals.uniform(12.0, 30.0)
    back_mm = signals.uniform(330.0, 520.0)
    centre = 90.0  # the seat reaches from behind the pelvis to under the thighs

    def box(x: float, y: float, z: float, *half_size: float) -> Prop:
        at = np.array([*spot, 0.0]) + frame @ np.array([x, y, z])
        return Prop(centre_mm=at, half_size_mm=np.array(half_size), rotation=frame, colour=colour)

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
