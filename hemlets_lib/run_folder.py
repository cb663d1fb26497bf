"""The folder of a training run: what is written while it runs, and read to resume it or to plot it.

    config.json           the recipe, the data, where and with what it runs
    log.jsonl             a record a line: losses, validations, events; only ever appended to
    state.safetensors     all that resuming takes: weights, optimiser, average, random generators, step
    model.safetensors     the network as it stands (its average where there is one): `load_checkpoint`
    tensorboard/          the same records for TensorBoard

The two safetensors are replaced atomically, the state first: whatever happens, there is a whole state of
some step, and a whole network of that step or the one before.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, runtime_checkable

from hemlets_lib.checkpoint import CheckpointInfo
from hemlets_lib.model import HEMletsNet
from hemlets_lib.recipes import TrainConfig
from hemlets_lib.results import differences, only_process, provenance, read_json, write_json
from hemlets_lib.tensor_files import load_tensors, save_tensors

__all__ = ["MODEL_NAME", "RunFolder", "RunLog", "Watcher", "describe_checkpoint", "metrics_in_words"]

MODEL_NAME = "model.safetensors"
_CONFIG, _LOG, _STATE, _LOCK = "config.json", "log.jsonl", "state.safetensors", ".training.lock"
_DESCRIBED = ("trained on", "steps", "validation")


class RunFolder:
    """Paths, records and saved state of one run.

    Args:
        root: The folder; made by `create`.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)

    @property
    def exists(self) -> bool:
        """Whether there is a run in it."""
        return (self.root / _CONFIG).exists()

    @property
    def model_path(self) -> Path:
        """The network's checkpoint."""
        return self.root / MODEL_NAME

    @property
    def state_path(self) -> Path:
        """What resuming takes."""
        return self.root / _STATE

    def forget_unsaved(self) -> None:
        """Makes room for the same run where one ended before its first save: nothing of it can be kept."""
        if self.exists and not self.state_path.exists():
            for name in (_LOG, _CONFIG):
                (self.root / name).unlink(missing_ok=True)

    def create(self, config: TrainConfig, data: Mapping[str, Any]) -> None:
        """Writes down what will be run, in the folder that is `held`.

        Args:
            config: The recipe.
            data: What the samples are, as JSON (`Mixture.config`).

        Raises:
            ValueError: If there is a run in it already.
            OSError: If it cannot be written.
        """
        if self.exists:
            raise ValueError(
                f"{self.root}: expected a new folder, got one that holds a training run. Resume it "
                f"(`hemlets train --resume {self.root}`), or choose another folder."
            )
        content = {"recipe": config.to_dict(), "data": dict(data)}
        write_json(self.root / _CONFIG, {**content, **provenance(Path(__file__).resolve().parent)})

    def check_same(self, config: TrainConfig, data: Mapping[str, Any]) -> None:
        """Compares what is to be resumed with what the folder holds.

        Raises:
            FileNotFoundError: If there is no run.
            ValueError: If recipe or data differ, listing how; the run would not be the same.
        """
        stored, stored_data = self.read_config()
        differing = differences(
            {**stored.to_dict(), "data": stored_data}, {**config.to_dict(), "data": dict(data)}
        )
        if differing:
            raise ValueError(
                f"{self.root}: expected the recipe and the data of the run that is to be resumed; "
                f"{'; '.join(differing)}. Leave the options out, or start another run."
            )

    def read_config(self) -> tuple[TrainConfig, dict[str, Any]]:
        """The recipe and the data of the run that is in the folder.

        Raises:
            FileNotFoundError: If there is none.
            ValueError: If its config is damaged or of another version.
        """
        path = self.root / _CONFIG
        if not path.is_file():
            raise FileNotFoundError(
                f"{self.root}: expected the folder of a training run, found no {_CONFIG} in it. "
                "Runs are under runs/; start one with `hemlets train`."
            )
        content = read_json(path)
        try:
            return TrainConfig.from_dict(content["recipe"]), dict(content["data"])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{path}: expected a recipe that this version of hemlets knows, got an error: {error}"
            ) from error

    def held(self, *, resume: bool) -> AbstractContextManager[None]:
        """One process at a time trains in a folder.

        Args:
            resume: Whether there should be a run; otherwise the folder is made.

        Raises:
            FileNotFoundError: If a run is to be resumed and there is none.
            ValueError: If another process holds it.
            OSError: If the folder cannot be made.
        """
        if resume:
            self.read_config()
        else:
            try:
                self.root.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise OSError(
                    f"{self.root}: expected a folder to write to, got an error: {error}. Choose another one."
                ) from error
        busy = f"{self.root}: another process is training here. Wait for it, or choose another folder."
        return only_process(self.root / _LOCK, otherwise=ValueError(busy))

    def save_state(self, state: Mapping[str, Any]) -> None:
        """Replaces the saved state in one step; see `tensor_files.save_tensors`."""
        save_tensors(self.state_path, dict(state))

    def load_state(self) -> dict[str, Any]:
        """The saved state.

        Raises:
            FileNotFoundError: If nothing was saved yet.
            ValueError: If it is damaged.
        """
        if not self.state_path.is_file():
            raise FileNotFoundError(
                f"{self.root}: expected a saved state, found none: this run ended before its first save. "
                "Delete the folder and start again."
            )
        return load_tensors(self.state_path)

    def append(self, record: Mapping[str, Any]) -> None:
        """Adds a line to the log; it is on its way to the disk when this returns.

        A number that is not finite is written as null: the log stays JSON.
        """
        finite = {
            key: None if isinstance(value, float) and not abs(value) < float("inf") else value
            for key, value in record.items()
        }
        with (self.root / _LOG).open("ab+") as file:
            if file.tell():
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":  # a kill has cut the last line short
                    file.write(b"\n")
            file.write(json.dumps(finite).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def read_log(self, kind: str | None = None) -> list[dict[str, Any]]:
        """The records in order of steps; those repeated after a resumption once, as they were last.

        A line that a kill cut short is left out.

        Args:
            kind: Only records of this kind: "train", "validation" or "event".

        Raises:
            FileNotFoundError: If there is no log.
        """
        records: dict[tuple[Any, ...], dict[str, Any]] = {}
        for line in (self.root / _LOG).read_text(encoding="utf-8").splitlines():
            try:
                record = json.loads(line)
                key = (record["step"], record["kind"], record.get("what"))
            except (ValueError, TypeError, KeyError):
                continue
            records[key] = record
        ordered = sorted(records.values(), key=lambda record: record["step"])
        return [record for record in ordered if kind in (None, record["kind"])]


@runtime_checkable
class Watcher(Protocol):
    """Is told what happens in a run: a progress bar, TensorBoard, a plot in a notebook (`watchers`)."""

    def start(self, folder: RunFolder, config: TrainConfig, step: int) -> None: ...
    def record(self, record: Mapping[str, Any], model: HEMletsNet) -> None: ...
    def stop(self) -> None: ...


class RunLog:
    """Writes a run's records while it runs, and passes them on; as a context, notes how it ended.

    Args:
        folder: Where `log.jsonl` is.
        config: The recipe.
        model: The network that watchers may try out.
        watchers: Who else wants to know.
        step: Where the run starts, or goes on.
        seconds: Spent before.
        active: False in all processes but the main one, where nothing is written.
    """

    def __init__(
        self,
        folder: RunFolder,
        config: TrainConfig,
        model: HEMletsNet,
        watchers: Sequence[Watcher],
        *,
        step: int,
        seconds: float,
        active: bool = True,
    ) -> None:
        self._folder, self._config, self._model, self._active = folder, config, model, active
        self._watchers = list(watchers) if active else []
        self._step, self._before = step, seconds
        self._validation: dict[str, float] = _last_validation(folder, step) if step else {}
        self._began = self._lap = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Spent on the run so far, validations and saves included."""
        return self._before + time.perf_counter() - self._began

    def __enter__(self) -> RunLog:
        with ExitStack() as watching:
            for watcher in self._watchers:
                watcher.start(self._folder, self._config, self._step)
                watching.callback(watcher.stop)
            self.event(self._step, "resumed" if self._step else "started")
            self._watching = watching.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is not None:
                self.event(self._step, "failed", message=f"{type(error).__name__}: {error}")
        finally:
            self._watching.close()

    def losses(self, step: int, means: Mapping[str, float], learning_rate: float) -> None:
        """The terms of the loss, each its mean over the steps since the last record."""
        now, count = time.perf_counter(), step - self._step
        speed = count * self._config.batch_size / max(now - self._lap, 1e-9)
        self._write(
            step, "train", **means, learning_rate=learning_rate, images_per_s=round(speed, 1),
            images=step * self._config.batch_size,
        )  # fmt: skip
        self._step, self._lap = step, time.perf_counter()

    def validation(self, step: int, metrics: Mapping[str, float]) -> None:
        """What the network makes of the validation samples."""
        self._validation = dict(metrics)
        self._write(step, "validation", **metrics, images=step * self._config.batch_size)
        self._lap = time.perf_counter()

    def event(self, step: int, what: str, **details: Any) -> None:
        """Something that happened."""
        self._write(step, "event", what=what, **details)
        self._lap = time.perf_counter()

    def summary(self, step: int, data: Mapping[str, Any]) -> dict[str, Any]:
        """How a network came about, for its checkpoint."""
        return {
            "step": step, "images": step * self._config.batch_size, "seconds": round(self.seconds, 1),
            "recipe": self._config.to_dict(), "data": dict(data), "validation": self._validation,
        }  # fmt: skip

    def _write(self, step: int, kind: str, **values: Any) -> None:
        if self._active:
            record = {"step": step, "kind": kind, **values, "seconds": round(self.seconds, 2)}
            self._folder.append(record)
            for watcher in self._watchers:
                watcher.record(record, self._model)


def describe_checkpoint(info: CheckpointInfo) -> dict[str, str]:
    """Which network a checkpoint holds, and how it came about, as its file says (`RunLog.summary`).

    Returns:
        "network", "trained on", "steps" and "validation", each in words; "not recorded" where a network was
        saved without them.
    """
    words = dict.fromkeys(_DESCRIBED, "not recorded")
    match info.metadata:
        case {"step": step, "recipe": {"steps": steps, "batch_size": size}, "data": {"sources": sources}}:
            words["trained on"] = "; ".join(map(_source_in_words, sources))
            words["steps"] = f"{step} of {steps}, {size} pictures each"
    match info.metadata:
        case {"validation": {"mpjpe_mm": _, "pa_mpjpe_mm": _} as metrics}:
            words["validation"] = metrics_in_words(metrics)
    return {"network": f"{info.config.name}, {info.config.image_size} px", **words}


def metrics_in_words(metrics: Mapping[str, Any]) -> str:
    """What `train.validate` measured, on one line."""
    words = [f"MPJPE {metrics['mpjpe_mm']:.1f} mm", f"PA-MPJPE {metrics['pa_mpjpe_mm']:.1f} mm"]
    if "polarity_percent" in metrics:
        words.append(f"polarity {metrics['polarity_percent']:.1f} %")
    return ", ".join(words)


def _source_in_words(source: Mapping[str, Any]) -> str:
    kinds = {"synthetic": "drawn", "counterpart": f"drawn after {source.get('name')}"}
    details = [f"{name} {', '.join(source[name])}" for name in ("subjects", "scenes") if name in source]
    words = f"{source['samples']} samples, {kinds.get(source['kind'], source['kind'])}"
    return f"{words} ({'; '.join(details)})" if details else words


def _last_validation(folder: RunFolder, step: int) -> dict[str, float]:
    """What was last measured up to a step."""
    if not (folder.root / _LOG).exists():
        return {}
    earlier = [record for record in folder.read_log("validation") if record["step"] <= step]
    kept = {"step", "kind", "seconds", "images"}
    return {name: value for name, value in earlier[-1].items() if name not in kept} if earlier else {}
