"""Pair mixing and sums as operators of PyTorch with Triton kernels inside.

The products with weights, even and odd parts apart, are matrix products by the GPU's library; 132 x 78
channels do not fit into a program's registers. Kernels do the rest, in one pass each: even and odd parts,
spreading of node values with the rectifier, sums over pairs, and the same for gradients. The mixed tensor
between a mixing and the next message is not kept: :func:`mix_message` makes it again.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import leaky_relu
from torch.utils.checkpoint import checkpoint

from eqviz.ops.dispatch import accumulator, programs
from eqviz.ops.permutation_2to2.layout import MirrorPairs
from eqviz.ops.permutation_2to2.weights import PairStatistics, Spread

LARGEST_WIDTH = 1024


def fits(x: Tensor, width: int) -> bool:
    """Whether the kernels take a mixing of ``x`` into ``width`` channels."""
    return 0 < x.shape[1] <= LARGEST_WIDTH and 0 < width <= LARGEST_WIDTH


def index(pairs: MirrorPairs) -> tuple[Tensor, Tensor, Tensor]:
    """``places`` (n, 5), see the kernels, and both ends of each pair."""
    made: tuple[Tensor, Tensor, Tensor] | None = pairs.__dict__.get("_fused_index")
    if made is None:
        node, size, row, mirror = pairs.host_jets.T
        half, before = mirror - row, size * (size + 1) // 2
        pair = np.cumsum(before) - before
        table = np.stack([node, size, pair, row - pair, half], 1)
        places = torch.from_numpy(np.repeat(table, size, axis=0)).to(pairs.first.device)
        made = (places, pairs.first, pairs.second)
        pairs.__dict__["_fused_index"] = made
    return made


def pair_aggregate(x: Tensor, pairs: MirrorPairs) -> tuple[Tensor, Tensor, Tensor]:
    """As :func:`eqviz.ops.permutation_2to2.pair_aggregate`; sums are float32 where x is shorter."""
    return torch.ops.eqviz.pair_aggregate(x, *index(pairs))


def pair_mix(
    x: Tensor, even: Tensor, odd: Tensor, spread: Spread, pairs: MirrorPairs, slope: float
) -> Tensor:
    """As :func:`eqviz.ops.permutation_2to2.pair_mix`."""
    return torch.ops.eqviz.pair_mix(x, even, odd, *spread, *index(pairs), slope)


def mix_message(
    a: Tensor,
    even: Tensor,
    odd: Tensor,
    spread: Spread,
    weight: Tensor,
    bias: Tensor,
    pairs: MirrorPairs,
    slope: float,
    shift: Tensor | None,
) -> tuple[Tensor, PairStatistics]:
    """As :func:`eqviz.ops.permutation_2to2.mix_message`; pairs (i, i) count twice in the squares."""

    def step(a: Tensor, even: Tensor, odd: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        x = pair_mix(a, even, odd, Spread(*rest[:3]), pairs, slope)
        out = leaky_relu(torch.nn.functional.linear(x, *rest[3:]), slope)
        square = torch.zeros_like(bias) if shift is None else (out - shift).square().sum(0)
        return out, *pair_aggregate(out, pairs), square

    inputs = (a, even, odd, *spread, weight, bias)
    out, *found = checkpoint(step, *inputs, use_reentrant=False, preserve_rng_state=False)
    return out, PairStatistics(*found)


@torch.library.custom_op("eqviz::pair_aggregate", mutates_args=())
def _aggregate(x: Tensor, places: Tensor, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return node_sums(x, x, places, 1.0, False)


@_aggregate.register_fake
def _(x: Tensor, places: Tensor, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return node_values(x, places)


@torch.library.custom_op("eqviz::pair_aggregate_backward", mutates_args=())
def _aggregate_backward(
    rows: Tensor, columns: Tensor, diagonal: Tensor, places: Tensor, first: Tensor, second: Tensor
) -> Tensor:
    from eqviz.ops.permutation_2to2.triton import spread_kernel

    out = rows.new_empty(2 * len(first), rows.shape[1])
    values = (value.contiguous() for value in (rows, columns, diagonal))
    _over_pairs(spread_kernel, rows, (*values, first, second, places, out), len(first))
    return out


@_aggregate_backward.register_fake
def _(
    rows: Tensor, columns: Tensor, diagonal: Tensor, places: Tensor, first: Tensor, second: Tensor
) -> Tensor:
    return rows.new_empty(2 * len(first), rows.shape[1])


def _aggregate_setup(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    ctx.dtype = inputs[0].dtype
    ctx.save_for_backward(*inputs[1:])


def _aggregate_autograd(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
    grad = torch.ops.eqviz.pair_aggregate_backward(*grads, *ctx.saved_tensors)
    return grad.to(ctx.dtype), None, None, None


_aggregate.register_autograd(_aggregate_autograd, setup_context=_aggregate_setup)


@torch.library.custom_op("eqviz::pair_mix", mutates_args=())
def _mix(
    a: Tensor,
    even: Tensor,
    odd: Tensor,
    u: Tensor,
    v: Tensor,
    d: Tensor,
    places: Tensor,
    first: Tensor,
    second: Tensor,
    slope: float,
) -> Tensor:
    from eqviz.ops.permutation_2to2.triton import mix_kernel

    ends = (first, second, places)
    out = a.new_empty(a.shape[0], even.shape[0])
    parts = _split(a, a, ends, 1.0, False, a.dtype)
    halves = (torch.mm(part, weight.T.to(part.dtype)) for part, weight in zip(parts, (even, odd)))
    spread = (value.contiguous() for value in (u, v, d))
    _over_pairs(mix_kernel, out, (*halves, *spread, *ends, out), len(first), {"SLOPE": slope})
    return out


@_mix.register_fake
def _(a: Tensor, even: Tensor, *rest: Any) -> Tensor:
    return a.new_empty(a.shape[0], even.shape[0])


@torch.library.custom_op("eqviz::pair_mix_backward", mutates_args=())
def _mix_backward(
    a: Tensor,
    even: Tensor,
    odd: Tensor,
    x: Tensor,
    grad: Tensor,
    places: Tensor,
    first: Tensor,
    second: Tensor,
    slope: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    from eqviz.ops.permutation_2to2.triton import join_kernel

    grad, ends = grad.contiguous(), (first, second, places)
    to_even, to_odd = _split(grad, x, ends, slope, True, a.dtype)
    parts = _split(a, a, ends, slope, False, a.dtype)
    dtype, d_a = accumulator(a.dtype), torch.empty_like(a, memory_format=torch.contiguous_format)
    d_even, d_odd = (torch.mm(to.T, part).to(dtype) for to, part in zip((to_even, to_odd), parts))
    halves = (torch.mm(to, w.to(to.dtype)) for to, w in zip((to_even, to_odd), (even, odd)))
    _over_pairs(join_kernel, a, (*halves, *ends, d_a), len(first))
    return d_a, d_even, d_odd, *node_sums(grad, x, places, slope, True)


@_mix_backward.register_fake
def _(a: Tensor, even: Tensor, odd: Tensor, x: Tensor, grad: Tensor, places: Tensor, *rest: Any) -> Any:
    dtype = accumulator(a.dtype)
    weights = (even.new_empty(even.shape, dtype=dtype) for _ in range(2))
    return a.new_empty(a.shape), *weights, *node_values(x, places)


def _mix_setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    a, even, odd, *spread = inputs[:6]
    ctx.slope, ctx.dtypes = inputs[9], [value.dtype for value in (even, odd, *spread)]
    ctx.save_for_backward(a, even, odd, output, *inputs[6:9])


def _mix_autograd(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    a, even, odd, x, *ends = ctx.saved_tensors
    d_a, *others = torch.ops.eqviz.pair_mix_backward(a, even, odd, x, grad, *ends, ctx.slope)
    return d_a, *(value.to(dtype) for value, dtype in zip(others, ctx.dtypes)), None, None, None, None


_mix.register_autograd(_mix_autograd, setup_context=_mix_setup)


def _width(x: Tensor) -> dict[str, int]:
    from eqviz.ops.triton import channel_blocks

    low, high = channel_blocks(x.shape[1])
    return {"C": x.shape[1], "LO": low, "HI": high}


def node_values(x: Tensor, places: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    shape, dtype = (places.shape[0], x.shape[1]), accumulator(x.dtype)
    return x.new_empty(shape, dtype=dtype), x.new_empty(shape, dtype=dtype), x.new_empty(shape, dtype=dtype)


def node_sums(
    x: Tensor, y: Tensor, places: Tensor, slope: float, gradient: bool
) -> tuple[Tensor, Tensor, Tensor]:
    from eqviz.ops.permutation_2to2.triton import NODE_BLOCK, OPTIONS, sums_kernel
    from eqviz.ops.triton import TYPES

    out = node_values(x, places)
    if len(places):
        sums_kernel[programs(x.device, len(places))](
            x.contiguous(), y, places, *out, len(places), **_width(x), ACC=TYPES[accumulator(x.dtype)],
            SLOPE=slope, GRADIENT=gradient, **NODE_BLOCK, **OPTIONS,
        )  # fmt: skip
    return out


def _split(
    x: Tensor, y: Tensor, ends: tuple[Tensor, ...], slope: float, gradient: bool, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    from eqviz.ops.permutation_2to2.triton import split_kernel

    shape = len(ends[0]), x.shape[1]
    out = x.new_empty(shape, dtype=dtype), x.new_empty(shape, dtype=dtype)
    extra = {"SLOPE": slope, "GRADIENT": gradient}
    _over_pairs(split_kernel, x, (x.contiguous(), y, *ends, *out), len(ends[0]), extra)
    return out


def _over_pairs(
    kernel: Any, x: Tensor, arguments: tuple[Any, ...], n_pairs: int, extra: dict[str, Any] | None = None
) -> None:
    """Launch a kernel that goes over all pairs with rows as wide as ``x``."""
    from eqviz.ops.permutation_2to2.triton import OPTIONS, ROWS
    from eqviz.ops.triton import TYPES

    if n_pairs:
        types = {"ACC": TYPES[accumulator(x.dtype)]}
        kernel[programs(x.device, n_pairs, ROWS["R"])](
            *arguments, n_pairs, **_width(x), **types, **ROWS, **(extra or {}), **OPTIONS
        )
