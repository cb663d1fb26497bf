"""MATLAB files of version 5 to 7, looked through before scipy reads them.

scipy trusts what a file says of its own types and sizes: a single wrong byte can end the whole process. So
every element of a variable that is wanted is visited first: known types only, no element larger than what
it lies in, no array of more members than there are bytes for.

    file      128 bytes of text, version and byte order; then elements
    element   type and length (4 + 4 bytes), then so many bytes, filled up to 8; four bytes or less may stand
              in place of the length, the length then in the type's upper half
    matrix    elements: flags and class, dimensions, name, then what the class says

Source: 'MAT-File Format', MathWorks, R2024b, for the numbers of types and classes.
"""

from __future__ import annotations

import math
import mmap
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

__all__ = ["check_mat5"]

_HEADER = 128
_ORDER_AT = 126
_TAG = 8
_NUMBERS = {1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 7: 4, 9: 8, 12: 8, 13: 8}  # element type → bytes of a number
_INT8, _INT32, _UINT32, _MATRIX, _COMPRESSED = 1, 5, 6, 14, 15
_TEXTS = (1, 2, 4, 16, 17, 18)
_CELL, _STRUCT, _OBJECT, _CHAR = 1, 2, 3, 4
_NUMERIC_CLASSES = range(6, 16)
_COMPLEX = 0x08
_DEEPEST = 24  # structs in structs; MPII's are six deep
_MOST_DIMENSIONS = 32
_QUICK_HEAD = 40  # bytes of a head with two dimensions and no name, as members of structs have
_LARGEST = 2 * 2**30  # bytes of one variable, decompressed; MPI-INF-3DHP's have some hundred million
_NAME_WITHIN = 4096  # bytes: a variable's name stands in its first

Buffer = bytes | mmap.mmap


class _Element:
    """Where an element's bytes lie, and what type they have."""

    __slots__ = ("end", "kind", "next", "start")

    def __init__(self, kind: int, start: int, end: int, following: int) -> None:
        self.kind, self.start, self.end, self.next = kind, start, end, following


def check_mat5(path: Path, names: Sequence[str]) -> None:
    """Raises ValueError unless the variables of these names can be read without harm.

    A file of version 4, which has no such structure, is left to scipy: it reads that without tricks.
    """
    with path.open("rb") as file:
        head = file.read(_HEADER)
        if len(head) < _HEADER or 0 in head[:4]:
            return
        order = {b"IM": "<", b"MI": ">"}.get(head[_ORDER_AT:])
        if order is None:
            raise ValueError(f"its byte order is given as {head[_ORDER_AT:]!r}")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            _Walker(data, order).top(names)


class _Walker:
    """Visits the elements of one buffer."""

    def __init__(self, data: Buffer, order: str) -> None:
        self.data, self.order = data, order
        self._pair = struct.Struct(f"{order}II").unpack_from
        self._plain: dict[bytes, tuple[int, int, int]] = {}  # heads met before

    def top(self, names: Sequence[str]) -> None:
        """The variables of a file."""
        at = _HEADER
        while at < len(self.data):
            element = self._element(at, len(self.data), padded=False)
            if element.kind == _COMPRESSED:
                self._compressed(element, names)
            elif element.kind == _MATRIX:
                self._variable(element, names)
            else:
                raise ValueError(f"it holds an element of type {element.kind} where a variable should be")
            at = element.next

    def _compressed(self, element: _Element, names: Sequence[str]) -> None:
        packed = self.data[element.start : element.end]
        beginning = _Walker(zlib.decompressobj().decompress(packed, _NAME_WITHIN), self.order)
        kind, length = beginning._tag(0)
        if kind != _MATRIX:
            raise ValueError(f"it holds an element of type {kind} where a variable should be")
        if length > _LARGEST:
            raise ValueError(f"a variable of it would take {length} bytes")
        if beginning._head(_Element(kind, _TAG, len(beginning.data), 0))[3] in names:
            unpacked = zlib.decompressobj().decompress(packed, _TAG + length)
            whole = _Walker(unpacked, self.order)
            whole._variable(whole._element(0, len(unpacked)), names)

    def _variable(self, element: _Element, names: Sequence[str]) -> None:
        if self._head(element)[3] in names:
            self._matrix(element, 0)

    def _tag(self, at: int) -> tuple[int, int]:
        if at + _TAG > len(self.data):
            raise ValueError("it ends within an element")
        kind, length = self._pair(self.data, at)
        return kind, length

    def _element(self, at: int, end: int, *, padded: bool = True) -> _Element:
        """The element that begins at a place and must end by another."""
        if at + _TAG > end:
            raise ValueError("an element of it ends too early")
        kind, length = self._pair(self.data, at)
        if kind >> 16:  # the short form
            kind, length, start, following = kind & 0xFFFF, kind >> 16, at + 4, at + _TAG
            if length > 4:
                raise ValueError(f"it gives a short element {length} bytes")
        else:
            start = at + _TAG
            following = start + (length + -length % 8 if padded else length)
        if start + length > end:
            raise ValueError(f"it gives an element {length} bytes, of which {max(end - start, 0)} are there")
        return _Element(kind, start, start + length, min(following, end))

    def _head(self, element: _Element) -> tuple[int, int, tuple[int, ...], str, int]:
        """Class, flags, dimensions and name of a matrix, and where its content begins."""
        flags = self._element(element.start, element.end)
        if flags.kind != _UINT32 or flags.end - flags.start != 8:
            raise ValueError("a matrix of it begins without flags")
        word = struct.unpack_from(f"{self.order}I", self.data, flags.start)[0]
        sizes = self._element(flags.next, element.end)
        count, odd = divmod(sizes.end - sizes.start, 4)
        if sizes.kind != _INT32 or odd or not 2 <= count <= _MOST_DIMENSIONS:
            raise ValueError("a matrix of it has no dimensions")
        dimensions = struct.unpack_from(f"{self.order}{count}i", self.data, sizes.start)
        if min(dimensions) < 0:
            raise ValueError(f"a matrix of it has the dimensions {dimensions}")
        name = self._element(sizes.next, element.end)
        if name.kind != _INT8:
            raise ValueError("a matrix of it has no name")
        text = bytes(self.data[name.start : name.end]).decode("latin1")
        return word & 0xFF, word >> 8 & 0xFF, dimensions, text, name.next

    def _quick_head(self, element: _Element) -> tuple[int, int, int, int]:
        """Class, flags, number of members and where they begin; a file of structs has a few heads, often."""
        at = element.start
        beginning = bytes(self.data[at : min(at + _QUICK_HEAD, element.end)])
        if (found := self._plain.get(beginning)) is None:
            kind, flags, dimensions, _, content = self._head(element)
            found = kind, flags, math.prod(dimensions)
            if content - at != _QUICK_HEAD:
                return (*found, content)
            self._plain[beginning] = found
        return (*found, at + _QUICK_HEAD)

    def _matrix(self, element: _Element, depth: int) -> None:
        if element.kind != _MATRIX:
            raise ValueError(f"it holds an element of type {element.kind} where a matrix should be")
        if element.start == element.end:
            return  # an empty array
        if depth > _DEEPEST:
            raise ValueError(f"its structs lie more than {_DEEPEST} deep")
        kind, flags, members, at = self._quick_head(element)
        if kind in _NUMERIC_CLASSES:
            for _ in range(2 if flags & _COMPLEX else 1):
                numbers = self._element(at, element.end)
                size, length = _NUMBERS.get(numbers.kind), numbers.end - numbers.start
                if size is None or length != members * size:
                    raise ValueError(
                        f"{members} numbers of a matrix in it have {length} bytes of type {numbers.kind}"
                    )
                at = numbers.next
        elif kind == _CHAR:
            text = self._element(at, element.end)
            if text.kind not in _TEXTS or members > text.end - text.start:
                raise ValueError(f"a text in it has {members} characters of type {text.kind}")
        elif kind == _CELL:
            self._members(at, element.end, members, depth)
        elif kind in (_STRUCT, _OBJECT):
            if kind == _OBJECT:
                at = self._element(at, element.end).next
            at, fields = self._fields(at, element.end)
            if not fields and members > 1:  # they take no room in the file, but some in memory
                raise ValueError(f"it has {members} structs without a field")
            self._members(at, element.end, members * fields, depth)
        else:
            raise ValueError(f"it holds a matrix of class {kind}, which no data set here has")

    def _fields(self, at: int, end: int) -> tuple[int, int]:
        """How many fields a struct has, and where its members begin."""
        length = self._element(at, end)
        if length.kind != _INT32 or length.end - length.start != 4:
            raise ValueError("a struct of it has no fields")
        size = struct.unpack_from(f"{self.order}i", self.data, length.start)[0]
        names = self._element(length.next, end)
        if names.kind != _INT8 or size <= 0 or (names.end - names.start) % size:
            raise ValueError("the fields of a struct in it have no names")
        return names.next, (names.end - names.start) // size

    def _members(self, at: int, end: int, count: int, depth: int) -> None:
        if count * _TAG > end - at:
            raise ValueError(f"it has a place for {count} members in {max(end - at, 0)} bytes")
        for _ in range(count):
            member = self._element(at, end)
            self._matrix(member, depth + 1)
            at = member.next
