"""`hemlets memory`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

import typer

from hemlets_lib.cli.options import TEXT, app

if TYPE_CHECKING:
    from hemlets_lib.memory import MemoryUse

__all__ = ["memory"]

_UNITS = {"": 1, "MB": 10**6, "GB": 10**9, "TB": 10**12, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*")


def _bytes(text: str) -> float:
    found = _SIZE.fullmatch(text)
    unit = found and found[2].upper()
    if not found or unit not in _UNITS or float(found[1]) == 0:
        raise typer.BadParameter(f"expected a size such as 80GB or 24GiB, got {text!r}.")
    return float(found[1]) * _UNITS[unit]


@app.command(
    epilog="Example:  hemlets memory --memory 24GiB\n\n"
    "Example:  hemlets memory --preset official --memory 80GB --spare 0.05"
)
def memory(
    preset: Annotated[
        str | None, typer.Option(help="One network.", show_default="all of them", **TEXT)
    ] = None,
    size: Annotated[
        str, typer.Option("--memory", help="Of the device, such as 80GB or 24GiB.", **TEXT)
    ] = "16GB",
    spare: Annotated[
        float,
        typer.Option(min=0.0, max=0.9, help="Share left to the allocator, the program and other work."),
    ] = 0.15,
) -> None:
    """The largest batch that fits into a memory, in training and in inference, read off the networks.

    Nothing is run and no memory taken. Inference is that of the network as it is trained; one fused to
    bfloat16 (`fuse`) needs less. GB is 10^9 bytes, GiB 2^30.
    """
    from rich.table import Table

    from hemlets_lib.console import console
    from hemlets_lib.memory import inference_memory, training_memory
    from hemlets_lib.model import PRESETS

    available = _bytes(size)
    if preset is not None and preset not in PRESETS:
        raise typer.BadParameter(
            f"expected one of {', '.join(PRESETS)}, got {preset!r}.", param_hint="--preset"
        )
    table = Table("network", "use", "precision", "held throughout", "each image", "largest batch", box=None)
    for name in PRESETS if preset is None else (preset,):
        for precision in ("float32", "bfloat16"):
            for use, formula in (("training", training_memory), ("inference", inference_memory)):
                found: MemoryUse = formula(PRESETS[name], precision=precision)
                batch_size = found.largest_batch(available, spare=spare)
                table.add_row(
                    name, use, precision, f"{found.fixed / 1e6:.0f} MB",
                    f"{found.moments[-1].per_image / 1e6:.1f} MB", str(batch_size or "none fits"),
                )  # fmt: skip
    console.print(
        f"of {available / 1e9:.1f} GB, with {100 * spare:.0f} % spared; training with Adam and a moving "
        "average of the weights"
    )
    console.print(table)
