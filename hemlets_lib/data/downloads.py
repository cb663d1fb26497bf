"""What lies in a folder: the reader for it, and whether the download is complete (`hemlets data check`).

check("human36m", "downloads/h36m").problems
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from hemlets_lib.data.readers import READERS, DownloadError, Finding, Reader
from hemlets_lib.results import package_versions

__all__ = ["Check", "check", "find_reader"]

_ARCHIVES = (".tgz", ".tar", ".tar.gz", ".zip", ".7z", ".rar")
_REPORTED_PACKAGES = ("hemlets", "numpy", "pillow", "scipy", "h5py", "cdflib", "av")


@dataclass(frozen=True)
class Check:
    """What `check` found."""

    reader: Reader
    findings: tuple[Finding, ...]

    @property
    def problems(self) -> tuple[str, ...]:
        """What is missing or wrong, file by file."""
        return tuple(f"{found.path}: {found.problem}" for found in self.findings if found.problem)

    @property
    def verdict(self) -> str:
        """In a line: whether the download is complete, and what can be made of it."""
        absent = [found.path for found in self.findings if found.absent]
        left_out = f"; absent: {', '.join(absent)}" if absent else ""
        splits = f"splits that it holds something of: {', '.join(self.reader.splits)}"
        if count := len(self.problems):
            return f"Incomplete: {count} problem{'s' if count > 1 else ''}{left_out}; {splits}."
        return f"{'What is there is complete' if absent else 'Complete'}{left_out}; {splits}."

    def report(self, *, examples: int | None = None) -> str:
        """Short text to send to the project: what was found, without any name from outside the download.

        Args:
            examples: Of files with the same problem, how many are listed; all where left out.
        """
        reader = self.reader
        packages = ", ".join(
            f"{name} {found}" for name, found in package_versions(_REPORTED_PACKAGES).items()
        )
        lines = [
            f"hemlets data check: {reader.dataset}, form {reader.form}",
            self.verdict,
            *(f"  seen     {found.path}: {found.note}" for found in self.findings if found.note),
            *(f"  absent   {found.path}" for found in self.findings if found.absent),
            *(f"  problem  {line}" for line in self._grouped(examples)),
            "not yet confirmed on a real download:",
            *(f"  - {assumption}" for assumption in reader.assumptions),
            f"versions: {packages}",
        ]
        return "\n".join(lines).replace(str(reader.root.resolve()), "ROOT").replace(str(reader.root), "ROOT")

    def _grouped(self, examples: int | None) -> Iterator[str]:
        """The problems, of each kind the first few."""
        kinds: dict[str, list[str]] = {}
        for found in self.findings:
            if found.problem:
                kinds.setdefault(found.problem, []).append(found.path)
        for problem, paths in kinds.items():
            shown = len(paths) if examples is None else examples
            yield from (f"{path}: {problem}" for path in paths[:shown])
            if len(paths) > shown:
                yield f"… and {len(paths) - shown} more: {problem}"


def find_reader(dataset: str, root: str | Path, *, form: str | None = None) -> Reader:
    """The reader for what lies in a folder.

    Args:
        dataset: One of `readers.READERS`.
        root: The folder of the download.
        form: Which of the data set's forms; the one that the folder looks like where left out.

    Raises:
        ValueError: If there is no such data set or form, or the folder looks like none or like several.
        FileNotFoundError: If there is no such folder.
    """
    if dataset not in READERS:
        raise ValueError(f"`dataset` must be one of {', '.join(READERS)}, got {dataset!r}.")
    forms, root = READERS[dataset], Path(root)
    if form is not None and form not in forms:
        raise ValueError(f"`form` of {dataset} must be one of {', '.join(forms)}, got {form!r}.")
    if not root.is_dir():
        raise FileNotFoundError(
            f"{root}: expected the folder of the download, found {'a file' if root.exists() else 'none'}."
        )
    if form is not None:
        return forms[form](root)
    found = [reader for reader in forms.values() if reader.recognises(root)]
    if len(found) == 1:
        return found[0](root)
    if found:
        names = ", ".join(reader.form for reader in found)
        raise ValueError(f"{root}: expected one form of {dataset}, found {names}. Choose one with --form.")
    there = ", ".join(sorted(path.name for path in root.iterdir())[:8]) or "nothing"
    raise DownloadError(
        f"{root}: expected a form of {dataset} ({', '.join(forms)}), found {there}. {_hint(forms, root)}"
    )


def _hint(forms: Mapping[str, type[Reader]], root: Path) -> str:
    """What may be the matter with a folder that looks like no form."""
    near = [root.parent, *sorted(path for path in root.iterdir() if path.is_dir())]
    for folder in near:
        for reader in forms.values():
            if reader.recognises(folder):
                return f"Did you mean {folder}? It looks like form {reader.form}."
    if packed := sorted(path.name for path in root.iterdir() if path.name.endswith(_ARCHIVES)):
        return f"Unpack {packed[0]}{' and the other archives' if len(packed) > 1 else ''} there first."
    return "`hemlets data sets` shows what the folder of each form holds; --form NAME tells what is missing."


def check(dataset: str, root: str | Path, *, form: str | None = None) -> Check:
    """Says in seconds whether a download is complete; decodes no frames.

    Args:
        dataset: One of `readers.READERS`.
        root: The folder of the download.
        form: As for `find_reader`.

    Raises:
        ValueError: As `find_reader`.
        FileNotFoundError: If there is no such folder.
    """
    reader = find_reader(dataset, root, form=form)
    return Check(reader, tuple(reader.check()))
