"""`hemlets convert` and `hemlets export`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hemlets_lib.cli.options import PATH, TEXT, app, path

if TYPE_CHECKING:
    from hemlets_lib.channels import ChannelReport
    from hemlets_lib.model import HEMletsNet

__all__ = ["convert", "export"]

_SUFFIX = ".safetensors"


class Format(StrEnum):
    """The same names as `hemlets_lib.export.SUFFIXES`."""

    torch = "torch"
    onnx = "onnx"


_LEAST_CERTAIN = 0.5  # of the channels; below it the pictures are not such as the network knows


@app.command(
    epilog="Example:  hemlets convert hemlets_h36m_lastest.pth --out official.safetensors\n\n"
    "Example:  hemlets convert hemlets_h36m_lastest.pth --out official.safetensors --inspect shards/h36m"
)
def convert(
    weights: Annotated[
        Path,
        typer.Argument(help="The authors' .pth file.", parser=path, metavar="WEIGHTS", show_default=False),
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="The checkpoint to write.", show_default="beside it, as .safetensors", **PATH),
    ] = None,
    inspect: Annotated[
        Path | None,
        typer.Option(
            help="Folder of labelled shards: find out which channel is which map, and put them in order.",
            **PATH,
        ),
    ] = None,
    n: Annotated[int, typer.Option("--n", min=1, help="With --inspect: look at so many samples.")] = 400,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    device: Annotated[
        str | None, typer.Option(help="'cpu' keeps off a GPU.", show_default="what there is", **TEXT)
    ] = None,
) -> None:
    """Turn the authors' weights into a checkpoint of this library, without running their pickle.

    Joints are the same to rounding. Which of the branch's 60 channels is which triplet or heatmap is not
    published; --inspect works it out from people whose joints are known, and joints stay as they are.
    """
    from hemlets_lib.checkpoint import save_checkpoint
    from hemlets_lib.console import console
    from hemlets_lib.results import device_summary
    from hemlets_lib.weights import describe_network, load_network

    out = out or weights.with_suffix(_SUFFIX)
    if out.suffix != _SUFFIX:
        raise typer.BadParameter(f"expected a name that ends in {_SUFFIX}, got {out}.", param_hint="--out")
    _check_new(out, force=force)
    model, info = load_network(weights, device=device or device_summary()["device"])
    console.print(describe_network(info), markup=False)
    if info.library_version is not None and inspect is None:
        raise ValueError(
            f"{weights}: expected the authors' PyTorch file, got a checkpoint of this library: there is "
            "nothing to convert. Add --inspect to put its channels in order."
        )
    metadata = dict(info.metadata)
    if info.library_version is not None:  # what the file said of itself would otherwise be lost
        metadata["before"] = {"library_version": info.library_version, "provenance": info.provenance}
    if inspect is not None:
        model, report = _in_order(model, inspect, n)
        metadata["channel_order"] = f"worked out on {inspect.name}: {report.summary()}"
        metadata["channels"] = report.to_dict()
    save_checkpoint(out, model, metadata=metadata)
    console.print(f"Written to {out}: {out.stat().st_size / 1e6:.0f} MB", markup=False)


def _in_order(model: HEMletsNet, folder: Path, n: int) -> tuple[HEMletsNet, ChannelReport]:
    """The network with its channels in this library's order, and how they were found."""
    from hemlets_lib.channels import inspect_channels, reorder_channels
    from hemlets_lib.console import console
    from hemlets_lib.data.shards import ShardDataset

    samples: Any = ShardDataset(folder)
    with console.status("looking at channels") as status:
        report = inspect_channels(
            model,
            samples,
            max_samples=n,
            on_progress=lambda done: status.update(f"looking at channels: {done} of {min(n, len(samples))}"),
        )
    console.print(report.to_markdown(), markup=False)
    console.print(report.summary(), markup=False)
    if report.certain.double().mean() < _LEAST_CERTAIN:
        raise ValueError(
            f"{folder}: expected pictures on which most channels can be told, got {report.summary()}; "
            "nothing was written. Give pictures such as the network was trained on, and more of them, or "
            "convert without --inspect."
        )
    if report.in_order:
        console.print("The channels are in this library's order already, and stay so.")
        return model, report
    return reorder_channels(model, report.channels), report


@app.command(
    epilog="Example:  hemlets export --format onnx --out nano.onnx\n\n"
    "Example:  hemlets export official.safetensors --format torch --out official.pt2"
)
def export(
    weights: Annotated[
        Path | None,
        typer.Argument(
            help="A checkpoint, or the authors' .pth.",
            parser=path,
            metavar="WEIGHTS",
            show_default="the shipped nano.safetensors",
        ),
    ] = None,
    format: Annotated[
        Format, typer.Option(help="torch.export's .pt2, or ONNX (pip install 'hemlets\\[export]').")
    ] = Format.torch,
    out: Annotated[
        Path | None,
        typer.Option(help="The file to write.", show_default="the weights' name, in this folder", **PATH),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Write the network as a file that runs without this library, and check that it gives the same.

    It takes normalised pictures, any number at once, and gives joints, triplets and heatmaps.
    """
    from hemlets_lib.console import console
    from hemlets_lib.data.samples import find_weights
    from hemlets_lib.export import SUFFIXES, export_network
    from hemlets_lib.weights import describe_network, load_network

    weights, suffix = weights or find_weights("nano"), SUFFIXES[format]
    out = out or Path(weights.stem + suffix)
    if out.suffix != suffix:
        raise typer.BadParameter(f"expected a name that ends in {suffix}, got {out}.", param_hint="--out")
    _check_new(out, force=force)
    model, info = load_network(weights, device="cpu")
    console.print(describe_network(info), markup=False)
    out.parent.mkdir(parents=True, exist_ok=True)
    difference = export_network(model, out)
    size_mb = out.stat().st_size / 1e6
    console.print(
        f"Written to {out}: {size_mb:.0f} MB; its outputs differ by {difference:.0e} at most", markup=False
    )


def _check_new(out: Path, *, force: bool) -> None:
    if out.exists() and not force:
        raise typer.BadParameter(
            f"expected a new file, got {out}, which is there. Name another, or add --force to replace it.",
            param_hint="--out",
        )
