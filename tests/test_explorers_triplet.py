"""The triplet explorer: bending keeps lengths, and the child's peak leaves map 0 at asin ε and not before."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch

from hemlets_lib.data.samples import load_samples
from hemlets_lib.explorers.scene import Map
from hemlets_lib.explorers.triplet import bend_part, elevations_deg, states_of, triplet_explorer
from hemlets_lib.skeleton import HEMLETS18
from hemlets_lib.triplets import VARIANTS, part_lengths, part_states, polarity

PARTS = range(HEMLETS18.num_parts)


@pytest.fixture(scope="module")
def samples():
    return load_samples()[:3]


@pytest.fixture(scope="module")
def explorer(samples):
    return triplet_explorer(samples)


def maps_of(scene) -> dict[str, Map]:
    return {panel.title: mark for panel in scene.panels for mark in panel.marks if isinstance(mark, Map)}


def map_with_child(explorer, **state) -> str:
    """Read off the drawn maps, not off the readout: where the value at the child is high."""
    scene = explorer.scene(**state)
    panel = next(panel for panel in scene.panels if panel.title == "map 0")
    child_px = panel.marks[2].points[1]
    return max(
        maps_of(scene),
        key=lambda title: float(value_at(maps_of(scene)[title], child_px)),
    )


def value_at(mark: Map, point_px) -> float:
    values = np.asarray(mark.values)
    column, row = ((np.asarray(point_px) + 0.5) / mark.side * len(values)).astype(int)
    return values[row, column]


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("angle", [-90.0, -30.0, 0.0, 42.0, 90.0])
def test_bending_turns_one_part_and_keeps_lengths(samples, part, angle):
    joints = samples[0].joints_cam_mm.double()
    bent = bend_part(joints, part, angle, HEMLETS18)
    assert float(elevations_deg(bent, HEMLETS18)[part]) == pytest.approx(angle, abs=1e-5)
    rigid = [
        bone
        for bone in HEMLETS18.bones
        if not {HEMLETS18.joint_names[j] for j in bone} & set(HEMLETS18.derived)
    ]
    parent, child = HEMLETS18.parts[part]

    def lengths(pose):
        return torch.stack([(pose[a] - pose[b]).norm() for a, b in rigid if parent not in (a, b)])

    torch.testing.assert_close(lengths(bent), lengths(joints))
    assert float(part_lengths(bent, HEMLETS18)[part]) == pytest.approx(
        float(part_lengths(joints, HEMLETS18)[part])
    )
    before, after = joints[child, :2] - joints[parent, :2], bent[child, :2] - bent[parent, :2]
    assert float(before[0] * after[1] - before[1] * after[0]) == pytest.approx(0, abs=1e-4)  # same direction
    torch.testing.assert_close(bent[HEMLETS18.index("thorax")], bent[[11, 14]].mean(0))


def test_bending_an_elbow_moves_the_forearm_alone(samples):
    joints = samples[0].joints_cam_mm.double()
    part = HEMLETS18.part_names.index(("right_elbow", "right_wrist"))
    moved = (bend_part(joints, part, 70.0, HEMLETS18) - joints).norm(dim=-1) > 1e-6
    assert [HEMLETS18.joint_names[j] for j in moved.nonzero().flatten()] == ["right_wrist"]


def test_bending_to_where_it_is_changes_nothing(samples):
    joints = samples[1].joints_cam_mm.double()
    for part, angle in enumerate(elevations_deg(joints, HEMLETS18).tolist()):
        torch.testing.assert_close(
            bend_part(joints, part, angle, HEMLETS18)[:17], joints[:17], atol=1e-3, rtol=0
        )


@pytest.mark.parametrize("variant", ["hemlets", "2s"])
@pytest.mark.parametrize("side", [1, -1])
def test_the_peak_leaves_map_0_at_exactly_30_degrees(explorer, variant, side):
    name = {1: "map +1", -1: "map −1"}[side]
    for part in explorer.controls[1].values:
        at = {"part": part, "variant": variant}
        assert map_with_child(explorer, angle=30.0 * side, **at) == "map 0"
        assert map_with_child(explorer, angle=35.0 * side, **at) == name


@pytest.mark.parametrize(
    ("angle", "expected"), [(30, "map 0"), (35, "map +1"), (60, "map +1"), (65, "map +2")]
)
def test_five_states(explorer, angle, expected):
    assert map_with_child(explorer, variant="5s", angle=float(angle)) == expected


@pytest.mark.parametrize("epsilon", [0.25, 0.5, 0.85])
def test_epsilon_moves_the_boundary(explorer, epsilon):
    bound = math.degrees(math.asin(epsilon))
    for angle in (a for a in explorer.controls[3].values if abs(abs(a) - bound) > 1e-3):
        expected = "map 0" if abs(angle) < bound else "map +1" if angle > 0 else "map −1"
        assert map_with_child(explorer, angle=angle, epsilon=epsilon) == expected


@pytest.mark.parametrize("variant", VARIANTS)
def test_states_at_the_papers_epsilon_are_the_library_s(samples, variant):
    for sample in samples:
        expected = part_states(sample.joints_cam_mm, HEMLETS18, variant=variant)
        found = states_of(sample.joints_cam_mm, HEMLETS18, variant=variant, epsilon_ratio=0.5)
        torch.testing.assert_close(found, expected)


def test_unbent_parts_are_those_of_the_sample(explorer, samples):
    states = polarity(samples[0].joints_cam_mm, HEMLETS18)
    scene = explorer.scene(sample=explorer.controls[0].values[0], bend=False)
    assert scene.panels[-1].marks[-1].points[:, 1].tolist() == states.tolist()


def test_the_numbers_are_the_equations(explorer):
    readout = dict(explorer.scene(angle=45.0).readout)
    length = int(readout["z_p − z_c"].split("‖B‖ = ")[1].split()[0])
    assert int(readout["z_p − z_c"].split()[0]) == pytest.approx(length * math.sin(math.pi / 4), abs=1)
    assert readout["Eq. (1)"].endswith("r = +1") and readout["child's peak"] == "in map +1"


def test_samples_without_depth_are_refused(samples):
    flat = dataclasses.replace(samples[0], joints_cam_mm=None)
    with pytest.raises(
        ValueError, match="expected samples with all 18 joints in camera space and a camera, got none"
    ):
        triplet_explorer([flat])
