"""How to repeat what a card shows: a command for a run, a few lines of Python for a figure."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from string import Template
from typing import Any

from eqviz.dash.session import Boost, Network
from eqviz.evaluation.run import Run

_HEAD = """\
from eqviz.evaluation.store import RunStore
from eqviz.plots.style import Tag

store = RunStore($root)
runs = [store.get(name) for name in $names]
tags = [Tag(run.id, run.symmetry, run.model_name) for run in runs]
"""
_BODIES = {
    "roc": """\
import numpy as np
from eqviz.evaluation.metrics import discriminant, roc_band
from eqviz.plots.curves import inverse_roc, roc
from eqviz.plots.series import Series

eps, drawn = np.linspace(0.01, 1, 100), []
for run, tag in zip(runs, tags):
    labels, logits, _ = run.scores
    drawn.append((tag, *roc_band(labels, discriminant(logits), eps, level=0.95)))
figure = roc([Series(tag, eps, y, low, high) for tag, y, low, high in drawn], 0.3)
with np.errstate(divide="ignore"):
    inverse = inverse_roc([Series(tag, eps, 1 / y, 1 / high, 1 / low) for tag, y, low, high in drawn])
""",
    "calibration": """\
from eqviz.evaluation.metrics import calibration_curve
from eqviz.plots.scores import calibration
from eqviz.plots.series import Series

curves = [calibration_curve(run.scores.labels, run.scores.logits) for run in runs]
figure = calibration([Series(t, c.predicted, c.observed, c.low, c.high) for t, c in zip(tags, curves)])
""",
    "histogram": """\
from eqviz.evaluation.metrics import probabilities
from eqviz.plots.scores import score_histogram

figures = [
    score_histogram(tag, run.scores.labels, probabilities(run.scores.logits)[:, 1])
    for run, tag in zip(runs, tags)
]
""",
    "confusion": """\
from eqviz.evaluation.metrics import confusion_matrix
from eqviz.plots import scores

counts = [confusion_matrix(run.scores.labels, run.scores.logits) for run in runs]
figures = [scores.confusion_matrix(t, c, [str(i) for i in range(len(c))]) for t, c in zip(tags, counts)]
""",
}
_BOOST = """\
import numpy as np
from eqviz.data import load
from eqviz.evaluation.invariance import boost_scan, scan_batch
from eqviz.evaluation.store import RunStore

store, jets = RunStore($root), scan_batch(load($data, "test"))
for name, dtype, stable in $variants:
    rows = boost_scan(
        store.get(name).model(), jets, gammas=$gammas, axis=$axis,
        move_reference=$moved, dtype=dtype, stable=stable,
    )
    for row in rows:
        print(name, row["parameter"], row["median_rel"], row["low_rel"], row["high_rel"], row["auc"])
"""
_JET = """\
from eqviz.data import load
from eqviz.plots.jets import event_display, jet_summary, momenta_3d

jet = load($data, "test").batch.select([$row])
p4 = jet.p4.numpy()
figures = [event_display(p4), momenta_3d(p4)]
print(jet_summary(p4))
"""


def figure_code(kind: str, networks: Sequence[Network], root: Path | str) -> str:
    """Python that draws a figure of the Runs tab anew from the run folders."""
    return _fill(_HEAD + _BODIES[kind], root=str(root), names=[network.run.id for network in networks])


def boost_code(networks: Sequence[Network], boost: Boost, data: str, root: Path | str) -> str:
    """Python that repeats the scan of the Boosts tab."""
    variants = [(network.run.id, network.dtype, network.stable) for network in networks]
    gammas = sorted({1.0, 10.0, 1000.0, boost.gamma})
    fields = {"root": str(root), "data": data, "variants": variants, "gammas": gammas}
    return _fill(_BOOST, **fields, axis=boost.axis, moved=boost.moved)


def jet_code(data: str, row: int) -> str:
    """Python that draws one jet of a test set."""
    return _fill(_JET, data=data, row=row)


def repeat_run(run: Run) -> str:
    """The one command that makes a run again, with its parameters where they are known."""
    parameters = run.config.get("parameters")
    if not isinstance(parameters, dict) or not parameters:
        return "make report"
    pairs = " ".join(f"-p {key} {shlex.quote(str(value))}" for key, value in parameters.items())
    return f"papermill notebooks/train_and_evaluate.ipynb {shlex.quote(run.id)}.ipynb {pairs}"


def _fill(template: str, **values: Any) -> str:
    return Template(template).substitute({key: repr(value) for key, value in values.items()})
