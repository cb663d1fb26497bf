"""People in whole pictures: boxes about them, detectors that find them, and the pose of each.

    predict_people(model, "party.jpg", boxes=[PersonBox(410, 80, 120, 310)])
    predict_people(model, "party.jpg", detector=TorchvisionDetector())
    predict_people(model, "portrait.jpg")  # the whole picture shows one person

A box is (x, y, width, height) as detectors and COCO give it: the upper left corner's column and row, and
how many columns and rows. The network is shown a square about it, `BOX_MARGIN` times as wide as its longer
side, since the people it learnt from were cut out with that much room.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import UInt8

from hemlets_lib.data.images import crop_image
from hemlets_lib.data.sample import BOX_MARGIN
from hemlets_lib.geometry import Camera, crop_affine
from hemlets_lib.model import HEMletsNet
from hemlets_lib.prediction import Picture, Prediction, picture_pixels, predict
from hemlets_lib.pretrained import torchvision_state

__all__ = [
    "Detector",
    "FoundPeople",
    "PersonBox",
    "TorchvisionDetector",
    "check_boxes",
    "parse_box",
    "predict_people",
    "select_people",
]

LEAST_SCORE = 0.7
MOST_OVERLAP = 0.5
_LARGEST_DETECTED_PX = 1333  # torchvision's detectors shrink to this themselves, but need memory first
_BOX_NUMBERS = 4
_TRIAL_PX = 8  # side of a crop that is only tried


@dataclass(frozen=True)
class PersonBox:
    """A box about a person, in pixels of the whole picture.

    Args:
        x, y: Column and row of the upper left corner's pixel; fractions are welcome.
        width, height: Columns and rows.
        score: How sure a detector is, 0 to 1; None where somebody drew the box.

    Raises:
        ValueError: If a number is not finite, or a side not positive.
    """

    x: float
    y: float
    width: float
    height: float
    score: float | None = None

    def __post_init__(self) -> None:
        sides = (self.x, self.y, self.width, self.height)
        if not all(map(math.isfinite, sides)) or self.width <= 0 or self.height <= 0:
            raise ValueError(
                "a person's box must be x, y, width, height in pixels with positive sides, got "
                f"{', '.join(f'{side:g}' for side in sides)}. Give its corner and its size, not two corners."
            )

    @property
    def centre_px(self) -> tuple[float, float]:
        """Its middle, where a pixel's centre has integer coordinates."""
        return self.x + (self.width - 1) / 2, self.y + (self.height - 1) / 2

    def square(self, margin: float = BOX_MARGIN) -> tuple[float, float, float]:
        """(x, y, side) of the square that the network is shown (`Picture.box`).

        Args:
            margin: Its side over the box's longer one.

        Returns:
            The middle and the side, pixels.
        """
        return (*self.centre_px, margin * max(self.width, self.height))

    def overlap(self, other: PersonBox) -> float:
        """The two boxes' common area over the area of both together, 0 to 1."""
        across = min(self.x + self.width, other.x + other.width) - max(self.x, other.x)
        down = min(self.y + self.height, other.y + other.height) - max(self.y, other.y)
        common = max(across, 0.0) * max(down, 0.0)
        return common / (self.width * self.height + other.width * other.height - common)


def parse_box(text: str) -> PersonBox:
    """A box written as `x,y,width,height`.

    Raises:
        ValueError: If there are not four numbers, or they make no box.
    """
    try:
        numbers = [float(word) for word in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != _BOX_NUMBERS:
        raise ValueError(f"a person's box must be written x,y,width,height in pixels, got {text!r}.")
    return PersonBox(*numbers)


def check_boxes(image: UInt8[np.ndarray, "H W 3"], boxes: Sequence[PersonBox]) -> None:
    """Refuses boxes that are not about anything in a picture.

    Args:
        image: The whole picture.
        boxes: In its pixels.

    Raises:
        ValueError: If one lies beside the picture, or is far larger.
    """
    height, width = image.shape[:2]
    whole = PersonBox(0, 0, width, height)
    for box in boxes:
        if not box.overlap(whole):
            raise ValueError(
                f"the box {box.x:g},{box.y:g},{box.width:g},{box.height:g} must touch the picture of "
                f"{width}×{height} px, got one beside it. Give x,y,width,height in its pixels."
            )
        x, y, side = box.square()
        centre, side_px = torch.tensor([x, y], dtype=torch.float64), torch.tensor(side, dtype=torch.float64)
        crop_image(image, crop_affine(centre, side_px, _TRIAL_PX).numpy(), _TRIAL_PX)  # has its own limits


@runtime_checkable
class Detector(Protocol):
    """Finds people: an (H, W, 3) uint8 RGB picture in, boxes in its pixels out, in any order."""

    def __call__(self, image: np.ndarray, /) -> Sequence[PersonBox]: ...


class TorchvisionDetector:
    """torchvision's Faster R-CNN (ResNet-50, FPN, second version), trained on COCO.

    Its weights are a download of 167 MB at the first use, kept in torch's cache.

    Args:
        device: Where to compute.

    Raises:
        RuntimeError: If the weights are neither in the cache nor can be downloaded; says where to put them.
    """

    def __init__(self, *, device: str | torch.device = "cpu") -> None:
        from torchvision.models import detection

        weights = detection.FasterRCNN_ResNet50_FPN_V2_Weights.COCO_V1
        state = torchvision_state(weights, "The person detector", progress=True)
        with torch.random.fork_rng(devices=[]):  # its random weights are replaced at once
            model = detection.fasterrcnn_resnet50_fpn_v2(weights=None, weights_backbone=None)
        model.load_state_dict(state)
        self._model, self._device = model.eval().to(device), device
        self._person = weights.meta["categories"].index("person")

    def __call__(self, image: np.ndarray, /) -> list[PersonBox]:
        """Everybody it sees, however unsure it is; `select_people` chooses."""
        from torchvision.transforms.v2.functional import resize

        pixels = torch.from_numpy(image).permute(2, 0, 1)  # (3, H, W)
        height, width = pixels.shape[1:]
        if (longest := max(height, width)) > _LARGEST_DETECTED_PX:
            shrink = _LARGEST_DETECTED_PX / longest
            size = [max(1, round(height * shrink)), max(1, round(width * shrink))]
            pixels = resize(pixels, size, antialias=True)
        scale = torch.tensor([width / pixels.shape[2], height / pixels.shape[1]])
        with torch.inference_mode():
            (found,) = self._model([pixels.to(self._device).float() / 255])
        people = found["labels"] == self._person
        corners = found["boxes"][people].cpu() * scale.repeat(2)
        boxes = torch.cat([corners[:, :2], corners[:, 2:] - corners[:, :2]], -1).tolist()
        scores = found["scores"][people].tolist()
        return [
            PersonBox(x, y, across, down, score=score)
            for (x, y, across, down), score in zip(boxes, scores, strict=True)
            if across > 0 and down > 0
        ]


def select_people(
    boxes: Sequence[PersonBox],
    *,
    least_score: float = LEAST_SCORE,
    most_overlap: float = MOST_OVERLAP,
    most_people: int | None = None,
) -> tuple[PersonBox, ...]:
    """Whom to keep of what a detector found.

    Args:
        boxes: In any order.
        least_score: Whoever is less sure is left out. A box without a score is certain.
        most_overlap: Of two boxes that overlap more (`PersonBox.overlap`), the less sure is left out.
        most_people: Keep only so many, the surest.

    Returns:
        The boxes from left to right.

    Raises:
        ValueError: If an option is out of range.
    """
    for name, value in (("least_score", least_score), ("most_overlap", most_overlap)):
        if not 0 <= value <= 1:
            raise ValueError(f"`{name}` must lie within 0 … 1, got {value}.")
    if most_people is not None and most_people < 1:
        raise ValueError(f"`most_people` must be at least 1, got {most_people}.")
    kept: list[PersonBox] = []
    for box in sorted(boxes, key=_certainty, reverse=True):
        if _certainty(box) >= least_score and all(box.overlap(other) <= most_overlap for other in kept):
            kept.append(box)
    return tuple(sorted(kept[:most_people], key=lambda box: box.centre_px))


def _certainty(box: PersonBox) -> float:
    return 1.0 if box.score is None else box.score


@dataclass(frozen=True, eq=False)
class FoundPeople:
    """The people in a picture, from left to right unless their boxes were given.

    Args:
        image: The whole picture, upright.
        boxes: About each person.
        squares: (x, y, side) of what the network was shown of each.
        origin: Where the boxes come from: "given", "detector", or "whole picture".
        prediction: A row for each box; None where a detector found nobody.
    """

    image: UInt8[np.ndarray, "H W 3"]
    boxes: tuple[PersonBox, ...]
    squares: tuple[tuple[float, float, float], ...]
    origin: str
    prediction: Prediction | None


def predict_people(
    model: HEMletsNet,
    image: str | Path | np.ndarray,
    *,
    boxes: Sequence[PersonBox] = (),
    detector: Detector | None = None,
    least_score: float = LEAST_SCORE,
    most_overlap: float = MOST_OVERLAP,
    most_people: int | None = None,
    focal_px: float | None = None,
    flip_test: bool = False,
    batch_size: int = 32,
    device: str | torch.device | None = None,
) -> FoundPeople:
    """The poses of the people in a picture: in given boxes, in a detector's, or of one who fills it.

    Args:
        model: In any mode.
        image: A file, or (H, W, 3) uint8 RGB.
        boxes: About the people; the order is kept.
        detector: Finds them. Without it and without boxes, the whole picture is one person.
        least_score, most_overlap, most_people: As in `select_people`, for what the detector finds.
        focal_px: The camera's focal length in pixels, its axis through the picture's middle. People's
            distances then follow from their bones' lengths; without, perspective is neglected.
        flip_test, batch_size, device: As in `predict`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no picture, a box lies beside it or is far larger, both boxes and a detector
            are given, or an option is out of range.
    """
    if len(boxes) and detector is not None:
        raise ValueError("expected `boxes` or a `detector`, got both. Leave out one.")
    if focal_px is not None and not 0 < focal_px < math.inf:
        raise ValueError(f"`focal_px` must be positive, got {focal_px}. Leave it out if unknown.")
    pixels = picture_pixels(image, str(image) if isinstance(image, str | Path) else "image")
    height, width = pixels.shape[:2]
    whole = PersonBox(0, 0, width, height)
    if detector is not None:
        origin = "detector"
        chosen = select_people(
            detector(pixels), least_score=least_score, most_overlap=most_overlap, most_people=most_people
        )
    else:
        origin, chosen = ("given", tuple(boxes)) if len(boxes) else ("whole picture", (whole,))
    if origin == "given":
        check_boxes(pixels, chosen)
    squares = tuple(box.square(1.0 if origin == "whole picture" else BOX_MARGIN) for box in chosen)
    if not squares:
        return FoundPeople(pixels, (), (), origin, None)
    camera = None
    if focal_px is not None:
        middle = torch.tensor([(width - 1) / 2, (height - 1) / 2])
        camera = Camera(torch.tensor([focal_px, focal_px], dtype=torch.float32), middle)
    pictures = [Picture(pixels, box=square, camera=camera) for square in squares]
    prediction = predict(model, pictures, flip_test=flip_test, batch_size=batch_size, device=device)
    return FoundPeople(pixels, chosen, squares, origin, prediction)
