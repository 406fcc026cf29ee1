"""Jet images: where the pT goes, and how images turn when jets do."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from eqviz.data import JetBatch, jet_images
from eqviz.data.images import axis_coordinates
from eqviz.errors import ConfigError
from eqviz.kinematics import from_ptetaphim, relative_to_axis, rotation_matrix

D4 = {
    "rotation by 90": (np.array([[0, -1], [1, 0]]), lambda image: image.rot90(1, (2, 3))),
    "rotation by 180": (-np.eye(2), lambda image: image.rot90(2, (2, 3))),
    "rotation by 270": (np.array([[0, 1], [-1, 0]]), lambda image: image.rot90(3, (2, 3))),
    "eta mirrored": (np.diag([-1, 1]), lambda image: image.flip(2)),
    "phi mirrored": (np.diag([1, -1]), lambda image: image.flip(3)),
    "diagonal mirrored": (np.array([[0, 1], [1, 0]]), lambda image: image.transpose(2, 3)),
    "other diagonal": (np.array([[0, -1], [-1, 0]]), lambda image: image.transpose(2, 3).flip(2, 3)),
}


def plane_jets(n_jets: int, seed: int, width: float = 0.3):
    """pT and (eta, phi) about an axis, for jets of random multiplicity."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 30, n_jets)
    return [(rng.lognormal(1, 1, n), rng.normal(scale=width, size=(n, 2))) for n in sizes]


def make_batch(jets, matrix=None, eta=0.4, phi=3.1) -> JetBatch:
    matrix = np.eye(2) if matrix is None else matrix
    turned = [(pt, x @ np.asarray(matrix, dtype=float).T) for pt, x in jets]
    return JetBatch.from_arrays(
        [from_ptetaphim(pt, eta + x[:, 0], phi + x[:, 1]) for pt, x in turned],
    )


@pytest.mark.parametrize("n_pixels", [1, 16, 17, 40])
@pytest.mark.parametrize("element", D4)
def test_turning_a_jet_turns_its_image_exactly(element, n_pixels):
    matrix, act = D4[element]
    jets = plane_jets(50, seed=4)
    image = jet_images(make_batch(jets), n_pixels=n_pixels)
    turned = jet_images(make_batch(jets, matrix), n_pixels=n_pixels)
    torch.testing.assert_close(turned, act(image), rtol=0, atol=1e-12)
    if n_pixels > 1:
        assert (turned - image).abs().max() > 0.01


def test_pixels_against_a_loop():
    batch = make_batch(plane_jets(20, seed=5))
    images = jet_images(batch, n_pixels=10, half_width=0.5, centre="axis", normalise=False)
    edges = np.linspace(-0.5, 0.5, 11)
    for jet, image in zip(batch.arrays(), images):
        pt, d_eta, d_phi = relative_to_axis(jet)
        expected, _, _ = np.histogram2d(d_eta, d_phi, bins=(edges, edges), weights=pt)
        np.testing.assert_allclose(image[0], expected, atol=1e-10)


def test_rows_run_along_eta_and_columns_along_phi():
    jets = [(np.array([1.0, 1.0]), np.array([[0.35, 0.05], [-0.35, -0.05]]))]
    image = jet_images(make_batch(jets), n_pixels=8, normalise=False)[0, 0]
    assert image.nonzero().tolist() == [[2, 3], [5, 4]]
    torch.testing.assert_close(image[5, 4], torch.tensor(1.0, dtype=torch.float64))


@pytest.mark.parametrize("phi", [0.0, 3.14159, -3.0, 9.0])
def test_phi_is_unwrapped(phi):
    jets = plane_jets(10, seed=6)
    images = jet_images(make_batch(jets, phi=0.0))
    torch.testing.assert_close(jet_images(make_batch(jets, phi=phi)), images, rtol=0, atol=1e-12)


def test_rotating_the_lab_about_the_beam_changes_nothing():
    batch = make_batch(plane_jets(10, seed=7))
    turned = batch.transformed(rotation_matrix(2.0, "z"))
    torch.testing.assert_close(jet_images(turned), jet_images(batch), rtol=0, atol=1e-12)


@given(st.integers(0, 10**6), st.floats(-np.pi, np.pi), st.booleans())
@settings(max_examples=25, deadline=None)
def test_rotated_and_flipped_images_forget_the_orientation(seed, angle, mirror):
    jets = plane_jets(3, seed, width=0.1)
    cos, sin = np.cos(angle), np.sin(angle)
    matrix = np.array([[cos, -sin], [sin, cos]]) @ np.diag([1, -1 if mirror else 1])
    # flips are decided by half planes, so look at the coordinates and not at the pixels' edges
    images = [
        jet_images(make_batch(jets, m), n_pixels=3, rotate=True, flip=True, normalise=False)
        for m in (np.eye(2), matrix)
    ]
    for image in images:
        pt = np.array([pt.sum() for pt, _ in jets])
        np.testing.assert_allclose(image.sum((1, 2, 3)), pt, rtol=1e-9)
        assert (image[:, 0, 2].sum(1) >= 0).all()
    torch.testing.assert_close(images[0], images[1], rtol=1e-6, atol=1e-6)


def test_principal_axis_lies_along_eta():
    rng = np.random.default_rng(8)
    spread = rng.normal(size=(200, 2)) * [0.02, 0.2]
    angle = 0.7
    matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    image = jet_images(make_batch([(np.ones(200), spread)], matrix), n_pixels=41, rotate=True)[0, 0]
    place = torch.arange(41) - 20.0
    along_eta = (image.sum(1) * place**2).sum()
    along_phi = (image.sum(0) * place**2).sum()
    assert along_eta > 50 * along_phi


def test_flip_puts_more_pt_above():
    image = jet_images(make_batch(plane_jets(40, seed=9)), n_pixels=2, half_width=3.0, flip=True)[:, 0]
    assert (image[:, 1].sum(1) >= image[:, 0].sum(1) - 1e-12).all()
    assert (image[:, :, 1].sum(1) >= image[:, :, 0].sum(1) - 1e-12).all()


def test_normalised_images_sum_to_the_part_inside():
    batch = make_batch(plane_jets(30, seed=10))
    images = jet_images(batch, half_width=0.4)
    pt, plane = axis_coordinates(batch)
    inside = torch.where((plane.abs() < 0.4).all(1), pt, 0.0)
    fraction = [i.sum() / p.sum() for i, p in zip(*(v.split(batch.lengths.tolist()) for v in (inside, pt)))]
    torch.testing.assert_close(images.sum((1, 2, 3)), torch.stack(fraction))
    assert 0.1 < min(fraction) < 0.9


def test_jets_without_an_image_are_empty():
    batch = JetBatch.from_arrays([[], [[5, 0, 0, 5]], [[5, 3, 4, 0], [7, 0, 0, -7]]])
    images = jet_images(batch, n_pixels=5)
    assert images[:2].abs().sum() == 0 and images[2, 0, 2, 2] == 1.0
    assert jet_images(batch.select([])).shape == (0, 1, 32, 32)


def test_an_image_belongs_to_one_jet():
    batch = make_batch(plane_jets(20, seed=11))
    images = jet_images(batch)
    chosen = [7, 3, 19]
    assert torch.equal(jet_images(batch.select(chosen)), images[chosen])
    torch.testing.assert_close(jet_images(batch.permuted(1)), images, rtol=0, atol=1e-14)


def test_impossible_parameters():
    batch = make_batch(plane_jets(1, seed=0))
    for wrong in ({"n_pixels": 0}, {"half_width": 0.0}, {"half_width": float("nan")}, {"centre": "middle"}):
        with pytest.raises(ConfigError):
            jet_images(batch, **wrong)
