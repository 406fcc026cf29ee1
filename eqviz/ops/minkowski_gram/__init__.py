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

:func:`minkowski_features` is the same with psi(x) = sign(x) log(1 + |x|) on top and zeros where there is no
pair. On a GPU both are one Triton kernel each way (see :mod:`eqviz.ops.dispatch`), with float64 sums for the
first two forms; gradients with respect to momenta of given masses stay with PyTorch.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from eqviz.errors import ConfigError
from eqviz.ops.dispatch import wants_triton
from eqviz.ops.minkowski_gram import fused, reference
from eqviz.ops.minkowski_gram.matrix import matrix_gram
from eqviz.ops.pairs import PairLayout
from eqviz.ops.psi import psi

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
    if form not in fused.FORMS:
        raise ConfigError(f"expected form 'direction', 'matrix' or 'difference', got {form!r}")
    if wants_triton(p4, fused.fits(p4, form, mass2)):
        norm, dot = fused.gram_fused(p4, layout, form, mass2 if form == "direction" else None).unbind(0)
        return dot, norm
    if form == "direction":
        return reference.direction_gram(p4, layout, mass2)
    if form == "matrix":
        return matrix_gram(p4, layout)
    return reference.difference_gram(p4, layout)


def minkowski_features(
    p4: Tensor, layout: PairLayout, dtype: torch.dtype, form: Form = "matrix", mass2: Tensor | None = None
) -> Tensor:
    """psi((p_i - p_j)^2) and psi(p_i.p_j) of all pairs, (P, 2), each feature contiguous.

    Args:
        p4, layout, form, mass2: as for :func:`minkowski_gram`.
        dtype: of the result; nothing is rounded to it before the end, or before psi.

    Raises:
        ConfigError: an unknown form.
    """
    if form in fused.FORMS and wants_triton(p4, fused.fits(p4, form, mass2)):
        masses = mass2 if form == "direction" else None
        return fused.gram_fused(p4, layout, form, masses, compress=True, dtype=dtype).T
    dot, norm = minkowski_gram(p4, layout, form, mass2)
    return psi(torch.stack([norm.to(dtype), dot.to(dtype)]) * layout.pair_mask).T


__all__ = ["minkowski_features", "minkowski_gram"]
