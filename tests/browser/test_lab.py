"""The quickstart in a real JupyterLab: run all cells, and turn the 3D pose with the mouse. And a run, live.

The tests of this file share one open notebook; they only read the page, apart from the mouse.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from browser.lab import PICTURES, Lab, LabServer
from hemlets_lib.skeleton import HEMLETS18
from hemlets_lib.viz import VERMILLION

pytestmark = pytest.mark.browser

NOTEBOOK = "00_quickstart.ipynb"
LEAST_PICTURES = 4  # the quickstart's figures, besides the widget
LEGEND_FROM = 0.85  # of the widget's height

TRAINING = """
import dataclasses, tempfile
from hemlets_lib.data.mixing import Mixture
from hemlets_lib.data.samples import load_samples
from hemlets_lib.recipes import RECIPES
from hemlets_lib.train import train
from hemlets_lib.viz_training import NotebookWatcher

samples = load_samples(size=96)[:12]
config = dataclasses.replace(
    RECIPES["nano"], steps=9, batch_size=4, warmup_steps=3, log_every=1, validate_every=3, save_every=9
)
watcher = NotebookWatcher(samples[:3], every_s=0)
with tempfile.TemporaryDirectory() as out:
    train(config, Mixture([samples]), out, validation=samples[:3], watchers=[watcher], device="cpu")
"""
CAMERA = "e => JSON.stringify(e._fullLayout.scene._scene.getCamera().eye)"


@pytest.fixture(scope="module")
def lab(chromium, new_faults, lab_server: LabServer) -> Iterator[Lab]:
    """The quickstart after Run All."""
    with lab_server.open(chromium, new_faults(), NOTEBOOK) as opened:
        opened.run_all()
        opened.photograph("lab")
        yield opened


def test_every_cell_runs(lab: Lab) -> None:
    lab.check_cells()


def test_the_page_is_quiet(lab: Lab, no_faults) -> None:
    no_faults(lab.faults)


def test_pictures_are_there_and_described(lab: Lab) -> None:
    widths = lab.page.locator(PICTURES).evaluate_all("all => all.map(e => e.naturalWidth)")
    assert len(widths) >= LEAST_PICTURES and min(widths) > 0, f"pictures of these widths: {widths}"
    # JupyterLab drops the description when it draws the picture, so it is looked for where readers of the
    # saved notebook find it; test_pages.py looks at what they see.
    for cell in lab.saved():
        for output in cell["outputs"]:
            if "image/png" in output.get("data", {}):
                alt = output["metadata"].get("image/png", {}).get("alt", "")
                assert alt.strip(), "a picture has no description; its cell:\n" + "".join(cell["source"])


def second_pose(picture: np.ndarray) -> np.ndarray:
    """Where the second pose's colour is, without the legend, which would be there without WebGL."""
    colour = np.array([int(VERMILLION[at : at + 2], 16) for at in (1, 3, 5)])
    scene = picture[: int(LEGEND_FROM * len(picture))]
    return np.abs(scene - colour).max(-1) < 40


def test_the_3d_pose_is_drawn(lab: Lab) -> None:
    picture = lab.settled("widget")
    canvas = lab.plot().locator("canvas").first
    size = canvas.evaluate("e => [e.width, e.height, e.clientWidth, e.clientHeight]")
    assert min(size) > 200, f"the canvas is {size}"
    assert canvas.evaluate("e => e.getContext('2d') === null"), "the canvas is not drawn on by WebGL"
    pixels = second_pose(picture).sum()
    assert pixels > 100, f"{pixels} pixels have the second pose's colour; see {lab.pictures / 'widget.png'}"


def test_dragging_turns_the_pose(lab: Lab) -> None:
    before, eye = lab.settled("widget_before"), lab.plot().evaluate(CAMERA)
    box = lab.plot().locator("canvas").first.bounding_box()
    x, y = box["x"] + 0.5 * box["width"], box["y"] + 0.5 * box["height"]
    lab.page.mouse.move(x, y)
    lab.page.mouse.down()
    lab.page.mouse.move(x + 0.2 * box["width"], y + 20, steps=8)
    lab.page.mouse.up()
    after = lab.settled("widget_after")
    changed = (np.abs(after - before).max(-1) > 40).mean()
    files = f"see widget_before.png and widget_after.png in {lab.pictures}"
    assert lab.plot().evaluate(CAMERA) != eye, f"the camera did not move; {files}"
    assert changed > 0.005, f"{changed:.2%} of the picture changed; {files}"


def test_hovering_names_a_joint(lab: Lab) -> None:
    rows, columns = second_pose(lab.settled("widget")).nonzero()
    assert len(rows), f"nothing to point at; see {lab.pictures / 'widget.png'}"
    box, label = lab.plot().bounding_box(), lab.plot().locator(".hovertext")
    for at in np.linspace(0, len(rows) - 1, 12).astype(int):
        lab.page.mouse.move(box["x"] + float(columns[at]), box["y"] + float(rows[at]), steps=2)
        for _ in range(10):
            lab.page.wait_for_timeout(50)
            if label.count():
                (lab.pictures / "widget_hover.png").write_bytes(lab.plot().screenshot())
                said = label.first.text_content()
                names = {form for name in HEMLETS18.joint_names for form in (name, name.replace("_", " "))}
                assert said.split(":")[0] in names, f"the label says {said!r}"
                return
    pytest.fail(f"no label appeared over the pose; see {lab.pictures / 'widget.png'}")


def test_a_run_is_watched_while_it_runs(chromium, new_faults, no_faults, lab_server: LabServer) -> None:
    """One picture below the cell, which changes before the cell has ended, and stays with its words."""
    import nbformat

    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(TRAINING.strip())])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(notebook, lab_server.folder / "watched.ipynb")
    seen: list[str] = []
    with lab_server.open(chromium, new_faults(), "watched.ipynb") as watching:

        def look() -> None:
            for source in watching.page.locator(PICTURES).evaluate_all("all => all.map(e => e.src)"):
                if source not in seen:
                    seen.append(source)
                    watching.page.screenshot(path=watching.pictures / f"watched_{len(seen)}.png")

        watching.run_all(look)
        (cell,) = watching.saved()
    no_faults(watching.faults)
    assert len(seen) >= 2, (
        f"{len(seen)} pictures seen during the run; see {lab_server.pictures}/watched_*.png"
    )
    (output,) = [output for output in cell["outputs"] if "image/png" in output.get("data", {})]
    assert "36 images" in output["metadata"]["image/png"]["alt"]
    assert not [o for o in cell["outputs"] if o["output_type"] == "error" or o.get("name") == "stderr"]
