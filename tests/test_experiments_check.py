"""The committed numbers come out again, and one that was altered by more than its tolerance does not."""

import json
import shutil
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from hemlets_lib.cli import app
from hemlets_lib.experiments import check as module
from hemlets_lib.experiments.check import (
    TOLERANCES,
    Held,
    check,
    compare,
    held_numbers,
    misplaced,
    reference_cells,
    reference_path,
    rerun,
    write_references,
)
from hemlets_lib.experiments.registry import read_registry
from hemlets_lib.experiments.sweep import results_folder
from hemlets_lib.results import read_json
from hemlets_lib.rivals import RIVALS


@pytest.fixture(scope="module")
def registry():
    return read_registry()


@pytest.fixture(scope="module")
def found(registry):
    """The whole check, as CI's: its report, and what the cells found."""
    now = {}

    def kept(cells):
        now.update(rerun(cells))
        return now

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "rerun", kept)
        return check(results_folder(), registry=registry), now


@pytest.fixture
def copied(registry, found, tmp_path, monkeypatch):
    """A folder of results that holds what the cells found just now; nothing is run any more."""
    monkeypatch.setattr(module, "rerun", lambda cells: found[1])
    write_references(tmp_path, registry=registry)
    return tmp_path


def run(folder):
    return CliRunner().invoke(app, ["experiments", "check", "--results", str(folder)])


def altered(path, name, by):
    """Adds to a number of a committed file; names have no dots but those between keys."""
    content = read_json(path)
    *way, last = name.split(".")
    entry = content
    for key in way:
        entry = entry[key]
    entry[last] += by
    path.write_text(json.dumps(content))


def test_committed_numbers_come_out_again(found, registry):
    report, now = found
    assert not report.problems, "\n".join(report.problems)
    assert len(now) == len(module.REFERENCES)
    assert len(report.numbers) == sum(len(held_numbers(result)) for result in now.values())
    files = {reference_path(cell, results_folder()) for cell in reference_cells(registry)}
    assert files == {each.file for each in report.shown()} and all(each.ok for each in report.shown())


def test_references_take_every_way(registry):
    """Every supervision, variant, network, rival, protocol and kind of label."""
    cells = reference_cells(registry)
    assert {cell.config.supervision for cell in cells} == {"none", "2d", "hemlets", "full"}
    assert {cell.config.model.variant for cell in cells} == {"hemlets", "2s", "5s"}
    assert {cell.config.rival for cell in cells} == set(RIVALS)
    assert {cell.config.model.intermediate for cell in cells} == {True, False}
    assert {protocol for cell in cells for protocol in cell.tests} == {"h36m", "mpi_inf_3dhp", "humaneva"}
    roles = {role.name for cell in cells for role in cell.roles}
    assert {"ordinal-train", "fbi-train", "in_the_wild-train", "humaneva-train"} <= roles
    assert {cell.config.precision for cell in cells} == {"float32"}
    assert len({cell.key for cell in cells}) == len(cells)


@pytest.mark.parametrize(
    "name",
    [
        "scores.h36m.rows.MPJPE, S9 + S11.mean_of_columns",
        "scores.h36m.rows.PA-MPJPE, S11.columns.Sitting",
        "scores.h36m.joint_errors_mm.left_wrist",
        "scores.mpi_inf_3dhp.rows.3DPCK.mean_of_samples",
        "scores.h36m.polarity_percent.predicted joints",
        "probes.test.depth_mm",
        "last_losses.total",
        "last_losses.gradient_norm",
    ],
)
def test_a_number_altered_by_more_than_its_tolerance(copied, registry, name):
    cell = reference_cells(registry)[0]
    path = reference_path(cell, copied)
    place = f"{name}.overall" if "polarity_percent" in name else name
    kind, value = held_numbers(read_json(path))[name]
    allowed = TOLERANCES[kind].allowed(value)
    altered(path, place, 0.9 * allowed)
    assert not check(copied, registry=registry).problems
    altered(path, place, 0.3 * allowed)
    (problem,) = check(copied, registry=registry).problems
    assert problem.startswith(f"{path}: {name}: committed")


def test_the_command_fails_and_says_what_differs(copied, registry):
    path = reference_path(reference_cells(registry)[0], copied)
    altered(path, "parameters", 1)  # counts must be equal
    outcome = run(copied)
    assert outcome.exit_code == 1 and f"{path}: parameters: committed" in outcome.output
    assert "1 problems" in outcome.output


def test_a_number_that_is_missing_or_none(registry, found):
    cell = reference_cells(registry)[0]
    now = found[1][cell.key]
    before = json.loads(json.dumps(now))
    del before["probes"]["test"]["bone_mm"]
    before["scores"]["h36m"]["rows"]["MPJPE, S11"]["mean_of_columns"] = None
    out = {each.name: each for each in compare(results_folder(), before, now) if not each.ok}
    assert set(out) == {"probes.test.bone_mm", "scores.h36m.rows.MPJPE, S11.mean_of_columns"}
    assert "committed none, now" in str(out["probes.test.bone_mm"])
    lost = Held(results_folder(), "x", "loss", 1.0, float("nan"))
    assert not lost.ok


def test_tolerances_tell_cells_apart(registry):
    """What passes as rounding is less than what a supervision, a variant or a rival makes of the losses."""
    cells = reference_cells(registry)
    results = [read_json(reference_path(cell, results_folder())) for cell in cells]
    for number, one in enumerate(results):
        for other in results[:number]:
            out = [each for each in compare(results_folder(), one, other) if not each.ok]
            assert any(each.kind in ("mean, mm", "loss") for each in out), (one["name"], other["name"])


def test_a_reference_that_is_missing(copied, registry):
    cell = reference_cells(registry)[2]
    reference_path(cell, copied).unlink()
    (problem,) = check(copied, registry=registry).problems
    assert problem.endswith(
        f"expected the reference of {cell.name}, found none. `hemlets experiments check --write` makes it"
    )


def test_cells_that_are_misplaced(copied, registry):
    folder, cell = copied / "cells" / "smoke", reference_cells(registry)[0]
    path = reference_path(cell, copied)
    shutil.copy(path, folder / "0123456789ab.json")  # under another name
    content = read_json(path)
    content["identity"]["config"]["steps"] = 17
    (folder / "changed.json").write_text(json.dumps(content))  # changed after it ran
    orphan = replace(cell, config=replace(cell.config, steps=17))
    content |= {"identity": json.loads(json.dumps(orphan.identity)), "key": orphan.key}
    (folder / f"{orphan.key}.json").write_text(json.dumps(content))
    (copied / "cells" / "tiny").mkdir()
    shutil.copy(path, copied / "cells" / "tiny")
    problems = {problem.split(": ")[0].rpartition("/")[2]: problem for problem in misplaced(copied, registry)}
    assert len(problems) == 4
    assert f"expected the key {cell.key}, the hash of its `identity`" in problems["0123456789ab.json"]
    assert f"got changed and {cell.key}" in problems["changed.json"]
    assert "belongs to no experiment of the registry in profile smoke" in problems[f"{orphan.key}.json"]
    assert problems[path.name].endswith("expected a profile of the registry, got tiny")


def test_writing_takes_what_comes_out(copied, registry):
    path = reference_path(reference_cells(registry)[0], copied)
    altered(path, "parameters", 1)
    outcome = CliRunner().invoke(app, ["experiments", "check", "--write", "--results", str(copied)])
    assert outcome.exit_code == 0 and str(path) in outcome.output
    assert run(copied).exit_code == 0
