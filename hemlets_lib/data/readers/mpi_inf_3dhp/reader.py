"""MPI-INF-3DHP as it is downloaded: training and test part, in one folder or each by itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType

from hemlets_lib.data.readers.contract import Finding, Reader, Skipped, Take
from hemlets_lib.data.readers.files import DownloadError
from hemlets_lib.data.readers.mpi_inf_3dhp.facts import DATASET
from hemlets_lib.data.readers.mpi_inf_3dhp.test_part import check_test, evaluated_takes, find_test
from hemlets_lib.data.readers.mpi_inf_3dhp.train_part import check_train, find_train, train_takes

__all__ = ["MpiInf3dhp"]

# Which part of the download a split is, and whether its poses have the universal size. The official metric
# compares with the universal one, so `test` has it; training with other data sets needs true millimetres.
_SPLITS = MappingProxyType(
    {
        "train": ("train", False),
        "test": ("test", True),
        "train_universal": ("train", True),
        "test_measured": ("test", False),
    }
)


class MpiInf3dhp(Reader):
    """The original download. `splits` are those whose part is there.

    Poses of one person come in two sizes, and both project onto the picture; `mpi_inf_3dhp_facts` tells why:

        train, test_measured            `annot3`: true millimetres
        test, train_universal           `univ_annot3`: everybody of one height, as the official metric wants
    """

    dataset = DATASET
    form = "original"
    title = "MPI-INF-3DHP"
    layout = (
        "S1…S8/Seq1…2/{annot.mat, camera.calibration, imageSequence/video_*.avi} and/or "
        "mpi_inf_3dhp_test_set/TS1…6/{annot_data.mat, imageSequence/img_*.jpg}"
    )
    source = "Mehta et al., 3DV 2017; README and MATLAB files of the download"
    splits = tuple(_SPLITS)
    # Most training sequences; S1/Seq2, S3 and S5 have 50. Every 10th of their million frames: nkolot/SPIN.
    frames_per_second = 25.0
    default_steps = MappingProxyType({"train": 10, "train_universal": 10, "test": 1, "test_measured": 1})
    assumptions = (
        "annot.mat is a MATLAB 5 file whose `cameras` and `frames` are as the README says.",
        "camera.calibration has a word and its numbers on each line, and `radial` is 0.",
        "Pixels of annot2 are counted so that a pixel's centre is a whole number; half a pixel hangs on it.",
        "S6/Seq2/video_2.avi ends after 3911 frames, and every other video has its sequence's frames.",
        "The RIFF chunks of the videos add up to the files' sizes, and their headers tell how many frames.",
        "Pictures of TS5 and TS6 fit a pinhole camera, as their annotations do; others assume distortion.",
        "Root upon root, univ_annot3 is annot3 divided by one number for each sequence, in both parts.",
        "valid_frame is 1 where a frame counts; activity_annotation is 1 to 7 there, in the README's order.",
        "Extracted frames (img_0_000001.jpg, imageFrames/video_0/frame_000001.jpg) are all of the video's.",
    )

    def __init__(self, root: str | Path) -> None:
        super().__init__(root)
        self._folders = {"train": find_train(self.root), "test": find_test(self.root)}
        there = tuple(split for split, (part, _) in _SPLITS.items() if self._folders[part] is not None)
        self.splits = there or self.splits  # type: ignore[misc]  # of this download

    @classmethod
    def recognises(cls, root: Path) -> bool:
        return find_train(root) is not None or find_test(root) is not None

    def check(self) -> Iterator[Finding]:
        train, test = self._folders["train"], self._folders["test"]
        if train is None and test is None:
            yield Finding("", "expected folders S1 … S8 or TS1 … TS6, found none")
        if train is not None:
            yield from check_train(train, self.root)
        if test is not None:
            yield from check_test(test, self.root)
        for folder, what in ((train, "training"), (test, "test")):
            if folder is None:
                yield Finding(f"the {what} part", absent=True)

    def takes(self, split: str, *, step: int = 1) -> Iterator[Take | Skipped]:
        self.check_split(split)
        part, universal = _SPLITS[split]
        folder = self._folders[part]
        if folder is None:
            raise DownloadError(f"{self.root}: expected the {part} part of {self.dataset}, found none.")
        read = train_takes if part == "train" else evaluated_takes
        yield from read(folder, form=self.form, step=step, universal=universal)
