"""Mixed batches: a pure plan, exact shares, every sample once an epoch, damage named."""

import pickle
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from hemlets_lib.data.mixing import Draw, Mixture
from hemlets_lib.data.sample import Meta, Sample, collate, label_sample
from hemlets_lib.data.shards import ShardDataset, build_shards


class Numbered:
    """Samples that say who they are; sample `damaged` cannot be read."""

    def __init__(self, name: str, length: int, *, skeleton, size: int = 16, damaged: int = -1) -> None:
        self.name, self.length, self.skeleton, self.size, self.damaged = name, length, skeleton, size, damaged

    @property
    def config(self) -> dict:
        return {"kind": self.name}

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Sample:
        if index == self.damaged:
            raise ValueError("the picture is cut off")
        return label_sample(
            np.full((self.size, self.size, 3), index, dtype=np.uint8),
            affine=torch.eye(2, 3),
            meta=Meta(self.name, frame=index),
            skeleton=self.skeleton,
            joints_px=torch.arange(6.0).reshape(3, 2),
        )


@pytest.fixture
def mixture(skeleton3):
    sources = [Numbered(name, length, skeleton=skeleton3) for name, length in (("a", 50), ("b", 7))]
    return Mixture(sources, ratios=[2, 1], seed=3)


def rows(plan: list[Draw]) -> Counter:
    return Counter(draw.source for draw in plan)


def test_a_step_stands_alone(mixture, skeleton3):
    plan = [mixture.draws(step, 9) for step in range(40)]
    fresh = pickle.loads(pickle.dumps(mixture))
    for step in (39, 0, 17, 16):
        assert fresh.draws(step, 9) == plan[step]
    numbers = [draw.number for batch in plan for draw in batch]
    assert numbers == list(range(9 * 40))
    other = Mixture(mixture.sources, ratios=[2, 1], seed=4)
    assert [other.draws(step, 9) for step in range(3)] != plan[:3]


def test_slices_of_two_processes_make_the_batch(mixture):
    batch = mixture.draws(5, 12)
    halves = [batch[rank * 6 : (rank + 1) * 6] for rank in range(2)]
    assert halves[0] + halves[1] == batch
    assert [rows(half) for half in halves] == [{0: 4, 1: 2}] * 2  # and each holds both sources


def test_every_sample_comes_once_an_epoch(mixture):
    drawn = [draw for step in range(200) for draw in mixture.draws(step, 9)]
    for number, source in enumerate(mixture.sources):
        indices = [draw.index for draw in drawn if draw.source == number]
        length = len(source)
        epochs = [indices[at : at + length] for at in range(0, len(indices) - length, length)]
        assert len(epochs) > 10
        assert all(sorted(epoch) == list(range(length)) for epoch in epochs)
        assert all(first != second for first, second in pairwise(epochs))


@pytest.mark.parametrize("ratios", [(1,), (1, 1), (2, 1), (0.5, 0.25, 0.25), (1, 1, 1), (0.97, 0.02, 0.01)])
@pytest.mark.parametrize("batch_size", [1, 8, 64])
def test_shares_hold_in_every_batch_and_in_the_long_run(skeleton3, ratios, batch_size):
    mixture = Mixture([Numbered(str(r), 90, skeleton=skeleton3) for r in ratios], ratios=ratios)
    shares = np.array(ratios) / sum(ratios)
    steps = 2 * 987 + 100
    total = np.zeros(len(ratios))
    for step in range(steps):
        counts = mixture._counts(np.array([step % 987]), batch_size)[0]
        assert counts.sum() == batch_size and (np.abs(counts - batch_size * shares) < 1).all()
        total += counts
    assert np.abs(total - steps * batch_size * shares).max() < 5
    for step in (0, 986, 987, 2073):  # the plan holds as many, also where the period ends
        counts = mixture._counts(np.array([step % 987]), batch_size)[0]
        found = rows(mixture.draws(step, batch_size))
        assert [found[number] for number in range(len(ratios))] == counts.tolist()


def test_the_plan_goes_on_where_the_period_ends(mixture):
    drawn = [draw for step in range(980, 1000) for draw in mixture.draws(step, 9)]
    for number, length in ((0, 50), (1, 7)):
        indices = [draw.index for draw in drawn if draw.source == number]
        counts = Counter(indices)
        expected = len(indices) / length
        assert max(counts.values()) <= expected + 2 and len(counts) == length


def test_halves_alternate_and_equal_shares_are_the_default(skeleton3):
    mixture = Mixture([Numbered(name, 10, skeleton=skeleton3) for name in "ab"])
    assert [draw.source for draw in mixture.draws(11, 6)] == [0, 1] * 3
    assert len(mixture) == 20


@pytest.mark.parametrize("method", [None, "fork", "spawn"])
def test_a_loader_reads_the_plan(tmp_path, skeleton3, method):
    first, second = (Numbered(name, 6, skeleton=skeleton3) for name in "ab")
    build_shards(tmp_path, first, workers=1, show_progress=False)
    mixture = Mixture([ShardDataset(tmp_path), [second[index] for index in range(6)]])
    plan = [mixture.draws(step, 4) for step in range(4)]
    loader = DataLoader(
        mixture, batch_sampler=plan, collate_fn=collate, num_workers=1 if method else 0,
        multiprocessing_context=method,
    )  # fmt: skip
    for batch, draws in zip(loader, plan, strict=True):
        expected = [("ab"[draw.source], draw.index) for draw in draws]
        assert [(meta.dataset, meta.frame) for meta in batch.meta] == expected


def test_what_cannot_be_read_is_named(skeleton3):
    broken = Numbered("b", 5, skeleton=skeleton3, damaged=3)
    mixture = Mixture([Numbered("a", 5, skeleton=skeleton3), broken])
    with pytest.raises(ValueError, match=r"source 1 \(Numbered\), sample 3: cannot be read \(the picture is"):
        mixture[Draw(1, 3, 0)]
    with pytest.raises(IndexError, match=r"5 samples of source 0 .*, got Draw\(source=1, index=5"):
        mixture[Draw(1, 5, 0)]


def test_a_damaged_shard_is_named_with_the_remedy(tmp_path, skeleton3):
    build_shards(
        tmp_path / "shards", Numbered("a", 3, skeleton=skeleton3, size=64), workers=1, show_progress=False
    )
    mixture = Mixture([ShardDataset(tmp_path / "shards")])
    assert pickle.loads(pickle.dumps(mixture))[Draw(0, 1, 0)].meta.frame == 1
    path = next((tmp_path / "shards").glob("*.arrow"))
    content = path.read_bytes()
    start = content.index(b"JFIF", content.index(b"JFIF") + 1)  # the second picture
    with path.open("rb+") as file:
        file.seek(start - 6)
        file.write(bytes(200))
    with pytest.raises(
        ValueError, match=r"source 0 \(.*shards\), sample 1: .*`hemlets data verify .*shards` lists"
    ):
        mixture[Draw(0, 1, 0)]


def test_what_does_not_fit_is_refused(skeleton3):
    one, small = (Numbered("a", 5, skeleton=skeleton3, size=size) for size in (16, 8))
    for ratios in ([1, 0], [1, -2], [1], [1, float("nan")]):
        with pytest.raises(ValueError, match="`ratios` must hold one positive number for each of the 2"):
            Mixture([one, one], ratios=ratios)
    with pytest.raises(ValueError, match="`sources` must hold at least one data set, got none"):
        Mixture([])
    with pytest.raises(ValueError, match=r"source 1 \(Numbered\) must hold at least one sample"):
        Mixture([one, Numbered("b", 0, skeleton=skeleton3)])
    with pytest.raises(ValueError, match=r"share one \(size, joints, parts\), got \(16, 3, 2\) in source 0"):
        Mixture([one, small])
    with pytest.raises(ValueError, match="`seed` must be 0 or more, got -1"):
        Mixture([one], seed=-1)
    with pytest.raises(ValueError, match="got -1 and 4"):
        Mixture([one]).draws(-1, 4)
