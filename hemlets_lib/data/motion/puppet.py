"""A body posed from the ground up: pelvis and feet first, then the trunk, then the hands.

Feet and hands are given as places in the world, and inverse kinematics finds the limbs. Places for
a hand are most often named by the body itself (`at_mouth`, `at_ear`, `on_thigh`), which is why the
order matters: a place can be asked for once the bones that it depends on are posed.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from hemlets_lib.data.motion.body import (
    SIDES,
    Subject,
    apply,
    forward_kinematics,
    limb_kinematics,
    normalise,
    reach_limb,
    rotation,
    trunk_kinematics,
    within_limits,
)

__all__ = ["Puppet"]

Array = np.ndarray

# An ellipse about the trunk that wrists stay out of, as fractions of the shoulder's width.
TRUNK_DEPTH = 1.0
TRUNK_WIDTH = 1.42
# From shoulder to wrist in the middle of an arm's reach, and the side its elbow is on there. Other
# reaches are turned from this one; the opposite direction, where that fails, is out of reach.
_REST_AIM = np.array([0.78, -0.12, -0.61])
_REST_ELBOW = np.array([-0.52, 0.70, -0.48])


def _offset(x: Array | float, y: Array | float, z: Array | float) -> Float[Array, "*F 3"]:
    return np.stack(np.broadcast_arrays(np.float64(x), y, z), axis=-1).astype(np.float64)


class Puppet:
    """One subject over F moments.

    Args:
        subject: Whose bones.
        num_frames: F.
    """

    def __init__(self, subject: Subject, num_frames: int) -> None:
        self.subject = subject
        self.num_frames = num_frames
        self.angles: dict[str, Float[Array, "F"]] = {}
        self.points: dict[str, Float[Array, "F 3"]] = {}
        self.frames: dict[str, Float[Array, "F 3 3"]] = {}
        self.pelvis_mm = np.zeros((num_frames, 3))
        self.pelvis_rotation = np.broadcast_to(np.eye(3), (num_frames, 3, 3))
        self.heading = np.zeros(num_frames)  # yaw of the pelvis, radians

    def _zeros(self) -> Float[Array, "F"]:
        return np.zeros(self.num_frames)

    def place_pelvis(
        self,
        position_mm: Float[Array, "F 3"],
        *,
        yaw: Array,
        pitch: Array | float = 0.0,
        roll: Array | float = 0.0,
    ) -> None:
        """Pitch tilts forward, roll to the left."""
        self.pelvis_mm = np.asarray(position_mm, dtype=np.float64)
        self.heading = self._zeros() + yaw
        self.pelvis_rotation = (
            rotation("z", self.heading)
            @ rotation("y", self._zeros() + pitch)
            @ rotation("x", self._zeros() - roll)
        )
        self.pitch = self._zeros() + pitch

    def place_feet(
        self, ankles_mm: dict[str, Float[Array, "F 3"]], knee_poles: dict[str, Float[Array, "F 3"]]
    ) -> None:
        """Ankles at places in the world; knees towards world directions."""
        trunk, _ = trunk_kinematics(self.subject, self.pelvis_mm, self.pelvis_rotation, self.angles)
        for side in SIDES:
            hip = trunk[f"{side}_hip"]
            reached = reach_limb(
                self.subject,
                "leg",
                side,
                start_mm=hip,
                target_mm=ankles_mm[side],
                pole=knee_poles[side],
                frame=self.pelvis_rotation,
            )
            self.angles |= within_limits(reached)
            self.points[f"{side}_knee"], self.points[f"{side}_ankle"] = limb_kinematics(
                self.subject, "leg", side, hip, self.pelvis_rotation, self.angles
            )

    def bend_trunk(
        self, *, flexion: Array | float = 0.0, bend: Array | float = 0.0, twist: Array | float = 0.0
    ) -> None:
        """Bends the spine: forwards, to the left, turning left. Two thirds of the twist are thoracic."""
        shares = {"flexion": (flexion, 0.55), "bend": (bend, 0.5), "twist": (twist, 0.34)}
        for name, (angle, lumbar) in shares.items():
            self.angles[f"lumbar_{name}"] = self._zeros() + lumbar * np.asarray(angle)
            self.angles[f"thoracic_{name}"] = self._zeros() + (1 - lumbar) * np.asarray(angle)
        self.angles["lumbar_flexion"] = self.angles["lumbar_flexion"] - np.radians(
            4.0
        )  # the lower back is hollow
        self.angles["thoracic_flexion"] = self.angles["thoracic_flexion"] + np.radians(4.0)
        self._refresh()

    def turn_head(
        self, *, yaw: Array | float = 0.0, pitch: Array | float = 0.0, roll: Array | float = 0.0
    ) -> None:
        """Looks left by `yaw` of the chest, down by `pitch` of the horizon, and tilts left by `roll`."""
        leaning = self.pitch + self.angles["lumbar_flexion"] + self.angles["thoracic_flexion"]
        flexion = pitch - 0.75 * leaning  # people keep their gaze level when they lean
        for name, angle in (("flexion", flexion), ("bend", roll), ("twist", yaw)):
            self.angles[f"neck_{name}"] = self._zeros() + 0.55 * np.asarray(angle)
            self.angles[f"head_{name}"] = self._zeros() + 0.45 * np.asarray(angle)
        self._refresh()

    def _refresh(self) -> None:
        self.angles = within_limits(self.angles)
        points, frames = trunk_kinematics(self.subject, self.pelvis_mm, self.pelvis_rotation, self.angles)
        self.points |= points
        self.frames |= frames
        forward = frames["chest"][..., 0]
        self.frames["upright"] = rotation("z", np.arctan2(forward[:, 1], forward[:, 0]))

    # Places for a hand: each is where the WRIST goes, in the world.

    def near_shoulder(
        self,
        side: str,
        forward: Array | float,
        outward: Array | float,
        up: Array | float,
        *,
        frame: str = "chest",
    ) -> Float[Array, "F 3"]:
        """From the shoulder, in units of the arm's length; `frame` 'chest' or 'upright'."""
        offset = _offset(forward, SIDES[side] * np.asarray(outward), up) * self.subject.arm_mm
        offset = np.broadcast_to(offset, (self.num_frames, 3))
        return self.points[f"{side}_shoulder"] + apply(self.frames[frame], offset)

    def near_head(
        self, side: str, forward: Array | float, outward: Array | float, up: Array | float
    ) -> Float[Array, "F 3"]:
        """From the middle of the head, millimetres for a head of average size."""
        size = self.subject.head_mm / 115.0
        offset = np.broadcast_to(
            _offset(forward, SIDES[side] * np.asarray(outward), up) * size, (self.num_frames, 3)
        )
        return self.points["nose"] + apply(self.frames["head"], offset)

    def near_pelvis(
        self, side: str, forward: Array | float, outward: Array | float, up: Array | float
    ) -> Float[Array, "F 3"]:
        """From the pelvis, in units of the hip's offset."""
        offset = _offset(forward, SIDES[side] * np.asarray(outward), up) * self.subject.hip_mm
        offset = np.broadcast_to(offset, (self.num_frames, 3))
        return self.pelvis_mm + apply(self.pelvis_rotation, offset)

    def below_shoulder(
        self, side: str, forward_mm: float, outward_mm: float, height_mm: float
    ) -> Float[Array, "F 3"]:
        """A place over the floor, from the shoulder's own, along the trunk's heading."""
        offset = np.broadcast_to(_offset(forward_mm, SIDES[side] * outward_mm, 0.0), (self.num_frames, 3))
        place = self.points[f"{side}_shoulder"] + apply(self.frames["upright"], offset)
        return np.concatenate([place[:, :2], np.full((self.num_frames, 1), height_mm)], axis=1)

    def hanging(
        self,
        side: str,
        *,
        flexion: Array | float = 0.0,
        abduction: Array | float = 0.1,
        elbow: Array | float = 0.25,
    ) -> Float[Array, "F 3"]:
        """An arm that hangs, swung forward by `flexion` and bent at the elbow; radians."""
        arm, fore = (
            length / self.subject.arm_mm for length in (self.subject.upper_arm_mm, self.subject.forearm_mm)
        )
        low = np.asarray(flexion) + np.asarray(elbow)
        forward = arm * np.sin(flexion) + fore * np.sin(low)
        down = arm * np.cos(flexion) + fore * np.cos(low)
        out = np.sin(abduction)
        return self.near_shoulder(side, forward, out, -down * np.cos(abduction), frame="upright")

    def at_mouth(self, side: str) -> Float[Array, "F 3"]:
        return self.near_head(side, 115.0, 50.0, -100.0)

    def at_ear(self, side: str) -> Float[Array, "F 3"]:
        return self.near_head(side, 45.0, 122.0, -55.0)

    def on_thigh(
        self, side: str, *, fraction: float = 0.75, lift_mm: float = 85.0, of: str = ""
    ) -> Float[Array, "F 3"]:
        """Above a thigh (its own, or that `of` the other side), that fraction of the way to the knee."""
        hip, knee = (self.points[f"{of or side}_{joint}"] for joint in ("hip", "knee"))
        along = normalise(knee - hip)
        up = np.array([0.0, 0.0, 1.0]) - along[:, 2:] * along  # perpendicular to the thigh, upwards
        # Beside a thigh that points down or up, there is no 'above': its front then.
        up = up + 0.35 * self.frames["pelvis"][..., 0]
        return hip + fraction * (knee - hip) + lift_mm * normalise(up)

    def _clear_of_trunk(self, wrist_mm: Float[Array, "F 3"]) -> Float[Array, "F 3"]:
        """Moves wrists that are inside the trunk to its surface, smoothly."""
        chest = self.frames["chest"]
        centre = (self.points["torso"] + self.points["neck"]) / 2
        local = apply(np.swapaxes(chest, -1, -2), wrist_mm - centre)
        radii = self.subject.shoulder_mm * np.array([TRUNK_DEPTH, TRUNK_WIDTH])
        reach = np.linalg.norm(local[:, :2] / radii, axis=-1) + 1e-6
        tall = self.subject.upper_spine_mm
        height = np.clip(1.6 - np.abs(local[:, 2] + 0.45 * tall) / tall, 0.0, 0.4) / 0.4
        inside = height**2 * (3 - 2 * height)  # 1 beside the trunk, 0 above the shoulders and below the hips
        pushed = 1.0 + 0.08 * np.logaddexp(0.0, (reach - 1.0) / 0.08)  # rounded max(1, reach)
        local[:, :2] *= (1 + inside * (pushed / reach - 1))[:, None]
        return centre + apply(chest, local)

    def place_hand(self, side: str, wrist_mm: Float[Array, "F 3"], *, swivel: Array | float = 0.0) -> None:
        """Brings a wrist to a place; the collar bone helps and the elbow keeps a natural side.

        Args:
            side: 'left' or 'right'.
            wrist_mm: The place, world.
            swivel: Turns the elbow about the line from shoulder to wrist; positive lifts it outwards.
        """
        sign = SIDES[side]
        chest = self.frames["chest"]
        wrist_mm = self._clear_of_trunk(wrist_mm)
        # A fist cannot come quite to its own shoulder: such places are moved to before it.
        close = np.linalg.norm(wrist_mm - self.points[f"{side}_shoulder"], axis=-1) / self.subject.arm_mm
        ahead = chest @ np.array([0.9, 0.2 * sign, -0.4])
        wrist_mm = (
            wrist_mm
            + (0.03 * np.logaddexp(0.0, (0.30 - close) / 0.03) * self.subject.arm_mm)[:, None] * ahead
        )
        aim = (
            apply(np.swapaxes(chest, -1, -2), wrist_mm - self.points[f"{side}_shoulder"])
            / self.subject.arm_mm
        )
        lift = aim[:, 2] + 0.25
        self.angles[f"{side}_collar_elevation"] = np.radians(26.0) * 0.15 * np.logaddexp(0.0, lift / 0.15)
        self.angles[f"{side}_collar_protraction"] = np.radians(14.0) * np.tanh(1.6 * (aim[:, 0] - 0.25))
        self._refresh()
        shoulder = self.points[f"{side}_shoulder"]
        aim = normalise(apply(np.swapaxes(chest, -1, -2), wrist_mm - shoulder))
        mirror = np.array([1.0, sign, 1.0])
        elbow = _carry(normalise(_REST_AIM) * mirror, aim, normalise(_REST_ELBOW) * mirror)
        turn = sign * np.asarray(swivel)
        elbow = _turn_about(aim, elbow, self._zeros() + turn)
        self.angles |= within_limits(
            reach_limb(
                self.subject, "arm", side,
                start_mm=shoulder, target_mm=wrist_mm, pole=apply(chest, elbow), frame=chest,
            )
        )  # fmt: skip
        self.points[f"{side}_elbow"], self.points[f"{side}_wrist"] = limb_kinematics(
            self.subject, "arm", side, shoulder, chest, self.angles
        )

    def joints_world_mm(self) -> Float[Array, "F 18 3"]:
        return forward_kinematics(self.subject, self.pelvis_mm, self.pelvis_rotation, self.angles)


def _carry(
    start: Float[Array, "3"], aim: Float[Array, "F 3"], vector: Float[Array, "3"]
) -> Float[Array, "F 3"]:
    """Takes `vector` along on the shortest rotation from the unit vector `start` to each `aim`."""
    cross = np.cross(start, aim)
    cos = aim @ start
    along = np.cross(cross, vector)
    return vector + along + np.cross(cross, along) / np.maximum(1.0 + cos, 0.02)[:, None]


def _turn_about(
    axis: Float[Array, "F 3"], vector: Float[Array, "F 3"], angle: Float[Array, "F"]
) -> Float[Array, "F 3"]:
    """Rodrigues' rotation of vectors about unit axes."""
    cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
    along = (axis * vector).sum(-1, keepdims=True) * axis
    return along + (vector - along) * cos + np.cross(axis, vector) * sin
