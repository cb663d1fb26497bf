"""CDF files: what cdflib wrote comes back, and damage ends in our error, soon."""

import random
import sys
from collections import Counter

import cdflib.cdfread
import numpy as np
import pytest
from cdflib.cdfwrite import CDF
from downloads.human36m import write_cdf

from hemlets_lib.data.readers.cdf import cdf_shape, read_cdf
from hemlets_lib.data.readers.files import DownloadError


@pytest.fixture
def poses(tmp_path):
    values = np.arange(5 * 96, dtype=np.float32).reshape(5, 32, 3)
    write_cdf(tmp_path / "Eating 2.54138969.cdf", values)
    return tmp_path / "Eating 2.54138969.cdf", values


def test_values_and_shape(poses):
    path, values = poses
    np.testing.assert_array_equal(read_cdf(path, "Pose"), values.reshape(1, 5, 96))
    assert cdf_shape(path, "Pose") == (1, 5, 96)


def test_one_record_for_each_frame(tmp_path):
    file = CDF(tmp_path / "a.cdf", delete=True)
    entry = {"Variable": "Pose", "Data_Type": CDF.CDF_DOUBLE, "Num_Elements": 1, "Rec_Vary": True}
    values = np.arange(4 * 7, dtype=np.float64).reshape(4, 7)
    file.write_var(entry | {"Dim_Sizes": [7]}, var_data=values)
    file.close()
    np.testing.assert_array_equal(read_cdf(tmp_path / "a.cdf", "Pose"), values)
    assert cdf_shape(tmp_path / "a.cdf", "Pose") == (4, 7)


@pytest.mark.parametrize("read", [read_cdf, cdf_shape])
def test_other_files(poses, tmp_path, read):
    path, _ = poses
    with pytest.raises(
        DownloadError, match=r"Eating 2.54138969.cdf: expected a CDF file with a variable `Nose`"
    ):
        read(path, "Nose")
    with pytest.raises(DownloadError, match=r"b\.cdf: expected a file there, found none"):
        read(tmp_path / "b.cdf", "Pose")
    (tmp_path / "b.cdf").write_bytes(b"")
    with pytest.raises(DownloadError, match=r"b\.cdf: expected content, got an empty file"):
        read(tmp_path / "b.cdf", "Pose")
    (tmp_path / "b.cdf").write_bytes(b"hello there, this is not a CDF file at all")
    with pytest.raises(DownloadError, match=r"b\.cdf: expected a CDF file with a variable `Pose`"):
        read(tmp_path / "b.cdf", "Pose")


def test_counts_in_the_billions_are_not_counted_to(poses):
    """The number of a variable's dimensions, which cdflib would count to, appending as it goes."""
    path, _ = poses
    content = bytearray(path.read_bytes())
    dimensions = (2).to_bytes(4, "big") + (5).to_bytes(4, "big") + (96).to_bytes(4, "big")
    at = content.index(dimensions)
    content[at : at + 4] = (2**31 - 1).to_bytes(4, "big")
    path.write_bytes(content)
    with pytest.raises(DownloadError, match=r"a count of 2147483646"):
        read_cdf(path, "Pose")


def test_a_size_that_cannot_be_is_not_made_room_for(poses):
    path, _ = poses
    content = bytearray(path.read_bytes())
    at = content.index((2).to_bytes(4, "big") + (5).to_bytes(4, "big"))
    content[at + 4 : at + 8] = (2**31 - 1).to_bytes(4, "big")
    path.write_bytes(content)
    with pytest.raises(DownloadError, match=r"a variable of shape \(1, 2147483647, 96\)"):
        read_cdf(path, "Pose")


def test_nobody_elses_cdflib_is_touched(poses):
    path, _ = poses
    read_cdf(path, "Pose")
    assert "range" not in vars(cdflib.cdfread)
    assert sys.modules["cdflib.cdfread"] is cdflib.cdfread


def test_altered_bytes(poses):
    path, _ = poses
    good, rng = path.read_bytes(), random.Random(5)
    outcomes = Counter()
    for _ in range(150):
        altered = bytearray(good)
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(altered))
            altered[at : at + 4] = rng.randbytes(4)
        path.write_bytes(altered)
        try:  # anything but our error comes out of here
            outcomes[type(read_cdf(path, "Pose"))] += 1
        except DownloadError:
            outcomes[DownloadError] += 1
    assert set(outcomes) == {np.ndarray, DownloadError}
