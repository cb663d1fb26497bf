"""Training: laws of resuming and of several processes, that it learns, and that trouble loses nothing."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from hemlets_lib.augment import NO_AUGMENTATION, augment
from hemlets_lib.checkpoint import load_checkpoint
from hemlets_lib.data.mixing import Mixture
from hemlets_lib.data.samples import load_samples
from hemlets_lib.losses import LossTerms, hemlets_loss
from hemlets_lib.model import ModelConfig
from hemlets_lib.recipes import RECIPES
from hemlets_lib.run_folder import RunFolder
from hemlets_lib.tensor_files import load_tensors
from hemlets_lib.train import TrainingDiverged, train, validate

NANO = dataclasses.replace(
    RECIPES["nano"],
    steps=6,
    batch_size=4,
    warmup_steps=2,
    log_every=1,
    save_every=2,
    validate_every=3,
    precision="float32",
)
# Run in a process of its own: arguments are the folder, "resume" or "new", and changes to NANO as JSON.
PROGRAM = """
import dataclasses, json, sys
import torch
torch.set_num_threads(1)
sys.path.insert(0, {tests!r})
from test_train import NANO, Mixture, load_samples, train
folder, how, changes, *workers = sys.argv[1:]
data = Mixture([load_samples(size=96)[:24]])
train(dataclasses.replace(NANO, **json.loads(changes)), data, folder, resume=how == "resume", device="cpu",
      workers=int(*workers))
"""


@pytest.fixture(scope="module")
def samples():
    return load_samples(size=96)[:24]


@pytest.fixture
def data(samples):
    return Mixture([samples])


def run(config, data, out, **options):
    return train(config, data, out, device="cpu", **options)


def state_of(folder):
    state = load_tensors(folder.state_path)
    state.pop("seconds")
    return state


def assert_same(one, other, where=""):
    """Bit for bit, through all nesting."""
    assert type(one) is type(other), where
    if isinstance(one, dict):
        assert one.keys() == other.keys(), where
        for key in one:
            assert_same(one[key], other[key], f"{where}.{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), where
        for number, pair in enumerate(zip(one, other, strict=True)):
            assert_same(*pair, f"{where}[{number}]")
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, other), where
    else:
        assert one == other, where


def program(tmp_path):
    path = tmp_path / "program.py"
    path.write_text(PROGRAM.format(tests=os.path.dirname(__file__)))
    return path


def losses_of(folder, name="total"):
    return [record[name] for record in folder.read_log("train")]


def test_a_run_leaves_a_network_its_history_and_a_state(data, samples, tmp_path):
    folder = run(NANO, data, tmp_path / "run", validation=samples[:4])
    model, info = load_checkpoint(folder.model_path, expected="nano")
    assert info.metadata["step"] == 6 and info.metadata["images"] == 24
    assert info.metadata["recipe"] == json.loads(json.dumps(NANO.to_dict()))
    assert info.metadata["validation"] == validate(model, samples[:4])
    kinds = [record["kind"] for record in folder.read_log()]
    assert kinds.count("train") == 6 and kinds.count("validation") == 2
    assert [record["what"] for record in folder.read_log("event")] == ["started", "finished"]
    assert set(LossTerms._fields) <= folder.read_log("train")[0].keys()
    assert folder.read_config()[0] == NANO


def test_the_same_run_twice_is_the_same_bit_for_bit(data, tmp_path):
    one, other = (run(NANO, data, tmp_path / name) for name in ("one", "other"))
    assert_same(state_of(one), state_of(other))
    assert losses_of(one) == losses_of(other)


def test_another_seed_is_another_run(data, samples, tmp_path):
    config = dataclasses.replace(NANO, steps=2)
    one = run(config, data, tmp_path / "one")
    other = run(dataclasses.replace(config, seed=1), Mixture([samples], seed=1), tmp_path / "other")
    assert losses_of(one) != losses_of(other)


@pytest.mark.parametrize("ema_decay", [0.999, None])
def test_stopped_and_resumed_is_never_interrupted(data, tmp_path, ema_decay):
    config = dataclasses.replace(NANO, ema_decay=ema_decay)
    whole = run(config, data, tmp_path / "whole")
    run(config, data, tmp_path / "parts", stop_at=3)
    parts = run(config, data, tmp_path / "parts", resume=True)
    assert_same(state_of(whole), state_of(parts))
    assert losses_of(whole) == losses_of(parts)
    assert [r["what"] for r in parts.read_log("event")] == ["started", "stopped", "resumed", "finished"]


def test_killed_and_resumed_is_never_interrupted(data, tmp_path):
    """SIGKILL at a moment that nobody chose; nothing can be caught or tidied up."""
    config = dataclasses.replace(NANO, steps=60)
    whole = run(config, data, tmp_path / "whole")
    folder = RunFolder(tmp_path / "killed")
    command = [sys.executable, str(program(tmp_path)), str(folder.root)]
    changes = json.dumps({"steps": 60})
    process = subprocess.Popen([*command, "new", changes])
    deadline = time.monotonic() + 120
    while not folder.state_path.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(float(torch.empty(()).uniform_(0, 0.7, generator=torch.Generator().manual_seed(os.getpid()))))
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it ended before it could be killed"
    reached = load_tensors(folder.state_path)["step"]
    assert 0 < reached < 60
    run(config, data, folder.root, resume=True)
    assert_same(state_of(whole), state_of(folder))
    assert losses_of(whole) == losses_of(folder)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_saves_and_stops(data, tmp_path, number):
    class Interrupter:
        def start(self, folder, config, step): ...

        def record(self, record, model):
            if record["kind"] == "train" and record["step"] == 3:
                os.kill(os.getpid(), number)

        def stop(self): ...

    before = signal.getsignal(number)
    folder = run(NANO, data, tmp_path / "run", watchers=[Interrupter()])
    # The signal comes while step 3 is recorded; step 4 is finished first.
    assert load_tensors(folder.state_path)["step"] == 4
    assert signal.getsignal(number) == before
    whole = run(NANO, data, tmp_path / "whole")
    assert_same(state_of(whole), state_of(run(NANO, data, folder.root, resume=True)))


def test_an_interrupt_of_the_whole_terminal_spares_the_readers(tmp_path):
    """Ctrl-C goes to worker processes too."""
    folder = RunFolder(tmp_path / "run")
    command = [sys.executable, str(program(tmp_path)), str(folder.root), "new"]
    process = subprocess.Popen([*command, json.dumps({"steps": 500}), "2"], start_new_session=True)
    deadline = time.monotonic() + 120
    while not folder.state_path.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(timeout=60) == 0
    assert folder.read_log("event")[-1]["what"] == "stopped"


def test_two_processes_are_one(data, tmp_path):
    """The real `nano`, statistics of batch normalisation frozen: the same losses at the same global batch."""
    changes = {"freeze_batch_norm": True, "batch_size": 8, "steps": 4, "gradient_clip": None}
    one = run(dataclasses.replace(NANO, **changes), data, tmp_path / "one")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    arguments = [str(program(tmp_path)), str(tmp_path / "two"), "new", json.dumps(changes)]
    done = subprocess.run(
        [*command, *arguments], env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    two = RunFolder(tmp_path / "two")
    for name in LossTerms._fields:
        assert losses_of(two, name) == pytest.approx(losses_of(one, name), rel=2e-4), name
    # Not the weights: Adam makes steps of one size of gradients of any, rounding included.
    norms, their_norms = losses_of(one, "gradient_norm"), losses_of(two, "gradient_norm")
    assert their_norms[0] == pytest.approx(norms[0], rel=1e-5)


def test_micro_batches_add_up_to_the_batch(data, tmp_path):
    config = dataclasses.replace(NANO, steps=2, freeze_batch_norm=True)
    one = run(config, data, tmp_path / "one")
    four = run(dataclasses.replace(config, micro_batches=4), data, tmp_path / "four")
    assert losses_of(four) == pytest.approx(losses_of(one), rel=1e-4)
    norms = losses_of(one, "gradient_norm"), losses_of(four, "gradient_norm")
    assert norms[1][0] == pytest.approx(norms[0][0], rel=1e-4)


def test_the_average_by_hand_and_that_it_is_handed_over(data, tmp_path):
    config = dataclasses.replace(NANO, steps=3, ema_decay=0.2, save_every=1)
    seen = []
    for step in (1, 2, 3):
        folder = run(config, data, tmp_path / "run", stop_at=step, resume=step > 1)
        seen.append(load_tensors(folder.state_path)["model"])
    # Young averages: the first is the weights themselves, then a share of 9 / (10 + updates so far).
    for name, value in load_checkpoint(folder.model_path).model.state_dict().items():
        expected = seen[0][name].clone()
        if value.is_floating_point():
            for updates, weights in ((1, seen[1]), (2, seen[2])):
                expected += (weights[name] - expected) * max(1 - 0.2, 9 / (10 + updates))
        else:
            expected = seen[2][name]
        torch.testing.assert_close(value, expected, msg=name)


def test_the_rate_of_the_recipe_is_the_optimisers(data, tmp_path):
    for step in (1, 4):
        folder = run(NANO, data, tmp_path / f"{step}", stop_at=step)
        (group,) = load_tensors(folder.state_path)["optimiser"]["param_groups"]
        assert group["lr"] == NANO.rate_at(step - 1) == folder.read_log("train")[-1]["learning_rate"]


def test_precision_and_clipping_reach_the_step(data, tmp_path):
    config = dataclasses.replace(NANO, steps=1, warmup_steps=0)
    folders = {
        name: run(dataclasses.replace(config, **changes), data, tmp_path / name)
        for name, changes in (
            ("plain", {}), ("bfloat16", {"precision": "bfloat16"}), ("clipped", {"gradient_clip": 1e-3}),
        )
    }  # fmt: skip
    assert losses_of(folders["bfloat16"]) != losses_of(folders["plain"])
    assert losses_of(folders["bfloat16"]) == pytest.approx(losses_of(folders["plain"]), rel=0.02)
    moments = load_tensors(folders["clipped"].state_path)["optimiser"]["state"].values()
    # After one step Adam's first moment is a tenth of the gradient.
    norm = torch.stack([10 * moment["exp_avg"].norm() for moment in moments]).norm()
    assert norm.item() == pytest.approx(1e-3, rel=1e-3)


def test_every_row_of_every_step_is_augmented_in_its_own_way(data, tmp_path, monkeypatch):
    keys = []

    def spy(batch, config, **options):
        keys.extend(options["indices"].tolist())
        assert (options["seed"], options["epoch"]) == (NANO.seed, 0)
        return augment(batch, config, **options)

    monkeypatch.setattr("hemlets_lib.train.augment", spy)
    run(NANO, data, tmp_path / "run", stop_at=3)
    assert sorted(keys) == list(range(12))


def test_frozen_statistics_stay(data, tmp_path):
    config = dataclasses.replace(NANO, steps=2, freeze_batch_norm=True, ema_decay=None)
    model = load_checkpoint(run(config, data, tmp_path / "run").model_path).model
    statistics = {name: value for name, value in model.state_dict().items() if "running" in name}
    assert statistics and all(
        bool((value == (1 if name.endswith("var") else 0)).all()) for name, value in statistics.items()
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"supervision": "none"},
        {"supervision": "2d"},
        {"precision": "bfloat16"},
        {"channels_last": False},
        {"schedule": "constant", "gradient_clip": None},
    ],
)
def test_options_train(data, tmp_path, changes):
    folder = run(dataclasses.replace(NANO, steps=2, **changes), data, tmp_path / "run")
    first = folder.read_log("train")[0]
    assert first["total"] > 0 and first["gradient_norm"] > 0
    if changes.get("supervision") == "none":
        assert first["intermediate"] == 0 and first["total"] == first["joints"]


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_takes_a_step(samples, tmp_path, name):
    config = dataclasses.replace(
        RECIPES[name], steps=1, batch_size=2, warmup_steps=0, imagenet=False, log_every=1, save_every=1,
        validate_every=1,
    )  # fmt: skip
    folder = run(config, Mixture([load_samples()[:2]]), tmp_path / "run")
    assert load_checkpoint(folder.model_path, expected=name).info.metadata["step"] == 1


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_trains_on_a_gpu_and_resumes(data, tmp_path):
    config = dataclasses.replace(NANO, precision="bfloat16")
    train(config, data, tmp_path / "run", stop_at=3)
    from accelerate.state import PartialState

    assert PartialState().device.type == "cuda"
    folder = train(config, data, tmp_path / "run", resume=True)
    assert len(folder.read_log("train")) == 6
    load_checkpoint(folder.model_path)


def test_worker_processes_change_nothing(data, tmp_path):
    config = dataclasses.replace(NANO, steps=2)
    one, other = run(config, data, tmp_path / "one"), run(config, data, tmp_path / "other", workers=2)
    assert_same(state_of(one), state_of(other))


def test_thirty_two_pictures_are_learnt_by_heart(tmp_path):
    """Below 5 mm on what it has seen: nothing in network, targets, loss and metric contradicts another.

    A smaller network than `nano` (which is at 13 mm by then): cells of 140 mm, so 5 mm are a thirtieth.
    """
    samples = load_samples(size=64)[:32]
    model = ModelConfig(
        "small maps", "tiny", 64, 16, 16, upsample_channels=32, map_kernel=1, encoder_channels=32
    )
    config = dataclasses.replace(
        RECIPES["nano"], model=model, steps=5000, batch_size=8, learning_rate=4e-3, warmup_steps=200,
        gradient_clip=50.0, ema_decay=None, augmentation=NO_AUGMENTATION,
        log_every=1000, save_every=5000, validate_every=5000,
    )  # fmt: skip
    folder = run(config, Mixture([samples]), tmp_path / "run", validation=samples)
    assert folder.read_log("validation")[-1]["mpjpe_mm"] < 5


# Trouble


def test_a_loss_that_is_not_finite_stops_the_run_and_spares_the_state(data, tmp_path, monkeypatch):
    folder = run(NANO, data, tmp_path / "run", stop_at=2)
    before = state_of(folder)

    def diverging(*args, **options):
        terms = hemlets_loss(*args, **options)
        return terms._replace(total=terms.total * torch.nan)

    monkeypatch.setattr("hemlets_lib.train.hemlets_loss", diverging)
    with pytest.raises(TrainingDiverged, match=r"not finite at step 3 .*lower learning_rate.*gradient_clip"):
        run(NANO, data, folder.root, resume=True)
    assert_same(before, state_of(folder))
    assert folder.read_log("event")[-1]["what"] == "failed"
    assert folder.read_log("train")[-1]["total"] is None
    load_checkpoint(folder.model_path)


def test_a_label_that_is_not_finite_is_named(samples, tmp_path):
    broken = dataclasses.replace(samples[5], joints_crop=samples[5].joints_crop * torch.nan)
    with pytest.raises(ValueError, match=rf"sample '{samples[5].meta.sample_id}' .* Mend the label"):
        run(NANO, Mixture([[broken] * 8]), tmp_path / "run")


def test_a_validation_that_fails_costs_nothing(data, samples, tmp_path):
    class Damaged(list):
        def __getitem__(self, index):
            if index == 2:
                raise ValueError("the picture is truncated")
            return super().__getitem__(index)

    with pytest.raises(ValueError, match="truncated"):
        run(NANO, data, tmp_path / "run", validation=Damaged(samples[:3]), stop_at=3)
    folder = run(NANO, data, tmp_path / "run", resume=True, validation=samples[:3])
    assert_same(state_of(folder), state_of(run(NANO, data, tmp_path / "whole")))


def test_validation_samples_must_have_3d_joints(data, samples, tmp_path):
    flat = dataclasses.replace(samples[0], joints_cam_mm=None)
    with pytest.raises(ValueError, match="`validation` must have 3D joints"):
        run(NANO, data, tmp_path / "run", validation=[flat])
    assert not (tmp_path / "run").exists()


def test_a_kill_between_state_and_network_is_made_good(data, tmp_path, monkeypatch):
    def killed(*_args, **_options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("hemlets_lib.run_state.save_checkpoint", killed)
        with pytest.raises(KeyboardInterrupt):
            run(dataclasses.replace(NANO, save_every=6), data, tmp_path / "run")
    folder = RunFolder(tmp_path / "run")
    assert load_tensors(folder.state_path)["step"] == 6 and not folder.model_path.exists()
    run(dataclasses.replace(NANO, save_every=6), data, folder.root, resume=True)
    assert load_checkpoint(folder.model_path).info.metadata["step"] == 6
    assert folder.read_log("event")[-1]["what"] == "finished"


def test_a_state_of_another_network_is_named(data, tmp_path):
    folder = run(NANO, data, tmp_path / "run", stop_at=2)
    state = load_tensors(folder.state_path)
    folder.save_state({**state, "model": {"weight": torch.zeros(3)}})
    with pytest.raises(ValueError, match=r"state.safetensors: expected the state of this run's network"):
        run(NANO, data, folder.root, resume=True)


def test_another_number_of_processes_is_another_run(data, tmp_path):
    folder = run(NANO, data, tmp_path / "run", stop_at=2)
    folder.save_state({**load_tensors(folder.state_path), "processes": 2})
    with pytest.raises(ValueError, match="expected the 2 processes that this run had, got 1"):
        run(NANO, data, folder.root, resume=True)


def test_a_full_disk_spares_what_was_saved(data, tmp_path, monkeypatch):
    folder = run(NANO, data, tmp_path / "run", stop_at=2)
    before = state_of(folder)

    def full(*_args, **_options):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("hemlets_lib.tensor_files.save_file", full)
        with pytest.raises(OSError, match=r"expected to write .* MB.*No space left.*Free some space"):
            run(NANO, data, folder.root, resume=True)
    assert_same(before, state_of(folder))
    assert "No space left" in folder.read_log("event")[-1]["message"]
    whole = run(NANO, data, tmp_path / "whole")
    assert_same(state_of(whole), state_of(run(NANO, data, folder.root, resume=True)))


def test_a_sample_that_cannot_be_read_is_named(samples, tmp_path):
    class Damaged(list):
        root = tmp_path / "shards"

        def __getitem__(self, index):
            if index == 17:
                raise ValueError("the picture is truncated")
            return super().__getitem__(index)

    config = dataclasses.replace(NANO, steps=12)
    with pytest.raises(ValueError, match=r"shards\), sample 17: cannot be read .*truncated.*data verify"):
        run(config, Mixture([Damaged(samples)]), tmp_path / "run")
    folder = RunFolder(tmp_path / "run")
    assert folder.read_log("event")[-1]["what"] == "failed"
    assert load_tensors(folder.state_path)["step"] >= 2


def test_a_folder_holds_one_run(data, tmp_path):
    config = dataclasses.replace(NANO, steps=2)
    run(config, data, tmp_path / "run")
    with pytest.raises(ValueError, match=r"holds a training run. Resume it \(`hemlets train --resume"):
        run(config, data, tmp_path / "run")


def test_only_the_same_run_is_resumed(data, samples, tmp_path):
    run(NANO, data, tmp_path / "run", stop_at=1)
    other = dataclasses.replace(NANO, learning_rate=5e-4)
    with pytest.raises(ValueError, match=r"learning_rate: there 0.002, asked 0.0005"):
        run(other, data, tmp_path / "run", resume=True)
    with pytest.raises(ValueError, match=r"data\.sources"):
        run(NANO, Mixture([samples[:9]]), tmp_path / "run", resume=True)
    with pytest.raises(FileNotFoundError, match=r"found no config.json in it"):
        run(NANO, data, tmp_path / "nowhere", resume=True)


def test_a_run_without_a_saved_state_says_so(data, tmp_path):
    folder = RunFolder(tmp_path / "run")
    with folder.held(resume=False):
        folder.create(NANO, data.config)
    with pytest.raises(FileNotFoundError, match="ended before its first save"):
        run(NANO, data, tmp_path / "run", resume=True)


def test_a_batch_must_come_out_even(data, tmp_path):
    with pytest.raises(ValueError, match=r"multiple of processes x micro-batches \(1 x 3\), got 4"):
        run(dataclasses.replace(NANO, micro_batches=3), data, tmp_path / "run")


def test_the_data_must_have_the_networks_skeleton(skeleton3, data, tmp_path):
    model = dataclasses.replace(NANO.model, skeleton=skeleton3, name="arm")
    with pytest.raises(ValueError, match=r"`data` must have 3 joints for skeleton 'arm', got 18"):
        run(dataclasses.replace(NANO, model=model), data, tmp_path / "run")
