"""Error explorer: what its filters leave and in which order, what it opens, and where thumbnails lie."""

from __future__ import annotations

import functools
import itertools

import numpy as np
import pytest
import torch

from hemlets_lib.data.samples import load_samples
from hemlets_lib.explorers.errors import ANY, ON_A_PAGE, ORDERS, error_explorer, matching
from hemlets_lib.explorers.plotly_form import figure_of
from hemlets_lib.explorers.pose_errors import compare_poses
from hemlets_lib.explorers.scene import Picture
from hemlets_lib.metrics import mpjpe
from hemlets_lib.skeleton import HEMLETS18
from hemlets_lib.triplets import polarity

COUNT = 15  # a full page and three more
PART, TITLE = 10, "R elbow → R wrist"


@functools.cache
def samples():
    return load_samples(size=48)[:COUNT]


def true_mm():
    return torch.stack([each.joints_cam_mm for each in samples()])


@functools.cache
def noisy_mm():
    """Each sample's error is another; those of even number have the last arm part turned round in depth."""
    pose = true_mm().clone()
    parent, child = HEMLETS18.parts[PART]
    pose[::2, child, 2] = 2 * pose[::2, parent, 2] - pose[::2, child, 2]
    far = torch.tensor([(7 * row) % COUNT for row in range(COUNT)], dtype=torch.float32)
    pose[:, HEMLETS18.index("left_ankle"), 0] += 17 * 10 * (far + 1)
    return pose


def errors():
    return mpjpe(predicted=noisy_mm(), target=true_mm())


def found():
    return compare_poses(samples(), noisy_mm(), HEMLETS18)


@functools.cache
def explorer():
    return error_explorer(samples(), predictions=noisy_mm())


def words(**changed):
    return dict(explorer().scene(**changed).readout)


def thumbnails(scene):
    return [mark.pixels for mark in scene.panels[0].marks if isinstance(mark, Picture)]


def test_orders_are_those_of_the_metric():
    assert matching(found(), HEMLETS18) == errors().argsort(descending=True).tolist()
    assert matching(found(), HEMLETS18, order=ORDERS[1]) == errors().argsort().tolist()


def test_filters_leave_what_they_say():
    at_least = float(errors().median())
    chosen = matching(found(), HEMLETS18, at_least_mm=at_least)
    assert set(chosen) == set((errors() >= at_least).nonzero().flatten().tolist())
    action = samples()[4].meta.action
    chosen = matching(found(), HEMLETS18, action=action)
    assert set(chosen) == {row for row, each in enumerate(samples()) if each.meta.action == action}


@pytest.mark.parametrize(
    ("state", "sign"), [("child nearer", 1), ("about the same", 0), ("child farther", -1)]
)
def test_a_polarity_is_that_of_the_labels(state, sign):
    expected = (polarity(true_mm(), HEMLETS18)[:, PART] == sign).nonzero().flatten().tolist()
    assert set(matching(found(), HEMLETS18, polarity=f"{TITLE}: {state}")) == set(expected)


def test_polarity_predicted_wrong():
    """Turned round in depth, a part that was nearer is farther; one about the same stays what it was."""
    true = polarity(true_mm(), HEMLETS18)[:, PART]
    expected = {row for row in range(0, COUNT, 2) if true[row] != 0}
    assert expected, "the samples must have one that changes"
    assert set(matching(found(), HEMLETS18, polarity=f"{TITLE}: predicted wrong")) == expected


def test_the_readout_counts_and_averages():
    at_least = 40.0
    kept = errors()[errors() >= at_least]
    said = words(at_least=at_least)
    assert said["matching"] == f"{len(kept)} of {COUNT}; page 1 of 1"
    assert said["mean MPJPE"] == f"{kept.mean():.0f} mm of these, {errors().mean():.0f} mm of all"
    assert words()["matching"] == f"{COUNT} of {COUNT}; page 1 of 2"


def test_what_is_opened():
    order = errors().argsort(descending=True).tolist()
    for page, place in ((1, 1), (1, 5), (2, 2)):
        row = order[(page - 1) * ON_A_PAGE + place - 1]
        said = words(page=float(page), chosen=float(place))
        assert said["MPJPE"] == f"{errors()[row]:.0f} mm"
    beyond = words(page=2.0, chosen=9.0)  # the second page has three
    assert beyond["MPJPE"] == f"{errors()[order[-1]]:.0f} mm"


def test_a_page_that_a_filter_took_away_is_said_to_be_missing():
    at_least = 100.0
    kept = int((errors() >= at_least).sum())
    assert 0 < kept <= ON_A_PAGE
    said = words(page=2.0, at_least=at_least)["matching"]
    assert said == f"{kept} of {COUNT}; page 1 of 1, as there is no page 2"


def test_a_filter_of_a_part_points_it_out():
    assert words(polarity=f"{TITLE}: predicted wrong")["marked"].startswith(TITLE)


def test_where_nothing_matches():
    explorer = error_explorer(samples(), predictions=true_mm())
    scene = explorer.scene(at_least=140.0)
    said = dict(scene.readout)
    assert said["matching"] == f"0 of {COUNT}; no page" and said["mean MPJPE"] == "of none; 0 mm of all"
    assert said["opened"].startswith("none matches; still showing ") and said["opened"] in scene.alt
    assert all((pixels == 255).all() for pixels in thumbnails(scene))


def test_a_click_opens_what_it_hits():
    scene = explorer().scene(page=2.0)
    target = scene.marks[explorer().clicks.mark][1]
    assert explorer().clicks.control == "chosen" and len(target.points) == ON_A_PAGE
    pictures = [mark for mark in scene.panels[0].marks if isinstance(mark, Picture)]
    there = np.isfinite(target.points).all(1)
    assert there.sum() == COUNT - ON_A_PAGE
    for picture, point, filled in zip(pictures, target.points, there, strict=True):
        assert bool((picture.pixels != 255).any()) == filled
        if filled:
            middle = np.array(picture.corner) + (np.array(picture.pixels.shape[1::-1]) - 1) / 2
            np.testing.assert_allclose(point, middle)


def test_thumbnails_stand_side_by_side_in_the_figure():
    images = figure_of(explorer(), explorer().scene())["layout"]["images"][:ON_A_PAGE]
    left = [image["x"] for image in images]
    assert left[0] == -0.5 and {image["y"] for image in images} == {-0.5}
    assert all(b - a > images[0]["sizex"] for a, b in itertools.pairwise(left))


def test_an_action_that_is_not_named_is_no_choice():
    choices = {control.name: control for control in explorer().controls}
    named = {each.meta.action for each in samples()}
    assert choices["action"].values == (ANY, *sorted(named)) and "" not in choices["action"].values
