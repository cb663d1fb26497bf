"""What all tests share. Shape annotations are checked at every call, under pytest only."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from jaxtyping import install_import_hook

install_import_hook("hemlets_lib", "beartype.beartype")  # before anything imports the library

REPOSITORY = Path(__file__).resolve().parents[1]


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
        name="arm3",
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
