"""`hemlets predict --shards … --hardest …`: a page of unusual poses, predicted and true."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import typer

from hemlets_lib.console import console
from hemlets_lib.data.shards import ShardDataset
from hemlets_lib.hard_poses import CRITERION, HardPose, hardest_poses, judge
from hemlets_lib.pose_records import network_record
from hemlets_lib.predict_files import ResultFolder
from hemlets_lib.prediction import predict
from hemlets_lib.prediction_pages import PLOTLY_NAME, gallery_page
from hemlets_lib.results import provenance, write_json
from hemlets_lib.viz_3d import plotly_script
from hemlets_lib.weights import load_network

__all__ = ["write_gallery"]

_RUNS = Path("runs")
_LARGEST_BATCH = 64


def write_gallery(
    shards: Path, count: int, *, weights: Path, out: Path | None, flip: bool, device: str
) -> None:
    """Predicts the most unusual poses of a folder of shards, and writes the page.

    Args:
        shards: What `hemlets data prepare` or `build` wrote.
        count: How many poses.
        weights: The network's file.
        out: A folder that is not there yet, below `runs/`: the pictures may be licensed.
        flip: Average with the mirrored picture's.
        device: Where to compute.

    Raises:
        typer.BadParameter: If `out` exists, or is elsewhere.
        FileNotFoundError, ValueError: If shards or weights are missing, damaged or do not fit together.
    """
    out = out or _RUNS / f"hardest-{shards.resolve().name}-{datetime.now():%Y%m%d-%H%M%S}"
    if _RUNS.resolve() not in out.resolve().parents or out.exists():
        raise typer.BadParameter(
            f"expected a new folder below {_RUNS}/ for pictures of data sets, which may be licensed; "
            f"got {out}.",
            param_hint="--out",
        )
    samples = ShardDataset(shards)
    model, info = load_network(weights, device=device)
    joints, valid = samples.joints()
    model.config.skeleton.check_joints(joints, f"{shards}: joints_crop")
    chosen = hardest_poses(joints, valid, count)
    pictures = [samples[index] for index, _ in chosen]
    found = predict(model, pictures, flip_test=flip, batch_size=_LARGEST_BATCH, return_maps=False)
    criterion = CRITERION.format(count=len(samples))
    network = network_record(weights, info)
    poses = [
        judge(sample, found, row, model.config.skeleton, unusual=unusual)
        for row, (sample, (_, unusual)) in enumerate(zip(pictures, chosen, strict=True))
    ]
    out.parent.mkdir(parents=True, exist_ok=True)
    title = f"Hard poses of {shards.resolve().name}"
    with ResultFolder(out.parent).adding(out.name) as partial:
        for name, written in gallery_page(title, poses, network, model.config.skeleton, criterion).items():
            (partial / name).write_bytes(written.encode() if isinstance(written, str) else written)
        (partial / PLOTLY_NAME).write_text(plotly_script(), encoding="utf-8")
        content = {"criterion": criterion, "shards": str(shards), "data": dict(samples.config)}
        numbers = [{"index": index, **_numbers(pose)} for (index, _), pose in zip(chosen, poses, strict=True)]
        about = {"network": network, "flip_test": flip, **provenance(Path(__file__).resolve().parent)}
        write_json(partial / "results.json", {**content, "poses": numbers, **about})
    console.print(f"{len(poses)} of {len(samples)} poses: {criterion}.", markup=False)
    console.print(f"Open {(out / 'index.html').resolve().as_uri()}", markup=False)


def _numbers(pose: HardPose) -> dict[str, Any]:
    return {
        "sample": pose.name,
        "unusualness": round(pose.unusual, 4),
        "off_percent_of_crop": round(pose.off_percent, 2),
        "mpjpe_mm": None if pose.error_mm is None else round(pose.error_mm, 1),
    }
