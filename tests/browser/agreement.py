"""What an explorer's page shows, held against what the library says for the same values of the controls."""

from __future__ import annotations

import base64
import json
import math
import os
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from browser.controls import ExplorerPage
from hemlets_lib.explorers.plotly_form import changing, targets
from hemlets_lib.explorers.scene import Choice, Control, Explorer, Scene, Slider, Toggle
from hemlets_lib.results import provenance, read_json, write_json

MOVES = 4  # of each slider
SANE_MS = 2000  # on any machine that is not overloaded; what is aimed at is measured, not asserted
OVERLOADED = 2.0  # runnable processes for each core
LATENCY = "latency.json"


def differing(now: Scene, before: Scene) -> tuple[str, ...]:
    """Which of `plot` and `readout` two states show differently."""
    marks = ([changing(mark) for _, mark in scene.marks] for scene in (now, before))
    parts = {"plot": next(marks) != next(marks), "readout": now.readout != before.readout}
    return tuple(part for part, differs in parts.items() if differs)


def plain(value: Any) -> Any:
    """A trace's value as lists, its bytes read and a matrix made flat."""
    if isinstance(value, dict) and "bdata" in value:
        return np.frombuffer(base64.b64decode(value["bdata"]), np.dtype(value["dtype"])).tolist()
    if isinstance(value, list) and value and isinstance(value[0], list):
        return [each for row in value for each in row]
    return value


def _same(shown: Any, said: Any) -> bool:
    if isinstance(shown, list) and isinstance(said, list):
        return len(shown) == len(said) and all(map(_same, shown, said))
    if isinstance(shown, float | int) and isinstance(said, float | int):
        return math.isclose(shown, said, rel_tol=1e-6, abs_tol=1e-6)
    return shown == said or (not shown and not said)


def assert_shows(page: ExplorerPage, scene: Scene, where: str) -> None:
    """The page shows this scene: its numbers, and every mark's place, colour and words."""
    rows = page.readout()
    unlike = [(shown, said) for shown, said in zip(rows, scene.readout, strict=True) if shown != list(said)]
    assert not unlike, f"{where}: the page says {unlike[0][0]}, the library {unlike[0][1]}"
    traces, pictures = json.loads(page.data())
    for (kind, at), (_, mark) in zip(targets(scene), scene.marks, strict=True):
        for name, said in changing(mark).items():
            shown: Any = pictures[at] if kind == "images" else traces[at]
            for step in () if kind == "images" else name.split("."):
                shown = shown.get(step)
            assert _same(plain(shown), plain(said)), (
                f"{where}: `{name}` of {kind} {at}, {type(mark).__name__}"
            )


@dataclass
class Walk:
    """A walk through an explorer's states, on a page, each compared with the library's.

    Args:
        page: Where.
        explorer: Which.
        offered: The values of a control that the page has.
        moves_ms: How long each move by keyboard took, by the slider's name.
    """

    page: ExplorerPage
    explorer: Explorer
    offered: Callable[[Control], Sequence[Any]]
    moves_ms: dict[str, list[float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.state = dict(self.explorer.start)
        self.scene = self.explorer.scene()

    def compare(self) -> None:
        """The page shows what the library says for the state of this walk."""
        assert_shows(self.page, self.scene, f"explorer {self.explorer.name!r} at {self.state}")

    def to(self, control: Control, value: Any) -> tuple[str, ...]:
        """Note a new value; returns what must change on the page."""
        before, self.state[control.name] = self.scene, value
        self.scene = self.explorer.scene(**self.state)
        return differing(self.scene, before)

    def everywhere(self) -> None:
        """Every slider, then every list and box: a box may put a slider out of action."""
        for control in sorted(self.explorer.controls, key=lambda each: not isinstance(each, Slider)):
            (self.slide if isinstance(control, Slider) else self.turn)(control)

    def slide(self, control: Slider) -> None:
        """Move a slider by arrow keys, to the side with more room."""
        values = self.offered(control)
        at = values.index(self.state[control.name])
        step, key = (1, "ArrowRight") if 2 * at < len(values) else (-1, "ArrowLeft")
        for _ in range(MOVES):
            at += step
            if not 0 <= at < len(values):
                break
            wanted = self.to(control, values[at])
            spent = self.page.press(control.label, key, wanted=wanted)
            if spent is not None:
                self.moves_ms.setdefault(control.name, []).append(spent)
            assert self.page.said(control.label) == control.text(values[at])
        self.compare()

    def turn(self, control: Choice | Toggle) -> None:
        """Choose the next of a list, or click a box."""
        values = self.offered(control)
        value = values[(values.index(self.state[control.name]) + 1) % len(values)]
        self.to(control, value)
        if isinstance(control, Toggle):
            self.page.switch(control.label)
        else:
            self.page.choose(control.label, value)
        self.page.wait_for_readout(self.scene.readout)
        self.compare()


def record_latency(folder: Path, walk: Walk, *, form: str, browser: str) -> None:
    """Keep how long the moves of a walk took, in `latency.json`; and that none took absurdly long.

    Args:
        folder: Of the file, which holds every explorer's.
        walk: With its moves.
        form: `JupyterLab`, `offline page` or `Voila`.
        browser: Its version.
    """
    cores, load = os.cpu_count() or 1, os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    file = folder / LATENCY
    rows = read_json(file)["moves"] if file.is_file() else {}
    for control in walk.explorer.controls:
        if not (spent := walk.moves_ms.get(control.name)):
            continue
        rows[f"{walk.explorer.name}, {control.label}, {form}"] = {
            "explorer": walk.explorer.name,
            "label": control.label,
            "form": form,
            "moves": len(spent),
            "median_ms": round(statistics.median(spent), 1),
            "max_ms": round(max(spent), 1),
            "load": round(load, 1),
        }
    write_json(file, {"browser": browser, "moves": rows, **provenance(Path(__file__).parent)})
    slow = {name: spent for name, spent in walk.moves_ms.items() if statistics.median(spent) > SANE_MS}
    assert not slow or load > OVERLOADED * cores, f"moves of {walk.explorer.name!r} took, ms: {slow}"
