"""What lies behind a drawn person: a motion-capture studio, a green screen, outdoors.

Rows are pixels with whole-numbered centres. Rows above `horizon` look up, rows below look down,
so a backdrop agrees with a level camera whose horizon is that row.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float, UInt8

__all__ = ["BackdropKind", "backdrop"]

BackdropKind = Literal["studio", "green_screen", "outdoor"]
_Canvas = Float[np.ndarray, "H W 3"]


def backdrop(
    kind: BackdropKind,
    rng: np.random.Generator,
    size: tuple[int, int],
    *,
    horizon: float | None = None,
    floor_line: float | None = None,
) -> UInt8[np.ndarray, "H W 3"]:
    """A background at random; the same generator state gives the same one.

    Args:
        kind: 'studio', 'green_screen' or 'outdoor'.
        rng: Source of all that varies.
        size: (H, W).
        horizon: Row of the horizon, px; may lie outside the picture, as it does in a crop of a
            camera that looks down. Drawn at random where left out.
        floor_line: Row where the floor meets the wall: below the horizon, and above the feet of
            whoever stands before the wall. Where left out, a little below the horizon. Outdoors
            there is no wall, and it is not used.

    Returns:
        uint8 RGB.

    Raises:
        ValueError: If the kind is unknown or the size is not two positive numbers.
    """
    if kind not in _PAINTERS:
        raise ValueError(
            f"`kind` must be one of {', '.join(map(repr, get_args(BackdropKind)))}, got {kind!r}. "
            "Choose one of these."
        )
    height, width = size
    if height < 1 or width < 1:
        raise ValueError(f"`size` must be (H, W) with both at least 1, got {size}. Give whole pixels.")
    if horizon is None:
        horizon = rng.uniform(0.1, 0.45) * height
    if floor_line is None:
        floor_line = horizon + rng.uniform(0.12, 0.35) * height
    canvas = np.empty((height, width, 3), dtype=np.float32)
    _PAINTERS[kind](canvas, rng, horizon, floor_line)
    rows, columns = np.ogrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    canvas *= (1 - rng.uniform(0.05, 0.2) * (rows**2 + columns**2) / 2)[..., None]  # the lens darkens corners
    return np.clip(canvas, 0, 255).astype(np.uint8)


def _soft_noise(
    rng: np.random.Generator, shape: tuple[int, int], cells: tuple[int, int]
) -> Float[np.ndarray, "H W"]:
    """Smooth noise in -1 ... 1: random values on a coarse grid, linear in between."""
    rows, columns = (_interpolation(n, c) for n, c in zip(shape, cells, strict=True))
    return rows @ rng.uniform(-1, 1, cells).astype(np.float32) @ columns.T


def _interpolation(samples: int, cells: int) -> Float[np.ndarray, "N C"]:
    at = np.linspace(0, cells - 1, samples, dtype=np.float32)[:, None]
    return np.maximum(0, 1 - np.abs(at - np.arange(cells, dtype=np.float32)))


def _coverage(
    positions: Float[np.ndarray, "N"], low: float, high: float, blur: float = 0.5
) -> Float[np.ndarray, "N"]:
    """How much of each row or column lies in [low, high], with edges `blur` pixels soft."""
    return np.clip((positions - low) / (2 * blur) + 0.5, 0, 1) * np.clip(
        (high - positions) / (2 * blur) + 0.5, 0, 1
    )


def _block(
    canvas: _Canvas,
    box: tuple[float, float, float, float],
    colour: Float[np.ndarray, "3"],
    *,
    blur: float = 0.5,
    opacity: float = 1.0,
) -> None:
    """Paints the rectangle (left, top, right, bottom) over the canvas, in place."""
    left, top, right, bottom = box
    height, width = canvas.shape[:2]
    rows = _coverage(np.arange(height, dtype=np.float32), top, bottom, blur)
    columns = _coverage(np.arange(width, dtype=np.float32), left, right, blur)
    i, j = np.flatnonzero(rows), np.flatnonzero(columns)
    if not len(i) or not len(j):
        return
    window = canvas[i[0] : i[-1] + 1, j[0] : j[-1] + 1]
    cover = opacity * rows[i[0] : i[-1] + 1, None, None] * columns[None, j[0] : j[-1] + 1, None]
    window += cover * (colour.astype(np.float32) - window)


def _disc(
    canvas: _Canvas, centre: tuple[float, float], radii: tuple[float, float], colour: np.ndarray, blur: float
) -> None:
    """Paints a soft-edged ellipse about centre (x, y), in place."""
    height, width = canvas.shape[:2]
    (x, y), (rx, ry) = centre, radii
    j0, j1 = max(int(x - rx * (1 + blur)), 0), min(int(x + rx * (1 + blur)) + 2, width)
    i0, i1 = max(int(y - ry * (1 + blur)), 0), min(int(y + ry * (1 + blur)) + 2, height)
    if j0 >= j1 or i0 >= i1:
        return
    rows, columns = np.ogrid[i0:i1, j0:j1]
    distance = np.sqrt(((columns - x) / rx) ** 2 + ((rows - y) / ry) ** 2).astype(np.float32)
    cover = np.clip((1 + blur - distance) / (2 * blur), 0, 1)[..., None]
    window = canvas[i0:i1, j0:j1]
    window += cover * (colour.astype(np.float32) - window)


def _shade_floor(
    canvas: _Canvas, rng: np.random.Generator, top: float, horizon: float, colour: np.ndarray
) -> None:
    """Floor from row `top` down: grain that grows towards the viewer, lighter far away."""
    height, width = canvas.shape[:2]
    rows = np.arange(height, dtype=np.float32)
    nearness = np.clip((rows - horizon) / max(height - horizon, 1), 0, 1)[:, None]
    texture = 6 * _soft_noise(rng, (height, width), (9, 7)) + rng.normal(0, 3.5, (height, width)).astype(
        np.float32
    )
    floor = (
        colour.astype(np.float32) * (1.1 - 0.25 * nearness)[..., None]
        + (texture * (0.3 + nearness))[..., None]
    )
    cover = np.clip(rows - top + 0.5, 0, 1)[:, None, None]
    canvas += cover * (floor - canvas)


def _studio(canvas: _Canvas, rng: np.random.Generator, horizon: float, floor_line: float) -> None:
    height, width = canvas.shape[:2]
    wall = rng.uniform(165, 235) * (1 + rng.uniform(-0.08, 0.08, 3))
    canvas[:] = wall
    canvas += (14 * _soft_noise(rng, (height, width), (4, 5)))[..., None]
    if rng.random() < 0.5:  # a second wall, meeting the first in a corner
        corner = rng.uniform(0.1, 0.9) * width
        _block(canvas, (corner, -9, width + 9, height + 9), wall * rng.uniform(0.75, 0.92))
    for _ in range(rng.integers(1, 5)):
        x, kind = rng.uniform(0, width), rng.random()
        grey = np.full(3, rng.uniform(25, 90)) * (1 + rng.uniform(-0.1, 0.1, 3))
        if kind < 0.35:  # a lamp stand
            _block(
                canvas,
                (
                    x,
                    horizon - rng.uniform(0.1, 0.5) * height,
                    x + 0.008 * width + 1,
                    floor_line + 0.01 * height,
                ),
                grey,
            )
        elif kind < 0.6:  # a radiator
            w, h = rng.uniform(0.1, 0.22) * width, rng.uniform(0.08, 0.16) * height
            base = floor_line - rng.uniform(0.02, 0.05) * height
            for bar in range(8):
                _block(canvas, (x + bar * w / 8, base - h, x + (bar + 0.6) * w / 8, base), wall * 0.78)
        elif kind < 0.8:  # a screen or a door
            w = rng.uniform(0.12, 0.35) * width
            _block(
                canvas,
                (x, horizon - rng.uniform(0.2, 0.5) * height, x + w, floor_line),
                wall * rng.uniform(0.5, 1.12),
            )
        else:  # a dark case on the floor
            w, h = rng.uniform(0.08, 0.2) * width, rng.uniform(0.05, 0.12) * height
            _block(canvas, (x, floor_line - h, x + w, floor_line + 0.3 * h), grey)
    carpets = ((104, 34, 38), (92, 92, 96), (120, 96, 72), (58, 74, 104), (150, 140, 124))
    colour = np.array(carpets[rng.choice(5, p=[0.4, 0.2, 0.15, 0.1, 0.15])]) * rng.uniform(0.8, 1.2)
    _block(canvas, (-9, floor_line - 0.018 * height, width + 9, floor_line), wall * 0.7)
    _shade_floor(canvas, rng, floor_line, horizon, colour)
    for _ in range(rng.integers(0, 4)):  # tape marks
        x, y = rng.uniform(0, width), floor_line + rng.uniform(0.1, 0.9) * max(height - floor_line, 1)
        _block(canvas, (x, y, x + 0.07 * width, y + 0.006 * height + 0.6), np.full(3, 190.0), opacity=0.8)


def _green_screen(canvas: _Canvas, rng: np.random.Generator, horizon: float, floor_line: float) -> None:
    height, width = canvas.shape[:2]
    green = np.array([rng.uniform(40, 80), rng.uniform(145, 185), rng.uniform(60, 95)])
    canvas[:] = green
    canvas += (12 * _soft_noise(rng, (height, width), (4, 6)))[..., None]
    for _ in range(rng.integers(2, 6)):  # folds of the cloth
        x, w = rng.uniform(0, width), rng.uniform(0.02, 0.07) * width
        _block(
            canvas,
            (x, -9, x + w, floor_line),
            green * rng.uniform(0.88, 1.1),
            blur=0.03 * width + 1,
            opacity=0.6,
        )
    _shade_floor(canvas, rng, floor_line, horizon, green * rng.uniform(0.78, 0.95))
    if rng.random() < 0.4:  # where the cloth ends
        edge, left = rng.uniform(0.02, 0.15) * width, rng.random() < 0.5
        box = (-9.0, -9.0, edge, floor_line) if left else (width - edge, -9.0, width + 9.0, floor_line)
        _block(canvas, box, np.full(3, rng.uniform(30, 200)))


def _outdoor(canvas: _Canvas, rng: np.random.Generator, horizon: float, _floor_line: float) -> None:
    height, width = canvas.shape[:2]
    floor_line = horizon + rng.uniform(0.01, 0.06) * height  # of the farthest trees and houses
    sky = np.array([rng.uniform(120, 190), rng.uniform(165, 210), rng.uniform(205, 245)])
    if rng.random() < 0.35:
        sky = np.full(3, rng.uniform(185, 230))  # overcast
    rise = np.clip((horizon - np.arange(height)) / max(horizon, 1), 0, 1)[:, None, None]
    canvas[:] = sky * (1 - 0.3 * rise) + 40 * (1 - rise)
    canvas += (10 * _soft_noise(rng, (height, width), (5, 5)))[..., None]
    blur = 0.006 * width + 0.6
    for _ in range(rng.integers(0, 4)):  # buildings with rows of windows
        x, w, h = (
            rng.uniform(-0.1, 1) * width,
            rng.uniform(0.15, 0.4) * width,
            rng.uniform(0.15, 0.6) * height,
        )
        front = rng.uniform(90, 190) * (1 + rng.uniform(-0.15, 0.15, 3))
        _block(canvas, (x, horizon - h, x + w, floor_line), front, blur=blur)
        for row in range(int(rng.integers(2, 5))):
            for column in range(3):
                left, top = x + w * (0.12 + 0.3 * column), horizon - h * (0.9 - 0.22 * row)
                _block(canvas, (left, top, left + 0.16 * w, top + 0.1 * h), front * 0.6, blur=blur)
    hedge = np.array([rng.uniform(50, 110), rng.uniform(75, 120), rng.uniform(40, 70)])
    _block(
        canvas,
        (-9, min(horizon, floor_line) - rng.uniform(0.01, 0.05) * height, width + 9, height + 9),
        hedge,
        blur=2 * blur,
    )
    for _ in range(rng.integers(1, 6)):  # trees and bushes
        x, r = rng.uniform(-0.05, 1.05) * width, rng.uniform(0.06, 0.2) * width
        leaf = np.array([rng.uniform(35, 90), rng.uniform(65, 120), rng.uniform(25, 60)])
        y = floor_line - rng.uniform(0.4, 2.0) * r
        _block(canvas, (x - 0.08 * r, y, x + 0.08 * r, floor_line), np.array([70.0, 52, 38]), blur=blur)
        for _ in range(5):
            dx, dy = rng.normal(0, 0.4 * r, 2)
            _disc(canvas, (x + dx, y + dy), (0.7 * r, 0.6 * r), leaf * rng.uniform(0.75, 1.25), 0.25)
    grounds = ((92, 116, 58), (128, 126, 122), (160, 140, 104), (104, 98, 88))
    ground = np.array(grounds[rng.integers(4)]) * rng.uniform(0.85, 1.15)
    _shade_floor(canvas, rng, floor_line, horizon, ground)


_PAINTERS: dict[str, Callable[[_Canvas, np.random.Generator, float, float], None]] = {
    "studio": _studio,
    "green_screen": _green_screen,
    "outdoor": _outdoor,
}
