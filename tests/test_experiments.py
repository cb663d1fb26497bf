"""The registry is complete and answers to the paper; a cell runs, resumes and is gathered once."""

import json
from dataclasses import replace

import pytest
import yaml

from hemlets_lib.experiments import cells as cells_module
from hemlets_lib.experiments import sweep
from hemlets_lib.experiments.cells import (
    RESULT_NAME,
    Workplace,
    drawn_folder,
    ensure_data,
    result_of,
    run_cell,
)
from hemlets_lib.experiments.registry import Registry, RegistryError, read_registry, registry_path
from hemlets_lib.experiments.sweep import gather, pending, read_gathered, run_cells, table, values
from hemlets_lib.paper import OWN

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
    """Cells share a key exactly where they are the same run."""
    seen = {}
    for experiment in registry.experiments.values():
        for profile in registry.profiles.values():
            for cell in experiment.cells(profile, seeds=2):
                seen.setdefault(cell.key, cell.identity)
                assert seen[cell.key] == cell.identity
    assert len(seen) == len({json.dumps(identity, sort_keys=True) for identity in seen.values()})


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
    gathered = read_gathered(profile.name, folder)
    none, full = (experiment.over_seeds(profile, "H3.6M #1*", condition) for condition in ("none", "full"))
    assert values(gathered, none, protocol="h36m", score="MPJPE") == {0: 100.0, 1: 105.0}
    assert values(gathered, full, protocol="h36m", score="MPJPE", column="Walk") == {0: 89.0, 1: 96.0}
    rows = {row.condition: row for row in table(experiment, profile, gathered, score="MPJPE")}
    assert rows["none"].difference is None and rows["full"].difference.mean == pytest.approx(-9.0)
    assert rows["full"].difference.n == 2
    elsewhere = Workplace(tmp_path / "other", tmp_path / "other")
    assert len(pending(cells, elsewhere, folder=folder)) == len(cells) - 4  # committed ones are not run again
    with pytest.raises(ValueError, match="the results have no 'AUC' by 'h36m' of all columns"):
        values(gathered, none, protocol="h36m", score="AUC")


def test_gathering_keeps_what_is_committed(tiny, tmp_path):
    experiment, profile = tiny
    place, folder = Workplace(tmp_path, tmp_path / "runs"), tmp_path / "results"
    cell = next(experiment.cells(profile, 1))
    finish(cell, place, 50.0)
    (path,) = gather([cell], place, folder=folder)
    before = path.read_text()
    (place.cell_folder(cell) / RESULT_NAME).write_text('{"seed": 0, "scores": {}}')
    assert gather([cell], place, folder=folder) == [] and path.read_text() == before


def test_real_results_stand_apart(tiny, tmp_path):
    experiment, profile = tiny
    cell = experiment.cell(profile, "H3.6M #1*", "none", 0)
    real = Workplace(tmp_path, tmp_path / "runs", {"human36m-train": tmp_path / "h36m"})
    drawn = Workplace(tmp_path, tmp_path / "runs")
    finish(cell, real, 40.0)
    (path,) = gather([cell], real, folder=tmp_path)
    assert path.parent.name == "smoke-real" and len(read_gathered("smoke", tmp_path)) == 0
    assert pending([cell], drawn, folder=tmp_path) == [cell] and pending([cell], real, folder=tmp_path) == []


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
