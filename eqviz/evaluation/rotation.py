"""How good a network stays when its test jets are turned in the (eta, phi) plane.

Deposits of detector images and constituents of jets are turned before pixels are made
(:mod:`eqviz.data.turns`), so what is seen is the network and its pixels, not an interpolated picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eqviz.data.image_batch import ImageBatch
from eqviz.data.jets import JetBatch
from eqviz.data.labelled import LabelledSet
from eqviz.data.turns import turned_images, turned_jets
from eqviz.evaluation.inference import evaluating, logits
from eqviz.evaluation.invariance import Deviation
from eqviz.evaluation.metrics import classification_metrics
from eqviz.models.base import JetModel

Array = NDArray[np.float64]
Row = dict[str, Any]
_QUANTILES = (0.5, 0.975)


def planar_scan(
    model: JetModel,
    dataset: LabelledSet[Any],
    degrees: Sequence[float],
    *,
    batch_size: int = 128,
    n_bootstrap: int = 100,
    still: Array | None = None,
) -> list[Row]:
    """One row per angle, see ROTATION_TYPES in :mod:`eqviz.evaluation.run` for the columns.

    Deviations compare with the same jets not turned, as in :mod:`eqviz.evaluation.invariance`.

    Args:
        degrees: angles of the turns.
        n_bootstrap: resamples for the errors of AUC and accuracy.
        still: logits (n, classes) of the jets as they are, where they are known already.
    """
    if not degrees:
        return []
    with evaluating(model):
        if still is None:
            still = _answers(model, dataset, 0.0, batch_size)
        return [
            _row(
                dataset,
                angle,
                still,
                still if angle == 0 else _answers(model, dataset, angle, batch_size),
                n_bootstrap,
            )
            for angle in degrees
        ]


def turned(model: JetModel, batch: JetBatch | ImageBatch, degrees: float) -> JetBatch | ImageBatch:
    """``batch`` turned, images in the pixels of ``model``."""
    if isinstance(batch, ImageBatch):
        return turned_images(batch, degrees, min(model.config.n_pixels, batch.layout.width))
    return turned_jets(batch, degrees) if degrees else batch


def _answers(model: JetModel, dataset: LabelledSet[Any], degrees: float, batch_size: int) -> Array:
    chunks = [range(at, min(at + batch_size, len(dataset))) for at in range(0, len(dataset), batch_size)]
    batches = (turned(model, dataset.batch.select(chunk), degrees) for chunk in chunks)
    return np.concatenate([logits(model, batch) for batch in batches])


def _row(dataset: LabelledSet[Any], angle: float, still: Array, moved: Array, n_bootstrap: int) -> Row:
    measured = classification_metrics(dataset.labels, moved, n_bootstrap)
    deviation = Deviation(still, moved)
    median, high = np.quantile(deviation.relative, _QUANTILES, method="nearest")
    row: Row = {"angle": float(angle), "what": "deposits" if dataset.what == "images" else "constituents"}
    row |= {"n_jets": len(dataset), "median_rel": float(median), "high_rel": float(high)}
    row |= {"max_abs": float(deviation.absolute.max())}
    for name in ("auc", "accuracy"):
        row |= {name: measured[name]["value"], f"{name}_error": measured[name]["error"]}
    return row
