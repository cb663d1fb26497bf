"""The release's own evaluation: its mirror, its search for a distance, its alignment."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from hemlets_lib.data.sample import Meta, Sample, label_sample, normalise
from hemlets_lib.evaluate import evaluate, evaluate_as_released
from hemlets_lib.geometry import Camera, crop_affine
from hemlets_lib.metrics import mpjpe, pa_mpjpe, reverse_pa_mpjpe
from hemlets_lib.model import HEMletsNet, HEMletsOutput, ModelConfig
from hemlets_lib.official_evaluation import (
    SEARCH_BONES,
    bone_search,
    official_flip_mean,
    official_joints_px,
)
from hemlets_lib.prediction import predict
from hemlets_lib.skeleton import HEMLETS18, MPII16

SIZE = 32
CONFIG = ModelConfig("test", "tiny", SIZE, 16, 5, upsample_channels=6, intermediate=False)
CAMERA = Camera(torch.tensor([1150.0, 1150.0]), torch.tensor([500.0, 500.0]))
AFFINE = crop_affine(torch.tensor([480.0, 530.0]), torch.tensor(700.0), SIZE)


def person(number: int, root_depth_mm: float = 1150 * 4.3) -> torch.Tensor:
    """(18, 3) mm in camera space, with bones exactly as long as the search expects, in random directions."""
    generator = torch.Generator().manual_seed(number)
    joints = torch.full((18, 3), torch.nan, dtype=torch.float64)
    joints[0] = torch.tensor([30.0, -20.0, root_depth_mm])
    joints[8] = joints[0] + torch.tensor([20.0, -480.0, 60.0])  # the neck: none of the 15 bones leads there
    for child, parent, length_mm in SEARCH_BONES:
        direction = torch.randn(3, generator=generator, dtype=torch.float64)
        at = joints[HEMLETS18.index(parent)]
        joints[HEMLETS18.index(child)] = at + length_mm * direction / direction.norm()
    joints[17] = (joints[11] + joints[14]) / 2
    return joints


def seen(joints: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Pixels in the assumed camera, and depth behind the root."""
    return joints[..., :2] / joints[..., 2:] * 1150 + 500, joints[..., 2] - joints[..., :1, 2]


def sample(number: int, *, camera: Camera | None = CAMERA, action: str = "Walking") -> Sample:
    """Grey of one shade, its number; the left edge is black, so that a mirrored picture is one."""
    image = np.full((SIZE, SIZE, 3), number, np.uint8)
    image[:, 0] = 0
    joints = person(number)
    return label_sample(
        image, affine=AFFINE, meta=Meta("made up", "S11", action, sample_id=f"number {number}"),
        joints_cam_mm=joints.float(), camera=camera, joints_px=None if camera else seen(joints)[0],
    )  # fmt: skip


class Released(HEMletsNet):
    """Knows the answer, in the release's crop space, for a picture and for its mirror image."""

    def __init__(self, samples: list[Sample], off_px: float = 0.0) -> None:
        super().__init__(CONFIG)
        self.known = {int(each.image[0, 5, 0]): each for each in samples}
        self.off = torch.tensor([off_px, -off_px, 0.0]) / SIZE

    def forward(self, images, *, return_volume=False):
        levels = normalise(torch.arange(256, dtype=torch.uint8)[:, None, None, None].expand(-1, 3, 1, 1))
        joints = []
        for image in images:
            number = int((image[0, 0, 5] - levels[:, 0, 0, 0]).abs().argmin())
            at = self.known[number].joints_crop - torch.tensor([0.5, 0.5, 0]) / SIZE  # u / size - 0.5
            if image[0, 0, -1] < image[0, 0, 5]:  # the black edge is on the right
                u = (at[:, 0] + 0.5) * SIZE
                at = torch.cat([((SIZE - 1 - u) / SIZE - 0.5)[:, None], at[:, 1:]], 1)
                at = at[list(HEMLETS18.flip_permutation)]
            joints.append(at + self.off)
        return HEMletsOutput(torch.stack(joints), None, None, None)


# --- golden ---------------------------------------------------------------------------------------


def test_the_mirror_by_hand():
    """In pixels of a 256 crop: the right wrist at 100, the mirrored picture's left wrist at 157 → 98."""
    picture, mirrored = torch.zeros(2, 1, 18, 3)
    right, left = HEMLETS18.index("right_wrist"), HEMLETS18.index("left_wrist")
    picture[0, right] = torch.tensor([100 / 256 - 0.5, 0.1, 0.2])
    mirrored[0, left] = torch.tensor([157 / 256 - 0.5, 0.3, 0.4])
    mean = official_flip_mean(picture, mirrored, size=256)[0, right]
    torch.testing.assert_close(mean, torch.tensor([99 / 256 - 0.5, 0.2, 0.3]))
    assert mean[2] == pytest.approx(0.3)  # depth is not negated


@pytest.mark.parametrize(
    ("true", "found"), [(4.3, 4.3), (4.34, 4.3), (2.0, 2.0), (1.5, 1.5), (8.4, 8.4), (9.5, 8.4), (6.98, 7.0)]
)
def test_the_search_finds_the_scale(true, found):
    """In tenths, from 1.5 (half below the coarsest ladder's 2) to 8.4 (four tenths above its 8)."""
    joints = torch.stack([person(number, 1150 * true) for number in (1, 2, 3)])
    search = bone_search(*seen(joints))
    torch.testing.assert_close(search.scale, torch.full((3,), found, dtype=torch.float64))
    if true == found:
        torch.testing.assert_close(search.joints_cam_mm, joints, rtol=0, atol=1e-6)
        assert search.misfit_mm.max() < 1e-9
    else:
        assert search.misfit_mm.min() > 0.1


def test_the_search_against_a_loop():
    """Poses whose bones have other lengths, one joint and one scale at a time."""
    joints = torch.stack([person(number) for number in range(20)])
    joints_px, depth_mm = seen(joints + 60 * torch.randn(20, 18, 3, dtype=torch.float64))
    search = bone_search(joints_px, depth_mm)
    for row in range(20):

        def misfit(scale, row=row):
            total = 0.0
            for one, other, length in SEARCH_BONES:
                ends = []
                for joint in (HEMLETS18.index(one), HEMLETS18.index(other)):
                    d, (u, v) = depth_mm[row, joint].item(), joints_px[row, joint].tolist()
                    ends.append(
                        np.array(
                            [(u - 500) * (d / 1150 + scale), (v - 500) * (d / 1150 + scale), d + 1150 * scale]
                        )
                    )
                total += abs(np.linalg.norm(ends[0] - ends[1]) - length) / len(SEARCH_BONES)
            return total

        coarse = min([2 + 0.5 * i for i in range(13)], key=misfit)
        fine = min([coarse + 0.1 * i for i in range(-5, 5)], key=misfit)
        assert search.scale[row].item() == pytest.approx(fine, abs=1e-9)
        assert search.misfit_mm[row].item() == pytest.approx(misfit(fine))


def test_both_mirrors_send_a_pixel_to_the_same_pixel():
    """Pixel 100 of 256 to 155: ours from x = 0.5 * 201 / 256 - 0.5, the release's from 100 / 256 - 0.5."""
    wrists = [HEMLETS18.index("left_wrist"), HEMLETS18.index("right_wrist")]
    ours, released = (torch.full((1, 18, 3), value / 256 - 0.5) for value in (100.5, 100.0))
    assert ((-ours + 0.5) * 256 - 0.5)[0, wrists, 0].tolist() == [155, 155]
    mirrored = 2 * official_flip_mean(torch.zeros_like(released), released, size=256)
    assert ((mirrored + 0.5) * 256)[0, wrists, 0].tolist() == [155, 155]


# --- law ------------------------------------------------------------------------------------------


def test_the_two_means_lie_half_a_pixel_apart():
    samples = [sample(7), sample(8)]
    model = Released(samples, off_px=0.3)
    images = normalise(torch.from_numpy(np.stack([each.image for each in samples])).permute(0, 3, 1, 2))
    picture, mirrored = model(images).joints, model(images.flip(-1)).joints
    official = official_flip_mean(picture, mirrored, size=SIZE)
    found = predict(model, samples, flip_test=True)
    half = torch.tensor([0.5 / SIZE, 0.0, 0.0])
    torch.testing.assert_close(found.joints_crop - half, official, rtol=0, atol=1e-6)
    crop_px = (official[..., :2] + 0.5) * SIZE
    whole = (crop_px - AFFINE[:, 2]) / AFFINE[0, 0]
    torch.testing.assert_close(official_joints_px(found, size=SIZE).float(), whole, rtol=0, atol=1e-2)


def test_who_knows_everything_makes_no_error():
    """By the release's pixels. By ours the person is half a pixel off, which hardly shows."""
    samples = [sample(number) for number in (1, 2, 3)]
    model = Released(samples)
    released = evaluate_as_released(model, samples)
    assert released.tables["MPJPE, S11"].mean_of_frames < 0.02
    told = evaluate(model, samples, flip_test="official")
    assert told.tables["MPJPE, S11"].mean_of_frames < 0.02
    ours = evaluate(model, samples, flip_test="standard").tables["MPJPE, S11"].mean_of_frames
    assert 0.02 < ours < 3.0  # half a pixel of 700 / 32


def test_the_search_costs_what_the_bones_differ_by():
    """A child of half the size is put at half the distance, and comes out twice as large as it is."""
    big = sample(1)
    small = replace(big, joints_cam_mm=big.joints_cam_mm / 2)  # the same picture
    depths = torch.cat([big.joints_crop[:, :2], big.joints_crop[:, 2:] / 2], 1)
    told = evaluate(Released([replace(small, joints_crop=depths)]), [small], flip_test="official")
    searched = evaluate_as_released(Released([replace(small, joints_crop=depths)]), [small])
    assert told.tables["MPJPE, S11"].mean_of_frames < 0.02
    assert searched.tables["MPJPE, S11"].mean_of_frames > 50


def test_the_reverse_alignment_shrinks_with_the_prediction():
    target = torch.randn(5, 17, 3, dtype=torch.float64) * 300
    predicted = target + 40 * torch.randn(5, 17, 3, dtype=torch.float64)
    forward, reverse = (metric(predicted=predicted, target=target) for metric in (pa_mpjpe, reverse_pa_mpjpe))
    tenth = {"predicted": predicted / 10, "target": target}
    torch.testing.assert_close(pa_mpjpe(**tenth), forward)
    torch.testing.assert_close(reverse_pa_mpjpe(**tenth), reverse / 10)
    torch.testing.assert_close(reverse, pa_mpjpe(predicted=target, target=predicted))
    assert (reverse - forward).abs().min() > 1e-3 and (reverse < mpjpe(**tenth)).all()


def test_what_the_mode_says_of_itself():
    samples = [
        sample(1),
        sample(2, action="Photo"),
        replace(sample(3), meta=Meta("made up", "S1", "Walking")),
    ]
    found = evaluate_as_released(Released(samples), samples, batch_size=1)
    assert found.protocol.name == "h36m_official" and found.counts["samples counted"] == 2
    said = found.statements
    assert said["flip test"].endswith("half a pixel to the left") and "(bone search: 2)" in said["root depth"]
    alignment = (
        "for reverse PA-MPJPE the truth is rotated, moved and scaled, never mirrored, onto the prediction"
    )
    assert alignment in said["alignment"]
    assert "17 of 'hemlets18'" in said["joints"] and "pelvis" in said["joints"]
    again = evaluate(
        Released(samples), samples, protocol="h36m_official", flip_test="official", root_depth="bone_search"
    )
    assert again.to_dict() == found.to_dict()
    standard = evaluate(Released(samples), samples).statements
    assert (
        "for PA-MPJPE the prediction is rotated" in standard["alignment"] and standard["flip test"] == "none"
    )


def test_a_sample_without_a_camera_is_searched_all_the_same():
    one = replace(sample(4, camera=None), joints_cam_mm=person(4).float())
    found = evaluate_as_released(Released([one]), [one])
    assert found.tables["MPJPE, S11"].mean_of_frames < 0.02


# --- error ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("focal", "centre", "said"),
    [
        ((1300.0, 1300.0), (500.0, 500.0), "1300, 1300, 500, 500"),
        ((1150.0, 1150.0), (640.0, 360.0), "640, 360"),
    ],
)
def test_another_camera(focal, centre, said):
    other = sample(1, camera=Camera(torch.tensor(focal), torch.tensor(centre)))
    with pytest.raises(
        ValueError, match=rf"'number 1': the authors' search expects .*{said}. Use root_depth"
    ):
        evaluate_as_released(Released([other]), [other])
    evaluate(Released([other]), [other], flip_test="official")  # with the sample's own camera


def test_nothing_told_where_it_must_be():
    one = replace(sample(1), camera=None)
    with pytest.raises(
        ValueError, match=r"'number 1': expected a camera and the root's depth, got none. Use"
    ):
        evaluate(Released([one]), [one], flip_test="official")


def test_wrong_options():
    samples = [sample(1)]
    with pytest.raises(ValueError, match=r"`flip_test` must be True, False or one of 'none', .*got 'twice'"):
        evaluate(Released(samples), samples, flip_test="twice")
    with pytest.raises(ValueError, match=r"'official' goes with `root_depth` 'labels' or 'bone_search', got"):
        evaluate(Released(samples), samples, flip_test="official", root_depth="bones")
    with pytest.raises(ValueError, match=r"`joints_px` must have 16 joints for skeleton 'mpii16', got 18"):
        bone_search(torch.zeros(1, 18, 2), torch.zeros(1, 18), skeleton=MPII16)
    with pytest.raises(ValueError, match=r"skeleton 'mpii16' has no joint 'torso'"):
        bone_search(torch.zeros(1, 16, 2), torch.zeros(1, 16), skeleton=MPII16)
