"""Frames of video files, by number, through PyAV (FFmpeg's decoders).

A frame's number counts from 0 in the order in which a decoder that starts at the file's beginning shows
them. Pictures are (H, W, 3) uint8 RGB, turned as the file's display matrix says (telephones lie their videos
on the side). Reading forwards decodes every frame once. Going back, or far ahead, seeks to the key frame
before where the time stamps say for certain which number that one has, and decodes from the beginning where
they do not (AVI with B-frames, a rate that varies): slower, but never another frame.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from jaxtyping import UInt8

__all__ = ["VIDEO_SUFFIXES", "Video", "read_frames", "read_timed_frames"]

VIDEO_SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".m4v", ".webm")
_FORMATS = "mov,avi,matroska,webm"  # FFmpeg's names; playlists, which lead to other files, are not among them
_WORTH_A_SEEK = 300  # frames ahead; H.264's usual key-frame distance is 250
_COMPARED = 32  # first frames held against the table of time stamps; twice H.264's longest reordering, 16
_REMEDY = "Fetch the file again, or convert it to H.264 in .mp4."


@dataclass(frozen=True)
class _TimeStamps:
    """What the packets of a video say, in the container's clock.

    Attributes:
        frames: Time stamp of every frame, in the order of display: a frame's number is its place.
        keys: Numbers of the key frames, ascending.
    """

    frames: list[int]
    keys: list[int]


class _OutOfStepError(Exception):
    """A decoded frame's time stamp is not that of its number."""


class Video:
    """A video file, open for reading frames.

    Args:
        path: The file.
        threads: Of the decoder; 1 where several processes decode side by side.

    Attributes:
        time_s: Seconds from the first frame to the one given last, as the container states them; by the
            rate where it states none (AVI).

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
        self._stamps: _TimeStamps | None = None  # where they can be trusted
        self._are_stamps_read = False
        self._first_stamp: int | None = None  # of frame 0
        self.time_s = 0.0
        try:
            self._open()
        except (av.error.FFmpegError, OSError, ValueError, IndexError) as error:
            self.close()
            raise ValueError(
                f"{self.path}: expected a video, got a file that cannot be opened ({error}). {_REMEDY}"
            ) from error
        rate = self._stream.average_rate or self._stream.guessed_rate
        self.frames_per_second = float(rate) if rate else 0.0
        self.width, self.height = self._stream.codec_context.width, self._stream.codec_context.height

    def _open(self) -> None:
        """Makes `_frames` start at the beginning."""
        self.close()
        self._container = _container(self.path)
        self._is_avi = self._container.format.name == "avi"  # holds no time stamps; FFmpeg makes some up
        self._stream = _video_stream(self._container, threads=self._threads)
        self._frames = self._container.decode(self._stream)
        self._next = 0  # number of the frame that `_frames` gives next

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
            try:
                if index < self._next or index > self._next + _WORTH_A_SEEK:
                    self._approach(index)
                decoded = self._forward(index)
            except _OutOfStepError:
                self._stamps = None  # for good
                self._open()
                decoded = self._forward(index)
            self.time_s = self._seconds(decoded, index)
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

    def _forward(self, index: int) -> Any:
        """Decodes up to and with a frame.

        Raises:
            _OutOfStepError: If a time stamp is not the one that the packets gave for its number.
            StopIteration: If the video ends before it.
        """
        while True:
            decoded = next(self._frames, None)
            if self._stamps is not None:
                expected = self._stamps.frames[self._next : self._next + 1]  # none beyond the end
                if ([] if decoded is None else [decoded.pts]) != expected:
                    raise _OutOfStepError
            if decoded is None:
                raise StopIteration
            if self._next == 0:
                self._first_stamp = decoded.pts
            number, self._next = self._next, self._next + 1
            if number == index:
                return decoded

    def _seconds(self, decoded: Any, index: int) -> float:
        base = self._stream.time_base
        if self._is_avi or decoded.pts is None or self._first_stamp is None or not base:
            return index / self.frames_per_second if self.frames_per_second else 0.0
        return float((decoded.pts - self._first_stamp) * base)

    def _approach(self, index: int) -> None:
        """Makes `_frames` start near, at or before `index`, and `_next` its number."""
        import av

        if index < self._next:
            self._open()
        if index <= self._next + _WORTH_A_SEEK:
            return
        if not self._are_stamps_read:
            self._are_stamps_read = True
            self._stamps = self._read_stamps()
        if self._stamps is None:
            return
        stamps = self._stamps.frames
        place = bisect_right(self._stamps.keys, index) - 1
        key = self._stamps.keys[place] if place >= 0 else 0
        if key <= self._next:
            return
        self._open()
        first, number = None, index + 1
        try:
            self._container.seek(stamps[key], stream=self._stream, backward=True)
            self._frames = self._container.decode(self._stream)
            for first in self._frames:
                if first.pts is None:
                    raise _OutOfStepError
                # Pictures shown before the key frame may refer to some before that; they come out broken.
                if first.pts >= stamps[key]:
                    number = bisect_left(stamps, first.pts)
                    break
        except av.error.FFmpegError:
            pass
        if number > index:
            self._open()  # sought too far, or not at all
            return
        self._frames, self._next, self._first_stamp = _chain(first, self._frames), number, stamps[0]

    def _read_stamps(self) -> _TimeStamps | None:
        """The time stamps of all packets (nothing is decoded); None where numbers do not follow from them."""
        import av

        if self._is_avi and self._stream.codec_context.has_b_frames:
            return None
        frames, keys = [], []
        try:
            with _container(self.path) as container:
                for packet in container.demux(_video_stream(container, threads=1)):
                    if packet.size == 0 or packet.is_discard:  # the end; cut away by an edit list
                        continue
                    if packet.pts is None:
                        return None
                    frames.append(packet.pts)
                    if packet.is_keyframe:
                        keys.append(packet.pts)
            frames.sort()
            if not _is_constant(frames):
                return None
            with _container(self.path) as container:
                decoded = container.decode(_video_stream(container, threads=1))
                if [frame.pts for frame in islice(decoded, _COMPARED)] != frames[:_COMPARED]:
                    return None
        except (av.error.FFmpegError, OSError):
            return None
        return _TimeStamps(frames, [bisect_left(frames, key) for key in sorted(keys)])

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


def _container(path: Path) -> Any:
    import av

    return av.open(str(path), options={"format_whitelist": _FORMATS, "protocol_whitelist": "file"})


def _video_stream(container: Any, *, threads: int) -> Any:
    stream = container.streams.video[0]
    if stream.codec_context is None:
        raise ValueError("no decoder knows its codec")
    stream.codec_context.thread_count = threads
    return stream


def _is_constant(stamps: list[int]) -> bool:
    """Whether ascending time stamps lie equally far apart, but for their rounding to the clock's ticks."""
    steps = [after - before for before, after in pairwise(stamps)]
    return bool(steps) and 0 < min(steps) <= max(steps) <= min(steps) + 1 and max(steps) < 2 * min(steps)


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
    for index, _, image in read_timed_frames(path, step=step, start=start, stop=stop):
        yield index, image


def read_timed_frames(
    path: str | Path, *, step: int = 1, start: int = 0, stop: int | None = None
) -> Iterator[tuple[int, float, UInt8[np.ndarray, "H W 3"]]]:
    """As `read_frames`, with the seconds from the first frame to this one between number and picture.

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
            yield index, video.time_s, image
            index += step
