"""What a machine can do at best, measured: arithmetic, in matrix products and convolutions, and copying.

A time can be held against these: work of so many operations that moves so many bytes cannot be faster, on
this machine, than either allows (`roofline`). They are peaks of PyTorch's own kernels, not of a data sheet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import torch

from hemlets_lib.timing import best_of, times_ms

__all__ = ["Limits", "convolution", "copying", "matrix_product", "measure_limits", "threads"]

_SIZES = {"cpu": (512, 1024, 2048), "cuda": (2048, 4096, 8192)}  # of square matrices: the best one counts
_COPIED_MIB = {"cpu": 128, "cuda": 1024}  # far more than a cache holds
_CHANNELS, _SIDE, _BATCH = 256, 64, {"cpu": 2, "cuda": 64}  # a 3x3 convolution as in the network's heads
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
_CONVOLUTION = f"convolution 3x3, {_CHANNELS} channels, {_SIDE}x{_SIDE}"


@dataclass(frozen=True)
class Limits:
    """A device's measured peaks.

    Args:
        device: "cpu" or "cuda".
        threads: On a CPU.
        gflops: Precision → billions of operations a second, the best of matrix products and convolution;
            a multiplication and an addition are two.
        copy_gb_per_s: Billions of bytes a second, read and written, when copying.
    """

    device: str
    threads: int
    gflops: Mapping[str, float]
    copy_gb_per_s: float

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


@contextmanager
def threads(count: int) -> Iterator[None]:
    """So many of PyTorch's threads inside the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def matrix_product(size: int, dtype: torch.dtype, device: str = "cpu") -> tuple[Callable[[], object], float]:
    """A product of two square matrices.

    Args:
        size: Of a side.
        dtype: Of the numbers.
        device: Where.

    Returns:
        What to call, and the billions of operations in it.
    """
    one, other = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    return lambda: one @ other, 2 * size**3 / 1e9


def convolution(dtype: torch.dtype, device: str = "cpu") -> tuple[Callable[[], object], float]:
    """A 3x3 convolution of 256 to 256 channels at 64x64, channels last.

    Args:
        dtype: Of the numbers.
        device: Where.

    Returns:
        What to call, and the billions of operations in it.
    """
    batch = _BATCH[device]
    maps = torch.randn(batch, _CHANNELS, _SIDE, _SIDE, device=device).to(dtype)
    kernel = torch.randn(_CHANNELS, _CHANNELS, 3, 3, device=device).to(dtype)
    maps, kernel = (each.contiguous(memory_format=torch.channels_last) for each in (maps, kernel))
    gflop = 2 * 9 * batch * _SIDE**2 * _CHANNELS**2 / 1e9
    return lambda: torch.nn.functional.conv2d(maps, kernel, padding=1), gflop


def copying(device: str = "cpu") -> tuple[Callable[[], object], float]:
    """Copying an array that no cache holds.

    Args:
        device: Where.

    Returns:
        What to call, and the billions of bytes read and written.
    """
    source = torch.ones(_COPIED_MIB[device] * 2**20, dtype=torch.uint8, device=device)
    goal = torch.empty_like(source)
    return lambda: goal.copy_(source), 2 * source.numel() / 1e9


@torch.inference_mode()
def measure_limits(device: str = "cpu", *, rounds: int = 5) -> tuple[Limits, list[dict[str, Any]]]:
    """The peaks of a device, each the fastest of some rounds; on a CPU with the threads PyTorch now has.

    Args:
        device: "cpu" or "cuda".
        rounds: More of them are less disturbed by what else the machine does.

    Returns:
        The limits, and a row for each measurement: what, device, threads, dtype, rate, unit.

    Raises:
        ValueError: If the device is another.
    """
    if device not in _SIZES:
        raise ValueError(f"`device` must be one of {', '.join(map(repr, _SIZES))}, got {device!r}.")
    ways: dict[tuple[str, str], tuple[Callable[[], object], float]] = {}
    for name, dtype in _DTYPES.items():
        for size in _SIZES[device]:
            ways[f"matrix product {size}", name] = matrix_product(size, dtype, device)
        ways[_CONVOLUTION, name] = convolution(dtype, device)
    ways["copy", "bytes"] = copying(device)
    fastest = best_of(
        times_ms(
            {" ".join(key): call for key, (call, _) in ways.items()}, rounds=rounds, warm_up=1, device=device
        )
    )
    count = torch.get_num_threads()
    rows: list[dict[str, Any]] = [
        {
            "what": key[0], "dtype": key[1], "device": device, "threads": count,
            "rate": work / (fastest[" ".join(key)] / 1000), "unit": "GB/s" if key[0] == "copy" else "GFLOP/s",
        }
        for key, (_, work) in ways.items()
    ]  # fmt: skip
    peaks = {name: max(row["rate"] for row in rows if row["dtype"] == name) for name in _DTYPES}
    return Limits(device, count, peaks, rows[-1]["rate"]), rows
