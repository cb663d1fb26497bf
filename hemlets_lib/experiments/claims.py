"""The paper's claims as data: its words, its numbers, what is compared here. The rules are in `verdicts`.

    for each in judge_all(Evidence.read(read_registry(), "laptop")):
        print(each.claim.says, each.verdict, each.reason)

Two questions at the end are our own: the paper argues from scarce 3D labels and long trainings, so where the
gain grows and shrinks is asked too.
"""

from __future__ import annotations

from hemlets_lib.experiments import comparisons as compare
from hemlets_lib.experiments.comparisons import ABOUT_20, COLUMNS, HARD_ACTIONS
from hemlets_lib.experiments.evidence import Evidence
from hemlets_lib.experiments.verdicts import Claim, Judged, judge
from hemlets_lib.paper import OWN

__all__ = ["CLAIMS", "judge_all"]

_AVERAGE = ("table1", "protocol #1", "Avg")
_TABLE4 = {row: ("table4", row, COLUMNS[0]) for row in ("Baseline", "w/ 2D heatmaps", "w/ HEMlets", "Full")}

CLAIMS: tuple[Claim, ...] = (
    Claim(
        "literature", "about 20 % better than the best method of its kind, Sun et al. [28]",
        "Abstract, §1, §4.2",
        f"whether our mean error on Human3.6M itself is {ABOUT_20:.0f} % below the number quoted from [28]",
        (_AVERAGE,), compare.against_literature, compare.literature_remark,
        "A number of the literature holds for Human3.6M's own test pictures; drawn people have none.",
    ),
    Claim(
        "2d-heatmaps", "2D heatmaps reduce the error", "§4.3, Table 4",
        "2D heatmaps against no intermediate loss, in the same network",
        (_TABLE4["Baseline"], _TABLE4["w/ 2D heatmaps"]), compare.better("2d", than="none"),
    ),
    Claim(
        "hemlets", "HEMlets give a lower mean error than 2D heatmaps", "§4.3, Table 4",
        "HEMlets alone against 2D heatmaps alone",
        (_TABLE4["w/ 2D heatmaps"], _TABLE4["w/ HEMlets"]), compare.better("hemlets", than="2d"),
    ),
    Claim(
        "full", "HEMlets with 2D heatmaps have the lowest error", "§4.3, Table 4",
        "full against each other row, the smaller baseline network included",
        tuple(_TABLE4.values()), compare.full_against_all,
    ),
    Claim(
        "gap", "without MPII's 2D poses the gap between HEMlets and Full shrinks", "§4.3, Table 4",
        "the difference of two differences, seed by seed",
        tuple(("table4", row, column) for row in ("w/ HEMlets", "Full") for column in COLUMNS),
        compare.gap_without_2d, compare.gap_remark,
    ),
    Claim(
        "actions", "considerable improvements on challenging actions such as Sitting and Sitting Down",
        "§4.2, Table 1", "the gain of full over none on each of the two against that on the other actions",
        tuple((*_AVERAGE[:2], action) for action in HARD_ACTIONS),
        compare.hard_actions, compare.hard_actions_remark,
    ),
    Claim(
        "figure4", "2D joint errors quite close, 3D errors far apart: HEMlets fix gross limb errors",
        "§4.3, Fig. 4", "error along the line of sight and in the picture plane, full against 2D heatmaps",
        (), compare.sight_against_plane, compare.figure4_remark,
    ),
    Claim(
        "2s", "2s-HEM converges worse than HEMlets", "§4.3, Fig. 6",
        "validation error over the whole training, and the test error at its end", (), compare.two_states,
    ),
    Claim(
        "5s", "5s-HEM converges worse than HEMlets", "§4.3, Fig. 6",
        "validation error over the whole training, and the test error at its end", (), compare.five_states,
    ),
    Claim(
        "weak-labels", "data sets with depth order alone raise 3DPCK slightly", "§4.3, Table 5",
        "each of Ordinal, FBI and both against neither, on MPI-INF-3DHP's counterpart",
        tuple(key for key in OWN if key[0] == "table5"),
        compare.weak_labels("w/ Ordinal", "w/ FBI", "w/ FBI + Ordinal", against="Base"),
    ),
    Claim(
        "fbi", "FBI's annotations raise it more than Ordinal's", "§4.3, Table 5",
        "FBI against Ordinal at equal noise of the annotators",
        (("table5", "w/ Ordinal", "3DPCK"), ("table5", "w/ FBI", "3DPCK")),
        compare.weak_labels("w/ FBI", against="w/ Ordinal"),
    ),
    Claim(
        "noise", "FBI's lead is suspected to come from the amount of annotation errors", "§4.3",
        "whether FBI's lead over Ordinal grows with the annotators' noise", (), compare.noise_explains,
    ),
    Claim(
        "overfitting", "HEMlets are less prone to overfitting", "§1",
        "error on unseen people, and that less the error on pictures trained on, with few pictures",
        (), compare.overfitting,
    ),
    Claim(
        "bones", "geometric constraints such as bone lengths are learnt implicitly", "§3.1",
        "error of the parts' lengths, against no intermediate loss, 2D heatmaps and a ranking loss",
        (), compare.bone_lengths,
    ),
    Claim(
        "joint", "joint coding of place and order beats separate marginals, as in Pavlakos et al. [19]",
        "§3.1", "HEMlets against 2D heatmaps with a ranking loss on depth", (), compare.against_ranking,
    ),
    Claim(
        "label", "a discretised label as intermediate state is not as effective", "§3.1",
        "HEMlets against 2D heatmaps with a tri-state label for each part", (), compare.against_tri_state,
    ),
    Claim(
        "outdoors", "good generalisation, with particularly large margins outdoors", "§4.2, §5, Table 3",
        "full against none on MPI-INF-3DHP's counterpart: outdoors, and more so than in the studio",
        (("table3", "3DPCK", "Outdoor"), ("table3", "3DPCK", "Studio GS")), compare.outdoors,
    ),
    Claim(
        "runtime", "the full model takes 13.3 ms for a forward pass, the baseline 8.5 ms", "§4.3",
        "the ratio of the two, on the machines at hand",
        (("runtime", "Full", "forward pass"), ("runtime", "Baseline", "forward pass")),
        lambda found: [], compare.runtime_remark, "The milliseconds are those of a GTX 1080.",
    ),
    Claim(
        "few-labels", "intermediate supervision pays most where 3D labels are few", "our question, after §3",
        "the gain of full over none at two label budgets", (), compare.fewer_labels,
    ),
    Claim(
        "short-training", "intermediate supervision pays most where training is short", "our question",
        "the gain of full over none in two profiles that differ in images seen",
        (), compare.shorter_training,
        obstacle="It compares the profiles laptop and long; ask for either.",
    ),
)  # fmt: skip
"""The paper's claims, and two questions of our own at the end."""


def judge_all(found: Evidence) -> list[Judged]:
    """Every claim by the rules of `verdicts`.

    Args:
        found: The results.
    """
    return [judge(claim, found) for claim in CLAIMS]
