"""The same pictures with fewer labels: what a data set would be if less of it had been labelled.

    LabelBudget(shards, depth_every=30, otherwise="order")

3D labels are dear, labels by hand cheap. A budget keeps the 3D labels of one picture in so many; of the
others it keeps the joints in the picture, and the parts' depth order if it is told to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal, get_args

import torch

from hemlets_lib.data.sample import Sample
from hemlets_lib.data.shards import ShardDataset
from hemlets_lib.triplets import UNKNOWN

__all__ = ["LabelBudget", "Otherwise"]

Otherwise = Literal["2d", "order"]


class LabelBudget:
    """Samples of shards, by number, most of them without their depth labels.

    Args:
        source: The samples, fully labelled.
        depth_every: One picture in so many keeps its 3D labels; 1 for all.
        otherwise: What the others keep: "2d", joints in the picture; "order", the parts' states too.
        length: Only the first so many; all where left out.

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
    ) -> None:
        length = len(source) if length is None else length
        if depth_every < 1 or not 1 <= length <= len(source):
            raise ValueError(
                f"`depth_every` must be at least 1 and `length` within 1 … {len(source)}, got "
                f"{depth_every} and {length}."
            )
        if otherwise not in get_args(Otherwise):
            raise ValueError(f"`otherwise` must be '2d' or 'order', got {otherwise!r}.")
        self.source, self.depth_every, self.otherwise, self.length = source, depth_every, otherwise, length
        self.root = source.root

    @property
    def config(self) -> Mapping[str, Any]:
        """What determines the samples."""
        budget = {"depth_every": self.depth_every, "otherwise": self.otherwise, "length": self.length}
        return {**self.source.config, "label_budget": budget}

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < self.length:
            raise IndexError(f"`index` must be within the {self.length} samples of {self.root}, got {index}")
        sample = self.source[index]
        if index % self.depth_every == 0:
            return sample
        flat = sample.joints_crop.clone()
        flat[:, 2] = 0
        states = sample.part_states
        return replace(
            sample, joints_crop=flat, depth_valid=torch.zeros_like(sample.depth_valid), joints_cam_mm=None,
            part_states=states if self.otherwise == "order" else torch.full_like(states, UNKNOWN),
        )  # fmt: skip
