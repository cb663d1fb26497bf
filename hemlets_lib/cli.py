"""The `hemlets` command. Heavy imports wait inside the commands, so that `--help` answers at once."""

from __future__ import annotations

import io
import os
import shlex
import signal
import sys
from collections.abc import Mapping
from enum import StrEnum
from fnmatch import fnmatch
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

__all__ = ["app", "main"]

app = typer.Typer(
    name="hemlets",
    help="HEMlets: part-centric heatmap triplets for 3D human pose, to teach, explore and reproduce.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)

data = typer.Typer(help="Make and check samples and shards.", no_args_is_help=True)
app.add_typer(data, name="data")

_DEMO_NOTEBOOKS = ("00", "01", "02", "03")
_OWN_DATA_NOTEBOOK = "10"


class Split(StrEnum):
    """Which of Human3.6M's subjects are drawn: S1, S5, S6, S7, S8, or S9, S11."""

    train = "train"
    test = "test"


class Profile(StrEnum):
    """How much a notebook computes; the same names as `hemlets_lib.notebooks.PROFILES`."""

    smoke = "smoke"
    laptop = "laptop"
    gpu = "gpu"
    paper = "paper"


def _text(value: str) -> str:
    """An option's text; an empty one, as an unset shell variable gives, never means the default."""
    if not value.strip(" ,"):
        raise typer.BadParameter(f"expected a value, got {value!r}. Give one, or leave it out.")
    return value


def _path(value: str | Path) -> Path:
    return Path(_text(str(value)))


_TEXT: Any = {"parser": _text, "metavar": "TEXT"}
_PATH: Any = {"parser": _path, "metavar": "PATH"}  # typer alone takes '' for the current folder

NotebooksDir = Annotated[
    Path | None,
    typer.Option(help="Folder of the notebooks.", show_default="notebooks/ of the checkout", **_PATH),
]
RunsDir = Annotated[
    Path | None,
    typer.Option(help="Folder that holds the runs.", show_default="runs/ of the checkout", **_PATH),
]


@app.command(
    epilog="Example:  hemlets demo\n\nExample:  hemlets demo --mocap ~/cmu/subject02 --photos ~/photos"
)
def demo(
    mocap: Annotated[
        Path | None, typer.Option(help="Folder of motion capture (.amc with its .asf, or .bvh).", **_PATH)
    ] = None,
    photos: Annotated[
        Path | None,
        typer.Option(
            help="Folder of photographs with an annotations.json, there or one folder below.", **_PATH
        ),
    ] = None,
    profile: Annotated[Profile, typer.Option(help="How much to compute.")] = Profile.laptop,
    notebooks_dir: NotebooksDir = None,
    runs_dir: RunsDir = None,
) -> None:
    """Execute the first notebooks on the embedded samples, or on your own material."""
    from hemlets_lib.console import console

    parameters: dict[str, object] = {}
    if mocap is not None:
        parameters["mocap_dir"] = _folder_with(mocap, ("*.amc", "*.bvh"), "--mocap")
    if photos is not None:
        parameters["photos_dir"] = _folder_with(photos, ("annotations.json",), "--photos")
    only = [*_DEMO_NOTEBOOKS, _OWN_DATA_NOTEBOOK] if parameters else list(_DEMO_NOTEBOOKS)
    material = " and ".join(str(folder) for folder in parameters.values()) or "the embedded samples"
    console.print(f"Notebooks {', '.join(only)} on {material}, profile {profile.value}:")
    _run_suite(
        profile=profile.value,
        only=only,
        parameters=parameters,
        notebooks_dir=notebooks_dir,
        runs_dir=runs_dir,
    )


@app.command(
    epilog="Example:  hemlets notebooks --profile smoke --only 01,03\n\n"
    "Example:  hemlets notebooks --param sample_index=3\n\nExample:  hemlets notebooks --resume latest"
)
def notebooks(
    profile: Annotated[
        Profile | None, typer.Option(help="How much to compute.", show_default="smoke")
    ] = None,
    only: Annotated[
        str | None, typer.Option(help="Numbers or names, comma separated.", show_default="all", **_TEXT)
    ] = None,
    resume: Annotated[
        str | None, typer.Option(help="A run's id, or 'latest': carry on where it stopped.", **_TEXT)
    ] = None,
    param: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE for the notebooks that declare NAME; repeatable.")
    ] = None,
    write: Annotated[
        bool, typer.Option("--write", help="Put the outputs into the notebooks, as they are committed.")
    ] = False,
    timeout_s: Annotated[
        float | None,
        typer.Option(min=1, help="Limit for one notebook, in seconds.", show_default="by profile"),
    ] = None,
    cell_timeout_s: Annotated[
        float | None, typer.Option(min=1, help="Limit for one cell, in seconds.")
    ] = None,
    notebooks_dir: NotebooksDir = None,
    runs_dir: RunsDir = None,
) -> None:
    """Execute the notebook suite; leaves executed notebooks, pages and results.json under runs/."""
    _run_suite(
        profile=profile.value if profile else None,
        only=only.split(",") if only else [],
        parameters=_assignments(param) if param else None,
        resume=resume,
        write=write,
        timeout_s=timeout_s,
        cell_timeout_s=cell_timeout_s,
        notebooks_dir=notebooks_dir,
        runs_dir=runs_dir,
    )


@app.command(epilog="Example:  hemlets doctor")
def doctor() -> None:
    """Say what is installed, what will be used, and what is missing with the command that mends it."""
    from hemlets_lib.doctor import examine, print_report

    if not print_report(examine()):
        raise typer.Exit(1)


@data.command(
    "build",
    epilog="Example:  hemlets data build --n 30000 --split train --out shards/train\n\nRun again to resume.",
)
def data_build(
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for the shards; made if missing.", show_default="shards/<split>", **_PATH),
    ] = None,
    n: Annotated[int, typer.Option("--n", min=1, help="How many samples.")] = 30000,
    split: Annotated[Split, typer.Option(help="Whose bodies and clothes.")] = Split.train,
    size: Annotated[int, typer.Option(min=16, help="Side of the pictures, pixels.")] = 128,
    seed: Annotated[int, typer.Option(min=0, help="Decides every sample.")] = 0,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes.", show_default="one per core")
    ] = None,
) -> None:
    """Draw people into shards on disk; an interrupted build carries on where it stopped."""
    from hemlets_lib.console import console
    from hemlets_lib.data.shards import build_shards
    from hemlets_lib.data.synthetic import SyntheticDataset

    out = out or Path("shards", split.value)
    source = SyntheticDataset(n, split=split.value, seed=seed, size=size)
    build_shards(out, source, workers=workers)
    console.print(f"{n} samples in {out}. Check them with `hemlets data verify {out}`.")


@data.command("verify", epilog="Example:  hemlets data verify shards/train")
def data_verify(folder: Annotated[Path, typer.Argument(help="Folder with shards.", parser=_path)]) -> None:
    """Read every shard back: hashes, counts, pictures. Exit 1 if anything is damaged."""
    from hemlets_lib.data.shards import verify_shards

    _print_check(verify_shards(folder))


@data.command(
    "samples",
    epilog="Example:  hemlets data samples --check\n\nExample:  hemlets data samples --out data_samples",
)
def data_samples(
    out: Annotated[Path, typer.Option(help="Folder for the samples.", **_PATH)] = Path("data_samples"),
    check: Annotated[
        bool, typer.Option("--check", help="Only compare them with what the generator makes today.")
    ] = False,
) -> None:
    """Make the samples that ship with the project anew, or check them."""
    from hemlets_lib.data.samples import check_samples, write_samples

    if not check:
        write_samples(out)
        _draw_overview(out)
    _print_check(check_samples(out))


def _draw_overview(folder: Path, index: int = 26) -> None:
    """The README's picture: one sample, its joints, its triplets, and the pose lifted from them."""
    from hemlets_lib.data import collate
    from hemlets_lib.data.shards import ShardDataset
    from hemlets_lib.lifting import lift
    from hemlets_lib.skeleton import HEMLETS18
    from hemlets_lib.triplets import encode_triplets, part_lengths
    from hemlets_lib.viz import png_bytes
    from hemlets_lib.viz_3d import overview_figure

    sample = ShardDataset(folder)[index]
    one = collate([sample])
    triplets = encode_triplets(one.joints_crop, one.part_states, skeleton=HEMLETS18, size=64)
    lengths_mm = part_lengths(one.joints_cam_mm, HEMLETS18)
    pose = lift(one.joints_crop[..., :2], one.part_states, lengths_mm, skeleton=HEMLETS18)
    figure = overview_figure(
        sample.image,
        sample.joints_crop,
        triplets[0],
        pose.joints_root_rel_mm[0],
        HEMLETS18,
        valid_2d=sample.in_crop,
        valid_3d=pose.valid[0],
    )
    (folder / "overview.png").write_bytes(png_bytes(figure))


def _print_check(found: Any) -> None:
    from hemlets_lib.console import console

    for problem in found.problems:
        console.print(problem, markup=False, style="red")
    console.print(f"{found.root}: {found.num_rows} samples, {found.num_bytes / 1e6:.1f} MB", end=", ")
    console.print("as they should be." if found.ok else f"{len(found.problems)} problems.")
    if not found.ok:
        raise typer.Exit(1)


def _assignments(entries: list[str]) -> dict[str, object]:
    values: dict[str, object] = {}
    for entry in entries:
        name, equals, value = entry.partition("=")
        if not (equals and name.strip().isidentifier()):
            raise typer.BadParameter(f"expected NAME=VALUE, got {entry!r}.", param_hint="--param")
        values[name.strip()] = value
    return values


def _folder_with(folder: Path, patterns: tuple[str, ...], option: str) -> Path:
    """The folder, absolute, if a file below it has one of the names wanted (in either case)."""
    folder = folder.expanduser().resolve()
    wanted = " or ".join(patterns)
    if not folder.is_dir():
        raise typer.BadParameter(f"expected a folder with {wanted}, got {folder}.", param_hint=option)
    names = (path.name.lower() for path in folder.rglob("*"))
    if not any(fnmatch(name, pattern) for name in names for pattern in patterns):
        raise typer.BadParameter(f"no {wanted} in {folder} or below.", param_hint=option)
    return folder


def _run_suite(**options: Any) -> None:
    """Run notebooks and print what happened; exit 1 if anything failed, 130 when interrupted."""
    from hemlets_lib.console import error_console
    from hemlets_lib.runs import RunInterrupted, run_notebooks

    try:
        run = run_notebooks(**options)
    except RunInterrupted as interruption:
        command = _command_after(interruption.run.folder.name, options)
        effect = "starts again" if options.get("write") else "carries on from here"
        error_console.print(f"Interrupted. `{command}` {effect}.", markup=False)
        raise typer.Exit(130) from None
    except KeyboardInterrupt:
        error_console.print("Interrupted before the run began.")
        raise typer.Exit(130) from None
    _print_run(run.results, run.index)
    if not run.ok:
        raise typer.Exit(1)


def _command_after(run_id: str, options: Mapping[str, Any]) -> str:
    """What to type after an interruption, with the options that a run does not record."""
    words = ["hemlets", "notebooks"]
    if not options.get("write"):
        words += ["--resume", run_id]
    else:  # --write takes no --resume
        words += ["--write", *(["--only", ",".join(options["only"])] if options["only"] else [])]
    for name in ("timeout_s", "cell_timeout_s", "notebooks_dir", "runs_dir"):
        if options.get(name) is not None:
            words += [f"--{name.replace('_', '-')}", str(options[name])]
    return shlex.join(words)


def _print_run(results: Mapping[str, Any], index: Path) -> None:
    """A table, the end of each failure's traceback, and where to look."""
    from rich.table import Table

    from hemlets_lib.console import console, format_seconds

    entries = results["notebooks"]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("notebook", "status", "time", "memory"):
        table.add_column(column, justify="right" if column in ("time", "memory") else "left")
    for _, entry in sorted(entries.items()):
        colour = "green" if entry["status"] == "ok" else "red"
        memory = f"{entry['peak_memory_mib']:.0f} MiB" if entry["peak_memory_mib"] else ""
        status = f"[{colour}]{entry['status']}[/{colour}]"
        table.add_row(entry["title"], status, format_seconds(entry["wall_time_s"]), memory)
    console.print()
    console.print(table)
    for name, entry in sorted(entries.items()):
        if entry["error"]:
            console.print(f"\n[red]{name}[/red]")
            console.print(
                "\n".join([entry["error"]["summary"], *entry["error"].get("traceback", ())]), markup=False
            )
        for address in entry.get("loads_from_network", ()):
            console.print(f"[yellow]{name}: the page needs the network for {address}[/yellow]")
    good = sum(entry["status"] == "ok" for entry in entries.values())
    console.print(f"\n{good} passed, {len(entries) - good} failed")
    console.print(f"Open {index.as_uri()}", markup=False)


def _stop(signum: int, frame: object) -> NoReturn:
    raise KeyboardInterrupt


def main() -> None:
    """Entry point. Failures become one line: exit 2 for bad usage, 1 for the rest.

    `HEMLETS_DEBUG=1` in the environment shows tracebacks.
    """
    signal.signal(signal.SIGTERM, _stop)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a stream that cannot write '·' writes '?'
            stream.reconfigure(errors="replace")
    try:
        app()
    except Exception as error:
        if os.environ.get("HEMLETS_DEBUG") == "1":
            raise
        message = str(error).strip() or "no message"
        if _is_usage(error):
            _fail(message, 2)
        if not isinstance(error, ValueError | OSError | RuntimeError):  # not meant for the reader: a bug
            message = f"{type(error).__name__}: {message} (HEMLETS_DEBUG=1 shows where)"
        _fail(message, 1)


def _is_usage(error: Exception) -> bool:
    """Whether the error is about the command line, told without importing the runner for other commands."""
    module = sys.modules.get("hemlets_lib.notebooks")
    return module is not None and isinstance(error, module.NotebookUsageError)


def _fail(message: str, status: int) -> NoReturn:
    from hemlets_lib.console import error_console

    error_console.print("[red]error:[/red] ", end="")
    error_console.print(message, markup=False)
    raise SystemExit(status)


if __name__ == "__main__":
    main()
