"""A person's surface as tubes of elliptical rings: their sizes, triangles, cloth and colours.

Every part is a tube: control points, a direction to the part's side, and rows of
(place along the points, half breadth, front, back) in millimetres for an adult of average build.
Places and directions along a tube are linear in its control points, so that all rings of all tubes
come from one matrix product. Rows are chosen by eye against anthropometric tables; nothing in the
measured pose depends on them. `figure` strings the rings along a pose.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import pairwise
from typing import NamedTuple, get_args

import numpy as np
from jaxtyping import Bool, Float, Int

from hemlets_lib.data.render.appearance import Appearance, HairStyle, Rgb, TopPattern
from hemlets_lib.data.render.raster import MATERIALS

__all__ = ["SEGMENTS", "TUBES", "Dressed", "Topology", "Tube", "dress", "topology"]

SEGMENTS = 16  # corners of a ring

# fmt: off
_TORSO = (  # 0 crotch, 1 pelvis, 2 mid-spine, 3 shoulders, 4 neck, 5 base of the skull
    (0.00, 0, 0, 0), (0.02, 66, 42, 60), (0.30, 124, 66, 96), (0.60, 156, 86, 116),
    (0.90, 167, 97, 120), (1.15, 163, 97, 107), (1.40, 153, 94, 94), (1.70, 141, 93, 86),
    (1.95, 138, 95, 86), (2.20, 144, 103, 94), (2.50, 154, 112, 104), (2.75, 163, 113, 108),
    (2.95, 164, 104, 104), (3.12, 154, 90, 98), (3.26, 132, 76, 90), (3.40, 104, 66, 82),
    (3.54, 80, 60, 75), (3.70, 66, 57, 68), (4.00, 60, 55, 62), (4.50, 57, 53, 60), (5.00, 54, 48, 56),
    (5.00, 0, 0, 0),
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
    (0.50, 40, 26, 36), (0.65, 45, 14, 36), (0.80, 45, 5, 35), (0.92, 37, 1, 34), (0.98, 22, -4, 28),
    (1.00, 0, 0, 0),
)
_THUMB = (
    (0.00, 0, 0, 0), (0.02, 12, 12, 12), (0.50, 12, 13, 13), (0.90, 9, 10, 10), (1.00, 0, 0, 0),
)
_HEAD = (  # millimetres above the chin over 225
    (0 / 225, 0, 62, -62), (2 / 225, 18, 76, -42), (12 / 225, 34, 86, -12), (30 / 225, 47, 91, 18),
    (50 / 225, 56, 93, 52), (72 / 225, 63, 92, 76), (95 / 225, 68, 91, 90), (120 / 225, 71, 90, 97),
    (145 / 225, 74, 93, 101), (170 / 225, 73, 89, 97), (190 / 225, 65, 75, 85),
    (207 / 225, 50, 55, 65), (219 / 225, 31, 32, 42), (1.0, 0, 0, 0),
)
_NOSE = (
    (0.0, 0, 0, 0), (0.05, 8, 8, 12), (0.50, 10, 13, 16), (0.85, 16, 16, 20), (0.97, 14, 12, 20),
    (1.0, 0, 0, 0),
)
_EAR = (
    (0.0, 0, 0, 0), (0.10, 8, 10, 10), (0.50, 11, 15, 18), (0.85, 12, 17, 20), (1.0, 0, 0, 0),
)
_BUN = (
    (0.0, 0, 0, 0), (0.05, 24, 24, 24), (0.5, 36, 36, 36), (0.9, 24, 24, 24), (1.0, 0, 0, 0),
)
_LONG_HAIR = (
    (0.0, 0, 0, 0), (0.05, 60, 40, 30), (0.25, 84, 62, 48), (0.50, 86, 56, 50), (0.75, 84, 38, 46),
    (0.95, 76, 20, 36), (1.0, 0, 0, 0),
)
# fmt: on


class Tube(NamedTuple):
    """One part of the body as a row of rings."""

    name: str
    material: str
    rows: tuple[tuple[float, float, float, float], ...]
    points: int  # control points
    orient: int  # front = orient * (along x side); flipped between the body's left and right
    window: float = 0.0  # how far a corner at a control point is rounded, in places
    straight_until: float = 0.0  # rings before this place keep its direction
    squareness: float = 1.0  # < 1 squares an ellipse's corners


def _pair(tube: Tube) -> tuple[Tube, Tube]:
    """The body's left and right copy; their sides both point outward, so they are mirror images."""
    left = tube._replace(name=f"left_{tube.name}", orient=1)
    return left, tube._replace(name=f"right_{tube.name}", orient=-1)


TUBES = (
    Tube("torso", "torso", _TORSO, 6, -1, window=0.5, squareness=0.9),
    Tube("head", "head", _HEAD, 2, -1, squareness=0.93),
    Tube("nose", "plain", _NOSE, 2, 1),
    *_pair(Tube("ear", "plain", _EAR, 2, 1)),
    Tube("bun", "plain", _BUN, 2, 1),
    Tube("long_hair", "plain", _LONG_HAIR, 2, 1),
    *_pair(Tube("leg", "limb", _LEG, 4, 1, window=0.12, straight_until=1.25)),
    *_pair(Tube("foot", "shoe", _FOOT, 2, 1, squareness=0.75)),
    *_pair(Tube("arm", "limb", _ARM, 5, 1, window=0.13, straight_until=1.25)),
    *_pair(Tube("thumb", "plain", _THUMB, 2, 1)),
)


@dataclass(frozen=True)
class Topology:
    """What is the same for every person: rings' places on their tubes, and the triangles."""

    place: Float[np.ndarray, "R K"]  # ring centres = place @ control points
    along: Float[np.ndarray, "R K"]  # directions = along @ control points, unnormalised
    outline: Float[np.ndarray, "R S 2"]  # a ring's corners as (side, front) on the unit circle
    orient: Float[np.ndarray, "R"]  # front = orient * (along x side)
    rest_t: Float[np.ndarray, "R"]
    faces: Int[np.ndarray, "T 3"]
    signs: Float[np.ndarray, "T"]  # of each triangle's normal, to point outward
    smooth: Bool[np.ndarray, "T"]
    face_part: Int[np.ndarray, "T"]
    rings: dict[str, slice]  # each tube's rings
    controls: dict[str, slice]  # and control points


def _place_weights(place: float, points: int, window: float) -> Float[np.ndarray, "K"]:
    """Weights of the control points at a place on a polyline whose corners are Bézier arcs."""

    def straight(p: float) -> Float[np.ndarray, "K"]:
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
    num_rings, num_points = sum(len(t.rows) for t in TUBES), sum(t.points for t in TUBES)
    place, along = np.zeros((num_rings, num_points)), np.zeros((num_rings, num_points))
    outline, orient, rest_t = np.zeros((num_rings, SEGMENTS, 2)), np.zeros(num_rings), np.zeros(num_rings)
    angle = 2 * np.pi * np.arange(SEGMENTS) / SEGMENTS
    circle = np.stack([np.cos(angle), np.sin(angle)], -1)
    circle[np.abs(circle) < 1e-12] = 0
    faces, signs, face_part = [], [], []
    rings, controls = {}, {}
    ring = control = 0
    for part, tube in enumerate(TUBES):
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
        smooth=np.ones(len(faces), dtype=np.bool_),
        face_part=np.array(face_part, dtype=np.int32),
        rings=rings,
        controls=controls,
    )


@dataclass(frozen=True)
class Dressed:
    """What follows from an appearance alone: ring sizes and colours."""

    radii_mm: Float[np.ndarray, "R 3"]  # side, front, back
    hair_mm: Float[np.ndarray, "R S"]  # how far hair lifts the head's surface
    rest: Float[np.ndarray, "V 3"]  # where a vertex lies on its part; what the colouring goes by
    materials: Int[np.ndarray, "P"]
    palettes: Float[np.ndarray, "P 4 3"]
    options: Float[np.ndarray, "P 2"]


@lru_cache(maxsize=256)
def dress(appearance: Appearance) -> Dressed:
    """Sizes, cloth and colours of the rings of a person who looks like `appearance`."""
    shape = topology()
    radii = np.array([row[1:] for tube in TUBES for row in tube.rows], dtype=np.float64)
    rest = np.empty((len(radii), SEGMENTS, 3))
    rest[..., 0], rest[..., 2] = shape.outline[..., 0], shape.outline[..., 1]
    rest[..., 1] = shape.rest_t[:, None]
    hair = np.zeros(rest.shape[:2])

    head = shape.rings["head"]
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
    for name, style in (("bun", "bun"), ("long_hair", "long")):
        if appearance.hair_style != style:
            radii[shape.rings[name]] = 0

    colours, options = _paint(appearance)
    palettes = np.zeros((len(TUBES), 4, 3))
    for part, rows in enumerate(colours):
        palettes[part, : len(rows)] = np.array(rows) / 255
    materials = np.array([MATERIALS.index(tube.material) for tube in TUBES], dtype=np.int64)
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


def _paint(appearance: Appearance) -> tuple[list[list[Rgb]], Float[np.ndarray, "P 2"]]:
    """Each tube's palette and options, as `raster.composite` reads them."""
    a = appearance
    sleeve_end = 1 + 2 * a.sleeve if a.sleeve > 0 else -1.0
    trouser_end = 1 + 2 * a.trouser_length
    style, pattern = get_args(HairStyle).index(a.hair_style), get_args(TopPattern).index(a.pattern)
    by_name: dict[str, tuple[list[Rgb], tuple[float, float]]] = {
        "torso": ([a.top, a.bottoms, a.skin, a.top_detail], (a.neckline, pattern)),
        "head": ([a.skin, a.hair], (float(a.beard), style)),
        "leg": ([a.bottoms, a.skin, a.socks], (trouser_end, max(2.8, trouser_end))),
        "arm": ([a.top, a.skin, a.skin], (sleeve_end, 9.0)),
        "foot": ([a.shoes, a.soles], (0.0, 0.0)),
        "bun": ([a.hair], (0.0, 0.0)),
        "long_hair": ([a.hair], (0.0, 0.0)),
    }
    skin: tuple[list[Rgb], tuple[float, float]] = ([a.skin], (0.0, 0.0))
    found = [by_name.get(tube.name.removeprefix("left_").removeprefix("right_"), skin) for tube in TUBES]
    return [colours for colours, _ in found], np.array([options for _, options in found], dtype=np.float64)
