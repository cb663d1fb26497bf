"""Answers to the exercises of notebook 04."""

import math

import numpy as np
import torch

# 04.1, where in the picture a position of the crop lies


def by_edges(u_crop, m, middle, side):
    left, right = middle - side / 2, middle + side / 2
    return left + (right - left) * (u_crop + 0.5) / m


def by_middles(u_crop, m, middle, side):
    return middle + (u_crop - (m - 1) / 2) * side / m


def without_halves(u_crop, m, middle, side):
    return middle + (u_crop / m - 0.5) * side


def with_two_halves(u_crop, m, middle, side):
    """Eq. (4.4) as it stands, moved to the box."""
    return (u_crop + 0.5) * side / m - 0.5 + (middle - side / 2)


def with_a_negative_half(u_crop, m, middle, side):
    return middle + ((u_crop - 0.5) / m - 0.5) * side


def upside_down(u_crop, m, middle, side):
    zoom = m / side
    return (u_crop + 0.5) * zoom + middle - 0.5 * side


def from_the_middle(u_crop, m, middle, side):
    return middle + (u_crop + 0.5) * (side / m)


def on_corners(u_crop, m, middle, side):
    along = u_crop / (m - 1)
    return (1 - along) * (middle - side / 2) + along * (middle + side / 2)


def in_crop_space(u_crop, m, middle, side):
    return (2 * u_crop + 1 - m) / (2 * m)


# 04.2, OpenCV's projection


def scalars(joint, f, c, k, p):
    x, y, z = (float(value) for value in joint)
    x, y = x / z, y / z
    r2 = x**2 + y**2
    radial = 1 + sum(float(k[i]) * r2 ** (i + 1) for i in range(3))
    p1, p2 = p.tolist()
    u = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x**2)
    v = y * radial + p1 * (r2 + 2 * y**2) + 2 * p2 * x * y
    return [float(f[0]) * u + float(c[0]), float(f[1]) * v + float(c[1])]


def arrays(joint, f, c, k, p):
    joint, f, c, k, p = (np.asarray(value, dtype=float) for value in (joint, f, c, k, p))
    x, y = joint[:2] / joint[2]
    r2 = np.hypot(x, y) ** 2
    radial = np.polyval([k[2], k[1], k[0], 1.0], r2)
    return (
        f
        * np.array(
            [
                x * radial + 2 * p[0] * x * y + p[1] * (r2 + 2 * x * x),
                y * radial + p[0] * (r2 + 2 * y * y) + 2 * p[1] * x * y,
            ]
        )
        + c
    )


def bent(joint, f, c, k, p, *, terms=3, tangential=True, twice=2.0, power=1.0, swapped=False):
    """The formula in arrays, with what can be got wrong as options."""
    joint, f, c, k, p = (np.asarray(value, dtype=float) for value in (joint, f, c, k, p))
    x, y = joint[:2] / joint[2]
    r2 = (x * x + y * y) ** power
    radial = 1 + sum(k[i] * r2 ** (i + 1) for i in range(terms))
    p1, p2 = (p[::-1] if swapped else p) * tangential
    u = x * radial + 2 * p1 * x * y + p2 * (r2 + twice * x * x)
    v = y * radial + 2 * p2 * x * y + p1 * (r2 + twice * y * y)
    return np.array([u, v]) * f + c


def of_human36m(joint, f, c, k, p):
    x, y = (joint[:2] / joint[2]).tolist()
    r2 = x * x + y * y
    g = 1 + k[0] * r2 + k[1] * r2**2 + k[2] * r2**3 + p[0] * y + p[1] * x
    return torch.stack([f[0] * (g * x + p[1] * r2) + c[0], f[1] * (g * y + p[0] * r2) + c[1]])


def without_dividing(joint, f, c, k, p):
    return bent(np.array([joint[0], joint[1], 1.0]), f, c, k, p)


def centre_first(joint, f, c, k, p):
    ray = bent(joint, np.ones(2), np.zeros(2), k, p)
    return (ray + c.numpy()) * f.numpy()


# 04.3, two affine maps as one


def squares(matrix):
    return np.vstack([np.asarray(matrix, dtype=float), [0, 0, 1]])


def one_matrix(first, second):
    return (squares(second) @ squares(first))[:2]


def by_three_points(first, second):
    """Where the origin and the two unit steps land."""
    points = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    for each in (first, second):
        points = points @ each[:, :2].T + each[:, 2]
    return torch.stack([points[1] - points[0], points[2] - points[0], points[0]], dim=-1)


def loops(first, second):
    result = torch.zeros(2, 3)
    for i in range(2):
        for j in range(3):
            result[i, j] = sum(second[i, n] * first[n, j] for n in range(2))
        result[i, 2] += second[i, 2]
    return result


def glued(linear, shift):
    return np.concatenate([np.asarray(linear), np.asarray(shift)[:, None]], axis=1)


def split(matrix):
    matrix = np.asarray(matrix)
    return matrix[:, :2], matrix[:, 2]


def parts_multiplied(first, second):
    (a, b), (c, d) = split(first), split(second)
    return glued(a * c, c @ b + d)


def shifts_added(first, second):
    (a, b), (c, d) = split(first), split(second)
    return glued(c @ a, b + d)


def second_shift_lost(first, second):
    (a, b), (c, _) = split(first), split(second)
    return glued(c @ a, c @ b)


def first_shift_lost(first, second):
    (a, _), (c, d) = split(first), split(second)
    return glued(c @ a, d)


def half_swapped(first, second):
    (a, b), (c, d) = split(first), split(second)
    return glued(a @ c, c @ b + d)


# 04.4, the rows of each source


def shares_of(ratios):
    total = float(sum(ratios))
    return [float(ratio) / total for ratio in ratios]


def one_by_one(ratios, batch_size, offset):
    ends = np.cumsum(shares_of(ratios))
    ends[-1] = 1.0
    rows = [0] * len(ends)
    for row in range(batch_size):
        point = (row + offset) / batch_size
        rows[next(source for source, end in enumerate(ends) if point < end)] += 1
    return rows


def by_histogram(ratios, batch_size, offset):
    points = (np.arange(batch_size) + offset) / batch_size
    edges = np.concatenate([[0], np.cumsum(shares_of(ratios))])
    edges[-1] = 1
    return np.histogram(points, bins=edges)[0]


def rounded(ratios, batch_size, offset):
    return [round(batch_size * share) for share in shares_of(ratios)]


def rest_at_the_end(ratios, batch_size, offset):
    rows = [int(batch_size * share) for share in shares_of(ratios)[:-1]]
    return [*rows, batch_size - sum(rows)]


def from_ends(ratios, batch_size, round_end):
    ends = [round_end(batch_size * end) for end in np.cumsum(shares_of(ratios))]
    return [int(end) for end in np.diff([0, *ends])]


ACCEPTED = {
    "04.1": (by_edges, by_middles),
    "04.2": (scalars, arrays, bent),
    "04.3": (one_matrix, by_three_points, loops),
    "04.4": (one_by_one, by_histogram),
}

REJECTED = {
    "04.1": (
        (without_halves, "half a pixel of the crop is missing"),
        (with_two_halves, "too far left"),
        (with_a_negative_half, "wrong sign"),
        (upside_down, "upside down"),
        (from_the_middle, "begins at `middle`"),
        (on_corners, "outer edges"),
        (in_crop_space, "crop space"),
    ),
    "04.2": (
        (of_human36m, "still Human3.6M's"),
        (lambda *given: bent(*given, swapped=True), "changed places"),
        (lambda *given: bent(*given, tangential=False), "tangential terms are missing"),
        (lambda *given: bent(*given, terms=0), "radial factor is missing"),
        (lambda *given: bent(*given, terms=2), "ends too early"),
        (lambda *given: bent(*given, twice=1.0), "a factor of 2 is lost"),
        (lambda *given: bent(*given, power=0.5), "needs no root"),
        (without_dividing, "still millimetres"),
        (centre_first, "added too early"),
    ),
    "04.3": (
        (lambda first, second: one_matrix(second, first), "order is reversed"),
        (shifts_added, "only added"),
        (second_shift_lost, "shift of `second` is lost"),
        (first_shift_lost, "shift of `first` is lost"),
        (parts_multiplied, "entry by entry"),
        (half_swapped, "in the wrong order"),
        (lambda first, second: squares(second) @ squares(first), "the row (0, 0, 1)"),
    ),
    "04.4": (
        (rounded, "rounded by itself"),
        (rest_at_the_end, "gets the rest"),
        (lambda ratios, size, offset: from_ends(ratios, size, math.ceil), "does nothing"),
        (
            lambda ratios, size, offset: from_ends(ratios, size, lambda end: math.floor(end - offset)),
            "you round down",
        ),
        (
            lambda ratios, size, offset: from_ends(ratios, size, lambda end: math.ceil(end + offset)),
            "wrong sign",
        ),
        (
            lambda ratios, size, offset: np.diff(
                np.ceil(size * np.cumsum(ratios.numpy()) - offset), prepend=0
            ),
            "taken for shares",
        ),
        (lambda ratios, size, offset: np.cumsum(one_by_one(ratios, size, offset)), "counted up to the end"),
        (
            lambda ratios, size, offset: np.repeat(np.arange(len(ratios)), one_by_one(ratios, size, offset)),
            "owners of the rows",
        ),
    ),
}
