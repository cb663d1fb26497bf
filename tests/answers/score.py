"""How well the checks do: every known wrong answer through every check, and every right one.

cd tests && python -m answers.score --json ../experiments/results/exercises.json
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from answers import ACCEPTED, REJECTED, Answer
from hemlets_lib.exercises import EXERCISES, first_difference
from hemlets_lib.results import provenance, write_json


def own_hint(name: str, answer: Answer, hint: str) -> bool:
    """Whether a wrong answer is met with a hint."""
    return begins_with(first_difference(name, answer), hint)


def begins_with(complaint: str | None, hint: str) -> bool:
    return (complaint or "").startswith(f"{hint}.\n")


def meant(name: str, words: str) -> list[str]:
    """The hints of an exercise that contain some words."""
    return [mistake.hint for mistake in EXERCISES[name].mistakes if words in mistake.hint]


def wrong_answers(name: str) -> list[tuple[Answer, str]]:
    """The wrong answers to an exercise, the library's own and those of readers, each with its hint."""
    own = [(mistake.answer, mistake.hint) for mistake in EXERCISES[name].mistakes]
    return own + [(answer, hint) for answer, words in REJECTED.get(name, ()) for hint in meant(name, words)]


def score(names: list[str]) -> dict[str, int]:
    """The counts for some exercises.

    Returns:
        Numbers of `exercises`, of `wrong_answers` and how many were `rejected`, `with_own_hint`; of
        `right_answers`, the references among them, and how many were `accepted`.
    """
    wrong = [(first_difference(name, answer), hint) for name in names for answer, hint in wrong_answers(name)]
    right = [
        (name, answer) for name in names for answer in (EXERCISES[name].reference, *ACCEPTED.get(name, ()))
    ]
    return {
        "exercises": len(names),
        "wrong_answers": len(wrong),
        "rejected": sum(complaint is not None for complaint, _ in wrong),
        "with_own_hint": sum(begins_with(complaint, hint) for complaint, hint in wrong),
        "right_answers": len(right),
        "accepted": sum(first_difference(name, answer) is None for name, answer in right),
    }


def scores() -> dict[str, Any]:
    """The counts of all exercises, and chapter by chapter."""
    chapters = sorted({name.partition(".")[0] for name in EXERCISES})
    by_chapter = {
        chapter: score([name for name in EXERCISES if name.startswith(f"{chapter}.")]) for chapter in chapters
    }
    total = {key: sum(counts[key] for counts in by_chapter.values()) for key in by_chapter[chapters[0]]}
    return {"all": total, "chapters": by_chapter}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    found = scores()
    for chapter, counts in {**found["chapters"], "all": found["all"]}.items():
        print(f"{chapter:3s}", "  ".join(f"{name} {count}" for name, count in counts.items()))
    if arguments.json:
        write_json(arguments.json, {**found, **provenance(Path(__file__).parent)})


if __name__ == "__main__":
    main()
