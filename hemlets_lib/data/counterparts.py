"""Counterparts of the paper's other data sets, drawn by the same generator as `synthetic`.

| name | after | labels |
|---|---|---|
| `humaneva` | HumanEva-I: S1-S3 walk and jog before three cameras | 3D |
| `mpi_inf_3dhp` | MPI-INF-3DHP's test set: TS1-2 green screen, TS3-4 studio, TS5-6 outdoors | 3D |
| `in_the_wild` | MPII, LSP: anybody outdoors, before any camera | 2D: λ = 0 in Eq. (6) |
| `ordinal` | MPII with the depth order of Pavlakos et al. [19] | 2D and parts |
| `fbi` | MPII with the depth order of Shi et al. [25] | 2D and parts |

`ordinal` and `fbi` show the same pictures, number by number, and the same eyes look at them; only what is
asked differs. No set holds anything of its namesake but names and sizes. People, clothes and cameras are
others than those of `synthetic`. `Meta.dataset` ends in `_drawn`; subjects and actions have the data sets'
own names, which `protocols` selects by, and the scene is in `Meta.source`.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from dataclasses import fields, replace
from types import MappingProxyType
from typing import Literal, NamedTuple, get_args

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from hemlets_lib.data.cameras import look_at
from hemlets_lib.data.motion import ACTION_NAMES, SUBJECTS, Subject, perform
from hemlets_lib.data.motion.takes import FRAMES_PER_SECOND
from hemlets_lib.data.render import Appearance, BackdropKind
from hemlets_lib.data.sample import Meta, Sample
from hemlets_lib.data.synthetic import GENERATOR_VERSION, DrawnDataset, render_pose
from hemlets_lib.geometry import Camera
from hemlets_lib.skeleton import HEMLETS18, Skeleton
from hemlets_lib.triplets import EPSILON_RATIO, UNKNOWN

__all__ = ["COUNTERPARTS", "LABEL_NOISE", "Counterpart", "annotate"]

Scheme = Literal["ordinal", "fbi"]
_SCHEMES: tuple[Scheme, ...] = get_args(Scheme)
# Standard deviation, of a part's length. Chosen: neither data set states its errors. It makes 13 % of the
# labels of `ordinal` wrong, and 4 % of those of `fbi`, which then has two labels for every three parts.
LABEL_NOISE = 0.2

COUNTERPARTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "humaneva": ("train", "validate"),
        "mpi_inf_3dhp": ("test",),
        "in_the_wild": ("train", "test"),
        "ordinal": ("train",),
        "fbi": ("train",),
    }
)
"""Each one's splits; they share no performance."""

_UNLABELLED = tuple(HEMLETS18.index(joint) for joint in ("torso", "nose"))  # MPII has no such joints
_FRAMES_PER_TAKE = 3000
_ROOM_KEY = 1871  # fixes the people and cameras that have names; HumanEva's three stand all round
_TAG_ORDER, _TAG_CHOICE, _TAG_LIGHT, _TAG_LABELS = range(4)  # keep the random streams apart


class _View(NamedTuple):
    """Where a camera may stand, and its lens; the lens is a pinhole."""

    distance_mm: tuple[float, float]
    height_mm: tuple[float, float]
    focal_px: float
    centre_px: tuple[float, float]


class _Shot(NamedTuple):
    """What a sample shows. Without a name, a person or a camera is drawn anew for every sample."""

    subject: str
    action: str
    camera: str
    scene: BackdropKind
    view: _View


# Focal lengths and centres of MPI-INF-3DHP fit its test annotations; the others are typical.
_HUMANEVA = _View((4000, 5000), (1300, 2200), 720.0, (320.0, 240.0))
_STUDIO_3DHP = _View((3800, 4800), (700, 2000), 1500.0, (1017.0, 1043.0))
_OUTDOOR_3DHP = _View((3800, 5500), (900, 1700), 1684.0, (940.0, 560.0))
_WILD = _View((3500, 9000), (500, 2500), 1100.0, (640.0, 360.0))
_TEST_SUBJECTS: Mapping[str, tuple[BackdropKind, _View]] = MappingProxyType(
    {
        "TS1": ("green_screen", _STUDIO_3DHP),
        "TS2": ("green_screen", _STUDIO_3DHP),
        "TS3": ("studio", _STUDIO_3DHP),
        "TS4": ("studio", _STUDIO_3DHP),
        "TS5": ("outdoor", _OUTDOOR_3DHP),
        "TS6": ("outdoor", _OUTDOOR_3DHP),
    }
)


def _shots(name: str) -> list[_Shot]:
    if name == "humaneva":
        return [
            _Shot(subject, action, camera, "studio", _HUMANEVA)
            for subject in ("S1", "S2", "S3")
            for action in ("Walking", "Jog")
            for camera in ("C1", "C2", "C3")
        ]
    if name == "mpi_inf_3dhp":
        return [
            _Shot(subject, action, f"{subject} camera", scene, view)
            for subject, (scene, view) in _TEST_SUBJECTS.items()
            for action in ACTION_NAMES
        ]
    return [_Shot("", action, "", "outdoor", _WILD) for action in ACTION_NAMES]


def _person(rng: np.random.Generator) -> Subject:
    """Somebody of other proportions and looks than the seven of `SUBJECTS`."""
    like = list(SUBJECTS.values())[int(rng.integers(len(SUBJECTS)))]
    size = rng.uniform(0.94, 1.05)
    names = [field.name for field in fields(Subject) if field.name.endswith("_mm")]
    lengths = {name: getattr(like, name) * size * rng.uniform(0.96, 1.04) for name in names}
    return Subject(name="somebody", appearance=Appearance.random(rng), **lengths)


def _camera(view: _View, rng: np.random.Generator) -> Camera:
    azimuth, distance = rng.uniform(0, 2 * math.pi), rng.uniform(*view.distance_mm)
    return look_at(
        (distance * math.cos(azimuth), distance * math.sin(azimuth), rng.uniform(*view.height_mm)),
        (0.0, 0.0, 900.0),
        focal_px=view.focal_px,
        centre_px=view.centre_px,
    )


def annotate(
    joints_cam_mm: Float[Tensor, "J 3"],
    skeleton: Skeleton,
    *,
    scheme: Scheme,
    rng: np.random.Generator,
    noise: float = LABEL_NOISE,
    epsilon_ratio: float = EPSILON_RATIO,
) -> Int[Tensor, "K"]:
    """What somebody who looks at the picture says of each part's depth order.

    They see how steeply the part comes out of the image plane, (z_p - z_c) / ‖B_k‖, with a normal error,
    and answer as Eq. (1) would. `ordinal` wants an answer for every part. With `fbi` they leave a part out,
    `UNKNOWN`, where what they see is nearer to the threshold than the error is large. So the same eyes give
    fewer labels and fewer wrong ones with it: the difference that the paper suspects between the two.

    Args:
        joints_cam_mm: The truth.
        skeleton: Supplies the parts.
        scheme: `ordinal` or `fbi`.
        rng: Source of the errors.
        noise: Standard deviation of the error, as a fraction of the part's length; 0 for none.
        epsilon_ratio: ε_k / ‖B_k‖ of Eq. (1), which they go by.

    Raises:
        ValueError: If the scheme is unknown or the noise negative.

    Source: §4.3 'Augmenting datasets', Table 5. Paper silent on the errors' number and on how labels were
    adapted.
    """
    if scheme not in _SCHEMES:
        raise ValueError(f"`scheme` must be one of {', '.join(_SCHEMES)}, got {scheme!r}")
    _check_noise(noise)
    skeleton.check_joints(joints_cam_mm, "joints_cam_mm")
    part = joints_cam_mm[skeleton.part_parents] - joints_cam_mm[skeleton.part_children]  # (K, 3)
    steepness = part[:, 2] / part.norm(dim=-1)
    seen = steepness + noise * torch.from_numpy(rng.standard_normal(skeleton.num_parts)).to(steepness)
    states = torch.where(seen.abs() > epsilon_ratio, seen.sign(), 0).long()
    unsure = (seen.abs() - epsilon_ratio).abs() < noise
    return torch.where(unsure, UNKNOWN, states) if scheme == "fbi" else states


class Counterpart(DrawnDataset):
    """Drawn samples after a data set, by number; map-style, a `SampleSource` for shards.

    Sample i depends on (seed, i) and the options alone, and is of a performance of its own. People and
    cameras that have names are the same for every seed.

    Args:
        name: One of `COUNTERPARTS`.
        num_samples: Its length.
        split: One of the set's own; the first where left out.
        seed: Everything else follows from it.
        size: Side of the crops in pixels.
        noise: See `annotate`; `LABEL_NOISE` where left out. For `ordinal` and `fbi` only.

    Raises:
        ValueError: If a name is unknown, or a number is out of range.
    """

    def __init__(
        self,
        name: str,
        num_samples: int,
        *,
        split: str | None = None,
        seed: int = 0,
        size: int = 128,
        noise: float | None = None,
    ) -> None:
        if name not in COUNTERPARTS:
            raise ValueError(f"`name` must be one of {', '.join(COUNTERPARTS)}, got {name!r}")
        split = COUNTERPARTS[name][0] if split is None else split
        if split not in COUNTERPARTS[name]:
            raise ValueError(
                f"`split` of {name} must be one of {', '.join(COUNTERPARTS[name])}, got {split!r}"
            )
        for option, number, least in (("num_samples", num_samples, 1), ("seed", seed, 0), ("size", size, 16)):
            if number < least:
                raise ValueError(f"`{option}` must be at least {least}, got {number}")
        self._scheme: Scheme | None = next((scheme for scheme in _SCHEMES if scheme == name), None)
        if noise is not None and self._scheme is None:
            raise ValueError(
                f"`noise` is that of labelled depth order, in {' and '.join(_SCHEMES)}, got {noise} for "
                f"{name}. Leave it out."
            )
        self._name, self._split, self._seed, self._size = name, split, seed, size
        self._noise = LABEL_NOISE if noise is None else noise
        _check_noise(self._noise)
        self._shots = _shots(name)
        config = {
            "kind": "counterpart", "name": name, "generator_version": GENERATOR_VERSION, "split": split,
            "seed": seed, "size": size,
            **({"noise": self._noise, "pictures": _SCHEMES[0]} if self._scheme else {}),
        }  # fmt: skip
        super().__init__(num_samples, config)

    def draw(self, index: int) -> Sample:
        drawn_as = _SCHEMES[0] if self._scheme else self._name  # both schemes label the same pictures
        stream = [self._seed, _number(f"{drawn_as}/{self._split}")]
        block, place = divmod(index, len(self._shots))
        order = np.random.default_rng([*stream, _TAG_ORDER, block]).permutation(len(self._shots))
        shot = self._shots[order[place]]
        rng = np.random.default_rng([*stream, _TAG_CHOICE, index])
        frame = int(rng.integers(_FRAMES_PER_TAKE))
        person = _person(self._fixed(shot.subject) or rng)
        take = perform(
            shot.action, person, num_frames=1, seed=[*stream, index], start_s=frame / FRAMES_PER_SECOND
        )
        sample = render_pose(
            take.joints_world_mm[0],
            camera=_camera(shot.view, self._fixed(shot.camera) or rng),
            appearance=person.appearance,
            meta=Meta(
                dataset=f"{self._name}_drawn", subject=shot.subject, action=shot.action, frame=frame,
                camera_name=shot.camera, sample_id=f"{self._name}_{self._split}_{self._seed}_{index:06d}",
                source=f"drawn; procedural motion; scene {shot.scene}; seed {self._seed}-{index}",
            ),
            rng=np.random.default_rng([*stream, _TAG_LIGHT, index]),
            size=self._size,
            props=take.props,
            scene=shot.scene,
        )  # fmt: skip
        if shot.subject:
            return sample
        return self._without_depth(sample, np.random.default_rng([*stream, _TAG_LABELS, index]))

    def _fixed(self, name: str) -> np.random.Generator | None:
        """The source of what goes by a name in this data set."""
        return np.random.default_rng([_ROOM_KEY, _number(f"{self._name}/{name}")]) if name else None

    def _without_depth(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """What an annotator of a photograph leaves: joints in 2D, and perhaps the parts' depth order."""
        states = torch.full_like(sample.part_states, UNKNOWN)
        if self._name in get_args(Scheme):
            assert sample.joints_cam_mm is not None  # every drawn sample has them
            states = annotate(sample.joints_cam_mm, HEMLETS18, scheme=self._name, rng=rng, noise=self._noise)  # type: ignore[arg-type]
        joint_valid = sample.joint_valid.clone()
        joint_valid[list(_UNLABELLED)] = False
        flat = torch.cat([sample.joints_crop[:, :2], torch.zeros_like(sample.joints_crop[:, 2:])], -1)
        return replace(
            sample,
            joints_crop=torch.where(joint_valid[:, None], flat, 0),
            joint_valid=joint_valid,
            depth_valid=torch.zeros_like(sample.depth_valid),
            part_states=states,
            camera=None,
            joints_cam_mm=None,
        )


def _check_noise(noise: float) -> None:
    if not 0 <= noise < math.inf:
        raise ValueError(f"`noise` must be 0 or more, a fraction of a part's length; got {noise}")


def _number(text: str) -> int:
    return zlib.crc32(text.encode())
