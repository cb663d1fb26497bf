"""The one format for samples on disk: Arrow shards with a manifest that says what they are.

A folder holds `shard-00000.arrow`, `shard-00001.arrow`, … of equally many samples (the last may hold
fewer) and `manifest.json` (`manifest`). Shards are opened by Hugging Face `datasets`
(`Dataset.from_file`): indexed and memory-mapped, so a set may exceed memory.

Building is safe to interrupt. A shard is written beside its place and renamed into it, then entered into
the manifest; the next build keeps every shard whose hash is right and makes the others. A folder of
another configuration is refused rather than mixed.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, fields
from multiprocessing import connection
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from hemlets_lib.data.shards.manifest import (
    MANIFEST_NAME,
    check_identity,
    locked,
    read_manifest,
    sha256,
    write_manifest,
)
from hemlets_lib.data.shards.records import (
    image_encoding,
    make_features,
    sample_from_record,
    sample_to_record,
)
from hemlets_lib.data.sample import Meta, Sample

__all__ = [
    "JPEG_QUALITY",
    "ROWS_PER_SHARD",
    "SampleSource",
    "ShardCheck",
    "ShardDataset",
    "build_shards",
    "refuse_strangers",
    "verify_shards",
]

ROWS_PER_SHARD = 2000  # about 20 MB a shard at 128 px; what an interruption can cost at most
JPEG_QUALITY = 95
_CHUNK = 25  # samples a worker makes before it reports
_MAX_WORKERS = 8

Record = dict[str, Any]
Maker = Callable[[int, int], Iterator[list[Record]]]


@runtime_checkable
class SampleSource(Protocol):
    """Anything shards can be made from: samples by number, and what determines them.

    `config` must be JSON and must not hold the length: a folder may be extended later.
    """

    @property
    def config(self) -> Mapping[str, Any]: ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample: ...


@dataclass(frozen=True)
class ShardCheck:
    """What `verify_shards` found: good samples, their bytes, and what is wrong."""

    root: Path
    num_rows: int
    num_bytes: int
    problems: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return not self.problems


_worker_source: SampleSource  # set in each worker process


def _start_worker(source: SampleSource) -> None:
    import torch

    global _worker_source
    _worker_source = source
    torch.set_num_threads(1)  # the workers are the parallelism
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Ends this worker once the build was killed; its siblings hold the queue open, so it would wait on."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


def _work(start: int, stop: int, encoding: Mapping[str, Any]) -> list[Record]:
    return [sample_to_record(_worker_source[index], encoding) for index in range(start, stop)]


@contextmanager
def _maker(source: SampleSource, workers: int, encoding: Mapping[str, Any]) -> Iterator[Maker]:
    """A function (start, stop) → lists of records, in order; made in this process where `workers` ≤ 1."""

    def spans(start: int, stop: int) -> list[tuple[int, int]]:
        return [(at, min(at + _CHUNK, stop)) for at in range(start, stop, _CHUNK)]

    def make_here(start: int, stop: int) -> Iterator[list[Record]]:
        for span in spans(start, stop):
            yield [sample_to_record(source[index], encoding) for index in range(*span)]

    if workers <= 1:
        yield make_here
        return
    # "spawn": a forked copy of a process that runs torch or numba threads can hang.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker, initargs=(source,))

    def make_in_pool(start: int, stop: int) -> Iterator[list[Record]]:
        futures = [pool.submit(_work, *span, encoding) for span in spans(start, stop)]
        try:
            for future in futures:
                yield future.result()
        except BrokenProcessPool as error:
            raise RuntimeError(
                "a worker process died while making samples (out of memory?). Finished shards are kept: "
                "run the same command again, with fewer workers."
            ) from error

    try:
        yield make_in_pool
    finally:
        pool.shutdown(cancel_futures=True)


def _write_shard(path: Path, records: Sequence[Record], features: Any) -> dict[str, Any]:
    """One shard, under its name only once it is whole; returns its line for the manifest."""
    from datasets.arrow_writer import ArrowWriter

    temporary = path.with_name(f"{path.name}.tmp")
    with ArrowWriter(path=str(temporary), features=features) as writer:
        writer.write_batch({name: [record[name] for record in records] for name in features})
        writer.finalize()
    with temporary.open("rb+") as file:
        os.fsync(file.fileno())
    line = {
        "name": path.name,
        "rows": len(records),
        "bytes": temporary.stat().st_size,
        "sha256": sha256(temporary),
    }
    os.replace(temporary, path)
    return line


@contextmanager
def _progress(show: bool, total: int, kept: int) -> Iterator[Callable[[int], None]]:
    """A function to be told how many samples were made; draws images/s and the time left."""
    if not show:
        yield lambda count: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from hemlets_lib.console import console, format_seconds

    columns = (
        TextColumn("making samples"), BarColumn(), MofNCompleteColumn(),
        TextColumn("{task.fields[speed]}"), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("", total=total, completed=kept, speed="")

        def advance(count: int) -> None:
            bar.advance(task, count)
            made, elapsed = bar.tasks[task].completed - kept, bar.tasks[task].elapsed or 1e-9
            bar.update(task, speed=f"{made / elapsed:.0f} images/s")

        yield advance
        elapsed = bar.tasks[task].elapsed or 0.0
    console.print(f"{total - kept} samples made in {format_seconds(elapsed)}, {kept} were there already")


def refuse_strangers(root: Path) -> None:
    """Raises ValueError where a folder without a manifest holds Arrow files."""
    if found := sorted(path.name for path in root.glob("*.arrow")):
        raise ValueError(
            f"{root} holds {len(found)} .arrow files ({found[0]}, …) but no {MANIFEST_NAME}; they may be "
            "somebody's data. Choose another folder, or delete them first."
        )


def build_shards(
    out: str | Path,
    source: SampleSource,
    *,
    rows_per_shard: int = ROWS_PER_SHARD,
    image_format: str = "jpeg",
    quality: int = JPEG_QUALITY,
    workers: int | None = None,
    show_progress: bool = True,
) -> dict[str, Any]:
    """Writes a source's samples as shards; call again to resume, or with a longer source to extend.

    Args:
        out: The folder; made where missing.
        source: Where samples come from; must be picklable when `workers` > 1.
        rows_per_shard: Samples in each shard but the last.
        image_format: `jpeg` (no colour subsampling) or `png` (lossless, several times as large).
        quality: JPEG quality.
        workers: Processes; one per CPU core (at most 8) where left out, this one alone with 0 or 1. A
            script that asks for more must be guarded by `if __name__ == "__main__":`.
        show_progress: Draw a progress bar.

    Returns:
        The manifest.

    Raises:
        ValueError: If the folder holds another configuration or a damaged manifest, another build is
            writing there, or an option is out of range.
        RuntimeError: If a worker process died.
    """
    total = len(source)
    if rows_per_shard < 1:
        raise ValueError(f"`rows_per_shard` must be at least 1, got {rows_per_shard}")
    if total < 1:
        raise ValueError(f"`source` must hold at least one sample, got {total}")
    encoding = image_encoding(image_format, quality)
    first = source[0]
    shape = {"joints": len(first.joints_crop), "parts": len(first.part_states)}
    identity = {"source": dict(source.config), "image": encoding, "rows_per_shard": rows_per_shard, **shape}
    identity = json.loads(json.dumps(identity))  # as it will be read back
    features = make_features(**shape)
    workers = min(os.cpu_count() or 1, _MAX_WORKERS) if workers is None else workers

    root = Path(out)
    root.mkdir(parents=True, exist_ok=True)
    with locked(root):
        spans = {
            f"shard-{number:05d}.arrow": (start, min(start + rows_per_shard, total))
            for number, start in enumerate(range(0, total, rows_per_shard))
        }
        lines: dict[str, dict[str, Any]] = {}  # finished shards
        if (root / MANIFEST_NAME).exists():
            manifest = read_manifest(root)
            check_identity(root, manifest, identity, total)
            lines = {line["name"]: line for line in manifest["shards"] if _is_good(root, line, spans)}
        else:
            refuse_strangers(root)
        for leftover in root.glob("*.tmp"):  # of a build that was killed
            leftover.unlink()

        def save() -> dict[str, Any]:
            shards = [lines[name] for name in spans if name in lines]
            return write_manifest(
                root, identity=identity, num_rows=total, shards=shards, complete=len(lines) == len(spans)
            )

        manifest = save()
        kept = sum(line["rows"] for line in lines.values())
        if kept == total:
            return manifest
        workers = workers if total - kept > _CHUNK else 1
        with _progress(show_progress, total, kept) as advance, _maker(source, workers, encoding) as make:
            for name, span in spans.items():
                if name in lines:
                    continue
                records: list[Record] = []
                for made in make(*span):
                    records += made
                    advance(len(made))
                lines[name] = _write_shard(root / name, records, features)
                manifest = save()
        return manifest


def _is_good(root: Path, line: Mapping[str, Any], spans: Mapping[str, tuple[int, int]]) -> bool:
    """Whether a shard of an earlier build can be kept."""
    path = root / line["name"]
    start, stop = spans.get(line["name"], (0, 0))
    return line["rows"] == stop - start and path.is_file() and sha256(path) == line["sha256"]


def _open_shard(path: Path, line: Mapping[str, Any]) -> Any:
    """One shard, memory-mapped, its pictures left encoded.

    Raises:
        ValueError: If it is missing, is not as large as the manifest says, or is not Arrow.
    """
    from datasets import Dataset
    from datasets import Image as ImageFeature

    remedy = "Run the same `hemlets data build` again: it makes damaged shards anew and keeps the others."
    if not path.is_file():
        raise ValueError(f"{path}: expected a shard of {line['rows']} samples, found no file. {remedy}")
    if (size := path.stat().st_size) != line["bytes"]:
        raise ValueError(f"{path}: expected {line['bytes']} bytes, got {size}: it is truncated. {remedy}")
    try:
        opened = Dataset.from_file(str(path))
        if len(opened) != line["rows"]:
            raise ValueError(f"it holds {len(opened)} samples instead of {line['rows']}")
        return opened.cast_column("image", ImageFeature(decode=False))
    except Exception as error:  # pyarrow and datasets raise many kinds for a damaged file
        raise ValueError(
            f"{path}: expected an Arrow shard, got a damaged file ({error}). {remedy}"
        ) from error


def verify_shards(root: str | Path) -> ShardCheck:
    """Checks a folder: every shard's hash and count, and that its first and last samples decode.

    Returns:
        What was found; problems are listed, not raised.

    Raises:
        FileNotFoundError: If there is no manifest.
        ValueError: If the manifest cannot be read.
    """
    root = Path(root)
    manifest = read_manifest(root)
    problems, rows, size = [], 0, 0
    for line in manifest["shards"]:
        path = root / line["name"]
        try:
            shard = _open_shard(path, line)
            if sha256(path) != line["sha256"]:
                raise ValueError(f"{path}: not what was written (its SHA-256 differs). Build it again.")
            for at in (0, len(shard) - 1):
                sample_from_record(shard[at], name=f"{path} sample {at}")
        except ValueError as error:
            problems.append(str(error))
            continue
        rows, size = rows + line["rows"], size + line["bytes"]
    listed = {line["name"] for line in manifest["shards"]}
    strangers = [path for path in sorted(root.glob("*.arrow")) if path.name not in listed]
    problems += [f"{path}: not in the manifest" for path in strangers]
    if rows < manifest["num_rows"] and not problems:
        problems.append(
            f"{root}: holds {rows} of {manifest['num_rows']} samples: the build was interrupted. Repeat it."
        )
    return ShardCheck(root=root, num_rows=rows, num_bytes=size, problems=tuple(problems))


class ShardDataset:
    """The samples of a folder of shards, by number; a map-style data set for torch's `DataLoader`.

    Opening checks that the build is complete and each shard has its right size (`verify_shards` compares
    hashes too). Shards stay on disk and are memory-mapped, also in worker processes.

    Args:
        root: The folder that `build_shards` wrote.

    Raises:
        FileNotFoundError: If there are no shards there.
        ValueError: If the build was interrupted, or a shard is missing or damaged.
    """

    def __init__(self, root: str | Path) -> None:
        from datasets import concatenate_datasets

        self.root = Path(root)
        self.manifest = read_manifest(self.root)
        lines = self.manifest["shards"]
        if not self.manifest["complete"]:
            raise ValueError(
                f"{self.root}: expected {self.manifest['num_rows']} samples, got an unfinished build of "
                f"{sum(line['rows'] for line in lines)}. Run the same `hemlets data build` again."
            )
        self._rows = concatenate_datasets([_open_shard(self.root / line["name"], line) for line in lines])

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Sample:
        if not -len(self) <= index < len(self):
            raise IndexError(f"`index` must be within the {len(self)} samples of {self.root}, got {index}")
        index = int(index) % len(self)
        return sample_from_record(self._rows[index], name=f"{self.root} sample {index}")

    @property
    def config(self) -> Mapping[str, Any]:
        """What made these samples."""
        return self.manifest["identity"]["source"]

    def metas(self) -> list[Meta]:
        """Where each sample comes from, without decoding pictures; for choosing by subject or action."""
        names = [field.name for field in fields(Meta)]
        columns = self._rows.select_columns(names)[:]
        return [Meta(*values) for values in zip(*(columns[name] for name in names), strict=True)]
