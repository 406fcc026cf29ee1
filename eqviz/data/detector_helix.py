"""Where particles leave the tracker: straight lines and helices in a solenoid, vectorised."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# pT [GeV] = 0.299792458 * |charge| * B [T] * radius [m]
_GEV_PER_TESLA_METRE = 0.299792458


def exit_direction(
    p4: Array, vertex: Array, charge: Array, *, radius: float, half_length: float, field: float
) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Pseudorapidity and azimuth, seen from the origin, of the point where particles leave the tracker.

    Args:
        p4: (n, 4) momenta (E, px, py, pz) in GeV at the production vertex.
        vertex: (n, 3) production vertices in m.
        charge: (n,) charges in units of e.
        radius, half_length: of the tracker cylinder, in m.
        field: along +z, in T.

    Returns:
        eta (n,), phi (n,) and a mask (n,) that is False for particles made outside the cylinder, whose eta
        and phi are those of their vertex. Particles that curl up inside leave through an endcap.
    """
    inside = (np.hypot(vertex[:, 0], vertex[:, 1]) < radius) & (np.abs(vertex[:, 2]) < half_length)
    point = vertex.copy()
    bent = inside & (charge * field != 0)
    straight = inside & ~bent
    point[straight] = _line_exit(p4[straight, 1:], vertex[straight], radius, half_length)
    point[bent] = _helix_exit(p4[bent, 1:], vertex[bent], charge[bent] * field, radius, half_length)
    eta = np.arcsinh(point[:, 2] / np.hypot(point[:, 0], point[:, 1]))
    return eta, np.arctan2(point[:, 1], point[:, 0]), inside


def _line_exit(p: Array, vertex: Array, radius: float, half_length: float) -> Array:
    pt2 = p[:, 0] ** 2 + p[:, 1] ** 2
    along = vertex[:, 0] * p[:, 0] + vertex[:, 1] * p[:, 1]
    room = radius**2 - vertex[:, 0] ** 2 - vertex[:, 1] ** 2
    step = (-along + np.sqrt(along**2 + pt2 * room)) / pt2
    step = np.minimum(step, _steps_to_endcap(p[:, 2], vertex[:, 2], half_length))
    return vertex + step[:, None] * p


def _helix_exit(p: Array, vertex: Array, charge_field: Array, radius: float, half_length: float) -> Array:
    pt = np.hypot(p[:, 0], p[:, 1])
    bend = pt / (_GEV_PER_TESLA_METRE * np.abs(charge_field))
    turn = -np.sign(charge_field)  # positive charges turn clockwise in a field along +z
    # The centre lies one bending radius to the left (turn = 1) or right of the momentum.
    centre = vertex[:, :2] + (turn * bend / pt)[:, None] * np.stack([-p[:, 1], p[:, 0]], axis=1)
    start = np.arctan2(vertex[:, 1] - centre[:, 1], vertex[:, 0] - centre[:, 0])
    distance = np.hypot(centre[:, 0], centre[:, 1])
    with np.errstate(divide="ignore", invalid="ignore"):
        cosine = (radius**2 - distance**2 - bend**2) / (2 * distance * bend)
    reaches = np.abs(cosine) <= 1
    opening = np.arccos(np.where(reaches, cosine, 0.0))
    outward = np.arctan2(centre[:, 1], centre[:, 0])
    full = 2 * np.pi
    first = np.minimum(
        (turn * (outward + opening - start)) % full, (turn * (outward - opening - start)) % full
    )
    angle = np.where(reaches, first, np.inf)
    # pz advances by pz / pT times the transverse path bend * angle.
    endcap = _steps_to_endcap(p[:, 2], vertex[:, 2], half_length) * pt / bend
    angle = np.minimum(angle, endcap)
    trapped = ~np.isfinite(angle)  # pz = 0 and curling: never leaves; keep the flight direction
    angle = np.where(trapped, 0.0, angle)
    final = start + turn * angle
    point = np.empty_like(p)
    point[:, 0] = centre[:, 0] + bend * np.cos(final)
    point[:, 1] = centre[:, 1] + bend * np.sin(final)
    point[:, 2] = vertex[:, 2] + p[:, 2] / pt * bend * angle
    point[trapped] = p[trapped]
    return point


def _steps_to_endcap(pz: Array, z: Array, half_length: float) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        steps = (np.copysign(half_length, pz) - z) / pz
    return np.where(pz == 0, np.inf, steps)
