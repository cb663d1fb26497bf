"""`hemlets predict`."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hemlets_lib.cli.options import PATH, Precision, app, path, text

if TYPE_CHECKING:
    from hemlets_lib.cli.prediction_work import Outcome, PredictionTask
    from hemlets_lib.people import PersonBox
    from hemlets_lib.predict_files import FilesFound, ResultFolder

__all__ = ["predict"]

_RUNS = Path("runs")
_NAMES_SHOWN = 5
_HARDEST = 12  # poses on a page, where nobody says


def _box(value: str) -> PersonBox:
    from hemlets_lib.people import parse_box

    try:
        return parse_box(value)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def _focal(value: str) -> float | None:
    if text(value).strip().lower() == "none":
        return None
    try:
        focal_px = float(value)
    except ValueError:
        raise typer.BadParameter(f"expected a number of pixels, or none, got {value!r}.") from None
    if not 0 < focal_px < math.inf:
        raise typer.BadParameter(
            f"expected a positive number of pixels, or none, got {value!r}. Leave it out if unknown."
        )
    return focal_px


def _device(value: str) -> str:
    if not re.fullmatch(r"cpu|mps|cuda(:\d+)?", text(value)):
        raise typer.BadParameter(f"expected cpu, cuda (cuda:1 for the second) or mps, got {value!r}.")
    return value


def _check_device(device: str) -> None:
    import torch

    kind, _, number = device.partition(":")
    there = {"cpu": True, "mps": torch.backends.mps.is_available(), "cuda": torch.cuda.is_available()}
    if not there[kind] or int(number or 0) >= (torch.cuda.device_count() if kind == "cuda" else 1):
        have = ", ".join(name for name, is_there in there.items() if is_there)
        raise typer.BadParameter(
            f"expected what torch finds here ({have}), got {device}.", param_hint="--device"
        )


@app.command(
    epilog="Example:  hemlets predict me.jpg\n\n"
    "Example:  hemlets predict party.jpg --box 410,80,120,310 --box 600,95,110,300\n\n"
    "Example:  hemlets predict ~/photos clip.mp4 --detect --every 10\n\n"
    "Example:  hemlets predict me.jpg --weights hemlets_h36m_lastest.pth --focal 1150\n\n"
    "Example:  hemlets predict --shards shards/lsp --hardest 12"
)
def predict(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Pictures, videos, or folders of them.", show_default=False, parser=path, metavar="PATH"
        ),
    ] = None,
    box: Annotated[
        list[Any] | None,
        typer.Option(
            help="x,y,width,height of a person in pixels; repeat for several.", parser=_box, metavar="X,Y,W,H"
        ),
    ] = None,
    detect: Annotated[bool, typer.Option("--detect", help="Find people (a 167 MB download, once).")] = False,
    weights: Annotated[
        Path | None,
        typer.Option(
            help="A checkpoint, or the authors' .pth.", show_default="the shipped nano.safetensors", **PATH
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for the results.", show_default="runs/predict-<name>, a new one", **PATH),
    ] = None,
    flip: Annotated[bool, typer.Option("--flip", help="Average with the mirror image's.")] = False,
    every: Annotated[
        int | None,
        typer.Option(min=1, help="Of videos every so many frames.", show_default="5 a second"),
    ] = None,
    focal: Annotated[
        Any,
        typer.Option(
            help="The camera's focal length in pixels; none: without perspective.",
            parser=_focal,
            metavar="PX",
            show_default="none",
        ),
    ] = None,
    recursive: Annotated[
        bool, typer.Option("--recursive", help="Also look into folders in folders.")
    ] = False,
    min_score: Annotated[float, typer.Option(min=0, max=1, help="How sure the detector must be.")] = 0.7,
    max_overlap: Annotated[
        float, typer.Option(min=0, max=1, help="Of two boxes that overlap more, one is kept.")
    ] = 0.5,
    max_people: Annotated[
        int | None, typer.Option(min=1, help="Keep the surest so many.", show_default="everybody")
    ] = None,
    shards: Annotated[
        Path | None, typer.Option(help="Folder of labelled shards, for --hardest; instead of paths.", **PATH)
    ] = None,
    hardest: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="With --shards: a page of so many unusual poses, predicted and true.",
            show_default=f"{_HARDEST}",
        ),
    ] = None,
    precision: Annotated[
        Precision,
        typer.Option(help="bfloat16 is less exact, and faster where the processor knows it."),
    ] = Precision.float32,
    device: Annotated[
        str | None,
        typer.Option(
            help="cpu, cuda or mps; cpu keeps off a GPU.",
            show_default="what there is",
            parser=_device,
            metavar="DEVICE",
        ),
    ] = None,
) -> None:
    """Pictures and videos in, poses out: pages to open, poses as JSON, overlays.

    Without --box and --detect, each picture is taken for one person. Exit status 1 if a file could not be
    read, or nobody was found in one; the others are done all the same.
    """
    from hemlets_lib.console import error_console
    from hemlets_lib.data.samples import find_weights
    from hemlets_lib.predict_files import ResultFolder, find_files, new_folder, readable
    from hemlets_lib.results import device_summary

    if hardest is not None and shards is None:
        raise typer.BadParameter("--hardest needs --shards, a folder of labelled shards; got none.")
    if (shards is None) == (not paths):
        raise typer.BadParameter("expected paths of pictures or videos, or --shards; got both or neither.")
    if box and detect:
        raise typer.BadParameter("expected --box or --detect, got both.")
    if shards is not None and (box or detect or recursive or every or focal or precision != "float32"):
        raise typer.BadParameter(
            "expected --shards with --hardest, --weights, --flip and --out at most: labelled crops need no "
            "--box, --detect, --every, --focal, --precision or --recursive."
        )
    if device is not None:
        _check_device(device)
    if out is not None and out.exists() and not out.is_dir():
        raise typer.BadParameter(
            f"expected a folder for the results, got the file {out}.", param_hint="--out"
        )
    device = device or device_summary()["device"]
    weights = weights or find_weights("nano")
    if shards is not None:
        from hemlets_lib.cli.gallery import write_gallery

        write_gallery(shards, hardest or _HARDEST, weights=weights, out=out, flip=flip, device=device)
        return
    files = find_files(paths or (), recursive=recursive)
    if box and len(files.files) > 1:
        raise typer.BadParameter(
            f"--box is about one picture or video, got {len(files.files)}. Call once for each, or --detect."
        )
    from hemlets_lib.cli.prediction_work import PredictionTask, write_script

    task = PredictionTask(
        weights=weights, device=device, boxes=tuple(box or ()), detect=detect, flip=flip, every=every,
        focal_px=focal, precision=precision,
        selection={"least_score": min_score, "most_overlap": max_overlap, "most_people": max_people},
    )  # fmt: skip
    if box:
        try:
            task.check_boxes(files.files[0])
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint="--box") from error
    task.load()
    if out is None:
        with ResultFolder(_RUNS).writing():
            out = new_folder(_RUNS, f"predict-{_name_of(files, paths or ())}")
    folder = ResultFolder(out)
    interrupted = False
    with folder.writing(), folder.held():
        folder.start(task.asked(files))
        write_script(folder)
        try:
            with _progress(len(files.files)) as bar:
                for file in files.files:
                    bar.start(readable(file.path.name))
                    if not folder.has(file.name):
                        task.work(file, folder, bar.frame)
                        if file.name in task.failures:
                            error_console.print(f"failed: {task.failures[file.name]}", markup=False)
                    bar.stop()
        except KeyboardInterrupt:
            interrupted = True
        outcome = task.write_index(folder, files)
    if interrupted:
        error_console.print(
            f"Interrupted. The same command with --out {shlex.quote(str(folder.root))} carries on.",
            markup=False,
        )
        raise typer.Exit(130)
    _report(folder, files, task, outcome)
    if outcome.failed or outcome.nobody:
        raise typer.Exit(1)


def _name_of(files: FilesFound, paths: Sequence[Path]) -> str:
    first = paths[0].resolve()
    name = first.name if first.is_dir() else first.stem
    return name if len(paths) == 1 else f"{name}-and-{len(files.files) - 1}-more"


def _report(results: ResultFolder, files: FilesFound, task: PredictionTask, outcome: Outcome) -> None:
    from hemlets_lib.console import console
    from hemlets_lib.predict_files import readable

    for what, names in {
        "nobody found in": outcome.nobody,
        "skipped, neither picture nor video:": [readable(file.name) for file in files.skipped],
        "not looked into:": [f"{readable(folder.name)}/" for folder in files.folders],
    }.items():
        if names:
            more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
            console.print(f"{what} {', '.join(names[:_NAMES_SHOWN])}{more}", markup=False)
    summary = outcome.in_words(len(files.files), len(files.skipped))
    if not outcome.done:
        console.print(f"{summary}: {results.root / 'poses.json'} says why", markup=False)
        return
    console.print(f"{summary}: pages and poses.json are in {results.root}", markup=False)
    if not task.boxes and not task.detect:
        console.print(
            "Each picture was taken for one person who fills it; --box or --detect say where people are."
        )
    if task.network["has_seen_photographs"] is False:
        console.print("These weights have only ever seen drawings of people: expect failures on photographs.")
    only = results.root / files.files[0].name / "index.html"
    page = only if len(files.files) == 1 and only.is_file() else results.root / "index.html"
    console.print(f"Open {page.resolve().as_uri()}", markup=False)


class _Bar:
    """What is being worked on, on a line."""

    def __init__(self, advance: Callable[..., None]) -> None:
        self._advance, self._name = advance, ""

    def start(self, name: str) -> None:
        self._name = name
        self._advance(description=name)

    def frame(self, index: int) -> None:
        self._advance(description=f"{self._name}, frame {index}")

    def stop(self) -> None:
        self._advance(advance=1)


@contextmanager
def _progress(total: int) -> Iterator[_Bar]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from hemlets_lib.console import console

    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}", markup=False),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=total)
        yield _Bar(lambda **change: progress.update(task, **change))
