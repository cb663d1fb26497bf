"""The names others rely on are there, come from one place, and cost nothing until used."""

import subprocess
import sys

import pytest

import hemlets_lib


@pytest.mark.parametrize("name", hemlets_lib.__all__)
def test_every_public_name_loads(name):
    thing = getattr(hemlets_lib, name)
    assert name in vars(sys.modules[f"hemlets_lib.{hemlets_lib._HOMES[name]}"])
    assert name == "HEMLETS18" or thing.__doc__


def test_the_list_and_the_homes_agree():
    assert sorted(hemlets_lib._HOMES) == sorted(hemlets_lib.__all__)
    assert set(hemlets_lib.__all__) <= set(dir(hemlets_lib))


def test_a_missing_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'encode_triplet'"):
        _ = hemlets_lib.encode_triplet


def test_importing_the_package_does_not_load_torch():
    code = "import sys, hemlets_lib; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_core_runs_without_notebook_packages():
    """A GPU machine may have torch and nothing to show pictures with."""
    code = """
import sys
for absent in ("plotly", "ipywidgets", "papermill", "nbformat", "nbclient", "nbconvert", "datasets", "roma"):
    sys.modules[absent] = None  # importing it now fails
import hemlets_lib
for name in hemlets_lib.__all__:
    getattr(hemlets_lib, name)
import hemlets_lib.data.render.person, hemlets_lib.data.synthetic
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
