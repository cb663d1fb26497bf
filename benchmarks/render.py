"""Pictures per second of the renderer, on one thread and on all cores, and of what stands around it.

    python benchmarks/render.py --seconds 4 --output benchmarks/results/render.json

"person": poses turn and swing, outfits change and each picture has a floor shadow; backgrounds are made
once, as their cost is listed by itself. "whole sample": all that `SyntheticDataset` does for one of its
samples, that is motion, backdrop, person and labels. "JPEG": its picture encoded as shards store it.
Prints a table and one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch

from hemlets_lib.data.images import encode_jpeg
from hemlets_lib.data.motion import SUBJECTS
from hemlets_lib.data.render import backdrop, render_person
from hemlets_lib.data.shards.build import JPEG_QUALITY
from hemlets_lib.data.synthetic import SyntheticDataset
from hemlets_lib.results import provenance, write_json

SIZES_PX = (128, 256)
NUM_POSES = 32


def swinging_person(index: int) -> np.ndarray:
    """Joint positions (18, 3), mm, of a person 5 m away, turned and mid-stride by `index`."""
    phase = 2 * np.pi * index / 8
    swing, yaw = 0.5 * np.sin(phase), 2 * np.pi * index / NUM_POSES
    joints = np.zeros((18, 3))
    joints[7:11] = (0, 233, 5), (0, 483, 15), (0, 555, 75), (0, 665, 30)
    for side, (hip, shoulder) in ((-1, (1, 14)), (1, (4, 11))):
        leg = np.array([0, -np.cos(swing), side * np.sin(swing)])
        arm = np.array([0.2 * side, -np.cos(swing), -side * np.sin(swing)])
        joints[hip], joints[shoulder] = (133 * side, 0, 0), (145 * side, 405, 5)
        joints[hip + 1] = joints[hip] + 443 * leg
        joints[hip + 2] = joints[hip + 1] + (0, -450, -40)
        joints[shoulder + 1] = joints[shoulder] + 275 * arm
        joints[shoulder + 2] = joints[shoulder + 1] + 250 * (0.8 * arm + (0, 0, 0.6))
    joints[17] = (joints[11] + joints[14]) / 2
    c, s = np.cos(yaw), np.sin(yaw)
    return joints @ np.array([[c, 0, s], [0, -1, 0], [s, 0, -c]]).T + (0, 0, 5000)


def rate(work: Callable[[int], object], *, seconds: float, threads: int) -> float:
    """Calls per second of `work` over a span of wall time."""
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, range(2 * NUM_POSES)))  # compiles, fills caches
        start, done = time.perf_counter(), 0
        while (elapsed := time.perf_counter() - start) < seconds:
            done += len(list(pool.map(work, range(NUM_POSES))))
        return done / elapsed


def person_picture(side: int) -> Callable[[int], np.ndarray]:
    """A function that draws the person of a number, before one background, `side` pixels wide and high."""
    poses = [swinging_person(i) for i in range(NUM_POSES)]
    outfits = [subject.appearance for subject in SUBJECTS.values()]
    background = backdrop("studio", np.random.default_rng([side]), (side, side))

    def picture(i: int) -> np.ndarray:
        return render_person(
            poses[i % NUM_POSES],
            focal_px=(2.35 * side, 2.35 * side),
            centre_px=((side - 1) / 2, (side - 1) / 2 - 0.05 * side),
            size=(side, side),
            appearance=outfits[i % len(outfits)],
            background=background,
            floor=((0.0, 975.0, 5000.0), (0.0, -1.0, 0.0)),
        )

    return picture


def main() -> None:
    """Parses the command line, measures, prints, and writes the result where asked to."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=4.0, help="wall time of each measurement")
    parser.add_argument("--output", type=Path, help="also write the JSON here")
    arguments = parser.parse_args()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    torch.set_num_threads(1)  # as in the workers that build shards; the threads here are the parallelism
    rates: dict[str, float] = {}
    for side in SIZES_PX:
        picture = person_picture(side)
        for threads in sorted({1, cores}):
            rates[f"person, {side} px, {threads} threads"] = rate(
                picture, seconds=arguments.seconds, threads=threads
            )
    for kind in ("studio", "green_screen", "outdoor"):
        rates[f"backdrop {kind}, 128 px, 1 threads"] = rate(
            lambda i, kind=kind: backdrop(kind, np.random.default_rng([i]), (128, 128)),
            seconds=arguments.seconds / 4,
            threads=1,
        )
    for side in SIZES_PX:
        samples = SyntheticDataset(2 * NUM_POSES, size=side)
        pictures = [samples[i].image for i in range(NUM_POSES)]
        rates[f"whole sample, {side} px, 1 threads"] = rate(
            lambda i, samples=samples: samples[i], seconds=arguments.seconds, threads=1
        )
        rates[f"JPEG, {side} px, 1 threads"] = rate(
            lambda i, pictures=pictures: encode_jpeg(pictures[i % NUM_POSES], quality=JPEG_QUALITY),
            seconds=arguments.seconds / 4,
            threads=1,
        )
    print(f"{'what':40} {'per second':>10}")
    for name, value in rates.items():
        print(f"{name:40} {value:10.0f}")
    result = {
        "benchmark": "render",
        "images_per_second": {name: round(value, 1) for name, value in rates.items()},
        **provenance(Path(__file__).parent),
    }
    print(json.dumps(result))
    if arguments.output:
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        write_json(arguments.output, result)


if __name__ == "__main__":
    main()
