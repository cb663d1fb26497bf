"""The registry of experiments: what to run, in how many cells, and which number of the paper it answers to.

`experiments/registry.yaml` is the registry itself; here it is read and checked.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hemlets_lib.experiments.design import Answer, Experiment, Profile
from hemlets_lib.paper import OWN, paper_number
from hemlets_lib.protocols import get_protocol

__all__ = ["REGISTRY_VARIABLE", "Registry", "RegistryError", "read_registry", "registry_path"]

REGISTRY_VARIABLE = "HEMLETS_REGISTRY"
"""Environment variable: a registry that is read instead of the checkout's."""

_NETWORKS = {"full", "baseline"}  # with the intermediate branch, and without: the smaller network of Table 4
_KEYS = {
    "profile": {
        "preset", "options", "pictures", "pictures_of", "test_pictures", "size", "minutes", "memory_gb",
    },
    "experiment": {
        "title", "notebook", "protocol", "tests", "baseline", "settings", "conditions", "answers",
    },
    "setting": {"data", "noise"},
    "condition": {"options", "data", "network", "model"},
    "role": {"ratio", "depth_every", "otherwise", "length", "repeat", "epsilon_ratio", "noise"},
    "answer": {"table", "row", "columns", "cell", "protocol", "score", "mean"},
}  # fmt: skip
_OPTIONAL = {
    "answers", "columns", "mean", "noise", "data", "network", "depth_every", "otherwise", "length",
    "pictures_of", "epsilon_ratio", "repeat", "model",
}  # fmt: skip


class RegistryError(ValueError):
    """An entry of the registry that cannot be; the message names the file and the entry."""


@dataclass(frozen=True)
class Registry:
    """All experiments and profiles, by name."""

    profiles: Mapping[str, Profile]
    experiments: Mapping[str, Experiment]

    def experiment(self, name: str) -> Experiment:
        """An experiment by name.

        Raises:
            ValueError: If there is none; lists what there is.
        """
        if name not in self.experiments:
            raise ValueError(f"`name` must be one of {', '.join(self.experiments)}, got {name!r}.")
        return self.experiments[name]

    def profile(self, name: str) -> Profile:
        """A profile by name.

        Raises:
            ValueError: If there is none; lists what there is.
        """
        if name not in self.profiles:
            raise ValueError(f"`profile` must be one of {', '.join(self.profiles)}, got {name!r}.")
        return self.profiles[name]


def registry_path() -> Path:
    """The registry of the checkout that this library is installed from, or that HEMLETS_REGISTRY names."""
    if named := os.environ.get(REGISTRY_VARIABLE):
        return Path(named)
    return Path(__file__).resolve().parents[2] / "experiments" / "registry.yaml"


def read_registry(path: Path | None = None) -> Registry:
    """Reads and checks a registry; every cell of it can be made, every number is in the paper.

    Args:
        path: The file; `registry_path()` where left out.

    Raises:
        FileNotFoundError: If there is no such file.
        RegistryError: If an entry is unknown, missing or of the wrong kind; names it.
    """
    import yaml

    path = path or registry_path()
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: expected the registry of experiments, found none. It comes with a clone."
        )
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise RegistryError(f"{path}: expected YAML, got {error}.") from error
    if not isinstance(content, dict) or set(content) != {"profiles", "experiments"}:
        raise RegistryError(f"{path}: expected `profiles` and `experiments` at the top, got {content!r:.80}.")
    try:
        profiles = {
            name: Profile(name=name, **_checked(entry, "profile", f"profile {name}"))
            for name, entry in content["profiles"].items()
        }
        experiments = {name: _experiment(name, entry) for name, entry in content["experiments"].items()}
        registry = Registry(profiles, experiments)
        for experiment in experiments.values():
            for profile in profiles.values():
                list(experiment.cells(profile, seeds=1))
    except (ValueError, TypeError, AttributeError) as error:
        raise RegistryError(f"{path}: {error}") from error
    return registry


def _experiment(name: str, entry: Any) -> Experiment:
    where = f"experiment {name}"
    values = _checked(entry, "experiment", where)
    for protocol in (values["protocol"], *values["tests"]):
        get_protocol(protocol)
    for setting, columns in values["settings"].items():
        _checked(columns, "setting", f"{where}, setting {setting}")
        for role, options in columns["data"].items():
            _checked(options, "role", f"{where}, setting {setting}, {role}")
    for condition, row in values["conditions"].items():
        _checked(row, "condition", f"{where}, condition {condition}")
        if row.get("network", "full") not in _NETWORKS:
            raise ValueError(f"{where}, condition {condition}: `network` must be one of {_NETWORKS}.")
    if values["baseline"] not in values["conditions"]:
        raise ValueError(f"{where}: `baseline` must be one of its conditions, got {values['baseline']!r}.")
    answers = [
        answer
        for number, listed in enumerate(values.pop("answers", []))
        for answer in _answers(listed, values, f"{where}, answer {number}")
    ]
    return Experiment(name=name, answers=tuple(answers), **values)


def _answers(listed: Any, experiment: Mapping[str, Any], where: str) -> Iterator[Answer]:
    """One for each number of a row of the paper."""
    entry = _checked(listed, "answer", where)
    setting, condition = entry["cell"]
    if setting not in experiment["settings"] or condition not in experiment["conditions"]:
        raise ValueError(f"{where}: expected a cell of it, got {entry['cell']}.")
    protocol = get_protocol(entry["protocol"])
    if entry["score"] not in {row.name for row in protocol.rows}:
        raise ValueError(f"{where}: protocol {protocol.name!r} has no row {entry['score']!r}.")
    headings = {column.heading for column in protocol.columns}
    there = [column for table, row, column in OWN if (table, row) == (entry["table"], entry["row"])]
    for column in entry.get("columns", there or ["any"]):
        mean = {"Avg": "columns", "All": "samples"}.get(column, entry.get("mean", "columns"))
        yield Answer(
            paper_number(entry["table"], entry["row"], column).key, setting, condition, protocol.name,
            entry["score"], column if column in headings else None, mean,
        )  # fmt: skip


def _checked(entry: Any, kind: str, where: str) -> dict[str, Any]:
    """An entry with neither unknown keys nor missing ones."""
    keys = _KEYS[kind]
    if not isinstance(entry, dict):
        raise ValueError(f"{where}: expected {', '.join(sorted(keys))}, got {entry!r:.60}.")
    if unknown := sorted(map(str, set(entry) - keys)):
        raise ValueError(f"{where}: expected keys among {', '.join(sorted(keys))}, got {', '.join(unknown)}.")
    if missing := sorted(keys - set(entry) - _OPTIONAL):
        raise ValueError(f"{where}: expected {', '.join(missing)}, found none.")
    return dict(entry)
