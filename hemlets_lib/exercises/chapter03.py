"""The exercises of notebook 03: the network."""

from __future__ import annotations

import torch
from torch import Tensor

from hemlets_lib.exercises.contract import Exercise, Mistake
from hemlets_lib.exercises.inputs import random_tensor
from hemlets_lib.geometry import Grid
from hemlets_lib.heatmaps import soft_argmax_3d

__all__ = ["EXERCISES"]


def _conv_parameters(channels_in: int, channels_out: int, kernel: int, bias: bool) -> int:
    return channels_out * (channels_in * kernel**2 + bias)


_CONV_PARAMETERS = Exercise(
    "The parameters of a convolution.",
    _conv_parameters,
    ((3, 64, 7, False), (256, 60, 3, True), (512, 1152, 1, True)),
    (
        Mistake(
            "a kernel has two sides: it is a square of weights, not a row",
            lambda channels_in, channels_out, kernel, bias: channels_out * (channels_in * kernel + bias),
        ),
        Mistake(
            "you leave the bias out",
            lambda channels_in, channels_out, kernel, bias: channels_out * channels_in * kernel**2,
        ),
        Mistake(
            "you count a bias even where `bias` is False",
            lambda channels_in, channels_out, kernel, bias: channels_out * (channels_in * kernel**2 + 1),
        ),
        Mistake(
            "you count a single bias for the whole layer: every output channel has its own",
            lambda channels_in, channels_out, kernel, bias: channels_out * channels_in * kernel**2 + bias,
        ),
        Mistake(
            "you count a bias per *input* channel: it is added to what comes out",
            lambda channels_in, channels_out, kernel, bias: channels_in * (channels_out * kernel**2 + bias),
        ),
        Mistake(
            "you count a bias for every pair of input and output channel",
            lambda channels_in, channels_out, kernel, bias: channels_out * channels_in * (kernel**2 + bias),
        ),
        Mistake(
            "you let all input channels share one kernel: each has its own, for every output channel",
            lambda channels_in, channels_out, kernel, bias: channels_out * (kernel**2 + bias),
        ),
    ),
)


def _volume_bytes(joints: int, depth: int, height: int, width: int) -> int:
    return 4 * joints * depth * height * width


_VOLUME_BYTES = Exercise(
    "The bytes of a float32 volume.",
    _volume_bytes,
    ((18, 64, 64, 64), (17, 24, 24, 24), (5, 8, 12, 10)),
    (
        Mistake(
            "those are numbers, not bytes: how many bytes has a float32?",
            lambda joints, depth, height, width: joints * depth * height * width,
        ),
        Mistake(
            "those are bits",
            lambda joints, depth, height, width: 32 * joints * depth * height * width,
        ),
        Mistake(
            "your numbers have eight bytes: that is a float64",
            lambda joints, depth, height, width: 8 * joints * depth * height * width,
        ),
        Mistake(
            "your numbers have two bytes: that is half precision",
            lambda joints, depth, height, width: 2 * joints * depth * height * width,
        ),
        Mistake(
            "that is the volume of one joint; a person has `joints` of them",
            lambda joints, depth, height, width: 4 * depth * height * width,
        ),
        Mistake(
            "that is in megabytes; asked are bytes",
            lambda joints, depth, height, width: 4e-6 * joints * depth * height * width,
        ),
        Mistake(
            "you take the volume for a cube; its three sides may differ",
            lambda joints, depth, height, width: 4 * joints * depth**3,
        ),
    ),
)


def _upsampled_size(size: int, kernel: int, stride: int, padding: int, times: int) -> int:
    for _ in range(times):
        size = _one_step(size, kernel, stride, padding)
    return size


def _one_step(size: int, kernel: int, stride: int, padding: int) -> int:
    return (size - 1) * stride - 2 * padding + kernel


def _downsampled_size(size: int, kernel: int, stride: int, padding: int, times: int) -> int:
    for _ in range(times):
        size = (size + 2 * padding - kernel) // stride + 1
    return size


_UPSAMPLED_SIZE = Exercise(
    "The size after transposed convolutions.",
    _upsampled_size,
    (
        (8, 4, 2, 1, 1),
        (8, 4, 2, 1, 3),
        (3, 4, 2, 1, 2),
        (8, 3, 2, 0, 1),
        (5, 2, 3, 0, 2),
        (9, 5, 3, 2, 2),
    ),
    (
        Mistake(
            "you apply the layer once; there are `times` of them, each with the size that the last one left",
            lambda size, kernel, stride, padding, times: _one_step(size, kernel, stride, padding),
        ),
        Mistake(
            "you double, whatever kernel, stride and padding are: use Eq. (3.1)",
            lambda size, kernel, stride, padding, times: size * 2**times,
        ),
        Mistake(
            "you multiply by the stride alone; kernel and padding add and take away cells at the ends",
            lambda size, kernel, stride, padding, times: size * stride**times,
        ),
        Mistake(
            "that is an ordinary convolution, which makes maps smaller: the transposed one is its way back",
            _downsampled_size,
        ),
        Mistake(
            "you count a stride too many: between n stamps there are n - 1 steps",
            # from n strides instead of n - 1: a kernel that is larger by one stride
            lambda size, kernel, stride, padding, times: _upsampled_size(
                size, kernel + stride, stride, padding, times
            ),
        ),
        Mistake(
            "padding is cut off at *both* ends",
            lambda size, kernel, stride, padding, times: _upsampled_size(
                size, kernel + padding, stride, padding, times
            ),
        ),
        Mistake(
            "padding makes the output of a transposed convolution smaller, not larger",
            lambda size, kernel, stride, padding, times: _upsampled_size(
                size, kernel, stride, -padding, times
            ),
        ),
    ),
)


def _joints_from_channels(channels: Tensor, num_joints: int) -> Tensor:
    return soft_argmax_3d(_volumes(channels, num_joints))


def _volumes(channels: Tensor, num_joints: int) -> Tensor:
    return channels.unflatten(1, (num_joints, -1))


def _sizes(volume: Tensor) -> Tensor:
    """(W, H, D), in the order of x, y, z."""
    return torch.tensor(volume.shape[:1:-1])


def _mean_places(probs: Tensor) -> Tensor:
    """Cell-centred means of (B, J, D, H, W) weights, in crop space."""
    means = []
    for axis in (4, 3, 2):
        marginal = probs.sum([other for other in (2, 3, 4) if other != axis])
        means.append(marginal @ Grid.CELL_CENTRED.centres(probs.shape[axis]))
    return torch.stack(means, -1)


def _highest_cells(channels: Tensor, num_joints: int) -> Tensor:
    volume = _volumes(channels, num_joints)
    winners = torch.zeros_like(volume.flatten(2))
    winners.scatter_(2, volume.flatten(2).argmax(-1, keepdim=True), 1)
    return _mean_places(winners.view_as(volume))


def _slice_by_slice(channels: Tensor, num_joints: int) -> Tensor:
    probs = channels.flatten(2).softmax(-1).view_as(channels)
    volume = _volumes(probs, num_joints)
    return _mean_places(volume / volume.shape[2])


def _all_joints_together(channels: Tensor, num_joints: int) -> Tensor:
    probs = channels.flatten(1).softmax(-1).view_as(channels)
    return _mean_places(_volumes(probs, num_joints))


def _in_cells(channels: Tensor, num_joints: int) -> Tensor:
    joints = _joints_from_channels(channels, num_joints)
    return (joints + 0.5) * _sizes(_volumes(channels, num_joints)) - 0.5


def _corner_aligned(channels: Tensor, num_joints: int) -> Tensor:
    return soft_argmax_3d(_volumes(channels, num_joints), grid=Grid.CORNER_ALIGNED)


_JOINTS_FROM_CHANNELS = Exercise(
    "From the head's channels to joints.",
    _joints_from_channels,
    tuple((random_tensor(2, joints * 5, 6, 7, seed=joints), joints) for joints in (1, 3, 8)),
    (
        Mistake(
            "you read the channels depth by depth; they come joint by joint, all depths of the first one "
            "first",
            lambda channels, num_joints: soft_argmax_3d(
                channels.unflatten(1, (-1, num_joints)).transpose(1, 2)
            ),
        ),
        Mistake(
            "your coordinates come as z, y, x: a volume's axes run the other way round than x, y, z",
            lambda channels, num_joints: _joints_from_channels(channels, num_joints).flip(-1),
        ),
        Mistake(
            "x and y have changed places: x runs along the last axis, the columns",
            lambda channels, num_joints: _joints_from_channels(channels, num_joints)[..., [1, 0, 2]],
        ),
        Mistake(
            "your softmax is taken depth by depth, so that each depth counts alike: one softmax belongs "
            "over the whole volume",
            _slice_by_slice,
        ),
        Mistake(
            "your softmax runs over all joints together: each has probabilities of its own, which sum to 1",
            _all_joints_together,
        ),
        Mistake("that is arg-max, the middle of the highest cell", _highest_cells),
        Mistake("those are cells; asked is crop space, -0.5 to 0.5 along each axis", _in_cells),
        Mistake(
            "your first and last cell have their middles on the border; these cells lie inside it (page 02)",
            _corner_aligned,
        ),
    ),
)

EXERCISES: dict[str, Exercise] = {
    "03.1": _CONV_PARAMETERS,
    "03.2": _VOLUME_BYTES,
    "03.3": _UPSAMPLED_SIZE,
    "03.4": _JOINTS_FROM_CHANNELS,
}
