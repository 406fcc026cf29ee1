"""Jets: constituents in eta-phi with area proportional to pT, and momenta in three dimensions."""

from __future__ import annotations

from typing import Any

import holoviews as hv
import numpy as np
from numpy.typing import ArrayLike, NDArray

from eqviz.errors import DataError
from eqviz.kinematics import azimuth, mass, pseudorapidity, relative_to_axis, transverse_momentum
from eqviz.plots.rotation import rotatable
from eqviz.plots.style import INK, MUTED, PAPER, group_colour, mix, options, overlay, square

D_ETA = hv.Dimension("d_eta", label="η − η(jet)")
D_PHI = hv.Dimension("d_phi", label="φ − φ(jet)")
PT = hv.Dimension("pt", label="pT", unit="GeV")
ENERGY = hv.Dimension("energy", label="E", unit="GeV")
LARGEST = 46.0  # pixels across for a constituent that carries the whole jet


def pt_ramp(dark: bool = False) -> list[str]:
    """Sequential colours of the pT scale: from muted to the strongest blue of the palette."""
    strong = group_colour("SO+(1,3)", dark)
    return [mix(mix(PAPER[dark], strong, 0.4), mix(strong, INK[dark], 0.3), step / 15) for step in range(16)]


def jet_summary(p4: ArrayLike) -> dict[str, float]:
    """Multiplicity, pT [GeV], eta, phi, mass [GeV] and energy [GeV] of the sum of constituents (n, 4)."""
    p = _constituents(p4)
    total = p.sum(axis=0)
    return {
        "constituents": float(len(p)),
        "pt": float(transverse_momentum(total)),
        "eta": float(pseudorapidity(total)),
        "phi": float(azimuth(total)),
        "mass": float(mass(total)),
        "energy": float(total[0]),
    }


def event_display(
    p4: ArrayLike,
    *,
    target: ArrayLike | None = None,
    radius: float | None = 0.8,
    half_width: float | None = None,
    title: str = "Constituents",
    dark: bool = False,
    **more: Any,
) -> hv.Overlay:
    """Constituents around the jet axis: area proportional to pT, colour log pT; phi unwrapped.

    Args:
        p4: (n, 4) constituents (E, px, py, pz) in GeV.
        target: (4,) true four-momentum in GeV, drawn as a cross, or None.
        radius: of the circle drawn around the axis (the jet's R), or None.
        half_width: of both axes; by default wide enough for all constituents.
        title: of the figure.
        dark: for a dark background.
    """
    p = _constituents(p4)
    width = half_width or half_range(p, radius)
    columns = constituent_columns(p)
    points = hv.Points(columns, [D_ETA, D_PHI], [PT, ENERGY, "size"])
    limits = pt_limits(columns["pt"])
    points = points.opts(
        size="size",
        color="pt",
        cmap=pt_ramp(dark),
        clim=limits,
        cnorm="log",
        alpha=0.8,
        line_color=PAPER[dark],
        line_width=0.5,
        tools=["hover"],
    )
    elements: list[hv.Element] = [points, *_axis_marks(p, target, radius, width, dark)]
    shared = options(title, D_ETA.label, D_PHI.label, dark=dark, show_legend=False)
    frame = {"xlim": (-width, width), "ylim": (-width, width)}
    return overlay(elements, **{**square(shared), **frame, **more})


def constituent_columns(p4: ArrayLike) -> dict[str, NDArray[np.float64]]:
    """Columns of an event display: position around the jet axis, pT and E [GeV], diameter [pixels]."""
    p = _constituents(p4)
    pt, d_eta, d_phi = relative_to_axis(p)
    kept = np.flatnonzero(np.isfinite(d_eta) & np.isfinite(d_phi) & (pt > 0))
    kept = kept[np.argsort(-pt[kept], kind="stable")]
    size = LARGEST * np.sqrt(pt / max(float(pt[kept].sum()), 1e-300)) + 2.0
    names = {"d_eta": d_eta, "d_phi": d_phi, "pt": pt, "energy": p[:, 0], "size": size}
    return {name: values[kept] for name, values in names.items()}


def pt_limits(pt: NDArray[np.float64]) -> tuple[float, float]:
    """Ends of the logarithmic colour scale in GeV."""
    if not len(pt):
        return 1e-3, 1.0
    low = max(float(pt.min()), 1e-12)
    return low, max(float(pt.max()), 1.01 * low)


def half_range(p4: ArrayLike, radius: float | None = 0.8) -> float:
    """Half width of an eta-phi frame that shows all constituents and, where it fits, the circle."""
    p = _constituents(p4)
    if not len(p):
        return 1.0
    _, d_eta, d_phi = relative_to_axis(p)
    reach = np.abs(np.concatenate([d_eta, d_phi]))
    reach = reach[np.isfinite(reach)]
    widest = 1.12 * float(reach.max()) if len(reach) else 1.0
    circle = 1.06 * radius if radius else 0.0
    return max(widest, circle if widest > 0.4 * circle else 0.0, 1e-9)


def _axis_marks(
    p: NDArray[np.float64], target: ArrayLike | None, radius: float | None, width: float, dark: bool
) -> list[hv.Element]:
    marks: list[hv.Element] = []
    if radius and radius <= 1.5 * width:
        angle = np.linspace(0, 2 * np.pi, 121)
        circle = hv.Path([(radius * np.cos(angle), radius * np.sin(angle))], [D_ETA, D_PHI])
        marks.append(circle.opts(color=MUTED[dark], line_width=1, line_dash="dotdash"))
    centre = hv.Points([(0.0, 0.0)], [D_ETA, D_PHI])
    marks.append(centre.opts(marker="cross", size=12, color=INK[dark], line_width=1.2))
    if target is not None:
        total = p.sum(axis=0)
        truth = np.asarray(target, dtype=np.float64)
        _, d_eta, d_phi = relative_to_axis(truth[None], total)
        if np.isfinite(d_eta).all():
            row = [(float(d_eta[0]), float(d_phi[0]), float(transverse_momentum(truth)), float(truth[0]))]
            cross = hv.Points(row, [D_ETA, D_PHI], [PT, ENERGY])
            colour = group_colour("D8", dark)
            marks.append(cross.opts(marker="x", size=16, color=colour, line_width=3, tools=["hover"]))
    return marks


def momenta_3d(
    p4: ArrayLike,
    *,
    target: ArrayLike | None = None,
    view: tuple[float, float] | None = None,
    title: str = "Momenta (drag to turn)",
    dark: bool = False,
    **more: Any,
) -> hv.Overlay:
    """Three-momenta as arrows from the origin in a projection that turns when dragged, in the browser.

    Args:
        p4: (n, 4) constituents (E, px, py, pz) in GeV.
        target: (4,) true four-momentum in GeV, or None.
        view: azimuth and elevation of the camera in degrees; by default the jet is seen from the side.
        title: of the figure.
        dark: for a dark background.
    """
    p = _constituents(p4)
    vectors = p[:, 1:]
    side = float(np.degrees(azimuth(p.sum(axis=0)))) - 75.0
    if target is not None:
        vectors = np.concatenate([vectors, np.asarray(target, dtype=np.float64)[None, 1:]])
    return rotatable(
        vectors,
        weights=transverse_momentum(p),
        last_is_target=target is not None,
        view=view or (side, 18.0),
        dark=dark,
        ramp=pt_ramp(dark),
        **{**square(options(title, "", "", dark=dark, show_legend=False, show_grid=False)), **more},
    )


def _constituents(p4: ArrayLike) -> NDArray[np.float64]:
    p = np.asarray(p4, dtype=np.float64)
    if p.size == 0:
        return np.zeros((0, 4))
    if p.ndim != 2 or p.shape[1] != 4:
        raise DataError(f"expected constituents of shape (n, 4) as (E, px, py, pz) in GeV, got {p.shape}")
    return p
