"""Finished cells against each other: pairs by seed, curves, tables, and words for what has not run."""

import pytest

from hemlets_lib.experiments.claims import judge_all
from hemlets_lib.experiments.differences import (
    Difference,
    column_differences,
    curves,
    differences,
    in_three_d,
    origin_markdown,
    origin_words,
    paired_curves,
    reading,
    signed,
    table_markdown,
    verdicts_markdown,
)
from hemlets_lib.experiments.evidence import Evidence
from hemlets_lib.experiments.registry import read_registry
from hemlets_lib.experiments.statistics import Interval
from hemlets_lib.experiments.sweep import Gathered, TableRow
from hemlets_lib.paper import ACTIONS

SCORE = "MPJPE, S9 + S11"
SETTING = "H3.6M #1*"


def result(cell, level):
    """A finished cell whose every action has the same error, but for walking, which is the same for all."""
    columns = {**dict.fromkeys(ACTIONS, level), "Walk": 7.0}
    row = {"columns": columns, "mean_of_columns": level, "mean_of_samples": level + 0.5}
    steps = {8: level + 50, 16: level + 20}
    return {
        "seed": cell.seed,
        "scores": {"h36m": {"rows": {SCORE: row}}},
        "curve": [{"step": step, "mpjpe_mm": value} for step, value in steps.items()],
        "data": {"human36m-train": "drawn"},
        "git": {"commit": "0123456789abcdef", "dirty": False},
        "device": {"cpu_cores": 3, "name": "abacus", "device": "cpu"},
        "packages": {"torch": "9.9"},
        "time": f"2026-01-0{cell.seed + 1}T00:00:00",
    }


@pytest.fixture(scope="module")
def registry():
    return read_registry()


@pytest.fixture
def table4(registry):
    return registry.experiment("table4"), registry.profile("smoke")


@pytest.fixture
def gathered(table4):
    """`none` with seeds 0, 1, 2, `full` with 1, 2, 3."""
    experiment, profile = table4
    none = experiment.over_seeds(profile, SETTING, "none")[:3]
    full = experiment.over_seeds(profile, SETTING, "full")[1:4]
    levels = [(cell, 100.0 + 10 * cell.seed) for cell in none]
    levels += [(cell, 90.0 + 11 * cell.seed) for cell in full]
    return Gathered("smoke", {cell.key: result(cell, level) for cell, level in levels})


@pytest.fixture
def setting(registry, gathered):
    return Evidence(registry, "smoke", {"smoke": gathered}).setting("table4", SETTING)


def test_pairs_share_their_seeds_and_the_missing_have_rows(setting, table4):
    found = differences(setting, against="none")
    assert [each.label for each in found] == [name for name in table4[0].conditions if name != "none"]
    assert {each.group for each in found} == {SETTING}
    full = found[0]
    assert full.label == "full" and full.pairs == {1: pytest.approx(-9.0), 2: pytest.approx(-8.0)}
    assert full.interval.mean == pytest.approx(-8.5)
    assert not any(each.pairs for each in found[1:]) and found[1].interval is None


def test_another_baseline_turns_the_sign(setting):
    options = {"against": "full", "conditions": ["none", "full"], "mean": "samples", "group": "mine"}
    (none,) = differences(setting, **options)
    assert (none.label, none.group) == ("none", "mine") and none.interval.mean == pytest.approx(8.5)


def test_columns_are_paired_one_by_one(setting):
    found = column_differences(setting, "full", against="none", protocol="h36m")
    assert [each.label for each in found][-2:] == ["Walk", "WalkT."] and len(found) == 15
    means = {each.label: each.interval.mean for each in found}
    assert means["Walk"] == 0 and means["Sitting"] == pytest.approx(-8.5)


def test_curves_count_images(table4, gathered):
    experiment, profile = table4
    none, full = (
        curves(gathered, experiment.over_seeds(profile, SETTING, name)) for name in ("none", "full")
    )
    batch = profile.options["batch_size"]
    assert none[1] == {8 * batch: 160.0, 16 * batch: 130.0}
    assert paired_curves(full, none) == {
        seed: {8 * batch: pytest.approx(seed - 10.0), 16 * batch: pytest.approx(seed - 10.0)}
        for seed in (1, 2)
    }
    del full[1][8 * batch]
    assert list(paired_curves(full, none)[1]) == [16 * batch]


def test_signed():
    assert signed(Interval(-3.25, 1.04, 3)) == "−3.2 ± 1.0"
    assert signed(Interval(2.0, None, 1), digits=2) == "+2.00 (one seed)"
    assert signed(None) == "not run" and Difference("a", {}).interval is None


def test_readings():
    assert reading(Interval(-3.25, 1.04, 3)) == "3.2 ± 1.0 mm lower"
    assert reading(Interval(3.25, 1.04, 3), unit="%", higher="more") == "3.2 ± 1.0 % more"
    assert reading(Interval(-3.25, 9.0, 3)) == "undecided, −3.2 ± 9.0 mm"
    one = reading(Interval(-3.25, None, 1), lower="better")
    assert one == "3.2 mm better with the one seed there is, so without an interval"
    assert reading(None) == "not run"


def test_verdicts_as_a_table(registry):
    judged = judge_all(Evidence(registry, "smoke", {}))
    header, _, first, second = verdicts_markdown(judged, ["runtime", "full"]).splitlines()
    assert header.count("|") == first.count("|") == 5
    assert "**not measurable here**" in first and "**not run**" in second and "Table 4" in second
    with pytest.raises(ValueError, match=r"`names` must be among .*runtime.*, got 'best'"):
        verdicts_markdown(judged, ["best"])


def test_a_table_says_what_it_lacks():
    none = TableRow("#1", "none", Interval(50.0, 2.0, 3), None)
    full = TableRow("#1", "full", Interval(44.0, 2.0, 3), Interval(-6.0, 1.0, 3))
    hem = TableRow("#1*", "full", Interval(60.0, 9.0, 3), Interval(-1.0, 4.0, 3))
    text = table_markdown([none, full, hem], settings=("#1", "#1*"), conditions=("none", "full"), unit="mm")
    assert text.splitlines() == [
        "| mm | #1 | #1* |",
        "| --- | ---: | ---: |",
        "| none | 50.0 ± 2.0 | not run |",
        "| full | 44.0 ± 2.0<br>**−6.0 ± 1.0** | 60.0 ± 9.0<br>−1.0 ± 4.0 |",
    ]


def test_origin(table4, gathered):
    experiment, profile = table4
    cells = experiment.over_seeds(profile, SETTING, "none")[:4]
    words = origin_words(gathered, cells, command="run it")
    assert words == (
        "Profile smoke, drawn data: 3 of 4 cells, seeds 0, 1, 2; commit 0123456789; 3 cores abacus, cpu, "
        "torch 9.9; 2026-01-01 to 2026-01-03. 1 not run: `run it`"
    )
    assert origin_words(gathered, cells[:3]).endswith("2026-01-03.")
    nothing = origin_words(Gathered("smoke", {}), cells, command="run it")
    assert nothing == "Profile smoke: none of 4 cells is committed. 4 not run: `run it`"


def test_origin_of_a_part_of_an_experiment(registry, table4, gathered):
    evidence = Evidence(registry, "smoke", {"smoke": gathered})
    words = origin_markdown(evidence, "table4", settings=[SETTING], conditions=["none"])
    assert words.startswith("*Profile smoke, drawn data: 3 of 3 cells, seeds 0, 1, 2;") and words.endswith(
        "3.*"
    )
    further = origin_markdown(evidence, "table4", settings=[SETTING], conditions=["none"], seeds=1)
    assert "3 of 3 cells, seeds 0, 1, 2" in further, "seeds beyond those wanted count where they have run"
    nothing = origin_markdown(evidence, "table4", settings=[SETTING], conditions=["none"], profile="long")
    command = f'hemlets experiments run table4 --profile long --seeds 3 --only "{SETTING}"'
    assert nothing == f"*Profile long: none of 3 cells is committed. 3 not run: `{command}`*"
    whole = origin_markdown(evidence, "table4", profile="long", seeds=1)
    assert whole.endswith("--profile long --seeds 1`*"), "all of it takes no `--only`"


@pytest.mark.parametrize(
    ("setting", "pictures", "of", "percent"),
    [
        ("H3.6M #1*", 60_000, 60_000, 100.0),
        ("H3.6M #1", 60_000, 72_000, 50.0),  # half of a batch is in the wild
        ("few 3D, 2D on the rest", 2_000, 60_000, 100 / 30),
        # One in thirty comes 29 times for each time the other 29 do: as often as all of those.
        ("few 3D repeated, depth order on the rest", 2_000, 60_000, 50.0),
    ],
)
def test_shares_of_3d_labels_by_hand(registry, setting, pictures, of, percent):
    cell = registry.experiment("table4").cell(registry.profile("laptop"), setting, "full", 0)
    found = in_three_d(cell)
    assert (found.pictures, found.of) == (pictures, of) and found.percent == pytest.approx(percent)
