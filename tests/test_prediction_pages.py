"""Pages of predictions: they open offline, say whose prediction they show, and hold every pose."""

import json
import re

import numpy as np
import pytest
import torch
from bs4 import BeautifulSoup

from hemlets_lib.hard_poses import HardPose
from hemlets_lib.model import HEMletsNet, ModelConfig
from hemlets_lib.notebook_pages import network_references
from hemlets_lib.people import FoundPeople, PersonBox, predict_people
from hemlets_lib.pose_records import people_records
from hemlets_lib.prediction_pages import (
    PLOTLY_NAME,
    Shown,
    VideoFrame,
    gallery_page,
    picture_page,
    video_page,
    weights_box,
)
from hemlets_lib.skeleton import HEMLETS18, Skeleton
from hemlets_lib.viz import state_label

CONFIG = ModelConfig(
    "test", "tiny", image_size=32, heatmap_size=16, depth_size=5, upsample_channels=6, encoder_channels=9,
    fusion=(3, 11),
)  # fmt: skip
NETWORK = {
    "file": "w<eights>.safetensors", "sha256": "0123456789abcdef" * 4, "description": "preset 'nano': drawn.",
    "has_seen_photographs": False,
}  # fmt: skip
SHOWN = Shown(NETWORK, HEMLETS18)
BOXES = (PersonBox(5, 6, 20, 30, 0.75), PersonBox(30, 2, 25, 40))


def people_in(boxes) -> FoundPeople:
    torch.manual_seed(1)
    model = HEMletsNet(CONFIG)
    torch.nn.init.normal_(model.head[-1].weight, std=5.0)
    return predict_people(model, np.full((50, 70, 3), 90, np.uint8), boxes=boxes)


@pytest.fixture(scope="module")
def found() -> FoundPeople:
    return people_in(BOXES)


def parsed(page: str) -> BeautifulSoup:
    return BeautifulSoup(page, "html.parser")


def offline(page: str, files) -> None:
    """Nothing is asked of a network, and every picture is a file beside the page."""
    assert network_references(page) == []
    soup = parsed(page)
    for image in soup.find_all("img"):
        assert image["src"] in files or image["src"].startswith("data:image/png;base64,")
        assert image["alt"].strip()
    for panel in soup.select(".panel"):
        assert re.search(r"url\(([^)]+)\)", panel["style"])[1] in files
    assert len({each["id"] for each in soup.find_all(id=True)}) == len(soup.find_all(id=True))
    for viewer in soup.select(".viewer"):
        figure = json.loads(soup.find(id=viewer["data-figure"]).string)
        assert figure["data"] and figure["layout"]["scene"]


def test_a_pictures_page(found):
    files = picture_page("me & <you>.jpg", found, SHOWN)
    page = files["index.html"]
    offline(page, files)
    assert set(files) == {"index.html", "overlay.png", "triplets-1.png", "triplets-2.png"}
    assert all(files[name].startswith(b"\x89PNG") for name in files if name.endswith("png"))
    soup = parsed(page)
    assert soup.h1.string == "me & <you>.jpg" and soup.title.string == "me & <you>.jpg"
    assert [section.h2.string for section in soup.find_all("section")] == [
        "Person 1", "Person 2", "Triplets of person 1", "Triplets of person 2",
    ]  # fmt: skip
    assert soup.select_one(".pair > figure > img")["src"] == "overlay.png"  # beside the viewers
    assert len(soup.select(".pair .viewer > .placeholder")) == 2  # seen until plotly has drawn
    assert soup.find("a", href="../index.html") is not None
    assert "left, squares" in soup.figcaption.get_text() and "right, circles" in soup.figcaption.get_text()
    assert len(soup.select(".viewer")) == 2
    assert [script["src"] for script in soup.find_all("script", src=True)] == [f"../{PLOTLY_NAME}"]
    rows = soup.find("table").find_all("tr")
    assert len(rows) == 19 and rows[1].th.string == "pelvis"
    numbers = [float(cell.string) for cell in rows[1].find_all("td")]
    expected = [*found.prediction.joints_px[0, 0].tolist(), 0, 0, 0]
    assert numbers == pytest.approx(expected, abs=0.06)


def test_names_of_joints_are_text(found, monkeypatch):
    """A skeleton refuses such names; should one get past it, a page shows it as it is."""
    monkeypatch.setattr("hemlets_lib.skeleton._JOINT_NAME", re.compile(".+"))
    names = {"pelvis": '<img src=x onerror="1">', "neck": "</th><script>1</script>"}

    def renamed(them):
        return tuple(names.get(name, name) for name in them)

    skeleton = Skeleton(
        "s",
        renamed(HEMLETS18.joint_names),
        dict(renamed(pair) for pair in HEMLETS18.parent_names.items()),
        tuple(renamed(part) for part in HEMLETS18.part_names),
    )
    soup = parsed(picture_page("me.jpg", found, Shown(NETWORK, skeleton))["index.html"])
    assert soup.find("img", src="x") is None and soup.find("script", string="1") is None
    assert soup.find("table").find_all("tr")[1].th.string == names["pelvis"]
    assert names["pelvis"] in soup.caption.get_text()
    panels = soup.select("#triplets-1 .panel")
    assert f"{names['pelvis']} → {names['neck']}: " in panels[6]["aria-label"]


def test_each_panel_shows_its_part(found):
    """A part's panel is cut out of one picture by percentages; its title says what was read."""
    soup = parsed(picture_page("me.jpg", found, SHOWN)["index.html"])
    panels = soup.select("#triplets-2 .panel")
    assert len(panels) == HEMLETS18.num_parts == 14
    last = panels[-1]["style"]  # lower right of seven by two
    assert last == "background:url(triplets-2.png) 100.000% 100.000% / 700% 200%"
    assert panels[8]["style"] == "background:url(triplets-2.png) 16.667% 100.000% / 700% 200%"
    states = found.prediction.decoded.states[1].tolist()
    shown = [panel.parent.b.string for panel in panels]
    assert shown == [state_label(state) for state in states]
    assert "?, no joint found" in soup.select_one("#triplets-2 figcaption").get_text()


def test_uncertain_maps_are_said_on_every_page(found):
    note = "2 of 60 are uncertain (<b>)"
    page = picture_page("me.jpg", found, Shown({**NETWORK, "channels_note": note}, HEMLETS18))["index.html"]
    assert note in parsed(page).select_one(".weights").get_text()
    seen = {**NETWORK, "has_seen_photographs": True, "channels_note": note}
    assert note in parsed(weights_box(seen)).get_text()


def test_the_weights_come_first(found):
    page = picture_page("me.jpg", found, SHOWN)["index.html"]
    text = parsed(page).get_text(" ", strip=True)
    assert "w<eights>.safetensors" in text and "0123456789ab…" in text and "preset 'nano': drawn." in text
    assert "only ever seen drawings of people, never a photograph: expect it to fail" in text
    assert page.index('class="weights doubtful"') < page.index("<img")


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (True, None),
        (None, "does not say whether it was trained on photographs"),
        (False, "never a photograph"),
    ],
)
def test_how_far_to_trust_the_weights(seen, words):
    box = weights_box({**NETWORK, "has_seen_photographs": seen})
    assert ("doubtful" in box) == (seen is not True)
    assert ("<strong>" in box) == (words is not None) and (words or "") in box


def test_where_the_boxes_and_the_scale_come_from(found):
    text = parsed(picture_page("me.jpg", found, SHOWN)["index.html"]).get_text(" ", strip=True)
    assert "2 people · in the boxes that were given" in text and "perspective is neglected" in text
    text = parsed(picture_page("me.jpg", people_in(()), SHOWN)["index.html"]).get_text(" ", strip=True)
    assert "one person · no box was given, so the whole picture was taken for one person" in text


def test_nobody(found):
    files = picture_page("empty.jpg", FoundPeople(found.image, (), (), "detector", None), SHOWN)
    offline(files["index.html"], files)
    assert "nobody · found by the person detector" in files["index.html"] and set(files) == {
        "index.html", "overlay.png",
    }  # fmt: skip
    assert "<script" not in files["index.html"]


def test_without_triplets_the_page_says_why(found):
    shown = Shown(NETWORK, HEMLETS18, "Which map is which is not published.")
    files = picture_page("me.jpg", found, shown)
    assert "triplets-1.png" not in files and "Which map is which is not published." in files["index.html"]
    plain = found.prediction._replace(triplets=None, decoded=None)
    plain = FoundPeople(found.image, found.boxes, found.squares, "given", plain)
    assert "has no intermediate branch" in picture_page("me.jpg", plain, SHOWN)["index.html"]


def test_without_millimetres_there_is_no_viewer(found):
    nowhere = torch.full_like(found.prediction.joints_root_rel_mm, torch.nan)
    lost = found.prediction._replace(joints_root_rel_mm=nowhere)
    page = picture_page("me.jpg", FoundPeople(found.image, BOXES, found.squares, "given", lost), SHOWN)[
        "index.html"
    ]
    assert not parsed(page).select(".viewer, .placeholder") and "there are no millimetres to draw" in page
    assert [cell.string for cell in parsed(page).find("table").find_all("tr")[1].find_all("td")][2:] == [
        "–"
    ] * 3


def test_a_script_cannot_be_ended_from_inside(found):
    frames = [VideoFrame(0, 0.0, "frames/</script><b>.jpg", people_records(found, CONFIG))]
    soup = parsed(video_page("</script>.mp4", frames, SHOWN, note="</script>"))
    assert soup.b is None and soup.h1.string == "</script>.mp4"
    assert json.loads(soup.find(id="steps").string) == [["0", 0.0, "frames/</script><b>.jpg"]]


def test_a_videos_page(found):
    people = people_records(found, CONFIG)
    frames = [
        VideoFrame(0, 0.0, "frames/0.jpg", []),
        VideoFrame(5, 0.2, "frames/5.jpg", people),
        VideoFrame(10, 0.4, "frames/10.jpg", people[:1]),
    ]
    page = video_page("clip.mp4", frames, SHOWN, note="3 frames")
    offline(page, {"frames/0.jpg"})
    soup = parsed(page)
    assert json.loads(soup.find(id="steps").string) == [
        ["0", 0.0, "frames/0.jpg"], ["5", 0.2, "frames/5.jpg"], ["10", 0.4, "frames/10.jpg"],
    ]  # fmt: skip
    assert soup.find(id="at")["max"] == "2"
    assert [each["class"] for each in soup.select(".pair > figure > [class]")] == [["slider"], ["picture"]]
    assert len(soup.select(".pair .viewer > .placeholder")) == 2
    assert "Triplets are left out" in soup.get_text()
    first, second = (json.loads(soup.find(id=f"figure-{number}").string) for number in (1, 2))
    assert [frame["name"] for frame in first["frames"]] == ["0", "5", "10"]
    there = [[bool(frame["data"][0]["x"]) for frame in figure["frames"]] for figure in (first, second)]
    assert there == [[False, True, True], [False, True, False]]
    assert page.index("const drawn") < page.index("drawn.forEach")


def test_a_video_with_nobody(found):
    page = video_page("clip.mp4", [VideoFrame(0, 0.0, "frames/0.jpg", [])], SHOWN, note="1 frame")
    offline(page, {"frames/0.jpg"})
    assert not parsed(page).select(".viewer, section")


@pytest.mark.parametrize("in_3d", [True, False])
def test_a_gallery(in_3d):
    pose = HardPose(
        name="S9 <upside down>", image=np.full((40, 40, 3), 9, np.uint8), joints_crop=torch.rand(18, 3) - 0.5,
        true_crop=torch.rand(18, 3) - 0.5, joints_mm=torch.randn(18, 3) * 300,
        true_mm=torch.randn(18, 3) * 300 if in_3d else None, unusual=1.25, off_percent=3.04,
        error_mm=87.4 if in_3d else None,
    )  # fmt: skip
    files = gallery_page("Hard poses", [pose, pose], NETWORK, HEMLETS18, "by labels")
    offline(files["index.html"], files)
    text = parsed(files["index.html"]).get_text(" ", strip=True)
    assert "Chosen: by labels." in text and "2 · S9 <upside down>" in text and "never a photograph" in text
    error = "MPJPE 87 mm" if in_3d else "no 3D labels"
    assert "1.25 body sizes from the median pose" in text and "A body size is the root mean square" in text
    assert (
        "predicted joints lie 3.0 % of the crop's side from the labelled ones in the picture, on average; "
        f"{error}." in text
    )
    traces = json.loads(parsed(files["index.html"]).find(id="figure-1").string)["data"]
    assert len(traces) == (2 if in_3d else 3)  # two poses, or one in the colours of its sides
    assert re.findall(r'<script src="([^"]+)"', files["index.html"]) == [PLOTLY_NAME]
