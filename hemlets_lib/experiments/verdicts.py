"""The rules by which a claim of the paper is judged; all of them are in this file.

1. A *contrast* compares two series seed by seed. Its verdict hangs on the 95 % interval of the mean
   difference: zero outside, on the side that the claim says: "reproduced"; zero outside, on the other side:
   "not reproduced"; zero inside, or a single seed: "undecided", and a power analysis says which difference
   would have been seen. Nothing to compare: "not run".
2. A *case* is one setting with all the contrasts that a claim makes there; all must hold. One contrast that
   is not reproduced decides; then one that has not run; then one that is undecided.
3. A claim is decided in one case, and not in the most pleasant one: the first, in the order of nearness to
   the paper's own setting, in which every contrast has three seeds; where none has, the first with two, of
   which an interval says little; then the first with one. The other cases are shown beside it.
4. What drawn people cannot show, and what hangs on a certain graphics card, is "not measurable here".

A verdict is about direction and order on the data at hand, never about the paper's millimetres.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from hemlets_lib.experiments.evidence import SEEDS, Evidence, Place, Series
from hemlets_lib.experiments.statistics import CONFIDENCE, Interval, detectable_effect, paired_difference
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
    def verdict(self) -> Verdict:
        """By rule 1."""
        return verdict_of(self.interval, self.wanted)

    @property
    def would_have_been_seen(self) -> float | None:
        """The difference that these seeds would have shown with probability `POWER`; None without spread."""
        interval = self.interval
        if interval is None or interval.n < 2:
            return None
        return detectable_effect(_deviation(self.difference.values.values()), interval.n, power=POWER)

    @property
    def p_value(self) -> float | None:
        """Of the paired two-sided test to which the interval belongs; None with fewer than two seeds."""
        interval = self.interval
        if interval is None or interval.n < 2:
            return None
        error = _deviation(self.difference.values.values()) / math.sqrt(interval.n)
        if error == 0:
            return 1.0 if interval.mean == 0 else 0.0
        from scipy.stats import t

        return float(2 * t.sf(abs(interval.mean) / error, interval.n - 1))

    @property
    def to_run(self) -> tuple[Place, ...]:
        """The cells that a verdict waits for: those without results, or all where no seed is common."""
        if self.verdict != "not run":
            return ()
        return self.difference.missing or self.difference.places

    @property
    def shown(self) -> str:
        """The mean difference with its interval and unit; "not run" where there is none."""
        interval = self.interval
        if interval is None:
            return "not run"
        mean = f"{interval.mean:+.1f}".replace("-", "−")
        if interval.half_width is None:
            return f"{mean} {self.unit} (one seed)"
        return f"{mean} ± {interval.half_width:.1f} {self.unit}"

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
        return min(len(contrast.difference.values) for contrast in self.contrasts)


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
        """The cells that the deciding case waits for."""
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
    return Judged(claim, found.profile, case.verdict, case, _reason(case, found.profile), remark, cases)


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
    if case.seeds < 2:
        return f"{listed}: one seed has no interval; {SEEDS} seeds would."
    seen = "; ".join(f"{contrast.would_have_been_seen:.1f} {contrast.unit}" for contrast in decisive)
    return (
        f"{listed}: zero lies within {'these intervals' if several else 'the interval'}; with "
        f"{case.seeds} seeds a difference of {seen} would have been seen with {POWER:.0%} probability."
    )


def _deviation(values: Iterable[float]) -> float:
    numbers = list(values)
    mean = sum(numbers) / len(numbers)
    return math.sqrt(sum((number - mean) ** 2 for number in numbers) / (len(numbers) - 1))


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
        stand: How many of those stand after Holm's correction for their number.
    """

    intervals: int
    outside: int
    stand: int

    def __str__(self) -> str:
        if not self.intervals:
            return "No interval yet: intervals need two seeds."
        by_chance = (1 - CONFIDENCE) * self.intervals
        return (
            f"{self.intervals} intervals at {CONFIDENCE:.0%}: if nothing had any effect, about "
            f"{by_chance:.1f} of them would exclude zero by chance; {self.outside} do. After Holm's "
            f"correction for their number {self.stand} of these stand."
        )


def by_chance(judged: Iterable[Judged]) -> Chance:
    """What the number of comparisons does to their worth.

    Args:
        judged: The claims; every contrast of every setting counts, once where two settings share its cells.
    """
    contrasts = {
        (contrast.what, contrast.difference.files, tuple(contrast.difference.values.items())): contrast
        for each in judged
        for case in each.cases
        for contrast in case.contrasts
    }
    tested = [(each, p) for each in contrasts.values() if (p := each.p_value) is not None]
    outside = sum(each.verdict in ("reproduced", "not reproduced") for each, _ in tested)
    return Chance(len(tested), outside, sum(holm([p for _, p in tested])))
