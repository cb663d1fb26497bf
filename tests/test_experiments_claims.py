"""Claims: each verdict can be reached, a flipped sign flips it, and every cell that one needs exists."""

from __future__ import annotations

import pytest
from made_up_cells import JITTER, gathered, made_up

from hemlets_lib.experiments import comparisons as compare
from hemlets_lib.experiments.claims import CLAIMS, judge_all
from hemlets_lib.experiments.evidence import Evidence, Place, Series, forward_ratios, run_commands
from hemlets_lib.experiments.registry import read_registry
from hemlets_lib.experiments.statistics import Interval, detectable_effect
from hemlets_lib.experiments.sweep import Gathered
from hemlets_lib.experiments.verdicts import (
    Case,
    Chance,
    Claim,
    Contrast,
    all_of,
    by_chance,
    holm,
    judge,
    verdict_of,
)
from hemlets_lib.paper import RIVALS

PAPERS = compare.COLUMNS
FEW = list(read_registry().experiment("table4").settings)[-1]
(RIVALRY,) = read_registry().experiment("rivals").settings
(SMALL,) = read_registry().experiment("overfitting").settings
BY_NAME = {claim.name: claim for claim in CLAIMS}


@pytest.fixture(scope="module")
def registry():
    return read_registry()


def evidence(registry, cells, profile="laptop", **more):
    return Evidence(registry, profile, {profile: gathered(registry, profile, cells)}, **more)


def judged(registry, name, cells, profile="laptop"):
    return judge(BY_NAME[name], evidence(registry, cells, profile))


def cells_of(experiment, setting, results, seeds=3):
    """Condition → arguments of `made_up`, with a little of each seed's own in the error."""
    return {
        (experiment, setting, condition, seed): made_up(
            **{**options, "mpjpe": options.get("mpjpe", 100.0) + JITTER[seed] * (place + 1)}
        )
        for place, (condition, options) in enumerate(results.items())
        for seed in range(seeds)
    }


def flipped(results):
    """The first condition's results for all others, and theirs for it."""
    (first, one), *others = results.items()
    return {first: others[0][1], **{name: one for name, _ in others}}


def series(*values):
    return Series(dict(enumerate(values)), (Place("p", "e", "s", "c"),), tuple(f"{v}" for v in values))


def contrast(*differences, wanted=-1):
    return Contrast("a against b", "mm", wanted, series(*differences), series(*[0.0] * len(differences)))


# The rules


@pytest.mark.parametrize(
    ("interval", "wanted", "verdict"),
    [
        (Interval(-3.0, 1.0, 3), -1, "reproduced"),
        (Interval(-3.0, 1.0, 3), 1, "not reproduced"),
        (Interval(3.0, 1.0, 3), 1, "reproduced"),
        (Interval(-3.0, 3.5, 3), -1, "undecided"),
        (Interval(-3.0, 3.0, 3), -1, "undecided"),
        (Interval(-3.0, None, 1), -1, "undecided"),
        (None, -1, "not run"),
    ],
)
def test_rule_1(interval, wanted, verdict):
    assert verdict_of(interval, wanted) == verdict


def test_rule_2():
    assert all_of(["reproduced", "reproduced"]) == "reproduced"
    assert all_of(["reproduced", "undecided"]) == "undecided"
    assert all_of(["undecided", "not run", "reproduced"]) == "not run"
    assert all_of(["not run", "undecided", "not reproduced"]) == "not reproduced"
    with pytest.raises(ValueError, match="`verdicts` must hold at least one"):
        all_of([])


def case(setting, *contrasts):
    return Case(setting, contrasts)


CLEAR, OPEN, ONE, NONE = contrast(-3, -3.1, -2.9), contrast(-3, 4, 0), contrast(-9), contrast()


@pytest.mark.parametrize(
    ("cases", "decided"),
    [
        ([case("a", CLEAR), case("b", OPEN)], "a"),
        ([case("a", OPEN), case("b", CLEAR)], "a"),  # not the most pleasant one
        ([case("a", ONE), case("b", OPEN)], "b"),  # the first with an interval
        ([case("a", CLEAR, ONE), case("b", OPEN)], "b"),  # all contrasts need one
        ([case("a", contrast(-9, -9.1)), case("b", OPEN)], "b"),  # two seeds are hardly an interval
        ([case("a", contrast(-9, -9.1)), case("b", ONE)], "a"),
        ([case("a", NONE), case("b", ONE)], "b"),
        ([case("a", NONE), case("b", NONE)], "a"),
    ],
)
def test_rule_3(registry, cases, decided):
    claim = Claim("c", "says", "§1", "judged", (), lambda found: cases)
    found = judge(claim, evidence(registry, {}))
    assert found.case.setting == decided and found.verdict == found.case.verdict


def test_rule_4(registry):
    claim = Claim("c", "says", "§1", "judged", (), lambda found: [], obstacle="No such camera.")
    found = judge(claim, evidence(registry, {}))
    assert (found.verdict, found.reason, found.case, found.to_run) == (
        "not measurable here", "No such camera.", None, (),
    )  # fmt: skip


def test_an_undecided_claim_says_what_would_have_been_seen(registry):
    claim = Claim("c", "says", "§1", "judged", (), lambda found: [case("a", OPEN)])
    deviation = ((3 + 1 / 3) ** 2 + (4 - 1 / 3) ** 2 + (1 / 3) ** 2) / 2
    expected = detectable_effect(deviation**0.5, 3, power=0.8)
    assert OPEN.would_have_been_seen == pytest.approx(expected)
    assert (
        f"if the spread is as measured, a difference of {expected:.1f} mm (3 seeds) would have been seen"
        in judge(claim, evidence(registry, {})).reason
    )
    alone = Claim("c", "says", "§1", "judged", (), lambda found: [case("a", ONE)])
    assert "one seed has no interval; 3 seeds would" in judge(alone, evidence(registry, {})).reason
    pair = contrast(-3.0, 4.0)  # two values say next to nothing of their spread
    hardly = Claim("c", "says", "§1", "judged", (), lambda found: [case("a", pair)])
    reason = judge(hardly, evidence(registry, {})).reason
    assert pair.would_have_been_seen is None and reason.endswith("zero lies within the interval.")


def test_each_contrast_has_its_own_number_of_seeds(registry):
    four = contrast(-3.0, 4.0, 0.0, 1.0)
    claim = Claim("c", "says", "§1", "judged", (), lambda found: [case("a", OPEN, four, ONE)])
    reason = judge(claim, evidence(registry, {})).reason
    assert "mm (3 seeds) and" in reason and "mm (4 seeds) would have been seen with 80%" in reason
    assert "one seed has no interval; 3 seeds would" in reason and OPEN.seeds == 3 and four.seeds == 4


@pytest.mark.parametrize(("first", "words"), [((NONE,), "has not run"), ((CLEAR, NONE), "has run in part")])
def test_a_claim_says_where_the_papers_own_setting_has_not_run(registry, first, words):
    claim = Claim("c", "says", "§1", "judged", (), lambda found: [case("own", *first), case("b", OPEN)])
    assert f"nearest to the paper's, own, {words}." in judge(claim, evidence(registry, {})).reason
    there = Claim("c", "says", "§1", "judged", (), lambda found: [case("own", ONE), case("b", OPEN)])
    assert "nearest" not in judge(there, evidence(registry, {})).reason


# Series


def test_differences_are_over_common_seeds_and_remember_their_cells():
    one = Series({0: 10.0, 1: 20.0, 2: 30.0}, (Place("p", "e", "s", "x"),), ("x0", "x1"))
    other = Series({1: 5.0, 2: 6.0, 3: 7.0}, (Place("p", "e", "s", "y"),), ("y1",))
    assert (one - other).values == {1: 15.0, 2: 24.0}
    assert [place.condition for place in (one - other).places] == ["x", "y"]
    assert (one - other).files == ("x0", "x1", "y1")
    assert one.percent_of(other).values == {1: 400.0, 2: 500.0}
    assert one.mean_with(other, other).values == {1: 10.0, 2: 14.0}


def test_the_height_of_a_curve(registry):
    """Steps 100, 200, 300: (300 + 200) / 2 and (200 + 100) / 2 mm over equal stretches: 200 mm."""
    curve = [
        {"step": 100, "mpjpe_mm": 300.0},
        {"step": 200, "mpjpe_mm": 200.0},
        {"step": 300, "mpjpe_mm": 100.0},
    ]
    uneven = [*curve[:2], {"step": 600, "mpjpe_mm": 100.0}, {"step": 700}]
    heights = {}
    for seed, points in enumerate((curve, uneven, curve[:1], [])):
        cells = {("figure6", "H3.6M #1*", "2s-HEM", seed): {**made_up(), "curve": points}}
        found = evidence(registry, cells).setting("figure6", "H3.6M #1*").curve_area("2s-HEM")
        heights |= found.values
    assert heights == {0: 200.0, 1: (250.0 * 100 + 150.0 * 400) / 500, 2: 300.0}


def test_a_score_that_no_protocol_has(registry):
    with pytest.raises(ValueError, match="`score` must be a row of h36m, mpi_inf_3dhp, got 'IoU'"):
        evidence(registry, {}).setting("table4", FEW).score("full", "IoU")


# Each claim: results that bear it out, and the same results turned round


def pck(value, **scenes):
    return {"pck": value, "scenes": {name.replace("_", " "): score for name, score in scenes.items()}}


def mm(value, **more):
    return {"mpjpe": value, **more}


BORNE_OUT = {
    "2d-heatmaps": ("table4", FEW, {"2d": mm(90), "none": mm(110)}),
    "hemlets": ("table4", FEW, {"hemlets": mm(90), "2d": mm(110)}),
    "full": (
        "table4", FEW,
        {
            "full": mm(80), "none": mm(110), "none, smaller network": mm(110), "2d": mm(110),
            "hemlets": mm(110),
        },
    ),
    "actions": (
        "table4", FEW,
        {
            "full": mm(90, actions={"Sitting": 100, "SittingD.": 100}),
            "none": mm(100, actions={"Sitting": 150, "SittingD.": 150}),
        },
    ),
    "figure4": (
        "table4", FEW,
        {"full": mm(70, probes={"plane_mm": 50.0, "depth_mm": 30.0}),
         "2d": mm(90, probes={"plane_mm": 52.0, "depth_mm": 60.0})},
    ),
    "2s": ("figure6", "H3.6M #1*", {"HEMlets": mm(90), "2s-HEM": mm(99, curve=(310.0, 220.0, 110.0))}),
    "5s": ("figure6", "H3.6M #1*", {"HEMlets": mm(90), "5s-HEM": mm(99, curve=(310.0, 220.0, 110.0))}),
    "weak-labels": (
        "table5", "noise 0.2",
        {"Base": pck(60), "w/ Ordinal": pck(64), "w/ FBI": pck(64), "w/ FBI + Ordinal": pck(64)},
    ),
    "fbi": ("table5", "noise 0.2", {"w/ FBI": pck(66), "w/ Ordinal": pck(61)}),
    "overfitting": (
        "overfitting", SMALL, {"full": mm(90, train_mm=80), "none": mm(110, train_mm=50)},
    ),
    "bones": (
        "table4", FEW,
        {"full": mm(90), "none": mm(110), "2d": mm(110)},
    ),
    "joint": ("rivals", RIVALRY, {"HEMlets": mm(90), "ranking loss": mm(110)}),
    "label": ("rivals", RIVALRY, {"HEMlets": mm(90), "tri-state labels": mm(110)}),
    "outdoors": (
        "table4", FEW, {"full": pck(60, Outdoor=60, Studio_GS=61), "none": pck(55, Outdoor=50, Studio_GS=60)},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BORNE_OUT)
def test_what_bears_a_claim_out_and_what_contradicts_it(registry, name):
    experiment, setting, results = BORNE_OUT[name]
    found = judged(registry, name, cells_of(experiment, setting, results))
    assert found.verdict == "reproduced", found.reason
    assert found.case.seeds == 3 and "wholly on the side that the claim says" in found.reason
    turned = judged(registry, name, cells_of(experiment, setting, flipped(results)))
    assert turned.verdict == "not reproduced" and "wholly on the other side" in turned.reason
    alone = judged(registry, name, cells_of(experiment, setting, results, seeds=1))
    assert alone.verdict == "undecided" and "one seed has no interval" in alone.reason
    nothing = judged(registry, name, {})
    assert nothing.verdict == "not run" and nothing.to_run


def test_every_claim_on_drawn_people_is_tried():
    elsewhere = {"literature", "runtime", "gap", "noise", "few-labels", "short-training"}
    assert BORNE_OUT.keys() | elsewhere == BY_NAME.keys()


def test_a_smaller_gap_of_a_worse_network_is_no_better(registry):
    """Test less training error shrinks too where nothing was learnt."""
    results = {"full": mm(160, train_mm=155), "none": mm(110, train_mm=50)}
    assert (
        judged(registry, "overfitting", cells_of("overfitting", SMALL, results)).verdict == "not reproduced"
    )


def test_short_training_is_asked_of_two_profiles(registry):
    for profile in ("gpu", "paper-real"):
        found = judged(registry, "short-training", {}, profile)
        assert found.verdict == "not measurable here" and "profiles laptop and long" in found.reason
    assert judged(registry, "short-training", {}, "long").verdict == "not run"


def both(registry, name, first, second, profiles=("laptop", "laptop")):
    """A claim on two settings or profiles, from cells of the two."""
    results = {}
    for profile, cells in zip(profiles, (first, second), strict=True):
        more = gathered(registry, profile, cells).cells
        results[profile] = Gathered(profile, {**results.get(profile, Gathered(profile, {})).cells, **more})
    return judge(BY_NAME[name], Evidence(registry, "laptop", results)).verdict


def test_claims_on_two_settings(registry):
    with_2d, without, few = PAPERS[0], PAPERS[1], FEW
    near = {"full": mm(90), "hemlets": mm(91)}
    far = {"full": mm(90), "hemlets": mm(99)}
    for first, second, verdict in ((far, near, "reproduced"), (near, far, "not reproduced")):
        pair = cells_of("table4", with_2d, first), cells_of("table4", without, second)
        assert both(registry, "gap", *pair) == verdict
    small, large = {"full": mm(90), "none": mm(95)}, {"full": mm(90), "none": mm(120)}
    for first, second, verdict in ((large, small, "reproduced"), (small, large, "not reproduced")):
        pair = cells_of("table4", few, first), cells_of("table4", without, second)
        assert both(registry, "few-labels", *pair) == verdict
        pair = cells_of("table4", few, first), cells_of("table4", few, second)
        assert both(registry, "short-training", *pair, profiles=("laptop", "long")) == verdict
    strong, weak = "noise 0.4", "noise 0.2"
    ahead, level = {"w/ FBI": pck(66), "w/ Ordinal": pck(60)}, {"w/ FBI": pck(61), "w/ Ordinal": pck(60)}
    for first, second, verdict in ((ahead, level, "reproduced"), (level, ahead, "not reproduced")):
        pair = cells_of("table5", strong, first), cells_of("table5", weak, second)
        assert both(registry, "noise", *pair) == verdict


def test_a_rival_is_beaten_at_every_weight_that_has_an_interval(registry):
    weighted = next(c for c in registry.experiment("rivals").conditions if c.startswith("ranking loss,"))
    plain = cells_of("rivals", RIVALRY, {"HEMlets": mm(90), "ranking loss": mm(110)})
    for value, seeds, verdict in ((80, 3, "not reproduced"), (100, 3, "reproduced"), (80, 1, "reproduced")):
        other = cells_of("rivals", RIVALRY, {"HEMlets": mm(90), weighted: mm(value)}, seeds)
        assert judged(registry, "joint", {**other, **plain}).verdict == verdict


def test_the_literature_needs_its_own_data(registry):
    (sun,) = (r.value for r in RIVALS if r.key == ("table1", "protocol #1", "Avg") and "Sun" in r.method)
    drawn = judged(registry, "literature", cells_of("table4", PAPERS[0], {"full": mm(sun - 9)}))
    assert drawn.verdict == "not measurable here" and "Sun [28] (protocol #1): 19.6 %" in drawn.remark
    for share, verdict in ((0.8, "reproduced"), (0.9, "not reproduced"), (1.2, "not reproduced")):
        real = cells_of("table4", PAPERS[0], {"full": mm(share * sun, kind="real")})
        assert judged(registry, "literature", real, "paper-real").verdict == verdict
    for each in real.values():  # trained on the data set, tested on drawn people
        each["data"]["human36m-test"] = "drawn"
    assert judged(registry, "literature", real, "paper-real").verdict == "not measurable here"


def test_remarks_are_computed(registry):
    """In Table 1 the gain over Sun et al. on SittingDown is the smallest of all: 65.7 − 60.8 mm."""
    found = judged(registry, "actions", cells_of(*BORNE_OUT["actions"]))
    assert "Table 1 Sitting 2 and SittingD. 15" in found.remark
    assert f"here, {FEW}, Sitting 1 and SittingD. 2." in found.remark
    assert "2.7 mm with MPII and 0.9 mm without" in judged(registry, "gap", {}).remark
    assert "86 % of the 2D error and 51 % of the joint error" in judged(registry, "figure4", {}).remark


def test_the_ratio_of_runtimes(registry):
    rows = [
        {"preset": "paper", "batch": 1, "device": "cpu", "ms": 300.0},
        {"preset": "baseline", "batch": 1, "device": "cpu", "ms": 150.0},
        {"preset": "baseline", "batch": 8, "device": "cpu", "ms": 1.0},
        {"preset": "official", "batch": 8, "device": "cpu", "ms": 1.0},
    ]
    assert forward_ratios(rows) == {("cpu", 1): 2.0}
    found = judge(BY_NAME["runtime"], evidence(registry, {}, forward=rows))
    assert found.verdict == "not measurable here"
    assert "baseline is 1.56; measured here: 2.00 (cpu, batch 1)" in found.remark
    assert "not run" in judge(BY_NAME["runtime"], evidence(registry, {})).remark


# All together


def test_every_cell_that_a_claim_needs_exists(registry):
    for profile in ("laptop", "paper-real"):
        for each in judge_all(evidence(registry, {}, profile)):
            assert each.verdict in ("not run", "not measurable here")
            for place in (p for c in each.cases for k in c.contrasts for p in k.difference.places):
                base = registry.profile(place.profile.removesuffix("-real"))
                registry.experiment(place.experiment).cell(base, place.setting, place.condition, 0)
    assert len(BY_NAME) == len(CLAIMS)


def test_commands_bring_a_claim_to_three_seeds(registry):
    """With one seed or two as well as with none; once there are three, nothing is missing."""
    few = {1: ("2d", "none"), 2: ("2d", "none"), 3: ()}
    for seeds, wanted in few.items():
        cells = cells_of("table4", PAPERS[0], {"2d": mm(90), "none": mm(110)}, seeds)
        places = judge(BY_NAME["2d-heatmaps"], evidence(registry, cells)).to_run
        assert tuple(place.condition for place in places) == wanted
    uneven = cells_of("table4", PAPERS[0], {"2d": mm(90)}) | cells_of("table4", PAPERS[0], {"none": mm(9)}, 2)
    (place,) = judge(BY_NAME["2d-heatmaps"], evidence(registry, uneven)).to_run
    assert place.condition == "none"


def test_commands_name_what_is_missing(registry):
    cells = cells_of("table4", PAPERS[0], {"2d": mm(90)})
    found = judge(BY_NAME["2d-heatmaps"], evidence(registry, cells))
    assert run_commands(registry, found.to_run) == (
        'hemlets experiments run table4 --profile laptop --seeds 3 --only "H3.6M #1" --only "none"',
    )
    real = judge(BY_NAME["fbi"], evidence(registry, {}, "paper-real"))
    (command,) = run_commands(registry, real.to_run)
    assert "--profile paper --seeds 3" in command and command.count("--real fbi-train=FOLDER") == 1


def test_how_many_intervals_would_exclude_zero_by_chance(registry):
    cases = [case("a", CLEAR, OPEN, ONE), case("b", contrast(-3, -3.1, -2.9), contrast(3, 3.2, 2.8))]
    found = judge(Claim("c", "s", "§", "j", (), lambda found: cases), evidence(registry, {}))
    count = by_chance([found])  # the two alike are one: settings that share their cells
    assert count == Chance(intervals=3, outside=2, stand=("a against b (a)", "a against b (b)"))
    assert str(count).endswith("2 of these stand: a against b (a); a against b (b).")
    assert "3 intervals at 95%: if nothing had any effect, about 0.2 of them" in str(count)
    assert str(by_chance([])) == "No interval yet: intervals need two seeds."


def test_holm_by_hand():
    """Sorted 0.010, 0.013, 0.030, 0.040 against 0.0125, 0.0167, 0.025, 0.05: the third stops it."""
    assert holm([0.030, 0.010, 0.040, 0.013]) == [False, True, False, True]
    assert holm([]) == [] and holm([0.05]) == [True] and holm([0.051]) == [False]


def test_p_values_agree_with_the_intervals():
    for differences in ((-3, -3.1, -2.9), (-3, 4, 0), (1, 2, 3), (1, 1)):
        each = contrast(*map(float, differences))
        assert (each.p_value < 0.05) == each.interval.excludes_zero
    assert contrast(1.0, 2.0, 3.0).p_value == pytest.approx(0.0742, abs=1e-4)  # t = 2√3, 2 degrees
    assert contrast(0.0, 0.0).p_value == 1.0 and ONE.p_value is None
