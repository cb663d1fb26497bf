"""Pickles that hold nothing but plain data: dicts, lists, numbers, text and numpy arrays.

Pickles are programs, and the unpickler in C and numpy's own constructors trust what such a program says of
sizes. So this is the unpickler in Python (its memory grows with the file and not with a number in it), and
what a file may name is represented by stand-ins: no class or function of the file's choosing is ever called.
Arrays are made afterwards, from a type, a shape and bytes that fit together.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
from typing import Any, NoReturn

import numpy as np

__all__ = ["ForbiddenPickle", "load_plain_pickle"]

_NUMPY = ("numpy.core.multiarray", "numpy._core.multiarray")  # before and after numpy 2
_NUMPY_NUMERIC = ("numpy.core.numeric", "numpy._core.numeric")
_PLAIN_KINDS = "fiubcSUO"


class ForbiddenPickle(ValueError):
    """The pickle asks for more than plain data; nothing of it was run."""


class _Name:
    """Stands for a class that a pickle names as an argument; it cannot be called."""


class _Dtype:
    """A type of numbers, of text, or of objects; no fields, no subarrays."""

    def __init__(self, code: Any, align: Any = False, copy: Any = False) -> None:
        dtype = np.dtype(code) if isinstance(code, str) else None
        if dtype is None or dtype.kind not in _PLAIN_KINDS or dtype.names or dtype.subdtype:
            raise ValueError(f"an array of type {code!r:.40}")
        self.dtype: np.dtype = dtype

    def __setstate__(self, state: Any) -> None:
        order = state[1]
        if state[2:5] != (None, None, None) or order not in ("<", ">", "|", "="):
            raise ValueError("an array of records")
        if order in ("<", ">"):
            self.dtype = self.dtype.newbyteorder(order)


class _Array:
    """An array to be: its shape, its type, and its bytes or objects."""

    def __init__(
        self, shape: Any = (0,), dtype: Any = None, fortran: bool = False, content: Any = b""
    ) -> None:
        self.shape, self.dtype, self.fortran, self.content = shape, dtype, fortran, content

    def __setstate__(self, state: Any) -> None:
        self.shape, self.dtype, self.fortran, self.content = state[-4:]

    def array(self, objects: list[Any] | None) -> np.ndarray:
        """The array; of `objects`, where it is one of objects."""
        shape = self.shape
        if not isinstance(self.dtype, _Dtype) or not isinstance(shape, tuple) or len(shape) > 32:
            raise ValueError("an array without a type or a shape")
        if not all(type(length) is int and length >= 0 for length in shape):
            raise ValueError(f"an array of shape {shape!r:.60}")
        dtype, count = self.dtype.dtype, math.prod(shape)
        order: Any = "F" if self.fortran else "C"
        if dtype.kind == "O":
            if objects is None or len(objects) != count:
                raise ValueError(f"an array of {count} objects that holds others")
            flat = np.empty(count, dtype=object)
            flat[:] = objects
            return flat.reshape(shape, order=order)
        content = self.content.encode("latin1") if isinstance(self.content, str) else self.content
        if not isinstance(content, bytes | bytearray) or len(content) != count * dtype.itemsize:
            raise ValueError(f"an array of {count} numbers that holds others")
        return np.frombuffer(bytes(content), dtype=dtype).reshape(shape, order=order)


def _reconstruct(kind: Any, shape: Any, code: Any) -> _Array:
    return _Array()


def _from_buffer(content: Any, dtype: Any, shape: Any, order: Any) -> _Array:
    return _Array(shape, dtype, order == "F", content)


def _scalar(dtype: Any, content: Any = b"") -> _Array:
    return _Array((), dtype, False, content)


def _encode(content: str, encoding: str) -> bytes:
    return content.encode("latin1")


class _Unpickler(pickle._Unpickler):  # the one in Python
    def find_class(self, module: str, name: str) -> Any:
        if module in _NUMPY and name == "_reconstruct":
            return _reconstruct
        if module in _NUMPY and name == "scalar":
            return _scalar
        if module in _NUMPY_NUMERIC and name == "_frombuffer":
            return _from_buffer
        if module == "numpy" and name == "ndarray":
            return _Name()
        if module == "numpy" and name == "dtype":
            return _Dtype
        if module == "_codecs" and name == "encode":
            return _encode
        raise ForbiddenPickle(f"asks for {module}.{name}")

    def persistent_load(self, pid: Any) -> NoReturn:
        raise ForbiddenPickle("has references out of itself")


def load_plain_pickle(content: bytes) -> Any:
    """What a pickle of plain data holds.

    Args:
        content: The pickle; a copy from Python 2 also.

    Returns:
        Dicts, lists, tuples, numbers, texts, None and numpy arrays of them.

    Raises:
        ForbiddenPickle: If it asks for anything else, which is not run.
        ValueError: If it is damaged; pickle raises other kinds of errors for that as well.
    """
    for _ in pickletools.genops(content):  # every length in it is that of what follows
        pass
    return _made(_Unpickler(io.BytesIO(content), encoding="latin1").load(), {})


def _made(value: Any, done: dict[int, Any]) -> Any:
    """The same with arrays in place of their stand-ins; what occurs twice is made once."""
    if id(value) in done:
        return done[id(value)][1]
    made = value
    if isinstance(value, dict):
        made = {_made(key, done): _made(item, done) for key, item in value.items()}
    elif isinstance(value, list | tuple | set):
        made = type(value)(_made(item, done) for item in value)
    elif isinstance(value, _Array):
        objects = value.content if isinstance(value.content, list) else None
        made = value.array(None if objects is None else [_made(item, done) for item in objects])
        made = made[()] if value.shape == () and made.dtype.kind != "O" else made
    elif not isinstance(value, int | float | complex | str | bytes | bytearray | None):
        raise ValueError(f"a {type(value).__name__.strip('_').lower()} where data should be")
    done[id(value)] = (value, made)  # the value too, so that its id is not given to another
    return made
