"""The scorecard as one page: verdicts on the paper's claims, then every number of its tables.

It opens from disk without a network or scripts, is light or dark as the reader's system is, and says with
words and signs what it says with colour.
"""

from __future__ import annotations

import html
import os
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path

from hemlets_lib.experiments.evidence import SEEDS, run_commands
from hemlets_lib.experiments.registry import Registry
from hemlets_lib.experiments.scorecard import STATUSES, ScoreRow, summary
from hemlets_lib.experiments.statistics import Interval
from hemlets_lib.experiments.verdicts import VERDICTS, Case, Contrast, Judged, by_chance
from hemlets_lib.pages import html_page
from hemlets_lib.paper import RIVALS, TABLES, PaperNumber, contradictions

__all__ = ["counted", "scorecard_html", "write_scorecard"]

_SIGNS = {
    "reproduced": "✓", "not reproduced": "✗", "undecided": "?", "not measurable here": "–", "not run": "○",
    "measured": "●", "other budget": "◕", "stand-in": "◐",
}  # fmt: skip
_CONDITIONS = (
    "<b>none</b>: no intermediate loss · <b>2d</b>: 2D heatmaps, Eq. 4 · <b>hemlets</b>: triplets, Eq. 3 · "
    "<b>full</b>: both, Eq. 7, called HEMlets beside variants and rivals · <b>H3.6M #1</b>: 3D people and "
    "people in the wild with 2D labels · <b>#1*</b>: the former alone · <b>few 3D</b>: 3D labels on few of "
    "those pictures"
)


def scorecard_html(
    rows: Sequence[ScoreRow],
    judged: Sequence[Judged],
    *,
    registry: Registry,
    profile: str,
    checkout: str = "..",
) -> str:
    """The page.

    Args:
        rows: Of the scorecard.
        judged: The claims with their verdicts.
        registry: Of the experiments, for the commands that fill what has not run.
        profile: Which profile answers.
        checkout: Address of the checkout as seen from the page, for links to results.

    Returns:
        HTML.
    """
    counts = ", ".join(f"{count} {status}" for status, count in summary(rows).items())
    sections = {
        "claims": "Claims",
        **{table: _title(table) for table in TABLES},
        "contradictions": "Contradictions",
    }
    links = "".join(f'<a href="#{anchor}">{html.escape(name)}</a>' for anchor, name in sections.items())
    legend = "".join(f"<li>{_badge(status)} {html.escape(text)}</li>" for status, text in STATUSES.items())
    body = (
        f"<header>\n<h1>HEMlets Pose: the paper against this suite</h1>\n"
        f"<p>{len(judged)} claims: {html.escape(counted(judged))}.</p>\n"
        f"<p>{len(rows)} numbers of the paper's own method: {html.escape(counts)}. "
        f"Profile <code>{html.escape(profile)}</code>.</p>\n</header>\n"
        f'<nav aria-label="Sections">{links}</nav>\n'
        f"{_claims(judged, registry)}\n"
        f'<section aria-labelledby="numbers"><h2 id="numbers">The numbers</h2>\n'
        f"<p>A mean over seeds with its 95 % interval. The seeds lead to their results.</p>\n"
        f'<ul class="legend">{legend}</ul></section>\n'
        f"{''.join(_table(table, rows, checkout) for table in TABLES)}\n{_contradictions()}"
    )
    return html_page("HEMlets: the scorecard", body, style=_STYLE)


def write_scorecard(
    path: Path,
    rows: Sequence[ScoreRow],
    judged: Sequence[Judged],
    *,
    registry: Registry,
    profile: str,
) -> None:
    """Writes the page, its links leading from where it lies to the checkout's results.

    Args:
        path: The page; its folder is made where it is not there.
        rows: Arguments as in `scorecard_html`.
        judged: Likewise.
        registry: Likewise.
        profile: Likewise.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    checkout = Path(__file__).resolve().parents[2]
    try:
        address = Path(os.path.relpath(checkout, path.resolve().parent)).as_posix()
    except ValueError:  # another drive
        address = checkout.as_uri()
    page = scorecard_html(rows, judged, registry=registry, profile=profile, checkout=address)
    path.write_text(page, encoding="utf-8")


def counted(judged: Iterable[Judged]) -> str:
    """How many claims have which verdict, in words.

    Args:
        judged: The claims.
    """
    verdicts = [each.verdict for each in judged]
    return ", ".join(f"{n} {verdict}" for verdict in VERDICTS if (n := verdicts.count(verdict)))


def _title(table: str) -> str:
    return table.capitalize().replace("Table", "Table ")


def _badge(status: str) -> str:
    return f'<span class="badge {status.replace(" ", "-")}">{_SIGNS[status]}&nbsp;{status}</span>'


def _claims(judged: Sequence[Judged], registry: Registry) -> str:
    entries = "\n".join(_claim(each, registry) for each in judged)
    return (
        f'<section aria-labelledby="claims"><h2 id="claims">The claims</h2>\n'
        "<p>A verdict is about direction and order on the data at hand, never about the paper's "
        "millimetres: seeds are compared in pairs, and what counts is on which side of zero the 95 % "
        "interval of the mean difference lies. A claim is decided in the setting nearest to the paper's "
        f"that has {SEEDS} seeds, or, where none has, fewer.</p>\n"
        f"<p>{html.escape(str(by_chance(judged)))}</p>\n"
        f'<p class="soft">{_CONDITIONS}.</p>\n{_overview(judged)}\n{entries}</section>'
    )


def _overview(judged: Sequence[Judged]) -> str:
    lines = []
    for each in judged:
        contrasts = each.case.contrasts if each.case and each.verdict != "not run" else ()
        differences = "<br>".join(contrast.shown for contrast in contrasts)
        says = f'<a href="#claim-{each.claim.name}">{html.escape(each.claim.says)}</a>'
        lines.append(
            f'<tr><td>{_badge(each.verdict)}</td><th scope="row">{says}</th>'
            f'<td class="number optional">{differences}</td></tr>'
        )
    heads = (
        '<th scope="col">verdict</th><th scope="col">claim</th>'
        '<th scope="col" class="number optional">differences</th>'
    )
    return f'<table class="overview"><thead><tr>{heads}</tr></thead><tbody>{"".join(lines)}</tbody></table>'


def _claim(each: Judged, registry: Registry) -> str:
    claim = each.claim
    where = f"; decided in {each.case.setting}, {_seeds(each.case.seeds)}" if each.case else ""
    numbers = "; ".join(
        f"{_title(n.table)}, {n.row}, {n.column}: {n.value:.1f} {n.unit}" for n in claim.paper
    )
    remark = f"<p>{html.escape(each.remark)}</p>" if each.remark else ""
    fill = _FILL if each.verdict == "not run" else _MORE
    commands = _commands(fill, run_commands(registry, each.to_run))
    paper = f"<p class='soft'>The paper: {html.escape(numbers)}.</p>" if numbers else ""
    details = "" if not each.cases else (
        f"<details><summary>{_number_of(len(each.cases), 'setting')}, "
        f"{_number_of(sum(len(case.contrasts) for case in each.cases), 'comparison')}</summary>"
        f"{_contrasts(each.cases)}</details>"
    )  # fmt: skip
    return (
        f'<article id="claim-{claim.name}"><div>{_badge(each.verdict)}</div><div>\n'
        f"<h3>{html.escape(claim.says)} <small>{html.escape(claim.section)}</small></h3>\n"
        f"<p>{html.escape(each.reason)}</p>\n{remark}{commands}\n"
        f'<p class="soft">Judged by {html.escape(claim.judged)}; profile {html.escape(each.profile)}'
        f"{html.escape(where)}.</p>\n{paper}{details}</div></article>"
    )


def _contrasts(cases: Sequence[Case]) -> str:
    spans = [abs(i.mean) + (i.half_width or 0) for case in cases for c in case.contrasts if (i := c.interval)]
    widest = max(spans, default=0) or 1.0
    lines = []
    for case in cases:
        lines.append(f'<tr><th scope="rowgroup" colspan="4">{html.escape(case.setting)}</th></tr>')
        for contrast in case.contrasts:
            shown = "" if contrast.interval is None else contrast.shown
            lines.append(
                f"<tr><td>{html.escape(contrast.what)}</td>"
                f'<td class="number">{shown}{_drawn(contrast, widest)}</td>'
                f'<td class="number">{contrast.seeds}</td>'
                f"<td>{_badge(contrast.verdict)}</td></tr>"
            )
    heads = "".join(
        f'<th scope="col"{style}>{name}</th>'
        for name, style in (("compared", ""), ("difference", _RIGHT), ("seeds", _RIGHT), ("verdict", ""))
    )
    table = f"<table><thead><tr>{heads}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
    return _scrolling(table, "Comparisons in each setting")


def _drawn(contrast: Contrast, widest: float) -> str:
    """A mean with its interval on a line through zero; the claimed side is shaded."""
    interval = contrast.interval
    if interval is None:
        return ""

    def place(value: float) -> float:
        return 70 + 64 * value / widest

    half, middle = interval.half_width or 0.0, place(interval.mean)
    ends = (place(interval.mean - half), place(interval.mean + half))
    side = "above" if contrast.wanted > 0 else "below"
    words = html.escape(f"{contrast}; claimed: {side} zero")
    return (
        f'<svg viewBox="0 0 140 16" width="140" height="16" role="img" aria-label="{words}">'
        f'<rect class="side" x="{70 if contrast.wanted > 0 else 0}" width="70" height="16"/>'
        f'<line class="zero" x1="70" x2="70" y1="0" y2="16"/>'
        f'<line class="span" x1="{ends[0]:.1f}" x2="{ends[1]:.1f}" y1="8" y2="8"/>'
        f'<circle cx="{middle:.1f}" cy="8" r="3.5"/></svg>'
    )


def _table(table: str, rows: Sequence[ScoreRow], checkout: str) -> str:
    groups = groupby((row for row in rows if row.paper.table == table), key=_shared)
    inner = "".join(_group(list(group), checkout) for _, group in groups)
    heads = "".join(
        f'<th scope="col"{style}>{name}</th>'
        for name, style in (("column", ""), ("paper", _RIGHT), ("here", _RIGHT), ("data", ""), ("seeds", ""))
    )
    rivals = [number for number in RIVALS if number.table == table]
    title = f"{_title(table)}: {html.escape(TABLES[table])}"
    return (
        f'<section aria-labelledby="{table}"><h2 id="{table}">{title}</h2>\n'
        f'<table class="scores"><thead><tr>{heads}</tr></thead>{inner}</table>\n{_rivals(rivals)}</section>'
    )


def _shared(row: ScoreRow) -> tuple[str, str, str, str]:
    """What the rows of a group have in common, said once above them."""
    return row.paper.row, row.note, row.command, row.command_real


def _group(rows: Sequence[ScoreRow], checkout: str) -> str:
    first = rows[0]
    note = f'<p class="soft">{html.escape(first.note)}</p>' if first.note else ""
    fill = _FILL if first.ours is None else _MORE
    commands = _commands(fill, (first.command,)) + _commands("On the real data", (first.command_real,))
    head = f'<tr><th scope="rowgroup" colspan="5">{html.escape(first.paper.row)}{note}{commands}</th></tr>'
    return f"<tbody>{head}{''.join(_line(row, checkout) for row in rows)}</tbody>"


def _line(row: ScoreRow, checkout: str) -> str:
    number = row.paper
    ours = "" if row.ours is None else f"{_mean(row.ours, counted=not row.results)} {number.unit}<br>"
    seeds = " ".join(
        f'<a href="{html.escape(f"{checkout}/{path}")}" title="Result of seed {seed}">{seed}</a>'
        for seed, path in row.results.items()
    )
    return (
        f'<tr><th scope="row">{html.escape(number.column)}</th>'
        f'<td class="number">{number.value:.1f} {number.unit}</td>'
        f'<td class="number">{ours}{_badge(row.status)}</td>'
        f"<td>{html.escape(row.data)}</td><td>{seeds}</td></tr>"
    )


def _mean(ours: Interval, *, counted: bool) -> str:
    """With its interval; what was counted has none."""
    return f"{ours.mean:.1f}" if counted else str(ours)


def _rivals(numbers: Sequence[PaperNumber]) -> str:
    if not numbers:
        return ""
    tables = []
    for row, group in groupby(numbers, key=lambda number: number.row if number.table != "table3" else ""):
        there = list(group)
        columns = list(dict.fromkeys(_column(number) for number in there))
        lines = "".join(
            f'<tr><th scope="row">{html.escape(method)}</th>'
            + "".join(f'<td class="number">{number.value:.1f}</td>' for number in theirs)
            + "</tr>"
            for method, theirs in groupby(there, key=lambda number: number.method)
        )
        heads = "".join(f'<th scope="col"{_RIGHT}>{html.escape(column)}</th>' for column in columns)
        title = f"<caption>{html.escape(row)}</caption>" if row else ""
        table = f'<table class="rivals">{title}<tr><th scope="col">method</th>{heads}</tr>{lines}</table>'
        tables.append(_scrolling(table, f"Other methods {row}".strip()))
    return (
        f"<details><summary>{len(numbers)} numbers that the paper quotes of other methods</summary>"
        f'<p class="soft">Context, in {numbers[0].unit}: not measured here, and never a target.</p>'
        f"{''.join(tables)}</details>"
    )


def _column(number: PaperNumber) -> str:
    return f"{number.row}, {number.column}" if number.table == "table3" else number.column


def _contradictions() -> str:
    entries = "".join(
        f"<dt>{html.escape(each.where)}</dt><dd>The paper: {html.escape(each.says)}.<br>"
        f"Its own numbers: {html.escape(each.found)}.</dd>"
        for each in contradictions()
    )
    return (
        '<section aria-labelledby="contradictions"><h2 id="contradictions">Where the paper contradicts '
        f"itself</h2>\n<dl>{entries}</dl></section>"
    )


def _commands(title: str, commands: Iterable[str]) -> str:
    lines = "\n".join(html.escape(command) for command in commands if command)
    if not lines:
        return ""
    return f"<details><summary>{title}</summary><pre tabindex='0'>{lines}</pre></details>"


def _scrolling(table: str, label: str) -> str:
    return f'<div class="wide" role="region" tabindex="0" aria-label="{html.escape(label)}">{table}</div>'


def _number_of(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _seeds(count: int) -> str:
    return _number_of(count, "seed")


_RIGHT = ' class="number"'
_FILL, _MORE = "To fill it", "For more seeds"
_STYLE = """:root { --good: #00684c; --bad: #a33a12; --open: #8a5a00; --blue: #005a92; --grey: #5d6673; }
@media (prefers-color-scheme: dark) {
  :root { --good: #4cc9a0; --bad: #f2946c; --open: #e6b450; --blue: #74bdf0; --grey: #9aa4b1; }
}
html { scroll-behavior: smooth; }
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto; } }
main { max-width: 1180px; }
h1 { font-size: 1.7rem; line-height: 1.25; }
h2 { font-size: 1.3rem; margin: 2.5rem 0 .6rem; scroll-margin-top: 3rem; }
h3 { font-size: 1.02rem; line-height: 1.4; margin: 0 0 .3rem; }
h3 small { font-weight: normal; color: var(--soft); margin-left: .3rem; }
a { color: var(--blue); }
:is(a, summary, [tabindex]):focus-visible { outline: 2px solid var(--blue); outline-offset: 2px; }
p { margin: 0 0 .5rem; max-width: 80ch; }
.soft { color: var(--soft); font-size: .92rem; font-weight: normal; }
nav { position: sticky; top: 0; z-index: 1; display: flex; flex-wrap: nowrap; gap: .25rem 1.1rem;
  overflow-x: auto; padding: .55rem 0; margin-top: 1rem; background: var(--paper);
  border-bottom: 1px solid var(--line); }
nav a { white-space: nowrap; text-decoration: none; }
nav a:hover { text-decoration: underline; }
article { display: grid; grid-template-columns: 12.5rem 1fr; gap: .5rem 1rem; padding: 1rem 1.1rem;
  margin: 0 0 .8rem; background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  scroll-margin-top: 3.5rem; }
article > div { min-width: 0; }
.badge { color: var(--grey); white-space: nowrap; font-size: .92rem; }
article > div > .badge { font-size: 1rem; font-weight: 600; }
.badge.reproduced, .badge.measured { color: var(--good); }
.badge.not-reproduced { color: var(--bad); }
.badge.undecided { color: var(--open); }
.badge:is(.stand-in, .other-budget) { color: var(--blue); }
.legend { list-style: none; padding: 0; margin: 0; font-size: .92rem; }
table { border-collapse: collapse; width: 100%; background: var(--card); }
th, td { text-align: left; padding: .35rem .6rem; border-bottom: 1px solid var(--line);
  vertical-align: top; font-weight: normal; }
thead th { font-size: .88rem; color: var(--soft); }
th[scope=rowgroup] { font-weight: 600; padding-top: .9rem; background: var(--paper); }
th[scope=rowgroup] p { margin: .1rem 0; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
.scores td.number { white-space: nowrap; }
td a { display: inline-block; padding: 0 .35rem; }
caption { text-align: left; padding: .6rem 0 .3rem; font-weight: 600; }
.rivals :is(th, td) { padding: .2rem .45rem; white-space: nowrap; font-size: .88rem; }
.wide { overflow-x: auto; }
details { margin: .35rem 0; font-weight: normal; }
summary { cursor: pointer; color: var(--blue); width: fit-content; font-size: .92rem; }
pre { margin: .4rem 0; padding: .6rem .8rem; border: 1px solid var(--line); border-radius: 6px;
  overflow-x: auto; font-size: .84rem; white-space: pre-wrap; overflow-wrap: anywhere; }
svg { display: block; margin: .25rem 0 0 auto; }
.side { fill: var(--line); opacity: .6; }
.zero { stroke: var(--soft); stroke-dasharray: 2 2; }
.span { stroke: var(--ink); stroke-width: 2; }
circle { fill: var(--ink); }
.overview { margin-bottom: 1.5rem; }
.overview .number { white-space: nowrap; }
dt { font-weight: 600; margin-top: .8rem; }
dd { margin: 0; max-width: 80ch; }
@media (max-width: 640px) {
  main { padding: 1.2rem .9rem; }
  article { grid-template-columns: 1fr; padding: .8rem .9rem; }
  .scores :is(th, td) { padding: .35rem .2rem; font-size: .82rem; }
  .scores td.number, .scores .badge, .overview .badge { white-space: normal; }
  .optional { display: none; }
}
@media print { nav { display: none; } article { break-inside: avoid; } }
"""
