"""Files from strangers: read when they are what they should be, refused by name when not, never run."""

import json
import os
import pickle
import zipfile
from collections import OrderedDict

import h5py
import numpy as np
import pytest
import scipy.io

from hemlets_lib.data.readers.cdf import read_cdf
from hemlets_lib.data.readers.files import (
    DownloadError,
    as_array,
    h5_array,
    inside,
    open_h5,
    read_json,
    read_mat,
    read_npz,
    read_plain_pickle,
)


class Hostile:
    """Makes a folder when it is unpickled by the ordinary unpickler."""

    def __init__(self, folder):
        self.folder = str(folder)

    def __reduce__(self):
        return os.mkdir, (self.folder,)


def test_inside_a_download(tmp_path):
    (tmp_path / "data").mkdir()
    assert (
        inside(tmp_path / "data", "images/im 1.jpg", where="x") == tmp_path / "data" / "images" / "im 1.jpg"
    )
    assert inside(tmp_path / "data", r"images\a.jpg", where="x") == tmp_path / "data" / "images" / "a.jpg"


@pytest.mark.parametrize(
    "name",
    [
        "../secret.jpg",
        "a/../../secret.jpg",
        "/etc/passwd",
        r"..\secret.jpg",
        r"C:\secret.jpg",
        r"\\host\x.jpg",
    ],
)
def test_paths_out_of_a_download(tmp_path, name):
    with pytest.raises(
        DownloadError, match=r"list\.json, record 3: expected a path inside .*leads out of it"
    ):
        inside(tmp_path, name, where="list.json, record 3")


@pytest.mark.parametrize("name", [None, 3, "", "  ", "a\0.jpg", ["a.jpg"]])
def test_names_that_are_none(tmp_path, name):
    with pytest.raises(DownloadError, match="x: expected the name of a file, got"):
        inside(tmp_path, name, where="x")


def test_a_link_out_of_a_download(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "secret.jpg").write_bytes(b"x")
    (tmp_path / "data" / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    with pytest.raises(DownloadError, match="leads out of it"):
        inside(tmp_path / "data", "link.jpg", where="x")


def test_plain_pickles(tmp_path):
    content = {
        ("S1", 2): {
            "R": np.arange(9.0).reshape(3, 3),
            "name": "54138969",
            "w": np.int64(1000),
            "t": [1, 2.5, None],
        },
        "objects": np.array([{"a": np.float32(2)}, (1, 2)], dtype=object),
    }
    for protocol in range(6):
        (tmp_path / "a.pkl").write_bytes(pickle.dumps(content, protocol=protocol))
        found = read_plain_pickle(tmp_path / "a.pkl")
        np.testing.assert_array_equal(found["S1", 2]["R"], content["S1", 2]["R"])
        assert found["S1", 2]["w"] == 1000 and found["S1", 2]["t"] == [1, 2.5, None]
        assert found["objects"][0]["a"] == 2 and found["objects"][1] == (1, 2)


@pytest.mark.parametrize("protocol", range(6))
def test_hostile_pickles_are_not_run(tmp_path, protocol):
    made = tmp_path / "made"
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"x": Hostile(made)}, protocol=protocol))
    with pytest.raises(
        DownloadError,
        match=r"a\.pkl: expected plain data, got a pickle that asks for posix\.mkdir",
    ):
        read_plain_pickle(tmp_path / "a.pkl")
    np.savez(tmp_path / "a.npz", positions_3d=np.array({"x": Hostile(made)}, dtype=object))
    with pytest.raises(DownloadError, match=r"asks for posix\.mkdir\. It was not run"):
        read_npz(tmp_path / "a.npz", "positions_3d", plain_objects=True)
    assert not made.exists()


def test_numbers_in_pickles_that_lie(tmp_path):
    """Sizes that do not go with the bytes: in C these read foreign memory, or end the process."""
    as_dtype = b"cnumpy\ndtype\nX\x02\x00\x00\x00%s\x85R"
    new = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R"
    f8, objects = as_dtype % b"f8", as_dtype % b"O8"
    for what, content in {
        "objects": b"\x80\x03" + new + b"(K\x01J\x00\x00\x10\x00\x85" + objects + b"\x89]K\x01atb.",
        "bytes": b"\x80\x03" + new + b"(K\x01J\x00\x00\x10\x00\x85" + f8 + b"\x89C\x08abcdefghtb.",
        "negative": b"\x80\x03" + new + b"(K\x01J\xff\xff\xff\xff\x85" + f8 + b"\x89C\x00tb.",
        "called": b"\x80\x03cnumpy\nndarray\nJ\x00\x00\x00\x10\x85\x85R.",
        "memo": b"\x80\x04}r\x00\x00\x00\x7f.",
        "length": b"\x80\x05\x96" + (2**40).to_bytes(8, "little") + b".",
        "type": b"\x80\x03" + as_dtype % b"V8" + b".",
        "name": b"\x80\x03cnumpy\nndarray\n.",
    }.items():
        (tmp_path / "a.pkl").write_bytes(content)
        if what == "memo":  # an index of two thousand million is no size in Python
            assert read_plain_pickle(tmp_path / "a.pkl") == {}
            continue
        with pytest.raises(DownloadError, match=r"a\.pkl: expected a pickle of plain data"):
            read_plain_pickle(tmp_path / "a.pkl")


def test_fields_of_records_are_refused(tmp_path):
    """A field that lies beyond its record reads what lies behind the array."""
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(np.zeros(3, dtype=[("a", "f8")])))
    with pytest.raises(DownloadError, match=r"a\.pkl: expected a pickle of plain data"):
        read_plain_pickle(tmp_path / "a.pkl")


def test_other_classes_in_pickles(tmp_path):
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(OrderedDict(a=1)))
    with pytest.raises(DownloadError, match=r"asks for collections\.OrderedDict"):
        read_plain_pickle(tmp_path / "a.pkl")
    (tmp_path / "b.pkl").write_bytes(pickle.dumps([1, 2, 3])[:-3])
    with pytest.raises(DownloadError, match=r"b\.pkl: expected a pickle of plain data"):
        read_plain_pickle(tmp_path / "b.pkl")


def test_npz(tmp_path):
    np.savez(
        tmp_path / "a.npz",
        numbers=np.arange(6.0).reshape(2, 3),
        names=np.array(["a", "bc"]),
        empty=np.zeros((0, 2)),
    )
    found = read_npz(tmp_path / "a.npz", "numbers", "names", "empty")
    np.testing.assert_array_equal(found["numbers"], [[0, 1, 2], [3, 4, 5]])
    assert found["names"].tolist() == ["a", "bc"] and found["empty"].shape == (0, 2)
    with pytest.raises(DownloadError, match=r"a\.npz: expected `joints`, found only numbers, names, empty"):
        read_npz(tmp_path / "a.npz", "joints")
    np.savez(
        tmp_path / "b.npz", nested=np.array({"S1": {"Walking": np.ones((2, 3), np.float32)}}, dtype=object)
    )
    nested = read_npz(tmp_path / "b.npz", "nested", plain_objects=True)["nested"].item()
    np.testing.assert_array_equal(nested["S1"]["Walking"], np.ones((2, 3)))
    with pytest.raises(DownloadError, match=r"b\.npz, nested: expected numbers, got Python objects"):
        read_npz(tmp_path / "b.npz", "nested")


def test_an_npz_that_would_fill_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("hemlets_lib.data.readers.files.LARGEST_ARRAY", 10_000)
    np.savez_compressed(tmp_path / "a.npz", zeros=np.zeros(10_000))  # a few bytes in the file
    with pytest.raises(DownloadError, match=r"zeros would take 80128 bytes"):
        read_npz(tmp_path / "a.npz", "zeros")


def test_an_npz_that_lies_about_its_shape(tmp_path):
    np.savez(tmp_path / "a.npz", joints=np.zeros((2, 3)))
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:
        content = archive.read("joints.npy").replace(b"(2, 3), } ", b"(9, 9), } ")
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("joints.npy", content)
    with pytest.raises(
        DownloadError, match=r"a\.npz: expected an \.npz file, got a file that cannot be read"
    ):
        read_npz(tmp_path / "a.npz", "joints")


def test_mat_files(tmp_path):
    scipy.io.savemat(tmp_path / "a.mat", {"joints": np.arange(12.0).reshape(3, 2, 2)})
    np.testing.assert_array_equal(read_mat(tmp_path / "a.mat", "joints")["joints"].shape, (3, 2, 2))
    with pytest.raises(DownloadError, match=r"a\.mat: expected `ord`, found only"):
        read_mat(tmp_path / "a.mat", "ord")
    with h5py.File(tmp_path / "b.mat", "w", userblock_size=512) as file:
        file["joints"] = np.zeros(3)
    content = bytearray((tmp_path / "b.mat").read_bytes())
    content[:20] = b"MATLAB 7.3 MAT-file "
    (tmp_path / "b.mat").write_bytes(content)
    with pytest.raises(
        DownloadError, match=r"b\.mat: expected a MATLAB file of version 5 to 7, got version 7\.3"
    ):
        read_mat(tmp_path / "b.mat", "joints")


@pytest.mark.parametrize(
    "read", [read_json, read_plain_pickle, read_mat, read_npz, lambda path: read_cdf(path, "Pose")]
)
def test_missing_empty_and_other_files(tmp_path, read):
    with pytest.raises(DownloadError, match=r"none\.x: expected a file there, found none"):
        read(tmp_path / "none.x")
    with pytest.raises(DownloadError, match="expected a file there, found a folder"):
        read(tmp_path)
    (tmp_path / "a.x").write_bytes(b"")
    with pytest.raises(DownloadError, match=r"a\.x: expected content, got an empty file"):
        read(tmp_path / "a.x")
    (tmp_path / "a.x").write_bytes(b"neither one nor the other" * 20)
    with pytest.raises(DownloadError, match=r"a\.x: expected .*, got a file that cannot be read"):
        read(tmp_path / "a.x")


def test_json_that_nests_without_end(tmp_path):
    (tmp_path / "a.json").write_text("[" * 200_000)
    with pytest.raises(DownloadError, match=r"a\.json: expected JSON"):
        read_json(tmp_path / "a.json")
    (tmp_path / "b.json").write_text("\ufeff" + json.dumps({"a": 1}), encoding="utf-8")
    assert read_json(tmp_path / "b.json") == {"a": 1}


def test_h5(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["pose/2d"] = np.arange(24.0).reshape(4, 3, 2)
    with open_h5(path) as file:
        assert h5_array(file, "pose/2d", path=path, shape=(None, 3, 2)).shape == (4, 3, 2)
        assert h5_array(file, "pose/2d", path=path, shape=(None, 3, 2), rows=slice(1, 3)).shape == (2, 3, 2)
        with pytest.raises(DownloadError, match=r"a\.h5: expected `pose/3d`, found only pose"):
            h5_array(file, "pose/3d", path=path, shape=(None, 3, 3))
        with pytest.raises(
            DownloadError, match=r"expected `pose/2d` of shape \(any, 17, 2\), got \(4, 3, 2\)"
        ):
            h5_array(file, "pose/2d", path=path, shape=(None, 17, 2))
        with pytest.raises(DownloadError, match="expected `pose` to be an array in the file itself"):
            h5_array(file, "pose", path=path, shape=(None,))


def test_h5_links_are_not_followed(tmp_path):
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["joints"] = np.zeros((2, 3))
    (tmp_path / "raw.bin").write_bytes(bytes(48))
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["joints"] = h5py.ExternalLink("secret.h5", "joints")
        file["group"] = h5py.ExternalLink("secret.h5", "/")
        layout = h5py.VirtualLayout((2, 3), dtype="f8")
        layout[:] = h5py.VirtualSource(str(tmp_path / "secret.h5"), "joints", shape=(2, 3))
        file.create_virtual_dataset("virtual", layout)
        file.create_dataset("outside", (2, 3), dtype="f8", external=[(str(tmp_path / "raw.bin"), 0, 48)])
    with open_h5(path) as file:
        for key in ("joints", "group/joints"):
            with pytest.raises(DownloadError, match=r"got a link to 'secret\.h5'\. It was not followed"):
                h5_array(file, key, path=path, shape=(2, 3))
        for key in ("virtual", "outside"):
            with pytest.raises(DownloadError, match=f"expected `{key}` to be an array in the file itself"):
                h5_array(file, key, path=path, shape=(2, 3))


def test_h5_soft_links_are_not_followed_either(tmp_path):
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["joints"] = np.zeros((2, 3))
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["out"] = h5py.ExternalLink("secret.h5", "joints")
        file["joints"] = h5py.SoftLink("/out")
    with (
        open_h5(path) as file,
        pytest.raises(DownloadError, match=r"got a link to '/out'\. It was not followed"),
    ):
        h5_array(file, "joints", path=path, shape=(2, 3))


def test_h5_arrays_that_would_fill_the_memory(tmp_path, monkeypatch):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("many", (5000, 3), dtype="i1", chunks=(10, 3), compression="gzip")
        file.create_dataset("chunk", (5000, 3), dtype="i1", chunks=(5000, 3), compression="gzip")
    monkeypatch.setattr("hemlets_lib.data.readers.files.LARGEST_ARRAY", 10_000)
    with open_h5(path) as file:
        with pytest.raises(
            DownloadError, match=r"`many` to fit into memory, got an array of shape \(5000, 3\)"
        ):
            h5_array(file, "many", path=path, shape=(None, 3))
        assert h5_array(file, "many", path=path, shape=(None, 3), rows=7).shape == (3,)
        with pytest.raises(DownloadError, match=r"`chunk` to fit into memory, got a chunk of shape"):
            h5_array(file, "chunk", path=path, shape=(None, 3), rows=7)


def test_arrays():
    assert as_array([[1, 2]], (1, 2), name="a", where="x").dtype == np.float64
    assert np.isnan(as_array([np.nan], (1,), name="a", where="x")[0])
    with pytest.raises(DownloadError, match=r"x: expected finite numbers in `a`, got nan at \[1\]"):
        as_array([0.0, np.nan], (2,), name="a", where="x", finite=True)
    with pytest.raises(DownloadError, match=r"x: expected `a` of shape \(any, 3\), got \(2,\)"):
        as_array([1, 2], (None, 3), name="a", where="x")
    for value, shape in (
        ("text", ()),
        ({"a": 1}, ()),
        ([[1], [1, 2]], (2, 1)),
        ([None, object()], (2,)),
        (1j, ()),
    ):
        with pytest.raises(DownloadError, match="x: expected numbers in `a`, got"):
            as_array(value, shape, name="a", where="x")


def test_lists_that_grow_without_end():
    """Twelve references to one list, seven times over: a few bytes in a file, gigabytes as numbers."""
    nested = [1.0] * 12
    for _ in range(7):
        nested = [nested] * 12
    with pytest.raises(DownloadError, match=r"x: expected `a` of shape \(any, 3\), got \(12, 12, "):
        as_array(nested, (None, 3), name="a", where="x")
    with pytest.raises(DownloadError, match="x: expected `a` to fit into memory"):
        as_array(nested, (None,) * 8, name="a", where="x")
