"""How much memory a network takes, and the largest batch that fits: read off its code, nothing is run.

    training_memory(PRESETS["official"], precision="bfloat16").largest_batch(80 * 10**9)

A step is traced on tensors that have shapes and no contents, and every block is counted from the operation
that makes it to the one after which nobody holds it. What is held after operation t grows by as much with
each image, so that the peak over a step is

    peak(B) = max over t of (fixed_t + per_image_t · B)

Two traces, of 2 and 3 images, give all fixed_t and per_image_t. The formula so follows the layers as they
are: what autograd saves, the casts of autocast, gradients that come as activations go.

Counted are tensors, as `torch.cuda.max_memory_allocated` counts them; `benchmarks/scale.py` holds the formula
against measurement. Not counted are the program itself, the workspaces of single operations, and what an
allocator keeps in reserve between blocks.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from hemlets_lib import losses as losses_module
from hemlets_lib import model as network_module
from hemlets_lib.data.sample import normalise
from hemlets_lib.kernels.map_loss import Drawing
from hemlets_lib.losses import Targets, hemlets_loss
from hemlets_lib.model import HEMletsNet, ModelConfig
from hemlets_lib.recipes import Precision

__all__ = ["HeldBytes", "MemoryUse", "Moment", "inference_memory", "training_memory"]

_BATCHES = 2, 3  # one image could take another way through a layer
_MOMENTS = 2  # that Adam keeps of each weight
_STATISTICS = 5  # that the soft-argmax's kernel keeps of a joint


class Moment(NamedTuple):
    """What is held at one moment of a step: `fixed` bytes, and `per_image` more for each image."""

    fixed: int
    per_image: int

    def at(self, batch_size: int) -> int:
        """Bytes with so many images."""
        return self.fixed + self.per_image * batch_size


@dataclass(frozen=True)
class MemoryUse:
    """The formula of one network in one way of use.

    Args:
        parts: What is held throughout, by name, bytes: weights and statistics, in training also Adam's
            moments and the moving average.
        saved: What is held when the forward pass has ended; in training that is what backward needs.
        moments: Those that are the step's peak for some batch size.
    """

    parts: Mapping[str, int]
    saved: Moment
    moments: tuple[Moment, ...]

    @property
    def fixed(self) -> int:
        """Bytes that are held throughout."""
        return sum(self.parts.values())

    def peak(self, batch_size: int) -> int:
        """The most that is held at once, bytes.

        Args:
            batch_size: Images on one device (of one micro-batch).

        Raises:
            ValueError: If there are none.
        """
        if batch_size < 1:
            raise ValueError(f"`batch_size` must be at least 1, got {batch_size}.")
        return max(moment.at(batch_size) for moment in self.moments)

    def largest_batch(self, memory_bytes: float, *, spare: float = 0.0) -> int:
        """The most images for which a memory suffices; 0 if not even one fits.

        Args:
            memory_bytes: Of the device, or what is free of it.
            spare: Share of it that is left to what the formula does not count: more where the allocator
                keeps freed memory, as training has it. `hemlets memory` leaves enough for that.

        Raises:
            ValueError: If the memory is not positive, or the share not in 0…1.
        """
        if not memory_bytes > 0:
            raise ValueError(f"`memory_bytes` must be positive, got {memory_bytes}.")
        if not 0 <= spare < 1:
            raise ValueError(f"`spare` must be at least 0 and below 1, got {spare}.")
        usable = (1 - spare) * memory_bytes
        if self.peak(1) > usable:
            return 0
        return min(
            int((usable - moment.fixed) // moment.per_image)
            for moment in self.moments
            if moment.per_image > 0
        )


def training_memory(
    config: ModelConfig,
    *,
    precision: Precision = "float32",
    average: bool = True,
    gradients_stay: bool = False,
    fused: bool = True,
) -> MemoryUse:
    """The formula of a training step as `train` takes it: full supervision, Adam.

    Args:
        config: The network.
        precision: "bfloat16" computes in autocast; weights, gradients and moments stay float32.
        average: Whether a moving average of the weights is kept (`TrainConfig.ema_decay`).
        gradients_stay: Whether gradients outlive a step: with several processes, whose message they are,
            or several micro-batches.
        fused: Whether kernels are used: `kernels.soft_argmax` and `kernels.map_loss`; else their readable
            forms. A GPU has only the kernel of the soft-argmax: its targets are whole maps, which add about a
            hundredth to the peak at 64 cells and are not counted.

    Returns:
        The formula, in images of one process and one micro-batch.
    """

    def step(batch_size: int) -> _Trace:
        with _counting(fused) as held:
            model = _network(config).train()
            weights = list(model.parameters())
            parts = {"weights": held.bytes}
            beside = [torch.empty_like(weight) for weight in weights for _ in range(_MOMENTS)]
            parts["Adam"] = held.bytes - sum(parts.values())
            if average:
                beside += [torch.empty_like(tensor) for tensor in (*weights, *model.buffers())]
                parts["average"] = held.bytes - sum(parts.values())
            if gradients_stay:
                for weight in weights:
                    weight.grad = torch.empty_like(weight)
                parts["gradients"] = held.bytes - sum(parts.values())
            held.history.clear()
            pictures, targets = _pictures(config, batch_size), _targets(config, batch_size)
            with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
                output = model(_input(pictures))
            loss = hemlets_loss(
                output,
                targets,
                size=config.volume_size,
                grid=config.grid,
                supervision="full" if config.intermediate else "none",
            ).total
            after_forward = held.bytes
            loss.backward()
            del beside  # held until here
        return _Trace(parts, after_forward, held.history)

    return _formula(step)


def inference_memory(
    config: ModelConfig, *, precision: Precision = "float32", fused: bool = True
) -> MemoryUse:
    """The formula of a forward pass without gradients, whose output is kept.

    It is that of the network as it is trained. `HEMletsNet.fuse(precision="bfloat16")` has weights of half
    the size and no casts of them, and needs less than is said here.

    Args:
        config: The network, not fused.
        precision: "bfloat16" computes in autocast; the weights stay float32.
        fused: As for `training_memory`.
    """

    def step(batch_size: int) -> _Trace:
        with _counting(fused) as held, torch.no_grad():
            model = _network(config).eval()
            parts = {"weights": held.bytes}
            held.history.clear()
            pictures = _pictures(config, batch_size)
            with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
                output = model(_input(pictures))
            after_forward = held.bytes
            del output  # held until here
        return _Trace(parts, after_forward, held.history)

    return _formula(step)


class HeldBytes(TorchDispatchMode):
    """Counts the bytes of all tensors that come out of operations while it is on, and are still held.

        with HeldBytes() as held:
            ...
        max(held.history)

    Views count once. Works on tensors with contents and without. Memory from before counts if `count` is
    told of it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0
        self.history: list[int] = []  # after each operation that made a tensor
        self._known: weakref.WeakSet[torch.UntypedStorage] = weakref.WeakSet()

    def count(self, tensors: Iterable[Tensor]) -> None:
        """Counts the memory of these, too, until it is freed."""
        for tensor in tensors:
            storage = tensor.untyped_storage()
            if storage not in self._known:
                size = storage.nbytes()
                self._known.add(storage)
                self.bytes += size
                weakref.finalize(storage, self._freed, size).atexit = False

    def _freed(self, size: int) -> None:
        self.bytes -= size

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        made = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
        if made:
            self.count(made)
            self.history.append(self.bytes)
        return result


@contextmanager
def _counting(fused: bool) -> Iterator[HeldBytes]:
    """Tensors without contents, counted; kernels, which do not run on such, are stood in for."""
    instead: dict[tuple[Any, str], Any] = {}
    if fused:
        instead = {
            (network_module, "soft_argmax_3d_fused"): _soft_argmax_in_one_pass,
            (losses_module, "can_compare"): lambda predicted, target: True,
            (losses_module, "squared_errors"): _squared_errors_in_one_pass,
        }
    before = {(module, name): getattr(module, name) for module, name in instead}
    try:
        for (module, name), function in instead.items():
            setattr(module, name, function)
        with FakeTensorMode(), HeldBytes() as held:
            yield held
    finally:
        for (module, name), function in before.items():
            setattr(module, name, function)


def _soft_argmax_in_one_pass(volume_logits: Tensor, *, grid: object) -> Tensor:
    joints = tuple(volume_logits.shape[:2])
    return _OnePass.apply(volume_logits, (*joints, _STATISTICS), (*joints, 3))


def _squared_errors_in_one_pass(predicted: Tensor, target: object, counted: Tensor) -> Tensor:
    return _OnePass.apply(predicted, (0,), predicted.shape[:1])


class _OnePass(torch.autograd.Function):
    """What a kernel holds: its input, a few numbers, a small result, and a gradient of the input's size."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, kept: tuple[int, ...], result: tuple[int, ...]) -> Tensor:
        ctx.save_for_backward(values, values.new_empty(kept, dtype=torch.float32))
        return values.new_empty(result, dtype=torch.float32)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        values, _ = ctx.saved_tensors
        return torch.empty_like(values), None, None


class _Trace(NamedTuple):
    parts: dict[str, int]
    after_forward: int
    history: list[int]


def _formula(step: Callable[[int], _Trace]) -> MemoryUse:
    """Two traces as lines over the batch size, and the lines that are on top somewhere."""
    fewer, more = (step(batch_size) for batch_size in _BATCHES)
    assert len(fewer.history) == len(more.history), "a step's operations must not depend on the batch size"

    def line(low: int, high: int) -> Moment:
        per_image = (high - low) // (_BATCHES[1] - _BATCHES[0])
        return Moment(low - per_image * _BATCHES[0], per_image)

    saved = line(fewer.after_forward, more.after_forward)
    lines = {line(*pair) for pair in zip(fewer.history, more.history, strict=True)}
    tops: list[Moment] = []
    for each in sorted(lines, key=lambda moment: (-moment.at(1), -moment.per_image)):
        if not tops or each.per_image > tops[-1].per_image:  # lower at one image, but it grows faster
            tops.append(each)
    return MemoryUse(fewer.parts, saved, tuple(tops))


def _network(config: ModelConfig) -> HEMletsNet:
    """Channels-last, as recipes have it. `Module.to` cannot change the layout of tensors without contents."""
    model = HEMletsNet(config)
    for weight in model.parameters():
        if weight.ndim == 4:
            weight.data = weight.data.to(memory_format=torch.channels_last)
    return model


def _pictures(config: ModelConfig, batch_size: int) -> Tensor:
    return torch.empty(batch_size, 3, config.image_size, config.image_size, dtype=torch.uint8)


def _input(pictures: Tensor) -> Tensor:
    return normalise(pictures).contiguous(memory_format=torch.channels_last)


def _targets(config: ModelConfig, batch_size: int) -> Targets:
    skeleton, side = config.skeleton, config.heatmap_size
    joints, parts = skeleton.num_joints, skeleton.num_parts
    valid = torch.empty(batch_size, joints, dtype=torch.bool)
    targets = Targets(torch.empty(batch_size, joints, 3), joint_valid=valid, has_depth=valid)
    if not config.intermediate:
        return targets
    along = torch.empty(batch_size, joints, side), torch.empty(batch_size, joints, side)

    def described(*maps: int) -> Drawing:
        return Drawing(*along, torch.zeros(batch_size, *maps, 2, dtype=torch.long))

    return targets._replace(
        triplets=described(parts, config.num_states),
        part_mask=torch.empty(batch_size, parts, dtype=torch.bool),
        heatmaps=described(joints),
    )
