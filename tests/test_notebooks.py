"""The runner, on tiny notebooks made here."""

from __future__ import annotations

import gc
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import nbformat
import pytest
from filelock import FileLock
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from hemlets_lib.notebooks import NotebookUsageError, check_parameters, execute, find_notebooks
from hemlets_lib.runs import committed_form, run_notebooks

PARAMETERS = 'profile = "laptop"  # smoke, laptop, gpu or paper\nseed = 3\n'
TITLE = r"""# {} · A title with $x^2$

$$ r = \begin{{cases}} 1 & z > 0 \\ 0 & z \le 0 \end{{cases}} \tag{{1}} $$"""
RECORDS = """
from pathlib import Path
from hemlets_lib.results import record
record("shapes", {"cells": 7, "where": Path.cwd().name})
print("profile is", profile)
"""
DRAWS = """
from IPython.display import publish_display_data
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
publish_display_data(
    {
        "text/plain": "a widget",
        "text/html": '<script src="https://cdn.example/plotly.js"></script>',
        "application/vnd.jupyter.widget-view+json": {"model_id": "1"},
        "image/png": PIXEL,
    },
    metadata={"image/png": {"alt": "One pixel"}},
)
"""


def make(folder: Path, name: str, *code: str, parameters: str | None = PARAMETERS) -> Path:
    """Write a notebook: a title, a parameters cell, then code."""
    cells = [new_markdown_cell(TITLE.format(name[:2]))]
    if parameters is not None:
        cells.append(new_code_cell(parameters, metadata={"tags": ["parameters"]}))
    cells += [new_code_cell(source.strip()) for source in code]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.ipynb"
    nbformat.write(new_notebook(cells=cells), path)
    return path


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    """One run over good and bad notebooks, in a folder with spaces and braces in its name."""
    home = tmp_path_factory.mktemp("a suite {x}")
    folder = home / "notebooks"
    make(folder, "00_good", RECORDS, DRAWS)
    make(folder, "01_raises", "def broken():\n    return 1 / 0", "broken()", "print('never')")
    make(folder, "02_dies", "import os\nos._exit(9)")
    make(folder, "03_slow", "import time\nwhile True:\n    time.sleep(0.1)")
    make(folder, "04_last", "assert seed == 5")
    run = run_notebooks(
        profile="smoke",
        parameters={"seed": "5"},
        cell_timeout_s=4.0,
        notebooks_dir=folder,
        runs_dir=home / "runs",
    )
    return run


def test_one_failing_notebook_does_not_hide_the_others(suite):
    statuses = {name: entry["status"] for name, entry in suite.results["notebooks"].items()}
    assert statuses == {
        "00_good": "ok",
        "01_raises": "failed",
        "02_dies": "kernel died",
        "03_slow": "timed out",
        "04_last": "ok",
    }
    assert not suite.ok


def test_failures_say_what_happened(suite):
    errors = {name: entry["error"] for name, entry in suite.results["notebooks"].items()}
    assert errors["01_raises"]["summary"] == "In [4]: ZeroDivisionError: division by zero"
    assert errors["01_raises"]["source"] == "broken()"
    assert any("1 / 0" in line for line in errors["01_raises"]["traceback"])
    assert "the kernel died in cell 4" in errors["02_dies"]["summary"]
    slow = errors["03_slow"]["summary"]
    assert slow == "cell 4 was stopped (cell limit, 4 s; --cell-timeout-s raises it)"


def test_the_notebook_limit_names_its_own_option(tmp_path, caplog):
    path = make(tmp_path, "00_slow", "import time\nwhile True:\n    time.sleep(0.1)")
    for cell_timeout_s in (None, 600.0):
        outcome = execute(
            path, tmp_path / "executed.ipynb", parameters={}, timeout_s=2.0, cell_timeout_s=cell_timeout_s
        )
        assert outcome.status == "timed out"
        assert outcome.error["summary"].endswith("(notebook limit, 2 s; --timeout-s raises it)")
    gc.collect()
    assert "Task was destroyed" not in caplog.text


def test_results_hold_metrics_parameters_and_origin(suite):
    on_disk = json.loads((suite.folder / "results.json").read_text())
    assert on_disk == suite.results
    entry = on_disk["notebooks"]["00_good"]
    assert entry["metrics"] == {"shapes": {"cells": 7, "where": "notebooks"}}
    assert entry["parameters"] == {"profile": "smoke", "seed": 5}
    assert entry["seeds"] == {"seed": 5}
    assert entry["wall_time_s"] > 0 and entry["peak_memory_mib"] > 10
    assert on_disk["provenance"]["packages"]["torch"] and "commit" in on_disk["provenance"]["git"]


def test_pages_open_offline(suite):
    page = (suite.folder / suite.results["notebooks"]["00_good"]["page"]).read_text()
    assert 'alt="One pixel"' in page and "data:image/png;base64,iVBOR" in page
    assert "data:image/svg+xml" in page and "begin{cases} 1" in page  # drawn, with its source as alt text
    assert "<script src" not in page
    assert suite.results["notebooks"]["00_good"]["loads_from_network"] == []
    index = suite.index.read_text()
    assert "html/00_good.html" in index and "html/00_good.png" in index and "ZeroDivisionError" in index
    executed = nbformat.read(suite.folder / "executed" / "00_good.ipynb", as_version=4)
    assert "widgets" not in executed.metadata


def test_resume_runs_only_what_is_left(suite, capsys):
    home = suite.folder.parent.parent
    make(home / "notebooks", "01_raises", "pass")
    before = suite.results["notebooks"]["04_last"]["wall_time_s"]
    run = run_notebooks(
        resume="latest", only=["01", "04"], notebooks_dir=home / "notebooks", runs_dir=home / "runs"
    )
    assert run.ok and run.folder == suite.folder
    assert run.results["notebooks"]["04_last"]["wall_time_s"] == before
    assert "04_last  ok already, kept" in capsys.readouterr().out
    assert run.results["notebooks"]["01_raises"]["parameters"]["seed"] == 5


def test_resume_refuses_a_run_that_is_still_going(suite):
    home, record = suite.folder.parent.parent, suite.folder / "results.json"
    before = record.read_bytes()
    with FileLock(suite.folder / ".running.lock"):  # as the process that works on it holds it
        message = rf"run {suite.folder.name} is still going: expected .*, got .* Wait for it, or start a new"
        with pytest.raises(NotebookUsageError, match=message):
            run_notebooks(resume=suite.folder.name, notebooks_dir=home / "notebooks", runs_dir=home / "runs")
    assert record.read_bytes() == before


def test_a_run_holds_its_lock(tmp_path):
    code = """
    from pathlib import Path
    from filelock import FileLock, Timeout
    (folder,) = Path("../runs").iterdir()
    try:
        FileLock(folder / ".running.lock").acquire(timeout=0)
    except Timeout:
        print("held")
    else:
        raise AssertionError("the run does not hold its lock")
    """
    folder = make(tmp_path / "notebooks", "00_looks", textwrap.dedent(code)).parent
    assert run_notebooks(notebooks_dir=folder, runs_dir=tmp_path / "runs").ok


def test_damaged_numbers_fail_their_notebook_alone(tmp_path):
    write = "import os\nfrom pathlib import Path\nPath(os.environ['HEMLETS_RESULTS']).write_text({!r})"
    folder = tmp_path / "notebooks"
    make(folder, "00_cut", write.format('{"a": '))
    make(folder, "01_nan", write.format('{"a": NaN}'))
    make(folder, "02_good", RECORDS)
    run = run_notebooks(notebooks_dir=folder, runs_dir=tmp_path / "runs")
    cut, nan, good = run.results["notebooks"].values()
    assert cut["status"] == nan["status"] == "failed" and good["status"] == "ok"
    expected = "its numbers must be a JSON object, written with `record` alone: "
    assert cut["error"]["summary"].startswith(expected) and "is not valid JSON" in cut["error"]["summary"]
    assert nan["error"]["summary"].startswith(expected) and nan["metrics"] == {}
    assert json.loads((run.folder / "results.json").read_text())["status"] == "failed"


@pytest.mark.parametrize("named", ["samples", "~/samples"])
def test_kernels_get_an_absolute_data_folder(tmp_path, monkeypatch, named):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HEMLETS_DATA", named)
    path = make(tmp_path / "notebooks", "00_looks", "import os\nprint(os.environ['HEMLETS_DATA'])")
    executed = tmp_path / "executed.ipynb"
    assert execute(path, executed, parameters={}, timeout_s=60).status == "ok"
    (output,) = nbformat.read(executed, as_version=4).cells[-1].outputs
    expected = Path.home() / "samples" if named.startswith("~") else tmp_path / "samples"
    assert output.text.strip() == str(expected)
    assert os.environ["HEMLETS_DATA"] == named


def test_resume_refuses_another_profile_and_unknown_runs(suite):
    where = {"notebooks_dir": suite.folder.parent.parent / "notebooks", "runs_dir": suite.folder.parent}
    with pytest.raises(NotebookUsageError, match="has profile 'smoke', not 'gpu'"):
        run_notebooks(resume="latest", profile="gpu", **where)
    with pytest.raises(NotebookUsageError, match="no run 'yesterday' to resume"):
        run_notebooks(resume="yesterday", **where)
    with pytest.raises(NotebookUsageError, match="no run '' to resume"):
        run_notebooks(resume="", **where)


def test_write_puts_outputs_into_the_notebook(tmp_path, capsys):
    path = make(tmp_path / "notebooks", "00_good", "print('a')\nprint(profile)", DRAWS)
    where = {"notebooks_dir": path.parent, "runs_dir": tmp_path / "runs"}
    assert run_notebooks(write=True, **where).ok
    written = nbformat.read(path, as_version=4)
    assert [cell.get("execution_count") for cell in written.cells] == [None, 1, 2, 3]
    assert written.cells[2].outputs[0].text == "a\nlaptop\n"
    assert "application/vnd.jupyter.widget-view+json" not in written.cells[3].outputs[0].data
    assert written.metadata.kernelspec.name == "python3"
    assert written.metadata.hemlets.provenance.startswith("Executed with profile laptop on ")
    assert all("papermill" not in cell.metadata for cell in written.cells)

    content = path.read_bytes()
    run_notebooks(write=True, **where)
    assert path.read_bytes() == content
    assert "the same outputs as before" in capsys.readouterr().out
    with pytest.raises(NotebookUsageError, match="leave out --profile, --param and --resume"):
        run_notebooks(write=True, parameters={"seed": 1}, **where)


def test_write_needs_the_committed_profile(tmp_path):
    folder = make(tmp_path / "notebooks", "00_other", parameters='profile = "smoke"').parent
    with pytest.raises(NotebookUsageError, match="default of `profile` must be 'laptop'"):
        run_notebooks(write=True, notebooks_dir=folder, runs_dir=tmp_path / "runs")


def test_committed_form_keeps_tags_and_leaves_its_input_alone():
    cell = new_code_cell("1", metadata={"tags": ["parameters"], "execution": {"iopub.status.busy": "now"}})
    notebook = new_notebook(cells=[cell], metadata={"widgets": {"state": {}}, "papermill": {}})
    form = committed_form(notebook, provenance_line="here")
    assert form.cells[0].metadata == {"tags": ["parameters"]}
    assert set(form.metadata) == {"kernelspec", "language_info", "hemlets"}
    assert "widgets" in notebook.metadata and "execution" in notebook.cells[0].metadata


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"profile": "lab"}, "profile must be one of smoke, laptop, gpu, paper, got 'lab'"),
        ({"only": ["07"]}, r"no notebook '07' in .*; there are: 00_good, 01_other"),
        ({"parameters": {"sead": 1}}, r"has a parameter `sead`. Did you mean seed\? There are: "),
        (
            {"parameters": {"seed": "two"}},
            r"`seed` of 00_good.ipynb must be int \(its default is 3\), got 'two'",
        ),
        ({"parameters": {"only_here": 1}, "only": ["0"]}, "no selected notebook has a parameter `only_here`"),
    ],
)
def test_what_cannot_be_started(tmp_path, options, message):
    make(tmp_path / "notebooks", "00_good")
    make(tmp_path / "notebooks", "01_other", parameters=PARAMETERS + "only_here = None")
    with pytest.raises(NotebookUsageError, match=message):
        run_notebooks(**options, notebooks_dir=tmp_path / "notebooks", runs_dir=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


# nbconvert makes a heading of any line that begins with '#', also of "#2" where a line of prose was broken.
_STRAY_HEADING = re.compile(r"^ {0,3}#+[^# \n].*", re.MULTILINE)
_FENCED = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
_COMMITTED = sorted((Path(__file__).parents[1] / "notebooks").rglob("[0-9]*.ipynb"))


def stray_headings(markdown: str) -> list[str]:
    return _STRAY_HEADING.findall(_FENCED.sub("", markdown))


def test_stray_headings_by_hand():
    source = "# 06 · Title\n\n*Protocol\n#2* is told\n\n```sh\n#!/bin/sh\n#x\n```\n ##also\nno #3, no `#4`\n#"
    assert stray_headings(source) == ["#2* is told", " ##also"]


@pytest.mark.parametrize("path", _COMMITTED, ids=lambda path: path.stem)
def test_no_line_of_prose_becomes_a_heading(path):
    cells = nbformat.read(path, as_version=4).cells
    found = [line for cell in cells if cell.cell_type == "markdown" for line in stray_headings(cell.source)]
    assert found == []


def test_missing_notebooks_and_damaged_notebooks(tmp_path):
    with pytest.raises(NotebookUsageError, match=r"no notebooks \(NN_title.ipynb\) in"):
        find_notebooks(tmp_path)
    path = make(tmp_path, "00_good", parameters=None)
    with pytest.raises(NotebookUsageError, match=r"must declare a parameter `profile`.*declared: none"):
        check_parameters(find_notebooks(tmp_path), {})
    path.write_text(path.read_text()[:40])
    with pytest.raises(ValueError, match=r"00_good.ipynb is not a readable notebook"):
        find_notebooks(tmp_path)


def test_parameters_go_where_they_are_declared(tmp_path):
    make(tmp_path, "00_a", parameters='profile = "laptop"\nrate = 0.5\nphotos_dir = None\nfast = False')
    make(tmp_path, "01_b", parameters='profile = "laptop"\nname = "x"')
    values = check_parameters(
        find_notebooks(tmp_path),
        {"profile": "smoke", "rate": "2", "photos_dir": Path("/a b"), "fast": "true", "name": "7"},
    )
    assert values == {
        "00_a": {"profile": "smoke", "rate": 2, "photos_dir": os.fspath(Path("/a b")), "fast": True},
        "01_b": {"profile": "smoke", "name": "7"},
    }


def test_a_folder_that_cannot_be_written(tmp_path):
    make(tmp_path / "notebooks", "00_good")
    (tmp_path / "file").write_text("")
    with pytest.raises(
        NotebookUsageError, match=r"cannot write runs to .* Choose another folder with --runs-dir"
    ):
        run_notebooks(notebooks_dir=tmp_path / "notebooks", runs_dir=tmp_path / "file" / "runs")


@pytest.mark.skipif(os.name == "nt", reason="signals differ on Windows")
def test_an_interrupted_run_keeps_what_it_finished(tmp_path):
    folder = make(tmp_path / "notebooks", "00_good", "print(1)").parent
    sign = tmp_path / "started"
    make(
        folder,
        "01_endless",
        f"import os, time\nopen({str(sign)!r}, 'w').write(str(os.getpid()))\ntime.sleep(99)",
    )
    options = ["--notebooks-dir", str(folder), "--runs-dir", str(tmp_path / "runs")]
    command = [sys.executable, "-m", "hemlets_lib.cli", "notebooks", *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        deadline = time.monotonic() + 90
        while not (sign.exists() and sign.read_text()) and time.monotonic() < deadline:
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    (record,) = (tmp_path / "runs").glob("*/results.json")
    again = shlex.join(["hemlets", "notebooks", "--resume", record.parent.name, *options])
    assert f"`{again}` carries on from here" in stderr and "Traceback" not in stderr
    results = json.loads(record.read_text())
    assert results["status"] == "interrupted"
    assert {name: entry["status"] for name, entry in results["notebooks"].items()} == {"00_good": "ok"}
    with pytest.raises(ProcessLookupError):  # the kernel was not left behind
        os.kill(int(sign.read_text()), 0)
