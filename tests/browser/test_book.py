"""The web book, opened from disk in a browser without a network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.browser

REPOSITORY = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted(path.stem for path in (REPOSITORY / "notebooks").glob("[0-9][0-9]_*.ipynb"))
SOLUTIONS = sorted(path.stem for path in (REPOSITORY / "notebooks" / "solutions").glob("*.ipynb"))
PAGES = (
    *("index", "explorers", "glossary", "paper_map", "teaching_plan", "figures"),
    *(f"notebooks/{name}" for name in NOTEBOOKS),
    *(f"notebooks/solutions/{name}" for name in SOLUTIONS),
)
LOOKS = {"light": (1400, "light"), "dark": (1400, "dark"), "telephone": (420, "light")}
LOADED_MS = 60_000
PICTURES = """async () => {
  const all = [...document.querySelectorAll('article img')];
  all.forEach(image => { image.loading = 'eager'; });
  await Promise.all(all.map(image => image.decode().catch(() => null)));
  return all.filter(image => !image.naturalWidth || !image.getClientRects().length || !image.alt)
    .map(image => image.src.slice(-80));
}"""
OVERHANG = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
COLOURS = """() => {
  const of = element => getComputedStyle(element);
  return {ink: of(document.querySelector('article p')).color, paper: of(document.body).backgroundColor,
          equation: of(document.querySelector('img.equation')).filter,
          figure: of(document.querySelector('.cell_output img:not(.equation)')).backgroundColor};
}"""


@pytest.fixture
def open_page(chromium, new_faults, no_faults, book: Path) -> Iterator[Callable[..., Any]]:
    """Opens a page of the book without a network; afterwards all pages must have been quiet."""
    faults, contexts = new_faults(), []

    def open_file(name: str, *, width: int = 1400, scheme: str = "light") -> Any:
        context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        context.set_offline(True)
        page = context.new_page()
        faults.watch(page, allowed="file:")
        page.goto((book / f"{name}.html").as_uri(), wait_until="load", timeout=LOADED_MS)
        return page

    yield open_file
    for context in contexts:
        context.close()
    no_faults(faults)


def brightness(colour: str) -> float:
    """Mean of red, green and blue of the browser's `rgb(…)`."""
    return sum(float(value) for value in colour.split("(")[1].strip(")").split(",")[:3]) / 3


@pytest.mark.parametrize("name", PAGES)
def test_every_page_shows_its_pictures(open_page, name: str) -> None:
    page = open_page(name)
    assert page.locator("article h1").first.is_visible()
    missing = page.evaluate(PICTURES)
    assert not missing, f"pictures that are not shown or not described: {missing}"
    assert page.evaluate(OVERHANG) == 0, "the page is wider than its window"


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("name", ["index", "notebooks/01_heatmap_triplets", "paper_map", "teaching_plan"])
def test_pages_fit_every_screen(open_page, pictures: Path, name: str, look: str) -> None:
    width, scheme = LOOKS[look]
    page = open_page(name, width=width, scheme=scheme)
    page.screenshot(path=pictures / f"book_{name.split('/')[-1]}_{look}.png")
    assert page.evaluate(OVERHANG) == 0, "the page is wider than its window"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_can_be_read_by_day_and_night(open_page, scheme: str) -> None:
    page = open_page("notebooks/01_heatmap_triplets", scheme=scheme)
    colours = page.evaluate(COLOURS)
    contrast = brightness(colours["paper"]) - brightness(colours["ink"])
    assert (contrast > 150) if scheme == "light" else (contrast < -150), colours
    assert ("invert" in colours["equation"]) == (scheme == "dark")
    assert brightness(colours["figure"]) == 255


def test_the_reader_may_choose_the_dark(open_page) -> None:
    page = open_page("notebooks/01_heatmap_triplets", scheme="light")
    button = page.locator("button.theme-toggle").locator("visible=true").first
    for _ in range(3):  # the theme's button runs through automatic, light and dark
        button.click()
        if page.evaluate("document.body.dataset.theme") == "dark":
            break
    colours = page.evaluate(COLOURS)
    assert brightness(colours["paper"]) < 60 and "invert" in colours["equation"], colours


def test_the_book_can_be_read_from_page_to_page(open_page) -> None:
    page = open_page("index")
    page.locator(f".sidebar-tree a[href$='{NOTEBOOKS[0]}.html']").click()
    for name in NOTEBOOKS[1:3]:
        page.locator("a.next-page").click()
        page.wait_for_url(f"**/{name}.html")
    page.locator("a.prev-page").click()
    page.wait_for_url(f"**/{NOTEBOOKS[1]}.html")


def test_folded_code_opens(open_page) -> None:
    page = open_page("notebooks/01_heatmap_triplets")
    imports = page.locator("details.hide").first
    assert not imports.locator("pre").is_visible()
    imports.locator("summary").click()
    assert "import torch" in imports.locator("pre").inner_text()


def test_search_finds_polarity(open_page, pictures: Path) -> None:
    page = open_page("index")
    page.locator("input.sidebar-search").fill("polarity")
    page.locator("input.sidebar-search").press("Enter")
    page.wait_for_url("**/search.html?q=polarity*")
    page.locator("#search-results li a").first.wait_for()
    found = page.locator("#search-results li a").all_inner_texts()
    page.screenshot(path=pictures / "book_search.png")
    assert any("Skeleton, polarity" in title for title in found), found
    assert "Glossary" in found


def test_the_embedded_explorers_move(open_page, book: Path, pictures: Path) -> None:
    page = open_page("explorers")
    names = [path.stem for path in sorted((book / "explorers").glob("*.html"))]
    assert names and page.locator("iframe.explorer").count() == len(names)
    for name in names:
        page.locator(f"iframe[src$='/{name}.html']").scroll_into_view_if_needed()
        frame = page.frame_locator(f"iframe[src$='/{name}.html']")
        frame.locator("#figure .main-svg, #figure canvas").first.wait_for(timeout=LOADED_MS)
        before = frame.locator("#figure").screenshot(path=pictures / f"book_explorer_{name}_before.png")
        slider = frame.locator("input[type=range]").first
        slider.focus()
        said = frame.locator("#controls output").first.inner_text()
        for _ in range(5):
            slider.press("ArrowRight")
        if frame.locator("#controls output").first.inner_text() == said:  # it stood at its end
            for _ in range(5):
                slider.press("ArrowLeft")
        page.wait_for_timeout(300)
        after = frame.locator("#figure").screenshot(path=pictures / f"book_explorer_{name}_after.png")
        assert frame.locator("#controls output").first.inner_text() != said, f"{name}: the slider is stuck"
        assert before != after, f"{name}: the picture did not change"
