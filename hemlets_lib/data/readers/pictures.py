"""Where a take's pictures come from: frames of a video, picture files, or an array in an HDF5 file.

Each opens its file when a picture is first asked for, so that takes can be sent to worker processes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int, UInt8

from hemlets_lib.data.images import read_image
from hemlets_lib.data.readers.files import h5_array, open_h5
from hemlets_lib.data.videos import Video

__all__ = ["H5Pictures", "ImageFiles", "Pictures", "VideoFrames"]


@runtime_checkable
class Pictures(Protocol):
    """Pictures by place, from 0."""

    def __len__(self) -> int: ...

    def name(self, place: int) -> str:
        """What the data set calls the picture; without the folder it lies in."""
        ...

    def read(self, place: int) -> UInt8[np.ndarray, "H W 3"]:
        """The picture, RGB.

        Raises:
            ValueError: If it cannot be decoded; names the file.
            OSError: If it is missing.
            IndexError: If the video ends before it.
        """
        ...

    def close(self) -> None:
        """Lets go of open files; the next `read` opens them again."""
        ...


class VideoFrames:
    """Frames of one video, by number; cheapest to read in order.

    Args:
        path: The video.
        frames: Numbers of the frames, from 0.
        size: (width, height) that its labels are for; any where left out.
    """

    def __init__(
        self, path: Path, frames: Int[np.ndarray, "F"], *, size: tuple[int, int] | None = None
    ) -> None:
        self.path, self.frames, self.size = path, frames, size
        self._video: Video | None = None

    def __len__(self) -> int:
        return len(self.frames)

    def name(self, place: int) -> str:
        return f"{self.path.stem}:{int(self.frames[place])}"

    def read(self, place: int) -> UInt8[np.ndarray, "H W 3"]:
        if self._video is None:
            self._video = Video(self.path)
        return _of_size(self._video.frame(int(self.frames[place])), self.size, self.path)

    def close(self) -> None:
        if self._video is not None:
            self._video.close()
        self._video = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_video": None}


class ImageFiles:
    """A picture file for each frame.

    Args:
        paths: The files; they need not exist yet.
        size: (width, height) that their labels are for; any where left out.
    """

    def __init__(self, paths: tuple[Path, ...], *, size: tuple[int, int] | None = None) -> None:
        self.paths, self.size = paths, size

    def __len__(self) -> int:
        return len(self.paths)

    def name(self, place: int) -> str:
        return self.paths[place].stem

    def read(self, place: int) -> UInt8[np.ndarray, "H W 3"]:
        return _of_size(read_image(self.paths[place]), self.size, self.paths[place])

    def close(self) -> None:
        pass


class H5Pictures:
    """Rows of an (N, H, W, 3) uint8 array in an HDF5 file.

    Args:
        path: The file.
        key: The array's name.
        rows: Which of its rows, for each place.
        bgr: Whether the channels are stored as blue, green, red (OpenCV's order).
    """

    def __init__(self, path: Path, key: str, rows: Int[np.ndarray, "F"], *, bgr: bool = False) -> None:
        self.path, self.key, self.rows, self.bgr = path, key, rows, bgr

    def __len__(self) -> int:
        return len(self.rows)

    def name(self, place: int) -> str:
        return f"{self.path.stem}:{int(self.rows[place])}"

    def read(self, place: int) -> UInt8[np.ndarray, "H W 3"]:
        with open_h5(self.path) as file:
            image = h5_array(
                file, self.key, path=self.path, shape=(None, None, None, 3), rows=int(self.rows[place])
            )
        image = np.asarray(image, dtype=np.uint8)
        return np.ascontiguousarray(image[..., ::-1]) if self.bgr else image

    def close(self) -> None:
        pass


def _of_size(image: UInt8[np.ndarray, "H W 3"], size: tuple[int, int] | None, path: Path) -> np.ndarray:
    """The picture, unless it was made smaller or larger after the labels were."""
    height, width = image.shape[:2]
    if size is not None and (width, height) != size:
        raise ValueError(
            f"{path}: expected a picture of {size[0]} by {size[1]} pixels, for which the labels are, got "
            f"{width} by {height}. Take it as it was published."
        )
    return image
