"""Train a network; killed and called again with the same folder it ends with the same weights."""

from __future__ import annotations

import dataclasses
import logging
import os
import pickle
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.utilities.warnings import PossibleUserWarning

from eqviz.data.labelled import LabelledSet
from eqviz.errors import CheckpointError, ConfigError, DataError
from eqviz.evaluation.environment import fingerprint
from eqviz.evaluation.files import read_json, write_json
from eqviz.evaluation.run import HISTORY_TYPES, WEIGHTS
from eqviz.models.base import JetModel
from eqviz.models.weights import save_model
from eqviz.training.callbacks import Display, Listener, Recorder, Saver
from eqviz.training.config import TrainConfig
from eqviz.training.module import JetClassifier

CHECKPOINT = "last.ckpt"
_UNREADABLE = (RuntimeError, EOFError, pickle.UnpicklingError)
_MACHINE = ("device", "threads")  # may differ between the two halves of a resumed training


@dataclass(frozen=True)
class TrainResult:
    """What a training leaves besides the weights.

    Attributes:
        history: column -> one value per epoch, see HISTORY_TYPES; seconds include validation, memory_mb is
            the largest resident memory of the process, on a GPU the largest allocation there.
        best_epoch: the epoch (from 0) whose weights were kept, -1 without training.
        seconds: wall time of all epochs, over all resumptions.
    """

    history: dict[str, list[Any]]
    best_epoch: int
    seconds: float


def train(
    model: JetModel,
    train_set: LabelledSet[Any],
    val_set: LabelledSet[Any],
    config: TrainConfig,
    folder: Path | str,
    progress: bool = True,
    listener: Listener | None = None,
) -> TrainResult:
    """Train ``model`` in place and leave it with its best weights, in evaluation mode, on the CPU.

    Args:
        folder: keeps ``last.ckpt``, ``history.csv`` and ``weights.safetensors``. Called again with a folder
            of an unfinished training of the same data and config, it goes on where that stopped.
        progress: show a bar, or one line an epoch where there is no terminal.
        listener: called with a :class:`~eqviz.training.callbacks.Progress` after every step and epoch; an
            exception that it raises stops the training, which can be resumed.

    Raises:
        TrainingError: the loss became NaN or infinite.
        ConfigError: the folder holds another training, or CUDA was asked for and is absent.
        CheckpointError: the checkpoint in the folder is damaged.
        DataError: no labels, or a class without jets.
    """
    place = Path(folder)
    _check_data(train_set, val_set)
    device = choose_device(config.device)
    _claim(place, model, train_set, val_set, config)
    recorder = Recorder(config)
    resume = _resumable(place / CHECKPOINT, recorder)
    if config.epochs and not recorder.finished:
        display = Display() if progress else None
        listeners: list[Listener] = [*([display] if display else []), *([listener] if listener else [])]
        saver = Saver(place, recorder, listeners)
        try:
            with _quiet(), _settings(config):
                _fit(model, train_set, val_set, config, device, [recorder, saver], resume)
        finally:
            if display is not None:
                display.close()
    model.cpu().train()  # escnn drops its cached filters in training mode
    if recorder.best_weights:
        model.load_state_dict(recorder.best_weights)
    save_model(model, place / WEIGHTS)
    with torch.no_grad():
        model.eval()
    history = {name: [row[name] for row in recorder.rows] for name in HISTORY_TYPES}
    return TrainResult(history, recorder.best_epoch, sum(history["seconds"]))


def choose_device(name: str) -> str:
    """ "cpu" or "cuda" for "auto", "cpu" or "cuda"; raises ConfigError where CUDA is absent."""
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise ConfigError("expected a CUDA device, found none; set training.device to 'auto' or 'cpu'")
    return "cuda" if name != "cpu" and available else "cpu"


def _fit(
    model: JetModel,
    train_set: LabelledSet[Any],
    val_set: LabelledSet[Any],
    config: TrainConfig,
    device: str,
    callbacks: list[L.Callback],
    resume: Path | None,
) -> None:
    loader = train_set.loader(config.batch_size, shuffle=True, seed=config.seed, bucket=config.bucket)
    val_loader = val_set.loader(max(config.batch_size, 256), shuffle=False, bucket=True)
    module = JetClassifier(model.train(), config, len(loader))
    trainer = L.Trainer(
        accelerator="gpu" if device == "cuda" else "cpu",
        devices=1,
        max_epochs=config.epochs,
        gradient_clip_val=config.gradient_clip or None,
        # on a GPU an operation without a deterministic form warns instead of ending the training
        deterministic="warn" if config.deterministic and device == "cuda" else config.deterministic,
        callbacks=callbacks,
        num_sanity_val_steps=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )
    handler = signal.getsignal(signal.SIGINT)
    try:
        trainer.fit(module, loader, val_loader, ckpt_path=resume, weights_only=True)
    except SystemExit as error:
        # Lightning turns Ctrl-C into an exit and switches it off for good, which would kill a notebook
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, handler)
        if isinstance(error.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from error
        raise


def _resumable(path: Path, recorder: Recorder) -> Path | None:
    """The checkpoint to go on from, with ``recorder`` filled from it, or None."""
    if not path.exists():
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns about some pickles before it refuses them
            content = torch.load(path, map_location="cpu", weights_only=True)
        recorder.load_state_dict(content["callbacks"][recorder.state_key])
    except (*_UNREADABLE, OSError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{path}: expected the checkpoint of an unfinished training, got a damaged or foreign file "
            f"({type(error).__name__}); delete it to start over"
        ) from error
    return path


def _claim(
    folder: Path, model: JetModel, train_set: LabelledSet[Any], val_set: LabelledSet[Any], config: TrainConfig
) -> None:
    """Make the folder and note whose it is; raise ConfigError if it is another training's."""
    asked: dict[str, Any] = {
        "model": model.name,
        **{f"model.{key}": value for key, value in dataclasses.asdict(model.config).items()},
        **{key: value for key, value in dataclasses.asdict(config).items() if key not in _MACHINE},
        "train_set": fingerprint(train_set),
        "val_set": fingerprint(val_set),
    }
    asked = {key: list(value) if isinstance(value, tuple) else value for key, value in asked.items()}
    folder.mkdir(parents=True, exist_ok=True)
    note = folder / "training.json"
    if not note.exists():
        write_json(note, asked)
        return
    found = read_json(note)
    other = [key for key in asked if found.get(key) != asked[key]]
    if other:
        shown = ", ".join(f"{key} = {found.get(key)!r} instead of {asked[key]!r}" for key in other[:4])
        raise ConfigError(
            f"{folder} holds another training ({shown}); choose another folder or delete that one"
        )


def _check_data(train_set: LabelledSet[Any], val_set: LabelledSet[Any]) -> None:
    for name, data in (("training", train_set), ("validation", val_set)):
        if len(data) == 0:
            raise DataError(f"expected one {name} jet or more, got none")
    classes, seen = set(train_set.labels.tolist()), set(val_set.labels.tolist())
    if len(classes) < 2 or classes != seen:
        raise DataError(
            "expected the same classes, two or more, in training and validation jets, "
            f"got {sorted(classes)} and {sorted(seen)}"
        )


@contextmanager
def _settings(config: TrainConfig) -> Iterator[None]:
    """Threads, random state and determinism for the training alone."""
    threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    workspace = os.environ.get("CUBLAS_WORKSPACE_CONFIG")
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        if config.threads:
            torch.set_num_threads(config.threads)
        try:
            yield
        finally:
            torch.set_num_threads(threads)
            torch.use_deterministic_algorithms(strict)
            if workspace is None:
                os.environ.pop("CUBLAS_WORKSPACE_CONFIG", None)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Lightning's banner, tips and advice on data workers (the jets are in memory already)."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PossibleUserWarning)
            # Lightning 2.6 with PyTorch 2.13
            warnings.filterwarnings("ignore", r".*LeafSpec.* is deprecated", FutureWarning)
            yield
    finally:
        for logger, level in zip(loggers, levels):
            logger.setLevel(level)
