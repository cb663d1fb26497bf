"""From a downloaded data set to shards: `hemlets data prepare`.

    prepared = prepare("human36m", "downloads/h36m", "shards/h36m-train", split="train")
    prepared.rows       what there is of each subject; prepared.left_out    what is missing, and why

Labels are read first, all of them; then pictures are decoded, cropped and written in parallel
(`shards.build`). What cannot be read is left out and told. Both may be interrupted and run again.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from hemlets_lib.data.downloads import find_reader
from hemlets_lib.data.readers import DownloadError, Reader, Skipped, Take
from hemlets_lib.data.readers.pictures import VideoFrames
from hemlets_lib.data.sample import Sample
from hemlets_lib.data.shards.build import JPEG_QUALITY, SAMPLES_PER_TASK, build_shards
from hemlets_lib.data.shards.dataset import ShardDataset
from hemlets_lib.data.shards.manifest import MANIFEST_NAME, read_manifest
from hemlets_lib.results import differences, write_json

__all__ = ["PREPARED_NAME", "Download", "LeftOut", "Prepared", "Row", "prepare"]

PREPARED_NAME = "prepared.json"  # the summary, beside the manifest
PREPARED_SIZE = 256  # px; the paper's input size
_FRAMES_PER_TASK = 200  # neighbouring frames of a video for one worker, as it must seek to the first


@dataclass(frozen=True)
class Row:
    """What there is of one subject."""

    subject: str
    frames: int
    actions: int
    cameras: int


@dataclass(frozen=True)
class LeftOut:
    """What was left out for one reason."""

    reason: str
    items: int  # takes, files or single frames
    frames: int  # as far as their number is known
    example: str


@dataclass(frozen=True)
class Prepared:
    """What `prepare` made.

    Args:
        root: The folder of shards.
        dataset: Name of the data set.
        form: In which form it lay there.
        split: Which part of it.
        rows: Subject by subject.
        actions: Frames of each action.
        left_out: What is missing, and why.
    """

    root: Path
    dataset: str
    form: str
    split: str
    rows: tuple[Row, ...]
    actions: Mapping[str, int]
    left_out: tuple[LeftOut, ...]

    @property
    def frames(self) -> int:
        """How many samples there are."""
        return sum(row.frames for row in self.rows)


class Download:
    """Takes as a source of samples for shards (`shards.build.SampleSource`).

    Args:
        takes: In order.
        size: Side of the crops in pixels.
        config: What determines the takes; a fingerprint of their labels is added.
    """

    def __init__(self, takes: Sequence[Take], *, size: int, config: Mapping[str, Any]) -> None:
        self.takes, self.size = tuple(takes), size
        self._ends = list(accumulate(len(take) for take in self.takes))
        self._config = {**config, "size": size, "labels": _fingerprint(self.takes)}
        self._open: Take | None = None

    @property
    def config(self) -> Mapping[str, Any]:
        """What determines the samples."""
        return self._config

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, index: int) -> Sample:
        number = bisect_right(self._ends, index)
        take = self.takes[number]
        if self._open is not take:  # one video open at a time
            if self._open is not None:
                self._open.pictures.close()
            self._open = take
        return take.sample(index - (self._ends[number] - len(take)), size=self.size)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": None}


def _fingerprint(takes: Sequence[Take]) -> str:
    """A hash of all labels, so that a folder begun with others is not carried on with these."""
    hashed = hashlib.sha256()
    for take in takes:
        hashed.update(f"{take.name} {len(take)}".encode())
        arrays = (
            take.frames, take.joints_px, take.joints_cam_mm, take.joints_root_rel_mm, take.states,
            take.boxes_px, take.affines, *([] if take.camera is None else vars(take.camera).values()),
        )  # fmt: skip
        for array in arrays:
            hashed.update(b"-" if array is None else np.ascontiguousarray(array).tobytes())
    return hashed.hexdigest()[:16]


def prepare(
    dataset: str,
    root: str | Path,
    out: str | Path,
    *,
    form: str | None = None,
    split: str | None = None,
    step: int | None = None,
    subjects: Sequence[str] = (),
    size: int = PREPARED_SIZE,
    quality: int = JPEG_QUALITY,
    workers: int | None = None,
    show_progress: bool = True,
    on_take: Callable[[str], None] | None = None,
    on_labels_read: Callable[[], None] | None = None,
) -> Prepared:
    """Writes a split of a downloaded data set as shards; call again to resume.

    Args:
        dataset: One of `readers.READERS`.
        root: The folder of the download; only read.
        out: The folder for the shards; made where missing, and only once the labels have been read.
        form: Which of the data set's forms; the one that the folder looks like where left out.
        split: The form's first where left out.
        step: Of videos, from one frame taken to the next; the protocol's own where left out.
        subjects: Only these; all where empty.
        size: Side of the crops in pixels.
        quality: Of their JPEG.
        workers: Processes; one per CPU core (at most 8) where left out.
        show_progress: Draw a progress bar.
        on_take: Is told the name of each take as its labels are read.
        on_labels_read: Is told when the pictures begin.

    Raises:
        DownloadError: If the download is incomplete or damaged so that nothing can be read; names the file.
        ValueError: If an option is wrong, `out` lies in the download, or holds other shards.
    """
    reader = find_reader(dataset, root, form=form)
    if Path(out).resolve().is_relative_to(reader.root.resolve()):
        raise ValueError(
            f"`out` must lie outside the download, which is only read; got {out} within {root}. "
            "Choose another folder."
        )
    split = split or reader.splits[0]
    reader.check_split(split)
    step = reader.default_steps.get(split, 1) if step is None else step
    if step < 1:
        raise ValueError(f"`step` must be at least 1, got {step}")
    takes: list[Take] = []
    skipped: list[Skipped] = []
    seen: dict[str, None] = {}
    for item in reader.takes(split, step=step):
        if isinstance(item, Skipped):
            skipped.append(item)
            continue
        seen[item.meta.subject] = None
        if (not subjects or item.meta.subject in subjects) and len(item):
            takes.append(item)
            if on_take is not None:
                on_take(item.name)
    if missing := [subject for subject in subjects if subject not in seen]:
        raise ValueError(
            f"`subjects` must be among {', '.join(seen) or 'none'} in {split}, got {', '.join(missing)}."
        )
    if not takes:
        why = "; ".join(f"{item.name}: {item.reason}" for item in skipped[:3]) or "no labels there"
        raise DownloadError(
            f"{reader.root}: expected labelled frames of {dataset} {split}, got none ({why})."
        )
    config = {"kind": "download", "dataset": dataset, "form": reader.form, "split": split, "step": step}
    source = Download(takes, size=size, config={**config, "subjects": list(subjects)})
    if on_labels_read is not None:
        on_labels_read()
    _refuse_changed(Path(out), source.config)
    videos = any(isinstance(take.pictures, VideoFrames) for take in takes)
    manifest = build_shards(
        out, source, quality=quality, workers=workers, show_progress=show_progress,
        samples_per_task=_FRAMES_PER_TASK if videos else SAMPLES_PER_TASK,
    )  # fmt: skip
    unreadable = [text for line in manifest["shards"] for text in line.get("skipped", ())]
    prepared = _summary(Path(out), reader, split, skipped, unreadable)
    write_json(prepared.root / PREPARED_NAME, {**asdict(prepared), "root": prepared.root.name, "step": step})
    return prepared


def _refuse_changed(out: Path, config: Mapping[str, Any]) -> None:
    """Says in words, not hashes, that a folder was begun with other labels of the same data set."""
    if not (out / MANIFEST_NAME).is_file():
        return
    differing = differences(read_manifest(out)["identity"]["source"], dict(config))
    if differing and all(line.startswith("labels:") for line in differing):
        raise ValueError(
            f"{out} was begun with other labels of the same download: files were added, removed or mended "
            "since, or this version reads them otherwise. Choose another folder, or delete this one first."
        )


def _summary(
    root: Path, reader: Reader, split: str, skipped: Sequence[Skipped], unreadable: Sequence[str]
) -> Prepared:
    metas = ShardDataset(root).metas()
    rows = []
    for subject in dict.fromkeys(meta.subject for meta in metas):
        own = [meta for meta in metas if meta.subject == subject]
        actions, cameras = {meta.action for meta in own}, {meta.camera_name for meta in own}
        rows.append(Row(subject, len(own), len(actions), len(cameras)))
    by_reason: dict[str, list[Skipped]] = {}
    for item in (*skipped, *(Skipped(text, "picture cannot be read", 1) for text in unreadable)):
        by_reason.setdefault(item.reason, []).append(item)
    return Prepared(
        root,
        reader.dataset,
        reader.form,
        split,
        tuple(rows),
        dict(sorted(Counter(meta.action for meta in metas).items())),
        tuple(
            LeftOut(reason, len(items), sum(item.frames for item in items), items[0].name)
            for reason, items in by_reason.items()
        ),
    )
