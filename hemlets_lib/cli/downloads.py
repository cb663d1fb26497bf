"""`hemlets data prepare` and `hemlets data check`: data sets that the user has downloaded."""

from __future__ import annotations

import shlex
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hemlets_lib.cli.options import PATH, TEXT, path
from hemlets_lib.cli.shards import data

if TYPE_CHECKING:
    from hemlets_lib.data.prepare import Prepared

__all__ = ["data_check", "data_prepare"]

_EXAMPLES = 3  # of files with the same problem, on the screen

Name = Annotated[str, typer.Argument(help="Data set; `hemlets data sets` lists them.", **TEXT)]
Root = Annotated[Path, typer.Option(help="Folder of the download; only read.", **PATH)]
Form = Annotated[
    str | None,
    typer.Option(help="Which form of the data set lies there.", show_default="what it looks like", **TEXT),
]


@data.command("sets", epilog="Example:  hemlets data sets")
def data_sets() -> None:
    """List the data sets that can be read, each form with what its folder holds."""
    from hemlets_lib.console import console
    from hemlets_lib.data.readers import READERS

    for name, forms in READERS.items():
        for form, reader in forms.items():
            console.print(f"[bold]{name}[/bold], form [bold]{form}[/bold]: {reader.title}")
            console.print(f"splits {', '.join(reader.splits)}; the folder holds", style="dim")
            console.print(textwrap.indent(reader.layout, "    "), markup=False, highlight=False)
            console.print()


@data.command(
    "prepare",
    epilog="Example:  hemlets data prepare human36m --root ~/h36m --split train --out shards/h36m-train\n\n"
    "Example:  hemlets data prepare mpii --root ~/mpii --form simple_baselines\n\nRun again to resume.",
)
def data_prepare(
    name: Name,
    root: Root,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for the shards; made if missing.", show_default="shards/<name>-<split>", **PATH
        ),
    ] = None,
    form: Form = None,
    split: Annotated[
        str | None, typer.Option(help="Which part.", show_default="the form's first", **TEXT)
    ] = None,
    step: Annotated[
        int | None,
        typer.Option(min=1, help="Of videos, every so many frames.", show_default="the protocol's"),
    ] = None,
    subjects: Annotated[
        str | None, typer.Option(help="Only these, comma separated.", show_default="all", **TEXT)
    ] = None,
    size: Annotated[int, typer.Option(min=16, help="Side of the crops, pixels.")] = 256,
    quality: Annotated[int, typer.Option(min=1, max=100, help="Of the crops' JPEG.")] = 95,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes.", show_default="one per core")
    ] = None,
) -> None:
    """Crop a downloaded data set into shards to train and evaluate on; an interrupted run carries on."""
    from rich.markup import escape

    from hemlets_lib.console import console
    from hemlets_lib.data.downloads import check, find_reader
    from hemlets_lib.data.prepare import prepare

    reader = find_reader(name, root, form=form)
    part = split or reader.splits[0]
    reader.check_split(part)
    out = out or Path("shards", f"{name}-{part}")
    with console.status(f"reading the labels of {name}, form {reader.form}") as status:

        def on_take(take: str) -> None:
            status.update(f"reading labels: {escape(take)}")

        prepared = prepare(
            name,
            root,
            out,
            form=form,
            split=part,
            step=step,
            subjects=[each.strip() for each in subjects.split(",")] if subjects else (),
            size=size,
            quality=quality,
            workers=workers,
            on_take=on_take,
            on_labels_read=status.stop,
        )
    _print_prepared(prepared)
    found = check(name, root, form=form)
    if count := len(found.problems):
        console.print(
            f"The download is incomplete ({count} problem{'s' if count > 1 else ''}, the first: "
            f"{found.problems[0]}). `hemlets data check {name} --root {shlex.quote(str(root))}` names what "
            "is missing.",
            markup=False,
            style="yellow",
        )
    verb = "train" if part.startswith("train") else "eval"
    shards = shlex.quote(str(out))
    console.print(
        f"Use it with `hemlets {verb} --data {shards}`; check it with `hemlets data verify {shards}`.",
        markup=False,
    )


def _print_prepared(prepared: Prepared) -> None:
    from rich.markup import escape
    from rich.table import Table

    from hemlets_lib.console import console

    table = Table("subject", "frames", "actions", "cameras", box=None, pad_edge=False)
    for row in prepared.rows:
        table.add_row(escape(row.subject) or "-", str(row.frames), str(row.actions), str(row.cameras))
    table.add_row("all", str(prepared.frames), str(len(prepared.actions)), "")
    console.print(table)
    if not prepared.left_out:
        console.print("Nothing was left out.")
        return
    table = Table("left out because", "items", "frames", "for example", box=None, pad_edge=False)
    for item in prepared.left_out:
        table.add_row(escape(item.reason), str(item.items), str(item.frames or "?"), escape(item.example))
    console.print(table)


@data.command("check", epilog="Example:  hemlets data check human36m --root ~/h36m")
def data_check(
    name: Name,
    root: Root,
    form: Form = None,
    report: Annotated[
        Path | None, typer.Option(help="Also write the report to this file.", show_default="no", **PATH)
    ] = None,
) -> None:
    """Say in seconds whether a download is complete, file by file. Exit 1 if anything is missing."""
    from hemlets_lib.console import console
    from hemlets_lib.data.downloads import check

    found = check(name, root, form=form)
    console.print(found.report(examples=_EXAMPLES), markup=False, highlight=False)
    if report is not None:
        path(report).write_text(found.report() + "\n", encoding="utf-8")
    console.print(
        "\nReaders are tested on files in the data sets' formats, not on the downloads themselves. If you "
        "open an issue with these lines, or the file of --report, others will know which assumptions hold; "
        "they hold nothing of the data."
    )
    if not found.problems:
        console.print(f"Next: `hemlets data prepare {name} --root {shlex.quote(str(root))}`", markup=False)
    else:
        raise typer.Exit(1)
