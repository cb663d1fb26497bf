"""MATLAB files looked through before scipy reads them: what is whole passes, the rest does no harm."""

from __future__ import annotations

import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
import scipy.io
from downloads.mpii import MAT_NAME, write_original

from hemlets_lib.data.readers.files import DownloadError, read_mat
from hemlets_lib.data.readers.mat5 import check_mat5

CONTENT = {
    "numbers": np.arange(6.0).reshape(2, 3),
    "small": np.arange(6, dtype=np.uint8),
    "complex": np.array([[1 + 2j, 3]]),
    "flags": np.array([True, False]),
    "text": "Directions 1",
    "empty": np.zeros((0, 0)),
    "cells": np.array([[np.arange(3.0), "two"]], dtype=object),
    "nested": {"a": {"b": {"c": 1.0}}, "d": "x"},
    "deep": np.zeros((2, 3, 4, 5)),
}


@pytest.mark.parametrize("compressed", [True, False])
def test_what_scipy_writes_passes(tmp_path, compressed):
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, CONTENT, do_compression=compressed)
    check_mat5(path, list(CONTENT))
    found = read_mat(path, *CONTENT)
    np.testing.assert_array_equal(found["deep"], CONTENT["deep"])
    write_original(tmp_path)
    check_mat5(tmp_path / MAT_NAME, ["RELEASE"])


def test_other_byte_orders_and_versions(tmp_path):
    path = tmp_path / "a.mat"
    # One variable x = 7, as a big-endian machine writes it.
    matrix = struct.pack(">II4B4x", 6, 8, 0, 0, 0, 6) + struct.pack(">II2i", 5, 8, 1, 1)
    matrix += struct.pack(">HH4s", 1, 1, b"x") + struct.pack(">IId", 9, 8, 7.0)
    head = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x01\x00MI"
    path.write_bytes(head + struct.pack(">II", 14, len(matrix)) + matrix)
    assert read_mat(path, "x")["x"] == 7.0
    path.write_bytes(head[:-2] + b"??" + matrix)
    with pytest.raises(
        DownloadError, match=r"a\.mat: expected a MATLAB file, .*byte order is given as b'\?\?'"
    ):
        read_mat(path, "x")
    scipy.io.savemat(path, {"x": 3.0}, format="4")
    assert read_mat(path, "x")["x"] == 3.0


def test_what_is_not_wanted_is_not_looked_at(tmp_path):
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {"x": 1.0, "sparse": scipy.sparse.eye_array(3).tocsc()})
    check_mat5(path, ["x"])
    with pytest.raises(ValueError, match="a matrix of class 5, which no data set here has"):
        check_mat5(path, ["sparse"])


def damaged(path, place, value):
    """Changes one byte of a file."""
    content = bytearray(path.read_bytes())
    content[place] = value
    path.write_bytes(bytes(content))


@pytest.mark.parametrize(
    ("offset", "value", "message"),
    [
        # The parts of x = [1 2 3] from byte 128: tag, flags, dimensions, name, numbers.
        (0, 13, "an element of type 13 where a variable should be"),
        (5, 9, r"it gives an element 2\d{3} bytes, of which \d+ are there"),
        (8, 7, "begins without flags"),
        (16, 99, "a matrix of class 99, which no data set here has"),
        (24, 6, "a matrix of it has no dimensions"),
        (28, 7, "a matrix of it has no dimensions"),
        (35, 255, "has the dimensions"),
        (36, 4, r"4 numbers of a matrix in it have 24 bytes of type 9"),
        (40, 2, "a matrix of it has no name"),
        (42, 5, "gives a short element 5 bytes"),
        (48, 11, "3 numbers of a matrix in it have 24 bytes of type 11"),
        (48, 200, "3 numbers of a matrix in it have 24 bytes of type 200"),  # scipy: segmentation fault
        (52, 16, "3 numbers of a matrix in it have 16 bytes of type 9"),
    ],
)
def test_one_wrong_byte(tmp_path, offset, value, message):
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {"x": np.array([[1.5, 2.5, 3.5]])})
    damaged(path, 128 + offset, value)
    with pytest.raises(ValueError, match=message):
        check_mat5(path, ["x"])
    with pytest.raises(DownloadError, match=rf"a\.mat: expected a MATLAB file, .*{message}"):
        read_mat(path, "x")


def test_more_members_than_bytes(tmp_path):
    path = tmp_path / "a.mat"
    for content, what in (({"x": {"a": 1.0}}, "struct"), ({"x": np.array([[None]], dtype=object)}, "cells")):
        if what == "cells":
            content["x"][0, 0] = 1.0
        scipy.io.savemat(path, content)
        damaged(path, 128 + 35, 127)  # two thousand million rows
        with pytest.raises(ValueError, match=r"a place for \d{10} members in \d+ bytes"):
            check_mat5(path, ["x"])


def test_structs_that_lie_too_deep(tmp_path):
    path, content = tmp_path / "a.mat", {"a": 1.0}
    for _ in range(40):
        content = {"a": content}
    scipy.io.savemat(path, {"x": content})
    with pytest.raises(ValueError, match="its structs lie more than 24 deep"):
        check_mat5(path, ["x"])


def test_a_bomb_is_not_unpacked(tmp_path):
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {"x": np.zeros(10)}, do_compression=True)
    inner = bytearray(zlib.decompress(path.read_bytes()[136:]))
    inner[4:8] = struct.pack("<I", 2**32 - 8)
    packed = zlib.compress(bytes(inner))
    path.write_bytes(path.read_bytes()[:128] + struct.pack("<II", 15, len(packed)) + packed)
    with pytest.raises(ValueError, match="a variable of it would take 4294967288 bytes"):
        check_mat5(path, ["x"])


def test_no_byte_can_end_the_process(tmp_path):
    """Hundreds of damaged files in a process of their own, which must live to tell."""
    write_original(tmp_path)
    program = """
import sys, random, pathlib
import scipy.io
from hemlets_lib.data.readers.files import DownloadError, read_mat
path = pathlib.Path(sys.argv[1])
content = {"RELEASE": scipy.io.loadmat(path)["RELEASE"]}
scipy.io.savemat(path, content)
whole, rng, refused = path.read_bytes(), random.Random(0), 0
for _ in range(600):
    data = bytearray(whole)
    for _ in range(rng.choice((1, 1, 3))):
        data[rng.randrange(128, len(data))] = rng.choice((0, 255, rng.randrange(256), rng.randrange(20)))
    path.write_bytes(bytes(data))
    try:
        read_mat(path, "RELEASE")
    except DownloadError:
        refused += 1
print(refused)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / MAT_NAME)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-500:]
    assert 100 < int(done.stdout) < 600


def element(kind: int, data: bytes) -> bytes:
    return struct.pack("<II", kind, len(data)) + data + bytes(-len(data) % 8)


@pytest.mark.parametrize(
    ("matrix_class", "content", "message"),
    [
        (2, element(5, struct.pack("<i", 32)) + element(1, b""), "it has 300000000 structs without a field"),
        (4, element(16, b""), "a text in it has 300000000 characters"),
    ],
    ids=["structs without fields", "a text without letters"],
)
def test_sizes_that_take_no_room_in_the_file(tmp_path, matrix_class, content, message):
    """Some two hundred bytes that scipy would make gigabytes of."""
    flags, dims = struct.pack("<II", matrix_class, 0), struct.pack("<2i", 300_000, 1000)
    body = element(6, flags) + element(5, dims) + element(1, b"joints") + content
    head = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack("<H", 0x100) + b"IM"
    (tmp_path / "a.mat").write_bytes(head + struct.pack("<II", 14, len(body)) + body)
    with pytest.raises(DownloadError, match=rf"a\.mat: .*{message}"):
        read_mat(tmp_path / "a.mat", "joints")
