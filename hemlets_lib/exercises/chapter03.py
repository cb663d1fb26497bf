"""The exercises of notebook 03: the network."""

from __future__ import annotations

from torch import Tensor

from hemlets_lib.exercises.contract import Exercise
from hemlets_lib.exercises.inputs import random_tensor
from hemlets_lib.heatmaps import soft_argmax_3d

__all__ = ["EXERCISES"]


def _conv_parameters(channels_in: int, channels_out: int, kernel: int, bias: bool) -> int:
    return channels_out * (channels_in * kernel**2 + bias)


def _volume_bytes(joints: int, depth: int, height: int, width: int) -> int:
    return 4 * joints * depth * height * width


def _upsampled_size(size: int, kernel: int, stride: int, padding: int, times: int) -> int:
    for _ in range(times):
        size = (size - 1) * stride - 2 * padding + kernel
    return size


def _joints_from_channels(channels: Tensor, num_joints: int) -> Tensor:
    return soft_argmax_3d(channels.unflatten(1, (num_joints, -1)))


EXERCISES: dict[str, Exercise] = {
    "03.1": Exercise(
        "The parameters of a convolution.",
        _conv_parameters,
        ((3, 64, 7, False), (256, 60, 3, True), (512, 1152, 1, True)),
    ),
    "03.2": Exercise("The bytes of a float32 volume.", _volume_bytes, ((18, 64, 64, 64), (17, 24, 24, 24))),
    "03.3": Exercise(
        "The size after transposed convolutions.",
        _upsampled_size,
        ((8, 4, 2, 1, 1), (8, 4, 2, 1, 3), (3, 4, 2, 1, 2), (8, 3, 2, 0, 1), (5, 2, 3, 0, 2)),
    ),
    "03.4": Exercise(
        "From the head's channels to joints.",
        _joints_from_channels,
        tuple((random_tensor(2, joints * 5, 6, 7, seed=joints), joints) for joints in (1, 3, 8)),
    ),
}
