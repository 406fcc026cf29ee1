"""Networks that answer with a four-momentum instead of logits, in a registry of their own.

A regressor moves along with the jet: f(Lambda p) = Lambda f(p). It is no classifier, so it is not in
``MODELS``: what trains, scores and plots classifiers never sees it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from eqviz.data.jets import JetBatch
from eqviz.errors import DataError
from eqviz.models.base import JetModel, make_config
from eqviz.models.weights import load_model
from eqviz.registry import Registry


class MomentumModel(JetModel):
    """A network that gives one four-momentum per jet, (B, 4) float64 as (E, px, py, pz) in GeV."""

    def forward(self, batch: JetBatch) -> Tensor:
        """(B, 4) float64 in GeV, covariant under the group ``symmetry``."""
        raise NotImplementedError


REGRESSORS: Registry[type[MomentumModel]] = Registry("regressor")
register_regressor = REGRESSORS.register


def build_regressor(name: str, **params: Any) -> MomentumModel:
    """The regressor called ``name``, freshly initialised.

    Raises:
        UnknownNameError: no such regressor or no such parameter; lists the valid ones.
        ConfigError: a value of a wrong type or an impossible one.
    """
    model = REGRESSORS.get(name)
    return model(make_config(model, params))


def load_regressor(path: str | Path) -> MomentumModel:
    """The regressor that :func:`eqviz.models.save_model` wrote to ``path``, in evaluation mode.

    Raises:
        CheckpointError: as :func:`eqviz.models.load_model`.
    """
    return cast(MomentumModel, load_model(path, build_regressor))


def momentum_loss(predicted: Tensor, batch: JetBatch, scale: float = 0.01) -> Tensor:
    """Mean over jets of a smooth |difference| of components over the target's energy.

    Quadratic below ``scale``, linear above, so that jets beyond repair do not rule. The difference is taken
    in the frame of the batch: minimise it on jets as they were measured.

    Raises:
        DataError: a batch without targets.
    """
    if batch.target is None:
        raise DataError("expected a batch with target momenta (B, 4) in GeV, got none")
    energy = batch.target[:, :1].clamp(min=torch.finfo(torch.float32).tiny)
    difference = (predicted - batch.target) / (scale * energy)
    return torch.nn.functional.smooth_l1_loss(difference, torch.zeros_like(difference)) * scale
