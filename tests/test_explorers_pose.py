"""Pose viewer: its numbers against the metrics, worked examples, and what may not change with the state."""

from __future__ import annotations

import functools
import math

import numpy as np
import pytest
import torch

from hemlets_lib.data.samples import load_samples
from hemlets_lib.explorers.pose import MARKS, PoseView, pose_explorer, pose_words
from hemlets_lib.explorers.pose_errors import BINS, FITS, bin_of, compare_poses
from hemlets_lib.explorers.scene import Lines
from hemlets_lib.metrics import mpjpe, pa_mpjpe
from hemlets_lib.skeleton import HEMLETS18

COUNT = 4


@functools.cache
def samples():
    return load_samples(size=48)[:COUNT]


def true_mm():
    return torch.stack([each.joints_cam_mm for each in samples()])


@pytest.fixture
def noisy_mm():
    return true_mm() + 40 * torch.randn(COUNT, 18, 3, generator=torch.Generator().manual_seed(1))


def moved(joint, by):
    """The true poses with one joint elsewhere, millimetres."""
    pose = true_mm().clone()
    pose[:, HEMLETS18.index(joint)] += torch.tensor(by)
    return pose


def test_means_are_those_of_the_metrics(noisy_mm):
    found = compare_poses(samples(), noisy_mm, HEMLETS18)
    expected = mpjpe(predicted=noisy_mm, target=true_mm())
    similar = pa_mpjpe(predicted=noisy_mm, target=true_mm())
    np.testing.assert_allclose([each.mpjpe for each in found], expected, rtol=1e-4)
    np.testing.assert_allclose([each.pa_mpjpe for each in found], similar, rtol=1e-4)
    for each in found:
        assert each.fits[FITS[0]].joint_mm[:17].mean() == pytest.approx(each.mpjpe)


def test_the_truth_has_no_error_and_lies_on_its_labels():
    for each in compare_poses(samples(), true_mm(), HEMLETS18):
        assert each.mpjpe < 1e-3 and each.pa_mpjpe < 1e-3 and each.mean_px < 1e-2
        assert (each.true_states == each.predicted_states).all()
        assert each.turned_deg.max() < 0.1
        np.testing.assert_allclose(each.predicted_px, each.true_px, atol=0.05)


def test_a_similarity_is_forgiven_by_the_second_fit_only():
    turn = torch.tensor([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    for each in compare_poses(samples(), 1.2 * true_mm() @ turn.T, HEMLETS18):
        assert each.pa_mpjpe < 1e-2 < 50 < each.mpjpe
        assert each.fits[FITS[1]].part_mm.max() < 1e-2
        np.testing.assert_allclose(each.fits[FITS[1]].points, each.true_points, atol=0.05)


def test_a_wrong_elbow_is_an_error_of_two_parts_and_one_joint():
    each = compare_poses(samples(), moved("right_elbow", (0.0, 0.0, 85.0)), HEMLETS18)[0]
    laid = each.fits[FITS[0]]
    elbow = HEMLETS18.index("right_elbow")
    assert laid.joint_mm[elbow] == pytest.approx(85, abs=1e-3) and each.mpjpe == pytest.approx(5, abs=1e-4)
    touched = [k for k, ends in enumerate(HEMLETS18.parts) if elbow in ends]
    assert len(touched) == 2 and set(np.flatnonzero(laid.part_mm > 1e-3)) == set(touched)
    assert laid.away_mm == pytest.approx(5, abs=1e-4) and laid.across_mm == pytest.approx(0, abs=1e-4)


def test_a_limb_moved_as_a_whole_is_wrong_in_its_first_part_only():
    pose = true_mm().clone()
    for joint in ("left_elbow", "left_wrist"):
        pose[:, HEMLETS18.index(joint)] += torch.tensor([30.0, 0.0, 40.0])
    laid = compare_poses(samples(), pose, HEMLETS18)[1].fits[FITS[0]]
    assert laid.joint_mm[HEMLETS18.index("left_wrist")] == pytest.approx(50, abs=1e-3)
    assert laid.part_mm[12] == pytest.approx(50, abs=1e-3)  # left shoulder → left elbow
    assert laid.part_mm[13] == pytest.approx(0, abs=1e-3)  # left elbow → left wrist


def test_depth_alone_hardly_shows_in_the_picture():
    pose = moved("left_wrist", (0.0, 0.0, 150.0))
    each = compare_poses(samples(), pose, HEMLETS18)[0]
    seen = np.linalg.norm(each.predicted_px - each.true_px, axis=1)[HEMLETS18.index("left_wrist")]
    assert 0 < seen < 0.03 * each.sample.size
    assert each.fits[FITS[0]].joint_mm[HEMLETS18.index("left_wrist")] == pytest.approx(150, abs=1e-3)


@pytest.mark.parametrize(("error", "expected"), [(0, 0), (29.9, 0), (30, 1), (60, 2), (119.9, 2), (961, 3)])
def test_bins(error, expected):
    assert bin_of(error) == expected


def test_bins_differ_without_colour_and_get_darker():
    assert len({each.symbol for each in BINS}) == len(BINS)
    light = [sum(int(each.colour[at : at + 2], 16) for at in (1, 3, 5)) for each in BINS]
    assert light == sorted(light, reverse=True)


def test_what_is_marked():
    found = compare_poses(samples(), moved("right_elbow", (0.0, 0.0, 85.0)), HEMLETS18)
    view = PoseView.of(found, HEMLETS18)
    elbow, wrist = HEMLETS18.index("right_elbow"), HEMLETS18.index("right_wrist")
    marked = functools.partial(view.marked, errors=found[0], fit=FITS[0])
    assert marked("nothing") == (None, None)
    assert marked("worst joint") == (elbow, None)
    assert marked("R elbow → R wrist") == (wrist, 10) and marked("R wrist") == (wrist, None)
    assert marked("worst part")[1] in (9, 10)
    words = dict(pose_words(found[0], view, fit=FITS[0], mark="worst joint"))
    assert words["marked"] == "R elbow: 85 mm" and words["MPJPE"] == "5 mm"
    assert words["mean error by direction"] == "5 mm in depth, 0 mm across; root upon root"
    similar = dict(pose_words(found[0], view, fit=FITS[1], mark="worst joint"))
    assert similar["mean error by direction"].endswith("; best similarity")


def test_a_part_with_the_wrong_polarity_says_so():
    each, part = samples()[0], 10
    parent, child = HEMLETS18.parts[part]
    pose = true_mm().clone()
    length = (pose[0, child] - pose[0, parent]).norm()
    pose[0, child] = pose[0, parent] + torch.tensor([0.0, 0.0, -1.0]) * length
    found = compare_poses([each], pose[:1], HEMLETS18)
    words = dict(pose_words(found[0], PoseView.of(found, HEMLETS18), fit=FITS[0], mark="R elbow → R wrist"))
    assert words["marked"].endswith("predicted +1")


def test_axes_stay_and_marks_keep_their_number(noisy_mm):
    explorer = pose_explorer(samples(), predictions=noisy_mm)

    def frame(scene):
        return [(p.title, p.x, p.y, p.z, dict(p.ticks), [type(m) for m in p.marks]) for p in scene.panels]

    first = frame(explorer.scene())
    for changed in ({"frame": 3.0}, {"fit": FITS[1]}, {"mark": "nothing"}, {"mark": "R wrist"}):
        assert frame(explorer.scene(**changed)) == first
    names = [name for name, _ in explorer.scene().readout]
    assert names == [name for name, _ in explorer.scene(mark=MARKS[0], frame=2.0).readout]


def test_the_start_is_the_worst_frame_and_a_click_leads_to_another(noisy_mm):
    explorer = pose_explorer(samples(), predictions=noisy_mm)
    worst = mpjpe(predicted=noisy_mm, target=true_mm()).argmax()
    assert explorer.start["frame"] == float(worst + 1)
    points = explorer.scene().marks[explorer.clicks.mark][1]
    np.testing.assert_allclose(points.points[:, 1], mpjpe(predicted=noisy_mm, target=true_mm()), rtol=1e-4)
    assert explorer.clicks.control == "frame" and len(points.points) == COUNT


def test_a_bar_too_high_for_its_axis_is_cut_and_its_number_stays():
    explorer = pose_explorer(samples(), predictions=moved("nose", (0.0, 0.0, 900.0)))
    panel = explorer.scene().panels[2]
    bars, words = panel.marks[0], panel.marks[2]
    assert bars.heights.max() < panel.y[1] < 900 and "900" in words.texts
    across = panel.marks[3].points  # a white line through that bar alone, inside it
    nose = HEMLETS18.index("nose")
    drawn = across[np.isfinite(across).all(1)]
    assert len(drawn) == 2 and (np.abs(drawn[:, 0] - nose) < 0.5).all()
    assert (drawn[:, 1] < bars.heights[nose]).all() and panel.title.endswith("higher than 250)")


def test_a_bar_that_fits_has_no_break():
    explorer = pose_explorer(samples(), predictions=moved("nose", (0.0, 0.0, 90.0)))
    panel = explorer.scene().panels[2]
    assert np.isnan(panel.marks[3].points).all() and panel.title == "error of each joint (mm)"


def test_lines_of_the_legend_can_be_told_apart(noisy_mm):
    """A line's look is its colour and its dash; over all panels no two names share one."""
    looks = {
        mark.name: (mark.colour, mark.dash)
        for _, mark in pose_explorer(samples(), predictions=noisy_mm).scene().marks
        if isinstance(mark, Lines) and mark.name
    }
    assert len(looks) == 4 and len(set(looks.values())) == len(looks)


def test_samples_without_depth_are_left_out_together_with_their_predictions(noisy_mm):
    from dataclasses import replace

    flat = replace(samples()[1], joints_cam_mm=None)
    mixed = [samples()[0], flat, *samples()[2:]]
    found = compare_poses(mixed, noisy_mm, HEMLETS18)
    assert [each.sample is mine for each, mine in zip(found, (mixed[0], *mixed[2:]), strict=True)] == [
        True
    ] * 3
    expected = mpjpe(predicted=noisy_mm, target=true_mm())[[0, 2, 3]]
    np.testing.assert_allclose([each.mpjpe for each in found], expected, rtol=1e-4)


def test_errors_of_wrong_predictions(noisy_mm):
    with pytest.raises(ValueError, match=r"a pose for each sample, \(4, 18, 3\), got \(3, 18, 3\)"):
        pose_explorer(samples(), predictions=noisy_mm[:3])
    noisy_mm[2, 5, 0] = math.nan
    with pytest.raises(ValueError, match="not for sample 2"):
        pose_explorer(samples(), predictions=noisy_mm)
