"""Channels of unknown order: a trained network whose channels are shuffled, and worked cases."""

from __future__ import annotations

import copy
import sys

import numpy as np
import pytest
import torch

from hemlets_lib.channels import inspect_channels, map_names, reorder_channels
from hemlets_lib.checkpoint import load_checkpoint
from hemlets_lib.data.sample import Meta, Sample, collate, normalise
from hemlets_lib.data.samples import find_weights, load_samples
from hemlets_lib.geometry import Grid
from hemlets_lib.model import HEMletsNet, ModelConfig
from hemlets_lib.targets import make_targets
from hemlets_lib.triplets import UNKNOWN

SHOULDER_ELBOW, ELBOW_WRIST = 0, 1  # the parts of the arm: maps 0-2 and 3-5; heatmaps are maps 6-8


@pytest.fixture
def config(skeleton3) -> ModelConfig:
    """M = 2 · 3 + 3 = 9 maps of 16 x 16."""
    return ModelConfig(
        "test", "tiny", image_size=32, heatmap_size=16, depth_size=5, skeleton=skeleton3,
        upsample_channels=6, encoder_channels=7,
    )  # fmt: skip


def arm(joints_crop: torch.Tensor, states: list[int], known: list[bool] | None = None) -> Sample:
    """A grey picture of an arm; joints (3, 2)."""
    return Sample(
        image=np.full((32, 32, 3), 128, np.uint8),
        joints_crop=torch.cat([joints_crop, torch.zeros(3, 1)], 1),
        joint_valid=torch.tensor(known or [True] * 3),
        depth_valid=torch.zeros(3, dtype=torch.bool),
        part_states=torch.tensor(states),
        affine=torch.eye(3)[:2],
        meta=Meta("arms"),
    )


def arms(states: list[list[int]]) -> list[Sample]:
    """Joints upon centres of the maps' cells."""
    cells = torch.randint(1, 15, (len(states), 3, 2), generator=torch.Generator().manual_seed(0))
    places = Grid.CELL_CENTRED.to_crop(cells.float(), 16)
    return [arm(joints, state) for joints, state in zip(places, states, strict=True)]


def showing(config: ModelConfig, samples: list[Sample], order: list[int]) -> HEMletsNet:
    """A network whose channel i shows what map `order[i]` of these samples should be, taken as one batch."""
    targets = make_targets(collate(samples), config)
    maps = torch.cat([targets.triplets.flatten(1, 2), targets.heatmaps], 1)[:, order]
    model = HEMletsNet(config)
    model.hemlets_branch.register_forward_hook(lambda *_: 3 * maps - 1)  # correlation minds neither
    return model


def shuffled(model: HEMletsNet, order: torch.Tensor) -> HEMletsNet:
    """Channel i of the branch becomes what channel `order[i]` was, and the encoder reads it so."""
    model = copy.deepcopy(model)
    with torch.no_grad():
        for values in (model.hemlets_branch.tail.weight, model.hemlets_branch.tail.bias):
            values.copy_(torch.stack([values[i] for i in order.tolist()]))
        model.encoder[0].weight.copy_(torch.stack([model.encoder[0].weight[:, i] for i in order.tolist()], 1))
    return model


# --- golden ---------------------------------------------------------------------------------------


def test_names_of_maps(config):
    assert map_names(config)[:4] == (
        "shoulder → elbow, -1", "shoulder → elbow, 0", "shoulder → elbow, +1", "elbow → wrist, -1",
    )  # fmt: skip
    assert map_names(config)[6:] == ("heatmap of shoulder", "heatmap of elbow", "heatmap of wrist")


def test_perfect_maps_in_another_order(config):
    order = [4, 0, 8, 2, 6, 1, 7, 3, 5]
    samples = arms([[s, t] for s in (-1, 0, 1) for t in (-1, 0, 1)] * 3)
    report = inspect_channels(showing(config, samples, order), samples, batch_size=27)
    assert report.channels.tolist() == [order.index(row) for row in range(9)] and not report.in_order
    torch.testing.assert_close(report.correlation, torch.ones(9).double())
    assert report.certain.all() and set(report.verdicts) == {"certain"}
    assert report.num_shown.tolist() == [9, 27, 9, 9, 27, 9, 27, 27, 27]  # map 0 always holds the parent
    assert report.summary() == "9 of 9 channels are certain on 27 samples"
    assert report.to_dict()["maps"][8] == {
        "map": "heatmap of wrist", "channel": 2, "correlation": pytest.approx(1),
        "margin": pytest.approx(report.margin[8].item()), "shown": 27, "verdict": "certain",
    }  # fmt: skip
    assert "| heatmap of wrist | 2 | 1.00 |" in report.to_markdown()


def test_a_correlation_by_hand(config):
    samples = arms([[1, 0], [-1, 1], [0, -1]])
    targets = make_targets(collate(samples), config)
    maps = torch.cat([targets.triplets.flatten(1, 2), targets.heatmaps], 1)
    seen = maps + 0.3 * torch.randn(maps.shape, generator=torch.Generator().manual_seed(1))
    model = HEMletsNet(config)
    model.hemlets_branch.register_forward_hook(lambda *_: seen)
    report = inspect_channels(model, samples)
    for row in (0, 4, 7):
        pair = np.stack([seen[:, row].numpy().ravel(), maps[:, row].numpy().ravel()])
        assert report.channels[row] == row
        assert report.correlation[row].item() == pytest.approx(np.corrcoef(pair)[0, 1], abs=1e-5)


def test_states_that_never_occur_cannot_be_told(config):
    """The elbow's child is never farther: that map and the wrist's third are empty, and exchangeable."""
    samples = arms([[0, 0], [1, 0], [0, -1], [1, -1]] * 3)
    report = inspect_channels(showing(config, samples, list(range(9))), samples)
    empty = [row for row in range(9) if report.num_shown[row] == 0]
    assert empty == [0, 5] and not report.certain[empty].any() and report.certain.sum() == 7
    assert report.margin[empty].tolist() == [0, 0] and report.verdicts[0] == "shown 0 times"
    assert report.rivals[0] == "elbow → wrist, +1" and report.rivals[5] == "shoulder → elbow, -1"
    assert report.in_order  # as far as can be told


def test_two_channels_that_show_the_same(config):
    samples = arms([[s, t] for s in (-1, 0, 1) for t in (-1, 0, 1)] * 3)
    order = [0, 1, 2, 3, 4, 5, 6, 7, 7]  # nothing shows the wrist, two channels the elbow
    report = inspect_channels(showing(config, samples, order), samples)
    assert not report.certain[[7, 8]].any() and report.certain[:7].all()
    assert report.channels[:7].tolist() == order[:7]  # though the elbow's second copy is like map 4, too
    assert report.verdicts[7] == "not apart from heatmap of wrist" and report.correlation[8] < 0.4


def test_what_is_not_known_does_not_count(config):
    """Half the samples say nothing of the second part and the wrist; what the channels show there is odd."""
    samples = arms([[s, t] for s in (-1, 0, 1) for t in (-1, 0, 1)] * 4)
    places = [sample.joints_crop[:, :2] for sample in samples]
    blind = [
        arm(p, [sample.part_states[0].item(), UNKNOWN], [True, True, False])
        for p, sample in zip(places, samples, strict=True)
    ]
    mixed = [one if i % 2 else other for i, (one, other) in enumerate(zip(samples, blind, strict=True))]
    model = showing(config, samples, list(range(9)))  # as if all were known
    report = inspect_channels(model, mixed, batch_size=len(mixed))
    torch.testing.assert_close(report.correlation, torch.ones(9).double())
    assert report.num_shown[8] == 18 and report.num_shown[6] == 36


# --- the shipped network, shuffled ------------------------------------------------------------------


def test_a_trained_network_with_shuffled_channels():
    """Sixty drawn people: 52 of 60 channels carry what they show and the network tells; all are right."""
    model, _ = load_checkpoint(find_weights("nano"))
    samples = load_samples(size=model.config.image_size)
    order = torch.randperm(60, generator=torch.Generator().manual_seed(3))
    other = shuffled(model, order)
    report = inspect_channels(other, samples)
    right = report.channels == order.argsort()
    assert bool(right[report.certain].all()) and int(report.certain.sum()) >= 50
    assert bool(report.certain[42:].sum() >= 17) and report.num_samples == len(samples) == 60
    assert bool(((report.num_shown < 3) | (report.margin < 0.01))[~report.certain].all())  # all have a reason

    mended = reorder_channels(other, report.channels)
    images = normalise(collate(samples[:3]).images)
    with torch.inference_mode():
        before, during, after = model(images), other(images), mended(images)
    torch.testing.assert_close(after.joints, before.joints, rtol=0, atol=1e-5)
    torch.testing.assert_close(during.joints, before.joints, rtol=0, atol=1e-5)
    sure = report.certain[:42].unflatten(0, (14, 3))
    torch.testing.assert_close(after.triplets[:, sure], before.triplets[:, sure], rtol=0, atol=1e-6)
    torch.testing.assert_close(
        after.heatmaps[:, report.certain[42:]], before.heatmaps[:, report.certain[42:]], rtol=0, atol=1e-6
    )
    assert not torch.allclose(during.heatmaps, before.heatmaps, atol=0.1)


# --- law ------------------------------------------------------------------------------------------


def test_reordering_and_back(config):
    model = HEMletsNet(config).eval()
    order = torch.randperm(9, generator=torch.Generator().manual_seed(2))
    other = reorder_channels(model, order)
    back = reorder_channels(other, order.argsort())
    for name, value in back.state_dict().items():
        assert torch.equal(value, model.state_dict()[name]), name
    images = torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        one, two = model(images), other(images)
    torch.testing.assert_close(one.joints, two.joints)
    maps = torch.cat([one.triplets.flatten(1, 2), one.heatmaps], 1)
    torch.testing.assert_close(torch.cat([two.triplets.flatten(1, 2), two.heatmaps], 1), maps[:, order])


def test_nothing_is_changed_by_looking(config):
    samples = arms([[0, 0], [1, -1]])
    model = HEMletsNet(config).train()
    state, drawn = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    told: list[int] = []
    one = inspect_channels(model, samples, batch_size=1, on_progress=told.append)
    assert told == [1, 2] and model.training and torch.equal(torch.get_rng_state(), drawn)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    both = inspect_channels(model, iter(samples), batch_size=2)  # batches and generators make no difference
    torch.testing.assert_close(one.correlation, both.correlation)


def test_a_part_of_a_data_set_is_spread_over_it(config):
    class Counted(list):
        asked: list[int] = []  # noqa: RUF012

        def __getitem__(self, index):
            self.asked.append(index)
            return super().__getitem__(index)

    samples = Counted(arms([[0, 0]] * 10))
    assert inspect_channels(HEMletsNet(config), samples, max_samples=4).num_samples == 4
    assert samples.asked == [0, 2, 5, 7]
    assert inspect_channels(HEMletsNet(config), iter(samples), max_samples=3).num_samples == 3
    assert inspect_channels(HEMletsNet(config), samples, max_samples=99).num_samples == 10


# --- error ----------------------------------------------------------------------------------------


def test_what_cannot_be_inspected(config, monkeypatch):
    from dataclasses import replace

    model = HEMletsNet(config)
    with pytest.raises(ValueError, match="must have an intermediate branch, got 'test' without one"):
        inspect_channels(HEMletsNet(replace(config, intermediate=False)), arms([[0, 0]]))
    with pytest.raises(ValueError, match="`samples` must hold at least one, got none"):
        inspect_channels(model, [])
    with pytest.raises(ValueError, match=r"must be Samples with known joints, got ndarray"):
        inspect_channels(model, [np.zeros((32, 32, 3), np.uint8)])
    with pytest.raises(ValueError, match="must be positive, got 32 and 0"):
        inspect_channels(model, arms([[0, 0]]), max_samples=0)
    with pytest.raises(ValueError, match=r"must have 3 joints for skeleton 'arm', got 18|must hold 2 parts"):
        inspect_channels(model, load_samples(size=32)[:1])
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    with pytest.raises(ImportError, match=r"needs SciPy for the assignment; found none\. Install it"):
        inspect_channels(model, arms([[0, 0]]))


@pytest.mark.parametrize("channels", [[0] * 9, list(range(8)), list(range(1, 10))])
def test_what_is_no_permutation(config, channels):
    with pytest.raises(ValueError, match=r"`channels` must hold each of 0 … 8 once, got \[.*Pass inspect_ch"):
        reorder_channels(HEMletsNet(config), torch.tensor(channels))
