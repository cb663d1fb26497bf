"""The ledger and the code name the same modules."""

import importlib
from pathlib import Path

import hemlets_lib
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
