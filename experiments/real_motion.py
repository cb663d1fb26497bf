"""From procedural to real motion: how a network trained on one does on the other, and why.

    python experiments/real_motion.py --mocap DIR --weights data_samples/nano.safetensors \\
        --json experiments/results/real_motion.json

Recorded motion differs from drawn people's in three ways, which are told apart by drawing it twice through
the same cameras, clothes and backdrops:

    procedural             the test subjects' own bodies and motion
    recorded, their bodies     recorded directions of the bones, the test subjects' lengths: other motion
    recorded                   the recorded skeletons: other bodies too, and joints placed otherwise

The last shows in which joints suffer: a recorded `torso` or `nose` lies elsewhere in the body. So errors
are given over all 17 joints and over the 12 of the limbs, which mean the same everywhere.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from hemlets_lib import HEMLETS18, load_checkpoint, mpjpe, pa_mpjpe, predict
from hemlets_lib.data.mocap import find_mocap, read_mocap
from hemlets_lib.data.motion import SUBJECTS
from hemlets_lib.data.motion.body import forward_kinematics
from hemlets_lib.data.sample import Sample
from hemlets_lib.data.synthetic import SPLITS, SyntheticDataset, samples_from_take
from hemlets_lib.metrics import EVALUATED_JOINTS, polarity_accuracy
from hemlets_lib.model import HEMletsNet
from hemlets_lib.results import provenance, write_json

LIMBS = tuple(
    index
    for index, name in enumerate(HEMLETS18.joint_names)
    if name.split("_")[-1] in ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")
)
ANKLES = [HEMLETS18.joint_names.index(f"{side}_ankle") for side in ("left", "right")]


def with_body(joints_mm: np.ndarray, subject: str) -> np.ndarray:
    """The same directions of all bones, a subject's lengths; the lower ankle stays on its level."""
    upright = forward_kinematics(SUBJECTS[subject], np.zeros((1, 3)), np.eye(3)[None], {})[0]
    moved = joints_mm.copy()
    for parent, child in sorted(HEMLETS18.bones, key=lambda bone: HEMLETS18.joint_depths[bone[1]]):
        along = joints_mm[:, child] - joints_mm[:, parent]
        length = np.linalg.norm(upright[child] - upright[parent])
        moved[:, child] = moved[:, parent] + length * along / np.linalg.norm(along, axis=-1, keepdims=True)
    shoulders = [HEMLETS18.joint_names.index(f"{side}_shoulder") for side in ("left", "right")]
    moved[:, HEMLETS18.joint_names.index("thorax")] = moved[:, shoulders].mean(1)
    moved[..., 2] += (joints_mm[:, ANKLES, 2].min(1) - moved[:, ANKLES, 2].min(1))[:, None]
    return moved


def recorded(files: list[Path], per_take: int, size: int, bodies: tuple[str | None, ...]) -> Iterator[Sample]:
    """Frames spread evenly over each take; each of the bodies (None: the recorded one) before all cameras."""
    for file in files:
        take = read_mocap(file)
        count = len(take.joints_world_mm)
        frames = np.linspace(0, count - 1, min(per_take, count)).round().astype(int)
        for body in bodies:
            worn = take
            appearance = None
            if body is not None:
                joints = with_body(take.joints_world_mm, body)
                worn = replace(take, joints_world_mm=joints, subject=body)
                appearance = SUBJECTS[body].appearance
            yield from samples_from_take(worn, frames=frames.tolist(), size=size, appearance=appearance)


def scores(model: HEMletsNet, samples: list[Sample]) -> dict[str, Any]:
    """MPJPE and PA-MPJPE over 17 and 12 joints, and how many parts' states the joints' depths get right."""
    found = predict(model, samples, return_maps=False)
    truth = torch.stack([sample.joints_cam_mm for sample in samples if sample.joints_cam_mm is not None])
    poses = {"predicted": found.joints_root_rel_mm, "target": truth}
    assert found.decoded is not None
    states = torch.stack([sample.part_states for sample in samples])
    return {
        "samples": len(samples),
        "mpjpe_mm": mpjpe(**poses).mean().item(),
        "mpjpe_limbs_mm": mpjpe(**poses, joints=LIMBS).mean().item(),
        "pa_mpjpe_mm": pa_mpjpe(**poses).mean().item(),
        "pa_mpjpe_limbs_mm": pa_mpjpe(**poses, joints=LIMBS).mean().item(),
        "polarity_percent": polarity_accuracy(predicted=found.decoded.states, target=states).overall,
        "joint_errors_mm": {
            name: mpjpe(**poses, joints=[index]).mean().item()
            for index, name in enumerate(HEMLETS18.joint_names[:EVALUATED_JOINTS])
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mocap", type=Path, required=True)
    parser.add_argument("--weights", type=Path, default=Path("data_samples/nano.safetensors"))
    parser.add_argument("--frames", type=int, default=30, help="of each take, at most")
    parser.add_argument("--n", type=int, default=1200, help="procedural samples")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()

    model, info = load_checkpoint(args.weights)
    test, files = SPLITS["test"], find_mocap(args.mocap)
    procedural = SyntheticDataset(args.n, split="test", seed=2)
    sets = {
        "procedural": [procedural[index] for index in range(len(procedural))],
        "recorded, their bodies": list(recorded(files, args.frames, 128, test)),
        "recorded": list(recorded(files, args.frames, 128, (None,))),
    }
    found = {name: scores(model, samples) for name, samples in sets.items()}
    table = Table("", "samples", "MPJPE", "12 limb joints", "PA-MPJPE", "12 limb joints", "states", box=None)
    for name, row in found.items():
        columns = ("mpjpe_mm", "mpjpe_limbs_mm", "pa_mpjpe_mm", "pa_mpjpe_limbs_mm", "polarity_percent")
        table.add_row(name, str(row["samples"]), *(f"{row[column]:.1f}" for column in columns))
    Console().print(table)
    if args.json:
        content = {
            "weights": {"name": info.config.name, "step": info.metadata.get("step")},
            "takes": [file.stem for file in files],
            "sets": found,
        }
        write_json(args.json, content | provenance(Path(__file__).parent))


if __name__ == "__main__":
    main()
