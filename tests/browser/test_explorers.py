"""Every explorer in JupyterLab: its controls moved, its figure and numbers held against the library's.

One notebook holds them all and is run once. The first test of an explorer finds it as it starts.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

import nbformat
import numpy as np
import pytest

from browser.agreement import Walk, plain, record_latency
from browser.controls import PLOT, LivePage
from browser.lab import Lab, LabServer, settled
from hemlets_lib.explorers import EXPLORERS
from hemlets_lib.explorers.scene import Explorer, Slider

pytestmark = pytest.mark.browser

NOTEBOOK = "all_explorers.ipynb"
HEIGHT_PX = 1400  # of the window: a whole explorer fits
NAMES = pytest.mark.parametrize("name", tuple(EXPLORERS))
LEAST_CONTRAST = 4.5  # of text to its ground, as WCAG 2 asks for at level AA
# Smallest contrast among the texts of controls and numbers, and that text.
CONTRAST = """root => {
  const light = ([r, g, b]) => [r, g, b].map(c => c / 255)
    .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, n) => sum + c * [0.2126, 0.7152, 0.0722][n], 0);
  const numbers = colour => colour.match(/[\\d.]+/g).map(Number);
  const ground = e => {
    for (; e; e = e.parentElement) {
      const colour = numbers(getComputedStyle(e).backgroundColor);
      if (colour.length < 4 || colour[3] > 0.5) return colour;
    }
    return [255, 255, 255];
  };
  let worst = [99, ''];
  for (const e of root.querySelectorAll('.widget-label, .widget-readout, b, p, select, span')) {
    if (e.closest('.js-plotly-plot') || !e.textContent.trim() || !e.getClientRects().length) continue;
    const colour = numbers(getComputedStyle(e).color);
    let faint = colour[3] ?? 1;
    for (let above = e; above; above = above.parentElement) faint *= getComputedStyle(above).opacity;
    const under = ground(e);
    const ink = colour.slice(0, 3).map((c, n) => faint * c + (1 - faint) * under[n]);
    const [a, b] = [light(ink), light(under.slice(0, 3))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < worst[0]) worst = [ratio, e.textContent.trim()];
  }
  return worst;
}"""


@functools.cache
def explorer(name: str) -> Explorer:
    return EXPLORERS[name]()


@pytest.fixture(scope="module")
def lab(chromium, new_faults, lab_server: LabServer) -> Iterator[Lab]:
    """A notebook that shows every explorer, after Run All."""
    cells = [
        "from hemlets_lib.explorers import EXPLORERS",
        *(f"EXPLORERS[{n!r}]().show()" for n in EXPLORERS),
    ]
    notebook = nbformat.v4.new_notebook(cells=list(map(nbformat.v4.new_code_cell, cells)))
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(notebook, lab_server.folder / NOTEBOOK)
    with lab_server.open(chromium, new_faults(), NOTEBOOK) as opened:
        opened.page.set_viewport_size({"width": 1400, "height": HEIGHT_PX})
        opened.run_all()
        opened.check_cells()
        yield opened


def highest_at_child(page: LivePage) -> list[float]:
    """What each of the triplet explorer's five maps holds at the child, -2 … 2."""
    maps = [trace for trace in page.traces() if trace["type"] == "heatmap"]
    marked = [trace for trace in page.traces() if trace.get("text") == ["P", "C"]]
    ends = marked[2]  # those of a map that the variant has
    found = []
    for each in maps:
        cells = np.reshape(plain(each["z"]), (64, 64)) / 255
        column = round((ends["x"][1] - each["x0"]) / each["dx"])
        row = round((ends["y"][1] - each["y0"]) / each["dy"])
        found.append(float(cells[row, column]))
    return found


def test_the_childs_peak_leaves_the_zero_map_at_30_degrees(lab: Lab) -> None:
    """Before the walks: the explorer is as it starts, at 20°, its values 5° apart."""
    page, label = LivePage.titled(lab.page, explorer("triplet").title), "to this angle"
    heights = {page.said(label): highest_at_child(page)}
    for _ in range(3):
        page.press(label, "ArrowRight", wanted=("plot", "readout"))
        heights[page.said(label)] = highest_at_child(page)
    for _ in range(3):
        page.press(label, "ArrowLeft", wanted=("plot", "readout"))
    inside = [heights[angle] for angle in ("20°", "25°", "30°")]
    assert all(each[2] > 0.9 and max(each[:2] + each[3:]) < 0.1 for each in inside), heights
    outside = heights["35°"]
    assert outside[3] > 0.9 and max(outside[:3] + outside[4:]) < 0.1, heights


@NAMES
def test_controls_show_what_the_library_says(lab: Lab, chromium, name: str) -> None:
    page = LivePage.titled(lab.page, explorer(name).title)
    walk = Walk(page, explorer(name), lambda control: control.values)
    walk.compare()
    before = settled(lab.page, page.root, lab.pictures / f"explorer_{name}_before.png")
    size, drawn = page.size(), page.root.locator(f"{PLOT} .main-svg, {PLOT} canvas").element_handles()
    walk.everywhere()
    after = settled(lab.page, page.root, lab.pictures / f"explorer_{name}_after.png")
    record_latency(lab.pictures, walk, form="JupyterLab", browser=chromium.version)
    assert page.size() == size, "the figure's size changed"
    assert all(node.evaluate("e => e.isConnected") for node in drawn), (
        "the figure was built anew: it flickers"
    )
    assert before.shape == after.shape, "the explorer's size changed: what is below it jumps"
    changed = (np.abs(after - before).max(-1) > 40).mean()
    assert changed > 0.002, (
        f"{changed:.2%} of the picture changed; see explorer_{name}_*.png in {lab.pictures}"
    )


@NAMES
def test_the_mouse_moves_a_slider(lab: Lab, name: str) -> None:
    page = LivePage.titled(lab.page, explorer(name).title)
    control = next(each for each in explorer(name).controls if isinstance(each, Slider))
    before = page.said(control.label)
    at = [control.text(value) for value in control.values].index(before)
    page.drag(control.label, 0.4 if 2 * at < len(control.values) else -0.4)
    assert page.said(control.label) != before


@NAMES
def test_texts_are_readable_on_dark_and_light(lab: Lab, name: str) -> None:
    page = LivePage.titled(lab.page, explorer(name).title)
    for theme in ("Dark", "Light"):
        lab.command("apputils:change-theme", theme=f"JupyterLab {theme}")
        body = lab.page.locator(f"body[data-jp-theme-name='JupyterLab {theme}']")
        body.wait_for(state="attached")
        lab.page.wait_for_timeout(500)  # the style sheet has been swapped, and fades
        settled(lab.page, page.root, lab.pictures / f"explorer_{name}_{theme.lower()}.png")
        contrast, text = page.root.evaluate(CONTRAST)
        assert contrast >= LEAST_CONTRAST, f"{text!r} has a contrast of {contrast:.1f} on the {theme} theme"


def test_the_page_is_quiet(lab: Lab, no_faults) -> None:
    """Last: it looks back at all of the others."""
    lab.check_cells()
    no_faults(lab.faults)
