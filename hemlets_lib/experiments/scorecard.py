"""The paper against this suite: for each of its own numbers what was measured here, and on what.

A stand-in's number is shown beside the paper's and never called better or worse: drawn people are not the
data set. A number that needs licensed data says so, with the command that fills it.
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from hemlets_lib.experiments.registry import Answer, Cell, Registry
from hemlets_lib.experiments.statistics import Interval, mean_interval
from hemlets_lib.experiments.sweep import Gathered, values
from hemlets_lib.paper import OWN, TABLES, PaperNumber

__all__ = ["ScoreRow", "Status", "scorecard", "scorecard_html", "summary"]

Status = Literal["measured", "stand-in", "not run", "not measurable here"]
_MEASURED_BY_COUNTING = {"parameters": {"Full": "paper", "Baseline": "baseline"}}  # column → row → preset


@dataclass(frozen=True)
class ScoreRow:
    """One number of the paper and what answers to it.

    Args:
        paper: The paper's number.
        status: "measured": the very quantity; "stand-in": the same computation on drawn data; "not run": its
            cell has not run; "not measurable here": why, in `note`.
        ours: Mean over seeds.
        data: What it was measured on.
        results: The files that hold it, under `experiments/results`.
        note: What a reader should know.
        command: What fills it on the real data.
    """

    paper: PaperNumber
    status: Status
    ours: Interval | None = None
    data: str = ""
    results: tuple[str, ...] = ()
    note: str = ""
    command: str = ""


def scorecard(registry: Registry, gathered: Gathered, *, profile: str) -> list[ScoreRow]:
    """All of the paper's own numbers, in its order.

    Args:
        registry: Which cells answer to which numbers.
        gathered: Finished cells of one profile.
        profile: Which.

    Returns:
        A row for each number of `paper.OWN`.
    """
    answers = {
        answer.number: (name, answer)
        for name, each in registry.experiments.items()
        for answer in each.answers
    }
    rows = []
    for key, number in OWN.items():
        if key in answers:
            rows.append(_from_cells(number, registry, gathered, profile, *answers[key]))
        elif number.column in _MEASURED_BY_COUNTING:
            rows.append(_parameters(number))
        else:
            rows.append(_runtime(number))
    return rows


def _from_cells(
    number: PaperNumber, registry: Registry, gathered: Gathered, profile: str, name: str, answer: Answer
) -> ScoreRow:
    experiment = registry.experiment(name)
    cells = experiment.over_seeds(registry.profile(profile), answer.setting, answer.condition)
    roles = [*(role.name for role in cells[0].roles), *cells[0].tests.values()]
    real = " ".join(f"--real {role}=FOLDER" for role in dict.fromkeys(roles))
    only = f'--only "{answer.setting}" --only "{answer.condition}"'
    command = f"hemlets experiments run {name} --profile paper {only} {real}"
    found = values(
        gathered, cells, protocol=answer.protocol, score=answer.score, column=answer.column, mean=answer.mean
    )
    if not found:
        return ScoreRow(number, "not run", command=command, note=f"no finished cell in profile {profile}")
    done = [cell for cell in cells if cell.seed in found]
    kinds = {kind for cell in done for kind in gathered.cells[cell.key]["data"].values()}
    return ScoreRow(
        number,
        "measured" if kinds == {"real"} else "stand-in",
        mean_interval(list(found.values())),
        _data(done[0], "/".join(sorted(kinds))),
        tuple(f"cells/{gathered.profile}/{cell.key}.json" for cell in done),
        f"{answer.score}; network {done[0].config.model.name}",
        command,
    )


def _data(cell: Cell, kinds: str) -> str:
    return f"{kinds}: {' + '.join(role.name.removesuffix('-train') for role in cell.roles)}"


def _parameters(number: PaperNumber) -> ScoreRow:
    """Counted in the network itself; no run is needed."""
    from hemlets_lib.model import HEMletsNet

    preset = _MEASURED_BY_COUNTING[number.column][number.row]
    count = sum(parameter.numel() for parameter in HEMletsNet.from_preset(preset).parameters())
    note = f"preset {preset}: {count:,} parameters"
    return ScoreRow(number, "measured", Interval(count / 1e6, None, 1), "the network itself", note=note)


def _runtime(number: PaperNumber) -> ScoreRow:
    return ScoreRow(
        number, "not measurable here", note="needs the same card, a GTX 1080; ratios are in benchmarks/",
        command="python benchmarks/forward.py",
    )  # fmt: skip


def summary(rows: list[ScoreRow]) -> Mapping[str, int]:
    """How many numbers have which status.

    Args:
        rows: Of the scorecard.

    Returns:
        Status → count.
    """
    counts: dict[str, int] = {}
    for row in rows:
        counts[row.status] = counts.get(row.status, 0) + 1
    return counts


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>HEMlets: scorecard</title>
<style>
 body {{ font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; }}
 table {{ border-collapse: collapse; width: 100%; margin: 0 0 2rem; }}
 th, td {{ text-align: left; padding: .25rem .6rem; border-bottom: 1px solid #ddd; vertical-align: top; }}
 td.number {{ text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }}
 .stand-in {{ color: #0072b2; }} .measured {{ color: #00734f; }}
 .not {{ color: #767676; }} code {{ font-size: .85em; }}
</style></head><body>
<h1>The paper against this run</h1>
<p>{lead}</p>
{tables}
</body></html>
"""


def scorecard_html(rows: list[ScoreRow], *, profile: str) -> str:
    """The scorecard as a page that opens without a network.

    Args:
        rows: Of the scorecard.
        profile: Which profile it shows.

    Returns:
        HTML.
    """
    counts = ", ".join(f"{count} {status}" for status, count in summary(rows).items())
    lead = (
        f"{len(rows)} numbers of the paper's own method: {counts}. Profile {html.escape(profile)}. A "
        "stand-in is the same computation on drawn people: its millimetres compare with each other and "
        "never with the paper's."
    )
    tables = []
    for table, title in TABLES.items():
        lines = [_line(row) for row in rows if row.paper.table == table]
        headings = ("row", "column", "paper", "here", "results", "data", "note")
        head = "<tr>" + "".join(f"<th>{heading}</th>" for heading in headings) + "</tr>"
        tables.append(
            f"<h2>{table.capitalize()}: {html.escape(title)}</h2><table>{head}{''.join(lines)}</table>"
        )
    return _PAGE.format(lead=lead, tables="\n".join(tables))


def _line(row: ScoreRow) -> str:
    number = row.paper
    kind = row.status.split()[0]
    ours = row.status if row.ours is None else f"{row.ours} ({row.status})"
    links = " ".join(f'<a href="{html.escape(path)}">{n}</a>' for n, path in enumerate(row.results, 1))
    note = html.escape(row.note)
    if row.command:
        note += f"<br><code>{html.escape(row.command)}</code>"
    cells: list[tuple[str, Any]] = [
        ("", html.escape(number.row)), ("", html.escape(number.column)),
        ("number", f"{number.value:g} {number.unit}"), (f"number {kind}", html.escape(ours)),
        ("", links), ("", html.escape(row.data)), ("", note),
    ]  # fmt: skip
    return "<tr>" + "".join(f'<td class="{style}">{value}</td>' for style, value in cells) + "</tr>"
