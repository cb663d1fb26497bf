"""Which channel of the intermediate branch is which map, found by looking at what it shows.

The branch puts out K·S + J channels: a map for each state of each part, and a heatmap for each joint. A
network trained here has them in that order. The authors' release does not say its order, and joints do
not depend on it, so nothing gives a wrong one away.

    report = inspect_channels(model, samples)
    print(report.to_markdown())
    model = reorder_channels(model, report.channels)  # output.triplets and .heatmaps are now what they say

For people whose joints are known, every map can be drawn (`targets`). A channel is correlated with each of
them over all cells of all samples. What it says of a map is -½ log(1 - r²), the information that two
Gaussian variables share, and of all assignments of channels to maps that with the largest sum is taken. (The
sum of r itself would give up a perfect match for two poor ones.) A state that the people never take leaves
its map empty, and then nothing tells its channel from others; nor where the network has not learnt to
tell states apart.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from hemlets_lib.data.sample import Sample, collate, normalise, resize_sample
from hemlets_lib.model import HEMletsNet, ModelConfig
from hemlets_lib.prediction import Sources, evaluating
from hemlets_lib.targets import make_targets
from hemlets_lib.triplets import HALF_A_PEAK, get_variant

__all__ = ["ChannelReport", "inspect_channels", "map_names", "reorder_channels"]

# When an assignment counts as certain. With the shipped network, on a dozen sets of 25 to 400 drawn people,
# what was wrong and shown so often had margins up to 0.002: five times that is asked for.
LEAST_MARGIN = 0.01
LEAST_CORRELATION = 0.2
LEAST_SHOWN = 3  # samples
_LARGEST_CORRELATION = 0.9999  # a perfect one would be worth more than all others together


@dataclass(frozen=True, eq=False)
class ChannelReport:
    """For each of M maps, in the order of `HEMletsOutput`, the channel that shows it.

    Args:
        names: Of the maps: "neck → head, +1" for a part's state, "heatmap of neck" for a joint.
        channels: The branch's channel for each map; a permutation.
        correlation: Of that channel with the map, over all cells of all samples where it is known.
        margin: What the sum over all channels loses if this one must be another map, in nats per cell: 0
            where two maps could be exchanged for nothing.
        rivals: The map that this channel would be next.
        num_shown: Samples in which the map holds a peak.
        num_samples: Looked at.
    """

    names: tuple[str, ...]
    channels: Int[Tensor, "M"]
    correlation: Float[Tensor, "M"]
    margin: Float[Tensor, "M"]
    rivals: tuple[str, ...]
    num_shown: Int[Tensor, "M"]
    num_samples: int

    @property
    def certain(self) -> Bool[Tensor, "M"]:
        """Maps whose channel the samples tell; the others are what was left over."""
        seen = (self.num_shown >= LEAST_SHOWN) & (self.correlation >= LEAST_CORRELATION)
        return seen & (self.margin >= LEAST_MARGIN)

    @property
    def in_order(self) -> bool:
        """Whether all that is certain is where this library expects it."""
        return bool((self.channels == torch.arange(len(self.channels)))[self.certain].all())

    @property
    def verdicts(self) -> tuple[str, ...]:
        """For each map in words: "certain", or why it is not."""
        said = []
        for row, certain in enumerate(self.certain.tolist()):
            if certain:
                said.append("certain")
            elif self.num_shown[row] < LEAST_SHOWN:
                said.append(f"shown {int(self.num_shown[row])} times")
            elif self.margin[row] < LEAST_MARGIN:
                said.append(f"not apart from {self.rivals[row]}")
            else:
                said.append("like no known map")
        return tuple(said)

    def summary(self) -> str:
        """How many are certain, in a sentence."""
        certain, all_of_them = int(self.certain.sum()), len(self.names)
        return f"{certain} of {all_of_them} channels are certain on {self.num_samples} samples"

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "num_samples": self.num_samples,
            "certain": int(self.certain.sum()),
            "maps": [
                {
                    "map": name,
                    "channel": int(self.channels[row]),
                    "correlation": float(self.correlation[row]),
                    "margin": float(self.margin[row]),
                    "shown": int(self.num_shown[row]),
                    "verdict": verdict,
                }
                for row, (name, verdict) in enumerate(zip(self.names, self.verdicts, strict=True))
            ],
        }

    def to_markdown(self) -> str:
        """A line for each map."""
        lines = [
            "| map | channel | correlation | margin | shown | |",
            "| --- | ---: | ---: | ---: | ---: | --- |",
        ]
        for row, (name, verdict) in enumerate(zip(self.names, self.verdicts, strict=True)):
            numbers = f"{self.channels[row]} | {self.correlation[row]:.2f} | {self.margin[row]:.3f}"
            lines.append(f"| {name} | {numbers} | {self.num_shown[row]} | {verdict} |")
        return "\n".join(lines)


def map_names(config: ModelConfig) -> tuple[str, ...]:
    """What each channel of the intermediate branch should show, in this library's order.

    Returns:
        K·S names such as "neck → head, +1", then J such as "heatmap of neck".

    Raises:
        ValueError: If the network has no intermediate branch.
    """
    if not config.intermediate:
        raise ValueError(
            f"`config` must have an intermediate branch, got {config.name!r} without one: it has no maps."
        )
    largest = get_variant(config.variant).max_state
    parts = [" → ".join(part).replace("_", " ") for part in config.skeleton.part_names]
    states = [f"{state:+d}" if state else "0" for state in range(-largest, largest + 1)]
    joints = [f"heatmap of {joint.replace('_', ' ')}" for joint in config.skeleton.joint_names]
    return (*(f"{part}, {state}" for part in parts for state in states), *joints)


def inspect_channels(
    model: HEMletsNet,
    samples: Sources | Iterable[Sample],
    *,
    max_samples: int | None = None,
    batch_size: int = 32,
    on_progress: Callable[[int], None] | None = None,
) -> ChannelReport:
    """Finds the channel of every map by correlating channels with the maps of known joints.

    Args:
        model: In any mode; it and all random generators stay as they are.
        samples: With 2D joints, and with parts' states or 3D joints; what is not known does not count.
        max_samples: Of a data set take so many, evenly spread; of anything else the first ones.
        batch_size: Pictures at once.
        on_progress: Is told after each batch how many samples were looked at.

    Raises:
        ValueError: If there are no samples, one is of another skeleton than the model, or the model has no
            intermediate branch.
        ImportError: If SciPy is not installed.
    """
    names = map_names(model.config)
    if batch_size < 1 or (max_samples is not None and max_samples < 1):
        raise ValueError(
            f"`batch_size` and `max_samples` must be positive, got {batch_size} and {max_samples}."
        )
    sums, count = _Sums(len(names)), 0
    with evaluating(model), torch.inference_mode():
        for batch in _in_batches(_chosen(samples, max_samples), batch_size, model.config.image_size):
            sums.add(*_channels_and_maps(model, batch))
            count += len(batch)
            if on_progress is not None:
                on_progress(count)
    if not count:
        raise ValueError("`samples` must hold at least one, got none. Is the folder or the split empty?")
    correlation = sums.correlation()  # (channels, maps)
    channels, margin, rivals = _assign(correlation)
    return ChannelReport(
        names=names,
        channels=channels,
        correlation=correlation[channels, torch.arange(len(names))],
        margin=margin,
        rivals=tuple(names[rival] for rival in rivals),
        num_shown=sums.shown.long(),
        num_samples=count,
    )


def reorder_channels(model: HEMletsNet, channels: Int[Tensor, "M"]) -> HEMletsNet:
    """A copy whose `triplets` and `heatmaps` come out in this library's order, with the same joints.

    The last layer of the branch is permuted, and so are the inputs of the encoder that reads it.

    Args:
        model: As it was trained.
        channels: For each map the channel that shows it: `ChannelReport.channels`.

    Raises:
        ValueError: If that is not a permutation of the branch's channels, or the model has no such branch.
    """
    count = len(map_names(model.config))
    if sorted(channels.tolist()) != list(range(count)):
        raise ValueError(
            f"`channels` must hold each of 0 … {count - 1} once, got {channels.tolist()}. Pass "
            "inspect_channels(…).channels."
        )
    reordered = copy.deepcopy(model)
    tail, reader = reordered.hemlets_branch.tail, reordered.encoder[0]
    assert isinstance(tail, nn.Conv2d) and isinstance(reader, nn.Conv2d) and tail.bias is not None
    with torch.no_grad():
        tail.weight.copy_(tail.weight[channels].clone())
        tail.bias.copy_(tail.bias[channels].clone())
        reader.weight.copy_(reader.weight[:, channels].clone())
    return reordered


class _Sums:
    """What Pearson's correlation of M channels with M maps needs, over samples where the map is known."""

    def __init__(self, size: int) -> None:
        zeros = torch.zeros(size, size, dtype=torch.float64)
        self.channel, self.channel_squared, self.product = zeros, zeros.clone(), zeros.clone()  # (c, map)
        self.map, self.map_squared, self.cells, self.shown = torch.zeros(4, size, dtype=torch.float64)

    def add(
        self, channels: Float[Tensor, "B M H W"], maps: Float[Tensor, "B M H W"], known: Bool[Tensor, "B M"]
    ) -> None:
        seen, drawn = channels.flatten(2).double(), maps.flatten(2).double() * known[..., None]
        weight = known.double()
        self.channel += seen.sum(-1).mT @ weight
        self.channel_squared += seen.square().sum(-1).mT @ weight
        self.product += torch.einsum("bcn,bmn->cm", seen, drawn)
        self.map += drawn.sum((0, 2))
        self.map_squared += drawn.square().sum((0, 2))
        self.cells += weight.sum(0) * seen.shape[-1]
        self.shown += (drawn.amax(-1) > HALF_A_PEAK).double().sum(0)

    def correlation(self) -> Float[Tensor, "M M"]:
        """Channel by map; 0 where either never changes."""
        covariance = self.product - self.channel * self.map / self.cells
        of_channel = self.channel_squared - self.channel.square() / self.cells
        of_map = self.map_squared - self.map.square() / self.cells
        return (covariance / (of_channel * of_map).clamp_min(0).sqrt()).nan_to_num(0, 0, 0).clamp(-1, 1)


def _channels_and_maps(
    model: HEMletsNet, samples: list[Sample]
) -> tuple[Float[Tensor, "B M H W"], Float[Tensor, "B M H W"], Bool[Tensor, "B M"]]:
    """What the branch puts out, what it should show, and where that is known; on the CPU."""
    config, batch = model.config, collate(samples)
    output = model(normalise(batch.images.to(next(model.parameters()).device)))
    targets = make_targets(batch, config)
    assert isinstance(targets.triplets, Tensor) and isinstance(targets.heatmaps, Tensor)  # both, and drawn
    assert targets.part_mask is not None and targets.joint_valid is not None
    states_known = targets.part_mask.repeat_interleave(config.num_states, dim=1)
    return (
        torch.cat([output.triplets.flatten(1, 2), output.heatmaps], 1).cpu(),
        torch.cat([targets.triplets.flatten(1, 2), targets.heatmaps], 1),
        torch.cat([states_known, targets.joint_valid], 1),
    )


def _assign(correlation: Float[Tensor, "M M"]) -> tuple[Int[Tensor, "M"], Float[Tensor, "M"], list[int]]:
    """For each map its channel, the margin, and the map that the channel would be next."""
    try:
        from scipy.optimize import linear_sum_assignment
    except ImportError as error:
        raise ImportError(
            "inspect_channels needs SciPy for the assignment; found none. Install it: pip install scipy."
        ) from error
    scores = -0.5 * (1 - correlation.clamp(0, _LARGEST_CORRELATION).square()).log().numpy()
    best = linear_sum_assignment(scores, maximize=True)[1]  # map of each channel
    total = scores[np.arange(len(best)), best].sum()
    channels, margin = np.argsort(best), np.empty(len(best))
    rivals = [0] * len(best)
    for channel, row in enumerate(best):
        without = scores.copy()
        without[channel, row] = -2 * abs(total) - 1  # worse than any assignment
        other = linear_sum_assignment(without, maximize=True)[1]
        margin[row] = total - scores[np.arange(len(other)), other].sum()
        rivals[row] = int(other[channel])
    return torch.from_numpy(channels), torch.from_numpy(margin), rivals


def _chosen(samples: Sources | Iterable[Sample], limit: int | None) -> Iterator[Sample]:
    each: Iterator[Any]
    if isinstance(samples, Sources):
        count = len(samples)
        places = range(count) if limit is None or limit >= count else np.arange(limit) * count // limit
        each = (samples[int(place)] for place in places)
    else:
        each = (sample for _, sample in zip(range(limit), samples, strict=False)) if limit else iter(samples)
    for sample in each:
        if not isinstance(sample, Sample):
            raise ValueError(
                f"`samples` must be Samples with known joints, got {type(sample).__name__}. Pictures alone "
                "do not tell which channel is which."
            )
        yield sample


def _in_batches(samples: Iterable[Sample], size: int, side: int) -> Iterator[list[Sample]]:
    batch: list[Sample] = []
    for sample in samples:
        batch.append(resize_sample(sample, side))
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
