"""The rules by which a claim of the paper is judged; all of them are in this file.

1. A *contrast* compares two series seed by seed. Its verdict hangs on the 95 % interval of the mean
   difference: zero outside, on the side that the claim says: "reproduced"; zero outside, on the other side:
   "not reproduced"; zero inside, or a single seed: "undecided", and from three seeds on a power analysis
   says which difference would have been seen. Nothing to compare: "not run".
2. A *case* is one setting with all the contrasts that a claim makes there; all must hold. One contrast that
   is not reproduced decides; then one that has not run; then one that is undecided. This is not symmetric: of
   k contrasts without any effect chance contradicts one in up to k · 2.5 % of all trials, and bears all out
   in hardly any. A claim of many parts is the easier to contradict.
3. A claim is decided in one case, and not in the most pleasant one: the first, in the order of nearness to
   the paper's own setting, in which every contrast has three seeds; where none has, the first with two, of
   which an interval says little; then the first with one. The other cases are shown beside it, and the
   reason says so where the first has not run at all. A rival's loss is tried at several weights: HEMlets
   must win at each that has an interval, two seeds; a weight tried once decides nothing and is a case of its
   own.
4. What drawn people cannot show, and what hangs on a certain graphics card, is "not measurable here".

A verdict is about direction and order on the data at hand, never about the paper's millimetres.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import stdev
from typing import Literal

from hemlets_lib.experiments.evidence import SEEDS, Evidence, Place, Series
from hemlets_lib.experiments.statistics import (
    CONFIDENCE,
    Interval,
    detectable_effect,
    paired_difference,
    signed,
)
from hemlets_lib.paper import PaperNumber, paper_number

__all__ = [
    "POWER",
    "VERDICTS",
    "Case",
    "Chance",
    "Claim",
    "Contrast",
    "Judged",
    "Verdict",
    "all_of",
    "by_chance",
    "holm",
    "judge",
    "verdict_of",
]

Verdict = Literal["reproduced", "not reproduced", "undecided", "not measurable here", "not run"]
VERDICTS: tuple[Verdict, ...] = (
    "reproduced", "not reproduced", "undecided", "not measurable here", "not run",
)  # fmt: skip
POWER = 0.8
"""Probability with which a power analysis would have the difference seen."""


def verdict_of(interval: Interval | None, wanted: int) -> Verdict:
    """Rule 1: what the interval of a difference says of the side that a claim takes.

    Args:
        interval: Of the mean difference; None where there is nothing to compare.
        wanted: Its sign according to the claim, −1 or +1.
    """
    if interval is None:
        return "not run"
    if not interval.excludes_zero:
        return "undecided"
    return "reproduced" if interval.mean * wanted > 0 else "not reproduced"


def all_of(verdicts: Iterable[Verdict]) -> Verdict:
    """Rule 2: the verdict on several things that a claim says at once.

    Args:
        verdicts: On each; at least one.

    Raises:
        ValueError: If there are none.
    """
    there = set(verdicts)
    if not there:
        raise ValueError("`verdicts` must hold at least one verdict, got none.")
    weightiest: tuple[Verdict, ...] = ("not reproduced", "not run", "undecided")
    return next((verdict for verdict in weightiest if verdict in there), "reproduced")


@dataclass(frozen=True)
class Contrast:
    """Two series compared seed by seed.

    Args:
        what: In words, "full against none: MPJPE".
        unit: Of the difference.
        wanted: Its sign according to the claim, −1 or +1.
        values: What is compared.
        against: With what.
    """

    what: str
    unit: str
    wanted: int
    values: Series
    against: Series

    @property
    def difference(self) -> Series:
        """Seed by seed, over the seeds that both have."""
        return self.values - self.against

    @property
    def interval(self) -> Interval | None:
        """Of the mean difference; None where no seed is common to both."""
        return paired_difference(self.values.values, self.against.values)

    @property
    def seeds(self) -> int:
        """That both have."""
        return len(self.difference.values)

    @property
    def verdict(self) -> Verdict:
        """By rule 1."""
        return verdict_of(self.interval, self.wanted)

    @property
    def would_have_been_seen(self) -> float | None:
        """The difference that these seeds would show with probability `POWER`, the spread being as measured.

        None with fewer than `SEEDS` seeds, of whose spread two values say next to nothing.
        """
        interval = self.interval
        if interval is None or interval.n < SEEDS:
            return None
        return detectable_effect(stdev(self.difference.values.values()), interval.n, power=POWER)

    @property
    def p_value(self) -> float | None:
        """Of the paired two-sided test to which the interval belongs; None with fewer than two seeds."""
        interval = self.interval
        if interval is None or interval.n < 2:
            return None
        error = stdev(self.difference.values.values()) / math.sqrt(interval.n)
        if error == 0:
            return 1.0 if interval.mean == 0 else 0.0
        from scipy.stats import t

        return float(2 * t.sf(abs(interval.mean) / error, interval.n - 1))

    @property
    def to_run(self) -> tuple[Place, ...]:
        """The cells that lack seeds for `SEEDS` pairs; all where those that have run share too few."""
        if self.seeds >= SEEDS:
            return ()
        return self.difference.short or self.difference.places

    @property
    def shown(self) -> str:
        """The mean difference with its interval and unit; "not run" where there is none."""
        return signed(self.interval, unit=self.unit)

    def __str__(self) -> str:
        return f"{self.what}: {self.shown}"


@dataclass(frozen=True)
class Case:
    """A setting and what a claim says there.

    Args:
        setting: In words.
        contrasts: All of them must hold; at least one.
    """

    setting: str
    contrasts: tuple[Contrast, ...]

    @property
    def verdict(self) -> Verdict:
        """By rule 2."""
        return all_of(contrast.verdict for contrast in self.contrasts)

    @property
    def seeds(self) -> int:
        """Of the contrast that has the fewest."""
        return min(contrast.seeds for contrast in self.contrasts)


@dataclass(frozen=True)
class Claim:
    """A claim of the paper.

    Args:
        name: For programs and links.
        says: The paper's words, in short.
        section: Where they stand.
        judged: What is compared here.
        numbers: Table, row and column of the paper's numbers that it rests on.
        cases: The settings, nearest to the paper's first; none where it is not measurable.
        remark: A sentence computed from the paper's numbers and the results; empty for none.
        obstacle: Why it is not measurable, where there are no cases.
    """

    name: str
    says: str
    section: str
    judged: str
    numbers: tuple[tuple[str, str, str], ...]
    cases: Callable[[Evidence], Sequence[Case]]
    remark: Callable[[Evidence], str] = lambda found: ""
    obstacle: str = ""

    @property
    def paper(self) -> tuple[PaperNumber, ...]:
        """The numbers themselves."""
        return tuple(paper_number(*key) for key in self.numbers)


@dataclass(frozen=True)
class Judged:
    """A claim with its verdict.

    Args:
        claim: Which.
        profile: Whose results, as in `Evidence`.
        verdict: By the rules.
        case: The one that decided; None where it is not measurable.
        reason: One sentence.
        remark: What a reader should know besides; empty for nothing.
        cases: All settings.
    """

    claim: Claim
    profile: str
    verdict: Verdict
    case: Case | None
    reason: str
    remark: str
    cases: tuple[Case, ...]

    @property
    def to_run(self) -> tuple[Place, ...]:
        """The cells that the deciding case lacks, or that would give it `SEEDS` seeds."""
        contrasts = self.case.contrasts if self.case else ()
        return tuple(dict.fromkeys(place for contrast in contrasts for place in contrast.to_run))


def judge(claim: Claim, found: Evidence) -> Judged:
    """A claim by the rules of this module.

    Args:
        claim: Which.
        found: The results.
    """
    cases, remark = tuple(claim.cases(found)), claim.remark(found)
    if not cases:
        return Judged(claim, found.profile, "not measurable here", None, claim.obstacle, remark, ())
    case = _deciding(cases)
    reason = _reason(case, found.profile)
    nearest = cases[0]
    if case is not nearest and not nearest.seeds:
        ran = "has run in part" if any(contrast.seeds for contrast in nearest.contrasts) else "has not run"
        reason += f" The setting nearest to the paper's, {nearest.setting}, {ran}."
    return Judged(claim, found.profile, case.verdict, case, reason, remark, cases)


def _deciding(cases: Sequence[Case]) -> Case:
    """Rule 3. Where no case has a seed of every contrast, the first that has results; else the first."""
    return next(
        (case for least in (SEEDS, 2, 1) for case in cases if case.seeds >= least),
        next((case for case in cases if case.verdict != "not run"), cases[0]),
    )


def _reason(case: Case, profile: str) -> str:
    verdict = case.verdict
    decisive = [contrast for contrast in case.contrasts if contrast.verdict == verdict]
    listed = "; ".join(map(str, decisive))
    several = len(decisive) > 1
    if verdict == "reproduced":
        side = "each of these intervals lies" if several else "the interval lies"
        return f"{listed}: {side} wholly on the side that the claim says."
    if verdict == "not reproduced":
        side = "these intervals lie" if several else "the interval lies"
        return f"{listed}: {side} wholly on the other side."
    if verdict == "not run":
        return (
            f"{'; '.join(contrast.what for contrast in decisive)}: no common seed in profile {profile} yet."
        )
    said = []
    if any(contrast.seeds > 1 for contrast in decisive):
        said.append(f"zero lies within {'these intervals' if several else 'the interval'}")
    if any(contrast.seeds == 1 for contrast in decisive):
        said.append(f"one seed has no interval; {SEEDS} seeds would")
    seen = " and ".join(
        f"{effect:.1f} {contrast.unit} ({contrast.seeds} seeds)"
        for contrast in decisive
        if (effect := contrast.would_have_been_seen) is not None
    )
    if seen:
        said.append(
            f"if the spread is as measured, a difference of {seen} would have been seen with {POWER:.0%} "
            "probability"
        )
    return f"{listed}: {'; '.join(said)}."


def holm(p_values: Sequence[float], *, confidence: float = CONFIDENCE) -> list[bool]:
    """Which of several findings stand when all of them together may err once in twenty times (Holm 1979).

    Args:
        p_values: One for each.
        confidence: That none of those that stand is by chance.

    Returns:
        Whether each stands, in the order given.
    """
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    stands = [False] * len(p_values)
    for rank, place in enumerate(order):
        if p_values[place] > (1 - confidence) / (len(p_values) - rank):
            break
        stands[place] = True
    return stands


@dataclass(frozen=True)
class Chance:
    """How many of the intervals exclude zero, and how many would if nothing had any effect.

    Args:
        intervals: How many there are.
        outside: How many of them exclude zero.
        stand: Those that do so even after Holm's correction for their number, with their settings.
    """

    intervals: int
    outside: int
    stand: tuple[str, ...]

    def __str__(self) -> str:
        if not self.intervals:
            return "No interval yet: intervals need two seeds."
        by_chance = (1 - CONFIDENCE) * self.intervals
        return (
            f"{self.intervals} intervals at {CONFIDENCE:.0%}: if nothing had any effect, about "
            f"{by_chance:.1f} of them would exclude zero by chance; {self.outside} do. After Holm's "
            f"correction for their number {len(self.stand)} of these stand"
            f"{': ' if self.stand else ''}{'; '.join(self.stand)}."
        )


def by_chance(judged: Iterable[Judged]) -> Chance:
    """What the number of comparisons does to their worth.

    Args:
        judged: The claims; every contrast of every setting counts, once where two settings share its cells.
    """
    contrasts: dict[tuple[object, ...], tuple[str, Contrast]] = {}
    for case in (case for each in judged for case in each.cases):
        for each in case.contrasts:
            key = (each.what, each.difference.files, tuple(each.difference.values.items()))
            contrasts.setdefault(key, (case.setting, each))
    tested = [(where, each, p) for where, each in contrasts.values() if (p := each.p_value) is not None]
    outside = sum(each.verdict in ("reproduced", "not reproduced") for _, each, _ in tested)
    holds = holm([p for _, _, p in tested])
    stand = [f"{each.what} ({where})" for (where, each, _), held in zip(tested, holds, strict=True) if held]
    return Chance(len(tested), outside, tuple(stand))
