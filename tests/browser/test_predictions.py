"""Pages of `hemlets predict`, opened from disk in a browser without a network."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.browser

PICTURES = "all => all.map(e => ({alt: e.alt, width: e.naturalWidth, shown: e.getClientRects().length}))"
NAME = "two people, ä & 100%.png"
DRAWN = ".viewer[data-drawn=yes] canvas"
FRAMES = 10
# The joints' heights in the viewer, which must change with the frame.
HEIGHTS = "JSON.stringify(document.querySelector('.viewer').data.map(trace => trace.z))"


@pytest.fixture(scope="module")
def results(chromium, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drawn picture with two people and a video, predicted by the shipped network."""
    import av

    from hemlets_lib.data.samples import load_samples

    folder = tmp_path_factory.mktemp("predictions")
    album = folder / "album"
    album.mkdir()
    people = [sample.image for sample in load_samples()[:20]]
    Image.fromarray(np.concatenate(people[:2], axis=1)).save(album / NAME)
    with av.open(str(album / "clip.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 256, 256, "yuv420p"
        for image in people[:FRAMES]:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    command = [sys.executable, "-m", "hemlets_lib.cli", "predict"]
    boxes = ["--box", "60,20,150,230", "--box", "320,20,120,230"]
    for arguments in (
        [str(album / NAME), *boxes, "--out", "boxes"],
        [str(album), "--every", "2", "--out", "all"],
    ):
        done = subprocess.run([*command, *arguments], cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture
def open_page(chromium, new_faults, no_faults, pictures: Path) -> Iterator[Callable[[Path], Any]]:
    """Opens a file in a browser that has no network; afterwards the page must have been quiet."""
    context = chromium.new_context(viewport={"width": 1200, "height": 900})
    context.set_offline(True)
    faults = new_faults()

    def open_file(path: Path) -> Any:
        page = context.new_page()
        faults.watch(page, allowed="file:")
        page.goto(path.as_uri(), wait_until="load")
        return page

    yield open_file
    context.close()
    no_faults(faults)


def test_the_index_leads_to_each_page(results: Path, open_page) -> None:
    page = open_page(results / "all" / "index.html")
    thumbnails = page.locator("img").evaluate_all(PICTURES)
    assert len(thumbnails) == 2 and all(each["width"] > 0 for each in thumbnails)
    page.get_by_text(NAME).click()
    page.wait_for_url("**/index.html")
    assert page.locator("h1").text_content() == NAME


def test_everybody_can_be_turned_around(results: Path, open_page, pictures: Path) -> None:
    (folder,) = (path for path in (results / "boxes").iterdir() if path.is_dir())
    page = open_page(folder / "index.html")
    assert page.locator(".viewer").count() == 2
    for viewer in page.locator(".viewer").all():
        viewer.scroll_into_view_if_needed()
        page.wait_for_function("e => e.dataset.drawn === 'yes'", arg=viewer.element_handle())
    assert page.locator(DRAWN).count() == 2
    buttons = page.locator(".modebar-btn").evaluate_all("all => all.map(e => e.dataset.title)")
    assert "Orbital rotation" in buttons and not [each for each in buttons if "hare" in each]
    eye = "document.querySelector('.viewer')._fullLayout.scene.camera.eye.x"
    before, place = page.evaluate(eye), page.locator(".viewer").first
    place.scroll_into_view_if_needed()
    box = place.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2 + 150, box["y"] + box["height"] / 2, steps=5)
    page.mouse.up()
    page.wait_for_function(f"Math.abs({eye} - {before}) > 0.1")
    page.screenshot(path=pictures / "prediction_boxes.png", full_page=True)
    shown = page.locator("img").evaluate_all(PICTURES)
    assert len(shown) == 3 and all(each["width"] > 0 and each["alt"].strip() for each in shown), shown
    overhang = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert overhang == 0


def test_a_video_under_its_slider(results: Path, open_page, pictures: Path) -> None:
    page = open_page(results / "all" / "clip" / "index.html")
    page.locator(".viewer").scroll_into_view_if_needed()
    page.wait_for_selector(DRAWN, state="attached")
    assert page.locator("#now").text_content() == "frame 0, 0.00 s"
    before, picture = page.evaluate(HEIGHTS), page.locator("#frame")
    page.locator("#at").press("ArrowRight")
    page.locator("#at").press("ArrowRight")
    assert page.locator("#now").text_content() == "frame 4, 0.40 s"
    assert picture.get_attribute("src") == "frames/000004.jpg"
    page.wait_for_function(f"before => {HEIGHTS} !== before", arg=before)
    page.wait_for_function("document.getElementById('frame').naturalWidth > 0")
    page.locator("#play").click()
    page.wait_for_function("document.getElementById('now').textContent !== 'frame 4, 0.40 s'")
    page.locator("#play").click()
    page.screenshot(path=pictures / "prediction_video.png", full_page=True)
