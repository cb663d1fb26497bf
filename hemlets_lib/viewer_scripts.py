"""Looks and behaviour of pages with 3D viewers: CSS and JavaScript, with nothing loaded from elsewhere.

A page has `<div class="viewer" data-figure="ID">` for each viewer, a plotly figure as JSON in
`<script type="application/json" id="ID">`, plotly's script in its head, and `VIEWERS` at its end. A video's
page has `SLIDER` after that, and `[frame, seconds, picture]` for each step as JSON under the id `steps`.
"""

from __future__ import annotations

__all__ = ["SLIDER", "STYLE", "VIEWERS"]

STYLE = """figure { margin: 1.2rem 0; }
figcaption, footer, caption { color: var(--soft); font-size: .92rem; text-align: left; }
.picture { display: block; max-width: 100%; max-height: 90vh; margin: 0 auto; border: 1px solid var(--line); }
.weights { border-left: 4px solid #00684c; background: var(--card); padding: .6rem 1rem; margin: 1rem 0;
  overflow-wrap: anywhere; }
.weights.doubtful { border-color: #d55e00; }
.weights p { margin: .2rem 0; }
section { border-top: 1px solid var(--line); margin-top: 1.6rem; padding-top: 1rem; }
.viewer { height: 460px; background: #fff; border: 1px solid var(--line); border-radius: 6px;
  overflow: hidden; }
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
  if (drawn.push(viewer) > 8) Plotly.purge(drawn.shift());
  const figure = JSON.parse(document.getElementById(viewer.dataset.figure).textContent);
  Object.assign(figure.layout, {width: undefined, height: 460, autosize: true});
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
