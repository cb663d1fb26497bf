"""People in whole pictures: boxes, whom a detector's boxes leave, and poses where the people are."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torchvision.models import detection

from hemlets_lib import people
from hemlets_lib.data.sample import BOX_MARGIN
from hemlets_lib.geometry import Camera
from hemlets_lib.model import HEMletsNet, ModelConfig
from hemlets_lib.people import (
    Detector,
    PersonBox,
    TorchvisionDetector,
    parse_box,
    predict_people,
    select_people,
)
from hemlets_lib.prediction import Picture, predict

CONFIG = ModelConfig(
    "test", "tiny", image_size=32, heatmap_size=16, depth_size=5, upsample_channels=6, encoder_channels=9,
    fusion=(3, 11),
)  # fmt: skip
BOXES = st.builds(
    PersonBox, st.floats(-50, 50), st.floats(-50, 50), st.floats(1, 80), st.floats(1, 80), st.floats(0, 1)
)


@pytest.fixture(scope="module")
def model() -> HEMletsNet:
    torch.manual_seed(0)
    model = HEMletsNet(CONFIG)
    torch.nn.init.normal_(model.head[-1].weight, std=5.0)
    return model


@pytest.fixture
def picture() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)


# --- golden ---------------------------------------------------------------------------------------


def test_a_box_by_hand():
    """Columns 10 … 13 and rows 20 … 29: the middle is at (11.5, 24.5)."""
    box = parse_box(" 10, 20,4,10 ")
    assert box == PersonBox(10, 20, 4, 10) and box.score is None
    assert box.centre_px == (11.5, 24.5)
    assert box.square() == (11.5, 24.5, 12.5) and box.square(1.0) == (11.5, 24.5, 10.0)


def test_overlap_by_hand():
    """6 of 10 + 12 - 6 cells in common."""
    box = PersonBox(0, 0, 5, 2)
    assert box.overlap(PersonBox(2, 0, 3, 4)) == pytest.approx(6 / 16)
    assert box.overlap(box) == 1 and box.overlap(PersonBox(5, 0, 3, 2)) == 0


def test_selection_by_hand():
    sure, twin, unsure = (
        PersonBox(50, 0, 10, 20, 0.9),
        PersonBox(51, 0, 10, 20, 0.8),
        PersonBox(0, 0, 9, 9, 0.5),
    )
    left, drawn = PersonBox(20, 0, 10, 20, 0.75), PersonBox(90, 0, 5, 5)
    everybody = [twin, unsure, drawn, sure, left]
    assert select_people(everybody) == (left, sure, drawn)
    assert select_people(everybody, most_people=2) == (sure, drawn)  # the surest, still from the left
    assert select_people(everybody, least_score=0.5) == (unsure, left, sure, drawn)
    assert select_people(everybody, most_overlap=0.9) == (left, sure, twin, drawn)
    assert select_people([]) == ()


def test_torchvisions_detections_become_boxes(monkeypatch):
    """Corners to sizes, people only, and pixels of the whole picture though it was shrunk to a half."""
    seen = []

    class Stub(torch.nn.Module):
        def load_state_dict(self, state):
            assert state == {"from": "the cache"}

        def forward(self, pictures):
            seen.append(pictures[0])
            boxes = torch.tensor([[10.0, 20.0, 30.0, 60.0], [0.0, 0.0, 5.0, 5.0], [7.0, 7.0, 7.0, 9.0]])
            labels = torch.tensor([1, 2, 1])  # COCO's 1 is a person, 2 a bicycle
            return [{"boxes": boxes, "labels": labels, "scores": torch.tensor([0.9, 0.8, 0.7])}]

    monkeypatch.setattr(people, "torchvision_state", lambda *_, **__: {"from": "the cache"})
    monkeypatch.setattr(detection, "fasterrcnn_resnet50_fpn_v2", lambda **_: Stub())
    detector = TorchvisionDetector()
    assert isinstance(detector, Detector)
    (box,) = detector(np.full((1333, 2666, 3), 255, np.uint8))
    assert (box.x, box.y, box.width, box.height) == pytest.approx((20, 40, 40, 80), rel=1e-3)
    assert box.score == pytest.approx(0.9)
    assert seen[0].shape[2] == 1333 and seen[0].max() == 1
    (box,) = detector(np.zeros((100, 80, 3), np.uint8))
    assert (box.x, box.width) == (10, 20) and seen[1].shape == (3, 100, 80)


# --- law ------------------------------------------------------------------------------------------


@given(st.lists(BOXES, max_size=8), st.floats(0, 1), st.floats(0, 1))
def test_whoever_is_selected_is_sure_and_apart(boxes, least_score, most_overlap):
    kept = select_people(boxes, least_score=least_score, most_overlap=most_overlap)
    assert set(kept) <= set(boxes) and all(box.score >= least_score for box in kept)
    apart = [(a, b) for i, a in enumerate(kept) for b in kept[:i]]
    assert all(a.overlap(b) <= most_overlap for a, b in apart)
    assert [box.centre_px for box in kept] == sorted(box.centre_px for box in kept)
    sure = [box for box in boxes if box.score >= least_score]
    left_out = [box for box in sure if box not in kept]
    assert all(any(box.overlap(other) > most_overlap for other in kept) for box in left_out)


def test_boxes_are_pictures_with_room_about_them(model, picture):
    boxes = [PersonBox(30, 5, 20, 40), PersonBox(4, 8, 30, 25)]
    found = predict_people(model, picture, boxes=boxes)
    expected = predict(
        model,
        [
            Picture(picture, box=(39.5, 24.5, 40 * BOX_MARGIN)),
            Picture(picture, box=(18.5, 20, 30 * BOX_MARGIN)),
        ],
    )
    assert found.origin == "given" and found.boxes == tuple(boxes)
    torch.testing.assert_close(found.prediction.joints_px, expected.joints_px)
    torch.testing.assert_close(found.prediction.joints_root_rel_mm, expected.joints_root_rel_mm)


def test_a_detector_is_asked_once_and_ordered(model, picture):
    boxes = [PersonBox(50, 5, 20, 40, 0.8), PersonBox(4, 8, 30, 25, 0.99), PersonBox(0, 0, 5, 5, 0.1)]
    asked = []
    found = predict_people(model, picture, detector=lambda image: asked.append(image) or boxes)
    assert len(asked) == 1 and asked[0].shape == (60, 90, 3)
    assert found.origin == "detector" and found.boxes == (boxes[1], boxes[0])
    expected = predict_people(model, picture, boxes=[boxes[1], boxes[0]])
    torch.testing.assert_close(found.prediction.joints_px, expected.prediction.joints_px)
    one = predict_people(model, picture, detector=lambda image: boxes, most_people=1)
    assert one.boxes == (boxes[1],)


def test_without_boxes_the_whole_picture_is_one_person(model, picture, tmp_path):
    Image.fromarray(picture).save(tmp_path / "me.png")
    found = predict_people(model, tmp_path / "me.png")
    assert found.origin == "whole picture" and found.boxes == (PersonBox(0, 0, 90, 60),)
    torch.testing.assert_close(found.prediction.joints_px, predict(model, picture).joints_px)
    np.testing.assert_array_equal(found.image, picture)


def test_nobody(model, picture):
    found = predict_people(model, picture, detector=lambda image: [])
    assert found.prediction is None and found.boxes == () and found.squares == ()


def test_with_a_focal_length_distances_follow_from_bones(model, picture):
    box = PersonBox(30, 5, 20, 40)
    found = predict_people(model, picture, boxes=[box], focal_px=70.0)
    camera = Camera(torch.tensor([70.0, 70.0]), torch.tensor([44.5, 29.5]))
    expected = predict(model, Picture(picture, box=box.square(), camera=camera))
    assert found.prediction.depth_source == ("bones",)
    torch.testing.assert_close(found.prediction.joints_root_rel_mm, expected.joints_root_rel_mm)
    assert predict_people(model, picture).prediction.depth_source == ("weak perspective",)


def test_a_single_pixel_is_a_picture(model):
    assert predict_people(model, np.zeros((1, 1, 3), np.uint8)).prediction.joints_px.isfinite().all()


# --- error ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "1,2,3", "1,2,3,4,5", "a,b,c,d", "1 2 3 4"])
def test_a_box_is_four_numbers(text):
    with pytest.raises(ValueError, match=r"must be written x,y,width,height in pixels, got"):
        parse_box(text)


@pytest.mark.parametrize("text", ["1,2,0,4", "1,2,3,-4", "nan,2,3,4", "1,2,inf,4"])
def test_a_box_has_a_size(text):
    with pytest.raises(ValueError, match=r"with positive sides, got .* not two corners"):
        parse_box(text)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"boxes": [PersonBox(0, 0, 9, 9)], "detector": lambda image: []},
            r"`boxes` or a `detector`, got both",
        ),
        ({"boxes": [PersonBox(90, 0, 9, 9)]}, r"box 90,0,9,9 must touch the picture of 90×60 px"),
        ({"boxes": [PersonBox(0, 0, 5000, 9)]}, r"at most 20 times as wide as the picture"),
        ({"focal_px": 0.0}, r"`focal_px` must be positive, got 0"),
        ({"focal_px": float("nan")}, r"`focal_px` must be positive, got nan"),
        ({"detector": lambda image: [], "least_score": 1.5}, r"`least_score` must lie within 0 … 1, got 1.5"),
        ({"detector": lambda image: [], "most_overlap": -1.0}, r"`most_overlap` must lie within 0 … 1"),
        ({"detector": lambda image: [], "most_people": 0}, r"`most_people` must be at least 1, got 0"),
    ],
)
def test_wrong_options(model, picture, options, message):
    with pytest.raises(ValueError, match=message):
        predict_people(model, picture, **options)


def test_no_weights_for_the_detector(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "cache"))

    def unreachable(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr(torch.hub, "download_url_to_file", unreachable)
    with pytest.raises(
        RuntimeError,
        match=r"The person detector could not be loaded \(OSError: no network\).*"
        r"put fasterrcnn_resnet50_fpn_v2_coco-dd69338a\.pth into that folder",
    ):
        TorchvisionDetector()


def test_a_damaged_download(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    name = "fasterrcnn_resnet50_fpn_v2_coco-dd69338a.pth"
    (tmp_path / "checkpoints" / name).write_bytes(b"half of it")
    with pytest.raises(RuntimeError, match=rf"The person detector could not be loaded .*put {name} into"):
        TorchvisionDetector()
