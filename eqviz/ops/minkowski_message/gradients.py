"""The backward pass of the tiled message; formulae in :mod:`eqviz.ops.minkowski_message.tiled`."""

from __future__ import annotations

import torch
from torch import Tensor

from eqviz.ops.minkowski_message.weights import MessageWeights
from eqviz.ops.minkowski_message.work import Work


class Gradients:
    """Accumulators shaped like the inputs, filled strip by strip with :meth:`add`."""

    def __init__(self, work: Work, of_features: bool, d_total: Tensor, d_coordinates: Tensor | None) -> None:
        w, strips = work.w, work.strips
        self.work, self.w = work, w
        self.weights = MessageWeights(*(None if x is None else torch.zeros_like(x) for x in w))  # type: ignore[arg-type]
        self.first, self.v = torch.empty_like(work.first_weights), torch.zeros_like(work.v)
        self.by_receiver = strips.of_receivers(self.first)
        self.s = work.v.new_empty(work.layout.n_pairs, w.features.shape[1]) if of_features else None
        self.of_pairs = strips.of_pairs(self.s)
        self.d_total = strips.of_receivers(d_total.unsqueeze(1))
        # by what g and t are multiplied in the gradient of r
        self.into_r = strips.of_receivers(torch.stack([d_total, w.gate.expand_as(d_total)], dim=1))
        self.d: list[Tensor] = []
        if d_coordinates is not None and w.coordinate is not None:
            assert w.coordinate_out is not None and w.coordinate_bias is not None
            self.d = strips.of_pairs(d_coordinates * work.layout.pair_mask)
            self.scaled = w.coordinate_out.T * w.coordinate
            self.scaled_bias = w.coordinate_out[0] * w.coordinate_bias

    def add(self, index: int) -> None:
        """What flows through one strip."""
        work, into, strip = self.work, self.weights, self.work.strips[index]
        a, r, g = work.first(index), work.r[index], work.g[index]
        if work.recompute:
            work.hidden(index, a)
        logit = torch.bmm(self.d_total[index], strip.by_receiver(r).transpose(1, 2)).view(-1).mul_(g)
        through = self._coordinates(index, r, g, logit) if self.d else None
        logit.addcmul_(logit, g, value=-1)
        into.gate.addmm_(logit[None], r)
        into.gate_bias.add_(logit.sum())
        grad = work.scratch[2][index]
        scalars = torch.stack([g, logit]).view(2, strip.receivers, strip.size).permute(1, 2, 0)
        torch.bmm(scalars, self.into_r[index], out=strip.by_receiver(grad))
        if through is not None:
            grad.addmm_(through, self.scaled)
        _through_relu(grad, r)
        into.hidden.addmm_(grad.T, a)
        into.hidden_bias.add_(grad.sum(0))
        self._inputs(index, _through_relu(torch.mm(grad, self.w.hidden, out=work.scratch[1][index]), a))

    def of_inputs(self) -> tuple[Tensor, Tensor, Tensor | None]:
        """Gradients of u, v and s, once every strip has been added; completes those of the weights."""
        width = self.w.features.shape[1]
        self.weights.features.copy_(self.first[:, :width].sum(0).T)
        if self.d:
            self._finish_coordinates()
        return self.first[:, width], self.v, self.s

    def _inputs(self, index: int, d_a: Tensor) -> None:
        work, strip = self.work, self.work.strips[index]
        torch.bmm(work.features[index].transpose(1, 2), strip.by_receiver(d_a), out=self.by_receiver[index])
        strip.senders(self.v).add_(strip.dense(d_a).sum(1))
        if self.s is not None:
            torch.mm(d_a, self.w.features, out=self.of_pairs[index])

    def _coordinates(self, index: int, r: Tensor, g: Tensor, logit: Tensor) -> Tensor:
        """g d Q (T, C) in the second buffer; what comes through c_ij is added to ``logit``."""
        work, into, d = self.work, self.weights, self.d[index]
        assert into.coordinate is not None and into.coordinate_bias is not None
        scratch, active = work.scratch[1][index], work.active[index]
        if work.recompute:
            work.second(index, torch.mul(r, g[:, None], out=scratch), wants_active=True)
        through = torch.mul(active, (d * g)[:, None], out=scratch)
        logit.addcmul_(d, work.c[index] - torch.mv(active, self.scaled_bias))
        into.coordinate_bias.addmv_(active.T, d)
        into.coordinate.addmm_(through.T, r)
        return through

    def _finish_coordinates(self) -> None:
        """v_c scales rows of W_c: cheaper on sums over pairs than on pairs."""
        w, into = self.w, self.weights
        assert w.coordinate is not None and w.coordinate_bias is not None and w.coordinate_out is not None
        assert into.coordinate is not None and into.coordinate_bias is not None
        assert into.coordinate_out is not None
        into.coordinate_out[0] = (into.coordinate * w.coordinate).sum(1)
        into.coordinate_out[0] += into.coordinate_bias * w.coordinate_bias
        into.coordinate.mul_(w.coordinate_out.T)
        into.coordinate_bias.mul_(w.coordinate_out[0])


def _through_relu(grad: Tensor, output: Tensor) -> Tensor:
    """``grad`` where the rectifier's ``output`` is positive, else 0, in place."""
    return torch.ops.aten.threshold_backward.grad_input(grad, output, 0, grad_input=grad)
