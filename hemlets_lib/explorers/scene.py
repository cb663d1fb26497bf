"""What an explorer shows, said once: controls, and a drawing that is a function of their values.

A drawing is a `Scene`: rows of panels holding marks (points, lines, maps, …) with plain numbers in them, and
a few lines of text. It knows nothing of plotly, matplotlib or HTML. The three forms of an explorer draw the
same scene: `live` (a kernel moves plotly's widget), `static` (a picture where there is no kernel) and
`offline` (a page with all states in it). So they cannot disagree about a number.

The panels and marks of an explorer are the same in all states, in number, kind and order; only numbers,
colours and texts change. That is what keeps a figure from jumping when a slider moves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from hemlets_lib.viz import CHARCOAL, as_array

__all__ = [
    "Bars",
    "Choice",
    "Clicks",
    "Control",
    "Dash",
    "Explorer",
    "Isosurface",
    "Lines",
    "Map",
    "Mark",
    "Panel",
    "Picture",
    "Points",
    "Scene",
    "Slider",
    "State",
    "Toggle",
]

Dash = Literal["solid", "dash", "dot"]
State = Mapping[str, Any]  # a value for every control, by name
GREY_LEVELS = (
    255  # maps and pictures have so many: a page holds them as bytes, and a widget need not have more
)


@dataclass(frozen=True)
class Slider:
    """One of some numbers in order, moved by mouse or arrow keys.

    Args:
        name: Of the value in a state.
        label: For the reader.
        values: What it can be, in order.
        start: What it is at first.
        unit: Printed behind the value.
        offline: What a page without a kernel offers; all where left out.
        playable: Has a button that runs through the values.
    """

    name: str
    label: str
    values: tuple[float, ...]
    start: float
    unit: str = ""
    offline: tuple[float, ...] = ()
    playable: bool = False

    def text(self, value: float) -> str:
        """A value as the reader sees it."""
        number = f"{value:g}".replace("-", "−")
        return f"{number}{self.unit if self.unit in ('°', '') else ' ' + self.unit}"


@dataclass(frozen=True)
class Choice:
    """One of some texts.

    Args:
        name, label, start, offline: As in `Slider`.
        values: What it can be.
    """

    name: str
    label: str
    values: tuple[str, ...]
    start: str
    offline: tuple[str, ...] = ()

    def text(self, value: str) -> str:
        return value


@dataclass(frozen=True)
class Toggle:
    """On or off. Arguments as in `Slider`."""

    name: str
    label: str
    start: bool
    values: tuple[bool, ...] = (False, True)
    offline: tuple[bool, ...] = ()

    def text(self, value: bool) -> str:
        return "on" if value else "off"


Control = Slider | Choice | Toggle


@dataclass(frozen=True, eq=False)
class Picture:
    """An image, its pixel centres on the integers.

    Args:
        pixels: (H, W, 3) bytes.
        corner: Where the first pixel's centre is; the same in all states.
    """

    pixels: UInt8[np.ndarray, "H W 3"]
    corner: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True, eq=False)
class Map:
    """A heatmap laid edge to edge over a picture, from transparent (0) to a colour (1).

    Args:
        values: In 0 … 1.
        colour: Where the map is 1.
        side: Of the square that it covers, in the panel's units; pixels over a picture.
    """

    values: Float[Tensor, "H W"] | np.ndarray
    colour: str
    side: float

    @property
    def levels(self) -> UInt8[np.ndarray, "H W"]:
        """The values in steps of 1/255."""
        return np.rint(np.clip(as_array(self.values), 0, 1) * GREY_LEVELS).astype(np.uint8)


@dataclass(frozen=True, eq=False)
class Lines:
    """A line through points of two or three dimensions; NaN lifts the pen.

    Args:
        points: (N, 2) or (N, 3), as the panel's axes.
        colour, width, dash: How it looks: `solid`, `dash` or `dot`.
        name: In the legend, where given.
        fill: Fills what the line encloses; only in two dimensions.
    """

    points: Float[np.ndarray, "N D"]
    colour: str = CHARCOAL
    width: float = 3
    dash: Dash = "solid"
    name: str = ""
    fill: bool = False


@dataclass(frozen=True, eq=False)
class Points:
    """Markers with or without words.

    Args:
        points: (N, 2) or (N, 3), as the panel's axes.
        colours: One for all, or one for each.
        symbols: The same: `circle`, `square`, `diamond`, `triangle-up`, `triangle-down`, `cross`, `x`, or
            for all of a mark `square-open`, a frame.
        size: Pixels.
        texts: Beside each marker.
        hover: What each says under the mouse.
        name: In the legend, where given.
        markers: False shows the texts alone.
    """

    points: Float[np.ndarray, "N D"]
    colours: str | Sequence[str] = CHARCOAL
    symbols: str | Sequence[str] = "circle"
    size: float = 8
    texts: Sequence[str] = ()
    hover: Sequence[str] = ()
    name: str = ""
    markers: bool = True


@dataclass(frozen=True, eq=False)
class Bars:
    """Bars standing on zero, or lying where `across`.

    Args:
        places: Where each stands: numbers, or names.
        heights: How high.
        colours: One for all, or one for each.
        across: Places run upwards, heights to the right.
    """

    places: Sequence[str] | Float[np.ndarray, "N"]
    heights: Float[np.ndarray, "N"]
    colours: str | Sequence[str] = CHARCOAL
    across: bool = False


@dataclass(frozen=True, eq=False)
class Isosurface:
    """Where a volume reaches a level.

    Args:
        values: (D, H, W) in 0 … 1.
        level: In 0 … 1.
        low, high: The volume's outer edges along the panel's (x, y, z) axes; D runs along y, H down z, W
            along x.
        colour: Of the surface.
    """

    values: Float[Tensor, "D H W"] | np.ndarray
    level: float
    low: tuple[float, float, float]
    high: tuple[float, float, float]
    colour: str

    @property
    def levels(self) -> UInt8[np.ndarray, "D H W"]:
        """The values in steps of 1/255."""
        return np.rint(np.clip(as_array(self.values), 0, 1) * GREY_LEVELS).astype(np.uint8)


Mark = Picture | Map | Lines | Points | Bars | Isosurface


@dataclass(frozen=True)
class Panel:
    """A part of a figure with axes of its own.

    Args:
        title: Above it; the same in all states.
        marks: What it holds, the lowest first.
        x, y, z: The axes' ends; `y` of an image runs downwards, (bottom, top). With `z` it is a space.
        labels: Of the axes; without, ticks are left out too.
        weight: Width, relative to the others in its row.
        square: A unit is as long along y as along x (in a space always).
        ticks: Names at places of the x axis: place → name.
        hint: What to do with it, behind the title wherever something can be done.
    """

    title: str
    marks: tuple[Mark, ...]
    x: tuple[float, float]
    y: tuple[float, float]
    z: tuple[float, float] | None = None
    labels: tuple[str, ...] = ()
    weight: float = 1
    square: bool = True
    ticks: Mapping[float, str] = field(default_factory=lambda: MappingProxyType({}))
    hint: str = ""


@dataclass(frozen=True)
class Scene:
    """What an explorer shows in one state.

    Args:
        rows: Panels from left to right, rows from top to bottom.
        readout: The numbers in words: (name, value) pairs, the same names in all states.
        alt: The whole in a sentence or two, for those who cannot see it.
    """

    rows: tuple[tuple[Panel, ...], ...]
    readout: tuple[tuple[str, str], ...]
    alt: str

    @property
    def panels(self) -> tuple[Panel, ...]:
        return tuple(panel for row in self.rows for panel in row)

    @property
    def marks(self) -> tuple[tuple[int, Mark], ...]:
        """Every mark with the number of its panel, in the order of drawing."""
        return tuple((number, mark) for number, panel in enumerate(self.panels) for mark in panel.marks)


@dataclass(frozen=True)
class Clicks:
    """Clicking the n-th point of a mark sets a control to its n-th value.

    Args:
        mark: The mark's number in `Scene.marks`.
        control: The control's name.
    """

    mark: int
    control: str


@dataclass(frozen=True)
class Explorer:
    """Controls and what they do.

    Args:
        name: Of its page, such as `triplet`.
        title: Above it.
        tip: What to try, in a sentence or two.
        controls: What the reader can move.
        draw: From a value for each control to what is shown; the same for the same values.
        row_heights: Of the scene's rows, pixels.
        clicks: What a click does, if anything.
    """

    name: str
    title: str
    tip: str
    controls: tuple[Control, ...]
    draw: Callable[[State], Scene]
    row_heights: tuple[int, ...]
    clicks: Clicks | None = None

    def __post_init__(self) -> None:
        for control in self.controls:
            for value in (control.start, *control.offline):
                if value not in control.values:
                    raise ValueError(
                        f"control {control.name!r} of explorer {self.name!r} starts at or offers {value!r}, "
                        f"which is not one of its {len(control.values)} values"
                    )

    @property
    def start(self) -> dict[str, Any]:
        """The state at first."""
        return {control.name: control.start for control in self.controls}

    def scene(self, **changed: Any) -> Scene:
        """What is shown at first, or with some controls changed.

        Raises:
            ValueError: If there is no such control, or it cannot have that value.
        """
        state = self.start
        known = {control.name: control for control in self.controls}
        for name, value in changed.items():
            if name not in known:
                raise ValueError(f"explorer {self.name!r} has controls {', '.join(known)}, not {name!r}")
            if value not in known[name].values:
                possible = ", ".join(map(str, known[name].values))
                raise ValueError(f"control {name!r} must be one of {possible}, got {value!r}")
            state[name] = value
        with torch.no_grad():
            return self.draw(MappingProxyType(state))

    def show(self, **changed: Any) -> None:
        """Display it in a notebook: controls and a figure with a kernel, a picture and its text without.

        Arguments and errors as in `scene`.
        """
        from hemlets_lib.explorers.live import display_explorer

        display_explorer(self, self.scene(**changed), {**self.start, **changed})
