"""Skeleton: the golden joint table, remapping by name, mirror images."""

import pickle

import pytest
import torch

from hemlets_lib.skeleton import (
    H36M17,
    HEMLETS18,
    HEMLETS18_CHAIN,
    MPI_INF_3DHP17,
    MPII16,
    SKELETONS,
    Skeleton,
)


def test_hemlets18_is_the_official_order():
    assert HEMLETS18.joint_names == (
        "pelvis", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle", "torso",
        "neck", "nose", "head", "left_shoulder", "left_elbow", "left_wrist", "right_shoulder", "right_elbow",
        "right_wrist", "thorax",
    )  # fmt: skip
    assert HEMLETS18.flip_pairs == ((1, 4), (2, 5), (3, 6), (11, 14), (12, 15), (13, 16))
    # The official edge list, (child, parent).
    official = "1-0 4-0 7-0 2-1 3-2 5-4 6-5 17-7 8-17 14-8 11-8 9-8 10-9 15-14 16-15 12-11 13-12"
    edges = {tuple(int(joint) for joint in edge.split("-")[::-1]) for edge in official.split()}
    assert set(HEMLETS18.bones) == edges


def test_the_fourteen_parts():
    assert HEMLETS18.parts == (
        (0, 1), (1, 2), (2, 3), (0, 4), (4, 5), (5, 6), (0, 8), (8, 10), (8, 14), (14, 15), (15, 16),
        (8, 11), (11, 12), (12, 13),
    )  # fmt: skip


def test_part_paths_by_hand(skeleton3):
    # shoulder -> elbow -> wrist: the elbow is one part down, the wrist two.
    assert skeleton3.part_paths.tolist() == [[False, False], [True, False], [True, True]]
    wrist = HEMLETS18.part_paths[HEMLETS18.index("left_wrist")].nonzero()[:, 0].tolist()
    assert wrist == [6, 11, 12, 13]  # pelvis→neck→shoulder→elbow→wrist
    assert not HEMLETS18.part_paths[HEMLETS18.index("nose")].any()


def test_a_chain_of_bones_is_another_list_of_as_many_parts():
    bones = {(H36M17.joint_names[parent], H36M17.joint_names[child]) for parent, child in H36M17.bones}
    hips = {("pelvis", "right_hip"), ("pelvis", "left_hip")}
    assert set(HEMLETS18_CHAIN.part_names) == bones - hips
    assert HEMLETS18_CHAIN.num_parts == HEMLETS18.num_parts == 14
    assert HEMLETS18_CHAIN.joint_names == HEMLETS18.joint_names and HEMLETS18_CHAIN != HEMLETS18


@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=SKELETONS)
def test_flipping_twice_changes_nothing(skeleton):
    for permutation in (skeleton.flip_permutation, skeleton.part_flip_permutation):
        twice = [permutation[i] for i in permutation]
        assert twice == list(range(len(permutation)))


@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=SKELETONS)
def test_flipped_parts_join_flipped_joints(skeleton):
    for part, mirrored in enumerate(skeleton.part_flip_permutation):
        expected = tuple(skeleton.flip_permutation[joint] for joint in skeleton.parts[part])
        assert skeleton.parts[mirrored] == expected


@pytest.mark.parametrize(
    ("source", "official"),
    [
        (MPII16, [6, 2, 1, 0, 3, 4, 5, -1, 8, -1, 9, 13, 14, 15, 12, 11, 10, 7]),
        (MPI_INF_3DHP17, [14, 8, 9, 10, 11, 12, 13, 15, 1, 16, 0, 5, 6, 7, 2, 3, 4, None]),
    ],
    ids=["mpii16", "mpi_inf_3dhp17"],
)
def test_remap_follows_the_published_tables(source, official):
    numbered = torch.arange(source.num_joints, dtype=torch.float32)[:, None].expand(-1, 2)
    joints, valid = source.remap(numbered, HEMLETS18)
    for target, index in enumerate(official):
        if index is None:  # thorax = mean of the shoulders
            assert joints[target, 0] == (2 + 5) / 2
        elif index < 0:
            assert not valid[target]
            assert joints[target, 0] == 0
        else:
            assert joints[target, 0] == index


def test_remap_there_and_back():
    joints = torch.randn(2, 18, 3)
    back, valid = H36M17.remap(HEMLETS18.remap(joints, H36M17)[0], HEMLETS18)
    assert valid.all()
    torch.testing.assert_close(back[:, :17], joints[:, :17])
    torch.testing.assert_close(back[:, 17], (joints[:, 11] + joints[:, 14]) / 2)


def test_a_missing_joint_stays_missing():
    joints = torch.randn(2, 17, 3)
    joints[0, H36M17.index("left_shoulder")] = torch.nan
    labelled = torch.ones(2, 17, dtype=torch.bool)
    labelled[1, H36M17.index("nose")] = False
    remapped, valid = H36M17.remap(joints, HEMLETS18, valid=labelled)
    assert remapped.isfinite().all()
    assert [HEMLETS18.joint_names[j] for j in (~valid[0]).nonzero()[:, 0]] == ["left_shoulder", "thorax"]
    assert [HEMLETS18.joint_names[j] for j in (~valid[1]).nonzero()[:, 0]] == ["nose"]


def test_wrong_joint_count_says_what_to_do():
    message = r"`joints` must have 18 joints for skeleton 'hemlets18', got 17\. Use Skeleton\.remap\(\) first"
    with pytest.raises(ValueError, match=message):
        HEMLETS18.remap(torch.zeros(2, 17, 3), H36M17)


def test_unknown_joint_lists_the_known_ones():
    with pytest.raises(ValueError, match="has no joint 'tail'; it has: pelvis, right_hip"):
        HEMLETS18.index("tail")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"joint_names": ("a", "a", "b")}, "joint names must be unique"),
        (
            {"joint_names": ("a", "<script>", "c")},
            r"joint names of Latin letters, .*, got '<script>'. Rename",
        ),
        ({"joint_names": ("a", "", "c")}, r"joint names of Latin letters, .*, got ''"),
        ({"joint_names": ("a", 7, "c")}, r"joint names of Latin letters, .*, got '7'"),
        ({"joint_names": ("a", "b\n", "c")}, r"joint names of Latin letters, .*, got 'b"),
        ({"part_names": (("a", "z"),)}, r"expected names among its 3 joints, got \['z'\]"),
        ({"parent_names": {"b": "a"}}, r"exactly one joint without a parent \(the root\), got \['a', 'c'\]"),
        ({"parent_names": {"b": "c", "c": "b"}}, "the tree has a cycle through 'b'"),
    ],
)
def test_impossible_skeletons_are_refused(change, message):
    good = {"name": "s", "joint_names": ("a", "b", "c"), "parent_names": {"b": "a", "c": "b"}}
    with pytest.raises(ValueError, match=message):
        Skeleton(**{**good, **change})


def test_asymmetric_parts_cannot_be_flipped():
    lopsided = Skeleton(
        name="lopsided",
        joint_names=("neck", "left_shoulder", "right_shoulder"),
        parent_names={"left_shoulder": "neck", "right_shoulder": "neck"},
        part_names=(("neck", "left_shoulder"),),
    )
    with pytest.raises(ValueError, match=r"the parts are not symmetric, \[\('neck', 'right_shoulder'\)\]"):
        _ = lopsided.part_flip_permutation


def test_equal_by_content_hashable_and_picklable():
    copy = pickle.loads(pickle.dumps(HEMLETS18))
    assert copy == HEMLETS18
    assert hash(copy) == hash(HEMLETS18)
    assert HEMLETS18 != H36M17


def test_whole_pixels_keep_their_halves():
    clicked = torch.arange(34).reshape(17, 2)
    joints, valid = H36M17.remap(clicked, HEMLETS18)
    assert valid.all()
    assert joints[17].tolist() == [25.0, 26.0]  # midway between joints 11 (22, 23) and 14 (28, 29)
