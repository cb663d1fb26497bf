"""Evaluation: samples stream through, what does not count is passed over, and messages say what to do."""

import weakref
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pytest
import torch

from hemlets_lib.data.sample import Meta, Sample, label_sample, normalise
from hemlets_lib.data.shards import ShardDataset, build_shards
from hemlets_lib.evaluate import evaluate
from hemlets_lib.geometry import Camera, crop_affine
from hemlets_lib.heatmaps import render_heatmaps
from hemlets_lib.metrics import mpjpe, pa_mpjpe
from hemlets_lib.model import HEMletsNet, HEMletsOutput, ModelConfig
from hemlets_lib.prediction import predict
from hemlets_lib.skeleton import HEMLETS18
from hemlets_lib.triplets import encode_triplets

SIZE, MAP_SIZE = 32, 16
CONFIG = ModelConfig(
    "test", "tiny", image_size=SIZE, heatmap_size=MAP_SIZE, depth_size=5, upsample_channels=6,
    encoder_channels=9, fusion=(3, 11),
)  # fmt: skip
CAMERA = Camera(torch.tensor([1100.0, 1100.0]), torch.tensor([500.0, 500.0]))
AFFINE = crop_affine(torch.tensor([500.0, 500.0]), torch.tensor(700.0), SIZE)
NUMBERS = ("rows", "joint_errors_mm", "polarity_percent")


def sample(number: int, subject: str = "S9", action: str = "Walking", *, frame: int = 0, **more) -> Sample:
    """A person in the middle of the crop; the picture is one shade of grey, its number."""
    pose = 250 * torch.randn(18, 3, generator=torch.Generator().manual_seed(number))
    pose[0] = 0
    return label_sample(
        np.full((SIZE, SIZE, 3), number, np.uint8),
        affine=AFFINE,
        meta=Meta("made up", subject, action, frame, sample_id=f"number {number}", **more),
        joints_cam_mm=pose + torch.tensor([0.0, 0.0, 4000.0]),
        camera=CAMERA,
    )


@pytest.fixture
def samples() -> list[Sample]:
    return [
        sample(0),
        sample(1, "S11"),
        sample(2, "S11", "Photo"),
        sample(3, "S9", "Photo"),
        sample(4, "S11"),
    ]


@pytest.fixture
def model() -> HEMletsNet:
    """With weights large enough for a prediction that depends on the picture."""
    model = HEMletsNet(CONFIG)
    for layer in (model.head[-1], model.hemlets_branch.tail):
        torch.nn.init.normal_(layer.weight, std=5.0)
    return model


class Source(list):
    """A list that shards can be made from."""

    config = MappingProxyType({"kind": "test"})


class Oracle(HEMletsNet):
    """Reads a picture's number off its grey and knows the answer; all but the root may be too far off."""

    def __init__(self, samples: list[Sample], off_mm: float = 0.0) -> None:
        super().__init__(CONFIG)
        self.known = {int(each.image[0, 0, 0]): each for each in samples}
        self.off = torch.full((18,), off_mm / 2000)
        self.off[0] = 0

    def forward(self, images, *, return_volume=False):
        levels = normalise(torch.arange(256, dtype=torch.uint8)[:, None, None, None].expand(-1, 3, 1, 1))
        numbers = (images[:, :1, :1, :1] - levels[:, 0, 0, 0]).abs().argmin(-1).flatten().tolist()
        joints = torch.stack([self.known[number].joints_crop for number in numbers])
        joints = torch.cat([joints[..., :2], joints[..., 2:] + self.off[:, None]], -1)
        states = torch.stack([self.known[number].part_states for number in numbers])
        triplets = encode_triplets(joints, states, skeleton=HEMLETS18, size=MAP_SIZE)
        return HEMletsOutput(joints, triplets, render_heatmaps(joints, size=MAP_SIZE), None)


# --- golden ---------------------------------------------------------------------------------------


def test_who_knows_the_answer_has_no_error(samples):
    found = evaluate(Oracle(samples), samples, batch_size=2)
    for row in found.protocol.rows:
        assert found.tables[row.name].mean_of_actions == pytest.approx(0, abs=0.05)
    assert found.tables["MPJPE, S11"].counts["Walk"] == 2 and found.tables["MPJPE, S11"].counts["Photo"] == 1
    assert found.polarity["predicted joints"].overall == 100
    assert found.polarity["decoded triplets"].overall > 95  # maps of 16 cells lose a part or two
    assert found.statements["root depth"].endswith("(known: 5)")
    assert found.statements["pictures"] == "made up (recorded): 5"
    assert found.counts["joints counted"] == 5 * 17


def test_a_known_error_is_found(samples):
    """10 mm too far away at 4000 mm, all joints but the root: about 10 mm on 16 of 17 joints."""
    found = evaluate(Oracle(samples, off_mm=10.0), samples)
    assert found.tables["MPJPE, S9 + S11"].mean_of_frames == pytest.approx(10 * 16 / 17, rel=0.05)
    assert found.joint_errors_mm["pelvis"] == 0 and found.joint_errors_mm["head"] == pytest.approx(
        10, rel=0.1
    )


def test_it_is_predict_and_the_metrics(model, samples):
    found = evaluate(model, samples, flip_test=True)
    predicted = predict(model, samples, flip_test=True).joints_root_rel_mm
    pair = {"predicted": predicted, "target": torch.stack([each.joints_cam_mm for each in samples])}
    assert found.tables["MPJPE, S9 + S11"].mean_of_frames == pytest.approx(
        mpjpe(**pair).mean().item(), rel=1e-4
    )
    assert found.tables["PA-MPJPE, S9 + S11"].mean_of_frames == pytest.approx(
        pa_mpjpe(**pair).mean().item(), rel=1e-4
    )
    assert found.statements["flip test"] == "mean with the mirrored picture"


def test_what_does_not_count_is_passed_over(samples):
    flat = replace(sample(5), joints_cam_mm=None)
    rootless = sample(6).joints_cam_mm.clone()
    rootless[0] = torch.nan
    others = [sample(7, "S1"), sample(8, "S9", "Dancing"), sample(9, frame=65)]
    mixed = [*others, *samples, flat, replace(sample(6), joints_cam_mm=rootless)]
    found, clean = (evaluate(Oracle(mixed), each) for each in (mixed, samples))
    assert {name: found.to_dict()[name] for name in NUMBERS} == {
        name: clean.to_dict()[name] for name in NUMBERS
    }
    assert found.counts["samples looked at"] == 10 and found.counts["samples counted"] == 5
    assert found.counts["of other subjects or actions"] == 2
    assert found.counts["frames in between"] == 1
    assert found.counts["without 3D joints"] == 2


@pytest.mark.parametrize(
    ("options", "counted"),
    [({}, [0, 64]), ({"frame_step": 5}, [0, 5, 65]), ({"frame_step": 1}, [0, 5, 64, 65])],
)
def test_frames_of_recorded_videos_are_sampled(options, counted):
    frames = [sample(i, frame=frame) for i, frame in enumerate((0, 5, 64, 65))]
    found = evaluate(Oracle(frames), frames, **options)
    assert found.counts["samples counted"] == len(counted)


def test_drawn_frames_all_count():
    frames = [sample(i, frame=frame, source="drawn; procedural motion") for i, frame in enumerate((0, 5, 65))]
    found = evaluate(Oracle(frames), frames)
    assert found.counts["samples counted"] == 3 and found.statements["pictures"] == "made up (drawn): 3"


def test_the_depth_of_the_root_may_be_kept_secret(samples):
    """These bodies are no average adult's, so their distance and size come out wrong."""
    told, guessed = (evaluate(Oracle(samples), samples, root_depth=kind) for kind in ("labels", "bones"))
    assert guessed.statements["root depth"].endswith("(bones: 5)")
    assert guessed.tables["MPJPE, S11"].mean_of_frames > told.tables["MPJPE, S11"].mean_of_frames + 1


def test_joints_outside_the_crop_count(samples):
    pose = samples[0].joints_cam_mm.clone()
    pose[16] += torch.tensor([5000.0, 0.0, 0.0])
    stretched = label_sample(
        samples[0].image, affine=AFFINE, meta=samples[0].meta, joints_cam_mm=pose, camera=CAMERA
    )
    found = evaluate(Oracle(samples), [stretched])
    assert found.joint_errors_mm["right_wrist"] == pytest.approx(5000, rel=0.01)
    assert found.counts["joints outside the crop (they count)"] >= 1


# --- law ------------------------------------------------------------------------------------------


def test_the_batch_size_does_not_matter(model, samples):
    one, other = (evaluate(model, samples, batch_size=size).to_dict() for size in (1, 4))
    assert one["joint_errors_mm"] == pytest.approx(other["joint_errors_mm"], rel=1e-4)
    assert one["counts"] == other["counts"]


def test_neither_does_the_container(model, samples, tmp_path):
    build_shards(tmp_path, Source(samples), image_format="png", show_progress=False, workers=0)
    expected = evaluate(model, samples).to_dict()
    for container in (iter(samples), ShardDataset(tmp_path)):
        found = evaluate(model, container).to_dict()
        assert found["counts"] == expected["counts"]
        assert found["joint_errors_mm"] == pytest.approx(expected["joint_errors_mm"], rel=1e-4)


def test_shards_that_do_not_count_are_not_decoded(model, samples, tmp_path, monkeypatch):
    build_shards(
        tmp_path, Source([*samples, sample(7, "S1")]), image_format="png", show_progress=False, workers=0
    )
    read = []
    get = ShardDataset.__getitem__
    monkeypatch.setattr(
        ShardDataset, "__getitem__", lambda self, index: read.append(index) or get(self, index)
    )
    evaluate(model, ShardDataset(tmp_path))
    assert read == [0, 1, 2, 3, 4]


def test_few_pictures_are_held_at_once(model):
    held, most = set(), 0

    def stream():
        nonlocal most
        for number in range(12):
            each = sample(number)
            key = object()
            held.add(key)
            weakref.finalize(each, held.discard, key)
            most = max(most, len(held))
            yield each
            del each

    evaluate(model, stream(), batch_size=3)
    assert most <= 2 * 3 + 1


def test_the_model_and_the_generators_stay_as_they_are(model, samples):
    model.train()
    state = torch.get_rng_state()
    evaluate(model, samples, device="cpu")
    assert model.training and torch.equal(state, torch.get_rng_state())


def test_progress_is_told(model, samples):
    told = []
    evaluate(model, samples, batch_size=2, on_progress=told.append)
    assert told == [2, 4, 5]


def test_a_network_without_triplets(samples):
    plain = HEMletsNet(replace(CONFIG, intermediate=False))
    assert list(evaluate(plain, samples).polarity) == ["predicted joints", "always the commonest state"]


# --- error ----------------------------------------------------------------------------------------


def test_nothing_at_all(model):
    with pytest.raises(
        ValueError, match=r"must hold at least one, got none. Is the folder or the split empty"
    ):
        evaluate(model, [])


def test_nobody_of_the_protocol(model):
    training = [sample(1, "S1"), sample(2, "S5")]
    with pytest.raises(
        ValueError,
        match=r"'h36m' counts subjects S9, S11; actions Directions, .*; got 2 samples and none of those "
        r"\(subjects S1, S5; actions Walking\). Pass the test split's samples, or protocol='all'.",
    ):
        evaluate(model, training)


def test_no_frame_that_counts(model):
    with pytest.raises(
        ValueError, match=r"every 64th frame counts .* got 2 samples in between .* frame_step=1"
    ):
        evaluate(model, [sample(1, frame=1), sample(2, frame=2)])


def test_no_3d(model):
    with pytest.raises(ValueError, match="must have 3D joints to be scored, got 1 without and none with"):
        evaluate(model, [replace(sample(1), joints_cam_mm=None)])


def test_another_skeleton(model):
    short = sample(1)
    short = replace(
        short,
        joints_crop=short.joints_crop[:17],
        joint_valid=short.joint_valid[:17],
        depth_valid=short.depth_valid[:17],
        joints_cam_mm=short.joints_cam_mm[:17],
    )
    with pytest.raises(
        ValueError, match=r"'number 1': expected the 18 joints .* 'hemlets18', got 17. Make the"
    ):
        evaluate(model, [short])


def test_a_crop_that_is_not_square(model):
    wide = replace(sample(1), image=np.zeros((SIZE, SIZE + 8, 3), np.uint8))
    with pytest.raises(
        ValueError, match=r"'number 1': expected a square crop, got 40 x 32 pixels. Cut it out"
    ):
        evaluate(model, [wide])


def test_a_crop_beside_the_person(model):
    beside = sample(1)
    beside = replace(beside, joints_crop=beside.joints_crop + torch.tensor([3.0, 0.0, 0.0]))
    with pytest.raises(
        ValueError, match="expected the person inside the crop, got 18 joints that all lie outside"
    ):
        evaluate(model, [beside])


def test_things_that_are_not_samples(model):
    with pytest.raises(
        ValueError, match=r"`samples` must be Samples, got ndarray. For pictures without labels"
    ):
        evaluate(model, [np.zeros((SIZE, SIZE, 3), np.uint8)])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"protocol": "h3.6m"}, "`protocol` must be one of 'h36m'"),
        ({"root_depth": "guess"}, "must be one of 'labels', 'bones', 'bone_search', got 'guess'"),
        ({"frame_step": 0}, "`frame_step` and `batch_size` must be positive, got 0 and 64"),
        ({"batch_size": 0}, "must be positive, got 64 and 0"),
    ],
)
def test_wrong_options(model, samples, options, message):
    with pytest.raises(ValueError, match=message):
        evaluate(model, samples, **options)
