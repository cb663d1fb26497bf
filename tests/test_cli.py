"""The command line: help with examples, one-line errors, exit statuses."""

from __future__ import annotations

import io
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from hemlets_lib import cli, runs
from hemlets_lib.notebooks import PROFILES, NotebookUsageError

COMMANDS = {command.name or command.callback.__name__: command for command in cli.app.registered_commands}
COMMANDS |= {f"data {command.name}": command for command in cli.data.registered_commands}
EXAMPLES = [
    example
    for command in COMMANDS.values()
    for example in re.findall(r"Example:\s+(hemlets .+)", command.epilog)
]
REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture
def call():
    """Call a command in this process; returns (exit status, output on one line, without box drawing)."""

    def invoke(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(cli.app, list(arguments), env={"COLUMNS": "200"})
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, " ".join(result.output.replace("│", " ").split())

    return invoke


@pytest.fixture
def started(monkeypatch, tmp_path):
    """Replaces the runner; collects the options it was started with."""
    calls = []

    def run_notebooks(**options):
        calls.append(options)
        run = runs.Run(folder=tmp_path)
        entry = {
            "title": "00 · One",
            "status": "ok",
            "wall_time_s": 1.0,
            "peak_memory_mib": None,
            "error": None,
        }
        run.results = {"status": "ok", "notebooks": {"00_one": entry}}
        return run

    monkeypatch.setattr(runs, "run_notebooks", run_notebooks)
    return calls


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_an_example(call, command):
    status, text = call(*command.split(), "--help")
    assert status == 0 and f"Example: hemlets {command}" in text


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_are_valid_command_lines(example):
    def disarm(command):
        for inner in getattr(command, "commands", {}).values():
            inner.callback = lambda **options: None
            disarm(inner)
        return command

    program, *arguments = shlex.split(example)
    disarm(typer.main.get_command(cli.app)).main(arguments, program, standalone_mode=False)


def test_help_needs_no_heavy_import():
    code = (
        "import sys, hemlets_lib.cli\n"
        "print([name for name in ('torch', 'numpy', 'papermill', 'nbformat') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_profiles_are_the_runners():
    assert [profile.value for profile in cli.Profile] == list(PROFILES)


def test_demo_runs_all_notebooks_but_the_long_ones(call, started):
    status, text = call("demo")
    assert status == 0
    assert started[0]["only"] == ["00", "01", "02", "03", "04", "06", "07", "08", "09", "11", "12"]
    assert started[0]["profile"] == "laptop" and started[0]["parameters"] == {}
    assert "1 passed, 0 failed" in text and "Open file://" in text


def test_demo_on_own_material(call, started, tmp_path):
    for name in ("mocap dir/sub/02_01.amc", "photos/annotations.json"):
        path = tmp_path / name
        path.parent.mkdir(parents=True)
        path.write_text("")
    status, _ = call("demo", "--mocap", str(tmp_path / "mocap dir"), "--photos", str(tmp_path / "photos"))
    assert status == 0
    assert started[0]["only"][-1] == "10"
    assert started[0]["parameters"] == {
        "mocap_dir": tmp_path / "mocap dir",
        "photos_dir": tmp_path / "photos",
    }


def test_demo_refuses_folders_without_material(call, started, tmp_path):
    status, text = call("demo", "--photos", str(tmp_path / "none"))
    assert status == 2 and "--photos: expected a folder with annotations.json" in text
    status, text = call("demo", "--mocap", str(tmp_path))
    assert status == 2 and "no *.amc or *.bvh in" in text
    assert not started


def test_notebooks_options_reach_the_runner(call, started):
    options = ["--only", "01,03", "--param", "seed=4", "--param", "name=a=b", "--timeout-s", "9"]
    status, _ = call("notebooks", *options)
    assert status == 0
    assert started[0]["only"] == ["01", "03"] and started[0]["timeout_s"] == 9
    assert started[0]["parameters"] == {"seed": "4", "name": "a=b"}
    assert started[0]["profile"] is None  # the runner's default, or the resumed run's


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--profile", "lab"], "'lab' is not one of"),
        (["--param", "seed"], "expected NAME=VALUE, got 'seed'"),
        (["--timeout-s", "0"], "--timeout-s"),
        (["--nonsense"], "No such option"),
    ],
)
def test_bad_usage_exits_2(call, started, options, message):
    status, text = call("notebooks", *options)
    assert status == 2 and message in text
    assert not started


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (["notebooks", "--resume", ""], "--resume"),
        (["notebooks", "--only", " , "], "--only"),
        (["notebooks", "--notebooks-dir", ""], "--notebooks-dir"),
        (["notebooks", "--runs-dir", ""], "--runs-dir"),
        (["demo", "--photos", ""], "--photos"),
        (["demo", "--mocap", " "], "--mocap"),
        (["data", "build", "--out", ""], "--out"),
        (["data", "samples", "--out", ""], "--out"),
        (["data", "verify", ""], "folder"),
    ],
)
def test_empty_values_are_refused(call, started, arguments, option):
    status, text = call(*arguments)
    assert status == 2 and not started
    expected = f"expected a value, got {arguments[-1]!r}. Give one, or leave it out."
    assert " ".join(expected.split()) in text and option in text.lower()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], "`hemlets notebooks --resume a-run` carries on from here."),
        (
            ["--only", "01", "--runs-dir", "my runs", "--notebooks-dir", "books", "--timeout-s", "9"],
            "`hemlets notebooks --resume a-run --timeout-s 9.0 --notebooks-dir books --runs-dir 'my runs'`",
        ),
        (["--write", "--only", "01,03"], "`hemlets notebooks --write --only 01,03` starts again."),
    ],
)
def test_an_interruption_says_how_to_carry_on(call, monkeypatch, tmp_path, options, expected):
    def run_notebooks(**options):
        raise runs.RunInterrupted(runs.Run(folder=tmp_path / "a-run"))

    monkeypatch.setattr(runs, "run_notebooks", run_notebooks)
    status, text = call("notebooks", *options)
    assert status == 130 and f"Interrupted. {expected}" in text


def test_an_ascii_terminal_gets_a_question_mark(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(cli, "app", lambda: print("00 · One"))
    cli.main()
    stream.flush()
    assert stream.buffer.getvalue().split() == [b"00", b"?", b"One"]


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (NotebookUsageError("no notebook '07'"), 2, "error: no notebook '07'"),
        (ValueError("02.amc, line 7: expected 3 numbers"), 1, "error: 02.amc, line 7: expected 3 numbers"),
        (KeyError("x"), 1, "error: KeyError: 'x' (HEMLETS_DEBUG=1 shows where)"),
    ],
)
def test_errors_are_one_line(monkeypatch, capsys, error, status, message):
    def fail():
        raise error

    monkeypatch.setattr(cli, "app", fail)
    monkeypatch.delenv("HEMLETS_DEBUG", raising=False)
    with pytest.raises(SystemExit) as exit_info:
        cli.main()
    assert exit_info.value.code == status
    assert capsys.readouterr().err.strip() == message
    monkeypatch.setenv("HEMLETS_DEBUG", "1")
    with pytest.raises(type(error)):
        cli.main()


def test_failures_are_shown_and_exit_1(call, monkeypatch, tmp_path):
    def run_notebooks(**options):
        run = runs.Run(folder=tmp_path)
        error = {"summary": "In [3]: ValueError: no", "traceback": ["line one", "[line] two"]}
        entry = {
            "title": "01",
            "status": "failed",
            "wall_time_s": 1.0,
            "peak_memory_mib": 12.0,
            "error": error,
        }
        run.results = {"status": "failed", "notebooks": {"01_one": entry}}
        return run

    monkeypatch.setattr(runs, "run_notebooks", run_notebooks)
    status, text = call("notebooks")
    assert status == 1
    assert "In [3]: ValueError: no line one [line] two" in text and "0 passed, 1 failed" in text


def test_shards_are_built_extended_and_verified(call, tmp_path):
    build = ["data", "build", "--out", str(tmp_path), "--size", "16", "--workers", "1"]
    status, text = call(*build, "--n", "2")
    assert status == 0 and f"2 samples in {tmp_path}. Check them with `hemlets data verify" in text
    assert call(*build, "--n", "3")[0] == 0
    shard = tmp_path / "shard-00000.arrow"
    written = shard.stat().st_mtime_ns
    assert call(*build, "--n", "3")[0] == 0
    assert shard.stat().st_mtime_ns == written  # nothing is made twice
    status, text = call("data", "verify", str(tmp_path))
    assert status == 0 and f"{tmp_path}: 3 samples" in text and "as they should be." in text


def test_shards_go_into_a_folder_named_after_the_split(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, text = call("data", "build", "--n", "1", "--split", "test", "--size", "16")
    assert status == 0 and f"1 samples in {Path('shards', 'test')}" in text
    assert (tmp_path / "shards" / "test" / "manifest.json").is_file()


def test_counterparts_are_built_by_name(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    build = ["data", "build", "--n", "1", "--size", "16", "--workers", "1"]
    status, text = call(*build, "--set", "fbi", "--label-noise", "0.1")
    assert status == 0 and f"1 samples in {Path('shards', 'fbi-train')}" in text
    assert call(*build, "--set", "humaneva", "--split", "validate")[0] == 0
    assert (tmp_path / "shards" / "humaneva-validate" / "manifest.json").is_file()
    for options, complaint in (
        (["--set", "fbi", "--outfits", "random"], "fbi has clothes of its own. Leave it out."),
        (["--label-noise", "0.1"], "human36m has no labels by hand. Leave it out."),
    ):
        status, text = call(*build, *options)
        assert status == 2 and complaint in text
    with pytest.raises(ValueError, match="`split` of mpi_inf_3dhp must be one of test, got 'train'"):
        call(*build, "--set", "mpi_inf_3dhp", "--split", "train")


def test_the_sets_on_offer_are_those_there_are():
    from hemlets_lib.cli.shards import DataSet
    from hemlets_lib.data.counterparts import COUNTERPARTS

    assert tuple(DataSet) == ("human36m", *COUNTERPARTS)


def test_a_damaged_shard_exits_1(call, tmp_path):
    call("data", "build", "--out", str(tmp_path), "--n", "1", "--size", "16")
    shard = tmp_path / "shard-00000.arrow"
    shard.write_bytes(shard.read_bytes()[:-9])
    status, text = call("data", "verify", str(tmp_path))
    assert status == 1
    assert "it is truncated. Run the same `hemlets data build` again" in text and "1 problems." in text


def test_the_shipped_samples_are_checked(call, monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    before = (REPOSITORY / "data_samples" / "manifest.json").read_bytes()
    status, text = call("data", "samples", "--check")
    assert status == 0 and text.startswith("data_samples: 60 samples") and "as they should be." in text
    assert (REPOSITORY / "data_samples" / "manifest.json").read_bytes() == before


@pytest.mark.parametrize(
    "arguments", [["--help"], ["notebooks", "--only", "77", "--notebooks-dir", "nowhere"]]
)
def test_the_installed_module_runs(arguments, tmp_path):
    command = [sys.executable, "-m", "hemlets_lib.cli", *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, env=dict(os.environ), check=False
    )
    assert done.returncode == (0 if arguments == ["--help"] else 2)
    assert "Traceback" not in done.stderr
