"""Frames of video files, by number, through PyAV (FFmpeg's decoders).

A frame's number counts from 0 in the order of display. Pictures are (H, W, 3) uint8 RGB, turned as the
file's display matrix says (telephones lie their videos on the side). Reading forwards decodes every frame
once; going back, or far ahead, seeks to the key frame before.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from jaxtyping import UInt8

__all__ = ["VIDEO_SUFFIXES", "Video", "read_frames"]

VIDEO_SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".m4v", ".webm")
_FORMATS = "mov,avi,matroska,webm"  # FFmpeg's names; playlists, which lead to other files, are not among them
_WORTH_A_SEEK = 300  # frames ahead; H.264's usual key-frame distance is 250
_REMEDY = "Fetch the file again, or convert it to H.264 in .mp4."


class Video:
    """A video file, open for reading frames.

    Args:
        path: The file.
        threads: Of the decoder; 1 where several processes decode side by side.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it holds no video that can be decoded; the message names the file.
    """

    def __init__(self, path: str | Path, *, threads: int = 1) -> None:
        import av

        self.path = Path(path)
        if not self.path.is_file():
            raise FileNotFoundError(f"{self.path}: expected a video file, found none. Check the path.")
        self._threads = threads
        self._container: Any = None
        try:
            self._open()
        except (av.error.FFmpegError, OSError, ValueError, IndexError) as error:
            self.close()
            raise ValueError(
                f"{self.path}: expected a video, got a file that cannot be opened ({error}). {_REMEDY}"
            ) from error

    def _open(self) -> None:
        import av

        self.close()
        allowed = {"format_whitelist": _FORMATS, "protocol_whitelist": "file"}
        self._container = av.open(str(self.path), options=allowed)
        self._stream = self._container.streams.video[0]
        if self._stream.codec_context is None:
            raise ValueError("no decoder knows its codec")
        self._stream.codec_context.thread_count = self._threads
        self._frames = self._container.decode(self._stream)
        self._next = 0  # number of the frame that `_frames` gives next
        self._turns = 0
        rate = self._stream.average_rate or self._stream.guessed_rate
        self.frames_per_second = float(rate) if rate else 0.0
        self.width, self.height = self._stream.codec_context.width, self._stream.codec_context.height
        self._first_time: int | None = None

    @property
    def num_frames(self) -> int | None:
        """How many frames the container says it holds; None where it does not say."""
        if self._stream.frames:
            return int(self._stream.frames)
        if self._stream.duration and self._stream.time_base and self.frames_per_second:
            return round(float(self._stream.duration * self._stream.time_base) * self.frames_per_second)
        return None

    def frame(self, index: int) -> UInt8[np.ndarray, "H W 3"]:
        """One frame; cheapest in ascending order.

        Raises:
            IndexError: If the video ends before it.
            ValueError: If decoding fails; the message names the file and the frame.
        """
        import av

        if index < 0:
            raise IndexError(f"`index` must be 0 or more, got {index}")
        try:
            if index < self._next or index > self._next + _WORTH_A_SEEK:
                self._seek(index)
            while True:
                decoded = next(self._frames)
                number, self._next = self._next, self._next + 1
                if number == index:
                    return _upright(decoded)
        except StopIteration:
            raise IndexError(
                f"{self.path}: expected frame {index}, got a video that ends after {self._next} frames."
            ) from None
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise ValueError(
                f"{self.path}, frame {index}: expected a frame that can be decoded, got damaged data "
                f"({error}). {_REMEDY}"
            ) from error

    def _seek(self, index: int) -> None:
        """Makes `_frames` start at a key frame at or before `index`, and `_next` its number."""
        start, base, rate = self._stream.start_time or 0, self._stream.time_base, self._stream.average_rate
        self._open()
        if index <= _WORTH_A_SEEK or not base or not rate:
            return
        # Half a frame early: time stamps are rounded to the container's clock.
        wanted = start + int((index - Fraction(1, 2)) / rate / base)
        self._container.seek(wanted, stream=self._stream, backward=True)
        self._frames = self._container.decode(self._stream)
        first = next(self._frames)
        number = None if first.pts is None else round((first.pts - start) * base * rate)
        if number is None or not 0 <= number <= index:
            self._open()  # no usable time stamps: from the start
            return
        self._frames, self._next = _chain(first, self._frames), number

    def close(self) -> None:
        """Lets go of the file."""
        if self._container is not None:
            self._container.close()
            self._container = None

    def __enter__(self) -> Video:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _chain(first: Any, rest: Iterator[Any]) -> Iterator[Any]:
    yield first
    yield from rest


def _upright(frame: Any) -> UInt8[np.ndarray, "H W 3"]:
    """The picture of a decoded frame, turned by the multiple of 90° that its display matrix states."""
    image = frame.to_ndarray(format="rgb24")
    quarter_turns = round(frame.rotation / 90) % 4  # anticlockwise, as `numpy.rot90` counts
    return np.ascontiguousarray(np.rot90(image, quarter_turns)) if quarter_turns else image


def read_frames(
    path: str | Path, *, step: int = 1, start: int = 0, stop: int | None = None
) -> Iterator[tuple[int, UInt8[np.ndarray, "H W 3"]]]:
    """Every `step`-th frame of a video with its number, in order.

    Args:
        path: The file.
        step: From one frame given out to the next.
        start: The first.
        stop: Ends before this one; at the video's end where left out.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no video or damaged, or an option is out of range.
    """
    if step < 1 or start < 0:
        raise ValueError(f"`step` must be at least 1 and `start` 0 or more, got {step} and {start}")
    with Video(path) as video:
        index = start
        while stop is None or index < stop:
            try:
                image = video.frame(index)
            except IndexError:
                return
            yield index, image
            index += step
