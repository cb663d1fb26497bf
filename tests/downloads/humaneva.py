"""HumanEva-I: one subject, its motion as VideoPose3D converts it, by scipy, numpy and PyAV.

Every video shows its frames' numbers, from 0, as their brightness, so that tests can tell them.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from scipy.io import savemat

from downloads import Written, poses_cam_mm, write_video

# Order of the 15 joints in ConvertHumanEva.m, and where Human3.6M's 17 have them; thorax is that neck.
NAMES15 = [
    "pelvis", "thorax", "left_shoulder", "left_elbow", "left_wrist", "right_shoulder", "right_elbow",
    "right_wrist", "left_hip", "left_knee", "left_ankle", "right_hip", "right_knee", "right_ankle", "head",
]  # fmt: skip
FROM_H36M17 = [0, 8, 11, 12, 13, 14, 15, 16, 4, 5, 6, 1, 2, 3, 10]
CAMERAS = ("C1", "C2", "C3")

# (partition, action) -> [first, end) of the frames, and which of them, from the first, have motion.
MOTION = {
    ("Validate", "Walking"): ((5, 590), (0, 1, 2, 10, 11)),
    ("Validate", "Jog"): ((5, 367), (0, 4, 5)),
    ("Train", "Walking"): ((590, 1203), (0, 1)),
    ("Train", "Jog"): ((367, 740), (0, 1, 2)),
}
FIRST_FRAMES = {"Walking": (82, 81, 82), "Jog": (51, 51, 50)}  # of S1's videos, from 1
VIDEO_FRAMES = 675
FOCAL, CENTRE = (772.0, 769.0), (327.0, 241.0)
DISTORTION = (-0.22, 0.18, 0.0008, -0.0005, 0.0)  # Bouguet's k1, k2, p1, p2, k3
# im_st, mc_st, mc_sc of C1-3 and BW1-4; they come to 82, 81, 82.
OFS = (
    (182, 201, 2),
    (181, 201, 2),
    (183, 203, 2),
    (101, 201, 2),
    (102, 201, 2),
    (102, 199, 2),
    (103, 201, 2),
)


def pose_camera(camera: str) -> tuple[np.ndarray, np.ndarray]:
    """R and T of X_cam = R X_world + T: 4.5 m away, at the height of the chest, a third of a turn apart."""
    angle = 0.3 + 2 * np.pi / 3 * CAMERAS.index(camera)
    position = np.array([4500 * np.cos(angle), 4500 * np.sin(angle), 1300.0])
    forward = -position / np.linalg.norm(position) + np.array([0, 0, 0.2])
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, (0, 0, 1))
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward])
    return rotation, -rotation @ position


def project(world: np.ndarray, camera: str) -> np.ndarray:
    """Bouguet's toolbox, project_points2: what the data set's code does."""
    rotation, translation = pose_camera(camera)
    points = world @ rotation.T + translation
    x, y = points[..., 0] / points[..., 2], points[..., 1] / points[..., 2]
    k1, k2, p1, p2, k3 = DISTORTION
    r2 = x**2 + y**2
    radial = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3
    u = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x**2)
    v = y * radial + p1 * (r2 + 2 * y**2) + 2 * p2 * x * y
    return np.stack([FOCAL[0] * u + CENTRE[0], FOCAL[1] * v + CENTRE[1]], -1)


def world_mm(partition: str, action: str) -> np.ndarray:
    """(F, 15, 3) of the whole range, the world's z upwards; NaN without motion."""
    (first, end), valid = MOTION[partition, action]
    turned = poses_cam_mm(len(valid), seed=first + end, depth_mm=0.0)[:, FROM_H36M17]
    poses = np.full((end - first, 15, 3), np.nan)
    poses[list(valid)] = np.stack([turned[..., 0], turned[..., 2], 950 - turned[..., 1]], -1)
    return poses


def brightness(frame: int) -> int:
    """Grey level of a video's frame; neighbours differ by more than a codec changes."""
    return 20 + 3 * (frame % 70)


@cache
def _video() -> bytes:
    grey = [np.full((480, 640, 3), brightness(number), np.uint8) for number in range(70)]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "video.avi"
        frames = [grey[number % 70] for number in range(VIDEO_FRAMES)]
        write_video(path, frames, fps=60, codec="mpeg4", options={"qscale": "1"})
        return path.read_bytes()


def write_recordings(root: Path, *, calibration: str = "Calibration_Data") -> None:
    """Videos, calibration, and the .ofs files of one action."""
    place = root / "S1"
    for action in ("Walking", "Jog"):
        for camera in CAMERAS:
            target = place / "Image_Data" / f"{action}_1_({camera}).avi"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(_video())
    for camera in CAMERAS:
        rotation, translation = pose_camera(camera)
        numbers = [*FOCAL, *CENTRE, 0.0, *DISTORTION, *rotation.ravel(), *translation]
        path = place / calibration / f"{camera}.cal"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(f"{number:.10g}" for number in numbers) + "\n")
    (place / "Sync_Data").mkdir()
    for stream, numbers in zip((*CAMERAS, "BW1", "BW2", "BW3", "BW4"), OFS, strict=True):
        (place / "Sync_Data" / f"Walking_1_({stream}).ofs").write_text("\n".join(map(str, numbers)))


def write_mat(root: Path, partition: str, action: str, **changes: object) -> None:
    """What ConvertHumanEva.m saves of one action."""
    poses = world_mm(partition, action)
    content = {
        "poses_3d": poses,
        "poses_2d": np.stack([project(poses, camera) for camera in CAMERAS]),
        **changes,
    }
    path = root / "converted_15j" / partition / "S1" / f"{action}_1.mat"
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, {name: value for name, value in content.items() if value is not None}, do_compression=True)


def chunks(partition: str, action: str) -> list[tuple[bool, np.ndarray]]:
    """Runs of frames with and without motion, in turn, as prepare_data_humaneva.py parts them."""
    poses = world_mm(partition, action)
    valid = np.isfinite(poses).all((1, 2))
    runs = np.split(np.arange(len(poses)), np.flatnonzero(np.diff(valid)) + 1)
    return [(bool(valid[run[0]]), poses[run]) for run in runs]


def write_npz(root: Path, *, gaps: bool = True) -> None:
    """What prepare_data_humaneva.py saves: dictionaries, pickled by numpy."""
    poses: dict[str, dict] = {f"{part}/S{n}": {} for part in ("Train", "Validate") for n in (1, 2, 3)}
    detected: dict[str, dict] = {"Unlabeled/S4": {"Combo 2": [np.zeros((3, 17, 2), np.float32)] * 3}}
    for partition, action in MOTION:
        subject = f"{partition}/S1"
        for number, (valid, run) in enumerate(chunks(partition, action)):
            name = f"{action} 1 chunk{number}"
            if valid:
                poses[subject][name] = (run / 1000).astype(np.float32)
            key = subject if valid else f"Unlabeled/{subject}"
            detected.setdefault(key, {})[name] = [np.zeros((len(run), 17, 2), np.float32)] * 3
    poses["Train/S1"]["Box 1 chunk0"] = np.zeros((4, 15, 3), np.float32)
    folder = root / "data"
    folder.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(folder / "data_3d_humaneva15.npz", positions_3d=poses)
    if gaps:
        layout = {"layout_name": "coco", "num_joints": 17, "keypoints_symmetry": [[1, 3], [2, 4]]}
        np.savez_compressed(
            folder / "data_2d_humaneva15_detectron_pt_coco.npz", positions_2d=detected, metadata=layout
        )


def _written(needed: list[str]) -> Written:
    frames = [
        (end - first, len(valid)) for (part, _), ((first, end), valid) in MOTION.items() if part == "Validate"
    ]
    return Written(
        split="validate",
        samples=3 * sum(valid for _, valid in frames),
        needed=(*needed, "S1/Image_Data/Jog_1_(C3).avi"),
        skipped=3 * sum(count - valid for count, valid in frames),
    )


def write_mat_form(root: Path) -> Written:
    """The .mat files beside the data set, one of them of an action that is not read."""
    write_recordings(root)
    for partition, action in MOTION:
        write_mat(root, partition, action)
    path = root / "converted_15j" / "Validate" / "S1" / "Box_1.mat"
    savemat(path, {"poses_3d": np.zeros((4, 15, 3)), "poses_2d": np.zeros((3, 4, 15, 2))})
    return _written(
        [f"converted_15j/{name}_1.mat" for name in ("Validate/S1/Walking", "Train/S1/Jog")]
        + ["S1/Calibration_Data/C2.cal"]
    )


def write_npz_form(root: Path) -> Written:
    """The .npz files in a folder beside the data set's, which spells a folder's name as some releases do."""
    write_recordings(root, calibration="Calibration_DATA")
    write_npz(root)
    return _written(["data/data_3d_humaneva15.npz", "S1/Calibration_DATA/C3.cal"])


WRITERS = {
    ("humaneva", "videopose_mat"): write_mat_form,
    ("humaneva", "videopose_npz"): write_npz_form,
}
