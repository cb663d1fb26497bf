"""Tensors on disk: what comes back is bit for bit what went in, and no file is ever half written."""

import errno
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections import OrderedDict

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from hemlets_lib import tensor_files
from hemlets_lib.tensor_files import load_tensors, open_tensor_file, save_tensors, write_tensor_file


def same(found, expected) -> bool:
    """Equal, of the same types, tensors bit for bit."""
    if type(found) is not type(expected):
        return False
    if isinstance(expected, torch.Tensor):
        bits = [value.contiguous().flatten().view(torch.uint8) for value in (found, expected)]
        return found.dtype == expected.dtype and found.shape == expected.shape and torch.equal(*bits)
    if isinstance(expected, dict):
        return list(found) == list(expected) and all(same(found[key], expected[key]) for key in expected)
    if isinstance(expected, list | tuple):
        return len(found) == len(expected) and all(map(same, found, expected))
    return repr(found) == repr(expected)  # tells nan, -0.0 and True apart


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state.safetensors"


# --- law: what goes in comes back -----------------------------------------------------------------


def test_anything_nested_comes_back(path):
    shared = torch.arange(6.0).reshape(2, 3)
    state = {
        "step": 7,
        "rates": [1e-3, 0.1 + 0.2, float("nan"), float("-inf"), -0.0],
        "betas": (0.9, 0.999),
        "flags": {True: None, "on": False, "text": "σ = 2", "big": 2**130},
        0: {"0": torch.zeros(()), 0: torch.ones(())},  # two keys that read alike
        "0": {"0": torch.full((), 2.0)},
        "a": {"b/c": torch.tensor([1])},
        "a/b": {"c": torch.tensor([2])},
        "__metadata__": torch.tensor([3]),
        "shared": [shared, shared, shared.T, shared[1]],
        "empty": [{}, [], (), torch.zeros(0, 3)],
        "types": [torch.ones(2, dtype=kind) for kind in (torch.bfloat16, torch.float64, torch.bool)],
        "random": torch.get_rng_state(),
        "numpy": np.random.default_rng(0).bit_generator.state,
        "odd": torch.tensor([float("nan"), float("inf"), -0.0]),
    }  # fmt: skip
    save_tensors(path, state)
    assert same(load_tensors(path), state)


@pytest.mark.parametrize("state", [torch.arange(3), 1.5, None, [], {}])
def test_the_smallest_states(path, state):
    save_tensors(path, state)
    assert same(load_tensors(path), state)


def test_subclasses_come_back_as_what_they_are_made_of(path):
    save_tensors(path, [OrderedDict(a=1), torch.Size((2, 3)), torch.nn.Parameter(torch.ones(2))])
    assert same(load_tensors(path), [{"a": 1}, (2, 3), torch.ones(2)])


def test_adam_goes_on_as_if_nothing_had_happened(path):
    def start():
        torch.manual_seed(1)
        model = torch.nn.Sequential(torch.nn.Linear(5, 3), torch.nn.ReLU(), torch.nn.Linear(3, 2))
        optimiser = torch.optim.Adam(model.parameters(), lr=1e-2, amsgrad=True)
        return model, optimiser, torch.optim.lr_scheduler.ExponentialLR(optimiser, 0.9)

    def steps(model, optimiser, schedule, count):
        for _ in range(count):
            optimiser.zero_grad()
            model(torch.randn(4, 5)).square().sum().backward()
            optimiser.step()
            schedule.step()
        return model.state_dict()

    model, optimiser, schedule = start()
    steps(model, optimiser, schedule, 3)
    state = {
        "model": model.state_dict(),
        "optimiser": optimiser.state_dict(),
        "schedule": schedule.state_dict(),
        "random": torch.get_rng_state(),
    }
    save_tensors(path, state)
    expected = steps(model, optimiser, schedule, 4)

    resumed, its_optimiser, its_schedule = start()
    loaded = load_tensors(path)
    resumed.load_state_dict(loaded["model"])
    its_optimiser.load_state_dict(loaded["optimiser"])
    its_schedule.load_state_dict(loaded["schedule"])
    torch.set_rng_state(loaded["random"])
    assert same(dict(steps(resumed, its_optimiser, its_schedule, 4)), dict(expected))
    assert same(its_optimiser.state_dict(), optimiser.state_dict())


def test_the_file_is_plain_safetensors_with_readable_names(path):
    save_tensors(path, {"state": {0: {"exp_avg": torch.ones(2)}}, "lr": 0.1})
    with safe_open(path, framework="pt") as file:
        assert list(file.keys()) == ["state/0/exp_avg"]
        header = json.loads(file.metadata()["hemlets"])
    assert header["format"] == "hemlets-state" and header["format_version"] == 1


def test_the_same_state_makes_the_same_bytes(tmp_path):
    state = {"b": torch.ones(3), "a": [torch.zeros(2), 1]}
    for name in ("one", "other"):
        save_tensors(tmp_path / f"{name}.safetensors", state)
    assert (tmp_path / "one.safetensors").read_bytes() == (tmp_path / "other.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"a": [np.zeros(3)]}, r"`state.a.0` must be a tensor, .*got ndarray. .*torch.from_numpy"),
        ({"lr": np.int64(3)}, r"`state.lr` must be a tensor, number, .*got int64"),
        ({"model": torch.nn.Linear(1, 1)}, r"`state.model` .*got Linear. .*pass a state_dict\(\)"),
        ({"a": {1.5: 0}}, r"`state.a` must have strings or integers as keys, got 1.5"),
        ({"a": torch.eye(2).to_sparse()}, r"`state.a` must be a dense real tensor, got .*sparse_coo"),
        ({"a": torch.zeros(2, dtype=torch.complex64)}, r"`state.a` .*got torch.complex64.*view_as_real"),
    ],
)  # fmt: skip
def test_what_cannot_be_stored_is_named(path, state, message):
    with pytest.raises(ValueError, match=message):
        save_tensors(path, state)
    assert not path.exists()


# --- law: the old file or the new one -------------------------------------------------------------


def only_file(path) -> bool:
    return [each.name for each in path.parent.iterdir()] == [path.name]


def test_a_file_that_outgrows_its_disk_leaves_the_old_one(path):
    save_tensors(path, {"x": torch.arange(10)})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))  # the write itself fails, half way
    try:
        with pytest.raises(OSError, match="File too large") as raised:
            save_tensors(path, {"x": torch.zeros(100_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "expected to write 0.4 MB" in str(raised.value) and str(path) in str(raised.value)
    assert "What was there before is unchanged. Free some space" in str(raised.value)
    assert same(load_tensors(path), {"x": torch.arange(10)}) and only_file(path)


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_an_interruption_leaves_the_old_one(path, monkeypatch, step, error):
    save_tensors(path, {"x": 1})

    def interrupt(*args):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(tensor_files.os, step, interrupt)
        with pytest.raises(type(error), match="No space left" if isinstance(error, OSError) else None):
            save_tensors(path, {"x": 2})
    assert load_tensors(path) == {"x": 1} and only_file(path)


def test_a_killed_save_leaves_a_whole_file(path):
    code = f"""
import itertools, torch
from hemlets_lib.tensor_files import save_tensors
for n in itertools.count():
    save_tensors({str(path)!r}, {{"n": n, "x": torch.full((1_000_000,), n), "y": torch.full((5,), n)}})
"""
    with subprocess.Popen([sys.executable, "-c", code]) as saver:
        try:
            deadline = time.monotonic() + 60
            while not path.exists() and saver.poll() is None and time.monotonic() < deadline:
                time.sleep(0.01)
            time.sleep(0.123)  # into one of the next saves
        finally:
            saver.send_signal(signal.SIGKILL)
    state = load_tensors(path)
    assert (state["x"] == state["n"]).all() and (state["y"] == state["n"]).all()


def test_what_killed_saves_left_is_removed_a_day_later(path):
    old, young = (path.with_name(f".{path.name}.{name}.tmp") for name in ("old", "young"))
    for leftover in (old, young):
        leftover.write_bytes(b"half")
    os.utime(old, (time.time() - 2 * 86400,) * 2)
    save_tensors(path, {})
    assert not old.exists() and young.exists()


def test_folders_are_made_and_files_are_for_everybody(tmp_path):
    path = tmp_path / "runs" / "first" / "x.safetensors"
    save_tensors(path, {})
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"file/x.safetensors: expected to write .*save into another folder"):
        save_tensors(tmp_path / "file" / "x.safetensors", {})


def test_the_suffix_is_part_of_the_deal(tmp_path):
    with pytest.raises(ValueError, match=r"`path` must end in .safetensors, got '.*state.pth'"):
        save_tensors(tmp_path / "state.pth", {})


# --- errors: files that are not what they should be -----------------------------------------------


class Sneaky:
    def __reduce__(self):
        return (print, ("this must never be printed",))


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "bare pickle"])
@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_a_pickle_is_never_opened(tmp_path, capsys, zipped, suffix):
    path = tmp_path / f"model.{suffix}"
    torch.save({"x": Sneaky()}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(
        ValueError, match=r"(?s)looks like a pickle.*`hemlets convert`.*convert once.*save_chec"
    ):
        load_tensors(path)
    assert "never" not in capsys.readouterr().out


@pytest.mark.parametrize("keep", [0, 5, 60, -1])
def test_a_truncated_file(path, keep):
    save_tensors(path, {"x": torch.arange(100)})
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(
        ValueError, match=r"state.safetensors: expected a whole .*truncated.*download it again"
    ):
        load_tensors(path)


def safetensors_header(text: str) -> bytes:
    return len(text).to_bytes(8, "little") + text.encode()


@pytest.mark.parametrize(
    "content",
    [
        b"GIF89a" + bytes(100),
        (2**63).to_bytes(8, "little"),  # a header larger than any file
        safetensors_header("[[[[[[[["),
        safetensors_header("[" * 100_000),
        safetensors_header('{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4000000000000]}}'),
        safetensors_header('{"x":{"dtype":"F32","shape":[9999999999,9999999999],"data_offsets":[0,0]}}'),
        safetensors_header('{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"y":7}') + bytes(4),
    ],
)  # fmt: skip
def test_other_and_hostile_files(path, content):
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"state.safetensors: expected a whole .safetensors file"):
        load_tensors(path)


def with_header(path, text: str) -> None:
    save_file({"x": torch.zeros(1)}, path, metadata={"hemlets": text})


GOOD = {"format": "hemlets-state", "format_version": 1, "library_version": "9.9"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "expected JSON in its header"),
        ("[" * 100_000, "expected JSON in its header"),
        ("[]", "expected a file of kind 'hemlets-state', got 'list'"),
        (json.dumps(GOOD | {"format": "other"}), "expected a file of kind 'hemlets-state', got 'other'"),
        (json.dumps(GOOD | {"format_version": 2}), "expected format version 1, got 2, written by hemlets 9"),
        (json.dumps(GOOD), "expected tree in its header, got none"),
        (json.dumps(GOOD | {"tree": {"tensor": "y"}}), "expected nested state, got no tensor 'y'"),
        (json.dumps(GOOD | {"tree": {"object": 1}}), "expected nested state, got an unknown kind 'object'"),
        (json.dumps(GOOD | {"tree": {"dict": [[[], 1]]}}), "expected nested state, got unhashable"),
        (json.dumps(GOOD | {"tree": {"tensor": [1]}}), "expected nested state"),
        (json.dumps(GOOD | {"tree": {}}), "expected nested state"),
        (json.dumps(GOOD | {"tree": {"tuple": 3}}), "expected nested state"),
    ],
)  # fmt: skip
def test_headers_that_are_wrong(path, text, message):
    with_header(path, text)
    with pytest.raises(ValueError, match=f"state.safetensors: {message}"):
        load_tensors(path)


def test_foreign_safetensors(path):
    save_file({"x": torch.zeros(1)}, path, metadata={"format": "pt"})
    with pytest.raises(
        ValueError, match=r"safetensors without its header 'hemlets'. Load foreign weights with"
    ):
        load_tensors(path)


def test_a_file_that_is_not_there(path):
    with pytest.raises(
        FileNotFoundError, match=r"state.safetensors: expected a .safetensors file, found none"
    ):
        load_tensors(path)


def test_kinds_of_ones_own(path):
    write_tensor_file(path, {"x": torch.ones(2)}, kind="mine", content={"n": 1})
    with open_tensor_file(path, kind="mine", keys={"n"}) as (file, header):
        assert header["n"] == 1 and torch.equal(file.get_tensor("x"), torch.ones(2))
    with pytest.raises(ValueError, match="expected a file of kind 'hemlets-state', got 'mine'"):
        load_tensors(path)
