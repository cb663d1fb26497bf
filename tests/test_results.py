"""Recording numbers, and writing them so that nobody reads half a file."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from hemlets_lib.results import (
    EXPERIMENTS_VARIABLE,
    RESULTS_VARIABLE,
    committed_result,
    git_state,
    package_versions,
    provenance,
    provenance_words,
    record,
    write_json,
)


def test_record_writes_only_where_told(monkeypatch, tmp_path):
    monkeypatch.delenv(RESULTS_VARIABLE, raising=False)
    values = {
        "error": torch.tensor(0.5),
        "sizes": np.arange(3),
        "names": ("a", None),
        "deep": {"n": np.int64(2)},
    }
    plain = {"error": 0.5, "sizes": [0, 1, 2], "names": ["a", None], "deep": {"n": 2}}
    assert record("first", values) == plain

    target = tmp_path / "results.json"
    monkeypatch.setenv(RESULTS_VARIABLE, str(target))
    record("first", {"old": 1})
    record("second", {"ok": True})
    record("first", values)
    assert json.loads(target.read_text()) == {"first": plain, "second": {"ok": True}}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (float("nan"), r"`loss.value` must be finite, got nan. Record None"),
        (torch.tensor([1.0, float("inf")]), r"`loss.value\[1\]` must be finite, got inf"),
        (object(), "`loss.value` must be a number, string, list, mapping, array or tensor, got object"),
    ],
)
def test_record_refuses_what_is_no_result(value, message):
    with pytest.raises(ValueError, match=message):
        record("loss", {"value": value})


def test_a_damaged_file_is_named(monkeypatch, tmp_path):
    target = tmp_path / "results.json"
    target.write_text("{")
    monkeypatch.setenv(RESULTS_VARIABLE, str(target))
    with pytest.raises(ValueError, match=r"results.json is not valid JSON .* Delete it to start afresh"):
        record("first", {"n": 1})


def test_a_failed_write_leaves_the_old_file(tmp_path):
    target = tmp_path / "results.json"
    write_json(target, {"n": 1})
    with pytest.raises(TypeError):
        write_json(target, {"n": object()})
    assert json.loads(target.read_text()) == {"n": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]


def test_provenance_survives_json(tmp_path):
    origin = provenance(tmp_path)
    assert json.loads(json.dumps(origin)) == origin
    assert origin["git"] == git_state(tmp_path) == {"commit": None, "dirty": None}
    assert origin["device"]["device"] in ("cpu", "cuda", "mps")
    assert package_versions(("torch", "no-such-package"))["no-such-package"] is None


def test_provenance_in_words():
    found = {
        "time": "2026-01-02T03:04:05",
        "git": {"commit": "0123456789abcdef"},
        "device": {"cpu_cores": 3, "name": "abacus", "device": "cpu"},
        "packages": {"torch": "9.9"},
    }
    assert provenance_words(found) == "2026-01-02, commit 0123456789, 3 cores abacus, cpu, torch 9.9"
    assert provenance_words({"time": "2026-01-02", "git": {"commit": None}}) == "2026-01-02, no commit"


def test_committed_results_are_found(monkeypatch, tmp_path):
    monkeypatch.delenv(EXPERIMENTS_VARIABLE, raising=False)
    assert committed_result("lift")["git"]["commit"]
    monkeypatch.setenv(EXPERIMENTS_VARIABLE, str(tmp_path))
    assert committed_result("lift")["git"]["commit"], (
        "what is not in the named folder comes from the checkout"
    )
    write_json(tmp_path / "lift.json", {"mine": True})
    assert committed_result("lift") == {"mine": True}


def test_a_result_that_is_not_there_says_where_it_was_looked_for(monkeypatch, tmp_path):
    monkeypatch.setenv(EXPERIMENTS_VARIABLE, str(tmp_path))
    with pytest.raises(
        FileNotFoundError, match=r"experiment 'nothing' at .*nothing\.json or .*results.nothing"
    ):
        committed_result("nothing")
