"""The paper's numbers as data: all there, each found by its place, and adding up as in the paper."""

from collections import Counter

import pytest

from hemlets_lib.paper import ACTIONS, OWN, OWN_METHOD, RIVALS, TABLES, contradictions, paper_number


def test_all_76_are_there():
    per_table = Counter(table for table, _, _ in OWN)
    assert per_table == {"table1": 48, "table2": 7, "table3": 5, "table4": 8, "table5": 4, "runtime": 4}
    assert set(per_table) == set(TABLES)


@pytest.mark.parametrize(
    ("place", "value", "unit"),
    [
        (("table1", "protocol #1", "SittingD."), 60.8, "mm"),
        (("table1", "protocol #2", "Walk"), 22.9, "mm"),
        (("table1", "PA MPJPE", "Avg"), 27.9, "mm"),
        (("table2", "PA MPJPE", "Jogging S1"), 24.5, "mm"),
        (("table3", "3DPCK", "Outdoor"), 80.3, "%"),
        (("table4", "w/ HEMlets", "H3.6M #1*"), 46.0, "mm"),
        (("table5", "w/ FBI", "3DPCK"), 76.9, "%"),
        (("runtime", "Baseline", "forward pass"), 8.5, "ms"),
    ],
)
def test_numbers_by_their_place(place, value, unit):
    found = paper_number(*place)
    assert (found.value, found.unit, found.key) == (value, unit, place)


@pytest.mark.parametrize("row", ["protocol #1", "protocol #2", "PA MPJPE"])
def test_table_1_averages_its_actions(row):
    """Within what rounding, or cutting off, of 15 cells and their mean can do."""
    mean = sum(OWN["table1", row, action].value for action in ACTIONS) / len(ACTIONS)
    assert abs(mean - OWN["table1", row, "Avg"].value) < 0.1


def test_rivals_are_complete_rows():
    rows = Counter((each.table, each.row, each.method) for each in RIVALS)
    assert all(each.method != OWN_METHOD for each in RIVALS)
    assert {count for (table, *_), count in rows.items() if table == "table1"} == {16}
    assert Counter(table for table, _, _ in rows) == {"table1": 9 + 6 + 3, "table2": 5, "table3": 6}
    for key in (key for key in rows if key[0] == "table1"):
        values = {each.column: each.value for each in RIVALS if (each.table, each.row, each.method) == key}
        mean = sum(value for column, value in values.items() if column != "Avg") / len(ACTIONS)
        # Some average over frames instead of actions; a slip of the decimal point would be further off.
        assert abs(mean - values["Avg"]) < 2, key


def test_the_paper_against_itself():
    found = {each.where: each for each in contradictions()}
    assert "15.2" in found["Table 2"].says and "15.7" in found["Table 2"].found
    assert found["§4.3 on Table 4"].found.startswith("2.9 mm and 1.6 mm")
    behind = found["§4.2 on Table 1"].found
    assert (
        "protocol #2: behind in Direct to Yang [35]" in behind
        and "PA MPJPE: behind in WalkD. to Sun [28]" in behind
    )
    assert "protocol #1" not in behind
    variants = found["§4.3 on variants"]
    assert "MPII" in variants.says and "Human3.6M dataset only" in variants.found


def test_a_number_that_is_not_there():
    with pytest.raises(
        ValueError, match=r"the paper has no number \('table4', 'Full', '#2'\); expected one of"
    ):
        paper_number("table4", "Full", "#2")
