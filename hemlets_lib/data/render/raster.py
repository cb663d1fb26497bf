"""The compiled part of the renderer: z-buffer, shading, floor shadow, anti-aliasing.

One kernel takes a triangle mesh in camera space (mm; x right, y down, z away) and composites it
over a background. Sample (i, j) of an image supersampled n times lies at pixel
((j + 1/2)/n - 1/2, (i + 1/2)/n - 1/2), so that a pixel's centre has whole-numbered coordinates.
All compiled functions live in this one file: numba's cache on disk watches no other.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, exp, floor, sin, sqrt
from typing import Any

import numba
import numpy as np

__all__ = ["MATERIALS", "composite"]

Array = np.ndarray  # numba infers shapes and types itself; `composite` says what they are

# How a part's surface is coloured; the palette's rows are named in `tubes`.
MATERIALS = ("limb", "torso", "head", "shoe", "plain", "box")
_LIMB, _TORSO, _HEAD, _SHOE, _PLAIN, _BOX = range(len(MATERIALS))

_NEAR_MM = 30.0

# Where, in units of a radius, to look for nearer surfaces round a sample: two rings of eight.
_TAP_ANGLES = (np.arange(16) % 8 + 0.5 * (np.arange(16) // 8)) * np.pi / 4
_TAPS = np.stack([np.sin(_TAP_ANGLES), np.cos(_TAP_ANGLES)], -1) * np.repeat([0.45, 1.0], 8)[:, None]


def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """`numba.njit`, kept on disk where some folder can be written, else compiled in every process."""
    try:
        return numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    except RuntimeError:  # numba found no writable folder for its cache
        return numba.njit(nogil=True, error_model="numpy")(function)


@_compiled
def _smoothstep(low: float, high: float, x: float) -> float:
    t = min(max((x - low) / (high - low), 0.0), 1.0)
    return t * t * (3.0 - 2.0 * t)


@_compiled
def _face_normal(vertices: Array, a: int, b: int, c: int, sign: float) -> tuple[float, float, float]:
    """Normal of the triangle (a, b, c), as long as twice its area."""
    ux, vx = vertices[b, 0] - vertices[a, 0], vertices[c, 0] - vertices[a, 0]
    uy, vy = vertices[b, 1] - vertices[a, 1], vertices[c, 1] - vertices[a, 1]
    uz, vz = vertices[b, 2] - vertices[a, 2], vertices[c, 2] - vertices[a, 2]
    return sign * (uy * vz - uz * vy), sign * (uz * vx - ux * vz), sign * (ux * vy - uy * vx)


@_compiled
def _vertex_normals(vertices: Array, faces: Array, signs: Array) -> Array:
    """Area-weighted mean of the normals of the faces around each vertex, pointing outward."""
    normals = np.zeros_like(vertices)
    for f in range(faces.shape[0]):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        nx, ny, nz = _face_normal(vertices, a, b, c, signs[f])
        for corner in (a, b, c):
            normals[corner, 0] += nx
            normals[corner, 1] += ny
            normals[corner, 2] += nz
    return normals


@_compiled
def _rasterise(
    x: Array, y: Array, inverse_z: Array, faces: Array, signs: Array, inverse_depth: Array, face_at: Array
) -> None:
    """Fills `inverse_depth` (1/mm, 0 where empty) and `face_at` (-1 where empty)."""
    height, width = inverse_depth.shape
    for f in range(faces.shape[0]):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        if inverse_z[a] <= 0.0 or inverse_z[b] <= 0.0 or inverse_z[c] <= 0.0:
            continue
        xa, ya, xb, yb, xc, yc = x[a], y[a], x[b], y[b], x[c], y[c]
        area = (xb - xa) * (yc - ya) - (xc - xa) * (yb - ya)
        if area * signs[f] > -1e-9:  # seen from behind: the far side of a closed surface
            continue
        left, right = min(xa, xb, xc), max(xa, xb, xc)
        top, bottom = min(ya, yb, yc), max(ya, yb, yc)
        if right < 0.0 or bottom < 0.0 or left > width - 1 or top > height - 1:
            continue
        i0, i1 = ceil(max(top, 0.0)), floor(min(bottom, height - 1.0))
        j0, j1 = ceil(max(left, 0.0)), floor(min(right, width - 1.0))
        scale = 1.0 / area
        for i in range(i0, i1 + 1):
            for j in range(j0, j1 + 1):
                wb = ((j - xa) * (yc - ya) - (xc - xa) * (i - ya)) * scale
                wc = ((xb - xa) * (i - ya) - (j - xa) * (yb - ya)) * scale
                wa = 1.0 - wb - wc
                if wa < 0.0 or wb < 0.0 or wc < 0.0:
                    continue
                iz = wa * inverse_z[a] + wb * inverse_z[b] + wc * inverse_z[c]
                if iz > inverse_depth[i, j]:
                    inverse_depth[i, j] = iz
                    face_at[i, j] = f


@_compiled
def _crowding(inverse_depth: Array, i: int, j: int, radius: float) -> float:
    """How much nearer surfaces crowd round a sample, 0 ... 1: the soft dark seam behind a limb."""
    height, width = inverse_depth.shape
    here = 1.0 / inverse_depth[i, j]
    nearer_than = 1.0 / (here - 12.0)
    total = 0.0
    for k in range(_TAPS.shape[0]):
        ii, jj = i + round(radius * _TAPS[k, 0]), j + round(radius * _TAPS[k, 1])
        if 0 <= ii < height and 0 <= jj < width and inverse_depth[ii, jj] > nearer_than:
            nearer = here - 1.0 / inverse_depth[ii, jj]
            total += _smoothstep(12.0, 70.0, nearer) * (1.0 - _smoothstep(250.0, 600.0, nearer))
    return total / _TAPS.shape[0]


@_compiled
def _head_colour(s: float, t: float, f: float, palette: Array, options: Array, colour: Array) -> None:
    """Face and hair by place on the head: s to the side, t above the chin, f forward, all in mm."""
    beard, style = options[0], options[1]
    side = abs(s)
    hairline = 176.0 - 0.0016 * side * side if f > 0.0 else 130.0
    bottom = 62.0 if style < 2.5 else 30.0
    hairy = style > 0.5 and (
        (t > hairline)
        or (f < 22.0 - 0.45 * max(0.0, 120.0 - t) and t > bottom)
        or (f < 48.0 and side > 50.0 and t > 118.0)
    )
    row = 1 if hairy else 0
    for k in range(3):
        colour[k] = palette[row, k]
    if hairy or f < 20.0:
        return
    if beard > 0.5 and t < 78.0 + 0.35 * side and not (side < 22.0 and t > 38.0 and t < 52.0):
        for k in range(3):
            colour[k] = 0.35 * colour[k] + 0.65 * palette[1, k]
    socket = exp(-(((side - 31.0) / 22.0) ** 2) - ((t - 118.0) / 15.0) ** 2)
    for k in range(3):
        colour[k] *= 1.0 - 0.32 * socket
    ex, ey = (side - 31.0) / 15.0, (t - 117.0) / 7.5
    if ex * ex + ey * ey < 1.0:
        iris = ((side - 31.0) / 8.0) ** 2 + ((t - 117.0) / 8.5) ** 2 < 1.0
        for k in range(3):
            colour[k] = 0.09 if iris else 0.80
    bx, by = (side - 32.0) / 19.0, (t - 136.0 + 0.006 * (side - 30.0) ** 2) / 5.0
    if bx * bx + by * by < 1.0:
        for k in range(3):
            colour[k] = 0.6 * palette[1, k] + 0.15 * colour[k]
    mx, my = s / 26.0, (t - 45.0) / 8.0
    if mx * mx + my * my < 1.0:
        for k in range(3):
            colour[k] *= (0.80, 0.48, 0.50)[k] if abs(t - 45.0) > 2.0 else 0.4
    if side < 17.0 and abs(t - 69.0) < 5.0:  # under the nose
        for k in range(3):
            colour[k] *= 0.7


@_compiled
def _torso_colour(s: float, t: float, f: float, palette: Array, options: Array, colour: Array) -> None:
    """Trousers, shirt and neck by place: t is 1 at the pelvis, 2 mid-spine, 3 shoulders, 4 neck."""
    neckline, pattern = options[0], options[1]
    side = abs(s)
    collar = 3.42 - (0.10 + 0.62 * neckline) * max(f, 0.0) * max(0.0, 1.0 - side / (0.30 + 0.3 * neckline))
    if t > collar:
        row = 2
    elif t < 1.22:
        row = 1
    else:
        row = 0
        if pattern == 1.0:
            row = 3 if (t * 7.0) % 1.0 < 0.42 else 0
        elif pattern == 2.0:
            row = 3 if (f > 0.3 and side < 0.42 and 2.35 < t < 2.85) else 0
        elif pattern == 3.0:
            row = 3 if 2.25 < t < 2.62 else 0
        elif pattern == 4.0:
            row = 3 if t > 2.72 else 0
    for k in range(3):
        colour[k] = palette[row, k]
    if row == 1 and t > 1.12:
        for k in range(3):
            colour[k] *= 0.72  # the belt
    if row != 2:
        crease = 0.04 * sin(11.0 * t + 4.0 * side + 1.2 * sin(6.0 * f)) * (0.4 + 0.6 * side)
        for k in range(3):
            colour[k] *= 1.0 + crease


@_compiled
def _surface_colour(
    material: int, s: float, t: float, f: float, palette: Array, options: Array, colour: Array
) -> None:
    """Writes into `colour` the paint of a material at a place on its part."""
    if material == _HEAD:
        _head_colour(s, t, f, palette, options, colour)
        return
    if material == _TORSO:
        _torso_colour(s, t, f, palette, options, colour)
        return
    row = 0
    if material == _LIMB:
        row = 0 if t < options[0] else (1 if t < options[1] else 2)
    elif material == _SHOE:
        row = 1 if f < -0.55 else 0
    for k in range(3):
        colour[k] = palette[row, k]
    if material == _LIMB and row == 0:
        crease = 0.035 * sin(17.0 * t + 3.0 * f + 1.5 * sin(5.0 * t))
        hem = 0.86 if t > options[0] - 0.05 else 1.0
        for k in range(3):
            colour[k] *= hem * (1.0 + crease)
    elif material == _SHOE and row == 0 and 0.42 < t < 0.62 and f > 0.75:
        for k in range(3):
            colour[k] = 0.5 * colour[k] + 0.5 * palette[1, k]  # laces
    elif material == _BOX:
        edge = 0.88 if max(abs(s), abs(t)) > 0.94 else 1.0
        for k in range(3):
            colour[k] *= edge


@_compiled
def _floor_light(u: float, v: float, camera: Array, plane: Array, spheres: Array, light: Array) -> float:
    """What is left of the light on the floor at a pixel, 0 ... 1, with the body taken as spheres."""
    dx, dy = (u - camera[2]) / camera[0], (v - camera[3]) / camera[1]
    down = plane[0] * dx + plane[1] * dy + plane[2]
    if down * plane[3] <= 0.0:
        return 1.0
    z = plane[3] / down
    px, py, pz = dx * z, dy * z, z
    ambient, direct = 1.0, 1.0
    for m in range(spheres.shape[0]):
        qx, qy, qz, r = spheres[m, 0] - px, spheres[m, 1] - py, spheres[m, 2] - pz, spheres[m, 3]
        distance2 = qx * qx + qy * qy + qz * qz
        if distance2 > 4e6:  # farther than 2 m
            continue
        near = 1.0 - _smoothstep(200.0, 900.0, sqrt(distance2))
        above = max(qx * plane[0] + qy * plane[1] + qz * plane[2], 0.0)
        slant = min(1.0, (above + 0.4 * r) / (sqrt(distance2) + 1e-6))
        ambient *= 1.0 - near * min(0.75 * r * r / (distance2 + 0.3 * r * r) * slant, 0.85)
        along = qx * light[0] + qy * light[1] + qz * light[2]
        if along > 0.0:
            off = sqrt(max(distance2 - along * along, 0.0))
            soft = r + 0.12 * along
            shadow = 1.0 - _smoothstep(max(0.0, 2.0 * r - soft), soft * 1.15, off)
            fading = 1.0 - _smoothstep(300.0, 1300.0, along)  # other lamps fill in a high limb's shadow
            direct *= 1.0 - fading * shadow * r / soft
    return 0.25 + 0.45 * ambient + 0.30 * direct


@_compiled
def _shade_samples(
    x: Array, y: Array, inverse_z: Array, vertices: Array, normals: Array, rest: Array, faces: Array,
    signs: Array, smooth: Array, face_part: Array, materials: Array, palettes: Array, options: Array,
    camera: Array, light: Array, plane: Array, floor_known: bool, inverse_depth: Array,
    face_at: Array, n: int,
) -> Array:  # fmt: skip
    """The colour, 0 ... 1, of every sample that a face covers; 0 elsewhere."""
    samples = np.zeros((*face_at.shape, 3))
    for si in range(face_at.shape[0]):
        for sj in range(face_at.shape[1]):
            f = face_at[si, sj]
            if f < 0:
                continue
            colour = samples[si, sj]
            a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
            area = (x[b] - x[a]) * (y[c] - y[a]) - (x[c] - x[a]) * (y[b] - y[a])
            wb = ((sj - x[a]) * (y[c] - y[a]) - (x[c] - x[a]) * (si - y[a])) / area
            wc = ((x[b] - x[a]) * (si - y[a]) - (sj - x[a]) * (y[b] - y[a])) / area
            z = 1.0 / inverse_depth[si, sj]
            # Weights that are linear on the surface, not in the picture.
            wb, wc = wb * inverse_z[b] * z, wc * inverse_z[c] * z
            wa = 1.0 - wb - wc

            if smooth[f]:
                nx = wa * normals[a, 0] + wb * normals[b, 0] + wc * normals[c, 0]
                ny = wa * normals[a, 1] + wb * normals[b, 1] + wc * normals[c, 1]
                nz = wa * normals[a, 2] + wb * normals[b, 2] + wc * normals[c, 2]
            else:
                nx, ny, nz = _face_normal(vertices, a, b, c, signs[f])
            length = sqrt(nx * nx + ny * ny + nz * nz) + 1e-12
            nx, ny, nz = nx / length, ny / length, nz / length

            px = wa * vertices[a, 0] + wb * vertices[b, 0] + wc * vertices[c, 0]
            py = wa * vertices[a, 1] + wb * vertices[b, 1] + wc * vertices[c, 1]
            distance = sqrt(px * px + py * py + z * z)
            vx, vy, vz = -px / distance, -py / distance, -z / distance  # towards the viewer
            facing = nx * vx + ny * vy + nz * vz

            part = face_part[f]
            _surface_colour(
                materials[part],
                wa * rest[a, 0] + wb * rest[b, 0] + wc * rest[c, 0],
                wa * rest[a, 1] + wb * rest[b, 1] + wc * rest[c, 1],
                wa * rest[a, 2] + wb * rest[b, 2] + wc * rest[c, 2],
                palettes[part],
                options[part],
                colour,
            )

            towards_light = nx * light[0] + ny * light[1] + nz * light[2]
            diffuse = max(0.0, (towards_light + 0.2) / 1.2)
            up = nx * plane[0] + ny * plane[1] + nz * plane[2] if floor_known else -ny
            ambient = 0.44 + 0.12 * up
            rim = max(0.0, 1.0 - max(facing, 0.0)) ** 3
            hx, hy, hz = light[0] + vx, light[1] + vy, light[2] + vz
            half = max(0.0, (nx * hx + ny * hy + nz * hz) / (sqrt(hx * hx + hy * hy + hz * hz) + 1e-12))
            gloss = 0.10 * half**24

            open_air = 1.0 - 0.62 * _crowding(inverse_depth, si, sj, 95.0 * camera[0] * n / z)
            strength = open_air * (ambient + 0.68 * diffuse) * (1.0 - 0.25 * rim)
            for k in range(3):
                colour[k] = min(max(colour[k] * strength + gloss * open_air, 0.0), 1.0)
    return samples


@_compiled
def composite(
    vertices: Array, rest: Array, faces: Array, signs: Array, smooth: Array, face_part: Array,
    materials: Array, palettes: Array, options: Array, camera: Array, light: Array, plane: Array,
    spheres: Array, background: Array, supersample: int,
) -> Array:  # fmt: skip
    """Draws a mesh over a background.

    Args:
        vertices: (V, 3) in camera space, mm.
        rest: (V, 3) where each vertex lies on its part; what the colouring goes by.
        faces: (T, 3) vertex numbers.
        signs: (T,) +1 or -1, making each face's normal point outward.
        smooth: (T,) whether a face is shaded by its vertices' normals, or flat by its own.
        face_part: (T,) which part each face belongs to.
        materials: (P,) index into `MATERIALS` for each part.
        palettes: (P, 4, 3) colours in 0 ... 1.
        options: (P, 2) numbers whose meaning depends on the material.
        camera: (fx, fy, cx, cy) in pixels.
        light: Unit vector towards the light.
        plane: Floor (nx, ny, nz, d): n points up and n·p = d on the floor; n = 0 for no floor.
        spheres: (M, 4) centres and radii, mm, that shade the floor.
        background: (H, W, 3) uint8.
        supersample: Samples per pixel and axis.

    Returns:
        (H, W, 3) uint8.
    """
    height, width = background.shape[0], background.shape[1]
    n = supersample
    count = vertices.shape[0]
    x, y, inverse_z = np.empty(count), np.empty(count), np.empty(count)
    x_low, x_high, y_low, y_high = 1e9, -1e9, 1e9, -1e9
    for k in range(count):
        z = vertices[k, 2]
        if z < _NEAR_MM:
            inverse_z[k] = 0.0
            continue
        inverse_z[k] = 1.0 / z
        x[k] = (camera[0] * vertices[k, 0] / z + camera[2] + 0.5) * n - 0.5
        y[k] = (camera[1] * vertices[k, 1] / z + camera[3] + 0.5) * n - 0.5
        x_low, x_high = min(x_low, x[k]), max(x_high, x[k])
        y_low, y_high = min(y_low, y[k]), max(y_high, y[k])
    # The window of whole pixels that the mesh can touch.
    j_low = int(min(max(floor(x_low / n) - 1, 0), width))
    j_high = int(min(max(floor(x_high / n) + 2, j_low), width))
    i_low = int(min(max(floor(y_low / n) - 1, 0), height))
    i_high = int(min(max(floor(y_high / n) + 2, i_low), height))
    for k in range(count):
        x[k] -= j_low * n
        y[k] -= i_low * n

    inverse_depth = np.zeros(((i_high - i_low) * n, (j_high - j_low) * n))
    face_at = np.full(inverse_depth.shape, -1, dtype=np.int32)
    _rasterise(x, y, inverse_z, faces, signs, inverse_depth, face_at)
    normals = _vertex_normals(vertices, faces, signs)
    shaded = plane[0] != 0.0 or plane[1] != 0.0 or plane[2] != 0.0
    samples = _shade_samples(
        x, y, inverse_z, vertices, normals, rest, faces, signs, smooth, face_part,
        materials, palettes, options, camera, light, plane, shaded, inverse_depth, face_at, n,
    )  # fmt: skip

    out = np.empty_like(background)
    step = 2
    rows, columns = height // step + 2, width // step + 2
    floor_light = np.ones((rows, columns))
    if shaded:
        for i in range(rows):
            for j in range(columns):
                floor_light[i, j] = _floor_light(j * step, i * step, camera, plane, spheres, light)

    total = np.zeros(3)
    for i in range(height):
        for j in range(width):
            remaining = 1.0
            if shaded:
                a, b = i // step, j // step
                p, q = (i - a * step) / step, (j - b * step) / step
                remaining = (1 - p) * ((1 - q) * floor_light[a, b] + q * floor_light[a, b + 1]) + p * (
                    (1 - q) * floor_light[a + 1, b] + q * floor_light[a + 1, b + 1]
                )
            covered = 0
            total[:] = 0.0
            if i_low <= i < i_high and j_low <= j < j_high:
                for di in range(n):
                    for dj in range(n):
                        si, sj = (i - i_low) * n + di, (j - j_low) * n + dj
                        if face_at[si, sj] >= 0:
                            covered += 1
                            for k in range(3):
                                total[k] += samples[si, sj, k]
            for k in range(3):
                value = (total[k] * 255.0 + (n * n - covered) * background[i, j, k] * remaining) / (n * n)
                out[i, j, k] = np.uint8(min(max(value + 0.5, 0.0), 255.0))
    return out
