"""The rotation in a 3 by 3 matrix: the same as RoMa's decomposition finds, also where a matrix is flat."""

import pytest
import roma
import torch

from hemlets_lib.geometry import procrustes
from hemlets_lib.rotation import best_rotation

COUNT = 300


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(COUNT, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def graded(*factors: float) -> torch.Tensor:
    return torch.tensor(factors, dtype=torch.float64)


TURN = roma.random_rotmat(COUNT, dtype=torch.float64)
# One rotation is best, and more than rounding better than the next.
TELLING = {
    "random": drawn(3, 3),
    "rank 2": drawn(3, 3) * graded(1, 1, 0),
    "huge": 1e30 * drawn(3, 3),
    "minute": 1e-30 * drawn(3, 3),
    "columns of unlike size": drawn(3, 3) * graded(1, 1e-5, 1e-10),
    "rows of unlike size": graded(1, 1e-5, 1e-10)[:, None] * drawn(3, 3),
    "mirror image": TURN @ torch.diag(graded(3, 2, -1)) @ TURN.mT,
    "turned and scaled": 7 * TURN,
    "the axes": torch.diag_embed(torch.tensor([[2.0, 1, 0], [0, 3, 1], [1, 0, 2], [3, 2, -1]])).double(),
}
# Several rotations are best.
OPEN = {
    "rank 1": drawn(3, 1) @ drawn(1, 3),
    "zero": torch.zeros(2, 3, 3, dtype=torch.float64),
    "one axis": torch.diag_embed(torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, -1]])).double(),
    "inverted": -TURN,
}


@pytest.mark.parametrize("name", TELLING)
def test_as_the_decomposition(name):
    rotation, trace = best_rotation(TELLING[name])
    expected, singular = roma.procrustes(
        TELLING[name], force_rotation=True, return_singular_values=True, method="svd"
    )
    torch.testing.assert_close(rotation, expected, atol=1e-9, rtol=0)
    torch.testing.assert_close(trace, singular.sum(-1), atol=0, rtol=1e-9)


@pytest.mark.parametrize("name", [*TELLING, *OPEN])
def test_it_is_a_rotation_and_none_is_better(name):
    matrices = (TELLING | OPEN)[name]
    rotation, trace = best_rotation(matrices)
    identity = torch.eye(3, dtype=torch.float64).expand_as(rotation)
    torch.testing.assert_close(rotation @ rotation.mT, identity, atol=1e-13, rtol=0)
    torch.testing.assert_close(torch.linalg.det(rotation), torch.ones(len(matrices), dtype=torch.float64))
    left, singular, right = torch.linalg.svd(matrices)
    best = singular.clone()
    best[:, 2] *= torch.linalg.det(left @ right).sign()
    torch.testing.assert_close(trace, best.sum(-1), rtol=0, atol=1e-12 * matrices.abs().max().item())


POSES = {
    "a person": 300 * drawn(17, 3),
    "in a plane": 300 * drawn(17, 3) * graded(1, 1, 0),
    "at one place": 300 * drawn(1, 3).expand(-1, 17, -1),
}


@pytest.mark.parametrize("with_scale", [True, False])
@pytest.mark.parametrize("name", POSES)
def test_poses_are_laid_alike(name, with_scale):
    target = 300 * drawn(17, 3).flip(0) + 4000
    valid = torch.rand(COUNT, 17, generator=torch.Generator().manual_seed(2)) < 0.8
    found, expected = (
        procrustes(POSES[name] + 50, target, valid=valid, with_scale=with_scale, solver=solver)
        for solver in ("jacobi", "svd")
    )
    torch.testing.assert_close(found, expected, atol=1e-9, rtol=0)


def test_joints_in_a_line_are_laid_equally_close():
    line, target = 300 * drawn(17, 1) * drawn(1, 3), 300 * drawn(17, 3).flip(0)
    for moved, fixed in ((line, target), (target, line)):  # the second leaves a turn about the line open
        close = [
            (procrustes(moved, fixed, solver=solver) - fixed).square().sum((-2, -1))
            for solver in ("jacobi", "svd")
        ]
        torch.testing.assert_close(*close, rtol=1e-9, atol=1e-6)


def test_messages():
    poses = torch.zeros(1, 3, 3)
    with pytest.raises(ValueError, match="`solver` must be 'svd' or 'jacobi', got 'qr'"):
        procrustes(poses, poses, solver="qr")
    with pytest.raises(ValueError, match="finds rotations only: use solver='svd'"):
        procrustes(poses, poses, solver="jacobi", allow_reflection=True)
