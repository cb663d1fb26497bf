"""MPI-INF-3DHP: a training subject with both sequences, the test set; by scipy, h5py, PyAV, Pillow."""

from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import numpy as np
from scipy.io import savemat

from downloads import Written, picture, poses_cam_mm, write_picture, write_video

# The data set's own order of 28 joints, mpii_get_joint_set; and where Human3.6M's 17 stand in it.
NAMES28 = [
    "spine3", "spine4", "spine2", "spine", "pelvis", "neck", "head", "head_top",
    "left_clavicle", "left_shoulder", "left_elbow", "left_wrist", "left_hand",
    "right_clavicle", "right_shoulder", "right_elbow", "right_wrist", "right_hand",
    "left_hip", "left_knee", "left_ankle", "left_foot", "left_toe",
    "right_hip", "right_knee", "right_ankle", "right_foot", "right_toe",
]  # fmt: skip
H36M17_IN_28 = [4, 23, 24, 25, 18, 19, 20, 3, 5, 6, 7, 9, 10, 11, 14, 15, 16]
# `relevant` of the same file, counted from 0: the test set's 17.
RELEVANT17 = [7, 5, 14, 15, 16, 9, 10, 11, 23, 24, 25, 18, 19, 20, 4, 3, 6]

CAMERAS = (0, 1, 2, 4, 5, 6, 7, 8)
# The real ones are 2048 pixels wide; the size stands in camera.calibration.
WIDTH = 256
ROWS, FRAMES = 4, 3  # rows in annot.mat; frames in the videos
UNIVERSAL = {"S6": 1.083, "TS": 0.94}  # measured size over universal size

# Focal length and centre of TS1-4 and TS5-6, pixels; the pictures' sizes.
STUDIO, OUTDOOR = (1500.1, 1500.7, 1017.4, 1043.1), (1683.7, 1672.3, 939.9, 560.2)
# Sequence -> (frames annotated, valid ones from 0, their activities from 1)
TESTED = {
    "TS1": (5, [1, 3, 4], [2, 1, 2]),
    "TS2": (2, [0], [3]),
    "TS3": (2, [1], [4]),
    "TS4": (2, [1], [7]),
    "TS5": (3, [0], [6]),
    "TS6": (2, [1], [5]),
}


def poses28_cam_mm(frames: int, *, seed: int) -> np.ndarray:
    """(F, 28, 3): the 17 shared joints, and the others near where they belong."""
    poses = poses_cam_mm(frames, seed=seed, depth_mm=4000.0)
    joints = np.full((frames, 28, 3), np.nan)
    joints[:, H36M17_IN_28] = poses
    middle = {0: (3, 5, 0.7), 1: (3, 5, 0.9), 2: (3, 5, 0.3), 8: (5, 9, 0.5), 13: (5, 14, 0.5)}
    middle |= {12: (10, 11, 1.3), 17: (15, 16, 1.3), 21: (19, 20, 1.2), 22: (19, 20, 1.3), 26: (24, 25, 1.2)}
    middle |= {27: (24, 25, 1.3)}
    for joint, (one, other, share) in middle.items():
        joints[:, joint] = joints[:, one] + share * (joints[:, other] - joints[:, one])
    assert np.isfinite(joints).all()
    return joints


def project(joints: np.ndarray, lens: tuple[float, float, float, float]) -> np.ndarray:
    """Pixels of a pinhole camera."""
    return joints[..., :2] / joints[..., 2:] * np.array(lens[:2]) + np.array(lens[2:])


def universal(joints: np.ndarray, scale: float, *, root: int) -> np.ndarray:
    """The pose in another size, its root where it was: it no longer projects."""
    return joints[:, root : root + 1] + (joints - joints[:, root : root + 1]) / scale


def train_lens(camera: int) -> tuple[float, float, float, float]:
    """A lens as the data set's, for pictures of `WIDTH`."""
    scale = WIDTH / 2048
    return (1497.7 * scale + camera, 1497.1 * scale + camera, 1024.7 * scale, 1051.4 * scale)


def rotation(camera: int) -> np.ndarray:
    """World to camera, the world's y upwards."""
    angle = 0.7 * camera
    turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    return np.diag([1.0, -1.0, -1.0]) @ turn


def calibration_text() -> str:
    """camera.calibration, with cameras that are not used as well and a space at lines' ends."""
    lines = ["Skeletool Camera Calibration File V1.0"]
    for camera in range(14):
        fx, fy, cx, cy = train_lens(camera)
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = rotation(camera), (10.0 * camera, 1400.0, 3900.0)
        lines += [
            f"name          {camera}",
            "  sensor      10 10",
            f"  size        {WIDTH} {WIDTH}",
            "  animated    0",
            f"  intrinsic   {fx} 0 {cx} 0 0 {fy} {cy} 0 0 0 1 0 0 0 0 1 ",
            "  extrinsic   " + " ".join(f"{value:.7g}" for value in pose.ravel()) + " ",
            "  radial      0",
        ]
    return "\n".join(lines) + "\n"


def write_annot_mat(path: Path, poses: dict[int, np.ndarray], *, scale: float, **changes: object) -> None:
    """annot.mat: cells of rows x1, y1, z1, x2, …; cameras that are not given hold zeros."""
    rows = len(next(iter(poses.values())))
    cells = {name: np.empty((14, 1), dtype=object) for name in ("annot2", "annot3", "univ_annot3")}
    for camera in range(14):
        joints = poses.get(camera)
        values = {"annot2": np.zeros((rows, 28, 2)), "annot3": np.zeros((rows, 28, 3))}
        values["univ_annot3"] = values["annot3"]
        if joints is not None:
            values = {"annot2": project(joints, train_lens(camera)), "annot3": joints}
            values["univ_annot3"] = universal(joints, scale, root=4)
        for name, value in values.items():
            cells[name][camera, 0] = value.reshape(rows, -1)
    numbers = {"cameras": np.arange(14.0)[:, None], "frames": np.arange(float(rows))[:, None]}
    content = {**cells, **numbers, **changes}
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, {name: value for name, value in content.items() if value is not None}, do_compression=True)


def write_train(root: Path) -> None:
    """S6 with both sequences; the second has some of its frames as pictures."""
    for sequence in ("Seq1", "Seq2"):
        place = root / "S6" / sequence
        poses = {camera: poses28_cam_mm(ROWS, seed=100 * int(sequence[-1]) + camera) for camera in CAMERAS}
        write_annot_mat(place / "annot.mat", poses, scale=UNIVERSAL["S6"])
        (place / "camera.calibration").write_text(calibration_text())
        for camera in CAMERAS:
            drawn = [picture(project(pose, train_lens(camera)), (WIDTH, WIDTH)) for pose in poses[camera]]
            if (sequence, camera) == ("Seq2", 7):  # as SPIN extracts them
                for number, image in enumerate(drawn, start=1):
                    write_picture(place / f"imageFrames/video_7/frame_{number:06d}.jpg", image)
                continue
            write_video(
                place / "imageSequence" / f"video_{camera}.avi", drawn, fps=25, codec="mpeg4",
                options={"qscale": "2"},
            )  # fmt: skip


def write_annot_data(
    path: Path, joints: np.ndarray, joints_px: np.ndarray, valid: list[int], activities: list[int],
    *, scale: float, **changes: object,
) -> None:  # fmt: skip
    """annot_data.mat, MATLAB 7.3: HDF5 behind a header of 512 bytes, axes reversed."""
    frames = len(joints)
    marked, activity = np.zeros((frames, 1)), np.zeros((frames, 1))
    marked[valid, 0], activity[valid, 0] = 1, activities
    content = {
        "annot2": joints_px[:, None],
        "annot3": joints[:, None],
        "univ_annot3": universal(joints, scale, root=14)[:, None],
        "valid_frame": marked,
        "activity_annotation": activity,
        "bb_crop": np.zeros((frames, 34)),
        **changes,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, value in content.items():
            if value is not None:
                file[name] = value
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(116) + b"\0" * 8 + b"\0\2IM")


def test_poses(sequence: str) -> tuple[np.ndarray, np.ndarray]:
    """(F, 17, 3) camera space and (F, 17, 2) pixels of a test sequence, in the test set's order."""
    frames = TESTED[sequence][0]
    joints = poses28_cam_mm(frames, seed=int(sequence[-1]))[:, RELEVANT17]
    lens = STUDIO if sequence <= "TS4" else OUTDOOR
    noise = np.random.default_rng(int(sequence[-1])).normal(0, 0.3, (frames, 17, 2))
    return joints, project(joints, lens) + noise


def write_test(root: Path) -> None:
    """TS1 … TS6, with pictures of the valid frames only."""
    for sequence, (_, valid, activities) in TESTED.items():
        place = root / "mpi_inf_3dhp_test_set" / sequence
        joints, joints_px = test_poses(sequence)
        write_annot_data(
            place / "annot_data.mat", joints, joints_px, valid, activities, scale=UNIVERSAL["TS"]
        )
        size = (2048, 2048) if sequence <= "TS4" else (1920, 1080)
        first = None
        for frame in valid:
            target = place / f"imageSequence/img_{frame + 1:06d}.jpg"
            if first is None:
                first = target
                write_picture(target, picture(joints_px[frame], size))
            else:
                shutil.copy(first, target)


def write(root: Path) -> Written:
    """Both parts in one folder."""
    write_train(root)
    write_test(root)
    needed = [f"S6/Seq1/{name}" for name in ("annot.mat", "camera.calibration", "imageSequence/video_4.avi")]
    needed += [
        f"mpi_inf_3dhp_test_set/TS5/{name}" for name in ("annot_data.mat", "imageSequence/img_000001.jpg")
    ]
    return Written(
        split="train",
        step=3,
        samples=2 * len(CAMERAS) * 2,
        needed=tuple(needed),
    )


WRITERS = {("mpi_inf_3dhp", "original"): write}
