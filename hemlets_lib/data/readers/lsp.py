"""Leeds Sports Pose and its extension: photographs of athletes, 14 joints in 2D.

The third number of a joint means different things. In LSP it says that the joint is occluded: annotators
placed it all the same, and here it stays. In the extension it says that the joint is visible, and only those
were annotated ('up to 14 visible joint locations'): the others are unlabelled. In the extension's second
edition, re-annotated in high resolution, all joints are placed, and all stay.

Neither has boxes: people are cropped about their joints. Where a pixel's centre lies is not documented;
coordinates are taken as they stand, which is wrong by one pixel at most.

Source: Johnson and Everingham, 'Clustered pose and nonlinear appearance models', BMVC 2010, and 'Learning
effective human pose estimation from inaccurate annotation', CVPR 2011; README.txt of both; the use that
src/datasets/lsp_to_tfrecords.py of akanazawa/hmr makes of the third number.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from hemlets_lib.data.readers.contract import Reader, Skipped
from hemlets_lib.data.readers.files import DownloadError, read_mat
from hemlets_lib.data.readers.joint_orders import LSP14
from hemlets_lib.data.readers.photographs import Person, PhotoReader, px_array

__all__ = [
    "LSP_PICTURES",
    "LSP_TRAINING",
    "READERS",
    "LspExtended",
    "LspExtendedHighResolution",
    "LspOriginal",
    "lsp_joints_px",
]

LSP_TRAINING = 1000  # the first so many are for training, the others for testing; README.txt of LSP
LSP_PICTURES = "images/im{:04d}.jpg"  # counted from 1
EXTENDED_PICTURES = "images/im{:05d}.jpg"
_JOINTS_NAME = "joints.mat"
_NUM_JOINTS = LSP14.num_joints


def lsp_joints_px(path: Path) -> Float[np.ndarray, "N 14 3"]:
    """What `joints.mat` of LSP (3, 14, N) or of its extension (14, 3, N) holds: x, y and a flag.

    Raises:
        DownloadError: If the file is missing, damaged or of another shape.
    """
    joints = np.asarray(read_mat(path, "joints")["joints"])
    if joints.ndim == 3 and joints.shape[:2] == (3, _NUM_JOINTS):
        joints = joints.transpose(1, 0, 2)
    joints = px_array(joints, (_NUM_JOINTS, 3, None), name="joints", where=str(path))
    if not joints.shape[2]:
        raise DownloadError(f"{path}: expected people in `joints`, got none.")
    return joints.transpose(2, 0, 1)


class _Lsp(PhotoReader):
    dataset: ClassVar[str] = "lsp"
    skeleton = LSP14
    pattern: ClassVar[re.Pattern[str]]  # of a picture's name, from the root

    @classmethod
    def recognises(cls, root: Path) -> bool:
        folder = root / "images" if cls.pattern.pattern.startswith("images/") else root
        if not folder.is_dir():
            return False
        return any(cls.pattern.fullmatch(path.relative_to(root).as_posix()) for path in folder.iterdir())

    def annotation_names(self, split: str) -> tuple[str, ...]:
        return (_JOINTS_NAME,)

    def _all(self) -> Float[np.ndarray, "N 14 3"]:
        return lsp_joints_px(self.root / _JOINTS_NAME)


class LspOriginal(_Lsp):
    """Either size of LSP: `lsp_dataset`, shrunk to people of 150 pixels, or `lsp_dataset_original`."""

    form = "original"
    title = "Leeds Sports Pose, as published"
    layout = "joints.mat, images/im0001.jpg … im2000.jpg"
    source = "sam.johnson.io/research/lsp.html, and README.txt"
    splits = ("train", "test")
    pattern = re.compile(r"images/im\d{4}\.jpg")
    assumptions = (
        "LSP: the third row of joints.mat says 'occluded'; coordinates are kept either way",
        "LSP: pixels count from 0, or the difference of one does not matter",
        "LSP: the neck is MPII's 'upper neck'",
    )

    def people(self, split: str) -> Iterator[Person | Skipped]:
        for number, joints in enumerate(self._all()):
            if (number < LSP_TRAINING) == (split == "train"):
                picture = self.root / LSP_PICTURES.format(number + 1)
                yield Person(picture, picture.stem, number, joints[:, :2])


class LspExtended(_Lsp):
    """The extension as published: 10 000 more pictures, labelled by many hands, all for training."""

    form = "extended"
    title = "Leeds Sports Pose Extended Training, as published"
    layout = "joints.mat, images/im00001.jpg … im10000.jpg"
    source = "sam.johnson.io/research/lspet.html, and README.txt"
    splits = ("train",)
    pattern = re.compile(r"images/im\d{5}\.jpg")
    assumptions = (
        "LSP extended: joints whose third number is 0 are unlabelled, whatever their coordinates",
        "LSP extended: pixels count from 0, or the difference of one does not matter",
    )

    def people(self, split: str) -> Iterator[Person | Skipped]:
        labels = self._all()
        visible = labels[:, :, 2:]  # (N, 14, 1)
        if not np.isin(visible, (0, 1)).all():
            other = visible[~np.isin(visible, (0, 1))][0]
            raise DownloadError(
                f"{self.root / _JOINTS_NAME}: expected 0 or 1 as a joint's third number, got {other:g}."
            )
        for number, joints_px in enumerate(np.where(visible == 1, labels[:, :, :2], np.nan)):
            picture = self.root / EXTENDED_PICTURES.format(number + 1)
            yield Person(picture, picture.stem, number, joints_px)


class LspExtendedHighResolution(_Lsp):
    """The extension's second edition (hr-lspet): fewer pictures, in PNG, beside `joints.mat`.

    Numbers are missing from the pictures' names; the n-th by name belongs to the n-th entry.
    Source: datasets/preprocess/hr_lspet.py of nkolot/SPIN.
    """

    form = "extended_hr"
    title = "Leeds Sports Pose Extended Training in high resolution, re-annotated"
    layout = "joints.mat, im00001.png …"
    source = "datasets/preprocess/hr_lspet.py of nkolot/SPIN"
    splits = ("train",)
    pattern = re.compile(r"im\d{5}\.png")
    assumptions = (
        "LSP extended (HR): all 14 joints are placed, and the third number does not matter",
        "LSP extended (HR): pictures belong to entries in the order of their names",
    )

    def people(self, split: str) -> Iterator[Person | Skipped]:
        joints = self._all()
        pictures = sorted(path for path in self.root.iterdir() if self.pattern.fullmatch(path.name))
        if len(pictures) != len(joints):
            raise DownloadError(
                f"{self.root / _JOINTS_NAME}: expected a picture im*.png for each of its {len(joints)} "
                f"entries, got {len(pictures)}: nobody could say whose joints are whose."
            )
        for number, (picture, placed) in enumerate(zip(pictures, joints, strict=True)):
            yield Person(picture, picture.stem, number, placed[:, :2])


READERS: tuple[type[Reader], ...] = (LspOriginal, LspExtended, LspExtendedHighResolution)
