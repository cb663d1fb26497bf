"""Preparing: what is there becomes shards, what is not is told, and an interruption costs little."""

import json
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from downloads import picture, write_picture
from typer.testing import CliRunner

from hemlets_lib.cli import app
from hemlets_lib.cli import downloads as printing
from hemlets_lib.data import downloads as finding
from hemlets_lib.data import prepare as module
from hemlets_lib.data.downloads import check, find_reader
from hemlets_lib.data.prepare import PREPARED_NAME, Download, LeftOut, Row, prepare
from hemlets_lib.data.readers import DownloadError, Finding, Reader, Skipped, Take
from hemlets_lib.data.readers.files import as_array, inside, read_json
from hemlets_lib.data.readers.pictures import ImageFiles
from hemlets_lib.data.sample import Meta, UnreadableSample
from hemlets_lib.data.shards import ShardDataset, verify_shards


class Listed(Reader):
    """A `list.json` of people, each with some pictures; reads what this test writes."""

    dataset, form, title, layout, source = "listed", "json", "Listed", "list.json, pictures", "this test"
    splits = ("train", "test")
    default_steps = MappingProxyType({"test": 2})
    assumptions = ("nothing here was ever downloaded",)

    @classmethod
    def recognises(cls, root):
        return (root / "list.json").is_file()

    def check(self):
        for entry in read_json(self.root / "list.json"):
            for name in entry["images"]:
                missing = not (self.root / name).is_file()
                yield Finding(name, problem="missing" if missing else "", note="" if missing else "there")

    def takes(self, split, *, step=1):
        self.check_split(split)
        for number, entry in enumerate(read_json(self.root / "list.json")):
            where = f"{self.root / 'list.json'}, record {number}"
            joints = as_array(
                entry["joints"] or np.zeros((0, 18, 2)), (None, 18, 2), name="joints", where=where
            )
            if not len(joints):
                yield Skipped(entry["action"], "no labelled frame", 5)
                continue
            frames = np.arange(0, len(joints), step)
            paths = tuple(inside(self.root, entry["images"][frame], where=where) for frame in frames)
            yield Take(
                Meta("listed", entry["subject"], entry["action"], camera_name=entry["camera"], source="json"),
                ImageFiles(paths), frames, joints_px=joints[frames],
            )  # fmt: skip


class Other(Listed):
    """Another form, which looks the same."""

    form = "other"


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setattr(finding, "READERS", {"listed": {"json": Listed}})
    root = tmp_path / "my download"
    rng = np.random.default_rng(3)
    entries = []
    for subject, action, camera, count in (
        ("S1", "Walk", "a", 5), ("S1", "Run", "b", 4), ("S2", "Walk", "a", 3), ("S2", "Jump", "a", 0),
    ):  # fmt: skip
        joints = rng.uniform(20, 80, (count, 18, 2))
        joints[:, 7] = np.nan
        names = [f"images/{subject} {action} {frame}.png" for frame in range(count)]
        for name, pose in zip(names, joints, strict=True):
            write_picture(root / name, picture(pose, (96, 100)))
        listed = np.where(np.isnan(joints), None, joints.astype(object)).tolist()
        entries.append(
            {"subject": subject, "action": action, "camera": camera, "joints": listed, "images": names}
        )
    (root / "list.json").write_text(json.dumps(entries))
    return root


def run(root, out, **options):
    return prepare("listed", root, out, **{"size": 32, "workers": 0, "show_progress": False, **options})


def test_the_summary(root, tmp_path):
    (root / "images" / "S1 Run 1.png").write_bytes(b"no picture")
    made = run(root, tmp_path / "out")
    assert made.rows == (Row("S1", 8, 2, 2), Row("S2", 3, 1, 1)) and made.frames == 11
    assert made.actions == {"Run": 3, "Walk": 8}
    assert made.left_out[0] == LeftOut("no labelled frame", 1, 5, "Jump")
    assert (made.left_out[1].reason, made.left_out[1].items) == ("picture cannot be read", 1)
    assert "S1 Run 1.png" in made.left_out[1].example
    written = json.loads((tmp_path / "out" / PREPARED_NAME).read_text())
    assert written["root"] == "out" and written["actions"] == {"Run": 3, "Walk": 8}
    shards = ShardDataset(tmp_path / "out")
    assert [meta.frame for meta in shards.metas()][:5] == [0, 1, 2, 3, 4]
    assert not shards[0].joint_valid[7] and shards[0].joint_valid[6]
    assert shards.metas()[5].sample_id == "listed/S1/Run/b/S1 Run 0"


def test_steps_splits_and_subjects(root, tmp_path):
    assert run(root, tmp_path / "a", split="test").frames == 3 + 2 + 2  # the protocol's own step
    assert run(root, tmp_path / "b", split="test", step=1).frames == 12
    assert run(root, tmp_path / "c", subjects=["S2"]).rows == (Row("S2", 3, 1, 1),)
    with pytest.raises(ValueError, match="`subjects` must be among S1, S2 in train, got S7"):
        run(root, tmp_path / "d", subjects=["S2", "S7"])
    with pytest.raises(ValueError, match=r"`split` of listed .json. must be one of train, test, got 'val'"):
        run(root, tmp_path / "d", split="val")
    with pytest.raises(ValueError, match="`step` must be at least 1, got 0"):
        run(root, tmp_path / "d", step=0)
    assert not (tmp_path / "d").exists()


def test_a_hostile_name_in_the_list(root, tmp_path):
    entries = json.loads((root / "list.json").read_text())
    entries[1]["images"][0] = "../../secret.png"
    (root / "list.json").write_text(json.dumps(entries))
    with pytest.raises(DownloadError, match=r"list\.json, record 1: expected a path inside .*secret\.png"):
        run(root, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_resuming_and_what_stops_it(root, tmp_path, monkeypatch):
    reads = []
    original = Take.sample
    monkeypatch.setattr(
        Take, "sample", lambda self, place, *, size: reads.append(place) or original(self, place, size=size)
    )

    def dies(*arguments, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(module, "_summary", dies)
        with pytest.raises(KeyboardInterrupt):
            run(root, tmp_path / "out")
    reads.clear()
    assert run(root, tmp_path / "out").frames == 12
    assert len(reads) == 1  # only the first, to know its shape
    entries = json.loads((root / "list.json").read_text())
    entries[0]["joints"][0][0][0] += 1
    (root / "list.json").write_text(json.dumps(entries))
    with pytest.raises(ValueError, match=r"out was begun with other labels of the same download"):
        run(root, tmp_path / "out")
    assert verify_shards(tmp_path / "out").ok


def test_nothing_to_prepare(root, tmp_path):
    (root / "list.json").write_text("[]")
    with pytest.raises(DownloadError, match="expected labelled frames of listed train, got none"):
        run(root, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_two_forms_that_look_alike(root, monkeypatch):
    monkeypatch.setattr(finding, "READERS", {"listed": {"json": Listed, "other": Other}})
    with pytest.raises(
        ValueError, match=r"expected one form of listed, found json, other\. Choose one with --form"
    ):
        find_reader("listed", root)
    assert find_reader("listed", root, form="other").form == "other"


def test_a_source_keeps_one_file_open(root):
    takes = [item for item in Listed(root).takes("train") if isinstance(item, Take)]
    closed = []
    for number, take in enumerate(takes):
        take.pictures.close = lambda number=number: closed.append(number)
    source = Download(takes, size=16, config={})
    assert len(source) == 12
    assert [source[index].meta.action for index in (0, 4, 5, 8, 9, 11)] == [
        "Walk",
        "Walk",
        "Run",
        "Run",
        "Walk",
        "Walk",
    ]
    assert closed == [0, 1]
    (root / "images" / "S2 Walk 2.png").unlink()
    with pytest.raises(UnreadableSample, match=r"listed/S2/Walk/a/S2 Walk 2: "):
        source[11]


def test_check(root):
    (root / "images" / "S1 Walk 3.png").unlink()
    found = check("listed", root)
    assert found.problems == ("images/S1 Walk 3.png: missing",)
    report = found.report()
    assert (
        "Incomplete: 1 problem; splits" in report
        and "nothing here was ever downloaded" in report
        and str(root.parent) not in report
    )


def test_the_commands(root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runner = CliRunner()
    (root / "images" / "S1 Run 1.png").write_bytes(b"no picture")
    made = runner.invoke(
        app,
        [
            "data",
            "prepare",
            "listed",
            "--root",
            str(root),
            "--size",
            "32",
            "--workers",
            "1",
            "--subjects",
            "S1, S2",
        ],
    )
    assert made.exit_code == 0, made.output
    assert "picture cannot be read" in made.output and "hemlets train --data shards/listed-train" in " ".join(
        made.output.split()
    )
    assert Path("shards/listed-train", PREPARED_NAME).is_file()
    good = runner.invoke(app, ["data", "check", "listed", "--root", str(root), "--report", "report.txt"])
    assert (
        good.exit_code == 0
        and "Complete; splits that it holds something of: train, test." in Path("report.txt").read_text()
    )
    (root / "images" / "S1 Run 1.png").unlink()
    bad = runner.invoke(app, ["data", "check", "listed", "--root", str(root)])
    assert bad.exit_code == 1 and "S1 Run 1.png: missing" in bad.output
    assert "human36m" in runner.invoke(app, ["data", "sets"]).output


def test_the_tables_show_names_as_they_are(capsys, tmp_path):
    """Square brackets in a data set's names are no markup, not even such as would be an error."""
    left_out = (LeftOut("[/red] is no tag", 1, 0, "take[bold]1"),)
    printing._print_prepared(
        module.Prepared(tmp_path, "x", "y", "train", (Row("[S1]", 2, 1, 1),), {"a": 2}, left_out)
    )
    shown = capsys.readouterr().out
    assert "[S1]" in shown and "[/red] is no tag" in shown and "take[bold]1" in shown


def test_shards_do_not_go_into_the_download(root):
    for out in (root, root / "shards"):
        with pytest.raises(ValueError, match="`out` must lie outside the download, which is only read"):
            run(root, out)
    assert sorted(path.name for path in root.iterdir()) == ["images", "list.json"]


def test_what_may_be_the_matter_with_a_folder(root, tmp_path):
    with pytest.raises(DownloadError, match=r"Did you mean .*my download\? It looks like form json"):
        find_reader("listed", tmp_path)  # one level too high
    with pytest.raises(DownloadError, match=r"Did you mean .*my download\? It looks like form json"):
        find_reader("listed", root / "images")  # one too low
    (tmp_path / "packed" / "here").mkdir(parents=True)
    (tmp_path / "packed" / "here" / "Videos_S1.tgz").write_bytes(b"x")
    with pytest.raises(DownloadError, match=r"found Videos_S1.tgz. Unpack Videos_S1.tgz there first"):
        find_reader("listed", tmp_path / "packed" / "here")
    with pytest.raises(DownloadError, match=r"found here. `hemlets data sets` shows what the folder"):
        find_reader("listed", tmp_path / "packed")


def test_problems_of_a_kind_are_listed_once_on_the_screen(root):
    for path in (root / "images").glob("S1 *.png"):
        path.unlink()
    found = check("listed", root)
    assert found.report().count(": missing") == 9
    short = found.report(examples=3)
    assert short.count(".png: missing") == 3 and "… and 6 more: missing" in short


def test_a_part_that_was_not_fetched_is_no_problem(root, monkeypatch):
    monkeypatch.setattr(Listed, "check", lambda self: iter([Finding("S3, S4", absent=True)]))
    found = check("listed", root)
    assert found.problems == () and found.verdict.startswith(
        "What is there is complete; absent: S3, S4; splits"
    )
    assert "  absent   S3, S4" in found.report()


def test_preparing_says_that_something_is_missing(root, tmp_path):
    (root / "images" / "S1 Run 1.png").unlink()
    options = ["--root", str(root), "--size", "32", "--workers", "1"]
    made = CliRunner().invoke(app, ["data", "prepare", "listed", *options, "--out", str(tmp_path / "out")])
    said = " ".join(made.output.split())
    assert (
        made.exit_code == 0
        and "The download is incomplete (1 problem, the first: images/S1 Run 1.png" in said
    )
    made = CliRunner().invoke(
        app, ["data", "prepare", "listed", *options, "--split", "test", "--out", str(tmp_path / "test")]
    )
    assert "Use it with `hemlets eval --data" in " ".join(made.output.split())
