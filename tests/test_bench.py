"""`hemlets bench`: scripts in processes of their own, and a table and a file of what they say."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from typer.testing import CliRunner

from hemlets_lib import bench, cli
from hemlets_lib.bench import SCRIPTS, benchmarks_folder, found_words, run_script, run_scripts, shown_figure
from hemlets_lib.timing import Headline

GOOD = """
import json, sys
line = {line!r}
found = {{"headlines": [line], "limits": [], "quick": "--quick" in sys.argv}}
open(sys.argv[sys.argv.index("--json") + 1], "w").write(json.dumps(found))
"""
LIMITS = {
    "device": "cpu",
    "threads": 2,
    "gflops": {"float32": 250.0, "bfloat16": 900.0},
    "copy_gb_per_s": 30.0,
}


def line(what, measured, target, **others):
    return Headline(what, "the plain form", "cpu", measured, target, **others).to_dict()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A checkout with two scripts that work, one that does not, and none of the others."""
    folder = tmp_path / "benchmarks"
    folder.mkdir()
    (folder / "limits.py").write_text(
        GOOD.format(line=line("copying", 1.0, 1.0)).replace('"limits": []', f'"limits": [{LIMITS}]')
    )
    missed = line("targets", 4.0, 3.0, at_least=False, bound="the memory's bandwidth")
    (folder / "encode.py").write_text(GOOD.format(line=missed))
    (folder / "metrics.py").write_text("print('before')\nraise RuntimeError('no such metric')")
    monkeypatch.setattr(bench, "benchmarks_folder", lambda: folder)
    return folder


def call(*arguments):
    result = CliRunner().invoke(cli.app, ["bench", *arguments], env={"COLUMNS": "200"})
    return result.exit_code, " ".join(result.output.split())


def test_the_table_has_what_was_measured_and_what_stops_it(folder):
    status, text = call("--only", "encode", "--only", "limits", "--quick")
    assert status == 0
    assert text.index("limits …") < text.index("limits: done") < text.index("encode …")  # the table's order
    assert "copying the plain form cpu 1 × ≥ 1 × met" in text
    assert "targets the plain form cpu 4 × ≤ 3 × missed" in text
    assert "targets, cpu: the memory's bandwidth" in text
    assert "limits, cpu, 2 threads: 250 GFLOP/s in float32, 900 GFLOP/s in bfloat16; copying 30 GB/s" in text
    assert "the paper, on another machine (GTX 1080): 13.3 ms in full, 8.5 ms the baseline" in text


def test_the_file_has_every_headline_and_a_quick_one_is_no_committed_one(folder):
    call("--only", "limits", "--only", "encode", "--quick")
    where = folder.parent / "runs" / "bench"
    found = json.loads((where / "bench.json").read_text())
    assert [(each["script"], each["what"]) for each in found["headlines"]] == [
        ("limits", "copying"), ("encode", "targets"),
    ]  # fmt: skip
    assert found["limits"] == [LIMITS] and found["paper"]["full_ms"] == 13.3
    assert found["config"] == {"quick": True} and {"time", "git", "device"} <= found.keys()
    assert json.loads((where / "encode.json").read_text())["quick"] is True
    assert not (folder / "results").exists()


def test_a_script_that_fails_is_told_and_stops_no_other(folder, tmp_path):
    status, text = call("--json", str(tmp_path / "new" / "found.json"))
    assert status == 1
    assert "metrics: failed" in text and "RuntimeError: no such metric exit status 1" in text
    assert "inference: failed" in text and "can't open file" in text
    assert "copying the plain form" in text and "targets the plain form" in text
    found = json.loads((tmp_path / "new" / "found.json").read_text())
    assert list(found["scripts"]) == list(SCRIPTS)
    assert "no such metric" in found["scripts"]["metrics"]["problem"]
    assert found["scripts"]["encode"]["problem"] == ""
    assert not (tmp_path / "new" / "metrics.json").exists()


def test_a_script_that_does_not_end_and_one_that_writes_nothing(tmp_path):
    (tmp_path / "sleeps.py").write_text("import time\nprint('zzz', flush=True)\ntime.sleep(60)")
    (tmp_path / "idle.py").write_text("")
    assert "zzz\nnot done after 1 s" in run_script(tmp_path / "sleeps.py", timeout_s=1.0).problem
    assert run_script(tmp_path / "idle.py").problem == "wrote no result"


def test_an_unknown_name(folder):
    with pytest.raises(ValueError, match=r"expected names among limits, .*; got speed"):
        run_scripts(folder, only=["speed"])


def test_without_a_checkout(monkeypatch, tmp_path):
    monkeypatch.setattr(bench, "__file__", str(tmp_path / "hemlets_lib" / "bench.py"))
    with pytest.raises(FileNotFoundError, match=r"clone the repository and install it from there"):
        benchmarks_folder()


def test_interrupted_it_leaves_the_old_file_and_no_process(tmp_path):
    (tmp_path / "limits.py").write_text(
        f"import os, time, pathlib\npathlib.Path({str(tmp_path / 'pid')!r}).write_text(str(os.getpid()))\n"
        "time.sleep(60)"
    )
    old = tmp_path / "bench.json"
    old.write_text("old")
    program = (
        "from pathlib import Path; from hemlets_lib import bench, cli\n"
        f"bench.benchmarks_folder = lambda: Path({str(tmp_path)!r})\n"
        f"import sys; sys.argv = ['hemlets', 'bench', '--json', {str(old)!r}]; cli.main()"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not (tmp_path / "pid").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130 and "Interrupted; nothing was written." in said
    assert old.read_text() == "old" and {each.name for each in tmp_path.iterdir()} == {
        "limits.py", "pid", "bench.json",
    }  # fmt: skip
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_what_committed_benchmarks_have_found():
    folder = benchmarks_folder() / "results"
    found = {path.stem: found_words(json.loads(path.read_text())) for path in folder.glob("*.json")}
    assert all(found.values())
    assert any("from key to figure" in words for words in found["explorers"])
    assert any("bfloat16, freed memory kept: " in words for words in found["training"])
    assert any(words.startswith("baseline, batch 8, cpu: ") for words in found["forward"])
    assert found_words({"headlines": [line("a", 2.0, 1.0)]}) == ["a, cpu, against the plain form: 2 ×"]
    assert found_words({"limits": [LIMITS]})[0].startswith("cpu, 2 threads: 250 GFLOP/s")
    assert found_words({"rows": [{}, {}]}) == ["2 rows"]


def test_figures():
    assert [shown_figure(*each) for each in ((2.534, "×"), (112.4, "×"), (1.44, "ms"), (0.5, "×"))] == [
        "2.53 ×", "112 ×", "1.44 ms", "0.5 ×",
    ]  # fmt: skip
