"""Every notebook is a lesson: it asks, says what it takes, shows a mistake failing, and sets exercises."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest

from hemlets_lib.exercises import EXERCISES

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
LADDER = ("Predict", "Modify", "Derive", "Extend")
FEWEST_EXERCISES = 3
FEWEST_REFERENCES = 2
LONGEST_CELL = 18  # lines of code: what fits beside its text on a screen, or on a slide
STILL_LONGER = {"12": 4}  # how many cells may be; figures for the most part
LESSONS = sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))
STYLE = pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)


class Lesson:
    """A notebook's text and code, and its sections."""

    def __init__(self, path: Path):
        self.chapter = path.stem[:2]
        self.cells = nbformat.read(path, as_version=4).cells
        self.text = "\n\n".join(cell.source for cell in self.cells if cell.cell_type == "markdown")
        self.code = "\n\n".join(cell.source for cell in self.cells if cell.cell_type == "code")

    def section(self, title: str) -> tuple[str, str]:
        """Text and code under the first heading that contains some words, up to the next of its level."""
        found = {"markdown": "", "code": ""}
        depth = 0  # of the section's heading, once it has begun
        for cell in self.cells:
            for line in cell.source.splitlines():
                heading = re.match(r"(#+) (.*)", line) if cell.cell_type == "markdown" else None
                if heading and depth and len(heading[1]) <= depth:
                    return found["markdown"], found["code"]
                if heading and title in heading[2].lower():
                    depth = depth or len(heading[1])
                elif depth:
                    found[cell.cell_type] += line + "\n"
        return found["markdown"], found["code"]


@STYLE
def test_it_begins_with_a_question_goals_and_what_it_takes(path):
    lesson = Lesson(path)
    title, question = lesson.cells[0].source.split("\n\n")[:2]
    assert re.fullmatch(rf"# {lesson.chapter} · .+", title)
    assert question.startswith("**") and "?" in question
    goals = lesson.text.partition("**You will**")[2].partition("\n\n")[0]
    assert goals.count("\n- ") >= 3
    for mark in (r"\*\*Prerequisites\.\*\* \w", r"\*\*Teaching time\*\* \d+ minutes", r"\*\*Covers\*\*\s"):
        assert re.search(mark, lesson.text), mark
    assert re.search(r"\*\*run time\*\*[^.]*(second|minute)", lesson.text)


@STYLE
def test_it_goes_from_by_hand_to_the_library(path):
    code = Lesson(path).code
    assert "_by_hand" in code or "by_hand =" in code
    assert "assert_close(" in code


@STYLE
def test_its_cells_are_short(path):
    lesson = Lesson(path)
    longer = {
        cell.id: lines
        for cell in lesson.cells
        if cell.cell_type == "code" and (lines := len(cell.source.splitlines())) > LONGEST_CELL
    }
    expected = STILL_LONGER.get(lesson.chapter, 0)
    assert len(longer) <= expected, (
        f"more than {LONGEST_CELL} lines: {longer}. Split them, or draw in a viz module"
    )


@STYLE
def test_a_common_mistake_is_shown_failing(path):
    prose, code = Lesson(path).section("common mistake")
    assert prose and code


@STYLE
def test_it_ends_with_a_summary_and_references(path):
    lesson = Lesson(path)
    assert lesson.section("summary")[0].count("\n- ") >= 2
    references = re.findall(r"^- .+(?:\n  .+)*", lesson.section("further reading")[0], re.MULTILINE)
    assert len(references) >= FEWEST_REFERENCES
    assert len([entry for entry in references if re.search(r"\b(19|20)\d\d\b|arXiv:\d{4}", entry)]) >= 2


@STYLE
def test_its_exercises_climb_the_ladder_and_are_checked(path):
    lesson = Lesson(path)
    text, code = lesson.section("exercises")
    own = [name for name in EXERCISES if name.startswith(f"{lesson.chapter}.")]
    rungs = re.findall(r"^\*\*(\d) · (\w+)\.\*\*", text, re.MULTILINE)
    assert len(own) >= FEWEST_EXERCISES
    assert re.findall(r'check\("(\d\d\.\d)", ', code) == own
    assert [f"{lesson.chapter}.{number}" for number, _ in rungs] == own
    steps = [LADDER.index(rung) for _, rung in rungs]
    assert steps == sorted(steps) and set(steps) == set(range(len(LADDER)))


@STYLE
def test_its_exercises_are_left_to_the_reader(path):
    outputs = [
        out.text
        for cell in Lesson(path).cells
        if 'check("' in cell.source and cell.cell_type == "code"
        for out in cell.outputs
        if out.output_type == "stream"
    ]
    assert outputs and all(text.startswith("○") for text in outputs)


@STYLE
def test_it_leads_to_its_solutions(path):
    lesson = Lesson(path)
    solutions = f"solutions/{lesson.chapter}_solutions.ipynb"
    assert solutions in lesson.text and (NOTEBOOKS / solutions).is_file()
    assert "<details><summary>Solutions</summary>" in lesson.text


def test_sections_end_where_the_next_begins():
    lesson = Lesson(NOTEBOOKS / "01_heatmap_triplets.ipynb")
    prose, code = lesson.section("common mistake")
    assert "Pavlakos" in prose and "assert_close" in code and "## " not in prose
    assert "Summary" not in prose and "check(" not in code
    assert lesson.section("no such heading") == ("", "")
