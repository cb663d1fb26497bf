"""Training, top to bottom: a recipe and data go in, a run's folder comes out.

    train(RECIPES["nano"], Mixture([ShardDataset("shards/train")]), "runs/nano")

One process or many, on one machine or several, run this same code under torchrun; Accelerate moves it to
the devices and averages the gradients. A step depends on (recipe, data, its number) alone: which samples
it takes, how they are augmented, the learning rate. So weights, optimiser and random generators are all
that is kept to resume, and a resumed run is the one that was never interrupted. Each process computes
its share of the one global batch, so that R processes do what one does, but for the statistics of batch
normalisation, which each takes over its own share unless `freeze_batch_norm` is set.
"""

from __future__ import annotations

import contextlib
import math
import signal
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader, Dataset

from hemlets_lib.augment import augment
from hemlets_lib.checkpoint import save_checkpoint
from hemlets_lib.data.mixing import Draw, Mixture, Source
from hemlets_lib.data.sample import Batch, Sample, collate, normalise
from hemlets_lib.heap import keep_freed_memory
from hemlets_lib.losses import LossTerms, hemlets_loss
from hemlets_lib.metrics import mpjpe, pa_mpjpe, polarity_accuracy
from hemlets_lib.model import HEMletsNet
from hemlets_lib.prediction import predict
from hemlets_lib.pretrained import load_imagenet_backbone
from hemlets_lib.recipes import TrainConfig
from hemlets_lib.run_folder import RunFolder, RunLog, Watcher
from hemlets_lib.targets import make_targets, states_for

if TYPE_CHECKING:
    from accelerate import Accelerator

__all__ = ["TrainingDiverged", "train", "validate"]

_RECORDED = (*LossTerms._fields, "gradient_norm")
_YOUNG = 10  # the average of weights is over fewer steps at first, or it would remember the random start
_NO_PICTURE = np.zeros((1, 1, 3), dtype=np.uint8)


class TrainingDiverged(RuntimeError):
    """A loss or a weight is not finite any more; the last good state is on disk."""


def train(
    config: TrainConfig,
    data: Mixture,
    out: str | Path,
    *,
    validation: Source = (),
    resume: bool = False,
    watchers: Sequence[Watcher] = (),
    device: str | None = None,
    workers: int = 0,
    stop_at: int | None = None,
) -> RunFolder:
    """Runs a recipe, from its first step or from where it stopped.

    An interrupt (Ctrl-C, SIGTERM) ends the run after the step at hand, with everything saved. PyTorch's
    global random generators are seeded.

    Args:
        config: The recipe.
        data: What is drawn from.
        out: The run's folder.
        validation: Samples to try the network on, say unseen takes of the training subjects.
        resume: Continue the run that is in the folder, with the same recipe and data.
        watchers: Told of every record.
        device: "cpu" keeps off an accelerator; left out, Accelerate takes what there is.
        workers: Processes that read and decode samples, for each training process.
        stop_at: End after this step instead of the recipe's last; the run can be resumed.

    Returns:
        The folder: `model_path` is the network, `read_log()` what happened.

    Raises:
        TrainingDiverged: If a loss or a weight is not finite; what was saved before is still there.
        ValueError: If data, recipe, folder and number of processes do not fit together, or a sample
            cannot be read.
        OSError: If the disk is full; what was saved before is still there.

    Source: §3.2 and 'Implementation details'.
    """
    keep_freed_memory()
    accelerator = _accelerator(device)
    _check_fit(config, data, accelerator.num_processes)
    torch.manual_seed(config.seed)
    model = _network(config, imagenet=config.imagenet and not resume).to(accelerator.device)
    folder, is_main = RunFolder(out), accelerator.is_main_process
    if is_main:
        folder.check_same(config, data.config) if resume else folder.create(config, data.config)
    accelerator.wait_for_everyone()

    optimiser = torch.optim.Adam(model.parameters(), lr=config.learning_rate)
    average = None if config.ema_decay is None else _moving_average(model, config.ema_decay)
    step, seconds = _restore(folder, model, optimiser, average) if resume else (0, 0.0)
    if config.compile:
        model.compile()
    network, prepared = accelerator.prepare(model, optimiser)
    wanted = _wanted(model, average)

    end = config.steps if stop_at is None else min(stop_at, config.steps)
    batches = _batches(data, config, range(step, end), accelerator, workers)
    log = RunLog(folder, config, wanted, watchers, step=step, seconds=seconds, active=is_main)
    with log, _interrupts() as interrupted:
        terms = []
        while step < end:
            for group in optimiser.param_groups:
                group["lr"] = config.rate_at(step)
            terms.append(_take_step(network, prepared, batches, config, accelerator))
            if average is not None:
                average.update_parameters(model)
            step += 1

            recording = step % config.log_every == 0
            stopping = step == end or _any_process(interrupted, accelerator, recording)
            if recording or stopping:
                means = accelerator.reduce(torch.stack(terms).mean(0), "mean").tolist()
                terms.clear()
                log.losses(step, dict(zip(_RECORDED, means, strict=True)), config.rate_at(step - 1))
                if not all(map(math.isfinite, means)) or not _is_finite(model):
                    raise TrainingDiverged(_advice(step, config, folder))
            if len(validation) and is_main and (step % config.validate_every == 0 or step == config.steps):
                log.validation(step, validate(wanted, validation))
            if is_main and (step % config.save_every == 0 or stopping):
                _save(folder, log, step, model, optimiser, average, data)
            if stopping:
                log.event(step, "finished" if step == config.steps else "stopped")
                break
    accelerator.wait_for_everyone()
    return folder


def validate(model: HEMletsNet, samples: Source, *, batch_size: int = 64) -> dict[str, float]:
    """A network's errors on samples with 3D labels, for watching it learn; `evaluate` has the protocols.

    Args:
        model: In any mode.
        samples: Of the model's skeleton.
        batch_size: How many at once.

    Returns:
        `mpjpe_mm`, `pa_mpjpe_mm`, and where it puts out triplets `polarity_percent`: means over samples.
    """
    found = predict(model, samples, batch_size=batch_size, return_maps=False)
    truth = collate(
        [replace(sample, image=_NO_PICTURE) for sample in map(samples.__getitem__, range(len(samples)))]
    )
    metrics = {}
    for name, metric in (("mpjpe_mm", mpjpe), ("pa_mpjpe_mm", pa_mpjpe)):
        errors = metric(
            predicted=found.joints_root_rel_mm,
            target=truth.joints_cam_mm,
            valid=truth.joints_cam_mm.isfinite().all(-1),
        )
        metrics[name] = errors.nanmean().item()
    if found.decoded is not None:
        states = states_for(truth, model.config.skeleton, variant=model.config.variant)
        metrics["polarity_percent"] = polarity_accuracy(predicted=found.decoded.states, target=states).overall
    return metrics


def _take_step(
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    batches: Iterator[tuple[Batch, Tensor]],
    config: TrainConfig,
    accelerator: Accelerator,
) -> Float[Tensor, "8"]:
    """One step of the optimiser; the terms of the loss and the gradient's norm, on the device."""
    model, kind, total = config.model, accelerator.device.type, None
    optimiser.zero_grad()
    for micro in range(config.micro_batches):
        batch, numbers = next(batches)
        batch = augment(
            batch.to(accelerator.device, non_blocking=True),
            config.augmentation,
            skeleton=model.skeleton,
            seed=config.seed,
            epoch=0,  # `numbers` never come again
            indices=numbers,
            size=model.image_size,
        )
        targets = make_targets(batch, model, supervision=config.supervision)
        is_last = micro == config.micro_batches - 1
        with contextlib.nullcontext() if is_last else accelerator.no_sync(network):
            with torch.autocast(kind, torch.bfloat16, enabled=config.precision == "bfloat16"):
                output = network(_laid_out(normalise(batch.images), config))
            terms = hemlets_loss(
                output,
                targets,
                size=model.volume_size,
                grid=model.grid,
                supervision=config.supervision,
                alpha=config.alpha,
                map_reduction=config.map_reduction,
                joint_reduction=config.joint_reduction,
                unit=config.unit,
            )
            accelerator.backward(terms.total / config.micro_batches)
        here = torch.stack(terms).detach() / config.micro_batches
        total = here if total is None else total + here
    norm = accelerator.clip_grad_norm_(network.parameters(), config.gradient_clip or math.inf)
    optimiser.step()
    assert total is not None
    return torch.cat([total, norm.detach().reshape(1).to(total)])


class _Numbered(Dataset):
    """A mixture's samples with the numbers of their draws, which key their augmentation."""

    def __init__(self, data: Mixture) -> None:
        self._data = data

    def __getitem__(self, draw: Draw) -> tuple[Sample, int]:
        return self._data[draw], draw.number


def _collate_numbered(rows: Sequence[tuple[Sample, int]]) -> tuple[Batch, Tensor]:
    samples, numbers = zip(*rows, strict=True)
    return collate(samples), torch.tensor(numbers)


class _Plan:
    """The draws of each micro-batch of one process, step after step."""

    def __init__(self, data: Mixture, config: TrainConfig, steps: range, rank: int, processes: int) -> None:
        self._data, self._config, self._steps, self._rank, self._processes = (
            data,
            config,
            steps,
            rank,
            processes,
        )

    def __iter__(self) -> Iterator[list[Draw]]:
        pieces = self._processes * self._config.micro_batches
        rows = self._config.batch_size // pieces
        for step in self._steps:
            draws = self._data.draws(step, self._config.batch_size)
            for micro in range(self._config.micro_batches):
                start = (self._rank * self._config.micro_batches + micro) * rows
                yield draws[start : start + rows]

    def __len__(self) -> int:
        return len(self._steps) * self._config.micro_batches


def _batches(
    data: Mixture, config: TrainConfig, steps: range, accelerator: Accelerator, workers: int
) -> Iterator[tuple[Batch, Tensor]]:
    loader = DataLoader(
        _Numbered(data),
        batch_sampler=_Plan(data, config, steps, accelerator.process_index, accelerator.num_processes),
        collate_fn=_collate_numbered,
        num_workers=workers,
        pin_memory=accelerator.device.type == "cuda",
        generator=torch.Generator(),  # else it would draw from the one that is saved, once for each start
    )
    return iter(loader)


def _accelerator(device: str | None) -> Accelerator:
    from accelerate import Accelerator
    from accelerate.utils import DistributedDataParallelKwargs

    # Precision is not its business: it would fix that for the life of the process.
    return Accelerator(
        cpu=device == "cpu", kwargs_handlers=[DistributedDataParallelKwargs(gradient_as_bucket_view=True)]
    )


def _check_fit(config: TrainConfig, data: Mixture, processes: int) -> None:
    pieces = processes * config.micro_batches
    if config.batch_size % pieces:
        raise ValueError(
            f"training: `batch_size` must be a multiple of processes x micro-batches ({processes} x "
            f"{config.micro_batches}), got {config.batch_size}."
        )
    first = data[data.draws(0, 1)[0]]
    config.model.skeleton.check_joints(first.joints_crop, "data")
    if len(first.part_states) != config.model.skeleton.num_parts:
        raise ValueError(
            f"training: the data must have the {config.model.skeleton.num_parts} parts of skeleton "
            f"{config.model.skeleton.name!r}, got {len(first.part_states)}. Build it with that skeleton."
        )


def _laid_out(tensor: Tensor, config: TrainConfig) -> Tensor:
    layout = torch.channels_last if config.channels_last else torch.contiguous_format
    return tensor.contiguous(memory_format=layout)


def _network(config: TrainConfig, *, imagenet: bool) -> HEMletsNet:
    model = HEMletsNet(config.model)
    if imagenet:
        load_imagenet_backbone(model.backbone, config.model.backbone)
    if config.channels_last:
        model = model.to(memory_format=torch.channels_last)
    model.train()
    if config.freeze_batch_norm:
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
    return model


def _moving_average(model: HEMletsNet, decay: float) -> AveragedModel:
    """The weights' average over about 1 / (1 - decay) steps, over fewer in the beginning."""

    def update(averaged: Tensor, current: Tensor, count: Tensor | int) -> Tensor:
        weight = max(1 - decay, (_YOUNG - 1) / (_YOUNG + int(count)))
        return torch.lerp(averaged, current, weight) if averaged.is_floating_point() else current

    return AveragedModel(model, avg_fn=update, use_buffers=True)


def _wanted(model: HEMletsNet, average: AveragedModel | None) -> HEMletsNet:
    """The network that is tried out and handed over."""
    if average is None:
        return model
    assert isinstance(average.module, HEMletsNet)
    return average.module


def _save(
    folder: RunFolder,
    log: RunLog,
    step: int,
    model: HEMletsNet,
    optimiser: torch.optim.Optimizer,
    average: AveragedModel | None,
    data: Mixture,
) -> None:
    """The state, then the network: a kill in between leaves a state that makes that network anew."""
    folder.save_state(
        {
            "step": step,
            "seconds": log.seconds,
            "model": model.state_dict(),
            "optimiser": optimiser.state_dict(),
            "average": None if average is None else average.state_dict(),
            "rng": {"cpu": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state_all()},
        }
    )
    save_checkpoint(folder.model_path, _wanted(model, average), metadata=log.summary(step, data.config))


def _restore(
    folder: RunFolder,
    model: HEMletsNet,
    optimiser: torch.optim.Optimizer,
    average: AveragedModel | None,
) -> tuple[int, float]:
    """Puts the saved state into its places; the step that is next, and the seconds spent so far."""
    state = folder.load_state()
    model.load_state_dict(state["model"])
    optimiser.load_state_dict(state["optimiser"])
    if average is not None:
        average.load_state_dict(state["average"])
    torch.set_rng_state(state["rng"]["cpu"])
    if len(state["rng"]["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["rng"]["cuda"])
    return state["step"], state["seconds"]


def _is_finite(model: nn.Module) -> bool:
    return all(bool(parameter.isfinite().all()) for parameter in model.parameters())


def _advice(step: int, config: TrainConfig, folder: RunFolder) -> str:
    return (
        f"training: a loss or a weight is not finite at step {step} (learning rate "
        f"{config.rate_at(step - 1):.2g}). {folder.state_path} holds the last good state, if one was saved. "
        f"Start again with a lower learning_rate, more warmup_steps or a gradient_clip."
    )


def _any_process(interrupted: threading.Event, accelerator: Accelerator, asking: bool) -> bool:
    """Whether a process was told to stop; several must agree on the step, and ask each other now and then."""
    if accelerator.num_processes == 1:
        return interrupted.is_set()
    if not asking:
        return False
    flag = torch.tensor(float(interrupted.is_set()), device=accelerator.device)
    return accelerator.reduce(flag, "sum").item() > 0


@contextlib.contextmanager
def _interrupts() -> Iterator[threading.Event]:
    """An event that the first SIGINT or SIGTERM sets; the second one is as ever."""
    told = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield told
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def tell(number: int, frame: object) -> None:
        told.set()
        signal.signal(number, before[signal.Signals(number)])

    for number in before:
        signal.signal(number, tell)
    try:
        yield told
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
