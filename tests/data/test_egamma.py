"""Electrons and photons: bending, spectra, images, and how hard it is to tell them apart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from eqviz.data import load_images
from eqviz.data.egamma import EgammaConfig, _cross_tracker, _drawn, egamma_dataset, egamma_images
from eqviz.errors import ConfigError

NO_MATERIAL = replace(EgammaConfig(), material=(0.0,) * 6)


@pytest.fixture(scope="module")
def images() -> tuple[np.ndarray, np.ndarray]:
    batch = egamma_images(3000, seed=3)
    return batch.dense().double().numpy(), batch.label.numpy()


def test_the_first_images_do_not_depend_on_how_many() -> None:
    few, many = egamma_images(50, seed=1), egamma_images(1100, seed=1)
    assert np.array_equal(few.dense().numpy(), many.select(np.arange(50)).dense().numpy())
    assert not np.array_equal(few.dense().numpy(), egamma_images(50, seed=2).dense().numpy())
    with pytest.raises(ConfigError, match="at least one image"):
        egamma_images(0, seed=1)


def test_without_material_electrons_bend_as_one_helix() -> None:
    rng, n = np.random.default_rng(0), 400
    label, phi = np.arange(n) % 2, np.zeros(n)
    rays = _cross_tracker(label, phi, np.zeros(n), NO_MATERIAL, rng)
    assert len(rays.pt) == n
    angle = np.arcsin(1.29 * 0.299792458 * 3.8 / (2 * 50.0))
    assert rays.place == pytest.approx(-rays.charge * angle, abs=1e-9)
    assert rays.heading == pytest.approx(-rays.charge * 2 * angle, abs=1e-9)


def test_radiation_conserves_momentum_and_converts_photons_as_often_as_it_should() -> None:
    rng, n = np.random.default_rng(0), 20_000
    label = np.zeros(n, dtype=int)
    rays = _cross_tracker(label, np.zeros(n), np.full(n, 0.9), EgammaConfig(), rng)
    total = np.bincount(rays.image, rays.pt, n)
    assert total == pytest.approx(50.0)
    alone = np.bincount(rays.image, minlength=n) == 1
    assert alone.mean() == pytest.approx(np.exp(-7 / 9 * 0.9), abs=0.012)
    electrons = _cross_tracker(label + 1, np.zeros(n), np.full(n, 0.9), EgammaConfig(), rng)
    # <E> / E0 = exp(-t) (Bethe and Heitler); pairs from its photons count as well, so a little more is left
    charged = np.bincount(electrons.image, electrons.pt * (electrons.charge != 0), n).mean() / 50
    assert np.exp(-0.9) < charged < np.exp(-0.9) + 0.35
    assert np.unique(np.bincount(electrons.image, electrons.charge, n).round(9)).tolist() == [-1.0, 1.0]


def test_drawing_from_a_density() -> None:
    drawn = _drawn(lambda x: 2 * x, 0.001, 1.0, 50_000, np.random.default_rng(0))
    assert drawn.mean() == pytest.approx(2 / 3, abs=0.005)


def test_images_are_as_they_should_be(images: tuple[np.ndarray, np.ndarray]) -> None:
    pixels, label = images
    energy, time = pixels[:, 0], pixels[:, 1]
    assert label.mean() == 0.5
    assert (energy.reshape(len(energy), -1).argmax(1) == 16 * 32 + 16).mean() > 0.99
    assert ((time != 0) <= (energy > 0)).all()
    assert energy[energy > 0].min() >= 0.12
    assert (energy == 0).mean() > 0.95
    total = energy.sum((1, 2))
    assert 45 < np.quantile(total, 0.02) < 60
    assert np.quantile(total, 0.98) < 1.05 * 50 * np.cosh(1.4)
    hard, soft = time[energy > 20], time[(energy > 0.2) & (energy < 0.3)]
    assert hard.std() < 0.15
    assert soft.std() == pytest.approx(35.1 * 0.04 / 0.25, rel=0.15)


def test_they_are_neither_trivial_nor_impossible(images: tuple[np.ndarray, np.ndarray]) -> None:
    pixels, label = images
    energy = pixels[:, 0]
    total = energy.sum((1, 2))
    central = energy[:, 16, 16] / total
    phi = np.arange(32) - 16
    mean = (energy * phi).sum((1, 2)) / total
    width = np.sqrt((energy * (phi - mean[:, None, None]) ** 2).sum((1, 2)) / total)
    assert 0.55 < roc_auc_score(label, -central) < 0.75
    assert 0.53 < roc_auc_score(label, width) < 0.75


def test_without_field_and_material_both_are_the_same() -> None:
    nothing = replace(NO_MATERIAL, magnetic_field=0.0)
    batch = egamma_images(3000, seed=4, config=nothing)
    energy, label = batch.dense().numpy()[:, 0], batch.label.numpy()
    central = energy[:, 16, 16] / energy.sum((1, 2))
    assert roc_auc_score(label, central) == pytest.approx(0.5, abs=0.04)


def test_it_is_a_data_set_of_its_own() -> None:
    data = egamma_dataset(20, seed=5)
    assert data.class_names == ["photon", "electron"]
    assert "seed=5" in data.meta["command"]
    test = load_images("egamma", "test")
    assert len(test) == 4000
    assert test.batch.layout.units == ("GeV", "ns")
