"""A real JupyterLab for the browser tests: its own server, and notebooks opened as a reader does."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

REPOSITORY = Path(__file__).resolve().parents[2]
PATIENCE_S = 180  # for each of: the server, the kernel, all cells; two busy cores take half of it
SETTINGS = {  # by plugin
    "apputils-extension/notification": {
        "fetchNews": "false",
        "checkForUpdates": False,
    },  # no pop-up in a corner
}

KERNEL_READY = """() => {
  const context = window.jupyterapp?.shell?.currentWidget?.sessionContext;
  const kernel = context?.session?.kernel;
  return Boolean(context?.isReady && kernel?.connectionStatus === 'connected' && kernel.status === 'idle');
}"""
PROMPTS = "[...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')].map(e => e.textContent.trim())"
SCROLLER = ".jp-NotebookPanel-notebook .jp-WindowedPanel-outer"
PLOT = ".jp-OutputArea-output .js-plotly-plot"
PICTURES = ".jp-OutputArea-output img"
STILL_FOR = 50  # looks at a plot that does not come to rest


def settled(page: Any, element: Any, file: Path) -> np.ndarray:
    """An element's picture (H, W, 3) once it stands still, the mouse being elsewhere; also kept as a file."""
    page.mouse.move(3, 3)  # the tool bar and labels that follow the mouse disappear
    element.scroll_into_view_if_needed()
    before = b""
    for _ in range(STILL_FOR):
        now = element.screenshot()
        if now == before:
            break
        before = now
        page.wait_for_timeout(200)
    file.write_bytes(now)
    return np.asarray(Image.open(io.BytesIO(now)).convert("RGB")).astype(int)


@dataclass
class Lab:
    """A notebook open in JupyterLab.

    Args:
        page: The browser's page.
        faults: What went wrong on it.
        notebook: The file that is open, a copy.
        pictures: Folder for screenshots.
    """

    page: Any
    faults: Any
    notebook: Path
    pictures: Path

    def wait(self, what: str, ready: Callable[[], bool]) -> None:
        """Poll until `ready`, or give up."""
        until = time.monotonic() + PATIENCE_S
        while not ready():
            if time.monotonic() > until:
                raise TimeoutError(f"{what}: not within {PATIENCE_S} s")
            self.page.wait_for_timeout(200)

    def run_all(self, look: Callable[[], None] = lambda: None) -> None:
        """Run → Run All Cells, as a reader does, and wait for the last cell; `look` on while they run."""
        self.wait("kernel ready", lambda: self.page.evaluate(KERNEL_READY))
        self.page.get_by_role("menuitem", name="Run", exact=True).click()
        self.page.get_by_role("menuitem", name="Run All Cells", exact=True).click()

        def done() -> bool:  # a cell that fails leaves the cells after it without a number
            look()
            prompts = " ".join(self.page.evaluate(PROMPTS))
            begun = re.search(r"\d", prompts) and "*" not in prompts
            return bool(begun and self.page.evaluate(KERNEL_READY))

        self.wait("all cells run, kernel idle", done)

    def command(self, name: str, **arguments: Any) -> None:
        """One of JupyterLab's commands, by its name."""
        call = "([name, args]) => window.jupyterapp.commands.execute(name, args).then(() => null)"
        self.page.evaluate(call, [name, arguments])

    def saved(self) -> list[dict[str, Any]]:
        """Save the notebook and read the file: the code cells that a reader would keep."""
        self.command("docmanager:save")
        cells = json.loads(self.notebook.read_text(encoding="utf-8"))["cells"]
        return [cell for cell in cells if cell["cell_type"] == "code"]

    def check_cells(self) -> None:
        """Every cell has run, without an error and without a word on stderr."""
        for number, cell in enumerate(self.saved(), start=1):
            source = "".join(cell["source"])
            where = f"code cell {number} of {self.notebook.name}, see {self.pictures}/:\n{source}\n"
            for output in cell["outputs"]:
                assert output["output_type"] != "error", where + "\n".join(output["traceback"])
                assert output.get("name") != "stderr", where + "".join(output["text"])
            assert cell["execution_count"] is not None, where + "was not run"

    def photograph(self, name: str) -> None:
        """Screenshots `{name}_00.png`, … of the whole notebook, a screenful each."""
        for old in self.pictures.glob(f"{name}_[0-9][0-9].png"):
            old.unlink()
        scroller = self.page.locator(SCROLLER)
        for number in range(40):
            step = "(e, n) => { e.scrollTop = 0.94 * n * e.clientHeight; }"
            scroller.evaluate(step, number)
            self.page.wait_for_timeout(150)
            self.page.screenshot(path=self.pictures / f"{name}_{number:02d}.png")
            if scroller.evaluate("e => e.scrollTop + e.clientHeight >= e.scrollHeight - 1"):
                break

    def plot(self) -> Any:
        """The first plot, in view."""
        found = self.page.locator(PLOT).first
        found.scroll_into_view_if_needed()
        return found

    def settled(self, name: str) -> np.ndarray:
        """The first plot's picture once it stands still, kept as `{name}.png`."""
        return settled(self.page, self.plot(), self.pictures / f"{name}.png")


@dataclass(frozen=True)
class LabServer:
    """A JupyterLab that runs.

    Args:
        address: Ends in "/".
        token: Lets a visitor in.
        folder: With the notebooks that it serves.
        log: What the server says.
        pictures: Folder for screenshots.
    """

    address: str
    token: str
    folder: Path
    log: Path
    pictures: Path

    @contextlib.contextmanager
    def open(self, browser: Any, faults: Any, notebook: str) -> Iterator[Lab]:
        """A notebook in a window of its own; its kernel ends with it.

        Args:
            browser: Playwright's.
            faults: Is told what goes wrong; every request to elsewhere is refused.
            notebook: File in the served folder.
        """
        context = browser.new_context(viewport={"width": 1400, "height": 950})
        context.set_default_timeout(1000 * PATIENCE_S)
        page = context.new_page()
        faults.watch(page, allowed=self.address)
        workspace = re.sub(r"\W", "-", notebook)
        try:
            page.goto(f"{self.address}lab/workspaces/{workspace}/tree/{notebook}?token={self.token}")
            yield Lab(page, faults, self.folder / notebook, self.pictures)
        except BaseException as error:
            page.screenshot(path=self.pictures / "lab_stuck.png")
            tail = "\n".join(self.log.read_text(encoding="utf-8").splitlines()[-15:])
            error.add_note(f"See {self.pictures / 'lab_stuck.png'}. The server's last words:\n{tail}")
            raise
        finally:
            with contextlib.suppress(Exception):  # the page may be what failed
                page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")
            context.close()


@contextlib.contextmanager
def jupyter_lab(folder: Path, pictures: Path) -> Iterator[LabServer]:
    """A JupyterLab with settings of its own on a copy of the notebooks; its processes end with it.

    Args:
        folder: Empty; for all that the server writes.
        pictures: Folder for screenshots.
    """
    notebooks, runtime, settings = folder / "notebooks", folder / "runtime", folder / "settings"
    shutil.copytree(REPOSITORY / "notebooks", notebooks, ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
    for plugin, values in SETTINGS.items():
        file = settings / "@jupyterlab" / f"{plugin}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values), encoding="utf-8")
    environment = {
        "HEMLETS_DATA": str(REPOSITORY / "data_samples"),
        "JUPYTERLAB_SETTINGS_DIR": str(settings),
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
    }
    options = [
        "--no-browser",
        "--ServerApp.ip=127.0.0.1",
        "--ServerApp.port=0",  # the system chooses a free one
        "--ServerApp.allow_root=True",
        f"--ServerApp.root_dir={notebooks}",
        f"--IdentityProvider.token={secrets.token_hex(16)}",
        "--LabApp.expose_app_in_browser=True",  # to ask for the kernel's state
    ]
    log = folder / "server.log"
    with running([sys.executable, "-m", "jupyterlab", *options], folder, environment, log) as server:
        until = time.monotonic() + PATIENCE_S
        while not (records := list(runtime.glob("jpserver-*.json"))):  # written once it listens
            if server.poll() is not None or time.monotonic() > until:
                pytest.fail(f"JupyterLab did not start:\n{log.read_text(encoding='utf-8')[-3000:]}")
            time.sleep(0.1)
        time.sleep(0.1)  # the record is short; it is whole by now
        record = json.loads(records[0].read_text(encoding="utf-8"))
        address = f"http://127.0.0.1:{record['port']}/"
        yield LabServer(address, record["token"], notebooks, log, pictures)


@contextlib.contextmanager
def running(
    command: list[str], folder: Path, environment: dict[str, str], log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """A server of Jupyter's with nothing of the user's settings; it and all of its kernels end with it.

    Args:
        command: To run.
        folder: For what Jupyter and its kernels write beside notebooks; also where the command runs.
        environment: Added to ours.
        log: For all that it says.
    """
    import psutil

    own = {
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTER_DATA_DIR": str(folder / "data"),
        "IPYTHONDIR": str(folder / "ipython"),
    }
    with log.open("w", encoding="utf-8") as stream:
        server = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **own, **environment},
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield server
    finally:
        everyone = []
        with contextlib.suppress(psutil.NoSuchProcess):
            everyone = psutil.Process(server.pid).children(recursive=True)  # kernels lead their own groups
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(15)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()
        for process in psutil.wait_procs(everyone, timeout=5)[1]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
