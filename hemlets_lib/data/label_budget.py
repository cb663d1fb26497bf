"""The same pictures with fewer labels: what a data set would be if less of it had been labelled.

    LabelBudget(shards, depth_every=30, otherwise="order")

3D labels are dear, labels by hand cheap. A budget keeps the 3D labels of one picture in so many; of the
others it keeps the joints in the picture, and the parts' depth order if it is told to: at another threshold
than Eq. (1)'s, or as somebody would see it who errs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal, get_args

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from hemlets_lib.data.counterparts import annotate
from hemlets_lib.data.sample import Sample
from hemlets_lib.data.shards import ShardDataset
from hemlets_lib.skeleton import HEMLETS18, Skeleton
from hemlets_lib.triplets import EPSILON_RATIO, UNKNOWN

__all__ = ["LabelBudget", "Otherwise"]

Otherwise = Literal["2d", "order"]
_LABELS = 2306  # keeps the errors apart from other random streams


class LabelBudget:
    """Samples of shards, by number, most of them without their depth labels.

    Args:
        source: The samples, fully labelled.
        depth_every: One picture in so many keeps its 3D labels; 1 for all.
        otherwise: What the others keep: "2d", joints in the picture; "order", the parts' states too.
        length: Only so many, evenly over all of them; all where left out.
        repeat: How often the pictures with 3D labels come for each time the others do.
        epsilon_ratio: ε_k / ‖B_k‖ of all depth order, in Eq. (1).
        noise: Error of the depth order of pictures without 3D labels, as in `counterparts.annotate`.
        skeleton: Whose parts the depth order is of: the source's joints, perhaps another list of parts. Of
            a picture whose joints are not known in space, the order of other parts is unknown.

    Raises:
        ValueError: If a number is out of range, or `otherwise` unknown.
    """

    def __init__(
        self,
        source: ShardDataset,
        *,
        depth_every: int = 1,
        otherwise: Otherwise = "2d",
        length: int | None = None,
        repeat: int = 1,
        epsilon_ratio: float = EPSILON_RATIO,
        noise: float = 0.0,
        skeleton: Skeleton = HEMLETS18,
    ) -> None:
        length = len(source) if length is None else length
        if min(depth_every, repeat) < 1 or not 1 <= length <= len(source):
            raise ValueError(
                f"`depth_every` and `repeat` must be at least 1 and `length` within 1 … {len(source)}, got "
                f"{depth_every}, {repeat} and {length}."
            )
        if otherwise not in get_args(Otherwise):
            raise ValueError(f"`otherwise` must be '2d' or 'order', got {otherwise!r}.")
        if not 0 <= epsilon_ratio < 1 or not 0 <= noise < float("inf"):
            raise ValueError(
                f"`epsilon_ratio` must be within [0, 1) and `noise` 0 or more, got {epsilon_ratio} and "
                f"{noise}."
            )
        self.source, self.depth_every, self.otherwise, self.length = source, depth_every, otherwise, length
        self.repeat, self.epsilon_ratio, self.noise = repeat, epsilon_ratio, noise
        self.skeleton = skeleton
        self.root = source.root

    @property
    def config(self) -> Mapping[str, Any]:
        """What determines the samples."""
        budget: dict[str, Any] = {
            "depth_every": self.depth_every, "otherwise": self.otherwise, "length": self.length,
        }  # fmt: skip
        if (self.epsilon_ratio, self.noise) != (EPSILON_RATIO, 0.0):
            budget |= {"epsilon_ratio": self.epsilon_ratio, "noise": self.noise}
        if self.repeat != 1:
            budget["repeat"] = self.repeat
        if self.skeleton != HEMLETS18:
            budget["skeleton"] = self.skeleton.name
        return {**self.source.config, "label_budget": budget}

    @property
    def in_3d(self) -> range:
        """The numbers of the pictures that keep their 3D labels, each once."""
        return range(0, self.length, self.depth_every)

    def __len__(self) -> int:
        return self.length + (self.repeat - 1) * len(self.in_3d)

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < len(self):
            raise IndexError(f"`index` must be within the {len(self)} samples of {self.root}, got {index}")
        if index >= self.length:  # one that has come before
            index = self.in_3d[(index - self.length) % len(self.in_3d)]
        number = index * len(self.source) // self.length
        sample = self.source[number]
        if index % self.depth_every == 0:
            return replace(sample, part_states=self._states(sample, index, noise=0.0))
        flat = sample.joints_crop.clone()
        flat[:, 2] = 0
        states = self._no_states()
        if self.otherwise == "order":
            states = self._states(sample, index, noise=self.noise)
        return replace(
            sample, joints_crop=flat, depth_valid=torch.zeros_like(sample.depth_valid), joints_cam_mm=None,
            part_states=states,
        )  # fmt: skip

    def _states(self, sample: Sample, index: int, *, noise: float) -> Int[Tensor, "K"]:
        """The parts' depth order; its errors depend on the picture's number alone."""
        own_parts = self.skeleton == HEMLETS18
        if sample.joints_cam_mm is None:
            return sample.part_states if own_parts else self._no_states()
        if own_parts and (self.epsilon_ratio, noise) == (EPSILON_RATIO, 0.0):
            return sample.part_states
        return annotate(
            sample.joints_cam_mm, self.skeleton, scheme="ordinal", noise=noise,
            epsilon_ratio=self.epsilon_ratio, rng=np.random.default_rng([_LABELS, index]),
        )  # fmt: skip

    def _no_states(self) -> Int[Tensor, "K"]:
        return torch.full((self.skeleton.num_parts,), UNKNOWN)
