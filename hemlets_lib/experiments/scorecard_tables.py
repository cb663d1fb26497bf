"""The scorecard in a notebook: the paper's tables with ours beside them, and the verdicts, as Markdown.

`scorecard_page` has the same as a page of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from hemlets_lib.experiments.scorecard import ScoreRow
from hemlets_lib.experiments.verdicts import VERDICTS, Judged

__all__ = ["claims_markdown", "footing_markdown", "paper_table_markdown"]

_SIDEWAYS = ("table4", "table5", "runtime")  # there the paper's rows are what differs
_DIGITS_OF_A_KEY = 6


def paper_table_markdown(rows: Sequence[ScoreRow], table: str) -> str:
    """One of the paper's tables, each number with ours beside it.

    Args:
        rows: Of the scorecard.
        table: Its key in `paper.TABLES`.
    """
    of_table = [row for row in rows if row.paper.table == table]
    places = {_place(row, table): row for row in of_table}
    across = dict.fromkeys(column for _, column in places)
    units = {column: row.paper.unit for (_, column), row in reversed(places.items())}
    heading = " | ".join(f"{column} ({units[column]}), paper | here" for column in across)
    lines = [f"| | {heading} |", "|---|" + "---:|---:|" * len(across)]
    for name in dict.fromkeys(name for name, _ in places):
        cells = [_both(places.get((name, column))) for column in across]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _place(row: ScoreRow, table: str) -> tuple[str, str]:
    """A number's row and column in the Markdown table."""
    number = row.paper
    return (number.row, number.column) if table in _SIDEWAYS else (number.column, number.row)


def _both(row: ScoreRow | None) -> str:
    return "| " if row is None else f"{row.paper.value:.1f} | {_ours(row)}"


def _ours(row: ScoreRow) -> str:
    if row.ours is None:
        return row.status
    if row.paper.table == "runtime":  # counted: there is nothing to average
        return f"{row.ours.mean:.1f}"
    return f"*{row.ours}*" if row.status == "stand-in" else f"{row.ours}"


def footing_markdown(rows: Sequence[ScoreRow], table: str, *, checkout: str = "..") -> str:
    """What stands below a table, folded: notes, links to the seeds' results, commands.

    Args:
        rows: Of the scorecard.
        table: Its key.
        checkout: The way from the notebook to the files' root.
    """
    of_table = [row for row in rows if row.paper.table == table]
    files = dict.fromkeys(path for row in of_table for path in row.results.values())
    links = [f"[{Path(path).stem[:_DIGITS_OF_A_KEY]}]({checkout}/{path})" for path in files]
    lines = [f"- {note}" for note in _each(row.note for row in of_table)]
    lines += [f"- results: {', '.join(links)}"] if links else []
    lines += [f"- to fill or to add seeds: `{command}`" for command in _each(row.command for row in of_table)]
    lines += [f"- on the real data: `{command}`" for command in _each(row.command_real for row in of_table)]
    return "<details><summary>notes, results, commands</summary>\n\n" + "\n".join(lines) + "\n\n</details>"


def _each(words: Iterable[str]) -> list[str]:
    return [word for word in dict.fromkeys(words) if word]


def claims_markdown(judged: Iterable[Judged]) -> str:
    """All claims with their verdicts, those reproduced first.

    Args:
        judged: From `claims.judge_all`.
    """
    lines = ["| claim | where | verdict | because |", "|---|---|---|---|"]
    for each in sorted(judged, key=lambda each: VERDICTS.index(each.verdict)):
        where = each.case.setting.replace("*", "\\*") if each.case else ""  # "H3.6M #1*" is no emphasis
        setting = f" *({where})*" if where else ""
        cells = (each.claim.says, each.claim.section, f"**{each.verdict}**", f"{each.reason}{setting}")
        lines.append(f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |")
    return "\n".join(lines)
