"""Joint orders of data sets, under this project's names, for `Skeleton.remap`.

What a data set calls a joint stands in a comment where the name is another. A tree is given where a
skeleton must have one; only names matter to the readers.
"""

from __future__ import annotations

from itertools import pairwise

from hemlets_lib.skeleton import HEMLETS_PARTS, Skeleton

__all__ = ["HUMANEVA15", "LSP14", "MPI_INF_3DHP28", "ORDINAL_POSE15", "SPIN24"]

_RIGHT_LEG = ("right_hip", "right_knee", "right_ankle")
_LEFT_LEG = ("left_hip", "left_knee", "left_ankle")
_RIGHT_ARM = ("right_shoulder", "right_elbow", "right_wrist")
_LEFT_ARM = ("left_shoulder", "left_elbow", "left_wrist")


def _chains(*chains: tuple[str, ...]) -> dict[str, str]:
    """Parents of joints, from chains that each begin with a joint and go outwards."""
    return {child: parent for chain in chains for parent, child in pairwise(chain)}


# Leeds Sports Pose, its extension, and the LSP half of the ordinal labels. Its head top is our head; it has
# no pelvis, so hips hang on the neck. Source: README of the data set.
LSP14 = Skeleton(
    name="lsp14",
    joint_names=(*_RIGHT_LEG[::-1], *_LEFT_LEG, *_RIGHT_ARM[::-1], *_LEFT_ARM, "neck", "head"),
    parent_names=_chains(
        *(("neck", *limb) for limb in (_RIGHT_LEG, _LEFT_LEG, _RIGHT_ARM, _LEFT_ARM)), ("neck", "head")
    ),
)

# `mSkeleton15` of KaiHangYang/ordinal_pose (utils/defs/skeleton.py): root, legs, spine, head, arms. Its spine
# is where the neck begins. Its 14 bones are the parts of HEMLETS18, in that order.
ORDINAL_POSE15 = Skeleton(
    name="ordinal_pose15",
    joint_names=("pelvis", *_RIGHT_LEG, *_LEFT_LEG, "neck", "head", *_RIGHT_ARM, *_LEFT_ARM),
    parent_names=_chains(
        ("pelvis", *_RIGHT_LEG), ("pelvis", *_LEFT_LEG), ("pelvis", "neck", "head"),
        ("neck", *_RIGHT_ARM), ("neck", *_LEFT_ARM),
    ),
    part_names=HEMLETS_PARTS,
)  # fmt: skip

# HumanEva-I, as ConvertHumanEva.m of facebookresearch/VideoPose3D writes it after `@body_pose/error.m` of the
# data set's own code. Its thorax is the middle between the torso's upper and the head's lower end, which is
# where our neck is; its head is the head's upper end. Torso and nose it does not have.
HUMANEVA15 = Skeleton(
    name="humaneva15",
    joint_names=("pelvis", "neck", *_LEFT_ARM, *_RIGHT_ARM, *_LEFT_LEG, *_RIGHT_LEG, "head"),
    parent_names=_chains(
        ("pelvis", "neck", "head"), ("neck", *_LEFT_ARM), ("neck", *_RIGHT_ARM),
        ("pelvis", *_LEFT_LEG), ("pelvis", *_RIGHT_LEG),
    ),
    part_names=HEMLETS_PARTS,
)  # fmt: skip

# MPI-INF-3DHP's training set. As in `skeleton.MPI_INF_3DHP17`, its head_top is our head, its head our nose
# and its spine our torso. Source: mpii_get_joint_set.m of the download.
MPI_INF_3DHP28 = Skeleton(
    name="mpi_inf_3dhp28",
    joint_names=(
        "spine3", "spine4", "spine2", "torso", "pelvis", "neck", "nose", "head",
        "left_clavicle", *_LEFT_ARM, "left_hand", "right_clavicle", *_RIGHT_ARM, "right_hand",
        *_LEFT_LEG, "left_foot", "left_toe", *_RIGHT_LEG, "right_foot", "right_toe",
    ),
    parent_names=_chains(
        ("pelvis", "torso", "spine2", "spine3", "spine4", "neck", "nose", "head"),
        ("neck", "left_clavicle", *_LEFT_ARM, "left_hand"),
        ("neck", "right_clavicle", *_RIGHT_ARM, "right_hand"),
        ("pelvis", *_LEFT_LEG, "left_foot", "left_toe"),
        ("pelvis", *_RIGHT_LEG, "right_foot", "right_toe"),
    ),
    part_names=HEMLETS_PARTS,
)  # fmt: skip

# The 24 joints into which SPIN gathers those of all data sets. Of Human3.6M it fills 17: 'Neck (LSP)' from
# joint 24 of the 32, which lies where joint 13 does, our neck; 'Spine (H36M)' is our torso, 'Jaw (H36M)' our
# nose, and 'Head (H36M)' our head. Source: constants.py and datasets/preprocess/h36m.py of nkolot/SPIN.
SPIN24 = Skeleton(
    name="spin24",
    joint_names=(
        *_RIGHT_LEG[::-1], *_LEFT_LEG, *_RIGHT_ARM[::-1], *_LEFT_ARM, "neck", "lsp_head_top", "pelvis",
        "mpii_thorax", "torso", "nose", "head", "face_nose", "left_eye", "right_eye", "left_ear", "right_ear",
    ),
    parent_names=_chains(
        ("pelvis", *_RIGHT_LEG), ("pelvis", *_LEFT_LEG), ("neck", *_RIGHT_ARM), ("neck", *_LEFT_ARM),
        ("pelvis", "torso", "mpii_thorax", "neck", "nose", "head", "lsp_head_top"), ("nose", "face_nose"),
        *(("face_nose", joint) for joint in ("left_eye", "right_eye", "left_ear", "right_ear")),
    ),
    part_names=HEMLETS_PARTS,
)  # fmt: skip
