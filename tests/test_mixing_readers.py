"""Weak labels from prepared downloads, mixed with drawn 3D samples and trained on.

`test_mixing` and `test_train` hold for any sources; here the sources are what readers make of files on disk:
one set labels joints in 2D (MPII), one their depth order as well (ordinal), and the drawn one everything.
"""

from __future__ import annotations

import dataclasses
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
import torch
from downloads.mpii import write_simple_baselines
from downloads.ordinal import write_original
from test_train import assert_same, losses_of, state_of

from hemlets_lib.augment import augment
from hemlets_lib.data.mixing import Mixture
from hemlets_lib.data.prepare import prepare
from hemlets_lib.data.sample import collate
from hemlets_lib.data.samples import load_samples
from hemlets_lib.data.shards import ShardDataset
from hemlets_lib.losses import LossTerms, hemlets_loss
from hemlets_lib.model import HEMletsOutput, ModelConfig
from hemlets_lib.recipes import RECIPES
from hemlets_lib.run_folder import RunFolder
from hemlets_lib.targets import make_targets
from hemlets_lib.tensor_files import load_tensors
from hemlets_lib.train import train
from hemlets_lib.triplets import UNKNOWN

SIZE = 32
RATIOS = (2, 1, 1)  # drawn, MPII, ordinal
MODEL = ModelConfig(
    "tiny", "tiny", image_size=SIZE, heatmap_size=8, depth_size=6, upsample_channels=8, encoder_channels=8
)  # fmt: skip
CONFIG = dataclasses.replace(
    RECIPES["nano"], model=MODEL, steps=8, batch_size=8, warmup_steps=2, log_every=1, save_every=2,
    validate_every=4, precision="float32",
)  # fmt: skip
# Arguments: the folder with the shards, the run's folder, steps.
PROGRAM = """
import dataclasses, sys
import torch
torch.set_num_threads(1)
sys.path.insert(0, {tests!r})
from test_mixing_readers import CONFIG, mixture_of, train
shards, folder, steps = sys.argv[1:]
train(dataclasses.replace(CONFIG, steps=int(steps)), mixture_of(shards), folder, device="cpu")
"""


def mixture_of(shards: str | Path, *, seed: int = 3) -> Mixture:
    shards = Path(shards)
    sources = [load_samples(size=SIZE)[:10], ShardDataset(shards / "mpii"), ShardDataset(shards / "ordinal")]
    return Mixture(sources, ratios=RATIOS, seed=seed)


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """Two downloads, prepared."""
    root = tmp_path_factory.mktemp("mixed")
    for dataset, write in (("mpii", write_simple_baselines), ("ordinal", write_original)):
        (root / "downloads" / dataset).mkdir(parents=True)
        written = write(root / "downloads" / dataset)
        made = prepare(
            dataset, root / "downloads" / dataset, root / dataset, split=written.split, size=SIZE, workers=1,
            show_progress=False,
        )  # fmt: skip
        assert made.frames == written.samples
    return root


@pytest.fixture
def mixture(shards):
    return mixture_of(shards)


def batch_of(mixture, step):
    return collate([mixture[draw] for draw in mixture.draws(step, CONFIG.batch_size)])


def rows_of(batch, name):
    return [row for row, meta in enumerate(batch.meta) if meta.dataset == name]


def test_every_set_labels_what_it_labels(mixture):
    seen = Counter()
    for step in range(6):
        batch = batch_of(mixture, step)
        seen.update(meta.dataset for meta in batch.meta)
        weak = rows_of(batch, "mpii") + rows_of(batch, "ordinal")
        drawn = [row for row in range(len(batch)) if row not in weak]
        assert (len(drawn), len(rows_of(batch, "mpii")), len(rows_of(batch, "ordinal"))) == (4, 2, 2)
        assert not batch.depth_valid[weak].any() and batch.depth_valid[drawn].all()
        assert (batch.joints_crop[weak][..., 2] == 0).all() and batch.joints_cam_mm[weak].isnan().all()
        assert (batch.part_states[rows_of(batch, "mpii")] == UNKNOWN).all()
        assert (batch.part_states[rows_of(batch, "ordinal")] != UNKNOWN).float().mean() > 0.9
        assert (batch.part_states[drawn] != UNKNOWN).all()
        assert not batch.has_camera[weak].any()
        assert batch.joint_valid[weak].any(-1).all()
    assert seen["mpii"] == seen["ordinal"] == 12  # exactly the shares, batch by batch


def test_losses_touch_only_what_is_labelled(mixture):
    """The gradient with respect to the network's output, row by row: zero where nobody labelled."""
    batch = augment(
        batch_of(mixture, 0), CONFIG.augmentation, skeleton=MODEL.skeleton, seed=0, epoch=0,
        indices=torch.arange(CONFIG.batch_size), size=SIZE,
    )  # fmt: skip
    targets = make_targets(batch, MODEL)
    output = HEMletsOutput(
        joints=(0.1 * torch.randn(8, 18, 3)).requires_grad_(),
        triplets=torch.rand(8, 14, 3, 8, 8).requires_grad_(),
        heatmaps=torch.rand(8, 18, 8, 8).requires_grad_(),
        volume=None,
    )
    terms = hemlets_loss(output, targets, size=MODEL.volume_size, alpha=CONFIG.alpha)
    assert terms.z > 0 and terms.hem > 0
    terms.total.backward()
    depth = output.joints.grad[..., 2] != 0
    parts = output.triplets.grad.abs().flatten(2).sum(-1) != 0
    planar = (output.joints.grad[..., :2] != 0).all(-1)
    heatmaps = output.heatmaps.grad.abs().flatten(2).sum(-1) != 0
    for row, meta in enumerate(batch.meta):
        labelled = batch.part_states[row] != UNKNOWN
        assert torch.equal(planar[row], batch.joint_valid[row])
        assert torch.equal(heatmaps[row], batch.joint_valid[row])
        if meta.dataset in ("mpii", "ordinal"):
            assert not depth[row].any()
            assert torch.equal(parts[row], labelled)
            assert bool(labelled.any()) == (meta.dataset == "ordinal")
        else:
            assert depth[row].all() and parts[row].all()


def test_training_on_weak_labels_alone_has_no_depth_loss(shards, tmp_path):
    weak = Mixture([ShardDataset(shards / "mpii"), ShardDataset(shards / "ordinal")])
    folder = train(dataclasses.replace(CONFIG, steps=2), weak, tmp_path / "run", device="cpu")
    assert losses_of(folder, "z") == [0.0, 0.0]
    for name in ("hem", "heatmap", "xy"):
        assert min(losses_of(folder, name)) > 0
    flat = Mixture([ShardDataset(shards / "mpii")])
    folder = train(dataclasses.replace(CONFIG, steps=2), flat, tmp_path / "flat", device="cpu")
    assert losses_of(folder, "z") == losses_of(folder, "hem") == [0.0, 0.0]


@pytest.fixture
def watched(monkeypatch):
    """The identifiers and pictures of every batch that training takes."""
    taken: list[tuple] = []

    def spy(batch, config, **options):
        augmented = augment(batch, config, **options)
        identifiers = tuple((meta.dataset, meta.sample_id) for meta in batch.meta)
        taken.append((identifiers, augmented.images.clone(), augmented.part_states.clone()))
        return augmented

    monkeypatch.setattr("hemlets_lib.train.augment", spy)
    return taken


def test_the_same_seed_takes_the_same_batches(shards, tmp_path, watched):
    folders = []
    for name, seed in (("one", 3), ("same", 3), ("other", 4)):
        folders.append(train(CONFIG, mixture_of(shards, seed=seed), tmp_path / name, device="cpu"))
    one, same, other = (watched[at : at + CONFIG.steps] for at in range(0, 3 * CONFIG.steps, CONFIG.steps))
    for first, second in zip(one, same, strict=True):
        assert first[0] == second[0]
        assert torch.equal(first[1], second[1]) and torch.equal(first[2], second[2])
    assert [batch[0] for batch in one] != [batch[0] for batch in other]
    assert_same(state_of(folders[0]), state_of(folders[1]))
    counts = Counter(dataset for identifiers, _, _ in one for dataset, _ in identifiers)
    assert (counts["mpii"], counts["ordinal"], sum(counts.values())) == (16, 16, 64)


def test_resumed_takes_the_batches_that_were_left(shards, tmp_path, watched):
    whole = train(CONFIG, mixture_of(shards), tmp_path / "whole", device="cpu")
    train(CONFIG, mixture_of(shards), tmp_path / "parts", device="cpu", stop_at=3)
    parts = train(CONFIG, mixture_of(shards), tmp_path / "parts", device="cpu", resume=True)
    assert [batch[0] for batch in watched[:8]] == [batch[0] for batch in watched[8:]]
    assert_same(state_of(whole), state_of(parts))
    assert {name: losses_of(whole, name) for name in LossTerms._fields} == {
        name: losses_of(parts, name) for name in LossTerms._fields
    }


def test_killed_and_resumed_is_never_interrupted(shards, tmp_path):
    config = dataclasses.replace(CONFIG, steps=60)
    program = tmp_path / "program.py"
    program.write_text(PROGRAM.format(tests=os.path.dirname(__file__)))
    folder = RunFolder(tmp_path / "killed")
    command = [sys.executable, str(program), str(shards), str(folder.root), str(config.steps)]
    process = subprocess.Popen(command)
    deadline = time.monotonic() + 120
    while not folder.state_path.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    time.sleep(random.Random(os.getpid()).uniform(0, 0.2))  # a moment that nobody chose
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it ended before it could be killed"
    assert 0 < load_tensors(folder.state_path)["step"] < config.steps
    train(config, mixture_of(shards), folder.root, device="cpu", resume=True)
    whole = train(config, mixture_of(shards), tmp_path / "whole", device="cpu")
    assert_same(state_of(whole), state_of(folder))
    assert losses_of(whole) == losses_of(folder)


def test_other_shards_are_another_run(shards, tmp_path):
    """A run is not resumed on shards of another download, though they hold as many samples."""
    config = dataclasses.replace(CONFIG, steps=4)
    train(config, mixture_of(shards), tmp_path / "run", device="cpu", stop_at=2)
    (tmp_path / "downloads").mkdir()
    write_simple_baselines(tmp_path / "downloads")
    path = tmp_path / "downloads" / "annot" / "train.json"
    records = json.loads(path.read_text())
    records[0]["joints"][3][0] += 1.0  # a hip, corrected
    path.write_text(json.dumps(records))
    prepare(
        "mpii", tmp_path / "downloads", tmp_path / "mpii", split="train", size=SIZE, workers=1,
        show_progress=False,
    )  # fmt: skip
    (tmp_path / "ordinal").symlink_to(shards / "ordinal", target_is_directory=True)
    with pytest.raises(ValueError, match=r"sources.*labels"):
        train(
            dataclasses.replace(CONFIG, steps=4),
            mixture_of(tmp_path),
            tmp_path / "run",
            device="cpu",
            resume=True,
        )
