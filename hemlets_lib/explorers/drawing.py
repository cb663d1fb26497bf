"""What the live widget and the offline page have in common: numbers in words, and how a move is drawn."""

from __future__ import annotations

import html
import math

__all__ = ["DRAW", "readout_html"]

_SPARE_LINES = 2  # of the numbers: where one needs two, what is below stays in its place

# JavaScript. `changes`: [[a mark's number, what of it changed by plotly's names], ...]; `targets` as in
# `plotly_form`. All goes to plotly in one call, so that a move is one drawing.
DRAW = """function drawMarks(Plotly, figure, targets, changes) {
  const traces = [], values = [], pictures = {};
  for (const [number, changed] of changes) {
    const [kind, at] = targets[number];
    if (kind === "images") pictures[`images[${at}].source`] = changed.source;
    else { traces.push(at); values.push(changed); }
  }
  const update = {};  // plotly's form: for each name a value for each trace, undefined where it has none
  for (const name of new Set(values.flatMap(Object.keys))) update[name] = values.map(each => each[name]);
  if (traces.length) return Plotly.update(figure, update, pictures, traces);
  if (Object.keys(pictures).length) return Plotly.relayout(figure, pictures);
}
"""


def readout_html(readout: tuple[tuple[str, str], ...]) -> str:
    """The numbers in words in columns; their colours are those of the page around.

    Args:
        readout: (name, value) pairs, `Scene.readout`.

    Returns:
        A `div` of HTML.
    """
    entries = "".join(
        f'<div><span style="opacity:.75">{html.escape(name)}</span>&ensp;<b>{html.escape(value)}</b></div>'
        for name, value in readout
    )
    columns = "display:grid;grid-template-columns:repeat(auto-fill,minmax(min(440px,100%),1fr));gap:0 1.5em"
    lines = math.ceil(len(readout) / 2) + _SPARE_LINES
    place = f"min-height:{1.6 * lines:.1f}em;align-content:start;max-width:940px"
    style = f"{columns};{place};font-size:12px;line-height:1.6;font-variant-numeric:tabular-nums"
    return f'<div class="hemlets-readout" style="{style}">{entries}</div>'
