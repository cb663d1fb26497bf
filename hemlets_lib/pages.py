"""Pages that open from disk without a network: one look for all that the suite writes."""

from __future__ import annotations

import html
from collections.abc import Sequence

__all__ = ["html_page"]


def html_page(title: str, body: str, *, style: str = "", scripts: Sequence[str] = ()) -> str:
    """A whole page in the suite's look, light or dark as the reader's system is.

    Args:
        title: Of the browser's tab; plain text.
        body: HTML of what the page shows.
        style: CSS for this page, beyond what all share.
        scripts: Relative addresses of JavaScript to load before the body.

    Returns:
        HTML that asks for nothing but `scripts` and what `body` names.
    """
    loaded = "".join(f'<script src="{html.escape(address)}"></script>\n' for address in scripts)
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>\n{_STYLE}{style}</style>\n{loaded}</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


_STYLE = """:root { color-scheme: light dark;
  --ink: #1b1f24; --paper: #f6f7f9; --card: #fff; --soft: #5d6673; --line: #dfe3e8; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8eaed; --paper: #15181c; --card: #1f2328; --soft: #9aa4b1; --line: #343a42; }
}
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 2.5rem 1.5rem; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; overflow-wrap: anywhere; }
h2 { font-size: 1.05rem; margin: 0 0 .35rem; overflow-wrap: anywhere; }
header p { margin: 0 0 .25rem; color: var(--soft); }
"""
