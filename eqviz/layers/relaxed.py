"""Group convolutions that may learn to break their symmetry (relaxed group convolution, arXiv:2201.11969).

The filter is a sum over banks, K[g, h] = sum_l w_l(h) K_l[g, h]: steerable where the weights w_l do not
depend on the group element h, as at the start, and free to depart from it where the data ask for that.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from eqviz.layers.fieldconv import FieldConv
from eqviz.layers.fields import FieldKind, FieldType
from eqviz.layers.kernels import kernel_tensor


class RelaxedConv(FieldConv):
    """A convolution of regular fields with element-dependent weights of ``n_banks`` steerable filters.

    The weights depend on the group element of the input, or of the output where scalars come in.
    """

    def __init__(
        self,
        in_type: FieldType,
        out_type: FieldType,
        kernel_size: int,
        powers: tuple[float, ...] | None = None,
        n_banks: int = 1,
    ) -> None:
        self.n_banks = n_banks
        super().__init__(in_type, out_type, kernel_size, powers)
        (come, _), (to, _) = in_type.parts[0], out_type.parts[0]
        elements = come.channels if come.channels > 1 else to.channels
        self.element_weights = nn.Parameter(torch.full((n_banks, elements), n_banks**-0.5))

    @property
    def banks(self) -> tuple[int, ...]:
        """One set of weights for each bank."""
        return (self.n_banks,)

    def expand(self, weight: Tensor, to: FieldKind, come: FieldKind) -> Tensor:
        """Weights (banks, n_out, n_in, kernels) to (n_out, out channels, n_in, in channels, size, size)."""
        where = "ld" if come.channels == 1 else "lc"
        mixed = torch.einsum(f"loib,{where}->oib{where[1]}", weight, self.element_weights)
        table = kernel_tensor(to, come, self.kernel_size, weight.dtype, weight.device)
        return torch.einsum(f"oib{where[1]},bdcyx->odicyx", mixed, table)

    def departure(self) -> float:
        """Spread of the weights over group elements, relative to their size: 0 is equivariant."""
        weights = self.element_weights.detach()
        spread = (weights - weights.mean(1, keepdim=True)).square().sum()
        return float((spread / weights.square().sum().clamp(min=1e-30)).sqrt())
