"""Looks and behaviour of pages with 3D viewers: CSS and JavaScript, with nothing loaded from elsewhere.

A page has `<div class="viewer" data-figure="ID">` for each viewer, a plotly figure as JSON in
`<script type="application/json" id="ID">`, plotly's script in its head, and `VIEWERS` at its end. A video's
page has `SLIDER` after that, and `[frame, seconds, picture]` for each step as JSON under the id `steps`.
"""

from __future__ import annotations

__all__ = ["SLIDER", "STYLE", "VIEWERS"]

STYLE = """main { max-width: 1320px; }
figure { margin: 1.2rem 0; }
figcaption, footer, caption { color: var(--soft); font-size: .92rem; text-align: left; }
.picture { display: block; max-width: 100%; max-height: 90vh; margin: 0 auto; border: 1px solid var(--line); }
.weights { border-left: 4px solid #00684c; background: var(--card); padding: .6rem 1rem; margin: 1rem 0;
  overflow-wrap: anywhere; }
.weights.doubtful { border-color: #d55e00; }
.weights p { margin: .2rem 0; }
section { border-top: 1px solid var(--line); margin-top: 1.6rem; padding-top: 1rem; }
.pair { display: grid; grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); gap: 0 1.5rem;
  align-items: start; margin: 1rem 0; }
.pair > figure { position: sticky; top: .5rem; margin: 0; }
.pair .picture { max-height: 58vh; }
.pair section:first-of-type { border-top: 0; margin-top: 0; padding-top: 0; }
.viewer { position: relative; height: min(58vh, 560px); min-height: 280px; background: var(--card);
  border: 1px solid var(--line); border-radius: 6px; overflow: hidden; }
.placeholder { position: absolute; inset: 0; width: 100%; height: 100%; object-fit: contain; }
.viewer[data-drawn] .placeholder { display: none; }
.side { display: inline-block; width: .75em; height: .75em; margin: 0 .3em 0 .8em; }
.panels { display: grid; grid-template-columns: repeat(auto-fill, minmax(150px, 1fr)); gap: .8rem; }
.panels p { margin: 0 0 .25rem; font-size: .85rem; line-height: 1.3; }
.state { color: #fff; border-radius: 3px; padding: 0 .4em; }
.panel { aspect-ratio: 1; border: 1px solid var(--line); print-color-adjust: exact; }
@media (prefers-color-scheme: dark) { .placeholder { filter: invert(1) hue-rotate(180deg); } }
@media (max-width: 760px) { .pair { grid-template-columns: minmax(0, 1fr); }
  .pair > figure { position: static; margin-bottom: 1rem; } .viewer { height: 90vw; } }
.slider { display: flex; gap: 1rem; align-items: center; margin: .8rem auto; max-width: 860px; }
.slider input { flex: 1; accent-color: #0072b2; }
.slider output { min-width: 11em; font-variant-numeric: tabular-nums; }
table { border-collapse: collapse; margin: .6rem 0; font-variant-numeric: tabular-nums; }
th, td { padding: .1rem .8rem .1rem 0; text-align: right; font-weight: normal; }
th:first-child { text-align: left; }
summary { cursor: pointer; }
"""

VIEWERS = """<script>
const drawn = [];  // viewers with a 3D drawing, the one seen last at the end
let current = null;  // a video's frame
function showFrame(viewer) {
  if (current !== null && viewer.frames) Plotly.animate(viewer, [current],
    {mode: "immediate", frame: {duration: 0, redraw: true}, transition: {duration: 0}});
}
function draw(viewer) {
  if (drawn.includes(viewer)) return;
  if (drawn.push(viewer) > 8) {
    const oldest = drawn.shift();
    Plotly.purge(oldest);
    delete oldest.dataset.drawn;  // its picture from the side is back
  }
  const figure = JSON.parse(document.getElementById(viewer.dataset.figure).textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const ink = getComputedStyle(document.documentElement).getPropertyValue("--ink").trim();
  Object.assign(figure.layout, {width: undefined, height: undefined, autosize: true,
    paper_bgcolor: "rgba(0,0,0,0)", font: {color: ink}});
  for (const axis of ["xaxis", "yaxis", "zaxis"]) Object.assign(figure.layout.scene[axis],
    {gridcolor: dark ? "#4d555f" : "#cccccc", zerolinecolor: dark ? "#4d555f" : "#cccccc", color: ink});
  if (dark) for (const trace of figure.data)
    if (["#555555", "#222222"].includes(trace.line.color))  // too dark to be seen
      trace.line.color = trace.marker.color = ink;
  // Without the button that would send the drawing to plotly's servers.
  const options = {displaylogo: false, responsive: true, showSendToCloud: false, plotlyServerURL: ""};
  Plotly.newPlot(viewer, figure.data, figure.layout, options)
    .then(() => figure.frames && Plotly.addFrames(viewer, figure.frames))
    .then(() => { viewer.frames = Boolean(figure.frames); viewer.dataset.drawn = "yes"; showFrame(viewer); });
}
const watcher = new IntersectionObserver(
  seen => seen.forEach(each => each.isIntersecting && draw(each.target)), {rootMargin: "150px"});
document.querySelectorAll(".viewer").forEach(viewer => watcher.observe(viewer));
</script>
"""

SLIDER = """<script>
const steps = JSON.parse(document.getElementById("steps").textContent);
const at = document.getElementById("at"), play = document.getElementById("play");
function show() {
  const [name, time, address] = steps[at.value];
  document.getElementById("frame").src = address;
  document.getElementById("now").textContent = `frame ${name}, ${time.toFixed(2)} s`;
  current = name;
  drawn.forEach(showFrame);
}
let timer = null;
function stop() { clearInterval(timer); timer = null; play.textContent = "play"; }
play.addEventListener("click", () => {
  if (timer) return stop();
  play.textContent = "stop";
  timer = setInterval(() => { at.value = (Number(at.value) + 1) % steps.length; show(); }, 200);
});
at.addEventListener("input", show);
show();
</script>
"""
