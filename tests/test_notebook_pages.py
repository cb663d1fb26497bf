"""Pages that need no network: equations drawn, widgets replaced by their pictures."""

from __future__ import annotations

import base64
import io
import re
from xml.etree import ElementTree

import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from hemlets_lib.notebook_pages import (
    _drawable,
    first_figure,
    network_references,
    notebook_title,
    run_index,
    to_html,
)

CASES = r"r(z_p, z_c) = \begin{cases} 1 & z_p - z_c > \epsilon \\ 0 & \text{else} \end{cases} \tag{1}"


def png(size: tuple[int, int] = (600, 400)) -> str:
    buffer = io.BytesIO()
    Image.new("RGB", size, (0, 114, 178)).save(buffer, format="PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def page_of(*cells) -> BeautifulSoup:
    return BeautifulSoup(to_html(new_notebook(cells=list(cells)), title="T"), "html.parser")


@pytest.mark.parametrize(
    ("source", "latex", "block"),
    [
        (f"$$ {CASES} $$", CASES, True),
        (r"the loss $\mathcal{L}^{\text{HEM}}$ of", r"\mathcal{L}^{\text{HEM}}", False),
        (r"$\lVert \hat{T} \odot M \rVert_2^2$", r"\lVert \hat{T} \odot M \rVert_2^2", False),
        ("| a |\n|---|\n| $x < y$ |", "x < y", False),
        (
            r"\begin{align*} a &= b \\ c &= d \end{align*}",
            r"\begin{align*} a &= b \\ c &= d \end{align*}",
            True,
        ),
        (r"$\operatorname*{arg\,max}_x f$", r"\operatorname*{arg\,max}_x f", False),
    ],
)
def test_equations_are_drawn(source, latex, block):
    (image,) = page_of(new_markdown_cell(source)).select("img.equation")
    assert image["alt"] == latex
    assert ("equation-block" in image["class"]) == block
    assert image["src"].startswith("data:image/svg+xml;base64,")


@pytest.mark.parametrize(
    ("latex", "drawn"),
    [
        (r"0.5\lVert B_k\rVert_2^2", r"0.5{\lVert B_k\rVert}_2^2"),
        (r"\left\lvert a\right\rvert", r"\left\lvert a\right\rvert"),
        (r"\lvert a", r"\lvert a"),
    ],
)
def test_bars_grow_with_what_they_enclose_only(latex, drawn):
    assert _drawable(latex) == drawn


@pytest.mark.parametrize(
    ("latex", "drawn"),
    [
        (r"-1", r"{-}1"),
        (r"z < -\epsilon", r"z < {-}\epsilon"),
        (r"(240, 100, -150)", r"(240, 100, {-}150)"),
        (r"r = \pm 1", r"r = {\pm} 1"),
        (r"T^{-1} - T^{+}", r"T^{{-}1} - T^{+}"),
        (
            r"\begin{cases} +1 & -a \\ -1 & b \end{cases}",
            r"\begin{cases} {+}1 & {-}a \\ {-}1 & b \end{cases}",
        ),
        (r"a =\; -b", r"a =\; {-}b"),
        (r"a\,-b", r"a\,-b"),  # the comma is part of a space
        (r"n_\text{in} - 1 + \text{(-2)}", r"n_\text{in} - 1 + \text{(-2)}"),
        (r"a \\[-2pt] b \hspace{-1em} c", r"a \\[-2pt] b \hspace{-1em} c"),
        (r"{-}1 \in (-1, 1)", r"{-}1 \in ({-}1, 1)"),
    ],
)
def test_signs_without_a_left_hand_side_stand_close(latex, drawn):
    assert _drawable(latex) == drawn


@pytest.mark.parametrize(
    ("latex", "drawn"),
    [
        (r"\big\lceil x \big\rceil", r"\big⌈ x \big⌉"),
        (r"\Bigl\lVert x \Bigr\rVert", r"\Bigl‖ x \Bigr‖"),
        (r"\big\lvert \lvert x \rvert \big\rvert", r"\big| {\lvert x \rvert} \big|"),
    ],
)
def test_sized_brackets_are_known_by_their_character(latex, drawn):
    assert _drawable(latex) == drawn
    (image,) = page_of(new_markdown_cell(f"of ${latex}$")).select("img.equation")
    assert image["alt"] == latex


@pytest.mark.parametrize("accented", [r"\hat x", r"\widehat{x}", r"\hat{\mathbf T}", r"\ln 2"])
def test_nothing_is_drawn_far_from_the_left_edge(accented):
    (image,) = page_of(new_markdown_cell(f"of ${accented}$")).select("img.equation")
    svg = ElementTree.fromstring(base64.b64decode(image["src"].partition(",")[2]))
    left, _, width, _ = map(float, svg.attrib["viewBox"].split())
    first = min(float(part.attrib["x"]) for part in svg if part.get("width") != "0" and "x" in part.attrib)
    assert left == pytest.approx(first - 1.0, abs=0.01)  # the margin
    assert width == pytest.approx(float(svg.attrib["width"]))


def test_equations_grow_with_the_text_around_them():
    for image in page_of(new_markdown_cell("# The map $x$\n\nof $\\frac12$")).select("img.equation"):
        assert re.fullmatch(r"width: [\d.]+em; vertical-align: -?[\d.]+em", image["style"])


def test_code_and_money_stay_text():
    page = page_of(new_markdown_cell("`$x$` costs \\$5\n\n```\n$y$ and $z$\n```"), new_code_cell("a = '$x$'"))
    assert not page.select("img.equation")


def test_what_cannot_be_drawn_is_shown_as_source():
    page = page_of(new_markdown_cell(r"$\frac{1}{$ and $x$"))
    paragraph = page.select_one(".jp-RenderedMarkdown p")
    assert [code.text for code in paragraph.select("code")] == [r"\frac{1}{"]
    assert [image["alt"] for image in paragraph.select("img.equation")] == ["x"]
    assert paragraph.text == r"\frac{1}{ and "


@pytest.mark.parametrize("latex", [r"\frobnicate x", r"a_{\frobnicate}", r"\text{a\frobnicate b}"])
def test_unknown_commands_are_shown_as_source(latex):
    page = page_of(new_markdown_cell(f"see ${latex}$ there"))
    assert not page.select("img.equation")
    assert [code.text for code in page.select(".jp-RenderedMarkdown code")] == [latex]


@pytest.mark.parametrize(
    ("injected", "shown"),
    [
        ('profile = "laptop"', False),
        ("profile = 'laptop'\nsteps = -3", False),
        ('profile = "smoke"', True),
        ('profile = "laptop"\nsteps = 3', True),
        ('profile = "laptop"\nother = 1', True),
    ],
)
def test_injected_parameters_are_shown_where_they_differ(injected, shown):
    defaults = 'profile = "laptop"  # how much\nsteps: int = -3'
    notebook = new_notebook(
        cells=[
            new_code_cell(defaults, metadata={"tags": ["parameters"]}),
            new_code_cell("# Parameters\n" + injected, metadata={"tags": ["injected-parameters"]}),
            new_code_cell("after = 1"),
        ]
    )
    page = BeautifulSoup(to_html(notebook, title="T"), "html.parser")
    assert ("# Parameters" in page.text) == shown
    assert ("in place of the defaults" in page.text) == shown
    assert "how much" in page.text and "after = 1" in page.text
    assert len(notebook.cells) == 3


def test_a_widget_leaves_its_picture_and_its_words():
    data = {
        "application/vnd.jupyter.widget-view+json": {"model_id": "7"},
        "text/plain": "FigureWidget",
        "image/png": png(),
    }
    output = new_output("display_data", data, metadata={"image/png": {"alt": 'An "arm"'}})
    (image,) = page_of(new_code_cell("w", outputs=[output])).select(".jp-OutputArea img")
    assert image["alt"] == 'An "arm"' and image["src"].startswith("data:image/png")


def test_interactive_html_is_kept_only_if_it_is_self_contained():
    def shown(html: str) -> BeautifulSoup:
        output = new_output("display_data", {"text/html": html, "image/png": png()})
        return page_of(new_code_cell("f", outputs=[output]))

    assert shown("<div id='live'></div>").select("#live")
    assert not shown('<script src="https://cdn.example/p.js"></script><div id="live"></div>').select("#live")


def test_wide_tables_scroll_within_their_cell():
    heading, rule = "|" + " a |" * 18, "|" + "---|" * 18
    output = new_output("display_data", {"text/markdown": f"{heading}\n{rule}\n{heading}"})
    page = page_of(new_code_cell("t", outputs=[output]))
    styles = "".join(style.text for style in page.select("style"))
    for selector, rule in (
        ("main .jp-RenderedHTMLCommon table", "overflow-x: auto"),
        ("main .jp-OutputArea-output td:first-child", "white-space: nowrap"),
    ):
        assert page.select(selector) and re.search(rf"{re.escape(selector)} {{[^}}]*{rule}", styles)
    assert page.select("main table:has(th:nth-child(12)) :is(th, td)")


def test_network_references():
    page = (
        '<a href="https://example.org/paper">paper</a><script src="https://a.example/x.js"></script>'
        "<link rel=stylesheet href='http://b.example/y.css'><style>@import url(https://c.example/z.css)</style>"
        '<img src="data:image/png;base64,AAAA"><script src="https://a.example/x.js"></script>'
    )
    assert network_references(page) == [
        "https://a.example/x.js",
        "http://b.example/y.css",
        "https://c.example/z.css",
    ]
    assert network_references(to_html(new_notebook(cells=[new_markdown_cell("# $x$")]), title="T")) == []


def test_title_and_first_figure():
    output = new_output("display_data", {"image/png": png()})
    notebook = new_notebook(
        cells=[new_markdown_cell("# 01 · Parts\ntext"), new_code_cell("f", outputs=[output])]
    )
    assert notebook_title(notebook, "x") == "01 · Parts"
    assert notebook_title(new_notebook(), "x") == "x"
    thumbnail = first_figure(notebook, width=120)
    assert thumbnail is not None and Image.open(io.BytesIO(thumbnail)).size == (120, 80)
    assert first_figure(new_notebook()) is None


def test_a_wide_figure_keeps_its_left_part():
    buffer = io.BytesIO()
    wide = Image.new("RGB", (800, 90), "red")
    wide.paste("blue", (0, 0, 160, 90))
    wide.save(buffer, format="PNG")
    data = {"image/png": base64.b64encode(buffer.getvalue()).decode()}
    cell = new_code_cell("f", outputs=[new_output("display_data", data)])
    thumbnail = first_figure(new_notebook(cells=[cell]), width=80)
    assert thumbnail is not None
    picture = Image.open(io.BytesIO(thumbnail))
    assert picture.size == (80, 45) and picture.getpixel((79, 44)) == (0, 0, 255)


def test_index_escapes_what_notebooks_say():
    heading = {"id": "1-smoke", "summary": "1 of 1", "origin": "abc"}
    card = {"title": "<b>", "status": "failed", "time": "1 s", "note": "a & b", "page": "html/a.html"}
    page = run_index(heading, [{**card, "thumbnail": None}])
    assert "&lt;b&gt;" in page and "a &amp; b" in page and 'href="html/a.html"' in page
