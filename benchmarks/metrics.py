"""How much faster are the batched metrics than scoring pose by pose?

    python benchmarks/metrics.py [--poses 100000] [--quick] [--json benchmarks/results/metrics.json]

Prints the time for all poses in one call and for a sample of them one by one, scaled up: each metric by
calling it on single poses, and PA-MPJPE also by the loop that most evaluation scripts are, NumPy's
decomposition for each pose. With a GPU, the batched call also runs there, against the same loop on the
CPU. Only the ratios carry over to other machines.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from hemlets_lib.metrics import EVALUATED_JOINTS, auc_3d, mpjpe, pa_mpjpe, pck_3d
from hemlets_lib.results import provenance, write_json
from hemlets_lib.timing import Headline, medians_ms, times_ms

ONE_BY_ONE = 500  # poses scored singly
TARGETS = {"cpu": 10, "cuda": 100}
NUMPY_LOOP = "NumPy loop"


def numpy_pa_mpjpe(predicted: np.ndarray, target: np.ndarray) -> float:
    """PA-MPJPE of one pose, (J, 3), by Umeyama's formulas."""
    moving_mean, fixed_mean = predicted.mean(0), target.mean(0)
    moving, fixed = predicted - moving_mean, target - fixed_mean
    left, singular, right = np.linalg.svd(fixed.T @ moving)
    if np.linalg.det(left @ right) < 0:  # no mirror image
        left[:, -1] *= -1
        singular[-1] *= -1
    aligned = singular.sum() / (moving**2).sum() * moving @ (left @ right).T
    return float(np.linalg.norm(aligned - fixed, axis=-1).mean())


def numpy_loop(predicted: np.ndarray, target: np.ndarray) -> np.ndarray:
    """PA-MPJPE of poses one after the other."""
    return np.array([numpy_pa_mpjpe(one, other) for one, other in zip(predicted, target, strict=True)])


def draw(poses: int) -> tuple[Tensor, Tensor]:
    """Poses of a person's size in float32, mm, and noisy predictions of them."""
    generator = torch.Generator().manual_seed(0)
    target = 300 * torch.randn(poses, 18, 3, generator=generator)
    return target + 50 * torch.randn(target.shape, generator=generator), target


def measure(poses: int, rounds: int) -> Iterator[dict[str, Any]]:
    """A row for each metric and each way of scoring pose by pose."""
    predicted, target = draw(poses)
    sample = slice(min(ONE_BY_ONE, poses))
    few = {"predicted": predicted[sample], "target": target[sample]}
    count = len(few["target"])
    arrays = [each[:, :EVALUATED_JOINTS].double().numpy() for each in few.values()]
    np.testing.assert_allclose(numpy_loop(*arrays), pa_mpjpe(**few).numpy(), rtol=1e-9)

    def singly(metric: Callable[..., Tensor]) -> None:
        for i in range(count):
            metric(**{name: each[i : i + 1] for name, each in few.items()})

    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    for device in devices:
        there = {"predicted": predicted.to(device), "target": target.to(device)}
        for metric in (mpjpe, pa_mpjpe, pck_3d, auc_3d):
            ways: dict[str, Callable[[], object]] = {
                "batched": partial(metric, **there), "one by one": partial(singly, metric),
            }  # fmt: skip
            if metric is pa_mpjpe:
                ways[NUMPY_LOOP] = partial(numpy_loop, *arrays)
            times = medians_ms(times_ms(ways, rounds=rounds, device=device))
            for name in list(ways)[1:]:
                single_s = times[name] / 1000 * poses / count
                yield {
                    "device": torch.cuda.get_device_name() if device == "cuda" else device,
                    "metric": metric.__name__, "against": name, "poses": poses,
                    "batched_s": round(times["batched"] / 1000, 5), "one_by_one_s": round(single_s, 3),
                    "ratio": round(single_s / (times["batched"] / 1000), 1),
                }  # fmt: skip


def headlines(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The lines of PA-MPJPE against NumPy's loop."""
    return [
        Headline(
            what=f"PA-MPJPE of {row['poses']} poses", against="a NumPy loop over poses on the CPU",
            device=row["device"], measured=row["ratio"],
            target=TARGETS["cpu" if row["device"] == "cpu" else "cuda"],
        ).to_dict()
        for row in rows if row["against"] == NUMPY_LOOP
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--poses", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="three rounds")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()

    rows = list(measure(arguments.poses, 3 if arguments.quick else arguments.rounds))
    table = Table("device", "metric", "batched, s", "against", "its time, s", "ratio", box=None)
    for row in rows:
        names = ("device", "metric", "batched_s", "against", "one_by_one_s", "ratio")
        table.add_row(*(str(row[name]) for name in names))
    Console().print(table)
    if arguments.json:
        config = {"poses": arguments.poses, "sample": ONE_BY_ONE, "threads": torch.get_num_threads()}
        write_json(
            arguments.json,
            {
                "config": config,
                "rows": rows,
                "headlines": headlines(rows),
                **provenance(Path(__file__).parent),
            },
        )


if __name__ == "__main__":
    main()
