"""A committed number that was altered differs from its digest; a cell without one is named."""

import json

import pytest
from typer.testing import CliRunner

from hemlets_lib.cli import app
from hemlets_lib.experiments.digests import broken_seals, digest_of, digests_path, seal
from hemlets_lib.experiments.sweep import results_folder
from hemlets_lib.results import read_json

RESULT = {"scores": {"h36m": 0.1}, "probes": {"test": 2.0}, "curve": [{"step": 1}], "seconds": 3.0}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "cells" / "laptop").mkdir(parents=True)
    for name in ("one", "two"):
        (tmp_path / "cells" / "laptop" / f"{name}.json").write_text(json.dumps(RESULT))
    return tmp_path


def test_what_was_measured_fixes_the_digest():
    assert digest_of(RESULT) == digest_of({**json.loads(json.dumps(RESULT)), "seconds": 4.0})
    for name, value in (("scores", {"h36m": 0.2}), ("probes", {}), ("curve", [])):
        assert digest_of(RESULT) != digest_of({**RESULT, name: value})


def test_an_altered_number_is_noticed(folder):
    seal(folder)
    assert list(broken_seals(folder)) == []
    path = folder / "cells" / "laptop" / "two.json"
    path.write_text(json.dumps({**RESULT, "scores": {"h36m": 0.1000001}}))
    (problem,) = broken_seals(folder)
    assert problem.startswith(f"{path}: expected numbers with the digest") and "altered" in problem
    assert list(broken_seals(folder, but=[path])) == []
    seal(folder)  # keeps what it has: an altered cell is not sealed in passing
    assert list(broken_seals(folder)) == [problem]
    seal(folder, anew=[path])
    assert list(broken_seals(folder)) == []


def test_cells_that_come_and_go(folder):
    one, two = (folder / "cells" / "laptop" / f"{name}.json" for name in ("one", "two"))
    assert [problem.split(": ")[0] for problem in broken_seals(folder)] == [str(one), str(two)]
    outcome = CliRunner().invoke(app, ["experiments", "check", "--seal", "--results", str(folder)])
    assert outcome.exit_code == 0 and list(broken_seals(folder)) == []
    one.unlink()
    seal(folder)
    assert list(read_json(digests_path(folder))) == ["laptop/two"]


def test_committed_cells_are_as_they_were_gathered():
    assert list(broken_seals(results_folder())) == []
