"""Group CNN on jet images."""

from __future__ import annotations

import pytest
import torch
from model_helpers import small

pytest.importorskip("lie_learn", reason="escnn is not installed")


def images(n_pixels, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(4, 1, n_pixels, n_pixels, generator=generator, dtype=torch.float64)


def classify(model, x):
    with torch.no_grad():
        return model.double().eval().classify(x)


@pytest.mark.parametrize("n_pixels", [8, 9, 14])
@pytest.mark.parametrize("group", ["C4", "D4", "C8"])
def test_exact_on_the_grid(group, n_pixels):
    model, x = small("d4cnn", group=group, n_pixels=n_pixels, fields=(2, 3, 4)), images(n_pixels)
    expected = classify(model, x)
    for turns in (1, 2, 3):
        turned = classify(model, torch.rot90(x, turns, (2, 3)))
        torch.testing.assert_close(turned, expected, rtol=1e-9, atol=1e-12)
    mirrored = classify(model, x.flip(2))
    if group == "D4":
        torch.testing.assert_close(mirrored, expected, rtol=1e-9, atol=1e-12)
    else:
        assert float((mirrored - expected).abs().max()) > 1e-6


def test_declares_its_group():
    model = small("d4cnn", group="C8")
    assert (model.symmetry, model.exact) == ("C8", False)
    assert (type(model).symmetry, type(model).exact) == ("D4", True)


def test_answers_do_not_depend_on_the_mode_they_were_saved_in():
    trained, loaded = small("d4cnn"), small("d4cnn", seed=1)
    loaded.eval().load_state_dict(trained.train().state_dict())
    assert torch.equal(classify(trained, images(16)), classify(loaded, images(16)))
