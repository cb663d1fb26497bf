"""The numbers of the paper, each with its table, row and column: what a scorecard is held against.

    paper_number("table1", "protocol #1", "Sitting").value      45.6

`OWN` lists the 76 that the paper reports of its own method, `RIVALS` what it quotes of others. Values are
typed from the paper's tables and text as they stand there, with their contradictions (`contradictions`).

Source: Zhou et al., ICCV 2019, Tables 1-5 and §4.3 ('Regarding the runtime …').
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

__all__ = [
    "ACTIONS",
    "OWN",
    "OWN_METHOD",
    "RIVALS",
    "TABLES",
    "PaperNumber",
    "contradictions",
    "paper_number",
]

OWN_METHOD = "ours"
ACTIONS = (
    "Direct", "Discuss", "Eating", "Greet", "Phone", "Photo", "Pose", "Purch.", "Sitting", "SittingD.",
    "Smoke", "Wait", "WalkD.", "Walk", "WalkT.",
)  # fmt: skip
"""The columns of Table 1, as printed."""


@dataclass(frozen=True)
class PaperNumber:
    """One number of the paper.

    Args:
        table: "table1" … "table5", or "runtime" for the figures in the text.
        row: Which block or row of the table.
        column: As printed.
        value: The number.
        unit: "mm", "%", "M parameters" or "ms".
        method: Whose; `OWN_METHOD` for the paper's own.
    """

    table: str
    row: str
    column: str
    value: float
    unit: str
    method: str = OWN_METHOD

    @property
    def key(self) -> tuple[str, str, str]:
        """Table, row, column."""
        return self.table, self.row, self.column


TABLES: Mapping[str, str] = MappingProxyType(
    {
        "table1": "MPJPE on Human3.6M under protocol #1 and #2, and PA MPJPE",
        "table2": "HumanEva-I, validation set",
        "table3": "MPI-INF-3DHP test set, trained without its training data",
        "table4": "Alternative intermediate supervision, Human3.6M protocol #1; * without MPII",
        "table5": "Augmenting data sets with depth order, 3DPCK on MPI-INF-3DHP",
        "runtime": "Parameters, and one forward pass on a GTX 1080",
    }
)
"""Each table and what it shows."""

_TABLE1 = {
    "protocol #1": """
    LinKDE [9] 132.7 183.6 132.3 164.4 162.1 205.9 150.6 171.3 151.6 243.0 162.1 170.7 177.1 96.6 127.9 162.1
    Tome [31] 65.0 73.5 76.8 86.4 86.3 110.7 68.9 74.8 110.2 173.9 85.0 85.8 86.3 71.4 73.1 88.4
    Rogez [22] 76.2 80.2 75.8 83.3 92.2 105.7 79.0 71.7 105.9 127.1 88.0 83.7 86.6 64.9 84.0 87.7
    Tekin [30] 54.2 61.4 60.2 61.2 79.4 78.3 63.1 81.6 70.1 107.3 69.3 70.3 74.3 51.8 74.3 69.7
    Martinez [13] 53.3 60.8 62.9 62.7 86.4 82.4 57.8 58.7 81.9 99.8 69.1 63.9 67.1 50.9 54.8 67.5
    Fang [7] 50.1 54.3 57.0 57.1 66.6 73.3 53.4 55.7 72.8 88.6 60.3 57.7 62.7 47.5 50.6 60.4
    Pavlakos [19] 48.5 54.4 54.4 52.0 59.4 65.3 49.9 52.9 65.8 71.1 56.6 52.9 60.9 44.7 47.8 56.2
    Sárándi [24] 51.2 58.7 51.7 53.4 56.8 59.3 50.7 52.6 65.5 73.2 56.8 51.4 56.6 47.0 42.4 55.8
    Sun [28] 47.5 47.7 49.5 50.2 51.4 55.8 43.8 46.4 58.9 65.7 49.4 47.8 49.0 38.9 43.8 49.6
    ours 34.4 42.4 36.6 42.1 38.2 39.8 34.7 40.2 45.6 60.8 39.0 42.6 42.0 29.8 31.7 39.9
    """,
    "protocol #2": """
    Nie [17] 90.1 88.2 85.7 95.6 103.9 92.4 90.4 117.9 136.4 98.5 103.0 94.4 86.0 90.6 89.5 97.5
    Chen [4] 53.3 46.8 58.6 61.2 56.0 58.1 41.4 48.9 55.6 73.4 60.3 45.0 76.1 62.2 51.1 57.5
    Martinez [13] 39.5 43.2 46.4 47.0 51.0 56.0 41.4 40.6 56.5 69.4 49.2 45.0 49.5 38.0 43.1 47.7
    Fang [7] 38.2 41.7 43.7 44.9 48.5 55.3 40.2 38.2 54.5 64.4 47.2 44.3 47.3 36.7 41.7 45.7
    Pavlakos [19] 34.7 39.8 41.8 38.6 42.5 47.5 38.0 36.6 50.7 56.8 42.6 39.6 43.9 32.1 36.5 41.8
    Yang [35] 26.9 30.9 36.3 39.9 43.9 47.4 28.8 29.4 36.9 58.4 41.5 30.5 29.5 42.5 32.2 37.7
    ours 29.1 34.9 29.9 32.6 31.2 32.3 27.0 33.3 37.6 45.9 32.2 31.5 34.5 22.9 25.9 32.1
    """,
    "PA MPJPE": """
    Yasin [36] 88.4 72.5 108.5 110.2 97.1 81.6 107.2 119.0 170.8 108.2 142.5 86.9 92.1 165.7 102.0 108.3
    Sun [28] 36.9 36.2 40.6 40.4 41.9 34.9 35.7 50.1 59.4 40.4 44.9 39.0 30.8 39.8 36.7 40.6
    Dabral [6] 28.0 30.7 39.1 34.4 37.1 44.8 28.9 32.2 39.3 60.6 39.3 31.1 37.8 25.3 28.4 36.3
    ours 21.6 27.0 29.7 28.3 27.3 32.1 23.5 30.3 30.0 37.7 30.1 25.3 34.2 19.2 23.2 27.9
    """,
}
_TABLE2 = """
    Simo-Serra [27] 65.1 48.6 73.5 74.2 46.6 32.2 56.7
    Moreno-Noguer [15] 19.7 13.0 24.9 39.7 20.0 21.0 26.9
    Martinez [13] 19.7 17.4 46.8 26.9 18.2 18.6 24.6
    Fang [7] 19.4 16.8 37.4 30.4 17.6 16.3 22.9
    Pavlakos [19] 18.8 12.7 29.2 23.5 15.4 14.5 18.3
    ours 13.5 9.9 17.1 24.5 14.8 14.4 15.2
"""
_TABLE2_COLUMNS = (
    *(f"{action} {who}" for action in ("Walking", "Jogging") for who in ("S1", "S2", "S3")),
    "Avg",
)
_TABLE3 = """
    Mehta [14] 70.8 62.3 58.8 64.7 31.7
    Zhou [37] 71.1 64.7 72.7 69.2 32.5
    Pavlakos [19] 76.5 63.1 77.5 71.9 35.3
    ours 75.6 71.3 80.3 75.3 38.0
"""
_TABLE3_COLUMNS = (
    ("3DPCK", "Studio GS"),
    ("3DPCK", "Studio no GS"),
    ("3DPCK", "Outdoor"),
    ("3DPCK", "All"),
    ("AUC", "All"),
)
_TABLE4 = {
    "Baseline": (47.1, 55.3),
    "w/ 2D heatmaps": (44.2, 49.9),
    "w/ HEMlets": (42.6, 46.0),
    "Full": (39.9, 45.1),
}
_TABLE4_COLUMNS = ("H3.6M #1", "H3.6M #1*")
_TABLE5 = {"Base": 75.3, "w/ Ordinal": 76.1, "w/ FBI": 76.9, "w/ FBI + Ordinal": 76.5}
_RUNTIME = {
    ("Full", "parameters"): (47.7, "M parameters"),
    ("Full", "forward pass"): (13.3, "ms"),
    ("Baseline", "parameters"): (34.3, "M parameters"),
    ("Baseline", "forward pass"): (8.5, "ms"),
}


def _lines(table: str, row: str, columns: tuple[str, ...], unit: str, text: str) -> Iterator[PaperNumber]:
    """A method a line: its name, then a number for each column."""
    for line in text.strip().splitlines():
        words = line.split()
        method, values = " ".join(words[: -len(columns)]), words[-len(columns) :]
        for column, value in zip(columns, values, strict=True):
            yield PaperNumber(table, row, column, float(value), unit, method)


def _all() -> Iterator[PaperNumber]:
    for row, text in _TABLE1.items():
        yield from _lines("table1", row, (*ACTIONS, "Avg"), "mm", text)
    yield from _lines("table2", "PA MPJPE", _TABLE2_COLUMNS, "mm", _TABLE2)
    for number in _lines("table3", "", tuple(map(" ".join, _TABLE3_COLUMNS)), "%", _TABLE3):
        row, _, column = number.column.partition(" ")
        yield replace(number, row=row, column=column)
    for row, values in _TABLE4.items():
        for column, value in zip(_TABLE4_COLUMNS, values, strict=True):
            yield PaperNumber("table4", row, column, value, "mm")
    for row, value in _TABLE5.items():
        yield PaperNumber("table5", row, "3DPCK", value, "%")
    for (row, column), (value, unit) in _RUNTIME.items():
        yield PaperNumber("runtime", row, column, value, unit)


_EVERY = tuple(_all())
OWN: Mapping[tuple[str, str, str], PaperNumber] = MappingProxyType(
    {number.key: number for number in _EVERY if number.method == OWN_METHOD}
)
"""(table, row, column) → the paper's own number; 48 + 7 + 5 + 8 + 4 + 4."""
RIVALS: tuple[PaperNumber, ...] = tuple(number for number in _EVERY if number.method != OWN_METHOD)
"""What the paper quotes of other methods; context, never a target."""


def paper_number(table: str, row: str, column: str) -> PaperNumber:
    """One of the paper's own numbers.

    Args:
        table: As in `TABLES`.
        row: As in `PaperNumber`.
        column: As printed.

    Raises:
        ValueError: If the paper has no such number; names what is there.
    """
    if (table, row, column) not in OWN:
        near: list[object] = [key for key in OWN if key[0] == table] or list(TABLES)
        raise ValueError(f"the paper has no number {(table, row, column)}; expected one of {near}.")
    return OWN[table, row, column]


@dataclass(frozen=True)
class Contradiction:
    """Where the paper disagrees with itself: what it says, and what its own numbers come to."""

    where: str
    says: str
    found: str


def contradictions() -> tuple[Contradiction, ...]:
    """The paper against itself, computed from its own numbers.

    Returns:
        One entry for each place where two of its statements cannot both hold.
    """

    def row_of(table: str, row: str, columns: tuple[str, ...]) -> list[float]:
        return [OWN[table, row, column].value for column in columns]

    def lost_to(row: str) -> list[str]:
        """Columns of Table 1 in which somebody quoted there is better."""
        rivals = [each for each in RIVALS if (each.table, each.row) == ("table1", row)]
        better = [each for each in rivals if each.value < OWN["table1", row, each.column].value]
        return [f"{each.column} to {each.method}" for each in better]

    cells = row_of("table2", "PA MPJPE", _TABLE2_COLUMNS[:-1])
    baseline, heatmaps, hemlets = (OWN["table4", row, "H3.6M #1"].value for row in list(_TABLE4)[:3])
    beaten = {row: lost_to(row) for row in _TABLE1}
    return (
        Contradiction(
            "Table 2",
            f"Avg {OWN['table2', 'PA MPJPE', 'Avg'].value}",
            f"its cells average {sum(cells) / len(cells):.1f}",
        ),
        Contradiction(
            "§4.3 on Table 4",
            "2D heatmaps gain 3.0 mm, HEMlets 1.7 mm over them",
            f"{baseline - heatmaps:.1f} mm and {heatmaps - hemlets:.1f} mm in the table",
        ),
        Contradiction(
            "§4.2 on Table 1",
            "outperforms all competing methods on all action subjects",
            "; ".join(f"{row}: behind in {', '.join(names)}" for row, names in beaten.items() if names),
        ),
        Contradiction(
            "Tables 3 and 5",
            "75.3 % 'trained from Human3.6M only' (§4.1)",
            "the same 75.3 % as Base, 'Human3.6M and MPII', in Table 5",
        ),
        Contradiction(
            "§4.3 on variants",
            "they were tried 'on Human3.6M and MPII 2D pose datasets'",
            "trained 'with the Human3.6M dataset only', it says further down, and so does Fig. 6",
        ),
        Contradiction(
            "Protocol #2",
            "§4.1: training on six subjects, testing on S11, alignment at the hip",
            "Table 1 quotes under it what Martinez et al. and others report after Procrustes, on S9 and S11",
        ),
    )
