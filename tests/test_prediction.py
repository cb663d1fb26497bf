"""Predictions: inputs of every kind give the same pose, and places come out where they are."""

import dataclasses
import sys

import numpy as np
import pytest
import torch
from PIL import Image

import hemlets_lib
import hemlets_lib.prediction as prediction_module
from hemlets_lib.data.images import crop_image
from hemlets_lib.data.sample import Meta, collate, make_sample, normalise
from hemlets_lib.geometry import Camera, crop_affine, crop_to_px, root_relative
from hemlets_lib.heatmaps import render_heatmaps
from hemlets_lib.model import HEMletsNet, HEMletsOutput, ModelConfig
from hemlets_lib.prediction import Picture, evaluating, infer, mirror_output, predict
from hemlets_lib.skeleton import HEMLETS18, Skeleton
from hemlets_lib.triplets import encode_triplets

SIZE = 32
HANDS = Skeleton(
    name="hands",
    joint_names=("body", "left_hand", "right_hand"),
    parent_names={"left_hand": "body", "right_hand": "body"},
    part_names=(("body", "left_hand"), ("body", "right_hand")),
)
CONFIG = ModelConfig(
    "test", "tiny", image_size=SIZE, heatmap_size=16, depth_size=5, skeleton=HANDS,
    upsample_channels=6, encoder_channels=9, fusion=(3, 11),
)  # fmt: skip


@pytest.fixture
def model() -> HEMletsNet:
    """With weights large enough for a prediction that depends on the picture."""
    model = HEMletsNet(CONFIG)
    for layer in (model.head[-1], model.hemlets_branch.tail):
        torch.nn.init.normal_(layer.weight, std=5.0)
    return model


@pytest.fixture
def picture() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)


@pytest.fixture
def crop() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)


class Spots(HEMletsNet):
    """Sees a bright spot in each half of the picture: the hands of a person who faces the camera.

    So the right hand is the one on the left. A red spot is 300 mm nearer than the body, a blue one as
    much farther; the body is midway. Mirroring the picture mirrors what it says.
    """

    def __init__(self) -> None:
        super().__init__(CONFIG)

    def forward(self, images, *, return_volume=False):
        levels = images - normalise(torch.zeros(1, 3, 1, 1, dtype=torch.uint8))  # black is 0
        weight = (levels.sum(1) - 1).relu()  # (B, S, S), without what resizing leaves at the border
        coordinates = (torch.arange(SIZE) + 0.5) / SIZE - 0.5
        hands = []
        for half in (coordinates > 0, coordinates < 0):  # left hand, right hand
            seen = weight * half
            total = seen.sum((1, 2))
            x = (seen.sum(1) * coordinates).sum(-1) / total
            y = (seen.sum(2) * coordinates).sum(-1) / total
            red_minus_blue = ((levels[:, 0] - levels[:, 2]) * half).sum((1, 2))
            hands.append(torch.stack([x, y, -red_minus_blue.sign() * 0.15], -1))
        joints = torch.stack([(hands[0] + hands[1]) / 2, *hands], 1)
        joints[:, 0, 2] = 0
        states = -joints[:, 1:, 2].sign().long()
        triplets = encode_triplets(joints, states, skeleton=HANDS, size=16)
        return HEMletsOutput(joints, triplets, render_heatmaps(joints, size=16), None)


def spots_picture(left_hand_rgb=(255, 0, 0), right_hand_rgb=(0, 0, 255)) -> np.ndarray:
    """The right hand at pixel (6, 10), the left at (25, 20)."""
    image = np.zeros((SIZE, SIZE, 3), np.uint8)
    image[10, 6], image[20, 25] = right_hand_rgb, left_hand_rgb
    return image


# --- golden ---------------------------------------------------------------------------------------


def test_spots_by_hand():
    found = predict(Spots(), spots_picture())
    expected = torch.tensor([[[15.5, 15.0], [25.0, 20.0], [6.0, 10.0]]])
    torch.testing.assert_close(found.joints_px, expected)
    torch.testing.assert_close(crop_to_px(found.joints_crop[..., :2], SIZE), expected)
    torch.testing.assert_close(found.joints_crop[..., 2], torch.tensor([[0.0, -0.15, 0.15]]))
    assert found.decoded.states.tolist() == [[1, -1]] and found.decoded.joint_found.all()
    assert found.triplets.shape == (1, 2, 3, 16, 16) and found.heatmaps.shape == (1, 3, 16, 16)


def test_places_in_the_picture_behind_a_box():
    """Spots in a large dark picture, found through a box: pixels of the picture come out."""
    large = np.zeros((200, 300, 3), np.uint8)
    large[88:93, 118:123] = (0, 0, 255)  # about (120, 90): right hand
    large[108:113, 158:163] = (255, 0, 0)  # about (160, 110): left hand
    found = predict(Spots(), Picture(large, box=(140, 100, 64)))
    expected = torch.tensor([[[140.0, 100.0], [160.0, 110.0], [120.0, 90.0]]])
    torch.testing.assert_close(found.joints_px, expected, atol=0.2, rtol=0)


# --- law: every kind of input gives the same ------------------------------------------------------


def assert_same(found, expected) -> None:
    for name, value in expected._asdict().items():
        if isinstance(value, torch.Tensor):
            torch.testing.assert_close(
                getattr(found, name), value, msg=name, atol=1e-5, rtol=1e-4, equal_nan=True
            )


def test_paths_arrays_pictures_and_samples_agree(model, crop, tmp_path):
    Image.fromarray(crop).save(tmp_path / "crop.png")
    middle, centre = (SIZE - 1) / 2, torch.full((2,), (SIZE - 1) / 2)
    sample = make_sample(
        crop, box_centre_px=centre, box_side_px=float(SIZE), size=SIZE, skeleton=HANDS,
        meta=Meta("test"), joints_px=torch.zeros(3, 2),
    )  # fmt: skip
    path = tmp_path / "crop.png"
    expected = predict(model, crop)
    for images in (
        path, str(path), sample, Picture(crop, box=(middle, middle, SIZE)), Picture(path), [crop], crop[None],
    ):  # fmt: skip
        assert_same(predict(model, images), expected)
    several = predict(model, [path, crop, sample], batch_size=2)
    assert len(several.joints_crop) == 3
    for row in range(3):
        torch.testing.assert_close(several.joints_crop[row], expected.joints_crop[0])


def test_it_is_the_network_on_the_crop(model, picture):
    found = predict(model, Picture(picture, box=(30.2, 21.7, 40.5)))
    affine = crop_affine(torch.tensor([30.2, 21.7], dtype=torch.float64), torch.tensor(40.5), SIZE)
    pixels = torch.from_numpy(crop_image(picture, affine.numpy(), SIZE)).permute(2, 0, 1)[None]
    with torch.no_grad():
        output = model.eval()(normalise(pixels))
    torch.testing.assert_close(found.joints_crop, output.joints)
    torch.testing.assert_close(found.triplets, output.triplets)
    torch.testing.assert_close(found.heatmaps, output.heatmaps)
    torch.testing.assert_close(found.affine[0], affine.float())


def test_a_picture_of_another_size_is_fitted_whole(model, picture):
    found = predict(model, picture)
    assert_same(found, predict(model, Picture(picture, box=(34.5, 24.5, 70.0))))


def test_samples_of_another_size_are_resized():
    where = {"box_centre_px": torch.tensor([36.5, 34.5]), "box_side_px": 64.0, "meta": Meta("test")}
    large = np.zeros((80, 80, 3), np.uint8)
    large[20:23, 20:23], large[30:33, 50:53] = (0, 0, 255), (255, 0, 0)
    sample = make_sample(large, **where, size=64, skeleton=HANDS, joints_px=torch.zeros(3, 2))
    found = predict(Spots(), sample)
    expected = torch.tensor([[[36.0, 26.0], [51.0, 31.0], [21.0, 21.0]]])
    torch.testing.assert_close(found.joints_px, expected, atol=0.2, rtol=0)


@pytest.mark.parametrize("batch_size", [1, 2, 5, 100])
def test_batches_do_not_matter(model, batch_size):
    images = np.random.default_rng(3).integers(0, 256, (5, SIZE, SIZE, 3), dtype=np.uint8)
    assert_same(predict(model, images, batch_size=batch_size), predict(model, list(images)))


def test_data_sets_are_read_in_turn(model, crop):
    class Data(torch.utils.data.Dataset):
        def __len__(self):
            return 3

        def __getitem__(self, index):
            if index >= 3:
                raise RuntimeError("read beyond the end")
            return crop

    assert len(predict(model, Data(), batch_size=2).joints_crop) == 3


# --- law: the caller's things stay as they are ----------------------------------------------------


def test_modes_gradients_and_random_numbers_stay(model, crop):
    model.train()
    model.backbone.eval()  # frozen statistics, a mode of its own
    modes = [module.training for module in model.modules()]
    statistics = model.feature_branch.body[1].running_mean.clone()
    random = torch.get_rng_state()
    found = predict(model, crop, flip_test=True)
    assert [module.training for module in model.modules()] == modes
    assert torch.equal(model.feature_branch.body[1].running_mean, statistics)
    assert torch.equal(torch.get_rng_state(), random)
    assert not found.joints_crop.requires_grad and not found.triplets.is_inference()
    assert_same(found, predict(model.eval(), crop, flip_test=True))  # training mode played no part


def test_the_mode_comes_back_after_an_error(model):
    def fail():
        with evaluating(model):
            assert not model.training
            raise RuntimeError("in the middle")

    model.train()
    with pytest.raises(RuntimeError, match="in the middle"):
        fail()
    assert all(module.training for module in model.modules())


def test_another_device_works_on_a_copy(model, crop):
    found = predict(model, crop, device="cpu")
    assert_same(found, predict(model, crop))
    with pytest.raises((RuntimeError, NotImplementedError)):  # no numbers there; but it was tried
        predict(model, crop, device="meta")
    assert next(model.parameters()).device.type == "cpu"


# --- law: the fused network ------------------------------------------------------------------------


def test_many_pictures_are_predicted_by_a_fused_copy(model, crop, monkeypatch):
    made = []
    fuse = HEMletsNet.fuse
    monkeypatch.setattr(HEMletsNet, "fuse", lambda *args, **more: made.append(more) or fuse(*args, **more))
    few, many = predict(model, [crop] * 31), predict(model, [crop] * 32)
    assert len(made) == 1
    assert_same(predict(model.fuse(), crop), predict(model, crop))
    torch.testing.assert_close(many.joints_crop[:31], few.joints_crop, atol=1e-4, rtol=0)
    torch.testing.assert_close(many.triplets[:31], few.triplets, atol=1e-4, rtol=1e-4)
    watched = model.backbone.register_forward_hook(lambda *_: None)
    predict(model, [crop] * 32)  # whoever looks into a layer wants it to be there
    watched.remove()
    predict(Spots(), [spots_picture()] * 32)
    assert len(made) == 2  # of which one was ours


def test_bfloat16_on_request(model, crop):
    found, exact = predict(model, crop, precision="bfloat16"), predict(model, crop)
    assert found.joints_crop.dtype == torch.float32
    assert 0 < (found.joints_crop - exact.joints_crop).abs().max() < 0.2
    assert_same(predict(model.fuse(precision="bfloat16"), crop), found)
    with pytest.raises(ValueError, match="`precision` of this fused network is 'float32', got 'bfloat16'"):
        predict(model.fuse(), crop, precision="bfloat16")
    with pytest.raises(ValueError, match=r"`source` must be a HEMletsNet with its own `forward`.*a Spots"):
        predict(Spots(), crop, precision="bfloat16")


# --- law: the flip test ---------------------------------------------------------------------------


def mirrored(image: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(image[:, ::-1])


def test_a_mirrored_person_by_hand():
    """Right hand at (6, 10) and far; mirrored it is at (25, 10), so it is the left hand now."""
    found = predict(Spots(), mirrored(spots_picture()))
    torch.testing.assert_close(found.joints_px[0, 1:], torch.tensor([[25.0, 10.0], [6.0, 20.0]]))
    assert found.decoded.states.tolist() == [[-1, 1]]


def test_the_flip_test_leaves_an_equivariant_network_alone():
    images = [
        spots_picture(),
        spots_picture((255, 0, 0), (255, 90, 0)),
        spots_picture((0, 0, 99), (99, 0, 0)),
    ]
    plain, flipped = (predict(Spots(), images, flip_test=flip_test) for flip_test in (False, True))
    assert_same(flipped, plain)
    assert torch.equal(flipped.decoded.states, plain.decoded.states)


def test_with_the_flip_test_any_network_is_equivariant(model, crop):
    """And mirroring twice is doing nothing."""
    pixels = torch.from_numpy(np.stack([crop, mirrored(crop)])).permute(0, 3, 1, 2).contiguous()
    output = infer(model, pixels, flip_test=True)
    one, other = (HEMletsOutput(*(part[i : i + 1] for part in output[:3]), None) for i in (0, 1))
    plain = infer(model, pixels)
    assert (plain.joints[0] - output.joints[0]).abs().max() > 1e-3  # the network alone is not
    for found, expected in zip(mirror_output(other, HANDS)[:3], one[:3], strict=True):
        torch.testing.assert_close(found, expected)
    for found, expected in zip(
        mirror_output(mirror_output(output, HANDS), HANDS)[:3], output[:3], strict=True
    ):
        assert torch.equal(found, expected)


def test_a_volume_is_mirrored_with_its_joints():
    output = HEMletsNet(CONFIG).eval()(torch.randn(2, 3, SIZE, SIZE), return_volume=True)
    volume = mirror_output(output, HANDS).volume
    assert torch.equal(volume[:, 1, :, :, 0], output.volume[:, 2, :, :, -1])


def test_without_intermediate_branch(crop):
    config = ModelConfig("plain", "tiny", SIZE, 8, 5, skeleton=HANDS, upsample_channels=4, intermediate=False)
    found = predict(HEMletsNet(config), crop, flip_test=True)
    assert found.decoded is None and found.triplets is None and found.heatmaps is None
    assert found.joints_crop.shape == (1, 3, 3)


def test_maps_are_read_as_they_were_drawn(crop):
    """Gaussians of sum 1 stay far below the height that a joint needs by default."""
    config = dataclasses.replace(CONFIG, sigma_scale=4.0, gaussian_norm="sum", overlap="sum")
    joints = torch.tensor([[[0.0, -0.2], [0.3, 0.1], [-0.3, 0.2]]])
    states = torch.tensor([[1, 0]])
    drawn = {"size": 16, "sigma": 2.0, "norm": "sum"}

    class Drawing(HEMletsNet):
        def forward(self, images, *, return_volume=False):
            triplets = encode_triplets(joints, states, skeleton=HANDS, overlap="sum", **drawn)
            heatmaps = render_heatmaps(joints, **drawn)
            return HEMletsOutput(torch.nn.functional.pad(joints, (0, 1)), triplets, heatmaps, None)

    found = predict(Drawing(config), crop).decoded
    assert found.joint_found.all() and torch.equal(found.states, states)
    assert not predict(Drawing(CONFIG), crop).decoded.joint_found.any()


def test_maps_can_be_left_out(model, crop):
    found, whole = predict(model, crop, return_maps=False), predict(model, crop)
    assert found.triplets is None and found.heatmaps is None and whole.triplets is not None
    assert torch.equal(found.decoded.states, whole.decoded.states)


# --- law: millimetres -----------------------------------------------------------------------------


@pytest.fixture
def scene() -> tuple[Picture, torch.Tensor, torch.Tensor]:
    """Spots, a camera and a distance; and where the hands are then, worked out from the pinhole."""
    camera = Camera(torch.tensor([100.0, 110.0]), torch.tensor([14.0, 17.0]))
    joints_px = torch.tensor([[15.5, 15.0], [25.0, 20.0], [6.0, 10.0]])
    depth_mm = 4000 + torch.tensor([0.0, -300.0, 300.0])
    planar = (joints_px - torch.tensor([14.0, 17.0])) / torch.tensor([100.0, 110.0]) * depth_mm[:, None]
    truth = root_relative(torch.cat([planar, depth_mm[:, None]], -1), 0)
    lengths_mm = truth[1:].norm(dim=-1)
    return Picture(spots_picture(), camera=camera, root_depth_mm=4000.0), truth, lengths_mm


def test_millimetres_at_a_known_distance(scene):
    picture, truth, _ = scene
    found = predict(Spots(), picture)
    assert found.depth_source == ("known",)
    torch.testing.assert_close(found.joints_root_rel_mm[0], truth, atol=0.01, rtol=1e-5)


def test_millimetres_by_the_bones(scene):
    picture, truth, lengths_mm = scene
    found = predict(Spots(), Picture(picture.image, camera=picture.camera), bone_lengths_mm=lengths_mm)
    assert found.depth_source == ("bones",)
    torch.testing.assert_close(found.joints_root_rel_mm[0], truth, atol=0.5, rtol=0)


def test_millimetres_under_weak_perspective():
    """Both hands are sqrt(9.5² + 5²) px from the body, and 300 mm before or behind it."""
    lengths_mm = torch.tensor([500.0, 500.0])
    found = predict(Spots(), spots_picture(), bone_lengths_mm=lengths_mm)
    scale = 400 / (9.5**2 + 5**2) ** 0.5  # 3-4-5: 400 mm across
    expected = torch.tensor([[0, 0, 0], [9.5 * scale, 5 * scale, -300], [-9.5 * scale, -5 * scale, 300]])
    assert found.depth_source == ("weak perspective",)
    torch.testing.assert_close(found.joints_root_rel_mm[0], expected, atol=0.01, rtol=1e-5)
    partly = predict(Spots(), spots_picture(), bone_lengths_mm=torch.tensor([torch.nan, 500.0]))
    torch.testing.assert_close(partly.joints_root_rel_mm, found.joints_root_rel_mm)


def test_without_any_length_there_are_no_millimetres():
    found = predict(Spots(), spots_picture())  # an adult's hands have no bone to the body
    assert found.joints_root_rel_mm.isnan().all() and found.joints_px.isfinite().all()


def test_each_person_has_their_own_source(scene):
    picture, truth, lengths_mm = scene
    images = [picture.image, picture, Picture(picture.image, camera=picture.camera), picture]
    found = predict(Spots(), images, bone_lengths_mm=lengths_mm, batch_size=3)
    assert found.depth_source == ("weak perspective", "known", "bones", "known")
    for row in (1, 3):
        torch.testing.assert_close(found.joints_root_rel_mm[row], truth, atol=0.01, rtol=1e-5)


def test_a_samples_own_labels_tell_its_distance(scene):
    picture, truth, lengths_mm = scene
    labels = {"camera": picture.camera, "joints_cam_mm": truth + torch.tensor([0.0, 0.0, 4000.0])}
    where = {"box_centre_px": torch.full((2,), 15.5), "box_side_px": float(SIZE), "size": SIZE}
    sample = make_sample(picture.image, **where, meta=Meta("test"), skeleton=HANDS, **labels)
    found = predict(Spots(), sample)
    assert found.depth_source == ("known",)
    torch.testing.assert_close(found.joints_root_rel_mm[0], truth, atol=0.01, rtol=1e-5)
    unlabelled = make_sample(
        picture.image, **where, meta=Meta("test"), skeleton=HANDS, joints_px=torch.zeros(3, 2)
    )
    found = predict(Spots(), [unlabelled, sample], bone_lengths_mm=lengths_mm)
    assert found.depth_source == ("weak perspective", "known")


def test_an_average_adult_has_an_adults_size():
    lengths = prediction_module._adult_bone_lengths_mm(HEMLETS18)
    by_name = {
        HEMLETS18.joint_names[child]: lengths[e].item() for e, (_, child) in enumerate(HEMLETS18.bones)
    }
    assert lengths.isfinite().all()
    assert by_name["right_knee"] == pytest.approx(435, abs=5) == by_name["left_knee"]
    assert by_name["left_wrist"] == pytest.approx(243, abs=5)


def test_the_shipped_skeleton_end_to_end(tmp_path):
    """A small network of 18 joints, saved and loaded: what a reader's first prediction runs through."""
    config = ModelConfig("test", "tiny", 32, 8, 5, upsample_channels=4, encoder_channels=4)
    hemlets_lib.save_checkpoint(tmp_path / "test.safetensors", HEMletsNet(config))
    model, _ = hemlets_lib.load_checkpoint(tmp_path / "test.safetensors")
    found = hemlets_lib.predict(model, np.full((40, 30, 3), 128, np.uint8), flip_test=True)
    assert found.joints_root_rel_mm.shape == (1, 18, 3) and found.joints_root_rel_mm.isfinite().all()
    assert (found.joints_root_rel_mm[0, HEMLETS18.root] == 0).all()


# --- errors ---------------------------------------------------------------------------------------

GOOD = np.zeros((8, 9, 3), np.uint8)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ([], r"`images` must hold at least one, got none. Is the folder or the split empty\?"),
        (np.zeros((0, 8, 8, 3), np.uint8), r"`images` must hold at least one, got none"),
        (torch.zeros(1, 3, 8, 8), r"`images` must be paths, .*got Tensor. .*infer\(model, batch.images\)"),
        ((each for each in [GOOD]), r"got generator. .*make a list of a generator"),
        ([GOOD, np.zeros((8, 9), np.uint8)], r"`images\[1\]` .*got a grey picture, .*np.dstack"),
        (np.zeros((8, 9), np.uint8), r"`images\[0\]` .*got a grey picture"),
        ([np.zeros((8, 9, 1), np.uint8)], r"`images\[0\]` .*got a grey picture, shape \(8, 9, 1\)"),
        ([np.zeros((8, 9, 4), np.uint8)], r"`images\[0\]` .*got a picture with alpha.*image\[..., :3\]"),
        ([np.zeros((3, 8, 9), np.uint8)], r"`images\[0\]` .*got shape \(3, 8, 9\) of uint8. Put the colours"),
        ([np.zeros((0, 9, 3), np.uint8)], r"`images\[0\]` .*got shape \(0, 9, 3\)"),
        ([GOOD / 255.0], r"`images\[0\]` .*of float64. .*\(255 \* image\).round\(\).astype\(np.uint8\)"),
        ([GOOD.astype(np.int64)], r"`images\[0\]` .*got shape \(8, 9, 3\) of int64"),
        ([None], r"`images\[0\]` must be a path or .*got NoneType"),
        ([Image.new("RGB", (8, 8))], r"`images\[0\]` must be a path or .*got Image. Turn it into an array"),
        ([GOOD, Picture(GOOD, box=(100, 4, 8))], r"`images\[1\]`: the crop .* lies outside the picture"),
    ],
)  # fmt: skip
def test_wrong_images_are_named(model, images, message):
    with pytest.raises(ValueError, match=message):
        predict(model, images)


def test_wrong_files_are_named(model, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nobody.jpg: expected a picture file, found none"):
        predict(model, [GOOD, tmp_path / "nobody.jpg"])
    (tmp_path / "text.jpg").write_text("hello")
    with pytest.raises(ValueError, match=r"text.jpg: expected a complete picture"):
        predict(model, str(tmp_path / "text.jpg"))


def test_grey_and_alpha_files_are_converted(model, tmp_path):
    grey = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE), dtype=np.uint8)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    Image.fromarray(np.dstack([grey] * 3 + [np.full_like(grey, 255)])).save(tmp_path / "alpha.png")
    expected = predict(model, np.dstack([grey] * 3))
    for name in ("grey.png", "alpha.png"):
        assert_same(predict(model, tmp_path / name), expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"box": (1, 2)}, r"`box` must be \(x, y, side\) in pixels with a positive side, got \(1, 2\)"),
        ({"box": (1, 2, 0)}, r"`box` must be .*got \(1, 2, 0\)"),
        ({"box": (1, float("nan"), 3)}, r"`box` must be .*nan"),
        ({"root_depth_mm": 4000.0}, r"`root_depth_mm` is of use with a `camera` only"),
        ({"root_depth_mm": -1.0}, r"`root_depth_mm` must be positive, got -1"),
    ],
)
def test_wrong_pictures(options, message):
    with pytest.raises(ValueError, match=message):
        Picture(GOOD, **options)


def test_wrong_options(model):
    with pytest.raises(ValueError, match="`batch_size` must be positive, got 0"):
        predict(model, GOOD, batch_size=0)
    with pytest.raises(
        ValueError, match=r"one length for each of the 2 bones of 'hands', got 3. Put NaN where"
    ):
        predict(model, GOOD, bone_lengths_mm=torch.ones(3))


def test_samples_of_another_skeleton_are_refused(model, scene):
    picture = scene[0]
    labels = {"camera": picture.camera, "joints_cam_mm": torch.zeros(18, 3) + torch.tensor([0.0, 0.0, 4e3])}
    where = {"box_centre_px": torch.full((2,), 15.5), "box_side_px": float(SIZE), "size": SIZE}
    sample = make_sample(picture.image, **where, meta=Meta("test"), **labels)
    with pytest.raises(
        ValueError, match=r"`images\[0\].joints_cam_mm` must have 3 joints for skeleton 'hands'"
    ):
        predict(model, sample)


def test_infer_takes_grey_levels_of_the_right_size(model):
    with pytest.raises(ValueError, match=r"`images` must be uint8 .*Are they normalised already"):
        infer(model, torch.zeros(1, 3, SIZE, SIZE))
    with pytest.raises(
        ValueError, match=r"`images` must be \(B, 3, 32, 32\) for 'test', got .*Crop and resize"
    ):
        infer(model, torch.zeros(1, 3, 8, 8, dtype=torch.uint8))


def test_infer_on_a_batch_is_predict_on_its_samples(model, picture):
    where = {"box_side_px": 40.0, "size": SIZE, "skeleton": HANDS, "meta": Meta("test")}
    samples = [
        make_sample(picture, box_centre_px=torch.tensor(centre), joints_px=torch.zeros(3, 2), **where)
        for centre in ([20.0, 25.0], [50.0, 30.0])
    ]
    output = infer(model, collate(samples).images, flip_test=True)
    torch.testing.assert_close(predict(model, samples, flip_test=True).joints_crop, output.joints.clone())


# --- the public name ------------------------------------------------------------------------------


def test_predict_is_the_function_whatever_was_imported():
    """No public name is also a module's, or importing the module would put it in the name's place."""
    assert hemlets_lib.predict is predict and callable(hemlets_lib.predict)
    assert "hemlets_lib.prediction" in sys.modules
    modules = {name.removeprefix("hemlets_lib.") for name in sys.modules if name.startswith("hemlets_lib.")}
    assert not modules & set(hemlets_lib.__all__)
