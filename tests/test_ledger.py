"""The ledger and the code name the same modules, the ledger and the registry the same conditions."""

import importlib
from pathlib import Path

import hemlets_lib
from hemlets_lib.experiments.registry import read_registry
from hemlets_lib.ledger import LEDGER

PACKAGE = Path(hemlets_lib.__file__).parent
MARKERS = ("paper silent", "differs from the paper")


def modules_that_mark_a_choice() -> set[str]:
    marked = set()
    for path in PACKAGE.rglob("*.py"):
        if path.stem != "ledger" and any(
            marker in path.read_text(encoding="utf-8").lower() for marker in MARKERS
        ):
            marked.add(".".join(path.relative_to(PACKAGE).with_suffix("").parts))
    return marked


def test_every_choice_marked_in_the_code_is_in_the_ledger_and_the_other_way_round():
    assert {entry.module for entry in LEDGER} == modules_that_mark_a_choice()


def test_entries_are_complete_and_name_real_modules():
    for entry in LEDGER:
        importlib.import_module(f"hemlets_lib.{entry.module}")
        assert all((entry.topic, entry.paper, entry.choice, entry.reason))
    assert len({entry.topic for entry in LEDGER}) == len(LEDGER)


def test_an_option_that_is_named_exists():
    for entry in LEDGER:
        if entry.option:
            source = (PACKAGE / Path(*entry.module.split("."))).with_suffix(".py").read_text(encoding="utf-8")
            assert entry.option.partition("(")[0] in source


def test_what_the_experiment_changes_is_what_the_entries_name():
    experiment = read_registry().experiment("ledger")
    named = [condition for entry in LEDGER for condition in entry.conditions]
    assert sorted([*named, experiment.baseline]) == sorted(experiment.conditions)


def test_every_condition_changes_a_cell_and_the_baseline_is_table_4s():
    registry = read_registry()
    experiment, profile = registry.experiment("ledger"), registry.profile("laptop")
    (setting,) = experiment.settings
    keys = {name: experiment.cell(profile, setting, name, 0).key for name in experiment.conditions}
    assert len(set(keys.values())) == len(keys)
    assert keys["default"] == registry.experiment("table4").cell(profile, setting, "full", 0).key
