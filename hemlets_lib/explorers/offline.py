"""An explorer as a page without kernel or network: every state that its controls offer, computed beforehand.

Marks are the same in many states, so each distinct one is stored once and a state is a row of numbers. All
of it is packed (gzip) into the page, which the browser unpacks.
"""

from __future__ import annotations

import base64
import gzip
import html
import itertools
import json
import math
from pathlib import Path
from typing import Any

from hemlets_lib.explorers.drawing import DRAW, readout_html
from hemlets_lib.explorers.plotly_form import changing, figure_of, targets
from hemlets_lib.explorers.scene import Choice, Control, Explorer, Slider, Toggle
from hemlets_lib.explorers.static import static_picture
from hemlets_lib.pages import html_page
from hemlets_lib.viz_3d import plotly_script

__all__ = ["MOST_BYTES", "offline_page", "offline_states", "offline_values", "write_page"]

MOST_BYTES = 8_000_000  # of a page, plotly's 5 MB among them
_MOST_STATES = 40_000


def offline_values(control: Control) -> tuple[Any, ...]:
    """What a control offers without a kernel.

    Returns:
        Those of its values, in their order.
    """
    chosen = control.offline or control.values
    return tuple(value for value in control.values if value in chosen)


def offline_states(explorer: Explorer) -> dict[str, Any]:
    """All states of a page as plain JSON.

    Args:
        explorer: What to show.

    Returns:
        `figure` at the start; `targets`, where its marks are; `controls`; `pool`, every distinct value of a
        mark, or of words; `states`, for each combination of the controls' values (the last runs fastest)
        the places in the pool of each mark's values, and behind them of the readout and of the description.

    Raises:
        ValueError: If the controls offer more combinations than a page can hold.
    """
    offered = [offline_values(control) for control in explorer.controls]
    count = math.prod(map(len, offered))
    if count > _MOST_STATES:
        raise ValueError(
            f"explorer {explorer.name!r} would have {count} states in a page, expected {_MOST_STATES} at "
            "most. Offer fewer values: set `offline` of its controls."
        )
    pool: dict[str, int] = {}
    states = []
    names = [control.name for control in explorer.controls]
    for values in itertools.product(*offered):
        scene = explorer.scene(**dict(zip(names, values, strict=True)))
        entries: list[Any] = [changing(mark) for _, mark in scene.marks]
        entries += [readout_html(scene.readout), scene.alt]
        states.append([pool.setdefault(json.dumps(entry), len(pool)) for entry in entries])
    return {
        "figure": figure_of(explorer, explorer.scene()),
        "targets": targets(explorer.scene()),
        "controls": [_described(control) for control in explorer.controls],
        "pool": [json.loads(entry) for entry in pool],
        "states": states,
        "clicks": explorer.clicks and vars(explorer.clicks),
    }


def _described(control: Control) -> dict[str, Any]:
    values = offline_values(control)
    return {
        "name": control.name,
        "kind": {Slider: "slider", Choice: "choice", Toggle: "toggle"}[type(control)],
        "texts": [control.text(value) for value in values],
        "start": values.index(control.start),
    }


def offline_page(explorer: Explorer) -> str:
    """The page as HTML. Errors as in `offline_states`, and:

    Raises:
        ValueError: If it would be larger than `MOST_BYTES`.
    """
    states = json.dumps(offline_states(explorer), ensure_ascii=False, separators=(",", ":"))
    packed = base64.b64encode(gzip.compress(states.encode("utf-8"), mtime=0)).decode("ascii")
    scene = explorer.scene()
    picture = base64.b64encode(static_picture(explorer, scene)).decode("ascii")
    alt = html.escape(scene.alt, quote=True)
    body = (
        f"<header><h1>{html.escape(explorer.title)}</h1><p>{html.escape(explorer.tip)}</p></header>\n"
        f'<form id="controls" autocomplete="off">{"".join(map(_input, explorer.controls))}</form>\n'
        f'<div id="readout" aria-live="polite">{readout_html(scene.readout)}</div>\n'
        f'<div id="figure" role="img" aria-label="{alt}"></div>\n'
        f'<noscript><img alt="{alt}" src="data:image/png;base64,{picture}"></noscript>\n'
        f'<script type="text/plain" id="states">{packed}</script>\n'
        f"<script>{plotly_script()}</script>\n<script>{DRAW}{_SCRIPT}</script>"
    )
    page = html_page(explorer.title, body, style=_STYLE)
    size = len(page.encode("utf-8"))
    if size > MOST_BYTES:
        raise ValueError(
            f"the page of explorer {explorer.name!r} has {size / 1e6:.1f} MB, expected "
            f"{MOST_BYTES / 1e6:.0f} MB at most. Offer fewer values: set `offline` of its controls."
        )
    return page


def write_page(explorer: Explorer, folder: Path) -> Path:
    """Write the page into a folder, which is made; the path of `<name>.html`. Errors as in `offline_page`."""
    page = offline_page(explorer)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{explorer.name}.html"
    path.write_text(page, encoding="utf-8")
    return path


def _input(control: Control) -> str:
    values, name = offline_values(control), html.escape(control.name, quote=True)
    start = values.index(control.start)
    match control:
        case Toggle():
            field = f'<input type="checkbox" name="{name}"{" checked" * bool(control.start)}>'
        case Choice():
            options = "".join(
                f"<option{' selected' * (at == start)}>{html.escape(value)}</option>"
                for at, value in enumerate(values)
            )
            field = f'<select name="{name}">{options}</select>'
        case Slider():
            play = '<button type="button">play</button>' if control.playable else ""
            field = (
                f'<input type="range" name="{name}" min="0" max="{len(values) - 1}" step="1" value="{start}">'
                f"<output>{html.escape(control.text(values[start]))}</output>{play}"
            )
    return f"<label><span>{html.escape(control.label)}</span>{field}</label>"


_STYLE = """main { padding-top: 1.2rem; }
form { display: grid; grid-template-columns: repeat(auto-fill, minmax(420px, 1fr)); gap: .35rem 1.5rem;
  margin: .8rem 0; }
label { display: flex; min-width: 0; align-items: center; gap: .7rem; min-height: 1.9rem; }
label span { flex: 0 0 8.5rem; color: var(--soft); }
input[type=range] { flex: 1; min-width: 8rem; accent-color: #0072b2; }
select { flex: 1; min-width: 0; font: inherit; padding: .15rem; }
output { flex: 0 0 5.5rem; overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
#readout { min-height: 4.6em; margin: .6rem 0; }
#figure { overflow-x: auto; background: #fff; border: 1px solid var(--line); border-radius: 6px; }
img { max-width: 100%; }
@media (max-width: 560px) { form { grid-template-columns: minmax(0, 1fr); } main { padding: 1rem .6rem; }
  label { flex-wrap: wrap; gap: 0 .7rem; } label span { flex-basis: 100%; } }
"""

_SCRIPT = """(async () => {
const packed = Uint8Array.from(atob(document.getElementById("states").textContent), c => c.charCodeAt(0));
const unpacked = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
const book = await new Response(unpacked).json();
const figure = document.getElementById("figure"), readout = document.getElementById("readout");
const form = document.getElementById("controls");
const inputs = book.controls.map(control => form.elements[control.name]);
function read(input) {  // the place of its value
  if (input.type === "checkbox") return Number(input.checked);
  return input.tagName === "SELECT" ? input.selectedIndex : Number(input.value);
}
function place() {  // of the state that the controls say
  return book.controls.reduce((at, control, n) => at * control.texts.length + read(inputs[n]), 0);
}
let shown = book.states[place()];
function show() {
  const state = book.states[place()], marks = state.length - 2;
  const changed = book.targets.map((_, n) => n).filter(n => state[n] !== shown[n]);
  shown = state;
  readout.innerHTML = book.pool[state[marks]];
  figure.setAttribute("aria-label", book.pool[state[marks + 1]]);
  inputs.forEach((input, n) => {
    const said = input.parentElement.querySelector("output");
    if (said) said.textContent = book.controls[n].texts[read(input)];
  });
  return drawMarks(Plotly, figure, book.targets, changed.map(n => [n, book.pool[state[n]]]));
}
form.addEventListener("input", show);
form.addEventListener("submit", event => event.preventDefault());
form.querySelectorAll("button").forEach(button => {
  const input = button.parentElement.querySelector("input");
  let timer = null;
  button.addEventListener("click", () => {
    button.textContent = timer ? "play" : "stop";
    if (timer) { clearInterval(timer); timer = null; return; }
    timer = setInterval(() => {
      input.value = (Number(input.value) + 1) % (Number(input.max) + 1);
      show();
    }, 150);
  });
});
await Plotly.newPlot(figure, book.figure.data, book.figure.layout, {displayModeBar: false});
await show();  // a browser may remember inputs of an earlier visit
if (book.clicks) figure.on("plotly_click", event => {
  const point = event.points[0], n = book.controls.findIndex(control => control.name === book.clicks.control);
  if (point.curveNumber !== book.targets[book.clicks.mark][1]) return;
  if (point.pointIndex >= book.controls[n].texts.length) return;
  if (inputs[n].tagName === "SELECT") inputs[n].selectedIndex = point.pointIndex;
  else inputs[n].value = point.pointIndex;
  show();
});
document.body.dataset.ready = "yes";
})();
"""
