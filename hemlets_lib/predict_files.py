"""Pictures and videos on disk, and what predictions of them leave behind.

    predict.json          what was asked; the same again carries on where it stopped
    <picture>/            a folder for each picture or video, there once it is whole
        poses.json        the poses, with units and conventions spelled out
        index.html, …     whatever else was made of it
    poses.json            all of them in one

A folder is made beside its place and renamed into it, so that whatever happens it is whole or not there.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from hemlets_lib.data.images import PICTURE_SUFFIXES
from hemlets_lib.data.videos import VIDEO_SUFFIXES
from hemlets_lib.results import differences, only_process, read_json, write_json

__all__ = [
    "POSES_NAME",
    "FilesFound",
    "MediaFile",
    "ResultFolder",
    "find_files",
    "new_folder",
    "readable",
    "write_text",
]

POSES_NAME = "poses.json"
_ASKED_NAME, _LOCK_NAME, _PARTIAL = "predict.json", ".predicting.lock", ".partial-"
_TAKEN_NAMES = {"index.html", POSES_NAME, _ASKED_NAME, "plotly.min.js"}
_FORBIDDEN = '<>:"/\\|?*'  # in file names on Windows
_LONGEST_NAME = 60
# Devices on Windows, whatever suffix follows. Source: Microsoft, "Naming Files, Paths, and Namespaces"
_DEVICES = {"con", "prn", "aux", "nul", "conin$", "conout$"} | {
    f"{port}{number}" for port in ("com", "lpt") for number in "0123456789¹²³"
}


class MediaFile(NamedTuple):
    """A picture or a video, and what its results are called."""

    path: Path
    name: str
    is_video: bool


class FilesFound(NamedTuple):
    """What there is to predict, and what was passed over."""

    files: tuple[MediaFile, ...]
    skipped: tuple[Path, ...]  # neither pictures nor videos, by their suffix
    folders: tuple[Path, ...]  # not looked into: not asked to, linked, unreadable, or results of predictions


def find_files(paths: Iterable[str | Path], *, recursive: bool = False) -> FilesFound:
    """The pictures and videos that paths name, or that lie in folders they name, in order of name.

    What is named itself is taken whatever its suffix. In folders hidden files are passed over silently,
    and linked folders are never followed.

    Args:
        paths: Files and folders.
        recursive: Also look into folders in folders, except into results of predictions.

    Returns:
        The files, each once, with names that differ; and what was skipped.

    Raises:
        FileNotFoundError: If a path does not exist.
        ValueError: If a folder cannot be read, or there is nothing to predict.
    """
    chosen: dict[Path, str] = {}
    skipped: list[Path] = []
    folders: list[Path] = []
    named = [Path(path) for path in paths]
    for path in named:
        if path.is_dir():
            for file in _in_folder(path, recursive, folders):
                wanted = file.suffix.lower() in (*PICTURE_SUFFIXES, *VIDEO_SUFFIXES)
                if wanted:
                    chosen.setdefault(file, "-".join(file.relative_to(path).with_suffix("").parts))
                else:
                    skipped.append(file)
        elif path.exists():
            chosen.setdefault(path, path.stem)
        else:
            raise FileNotFoundError(
                f"{path}: expected a picture, a video or a folder, found nothing. Check the path."
            )
    if not chosen:
        others = f"{len(skipped)} files of other kinds" + (f" ({_some(skipped)})" if skipped else "")
        below = f" and {len(folders)} folders, which --recursive looks into" if folders else ""
        raise ValueError(
            f"{', '.join(map(str, named)) or 'no path'}: expected pictures ({PICTURE_SUFFIXES[0]}, "
            f"{PICTURE_SUFFIXES[5]}, …) or videos ({VIDEO_SUFFIXES[0]}, …), got {others}{below}."
        )
    taken = set(_TAKEN_NAMES)
    files = [
        MediaFile(path, _free_name(name, taken), path.suffix.lower() in VIDEO_SUFFIXES)
        for path, name in chosen.items()
    ]
    return FilesFound(tuple(files), tuple(skipped), tuple(folders))


def _in_folder(folder: Path, recursive: bool, left_out: list[Path]) -> Iterator[Path]:
    try:
        with os.scandir(folder) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
    except OSError as error:
        raise ValueError(
            f"{folder}: expected a folder that can be read, got an error ({error.strerror or error}). "
            "Check its permissions."
        ) from error
    for entry in entries:
        path = folder / entry.name
        if entry.name.startswith("."):
            continue
        if not entry.is_dir():
            yield path
        elif not recursive or entry.is_symlink() or not _may_be_looked_into(path):
            left_out.append(path)
        else:
            yield from _in_folder(path, recursive, left_out)


def _may_be_looked_into(folder: Path) -> bool:
    """Whether it can be read and holds no results of ours."""
    return os.access(folder, os.R_OK | os.X_OK) and not (folder / _ASKED_NAME).exists()


def _free_name(wanted: str, taken: set[str]) -> str:
    """A name for a folder on any system that is not taken, even where case does not count."""
    plain = "".join("_" if each in _FORBIDDEN or not each.isprintable() else each for each in wanted)
    plain = plain[:_LONGEST_NAME].strip(" .") or "picture"
    if plain.partition(".")[0].rstrip().lower() in _DEVICES:
        plain = f"_{plain}"
    name, number = plain, 1
    while name.lower() in taken:
        number += 1
        name = f"{plain}-{number}"
    taken.add(name.lower())
    return name


def _some(paths: Sequence[Path], shown: int = 3) -> str:
    return ", ".join(path.name for path in paths[:shown]) + (", …" if len(paths) > shown else "")


def new_folder(home: Path, name: str) -> Path:
    """Makes `home/name`, or `home/name-2` and so on where that is taken.

    Raises:
        OSError: If it cannot be made.
    """
    home.mkdir(parents=True, exist_ok=True)
    taken: set[str] = set()
    while True:
        folder = home / _free_name(name, taken)
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        return folder


def readable(name: str | Path) -> str:
    """A path, or a message with one in it, as text that can be written: bytes that are no UTF-8 become �.

    Args:
        name: As Python decodes it, with a surrogate for each such byte.
    """
    return os.fsencode(name).decode("utf-8", "replace")


def write_text(path: Path, content: str) -> None:
    """Writes a file so that readers see the old one or the new one, never half of one."""
    partial = path.with_name(f"{_PARTIAL}{path.name}")
    partial.write_text(content, encoding="utf-8")
    os.replace(partial, path)


@dataclass(frozen=True)
class ResultFolder:
    """The results of one call, as the module's docstring lays them out.

    Args:
        root: The folder.
    """

    root: Path

    def start(self, asked: Mapping[str, Any]) -> None:
        """Makes the folder, or carries on in one whose results were asked for in the same way.

        Args:
            asked: Files, weights and options, as JSON.

        Raises:
            ValueError: If it holds something else, or results of another call.
            OSError: If it cannot be written.
        """
        self._refuse_others()
        self.root.mkdir(parents=True, exist_ok=True)
        path = self.root / _ASKED_NAME
        if path.is_file():
            if differing := differences(read_json(path), asked):
                raise ValueError(
                    f"{self.root}: expected a new folder, or one begun by the same command; there are "
                    f"results of another one ({'; '.join(differing)}). Choose another folder."
                )
        else:
            write_json(path, asked)
        for leftover in self.root.glob(f"{_PARTIAL}*"):  # of a run that was killed
            shutil.rmtree(leftover, ignore_errors=True)
            leftover.unlink(missing_ok=True)

    def _refuse_others(self) -> None:
        """Leaves alone what is not ours, before anything is written."""
        if self.root.exists() and not self.root.is_dir():
            raise ValueError(
                f"{self.root}: expected a folder for the results, got a file. Choose another name."
            )
        if not self.root.is_dir() or (self.root / _ASKED_NAME).is_file():
            return
        if others := sorted(each for each in self.root.iterdir() if each.name != _LOCK_NAME):
            raise ValueError(
                f"{self.root}: expected a new or empty folder, got {len(others)} files or folders "
                f"({_some(others)}). Choose another one."
            )

    @contextmanager
    def held(self) -> Iterator[None]:
        """One process at a time; the lock file is there for as long as that.

        Raises:
            ValueError: If another one works here, or it is somebody else's folder or a file.
            OSError: If it cannot be made.
        """
        self._refuse_others()
        self.root.mkdir(parents=True, exist_ok=True)
        lock = self.root / _LOCK_NAME
        busy = f"{self.root}: another process is writing here. Wait for it, or choose another folder."
        with only_process(lock, otherwise=ValueError(busy)):
            try:
                yield
            finally:
                # While it is still held: whoever has opened it meanwhile gets a lock without a name, which
                # filelock does not take. Windows deletes no open file; there it stays.
                with suppress(OSError):
                    lock.unlink()

    def has(self, name: str) -> bool:
        """Whether there are whole results of that name."""
        return (self.root / name / POSES_NAME).is_file()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """What goes wrong with the disk is said of this folder, and what to do about it.

        Raises:
            OSError: Instead of the one that was raised inside.
        """
        try:
            yield
        except OSError as error:
            got = error.strerror or str(error)
            if error.filename is not None and Path(error.filename) != self.root:
                got += f": {error.filename}"
            raise OSError(
                f"{self.root}: expected a folder to write results to, got an error ({got}). Make room on its "
                "disk or check its permissions, and give the same command again with this --out, as what is "
                "done stays; or give another --out."
            ) from error

    @contextmanager
    def adding(self, name: str) -> Iterator[Path]:
        """A folder to write to; it gets its name if no error happens, and is gone otherwise."""
        partial = Path(tempfile.mkdtemp(dir=self.root, prefix=_PARTIAL))
        try:
            yield partial
            partial.chmod(0o755)  # mkdtemp's 0700 would hide results from colleagues
            partial.rename(self.root / name)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise

    def poses(self, name: str) -> dict[str, Any]:
        """The poses of whole results.

        Raises:
            ValueError: If the file is damaged.
        """
        return read_json(self.root / name / POSES_NAME)
