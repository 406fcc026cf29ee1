"""One run from start to end: data, network, training, evaluation, run folder."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from eqviz.data.labelled import LabelledSet
from eqviz.errors import Cancelled, CheckpointError, ConfigError, StoreError, TrainingError
from eqviz.evaluation.environment import describe
from eqviz.evaluation.evaluate import Evaluation, evaluate
from eqviz.evaluation.inference import as_seen
from eqviz.evaluation.learned.initial import seeded_model
from eqviz.evaluation.run import HISTORY_TYPES, WEIGHTS, Run, Scores, write_run
from eqviz.evaluation.settings import EvalConfig, check_types, from_mapping
from eqviz.evaluation.store import RunStore
from eqviz.models import MODELS, load_model, save_model
from eqviz.models.base import JetModel, require
from eqviz.training.callbacks import Progress
from eqviz.training.config import TrainConfig
from eqviz.training.images import fitted
from eqviz.training.subsets import DataConfig, load_subsets


@dataclass(frozen=True)
class ModelConfig:
    """Which network: ``params`` of its config; ``weights`` or ``published`` weights instead of training.

    Published weights are run as their authors run them, through :meth:`from_published` of the model, where
    ``params`` are its options. ``sha256`` of the weights file, where given, must match.
    """

    name: str
    params: dict[str, Any] = field(default_factory=dict)
    weights: str | None = None
    published: str | None = None
    sha256: str | None = None

    def __post_init__(self) -> None:
        check_types(self, "model")
        MODELS.entry(self.name)
        one = self.weights is None or self.published is None
        require(one, "model", "given weights or published ones, not both", (self.weights, self.published))

    @property
    def trains(self) -> bool:
        """Whether the network is trained here."""
        return self.weights is None and self.published is None


@dataclass(frozen=True)
class Experiment:
    """Everything that decides the outcome of a run; ``config.json`` of a run is one of these.

    Attributes:
        seed: of the initial weights and, unless ``training`` says otherwise, of batch order and dropout.
        run_id: name of the run; empty makes one from the model, the seed and a digest of the rest.
    """

    model: ModelConfig
    data: DataConfig = field(default_factory=DataConfig)
    training: TrainConfig = field(default_factory=TrainConfig)
    evaluation: EvalConfig = field(default_factory=EvalConfig)
    seed: int = 0
    run_id: str = ""

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Experiment:
        """Read nested mappings, for instance a run's ``config.json``.

        Raises:
            UnknownNameError: an unknown parameter anywhere; lists the valid ones.
            ConfigError: impossible values.
        """
        parts = {key: value for key, value in values.items() if key != "symmetry"}
        kinds = {"model": ModelConfig, "data": DataConfig, "training": TrainConfig, "evaluation": EvalConfig}
        if "training" in parts and isinstance(parts["training"], Mapping):
            parts["training"] = {"seed": parts.get("seed", 0), **parts["training"]}
        else:
            parts.setdefault("training", {"seed": parts.get("seed", 0)})
        for key, kind in kinds.items():
            if key in parts and not isinstance(parts[key], kind):
                parts[key] = from_mapping(kind, parts[key], key)
        return from_mapping(cls, parts, "the experiment")

    def __post_init__(self) -> None:
        require(type(self.seed) is int and self.seed >= 0, "seed", "an integer of 0 or larger", self.seed)
        if not self.run_id:
            content = json.dumps(dataclasses.asdict(self), sort_keys=True).encode()
            digest = hashlib.sha256(content).hexdigest()[:8]
            object.__setattr__(self, "run_id", f"{self.model.name}-{self.seed}-{digest}")


@dataclass(frozen=True)
class Status:
    """Where an experiment is.

    Attributes:
        stage: "data", "train", "predict", "scan", "time" or "store".
        fraction: the part of the stage that is done.
        training: the details while it trains, else None.
    """

    stage: str
    fraction: float
    training: Progress | None = None


def run_experiment(
    experiment: Experiment | Mapping[str, Any],
    store: RunStore | Path | str = "runs",
    *,
    replace: bool = False,
    progress: bool = True,
    listener: Callable[[Status], None] | None = None,
) -> Run:
    """Train (or load) a network, measure it and store the run.

    Killed and called again it goes on with the training where that stopped. If anything raises, the run is
    stored as failed with its traceback and the exception goes on; Ctrl-C and Cancelled store nothing.

    Args:
        replace: let a sound run of the same name give way, once the new one is complete.
        progress: show the stages and the training's progress.
        listener: called with a Status; may raise :class:`eqviz.errors.Cancelled` to stop.

    Raises:
        EqvizError: whatever is wrong with config, data, training or disk, by name.
    """
    plan = experiment if isinstance(experiment, Experiment) else Experiment.from_mapping(experiment)
    place = store if isinstance(store, RunStore) else RunStore(store)
    tell = _announcing(plan, listener) if progress else listener or (lambda status: None)
    if not replace and plan.run_id in place and place.get(plan.run_id).problem is None:
        raise StoreError(
            f"run {plan.run_id!r} exists in {place.root}; choose another run_id or ask to replace it"
        )
    work = place.workspace(plan.run_id)
    config = {"symmetry": MODELS.get(plan.model.name).symmetry, **dataclasses.asdict(plan)}
    try:
        with _threads(plan.training.threads):
            _run(plan, place, work, config, replace, progress, tell)
    except Cancelled:
        raise
    except Exception as error:
        with suppress(StoreError):  # a full disk must not hide what went wrong first
            place.record_failure(plan.run_id, config, traceback.format_exc())
        if isinstance(error, TrainingError):  # it would only diverge again
            shutil.rmtree(work, ignore_errors=True)
        raise
    shutil.rmtree(work, ignore_errors=True)
    return place.get(plan.run_id)


def _announcing(plan: Experiment, listener: Callable[[Status], None] | None) -> Callable[[Status], None]:
    """A listener that also prints one line a stage, training apart (it has its own display)."""
    what = {
        "data": f"{plan.run_id}: loading jets of {plan.data.name}",
        "predict": "predicting test jets",
        "scan": f"scanning invariance with {plan.evaluation.n_jets} jets",
        "time": "timing",
        "store": "storing",
    }

    def tell(status: Status) -> None:
        if line := what.pop(status.stage, None):
            print(line, flush=True)
        if listener is not None:
            listener(status)

    return tell


def _run(
    plan: Experiment,
    store: RunStore,
    work: Path,
    config: dict[str, Any],
    replace: bool,
    progress: bool,
    tell: Callable[[Status], None],
) -> None:
    from eqviz.training.loop import TrainResult, choose_device, train

    tell(Status("data", 0.0))
    subsets = load_subsets(plan.data, plan.model.trains)
    sets = subsets.sets
    config["data"] |= subsets.describe(plan.data)
    model, given = _network(plan, sets.get("train"))
    config["model"] |= given
    config["symmetry"] = model.symmetry  # of this network: its class may stand for several groups
    result = TrainResult({name: [] for name in HISTORY_TYPES}, -1, 0.0)
    if plan.model.trains:

        def forward(step: Progress) -> None:
            done = (step.epoch + step.step / step.steps) / step.epochs
            tell(Status("train", done, step))

        seen = {split: as_seen(model, sets[split]) for split in ("train", "val")}
        result = train(model, seen["train"], seen["val"], plan.training, work, progress, forward)
    model.to(choose_device(plan.training.device))
    found = evaluate(model, sets["test"], plan.evaluation, lambda stage, done: tell(Status(stage, done)))
    tell(Status("store", 0.0))
    with store.create(plan.run_id, replace=replace) as folder:
        _write(folder, config, result.history, sets["test"].labels, found, subsets.test_rows)
        save_model(model.cpu(), folder / WEIGHTS)


def _write(
    folder: Path,
    config: dict[str, Any],
    history: dict[str, list[Any]],
    labels: np.ndarray,
    found: Evaluation,
    rows: np.ndarray,
) -> None:
    write_run(
        folder,
        config=config,
        environment=describe(),
        history=history,
        scores=Scores(labels, found.logits, rows),
        metrics=found.metrics,
        invariance=found.invariance,
        rotation=found.rotation,
    )


def _network(plan: Experiment, train_set: LabelledSet[Any] | None) -> tuple[JetModel, dict[str, Any]]:
    """The network and what config.json says of it: all its parameters, the digest of its file."""
    wanted = plan.model
    file = wanted.weights or wanted.published
    digest = _digest(Path(file), wanted.sha256) if file else None
    if wanted.weights is not None:
        model = load_model(wanted.weights)
        require(model.name == wanted.name, "model.weights", f"those of a {wanted.name!r}", model.name)
    elif wanted.published is not None:
        factory = getattr(MODELS.get(wanted.name), "from_published", None)
        if factory is None:
            raise ConfigError(f"expected a model with published weights, got {wanted.name!r}")
        model = factory(wanted.published, **wanted.params)
        return model, {"params": wanted.params, "sha256": digest}
    else:
        model = seeded_model(wanted.name, fitted(wanted.name, wanted.params, train_set), plan.seed)
    return model, {"params": dataclasses.asdict(model.config), "sha256": digest}


def _digest(path: Path, expected: str | None) -> str:
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise CheckpointError(f"expected weights at {path}, got {error.strerror}") from error
    if expected not in (None, found):
        raise CheckpointError(f"{path}: expected weights with SHA-256 {expected}, got {found}")
    return found


@contextmanager
def _threads(wanted: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(wanted or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
