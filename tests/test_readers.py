"""What holds for every reader, whatever it reads: over every form that `downloads` can write.

Each form has tests of its own beside these; here is what a user may rely on with all of them. A file that is
missing, cut short or altered ends in our own errors or in a frame left out, never in anything else.
"""

import importlib
import pickle
import pkgutil
import shutil
from functools import cache
from pathlib import Path

import downloads
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hemlets_lib.data.downloads import check, find_reader
from hemlets_lib.data.prepare import PREPARED_NAME, Download, prepare
from hemlets_lib.data.readers import READERS, DownloadError, Skipped, Take
from hemlets_lib.data.sample import UnreadableSample, collate
from hemlets_lib.data.shards import ShardDataset, verify_shards
from hemlets_lib.skeleton import HEMLETS18
from hemlets_lib.triplets import UNKNOWN

WRITERS = {
    key: writer
    for module in pkgutil.iter_modules(downloads.__path__)
    for key, writer in getattr(importlib.import_module(f"downloads.{module.name}"), "WRITERS", {}).items()
}
EVERY_FORM = pytest.mark.parametrize(("dataset", "form"), sorted(WRITERS), ids=map("-".join, sorted(WRITERS)))


@cache
def _written(dataset, form, folder):
    root = Path(folder)
    return root, WRITERS[dataset, form](root)


@pytest.fixture
def download(dataset, form, tmp_path_factory):
    """A folder with the form, and what is in it; shared, so to be left as it is."""
    folder = tmp_path_factory.getbasetemp() / "downloads" / f"{dataset} {form}"
    folder.mkdir(parents=True, exist_ok=True)
    return _written(dataset, form, str(folder))


@pytest.fixture
def copied(download, tmp_path):
    """The same, in a folder of its own."""
    root, written = download
    return Path(shutil.copytree(root, tmp_path / "copy")), written


def files_of(root):
    return sorted(path for path in root.rglob("*") if path.is_file())


def read_all(dataset, form, root, written):
    """Takes and what was skipped; and the first and last sample of each take."""
    reader = READERS[dataset][form](root)
    items = list(reader.takes(written.split, step=written.step))
    takes = [item for item in items if isinstance(item, Take)]
    samples = [
        take.sample(place, size=32) for take in takes for place in sorted({0, len(take) - 1}) if len(take)
    ]
    return takes, [item for item in items if isinstance(item, Skipped)], samples


def survives(dataset, form, root, written):
    """Reads what can be read, as preparing does; anything but our errors comes out of here."""
    try:
        reader = READERS[dataset][form](root)
        list(reader.check())
        items = list(reader.takes(written.split, step=written.step))
    except DownloadError:
        return
    for take in items:
        if isinstance(take, Take) and len(take):
            try:
                take.sample(0, size=32)
            except UnreadableSample:
                pass
            finally:
                take.pictures.close()


def test_every_reader_is_tested():
    assert {(name, form) for name, forms in READERS.items() for form in forms} == set(WRITERS)


@EVERY_FORM
def test_says_what_it_is(dataset, form):
    reader = READERS[dataset][form]
    assert (reader.dataset, reader.form) == (dataset, form)
    assert reader.splits and reader.title and reader.layout and reader.source
    assert reader.assumptions and all(line == line.strip() and len(line) > 20 for line in reader.assumptions)
    assert set(reader.default_steps) <= set(reader.splits)


@EVERY_FORM
def test_a_folder_is_recognised_as_its_own_form(dataset, form, download):
    root, _ = download
    assert find_reader(dataset, root).form == form
    assert find_reader(dataset, root, form=form).form == form


@EVERY_FORM
def test_a_complete_download_has_no_problems(dataset, form, download):
    root, written = download
    found = check(dataset, root, form=form)
    assert found.problems == ()
    report = found.report()
    assert str(root) not in report and all(assumption in report for assumption in found.reader.assumptions)
    for name in written.needed:
        assert (root / name).is_file(), f"the writer lists {name}, which it did not write"


@EVERY_FORM
def test_each_missing_file_is_named(dataset, form, copied):
    root, written = copied
    assert written.needed
    for name in written.needed:
        aside = root.parent / "aside"
        shutil.move(root / name, aside)
        try:
            problems = check(dataset, root, form=form).problems
        except DownloadError as error:
            problems = (str(error),)
        assert any(Path(name).name in problem or Path(name).parent.name in problem for problem in problems), (
            name
        )
        survives(dataset, form, root, written)
        shutil.move(aside, root / name)


@EVERY_FORM
def test_the_samples(dataset, form, download):
    root, written = download
    takes, skipped, samples = read_all(dataset, form, root, written)
    assert sum(map(len, takes)) == written.samples
    assert all(item.reason and item.name for item in skipped)
    for take in takes:
        assert take.meta.dataset == dataset and take.meta.source == form
        assert (np.diff(take.frames) > 0).all() or take.meta.action == ""
    batch = collate(samples)
    assert batch.images.shape[1:] == (3, 32, 32) and torch.isfinite(batch.joints_crop).all()
    for sample in samples:
        assert sample.joint_valid.any()
        assert (sample.joints_crop[~sample.joint_valid, :2] == 0).all()
        assert (sample.joints_crop[~sample.depth_valid, 2] == 0).all()
        if sample.joints_cam_mm is None:
            about_root = any(take.joints_root_rel_mm is not None for take in takes)
            assert about_root or not sample.depth_valid.any()
        else:
            known = sample.joints_cam_mm.isfinite().all(-1)
            assert (sample.joints_cam_mm[known, 2] > 0).all(), "behind the camera"
            both = torch.tensor([bool(known[p] and known[c]) for p, c in HEMLETS18.parts])
            assert (sample.part_states[~both] == UNKNOWN).all()


@EVERY_FORM
def test_projected_joints_are_the_labelled_ones(dataset, form, download):
    root, written = download
    takes, _, _ = read_all(dataset, form, root, written)
    for take in takes:
        if take.camera is None or take.joints_px is None or take.joints_cam_mm is None:
            continue
        projected = take.camera.project(torch.from_numpy(take.joints_cam_mm)).numpy()
        off = np.linalg.norm(projected - take.joints_px, axis=-1)
        assert np.nanmax(off) < 3, f"{take.name}: {np.nanmax(off):.1f} px"


@EVERY_FORM
def test_an_unknown_split_is_refused(dataset, form, download):
    root, _ = download
    with pytest.raises(ValueError, match=r"`split` of .* must be one of .*, got 'holdout'"):
        list(READERS[dataset][form](root).takes("holdout"))


@EVERY_FORM
def test_takes_can_be_sent_to_another_process(dataset, form, download):
    root, written = download
    takes, _, _ = read_all(dataset, form, root, written)
    again = pickle.loads(pickle.dumps(takes[0]))
    np.testing.assert_array_equal(again.sample(0, size=32).image, takes[0].sample(0, size=32).image)


@EVERY_FORM
def test_prepared_whole_and_only_once(dataset, form, download, tmp_path):
    root, written = download
    options = {"form": form, "split": written.split, "step": written.step, "size": 48, "workers": 0}
    made = prepare(dataset, root, tmp_path / "out", **options, show_progress=False)
    assert made.frames == written.samples and verify_shards(tmp_path / "out").ok
    assert sum(made.actions.values()) == sum(row.frames for row in made.rows) == written.samples
    assert sum(item.frames for item in made.left_out) == written.skipped
    assert (tmp_path / "out" / PREPARED_NAME).is_file()
    assert ShardDataset(tmp_path / "out")[0].size == 48
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.arrow")}
    assert prepare(dataset, root, tmp_path / "out", **options, show_progress=False) == made
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.arrow")} == before


@EVERY_FORM
def test_truncated_and_empty_files(dataset, form, copied):
    root, written = copied
    alike = {(path.suffix, path.parent.name): path for path in files_of(root)}  # one of a hundred will do
    for path in alike.values():
        content = path.read_bytes()
        for length in (0, 1, len(content) // 2, len(content) - 1):
            path.write_bytes(content[:length])
            survives(dataset, form, root, written)
        path.write_bytes(content)


@EVERY_FORM
def test_nothing_is_left_of_a_download_that_cannot_be_read(dataset, form, copied, tmp_path):
    root, written = copied
    for path in files_of(root):
        path.write_bytes(b"")
    with pytest.raises((DownloadError, ValueError)) as raised:
        prepare(
            dataset, root, tmp_path / "out", form=form, split=written.split, workers=0, show_progress=False
        )
    assert str(root) in str(raised.value) or "none can" in str(raised.value)
    assert not (tmp_path / "out").exists()


@EVERY_FORM
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_altered_bytes_end_in_our_errors(dataset, form, copied, data):
    root, written = copied
    path = data.draw(st.sampled_from(files_of(root)), label="file")
    content = path.read_bytes()
    altered = bytearray(content)
    near_start = st.integers(0, min(len(altered), 4096) - 1)  # where formats keep their structure
    for _ in range(data.draw(st.integers(1, 6), label="changes")):
        at = data.draw(near_start | st.integers(0, len(altered) - 1), label="at")
        change = data.draw(st.binary(min_size=1, max_size=8), label="bytes")
        altered[at : at + len(change)] = change
    try:
        path.write_bytes(altered)
        survives(dataset, form, root, written)
    finally:
        path.write_bytes(content)


def test_unknown_names_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"`dataset` must be one of .*, got 'h37m'"):
        find_reader("h37m", tmp_path)
    with pytest.raises(ValueError, match=r"`form` of human36m must be one of .*, got 'x'"):
        find_reader("human36m", tmp_path, form="x")
    with pytest.raises(FileNotFoundError, match="expected the folder of the download, found none"):
        find_reader("human36m", tmp_path / "nowhere")
    with pytest.raises(
        DownloadError, match=r"expected a form of human36m .*, found nothing\. `hemlets data sets`"
    ):
        find_reader("human36m", tmp_path)


def test_labels_of_another_download_do_not_mix():
    takes = [take_of(0.0), take_of(1.0)]
    one, other = (Download([take], size=32, config={"kind": "download"}) for take in takes)
    assert (
        one.config != other.config
        and one.config == Download([take_of(0.0)], size=32, config={"kind": "download"}).config
    )


def take_of(shift):
    from hemlets_lib.data.readers.pictures import ImageFiles
    from hemlets_lib.data.sample import Meta

    joints = np.full((1, 18, 2), np.nan)
    joints[0, :3] = [[1 + shift, 2], [3, 4], [9, 7]]
    return Take(Meta("mpii"), ImageFiles((Path("a.jpg"),)), np.array([0]), joints_px=joints)
