"""The quickstart in a real JupyterLab: run all cells, and turn the 3D pose with the mouse. And a run, live.

One server and one browser serve all tests of this file; they only read the page, apart from the mouse.
"""

from __future__ import annotations

import contextlib
import importlib.util
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

from hemlets_lib.skeleton import HEMLETS18
from hemlets_lib.viz import VERMILLION

pytestmark = pytest.mark.browser

REPOSITORY = Path(__file__).resolve().parents[2]
NOTEBOOK = "00_quickstart.ipynb"
LEAST_PICTURES = 4  # the quickstart's figures, besides the widget
LEGEND_FROM = 0.85  # of the widget's height
PATIENCE_S = 180  # for each of: the server, the kernel, all cells; two busy cores take half of it
SETTINGS = {"fetchNews": "false", "checkForUpdates": False}  # else a pop-up covers a corner of the page

KERNEL_READY = """() => {
  const context = window.jupyterapp?.shell?.currentWidget?.sessionContext;
  const kernel = context?.session?.kernel;
  return Boolean(context?.isReady && kernel?.connectionStatus === 'connected' && kernel.status === 'idle');
}"""
PROMPTS = "[...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')].map(e => e.textContent.trim())"
SCROLLER = ".jp-NotebookPanel-notebook .jp-WindowedPanel-outer"
WIDGET = ".jp-OutputArea-output .js-plotly-plot"
PICTURES = ".jp-OutputArea-output img"
TRAINING = """
import dataclasses, tempfile
from hemlets_lib.data.mixing import Mixture
from hemlets_lib.data.samples import load_samples
from hemlets_lib.recipes import RECIPES
from hemlets_lib.train import train
from hemlets_lib.viz_training import NotebookWatcher

samples = load_samples(size=96)[:12]
config = dataclasses.replace(
    RECIPES["nano"], steps=9, batch_size=4, warmup_steps=3, log_every=1, validate_every=3, save_every=9
)
watcher = NotebookWatcher(samples[:3], every_s=0)
with tempfile.TemporaryDirectory() as out:
    train(config, Mixture([samples]), out, validation=samples[:3], watchers=[watcher], device="cpu")
"""
CAMERA = "e => JSON.stringify(e._fullLayout.scene._scene.getCamera().eye)"


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

    def saved(self) -> list[dict[str, Any]]:
        """Save the notebook and read the file: the code cells that a reader would keep."""
        self.page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save').then(() => null)")
        cells = json.loads(self.notebook.read_text(encoding="utf-8"))["cells"]
        return [cell for cell in cells if cell["cell_type"] == "code"]

    def photograph(self) -> None:
        """Screenshots of the whole notebook, a screenful each."""
        for old in self.pictures.glob("lab_[0-9]*.png"):
            old.unlink()
        scroller = self.page.locator(SCROLLER)
        for number in range(30):
            step = "(e, n) => { e.scrollTop = 0.94 * n * e.clientHeight; }"
            scroller.evaluate(step, number)
            self.page.wait_for_timeout(150)
            self.page.screenshot(path=self.pictures / f"lab_{number:02d}.png")
            if scroller.evaluate("e => e.scrollTop + e.clientHeight >= e.scrollHeight - 1"):
                break

    def widget(self) -> Any:
        """The first 3D plot, in view."""
        found = self.page.locator(WIDGET).first
        found.scroll_into_view_if_needed()
        return found

    def settled(self, name: str) -> np.ndarray:
        """The widget's picture once it stands still, the mouse being elsewhere; also kept as a file."""
        self.page.mouse.move(3, 3)  # the tool bar and labels that follow the mouse disappear
        before = b""
        for _ in range(50):
            now = self.widget().screenshot()
            if now == before:
                break
            before = now
            self.page.wait_for_timeout(200)
        (self.pictures / f"{name}.png").write_bytes(now)
        return np.asarray(Image.open(io.BytesIO(now)).convert("RGB")).astype(int)


@contextlib.contextmanager
def jupyter_lab(folder: Path) -> Iterator[tuple[str, Path, Path]]:
    """A JupyterLab with settings of its own on a copy of the notebooks; its processes end with it.

    Yields:
        The address (ends in "/"), the folder that is served, and the log.
    """
    import psutil

    notebooks, runtime, settings = folder / "notebooks", folder / "runtime", folder / "settings"
    shutil.copytree(REPOSITORY / "notebooks", notebooks, ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
    notification = settings / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    notification.parent.mkdir(parents=True)
    notification.write_text(json.dumps(SETTINGS), encoding="utf-8")
    environment = {
        **os.environ,
        "HEMLETS_DATA": str(REPOSITORY / "data_samples"),
        "JUPYTER_RUNTIME_DIR": str(runtime),
        "JUPYTERLAB_SETTINGS_DIR": str(settings),
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTER_DATA_DIR": str(folder / "data"),
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
        "IPYTHONDIR": str(folder / "ipython"),
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
    with log.open("w", encoding="utf-8") as stream:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *options],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        until = time.monotonic() + PATIENCE_S
        while not (records := list(runtime.glob("jpserver-*.json"))):  # written once it listens
            if server.poll() is not None or time.monotonic() > until:
                pytest.fail(f"JupyterLab did not start:\n{log.read_text(encoding='utf-8')[-3000:]}")
            time.sleep(0.1)
        time.sleep(0.1)  # the record is short; it is whole by now
        record = json.loads(records[0].read_text(encoding="utf-8"))
        yield f"http://127.0.0.1:{record['port']}/?token={record['token']}", notebooks, log
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


@pytest.fixture(scope="module")
def lab(chromium, new_faults, pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """The quickstart after Run All."""
    assert importlib.util.find_spec("jupyterlab"), "JupyterLab is missing: pip install 'hemlets[notebooks]'"
    with jupyter_lab(tmp_path_factory.mktemp("lab")) as (address, notebooks, log):
        server, token = address.split("?")
        context = chromium.new_context(viewport={"width": 1400, "height": 950})
        context.set_default_timeout(1000 * PATIENCE_S)
        page = context.new_page()
        faults = new_faults()
        faults.watch(page, allowed=server)
        opened = Lab(page, faults, notebooks / NOTEBOOK, pictures)
        try:
            page.goto(f"{server}lab/tree/{NOTEBOOK}?{token}")
            opened.run_all()
            opened.photograph()
        except BaseException as error:
            page.screenshot(path=pictures / "lab_stuck.png")
            tail = "\n".join(log.read_text(encoding="utf-8").splitlines()[-15:])
            error.add_note(f"See {pictures / 'lab_stuck.png'}. The server's last words:\n{tail}")
            raise
        yield opened
        context.close()


def test_every_cell_runs(lab: Lab) -> None:
    for number, cell in enumerate(lab.saved(), start=1):
        source = "".join(cell["source"])
        where = f"code cell {number} of {NOTEBOOK}, see {lab.pictures}/lab_*.png:\n{source}\n"
        for output in cell["outputs"]:
            assert output["output_type"] != "error", where + "\n".join(output["traceback"])
            assert output.get("name") != "stderr", where + "".join(output["text"])
        assert cell["execution_count"] is not None, where + "was not run"


def test_the_page_is_quiet(lab: Lab, no_faults) -> None:
    no_faults(lab.faults)


def test_pictures_are_there_and_described(lab: Lab) -> None:
    widths = lab.page.locator(PICTURES).evaluate_all("all => all.map(e => e.naturalWidth)")
    assert len(widths) >= LEAST_PICTURES and min(widths) > 0, f"pictures of these widths: {widths}"
    # JupyterLab drops the description when it draws the picture, so it is looked for where readers of the
    # saved notebook find it; test_pages.py looks at what they see.
    for cell in lab.saved():
        for output in cell["outputs"]:
            if "image/png" in output.get("data", {}):
                alt = output["metadata"].get("image/png", {}).get("alt", "")
                assert alt.strip(), "a picture has no description; its cell:\n" + "".join(cell["source"])


def second_pose(picture: np.ndarray) -> np.ndarray:
    """Where the second pose's colour is, without the legend, which would be there without WebGL."""
    colour = np.array([int(VERMILLION[at : at + 2], 16) for at in (1, 3, 5)])
    scene = picture[: int(LEGEND_FROM * len(picture))]
    return np.abs(scene - colour).max(-1) < 40


def test_the_3d_pose_is_drawn(lab: Lab) -> None:
    picture = lab.settled("widget")
    canvas = lab.widget().locator("canvas").first
    size = canvas.evaluate("e => [e.width, e.height, e.clientWidth, e.clientHeight]")
    assert min(size) > 200, f"the canvas is {size}"
    assert canvas.evaluate("e => e.getContext('2d') === null"), "the canvas is not drawn on by WebGL"
    pixels = second_pose(picture).sum()
    assert pixels > 100, f"{pixels} pixels have the second pose's colour; see {lab.pictures / 'widget.png'}"


def test_dragging_turns_the_pose(lab: Lab) -> None:
    before, eye = lab.settled("widget_before"), lab.widget().evaluate(CAMERA)
    box = lab.widget().locator("canvas").first.bounding_box()
    x, y = box["x"] + 0.5 * box["width"], box["y"] + 0.5 * box["height"]
    lab.page.mouse.move(x, y)
    lab.page.mouse.down()
    lab.page.mouse.move(x + 0.2 * box["width"], y + 20, steps=8)
    lab.page.mouse.up()
    after = lab.settled("widget_after")
    changed = (np.abs(after - before).max(-1) > 40).mean()
    files = f"see widget_before.png and widget_after.png in {lab.pictures}"
    assert lab.widget().evaluate(CAMERA) != eye, f"the camera did not move; {files}"
    assert changed > 0.005, f"{changed:.2%} of the picture changed; {files}"


def test_hovering_names_a_joint(lab: Lab) -> None:
    rows, columns = second_pose(lab.settled("widget")).nonzero()
    assert len(rows), f"nothing to point at; see {lab.pictures / 'widget.png'}"
    box, label = lab.widget().bounding_box(), lab.widget().locator(".hovertext")
    for at in np.linspace(0, len(rows) - 1, 12).astype(int):
        lab.page.mouse.move(box["x"] + float(columns[at]), box["y"] + float(rows[at]), steps=2)
        for _ in range(10):
            lab.page.wait_for_timeout(50)
            if label.count():
                (lab.pictures / "widget_hover.png").write_bytes(lab.widget().screenshot())
                said = label.first.text_content()
                names = {form for name in HEMLETS18.joint_names for form in (name, name.replace("_", " "))}
                assert said.split(":")[0] in names, f"the label says {said!r}"
                return
    pytest.fail(f"no label appeared over the pose; see {lab.pictures / 'widget.png'}")


def test_a_run_is_watched_while_it_runs(lab: Lab) -> None:
    """One picture below the cell, which changes before the cell has ended, and stays with its words."""
    import nbformat

    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(TRAINING.strip())])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    path = lab.notebook.with_name("watched.ipynb")
    nbformat.write(notebook, path)
    page = lab.page.context.new_page()  # the same visitor: it is let in without the token
    try:
        page.goto(lab.page.url.partition("/lab")[0] + f"/lab/workspaces/watched/tree/{path.name}")
        watching, seen = Lab(page, lab.faults, path, lab.pictures), []

        def look() -> None:
            for source in page.locator(PICTURES).evaluate_all("all => all.map(e => e.src)"):
                if source not in seen:
                    seen.append(source)
                    page.screenshot(path=lab.pictures / f"watched_{len(seen)}.png")

        watching.run_all(look)
        (cell,) = watching.saved()
    finally:
        page.close()
    assert len(seen) >= 2, f"{len(seen)} pictures were seen during the run; see {lab.pictures}/watched_*.png"
    (output,) = [output for output in cell["outputs"] if "image/png" in output.get("data", {})]
    assert "36 images" in output["metadata"]["image/png"]["alt"]
    assert not [o for o in cell["outputs"] if o["output_type"] == "error" or o.get("name") == "stderr"]
