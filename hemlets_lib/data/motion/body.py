"""Bodies: the seven subjects, their joint limits, and kinematics both ways.

Body axes are x forward, y to the subject's left, z up; `side` is +1 for left and -1 for right.
Every rotation maps body axes to world axes, lengths are millimetres and angles radians, and all
arrays run over frames first. Angles of zero stand upright with straight legs and hanging arms.

The bones whose lengths are fixed are those that Human3.6M's 17 joints have; `thorax` is the mean of
the shoulders by definition, so it moves against the neck as the collar bones do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType

import numpy as np
from jaxtyping import Float

from hemlets_lib.data.render import Appearance
from hemlets_lib.skeleton import HEMLETS18

__all__ = ["LIMITS_DEG", "SUBJECTS", "Subject", "forward_kinematics", "reach_limb"]

Array = np.ndarray
Angles = dict[str, Float[Array, "F"]]

SIDES: Mapping[str, int] = MappingProxyType({"left": 1, "right": -1})
SEED_OF_LOOKS = 36  # the subjects' clothes are drawn once, from (this, subject number)

COLLAR_DROOP = np.radians(18.0)  # shoulders hang below the base of the neck
FACE_AHEAD = np.radians(35.0)  # the nose joint lies ahead of the neck ...
CROWN_BEHIND = np.radians(32.0)  # ... and the head's top behind the nose joint

LEG_REACH = 0.9995  # of the full length: a leg that is quite straight has no bending plane
ARM_REACH = 0.99

# Passive ranges of healthy adults, rounded outwards. A shoulder's flexion and rotation trade places
# when the arm points sideways, so their ranges are wide and the arm's direction is what is limited.
_SPINE_DEG = {
    "lumbar_flexion": (-25.0, 70.0),
    "lumbar_bend": (-30.0, 30.0),
    "lumbar_twist": (-25.0, 25.0),
    "thoracic_flexion": (-20.0, 45.0),
    "thoracic_bend": (-25.0, 25.0),
    "thoracic_twist": (-40.0, 40.0),
    "neck_flexion": (-40.0, 45.0),
    "neck_bend": (-25.0, 25.0),
    "neck_twist": (-45.0, 45.0),
    "head_flexion": (-30.0, 30.0),
    "head_bend": (-20.0, 20.0),
    "head_twist": (-35.0, 35.0),
}
_LIMB_DEG = {
    "collar_elevation": (-12.0, 40.0),
    "collar_protraction": (-25.0, 30.0),
    "shoulder_flexion": (-115.0, 245.0),
    "shoulder_abduction": (-65.0, 90.0),
    "shoulder_rotation": (-180.0, 180.0),
    "elbow_flexion": (0.0, 150.0),
    "hip_flexion": (-40.0, 145.0),
    "hip_abduction": (-45.0, 80.0),
    "hip_rotation": (-85.0, 95.0),
    "knee_flexion": (0.0, 158.0),
}
LIMITS_DEG: Mapping[str, tuple[float, float]] = MappingProxyType(
    _SPINE_DEG | {f"{side}_{name}": limits for side in SIDES for name, limits in _LIMB_DEG.items()}
)
_LIMITS_RAD = {name: tuple(np.radians(limits).tolist()) for name, limits in LIMITS_DEG.items()}


@dataclass(frozen=True)
class Subject:
    """An adult's proportions, millimetres, and looks.

    Args:
        name: As Human3.6M names its subjects.
        hip_mm: Pelvis to either hip.
        thigh_mm: Hip to knee.
        shank_mm: Knee to ankle.
        ankle_mm: The ankle's height over the floor, standing.
        lower_spine_mm: Pelvis to torso.
        upper_spine_mm: Torso to neck.
        neck_mm: Neck to nose.
        head_mm: Nose to the head's top.
        shoulder_mm: Neck to either shoulder.
        upper_arm_mm: Shoulder to elbow.
        forearm_mm: Elbow to wrist.
        appearance: What a rendering of the subject wears.
    """

    name: str
    hip_mm: float
    thigh_mm: float
    shank_mm: float
    ankle_mm: float
    lower_spine_mm: float
    upper_spine_mm: float
    neck_mm: float
    head_mm: float
    shoulder_mm: float
    upper_arm_mm: float
    forearm_mm: float
    appearance: Appearance

    @property
    def leg_mm(self) -> float:
        return self.thigh_mm + self.shank_mm

    @property
    def arm_mm(self) -> float:
        return self.upper_arm_mm + self.forearm_mm

    @property
    def height_mm(self) -> float:
        """Floor to the head's top, standing upright."""
        face = self.neck_mm * np.cos(FACE_AHEAD) + self.head_mm * np.cos(CROWN_BEHIND)
        return float(self.ankle_mm + self.leg_mm + self.lower_spine_mm + self.upper_spine_mm + face)


def _subject(number: int, *lengths_mm: float) -> Subject:
    names = [field.name for field in fields(Subject) if field.name.endswith("_mm")]
    lengths = dict(zip(names, lengths_mm, strict=True))
    looks = Appearance.random(np.random.default_rng([SEED_OF_LOOKS, number]))
    return Subject(name=f"S{number}", appearance=looks, **lengths)


# S1, S5, S7 and S8 are built like their namesakes in Human3.6M; S6, S9 and S11 fill the range.
SUBJECTS: Mapping[str, Subject] = MappingProxyType(
    {
        subject.name: subject
        for subject in (
            #           hip thigh shank ankle spine spine neck head shoulder arm forearm
            _subject(1, 133, 443, 454, 86, 233, 257, 121, 115, 151, 279, 252),
            _subject(5, 119, 428, 442, 80, 224, 254, 117, 114, 143, 264, 248),
            _subject(6, 121, 404, 398, 76, 214, 241, 112, 110, 136, 253, 224),
            _subject(7, 135, 448, 438, 84, 226, 255, 107, 115, 139, 275, 247),
            _subject(8, 146, 452, 438, 90, 261, 251, 120, 115, 169, 289, 244),
            _subject(9, 138, 466, 471, 90, 243, 268, 124, 118, 158, 296, 262),
            _subject(11, 140, 487, 492, 94, 252, 276, 126, 120, 160, 304, 276),
        )
    }
)


def rotation(axis: str, angle: Float[Array, "*F"] | float) -> Float[Array, "*F 3 3"]:
    """Right-handed rotation about a body axis, 'x', 'y' or 'z'."""
    angle = np.asarray(angle, dtype=np.float64)
    cos, sin = np.cos(angle), np.sin(angle)
    matrix = np.zeros((*angle.shape, 3, 3))
    i = "xyz".index(axis)
    j, k = (i + 1) % 3, (i + 2) % 3
    matrix[..., i, i] = 1.0
    matrix[..., j, j] = matrix[..., k, k] = cos
    matrix[..., k, j], matrix[..., j, k] = sin, -sin
    return matrix


def apply(matrix: Float[Array, "... 3 3"], vector: Float[Array, "... 3"]) -> Float[Array, "... 3"]:
    """Matrices times vectors, one each or one for all."""
    return (matrix @ vector[..., None])[..., 0]


def normalise(vector: Float[Array, "*F 3"]) -> Float[Array, "*F 3"]:
    return vector / np.maximum(np.linalg.norm(vector, axis=-1, keepdims=True), 1e-9)


def soft_min(value: Array, bound: Array | float, softness: float) -> Array:
    """The lesser of two, with a rounded corner; never above either."""
    return -softness * np.logaddexp(-value / softness, -np.asarray(bound) / softness)


def within_limits(angles: Angles) -> Angles:
    """The same angles, each clipped to `LIMITS_DEG`.

    Raises:
        ValueError: If an angle's name is not a degree of freedom of the body.
    """
    if unknown := sorted(angles.keys() - LIMITS_DEG.keys()):
        raise ValueError(
            f"`angles` must name degrees of freedom listed in LIMITS_DEG, got {unknown}; "
            "check the spelling, and that limbs carry their side ('left_knee_flexion')."
        )
    return {
        name: np.minimum(np.maximum(angle, _LIMITS_RAD[name][0]), _LIMITS_RAD[name][1])
        for name, angle in angles.items()
    }


def _spine_rotation(angles: Angles, segment: str) -> Float[Array, "*F 3 3"]:
    flexion, bend, twist = (angles.get(f"{segment}_{dof}", 0.0) for dof in ("flexion", "bend", "twist"))
    return rotation("z", twist) @ rotation("x", -np.asarray(bend)) @ rotation("y", flexion)


def _limb_rotation(angles: Angles, side: str, joint: str) -> Float[Array, "*F 3 3"]:
    flexion, abduction, axial = (
        np.asarray(angles.get(f"{side}_{joint}_{dof}", 0.0)) for dof in ("flexion", "abduction", "rotation")
    )
    sign = SIDES[side]
    return rotation("y", -flexion) @ rotation("x", sign * abduction) @ rotation("z", sign * axial)


def _up(length: float, tilt: float = 0.0) -> Float[Array, "3"]:
    """A vector of that length, tilted forward from straight up."""
    return length * np.array([np.sin(tilt), 0.0, np.cos(tilt)])


def trunk_kinematics(
    subject: Subject,
    pelvis_mm: Float[Array, "F 3"],
    pelvis_rotation: Float[Array, "F 3 3"],
    angles: Angles,
) -> tuple[dict[str, Float[Array, "F 3"]], dict[str, Float[Array, "F 3 3"]]]:
    """Hips, spine, head and shoulders, and the frames of pelvis, chest and head."""
    lumbar = pelvis_rotation @ _spine_rotation(angles, "lumbar")
    chest = lumbar @ _spine_rotation(angles, "thoracic")
    cervical = chest @ _spine_rotation(angles, "neck")
    skull = cervical @ _spine_rotation(angles, "head")
    points = {"pelvis": pelvis_mm}
    points["torso"] = pelvis_mm + lumbar @ _up(subject.lower_spine_mm)
    points["neck"] = points["torso"] + chest @ _up(subject.upper_spine_mm)
    points["nose"] = points["neck"] + cervical @ _up(subject.neck_mm, FACE_AHEAD)
    points["head"] = points["nose"] + skull @ _up(subject.head_mm, -CROWN_BEHIND)
    for side, sign in SIDES.items():
        elevation = np.asarray(angles.get(f"{side}_collar_elevation", 0.0)) - COLLAR_DROOP
        protraction = np.asarray(angles.get(f"{side}_collar_protraction", 0.0))
        level, ahead = np.cos(elevation), np.sin(protraction)
        out = sign * level * np.cos(protraction)
        collar = np.stack(np.broadcast_arrays(level * ahead, out, np.sin(elevation)), axis=-1)
        points[f"{side}_hip"] = pelvis_mm + pelvis_rotation @ np.array([0.0, sign * subject.hip_mm, 0.0])
        points[f"{side}_shoulder"] = points["neck"] + apply(chest, subject.shoulder_mm * collar)
    points["thorax"] = (points["left_shoulder"] + points["right_shoulder"]) / 2
    return points, {"pelvis": pelvis_rotation, "chest": chest, "head": skull}


def limb_kinematics(
    subject: Subject,
    limb: str,
    side: str,
    start_mm: Float[Array, "F 3"],
    frame: Float[Array, "F 3 3"],
    angles: Angles,
) -> tuple[Float[Array, "F 3"], Float[Array, "F 3"]]:
    """Where knee and ankle ('leg'), or elbow and wrist ('arm'), are."""
    joint, hinge, lengths, sense = _limb(subject, limb)
    upper = frame @ _limb_rotation(angles, side, joint)
    lower = upper @ rotation("y", sense * np.asarray(angles.get(f"{side}_{hinge}_flexion", 0.0)))
    middle = start_mm + upper @ _up(-lengths[0])
    return middle, middle + lower @ _up(-lengths[1])


def _limb(subject: Subject, limb: str) -> tuple[str, str, tuple[float, float], int]:
    if limb == "leg":
        return "hip", "knee", (subject.thigh_mm, subject.shank_mm), 1
    return "shoulder", "elbow", (subject.upper_arm_mm, subject.forearm_mm), -1


def forward_kinematics(
    subject: Subject,
    pelvis_mm: Float[Array, "F 3"],
    pelvis_rotation: Float[Array, "F 3 3"],
    angles: Angles,
) -> Float[Array, "F 18 3"]:
    """The 18 joints of a posture, in HEMLETS18's order.

    Args:
        subject: Whose bones.
        pelvis_mm: The pelvis in the world.
        pelvis_rotation: Body axes to world axes.
        angles: Degrees of freedom by name, radians; those left out are zero. They are clipped to
            `LIMITS_DEG` first, so that no posture is beyond a healthy adult's.

    Returns:
        Joints in world millimetres.

    Raises:
        ValueError: If an angle's name is not a degree of freedom of the body.
    """
    angles = within_limits(angles)
    points, frames = trunk_kinematics(subject, pelvis_mm, pelvis_rotation, angles)
    for side in SIDES:
        for limb, frame, names in (
            ("leg", "pelvis", "hip knee ankle"),
            ("arm", "chest", "shoulder elbow wrist"),
        ):
            start, middle, end = (f"{side}_{name}" for name in names.split())
            points[middle], points[end] = limb_kinematics(
                subject, limb, side, points[start], frames[frame], angles
            )
    return np.stack([points[name] for name in HEMLETS18.joint_names], axis=-2)


def reach_limb(
    subject: Subject,
    limb: str,
    side: str,
    *,
    start_mm: Float[Array, "F 3"],
    target_mm: Float[Array, "F 3"],
    pole: Float[Array, "F 3"],
    frame: Float[Array, "F 3 3"],
) -> Angles:
    """Two-bone inverse kinematics: the angles that bring an ankle or a wrist to its target.

    A target out of reach is approached along its direction, smoothly.

    Args:
        subject: Whose bones.
        limb: 'leg' or 'arm'.
        side: 'left' or 'right'.
        start_mm: Hip or shoulder, world.
        target_mm: Where ankle or wrist shall be, world.
        pole: Roughly where knee or elbow shall point, world; any length, not along the limb.
        frame: The pelvis' or the chest's frame, which the angles are relative to.

    Returns:
        Flexion, abduction and rotation of hip or shoulder and flexion of knee or elbow, by name.
    """
    joint, hinge, (upper, lower), sense = _limb(subject, limb)
    aim = target_mm - start_mm
    distance = np.linalg.norm(aim, axis=-1)
    aim = normalise(aim)
    # The law of cosines: distance against the hinge's flexion.
    most_bent = np.radians(LIMITS_DEG[f"{side}_{hinge}_flexion"][1] - 1.0)
    nearest = np.sqrt(upper**2 + lower**2 + 2 * upper * lower * np.cos(most_bent))
    farthest = (upper + lower) * (LEG_REACH if limb == "leg" else ARM_REACH)
    softness = (upper + lower) * (0.0008 if limb == "leg" else 0.015)
    distance = -soft_min(-soft_min(distance, farthest, softness), -nearest, softness)
    distance = np.minimum(distance, farthest)
    flexion = np.arccos(np.clip((distance**2 - upper**2 - lower**2) / (2 * upper * lower), -1, 1))
    at_start = np.arccos(np.clip((distance**2 + upper**2 - lower**2) / (2 * upper * distance), -1, 1))
    away = normalise(pole - (pole * aim).sum(-1, keepdims=True) * aim)  # perpendicular to the limb
    middle = (
        np.cos(at_start)[..., None] * aim + np.sin(at_start)[..., None] * away
    )  # unit: along the upper bone
    # The hinge turns about the limb's own y; knees point to +x of the thigh, elbows to -x of the arm.
    z_axis = -middle
    x_axis = sense * normalise(away - (away * middle).sum(-1, keepdims=True) * middle)
    axes = np.stack([x_axis, np.cross(z_axis, x_axis), z_axis], axis=-1)
    local = np.swapaxes(frame, -1, -2) @ axes
    sign = SIDES[side]
    bend = np.arctan2(-local[..., 0, 2], local[..., 2, 2])
    # An arm may be raised past the vertical: its flexion is counted from -115 to 245 degrees.
    bend = np.where(bend < np.radians(-115.0), bend + 2 * np.pi, bend)
    return {
        f"{side}_{joint}_flexion": bend,
        f"{side}_{joint}_abduction": sign * np.arcsin(np.clip(-local[..., 1, 2], -1, 1)),
        f"{side}_{joint}_rotation": sign * np.arctan2(local[..., 1, 0], local[..., 1, 1]),
        f"{side}_{hinge}_flexion": flexion,
    }
