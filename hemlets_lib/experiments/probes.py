"""What a mean error hides: where in space it lies, whether bones have their lengths and parts their order.

The paper claims more than millimetres: similar errors in the picture beside half the error in depth (Fig. 4),
bone lengths learnt implicitly (§3.1), less overfitting (§1). A probe measures what such claims are about.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch

from hemlets_lib.data.sample import Sample, collate
from hemlets_lib.metrics import mpjpe
from hemlets_lib.model import HEMletsNet
from hemlets_lib.prediction import predict
from hemlets_lib.triplets import part_lengths, polarity

__all__ = ["PROBED", "probe"]

PROBED = {
    "mpjpe_mm": "mean per joint position error, root upon root",
    "plane_mm": "its part parallel to the picture",
    "depth_mm": "its part along the line of sight",
    "bone_mm": "error of the parts' lengths",
    "order_percent": "parts of the predicted pose whose state, Eq. (1), is the true one",
}
"""What `probe` measures, and what each is."""


def probe(model: HEMletsNet, samples: Sequence[Sample], *, batch_size: int = 64) -> dict[str, float]:
    """A network's errors on samples with 3D joints, by direction and kind.

    Args:
        model: In any mode.
        samples: Of the model's skeleton; joints without a place in space are left out.
        batch_size: How many at once.

    Returns:
        The entries of `PROBED`: means over samples and joints or parts.

    Raises:
        ValueError: If no sample has 3D joints.
    """
    sums = dict.fromkeys(PROBED, 0.0)
    counts = dict.fromkeys(PROBED, 0)
    for batch in _in_batches(samples, batch_size):
        found = predict(model, batch, batch_size=batch_size, return_maps=False).joints_root_rel_mm
        for name, values in _errors(model, found, batch).items():
            sums[name] += values.sum().item()
            counts[name] += values.numel()
    if not all(counts.values()):
        raise ValueError(f"`samples` must have 3D joints, got {len(samples)} without.")
    return {name: sums[name] / counts[name] for name in PROBED}


def _errors(model: HEMletsNet, found: torch.Tensor, batch: list[Sample]) -> dict[str, torch.Tensor]:
    skeleton = model.config.skeleton
    truth = collate([replace(sample, image=sample.image[:1, :1]) for sample in batch]).joints_cam_mm
    valid = truth.isfinite().all(-1)
    truth = truth - truth[:, skeleton.root, None]
    off = (found - truth)[valid]
    parts = (valid[:, skeleton.part_parents] & valid[:, skeleton.part_children]).nonzero(as_tuple=True)
    lengths = (part_lengths(pose, skeleton)[parts] for pose in (found, truth))
    states = (polarity(pose, skeleton)[parts] for pose in (found, truth))
    return {
        "mpjpe_mm": mpjpe(predicted=found, target=truth, valid=valid),
        "plane_mm": off[:, :2].norm(dim=-1),
        "depth_mm": off[:, 2].abs(),
        "bone_mm": torch.sub(*lengths).abs(),
        "order_percent": 100.0 * torch.eq(*states).float(),
    }


def _in_batches(samples: Sequence[Sample], size: int) -> Iterator[list[Sample]]:
    for start in range(0, len(samples), size):
        there = [samples[index] for index in range(start, min(start + size, len(samples)))]
        if with_depth := [sample for sample in there if sample.joints_cam_mm is not None]:
            yield with_depth
