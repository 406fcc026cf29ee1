"""Group convolutions on the plane, from escnn (arXiv:1911.08251), made exact and safe to save.

escnn is imported on first use, so this module imports without it. Three of its habits are mended here:
kernels are rounded so that a quarter turn is exact to 1e-8 only; filters materialised in evaluation mode
enter the state dict; and its Clebsch-Gordan solver is random.
"""

from __future__ import annotations

import warnings
from copy import deepcopy
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from eqviz.errors import ConfigError

DERIVED = (".filter", ".expanded_bias")


def load_escnn() -> ModuleType:
    """The escnn package, or a ConfigError that says what to install."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*py3nj.*")  # not needed in two dimensions
        try:
            import escnn
            from escnn import gspaces, nn  # noqa: F401
        except ImportError as error:
            raise ConfigError(
                "this network needs escnn, which is not installed; install eqviz[planar] "
                f"(escnn, lie-learn, numpy < 2), or choose another model ({error})"
            ) from error
    # Without it escnn falls back on a plain singular value decomposition: same span, but reproducible, and
    # it takes the np.matrix that newer versions of scikit-learn refuse.
    escnn.group._numerical.randomized_svd = None
    return escnn


def planar_space(group: str) -> Any:
    """escnn's space of fields on the plane for "Cn" (rotations) or "Dn" (rotations and reflections)."""
    gspaces = load_escnn().gspaces
    kind, order = group[:1], group[1:]
    if kind not in ("C", "D") or not order.isdigit() or int(order) < 1:
        raise ConfigError(f"expected a planar group such as 'C4' or 'D4', got {group!r}")
    return gspaces.rot2dOnR2(int(order)) if kind == "C" else gspaces.flipRot2dOnR2(int(order))


def exact_convolution(in_type: Any, out_type: Any, kernel_size: int) -> Any:
    """A steerable convolution, "same" padding, no bias, exact under grid symmetries of its group.

    Args:
        in_type, out_type: field types that repeat one representation each.
        kernel_size: odd, so that the kernel has a central pixel.
    """
    escnn = load_escnn()
    padding = kernel_size // 2
    # copied, because escnn shares the tables of kernels between all networks of a process
    convolution = deepcopy(escnn.nn.R2Conv(in_type, out_type, kernel_size, padding=padding, bias=False))
    convolution.in_rep, convolution.out_rep = (
        in_type.representations[0].name,
        out_type.representations[0].name,
    )
    for module in convolution.modules():
        basis = getattr(module, "sampled_basis", None)
        if basis is not None:
            basis.copy_(_symmetrised(basis, convolution, kernel_size))
    return convolution


def _symmetrised(basis: Tensor, convolution: Any, kernel_size: int) -> Tensor:
    """Kernels (n, out, in, points) averaged over the elements that map the pixel grid to itself.

    Each obeys K(g x) = rho_out(g) K(x) rho_in(g)^-1 up to rounding; the average obeys it exactly.
    """
    from escnn.nn.modules.conv.rd_convolution import get_grid_coords

    points = np.asarray(get_grid_coords(2, kernel_size, 1))
    points = points if points.shape[1] == 2 else points.T
    rho_in, rho_out = (t.representations[0] for t in (convolution.in_type, convolution.out_type))
    space, kernels = convolution.in_type.gspace, basis.double().numpy()
    total, count = np.zeros_like(kernels), 0
    for element in space.fibergroup.elements:
        action = np.asarray(space.basespace_action(element))
        if np.abs(action - action.round()).max() > 1e-6:
            continue
        distance = np.abs((points @ action.round().T)[:, None] - points[None]).sum(-1)
        moved = kernels[..., distance.argmin(1)]
        total += np.einsum("po,npim,ij->nojm", _snapped(rho_out(element)), moved, _snapped(rho_in(element)))
        count += 1
    return torch.from_numpy(total / count)


def _snapped(matrix: Any) -> np.ndarray:
    """A permutation matrix without rounding noise: noise would decide how equal kernel entries round."""
    rounded = np.round(matrix)
    return rounded if np.abs(matrix - rounded).max() < 1e-9 else np.asarray(matrix)


class SteerableStack(nn.Module):
    """escnn modules one after the other, with a state dict that is the same in both modes.

    Filters that escnn materialises in evaluation mode are recomputed from the weights: they are neither saved
    nor loaded, and follow a change of dtype.
    """

    def __init__(self, modules: list[Any]) -> None:
        super().__init__()
        self.body = load_escnn().nn.SequentialModule(*modules)
        self.in_type, self.out_type = self.body.in_type, self.body.out_type
        self.in_rep, self.out_rep = str(self.in_type), str(self.out_type)
        self.train()
        self.register_state_dict_post_hook(_drop_derived)
        self.register_load_state_dict_pre_hook(_keep_derived)
        self.register_load_state_dict_post_hook(lambda module, keys: module.refresh())

    def forward(self, images: Tensor) -> Tensor:
        """(B, channels of in_type, N, N) to (B, channels of out_type, N', N')."""
        return self.body(load_escnn().nn.GeometricTensor(images, self.in_type)).tensor

    def train(self, mode: bool = True) -> SteerableStack:
        """As usual; escnn's filters are made without a graph, so that they can be copied and saved."""
        with torch.no_grad():
            super().train(mode)
        return self

    def refresh(self) -> None:
        """Recompute materialised filters from the weights."""
        if not self.training:
            self.train().eval()

    def _apply(self, fn: Any, recurse: bool = True) -> SteerableStack:
        super()._apply(fn, recurse)
        self.refresh()
        return self


def _drop_derived(module: nn.Module, state: dict[str, Any], prefix: str, metadata: Any) -> None:
    for key in [key for key in state if key.startswith(prefix) and key.endswith(DERIVED)]:
        del state[key]


def _keep_derived(module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    for key, value in module.named_buffers():
        if key.endswith(DERIVED):
            state[prefix + key] = value
