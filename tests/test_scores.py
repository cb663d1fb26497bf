"""Scores: tables worked out by hand, and what must not change them."""

import json
import math

import pytest
import torch

from hemlets_lib.data.sample import Meta
from hemlets_lib.protocols import PROTOCOLS, Column, Protocol, Row
from hemlets_lib.scores import Poses, score_poses
from hemlets_lib.skeleton import HEMLETS18
from hemlets_lib.triplets import UNKNOWN

ARM = Protocol(
    "arm",
    "An arm",
    rows=(
        Row("both", "mpjpe"),
        Row("only B", "mpjpe", ("B",)),
        Row("aligned", "pa_mpjpe"),
        Row("near", "pck_3d"),
    ),
    columns=(Column("wave", actions=("wave",)), Column("rest", actions=("rest",)), Column("point", ("C",))),
    subjects=("A", "B", "C"),
    note="Made up.",
)

# Shoulder, elbow, wrist. The first upper arm points at the camera, all else lies across.
TRUTH = torch.tensor(
    [
        [[0.0, 0.0, 3000.0], [0.0, 0.0, 2700.0], [250.0, 0.0, 2700.0]],
        [[0.0, 0.0, 3000.0], [300.0, 0.0, 3000.0], [550.0, 0.0, 3000.0]],
        [[0.0, 0.0, 3000.0], [300.0, 0.0, 3000.0], [550.0, 0.0, 3000.0]],
    ]
)
OFF = torch.tensor(
    [
        [[5.0, 5.0, 5.0], [5.0, 5.0, 5.0], [5.0, 5.0, 11.0]],  # root upon root: 0, 0, 6 mm
        [[0.0, 0.0, 0.0], [0.0, 30.0, 0.0], [0.0, 0.0, 60.0]],  # 0, 30, 60
        [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 300.0]],  # 0, 0, 300: the forearm points away
    ]
)


def metas(*people: str) -> tuple[Meta, ...]:
    """From 'A wave' and the like."""
    return tuple(Meta("made up", *person.split()) for person in people)


@pytest.fixture
def poses():
    return Poses(
        TRUTH + OFF, TRUTH, metas("A wave", "B wave", "B rest"), torch.tensor([[1, 0], [0, 0], [UNKNOWN, 0]])
    )


@pytest.fixture
def scored(poses, skeleton3):
    return score_poses(poses, ARM, skeleton=skeleton3)


def people(count: int = 40, seed: int = 0) -> Poses:
    """Of protocol h36m, noisy."""
    generator = torch.Generator().manual_seed(seed)
    target = 300 * torch.randn(count, 18, 3, generator=generator)
    actions = [action for column in PROTOCOLS["h36m"].columns for action in column.actions[:1]]
    where = tuple(Meta("random", ("S9", "S11")[i % 2], actions[i % 7]) for i in range(count))
    states = torch.randint(-1, 2, (count, 14), generator=generator)
    return Poses(target + 60 * torch.randn(count, 18, 3, generator=generator), target, where, states)


# --- golden ---------------------------------------------------------------------------------------


def test_the_table_by_hand(scored):
    both, only_b = scored.tables["both"], scored.tables["only B"]
    assert both.means == pytest.approx({"wave": (2 + 30) / 2, "rest": 100, "point": math.nan}, nan_ok=True)
    assert both.mean_of_actions == pytest.approx((16 + 100) / 2)
    assert both.mean_of_frames == pytest.approx((2 + 30 + 100) / 3)
    assert only_b.means == pytest.approx({"wave": 30, "rest": 100, "point": math.nan}, nan_ok=True)
    assert scored.tables["near"].means["rest"] == pytest.approx(200 / 3)
    assert scored.joint_errors_mm == pytest.approx({"shoulder": 0, "elbow": 10, "wrist": (6 + 60 + 300) / 3})


def test_polarity_by_hand(scored):
    """True states: (+1, 0), (0, 0), (0, 0)."""
    decoded, joints, commonest = scored.polarity.values()
    assert list(scored.polarity) == ["decoded triplets", "predicted joints", "always the commonest state"]
    assert decoded.per_part.tolist() == pytest.approx([200 / 3, 100])  # what is not found is wrong
    assert joints.per_part.tolist() == pytest.approx([100, 200 / 3])  # the last forearm points away: -1
    assert commonest.per_part.tolist() == pytest.approx([200 / 3, 100])
    assert scored.part_names == ("shoulder → elbow", "elbow → wrist")


def test_as_json(scored):
    content = json.loads(json.dumps(scored.to_dict(), allow_nan=False))
    row = content["rows"]["both"]
    assert row["columns"] == pytest.approx({"wave": 16, "rest": 100, "point": None})
    assert row["samples"] == {"wave": 2, "rest": 1, "point": 0}
    assert (row["metric"], row["unit"]) == ("mpjpe", "mm")
    assert content["polarity_percent"]["decoded triplets"]["parts"]["elbow → wrist"] == 100
    assert content["counts"] == {"samples counted": 3, "joints counted": 9}
    assert content["statements"]["columns without samples"] == "point"


def test_as_markdown(scored):
    text = scored.to_markdown()
    assert "|  | wave | rest | point | Avg of columns | Avg of frames |" in text
    assert "| both (mm) | 16.0 | 100.0 | – | 58.0 | 44.0 |" in text
    assert "| wrist | 122.0 |" in text
    assert "| elbow → wrist | 100.0 | 66.7 | 100.0 |" in text
    assert "- joints: 3 of 'arm', where they are labelled: shoulder, elbow, wrist" in text
    assert "- note: Made up." in text


def test_unlabelled_joints_do_not_count(poses, skeleton3):
    target = poses.target_mm.clone()
    target[2, 2] = torch.nan
    found = score_poses(Poses(poses.predicted_mm, target, poses.metas), ARM, skeleton=skeleton3)
    assert found.tables["both"].means["rest"] == 0
    assert found.counts["joints counted"] == 8
    assert found.polarity["predicted joints"].per_part.tolist() == [100, 100]
    assert "decoded triplets" not in found.polarity  # a network without an intermediate branch


# --- law ------------------------------------------------------------------------------------------


def test_procrustes_takes_error_away():
    found = score_poses(people(), PROTOCOLS["h36m"])
    for whose in ("S9 + S11", "S11"):
        root, aligned = found.tables[f"MPJPE, {whose}"], found.tables[f"PA-MPJPE, {whose}"]
        assert all(aligned.means[name] <= root.means[name] for name in root.means if root.counts[name])


def test_the_order_of_samples_does_not_matter():
    poses = people()
    order = torch.randperm(len(poses.metas), generator=torch.Generator().manual_seed(1))
    shuffled = Poses(
        poses.predicted_mm[order],
        poses.target_mm[order],
        tuple(poses.metas[i] for i in order),
        poses.decoded_states[order],
    )
    one, other = (score_poses(each, PROTOCOLS["h36m"]).to_dict() for each in (poses, shuffled))
    assert one["polarity_percent"] == other["polarity_percent"]
    for name, row in one["rows"].items():
        assert row["columns"] == pytest.approx(other["rows"][name]["columns"])
        assert row["mean_of_samples"] == pytest.approx(other["rows"][name]["mean_of_samples"])


def test_the_truth_has_no_error():
    poses = people()
    perfect = Poses(poses.target_mm + 100.0, poses.target_mm, poses.metas)
    found = score_poses(perfect, PROTOCOLS["h36m"])
    assert found.tables["MPJPE, S11"].mean_of_frames == pytest.approx(0, abs=1e-3)
    assert found.polarity["predicted joints"].overall == 100


def test_ten_thousand_poses():
    found = score_poses(people(10_000), PROTOCOLS["h36m"])
    assert found.counts["samples counted"] == 10_000
    assert found.tables["MPJPE, S9 + S11"].mean_of_frames > found.tables["PA-MPJPE, S9 + S11"].mean_of_frames


def test_the_five_states_are_told_apart(skeleton3):
    """At 45° and at 80° a part is nearer in three states, but differently so in five."""
    steep = [[0.0, 0.0, 0.0], [math.cos(angle := math.radians(80)), 0.0, -math.sin(angle)], [2.0, 0.0, 0.0]]
    half = [[0.0, 0.0, 0.0], [1.0, 0.0, -1.0], [2.0, 0.0, 0.0]]
    pair = Poses(torch.tensor([steep]), torch.tensor([half]), metas("A wave"))
    for variant, right in (("hemlets", 100), ("5s", 0)):
        found = score_poses(pair, ARM, skeleton=skeleton3, variant=variant)
        assert found.polarity["predicted joints"].per_part[0] == right


# --- error ----------------------------------------------------------------------------------------


def test_a_pose_of_another_protocol(poses, skeleton3):
    strangers = Poses(poses.predicted_mm, poses.target_mm, metas("A wave", "D wave", "B sleep"))
    with pytest.raises(
        ValueError, match=r"'arm' \(subjects A, B, C; actions wave, rest\), got 2 of 3 that are not"
    ):
        score_poses(strangers, ARM, skeleton=skeleton3)


def test_poses_of_another_skeleton(poses):
    with pytest.raises(ValueError, match="`target_mm` must have 18 joints for skeleton 'hemlets18', got 3"):
        score_poses(poses, ARM, skeleton=HEMLETS18)


def test_a_skeleton_without_the_protocols_joints(poses, skeleton3):
    with pytest.raises(ValueError, match="skeleton 'arm' has no joint 'pelvis'"):
        score_poses(
            Poses(poses.predicted_mm, poses.target_mm, metas(*["S9 Walking"] * 3)),
            PROTOCOLS["h36m"],
            skeleton=skeleton3,
        )


def test_a_prediction_that_is_not_finite(poses, skeleton3):
    predicted = poses.predicted_mm.clone()
    predicted[1, 2] = torch.inf
    with pytest.raises(
        ValueError, match=r"`predicted` must be finite where it counts, got .* sample 1, joint 2"
    ):
        score_poses(Poses(predicted, TRUTH, poses.metas), ARM, skeleton=skeleton3)
