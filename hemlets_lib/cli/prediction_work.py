"""What `hemlets predict` does with each file, and the pages over all of them."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote

import numpy as np
from PIL import Image, ImageOps

from hemlets_lib.data.images import encode_jpeg, read_image
from hemlets_lib.data.videos import Video, read_frames, read_timed_frames
from hemlets_lib.notebook_pages import run_index
from hemlets_lib.people import (
    Detector,
    FoundPeople,
    PersonBox,
    TorchvisionDetector,
    check_boxes,
    predict_people,
)
from hemlets_lib.pose_records import network_record, people_records, poses_content, why_no_triplets
from hemlets_lib.predict_files import (
    POSES_NAME,
    FilesFound,
    MediaFile,
    ResultFolder,
    readable,
    write_text,
)
from hemlets_lib.prediction_pages import PLOTLY_NAME, Shown, VideoFrame, picture_page, video_page
from hemlets_lib.results import provenance, write_json
from hemlets_lib.skeleton import Skeleton
from hemlets_lib.viz_3d import plotly_script
from hemlets_lib.viz_prediction import figure_pixels, overlay_figure
from hemlets_lib.weights import load_network

__all__ = ["Outcome", "PredictionTask", "write_script"]

Found = TypeVar("Found")

FRAMES_A_SECOND = 5  # of a video, where nobody says
_JPEG_QUALITY = 88
_THUMBNAIL_SIZE = (480, 270)  # of the index page's shape
_INDEX, _THUMBNAIL = "index.html", "thumbnail.jpg"
# What a file may end in without stopping the others: no picture, not there, a reader that is not installed.
_OF_ONE_FILE = (ValueError, OSError, ImportError, MemoryError)


class _Drawn(NamedTuple):
    """A video's frame, drawn: its number, its moment, who is in it as JSON, JPEGs."""

    number: int
    time_s: float
    record: dict[str, Any]
    overlay: bytes
    thumbnail: bytes | None  # up to the first frame with somebody in it


@dataclass
class PredictionTask:
    """One call's options, the network once it is loaded, and what went wrong on the way.

    Args:
        weights: The network's file.
        device: Where to compute.
        boxes: About the people, in every picture; the whole picture where there are none.
        detect: Find people instead.
        selection: Options of `people.select_people`.
        flip: Average with the mirrored picture's.
        every: Of videos every so many frames.
        focal_px: The camera's focal length.
        precision: "float32" or "bfloat16".
    """

    weights: Path
    device: str
    boxes: Sequence[PersonBox] = ()
    detect: bool = False
    selection: Mapping[str, Any] = field(default_factory=dict)
    flip: bool = False
    every: int | None = None
    focal_px: float | None = None
    precision: str = "float32"
    failures: dict[str, str] = field(default_factory=dict)  # name → what is wrong with the file

    def load(self) -> None:
        """Reads the weights, the detector's too.

        Raises:
            FileNotFoundError, ValueError: If there are no such weights, or they cannot be used.
            RuntimeError: If the detector's are not to be had.
        """
        model, info = load_network(self.weights, device=self.device)
        self._model = model.fuse(precision=self.precision)
        self._detector: Detector | None = TorchvisionDetector(device=self.device) if self.detect else None
        self.network = network_record(self.weights, info)
        self._made = provenance(Path(__file__).resolve().parent)
        self._shown = Shown(self.network, info.config.skeleton, why_no_triplets(info))

    def check_boxes(self, file: MediaFile) -> None:
        """Looks whether the boxes are about anything in a picture, or in a video's first frame.

        A file that cannot be read passes: `work` says what is wrong with it.

        Args:
            file: Which.

        Raises:
            ValueError: If a box lies beside it or is far larger; names the file.
        """
        try:
            first = next(read_frames(file.path))[1] if file.is_video else read_image(file.path)
        except (*_OF_ONE_FILE, StopIteration):
            return
        try:
            check_boxes(first, self.boxes)
        except ValueError as error:
            raise ValueError(f"{file.path}: {error}") from error

    def asked(self, files: FilesFound) -> dict[str, Any]:
        """What decides the results, as JSON."""
        boxes = [[box.x, box.y, box.width, box.height] for box in self.boxes]
        options: dict[str, Any] = {"boxes": boxes, "flip": self.flip, "every": self.every}
        options["focal_px"] = self.focal_px
        if self.precision != "float32":  # which results of before there was a choice have
            options["precision"] = self.precision
        detector = {"detect": self.detect, **(self.selection if self.detect else {})}
        listed = {_escaped(Path(os.path.abspath(file.path))): _state_of(file.path) for file in files.files}
        return {"files": listed, "weights_sha256": self.network["sha256"], **options, **detector}

    def work(self, file: MediaFile, folder: ResultFolder, on_frame: Callable[[int], None]) -> None:
        """Predicts one file and adds its results; what is wrong with the file is noted.

        Args:
            file: Which.
            folder: Where to.
            on_frame: Is told the number of a video's frame before it is predicted.

        Raises:
            OSError: If the results cannot be written.
        """
        (self._video if file.is_video else self._picture)(file, folder, on_frame)

    def _predict(self, image: Any) -> FoundPeople:
        return predict_people(
            self._model, image, boxes=self.boxes, detector=self._detector, focal_px=self.focal_px,
            flip_test=self.flip, **self.selection,
        )  # fmt: skip

    def _record(self, file: MediaFile, found: FoundPeople, **more: Any) -> dict[str, Any]:
        height, width = found.image.shape[:2]
        people = people_records(found, self._model.config, trust_triplets=not self._shown.triplets_note)
        about = {"file": _from_here(file.path), **more, "width": width, "height": height}
        return {**about, "boxes_from": found.origin, "people": people}

    def _picture(self, file: MediaFile, folder: ResultFolder, on_frame: Callable[[int], None]) -> None:
        try:  # all that depends on the file; what is wrong with the folder is not its fault
            found = self._predict(file.path)
            files = picture_page(readable(file.path.name), found, self._shown)
            contents = {
                name: content.encode() if isinstance(content, str) else content
                for name, content in files.items()
            }
            contents[_THUMBNAIL] = _thumbnail(found, self._shown.skeleton)
            record = self._record(file, found)
        except _OF_ONE_FILE as error:
            self._note(file, str(error))
            return
        with folder.adding(file.name) as partial:
            for name, content in contents.items():
                (partial / name).write_bytes(content)
            self._write_poses(partial, [record], ())

    def _note(self, file: MediaFile, problem: str) -> None:
        """Names the file, which messages from afar do not."""
        problem = problem or "an error without a message"
        named = problem if str(file.path) in problem else f"{file.path}: {problem}"
        self.failures[file.name] = readable(named)

    def _video(self, file: MediaFile, folder: ResultFolder, on_frame: Callable[[int], None]) -> None:
        frames = _until_trouble(self._drawn(file, on_frame), lambda problem: self._note(file, problem))
        first = next(frames, None)
        if first is None:
            if file.name not in self.failures:
                self._note(file, f"{file.path}: expected a video with frames, got none.")
            return
        records: list[dict[str, Any]] = []
        shown: list[VideoFrame] = []
        with folder.adding(file.name) as partial:
            (partial / "frames").mkdir()
            for frame in itertools.chain([first], frames):
                if frame.thumbnail is not None:
                    (partial / _THUMBNAIL).write_bytes(frame.thumbnail)
                address = f"frames/{frame.number:06d}.jpg"
                (partial / address).write_bytes(frame.overlay)
                records.append(frame.record)
                shown.append(VideoFrame(frame.number, frame.time_s, address, frame.record["people"]))
            words = _frames_in_words(shown, first.record["boxes_from"], self.failures.get(file.name))
            page = video_page(readable(file.path.name), shown, self._shown, note=words)
            (partial / _INDEX).write_text(page, encoding="utf-8")
            self._write_poses(partial, records, [file])

    def _drawn(self, file: MediaFile, on_frame: Callable[[int], None]) -> Iterator[_Drawn]:
        somebody = False
        for index, time_s, found in self._found_in(file.path, on_frame):
            thumbnail = None if somebody else _thumbnail(found, self._shown.skeleton)
            somebody = somebody or bool(found.boxes)
            pixels = figure_pixels(overlay_figure(found, self._shown.skeleton))
            yield _Drawn(
                index,
                time_s,
                self._record(file, found, frame=index, time_s=round(time_s, 3)),
                encode_jpeg(pixels, quality=_JPEG_QUALITY),
                thumbnail,
            )

    def _found_in(
        self, video_path: Path, on_frame: Callable[[int], None]
    ) -> Iterator[tuple[int, float, FoundPeople]]:
        """Frame by frame: its number, its moment, who is in it."""
        with Video(video_path) as video:
            rate = video.frames_per_second
        step = self.every or max(1, round(rate / FRAMES_A_SECOND))
        for index, time_s, image in read_timed_frames(video_path, step=step):
            on_frame(index)
            yield index, time_s, self._predict(image)

    def _write_poses(
        self, folder: Path, records: Sequence[Mapping[str, Any]], files: Sequence[MediaFile]
    ) -> None:
        failed = [
            {"file": (name := _from_here(file.path)), "reason": reason.replace(readable(file.path), name)}
            for file in files
            if (reason := self.failures.get(file.name)) is not None
        ]
        content = poses_content(
            records, network=self.network, skeleton=self._shown.skeleton, made=self._made, failed=failed
        )
        write_json(folder / POSES_NAME, content)

    def write_index(self, folder: ResultFolder, files: FilesFound) -> Outcome:
        """The page and the poses over all files that are done, also of a call before this one.

        Args:
            folder: With the results.
            files: All that were asked for.

        Returns:
            What came out.
        """
        pictures: list[dict[str, Any]] = []
        cards, outcome = [], Outcome()
        for file in files.files:
            title = readable(file.path.name)
            card: dict[str, Any] = {"title": title, "time": "", "note": self.failures.get(file.name)}
            if folder.has(file.name):
                # What an earlier call did may be named from the folder that that one was called in.
                records = [
                    {**record, "file": _from_here(file.path)}
                    for record in folder.poses(file.name)["pictures"]
                ]
                pictures += records
                people = max(len(record["people"]) for record in records)
                outcome.done += 1
                outcome.people += people
                outcome.nobody += [title] * (people == 0)
                card["status"] = (
                    "ok" if people and not card["note"] else "damaged" if people else "nobody found"
                )
                counted = "1 person" if people == 1 else f"{people} people"
                frames = f"{_counted(len(records), 'frame')}, at most " if file.is_video else ""
                card["time"] = f"{frames}{counted}"
                card["page"] = f"{quote(file.name)}/{_INDEX}"
                card["thumbnail"] = f"{quote(file.name)}/{_THUMBNAIL}"
            else:
                card["status"] = "failed" if card["note"] else "not done"
            cards.append(card)
        outcome.failed = len(self.failures)
        doubt = "" if self.network["has_seen_photographs"] else " Expect failures on photographs."
        heading = {
            "id": readable(folder.root.name),
            "summary": outcome.in_words(len(files.files), len(files.skipped)),
            "origin": f"Predicted by {self.network['file']}, {self.network['description']}{doubt}",
        }
        self._write_poses(folder.root, pictures, files.files)
        write_text(folder.root / _INDEX, run_index(heading, cards))
        return outcome


@dataclass
class Outcome:
    """What came of a call: files done, people in them, files with nobody, files that failed."""

    done: int = 0
    people: int = 0
    failed: int = 0
    nobody: list[str] = field(default_factory=list)

    def in_words(self, asked: int, skipped: int) -> str:
        """One line.

        Args:
            asked: How many files there were.
            skipped: How many were of other kinds.
        """
        words = [
            f"{self.done} of {_counted(asked, 'file')} done",
            "1 person" if self.people == 1 else f"{self.people} people",
        ]
        words += [f"nobody found in {len(self.nobody)}"] if self.nobody else []
        words += [f"{self.failed} could not be read"] if self.failed else []
        words += [f"{_counted(skipped, 'file')} skipped (neither picture nor video)"] if skipped else []
        return ", ".join(words)


def _state_of(path: Path) -> str:
    """What tells a file from another of its name."""
    try:
        state = path.stat()
    except OSError:
        return "not there"
    return f"{state.st_size} bytes of {datetime.fromtimestamp(state.st_mtime):%Y-%m-%d %H:%M:%S.%f}"


def _from_here(path: Path) -> str:
    """A path from the folder that the command is called in; it names nobody's home folder."""
    try:
        return readable(Path(os.path.relpath(path)).as_posix())
    except ValueError:  # on another drive of Windows
        return readable(path.name)


def _escaped(path: Path) -> str:
    """As text that still tells files apart whose names are no UTF-8."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def write_script(folder: ResultFolder) -> None:
    """plotly's script, once for all pages of a folder."""
    if not (folder.root / PLOTLY_NAME).exists():
        write_text(folder.root / PLOTLY_NAME, plotly_script())


def _until_trouble(found: Iterator[Found], note: Callable[[str], None]) -> Iterator[Found]:
    """All that comes before the file turns out to be damaged, if it does; then `note` is told."""
    try:
        yield from found
    except _OF_ONE_FILE as error:
        note(str(error))


def _frames_in_words(frames: Sequence[VideoFrame], origin: str, problem: str | None) -> str:
    step = f", one in {frames[1].number - frames[0].number}" if len(frames) > 1 else ""
    words = {
        "given": "The same boxes were used in every frame; nobody is followed from frame to frame.",
        "detector": "People are numbered from left to right in each frame; nobody is followed from frame to "
        "frame, so a number may change its person.",
        "whole picture": "No box was given: the whole picture was taken for one person.",
    }[origin]
    return f"{len(frames)} frames{step}. {words}" + (f" It ends early: {problem}" if problem else "")


def _thumbnail(found: FoundPeople, skeleton: Skeleton) -> bytes:
    pixels = figure_pixels(overlay_figure(found, skeleton, longest_px=_THUMBNAIL_SIZE[0]))
    whole = ImageOps.pad(Image.fromarray(pixels), _THUMBNAIL_SIZE, color="white")
    return encode_jpeg(np.asarray(whole), quality=_JPEG_QUALITY)
