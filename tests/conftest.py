"""What all tests share.

Shapes and types in the library's annotations are checked at every call, under pytest only;
HEMLETS_CHECK_SHAPES=0 switches that off. A function that refuses wrong input itself keeps the word:
its own message is what tests see. A check that fails therefore means that an annotation is wrong, or
that wrong input went unnoticed.
"""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jaxtyping
import numpy as np
import pytest
import torch
from beartype import BeartypeConf, beartype

_beartype = beartype(conf=BeartypeConf(is_pep484_tower=True))  # an int will do where a float is asked for
_UNCHECKED_MODULES = {  # numba and Triton cannot compile a function wrapped in checks
    "hemlets_lib.data.render.raster",
    "hemlets_lib.kernels.map_loss_cpu",
    "hemlets_lib.kernels.soft_argmax_cpu",
    "hemlets_lib.kernels.soft_argmax_triton",
}
_jaxtyped = jaxtyping.jaxtyped


def _patient(function: Callable[..., Any], checked: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if torch.compiler.is_compiling():  # checks are Python that torch.compile cannot trace
            return function(*args, **kwargs)
        try:
            return checked(*args, **kwargs)
        except jaxtyping.TypeCheckError:
            function(*args, **kwargs)
            raise

    return call


def _check_patiently(**_: Any) -> Callable[[Any], Any]:
    """Stands in for `jaxtyping.jaxtyped`, which the import hook puts on every function and class."""

    def decorate(thing: Any) -> Any:
        if thing.__module__ in _UNCHECKED_MODULES or "<locals>" in thing.__qualname__:
            return thing  # inner functions would be wrapped anew at every call of the outer one
        if not isinstance(thing, type):
            return _patient(thing, _jaxtyped(thing, typechecker=_beartype))
        construct = thing.__init__
        thing = _jaxtyped(thing, typechecker=_beartype)
        if thing.__init__ is not construct:
            thing.__init__ = _patient(construct, thing.__init__)
        return thing

    return decorate


if os.environ.get("HEMLETS_CHECK_SHAPES", "1") != "0":  # before anything imports the library
    jaxtyping.jaxtyped = _check_patiently
    jaxtyping.install_import_hook("hemlets_lib", "beartype.beartype")

REPOSITORY = Path(__file__).resolve().parents[1]
BOOK_LIMIT_S = 900  # half a minute on two cores that have nothing else to do


# A shell that runs the tests in the background has SIGINT ignored, and what they start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
torch.set_num_threads(1)  # two threads on a busy machine wait for each other more than they compute


@pytest.fixture(autouse=True)
def seed() -> None:
    """The library draws from its own keyed generators; this is for what tests draw themselves."""
    torch.manual_seed(0)
    np.random.seed(0)


@pytest.fixture
def skeleton3():
    """An arm: three joints, two parts, no symmetry."""
    from hemlets_lib.skeleton import Skeleton

    return Skeleton(
        name="arm",
        joint_names=("shoulder", "elbow", "wrist"),
        parent_names={"elbow": "shoulder", "wrist": "elbow"},
        part_names=(("shoulder", "elbow"), ("elbow", "wrist")),
    )


@pytest.fixture(scope="session")
def real_samples() -> Path:
    """A folder with real samples of the data sets, which are licensed and not part of the project."""
    folder = Path(os.environ.get("HEMLETS_REAL_SAMPLES") or REPOSITORY.parent / "shared" / "real_samples")
    if not folder.is_dir():
        pytest.skip(f"no real samples at {folder}; point HEMLETS_REAL_SAMPLES at a folder that has them")
    return folder


@pytest.fixture(scope="session")
def book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The web book, built once by the command behind `make book`; a warning of Sphinx is an error."""
    folder = tmp_path_factory.mktemp("web") / "book"
    command = [sys.executable, str(REPOSITORY / "book" / "build.py"), "--out", str(folder)]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=BOOK_LIMIT_S, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == (folder / "index.html").as_uri()
    return folder
