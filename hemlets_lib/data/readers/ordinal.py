"""Ordinal depth of joints in LSP and MPII (Pavlakos et al. 2018), as depth order of parts.

Annotators were asked of pairs of joints which is nearer. `ord` is (N, J, J), and its README says

    ord(i, j) = -1   depth(i) < depth(j): i is nearer
                 1   depth(i) > depth(j): j is nearer
                 0   roughly the same depth
               NaN   nobody was asked

The paper's r(z_p, z_c) is +1 where the child is nearer, so that a part's state is -ord(child, parent):

    ord(child, parent)   ord(parent, child)   state
           -1                    1              +1    child nearer
            1                   -1              -1    parent nearer
            0                    0               0    about the same
           -1                   NaN             +1    one answer is enough
           -1                   -1           UNKNOWN  the answers contradict each other
           NaN                  NaN          UNKNOWN

The pelvis has no entry in LSP, and none with labels in MPII as far as others' code shows. It is by definition
the middle of the hips (`HEMLETS18.derived`), which decides its parts where it was not labelled itself:

- pelvis → right hip has the state of left hip → right hip: the same line, half as long, and Eq. (1) compares
  a depth with the part's own length. Likewise for the left.
- pelvis → neck has the state of right hip → neck and left hip → neck where these agree, else `UNKNOWN`.
  Source: data/ordinal/crop_lsp.py of KaiHangYang/ordinal_pose, which does the same.

Contradictions are counted and told. There are no boxes: people are cropped about their joints.

Source: Pavlakos, Zhou, Daniilidis, 'Ordinal depth supervision for 3D human pose estimation', CVPR 2018; the
README of lsp-mpii-ordinal.zip.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from hemlets_lib.data.images import read_size
from hemlets_lib.data.readers.contract import Reader, Skipped
from hemlets_lib.data.readers.files import DownloadError, as_array, read_mat
from hemlets_lib.data.readers.joint_orders import LSP14
from hemlets_lib.data.readers.lsp import LSP_PICTURES, LSP_TRAINING
from hemlets_lib.data.readers.photographs import Person, PhotoReader, px_array, to_hemlets18
from hemlets_lib.skeleton import HEMLETS18, MPII16, Skeleton
from hemlets_lib.triplets import UNKNOWN

__all__ = ["READERS", "Order", "OrdinalOriginal", "check_within", "part_orders"]

# Joints and pictures of MPII are reported not to belong together (geopavlakos/ordinal-pose3d, issue 4), which
# nobody has cleared up. Joints that were placed in other pictures stick out of these, or, if those were
# smaller, keep to a corner of them. Both limits are chosen: labels of whole pictures reach all edges, and
# hardly leave them.
_OUTSIDE = 0.02  # largest share of joints beyond the picture's edge
_REACH = 0.5  # of width or height, that nearly everybody's farthest joint must exceed …
_REACH_PERCENTILE = 95.0  # … in at least one of twenty pictures
_LEAST_PEOPLE = 20  # to speak of reach
_MARGIN_PX = 1.0  # a label on the edge, counted from 1
_PLACED = [number for number, name in enumerate(HEMLETS18.joint_names) if name not in HEMLETS18.derived]
_CONTRADICTION = "depth order contradicts itself; those parts are left unlabelled"


class Order(NamedTuple):
    """Depth order of HEMLETS18's parts, and how many labels contradicted each other, person by person."""

    states: Int[np.ndarray, "N 14"]
    contradictions: Int[np.ndarray, "N"]


@dataclass(frozen=True)
class _Half:
    """One of the two data sets in the archive."""

    folder: str
    pictures: str  # counted from 1
    skeleton: Skeleton


_LSP = _Half("lsp_dataset_original", LSP_PICTURES, LSP14)
_MPII = _Half("mpii_upis1h", "images/{:05d}_full.jpg", MPII16)


def part_orders(order: Float[np.ndarray, "N J J"], skeleton: Skeleton) -> Order:
    """States of the parts, from the depth order of pairs of joints; see the module's docstring.

    Args:
        order: `ord`: -1, 0, 1 or NaN.
        skeleton: The joints' order.
    """
    contradictions = np.zeros(len(order), dtype=np.int64)

    def state_of(parent: str, child: str) -> Int[np.ndarray, "N"]:
        p, c = skeleton.index(parent), skeleton.index(child)
        told, told_other_way = -order[:, c, p], order[:, p, c]
        against = np.isfinite(told) & np.isfinite(told_other_way) & (told != told_other_way)
        np.add(contradictions, against, out=contradictions)
        state = np.where(np.isfinite(told), told, told_other_way)
        return np.where(against | np.isnan(state), UNKNOWN, np.nan_to_num(state)).astype(np.int64)

    def asked(parent: str, child: str) -> Bool[np.ndarray, "N"]:
        p, c = skeleton.index(parent), skeleton.index(child)
        return np.isfinite(order[:, c, p]) | np.isfinite(order[:, p, c])

    left_hip = state_of("right_hip", "left_hip")
    from_right, from_left = state_of("right_hip", "neck"), state_of("left_hip", "neck")
    deduced = {
        ("pelvis", "left_hip"): left_hip,
        ("pelvis", "right_hip"): np.where(left_hip == UNKNOWN, UNKNOWN, -left_hip),
        ("pelvis", "neck"): np.where(from_right == from_left, from_right, UNKNOWN),
    }
    states = np.full((len(order), HEMLETS18.num_parts), UNKNOWN)
    for number, part in enumerate(HEMLETS18.part_names):
        if set(part) <= set(skeleton.joint_names):
            states[:, number] = state_of(*part)
            if part in deduced:
                states[:, number] = np.where(asked(*part), states[:, number], deduced[part])
        else:
            states[:, number] = deduced[part]
    return Order(states, contradictions)


def check_within(
    joints_px: Float[np.ndarray, "N J 2"], pictures: Sequence[Path], *, where: str, advice: str = ""
) -> None:
    """Raises DownloadError if the joints cannot have been placed in these pictures.

    Args:
        joints_px: NaN where unlabelled.
        pictures: One for each person; missing ones do not count.
        where: The file with the joints.
        advice: What to do about it.
    """
    sizes = [read_size(path) for path in pictures]
    found = [(path, size) for path, size in zip(pictures, sizes, strict=True) if size is not None]
    if not found:
        return
    joints_px = joints_px[[size is not None for size in sizes]]
    size_px = np.array([size for _, size in found], dtype=np.float64)[:, None]  # (P, 1, 2)
    labelled = np.isfinite(joints_px).all(-1)
    out = labelled & ((joints_px < -_MARGIN_PX) | (joints_px > size_px - 1 + _MARGIN_PX)).any(-1)
    if out.sum() > _OUTSIDE * labelled.sum():
        person, joint = (int(at) for at in np.argwhere(out)[0])
        (path, (width, height)), (x, y) = found[person], joints_px[person, joint]
        raise DownloadError(
            f"{where}: expected joints inside their pictures, got {out.sum()} of {labelled.sum()} outside, "
            f"in {out.any(-1).sum()} of {len(out)} pictures. First ({x:.0f}, {y:.0f}) px in {path.name}, "
            f"which is {width} x {height}. {advice}"
        )
    farthest = np.where(labelled[..., None], joints_px / size_px, 0).max((1, 2))  # (P,)
    reach = float(np.percentile(farthest, _REACH_PERCENTILE))
    if len(farthest) >= _LEAST_PEOPLE and reach < _REACH:
        raise DownloadError(
            f"{where}: expected joints all over their pictures, got {_REACH_PERCENTILE:.0f} % of "
            f"{len(farthest)} people in the upper left {100 * reach:.0f} %: they were placed in smaller "
            f"pictures. {advice}"
        )


class OrdinalOriginal(PhotoReader):
    """`lsp-mpii-ordinal.zip`, unpacked. `train` is LSP's training half and all of MPII."""

    dataset = "ordinal"
    form = "original"
    title = "Ordinal depth annotations of LSP and MPII"
    layout = (
        "lsp_dataset_original/{joints.mat,ordinal.mat,images/im0001.jpg …}, "
        "mpii_upis1h/{joints.mat,ordinal.mat,images/00001_full.jpg …}"
    )
    source = "README of lsp-mpii-ordinal.zip (project page of Pavlakos et al., CVPR 2018)"
    splits = ("train", "lsp_train", "lsp_test", "mpii_train")
    assumptions = (
        "Ordinal: ord(i, j) = -1 means that i is nearer, as the README of the archive is quoted",
        "Ordinal: joints of mpii_upis1h belong to *_full.jpg; others deny it (it is checked at load)",
        "Ordinal: sample i belongs to picture i + 1; joints with both coordinates 0 are unlabelled",
        "Ordinal: the third row of joints.mat does not matter",
    )
    skeleton: ClassVar[Skeleton] = HEMLETS18  # both halves are brought into it here

    @classmethod
    def recognises(cls, root: Path) -> bool:
        return any((root / half.folder / "ordinal.mat").is_file() for half in (_LSP, _MPII))

    def annotation_names(self, split: str) -> tuple[str, ...]:
        return tuple(
            f"{half.folder}/{name}" for half in _halves(split) for name in ("joints.mat", "ordinal.mat")
        )

    def people(self, split: str) -> Iterator[Person | Skipped]:
        for half in _halves(split):
            yield from self._people(half, split)

    def _people(self, half: _Half, split: str) -> Iterator[Person | Skipped]:
        folder = self.root / half.folder
        joints_px = self._joints(half)
        path, count, joints = folder / "ordinal.mat", len(joints_px), half.skeleton.num_joints
        order = as_array(read_mat(path, "ord")["ord"], (count, joints, joints), name="ord", where=str(path))
        strange = ~(np.isnan(order) | np.isin(order, (-1, 0, 1)))
        if strange.any():
            raise DownloadError(f"{path}: expected -1, 0, 1 or NaN in `ord`, got {order[strange][0]:g}.")
        chosen = np.arange(count)
        if half is _LSP:
            chosen = chosen[LSP_TRAINING:] if split == "lsp_test" else chosen[:LSP_TRAINING]
        found = part_orders(order[chosen], half.skeleton)
        placed = to_hemlets18(joints_px[chosen], half.skeleton)
        for number, joints_of, states, contradictions in zip(chosen, placed, *found, strict=True):
            picture = folder / half.pictures.format(number + 1)
            yield Person(picture, picture.stem, int(number), joints_of, states=states)
            if contradictions:
                yield Skipped(f"{picture.stem}, {contradictions} of its labels", _CONTRADICTION)

    def confirm(self, people: Sequence[Person]) -> None:
        for half, other in ((_LSP, "mpii_train"), (_MPII, "lsp_train")):
            own = [person for person in people if person.picture.is_relative_to(self.root / half.folder)]
            if own:
                check_within(
                    np.stack([person.joints_px for person in own])[:, _PLACED],
                    [person.picture for person in own],
                    where=str(self.root / half.folder / "joints.mat"),
                    advice=f"The other half can be read alone, as split {other}.",
                )

    def _joints(self, half: _Half) -> Float[np.ndarray, "N J 2"]:
        path = self.root / half.folder / "joints.mat"
        shape = (3, half.skeleton.num_joints, None)
        joints = px_array(read_mat(path, "joints")["joints"], shape, name="joints", where=str(path))
        joints_px = joints[:2].transpose(2, 1, 0)
        return np.where((joints_px == 0).all(-1, keepdims=True), np.nan, joints_px)


READERS: tuple[type[Reader], ...] = (OrdinalOriginal,)


def _halves(split: str) -> tuple[_Half, ...]:
    return {"train": (_LSP, _MPII), "mpii_train": (_MPII,)}.get(split, (_LSP,))
