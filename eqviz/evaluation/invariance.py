"""How invariant a network really is: its answer before and after boosts, rotations and permutations.

Momenta are transformed in float64 and then put back on the mass shell, E = sqrt(|p|^2 + m^2) with the mass
they had (0 for massless ones): that is what a detector in the other frame would have stored, and it leaves
only the rounding of the physical input, 2^-53, which a boost cannot amplify into a mass. The deviation
compares the network with itself on the same jets before, put on shell as well, same dtype, same arithmetic.

For two classes the answer is the discriminant y = logit_1 - logit_0, and per jet
    absolute deviation |y' - y|,   relative deviation |y' - y| / |y|;
for more classes y is the vector of logits minus their mean and |.| its Euclidean norm. An output that is NaN
or infinite counts as an infinite deviation and, in the AUC, as the most background-like score.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from eqviz import kinematics
from eqviz.data.jets import JetBatch
from eqviz.errors import ConfigError
from eqviz.evaluation import metrics
from eqviz.evaluation.bootstrap import resamples
from eqviz.evaluation.curves import Ranking, area, rejection_from
from eqviz.evaluation.files import read_rows, write_rows
from eqviz.evaluation.inference import arithmetic, predict_batch
from eqviz.evaluation.run import INVARIANCE_TYPES

if TYPE_CHECKING:
    from eqviz.data.labelled import Batch, LabelledSet

B = TypeVar("B", bound="Batch")
Array = NDArray[np.float64]
Row = dict[str, Any]

GAMMAS = (1.0, 2.0, 10.0, 100.0, 1000.0, 10000.0)
ANGLES = (0.1, 0.5, 1.0, 2.0, 3.0)
AXES = ("x", "y", "z", "random")
N_JETS = 200
# |m^2| below this fraction of E^2 is rounding of a massless particle (float64 files keep 1e-15).
_MASSLESS = 1e-9


@dataclass(frozen=True, eq=False)
class Deviation:
    """Per-jet answers before and after one transformation, (B, classes) each."""

    before: Array
    after: Array

    @property
    def absolute(self) -> Array:
        """(B,) |y' - y|, inf where an answer is not finite."""
        size = _norm(_answer(self.after) - _answer(self.before))
        return np.where(np.isfinite(size), size, np.inf)

    @property
    def relative(self) -> Array:
        """(B,) |y' - y| / |y|."""
        return self.absolute / np.maximum(_norm(_answer(self.before)), np.finfo(np.float64).tiny)


def scan_batch(dataset: LabelledSet[B], n_jets: int = N_JETS, seed: int = 0) -> B:
    """The jets that all networks are scanned with: a seeded subset with the classes' proportions."""
    return dataset.subset(min(n_jets, len(dataset)), seed).batch


def boost_scan(
    model: nn.Module,
    batch: JetBatch,
    *,
    gammas: Sequence[float] = GAMMAS,
    axis: str = "z",
    move_reference: bool = True,
    dtype: str = "float32",
    stable: bool = True,
    seed: int = 0,
    n_bootstrap: int = 100,
) -> list[Row]:
    """One row per Lorentz factor, see INVARIANCE_TYPES for the columns.

    Args:
        batch: jets in the lab, momenta in GeV; with labels the AUC and rejection are given, too.
        gammas: Lorentz factors, 1 or larger.
        axis: "x", "y", "z" or "random" (another direction for each jet, fixed by ``seed``).
        move_reference: move the beams along with the jets (the same event in another frame), or leave them
            in the lab (another event, which a network that sees the beams may answer differently).
        dtype: "float32" or "float64" arithmetic of the network.
        stable: see :func:`eqviz.evaluation.inference.arithmetic`.

    Raises:
        ConfigError: a Lorentz factor below 1, an unknown axis or dtype.
    """
    directions = _directions(axis, len(batch), seed)

    def matrices(gamma: float) -> Array:
        return np.stack([kinematics.boost_matrix(gamma, n) for n in directions])

    moves = {float(gamma): matrices(gamma) for gamma in gammas}
    return _lorentz_scan("boost", model, batch, moves, axis, move_reference, dtype, stable, n_bootstrap)


def rotation_scan(
    model: nn.Module,
    batch: JetBatch,
    *,
    angles: Sequence[float] = ANGLES,
    axis: str = "z",
    move_reference: bool = True,
    dtype: str = "float32",
    stable: bool = True,
    seed: int = 0,
    n_bootstrap: int = 100,
) -> list[Row]:
    """One row per angle in radians; everything else as in :func:`boost_scan`."""
    directions = _directions(axis, len(batch), seed)

    def matrices(angle: float) -> Array:
        return np.stack([kinematics.rotation_matrix(angle, n) for n in directions])

    moves = {float(angle): matrices(angle) for angle in angles}
    return _lorentz_scan("rotation", model, batch, moves, axis, move_reference, dtype, stable, n_bootstrap)


def permutation_scan(
    model: nn.Module,
    batch: JetBatch,
    *,
    seeds: Sequence[int] = (0, 1, 2),
    dtype: str = "float32",
    stable: bool = True,
    n_bootstrap: int = 100,
) -> list[Row]:
    """One row per seed: the constituents of every jet in another order."""
    moved = {float(seed): (lambda seed=seed: batch.permuted(seed)) for seed in seeds}
    return _scan("permutation", model, batch, moved, None, "moved", dtype, stable, n_bootstrap)


def deviation(
    model: nn.Module, batch: JetBatch, moved: JetBatch, *, dtype: str = "float32", stable: bool = True
) -> Deviation:
    """The answers to ``batch`` and to ``moved``, the same jets transformed in whatever way."""
    with arithmetic(model, dtype=dtype, stable=stable) as twin:
        return Deviation(predict_batch(twin, batch), predict_batch(twin, moved))


def transformed(batch: JetBatch, matrix: Array, move_reference: bool = True) -> JetBatch:
    """The batch after a Lorentz transformation, (4, 4) or (B, 4, 4), with every mass kept exactly."""
    return _on_shell(batch.transformed(matrix, move_reference), _squared_masses(batch))


def write_invariance(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows as CSV, columns INVARIANCE_TYPES."""
    write_rows(path, rows, list(INVARIANCE_TYPES))


def read_invariance(path: Path) -> list[Row]:
    """What :func:`write_invariance` wrote; raises StoreError for a damaged file."""
    return read_rows(path, INVARIANCE_TYPES)


def _squared_masses(batch: JetBatch) -> Tensor:
    squared = batch.p4[:, 0] ** 2 - batch.p4[:, 1:].square().sum(dim=1)
    return torch.where(squared > _MASSLESS * batch.p4[:, 0] ** 2, squared, 0.0)


def _on_shell(batch: JetBatch, squared_masses: Tensor) -> JetBatch:
    p3 = batch.p4[:, 1:]
    energy = torch.sqrt(p3.square().sum(dim=1) + squared_masses)
    return replace(batch, p4=torch.cat([energy[:, None], p3], dim=1))


def _lorentz_scan(
    transformation: str,
    model: nn.Module,
    batch: JetBatch,
    moves: Mapping[float, Array],
    axis: str,
    move_reference: bool,
    dtype: str,
    stable: bool,
    n_bootstrap: int,
) -> list[Row]:
    moved = {key: (lambda m=matrix: transformed(batch, m, move_reference)) for key, matrix in moves.items()}
    reference = "moved" if move_reference else "fixed"
    still = _on_shell(batch, _squared_masses(batch))
    return _scan(transformation, model, still, moved, axis, reference, dtype, stable, n_bootstrap)


def _scan(
    transformation: str,
    model: nn.Module,
    batch: JetBatch,
    moved: Mapping[float, Callable[[], JetBatch]],
    axis: str | None,
    reference: str,
    dtype: str,
    stable: bool,
    n_bootstrap: int,
) -> list[Row]:
    if not len(batch):
        raise ConfigError("expected one jet or more to scan, got an empty batch")
    rows = []
    with arithmetic(model, dtype=dtype, stable=stable) as twin:
        before = predict_batch(twin, batch)
        for parameter, make in moved.items():
            found = Deviation(before, predict_batch(twin, make()))
            row: Row = {"transformation": transformation, "axis": axis, "parameter": parameter}
            row |= {"reference": reference, "dtype": dtype, "stable": stable, "n_jets": len(batch)}
            rows.append(row | _sizes(found) | _separation(batch, found.after, n_bootstrap))
    return rows


def _sizes(found: Deviation) -> Row:
    absolute, relative = found.absolute, found.relative
    # "nearest" never averages a finite deviation with inf
    low, median, high = np.quantile(relative, [0.025, 0.5, 0.975], method="nearest")
    return {
        "median_abs": float(np.quantile(absolute, 0.5, method="nearest")),
        "median_rel": float(median),
        "low_rel": float(low),
        "high_rel": float(high),
        "max_rel": float(relative.max()),
        "max_abs": float(absolute.max()),
    }


def _separation(batch: JetBatch, logits: Array, n_bootstrap: int) -> Row:
    """AUC with its bootstrap error and 1/eps_B at eps_S = 0.3, None without two labelled classes."""
    nothing: Row = {"auc": None, "auc_error": None, "rejection_30": None}
    if batch.label is None or logits.shape[1] != 2:
        return nothing
    labels = batch.label.cpu().numpy()
    if set(np.unique(labels).tolist()) != {0, 1}:
        return nothing
    with np.errstate(invalid="ignore"):
        scores = metrics.discriminant(logits)
    lowest = np.finfo(np.float64).min
    scores = np.where(np.isfinite(scores), scores, lowest)
    ranking = Ranking(labels, scores)
    curve = ranking.efficiencies()
    drawn = [area(*ranking.efficiencies(weights)) for weights in resamples(labels, n_bootstrap, 0)]
    return {
        "auc": area(*curve),
        "auc_error": float(np.std(drawn, ddof=1)) if n_bootstrap > 1 else None,
        "rejection_30": rejection_from(*curve, 0.3, int((labels == 0).sum())).value,
    }


def _answer(logits: Array) -> Array:
    with np.errstate(invalid="ignore"):  # inf - inf
        if logits.shape[1] == 2:
            return logits[:, 1:] - logits[:, :1]
        return logits - logits.mean(axis=1, keepdims=True)


def _norm(values: Array) -> Array:
    with np.errstate(invalid="ignore", over="ignore"):
        return np.linalg.norm(values, axis=1)


def _directions(axis: str, n_jets: int, seed: int) -> list[Any]:
    if axis not in AXES:
        raise ConfigError(f"expected an axis out of {', '.join(AXES)}, got {axis!r}")
    if axis != "random":
        return [axis]
    rng = np.random.default_rng(seed)
    return [kinematics.random_axis(rng) for _ in range(n_jets)]
