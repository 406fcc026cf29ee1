"""What goes into a mixing step and what comes out of a message step."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Spread(NamedTuple):
    """Node values that are spread over pairs, (n, O) each: u_i + v_j + delta_ij D_i."""

    receiver: Tensor
    sender: Tensor
    diagonal: Tensor


class PairStatistics(NamedTuple):
    """Aggregates of a pair tensor: row sums, column sums and diagonal (n, C), squares (C,)."""

    rows: Tensor
    columns: Tensor
    diagonal: Tensor
    square: Tensor
