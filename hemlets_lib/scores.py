"""What predicted poses are worth: every metric of a protocol, as tables, as JSON and in words.

Nothing here looks at pictures. Poses may come from `evaluate`, or from anywhere else.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from hemlets_lib.data.sample import Meta
from hemlets_lib.metrics import (
    EVALUATED_JOINTS,
    ActionTable,
    PolarityAccuracy,
    action_table,
    auc_3d,
    joint_errors,
    mpjpe,
    pa_mpjpe,
    pck_3d,
    polarity_accuracy,
    reverse_pa_mpjpe,
)
from hemlets_lib.protocols import Protocol
from hemlets_lib.skeleton import HEMLETS18, Skeleton
from hemlets_lib.triplets import get_variant, part_states

__all__ = ["MEAN_OF_COLUMNS", "MEAN_OF_SAMPLES", "Evaluation", "Poses", "score_poses"]

MEAN_OF_COLUMNS, MEAN_OF_SAMPLES = "Avg of columns", "Avg of frames"
_METRICS: Mapping[str, Callable[..., Tensor]] = MappingProxyType(
    {
        "mpjpe": mpjpe,
        "pa_mpjpe": pa_mpjpe,
        "reverse_pa_mpjpe": reverse_pa_mpjpe,
        "pck_3d": pck_3d,
        "auc_3d": auc_3d,
    }
)


@dataclass(frozen=True, eq=False)
class Poses:
    """N predicted poses beside the true ones, and where they come from.

    Args:
        predicted_mm: Camera axes, millimetres; where the root lies does not matter.
        target_mm: The same; NaN where unknown, the root known.
        metas: Of the samples.
        decoded_states: Parts' states from predicted triplets; None without an intermediate branch.
    """

    predicted_mm: Float[Tensor, "N J 3"]
    target_mm: Float[Tensor, "N J 3"]
    metas: tuple[Meta, ...]
    decoded_states: Int[Tensor, "N K"] | None = None


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What was measured, and how.

    Args:
        protocol: By which.
        tables: For each of its rows, by name.
        joint_errors_mm: Mean distance of each joint, root upon root; NaN where no sample has it.
        polarity: Accuracy of the parts' states in percent, by where the states come from.
        part_names: Of the parts, as "parent → child".
        statements: Joints, alignment, frames, the root's depth, …: what a number means.
        counts: Samples and joints that counted, and those that did not.
    """

    protocol: Protocol
    tables: Mapping[str, ActionTable]
    joint_errors_mm: Mapping[str, float]
    polarity: Mapping[str, PolarityAccuracy]
    part_names: tuple[str, ...]
    statements: Mapping[str, str] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON; None where there is no number."""
        rows = {}
        for row in self.protocol.rows:
            table = self.tables[row.name]
            rows[row.name] = {
                "metric": row.metric,
                "unit": row.unit,
                "reading": row.reading,
                "columns": {heading: _or_none(mean) for heading, mean in table.means.items()},
                "samples": dict(table.counts),
                "mean_of_columns": _or_none(table.mean_of_actions),
                "mean_of_samples": _or_none(table.mean_of_frames),
            }
        polarity = {
            source: {
                "overall": _or_none(accuracy.overall),
                "parts": dict(zip(self.part_names, map(_or_none, accuracy.per_part.tolist()), strict=True)),
            }
            for source, accuracy in self.polarity.items()
        }
        return {
            "protocol": self.protocol.name,
            "rows": rows,
            "joint_errors_mm": {name: _or_none(error) for name, error in self.joint_errors_mm.items()},
            "polarity_percent": polarity,
            "statements": dict(self.statements),
            "counts": dict(self.counts),
        }

    def table_markdown(self, *, digits: int = 1) -> str:
        """The table in the paper's layout, a line for each row of the protocol; '–' stands for no samples."""
        rows = [
            [f"{row.name} ({row.unit})", *table.means.values(), table.mean_of_actions, table.mean_of_frames]
            for row in self.protocol.rows
            for table in (self.tables[row.name],)
        ]
        columns = next(iter(self.tables.values())).means
        return _table(["", *columns, MEAN_OF_COLUMNS, MEAN_OF_SAMPLES], rows, digits)

    def to_markdown(self, *, digits: int = 1) -> str:
        """The table, the errors by joint, the accuracy by part, and what they mean."""
        joints = [[name.replace("_", " "), error] for name, error in self.joint_errors_mm.items()]
        per_part = [accuracy.per_part.tolist() for accuracy in self.polarity.values()]
        parts = [[part, *values] for part, *values in zip(self.part_names, *per_part, strict=True)]
        parts.append(["all", *(accuracy.overall for accuracy in self.polarity.values())])
        readings = [f"- {row.name}: {row.reading}" for row in self.protocol.rows if row.reading]
        means = [f"- {name}: {text}" for name, text in self.statements.items()]
        counts = [f"- {name}: {count}" for name, count in self.counts.items()]
        sections = (
            f"## {self.protocol.title}", self.table_markdown(digits=digits), "\n".join(readings),
            "## Mean error of each joint, mm", _table(["joint", "mm"], joints, digits),
            "## Accuracy of the parts' states, %", _table(["part", *self.polarity], parts, digits),
            "## What the numbers mean", "\n".join([*means, *counts]),
        )  # fmt: skip
        return "\n\n".join(section for section in sections if section) + "\n"


def score_poses(
    poses: Poses,
    protocol: Protocol,
    *,
    skeleton: Skeleton = HEMLETS18,
    variant: str = "hemlets",
) -> Evaluation:
    """Every metric of a protocol, for poses that are at hand.

    Args:
        poses: All of them of the protocol.
        protocol: Says which joints count, and what to average.
        skeleton: The order of the poses' joints; supplies the parts.
        variant: In which parts' states are compared.

    Raises:
        ValueError: If there is no pose, one is not of the protocol, a joint that counts is not finite, or the
            skeleton lacks a joint of the protocol.
    """
    skeleton.check_joints(poses.target_mm, "target_mm")
    headings = [protocol.column_of(meta) for meta in poses.metas]
    counted = [heading for heading in headings if heading is not None]
    if not counted or len(counted) < len(headings):
        raise ValueError(
            f"`poses` must be of protocol {protocol.name!r} ({protocol.wanted()}), got "
            f"{len(headings) - len(counted)} of {len(headings)} that are not. Leave them out."
        )
    joints = [skeleton.index(name) for name in protocol.joints]
    joints = joints or list(range(min(EVALUATED_JOINTS, skeleton.num_joints)))
    valid = poses.target_mm.isfinite().all(-1)
    pair: dict[str, Any] = {
        "predicted": poses.predicted_mm, "target": poses.target_mm, "valid": valid, "joints": joints,
    }  # fmt: skip
    order = [column.heading for column in protocol.columns] or None
    tables = {}
    for row in protocol.rows:
        root = {} if "pa_mpjpe" in row.metric else {"root": skeleton.root}
        values = _METRICS[row.metric](**pair, **root)
        if row.subjects:
            of_row = torch.tensor([meta.subject in row.subjects for meta in poses.metas])
            values = torch.where(of_row, values, torch.nan)
        tables[row.name] = action_table(values, counted, order=order)
    per_joint = joint_errors(**pair, root=skeleton.root).nanmean(0)
    names = [skeleton.joint_names[index] for index in joints]
    reverse = any(row.metric == "reverse_pa_mpjpe" for row in protocol.rows)
    name, moved, fixed = (
        ("reverse PA-MPJPE", "truth", "prediction") if reverse else ("PA-MPJPE", "prediction", "truth")
    )
    statements = {
        "joints": f"{len(names)} of {skeleton.name!r}, where they are labelled: {', '.join(names)}",
        "alignment": f"{skeleton.joint_names[skeleton.root]} upon {skeleton.joint_names[skeleton.root]}; for "
        f"{name} the {moved} is rotated, moved and scaled, never mirrored, onto the {fixed}",
        "averages": f"'{MEAN_OF_COLUMNS}' lets every column count alike (the field's usual one), "
        f"'{MEAN_OF_SAMPLES}' every sample",
    }
    if empty := [heading for heading in order or () if heading not in counted]:
        statements["columns without samples"] = ", ".join(empty)
    statements |= {"note": protocol.note} if protocol.note else {}
    statements |= {"source": protocol.source} if protocol.source else {}
    return Evaluation(
        protocol=protocol,
        tables=tables,
        joint_errors_mm=dict(zip(names, per_joint.tolist(), strict=True)),
        polarity=_polarity(poses, skeleton, variant),
        part_names=tuple(" → ".join(part).replace("_", " ") for part in skeleton.part_names),
        statements=statements,
        counts={"samples counted": len(counted), "joints counted": int(valid[:, joints].sum())},
    )


def _polarity(poses: Poses, skeleton: Skeleton, variant: str) -> dict[str, PolarityAccuracy]:
    """Of the decoded triplets, of the predicted joints' depths, and of who always bets on the commonest."""
    truth = part_states(poses.target_mm, skeleton, variant=variant)
    largest = get_variant(variant).max_state
    frequency = torch.stack([(truth == state).sum(0) for state in range(-largest, largest + 1)])  # (S, K)
    commonest = (frequency.argmax(0) - largest).expand_as(truth)
    states = {
        "decoded triplets": poses.decoded_states,
        "predicted joints": part_states(poses.predicted_mm, skeleton, variant=variant),
        "always the commonest state": commonest,
    }
    return {
        source: polarity_accuracy(predicted=said, target=truth)
        for source, said in states.items()
        if said is not None
    }


def _or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _table(headings: Sequence[str], rows: Sequence[Sequence[Any]], digits: int) -> str:
    def cell(value: Any) -> str:
        if isinstance(value, str):
            return value
        return f"{value:.{digits}f}" if math.isfinite(value) else "–"

    lines = [[*headings], ["---", *["---:"] * (len(headings) - 1)], *([cell(v) for v in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
