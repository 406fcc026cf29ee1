"""The message as an operator of PyTorch: Triton inside, shapes for tracing, gradients by recomputation."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from eqviz.ops.dispatch import accumulator, dot_precision, hopper, workers
from eqviz.ops.minkowski_message.weights import MessageWeights
from eqviz.ops.pairs import PairLayout

LARGEST_WIDTH = 128  # of the square weights: they stay in a GPU's shared memory
LARGEST_FEATURES = 8


def fits(receiver: Tensor, features: Tensor) -> bool:
    """Whether the kernels take these inputs.

    On a GPU they multiply on tensor cores: in 16 bits, in float32 as TF32 where PyTorch is allowed to
    (``torch.set_float32_matmul_precision("high")``), or on Hopper and later as three TF32 products, which is
    float32 to within a few last digits.
    """
    wide = receiver.shape[1] <= LARGEST_WIDTH and features.shape[1] <= LARGEST_FEATURES
    if not receiver.is_cuda or receiver.dtype in (torch.float16, torch.bfloat16):
        return wide
    return wide and receiver.dtype == torch.float32 and (dot_precision() == "tf32" or hopper(receiver.device))


def message_fused(
    receiver: Tensor, sender: Tensor, features: Tensor, weights: MessageWeights, layout: PairLayout
) -> tuple[Tensor, Tensor | None]:
    """As :func:`eqviz.ops.minkowski_message.minkowski_message`; sums are float32 where inputs are shorter."""
    total, coordinates = torch.ops.eqviz.minkowski_message(receiver, sender, features, layout.jets, *weights)
    return total, None if weights.coordinate is None else coordinates


@torch.library.custom_op("eqviz::minkowski_message", mutates_args=())
def _forward(
    u: Tensor,
    v: Tensor,
    s: Tensor,
    jets: Tensor,
    features: Tensor,
    hidden: Tensor,
    hidden_bias: Tensor,
    gate: Tensor,
    gate_bias: Tensor,
    coordinate: Tensor | None,
    coordinate_bias: Tensor | None,
    coordinate_out: Tensor | None,
) -> tuple[Tensor, Tensor]:
    from eqviz.ops.minkowski_message.triton import BLOCKS, OPTIONS, forward_kernel

    weights = (features, hidden, hidden_bias, gate, gate_bias, coordinate, coordinate_bias, coordinate_out)
    total, coordinates = _outputs(u, s, coordinate is not None)
    if len(jets):
        grid = workers(u.device, len(jets), split=8)
        forward_kernel[grid](
            u.contiguous(), v.contiguous(), s, jets, *_pointers(weights), total, coordinates,
            len(jets), *s.stride(), **_constants(u, s, coordinate), **BLOCKS, **OPTIONS,
        )  # fmt: skip
    return total, coordinates


@_forward.register_fake
def _(u: Tensor, v: Tensor, s: Tensor, jets: Tensor, *weights: Tensor | None) -> tuple[Tensor, Tensor]:
    return _outputs(u, s, weights[5] is not None)


def _outputs(u: Tensor, s: Tensor, coordinates: bool) -> tuple[Tensor, Tensor]:
    dtype = accumulator(u.dtype)
    return u.new_empty(u.shape, dtype=dtype), u.new_empty(s.shape[0] if coordinates else 0, dtype=dtype)


@torch.library.custom_op("eqviz::minkowski_message_backward", mutates_args=())
def _backward(
    u: Tensor,
    v: Tensor,
    s: Tensor,
    jets: Tensor,
    features: Tensor,
    hidden: Tensor,
    hidden_bias: Tensor,
    gate: Tensor,
    gate_bias: Tensor,
    coordinate: Tensor | None,
    coordinate_bias: Tensor | None,
    coordinate_out: Tensor | None,
    d_total: Tensor,
    d_coordinates: Tensor,
    with_features: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    from eqviz.ops.minkowski_message import triton as kernels

    weights = (features, hidden, hidden_bias, gate, gate_bias, coordinate, coordinate_bias, coordinate_out)
    d_u, d_v, d_s, _ = _gradients(u, s, with_features, 0)
    grid = workers(u.device, len(jets), split=8) if len(jets) else (0, 0)
    d_v.zero_()
    n_weights = sum(w.numel() for w in weights if w is not None)
    d_weights = d_v.new_zeros(grid[0] * grid[1], n_weights)
    if len(jets):
        inputs = (u.contiguous(), v.contiguous(), s, jets, *_pointers(weights))
        d_total, d_coordinates = d_total.contiguous(), d_coordinates.contiguous()
        sizes, constants = (len(jets), *s.stride(), n_weights), _constants(u, s, coordinate)
        kernels.pairs_kernel[grid](
            *inputs, d_total, d_coordinates, d_u, d_v, d_s, d_weights, *sizes, s.shape[0],
            FEATURES=with_features, **constants, **kernels.PAIRS_BLOCKS, **kernels.PAIRS_OPTIONS,
        )  # fmt: skip
        kernels.hidden_kernel[grid](
            *inputs, d_total, d_coordinates, d_weights, *sizes,
            **constants, **kernels.HIDDEN_BLOCKS, **kernels.HIDDEN_OPTIONS,
        )  # fmt: skip
        if constants.pop("COORDINATES"):
            kernels.coordinate_kernel[grid](
                *inputs, d_coordinates, d_weights, *sizes,
                **constants, **kernels.COORDINATE_BLOCKS, **kernels.COORDINATE_OPTIONS,
            )  # fmt: skip
    return d_u.to(u.dtype), d_v.to(v.dtype), d_s.to(s.dtype), d_weights.sum(0)


@_backward.register_fake
def _(u: Tensor, v: Tensor, s: Tensor, jets: Tensor, *rest: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    weights, with_features = rest[:8], rest[-1]
    d_u, d_v, d_s, d_weights = _gradients(
        u, s, with_features, sum(w.numel() for w in weights if w is not None)
    )
    return d_u.to(u.dtype), d_v.to(v.dtype), d_s.to(s.dtype), d_weights


def _gradients(u: Tensor, s: Tensor, features: bool, n_weights: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Room for the gradients of u, v, s (each feature contiguous) and all weights in a row."""
    dtype = accumulator(u.dtype)
    d_s = u.new_empty(s.shape[1], s.shape[0] if features else 0, dtype=dtype).T
    return (
        u.new_empty(u.shape, dtype=dtype),
        u.new_empty(u.shape, dtype=dtype),
        d_s,
        u.new_empty(n_weights, dtype=dtype),
    )


def _setup(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    ctx.save_for_backward(*inputs)


def _autograd(ctx: Any, d_total: Tensor, d_coordinates: Tensor) -> tuple[Tensor | None, ...]:
    saved = ctx.saved_tensors
    with_features = bool(ctx.needs_input_grad[2])
    d_u, d_v, d_s, flat = torch.ops.eqviz.minkowski_message_backward(
        *saved, d_total, d_coordinates, with_features
    )
    sizes = [0 if weight is None else weight.numel() for weight in saved[4:]]
    first, *others = flat.split(sizes)
    d_features = first.view(saved[2].shape[1], -1).T.to(saved[4].dtype)
    d_weights = [None if w is None else d.view(w.shape).to(w.dtype) for d, w in zip(others, saved[5:])]
    return d_u, d_v, d_s if with_features else None, None, d_features, *d_weights


_forward.register_autograd(_autograd, setup_context=_setup)


def _pointers(weights: tuple[Tensor | None, ...]) -> list[Tensor]:
    """Contiguous weights, W_s by features; those that are absent are never read."""
    assert weights[0] is not None
    first = weights[0].T.contiguous()
    return [first, *((first if weight is None else weight).contiguous() for weight in weights[1:])]


def _constants(u: Tensor, s: Tensor, coordinate: Tensor | None) -> dict[str, Any]:
    from eqviz.ops.triton import channel_blocks, kernel_types

    low, high = channel_blocks(u.shape[1])
    sizes = {"C": u.shape[1], "F": s.shape[1], "LO": low, "HI": high, "COORDINATES": coordinate is not None}
    types = kernel_types(u)
    return sizes | types | {"HELD": types["PRECISION"] != "tf32x3" or u.dtype != torch.float32}
