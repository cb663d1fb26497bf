"""Recipes: the paper's numbers, the schedule by hand, and what is refused."""

from __future__ import annotations

import dataclasses
import json
import math

import pytest

from hemlets_lib.model import PRESETS
from hemlets_lib.recipes import RECIPES, TrainConfig

TINY = TrainConfig(PRESETS["nano"], steps=10, warmup_steps=4, learning_rate=1.0, schedule="cosine")


def test_the_paper_is_exact_where_the_paper_is():
    paper, augmentation = RECIPES["paper"], RECIPES["paper"].augmentation
    assert paper.model == PRESETS["paper"]
    assert (paper.steps, paper.batch_size, paper.learning_rate) == (100_000, 64, 1e-3)
    assert (paper.alpha, paper.supervision, paper.schedule) == (0.05, "full", "constant")
    assert (augmentation.rotation_deg, augmentation.scale, augmentation.flip) == (30.0, (0.75, 1.25), 0.5)
    assert augmentation.changes_colour


def test_the_schedule_by_hand():
    # Four steps up; then half a cosine from 1 to 0.01 over six.
    assert [TINY.rate_at(step) for step in range(4)] == [0.25, 0.5, 0.75, 1.0]
    assert TINY.rate_at(4) == 1.0
    assert TINY.rate_at(7) == pytest.approx(0.01 + 0.99 * 0.5)
    assert TINY.rate_at(9) == pytest.approx(0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * 5 / 6)))
    constant = dataclasses.replace(TINY, schedule="constant")
    assert [constant.rate_at(step) for step in (3, 4, 9)] == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("name", RECIPES)
def test_through_json_and_back(name):
    stored = json.loads(json.dumps(RECIPES[name].to_dict()))
    assert TrainConfig.from_dict(stored) == RECIPES[name]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"alpha": -1.0}, "`alpha` must not be negative or infinite, got -1.0"),
        ({"steps": 0}, "`steps` must be at least 1, got 0"),
        ({"learning_rate": 0.0}, "`learning_rate` must be positive, got 0.0"),
        ({"learning_rate": math.nan}, "`learning_rate` must be positive, got nan"),
        ({"warmup_steps": 11}, r"`warmup_steps` must lie in 0…steps \(10\), got 11"),
        ({"gradient_clip": 0.0}, "`gradient_clip` must be positive or None, got 0.0"),
        ({"ema_decay": 1.0}, "`ema_decay` must lie between 0 and 1, got 1.0"),
        ({"seed": -1}, "`seed` must not be negative, got -1"),
        ({"schedule": "linear"}, "`schedule` must be one of constant, cosine, got 'linear'"),
        ({"precision": "float16"}, "`precision` must be one of float32, bfloat16, got 'float16'"),
        ({"save_every": 75}, r"`save_every` must be a multiple of log_every \(50\), got 75"),
        ({"model": PRESETS["baseline"]}, r"needs an intermediate branch, which model 'baseline' lacks"),
    ],
)
def test_what_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(TINY, **changes)


def test_options_as_text():
    changed = TINY.with_options(
        {
            "steps": "20", "gradient_clip": "5", "ema_decay": "none", "freeze_batch_norm": "true",
            "precision": "bfloat16", "augmentation.scale": "[0.8, 1.2]", "augmentation.flip": "0",
        }
    )  # fmt: skip
    assert changed == dataclasses.replace(
        TINY, steps=20, gradient_clip=5, ema_decay=None, freeze_batch_norm=True, precision="bfloat16",
        augmentation=dataclasses.replace(TINY.augmentation, scale=(0.8, 1.2), flip=0),
    )  # fmt: skip
    assert TINY.with_options({}) == TINY


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stpes": "20"}, "there is no option 'stpes'; expected one of alpha, augmentation.brightness"),
        ({"augmentation.spin": "1"}, "there is no option 'augmentation.spin'"),
        ({"model": "small"}, "there is no option 'model'"),
        ({"steps": "2.5"}, "`steps` must be int, got 2.5"),
        ({"steps": "true"}, "`steps` must be int, got True"),
        ({"freeze_batch_norm": "1"}, "`freeze_batch_norm` must be bool, got 1"),
        ({"schedule": "1"}, "`schedule` must be one of constant, cosine, got .1."),
        ({"learning_rate": "fast"}, "`learning_rate` must be a number, got 'fast'"),
        ({"learning_rate": "none"}, "`learning_rate` must be a number, got None"),
        ({"gradient_clip": "fast"}, "`gradient_clip` must be a number or none, got 'fast'"),
        ({"rate_at": "1"}, "there is no option 'rate_at'"),
        ({"augmentation": "none"}, "there is no option 'augmentation'"),
        ({"augmentation.scale": '["a", 2]'}, r"`augmentation.scale` must be a list of numbers"),
    ],
)
def test_options_that_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        TINY.with_options(options)


def test_a_stored_recipe_of_another_version_is_refused():
    with pytest.raises(ValueError, match="wrong or missing: momentum"):
        TrainConfig.from_dict(TINY.to_dict() | {"momentum": 0.9})
    with pytest.raises(ValueError, match="wrong or missing: model, steps"):
        TrainConfig.from_dict({})


def test_a_text_that_also_means_nothing_stays_a_text():
    assert RECIPES["nano"].with_options({"supervision": "none"}).supervision == "none"
    assert RECIPES["nano"].with_options({"gradient_clip": "none"}).gradient_clip is None
