"""What two networks of Table 4 see in the same pictures, as the paper's Fig. 4 has it, as JSON.

    python experiments/figure4.py --json experiments/results/figure4.json

The networks are finished cells, with 2D heatmaps alone and with full supervision, of one setting and seed;
the pictures are every so many-th of their test set, so that nobody chose them. A drawn picture comes back
from its number (`drawn_folder`), and is not kept.

Source: Fig. 4.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from jaxtyping import Float
from rich.console import Console
from torch import Tensor

from hemlets_lib import HEMLETS18, load_checkpoint, predict
from hemlets_lib.data.shards import ShardDataset
from hemlets_lib.experiments.cells import Workplace, drawn_folder, result_of
from hemlets_lib.experiments.design import Cell
from hemlets_lib.experiments.registry import read_registry
from hemlets_lib.geometry import root_relative
from hemlets_lib.results import provenance, write_json
from hemlets_lib.run_folder import RunFolder

SETTING, CONDITIONS, SEED = "H3.6M #1*", ("2d", "full"), 0  # Table 4's column of the 3D set alone
PROTOCOL = "h36m"


def errors_mm(predicted: Float[Tensor, "J 3"], true: Float[Tensor, "J 3"]) -> dict[str, float]:
    """Means over joints of a pose's error: altogether, in the picture's plane, along the line of sight."""
    off = predicted - true
    parts = {"mpjpe_mm": off.norm(dim=-1), "plane_mm": off[:, :2].norm(dim=-1), "depth_mm": off[:, 2].abs()}
    return {name: each.mean().item() for name, each in parts.items()}


def rounded(joints: Float[Tensor, "J C"], digits: int) -> list[list[float]]:
    """For a file that people may read."""
    return [[round(value, digits) for value in joint] for joint in joints.double().tolist()]


def compare(cells: dict[str, Cell], work: Workplace, pictures: int) -> list[dict[str, Any]]:
    """A record for each picture: the truth, and what each network says.

    Args:
        cells: Condition → its finished cell; all have one test set.
        work: Where their runs and the test pictures lie.
        pictures: How many, evenly over the test set.
    """
    role = next(iter(cells.values())).tests[PROTOCOL]
    test = ShardDataset(drawn_folder(next(iter(cells.values())), role, work.shards)[0])
    networks = {
        name: load_checkpoint(RunFolder(work.cell_folder(cell)).model_path).model
        for name, cell in cells.items()
    }
    records = []
    for number in range(0, len(test), len(test) // pictures):
        sample = test[number]
        assert sample.joints_cam_mm is not None  # a test set has its joints in space
        true_mm = root_relative(sample.joints_cam_mm, HEMLETS18.root)
        record: dict[str, Any] = {
            "number": number,
            "sample_id": sample.meta.sample_id,
            "true": {"joints_crop": rounded(sample.joints_crop, 5), "joints_mm": rounded(true_mm, 2)},
        }
        for name, network in networks.items():
            told = predict(network, sample, return_maps=False)
            said_mm = told.joints_root_rel_mm[0]
            record[name] = {
                "joints_crop": rounded(told.joints_crop[0], 5),
                "joints_mm": rounded(said_mm, 2),
                **errors_mm(said_mm, true_mm),
            }
        records.append(record)
    return records


def main() -> None:
    """Reads two finished cells and writes what they see."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--profile", default="laptop", help="of the cells")
    parser.add_argument("--runs", type=Path, default=Path("runs/experiments"), help="where the cells ran")
    parser.add_argument("--shards", type=Path, default=Path("shards"), help="where drawn data lie")
    parser.add_argument("--pictures", type=int, default=6)
    parser.add_argument("--json", type=Path, required=True, help="where to write")
    args = parser.parse_args()

    registry = read_registry()
    profile, table4 = registry.profile(args.profile), registry.experiment("table4")
    cells = {name: table4.cell(profile, SETTING, name, SEED) for name in CONDITIONS}
    work = Workplace(shards=args.shards, runs=args.runs)
    if missing := [cell.name for cell in cells.values() if result_of(cell, work) is None]:
        raise SystemExit(
            f"--runs {args.runs} must hold finished cells, got none for {', '.join(missing)}. Run `hemlets "
            f"experiments run table4 --profile {args.profile}` first."
        )
    records = compare(cells, work, args.pictures)
    result = {
        "profile": args.profile,
        "setting": SETTING,
        "seed": SEED,
        "keys": {name: cell.key for name, cell in cells.items()},
        "pictures": records,
        **provenance(Path(__file__).parent),
    }
    write_json(args.json, result)
    for record in records:
        said = ", ".join(
            f"{name} {record[name]['plane_mm']:.0f} mm in the plane, {record[name]['depth_mm']:.0f} in depth"
            for name in CONDITIONS
        )
        Console().print(f"{record['number']}: {said}", highlight=False)


if __name__ == "__main__":
    main()
