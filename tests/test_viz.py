"""Pictures: colours land where joints and peaks are, and alt text is not optional."""

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from hemlets_lib.skeleton import HEMLETS18
from hemlets_lib.triplets import UNKNOWN, encode_triplets
from hemlets_lib.viz import (
    SIDE_COLOURS,
    compare_triplets_figure,
    draw_image,
    draw_map,
    draw_pose,
    gallery_figure,
    png_bytes,
    pose_figure,
    show,
    side_of,
    state_colour,
    state_label,
    triplet_figure,
    triplets_at_a_glance,
)


@pytest.fixture
def image():
    return np.full((32, 32, 3), 200, np.uint8)


@pytest.fixture
def pose():
    return torch.randn(18, 3) * 300


def test_names_and_states_have_words_and_colours():
    assert [side_of(name) for name in ("left_hip", "right_hip", "head")] == ["left", "right", "centre"]
    assert [state_label(state) for state in (-2, -1, 0, 1, UNKNOWN)] == ["−2", "−1", "0", "+1", "?"]
    assert len({state_colour(state) for state in (-1, 0, 1, UNKNOWN)}) == 4
    assert not set(SIDE_COLOURS.values()) & {state_colour(state) for state in (-1, 0, 1)}


def test_a_map_covers_the_picture_edge_to_edge(image):
    axes = Figure().subplots()
    draw_image(axes, image)
    draw_map(axes, torch.rand(6, 7), 32, colour="#D55E00")
    below, above = axes.images
    assert tuple(above.get_extent()) == tuple(below.get_extent()) == (-0.5, 31.5, 31.5, -0.5)


def test_a_pose_is_drawn_where_it_is(image):
    joints = torch.rand(18, 2) * 31
    joints[4] = torch.nan
    axes = Figure().subplots()
    draw_pose(axes, joints, HEMLETS18)
    drawn = np.concatenate([collection.get_offsets() for collection in axes.collections])
    assert len(drawn) == 17
    expected = joints[joints.isfinite().all(-1)].numpy()
    assert np.allclose(np.sort(drawn, axis=0), np.sort(expected, axis=0))


def test_parts_stand_in_for_missing_bones():
    """MPII has no torso or nose: the spine is drawn from pelvis to neck all the same."""
    valid = torch.ones(18, dtype=torch.bool)
    valid[[HEMLETS18.index("torso"), HEMLETS18.index("nose"), HEMLETS18.index("thorax")]] = False
    axes = Figure().subplots()
    draw_pose(axes, torch.rand(18, 2), HEMLETS18, valid=valid)
    assert len(axes.lines) == 2 * 14  # each line with its white border


def test_every_figure_draws(image, pose):
    crop = (torch.rand(1, 18, 3) - 0.5) * 0.8
    valid = torch.ones(18, dtype=torch.bool)
    states = torch.randint(-1, 2, (1, 14))
    triplets = encode_triplets(crop, states, skeleton=HEMLETS18, size=16)[0]
    for figure in (
        pose_figure(image, crop[0], HEMLETS18, labels=True),
        triplet_figure(image, triplets[3], HEMLETS18, 3, state=int(states[0, 3]), joints_crop=crop[0]),
        triplets_at_a_glance(image, triplets, HEMLETS18, states=states[0]),
        gallery_figure([image] * 3, [crop[0]] * 3, HEMLETS18, valid=[valid] * 3, titles="abc", columns=2),
    ):
        png = png_bytes(figure)
        assert png.startswith(b"\x89PNG")
        assert len(png) > 5000


def test_the_same_figure_gives_the_same_bytes(image, pose):
    crop = pose / 2000
    assert png_bytes(pose_figure(image, crop, HEMLETS18)) == png_bytes(pose_figure(image, crop, HEMLETS18))


def test_show_wants_words(image, pose):
    with pytest.raises(ValueError, match="`alt` must say what the picture shows"):
        show(pose_figure(image, pose / 2000, HEMLETS18), alt=" ")


def test_triplets_of_two_sources_lie_side_by_side(image):
    maps = {"network": torch.rand(14, 3, 6, 6), "truth": torch.rand(14, 3, 6, 6)}
    states = {"network": torch.full((14,), -1), "truth": torch.full((14,), UNKNOWN)}
    figure = compare_triplets_figure(image, maps, HEMLETS18, [4, 9], states=states)
    assert [block.get_suptitle() for block in figure.subfigs] == ["network", "truth"]
    for block, each in zip(figure.subfigs, maps.values(), strict=True):
        shown = [axes.images[1].get_array() for axes in block.axes]
        assert np.allclose(shown, each[[4, 9]].flatten(0, 1))
    labels = [block.axes[3].get_ylabel() for block in figure.subfigs]
    assert labels == [f"right shoulder → right elbow\n{state}" for state in ("−1", "?")]
    assert png_bytes(figure).startswith(b"\x89PNG")
