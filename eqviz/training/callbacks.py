"""What happens around an epoch: the history, the best weights, the checkpoint, the display."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import lightning as L
import psutil
import torch
from torch import Tensor
from tqdm import tqdm

from eqviz.data.atomic import replacing
from eqviz.evaluation.files import write_rows
from eqviz.evaluation.run import HISTORY_TYPES
from eqviz.training.config import TrainConfig


@dataclass(frozen=True)
class Progress:
    """Where a training is: after step ``step`` of ``steps`` in epoch ``epoch`` (from 0) of ``epochs``.

    ``row`` is the epoch's line of the history once it is over and safely on disk, else None.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    row: dict[str, Any] | None = None


Listener = Callable[[Progress], None]


class Recorder(L.Callback):
    """Keeps the history and the best weights, stops early; all of it is part of the checkpoint."""

    def __init__(self, config: TrainConfig) -> None:
        self.config = config
        self.rows: list[dict[str, Any]] = []
        self.best_epoch = -1
        self.best_weights: dict[str, Tensor] = {}
        self.finished = False
        self._started = 0.0
        self._peak = 0.0

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if batch_idx > 0:
            return
        self._started, self._peak = time.perf_counter(), resident_mb()
        if pl_module.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(pl_module.device)

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: Any, *args: Any) -> None:
        self._peak = max(self._peak, resident_mb())

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        epoch = trainer.current_epoch
        row = {"epoch": epoch, **pl_module.summary}
        row["learning_rate"] = trainer.optimizers[0].param_groups[0]["lr"]
        row["seconds"] = time.perf_counter() - self._started
        row["memory_mb"] = self._memory(pl_module.device)
        self.rows.append({name: row[name] for name in HISTORY_TYPES})
        if self._is_best():
            self.best_epoch = epoch
            state = pl_module.model.state_dict()
            self.best_weights = {name: value.detach().cpu().clone() for name, value in state.items()}
        stop = 0 < self.config.patience <= epoch - self.best_epoch
        self.finished = stop or epoch + 1 >= self.config.epochs
        trainer.should_stop = trainer.should_stop or stop

    def state_dict(self) -> dict[str, Any]:
        return {
            "rows": self.rows,
            "best_epoch": self.best_epoch,
            "best_weights": self.best_weights,
            "finished": self.finished,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rows = list(state_dict["rows"])
        self.best_epoch = state_dict["best_epoch"]
        self.best_weights = dict(state_dict["best_weights"])
        self.finished = state_dict["finished"]

    def _is_best(self) -> bool:
        values = [row[self.config.monitor] for row in self.rows]
        if self.config.monitor == "val_loss":
            values = [-value for value in values]
        return all(value < values[-1] for value in values[:-1])

    def _memory(self, device: torch.device) -> float:
        if device.type == "cuda":
            return torch.cuda.max_memory_allocated(device) / 2**20
        return self._peak


class Saver(L.Callback):
    """Writes ``last.ckpt`` and ``history.csv`` after every epoch, then tells the listeners.

    Must be the last callback, so that what it saves is complete.
    """

    def __init__(self, folder: Path, recorder: Recorder, listeners: list[Listener]) -> None:
        self.folder = folder
        self.recorder = recorder
        self.listeners = listeners

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._tell(trainer, pl_module, batch_idx + 1, None)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        with replacing(self.folder / "last.ckpt") as part:
            trainer.save_checkpoint(part)
        write_rows(self.folder / "history.csv", self.recorder.rows, list(HISTORY_TYPES))
        self._tell(trainer, pl_module, pl_module.steps_per_epoch, self.recorder.rows[-1])

    def _tell(self, trainer: L.Trainer, pl_module: Any, step: int, row: dict[str, Any] | None) -> None:
        epochs, steps = self.recorder.config.epochs, pl_module.steps_per_epoch
        for listener in self.listeners:
            listener(Progress(trainer.current_epoch, epochs, step, steps, row))


class Display:
    """Progress for people: a bar on a terminal, one line an epoch in notebooks, logs and pipes."""

    def __init__(self) -> None:
        self.bar: tqdm | None = None
        self.started = time.perf_counter()
        self.first_epoch: int | None = None

    def __call__(self, progress: Progress) -> None:
        if self.first_epoch is None:
            self.first_epoch = progress.epoch
        done = progress.epoch * progress.steps + progress.step
        if sys.stderr.isatty():
            self._draw(progress, done)
        elif progress.row is not None:
            print(self._line(progress), flush=True)

    def close(self) -> None:
        """Leave the bar as it is and go to the next line."""
        if self.bar is not None:
            self.bar.close()

    def _draw(self, progress: Progress, done: int) -> None:
        if self.bar is None:
            total = progress.epochs * progress.steps
            self.bar = tqdm(total=total, initial=done - 1, unit="step", dynamic_ncols=True)
        self.bar.set_description(f"epoch {progress.epoch + 1}/{progress.epochs}", refresh=False)
        if progress.row is not None:
            self.bar.set_postfix_str(_summary(progress.row), refresh=False)
        self.bar.update(done - self.bar.n)

    def _line(self, progress: Progress) -> str:
        assert progress.row is not None and self.first_epoch is not None
        done = progress.epoch + 1 - self.first_epoch
        left = (time.perf_counter() - self.started) / done * (progress.epochs - progress.epoch - 1)
        return (
            f"epoch {progress.epoch + 1}/{progress.epochs}  {_summary(progress.row)}  "
            f"{progress.row['seconds']:.1f} s, at most {_duration(left)} left"
        )


def resident_mb() -> float:
    """Resident memory of this process in MiB."""
    return _process(os.getpid()).memory_info().rss / 2**20


@lru_cache(maxsize=1)
def _process(pid: int) -> psutil.Process:
    """Making one takes longer than asking it, and it is asked at every step; a fork needs its own."""
    return psutil.Process(pid)


def _summary(row: dict[str, Any]) -> str:
    return f"loss {row['train_loss']:.4f}, validation {row['val_loss']:.4f}, AUC {row['val_auc']:.4f}"


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
