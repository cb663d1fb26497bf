"""Counterparts of the other data sets: what is labelled and what is not, and nothing depends on order."""

import json
import pickle
import re

import numpy as np
import pytest
import torch

from hemlets_lib.data.cameras import look_at
from hemlets_lib.data.counterparts import COUNTERPARTS, Counterpart, annotate
from hemlets_lib.data.sample import collate
from hemlets_lib.data.shards import ShardDataset, build_shards
from hemlets_lib.data.synthetic import SyntheticDataset
from hemlets_lib.protocols import get_protocol, is_drawn
from hemlets_lib.skeleton import HEMLETS18
from hemlets_lib.triplets import UNKNOWN, polarity

SIZE = 32
WITHOUT_DEPTH = ("in_the_wild", "ordinal", "fbi")


def make(name: str, number: int = 1, **options) -> Counterpart:
    return Counterpart(name, number, size=SIZE, **options)


def samples_of(name: str, number: int, **options) -> list:
    data = make(name, number, **options)
    return [data[index] for index in range(number)]


def scene_of(sample) -> str:
    return re.search(r"scene (\w+)", sample.meta.source)[1]


@pytest.mark.parametrize("name", COUNTERPARTS)
def test_a_sample_does_not_depend_on_order_or_length(name):
    first, second = make(name, 4, seed=2), pickle.loads(pickle.dumps(make(name, 900, seed=2)))
    for index in (3, 0):
        one, other = first[index], second[index]
        np.testing.assert_array_equal(one.image, other.image)
        torch.testing.assert_close(one.joints_crop, other.joints_crop, rtol=0, atol=0)
        assert torch.equal(one.part_states, other.part_states) and one.meta == other.meta
    assert first[-1].meta == second[3].meta
    assert make(name, 4, seed=3)[3].meta != second[3].meta
    with pytest.raises(IndexError, match="within the 4 samples, got 4"):
        first[4]


@pytest.mark.parametrize("name", COUNTERPARTS)
def test_it_says_that_it_is_drawn(name):
    sample = make(name)[0]
    assert sample.meta.dataset == f"{name}_drawn" and is_drawn(sample.meta)
    assert sample.image.std() > 10 and sample.image.shape == (SIZE, SIZE, 3)


def test_humaneva_walks_and_jogs_before_three_cameras():
    protocol = get_protocol("humaneva")
    samples = samples_of("humaneva", 18, split="validate")
    assert {(s.meta.subject, s.meta.action, s.meta.camera_name) for s in samples} == {
        (subject, action, camera)
        for subject in ("S1", "S2", "S3")
        for action in ("Walking", "Jog")
        for camera in ("C1", "C2", "C3")
    }
    assert {protocol.column_of(s.meta) for s in samples} == {column.heading for column in protocol.columns}
    cameras = {s.meta.camera_name: s.camera.position_mm for s in samples}
    assert all(torch.equal(s.camera.position_mm, cameras[s.meta.camera_name]) for s in samples)
    azimuths = sorted(float(torch.atan2(place[1], place[0])) for place in cameras.values())
    assert np.diff([*azimuths, azimuths[0] + 2 * np.pi]).min() > np.radians(90)


def test_splits_share_people_but_no_performance():
    train, validate = (samples_of("humaneva", 18, split=split) for split in ("train", "validate"))

    def thighs(samples: list) -> dict:
        return {
            s.meta.subject: round(float((s.joints_cam_mm[1] - s.joints_cam_mm[2]).norm())) for s in samples
        }

    assert thighs(train) == thighs(validate) and len(set(thighs(train).values())) == 3
    poses = [s.joints_cam_mm - s.joints_cam_mm[0] for s in (*train, *validate)]
    assert all((one - other).abs().max() > 20 for i, one in enumerate(poses) for other in poses[:i])


def test_the_scene_groups_of_3dhp():
    protocol = get_protocol("mpi_inf_3dhp")
    samples = samples_of("mpi_inf_3dhp", 90)
    scenes = {s.meta.subject: scene_of(s) for s in samples}
    assert list(map(scenes.get, ("TS1", "TS2", "TS3", "TS4", "TS5", "TS6"))) == [
        "green_screen", "green_screen", "studio", "studio", "outdoor", "outdoor",
    ]  # fmt: skip
    headings = [protocol.column_of(s.meta) for s in samples]
    assert {heading: headings.count(heading) for heading in headings} == dict.fromkeys(
        ("Studio GS", "Studio no GS", "Outdoor"), 30
    )
    green = [
        float(s.image[:6].mean((0, 1))[1] - s.image[:6].mean()) for s in samples if "TS1" in s.meta.subject
    ]
    assert np.median(green) > 40
    assert not any(s.camera.k_radial.any() for s in samples)


@pytest.mark.parametrize("name", WITHOUT_DEPTH)
def test_what_a_photograph_does_not_tell_is_masked(name):
    samples = samples_of(name, 15)
    for sample in samples:
        assert sample.camera is None and sample.joints_cam_mm is None
        assert not sample.depth_valid.any() and not sample.joints_crop[:, 2].any()
        unlabelled = [HEMLETS18.joint_names[j] for j in torch.nonzero(~sample.joint_valid)[:, 0].tolist()]
        assert unlabelled == ["torso", "nose"]
        assert not sample.joints_crop[~sample.joint_valid].any()
        assert sample.joints_crop[:, :2].abs().max() < 0.5 and scene_of(sample) == "outdoor"
        known = sample.part_states != UNKNOWN
        assert not known.any() if name == "in_the_wild" else known.any()
    assert len({sample.meta.action for sample in samples}) == 15
    both = collate([SyntheticDataset(1, size=SIZE)[0], samples[0]])  # 2D and 3D mix
    assert both.has_camera.tolist() == [True, False] and both.depth_valid.any(1).tolist() == [True, False]


@pytest.fixture(scope="module")
def poses():
    data = Counterpart("mpi_inf_3dhp", 300, size=16)
    return torch.stack([data[index].joints_cam_mm for index in range(300)])


def labels(poses, scheme: str, noise: float) -> torch.Tensor:
    rng = np.random.default_rng(0)
    return torch.stack([annotate(pose, HEMLETS18, scheme=scheme, rng=rng, noise=noise) for pose in poses])


def test_without_noise_annotators_are_right(poses):
    truth = polarity(poses, HEMLETS18)
    for scheme in ("ordinal", "fbi"):
        assert torch.equal(labels(poses, scheme, 0.0), truth)


def test_labels_are_as_wrong_as_stated(poses):
    truth = polarity(poses, HEMLETS18)
    wrong, known = {}, {}
    for scheme in ("ordinal", "fbi"):
        for noise in (0.1, 0.2, 0.4):
            states = labels(poses, scheme, noise)
            labelled = states != UNKNOWN
            known[scheme, noise] = float(labelled.float().mean())
            wrong[scheme, noise] = float((states != truth)[labelled].float().mean())
    assert known["ordinal", 0.2] == 1 and known["fbi", 0.2] == pytest.approx(2 / 3, abs=0.03)
    assert wrong["ordinal", 0.2] == pytest.approx(0.13, abs=0.01)
    assert wrong["fbi", 0.2] == pytest.approx(0.04, abs=0.01)
    for scheme in ("ordinal", "fbi"):
        assert wrong[scheme, 0.1] < wrong[scheme, 0.2] < wrong[scheme, 0.4]
        assert known[scheme, 0.1] >= known[scheme, 0.2] >= known[scheme, 0.4]


def test_the_noise_is_an_option_of_the_data():
    exact, coarse = (make("ordinal", 6, noise=noise) for noise in (0.0, 1.0))
    assert any((exact[i].part_states != coarse[i].part_states).any() for i in range(6))
    np.testing.assert_array_equal(exact[2].image, coarse[2].image)  # and of nothing else
    assert exact.config != coarse.config and make("ordinal").config["noise"] == 0.2
    assert "noise" not in make("in_the_wild").config


@pytest.mark.parametrize("name", COUNTERPARTS)
def test_config_is_json_without_the_length(name):
    short, long = make(name, 5), make(name, 50)
    assert json.loads(json.dumps(short.config)) == long.config
    assert make(name, 5, seed=1).config != short.config


def test_they_come_back_from_shards(tmp_path):
    data = make("fbi", 3)
    build_shards(tmp_path, data, workers=1, image_format="png", show_progress=False)
    for sample, again in zip([data[i] for i in range(3)], ShardDataset(tmp_path), strict=False):
        np.testing.assert_array_equal(sample.image, again.image)
        assert torch.equal(sample.part_states, again.part_states) and again.camera is None
        assert sample.meta == again.meta


def test_a_camera_looks_where_it_is_told():
    camera = look_at((3000.0, -4000.0, 1500.0), (0.0, 0.0, 900.0), focal_px=1000.0, centre_px=(320.0, 240.0))
    torch.testing.assert_close(camera.rotation @ camera.rotation.mT, torch.eye(3, dtype=torch.float64))
    assert torch.linalg.det(camera.rotation) > 0
    points = torch.tensor([[0.0, 0.0, 900.0], [0.0, 0.0, 1700.0], [400.0, 300.0, 900.0]], dtype=torch.float64)
    middle, above, beside = camera.project(camera.world_to_cam(points))
    torch.testing.assert_close(middle, torch.tensor([320.0, 240.0], dtype=torch.float64))
    assert above[1] < 200 and above[0] == pytest.approx(320.0)  # v grows downwards
    assert beside[0] > 380 and beside[1] == pytest.approx(240.0)
    with pytest.raises(ValueError, match="`target_mm` must not lie straight above or below"):
        look_at((0.0, 0.0, 3000.0), (0.0, 0.0, 0.0), focal_px=1000.0, centre_px=(320.0, 240.0))


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (("lsp", 1), {}, r"`name` must be one of humaneva, .* got 'lsp'"),
        (
            ("humaneva", 1),
            {"split": "test"},
            "`split` of humaneva must be one of train, validate, got 'test'",
        ),
        (("fbi", 0), {}, "`num_samples` must be at least 1, got 0"),
        (("fbi", 1), {"size": 8}, "`size` must be at least 16, got 8"),
        (("fbi", 1), {"seed": -1}, "`seed` must be at least 0, got -1"),
        (("in_the_wild", 1), {"noise": 0.1}, "`noise` is that of labelled depth order, in ordinal and fbi"),
        (("fbi", 1), {"noise": -0.1}, "`noise` must be 0 or more"),
    ],
)
def test_wrong_requests_are_explained(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        Counterpart(*arguments, **options)


def test_an_unknown_scheme_is_refused(poses):
    with pytest.raises(ValueError, match="`scheme` must be one of ordinal, fbi, got 'guess'"):
        annotate(poses[0], HEMLETS18, scheme="guess", rng=np.random.default_rng(0))


def test_both_schemes_label_the_same_pictures():
    """So that nothing but the scheme differs between them."""
    ordinal, fbi = (Counterpart(name, 3, size=32, noise=0.0) for name in ("ordinal", "fbi"))
    for index in range(3):
        one, other = ordinal[index], fbi[index]
        np.testing.assert_array_equal(one.image, other.image)
        assert torch.equal(one.joints_crop, other.joints_crop)
        assert torch.equal(one.part_states, other.part_states)  # who errs not leaves nothing out
        assert one.meta.sample_id != other.meta.sample_id
    assert ordinal.config != fbi.config
