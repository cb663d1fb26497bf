"""Small downloads, written by the formats' own libraries and never by the code under test.

Each module writes the forms of one data set and lists them in `WRITERS`: (dataset, form) → a function that
fills an empty folder and says what a reader must find there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageDraw

# A standing person in millimetres about the pelvis, x right, y down, z away; Human3.6M's 17 joints in order.
STANDING_H36M17_MM = np.array(
    [
        (0, 0, 0), (-130, 5, 10), (-140, 440, -20), (-150, 880, 40), (130, -5, -10), (150, 430, 30),
        (160, 870, 90), (5, -230, 15), (10, -480, 5), (12, -560, -60), (10, -680, -20), (150, -450, 30),
        (300, -220, -40), (330, 10, -150), (-140, -455, -25), (-310, -250, 60), (-350, -20, 140),
    ],
    dtype=np.float64,
)  # fmt: skip


@dataclass(frozen=True)
class Written:
    """What a reader must find in a download.

    Args:
        split: The split that was written.
        step: Of recorded videos, the step to read with.
        samples: How many samples that gives.
        needed: Files without which something is missing; `check` must name each of them.
        skipped: How many frames are left out on purpose.
    """

    split: str
    samples: int
    needed: tuple[str, ...]
    step: int = 1
    skipped: int = 0


Writer = Callable[[Path], Written]


def poses_cam_mm(frames: int, *, seed: int, depth_mm: float = 5000.0) -> np.ndarray:
    """(F, 17, 3) camera space: the standing person, turned and shifted from frame to frame."""
    rng = np.random.default_rng(seed)
    poses = []
    for number in range(frames):
        angle = rng.uniform(-np.pi, np.pi) + 0.1 * number
        turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
        pose = STANDING_H36M17_MM @ turn.T + rng.normal(0, 8, (17, 3))
        shift = (rng.uniform(-300, 300), rng.uniform(-100, 100), depth_mm + rng.uniform(-400, 400))
        poses.append(pose + np.array(shift))
    return np.stack(poses)


def picture(joints_px: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(H, W, 3) RGB: dots at the joints on a gradient; `size` is (width, height)."""
    width, height = size
    ramp = np.linspace(40, 200, width, dtype=np.uint8)
    image = Image.fromarray(np.repeat(np.repeat(ramp[None, :, None], height, 0), 3, 2))
    draw = ImageDraw.Draw(image)
    radius = max(2, width // 100)
    for number, (x, y) in enumerate(np.asarray(joints_px)[:, :2]):
        if np.isfinite([x, y]).all():
            colour = (250, 20 + 12 * number % 230, 255 - 12 * number % 230)
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
    return np.asarray(image)


def write_picture(path: Path, image: np.ndarray) -> None:
    """A JPEG or PNG, by Pillow."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path, quality=95)


def write_video(
    path: Path, frames: Sequence[np.ndarray], *, fps: int, codec: str = "libx264", options: dict | None = None
) -> None:
    """A video file, by FFmpeg through PyAV."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=fps, options=options or {})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.bit_rate = 4_000_000
        for image in frames:
            for packet in stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
