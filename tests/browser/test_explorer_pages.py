"""Explorers without a kernel: pages opened from disk without a network, held against the library.

`test_explorers.py` holds the live form against the library by the same comparison, so all three agree.
"""

from __future__ import annotations

import functools
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from browser.agreement import Walk, record_latency
from browser.controls import OfflinePage
from hemlets_lib.explorers import EXPLORERS
from hemlets_lib.explorers.offline import offline_values
from hemlets_lib.explorers.scene import Explorer, Slider

pytestmark = pytest.mark.browser

NAMES = pytest.mark.parametrize("name", tuple(EXPLORERS))
EXPORT_LIMIT_S = 900  # a page takes up to half a minute on two quiet cores
NARROW_PX = 420  # a telephone's width


@functools.cache
def explorer(name: str) -> Explorer:
    return EXPLORERS[name]()


@pytest.fixture(scope="module")
def export(chromium, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Writes an explorer's page by the command that readers use; not without a browser."""
    folder = tmp_path_factory.mktemp("explorers")
    command = [sys.executable, "-m", "hemlets_lib.cli", "explorers", "export", "--out", str(folder)]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=EXPORT_LIMIT_S
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return lambda name: folder / f"{name}.html"


@pytest.fixture
def offline(chromium, new_faults, no_faults, export) -> Iterator[Callable[..., OfflinePage]]:
    """Opens an explorer's page without a network; afterwards it must have been quiet."""
    faults, contexts = new_faults(), []

    def open_page(name: str, *, width: int = 1200, scheme: str = "light") -> OfflinePage:
        size = {"width": width, "height": 1300}
        context = chromium.new_context(viewport=size, color_scheme=scheme)
        contexts.append(context)
        context.set_offline(True)
        page = context.new_page()
        faults.watch(page, allowed="file:")
        page.goto(export(name).as_uri(), wait_until="load")
        return OfflinePage.whole(page)

    yield open_page
    for context in contexts:
        context.close()
    no_faults(faults)


@NAMES
def test_controls_show_what_the_library_says(offline, chromium, pictures: Path, name: str) -> None:
    page = offline(name)
    walk = Walk(page, explorer(name), offline_values)
    walk.compare()
    size = page.size()
    page.page.screenshot(path=pictures / f"page_explorer_{name}_before.png", full_page=True)
    walk.everywhere()
    page.page.screenshot(path=pictures / f"page_explorer_{name}_after.png", full_page=True)
    record_latency(pictures, walk, form="offline page", browser=chromium.version)
    assert page.size() == size, "the figure's size changed"


@NAMES
def test_the_mouse_moves_a_slider(offline, name: str) -> None:
    page = offline(name)
    control = next(each for each in explorer(name).controls if isinstance(each, Slider))
    values = offline_values(control)
    before = page.data()
    page.drag(control.label, 0.6 if 2 * values.index(control.start) < len(values) else -0.6)
    assert page.data() != before


@NAMES
def test_it_fits_a_telephone_and_a_dark_screen(offline, pictures: Path, name: str) -> None:
    dark = offline(name, scheme="dark")
    dark.page.screenshot(path=pictures / f"page_explorer_{name}_dark.png", full_page=True)
    narrow = offline(name, width=NARROW_PX)
    narrow.page.screenshot(path=pictures / f"page_explorer_{name}_narrow.png", full_page=True)
    overhang = narrow.page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    assert overhang == 0, f"the page is {overhang} px wider than a window of {NARROW_PX} px"
