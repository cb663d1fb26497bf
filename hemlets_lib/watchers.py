"""Who watches a run in the terminal and in TensorBoard; for notebooks there is `viz_training`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hemlets_lib.console import console, format_seconds
from hemlets_lib.model import HEMletsNet
from hemlets_lib.recipes import TrainConfig
from hemlets_lib.run_folder import RunFolder, metrics_in_words

__all__ = ["TensorBoardWatcher", "TerminalWatcher"]

_LINES_EVERY_S = 60.0  # where there is no terminal to draw on


class TerminalWatcher:
    """A bar with images/s and the time left, and a line for each validation and event."""

    def start(self, folder: RunFolder, config: TrainConfig, step: int) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        self._config, self._said_at = config, float("-inf")
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
            TextColumn("{task.fields[now]}"), TimeElapsedColumn(),
            console=console, disable=not console.is_terminal,
        )  # fmt: skip
        self._task = self._progress.add_task(config.model.name, total=config.steps, completed=step, now="")
        self._progress.start()
        console.print(f"Training {config.model.name}: {config.steps} steps of {config.batch_size} images")
        console.print(f"into {folder.root}", markup=False)

    def record(self, record: Mapping[str, Any], model: HEMletsNet) -> None:
        step = record["step"]
        if record["kind"] == "train":
            total, left = record["total"], (self._config.steps - step) * self._config.batch_size
            time_left = format_seconds(left / max(record["images_per_s"], 1e-9))
            loss = "not finite" if total is None else f"{total:.1f}"
            now = f"loss {loss} · {record['images_per_s']:.0f} images/s · {time_left} left"
            self._progress.update(self._task, completed=step, now=now)
            if not console.is_terminal and record["seconds"] - self._said_at >= _LINES_EVERY_S:
                self._said_at = record["seconds"]
                console.print(f"step {step}/{self._config.steps} · {now}", markup=False)
        elif record["kind"] == "validation":
            console.print(f"step {step}: {metrics_in_words(record)}", markup=False)
        else:
            message = f": {record['message']}" if "message" in record else ""
            console.print(f"step {step}: {record['what']}{message}", markup=False)

    def stop(self) -> None:
        self._progress.stop()


class TensorBoardWatcher:
    """Every number of every record as a scalar, under the run's `tensorboard/`."""

    def start(self, folder: RunFolder, config: TrainConfig, step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        # TensorBoard forgets what a killed run wrote from that step on; what is at `step` itself stands.
        purge_from = step + 1 if step else None
        self._writer = SummaryWriter(folder.root / "tensorboard", purge_step=purge_from)

    def record(self, record: Mapping[str, Any], model: HEMletsNet) -> None:
        for name, value in record.items():
            if name != "step" and isinstance(value, float | int):
                self._writer.add_scalar(f"{record['kind']}/{name}", value, record["step"])

    def stop(self) -> None:
        self._writer.close()
