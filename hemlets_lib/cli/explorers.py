"""`hemlets explorers`: the explorers as pages that open without a kernel or a network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hemlets_lib.cli.options import PATH, TEXT

__all__ = ["explorers"]

_OUT = Path("runs/explorers")

explorers = typer.Typer(help="Interactive pages without a kernel.", no_args_is_help=True)


@explorers.callback()
def _group() -> None:
    """Keep `export` a command of its own while it is the only one."""


@explorers.command(epilog="Example:  hemlets explorers export --out site --only triplet")
def export(
    out: Annotated[Path, typer.Option(help="Folder to write NAME.html into.", **PATH)] = _OUT,
    only: Annotated[
        list[str] | None,
        typer.Option(help="Only the explorer of this name; repeatable.", show_default="all", **TEXT),
    ] = None,
) -> None:
    """Write each explorer as one HTML page: all states computed beforehand, nothing loaded from elsewhere."""
    from hemlets_lib.console import console
    from hemlets_lib.explorers import EXPLORERS
    from hemlets_lib.explorers.offline import write_page

    if unknown := sorted(set(only or ()) - set(EXPLORERS)):
        raise typer.BadParameter(
            f"there is no explorer {unknown[0]!r}; there are {', '.join(EXPLORERS)}.", param_hint="--only"
        )
    for name, make in EXPLORERS.items():
        if not only or name in only:
            path = write_page(make(), out)
            size = path.stat().st_size / 1e6
            console.print(f"{name}: {size:.1f} MB, {path.resolve().as_uri()}", markup=False, soft_wrap=True)
