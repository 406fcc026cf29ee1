"""The weights of one message."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class MessageWeights(NamedTuple):
    """Weights in the notation of the contract; the last three are None in a block without coordinates."""

    features: Tensor  # W_s (C, F)
    hidden: Tensor  # W_h (C, C)
    hidden_bias: Tensor  # b_h (C,)
    gate: Tensor  # w_g (1, C)
    gate_bias: Tensor  # b_g (1,)
    coordinate: Tensor | None = None  # W_c (C, C)
    coordinate_bias: Tensor | None = None  # b_c (C,)
    coordinate_out: Tensor | None = None  # v_c (1, C)
