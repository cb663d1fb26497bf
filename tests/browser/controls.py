"""An explorer on a page, moved as a reader moves it: with a kernel (JupyterLab, Voila) or offline.

Both forms have labelled controls, numbers in words and one figure. How long a move takes is measured by
the page itself: from the browser's event to the frame in which the figure and the numbers have changed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

READOUT = ".hemlets-readout"
PLOT = ".js-plotly-plot"
LONGEST_MS = 60_000  # for a change to arrive; far more than the time that is aimed at
QUIET_MS = 250  # without a change, and a page is taken to have come to rest

ROWS = "all => all.map(row => [...row.children].map(part => part.textContent.trim()))"
# What the figure shows, as text: its traces and the pictures beneath them.
SHOWN = """plot => JSON.stringify([plot.data, (plot.layout.images || []).map(image => image.source)],
  (key, value) => ArrayBuffer.isView(value) ? Array.from(value) : value)"""
# An event of the reader's begins a move. It ends after the frame in which all that is wanted has changed.
WATCH = """(plot, [numbers, root]) => {
  const readout = numbers.parentElement, watch = {moves: [], last: 0, wanted: []};
  const seen = kind => {
    const move = watch.moves.at(-1);
    watch.last = performance.now();
    if (!move || move[kind] !== undefined) return;
    move[kind] = watch.last - move.began;
    if (watch.wanted.some(each => move[each] === undefined)) return;
    requestAnimationFrame(() => setTimeout(() => { move.shown = performance.now() - move.began; }));
  };
  for (const event of ['plotly_afterplot', 'plotly_redraw', 'plotly_restyle', 'plotly_relayout'])
    plot.on(event, () => seen('plot'));
  new MutationObserver(() => seen('readout')).observe(
    readout, {childList: true, subtree: true, characterData: true, attributes: true});
  const begin = event => { watch.moves.push({began: event.timeStamp}); };
  root.addEventListener('keydown', begin, true);
  root.addEventListener('pointerdown', begin, true);
  plot.hemletsWatch = watch;
}"""
ENDED = "(plot, n) => plot.hemletsWatch.moves.length >= n && plot.hemletsWatch.moves[n - 1].shown"
MOVES = "plot => plot.hemletsWatch.moves"
RESTING = "([plot, since, ms]) => performance.now() - Math.max(plot.hemletsWatch.last, since) > ms"


@dataclass
class ExplorerPage:
    """One explorer on a page; the base of its two forms.

    Args:
        page: The browser's page.
        root: What holds the explorer's controls, numbers and figure.
    """

    page: Any
    root: Any

    def __post_init__(self) -> None:
        self.root.locator(f"{PLOT} .main-svg").first.wait_for()
        self.root.scroll_into_view_if_needed()
        self.plot = self.root.locator(PLOT).element_handle()
        numbers = self.root.locator(READOUT).element_handle()
        self.plot.evaluate(WATCH, [numbers, self.root.element_handle()])

    def readout(self) -> list[list[str]]:
        """The numbers in words, a [name, value] for each."""
        return self.root.locator(f"{READOUT} > *").evaluate_all(ROWS)

    def data(self) -> str:
        """What the figure shows, as JSON: [traces, addresses of pictures]."""
        return self.plot.evaluate(SHOWN)

    def traces(self) -> list[dict[str, Any]]:
        """The figure's traces, as plotly keeps them."""
        return json.loads(self.data())[0]

    def size(self) -> list[float]:
        """Of the figure's node on the page, provided that it still is the one it was at first."""
        same = self.plot.evaluate(f"plot => plot.isConnected && plot.matches('{PLOT}')")
        assert same, "the figure was replaced by another node"
        return self.plot.evaluate("plot => [plot.offsetWidth, plot.offsetHeight]")

    def rest(self) -> None:
        """Wait until nothing changes any more."""
        now = self.page.evaluate("performance.now()")
        self.page.wait_for_function(RESTING, arg=[self.plot, now, QUIET_MS], timeout=LONGEST_MS)

    def slider(self, label: str) -> Any:
        """What of the slider of this label takes the keyboard."""
        raise NotImplementedError

    def said(self, label: str) -> str:
        """The value that is printed beside a slider."""
        raise NotImplementedError

    def press(self, label: str, key: str, *, wanted: Sequence[str]) -> float | None:
        """Move a slider by keyboard, and wait for the effect.

        Args:
            label: Of the slider.
            key: Such as `ArrowRight`.
            wanted: What must change: `plot`, `readout`, both or neither.

        Returns:
            Milliseconds from the key to the frame with all of that; None where nothing changes.
        """
        handle = self.slider(label)
        handle.focus()
        number = len(self.plot.evaluate(MOVES)) + 1
        self.plot.evaluate("(plot, wanted) => { plot.hemletsWatch.wanted = wanted; }", list(wanted))
        handle.press(key)
        if wanted:
            self.page.wait_for_function(
                f"([plot, n]) => ({ENDED})(plot, n)", arg=[self.plot, number], timeout=LONGEST_MS
            )
        self.rest()
        return self.plot.evaluate(MOVES)[number - 1]["shown"] if wanted else None

    def drag(self, label: str, share: float) -> None:
        """Move a slider by mouse, and wait until its value has changed and the page is at rest.

        Args:
            label: Of the slider.
            share: Of its whole length, to the right where positive.
        """
        handle = self.slider(label)
        handle.scroll_into_view_if_needed()
        x, y = self.thumb(label)
        before = self.said(label)
        self.page.mouse.move(x, y)
        self.page.mouse.down()
        self.page.mouse.move(x + share * self.length(label), y, steps=5)
        self.page.mouse.up()
        until = time.monotonic() + LONGEST_MS / 1000
        while self.said(label) == before and time.monotonic() < until:
            self.page.wait_for_timeout(50)
        self.rest()

    def thumb(self, label: str) -> tuple[float, float]:
        """Where the mouse takes hold of a slider."""
        raise NotImplementedError

    def length(self, label: str) -> float:
        """Of a slider, pixels."""
        raise NotImplementedError

    def choose(self, label: str, text: str) -> None:
        """Choose from a list."""
        self.labelled(label).locator("select").select_option(text)

    def switch(self, label: str) -> None:
        """Click a check box."""
        self.labelled(label).locator("input[type=checkbox]").click()

    def wait_for_readout(self, rows: Sequence[Sequence[str]]) -> None:
        """Wait for these numbers, then until the page is at rest; the caller compares."""
        until = time.monotonic() + LONGEST_MS / 1000
        while self.readout() != [list(row) for row in rows] and time.monotonic() < until:
            self.page.wait_for_timeout(50)
        self.rest()

    def labelled(self, label: str) -> Any:
        """What holds a label and its control."""
        raise NotImplementedError


class LivePage(ExplorerPage):
    """With a kernel: ipywidgets."""

    @classmethod
    def titled(cls, page: Any, title: str) -> LivePage:
        """The explorer of this title among those on the page."""
        box = page.locator(".widget-vbox").filter(has=page.locator(READOUT)).filter(has_text=title)
        box.first.scroll_into_view_if_needed()
        return cls(page, box.first)

    def labelled(self, label: str) -> Any:
        exact = self.page.locator(f'.widget-label:text-is("{label}"), .widget-label-basic:text-is("{label}")')
        inner = self.page.locator(f'.widget-label-basic span:text-is("{label}")')
        return self.root.locator(".widget-inline-hbox").filter(has=exact.or_(inner)).first

    def slider(self, label: str) -> Any:
        return self.labelled(label).locator(".noUi-handle")

    def said(self, label: str) -> str:
        return self.labelled(label).locator(".widget-readout").text_content().strip()

    def thumb(self, label: str) -> tuple[float, float]:
        box = self.slider(label).bounding_box()
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def length(self, label: str) -> float:
        return self.labelled(label).locator(".noUi-base").bounding_box()["width"]


class OfflinePage(ExplorerPage):
    """Without: a form of the browser's own inputs."""

    @classmethod
    def whole(cls, page: Any) -> OfflinePage:
        """A page of `hemlets explorers export`, once it is ready."""
        page.locator("body[data-ready=yes]").wait_for()
        return cls(page, page.locator("main"))

    def labelled(self, label: str) -> Any:
        return self.root.locator("label").filter(has=self.page.locator(f'span:text-is("{label}")'))

    def slider(self, label: str) -> Any:
        return self.labelled(label).locator("input[type=range]")

    def said(self, label: str) -> str:
        return self.labelled(label).locator("output").text_content().strip()

    def thumb(self, label: str) -> tuple[float, float]:
        box = self.slider(label).bounding_box()
        share = self.slider(label).evaluate("e => (e.value - e.min) / (e.max - e.min)")
        margin = 8  # half of the thumb
        return box["x"] + margin + share * (box["width"] - 2 * margin), box["y"] + box["height"] / 2

    def length(self, label: str) -> float:
        return self.slider(label).bounding_box()["width"]
