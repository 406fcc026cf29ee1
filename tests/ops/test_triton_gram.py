"""Pair products in Triton's interpreter against PyTorch in float64."""

from __future__ import annotations

import pytest
import torch

from eqviz.errors import ConfigError
from eqviz.ops import dispatch
from eqviz.ops.dispatch import use_kernels
from eqviz.ops.minkowski_gram import minkowski_features, minkowski_gram
from eqviz.ops.pairs import PairLayout

pytest.importorskip("triton", reason="Triton is not installed")
FORMS = ["matrix", "difference", "direction"]


def momenta(layout: PairLayout, mass: float = 0.0) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Momenta of a few GeV in slot order, and their squared masses."""
    generator = torch.Generator().manual_seed(0)
    p3 = torch.randn(layout.n_nodes, 3, generator=generator, dtype=torch.float64)
    p4 = torch.cat([(p3.square().sum(1, keepdim=True) + mass**2).sqrt(), p3], 1)
    return layout.to_slots(p4), layout.to_slots(torch.full_like(p4[:, 0], mass**2)) if mass else None


def check(values, mode, layout, p4, function):
    with use_kernels(mode):
        out = torch.where(layout.pair_mask, function(p4), 0)
        loss = (out * torch.linspace(-1, 1, out.numel(), dtype=torch.float64).view(out.shape)).sum()
        values[mode] = [out]
        if p4.requires_grad and layout.n_pairs:
            values[mode] += torch.autograd.grad(loss, p4)


@pytest.mark.parametrize("compress", [True, False])
@pytest.mark.parametrize("form", FORMS)
def test_kernels_are_reference(layout, nan_filled, form, compress):
    p4 = momenta(layout)[0].requires_grad_()

    def function(p4):
        if compress:
            return minkowski_features(p4, layout, torch.float64, form).T
        return torch.stack(minkowski_gram(p4, layout, form))

    values = {}
    for mode in ("triton", "reference"):
        check(values, mode, layout, p4, function)
    for ours, expected in zip(values["triton"], values["reference"], strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("layout", [[3, 0, 1, 19]], indirect=True, ids=str)
def test_masses_and_rounding(layout, nan_filled):
    p4, mass2 = momenta(layout, 0.7)
    with use_kernels("triton"):
        dot, norm = minkowski_gram(p4, layout, "direction", mass2)
        features = minkowski_features(p4, layout, torch.float32, "direction", mass2)
    expected = minkowski_gram(p4, layout, "direction", mass2)
    for ours, exact in zip((dot, norm), expected, strict=True):
        torch.testing.assert_close(ours, exact, rtol=1e-12, atol=1e-12)
    assert features.dtype == torch.float32 and features.T.is_contiguous()
    exact = minkowski_features(p4, layout, torch.float64, "direction", mass2).float()
    torch.testing.assert_close(features, exact, rtol=2e-7, atol=0)  # rounded once, at the end


@pytest.mark.parametrize("layout", [[2, 9]], indirect=True, ids=str)
def test_float32_momenta_are_summed_in_float64(layout):
    p4 = momenta(layout)[0].float() * 100
    with use_kernels("triton"):
        ours = minkowski_gram(p4, layout, "matrix")
    for got, exact in zip(ours, minkowski_gram(p4.double(), layout, "matrix"), strict=True):
        mask = layout.pair_mask
        torch.testing.assert_close(got[mask], exact[mask].float(), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("layout", [[3, 1, 2]], indirect=True, ids=str)
@pytest.mark.parametrize("form", FORMS)
def test_gradcheck(layout, form):
    p4 = momenta(layout)[0].requires_grad_()
    real = layout.pair_mask

    def function(p4):
        with use_kernels("triton"):
            return minkowski_features(p4, layout, torch.float64, form)[real]

    assert torch.autograd.gradcheck(function, (p4,), rtol=1e-4, fast_mode=True)


@pytest.mark.parametrize("layout", [[3, 0, 2]], indirect=True, ids=str)
def test_registration(layout):
    p4 = momenta(layout)[0].requires_grad_()
    arguments = (p4, None, layout.jets, layout.n_pairs, 0, True, torch.float64)
    torch.library.opcheck(torch.ops.eqviz.minkowski_gram.default, arguments)


def test_gradients_with_masses_stay_with_pytorch():
    layout = PairLayout.build(torch.tensor([3]))
    p4, mass2 = momenta(layout, 0.7)
    with use_kernels("triton"), pytest.raises(ConfigError, match="no Triton kernel"):
        minkowski_gram(p4.requires_grad_(), layout, "direction", mass2)


def test_modes_are_checked(monkeypatch):
    x = torch.zeros(1)
    assert not dispatch.wants_triton(x), "PyTorch on a CPU"
    with (
        pytest.raises(
            ConfigError, match="expected mode to be one of 'auto', 'reference', 'triton', got 'gpu'"
        ),
        use_kernels("gpu"),
    ):
        pass
    with use_kernels("triton"):
        assert dispatch.wants_triton(x)
        monkeypatch.setattr(dispatch, "INTERPRETED", False)
        with pytest.raises(ConfigError, match="the tensors are on cpu"):
            dispatch.wants_triton(x)
        monkeypatch.setattr(dispatch, "INSTALLED", False)
        with pytest.raises(ConfigError, match="not installed"):
            dispatch.wants_triton(x)
    with use_kernels("reference"):
        assert not dispatch.wants_triton(x)
