"""How much 3D do triplets hold? Real motion and real photographs, there and back, as JSON.

    python experiments/lift.py --mocap DIR --photos DIR --json experiments/results/lift.json

For every take, frames are seen by Human3.6M's four cameras, encoded, decoded, and lifted with the parts'
lengths; the error is set beside that of the same pose laid flat. `given scale` tells `lift` how many
millimetres a crop spans, which a camera and the root's depth would. For every photograph with 3D joints,
decode∘encode is compared with what went in. Nothing is drawn, so nothing licensed is kept.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from hemlets_lib import (
    HEMLETS18,
    decode_triplets,
    encode_triplets,
    lift,
    mpjpe,
    part_lengths,
    part_states,
    render_heatmaps,
)
from hemlets_lib.data.cameras import CAMERA_NAMES, h36m_camera
from hemlets_lib.data.mocap import find_mocap, read_mocap
from hemlets_lib.data.sample import camera_to, joints_box
from hemlets_lib.data.samples import load_samples
from hemlets_lib.geometry import cam_to_crop, crop_affine
from hemlets_lib.results import provenance, write_json
from hemlets_lib.triplets import part_mask

MAP_SIZE, CROP_SIZE = 64, 256


def seen_by(world_mm: torch.Tensor, camera_name: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Frames before one camera: camera space, crop space, and millimetres per crop at the root's depth."""
    camera = camera_to(h36m_camera(camera_name), torch.float32)
    joints = camera.world_to_cam(world_mm)
    crops, spans = [], []
    for pose in joints:
        centre, side = joints_box(camera.project(pose))
        affine = crop_affine(centre, torch.tensor(side), CROP_SIZE)
        crops.append(cam_to_crop(pose, camera, affine, size=CROP_SIZE, root=HEMLETS18.root))
        spans.append(side * pose[HEMLETS18.root, 2] / camera.focal_px.mean())
    return joints, torch.stack(crops), torch.stack(spans)


def lift_errors(
    joints: torch.Tensor, crop: torch.Tensor, spans: torch.Tensor, variant: str
) -> dict[str, float]:
    """MPJPE in mm over the 15 joints on parts, root-aligned, of poses decoded and lifted."""
    states = part_states(joints, HEMLETS18, variant=variant)
    options: dict[str, Any] = {"skeleton": HEMLETS18, "variant": variant}
    maps = encode_triplets(crop, states, size=MAP_SIZE, **options)
    read = decode_triplets(maps, render_heatmaps(crop, size=MAP_SIZE), **options)
    lengths = part_lengths(joints, HEMLETS18)
    found = {"joint_found": read.joint_found, **options}
    unscaled = lift(read.joints_crop, read.states, lengths, **found)
    scaled = lift(read.joints_crop, read.states, lengths, mm_per_crop=spans, **found)
    poses = {
        "flat_mm": unscaled.flat_root_rel_mm,
        "lifted_mm": unscaled.joints_root_rel_mm,
        "flat_given_scale_mm": scaled.flat_root_rel_mm,
        "lifted_given_scale_mm": scaled.joints_root_rel_mm,
    }
    valid = unscaled.valid
    return {name: mpjpe(predicted=p, target=joints, valid=valid).mean().item() for name, p in poses.items()}


def measure_takes(folder: Path, frames: int) -> list[dict[str, Any]]:
    rows = []
    for path in find_mocap(folder):
        world = torch.from_numpy(read_mocap(path).joints_world_mm).float()
        world = world[torch.linspace(0, len(world) - 1, min(frames, len(world))).long()]
        world = world - world[:, :1] * torch.tensor(
            [1.0, 1.0, 0.0]
        )  # over the origin, where the cameras look
        views = [
            torch.cat(parts) for parts in zip(*(seen_by(world, name) for name in CAMERA_NAMES), strict=True)
        ]
        row: dict[str, Any] = {"take": path.stem, "views": len(views[0])}
        for variant in ("hemlets", "5s"):
            row[variant] = lift_errors(*views, variant)
        rows.append(row)
    return rows


def mean_over_views(takes: list[dict[str, Any]]) -> dict[str, Any]:
    """The takes' numbers, each view counting once."""
    views = sum(row["views"] for row in takes)
    mean: dict[str, Any] = {"take": "all", "views": views}
    for variant in ("hemlets", "5s"):
        keys = takes[0][variant]
        mean[variant] = {key: sum(row[variant][key] * row["views"] for row in takes) / views for key in keys}
    return mean


def measure_photos(folder: Path) -> list[dict[str, Any]]:
    rows = []
    for sample in load_samples(folder):
        if sample.joints_cam_mm is None:
            continue
        crop, inside = sample.joints_crop[None], sample.in_crop[None]
        states = part_states(sample.joints_cam_mm[None], HEMLETS18)
        maps = encode_triplets(crop, states, skeleton=HEMLETS18, size=MAP_SIZE, joint_valid=inside)
        read = decode_triplets(maps, render_heatmaps(crop, size=MAP_SIZE, valid=inside), skeleton=HEMLETS18)
        known = part_mask(states, inside, HEMLETS18)
        off = (read.joints_crop - crop[..., :2])[inside].abs().max().item() * MAP_SIZE
        rows.append(
            {
                "photo": sample.meta.sample_id,
                "joints": int(inside.sum()),
                "parts": int(known.sum()),
                "states_agree": int((read.states == states)[known].sum()),
                "worst_joint_cells": off,
            }
        )
    return rows


def show(takes: list[dict[str, Any]], photos: list[dict[str, Any]]) -> None:
    table = Table(
        "take", "views", "flat", "lifted", "lifted, given scale", "lifted, 5s", title="mm per joint"
    )
    for row in takes:
        tri, five = row["hemlets"], row["5s"]
        numbers = (tri["flat_mm"], tri["lifted_mm"], tri["lifted_given_scale_mm"], five["lifted_mm"])
        table.add_row(row["take"], str(row["views"]), *(f"{number:.1f}" for number in numbers))
    Console().print(table)
    table = Table("photo", "joints in crop", "states that agree", "worst joint, cells")
    for row in photos:
        agree = f"{row['states_agree']} of {row['parts']}"
        table.add_row(row["photo"], str(row["joints"]), agree, f"{row['worst_joint_cells']:.1e}")
    Console().print(table)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mocap", type=Path, required=True, help="folder of .amc or .bvh files")
    parser.add_argument("--photos", type=Path, required=True, help="folder of annotated photographs")
    parser.add_argument("--frames", type=int, default=60, help="frames taken from each take")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    takes, photos = measure_takes(arguments.mocap, arguments.frames), measure_photos(arguments.photos)
    takes.append(mean_over_views(takes))
    show(takes, photos)
    if arguments.json:
        config = {"frames": arguments.frames, "cameras": list(CAMERA_NAMES), "map_size": MAP_SIZE}
        result = {"config": config, "takes": takes, "photos": photos, **provenance(Path(__file__).parent)}
        write_json(arguments.json, result)


if __name__ == "__main__":
    main()
