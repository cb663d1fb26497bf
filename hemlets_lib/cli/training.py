"""`hemlets train`."""

from __future__ import annotations

import os
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from hemlets_lib.cli.options import PATH, TEXT, app, assignments

__all__ = ["train"]

_SHARDS = Path("shards")
_COMMAND = "command.json"  # in a run's folder: where its data were, for --resume


class Preset(StrEnum):
    """The recipes; the same names as `hemlets_lib.recipes.RECIPES`."""

    nano = "nano"
    small = "small"
    paper = "paper"


@app.command(
    epilog="Example:  hemlets train --preset nano\n\n"
    "Example:  hemlets train --preset nano --set steps=2000 --set supervision=none --out runs/without\n\n"
    "Example:  hemlets train --resume runs/without\n\n"
    "Example:  torchrun --nproc-per-node 4 -m hemlets_lib.cli train --preset paper "
    "--data shards/h36m:1 --data shards/mpii:1"
)
def train(
    preset: Annotated[Preset | None, typer.Option(help="Network and recipe.", show_default="nano")] = None,
    data: Annotated[
        list[str] | None,
        typer.Option(
            help="FOLDER or FOLDER:RATIO of shards to train on; repeatable.", show_default="shards/train"
        ),
    ] = None,
    validation: Annotated[
        Path | None,
        typer.Option(
            help="Folder of shards to try the network on.", show_default="shards/val if there", **PATH
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The run's folder.", show_default="runs/train-<preset>-<time>", **PATH)
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Folder of a run that stopped: continue it.", **PATH)
    ] = None,
    options: Annotated[
        list[str] | None,
        typer.Option("--set", help="NAME=VALUE of the recipe, e.g. steps=2000; repeatable."),
    ] = None,
    workers: Annotated[int, typer.Option(min=0, help="Processes that read samples.")] = 0,
    device: Annotated[
        str | None, typer.Option(help="'cpu' keeps off a GPU.", show_default="what there is", **TEXT)
    ] = None,
) -> None:
    """Train a network; Ctrl-C saves and stops, --resume carries on exactly where it stopped."""
    from hemlets_lib.console import console
    from hemlets_lib.data.mixing import Mixture
    from hemlets_lib.data.shards import ShardDataset
    from hemlets_lib.recipes import RECIPES
    from hemlets_lib.results import read_json, write_json
    from hemlets_lib.run_folder import RunFolder
    from hemlets_lib.train import train as run
    from hemlets_lib.watchers import TensorBoardWatcher, TerminalWatcher

    if resume is not None:
        if preset or options or out is not None:
            raise typer.BadParameter(
                "expected no --preset, --set or --out beside it: a run is resumed as it is.",
                param_hint="--resume",
            )
        config, _ = RunFolder(resume).read_config()
        asked = read_json(resume / _COMMAND) if (resume / _COMMAND).is_file() else {}
        data = data or asked.get("data")
        validation = validation or (Path(asked["validation"]) if asked.get("validation") else None)
    else:
        config = RECIPES[(preset or Preset.nano).value].with_options(assignments(options or [], "--set"))
    data = data or [str(_SHARDS / "train")]
    folders = [_folder_and_ratio(text) for text in data]
    mixture = Mixture(
        [ShardDataset(folder) for folder, _ in folders],
        ratios=[ratio for _, ratio in folders],
        seed=config.seed,
    )
    if validation is None and (_SHARDS / "val").is_dir():
        validation = _SHARDS / "val"
    now = datetime.now().strftime("%Y%m%d-%H%M%S")
    out = resume or out or Path("runs", f"train-{config.model.name}-{now}")
    is_main = os.environ.get("RANK", "0") == "0"
    if is_main and resume is None and not RunFolder(out).exists:
        out.mkdir(parents=True, exist_ok=True)
        write_json(out / _COMMAND, {"data": data, "validation": validation and str(validation)})
    if is_main:
        tried = "no validation (--validation FOLDER tries the network as it learns)"
        console.print(tried if validation is None else f"validating on {validation}", markup=False)
    folder = run(
        config,
        mixture,
        out,
        validation=[] if validation is None else ShardDataset(validation),
        resume=resume is not None,
        watchers=[TerminalWatcher(), TensorBoardWatcher()],
        device=device,
        workers=workers,
    )
    if is_main:
        console.print(f"The network is in {folder.model_path}", markup=False)


def _folder_and_ratio(text: str) -> tuple[Path, float]:
    folder, colon, ratio = text.rpartition(":")
    if not colon or not folder:
        return Path(text), 1.0
    try:
        return Path(folder), float(ratio)
    except ValueError:
        return Path(text), 1.0  # a colon in the folder's name
