"""One cell of an experiment: its data found or drawn, a network trained, evaluated, and its result written.

    run_cell(cell, Workplace(shards=Path("shards"), runs=Path("runs/experiments")))

A role such as `human36m-train` is a folder of shards: one that the user names, or one that is drawn. A cell
is resumable at every save of its training; a finished one leaves `result.json` and is not run again.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch.utils.data import Subset

from hemlets_lib.checkpoint import load_checkpoint
from hemlets_lib.data.counterparts import LABEL_NOISE, Counterpart
from hemlets_lib.data.label_budget import LabelBudget
from hemlets_lib.data.mixing import Mixture, Source
from hemlets_lib.data.sample import Sample
from hemlets_lib.data.shards import ShardDataset, build_shards
from hemlets_lib.data.shards.manifest import MANIFEST_NAME, read_manifest, sha256
from hemlets_lib.data.synthetic import SyntheticDataset
from hemlets_lib.evaluate import evaluate
from hemlets_lib.experiments.design import NOISY, Cell, Role
from hemlets_lib.experiments.probes import probe
from hemlets_lib.results import provenance, read_json, write_json
from hemlets_lib.run_folder import RunFolder
from hemlets_lib.train import train

__all__ = [
    "RESULT_NAME",
    "Workplace",
    "drawn_folder",
    "ensure_data",
    "finished_keys",
    "result_of",
    "run_cell",
]

RESULT_NAME = "result.json"
_CURVE = ("step", "mpjpe_mm", "pa_mpjpe_mm", "polarity_percent")
_VALIDATION_PICTURES = 300  # of the test role, for the curve
_PROBED_PICTURES = 600  # of the test role, and of those that it was trained on
_SEEDS = {"train": 0, "test": 2, "validate": 2}  # of the generator; the splits share no people anyway


@dataclass(frozen=True)
class Workplace:
    """Where things are.

    Args:
        shards: Drawn data, a folder for each role.
        runs: A folder for each cell.
        real: Role → folder of shards of the real data set (`hemlets data prepare`), instead of drawn ones.
        device: Where to compute; what there is where left out.
    """

    shards: Path = Path("shards")
    runs: Path = Path("runs/experiments")
    real: Mapping[str, Path] = field(default_factory=dict)
    device: str | None = None

    def cell_folder(self, cell: Cell) -> Path:
        """Where a cell's run lies; experiments that share a cell share its run, other real data have another.

        Raises:
            FileNotFoundError: If a folder of real data has no manifest.
        """
        made_from = self.made_from(cell)
        text = json.dumps(made_from, sort_keys=True).encode()
        of_data = f"-{hashlib.sha256(text).hexdigest()[:8]}" if made_from else ""
        return self.runs / self.kind(cell) / f"{cell.key}{of_data}"

    def made_from(self, cell: Cell) -> dict[str, str]:
        """Each role of a cell that is real → the hash of its manifest, which knows every shard's own.

        Raises:
            FileNotFoundError: If a folder has none.
        """
        return {
            role: sha256(self.real[role] / MANIFEST_NAME) for role in cell.used_roles if role in self.real
        }

    def kind(self, cell: Cell) -> str:
        """The profile, with another name where data are real."""
        return f"{cell.profile.name}-real" if set(cell.used_roles) & set(self.real) else cell.profile.name


def drawn_folder(cell: Cell, role: str, shards: Path) -> tuple[Path, SyntheticDataset | Counterpart]:
    """The folder of a drawn role, and what is in it.

    Args:
        cell: Decides number, size and noise.
        role: Data set and split, `human36m-train`.
        shards: Where such folders lie.

    Returns:
        The folder, whether it is there or not, and the source of its samples.

    Raises:
        ValueError: If there is no such data set or split.
    """
    name, _, split = role.rpartition("-")
    profile = cell.profile
    number = profile.pictures_of.get(role, profile.pictures) if split == "train" else profile.test_pictures
    folder = f"{role}-{number}-{profile.size}px"
    if name == "human36m":
        outfits: Literal["subject", "random"] = "random" if split == "train" else "subject"
        drawn = SyntheticDataset(number, split=split, seed=_SEEDS[split], size=profile.size, outfits=outfits)
        return shards / folder, drawn
    noise = (LABEL_NOISE if cell.noise is None else cell.noise) if role in NOISY else None
    if noise is not None:
        folder += f"-noise{noise:g}"
    return shards / folder, Counterpart(
        name, number, split=split, seed=_SEEDS[split], size=profile.size, noise=noise
    )


def ensure_data(
    cells: Iterable[Cell], workplace: Workplace, *, workers: int | None = None, show_progress: bool = True
) -> list[Path]:
    """Draws what the cells need and is not there yet; an interrupted drawing carries on.

    Args:
        cells: Those that will run.
        workplace: Where drawn data lie.
        workers: Processes.
        show_progress: Draw a progress bar.

    Returns:
        The folders that were made.

    Raises:
        ValueError: If a folder holds something else.
    """
    wanted: dict[Path, SyntheticDataset | Counterpart] = {}
    for cell in cells:
        for role in cell.used_roles:
            if role not in workplace.real:
                folder, source = drawn_folder(cell, role, workplace.shards)
                wanted[folder] = source
    made = []
    for folder, source in wanted.items():
        if (folder / MANIFEST_NAME).is_file() and read_manifest(folder)["complete"]:
            continue
        build_shards(folder, source, workers=workers, show_progress=show_progress)
        made.append(folder)
    return made


def result_of(cell: Cell, workplace: Workplace) -> dict[str, Any] | None:
    """What a finished cell found.

    Args:
        cell: Which.
        workplace: Where it ran.

    Returns:
        Its `result.json`; None where it has not finished.
    """
    path = workplace.cell_folder(cell) / RESULT_NAME
    return read_json(path) if path.is_file() else None


def finished_keys(runs: Path, kind: str) -> set[str]:
    """The keys of all cells that have finished, on whatever data.

    Args:
        runs: Folder of runs.
        kind: A profile, with "-real" at its end for real data.
    """
    return {path.parent.name.partition("-")[0] for path in (runs / kind).glob(f"*/{RESULT_NAME}")}


def run_cell(cell: Cell, workplace: Workplace) -> dict[str, Any]:
    """Trains and evaluates a cell, or takes up what is there of it.

    Args:
        cell: Which.
        workplace: Where data and runs lie; the data must be there (`ensure_data`).

    Returns:
        What it found; also in the folder's `result.json`.

    Raises:
        FileNotFoundError: If data are missing.
        TrainingDiverged: If the training did.
        InterruptedError: If it was stopped; what is done is kept.
    """
    if found := result_of(cell, workplace):
        return found
    folder = workplace.cell_folder(cell)
    sources = [_source(cell, role, workplace) for role in cell.roles]
    mixture = Mixture(sources, ratios=[role.ratio for role in cell.roles], seed=cell.config.seed)
    tests = {protocol: _shards(cell, role, workplace) for protocol, role in cell.tests.items()}
    first = next(iter(tests.values()))
    labelled: Any = LabelBudget(first, skeleton=cell.config.model.skeleton)
    curve_set: Subset[Sample] = Subset(labelled, range(min(len(first), _VALIDATION_PICTURES)))
    RunFolder(folder).forget_unsaved()
    started = time.perf_counter()
    run = train(
        cell.config, mixture, folder, validation=curve_set, resume=RunFolder(folder).exists,
        device=workplace.device,
    )  # fmt: skip
    last = run.read_log("event")[-1]
    if last["what"] != "finished":  # an interrupt; training ended in good order, the cell has not
        raise InterruptedError(
            f"{cell.name}: expected {cell.config.steps} steps, stopped after {last['step']}. Run it again to "
            "carry on."
        )
    model, _ = load_checkpoint(run.model_path)
    device = workplace.device or ("cuda" if torch.cuda.is_available() else "cpu")
    scores = {
        protocol: evaluate(model, shards, protocol=protocol, device=device).to_dict()
        for protocol, shards in tests.items()
    }
    seen = _with_depth(sources)
    probed = {"test": probe(model, _spread(first, range(len(first))))}
    if seen is not None:
        probed["train"] = probe(model, seen)
    result = {
        "name": cell.name,
        "profile": cell.profile.name,
        "seed": cell.seed,
        "key": cell.key,
        "identity": cell.identity,
        "data": {role: "real" if role in workplace.real else "drawn" for role in cell.used_roles},
        "made_from": workplace.made_from(cell),
        "scores": scores,
        "probes": probed,
        "curve": [
            {name: record[name] for name in _CURVE if name in record} for record in run.read_log("validation")
        ],
        "last_losses": run.read_log("train")[-1],
        "images": cell.config.steps * cell.config.batch_size,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "seconds": time.perf_counter() - started,
        **provenance(Path(__file__).parent),
    }
    write_json(folder / RESULT_NAME, result)
    return result


def _shards(cell: Cell, role: str, workplace: Workplace) -> ShardDataset:
    folder = workplace.real.get(role) or drawn_folder(cell, role, workplace.shards)[0]
    return ShardDataset(folder)


def _source(cell: Cell, role: Role, workplace: Workplace) -> LabelBudget:
    shards = _shards(cell, role.name, workplace)
    otherwise: Any = role.otherwise
    length = None if role.length is None else min(role.length, len(shards))  # small profiles draw fewer
    return LabelBudget(
        shards, depth_every=role.depth_every, otherwise=otherwise, length=length,
        repeat=role.repeat, epsilon_ratio=role.epsilon_ratio, noise=role.noise,
        skeleton=cell.config.model.skeleton,
    )  # fmt: skip


def _with_depth(sources: Iterable[LabelBudget]) -> list[Sample] | None:
    """Pictures with 3D labels that the network was trained on; None where there were none."""
    for source in sources:
        if source[0].joints_cam_mm is not None:
            return _spread(source, source.in_3d)
    return None


def _spread(samples: Source, numbers: range) -> list[Sample]:
    """As many of the numbered samples as are probed, evenly over all of them."""
    wanted = min(len(numbers), _PROBED_PICTURES)
    return [samples[numbers[place * len(numbers) // wanted]] for place in range(wanted)]
