"""Makes shards of any source of samples, in parallel; what was made before is kept.

Building is safe to interrupt. A shard is written beside its place and renamed into it, then entered into
the manifest; the next build keeps every shard whose hash is right and makes the others. A folder of
another configuration is refused rather than mixed.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import connection
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

from hemlets_lib.data.sample import Sample, UnreadableSample
from hemlets_lib.data.shards.manifest import (
    MANIFEST_NAME,
    check_identity,
    locked,
    read_manifest,
    sha256,
    span_length,
    write_manifest,
)
from hemlets_lib.data.shards.records import image_encoding, make_features, sample_to_record

__all__ = [
    "JPEG_QUALITY",
    "ROWS_PER_SHARD",
    "SAMPLES_PER_TASK",
    "SampleSource",
    "build_shards",
    "refuse_strangers",
]

ROWS_PER_SHARD = 2000  # about 20 MB a shard at 128 px; what an interruption can cost at most
JPEG_QUALITY = 95
SAMPLES_PER_TASK = 25  # that a worker makes before it reports
_MAX_WORKERS = 8

Record = dict[str, Any]


class Made(NamedTuple):
    """What came of some samples: rows, and why others could not be had."""

    records: list[Record]
    skipped: list[str]


Maker = Callable[[int, int], Iterator[Made]]


@runtime_checkable
class SampleSource(Protocol):
    """Anything shards can be made from: samples by number, and what determines them.

    `config` must be JSON and must not hold the length: a folder may be extended later. A sample that the
    source lists and cannot deliver raises `UnreadableSample`; the manifest then says why it is missing.
    """

    @property
    def config(self) -> Mapping[str, Any]: ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample: ...


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


def _work(start: int, stop: int, encoding: Mapping[str, Any]) -> Made:
    return _make(_worker_source, start, stop, encoding)


def _make(source: SampleSource, start: int, stop: int, encoding: Mapping[str, Any]) -> Made:
    made = Made([], [])
    for index in range(start, stop):
        try:
            made.records.append(sample_to_record(source[index], encoding))
        except UnreadableSample as error:
            made.skipped.append(str(error))
    return made


@contextmanager
def _maker(
    source: SampleSource, workers: int, encoding: Mapping[str, Any], samples_per_task: int
) -> Iterator[Maker]:
    """A function (start, stop) → what was made, in order; made in this process where `workers` ≤ 1."""

    def spans(start: int, stop: int) -> list[tuple[int, int]]:
        return [(at, min(at + samples_per_task, stop)) for at in range(start, stop, samples_per_task)]

    def make_here(start: int, stop: int) -> Iterator[Made]:
        for span in spans(start, stop):
            yield _make(source, *span, encoding)

    if workers <= 1:
        yield make_here
        return
    # "spawn": a forked copy of a process that runs torch or numba threads can hang.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker, initargs=(source,))

    def make_in_pool(start: int, stop: int) -> Iterator[Made]:
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


def _write_shard(path: Path, made: Made, features: Any) -> dict[str, Any]:
    """One shard, under its name only once it is whole; returns its line for the manifest."""
    from datasets.arrow_writer import ArrowWriter

    temporary = path.with_name(f"{path.name}.tmp")
    with ArrowWriter(path=str(temporary), features=features) as writer:
        if made.records:
            writer.write_batch({name: [record[name] for record in made.records] for name in features})
        writer.finalize()
    with temporary.open("rb+") as file:
        os.fsync(file.fileno())
    line = {
        "name": path.name,
        "rows": len(made.records),
        "bytes": temporary.stat().st_size,
        "sha256": sha256(temporary),
    }
    if made.skipped:
        line["skipped"] = made.skipped
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
    samples_per_task: int = SAMPLES_PER_TASK,
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
        samples_per_task: How many neighbours one worker makes; more where the way to the first is long, as
            in a video.
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
    first = _first_of(source)
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
        kept = sum(span_length(line) for line in lines.values())
        if kept == total:
            return manifest
        workers = workers if total - kept > samples_per_task else 1
        making = _maker(source, workers, encoding, samples_per_task)
        with _progress(show_progress, total, kept) as advance, making as make:
            for name, span in spans.items():
                if name in lines:
                    continue
                whole = Made([], [])
                for made in make(*span):
                    whole.records.extend(made.records)
                    whole.skipped.extend(made.skipped)
                    advance(len(made.records) + len(made.skipped))
                lines[name] = _write_shard(root / name, whole, features)
                manifest = save()
        return manifest


def _first_of(source: SampleSource) -> Sample:
    """The first sample that can be had; tells how many joints and parts all of them have."""
    problem = ""
    for index in range(len(source)):
        try:
            return source[index]
        except UnreadableSample as error:
            problem = problem or str(error)
    raise ValueError(
        f"`source` must hold at least one sample that can be read, got {len(source)} of which none can "
        f"(the first: {problem})."
    )


def _is_good(root: Path, line: Mapping[str, Any], spans: Mapping[str, tuple[int, int]]) -> bool:
    """Whether a shard of an earlier build can be kept."""
    path = root / line["name"]
    start, stop = spans.get(line["name"], (0, 0))
    return span_length(line) == stop - start and path.is_file() and sha256(path) == line["sha256"]
