"""The generic layer: all maps of the group theory, nothing else, for permutations and a channel group."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch

from eqviz.errors import ConfigError, DataError
from eqviz.groups import lorentz, so3
from eqviz.groups.permutation_maps import equivariant_basis
from eqviz.kinematics import random_lorentz
from eqviz.layers.permutation_equivariant import PermutationEquivariant, map_names
from eqviz.ops.permutation_2to2 import MirrorPairs

ORDERS = list(product(range(3), repeat=2))
DIMENSIONS = {(0, 0): 1, (0, 1): 1, (0, 2): 2, (1, 1): 2, (1, 2): 5, (2, 2): 15}


def to_rows(dense, order, pairs):
    """(n,) * order arrays of one jet as the rows of an order-``order`` tensor, channels last."""
    if order == 2:
        i, j = pairs.ends
        return dense[i, j]
    return dense[None] if order == 0 else dense


def to_dense(rows, order, pairs):
    if order == 2:
        i, j = pairs.ends
        out = rows.new_empty(pairs.n_nodes, pairs.n_nodes, *rows.shape[1:])
        out[i, j] = rows
        return out
    return rows[0] if order == 0 else rows


def matrices(layer, n):
    """Every map of a layer with one channel as a matrix (n^b, n^a)."""
    pairs = MirrorPairs.build(torch.tensor([n]))
    a, b = layer.order_in, layer.order_out
    units = torch.eye(n**a, dtype=torch.float64).view(*[n] * a, n**a)
    found = []
    for index in range(len(layer.weight)):
        with torch.no_grad():
            layer.weight.zero_()
            layer.weight[index] = 1
            columns = [layer(to_rows(units[..., [k]], a, pairs), pairs) for k in range(n**a)]
        found.append(torch.stack([to_dense(column, b, pairs).flatten() for column in columns], 1))
    return torch.stack(found).numpy()


@pytest.mark.parametrize("sums", [True, False])
@pytest.mark.parametrize(("order_in", "order_out"), ORDERS)
def test_span_of_the_group_theory(order_in, order_out, sums):
    n = 5
    layer = PermutationEquivariant(order_in, order_out, 1, 1, bias=False, sums=sums).double()
    ours = matrices(layer, n).reshape(len(layer.weight), -1)
    basis = equivariant_basis(n, order_in, order_out)
    theirs = basis.reshape(len(basis), -1)
    dimension = DIMENSIONS[tuple(sorted((order_in, order_out)))]
    assert len(ours) == len(map_names(order_in, order_out)) == dimension
    ranks = [np.linalg.matrix_rank(rows) for rows in (ours, theirs, np.vstack([ours, theirs]))]
    assert ranks == [dimension] * 3
    if sums:
        assert set(np.unique(ours)) <= {0.0, 1.0}


def batch(order, channels, *shape, lengths=(4, 0, 1, 3), seed=0):
    pairs = MirrorPairs.build(torch.tensor(lengths), block_pairs=12)
    rng = np.random.default_rng(seed)
    rows = (pairs.n_jets, pairs.n_nodes, pairs.n_nodes**2)[order]
    x = torch.from_numpy(rng.normal(size=(rows, channels, *shape)))
    if order == 2:
        i, j = pairs.ends
        x = x[i * pairs.n_nodes + j]
    return x, pairs


@pytest.mark.parametrize(("order_in", "order_out"), ORDERS)
def test_permutations_of_particles(order_in, order_out):
    torch.manual_seed(0)
    layer = PermutationEquivariant(order_in, order_out, 3, 2).double()
    torch.nn.init.normal_(layer.bias)
    pairs = MirrorPairs.build(torch.tensor([5]))
    rng = np.random.default_rng(0)
    dense = torch.from_numpy(rng.normal(size=(*[5] * order_in, 3)))
    order = torch.from_numpy(rng.permutation(5))

    def moved(values, rank):
        return values[order][:, order] if rank == 2 else values[order] if rank else values

    def run(values):
        return to_dense(layer(to_rows(values, order_in, pairs), pairs), order_out, pairs)

    with torch.no_grad():
        torch.testing.assert_close(
            run(moved(dense, order_in)), moved(run(dense), order_out), rtol=1e-12, atol=1e-12
        )


@pytest.mark.parametrize(("order_in", "order_out"), ORDERS)
def test_vectors_in_the_channels(order_in, order_out):
    torch.manual_seed(0)
    vector = lorentz().vector()
    layer = PermutationEquivariant(order_in, order_out, 3, 2, vector, vector).double()
    assert layer.bias is None  # no four-vector is the same in every frame
    assert "order" in layer.in_rep and "SO+(1,3)" in layer.in_rep
    x, pairs = batch(order_in, 3, 4)
    matrix = torch.from_numpy(random_lorentz(np.random.default_rng(1), 10.0))
    with torch.no_grad():
        expected = layer(x, pairs) @ matrix.T
        scale = float(expected.abs().max())
        torch.testing.assert_close(layer(x @ matrix.T, pairs), expected, rtol=1e-9, atol=1e-9 * scale)
    assert scale > 0


def test_two_equal_parts_have_four_intertwiners():
    vector = so3().irrep(1)
    double = PermutationEquivariant(2, 2, 1, 1, vector + vector, vector + vector)
    assert double.weight.shape == (15, 4, 1, 1)
    both = vector + so3().trivial()
    mixed = PermutationEquivariant(1, 2, 2, 3, both, both).double()
    assert mixed.weight.shape == (5, 2, 2, 3)
    assert mixed.bias.shape == (2, 1, 3)
    torch.nn.init.normal_(mixed.bias)
    x, pairs = batch(1, 2, 4)
    element = so3().samples(1, 0)[0]
    turn = torch.from_numpy(both(element))
    with torch.no_grad():
        torch.testing.assert_close(mixed(x @ turn.T, pairs), mixed(x, pairs) @ turn.T, rtol=1e-9, atol=1e-9)


def test_scalars_to_vectors_need_an_invariant():
    with pytest.raises(ConfigError, match="no linear map from order-1 tensor to order-1 tensor x"):
        PermutationEquivariant(1, 1, 1, 1, None, so3().irrep(1))


@pytest.mark.parametrize(("order_in", "order_out"), ORDERS)
def test_ragged_batches_and_gradients(order_in, order_out):
    torch.manual_seed(0)
    layer = PermutationEquivariant(order_in, order_out, 2, 2).double()
    torch.nn.init.normal_(layer.bias)
    x, pairs = batch(order_in, 2)
    out = layer(x, pairs)
    assert len(out) == (pairs.n_jets, pairs.n_nodes, pairs.n_rows)[order_out]
    start = end = 0
    for jet, n in enumerate(pairs.lengths.tolist()):
        alone = MirrorPairs.build(torch.tensor([n]))
        ends = pairs.ends
        rows = {0: [jet], 1: range(start, start + n)}
        mine = [k for k in range(pairs.n_rows) if start <= int(ends[0][k]) < start + n]
        order = {(int(ends[0][k]), int(ends[1][k])): k for k in mine}
        rows[2] = [order[(int(i) + start, int(j) + start)] for i, j in zip(*alone.ends)]
        single = layer(x[list(rows[order_in])], alone)
        torch.testing.assert_close(out[list(rows[order_out])], single, rtol=1e-12, atol=1e-12)
        start, end = start + n, end + len(mine)
    assert end == pairs.n_rows
    x.requires_grad_()
    layer(x, pairs).square().sum().backward()
    assert torch.isfinite(x.grad).all()
    assert layer.weight.grad.abs().sum() > 0 and layer.bias.grad.abs().sum() > 0


def test_other_shapes_are_refused():
    layer = PermutationEquivariant(1, 2, 2, 3)
    x, pairs = batch(1, 2)
    with pytest.raises(DataError, match=r"expected particles of shape \(8, 2\).*got \(8, 1\)"):
        layer(x[:, :1].float(), pairs)
    with pytest.raises(ConfigError, match="expected orders 0, 1 or 2, got 3 and 1"):
        PermutationEquivariant(3, 1, 1, 1)
    with pytest.raises(ConfigError, match="expected 1 or more channels"):
        PermutationEquivariant(1, 1, 0, 1)
    assert "15 x 1 maps" in repr(PermutationEquivariant(2, 2, 1, 1))


def test_state_dict_round_trip():
    layer, other = (PermutationEquivariant(2, 1, 2, 3) for _ in range(2))
    other.load_state_dict(layer.state_dict())
    x, pairs = batch(2, 2)
    assert torch.equal(layer(x.float(), pairs), other(x.float(), pairs))
