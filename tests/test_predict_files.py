"""Files to predict, and the folder of results: named apart, whole or not there, carried on or refused."""

import contextlib
import json
import os
import stat
import threading
import time

import pytest

from hemlets_lib.predict_files import ResultFolder, find_files, new_folder, readable, write_text


@pytest.fixture
def album(tmp_path):
    """Pictures, a video, other files, hidden ones, and a folder in the folder."""
    folder = tmp_path / "my album"
    (folder / "2019").mkdir(parents=True)
    for name in (
        "b ä.JPG",
        "a.png",
        "clip.MP4",
        "notes.txt",
        "raw.cr2",
        ".hidden.jpg",
        "2019/old.webp",
        "2019/x.y",
    ):
        (folder / name).write_bytes(b"")
    return folder


def names(found):
    return [(file.path.name, file.name, file.is_video) for file in found.files]


# --- golden ---------------------------------------------------------------------------------------


def test_a_folder_by_hand(album):
    found = find_files([album])
    assert names(found) == [("a.png", "a", False), ("b ä.JPG", "b ä", False), ("clip.MP4", "clip", True)]
    assert [path.name for path in found.skipped] == ["notes.txt", "raw.cr2"]
    assert found.folders == (album / "2019",)


def test_folders_in_folders(album):
    found = find_files([album], recursive=True)
    assert ("old.webp", "2019-old", False) in names(found)
    assert [path.name for path in found.skipped] == ["x.y", "notes.txt", "raw.cr2"] and found.folders == ()


def test_what_is_named_itself_is_taken_whatever_its_suffix(album):
    found = find_files([album / "notes.txt", album / ".hidden.jpg"])
    assert names(found) == [("notes.txt", "notes", False), (".hidden.jpg", ".hidden"[1:], False)]


def test_each_file_once(album):
    assert len(find_files([album, album / "a.png", str(album)]).files) == 3


def test_names_differ_on_any_system(tmp_path):
    """In case, by suffix alone, in folders; characters and names that other things have are replaced."""
    for name in ("p.jpg", "p.png", "P.gif", "a:b?.jpg", "index.html.jpg", "x" * 200 + ".jpg", " . .jpg"):
        (tmp_path / name).write_bytes(b"")
    found = [file.name for file in find_files([tmp_path]).files]
    assert len({name.lower() for name in found}) == 7 and "index.html" not in found
    assert sorted(found) == sorted(["picture", "P", "a_b_", "index.html-2", "p-2", "p-3", "x" * 60])


def test_names_that_are_devices_on_windows_are_avoided(tmp_path):
    for name in ("aux.jpg", "CON.png", "nul.x.jpg", "com1.jpg", "lpt9.gif", "console.jpg", "com.jpg"):
        (tmp_path / name).write_bytes(b"")
    found = [file.name for file in find_files([tmp_path]).files]
    assert sorted(found) == ["_CON", "_aux", "_com1", "_lpt9", "_nul.x", "com", "console"]
    assert new_folder(tmp_path, "prn").name == "_prn"


def test_names_as_text():
    assert readable("ä b.jpg") == "ä b.jpg" and readable(os.fsdecode(b"bad\xff.jpg")) == "bad�.jpg"


def test_links_and_results_are_not_looked_into(album):
    (album / "loop").symlink_to(album, target_is_directory=True)
    results = album / "results"
    ResultFolder(results).start({"files": []})
    (results / "overlay.png").write_bytes(b"")
    found = find_files([album], recursive=True)
    assert {path.name for path in found.folders} == {"loop", "results"}
    assert len(found.files) == 4


def test_an_unreadable_folder_below_is_left_out(album, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: path.name != "2019")
    assert find_files([album], recursive=True).folders == (album / "2019",)


# --- law: whole or not there ----------------------------------------------------------------------


def test_results_get_their_name_once_they_are_whole(tmp_path):
    folder = ResultFolder(tmp_path / "out")
    folder.start({"files": ["a"]})
    with folder.adding("a") as partial:
        (partial / "poses.json").write_text('{"pictures": []}')
        assert not folder.has("a") and not (tmp_path / "out" / "a").exists()
    assert folder.has("a") and folder.poses("a") == {"pictures": []}
    assert stat.S_IMODE((tmp_path / "out" / "a").stat().st_mode) & 0o055  # colleagues may read it


def test_an_error_or_ctrl_c_leaves_nothing(tmp_path):
    folder = ResultFolder(tmp_path)

    def write_half(error):
        with folder.adding("a") as partial:
            (partial / "poses.json").write_text("{}")
            raise error

    for error in (ValueError, KeyboardInterrupt):
        with pytest.raises(error):
            write_half(error)
    assert list(tmp_path.iterdir()) == []


def test_the_same_call_carries_on_and_sweeps_up(tmp_path):
    folder = ResultFolder(tmp_path)
    asked = {"files": ["a", "b"], "flip": False}
    folder.start(asked)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "poses.json").write_text("{}")
    (tmp_path / ".partial-killed").mkdir()
    (tmp_path / ".partial-killed" / "overlay.png").write_bytes(b"")
    (tmp_path / ".partial-index.html").write_text("<html>")
    folder.start(asked)
    assert folder.has("a") and not folder.has("b")
    assert not list(tmp_path.glob(".partial-*"))


def test_a_text_is_replaced_at_once(tmp_path):
    write_text(tmp_path / "index.html", "old")
    write_text(tmp_path / "index.html", "ä")
    assert (tmp_path / "index.html").read_text(encoding="utf-8") == "ä"
    assert [path.name for path in tmp_path.iterdir()] == ["index.html"]


def test_new_folders_never_meet(tmp_path):
    made = [new_folder(tmp_path / "runs", "predict-me?") for _ in range(3)]
    assert [path.name for path in made] == ["predict-me_", "predict-me_-2", "predict-me_-3"]


# --- error ----------------------------------------------------------------------------------------


def test_nothing_there(album, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"missing\.jpg: expected a picture, a video or a folder"):
        find_files([tmp_path / "missing.jpg"])
    (album / "2019" / "old.webp").unlink()
    with pytest.raises(ValueError, match=r"got 1 files of other kinds \(x\.y\)"):
        find_files([album / "2019"])
    (album / "empty" / "deeper").mkdir(parents=True)
    with pytest.raises(
        ValueError, match=r"got 0 files of other kinds and 1 folders, which --recursive looks"
    ):
        find_files([album / "empty"])


def test_an_unreadable_folder(album, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(
        ValueError, match=r"my album: expected a folder that can be read, .*Permission denied"
    ):
        find_files([album])


def test_results_of_another_call_are_refused(tmp_path):
    folder = ResultFolder(tmp_path / "out")
    folder.start({"files": ["a"], "flip": False})
    with pytest.raises(ValueError, match=r"results of another one \(flip: there False, asked True\)"):
        folder.start({"files": ["a"], "flip": True})
    assert json.loads((tmp_path / "out" / "predict.json").read_text())["flip"] is False


def test_somebodys_folder_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("dear")
    with pytest.raises(ValueError, match=r"expected a new or empty folder, got 1 files or folders \(thesis"):
        ResultFolder(tmp_path).start({"files": []})
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_one_process_at_a_time(tmp_path):
    folder = ResultFolder(tmp_path / "out")
    with folder.held():
        with pytest.raises(ValueError, match="another process is writing here"), folder.held():
            pass
        folder.start({"files": []})  # the lock file is no stranger
    with folder.held():
        pass
    assert [path.name for path in folder.root.iterdir()] == ["predict.json"]


def test_a_lock_opened_before_it_was_deleted_is_none(tmp_path):
    """Many contend for a folder, each of them deleting the lock file: never two at once."""
    folder, inside, most, done = ResultFolder(tmp_path / "out"), [0], [0], [0]

    def work():
        for _ in range(40):
            with contextlib.suppress(ValueError), folder.held():
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                time.sleep(0.0005)
                inside[0] -= 1
                done[0] += 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] and done[0] > 1


def test_a_refusal_leaves_nothing(tmp_path):
    (tmp_path / "thesis.tex").write_text("dear")
    with pytest.raises(ValueError, match="expected a new or empty folder"), ResultFolder(tmp_path).held():
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    file = ResultFolder(tmp_path / "thesis.tex")
    with pytest.raises(ValueError, match=r"thesis\.tex: expected a folder .* got a file"), file.held():
        pass


def test_damaged_results_are_named(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "poses.json").write_text('{"pictures"')
    with pytest.raises(ValueError, match=r"poses\.json is not valid JSON"):
        ResultFolder(tmp_path).poses("a")
