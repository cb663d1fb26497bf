"""The rotation in a 3 by 3 matrix, for many matrices at once, by additions and multiplications alone.

A library's singular value decomposition takes the matrices of a batch one after the other. Here all of
them are turned together, plane by plane, until the columns of C V are perpendicular: they then are the
left singular vectors times the singular values, and V's columns the right ones (one-sided Jacobi). The
readable form is `roma.procrustes` in `geometry.procrustes`, which has a gradient too.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["best_rotation"]

_SWEEPS = 5  # 4 leave nothing but rounding of 200 000 random matrices
_TINY = 1e-140  # its square is a number still; matrices are scaled to 1 first
_FLAT = 1e-14  # a column so much shorter than the longest holds rounding only


@torch.no_grad()
def best_rotation(matrices: Float[Tensor, "B 3 3"]) -> tuple[Float[Tensor, "B 3 3"], Float[Tensor, "B"]]:
    """The rotation R, never a mirror image, for which the trace of Rᵀ C is largest.

    Where several do as well, as for a matrix of rank 1 or 0, it is one of them. It has no gradient.

    Args:
        matrices: C, finite, in float64: Σ t pᵀ over the points p that are to be turned upon t.

    Returns:
        R, and the trace: the sum of C's singular values, the smallest counted negative where det C < 0.

    Source: Umeyama 1991 for what R is, Hestenes 1958 for how the columns are turned.
    """
    size = matrices.abs().amax((-2, -1)).clamp_min(_TINY)
    scaled = (matrices / size[:, None, None]).permute(2, 1, 0)  # by column, then row
    basis = torch.eye(3, dtype=matrices.dtype, device=matrices.device)[..., None].expand_as(scaled)
    columns = list(torch.cat([scaled, basis], 1).unbind(0))  # each of C V above V, (6, B)
    for _ in range(_SWEEPS):
        for i, j in ((0, 1), (0, 2), (1, 2)):
            columns[i], columns[j] = _perpendicular(columns[i], columns[j])

    # The two longer columns tell: the third pair of directions follows from them, and makes R a
    # rotation whatever the sign of det C.
    lengths = torch.stack([column[:3].square().sum(0) for column in columns])  # (3, B)
    order = lengths.argsort(0, descending=True)[:2, None].expand(2, 6, -1)
    (first, second) = torch.stack(columns).gather(0, order)  # (6, B) each
    first, second, right_first, right_second = first[:3], second[:3], first[3:], second[3:]
    longest = first.norm(dim=0)
    axis = torch.eye(3, dtype=first.dtype, device=first.device)[..., None].expand(3, 3, len(matrices))
    first = torch.where(longest > 0, first / longest.clamp_min(_TINY), axis[0])
    # Of a flat matrix, rank 1, the second direction is free: the axis farthest from the first.
    aside = axis.gather(1, first.abs().argmin(0)[None, None].expand(3, 1, -1))[:, 0]
    second = torch.where(second.norm(dim=0) > _FLAT * longest, second, aside)
    second = second - (first * second).sum(0) * first
    second = second / second.norm(dim=0)
    third = torch.linalg.cross(first, second, dim=0)
    right_third = torch.linalg.cross(right_first, right_second, dim=0)

    rotation = first[:, None] * right_first + second[:, None] * right_second + third[:, None] * right_third
    rotation = rotation.permute(2, 0, 1)  # (B, 3, 3)
    return rotation, (rotation * matrices).sum((-2, -1))


def _perpendicular(one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """Two columns turned in their plane so that their first three numbers are perpendicular."""
    twice = 2 * (one[:3] * other[:3]).sum(0)
    gap = other[:3].square().sum(0) - one[:3].square().sum(0)
    below = gap.abs() + (gap.square() + twice.square()).sqrt()
    tangent = torch.where(below > 0, twice / below.clamp_min(_TINY**2).copysign(gap), 0)  # the smaller angle
    cosine = (1 + tangent.square()).rsqrt()
    sine = cosine * tangent
    return torch.addcmul(cosine * one, sine, other, value=-1), torch.addcmul(cosine * other, sine, one)
