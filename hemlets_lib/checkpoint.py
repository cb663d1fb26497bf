"""Checkpoints: a trained network and all that is known about it, in one file.

    save_checkpoint("nano.safetensors", model, metadata={"step": 1000})
    model, info = load_checkpoint("nano.safetensors")

The weights are safetensors under the network's own names; config, provenance and metadata are JSON in
the same file's header (`tensor_files` says why). Nothing is ever unpickled. What training needs beyond
the weights is kept by `tensor_files.save_tensors`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from hemlets_lib.model import PRESETS, HEMletsNet, ModelConfig
from hemlets_lib.results import provenance
from hemlets_lib.tensor_files import open_tensor_file, write_tensor_file

__all__ = ["Checkpoint", "CheckpointInfo", "load_checkpoint", "read_checkpoint_info", "save_checkpoint"]

_KIND = "hemlets-checkpoint"
_KEYS = {"config", "library_version", "metadata", "provenance", "weights"}
_STORED_AS = {"float32": torch.float32, "float16": torch.float16}
_NAMES_SHOWN = 3
_REMEDY = "The file was altered, or written by another version: get it again, or use an older checkpoint."


@dataclass(frozen=True)
class CheckpointInfo:
    """What a checkpoint says about itself.

    Args:
        config: The network's shape.
        metadata: What the caller of `save_checkpoint` added: step, metrics, recipe.
        weights: "float32" or "float16", as stored.
        provenance: When, from which commit, with which versions and on what it was written.
        library_version: Of this library, at that time; None if it was not installed.
    """

    config: ModelConfig
    metadata: dict[str, Any]
    weights: str
    provenance: dict[str, Any]
    library_version: str | None

    @property
    def preset(self) -> str | None:
        """The preset whose network this is; None where it was altered, or is one of your own."""
        return self.config.name if PRESETS.get(self.config.name) == self.config else None


class Checkpoint(NamedTuple):
    """A network in evaluation mode, and what its file says about it."""

    model: HEMletsNet
    info: CheckpointInfo


def save_checkpoint(
    path: str | Path,
    model: HEMletsNet,
    *,
    metadata: Mapping[str, Any] | None = None,
    dtype: str = "float32",
) -> None:
    """Writes a network so that readers see the old file or the new one, never half of one.

    Args:
        path: Ends in `.safetensors`; folders are made as needed.
        model: On any device, in any mode.
        metadata: JSON of your own: step, metrics, recipe.
        dtype: "float16" halves the file. Kernels are rounded to 11 bits then; biases and batch statistics,
            a hundredth of the numbers, stay in float32.

    Raises:
        ValueError: If the model is wrapped or fused, holds NaN or infinity, or the metadata is not JSON.
            Nothing is written then.
        OSError: If the file cannot be written, a full disk included; the previous one is still there.
    """
    if dtype not in _STORED_AS:
        raise ValueError(f"`dtype` must be one of {', '.join(_STORED_AS)}, got {dtype!r}.")
    if not isinstance(model, HEMletsNet):
        raise ValueError(
            f"`model` must be a HEMletsNet, got {type(model).__name__}. Pass the network itself, without the "
            "wrapper of torch.compile, data parallelism or weight averaging (`._orig_mod`, `.module`)."
        )
    _check_json(metadata)
    state = model.state_dict()
    if differing := sorted(state.keys() ^ _blank(model.config).state_dict().keys()):
        raise ValueError(
            f"`model` must have the layers of its config {model.config.name!r}, got {len(differing)} that "
            f"differ ({_some(differing)}). Save the network before fuse()."
        )
    if broken := _not_finite(state):
        raise ValueError(
            f"`model` must hold finite numbers, got NaN or infinity in {_some(broken)}; nothing was written. "
            "Go back to the last good checkpoint; a lower learning rate or gradient clipping may help."
        )
    stored = {name: value.to(_storage(value, dtype)) for name, value in state.items()}
    if lost := _not_finite(stored):
        raise ValueError(
            f"`dtype` {dtype} reaches to {torch.finfo(_STORED_AS[dtype]).max:.0f}, got larger numbers in "
            f"{_some(lost)}; nothing was written. Save as float32."
        )
    content = {
        "config": model.config.to_dict(),
        "metadata": dict(metadata or {}),
        "weights": dtype,
        "provenance": provenance(Path(__file__).resolve().parent),
    }
    write_tensor_file(path, stored, kind=_KIND, content=content)


def load_checkpoint(
    path: str | Path,
    *,
    device: str | torch.device = "cpu",
    expected: str | ModelConfig | None = None,
) -> Checkpoint:
    """Reads a network back, in float32 and evaluation mode. Draws no random numbers.

    Args:
        path: A file that `save_checkpoint` wrote.
        device: Where the network is wanted.
        expected: Refuse any network but this preset's, by name, or the one of this config.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is pickled, damaged, of another version, of another network than expected, or
            its numbers do not fit its config or are not finite. The message names the file.
    """
    with open_tensor_file(path, kind=_KIND, keys=_KEYS) as (file, header):
        info, model = _read(path, header)
        if expected is not None:
            _check_expected(path, info.config, expected)
        blanks = model.state_dict()
        _check_names_and_shapes(path, info.config, blanks, file)
        state = {}
        for name, blank in blanks.items():
            stored = file.get_tensor(name)
            if stored.is_floating_point() != blank.is_floating_point():
                raise ValueError(f"{path}: `{name}` must be {blank.dtype}, got {stored.dtype}. {_REMEDY}")
            state[name] = stored.to(blank.dtype, copy=True)  # the original is a view of the file
    if broken := _not_finite(state):
        raise ValueError(
            f"{path}: expected finite weights, got NaN or infinity in {_some(broken)}. "
            "That training diverged: use an earlier checkpoint."
        )
    model.load_state_dict(state, assign=True)
    return Checkpoint(model.eval().to(device), info)


def read_checkpoint_info(path: str | Path) -> CheckpointInfo:
    """What a checkpoint says about itself, without reading its weights.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is pickled, damaged, or of another version.
    """
    with open_tensor_file(path, kind=_KIND, keys=_KEYS) as (_, header):
        return _read(path, header)[0]


def _check_json(metadata: Mapping[str, Any] | None) -> None:
    try:
        json.dumps(dict(metadata or {}), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"`metadata` must be JSON (finite numbers, strings, lists, mappings), got: {error}. "
            "Turn tensors into numbers with .item() or .tolist(); record None where there is no value."
        ) from error


def _storage(value: Tensor, dtype: str) -> torch.dtype:
    if not value.is_floating_point():
        return value.dtype
    return _STORED_AS[dtype] if value.ndim > 1 else torch.float32  # one axis: biases, norms' statistics


def _not_finite(state: Mapping[str, Tensor]) -> list[str]:
    return [name for name, value in state.items() if not bool(value.isfinite().all())]


def _blank(config: ModelConfig) -> HEMletsNet:
    """The network without memory for its weights."""
    with torch.device("meta"):
        return HEMletsNet(config)


def _read(path: str | Path, header: Mapping[str, Any]) -> tuple[CheckpointInfo, HEMletsNet]:
    try:
        config = ModelConfig.from_dict(header["config"])
        model = _blank(config)
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path}: expected a config that this version of hemlets can build, got an error: {error} "
            f"Written by hemlets {header['library_version']!s:.80}: use that version."
        ) from error
    kinds = {"metadata": dict, "provenance": dict, "weights": str, "library_version": str | None}
    for name, kind in kinds.items():
        if not isinstance(header[name], kind):
            raise ValueError(f"{path}: `{name}` must be {kind}, got {header[name]!r:.80}. {_REMEDY}")
    return CheckpointInfo(**{name: header[name] for name in _KEYS - {"config"}}, config=config), model


def _check_expected(path: str | Path, config: ModelConfig, expected: str | ModelConfig) -> None:
    if isinstance(expected, str):
        if expected not in PRESETS:
            raise ValueError(f"`expected` must be a preset ({', '.join(PRESETS)}), got {expected!r}.")
        expected = PRESETS[expected]
    wanted, found = expected.to_dict(), config.to_dict()
    differing = [f"{key} {found[key]!r}, not {wanted[key]!r}" for key in wanted if found[key] != wanted[key]]
    if differing:
        raise ValueError(
            f"{path}: expected the network {expected.name!r}, got {config.name!r} ({'; '.join(differing)}). "
            f"Pass a checkpoint of {expected.name!r}, or expect this one."
        )


def _check_names_and_shapes(
    path: str | Path, config: ModelConfig, expected: Mapping[str, Tensor], file: Any
) -> None:
    names = set(file.keys())
    shapes = {name: tuple(file.get_slice(name).get_shape()) for name in expected if name in names}
    faults = {
        "missing": [name for name in expected if name not in names],
        "unknown": sorted(names - expected.keys()),
        "of another shape": [
            f"{name}: {shape}, not {tuple(expected[name].shape)}"
            for name, shape in shapes.items()
            if shape != tuple(expected[name].shape)
        ],
    }
    if any(faults.values()):
        got = " and ".join(f"{len(them)} {fault} ({_some(them)})" for fault, them in faults.items() if them)
        raise ValueError(
            f"{path}: expected the {len(expected)} tensors of the network {config.name!r}, got {got}. "
            f"{_REMEDY}"
        )


def _some(names: list[str]) -> str:
    more = len(names) - _NAMES_SHOWN
    return ", ".join(names[:_NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")
