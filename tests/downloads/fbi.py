"""Forward-or-backward labels: this project's JSON written by json, and text files after another's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from downloads import Writer, Written
from downloads.photographs import PARENTS_AND_CHILDREN_H36M17, people, write_people

H36M17_NAMES = (
    "pelvis", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle", "torso",
    "neck", "nose", "head", "left_shoulder", "left_elbow", "left_wrist", "right_shoulder", "right_elbow",
    "right_wrist",
)  # fmt: skip
# KaiHangYang/ordinal_pose's 15 joints among Human3.6M's 17.
ORDINAL_POSE15_OF_H36M17 = (0, 1, 2, 3, 4, 5, 6, 8, 10, 14, 15, 16, 11, 12, 13)


def part_states(poses: np.ndarray) -> np.ndarray:
    """(N, 14): 1 where the child is nearer by more than half the part's length, -1 farther, 0 neither."""
    parents, children = np.array(PARENTS_AND_CHILDREN_H36M17).T
    parts = poses[:, parents] - poses[:, children]
    steep = parts[..., 2] / np.linalg.norm(parts, axis=-1)
    return np.where(np.abs(steep) > 0.5, np.sign(steep), 0).astype(int)


def document(count: int, *, seed: int) -> tuple[dict[str, Any], np.ndarray]:
    """A document without torso and nose, as MPII has none; and the people's joints (N, 17, 2)."""
    poses, joints_px = people(count, seed=seed)
    kept = [joint for joint in range(17) if joint not in (7, 9)]
    states: list[list[Any]] = part_states(poses).tolist()
    states[0][3], states[0][4] = None, None
    records = []
    for number, (joints, labels) in enumerate(zip(joints_px, states, strict=True)):
        placed: list[Any] = np.round(joints[kept], 3).tolist()
        if number == 1:
            placed[3] = None
        records.append({"image": f"images/{number + 1}.jpg", "joints_px": placed, "states": labels})
    records[-1]["box_px"] = [100.0, 80.0, 150.0]
    content = {
        "format": "hemlets-fbi",
        "format_version": 1,
        "origin": "drawn people",
        "joint_names": [H36M17_NAMES[joint] for joint in kept],
        "parts": [[H36M17_NAMES[end] for end in part] for part in PARENTS_AND_CHILDREN_H36M17],
        "zero": "parallel",
        "records": records,
    }
    return content, joints_px


def write_json(root: Path) -> Written:
    """Three people: parts nobody labelled, a joint nobody placed, a box."""
    content, joints_px = document(3, seed=41)
    for record, person in zip(content["records"], joints_px, strict=True):
        write_people(root / record["image"], person)
    (root / "fbi.json").write_text(json.dumps(content), encoding="utf-8")
    return Written("train", 3, ("fbi.json", *(record["image"] for record in content["records"])))


def write_label_texts(root: Path, *, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """our_labels/1.txt … beside images/1.jpg …; returns joints (N, 17, 2) and states (N, 14)."""
    poses, joints_px = people(count, seed=seed)
    states = part_states(poses)
    (root / "our_labels").mkdir(parents=True)
    for number, (joints, labels) in enumerate(zip(joints_px, states, strict=True), start=1):
        lines = [
            " ".join(f"{value:.4f}" for value in joints[list(ORDINAL_POSE15_OF_H36M17)].reshape(-1)),
            " ".join({0: "0", 1: "1", -1: "2"}[label] for label in labels.tolist()),
            " ".join(["0"] * 14 * 14),
        ]
        (root / "our_labels" / f"{number}.txt").write_text("\n".join(lines) + "\n", encoding="ascii")
        write_people(root / "images" / f"{number}.jpg", joints)
    return joints_px, states


WRITERS: dict[tuple[str, str], Writer] = {("fbi", "json"): write_json}
