"""Finished cells held against each other seed by seed, and what is said of them: differences, curves, tables.

    found = Evidence.read(read_registry(), "laptop").setting("table4", "H3.6M #1")
    for each in differences(found, against="none"):
        print(each.label, signed(each.interval))

Pictures of all this are in `viz_experiments`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from hemlets_lib.experiments.design import MOST_SEEDS, Cell
from hemlets_lib.experiments.evidence import REAL, SEEDS, Evidence, Setting, run_command
from hemlets_lib.experiments.statistics import NOT_RUN, Interval, mean_interval, signed
from hemlets_lib.experiments.sweep import Gathered, TableRow
from hemlets_lib.experiments.verdicts import Judged
from hemlets_lib.protocols import get_protocol

__all__ = [
    "NOT_RUN",
    "BySeed",
    "Curve",
    "Difference",
    "InThreeD",
    "column_differences",
    "curves",
    "differences",
    "in_three_d",
    "origin_markdown",
    "origin_words",
    "paired_curves",
    "reading",
    "signed",
    "table_markdown",
    "verdicts_markdown",
]

BySeed = Mapping[int, float]
Curve = Mapping[int, float]  # images seen → value
_WITHOUT_3D = ("in_the_wild", "ordinal", "fbi")  # labelled by people who saw a picture


@dataclass(frozen=True)
class Difference:
    """How one thing differs from another, seed by seed.

    Args:
        label: What differs.
        pairs: Seed → difference; empty where it has not run.
        group: Heading that it stands under.
    """

    label: str
    pairs: BySeed
    group: str = ""

    @property
    def interval(self) -> Interval | None:
        """Over the seeds; None where it has not run."""
        return mean_interval(list(self.pairs.values())) if self.pairs else None


class InThreeD(NamedTuple):
    """How many 3D labels a training has."""

    pictures: int  # different ones
    of: int  # all different pictures
    percent: float  # of the pictures that it sees, those that come again counted again


def in_three_d(cell: Cell) -> InThreeD:
    """What share of a cell's pictures has 3D labels, from its roles.

    Args:
        cell: Which; the sizes of its training sets are those of drawn data.

    Returns:
        The counts.
    """
    different, labelled, seen = 0, 0, 0.0
    for role in cell.roles:
        number = role.length or cell.profile.pictures_of.get(role.name, cell.profile.pictures)
        flat = role.name.rpartition("-")[0] in _WITHOUT_3D
        kept = 0 if flat else -(-number // role.depth_every)
        different, labelled = different + number, labelled + kept
        seen += role.ratio * role.repeat * kept / (number + (role.repeat - 1) * kept)
    return InThreeD(labelled, different, 100 * seen / sum(role.ratio for role in cell.roles))


def differences(
    setting: Setting,
    *,
    against: str,
    conditions: Iterable[str] | None = None,
    score: str | None = None,
    mean: str = "columns",
    group: str | None = None,
) -> list[Difference]:
    """Conditions against one of them in one setting, paired over seeds.

    Args:
        setting: Of an experiment, from `Evidence.setting`.
        against: The condition compared with.
        conditions: Which; all others where left out.
        score: As for `Setting.score`.
        mean: Likewise.
        group: Heading that they stand under; the setting's name where left out.

    Returns:
        One for each condition, whether it has run or not.
    """
    options: dict[str, Any] = {"score": score, "mean": mean}
    baseline = setting.score(against, **options)
    names = conditions or setting.found.registry.experiment(setting.experiment).conditions
    return [
        Difference(name, (setting.score(name, **options) - baseline).values, group or setting.setting)
        for name in names
        if name != against
    ]


def column_differences(setting: Setting, condition: str, *, against: str, protocol: str) -> list[Difference]:
    """One condition against another in every column of a protocol's table, such as its actions.

    Args:
        setting: Of an experiment.
        condition: What is compared.
        against: With what.
        protocol: Whose first row and columns.

    Returns:
        One for each column, in the table's order.
    """
    layout = get_protocol(protocol)
    score = layout.rows[0].name

    def pairs(column: str) -> BySeed:
        own, other = (setting.score(name, score, column=column) for name in (condition, against))
        return (own - other).values

    return [Difference(column.heading, pairs(column.heading)) for column in layout.columns]


def curves(gathered: Gathered, cells: Iterable[Cell], field: str = "mpjpe_mm") -> dict[int, dict[int, float]]:
    """What the validations during finished cells' training gave.

    Args:
        gathered: Results.
        cells: Which of them, one for each seed.
        field: Of a validation's record.

    Returns:
        Seed → images seen → value.
    """
    found = {}
    for cell in cells:
        if cell.key in gathered.cells:
            records = gathered.cells[cell.key]["curve"]
            batch = cell.config.batch_size
            found[cell.seed] = {batch * each["step"]: each[field] for each in records if field in each}
    return found


def paired_curves(found: Mapping[int, Curve], baseline: Mapping[int, Curve]) -> dict[int, dict[int, float]]:
    """The difference of curves, seed by seed, wherever both have been measured.

    Args:
        found: Seed → images → value.
        baseline: Likewise; is subtracted.

    Returns:
        Seed → images → difference.
    """
    return {
        seed: {
            images: found[seed][images] - baseline[seed][images]
            for images in sorted(found[seed].keys() & baseline[seed].keys())
        }
        for seed in sorted(found.keys() & baseline.keys())
    }


def table_markdown(
    rows: Iterable[TableRow], *, settings: Iterable[str], conditions: Iterable[str], unit: str = ""
) -> str:
    """A table as Markdown: in each cell the mean over seeds and, below it, the paired difference.

    Args:
        rows: Of `sweep.table`; what they lack says "not run".
        settings: The columns.
        conditions: The rows.
        unit: Of the score.
    """
    there = {(row.setting, row.condition): row for row in rows}
    settings = list(settings)
    lines = [f"| {unit} | {' | '.join(settings)} |", "| --- |" + " ---: |" * len(settings)]
    for condition in conditions:
        cells = [_table_cell(there.get((setting, condition))) for setting in settings]
        lines.append(f"| {condition} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _table_cell(row: TableRow | None) -> str:
    if row is None:
        return NOT_RUN
    if row.difference is None:
        return f"{row.mean}"
    difference = signed(row.difference)
    return f"{row.mean}<br>{f'**{difference}**' if row.difference.excludes_zero else difference}"


def origin_words(gathered: Gathered, cells: Iterable[Cell], *, command: str = "") -> str:
    """Where results come from: profile, data, how many cells and seeds, commits, machines; what is missing.

    Args:
        gathered: Results.
        cells: Those that were wanted.
        command: What runs the missing ones.
    """
    wanted = {cell.key: cell for cell in cells}
    done = {key: gathered.cells[key] for key in wanted if key in gathered.cells}
    missing = "" if len(done) == len(wanted) else f" {len(wanted) - len(done)} {NOT_RUN}: `{command}`"
    if not done:
        return f"Profile {gathered.profile}: none of {len(wanted)} cells is committed.{missing}"
    seeds = sorted({wanted[key].seed for key in done})
    data = "/".join(sorted({kind for each in done.values() for kind in each["data"].values()}))
    commits = sorted({(each["git"]["commit"] or "unknown")[:10] for each in done.values()})
    machines = sorted(
        {
            f"{each['device']['cpu_cores']} cores {each['device']['name']}, {each['device']['device']}, "
            f"torch {each['packages']['torch']}"
            for each in done.values()
        }
    )
    days = sorted({each["time"][:10] for each in done.values()})
    return (
        f"Profile {gathered.profile}, {data} data: {len(done)} of {len(wanted)} cells, seeds "
        f"{', '.join(map(str, seeds))}; commit {', '.join(commits)}; {'; '.join(machines)}; "
        f"{' to '.join(dict.fromkeys((days[0], days[-1])))}.{missing}"
    )


def origin_markdown(
    evidence: Evidence,
    experiment: str,
    *,
    settings: Iterable[str] | None = None,
    conditions: Iterable[str] | None = None,
    profile: str | None = None,
    seeds: int = SEEDS,
) -> str:
    """Where the results of a table or figure come from, and what runs those that are missing, in italics.

    Args:
        evidence: What is at hand.
        experiment: Its name.
        settings: Which columns of its table; all where left out.
        conditions: Which rows; all where left out.
        profile: Another than the one asked for.
        seeds: How many are wanted; further ones count where they have run.

    Returns:
        Markdown, the words of `origin_words`.
    """
    entry, gathered = evidence.registry.experiment(experiment), evidence.of(profile or evidence.profile)
    size = evidence.registry.profile(gathered.profile.removesuffix(REAL))
    columns, rows = list(settings or entry.settings), list(conditions or entry.conditions)
    cells = [
        entry.cell(size, setting, condition, seed)
        for seed in range(MOST_SEEDS)
        for setting in columns
        for condition in rows
    ]
    wanted = [cell for cell in cells if cell.seed < seeds or cell.key in gathered.cells]
    only = () if set(columns) == set(entry.settings) else columns
    command = run_command(experiment, profile=gathered.profile, only=only, seeds=seeds).strip()
    return f"*{origin_words(gathered, wanted, command=command)}*"


def reading(
    interval: Interval | None, *, unit: str = "mm", lower: str = "lower", higher: str = "higher"
) -> str:
    """What a difference says, in words that a sentence can end with.

    Args:
        interval: A difference; None where it has not run.
        unit: Of it.
        lower: What to call a negative one.
        higher: What to call a positive one.
    """
    if interval is None:
        return NOT_RUN
    side = f"{abs(interval.mean):.1f}{{}} {unit} {lower if interval.mean < 0 else higher}"
    if interval.half_width is None:
        return f"{side.format('')} with the one seed there is, so without an interval"
    if interval.excludes_zero:
        return side.format(f" ± {interval.half_width:.1f}")
    return f"undecided, {signed(interval)} {unit}"


def verdicts_markdown(judged: Iterable[Judged], names: Iterable[str]) -> str:
    """Some claims of the paper with their verdicts, as a Markdown table.

    Args:
        judged: From `claims.judge_all`.
        names: Which claims, in order.

    Raises:
        ValueError: If one of them is no claim.
    """
    there = {each.claim.name: each for each in judged}
    lines = ["| the paper | judged here by | verdict | why |", "| --- | --- | --- | --- |"]
    for name in names:
        if name not in there:
            raise ValueError(f"`names` must be among {', '.join(there)}, got {name!r}.")
        each = there[name]
        says = f"{each.claim.says} ({each.claim.section})"
        cells = (says, each.claim.judged, f"**{each.verdict}**", each.reason)
        lines.append(f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |")
    return "\n".join(lines)
