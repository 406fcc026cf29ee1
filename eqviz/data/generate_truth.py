"""Truth of generated events: hard partons, the top's decay quarks, and which of them a jet belongs to."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eqviz.kinematics import azimuth, delta_phi, pseudorapidity

Array = NDArray[np.float64]


class Truth(NamedTuple):
    """Hard partons (k, 4) of an event and the decay quarks (k, 3, 4) of each (zeros if none)."""

    partons: Array
    quarks: Array


def match(axis: Array, truth: Truth, process: str, radius: float) -> int | None:
    """Index of the hard parton that the jet with this axis (4,) belongs to; None if it is to be dropped."""
    if process == "top":
        return match_top(axis, truth, radius)
    return int(np.argmin(distance(truth.partons, axis)))


def match_top(axis: Array, truth: Truth, radius: float) -> int | None:
    """Index of the nearest top within ``radius`` whose quarks all lie within ``radius`` of ``axis`` (4,)."""
    quarks = distance(truth.quarks, axis)
    to_top = distance(truth.partons, axis)
    good = (to_top < radius) & (quarks < radius).all(axis=1)
    return int(np.argmin(np.where(good, to_top, np.inf))) if good.any() else None


def distance(p4: Array, axis: Array) -> Array:
    """Delta R = sqrt(Delta eta^2 + Delta phi^2) of momenta (..., 4) from ``axis`` (4,)."""
    return np.hypot(pseudorapidity(p4) - pseudorapidity(axis), delta_phi(azimuth(p4), azimuth(axis)))


def _momentum(particle: Any) -> tuple[float, float, float, float]:
    return particle.e(), particle.px(), particle.py(), particle.pz()


def read_truth(event: Any, process: str) -> Truth:
    """The hard process as an event of Pythia tells it (partons before showering, tops before decay)."""
    # Entries 5 and 6 are the outgoing partons of the hard 2 -> 2 process.
    if process != "top":  # Z + jet has one parton beside the Z
        partons = np.array([_momentum(event[index]) for index in (5, 6) if event[index].idAbs() != 23])
        return Truth(partons, np.zeros((len(partons), 3, 4)))
    tops, quarks = [], []
    for index in (5, 6):
        top = event[event[index].iBotCopyId()]
        tops.append(_momentum(top))
        decay = sorted(top.daughterList(), key=lambda i: event[i].idAbs() == 24)
        w_boson = event[event[decay[-1]].iBotCopyId()]
        quarks.append([_momentum(event[i]) for i in (decay[0], *list(w_boson.daughterList())[:2])])
    return Truth(np.array(tops), np.array(quarks))
