"""The exercises of notebook 04: data."""

from __future__ import annotations

import torch
from torch import Tensor

from hemlets_lib.exercises.contract import Exercise
from hemlets_lib.exercises.inputs import random_tensor
from hemlets_lib.geometry import Grid

__all__ = ["EXERCISES"]


def _picture_position(u_crop: float, m: int, middle: float, side: float) -> float:
    return middle + side * Grid.CELL_CENTRED.to_crop(torch.tensor(u_crop), m).item()


def _project_opencv(joint: Tensor, f: Tensor, c: Tensor, k: Tensor, p: Tensor) -> Tensor:
    ray = joint[:2] / joint[2]
    r2 = ray.square().sum()
    radial = 1 + r2 * (k[0] + r2 * (k[1] + r2 * k[2]))
    tangential = 2 * ray * (p.flip(0) * ray).sum() + p.flip(0) * r2  # 2 p1 x y + p2 (r² + 2 x²), and so on
    return (ray * radial + tangential) * f + c


def _lens(x: float, y: float, k: tuple[float, ...], p: tuple[float, ...]) -> tuple[Tensor, ...]:
    """A joint and a camera for `_project_opencv`."""
    camera = torch.tensor([1145.0, 1143.8]), torch.tensor([512.5, 515.5])
    return torch.tensor([x, y, 4000.0]), *camera, torch.tensor(k), torch.tensor(p)


def _composed(first: Tensor, second: Tensor) -> Tensor:
    below = torch.tensor([[0.0, 0.0, 1.0]])
    return second @ torch.cat([first, below])


def _rows_per_source(ratios: Tensor, batch_size: int, offset: float) -> Tensor:
    points = (torch.arange(batch_size) + offset) / batch_size
    owners = torch.bucketize(points, ratios.cumsum(0)[:-1] / ratios.sum(), right=True)
    return owners.bincount(minlength=len(ratios))


EXERCISES: dict[str, Exercise] = {
    "04.1": Exercise(
        "Where in the picture a position of the crop lies.",
        _picture_position,
        ((0.0, 8, 1.5, 4.0), (31.5, 64, 512.0, 400.0), (-0.5, 64, 512.0, 400.0), (7.0, 5, 30.25, 16.0)),
    ),
    "04.2": Exercise(
        "OpenCV's projection.",
        _project_opencv,
        (
            _lens(400.0, -300.0, (-0.2, 0.0, 0.0), (0.0, 0.0)),
            _lens(900.0, 500.0, (-0.2, 0.25, -0.003), (0.0, 0.0)),
            _lens(900.0, 500.0, (-0.2, 0.25, -0.003), (-0.0014, -0.001)),
        ),
    ),
    "04.3": Exercise(
        "Two affine maps as one.",
        _composed,
        tuple((random_tensor(2, 3, seed=seed), random_tensor(2, 3, seed=seed + 5)) for seed in range(3)),
    ),
    "04.4": Exercise(
        "The rows of each source in a batch.",
        _rows_per_source,
        (
            (torch.tensor([1.0, 1.0]), 8, 0.5),
            (torch.tensor([2.0, 1.0]), 4, 0.25),
            (torch.tensor([2.0, 1.0]), 4, 0.75),
            (torch.tensor([5.0, 2.0, 1.5]), 17, 0.4),
        ),
    ),
}
