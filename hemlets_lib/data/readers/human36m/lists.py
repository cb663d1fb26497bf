"""Lists of Human3.6M's pictures in .npz files, in the fashion of SPIN and of those after it.

    imgname    (N,)       names of pictures, with folders
    center     (N, 2)     middle of the person's square box, px
    scale      (N,)       its side, in units of 200 px
    part       (N, J, 3)  joints in the picture, px, and whether they are there
    S          (N, J, 4)  joints in space, metres, and whether they are there

The arrays belong together row by row, takes follow each other.

Source: datasets/base_dataset.py of nkolot/SPIN, whose crops have the side 200 · scale.
"""

from __future__ import annotations

import zipfile
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float, Shaped

from hemlets_lib.data.readers.contract import Finding, Reader, Skipped, Take
from hemlets_lib.data.readers.files import DownloadError, as_array, check_shape, read_npz
from hemlets_lib.data.readers.human36m.facts import DATASET, FRAMES_PER_SECOND, SPLITS
from hemlets_lib.data.readers.human36m.images import (
    Listed,
    check_listed,
    listed_takes,
    picture_paths,
    refuse_outside,
)
from hemlets_lib.data.readers.pictures import ImageFiles
from hemlets_lib.data.sample import Meta

__all__ = ["MM_PER_M", "PictureLists", "boxes_px", "known_joints"]

MM_PER_M = 1000.0
_PX_PER_SCALE = 200.0


class PictureLists(Reader):
    """A form of such lists.

    Class attributes besides those of `Reader`: `num_joints` of its poses; `pictures_from`, the folder that
    `imgname` starts in; `splits_without_pixels`, whose files may lack `part`.
    """

    dataset = DATASET
    frames_per_second = FRAMES_PER_SECOND
    num_joints: ClassVar[int]
    pictures_from: ClassVar[str]
    splits_without_pixels: ClassVar[frozenset[str]] = frozenset()

    @abstractmethod
    def _path(self, split: str) -> Path:
        """The file of a split, whether it is there or not."""

    def _subjects(self, split: str) -> tuple[str, ...]:
        return SPLITS["train" if split == "train" else "test"]

    def _read(self, split: str) -> tuple[list[str], dict[str, Any]]:
        """Names of pictures, and the arrays, as long as those."""
        path = self._path(split)
        names = ["imgname", "center", "scale", "S"]
        if split not in self.splits_without_pixels or _holds(path, "part"):
            names.append("part")
        arrays = read_npz(path, *names)
        pictures = _names(arrays.pop("imgname"), str(path))
        shapes: dict[str, tuple[int | None, ...]] = {
            "center": (None, 2),
            "scale": (None,),
            "part": (None, self.num_joints, 3),
            "S": (None, self.num_joints, 4),
        }
        arrays["scale"] = arrays["scale"].reshape(-1)
        for name, array in arrays.items():
            check_shape(array.shape, shapes[name], name=name, where=str(path))
            if len(array) != len(pictures):
                raise DownloadError(
                    f"{path}: expected as many rows everywhere, got {len(pictures)} names of pictures and "
                    f"{len(array)} of `{name}`. Which belong together cannot be told; make the file again."
                )
        return pictures, arrays

    def takes(self, split: str, *, step: int = 1) -> Iterator[Take | Skipped]:
        self.check_split(split)
        pictures, arrays = self._read(split)
        base, where = self.root / self.pictures_from, str(self._path(split))
        for item in listed_takes(pictures, subjects=self._subjects(split), step=step):
            if isinstance(item, Skipped):
                yield item
                continue
            paths = picture_paths(base, [pictures[row] for row in item.rows], where=f"{where}, imgname")
            if not any(folder.is_dir() for folder in {path.parent for path in paths}):
                yield Skipped(item.title, "its pictures are missing", len(paths))
                continue
            rows = {
                name: as_array(array[item.rows], (None, *array.shape[1:]), name=name, where=where)
                for name, array in arrays.items()
            }
            yield self._take(item, rows, ImageFiles(paths), boxes_px(rows["center"], rows["scale"]))

    @abstractmethod
    def _take(
        self,
        item: Listed,
        rows: Mapping[str, np.ndarray],
        pictures: ImageFiles,
        boxes_px: Float[np.ndarray, "F 3"],
    ) -> Take | Skipped:
        """One take from its rows of the arrays."""

    def _meta(self, item: Listed) -> Meta:
        return Meta(
            DATASET,
            subject=item.subject,
            action=item.name.action,
            camera_name=item.name.camera,
            source=self.form,
        )

    def check(self) -> Iterator[Finding]:
        listed: list[str] = []
        any_there = any(self._path(split).is_file() for split in self.splits)
        for split in self.splits:
            path = self._path(split)
            where = path.relative_to(self.root).as_posix()
            if not path.is_file():
                yield Finding(
                    where, "" if any_there else "missing", f"not there; the split {split!r} needs it"
                )
                continue
            try:
                pictures, arrays = self._read(split)
                refuse_outside(self.root / self.pictures_from, pictures, where=where)
            except DownloadError as error:
                yield Finding(where, str(error))
                continue
            known = "" if "part" in arrays else "; no pixels of joints"
            yield Finding(where, note=f"{len(pictures)} pictures{known}")
            listed += pictures
        yield from check_listed(self.root, self.root / self.pictures_from, listed)


def _holds(path: Path, name: str) -> bool:
    """Whether an .npz file has an array; False for what is none, which `read_npz` tells politely."""
    try:
        with zipfile.ZipFile(path) as archive:
            return f"{name}.npy" in archive.namelist()
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile):
        return False


def _names(array: Any, where: str) -> list[str]:
    """Pictures' names, with forward slashes."""
    if not isinstance(array, np.ndarray) or array.ndim != 1 or array.dtype.kind not in "US":
        raise DownloadError(f"{where}: expected a list of pictures' names in `imgname`, got something else.")
    names: Sequence[Any] = array.tolist()
    return [
        (name.decode("utf-8", "replace") if isinstance(name, bytes) else name).replace("\\", "/")
        for name in names
    ]


def boxes_px(centre_px: Float[np.ndarray, "F 2"], scale: Float[np.ndarray, "F"]) -> Float[np.ndarray, "F 3"]:
    """Middle and side; NaN where a number is damaged, so that the frame is left out.

    Args:
        centre_px: `center`.
        scale: `scale`.
    """
    with np.errstate(over="ignore"):
        boxes = np.concatenate([centre_px, scale[:, None] * _PX_PER_SCALE], axis=1)
    return np.where(np.isfinite(boxes).all(-1, keepdims=True), boxes, np.nan)


def known_joints(joints: Float[np.ndarray, "F J C"], *, unit: float = 1.0) -> Shaped[np.ndarray, "F J D"]:
    """Coordinates without the last column, NaN where that says that there are none.

    Args:
        joints: As the arrays `part` and `S` have them.
        unit: What the coordinates are multiplied by.
    """
    with np.errstate(over="ignore"):
        return np.where(joints[..., -1:] > 0, joints[..., :-1] * unit, np.nan)
