"""How much faster is a step of `train.train` than one of the usual training recipe of this field?

    python benchmarks/training_step.py [--quick] [--json benchmarks/results/training_step.json]

Ours: bfloat16, channels last, a batch augmented and its targets made at once on the device, Adam in one pass.
The usual one (`usual_recipe.py`): float32, every sample augmented and its target maps made on its own on the
CPU, by two loader processes. Both read the same samples, compute the same loss and clip the same
gradients; that their targets agree is checked first. Each has a process of its own, and they take turns of
several steps, from the shard to the updated weights. Only the ratio carries over to other machines.

Beside it: the share of our step in which the network computes, and a roofline (`hemlets_lib.roofline`), which
says what the machine's limits, measured in the same run, leave to gain.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import multiprocessing
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import torch
from accelerate import Accelerator
from rich.console import Console
from rich.table import Table
from usual_recipe import Change, change_sample, usual_batches, usual_step

from hemlets_lib import HEMletsNet
from hemlets_lib.augment import Augmentation, apply_augmentation, augment
from hemlets_lib.batches import draw_batches
from hemlets_lib.data import collate, normalise
from hemlets_lib.data.mixing import Mixture
from hemlets_lib.data.samples import find_samples
from hemlets_lib.data.shards import ShardDataset
from hemlets_lib.heap import keep_freed_memory
from hemlets_lib.limits import Limits, measure_limits
from hemlets_lib.model import PRESETS
from hemlets_lib.recipes import RECIPES, TrainConfig
from hemlets_lib.results import provenance, write_json
from hemlets_lib.roofline import Work, roofline, total
from hemlets_lib.run_state import adam
from hemlets_lib.targets import make_targets
from hemlets_lib.timing import Headline
from hemlets_lib.train import take_step

WORKERS = 2  # of the usual recipe; ours has as many on a GPU, and on a CPU none: they would take its cores
WARM_UP = 2  # steps before those that are timed
SPARE = 2 * WORKERS + 1  # batches that are in the making when they end
TARGETS = {"cpu": 1.5, "cuda": 5.0}
WAYS = ("ours", "usual")


class Case(NamedTuple):
    """What is trained, where, and how many steps a turn has."""

    preset: str
    batch_size: int
    device: str
    steps: int


CASES = {
    "cpu": (Case("nano", 32, "cpu", 10), Case("small", 8, "cpu", 6)),
    "cuda": (Case("nano", 32, "cuda", 30), Case("small", 64, "cuda", 20), Case("official", 16, "cuda", 20)),
}


def config_of(case: Case) -> TrainConfig:
    """The recipe of both ways, for as long as they may run; the moving average is left out of both."""
    recipe = RECIPES[case.preset if case.preset in RECIPES else "paper"]
    return replace(
        recipe, model=PRESETS[case.preset], batch_size=case.batch_size, precision="bfloat16", ema_decay=None,
        imagenet=False,
    )  # fmt: skip


def check_alike(case: Case) -> dict[str, float]:
    """Both ways make the same of a sample: untouched, and turned, scaled and mirrored.

    Returns:
        The largest difference between targets, and the mean one between normalised pictures.

    Raises:
        AssertionError: If they differ by more than rounding.
    """
    shape, shards = PRESETS[case.preset], ShardDataset(find_samples())
    samples = [shards[number] for number in range(8)]
    changes = [Change()] * 4 + [Change(20.0, 0.9, flip) for flip in (False, True, False, True)]
    usual = [change_sample(*pair, shape) for pair in zip(samples, changes, strict=True)]
    turned = Augmentation(
        torch.tensor([each.rotation_deg for each in changes]), torch.tensor([each.scale for each in changes]),
        torch.tensor([each.flip for each in changes]),
    )  # fmt: skip
    batch = apply_augmentation(collate(samples), turned, skeleton=shape.skeleton, size=shape.image_size)
    ours = make_targets(batch, shape)
    found = 0.0
    for name in ("joints", "joint_valid", "has_depth", "triplets", "part_mask", "heatmaps"):
        theirs = torch.stack([torch.as_tensor(each[name]) for each in usual])
        torch.testing.assert_close(getattr(ours, name), theirs, rtol=0, atol=2e-4, check_dtype=False)
        found = max(found, (getattr(ours, name).float() - theirs.float()).abs().max().item())
    theirs = torch.stack([torch.as_tensor(each["image"]) for each in usual])
    apart = (normalise(batch.images) - theirs).abs().mean().item()
    assert apart < 0.05, f"normalised pictures differ by {apart:.3f} on average"
    return {"targets_at_most": found, "pictures_mean": apart}


class Ours:
    """Turns of our training step."""

    def __init__(self, case: Case) -> None:
        keep_freed_memory()
        self.case, self.config = case, config_of(case)
        self.accelerator = Accelerator(cpu=case.device == "cpu")
        self.model = HEMletsNet(self.config.model).to(self.accelerator.device).train()
        self.model = self.model.to(memory_format=torch.channels_last)
        self.network, self.optimiser = self.accelerator.prepare(self.model, adam(self.model, 1e-3))
        self.data, self.first = Mixture([ShardDataset(find_samples())]), 0

    def batches(self, count: int) -> Iterator[Any]:
        on_gpu = self.case.device == "cuda"
        steps = range(self.first, self.first + count)
        self.first += count
        return draw_batches(
            self.data, self.config, steps, workers=WORKERS if on_gpu else 0, pin_memory=on_gpu
        )

    def step(self, batches: Iterator[Any]) -> None:
        take_step(self.network, self.optimiser, batches, self.config, self.accelerator)

    def prepare_ms(self) -> float:
        """Augmentation and targets of a batch that is there."""
        batch, numbers = next(self.batches(1))
        batch, shape, times = batch.to(self.case.device), self.config.model, []
        for _ in range(1 + self.case.steps):
            started = now(self.case.device)
            moved = augment(
                batch, self.config.augmentation, skeleton=shape.skeleton, seed=0, epoch=0, indices=numbers,
                size=shape.image_size,
            )  # fmt: skip
            make_targets(moved, shape, draw=False)
            times.append(now(self.case.device) - started)
        return 1000 * min(times[1:])  # the network has no turn beside it: without disturbances

    def bound(self, limits: Limits) -> list[Work]:
        return roofline(lambda: self.step(self.batches(1)), limits)


class Usual:
    """Turns of the usual recipe's step."""

    def __init__(self, case: Case) -> None:
        self.case, self.config = case, config_of(case)
        self.network = HEMletsNet(self.config.model).to(case.device).train()
        self.optimiser = torch.optim.Adam(self.network.parameters(), lr=1e-3)
        self.samples = ShardDataset(find_samples())

    def batches(self, count: int) -> Iterator[Any]:
        on_gpu = self.case.device == "cuda"
        return usual_batches(self.samples, self.config, count, workers=WORKERS, pin_memory=on_gpu)

    def step(self, batches: Iterator[Any]) -> None:
        usual_step(self.network, self.optimiser, batches, self.config, self.case.device)


def now(device: str) -> float:
    """Seconds, when the device has done what was asked of it."""
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def take_turn(way: Ours | Usual) -> dict[str, float]:
    """A turn: ms a step from the shard to the updated weights, and of it the ms of waiting for a batch.

    The loader's stock of batches is full at the start, or as full as it gets, and at the end as well.
    """
    case, waited = way.case, 0.0

    def timed(source: Iterator[Any]) -> Iterator[Any]:
        nonlocal waited
        while True:
            started = time.perf_counter()
            batch = next(source)
            waited += time.perf_counter() - started
            yield batch

    batches = timed(way.batches(WARM_UP + case.steps + SPARE))
    for _ in range(WARM_UP):
        way.step(batches)
    waited, started = 0.0, now(case.device)
    for _ in range(case.steps):
        way.step(batches)
    spent = now(case.device) - started
    return {"step_ms": 1000 * spent / case.steps, "wait_ms": 1000 * waited / case.steps}


def serve(connection: Connection, name: str, case: Case) -> None:
    """Does as it is told, in a process of its own: what one way does to the heap is not the other's."""
    if "fork" in multiprocessing.get_all_start_methods():  # else loader processes would import all anew
        multiprocessing.set_start_method("fork", force=True)
    way = Ours(case) if name == "ours" else Usual(case)
    with contextlib.suppress(EOFError):  # the process that gave orders is gone
        while (order := connection.recv()) is not None:
            connection.send(order(way))


@contextlib.contextmanager
def process_of(name: str, case: Case) -> Iterator[Callable[[Any], Any]]:
    """A process that serves one way; call what it gives with an order to have it carried out there."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=serve, args=(there, name, case))
    process.start()
    there.close()

    def ask(order: Any) -> Any:
        here.send(order)
        return here.recv()

    try:
        yield ask
        here.send(None)
        process.join()
    finally:
        process.terminate()


class Bound:
    """An order: the roofline under these limits; a function alone cannot be sent along with them."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits

    def __call__(self, way: Ours) -> list[Work]:
        return way.bound(self.limits)


def measure(case: Case, rounds: int, limits: Limits) -> dict[str, Any]:
    """A row of the result: both ways in turns, the shares of ours, and its roofline."""
    alike = check_alike(case)
    turns: dict[str, list[dict[str, float]]] = {name: [] for name in WAYS}
    with contextlib.ExitStack() as stack:
        ask = {name: stack.enter_context(process_of(name, case)) for name in WAYS}
        for _, name in itertools.product(range(rounds), WAYS):
            turns[name].append(ask[name](take_turn))
        prepare_ms = ask["ours"](Ours.prepare_ms)
        works = ask["ours"](Bound(limits))
    median = {
        name: {key: statistics.median(turn[key] for turn in found) for key in ("step_ms", "wait_ms")}
        for name, found in turns.items()
    }
    ours_ms = median["ours"]["step_ms"]
    pairs = zip(turns["usual"], turns["ours"], strict=True)
    return {
        "preset": case.preset, "batch": case.batch_size, "device": case.device,
        "threads": torch.get_num_threads(), "steps": case.steps * rounds, "checked": alike,
        "ours": median["ours"] | {"prepare_ms": prepare_ms}, "usual": median["usual"],
        "ratio": statistics.median(usual["step_ms"] / ours["step_ms"] for usual, ours in pairs),
        "computes_percent": 100 * (1 - (median["ours"]["wait_ms"] + prepare_ms) / ours_ms),
        "usual_waits_percent": 100 * median["usual"]["wait_ms"] / median["usual"]["step_ms"],
        "roofline": [asdict(each) for each in (*works, total(works))],
    }  # fmt: skip


def headline(row: dict[str, Any], name: str) -> Headline:
    """The line of the table; if the target is missed, with what the roofline says."""
    *kinds, everything = row["roofline"]
    ours_ms, target = row["ours"]["step_ms"], TARGETS[row["device"]]
    most = max(kinds, key=lambda each: each["bound_ms"])
    bound = (
        f"at the machine's limits {everything['bound_ms']:.0f} of {ours_ms:.0f} ms, most of them "
        f"{most['kind']} ({most['bound_ms']:.0f} ms); data and targets {100 - row['computes_percent']:.0f} %"
    )
    return Headline(
        what=f"training step, {row['preset']}, batch {row['batch']}", against="the usual training recipe",
        device=name, measured=row["ratio"], target=target, bound="" if row["ratio"] >= target else bound,
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a round or two of the smallest network")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()

    rounds = 1 if arguments.quick else 5
    devices = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    rows, headlines, measured = [], [], []
    for device in devices:
        limits, _ = measure_limits(device, rounds=3 if arguments.quick else 15)
        measured.append(limits.to_dict())
        name = torch.cuda.get_device_name() if device == "cuda" else device
        for case in CASES[device][: 1 if arguments.quick else None]:
            rows.append(measure(case, rounds, limits))
            headlines.append(headline(rows[-1], name))
    table = Table(
        "network", "batch", "device", "ours, ms", "usual, ms", "ratio", "network computes", "at the limits",
        "usual waits", box=None,
    )  # fmt: skip
    for row in rows:
        table.add_row(
            row["preset"], str(row["batch"]), row["device"], f"{row['ours']['step_ms']:.1f}",
            f"{row['usual']['step_ms']:.1f}", f"{row['ratio']:.2f}", f"{row['computes_percent']:.0f} %",
            f"{row['roofline'][-1]['bound_ms']:.1f} ms", f"{row['usual_waits_percent']:.0f} %",
        )  # fmt: skip
    Console(width=120).print(table)
    if arguments.json:
        content = {
            "config": {"rounds": rounds, "usual_workers": WORKERS},
            "rows": rows,
            "limits": measured,
            "headlines": [each.to_dict() for each in headlines],
        }
        write_json(arguments.json, {**content, **provenance(Path(__file__).parent)})


if __name__ == "__main__":
    main()
