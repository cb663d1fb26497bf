"""The samples that ship with the project, and labelled photographs as samples.

`data_samples/` holds some sixty drawn samples as one shard with its manifest (`shards`). They are made by
`write_samples` and nothing else; `check_samples` compares them with what the generator makes today.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from hemlets_lib.data.images import decode_image
from hemlets_lib.data.photos import Photo, PhotoError, read_photos
from hemlets_lib.data.sample import Meta, Sample, make_sample, resize_sample
from hemlets_lib.data.shards.build import JPEG_QUALITY, build_shards, refuse_strangers
from hemlets_lib.data.shards.dataset import ShardCheck, ShardDataset, verify_shards
from hemlets_lib.data.shards.manifest import LOCK_NAME, MANIFEST_NAME, locked, read_manifest
from hemlets_lib.data.shards.records import image_encoding, sample_to_record
from hemlets_lib.geometry import Camera

__all__ = [
    "SAMPLES_SIZE",
    "ShippedSamples",
    "check_samples",
    "find_samples",
    "find_weights",
    "load_samples",
    "sample_from_photo",
    "write_samples",
]

SAMPLES_SIZE = 256  # the paper's input size
_COMMAND = "hemlets data samples"
_ENVIRONMENT = "HEMLETS_DATA"
_FOLDER = "data_samples"

# What today's generator may differ by: rounding of sines and the like between processors and libraries.
_CROP_TOLERANCE = 1e-4
_MM_TOLERANCE = 0.05
_GREY_LEVEL_TOLERANCE = 1.0  # mean over a picture; an edge may fall on the next pixel


@dataclass(frozen=True)
class _Scene:
    """One shipped sample: the arguments of `render_sample`."""

    subject: str
    action: str
    seed: int
    frame: int
    camera: str
    scene: str = "studio"


def _scenes() -> tuple[_Scene, ...]:
    """The list: every action by both test subjects and one for training, then a few for teaching.

    The frames were chosen by eye, to show what each action is.
    """
    from hemlets_lib.data.cameras import CAMERA_NAMES
    from hemlets_lib.data.motion import ACTION_NAMES
    from hemlets_lib.data.synthetic import SPLITS

    train = SPLITS["train"]
    listed = []
    for number, action in enumerate(ACTION_NAMES):
        for turn, subject in enumerate((*SPLITS["test"], train[number % len(train)])):
            camera = CAMERA_NAMES[(number + turn) % len(CAMERA_NAMES)]
            listed.append(_Scene(subject, action, 100 + turn, _FRAMES[action][turn], camera))
    listed += [_Scene("S9", "Posing", 7, 250, camera) for camera in CAMERA_NAMES]  # one moment, four views
    for number, action in enumerate(
        ("Walking", "Greeting", "Phoning", "SittingDown", "Photo", "WalkDog", "Directions")
    ):
        camera = CAMERA_NAMES[number % len(CAMERA_NAMES)]
        listed.append(_Scene("S11" if number % 2 else "S9", action, 8, 300, camera, "outdoor"))
    for number, action in enumerate(("Waiting", "Sitting", "Smoking", "WalkTogether")):
        listed.append(
            _Scene("S11" if number % 2 else "S9", action, 9, 400, CAMERA_NAMES[number], "green_screen")
        )
    return tuple(listed)


# For each action the frames for S9, S11 and the training subject.
_FRAMES: Mapping[str, tuple[int, int, int]] = {
    "Directions": (100, 250, 600),
    "Discussion": (100, 400, 600),
    "Eating": (100, 100, 600),
    "Greeting": (250, 600, 400),
    "Phoning": (400, 250, 400),
    "Posing": (250, 600, 400),
    "Purchases": (400, 250, 250),
    "Sitting": (600, 600, 100),
    "SittingDown": (400, 1100, 250),
    "Smoking": (600, 250, 100),
    "Photo": (100, 250, 100),
    "Waiting": (850, 400, 1100),
    "Walking": (600, 250, 250),
    "WalkDog": (400, 400, 100),
    "WalkTogether": (250, 400, 250),
}


class ShippedSamples:
    """The shipped samples, made anew; a `SampleSource`."""

    def __init__(self) -> None:
        self._scenes = _scenes()

    @property
    def config(self) -> Mapping[str, Any]:
        from hemlets_lib.data.synthetic import GENERATOR_VERSION

        return {
            "kind": "shipped",
            "command": _COMMAND,
            "generator_version": GENERATOR_VERSION,
            "size": SAMPLES_SIZE,
            "samples": [list(vars(scene).values()) for scene in self._scenes],
        }

    def __len__(self) -> int:
        return len(self._scenes)

    def __getitem__(self, index: int) -> Sample:
        from hemlets_lib.data.synthetic import render_sample

        return render_sample(**vars(self._scenes[index]), size=SAMPLES_SIZE)


def find_samples() -> Path:
    """The folder with the shipped samples.

    Looked for in the folder that the environment variable HEMLETS_DATA names, and in `data_samples` below
    that; then in `./data_samples`, then beside the package.

    Raises:
        FileNotFoundError: If HEMLETS_DATA names no folder, or the samples are nowhere; the message lists
            the places.
    """
    places = [Path.cwd() / _FOLDER, Path(__file__).resolve().parents[2] / _FOLDER]
    if named := os.environ.get(_ENVIRONMENT):
        folder = Path(named).expanduser()
        if not folder.is_dir():
            raise FileNotFoundError(
                f"{_ENVIRONMENT} must name a folder, got {named!r}. Correct it, or unset it to use the "
                "project's own samples."
            )
        places = [folder, folder / _FOLDER, *places]
    for place in places:
        if (place / MANIFEST_NAME).is_file():
            return place
    listed = ", ".join(map(str, dict.fromkeys(places)))
    raise FileNotFoundError(
        f"expected the shipped samples in one of: {listed}; found none with a {MANIFEST_NAME}. "
        f"Make them with `{_COMMAND}`, or set {_ENVIRONMENT} to the folder that has them."
    )


def find_weights(preset: str = "nano") -> Path:
    """The trained network that ships beside the samples, for `checkpoint.load_checkpoint`.

    Raises:
        FileNotFoundError: If it, or the folder, is not there; the message says how to make it.
    """
    path = find_samples() / f"{preset}.safetensors"
    if not path.is_file():
        raise FileNotFoundError(
            f"expected a trained network at {path}, found none. Train one with "
            f"`hemlets train --preset {preset}` and put it there, or name its file."
        )
    return path


def write_samples(out: str | Path = _FOLDER, *, show_progress: bool = True) -> dict[str, Any]:
    """Makes the shipped samples anew, in place of those in the folder; other files there stay.

    They are made in a folder beside it and moved only once they are whole.

    Returns:
        The manifest.

    Raises:
        ValueError: If the folder holds shards that are not the shipped samples, or is being written.
    """
    root = Path(out).resolve()  # a link's target: files can be moved only within one disk
    root.mkdir(parents=True, exist_ok=True)
    fresh = root.with_name(f".{root.name}.new")
    source = ShippedSamples()
    with locked(root):
        before: set[str] = set()
        if (root / MANIFEST_NAME).exists():
            old = read_manifest(root)
            kind = old["identity"]["source"].get("kind")
            if kind != "shipped":
                raise ValueError(
                    f"{root}: expected the shipped samples or nothing, got {kind!r} shards. "
                    "Choose another folder."
                )
            before = {line["name"] for line in old["shards"]}
        else:
            refuse_strangers(root)
        shutil.rmtree(fresh, ignore_errors=True)  # of a run that was killed
        try:
            manifest = build_shards(
                fresh, source, rows_per_shard=len(source), workers=1, show_progress=show_progress
            )
            names = [line["name"] for line in manifest["shards"]]
            for name in (*names, MANIFEST_NAME):
                os.replace(fresh / name, root / name)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
        for name in before.difference(names):
            (root / name).unlink(missing_ok=True)
    (root / LOCK_NAME).unlink(missing_ok=True)
    return manifest


def check_samples(root: str | Path | None = None) -> ShardCheck:
    """Whether the shipped samples are whole, and what the generator makes today.

    Coordinates must agree to 1e-4 of the crop and 0.05 mm, pictures to one grey level on average.

    Args:
        root: Their folder; found where left out.

    Returns:
        What was found; problems are listed, not raised.

    Raises:
        FileNotFoundError: If they are nowhere.
        ValueError: If the manifest is damaged.
    """
    root = find_samples() if root is None else Path(root)
    found = verify_shards(root)
    problems = list(found.problems)
    source = ShippedSamples()
    manifest = read_manifest(root)
    if manifest["identity"]["source"] != source.config:
        problems.append(f"{root}: made by another version of the generator or list. Run `{_COMMAND}`.")
    elif found.ok:
        shipped = ShardDataset(root)
        for index in range(len(source)):
            problems += _differences(shipped[index], source[index])
    return ShardCheck(root=root, num_rows=found.num_rows, num_bytes=found.num_bytes, problems=tuple(problems))


def _differences(shipped: Sample, fresh: Sample) -> list[str]:
    name, found = shipped.meta.sample_id, []
    record = sample_to_record(fresh, image_encoding("jpeg", JPEG_QUALITY))
    image = decode_image(record["image"]["bytes"], name=name)
    grey_levels = float(np.abs(shipped.image.astype(int) - image).mean())
    if grey_levels > _GREY_LEVEL_TOLERANCE:
        found.append(f"{name}: the picture differs by {grey_levels:.1f} grey levels on average")
    assert shipped.joints_cam_mm is not None and fresh.joints_cam_mm is not None  # drawn samples have both
    for what, ours, theirs, tolerance in (
        ("joints_crop", shipped.joints_crop, fresh.joints_crop, _CROP_TOLERANCE),
        ("joints_cam_mm", shipped.joints_cam_mm, fresh.joints_cam_mm, _MM_TOLERANCE),
    ):
        if (furthest := float((ours - theirs).abs().max())) > tolerance:
            found.append(f"{name}: `{what}` differs by {furthest:.2g}")
    if shipped.meta != fresh.meta or not torch.equal(shipped.part_states, fresh.part_states):
        found.append(f"{name}: its description or the states of its parts differ")
    return found


def _or_nan(values: Float[np.ndarray, "J C"], known: np.ndarray) -> Float[Tensor, "J C"]:
    return torch.from_numpy(np.where(known[:, None], values, np.nan))


def sample_from_photo(photo: Photo, size: int = SAMPLES_SIZE) -> Sample:
    """A labelled photograph as a sample; its camera stands at the world's origin.

    Raises:
        PhotoError: If the picture cannot be read, or the person's box lies outside it; names the picture.
    """
    camera = joints_cam_mm = None
    if photo.focal_px is not None and photo.centre_px is not None:
        lens = {"k_radial": photo.k_radial, "p_tangential": photo.p_tangential}
        given = {name: torch.from_numpy(values) for name, values in lens.items() if values is not None}
        camera = Camera(torch.from_numpy(photo.focal_px), torch.from_numpy(photo.centre_px), **given)
    if photo.joints_cam_mm is not None and photo.joints_cam_valid is not None:
        joints_cam_mm = _or_nan(photo.joints_cam_mm, photo.joints_cam_valid)
    picture = photo.load_image()
    try:
        return make_sample(
            picture,
            box_centre_px=torch.from_numpy(photo.box_centre_px),
            box_side_px=photo.box_side_px,
            size=size,
            meta=Meta(dataset=photo.dataset, sample_id=photo.name, source=str(photo.image_path)),
            joints_px=_or_nan(photo.joints_px, photo.joint_valid),
            joints_cam_mm=joints_cam_mm,
            camera=camera,
        )
    except ValueError as error:
        raise PhotoError(f"{photo.image_path}: {error}") from error


def load_samples(
    photos_dir: str | Path | None = None, *, size: int = SAMPLES_SIZE, with_depth: bool = False
) -> list[Sample]:
    """The shipped samples; or, where a folder of labelled photographs is given, those.

    Args:
        photos_dir: A folder that `read_photos` understands.
        size: Side of the crops in pixels.
        with_depth: Leave out photographs without 3D joints. If none is left, a line says so and the
            shipped samples stand in.

    Raises:
        FileNotFoundError: If the shipped samples are nowhere.
        ValueError: If samples or photographs are damaged.
    """
    if photos_dir is not None:
        samples = [sample_from_photo(photo, size) for photo in read_photos(photos_dir)]
        chosen = [sample for sample in samples if sample.depth_valid.any() or not with_depth]
        if chosen:
            return chosen
        print(
            f"{photos_dir}: none of {len(samples)} photographs has 3D joints; the shipped samples stand in."
        )
    shipped = ShardDataset(find_samples())
    return [resize_sample(shipped[index], size) for index in range(len(shipped))]
