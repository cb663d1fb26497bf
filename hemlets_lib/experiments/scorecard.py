"""The paper against this suite: for each of its own numbers what was measured here, and on what.

A stand-in's number is shown beside the paper's and never called better or worse: drawn people are not the
data set. A number that needs licensed data says so, with the command that fills it. `scorecard_page` makes a
page of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from hemlets_lib.experiments.design import Answer, Cell
from hemlets_lib.experiments.evidence import (
    REAL,
    SEEDS,
    Evidence,
    Place,
    forward_ratios,
    read_forward,
    result_file,
    run_command,
)
from hemlets_lib.experiments.registry import Registry
from hemlets_lib.experiments.statistics import Interval, mean_interval
from hemlets_lib.experiments.sweep import Gathered, values
from hemlets_lib.paper import OWN, PaperNumber, paper_number

__all__ = ["STATUSES", "ScoreRow", "Status", "scorecard", "summary"]

Status = Literal["measured", "other budget", "stand-in", "not run", "not measurable here"]
STATUSES: Mapping[Status, str] = {
    "measured": "the very quantity that the paper reports",
    "other budget": "on the real data, with another network, training or number of labels than the paper's",
    "stand-in": "the same computation on drawn people: beside the paper's number, never against it",
    "not run": "a command fills it",
    "not measurable here": "the note says why",
}
"""Each status and what it means."""

_MEASURED_BY_COUNTING = {"parameters": {"Full": "paper", "Baseline": "baseline"}}  # column → row → preset
_PAPER = "paper"  # the profile that trains as the paper does
_FORWARD = "benchmarks/results/forward.json"


@dataclass(frozen=True)
class ScoreRow:
    """One number of the paper and what answers to it.

    Args:
        paper: The paper's number.
        status: One of `STATUSES`.
        ours: Mean over seeds.
        data: What it was measured on: "drawn", "real", or in words; empty where it was not.
        results: Seed → the file that holds it, from the checkout.
        note: What a reader should know.
        command: What fills it, or adds the seeds that an interval wants; empty where nothing is missing.
        command_real: What measures it on the real data; empty where no data are needed.
    """

    paper: PaperNumber
    status: Status
    ours: Interval | None = None
    data: str = ""
    results: Mapping[int, str] = field(default_factory=dict)
    note: str = ""
    command: str = ""
    command_real: str = ""


def scorecard(
    registry: Registry,
    gathered: Gathered,
    *,
    profile: str,
    forward: Sequence[Mapping[str, Any]] | None = None,
) -> list[ScoreRow]:
    """All of the paper's own numbers, in its order.

    Args:
        registry: Which cells answer to which numbers.
        gathered: Finished cells of one profile.
        profile: Which; with "-real" at its end where they are of real data.
        forward: Measured forward passes, as in `evidence.Evidence`; the committed ones where left out.

    Returns:
        A row for each number of `paper.OWN`.

    Raises:
        ValueError: If there is no such profile.
    """
    answers = {
        answer.number: (name, answer)
        for name, each in registry.experiments.items()
        for answer in each.answers
    }
    evidence = Evidence(registry, profile, {profile: gathered})
    rows = []
    for key, number in OWN.items():
        if key in answers:
            rows.append(_from_cells(number, evidence, *answers[key]))
        elif number.column in _MEASURED_BY_COUNTING:
            rows.append(_parameters(number))
        else:
            rows.append(_runtime(number, read_forward() if forward is None else forward))
    return rows


def _from_cells(number: PaperNumber, evidence: Evidence, name: str, answer: Answer) -> ScoreRow:
    profile, only = evidence.profile, (answer.setting, answer.condition)
    done = evidence.finished(Place(profile, name, *only))
    found = values(
        evidence.gathered, done, protocol=answer.protocol, score=answer.score, column=answer.column,
        mean=answer.mean,
    )  # fmt: skip
    base = evidence.registry.profile(profile.removesuffix(REAL))
    cell = evidence.registry.experiment(name).cell(base, *only, seed=0)
    roles = cell.used_roles
    done = [cell for cell in done if cell.seed in found]
    kinds = {kind for cell in done for kind in evidence.gathered.cells[cell.key]["data"].values()}
    status: Status = "not run"
    if found:
        real: Status = "measured" if _has_papers_budget(cell) else "other budget"
        status = real if kinds == {"real"} else "stand-in"
    here = run_command(name, profile=profile, only=only, roles=roles if evidence.is_real else ())
    return ScoreRow(
        number,
        status,
        mean_interval(list(found.values())) if found else None,
        " and ".join(sorted(kinds)),
        {cell.seed: result_file(profile, cell) for cell in done},
        _note(cell, answer),
        "" if len(found) >= SEEDS else here,
        run_command(name, profile=f"{_PAPER}{REAL}", only=only, seeds=1, roles=roles),
    )


def _has_papers_budget(cell: Cell) -> bool:
    """Whether its network, training and labels are the paper's."""
    whole = all(role.length is None and role.depth_every == 1 for role in cell.roles)
    return cell.profile.name == _PAPER and whole


def _note(cell: Cell, answer: Answer) -> str:
    trained = " + ".join(role.name.removesuffix("-train") for role in cell.roles)
    return f"{answer.score}; trained on {trained}, network {cell.config.model.name}"


def _parameters(number: PaperNumber) -> ScoreRow:
    """Counted in the network itself; no run is needed."""
    import torch

    from hemlets_lib.model import HEMletsNet

    preset = _MEASURED_BY_COUNTING[number.column][number.row]
    with torch.device("meta"):  # shapes without memory
        count = sum(parameter.numel() for parameter in HEMletsNet.from_preset(preset).parameters())
    note = f"preset {preset}: {count:,} parameters in the network itself"
    return ScoreRow(number, "measured", Interval(count / 1e6, None, 1), "counted", note=note)


def _runtime(number: PaperNumber, forward: Sequence[Mapping[str, Any]]) -> ScoreRow:
    """The milliseconds are a GTX 1080's; what carries over is the ratio of the two networks."""
    full, baseline = (paper_number("runtime", row, number.column).value for row in ("Full", "Baseline"))
    ratios = forward_ratios(forward)
    here = ", ".join(f"{ratio:.2f} on {device}, batch {n}" for (device, n), ratio in ratios.items())
    return ScoreRow(
        number,
        "not measurable here",
        note=f"The milliseconds are a GTX 1080's. Full to baseline: {full / baseline:.2f} in the paper; "
        f"here {f'{here} ({_FORWARD})' if here else 'not run'}.",
        command="" if here else "python benchmarks/forward.py",
    )


def summary(rows: Sequence[ScoreRow]) -> dict[Status, int]:
    """How many numbers have which status.

    Args:
        rows: Of the scorecard.

    Returns:
        Status → count, for those that occur.
    """
    counts = {status: sum(row.status == status for row in rows) for status in STATUSES}
    return {status: count for status, count in counts.items() if count}
