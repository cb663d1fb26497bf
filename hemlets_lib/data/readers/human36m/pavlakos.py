"""Human3.6M as Pavlakos et al. prepared it for volumes: annotations in HDF5, names of pictures as text.

    part     (N, 17, 2)  joints in the picture, px, from 0; x of 0 or less: not annotated
    S        (N, 17, 3)  joints in camera space, mm; not in every copy
    center   (N, 2)      middle of the person's square box, px
    scale    (N,)        its side, in units of 200 px
    zind     (N, 17)     depth about the pelvis as one of 64 slices

Line i of the text names the picture of row i. `zind` is not read: `S` is what it was made from, and without
`S` the form has 2D joints only. Every 5th frame is there, 109 867 of them for testing.

Source: README.md, src/ref.lua, src/util/pose-c2f.lua and img.lua of geopavlakos/c2f-vol-train;
matlab/evalH36M.m of geopavlakos/c2f-vol-demo, and data/human3.6m of KaiHangYang/ordinal_pose for `S`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np

from hemlets_lib.data.cameras import h36m_camera
from hemlets_lib.data.readers.contract import Finding, Reader, Skipped, Take
from hemlets_lib.data.readers.files import DownloadError, as_array, h5_array, open_h5
from hemlets_lib.data.readers.human36m.facts import DATASET, FRAMES_PER_SECOND, SPLITS, to_hemlets18
from hemlets_lib.data.readers.human36m.images import (
    LISTED_STEPS,
    Listed,
    check_listed,
    listed_takes,
    picture_paths,
    refuse_outside,
)
from hemlets_lib.data.readers.human36m.lists import boxes_px
from hemlets_lib.data.readers.human36m.videos import DISAGREE, disagreement_px
from hemlets_lib.data.readers.pictures import ImageFiles
from hemlets_lib.data.sample import Meta
from hemlets_lib.skeleton import H36M17

__all__ = ["Human36mPavlakos"]

_FILES: Mapping[str, str] = MappingProxyType({"train": "train", "test": "valid"})  # split → name of its files
_JOINTS = H36M17.num_joints
_SHAPES: Mapping[str, tuple[int | None, ...]] = MappingProxyType(
    {"part": (None, _JOINTS, 2), "center": (None, 2), "scale": (None,)}
)
_POSES = "S"
_AGREE_PX = 3.0  # `part` may be whole pixels, or be seen without the lens's distortion, which is up to 2.4 px


class Human36mPavlakos(Reader):
    """Pavlakos et al.'s annotations; see the module's docstring."""

    dataset = DATASET
    form = "pavlakos"
    title = "Human3.6M, prepared for volumetric prediction (Pavlakos et al., c2f-vol)"
    layout = """\
annot/train.h5, annot/train_images.txt, annot/valid.h5, annot/valid_images.txt
images/S5_Eating_1.55011271_000321.jpg …"""
    source = "README.md and src/ref.lua of geopavlakos/c2f-vol-train"
    splits = tuple(SPLITS)
    frames_per_second = FRAMES_PER_SECOND
    default_steps = LISTED_STEPS
    assumptions = (
        "Keys and shapes (`S` as frames, 17, 3) are those that public code reads: met as h5py writes them.",
        "`S` is in camera space in mm: taken from code that reads its third column as the distance.",
        "`part` is where the published cameras see `S`, to 3 px: takes where it is not are left out.",
    )

    @classmethod
    def recognises(cls, root: Path) -> bool:
        reader = cls(root)
        return any(all(path.is_file() for path in reader._paths(split)) for split in cls.splits)

    def _paths(self, split: str) -> tuple[Path, Path]:
        """The annotations and the names of a split, whether they are there or not."""
        folder, name = self.root / "annot", _FILES[split]
        return folder / f"{name}.h5", folder / f"{name}_images.txt"

    def _read(self, split: str) -> tuple[list[str], dict[str, np.ndarray]]:
        """Names of pictures, and the arrays, as long as those."""
        annotations, listing = self._paths(split)
        if not listing.is_file():
            raise DownloadError(f"{listing}: expected the names of the pictures, found none.")
        try:
            names = listing.read_text(encoding="utf-8").split("\n")
        except (OSError, ValueError) as error:
            raise DownloadError(
                f"{listing}: expected text, got a file that cannot be read ({error})."
            ) from error
        names = [name.strip().replace("\\", "/") for name in names if name.strip()]
        with open_h5(annotations) as file:
            shapes = {**_SHAPES, **({_POSES: (None, _JOINTS, 3)} if _POSES in file else {})}
            arrays = {
                name: h5_array(file, name, path=annotations, shape=shape) for name, shape in shapes.items()
            }
        for name, array in arrays.items():
            if len(array) != len(names):
                raise DownloadError(
                    f"{annotations}: expected `{name}` for each of the {len(names)} pictures of "
                    f"{listing.name}, got {len(array)}."
                )
        return names, arrays

    def takes(self, split: str, *, step: int = 1) -> Iterator[Take | Skipped]:
        self.check_split(split)
        names, arrays = self._read(split)
        annotations, listing = self._paths(split)
        images = self.root / "images"
        for item in listed_takes(names, subjects=SPLITS[split], step=step):
            if isinstance(item, Skipped):
                yield item
                continue
            paths = picture_paths(images, [names[row] for row in item.rows], where=str(listing))
            if not images.is_dir():
                yield Skipped(item.title, "its pictures are missing", len(paths))
                continue
            rows = {
                name: as_array(array[item.rows], (None, *array.shape[1:]), name=name, where=str(annotations))
                for name, array in arrays.items()
            }
            yield self._take(item, rows, ImageFiles(paths))

    def _take(self, item: Listed, rows: Mapping[str, np.ndarray], pictures: ImageFiles) -> Take | Skipped:
        part = np.where(rows["part"][..., :1] > 0, rows["part"], np.nan)
        joints_px = to_hemlets18(part, where=item.title)
        camera = h36m_camera(item.name.camera, item.subject)
        joints_cam = to_hemlets18(rows[_POSES], where=item.title) if _POSES in rows else None
        if joints_cam is not None and disagreement_px(joints_cam, joints_px, camera) >= _AGREE_PX:
            return Skipped(item.title, DISAGREE, len(item.frames))
        return Take(
            meta=Meta(
                DATASET,
                subject=item.subject,
                action=item.name.action,
                camera_name=item.name.camera,
                source=self.form,
            ),
            pictures=pictures,
            frames=item.frames,
            joints_px=joints_px,
            joints_cam_mm=joints_cam,
            camera=camera,
            boxes_px=boxes_px(rows["center"], rows["scale"]),
        )

    def check(self) -> Iterator[Finding]:
        listed: list[str] = []
        there = [split for split in self.splits if any(path.is_file() for path in self._paths(split))]
        for split in self.splits:
            annotations, listing = self._paths(split)
            where = annotations.relative_to(self.root).as_posix()
            if split not in there:
                yield Finding(where, "" if there else "missing", f"not there; the split {split!r} needs it")
                continue
            try:
                names, arrays = self._read(split)
                refuse_outside(self.root / "images", names, where=str(listing))
            except DownloadError as error:
                yield Finding(where, str(error))
                continue
            known = "3D and 2D joints" if _POSES in arrays else "2D joints; `S` is not there"
            yield Finding(where, note=f"{len(names)} pictures, {known}")
            listed += names
        yield from check_listed(self.root, self.root / "images", listed)
