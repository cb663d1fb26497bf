"""Poses that none of the actions has: upside down, on the floor, curled up, at sports.

Each is a posture within a healthy adult's joint limits (`body.LIMITS_DEG`), turned as a whole and set on
the floor; no balance is computed. They stand in for the hard poses of photographs (Fig. 5), and no network
here has been trained on them.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from hemlets_lib.data.motion.body import Subject, forward_kinematics, rotation
from hemlets_lib.data.motion.takes import Take

__all__ = ["ACROBATICS", "hold"]

_FLOOR_MM = 75.0  # from the lowest joint down to the floor: an ankle's height, or half a hand's length

# Degrees. "pitch" bows the whole body forwards, "roll" tips it to its right; the rest are the body's own
# degrees of freedom, both limbs' where the side is left out. Shoulders at 180° of flexion point up.
ACROBATICS: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "handstand": {
            "pitch": 180, "shoulder_flexion": 178, "shoulder_abduction": 8, "left_hip_flexion": 12,
            "right_hip_flexion": -12, "neck_flexion": -25,
        },
        "straddled handstand": {
            "pitch": 180, "shoulder_flexion": 176, "shoulder_abduction": 10, "hip_abduction": 62,
            "hip_flexion": 15, "neck_flexion": -25,
        },
        "cartwheel": {
            "roll": 105, "shoulder_flexion": 178, "shoulder_abduction": 32, "hip_abduction": 52,
        },
        "head over heels": {
            "pitch": 215, "lumbar_flexion": 35, "thoracic_flexion": 20, "hip_flexion": 100,
            "knee_flexion": 110, "shoulder_flexion": 150, "elbow_flexion": 40, "neck_flexion": 40,
        },
        "plank": {"pitch": 78, "shoulder_flexion": 84, "neck_flexion": -20},
        "bridge": {
            "pitch": -95, "lumbar_flexion": -25, "thoracic_flexion": -20, "hip_flexion": -25,
            "knee_flexion": 75, "shoulder_flexion": 215, "neck_flexion": -40,
        },
        "toe touch": {
            "pitch": 50, "lumbar_flexion": 55, "thoracic_flexion": 30, "hip_flexion": 50,
            "shoulder_flexion": 75, "neck_flexion": 20,
        },
        "curled up": {
            "lumbar_flexion": 40, "thoracic_flexion": 30, "hip_flexion": 125, "knee_flexion": 135,
            "hip_abduction": 6, "shoulder_flexion": 65, "shoulder_rotation": 40, "elbow_flexion": 75,
            "neck_flexion": 25,
        },
        "high kick": {
            "pitch": -12, "left_hip_flexion": 118, "left_knee_flexion": 8, "right_hip_flexion": -10,
            "left_shoulder_flexion": -40, "right_shoulder_flexion": 70, "elbow_flexion": 60,
        },
        "arabesque": {
            "pitch": 72, "lumbar_flexion": -15, "left_hip_flexion": 72, "right_hip_flexion": -20,
            "left_shoulder_flexion": 165, "right_shoulder_abduction": 80, "neck_flexion": -30,
        },
        "lunge": {
            "pitch": 20, "left_hip_flexion": 105, "left_knee_flexion": 95, "right_hip_flexion": -35,
            "right_knee_flexion": 15, "left_shoulder_flexion": -60, "right_shoulder_flexion": 110,
            "thoracic_twist": 35,
        },
        "arms crossed": {
            "shoulder_flexion": 60, "shoulder_rotation": 70, "shoulder_abduction": -30, "elbow_flexion": 110,
            "left_hip_abduction": -14, "right_hip_abduction": -10, "right_hip_flexion": 15,
            "right_knee_flexion": 25, "neck_flexion": 30,
        },
    }
)  # fmt: skip


def hold(name: str, subject: Subject, *, facing_deg: float = 0.0) -> Take:
    """One of `ACROBATICS`, held for a single frame.

    Args:
        name: Which.
        subject: Whose bones.
        facing_deg: Where the body's front points, anticlockwise seen from above.

    Returns:
        A take of one frame above the world's origin, its lowest joint just above the floor.

    Raises:
        ValueError: If there is no such pose.
    """
    if name not in ACROBATICS:
        raise ValueError(f"`name` must be one of {', '.join(ACROBATICS)}, got {name!r}.")
    angles = dict(ACROBATICS[name])
    pitch, roll = (np.radians(angles.pop(turn, 0.0)) for turn in ("pitch", "roll"))
    turned = rotation("z", np.radians(facing_deg)) @ rotation("y", pitch) @ rotation("x", roll)
    freedom = {dof: np.full(1, np.radians(angle)) for dof, angle in _both_sides(angles).items()}
    joints = forward_kinematics(subject, np.zeros((1, 3)), turned[None], freedom)
    joints[..., 2] += _FLOOR_MM - joints[..., 2].min()
    return Take(joints, 50.0, name, subject.name)


def _both_sides(angles: Mapping[str, float]) -> dict[str, float]:
    """Limbs' angles for left and right where no side is named; one that is named goes before."""
    limbs = ("shoulder_", "elbow_", "hip_", "knee_", "collar_")
    spread: dict[str, float] = {}
    for name, angle in angles.items():
        if name.startswith(limbs):
            spread |= {
                f"{side}_{name}": angle for side in ("left", "right") if f"{side}_{name}" not in angles
            }
        else:
            spread[name] = angle
    return spread
