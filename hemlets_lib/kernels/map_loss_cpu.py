"""Drawing maps, and comparing with maps that are never drawn, compiled for the CPU.

A map shows the larger of at most two Gaussians, each the product of two profiles: `along_x` (B, J, W) and
`along_y` (B, J, H), float32. `shown` (B, M, 2), int64, tells which joints a map shows; J stands for none.
The readable forms are `triplets.encode_triplets`, `heatmaps.render_heatmaps` and `losses.hem_loss`.

Predictions are those of a channels-last network, whose maps of a cell lie side by side: one flat array of
the bits of float32 (int32) or of bfloat16 (int16), of which a slice of the channels is read where it is.
Samples are the units of work. Each is added up in one fixed order, in float64 over rows: results are the
same for any number of threads. The functions release Python's lock and start no threads of their own;
`threads.in_shares` runs them.
"""

from __future__ import annotations

import numpy as np

from hemlets_lib.kernels.soft_argmax_cpu import bits_of, compiled, number_of

__all__ = ["draw", "gradient", "squared_error"]

_f32 = np.float32
_ZERO = _f32(0)


@compiled("contract")
def draw(first, last, along_x, along_y, shown, out):
    """The maps of samples `first` to `last` - 1.

    Args:
        first, last: Which of the samples.
        along_x, along_y, shown: What the maps are.
        out: (B, M, H, W) float32, written.
    """
    joints, height, width = along_x.shape[1], along_y.shape[2], along_x.shape[2]
    for b in range(first, last):
        for m in range(shown.shape[1]):
            one, other = shown[b, m]
            if one == joints:
                out[b, m] = _ZERO
                continue
            one_x, one_y = along_x[b, one], along_y[b, one]
            if other == joints:
                for h in range(height):
                    y, row = one_y[h], out[b, m, h]
                    for w in range(width):
                        row[w] = y * one_x[w]
                continue
            other_x, other_y = along_x[b, other], along_y[b, other]
            for h in range(height):
                y, other_height, row = one_y[h], other_y[h], out[b, m, h]
                for w in range(width):
                    here, there = y * one_x[w], other_height * other_x[w]
                    row[w] = here if here > there else there


@compiled()
def _by_map(profiles, shown, which, out):
    """The profiles, (J, N), that maps show as their first or second, (M, 2), laid out as (N, M)."""
    for m in range(shown.shape[0]):
        joint = shown[m, which]
        for n in range(profiles.shape[1]):
            out[n, m] = profiles[joint, n] if joint < profiles.shape[0] else _ZERO


@compiled("contract", "reassoc")
def squared_error(first, last, bits, sample_step, cell_step, along_x, along_y, shown, counted, out):
    """Σ (prediction - map)² over the maps that count, of samples `first` to `last` - 1.

    Args:
        first, last: Which of the samples.
        bits: The flat predictions.
        sample_step, cell_step: How far it is to the next sample, and to the next cell.
        along_x, along_y, shown: What the maps are.
        counted: (B, M) bool. What does not count may be NaN.
        out: (B,) float64, written.
    """
    maps, height, width = shown.shape[1], along_y.shape[2], along_x.shape[2]
    size = bits.itemsize
    one_x, other_x = np.empty((width, maps), np.float32), np.empty((width, maps), np.float32)
    one_y, other_y = np.empty((height, maps), np.float32), np.empty((height, maps), np.float32)
    errors = np.empty(maps, np.float32)
    for b in range(first, last):
        _by_map(along_x[b], shown[b], 0, one_x)
        _by_map(along_x[b], shown[b], 1, other_x)
        _by_map(along_y[b], shown[b], 0, one_y)
        _by_map(along_y[b], shown[b], 1, other_y)
        total, keep = 0.0, counted[b]
        for h in range(height):
            one_h, other_h = one_y[h], other_y[h]
            errors[:] = _ZERO
            for w in range(width):
                one_w, other_w = one_x[w], other_x[w]
                place = b * sample_step + (h * width + w) * cell_step
                cell = bits[place : place + maps]
                for m in range(maps):
                    here, there = one_h[m] * one_w[m], other_h[m] * other_w[m]
                    error = number_of(cell[m], size) - (here if here > there else there)
                    errors[m] += error * error
            for m in range(maps):
                total += errors[m] if keep[m] else 0.0
        out[b] = total


@compiled("contract")
def gradient(first, last, bits, sample_step, cell_step, along_x, along_y, shown, counted, scale, out):
    """scale · (prediction - map), or 0 where a map does not count, of samples `first` to `last` - 1.

    Args:
        first, last, bits, sample_step, cell_step, along_x, along_y, shown, counted: As above.
        scale: (B,) float32.
        out: (B, H, W, M), of the predictions' kind of bits; written.
    """
    maps, height, width = shown.shape[1], along_y.shape[2], along_x.shape[2]
    size = bits.itemsize
    one_x, other_x = np.empty((width, maps), np.float32), np.empty((width, maps), np.float32)
    one_y, other_y = np.empty((height, maps), np.float32), np.empty((height, maps), np.float32)
    for b in range(first, last):
        _by_map(along_x[b], shown[b], 0, one_x)
        _by_map(along_x[b], shown[b], 1, other_x)
        _by_map(along_y[b], shown[b], 0, one_y)
        _by_map(along_y[b], shown[b], 1, other_y)
        keep, scaled = counted[b], scale[b]
        for h in range(height):
            one_h, other_h = one_y[h], other_y[h]
            for w in range(width):
                one_w, other_w, written = one_x[w], other_x[w], out[b, h, w]
                place = b * sample_step + (h * width + w) * cell_step
                cell = bits[place : place + maps]
                for m in range(maps):
                    here, there = one_h[m] * one_w[m], other_h[m] * other_w[m]
                    error = number_of(cell[m], size) - (here if here > there else there)
                    written[m] = bits_of(scaled * error if keep[m] else _ZERO, size)
