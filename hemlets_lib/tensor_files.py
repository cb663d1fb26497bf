"""Tensors on disk: safetensors with JSON in the header, replaced atomically, and never a pickle.

    x.safetensors = header (JSON: names, types, shapes, and under "hemlets" a JSON text of ours) + numbers

Weights and the config that made them must change together, and only a single file can be replaced
atomically: a folder of two would, after a kill at the wrong moment, hold the weights of one save and the
config of another. So the JSON goes into the same file, where it can be read without the numbers.

Saving writes a hidden file next to the target, flushes it to the disk and renames it. Whatever happens
before the rename, what was there before stays as it was.

`save_tensors` and `load_tensors` take anything nested: an optimiser's state, a schedule's, random
generators'. `write_tensor_file` and `open_tensor_file` are what they and `checkpoint` are made of.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from hemlets_lib.results import package_versions

__all__ = ["FORMAT_VERSION", "load_tensors", "open_tensor_file", "save_tensors", "write_tensor_file"]

FORMAT_VERSION = 1
_STATE = "hemlets-state"
_HEADER_KEY = "hemlets"
_RESERVED = "__metadata__"  # safetensors' own entry; a tensor of that name would be lost
_SUFFIX = ".safetensors"
_PICKLE_SUFFIXES = (".pth", ".pt", ".ckpt", ".bin", ".pkl", ".tar")
_PICKLE_MAGIC = (b"PK\x03\x04", b"\x80")  # torch.save's zip file, and the bare pickle before torch 1.6
_ABANDONED_AFTER_S = 24 * 3600.0
_REMEDY = "Copy or download it again, or use an older one."


def save_tensors(path: str | Path, state: Any) -> None:
    """Writes nested state, such as an optimiser's, so that readers see the old file or the new one.

    Tensors come back bit for bit, on the CPU; numbers exactly, NaN and infinity included. A tensor that
    occurs twice is stored twice. Subclasses (OrderedDict, named tuples) come back as dict and tuple.

    Args:
        path: Ends in `.safetensors`; folders are made as needed.
        state: Dicts with string or integer keys, lists and tuples, nested at will; in them tensors,
            numbers, strings, booleans and None.

    Raises:
        ValueError: If there is anything else in it; the message says where.
        OSError: If the file cannot be written; the previous one is still there.
    """
    tensors: dict[str, Tensor] = {}
    tree = _flatten(state, ("state",), tensors)
    write_tensor_file(path, tensors, kind=_STATE, content={"tree": tree})


def load_tensors(path: str | Path) -> Any:
    """What `save_tensors` was given.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is pickled, damaged, of another version, or holds something else.
    """
    with open_tensor_file(path, kind=_STATE, keys={"tree"}) as (file, header):
        names = set(file.keys())

        def tensor(name: str) -> Tensor:
            if name not in names:
                raise ValueError(f"no tensor {name!r}")
            return file.get_tensor(name).clone()  # the original is a view of the file

        try:
            return _unflatten(header["tree"], tensor)
        except (RecursionError, TypeError, ValueError) as error:
            raise ValueError(f"{path}: expected nested state, got {error}. {_REMEDY}") from error


# Lists and scalars stand for themselves in JSON. Everything else is an object with one key, its kind:
# {"tensor": name}, {"tuple": [...]}, {"dict": [[key, value], ...]}, {"float": "nan" | "inf" | "-inf"}.


def _flatten(value: Any, where: tuple[str, ...], tensors: dict[str, Tensor]) -> Any:
    place = ".".join(where)
    if isinstance(value, Tensor):
        if value.layout != torch.strided or value.is_quantized or value.is_complex():
            raise ValueError(
                f"`{place}` must be a dense real tensor, got {value.dtype}, {value.layout}. "
                "Convert it (to_dense, dequantize, view_as_real)."
            )
        name = "/".join(where[1:]) or where[0]
        while name in tensors or name == _RESERVED:  # {1: …, "1": …} and the like
            name += "'"
        tensors[name] = value
        return {"tensor": name}
    if isinstance(value, Mapping):
        if strange := [key for key in value if not isinstance(key, str | int)]:
            raise ValueError(f"`{place}` must have strings or integers as keys, got {strange[0]!r}.")
        return {"dict": [[key, _flatten(item, (*where, str(key)), tensors)] for key, item in value.items()]}
    if isinstance(value, list | tuple):
        items = [_flatten(item, (*where, str(index)), tensors) for index, item in enumerate(value)]
        return {"tuple": items} if isinstance(value, tuple) else items
    if isinstance(value, float) and not float("-inf") < value < float("inf"):
        return {"float": str(float(value))}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise ValueError(
        f"`{place}` must be a tensor, number, string, list, tuple, dict or None, got {type(value).__name__}. "
        "Turn arrays into tensors (torch.from_numpy); pass a state_dict(), not the object."
    )


def _unflatten(node: Any, tensor: Callable[[str], Tensor]) -> Any:
    if isinstance(node, list):
        return [_unflatten(item, tensor) for item in node]
    if not isinstance(node, dict):
        return node
    [(kind, content)] = node.items()
    if kind == "tensor":
        return tensor(content)
    if kind == "tuple":
        return tuple(_unflatten(item, tensor) for item in content)
    if kind == "dict":
        return {key: _unflatten(item, tensor) for key, item in content}
    if kind == "float":
        return float(content)
    raise ValueError(f"an unknown kind {kind!r}")


def write_tensor_file(
    path: str | Path, tensors: Mapping[str, Tensor], *, kind: str, content: Mapping[str, Any]
) -> None:
    """Puts a file in the place of the previous one, in one step.

    Args:
        path: Ends in `.safetensors`; folders are made as needed.
        tensors: By name; on any device.
        kind: What the file is, checked on reading.
        content: JSON for the header.

    Raises:
        ValueError: If the suffix is another. Nothing is written then.
        OSError: If the file cannot be written, a full disk included; the previous one is still there.
    """
    path = Path(path)
    if path.suffix != _SUFFIX:
        raise ValueError(f"`path` must end in {_SUFFIX}, got {str(path)!r}.")
    version = {"format_version": FORMAT_VERSION, "library_version": package_versions(("hemlets",))["hemlets"]}
    header = json.dumps({"format": kind, **version, **content}, allow_nan=False)
    dense: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, value in tensors.items():
        value = value.detach().cpu().contiguous()
        storage = value.untyped_storage().data_ptr()
        dense[name] = value.clone() if storage in seen else value  # safetensors refuses shared memory
        seen.add(storage)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(path)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        with os.fdopen(handle, "rb+") as file:
            save_file(dense, temporary, metadata={_HEADER_KEY: header})
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)  # mkstemp's 0600 would hide it from colleagues
        os.replace(temporary, path)
    except BaseException as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        if isinstance(error, OSError | SafetensorError):
            raise OSError(_not_written(path, dense, error)) from error
        raise
    _flush_folder(path.parent)


def _flush_folder(folder: Path) -> None:
    """Makes the rename outlast a power cut, where the system can."""
    if os.name == "posix":
        with contextlib.suppress(OSError):
            handle = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)


def _remove_abandoned(path: Path) -> None:
    """What saves that were killed have left; a save that is alive has touched its file lately."""
    for leftover in path.parent.glob(f".{path.name}.*.tmp"):
        with contextlib.suppress(OSError):
            if time.time() - leftover.stat().st_mtime > _ABANDONED_AFTER_S:
                leftover.unlink()


def _not_written(path: Path, tensors: Mapping[str, Tensor], error: Exception) -> str:
    needed = sum(value.nbytes for value in tensors.values()) / 1e6
    free = ""
    with contextlib.suppress(OSError):
        free = f" where {shutil.disk_usage(path.parent).free / 1e6:.1f} MB are free"
    return (
        f"{path}: expected to write {needed:.1f} MB{free}, got: {error}. What was there before is unchanged. "
        "Free some space, or save into another folder."
    )


@contextlib.contextmanager
def open_tensor_file(path: str | Path, *, kind: str, keys: set[str]) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Opens a file that `write_tensor_file` wrote.

    Args:
        path: The file.
        kind: What it must be.
        keys: What its header must have.

    Returns:
        The open file (`safetensors.safe_open`), and the header.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is pickled, damaged, of another version or of another kind.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected a {_SUFFIX} file, found none. Check the path.")
    try:
        with safe_open(path, framework="pt") as file:
            yield file, _read_header(path, kind, keys, file.metadata() or {})
    except SafetensorError as error:
        with path.open("rb") as raw:
            start = raw.read(4)
        if path.suffix in _PICKLE_SUFFIXES or start.startswith(_PICKLE_MAGIC):
            raise ValueError(
                f"{path}: expected a {_SUFFIX} file, got what looks like a pickle. A pickle can run any code "
                "when opened, so this library opens none. The authors' release becomes a checkpoint by "
                "`hemlets convert`. Another file that you trust, convert once: give the state dict from "
                "torch.load(path, weights_only=True) to a HEMletsNet, then call save_checkpoint()."
            ) from error
        raise ValueError(
            f"{path}: expected a whole {_SUFFIX} file, got {path.stat().st_size} bytes that are truncated or "
            f"something else ({error}). {_REMEDY}"
        ) from error


def _read_header(path: Path, kind: str, keys: set[str], found: Mapping[str, str]) -> dict[str, Any]:
    if _HEADER_KEY not in found:
        raise ValueError(
            f"{path}: expected a file of this library, got safetensors without its header {_HEADER_KEY!r}. "
            "Load foreign weights with safetensors.torch.load_file into a HEMletsNet, and save that."
        )
    try:
        header = json.loads(found[_HEADER_KEY])
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: expected JSON in its header, got an error: {error}. {_REMEDY}") from error
    if not isinstance(header, dict) or header.get("format") != kind:
        got = header.get("format") if isinstance(header, dict) else type(header).__name__
        raise ValueError(
            f"{path}: expected a file of kind {kind!r}, got {got!r:.80}. Networks are read by "
            "load_checkpoint(), other state by load_tensors()."
        )
    written_by = f"written by hemlets {header.get('library_version')!s:.80}"
    if (version := header.get("format_version")) != FORMAT_VERSION:
        raise ValueError(
            f"{path}: expected format version {FORMAT_VERSION}, got {version!r:.80}, {written_by}. "
            "Use that version of hemlets, or train again."
        )
    if missing := sorted(keys - header.keys()):
        raise ValueError(f"{path}: expected {', '.join(missing)} in its header, got none. {_REMEDY}")
    return header
