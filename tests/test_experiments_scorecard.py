"""The scorecard: all 76 numbers, none compared where it must not be, every link a file, a whole page."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest
from made_up_cells import gathered, made_up
from typer.testing import CliRunner

from hemlets_lib.cli import app
from hemlets_lib.experiments.claims import CLAIMS, judge_all
from hemlets_lib.experiments.evidence import Evidence
from hemlets_lib.experiments.registry import read_registry
from hemlets_lib.experiments.scorecard import scorecard, summary
from hemlets_lib.experiments.scorecard_page import scorecard_html, write_scorecard
from hemlets_lib.experiments.scorecard_tables import claims_markdown, footing_markdown, paper_table_markdown
from hemlets_lib.experiments.sweep import Gathered, read_gathered
from hemlets_lib.paper import ACTIONS, OWN, RIVALS, contradictions

FORWARD = [
    {"preset": preset, "batch": 1, "device": "cpu", "ms": ms}
    for preset, ms in (("paper", 300.0), ("baseline", 200.0))
]


@pytest.fixture(scope="module")
def registry():
    return read_registry()


def finished(registry, seeds, kind="drawn", profile="laptop"):
    """The cell of Tables 1, 3 and 4 (full, with 2D data), as if it had run."""
    cells = {}
    for seed in seeds:
        result = made_up(60.0 + seed, actions={"Walk": 45.0 + seed}, pck=81.0, scenes={"Outdoor": 80.0})
        result["data"] = dict.fromkeys(result["data"], kind)
        cells["table4", "H3.6M #1", "full", seed] = result
    return gathered(registry, profile, cells)


def rows_of(registry, results, profile="laptop", forward=()):
    return {row.paper.key: row for row in scorecard(registry, results, profile=profile, forward=forward)}


@pytest.fixture(scope="module")
def pages(registry):
    """Seeds → results and page; the same network without intermediate loss has run with one seed more."""
    made = {}
    for seeds in (0, 2):
        results = finished(registry, range(seeds))
        rivals = {("table4", "H3.6M #1", "none", seed): made_up(70.0) for seed in range(seeds + 1)}
        cells = {**results.cells, **(gathered(registry, "laptop", rivals).cells if seeds else {})}
        results = Gathered("laptop", cells)
        found = Evidence(registry, "laptop", {"laptop": results}, FORWARD)
        rows = scorecard(registry, results, profile="laptop", forward=FORWARD)
        judged = judge_all(found)
        page = scorecard_html(rows, judged, registry=registry, profile="laptop", checkout="../up")
        made[seeds] = rows, page
    return made


class Reader(HTMLParser):
    """A page's tags with their attributes, its text, and whether tags are closed in order."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.text, self.open = [], "", []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


# Rows


def test_all_76_numbers_in_the_papers_order(registry):
    rows = rows_of(registry, Gathered("laptop", {}))
    assert list(rows) == list(OWN)
    assert summary(list(rows.values())) == {"not run": 72, "measured": 2, "not measurable here": 2}
    assert all(
        row.command.startswith(("hemlets experiments run", "python benchmarks"))
        for row in rows.values()
        if row.ours is None
    )
    parameters = {row.paper.row: row.ours.mean for row in rows.values() if row.paper.column == "parameters"}
    assert parameters == {"Full": pytest.approx(47.7, abs=0.05), "Baseline": pytest.approx(34.3, abs=0.05)}


def test_a_stand_in_fills_its_rows(registry):
    rows = rows_of(registry, finished(registry, (0, 1, 2)))
    sitting = rows["table1", "protocol #1", "Sitting"]
    assert sitting.status == "stand-in" and sitting.ours.mean == 61.0 and sitting.ours.n == 3
    assert rows["table1", "PA MPJPE", "Avg"].ours.mean == pytest.approx(61.0 - 15 / len(ACTIONS))
    assert rows["table3", "3DPCK", "All"].ours.mean == 81.0
    assert rows["table3", "3DPCK", "Outdoor"].ours.mean == 80.0
    assert rows["table4", "Full", "H3.6M #1"].ours.mean == rows["table1", "protocol #1", "Avg"].ours.mean
    assert rows["table4", "Full", "H3.6M #1*"].ours is None
    assert sitting.data == "drawn" and "trained on human36m + in_the_wild" in sitting.note
    assert list(sitting.results) == [0, 1, 2]


def test_commands_fill_what_is_missing(registry):
    """Here as a stand-in until there are seeds enough, and on the real data always."""
    number = ("table1", "protocol #1", "Sitting")
    empty, few, enough = (rows_of(registry, finished(registry, range(seeds)))[number] for seeds in (0, 1, 3))
    here = 'hemlets experiments run table4 --profile laptop --seeds 3 --only "H3.6M #1" --only "full"'
    assert (empty.command, few.command, enough.command) == (here, here, "")
    roles = ("human36m-train", "in_the_wild-train", "human36m-test", "mpi_inf_3dhp-test")
    real = " ".join(f"--real {role}=FOLDER" for role in roles)
    assert enough.command_real.endswith(real) and "--profile paper --seeds 1" in enough.command_real


def test_real_data_count_as_measured(registry):
    rows = rows_of(registry, finished(registry, (0,), kind="real", profile="paper-real"), "paper-real")
    assert summary(list(rows.values()))["measured"] == 2 + 48 + 5 + 1
    elsewhere = rows_of(registry, finished(registry, (0,), kind="real", profile="gpu-real"), "gpu-real")
    assert summary(list(elsewhere.values()))["other budget"] == 48 + 5 + 1
    number = rows["table1", "protocol #1", "Sitting"]
    assert number.data == "real" and number.results[0].startswith("experiments/results/cells/paper-real/")


def test_runtimes_are_ratios(registry):
    key = ("runtime", "Full", "forward pass")
    measured = rows_of(registry, Gathered("laptop", {}), forward=FORWARD)[key]
    assert measured.status == "not measurable here" and measured.command == ""
    assert "1.56 in the paper; here 1.50 on cpu, batch 1" in measured.note
    missing = rows_of(registry, Gathered("laptop", {}))[key]
    assert "here not run" in missing.note and missing.command == "python benchmarks/forward.py"


def test_an_unknown_profile(registry):
    with pytest.raises(ValueError, match=r"`profile` must be one of smoke, .*, got 'big'"):
        scorecard(registry, Gathered("big", {}), profile="big")


# The page


@pytest.mark.parametrize("seeds", [0, 2])
def test_the_page_opens_without_a_network_and_is_whole(pages, seeds):
    _, page = pages[seeds]
    reader = Reader(page)
    assert reader.open == [] and "http" not in page and "<script" not in page
    anchors = [attributes["id"] for _, attributes in reader.tags if "id" in attributes]
    assert len(set(anchors)) == len(anchors)
    inner = [each["href"] for each in reader.all("a") if each["href"].startswith("#")]
    assert inner and {href[1:] for href in inner} <= set(anchors)
    drawn = reader.all("svg")  # pictures have words
    assert bool(drawn) == bool(seeds) and all(each["role"] == "img" for each in drawn)
    assert all(each["aria-label"].endswith(("claimed: above zero", "claimed: below zero")) for each in drawn)


def test_the_page_has_every_number_claim_and_contradiction(pages):
    _, page = pages[2]
    reader = Reader(page)
    scores = page.split('class="scores"')[1:]
    own = [line for table in scores for line in table.split("</table>")[0].split('<tr><th scope="row">')[1:]]
    assert len(own) == len(OWN) == 76
    for line, number in zip(own, OWN.values(), strict=True):
        assert f"{number.value:.1f} {number.unit}" in line
    quoted = [table.split("</table>")[0] for table in page.split('class="rivals"')[1:]]
    assert sum(table.count("<td") for table in quoted) == len(RIVALS) == 338
    assert "LinKDE [9]" in reader.text and "60.5 ± 6.4 mm" in reader.text
    assert len(reader.all("article")) == len(CLAIMS)
    for each in contradictions():
        assert each.says in reader.text and each.found in reader.text


def test_the_page_compares_no_millimetres_of_a_stand_in(pages):
    reader = Reader(pages[2][1])
    numbers = reader.text.split("The numbers")[1].split("Where the paper")[0]
    assert not re.search(r"\b(beats|better|worse|outperform)", numbers)
    assert "never against it" in numbers


def test_seeds_lead_to_their_files(pages):
    rows, page = pages[2]
    links = {each["href"] for each in Reader(page).all("a")}
    files = {path for row in rows for path in row.results.values()}
    assert len(files) == 2 and {f"../up/{path}" for path in files} <= links


def test_links_of_the_committed_scorecard_are_files(registry, tmp_path):
    found = Evidence.read(registry, "laptop")
    rows = scorecard(registry, found.gathered, profile="laptop")
    path = tmp_path / "deep" / "scorecard.html"
    write_scorecard(path, rows, judge_all(found), registry=registry, profile="laptop")
    links = [each["href"] for each in Reader(path.read_text(encoding="utf-8")).all("a")]
    for link in links:
        if not link.startswith("#"):
            assert (path.parent / link).resolve().is_file(), link


def test_committed_cells_are_of_this_registry(registry):
    """A cell whose identity changed would be shown no more, and its file lie about."""
    for name, profile in registry.profiles.items():
        known = {cell.key: cell for each in registry.experiments.values() for cell in each.cells(profile, 10)}
        for key, result in read_gathered(name).cells.items():
            assert key in known, f"cells/{name}/{key}.json ({result['name']}) belongs to no experiment"
            assert json.loads(json.dumps(known[key].identity)) == result["identity"]


# The commands


def test_the_commands(tmp_path):
    results, page = tmp_path / "results", tmp_path / "page.html"
    runner = CliRunner()
    written = runner.invoke(app, ["experiments", "scorecard", "--out", str(page), "--results", str(results)])
    assert written.exit_code == 0, written.output
    assert f"{len(CLAIMS)} claims: 2 not measurable here" in written.output
    assert "76 numbers: 2 measured" in written.output and str(page) in written.output
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    shown = runner.invoke(app, ["experiments", "claims", "--results", str(results)])
    assert shown.exit_code == 0 and f"{len(CLAIMS)} claims, profile laptop" in shown.output
    assert all(claim.says in shown.output for claim in CLAIMS)
    assert "hemlets experiments run figure6 --profile laptop --seeds 3" in shown.output


def test_tables_for_a_notebook(registry):
    rows = scorecard(registry, finished(registry, range(3)), profile="laptop")
    upright = paper_table_markdown(rows, "table1").splitlines()
    assert upright[0].startswith("| | protocol #1 (mm), paper | here |")
    (walk,) = (line for line in upright if line.startswith("| Walk |"))
    assert "*46.0 ± 2.5*" in walk, "a stand-in is in italics"
    sideways = paper_table_markdown(rows, "table4")
    assert "| Full |" in sideways and "*60.0 ± 2.5*" in sideways and "| not run |" in sideways
    footing = footing_markdown(rows, "table4", checkout="up")
    assert footing.count("](up/experiments/results/cells/laptop/") == 3
    assert "hemlets experiments run table4" in footing


def test_claims_for_a_notebook(registry):
    results = finished(registry, range(2))
    judged = judge_all(Evidence(registry, "laptop", {"laptop": results}))
    lines = claims_markdown(judged).splitlines()[2:]
    assert len(lines) == len(CLAIMS) and all(line.count("|") == 5 for line in lines)
    verdicts = [line.split("|")[3].strip(" *") for line in lines]
    assert verdicts.index("not run") > verdicts.index("not measurable here"), "what is decided comes first"
