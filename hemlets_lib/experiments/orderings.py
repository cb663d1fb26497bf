"""In which order: what a stand-in and the paper may be compared by, where their millimetres may not.

Drawn people are not the data set, so that 60 mm here and 45 mm there say nothing of each other. But which
action is the hardest, which supervision the best, is a statement within one set of people, and two such
statements agree or do not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from hemlets_lib.experiments.scorecard import ScoreRow

__all__ = ["Ordering", "orderings"]

_MEANS = ("Avg", "All")  # columns that average others, and would be ordered against their own parts
_WHAT = {
    "table1": "actions", "table2": "actions and subjects", "table3": "scenes", "table4": "supervisions",
    "table5": "label sources",
}  # fmt: skip
_ACROSS_ROWS = ("table4", "table5")  # there the rows are what differs; elsewhere the columns


@dataclass(frozen=True)
class Ordering:
    """Several numbers of the paper that differ in one thing, with ours beside them.

    Args:
        title: Table, and what the numbers have in common.
        what: What differs between them.
        names: Of the numbers, in the paper's order.
        paper: The paper's numbers.
        ours: Ours; on a stand-in they compare with each other alone.
        higher_is_better: Whether they are shares of joints that are right, and not errors.
    """

    title: str
    what: str
    names: tuple[str, ...]
    paper: tuple[float, ...]
    ours: tuple[float, ...]
    higher_is_better: bool = False

    @property
    def pairs(self) -> tuple[int, int]:
        """How many pairs are in the same order here as in the paper, of how many there are."""
        return sum(sign > 0 for sign in self._signs), len(self._signs)

    @property
    def tau(self) -> float:
        """Kendall's τ, from -1, every pair the other way round, to 1; 0 on average by chance.

        A pair that is tied, here or in the paper, counts among all pairs and on neither side (τ-a).
        """
        signs = self._signs
        return (sum(sign > 0 for sign in signs) - sum(sign < 0 for sign in signs)) / len(signs)

    @property
    def _signs(self) -> list[float]:
        """Of each pair: positive in the same order, negative in the other, zero where tied."""
        return [
            (self.paper[i] - self.paper[j]) * (self.ours[i] - self.ours[j])
            for i, j in combinations(range(len(self.names)), 2)
        ]


def orderings(rows: Sequence[ScoreRow]) -> list[Ordering]:
    """Everything on a scorecard that has an order, as far as it is filled.

    Args:
        rows: Of the scorecard; those without a result are left out, and means of others.

    Returns:
        One for each block of at least two numbers that have results and differ in one thing.
    """
    blocks: dict[tuple[str, str], list[ScoreRow]] = {}
    for row in rows:
        number = row.paper
        if row.ours is None or number.table not in _WHAT:
            continue
        if number.table in _ACROSS_ROWS:
            blocks.setdefault((number.table, number.column), []).append(row)
        elif number.column not in _MEANS:
            blocks.setdefault((number.table, number.row), []).append(row)
    return [
        Ordering(
            title=f"{_heading(table)}, {common}",
            what=_WHAT[table],
            names=tuple(r.paper.row if table in _ACROSS_ROWS else r.paper.column for r in block),
            paper=tuple(r.paper.value for r in block),
            ours=tuple(r.ours.mean for r in block if r.ours is not None),
            higher_is_better=block[0].paper.unit == "%",
        )
        for (table, common), block in blocks.items()
        if len(block) > 1
    ]


def _heading(table: str) -> str:
    """`table1` as people write it."""
    return f"Table {table.removeprefix('table')}"
