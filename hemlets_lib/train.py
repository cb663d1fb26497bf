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

from hemlets_lib.augment import augment
from hemlets_lib.batches import draw_batches
from hemlets_lib.data.mixing import Mixture, Source
from hemlets_lib.data.sample import Batch, collate, normalise
from hemlets_lib.geometry import Grid
from hemlets_lib.heap import keep_freed_memory
from hemlets_lib.losses import LossTerms, hemlets_loss
from hemlets_lib.metrics import mpjpe, pa_mpjpe, polarity_accuracy
from hemlets_lib.model import HEMletsNet, HEMletsOutput
from hemlets_lib.prediction import predict
from hemlets_lib.pretrained import load_imagenet_backbone
from hemlets_lib.recipes import TrainConfig
from hemlets_lib.rivals import ranking_loss, tristate_loss, volume_loss
from hemlets_lib.run_folder import RunFolder, RunLog, Watcher
from hemlets_lib.run_state import RunState, adam, moving_average
from hemlets_lib.targets import make_targets, states_for
from hemlets_lib.triplets import part_mask

if TYPE_CHECKING:
    from accelerate import Accelerator

__all__ = ["TrainingDiverged", "take_step", "train", "validate"]

_RECORDED = (*LossTerms._fields, "gradient_norm")
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
        stop_at: End after this step instead of the recipe's last; the run can be resumed. A stop between
            two records of losses closes the first early.

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
    _check_fit(config, data, validation, accelerator.num_processes)
    torch.manual_seed(config.seed)
    model = _network(config, imagenet=config.imagenet and not resume).to(accelerator.device)
    folder, is_main = RunFolder(out), accelerator.is_main_process
    with folder.held(resume=resume) if is_main else contextlib.nullcontext():
        if is_main:
            folder.check_same(config, data.config) if resume else folder.create(config, data.config)
        accelerator.wait_for_everyone()
        _run(config, data, folder, model, validation, resume, watchers, workers, stop_at, accelerator)
        accelerator.wait_for_everyone()
    return folder


def _run(
    config: TrainConfig,
    data: Mixture,
    folder: RunFolder,
    model: HEMletsNet,
    validation: Source,
    resume: bool,
    watchers: Sequence[Watcher],
    workers: int,
    stop_at: int | None,
    accelerator: Accelerator,
) -> None:
    """The steps of a run, in one of its processes."""
    optimiser = adam(model, config.learning_rate)
    average = None if config.ema_decay is None else moving_average(model, config.ema_decay)
    kept = RunState(folder, config, data, model, optimiser, average, accelerator.num_processes)
    step, seconds = kept.restore() if resume else (0, 0.0)
    if config.compile:
        model.compile()
    network, prepared = accelerator.prepare(model, optimiser)

    is_main = accelerator.is_main_process
    end = config.steps if stop_at is None else min(stop_at, config.steps)
    batches = draw_batches(
        data,
        config,
        range(step, end),
        rank=accelerator.process_index,
        processes=accelerator.num_processes,
        workers=workers,
        pin_memory=accelerator.device.type == "cuda",
    )
    log = RunLog(folder, config, kept.wanted, watchers, step=step, seconds=seconds, active=is_main)
    with log, _interrupts() as interrupted:
        if is_main and step:  # a kill may have come between the last state and its network
            kept.save_network(step, log)
        terms: list[Tensor] = []
        while step < end:
            for group in optimiser.param_groups:
                group["lr"] = config.rate_at(step)
            terms.append(take_step(network, prepared, batches, config, accelerator))
            if average is not None:
                average.update_parameters(model)
            step += 1

            recording = step % config.log_every == 0
            stopping = step == end or _any_process(interrupted, accelerator, recording)
            saving = is_main and (stopping or step % config.save_every == 0)
            if recording or stopping:
                means = accelerator.reduce(torch.stack(terms).mean(0), "mean").tolist()
                terms.clear()
                log.losses(step, dict(zip(_RECORDED, means, strict=True)), config.rate_at(step - 1))
                if not all(map(math.isfinite, means)) or not _is_finite(model):
                    raise TrainingDiverged(_advice(step, config, folder))
            if saving:
                kept.save_state(step, log)
            if len(validation) and is_main and (step % config.validate_every == 0 or step == config.steps):
                log.validation(step, validate(kept.wanted, validation))
            if saving:
                kept.save_network(step, log)
            if stopping:
                break
        log.event(step, "finished" if step == config.steps else "stopped")


def validate(model: HEMletsNet, samples: Source, *, batch_size: int = 64) -> dict[str, float]:
    """A network's errors on samples with 3D labels, for watching it learn; `evaluate` has the protocols.

    Args:
        model: In any mode.
        samples: Of the model's skeleton.
        batch_size: How many at once.

    Returns:
        `mpjpe_mm`, `pa_mpjpe_mm`, and where it puts out triplets `polarity_percent`: means over samples.
    """
    config, errors, states = model.config, [], []
    for start in range(0, len(samples), batch_size):
        batch = [samples[index] for index in range(start, min(start + batch_size, len(samples)))]
        found = predict(model, batch, batch_size=batch_size, return_maps=False)
        truth = collate([replace(sample, image=_NO_PICTURE) for sample in batch])
        valid = truth.joints_cam_mm.isfinite().all(-1)
        errors.append(
            torch.stack(
                [
                    metric(predicted=found.joints_root_rel_mm, target=truth.joints_cam_mm, valid=valid)
                    for metric in (mpjpe, pa_mpjpe)
                ]
            )
        )
        if found.decoded is not None:
            wanted = states_for(truth, config.skeleton, variant=config.variant)
            states.append(torch.stack([found.decoded.states, wanted]))
    names = ("mpjpe_mm", "pa_mpjpe_mm")
    metrics = dict(zip(names, torch.cat(errors, 1).nanmean(1).tolist(), strict=True))  # (2, N)
    if states:
        predicted, target = torch.cat(states, 1)
        metrics["polarity_percent"] = polarity_accuracy(predicted=predicted, target=target).overall
    return metrics


def take_step(
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    batches: Iterator[tuple[Batch, Tensor]],
    config: TrainConfig,
    accelerator: Accelerator,
) -> Float[Tensor, "8"]:
    """One step of the optimiser: augmentation, targets, forward, loss, backward, clipping, update.

    The host asks the device for no value, so that it may run ahead of a GPU.

    Args:
        network, optimiser: As Accelerate has prepared them, the network in training mode.
        batches: Where the step's micro-batches come from, `batches.draw_batches`.
        config: The recipe.
        accelerator: Of the run.

    Returns:
        The terms of the loss, in `LossTerms`' order, and the gradient's norm, on the device.
    """
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
        targets = make_targets(batch, model, supervision=config.supervision, draw=False)
        is_last = micro == config.micro_batches - 1
        with contextlib.nullcontext() if is_last else accelerator.no_sync(network):
            with torch.autocast(kind, torch.bfloat16, enabled=config.precision == "bfloat16"):
                output = network(
                    _laid_out(normalise(batch.images), config), return_volume=config.rival == "volume"
                )
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
            if config.rival != "none":
                rival = _rival_loss(output, batch, config)
                terms = terms._replace(total=terms.total + config.rival_weight * rival)
            accelerator.backward(terms.total / config.micro_batches)
        here = torch.stack(terms).detach() / config.micro_batches
        total = here if total is None else total + here
    norm = accelerator.clip_grad_norm_(network.parameters(), config.gradient_clip or math.inf)
    optimiser.step()
    assert total is not None
    return torch.cat([total, norm.detach().reshape(1).to(total)])


def _rival_loss(output: HEMletsOutput, batch: Batch, config: TrainConfig) -> Tensor:
    """The loss of what is learnt instead of triplets; see `rivals`."""
    model, skeleton = config.model, config.model.skeleton
    if config.rival == "volume":
        assert output.volume is not None  # asked for
        has_depth = batch.depth_valid
        return volume_loss(output.volume, batch.joints_crop, batch.joint_valid, has_depth, grid=model.grid)
    states = states_for(batch, skeleton)
    mask = part_mask(states, batch.joint_valid, skeleton)
    if config.rival == "tri-state":
        assert output.triplets is not None  # the recipe has seen to it
        return tristate_loss(output.triplets, states, mask)
    depth = output.joints[..., 2] * Grid(model.grid).cells_per_unit(model.depth_size)
    return ranking_loss(depth, states, mask, skeleton=skeleton)


def _accelerator(device: str | None) -> Accelerator:
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState, PartialState
    from accelerate.utils import DistributedDataParallelKwargs

    if device not in (None, "cpu"):
        raise ValueError(f"`device` must be 'cpu', or None for what there is, got {device!r}.")
    if PartialState._shared_state and PartialState().num_processes == 1:
        # It remembers the device of the first run in this process; the next may be elsewhere.
        AcceleratorState._reset_state(reset_partial_state=True)
    # Precision is not its business: it would fix that for the life of the process, too.
    return Accelerator(
        cpu=device == "cpu", kwargs_handlers=[DistributedDataParallelKwargs(gradient_as_bucket_view=True)]
    )


def _check_fit(config: TrainConfig, data: Mixture, validation: Source, processes: int) -> None:
    pieces, skeleton = processes * config.micro_batches, config.model.skeleton
    if config.batch_size % pieces:
        raise ValueError(
            f"training: `batch_size` must be a multiple of processes x micro-batches ({processes} x "
            f"{config.micro_batches}), got {config.batch_size}."
        )
    for name, sample in (
        ("data", data[data.draws(0, 1)[0]]),
        ("validation", validation[0] if len(validation) else None),
    ):
        if sample is None:
            continue
        skeleton.check_joints(sample.joints_crop, name)
        if len(sample.part_states) != skeleton.num_parts:
            raise ValueError(
                f"training: `{name}` must have the {skeleton.num_parts} parts of skeleton {skeleton.name!r}, "
                f"got {len(sample.part_states)}. Build it with that skeleton."
            )
        if name == "validation" and sample.joints_cam_mm is None:
            raise ValueError(
                "training: `validation` must have 3D joints to measure errors in mm, got samples without. "
                "Validate on a set that has them, or on none."
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


def _is_finite(model: nn.Module) -> bool:
    finite = [parameter.isfinite().all() for parameter in model.parameters()]
    return bool(torch.stack(finite).all())  # one look: each would wait for a GPU


def _advice(step: int, config: TrainConfig, folder: RunFolder) -> str:
    return (
        f"training: a loss or a weight is not finite at step {step} (learning rate "
        f"{config.rate_at(step - 1):.2g}). {folder.state_path} holds the last good state, if one was saved. "
        "Start another run with a lower learning_rate, more warmup_steps or a gradient_clip."
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
