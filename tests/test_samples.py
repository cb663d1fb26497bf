"""The shipped samples are whole and what the generator makes today; photographs become samples."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from hemlets_lib.data import samples
from hemlets_lib.data.photos import PhotoError
from hemlets_lib.data.samples import (
    ShippedSamples,
    check_samples,
    find_samples,
    find_weights,
    load_samples,
    sample_from_photo,
    write_samples,
)
from hemlets_lib.data.shards import ShardDataset, verify_shards
from hemlets_lib.data.shards.manifest import read_manifest
from hemlets_lib.geometry import apply_affine, crop_to_px
from hemlets_lib.skeleton import HEMLETS18
from hemlets_lib.triplets import UNKNOWN


def test_the_shipped_samples_are_what_the_generator_makes_today():
    """Fails after a change to the generator: raise GENERATOR_VERSION and run `hemlets data samples`."""
    check = check_samples()
    assert check.problems == ()
    assert check.num_rows == len(ShippedSamples())
    assert check.num_bytes < 4_000_000


def test_they_cover_every_action_camera_and_scene():
    metas = ShardDataset(find_samples()).metas()
    for subject in ("S9", "S11"):
        assert len({meta.action for meta in metas if meta.subject == subject}) == 15
    assert len({meta.camera_name for meta in metas}) == 4
    assert {meta.subject for meta in metas} == {"S1", "S5", "S6", "S7", "S8", "S9", "S11"}
    for scene in ("studio", "outdoor", "green_screen"):
        assert any(f"scene {scene}" in meta.source for meta in metas)


def test_loading_at_another_size_keeps_the_labels():
    large, small = load_samples(), load_samples(size=64)
    assert len(large) == len(small) == len(ShippedSamples())
    assert large[0].image.shape == (256, 256, 3) and small[0].image.shape == (64, 64, 3)
    torch.testing.assert_close(small[7].joints_crop, large[7].joints_crop)
    one = small[7]
    by_affine = apply_affine(one.affine, one.camera.project(one.joints_cam_mm))
    torch.testing.assert_close(by_affine, crop_to_px(one.joints_crop[:, :2], 64), atol=0.01, rtol=0)


def test_a_changed_picture_or_list_is_noticed(tmp_path):
    shutil.copytree(find_samples(), tmp_path / "copy")
    shard = tmp_path / "copy" / "shard-00000.arrow"
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 255
    shard.write_bytes(content)
    assert "SHA-256 differs" in check_samples(tmp_path / "copy").problems[0]

    shutil.copytree(find_samples(), tmp_path / "other")
    manifest = tmp_path / "other" / "manifest.json"
    changed = json.loads(manifest.read_text())
    changed["identity"]["source"]["generator_version"] = 0
    manifest.write_text(json.dumps(changed))
    assert "another version of the generator" in check_samples(tmp_path / "other").problems[-1]


def test_differences_are_named():
    shipped, fresh = load_samples()[:1], ShippedSamples()[1]
    texts = samples._differences(shipped[0], fresh)
    assert any("the picture differs by" in text for text in texts)
    assert any("`joints_cam_mm` differs by" in text for text in texts)


def test_writing_them_again_gives_the_same(tmp_path, monkeypatch):
    few = samples._scenes()[:3]
    monkeypatch.setattr(samples, "_scenes", lambda: few)
    (tmp_path / "README.md").write_text("stays")
    first = write_samples(tmp_path, show_progress=False)
    (tmp_path / "shard-00000.arrow").write_bytes(b"damaged")
    assert write_samples(tmp_path, show_progress=False)["shards"] == first["shards"]
    assert {path.name for path in tmp_path.iterdir()} == {"README.md", "manifest.json", "shard-00000.arrow"}


@pytest.mark.parametrize("stopped_by", ["build_shards", "replace"])
def test_an_interrupted_writing_leaves_the_old_samples(tmp_path, monkeypatch, stopped_by):
    out = tmp_path / "data"
    few = samples._scenes()[:2]
    monkeypatch.setattr(samples, "_scenes", lambda: few)
    write_samples(out, show_progress=False)
    before = {path.name: path.read_bytes() for path in out.glob("[!.]*")}

    def stop(*args, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if stopped_by == "build_shards":
            patch.setattr(samples, "build_shards", stop)
        else:
            patch.setattr(samples.os, "replace", stop)
        with pytest.raises(KeyboardInterrupt):
            write_samples(out, show_progress=False)
    assert {path.name: path.read_bytes() for path in out.glob("[!.]*")} == before
    assert verify_shards(out).ok

    (tmp_path / ".data.new").mkdir()
    (tmp_path / ".data.new" / "manifest.json").write_text("of a run that was killed")
    write_samples(out, show_progress=False)
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_the_manifest_is_replaced_last(tmp_path, monkeypatch):
    few = samples._scenes()[:1]
    monkeypatch.setattr(samples, "_scenes", lambda: few)
    moved, replace = [], samples.os.replace

    def note(source, target):
        moved.append(target)
        replace(source, target)

    monkeypatch.setattr(samples.os, "replace", note)
    write_samples(tmp_path / "data", show_progress=False)
    into_place = [path.name for path in moved if path.parent == tmp_path / "data"]
    assert into_place == ["shard-00000.arrow", "manifest.json"]


def test_other_shards_are_not_overwritten(tmp_path):
    shutil.copytree(find_samples(), tmp_path, dirs_exist_ok=True)
    manifest = read_manifest(tmp_path)
    manifest["identity"]["source"]["kind"] = "synthetic"
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ValueError, match="expected the shipped samples or nothing, got 'synthetic' shards"):
        write_samples(tmp_path)
    assert (tmp_path / "shard-00000.arrow").is_file()
    (tmp_path / "manifest.json").unlink()
    with pytest.raises(ValueError, match="may be somebody's data"):
        write_samples(tmp_path)


def test_where_they_are_looked_for(tmp_path, monkeypatch):
    usual = find_samples()
    monkeypatch.chdir(tmp_path)
    assert find_samples() == usual  # beside the package
    shutil.copytree(usual, tmp_path / "data_samples")
    assert find_samples() == tmp_path / "data_samples"
    shutil.copytree(usual, tmp_path / "mine")
    monkeypatch.setenv("HEMLETS_DATA", str(tmp_path / "mine"))
    assert find_samples() == tmp_path / "mine"
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HEMLETS_DATA", "~/mine")
    assert find_samples() == tmp_path / "mine"
    monkeypatch.setenv("HEMLETS_DATA", "~")
    assert find_samples() == tmp_path / "data_samples"


def test_a_mistyped_variable_is_not_passed_over(tmp_path, monkeypatch):
    monkeypatch.setenv("HEMLETS_DATA", str(tmp_path / "typo"))
    with pytest.raises(
        FileNotFoundError, match=r"HEMLETS_DATA must name a folder, got '.*typo'\. Correct it"
    ):
        find_samples()


def test_a_folder_of_other_data_does_not_hide_them(tmp_path, monkeypatch):
    usual = find_samples()
    (tmp_path / "human36m").mkdir()
    monkeypatch.setenv("HEMLETS_DATA", str(tmp_path))
    assert find_samples() == usual


def test_nowhere_to_be_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(samples, "__file__", str(tmp_path / "a" / "b" / "c.py"))
    monkeypatch.delenv("HEMLETS_DATA", raising=False)
    with pytest.raises(FileNotFoundError, match=r"one of: .*data_samples; .* `hemlets data samples`"):
        find_samples()


def test_the_shipped_network_lies_beside_them(tmp_path, monkeypatch):
    (tmp_path / "manifest.json").write_text("{}")
    monkeypatch.setenv("HEMLETS_DATA", str(tmp_path))
    with pytest.raises(
        FileNotFoundError, match=r"tiny\.safetensors, found none\. Train one with `hemlets train"
    ):
        find_weights("tiny")
    (tmp_path / "tiny.safetensors").touch()
    assert find_weights("tiny") == tmp_path / "tiny.safetensors"


def write_photo(folder, **record):
    picture = np.zeros((60, 80, 3), np.uint8)
    picture[18:23, 38:43] = 255
    Image.fromarray(picture).save(folder / "one.png")
    names = ["left_hip", "left_knee", "left_ankle"]
    record = {"image": "one.png", "joints_px": [[40, 20], [41, 40], [42, 55]], **record}
    (folder / "annotations.json").write_text(json.dumps({"joint_names": names, "records": [record]}))


def test_a_photograph_with_pixels_only(tmp_path):
    write_photo(tmp_path, bbox_center_px=[40, 30], bbox_size_px=40.0)
    (sample,) = load_samples(tmp_path, size=80)
    hip = HEMLETS18.index("left_hip")
    # The box spans 20 … 60 by 10 … 50: the hip is in the middle of its width, a quarter down.
    torch.testing.assert_close(sample.joints_crop[hip], torch.tensor([0.0, -0.25, 0.0]))
    assert int(sample.joint_valid.sum()) == 3 and not sample.depth_valid.any()
    assert (sample.part_states == UNKNOWN).all()
    assert sample.image[20, 40].tolist() == [255] * 3  # the white square is drawn where the hip is
    assert sample.camera is None and sample.meta.sample_id == "one"


def test_a_photograph_with_depth_but_no_root(tmp_path):
    write_photo(
        tmp_path, joints_cam_mm=[[0, 0, 3000], [0, 400, 2700], [0, 800, 2700]],
        camera={"f_px": [100, 100], "c_px": [40, 20]},
    )  # fmt: skip
    (sample,) = load_samples(tmp_path, size=32)
    assert not sample.depth_valid.any()  # depth is relative to the pelvis, which is unknown
    parts = dict(zip(HEMLETS18.part_names, sample.part_states.tolist(), strict=True))
    assert parts[("left_hip", "left_knee")] == 1 and parts[("left_knee", "left_ankle")] == 0
    assert sum(state != UNKNOWN for state in parts.values()) == 2


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ({"bbox_center_px": [900, 30], "bbox_size_px": 40}, "lies outside the picture of 80×60 px"),
        ({"bbox_center_px": [40, 30], "bbox_size_px": 1e5}, "got a side of 100000 px"),
    ],
)
def test_a_box_that_cannot_be_cropped_names_the_photograph(tmp_path, box, message):
    write_photo(tmp_path, **box)
    with pytest.raises(PhotoError, match=rf"one\.png: the crop .*{message}.* Check the person's box"):
        load_samples(tmp_path, size=32)


def test_real_photographs(real_samples):
    loaded = load_samples(real_samples, size=64)
    assert {sample.meta.dataset for sample in loaded} == {"h36m", "mpi_inf_3dhp", "mpii"}
    for sample in loaded:
        assert sample.image.shape == (64, 64, 3)
        assert sample.joints_crop.isfinite().all()
        known = sample.joints_crop[sample.joint_valid, :2]
        assert known.abs().max() < 0.75
        is_3d = sample.meta.dataset != "mpii"
        assert bool(sample.depth_valid.all()) == is_3d
        assert ((sample.part_states == UNKNOWN).sum() == 0) or not is_3d


def test_photographs_are_read_one_by_one(real_samples):
    from hemlets_lib.data.photos import read_photos

    photo = read_photos(real_samples / "h36m")[0]
    sample = sample_from_photo(photo, 48)
    px = sample.camera.project(sample.joints_cam_mm)
    labelled = torch.from_numpy(photo.joints_px).float()
    torch.testing.assert_close(px[:17], labelled[:17], atol=0.01, rtol=0)  # the 18th is a mean
