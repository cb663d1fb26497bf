"""`hemlets predict`: what it writes, whom it finds, what one bad file does to the others, and carrying on."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from hemlets_lib import cli, prediction_pages
from hemlets_lib.checkpoint import save_checkpoint
from hemlets_lib.cli import prediction_work
from hemlets_lib.data.sample import BOX_MARGIN
from hemlets_lib.model import HEMletsNet, ModelConfig
from hemlets_lib.notebook_pages import network_references
from hemlets_lib.people import PersonBox

CONFIG = ModelConfig(
    "test", "tiny", image_size=32, heatmap_size=16, depth_size=5, upsample_channels=6, encoder_channels=9,
    fusion=(3, 11),
)  # fmt: skip


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    torch.manual_seed(2)
    model = HEMletsNet(CONFIG)
    for layer in (model.head[-1], model.hemlets_branch.tail):
        torch.nn.init.normal_(layer.weight, std=5.0)
    path = tmp_path_factory.mktemp("weights") / "test.safetensors"
    save_checkpoint(path, model, metadata={"data": {"sources": [{"kind": "synthetic", "samples": 9}]}})
    return path


@pytest.fixture
def call(tmp_path, monkeypatch, checkpoint):
    """Call `hemlets predict` in an empty folder; returns (exit status, output on one line)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(prediction_work, "plotly_script", lambda: "// plotly.js")
    monkeypatch.setattr(prediction_pages, "side_view_png", lambda *_, **__: b"")  # the slowest to draw

    def invoke(*arguments, weights=True) -> tuple[int, str]:
        given = ["--weights", str(checkpoint)] if weights else []
        result = CliRunner().invoke(
            cli.app, ["predict", *map(str, arguments), *given], env={"COLUMNS": "200"}
        )
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, " ".join(result.output.replace("│", " ").split())

    return invoke


@pytest.fixture
def picture(tmp_path):
    def make(name: str, size=(70, 50), seed=0) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
        return path

    return make


@pytest.fixture
def clip(tmp_path):
    """A video, 64 × 48 pixels at 10 frames a second."""
    av = pytest.importorskip("av", reason="videos need PyAV: pip install 'hemlets[readers]'")

    def make(name: str = "clip.mp4", frames: int = 12) -> Path:
        with av.open(str(tmp_path / name), "w") as container:
            stream = container.add_stream("mpeg4", rate=10)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            for level in range(frames):
                image = np.full((48, 64, 3), 10 * level, np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
            container.mux(stream.encode())
        return tmp_path / name

    return make


@pytest.fixture
def detector(monkeypatch):
    """Stands in for torchvision's: who is found depends on the picture's width."""
    found = {
        70: [PersonBox(40, 5, 20, 30, 0.9), PersonBox(3, 4, 20, 40, 0.8), PersonBox(0, 0, 9, 9, 0.2)],
        71: [],
    }

    class Stub:
        def __init__(self, *, device):
            assert device == "cpu"

        def __call__(self, image):
            return found[image.shape[1]]

    monkeypatch.setattr(prediction_work, "TorchvisionDetector", Stub)


def poses(folder):
    return json.loads((Path(folder) / "poses.json").read_text())


# --- golden ---------------------------------------------------------------------------------------


def test_one_picture(call, picture, checkpoint):
    status, text = call(picture("it's me ä.png"))
    assert status == 0
    assert "1 of 1 file done, 1 person: pages and poses.json are in runs/predict-it's me ä" in text
    assert "only ever seen drawings of people: expect failures on photographs" in text
    assert "taken for one person who fills it; --box or --detect say where people are" in text
    assert "Open file://" in text and "/it%27s%20me%20%C3%A4/index.html" in text
    folder = Path("runs/predict-it's me ä")
    content = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    page = "it's me ä"
    made = {"index.html", "overlay.png", "poses.json", "thumbnail.jpg", "triplets-1.png"}
    shared = {"index.html", "plotly.min.js", "poses.json", "predict.json"}
    assert content == {f"{page}/{name}" for name in made} | shared
    (about,) = poses(folder)["pictures"]
    assert about["file"] == "it's me ä.png" and poses(folder)["failed"] == []
    written = (folder / "poses.json").read_text()
    assert str(Path.cwd()) not in written and str(checkpoint.parent) not in written
    assert (about["width"], about["height"], about["boxes_from"]) == (70, 50, "whole picture")
    assert poses(folder / page)["pictures"] == [about]
    assert poses(folder)["network"]["metadata"]["data"]["sources"][0]["kind"] == "synthetic"
    with Image.open(folder / page / "thumbnail.jpg") as thumbnail:
        assert thumbnail.size == (480, 270)


def test_people_in_boxes(call, picture):
    status, text = call(
        picture("two.png"), "--box", "5,6,20,30", "--box", "30,2,25,40", "--flip", "--focal", "80"
    )
    assert status == 0 and "2 people" in text
    (about,) = poses("runs/predict-two")["pictures"]
    assert [person["box"] for person in about["people"]] == [[5, 6, 20, 30], [30, 2, 25, 40]]
    assert about["people"][0]["square"] == [14.5, 20.5, BOX_MARGIN * 30]
    assert {person["depth_source"] for person in about["people"]} == {"bones"}
    call(picture("two.png"), "--box", "5,6,20,30", "--focal", "none")
    (without,) = poses("runs/predict-two-2")["pictures"]
    assert without["people"][0]["depth_source"] == "weak perspective"
    assert without["people"][0]["joints_px"] != about["people"][0]["joints_px"]  # the flip test has a say


def test_people_are_detected_and_nobody_is_said(call, picture, detector):
    picture("album/a.png")
    picture("album/b.png", size=(71, 50))
    status, text = call("album", "--detect")
    assert status == 1 and "nobody found in b.png" in text and "2 of 2 files done, 2 people" in text
    both, nobody = poses("runs/predict-album")["pictures"]
    assert [person["box"][0] for person in both["people"]] == [3, 40]  # from the left
    assert [person["score"] for person in both["people"]] == [0.8, 0.9]
    assert nobody["people"] == [] and nobody["boxes_from"] == "detector"
    index = Path("runs/predict-album/index.html").read_text()
    assert "nobody found</span> 0 people" in index and "ok</span> 2 people" in index
    assert "taken for one person" not in text
    status, _ = call("album/a.png", "--detect", "--min-score", "0.1", "--max-people", "2", "--out", "few")
    assert status == 0 and len(poses("few")["pictures"][0]["people"]) == 2


def test_a_video(call, clip):
    status, text = call(clip(), "--device", "cpu")
    assert status == 0 and "1 of 1 file done" in text
    folder = Path("runs/predict-clip/clip")
    frames = poses(folder)["pictures"]
    assert [(each["frame"], each["time_s"]) for each in frames] == [(f, f / 10) for f in range(0, 12, 2)]
    assert sorted(path.name for path in (folder / "frames").iterdir()) == [
        f"{f:06d}.jpg" for f in range(0, 12, 2)
    ]
    page = (folder / "index.html").read_text()
    assert "6 frames, one in 2. No box was given" in page and network_references(page) == []
    assert call("clip.mp4", "--every", "5", "--out", "five")[0] == 0
    assert [each["frame"] for each in poses("five")["pictures"]] == [0, 5, 10]


# --- law: one bad file never stops the others -----------------------------------------------------


def test_bad_files_are_named_and_the_others_done(call, picture, clip, tmp_path):
    good = picture("album/a.png")
    picture("album/z.png", size=(1, 1))
    for name, content in {
        "broken.jpg": good.read_bytes()[:60], "empty.png": b"", "text.jpg": b"dear diary", "clip.mp4": b"no",
        "notes.txt": b"", "raw.cr2": b"", ".DS_Store": b"",
    }.items():  # fmt: skip
        (tmp_path / "album" / name).write_bytes(content)
    (tmp_path / "album" / "2019").mkdir()
    (tmp_path / "album" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    status, text = call("album")
    assert status == 1
    assert (
        "2 of 7 files done, 2 people, 5 could not be read, 2 files skipped (neither picture nor video)"
        in text
    )
    assert (
        "skipped, neither picture nor video: notes.txt, raw.cr2" in text and "not looked into: 2019/" in text
    )
    for name in ("broken.jpg", "empty.png", "text.jpg", "clip.mp4", "gone.png"):
        assert f"failed: album/{name}: expected a" in text
    index = Path("runs/predict-album/index.html").read_text()
    assert index.count(">failed<") == 5 and index.count(">ok<") == 2 and network_references(index) == []
    assert index.count("1 person") == 2
    assert [Path(each["file"]).name for each in poses("runs/predict-album")["pictures"]] == ["a.png", "z.png"]


def test_names_that_are_no_utf_8_and_strips(call, picture, tmp_path):
    """Both once ended the whole call: a name that no page can hold, and a picture that shrinks to nothing."""
    picture("album/a.png")
    picture("album/strip.png", size=(4000, 1))
    picture("album/tower.png", size=(1, 4000))
    try:
        picture("album/b.png").rename(os.fsdecode(os.fsencode(tmp_path) + b"/album/bad\xff.png"))
        (tmp_path / "album" / os.fsdecode(b"worse\xfe.jpg")).write_bytes(b"no picture")
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    status, text = call("album")
    assert status == 1 and "4 of 5 files done, 4 people, 1 could not be read" in text
    assert "failed: album/worse�.jpg: expected a complete picture" in text
    run = Path("runs/predict-album")
    assert [each["file"] for each in poses(run)["pictures"]] == [
        "album/a.png", "album/bad�.png", "album/strip.png", "album/tower.png",
    ]  # fmt: skip
    assert poses(run)["failed"][0]["reason"].startswith("album/worse�.jpg: expected")
    assert "bad�.png" in (run / "index.html").read_text()
    assert "<h1>bad�.png</h1>" in (run / "bad_" / "index.html").read_text()
    with Image.open(run / "strip" / "overlay.png") as overlay:
        assert overlay.size == (1280, 1)
    assert any("bad\\xff.png" in path for path in json.loads((run / "predict.json").read_text())["files"])
    assert call("album", "--out", run)[0] == 1  # asked the same again


def test_what_cannot_be_drawn_is_the_files_fault(call, picture, monkeypatch):
    for name in "ab":
        picture(f"album/{name}.png", seed=ord(name))
    drawn = prediction_work.picture_page

    def broken(title, *about):
        if title == "a.png":
            raise ValueError("nothing to draw")
        return drawn(title, *about)

    monkeypatch.setattr(prediction_work, "picture_page", broken)
    status, text = call("album")
    assert status == 1 and "failed: album/a.png: nothing to draw" in text and "1 of 2 files done" in text


@pytest.mark.parametrize("when", ["adding", "poses.json"])
def test_a_full_disk_is_named(call, picture, monkeypatch, when):
    path = picture("me.png")

    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if when == "adding":
        monkeypatch.setattr("hemlets_lib.predict_files.tempfile.mkdtemp", full)
    else:
        monkeypatch.setattr(prediction_work, "write_json", full)
    with pytest.raises(
        OSError, match=r"^out: expected .* \(No space left on device\). Make room .*other --out"
    ):
        call(path, "--out", "out")
    assert not list(Path("out").glob(".partial-*"))


def test_of_a_damaged_video_what_there_is(call, clip, monkeypatch):
    def two_frames(path, *, step):
        yield 0, 0.0, np.zeros((48, 64, 3), np.uint8)
        yield 2, 0.2, np.zeros((48, 64, 3), np.uint8)
        raise ValueError(f"{path}, frame 4: expected a frame that can be decoded")

    monkeypatch.setattr(prediction_work, "read_timed_frames", two_frames)
    status, text = call(clip())
    assert status == 1 and "frame 4: expected a frame that can be decoded" in text
    assert [each["frame"] for each in poses("runs/predict-clip")["pictures"]] == [0, 2]
    assert "It ends early" in Path("runs/predict-clip/clip/index.html").read_text()
    (failed,) = poses("runs/predict-clip/clip")["failed"]
    assert failed["reason"] == "clip.mp4, frame 4: expected a frame that can be decoded"
    assert ">damaged<" in Path("runs/predict-clip/index.html").read_text()


def test_a_video_without_the_reader(call, clip, monkeypatch):
    path = clip()
    monkeypatch.setitem(sys.modules, "av", None)
    status, text = call(path)
    assert status == 1 and "1 could not be read" in text and "av" in text


# --- law: whole or not there, and the same call carries on ----------------------------------------


def test_results_are_never_overwritten(call, picture):
    path = picture("me.png")
    for name in ("predict-me", "predict-me-2"):
        assert call(path)[0] == 0 and (Path("runs") / name / "me" / "index.html").is_file()


def test_an_interruption_and_carrying_on(call, picture, monkeypatch):
    for name in "abc":
        picture(f"album/{name}.png", seed=ord(name))
    work, done = prediction_work.PredictionTask.work, []

    def interrupt_at_b(self, file, folder, on_frame):
        if file.name == "b":
            raise KeyboardInterrupt
        done.append(file.name)
        work(self, file, folder, on_frame)

    monkeypatch.setattr(prediction_work.PredictionTask, "work", interrupt_at_b)
    status, text = call("album")
    assert status == 130 and "The same command with --out runs/predict-album carries on." in text
    assert [Path(each["file"]).name for each in poses("runs/predict-album")["pictures"]] == ["a.png"]
    assert Path("runs/predict-album/index.html").read_text().count(">not done<") == 2
    before = (Path("runs/predict-album/a/poses.json")).stat().st_mtime_ns
    monkeypatch.setattr(prediction_work.PredictionTask, "work", lambda *a: done.append(a[1].name) or work(*a))
    status, text = call("album", "--out", "runs/predict-album")
    assert status == 0 and "3 of 3 files done" in text and done == ["a", "b", "c"]
    assert (Path("runs/predict-album/a/poses.json")).stat().st_mtime_ns == before


def test_paths_have_one_base_after_carrying_on_elsewhere(call, picture, monkeypatch, tmp_path):
    """The first call made `a` and was stopped; the second is called in another folder."""
    for name in "ab":
        picture(f"album/{name}.png", seed=ord(name))
    work = prediction_work.PredictionTask.work

    def interrupt_at_b(self, file, folder, on_frame):
        if file.name == "b":
            raise KeyboardInterrupt
        work(self, file, folder, on_frame)

    monkeypatch.setattr(prediction_work.PredictionTask, "work", interrupt_at_b)
    assert call("album", "--out", "out")[0] == 130
    monkeypatch.setattr(prediction_work.PredictionTask, "work", work)
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path / "there")
    assert call("../album", "--out", "../out")[0] == 0
    assert [each["file"] for each in poses("../out")["pictures"]] == ["../album/a.png", "../album/b.png"]
    assert "called that wrote this poses.json" in poses("../out")["conventions"]["file"]


def test_another_command_or_changed_files_are_refused(call, picture):
    picture("album/a.png")
    assert call("album", "--out", "out")[0] == 0
    with pytest.raises(ValueError, match=r"results of another one \(flip: there False, asked True\)"):
        call("album", "--out", "out", "--flip")
    picture("album/a.png", seed=5)
    with pytest.raises(ValueError, match=r"results of another one .*a\.png: there '\d+ bytes of"):
        call("album", "--out", "out")


def test_a_killed_run_leaves_whole_pages_or_nothing(picture, checkpoint, tmp_path):
    """SIGKILL, which nobody can catch, some way into a folder; then the same command again."""
    names = [f"{number:02d}" for number in range(8)]
    for name in names:
        picture(f"album/{name}.png", seed=int(name))
    command = [sys.executable, "-m", "hemlets_lib.cli", "predict", "album", "--out", "out"]
    command += ["--weights", str(checkpoint)]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    out = tmp_path / "out"
    while process.poll() is None and not (out / "01").exists():
        time.sleep(0.01)
    process.kill()
    process.wait()
    made = sorted(path.name for path in out.iterdir() if path.is_dir() and not path.name.startswith("."))
    assert 2 <= len(made) < 8 and made == names[: len(made)]
    wanted = {"index.html", "overlay.png", "poses.json", "thumbnail.jpg", "triplets-1.png"}
    assert all({file.name for file in (out / name).iterdir()} == wanted for name in made)
    assert not (out / "index.html").exists() and not (out / "poses.json").exists()
    before = (out / "00" / "poses.json").stat().st_mtime_ns
    subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
    assert len(poses(out)["pictures"]) == 8 and (out / "00" / "poses.json").stat().st_mtime_ns == before
    assert not list(out.glob(".partial-*"))


# --- hard poses -----------------------------------------------------------------------------------


@pytest.fixture
def shards(tmp_path):
    from hemlets_lib.data.shards import build_shards
    from hemlets_lib.data.synthetic import SyntheticDataset

    build_shards(tmp_path / "shards", SyntheticDataset(6, size=32), show_progress=False, workers=0)
    return tmp_path / "shards"


def test_hard_poses_of_shards(call, shards, monkeypatch):
    monkeypatch.setattr("hemlets_lib.cli.gallery.plotly_script", lambda: "// plotly.js")
    status, text = call("--shards", shards, "--hardest", 3)
    assert status == 0 and "3 of 6 poses: the poses whose labelled joints lie" in text
    (folder,) = Path("runs").iterdir()
    assert folder.name.startswith("hardest-shards-")
    assert {path.name for path in folder.iterdir()} == {
        "index.html", "plotly.min.js", "results.json", "pose-1.png", "pose-2.png", "pose-3.png",
    }  # fmt: skip
    found = json.loads((folder / "results.json").read_text())
    values = [pose["unusualness"] for pose in found["poses"]]
    assert values == sorted(values, reverse=True) and all(pose["mpjpe_mm"] > 0 for pose in found["poses"])
    assert found["data"]["kind"] == "synthetic" and "median pose of all 6 samples" in found["criterion"]
    assert network_references((folder / "index.html").read_text()) == []


def test_pictures_of_data_sets_stay_below_runs(call, shards, tmp_path):
    status, text = call("--shards", shards, "--out", tmp_path / "elsewhere")
    assert status == 2 and "expected a new folder below runs/ for pictures of data sets" in text
    assert not (tmp_path / "elsewhere").exists()
    (tmp_path / "runs" / "there").mkdir(parents=True)
    assert call("--shards", shards, "--out", "runs/there")[0] == 2


# --- error ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "expected paths of pictures or videos, or --shards; got both or neither"),
        (
            ["a.png", "--shards", "s"],
            "expected paths of pictures or videos, or --shards; got both or neither",
        ),
        (["a.png", "--box", "1,2,3,4", "--detect"], "expected --box or --detect, got both"),
        (["a.png", "--box", "1,2,3"], "must be written x,y,width,height in pixels, got '1,2,3'"),
        (["a.png", "--box", "1,2,0,3"], "with positive sides"),
        (["a.png", "b.png", "--box", "1,2,3,4"], "--box is about one picture or video, got 2"),
        (["a.png", "--focal", "wide"], "expected a number of pixels, or none, got 'wide'"),
        (["a.png", "--focal", "-3"], "expected a positive number of pixels, or none, got '-3'"),
        (["a.png", "--focal", "inf"], "expected a positive number of pixels, or none, got 'inf'"),
        (
            ["a.png", "--box", "1,2,3,4", "--box", "900,900,10,10"],
            "a.png: the box 900,900,10,10 must touch the picture of 70×50 px",
        ),
        (["a.png", "--box", "0,0,90000,9"], "a.png: the crop must be at most"),
        (["a.png", "--device", "gpu"], "expected cpu, cuda (cuda:1 for the second) or mps, got 'gpu'"),
        (["a.png", "--device", "cuda:99"], "expected what torch finds here (cpu"),
        (["a.png", "--out", "b.png"], "expected a folder for the results, got the file b.png"),
        (["a.png", "--hardest", "3"], "--hardest needs --shards"),
        (["--hardest", "3"], "--hardest needs --shards"),
        (["a.png", "--every", "0"], "--every"),
        (["a.png", "--min-score", "2"], "--min-score"),
        (["a.png", "--out", ""], "expected a value, got ''"),
        (
            ["--shards", "s", "--detect"],
            "expected --shards with --hardest, --weights, --flip and --out at most",
        ),
    ],
)
def test_bad_usage(call, picture, arguments, message):
    picture("a.png"), picture("b.png", seed=1)
    status, text = call(*arguments)
    assert status == 2 and message in text
    assert not Path("runs").exists()


def test_what_is_not_there(call, picture, monkeypatch, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.jpg: expected a picture, a video or a folder"):
        call("nowhere.jpg")
    path = picture("a.png")
    with pytest.raises(FileNotFoundError, match=r"nowhere\.safetensors: expected a file with weights"):
        call(path, "--weights", "nowhere.safetensors", weights=False)
    assert not Path("runs").exists()


def test_where_nothing_was_predicted_nothing_is_said_of_it(call, tmp_path):
    (tmp_path / "text.jpg").write_text("dear diary")
    for box in ((), ("--box", "1,2,3,4")):
        status, text = call("text.jpg", *box, "--out", f"out{len(box)}")
        assert status == 1 and "0 of 1 file done" in text and "1 could not be read" in text
        assert "Open file://" not in text and "drawings" not in text and "says why" in text
    (failed,) = poses("out0")["failed"]
    assert failed["file"] == "text.jpg" and "expected a complete picture" in failed["reason"]


def test_a_box_beside_a_videos_frames(call, clip):
    status, text = call(clip(), "--box", "70,5,10,10")
    assert status == 2 and "clip.mp4: the box 70,5,10,10 must touch the picture of 64×48 px" in text
    assert not Path("runs").exists()


def test_somebodys_folder_stays_as_it_is(call, picture, tmp_path):
    picture("a.png")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("dear")
    with pytest.raises(ValueError, match=r"mine: expected a new or empty folder, got 1 files"):
        call("a.png", "--out", "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.tex"]


def test_no_weights_for_the_detector(call, picture, monkeypatch, tmp_path):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "cache"))

    def unreachable(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr(torch.hub, "download_url_to_file", unreachable)
    with pytest.raises(RuntimeError, match=r"The person detector could not .* put fasterrcnn_.*\.pth into"):
        call(picture("a.png"), "--detect")
    assert not Path("runs").exists()


def test_a_full_disk_ends_the_run_with_its_pages(call, picture, monkeypatch):
    picture("album/a.png"), picture("album/b.png")
    real = prediction_work.write_json

    def write(path, content):
        if any(each["file"].endswith("b.png") for each in content["pictures"]):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(path, content)

    monkeypatch.setattr(prediction_work, "write_json", write)
    with pytest.raises(OSError, match="No space left"):
        call("album", "--out", "out")
    assert Path("out/a/index.html").is_file() and not Path("out/b").exists()
    assert not list(Path("out").glob(".partial-*"))
