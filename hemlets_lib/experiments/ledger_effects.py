"""What the ledger's open choices do to the numbers: each entry beside the conditions that choose otherwise.

    registry = read_registry()
    found = effects(registry.experiment("ledger"), registry.profile("laptop"), read_gathered("laptop"),
                    score="MPJPE, S9 + S11")
    for each in found:
        print(each.entry.topic, each.condition, each.difference)

One choice has no alternative to train with, Eq. (1) at the very threshold: there the labels are counted that
it could touch.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import torch

from hemlets_lib.data.sample import Sample
from hemlets_lib.experiments.design import Experiment, Profile
from hemlets_lib.experiments.statistics import Interval
from hemlets_lib.experiments.sweep import Gathered, table
from hemlets_lib.ledger import LEDGER, Entry
from hemlets_lib.skeleton import HEMLETS18, Skeleton
from hemlets_lib.triplets import EPSILON_RATIO, part_lengths

__all__ = ["Effect", "Ties", "count_ties", "effects"]


@dataclass(frozen=True)
class Effect:
    """A choice of the ledger, made otherwise.

    Args:
        entry: The choice.
        condition: Of the experiment: how else.
        mean: Of the score, over seeds; None where nothing has run.
        difference: To the library's own choice, paired over seeds; None without common seeds.
    """

    entry: Entry
    condition: str
    mean: Interval | None
    difference: Interval | None


class Ties(NamedTuple):
    """How near parts come to the threshold of Eq. (1)."""

    parts: int  # with both ends known in space
    exact: int  # |z_p - z_c| = ε_k to the last bit
    nearest: float  # smallest ||z_p - z_c| - ε_k| / ‖B_k‖; infinite without parts


def effects(
    experiment: Experiment, profile: Profile, gathered: Gathered, *, score: str, protocol: str | None = None
) -> list[Effect]:
    """Every alternative that entries of the ledger name, in its order, and what it was measured to do.

    Args:
        experiment: The registry's `ledger`, with one setting.
        profile: In which profile.
        gathered: Results.
        score: Name of a row of the protocol, "MPJPE, S9 + S11".
        protocol: The experiment's own where left out.

    Returns:
        An effect for each entry and condition, those that have not run included.

    Raises:
        ValueError: If the experiment has several settings, or lacks a condition that an entry names.
    """
    if len(experiment.settings) != 1:
        raise ValueError(f"`experiment` must have one setting, got {', '.join(experiment.settings)}.")
    rows = {
        row.condition: row for row in table(experiment, profile, gathered, score=score, protocol=protocol)
    }
    found = []
    for entry in LEDGER:
        for condition in entry.conditions:
            if condition not in experiment.conditions:
                raise ValueError(
                    f"`experiment` must have the condition {condition!r} that the ledger names under "
                    f"{entry.topic!r}; {experiment.name} has {', '.join(experiment.conditions)}."
                )
            row = rows.get(condition)
            mean, difference = (None, None) if row is None else (row.mean, row.difference)
            found.append(Effect(entry, condition, mean, difference))
    return found


def count_ties(
    samples: Iterable[Sample], skeleton: Skeleton = HEMLETS18, *, epsilon_ratio: float = EPSILON_RATIO
) -> Ties:
    """How many labels of depth order hang on what Eq. (1) says of |z_p - z_c| = ε.

    Parts of length 0 count: they are level either way, for a difference of 0 has no sign.

    Args:
        samples: Those without joints in space are passed over.
        skeleton: Supplies the parts.
        epsilon_ratio: ε_k / ‖B_k‖.
    """
    parts, exact, nearest = 0, 0, float("inf")
    for sample in samples:
        if sample.joints_cam_mm is None:
            continue
        joints, lengths = sample.joints_cam_mm, part_lengths(sample.joints_cam_mm, skeleton)
        steep = (joints[skeleton.part_parents, 2] - joints[skeleton.part_children, 2]).abs()
        known = lengths.isfinite()
        steep, lengths = steep[known], lengths[known]
        parts += len(lengths)
        exact += int((steep == epsilon_ratio * lengths).sum())
        away = torch.where(lengths > 0, (steep - epsilon_ratio * lengths).abs() / lengths, 0)
        nearest = min(nearest, float(away.min())) if len(away) else nearest
    return Ties(parts, exact, nearest)
