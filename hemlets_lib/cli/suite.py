"""`hemlets demo`, `notebooks` and `doctor`: the notebook suite from the command line."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Annotated, Any

import typer

from hemlets_lib.cli.options import PATH, TEXT, Profile, app, assignments

__all__ = ["demo", "doctor", "notebooks"]

_DEMO_NOTEBOOKS = ("00", "01", "02", "03", "04", "06", "07", "08", "09", "11", "12")  # 05 trains for minutes
_OWN_DATA_NOTEBOOK = "10"

NotebooksDir = Annotated[
    Path | None,
    typer.Option(help="Folder of the notebooks.", show_default="notebooks/ of the checkout", **PATH),
]
RunsDir = Annotated[
    Path | None,
    typer.Option(help="Folder that holds the runs.", show_default="runs/ of the checkout", **PATH),
]


@app.command(
    epilog="Example:  hemlets demo\n\nExample:  hemlets demo --mocap ~/cmu/subject02 --photos ~/photos"
)
def demo(
    mocap: Annotated[
        Path | None, typer.Option(help="Folder of motion capture (.amc with its .asf, or .bvh).", **PATH)
    ] = None,
    photos: Annotated[
        Path | None,
        typer.Option(
            help="Folder of photographs with an annotations.json, there or one folder below.", **PATH
        ),
    ] = None,
    profile: Annotated[Profile, typer.Option(help="How much to compute.")] = Profile.laptop,
    notebooks_dir: NotebooksDir = None,
    runs_dir: RunsDir = None,
) -> None:
    """Execute the notebooks (all but training) on the embedded samples, or on your own material."""
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
        str | None, typer.Option(help="Numbers or names, comma separated.", show_default="all", **TEXT)
    ] = None,
    resume: Annotated[
        str | None, typer.Option(help="A run's id, or 'latest': carry on where it stopped.", **TEXT)
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
        parameters=assignments(param, "--param") if param else None,
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
