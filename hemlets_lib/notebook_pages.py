"""Executed notebooks as web pages that need neither a kernel nor a network.

nbconvert does the conversion. What it would fetch from elsewhere is replaced: equations are drawn to
SVG by ziamath instead of by a MathJax download, and widgets give way to the picture shown beside them.
"""

from __future__ import annotations

import base64
import binascii
import html
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

__all__ = ["first_figure", "network_references", "notebook_title", "run_index", "to_html"]

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
_EQUATION_PX = 17.0  # a little above the template's 14 px text, whose x-height is larger than STIX's


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
    copy.cells = [_without_live_outputs(cell) for cell in notebook.cells]
    copy.metadata = {key: value for key, value in notebook.metadata.items() if key != "widgets"}
    copy.metadata["title"] = title
    exporter = HTMLExporter(raw_template=_TEMPLATE, exclude_anchor_links=True)
    page, _ = exporter.from_notebook_node(copy)
    return _draw_equations(page)


def _without_live_outputs(cell: Any) -> Any:
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
        yield _equation(latex, inline=inline is not None, soup=soup)
        at = match.end()
    yield NavigableString(text[at:])


def _equation(latex: str, *, inline: bool, soup: Any) -> Any:
    import ziamath

    try:
        drawing = ziamath.Latex(_drawable(latex), size=_EQUATION_PX, inline=inline)
        svg, below_baseline = drawing.svg(), drawing.getyofst()
    except Exception:  # an equation it cannot draw is shown as its source, as MathJax does
        fallback = soup.new_tag("code")
        fallback.string = latex
        return fallback
    image = soup.new_tag("img")
    image["class"] = "equation" if inline else "equation equation-block"
    image["alt"] = latex
    image["src"] = f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"
    if inline:
        image["style"] = f"vertical-align: {below_baseline - drawing.margin:.1f}px"
    return image


def _drawable(latex: str) -> str:
    """The same formula in words that ziamath draws as MathJax does."""
    latex = latex.replace(r"\operatorname*", r"\operatorname")  # the star only moves the limits
    for bar in ("vert", "Vert"):  # in a group of their own, bars grow with what they enclose only
        opening, closing = rf"(?<!\\left)\\l{bar}(?![a-z])", rf"(?<!\\right)\\r{bar}(?![a-z])"
        if len(re.findall(opening, latex)) == len(re.findall(closing, latex)):
            latex = re.sub(opening, rf"{{\\l{bar}", latex)
            latex = re.sub(closing, rf"\\r{bar}}}", latex)
    return latex


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
            picture.thumbnail((width, 2 * width))
            buffer = io.BytesIO()
            picture.save(buffer, format="PNG", optimize=True)
            return buffer.getvalue()
    return None


def run_index(run: Mapping[str, Any], cards: Sequence[Mapping[str, Any]]) -> str:
    """The page that a run opens with.

    Args:
        run: `id`, `profile`, `summary` (one line) and `origin` (one line: commit, versions, device).
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

    return _INDEX.format(
        title=escape(f"HEMlets · {run['profile']} · {run['id']}"),
        summary=escape(run["summary"]),
        origin=escape(run["origin"]),
        cards="\n".join(card(entry) for entry in cards),
    )


_INDEX = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark;
  --ink: #1b1f24; --paper: #f6f7f9; --card: #fff; --soft: #5d6673; --line: #dfe3e8; }}
@media (prefers-color-scheme: dark) {{
  :root {{ --ink: #e8eaed; --paper: #15181c; --card: #1f2328; --soft: #9aa4b1; --line: #343a42; }}
}}
body {{ margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }}
main {{ max-width: 1080px; margin: 0 auto; padding: 2.5rem 1.5rem; }}
h1 {{ font-size: 1.5rem; margin: 0 0 .25rem; }}
header p {{ margin: 0 0 .25rem; color: var(--soft); }}
.cards {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(300px, 1fr));
  gap: 1.25rem; margin-top: 2rem; }}
.card {{ display: block; background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  overflow: hidden; color: inherit; text-decoration: none; }}
a.card:hover, a.card:focus {{ border-color: #0072b2; box-shadow: 0 2px 12px rgb(0 0 0 / 12%); }}
.card img, .blank {{ width: 100%; height: 190px; object-fit: contain; background: #fff; display: block; }}
.blank {{ background: var(--line); opacity: .4; }}
.text {{ padding: .9rem 1.1rem 1.1rem; border-top: 1px solid var(--line); }}
h2 {{ font-size: 1.05rem; margin: 0 0 .35rem; }}
.text p {{ margin: 0; color: var(--soft); font-size: .92rem; }}
.text .note {{ margin-top: .4rem; overflow-wrap: anywhere; }}
.status {{ display: inline-block; padding: 0 .5rem; border-radius: 6px; color: #fff; background: #b3401a; }}
.status.ok {{ background: #00684c; }}
</style>
</head>
<body>
<main>
<header>
<h1>{title}</h1>
<p>{summary}</p>
<p>{origin}</p>
</header>
<div class="cards">
{cards}
</div>
</main>
</body>
</html>
"""
