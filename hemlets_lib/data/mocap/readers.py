"""Real motion: CMU's ASF/AMC and BVH files as takes of the 18 HEMlets joints.

Every joint is a point fixed to one bone of the file's skeleton (`_CMU_POINTS`, `_bvh_points`), so
these distances stay constant over a take, to rounding: pelvis-hip, hip-knee, knee-ankle,
shoulder-elbow, elbow-wrist, nose-head, and (in ASF/AMC) torso-neck. Neck-shoulder, torso-thorax and
thorax-neck are constant as long as the clavicles rest, as they do in many takes of CMU; thorax is
the mean of the shoulders. Two distances do vary, because joints of the spine and of the neck lie in
between: pelvis-torso and neck-nose (and with it neck-head). In BVH the torso is a spine joint of its
own, so torso-neck and torso-thorax vary too.

Neck: where the neck leaves the chest, carried by the chest. It does not swing with the lower neck
vertebrae, as in Human3.6M's skeleton.
Nose: neither format has one. It is put `NOSE_FORWARD_MM` in front of the base of the skull, where
"in front" is square to the head's long axis and to the hips in the rest pose, and moves with the head.
Head: the end of the head bone. CMU's ends inside the skull, about 10 cm below the crown if the legs
are a guide; its distance from the neck is that of Human3.6M's head all the same.

World axes: z up and, where the file has y up and a rest pose that faces z, as CMU's has, x to the
front and y to the left. A take keeps the file's own floor; in CMU's it is zero on level ground.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from jaxtyping import Float

from hemlets_lib.data.mocap.asf import read_acclaim_motion, read_acclaim_skeleton
from hemlets_lib.data.mocap.bvh import read_bvh_rig
from hemlets_lib.data.mocap.rig import MocapError, Rig
from hemlets_lib.data.motion import Take
from hemlets_lib.skeleton import HEMLETS18

__all__ = [
    "CMU_CAPTURE_FPS",
    "NOSE_FORWARD_MM",
    "MocapError",
    "find_mocap",
    "read_amc",
    "read_bvh",
    "read_mocap",
]

CMU_CAPTURE_FPS = 120.0
# In Human3.6M the nose lies half way up the neck-head line and 48-94 mm in front of it (four frames).
NOSE_FORWARD_MM = 75.0

# Thigh and shank over standing height: 0.245 + 0.246. Source: D. Winter, 'Biomechanics and Motor
# Control of Human Movement', fig. 4.1 (after Drillis and Contini, 1966).
_LEG_TO_STATURE = 0.491
_STATURE_MM = 1700.0
_PLAUSIBLE_STATURE_MM = (1100.0, 2300.0)
# Millimetres, centimetres, inches, CMU's ASF unit, metres. Two neighbours differ by 2.2 at least.
_UNITS_MM = (1.0, 10.0, 25.4, 25.4 / 0.45, 1000.0)

# Numbers too large to multiply end as joints that are not finite, which `_joints` refuses.
_quiet_overflow = np.errstate(over="ignore", invalid="ignore", divide="ignore")

End: TypeAlias = Literal["start", "end"]


@dataclass(frozen=True)
class _Point:
    """A joint as the start or end of a bone in the rest pose, carried by that bone or by another."""

    bone: str
    at: End = "start"
    carried_by: str | None = None


_CMU_POINTS: Mapping[str, _Point] = {
    "torso": _Point("thorax"),
    "neck": _Point("upperneck", carried_by="thorax"),
    "head": _Point("head", "end"),
    **{
        f"{side}_{joint}": _Point(f"{side[0]}{bone}")
        for side in ("left", "right")
        for joint, bone in {
            "hip": "femur",
            "knee": "tibia",
            "ankle": "foot",
            "shoulder": "humerus",
            "elbow": "radius",
            "wrist": "hand",  # the bone called wrist is the far third of the forearm: it only twists
        }.items()
    },
}
_CMU_SKULL = "head"

# Names used by MotionBuilder, Mixamo, and the cgspeed conversion of CMU's data.
_BVH_LIMBS: Mapping[str, str] = {
    "hip": "UpLeg",
    "knee": "Leg",
    "ankle": "Foot",
    "shoulder": "Arm",
    "elbow": "ForeArm",
    "wrist": "Hand",
}


def find_mocap(folder: str | Path) -> list[Path]:
    """The motion capture files in a folder and below it, in order of their names.

    Raises:
        MocapError: If there is none.
    """
    found = sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in (".amc", ".bvh"))
    if not found:
        raise MocapError(f"{folder}: expected .amc or .bvh files there or below, found none.")
    return found


def read_mocap(path: str | Path) -> Take:
    """Reads a motion capture file by its suffix: .amc (with the .asf beside it) or .bvh.

    Raises:
        MocapError: If the suffix is another, or the file cannot be read.
    """
    path = Path(path)
    match path.suffix.lower():
        case ".amc":
            return read_amc(path)
        case ".bvh":
            return read_bvh(path)
        case suffix:
            hint = "Give the motion (.amc); its skeleton is found beside it." if suffix == ".asf" else ""
            raise MocapError.at(
                path, None, expected="a file ending in .amc or .bvh", got=repr(suffix), hint=hint
            )


@_quiet_overflow
def read_amc(
    amc_path: str | Path,
    asf_path: str | Path | None = None,
    *,
    capture_fps: float = CMU_CAPTURE_FPS,
    action: str | None = None,
    subject: str | None = None,
) -> Take:
    """Reads one take of the CMU database, or of another with the same bone names.

    Args:
        amc_path: The motion.
        asf_path: The skeleton; where left out, looked for beside the motion: the same name, the name
            up to the first underscore (02_01.amc: 02.asf), or the only .asf in the folder.
        capture_fps: Frames per second if frame numbers rise by 1; a thinned file's larger step
            divides it.
        action: The take's action; the motion's name where left out.
        subject: The take's subject; the skeleton's name where left out.

    Returns:
        The joints in world millimetres, z up, the floor where the file has it.

    Raises:
        MocapError: If a file is missing, malformed or cut short, or lacks a bone that a joint needs.
    """
    amc_path = Path(amc_path)
    if not amc_path.is_file():
        raise MocapError.at(amc_path, None, expected="a motion capture file", got="no such file")
    asf_path = _beside(amc_path) if asf_path is None else Path(asf_path)
    skeleton = read_acclaim_skeleton(asf_path)
    rig = read_acclaim_motion(amc_path, skeleton, capture_fps=capture_fps)
    joints = _joints(rig, _CMU_POINTS, skull=_CMU_SKULL, unit_mm=skeleton.unit_mm)
    return Take(
        joints_world_mm=_z_up(joints, "y"),
        fps=rig.fps,
        action=amc_path.stem if action is None else action,
        subject=asf_path.stem if subject is None else subject,
    )


@_quiet_overflow
def read_bvh(
    path: str | Path,
    *,
    unit_mm: float | None = None,
    up: Literal["y", "z"] = "y",
    names: Mapping[str, str] | None = None,
    action: str | None = None,
    subject: str | None = None,
) -> Take:
    """Reads a BVH file.

    Many files hold the rest pose as their first frame; cut it off the take if it is not wanted.
    The cgspeed conversion of CMU's data lacks the 'thorax' and 'wrist' bones of the original: its
    people are 12 cm shorter in the trunk and a third in the forearm. Prefer the original files.

    Args:
        path: The file.
        unit_mm: Millimetres per length unit. Where left out: the one of mm, cm, inch, CMU's ASF
            unit (56.4 mm) and m that brings the body nearest to 1.70 m, judged by its legs.
        up: Which of the file's axes points up.
        names: For a skeleton with other joint names: from 'left_shoulder', 'neck', 'torso', ... to
            the file's name for the joint that starts there; 'head' to the joint at the base of the
            skull. Joints left out keep the usual names (LeftArm, Neck, a joint of the spine, Head, ...).
        action: The take's action; the file's name where left out.
        subject: The take's subject; the file's name up to the first underscore where left out.

    Returns:
        The joints in world millimetres, z up, the floor where the file has it.

    Raises:
        MocapError: If the file is missing, malformed or cut short, has no joint of an expected
            name, or no unit makes it a body of plausible height.
        ValueError: If an option is out of range.
    """
    if unit_mm is not None and not 0 < unit_mm < np.inf:
        raise ValueError(
            f"`unit_mm` must be a finite number of mm above 0, got {unit_mm}. Leave it out to have it found."
        )
    if up not in ("y", "z"):
        raise ValueError(f"`up` must be 'y' or 'z', got {up!r}. Name the file's axis that points up.")
    path = Path(path)
    rig = read_bvh_rig(path)
    points, skull = _bvh_points(rig, names or {})
    if unit_mm is None:
        unit_mm = _guess_unit_mm(rig, points)
    return Take(
        joints_world_mm=_z_up(_joints(rig, points, skull=skull, unit_mm=unit_mm), up),
        fps=rig.fps,
        action=path.stem if action is None else action,
        subject=path.stem.split("_")[0] if subject is None else subject,
    )


def _beside(amc_path: Path) -> Path:
    skeletons = sorted(path for path in amc_path.parent.iterdir() if path.suffix.lower() == ".asf")
    for stem in (amc_path.stem, amc_path.stem.split("_")[0]):
        for path in skeletons:
            if path.stem == stem:
                return path
    if len(skeletons) == 1:
        return skeletons[0]
    raise MocapError.at(
        amc_path, None, expected=f"its skeleton {amc_path.stem.split('_')[0]}.asf beside it",
        got=f"{len(skeletons)} other .asf files there" if skeletons else "no .asf file there",
        hint="Give it as asf_path.",
    )  # fmt: skip


def _joints(
    rig: Rig, points: Mapping[str, _Point], *, skull: str, unit_mm: float
) -> Float[np.ndarray, "F 18 3"]:
    """The HEMlets joints in the file's axes, millimetres."""
    rest: dict[str, Float[np.ndarray, "3"]] = {}
    found: dict[str, Float[np.ndarray, "F 3"]] = {}
    for joint, point in points.items():
        bone = rig.index(point.bone)
        rest[joint] = (rig.rest_starts if point.at == "start" else rig.rest_ends)[bone]
        carrier = bone if point.carried_by is None else rig.index(point.carried_by)
        found[joint] = rig.carry(rest[joint], carrier) * unit_mm
    head = rig.index(skull)
    up = rest["head"] - rig.rest_starts[head]
    front = np.cross(rest["left_hip"] - rest["right_hip"], up)
    if not (length := float(np.linalg.norm(front))):
        raise MocapError.at(
            rig.path, None, expected="a head bone with a length, square to the line between the hips",
            got=f"{skull!r} ending {up.tolist()} from its start",
        )  # fmt: skip
    found["nose"] = (
        rig.carry(rig.rest_starts[head] + front / length * (NOSE_FORWARD_MM / unit_mm), head) * unit_mm
    )
    for joint, sources in HEMLETS18.derived.items():
        found[joint] = np.mean([found[source] for source in sources], axis=0)
    joints = np.stack([found[joint] for joint in HEMLETS18.joint_names], axis=1)
    if not (finite := np.isfinite(joints).all(-1)).all():
        frame, at = np.argwhere(~finite)[0]
        raise MocapError.at(
            rig.path, None, expected="joints at finite places",
            got=f"{joints[frame, at].tolist()} mm for {HEMLETS18.joint_names[at]!r} in frame {frame + 1}",
            hint="A number in the file, or the unit, is out of range.",
        )  # fmt: skip
    return joints


def _z_up(joints: Float[np.ndarray, "F J 3"], up: Literal["y", "z"]) -> Float[np.ndarray, "F J 3"]:
    # From left, up, front to front, left, up: a rotation, so that left stays left.
    return joints[..., [2, 0, 1]] if up == "y" else joints


def _plain(name: str) -> str:
    """'mixamorig:LeftArm' and 'mixamorig_LeftArm' without their prefix."""
    return name.rsplit(":", 1)[-1].removeprefix("mixamorig_")


def _bvh_points(rig: Rig, names: Mapping[str, str]) -> tuple[dict[str, _Point], str]:
    """Which joint of the file each HEMlets joint is, and the one at the base of the skull."""
    nameable = {"torso", "neck", "head", *(f"{side}_{j}" for side in ("left", "right") for j in _BVH_LIMBS)}
    if unknown := sorted(set(names) - nameable):
        raise MocapError.at(
            rig.path, None, expected=f"`names` for joints out of {', '.join(sorted(nameable))}",
            got=", ".join(unknown),
        )  # fmt: skip
    by_plain_name = {_plain(name): name for name in rig.names}

    def find(joint: str, usual: str) -> str:
        name = names.get(joint) or by_plain_name.get(usual, usual)
        if name not in rig.names:
            raise MocapError.at(
                rig.path, None, expected=f"a joint {name!r} for {joint!r}",
                got=f"joints {', '.join(rig.names)}",
                hint=f"Say which one it is: names={{{joint!r}: ...}}.",
            )  # fmt: skip
        return name

    points = {
        f"{side}_{joint}": _Point(find(f"{side}_{joint}", side.capitalize() + usual))
        for side in ("left", "right")
        for joint, usual in _BVH_LIMBS.items()
    }
    skull = find("head", "Head")
    crown = by_plain_name.get("HeadTop_End")
    points["head"] = _Point(skull, "end") if crown is None else _Point(crown, carried_by=skull)
    # The neck bone's parent is the chest. Where the bone starts on top of its parent, as in the
    # cgspeed files, the neck leaves the chest at its end.
    neck = find("neck", "Neck")
    chest = rig.parents[rig.index(neck)]
    if chest < 0:
        raise MocapError.at(rig.path, None, expected="a neck below the root", got=f"{neck!r} as the root")
    if "neck" not in names and "Neck1" in by_plain_name:
        offset = rig.rest_starts[rig.index(neck)] - rig.rest_starts[chest]
        neck = neck if offset.any() else by_plain_name["Neck1"]
    points["neck"] = _Point(neck, carried_by=rig.names[chest])
    points["torso"] = _Point(names["torso"] if "torso" in names else _middle_of_spine(rig, points, chest))
    return points, skull


def _middle_of_spine(rig: Rig, points: Mapping[str, _Point], chest: int) -> str:
    """The joint between pelvis and chest nearest to half way from the hips to the neck."""
    hips = [rig.rest_starts[rig.index(points[f"{side}_hip"].bone)] for side in ("left", "right")]
    pelvis = np.mean(hips, axis=0)
    trunk = rig.rest_starts[rig.index(points["neck"].bone)] - pelvis
    spine = []
    bone = chest
    while bone >= 0:
        spine.append(bone)
        bone = rig.parents[bone]
    shares = [abs((rig.rest_starts[bone] - pelvis) @ trunk / (trunk @ trunk) - 0.5) for bone in spine]
    return rig.names[spine[int(np.argmin(shares))]]


def _guess_unit_mm(rig: Rig, points: Mapping[str, _Point]) -> float:
    hip, knee, ankle = (
        rig.rest_starts[rig.index(points[f"left_{joint}"].bone)] for joint in ("hip", "knee", "ankle")
    )
    leg = float(np.linalg.norm(knee - hip) + np.linalg.norm(ankle - knee))
    statures_mm = {unit: leg * unit / _LEG_TO_STATURE for unit in _UNITS_MM}
    unit_mm = min(_UNITS_MM, key=lambda unit: abs(np.log(max(statures_mm[unit], 1e-9) / _STATURE_MM)))
    low, high = _PLAUSIBLE_STATURE_MM
    if not low <= statures_mm[unit_mm] <= high:
        raise MocapError.at(
            rig.path, None, expected=f"a body of {low:.0f} to {high:.0f} mm in mm, cm, inch, ASF units or m",
            got=f"legs of {leg:g} units, a body of {statures_mm[unit_mm]:.0f} mm at best",
            hint="Give unit_mm.",
        )  # fmt: skip
    return unit_mm
