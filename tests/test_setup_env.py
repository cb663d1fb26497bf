"""Setting up the environment: when there is nothing to do, and what is said when it fails."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def setup_env(monkeypatch, tmp_path):
    """The script as a module, pretending that an empty project lies in a folder with a space."""
    spec = importlib.util.spec_from_file_location("setup_env", ROOT / "tools" / "setup_env.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    project = tmp_path / "a project"
    project.mkdir()
    (project / "pyproject.toml").write_text("[project]\n")
    monkeypatch.setattr(module, "ROOT", project)
    return module


def test_an_old_python_is_refused(setup_env, monkeypatch, capsys):
    monkeypatch.setattr(setup_env, "LOWEST_PYTHON", (99, 0))
    assert setup_env.main() == 1
    assert "make demo PYTHON=/path/to/python3.11" in capsys.readouterr().err


def test_a_second_call_does_nothing_until_the_dependencies_change(setup_env, monkeypatch):
    calls = []

    def create(venv):
        calls.append("create")
        setup_env.python_of(venv).parent.mkdir(parents=True, exist_ok=True)
        setup_env.python_of(venv).write_text("")

    monkeypatch.setattr(setup_env, "create", create)
    monkeypatch.setattr(setup_env, "install", lambda venv: calls.append("install"))
    assert setup_env.main() == 0 and setup_env.main() == 0
    assert calls == ["create", "install"]
    (setup_env.ROOT / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    assert setup_env.main() == 0
    assert calls == ["create", "install"] * 2


def test_an_interrupted_installation_is_tried_again(setup_env, monkeypatch, capsys):
    def fail(venv):
        raise RuntimeError("pip failed (the whole log: x):\nno network\nThe next call tries again.")

    monkeypatch.setattr(setup_env, "create", lambda venv: venv.mkdir(exist_ok=True))
    monkeypatch.setattr(setup_env, "install", fail)
    assert setup_env.main() == 1
    assert "no network" in capsys.readouterr().err
    assert not (setup_env.ROOT / ".venv" / ".hemlets-installed").exists()


def test_a_broken_environment_is_made_anew(setup_env, tmp_path, capsys):
    venv = tmp_path / "a project" / ".venv"
    setup_env.python_of(venv).parent.mkdir(parents=True)
    setup_env.python_of(venv).symlink_to(sys.executable)  # no pyvenv.cfg, so not an environment
    setup_env.create(venv)
    done = subprocess.run(
        [setup_env.python_of(venv), "-m", "pip", "--version"], capture_output=True, text=True
    )
    assert done.returncode == 0 and str(venv) in done.stdout


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("Collecting torch>=2.8 (from hemlets==0.1.0)", "collecting torch>=2.8"),
        ("  Downloading https://files.example/a/torch-2.whl (900 MB)", "downloading torch-2.whl (900 MB)"),
        ("Installing collected packages: a, b, c", "unpacking 3 packages"),
        ("Requirement already satisfied: numpy", None),
    ],
)
def test_pip_in_few_words(setup_env, line, said):
    assert setup_env.summary(line) == said
