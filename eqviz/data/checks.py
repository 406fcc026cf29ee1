"""Checks that events pass on their way in."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eqviz.errors import DataError

# Float32 files carry masses of rounding noise: |m^2| of 1e-6 E^2 is still a massless particle.
SPACELIKE_TOLERANCE = 1e-5


def check_momenta(p4: NDArray[np.float64], offsets: NDArray[np.int64]) -> None:
    """Raise DataError, naming the jet, for NaN, negative energies or spacelike constituents.

    Args:
        p4: (n, 4) momenta as (E, px, py, pz) in GeV.
        offsets: (B + 1,) first row of each jet.
    """
    if p4.ndim != 2 or p4.shape[1] != 4:
        raise DataError(f"expected p4 of shape (n, 4) as (E, px, py, pz) in GeV, got {p4.shape}")
    with np.errstate(invalid="ignore", over="ignore"):
        squared = p4[:, 0] ** 2 - np.sum(p4[:, 1:] ** 2, axis=1)
    problems = (
        ("finite momenta", ~np.isfinite(p4).all(axis=1)),
        ("energies of 0 or more", p4[:, 0] < 0),
        ("timelike or lightlike momenta", squared < -SPACELIKE_TOLERANCE * p4[:, 0] ** 2 - 1e-12),
    )
    for expected, bad in problems:
        if bad.any():
            row = int(np.argmax(bad))
            jet = int(np.searchsorted(offsets, row, side="right")) - 1
            raise DataError(
                f"expected {expected}, got (E, px, py, pz) = {p4[row].tolist()} GeV in jet {jet} "
                f"({int(bad.sum())} such constituents); check the column order and the units"
            )


def constituent_masses(p4: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) masses in GeV, 0 where m^2 is within the rounding of float64 (1e-12 E^2)."""
    squared = p4[:, 0] ** 2 - np.sum(p4[:, 1:] ** 2, axis=1)
    return np.sqrt(np.where(squared > 1e-12 * p4[:, 0] ** 2, squared, 0.0))
