"""A scene in a notebook: its numbers and its figure as one widget, to which a move is one small message.

Plotly's own `FigureWidget` answers each move with all that it has worked out for every trace, before the
browser has painted, and loads plotly's 5 MB again for every figure. Here nothing is answered, and all
figures of a kernel share one copy. What is drawn, and how, is as on the offline page (`drawing`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import anywidget
import ipywidgets as widgets
import traitlets

from hemlets_lib.explorers.drawing import DRAW, readout_html
from hemlets_lib.explorers.plotly_form import changing, figure_of, targets
from hemlets_lib.explorers.scene import Explorer, Scene
from hemlets_lib.viz_3d import plotly_script

__all__ = ["SceneWidget"]


class _Plotly(anywidget.AnyWidget):
    """Plotly's script, for all figures of this kernel."""

    _esm = "export default {}"
    script = traitlets.Unicode().tag(sync=True)
    shared: _Plotly | None = None

    @classmethod
    def get(cls) -> _Plotly:
        if cls.shared is None or cls.shared.comm is None:  # none yet, or `Widget.close_all` closed it
            cls.shared = cls(script=plotly_script())
        return cls.shared


# A page may have a loader of its own (Voila's), to which plotly would hand itself: it must not see that one.
_LOAD = """function forget(error) {  // so that the next figure tries again
  globalThis.hemletsPlotly = undefined;
  throw error;
}
async function load(model) {
  const shared = await model.widget_manager.get_model(model.get("plotly").slice("IPY_MODEL_".length));
  const alone = "const define = undefined, module = undefined, exports = undefined;\\n";
  const parts = [alone, shared.get("script"), "\\nexport default globalThis.Plotly;"];
  const address = URL.createObjectURL(new Blob(parts, {type: "text/javascript"}));
  try { return (await import(address)).default; } finally { URL.revokeObjectURL(address); }
}
"""

_VIEW = """function initialize({model}) {  // a view that comes later starts from here
  model.on("msg:custom", ({readout, changes}) => {
    const now = model.get("now");
    now.readout = readout;
    for (const [number, changed] of changes) now.moved[number] = {...now.moved[number], ...changed};
  });
}
async function render({model, el}) {
  const Plotly = await (globalThis.hemletsPlotly ??= load(model).catch(forget));
  const readout = document.createElement("div"), figure = document.createElement("div");
  const now = model.get("now");
  readout.innerHTML = now.readout;
  // The notebook around it need not be laid out anew with each move.
  Object.assign(el.style, {contain: "content", overflowX: "auto"});
  el.append(readout, figure);
  const {data, layout} = structuredClone(model.get("figure"));
  await Plotly.newPlot(figure, data, layout, {displayModeBar: false});
  const targets = model.get("targets"), draw = changes => drawMarks(Plotly, figure, targets, changes);
  readout.innerHTML = now.readout;  // it may have moved meanwhile
  draw(Object.entries(now.moved));
  const follow = message => {
    readout.innerHTML = message.readout;
    draw(message.changes);
  };
  model.on("msg:custom", follow);
  figure.on("plotly_click", ({points: [point]}) =>
    model.send({trace: point.curveNumber, point: point.pointIndex}));
  return () => { model.off("msg:custom", follow); Plotly.purge(figure); };
}
export default {initialize, render};
"""


class SceneWidget(anywidget.AnyWidget):
    """The figure and numbers of an explorer, in one state.

    Args:
        explorer: What to show.
        scene: In this state.
        clicked: Called with (mark's number, point's number) after a click on a point.

    Attributes:
        figure: The whole at the start, plotly's JSON.
        now: `readout`, the numbers as HTML, and `moved`, mark's number → what of it differs from `figure`. A
            move alters it in place and sends the difference alone: the whole is for another view of this
            widget, or a page loaded anew.
    """

    _esm = DRAW + _LOAD + _VIEW
    plotly = traitlets.Instance(_Plotly).tag(sync=True, **widgets.widget_serialization)
    figure = traitlets.Dict().tag(sync=True)
    targets: traitlets.List[list[Any]] = traitlets.List().tag(sync=True)
    now = traitlets.Dict().tag(sync=True)

    def __init__(self, explorer: Explorer, scene: Scene, clicked: Callable[[int, int], None]) -> None:
        self._shown = [changing(mark) for _, mark in scene.marks]
        self._clicked = clicked
        super().__init__(
            plotly=_Plotly.get(),
            figure=figure_of(explorer, scene),
            targets=[list(place) for place in targets(scene)],
            now={"readout": readout_html(scene.readout), "moved": {}},
        )
        self.on_msg(self._answer)

    def show(self, scene: Scene) -> None:
        """Another state of the same explorer; only what differs travels, in one message.

        Args:
            scene: With the marks of the first, in other places.
        """
        changes, moved = [], self.now["moved"]
        for number, (_, mark) in enumerate(scene.marks):
            values, before = changing(mark), self._shown[number]
            if new := {key: value for key, value in values.items() if value != before[key]}:
                changes.append([number, new])
                self._shown[number] = values
                moved[str(number)] = {**moved.get(str(number), {}), **new}
        self.now["readout"] = readout_html(scene.readout)
        self.send({"changes": changes, "readout": self.now["readout"]})

    def _answer(self, _: Any, message: Mapping[str, int], __: Any) -> None:
        place = ["data", message["trace"]]
        if place in self.targets:
            self._clicked(self.targets.index(place), message["point"])
