"""The exercises of notebook 04: data."""

from __future__ import annotations

import torch
from torch import Tensor

from hemlets_lib.exercises.contract import Exercise, Mistake
from hemlets_lib.exercises.inputs import random_tensor
from hemlets_lib.geometry import Grid

__all__ = ["EXERCISES"]


def _picture_position(u_crop: float, m: int, middle: float, side: float) -> float:
    return middle + side * Grid.CELL_CENTRED.to_crop(torch.tensor(u_crop), m).item()


_PICTURE_POSITION_MISTAKES = (
    Mistake(
        "half a pixel of the crop is missing: whole numbers are the centres of pixels, so the crop begins at "
        "-0.5 and not at 0",
        lambda u_crop, m, middle, side: middle - side / 2 + side / m * u_crop,
    ),
    Mistake(
        "everything lies half a pixel of the picture too far left: `middle` is a position in the picture "
        "already, so the last ½ of Eq. (4.4) has no place here",
        lambda u_crop, m, middle, side: middle - side / 2 + side / m * (u_crop + 0.5) - 0.5,
    ),
    Mistake(
        "the half pixel has the wrong sign: the crop begins at -0.5, and its first pixel's centre lies to "
        "the right of that",
        lambda u_crop, m, middle, side: middle - side / 2 + side / m * (u_crop - 0.5),
    ),
    Mistake(
        "the magnification is upside down: `side` pixels of the picture became `m`, and you are going back",
        lambda u_crop, m, middle, side: middle - side / 2 + m / side * (u_crop + 0.5),
    ),
    Mistake(
        "your box begins at `middle`: it lies about it, half of it on either side",
        lambda u_crop, m, middle, side: middle + side / m * (u_crop + 0.5),
    ),
    Mistake(
        "you lay the centres of the first and the last pixel on the box's edges: it is the pixels' outer "
        "edges that lie there, so `m` pixels span the box",
        lambda u_crop, m, middle, side: middle - side / 2 + side / (m - 1) * u_crop,
    ),
    Mistake(
        "that is crop space, which spans one unit: stretch it to the box and carry it to `middle`",
        lambda u_crop, m, middle, side: (u_crop + 0.5) / m - 0.5,
    ),
)


def _project_opencv(joint: Tensor, f: Tensor, c: Tensor, k: Tensor, p: Tensor) -> Tensor:
    ray = joint[:2] / joint[2]
    r2 = ray.square().sum()
    radial = 1 + r2 * (k[0] + r2 * (k[1] + r2 * k[2]))
    tangential = 2 * ray * (p.flip(0) * ray).sum() + p.flip(0) * r2  # 2 p1 x y + p2 (r² + 2 x²), and so on
    return (ray * radial + tangential) * f + c


def _project_human36m(joint: Tensor, f: Tensor, c: Tensor, k: Tensor, p: Tensor) -> Tensor:
    ray = joint[:2] / joint[2]
    r2 = ray.square().sum()
    factor = 1 + k[0] * r2 + k[1] * r2**2 + k[2] * r2**3 + (p.flip(0) * ray).sum()
    return (ray * factor + p.flip(0) * r2) * f + c


def _project_by_r(joint: Tensor, f: Tensor, c: Tensor, k: Tensor, p: Tensor) -> Tensor:
    """With r where r² belongs, in every power."""
    x, y = ray = joint[:2] / joint[2]
    r = ray.norm()
    radial = 1 + k[0] * r + k[1] * r**2 + k[2] * r**3
    return torch.stack(
        [
            f[0] * (x * radial + 2 * p[0] * x * y + p[1] * (r + 2 * x * x)) + c[0],
            f[1] * (y * radial + p[0] * (r + 2 * y * y) + 2 * p[1] * x * y) + c[1],
        ]
    )


def _project_once(joint: Tensor, f: Tensor, c: Tensor, k: Tensor, p: Tensor) -> Tensor:
    """Without the 2 before x² and y²."""
    ray = joint[:2] / joint[2]
    return _project_opencv(joint, f, c, k, p) - p.flip(0) * ray.square() * f


_PROJECT_OPENCV_MISTAKES = (
    Mistake(
        "that is still Human3.6M's formula, Eq. (4.2): OpenCV's tangential terms stand outside the radial "
        "factor, and are not the same ones",
        _project_human36m,
    ),
    Mistake(
        "p_1 and p_2 have changed places: look at which of the two stands before r² in u, and which in v",
        lambda joint, f, c, k, p: _project_opencv(joint, f, c, k, p.flip(0)),
    ),
    Mistake(
        "the tangential terms are missing: you agree where `p` is 0 and nowhere else",
        lambda joint, f, c, k, p: _project_opencv(joint, f, c, k, 0 * p),
    ),
    Mistake(
        "the radial factor is missing: you agree only where all of `k` is 0",
        lambda joint, f, c, k, p: _project_opencv(joint, f, c, 0 * k, p),
    ),
    Mistake(
        "x and y are still millimetres: r² is taken of the *ray*, the joint divided by its depth",
        lambda joint, f, c, k, p: _project_opencv(torch.cat([joint[:2], joint.new_ones(1)]), f, c, k, p),
    ),
    Mistake(
        "you have r where r² belongs: the square of a length needs no root, and r⁴ is the square of r²",
        _project_by_r,
    ),
    Mistake(
        "a factor of 2 is lost in the tangential terms: it stands before x² in u, and before y² in v",
        _project_once,
    ),
    Mistake(
        "the radial series ends too early: it has a term in r⁶, small except in the picture's corners",
        lambda joint, f, c, k, p: _project_opencv(joint, f, c, k * k.new_tensor([1.0, 1.0, 0.0]), p),
    ),
    Mistake(
        "the picture's centre is added too early: `f` stretches the bent ray, and `c` comes after that",
        lambda joint, f, c, k, p: (_project_opencv(joint, f, c, k, p) - c) + f * c,
    ),
)


def _lens(x: float, y: float, k: tuple[float, ...], p: tuple[float, ...]) -> tuple[Tensor, ...]:
    """A joint and a camera for `_project_opencv`."""
    camera = torch.tensor([1145.0, 1143.8]), torch.tensor([512.5, 515.5])
    return torch.tensor([x, y, 4000.0]), *camera, torch.tensor(k), torch.tensor(p)


def _composed(first: Tensor, second: Tensor) -> Tensor:
    below = torch.tensor([[0.0, 0.0, 1.0]])
    return second @ torch.cat([first, below])


def _map(linear: Tensor, shift: Tensor) -> Tensor:
    return torch.cat([linear, shift[:, None]], -1)


_COMPOSED_MISTAKES = (
    Mistake(
        "the order is reversed: `first` acts first, so its matrix stands next to the point, on the right",
        lambda first, second: _composed(second, first),
    ),
    Mistake(
        "the two shifts are only added: the first one goes through `second` as well, and is turned and "
        "scaled there",
        lambda first, second: _map(second[:, :2] @ first[:, :2], first[:, 2] + second[:, 2]),
    ),
    Mistake(
        "the shift of `second` is lost: put the point 0 through both maps and see where it lands",
        lambda first, second: second[:, :2] @ first,
    ),
    Mistake(
        "the shift of `first` is lost: put the point 0 through both maps and see where it lands",
        lambda first, second: _map(second[:, :2] @ first[:, :2], second[:, 2]),
    ),
    Mistake(
        "the 2 × 2 parts are multiplied entry by entry: it takes the product of matrices",
        lambda first, second: _map(second[:, :2] * first[:, :2], second[:, :2] @ first[:, 2] + second[:, 2]),
    ),
    Mistake(
        "the shift is right and the 2 × 2 parts are multiplied in the wrong order: compare it with the order "
        "in which the shift of `first` goes through",
        lambda first, second: _map(first[:, :2] @ second[:, :2], second[:, :2] @ first[:, 2] + second[:, 2]),
    ),
    Mistake(
        "the matrix is right and still has the row (0, 0, 1) that made the product possible: a map of the "
        "plane is (2, 3) here",
        lambda first, second: torch.cat([_composed(first, second), torch.tensor([[0.0, 0.0, 1.0]])]),
    ),
)


def _rows_per_source(ratios: Tensor, batch_size: int, offset: float) -> Tensor:
    return _owners(ratios, batch_size, offset).bincount(minlength=len(ratios))


def _owners(ratios: Tensor, batch_size: int, offset: float) -> Tensor:
    """Whose piece of the unit interval each of the batch's points lies in."""
    points = (torch.arange(batch_size) + offset) / batch_size
    return torch.bucketize(points, ratios.cumsum(0)[:-1] / ratios.sum(), right=True)


def _differences(ends: Tensor) -> Tensor:
    return ends.diff(prepend=ends.new_zeros(1)).long()


def _rest_to_the_last(ratios: Tensor, batch_size: int, offset: float) -> Tensor:
    rows = (batch_size * ratios / ratios.sum()).floor()
    rows[-1] = batch_size - rows[:-1].sum()
    return rows.long()


_ROWS_MISTAKES = (
    Mistake(
        "each source is rounded by itself, so the rows need not sum to the batch size: round the *ends* of "
        "the pieces, and take differences",
        lambda ratios, batch_size, offset: (batch_size * ratios / ratios.sum()).round().long(),
    ),
    Mistake(
        "the last source always gets the rest: by Eq. (4.8) rounding up and down take turns, and the offset "
        "says whose turn it is",
        _rest_to_the_last,
    ),
    Mistake(
        "the offset does nothing in your answer: with it the counts differ from step to step",
        lambda ratios, batch_size, offset: _differences(
            (batch_size * ratios.cumsum(0) / ratios.sum()).ceil()
        ),
    ),
    Mistake(
        "a row is missing from the first source: you round down, and then ⌊0 - o⌋ is not 0",
        lambda ratios, batch_size, offset: _differences(
            (batch_size * ratios.cumsum(0) / ratios.sum() - offset).floor()
        ),
    ),
    Mistake(
        "the offset has the wrong sign: it moves the points to the right, so fewer of them lie below each "
        "end",
        lambda ratios, batch_size, offset: _differences(
            (batch_size * ratios.cumsum(0) / ratios.sum() + offset).ceil()
        ),
    ),
    Mistake(
        "the ratios are taken for shares: they need not sum to 1, so 2 : 1 and 4 : 2 must give the same",
        lambda ratios, batch_size, offset: _differences((batch_size * ratios.cumsum(0) - offset).ceil()),
    ),
    Mistake(
        "these are rows counted up to the end of each source: W_s and W_(s-1) are told apart by a difference",
        lambda ratios, batch_size, offset: _rows_per_source(ratios, batch_size, offset).cumsum(0),
    ),
    Mistake(
        "these are the owners of the rows, one number for each row: count how many belong to each source",
        _owners,
    ),
)


EXERCISES: dict[str, Exercise] = {
    "04.1": Exercise(
        "Where in the picture a position of the crop lies.",
        _picture_position,
        ((0.0, 8, 1.5, 4.0), (31.5, 64, 512.0, 400.0), (-0.5, 64, 512.0, 400.0), (7.0, 5, 30.25, 16.0)),
        _PICTURE_POSITION_MISTAKES,
    ),
    "04.2": Exercise(
        "OpenCV's projection.",
        _project_opencv,
        (
            _lens(400.0, -300.0, (-0.2, 0.0, 0.0), (0.0, 0.0)),
            _lens(900.0, 500.0, (-0.2, 0.25, -0.003), (0.0, 0.0)),
            _lens(900.0, 500.0, (-0.2, 0.25, -0.003), (-0.0014, -0.001)),
            _lens(2400.0, -1900.0, (-0.2, 0.25, -0.1), (0.01, -0.004)),  # a corner, and a bad lens
        ),
        _PROJECT_OPENCV_MISTAKES,
    ),
    "04.3": Exercise(
        "Two affine maps as one.",
        _composed,
        tuple((random_tensor(2, 3, seed=seed), random_tensor(2, 3, seed=seed + 5)) for seed in range(3)),
        _COMPOSED_MISTAKES,
    ),
    "04.4": Exercise(
        "The rows of each source in a batch.",
        _rows_per_source,
        (
            (torch.tensor([1.0, 1.0]), 8, 0.5),
            (torch.tensor([2.0, 1.0]), 4, 0.25),
            (torch.tensor([2.0, 1.0]), 4, 0.75),
            (torch.tensor([1.0, 1.0, 1.0]), 4, 0.5),
            (torch.tensor([1.0, 1.0, 1.0]), 4, 0.9),
            (torch.tensor([5.0, 2.0, 1.5]), 17, 0.4),
        ),
        _ROWS_MISTAKES,
    ),
}
