"""The registry is complete and answers to the paper; a cell runs, resumes and is gathered once."""

import json
import os
from dataclasses import replace
from types import SimpleNamespace

import psutil
import pytest
import yaml
from made_up_cells import gathered, made_up
from typer.testing import CliRunner

from hemlets_lib.cli import app
from hemlets_lib.data.shards.manifest import MANIFEST_NAME
from hemlets_lib.experiments import cells as cells_module
from hemlets_lib.experiments import sweep
from hemlets_lib.experiments.cells import (
    RESULT_NAME,
    Workplace,
    drawn_folder,
    ensure_data,
    finished_keys,
    result_of,
    run_cell,
)
from hemlets_lib.experiments.registry import Registry, RegistryError, read_registry, registry_path
from hemlets_lib.experiments.sweep import gather, jobs_here, pending, read_gathered, run_cells, table, values
from hemlets_lib.paper import OWN
from hemlets_lib.results import write_json

TINY = {
    "steps": 2,
    "warmup_steps": 0,
    "batch_size": 4,
    "log_every": 1,
    "validate_every": 2,
    "save_every": 1,
    "ema_decay": 0.5,
}


@pytest.fixture(scope="module")
def registry():
    return read_registry()


@pytest.fixture
def tiny(registry):
    """Table 4's experiment in a profile of two steps."""
    profile = replace(registry.profile("smoke"), options=TINY, pictures=12, test_pictures=16, size=48)
    return registry.experiment("table4"), profile


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return tmp_path_factory.mktemp("shards")


def test_every_number_of_the_tables_has_its_cell(registry):
    answers = [answer for each in registry.experiments.values() for answer in each.answers]
    assert sorted(answer.number for answer in answers) == sorted(key for key in OWN if key[0] != "runtime")
    by_number = {answer.number: answer for answer in answers}
    sitting = by_number["table1", "protocol #1", "Sitting"]
    assert (sitting.score, sitting.column) == ("MPJPE, S9 + S11", "Sitting")
    assert by_number["table1", "PA MPJPE", "Avg"].column is None
    assert by_number["table3", "3DPCK", "All"].mean == by_number["table5", "Base", "3DPCK"].mean == "samples"
    assert by_number["table4", "Baseline", "H3.6M #1*"].condition == "none, smaller network"


def test_cells_differ_only_in_what_they_compare(registry):
    experiment, profile = registry.experiment("table4"), registry.profile("laptop")
    one = experiment.cell(profile, "H3.6M #1*", "none", 0).identity
    other = experiment.cell(profile, "H3.6M #1*", "full", 0).identity
    assert one["config"].pop("supervision") == "none" and "supervision" not in other["config"]  # the default
    assert one == other
    smaller = experiment.cell(profile, "H3.6M #1*", "none, smaller network", 0)
    assert not smaller.config.model.intermediate and smaller.config.steps == 1500


def test_keys_tell_cells_apart(registry):
    """Whatever fixes a cell's numbers changes its key; its name and its experiment do not."""
    cell = registry.experiment("table4").cell(registry.profile("laptop"), "H3.6M #1*", "full", 0)
    assert cell.key == "56a80edd620d"  # as committed: a change here would run everything again
    config, (role,), profile = cell.config, cell.roles, cell.profile
    others = {
        "steps": 1501,
        "batch_size": 17,
        "learning_rate": 0.5,
        "alpha": 9.0,
        "supervision": "2d",
        "seed": 1,
    }
    changed = {name: replace(cell, config=replace(config, **{name: value})) for name, value in others.items()}
    changed["variant"] = replace(cell, config=replace(config, model=replace(config.model, variant="2s")))
    for name, value in {
        "name": "fbi-train", "ratio": 0.5, "depth_every": 2, "otherwise": "order", "length": 9, "repeat": 2,
        "epsilon_ratio": 0.1, "noise": 0.3,
    }.items():  # fmt: skip
        changed[f"role {name}"] = replace(cell, roles=(replace(role, **{name: value}),))
    for name in ("pictures", "test_pictures", "size"):
        changed[name] = replace(cell, profile=replace(profile, **{name: 7}))
    changed["pictures_of"] = replace(cell, profile=replace(profile, pictures_of={"human36m-train": 7}))
    changed["tests"] = replace(cell, tests={"h36m": "human36m-test"})
    changed["noise"] = replace(cell, noise=0.2)
    keys = {name: each.key for name, each in changed.items()}
    assert len({cell.key, *keys.values()}) == len(keys) + 1, keys
    assert replace(cell, experiment="other", condition="other", setting="other").key == cell.key


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (("profiles", "smoke", "prest"), "nano", "profile smoke: expected keys among"),
        (
            ("experiments", "table4", "baseline"),
            "nothing",
            "`baseline` must be one of its conditions, got 'nothing'",
        ),
        (("experiments", "table4", "protocol"), "h37m", "h37m"),
        (
            ("experiments", "figure6", "conditions", "2s-HEM", "options"),
            {"supervison": "2d"},
            "no option 'supervison'",
        ),
        (
            ("experiments", "figure6", "settings"),
            {"a": {"data": {"human36m-train": {"share": 1}}}},
            "got share",
        ),
        (
            ("experiments", "table5", "answers"),
            [
                {
                    "table": "table5",
                    "row": "Basis",
                    "cell": ["noise 0.2", "Base"],
                    "protocol": "h36m",
                    "score": "MPJPE, S11",
                }
            ],
            "the paper has no number",
        ),
    ],
)
def test_a_registry_with_a_mistake(tmp_path, place, value, message):
    content = yaml.safe_load(registry_path().read_text())
    entry = content
    for key in place[:-1]:
        entry = entry[key]
    entry[place[-1]] = value
    (tmp_path / "registry.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(RegistryError, match=rf"registry\.yaml: .*({message})"):
        read_registry(tmp_path / "registry.yaml")


def test_registries_that_are_none(tmp_path):
    with pytest.raises(FileNotFoundError, match="expected the registry of experiments"):
        read_registry(tmp_path / "none.yaml")
    for text in ("[1, 2", "profiles: {}", "just text"):
        (tmp_path / "r.yaml").write_text(text)
        with pytest.raises(RegistryError, match=r"r\.yaml: expected"):
            read_registry(tmp_path / "r.yaml")


def test_names_that_are_not_there(registry):
    with pytest.raises(ValueError, match=r"`name` must be one of table4, .*, got 'table9'"):
        registry.experiment("table9")
    with pytest.raises(ValueError, match=r"`profile` must be one of smoke, .*, got 'big'"):
        registry.profile("big")
    with pytest.raises(ValueError, match=r"`setting` of table4 must be one of .*, got '#3'"):
        registry.experiment("table4").cell(registry.profile("smoke"), "#3", "none", 0)


def test_weak_labels_are_drawn_with_their_noise(registry, tmp_path):
    experiment, profile = registry.experiment("table5"), registry.profile("smoke")
    folders = set()
    for setting in experiment.settings:
        cell = experiment.cell(profile, setting, "w/ FBI", 0)
        folder, source = drawn_folder(cell, "fbi-train", tmp_path)
        folders.add(folder.name)
        assert source.config["noise"] == cell.noise
    assert folders == {"fbi-train-64-96px-noise0.2", "fbi-train-64-96px-noise0.4"}


def test_a_cell_from_data_to_result(tiny, shards, tmp_path):
    experiment, profile = tiny
    cell = experiment.cell(profile, "few 3D, 2D on the rest", "full", 3)
    place = Workplace(shards, tmp_path / "runs", device="cpu")
    ensure_data([cell], place, workers=0, show_progress=False)
    assert ensure_data([cell], place, workers=0, show_progress=False) == []
    found = run_cell(cell, place)
    assert found["seed"] == 3 and found["images"] == 8 and found["name"] == cell.name
    roles = ("human36m-train", "human36m-test", "mpi_inf_3dhp-test")
    assert found["data"] == dict.fromkeys(roles, "drawn")
    assert found["scores"]["h36m"]["rows"]["MPJPE, S9 + S11"]["mean_of_columns"] > 0
    assert json.loads((place.cell_folder(cell) / RESULT_NAME).read_text()) == json.loads(json.dumps(found))
    assert run_cell(cell, place) == result_of(cell, place)  # taken up, not run again


def test_a_cell_that_was_stopped_ends_as_one_that_was_not(tiny, shards, tmp_path, monkeypatch):
    experiment, profile = tiny
    cell = experiment.cell(profile, "H3.6M #1*", "2d", 0)
    whole, halved = (Workplace(shards, tmp_path / name, device="cpu") for name in ("whole", "halved"))
    ensure_data([cell], whole, workers=0, show_progress=False)
    expected = run_cell(cell, whole)
    original = cells_module.train
    monkeypatch.setattr(cells_module, "train", lambda *a, **k: original(*a, **{**k, "stop_at": 1}))
    with pytest.raises(InterruptedError, match=r"expected 2 steps, stopped after 1\. Run it again"):
        run_cell(cell, halved)
    monkeypatch.undo()
    assert result_of(cell, halved) is None
    assert run_cell(cell, halved)["scores"] == expected["scores"]


def test_a_cell_killed_before_its_first_save_starts_anew(tiny, shards, tmp_path):
    experiment, profile = tiny
    cell = experiment.cell(profile, "H3.6M #1*", "2d", 0)
    whole, killed = (Workplace(shards, tmp_path / name, device="cpu") for name in ("whole", "killed"))
    ensure_data([cell], whole, workers=0, show_progress=False)
    expected = run_cell(cell, whole)
    killed.cell_folder(cell).mkdir(parents=True)
    config = whole.cell_folder(cell) / "config.json"  # all that a run leaves until then
    (killed.cell_folder(cell) / "config.json").write_bytes(config.read_bytes())
    assert run_cell(cell, killed)["scores"] == expected["scores"]


def finish(cell, place, mpjpe):
    """As if the cell had run."""
    row = {"metric": "mpjpe", "unit": "mm", "columns": {"Walk": mpjpe - 1}, "mean_of_columns": mpjpe}
    result = {"name": cell.name, "seed": cell.seed, "scores": {"h36m": {"rows": {"MPJPE": row}}}}
    result["made_from"] = place.made_from(cell)
    place.cell_folder(cell).mkdir(parents=True)
    (place.cell_folder(cell) / RESULT_NAME).write_text(json.dumps(result))


def test_results_are_gathered_and_compared_in_pairs(tiny, tmp_path):
    experiment, profile = tiny
    place, folder = Workplace(tmp_path / "shards", tmp_path / "runs"), tmp_path / "results"
    cells = [cell for cell in experiment.cells(profile, 2) if cell.setting == "H3.6M #1*"]
    for cell in cells:
        if cell.condition in ("none", "full"):
            finish(cell, place, {"none": 100.0, "full": 90.0 + 2 * cell.seed}[cell.condition] + 5 * cell.seed)
    assert len(pending(cells, place, folder=folder)) == len(cells) - 4
    assert len(gather(cells, place, folder=folder)) == 4
    found = read_gathered(profile.name, folder)
    none, full = (experiment.over_seeds(profile, "H3.6M #1*", condition) for condition in ("none", "full"))
    assert values(found, none, protocol="h36m", score="MPJPE") == {0: 100.0, 1: 105.0}
    assert values(found, full, protocol="h36m", score="MPJPE", column="Walk") == {0: 89.0, 1: 96.0}
    rows = {row.condition: row for row in table(experiment, profile, found, score="MPJPE")}
    assert rows["none"].difference is None and rows["full"].difference.mean == pytest.approx(-9.0)
    assert rows["full"].difference.n == 2
    elsewhere = Workplace(tmp_path / "other", tmp_path / "other")
    assert len(pending(cells, elsewhere, folder=folder)) == len(cells) - 4  # committed ones are not run again
    with pytest.raises(ValueError, match="the results have no 'AUC' by 'h36m' of all columns"):
        values(found, none, protocol="h36m", score="AUC")


def test_gathering_keeps_what_is_committed(tiny, tmp_path):
    experiment, profile = tiny
    place, folder = Workplace(tmp_path, tmp_path / "runs"), tmp_path / "results"
    cell = next(experiment.cells(profile, 1))
    finish(cell, place, 50.0)
    (path,) = gather([cell], place, folder=folder)
    before = path.read_text()
    (place.cell_folder(cell) / RESULT_NAME).write_text('{"seed": 0, "scores": {}}')
    assert gather([cell], place, folder=folder) == [] and path.read_text() == before


def with_manifest(folder, text="{}"):
    """As much of a folder of shards as tells it from another."""
    folder.mkdir()
    (folder / MANIFEST_NAME).write_text(text)
    return folder


def test_real_results_stand_apart(tiny, tmp_path):
    experiment, profile = tiny
    cell = experiment.cell(profile, "H3.6M #1*", "none", 0)
    real = Workplace(tmp_path, tmp_path / "runs", {"human36m-train": with_manifest(tmp_path / "h36m")})
    drawn = Workplace(tmp_path, tmp_path / "runs")
    finish(cell, real, 40.0)
    (path,) = gather([cell], real, folder=tmp_path)
    assert path.parent.name == "smoke-real" and len(read_gathered("smoke", tmp_path)) == 0
    assert pending([cell], drawn, folder=tmp_path) == [cell] and pending([cell], real, folder=tmp_path) == []


def test_other_real_data_are_another_run(tiny, tmp_path):
    """Which roles are real, and what is in them, tells the runs apart; where it lies does not."""
    experiment, profile = tiny
    cell = experiment.cell(profile, "H3.6M #1*", "none", 0)
    one, same, other = (
        with_manifest(tmp_path / name, text) for name, text in (("a", "{}"), ("b", "{}"), ("c", "[]"))
    )
    train, test = "human36m-train", "human36m-test"
    places = [
        Workplace(tmp_path, tmp_path / "runs", real)
        for real in ({train: one}, {train: same}, {train: other}, {train: one, test: same}, {test: one})
    ]
    folders = [place.cell_folder(cell) for place in places]
    assert folders[0] == folders[1] and len(set(folders)) == 4
    assert all(folder.parent.name == "smoke-real" for folder in folders)
    finish(cell, places[0], 40.0)
    assert finished_keys(tmp_path / "runs", "smoke-real") == {cell.key}
    gather([cell], places[0], folder=tmp_path)
    assert pending([cell], places[1], folder=tmp_path) == []
    for place in places[2:]:
        with pytest.raises(ValueError, match=rf"{cell.key}\.json .*: expected the real data it"):
            pending([cell], place, folder=tmp_path)


def test_real_folders_are_refused_before_anything_runs(tmp_path):
    folder = with_manifest(tmp_path / "h36m")
    command = ["experiments", "run", "table4", "--profile", "smoke", "--runs", str(tmp_path / "runs")]
    for entry, says in (
        (f"human36m-trian={folder}", "expected a role that these cells use"),
        (f"humaneva-train={folder}", "expected a role that these cells use"),
        (f"human36m-train={tmp_path / 'none'}", "expected a folder of shards for human36m-train"),
        ("human36m-train", "expected ROLE=FOLDER"),
    ):
        outcome = CliRunner().invoke(app, [*command, "--real", entry])
        said = " ".join(outcome.output.replace("│", " ").split())
        assert outcome.exit_code == 2 and says in said, said
    assert not (tmp_path / "runs").exists()
    outcome = CliRunner().invoke(app, [*command, "--seeds", "11"])
    assert outcome.exit_code == 2 and "expected at most 10, got 11" in outcome.output


def test_real_results_are_shown(registry, tmp_path):
    cells = {("table4", "H3.6M #1*", name, 0): made_up(mm) for name, mm in (("none", 90.0), ("full", 97.0))}
    for key, result in gathered(registry, "laptop-real", cells).cells.items():
        folder = tmp_path / "cells" / "laptop-real"
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / f"{key}.json", result)
    options = ["--profile", "laptop-real", "--results", str(tmp_path)]
    report = CliRunner().invoke(app, ["experiments", "report", "table4", *options])
    assert report.exit_code == 0 and "(laptop-real)" in report.output and "+7.0 (one seed)" in report.output
    status = CliRunner().invoke(app, ["experiments", "status", *options, "--runs", str(tmp_path / "runs")])
    (line,) = (line.split() for line in status.output.splitlines() if line.startswith("table4"))
    keys = {cell.key for cell in registry.experiment("table4").cells(registry.profile("laptop"), 1)}
    assert line[1:] == [str(len(keys)), "2", "0"]  # settings that share a cell count once


def test_a_table_takes_the_mean_that_the_paper_takes(registry):
    """Table 5's 3DPCK is a mean over samples, Table 4's error one over actions."""
    cells = {("table5", "noise 0.2", "Base", 0): made_up(pck=60.0, scenes={"Outdoor": 90.0})}
    profile, experiment = registry.profile("laptop"), registry.experiment("table5")
    found = gathered(registry, "laptop", cells)
    rows = table(experiment, profile, found, score="3DPCK")  # at either noise, which this cell does not see
    assert [row.mean.mean for row in rows] == [60.0, 60.0]
    rows = table(experiment, profile, found, score="3DPCK", mean="columns")
    assert [row.mean.mean for row in rows] == pytest.approx([70.0, 70.0])
    assert registry.experiment("table4").mean_of("h36m", "MPJPE, S9 + S11") == "columns"


def test_how_many_cells_this_machine_takes(tiny, tmp_path, monkeypatch):
    experiment, profile = tiny
    cells = list(experiment.cells(replace(profile, memory_gb=2.0), 1))
    place = Workplace(tmp_path)
    monkeypatch.setattr(sweep.os, "cpu_count", lambda: 16)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=7 * 2**30))
    monkeypatch.setattr(sweep.torch.cuda, "is_available", lambda: False)
    assert jobs_here(cells, place) == 3 and jobs_here(cells[:2], place) == 2 and jobs_here([], place) == 1
    monkeypatch.setattr(sweep.torch.cuda, "is_available", lambda: True)
    assert jobs_here(cells, place) == 1 and jobs_here(cells, replace(place, device="cpu")) == 3
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=2**30))
    assert jobs_here(cells, replace(place, device="cpu")) == 1


@pytest.mark.parametrize("before", [None, "5"])
def test_a_cell_computes_in_one_thread_and_leaves_the_callers_alone(tiny, tmp_path, monkeypatch, before):
    experiment, profile = tiny
    cell, seen = next(experiment.cells(profile, 1)), []

    def execute(*args, **kwargs):
        seen.append(os.environ["OMP_NUM_THREADS"])
        return SimpleNamespace(status="failed", error={"summary": "here"})

    monkeypatch.setattr(sweep, "execute", execute)
    monkeypatch.setattr(sweep, "ensure_data", lambda *a, **k: [])
    monkeypatch.setattr(sweep.os, "cpu_count", lambda: 16)
    if before is None:
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    else:
        monkeypatch.setenv("OMP_NUM_THREADS", before)
    ((_, problem),) = run_cells([cell], Workplace(tmp_path, tmp_path, device="cpu"), jobs=1, folder=tmp_path)
    assert problem == "failed: here" and seen == ["1"] and os.environ.get("OMP_NUM_THREADS") == before


def test_a_run_that_sees_no_depth_order_is_shared(tiny, tmp_path):
    """Without triplets, what is known of the depth order changes nothing."""
    experiment, profile = tiny
    settings = ("few 3D, 2D on the rest", "few 3D, depth order on the rest")
    for condition in experiment.conditions:
        one, other = (experiment.cell(profile, setting, condition, 0) for setting in settings)
        assert (one.key == other.key) == (condition not in ("full", "hemlets"))
    cells = [experiment.cell(profile, setting, "none", 0) for setting in settings]
    assert len(pending(cells, Workplace(tmp_path, tmp_path), folder=tmp_path)) == 1


def test_cells_run_through_papermill(tiny, shards, tmp_path, monkeypatch):
    """The notebook reads the committed registry; here one of the smallest size takes its place."""
    content = yaml.safe_load(registry_path().read_text())
    content["profiles"]["smoke"] |= {"options": TINY, "pictures": 12, "test_pictures": 16, "size": 48}
    path = tmp_path / "registry.yaml"
    path.write_text(yaml.safe_dump(content))
    monkeypatch.setenv("HEMLETS_REGISTRY", str(path))
    registry: Registry = read_registry()
    experiment = registry.experiment("table4")
    cell = experiment.cell(registry.profile("smoke"), "H3.6M #1*", "hemlets", 0)
    broken = replace(cell, condition="no such condition")
    folder = tmp_path / "results"
    place = Workplace(shards, tmp_path / "runs", device="cpu")
    assert [problem for _, problem in run_cells([cell], place, jobs=1, folder=folder)] == [""]
    assert (place.cell_folder(cell) / "run.ipynb").is_file() and len(read_gathered("smoke", folder)) == 1
    assert list(run_cells([cell], place, jobs=1, folder=folder)) == []
    monkeypatch.setattr(sweep, "ensure_data", lambda *a, **k: [])
    monkeypatch.setattr(sweep, "pending", lambda cells, *a, **k: list(cells))
    ((_, problem),) = run_cells([broken], Workplace(shards, tmp_path / "else"), jobs=1, folder=folder)
    assert problem.startswith("failed: ") and "`condition` of table4 must be one of" in problem
