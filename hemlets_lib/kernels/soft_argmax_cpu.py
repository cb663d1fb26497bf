"""The soft-argmax of volumes in one pass over their logits, compiled for the CPU.

The readable form is `heatmaps.soft_argmax_3d`. Here every block of logits is read from memory once: its
maximum is found, and while it is still in the cache the exponentials below that maximum are summed, alone
and weighted with their places. Sums of earlier blocks are scaled down when a later block is higher (online
softmax). What is kept of a volume is five numbers, `STATISTICS`; the backward pass makes the probabilities
anew from the logits.

Two layouts are taken as they are. By rows, (N, D, H·W), a volume's cells are contiguous; by channels,
(B·H, W, J·D), all joints and depths of a pixel are, as channels-last convolutions leave them. Logits come
as the bits of float32 (int32) or of bfloat16 (int16), and are computed with in float32; sums over blocks
are float64.

The work falls into units, volumes or image rows, that do not depend on the number of threads, and each is
added up in one fixed order: results are the same for any number of threads. The functions release Python's
lock and start no threads of their own; `threads.in_shares` runs them.

All compiled functions live in this one file: numba's cache on disk watches no other. `number_of` and
`bits_of` are used by other kernels too, whose caches would not notice a change of them.

Source: Eq. (5). Milakov and Gimelshein 2018 for the online softmax.
"""

from __future__ import annotations

from collections.abc import Callable
from math import exp, log
from typing import Any

import numba
import numpy as np
from numpy.polynomial import Chebyshev, Polynomial

__all__ = [
    "STATISTICS",
    "backward_by_channels",
    "backward_by_rows",
    "bits_of",
    "compiled",
    "exponential",
    "forward_by_channels",
    "forward_by_rows",
    "merge_rows",
    "number_of",
]

STATISTICS = ("maximum", "1 / sum of exponentials", "x", "y", "z")  # of a volume, float32

_f32, _i32 = np.float32, np.int32
_LOWEST = _f32(-87)  # exp of less is no normal number of float32: taken as 0
_ZERO, _MINUS_INFINITY = _f32(0), _f32(-np.inf)
_LOG2_E = _f32(1 / log(2))
_LN2_HIGH = _f32(0.693359375)  # nine bits, so that its multiples up to 128 are exact in float32
_LN2_LOW = _f32(log(2) - 0.693359375)
_ROUNDER = _f32(1.5 * 2**23)  # what is added to it is rounded to a whole number, in the last bits
# exp on [-ln 2 / 2, ln 2 / 2], to 2e-9.
_DOMAIN = [-log(2) / 2, log(2) / 2]
_SERIES = Chebyshev.interpolate(np.exp, 6, domain=_DOMAIN).convert(kind=Polynomial).coef
_C0, _C1, _C2, _C3, _C4, _C5, _C6 = (_f32(coefficient) for coefficient in _SERIES)
_SIGN, _MAGNITUDE, _MANTISSA_BITS = _i32(31), _i32(0x7FFFFFFF), _i32(23)
_SMALLEST = _i32(-(2**31))
_ONE_AS_BITS = _i32(0x3F800000)
_HALF_WORD, _ODD, _BELOW_HALF, _NAN_AS_BITS = _i32(16), _i32(1), _i32(0x7FFF), _i32(0x7FC00000)
_TWO_BYTES = 2


def compiled(*fastmath: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """`numba.njit`, kept on disk where some folder can be written, else compiled in every process.

    Of the liberties that a compiler can take, none here is with NaN or ±inf: "contract" joins a product
    and a sum, "reassoc" splits a sum over a vector's lanes. `exponential` depends on its order.
    """

    def compile_(function: Callable[..., Any]) -> Callable[..., Any]:
        options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": set(fastmath)}
        try:
            return numba.njit(cache=True, **options)(function)
        except RuntimeError:  # numba found no writable folder for its cache
            return numba.njit(**options)(function)

    return compile_


@compiled("contract")
def exponential(t):
    """exp(t) of a float32 t ≤ 0, to a relative 1e-7; 0 below -87, NaN of NaN.

    2^k · exp(r), with k whole and |r| ≤ ln 2 / 2: a polynomial, and k put into a float's exponent. A
    call of the C library would stop the compiler from computing many at once.
    """
    bounded = _LOWEST if t < _LOWEST else t
    shifted = _f32(bounded * _LOG2_E + _ROUNDER)
    k = shifted - _ROUNDER
    r = bounded - k * _LN2_HIGH - k * _LN2_LOW
    series = _C0 + r * (_C1 + r * (_C2 + r * (_C3 + r * (_C4 + r * (_C5 + r * _C6)))))
    power = _i32((_i32(shifted.view(np.int32)) << _MANTISSA_BITS) + _ONE_AS_BITS).view(np.float32)
    return _ZERO if t < _LOWEST else series * power


@compiled()
def number_of(bits, width):
    """The float32 of given bits, or of the bfloat16 whose bits they are, where `width` is 2 bytes."""
    if width == _TWO_BYTES:
        return _i32(_i32(bits) << _HALF_WORD).view(np.float32)
    return _i32(bits).view(np.float32)


@compiled()
def bits_of(number, width):
    """The inverse: a float32's bits, or those of the nearest bfloat16, the even one of two as near."""
    bits = _i32(_f32(number).view(np.int32))
    if width == _TWO_BYTES:
        nearest = _i32(bits + _BELOW_HALF + ((bits >> _HALF_WORD) & _ODD))
        return _i32((_NAN_AS_BITS if number != number else nearest) >> _HALF_WORD)
    return bits


@compiled()
def _in_order(number):
    """A whole number that orders as the float32 does. NaN lies at the two ends.

    The largest of whole numbers is found many at a time; that of floats is not, for the sake of NaN.
    """
    bits = _i32(_f32(number).view(np.int32))
    return _i32(bits ^ ((bits >> _SIGN) & _MAGNITUDE))


@compiled()
def _out_of_order(key):
    """The inverse of `_in_order`."""
    return _i32(_i32(key) ^ ((_i32(key) >> _SIGN) & _MAGNITUDE)).view(np.float32)


@compiled()
def _keep(statistics, maximum, total, total_x, total_y, total_z):
    """Where nothing but -inf was met, the total is 0 and the places NaN, as softmax makes them."""
    statistics[0] = maximum
    statistics[1] = 1.0 / total
    statistics[2] = total_x / total
    statistics[3] = total_y / total
    statistics[4] = total_z / total


@compiled("contract", "reassoc")
def forward_by_rows(first, last, bits, at_x, at_y, at_z, statistics):
    """The statistics of volumes `first` to `last` - 1, those whose cells are contiguous.

    Args:
        first, last: Which of the N volumes.
        bits: (N, D, H·W) logits.
        at_x, at_y: (H·W,) float32, the crop coordinates of a slice's cells.
        at_z: (D,) float32.
        statistics: (N, 5) float32, written.
    """
    depth, cells = bits.shape[1], bits.shape[2]
    width = bits.itemsize
    for n in range(first, last):
        maximum = _MINUS_INFINITY
        total, total_x, total_y, total_z = 0.0, 0.0, 0.0, 0.0
        for d in range(depth):
            logits = bits[n, d]
            top = _SMALLEST
            for i in range(cells):
                key = _in_order(number_of(logits[i], width))
                top = key if key > top else top
            here = _out_of_order(top)
            if not here <= maximum:  # higher, or NaN
                scale = exp(maximum - here)
                total *= scale
                total_x *= scale
                total_y *= scale
                total_z *= scale
                maximum = here
            # Nothing is taken from -inf: exp of it shall be 0, and not NaN, while higher cells may follow.
            reference = maximum if maximum != _MINUS_INFINITY else _ZERO
            slice_, slice_x, slice_y = _ZERO, _ZERO, _ZERO
            for i in range(cells):
                p = exponential(number_of(logits[i], width) - reference)
                slice_ += p
                slice_x += p * at_x[i]
                slice_y += p * at_y[i]
            total += slice_
            total_x += slice_x
            total_y += slice_y
            total_z += slice_ * at_z[d]
        _keep(statistics[n], maximum, total, total_x, total_y, total_z)


@compiled("contract")
def backward_by_rows(first, last, bits, at_x, at_y, at_z, statistics, gradient, out):
    """The gradient of volumes `first` to `last` - 1: p · Σ over axes of g (place - expected place).

    Args:
        first, last, bits, at_x, at_y, at_z, statistics: As `forward_by_rows` took and left them.
        gradient: (N, 3) float32, with respect to x, y, z.
        out: As `bits`; written with the gradient's.
    """
    depth, cells = bits.shape[1], bits.shape[2]
    width = bits.itemsize
    planar = np.empty(cells, np.float32)
    for n in range(first, last):
        maximum, share = statistics[n, 0], statistics[n, 1]
        x, y, z = statistics[n, 2], statistics[n, 3], statistics[n, 4]
        g_x, g_y, g_z = gradient[n, 0] * share, gradient[n, 1] * share, gradient[n, 2] * share
        for i in range(cells):
            planar[i] = g_x * (at_x[i] - x) + g_y * (at_y[i] - y)
        for d in range(depth):
            along_z = _f32(g_z * (at_z[d] - z))
            logits, written = bits[n, d], out[n, d]
            for i in range(cells):
                p = exponential(number_of(logits[i], width) - maximum)
                written[i] = bits_of(p * (planar[i] + along_z), width)


@compiled("contract", "reassoc")
def forward_by_channels(first, last, bits, at_x, at_z, partial):
    """What image rows `first` to `last` - 1 contribute, each below its own maximum.

    Args:
        first, last: Which of the B·H rows.
        bits: (B·H, W, J·D) logits.
        at_x: (W,) float32, the crop coordinates of a row's cells.
        at_z: (D,) float32.
        partial: (B·H, J, 4) float32, written: maximum, sum of exponentials, the same weighted with x, with z.
    """
    columns, channels, depth = bits.shape[1], bits.shape[2], at_z.shape[0]
    width = bits.itemsize
    top = np.empty(channels, np.int32)
    reference = np.empty(channels, np.float32)
    summed = np.empty(channels, np.float32)
    summed_x = np.empty(channels, np.float32)
    for row in range(first, last):
        top[:] = _SMALLEST
        for w in range(columns):
            logits = bits[row, w]
            for c in range(channels):
                key = _in_order(number_of(logits[c], width))
                top[c] = key if key > top[c] else top[c]
        for j in range(channels // depth):
            highest = _SMALLEST
            for d in range(depth):
                key = top[j * depth + d]
                highest = key if key > highest else highest
            maximum = _out_of_order(highest)
            partial[row, j, 0] = maximum
            for d in range(depth):  # see `forward_by_rows` for -inf
                reference[j * depth + d] = maximum if maximum != _MINUS_INFINITY else _ZERO
        summed[:] = _ZERO
        summed_x[:] = _ZERO
        for w in range(columns):
            logits, x = bits[row, w], at_x[w]
            for c in range(channels):
                p = exponential(number_of(logits[c], width) - reference[c])
                summed[c] += p
                summed_x[c] += p * x
        for j in range(channels // depth):
            total, total_x, total_z = _ZERO, _ZERO, _ZERO
            for d in range(depth):
                p = summed[j * depth + d]
                total += p
                total_x += summed_x[j * depth + d]
                total_z += p * at_z[d]
            partial[row, j, 1], partial[row, j, 2], partial[row, j, 3] = total, total_x, total_z


@compiled()
def merge_rows(partial, at_y, statistics):
    """The statistics of volumes from what their image rows contributed.

    Args:
        partial: (B, H, J, 4), what `forward_by_channels` wrote.
        at_y: (H,) float32, the rows' crop coordinates.
        statistics: (B, J, 5) float32, written.
    """
    batch, height, joints = partial.shape[:3]
    for b in range(batch):
        for j in range(joints):
            maximum = _MINUS_INFINITY
            for h in range(height):
                here = partial[b, h, j, 0]
                maximum = here if here > maximum else maximum
            total, total_x, total_y, total_z = 0.0, 0.0, 0.0, 0.0
            for h in range(height):
                scale = exp(partial[b, h, j, 0] - maximum)
                total += scale * partial[b, h, j, 1]
                total_x += scale * partial[b, h, j, 2]
                total_y += scale * partial[b, h, j, 1] * at_y[h]
                total_z += scale * partial[b, h, j, 3]
            _keep(statistics[b, j], maximum, total, total_x, total_y, total_z)


@compiled("contract")
def backward_by_channels(first, last, bits, at_x, at_y, at_z, statistics, gradient, out):
    """The gradient in image rows `first` to `last` - 1, as `backward_by_rows` has it.

    Args:
        first, last, bits, at_x, at_z: As `forward_by_channels` took them.
        at_y: (H,) float32.
        statistics: (B, J, 5) float32.
        gradient: (B, J, 3) float32, with respect to x, y, z.
        out: As `bits`; written with the gradient's.
    """
    columns, channels, depth, height = bits.shape[1], bits.shape[2], at_z.shape[0], at_y.shape[0]
    width = bits.itemsize
    reference = np.empty(channels, np.float32)
    along_x = np.empty(channels, np.float32)
    rest = np.empty(channels, np.float32)
    for row in range(first, last):
        b, h = row // height, row % height
        for j in range(channels // depth):
            maximum, share = statistics[b, j, 0], statistics[b, j, 1]
            x, y, z = statistics[b, j, 2], statistics[b, j, 3], statistics[b, j, 4]
            g_x, g_y, g_z = gradient[b, j, 0] * share, gradient[b, j, 1] * share, gradient[b, j, 2] * share
            for d in range(depth):
                c = j * depth + d
                reference[c] = maximum
                along_x[c] = g_x
                rest[c] = g_y * (at_y[h] - y) + g_z * (at_z[d] - z) - g_x * x
        for w in range(columns):
            logits, written, x = bits[row, w], out[row, w], at_x[w]
            for c in range(channels):
                p = exponential(number_of(logits[c], width) - reference[c])
                written[c] = bits_of(p * (along_x[c] * x + rest[c]), width)
