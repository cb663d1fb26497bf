"""Executed notebooks as web pages that need neither a kernel nor a network.

nbconvert does the conversion. What it would fetch from elsewhere is replaced: equations are drawn to
SVG by ziamath instead of by a MathJax download, and widgets give way to the picture shown beside them.
"""

from __future__ import annotations

import ast
import base64
import binascii
import html
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from xml.etree import ElementTree

from hemlets_lib.pages import html_page

__all__ = [
    "equation_image",
    "first_figure",
    "network_references",
    "notebook_title",
    "run_index",
    "to_html",
    "without_live_outputs",
]

_TEMPLATE = """
{%- extends 'lab/index.html.j2' -%}
{%- block html_head_js_requirejs -%}{%- endblock -%}
{%- block html_head_js_mathjax -%}{%- endblock -%}
{%- block html_head_js_mermaidjs -%}{%- endblock -%}
{%- block jupyter_widgets -%}{%- endblock -%}
{%- block html_head_css -%}
<style>
main { max-width: 1060px; margin: 0 auto; padding: 1rem 1.5rem 4rem; }
main img { max-width: 100%; }
img.equation { vertical-align: middle; }
p img.equation-block, .equation-block { display: block; margin: 0.6rem auto; }
main .jp-Cell .jp-OutputArea .jp-OutputArea-output { padding-left: 17px; }  /* as far in as code and prose */
main .jp-OutputArea-output pre { word-break: normal; overflow-wrap: anywhere; }
/* Tables scroll within their cell; those as wide as Table 1, with its 15 actions, are set smaller. */
main .jp-RenderedHTMLCommon table { display: block; width: max-content; max-width: 100%; overflow-x: auto; }
main .jp-OutputArea-output td:first-child { white-space: nowrap; }
main table:has(th:nth-child(12)) :is(th, td) { padding: 0.35em 0.2em; font-size: 11px; }
</style>
{%- endblock -%}
{%- block data_png scoped -%}
<div class="jp-RenderedImage jp-OutputArea-output">
<img alt="{{ (output | get_metadata('alt', 'image/png') or 'Figure') | e }}"
 src="data:image/png;base64,{{ output.data['image/png'] | escape_html }}">
</div>
{%- endblock -%}
"""

# Shown only by a live kernel or by scripts from a CDN; a page drops them where something else is left.
_LIVE_ONLY = (
    "application/vnd.jupyter.widget-view+json",
    "application/vnd.plotly.v1+json",
    "application/javascript",
)
_NETWORK = re.compile(
    r"""<(?:script|img|iframe|link|source)\b[^>]*?\b(?:src|href)\s*=\s*["']?(https?://[^"'\s>]+)"""
    r"""|(?:@import\s*(?:url\()?|\burl\()\s*["']?(https?://[^"')\s]+)|\bfrom\s+["'](https?://[^"']+)""",
    re.IGNORECASE,
)
_MATH = re.compile(
    r"\$\$(?P<display>.+?)\$\$"
    r"|(?P<environment>\\begin\{(?P<name>[a-z]+\*?)\}.+?\\end\{(?P=name)\})"
    r"|(?<![\\$])\$(?P<inline>[^$]+?)(?<!\\)\$",
    re.DOTALL,
)
_TEXT_PX = 14.0  # the template's; drawings grow and shrink with the text around them
_EQUATION_PX = 17.0  # a little above, as the text's x-height is larger than STIX's
# A sign after one of these has nothing on its left to be added to. Words are stepped over.
_UNARY_SIGN = re.compile(
    r"(?P<words>\\(?:text[a-z]*|mbox|mathrm|operatorname|tag)\s*\{[^{}]*\})"
    r"|(?P<before>^|(?<!\\)[=<>(\[,{&]|\\\{|\\\\(?:\[[^\]]*\])?|\\begin\{[a-z]+\*?\}"
    r"|\\(?:le|leq|ge|geq|lt|gt|ne|neq|approx|sim|equiv|propto|in|to|cdot|times|lvert|lVert)(?![a-zA-Z]))"
    r"(?P<space>(?:\s|\\[,:;!]|\\q?quad(?![a-zA-Z]))*)"
    r"(?P<sign>[-+]|\\(?:pm|mp)(?![a-zA-Z]))"
    r"(?!\s*\}|[\d.]+\s*(?:em|ex|mu|pt)\b)"  # in braces already; a length
)
# After \big and its kin only a character is understood, not its name.
_BRACKETS = {"lceil": "⌈", "rceil": "⌉", "lfloor": "⌊", "rfloor": "⌋"}
_BRACKETS |= {"lvert": "|", "rvert": "|", "lVert": "‖", "rVert": "‖"}
_SIZED_BRACKET = re.compile(
    rf"(?P<size>\\[bB]igg?[lrm]?)\s*\\(?P<name>{'|'.join(_BRACKETS)})(?![a-zA-Z])",
)
_PICTURE_RATIO = 16 / 9  # width to height of the pictures on the index page, in its style sheet too


def to_html(notebook: Any, *, title: str) -> str:
    """Turn an executed notebook into one self-contained page.

    Args:
        notebook: An nbformat (version 4) notebook; left as it is.
        title: The page's title.

    Returns:
        The HTML, with images and equations embedded.
    """
    from nbconvert import HTMLExporter

    copy = notebook.copy()
    copy.cells = [without_live_outputs(cell) for cell in _with_parameters_once(notebook.cells)]
    copy.metadata = {key: value for key, value in notebook.metadata.items() if key != "widgets"}
    copy.metadata["title"] = title
    exporter = HTMLExporter(raw_template=_TEMPLATE, exclude_anchor_links=True)
    page, _ = exporter.from_notebook_node(copy)
    return _draw_equations(page)


def _with_parameters_once(cells: Sequence[Any]) -> Iterator[Any]:
    """The cells, without injected parameters that repeat the defaults; others get a caption."""
    from nbformat.v4 import new_markdown_cell

    defaults: dict[str, str] = {}
    for cell in cells:
        tags = cell.metadata.get("tags", ())
        if "parameters" in tags:
            defaults = _assigned(cell.source)
        elif "injected-parameters" in tags:
            values = _assigned(cell.source)
            if values and values.items() <= defaults.items():
                continue
            caption = "<small>*Set for this run, in place of the defaults above:*</small>"
            yield new_markdown_cell(caption, id="injected-parameters")
        yield cell


def _assigned(source: str) -> dict[str, str]:
    """What a cell assigns to each name, spelt in one way; nothing where it is not plain Python."""
    try:
        statements = ast.parse(source).body
    except SyntaxError:
        return {}
    values = {}
    for statement in statements:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                values[name] = ast.dump(value)
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                values[name] = ast.dump(value)
    return values


def without_live_outputs(cell: Any) -> Any:
    """A cell without what only a live kernel or a script from a CDN would show.

    Args:
        cell: Of an nbformat notebook; left as it is.

    Returns:
        The cell itself where it has no outputs, else a copy.
    """
    if cell.cell_type != "code":
        return cell
    cell = cell.copy()
    outputs = []
    for output in cell.outputs:
        if "data" in output:
            output = output.copy()
            output.data = _static_bundle(output.data)
        outputs.append(output)
    cell.outputs = outputs
    return cell


def _static_bundle(data: Mapping[str, Any]) -> Mapping[str, Any]:
    kept = {kind: content for kind, content in data.items() if kind not in _LIVE_ONLY}
    picture = any(kind.startswith("image/") for kind in kept)
    if picture and "text/html" in kept and network_references(_text(kept["text/html"])):
        del kept["text/html"]
    return kept or data


def _text(content: Any) -> str:
    return content if isinstance(content, str) else "".join(content)


def network_references(page: str) -> list[str]:
    """Addresses that a page would load by itself (links for readers to follow do not count).

    Args:
        page: HTML.

    Returns:
        Each address once, in order of appearance.
    """
    found = (next(group for group in match.groups() if group) for match in _NETWORK.finditer(page))
    return list(dict.fromkeys(found))


def _draw_equations(page: str) -> str:
    """Replace LaTeX in the text of Markdown and LaTeX output by drawings, as MathJax would."""
    from bs4 import BeautifulSoup, NavigableString

    soup = BeautifulSoup(page, features="html.parser")
    for area in soup.select(".jp-RenderedMarkdown, .jp-RenderedLatex"):
        for node in list(area.find_all(string=_MATH)):
            if type(node) is not NavigableString or node.find_parent(["pre", "code", "script", "style"]):
                continue
            pieces = list(_pieces(str(node), soup))
            node.replace_with(*pieces)
    return str(soup)


def _pieces(text: str, soup: Any) -> Iterator[Any]:
    from bs4 import NavigableString

    at = 0
    for match in _MATH.finditer(text):
        yield NavigableString(text[at : match.start()])
        inline = match["inline"]
        latex = (inline or match["display"] or match["environment"]).strip()
        yield equation_image(latex, inline=inline is not None, soup=soup)
        at = match.end()
    yield NavigableString(text[at:])


def equation_image(latex: str, *, inline: bool, soup: Any) -> Any:
    """An equation as a picture that grows with the text around it.

    Args:
        latex: Without its dollar signs.
        inline: Within a line, on its baseline; otherwise a block of its own.
        soup: The BeautifulSoup document that makes the tag.

    Returns:
        An `img` tag with the LaTeX as its description, or a `code` tag where it cannot be drawn.
    """
    import ziamath
    from ziamath.tex import tex2mml

    drawable = _drawable(latex)
    try:
        if "\\" in tex2mml(drawable):  # commands that it does not know come out as they went in
            raise ValueError(latex)
        drawing = ziamath.Latex(drawable, size=_EQUATION_PX, inline=inline)
        svg, below_baseline = drawing.svgxml(), drawing.getyofst()
    except Exception:  # an equation it cannot draw is shown as its source, as MathJax does
        fallback = soup.new_tag("code")
        fallback.string = latex
        return fallback
    _trim_left(svg, margin=drawing.margin)
    encoded = base64.b64encode(ElementTree.tostring(svg)).decode()
    image = soup.new_tag("img")
    image["class"] = "equation" if inline else "equation equation-block"
    image["alt"] = latex
    image["src"] = f"data:image/svg+xml;base64,{encoded}"
    image["style"] = f"width: {float(svg.attrib['width']) / _TEXT_PX:.3f}em"
    if inline:
        image["style"] += f"; vertical-align: {(below_baseline - drawing.margin) / _TEXT_PX:.3f}em"
    return image


def _trim_left(svg: ElementTree.Element, *, margin: float) -> None:
    """Take away room left of the first glyph, which ziamath leaves beside accents and names like "ln"."""
    drawn = [part for part in svg if not part.tag.endswith("symbol") and part.get("width") != "0"]
    if not drawn or any("x" not in part.attrib for part in drawn):
        return  # roots and the like, whose extent is not written down
    left, top, width, height = map(float, svg.attrib["viewBox"].split())
    stray = min(float(part.attrib["x"]) for part in drawn) - margin - left
    if stray > 0:
        svg.attrib["viewBox"] = f"{left + stray:g} {top:g} {width - stray:g} {height:g}"
        svg.attrib["width"] = f"{width - stray:g}"


def _drawable(latex: str) -> str:
    """The same formula in words that ziamath draws as MathJax does."""
    latex = latex.replace(r"\operatorname*", r"\operatorname")  # the star only moves the limits
    latex = _SIZED_BRACKET.sub(lambda match: match["size"] + _BRACKETS[match["name"]], latex)
    for bar in ("vert", "Vert"):  # in a group of their own, bars grow with what they enclose only
        opening, closing = rf"(?<!\\left)\\l{bar}(?![a-z])", rf"(?<!\\right)\\r{bar}(?![a-z])"
        if len(re.findall(opening, latex)) == len(re.findall(closing, latex)):
            latex = re.sub(opening, rf"{{\\l{bar}", latex)
            latex = re.sub(closing, rf"\\r{bar}}}", latex)
    return _UNARY_SIGN.sub(  # in braces it is not spaced like an operator between two terms
        lambda match: match["words"] or f"{match['before']}{match['space']}{{{match['sign']}}}", latex
    )


def notebook_title(notebook: Any, default: str) -> str:
    """The text of a notebook's first heading.

    Args:
        notebook: An nbformat notebook.
        default: Used where there is no heading.

    Returns:
        The heading without its '#'.
    """
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and (heading := re.search(r"^#\s+(.+)$", cell.source, re.MULTILINE)):
            return heading[1].strip()
    return default


def first_figure(notebook: Any, *, width: int = 480) -> bytes | None:
    """A thumbnail of the first picture among a notebook's outputs.

    Of a wide picture, often a row of panels, it shows the left part, which stays readable.

    Args:
        notebook: An executed nbformat notebook.
        width: Width in pixels of the thumbnail, at most.

    Returns:
        A PNG file's bytes, or None where there is no readable picture.
    """
    from PIL import Image

    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            encoded = output.get("data", {}).get("image/png")
            if not encoded:
                continue
            try:
                picture = Image.open(io.BytesIO(base64.b64decode(_text(encoded)))).convert("RGB")
            except (OSError, binascii.Error):
                continue
            picture = picture.crop(
                (0, 0, min(picture.width, round(_PICTURE_RATIO * picture.height)), picture.height)
            )
            picture.thumbnail((width, 2 * width))
            buffer = io.BytesIO()
            picture.save(buffer, format="PNG", optimize=True)
            return buffer.getvalue()
    return None


def run_index(run: Mapping[str, Any], cards: Sequence[Mapping[str, Any]]) -> str:
    """The page that a run opens with.

    Args:
        run: `id` (which names the profile), `summary` (one line) and `origin` (one line: time, commit,
            versions, device).
        cards: One mapping per notebook: `title`, `status`, `time`, `note`, `page` (relative address
            or None) and `thumbnail` (relative address of a picture, or None).

    Returns:
        HTML without scripts or outside addresses.
    """
    escape = html.escape

    def card(entry: Mapping[str, Any]) -> str:
        picture = '<div class="blank"></div>'
        if entry.get("thumbnail"):
            title, address = escape(entry["title"]), escape(entry["thumbnail"])
            picture = f'<img alt="First figure of {title}" src="{address}">'
        note = f'<p class="note">{escape(entry["note"])}</p>' if entry.get("note") else ""
        status = escape(entry["status"])
        inner = (
            f'{picture}<div class="text"><h2>{escape(entry["title"])}</h2>'
            f'<p><span class="status {status}">{status}</span> {escape(entry["time"])}</p>{note}</div>'
        )
        if not entry.get("page"):
            return f'<div class="card">{inner}</div>'
        return f'<a class="card" href="{escape(entry["page"])}">{inner}</a>'

    title = f"HEMlets · {run['id']}"
    body = (
        f"<header>\n<h1>{escape(title)}</h1>\n<p>{escape(run['summary'])}</p>\n"
        f"<p>{escape(run['origin'])}</p>\n</header>\n"
        f'<div class="cards">\n{"".join(map(card, cards))}\n</div>'
    )
    return html_page(title, body, style=_CARDS_STYLE)


_CARDS_STYLE = """.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(300px, 1fr));
  gap: 1.25rem; margin-top: 2rem; }
.card { display: block; background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  overflow: hidden; color: inherit; text-decoration: none; }
a.card:hover, a.card:focus { border-color: #0072b2; box-shadow: 0 2px 12px rgb(0 0 0 / 12%); }
.card img, .blank { display: block; width: 100%; aspect-ratio: 16 / 9; background: #fff;
  object-fit: cover; object-position: left top; }
.blank { background: var(--line); opacity: .4; }
.text { padding: .9rem 1.1rem 1.1rem; border-top: 1px solid var(--line); }
.text p { margin: 0; color: var(--soft); font-size: .92rem; }
.text .note { margin-top: .4rem; overflow-wrap: anywhere; }
.status { display: inline-block; padding: 0 .5rem; border-radius: 6px; color: #fff; background: #b3401a; }
.status.ok { background: #00684c; }
"""
