"""The book's own pages: plain MyST Markdown, in which a few marks of our own are replaced.

{nb}`01 1.2`              a link to a section of a notebook; {nb}`01` to the notebook
{fig}`1.2`                a link to one of the suite's figures
{lib}`triplets.polarity`  something in the library, below `hemlets_lib`
% insert figures          every figure with its caption
% insert map Eq.          the rows of paper_map.yaml whose place begins so; `detail`: all that are left
% insert explorer NAME    an explorer of explorers.yaml
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from collect import Collected, Figure
from sources import BOOK, REPOSITORY, SourceFolder

_SECTION = re.compile(r"\{nb\}`(?P<notebook>\d\d)(?: (?P<section>[^`]+))?`")
_FIGURE = re.compile(r"\{fig\}`(?P<number>[^`]+)`")
_LIBRARY = re.compile(r"\{lib\}`(?P<name>[^`]+)`")
_INSERT = re.compile(r"^% insert (?P<what>\w+)(?: (?P<name>\S+))?$", re.MULTILINE)
_PLACES = ("Eq.", "Table", "Fig.")


def write_pages(folder: SourceFolder, found: Collected, explorers: Path) -> None:
    """Write the book's own pages into the folder of sources.

    Args:
        folder: Of sources.
        found: What the notebooks hold.
        explorers: Where the explorers' offline pages are.

    Raises:
        ValueError: If a page names what does not exist.
    """
    for path in sorted(BOOK.glob("*.md")):
        try:
            text = _INSERT.sub(
                lambda match: _inserted(match, found, explorers), path.read_text(encoding="utf-8")
            )
            text = with_links(text, found)
        except ValueError as error:
            raise ValueError(f"{path.name}: {error}") from error
        folder.write(path.name, folder.with_linked_files(path.name, text).encode())
    folder.write("figures.zip", figures_archive(found))
    folder.write("overview.png", (REPOSITORY / "data_samples" / "overview.png").read_bytes())


def with_links(text: str, found: Collected) -> str:
    """A page with its marks for notebooks, figures and the library replaced.

    Args:
        text: MyST Markdown.
        found: What the notebooks hold.

    Returns:
        Markdown that Sphinx understands.

    Raises:
        ValueError: If a notebook, section or figure does not exist.
    """
    numbers = {number for figure in found.figures for number in figure.numbers}

    def section(match: re.Match[str]) -> str:
        return _section_link(match[0], match["notebook"], match["section"], found)

    def figure(match: re.Match[str]) -> str:
        if match["number"] not in numbers:
            raise ValueError(f"{match[0]}: no notebook shows a figure of that number")
        return f"[Figure {match['number']}](#fig-{match['number'].replace('.', '-')})"

    return _LIBRARY.sub(r"`\g<name>`", _FIGURE.sub(figure, _SECTION.sub(section, text)))


def _section_link(mark: str, notebook: str, section: str | None, found: Collected) -> str:
    if notebook not in found.pages:
        raise ValueError(f"{mark}: no notebook {notebook}; there are {', '.join(found.pages)}")
    if section is None:
        return f"[notebook {notebook}]({found.pages[notebook]})"
    if (notebook, section) not in found.targets:
        known = ", ".join(key for number, key in found.targets if number == notebook)
        raise ValueError(f"{mark}: notebook {notebook} has no section {section!r}; it has {known}")
    shown = section if section[0].isdigit() else f"{notebook}, {section.replace('-', ' ')}"
    return f"[{shown}](#{found.targets[notebook, section]})"


def _inserted(match: re.Match[str], found: Collected, explorers: Path) -> str:
    match match["what"], match["name"]:
        case "figures", None:
            return figures_gallery(found)
        case "map", str() as place:
            return map_table(read_data("paper_map.yaml"), place)
        case "explorer", str() as name:
            return explorer_section(name, read_data("explorers.yaml"), explorers)
    raise ValueError(f"{match[0]}: can insert figures, map PLACE, explorer NAME")


def read_data(name: str) -> Any:
    """One of the book's data files.

    Args:
        name: A YAML file in book/.

    Returns:
        Its content.
    """
    return yaml.safe_load((BOOK / name).read_text(encoding="utf-8"))


def map_table(rows: Sequence[Mapping[str, Any]], place: str) -> str:
    """A part of the map from the paper to library and notebooks.

    Args:
        rows: Of paper_map.yaml.
        place: What `paper` begins with, or "detail" for the rest.

    Returns:
        A Markdown table with marks for links.
    """
    chosen = [
        row
        for row in rows
        if row["paper"].startswith(place) or (place == "detail" and not row["paper"].startswith(_PLACES))
    ]
    lines = ["| the paper | what is there | library | explained in | shown in |", "|---|---|---|---|---|"]
    for row in chosen:
        library = "<br>".join(f"{{lib}}`{name}`" for name in row["library"])
        sections = ", ".join(f"{{nb}}`{section}`" for section in row["sections"])
        figures = ", ".join(f"{{fig}}`{number}`" for number in row["figures"])
        lines.append(f"| **{row['paper']}** | {row['what']} | {library} | {sections} | {figures} |")
    return "\n".join(lines)


def explorer_section(name: str, about: Mapping[str, Mapping[str, Any]], pages: Path) -> str:
    """An explorer within its page of the book.

    Args:
        name: A key of explorers.yaml.
        about: Content of explorers.yaml.
        pages: Where the offline pages are, `NAME.html`.

    Returns:
        MyST Markdown with marks for links.

    Raises:
        ValueError: If there is no such explorer, or no page of it.
    """
    if name not in about:
        raise ValueError(f"no explorer {name!r} in explorers.yaml; it has {', '.join(about)}")
    entry = about[name]
    if not (pages / f"{name}.html").is_file():
        raise ValueError(
            f"expected explorer {name!r} at {pages}/{name}.html: `hemlets explorers export` writes it"
        )
    sections = ", ".join(f"{{nb}}`{section}`" for section in entry["sections"])
    address = f"explorers/{name}.html"
    frame = f'src="{address}" title="Explorer: {entry["title"]}" loading="lazy"'
    return (
        f"(explorer-{name})=\n## {entry['title']}\n\n{entry['about']}\n\n"
        f"**Try:** {entry['try']} Background: {sections}.\n\n"
        f'<iframe class="explorer" {frame}></iframe>\n'
        f'<p><a href="{address}">{entry["title"]} on a page of its own</a></p>\n'
    )


def figures_gallery(found: Collected) -> str:
    """Every figure of the suite with its caption.

    Args:
        found: What the notebooks hold.

    Returns:
        MyST Markdown, a heading for each notebook, a target before each figure.
    """
    lines: list[str] = []
    notebook = ""
    linked: set[str] = set()
    for figure in found.figures:
        if figure.notebook != notebook:
            notebook = figure.notebook
            lines.append(f"## {found.titles.get(notebook, 'Solutions')}\n")
        for number in set(figure.numbers) - linked:
            lines.append(f"(fig-{number.replace('.', '-')})=")
            linked.add(number)
        where = f"[section {_where(figure)}](#{figure.section})" if figure.section else f"{{nb}}`{notebook}`"
        lines += [
            f"```{{figure}} notebooks/pictures/{figure.name}.png",
            f":alt: {json.dumps(' '.join(figure.alt.split()), ensure_ascii=False)}",
            ":loading: lazy",
            ":figclass: figure-card",
            "",
            " ".join(figure.caption.split()),
            "",
            f"`{figure.name}.png` · {where}",
            "```\n",
        ]
    return "\n".join(lines)


def _where(figure: Figure) -> str:
    return figure.section.removeprefix(f"nb-{figure.notebook}-").replace("-", ".", 1).replace("-", " ")


def figures_archive(found: Collected) -> bytes:
    """All figures and their captions in one file.

    Args:
        found: What the notebooks hold.

    Returns:
        A ZIP archive, the same for the same figures.
    """
    words = [
        "# Figures of the HEMlets notebook suite\n",
        "MIT licence. Please name the source, and cite Zhou et al., *HEMlets Pose*, ICCV 2019.\n",
    ]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for figure in found.figures:
            archive.writestr(
                zipfile.ZipInfo(f"{figure.name}.png"), figure.png
            )  # stored: PNG is packed already
            words.append(f"## {figure.name}.png\n\n{figure.caption}\n\nShows: {figure.alt}\n")
        archive.writestr(zipfile.ZipInfo("captions.md"), "\n".join(words))
    return buffer.getvalue()
