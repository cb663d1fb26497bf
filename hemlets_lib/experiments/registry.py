"""The registry of experiments: what to run, in how many cells, and which number of the paper it answers to.

`experiments/registry.yaml` is the registry itself. An experiment is a table: its *settings* are the columns,
its *conditions* the rows; a *cell* is one training run, a setting under a condition with a seed, in one of
the profiles. Everything that fixes a cell's numbers is in its `identity`, by which finished cells are known.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from hemlets_lib.data.synthetic import GENERATOR_VERSION
from hemlets_lib.model import ModelConfig
from hemlets_lib.paper import OWN, paper_number
from hemlets_lib.protocols import get_protocol
from hemlets_lib.recipes import RECIPES, TrainConfig
from hemlets_lib.triplets import EPSILON_RATIO

__all__ = [
    "MOST_SEEDS",
    "NOISY",
    "REGISTRY_VARIABLE",
    "Answer",
    "Cell",
    "Experiment",
    "Profile",
    "Registry",
    "RegistryError",
    "Role",
    "read_registry",
    "registry_path",
]

REGISTRY_VARIABLE = "HEMLETS_REGISTRY"
"""Environment variable: a registry that is read instead of the checkout's."""

MOST_SEEDS = 10
NOISY = ("ordinal-train", "fbi-train")  # drawn roles whose labels err
_NETWORKS = {"full", "baseline"}  # with the intermediate branch, and without: the smaller network of Table 4
_BLIND_TO_ORDER = ("none", "2d")  # supervisions without triplets
_RIVALS_OF_ORDER = ("ranking", "tri-state")
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
class Profile:
    """How much a cell computes.

    Args:
        name: As in the registry.
        preset: Recipe, of `recipes.RECIPES`.
        options: What differs from it.
        pictures: Of each training role that is drawn.
        test_pictures: Of each test role that is drawn.
        size: Side of drawn pictures, pixels.
        minutes: That a cell takes on the machine it is meant for; it is stopped after ten times as many.
        memory_gb: That it takes at most.
        pictures_of: Role → number, where it is another than `pictures`.
    """

    name: str
    preset: str
    options: Mapping[str, Any]
    pictures: int
    test_pictures: int
    size: int
    minutes: float
    memory_gb: float
    pictures_of: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Role:
    """A training set as a cell uses it.

    Args:
        name: `human36m-train` and so on: data set and split.
        ratio: Its share of a batch.
        depth_every: One picture in so many keeps its 3D labels.
        otherwise: What the others keep, see `data.label_budget`.
        length: Only its first so many pictures.
        repeat: How often those with 3D labels come for each time the others do.
        epsilon_ratio, noise: Of its labels of depth order.
    """

    name: str
    ratio: float = 1.0
    depth_every: int = 1
    otherwise: str = "2d"
    length: int | None = None
    repeat: int = 1
    epsilon_ratio: float = EPSILON_RATIO
    noise: float = 0.0


@dataclass(frozen=True)
class Answer:
    """What answers to a number of the paper.

    Args:
        number: Its table, row and column.
        setting: Of the cells whose mean it is.
        condition: Likewise.
        protocol: By which they were evaluated.
        score: Row of the protocol's table.
        column: Heading there; None for a mean.
        mean: "columns" or "samples": over what, where no column is meant.
    """

    number: tuple[str, str, str]
    setting: str
    condition: str
    protocol: str
    score: str
    column: str | None
    mean: str = "columns"


@dataclass(frozen=True)
class Cell:
    """One training run.

    Args:
        experiment: Its experiment's name.
        profile: How much it computes.
        setting: Column of the experiment's table.
        condition: Row.
        seed: Of weights, augmentation and the order of samples.
        config: The recipe, complete.
        roles: What it trains on.
        tests: Protocol → role that it is evaluated on.
        noise: Of weak labels, for roles that have it; None for the data set's own.
    """

    experiment: str
    profile: Profile
    setting: str
    condition: str
    seed: int
    config: TrainConfig
    roles: tuple[Role, ...]
    tests: Mapping[str, str]
    noise: float | None = None

    @property
    def identity(self) -> dict[str, Any]:
        """All that fixes its numbers, as JSON.

        What is at its default is left out, so that an option which is added to a recipe, a network or a
        role one day leaves today's keys as they are.
        """
        profile = self.profile
        config = self.config.to_dict()
        config["model"] = _said(self.config.model, config["model"])
        config["augmentation"] = _said(self.config.augmentation, config["augmentation"])
        identity = {
            "config": _said(self.config, config),
            "roles": [_said(role, asdict(role)) for role in self.roles],
            "tests": dict(self.tests),
            "pictures": [profile.pictures, profile.test_pictures, profile.size],
            "generator": GENERATOR_VERSION,
        }
        used = {role.name for role in self.roles} & set(profile.pictures_of)
        if used:
            identity["pictures_of"] = {role: profile.pictures_of[role] for role in sorted(used)}
        if self.noise is not None:
            identity["noise"] = self.noise
        return identity

    @cached_property
    def key(self) -> str:
        """A short name that differs wherever the identity does."""
        text = json.dumps(self.identity, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.experiment} · {self.setting} · {self.condition} · seed {self.seed}"


@dataclass(frozen=True)
class Experiment:
    """A table to fill; see the module's docstring."""

    name: str
    title: str
    notebook: str
    protocol: str
    tests: Mapping[str, str]
    baseline: str
    settings: Mapping[str, Mapping[str, Any]]
    conditions: Mapping[str, Mapping[str, Any]]
    answers: tuple[Answer, ...]

    def cell(self, profile: Profile, setting: str, condition: str, seed: int) -> Cell:
        """One of its cells.

        Raises:
            ValueError: If there is no such setting or condition, or the recipe refuses the options.
        """
        for what, name, known in (
            ("setting", setting, self.settings),
            ("condition", condition, self.conditions),
        ):
            if name not in known:
                raise ValueError(f"`{what}` of {self.name} must be one of {', '.join(known)}, got {name!r}.")
        columns, row = self.settings[setting], self.conditions[condition]
        base = RECIPES[profile.preset]
        model = base.model
        if "model" in row:
            model = ModelConfig.from_dict({**model.to_dict(), **row["model"]})
        if row.get("network") == "baseline":
            model = replace(model, intermediate=False, fusion=None)
            base = replace(base, supervision="none")
        options = {**profile.options, **row["options"], "seed": seed}
        config = replace(base, model=model).with_options(options)
        data = {**columns["data"], **row.get("data", {})}
        roles = tuple(Role(name, **options) for name, options in data.items())
        if config.supervision in _BLIND_TO_ORDER and config.rival not in _RIVALS_OF_ORDER:
            # Then the same run, whatever is known of the depth order.
            roles = tuple(
                replace(role, otherwise="2d", epsilon_ratio=EPSILON_RATIO, noise=0.0) for role in roles
            )
        noise = columns.get("noise") if any(role.name in NOISY for role in roles) else None
        return Cell(self.name, profile, setting, condition, seed, config, roles, self.tests, noise)

    def over_seeds(self, profile: Profile, setting: str, condition: str) -> list[Cell]:
        """A setting and a condition with every seed that anybody may have run.

        Args:
            profile: How much they compute.
            setting: Column of the experiment's table.
            condition: Row.

        Returns:
            A cell for each seed.
        """
        return [self.cell(profile, setting, condition, seed) for seed in range(MOST_SEEDS)]

    def cells(self, profile: Profile, seeds: int) -> Iterator[Cell]:
        """All of its cells, seed by seed: the first results show every contrast once."""
        for seed in range(seeds):
            for condition in self.conditions:
                for setting in self.settings:
                    yield self.cell(profile, setting, condition, seed)


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


def _said(record: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    """Those of a dataclass's values that are not its defaults."""
    defaults = {
        item.name: item.default if item.default_factory is MISSING else item.default_factory()
        for item in fields(record)
    }
    return {name: value for name, value in values.items() if getattr(record, name) != defaults[name]}


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
