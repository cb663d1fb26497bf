"""One step of training: nothing in it waits for a device, and one pass updates weights as many do."""

from __future__ import annotations

import copy
import dataclasses
from collections import Counter

import pytest
import torch
from accelerate import Accelerator
from torch.optim.swa_utils import AveragedModel
from torch.utils._python_dispatch import TorchDispatchMode

from hemlets_lib import HEMletsNet
from hemlets_lib.batches import draw_batches
from hemlets_lib.data.mixing import Mixture
from hemlets_lib.data.samples import load_samples
from hemlets_lib.recipes import RECIPES
from hemlets_lib.run_state import adam, moving_average
from hemlets_lib.train import take_step, train

NANO = dataclasses.replace(RECIPES["nano"], steps=4, batch_size=2, warmup_steps=0, log_every=1, save_every=1)
# What makes the host wait for a GPU: a look at a value, a size that hangs on values; and new tensors copied.
WAITS = ("_local_scalar_dense", "nonzero", "masked_select", "equal", "is_nonzero", "unique2")


class Waits(TorchDispatchMode):
    """Counts the operations that would make the host wait for a GPU."""

    def __init__(self):
        super().__init__()
        self.found = Counter()

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        name = operation.overloadpacket.__name__
        new_tensor = name == "lift_fresh" and args[0].ndim > 0  # a number alone is passed on as a number
        by_mask = name == "index" and any(at is not None and at.dtype == torch.bool for at in args[1])
        if name in WAITS or new_tensor or by_mask:
            self.found[name] += 1
        return operation(*args, **(kwargs or {}))


@pytest.fixture(scope="module")
def data():
    return Mixture([load_samples(size=96)[:8]])


def test_no_step_waits_for_the_device(data, monkeypatch):
    monkeypatch.setattr("hemlets_lib.targets.check_states", lambda *_: None)  # looks on a CPU alone
    accelerator = Accelerator(cpu=True)
    model = HEMletsNet(NANO.model).train()
    average = moving_average(model, 0.9)
    network, optimiser = accelerator.prepare(model, adam(model, 1e-3))
    batches = iter(list(draw_batches(data, NANO, range(2))))
    take_step(network, optimiser, batches, NANO, accelerator)  # the first one also fills what is kept
    with Waits() as waits:
        take_step(network, optimiser, batches, NANO, accelerator)
    assert not waits.found
    with Waits() as waits:
        average.update_parameters(model)
    assert waits.found == {"_local_scalar_dense": 1}  # its counter, which stays on the CPU


@pytest.mark.parametrize(
    "wait", [lambda x: x.sum().item(), lambda x: x[x > 0], lambda x: x[:, [0, 1]], lambda x: bool(x.any())]
)
def test_what_would_wait_is_noticed(wait):
    with Waits() as waits:
        wait(torch.ones(2, 2))
    assert waits.found


def test_adam_in_one_pass_is_adam(data):
    torch.manual_seed(0)
    model = HEMletsNet(NANO.model).to(memory_format=torch.channels_last)
    plain = copy.deepcopy(model)
    ours, theirs = adam(model, 1e-2), torch.optim.Adam(plain.parameters(), lr=1e-2)
    assert ours.defaults["fused"]
    for _ in range(3):
        for one, other in zip(model.parameters(), plain.parameters(), strict=True):
            one.grad = torch.randn_like(one)
            other.grad = one.grad.clone()
        ours.step()
        theirs.step()
    for one, other in zip(model.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(one, other)


def test_a_state_of_plain_adam_is_taken_up(data, tmp_path, monkeypatch):
    """Runs from before there was Adam in one pass go on as they began."""
    with monkeypatch.context() as patch:
        patch.setattr(
            "hemlets_lib.train.adam", lambda model, rate: torch.optim.Adam(model.parameters(), lr=rate)
        )
        whole = train(NANO, data, tmp_path / "whole", device="cpu")
        train(NANO, data, tmp_path / "parts", device="cpu", stop_at=2)
    parts = train(NANO, data, tmp_path / "parts", device="cpu", resume=True)
    assert [record["total"] for record in whole.read_log("train")] == [
        record["total"] for record in parts.read_log("train")
    ]


def test_the_average_is_pytorchs():
    torch.manual_seed(0)
    model = HEMletsNet(NANO.model)

    def by_hand(averaged, current, count):
        return torch.lerp(averaged, current, max(0.1, 9 / (10 + int(count)))) if current.ndim else current

    ours, theirs = moving_average(model, 0.9), AveragedModel(model, avg_fn=by_hand, use_buffers=True)
    for _ in range(3):
        for weight in model.parameters():
            weight.data += torch.randn_like(weight)
        for average in (ours, theirs):
            average.update_parameters(model)
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one, other)
    assert ours.state_dict().keys() == theirs.state_dict().keys()
