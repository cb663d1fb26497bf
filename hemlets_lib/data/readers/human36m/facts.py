"""What every form of Human3.6M shares: names, subjects, damage, the person's box. Data, with their sources.

World space has z up, camera space is `geometry`'s, all in millimetres. A *take* is one performance before one
camera, such as S1's 'Eating 2' before 54138969; poses and videos are named after it. Each subject performs
15 actions twice, and the numbers in the names do not count from 1: S1 has 'Eating' and 'Eating 2'.

Source: Ionescu et al., 'Human3.6M', PAMI 2014, and the code release of the data set, unless a line says
otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped

from hemlets_lib.data.cameras import CAMERA_NAMES
from hemlets_lib.data.readers.files import DownloadError
from hemlets_lib.geometry import Camera
from hemlets_lib.skeleton import H36M17, HEMLETS18

__all__ = [
    "ACTIONS",
    "ACTION_NUMBERS",
    "CAMERA_NAMES",
    "CORRUPT_TAKES",
    "DATASET",
    "DEFAULT_STEPS",
    "FRAMES_PER_SECOND",
    "JOINTS17_OF_32",
    "JOINT_NAMES_32",
    "SHIFTED_TAKES",
    "SPLITS",
    "TakeName",
    "action_name",
    "frames_taken",
    "parse_take",
    "pelvis_boxes",
    "to_hemlets18",
    "why_corrupt",
]

DATASET = "human36m"
FRAMES_PER_SECOND = 50.0

# The tree of metadata.xml (`skel_pos`); its raw names repeat 'Site' for the ends of limbs, numbered here.
# Source: metadata.xml of the code release. Joint 1 is the right hip.
JOINT_NAMES_32 = (
    "Hips", "RightUpLeg", "RightLeg", "RightFoot", "RightToeBase", "Site 5", "LeftUpLeg", "LeftLeg",
    "LeftFoot", "LeftToeBase", "Site 10", "Spine", "Spine1", "Neck", "Head", "Site 15", "LeftShoulder",
    "LeftArm", "LeftForeArm", "LeftHand", "LeftHandThumb", "Site 21", "L_Wrist_End", "Site 23",
    "RightShoulder", "RightArm", "RightForeArm", "RightHand", "RightHandThumb", "Site 29", "R_Wrist_End",
    "Site 31",
)  # fmt: skip

# The 17 joints that the field scores, in the order of `skeleton.H36M17`; 'Neck' is our neck, 'Head' our nose,
# and 'Site 15', the top of the head, our head. Source: `table.py` of the authors' code (redrock303/HEMlets).
JOINTS17_OF_32 = (0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27)

# Protocol 1. The other subjects' poses were never published.
SPLITS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"train": ("S1", "S5", "S6", "S7", "S8"), "test": ("S9", "S11")}
)

# By the numbers of metadata.xml (1 is '_ALL'), under the names that the protocols select by.
ACTIONS: Mapping[int, str] = MappingProxyType(
    dict(
        enumerate(
            (
                "Directions", "Discussion", "Eating", "Greeting", "Phoning", "Posing", "Purchases", "Sitting",
                "SittingDown", "Smoking", "Photo", "Waiting", "Walking", "WalkDog", "WalkTogether",
            ),
            start=2,
        )
    )
)  # fmt: skip
ACTION_NUMBERS: Mapping[str, int] = MappingProxyType({name: number for number, name in ACTIONS.items()})

# What the same actions are called in metadata.xml, in some subjects' file names, and in prepared forms.
# Source: prepare_data_h36m.py of facebookresearch/VideoPose3D; Vegetebird/MHFormer, issue 92.
_OTHER_NAMES = {"TakingPhoto": "Photo", "WalkingDog": "WalkDog", "WalkingTogether": "WalkTogether"}

# Every 64th test frame: Moon et al. 2019 and most since, and `protocols.H36M`. Every 10th training frame,
# which is 5 frames a second: neighbours a fifth of a second apart already look much alike, and the training
# subjects' 1.56 million frames come to 156 thousand; Moon et al. take twice as many (every 5th).
DEFAULT_STEPS: Mapping[str, int] = MappingProxyType({"train": 10, "test": 64})


class TakeName(NamedTuple):
    """The name of a file or folder, taken apart.

    Args:
        action: One of `ACTIONS`.
        take: As the data set's files spell it, 'Eating 2'; the camera left out.
        number: After the action's name; None where there is none.
        camera: One of `CAMERA_NAMES`; empty for a name that holds none.
    """

    action: str
    take: str
    number: int | None
    camera: str


# (subject, take, camera) -> why. Source: process_all.py of anibali/h36m-fetch, hm36.py of
# JimmySuen/integral-human-pose, data_utils.py of una-dinosauria/3d-pose-baseline.
CORRUPT_TAKES: Mapping[tuple[str, str, str], str] = MappingProxyType(
    {("S11", "Directions", "54138969"): "the published video is corrupt"}
)
_CORRUPT_SUBACTION = ("S11", "Directions", 2, "54138969")  # the same by number: s_11_act_02_subact_02_ca_01

# S9's joints lie about 200 mm off the picture in these. They count, as they are, in the numbers that the
# literature reports, so they are read as they are. Source: h36m.py of isarandi/metro-pose3d, which corrects
# them; human36m.py of karfly/learnable-triangulation-pytorch, which can drop them.
SHIFTED_TAKES = frozenset({("S9", "Greeting"), ("S9", "SittingDown 1"), ("S9", "Waiting 1")})

_BOX_SIDE_MM = 2000.0
_NAME = re.compile(r"([A-Za-z]+)(?:[ _-]([0-9]{1,2}))?(?:\.([0-9]{8}))?")
_PELVIS = HEMLETS18.root


def action_name(name: str) -> str | None:
    """The protocols' name of an action, from any of its names; None for anything else.

    The whole name decides: 'Sitting' is not in 'SittingDown', and '_ALL' is no action.
    """
    name = _OTHER_NAMES.get(name, name)
    return name if name in ACTION_NUMBERS else None


def parse_take(name: str) -> TakeName | None:
    """A file's or folder's name without its suffix; None where it names no take.

    Args:
        name: 'Eating 2.54138969', 'Eating 2', 'Eating_2', 'Eating-1'; before a hyphen, the number is
            the subaction of metadata.xml and not the one in the file's name.
    """
    found = _NAME.fullmatch(name)
    if not found:
        return None
    action, number, camera = found.groups()
    known = action_name(action)
    if known is None or camera not in (None, *CAMERA_NAMES):
        return None
    take = action if number is None else f"{action} {int(number)}"
    return TakeName(known, take, None if number is None else int(number), camera or "")


def why_corrupt(
    subject: str, camera: str, *, take: str = "", subaction: tuple[str, int] | None = None
) -> str:
    """Why a take must be left out; empty where it need not.

    Args:
        subject: 'S11'.
        camera: One of `CAMERA_NAMES`.
        take: As its files are called.
        subaction: Instead of `take`: the action and the subaction's number, from 1.
    """
    if subaction is not None and (subject, *subaction, camera) == _CORRUPT_SUBACTION:
        return CORRUPT_TAKES["S11", "Directions", "54138969"]
    return CORRUPT_TAKES.get((subject, take, camera), "")


def to_hemlets18(joints: Shaped[np.ndarray, "F J C"], *, where: str) -> Float[np.ndarray, "F 18 C"]:
    """Poses of 32 or 17 joints in the order of HEMLETS18.

    Args:
        joints: In the data set's order of 32, or the field's of 17; any unit, two or three coordinates.
        where: The file, for the message.

    Returns:
        float64; NaN where a joint is not finite. The thorax is the middle of the shoulders.

    Raises:
        DownloadError: If there are not 32 or 17 joints.
    """
    if joints.ndim != 3 or joints.shape[1] not in (len(JOINT_NAMES_32), H36M17.num_joints):
        raise DownloadError(
            f"{where}: expected poses of {len(JOINT_NAMES_32)} or {H36M17.num_joints} joints, got an array "
            f"of shape {joints.shape}."
        )
    if joints.shape[1] == len(JOINT_NAMES_32):
        joints = joints[:, list(JOINTS17_OF_32)]
    mapped, known = H36M17.remap(torch.from_numpy(np.array(joints, dtype=np.float64)), HEMLETS18)
    return torch.where(known[..., None], mapped, torch.nan).numpy()


def pelvis_boxes(joints_cam_mm: Float[np.ndarray, "F 18 3"], camera: Camera) -> Float[np.ndarray, "F 3"]:
    """The square that a square of 2 m, parallel to the image about the pelvis, makes in the picture.

    Args:
        joints_cam_mm: Camera space.
        camera: Of the whole picture.

    Returns:
        Its middle (x, y) and its side, pixels; NaN where the pelvis is unknown or behind the camera. The side
        is the mean of the two focal lengths', which differ by a thousandth.

    Source: `rect_3d_width` of JimmySuen/integral-human-pose (Sun et al., ECCV 2018) and `bbox_real` of
    mks0601/3DMPPE_POSENET_RELEASE (Moon et al., ICCV 2019). It does not depend on the pose, so it leaks
    nothing of it; a raised hand may reach out of it.
    """
    pelvis = torch.from_numpy(np.ascontiguousarray(joints_cam_mm[:, _PELVIS], dtype=np.float64))
    centre = camera.project(pelvis[:, None])[:, 0]
    side = camera.focal_px.mean() * _BOX_SIDE_MM / pelvis[:, 2:]
    return torch.where(
        centre.isfinite().all(-1, keepdim=True), torch.cat([centre, side], -1), torch.nan
    ).numpy()


def frames_taken(count: int, step: int) -> Int[np.ndarray, "F"]:
    """Every `step`-th of so many frames, from the first."""
    return np.arange(0, count, step)
