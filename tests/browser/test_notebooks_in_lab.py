"""Every notebook with widgets in a real JupyterLab: it opens, all cells run, and its widgets are drawn."""

from __future__ import annotations

import ast
from pathlib import Path

import nbformat
import pytest

from browser.lab import PLOT, REPOSITORY, LabServer
from hemlets_lib.notebooks import find_notebooks

pytestmark = pytest.mark.browser

DISPLAYS = ("show_pose_3d", "FigureWidget")  # what displays a widget, besides explorers


def displays_widgets(path: Path) -> bool:
    """Whether a notebook's code calls what displays widgets."""
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    lines = [line for cell in cells for line in cell.source.splitlines() if not line.startswith(("%", "!"))]
    for node in ast.walk(ast.parse("\n".join(lines))):
        called = node.func if isinstance(node, ast.Call) else None
        name = getattr(called, "attr", getattr(called, "id", ""))
        if name in DISPLAYS or name.endswith("_explorer"):
            return True
    return False


NOTEBOOKS = [
    notebook.path for notebook in find_notebooks(REPOSITORY / "notebooks") if displays_widgets(notebook.path)
]


def test_notebooks_with_widgets_are_found() -> None:
    assert {"00_quickstart", "01_heatmap_triplets"} <= {path.stem for path in NOTEBOOKS}


# The quickstart is opened by test_lab.py, which does more with it.
@pytest.mark.parametrize("path", NOTEBOOKS[1:], ids=[path.stem for path in NOTEBOOKS[1:]])
def test_it_runs_and_draws(chromium, new_faults, no_faults, lab_server: LabServer, path: Path) -> None:
    copy = lab_server.folder / path.name
    source = copy.read_text(encoding="utf-8")
    copy.write_text(source.replace('profile = \\"laptop\\"', 'profile = \\"smoke\\"'), encoding="utf-8")
    assert copy.read_text(encoding="utf-8") != source, f"{path.name} has no cell with `profile`"
    with lab_server.open(chromium, new_faults(), path.name) as lab:
        lab.run_all()
        lab.photograph(f"lab_{path.stem}")
        lab.check_cells()
        drawn = 0
        for plot in lab.page.locator(PLOT).all():
            plot.scroll_into_view_if_needed()
            plot.locator(".main-svg").first.wait_for()
            width, height = plot.evaluate("e => [e.offsetWidth, e.offsetHeight]")
            assert min(width, height) > 200, f"a plot of {path.name} is {width} × {height} px"
            room = plot.evaluate("e => e.closest('.jp-OutputArea-output').clientWidth")
            assert width <= room, f"a plot of {path.name} is {width} px wide, its place only {room} px"
            drawn += 1
        assert drawn, f"{path.name} displays widgets, but no plot was drawn; see {lab.pictures}"
    no_faults(lab.faults)
