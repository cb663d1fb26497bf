"""Real photographs through the whole pipeline: crop, encode, draw, decode, and back into the room.

Nothing is learnt here: the maps and volumes are drawn from the labels, as a network without fault would
predict them. What comes back must be what went in, to less than a millimetre, given how far away people are.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from hemlets_lib import (
    HEMLETS18,
    HEMletsNet,
    decode_triplets,
    encode_triplets,
    predict,
    render_heatmaps,
    soft_argmax_3d,
)
from hemlets_lib import prediction as prediction_module
from hemlets_lib.data.photos import read_photos
from hemlets_lib.data.sample import camera_to, make_sample
from hemlets_lib.data.samples import sample_from_photo
from hemlets_lib.data.shards.records import image_encoding, sample_from_record, sample_to_record
from hemlets_lib.geometry import Camera, Grid, apply_affine, crop_to_cam, crop_to_px, invert_affine
from hemlets_lib.heatmaps import gaussian_profiles
from hemlets_lib.model import HEMletsOutput
from hemlets_lib.prediction import Picture
from hemlets_lib.triplets import UNKNOWN, part_mask, part_states

MAPS, VOLUME = 64, 64
SIGMA = 1.0  # of the volume's peaks, cells; the integral over cells of such a Gaussian is exact to 1e-8
MILLIMETRE = 1.0


@pytest.fixture(scope="module")
def photos(real_samples):
    return read_photos(real_samples)


@pytest.fixture(scope="module")
def with_depth(photos):
    found = [photo for photo in photos if photo.joints_cam_mm is not None]
    assert [photo.dataset for photo in found] == ["h36m"] * 4 + ["mpi_inf_3dhp"] * 4
    return found


def camera_of(photo):
    return Camera(
        *(
            torch.from_numpy(numbers)
            for numbers in (photo.focal_px, photo.centre_px, photo.k_radial, photo.p_tangential)
        )
    )


def sample_in_space(photo, size):
    """Labelled by its joints in space alone; pixels are where its camera sees them."""
    return make_sample(
        photo.load_image(),
        box_centre_px=torch.from_numpy(photo.box_centre_px),
        box_side_px=photo.box_side_px,
        size=size,
        meta=sample_from_photo(photo, 32).meta,
        joints_cam_mm=torch.from_numpy(photo.joints_cam_mm),
        camera=camera_of(photo),
    )


def volume_of(joints_crop, grid):
    """(B, J, D, H, W) logits with one peak for each joint."""
    along_x, along_y = gaussian_profiles(joints_crop, size=MAPS, sigma=SIGMA, grid=grid)
    along_z, _ = gaussian_profiles(joints_crop[..., [2, 2]], size=VOLUME, sigma=SIGMA, grid=grid)
    profiles = (along_z[..., :, None, None], along_y[..., None, :, None], along_x[..., None, None, :])
    return sum(profile.double().clamp_min(1e-300).log() for profile in profiles)


def perfect_output(sample, grid):
    """What a network without fault says of a sample."""
    crop, inside = sample.joints_crop[None], sample.in_crop[None]
    states = sample.part_states[None]
    options = {"size": MAPS, "grid": grid}
    return HEMletsOutput(
        joints=soft_argmax_3d(volume_of(crop.double(), grid), grid=grid),
        triplets=encode_triplets(crop, states, skeleton=HEMLETS18, joint_valid=inside, **options),
        heatmaps=render_heatmaps(crop, valid=inside, **options),
        volume=None,
    )


def back_in_space(sample, joints_crop):
    """Camera space, given the root joint's depth."""
    return crop_to_cam(
        joints_crop.double(),
        camera_to(sample.camera, torch.float64),
        sample.affine.double(),
        size=sample.size,
        root_depth_mm=sample.joints_cam_mm[HEMLETS18.root, 2].double(),
    )


def furthest_mm(found, truth):
    return float((found - torch.as_tensor(truth)).norm(dim=-1).max())


@pytest.mark.parametrize("grid", list(Grid))
@pytest.mark.parametrize("size", [256, 96])
def test_joints_return_to_a_millimetre(with_depth, grid, size):
    for photo in with_depth:
        sample = sample_in_space(photo, size)
        assert sample.in_crop.all() and sample.depth_valid.all()
        output = perfect_output(sample, grid)
        decoded = decode_triplets(output.triplets, output.heatmaps, skeleton=HEMLETS18, grid=grid)
        assert decoded.joint_found.all()
        torch.testing.assert_close(decoded.states[0], sample.part_states)
        # Once from the volume alone, once with x and y from triplets and heatmaps.
        volume_mm = back_in_space(sample, output.joints[0])
        assert furthest_mm(volume_mm, photo.joints_cam_mm) < MILLIMETRE, photo.name
        mixed = torch.cat([decoded.joints_crop[0].double(), output.joints[0, :, 2:]], -1)
        assert furthest_mm(back_in_space(sample, mixed), photo.joints_cam_mm) < MILLIMETRE, photo.name
        # Whoever lies in front still does.
        torch.testing.assert_close(part_states(volume_mm, HEMLETS18), sample.part_states)


def test_a_shard_changes_nothing(with_depth):
    for photo in with_depth:
        stored = sample_to_record(sample_in_space(photo, 256), image_encoding("jpeg", 95))
        sample = sample_from_record(stored, name=photo.name)
        output = perfect_output(sample, Grid.CELL_CENTRED)
        assert furthest_mm(back_in_space(sample, output.joints[0]), photo.joints_cam_mm) < MILLIMETRE


@pytest.mark.parametrize("given", ["sample", "picture"])
def test_through_the_predictor(with_depth, monkeypatch, given):
    """`predict` with a network that says the truth: its crop, its camera, its millimetres."""
    model = HEMletsNet.from_preset("nano")
    config = model.config
    for photo in with_depth:
        sample = sample_in_space(photo, config.image_size)
        seen = []

        def infer(_model, images, *, flip_test=False, sample=sample, seen=seen):
            seen.append(images)
            return perfect_output(sample, config.grid)

        monkeypatch.setattr(prediction_module, "infer", infer)
        source = sample_in_space(photo, 256)  # another size than the network's
        if given == "picture":
            box = (*photo.box_centre_px.tolist(), photo.box_side_px)
            depth_mm = float(photo.joints_cam_mm[HEMLETS18.root, 2])
            source = Picture(photo.image_path, box=box, camera=camera_of(photo), root_depth_mm=depth_mm)
        found = predict(model, source)
        assert found.depth_source == ("known",)
        truth_mm = photo.joints_cam_mm - photo.joints_cam_mm[HEMLETS18.root]
        assert furthest_mm(found.joints_root_rel_mm[0], truth_mm) < MILLIMETRE, photo.name
        torch.testing.assert_close(found.decoded.states[0], sample.part_states)
        # What the network was shown is the picture at that place.
        image = seen[0][0].permute(1, 2, 0).numpy().astype(int)
        assert np.abs(image - sample.image).mean() < 3


def test_pixels_as_people_labelled_them(with_depth):
    """Human3.6M's labels are its projections; MPI-INF-3DHP's lie up to 2 px beside those of its camera."""
    for photo in with_depth:
        sample, camera = sample_from_photo(photo, 256), camera_of(photo)
        output = perfect_output(sample, Grid.CELL_CENTRED)
        # The thorax is the middle of two labels, in the picture and in space, which differ a little.
        found_mm = back_in_space(sample, output.joints[0])[:17]
        labelled_mm = camera.back_project(
            torch.from_numpy(photo.joints_px), torch.from_numpy(photo.joints_cam_mm[:, 2])
        )[:17]
        assert furthest_mm(found_mm, labelled_mm) < MILLIMETRE, photo.name
        beside_mm = furthest_mm(found_mm, photo.joints_cam_mm[:17])
        px_mm = float(photo.joints_cam_mm[:, 2].max() / photo.focal_px.min())
        assert beside_mm < (MILLIMETRE if photo.dataset == "h36m" else 2 * px_mm + MILLIMETRE), photo.name


def test_a_lens_left_out_is_noticed(with_depth):
    """The millimetre is a real demand: without Human3.6M's distortion it is missed by far."""
    for photo in with_depth[:4]:
        sample = sample_in_space(photo, 256)
        pinhole = replace(
            sample.camera,
            k_radial=torch.zeros_like(sample.camera.k_radial),
            p_tangential=torch.zeros_like(sample.camera.p_tangential),
        )
        output = perfect_output(sample, Grid.CELL_CENTRED)
        found_mm = back_in_space(replace(sample, camera=pinhole), output.joints[0])
        assert furthest_mm(found_mm, photo.joints_cam_mm) > 4 * MILLIMETRE, photo.name


def test_photographs_with_pixels_alone(photos):
    """MPII: joints return in the picture, and no depth order is made up."""
    flat = [photo for photo in photos if photo.joints_cam_mm is None]
    assert [photo.dataset for photo in flat] == ["mpii"] * 5
    for photo in flat:
        sample = sample_from_photo(photo, 256)
        inside = sample.in_crop
        assert inside.sum() >= 14 and not sample.depth_valid.any()
        assert (sample.part_states == UNKNOWN).all()
        output = perfect_output(sample, Grid.CELL_CENTRED)
        assert not output.triplets.any()
        assert not part_mask(sample.part_states[None], inside[None], HEMLETS18).any()
        drawn = part_states(torch.randn(1, 18, 3), HEMLETS18)  # any order will do to find joints
        maps = encode_triplets(
            sample.joints_crop[None], drawn, skeleton=HEMLETS18, size=MAPS, joint_valid=inside[None]
        )
        decoded = decode_triplets(maps, output.heatmaps, skeleton=HEMLETS18)
        known = part_mask(drawn, inside[None], HEMLETS18)
        torch.testing.assert_close(decoded.states[known], drawn[known])
        at_px = apply_affine(
            invert_affine(sample.affine.double()), crop_to_px(decoded.joints_crop[0].double(), sample.size)
        )
        off_px = np.abs(at_px.numpy() - photo.joints_px)[inside.numpy()]
        assert off_px.max() < 0.05, photo.name
