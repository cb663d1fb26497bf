"""Files of downloads, opened so that whatever is wrong with them ends in a `DownloadError`.

Annotations come from strangers. Nothing is unpickled but plain data (`read_plain_pickle`), no path leads out
of the download (`inside`), no link inside an HDF5 file is followed out of it, and every array is held to its
shape and type (`as_array`) before it is used.
"""

from __future__ import annotations

import io
import json
import math
import reprlib
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np

from hemlets_lib.data.readers.mat5 import check_mat5
from hemlets_lib.data.readers.plain_pickle import ForbiddenPickle, load_plain_pickle

__all__ = [
    "LARGEST_ARRAY",
    "DownloadError",
    "as_array",
    "check_there",
    "damaged",
    "h5_array",
    "inside",
    "open_h5",
    "read_json",
    "read_mat",
    "read_npz",
    "read_plain_pickle",
]

_REMEDY = "Fetch the file again, or take it from its archive again."
LARGEST_ARRAY = 2**30  # bytes as float64; the largest in use, LSP-extended's and 3DHP's, have some hundred MB
_FLOAT_BYTES = 8
_DEEPEST = 8  # lists in lists
# What the formats' libraries raise for damaged files; anything else is a bug, here or there.
_WRONG = (
    ArithmeticError,
    LookupError,
    MemoryError,
    OSError,
    RecursionError,
    RuntimeError,
    TypeError,
    ValueError,
)


class DownloadError(ValueError):
    """A download that is incomplete, damaged, or not what it should be; the message names the file."""


def damaged(path: Path, kind: str, error: BaseException) -> DownloadError:
    """What to raise for a file that its format's library could not read.

    Args:
        path: The file.
        kind: What was expected.
        error: What the library said.
    """
    what = str(error).strip() or type(error).__name__
    return DownloadError(f"{path}: expected {kind}, got a file that cannot be read ({what}). {_REMEDY}")


def check_there(path: Path) -> None:
    """Raises DownloadError unless there is a file that is not empty."""
    if not path.is_file():
        raise DownloadError(
            f"{path}: expected a file there, found {'a folder' if path.is_dir() else 'none'}."
        )
    if not path.stat().st_size:
        raise DownloadError(f"{path}: expected content, got an empty file. {_REMEDY}")


def inside(root: Path, name: Any, *, where: str) -> Path:
    """A path that annotations name, if it stays within the download.

    Args:
        root: The folder it must not leave.
        name: As it stands in the annotations; with forward or backward slashes.
        where: The file and record, for the message.

    Raises:
        DownloadError: If it is no text, is absolute, climbs out of the folder, or follows a link out of it.
    """
    if not isinstance(name, str) or not name.strip() or "\0" in name:
        raise DownloadError(f"{where}: expected the name of a file, got {name!r}.")
    relative = PurePosixPath(name.replace("\\", "/"))
    path = root / relative
    if (
        relative.is_absolute()
        or PureWindowsPath(name).drive
        or ".." in relative.parts
        or not path.resolve().is_relative_to(root.resolve())
    ):
        raise DownloadError(
            f"{where}: expected a path inside {root}, got {name!r}, which leads out of it. "
            "It was not followed."
        )
    return path


def read_json(path: Path) -> Any:
    """The content of a JSON file.

    Raises:
        DownloadError: If it is missing, empty or no JSON.
    """
    check_there(path)
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except _WRONG as error:
        raise damaged(path, "JSON", error) from error


def read_mat(path: Path, *names: str) -> dict[str, Any]:
    """Variables of a MATLAB file up to version 7, structs as objects with attributes, nothing squeezed away.

    Args:
        path: The file.
        names: The variables that must be there.

    Returns:
        The variables, by name.

    Raises:
        DownloadError: If it is missing or damaged, of version 7.3 (which `open_h5` reads), or lacks one.
    """
    from scipy.io import loadmat

    check_there(path)
    with path.open("rb") as file:
        head = file.read(128)
    if head[:8] == b"\x89HDF\r\n\x1a\n" or b"MATLAB 7.3" in head:
        raise DownloadError(
            f"{path}: expected a MATLAB file of version 5 to 7, got version 7.3 (HDF5). Save it in MATLAB "
            "with -v7, or take the file as it was published."
        )
    try:
        check_mat5(path, names)
        content = loadmat(str(path), struct_as_record=False, squeeze_me=False, variable_names=list(names))
    except Exception as error:  # scipy raises many kinds, zlib's among them
        raise damaged(path, "a MATLAB file", error) from error
    return {name: _need(content, name, path) for name in names}


def read_npz(path: Path, *names: str, plain_objects: bool = False) -> dict[str, Any]:
    """Arrays of an .npz file.

    Args:
        path: The file.
        names: The arrays that must be there.
        plain_objects: Also accept arrays of Python objects, as long as they are plain data.

    Returns:
        The arrays, by name.

    Raises:
        DownloadError: If it is missing or damaged, lacks an array, or holds anything but numbers and text.
    """
    check_there(path)
    found = {}
    try:
        with zipfile.ZipFile(path) as archive:
            entries = {entry.filename.removesuffix(".npy"): entry for entry in archive.infolist()}
            for name in names:
                entry = _need(entries, name, path)
                if entry.file_size > LARGEST_ARRAY:
                    raise ValueError(f"{name} would take {entry.file_size} bytes")
                with archive.open(entry) as file:
                    found[name] = _read_npy(file, f"{path}, {name}", plain_objects)
    except DownloadError:
        raise
    except Exception as error:  # zlib's errors among others
        raise damaged(path, "an .npz file", error) from error
    return found


def _read_npy(file: Any, where: str, plain_objects: bool) -> Any:
    """One array; numpy itself would hand arrays of objects to the ordinary unpickler."""
    data = io.BytesIO(file.read())
    version = np.lib.format.read_magic(data)
    read_header = (
        np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    )
    shape, _, dtype = read_header(data)
    if not dtype.hasobject:
        data.seek(0)
        return np.lib.format.read_array(data, allow_pickle=False)
    if not plain_objects:
        raise DownloadError(f"{where}: expected numbers, got Python objects, which are not read from there.")
    content = _plain(data.read(), where)
    return content.reshape(shape) if isinstance(content, np.ndarray) else content


def _plain(content: bytes, where: str) -> Any:
    try:
        return load_plain_pickle(content)
    except ForbiddenPickle as error:
        raise DownloadError(
            f"{where}: expected plain data, got a pickle that {error}. It was not run; do not trust the file."
        ) from error


def read_plain_pickle(path: Path) -> Any:
    """A pickle that holds nothing but dicts, lists, numbers, text and numpy arrays.

    Raises:
        DownloadError: If it is missing or damaged, or asks for anything else, which is not run.
    """
    check_there(path)
    if (size := path.stat().st_size) > LARGEST_ARRAY:
        raise DownloadError(f"{path}: expected at most {LARGEST_ARRAY} bytes of plain data, got {size}.")
    try:
        return _plain(path.read_bytes(), str(path))
    except DownloadError:
        raise
    except Exception as error:
        raise damaged(path, "a pickle of plain data", error) from error


@contextmanager
def open_h5(path: Path) -> Iterator[Any]:
    """An HDF5 file (also MATLAB 7.3), open for `h5_array`; errors inside the `with` name the file.

    Raises:
        DownloadError: If it is missing or damaged.
    """
    import h5py

    check_there(path)
    try:
        with h5py.File(path, "r") as file:
            yield file
    except DownloadError:
        raise
    except _WRONG as error:
        raise damaged(path, "an HDF5 file", error) from error


def h5_array(file: Any, key: str, *, path: Path, shape: Sequence[int | None], rows: Any = ...) -> np.ndarray:
    """A data set in an open HDF5 file, held to its shape.

    Args:
        file: As `open_h5` gives it.
        key: Its name, with slashes.
        path: The file, for messages.
        shape: What it must be, as for `as_array`.
        rows: Which of its rows to read.

    Raises:
        DownloadError: If it is missing, a link to another file, kept in another file, or of another shape.
    """
    import h5py

    at = ""
    for step in key.split("/"):
        at = f"{at}/{step}"
        link = file.get(at, getlink=True)
        if link is None:
            raise DownloadError(
                f"{path}: expected `{key}`, found only {', '.join(sorted(file)) or 'nothing'}."
            )
        if not isinstance(link, h5py.HardLink):
            target = getattr(link, "filename", link.path)
            raise DownloadError(
                f"{path}: expected `{key}` in its place, got a link to {target!r}. It was not followed."
            )
    found = file[key]
    if not isinstance(found, h5py.Dataset) or found.external or found.is_virtual:
        raise DownloadError(
            f"{path}: expected `{key}` to be an array in the file itself, got another object."
        )
    check_shape(found.shape, shape, name=key, where=str(path))
    wanted = found.shape[1:] if isinstance(rows, int) else found.shape
    for lengths, what in ((wanted, "an array"), (found.chunks or (), "a chunk")):
        if math.prod(lengths) * max(found.dtype.itemsize, _FLOAT_BYTES) > LARGEST_ARRAY:
            raise DownloadError(
                f"{path}: expected `{key}` to fit into memory, got {what} of shape {lengths}."
            )
    return found[rows]


def check_shape(got: Sequence[int], shape: Sequence[int | None], *, name: str, where: str) -> None:
    """Raises DownloadError unless `got` is `shape`, in which None stands for any length."""
    if len(got) != len(shape) or any(
        want is not None and want != have for want, have in zip(shape, got, strict=True)
    ):
        wanted = ", ".join("any" if want is None else str(want) for want in shape)
        raise DownloadError(f"{where}: expected `{name}` of shape ({wanted}), got {tuple(got)}.")


def as_array(
    value: Any, shape: Sequence[int | None], *, name: str, where: str, finite: bool = False
) -> np.ndarray:
    """Numbers of a given shape, as float64.

    Args:
        value: What was read.
        shape: None stands for any length.
        name: Of the value, for messages.
        where: The file, and the record where there are several.
        finite: Whether NaN and infinity are refused; they mean 'unlabelled' where they are not.

    Raises:
        DownloadError: If it is not numbers, of another shape, or not finite where that is asked for.
    """
    got = np.shape(value) if isinstance(value, np.ndarray) else _nesting(value)
    if math.prod(got) * _FLOAT_BYTES > LARGEST_ARRAY:
        check_shape(got, shape, name=name, where=where)
        raise DownloadError(f"{where}: expected `{name}` to fit into memory, got an array of shape {got}.")
    try:
        array = np.asarray(value)
        if array.dtype.kind not in "fiub":
            array = np.array(value, dtype=np.float64)
        array = array.astype(np.float64)
    except _WRONG:
        raise DownloadError(f"{where}: expected numbers in `{name}`, got {_shortly(value)}.") from None
    check_shape(array.shape, shape, name=name, where=where)
    if finite and not np.isfinite(array).all():
        at = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise DownloadError(f"{where}: expected finite numbers in `{name}`, got {array[at]} at {list(at)}.")
    return array


def _nesting(value: Any) -> tuple[int, ...]:
    """The shape that lists in lists, or anything else, would have as an array."""
    lengths = []
    while isinstance(value, list | tuple):
        lengths.append(len(value))
        if not value or len(lengths) > _DEEPEST:
            break
        value = value[0]
    else:
        lengths.extend(np.shape(value))
    return tuple(lengths)


def _need(content: Any, name: str, path: Path) -> Any:
    if name not in content:
        present = [key for key in content if not key.startswith("__")]
        raise DownloadError(f"{path}: expected `{name}`, found only {', '.join(present) or 'nothing'}.")
    return content[name]


def _shortly(value: Any) -> str:
    return reprlib.repr(value)
