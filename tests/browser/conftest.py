"""What the browser tests share: a headless Chromium, and a record of what went wrong on a page.

The tests drive Debian's (or anybody's) Chromium through playwright; nothing is downloaded. Pictures for a
person to look at are left in `runs/browser/`.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

from browser.lab import REPOSITORY, LabServer, jupyter_lab
from hemlets_lib.doctor import BROWSERS, find_browser

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page, Request, Route

REQUIRED = "HEMLETS_REQUIRE_BROWSER"
ARGUMENTS = (
    "--no-sandbox",  # containers run as root
    "--disable-dev-shm-usage",  # and have a small /dev/shm
    "--use-angle=swiftshader",  # WebGL without a GPU
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
)


def unavailable(reason: str) -> NoReturn:
    """Skip, or fail where a browser is required."""
    if os.environ.get(REQUIRED) == "1":
        pytest.fail(f"{reason} ({REQUIRED}=1: browser tests must not be skipped)", pytrace=False)
    pytest.skip(reason)


@dataclass
class Faults:
    """What a page did that it should not have.

    Args:
        console: JavaScript errors, in the words of the browser's console.
        outside: Addresses it asked for that it was not allowed to; they were refused.
    """

    console: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)

    def watch(self, page: Page, allowed: str) -> None:
        """Record errors of `page`, and refuse every request that does not start with `allowed`."""

        def guard(route: Route, request: Request) -> None:
            if request.url.startswith(allowed):
                route.continue_()
            else:
                self.outside.append(request.url)
                route.abort()

        def listen(message: ConsoleMessage) -> None:
            if message.type == "error":
                self.console.append(f"{message.text} [{message.location.get('url', '')}]")

        page.route("**/*", guard)
        page.on("console", listen)
        page.on("pageerror", lambda error: self.console.append(f"uncaught: {error}"))


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A browser for one test file: while it runs, the main thread cannot run an event loop of its own."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        unavailable("playwright is not installed: pip install 'hemlets[test]'")
    with sync_playwright() as playwright:
        executable = find_browser() or playwright.chromium.executable_path
        if not Path(executable).is_file():
            unavailable(f"no Chromium (looked for {', '.join(BROWSERS)}), e.g. apt-get install chromium")
        browser = playwright.chromium.launch(executable_path=executable, args=list(ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture
def no_faults() -> Callable[[Faults], None]:
    """A check that a page was quiet and kept to itself."""

    def check(faults: Faults) -> None:
        assert not faults.outside, "the page asked for addresses elsewhere:\n" + "\n".join(faults.outside)
        assert not faults.console, "errors in the browser's console:\n" + "\n".join(faults.console)

    return check


@pytest.fixture(scope="module")
def new_faults() -> Callable[[], Faults]:
    return Faults


@pytest.fixture(scope="package")
def pictures() -> Path:
    """Where screenshots are kept, for a person to look at."""
    folder = REPOSITORY / "runs" / "browser"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="package")
def lab_server(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabServer]:
    """One JupyterLab for all files of this folder, on a copy of the notebooks."""
    assert importlib.util.find_spec("jupyterlab"), "JupyterLab is missing: pip install 'hemlets[notebooks]'"
    with jupyter_lab(tmp_path_factory.mktemp("lab"), pictures) as server:
        yield server
