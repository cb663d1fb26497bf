"""An explorer with a kernel: ipywidgets, and below them the scene that their values make."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any

import ipywidgets as widgets
from IPython.display import display

from hemlets_lib.explorers.scene import Choice, Control, Explorer, Scene, Slider, Toggle
from hemlets_lib.explorers.scene_widget import SceneWidget
from hemlets_lib.explorers.static import static_picture, static_text

__all__ = ["LiveExplorer", "display_explorer"]

_LABEL_WIDTH = "150px"
_PLAY_MS = 150  # between the values of a slider that plays


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
        view: The numbers and the figure.
        box: All of them, to display.
    """

    def __init__(self, explorer: Explorer, state: Mapping[str, Any]) -> None:
        self.explorer, scene = explorer, explorer.scene(**state)
        self.controls = {each.name: _widget(each, state[each.name]) for each in explorer.controls}
        self.view = SceneWidget(explorer, scene, self._clicked)
        for control in self.controls.values():
            control.observe(self._moved, names="value")
        self.box = widgets.VBox(
            [
                widgets.HTML(f"<b>{html.escape(explorer.title)}</b><br>{html.escape(explorer.tip)}"),
                widgets.Box(
                    [self._row(each) for each in explorer.controls],
                    layout=widgets.Layout(flex_flow="row wrap", width="940px"),
                ),
                self.view,
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
        self.view.show(self.explorer.scene(**self.state))

    def _clicked(self, mark: int, point: int) -> None:
        clicks = self.explorer.clicks
        if clicks is None or mark != clicks.mark:
            return
        control = next(each for each in self.explorer.controls if each.name == clicks.control)
        if point < len(control.values):
            self.controls[control.name].value = control.values[point]


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
