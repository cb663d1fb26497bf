"""A joint's volume in numbers: what the network scored, what is read out of it, and which part is shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from hemlets_lib.data.sample import Sample, collate, normalise, resize_sample
from hemlets_lib.geometry import Grid
from hemlets_lib.heatmaps import soft_argmax_3d
from hemlets_lib.model import HEMletsNet
from hemlets_lib.prediction import evaluating

__all__ = [
    "NEAR_CELLS",
    "REACH_CELLS",
    "JointScores",
    "ReadOut",
    "around",
    "middle_cell",
    "predict_volumes",
    "read_out",
    "two_peaks",
]

NEAR_CELLS = 2  # how far around a place probability is counted
REACH_CELLS = 7  # of the space shown, to each side of its middle; the smallest network's volume has 24 in all


@dataclass(frozen=True, eq=False)
class JointScores:
    """A joint's volume and where it lies.

    Args:
        logits: The scores of Eq. (5).
        grid: How the volume's axes are laid over its cells.
        truth: (x, y, z) in [-0.5, 0.5] along the volume's axes; NaN where there is none.
        to_mm: From such places to millimetres.
        ground: What the picture shows, grey.
    """

    logits: Float[Tensor, "D H W"]
    grid: Grid
    truth: Float[Tensor, "3"]
    to_mm: Callable[[Float[Tensor, "N 3"]], Float[Tensor, "N 3"]]
    ground: UInt8[np.ndarray, "S S 3"]


@dataclass(frozen=True, eq=False)
class ReadOut:
    """What a volume says at one temperature.

    Args:
        probs: The softmax of β times the scores.
        places: Expectation, arg-max and truth, (x, y, z) along the volume's axes.
        peak: The arg-max's cell, (depth, row, column).
        entropy_bits: Of the probabilities.
        near: Probability within `NEAR_CELLS` of expectation and arg-max.
    """

    probs: Float[Tensor, "D H W"]
    places: Float[Tensor, "3 3"]
    peak: tuple[int, int, int]
    entropy_bits: float
    near: tuple[float, float]

    @property
    def marginals(self) -> tuple[Float[Tensor, "W"], Float[Tensor, "H"], Float[Tensor, "D"]]:
        """Probability along x, y and z."""
        return self.probs.sum((0, 1)), self.probs.sum((0, 2)), self.probs.sum((1, 2))


def read_out(scores: JointScores, beta: float) -> ReadOut:
    """Expectation and arg-max of a joint's volume.

    Args:
        scores: The joint's.
        beta: What the scores are multiplied by; Eq. (5) has none, which is 1.

    Source: Eq. (5), after Sun et al. 2018.
    """
    logits = beta * scores.logits.double()
    probs = logits.flatten().softmax(0).unflatten(0, logits.shape)
    sizes = logits.shape[::-1]  # along x, y, z
    peak = np.unravel_index(int(scores.logits.argmax()), logits.shape)
    cells = torch.tensor([int(at) for at in peak[::-1]], dtype=torch.float64)
    arg_max = torch.stack([scores.grid.to_crop(cell, n) for cell, n in zip(cells, sizes, strict=True)])
    places = torch.stack([soft_argmax_3d(logits, grid=scores.grid), arg_max, scores.truth.double()])
    depth, row, column = torch.meshgrid(*(torch.arange(n) for n in logits.shape), indexing="ij")
    lattice = torch.stack([column, row, depth], -1)

    def near(place: Tensor) -> float:
        centre = torch.stack([scores.grid.to_cells(at, n) for at, n in zip(place, sizes, strict=True)])
        return float(probs[(lattice - centre).norm(dim=-1) <= NEAR_CELLS].sum())

    entropy = -float(torch.special.xlogy(probs, probs).sum()) / np.log(2)
    peak_cell = (int(peak[0]), int(peak[1]), int(peak[2]))
    return ReadOut(probs, places, peak_cell, entropy, (near(places[0]), near(places[1])))


def two_peaks(
    size: tuple[int, int, int], *, share: float = 0.6, sigma: float = 1.5, apart: float = 0.5
) -> Float[Tensor, "D H W"]:
    """Scores of a joint that is in front with one probability and right behind with the rest.

    Args:
        size: (depth, height, width) in cells.
        share: Of the peak in front.
        sigma: Of both peaks, cells.
        apart: How far they are from each other, as a share of the depth, with its middle between them.

    Returns:
        Logarithms of the mixture of two Gaussians.

    Raises:
        ValueError: If the share is not between 0 and 1.
    """
    if not 0 < share < 1:
        raise ValueError(f"`share` must be between 0 and 1, got {share}")
    depth, height, width = size
    grids = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) for n in size), indexing="ij")

    def log_peak(part: float, at: tuple[int, int, int]) -> Tensor:
        squared = sum((grid - place).square() for grid, place in zip(grids, at, strict=True))
        return np.log(part) - 0.5 * squared / sigma**2

    row, column = height // 3, width // 2
    front, behind = (
        log_peak(share, (int((1 - apart) / 2 * depth), row, column)),
        log_peak(1 - share, (int((1 + apart) / 2 * depth), row, column)),
    )
    return torch.logaddexp(front, behind)


def predict_volumes(model: HEMletsNet, sample: Sample) -> Float[Tensor, "J D H W"]:
    """The network's scores of all joints of a sample, which is resized to what the network takes."""
    images = collate([resize_sample(sample, model.config.image_size)]).images
    device = next(model.parameters()).device
    with evaluating(model), torch.no_grad():
        volume = model(normalise(images.to(device)), return_volume=True).volume
    return volume[0].cpu()


def middle_cell(scores: JointScores, found: ReadOut) -> tuple[int, int, int]:
    """The cell nearest to an expectation: the middle of the space shown, when β is 1.

    It stays where it is while β moves, so that the expectation is seen to wander.

    Args:
        scores: The joint's.
        found: Read out of them.

    Returns:
        Its column x, row y and depth z.
    """
    sizes = scores.logits.shape[::-1]
    cells = (float(scores.grid.to_cells(place, n)) for place, n in zip(found.places[0], sizes, strict=True))
    x, y, z = (min(max(round(cell), 0), n - 1) for cell, n in zip(cells, sizes, strict=True))
    return x, y, z


def around(volume: Float[Tensor, "D H W"], middle: tuple[int, int, int]) -> Float[Tensor, "S S S"]:
    """The part of a volume within `REACH_CELLS` of a cell; zero where the volume has ended.

    Args:
        volume: All of it.
        middle: The cell, (x, y, z).
    """
    padded = torch.nn.functional.pad(volume, (REACH_CELLS,) * 6)
    x, y, z = (slice(cell, cell + 2 * REACH_CELLS + 1) for cell in middle)
    return padded[z, y, x]
