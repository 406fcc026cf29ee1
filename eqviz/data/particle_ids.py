"""Particle codes of stable particles: masses, and the features that a detector can tell."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from eqviz.data.dataset import JetDataset
from eqviz.errors import DataError

# GeV, Particle Data Group; what Pythia's defaults leave stable, and their antiparticles.
MASSES = {
    11: 0.000510999,
    13: 0.1056584,
    22: 0.0,
    130: 0.497611,
    211: 0.1395704,
    310: 0.497611,
    321: 0.493677,
    2112: 0.9395654,
    2212: 0.9382721,
    3112: 1.197449,
    3122: 1.115683,
    3222: 1.18937,
    3312: 1.32171,
    3322: 1.31486,
    3334: 1.67245,
}
# Positive codes of positive particles; leptons' and some hyperons' positive codes are negative particles.
_POSITIVE, _NEGATIVE = (211, 321, 2212, 3222), (11, 13, 3112, 3312, 3334)
FEATURES = ["charge", "photon", "charged_hadron", "neutral_hadron", "electron", "muon"]


def masses(pdg: ArrayLike) -> NDArray[np.float64]:
    """(n,) GeV; raises DataError for a code that no stable particle has.

    >>> masses([-211, 22]).tolist()
    [0.1395704, 0.0]
    """
    codes, position = np.unique(np.abs(_codes(pdg)), return_inverse=True)
    if unknown := [int(code) for code in codes if int(code) not in MASSES]:
        raise DataError(f"expected PDG ids of stable particles ({sorted(MASSES)}), got {unknown[:5]}")
    return np.array([MASSES[int(code)] for code in codes])[position] if len(codes) else np.zeros(0)


def charges(pdg: ArrayLike) -> NDArray[np.float64]:
    """(n,) in units of e."""
    codes = _codes(pdg)
    positive = np.isin(np.abs(codes), _POSITIVE).astype(np.float64)
    negative = np.isin(np.abs(codes), _NEGATIVE).astype(np.float64)
    return (positive - negative) * np.sign(codes)


def features(pdg: ArrayLike) -> NDArray[np.float64]:
    """(n, 6) FEATURES: the charge, and a 1 for its kind in a detector (PFN-Ex of 1810.05165)."""
    codes, charge = np.abs(_codes(pdg)), charges(pdg)
    photon, electron, muon = codes == 22, codes == 11, codes == 13
    hadron = ~(photon | electron | muon)
    kinds = [photon, hadron & (charge != 0), hadron & (charge == 0), electron, muon]
    return np.column_stack([charge, *kinds]).astype(np.float64)


def with_features(data: JetDataset) -> JetDataset:
    """The same jets with FEATURES for scalars where they were particle codes; others as they are."""
    if data.meta.get("scalar_names") != ["pdg"]:
        return data
    scalars = torch.from_numpy(features(data.batch.scalars[:, 0].numpy()))
    return JetDataset(
        replace(data.batch, scalars=scalars), data.name, {**data.meta, "scalar_names": list(FEATURES)}
    )


def _codes(pdg: ArrayLike) -> NDArray[np.int64]:
    array = np.asarray(pdg)
    if array.ndim != 1 or not np.isfinite(array).all() or (array % 1 != 0).any():
        raise DataError(f"expected PDG ids as whole numbers (n,), got shape {array.shape} of {array.dtype}")
    return array.astype(np.int64)
