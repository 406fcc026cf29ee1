"""LorentzNet as published, step by step: an oracle for tests and the yardstick of benchmarks.

Written from arXiv:2201.08187 and the shapes of the released weights, with what that network does and
ours does not: padded dense batches, one row of 2 H + 2 numbers per pair, clamped coordinate updates, padded
nodes in the normalisation of nodes, and a readout divided by the padded length.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn


def signed_log(x: Tensor) -> Tensor:
    """psi of eq. 3.2."""
    return torch.sign(x) * torch.log(torch.abs(x) + 1)


def minkowski_square(a: Tensor, b: Tensor) -> Tensor:
    """2 a_0 b_0 - sum_mu a_mu b_mu, (n, 1)."""
    product = a * b
    return (2 * product[:, 0] - product.sum(1)).unsqueeze(1)


class PublishedBlock(nn.Module):
    """Equations 3.2 to 3.5, on flat lists of nodes and edges; parameter names as released."""

    def __init__(self, hidden: int, n_scalars: int, c_weight: float, last: bool, clamp: float) -> None:
        super().__init__()
        self.c_weight, self.clamp = c_weight, clamp
        self.phi_e = nn.Sequential(
            nn.Linear(2 * hidden + 2, hidden, bias=False),
            nn.BatchNorm1d(hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
        )
        self.phi_h = nn.Sequential(
            nn.Linear(2 * hidden + n_scalars, hidden),
            nn.BatchNorm1d(hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
        )
        self.phi_m = nn.Sequential(nn.Linear(hidden, 1), nn.Sigmoid())
        self.phi_x = None
        if not last:
            out = nn.Linear(hidden, 1, bias=False)
            nn.init.xavier_uniform_(out.weight, gain=1e-3)
            self.phi_x = nn.Sequential(nn.Linear(hidden, hidden), nn.ReLU(), out)

    def forward(self, h: Tensor, x: Tensor, s: Tensor, i: Tensor, j: Tensor) -> tuple[Tensor, Tensor]:
        """h (n, H), x (n, 4) and s (n, S) of all nodes, padding included; edges from j to i."""
        difference = x[i] - x[j]
        norm = signed_log(minkowski_square(difference, difference))
        dot = signed_log(minkowski_square(x[i], x[j]))
        m = self.phi_e(torch.cat([h[i], h[j], norm, dot], dim=1))
        m = m * self.phi_m(m)
        if self.phi_x is not None:
            step = torch.clamp(difference * self.phi_x(m), -self.clamp, self.clamp)
            count = torch.zeros_like(x).index_add(0, i, torch.ones_like(step)).clamp(min=1)
            x = x + self.c_weight * torch.zeros_like(x).index_add(0, i, step) / count
        total = h.new_zeros(h.shape).index_add(0, i, m)
        return h + self.phi_h(torch.cat([h, total, s], dim=1)), x


class PublishedLorentzNet(nn.Module):
    """The whole network; load the released weights after removing the prefix ``module.``."""

    def __init__(
        self,
        n_scalars: int = 2,
        hidden: int = 72,
        n_blocks: int = 6,
        n_classes: int = 2,
        c_weight: float = 5e-3,
        clamp: float = 100.0,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        self.embedding = nn.Linear(n_scalars, hidden)
        self.LGEBs = nn.ModuleList(
            PublishedBlock(hidden, n_scalars, c_weight, k == n_blocks - 1, clamp) for k in range(n_blocks)
        )
        self.graph_dec = nn.Sequential(
            nn.Linear(hidden, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, n_classes)
        )

    def forward(self, x: Tensor, scalars: Tensor, mask: Tensor) -> Tensor:
        """Logits (B, classes) from momenta (B, N, 4) with beams, scalars (B, N, S) and mask (B, N)."""
        batch, length = mask.shape
        i, j = edges(mask)
        s = scalars.flatten(0, 1)
        h, x = self.embedding(s), x.flatten(0, 1)
        for block in self.blocks():
            h, x = block(h, x, s, i, j)
        pooled = (h.view(batch, length, -1) * mask.unsqueeze(2)).sum(1) / length
        return self.graph_dec(pooled)

    def blocks(self) -> Iterator[PublishedBlock]:
        """The blocks in order."""
        for block in self.LGEBs:
            assert isinstance(block, PublishedBlock)
            yield block


def edges(mask: Tensor) -> tuple[Tensor, Tensor]:
    """Receiver and sender, as rows of the flattened (B, N) nodes, of all pairs of different real nodes."""
    length = mask.shape[1]
    pairs = mask[:, :, None] & mask[:, None] & ~torch.eye(length, dtype=torch.bool, device=mask.device)
    jet, i, j = torch.nonzero(pairs, as_tuple=True)
    return jet * length + i, jet * length + j
