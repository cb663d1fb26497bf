"""A stand-in for Human3.6M: its subjects, actions and cameras, drawn instead of filmed.

Seven bodies move through the 15 actions before the four real camera set-ups, lenses included. Every
picture is drawn directly as the square crop about the person, and every label is exact. Anything is
determined by integers (seed and sample number), never by order, worker or machine.

World space: millimetres, z up, floor z = 0; people act about the origin. Only 'Human3.6M-like': no
picture or motion of the real data set is in here. Two things come from what is published about it: the
cameras' calibration, and the bone lengths of S1, S5, S7 and S8, rounded to millimetres (`motion.body`).
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Literal, get_args

import numpy as np
import torch
from jaxtyping import Float

from hemlets_lib.data.cameras import CAMERA_NAMES, SESSIONS, h36m_camera
from hemlets_lib.data.motion import SUBJECTS
from hemlets_lib.data.motion.takes import ACTION_NAMES, FRAMES_PER_SECOND, Take, perform
from hemlets_lib.data.render import Appearance, BackdropKind, Prop, backdrop, render_person
from hemlets_lib.data.sample import Meta, Sample, camera_to, joints_box, label_sample
from hemlets_lib.geometry import Camera, crop_affine
from hemlets_lib.skeleton import HEMLETS18

__all__ = [
    "GENERATOR_VERSION",
    "SPLITS",
    "DrawnDataset",
    "SyntheticDataset",
    "redraw",
    "render_pose",
    "render_sample",
    "samples_from_take",
]

GENERATOR_VERSION = 1  # raise it whenever the same seed gives another picture or other joints

SPLITS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"train": ("S1", "S5", "S6", "S7", "S8"), "test": ("S9", "S11")}  # §4.1, protocol 1
)

Outfits = Literal["subject", "random"]
_FRAMES_PER_TAKE = 3000  # a minute; Human3.6M's takes last 20 s to 2 min
_ROOM_MM = 170.0  # a hand or a foot, beyond wrist or ankle
_SOLE_MM = 80.0  # from an ankle down to the floor
_LEVEL = (
    (1.0, 0.0, 0.0),
    (0.0, 0.0, -1.0),
    (0.0, 1.0, 0.0),
)  # world to camera, the camera neither up nor down
_LIGHT_TURN = math.radians(110.0)  # how far to the side of the camera the light may come from
_LIGHT_SLOPE = (1.2, 3.0)  # its height over its distance to the side: from 50° up
# From the person to the wall, or outdoors to the bushes, along the line of sight.
_BACKGROUND_MM = MappingProxyType(
    {"studio": (1800.0, 3500.0), "green_screen": (1500.0, 3000.0), "outdoor": (4000.0, 15000.0)}
)
_TAG_ORDER, _TAG_FRAME, _TAG_SCENE, _TAG_OUTFIT = range(4)  # keep the random streams apart


def _as_pinhole(points_cam_mm: torch.Tensor, camera: Camera) -> np.ndarray:
    """Points moved across the line of sight so that a pinhole sees them where the lens would."""
    depth = points_cam_mm[:, 2:]
    return torch.cat([camera.distort(points_cam_mm[:, :2] / depth) * depth, depth], -1).numpy()


def render_pose(
    joints_world_mm: Float[np.ndarray, "18 3"],
    *,
    camera: Camera,
    appearance: Appearance,
    meta: Meta,
    rng: np.random.Generator,
    size: int = 128,
    props: Sequence[Prop] = (),
    scene: BackdropKind = "studio",
    box_jitter: float = 0.0,
) -> Sample:
    """Draws one person and labels the picture.

    The lens is honoured at the joints (and the middles of props), so every joint is drawn where the
    label says; between two joints limbs are straight, where a lens would bend them by less than a pixel.

    Args:
        joints_world_mm: HEMLETS18 joints.
        camera: Looks at them.
        appearance: The person's build and clothes.
        meta: Kept with the sample.
        rng: Decides backdrop, light and jitter.
        size: Side of the crop in pixels.
        props: Furniture in world space.
        scene: `studio`, `green_screen` or `outdoor`.
        box_jitter: Largest shift of the box, and of its side, as a fraction of its side.

    Raises:
        ValueError: If the person is not in front of the camera, or an option is unknown.
    """
    joints_cam = camera.world_to_cam(torch.tensor(joints_world_mm, dtype=torch.float64))
    if float(joints_cam[:, 2].min()) <= 0:
        raise ValueError(
            f"sample {meta.sample_id!r}: every joint must be in front of the camera, got a depth of "
            f"{float(joints_cam[:, 2].min()):.0f} mm. People act about the world's origin: centre the take."
        )
    per_mm = float(camera.focal_px[0] / joints_cam[HEMLETS18.root, 2])
    centre, side = joints_box(camera.project(joints_cam), least_room_px=_ROOM_MM * per_mm)
    if box_jitter:
        shift = torch.from_numpy(rng.uniform(-box_jitter, box_jitter, 3))
        centre, side = centre + side * shift[:2], side * (1 + float(shift[2]))
    affine = crop_affine(centre, torch.tensor(side, dtype=torch.float64), size)
    scale = float(affine[0, 0])  # crop pixels per picture pixel
    focal = camera.focal_px.numpy() * scale
    middle = camera.centre_px.numpy() * scale + affine[:, 2].numpy()

    rotation, position = camera.rotation.numpy(), camera.position_mm.numpy()
    root = joints_world_mm[HEMLETS18.root]
    if scene not in _BACKGROUND_MM:
        raise ValueError(f"`scene` must be one of {', '.join(_BACKGROUND_MM)}, got {scene!r}")
    background_mm = float(rng.uniform(*_BACKGROUND_MM[scene]))
    horizon, floor_line = _lines(rotation, position, root, focal, middle, size, background_mm)
    azimuth = math.atan2(*(position - root)[[1, 0]]) + rng.uniform(-_LIGHT_TURN, _LIGHT_TURN)
    to_light = rotation @ np.array([math.cos(azimuth), math.sin(azimuth), rng.uniform(*_LIGHT_SLOPE)])
    placed = []
    for prop in props:
        at = camera.world_to_cam(torch.tensor(prop.centre_mm)[None])
        placed.append(replace(prop, centre_mm=_as_pinhole(at, camera)[0], rotation=rotation @ prop.rotation))
    below = camera.world_to_cam(torch.tensor([[root[0], root[1], 0.0]], dtype=torch.float64))
    image = render_person(
        _as_pinhole(joints_cam, camera),
        focal_px=focal,
        centre_px=middle,
        size=(size, size),
        appearance=appearance,
        background=backdrop(scene, rng, (size, size), horizon=horizon, floor_line=floor_line),
        props=placed,
        light_direction=to_light,
        floor=(_as_pinhole(below, camera)[0].tolist(), rotation[:, 2].tolist()),
    )
    return label_sample(image, affine=affine, meta=meta, joints_cam_mm=joints_cam, camera=camera)


def _lines(
    rotation: np.ndarray,
    position: np.ndarray,
    root: np.ndarray,
    focal: np.ndarray,
    middle: np.ndarray,
    size: int,
    background_mm: float,
) -> tuple[float, float]:
    """Rows of the horizon and of the background's foot, in the crop's middle column; no lens, no roll."""
    up = rotation[:, 2]
    across = ((size - 1) / 2 - middle[0]) / focal[0]
    horizon = -(up[2] + up[0] * across) / up[1]
    ahead = root[:2] - position[:2]
    distance = float(np.linalg.norm(ahead))
    foot = np.array([*(position[:2] + ahead / distance * (distance + background_mm)), 0.0])
    foot_cam = rotation @ (foot - position)
    return float(horizon * focal[1] + middle[1]), float(foot_cam[1] / foot_cam[2] * focal[1] + middle[1])


def render_sample(
    subject: str,
    action: str,
    *,
    seed: int | Sequence[int],
    frame: int,
    camera: str,
    size: int = 128,
    scene: BackdropKind = "studio",
    outfits: Outfits = "subject",
    box_jitter: float = 0.0,
) -> Sample:
    """One frame of one performance, seen by one camera.

    Args:
        subject: One of `SUBJECTS`.
        action: One of the 15 actions.
        seed: Which performance; also its light and backdrop.
        frame: Moment in it, at 50 frames a second.
        camera: One of `CAMERA_NAMES`.
        size: Side of the crop in pixels.
        scene: `studio`, `green_screen` or `outdoor`.
        outfits: `subject` for each subject's own clothes, `random` for others in each performance.
        box_jitter: See `render_pose`.

    Raises:
        ValueError: If a name is unknown.
    """
    if subject not in SUBJECTS:
        raise ValueError(f"`subject` must be one of {', '.join(SUBJECTS)}, got {subject!r}")
    if outfits not in get_args(Outfits):
        raise ValueError(f"`outfits` must be one of {', '.join(get_args(Outfits))}, got {outfits!r}")
    view = h36m_camera(camera, subject)
    key = [int(number) for number in np.atleast_1d(seed)]
    who = SUBJECTS[subject]
    take = perform(action, who, num_frames=1, seed=key, start_s=frame / FRAMES_PER_SECOND)
    performance = [*key, list(SUBJECTS).index(subject), ACTION_NAMES.index(action)]
    looks = who.appearance
    if outfits == "random":
        looks = Appearance.random(np.random.default_rng([*performance, _TAG_OUTFIT]))
    name = "-".join(map(str, key))
    return render_pose(
        take.joints_world_mm[0],
        camera=view,
        appearance=looks,
        meta=Meta(
            dataset="synthetic", subject=subject, action=action, frame=int(frame), camera_name=camera,
            sample_id=f"{subject}_{action}_{name}.{camera}_{frame:06d}",
            source=f"drawn; procedural motion; scene {scene}; seed {name}",
        ),
        rng=np.random.default_rng([*performance, _TAG_SCENE, CAMERA_NAMES.index(camera)]),
        size=size, props=take.props, scene=scene, box_jitter=box_jitter,
    )  # fmt: skip


def samples_from_take(
    take: Take,
    *,
    frames: Sequence[int] | None = None,
    cameras: Sequence[str] = CAMERA_NAMES,
    size: int = 128,
    scene: BackdropKind = "studio",
    appearance: Appearance | None = None,
    dataset: str = "mocap",
    seed: int = 0,
) -> Iterator[Sample]:
    """Draws a take, say real motion capture, through the same cameras: frame by frame, camera by camera.

    Each frame is moved over the world's origin, where the cameras look; the floor stays.

    Args:
        take: The motion.
        frames: Which frames; all where left out.
        cameras: Which cameras, standing as for S1 or, where it is one of Human3.6M's, the take's subject.
        size: Side of the crop in pixels.
        scene: `studio`, `green_screen` or `outdoor`.
        appearance: Who is drawn; drawn at random from the subject's name where left out.
        dataset: Name for the samples' `meta`.
        seed: Decides backdrops, light and looks.

    Raises:
        ValueError: If a frame or camera does not exist.
    """
    total = len(take.joints_world_mm)
    chosen = range(total) if frames is None else frames
    if wrong := [frame for frame in chosen if not 0 <= frame < total]:
        raise ValueError(
            f"`frames` must lie within 0 … {total - 1} for take {take.action!r}, got {wrong[:5]}"
        )
    key = [seed, zlib.crc32(f"{take.subject}".encode())]
    if appearance is None:
        appearance = Appearance.random(np.random.default_rng([*key, _TAG_OUTFIT]))
    session = take.subject if take.subject in SESSIONS else "S1"
    for frame in chosen:
        joints = take.joints_world_mm[frame]
        shift = np.array([*joints[HEMLETS18.root, :2], 0.0])
        props = [replace(prop, centre_mm=prop.centre_mm - shift) for prop in take.props]
        for camera in cameras:
            yield render_pose(
                joints - shift,
                camera=h36m_camera(camera, session),
                appearance=appearance,
                meta=Meta(
                    dataset=dataset, subject=take.subject, action=take.action, frame=int(frame),
                    camera_name=camera,
                    sample_id=f"{take.subject}_{take.action}.{camera}_{frame:06d}",
                    source=f"drawn; motion of take {take.action!r}; scene {scene}; seed {seed}",
                ),
                rng=np.random.default_rng([*key, _TAG_SCENE, CAMERA_NAMES.index(camera)]),
                size=size, props=props, scene=scene,
            )  # fmt: skip


def redraw(
    sample: Sample,
    *,
    size: int = 128,
    scene: BackdropKind = "studio",
    appearance: Appearance | None = None,
    seed: int = 0,
) -> Sample:
    """The pose of a sample, say of a photograph, drawn: the joints and the camera stay, the pixels change.

    The camera counts as level, and the floor lies below the lowest joint. The box is that of drawn people.

    Args:
        sample: With a camera and all joints in camera space.
        size: Side of the crop in pixels.
        scene: `studio`, `green_screen` or `outdoor`.
        appearance: Who is drawn; drawn at random from the seed where left out.
        seed: Decides backdrop, light and looks.

    Raises:
        ValueError: If the sample lacks the camera or a joint, or an option is unknown.
    """
    joints_mm, name = sample.joints_cam_mm, sample.meta.sample_id
    if sample.camera is None or joints_mm is None or not joints_mm.isfinite().all():
        raise ValueError(
            f"sample {name!r}: expected a camera and all joints in camera space, got "
            f"{'no camera' if sample.camera is None else 'joints that nobody labelled'}. Choose another."
        )
    joints_mm = joints_mm.double()
    right, down, away = joints_mm[HEMLETS18.root, 0], joints_mm[:, 1].max(), joints_mm[HEMLETS18.root, 2]
    camera = replace(
        camera_to(sample.camera, torch.float64),
        rotation=torch.tensor(_LEVEL),
        position_mm=torch.stack([-right, -away, down + _SOLE_MM]),
    )
    if appearance is None:
        appearance = Appearance.random(np.random.default_rng([seed, _TAG_OUTFIT]))
    return render_pose(
        camera.cam_to_world(joints_mm).numpy(),
        camera=camera,
        appearance=appearance,
        meta=replace(sample.meta, source=f"drawn; pose of {name}; scene {scene}; seed {seed}"),
        rng=np.random.default_rng([seed, _TAG_SCENE]),
        size=size,
        scene=scene,
    )


class DrawnDataset:
    """Samples by number that are drawn when asked for; map-style, a `SampleSource` for shards.

    Args:
        num_samples: Its length.
        config: All that determines the samples, but for the length; JSON.
    """

    def __init__(self, num_samples: int, config: Mapping[str, Any]) -> None:
        self._length, self._config = num_samples, config

    @property
    def config(self) -> Mapping[str, Any]:
        """All that determines the samples, except how many there are."""
        return self._config

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> Sample:
        if not -len(self) <= index < len(self):
            raise IndexError(f"`index` must be within the {len(self)} samples, got {index}")
        return self.draw(int(index) % len(self))

    def draw(self, index: int) -> Sample:
        """The sample of a number that is within the length."""
        raise NotImplementedError


class SyntheticDataset(DrawnDataset):
    """Drawn samples by number; map-style, a `SampleSource` for shards.

    Sample i depends on (seed, i) and the options alone: not on the number of samples, the order or the
    worker. Any run of `len(subjects) · len(actions) · len(cameras)` samples from a multiple of that number
    on holds each combination once. Every sample is of another performance.

    Args:
        num_samples: Its length.
        split: `train` or `test`, the subjects of Human3.6M's protocol 1.
        subjects: Which subjects, instead of a split.
        actions: Which actions.
        cameras: Which cameras.
        scenes: Backdrops, drawn from evenly.
        seed: Everything follows from it.
        size: Side of the crops in pixels.
        outfits: See `render_sample`.
        box_jitter: See `render_pose`.

    Raises:
        ValueError: If a name is unknown, a list is empty, or a number is out of range.
    """

    def __init__(
        self,
        num_samples: int,
        *,
        split: str | None = "train",
        subjects: Sequence[str] | None = None,
        actions: Sequence[str] = ACTION_NAMES,
        cameras: Sequence[str] = CAMERA_NAMES,
        scenes: Sequence[BackdropKind] = ("studio",),
        seed: int = 0,
        size: int = 128,
        outfits: Outfits = "subject",
        box_jitter: float = 0.0,
    ) -> None:
        if subjects is None:
            if split is None or split not in SPLITS:
                raise ValueError(
                    f"`split` must be one of {', '.join(SPLITS)}, got {split!r}; or name the subjects"
                )
            subjects = SPLITS[split]
        if num_samples < 1:
            raise ValueError(f"`num_samples` must be at least 1, got {num_samples}")
        if size < 16:
            raise ValueError(f"`size` must be at least 16 pixels, got {size}. The presets take 64 to 256.")
        known: Mapping[str, tuple[Sequence[str], Sequence[str]]] = {
            "subjects": (subjects, tuple(SUBJECTS)), "actions": (actions, ACTION_NAMES),
            "cameras": (cameras, CAMERA_NAMES), "scenes": (scenes, get_args(BackdropKind)),
            "outfits": ((outfits,), get_args(Outfits)),
        }  # fmt: skip
        for option, (values, allowed) in known.items():
            if not values or not set(values) <= set(allowed):
                raise ValueError(
                    f"`{option}` must be out of {', '.join(allowed)}, got {', '.join(values) or 'none'}"
                )
        self._combinations = [(s, a, c) for s in subjects for a in actions for c in cameras]
        self._options: dict[str, Any] = {"size": size, "outfits": outfits, "box_jitter": box_jitter}
        self._scenes, self._seed = tuple(scenes), seed
        config = {
            "kind": "synthetic", "generator_version": GENERATOR_VERSION, "seed": seed,
            "subjects": list(subjects), "actions": list(actions), "cameras": list(cameras),
            "scenes": list(scenes), **self._options,
        }  # fmt: skip
        super().__init__(num_samples, config)

    def draw(self, index: int) -> Sample:
        block, place = divmod(index, len(self._combinations))
        order = np.random.default_rng([self._seed, _TAG_ORDER, block]).permutation(len(self._combinations))
        subject, action, camera = self._combinations[order[place]]
        rng = np.random.default_rng([self._seed, _TAG_FRAME, index])
        return render_sample(
            subject,
            action,
            seed=[self._seed, index],
            frame=int(rng.integers(_FRAMES_PER_TAKE)),
            camera=camera,
            scene=self._scenes[int(rng.integers(len(self._scenes)))],
            **self._options,
        )
