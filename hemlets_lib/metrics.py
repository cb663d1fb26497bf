"""How far a predicted pose is from the true one.

Contract: poses are (B, J, 3) in millimetres, camera space, given by keyword, because the two are not
interchangeable: it is the prediction that gets aligned. Every metric gives one number per sample, so
that a protocol may average over frames, actions or sequences as it likes. Arithmetic is float64, on the
device where both poses are if it has that type and else on the CPU, and does not track gradients.

Which joints count: `joints`, by default the first 17 of the order (the 18th of HEMLETS18, the thorax,
is not an evaluation joint), and of those the ones `valid` marks. A sample in which none counts, or
whose root joint is not labelled, is NaN. A coordinate that counts and is not finite is an error.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int, Real
from torch import Tensor

from hemlets_lib.geometry import Solver, procrustes
from hemlets_lib.skeleton import HEMLETS18
from hemlets_lib.triplets import UNKNOWN

__all__ = [
    "AUC_THRESHOLDS_MM",
    "EVALUATED_JOINTS",
    "MPI_INF_3DHP_JOINTS",
    "ActionTable",
    "PolarityAccuracy",
    "action_table",
    "auc_3d",
    "joint_errors",
    "mpjpe",
    "pa_mpjpe",
    "pck_3d",
    "pckh",
    "polarity_accuracy",
    "reverse_pa_mpjpe",
]

EVALUATED_JOINTS = 17  # of Human3.6M
_PIECE = 4096  # poses aligned at once on a CPU: what they need stays in its cache
_FEW = 512  # below, a CPU aligns poses sooner one after the other
PCK_THRESHOLD_MM = 150.0  # Mehta et al. 2017
AUC_THRESHOLDS_MM = tuple(range(0, 151, 5))  # 31 of them; MPI-INF-3DHP's own evaluation script

# MPI-INF-3DHP scores 14 joints: its 17 without pelvis, spine (our torso) and head (our nose).
MPI_INF_3DHP_JOINTS = tuple(
    index
    for index, joint in enumerate(HEMLETS18.joint_names[:EVALUATED_JOINTS])
    if joint not in ("pelvis", "torso", "nose")
)


def joint_errors(
    *,
    predicted: Float[Tensor, "B J C"],
    target: Float[Tensor, "B J C"],
    valid: Bool[Tensor, "B J"] | None = None,
    joints: int | Sequence[int] | None = EVALUATED_JOINTS,
    root: int | None = 0,
) -> Float[Tensor, "B E"]:
    """The distance of each of the E evaluated joints, mm; NaN where it does not count.

    Args:
        predicted: The network's pose, C = 3; also 2D joints, C = 2, whose distances are in their unit.
        target: The true pose; may hold NaN where `valid` is False.
        valid: Labelled joints; all where left out.
        joints: Which are evaluated: the first so many, a list of indices, or None for all.
        root: The joint on which both poses are laid, counted among all J (it need not be evaluated);
            None compares them where they are.

    Raises:
        ValueError: If shapes do not fit, an index is out of range, or a joint that counts is not finite.
    """
    moved, fixed, counted = _prepare(predicted, target, valid, joints, root)
    return torch.where(counted, (moved - fixed).norm(dim=-1), torch.nan)


def mpjpe(
    *,
    predicted: Float[Tensor, "B J 3"],
    target: Float[Tensor, "B J 3"],
    valid: Bool[Tensor, "B J"] | None = None,
    joints: int | Sequence[int] | None = EVALUATED_JOINTS,
    root: int | None = 0,
) -> Float[Tensor, "B"]:
    """Mean per-joint position error, mm, after laying root upon root. Arguments as in `joint_errors`.

    The root itself, whose error is then 0, is one of the 17: so it is in the literature.

    Source: §4.1, 'Evaluation metric'.
    """
    errors = joint_errors(predicted=predicted, target=target, valid=valid, joints=joints, root=root)
    return errors.nanmean(-1)


def pa_mpjpe(
    *,
    predicted: Float[Tensor, "B J 3"],
    target: Float[Tensor, "B J 3"],
    valid: Bool[Tensor, "B J"] | None = None,
    joints: int | Sequence[int] | None = EVALUATED_JOINTS,
    with_scale: bool = True,
) -> Float[Tensor, "B"]:
    """MPJPE, mm, after the best similarity of the prediction. Arguments as in `joint_errors`.

    Only joints that count take part in the alignment. A mirror image is not aligned away. A prediction
    whose joints all coincide ends up in the target's centroid.

    Args:
        with_scale: Also scale, as most of the literature does; False allows rotation and translation.

    Source: §4.1, 'PA MPJPE'. Differs from the paper: it says 'rigid', while the numbers it compares
    with are mostly aligned with scale.
    """
    prepared = _prepare(predicted, target, valid, joints, None)
    on_cpu, count = prepared[0].device.type == "cpu", len(target)
    solver: Solver = "svd" if on_cpu and count < _FEW else "jacobi"
    pieces = (each.split(_PIECE if on_cpu else max(count, 1)) for each in prepared)
    errors = []
    for moved, fixed, counted in zip(*pieces, strict=True):
        taking_part = None if valid is None else counted
        aligned = procrustes(moved, fixed, with_scale=with_scale, valid=taking_part, solver=solver)
        errors.append(torch.where(counted, (aligned - fixed).norm(dim=-1), 0).sum(-1) / counted.sum(-1))
    return torch.cat(errors)


def reverse_pa_mpjpe(
    *,
    predicted: Float[Tensor, "B J 3"],
    target: Float[Tensor, "B J 3"],
    valid: Bool[Tensor, "B J"] | None = None,
    joints: int | Sequence[int] | None = EVALUATED_JOINTS,
    with_scale: bool = True,
) -> Float[Tensor, "B"]:
    """Reverse PA-MPJPE, mm: the truth is laid over the prediction. Arguments as in `pa_mpjpe`.

    Not to be held against other work's PA-MPJPE: a prediction that is too small makes this error smaller,
    and one that shrinks to a point makes it 0.

    Source: the authors' inference code, `MPJPE_P1_P2` in metric_3d.py.
    """
    return pa_mpjpe(predicted=target, target=predicted, valid=valid, joints=joints, with_scale=with_scale)


def pck_3d(
    *,
    predicted: Float[Tensor, "B J 3"],
    target: Float[Tensor, "B J 3"],
    valid: Bool[Tensor, "B J"] | None = None,
    joints: int | Sequence[int] | None = EVALUATED_JOINTS,
    root: int | None = 0,
    threshold_mm: float = PCK_THRESHOLD_MM,
) -> Float[Tensor, "B"]:
    """Percentage of joints closer than the threshold. Arguments as in `joint_errors`.

    MPI-INF-3DHP's own protocol takes `joints=MPI_INF_3DHP_JOINTS`, and pools the joints of all frames:
    with every joint labelled, that is the mean over samples.

    Source: Table 3; Mehta et al. 2017, strictly less than 150 mm.
    """
    errors = joint_errors(predicted=predicted, target=target, valid=valid, joints=joints, root=root)
    return _percentage(errors < threshold_mm, ~errors.isnan())


def auc_3d(
    *,
    predicted: Float[Tensor, "B J 3"],
    target: Float[Tensor, "B J 3"],
    valid: Bool[Tensor, "B J"] | None = None,
    joints: int | Sequence[int] | None = EVALUATED_JOINTS,
    root: int | None = 0,
) -> Float[Tensor, "B"]:
    """Mean of `pck_3d` over the 31 thresholds 0, 5, … 150 mm, in percent. Arguments as in `joint_errors`.

    As the comparison is strict, nothing passes 0 mm: a perfect prediction has 30/31, 96.8 %.

    Source: Table 3; Mehta et al. 2017.
    """
    errors = joint_errors(predicted=predicted, target=target, valid=valid, joints=joints, root=root)
    thresholds = torch.tensor(AUC_THRESHOLDS_MM, dtype=errors.dtype, device=errors.device)
    passed = (errors[..., None] < thresholds).double().mean(-1)  # (B, E)
    return _percentage(passed, ~errors.isnan())


def pckh(
    *,
    predicted: Float[Tensor, "B J 2"],
    target: Float[Tensor, "B J 2"],
    head_size: Float[Tensor, "B"],
    valid: Bool[Tensor, "B J"] | None = None,
    joints: int | Sequence[int] | None = EVALUATED_JOINTS,
    threshold: float = 0.5,
) -> Float[Tensor, "B"]:
    """Percentage of 2D joints within half a head's size of the truth. Arguments as in `joint_errors`.

    Args:
        predicted: (x, y) in pixels.
        target: The same.
        head_size: MPII's, 0.6 times the diagonal of the head box, pixels.
        threshold: As a fraction of the head's size; a joint at exactly the threshold passes.

    Source: Andriluka et al. 2014 [1].
    """
    errors = joint_errors(predicted=predicted, target=target, valid=valid, joints=joints, root=None)
    return _percentage(errors <= threshold * head_size.detach().to(errors)[:, None], ~errors.isnan())


class PolarityAccuracy(NamedTuple):
    """How often the predicted state of a part is the true one, in percent; NaN where nothing counts."""

    overall: float
    per_part: Float[Tensor, "K"]


def polarity_accuracy(
    *,
    predicted: Int[Tensor, "B K"],
    target: Int[Tensor, "B K"],
    mask: Bool[Tensor, "B K"] | None = None,
) -> PolarityAccuracy:
    """Share of parts whose state is right, pooled over samples.

    Args:
        predicted: States, from `triplets.decode_triplets` or `triplets.part_states`. One that was not
            found (`triplets.UNKNOWN`) is wrong.
        target: True states. Where they are `UNKNOWN` they do not count.
        mask: Parts that count; all where left out.

    Raises:
        ValueError: If shapes differ.
    """
    _check_shape("predicted", predicted, target.shape)
    counted = target != UNKNOWN
    if mask is not None:
        _check_shape("mask", mask, target.shape)
        counted = counted & mask
    right = predicted == target
    per_part = _percentage(right.mT, counted.mT).cpu()
    return PolarityAccuracy(overall=_percentage(right.flatten(), counted.flatten()).item(), per_part=per_part)


@dataclass(frozen=True)
class ActionTable:
    """A metric by action, and the two averages that are in use; they differ where actions differ in length.

    Args:
        means: Mean over the frames of each action, in the table's order; NaN for an action without any.
        counts: Frames of each action that counted.
        mean_of_actions: Mean of `means`, each action counting alike.
        mean_of_frames: Mean over all frames.
    """

    means: dict[str, float]
    counts: dict[str, int]
    mean_of_actions: float
    mean_of_frames: float

    def to_dict(self) -> dict[str, float]:
        """Every column of the table by its heading."""
        return self.means | {"Mean of actions": self.mean_of_actions, "Mean of frames": self.mean_of_frames}

    def to_markdown(self, *, row: str = "", digits: int = 1) -> str:
        """As a table of one row, laid out like Table 1. `row` names it; '–' stands for no frames."""
        columns = self.to_dict()
        cells = ["–" if math.isnan(value) else f"{value:.{digits}f}" for value in columns.values()]
        lines = [["", *columns], ["---", *["---:"] * len(columns)], [row, *cells]]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def action_table(
    errors: Real[Tensor, "B"], actions: Sequence[str], *, order: Sequence[str] | None = None
) -> ActionTable:
    """Averages a metric over each action.

    Args:
        errors: One number per sample; NaN where a sample did not count.
        actions: Each sample's action.
        order: The table's columns; by default the actions in order of appearance.

    Raises:
        ValueError: If the lengths differ, or an action is not in `order`.

    Source: Table 1. Paper silent on which average is its last column; the field mostly prints
    the mean of actions.
    """
    values = errors.detach().cpu().double()
    if values.shape != (len(actions),):
        raise ValueError(
            f"`actions` must name each of {tuple(values.shape)} samples, got {len(actions)} names."
        )
    names = list(dict.fromkeys(actions)) if order is None else list(order)
    if unknown := sorted(set(actions) - set(names)):
        raise ValueError(f"`actions` must be among {', '.join(names)}, got {', '.join(unknown)}.")
    place = {name: index for index, name in enumerate(names)}
    index = torch.tensor([place[action] for action in actions], dtype=torch.long)
    present = ~values.isnan()
    counts = torch.bincount(index[present], minlength=len(names))
    sums = torch.bincount(index[present], weights=values[present], minlength=len(names))
    means = sums.double() / counts
    return ActionTable(
        means=dict(zip(names, means.tolist(), strict=True)),
        counts=dict(zip(names, counts.tolist(), strict=True)),
        mean_of_actions=means.nanmean().item(),
        mean_of_frames=values.nanmean().item(),
    )


def _prepare(
    predicted: Tensor,
    target: Tensor,
    valid: Tensor | None,
    joints: int | Sequence[int] | None,
    root: int | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Both poses aligned on the root and cut to the evaluated joints, and which of those count."""
    if target.ndim != 3:
        raise ValueError(f"`target` must be (B, J, 2 or 3), got {tuple(target.shape)}.")
    _check_shape("predicted", predicted, target.shape)
    device = _device_for(predicted, target)
    known = torch.ones(target.shape[:2], dtype=torch.bool) if valid is None else valid.detach()
    _check_shape("valid", known, target.shape[:2])
    known = known.to(device)
    if root is not None:
        known = known & known[:, root, None]
    chosen = _indices(joints, target.shape[1])
    poses = []
    for name, pose in (("predicted", predicted), ("target", target)):
        pose = pose.detach().to(device)
        if not bool(pose.sum().isfinite()):  # one pass over the numbers; the closer look takes several
            used = torch.zeros_like(known)
            used[:, chosen] = True
            if root is not None:
                used[:, root] = True
            pose = _finite(name, pose, used & known)
        moved = pose[:, chosen].double()
        poses.append(moved if root is None else moved - pose[:, root, None].double())
    return poses[0], poses[1], known[:, chosen]


def _finite(name: str, pose: Tensor, used: Tensor) -> Tensor:
    """The pose with zeros where it is not used, which must be wherever it is not finite."""
    strange = used & ~pose.isfinite().all(-1)
    if bool(strange.any()):
        sample, joint = strange.nonzero()[0].tolist()
        raise ValueError(
            f"`{name}` must be finite where it counts, got {pose[sample, joint].tolist()} "
            f"for sample {sample}, joint {joint}. Mark joints without a label in `valid`."
        )
    return torch.where(used[..., None], pose, 0)


def _device_for(predicted: Tensor, target: Tensor) -> torch.device:
    """Where both are, if that device computes in float64; MPS does not."""
    here = predicted.device
    return here if here == target.device and here.type != "mps" else torch.device("cpu")


def _indices(joints: int | Sequence[int] | None, count: int) -> slice | list[int]:
    if joints is None or isinstance(joints, int):
        return slice(joints)  # a view, where a list would copy
    if outside := [index for index in joints if not 0 <= index < count]:
        raise ValueError(f"`joints` must lie in 0 … {count - 1} for poses of {count} joints, got {outside}.")
    return list(joints)


def _percentage(passed: Tensor, counted: Tensor) -> Tensor:
    """100 · Σ passed / Σ counted along the last axis, over what counts; NaN where nothing does."""
    return 100 * torch.where(counted, passed.double(), 0).sum(-1) / counted.sum(-1)


def _check_shape(name: str, values: Tensor, shape: torch.Size) -> None:
    if values.shape != shape:
        raise ValueError(
            f"`{name}` must have the shape of the target, {tuple(shape)}, got {tuple(values.shape)}."
        )
