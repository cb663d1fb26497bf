"""Effects of the ledger's choices: results beside the entries they belong to; labels on the threshold."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from hemlets_lib.data.sample import Meta, label_sample
from hemlets_lib.experiments.ledger_effects import count_ties, effects
from hemlets_lib.experiments.registry import read_registry
from hemlets_lib.experiments.sweep import read_gathered
from hemlets_lib.ledger import LEDGER

SCORE = "MPJPE, S9 + S11"


@pytest.fixture(scope="module")
def experiment():
    return read_registry().experiment("ledger")


@pytest.fixture(scope="module")
def profile():
    return read_registry().profile("laptop")


def finish(experiment, profile, folder, errors_mm):
    """Result files as cells leave them: condition → the error of each seed."""
    (setting,) = experiment.settings
    (folder / "cells" / profile.name).mkdir(parents=True, exist_ok=True)
    for condition, errors in errors_mm.items():
        for seed, error in enumerate(errors):
            cell = experiment.cell(profile, setting, condition, seed)
            rows = {SCORE: {"columns": {}, "mean_of_columns": error}}
            result = {"seed": seed, "scores": {"h36m": {"rows": rows}}}
            path = folder / "cells" / profile.name / f"{cell.key}.json"
            path.write_text(json.dumps(result))


def test_an_effect_by_hand(experiment, profile, tmp_path):
    finish(
        experiment, profile, tmp_path,
        {"default": [150.0, 160.0], "half σ": [153.0, 165.0], "α 1": [149.0], "peaks that add up": []},
    )  # fmt: skip
    found = effects(experiment, profile, read_gathered("laptop", tmp_path), score=SCORE)
    assert [each.condition for each in found] == [name for entry in LEDGER for name in entry.conditions]
    by_name = {each.condition: each for each in found}
    assert by_name["half σ"].entry.topic == "width of the Gaussians"
    assert by_name["half σ"].difference.mean == pytest.approx(4.0) and by_name["half σ"].difference.n == 2
    assert by_name["α 1"].difference.mean == -1.0 and by_name["α 1"].mean.mean == 149.0
    assert by_name["peaks that add up"].mean is by_name["peaks that add up"].difference is None


def test_an_experiment_that_lacks_a_condition(experiment, profile, tmp_path):
    fewer = {name: row for name, row in experiment.conditions.items() if name != "twice σ"}
    gathered = read_gathered("laptop", tmp_path)
    with pytest.raises(
        ValueError, match=r"condition 'twice σ' that the ledger names under 'width of the Gau"
    ):
        effects(replace(experiment, conditions=fewer), profile, gathered, score=SCORE)
    two = replace(experiment, settings={"a": {"data": {}}, "b": {"data": {}}})
    with pytest.raises(ValueError, match="`experiment` must have one setting, got a, b"):
        effects(two, profile, gathered, score=SCORE)


def sample_of(skeleton, joints_cam_mm):
    planar = torch.tensor([[10.0, 8.0], [16.0, 18.0], [20.0, 28.0]])
    return label_sample(
        np.zeros((32, 32, 3), np.uint8), affine=torch.eye(3)[:2], meta=Meta("test"), skeleton=skeleton,
        joints_px=planar, joints_cam_mm=joints_cam_mm,
    )  # fmt: skip


def test_ties_by_hand(skeleton3):
    # Two 3-4-5 parts: |Δz| / ‖B‖ is 0.6, then 0.8.
    joints = torch.tensor([[0.0, 0.0, 1000.0], [400.0, 0.0, 700.0], [700.0, 0.0, 300.0]])
    flat = torch.tensor([[0.0, 0.0, 1000.0], [400.0, 0.0, 1000.0], [torch.nan] * 3])
    ties = count_ties([sample_of(skeleton3, joints)], skeleton3, epsilon_ratio=0.8)
    assert (ties.parts, ties.exact) == (2, 1) and ties.nearest == pytest.approx(0.0, abs=1e-6)
    ties = count_ties([sample_of(skeleton3, joints)], skeleton3, epsilon_ratio=0.7)
    assert ties.exact == 0 and ties.nearest == pytest.approx(0.1, abs=1e-6)
    ties = count_ties([sample_of(skeleton3, flat), sample_of(skeleton3, None)], skeleton3)
    assert (ties.parts, ties.exact) == (1, 0) and ties.nearest == pytest.approx(0.5)
    assert count_ties([], skeleton3).nearest == math.inf
