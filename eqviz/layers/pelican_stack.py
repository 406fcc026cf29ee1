"""The body of PELICAN: encoded products and labels, then blocks of message and Eq 2->2 (arXiv:2307.16506)."""

from __future__ import annotations

from torch import Tensor, nn

from eqviz.layers.pair_encoding import PairEncoding, encode
from eqviz.layers.pair_norm import Affine, PairNorm
from eqviz.layers.pelican_maps import NodesToPairs, PairMixing
from eqviz.ops.permutation_2to2 import (
    MirrorPairs,
    PairStatistics,
    encode_message,
    mix_message,
    pair_mix,
)


class PelicanStack(nn.Module):
    """d_ij and labels of particles to the aggregates of a last message, ready for Eq 2->0 or Eq 2->1.

        x_0 = [encode(d_ij), Eq_1->2(labels)],   a_k = leaky(Linear(x_k)),   x_k+1 = leaky(Eq_2->2(norm(a_k)))

    Args:
        hidden: channels of x.
        message: channels of a.
        n_blocks: number of Eq 2->2 layers; there is one message more.
        n_labels: width of the labels, 0 for none.
        label_channels: channels of x_0 that come from labels.
        slope: of the leaky rectifiers.
    """

    in_rep = "order-2 tensor + order-1 tensor"
    out_rep = "order-2 tensor"

    def __init__(
        self, hidden: int, message: int, n_blocks: int, n_labels: int, label_channels: int, slope: float
    ) -> None:
        super().__init__()
        self.slope = slope
        self.encoding = PairEncoding(hidden - label_channels)
        self.labels = NodesToPairs(n_labels, label_channels) if n_labels else None
        self.messages = nn.ModuleList(nn.Linear(hidden, message) for _ in range(n_blocks + 1))
        self.norms = nn.ModuleList(PairNorm(message) for _ in range(n_blocks + 1))
        self.mixings = nn.ModuleList(PairMixing(message, hidden) for _ in range(n_blocks))

    def forward(self, d: Tensor, labels: Tensor, pairs: MirrorPairs) -> tuple[PairStatistics, Affine]:
        """Aggregates of the last message and its normalisation.

        Args:
            d: (T,) products of the pairs i <= j.
            labels: (n, n_labels).
            pairs: where the pairs are.
        """
        message, norm, shift = self._message(0)
        encoding = self.encoding
        parameters = (encoding.weight, encoding.bias, encoding.alpha)
        a, found = encode_message(
            d,
            self._label_pairs(labels, d, pairs),
            encode,
            parameters,
            message.weight,
            message.bias,
            pairs,
            self.slope,
            shift,
        )
        affine = norm.folded(found, shift, pairs)
        for index, mixing in enumerate(self.mixings, 1):
            even, odd, spread = mixing(found, affine, pairs)
            message, norm, shift = self._message(index)
            a, found = mix_message(
                a, even, odd, spread, message.weight, message.bias, pairs, self.slope, shift
            )
            affine = norm.folded(found, shift, pairs)
        return found, affine

    def _message(self, index: int) -> tuple[nn.Linear, PairNorm, Tensor | None]:
        message, norm = self.messages[index], self.norms[index]
        assert isinstance(message, nn.Linear) and isinstance(norm, PairNorm)
        return message, norm, norm.shift

    def _label_pairs(self, labels: Tensor, d: Tensor, pairs: MirrorPairs) -> Tensor:
        """(R, L) pair channels of the labels."""
        nothing = d.new_zeros(pairs.n_rows, 0)
        if self.labels is None:
            return nothing
        spread = self.labels(labels, pairs)
        none = d.new_zeros(spread.receiver.shape[1], 0)
        return pair_mix(nothing, none, none, spread, pairs, self.slope)
