"""Against pelican-lite, an independent implementation on PyPI: its weights on our layers, the same outputs.

Its conventions: coefficients of shape (in, out, maps) that are read as (out, in, maps); traces divided by N^2
instead of N; no powers of N and no biases.
"""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import leaky_relu, rms_norm

from eqviz.layers.permutation_equivariant import PermutationEquivariant, map_names
from eqviz.ops.permutation_2to2 import MirrorPairs

layers = pytest.importorskip("pelican.layers")
nets = pytest.importorskip("pelican.nets")

# The maps of each of its aggregators, in its order, by our names.
MAPS = {
    (2, 2): [
        *("x_ij", "x_ji", "diagonal at diagonal i = j", "diagonal at receiver i", "diagonal at sender j"),
        *("column at diagonal i = j", "row at diagonal i = j", "column at receiver i", "column at sender j"),
        *("row at receiver i", "row at sender j", "trace at everywhere", "trace at diagonal i = j"),
        *("total at everywhere", "total at diagonal i = j"),
    ],
    (1, 2): [
        *("x at diagonal i = j", "x at receiver i", "x at sender j"),
        *("mean at diagonal i = j", "mean at everywhere"),
    ],
    (2, 1): ["diagonal at i", "row at i", "column at i", "total at everywhere", "trace at everywhere"],
    (2, 0): ["total at everywhere", "trace at everywhere"],
    (0, 2): ["x at everywhere", "x at diagonal i = j"],
}


@pytest.fixture
def graph():
    """Two jets of seven particles: pairs in our rows, and in the order of pelican-lite."""
    n = 7
    pairs = MirrorPairs.build(torch.tensor([n, n]), block_pairs=50)
    edges = torch.cat([torch.cartesian_prod(torch.arange(n), torch.arange(n)) + n * k for k in range(2)]).T
    i, j = pairs.ends
    place = (i // n) * n * n + (i % n) * n + j % n  # the row of pelican-lite for each of ours
    return n, pairs, edges, torch.arange(2).repeat_interleave(n), place


def translated(aggregator, order_in, order_out, n):
    """Our layer with the weights of one of its aggregators, for jets of n particles."""
    maps, width = aggregator.num_maps, aggregator.in_channels
    weights = aggregator.coeffs.detach().reshape(-1, width, maps).permute(2, 1, 0)  # (maps, in, out)
    ours = PermutationEquivariant(order_in, order_out, width, weights.shape[2], bias=False)
    names = map_names(order_in, order_out)
    with torch.no_grad():
        for name, weight in zip(MAPS[order_in, order_out], weights, strict=True):
            share = 1 / n if name.startswith("trace") else 1.0
            ours.weight[names.index(name), 0] = share * weight
    return ours


@pytest.mark.parametrize("factorize", [True, False])
@pytest.mark.parametrize(("order_in", "order_out"), MAPS)
def test_aggregators(graph, order_in, order_out, factorize):
    n, pairs, edges, batch, place = graph
    torch.manual_seed(0)
    theirs = getattr(layers, f"Aggregator{order_in}to{order_out}")(5, 4, factorize=factorize)
    torch.nn.init.uniform_(theirs.map_multipliers)
    ours = translated(theirs, order_in, order_out, n)
    rows = (2, 2 * n, 2 * n * n)[order_in]
    x = torch.randn(rows, 5, requires_grad=True)
    expected = theirs(x, edge_index=edges, batch=batch, G=2)
    got = ours(x[place] if order_in == 2 else x, pairs)
    expected = expected[place] if order_out == 2 else expected
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)
    weights = torch.sin(torch.arange(expected.numel()).float()).view(expected.shape)
    if order_out == 2:  # of the two rows of (i, i) only one is an output of theirs
        i, j = pairs.ends
        second = torch.cat([(torch.arange(2 * b.pairs) >= b.pairs) for b in pairs.blocks])
        weights[(i == j) & second] = 0
    gradients = [torch.autograd.grad((out * weights).sum(), x)[0] for out in (got, expected)]
    torch.testing.assert_close(*gradients, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("out_rank", [0, 1])
def test_network(graph, out_rank):
    n, pairs, edges, batch, place = graph
    torch.manual_seed(0)
    net = nets.PELICAN(2, 3, 0, out_rank, 2, 3, 12, increase_hidden_channels=0.6, factorize=True)
    with torch.no_grad():  # its initial weights shrink signals with every block
        for parameter in net.parameters():
            if parameter.dim() > 1:
                parameter.mul_(1.5)
    x, labels = torch.randn(2 * n * n, 2), torch.randn(2 * n, 3)
    expected = net(edges, batch, in_rank2=x, in_rank1=labels, num_graphs=2)
    ours = translated(net.in_aggregator_rank1, 1, 2, n)
    features = torch.cat([x[place], ours(labels, pairs)], 1)
    features = translated(net.in_aggregator_rank2, 2, 2, n)(features, pairs)
    for block in net.blocks:
        linear, _, norm, _ = block.mlp
        message = leaky_relu(linear(features))
        message = rms_norm(message, norm.normalized_shape, norm.weight, norm.eps)
        features = leaky_relu(translated(block.aggregator, 2, 2, n)(message, pairs))
    got = translated(net.out_aggregator, 2, out_rank, n)(features, pairs)
    scale = float(expected.detach().abs().max())
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5 * scale)
    assert scale > 1e-3
