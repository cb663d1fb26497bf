"""The executed notebooks, made ready for Sphinx.

Nothing of a notebook is stored a second time in the repository. Into the folder of sources go copies in which

- each picture of an output is a file named after its figure, with its alt text;
- headings carry targets, so that the book's own pages can point at a section;
- the imports, and long code that draws, are folded;
- a last line says where the outputs come from.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
from sources import REPOSITORY, SourceFolder

from hemlets_lib.notebook_pages import notebook_title, without_live_outputs

FOLDED_FROM = 12
"""Lines from which on code that makes a picture is folded."""

_COMPARED = "# NBVAL_CHECK_OUTPUT\n"  # a note to the tests, not to readers
_IMPORTING = re.compile(r"(import|from) |\s|\)|$")  # how each line of a cell of imports begins
_NUMBERED = re.compile(r"(?P<number>\d+\.\d+)(?:\s|$)")
_HEADING = re.compile(r"^#{1,4} (?P<text>.+)$")
_CAPTION = re.compile(r"\*Figures? (?P<numbers>\d+\.\d+(?:(?:, | and | to )\d+\.\d+)*)\.")
_SOLUTIONS = re.compile(r"`(solutions/\d\d_\w+)\.ipynb`")
_MARKUP = re.compile(r"([\\`*_{}\[\]<>$|~^])")


@dataclass(frozen=True)
class Figure:
    """A picture among a notebook's outputs.

    Args:
        name: Of its file, without suffix: `figure_1_2`, with a letter where a caption has several.
        numbers: What the caption calls it: ("1.2",); empty without a caption.
        notebook: Its number; empty for a page of solutions.
        section: The target of the section it is in; empty before the first.
        alt: What it shows, for those who cannot see it.
        caption: The notebook's caption, Markdown; empty where it has none.
        png: The file's bytes.
    """

    name: str
    numbers: tuple[str, ...]
    notebook: str
    section: str
    alt: str
    caption: str
    png: bytes


@dataclass
class Collected:
    """What the notebooks hold.

    Args:
        pages: Notebook's number → its file, relative to the sources.
        titles: Notebook's number → its title.
        targets: Number and section → the target in front of its heading.
        figures: In order of appearance.
    """

    pages: dict[str, str] = field(default_factory=dict)
    titles: dict[str, str] = field(default_factory=dict)
    targets: dict[tuple[str, str], str] = field(default_factory=dict)
    figures: list[Figure] = field(default_factory=list)


def collect_notebooks(folder: SourceFolder, *, notebooks: Path = REPOSITORY / "notebooks") -> Collected:
    """Write the notebooks and their pictures into the folder of sources.

    Args:
        folder: Of sources.
        notebooks: Where they are, solutions in a folder of their own.

    Returns:
        What they hold.

    Raises:
        ValueError: If a picture has no alt text.
    """
    found = Collected()
    paths = sorted(notebooks.glob("[0-9][0-9]_*.ipynb"))
    for path in paths + sorted((notebooks / "solutions").glob("[0-9][0-9]_*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        page = f"notebooks/{path.relative_to(notebooks).as_posix()}"
        number = path.name[:2] if path in paths else ""
        if number:
            found.pages[number], found.titles[number] = page, notebook_title(notebook, path.stem)
        _Chapter(number, page, found).prepare(notebook)
        for cell in notebook.cells:
            if cell.cell_type == "markdown":
                cell.source = folder.with_linked_files(page, cell.source)
            for output in cell.get("outputs", ()):
                if words := output.get("data", {}).get("text/markdown"):
                    output.data["text/markdown"] = folder.with_linked_files(page, "".join(words))
        folder.write(page, nbformat.writes(notebook).encode())
    for figure in found.figures:
        folder.write(f"notebooks/pictures/{figure.name}.png", figure.png)
    return found


def section_key(heading: str) -> str:
    """What a section is called by in {nb}`…`.

    Args:
        heading: Its text, without '#'.

    Returns:
        Its number ("1.2"); "mistake" for 'A common mistake'; else its words in lower case with hyphens.
    """
    if numbered := _NUMBERED.match(heading):
        return numbered["number"]
    if heading.startswith("A common mistake"):
        return "mistake"
    return "-".join(re.findall(r"\w+", heading.lower()))


def figure_numbers(text: str) -> list[str]:
    """The figures that a caption is for.

    Args:
        text: "1.2", "10.3 and 10.4", or "10.11 to 10.13".

    Returns:
        Their numbers, those between included.
    """
    named = re.findall(r"\d+\.\d+", text)
    if " to " not in text:
        return named
    chapter, first = named[0].split(".")
    return [f"{chapter}.{i}" for i in range(int(first), int(named[-1].split(".")[1]) + 1)]


def escaped(text: str) -> str:
    """Plain text as Markdown that shows it as it is.

    Args:
        text: One line or several; they are joined, as the description of an image is one paragraph.

    Returns:
        Markdown.
    """
    return _MARKUP.sub(r"\\\1", " ".join(text.split()))


class _Chapter:
    """One notebook on its way into the book."""

    def __init__(self, number: str, page: str, found: Collected) -> None:
        self.number, self.page, self.found = number, page, found
        self.section = ""
        self.titled = False
        self.waiting: list[tuple[Any, Any]] = []  # cell and output of pictures whose caption is still to come

    def prepare(self, notebook: Any) -> None:
        """Change the notebook in place, and add its figures and sections to what was found."""
        texts = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
        parts = sum(line.startswith("# ") for text in texts for line in _prose(text))
        imports_seen = False
        cells = [without_live_outputs(cell) for cell in notebook.cells]
        for cell in cells:
            if cell.cell_type == "code":
                self._code(cell, is_imports=not imports_seen or _only_imports(cell.source))
                imports_seen = True
            elif cell.cell_type == "markdown":
                self._name_pictures(cell.source)
                cell.source = self._text(cell.source, demote=parts > 1)
        self._name_pictures("")
        if provenance := notebook.metadata.get("hemlets", {}).get("provenance"):
            line = "{.provenance}\n" + escaped(provenance)
            cells.append(nbformat.v4.new_markdown_cell(line, id="provenance"))
        notebook.metadata.pop("widgets", None)
        notebook.cells = cells

    def _code(self, cell: Any, *, is_imports: bool) -> None:
        cell.source = cell.source.removeprefix(_COMPARED)
        tags = set(cell.metadata.get("tags", ()))
        pictures = [output for output in cell.outputs if "image/png" in output.get("data", {})]
        self.waiting += [(cell, output) for output in pictures]
        long = len(cell.source.splitlines()) >= FOLDED_FROM
        if "parameters" not in tags and (is_imports or (pictures and long)):
            cell.metadata = {**cell.metadata, "tags": sorted(tags | {"hide-input"})}

    def _text(self, source: str, *, demote: bool) -> str:
        lines = ["{.figure-caption}"] if _CAPTION.match(source) else []
        for line, prose in zip(source.splitlines(), _prose(source), strict=True):
            heading = _HEADING.match(prose)
            if heading and self.titled:
                lines += self._target(heading["text"])
                line = f"#{line}" if demote else line  # Sphinx wants one title a page
            self.titled |= heading is not None
            lines.append(_SOLUTIONS.sub(r"[\1](\1.ipynb)", line))
        return "\n".join(lines)

    def _target(self, heading: str) -> list[str]:
        key = (self.number, section_key(heading))
        if not self.number or key in self.found.targets:  # of several common mistakes the first has the name
            return []
        self.section = self.found.targets[key] = f"nb-{self.number}-{key[1].replace('.', '-')}"
        return [f"({self.section})="]

    def _name_pictures(self, text: str) -> None:
        """Name the pictures that wait after the figures in `text`, and put links in their place."""
        caption = _CAPTION.match(text)
        numbers = figure_numbers(caption["numbers"]) if caption else []
        for i, (cell, output) in enumerate(self.waiting):
            alt = output.metadata.get("image/png", {}).get("alt", "")
            if not alt:
                raise ValueError(
                    f"{self.page}, cell {cell.id}: a picture without alt text; give viz.show one"
                )
            one_each = len(numbers) == len(self.waiting)
            belongs = tuple(numbers[i : i + 1] if one_each else numbers)
            letter = "" if one_each else chr(ord("a") + i)
            name = (
                f"figure_{belongs[0].replace('.', '_')}{letter}" if belongs else f"picture_{cell.id}{letter}"
            )
            png = base64.b64decode("".join(output.data["image/png"]))
            words = text.split("\n\n")[0] if caption else ""
            self.found.figures.append(Figure(name, belongs, self.number, self.section, alt, words, png))
            depth = self.page.count("/") - 1
            address = f"{'../' * depth}pictures/{name}.png"
            output.data = {"text/markdown": f"![{escaped(alt)}]({address})"}
            output.metadata = {}
        self.waiting = []


def _only_imports(source: str) -> bool:
    """Whether a cell does nothing but import: long lists are in two cells."""
    return all(_IMPORTING.match(line) for line in source.splitlines())


def _prose(source: str) -> Iterator[str]:
    """A text's lines; those of fenced code come out empty."""
    fenced = False
    for line in source.splitlines():
        marks = line.lstrip().startswith("```")
        yield "" if fenced or marks else line
        fenced ^= marks
