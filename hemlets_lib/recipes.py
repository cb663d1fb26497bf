"""What a training run is made of: a frozen `TrainConfig`, and the recipes that have a name.

    config = dataclasses.replace(RECIPES["nano"], steps=2000)

`paper` is the paper's recipe; `small` and `nano` are made to learn fast. A run stores its config, so that
it can be resumed, and every trained network its run's.
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any, Literal, get_args

from hemlets_lib.augment import AugmentConfig
from hemlets_lib.losses import ALPHA, Reduction, Supervision, Unit
from hemlets_lib.model import PRESETS, ModelConfig
from hemlets_lib.rivals import RIVALS, Rival

__all__ = ["RECIPES", "Precision", "Schedule", "TrainConfig"]

Schedule = Literal["constant", "cosine"]
Precision = Literal["float32", "bfloat16"]

_FLOOR = 0.01  # of the peak rate: where a cosine ends


@dataclass(frozen=True)
class TrainConfig:
    """Everything that fixes the numbers of a run, but for its data and the number of processes.

    Args:
        model: The network.
        steps: Optimiser steps.
        batch_size: Samples in a step, over all processes and micro-batches.
        learning_rate: Adam's, at its peak.
        warmup_steps: The rate rises linearly over so many steps.
        schedule: After that, "constant", or a "cosine" down to a hundredth.
        gradient_clip: Largest norm of the gradient; None for no limit.
        supervision, alpha, map_reduction, joint_reduction, unit: Of the loss, see `losses.hemlets_loss`.
        rival, rival_weight: What else is learnt, instead of triplets, and how much it weighs; see `rivals`.
        augmentation: How much.
        imagenet: Start the backbone from ImageNet weights.
        ema_decay: Keep a moving average of the weights, and evaluate and save that; None for none.
        freeze_batch_norm: Leave the statistics of batch normalisation as they are (fine-tuning; small
            batches; runs that must not depend on the number of processes).
        precision: "bfloat16" computes in autocast; weights and losses stay float32.
        channels_last: Memory layout of pictures and kernels; faster on most devices.
        compile: Run the network through `torch.compile`.
        micro_batches: Each process works through its share of a batch in so many pieces.
        seed: Decides initial weights and augmentation; the order of samples follows the mixture's own.
        log_every, validate_every, save_every: Steps between records, validations and saves.

    Raises:
        ValueError: If a value is out of range or unknown.

    Source: 'Implementation details'. Paper silent on warm-up, clipping and averaging of weights;
    it names no schedule.
    """

    model: ModelConfig
    steps: int
    batch_size: int = 64
    learning_rate: float = 1e-3
    warmup_steps: int = 0
    schedule: Schedule = "constant"
    gradient_clip: float | None = None
    supervision: Supervision = "full"
    alpha: float = ALPHA
    map_reduction: Reduction = "sum"
    joint_reduction: Reduction = "sum"
    unit: Unit = "cells"
    rival: Rival = "none"
    rival_weight: float = 1.0
    augmentation: AugmentConfig = field(default_factory=AugmentConfig)
    imagenet: bool = False
    ema_decay: float | None = None
    freeze_batch_norm: bool = False
    precision: Precision = "float32"
    channels_last: bool = True
    compile: bool = False
    micro_batches: int = 1
    seed: int = 0
    log_every: int = 50
    validate_every: int = 1000
    save_every: int = 1000

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "micro_batches", "log_every", "validate_every", "save_every"):
            if (got := getattr(self, name)) < 1:
                raise ValueError(f"training: `{name}` must be at least 1, got {got}.")
        if not 0 <= self.alpha < math.inf:
            raise ValueError(f"training: `alpha` must not be negative or infinite, got {self.alpha}.")
        if not 0 <= self.rival_weight < math.inf:
            raise ValueError(
                f"training: `rival_weight` must not be negative or infinite, got {self.rival_weight}."
            )
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(f"training: `learning_rate` must be positive, got {self.learning_rate}.")
        if not 0 <= self.warmup_steps <= self.steps:
            raise ValueError(
                f"training: `warmup_steps` must lie in 0…steps ({self.steps}), got {self.warmup_steps}. "
                "Set both."
            )
        if self.gradient_clip is not None and not self.gradient_clip > 0:
            raise ValueError(f"training: `gradient_clip` must be positive or None, got {self.gradient_clip}.")
        if self.ema_decay is not None and not 0 < self.ema_decay < 1:
            raise ValueError(f"training: `ema_decay` must lie between 0 and 1, got {self.ema_decay}.")
        if self.seed < 0:
            raise ValueError(f"training: `seed` must not be negative, got {self.seed}.")
        for name, choices in _CHOICES.items():
            if (got := getattr(self, name)) not in choices:
                raise ValueError(f"training: `{name}` must be one of {', '.join(choices)}, got {got!r}.")
        for name in ("validate_every", "save_every"):
            if getattr(self, name) % self.log_every:
                raise ValueError(
                    f"training: `{name}` must be a multiple of log_every ({self.log_every}), got "
                    f"{getattr(self, name)}. A loss that is not finite is found when it is logged, and must "
                    "be found before it is saved."
                )
        if self.rival == "tri-state" and (self.model.variant == "5s" or not self.model.intermediate):
            raise ValueError(
                'training: rival="tri-state" needs the three maps a part of an intermediate branch, which '
                f"model {self.model.name!r} ({self.model.variant}) lacks."
            )
        if self.supervision != "none" and not self.model.intermediate:
            raise ValueError(
                f"training: supervision={self.supervision!r} needs an intermediate branch, which model "
                f'{self.model.name!r} lacks. Use supervision="none".'
            )

    def rate_at(self, step: int) -> float:
        """The learning rate of a step, counted from 0."""
        if step < self.warmup_steps:
            return self.learning_rate * (step + 1) / self.warmup_steps
        if self.schedule == "constant":
            return self.learning_rate
        progress = (step - self.warmup_steps) / max(self.steps - self.warmup_steps, 1)
        return self.learning_rate * (_FLOOR + (1 - _FLOOR) * 0.5 * (1 + math.cos(math.pi * progress)))

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        plain = {item.name: getattr(self, item.name) for item in fields(self)}
        return plain | {"model": self.model.to_dict(), "augmentation": asdict(self.augmentation)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TrainConfig:
        """The inverse of `to_dict`, also after JSON has made lists of tuples.

        Raises:
            ValueError: If a key is unknown or missing, or a value is out of range.
        """
        keys = {item.name for item in fields(cls)}
        if wrong := sorted(set(values) - keys) or sorted({"model", "steps"} - set(values)):
            raise ValueError(
                f"training config: expected the keys {', '.join(sorted(keys))}; wrong or missing: "
                f"{', '.join(wrong)}."
            )
        nested = {
            "model": ModelConfig.from_dict(values["model"]),
            "augmentation": AugmentConfig.from_dict(values.get("augmentation", {})),
        }
        return cls(**{**values, **nested})

    def with_options(self, options: Mapping[str, Any]) -> TrainConfig:
        """Another config, some of whose fields were given as text or values, as on a command line.

        A dot leads into `augmentation`: `{"augmentation.flip": "0"}`. Texts are read as JSON; what is no
        JSON stays text, `none` is None.

        Raises:
            ValueError: If there is no such field, or it does not take that kind of value.
        """
        own: dict[str, Any] = {}
        inner: dict[str, Any] = {}
        takes = {item.name for item in fields(self)} - {"model", "augmentation"}
        inner_takes = {f"augmentation.{item.name}" for item in fields(self.augmentation)}
        for name, value in options.items():
            if name in takes:
                own[name] = _read(name, value, getattr(self, name), optional=name in _OPTIONAL)
            elif name in inner_takes:
                key = name.removeprefix("augmentation.")
                inner[key] = _read(name, value, getattr(self.augmentation, key), optional=False)
            else:
                names = ", ".join(sorted(takes | inner_takes))
                raise ValueError(f"training: there is no option {name!r}; expected one of {names}.")
        return replace(self, **own, augmentation=replace(self.augmentation, **inner))


def _read(name: str, value: Any, old: Any, *, optional: bool) -> Any:
    """A value given as text, as the kind of thing that it replaces."""
    if isinstance(value, str) and not isinstance(old, str):
        with contextlib.suppress(ValueError):
            value = None if value.lower() == "none" else json.loads(value.lower())
    kind = float if optional else type(old)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind is tuple and isinstance(value, list | tuple):
        numbers = [isinstance(item, int | float) and not isinstance(item, bool) for item in value]
        if all(numbers):
            return tuple(value)
    elif (optional and value is None) or (kind is float and is_number) or type(value) is kind:
        return value
    wanted = {tuple: "a list of numbers", float: "a number"}.get(kind, kind.__name__)
    raise ValueError(f"training: `{name}` must be {wanted}{' or none' if optional else ''}, got {value!r}.")


_OPTIONAL = ("gradient_clip", "ema_decay")
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "schedule": get_args(Schedule),
    "precision": get_args(Precision),
    "supervision": get_args(Supervision),
    "map_reduction": get_args(Reduction),
    "joint_reduction": get_args(Reduction),
    "unit": get_args(Unit),
    "rival": RIVALS,
}


_GENTLE = AugmentConfig(rotation_deg=10.0, scale=(0.9, 1.1), translation=0.03)

RECIPES: Mapping[str, TrainConfig] = MappingProxyType(
    {
        # Exact where the paper is. It names neither warm-up nor clipping; others report that the rate of
        # 1e-3 diverges without (`experiments/recipe.py` has what they do here).
        "paper": TrainConfig(
            PRESETS["paper"], steps=100_000, batch_size=64, learning_rate=1e-3, warmup_steps=1000,
            gradient_clip=1000.0, imagenet=True,
        ),
        "small": TrainConfig(
            PRESETS["small"], steps=40_000, batch_size=64, learning_rate=1e-3, warmup_steps=1000,
            schedule="cosine", gradient_clip=200.0, augmentation=_GENTLE, ema_decay=0.999,
            precision="bfloat16",
        ),
        # The network in the box. At 24 cells the paper's α leaves triplets and heatmaps unlearnt, and the
        # pose with them (`experiments/results/recipe.json`). Differs from the paper.
        "nano": TrainConfig(
            PRESETS["nano"], steps=28_000, batch_size=32, learning_rate=2e-3, warmup_steps=500,
            schedule="cosine", gradient_clip=300.0, alpha=4.0, augmentation=_GENTLE, ema_decay=0.999,
            precision="bfloat16",
        ),
    }
)  # fmt: skip
