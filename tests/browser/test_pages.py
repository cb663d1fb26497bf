"""The pages of a run, opened from disk in a browser without a network."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.browser

REPOSITORY = Path(__file__).resolve().parents[2]
NAMES = ("00_quickstart", "01_heatmap_triplets")
PAGES = pytest.mark.parametrize("name", NAMES)
LEAST_FIGURES = 5
NOT_DESCRIBED = ("", "Figure", "No description has been provided for this image")  # the converter's words
RUN_LIMIT_S = 600  # two notebooks need half a minute on two cores that have nothing else to do

PICTURES = "all => all.map(e => ({alt: e.alt, width: e.naturalWidth, shown: e.getClientRects().length}))"
# Text as it is read, without what is meant to be code.
PROSE = """all => all.map(area => {
  const walker = document.createTreeWalker(area, NodeFilter.SHOW_TEXT), pieces = [];
  while (walker.nextNode())
    if (!walker.currentNode.parentElement.closest('pre, code, script, style'))
      pieces.push(walker.currentNode.textContent);
  return pieces.join('');
}).join('\\n')"""
RAW_MATH = re.compile(r"\$\$|\$[^$\n]+\$|\\[a-zA-Z]{2,}")
RAW_TABLE = re.compile(r"^\s*\|.*\|\s*$", re.MULTILINE)


@pytest.fixture(scope="module")
def run(chromium, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A smoke run of the first notebooks, by the command that readers use; not without a browser."""
    runs = tmp_path_factory.mktemp("runs")
    command = [sys.executable, "-m", "hemlets_lib.cli", "notebooks", "--profile", "smoke"]
    command += ["--only", ",".join(NAMES), "--runs-dir", str(runs)]
    done = subprocess.run(
        command,
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=RUN_LIMIT_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (folder,) = runs.iterdir()
    return folder


@pytest.fixture
def open_page(chromium, new_faults, no_faults, pictures: Path) -> Iterator[Callable[[Path, str], Any]]:
    """Opens a file in a browser that has no network; afterwards the page must have been quiet."""
    context = chromium.new_context(viewport={"width": 1200, "height": 900})
    context.set_offline(True)
    faults = new_faults()

    def open_file(path: Path, picture: str) -> Any:
        page = context.new_page()
        faults.watch(page, allowed="file:")
        page.goto(path.as_uri(), wait_until="load")
        page.screenshot(path=pictures / f"{picture}.png", full_page=True)
        return page

    yield open_file
    context.close()
    no_faults(faults)


def test_the_index_leads_to_every_page(run: Path, open_page) -> None:
    page = open_page(run / "index.html", "page_index")
    thumbnails = page.locator("img").evaluate_all(PICTURES)
    assert len(thumbnails) == len(NAMES)
    assert all(each["alt"] and each["width"] > 0 for each in thumbnails), thumbnails
    for name in NAMES:
        page.goto((run / "index.html").as_uri())
        page.locator(f"a[href*='{name}']").click()
        page.wait_for_url(f"**/{name}.html")
        assert page.locator("h1").first.text_content().startswith(name[:2])


@PAGES
def test_figures_are_seen_and_described(run: Path, open_page, pictures: Path, name: str) -> None:
    page = open_page(run / "html" / f"{name}.html", f"page_{name}")
    figures = page.locator(".jp-OutputArea-output img").evaluate_all(PICTURES)
    seen = f"see {pictures}/page_{name}.png"
    assert len(figures) >= LEAST_FIGURES, f"expected {LEAST_FIGURES} figures, got {len(figures)}; {seen}"
    for figure in page.locator("img").evaluate_all(PICTURES):
        assert figure["width"] > 0 and figure["shown"], f"a picture is not shown: {figure}; {seen}"
        assert figure["alt"].strip() not in NOT_DESCRIBED, f"a picture has no description; {seen}"
    overhang = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert overhang == 0, f"the page is {overhang} px wider than its window; {seen}"


@PAGES
def test_equations_are_drawn(run: Path, open_page, name: str) -> None:
    from ziamath.tex import tex2mml

    page = open_page(run / "html" / f"{name}.html", f"page_{name}")
    prose = page.locator(".jp-RenderedMarkdown").evaluate_all(PROSE)
    raw = RAW_MATH.findall(prose)
    assert not raw, f"LaTeX that was left as it is: {raw}"
    spelt = page.locator(".jp-RenderedMarkdown :not(pre) > code").all_text_contents()
    undrawn = [text for text in spelt if RAW_MATH.search(text)]  # what could not be drawn is put as code
    assert not undrawn, f"equations that could not be drawn: {undrawn}"
    source = (REPOSITORY / "notebooks" / f"{name}.ipynb").read_text(encoding="utf-8")
    equations = page.locator("img.equation").evaluate_all(PICTURES)
    assert len(page.locator("img.equation-block").all()) >= source.count("\\\\tag")
    assert all(each["width"] > 0 and each["shown"] for each in equations), equations
    # A command that the converter does not know is drawn as its own name, which only its markup shows.
    unknown = [each["alt"] for each in equations if re.search(r">\s*\\[a-zA-Z]+\s*<", tex2mml(each["alt"]))]
    assert not unknown, f"equations with commands that were not understood: {unknown}"


@PAGES
def test_tables_are_drawn(run: Path, open_page, name: str) -> None:
    page = open_page(run / "html" / f"{name}.html", f"page_{name}")
    tables = page.locator(".jp-RenderedMarkdown table")
    assert tables.count() > 0
    for table in tables.all():
        assert table.locator("tr").count() > 1 and table.bounding_box()["height"] > 0
    prose = page.locator(".jp-RenderedMarkdown").evaluate_all(PROSE)
    assert not RAW_TABLE.findall(prose), "a table was left as text"
