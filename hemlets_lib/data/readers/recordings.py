"""Whether large files are whole, and videos long enough, by their structure alone; for `Reader.check`."""

from __future__ import annotations

import struct
from pathlib import Path

from hemlets_lib.data.videos import Video

__all__ = ["mat5_missing_bytes", "missing_bytes", "video_problem"]

_CHUNK_HEADER = struct.Struct("<4sI")
_MAT5_HEADER = 128  # bytes
_MAT5_KINDS = (14, 15)  # of variables: as they are, and compressed


def missing_bytes(path: Path) -> int:
    """How many bytes an AVI file lacks at its end; 0 where it is whole, or no AVI.

    Decoders open a file that is cut short and stop where it ends. Its RIFF chunks tell how long it should be;
    large files have several, one behind the other (OpenDML).

    Raises:
        OSError: If it cannot be read.
    """
    at, size = 0, path.stat().st_size
    with path.open("rb") as file:
        while at < size:
            file.seek(at)
            header = file.read(_CHUNK_HEADER.size)
            if len(header) < _CHUNK_HEADER.size:
                return 0  # padding
            kind, length = _CHUNK_HEADER.unpack(header)
            if kind != b"RIFF" or not length:  # padding, or a recorder that did not say
                return 0
            at += _CHUNK_HEADER.size + length
    return at - size


def mat5_missing_bytes(path: Path) -> int:
    """How many bytes a MATLAB 5 file lacks at its end; 0 where its variables end with it, or it is none.

    Raises:
        OSError: If it cannot be read.

    Source: MathWorks, 'MAT-File Format': after the header, elements of a type, a length and so many bytes.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        mark = file.read(_MAT5_HEADER)[-4:]  # version and byte order
        if mark not in (b"\0\1IM", b"\1\0MI"):
            return 0
        byte_order, at = ("<" if mark.endswith(b"IM") else ">"), _MAT5_HEADER
        while at < size:
            file.seek(at)
            tag = file.read(8)
            kind, length = struct.unpack(f"{byte_order}II", tag) if len(tag) == 8 else (_MAT5_KINDS[0], 0)
            if kind not in _MAT5_KINDS:
                return 0  # damaged: reading it tells
            at += 8 + length
    return at - size


def video_problem(path: Path, *, size: tuple[int, int], frames: int) -> str:
    """What is wrong with a video; empty where nothing is.

    Args:
        path: The file.
        size: (width, height) that its labels are for.
        frames: How many frames the labels need.
    """
    if not path.is_file():
        return "missing"
    try:
        if lacking := missing_bytes(path):
            return f"cut short: {lacking} bytes are missing at its end"
        with Video(path) as video:
            found, there = (video.width, video.height), video.num_frames
    except (OSError, ValueError) as error:
        return str(error).removeprefix(f"{path}: ")
    if found != size:
        return f"expected pictures of {size[0]} by {size[1]} pixels, got {found[0]} by {found[1]}"
    if there is not None and there < frames:
        return f"expected at least {frames} frames for its labels, got {there}"
    return ""
