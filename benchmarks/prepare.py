"""How fast is Human3.6M prepared, and how fast are its samples loaded again?

    python benchmarks/prepare.py [--mbit 2 5 10] [--json benchmarks/results/prepare.json]

Prepare: a download in Human3.6M's original form (CDF and MP4), one take before four cameras, is read by
`hemlets data prepare`'s own code at 5 frames a second into 256-px shards, in one process on one thread.
Counted are the video's frames, all of which are decoded, a second of that core's time. The videos are 1000 ×
1000 H.264 by x264 through FFmpeg (preset medium, its default key frames), of a moving figure before a
textured room with sensor noise; four real frames, cropped and encoded alike, have 20 to 27 KB.
Load: batches from such shards through `Mixture` and torch's `DataLoader` with two worker processes, a second
of wall time. Goals: 150 video frames a second, 1500 images a second.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import tempfile
import time
from pathlib import Path

import av
import numpy as np
import torch
from cdflib.cdfwrite import CDF
from PIL import Image
from rich.console import Console
from rich.table import Table
from torch.utils.data import DataLoader

from hemlets_lib.data import collate
from hemlets_lib.data.cameras import CAMERA_NAMES, h36m_camera
from hemlets_lib.data.mixing import Mixture
from hemlets_lib.data.prepare import prepare
from hemlets_lib.data.shards import ShardDataset
from hemlets_lib.results import provenance, write_json

GOAL_FRAMES, GOAL_IMAGES = 150, 1500  # a second: of video on one core, from shards on two
SIDE_PX, FRAMES_PER_SECOND = 1000, 50  # Human3.6M's videos
STEP, SIZE_PX = 10, 256  # 5 frames a second; the paper's input
WORKERS, WARM_BATCHES = 2, 8
FIGURE_PX = (220, 520)  # a person's width and height at 5 m
NOISE = 1.5  # grey levels


def texture(rng: np.random.Generator, cells: int) -> np.ndarray:
    """(1000, 1000, 3) random colours that change over 1000 / cells pixels."""
    small = Image.fromarray(rng.integers(40, 215, (cells, cells, 3), dtype=np.uint8))
    return np.asarray(small.resize((SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC)).astype(np.int16)


def place_px(frame: int) -> int:
    """Where the figure's left edge is."""
    return int(390 + 200 * np.sin(2 * np.pi * frame / 170))


def write_video(path: Path, frames: int, bit_rate: int) -> float:
    """Encodes the video; gives its bit rate as it came out, Mbit/s."""
    rng = np.random.default_rng(0)
    room, figure = (3 * texture(rng, 12) + texture(rng, 70)) // 4, texture(rng, 40)
    noise = [rng.normal(0, NOISE, (SIDE_PX, SIDE_PX, 1)).round().astype(np.int16) for _ in range(16)]
    width, height = FIGURE_PX
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FRAMES_PER_SECOND, options={"preset": "medium"})
        stream.width = stream.height = SIDE_PX
        stream.pix_fmt, stream.bit_rate = "yuv420p", bit_rate
        for frame in range(frames):
            image, left = room.copy(), place_px(frame)
            image[260 : 260 + height, left : left + width] = figure[:height, :width]
            image += noise[int(rng.integers(len(noise)))]
            encoded = av.VideoFrame.from_ndarray(np.clip(image, 0, 255).astype(np.uint8), format="rgb24")
            container.mux(stream.encode(encoded))
        container.mux(stream.encode())
    return 8e-6 * path.stat().st_size * FRAMES_PER_SECOND / frames


def write_download(root: Path, video: Path, frames: int) -> None:
    """S1's one take: somebody stands where the figure is, before each of the four cameras."""
    offsets = np.random.default_rng(1).normal(0, (150, 400, 150), (32, 3))
    offsets[0] = 0
    for name in CAMERA_NAMES:
        camera = h36m_camera(name, "S1")
        middles = [[place_px(frame) + FIGURE_PX[0] / 2, 520.0] for frame in range(frames)]
        pelvis_px = torch.tensor(middles, dtype=torch.float64)
        pelvis = camera.back_project(pelvis_px, torch.full((frames,), 5000.0, dtype=torch.float64))
        joints = pelvis[:, None] + torch.from_numpy(offsets)
        pixels = camera.project(joints)
        for kind, poses in (("D3_Positions_mono", joints), ("D2_Positions", pixels)):
            path = root / "S1" / "MyPoseFeatures" / kind / f"Directions 1.{name}.cdf"
            path.parent.mkdir(parents=True, exist_ok=True)
            flat = poses.reshape(1, frames, -1).numpy().astype(np.float32)
            file = CDF(path, delete=True)
            entry = {"Variable": "Pose", "Data_Type": CDF.CDF_FLOAT, "Num_Elements": 1, "Rec_Vary": True}
            file.write_var(entry | {"Dim_Sizes": list(flat.shape[1:])}, var_data=flat)
            file.close()
        target = root / "S1" / "Videos" / f"Directions 1.{name}.mp4"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(video, target)


def time_prepare(root: Path, out: Path, frames: int) -> dict[str, float]:
    """Prepares the four videos in this process."""
    wall, cpu = time.perf_counter(), time.process_time()
    made = prepare("human36m", root, out, split="train", step=STEP, workers=1, show_progress=False)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    assert made.frames == len(CAMERA_NAMES) * len(range(0, frames, STEP))
    decoded = len(CAMERA_NAMES) * frames
    return {
        "video_frames": decoded,
        "samples": made.frames,
        "video_frames_per_s_per_core": round(decoded / cpu, 1),
        "video_frames_per_s_wall": round(decoded / wall, 1),
    }


def time_loading(folder: Path, *, images: int, batch_size: int, workers: int = WORKERS) -> dict[str, float]:
    """Loads batches with worker processes; the first ones, while the workers start, do not count."""
    dataset = ShardDataset(folder)
    mixture = Mixture([dataset], seed=0)
    plan = [mixture.draws(step, batch_size) for step in range(WARM_BATCHES + images // batch_size)]
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    loader = DataLoader(mixture, batch_sampler=plan, collate_fn=collate, num_workers=workers)
    start, own, count = 0.0, 0.0, 0
    for number, batch in enumerate(loader):
        if number == WARM_BATCHES - 1:
            start, own = time.perf_counter(), time.process_time()
        elif number >= WARM_BATCHES:
            count += len(batch)
    wall, own = time.perf_counter() - start, time.process_time() - own
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    theirs = after.ru_utime + after.ru_stime - children.ru_utime - children.ru_stime
    size = sum(line["bytes"] for line in dataset.manifest["shards"]) / len(dataset)
    return {
        "images": count,
        "batch_size": batch_size,
        "workers": workers,
        "bytes_per_sample": round(size),
        "images_per_s": round(count / wall, 1),
        "cpu_ms_per_image": round(1000 * (own + theirs * count / sum(map(len, plan))) / count, 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mbit", type=float, nargs="+", default=[2.0, 5.0, 10.0])
    parser.add_argument("--frames", type=int, default=1000, help="of each of the four videos")
    parser.add_argument("--images", type=int, default=16000, help="to load")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)

    busy = os.getloadavg()[0]  # of other work on the machine: nothing was started here yet
    prepared, loaded, roots = [], [], []
    table = Table("H.264", "video frames/s per core", "by wall time", box=None)
    with tempfile.TemporaryDirectory() as folder:
        for mbit in arguments.mbit:
            root = Path(folder) / f"h36m {mbit}"
            video = Path(folder) / "video.mp4"
            actual = write_video(video, arguments.frames, round(1e6 * mbit))
            write_download(root, video, arguments.frames)
            roots.append(root)
            row = time_prepare(root, Path(folder) / f"shards {mbit}", arguments.frames)
            prepared.append({"mbit_per_s": round(actual, 2), **row})
            table.add_row(
                f"{actual:.1f} Mbit/s", f"{row['video_frames_per_s_per_core']:.0f}",
                f"{row['video_frames_per_s_wall']:.0f}",
            )  # fmt: skip
        root, many = roots[len(roots) // 2], Path(folder) / "many"
        prepare("human36m", root, many, split="train", step=2, workers=WORKERS, show_progress=False)
        for batch_size in (32, 64):
            loaded.append(time_loading(many, images=arguments.images, batch_size=batch_size))
    console = Console(width=100)
    console.print(f"prepared at every {STEP}th frame, {SIZE_PX} px; the goal is {GOAL_FRAMES}", table)
    for row in loaded:
        console.print(
            f"loaded with {WORKERS} workers, batches of {row['batch_size']}: {row['images_per_s']:.0f} "
            f"images/s, {row['cpu_ms_per_image']} ms of one core each; the goal is {GOAL_IMAGES}"
        )
    console.print(f"load of the machine when this began: {busy:.1f}; timings by wall suffer above 0.5")
    if arguments.json:
        config = {
            "video": f"{SIDE_PX}x{SIDE_PX}, {FRAMES_PER_SECOND} fps, x264 preset medium, yuv420p",
            "frames": arguments.frames, "step": STEP, "size_px": SIZE_PX, "jpeg_quality": 95,
        }  # fmt: skip
        write_json(
            arguments.json,
            {
                "config": config,
                "load_average_before": round(busy, 2),
                "prepare": prepared,
                "load": loaded,
                **provenance(Path(__file__).parent),
            },
        )


if __name__ == "__main__":
    main()
