"""A Sphinx extension: equations as pictures, drawn while the book is built.

MathJax would have to be downloaded by every reader, or shipped with its fonts. The suite's pages draw their
equations already (`hemlets_lib.notebook_pages`), and the book draws them in the same way.
"""

from __future__ import annotations

import functools
from typing import Any, NoReturn

from bs4 import BeautifulSoup
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

from hemlets_lib.notebook_pages import equation_image

RENDERER = "drawn"


@functools.cache
def drawn(latex: str, *, inline: bool) -> str:
    """An equation as HTML.

    Args:
        latex: Without its dollar signs.
        inline: Within a line, or a block of its own.

    Returns:
        An `img` tag.

    Raises:
        ExtensionError: If the equation cannot be drawn; a book with LaTeX in its text is not a book.
    """
    tag = equation_image(latex.strip(), inline=inline, soup=BeautifulSoup("", "html.parser"))
    if tag.name != "img":
        raise ExtensionError(f"ziamath cannot draw this equation; write it in simpler commands: {latex!r}")
    return str(tag)


def visit_inline(translator: Any, node: nodes.Element) -> NoReturn:
    """Write an equation within a line."""
    translator.body.append(drawn(node.astext(), inline=True))
    raise nodes.SkipNode


def visit_block(translator: Any, node: nodes.Element) -> NoReturn:
    """Write an equation that stands alone; wide ones scroll within the page."""
    translator.body.append(f'<div class="equation-row">{drawn(node.astext(), inline=False)}</div>\n')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the renderer, which conf.py names."""
    app.add_html_math_renderer(RENDERER, (visit_inline, None), (visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
