"""Explorers: what holds for all of them, the framework's parts, and that their three forms say the same.

What each explorer computes is tested in `test_explorers_<name>.py`.
"""

from __future__ import annotations

import base64
import gzip
import itertools
import json
import re

import numpy as np
import pytest

from hemlets_lib.explorers import EXPLORERS
from hemlets_lib.explorers.drawing import readout_html
from hemlets_lib.explorers.live import LiveExplorer
from hemlets_lib.explorers.offline import MOST_BYTES, offline_page, offline_states, offline_values, write_page
from hemlets_lib.explorers.plotly_form import changing, figure_of
from hemlets_lib.explorers.scene import (
    Bars,
    Choice,
    Clicks,
    Explorer,
    Isosurface,
    Lines,
    Map,
    Panel,
    Picture,
    Points,
    Scene,
    Slider,
    Toggle,
)
from hemlets_lib.explorers.static import static_figure, static_picture, static_text

SETTLE = {Slider: 3, Choice: 3, Toggle: 2}  # values of a control that are tried


def toy(**options) -> Explorer:
    """All marks, two controls and a click; one panel of each kind."""

    def draw(state) -> Scene:
        size, shown = state["size"], state["shown"]
        volume = np.zeros((3, 4, 5))
        volume[1, 2, 3] = size / 3
        flat = Panel(
            "flat",
            (
                Picture(np.full((8, 8, 3), int(10 * size), np.uint8)),
                Map(np.eye(4) * size / 3, "#D55E00", 8),
                Points(np.array([[1.0, 2.0], [3.0, 4.0]]), texts=("a", "b"), hover=("first", "second")),
            ),
            (-0.5, 7.5),
            (7.5, -0.5),
        )
        chart = Panel(
            "chart",
            (Bars(("x", "y"), np.array([size, 1.0])), Lines(np.array([[0, 0], [np.nan, 1], [1, size]]))),
            (-1, 2), (0, 4), labels=("which", "how much"), square=False,
        )  # fmt: skip
        space = Panel(
            "space",
            (
                Isosurface(volume, 0.3, (0, 0, 0), (5, 3, 4), "#0072B2"),
                Lines(np.array([[0, 0, 0], [1, 2, size]]), name="line"),
            ),
            (0, 5), (0, 3), (0, 4), labels=("right", "away", "up"),
        )  # fmt: skip
        return Scene(
            ((flat, chart), (space,)), (("size", f"{size:g}"), ("shown", str(shown))), f"A toy of {size:g}."
        )

    controls = (
        Slider("size", "size", (0.0, 1.0, 2.0, 3.0), 1.0, "mm", offline=(1.0, 3.0)),
        Toggle("shown", "shown", True),
        Choice("what", "what", ("this", "that"), "this"),
    )
    given = {"clicks": Clicks(2, "what"), "controls": controls, **options}
    return Explorer("toy", "A <toy>", "Move it.", draw=draw, row_heights=(200, 200), **given)


@pytest.fixture(scope="module", params=EXPLORERS)
def explorer(request) -> Explorer:
    return EXPLORERS[request.param]()


def some_states(explorer: Explorer) -> list[dict]:
    """The start, and each control moved by itself."""
    states = [explorer.start]
    for control in explorer.controls:
        values = control.values
        step = max(1, len(values) // SETTLE[type(control)])
        states += [{**explorer.start, control.name: value} for value in {*values[::step], values[-1]}]
    return states


def test_the_structure_never_changes(explorer):
    def structure(scene):
        panels = [(p.title, p.x, p.y, p.z, p.labels, p.weight, dict(p.ticks)) for p in scene.panels]
        kinds = [
            (
                number,
                type(mark),
                getattr(mark, "name", None),
                getattr(mark, "markers", None),
                bool(len(getattr(mark, "texts", ()))),
            )
            for number, mark in scene.marks
        ]
        return panels, kinds, [name for name, _ in scene.readout]

    first = structure(explorer.scene())
    for state in some_states(explorer):
        now = structure(explorer.scene(**state))
        assert now[1:] == first[1:], state
        assert [panel[0] for panel in now[0]] == [panel[0] for panel in first[0]], state


def test_every_control_does_something(explorer):
    start = [changing(mark) for _, mark in explorer.scene().marks]
    for control in explorer.controls:
        others = [value for value in control.values if value != control.start]
        moved = (
            [changing(mark) for _, mark in explorer.scene(**{control.name: value}).marks] for value in others
        )
        assert any(now != start for now in moved), f"{control.name} changes nothing"


def test_the_same_state_is_the_same_scene(explorer):
    states = some_states(explorer)
    once = [json.dumps([changing(mark) for _, mark in explorer.scene(**state).marks]) for state in states]
    again = [
        json.dumps([changing(mark) for _, mark in explorer.scene(**state).marks])
        for state in reversed(states)
    ]
    assert once == again[::-1]


def test_all_is_json_without_nan(explorer):
    for state in some_states(explorer):
        json.dumps(figure_of(explorer, explorer.scene(**state)), allow_nan=False)


def test_words_for_those_who_cannot_see_it(explorer):
    scene = explorer.scene()
    assert len(scene.alt.split()) >= 10 and scene.alt.endswith(".")
    assert explorer.tip and all(value for _, value in scene.readout)
    assert scene.alt in static_text(explorer, scene)


def test_the_live_form_shows_the_scene(explorer, monkeypatch):
    """After every move the page holds what the scene says, though only differences were sent."""
    live = LiveExplorer(explorer, explorer.start)
    page, sent = Page(live), []
    monkeypatch.setattr(live.view, "send", lambda message: sent.append(json.loads(json.dumps(message))))
    for state in some_states(explorer):
        for name, value in state.items():
            live.controls[name].value = value
        while sent:
            page.follow(sent.pop(0))
        assert live.state == state
        for seen in (page, Page(live)):  # the page that was there from the start, and one loaded anew
            assert seen.shows(explorer.scene(**state)), state


class Page:
    """What a browser makes of the widget's state and messages."""

    def __init__(self, live: LiveExplorer) -> None:
        names = ("figure", "targets", "now")
        state = json.loads(json.dumps({name: getattr(live.view, name) for name in names}))
        self.explorer, self.targets, self.readout = live.explorer, state["targets"], state["now"]["readout"]
        self.drawn = {"data": state["figure"]["data"], "images": state["figure"]["layout"]["images"]}
        self.draw([(int(number), values) for number, values in state["now"]["moved"].items()])

    def follow(self, message: dict) -> None:
        self.readout = message["readout"]
        self.draw(message["changes"])

    def draw(self, changes) -> None:
        for number, values in changes:
            kind, place = self.targets[number]
            for name, value in values.items():
                *above, last = name.split(".")
                inner = self.drawn[kind][place]
                for step in above:
                    inner = inner[step]
                inner[last] = value

    def shows(self, scene: Scene) -> bool:
        figure = json.loads(json.dumps(figure_of(self.explorer, scene)))
        return self.readout == readout_html(scene.readout) and self.drawn == {
            "data": figure["data"],
            "images": figure["layout"]["images"],
        }


def test_the_static_form_is_a_picture(explorer):
    scene = explorer.scene()
    figure = static_figure(explorer, scene)
    titles = [axes.get_title() for part in figure.subfigs for axes in part.axes]
    assert titles == [panel.title for panel in scene.panels]
    assert not any(word in title for title in titles for word in ("click", "drag", "mouse"))  # nothing moves
    assert static_picture(explorer, scene).startswith(b"\x89PNG")


def test_hints_stand_where_something_can_be_done(explorer):
    scene = explorer.scene()
    texts = [each["text"] for each in figure_of(explorer, scene)["layout"]["annotations"]]
    assert {panel.title + panel.hint for panel in scene.panels} <= set(texts)
    assert bool(explorer.clicks) == any("click" in panel.hint for panel in scene.panels)


def test_a_page_offers_its_start(explorer):
    for control in explorer.controls:
        assert control.start in offline_values(control)


# The framework, on the toy.


def test_offline_states_are_those_of_the_scene():
    explorer = toy()
    book = offline_states(explorer)
    assert [control["texts"] for control in book["controls"]] == [
        ["1 mm", "3 mm"],
        ["off", "on"],
        ["this", "that"],
    ]
    assert [control["start"] for control in book["controls"]] == [0, 1, 0]
    combinations = list(itertools.product((1.0, 3.0), (False, True), ("this", "that")))
    assert len(book["states"]) == len(combinations)
    for row, values in zip(book["states"], combinations, strict=True):
        scene = explorer.scene(**dict(zip(("size", "shown", "what"), values, strict=True)))
        expected = [changing(mark) for _, mark in scene.marks] + [readout_html(scene.readout), scene.alt]
        assert [book["pool"][place] for place in row] == json.loads(json.dumps(expected))


def test_equal_marks_are_stored_once():
    book = offline_states(toy())
    # Six marks follow the size, one does not; there are four readouts and two descriptions.
    assert len(book["pool"]) == 6 * 2 + 1 + 4 + 2


def test_the_page_holds_its_states(tmp_path):
    page = write_page(toy(), tmp_path / "new").read_text(encoding="utf-8")
    packed = re.search(r'<script type="text/plain" id="states">(.*?)</script>', page)[1]
    assert json.loads(gzip.decompress(base64.b64decode(packed))) == json.loads(
        json.dumps(offline_states(toy()))
    )
    assert "A &lt;toy&gt;" in page and 'aria-label="A toy of 1."' in page
    assert len(page) < MOST_BYTES
    beyond_plotly = page.replace(page[page.index("plotly.js v") : page.rindex("<script>")], "")
    assert not re.findall(r'(?:src|href)="(?!data:)', beyond_plotly)


def test_the_page_is_the_same_every_time():
    assert offline_page(toy()) == offline_page(toy())


def test_too_many_states():
    endless = tuple(Slider(f"s{n}", "s", tuple(map(float, range(30))), 0.0) for n in range(4))
    with pytest.raises(ValueError, match=r"'toy' would have 810000 states in a page, expected 40000 at most"):
        offline_states(toy(controls=endless))


def test_maps_and_volumes_travel_as_bytes():
    ramp = np.linspace(-0.2, 1.2, 8).reshape(2, 4)
    mark = Map(ramp, "#000000", 4)
    assert mark.levels.dtype == np.uint8
    np.testing.assert_allclose(mark.levels / 255, ramp.clip(0, 1), atol=0.5 / 255)
    sent = changing(mark)["z"]
    assert sent["shape"] == "2, 4" and base64.b64decode(sent["bdata"]) == mark.levels.tobytes()


def test_a_pen_is_lifted_by_none():
    assert changing(Lines(np.array([[0, 1.23456], [np.nan, 2]])))["x"] == [0.0, None]
    assert changing(Lines(np.array([[0, 1.23456], [np.nan, 2]])))["y"] == [1.235, 2.0]


def test_a_map_covers_its_picture_edge_to_edge():
    figure = figure_of(toy(), toy().scene())
    heatmap = next(trace for trace in figure["data"] if trace["type"] == "heatmap")
    first_edge = heatmap["x0"] - heatmap["dx"] / 2
    assert (first_edge, first_edge + 4 * heatmap["dx"]) == (-0.5, 7.5)


def test_a_volume_lies_as_its_axes_say():
    figure = figure_of(toy(), toy().scene())
    surface = next(trace for trace in figure["data"] if trace["type"] == "isosurface")
    values = np.frombuffer(base64.b64decode(surface["value"]["bdata"]), np.uint8)
    peak = int(values.argmax())  # of [1, 2, 3] in (D, H, W) = (3, 4, 5): away, down, right
    assert [surface[letter][peak] for letter in "xyz"] == [3.5, 1.5, 1.5]


def test_a_click_sets_its_control():
    live = LiveExplorer(toy(), toy().start)
    answer = live.view._handle_custom_msg
    answer({"trace": 0, "point": 1}, [])  # another trace
    assert live.state["what"] == "this"
    answer({"trace": 1, "point": 1}, [])  # the points: the second trace, since a picture is none
    assert live.state["what"] == "that"
    answer({"trace": 1, "point": 7}, [])  # no such value
    assert live.state["what"] == "that"


def test_show_displays_widget_picture_and_words(monkeypatch):
    shown = []
    monkeypatch.setattr("hemlets_lib.explorers.live.display", lambda data, **rest: shown.append((data, rest)))
    toy().show(size=3.0)
    ((data, rest),) = shown
    assert {"application/vnd.jupyter.widget-view+json", "image/png", "text/plain"} <= set(data)
    assert rest["metadata"] == {"image/png": {"alt": "A toy of 3."}}
    assert "size: 3" in data["text/plain"]


def test_errors_name_the_control():
    with pytest.raises(ValueError, match=r"explorer 'toy' has controls size, shown, what, not 'sise'"):
        toy().scene(sise=1.0)
    with pytest.raises(ValueError, match=r"control 'size' must be one of 0\.0, 1\.0, 2\.0, 3\.0, got 1\.5"):
        toy().scene(size=1.5)
    with pytest.raises(ValueError, match=r"control 'a' of explorer 'toy' starts at or offers 5\.0"):
        toy(controls=(Slider("a", "a", (1.0, 2.0), 5.0),))


@pytest.mark.parametrize(
    ("control", "value", "text"),
    [
        (Slider("a", "a", (-30.0,), -30.0, "°"), -30.0, "−30°"),
        (Slider("a", "a", (0.25,), 0.25), 0.25, "0.25"),
        (Slider("a", "a", (120.0,), 120.0, "mm"), 120.0, "120 mm"),
        (Toggle("a", "a", True), True, "on"),
    ],
)
def test_values_in_words(control, value, text):
    assert control.text(value) == text


def test_readouts_are_escaped():
    assert "<b>&lt;3&gt;</b>" in readout_html((("a", "<3>"),))
