"""Answers to the exercises of notebook 03, as readers might write them."""

from __future__ import annotations

import math

import numpy as np
import torch


def parameters_of_the_layer(channels_in, channels_out, kernel, bias):
    layer = torch.nn.Conv2d(channels_in, channels_out, kernel, bias=bias, device="meta")
    return sum(parameter.numel() for parameter in layer.parameters())


def parameters_with_an_if(channels_in, channels_out, kernel, bias):
    count = channels_in * channels_out * kernel * kernel
    if bias:
        count += channels_out
    return float(count)


def bytes_of_a_tensor(joints, depth, height, width):
    return torch.empty(joints, depth, height, width, device="meta").nbytes


def bytes_of_an_array(joints, depth, height, width):
    return np.prod([joints, depth, height, width]) * np.dtype(np.float32).itemsize


def size_by_recursion(size, kernel, stride, padding, times):
    if times == 0:
        return size
    return size_by_recursion((size - 1) * stride - 2 * padding + kernel, kernel, stride, padding, times - 1)


def size_of_a_tensor(size, kernel, stride, padding, times):
    layer = torch.nn.ConvTranspose1d(1, 1, kernel, stride, padding)
    row = torch.zeros(1, 1, size)
    for _ in range(times):
        row = layer(row)
    return row.shape[-1]


def size_in_closed_form(size, kernel, stride, padding, times):
    powers = sum(stride**i for i in range(times))
    return np.float64(size * stride**times + (kernel - stride - 2 * padding) * powers)


def size_with_a_wrong_step(size, kernel, stride, padding, times):
    for _ in range(times):
        size = size * stride - 2 * padding + kernel
    return size


def size_cut_once(size, kernel, stride, padding, times):
    for _ in range(times):
        size = (size - 1) * stride - padding + kernel
    return size


def size_padded(size, kernel, stride, padding, times):
    for _ in range(times):
        size = kernel + (size - 1) * stride + padding * 2
    return size


def size_of_a_convolution(size, kernel, stride, padding, times):
    for _ in range(times):
        size = math.floor((size + 2 * padding - (kernel - 1) - 1) / stride + 1)
    return size


def probabilities(channels, num_joints):
    scores = channels.double().numpy().reshape(len(channels), num_joints, -1, *channels.shape[2:])
    weights = np.exp(scores)
    return weights / weights.sum((2, 3, 4), keepdims=True)


def middles(n):
    return (np.arange(n) + 0.5) / n - 0.5


def means(probs):
    z, y, x = (middles(n) for n in probs.shape[2:])
    return np.stack(
        [np.einsum(f"bjzyx,{axis}->bj", probs, row) for axis, row in zip("xyz", (x, y, z), strict=True)], -1
    )


def joints_by_loops(channels, num_joints):
    volumes = channels.reshape(len(channels), num_joints, -1, *channels.shape[2:])
    places = torch.stack(
        torch.meshgrid(*(torch.tensor(middles(n)) for n in volumes.shape[2:]), indexing="ij"), -1
    )
    return [
        [
            (volume.double().exp()[..., None] * places).sum((0, 1, 2)).flip(0) / volume.double().exp().sum()
            for volume in person
        ]
        for person in volumes
    ]


def joints_in_one_line(channels, num_joints):
    volume = channels.unflatten(1, (num_joints, -1))
    z, y, x = (torch.arange(n).add(0.5).div(n).sub(0.5) for n in volume.shape[2:])
    probs = volume.flatten(2).softmax(2).reshape(volume.shape)
    return torch.stack(
        (
            (probs * x).sum((2, 3, 4)),
            (probs * y[:, None]).sum((2, 3, 4)),
            (probs * z[:, None, None]).sum((2, 3, 4)),
        ),
        2,
    )


def joints_depth_first(channels, num_joints):
    volume = channels.view(len(channels), -1, num_joints, *channels.shape[2:]).permute(0, 2, 1, 3, 4)
    return joints_in_one_line(volume.reshape(channels.shape), num_joints)


def joints_per_slice(channels, num_joints):
    weights = np.exp(channels.double().numpy())
    weights /= weights.sum((2, 3), keepdims=True)
    volume = weights.reshape(len(channels), num_joints, -1, *channels.shape[2:])
    return means(volume / volume.shape[2])


def joints_of_one_softmax(channels, num_joints):
    weights = np.exp(channels.double().numpy())
    weights /= weights.sum((1, 2, 3), keepdims=True)
    return means(weights.reshape(len(channels), num_joints, -1, *channels.shape[2:]))


def joints_at_the_peak(channels, num_joints):
    volume = channels.unflatten(1, (num_joints, -1))
    depth, height, width = volume.shape[2:]
    best = volume.flatten(2).argmax(-1)
    z, y, x = best // (height * width), best // width % height, best % width
    return torch.stack([(x + 0.5) / width, (y + 0.5) / height, (z + 0.5) / depth], -1) - 0.5


def joints_in_cells(channels, num_joints):
    probs = probabilities(channels, num_joints)
    return np.stack([(probs * cells).sum((2, 3, 4)) for cells in np.indices(probs.shape[2:])[::-1]], -1)


def joints_on_corners(channels, num_joints):
    sides = np.array(probabilities(channels, num_joints).shape[:1:-1])
    return joints_in_cells(channels, num_joints) / (sides - 1) - 0.5


ACCEPTED = {
    "03.1": (parameters_of_the_layer, parameters_with_an_if),
    "03.2": (
        bytes_of_a_tensor,
        bytes_of_an_array,
        lambda joints, depth, height, width: 4.0 * joints * depth * height * width,
    ),
    "03.3": (size_by_recursion, size_of_a_tensor, size_in_closed_form),
    "03.4": (
        lambda channels, num_joints: means(probabilities(channels, num_joints)),
        joints_by_loops,
        joints_in_one_line,
    ),
}

REJECTED = {
    "03.1": (
        (lambda c_in, c_out, k, bias: c_out * (c_in * k + int(bias)), "two sides"),
        (lambda c_in, c_out, k, bias: math.prod([c_in, c_out, k, k]), "leave the bias out"),
        (lambda c_in, c_out, k, bias: c_in * c_out * k**2 + c_out, "even where"),
        (lambda c_in, c_out, k, bias: c_in * c_out * k**2 + (1 if bias else 0), "a single bias"),
        (lambda c_in, c_out, k, bias: c_in * c_out * k**2 + c_in * bias, "per *input*"),
        (lambda c_in, c_out, k, bias: torch.tensor(c_out * (k * k + bias)), "share one kernel"),
    ),
    "03.2": (
        (lambda *sides: math.prod(sides), "how many bytes"),
        (lambda joints, depth, height, width: np.prod([joints, depth, height, width]) * 32, "bits"),
        (lambda joints, depth, height, width: np.empty((joints, depth, height, width)).nbytes, "float64"),
        (lambda joints, depth, height, width: torch.empty(depth, height, width).nbytes, "one joint"),
        (lambda joints, depth, height, width: joints * depth * height * width * 4 / 10**6, "megabytes"),
        (lambda joints, side, height, width: joints * side**3 * 4, "cube"),
        (
            lambda joints, depth, height, width: (
                torch.empty(joints, depth, height, width, dtype=torch.float16).nbytes
            ),
            "half precision",
        ),
    ),
    "03.3": (
        (
            lambda size, kernel, stride, padding, times: size_of_a_tensor(size, kernel, stride, padding, 1),
            "once",
        ),
        (lambda size, kernel, stride, padding, times: size << times, "you double"),
        (lambda size, kernel, stride, padding, times: float(size) * stride**times, "stride alone"),
        (size_of_a_convolution, "ordinary convolution"),
        (size_with_a_wrong_step, "a stride too many"),
        (size_cut_once, "*both* ends"),
        (size_padded, "smaller, not larger"),
    ),
    "03.4": (
        (joints_depth_first, "depth by depth; they come"),
        (lambda channels, num_joints: means(probabilities(channels, num_joints))[..., ::-1], "z, y, x"),
        (
            lambda channels, num_joints: joints_in_one_line(channels.transpose(2, 3), num_joints),
            "x and y",
        ),
        (joints_per_slice, "counts alike"),
        (joints_of_one_softmax, "all joints together"),
        (joints_at_the_peak, "arg-max"),
        (joints_in_cells, "those are cells"),
        (joints_on_corners, "on the border"),
    ),
}
