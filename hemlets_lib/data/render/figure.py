"""A figure from 18 joints: the rings of `tubes` strung along a pose.

Hands continue forearms; feet, knees and elbows point where the bend of the limb, or of a straight
limb the pelvis or chest, says; the face looks where the nose lies ahead of the neck.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from hemlets_lib.data.render.tubes import TUBES, Dressed, topology
from hemlets_lib.skeleton import HEMLETS18

__all__ = ["pose_rings"]


def _unit(vector: Float[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n 3"]:
    return vector / (np.sqrt((vector * vector).sum(-1, keepdims=True)) + 1e-9)


def _across(vector: Float[np.ndarray, "3"], axis: Float[np.ndarray, "3"]) -> Float[np.ndarray, "3"]:
    """The part of `vector` at right angles to the unit vector `axis`, made a unit vector."""
    return _unit(vector - (vector @ axis) * axis)


# Bone lengths of an adult of 1.70 m, mm: thigh, shank, upper arm, forearm; hip to hip; shoulder to shoulder.
_REFERENCE_MM = {"limbs": 2 * (443 + 454 + 279 + 252), "hips": 266.0, "shoulders": 290.0}
_LIMBS = [
    (f"{side}_{start}", f"{side}_{end}")
    for side in ("left", "right")
    for start, end in (("hip", "knee"), ("knee", "ankle"), ("shoulder", "elbow"), ("elbow", "wrist"))
]


def pose_rings(
    joints_mm: Float[np.ndarray, "18 3"], dressed: Dressed
) -> tuple[Float[np.ndarray, "V 3"], Float[np.ndarray, "M 4"]]:
    """Strings the rings of a figure along its joints.

    Args:
        joints_mm: HEMLETS18 joints, any right-handed frame, mm.
        dressed: From `dress`.

    Returns:
        Vertices (V, 3) in the joints' frame, and spheres (M, 4) that stand for the body where only
        its shadow matters: centre and radius, mm.
    """
    shape = topology()
    points, sides, scale, hip_ratio, shoulder_ratio = _controls(joints_mm)
    centre = shape.place @ points  # (R, 3)
    along = _unit(shape.along @ points)
    side = shape.place @ sides
    side = _unit(side - (side * along).sum(-1, keepdims=True) * along)
    front = shape.orient[:, None] * np.cross(along, side)

    radii = dressed.radii_mm * scale
    torso = shape.rings["torso"]
    chest = np.clip((shape.rest_t[torso] - 1.5) / 1.2, 0, 1)
    widths = (1 - chest) * hip_ratio + chest * shoulder_ratio
    radii[torso, 0] *= np.where(shape.rest_t[torso] > 3.4, 1, widths)
    middle = ((radii[:, 1] - radii[:, 2]) / 2)[:, None]
    depth = ((radii[:, 1] + radii[:, 2]) / 2)[:, None]
    breadth = radii[:, :1]
    # A ring is one ellipse about a centre between its front and its back.
    across = shape.outline[..., 0] * (breadth + dressed.hair_mm * scale)
    ahead = middle + shape.outline[..., 1] * (depth + dressed.hair_mm * scale)
    vertices = centre[:, None] + across[..., None] * side[:, None] + ahead[..., None] * front[:, None]
    head = shape.rings["head"]
    lift = dressed.hair_mm[head] * scale * np.clip(shape.rest_t[head] * 225 - 180, 0, 45)[:, None] / 45
    vertices[head] += lift[..., None] * along[head, None]

    thick = (radii.mean(-1) > 25) & (np.arange(len(radii)) % 2 == 0)
    spheres = np.concatenate([centre[thick], radii[thick].mean(-1, keepdims=True)], -1)
    return vertices.reshape(-1, 3), spheres


def _controls(
    joints: Float[np.ndarray, "18 3"],
) -> tuple[Float[np.ndarray, "K 3"], Float[np.ndarray, "K 3"], float, float, float]:
    """Control points and side directions of all tubes; scale, hip and shoulder breadth ratios."""
    j = dict(zip(HEMLETS18.joint_names, joints, strict=True))
    total = sum(float(np.linalg.norm(j[a] - j[b])) for a, b in _LIMBS)
    scale = float(np.clip(total / _REFERENCE_MM["limbs"], 0.3, 2.0))
    hip_span, shoulder_span = j["left_hip"] - j["right_hip"], j["left_shoulder"] - j["right_shoulder"]
    ratios = [
        float(np.clip(np.linalg.norm(span) / (_REFERENCE_MM[name] * scale), 0.85, 1.2))
        for span, name in ((hip_span, "hips"), (shoulder_span, "shoulders"))
    ]

    up = _unit(j["torso"] - j["pelvis"])
    chest_up = _unit(j["neck"] - j["torso"])
    left, chest_left = _unit(hip_span), _unit(shoulder_span)
    chest_ahead = _unit(np.cross(chest_left, chest_up))

    head_up = _unit(j["head"] - j["neck"])
    nose = j["nose"] - j["neck"]
    # A nose straight above the neck does not say where it points: then the chest does.
    head_ahead = _across(nose - (nose @ head_up) * head_up + 12 * scale * chest_ahead, head_up)
    head_left = np.cross(head_up, head_ahead)
    chin_height = float((j["nose"] - j["head"]) @ head_up) - 52 * scale
    crown_height = max(15 * scale, chin_height + 225 * scale)
    # Human3.6M's head joint lies inside the skull, MPII's on the crown; the nose tells which.
    chin = j["head"] + (crown_height - 225 * scale) * head_up
    crown = j["head"] + crown_height * head_up

    def on_head(s: float, t: float, f: float) -> np.ndarray:
        return chin + scale * (s * head_left + t * head_up + f * head_ahead)

    points: dict[str, list[np.ndarray]] = {
        "torso": [
            j["pelvis"] - 88 * scale * up, j["pelvis"], j["torso"],
            0.5 * (j["thorax"] + j["torso"] + chest_up * ((j["thorax"] - j["torso"]) @ chest_up)),
            j["neck"], on_head(0, 70, -18),
        ],
        "head": [chin, crown],
        "nose": [on_head(0, 122, 84), on_head(0, 72, 98)],
        "left_ear": [on_head(72, 78, -6), on_head(76, 132, -12)],
        "right_ear": [on_head(-72, 78, -6), on_head(-76, 132, -12)],
        "bun": [on_head(0, 165, -88), on_head(0, 172, -150)],
        "long_hair": [on_head(0, 190, -48), on_head(0, -55, -66)],
    }  # fmt: skip
    sides: dict[str, list[np.ndarray]] = {
        "torso": [left, left, _unit(left + chest_left), chest_left, chest_left, head_left],
        **{
            name: [head_left, head_left]
            for name in ("head", "nose", "left_ear", "right_ear", "bun", "long_hair")
        },
    }
    for name, sign in (("left", 1.0), ("right", -1.0)):
        for limb, joint_names, body_left, body_ahead, inner, flexes in (
            ("leg", ("hip", "knee", "ankle"), left, np.cross(left, up), j["pelvis"], 1.0),
            ("arm", ("shoulder", "elbow", "wrist"), chest_left, chest_ahead, j["thorax"], -1.0),
        ):
            start, middle, end = (j[f"{name}_{joint}"] for joint in joint_names)
            upper, lower = _unit(middle - start), _unit(end - middle)
            chord = _unit(end - start)
            bend = middle - start - ((middle - start) @ chord) * chord
            # Front of the limb: where a knee points or an elbow flexes to; of a straight limb, where
            # the body would swing it next.
            rest_front = np.cross(upper, body_left) + 0.3 * body_ahead
            front = flexes * 5 * bend / (np.linalg.norm(middle - start) + 1e-9) + rest_front
            side_upper = sign * np.cross(front, upper)
            side_lower = sign * np.cross(front, lower)
            tube = f"{name}_{limb}"
            # Flesh begins nearer to the middle of the body than the joint: thighs touch, shoulders slope.
            if limb == "leg":
                root = start + 0.34 * (inner - start)
                inside = start + 0.5 * (inner - start) - 72 * scale * upper
            else:
                root = start
                inside = start + 0.42 * (inner - start) - 34 * scale * upper + 22 * scale * chest_up
            points[tube] = [inside, root, middle, end]
            sides[tube] = [side_upper, side_upper, _unit(side_upper) + _unit(side_lower), side_lower]
            front_lower = _across(front, lower)
            if limb == "arm":
                fingertips = end + scale * (172 * lower + 18 * front_lower)
                points[tube].append(fingertips)
                sides[tube].append(side_lower)
                knuckle = end + scale * (32 * lower + 26 * front_lower)
                points[f"{name}_thumb"] = [knuckle, knuckle + scale * (62 * lower + 34 * front_lower)]
                sides[f"{name}_thumb"] = [side_lower, side_lower]
            else:
                outward = _unit(side_lower)
                ahead = _unit(front_lower + 0.12 * outward)
                sole = end + 44 * scale * lower
                points[f"{name}_foot"] = [sole - 62 * scale * ahead, sole + 190 * scale * ahead]
                sides[f"{name}_foot"] = [outward, outward]
    all_points, all_sides = (
        np.array([vector for tube in TUBES for vector in of[tube.name]]) for of in (points, sides)
    )
    return all_points, all_sides, scale, ratios[0], ratios[1]
