"""The committed comparison after Fig. 4: its numbers from its joints, and its pictures from their numbers."""

import json
import runpy
from pathlib import Path

import pytest
import torch

from hemlets_lib import HEMLETS18
from hemlets_lib.experiments.cells import drawn_folder
from hemlets_lib.experiments.registry import read_registry
from hemlets_lib.geometry import root_relative

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = runpy.run_path(str(ROOT / "experiments" / "figure4.py"))
FOUND = json.loads((ROOT / "experiments" / "results" / "figure4.json").read_text(encoding="utf-8"))
ROUNDING_MM = 0.01


def cells():
    registry = read_registry()
    table4, profile = registry.experiment("table4"), registry.profile(FOUND["profile"])
    return {name: table4.cell(profile, FOUND["setting"], name, FOUND["seed"]) for name in FOUND["keys"]}


def test_an_error_by_hand():
    predicted, true = torch.zeros(2, 3), torch.tensor([[3.0, 4.0, 12.0], [0.0, 0.0, -2.0]])
    assert SCRIPT["errors_mm"](predicted, true) == pytest.approx(
        {"mpjpe_mm": 7.5, "plane_mm": 2.5, "depth_mm": 7.0}
    )


def test_it_names_the_registrys_cells():
    assert FOUND["keys"] == {name: cell.key for name, cell in cells().items()}
    assert tuple(FOUND["keys"]) == SCRIPT["CONDITIONS"]


@pytest.mark.parametrize("record", FOUND["pictures"], ids=lambda record: str(record["number"]))
def test_errors_are_those_of_the_joints(record):
    true = torch.tensor(record["true"]["joints_mm"])
    for name in FOUND["keys"]:
        again = SCRIPT["errors_mm"](torch.tensor(record[name]["joints_mm"]), true)
        assert again == pytest.approx({key: record[name][key] for key in again}, abs=2 * ROUNDING_MM)


def test_a_picture_comes_back_from_its_number():
    cell, record = cells()["full"], FOUND["pictures"][-1]
    sample = drawn_folder(cell, cell.tests["h36m"], Path())[1][record["number"]]
    assert sample.meta.sample_id == record["sample_id"]
    torch.testing.assert_close(
        root_relative(sample.joints_cam_mm, HEMLETS18.root), torch.tensor(record["true"]["joints_mm"]),
        atol=ROUNDING_MM, rtol=0,
    )  # fmt: skip
    torch.testing.assert_close(
        sample.joints_crop, torch.tensor(record["true"]["joints_crop"]), atol=1e-5, rtol=0
    )
