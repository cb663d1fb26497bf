"""Evaluation protocols as data: whose samples count, which joints, and the table they fill.

A protocol looks at nothing but a sample's `Meta`. Drawn counterparts bear the data sets' own names of
subjects and actions, so that they go through the very same code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

from hemlets_lib.data.sample import Meta
from hemlets_lib.metrics import EVALUATED_JOINTS, MPI_INF_3DHP_JOINTS
from hemlets_lib.skeleton import HEMLETS18

__all__ = ["PROTOCOLS", "Column", "Protocol", "Row", "get_protocol", "is_drawn"]

Metric = Literal["mpjpe", "pa_mpjpe", "reverse_pa_mpjpe", "pck_3d", "auc_3d"]

_H36M_JOINTS = HEMLETS18.joint_names[:EVALUATED_JOINTS]


def is_drawn(meta: Meta) -> bool:
    """Whether the picture was drawn (`data.synthetic`), with its frame chosen on purpose."""
    return meta.source.startswith("drawn")


@dataclass(frozen=True)
class Column:
    """A column of a table, and the samples that it averages.

    Args:
        heading: As printed in the paper.
        subjects: Whose; anybody's where empty.
        actions: A data set's names for what they do; anything where empty.
    """

    heading: str
    subjects: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()

    def holds(self, meta: Meta) -> bool:
        """Whether a sample belongs here."""
        return (not self.subjects or meta.subject in self.subjects) and (
            not self.actions or meta.action in self.actions
        )


@dataclass(frozen=True)
class Row:
    """A row of a table: one metric over some subjects.

    Args:
        name: Says exactly what is measured.
        metric: Function of `hemlets_lib.metrics`.
        subjects: Only these of the protocol's; all where empty.
        reading: What the literature calls it.
    """

    name: str
    metric: Metric
    subjects: tuple[str, ...] = ()
    reading: str = ""

    @property
    def unit(self) -> str:
        return "mm" if self.metric.endswith("mpjpe") else "%"


@dataclass(frozen=True)
class Protocol:
    """How a data set is scored.

    Args:
        name: For the command line.
        title: Above the table.
        rows: Of the table.
        columns: Of the table; where empty, a column for each action (or data set) that occurs.
        subjects: Whose samples count; everybody's where empty.
        joints: The joints that count, by name; where empty, the first 17 of the skeleton.
        frame_step: Of recorded videos every so many frames count; drawn samples all do.
        source: Where all this is written down.
        note: What a reader of the numbers should know.
    """

    name: str
    title: str
    rows: tuple[Row, ...]
    columns: tuple[Column, ...] = ()
    subjects: tuple[str, ...] = ()
    joints: tuple[str, ...] = ()
    frame_step: int = 1
    source: str = ""
    note: str = ""

    def column_of(self, meta: Meta) -> str | None:
        """The heading under which a sample counts; None where it does not."""
        if self.subjects and meta.subject not in self.subjects:
            return None
        if not self.columns:
            return meta.action or meta.dataset or "all"
        return next((column.heading for column in self.columns if column.holds(meta)), None)

    def wanted(self) -> str:
        """Whose samples of what count, in words."""
        whose = f"subjects {', '.join(self.subjects)}" if self.subjects else "any subject"
        actions = dict.fromkeys(action for column in self.columns for action in column.actions)
        return f"{whose}; " + (f"actions {', '.join(actions)}" if actions else "any action")


H36M = Protocol(
    "h36m",
    "Human3.6M, the layout of Table 1",
    rows=(
        Row("MPJPE, S9 + S11", "mpjpe", reading="protocol #1"),
        Row("MPJPE, S11", "mpjpe", ("S11",), reading="protocol #2, aligned at the root"),
        Row(
            "PA-MPJPE, S9 + S11",
            "pa_mpjpe",
            reading="PA MPJPE; protocol #2 of Martinez et al. [13] and after",
        ),
        Row("PA-MPJPE, S11", "pa_mpjpe", ("S11",), reading="protocol #2, Procrustes"),
    ),
    columns=(
        Column("Direct", actions=("Directions",)),
        Column("Discuss", actions=("Discussion",)),
        Column("Eating", actions=("Eating",)),
        Column("Greet", actions=("Greeting",)),
        Column("Phone", actions=("Phoning",)),
        Column("Photo", actions=("Photo", "TakingPhoto")),
        Column("Pose", actions=("Posing",)),
        Column("Purch.", actions=("Purchases",)),
        Column("Sitting", actions=("Sitting",)),
        Column("SittingD.", actions=("SittingDown",)),
        Column("Smoke", actions=("Smoking",)),
        Column("Wait", actions=("Waiting",)),
        Column("WalkD.", actions=("WalkDog", "WalkingDog")),
        Column("Walk", actions=("Walking",)),
        Column("WalkT.", actions=("WalkTogether",)),
    ),
    subjects=("S9", "S11"),
    joints=_H36M_JOINTS,
    frame_step=64,
    source="§4.1; Ionescu et al. 2014 [9]; every 64th frame: Moon et al. 2019",
    note="Protocol #2 is told in two ways, S11 alone or after Procrustes, so all four numbers are given. The "
    "paper says S11; the methods in its block 'Protocol #2' (Martinez et al. [13] and after) print PA-MPJPE "
    "over S9 and S11. Paper silent on whether its own row there was aligned.",
)

# The release's table alone: its mirror image and its way to a distance are options of `evaluate`, and
# `evaluate_as_released` (`hemlets eval --mode official`) sets all three.
H36M_OFFICIAL = replace(
    H36M,
    name="h36m_official",
    title="Human3.6M, as the authors' release scores it",
    rows=(
        Row("MPJPE, S9 + S11", "mpjpe", reading="protocol #1 of the release"),
        Row("MPJPE, S11", "mpjpe", ("S11",), reading="the subject that the release evaluates"),
        Row("Reverse PA-MPJPE, S9 + S11", "reverse_pa_mpjpe", reading="protocol #2 of the release"),
        Row("Reverse PA-MPJPE, S11", "reverse_pa_mpjpe", ("S11",)),
    ),
    source="the authors' inference code: metric_3d.py, validate_evl.py",
    note="The release scores a video at a time and prints each action's mean; the averages are ours. Its "
    "protocol #2 lays the truth over the prediction, with scale: not to be held against the literature's. "
    "The protocol is the table alone; the release's flip test and distance come with --mode official.",
)

HUMANEVA = Protocol(
    "humaneva",
    "HumanEva-I, the layout of Table 2",
    rows=(
        Row("PA-MPJPE", "pa_mpjpe", reading="what the methods of Table 2 print"),
        Row("MPJPE", "mpjpe", reading="aligned at the root"),
    ),
    columns=tuple(
        Column(f"{heading} {subject}", (subject,), actions)
        for heading, actions in (("Walking", ("Walking",)), ("Jogging", ("Jog", "Jogging")))
        for subject in ("S1", "S2", "S3")
    ),
    subjects=("S1", "S2", "S3"),
    joints=tuple(joint for joint in _H36M_JOINTS if joint not in ("torso", "nose")),
    source="§4.1; Sigal et al. 2010 [26]; the validation sequences of Bo and Sminchisescu [2]",
    note="Paper silent on the alignment in Table 2: both errors are given.",
)

MPI_INF_3DHP = Protocol(
    "mpi_inf_3dhp",
    "MPI-INF-3DHP, the layout of Table 3",
    rows=(
        Row("3DPCK", "pck_3d", reading="joints closer than 150 mm"),
        Row("AUC", "auc_3d", reading="mean of 3DPCK over 0, 5, … 150 mm"),
    ),
    columns=(
        Column("Studio GS", ("TS1", "TS2")),
        Column("Studio no GS", ("TS3", "TS4")),
        Column("Outdoor", ("TS5", "TS6")),
    ),
    subjects=("TS1", "TS2", "TS3", "TS4", "TS5", "TS6"),
    joints=tuple(HEMLETS18.joint_names[index] for index in MPI_INF_3DHP_JOINTS),
    source="§4.1; Mehta et al. 2017 [14] and their evaluation script",
    note="Table 3's 'All' is the average over frames. The official script compares with joints normalised to "
    "one height, `univ_annot3`; here it is with those that the samples hold. The reader's split 'test' "
    "has the normalised ones, 'test_measured' those in true millimetres.",
)

EVERYTHING = Protocol(
    "all",
    "All samples with 3D joints",
    rows=(
        Row("MPJPE", "mpjpe", reading="aligned at the root"),
        Row("PA-MPJPE", "pa_mpjpe"),
        Row("3DPCK", "pck_3d", reading="joints closer than 150 mm"),
        Row("AUC", "auc_3d", reading="mean of 3DPCK over 0, 5, … 150 mm"),
    ),
    note="Not a protocol of the paper: for motion capture and photographs of your own.",
)

PROTOCOLS: Mapping[str, Protocol] = MappingProxyType(
    {protocol.name: protocol for protocol in (H36M, H36M_OFFICIAL, HUMANEVA, MPI_INF_3DHP, EVERYTHING)}
)


def get_protocol(name: str) -> Protocol:
    """A protocol by name.

    Raises:
        ValueError: If there is none of that name.
    """
    if name not in PROTOCOLS:
        raise ValueError(f"`protocol` must be one of {', '.join(map(repr, PROTOCOLS))}, got {name!r}.")
    return PROTOCOLS[name]
