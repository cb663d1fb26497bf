"""The solutions to the exercises run, and every answer in them passes its check."""

from pathlib import Path

import pytest

from hemlets_lib.exercises import EXERCISES

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
SOLUTIONS = sorted((NOTEBOOKS / "solutions").glob("*.ipynb"))


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem)
def test_every_exercise_of_the_chapter_is_solved(path):
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    folder = {"metadata": {"path": str(path.parent)}}
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources=folder).execute()
    streams = (
        out for cell in notebook.cells for out in cell.get("outputs", []) if out.output_type == "stream"
    )
    lines = "".join(out.text for out in streams).splitlines()
    chapter = path.stem.partition("_")[0]
    passed = {line[2 : line.index(":")] for line in lines if line.startswith("✓")}
    assert passed == {name for name in EXERCISES if name.startswith(chapter)}
    assert not [line for line in lines if line.startswith(("✗", "○"))]


def test_every_chapter_with_exercises_has_solutions():
    assert {path.stem.partition("_")[0] for path in SOLUTIONS} == {
        name.partition(".")[0] for name in EXERCISES
    }
