"""The folder that Sphinx reads: files that changed are written, files that are no longer wanted removed."""

from __future__ import annotations

import re
from pathlib import Path

BOOK = Path(__file__).resolve().parent
REPOSITORY = BOOK.parent
_LINK = re.compile(r"\[(?P<text>[^\]]*)\]\((?P<address>\.\./[^)#\s]+)\)")


class SourceFolder:
    """Sources of the book, kept from one build to the next.

    Sphinx reads a page again where its file is younger than what it made of it, so what is the same stays.

    Args:
        root: The folder; made where it does not exist.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._wanted: set[Path] = set()

    def write(self, name: str, content: bytes) -> None:
        """Put a file into the folder.

        Args:
            name: Relative path, with forward slashes.
            content: All of it.
        """
        path = self.root / name
        self._wanted.add(path)
        if not path.is_file() or path.read_bytes() != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    def with_linked_files(self, name: str, text: str) -> str:
        """Lay beside a page the files of the repository that it links to.

        Args:
            name: The page's relative path: the same as in the repository, so that its links stay as they are.
            text: Markdown.

        Returns:
            The text; what a run wrote (`runs/`) or is not there is named instead of linked.
        """

        def beside(match: re.Match[str]) -> str:
            target = (REPOSITORY / Path(name).parent / match["address"]).resolve()
            inside = target.relative_to(REPOSITORY)
            if inside.parts[0] == "runs" or not target.is_file():
                return f"`{match['text'].strip('`')}`"
            self.write(inside.as_posix(), target.read_bytes())
            return match[0]

        return _LINK.sub(beside, text)

    def finish(self) -> None:
        """Remove what an earlier build wrote and this one did not, with folders that become empty."""
        for path in sorted(self.root.rglob("*"), reverse=True):
            if path.is_dir():
                if not any(path.iterdir()):
                    path.rmdir()
            elif path not in self._wanted:
                path.unlink()
