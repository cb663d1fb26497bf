"""Human3.6M with its frames as picture files or arrays: six prepared forms, each by its format's own library.

MATLAB 5 by scipy, .npz by numpy, HDF5 by h5py, JPEG by Pillow, pickles by pickle. All forms are made of the
same shots: a person who stands in the room and is seen by one camera. What a form's own converter computes
(boxes, pinhole pixels, slices of depth) is computed here as it does, once more and in numpy.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import h5py
import numpy as np
import scipy.io
from PIL import Image

from downloads import Writer, Written, picture, write_picture
from downloads.human36m import ACTION_NAMES, CAMERAS, PLACES17, SIZES, SUBJECTS, Lens, lens, world_poses

SHORT_NAMES = {"TakingPhoto": "Photo", "WalkingDog": "WalkDog", "WalkingTogether": "WalkTogether"}
LONG_NAMES = {short: long for long, short in SHORT_NAMES.items()}
# Which of SPIN's 24 joints are which of the 17: h36m_idx and global_idx of its scripts.
SPIN_SOURCES = (11, 6, 7, 8, 1, 2, 3, 12, 24, 14, 15, 17, 18, 19, 25, 26, 27)
SPIN_PLACES = (14, 3, 4, 5, 2, 1, 0, 16, 12, 17, 18, 9, 10, 11, 8, 7, 6)


@dataclass(frozen=True)
class Shot:
    """Some frames of one take before one camera.

    Args:
        subject: 'S9'.
        action: Its number.
        subaction: 1 or 2.
        take: As files are called: 'SittingDown 1'.
        camera: Its name.
        frames: Numbers in the recording, from 0.
        world_mm: (F, 17, 3).
        images: Whole pictures; drawn where left out.
    """

    subject: str
    action: int
    subaction: int
    take: str
    camera: str
    frames: tuple[int, ...]
    world_mm: np.ndarray
    images: tuple[np.ndarray, ...] = ()

    @property
    def lens(self) -> Lens:
        return lens(self.subject, self.camera)

    @cached_property
    def cam_mm(self) -> np.ndarray:
        return self.lens.to_camera(self.world_mm)

    @cached_property
    def px(self) -> np.ndarray:
        return self.lens.project(self.cam_mm)

    @property
    def pinhole_px(self) -> np.ndarray:
        return self.cam_mm[..., :2] / self.cam_mm[..., 2:] * self.lens.f + self.lens.c

    @property
    def pictures(self) -> tuple[np.ndarray, ...]:
        return self.images or tuple(picture(joints, SIZES[self.camera]) for joints in self.px)

    @property
    def folder(self) -> str:
        """By numbers, as Sun et al. call it."""
        camera = CAMERAS.index(self.camera) + 1
        return f"s_{int(self.subject[1:]):02}_act_{self.action:02}_subact_{self.subaction:02}_ca_{camera:02}"

    @property
    def stem(self) -> str:
        """By names, as Pavlakos et al. call it."""
        return f"{self.subject}_{self.take.replace(' ', '_')}.{self.camera}"

    @property
    def boxes(self) -> tuple[np.ndarray, np.ndarray]:
        """Middles and sides about the joints, a fifth larger, as MMPose makes them."""
        low, high = self.px.min(1), self.px.max(1)
        return (low + high) / 2, 1.2 * (high - low).max(1)


def shot(
    subject: str, action: int, subaction: int, take: str, camera: str, frames: Sequence[int] = (0, 1, 2)
) -> Shot:
    """A drawn one; the same take has the same poses before every camera."""
    world_mm = world_poses(subject, take, frames=len(frames))[:, list(PLACES17)]
    return Shot(subject, action, subaction, take, camera, tuple(frames), world_mm)


def shots(frames: Sequence[int] = (0, 1, 2)) -> tuple[Shot, ...]:
    """Some of both test subjects, the take that is known to be damaged, and one for training."""
    return (
        shot("S9", 10, 2, "SittingDown 1", CAMERAS[0], frames),
        shot("S9", 10, 2, "SittingDown 1", CAMERAS[3], frames[:2]),
        shot("S11", 2, 1, "Directions 1", CAMERAS[1], frames),
        shot("S11", 2, 2, "Directions", CAMERAS[0], frames[:1]),
        shot("S1", 15, 1, "WalkingDog 1", CAMERAS[2], frames[:1]),
    )


def real_shots(folder: Path) -> tuple[Shot, ...]:
    """The real frames of a folder of samples, each as a take of its own."""
    found = []
    for record in json.loads((folder / "annotations.json").read_text(encoding="utf-8"))["records"]:
        name = Path(record["image"]).name
        subject, camera, action = record["subject"], record["camera_id"], record["action"]
        take = name.removeprefix(f"{subject}_").partition(".")[0].replace("_", " ")
        world_mm = lens(subject, camera).to_world(np.array(record["joints_cam_mm"])[None])
        image = np.asarray(Image.open(folder / name).convert("RGB"))
        number = ACTION_NAMES.index(LONG_NAMES.get(action, action)) + 1
        found.append(Shot(subject, number, 1, take, camera, (0,), world_mm, (image,)))
    return tuple(found)


def _is_damaged(one: Shot) -> bool:
    return (one.subject, one.action, one.subaction, one.camera) == ("S11", 2, 2, CAMERAS[0])


def _tested(listed: Sequence[Shot]) -> list[Shot]:
    return [one for one in listed if one.subject in ("S9", "S11")]


def _frames(listed: Sequence[Shot]) -> int:
    return sum(len(one.frames) for one in listed)


def _folders(root: Path, listed: Sequence[Shot]) -> None:
    for one in listed:
        for number, image in enumerate(one.pictures):
            write_picture(root / one.folder / f"{one.folder}_{number + 1:06}.jpg", image)


def _written_folders(listed: Sequence[Shot], needed: tuple[str, ...]) -> Written:
    samples = [one for one in _tested(listed) if not _is_damaged(one)]
    return Written(split="test", samples=_frames(samples), needed=needed)


def write_meta_mat(root: Path, listed: Sequence[Shot] = shots()) -> Written:
    """Moon et al.'s folders; the frames of a shot are the first ones of its take."""
    _folders(root, listed)
    for one in listed:
        count = len(one.frames)
        content = {
            "pose3d_world": one.world_mm,
            "R": one.lens.R,
            "T": one.lens.T[None],
            "f": one.lens.f[None],
            "c": one.lens.c[None],
            "img_height": np.full((count, 1), SIZES[one.camera][1], float),
            "img_width": np.full((count, 1), SIZES[one.camera][0], float),
        }
        scipy.io.savemat(root / one.folder / "h36m_meta.mat", content, do_compression=one.action % 2 == 0)
    folder = listed[0].folder
    return _written_folders(listed, (f"{folder}/h36m_meta.mat", f"{folder}/{folder}_000002.jpg"))


def meta_text(one: Shot) -> str:
    """`matlab_meta.txt`: 32 joints, of which those that nobody may use lie far away."""
    poses = np.full((len(one.frames), 32, 3), -88888.0)
    poses[:, list(PLACES17)] = one.world_mm

    def line(word: str, numbers: np.ndarray) -> str:
        return " ".join([word, *(f"{number:.10g}" for number in np.ravel(numbers))])

    width, height = SIZES[one.camera]
    known = one.lens
    lines = [
        str(len(one.frames)), f"size {width} {height}", line("R", known.R.T), line("T", known.T),
        line("f", known.f), line("c", known.c), line("k", known.k), line("p", known.p),
        line("joints", np.array(PLACES17) + 1), *(line("pose", pose) for pose in poses),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def write_meta_txt(root: Path, listed: Sequence[Shot] = shots()) -> Written:
    """Sun et al.'s annot/ and images/."""
    _folders(root / "images", listed)
    for one in listed:
        path = root / "annot" / one.folder / "matlab_meta.txt"
        path.parent.mkdir(parents=True)
        path.write_text(meta_text(one), encoding="utf-8")
    folder = listed[0].folder
    needed = (f"annot/{folder}/matlab_meta.txt", f"images/{folder}/{folder}_000001.jpg")
    return _written_folders(listed, needed)


def posenet_content(subject: str, listed: Sequence[Shot], *, centre: bool) -> dict[str, dict]:
    """The three files of a subject, as h36m2coco.py makes them; `centre`, as it did before June 2020."""
    images: list[dict] = []
    annotations: list[dict] = []
    cameras: dict[str, dict] = {}
    joints: dict[str, dict] = {}
    for one in listed:
        known = one.lens
        t = known.T if centre else -known.R @ known.T
        number = CAMERAS.index(one.camera) + 1
        numbers = {"R": known.R, "t": t, "f": known.f, "c": known.c}
        cameras[str(number)] = {key: value.tolist() for key, value in numbers.items()}
        stored = joints.setdefault(str(one.action), {}).setdefault(str(one.subaction), {})
        name = ACTION_NAMES[one.action - 1]
        for place, frame in enumerate(one.frames):
            stored[str(frame)] = one.world_mm[place].tolist()
            seen = one.pinhole_px[place]
            low, high = seen.min(0), seen.max(0)
            size = 1.2 * (high - low - 1)
            identity = 1000 * int(subject[1:]) + len(images)
            images.append(
                {
                    "id": identity, "file_name": f"{one.folder}/{one.folder}_{place + 1:06}.jpg",
                    "width": SIZES[one.camera][0], "height": SIZES[one.camera][1],
                    "subject": int(subject[1:]),
                    "action_name": SHORT_NAMES.get(name, name), "action_idx": one.action,
                    "subaction_idx": one.subaction, "cam_idx": number, "frame_idx": frame,
                }
            )  # fmt: skip
            annotations.append(
                {
                    "id": identity, "image_id": identity, "keypoints_vis": [True] * 17,
                    "bbox": [*((low + high) / 2 - size / 2).tolist(), *size.tolist()],
                }
            )  # fmt: skip
    return {
        "data": {"images": images, "annotations": annotations},
        "camera": cameras,
        "joint_3d": joints,
    }


def write_posenet_json(
    root: Path, listed: Sequence[Shot] = shots(), *, centre: Sequence[str] = ("S9",)
) -> Written:
    """Moon et al.'s JSON; of the subjects in `centre` made before June 2020."""
    _folders(root / "images", listed)
    (root / "annotations").mkdir()
    for subject in dict.fromkeys(one.subject for one in listed):
        own = [one for one in listed if one.subject == subject]
        for kind, content in posenet_content(subject, own, centre=subject in centre).items():
            path = root / "annotations" / f"Human36M_subject{subject[1:]}_{kind}.json"
            path.write_text(json.dumps(content), encoding="utf-8")
    damaged = _frames([one for one in listed if _is_damaged(one)])
    folder, number = listed[0].folder, listed[0].subject[1:]
    return Written(
        split="test",
        samples=_frames(_tested(listed)) - damaged,
        skipped=damaged,
        needed=(
            f"annotations/Human36M_subject{number}_data.json",
            f"annotations/Human36M_subject{number}_camera.json",
            f"annotations/Human36M_subject{number}_joint_3d.json",
            f"images/{folder}/{folder}_000001.jpg",
        ),
    )


def _with_flag(joints: np.ndarray) -> np.ndarray:
    return np.concatenate([joints, np.ones_like(joints[..., :1])], -1)


def mmpose_cameras() -> dict[tuple[str, str], dict]:
    """cameras.pkl: eleven subjects, rotations transposed, positions in metres, columns."""
    cameras = {}
    for number in range(1, 12):
        for place, name in enumerate(CAMERAS):
            subject = f"S{number}"
            known = lens(subject if subject in SUBJECTS else "S1", name)
            width, height = SIZES[name]
            cameras[subject, name] = {
                "R": known.R.T, "T": known.T[:, None] / 1000, "c": known.c[:, None], "f": known.f[:, None],
                "k": known.k[:, None], "p": known.p[:, None], "w": width, "h": height,
                "name": f"camera{place + 1}", "id": name,
            }  # fmt: skip
    return cameras


def write_mmpose(root: Path, listed: Sequence[Shot] = shots(), *, rate: int = 50) -> Written:
    """MMPose's conversion: a list for testing, or for training where only such shots are given."""
    tested = _tested(listed)
    split, listed = ("test", tested) if tested else ("train", list(listed))
    names = []
    for one in listed:
        for frame, image in zip(one.frames, one.pictures, strict=True):
            names.append(f"{one.subject}/{one.stem}/{one.stem}_{frame + 1:06}.jpg")
            write_picture(root / "images" / names[-1], image)
    folder = root / "annotation_body3d" / f"fps{rate}"
    folder.mkdir(parents=True)
    np.savez(
        folder / f"h36m_{split}.npz",
        imgname=np.array(names),
        center=np.concatenate([one.boxes[0] for one in listed]),
        scale=np.concatenate([one.boxes[1] for one in listed]) / 200,
        part=np.concatenate([_with_flag(one.px) for one in listed]),
        S=np.concatenate([_with_flag(one.cam_mm / 1000) for one in listed]),
    )
    (folder.parent / "cameras.pkl").write_bytes(pickle.dumps(mmpose_cameras(), protocol=4))
    damaged = _frames([one for one in listed if _is_damaged(one)])
    return Written(
        split=split,
        samples=_frames(listed) - damaged,
        skipped=damaged,
        needed=(
            f"annotation_body3d/fps{rate}/h36m_{split}.npz",
            "annotation_body3d/cameras.pkl",
            f"images/{names[0]}",
        ),
    )


def spin_arrays(listed: Sequence[Shot], *, pixels: bool) -> dict[str, list]:
    """What SPIN's scripts save: lists, 24 joints, poses about joint 11 of the 32, which the pelvis is at."""
    arrays: dict[str, list] = {"imgname": [], "center": [], "scale": [], "S": []}
    if pixels:
        arrays["part"] = []
    for one in listed:
        for place, frame in enumerate(one.frames):
            full = np.full((32, 5), 77777.0)
            full[list(PLACES17)] = np.concatenate([one.cam_mm[place], one.px[place]], -1)
            full[11], full[24] = full[0], full[13]  # joints that coincide in the data set
            chosen = full[list(SPIN_SOURCES)]
            pose, part = np.zeros((24, 4)), np.zeros((24, 3))
            pose[list(SPIN_PLACES), :3] = (chosen[:, :3] - chosen[0, :3]) / 1000
            part[list(SPIN_PLACES), :2] = chosen[:, 3:]
            pose[list(SPIN_PLACES), 3] = part[list(SPIN_PLACES), 2] = 1
            arrays["imgname"].append(f"images/{one.stem}_{frame + 1:06}.jpg")
            arrays["center"].append(list(one.boxes[0][place]))
            arrays["scale"].append(one.boxes[1][place] / 200)
            arrays["S"].append(pose)
            if pixels:
                arrays["part"].append(part)
    return arrays


def write_spin(root: Path, listed: Sequence[Shot] = shots((0, 10, 20))) -> Written:
    """SPIN's lists: with pixels for training, without for testing."""
    tested = [one for one in _tested(listed) if not _is_damaged(one)]
    trained = [one for one in listed if one.subject not in ("S9", "S11")]
    for one in (*trained, *tested):
        for frame, image in zip(one.frames, one.pictures, strict=True):
            write_picture(root / "images" / f"{one.stem}_{frame + 1:06}.jpg", image)
    np.savez(root / "h36m_train.npz", **spin_arrays(trained, pixels=True))
    if tested:
        np.savez(root / "h36m_valid_protocol1.npz", **spin_arrays(tested, pixels=False))
    needed = tuple(f"images/{one.stem}_{one.frames[-1] + 1:06}.jpg" for one in (*trained[:1], *tested[:1]))
    return Written(split="train", step=10, samples=_frames(trained), needed=needed)


def write_pavlakos(root: Path, listed: Sequence[Shot] = shots((0, 5, 10)), *, poses: bool = True) -> Written:
    """Pavlakos et al.'s annotations for testing, or for training where only such shots are given.

    The names of pictures are also written as text, as theirs are.
    """
    tested = _tested(listed)
    part, listed = ("valid", tested) if tested else ("train", list(listed))
    names = [f"{one.stem}_{frame + 1:06}.jpg" for one in listed for frame in one.frames]
    for name, image in zip(names, (image for one in listed for image in one.pictures), strict=True):
        write_picture(root / "images" / name, image)
    (root / "annot").mkdir()
    (root / "annot" / f"{part}_images.txt").write_text("\n".join(names) + "\n", encoding="utf-8")
    cam_mm = np.concatenate([one.cam_mm for one in listed])
    behind_mm = cam_mm[..., 2] - cam_mm[:, :1, 2]
    with h5py.File(root / "annot" / f"{part}.h5", "w") as file:
        file["part"] = np.concatenate([one.px for one in listed])
        file["center"] = np.concatenate([one.boxes[0] for one in listed])
        file["scale"] = np.concatenate([one.boxes[1] for one in listed]) / 200
        file["zind"] = np.clip(np.ceil((behind_mm + 1000) / 2000 * 64), 1, 64)
        file["index"] = np.arange(len(names))
        file["normalize"] = np.ones(len(names))
        file["imgname"] = np.array([list(name.ljust(40).encode()) for name in names], np.uint8)
        if poses:
            file["S"] = cam_mm
    damaged = _frames([one for one in listed if _is_damaged(one)])
    return Written(
        split="test" if tested else "train",
        step=5,
        samples=len(names) - damaged,
        skipped=damaged,
        needed=(f"annot/{part}.h5", f"annot/{part}_images.txt", f"images/{names[0]}"),
    )


def _crop(image: np.ndarray, corner: np.ndarray, scale: float) -> np.ndarray:
    """256 x 256 of a picture, crop px = scale (picture px - corner); Pillow counts from pixels' edges."""
    x, y = corner + 0.5 - 0.5 / scale
    numbers = (1 / scale, 0, x, 0, 1 / scale, y)
    whole = Image.fromarray(image)
    return np.asarray(whole.transform((256, 256), Image.Transform.AFFINE, numbers, Image.Resampling.BILINEAR))


def hemlets_arrays(one: Shot) -> dict[str, np.ndarray]:
    """The authors' crops of one take: square, 2.2 m about the pelvis, OpenCV's order of channels."""
    pelvis, depth = one.px[:, 0], one.cam_mm[:, 0, 2]
    side = 2200 * one.lens.f[0] / depth
    scale = 256 / side
    corner = pelvis - side[:, None] / 2
    crop_px = (one.px - corner[:, None]) * scale[:, None, None]
    level = 255 * ((one.cam_mm[..., 2] - depth[:, None]) / 2000 + 0.5)
    joints = np.concatenate([crop_px, level[..., None]], -1)
    joints = np.concatenate([joints, (joints[:, 11:12] + joints[:, 14:15]) / 2], 1)  # the thorax
    cam_mm = np.full((len(one.frames), 32, 3), 66666.0)
    cam_mm[:, list(PLACES17)] = one.cam_mm
    images = np.stack([picture(joints_px, (256, 256)) for joints_px in crop_px])
    if one.images:
        images = np.stack([_crop(*of) for of in zip(one.images, corner, scale, strict=True)])
    subject, camera = int(one.subject[1:]), CAMERAS.index(one.camera) + 1
    return {
        "images": images[..., ::-1],
        "joints": joints.astype(np.float32),
        "joints3d_cam": cam_mm.astype(np.float32),
        "trans": np.column_stack([corner, scale]).astype(np.float32),
        "camid": np.tile([subject, camera, 7], (len(one.frames), 1)),
    }


def write_hemlets(root: Path, one: Shot | None = None) -> Written:
    """The file that was handed round, shortened, with the list of videos."""
    one = one or shot("S11", 14, 1, "Walking 1", CAMERAS[3], range(4))
    number, camera = int(one.subject[1:]), CAMERAS.index(one.camera) + 1
    video = f"S_{number}_C_{camera}_1"
    with h5py.File(root / f"{video}_full.h5", "w") as file:
        for key, array in hemlets_arrays(one).items():
            file[key] = array
    videos = {"Directions.54138969": "S_11_C_1_23", f"{one.take}.{one.camera}": video}
    (root / f"S{number}.json").write_text(json.dumps(videos), encoding="utf-8")
    split = "test" if one.subject in ("S9", "S11") else "train"
    return Written(split=split, samples=len(one.frames), needed=(f"{video}_full.h5",))


WRITERS: dict[tuple[str, str], Writer] = {
    ("human36m", "meta_mat"): write_meta_mat,
    ("human36m", "meta_txt"): write_meta_txt,
    ("human36m", "posenet_json"): write_posenet_json,
    ("human36m", "mmpose"): write_mmpose,
    ("human36m", "spin"): write_spin,
    ("human36m", "pavlakos"): write_pavlakos,
    ("human36m", "hemlets"): write_hemlets,
}
