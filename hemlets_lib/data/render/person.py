"""Pictures of people from 18 joints.

Input contract: joints are HEMLETS18 in camera space (x right, y down, z away), millimetres; cameras
are pinholes without distortion, in pixels with whole-numbered pixel centres; images are uint8
(H, W, 3) RGB. Hands, feet and face follow from the joints alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8

from hemlets_lib.data.render.appearance import Appearance, Prop
from hemlets_lib.data.render.figure import pose_rings
from hemlets_lib.data.render.raster import MATERIALS, composite
from hemlets_lib.data.render.tubes import dress, topology

__all__ = ["LIGHT_DIRECTION", "Floor", "render_person"]

LIGHT_DIRECTION = (-0.35, -0.80, -0.50)
"""Towards a lamp above, left of and behind the camera."""

NEAREST_JOINT_MM = 100.0

# A floor: any point of it (mm) and the direction up from it, both in camera space.
Floor = tuple[Sequence[float], Sequence[float]]


def render_person(
    joints_cam_mm: Float[np.ndarray, "18 3"],
    *,
    focal_px: Sequence[float] | Float[np.ndarray, "2"],
    centre_px: Sequence[float] | Float[np.ndarray, "2"],
    size: tuple[int, int],
    appearance: Appearance,
    background: UInt8[np.ndarray, "H W 3"],
    props: Sequence[Prop] = (),
    light_direction: Sequence[float] | Float[np.ndarray, "3"] = LIGHT_DIRECTION,
    floor: Floor | None = None,
    supersample: int = 2,
) -> UInt8[np.ndarray, "H W 3"]:
    """Draws one person and their furniture over a background.

    Nearer surfaces hide farther ones, the body's and the props' alike. The pixel (u, v) looks along
    ((u - cx) / fx, (v - cy) / fy, 1).

    Args:
        joints_cam_mm: HEMLETS18 joints in camera space, mm, all in front of the camera.
        focal_px: (fx, fy).
        centre_px: (cx, cy), the principal point.
        size: (H, W) of the picture.
        appearance: The person's build and clothes.
        background: What lies behind, of that size; left unchanged.
        props: Boxes in camera space. A box's side that reaches behind the camera is left out.
        light_direction: From the person towards the light, camera space, any length.
        floor: A point of the floor and the direction up from it, camera space; with it the body
            shades the floor where the background shows through. Props cast no shadow.
        supersample: Samples per pixel and axis against jagged edges.

    Returns:
        A new picture.

    Raises:
        ValueError: If the joints are not 18 finite points in front of the camera, the background
            has another size or type, or a camera number is out of range.
    """
    joints = _checked_joints(joints_cam_mm)
    focal, centre = np.asarray(focal_px, dtype=np.float64), np.asarray(centre_px, dtype=np.float64)
    if focal.shape != (2,) or not (focal > 0).all() or not np.isfinite(focal).all():
        raise ValueError(
            f"`focal_px` must be two positive numbers (fx, fy), got {focal_px!r}. Give both in pixels."
        )
    if centre.shape != (2,) or not np.isfinite(centre).all():
        raise ValueError(
            f"`centre_px` must be two finite numbers (cx, cy), got {centre_px!r}. Give both in pixels."
        )
    height, width = size
    if background.dtype != np.uint8 or background.shape != (height, width, 3):
        raise ValueError(
            f"`background` must be uint8 of shape {(height, width, 3)} to match size={(height, width)}, got "
            f"{background.dtype} of shape {background.shape}. Make it with backdrop(kind, rng, size)."
        )
    if supersample < 1:
        raise ValueError(f"`supersample` must be at least 1, got {supersample}. Use 2 for smooth edges.")
    light = np.asarray(light_direction, dtype=np.float64)
    if light.shape != (3,) or not np.isfinite(light).all() or not light.any():
        raise ValueError(
            f"`light_direction` must be a finite vector (x, y, z) other than 0, got {light_direction!r}. "
            "It points from the person towards the light."
        )

    shape, dressed = topology(), dress(appearance)
    vertices, spheres = pose_rings(joints, dressed)
    mesh = [vertices, dressed.rest, shape.faces, shape.signs, shape.smooth, shape.face_part]
    parts = [dressed.materials, dressed.palettes, dressed.options]
    if props:
        boxes = [
            _box(prop, first_vertex=len(vertices) + 24 * k, part=len(parts[0]) + k)
            for k, prop in enumerate(props)
        ]
        mesh = [
            np.concatenate([body, *extra])
            for body, *extra in zip(mesh, *(box[:6] for box in boxes), strict=True)
        ]
        parts = [
            np.concatenate([body, *extra])
            for body, *extra in zip(parts, *(box[6:] for box in boxes), strict=True)
        ]
    plane = np.zeros(4)
    if floor is not None:
        point, up = (np.asarray(vector, dtype=np.float64) for vector in floor)
        if not (point.shape == up.shape == (3,) and np.isfinite([point, up]).all() and up.any()):
            raise ValueError(
                f"`floor` must be a point and a direction other than 0, each (x, y, z), got {floor!r}. "
                "Give any point of the floor and the direction up from it, in camera space."
            )
        plane[:3] = up / np.linalg.norm(up)
        plane[3] = plane[:3] @ point
    camera = np.array([*focal, *centre])
    return composite(
        *mesh, *parts, camera, light / np.linalg.norm(light), plane, spheres,
        np.ascontiguousarray(background), int(supersample),
    )  # fmt: skip


def _checked_joints(joints_cam_mm: Float[np.ndarray, "18 3"]) -> Float[np.ndarray, "18 3"]:
    joints = np.asarray(joints_cam_mm, dtype=np.float64)
    if joints.shape != (18, 3):
        raise ValueError(
            f"`joints_cam_mm` must have shape (18, 3), the joints of skeleton 'hemlets18', "
            f"got {joints.shape}. Use Skeleton.remap() first, and pass one person at a time."
        )
    if not np.isfinite(joints).all():
        missing = np.flatnonzero(~np.isfinite(joints).all(-1)).tolist()
        raise ValueError(
            f"`joints_cam_mm` must be finite, got NaN or infinity for joints {missing}. "
            "A person is drawn from all 18 joints: fill in or drop the frame."
        )
    if (joints[:, 2] < NEAREST_JOINT_MM).any():
        raise ValueError(
            f"`joints_cam_mm` must lie at least {NEAREST_JOINT_MM:.0f} mm in front of the camera, "
            f"got z = {joints[:, 2].min():.0f} mm. Give millimetres in camera space "
            "(z away from the camera), or move the camera back."
        )
    return joints


def _box(prop: Prop, *, first_vertex: int, part: int) -> tuple[np.ndarray, ...]:
    """A prop as vertices, rest coordinates, triangles, signs, smooth flags, parts; then its paint."""
    corners: list[np.ndarray] = []
    rest: list[tuple[float, float, float]] = []
    faces: list[list[int]] = []
    for axis in range(3):
        for end in (-1.0, 1.0):
            at = first_vertex + len(corners)
            for p, q in ((-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)):
                corner = np.empty(3)
                corner[axis], corner[(axis + 1) % 3], corner[(axis + 2) % 3] = end, p, q
                corners.append(corner)
                rest.append((p, q, 0.0))
            order = (0, 1, 2, 0, 2, 3) if end > 0 else (0, 2, 1, 0, 3, 2)
            faces += [
                [at + order[0], at + order[1], at + order[2]],
                [at + order[3], at + order[4], at + order[5]],
            ]
    handed = float(np.sign(np.linalg.det(prop.rotation)))
    vertices = (np.array(corners) * prop.half_size_mm) @ prop.rotation.T + prop.centre_mm
    palette = np.zeros((1, 4, 3))
    palette[0, 0] = np.array(prop.colour) / 255
    return (
        vertices, np.array(rest), np.array(faces, dtype=np.int32), np.full(12, handed),
        np.zeros(12, dtype=np.bool_), np.full(12, part, dtype=np.int32),
        np.array([MATERIALS.index("box")], dtype=np.int64), palette, np.zeros((1, 2)),
    )  # fmt: skip
