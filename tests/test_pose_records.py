"""Poses as JSON: numbers that can be used without this library, and whose they are."""

import json

import numpy as np
import pytest
import torch

from hemlets_lib.checkpoint import CheckpointInfo, load_checkpoint, save_checkpoint
from hemlets_lib.data.samples import find_weights
from hemlets_lib.model import PRESETS, HEMletsNet, ModelConfig
from hemlets_lib.people import FoundPeople, PersonBox, predict_people
from hemlets_lib.pose_records import (
    CONVENTIONS,
    DISTANCES,
    channels_note,
    has_seen_photographs,
    network_record,
    people_records,
    poses_content,
    why_no_triplets,
)
from hemlets_lib.skeleton import HEMLETS18
from hemlets_lib.triplets import UNKNOWN, part_states
from hemlets_lib.weights import RELEASE

CONFIG = ModelConfig(
    "test", "tiny", image_size=32, heatmap_size=16, depth_size=5, upsample_channels=6, encoder_channels=9,
    fusion=(3, 11),
)  # fmt: skip
BOXES = (PersonBox(5, 6, 20, 30, 0.75), PersonBox(30.5, 2, 25, 40))


@pytest.fixture(scope="module")
def found() -> FoundPeople:
    torch.manual_seed(1)
    model = HEMletsNet(CONFIG)
    for layer in (model.head[-1], model.hemlets_branch.tail):
        torch.nn.init.normal_(layer.weight, std=5.0)
    picture = np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    return predict_people(model, picture, boxes=BOXES)


def info(metadata) -> CheckpointInfo:
    return CheckpointInfo(CONFIG, metadata, "float32", {}, None)


def test_every_number_is_there(found):
    records = json.loads(json.dumps(people_records(found, CONFIG), allow_nan=False))
    for row, (record, box) in enumerate(zip(records, BOXES, strict=True)):
        assert record["box"] == [box.x, box.y, box.width, box.height] and record["score"] == box.score
        assert record["square"] == list(box.square())
        for name in ("joints_px", "joints_root_rel_mm"):
            expected = getattr(found.prediction, name)[row]
            torch.testing.assert_close(torch.tensor(record[name]), expected, atol=0.006, rtol=0)
        assert record["joints_root_rel_mm"][HEMLETS18.root] == [0, 0, 0]
        assert record["depth_source"] in DISTANCES
        states = [
            None if state == UNKNOWN else state for state in found.prediction.decoded.states[row].tolist()
        ]
        assert record["part_states"] == states and record["part_states_from"] == "triplets"


def test_states_of_the_joints_where_triplets_are_not_trusted(found):
    records = people_records(found, CONFIG, trust_triplets=False)
    expected = part_states(found.prediction.joints_root_rel_mm, HEMLETS18, variant="hemlets")
    assert [record["part_states"] for record in records] == expected.tolist()
    assert all(record["part_states_from"] == "joints" for record in records)


def test_what_is_unknown_is_null(found):
    nowhere = torch.full_like(found.prediction.joints_root_rel_mm, torch.nan)
    unknown = found.prediction._replace(joints_root_rel_mm=nowhere, decoded=None)
    records = people_records(FoundPeople(found.image, found.boxes, found.squares, "given", unknown), CONFIG)
    assert records[0]["joints_root_rel_mm"] == [[None] * 3] * 18
    assert set(records[0]["part_states"]) == {None}
    json.dumps(records, allow_nan=False)


def test_nobody():
    assert people_records(FoundPeople(np.zeros((4, 5, 3), np.uint8), (), (), "detector", None), CONFIG) == []


def test_the_file_explains_itself(found):
    people = people_records(found, CONFIG)
    content = poses_content([{"file": "a.jpg", "people": people}], network={"file": "w"}, skeleton=HEMLETS18)
    explained = set(content["conventions"])
    assert explained == set(CONVENTIONS)
    assert set(people[0]) <= explained  # every field of a person is explained
    assert {"file", "frame", "time_s", "width", "height", "boxes_from", "people", "failed"} <= explained
    keys = list(content)
    assert keys.index("pictures") < keys.index("network")  # the poses before the recipe of the network
    assert content["failed"] == []
    assert content["skeleton"]["joints"][content["skeleton"]["joints"].index("nose")] == "nose"
    assert content["skeleton"]["root"] == "pelvis" and ["pelvis", "right_hip"] in content["skeleton"]["bones"]
    assert content["skeleton"]["parts"][7] == {"parent": "neck", "child": "head"}
    assert content["format"] == "hemlets-poses" and {"time", "git", "packages"} <= content["made"].keys()
    json.dumps(content, allow_nan=False)


def test_whose_weights(tmp_path):
    path = tmp_path / "w.safetensors"
    save_checkpoint(path, HEMletsNet(CONFIG), metadata={"step": 7})
    record = network_record(path, load_checkpoint(path).info)
    assert len(record["sha256"]) == 64 and record["file"] == "w.safetensors"
    assert "network 'test', no preset" in record["description"] and record["metadata"] == {"step": 7}
    assert record["has_seen_photographs"] is None and record["preset"] is None
    json.dumps(record, allow_nan=False)


def test_the_shipped_network_has_seen_drawings_alone():
    assert has_seen_photographs(load_checkpoint(find_weights()).info) is False


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({}, None),
        ({"data": {"sources": []}}, None),
        ({"data": {"sources": [{"kind": "synthetic"}, {"kind": "counterpart"}]}}, False),
        ({"data": {"sources": [{"kind": "synthetic"}, {"kind": "human36m"}]}}, True),
        ({"data": {"sources": [{"kind": "synthetic"}, {}]}}, None),
        ({"data": {"sources": ["?"]}}, None),
        ({"data": {"sources": [{"kind": ["a"]}]}}, None),
        ({"data": {"sources": [{"kind": "human36m"}, {"kind": 7}]}}, None),
        (dict(RELEASE), True),
    ],
)
def test_what_networks_have_seen(metadata, expected):
    assert has_seen_photographs(info(metadata)) is expected


def test_uncertain_channels_are_noted(tmp_path):
    """After `hemlets convert --inspect`: what was left over is decoded, and said to be uncertain."""
    maps = [{"map": f"neck → head, {number}", "verdict": "certain"} for number in range(14)]
    path = tmp_path / "w.safetensors"
    save_checkpoint(path, HEMletsNet(CONFIG), metadata={"channels": {"maps": maps}})
    record = network_record(path, load_checkpoint(path).info)
    assert record["channels_note"] == "" and channels_note(info({})) == ""
    unsure = [*maps[:2], *({**each, "verdict": "shown 0 times"} for each in maps[2:])]
    save_checkpoint(path, HEMletsNet(CONFIG), metadata={"channels": {"maps": unsure}})
    note = network_record(path, load_checkpoint(path).info)["channels_note"]
    assert "for 12 of 14 it is uncertain (neck → head, 2; neck" in note and "head, 11 and 2 more)" in note
    for damaged in (None, {}, {"maps": []}, {"maps": [7]}, {"maps": "all"}):
        assert "does not say which" in channels_note(info({"channels": damaged}))


def test_triplets_whose_order_nobody_published_are_left_out():
    released = CheckpointInfo(PRESETS["official"], dict(RELEASE), "float32", {}, None)
    assert "which of the 60 maps of the authors' network is which is not published" in why_no_triplets(
        released
    )
    assert why_no_triplets(info({"step": 1})) == ""
    assert why_no_triplets(info({**RELEASE, "channel_order": "parts, then joints"})) == ""
