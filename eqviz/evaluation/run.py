"""One finished run, read from its folder; the dashboard and the report see nothing else.

Files: config.json, environment.json, history.csv, scores.parquet, metrics.json, invariance.csv,
weights.safetensors, where test jets were turned rotation.csv, and later notebook.ipynb and report.html. A
failed run has config.json and error.json.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from eqviz.errors import StoreError
from eqviz.evaluation.files import decode_number, read_json, read_rows, write_json, write_rows

if TYPE_CHECKING:
    from eqviz.models.base import JetModel

HISTORY_TYPES: dict[str, type] = {
    "epoch": int, "train_loss": float, "val_loss": float, "train_accuracy": float, "val_accuracy": float,
    "val_auc": float, "learning_rate": float, "seconds": float, "memory_mb": float,
}  # fmt: skip
INVARIANCE_TYPES: dict[str, type] = {
    "transformation": str, "axis": str, "parameter": float, "reference": str, "dtype": str, "stable": bool,
    "n_jets": int, "median_abs": float, "median_rel": float, "low_rel": float, "high_rel": float,
    "max_rel": float, "max_abs": float, "auc": float, "auc_error": float, "rejection_30": float,
}  # fmt: skip
ROTATION_TYPES: dict[str, type] = {  # angles in degrees
    "angle": float, "what": str, "n_jets": int, "auc": float, "auc_error": float, "accuracy": float,
    "accuracy_error": float, "median_rel": float, "high_rel": float, "max_abs": float,
}  # fmt: skip
CONFIG_KEYS = ("run_id", "model", "symmetry", "data", "training", "evaluation", "seed")
WEIGHTS = "weights.safetensors"
ROTATION = "rotation.csv"


@dataclass(frozen=True, eq=False)
class Scores:
    """Per-jet test results: labels (n,) int64, logits (n, classes) float64, index (n,) data set row.

    Unpacks in that order.
    """

    labels: NDArray[np.int64]
    logits: NDArray[np.float64]
    index: NDArray[np.int64]

    def __iter__(self) -> Iterator[NDArray[Any]]:
        return iter((self.labels, self.logits, self.index))


@dataclass(frozen=True)
class Run:
    """A run folder. Everything is read on first use; ``problem`` says what is wrong with it, or is None.

    Reading from a damaged or failed run raises StoreError with that same sentence.
    """

    folder: Path
    problem: str | None = field(default=None, compare=False)
    failed: bool = field(default=False, compare=False)

    @property
    def id(self) -> str:
        """The name of the folder."""
        return self.folder.name

    @cached_property
    def config(self) -> dict[str, Any]:
        """Everything needed to repeat the run; {} where even this file is damaged."""
        try:
            return read_json(self.folder / "config.json")
        except StoreError:
            return {}

    @cached_property
    def metrics(self) -> dict[str, dict[str, Any]]:
        """Name -> {"value", "error" (None: not estimated)}; rejections add "survivors" and "lower_bound"."""
        self._require_sound()
        content = read_json(self.folder / "metrics.json")
        return {name: {k: decode_number(v) for k, v in entry.items()} for name, entry in content.items()}

    @cached_property
    def history(self) -> dict[str, list[Any]]:
        """Column -> one value per epoch; empty lists for a network that was not trained here."""
        self._require_sound()
        rows = read_rows(self.folder / "history.csv", HISTORY_TYPES)
        return {name: [row[name] for row in rows] for name in HISTORY_TYPES}

    @cached_property
    def scores(self) -> Scores:
        """Labels, logits and data set rows of all test jets."""
        self._require_sound()
        return read_scores(self.folder / "scores.parquet")

    @cached_property
    def invariance(self) -> list[dict[str, Any]]:
        """One dict per transformation, see :mod:`eqviz.evaluation.invariance`."""
        self._require_sound()
        return read_rows(self.folder / "invariance.csv", INVARIANCE_TYPES)

    @cached_property
    def rotation(self) -> list[dict[str, Any]]:
        """One dict per angle, see :mod:`eqviz.evaluation.rotation`; empty where no test jets were turned."""
        self._require_sound()
        path = self.folder / ROTATION
        return read_rows(path, ROTATION_TYPES) if path.is_file() else []

    @cached_property
    def environment(self) -> dict[str, Any]:
        """Machine, versions, threads, time."""
        self._require_sound()
        return read_json(self.folder / "environment.json")

    @cached_property
    def error(self) -> dict[str, Any]:
        """``{"error", "traceback", "created"}`` of a failed run, {} of any other."""
        try:
            return read_json(self.folder / "error.json") if self.failed else {}
        except StoreError:
            return {}

    @cached_property
    def created(self) -> datetime:
        """When the run ended (UTC); the folder's age where that is not written down."""
        try:
            source = self.error if self.failed else read_json(self.folder / "environment.json")
            created = datetime.fromisoformat(source["created"])
            return created if created.tzinfo else created.replace(tzinfo=UTC)
        except (StoreError, KeyError, TypeError, ValueError):
            pass
        try:
            return datetime.fromtimestamp(self.folder.stat().st_mtime, tz=UTC)
        except OSError:  # deleted since it was listed
            return datetime.fromtimestamp(0, tz=UTC)

    @property
    def model_name(self) -> str:
        """The registered name of the architecture, "" where the config is damaged."""
        model = self.config.get("model")
        return str(model.get("name", "")) if isinstance(model, dict) else ""

    @property
    def symmetry(self) -> str:
        """The symmetry group that the network states."""
        return str(self.config.get("symmetry", ""))

    def model(self) -> JetModel:
        """The trained network, in evaluation mode."""
        from eqviz.models.weights import load_model

        self._require_sound()
        return load_model(self.folder / WEIGHTS).eval()

    def _require_sound(self) -> None:
        if self.problem is not None:
            raise StoreError(f"run {self.id!r}: {self.problem}")


def write_run(
    folder: Path,
    *,
    config: Mapping[str, Any],
    environment: Mapping[str, Any],
    history: Mapping[str, Sequence[Any]],
    scores: Scores,
    metrics: Mapping[str, Mapping[str, Any]],
    invariance: Sequence[Mapping[str, Any]],
    rotation: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Write all files of a run but its weights into ``folder`` (inside :meth:`RunStore.create`).

    The weights go to ``folder / WEIGHTS`` by :func:`eqviz.models.weights.save_model`.

    Raises:
        StoreError: the disk is full, or ``config`` lacks one of CONFIG_KEYS.
    """
    missing = [key for key in CONFIG_KEYS if key not in config]
    if missing:
        raise StoreError(
            f"expected the keys {', '.join(CONFIG_KEYS)} in a run's config, {missing} are missing"
        )
    epochs = [dict(zip(history, values)) for values in zip(*history.values())]
    write_json(folder / "config.json", config)
    write_json(folder / "environment.json", environment)
    write_rows(folder / "history.csv", epochs, list(HISTORY_TYPES))
    write_json(folder / "metrics.json", metrics)
    write_rows(folder / "invariance.csv", invariance, list(INVARIANCE_TYPES))
    if rotation:
        write_rows(folder / ROTATION, rotation, list(ROTATION_TYPES))
    write_scores(folder / "scores.parquet", scores)


def write_scores(path: Path, scores: Scores) -> None:
    """Scores as Parquet, columns ``index``, ``label``, ``logit_0`` ..., with a checksum on every page."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns: dict[str, NDArray[Any]] = {"index": scores.index, "label": scores.labels}
    columns |= {f"logit_{k}": scores.logits[:, k] for k in range(scores.logits.shape[1])}
    try:
        pq.write_table(pa.table(columns), path, write_page_checksum=True)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error}; check free space and permissions") from error


def read_scores(path: Path) -> Scores:
    """What :func:`write_scores` wrote; raises StoreError for a damaged file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.ParquetFile(path, page_checksum_verification=True).read()
        names = sorted((n for n in table.column_names if n.startswith("logit_")), key=lambda n: int(n[6:]))
        logits = np.stack([table[name].to_numpy() for name in names], axis=1)
        return Scores(table["label"].to_numpy(), logits, table["index"].to_numpy())
    except (OSError, KeyError, ValueError, pa.ArrowException) as error:
        raise StoreError(f"expected a Parquet table of scores in {path.name}, got {error}") from error
