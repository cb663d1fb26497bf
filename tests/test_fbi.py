"""Forward-or-backward labels: the form, what 0 means, and a converter of another project's text files."""

from __future__ import annotations

import copy
import functools
import json

import numpy as np
import pytest
from downloads.fbi import document, part_states, write_json, write_label_texts
from downloads.photographs import people

from hemlets_lib.data.readers.contract import Take
from hemlets_lib.data.readers.fbi import FBI_NAME, Fbi, convert, fbi_document, write_fbi
from hemlets_lib.data.readers.fbi_label_texts import CONVERTERS, ordinal_pose_labels
from hemlets_lib.data.readers.files import DownloadError
from hemlets_lib.skeleton import HEMLETS18
from hemlets_lib.triplets import UNKNOWN, VARIANTS, encode_triplets

PARTS = HEMLETS18.part_names


def read(root):
    (take,) = Fbi(root).takes("train")
    assert isinstance(take, Take)
    return take


@pytest.fixture
def content(tmp_path):
    """A valid document of three people; its pictures are in place."""
    write_json(tmp_path)
    return json.loads((tmp_path / FBI_NAME).read_text())


def rewrite(root, content):
    (root / FBI_NAME).write_text(json.dumps(content))
    return Fbi(root)


def test_joints_and_states_by_name(tmp_path):
    write_json(tmp_path)
    poses, joints_px = people(3, seed=41)
    take = read(tmp_path)
    for name, joint in (("head", 10), ("left_wrist", 13), ("right_hip", 1), ("pelvis", 0)):
        np.testing.assert_allclose(take.joints_px[:, HEMLETS18.index(name)], joints_px[:, joint], atol=5e-4)
    for name in ("torso", "nose", "thorax"):  # not in the file; nothing is deduced
        assert np.isnan(take.joints_px[:, HEMLETS18.index(name)]).all()
    assert np.isnan(take.joints_px[1, HEMLETS18.index("right_ankle")]).all()
    expected = part_states(poses)
    expected[0, 3:5] = UNKNOWN
    np.testing.assert_array_equal(take.states, expected)
    assert {-1, 0, 1} <= set(expected.ravel().tolist())
    np.testing.assert_array_equal(take.boxes_px[2], (100, 80, 150))
    sample = take.sample(2, size=48)
    assert (sample.meta.dataset, sample.meta.source, sample.meta.sample_id) == ("fbi", "json", "fbi/3:2")
    assert not sample.depth_valid.any() and sample.joints_cam_mm is None


def test_forward_is_the_map_of_nearer_children(tmp_path, content):
    """+1 in the file is the last map of a triplet, where the paper puts a child that is nearer."""
    content["records"] = content["records"][:1]
    content["records"][0]["states"] = [None] * 14
    content["records"][0]["states"][10] = 1  # right elbow → right wrist
    rewrite(tmp_path, content)
    sample = read(tmp_path).sample(0, size=64)
    maps = encode_triplets(
        sample.joints_crop[None], sample.part_states[None], skeleton=HEMLETS18, size=16
    )[0, 10]  # fmt: skip
    wrist = sample.joints_crop[HEMLETS18.index("right_wrist"), :2]
    y, x = divmod(int(maps[VARIANTS["hemlets"].child_maps[2]].argmax()), 16)
    assert abs((wrist[0] + 0.5) * 16 - 0.5 - x) <= 0.5 and abs((wrist[1] + 0.5) * 16 - 0.5 - y) <= 0.5


@pytest.mark.parametrize(("zero", "state"), [("parallel", 0), ("uncertain", UNKNOWN)])
def test_zero_means_what_the_file_says(tmp_path, content, zero, state):
    content["zero"] = zero
    content["records"][1]["states"] = [0, 1, -1, None, *[0] * 10]
    rewrite(tmp_path, content)
    assert read(tmp_path).states[1].tolist() == [state, 1, -1, UNKNOWN, *[state] * 10]


def test_any_order_of_joints_and_parts(tmp_path, content):
    take = read(tmp_path)
    rng = np.random.default_rng(0)
    joints, parts = rng.permutation(15), rng.permutation(14)[:9]
    content["joint_names"] = [content["joint_names"][joint] for joint in joints]
    content["parts"] = [content["parts"][part] for part in parts]
    for record in content["records"]:
        record["joints_px"] = [record["joints_px"][joint] for joint in joints]
        record["states"] = [record["states"][part] for part in parts]
    rewrite(tmp_path, content)
    again = read(tmp_path)
    np.testing.assert_array_equal(again.joints_px, take.joints_px)
    np.testing.assert_array_equal(again.states[:, parts], take.states[:, parts])
    assert (np.delete(again.states, parts, axis=1) == UNKNOWN).all()


# --- Documents -------------------------------------------------------------------------------------


def made(content, **changes):
    arguments = {key: content[key] for key in ("joint_names", "zero", "origin")}
    arguments["parts"] = [tuple(part) for part in content["parts"]]
    return fbi_document(content["records"], **(arguments | changes))


def test_a_document_made_is_the_document_written(tmp_path, content):
    assert made(content) == content
    path = write_fbi(tmp_path, made(content))
    assert path == tmp_path / FBI_NAME and json.loads(path.read_text()) == content


def test_a_bad_document_leaves_the_earlier_file(tmp_path, content):
    before = (tmp_path / FBI_NAME).read_bytes()
    bad = copy.deepcopy(content)
    bad["records"][2]["states"][0] = 7
    with pytest.raises(
        DownloadError, match=r"fbi\.json, record 2 \(images/3\.jpg\): expected 1, 0, -1 or null"
    ):
        write_fbi(tmp_path, bad)
    with pytest.raises(DownloadError, match=r"document, record 2"):
        made(bad)
    assert (tmp_path / FBI_NAME).read_bytes() == before
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == [FBI_NAME]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "other"}, r"fbi\.json: expected an object with format 'hemlets-fbi', got 'other'"),
        ({"format_version": 2}, r"expected format_version 1, got 2\. Convert the labels again"),
        ({"zero": None}, r"expected `zero` to be one of parallel, uncertain, got None"),
        ({"origin": " "}, r"expected `origin` to say who labelled what, got ' '"),
        ({"stats": []}, r"expected no keys but format, .*, got 'stats'"),
        ({"joint_names": ["pelvis", "tail"]}, r"expected joint_names out of pelvis, .*, got 'tail'"),
        ({"joint_names": ["pelvis", "pelvis"]}, r"`joint_names` to be a list of different names"),
        ({"joint_names": "pelvis"}, r"`joint_names` to be a list of different names, got 'pelvis'"),
        (
            {"parts": [["right_hip", "pelvis"]]},
            r"got \('right_hip', 'pelvis'\)\. Turn the pair round, and its st",
        ),
        ({"parts": [["neck", "nose"]]}, r"\(parent, child\) out of pelvis-right_hip, .*\. Leave others out"),
        ({"parts": [["neck", "head"]] * 2}, r"`parts` to be a list of different pairs"),
        ({"parts": 3}, r"`parts` to be a list of different pairs of names, got 3"),
        ({"records": []}, r"expected a list of `records`, got none"),
        ({"records": {}}, r"expected a list of `records`, got \{\}"),
        ({"records": [3]}, r"record 0: expected an object, got int"),
    ],
)
def test_a_form_that_is_not_kept(tmp_path, content, changes, message):
    with pytest.raises(DownloadError, match=message):
        list(rewrite(tmp_path, content | changes).takes("train"))


def test_a_key_that_is_missing(tmp_path, content):
    del content["zero"]
    with pytest.raises(DownloadError, match=r"expected `zero`, found only format, "):
        list(rewrite(tmp_path, content).takes("train"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image": "../1.jpg"}, r"record 1 \(\.\./1\.jpg\): expected a path inside .*leads out of it"),
        ({"image": "/etc/passwd"}, r"leads out of it\. It was not followed"),
        ({"image": None}, r"record 1: expected the name of a file, got None"),
        ({"states": [1, 0]}, r"record 1 \(images/2\.jpg\): expected `states` to be a list of 14, got 2"),
        ({"states": "many"}, r"expected `states` to be a list of 14, got str"),
        ({"states": [True] * 14}, r"expected 1, 0, -1 or null in `states`, got True"),
        ({"states": [1.0] * 14}, r"expected 1, 0, -1 or null in `states`, got 1\.0"),
        ({"joints_px": [[1, 2]] * 14}, r"expected `joints_px` to be a list of 15, got 14"),
        ({"joints_px": [[1, 2, 3]] * 15}, r"expected `joints_px of pelvis` of shape \(2\), got \(3,\)"),
        (
            {"joints_px": [[1, float("nan")]] * 15},
            r"expected finite numbers in `joints_px of pelvis`, got nan",
        ),
        ({"box_px": [1, 2, 0]}, r"expected `box_px` to have a side above 0, got 0"),
        ({"box_px": [1, 2]}, r"expected `box_px` of shape \(3\), got \(2,\)"),
        ({"boxes": 3}, r"expected no keys but image, joints_px, states, box_px, got 'boxes'"),
    ],
)
def test_a_record_that_is_not_as_it_should_be(tmp_path, content, changes, message):
    content["records"][1] |= changes
    with pytest.raises(DownloadError, match=message):
        list(rewrite(tmp_path, content).takes("train"))


def test_a_file_that_is_none(tmp_path):
    with pytest.raises(DownloadError, match=r"fbi\.json: expected a file there, found none"):
        list(Fbi(tmp_path).takes("train"))
    (tmp_path / FBI_NAME).write_text("[]")
    with pytest.raises(DownloadError, match=r"expected an object with format 'hemlets-fbi', got 'list'"):
        list(Fbi(tmp_path).takes("train"))
    assert Fbi.recognises(tmp_path)


# --- Converters ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("sides", "hip"), [("as_named", 1), ("swapped", 4)])
def test_text_files_become_a_document(tmp_path, sides, hip):
    joints_px, states = write_label_texts(tmp_path, count=11, seed=42)
    convert(tmp_path, functools.partial(ordinal_pose_labels, sides=sides, zero="parallel"))
    take = read(tmp_path)
    assert [path.name for path in take.pictures.paths[8:]] == ["9.jpg", "10.jpg", "11.jpg"]
    # In the files, joint 1 is what they name the right hip; swapped, it is the left one.
    first, other = ("right", "left") if sides == "as_named" else ("left", "right")
    np.testing.assert_allclose(take.joints_px[:, HEMLETS18.index(f"{first}_hip")], joints_px[:, 1], atol=1e-3)
    np.testing.assert_allclose(
        take.joints_px[:, HEMLETS18.index(f"{other}_wrist")], joints_px[:, 13], atol=1e-3
    )
    np.testing.assert_allclose(take.joints_px[:, HEMLETS18.index("head")], joints_px[:, 10], atol=1e-3)
    of_elbow = PARTS.index((f"{first}_elbow", f"{first}_wrist"))
    np.testing.assert_array_equal(
        take.states[:, of_elbow], states[:, PARTS.index(("right_elbow", "right_wrist"))]
    )
    np.testing.assert_array_equal(take.states[:, PARTS.index(("neck", "head"))], states[:, 7])


@pytest.mark.parametrize("name", sorted(CONVERTERS))
def test_converters_by_name_leave_the_uncertain_unlabelled(tmp_path, name):
    _, states = write_label_texts(tmp_path, count=2, seed=43)
    convert(tmp_path, CONVERTERS[name])
    found = read(tmp_path).states
    assert (found == UNKNOWN).sum() == (states == 0).sum() > 0
    assert (found == 1).sum() == (states == 1).sum() > 0


def test_a_converter_of_ones_own(tmp_path):
    content, _ = document(2, seed=44)
    convert(tmp_path, lambda folder: content)
    assert len(list(Fbi(tmp_path).people("train"))) == 2
    with pytest.raises(DownloadError, match=r"fbi\.json: expected an object with format"):
        convert(tmp_path, lambda folder: {"labels": []})
    assert json.loads((tmp_path / FBI_NAME).read_text()) == content


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"2\.txt: expected a line of joints and a line of bones, got 0 lines"),
        ("1 2\n0\n", r"2\.txt, line 1: expected `joints` of shape \(30\), got \(2,\)"),
        ("a " * 30 + "\n0\n", r"2\.txt, line 1: expected numbers in `joints`"),
        ("nan " * 30 + "\n0\n", r"2\.txt, line 1: expected finite numbers in `joints`"),
        ("1 " * 30 + "\n" + "3 " * 14, r"2\.txt, line 2: expected 14 bones of 0, 1 or 2, got '3 3"),
        ("1 " * 30 + "\n" + "1 " * 13, r"2\.txt, line 2: expected 14 bones"),
        (
            "1 " * 30 + "\n" + "\u0661 " * 14,
            r"2\.txt: expected lines of numbers, got a file that cannot be read",
        ),
    ],
)
def test_damaged_texts(tmp_path, text, message):
    write_label_texts(tmp_path, count=2, seed=45)
    (tmp_path / "our_labels" / "2.txt").write_text(text, encoding="utf-8")
    with pytest.raises(DownloadError, match=message):
        convert(tmp_path, CONVERTERS["ordinal_pose_swapped"])
    assert not (tmp_path / FBI_NAME).exists()


def test_options_of_the_texts(tmp_path):
    with pytest.raises(ValueError, match=r"`sides` must be one of as_named, swapped, got 'left'"):
        ordinal_pose_labels(tmp_path, sides="left", zero="parallel")
    with pytest.raises(DownloadError, match=r"our_labels: expected label files such as 1\.txt, found none"):
        ordinal_pose_labels(tmp_path, sides="swapped", zero="parallel")
