"""Skeletons as data: joint names, the tree, the parts, what a mirror image swaps.

Nothing here knows a joint's number by heart: joints are found by name, and one joint order is
turned into another by name (`Skeleton.remap`). Joint names are this project's vocabulary
(`right_hip`, `neck`, ...); where a data set calls the same point something else, its skeleton below
says so in a comment.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

__all__ = [
    "CHAIN_PARTS",
    "H36M17",
    "HEMLETS18",
    "HEMLETS18_CHAIN",
    "HEMLETS_PARTS",
    "MPII16",
    "MPI_INF_3DHP17",
    "SKELETONS",
    "Skeleton",
]

# Names end up on pages, in tables and in files' names; a checkpoint may bring its own.
_JOINT_NAME = re.compile(r"[A-Za-z0-9_ -]+")


@dataclass(frozen=True)
class Skeleton:
    """An order of joints, the tree that joins them, and the parts that carry triplets.

    Args:
        name: Short identifier, used in messages and stored with checkpoints.
        joint_names: The joints in order; J of them.
        parent_names: Each joint's parent in the kinematic tree, by name; the root has none.
        part_names: Ordered (parent, child) pairs by name; K of them. A part is what HEMlets
            encodes, and need not be an edge of the tree (0→8 skips the torso).
        derived: Joints that are by definition the mean of others, and may so be filled in.

    Raises:
        ValueError: If a name is repeated or unknown, or has other signs than letters, digits, spaces, `_`
            and `-`; or if the tree has not exactly one root.
    """

    name: str
    joint_names: tuple[str, ...]
    parent_names: Mapping[str, str]
    part_names: tuple[tuple[str, str], ...] = ()
    derived: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for attribute in ("parent_names", "derived"):  # read-only, so that "frozen" holds
            object.__setattr__(self, attribute, MappingProxyType(dict(getattr(self, attribute))))
        strange = [x for x in self.joint_names if not isinstance(x, str) or not _JOINT_NAME.fullmatch(x)]
        if strange:
            raise ValueError(
                f"skeleton {str(self.name)[:40]!r}: expected joint names of Latin letters, digits, spaces, _ "
                f"and -, got {str(strange[0])[:40]!r}. Rename that joint."
            )
        if len(set(self.joint_names)) != len(self.joint_names):
            raise ValueError(f"skeleton {self.name!r}: joint names must be unique, got {self.joint_names}")
        mentioned = {*self.parent_names, *self.parent_names.values()}
        mentioned.update(*self.part_names, self.derived, *self.derived.values())
        if unknown := sorted(mentioned - set(self.joint_names)):
            raise ValueError(
                f"skeleton {self.name!r}: expected names among its {self.num_joints} joints, "
                f"got {unknown}. Check parent_names, part_names and derived for spelling."
            )
        roots = [joint for joint in self.joint_names if joint not in self.parent_names]
        if len(roots) != 1:
            raise ValueError(
                f"skeleton {self.name!r}: expected exactly one joint without a parent (the root), got {roots}"
            )
        # Worked out now, not when first used: a cycle is then refused, and torch.compile sees constants.
        _ = self.joint_depths, self.parts, self.root, self.part_paths

    # A skeleton is identified by its content; the mappings above are not hashable themselves.
    def __hash__(self) -> int:
        return hash((self.name, self.joint_names, self.part_names))

    def __reduce__(self) -> tuple:
        parts = (self.name, self.joint_names, dict(self.parent_names), self.part_names, dict(self.derived))
        return (Skeleton, parts)

    @property
    def num_joints(self) -> int:
        return len(self.joint_names)

    @property
    def num_parts(self) -> int:
        return len(self.part_names)

    def index(self, joint: str) -> int:
        """The place of a joint in this order.

        Raises:
            ValueError: If this skeleton has no such joint.
        """
        if joint not in self.joint_names:
            raise ValueError(
                f"skeleton {self.name!r} has no joint {joint!r}; it has: {', '.join(self.joint_names)}"
            )
        return self.joint_names.index(joint)

    @cached_property
    def root(self) -> int:
        return next(i for i, joint in enumerate(self.joint_names) if joint not in self.parent_names)

    @cached_property
    def parents(self) -> tuple[int, ...]:
        """Each joint's parent in the tree, -1 for the root."""
        return tuple(
            self.index(self.parent_names[joint]) if joint in self.parent_names else -1
            for joint in self.joint_names
        )

    @cached_property
    def bones(self) -> tuple[tuple[int, int], ...]:
        """The tree's edges as (parent, child), in the order of the children."""
        return tuple((parent, child) for child, parent in enumerate(self.parents) if parent >= 0)

    @cached_property
    def parts(self) -> tuple[tuple[int, int], ...]:
        """The parts as (parent, child) joint numbers."""
        return tuple((self.index(parent), self.index(child)) for parent, child in self.part_names)

    @property
    def part_parents(self) -> list[int]:
        return [parent for parent, _ in self.parts]

    @property
    def part_children(self) -> list[int]:
        return [child for _, child in self.parts]

    @cached_property
    def joint_depths(self) -> tuple[int, ...]:
        """How many bones lie between each joint and the root."""
        depths = []
        for joint in self.joint_names:
            depth, seen = 0, joint
            while seen in self.parent_names:
                depth, seen = depth + 1, self.parent_names[seen]
                if depth > self.num_joints:
                    raise ValueError(f"skeleton {self.name!r}: the tree has a cycle through {joint!r}")
            depths.append(depth)
        return tuple(depths)

    @cached_property
    def part_paths(self) -> Bool[Tensor, "J K"]:
        """Which parts lie on each joint's way down from the root along the parts.

        Row j is all False for the root and for joints that no part reaches.
        """
        by_child = {child: k for k, (_, child) in enumerate(self.parts)}
        paths = torch.zeros(self.num_joints, self.num_parts, dtype=torch.bool)
        for joint in range(self.num_joints):
            at = joint
            while at in by_child and not paths[joint, by_child[at]]:
                paths[joint, by_child[at]] = True
                at = self.parts[by_child[at]][0]
            if at != self.root:
                paths[joint] = False
        return paths

    def _mirrored(self, joint: str) -> str:
        for side, other in (("left_", "right_"), ("right_", "left_")):
            if joint.startswith(side) and other + joint.removeprefix(side) in self.joint_names:
                return other + joint.removeprefix(side)
        return joint

    @cached_property
    def flip_permutation(self) -> tuple[int, ...]:
        """`joints[..., flip_permutation, :]` renames left to right in a mirrored picture."""
        return tuple(self.index(self._mirrored(joint)) for joint in self.joint_names)

    @cached_property
    def flip_pairs(self) -> tuple[tuple[int, int], ...]:
        return tuple((i, j) for i, j in enumerate(self.flip_permutation) if i < j)

    @cached_property
    def part_flip_permutation(self) -> tuple[int, ...]:
        """The same for parts: the left arm's triplet becomes the right arm's.

        Raises:
            ValueError: If a part's mirror image is not among the parts.
        """
        mirrored = [(self._mirrored(parent), self._mirrored(child)) for parent, child in self.part_names]
        if missing := [part for part in mirrored if part not in self.part_names]:
            raise ValueError(
                f"skeleton {self.name!r}: the parts are not symmetric, {missing} have no entry; "
                "add them to part_names, or train without horizontal flips."
            )
        return tuple(self.part_names.index(part) for part in mirrored)

    def remap(
        self,
        joints: Shaped[Tensor, "*batch J C"],
        target: Skeleton,
        *,
        valid: Bool[Tensor, "*batch J"] | None = None,
    ) -> tuple[Float[Tensor, "*batch T C"], Bool[Tensor, "*batch T"]]:
        """The same points in another skeleton's order, matched by name.

        A joint this skeleton lacks is filled in where the target defines it as a mean of joints
        that are there (`derived`); otherwise it is zero and marked missing, never invented.

        Args:
            joints: Coordinates in this skeleton's order, any number of dimensions C.
            target: The order wanted.
            valid: Which joints are labelled; all where left out.

        Returns:
            The coordinates in the target's order, and which of them are known.

        Raises:
            ValueError: If the joint count differs from this skeleton's.
        """
        self.check_joints(joints, "joints")
        joints = joints if joints.is_floating_point() else joints.float()  # a mean of two pixels may be half
        weights = joints.new_zeros(target.num_joints, self.num_joints)
        for row, joint in enumerate(target.joint_names):
            sources = (joint,) if joint in self.joint_names else target.derived.get(joint, ())
            if sources and all(source in self.joint_names for source in sources):
                for source in sources:
                    weights[row, self.index(source)] = 1 / len(sources)
        if valid is None:
            valid = torch.ones(joints.shape[:-1], dtype=torch.bool, device=joints.device)
        valid = valid & joints.isfinite().all(-1)
        needed = (weights != 0).to(joints.dtype)  # (T, J)
        lacking = (~valid).to(joints.dtype) @ needed.T  # (*batch, T): sources that are missing
        known = (lacking == 0) & (needed.sum(-1) > 0)
        remapped = weights @ torch.where(valid[..., None], joints, 0)
        return torch.where(known[..., None], remapped, 0), known

    def check_joints(self, joints: Tensor, name: str) -> None:
        """Raises ValueError unless the second-last axis of `joints` is this skeleton's J."""
        if joints.ndim < 2 or joints.shape[-2] != self.num_joints:
            got = f"shape {tuple(joints.shape)}" if joints.ndim < 2 else f"{joints.shape[-2]}"
            raise ValueError(
                f"`{name}` must have {self.num_joints} joints for skeleton {self.name!r}, "
                f"got {got}. Use Skeleton.remap() first."
            )


def _tree(*edges: str) -> dict[str, str]:
    """'a>b>c' says that a is b's parent and b is c's."""
    pairs: dict[str, str] = {}
    for edge in edges:
        chain = edge.split(">")
        pairs.update(zip(chain[1:], chain[:-1], strict=True))
    return pairs


_RIGHT_LEG, _LEFT_LEG = (
    tuple(f"{side}_{joint}" for joint in ("hip", "knee", "ankle")) for side in ("right", "left")
)
_RIGHT_ARM, _LEFT_ARM = (
    tuple(f"{side}_{joint}" for joint in ("shoulder", "elbow", "wrist")) for side in ("right", "left")
)
_LEGS = ("pelvis>right_hip>right_knee>right_ankle", "pelvis>left_hip>left_knee>left_ankle")
_ARMS = ("neck>right_shoulder>right_elbow>right_wrist", "neck>left_shoulder>left_elbow>left_wrist")

# Paper silent: Fig. 2 shows 14 parts without listing them. This is the list that MPII and LSP can
# label too (it needs no nose and no torso); any other list can be passed in.
HEMLETS_PARTS: tuple[tuple[str, str], ...] = (
    ("pelvis", "right_hip"),
    ("right_hip", "right_knee"),
    ("right_knee", "right_ankle"),
    ("pelvis", "left_hip"),
    ("left_hip", "left_knee"),
    ("left_knee", "left_ankle"),
    ("pelvis", "neck"),
    ("neck", "head"),
    ("neck", "right_shoulder"),
    ("right_shoulder", "right_elbow"),
    ("right_elbow", "right_wrist"),
    ("neck", "left_shoulder"),
    ("left_shoulder", "left_elbow"),
    ("left_elbow", "left_wrist"),
)

# Another reading: 14 of the 16 bones of Human3.6M's 17 joints, without the pelvis' two, which hardly move.
# The trunk is a chain of bones. MPII and LSP label neither torso nor nose: four parts are unknown there.
CHAIN_PARTS: tuple[tuple[str, str], ...] = (
    *((parent, child) for parent, child in HEMLETS_PARTS if "pelvis" not in parent and child != "head"),
    ("pelvis", "torso"),
    ("torso", "neck"),
    ("neck", "nose"),
    ("nose", "head"),
)

# §3.1: N = 18 joints, K = 14 parts. Order and tree: the joint table and the edge list of the
# authors' inference code.
HEMLETS18 = Skeleton(
    name="hemlets18",
    joint_names=(
        "pelvis", *_RIGHT_LEG, *_LEFT_LEG, "torso", "neck", "nose", "head", *_LEFT_ARM, *_RIGHT_ARM, "thorax",
    ),
    parent_names=_tree(*_LEGS, "pelvis>torso>thorax>neck>nose>head", *_ARMS),
    part_names=HEMLETS_PARTS,
    derived={
        "thorax": ("left_shoulder", "right_shoulder"),
        "pelvis": ("left_hip", "right_hip"),
    },
)  # fmt: skip

# The same joints, with `CHAIN_PARTS`. Samples hold the states of `HEMLETS_PARTS`, just as many:
# `LabelBudget(…, skeleton=HEMLETS18_CHAIN)` gives those of these.
HEMLETS18_CHAIN = replace(HEMLETS18, name="hemlets18_chain", part_names=CHAIN_PARTS)

# Human3.6M's usual 17 of its 32 joints, in metrics the first 17 of HEMLETS18.
H36M17 = Skeleton(
    name="h36m17",
    joint_names=HEMLETS18.joint_names[:17],
    parent_names=_tree(*_LEGS, "pelvis>torso>neck>nose>head", *_ARMS),
    part_names=HEMLETS_PARTS,
)

# MPI-INF-3DHP's 17 "relevant" joints. Their head_top is our head, their head our nose, spine our torso.
MPI_INF_3DHP17 = Skeleton(
    name="mpi_inf_3dhp17",
    joint_names=(
        "head", "neck", *_RIGHT_ARM, *_LEFT_ARM, *_RIGHT_LEG, *_LEFT_LEG, "pelvis", "torso", "nose",
    ),
    parent_names=_tree(*_LEGS, "pelvis>torso>neck>nose>head", *_ARMS),
    part_names=HEMLETS_PARTS,
)  # fmt: skip

# MPII's 16 joints. Their upper neck is our neck, their head top our head.
MPII16 = Skeleton(
    name="mpii16",
    joint_names=(
        *_RIGHT_LEG[::-1], *_LEFT_LEG, "pelvis", "thorax", "neck", "head", *_RIGHT_ARM[::-1], *_LEFT_ARM,
    ),
    parent_names=_tree(*_LEGS, "pelvis>thorax>neck>head", *_ARMS),
    part_names=HEMLETS_PARTS,
)  # fmt: skip

SKELETONS: Mapping[str, Skeleton] = MappingProxyType(
    {skeleton.name: skeleton for skeleton in (HEMLETS18, HEMLETS18_CHAIN, H36M17, MPI_INF_3DHP17, MPII16)}
)
