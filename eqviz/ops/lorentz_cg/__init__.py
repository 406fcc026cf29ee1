"""The three operations of a Lorentz group network (arXiv:2006.04780, eq. 3.7) in real, component-major form.

Features are (D, C, S): D real components of all irreps one after the other, C channels, S slots.

``bell_aggregate``: sums over the other nodes of each jet, weighted by learned functions of the pair norms

    g_k(x)  = 1 / (1 + c_k^2 |x|)                       k = 1 .. K Lorentzian bells of x = (p_i - p_j)^2
    f_qc(x) = sum_k w_qck g_k(x) + w_qc,K+1             q = 0, 1: two sets of channel weights
    plain_dci    = sum_{j != i} f_0c(x_ij) X_dcj        for the first ``n_plain`` components
    weighted_dci = sum_{j != i} f_1c(x_ij) X_dcj        for all D

``cg_products``: for each group (a, b, T) of a plan, the outer product of two ranges of components in the same
channel, reduced by a fixed table: out_ocs = sum_uv T_o,uv X_(a+u)cs Y_(b+v)cs.

``cg_mix``: every product of a level, and the mixing of channels. The blocks of an output irrep are

    L plain,   L x,   T_v (p4 (x) weighted[:D]) - weighted[D:],   T_k (x (x) x) for the groups k of a plan

with rows (component, block); out_dcs = sum_bk W_c,bk block_b,dks mixes blocks b and channels k.

All take float32 and float64, any device and first derivatives with respect to features, weights and decays;
norms and tables are data. A jet of one node sums to 0, an empty layout gives empty results, padding neither
contributes nor receives. ``"tiled"`` works tile by tile, keeps no pair tensor and recomputes the bells in the
backward pass; ``"triton"`` does so in GPU kernels, products as sparse sums; ``"reference"`` is the plain
form.  ``"auto"`` is Triton or tiled, see :mod:`eqviz.ops.dispatch`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from eqviz.errors import ConfigError
from eqviz.ops.dispatch import full_precision, wants_native, wants_triton
from eqviz.ops.lorentz_cg import fused, native, native_level, reference
from eqviz.ops.lorentz_cg.aggregate import aggregate_tiled
from eqviz.ops.lorentz_cg.level import Level, Perceptron, scalar_perceptron, totals
from eqviz.ops.lorentz_cg.mixing import MixPlan, mix_chunked
from eqviz.ops.lorentz_cg.products import ProductGroup, products_fused
from eqviz.ops.pairs import PairLayout

Backend = Literal["auto", "triton", "native", "tiled", "reference"]


def bell_aggregate(
    x: Tensor,
    norm: Tensor,
    decay: Tensor,
    weights: Tensor,
    layout: PairLayout,
    n_plain: int,
    backend: Backend = "auto",
) -> tuple[Tensor, Tensor]:
    """``plain`` (n_plain, C, S) and ``weighted`` (D, C, S).

    Args:
        x: (D, C, S) features in slot order.
        norm: (P,) |(p_i - p_j)^2|, symmetric in each pair; its values at i = j and on padding do not matter.
        decay: (K,) c^2, not negative.
        weights: (2, C, K + 1) w, the constant last.
        layout: where the pairs are.
        n_plain: how many of the first components take part in the first sum.
        backend: see the module.

    Raises:
        ConfigError: an unknown backend, or shapes that do not belong together.
    """
    n_components, channels, _ = x.shape
    if weights.shape != (2, channels, len(decay) + 1) or not 0 <= n_plain <= n_components:
        raise ConfigError(
            f"expected weights of shape (2, {channels}, {len(decay) + 1}) and n_plain of 0 to "
            f"{n_components}, got {tuple(weights.shape)} and {n_plain}"
        )
    if x.shape[2] != layout.n_slots or norm.shape != (layout.n_pairs,):
        raise ConfigError(
            f"expected features of {layout.n_slots} slots and {layout.n_pairs} norms, "
            f"got {x.shape[2]} and {tuple(norm.shape)}"
        )
    chosen = _chosen(backend, x, len(decay))
    if chosen == "triton":
        return fused.bell_aggregate(x, norm, decay, weights, layout, n_plain)
    if chosen == "native":
        return full_precision(native.bell_aggregate)(x, norm, decay, weights, layout, n_plain)
    if chosen == "tiled":
        return full_precision(aggregate_tiled)(x, norm, decay, weights, layout, n_plain)
    if chosen == "reference":
        return full_precision(reference.bell_aggregate)(x, norm, decay, weights, layout, n_plain)
    raise ConfigError(f"expected backend 'auto', 'triton', 'native', 'tiled' or 'reference', got {backend!r}")


def cg_products(
    x: Tensor, y: Tensor, plan: Sequence[ProductGroup], tables: Sequence[Tensor], backend: Backend = "auto"
) -> tuple[Tensor, ...]:
    """(rows, C, S) of every group of ``plan``.

    Args:
        x: (D_x, C, S) first factors.
        y: (D_y, C, S) second factors; either may have a single channel for all channels of the other.
        plan: the ranges of components that are multiplied.
        tables: for each group (rows, n_a n_b), the second factor running fastest.
        backend: see the module.

    Raises:
        ConfigError: an unknown backend, or another number of tables than groups.
    """
    if len(plan) != len(tables):
        raise ConfigError(f"expected a table for each of {len(plan)} groups, got {len(tables)}")
    chosen = _chosen(backend, x) if tables or backend != "auto" else "tiled"
    if chosen == "triton":
        return fused.cg_products(x, y, plan, tables)
    if chosen == "native":
        return full_precision(native.cg_products)(x, y, plan, tables)
    if chosen == "tiled":
        return full_precision(products_fused)(x, y, plan, tables)
    if chosen == "reference":
        return full_precision(reference.cg_products)(x, y, plan, tables)
    raise ConfigError(f"expected backend 'auto', 'triton', 'native', 'tiled' or 'reference', got {backend!r}")


def cg_mix(
    x: Tensor,
    plain: Tensor,
    weighted: Tensor,
    p4: Tensor,
    plan: MixPlan,
    tables: Sequence[Tensor],
    weights: Sequence[Tensor],
    backend: Backend = "auto",
) -> Tensor:
    """All products of a level and their mixing, (D_out, C_out, S).

    Args:
        x: (D, C, S) features.
        plain: (D, C, S) sums over neighbours.
        weighted: (D + M, C, S) sums weighted for vectors, of the features and of their moments p4 (x) x.
        p4: (4, 1, S) momenta, data.
        plan: which rows of the tables are which blocks of which irrep.
        tables: (L, D) linear maps, (M, 4 D) products with momenta, then (rows, n_a n_b) for every square.
        weights: (C_out, blocks C) for every output irrep.
        backend: see the module.

    Raises:
        ConfigError: an unknown backend.
    """
    chosen = _chosen(backend, x)
    if chosen == "triton":
        return fused.cg_mix(x, plain, weighted, p4, plan, tables, weights)
    if chosen == "native":
        return full_precision(native.cg_mix)(x, plain, weighted, p4, plan, tables, weights)
    if chosen == "tiled":
        return full_precision(mix_chunked)(x, plain, weighted, p4, plan, tables, weights)
    if chosen == "reference":
        return full_precision(reference.cg_mix)(x, plain, weighted, p4, plan, tables, weights)
    raise ConfigError(f"expected backend 'auto', 'triton', 'native', 'tiled' or 'reference', got {backend!r}")


def cg_level(
    x: Tensor,
    p4: Tensor,
    norm: Tensor,
    layout: PairLayout,
    level: Level,
    backend: Backend = "auto",
) -> Tensor:
    """A level, (D_out, C_out, S): products with momenta, sums over pairs, and the mixing.

    Args:
        x: (D, C, S) features.
        p4: (4, 1, S) momenta, data.
        norm: (P,) |(p_i - p_j)^2|.
        layout: where the pairs are.
        level: its plan, tables and weights.
        backend: see the module.

    Raises:
        ConfigError: an unknown backend.
    """
    groups = (ProductGroup((0, 4), (0, len(x))),)
    (moments,) = cg_products(p4, x, groups, level.tables[1:2], backend)
    stacked = torch.cat([x, moments])
    plain, weighted = bell_aggregate(stacked, norm, level.decay, level.bells, layout, len(x), backend)
    return cg_mix(x, plain, weighted, p4, level.plan, level.tables, level.mix, backend)


def cg_block(
    x: Tensor,
    p4: Tensor,
    norm: Tensor,
    layout: PairLayout,
    level: Level,
    perceptron: Perceptron,
    forms: Tensor,
    backend: Backend = "auto",
) -> tuple[Tensor, Tensor]:
    """:func:`cg_level`, a perceptron on the first component, and the :func:`cg_totals` of the result.

    Args:
        x, p4, norm, layout, level: see :func:`cg_level`.
        perceptron: the last layer has C_out outputs.
        forms: see :func:`cg_totals`.
        backend: see the module.

    Raises:
        ConfigError: an unknown backend.
    """
    if _traced(x):
        return _eager(cg_block)(x, p4, norm, layout, level, perceptron, forms, backend)
    if _chosen(backend, x) == "native":
        return full_precision(native_level.cg_block)(x, p4, norm, layout, level, perceptron, forms)
    out = scalar_perceptron(cg_level(x, p4, norm, layout, level, backend), perceptron)
    return out, totals(out, forms, layout)


def cg_totals(x: Tensor, forms: Tensor, layout: PairLayout, backend: Backend = "auto") -> Tensor:
    """The first component and all x.Q x, summed over the nodes of each jet: (1 + Q, C, J).

    Args:
        x: (D, C, S) features.
        forms: (Q, D, D) symmetric forms.
        layout: the J jets that have nodes are in the order of ``layout.jets``.
        backend: ``"native"``, or any other for PyTorch.
    """
    if _traced(x):
        return _eager(cg_totals)(x, forms, layout, backend)
    if _chosen(backend, x) == "native":
        return full_precision(native_level.cg_totals)(x, forms, layout)
    return totals(x, forms, layout)


def _traced(x: Tensor) -> bool:
    """Whether this is torch.compile for a CPU, which has nothing to offer that the C does not do faster."""
    return torch.compiler.is_compiling() and x.device.type == "cpu"


def _eager(function: Callable[..., Any]) -> Callable[..., Any]:
    """``function`` outside of what is compiled."""
    return torch.compiler.disable(function)


def _chosen(backend: str, x: Tensor, n_bells: int = 0) -> str:
    """The implementation for features like ``x``."""
    if backend != "auto":
        return backend
    if wants_triton(x, fused.fits(x, n_bells)):
        return "triton"
    return "native" if wants_native(native.OP, x, native.fits(x)) else "tiled"


__all__ = [
    "Level",
    "MixPlan",
    "Perceptron",
    "ProductGroup",
    "bell_aggregate",
    "cg_block",
    "cg_level",
    "cg_mix",
    "cg_products",
    "cg_totals",
    "scalar_perceptron",
]
