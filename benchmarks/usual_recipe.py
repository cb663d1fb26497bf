"""The usual training recipe of this field, as one would write it today, to be compared with.

Each sample is read, turned, scaled, mirrored and recoloured on its own on the CPU, in loader processes
(Pillow and NumPy). Its target maps are made there too, a Gaussian at a time over the whole map. The network
computes in float32 with PyTorch's defaults, ordinary Adam updates it, and every step asks for its loss. The
losses themselves are the library's, so that both learn the same. `training_step.py` times it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from hemlets_lib import hemlets_loss
from hemlets_lib.augment import AugmentConfig
from hemlets_lib.data import Sample
from hemlets_lib.data.images import FILL_RGB
from hemlets_lib.data.mixing import Source
from hemlets_lib.data.sample import IMAGENET_MEAN, IMAGENET_STD
from hemlets_lib.losses import Targets
from hemlets_lib.model import ModelConfig
from hemlets_lib.recipes import TrainConfig
from hemlets_lib.triplets import UNKNOWN


class Change(NamedTuple):
    """What is done to one sample."""

    rotation_deg: float = 0.0
    scale: float = 1.0
    flip: bool = False
    gains: tuple[float, float, float] = (1.0, 1.0, 1.0)


def draw_change(config: AugmentConfig, random: np.random.Generator) -> Change:
    """Drawn anew for each sample, from the ranges of our own augmentation."""
    low, high = 1 - config.channel_gain, 1 + config.channel_gain
    brightness = random.uniform(1 - config.brightness, 1 + config.brightness)
    return Change(
        random.uniform(-config.rotation_deg, config.rotation_deg),
        random.uniform(*config.scale),
        random.random() < config.flip,
        tuple(brightness * random.uniform(low, high, 3)),
    )


def gaussian(x: float, y: float, size: int, sigma: float) -> np.ndarray:
    """A map of (size, size) cells with a peak at (x, y), in cells."""
    columns, rows = np.meshgrid(np.arange(size), np.arange(size))
    return np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * sigma**2)).astype(np.float32)


def change_sample(sample: Sample, change: Change, shape: ModelConfig) -> dict[str, np.ndarray]:
    """A sample's picture, joints and targets, one array each.

    Args:
        sample: With a picture of any size.
        change: What is done to it.
        shape: The network's config: what the picture is brought to, and the maps' size.

    Returns:
        `image` (3, H, W), `joints` (J, 3), `joint_valid`, `has_depth` (J,), `triplets` (K, 3, H, W),
        `part_mask` (K,) and `heatmaps` (J, H, W).
    """
    skeleton, side = shape.skeleton, shape.image_size
    joints, states = sample.joints_crop.numpy().copy(), sample.part_states.numpy().copy()
    valid, has_depth = sample.joint_valid.numpy(), sample.depth_valid.numpy()
    angle = math.radians(change.rotation_deg)
    forward = change.scale * np.array(
        [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
    )
    if change.flip:
        forward[0] *= -1
        order, parts = list(skeleton.flip_permutation), list(skeleton.part_flip_permutation)
        joints, states, valid, has_depth = joints[order], states[parts], valid[order], has_depth[order]
    joints[:, :2] = joints[:, :2] @ forward.T.astype(np.float32)
    joints[~valid, :2] = 0

    back = np.linalg.inv(forward) * sample.size / side  # Pillow wants to know where each pixel comes from
    offset = sample.size / 2 - back @ (side / 2, side / 2)
    matrix = (*back[0], offset[0], *back[1], offset[1])
    picture = Image.fromarray(sample.image).transform(
        (side, side), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR, fillcolor=FILL_RGB
    )
    pixels = np.clip(np.asarray(picture, dtype=np.float32) * change.gains, 0, 255) / 255
    image = ((pixels - IMAGENET_MEAN) / IMAGENET_STD).astype(np.float32).transpose(2, 0, 1)

    size, sigma = shape.heatmap_size, shape.sigma
    centred = shape.grid == "cell_centred"
    cells = (joints[:, :2] + 0.5) * (size if centred else size - 1) - (0.5 if centred else 0)
    heatmaps = np.zeros((skeleton.num_joints, size, size), np.float32)
    for joint in range(skeleton.num_joints):
        if valid[joint]:
            heatmaps[joint] = gaussian(*cells[joint], size, sigma)
    triplets = np.zeros((skeleton.num_parts, 3, size, size), np.float32)
    mask = np.zeros(skeleton.num_parts, bool)
    for part, (parent, child) in enumerate(zip(skeleton.part_parents, skeleton.part_children, strict=True)):
        mask[part] = states[part] != UNKNOWN and valid[parent] and valid[child]
        if mask[part]:
            triplets[part, 1] = gaussian(*cells[parent], size, sigma)
            place = triplets[part, states[part] + 1]
            np.maximum(place, gaussian(*cells[child], size, sigma), out=place)
    return {
        "image": image, "joints": joints, "joint_valid": valid, "has_depth": has_depth,
        "triplets": triplets, "part_mask": mask, "heatmaps": heatmaps,
    }  # fmt: skip


class UsualDataset(Dataset):
    """Samples, each changed at random whenever it is asked for."""

    def __init__(self, samples: Source, config: TrainConfig, length: int) -> None:
        self._samples, self._config, self._length = samples, config, length

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, number: int) -> dict[str, np.ndarray]:
        sample = self._samples[number % len(self._samples)]
        change = draw_change(self._config.augmentation, np.random.default_rng(number))
        return change_sample(sample, change, self._config.model)


def usual_batches(
    samples: Source, config: TrainConfig, steps: int, *, workers: int, pin_memory: bool
) -> Iterator[dict[str, Tensor]]:
    """Batches for so many steps, made by loader processes."""
    data = UsualDataset(samples, config, steps * config.batch_size)
    return iter(DataLoader(data, config.batch_size, num_workers=workers, pin_memory=pin_memory))


def usual_targets(batch: dict[str, Tensor]) -> Targets:
    """The maps of a batch, under the names that the loss knows them by."""
    return Targets(
        batch["joints"], batch["joint_valid"], batch["has_depth"], batch["triplets"], batch["part_mask"],
        batch["heatmaps"],
    )  # fmt: skip


def usual_step(
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    batches: Iterator[dict[str, Tensor]],
    config: TrainConfig,
    device: str,
) -> float:
    """One step; its loss."""
    shape = config.model
    batch = {name: values.to(device) for name, values in next(batches).items()}
    output = network(batch["image"])
    terms = hemlets_loss(
        output, usual_targets(batch), size=shape.volume_size, grid=shape.grid, alpha=config.alpha
    )
    optimiser.zero_grad()
    terms.total.backward()
    if config.gradient_clip is not None:
        torch.nn.utils.clip_grad_norm_(network.parameters(), config.gradient_clip)
    optimiser.step()
    return terms.total.item()
