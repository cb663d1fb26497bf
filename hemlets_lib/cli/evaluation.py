"""`hemlets eval`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from hemlets_lib.cli.options import PATH, TEXT, app

__all__ = ["evaluate"]

_RUNS = Path("runs")
_LEAST_SIZE_PX = 128  # people are drawn at least as large as the generator draws them for training


class ProtocolName(StrEnum):
    """The same names as `hemlets_lib.protocols.PROTOCOLS`."""

    h36m = "h36m"
    h36m_official = "h36m_official"
    humaneva = "humaneva"
    mpi_inf_3dhp = "mpi_inf_3dhp"
    all = "all"


class RootDepth(StrEnum):
    """The same names as `hemlets_lib.evaluate.ROOT_DEPTHS`."""

    labels = "labels"
    bones = "bones"
    bone_search = "bone_search"


class Mode(StrEnum):
    """Whose way of scoring: the literature's, or that of the authors' release."""

    standard = "standard"
    official = "official"


@dataclass(frozen=True)
class _Material:
    """What is evaluated: samples, what they are in words and as JSON, and how many if that is known."""

    samples: Any
    name: str
    config: dict[str, Any]
    count: int | None


@app.command(
    "eval",
    epilog="Example:  hemlets eval\n\n"
    "Example:  hemlets eval --data shards/h36m --protocol h36m --flip-test\n\n"
    "Example:  hemlets eval --mocap ~/cmu --n 2000\n\n"
    "Example:  hemlets eval --mode official --weights hemlets_h36m_lastest.pth --data shards/h36m\n\n"
    "Example:  hemlets eval --weights runs/train-nano/model.safetensors --photos ~/photos",
)
def evaluate(
    weights: Annotated[
        Path | None,
        typer.Option(
            help="A checkpoint, or the authors' .pth.", show_default="the shipped nano.safetensors", **PATH
        ),
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Folder of shards.", **PATH)] = None,
    mocap: Annotated[
        Path | None, typer.Option(help="Folder of motion capture, drawn before four cameras.", **PATH)
    ] = None,
    photos: Annotated[
        Path | None, typer.Option(help="Folder of photographs with an annotations.json.", **PATH)
    ] = None,
    protocol: Annotated[
        ProtocolName | None,
        typer.Option(
            help="What counts, and the table. h36m_official is the table of the authors' release alone.",
            show_default="h36m; all for --mocap, --photos",
        ),
    ] = None,
    mode: Annotated[
        Mode,
        typer.Option(
            help="official: the authors' release throughout: flip test, distance, and table h36m_official."
        ),
    ] = Mode.standard,
    n: Annotated[int, typer.Option("--n", min=1, help="How many people are drawn, where they are.")] = 1200,
    seed: Annotated[int, typer.Option(min=0, help="Decides every drawn person.")] = 0,
    flip_test: Annotated[bool, typer.Option("--flip-test", help="Average with the mirror image's.")] = False,
    root_depth: Annotated[
        RootDepth, typer.Option(help="The root's depth: the labels', or from an adult's bones.")
    ] = RootDepth.labels,
    every: Annotated[
        int | None,
        typer.Option(min=1, help="Of recorded videos every so many frames.", show_default="the protocol's"),
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Pictures at once.")] = 64,
    device: Annotated[
        str | None, typer.Option(help="'cpu' keeps off a GPU.", show_default="what there is", **TEXT)
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the results.", show_default="runs/eval-<time>", **PATH)
    ] = None,
) -> None:
    """Score a trained network by the paper's protocols: tables as Markdown, JSON and a figure.

    Without a data set, drawn people of the test subjects are scored.
    """
    from hemlets_lib.console import console
    from hemlets_lib.data.samples import find_weights
    from hemlets_lib.evaluate import evaluate as run
    from hemlets_lib.evaluate import evaluate_as_released
    from hemlets_lib.results import device_summary
    from hemlets_lib.weights import load_network

    if sum(folder is not None for folder in (data, mocap, photos)) > 1:
        raise typer.BadParameter("expected one of --data, --mocap and --photos, got several.")
    if photos is not None and out is not None and _RUNS.resolve() not in out.resolve().parents:
        raise typer.BadParameter(
            f"expected a folder below {_RUNS}/ for results of photographs, which may be licensed; got {out}.",
            param_hint="--out",
        )
    if mode == Mode.official and (flip_test or protocol is not None or root_depth != RootDepth.labels):
        raise typer.BadParameter(
            "expected no --protocol, --flip-test or --root-depth beside official: the release decides them.",
            param_hint="--mode",
        )
    named = protocol.value if protocol else "h36m" if mocap is None and photos is None else "all"
    weights = weights or find_weights("nano")
    model, info = load_network(weights, device=device or device_summary()["device"])
    size = max(_LEAST_SIZE_PX, model.config.image_size)
    if data is not None:
        material = _shards(data)
    elif mocap is not None:
        material = _motion(mocap, n, seed, size)
    elif photos is not None:
        material = _photographs(photos, model.config.image_size)
    else:
        material = _drawn(named, n, seed, size)
    folder = out or _RUNS / f"eval-{datetime.now():%Y%m%d-%H%M%S}"
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)  # before the work, in case it cannot be made
    started = time.monotonic()
    with _progress(material.count) as advance:
        shared: dict[str, Any] = {"batch_size": batch_size, "frame_step": every, "on_progress": advance}
        if mode == Mode.official:
            evaluation = evaluate_as_released(model, material.samples, **shared)
        else:
            evaluation = run(
                model,
                material.samples,
                protocol=named,
                flip_test=flip_test,
                root_depth=root_depth.value,
                **shared,
            )
    title = f"{info.config.name} on {material.name}"
    content = {
        "evaluation": evaluation.to_dict(),
        "data": material.config,
        "weights": {
            "file": str(weights),
            "preset": info.preset,
            "config": info.config.to_dict(),
            "metadata": info.metadata,
            "library_version": info.library_version,
            "provenance": info.provenance,
        },
        "wall_time_s": round(time.monotonic() - started, 1),
    }
    console.print(evaluation.to_markdown(), markup=False)
    _write(folder, evaluation, title, content)
    console.print(f"{title}: results.json, results.md and figure.png are in {folder}", markup=False)


def _shards(folder: Path) -> _Material:
    from hemlets_lib.data.shards import ShardDataset

    samples = ShardDataset(folder)
    return _Material(samples, f"{folder.name} (shards)", dict(samples.config), len(samples))


def _drawn(protocol: str, n: int, seed: int, size: int) -> _Material:
    """The protocol's data set as the generator has it."""
    from hemlets_lib.data.counterparts import COUNTERPARTS, Counterpart
    from hemlets_lib.data.synthetic import SyntheticDataset

    samples: Counterpart | SyntheticDataset
    if protocol in COUNTERPARTS:
        samples = Counterpart(protocol, n, split=COUNTERPARTS[protocol][-1], seed=seed, size=size)
    else:
        samples = SyntheticDataset(n, split="test", seed=seed, size=size)
    return _Material(samples, "drawn people", dict(samples.config), n)


def _photographs(folder: Path, size: int) -> _Material:
    from hemlets_lib.data.photos import read_photos
    from hemlets_lib.data.samples import sample_from_photo

    photos = read_photos(folder)
    samples = (sample_from_photo(photo, size) for photo in photos)
    return _Material(samples, "photographs", {"kind": "photographs", "size": size}, len(photos))


def _motion(folder: Path, n: int, seed: int, size: int) -> _Material:
    """Frames spread evenly over each take, each seen by every camera; n views in all, or a few less."""
    import numpy as np

    from hemlets_lib.data.cameras import CAMERA_NAMES
    from hemlets_lib.data.mocap import find_mocap, read_mocap
    from hemlets_lib.data.synthetic import samples_from_take

    files = find_mocap(folder)
    per_take = max(1, n // (len(files) * len(CAMERA_NAMES)))

    def views() -> Iterator[Any]:
        for file in files:
            take = read_mocap(file)
            count = len(take.joints_world_mm)
            frames = np.linspace(0, count - 1, min(per_take, count)).round().astype(int)
            yield from samples_from_take(take, frames=frames.tolist(), size=size, seed=seed)

    config = {"kind": "mocap", "takes": [file.stem for file in files], "seed": seed, "size": size}
    return _Material(views(), "drawn people, recorded motion", config, None)


@contextmanager
def _progress(total: int | None) -> Iterator[Any]:
    """A function to be told how many samples were looked at."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from hemlets_lib.console import console

    columns = (TextColumn("evaluating"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=total)
        yield lambda done: bar.update(task, completed=done)


def _write(folder: Path, evaluation: Any, title: str, content: dict[str, Any]) -> None:
    from hemlets_lib.results import provenance, write_json
    from hemlets_lib.viz import png_bytes
    from hemlets_lib.viz_evaluation import evaluation_figure

    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "results.json", content | provenance(Path(__file__).resolve().parent))
    (folder / "results.md").write_text(f"# {title}\n\n{evaluation.to_markdown()}", encoding="utf-8")
    (folder / "figure.png").write_bytes(png_bytes(evaluation_figure(evaluation, title=title)))
