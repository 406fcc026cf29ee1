"""Pair products as an operator of PyTorch with Triton kernels inside."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from eqviz.ops.dispatch import workers
from eqviz.ops.pairs import PairLayout

FORMS = ("matrix", "difference", "direction")  # by the numbers that the kernels know them by


def fits(p4: Tensor, form: str, mass2: Tensor | None) -> bool:
    """Whether the kernels take these inputs: gradients with respect to massive directions are PyTorch's."""
    learned = p4.requires_grad or (mass2 is not None and mass2.requires_grad)
    return p4.dtype in (torch.float32, torch.float64) and not (mass2 is not None and learned)


def gram_fused(
    p4: Tensor,
    layout: PairLayout,
    form: str,
    mass2: Tensor | None = None,
    compress: bool = False,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """(2, P): norm, then dot, as ``dtype`` (that of p4); ``compress`` as in ``minkowski_features``."""
    return torch.ops.eqviz.minkowski_gram(
        p4, mass2, layout.jets, layout.n_pairs, FORMS.index(form), compress, dtype or p4.dtype
    )


@torch.library.custom_op("eqviz::minkowski_gram", mutates_args=())
def _forward(
    p4: Tensor,
    mass2: Tensor | None,
    jets: Tensor,
    n_pairs: int,
    form: int,
    compress: bool,
    dtype: torch.dtype,
) -> Tensor:
    from eqviz.ops.minkowski_gram.triton import BLOCKS, OPTIONS, forward_kernel

    out = p4.new_empty(2, n_pairs, dtype=dtype)
    if len(jets):
        p4 = p4.contiguous()
        masses = p4 if mass2 is None else mass2.contiguous()
        forward_kernel[workers(p4.device, len(jets), split=4)](
            p4, masses, jets, out, len(jets), n_pairs,
            FORM=form, MASSIVE=mass2 is not None, COMPRESS=compress, ACC=_sums(p4, form), **BLOCKS, **OPTIONS,
        )  # fmt: skip
    return out


@_forward.register_fake
def _(
    p4: Tensor,
    mass2: Tensor | None,
    jets: Tensor,
    n_pairs: int,
    form: int,
    compress: bool,
    dtype: torch.dtype,
) -> Tensor:
    return p4.new_empty(2, n_pairs, dtype=dtype)


@torch.library.custom_op("eqviz::minkowski_gram_backward", mutates_args=())
def _backward(p4: Tensor, jets: Tensor, grad: Tensor, form: int, compress: bool) -> Tensor:
    from eqviz.ops.minkowski_gram.triton import BLOCKS, OPTIONS, backward_kernel

    out = torch.empty_like(p4, memory_format=torch.contiguous_format)
    if len(jets):
        backward_kernel[workers(p4.device, len(jets), split=4)](
            p4.contiguous(), jets, grad.contiguous(), out, len(jets), grad.shape[1],
            FORM=form, COMPRESS=compress, ACC=_sums(p4, form), **BLOCKS, **OPTIONS,
        )  # fmt: skip
    return out


@_backward.register_fake
def _(p4: Tensor, jets: Tensor, grad: Tensor, form: int, compress: bool) -> Tensor:
    return torch.empty_like(p4, memory_format=torch.contiguous_format)


def _setup(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    p4, mass2, jets, _, ctx.form, ctx.compress, _ = inputs
    ctx.massive = mass2 is not None
    ctx.save_for_backward(p4, jets)


def _autograd(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    if ctx.massive:
        raise NotImplementedError("gradients of products with given masses: use EQVIZ_KERNELS=reference")
    p4, jets = ctx.saved_tensors
    d_p4 = torch.ops.eqviz.minkowski_gram_backward(p4, jets, grad, ctx.form, ctx.compress)
    return d_p4, None, None, None, None, None, None


_forward.register_autograd(_autograd, setup_context=_setup)


def _sums(p4: Tensor, form: int) -> Any:
    """float64; "difference" stands for the published arithmetic, in the momenta's own precision."""
    from eqviz.ops.triton import TYPES

    return TYPES[p4.dtype if FORMS[form] == "difference" else torch.float64]
