"""Results of cells that nobody ran, in the committed form, for tests of what reads them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hemlets_lib.experiments.registry import Registry
from hemlets_lib.experiments.sweep import Gathered
from hemlets_lib.paper import ACTIONS

SCENES = ("Studio GS", "Studio no GS", "Outdoor")
JITTER = (-0.5, 0.1, 0.4)  # of each seed


def made_up(
    mpjpe: float = 100.0,
    *,
    actions: Mapping[str, float] | None = None,
    pck: float = 60.0,
    scenes: Mapping[str, float] | None = None,
    probes: Mapping[str, float] | None = None,
    train_mm: float = 50.0,
    curve: tuple[float, ...] = (300.0, 200.0, 100.0),
    kind: str = "drawn",
) -> dict[str, Any]:
    """A cell's result; `actions`, `scenes` and `probes` replace what follows from the means."""
    by_action = {**dict.fromkeys(ACTIONS, mpjpe), **(actions or {})}
    by_scene = {**dict.fromkeys(SCENES, pck), **(scenes or {})}
    probed = {"mpjpe_mm": mpjpe, "plane_mm": mpjpe / 2, "depth_mm": mpjpe / 2, "bone_mm": mpjpe / 10}
    errors = {"columns": by_action, "mean_of_columns": sum(by_action.values()) / len(by_action)}
    percents = {"columns": by_scene, "mean_of_columns": sum(by_scene.values()) / len(by_scene)}
    millimetres = ("MPJPE, S9 + S11", "MPJPE, S11", "PA-MPJPE, S9 + S11", "PA-MPJPE, S11")
    return {
        "data": {"human36m-train": kind, "human36m-test": kind},
        "scores": {
            "h36m": {"rows": {name: {**errors, "mean_of_samples": mpjpe} for name in millimetres}},
            "mpi_inf_3dhp": {
                "rows": {name: {**percents, "mean_of_samples": pck} for name in ("3DPCK", "AUC")}
            },
        },
        "probes": {"test": {**probed, **(probes or {})}, "train": {"mpjpe_mm": train_mm}},
        "curve": [{"step": 100 * n, "mpjpe_mm": height} for n, height in enumerate(curve, 1)],
    }


def gathered(
    registry: Registry, profile: str, cells: Mapping[tuple[str, str, str, int], Mapping[str, Any]]
) -> Gathered:
    """(experiment, setting, condition, seed) → result, as if it were committed.

    Args:
        registry: Gives each cell its key.
        profile: With "-real" at its end for real data.
        cells: The results.
    """
    base = registry.profile(profile.removesuffix("-real"))
    found = {}
    for (experiment, setting, condition, seed), result in cells.items():
        key = registry.experiment(experiment).cell(base, setting, condition, seed).key
        found[key] = {**result, "seed": seed}
    return Gathered(profile, found)
