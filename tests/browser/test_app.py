"""The explorers as an app: served by Voila as `make app` does, opened by a reader without Jupyter."""

from __future__ import annotations

import importlib.util
import re
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

from browser.agreement import Walk, record_latency
from browser.controls import PLOT, READOUT, LivePage
from browser.lab import PATIENCE_S, REPOSITORY, running, settled
from hemlets_lib.explorers import EXPLORERS, triplet_explorer

pytestmark = pytest.mark.browser

EQUATION = "$$|z_p - z_c| > \\epsilon$$"
CODE = "from hemlets_lib.explorers import EXPLORERS"


def free_port() -> int:
    """A port that nobody listens on; should somebody take it meanwhile, Voila goes on to the next ones."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def app(chromium, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The app's address."""
    assert importlib.util.find_spec("voila"), "Voila is missing: pip install 'hemlets[app]'"
    folder = tmp_path_factory.mktemp("app")
    cells = [nbformat.v4.new_markdown_cell(f"# An app\n\n{EQUATION}"), nbformat.v4.new_code_cell(CODE)]
    cells += [nbformat.v4.new_code_cell(f"EXPLORERS[{name!r}]().show()") for name in EXPLORERS]
    notebook = nbformat.v4.new_notebook(cells=cells)
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(notebook, folder / "app.ipynb")
    command = [sys.executable, str(REPOSITORY / "tools" / "serve_app.py"), str(folder / "app.ipynb")]
    command += ["--no-browser", "--Voila.ip=127.0.0.1", f"--port={free_port()}"]
    environment = {"HEMLETS_DATA": str(REPOSITORY / "data_samples"), "PYTHONUNBUFFERED": "1"}
    log = folder / "server.log"
    with running(command, folder, environment, log) as server:
        until = time.monotonic() + PATIENCE_S
        while not (said := re.search(r"http://127\.0\.0\.1:\d+/", log.read_text(encoding="utf-8"))):
            if server.poll() is not None or time.monotonic() > until:
                pytest.fail(f"Voila did not start:\n{log.read_text(encoding='utf-8')[-3000:]}")
            time.sleep(0.1)
        yield said.group()


@pytest.fixture(scope="module")
def window(chromium, new_faults, pictures: Path, app: str) -> Iterator[tuple[Any, Any]]:
    """The app's page, once its widgets are there, and what went wrong on it."""
    context = chromium.new_context(viewport={"width": 1400, "height": 1300})
    context.set_default_timeout(1000 * PATIENCE_S)
    page, faults = context.new_page(), new_faults()
    faults.watch(page, allowed=app)
    page.goto(app, wait_until="commit")  # it arrives cell by cell, as they are executed
    try:
        page.locator(f"{PLOT} .main-svg").first.wait_for()
    finally:
        page.screenshot(path=pictures / "app.png")
    yield page, faults
    context.close()


def test_readers_see_texts_but_no_code(window) -> None:
    page, _ = window
    page.locator("mjx-container, .MathJax").first.wait_for()
    seen = page.locator("body").inner_text()
    assert "An app" in seen and EXPLORERS["triplet"]().title in seen
    assert CODE not in seen and "$$" not in seen


def test_every_explorer_is_drawn(window) -> None:
    page, _ = window
    for make in EXPLORERS.values():
        page.locator(".widget-vbox").filter(has_text=make().title).locator(
            f"{PLOT} .main-svg"
        ).first.wait_for()
    assert page.locator(PLOT).count() == page.locator(READOUT).count() == len(EXPLORERS)


def test_controls_show_what_the_library_says(window, chromium, pictures: Path) -> None:
    page, _ = window
    explorer = triplet_explorer()
    live = LivePage.titled(page, explorer.title)
    walk = Walk(live, explorer, lambda control: control.values)
    walk.compare()
    settled(page, live.root, pictures / "app_before.png")
    size = live.size()
    walk.everywhere()
    settled(page, live.root, pictures / "app_after.png")
    record_latency(pictures, walk, form="Voila", browser=chromium.version)
    assert live.size() == size


def test_the_page_is_quiet(window, no_faults) -> None:
    """Last: it looks back at all of the others."""
    no_faults(window[1])
