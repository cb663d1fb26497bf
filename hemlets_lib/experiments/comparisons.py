"""What each claim of the paper compares: results in, cases out, for `claims` to name and `verdicts` to judge.

A function of this file makes either the cases of a claim (settings, the paper's own first, each with its
contrasts) or a remark: a sentence computed from the paper's numbers and the results.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from hemlets_lib.experiments.evidence import LONGER, Evidence, Series, Setting, forward_ratios
from hemlets_lib.experiments.statistics import mean_interval
from hemlets_lib.experiments.verdicts import Case, Contrast
from hemlets_lib.paper import ACTIONS, OWN, RIVALS, PaperNumber, paper_number

__all__ = [
    "ABOUT_20",
    "COLUMNS",
    "FIGURE4",
    "HARD_ACTIONS",
    "against_literature",
    "against_ranking",
    "against_tri_state",
    "better",
    "bone_lengths",
    "fewer_labels",
    "figure4_remark",
    "five_states",
    "full_against_all",
    "gap_remark",
    "gap_without_2d",
    "hard_actions",
    "hard_actions_remark",
    "literature_remark",
    "noise_explains",
    "outdoors",
    "overfitting",
    "runtime_remark",
    "shorter_training",
    "sight_against_plane",
    "two_states",
    "weak_labels",
]

FIGURE4 = {"2d": (15.2, 81.3), "full": (13.0, 41.2)}
"""Supervision → 2D error and joint error in mm, of the one picture that Fig. 4 shows."""

COLUMNS = ("H3.6M #1", "H3.6M #1*")
"""The settings of `table4` that the paper has; what others the registry has comes after them."""

HARD_ACTIONS = ("Sitting", "SittingD.")

ABOUT_20 = 15.0
"""Percent: the least that rounds to 20 % in steps of ten."""

Cases = list[Case]


def _settings(found: Evidence, experiment: str) -> list[Setting]:
    """All settings of an experiment, in the registry's order: the paper's own first."""
    return [found.setting(experiment, name) for name in found.registry.experiment(experiment).settings]


def _in_each(experiment: str, contrasts: Callable[[Setting], Sequence[Contrast]], found: Evidence) -> Cases:
    """The same contrasts in each setting of an experiment."""
    return [Case(each.setting, tuple(contrasts(each))) for each in _settings(found, experiment)]


def _mpjpe(setting: Setting, one: str, other: str, wanted: int = -1) -> Contrast:
    return Contrast(f"{one} against {other}", "mm", wanted, setting.score(one), setting.score(other))


def _sun() -> dict[str, PaperNumber]:
    """Column → what Table 1 quotes of Sun et al. under protocol #1, the integral baseline."""
    return {
        each.column: each
        for each in RIVALS
        if (each.table, each.row) == ("table1", "protocol #1") and each.method.startswith("Sun")
    }


# Human3.6M's literature, and the runtime


def against_literature(found: Evidence) -> Cases:
    """How much lower our mean error on Human3.6M is than Sun et al.'s, in percent, against `ABOUT_20`.

    Nothing on drawn people, who have no literature: the pictures tested on must be real, whatever was trained
    on.
    """
    setting, sun = found.setting("table4", COLUMNS[0]), _sun()["Avg"]
    if not found.is_real or setting.data("full", "human36m-test") - {"real"}:
        return []
    ours = setting.score("full")
    quoted, least = (Series(dict.fromkeys(ours.values, value)) for value in (sun.value, ABOUT_20))
    gain = (quoted - ours).percent_of(quoted)
    what = f"full below {sun.method} as quoted, in percent, against {ABOUT_20:.0f}"
    return [Case(COLUMNS[0], (Contrast(what, "points", 1, gain, least),))]


def literature_remark(found: Evidence) -> str:
    """Which of the rivals' averages gives 20 %, and what the paper's own baseline gives."""
    gains = {
        f"{each.method} ({each.row})": 100 * (1 - OWN[each.key].value / each.value)
        for each in RIVALS
        if each.table == "table1" and each.column == "Avg"
    }
    first, *others = sorted(gains, key=lambda name: abs(gains[name] - 20))
    nearest = " and ".join(f"{name}, {gains[name]:.1f} %" for name in others[:2])
    baseline, full = (paper_number("table4", row, COLUMNS[0]).value for row in ("Baseline", "Full"))
    return (
        f"By the paper's own averages the 20 % rest on {first}: {gains[first]:.1f} %; next come {nearest}. "
        f"Against its own baseline, Table 4, the gain is {100 * (1 - full / baseline):.1f} %."
    )


def runtime_remark(found: Evidence) -> str:
    """The paper's ratio of the two networks' times beside the measured ones."""
    full, base = (paper_number("runtime", row, "forward pass").value for row in ("Full", "Baseline"))
    ratios = forward_ratios(found.forward)
    here = ", ".join(f"{ratio:.2f} ({device}, batch {n})" for (device, n), ratio in ratios.items())
    return (
        f"The paper's ratio of full network to baseline is {full / base:.2f}; measured here: "
        f"{here or 'not run, python benchmarks/forward.py measures it'}."
    )


# Table 4


def better(one: str, *, than: str) -> Callable[[Evidence], Cases]:
    """A condition against another, in each setting of Table 4.

    Args:
        one: The condition that the claim prefers.
        than: The other.
    """
    return partial(_in_each, "table4", lambda setting: [_mpjpe(setting, one, than)])


def full_against_all(found: Evidence) -> Cases:
    """Full against each other row, the smaller network included: 'same network architecture', says §4.3."""
    others = ("none", "none, smaller network", "2d", "hemlets")
    return _in_each("table4", lambda setting: [_mpjpe(setting, "full", other) for other in others], found)


def gap_without_2d(found: Evidence) -> Cases:
    """How much less 2D heatmaps add to HEMlets where the data set of 2D poses is left out."""
    with_2d, without = (found.setting("table4", name) for name in COLUMNS)
    gaps = [setting.score("hemlets") - setting.score("full") for setting in (without, with_2d)]
    what = "what 2D heatmaps add to HEMlets, without MPII's counterpart against with it"
    return [Case(" against ".join(COLUMNS[::-1]), (Contrast(what, "mm", -1, *gaps),))]


def gap_remark(found: Evidence) -> str:
    """The paper's gaps to Full, of HEMlets and of the baseline."""

    def gaps(row: str) -> list[str]:
        pairs = [(OWN["table4", row, column], OWN["table4", "Full", column]) for column in COLUMNS]
        return [f"{one.value - full.value:.1f}" for one, full in pairs]

    hemlets, baseline = gaps("w/ HEMlets"), gaps("Baseline")
    return (
        f"In the paper HEMlets trail Full by {hemlets[0]} mm with MPII and {hemlets[1]} mm without, while "
        f"the gap to the baseline grows from {baseline[0]} to {baseline[1]} mm."
    )


# Table 1: actions


def _gains(setting: Setting) -> dict[str, Series]:
    """How much lower each action's error is with intermediate supervision."""
    return {
        action: setting.score("none", column=action) - setting.score("full", column=action)
        for action in ACTIONS
    }


def hard_actions(found: Evidence) -> Cases:
    """The gain on each of the two hard actions against the mean gain on the others."""

    def contrasts(setting: Setting) -> list[Contrast]:
        gains = _gains(setting)
        first, *rest = (gains[action] for action in ACTIONS if action not in HARD_ACTIONS)
        others, what = first.mean_with(*rest), f"against the mean gain on the {len(rest) + 1} others"
        return [
            Contrast(f"gain on {action} {what}", "mm", 1, gains[action], others) for action in HARD_ACTIONS
        ]

    return _in_each("table4", contrasts, found)


def hard_actions_remark(found: Evidence) -> str:
    """Where the two rank among the actions, by gain: in the paper over Sun et al., here over no loss."""

    def ranks(gains: Mapping[str, float]) -> str:
        order = sorted(gains, key=gains.__getitem__, reverse=True)
        return " and ".join(f"{action} {order.index(action) + 1}" for action in HARD_ACTIONS)

    sun = _sun()
    paper = {name: sun[name].value - OWN[sun[name].key].value for name in ACTIONS}
    text = f"Gains ranked among the {len(ACTIONS)} actions: over Sun et al. in Table 1 {ranks(paper)}"
    for setting in _settings(found, "table4"):
        gains = _gains(setting)
        if all(series.values for series in gains.values()):
            means = {action: mean_interval(list(each.values.values())).mean for action, each in gains.items()}
            text += f"; here, {setting.setting}, {ranks(means)}"
    return f"{text}."


# Fig. 4: where the error lies


def sight_against_plane(found: Evidence) -> Cases:
    """With triplets the error along the line of sight falls, and by a larger share than that across it."""

    def contrasts(setting: Setting) -> list[Contrast]:
        depth, plane = (
            [setting.probe(condition, name) for condition in ("full", "2d")]
            for name in ("depth_mm", "plane_mm")
        )
        shares = (full.percent_of(heatmaps) for full, heatmaps in (depth, plane))
        what = "share of the error that remains: along the line of sight against in the picture plane"
        return [
            Contrast("full against 2d: error along the line of sight", "mm", -1, *depth),
            Contrast(what, "points", -1, *shares),
        ]

    return _in_each("table4", contrasts, found)


def figure4_remark(found: Evidence) -> str:
    """What remains of the two errors in the paper's picture."""
    (plane, joint), (plane_full, joint_full) = FIGURE4["2d"], FIGURE4["full"]
    return (
        f"In the paper's one picture {100 * plane_full / plane:.0f} % of the 2D error and "
        f"{100 * joint_full / joint:.0f} % of the joint error remain. One picture of the authors' choice "
        "gives no size to test, so the direction is judged, over the whole test set."
    )


# Fig. 6: variants


def _variant(name: str, found: Evidence) -> Cases:
    def contrasts(setting: Setting) -> list[Contrast]:
        areas = (setting.curve_area(condition) for condition in (name, "HEMlets"))
        curve = Contrast(f"{name} against HEMlets: mean height of the validation curve", "mm", 1, *areas)
        return [curve, _mpjpe(setting, name, "HEMlets", wanted=1)]

    return _in_each("figure6", contrasts, found)


def two_states(found: Evidence) -> Cases:
    """2s-HEM against HEMlets, over the whole curve and at its end."""
    return _variant("2s-HEM", found)


def five_states(found: Evidence) -> Cases:
    """5s-HEM against HEMlets, over the whole curve and at its end."""
    return _variant("5s-HEM", found)


# Tables 5 and 3: weak labels, other scenes


def _pck(setting: Setting, one: str, other: str) -> Contrast:
    scores = (setting.score(condition, "3DPCK", mean="samples") for condition in (one, other))
    return Contrast(f"{one} against {other}: 3DPCK", "points", 1, *scores)


def weak_labels(*conditions: str, against: str) -> Callable[[Evidence], Cases]:
    """Conditions of Table 5 against another, at each strength of the annotators' noise.

    Args:
        conditions: Those that the claim prefers.
        against: The other.
    """

    return partial(_in_each, "table5", lambda setting: [_pck(setting, name, against) for name in conditions])


def noise_explains(found: Evidence) -> Cases:
    """FBI's lead over Ordinal under the strongest noise of the annotators against that under the weakest."""
    levels = found.registry.experiment("table5").settings
    weakest, *_, strongest = sorted(levels, key=lambda name: levels[name]["noise"])
    leads = [
        _pck(found.setting("table5", name), "w/ FBI", "w/ Ordinal").difference
        for name in (strongest, weakest)
    ]
    what = "lead of FBI over Ordinal (3DPCK), under strong noise against weak"
    return [Case(f"{strongest} against {weakest}", (Contrast(what, "points", 1, *leads),))]


def outdoors(found: Evidence) -> Cases:
    """The gain in 3DPCK outdoors: that there is one, and that it exceeds the studio's."""

    def contrasts(setting: Setting) -> list[Contrast]:
        outside, studio = (
            [setting.score(condition, "3DPCK", column=column) for condition in ("full", "none")]
            for column in ("Outdoor", "Studio GS")
        )
        gains = (full - none for full, none in (outside, studio))
        return [
            Contrast("full against none: 3DPCK outdoors", "points", 1, *outside),
            Contrast("gain outdoors against gain in the green-screen studio: 3DPCK", "points", 1, *gains),
        ]

    return _in_each("table4", contrasts, found)


# What a mean error hides


def overfitting(found: Evidence) -> Cases:
    """How much larger the error on unseen people is than on pictures that were trained on.

    And the error on unseen people itself: a network that learns less has a smaller gap too.
    """

    def contrasts(setting: Setting) -> list[Contrast]:
        unseen, seen = (
            [setting.probe(condition, "mpjpe_mm", pictures=pictures) for condition in ("full", "none")]
            for pictures in ("test", "train")
        )
        gaps = (test - train for test, train in zip(unseen, seen, strict=True))
        return [
            Contrast("test error less training error, full against none", "mm", -1, *gaps),
            Contrast("test error, full against none", "mm", -1, *unseen),
        ]

    return _in_each("overfitting", contrasts, found)


def bone_lengths(found: Evidence) -> Cases:
    """Errors of the parts' lengths: against other rows of Table 4, and against a rival's ranking loss."""

    def lengths(setting: Setting, one: str, other: str) -> Contrast:
        what = f"{one} against {other}: error of the parts' lengths"
        return Contrast(what, "mm", -1, setting.probe(one, "bone_mm"), setting.probe(other, "bone_mm"))

    def rows(setting: Setting) -> list[Contrast]:
        return [lengths(setting, "full", other) for other in ("none", "2d")]

    rivals = [
        Case(f"rivals, {each.setting}", (lengths(each, "HEMlets", "ranking loss"),))
        for each in _settings(found, "rivals")
    ]
    return [*_in_each("table4", rows, found), *rivals]


def _against_rival(rival: str, found: Evidence) -> Cases:
    """HEMlets at every weight of the rival's loss, by rule 3: no claim may rest on a weight chosen badly."""
    conditions = found.registry.experiment("rivals").conditions
    weights = [name for name in conditions if name.startswith(f"{rival},")]
    decisive, beside = [], []
    for each in _settings(found, "rivals"):
        contrasts = {name: _mpjpe(each, "HEMlets", name) for name in (rival, *weights)}
        once = [name for name in weights if len(contrasts[name].difference.values) < 2]
        tried = tuple(contrast for name, contrast in contrasts.items() if name not in once)
        decisive.append(Case(each.setting, tried))
        beside += [Case(f"{each.setting}; {name}", (contrasts[name],)) for name in once]
    return [*decisive, *beside]


def against_ranking(found: Evidence) -> Cases:
    """HEMlets against the ranking loss of Pavlakos et al."""
    return _against_rival("ranking loss", found)


def against_tri_state(found: Evidence) -> Cases:
    """HEMlets against a label for each part, without a place."""
    return _against_rival("tri-state labels", found)


# Our own: where it pays


def _gain(setting: Setting) -> Series:
    return setting.score("none") - setting.score("full")


def fewer_labels(found: Evidence) -> Cases:
    """The gain where 3D labels are few against that where every picture has them."""
    few = [setting for setting in _settings(found, "table4") if setting.setting not in COLUMNS]
    all_labels, what = (
        found.setting("table4", COLUMNS[1]),
        "gain of full over none, few 3D labels against all",
    )
    return [
        Case(
            f"{each.setting} against {COLUMNS[1]}", (Contrast(what, "mm", 1, _gain(each), _gain(all_labels)),)
        )
        for each in few
    ]


def shorter_training(found: Evidence) -> Cases:
    """The gain of a short training against that of a long one; nothing where another profile is asked for."""
    if found.profile not in LONGER:
        return []
    what = f"gain of full over none, profile {' against '.join(LONGER)}"

    def contrast(name: str) -> Contrast:
        gains = (_gain(found.setting("table4", name, profile)) for profile in LONGER)
        return Contrast(what, "mm", 1, *gains)

    return [Case(each.setting, (contrast(each.setting),)) for each in _settings(found, "table4")]
