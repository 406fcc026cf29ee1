"""PELICAN's block Eq 2->2 (arXiv:2211.00454, eq. 3.2 and appendix) and its parts, on ragged batches.

Pair tensors are (R, C) in the rows of a :class:`MirrorPairs` layout: (i, j) and (j, i) side by side, no
padding, diagonal entries twice (equal). The 15 linear maps of a pair tensor that respect permutations are,
with row means r_i, column means c_i, diagonal d_i, mean trace t and mean of all entries s,

    x_ij, x_ji, delta d_i, d_j, d_i, delta c_i, c_j, c_i, delta r_i, r_j, r_i, t, delta t, s, delta s .

Mixing channels commutes with aggregating and spreading. So all but the first two are products over N nodes
(or one jet), done by the caller with ordinary tensors, and what is left for N^2 pairs is

    pair_aggregate   x -> row sums, column sums, diagonal                                   (n, C)
    pair_mix         x -> leaky(W_1 x_ij + W_2 x_ji + u_i + v_j + delta_ij D_i)             (R, O)
    mix_message      a -> a' = leaky(W x + b), x = pair_mix(a), and the aggregates of a'    (R, C')
    encode_message   d -> a = leaky(W [f(d), e] + b) and its aggregates                     (R, C)

W_1 and W_2 arrive as even and odd = (W_1 +- W_2) / 2. All implementations take float32 and float64, any
device, first derivatives; jets without and with one particle are fine. A gradient with respect to a pair
tensor belongs to its stored rows.

Multiply-adds per ordered pair, C = 78 message and O = 132 pair channels (published 208k network):

    every map as a pair tensor     15 C O = 154,440 for a mixing, O C = 10,296 for a message
    W_1 x_ij + W_2 x_ji             2 C O =  20,592
    even and odd halves (here)        C O =  10,296

* ``"native"`` is ``mix_message`` in C for a CPU, compiled where it runs: a tile of pairs goes through both
  steps in the cache, and again in the backward pass. For the other three it is the same as ``"mixed"``.
* ``"mixed"`` works block by block, keeps only messages and makes x again in the backward pass.
* ``"triton"`` does aggregation and mixing in GPU kernels (the encoding stays with PyTorch).
* ``"reference"`` is the same written down plainly.

``"auto"`` is Triton, C or mixed, see :mod:`eqviz.ops.dispatch`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import torch
from torch import Tensor

from eqviz.errors import ConfigError
from eqviz.ops.dispatch import full_precision, require_native, wants_native, wants_triton
from eqviz.ops.permutation_2to2 import fused, fused_message, mixed, native, reference
from eqviz.ops.permutation_2to2.jets import spread_jets, sum_jets
from eqviz.ops.permutation_2to2.layout import MirrorPairs
from eqviz.ops.permutation_2to2.weights import PairStatistics, Spread

Backend = Literal["auto", "triton", "native", "mixed", "reference"]


def pair_aggregate(x: Tensor, pairs: MirrorPairs, backend: Backend = "auto") -> tuple[Tensor, Tensor, Tensor]:
    """Row sums sum_j x_ij, column sums sum_j x_ji and diagonal x_ii of (R, C), (n, C) each."""
    chosen = _chosen(backend, x, x.shape[1])
    if chosen == "triton":
        return fused.pair_aggregate(x, pairs)
    if chosen in ("mixed", "native"):
        return full_precision(mixed.Aggregate.apply)(x, pairs)
    return full_precision(reference.aggregate_reference)(x, pairs)


def pair_mix(
    x: Tensor,
    even: Tensor,
    odd: Tensor,
    spread: Spread,
    pairs: MirrorPairs,
    slope: float = 1.0,
    backend: Backend = "auto",
) -> Tensor:
    """The mixing step, (R, C) -> (R, O).

    Args:
        x: (R, C) pair tensor.
        even, odd: (O, C), half the sum and half the difference of the weights of x_ij and x_ji.
        spread: u, v and D, (n, O) each.
        pairs: where the pairs are.
        slope: of the leaky rectifier, positive; 1 for none.
        backend: see the module.

    Raises:
        ConfigError: an unknown backend.
    """
    chosen = _chosen(backend, x, len(even))
    if chosen == "triton":
        return fused.pair_mix(x, even, odd, spread, pairs, slope)
    if chosen in ("mixed", "native"):
        return full_precision(mixed.Mix.apply)(pairs, slope, x, even, odd, *spread)
    return full_precision(reference.mix_reference)(x, even, odd, spread, pairs, slope)


def mix_message(
    a: Tensor,
    even: Tensor,
    odd: Tensor,
    spread: Spread,
    weight: Tensor,
    bias: Tensor,
    pairs: MirrorPairs,
    slope: float,
    shift: Tensor | None = None,
    backend: Backend = "auto",
) -> tuple[Tensor, PairStatistics]:
    """A mixing step and the next message in one, without the pair tensor between them.

    Args:
        a, even, odd, spread, pairs, slope, backend: as for :func:`pair_mix`; both activations have the slope.
        weight, bias: (C', O) and (C',) of the message.
        shift: (C',) what squares are taken from, near the mean; None where squares are not wanted.

    Returns:
        a' (R, C') and its aggregates: sums over rows and columns, diagonal, and the sum of (a' - shift)^2
        over all ordered pairs (zero without ``shift``).
    """
    chosen = _chosen(backend, a, len(even))
    if chosen == "mixed" and backend == "auto" and wants_native(native.OP, a, native.able(a, even, weight)):
        chosen = "native"
    if chosen == "native":
        require_native(native.OP, a)
        out = full_precision(native.MixMessage.apply)(
            pairs, slope, shift, a, even, odd, weight, bias, *spread
        )
        return out[0], _counted_once(PairStatistics(*out[1:]), shift)
    if chosen == "triton":
        run = fused_message if fused_message.fits(a, even, weight) else fused
        out, found = run.mix_message(a, even, odd, spread, weight, bias, pairs, slope, shift)
        return out, _counted_once(found, shift)
    if chosen == "mixed":
        out = full_precision(mixed.MixMessage.apply)(pairs, slope, shift, a, even, odd, weight, bias, *spread)
        return out[0], _counted_once(PairStatistics(*out[1:]), shift)
    x = full_precision(reference.mix_reference)(a, even, odd, spread, pairs, slope)
    return full_precision(_reference_message)(x, weight, bias, pairs, slope, shift)


def encode_message(
    d: Tensor,
    extra: Tensor,
    encode: Callable[..., Tensor],
    parameters: tuple[Tensor, ...],
    weight: Tensor,
    bias: Tensor,
    pairs: MirrorPairs,
    slope: float,
    shift: Tensor | None = None,
    backend: Backend = "auto",
) -> tuple[Tensor, PairStatistics]:
    """The first message: from symmetric numbers d_ij and further pair features.

    Args:
        d: (T,) one number per pair i <= j; gets no gradient.
        extra: (R, L) further features e, L may be 0.
        encode: f(d, *parameters), (T,) -> (T, O - L), entry by entry.
        parameters: what f has to learn.
        weight, bias, pairs, slope, shift, backend: as for :func:`mix_message`.
    """
    if _checked(backend) != "reference":
        out = full_precision(mixed.EncodeMessage.apply)(
            pairs, slope, shift, encode, d, extra, weight, bias, *parameters
        )
        return out[0], _counted_once(PairStatistics(*out[1:]), shift)
    x = torch.cat([pairs.mirrored(encode(d, *parameters)), extra], 1)
    return full_precision(_reference_message)(x, weight, bias, pairs, slope, shift)


def _reference_message(
    x: Tensor, weight: Tensor, bias: Tensor, pairs: MirrorPairs, slope: float, shift: Tensor | None
) -> tuple[Tensor, PairStatistics]:
    centre = bias.new_zeros(len(bias)) if shift is None else shift
    a, found = reference.message_reference(x, weight, bias, pairs, slope, centre)
    return a, found if shift is not None else found._replace(square=torch.zeros_like(found.square))


def _counted_once(found: PairStatistics, shift: Tensor | None) -> PairStatistics:
    """Rows hold (i, i) twice: take one of them off the squares."""
    if shift is None:
        return found
    return found._replace(square=found.square - (found.diagonal - shift).square().sum(0))


def _checked(backend: str) -> str:
    if backend not in get_args(Backend):
        raise ConfigError(
            f"expected backend 'auto', 'triton', 'native', 'mixed' or 'reference', got {backend!r}"
        )
    return backend


def _chosen(backend: str, x: Tensor, width: int) -> str:
    """The implementation of a step from ``x`` to ``width`` channels."""
    if _checked(backend) != "auto":
        return backend
    able = fused.fits(x, width)
    return "triton" if able and wants_triton(x) else "mixed"  # no channels at all are PyTorch's


__all__ = [
    "MirrorPairs",
    "PairStatistics",
    "Spread",
    "encode_message",
    "mix_message",
    "pair_aggregate",
    "pair_mix",
    "spread_jets",
    "sum_jets",
]
