"""Minkowski products of all pairs within each jet, in GeV^2, float64.

Contract: momenta (S, 4) as (E, px, py, pz) in slot order of a :class:`~eqviz.ops.pairs.PairLayout` give
``dot`` (P,), p_i.p_j, and ``norm`` (P,), (p_i - p_j)^2, in the dtype of the momenta; entries that
``layout.pair_mask`` excludes are finite but meaningless.

Three forms of the same numbers:

* ``"direction"``: from energies, directions and known masses, without cancellation. For light-like momenta
  p_i.p_j = E_i E_j |n_i - n_j|^2 / 2. A boost by gamma costs a relative error of about eps gamma.
* ``"matrix"``: a matrix product, the fastest. The error is eps E_i E_j: right for float64 momenta in a frame
  where energies are moderate.
* ``"difference"``: E_i E_j - p_i.p_j and (p_i - p_j)^2 by components, in the order of the published networks.
  In float32 it is wholly wrong from gamma = 1000 on.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from eqviz.errors import ConfigError
from eqviz.ops.minkowski_gram import reference
from eqviz.ops.minkowski_gram.matrix import matrix_gram
from eqviz.ops.pairs import PairLayout

Form = Literal["direction", "matrix", "difference"]


def minkowski_gram(
    p4: Tensor, layout: PairLayout, form: Form = "matrix", mass2: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """``dot`` and ``norm`` of all pairs.

    Args:
        p4: (S, 4) momenta in GeV.
        layout: where the pairs are.
        form: see the module.
        mass2: (S,) squared masses in GeV^2, for ``"direction"`` only; None for light-like momenta.

    Raises:
        ConfigError: an unknown form.
    """
    if form == "direction":
        return reference.direction_gram(p4, layout, mass2)
    if form == "matrix":
        return matrix_gram(p4, layout)
    if form == "difference":
        return reference.difference_gram(p4, layout)
    raise ConfigError(f"expected form 'direction', 'matrix' or 'difference', got {form!r}")


__all__ = ["minkowski_gram"]
