"""Mixing and message as one operator of PyTorch, without the mixed pair tensor: Triton kernels inside.

What goes through memory are messages, C or C' numbers a row: forward reads a and writes a', and reads it for
its sums. Backward reads the gradient and a' and writes the gradient before the rectifier; it reads that and a
three times, once for a and the nodes, twice for weights, and writes the gradient of a. Gradients of nodes are
added atomically: where deterministic algorithms are asked for, :mod:`fused` does it step by step.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from eqviz.ops.dispatch import accumulator, autocasts, dot_precision, hopper, programs
from eqviz.ops.permutation_2to2.fused import index, node_sums, node_values
from eqviz.ops.permutation_2to2.layout import MirrorPairs
from eqviz.ops.permutation_2to2.weights import PairStatistics, Spread

LARGEST_MESSAGE, LARGEST_MIXED = 128, 512


def fits(a: Tensor, even: Tensor, weight: Tensor) -> bool:
    """Whether the kernels take these inputs.

    On a GPU that is 16 bits, and from Hopper on float32 as TF32 where PyTorch is allowed to use it: older
    cards spill too much. Exact float32 is left to the GPU's library of products.
    """
    if max(even.shape[1], len(weight)) > LARGEST_MESSAGE or len(even) > LARGEST_MIXED:
        return False
    if not a.is_cuda:
        return True
    if torch.are_deterministic_algorithms_enabled():
        return False
    halves = a.dtype in (torch.float16, torch.bfloat16) or autocasts(a)
    return halves or (a.dtype == torch.float32 and dot_precision() == "tf32" and hopper(a.device))


def tiles(pairs: MirrorPairs) -> Tensor:
    """The table of the kernels, (K, 6), made once for a layout."""
    from eqviz.ops.permutation_2to2.triton_message import TILE

    made: Tensor | None = pairs.__dict__.get("_fused_tiles")
    if made is None:
        jets, block_i, block_j = pairs.host_jets, TILE["BI"], TILE["BJ"]
        parts = [np.zeros((0, 6), np.int64)]
        for start, size, first, mirror in jets.tolist():
            i, j = np.meshgrid(np.arange(0, size, block_i), np.arange(0, size, block_j), indexing="ij")
            chosen = j + block_j > i  # some j of the tile is not below its first i
            i, j = i[chosen], j[chosen]
            parts.append(
                np.stack([*(np.full_like(i, x) for x in (start, size, first, mirror - first)), i, j], 1)
            )
        made = torch.from_numpy(np.concatenate(parts)).to(pairs.first.device)
        pairs.__dict__["_fused_tiles"] = made
    return made


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
    """As :func:`eqviz.ops.permutation_2to2.fused.mix_message`.

    Under autocast messages are stored in its 16 bits; sums are float32 at least.
    """
    if autocasts(a):
        a = a.to(torch.get_autocast_dtype(a.device.type))
    inputs = (a, even, odd, *spread, weight, bias, shift)
    out, *found = torch.ops.eqviz.mix_message(*inputs, tiles(pairs), *index(pairs), slope)
    return out, PairStatistics(*found)


@torch.library.custom_op("eqviz::mix_message", mutates_args=())
def _forward(
    a: Tensor,
    even: Tensor,
    odd: Tensor,
    u: Tensor,
    v: Tensor,
    d: Tensor,
    weight: Tensor,
    bias: Tensor,
    shift: Tensor | None,
    tiles: Tensor,
    places: Tensor,
    first: Tensor,
    second: Tensor,
    slope: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    from eqviz.ops.permutation_2to2.triton_message import CHUNK, OPTIONS, TILE, message_kernel

    out, squares = a.new_empty(len(a), len(weight)), None
    if len(tiles):
        grid = programs(a.device, len(tiles))
        squares = a.new_empty(grid[0], len(weight), dtype=accumulator(a.dtype))
        sizes = _constants(a, even, weight)
        w = _Weights.pad(a, even, odd, weight, sizes)
        nodes = _contiguous(u, v, d)
        vectors = _contiguous(bias, bias if shift is None else shift)
        message_kernel[grid](
            a.contiguous(), w.even, w.odd, *nodes, w.weight, *vectors, tiles, out, squares, len(tiles),
            SQUARES=shift is not None, SLOPE=slope, **sizes, **TILE, **CHUNK, **OPTIONS,
        )  # fmt: skip
    return out, *node_sums(out, out, places, 1.0, False), _total(squares, out)


@_forward.register_fake
def _(
    a: Tensor, even: Tensor, odd: Tensor, u: Tensor, v: Tensor, d: Tensor, weight: Tensor, *rest: Any
) -> Any:
    out = a.new_empty(len(a), len(weight))
    return out, *node_values(out, rest[3]), out.new_empty(len(weight), dtype=accumulator(a.dtype))


@torch.library.custom_op("eqviz::mix_message_backward", mutates_args=())
def _backward(
    a: Tensor,
    even: Tensor,
    odd: Tensor,
    u: Tensor,
    v: Tensor,
    d: Tensor,
    weight: Tensor,
    shift: Tensor | None,
    out: Tensor,
    grads: list[Tensor],
    tiles: Tensor,
    places: Tensor,
    first: Tensor,
    second: Tensor,
    slope: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Of a, u, v, D, [even, odd, W^T] in one row, and b."""
    from eqviz.ops.permutation_2to2 import triton_message as kernels

    d_a, d_u, d_v, d_d, d_weights, d_bias = _gradients(a, even, weight, len(u))
    for value in (d_u, d_v, d_d, d_weights):
        value.zero_()
    d_y, d_bias = _arrive(out, grads, shift, (first, second, places), slope, d_bias)
    if len(tiles):
        sizes = {"SLOPE": slope, **_constants(a, even, weight)}
        w, nodes, a = _Weights.pad(a, even, odd, weight, sizes), _contiguous(u, v, d), a.contiguous()
        transposed = w.weight.T.contiguous()
        kernels.gradient_kernel[programs(a.device, len(tiles))](
            a, d_y, w.even, w.odd, w.even.T.contiguous(), w.odd.T.contiguous(), transposed, *nodes, tiles,
            d_a, d_u, d_v, d_d, len(tiles),
            **sizes, **kernels.TILE, **kernels.GRADIENT_CHUNK, **kernels.GRADIENT_OPTIONS,
        )  # fmt: skip
        d_weights = _weight_gradients((a, d_y, w.even, w.odd), transposed, nodes, tiles, d_weights, sizes)
    return d_a, d_u, d_v, d_d, d_weights, d_bias


@_backward.register_fake
def _(
    a: Tensor, even: Tensor, odd: Tensor, u: Tensor, v: Tensor, d: Tensor, weight: Tensor, *rest: Any
) -> Any:
    return _gradients(a, even, weight, len(u))


def _weight_gradients(
    inputs: tuple[Tensor, ...],
    transposed: Tensor,
    nodes: list[Tensor],
    tiles: Tensor,
    like: Tensor,
    sizes: dict[str, Any],
) -> Tensor:
    """Of even, odd and W^T, one after the other: two kernels, each with a row per program."""
    from eqviz.ops.permutation_2to2 import triton_weights as kernels
    from eqviz.ops.permutation_2to2.triton_message import TILE

    chunks = -(-sizes["OUT"] // kernels.CHUNK["BO"])
    grid = max(2, programs(like.device, len(tiles))[0] // (4 * chunks)), chunks
    options = {**sizes, **kernels.CHUNK, **kernels.OPTIONS}
    mix = like.new_empty(grid[0], 2 * sizes["C"] * sizes["OUT"])
    kernels.mix_weight_kernel[grid](
        *inputs, transposed, *nodes, tiles, mix, len(tiles), TILE=TILE["BI"], **kernels.PART, **options
    )
    message = like.new_empty(grid[0], sizes["M"] * sizes["OUT"])
    kernels.message_weight_kernel[grid](*inputs, *nodes, tiles, message, len(tiles), **TILE, **options)
    return torch.cat([mix.sum(0), message.sum(0)])


def _arrive(
    out: Tensor,
    grads: list[Tensor],
    shift: Tensor | None,
    ends: tuple[Tensor, ...],
    slope: float,
    d_bias: Tensor,
) -> tuple[Tensor, Tensor]:
    """The gradient before the last rectifier from those of all results, and its sum over rows."""
    from eqviz.ops.permutation_2to2.triton import OPTIONS, ROWS
    from eqviz.ops.permutation_2to2.triton_message import arrive_kernel

    d_y, n_pairs = torch.empty_like(out), len(ends[0])
    if not n_pairs:
        return d_y, d_bias.zero_()
    *nodes, square = _contiguous(*grads)
    centre = square if shift is None else shift.contiguous()
    square = torch.zeros_like(square) if shift is None else square
    grid = programs(out.device, n_pairs, ROWS["R"])
    partial = d_bias.new_empty(grid[0], len(d_bias))
    sizes = _widths("M", out.shape[1])
    arrive_kernel[grid](
        nodes[0], out, *nodes[1:], square, centre, *ends, d_y, partial, n_pairs,
        SLOPE=slope, **sizes, **ROWS, **OPTIONS, **_sums(out),
    )  # fmt: skip
    return d_y, partial.sum(0)


def _gradients(a: Tensor, even: Tensor, weight: Tensor, n_nodes: int) -> tuple[Tensor, ...]:
    dtype, mixed = accumulator(a.dtype), len(even)
    nodes = (a.new_empty(n_nodes, mixed, dtype=dtype) for _ in range(3))
    weights = a.new_empty((2 * a.shape[1] + len(weight)) * mixed, dtype=dtype)
    return (
        torch.empty_like(a, memory_format=torch.contiguous_format),
        *nodes,
        weights,
        a.new_empty(len(weight), dtype=dtype),
    )


def _setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    ctx.dtypes = [value.dtype for value in inputs[:8]]
    *tensors, ctx.slope = inputs
    del tensors[7]  # the bias is not needed
    ctx.save_for_backward(*tensors, output[0])


def _autograd(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
    *inputs, shift, tiles, places, first, second, out = ctx.saved_tensors
    index = (tiles, places, first, second, ctx.slope)
    made = torch.ops.eqviz.mix_message_backward(*inputs, shift, out, list(grads), *index)
    (d_a, *spread, flat, d_bias), channels, mixed = made, inputs[0].shape[1], len(inputs[1])
    sizes = [channels, channels, len(d_bias)]
    even, odd, weight = (part.view(mixed, -1) for part in flat.split([mixed * size for size in sizes]))
    given = (d_a, even, odd, *spread, weight.T, d_bias)
    return *(value.to(dtype) for value, dtype in zip(given, ctx.dtypes)), *(None for _ in range(6))


_forward.register_autograd(_autograd, setup_context=_setup)


def _contiguous(*values: Tensor) -> list[Tensor]:
    return [value.contiguous() for value in values]


def _total(squares: Tensor | None, out: Tensor) -> Tensor:
    if squares is None:
        return out.new_zeros(out.shape[1], dtype=accumulator(out.dtype))
    return squares.sum(0)


def _sums(x: Tensor) -> dict[str, Any]:
    from eqviz.ops.triton import TYPES

    return {"ACC": TYPES[accumulator(x.dtype)]}


def _widths(name: str, width: int) -> dict[str, int]:
    from eqviz.ops.triton import channel_blocks

    low, high = channel_blocks(width)
    prefix = "" if name == "C" else name
    return {name: width, f"{prefix}LO": low, f"{prefix}HI": high}


def _constants(a: Tensor, even: Tensor, weight: Tensor) -> dict[str, Any]:
    from eqviz.ops.permutation_2to2.triton_message import CHUNK
    from eqviz.ops.triton import kernel_types

    sizes = _widths("C", even.shape[1]) | _widths("M", len(weight))
    wide = -(-len(even) // CHUNK["BO"]) * CHUNK["BO"]
    return sizes | {"OUT": len(even), "WIDE": wide} | kernel_types(a)


class _Weights(NamedTuple):
    """Even and odd (WIDE, LO + HI), W (MLO + MHI, WIDE), zero where there are none, in the precision of a."""

    even: Tensor
    odd: Tensor
    weight: Tensor

    @classmethod
    def pad(cls, a: Tensor, even: Tensor, odd: Tensor, weight: Tensor, sizes: dict[str, Any]) -> _Weights:
        wide, low, high = (sizes[key] for key in ("WIDE", "LO", "HI"))
        made = a.new_zeros(2, wide, low + high)
        made[0, : len(even), : even.shape[1]] = even
        made[1, : len(even), : even.shape[1]] = odd
        last = a.new_zeros(sizes["MLO"] + sizes["MHI"], wide)
        last[: len(weight), : len(even)] = weight
        return cls(made[0], made[1], last)
