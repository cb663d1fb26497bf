"""The command itself, to which the other files add theirs, and what their options share."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Any

import typer

__all__ = ["PATH", "TEXT", "Outfits", "Profile", "Split", "app", "path", "text"]

app = typer.Typer(
    name="hemlets",
    help="HEMlets: part-centric heatmap triplets for 3D human pose, to teach, explore and reproduce.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


class Split(StrEnum):
    """Which of Human3.6M's subjects are drawn: S1, S5, S6, S7, S8, or S9, S11."""

    train = "train"
    test = "test"


class Outfits(StrEnum):
    """Each subject's own clothes, or others in every performance."""

    subject = "subject"
    random = "random"


class Profile(StrEnum):
    """How much a notebook computes; the same names as `hemlets_lib.notebooks.PROFILES`."""

    smoke = "smoke"
    laptop = "laptop"
    gpu = "gpu"
    paper = "paper"


def text(value: str) -> str:
    """An option's text; an empty one, as an unset shell variable gives, never means the default."""
    if not value.strip(" ,"):
        raise typer.BadParameter(f"expected a value, got {value!r}. Give one, or leave it out.")
    return value


def path(value: str | Path) -> Path:
    return Path(text(str(value)))


TEXT: Any = {"parser": text, "metavar": "TEXT"}
PATH: Any = {"parser": path, "metavar": "PATH"}  # typer alone takes '' for the current folder
