"""The scorecard: all 76 numbers, none compared where it must not be, and every link a file."""

import json
from html.parser import HTMLParser

import pytest

from hemlets_lib.experiments.cells import Workplace
from hemlets_lib.experiments.registry import read_registry
from hemlets_lib.experiments.scorecard import scorecard, scorecard_html, summary
from hemlets_lib.experiments.sweep import Gathered, read_gathered
from hemlets_lib.paper import ACTIONS, OWN


@pytest.fixture(scope="module")
def registry():
    return read_registry()


def finished(registry, seeds, kind="drawn"):
    """The cell of Tables 1, 3 and 4 (full, with 2D data), as if it had run."""
    experiment, profile = registry.experiment("table4"), registry.profile("laptop")
    cells = {}
    for seed in seeds:
        cell = experiment.cell(profile, "H3.6M #1", "full", seed)
        mm = {
            "columns": dict.fromkeys(ACTIONS, 60.0 + seed),
            "mean_of_columns": 61.0 + seed,
            "mean_of_samples": 0.0,
        }
        percent = {
            "columns": dict.fromkeys(("Studio GS", "Studio no GS", "Outdoor"), 80.0),
            "mean_of_columns": 80.0,
            "mean_of_samples": 81.0,
        }
        names = ("MPJPE, S9 + S11", "PA-MPJPE, S11", "PA-MPJPE, S9 + S11")
        cells[cell.key] = {
            "data": {role.name: kind for role in cell.roles},
            "scores": {
                "h36m": {"rows": dict.fromkeys(names, mm)},
                "mpi_inf_3dhp": {"rows": dict.fromkeys(("3DPCK", "AUC"), percent)},
            },
        }  # fmt: skip
    return Gathered("laptop", cells)


def test_all_76_numbers_in_the_papers_order(registry):
    rows = scorecard(registry, Gathered("laptop", {}), profile="laptop")
    assert [row.paper.key for row in rows] == list(OWN)
    assert summary(rows) == {"not run": 72, "measured": 2, "not measurable here": 2}
    assert all(
        row.command.startswith(("hemlets experiments run", "python benchmarks"))
        for row in rows
        if row.ours is None
    )
    parameters = {row.paper.row: row.ours.mean for row in rows if row.paper.column == "parameters"}
    assert parameters == {"Full": pytest.approx(47.7, abs=0.05), "Baseline": pytest.approx(34.3, abs=0.05)}


def test_a_stand_in_fills_its_rows(registry):
    rows = {
        row.paper.key: row for row in scorecard(registry, finished(registry, (0, 1, 2)), profile="laptop")
    }
    sitting = rows["table1", "protocol #1", "Sitting"]
    assert sitting.status == "stand-in" and sitting.ours.mean == 61.0 and sitting.ours.n == 3
    assert rows["table1", "PA MPJPE", "Avg"].ours.mean == 62.0
    assert (
        rows["table3", "3DPCK", "All"].ours.mean == 81.0
        and rows["table3", "3DPCK", "Outdoor"].ours.mean == 80.0
    )
    assert (
        rows["table4", "Full", "H3.6M #1"].ours.mean == 62.0
        and rows["table4", "Full", "H3.6M #1*"].ours is None
    )
    assert sitting.data == "drawn: human36m + in_the_wild" and len(sitting.results) == 3
    assert "--real human36m-train=FOLDER" in sitting.command


def test_real_data_count_as_measured(registry):
    rows = scorecard(registry, finished(registry, (0,), kind="real"), profile="laptop")
    assert summary(rows)["measured"] == 2 + 48 + 5 + 1


def test_the_page_opens_without_a_network_and_compares_nothing(registry):
    page = scorecard_html(scorecard(registry, finished(registry, (0, 1)), profile="laptop"), profile="laptop")
    HTMLParser().feed(page)
    assert "http" not in page and page.count("<tr>") == 76 + 6
    assert "61.5 ± 6.4 (stand-in)" in page and not any(
        word in page for word in ("beats", "%</td>better", "outperform")
    )


def test_links_lead_to_committed_files(registry):
    gathered = read_gathered("laptop")
    for row in scorecard(registry, gathered, profile="laptop"):
        for path in row.results:
            key = path.rpartition("/")[2].removesuffix(".json")
            assert key in gathered.cells


def test_committed_cells_are_of_this_registry(registry):
    """A cell whose identity changed would be shown no more, and its file lie about."""
    for name, profile in registry.profiles.items():
        known = {cell.key: cell for each in registry.experiments.values() for cell in each.cells(profile, 10)}
        for key, result in read_gathered(name).cells.items():
            assert key in known, f"cells/{name}/{key}.json ({result['name']}) belongs to no experiment"
            assert json.loads(json.dumps(known[key].identity)) == result["identity"]
    assert Workplace().runs
