"""Runs of the notebook suite: executed notebooks, pages that open offline, and `results.json`.

A run is a folder: `executed/*.ipynb`, `html/*.html`, `index.html` and `results.json`. The record is
rewritten whole after every notebook, so an interrupted run keeps what it finished and can be resumed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from hemlets_lib.console import console, format_seconds, progress_line
from hemlets_lib.notebook_pages import first_figure, network_references, notebook_title, run_index, to_html
from hemlets_lib.notebooks import (
    PROFILES,
    Notebook,
    NotebookUsageError,
    check_parameters,
    execute,
    find_notebooks,
)
from hemlets_lib.results import RESULTS_VARIABLE, only_process, provenance, read_json, write_json

__all__ = ["COMMITTED_PROFILE", "Run", "RunInterrupted", "committed_form", "project_root", "run_notebooks"]

COMMITTED_PROFILE = "laptop"
"""The profile that notebooks are committed in, executed."""

_LOCK_NAME = ".running.lock"


@dataclass
class Run:
    """One run of the suite, finished or not; `results` is what its `results.json` holds.

    Args:
        folder: The run's folder.
        results: The whole record: `status`, `profile`, `provenance`, and `notebooks` by name.
    """

    folder: Path
    results: dict[str, Any] = field(default_factory=dict)

    @property
    def index(self) -> Path:
        return self.folder / "index.html"

    @property
    def ok(self) -> bool:
        return self.results.get("status") == "ok"


class RunInterrupted(KeyboardInterrupt):
    """Ctrl-C in a run that had begun; its record is written, and it can be resumed.

    Args:
        run: The run.
    """

    def __init__(self, run: Run) -> None:
        super().__init__(f"run {run.folder.name} was interrupted")
        self.run = run


def project_root() -> Path:
    """The checkout this library is installed from, or else the current folder.

    Returns:
        An absolute path.
    """
    checkout = Path(__file__).resolve().parent.parent
    return checkout if (checkout / "pyproject.toml").is_file() else Path.cwd()


def run_notebooks(
    *,
    profile: str | None = None,
    only: Sequence[str] = (),
    parameters: Mapping[str, Any] | None = None,
    resume: str | None = None,
    write: bool = False,
    timeout_s: float | None = None,
    cell_timeout_s: float | None = None,
    notebooks_dir: Path | None = None,
    runs_dir: Path | None = None,
) -> Run:
    """Execute the suite, or some of it, into a run folder.

    Args:
        profile: One of `PROFILES`; "smoke" when not given.
        only: Numbers or names of the notebooks to run.
        parameters: Further parameters, checked by `check_parameters`.
        resume: A run's id, or "latest": carry on there. Its profile, selection and parameters hold where
            none are given; notebooks that were ok with the same source and parameters are not run again.
        write: Also put the outputs into the notebooks themselves, as they are committed. Runs them
            with their own defaults, which must be `COMMITTED_PROFILE`.
        timeout_s: Limit for one notebook; the profile's when not given.
        cell_timeout_s: Limit for one cell.
        notebooks_dir: Folder of the notebooks; the checkout's when not given.
        runs_dir: Folder that holds the runs; `runs/` of the checkout when not given.

    Returns:
        The run, with `ok` telling whether every notebook was executed to its end.

    Raises:
        NotebookUsageError: If the run cannot be started as asked, or the run to resume is still going.
        RunInterrupted: At Ctrl-C, once the record is written.
    """
    if write and (parameters or resume is not None or profile not in (None, COMMITTED_PROFILE)):
        raise NotebookUsageError(
            f"--write runs the notebooks as committed (profile {COMMITTED_PROFILE!r}, their own defaults): "
            "leave out --profile, --param and --resume."
        )
    home = (runs_dir or project_root() / "runs").resolve()
    run = Run(folder=home) if resume is None else _resumed(home, resume)
    recorded = run.results
    if resume is not None and profile not in (None, recorded["profile"]):
        raise NotebookUsageError(
            f"run {recorded['id']} has profile {recorded['profile']!r}, not {profile!r}. "
            "Leave --profile out to resume it, or start a new run."
        )
    profile = profile or (COMMITTED_PROFILE if write else recorded.get("profile", "smoke"))
    if profile not in PROFILES:
        raise NotebookUsageError(f"profile must be one of {', '.join(PROFILES)}, got {profile!r}.")
    only = [entry for entry in only if entry.strip()] or recorded.get("only", [])
    given = dict(recorded.get("parameters", {}) if parameters is None else parameters)
    given = {name: os.fspath(v) if isinstance(v, os.PathLike) else v for name, v in given.items()}
    notebooks = find_notebooks((notebooks_dir or project_root() / "notebooks").resolve(), only=only)
    values = check_parameters(notebooks, {**given, "profile": profile})
    if write:
        _require_committed_profile(notebooks)
        values = {notebook.name: {} for notebook in notebooks}

    if resume is None:
        run = _new_run(home, profile)
    limits = (timeout_s or PROFILES[profile], cell_timeout_s)
    with _only_one_in(run.folder):
        if resume is not None:
            run = _resumed(home, run.folder.name)  # it may have gone on until the lock was free
        run.results.update(
            {
                "id": run.folder.name,
                "profile": profile,
                "only": only,
                "parameters": given,
                "status": "running",
                "provenance": provenance(project_root()),
            }
        )
        _execute_all(run, notebooks, values, write=write, limits=limits)
    return run


def _only_one_in(folder: Path) -> AbstractContextManager[None]:
    """One process at a time in a run's folder."""
    busy = (
        f"run {folder.name} is still going: expected one that has ended, got one that another process "
        "works on. Wait for it, or start a new run without --resume."
    )
    return only_process(folder / _LOCK_NAME, otherwise=NotebookUsageError(busy))


def _execute_all(
    run: Run,
    notebooks: Sequence[Notebook],
    values: Mapping[str, Mapping[str, Any]],
    *,
    write: bool,
    limits: tuple[float, float | None],
) -> None:
    entries = run.results.setdefault("notebooks", {})
    _save(run)
    try:
        for place, notebook in enumerate(notebooks, start=1):
            label = f"({place}/{len(notebooks)}) {notebook.name}"
            if _is_done(entries.get(notebook.name, {}), notebook, values[notebook.name]):
                console.print(f"{label}  ok already, kept")
                continue
            entry = _run_one(run, notebook, values[notebook.name], label, *limits)
            entries[notebook.name] = entry
            if write and entry["status"] == "ok":
                _write_back(notebook.path, run)
            _save(run)
    except BaseException as error:
        run.results["status"] = "interrupted"
        _save(run)
        if isinstance(error, KeyboardInterrupt):
            raise RunInterrupted(run) from error
        raise
    complete = all(entries[notebook.name]["status"] == "ok" for notebook in notebooks)
    run.results["status"] = "ok" if complete else "failed"
    _save(run)


def _is_done(entry: Mapping[str, Any], notebook: Notebook, values: Mapping[str, Any]) -> bool:
    return (
        entry.get("status") == "ok"
        and entry["source_sha256"] == notebook.source_hash
        and entry["parameters"] == {**notebook.defaults, **values}
    )


def _run_one(
    run: Run,
    notebook: Notebook,
    values: Mapping[str, Any],
    label: str,
    timeout_s: float,
    cell_timeout_s: float | None,
) -> dict[str, Any]:
    import nbformat

    executed = run.folder / "executed" / notebook.path.name
    metrics = run.folder / "metrics" / f"{notebook.name}.json"
    for path in (executed, metrics):
        path.parent.mkdir(exist_ok=True)
        path.unlink(missing_ok=True)
    if not console.is_terminal:
        console.print(f"{label}  ...")
    with progress_line(label) as ticker, _environment({RESULTS_VARIABLE: str(metrics)}):
        count = len(nbformat.read(notebook.path, as_version=4).cells) + bool(values)  # the injected cell

        def on_cell(index: int) -> None:
            ticker.detail = f"cell {index + 1}/{count}"

        outcome = execute(
            notebook.path,
            executed,
            parameters=values,
            timeout_s=timeout_s,
            cell_timeout_s=cell_timeout_s,
            on_cell=on_cell,
        )
        ticker.detail = "writing the page"
        pages: dict[str, Any] = {}
        try:
            if executed.exists():
                pages = _write_pages(run.folder, executed, notebook.name)
        except Exception as error:  # whatever it is, the other notebooks still run
            problem = {"summary": f"its page could not be written: {type(error).__name__}: {error}"}
            outcome = replace(outcome, status="failed", error=outcome.error or problem)
    recorded: dict[str, Any] = {}
    try:
        if metrics.exists():
            recorded = read_json(metrics)
            json.dumps(recorded, allow_nan=False)  # what `record` refuses, `results.json` cannot hold
    except ValueError as error:
        recorded = {}
        problem = {"summary": f"its numbers must be a JSON object, written with `record` alone: {error}"}
        outcome = replace(outcome, status="failed", error=outcome.error or problem)
    took = format_seconds(outcome.seconds)
    if outcome.error is None:
        console.print(f"{label}  [green]ok[/green]  {took}")
    else:
        console.print(f"{label}  [red]{outcome.status}[/red]  {took}  ", end="")
        console.print(outcome.error["summary"], markup=False)
    effective = {**notebook.defaults, **values}
    return {
        "title": notebook.name,
        "status": outcome.status,
        "wall_time_s": round(outcome.seconds, 2),
        "peak_memory_mib": outcome.peak_memory_mib,
        "parameters": effective,
        "seeds": {name: value for name, value in effective.items() if name.startswith("seed")},
        "metrics": recorded,
        "error": outcome.error,
        "source_sha256": notebook.source_hash,
        "git": run.results["provenance"]["git"],
        **pages,
    }


def _write_pages(folder: Path, executed: Path, name: str) -> dict[str, Any]:
    import nbformat

    node = nbformat.read(executed, as_version=4)
    node.metadata.pop("widgets", None)  # megabytes for each figure widget, of no use later
    nbformat.write(node, executed)
    title = notebook_title(node, name)
    html = to_html(node, title=title)
    page, picture = folder / "html" / f"{name}.html", folder / "html" / f"{name}.png"
    page.parent.mkdir(exist_ok=True)
    page.write_text(html, encoding="utf-8")
    thumbnail = first_figure(node)
    if thumbnail:
        picture.write_bytes(thumbnail)
    return {
        "title": title,
        "executed": executed.relative_to(folder).as_posix(),
        "page": page.relative_to(folder).as_posix(),
        "thumbnail": picture.relative_to(folder).as_posix() if thumbnail else None,
        "loads_from_network": network_references(html),
    }


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _new_run(home: Path, profile: str) -> Run:
    stamp = f"{datetime.now():%Y%m%d-%H%M%S}-{profile}"
    try:
        home.mkdir(parents=True, exist_ok=True)
        for suffix in ("", *(f"-{n}" for n in range(2, 100))):  # two runs may start in one second
            folder = home / (stamp + suffix)
            if not folder.exists():
                folder.mkdir()
                return Run(folder=folder)
    except OSError as error:
        raise NotebookUsageError(
            f"cannot write runs to {home} ({error.strerror or error}). Choose another folder with --runs-dir."
        ) from error
    raise NotebookUsageError(f"cannot find a free name for a run in {home}: {stamp} is taken.")


def _resumed(home: Path, wanted: str) -> Run:
    runs = sorted(path.parent.name for path in home.glob("*/results.json"))
    name = runs[-1] if wanted == "latest" and runs else wanted
    if name not in runs:
        raise NotebookUsageError(
            f"no run {wanted!r} to resume in {home}; there are: {', '.join(runs[-5:]) or 'none'}."
        )
    return Run(folder=home / name, results=read_json(home / name / "results.json"))


def _save(run: Run) -> None:
    """Write the record, then the index page that shows it."""
    write_json(run.folder / "results.json", run.results)
    entries = run.results["notebooks"]
    spent = format_seconds(sum((entry["wall_time_s"] for entry in entries.values()), 0.0))
    good = sum(entry["status"] == "ok" for entry in entries.values())
    origin = run.results["provenance"]
    commit = f"commit {origin['git']['commit'][:10]}" if origin["git"]["commit"] else "no commit"
    changed = ", with changes" if origin["git"]["dirty"] else ""
    began = datetime.fromisoformat(origin["time"])
    parts = (
        f"{began.day} {began:%B %Y, %H:%M %Z}",
        commit + changed,
        f"torch {origin['packages']['torch']}",
        origin["device"]["device"],
    )
    state = "" if run.ok else f"{run.results['status']}: "
    heading = {
        "id": run.results["id"],
        "summary": f"{state}{good} of {len(entries)} notebooks ok, {spent}",
        "origin": " · ".join(parts),
    }
    cards = [
        {
            "title": entry["title"],
            "status": entry["status"],
            "time": format_seconds(entry["wall_time_s"]),
            "note": (entry["error"] or {}).get("summary"),
            "page": entry.get("page"),
            "thumbnail": entry.get("thumbnail"),
        }
        for _, entry in sorted(entries.items())
    ]
    run.index.write_text(run_index(heading, cards), encoding="utf-8")


def _require_committed_profile(notebooks: Sequence[Notebook]) -> None:
    for notebook in notebooks:
        if notebook.defaults["profile"] != COMMITTED_PROFILE:
            raise NotebookUsageError(
                f"{notebook.path.name}: the default of `profile` must be {COMMITTED_PROFILE!r} to be written "
                f"back, got {notebook.defaults['profile']!r}. Change its parameters cell."
            )


def _write_back(notebook: Path, run: Run) -> None:
    import nbformat

    origin = run.results["provenance"]
    line = (
        f"Executed with profile {COMMITTED_PROFILE} on {origin['time'][:10]}: "
        f"commit {(origin['git']['commit'] or 'none')[:10]}, Python {origin['python']}, "
        f"torch {origin['packages']['torch']}, {origin['device']['device']}."
    )
    executed = nbformat.read(run.folder / "executed" / notebook.name, as_version=4)
    fresh = committed_form(executed, provenance_line=line)
    committed = nbformat.read(notebook, as_version=4)
    line_before = committed.metadata.get("hemlets", {}).get("provenance", "")
    if committed == committed_form(executed, provenance_line=line_before):
        console.print("    the same outputs as before: left as it is")
        return
    nbformat.write(fresh, notebook)


def committed_form(executed: Any, *, provenance_line: str) -> Any:
    """An executed notebook as it is committed: outputs kept, everything that varies by itself removed.

    Args:
        executed: An nbformat notebook, executed without injected parameters; left as it is.
        provenance_line: Where its outputs come from; kept in the metadata under `hemlets`.

    Returns:
        The notebook to write. Cell timings, papermill's metadata and widget states are gone; a widget
        with a picture beside it leaves the picture, which shows without a kernel.
    """
    from copy import deepcopy

    notebook = deepcopy(executed)
    for name in ("papermill", "widgets", "hemlets"):
        notebook.metadata.pop(name, None)
    notebook.metadata["kernelspec"] = {
        "display_name": "Python 3 (ipykernel)",
        "language": "python",
        "name": "python3",
    }
    notebook.metadata["language_info"] = {"name": "python", "pygments_lexer": "ipython3"}
    notebook.metadata["hemlets"] = {"provenance": provenance_line}
    for cell in notebook.cells:
        for name in ("papermill", "execution"):
            cell.metadata.pop(name, None)
        if not cell.metadata.get("tags"):
            cell.metadata.pop("tags", None)
        for output in cell.get("outputs", ()):
            if "image/png" in output.get("data", {}):
                output.data.pop("application/vnd.jupyter.widget-view+json", None)
    return notebook
