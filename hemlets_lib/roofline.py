"""How fast a computation could be on a machine whose limits are known: operation by operation.

An operation takes at least the time of its arithmetic at the peak rate, and at least that of moving its
inputs and outputs at the rate of copying; the longer of the two is its bound, and what it is bound by.
Bytes are an estimate: every operation is taken to read its inputs from memory and to write its outputs
there. What a cache still holds from the operation before is counted all the same, so that a computation
on small arrays may beat its bound of memory; that of arithmetic it cannot beat. Compiled kernels of our own
(`kernels`) are not among PyTorch's operations and go uncounted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import astuple, dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from hemlets_lib.limits import Limits

__all__ = ["KINDS", "Work", "roofline", "total"]

KINDS = ("convolutions and products", "normalisation", "optimiser", "copies and casts", "the rest")


@dataclass(frozen=True)
class Work:
    """What operations of one kind amount to.

    Args:
        kind: One of `KINDS`.
        calls: Operations.
        gflop: Their arithmetic, in billions; counted for convolutions and products alone.
        gb: Bytes that they read and write, in billions.
        compute_ms, memory_ms: At the limits, each counted over all of the operations.
        bound_ms: The sum over operations of the longer of the two.
    """

    kind: str
    calls: int
    gflop: float
    gb: float
    compute_ms: float
    memory_ms: float
    bound_ms: float


def roofline(function: Callable[[], object], limits: Limits) -> list[Work]:
    """Runs a computation once, backward passes included, and adds up what its operations would take.

    Args:
        function: The computation, on the device whose limits are given.
        limits: From `limits.measure_limits`.

    Returns:
        A line for each kind of operation that occurs.
    """
    with _Ledger(limits) as ledger:
        function()
    return [Work(kind, *ledger.sums[kind]) for kind in KINDS if ledger.sums[kind][0]]


def total(works: Iterable[Work]) -> Work:
    """All of it together, as one more line.

    Args:
        works: What `roofline` gives.
    """
    numbers = zip(*(astuple(each)[1:] for each in works), strict=True)
    return Work("all", *map(sum, numbers))


class _Ledger(TorchDispatchMode):
    """Writes down each operation that PyTorch carries out."""

    def __init__(self, limits: Limits) -> None:
        super().__init__()
        self._limits = limits
        self.sums: dict[str, list[Any]] = {kind: [0, 0.0, 0.0, 0.0, 0.0, 0.0] for kind in KINDS}

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = operation(*args, **kwargs)
        packet = operation.overloadpacket
        moved = _bytes_moved(operation, args, kwargs, result)
        counted = packet in flop_registry
        flop = flop_registry[packet](*args, **kwargs, out_val=result) if counted else 0
        if moved or flop:
            low = any(tensor.dtype == torch.bfloat16 for tensor in _tensors(args))
            peak = self._limits.gflops["bfloat16" if low else "float32"]
            compute, memory = flop / peak / 1e6, moved / self._limits.copy_gb_per_s / 1e6
            entry = self.sums[_kind(packet.__name__, counted)]
            added = (1, flop / 1e9, moved / 1e9, compute, memory, max(compute, memory))
            entry[:] = map(sum, zip(entry, added, strict=True))
        return result


def _kind(name: str, counted: bool) -> str:
    if counted:
        return KINDS[0]
    if "batch_norm" in name:
        return KINDS[1]
    if "adam" in name or "_foreach" in name:
        return KINDS[2]
    return KINDS[3] if name in ("_to_copy", "clone", "copy_") else KINDS[4]


def _tensors(values: Any) -> Iterator[Tensor]:
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, list | tuple):
        for value in values:
            yield from _tensors(value)


def _bytes_moved(operation: Any, args: Any, kwargs: Any, result: Any) -> int:
    """Inputs read, outputs written; a view, or memory that is only reserved, moves nothing."""
    if operation.overloadpacket.__name__.startswith(("empty", "new_empty")):
        return 0
    given = [
        (argument, args[place] if place < len(args) else kwargs.get(argument.name))
        for place, argument in enumerate(operation._schema.arguments)
    ]
    inputs = list(_tensors([value for _, value in given]))
    known = {tensor.untyped_storage()._cdata for tensor in inputs}
    made = [each for each in _tensors(result) if each.untyped_storage()._cdata not in known]
    written = list(_tensors([value for argument, value in given if _is_written(argument)]))
    if not made and not written:
        return 0
    read = _tensors([value for argument, value in given if not argument.is_out])
    return sum(map(_bytes, (*read, *made, *written)))


def _is_written(argument: Any) -> bool:
    return argument.alias_info is not None and argument.alias_info.is_write


def _bytes(tensor: Tensor) -> int:
    """What a tensor takes up; one that repeats itself (`expand`) takes no more than its storage."""
    return min(tensor.numel() * tensor.element_size(), tensor.untyped_storage().nbytes())
