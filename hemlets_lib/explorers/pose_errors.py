"""The numbers of the pose viewer and the error explorer: a predicted pose against the true one.

An error is told per joint, as the metrics count it, and per part: how far a part's own vector (child minus
parent) is off. A forearm that is right hangs on a wrong elbow, and only the part's number says so.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
import torch
from jaxtyping import Float, Int
from matplotlib.colors import to_hex
from torch import Tensor

from hemlets_lib.data.sample import Sample
from hemlets_lib.explorers.common import known_in_space, to_plot_space
from hemlets_lib.geometry import cam_to_crop, crop_to_px, procrustes, root_relative
from hemlets_lib.metrics import EVALUATED_JOINTS, joint_errors
from hemlets_lib.model import HEMletsNet
from hemlets_lib.prediction import Prediction, predict
from hemlets_lib.skeleton import Skeleton
from hemlets_lib.triplets import polarity

__all__ = ["BINS", "FITS", "Bin", "Fit", "PoseErrors", "bin_of", "compare_poses", "drawn_motion"]

_MOTION_PX = 128
FITS = ("root upon root (MPJPE)", "best similarity (PA-MPJPE)")


@dataclass(frozen=True)
class Bin:
    """Errors that look alike.

    Args:
        below_mm: They are smaller than this.
        name: In the legend.
        colour: Of cividis, the darker the worse.
        symbol: So that colour is not needed.
    """

    below_mm: float
    name: str
    colour: str
    symbol: str


def _cividis(share: float) -> str:
    return to_hex(mpl.colormaps["cividis"](share))


# Plotly draws symbols of a space as letters, and `x` and `cross` are in few fonts.
BINS = (
    Bin(30, "error < 30 mm", _cividis(0.97), "circle"),
    Bin(60, "30–60 mm", _cividis(0.68), "square"),
    Bin(120, "60–120 mm", _cividis(0.36), "diamond"),
    Bin(float("inf"), "≥ 120 mm", _cividis(0.0), "square-open"),
)


def bin_of(error_mm: float) -> int:
    """Which of `BINS` an error in millimetres falls into."""
    return next(number for number, each in enumerate(BINS) if error_mm < each.below_mm)


@dataclass(frozen=True, eq=False)
class Fit:
    """A prediction laid on the true pose in one of the ways of `FITS`.

    Args:
        points: Its joints in plot space, millimetres.
        joint_mm: Each joint's distance from the truth.
        part_mm: How far each part's vector is from the true one.
        mean_mm: Over the joints that the metrics count: MPJPE or PA-MPJPE.
        away_mm, across_mm: Mean distance of those along the line of sight, and across it.
    """

    points: Float[np.ndarray, "J 3"]
    joint_mm: Float[np.ndarray, "J"]
    part_mm: Float[np.ndarray, "K"]
    mean_mm: float
    away_mm: float
    across_mm: float


@dataclass(frozen=True, eq=False)
class PoseErrors:
    """One sample's prediction against its labels.

    Args:
        sample: Its picture and labels.
        true_px, predicted_px: Joints in the picture.
        true_mm: The true joints about their root, camera axes.
        fits: The prediction laid on them, by the names in `FITS`.
        true_states, predicted_states: Polarity of each part, Eq. (1), both of the poses in space.
        turned_deg: Angle between each part's true and predicted direction, root upon root.
        mean_px: 2D error, mean over the joints that the metrics count.
    """

    sample: Sample
    true_px: Float[np.ndarray, "J 2"]
    predicted_px: Float[np.ndarray, "J 2"]
    true_mm: Float[Tensor, "J 3"]
    fits: Mapping[str, Fit]
    true_states: Int[np.ndarray, "K"]
    predicted_states: Int[np.ndarray, "K"]
    turned_deg: Float[np.ndarray, "K"]
    mean_px: float

    @property
    def name(self) -> str:
        """Who does what."""
        meta = self.sample.meta
        return " ".join(filter(None, (meta.subject, meta.action))) or meta.sample_id or "sample"

    @property
    def true_points(self) -> Float[np.ndarray, "J 3"]:
        """The true joints in plot space, millimetres."""
        return to_plot_space(self.true_mm)

    @property
    def mpjpe(self) -> float:
        """Root upon root, millimetres."""
        return self.fits[FITS[0]].mean_mm

    @property
    def pa_mpjpe(self) -> float:
        """After the best similarity, millimetres."""
        return self.fits[FITS[1]].mean_mm


def compare_poses(
    samples: Sequence[Sample] | None,
    predictions: Prediction | Float[Tensor, "N J 3"] | None,
    skeleton: Skeleton,
) -> list[PoseErrors]:
    """Every prediction against its sample; samples without all joints in space are left out.

    Args:
        samples: The shipped ones for None.
        predictions: Of `predict` for these samples, or poses in camera axes and millimetres about any
            origin, which are drawn with their root on the true one; the shipped network's for None.
        skeleton: Of both.

    Raises:
        ValueError: If no sample has all joints in space, there is not one prediction for each sample, or
            one is not finite.
    """
    if samples is None:
        from hemlets_lib.data.samples import load_samples

        samples = load_samples()
    given = [samples[place] for place in range(len(samples))]
    known = known_in_space(given, skeleton)
    if predictions is None:
        given, predictions = known, predict(_shipped_network(), known, return_maps=False)
    kept = {id(sample) for sample in known}
    rows = [row for row, sample in enumerate(given) if id(sample) in kept]
    told = predictions.joints_root_rel_mm if isinstance(predictions, Prediction) else predictions
    expected = (len(given), skeleton.num_joints, 3)
    if tuple(told.shape) != expected:
        raise ValueError(
            f"`predictions` must hold a pose for each sample, {expected}, got {tuple(told.shape)}. Pass "
            "what `predict` gave for these samples, in their order."
        )
    if wrong := [row for row in rows if not bool(told[row].isfinite().all())]:
        raise ValueError(
            f"`predictions` must be finite, got a joint that is not for sample {wrong[0]}. Leave that "
            "sample out."
        )
    crops = predictions.joints_crop[rows] if isinstance(predictions, Prediction) else None
    return _compared(known, told[rows].double().cpu(), crops, skeleton)


def _compared(
    samples: list[Sample],
    predicted_mm: Float[Tensor, "N J 3"],
    predicted_crop: Float[Tensor, "N J 3"] | None,
    skeleton: Skeleton,
) -> list[PoseErrors]:
    root, parents, children = skeleton.root, skeleton.part_parents, skeleton.part_children
    labels_mm = torch.stack([each.joints_cam_mm for each in samples if each.joints_cam_mm is not None])
    labels_mm = labels_mm.double()
    true_mm, predicted_mm = root_relative(labels_mm, root), root_relative(predicted_mm, root)
    counted = torch.arange(skeleton.num_joints) < EVALUATED_JOINTS
    aligned_mm = procrustes(predicted_mm, true_mm, valid=counted.expand(len(samples), -1))
    true_parts = true_mm[:, children] - true_mm[:, parents]
    fits: list[dict[str, Fit]] = [{} for _ in samples]
    for name, laid_mm in zip(FITS, (predicted_mm, aligned_mm), strict=True):
        joint_mm = joint_errors(predicted=laid_mm, target=true_mm, joints=None, root=None)
        part_mm = (laid_mm[:, children] - laid_mm[:, parents] - true_parts).norm(dim=-1)
        off = (laid_mm - true_mm)[:, counted]
        for row, own in enumerate(fits):
            own[name] = Fit(
                to_plot_space(laid_mm[row]), joint_mm[row].numpy(), part_mm[row].numpy(),
                float(joint_mm[row, counted].mean()), float(off[row, :, 2].abs().mean()),
                float(off[row, :, :2].norm(dim=-1).mean()),
            )  # fmt: skip
    predicted_parts = predicted_mm[:, children] - predicted_mm[:, parents]
    cosine = torch.nn.functional.cosine_similarity(true_parts, predicted_parts, dim=-1).clamp(-1, 1)
    turned_deg = torch.rad2deg(torch.acos(cosine)).numpy()
    states = [polarity(pose, skeleton).numpy() for pose in (true_mm, predicted_mm)]
    found = []
    for row, sample in enumerate(samples):
        assert sample.camera is not None  # as `known_in_space` chose
        if predicted_crop is not None:
            crop = predicted_crop[row]
        else:
            placed_mm = (predicted_mm[row] + labels_mm[row, root]).float()
            crop = cam_to_crop(placed_mm, sample.camera, sample.affine, size=sample.size, root=root)
        true_px, predicted_px = (
            crop_to_px(joints[:, :2].double(), sample.size) for joints in (sample.joints_crop, crop)
        )
        found.append(
            PoseErrors(
                sample, true_px.numpy(), predicted_px.numpy(), true_mm[row], fits[row],
                states[0][row], states[1][row], turned_deg[row],
                float((true_px - predicted_px)[counted].norm(dim=-1).mean()),
            )
        )  # fmt: skip
    return found


@functools.cache
def _shipped_network() -> HEMletsNet:
    from hemlets_lib.checkpoint import load_checkpoint
    from hemlets_lib.data.samples import find_weights

    return load_checkpoint(find_weights("nano")).model


@functools.cache
def drawn_motion() -> tuple[Sample, ...]:
    """A drawn take that no network was trained on.

    Returns:
        Two seconds of it, ten frames a second.
    """
    from hemlets_lib.data.synthetic import render_sample

    return tuple(
        render_sample("S11", "WalkDog", seed=21, frame=frame, camera="60457274", size=_MOTION_PX)
        for frame in range(200, 300, 5)
    )
