"""Builds the web book: `make book`, or `python book/build.py`.

No notebook is executed and nothing is fetched: the pages come from the notebooks as they are committed.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from collect import collect_notebooks
from pages import write_pages
from sources import BOOK, REPOSITORY, SourceFolder
from sphinx.cmd.build import build_main


def build(out: Path) -> Path:
    """Build the book.

    Args:
        out: The book's folder. Beside it, in `<out>-work`, stays what makes the next build faster.

    Returns:
        The page to open.

    Raises:
        RuntimeError: If Sphinx or the export of the explorers found something wrong; they have said what.
        ValueError: If a page names what does not exist.
    """
    work = out.with_name(f"{out.name}-work")
    folder = SourceFolder(work / "sources")
    explorers = work / "explorers"
    export_explorers(explorers)
    found = collect_notebooks(folder)
    write_pages(folder, found, explorers)
    folder.finish()
    arguments = ["-b", "html", "-q", "-W", "--keep-going", "-c", str(BOOK), "-d", str(work / "doctrees")]
    arguments += [str(folder.root), str(out)]
    if build_main(arguments) != 0:
        raise RuntimeError(f"the book in {out} is not complete, see above")
    beside = SourceFolder(out / "explorers")  # they have nothing for Sphinx to do
    for path in sorted(explorers.rglob("*")):
        if path.is_file():
            beside.write(path.relative_to(explorers).as_posix(), path.read_bytes())
    beside.finish()
    return out / "index.html"


def export_explorers(folder: Path) -> None:
    """Write the explorers' offline pages, by the command that readers use.

    All their states are computed, which takes longer than the rest of the book; so pages of the same library
    and samples are kept.

    Args:
        folder: Where to.

    Raises:
        RuntimeError: If the command failed.
    """
    made_from = folder.with_suffix(".sha256")
    digest = fingerprint()
    if made_from.is_file() and made_from.read_text(encoding="utf-8") == digest:
        return
    shutil.rmtree(folder, ignore_errors=True)
    command = [sys.executable, "-m", "hemlets_lib.cli", "explorers", "export", "--out", str(folder)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"`hemlets explorers export` failed:\n{done.stdout}{done.stderr}")
    made_from.write_text(digest, encoding="utf-8")


def fingerprint() -> str:
    """What the explorers' pages depend on.

    Returns:
        SHA-256 over the library's sources and the shipped samples.
    """
    digest = hashlib.sha256()
    paths = [*(REPOSITORY / "hemlets_lib").rglob("*.py"), *(REPOSITORY / "data_samples").rglob("*")]
    for path in sorted(path for path in paths if path.is_file()):
        digest.update(path.relative_to(REPOSITORY).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def main(arguments: Sequence[str] | None = None) -> int:
    """Build the book as the command line says; returns the exit status."""
    parser = argparse.ArgumentParser(description="Build the web book from the executed notebooks.")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "build" / "book", help="folder of the book")
    parser.add_argument("--fresh", action="store_true", help="forget what an earlier build left")
    options = parser.parse_args(arguments)
    out = options.out.resolve()
    if options.fresh:
        for folder in (out, out.with_name(f"{out.name}-work")):
            shutil.rmtree(folder, ignore_errors=True)
    started = time.monotonic()
    try:
        page = build(out)
    except (OSError, RuntimeError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"The book, built in {time.monotonic() - started:.0f} s; open")
    print(page.as_uri())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
