"""`hemlets data …`: make and check samples and shards."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from hemlets_lib.cli.options import PATH, Outfits, Split, path

__all__ = ["data"]

data = typer.Typer(help="Make and check samples and shards.", no_args_is_help=True)


class DataSet(StrEnum):
    """After which data set people are drawn; all but the first are `data.counterparts`."""

    human36m = "human36m"
    humaneva = "humaneva"
    mpi_inf_3dhp = "mpi_inf_3dhp"
    in_the_wild = "in_the_wild"
    ordinal = "ordinal"
    fbi = "fbi"


@data.command(
    "build",
    epilog="Example:  hemlets data build --n 30000 --split train --out shards/train\n\n"
    "Example:  hemlets data build --set in_the_wild --n 30000\n\nRun again to resume.",
)
def data_build(
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for the shards; made if missing.",
            show_default="shards/<split>, or shards/<set>-<split>",
            **PATH,
        ),
    ] = None,
    after: Annotated[
        DataSet, typer.Option("--set", help="After which data set: scenes, actions, cameras, labels.")
    ] = DataSet.human36m,
    n: Annotated[int, typer.Option("--n", min=1, help="How many samples.")] = 30000,
    split: Annotated[
        Split | None,
        typer.Option(help="Whose bodies and clothes.", show_default="train, or the only one the set has"),
    ] = None,
    size: Annotated[int, typer.Option(min=16, help="Side of the pictures, pixels.")] = 128,
    seed: Annotated[int, typer.Option(min=0, help="Decides every sample.")] = 0,
    outfits: Annotated[
        Outfits | None,
        typer.Option(help="Clothes of human36m: the subjects' own, or any.", show_default="subject"),
    ] = None,
    label_noise: Annotated[
        float | None,
        typer.Option(min=0, help="Of the depth order in ordinal and fbi.", show_default="0.2 of a part"),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes.", show_default="one per core")
    ] = None,
) -> None:
    """Draw people into shards on disk; an interrupted build carries on where it stopped."""
    from hemlets_lib.console import console
    from hemlets_lib.data.counterparts import COUNTERPARTS, Counterpart
    from hemlets_lib.data.shards import build_shards
    from hemlets_lib.data.synthetic import SyntheticDataset

    source: SyntheticDataset | Counterpart
    if after is DataSet.human36m:
        if label_noise is not None:
            raise typer.BadParameter(
                "human36m has no labels by hand. Leave it out.", param_hint="--label-noise"
            )
        part = (split or Split.train).value
        worn = outfits or Outfits.subject
        source = SyntheticDataset(n, split=part, seed=seed, size=size, outfits=worn.value)
        folder = part
    else:
        if outfits is not None:
            raise typer.BadParameter(
                f"{after.value} has clothes of its own. Leave it out.", param_hint="--outfits"
            )
        part = split.value if split else COUNTERPARTS[after.value][0]
        source = Counterpart(after.value, n, split=part, seed=seed, size=size, noise=label_noise)
        folder = f"{after.value}-{part}"
    out = out or Path("shards", folder)
    build_shards(out, source, workers=workers)
    console.print(f"{n} samples in {out}. Check them with `hemlets data verify {out}`.")


@data.command("verify", epilog="Example:  hemlets data verify shards/train")
def data_verify(folder: Annotated[Path, typer.Argument(help="Folder with shards.", parser=path)]) -> None:
    """Read every shard back: hashes, counts, pictures. Exit 1 if anything is damaged."""
    from hemlets_lib.data.shards import verify_shards

    _print_check(verify_shards(folder))


@data.command(
    "samples",
    epilog="Example:  hemlets data samples --check\n\nExample:  hemlets data samples --out data_samples",
)
def data_samples(
    out: Annotated[Path, typer.Option(help="Folder for the samples.", **PATH)] = Path("data_samples"),
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
