"""Human3.6M with its videos: the original download, h36m-fetch's, VideoPose3D's .npz and the old h36m.zip.

CDF by cdflib, HDF5 by h5py, MP4 by FFmpeg through PyAV, .npz by numpy. A video is encoded once for each
camera and copied under every take's name: readers do not look at what it shows. The cameras' numbers are
the published ones, in `original` and `fetch` changed a little, so that whoever does not read metadata.xml is
found out. Projection is worked out here once more, in numpy.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from cdflib.cdfwrite import CDF

from downloads import Writer, Written, picture, poses_cam_mm, write_picture, write_video
from hemlets_lib.data.cameras import h36m_camera

CAMERAS = ("54138969", "55011271", "58860488", "60457274")
SIZES = {
    "54138969": (1000, 1002),
    "55011271": (1000, 1000),
    "58860488": (1000, 1000),
    "60457274": (1000, 1002),
}
SUBJECTS = ("S1", "S5", "S6", "S7", "S8", "S9", "S11")
# (action number, subaction) and what each subject's files are called.
MAPPING: Mapping[str, dict[tuple[int, int], str]] = {
    "S1": {(4, 1): "Eating 2", (12, 1): "TakingPhoto 1"},
    "S5": {(15, 2): "WalkingDog"},
    "S6": {(10, 1): "SittingDown 1"},
    "S7": {(9, 1): "Sitting 1"},
    "S8": {(16, 1): "WalkTogether 1"},
    "S9": {(10, 2): "SittingDown 1"},
    "S11": {(2, 2): "Directions"},
}
ACTION_NAMES = (
    "_ALL", "Directions", "Discussion", "Eating", "Greeting", "Phoning", "Posing", "Purchases", "Sitting",
    "SittingDown", "Smoking", "TakingPhoto", "Waiting", "Walking", "WalkingDog", "WalkingTogether",
)  # fmt: skip
PLACES17 = (0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27)
FRAMES = 3


@dataclass(frozen=True)
class Lens:
    """A camera in one session, as metadata.xml has it."""

    f: np.ndarray
    c: np.ndarray
    k: np.ndarray
    p: np.ndarray
    angles: np.ndarray
    T: np.ndarray

    @property
    def R(self) -> np.ndarray:
        (sx, sy, sz), (cx, cy, cz) = np.sin(self.angles), np.cos(self.angles)
        about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
        about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
        about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
        return about_x @ about_y @ about_z

    def to_camera(self, world: np.ndarray) -> np.ndarray:
        return (world - self.T) @ self.R.T

    def to_world(self, cam: np.ndarray) -> np.ndarray:
        return cam @ self.R + self.T

    def project(self, cam: np.ndarray) -> np.ndarray:
        x, y = cam[..., 0] / cam[..., 2], cam[..., 1] / cam[..., 2]
        (k1, k2, k3), (p1, p2) = self.k, self.p
        r2 = x * x + y * y
        gain = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3 + p1 * y + p2 * x
        u = self.f[0] * (x * gain + p2 * r2) + self.c[0]
        v = self.f[1] * (y * gain + p1 * r2) + self.c[1]
        return np.stack([u, v], -1)


def lens(subject: str, camera: str, *, changed: bool = False) -> Lens:
    """The published calibration; `changed`, one that nobody can have in a table."""
    known = h36m_camera(camera, subject)
    R = known.rotation.numpy()
    angles = np.array(
        [np.arctan2(-R[1, 2], R[2, 2]), np.arcsin(R[0, 2]), np.arctan2(-R[0, 1], R[0, 0])], dtype=np.float64
    )
    number = 1 + CAMERAS.index(camera) + 4 * SUBJECTS.index(subject)
    shift = 0.001 * number if changed else 0.0
    return Lens(
        f=known.focal_px.numpy() + (7.0 if changed else 0.0), c=known.centre_px.numpy() + 3 * (shift > 0),
        k=known.k_radial.numpy(), p=known.p_tangential.numpy(),
        angles=angles + shift, T=known.position_mm.numpy() + 1000 * shift,
    )  # fmt: skip


def world_poses(subject: str, take: str, *, frames: int = FRAMES, changed: bool = False) -> np.ndarray:
    """(F, 32, 3) mm: the 17 joints at their places, and elsewhere points that no reader may use."""
    seed = sum(map(ord, subject + take))
    cam = np.full((frames, 32, 3), 99999.0)
    cam[:, list(PLACES17)] = poses_cam_mm(frames, seed=seed, depth_mm=4800)
    return lens(subject, CAMERAS[0], changed=changed).to_world(cam)


def write_cdf(path: Path, poses: np.ndarray, *, variable: str = "Pose") -> None:
    """One record of (frames, 32 times the coordinates) single-precision numbers."""
    path.parent.mkdir(parents=True, exist_ok=True)
    flat = poses.reshape(1, len(poses), -1).astype(np.float32)
    file = CDF(path, delete=True)
    entry = {"Variable": variable, "Data_Type": CDF.CDF_FLOAT, "Num_Elements": 1, "Rec_Vary": True}
    file.write_var(entry | {"Dim_Sizes": list(flat.shape[1:])}, var_data=flat)
    file.close()


def write_masks(path: Path, boxes: list[tuple[int, int, int, int]], size: tuple[int, int]) -> None:
    """A MATLAB 7.3 file: a cell of masks, each transposed, with ones inside its box (x0, y0, x1, y1)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w", userblock_size=512) as file:
        references = file.create_dataset("Masks", (len(boxes), 1), dtype=h5py.ref_dtype)
        for number, (x0, y0, x1, y1) in enumerate(boxes):
            mask = np.zeros(size[::-1], np.uint8)
            mask[y0 : y1 + 1, x0 : x1 + 1] = 1
            stored = file.create_dataset(f"#refs#/{number}", data=mask.T, compression="gzip")
            references[number, 0] = stored.ref
    with path.open("r+b") as head:
        head.write(b"MATLAB 7.3 MAT-file".ljust(128))


def write_metadata(path: Path, *, mapping: Mapping[str, dict[tuple[int, int], str]] = MAPPING) -> None:
    """metadata.xml as far as it is used: calibration, the table of names, and what stands around them."""
    numbers: list[float] = []
    for camera in CAMERAS:
        for number in range(1, 12):
            subject = f"S{number}"
            known = lens(subject if subject in SUBJECTS else "S1", camera, changed=True)
            numbers += [*known.angles, *known.T]
    for camera in CAMERAS:
        known = lens("S1", camera, changed=True)
        numbers += [*known.f, *known.c, *known.k, *known.p]
    subjects = [f"S{number}" for number in range(1, 12)]
    rows = [["", "", *subjects], ["1", "1", *["_ALL 1"] * 11]]
    for pair in sorted({pair for names in mapping.values() for pair in names}):
        names = [mapping.get(subject, {}).get(pair, "") for subject in subjects]
        rows.append([*map(str, pair), *names])
    rows.append(["17", "1", *["calibration"] * 11])
    cells = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    actions = "".join(f"<action>{name}</action>" for name in ACTION_NAMES)
    ids = "".join(f"<id>{camera}</id>" for camera in CAMERAS)
    path.write_text(
        f'<?xml version="1.0"?>\n<metadata><mapping>{cells}</mapping><actionnames>{actions}</actionnames>'
        f"<dbcameras><index2id>{ids}</index2id></dbcameras>"
        f"<w0>[{' '.join(f'{number:.12g}' for number in numbers)}]</w0></metadata>",
        encoding="utf-8",
    )


def write_videos(folder: Path, frames: int = FRAMES) -> dict[str, Path]:
    """One video of each camera, to be copied."""
    made = {}
    for camera in CAMERAS:
        joints = lens("S9", camera).project(
            lens("S9", camera).to_camera(world_poses("S9", "SittingDown 1", frames=frames))
        )
        images = [picture(joints[frame, list(PLACES17)], SIZES[camera]) for frame in range(frames)]
        made[camera] = folder / f"{camera}-{frames}.mp4"
        write_video(made[camera], images, fps=50, options={"preset": "ultrafast"})
    return made


def _copy_videos(root: Path, takes: Mapping[str, list[str]]) -> int:
    """All takes' videos; returns how many frames of S9 and S11 are left out, of those 3 in each take."""
    made = write_videos(root / ".made")
    for subject, names in takes.items():
        for take in names:
            (root / subject / "Videos").mkdir(parents=True, exist_ok=True)
            for camera, video in made.items():
                shutil.copy(video, root / subject / "Videos" / f"{take}.{camera}.mp4")
    short = lens("S9", CAMERAS[2])
    images = [picture(short.project(np.full((17, 3), 5000.0)), SIZES[CAMERAS[2]])] * 2
    ends_early = root / "S9/Videos" / f"{takes['S9'][0]}.{CAMERAS[2]}.mp4"
    write_video(ends_early, images, fps=50, options={"preset": "ultrafast"})
    (root / "S11/Videos" / f"{takes['S11'][0]}.{CAMERAS[0]}.mp4").write_bytes(b"\0" * 4096)  # as published
    (root / "S9/Videos/_ALL 1.54138969.mp4").write_bytes(b"\0")
    shutil.rmtree(root / ".made")
    return 1 + FRAMES


_TAKES = {subject: list(names.values()) for subject, names in MAPPING.items()}


def write_original(root: Path, *, flat: bool = False, metadata: bool = True, world: bool = False) -> Written:
    """The original download; `flat` as h36m-fetch extracts it, `world` with D3_Positions alone."""
    base = root / "extracted" if flat else root
    skipped = _copy_videos(base, _TAKES)
    inner = "Poses_" if flat else "MyPoseFeatures/"
    for subject, takes in _TAKES.items():
        for take in takes:
            world_mm = world_poses(subject, take, changed=metadata)
            if world:
                write_cdf(base / subject / f"{inner}D3_Positions/{take}.cdf", world_mm)
            for camera in CAMERAS:
                known = lens(subject, camera, changed=metadata)
                cam_mm = known.to_camera(world_mm)
                if not world:
                    write_cdf(base / subject / f"{inner}D3_Positions_mono/{take}.{camera}.cdf", cam_mm)
                    write_cdf(
                        base / subject / f"{inner}D3_Positions_mono_universal/{take}.{camera}.cdf",
                        0.9 * cam_mm,
                    )
                write_cdf(base / subject / f"{inner}D2_Positions/{take}.{camera}.cdf", known.project(cam_mm))
        write_cdf(base / subject / f"{inner}D2_Positions/_ALL 1.{CAMERAS[0]}.cdf", np.zeros((2, 32, 2)))
    pelvis = lens("S9", CAMERAS[0], changed=metadata)
    x, y = pelvis.project(pelvis.to_camera(world_poses("S9", "SittingDown 1", changed=metadata)))[0, 0]
    box = (int(x) - 90, int(y) - 200, int(x) + 80, int(y) + 210)
    boxes = "Segments_mat_gt_bb" if flat else "MySegmentsMat/ground_truth_bb"
    write_masks(base / "S9" / boxes / f"SittingDown 1.{CAMERAS[0]}.mat", [box] * FRAMES, SIZES[CAMERAS[0]])
    if metadata:
        write_metadata(root / "metadata.xml")
    poses = "D3_Positions" if world else "D3_Positions_mono"
    one = "SittingDown 1" if world else "SittingDown 1.55011271"
    where = base.relative_to(root).as_posix() + "/" if flat else ""
    return Written(
        split="test",
        samples=2 * 4 * FRAMES - skipped,
        skipped=skipped,
        needed=(
            f"{where}S9/{inner}{poses}/{one}.cdf",
            f"{where}S9/{inner}D2_Positions/SittingDown 1.60457274.cdf",
            f"{where}S11/Videos/Directions.58860488.mp4",
            f"{where}S1/Videos/TakingPhoto 1.54138969.mp4",
        ),
    )


def write_fetch(root: Path, *, metadata: bool = True, universal: bool = False) -> Written:
    """h36m-fetch's processed/; `universal` as its first versions, which had the universal skeleton only."""
    folder = root / "processed"
    image = {camera: root / f"{camera}.jpg" for camera in CAMERAS}
    for camera, path in image.items():
        write_picture(path, picture(np.full((17, 2), 300.0), SIZES[camera]))
    samples = 0
    for subject, names in MAPPING.items():
        for (action, subaction), take in names.items():
            corrupt = (subject, action, subaction) == ("S11", 2, 2)
            cameras = CAMERAS[1:] if corrupt else CAMERAS  # what process_all.py leaves out
            frames = np.array([0, 64, 128]) if subject in ("S9", "S11") else np.array([0, 7, 31])
            poses = world_poses(subject, take, changed=metadata)
            columns: dict[str, list[np.ndarray]] = {}
            at = folder / subject / f"{ACTION_NAMES[action - 1]}-{subaction}"
            for camera in cameras:
                known = lens(subject, camera, changed=metadata)
                cam = known.to_camera(poses)
                row = {
                    "pose/2d": known.project(cam), "pose/3d": cam * ([1.1, 1, 1] if universal else 1),
                    "pose/3d-univ": cam * [1.1, 1, 1], "frame": frames + 1,
                    "intrinsics/" + camera: np.array([known.f[0], known.c[0], known.f[1], known.c[1]]),
                    "camera": np.full(3, int(camera)), "subject": np.full(3, int(subject[1:])),
                    "action": np.full(3, action), "subaction": np.full(3, subaction),
                }  # fmt: skip
                for key, value in row.items():
                    if not (universal and key == "pose/3d-univ"):
                        columns.setdefault(key, []).append(value)
                pictures = at / "imageSequence" / camera
                pictures.mkdir(parents=True)
                for frame in frames:
                    shutil.copy(image[camera], pictures / f"img_{frame + 1:06d}.jpg")
            with h5py.File(at / "annot.h5", "w") as file:
                for key, values in columns.items():
                    file.create_dataset(key, data=np.concatenate(values))
            samples += 3 * len(cameras) if subject in ("S9", "S11") else 0
    for path in image.values():
        path.unlink()
    if metadata:
        write_metadata(root / "metadata.xml")
    return Written(
        split="test",
        samples=samples,
        needed=(
            "processed/S9/SittingDown-2/annot.h5",
            "processed/S9/SittingDown-2/imageSequence/54138969/img_000065.jpg",
            "processed/S11/Directions-2/imageSequence/60457274/img_000129.jpg",
            "processed/S1/TakingPhoto-1/annot.h5",
        ),
    )


def write_videopose(root: Path, *, pixels: bool = True) -> Written:
    """VideoPose3D's data_3d_h36m.npz (metres, pickled), its 2D joints, and the videos."""
    skipped = _copy_videos(root, _TAKES)
    positions: dict[str, dict[str, np.ndarray]] = {}
    seen: dict[str, dict[str, list[np.ndarray]]] = {}
    for subject, takes in _TAKES.items():
        positions[subject], seen[subject] = {}, {}
        for take in takes:
            world_mm = world_poses(subject, take)
            name = take.replace("TakingPhoto", "Photo").replace("WalkingDog", "WalkDog")
            if (subject, name) == ("S11", "Directions"):
                name = "Directions 1"  # the script leaves 'Directions' out; another take for the test split
            positions[subject][name] = (world_mm / 1000).astype(np.float32)
            cameras = [lens(subject, camera) for camera in CAMERAS]
            seen[subject][name] = [
                known.project(known.to_camera(world_mm))[:, list(PLACES17)].astype(np.float32)
                for known in cameras
            ]
    for camera in CAMERAS:  # of this one no video is damaged
        healthy = root / f"S5/Videos/WalkingDog.{camera}.mp4"
        shutil.copy(healthy, root / f"S11/Videos/Directions 1.{camera}.mp4")
    np.savez_compressed(root / "data_3d_h36m.npz", positions_3d=np.array(positions, dtype=object))
    if pixels:
        metadata = {"num_joints": 17, "keypoints_symmetry": [[4, 5, 6, 11, 12, 13], [1, 2, 3, 14, 15, 16]]}
        np.savez_compressed(
            root / "data_2d_h36m_gt.npz",
            positions_2d=np.array(seen, dtype=object),
            metadata=np.array(metadata, dtype=object),
        )
    return Written(
        split="test",
        samples=2 * 4 * FRAMES - (skipped - FRAMES),
        skipped=skipped - FRAMES,
        needed=(
            "data_3d_h36m.npz",
            "S9/Videos/SittingDown 1.55011271.mp4",
            "S5/Videos/WalkingDog.60457274.mp4",
        ),
    )


def write_martinez(root: Path, *, transposed: bool = True) -> Written:
    """The old h36m.zip of '3d-pose-baseline': world poses and cameras in HDF5, and the videos."""
    base = root / "h36m"
    skipped = _copy_videos(base, _TAKES)
    for subject, takes in _TAKES.items():
        for take in takes:
            name = take.replace("TakingPhoto", "Photo").replace("WalkingDog", "WalkDog")
            path = base / subject / "MyPoses/3D_positions" / f"{name}.h5"
            path.parent.mkdir(parents=True, exist_ok=True)
            with h5py.File(path, "w") as file:
                flat = world_poses(subject, take).reshape(FRAMES, 96)
                file.create_dataset("3D_positions", data=flat.T)  # (96, F), as MATLAB wrote it
    with h5py.File(base / "cameras.h5", "w") as file:
        for subject in SUBJECTS:
            for number, camera in enumerate(CAMERAS, start=1):
                known, at = lens(subject, camera), f"subject{subject[1:]}/camera{number}/"
                file[at + "R"] = known.R.T if transposed else known.R
                for key in ("T", "f", "c", "k", "p"):
                    file[at + key] = getattr(known, key).reshape(-1, 1)
                file[at + "Name"] = np.array([[ord(letter)] for letter in camera], dtype=np.uint16)
    return Written(
        split="test",
        samples=2 * 4 * FRAMES - skipped,
        skipped=skipped,
        needed=("h36m/cameras.h5", "h36m/S9/Videos/SittingDown 1.58860488.mp4"),
    )


WRITERS: dict[tuple[str, str], Writer] = {
    ("human36m", "original"): write_original,
    ("human36m", "fetch"): write_fetch,
    ("human36m", "videopose"): write_videopose,
    ("human36m", "martinez"): write_martinez,
}
