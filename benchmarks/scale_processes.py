"""What `scale.py` measures in processes of their own: a step's peak memory, and training by several.

    python benchmarks/scale_processes.py memory '{"preset": "nano", "batch_size": 32}'
    python -m torch.distributed.run --standalone --nproc-per-node 2 benchmarks/scale_processes.py \
        training '{"batch_size": 16, "steps": 20}'

Prints one line of JSON.
"""

from __future__ import annotations

import argparse
import ctypes
import dataclasses
import gc
import itertools
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from accelerate import Accelerator
from torch import distributed

from hemlets_lib.augment import NO_AUGMENTATION
from hemlets_lib.data.mixing import Mixture
from hemlets_lib.data.sample import Batch, Meta, collate, label_sample, normalise
from hemlets_lib.data.samples import load_samples
from hemlets_lib.heap import keep_freed_memory
from hemlets_lib.model import PRESETS, HEMletsNet, ModelConfig
from hemlets_lib.recipes import TrainConfig
from hemlets_lib.run_state import adam, moving_average
from hemlets_lib.train import take_step, train

STEPS_OF_A_MEASUREMENT = 3  # Adam's moments come with the first, and its gradients go with the second
ALL_REDUCES = 8
TINY = dataclasses.replace(  # but large enough for the kernels
    PRESETS["nano"], image_size=64, heatmap_size=16, depth_size=16, upsample_channels=4, encoder_channels=4
)


def made_up_batch(config: ModelConfig, count: int) -> Batch:
    """Noise for pictures, and joints anywhere, of the config's skeleton and size."""
    generator = torch.Generator().manual_seed(0)
    side, joints = config.image_size, config.skeleton.num_joints
    samples = []
    for number in range(count):
        picture = torch.randint(0, 256, (side, side, 3), dtype=torch.uint8, generator=generator)
        cam_mm = 400 * torch.randn(joints, 3, generator=generator) + torch.tensor([0.0, 0.0, 5000.0])
        samples.append(
            label_sample(
                picture.numpy(),
                affine=torch.eye(2, 3),
                meta=Meta("made up", frame=number),
                skeleton=config.skeleton,
                joints_px=side * torch.rand(joints, 2, generator=generator),
                joints_cam_mm=cam_mm,
            )
        )
    return collate(samples)


def step_of(recipe: TrainConfig, accelerator: Accelerator) -> Callable[[], object]:
    """One training step of the library, again and again on the same batch."""
    model = HEMletsNet(recipe.model)
    if recipe.channels_last:
        model = model.to(memory_format=torch.channels_last)
    model = model.to(accelerator.device).train()
    optimiser = adam(model, 1e-6)
    average = None if recipe.ema_decay is None else moving_average(model, recipe.ema_decay)
    network, prepared = accelerator.prepare(model, optimiser)
    batch = made_up_batch(recipe.model, recipe.batch_size)
    batches = itertools.repeat((batch, torch.arange(recipe.batch_size)))

    def step() -> None:
        take_step(network, prepared, batches, recipe, accelerator)
        if average is not None:
            average.update_parameters(model)

    return step


def forward_of(config: ModelConfig, count: int, precision: str, device: torch.device) -> Callable[[], object]:
    """A forward pass without gradients."""
    model = HEMletsNet(config).to(memory_format=torch.channels_last).to(device).eval()
    pictures = made_up_batch(config, count).images.to(device)

    @torch.no_grad()
    def forward() -> object:
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
            return model(normalise(pictures).contiguous(memory_format=torch.channels_last))

    return forward


def recipe_for(config: ModelConfig, count: int, precision: str = "float32") -> TrainConfig:
    """A recipe for measuring a step of such a network."""
    return TrainConfig(
        config, steps=1, batch_size=count, precision=precision, ema_decay=0.999,
        supervision="full" if config.intermediate else "none", augmentation=NO_AUGMENTATION,
    )  # fmt: skip


def resident_bytes(name: str) -> int:
    """This process's memory, "VmRSS" now or "VmHWM" at its highest, as Linux tells it."""
    with open("/proc/self/status", encoding="ascii") as lines:
        return next(1024 * int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def peak_of(make: Callable[[], Callable[[], object]], times: int, device: torch.device) -> int:
    """The most memory that setting up and a few calls take beyond what was taken before, bytes."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
    else:
        ctypes.CDLL(None).malloc_trim(0)
        before = resident_bytes("VmRSS")
        with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
            file.write("5")  # the highest mark starts again
    work = make()
    for _ in range(times):
        work()
    after = torch.cuda.max_memory_allocated() if device.type == "cuda" else resident_bytes("VmHWM")
    return after - before


def memory(
    *, preset: str, batch_size: int, precision: str = "float32", use: str = "training", kept: bool = False
) -> dict[str, Any]:
    """The peak of a few steps, or forward passes, on the GPU where there is one."""
    if kept:
        keep_freed_memory()
    accelerator = Accelerator()
    device = accelerator.device

    def maker(config: ModelConfig, count: int) -> Callable[[], Callable[[], object]]:
        if use == "training":
            return lambda: step_of(recipe_for(config, count, precision), accelerator)
        return lambda: forward_of(config, count, precision, device)

    peak_of(maker(TINY, 8), STEPS_OF_A_MEASUREMENT, device)  # loads and compiles what is used
    return {
        "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu",
        "measured_bytes": peak_of(maker(PRESETS[preset], batch_size), STEPS_OF_A_MEASUREMENT, device),
    }


class _Clock:
    """A watcher that notes when a record came."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def start(self, folder: object, config: TrainConfig, step: int) -> None: ...

    def record(self, record: Mapping[str, Any], model: HEMletsNet) -> None:
        if record["kind"] == "train":
            self.times.append(time.perf_counter())

    def stop(self) -> None: ...


def training(*, batch_size: int, steps: int, log_every: int = 2) -> dict[str, Any]:
    """The library's own training of `nano` on its shipped samples, in this many processes.

    Args:
        batch_size: Samples of each process.
        steps: How many.
        log_every: Steps between two readings of the clock; the first ones do not count.
    """
    torch.set_num_threads(1)
    config = PRESETS["nano"]
    processes, rank = Accelerator(cpu=True).num_processes, Accelerator(cpu=True).process_index
    recipe = dataclasses.replace(
        recipe_for(config, batch_size * processes), steps=steps, log_every=log_every,
        validate_every=steps, save_every=steps, learning_rate=1e-6,
    )  # fmt: skip
    clock = _Clock()
    with tempfile.TemporaryDirectory() as folder:
        shared = [folder]
        if processes > 1:
            distributed.broadcast_object_list(shared)
        data = Mixture([load_samples(size=config.image_size)])
        train(recipe, data, f"{shared[0]}/run", watchers=[clock], device="cpu")
        if processes > 1:
            distributed.barrier()
    spans = [(b - a) / log_every for a, b in itertools.pairwise(clock.times)][1:]
    message = sum(weight.nbytes for weight in HEMletsNet(config).parameters())
    found = {"processes": processes, "message_bytes": message}
    if processes > 1:
        found["all_reduce_s"] = all_reduce_seconds(message)
    return found | ({"step_s": statistics.median(spans)} if rank == 0 else {})


def all_reduce_seconds(message_bytes: int) -> float:
    """The median time in which the processes add up a message of that size."""
    message, times = torch.ones(message_bytes // 4), []
    for _ in range(ALL_REDUCES):
        distributed.barrier()
        started = time.perf_counter()
        distributed.all_reduce(message)
        times.append(time.perf_counter() - started)
    return statistics.median(times[1:])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("memory", "training"))
    parser.add_argument("options", type=json.loads, help="the function's, as JSON")
    arguments = parser.parse_args()
    found = {"memory": memory, "training": training}[arguments.what](**arguments.options)
    if arguments.what == "memory" or "step_s" in found:  # of several processes one speaks
        print(json.dumps(found), flush=True)
    if distributed.is_initialized():
        distributed.destroy_process_group()


if __name__ == "__main__":
    main()
