"""Folders with h36m_meta.mat and with matlab_meta.txt: where things lie, and everything that may be wrong."""

from __future__ import annotations

import re
import shutil

import numpy as np
import pytest
import scipy.io
import torch
from downloads.human36m import CAMERAS, SUBJECTS
from downloads.human36m_images import meta_text, shot, write_meta_mat, write_meta_txt

from hemlets_lib.data.cameras import h36m_camera
from hemlets_lib.data.readers import Skipped, Take
from hemlets_lib.data.readers.files import DownloadError
from hemlets_lib.data.readers.human36m.facts import DEFAULT_STEPS, pelvis_boxes
from hemlets_lib.data.readers.human36m.meta import Human36mMetaMat, Human36mMetaText
from hemlets_lib.data.readers.human36m.meta_text import count_poses, parse_meta_text
from hemlets_lib.data.sample import UnreadableSample

ONE = shot("S9", 10, 2, "SittingDown 1", CAMERAS[0], range(12))


def read(reader, split="test", **options):
    items = list(reader.takes(split, **options))
    return [each for each in items if isinstance(each, Take)], [
        each for each in items if isinstance(each, Skipped)
    ]


@pytest.fixture
def mat(tmp_path):
    write_meta_mat(tmp_path, [ONE])
    return tmp_path


def rewrite(root, **changes):
    """The take's h36m_meta.mat with other content; None takes a variable out."""
    path = root / ONE.folder / "h36m_meta.mat"
    content = {key: value for key, value in scipy.io.loadmat(path).items() if not key.startswith("_")}
    content = {key: value for key, value in {**content, **changes}.items() if value is not None}
    scipy.io.savemat(path, content)
    return path


def test_splits_and_steps_are_the_protocols(mat):
    reader = Human36mMetaMat(mat)
    assert reader.splits == ("train", "test") and reader.default_steps == DEFAULT_STEPS
    (take,), skipped = read(reader, step=5)
    assert take.frames.tolist() == [0, 5, 10]
    assert [path.stem[-6:] for path in take.pictures.paths] == ["000001", "000006", "000011"]
    assert [(item.name, item.reason) for item in skipped] == [("S11", "the subject is missing")]


def test_every_subject_action_and_camera_by_number(tmp_path):
    listed = [
        shot(subject, 2 + 2 * number, 1 + number % 2, "Directions 1", CAMERAS[number % 4], (0,))
        for number, subject in enumerate(SUBJECTS)
    ]
    write_meta_mat(tmp_path, listed)
    reader = Human36mMetaMat(tmp_path)
    takes = [take for split in reader.splits for take in read(reader, split)[0]]
    assert [(take.meta.subject, take.meta.action, take.meta.camera_name) for take in takes] == [
        ("S1", "Directions", CAMERAS[0]), ("S5", "Eating", CAMERAS[1]), ("S6", "Phoning", CAMERAS[2]),
        ("S7", "Purchases", CAMERAS[3]), ("S8", "SittingDown", CAMERAS[0]), ("S9", "Photo", CAMERAS[1]),
        ("S11", "Walking", CAMERAS[2]),
    ]  # fmt: skip
    for take in takes:
        published = h36m_camera(take.meta.camera_name, take.meta.subject)
        for field in ("focal_px", "centre_px", "k_radial", "p_tangential", "rotation", "position_mm"):
            torch.testing.assert_close(getattr(take.camera, field), getattr(published, field))


def test_the_box_is_two_metres_about_the_pelvis(mat):
    (take,), _ = read(Human36mMetaMat(mat))
    np.testing.assert_array_equal(take.boxes_px, pelvis_boxes(take.joints_cam_mm, take.camera))
    side = 2000 * ONE.lens.f.mean() / ONE.cam_mm[0, 0, 2]
    np.testing.assert_allclose(take.boxes_px[0], [*ONE.px[0, 0], side], atol=1e-6)


@pytest.mark.parametrize("place", ["images", "data"])
def test_folders_may_lie_below(mat, tmp_path_factory, place):
    root = tmp_path_factory.mktemp("below")
    shutil.move(mat / ONE.folder, root / place / ONE.folder)
    assert Human36mMetaMat.recognises(root)
    (take,), _ = read(Human36mMetaMat(root))
    assert take.sample(0, size=32).in_crop.all()


def test_annotations_may_lie_apart_from_pictures(mat, tmp_path_factory):
    root = tmp_path_factory.mktemp("apart")
    (root / "annotations" / ONE.folder).mkdir(parents=True)
    shutil.move(mat / ONE.folder / "h36m_meta.mat", root / "annotations" / ONE.folder)
    shutil.move(mat / ONE.folder, root / "images" / ONE.folder)
    (take,), _ = read(Human36mMetaMat(root))
    assert take.sample(0, size=32).in_crop.all()
    assert not [found for found in Human36mMetaMat(root).check() if found.problem]


def test_shapes_that_matlab_turns(mat):
    known = ONE.lens
    rewrite(mat, T=known.T[:, None], f=known.f[:, None], c=known.c)
    (take,), _ = read(Human36mMetaMat(mat))
    np.testing.assert_allclose(take.joints_cam_mm[:, :17], ONE.cam_mm, atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"pose3d_world": None}, "expected pose3d_world, found only"),
        ({"R": None, "c": None}, "expected R, c, found only"),
        (
            {"pose3d_world": np.zeros((12, 16, 3))},
            r"`pose3d_world` of shape \(any, 17, 3\), got \(12, 16, 3\)",
        ),
        ({"pose3d_world": np.zeros((12, 3, 17))}, r"`pose3d_world` of shape"),
    ],
)
def test_check_names_what_is_wrong_in_the_head(mat, changes, problem):
    rewrite(mat, **changes)
    (found,) = [each for each in Human36mMetaMat(mat).check() if each.path.endswith(".mat") and each.problem]
    assert found.path == f"{ONE.folder}/h36m_meta.mat"
    assert re.search(problem, found.problem)
    takes, skipped = read(Human36mMetaMat(mat))
    assert not takes and (ONE.folder, "its h36m_meta.mat cannot be read") in {
        (item.name, item.reason) for item in skipped
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"R": np.ones((3, 3))}, r"h36m_meta\.mat: expected a rotation in `R`"),
        ({"R": np.eye(2)}, r"`R` of shape \(9\), got \(4,\)"),
        ({"f": np.array([[0.0, 1145]])}, "expected focal lengths above 0 px"),
        ({"T": np.array([[1.0, 2]])}, r"`T` of shape \(3\), got \(2,\)"),
        ({"c": np.array([["a", "b"]])}, "expected numbers in `c`"),
        (
            {"pose3d_world": np.full((12, 17, 3), np.nan)},
            "expected finite numbers in `pose3d_world`, got nan",
        ),
        ({"pose3d_world": np.array([["text"]])}, "expected numbers in `pose3d_world`"),
    ],
)
def test_damaged_numbers(mat, changes, message):
    path = rewrite(mat, **changes)
    with pytest.raises(DownloadError, match=message):
        Human36mMetaMat(mat)._read(path, CAMERAS[0])
    assert not read(Human36mMetaMat(mat))[0]


def test_version_73_is_told(mat):
    (mat / ONE.folder / "h36m_meta.mat").write_bytes(b"MATLAB 7.3 MAT-file".ljust(512, b"\0"))
    with pytest.raises(DownloadError, match=r"expected a MATLAB file of version 5 to 7, got version 7\.3"):
        Human36mMetaMat(mat)._read(mat / ONE.folder / "h36m_meta.mat", CAMERAS[0])
    assert any("h36m_meta.mat" in found.path and found.problem for found in Human36mMetaMat(mat).check())


def test_a_camera_that_does_not_see_the_person(mat):
    rewrite(mat, R=np.diag([-1.0, 1, -1]) @ ONE.lens.R)  # looks the other way
    takes, skipped = read(Human36mMetaMat(mat))
    assert not takes
    assert (ONE.folder, "its camera does not see the joints", 12) in {
        (item.name, item.reason, item.frames) for item in skipped
    }


def test_missing_pictures(mat):
    (mat / ONE.folder / f"{ONE.folder}_000003.jpg").unlink()
    (take,), _ = read(Human36mMetaMat(mat))
    with pytest.raises(UnreadableSample, match=r"_000003.*expected a picture file, found none"):
        take.sample(2, size=32)
    assert take.sample(3, size=32).in_crop.all()


def test_nothing_to_read(tmp_path):
    for reader in (Human36mMetaMat(tmp_path), Human36mMetaText(tmp_path)):
        with pytest.raises(DownloadError, match=r"expected folders of S9, S11, such as .*s_09_act_02"):
            list(reader.takes("test"))
        assert any(found.problem for found in reader.check())
        assert not reader.recognises(tmp_path)


# --- The text --------------------------------------------------------------------------------------


def test_text_by_hand():
    poses = "\n".join("pose " + " ".join(str(100 * frame + n) for n in range(96)) for frame in range(2))
    text = (
        "2\nsize 1000 1002\nR 0 0 1 1 0 0 0 1 0\nT 10 20 30\nf 1000 1100\nc 500 501\nk 0.1 0.2 0.3\n"
        f"p 0.01 0.02\njoints {' '.join(str(n) for n in range(2, 19))}\n{poses}\n"
    )
    joints, camera = parse_meta_text(text, where="a.txt")
    assert joints.shape == (2, 17, 3)
    assert joints[1, 0].tolist() == [103, 104, 105]  # joint 2 of 32, counted from 1
    # Stored column by column: the first column is (0, 0, 1).
    assert camera.rotation.tolist() == [[0, 1, 0], [0, 0, 1], [1, 0, 0]]
    assert camera.position_mm.tolist() == [10, 20, 30] and camera.focal_px.tolist() == [1000, 1100]
    assert camera.centre_px.tolist() == [500, 501]
    assert camera.k_radial.tolist() == [0.1, 0.2, 0.3] and camera.p_tangential.tolist() == [0.01, 0.02]


def line(number, text):
    """The good file with one line replaced."""
    lines = meta_text(shot("S9", 10, 2, "SittingDown 1", CAMERAS[0])).splitlines()
    return "\n".join([*lines[: number - 1], text, *lines[number:]])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"a\.txt: expected 9 lines and a line for each frame, got 0 lines"),
        (line(1, "many"), "line 1: expected numbers, got 'many'"),
        (line(1, "2.5"), "line 1: expected how many frames there are, got '2.5'"),
        (line(1, "1e300"), "expected 1000000"),
        (line(1, "4"), "expected 4 lines of poses, got 3"),
        (line(3, "R 1 2 3"), "line 3: expected 9 numbers after a word, got 3"),
        (line(3, "R 1 1 1 1 1 1 1 1 1"), "expected a rotation in `R`"),
        (line(5, "f -1 1145"), "line 5: expected focal lengths above 0 px"),
        (line(7, "k a b c"), "line 7: expected numbers, got 'k a b c'"),
        (line(8, "p nan 0"), "line 8: expected finite numbers"),
        (line(9, "joints " + "33 " * 17), "expected the numbers of 17 joints, 1 to 32"),
        (line(11, "pose 1 2 3"), "line 11: expected 96 numbers after a word, got 3"),
    ],
)
def test_malformed_text(text, message):
    with pytest.raises(DownloadError, match=message):
        parse_meta_text(text, where="a.txt")


def test_text_heads_are_enough_to_check(tmp_path):
    path = tmp_path / "matlab_meta.txt"
    good = meta_text(ONE)
    path.write_text(good)
    assert count_poses(path) == 12
    for content, message in (
        ("", "missing or empty"),
        (good[: len(good) // 2], "cut short"),
        ("x\n" * 20, "line 1: expected numbers"),
    ):
        path.write_text(content)
        with pytest.raises(DownloadError, match=message):
            count_poses(path)


def test_text_without_its_pictures(tmp_path):
    write_meta_txt(tmp_path, [ONE])
    shutil.rmtree(tmp_path / "images")
    takes, skipped = read(Human36mMetaText(tmp_path))
    assert not takes and (ONE.folder, "its pictures are missing", 12) in {
        (item.name, item.reason, item.frames) for item in skipped
    }
    problems = [found for found in Human36mMetaText(tmp_path).check() if found.problem]
    assert problems[0].path == f"images/{ONE.folder}/*" and "12 of 12 pictures" in problems[0].problem
