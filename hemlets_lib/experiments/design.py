"""How an experiment is laid out: settings, conditions and seeds make cells, a cell is one training run.

An experiment is a table: its *settings* are the columns, its *conditions* the rows; a *cell* is a setting
under a condition with a seed, in one of the profiles. Everything that fixes a cell's numbers is in its
`identity`, by which finished cells are known.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from functools import cached_property
from typing import Any

from hemlets_lib.data.synthetic import GENERATOR_VERSION
from hemlets_lib.model import ModelConfig
from hemlets_lib.recipes import RECIPES, TrainConfig
from hemlets_lib.triplets import EPSILON_RATIO

__all__ = ["MOST_SEEDS", "NOISY", "Answer", "Cell", "Experiment", "Profile", "Role", "key_of"]

MOST_SEEDS = 10
NOISY = ("ordinal-train", "fbi-train")  # drawn roles whose labels err
_BLIND_TO_ORDER = ("none", "2d")  # supervisions without triplets
_RIVALS_OF_ORDER = ("ranking", "tri-state")


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
        return key_of(self.identity)

    @property
    def used_roles(self) -> tuple[str, ...]:
        """The data sets that it trains and is tested on."""
        return tuple(dict.fromkeys((*(role.name for role in self.roles), *self.tests.values())))

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

    def mean_of(self, protocol: str, score: str) -> str:
        """What a score is averaged over: "samples" where the paper's own number of it is, else "columns".

        Args:
            protocol: Of the score.
            score: A row of the protocol's table.
        """
        means = {
            answer.mean
            for answer in self.answers
            if (answer.protocol, answer.score, answer.column) == (protocol, score, None)
        }
        return means.pop() if len(means) == 1 else "columns"

    def cells(self, profile: Profile, seeds: int) -> Iterator[Cell]:
        """All of its cells, seed by seed: the first results show every contrast once."""
        for seed in range(seeds):
            for condition in self.conditions:
                for setting in self.settings:
                    yield self.cell(profile, setting, condition, seed)


def key_of(identity: Any) -> str:
    """The key of a cell.

    Args:
        identity: As `Cell.identity`, or as read from a result.
    """
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:12]


def _said(record: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    """Those of a dataclass's values that are not its defaults."""
    defaults = {
        item.name: item.default if item.default_factory is MISSING else item.default_factory()
        for item in fields(record)
    }
    return {name: value for name, value in values.items() if getattr(record, name) != defaults[name]}
