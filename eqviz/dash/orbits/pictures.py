"""The pictures of one field before and after, drawn once and refilled while the element is dialled."""

from __future__ import annotations

from typing import Any

import holoviews as hv
import numpy as np
from numpy.typing import NDArray

from eqviz.dash.cards import Refilled
from eqviz.dash.orbits.frames import GAP, gap_image, is_signed, largest
from eqviz.evaluation.fieldviews import FieldView, mosaic
from eqviz.evaluation.orbits import MovedField
from eqviz.plots import fields
from eqviz.plots.images import detector_image, log_limits

Array = NDArray[np.float64]
SIDE = 250


class Picture(Refilled):
    """A card with one field of an image network."""

    def image(
        self, pixels: Array, pixel: float, limits: tuple[float, float], unit: str, dark: bool, code: str
    ) -> None:
        """An image on a logarithmic scale of its energy."""
        shown = np.where(pixels > 0, pixels, np.nan)
        key = ("image", pixels.shape, pixel, limits, dark)
        if key == self._key:
            fields.replace_images(self.model, [shown])
            self.card.csv_from(lambda: _csv(pixels, pixel))
            return
        figure = detector_image(
            np.maximum(pixels, 0.0), pixel=pixel, channel="pixel", unit=unit, limits=limits, title=" ",
            dark=dark, side=SIDE,
        )  # fmt: skip
        self._draw(figure, key, code)

    def field(
        self, view: FieldView, pixel: float, scale: tuple[float, float], symmetry: str, dark: bool, code: str
    ) -> None:
        """A field with its own way of being drawn, on a colour scale with these ends."""
        low, top = scale
        key = (view.look, view.values.shape, pixel, low < 0, symmetry, dark)
        if key == self._key:
            images, limits, arrows = _numbers(view, pixel, scale)
            fields.replace_images(self.model, images, limits, arrows)
            self.card.csv_from(lambda: _csv(mosaic(view, GAP), pixel))
            return
        look = {"pixel": pixel, "dark": dark, "side": SIDE, "limit": top}
        figure: hv.Overlay
        if view.look == "vector":
            figure = fields.vector_field(view.values, **look)
        elif view.look == "phase":
            figure = fields.phase_field(view.values, **look)
        elif view.look == "ring":
            figure = fields.ring_field(mosaic(view, GAP), symmetry=symmetry, signed=low < 0, **look)
        else:
            figure = fields.scalar_field(view.values[0], signed=low < 0, **look)
        self._draw(figure, key, code)

    def gap(self, found: MovedField, pixel: float, dark: bool, code: str) -> None:
        """The difference on a logarithmic scale."""
        image = gap_image(found)
        key = ("gap", found.gap.look, image.shape, pixel, dark)
        if key == self._key:
            fields.replace_images(self.model, [image])
            self.card.csv_from(lambda: _csv(image, pixel))
            return
        axes = found.gap.look != "ring"
        figure = fields.gap_field(image, largest=1.0, pixel=pixel, dark=dark, side=SIDE, axes=axes)
        self._draw(figure, key, code)


def image_limits(pixels: Array) -> tuple[float, float]:
    """Ends of the colour scale of an image and of all its turned copies."""
    return log_limits(pixels)


def field_scale(found: MovedField) -> tuple[float, float]:
    """Ends of one colour scale for f(g x) and rho(g) f(x)."""
    top = max(largest(found.moved), largest(found.after))
    return (-top if is_signed(found.moved) or is_signed(found.after) else 0.0), top


def _numbers(view: FieldView, pixel: float, scale: tuple[float, float]) -> tuple[list[Array], list[Any], Any]:
    low, top = scale
    if view.look == "phase":
        phase, veil = fields.phase_images(view.values, top)
        return [phase, np.sqrt(veil)], [None, None], None
    if view.look == "vector":
        return [view.length], [(0.0, top)], fields.arrow_columns(view.values, pixel, top)
    return [mosaic(view, GAP)], [(low, top)], None


def _csv(values: Array, pixel: float) -> str:
    eta, phi = ((np.arange(n) + 0.5 - n / 2) * pixel for n in values.shape)
    rows = ["d_eta,d_phi,value"]
    rows += [f"{e:.6g},{p:.6g},{value:.9g}" for e, line in zip(eta, values) for p, value in zip(phi, line)]
    return "\n".join(rows) + "\n"
