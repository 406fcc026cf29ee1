"""The message of LorentzNet (arXiv:2201.08187, eqs. 3.2 to 3.5) on all ordered pairs within each jet.

Contract, with receiver i, sender j, u and v (S, C) in slot order, pair features s (P, F):

    a_ij = relu(u_i + v_j + W_s s_ij)              the first linear layer, split into node and pair terms
    r_ij = relu(W_h a_ij + b_h)
    m_ij = r_ij sigmoid(w_g . r_ij + b_g)          zero where i = j and on padding
    M_i  = sum_j m_ij                              (S, C)
    c_ij = v_c . relu(W_c m_ij + b_c)              (P,), only with coordinate weights; zero where i = j

Batch normalisation between the two linear layers is affine per channel and belongs into u, v and W_s.
All take float32 and float64 and give first derivatives; empty layouts give zeros.

* ``"native"`` is C for a CPU, compiled where it runs: a tile of pairs goes through the whole message in the
  first cache, and again in the backward pass, so that memory hardly grows with the pairs.
* ``"tiled"`` works through the pairs strip by strip. Without ``kept`` it keeps no tensor of size (P, C) and
  recomputes in the backward pass: memory hardly grows with the pairs. With it, it is a tenth faster.
* ``"triton"`` is one GPU kernel each way, pair activations in registers only (widths to 128).
* ``"reference"`` is the same written down plainly.

``"auto"`` is Triton, C or tiled, see :mod:`eqviz.ops.dispatch`.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from eqviz.errors import ConfigError
from eqviz.ops.dispatch import full_precision, wants_native, wants_triton
from eqviz.ops.minkowski_message.fused import fits, message_fused
from eqviz.ops.minkowski_message.kept import Kept
from eqviz.ops.minkowski_message.native import OP, message_native
from eqviz.ops.minkowski_message.reference import message_reference
from eqviz.ops.minkowski_message.tiled import message_tiled
from eqviz.ops.minkowski_message.weights import MessageWeights
from eqviz.ops.pairs import PairLayout

Backend = Literal["auto", "triton", "native", "tiled", "reference"]


def minkowski_message(
    receiver: Tensor,
    sender: Tensor,
    features: Tensor,
    weights: MessageWeights,
    layout: PairLayout,
    backend: Backend = "auto",
    kept: Kept | None = None,
) -> tuple[Tensor, Tensor | None]:
    """Summed messages (S, C) and coordinate weights (P,) or None.

    Args:
        receiver: (S, C) u.
        sender: (S, C) v.
        features: (P, F) s.
        weights: the weights of the contract.
        layout: where the pairs are.
        backend: see the module.
        kept: memory that the tiled message may keep between its passes and between calls; C needs none.

    Raises:
        ConfigError: an unknown backend.
    """
    if backend == "auto":
        backend = _choice(receiver, features)
    if backend == "native":
        return full_precision(message_native)(receiver, sender, features, weights, layout)
    if backend == "triton":
        return message_fused(receiver, sender, features, weights, layout)
    if backend == "tiled":
        return full_precision(message_tiled)(receiver, sender, features, weights, layout, kept)
    if backend == "reference":
        return full_precision(message_reference)(receiver, sender, features, weights, layout)
    raise ConfigError(f"expected backend 'auto', 'triton', 'native', 'tiled' or 'reference', got {backend!r}")


def _choice(receiver: Tensor, features: Tensor) -> Backend:
    if wants_triton(receiver, fits(receiver, features)):
        return "triton"
    return "native" if wants_native(OP, receiver) else "tiled"


__all__ = ["Kept", "MessageWeights", "minkowski_message"]
