"""The command itself, to which the other files add theirs, and what their options share."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Any

import typer

__all__ = ["PATH", "TEXT", "Outfits", "Precision", "Profile", "Split", "app", "assignments", "path", "text"]

app = typer.Typer(
    name="hemlets",
    help="HEMlets: part-centric heatmap triplets for 3D human pose, to teach, explore and reproduce.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


class Split(StrEnum):
    """Whose part of a data set; `validate` is HumanEva-I's word for its test part."""

    train = "train"
    validate = "validate"
    test = "test"


class Outfits(StrEnum):
    """Each subject's own clothes, or others in every performance."""

    subject = "subject"
    random = "random"


class Precision(StrEnum):
    """Of a network's numbers; the same names as `hemlets_lib.fused_model.PRECISIONS`."""

    float32 = "float32"
    bfloat16 = "bfloat16"


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
    """An option's path, likewise."""
    return Path(text(str(value)))


TEXT: Any = {"parser": text, "metavar": "TEXT"}
PATH: Any = {"parser": path, "metavar": "PATH"}  # typer alone takes '' for the current folder


def assignments(entries: list[str], option: str) -> dict[str, object]:
    """NAME=VALUE, several times, as a mapping.

    Args:
        entries: The texts; a name may have dots in it.
        option: What the message calls the option.

    Returns:
        Name → value, still text.

    Raises:
        typer.BadParameter: If an entry has no name or no equals sign.
    """
    values: dict[str, object] = {}
    for entry in entries:
        name, equals, value = entry.partition("=")
        if not (equals and all(word.isidentifier() for word in name.strip().split("."))):
            raise typer.BadParameter(f"expected NAME=VALUE, got {entry!r}.", param_hint=option)
        values[name.strip()] = value
    return values
