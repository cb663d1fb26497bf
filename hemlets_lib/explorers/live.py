"""An explorer with a kernel: ipywidgets above one plotly widget, of which only what changed is sent."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping
from typing import Any

import ipywidgets as widgets
import plotly.graph_objects as go
from IPython.display import display

from hemlets_lib.explorers.plotly_form import changing, figure_of, targets
from hemlets_lib.explorers.scene import Choice, Control, Explorer, Scene, Slider, Toggle
from hemlets_lib.explorers.static import static_picture, static_text

__all__ = ["LiveExplorer", "display_explorer", "readout_html"]

_LABEL_WIDTH = "150px"
_SPARE_LINES = 2  # of the numbers: where one needs two, what is below stays in its place
_PLAY_MS = 150  # between the values of a slider that plays


def readout_html(readout: tuple[tuple[str, str], ...]) -> str:
    """The numbers in words in columns; their colours are those of the page around."""
    entries = "".join(
        f'<div><span style="opacity:.75">{html.escape(name)}</span>&ensp;<b>{html.escape(value)}</b></div>'
        for name, value in readout
    )
    columns = "display:grid;grid-template-columns:repeat(auto-fill,minmax(min(440px,100%),1fr));gap:0 1.5em"
    lines = math.ceil(len(readout) / 2) + _SPARE_LINES
    place = f"min-height:{1.6 * lines:.1f}em;align-content:start;max-width:940px"
    style = f"{columns};{place};font-size:12px;line-height:1.6;font-variant-numeric:tabular-nums"
    return f'<div class="hemlets-readout" style="{style}">{entries}</div>'


def _widget(control: Control, value: Any) -> Any:
    looks = {"description": control.label, "style": {"description_width": _LABEL_WIDTH}}
    layout = widgets.Layout(width="464px")
    match control:
        case Slider():
            options = [(control.text(each), each) for each in control.values]
            return widgets.SelectionSlider(options=options, value=value, layout=layout, **looks)
        case Choice():
            return widgets.Dropdown(options=control.values, value=value, layout=layout, **looks)
        case Toggle():
            return widgets.Checkbox(value=value, indent=True, layout=layout, **looks)


class LiveExplorer:
    """An explorer's widgets, and the wires between them.

    Args:
        explorer: What to show.
        state: A value for each control to begin with.

    Attributes:
        controls: Control's name → its ipywidget.
        figure: The plotly `FigureWidget`.
        readout: The `HTML` widget with the numbers.
        box: All of them, to display.
    """

    def __init__(self, explorer: Explorer, state: Mapping[str, Any]) -> None:
        self.explorer, scene = explorer, explorer.scene(**state)
        self.controls = {each.name: _widget(each, state[each.name]) for each in explorer.controls}
        self.figure = go.FigureWidget(figure_of(explorer, scene))
        self.figure._config = {"displayModeBar": False}
        self.readout = widgets.HTML(readout_html(scene.readout))
        drawn = {"data": self.figure.data, "images": self.figure.layout.images}
        self._drawn = [drawn[kind][place] for kind, place in targets(scene)]
        self._shown = [changing(mark) for _, mark in scene.marks]
        for control in self.controls.values():
            control.observe(self._moved, names="value")
        if explorer.clicks is not None:
            self._drawn[explorer.clicks.mark].on_click(self._clicked)
        self.box = widgets.VBox(
            [
                widgets.HTML(f"<b>{html.escape(explorer.title)}</b><br>{html.escape(explorer.tip)}"),
                widgets.Box(
                    [self._row(each) for each in explorer.controls],
                    layout=widgets.Layout(flex_flow="row wrap", width="940px"),
                ),
                self.readout,
                self.figure,
            ]
        )

    def _row(self, control: Control) -> Any:
        widget = self.controls[control.name]
        if not (isinstance(control, Slider) and control.playable):
            return widget
        play = widgets.Play(
            value=control.values.index(widget.value),
            min=0,
            max=len(control.values) - 1,
            interval=_PLAY_MS,
            repeat=True,
        )
        widgets.jslink((play, "value"), (widget, "index"))
        return widgets.HBox([play, widget])

    @property
    def state(self) -> dict[str, Any]:
        """What the controls say now."""
        return {name: widget.value for name, widget in self.controls.items()}

    def _moved(self, _: Any) -> None:
        scene = self.explorer.scene(**self.state)
        with self.figure.batch_update():
            for number, (_, mark) in enumerate(scene.marks):
                now, before = changing(mark), self._shown[number]
                new = {key: value for key, value in now.items() if value != before[key]}
                if new:
                    self._drawn[number].update({key.replace(".", "_"): each for key, each in new.items()})
                    self._shown[number] = now
        self.readout.value = readout_html(scene.readout)

    def _clicked(self, _: Any, points: Any, __: Any) -> None:
        clicks = self.explorer.clicks
        if clicks is None or not points.point_inds:
            return
        control = next(each for each in self.explorer.controls if each.name == clicks.control)
        if points.point_inds[0] < len(control.values):
            self.controls[control.name].value = control.values[points.point_inds[0]]


def display_explorer(explorer: Explorer, scene: Scene, state: Mapping[str, Any]) -> None:
    """Display the widgets together with the picture and the words that stand in for them without a kernel.

    Args:
        explorer: What to show.
        scene: In this state, for the picture.
        state: A value for each control.
    """
    bundle = LiveExplorer(explorer, state).box._repr_mimebundle_()
    data = bundle[0] if isinstance(bundle, tuple) else bundle
    data = {**data, "image/png": static_picture(explorer, scene), "text/plain": static_text(explorer, scene)}
    display(data, metadata={"image/png": {"alt": scene.alt}}, raw=True)
