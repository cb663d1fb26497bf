"""The data sets' own orders of joints, against the tables of indices that other projects use."""

import pytest
import torch

from hemlets_lib.data.readers.joint_orders import HUMANEVA15, MPI_INF_3DHP28
from hemlets_lib.skeleton import HEMLETS18, MPI_INF_3DHP17

# Where each of HEMLETS18's joints stands; None: not labelled; two: their middle.
TABLES = {
    # ConvertHumanEva.m of facebookresearch/VideoPose3D
    HUMANEVA15: [0, 11, 12, 13, 8, 9, 10, None, 1, None, 14, 2, 3, 4, 5, 6, 7, (2, 5)],
    # `joints17_idx` of nkolot/SPIN and mpii_get_joint_set
    MPI_INF_3DHP28: [4, 23, 24, 25, 18, 19, 20, 3, 5, 6, 7, 9, 10, 11, 14, 15, 16, (9, 14)],
    MPI_INF_3DHP17: [14, 8, 9, 10, 11, 12, 13, 15, 1, 16, 0, 5, 6, 7, 2, 3, 4, (5, 2)],
}


@pytest.mark.parametrize("order", TABLES, ids=lambda order: order.name)
def test_against_indices(order):
    joints = torch.arange(order.num_joints * 3, dtype=torch.float64).reshape(1, -1, 3) ** 2
    mapped, known = order.remap(joints, HEMLETS18)
    for place, at in enumerate(TABLES[order]):
        if at is None:
            assert not known[0, place], HEMLETS18.joint_names[place]
            continue
        expected = joints[0, at] if isinstance(at, int) else (joints[0, at[0]] + joints[0, at[1]]) / 2
        torch.testing.assert_close(mapped[0, place], expected)
        assert known[0, place]


# `hflip_indices` of anibali/margipose; joints_left and joints_right of facebookresearch/VideoPose3D
@pytest.mark.parametrize(
    ("order", "swapped"),
    [
        (HUMANEVA15, [0, 1, 5, 6, 7, 2, 3, 4, 11, 12, 13, 8, 9, 10, 14]),
        (MPI_INF_3DHP28, [*range(8), *range(13, 18), *range(8, 13), *range(23, 28), *range(18, 23)]),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_mirrored(order, swapped):
    assert list(order.flip_permutation) == swapped


# The trees that the same projects give; -1 for the root.
PARENTS28 = "2 0 3 4 -1 1 5 6 5 8 9 10 11 5 13 14 15 16 4 18 19 20 21 4 23 24 25 26"


@pytest.mark.parametrize(
    ("order", "parents"),
    [
        (HUMANEVA15, [-1, 0, 1, 2, 3, 1, 5, 6, 0, 8, 9, 0, 11, 12, 1]),
        (MPI_INF_3DHP28, [int(n) for n in PARENTS28.split()]),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_the_tree(order, parents):
    assert list(order.parents) == parents
