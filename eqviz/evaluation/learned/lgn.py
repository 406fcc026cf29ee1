"""LGN's learned radial functions f(p_ij^2) (arXiv:2006.04780, eq. 3.7)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from eqviz.evaluation.learned.base import Array, LearnedLayer, numbered, shows, to_array
from eqviz.layers.lgn_level import Bells, CGLevel

ROLES = ("Σ f Fⱼ", "Σ f pᵢⱼ × Fⱼ")


@dataclass(frozen=True, eq=False)
class Radial:
    """f_qc(x) = sum_k w_qck / (1 + c_k^2 |x|) + w_qc,last of q = 0, 1 and every channel c.

    Attributes:
        decay: (K,) c_k^2 per GeV^2.
        weights: (2, C, K + 1), the constant last.
    """

    decay: Array
    weights: Array

    def bells(self, x: Array) -> Array:
        """(K + 1, n) the bells and the constant 1 at x (n,) in GeV^2."""
        return np.concatenate([1 / (1 + self.decay[:, None] * np.abs(x)), np.ones((1, len(x)))])

    def __call__(self, x: Array) -> Array:
        """(2, C, n) all functions at x (n,) in GeV^2."""
        return self.weights @ self.bells(x)

    def terms(self, role: int, channel: int, x: Array) -> Array:
        """(K, n) the bells that one function is the sum of, without its constant."""
        return self.weights[role, channel, :-1, None] * self.bells(x)[:-1]


def read_bells(bells: Bells, scale: float) -> Radial:
    """The functions in GeV^2, for a network that scales momenta by ``scale`` per GeV."""
    decay, weights = bells()
    return Radial(to_array(decay) * scale**2, to_array(weights))


@shows(CGLevel)
def _level(path: str, module: Any) -> list[LearnedLayer]:
    channels = numbered("channel", module.bells.weight.shape[1])
    title = f"radial functions of level {int(path.rpartition('.')[2] or 0) + 1}"
    return [LearnedLayer(f"{path}.bells", title, "bells", channels, ROLES, module.bells)]
