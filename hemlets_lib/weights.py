"""Networks from either kind of file: this library's checkpoints, and the authors' PyTorch file.

    model, info = load_network("hemlets_h36m_lastest.pth")
    print(describe_network(info))

The authors' file is a pickle, and a pickle can run any code when it is opened. It is read with
`torch.load(weights_only=True)`, which builds tensors and refuses everything else; then every name, shape
and type is held against the preset `official`, before a single number is used.
"""

from __future__ import annotations

import functools
import hashlib
import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from hemlets_lib.checkpoint import Checkpoint, CheckpointInfo, load_checkpoint
from hemlets_lib.geometry import Grid
from hemlets_lib.model import PRESETS, HEMletsNet
from hemlets_lib.pretrained import OFFICIAL_GRID, from_official, official_key

__all__ = ["RELEASE", "RELEASE_FILE", "describe_network", "load_network", "official_layout"]

RELEASE_FILE = "hemlets_h36m_lastest.pth"  # as the authors spell it
RELEASE: Mapping[str, str] = MappingProxyType(
    {
        "origin": "the authors' release (Zhou et al., ICCV 2019), judged by the layout of its layers",
        "trained_on": "Human3.6M and MPII, as the paper states; the file itself does not say",
        "licence": "for research or education, not for commercial use or redistribution, says the release",
        "channel_order": "as released, not published; channels.inspect_channels works it out",
    }
)

_PRESET = "official"
_COUNTER = ".num_batches_tracked"  # for training with another momentum; PyTorch before 0.4.1 did not save it
_WRAPPERS = ("state_dict", "model_state_dict", "model", "network", "net", "weights")
_FIRST = "backbone.conv1.weight"  # what stands in front of it stands in front of every name
_ZIP, _PICKLE = b"PK\x03\x04", b"\x80"  # torch.save's file, and that of torch before 1.6
_LARGEST_BYTES = 2 * 10**9  # unpacked; the release has 0.2 GB, with an optimiser's state it would be 0.6
_GRID_TOLERANCE = 1e-6
_NAMES_SHOWN = 3
_REMEDY = (
    f"Download {RELEASE_FILE} again from the address in the authors' readme, or pass a .safetensors file."
)


def official_layout() -> dict[str, tuple[int, ...]]:
    """Every tensor of the authors' release, under their names, with its shape. Built from the preset.

    Returns:
        Name → shape: 49 614 844 weights, the batch statistics, and the bins of their integral.
    """
    return dict(_layout())


@functools.cache
def _layout() -> Mapping[str, tuple[int, ...]]:
    config = PRESETS[_PRESET]
    with torch.device("meta"):
        blanks = HEMletsNet(config).state_dict()
    layout = {official_key(name): tuple(value.shape) for name, value in blanks.items()}
    return layout | {OFFICIAL_GRID: (1, config.skeleton.num_joints, config.depth_size)}


def load_network(path: str | Path, *, device: str | torch.device = "cpu") -> Checkpoint:
    """A network in float32 and evaluation mode, and what is known about it. Draws no random numbers.

    Args:
        path: A file that `save_checkpoint` wrote, or the authors' `hemlets_h36m_lastest.pth`; the state
            dict may be wrapped in a dict (`{"model": …}`), its names may begin with `module.`.
        device: Where the network is wanted.

    Returns:
        The model, and its info. That of the authors' file has preset "official" and, as metadata, `RELEASE`,
        the file's name and its SHA-256.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is a folder, empty, truncated, of another format or of another network, would run
            code, or holds NaN. The message names the file and says what to do; nothing of it has run.
    """
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"{path}: expected a file with weights, got a folder. Name the file in it.")
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected a file with weights, found none. Check the path.")
    with path.open("rb") as file:
        start = file.read(9)
    if not start:
        raise ValueError(f"{path}: expected weights, got an empty file. {_REMEDY}")
    # safetensors: the length of the header in eight bytes, which may begin like a pickle, then JSON
    if start[8:] == b"{" and int.from_bytes(start[:8], "little") < path.stat().st_size:
        return load_checkpoint(path, device=device)
    if start.startswith((_ZIP, _PICKLE)):
        return _load_released(path, device)
    raise ValueError(
        f"{path}: expected a .safetensors checkpoint of this library or the authors' PyTorch file, got "
        f"{path.stat().st_size} bytes that are neither. {_REMEDY}"
    )


def describe_network(info: CheckpointInfo) -> str:
    """In a sentence or two: which network this is, where it comes from and what it was trained on."""
    name = f"preset {info.preset!r}" if info.preset else f"network {info.config.name!r}, no preset"
    said = info.metadata
    if "origin" in said:
        words = [f"{name}: {said['origin']}"]
        words += [f"Trained on {said['trained_on']}"] if "trained_on" in said else []
        words += [f"Licence: {said['licence']}"] if "licence" in said else []
        return ". ".join(words) + "."
    version, time = info.library_version or "(version unknown)", str(info.provenance.get("time", "unknown"))
    trained_on = _sources_in_words(said.get("data"))
    return f"{name}: saved by hemlets {version} on {time[:10]}. Trained on {trained_on}."


def _sources_in_words(data: Any) -> str:
    """What `train` notes about its mixture."""
    sources = data.get("sources") if isinstance(data, Mapping) else None
    if not isinstance(sources, list) or not sources or not all(isinstance(each, Mapping) for each in sources):
        return "data that the file does not name"
    drawn = {"synthetic": "drawn people", "mocap": "people drawn from recorded motion"}
    kinds = [str(each.get("kind", "unknown")) for each in sources]
    return " and ".join(
        f"{each.get('samples', '?')} samples of {drawn.get(kind, repr(kind))}"
        for each, kind in zip(sources, kinds, strict=True)
    )


def _load_released(path: Path, device: str | torch.device) -> Checkpoint:
    state = _without_prefix(path, _state_dict(path, _unpickle(path)))
    _check_layout(path, state)
    config = PRESETS[_PRESET]
    with torch.device("meta"):
        model = HEMletsNet(config)
    blanks = model.state_dict()
    found = from_official(state)
    numbers = {
        name: found[name].detach().to("cpu", blank.dtype, copy=True).contiguous()
        if name in found
        else torch.zeros(blank.shape, dtype=blank.dtype)
        for name, blank in blanks.items()
    }
    if broken := [name for name, value in numbers.items() if not bool(value.isfinite().all())]:
        raise ValueError(
            f"{path}: expected finite weights, got NaN or infinity in "
            f"{_some([official_key(name) for name in broken])}. {_REMEDY}"
        )
    model.load_state_dict(numbers, assign=True)
    metadata = {**RELEASE, "file": path.name, "sha256": _sha256(path)}
    info = CheckpointInfo(config, metadata, weights="float32", provenance={}, library_version=None)
    return Checkpoint(model.eval().to(device), info)


def _unpickle(path: Path) -> Any:
    """What `torch.load` makes of the file, tensors and plain containers only."""
    if (size := _unpacked_bytes(path)) > _LARGEST_BYTES:
        raise ValueError(
            f"{path}: expected at most {_LARGEST_BYTES / 1e9:g} GB of weights, got {size / 1e9:.2g} GB. "
            f"{_REMEDY}"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about TorchScript: the error that follows says it
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle ends in any of them: EOFError, KeyError, struct.error, …
        if wanted := re.search(r"GLOBAL ([\w.]+)", str(error)):
            raise ValueError(
                f"{path}: expected tensors and nothing else, got a pickle that asks for {wanted[1]!r}: "
                f"refused, nothing of it was run. {_REMEDY}"
            ) from error
        raise ValueError(
            f"{path}: expected a whole PyTorch file with tensors, got {path.stat().st_size} bytes that are "
            f"truncated, damaged or of another kind ({type(error).__name__}: {_first_line(error)}). {_REMEDY}"
        ) from error


def _unpacked_bytes(path: Path) -> int:
    try:
        with zipfile.ZipFile(path) as archive:
            return sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError):
        return path.stat().st_size  # no zip file, or a damaged one


def _state_dict(path: Path, content: Any) -> dict[str, Tensor]:
    """The names and tensors, out of the dicts that training scripts put around them."""
    around: list[str] = []
    while isinstance(content, Mapping) and not any(isinstance(value, Tensor) for value in content.values()):
        inner = next((key for key in _WRAPPERS if isinstance(content.get(key), Mapping)), None)
        if inner is None or len(around) == len(_WRAPPERS):
            break
        around.append(inner)
        content = content[inner]
    if not isinstance(content, Mapping):
        raise ValueError(
            f"{path}: expected a state dict (names and tensors), or one under {', '.join(_WRAPPERS)}; got "
            f"{type(content).__name__}. {_REMEDY}"
        )
    if strange := [key for key, value in content.items() if not isinstance(value, Tensor)]:
        raise ValueError(
            f"{path}: expected a state dict (names and tensors), or one under {', '.join(_WRAPPERS)}; got a "
            f"dict with {len(strange)} entries of other kinds ({_some([str(key) for key in strange])}). "
            f"{_REMEDY}"
        )
    if strange := [key for key in content if not isinstance(key, str)]:
        raise ValueError(f"{path}: expected text as tensors' names, got {strange[0]!r:.80}. {_REMEDY}")
    return dict(content)


def _without_prefix(path: Path, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Without what data-parallel training and the like leave before every name (`module.`)."""
    prefix = next((name.removesuffix(_FIRST) for name in state if name.endswith(_FIRST)), "")
    bare = {name.removeprefix(prefix): value for name, value in state.items()}
    if len(bare) < len(state):
        twice = [name for name in state if not name.startswith(prefix)]
        raise ValueError(
            f"{path}: expected each tensor once, got {_some(twice)} also under {prefix!r}. {_REMEDY}"
        )
    return bare


def _check_layout(path: Path, state: Mapping[str, Tensor]) -> None:
    layout = _layout()
    bare = {
        name: "meta" if value.is_meta else "nested"
        for name, value in state.items()
        if value.is_meta or value.is_nested
    }
    shapes = {name: tuple(value.shape) for name, value in state.items() if name not in bare}
    faults = {
        "missing": [name for name in layout if name not in state and not name.endswith(_COUNTER)],
        "unknown": sorted(state.keys() - layout.keys()),
        "of another shape": [
            f"{name}: {shapes[name]}, not {shape}"
            for name, shape in layout.items()
            if name in shapes and shapes[name] != shape
        ],
        "of another type": [
            f"{name}: {value.dtype}, {bare.get(name) or str(value.layout).removeprefix('torch.')}"
            for name, value in state.items()
            if name in bare  # no numbers, or no shape
            or value.layout != torch.strided
            or value.is_quantized
            or value.is_floating_point() == name.endswith(_COUNTER)
            or value.is_complex()
            or value.dtype == torch.bool
        ],
    }
    if any(faults.values()):
        got = " and ".join(f"{len(them)} {fault} ({_some(them)})" for fault, them in faults.items() if them)
        raise ValueError(
            f"{path}: expected the {len(layout)} tensors of the authors' release, got {got}. {_REMEDY}"
        )
    bins = state[OFFICIAL_GRID].double()
    expected = Grid.CORNER_ALIGNED.centres(bins.shape[-1], dtype=torch.float64) + 0.5
    if not bool(((bins - expected).abs() <= _GRID_TOLERANCE).all()):
        first = [round(value, 4) for value in bins[0, 0, :3].tolist()]
        raise ValueError(
            f"{path}: `{OFFICIAL_GRID}` must hold the release's bins i/63, got {first}, …: joints would come "
            f"out in the wrong place. {_REMEDY}"
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), "no message")[:120]


def _some(names: list[str]) -> str:
    more = len(names) - _NAMES_SHOWN
    return ", ".join(names[:_NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")
