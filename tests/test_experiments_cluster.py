"""Cells go to a Dask cluster unchanged; what the committed runs on one, and again and again, found."""

import json
from dataclasses import replace

import joblib
import pytest

from hemlets_lib.checkpoint import load_checkpoint
from hemlets_lib.experiments import sweep
from hemlets_lib.experiments.cells import RESULT_NAME, Workplace
from hemlets_lib.experiments.check import digest
from hemlets_lib.experiments.registry import read_registry
from hemlets_lib.experiments.sweep import read_gathered, results_folder, run_cells
from hemlets_lib.results import read_json, write_json
from hemlets_lib.run_folder import RunFolder


def test_run_cells_hands_its_cells_to_whatever_engine_joblib_has(tmp_path, monkeypatch):
    pytest.importorskip("distributed", reason="needs dask[distributed]: pip install 'hemlets[cluster]'")
    from distributed import Client, LocalCluster

    registry = read_registry()
    cells = list(registry.experiment("figure6").cells(registry.profile("smoke"), 2))
    place, ran = Workplace(tmp_path, tmp_path / "runs"), tmp_path / "ran"
    ran.mkdir()

    def run(number, cell, workplace, threads):
        from distributed import get_worker

        (ran / cell.key).write_text(str(get_worker().name))  # a function that travels keeps no lists
        folder = workplace.cell_folder(cell)
        folder.mkdir(parents=True)
        write_json(folder / RESULT_NAME, {"seed": cell.seed})
        return number, "broken" if cell.seed else ""

    monkeypatch.setattr(sweep, "_run_in_notebook", run)
    monkeypatch.setattr(sweep, "ensure_data", lambda *a, **k: [])
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, processes=False, dashboard_address=":0") as cluster,
        Client(cluster),
        joblib.parallel_config("dask"),
    ):
        ended = {cell.key: problem for cell, problem in run_cells(cells, place, jobs=2, folder=tmp_path)}
    ran_by = [path.read_text() for path in ran.iterdir()]
    assert len(ran_by) == len(cells) and set(ran_by) == {"0", "1"}
    assert {cell.key: "broken" if cell.seed else "" for cell in cells} == ended
    assert len(read_gathered("smoke", tmp_path)) == sum(cell.seed == 0 for cell in cells)


def test_the_committed_run_on_a_cluster():
    found = read_json(results_folder() / "cluster.json")
    assert len(found["cells"]) == found["workers"] == 2 and set(found["back_ends"]) == {"dask", "loky"}
    for row in found["cells"]:
        assert row["equal"] and row["weights"][0] == row["weights"][1]


def test_the_committed_determinism():
    rows = read_json(results_folder() / "determinism.json")["rows"]
    assert all(row.keys() == {"what", "metric", "a", "b", "difference_mm", "bitwise"} for row in rows)
    again = [row for row in rows if row["what"] == "the same again"]
    assert again and all(row["bitwise"] and row["difference_mm"] == 0 for row in again)
    for what in ("threads", "precision", "torch version", "device", "seed"):
        assert any(row["what"] == what for row in rows), what


def test_two_steps_are_the_same_bit_by_bit(tmp_path):
    """The law behind it, here: same seed, same machine, same numbers."""
    from hemlets_lib.experiments.cells import ensure_data, run_cell

    registry = read_registry()
    options = {**registry.profile("smoke").options, "steps": 2, "warmup_steps": 0}
    options |= dict.fromkeys(("log_every", "validate_every", "save_every"), 2)
    small = replace(registry.profile("smoke"), options=options, pictures=12, test_pictures=16, size=48)
    cell = registry.experiment("table4").cell(small, "H3.6M #1*", "full", 0)
    ensure_data([cell], Workplace(tmp_path), workers=0, show_progress=False)
    one, other = (run_cell(cell, Workplace(tmp_path, tmp_path / name, device="cpu")) for name in "ab")
    assert json.dumps(one["scores"]) == json.dumps(other["scores"]) and one["curve"] == other["curve"]
    one, other = (RunFolder(tmp_path / name / "smoke" / cell.key).model_path for name in "ab")
    assert digest(load_checkpoint(one)[0]) == digest(load_checkpoint(other)[0])
