"""Shards read by many processes with many workers each: every sample once an epoch, none lost, none twice."""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter

import numpy as np
import pytest
import torch

from hemlets_lib.batches import draw_batches
from hemlets_lib.data.mixing import Mixture
from hemlets_lib.data.sample import Meta, label_sample
from hemlets_lib.data.shards import ShardDataset, build_shards
from hemlets_lib.recipes import RECIPES
from hemlets_lib.skeleton import Skeleton

ARM = Skeleton(
    name="arm",
    joint_names=("shoulder", "elbow", "wrist"),
    parent_names={"elbow": "shoulder", "wrist": "elbow"},
    part_names=(("shoulder", "elbow"), ("elbow", "wrist")),
)
SAMPLES, GLOBAL_BATCH = 24, 12  # two steps are an epoch
CONFIG = dataclasses.replace(RECIPES["nano"], batch_size=GLOBAL_BATCH)


# Three workers on two cores are slow, which is none of these tests' business.
pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")


class Numbered:
    """Samples that show their number."""

    @property
    def config(self) -> dict:
        return {"kind": "numbered"}

    def __len__(self) -> int:
        return SAMPLES

    def __getitem__(self, index: int):
        return label_sample(
            np.full((8, 8, 3), 10 * index, dtype=np.uint8),
            affine=torch.eye(2, 3),
            meta=Meta("numbered", frame=index),
            skeleton=ARM,
            joints_px=torch.arange(6.0).reshape(3, 2),
        )


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards")
    build_shards(folder, Numbered(), rows_per_shard=5, workers=1, show_progress=False)
    return ShardDataset(folder)  # of five files


def read(shards, steps, *, processes=1, workers=0, config=CONFIG, seed=3):
    """(number, frame, grey level) of every row, in the order of steps and ranks; the ranks' frames apart."""
    by_rank = [
        list(
            draw_batches(
                Mixture([shards], seed=seed), config, steps, rank=rank, processes=processes, workers=workers
            )
        )
        for rank in range(processes)
    ]
    rows, frames = [], [[meta.frame for batch, _ in batches for meta in batch.meta] for batches in by_rank]
    for batch, numbers in itertools.chain.from_iterable(zip(*by_rank, strict=True)):
        grey = batch.images.flatten(1).double().mean(1)
        rows += [(int(n), m.frame, float(g)) for n, m, g in zip(numbers, batch.meta, grey, strict=True)]
    return rows, frames


@pytest.mark.parametrize(("processes", "workers"), [(1, 3), (2, 2), (3, 1), (12, 0)])
def test_every_sample_once_an_epoch_whoever_reads_it(shards, processes, workers):
    rows, frames = read(shards, range(2), processes=processes, workers=workers)
    assert sorted(frame for _, frame, _ in rows) == list(range(SAMPLES))
    assert all(grey == pytest.approx(10 * frame, abs=2) for _, frame, grey in rows)  # its own picture
    assert sorted(itertools.chain.from_iterable(frames)) == list(range(SAMPLES))  # the ranks are disjoint
    assert len({len(each) for each in frames}) == 1  # and have equal shares


@pytest.mark.parametrize(("processes", "micro_batches", "workers"), [(2, 1, 1), (2, 3, 0)])
def test_the_same_samples_under_the_same_numbers_however_many_share_them(
    shards, processes, micro_batches, workers
):
    """A sample's number keys its augmentation: so the batch is the same, picture by picture."""
    alone, _ = read(shards, range(4))
    pieces = dataclasses.replace(CONFIG, micro_batches=micro_batches)
    shared, _ = read(shards, range(4), processes=processes, workers=workers, config=pieces)
    assert sorted(shared) == sorted(alone)
    assert [number for number, _, _ in alone] == list(range(4 * GLOBAL_BATCH))


@pytest.mark.parametrize(("processes", "workers", "later_workers"), [(1, 2, 0), (2, 0, 1)])
def test_resumed_in_the_middle_of_an_epoch_nothing_is_lost_or_read_again(
    shards, processes, workers, later_workers
):
    whole, _ = read(shards, range(5), processes=processes)
    before, _ = read(shards, range(3), processes=processes, workers=workers)
    after, _ = read(shards, range(3, 5), processes=processes, workers=later_workers)
    assert before + after == whole


def test_where_batches_do_not_fill_an_epoch_counts_differ_by_one_at_most(shards):
    config = dataclasses.replace(CONFIG, batch_size=10)
    for steps in (3, 7, 12):
        rows, _ = read(shards, range(steps), processes=2, config=config)
        counts = Counter(frame for _, frame, _ in rows)
        expected = {steps * 10 // SAMPLES, -(-steps * 10 // SAMPLES)}
        assert set(counts.values()) | {0 for frame in range(SAMPLES) if frame not in counts} <= expected


def test_epochs_have_their_own_orders(shards):
    rows, _ = read(shards, range(6), processes=2)
    orders = [[frame for _, frame, _ in rows[at : at + SAMPLES]] for at in range(0, 3 * SAMPLES, SAMPLES)]
    assert all(sorted(order) == list(range(SAMPLES)) for order in orders)
    assert len({tuple(order) for order in orders}) == 3
