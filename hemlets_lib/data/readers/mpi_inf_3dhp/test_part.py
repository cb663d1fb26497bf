"""The test part of MPI-INF-3DHP as it is downloaded: six sequences, each before one camera.

    mpi_inf_3dhp_test_set/TS1/annot_data.mat            MATLAB 7.3; 17 joints, a row for each frame
    mpi_inf_3dhp_test_set/TS1/imageSequence/img_000001.jpg

Of all frames, those that `valid_frame` marks are evaluated. Poses have the universal size, with which the
official metric compares, or the measured one; see `mpi_inf_3dhp_facts`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from hemlets_lib.data.readers.contract import Finding, Skipped, Take
from hemlets_lib.data.readers.files import DownloadError, as_array, h5_array, open_h5
from hemlets_lib.data.readers.mpi_inf_3dhp.facts import (
    ACTIVITIES,
    DATASET,
    PUBLISHED_CAMERAS,
    TEST_SEQUENCES,
    TEST_SIZES,
    VALID_FRAMES,
    distances_px,
    fit_camera,
    to_hemlets18,
    universal_poses,
)
from hemlets_lib.data.readers.pictures import ImageFiles
from hemlets_lib.data.sample import Meta
from hemlets_lib.geometry import Camera
from hemlets_lib.skeleton import MPI_INF_3DHP17

__all__ = ["Evaluated", "check_test", "evaluated_takes", "find_test", "read_test_annotations"]

# By itself; as the download script unpacks it; where the archive's own folder ends up in that; and as
# open-mmlab/mmpose lays the data set out.
_TEST_FOLDERS = ("", "mpi_inf_3dhp_test_set", "mpi_inf_3dhp_test_set/mpi_inf_3dhp_test_set", "test")
_PICTURE = "imageSequence/img_{number:06d}.jpg"  # numbers count from 1
_CAMERA_TOLERANCE = (
    0.02  # of the focal length, to which a fit may differ from what is published; TS2's: 0.0025
)
_SHOWN = 3  # missing pictures told by name


class Evaluated(NamedTuple):
    """What `annot_data.mat` holds of the F frames marked as valid, in the order of HEMLETS18."""

    frames: Int[np.ndarray, "F"]  # from 0
    invalid: int  # how many frames are not marked
    activities: Int[np.ndarray, "F"]  # from 1; 0 where there is none
    joints_px: Float[np.ndarray, "F 18 2"]
    measured_mm: Float[np.ndarray, "F 18 3"]
    universal_mm: Float[np.ndarray, "F 18 3"]
    camera: Camera


def find_test(root: Path) -> Path | None:
    """The folder that holds TS1 … TS6; None where there is none."""
    for name in _TEST_FOLDERS:
        if any((root / name / sequence).is_dir() for sequence in TEST_SEQUENCES):
            return root / name
    return None


def read_test_annotations(path: Path) -> Evaluated:
    """`annot_data.mat` of one sequence.

    MATLAB's arrays appear with their axes reversed: frames, people (always one), joints, coordinates.

    Raises:
        DownloadError: If it is missing, damaged, or not what it should be.

    Source: read_mpi_inf_3dhp.py of akanazawa/hmr for keys and shapes.
    """
    joints = MPI_INF_3DHP17.num_joints
    with open_h5(path) as file:

        def array(key: str, *shape: int | None, finite: bool = False) -> np.ndarray:
            found = h5_array(file, key, path=path, shape=(None, *shape))
            return as_array(found, (None, *shape), name=key, where=str(path), finite=finite)

        valid = array("valid_frame", 1, finite=True)[:, 0] == 1
        activity = array("activity_annotation", 1)[:, 0]
        poses = {
            "annot2": array("annot2", 1, joints, 2)[:, 0],
            "annot3": array("annot3", 1, joints, 3)[:, 0],
            "univ_annot3": array("univ_annot3", 1, joints, 3)[:, 0],
        }
    for name, value in (("activity_annotation", activity), *poses.items()):
        if len(value) != len(valid):
            raise DownloadError(
                f"{path}: expected `{name}` for each of {len(valid)} frames, got {len(value)}."
            )
    if not valid.any():
        raise DownloadError(f"{path}: expected frames marked in `valid_frame`, got none of {len(valid)}.")
    joints_px, measured, universal = (to_hemlets18(value[valid], MPI_INF_3DHP17) for value in poses.values())
    return Evaluated(
        frames=np.flatnonzero(valid),
        invalid=int((~valid).sum()),
        activities=_activities(activity[valid]),
        joints_px=joints_px,
        measured_mm=measured,
        universal_mm=universal,
        camera=fit_camera(joints_px, measured, where=str(path)),
    )


def _activities(values: Float[np.ndarray, "F"]) -> Int[np.ndarray, "F"]:
    known = np.isin(values, np.arange(1, len(ACTIVITIES) + 1))
    return np.where(known, values, 0).astype(np.int64)


def evaluated_takes(folder: Path, *, form: str, step: int, universal: bool) -> Iterator[Take | Skipped]:
    """The valid frames of each sequence, an activity at a time.

    Args:
        folder: As `find_test` gives it.
        form: For `Meta.source`.
        step: From one valid frame taken to the next; 1 is the protocol.
        universal: Whether poses have the universal size, as the official metric wants.

    Raises:
        DownloadError: If annotations are missing or damaged; names the file.
    """
    for sequence in TEST_SEQUENCES:
        if not (folder / sequence).is_dir():
            yield Skipped(sequence, "not in this download")
            continue
        path = folder / sequence / "annot_data.mat"
        found = read_test_annotations(path)
        if found.invalid:
            yield Skipped(sequence, "not marked as valid by the data set", found.invalid)
        joints_cam_mm = (
            universal_poses(found.measured_mm, found.universal_mm, where=str(path)).joints_cam_mm
            if universal
            else found.measured_mm
        )
        taken: Bool[np.ndarray, F] = np.arange(len(found.frames)) % step == 0
        for activity in np.unique(found.activities).tolist():
            chosen = taken & (found.activities == activity)
            if not chosen.any():
                continue
            frames = found.frames[chosen]
            names = (_PICTURE.format(number=number + 1) for number in frames.tolist())
            yield Take(
                meta=Meta(
                    DATASET,
                    subject=sequence,
                    action=ACTIVITIES[activity - 1] if activity else "",
                    source=form,
                ),
                pictures=ImageFiles(
                    tuple(folder / sequence / name for name in names), size=TEST_SIZES[sequence]
                ),
                frames=frames,
                joints_px=found.joints_px[chosen],
                joints_cam_mm=joints_cam_mm[chosen],
                camera=found.camera,
            )


def check_test(folder: Path, root: Path) -> Iterator[Finding]:
    """What the test part should hold and whether it does. It is one archive, so all of it must be there."""
    prefix = "" if folder == root else f"{folder.relative_to(root).as_posix()}/"
    for sequence in TEST_SEQUENCES:
        name = f"{prefix}{sequence}"
        path = folder / sequence / "annot_data.mat"
        try:
            found = read_test_annotations(path)
            scaled = universal_poses(found.measured_mm, found.universal_mm, where=str(path))
        except DownloadError as error:
            yield Finding(f"{name}/annot_data.mat", str(error).removeprefix(f"{path}: "))
            continue
        lens = np.array([*found.camera.focal_px.tolist(), *found.camera.centre_px.tolist()])
        published = np.array(PUBLISHED_CAMERAS[sequence])
        apart = distances_px(found.joints_px, found.measured_mm, found.camera)
        off = np.abs(lens - published).max() > _CAMERA_TOLERANCE * published[0]
        yield Finding(
            f"{name}/annot_data.mat",
            f"expected a camera near {published.tolist()} px, fitted {lens.round(1).tolist()}" if off else "",
            note=f"{len(found.frames)} valid frames, {VALID_FRAMES[sequence]} known; "
            f"f {lens[0]:.1f}, {lens[1]:.1f}, c {lens[2]:.1f}, {lens[3]:.1f} px; "
            f"annot3 on annot2 to {apart.max(initial=0):.2f} px; "
            f"universal size × {scaled.scale:.4f} = measured, to {scaled.misfit_mm:.2f} mm; "
            f"activities {np.bincount(found.activities, minlength=len(ACTIVITIES) + 1).tolist()}",
        )
        yield from _check_pictures(folder / sequence, name, found.frames)


def _check_pictures(place: Path, name: str, frames: Int[np.ndarray, "F"]) -> Iterator[Finding]:
    there = {path.name for path in (place / "imageSequence").glob("*.jpg")}
    wanted = [Path(_PICTURE.format(number=number + 1)) for number in frames.tolist()]
    missing = [path for path in wanted if path.name not in there]
    for path in missing[:_SHOWN]:
        yield Finding(f"{name}/{path.as_posix()}", "missing")
    if rest := missing[_SHOWN:]:
        yield Finding(f"{name}/imageSequence/img_*.jpg", f"{len(rest)} more are missing")
    yield Finding(f"{name}/imageSequence", note=f"{len(wanted) - len(missing)} of {len(wanted)} valid frames")
