"""A person's surface from 18 joints: elliptical rings strung along the limbs.

Every part is a tube: control points, a direction to the part's side, and rows of
(place along the points, half breadth, front, back) in millimetres for an adult of average build.
Places and directions along a tube are linear in its control points, so that all rings of all tubes
come from one matrix product. Rows are read off anthropometric tables to about a centimetre; nothing
in the measured pose depends on them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from hemlets_lib.data.appearance import Appearance
from hemlets_lib.data.raster import MATERIALS
from hemlets_lib.skeleton import HEMLETS18

__all__ = ["Dressed", "dress", "pose_rings", "topology"]

SEGMENTS = 16  # corners of a ring

# fmt: off
_TORSO = (  # 0 crotch, 1 pelvis, 2 mid-spine, 3 shoulders, 4 neck, 5 base of the skull
    (0.00, 0, 0, 0), (0.02, 66, 42, 60), (0.30, 124, 66, 96), (0.60, 156, 86, 116), (0.90, 167, 97, 120),
    (1.15, 163, 97, 107), (1.40, 153, 94, 94), (1.70, 141, 93, 86), (1.95, 138, 95, 86), (2.20, 144, 103, 94),
    (2.50, 154, 112, 104), (2.75, 163, 113, 108), (2.95, 164, 104, 104), (3.12, 154, 90, 98), (3.26, 132, 76, 90),
    (3.40, 104, 66, 82), (3.54, 80, 60, 75), (3.70, 66, 57, 68), (4.00, 60, 55, 62), (4.50, 57, 53, 60),
    (5.00, 54, 48, 56), (5.00, 0, 0, 0),
)
_LEG = (  # 0 inside the pelvis, 1 hip, 2 knee, 3 ankle
    (0.00, 0, 0, 0), (0.02, 50, 52, 60), (0.50, 74, 80, 96), (1.00, 84, 88, 103), (1.20, 83, 88, 94),
    (1.45, 76, 82, 82), (1.70, 66, 71, 68), (1.88, 57, 61, 58), (1.97, 55, 60, 53), (2.05, 54, 56, 52),
    (2.14, 52, 49, 60), (2.28, 55, 47, 71), (2.42, 53, 45, 71), (2.60, 43, 40, 56), (2.80, 34, 34, 41),
    (2.95, 31, 32, 38), (3.05, 30, 30, 35), (3.05, 0, 0, 0),
)
_ARM = (  # 0 inside the shoulder, 1 shoulder, 2 elbow, 3 wrist, 4 fingertips
    (0.00, 0, 0, 0), (0.03, 34, 36, 40), (0.45, 46, 50, 52), (0.80, 51, 56, 56), (1.05, 51, 56, 54),
    (1.30, 47, 50, 48), (1.55, 43, 47, 43), (1.80, 38, 40, 38), (1.95, 36, 37, 38), (2.08, 38, 38, 38),
    (2.20, 41, 43, 40), (2.35, 40, 42, 38), (2.60, 34, 36, 33), (2.85, 26, 30, 28), (3.00, 23, 29, 27),
    (3.10, 20, 33, 31), (3.30, 18, 41, 38), (3.50, 16, 42, 40), (3.70, 13, 38, 37), (3.90, 10, 27, 26),
    (4.00, 0, 0, 0),
)
_FOOT = (  # 0 heel, 1 toes; front is up, back is down
    (0.00, 0, 0, 0), (0.01, 20, 12, 28), (0.06, 32, 26, 35), (0.20, 36, 38, 36), (0.35, 37, 40, 36),
    (0.50, 40, 26, 36), (0.65, 45, 14, 36), (0.80, 45, 5, 35), (0.92, 37, 1, 34), (0.98, 22, -4, 28), (1.00, 0, 0, 0),
)
_THUMB = ((0.00, 0, 0, 0), (0.02, 12, 12, 12), (0.50, 12, 13, 13), (0.90, 9, 10, 10), (1.00, 0, 0, 0))
_HEAD = (  # millimetres above the chin over 225
    (0 / 225, 0, 62, -62), (2 / 225, 18, 76, -42), (12 / 225, 34, 86, -12), (30 / 225, 47, 91, 18),
    (50 / 225, 56, 93, 52), (72 / 225, 63, 92, 76), (95 / 225, 68, 91, 90), (120 / 225, 71, 90, 97),
    (145 / 225, 74, 93, 101), (170 / 225, 73, 89, 97), (190 / 225, 65, 75, 85), (207 / 225, 50, 55, 65),
    (219 / 225, 31, 32, 42), (1.0, 0, 0, 0),
)
_NOSE = ((0.0, 0, 0, 0), (0.05, 8, 8, 12), (0.50, 10, 13, 16), (0.85, 16, 16, 20), (0.97, 14, 12, 20), (1.0, 0, 0, 0))
_EAR = ((0.0, 0, 0, 0), (0.10, 8, 10, 10), (0.50, 11, 15, 18), (0.85, 12, 17, 20), (1.0, 0, 0, 0))
_BUN = ((0.0, 0, 0, 0), (0.05, 24, 24, 24), (0.5, 36, 36, 36), (0.9, 24, 24, 24), (1.0, 0, 0, 0))
_LONG_HAIR = (
    (0.0, 0, 0, 0), (0.05, 60, 40, 30), (0.25, 84, 62, 48), (0.50, 86, 56, 50), (0.75, 84, 38, 46),
    (0.95, 76, 20, 36), (1.0, 0, 0, 0),
)
# fmt: on


class _Tube(NamedTuple):
    name: str
    material: str
    rows: tuple[tuple[float, float, float, float], ...]
    points: int  # control points
    orient: int  # front = orient * (along x side); flipped between the body's left and right
    window: float = 0.0  # how far a corner at a control point is rounded, in places
    straight_until: float = 0.0  # rings before this place keep its direction
    squareness: float = 1.0  # < 1 squares an ellipse's corners


def _pair(name: str, *rest: object, **options: object) -> tuple[_Tube, _Tube]:
    return (
        _Tube(f"left_{name}", *rest, orient=1, **options),  # type: ignore[arg-type]
        _Tube(f"right_{name}", *rest, orient=-1, **options),  # type: ignore[arg-type]
    )


_TUBES = (
    _Tube("torso", "torso", _TORSO, 6, -1, window=0.5, squareness=0.9),
    _Tube("head", "head", _HEAD, 2, -1, squareness=0.93),
    _Tube("nose", "plain", _NOSE, 2, 1),
    *_pair("ear", "plain", _EAR, 2),
    _Tube("bun", "plain", _BUN, 2, 1),
    _Tube("long_hair", "plain", _LONG_HAIR, 2, 1),
    *_pair("leg", "limb", _LEG, 4, window=0.12, straight_until=1.25),
    *_pair("foot", "shoe", _FOOT, 2, squareness=0.75),
    *_pair("arm", "limb", _ARM, 5, window=0.13, straight_until=1.25),
    *_pair("thumb", "plain", _THUMB, 2),
)


@dataclass(frozen=True)
class Topology:
    """What is the same for every person: rings' places on their tubes, and the triangles."""

    place: Float[np.ndarray, "R K"]  # ring centres = place @ control points
    along: Float[np.ndarray, "R K"]  # directions = along @ control points, unnormalised
    outline: Float[np.ndarray, "R S 2"]  # a ring's corners as (side, front) on the unit circle
    orient: Float[np.ndarray, "R"]
    rest_t: Float[np.ndarray, "R"]
    faces: Float[np.ndarray, "T 3"]
    signs: Float[np.ndarray, "T"]
    face_part: Float[np.ndarray, "T"]
    rings: dict[str, slice]  # each tube's rings
    controls: dict[str, slice]  # and control points


def _place_weights(place: float, points: int, window: float) -> Float[np.ndarray, "K"]:
    """Weights of the control points at a place on a polyline whose corners are Bézier arcs."""

    def straight(p: float) -> np.ndarray:
        segment = min(max(int(np.floor(p)), 0), points - 2)
        weights = np.zeros(points)
        weights[segment], weights[segment + 1] = 1 - (p - segment), p - segment
        return weights

    corner = round(place)
    if not 0 < corner < points - 1 or abs(place - corner) >= window:
        return straight(place)
    x = (place - corner + window) / (2 * window)
    arc = (straight(corner - window), straight(corner), straight(corner + window))
    return (1 - x) ** 2 * arc[0] + 2 * x * (1 - x) * arc[1] + x**2 * arc[2]


@cache
def topology() -> Topology:
    """The rings and triangles of a figure; built once."""
    num_rings, num_points = sum(len(t.rows) for t in _TUBES), sum(t.points for t in _TUBES)
    place, along = np.zeros((num_rings, num_points)), np.zeros((num_rings, num_points))
    outline, orient, rest_t = np.zeros((num_rings, SEGMENTS, 2)), np.zeros(num_rings), np.zeros(num_rings)
    angle = 2 * np.pi * np.arange(SEGMENTS) / SEGMENTS
    circle = np.stack([np.cos(angle), np.sin(angle)], -1)
    circle[np.abs(circle) < 1e-12] = 0
    faces, signs, face_part = [], [], []
    rings, controls = {}, {}
    ring = control = 0
    for part, tube in enumerate(_TUBES):
        rings[tube.name] = slice(ring, ring + len(tube.rows))
        controls[tube.name] = slice(control, control + tube.points)
        columns, step = controls[tube.name], 1e-3
        for row, (at, *_) in enumerate(tube.rows, start=ring):
            place[row, columns] = _place_weights(at, tube.points, tube.window)
            at_least = max(at, tube.straight_until)
            along[row, columns] = _place_weights(at_least + step, tube.points, tube.window)
            along[row, columns] -= _place_weights(at_least - step, tube.points, tube.window)
            outline[row] = np.sign(circle) * np.abs(circle) ** tube.squareness
            orient[row], rest_t[row] = tube.orient, at
        for first, second in pairwise(range(ring, ring + len(tube.rows))):
            for k in range(SEGMENTS):
                after = (k + 1) % SEGMENTS
                a, b = first * SEGMENTS + k, first * SEGMENTS + after
                c, d = second * SEGMENTS + k, second * SEGMENTS + after
                faces += [(a, b, c), (b, d, c)]
                signs += [tube.orient] * 2
                face_part += [part] * 2
        ring, control = ring + len(tube.rows), control + tube.points
    return Topology(
        place=place,
        along=along * 500,
        outline=outline,
        orient=orient,
        rest_t=rest_t,
        faces=np.array(faces, dtype=np.int32),
        signs=np.array(signs, dtype=np.float64),
        face_part=np.array(face_part, dtype=np.int32),
        rings=rings,
        controls=controls,
    )


@dataclass(frozen=True)
class Dressed:
    """What follows from an appearance alone: ring sizes and colours."""

    radii_mm: Float[np.ndarray, "R 3"]  # side, front, back
    hair_mm: Float[np.ndarray, "R S"]  # how far hair lifts the head's surface
    rest: Float[np.ndarray, "V 3"]
    materials: Float[np.ndarray, "P"]
    palettes: Float[np.ndarray, "P 4 3"]
    options: Float[np.ndarray, "P 2"]


@lru_cache(maxsize=256)
def dress(appearance: Appearance) -> Dressed:
    """Sizes, cloth and colours of the rings of a person who looks like `appearance`."""
    shape = topology()
    radii = np.array([row[1:] for tube in _TUBES for row in tube.rows], dtype=np.float64)
    rest = np.empty((len(radii), SEGMENTS, 3))
    rest[..., 0], rest[..., 2] = shape.outline[..., 0], shape.outline[..., 1]
    rest[..., 1] = shape.rest_t[:, None]
    hair = np.zeros(rest.shape[:2])

    head = shape.rings["head"]
    front = np.where(shape.outline[head, :, 1] >= 0, radii[head, 1:2], radii[head, 2:3])
    middle = (radii[head, 1] - radii[head, 2]) / 2  # below the cheeks a ring lies in front of the axis
    depth = (radii[head, 1] + radii[head, 2]) / 2
    front = middle[:, None] + depth[:, None] * shape.outline[head, :, 1]
    rest[head, :, 0] *= radii[head, :1]
    rest[head, :, 1] *= 225
    rest[head, :, 2] = front
    if appearance.hair_style != "bald":
        height = rest[head, :, 1]
        hair[head] = np.where((height > 180) | ((height > 68) & (front < 10)), 11.0, 0.0)

    limbs = ("left_leg", "right_leg", "left_arm", "right_arm")
    for name in (*limbs, "torso"):
        radii[shape.rings[name]] *= appearance.girth
    for name in ("left_arm", "right_arm"):  # hands do not grow with the arms
        radii[shape.rings[name]][shape.rest_t[shape.rings[name]] >= 3] /= appearance.girth
    _clothe(radii, appearance, shape)
    unused = {"bald": ("bun", "long_hair"), "short": ("bun", "long_hair"), "bun": ("long_hair",), "long": ("bun",)}
    for name in unused[appearance.hair_style]:
        radii[shape.rings[name]] = 0

    colours, options = _paint(appearance)
    palettes = np.zeros((len(_TUBES), 4, 3))
    for part, rows in enumerate(colours):
        palettes[part, : len(rows)] = np.array(rows) / 255
    materials = np.array([MATERIALS.index(tube.material) for tube in _TUBES], dtype=np.int64)
    return Dressed(radii, hair, rest.reshape(-1, 3), materials, palettes, options)


def _clothe(radii: Float[np.ndarray, "R 3"], appearance: Appearance, shape: Topology) -> None:
    """Adds cloth, bust and hips to the rings, in place."""
    loose = appearance.looseness
    torso = shape.rings["torso"]
    t = shape.rest_t[torso]
    hips = np.exp(-(((t - 0.8) / 0.5) ** 2)) * (appearance.hip_breadth - 1)
    radii[torso, 0] *= 1 + hips
    radii[torso, 2] *= 1 + hips
    waist = np.exp(-(((t - 1.85) / 0.35) ** 2))
    radii[torso, 0] *= 1 - 0.10 * waist * appearance.bust
    radii[torso, 1] += 34 * appearance.bust * np.exp(-(((t - 2.62) / 0.2) ** 2))
    inside = (t > 0) & (t < 3.3)
    radii[torso] += np.where(inside & (t > 1.2), 3 + 12 * loose * (0.4 + waist), 0)[:, None]
    radii[torso] += np.where(inside & (t <= 1.2), 4 + 6 * loose, 0)[:, None]
    for side in ("left", "right"):
        arm, leg = shape.rings[f"{side}_arm"], shape.rings[f"{side}_leg"]
        t, cut = shape.rest_t[arm], 1 + 2 * appearance.sleeve
        covered = (t > 0) & (t < cut) if appearance.sleeve > 0 else np.zeros_like(t, dtype=bool)
        radii[arm] += np.where(covered, 3 + 7 * loose + 8 * loose * np.clip(t - 1, 0, 1), 0)[:, None]
        t, cut = shape.rest_t[leg], 1 + 2 * appearance.trouser_length
        covered = (t > 0) & (t < cut)
        radii[leg] += np.where(covered, 4 + 8 * loose + 6 * loose * np.clip(t - 1, 0, 1.5), 0)[:, None]
        if appearance.trouser_length > 0.8:  # cloth hangs from the calf instead of following it
            hang = covered & (t > 2)
            radii[leg][hang] = np.maximum(radii[leg][hang], 46 + 16 * loose)


def _paint(appearance: Appearance) -> tuple[list[list[tuple[int, int, int]]], Float[np.ndarray, "P 2"]]:
    """Each tube's palette and options, as `raster.composite` reads them."""
    a = appearance
    sleeve_end = 1 + 2 * a.sleeve if a.sleeve > 0 else -1.0
    trouser_end = 1 + 2 * a.trouser_length
    styles, patterns = ("bald", "short", "bun", "long"), ("plain", "stripes", "panel", "band", "yoke")
    by_material = {
        "torso": ([a.top, a.bottoms, a.skin, a.top_detail], (a.neckline, patterns.index(a.pattern))),
        "head": ([a.skin, a.hair], (float(a.beard), styles.index(a.hair_style))),
        "leg": ([a.bottoms, a.skin, a.socks], (trouser_end, max(2.8, trouser_end))),
        "arm": ([a.top, a.skin, a.skin], (sleeve_end, 9.0)),
        "foot": ([a.shoes, a.soles], (0.0, 0.0)),
        "bun": ([a.hair], (0.0, 0.0)),
        "long_hair": ([a.hair], (0.0, 0.0)),
    }
    skin = ([a.skin], (0.0, 0.0))
    found = [by_material.get(tube.name.removeprefix("left_").removeprefix("right_"), skin) for tube in _TUBES]
    return [colours for colours, _ in found], np.array([options for _, options in found], dtype=np.float64)


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / (np.sqrt((vector * vector).sum(-1, keepdims=True)) + 1e-9)


def _across(vector: np.ndarray, axis: np.ndarray) -> np.ndarray:
    """The part of `vector` at right angles to the unit vector `axis`, made a unit vector."""
    return _unit(vector - (vector @ axis) * axis)


# Bone lengths of an adult of 1.70 m, mm: thigh, shank, upper arm, forearm; hip to hip; shoulder to shoulder.
_REFERENCE_MM = {"limbs": 2 * (443 + 454 + 279 + 252), "hips": 266.0, "shoulders": 290.0}


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
    points, sides, scale, hip_ratio, shoulder_ratio = _controls(joints_mm, shape)
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


def _controls(joints: Float[np.ndarray, "18 3"], shape: Topology) -> tuple[np.ndarray, np.ndarray, float, float, float]:
    """Control points and side directions of all tubes, and the figure's scale and breadths."""
    j = dict(zip(HEMLETS18.joint_names, joints, strict=True))
    limbs = [f"{side}_{limb}" for side in ("left", "right") for limb in ("hip knee", "knee ankle", "shoulder elbow", "elbow wrist")]
    ends = [(name.split()[0], name.split("_")[0] + "_" + name.split()[1]) for name in limbs]
    total = sum(float(np.linalg.norm(j[a] - j[b])) for a, b in ends)
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
        **{name: [head_left, head_left] for name in ("head", "nose", "left_ear", "right_ear", "bun", "long_hair")},
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
    order = [tube.name for tube in _TUBES]
    stacked = np.array([point for name in order for point in points[name]])
    return stacked, np.array([side for name in order for side in sides[name]]), scale, *ratios
