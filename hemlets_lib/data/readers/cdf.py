"""CDF files (NASA's Common Data Format), read by cdflib so that a damaged one cannot hang."""

from __future__ import annotations

import functools
import importlib.util
import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from hemlets_lib.data.readers.files import LARGEST_ARRAY, check_there, damaged

__all__ = ["cdf_shape", "read_cdf"]

_LARGEST_NUMBER = 16  # bytes of one number, of any of the format's types
_LARGEST_FILE = 2**28  # bytes, inflated; Human3.6M's have some millions
_COMPRESSED = b"\xcc\xcc\x00\x01"  # second magic number of a file that is compressed as a whole
_RECORDS_START, _RECORD_HEAD, _BLOCK = 8, 32, 2**20  # bytes; CDF Internal Format Description, 'CCR'
_LARGEST_COUNT = 100_000  # of records, variables, attributes; Human3.6M's longest take has some 6 000 frames


def read_cdf(path: Path, variable: str) -> np.ndarray:
    """One variable of a CDF file (NASA's Common Data Format).

    Raises:
        DownloadError: If the file is missing or damaged, or has no such variable.
    """
    with _open_cdf(path, variable) as (file, _):
        return np.asarray(file.varget(variable))


def cdf_shape(path: Path, variable: str) -> tuple[int, ...]:
    """The shape of what `read_cdf` would give, from the file's header.

    Returns:
        The lengths, the number of records first.

    Raises:
        DownloadError: If the file is missing or damaged, or has no such variable.
    """
    with _open_cdf(path, variable) as (_, shape):
        return shape


@contextmanager
def _open_cdf(path: Path, variable: str) -> Iterator[tuple[Any, tuple[int, ...]]]:
    """A CDF file that has a variable of a sensible size, and the variable's shape."""
    check_there(path)
    try:
        _check_size(path)
        file = _cdf_module().CDF(str(path))
        entry = file.varinq(variable)
        shape = (int(entry.Last_Rec) + 1, *(int(length) for length in entry.Dim_Sizes))
        if min(shape) < 0 or math.prod(shape) * _LARGEST_NUMBER > LARGEST_ARRAY:
            raise ValueError(f"a variable of shape {shape}")
        yield file, shape
    except Exception as error:  # cdflib raises many kinds
        raise damaged(path, f"a CDF file with a variable `{variable}`", error) from error


def _check_size(path: Path) -> None:
    """Raises ValueError for a file, compressed as a whole, that is too large; cdflib inflates all of it."""
    with path.open("rb") as file:
        if file.read(_RECORDS_START)[4:] != _COMPRESSED:
            return
        file.seek(_RECORDS_START + _RECORD_HEAD)
        inflate, size = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16), 0
        while (data := inflate.unconsumed_tail or file.read(_BLOCK)) and not inflate.eof:
            size += len(inflate.decompress(data, _BLOCK))
            if size > _LARGEST_FILE:
                raise ValueError(f"it holds more than {_LARGEST_FILE} bytes")


@functools.cache
def _cdf_module() -> ModuleType:
    """cdflib's reader, with loops of its own that end.

    It counts up to whatever a file says, in a damaged one to billions. This copy of the module is private, so
    that nobody else's cdflib is touched.
    """
    spec = importlib.util.find_spec("cdflib.cdfread")
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError("No module named 'cdflib'", name="cdflib")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.__dict__["range"] = _short_range
    return module


def _short_range(*arguments: int) -> range:
    numbers = range(*arguments)
    if numbers and max(abs(numbers[0]), abs(numbers[-1])) > _LARGEST_COUNT:
        raise ValueError(f"a count of {max(abs(numbers[0]), abs(numbers[-1]))}")
    return numbers
