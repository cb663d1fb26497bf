"""What data sets of photographs have in common: who is left out and why, several people in a picture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from hemlets_lib.data.readers.contract import Skipped, Take
from hemlets_lib.data.readers.files import DownloadError
from hemlets_lib.data.readers.photographs import (
    Person,
    PhotoReader,
    need,
    px_array,
    to_hemlets18,
)
from hemlets_lib.data.sample import BOX_MARGIN, UnreadableSample
from hemlets_lib.skeleton import HEMLETS18, Skeleton
from hemlets_lib.triplets import UNKNOWN

NAN = np.nan


class Album(PhotoReader):
    """Whoever it is given, in an order of three joints."""

    dataset, form, title, layout, source = "album", "list", "", "", ""
    splits, unlabelled, assumptions = ("train", "test"), ("test",), ()
    skeleton = Skeleton(
        name="three",
        joint_names=("left_shoulder", "neck", "right_shoulder"),
        parent_names={"left_shoulder": "neck", "right_shoulder": "neck"},
    )

    def __init__(self, root, *people):
        super().__init__(root)
        self.given = people

    @classmethod
    def recognises(cls, root):
        return True

    def annotation_names(self, split):
        return ("labels.json",)

    def people(self, split):
        for item in self.given:
            if isinstance(item, Exception):
                raise item
            yield item


@pytest.fixture
def person(tmp_path):
    (tmp_path / "images").mkdir()
    Image.new("RGB", (40, 30), (200, 10, 10)).save(tmp_path / "images" / "a.png")
    joints = np.array([(10.0, 20.0), (14.0, 9.0), (30.0, 12.0)])
    return Person(tmp_path / "images" / "a.png", "a:0", 4, joints)


def take_of(reader, split="train", **options):
    (take,) = [item for item in reader.takes(split, **options) if isinstance(item, Take)]
    return take


def test_two_people_in_a_picture_are_two_frames(tmp_path, person):
    states = np.full(14, UNKNOWN)
    states[7] = 1
    other = replace(person, name="a:1", number=5, box_px=np.array([12.0, 13.0, 20.0]), states=states)
    take = take_of(Album(tmp_path, person, other))
    assert take.frames.tolist() == [4, 5]
    first, second = (take.sample(place, size=20) for place in range(2))
    assert [s.meta.sample_id for s in (first, second)] == ["album/a:0", "album/a:1"]
    assert (first.meta.dataset, first.meta.source, first.meta.frame) == ("album", "list", 4)
    # Without a box of the data set's own, about the joints: they span 10 … 30 and 9 … 20.
    np.testing.assert_allclose(take.boxes_px, [(20, 14.5, 20 * BOX_MARGIN), (12, 13, 20)])
    assert first.part_states.tolist() == [UNKNOWN] * 14
    assert second.part_states.tolist() == [UNKNOWN] * 7 + [1] + [UNKNOWN] * 6
    known = [HEMLETS18.joint_names[at] for at in np.flatnonzero(first.joint_valid)]
    assert known == ["neck", "left_shoulder", "right_shoulder", "thorax"]
    assert not first.depth_valid.any() and first.joints_cam_mm is None and first.camera is None


def test_who_is_left_out_and_why(tmp_path, person):
    joints = person.joints_px
    lone, nobody = joints.copy(), np.full((3, 2), NAN)
    lone[1:] = NAN
    people = [
        replace(person, name="gone", picture=tmp_path / "images" / "b.png"),
        replace(person, name="lone", joints_px=lone),
        replace(person, name="point", joints_px=np.broadcast_to(joints[:1], (3, 2))),
        Skipped("told", "by the data set", 3),
        person,
    ]
    reader = Album(tmp_path, *people)
    found = [item for item in reader.takes("train") if isinstance(item, Skipped)]
    assert [(item.name, item.reason, item.frames) for item in found] == [
        ("gone", "picture missing", 1),
        ("lone", "fewer than two joints labelled", 1),
        ("point", "joints all in one point", 1),
        ("told", "by the data set", 3),
    ]
    box = np.array([20.0, 15.0, 20.0])
    take = take_of(Album(tmp_path, replace(person, joints_px=nobody, box_px=box)), "test")
    assert not take.sample(0, size=16).joint_valid.any()
    assert not list(Album(tmp_path).takes("train"))  # nobody: no empty take


def test_a_step_takes_every_so_manieth(tmp_path, person):
    reader = Album(tmp_path, *(replace(person, number=number) for number in range(5)))
    assert take_of(reader, step=2).frames.tolist() == [0, 2, 4]


def test_a_damaged_picture_is_told_when_it_is_decoded(tmp_path, person):
    take = take_of(Album(tmp_path, person))
    person.picture.write_bytes(person.picture.read_bytes()[:60])
    with pytest.raises(UnreadableSample, match=r"^album/a:0: .*a\.png: expected a complete picture"):
        take.sample(0, size=16)


def test_a_split_must_be_known(tmp_path, person):
    with pytest.raises(ValueError, match=r"`split` of album \(list\) must be one of train, test, got 'val'"):
        next(iter(Album(tmp_path, person).takes("val")))


def test_check_names_what_is_missing(tmp_path, person):
    empty = tmp_path / "images" / "c.png"
    empty.touch()
    reader = Album(
        tmp_path,
        person,
        *(replace(person, picture=tmp_path / "images" / f"{number}.png") for number in range(6)),
        replace(person, picture=empty),
        Skipped("x", "no joints labelled", 2),
    )
    findings = list(reader.check())
    assert [found.note for found in findings[:2]] == [
        f"{split}: people: 8; no joints labelled: 2" for split in ("train", "test")
    ]
    assert findings[2].path == "images" and findings[2].note == "1 pictures"
    assert findings[2].problem == (
        "7 of 8 pictures are missing or empty: images/0.png, images/1.png, images/2.png, images/3.png, "
        "images/4.png, …"
    )
    error = DownloadError(f"{tmp_path}/labels.json: expected JSON, got none.")
    (found,) = Album(tmp_path, error).check()  # once, though both splits fail
    assert (found.path, found.problem) == ("labels.json", "expected JSON, got none.")


def test_joints_that_are_nobodys_stay_so():
    joints = np.full((2, 3, 2), NAN)
    joints[0] = [(1, 2), (3, 4), (5, 8)]
    joints[1, 0] = (7, 8)
    mapped = to_hemlets18(joints, Album.skeleton)
    at = HEMLETS18.index
    assert mapped[0, at("thorax")].tolist() == [3, 5]  # the shoulders' middle
    assert mapped[1, at("left_shoulder")].tolist() == [7, 8]
    assert np.isnan(mapped[1]).all(-1).sum() == 17 and np.isnan(mapped[0, at("pelvis")]).all()


def test_pixels_beyond_all_pictures_are_damage():
    assert np.isnan(px_array([1, NAN], (2,), name="x", where="f")).tolist() == [False, True]
    with pytest.raises(
        DownloadError, match=r"f, record 2: expected pixels in `x`, got 1e\+30\. The file may"
    ):
        px_array([1, 1e30], (2,), name="x", where="f, record 2")
    with pytest.raises(DownloadError, match=r"expected pixels in `x`, got -inf"):
        px_array([1, -np.inf], (2,), name="x", where="f")
    with pytest.raises(DownloadError, match=r"f: expected `c`, found only a, b\."):
        need({"b": 1, "a": 2}, "c", "f")
    with pytest.raises(DownloadError, match=r"found only nothing"):
        need({}, "c", "f")
