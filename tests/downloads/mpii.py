"""MPII Human Pose: the MATLAB file written by scipy, the lists by json, pictures by Pillow.

Coordinates count from 1.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io

from downloads import Writer, Written
from downloads.photographs import MPII16_OF_H36M17, SIZE, in_order, people, write_people

NAME = "{:09d}.jpg"
MAT_NAME = "mpii_human_pose_v1_u12_1.mat"


def mpii_people(count: int, *, seed: int) -> np.ndarray:
    """(N, 16, 2) as MPII writes them: in its order, from 1."""
    return in_order(people(count, seed=seed)[1], MPII16_OF_H36M17) + 1.0


def centre_and_scale(joints: np.ndarray) -> tuple[np.ndarray, float]:
    """Rough position and height over 200 px, from 1."""
    height = np.nanmax(joints[:, 1]) - np.nanmin(joints[:, 1])
    return np.round((joints[6] + joints[7]) / 2), float(height / 200)


def structs(*entries: dict[str, Any]) -> np.ndarray:
    """A 1 x N struct array; every entry has the fields of the first."""
    array = np.zeros((1, len(entries)), dtype=[(name, object) for name in entries[0]])
    for number, entry in enumerate(entries):
        for name, value in entry.items():
            array[name][0, number] = value
    return array


EMPTY = np.zeros((0, 0))


def points(joints: np.ndarray, **visible: Any) -> dict[str, Any]:
    """`annopoints`; with `is_visible` where given: a function of the joint's number."""
    return {
        "point": structs(
            *(
                {"x": x, "y": y, "id": np.uint8(joint)}
                | ({"is_visible": visible["is_visible"](joint)} if visible else {})
                for joint, (x, y) in enumerate(joints)
                if np.isfinite(x)
            )
        )
    }


def rect(joints: np.ndarray, **fields: Any) -> dict[str, Any]:
    """One `annorect`, as in a training picture unless `fields` say otherwise."""
    centre, scale = centre_and_scale(joints)
    head = np.nan_to_num(joints[9])
    entry = {
        "x1": head[0] - 4, "y1": head[1] - 4, "x2": head[0] + 4, "y2": head[1] + 8,
        "annopoints": points(joints, is_visible=lambda joint: joint % 2),
        "scale": scale, "objpos": {"x": centre[0], "y": centre[1]},
    }  # fmt: skip
    return entry | fields


def release(pictures: list[tuple[str, Any]], training: list[int], single: list[list[int]]) -> dict[str, Any]:
    """`RELEASE` of (name, annorect) pairs."""
    cells = np.empty((len(pictures), 1), dtype=object)
    for number, numbers in enumerate(single):
        cells[number, 0] = np.array(numbers, dtype=np.uint8)[:, None] if numbers else EMPTY
    return {
        "annolist": structs(
            *(
                {"image": {"name": name}, "annorect": annorect, "frame_sec": EMPTY}
                for name, annorect in pictures
            )
        ),
        "img_train": np.array([training], dtype=np.uint8),
        "version": "12",
        "single_person": cells,
    }


def write_original(root: Path) -> Written:
    """Six pictures: two people; nobody; heads only; text for `is_visible`; a lone point; a test picture."""
    joints = mpii_people(6, seed=11)
    joints[3, [0, 9]] = np.nan  # an ankle out of the picture, and no head
    lone = np.full((16, 2), np.nan)
    lone[9] = 12.0, 14.0
    pictures = [
        (NAME.format(1), structs(rect(joints[0]), rect(joints[1], objpos=EMPTY))),
        (NAME.format(2), EMPTY),
        (NAME.format(3), structs({"x1": 1, "y1": 2, "x2": 3, "y2": 4}, {"x1": 5, "y1": 6, "x2": 7, "y2": 8})),
        (
            NAME.format(4),
            structs(
                rect(joints[2], annopoints=points(joints[2])),
                rect(joints[3], annopoints=points(joints[3], is_visible=lambda joint: str(joint % 2))),
                rect(joints[4], annopoints=EMPTY),
            ),
        ),
        (NAME.format(5), structs(rect(joints[4], annopoints=points(lone, is_visible=lambda joint: EMPTY)))),
        (NAME.format(6), structs({"scale": 0.5, "objpos": {"x": 90.0, "y": 70.0}})),
    ]
    content = release(pictures, [1, 1, 1, 1, 1, 0], [[1], [], [], [1, 2], [1], [1]])
    scipy.io.savemat(root / MAT_NAME, {"RELEASE": content}, do_compression=True)
    for number, shown in enumerate([[0, 1], [5], [5], [2, 3], [4], [5]], start=1):
        write_people(root / "images" / NAME.format(number), *(joints[person] - 1 for person in shown))
    shown = (1, 4, 6)
    needed = (MAT_NAME, *(f"images/{NAME.format(number)}" for number in shown))
    return Written("train", 3, needed, skipped=1 + 2 + 1 + 1)


def list_record(image: str, joints: np.ndarray) -> dict[str, Any]:
    """One record of a JSON list."""
    known = np.isfinite(joints).all(-1)
    centre, scale = centre_and_scale(joints)
    return {
        "joints_vis": known.astype(int).tolist(),
        "joints": np.where(known[:, None], joints, -1.0).tolist(),
        "image": image,
        "scale": scale,
        "center": centre.tolist(),
    }


def write_simple_baselines(root: Path) -> Written:
    """Two people in one picture and one in another for training, one for validation, one for the test."""
    joints = mpii_people(5, seed=12)
    joints[1, [2, 15]] = np.nan
    records = [
        list_record(NAME.format(number), person)
        for number, person in zip((1, 1, 2, 3, 4), joints, strict=True)
    ]
    test = {key: value for key, value in records[4].items() if not key.startswith("joints")}
    records[2]["center"], records[2]["scale"] = [-1.0, -1.0], -1.0
    (root / "annot").mkdir(parents=True)
    for split, chosen in (
        ("train", records[:3]), ("valid", records[3:4]), ("trainval", records[:4]), ("test", [test]),
    ):  # fmt: skip
        (root / "annot" / f"{split}.json").write_text(json.dumps(chosen), encoding="utf-8")
    for number, shown in enumerate([[0, 1], [2], [3], [4]], start=1):
        write_people(root / "images" / NAME.format(number), *(joints[person] - 1 for person in shown))
    lists = tuple(f"annot/{split}.json" for split in ("train", "valid", "trainval", "test"))
    pictures = tuple(f"images/{NAME.format(number)}" for number in (1, 3, 4))
    return Written("train", 2, (*lists, *pictures), skipped=1)


def write_coco_json(root: Path) -> Written:
    """Two people in one picture, one in another, as tool/mpii2coco.py writes them."""
    joints = mpii_people(3, seed=13)
    joints[2, 0] = np.nan
    images, annotations = [], []
    for image_id, shown in ((4, [0, 1]), (9, [2])):
        name = f"images/{NAME.format(image_id)}"
        images.append({"id": image_id, "file_name": name, "width": SIZE[0], "height": SIZE[1]})
        write_people(root / name, *(joints[person] - 1 for person in shown))
        for person in shown:
            known = np.isfinite(joints[person]).all(-1)
            low, high = np.nanmin(joints[person], 0), np.nanmax(joints[person], 0)
            extent = high - low - 1
            keypoints = np.concatenate([np.where(known[:, None], joints[person], 0), known[:, None]], 1)
            annotations.append(
                {
                    "id": len(annotations), "image_id": image_id, "category_id": 1, "iscrowd": 0,
                    "bbox": [*((low + high) / 2 - extent / 2 * 1.2), *(extent * 1.2)],
                    "keypoints": keypoints.reshape(-1).tolist(), "num_keypoints": int(known.sum()),
                }
            )  # fmt: skip
    (root / "annotations").mkdir()
    content = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "person"}]}
    (root / "annotations" / "train.json").write_text(json.dumps(content), encoding="utf-8")
    return Written("train", 3, ("annotations/train.json", *(image["file_name"] for image in images)))


WRITERS: dict[tuple[str, str], Writer] = {
    ("mpii", "original"): write_original,
    ("mpii", "simple_baselines"): write_simple_baselines,
    ("mpii", "coco_json"): write_coco_json,
}
