"""The web book: built without a warning, every link and picture there, and what it names exists."""

from __future__ import annotations

import base64
import importlib
import itertools
import re
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote, urlsplit

import nbformat
import pytest
import yaml
from bs4 import BeautifulSoup

REPOSITORY = Path(__file__).resolve().parents[1]
BOOK = REPOSITORY / "book"
NOTEBOOKS = sorted((REPOSITORY / "notebooks").rglob("[0-9][0-9]_*.ipynb"))
PAGES = ("index", "explorers", "glossary", "paper_map", "teaching_plan", "figures", "search")
LEAST_TERMS = 60
LATEX = re.compile(r"\$\$|\$[^$\n]+\$|\\(?:frac|mathbf|hat|sum|lVert|text)\b")
PNG_START = b"\x89PNG\r\n\x1a\n"
IN_THE_PAPER = {
    *(f"Eq. ({i})" for i in range(1, 9)),
    *(f"Table {i}" for i in range(1, 6)),
    *(f"Fig. {i}" for i in range(1, 7)),
}


@pytest.fixture(scope="module")
def collect() -> Iterator[ModuleType]:
    """book/collect.py, which is no package."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BOOK)
        yield importlib.import_module("collect")


@pytest.fixture(scope="module")
def pages(book: Path) -> dict[str, BeautifulSoup]:
    """Every page of the book by its address."""
    return {
        path.relative_to(book).as_posix(): BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
        for path in book.rglob("*.html")
        if "explorers/" not in path.relative_to(book).as_posix()
    }


def named_in(text: str, role: str) -> list[str]:
    return re.findall(rf"\{{{role}\}}`([^`]+)`", text)


def entries(text: str) -> dict[str, str]:
    """The glossary's terms and what is said of each."""
    body = text.split("```{glossary}\n")[1].rsplit("```", 1)[0]
    return dict(re.findall(r"^(\S.*)\n((?:  .*\n)+)", body, re.MULTILINE))


def check_name(name: str) -> None:
    module, _, attribute = name.rpartition(".")
    assert hasattr(importlib.import_module(f"hemlets_lib.{module}"), attribute), f"no hemlets_lib.{name}"


def test_every_page_is_there(book: Path, pages) -> None:
    assert {f"{name}.html" for name in PAGES} <= set(pages)
    for path in NOTEBOOKS:
        address = path.relative_to(REPOSITORY).with_suffix(".html").as_posix()
        assert address in pages, f"{address} is not in the book"
        assert f'href="{address}"' in str(pages["index.html"]), f"the contents do not lead to {address}"


def test_no_link_is_dead(book: Path, pages) -> None:
    anchors = {name: {tag["id"] for tag in page.find_all(id=True)} for name, page in pages.items()}
    dead, followed = [], 0
    for name, page in pages.items():
        for tag in page.select("a[href], link[href], script[src], img[src], iframe[src]"):
            address = tag.get("href") or tag.get("src")
            parts = urlsplit(address)
            if parts.scheme in ("http", "https"):
                assert tag.name == "a", f"{name} loads {address}"
            if parts.scheme or address == "#":
                continue
            path = (book / name).parent / unquote(parts.path) if parts.path else book / name
            followed += 1
            target = path.resolve().relative_to(book.resolve()).as_posix()
            if not path.is_file():
                dead.append(f"{name}: {address}")
            elif parts.fragment and target in anchors and unquote(parts.fragment) not in anchors[target]:
                dead.append(f"{name}: {address} (no such place on the page)")
    assert not dead, "\n".join(dead)
    assert followed > 1000  # the check itself found the links


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_page_has_its_notebooks_pictures(book: Path, pages, path: Path) -> None:
    page = pages[path.relative_to(REPOSITORY).with_suffix(".html").as_posix()]
    folder = (book / path.relative_to(REPOSITORY)).parent
    shown = [
        (image["alt"], (folder / image["src"]).resolve().read_bytes())
        for image in page.select(".cell_output img:not(.equation)")
    ]
    expected = [
        (
            " ".join(output.metadata["image/png"]["alt"].split()),
            base64.b64decode("".join(output.data["image/png"])),
        )
        for cell in nbformat.read(path, as_version=4).cells
        for output in cell.get("outputs", ())
        if "image/png" in output.get("data", {})
    ]
    assert [alt for alt, _ in shown] == [alt for alt, _ in expected]
    assert [png for _, png in shown] == [png for _, png in expected]


def test_equations_are_drawn(pages) -> None:
    drawn = 0
    for name, page in pages.items():
        drawn += len(page.select("img.equation"))
        prose = "".join(
            piece
            for piece in page.select_one("article").find_all(string=True)
            if not piece.find_parent(["pre", "code", "script", "style"])
        )
        assert not LATEX.findall(prose), f"{name}: {LATEX.findall(prose)[:3]}"
    assert drawn > 500


def test_tables_are_drawn(pages) -> None:
    for name, page in pages.items():
        for paragraph in page.select("article p"):
            assert "|---" not in paragraph.get_text(), f"{name}: {paragraph.get_text()[:80]}"
    assert len(pages["notebooks/12_speed_and_scorecard.html"].select(".cell_output table")) >= 6


def test_code_is_folded_where_it_only_prepares(pages) -> None:
    page = pages["notebooks/01_heatmap_triplets.html"]
    first, second = page.select("div.cell")[:2]
    assert first.select_one("details .highlight") is not None and "import" in first.get_text()
    assert second.select_one("details") is None and "profile" in second.get_text()
    assert "NBVAL" not in page.get_text()
    assert "Executed with profile" in page.select_one(".provenance").get_text()


def test_search_knows_the_words(book: Path) -> None:
    index = (book / "searchindex.js").read_text(encoding="utf-8")
    assert index.startswith("Search.setIndex(") and '"polar"' in index  # stemmed


def test_explorers_are_embedded(book: Path, pages) -> None:
    exported = {path.stem for path in (book / "explorers").glob("*.html")}
    framed = {Path(frame["src"]).stem for frame in pages["explorers.html"].select("iframe")}
    assert framed == exported
    assert all(frame["title"] for frame in pages["explorers.html"].select("iframe"))


def test_all_figures_can_be_copied(book: Path, pages) -> None:
    shown = {Path(image["src"]).name for image in pages["figures.html"].select("figure > img")}
    (archive,) = book.rglob("figures.zip")
    with zipfile.ZipFile(archive) as packed:
        names = set(packed.namelist())
        assert names == shown | {"captions.md"} and len(shown) >= 80
        captions = packed.read("captions.md").decode()
        assert packed.read("figure_1_1.png").startswith(PNG_START)
    assert all(name in captions for name in shown)
    assert "Figure 1.4." in captions and "MIT licence" in pages["figures.html"].get_text()


def test_the_glossary_names_what_exists() -> None:
    text = (BOOK / "glossary.md").read_text(encoding="utf-8")
    terms = entries(text)
    assert len(terms) >= LEAST_TERMS
    assert list(terms)[:-4] == sorted(list(terms)[:-4], key=str.lower)
    for term, words in terms.items():
        assert named_in(words, "nb"), f"{term}: where is it introduced?"
        assert named_in(words, "lib"), f"{term}: where is it defined?"
        sentences = re.split(r"(?<=[.?])\s", words.split("Introduced in")[0].strip())
        assert 1 <= len(sentences) <= 3, f"{term}: {len(sentences)} sentences"
    for name in named_in(text, "lib"):
        check_name(name)


def test_the_map_has_all_of_the_paper() -> None:
    rows = yaml.safe_load((BOOK / "paper_map.yaml").read_text(encoding="utf-8"))
    places = [row["paper"] for row in rows]
    assert set(places) >= IN_THE_PAPER, IN_THE_PAPER - set(places)
    assert len(set(places)) == len(places)
    for row in rows:
        assert row["library"] and row["sections"], row["paper"]
        for name in row["library"]:
            check_name(name)


def test_the_teaching_plan_adds_up() -> None:
    text = (BOOK / "teaching_plan.md").read_text(encoding="utf-8")
    lectures = re.split(r"^## Lecture", text, flags=re.MULTILINE)[1:]
    assert len(lectures) == 2
    for lecture in lectures:
        times = [(int(a), int(b)) for a, b in re.findall(r"^\| (\d+)‑(\d+) \|", lecture, re.MULTILINE)]
        assert times[0][0] == 0 and times[-1][1] == 90
        assert all(before[1] == after[0] for before, after in itertools.pairwise(times)), times


@pytest.mark.parametrize(
    ("mark", "message"),
    [
        ("{nb}`77`", "no notebook 77; there are 00, 01"),
        ("{nb}`01 9.9`", "notebook 01 has no section '9.9'; it has 1.1, 1.2"),
        ("{fig}`1.99`", "no notebook shows a figure of that number"),
    ],
)
def test_a_page_that_names_what_is_not_there(collect, tmp_path: Path, mark: str, message: str) -> None:
    pages_module, sources = importlib.import_module("pages"), importlib.import_module("sources")
    found = collect.collect_notebooks(sources.SourceFolder(tmp_path))
    with pytest.raises(ValueError, match=re.escape(message)):
        pages_module.with_links(f"See {mark}.", found)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1.2", ["1.2"]), ("10.3 and 10.4", ["10.3", "10.4"]), ("9.9 to 9.11", ["9.9", "9.10", "9.11"])],
)
def test_figure_numbers(collect, text: str, expected: list[str]) -> None:
    assert collect.figure_numbers(text) == expected


@pytest.mark.parametrize(
    ("heading", "expected"),
    [
        ("1.2 Polarity: nearer", "1.2"),
        ("4.4 A common mistake: the mirror", "4.4"),
        ("A common mistake: the other sign", "mistake"),
        ("Further reading", "further-reading"),
    ],
)
def test_section_key(collect, heading: str, expected: str) -> None:
    assert collect.section_key(heading) == expected


def test_a_picture_without_words_is_refused(collect, tmp_path: Path) -> None:
    sources = importlib.import_module("sources")
    notebook = nbformat.v4.new_notebook()
    output = nbformat.v4.new_output("display_data", {"image/png": base64.b64encode(PNG_START).decode()})
    notebook.cells = [nbformat.v4.new_code_cell("draw()", outputs=[output], id="drawing")]
    nbformat.write(notebook, tmp_path / "01_mute.ipynb")
    with pytest.raises(ValueError, match=r"01_mute.ipynb, cell drawing: a picture without alt text"):
        collect.collect_notebooks(sources.SourceFolder(tmp_path / "sources"), notebooks=tmp_path)


def test_every_cell_of_imports_is_folded(collect, tmp_path: Path) -> None:
    sources = importlib.import_module("sources")
    new_code = nbformat.v4.new_code_cell
    codes = ("import a\na.seed()", "import b\n\nfrom c import (\n    d,\n)", "from e import f\nprint(f)")
    cells = [nbformat.v4.new_markdown_cell("# 01 · Two"), *map(new_code, codes)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "01_two.ipynb")
    collect.collect_notebooks(sources.SourceFolder(tmp_path / "sources"), notebooks=tmp_path)
    (written,) = (tmp_path / "sources").rglob("01_two.ipynb")
    folded = ["hide-input" in c.metadata.get("tags", ()) for c in nbformat.read(written, 4).cells[1:4]]
    assert folded == [True, True, False]


def test_sources_that_are_no_longer_wanted_go(collect, tmp_path: Path) -> None:
    sources = importlib.import_module("sources")
    first = sources.SourceFolder(tmp_path)
    first.write("old/page.md", b"old")
    first.write("same.md", b"same")
    first.finish()
    before = (tmp_path / "same.md").stat().st_mtime_ns
    second = sources.SourceFolder(tmp_path)
    second.write("same.md", b"same")
    second.finish()
    assert [path.name for path in tmp_path.iterdir()] == ["same.md"]
    assert (tmp_path / "same.md").stat().st_mtime_ns == before  # Sphinx need not read it again


def test_explorers_are_computed_anew_only_where_something_changed(
    collect, tmp_path: Path, monkeypatch
) -> None:
    build = importlib.import_module("build")
    state, exports = ["a"], []

    def export(command, **_):
        exports.append(command[command.index("explorers") : -1])
        return subprocess.CompletedProcess(command, returncode=0 if len(exports) < 3 else 1, stdout="no room")

    monkeypatch.setattr(build, "fingerprint", lambda: state[0])
    monkeypatch.setattr(build.subprocess, "run", export)
    build.export_explorers(tmp_path / "explorers")
    build.export_explorers(tmp_path / "explorers")
    assert exports == [["explorers", "export", "--out"]]
    state[0] = "b"
    build.export_explorers(tmp_path / "explorers")
    assert len(exports) == 2
    state[0] = "c"
    with pytest.raises(RuntimeError, match=r"`hemlets explorers export` failed:\nno room"):
        build.export_explorers(tmp_path / "explorers")


def test_links_to_files_of_the_repository(collect, tmp_path: Path) -> None:
    sources = importlib.import_module("sources")
    folder = sources.SourceFolder(tmp_path)
    text = "[a](../Makefile), [`b`](../runs/none.html), [c](../no_such_file)"
    assert folder.with_linked_files("notebooks/page.ipynb", text) == "[a](../Makefile), `b`, `c`"
    assert (tmp_path / "Makefile").read_bytes() == (REPOSITORY / "Makefile").read_bytes()
