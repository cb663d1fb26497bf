"""The notebook suite as a program sees it: find notebooks, check their parameters, execute one.

`hemlets_lib.runs` strings executions together into a run with pages and results.
"""

from __future__ import annotations

import ast
import asyncio
import concurrent.futures
import difflib
import hashlib
import logging
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = [
    "PROFILES",
    "Notebook",
    "NotebookUsageError",
    "Outcome",
    "check_parameters",
    "execute",
    "find_notebooks",
]

PROFILES = {"smoke": 300.0, "laptop": 1800.0, "gpu": 12 * 3600.0, "paper": 21 * 24 * 3600.0}
"""The profiles, and how long one notebook may take in each before it is stopped, in seconds."""

_DATA_VARIABLE = "HEMLETS_DATA"
_KERNEL = "python3"
_TRACEBACK_LINES = 12
_ANSI = re.compile(r"\x1b\[[0-9;]*m")


class NotebookUsageError(ValueError):
    """The run that was asked for cannot be started: a wrong name, profile, parameter or folder."""


@dataclass(frozen=True)
class Notebook:
    """A notebook of the suite and the parameters it declares.

    Args:
        path: The file, named `NN_title.ipynb`.
        defaults: Parameter defaults from the cell tagged `parameters`; None stands for a default that
            is not a plain literal.
        source_hash: SHA-256 over the cells' kinds and sources; outputs do not count.
    """

    path: Path
    defaults: Mapping[str, Any]
    source_hash: str

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def number(self) -> str:
        return self.name[:2]


def find_notebooks(folder: Path, *, only: Sequence[str] = ()) -> list[Notebook]:
    """The numbered notebooks of a folder, in order.

    Args:
        folder: Where `NN_title.ipynb` files lie; sub-folders are not searched.
        only: Numbers ("01") or names to keep; all when empty.

    Returns:
        At least one notebook.

    Raises:
        NotebookUsageError: If there are none, or `only` names one that is not there.
        ValueError: If a file is not a readable notebook.
    """
    paths = sorted(folder.glob("[0-9][0-9]_*.ipynb"))
    if not paths:
        raise NotebookUsageError(
            f"no notebooks (NN_title.ipynb) in {folder}. "
            "Run from a clone of the repository, or pass --notebooks-dir."
        )
    wanted = [entry.strip().removesuffix(".ipynb") for entry in only if entry.strip()]
    wanted = [entry.zfill(2) if entry.isdigit() else entry for entry in wanted]
    there = ", ".join(path.stem for path in paths)
    for entry in wanted:
        if not any(entry in (path.stem, path.stem[:2]) for path in paths):
            raise NotebookUsageError(f"no notebook {entry!r} in {folder}; there are: {there}.")
    return [_read(path) for path in paths if not wanted or {path.stem, path.stem[:2]} & set(wanted)]


def _read(path: Path) -> Notebook:
    import nbformat
    import papermill

    try:
        node = nbformat.read(path, as_version=4)
        kernel = {"name": _KERNEL, "display_name": "Python 3", "language": "python"}
        node.metadata.setdefault("kernelspec", kernel)
        inspected = papermill.inspect_notebook(node)
    except Exception as error:  # nbformat and papermill raise many kinds for a damaged file
        raise ValueError(f"{path} is not a readable notebook ({type(error).__name__}: {error}).") from error
    digest = hashlib.sha256()
    for cell in node.cells:
        digest.update(f"{cell.cell_type}\0{cell.source}\0".encode())
    defaults = {name: _literal(entry["default"]) for name, entry in inspected.items()}
    return Notebook(path=path, defaults=defaults, source_hash=digest.hexdigest())


def _literal_path(path: Path) -> str:
    """Papermill reads paths as format strings; a folder may really be called '{a}'."""
    return str(path).replace("{", "{{").replace("}", "}}")


def _literal(source: str) -> Any:
    try:
        return ast.literal_eval(source)
    except (ValueError, SyntaxError):
        return None


def check_parameters(
    notebooks: Sequence[Notebook], parameters: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """Which parameters each notebook gets. Papermill only warns about a misspelt name; this refuses it.

    Args:
        notebooks: The notebooks of the run. Each must declare `profile`.
        parameters: Values by name. Each goes to every notebook that declares it. A string given for
            a default that is not a string is read as a Python literal.

    Returns:
        The values for each notebook, by notebook name.

    Raises:
        NotebookUsageError: If a name is declared nowhere, or a value has another type than the default.
    """
    for notebook in notebooks:
        if "profile" not in notebook.defaults:
            declared = ", ".join(notebook.defaults) or "none"
            raise NotebookUsageError(
                f"{notebook.path.name} must declare a parameter `profile` in its cell tagged "
                f"'parameters'; declared: {declared}."
            )
    known = sorted({name for notebook in notebooks for name in notebook.defaults})
    for name in parameters:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=3)
            hint = f"Did you mean {' or '.join(near)}? " if near else ""
            raise NotebookUsageError(
                f"no selected notebook has a parameter `{name}`. {hint}There are: {', '.join(known)}."
            )
    return {
        notebook.name: {
            name: _coerced(name, value, notebook)
            for name, value in parameters.items()
            if name in notebook.defaults
        }
        for notebook in notebooks
    }


def _coerced(name: str, value: Any, notebook: Notebook) -> Any:
    default = notebook.defaults[name]
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if isinstance(value, str) and not isinstance(default, str):
        lowered = {"true": True, "false": False, "none": None}
        literal = lowered.get(value.lower(), _literal(value))
        value = value if literal is None and value.lower() != "none" else literal
    fits = (
        default is None
        or value is None
        or type(value) is type(default)
        or (isinstance(default, float) and type(value) is int)
    )
    if not fits:
        raise NotebookUsageError(
            f"parameter `{name}` of {notebook.path.name} must be {type(default).__name__} "
            f"(its default is {default!r}), got {value!r}."
        )
    return value


@dataclass
class Outcome:
    """How one execution ended.

    Args:
        status: "ok", "failed", "timed out" or "kernel died".
        seconds: Wall time.
        peak_memory_mib: Largest resident memory seen of the kernel and its children.
        error: None if ok; else `summary`, and for a failing cell `cell`, `source` and `traceback`.
    """

    status: str
    seconds: float
    peak_memory_mib: float | None
    error: dict[str, Any] | None


def execute(
    notebook: Path,
    executed: Path,
    *,
    parameters: Mapping[str, Any],
    timeout_s: float,
    cell_timeout_s: float | None = None,
    on_cell: Callable[[int], None] = lambda index: None,
) -> Outcome:
    """Execute one notebook in a kernel of this environment, from the notebook's own folder.

    Args:
        notebook: The file to execute; it is not changed.
        executed: Where the executed copy goes; it is saved after every cell.
        parameters: Injected as they are. With none, the notebook's own cells run alone.
        timeout_s: For the whole notebook.
        cell_timeout_s: For one cell; bounded by what is left of `timeout_s`.
        on_cell: Called with each cell's index as it starts.

    Returns:
        How it ended; failures of the notebook do not raise.
    """
    import papermill
    import zmq
    from jupyter_client.manager import AsyncKernelManager
    from jupyter_core.utils import ensure_event_loop
    from nbclient.exceptions import CellTimeoutError, DeadKernelError

    kernels: list[Any] = []
    data_folder = _absolute_data_folder()  # now: papermill changes the current folder
    at = {"cell": 0}
    started = time.monotonic()

    class Kernel(AsyncKernelManager):  # lets this function see the kernel's process
        async def start_kernel(self, **kwargs: Any) -> None:  # type: ignore[override]
            if self.has_trait("transport_encryption") and zmq.has("curve"):
                self.transport_encryption = "auto"  # without it, kernels warn about plain text
            kwargs["env"] = {**os.environ, **data_folder}
            await super().start_kernel(**kwargs)
            kernels.append(self.provisioner)

    def cell_started(cell: Any, cell_index: int) -> None:
        at["cell"] = cell_index
        on_cell(cell_index)

    def seconds_for_cell(cell: Any) -> float:
        left = timeout_s - (time.monotonic() - started)
        return max(0.01, min(left, cell_timeout_s or left))  # 0 would mean: for ever

    def work() -> None:
        try:
            papermill.execute_notebook(
                _literal_path(notebook),
                _literal_path(executed),
                parameters=dict(parameters),
                kernel_name=_KERNEL,
                language="python",
                cwd=str(notebook.parent),
                progress_bar=False,
                start_timeout=120,
                timeout_func=seconds_for_cell,
                on_cell_start=cell_started,
                kernel_manager_class=Kernel,
                shutdown_kernel="immediate",
                coalesce_streams=True,  # how prints are cut into messages depends on timing
            )
        finally:
            _close(ensure_event_loop())  # Jupyter makes one for each thread, and leaves it open

    logging.getLogger("papermill").setLevel(logging.CRITICAL)  # failures are reported below
    memory = _PeakMemory(kernels)
    status, error = "ok", None
    try:
        _in_thread(work, meanwhile=memory.sample, stop=lambda: _kill(kernels))
    except papermill.PapermillExecutionError as failure:
        status, error = "failed", _failing_cell(failure)
    except CellTimeoutError:
        cell_limit = cell_timeout_s is not None and time.monotonic() - started < timeout_s
        if cell_limit:
            limit, option = f"cell limit, {cell_timeout_s:g} s", "--cell-timeout-s"
        else:
            limit, option = f"notebook limit, {timeout_s:g} s", "--timeout-s"
        status = "timed out"
        error = {"summary": f"cell {at['cell'] + 1} was stopped ({limit}; {option} raises it)"}
    except DeadKernelError:
        status = "kernel died"
        error = {
            "summary": f"the kernel died in cell {at['cell'] + 1}: out of memory, or killed "
            f"(largest memory seen: {memory.mib or 0:.0f} MiB)"
        }
    except Exception as failure:
        status, error = "failed", {"summary": f"{type(failure).__name__}: {failure}"}
    return Outcome(status, time.monotonic() - started, memory.mib, error)


def _absolute_data_folder() -> dict[str, str]:
    """HEMLETS_DATA for kernels, which run in the notebook's folder and not where the command was given."""
    named = os.environ.get(_DATA_VARIABLE)
    return {_DATA_VARIABLE: str(Path(named).expanduser().absolute())} if named else {}


def _in_thread(work: Callable[[], None], *, meanwhile: Callable[[], None], stop: Callable[[], None]) -> None:
    """Run `work` off the main thread, where Ctrl-C would be swallowed by the notebook client."""
    with concurrent.futures.ThreadPoolExecutor(max_workers=1) as pool:
        future = pool.submit(work)
        try:
            while not concurrent.futures.wait([future], timeout=0.2).done:
                meanwhile()
        except BaseException:
            stop()
            raise
        future.result()


def _close(loop: asyncio.AbstractEventLoop) -> None:
    """End what still waits in a loop, then close it: asyncio complains of tasks that are just dropped."""
    pending = asyncio.all_tasks(loop)
    for task in pending:
        task.cancel()
    if pending:
        loop.run_until_complete(asyncio.gather(*pending, return_exceptions=True))
    loop.close()


def _kill(kernels: Sequence[Any]) -> None:
    import psutil

    for kernel in kernels:
        try:
            process = psutil.Process(kernel.pid)
            for each in [*process.children(recursive=True), process]:
                each.kill()
        except (psutil.Error, TypeError):
            continue  # it has ended by itself


class _PeakMemory:
    def __init__(self, kernels: Sequence[Any]) -> None:
        self._kernels = kernels
        self.mib: float | None = None

    def sample(self) -> None:
        import psutil

        if not self._kernels or self._kernels[-1].pid is None:
            return
        try:
            process = psutil.Process(self._kernels[-1].pid)
            family = [process, *process.children(recursive=True)]
            mib = sum(each.memory_info().rss for each in family) / 2**20
        except psutil.Error:
            return
        self.mib = round(max(self.mib or 0.0, mib), 1)


def _failing_cell(failure: Any) -> dict[str, Any]:
    lines = _ANSI.sub("", "\n".join(failure.traceback)).splitlines()
    message = str(failure.evalue).strip().splitlines()
    return {
        "summary": f"In [{failure.exec_count}]: {failure.ename}: {message[0] if message else ''}",
        "cell": failure.exec_count,
        "source": failure.source.strip(),
        "traceback": lines[-_TRACEBACK_LINES:],
    }
