"""Shards: what is read is what was written, a killed build resumes, damage is named."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hemlets_lib.data.sample import Meta, Sample, UnreadableSample, collate, label_sample
from hemlets_lib.data.shards import ShardDataset, build_shards, verify_shards
from hemlets_lib.data.shards.manifest import read_manifest
from hemlets_lib.data.synthetic import SyntheticDataset
from hemlets_lib.geometry import Camera
from hemlets_lib.skeleton import Skeleton

ARM = Skeleton(
    name="arm3",
    joint_names=("shoulder", "elbow", "wrist"),
    parent_names={"elbow": "shoulder", "wrist": "elbow"},
    part_names=(("shoulder", "elbow"), ("elbow", "wrist")),
)


class Arms:
    """Small samples by number; every third has neither 3D nor a camera. Counts what it makes."""

    def __init__(self, length: int, *, seed: int = 0, delay_s: float = 0.0) -> None:
        self.length, self.seed, self.delay_s, self.made = length, seed, delay_s, []

    @property
    def config(self) -> dict:
        return {"kind": "arms", "seed": self.seed, "names": ("a", "b")}

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Sample:
        self.made.append(index)
        time.sleep(self.delay_s)
        rng = np.random.default_rng([self.seed, index])
        joints = torch.from_numpy(rng.normal(0, 200, (3, 3)) + np.array([0, 0, 4000]))
        lens = torch.tensor([-0.2, 0.1, 0.0])
        camera = Camera(torch.tensor([900.0, 910.0]), torch.tensor([50.0, 40.0]), lens)
        full = index % 3 > 0
        return label_sample(
            rng.integers(0, 256, (6, 6, 3), dtype=np.uint8).repeat(4, 0).repeat(4, 1),
            affine=torch.tensor([[0.5, 0.0, 1.0], [0.0, 0.5, 2.0]]),
            meta=Meta("arms", "S1", "Walking", index, "cam", f"arms-{index:05d}", "rng"),
            skeleton=ARM,
            joints_px=torch.from_numpy(rng.uniform(0, 40, (3, 2))),
            joints_cam_mm=joints if full else None,
            camera=camera if full else None,
        )


def assert_same(got: Sample, expected: Sample, *, grey_levels: float) -> None:
    for name in ("joints_crop", "joint_valid", "depth_valid", "part_states", "affine"):
        torch.testing.assert_close(getattr(got, name), getattr(expected, name), rtol=0, atol=0)
    assert got.meta == expected.meta
    assert (got.camera is None) == (expected.camera is None)
    if expected.camera is not None:
        for name in vars(expected.camera):
            assert torch.equal(getattr(got.camera, name), getattr(expected.camera, name)), name
        torch.testing.assert_close(got.joints_cam_mm, expected.joints_cam_mm, rtol=0, atol=0)
    assert np.abs(got.image.astype(int) - expected.image).mean() <= grey_levels


def build(out, source, **options):
    return build_shards(out, source, **{"rows_per_shard": 4, "workers": 1, "show_progress": False, **options})


@pytest.mark.parametrize(("image_format", "grey_levels"), [("png", 0), ("jpeg", 3)])
def test_samples_come_back_as_they_went_in(tmp_path, image_format, grey_levels):
    source = Arms(10)
    manifest = build(tmp_path, source, image_format=image_format)
    assert [line["rows"] for line in manifest["shards"]] == [4, 4, 2] and manifest["complete"]
    shards = ShardDataset(tmp_path)
    assert len(shards) == 10
    for index in range(10):
        assert_same(shards[index], source[index], grey_levels=grey_levels)
    assert_same(shards[-1], source[9], grey_levels=grey_levels)
    assert [meta.frame for meta in shards.metas()] == list(range(10))
    for found, name in zip(shards.joints(), ("joints_crop", "joint_valid"), strict=True):
        assert torch.equal(found, torch.stack([getattr(sample, name) for sample in shards]))
    with pytest.raises(IndexError, match="within the 10 samples"):
        shards[10]


def test_verify_counts_what_is_there(tmp_path):
    build(tmp_path, Arms(10))
    check = verify_shards(tmp_path)
    assert check.ok and check.num_rows == 10
    assert check.num_bytes == sum(path.stat().st_size for path in tmp_path.glob("*.arrow"))


def test_worker_processes_make_the_same_shards(tmp_path):
    one = build(tmp_path / "one", Arms(60), rows_per_shard=40)
    two = build(tmp_path / "two", Arms(60), rows_per_shard=40, workers=2)
    assert [line["sha256"] for line in one["shards"]] == [line["sha256"] for line in two["shards"]]


def test_batches_from_a_data_loader_in_worker_processes(tmp_path):
    build(tmp_path, Arms(10))
    options = {"collate_fn": collate, "num_workers": 1, "multiprocessing_context": "spawn"}
    loader = torch.utils.data.DataLoader(ShardDataset(tmp_path), batch_size=5, **options)
    batches = list(loader)
    assert [len(batch) for batch in batches] == [5, 5]
    assert batches[1].meta[4].frame == 9


def test_a_finished_build_makes_nothing_again(tmp_path):
    build(tmp_path, Arms(10))
    again = Arms(10)
    build(tmp_path, again)
    assert again.made == [0]  # one sample, to know the shapes


def test_damaged_and_missing_shards_are_made_anew_and_the_others_kept(tmp_path):
    first = build(tmp_path, Arms(10))
    (tmp_path / "shard-00000.arrow").unlink()
    whole = (tmp_path / "shard-00001.arrow").read_bytes()
    (tmp_path / "shard-00001.arrow").write_bytes(whole[:-100])
    kept = (tmp_path / "shard-00002.arrow").stat().st_mtime_ns
    (tmp_path / "shard-00001.arrow.tmp").write_bytes(b"half")

    check = verify_shards(tmp_path)
    assert not check.ok and check.num_rows == 2
    assert "shard-00000.arrow: expected a shard of 4 samples, found no file" in check.problems[0]
    assert f"shard-00001.arrow: expected {len(whole)} bytes, got {len(whole) - 100}" in check.problems[1]

    source = Arms(10)
    second = build(tmp_path, source)
    assert source.made == [0, *range(8)]
    assert second["shards"] == first["shards"]
    assert (tmp_path / "shard-00002.arrow").stat().st_mtime_ns == kept
    assert not list(tmp_path.glob("*.tmp"))
    assert verify_shards(tmp_path).ok


BUILD_SLOWLY = """
import sys
sys.path.insert(0, sys.argv[2])
from test_shards import Arms, build
build(sys.argv[1], Arms(40, delay_s=0.05))
"""


def test_a_killed_build_resumes(tmp_path):
    here = str(Path(__file__).parent)
    process = subprocess.Popen([sys.executable, "-c", BUILD_SLOWLY, str(tmp_path), here])
    try:
        deadline = time.monotonic() + 60
        while len(list(tmp_path.glob("*.arrow"))) < 3 and time.monotonic() < deadline:
            assert process.poll() is None, "the build ended by itself"
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    listed = len(read_manifest(tmp_path)["shards"])
    assert 2 <= listed < 10
    with pytest.raises(ValueError, match="expected 40 samples, got an unfinished build"):
        ShardDataset(tmp_path)
    (problem,) = verify_shards(tmp_path).problems
    assert "the build was interrupted" in problem or "not in the manifest" in problem  # killed in between

    source = Arms(40)
    build(tmp_path, source)
    assert source.made == [0, *range(4 * listed, 40)]
    fresh = build(tmp_path.with_name("fresh"), Arms(40))
    assert read_manifest(tmp_path)["shards"] == fresh["shards"]


BUILD_IN_PROCESSES = """
import sys
sys.path.insert(0, sys.argv[2])
from test_shards import Arms, build
build(sys.argv[1], Arms(400, delay_s=0.02), rows_per_shard=50, workers=2)
"""


def test_a_killed_build_takes_its_workers_along(tmp_path):
    """The workers hold the pipe that the build writes to: it ends when the last of them does."""
    here = str(Path(__file__).parent)
    command = [sys.executable, "-c", BUILD_IN_PROCESSES, str(tmp_path), here]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
    try:
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob("*.arrow")) and time.monotonic() < deadline:
            assert process.poll() is None, "the build ended by itself"
            time.sleep(0.02)
        assert list(tmp_path.glob("*.arrow"))
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=20)
    finally:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)


def test_a_set_can_be_extended_but_not_shortened(tmp_path):
    build(tmp_path, Arms(10))
    source = Arms(13)
    build(tmp_path, source)
    assert source.made == [0, *range(8, 13)]  # the two full shards stay
    assert len(ShardDataset(tmp_path)) == 13
    with pytest.raises(ValueError, match="was begun for 13 samples, asked for 10"):
        build(tmp_path, Arms(10))


def test_another_configuration_is_refused(tmp_path):
    build(tmp_path, Arms(10))
    with pytest.raises(
        ValueError, match=r"another configuration \(source\.seed: there 0, asked 7\)\. Choose"
    ):
        build(tmp_path, Arms(10, seed=7))
    with pytest.raises(ValueError, match=r"quality: there 95, asked 80; rows_per_shard: there 4, asked 5"):
        build(tmp_path, Arms(10), quality=80, rows_per_shard=5)
    assert verify_shards(tmp_path).ok


def test_a_changed_byte_is_noticed(tmp_path):
    build(tmp_path, Arms(4))
    path = tmp_path / "shard-00000.arrow"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert "SHA-256 differs" in verify_shards(tmp_path).problems[0]


def test_a_file_that_is_not_arrow_is_named(tmp_path):
    manifest = build(tmp_path, Arms(4))
    (tmp_path / "shard-00000.arrow").write_bytes(b"x" * manifest["shards"][0]["bytes"])
    with pytest.raises(ValueError, match=r"shard-00000\.arrow: expected an Arrow shard, got a damaged file"):
        ShardDataset(tmp_path)


def test_a_corrupt_manifest_stops_everything(tmp_path):
    build(tmp_path, Arms(4))
    path = tmp_path / "manifest.json"
    path.write_text(path.read_text()[:50])
    for attempt in (lambda folder: build(folder, Arms(4)), verify_shards, ShardDataset):
        with pytest.raises(ValueError, match=r"manifest\.json: expected JSON, got a damaged file .* Delete"):
            attempt(tmp_path)
    path.write_text("[1]")
    with pytest.raises(ValueError, match="got another file"):
        verify_shards(tmp_path)


@pytest.mark.parametrize(
    ("changes", "line", "message"),
    [
        ({"shards": 3}, {}, "`shards` to be a list, got 3"),
        ({"shards": [3]}, {}, "`name`, `rows`, `bytes` and `sha256` of shard 0, got 3"),
        ({}, {"bytes": None}, "`name`, `rows`, `bytes` and `sha256` of shard 0, got .*'bytes': None"),
        ({}, {"rows": "4"}, "`name`, `rows`, `bytes` and `sha256` of shard 0, got .*'rows': '4'"),
        ({}, {"name": "../mine.arrow"}, r"shard names such as shard-00000\.arrow, got '\.\./mine\.arrow'"),
        (
            {},
            {"name": "/shard-00000.arrow"},
            r"shard names such as shard-00000\.arrow, got '/shard-00000\.arrow'",
        ),
        ({}, {"name": "shard-00001.arrow"}, "every shard once, got one twice"),
        ({"num_rows": 9}, {}, "9 samples in a complete set, got shards of 8"),
        ({"num_rows": "8"}, {}, "`num_rows` to be 1 or more, got '8'"),
        ({"identity": {"source": 1}}, {}, "`identity` to be an object with an object `source`"),
    ],
)
def test_a_manifest_with_wrong_values_is_named(tmp_path, changes, line, message):
    manifest = build(tmp_path, Arms(8))
    manifest["shards"][0] |= line
    (tmp_path / "manifest.json").write_text(json.dumps(manifest | changes))
    for attempt in (lambda folder: build(folder, Arms(8)), verify_shards, ShardDataset):
        with pytest.raises(ValueError, match=rf"manifest\.json: expected {message}"):
            attempt(tmp_path)


def test_a_newer_format_is_refused(tmp_path):
    build(tmp_path, Arms(4))
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format_version": 99}))
    with pytest.raises(ValueError, match="expected format version 1, got 99"):
        verify_shards(tmp_path)


def test_empty_and_foreign_folders(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"expected a folder of shards .* `hemlets data build"):
        ShardDataset(tmp_path)
    (tmp_path / "mine.arrow").write_bytes(b"precious")
    with pytest.raises(ValueError, match="may be somebody's data"):
        build(tmp_path, Arms(4))
    assert (tmp_path / "mine.arrow").read_bytes() == b"precious"


def test_two_builds_at_once_are_refused(tmp_path):
    class Nested(Arms):
        def __getitem__(self, index: int) -> Sample:
            if index == 1:
                build(tmp_path, Arms(4))
            return super().__getitem__(index)

    with pytest.raises(ValueError, match="another build is writing here"):
        build(tmp_path, Nested(4))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rows_per_shard": 0}, "`rows_per_shard` must be at least 1, got 0"),
        ({"image_format": "webp"}, "`image_format` must be 'jpeg' or 'png', got 'webp'"),
        ({"quality": 101}, "`quality` must be within 1 … 100, got 101"),
    ],
)
def test_options_out_of_range(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        build(tmp_path, Arms(4), **options)


def test_a_source_must_hold_something(tmp_path):
    with pytest.raises(ValueError, match="`source` must hold at least one sample"):
        build(tmp_path, Arms(0))


def test_a_damaged_picture_names_its_sample(tmp_path):
    from hemlets_lib.data.shards.records import image_encoding, sample_from_record, sample_to_record

    record = sample_to_record(replace(Arms(1)[0]), image_encoding("jpeg", 95))
    record["image"]["bytes"] = record["image"]["bytes"][:40]
    with pytest.raises(ValueError, match="sample 3: expected a complete picture"):
        sample_from_record(record, name="sample 3")


class PartlyUnreadable:
    """Eleven samples; those whose number is in `bad` cannot be had."""

    def __init__(self, source, bad):
        self.source, self.bad = source, bad

    @property
    def config(self):
        return {"kind": "partly unreadable"}

    def __len__(self):
        return 11

    def __getitem__(self, index):
        if index in self.bad:
            raise UnreadableSample(f"picture {index}: damaged")
        return self.source[index]


def test_samples_that_cannot_be_read_are_left_out_and_listed(tmp_path):
    source = PartlyUnreadable(SyntheticDataset(11, size=32), {0, 4, 5, 6, 7})
    manifest = build_shards(tmp_path / "out", source, rows_per_shard=4, workers=0, show_progress=False)
    assert [line["rows"] for line in manifest["shards"]] == [3, 0, 3]
    assert manifest["shards"][1]["skipped"] == [f"picture {index}: damaged" for index in (4, 5, 6, 7)]
    assert manifest["complete"] and verify_shards(tmp_path / "out").ok
    shards = ShardDataset(tmp_path / "out")
    assert [meta.sample_id for meta in shards.metas()] == [
        source.source[index].meta.sample_id for index in (1, 2, 3, 8, 9, 10)
    ]


def test_resuming_keeps_shards_with_unreadable_samples(tmp_path):
    source = PartlyUnreadable(SyntheticDataset(11, size=32), {1})
    build_shards(tmp_path / "out", source, rows_per_shard=4, workers=0, show_progress=False)
    before = (tmp_path / "out" / "shard-00000.arrow").stat().st_mtime_ns
    build_shards(tmp_path / "out", source, rows_per_shard=4, workers=0, show_progress=False)
    assert (tmp_path / "out" / "shard-00000.arrow").stat().st_mtime_ns == before


def test_a_source_without_a_readable_sample_is_refused(tmp_path):
    source = PartlyUnreadable(SyntheticDataset(11, size=32), set(range(11)))
    with pytest.raises(ValueError, match=r"at least one sample that can be read, got 11 of which none"):
        build_shards(tmp_path / "out", source, workers=0, show_progress=False)
    assert not (tmp_path / "out").exists()
