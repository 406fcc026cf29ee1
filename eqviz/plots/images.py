"""Detector images: pixels in eta-phi with a logarithmic colour scale in GeV, zero as background."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import holoviews as hv
import numpy as np
from numpy.typing import ArrayLike, NDArray

from eqviz.errors import DataError
from eqviz.plots.colourbar import colour_bar
from eqviz.plots.jets import D_ETA, D_PHI
from eqviz.plots.style import INK, MUTED, PAPER, group_colour, mix, options, square

# From barely seen to strongest: one hue for each detector, as event displays tell them apart.
CHANNEL_HUES = {"tracks": "S_n", "ECAL": "SO(3)", "HCAL": "D_n"}
QUANTITY = {
    "tracks": "track pT",
    "ECAL": "ECAL energy per pixel",
    "HCAL": "HCAL energy per pixel",
    "time": "time",
}
DECADES = 4.0  # of the colour scale, at most


def detector_image(
    pixels: ArrayLike,
    *,
    pixel: float,
    channel: str = "ECAL",
    unit: str = "GeV",
    limits: tuple[float, float] | None = None,
    half_width: float | None = None,
    radius: float | None = None,
    title: str | None = None,
    dark: bool = False,
    side: int = 300,
    **more: Any,
) -> hv.Overlay:
    """One channel of an image, or of a mean of images, around the centre of the image.

    Args:
        pixels: (H, W), rows along eta and columns along phi; 0 is background.
        pixel: width of a pixel in eta and phi.
        channel: "tracks", "ECAL", "HCAL" or another name; decides hue and colour bar title.
        unit: of the pixels.
        limits: ends of the logarithmic colour scale; by default the largest pixel and four decades below it,
            or the smallest.
        half_width: of both axes, to look closer; by default the whole image.
        radius: of a circle drawn around the centre (the jet's R), or None.
        title: of the figure; by default the channel.
        dark: for a dark background.
        side: of the frame, in screen pixels.

    Raises:
        DataError: not a matrix of finite numbers, or a pixel width that is not positive.
    """
    image = _matrix(pixels, pixel)
    low, high = limits or log_limits(image)
    mesh = hv.Image(
        _grid(np.where(image > 0, image, np.nan), pixel),
        [D_ETA, D_PHI],
        hv.Dimension("value", label=QUANTITY.get(channel, channel), unit=unit, range=(low, high)),
    )
    mesh = mesh.opts(
        cmap=ramp(channel, dark),
        cnorm="log",
        clim=(low, high),
        clipping_colors={"NaN": "rgba(0, 0, 0, 0)", "min": ramp(channel, dark)[0]},
        **colour_bar(dark),
    )
    return _framed(mesh, image.shape, pixel, half_width, radius, title or channel, dark, side, more)


def contrast_image(
    first: ArrayLike,
    second: ArrayLike,
    *,
    pixel: float,
    names: tuple[str, str],
    limit: float = 1.0,
    half_width: float | None = None,
    radius: float | None = None,
    title: str | None = None,
    dark: bool = False,
    side: int = 300,
    **more: Any,
) -> hv.Overlay:
    """Where one mean image holds more than another: (a - b) / (a + b) from -1 to 1, empty pixels left out.

    Args:
        first, second: (H, W) mean images of two classes.
        names: of the two classes.
        limit: end of the colour scale; what lies beyond has the colour of the end.
    """
    a, b = _matrix(first, pixel), _matrix(second, pixel)
    if a.shape != b.shape:
        raise DataError(f"expected two images of one shape, got {a.shape} and {b.shape}")
    with np.errstate(invalid="ignore", divide="ignore"):
        values = np.where(a + b > 0, (a - b) / (a + b), np.nan)
    bar = f"({names[0]} − {names[1]}) / sum"
    scale = hv.Dimension("contrast", label=bar, range=(-limit, limit))
    mesh = hv.Image(_grid(values, pixel), [D_ETA, D_PHI], scale)
    low, high = group_colour("SO+(1,3)", dark), group_colour("D_n", dark)
    steps = np.linspace(0, 1, 32)
    colours = [mix(low, PAPER[dark], s) for s in steps] + [mix(PAPER[dark], high, s) for s in steps]
    mesh = mesh.opts(
        cmap=colours,
        clim=(-limit, limit),
        clipping_colors={"NaN": "rgba(0, 0, 0, 0)"},
        **colour_bar(dark),
    )
    default = f"{names[0]} against {names[1]}"
    return _framed(mesh, a.shape, pixel, half_width, radius, title or default, dark, side, more)


def image_row(
    images: ArrayLike,
    *,
    channels: Sequence[str],
    units: Sequence[str],
    pixel: float,
    limits: Sequence[tuple[float, float] | None] | None = None,
    titles: Sequence[str] | None = None,
    **more: Any,
) -> hv.Layout:
    """All channels (C, H, W) of one image side by side; see :func:`detector_image`."""
    stack = np.asarray(images, dtype=np.float64)
    if stack.ndim != 3 or not len(stack) == len(channels) == len(units):
        raise DataError(
            f"expected (C, H, W) pixels with a name and a unit for each channel, got {stack.shape}, "
            f"{list(channels)} and {list(units)}"
        )
    pictures = [
        detector_image(
            stack[i],
            pixel=pixel,
            channel=channels[i],
            unit=units[i],
            limits=limits[i] if limits else None,
            title=titles[i] if titles else None,
            **more,
        )
        for i in range(len(stack))
    ]
    return hv.Layout(pictures).cols(len(pictures)).opts(toolbar="right", shared_axes=True)


def log_limits(image: ArrayLike) -> tuple[float, float]:
    """Ends of a logarithmic scale: the largest pixel, and the smallest or four decades below."""
    values = np.asarray(image, dtype=np.float64)
    positive = values[values > 0]
    if not len(positive):
        return 1e-3, 1.0
    high = float(positive.max())
    low = max(float(positive.min()), high / 10**DECADES)
    return low, max(high, 1.01 * low)


def ramp(channel: str, dark: bool = False) -> list[str]:
    """64 colours of one hue, from what stands out just from the background to the strongest."""
    strong = group_colour(CHANNEL_HUES.get(channel, "SO+(1,3)"), dark)
    faint, deep = mix(PAPER[dark], strong, 0.22), mix(strong, INK[dark], 0.72)
    half = [mix(faint, strong, step / 31) for step in range(32)]
    return half + [mix(strong, deep, step / 31) for step in range(32)]


def _framed(
    mesh: hv.Image,
    shape: tuple[int, ...],
    pixel: float,
    half_width: float | None,
    radius: float | None,
    title: str,
    dark: bool,
    side: int,
    more: dict[str, Any],
) -> hv.Overlay:
    reach = [half_width or n * pixel / 2 for n in shape]
    elements: list[hv.Element] = [mesh]
    if radius:
        angle = np.linspace(0, 2 * np.pi, 121)
        circle = hv.Path([(radius * np.cos(angle), radius * np.sin(angle))], [D_ETA, D_PHI])
        elements.append(circle.opts(color=MUTED[dark], line_width=1, line_dash="dotdash"))
    frame = {"xlim": (-reach[0], reach[0]), "ylim": (-reach[1], reach[1])}
    labels = ("η − η(centre)", "φ − φ(centre)")
    shared = square(options(title, *labels, dark=dark, show_grid=False, show_legend=False), side)
    return hv.Overlay(elements).opts(hv.opts.Overlay(**{**shared, **frame, **more}, backend="bokeh"))


def _grid(values: NDArray[np.float64], pixel: float) -> tuple[NDArray[np.float64], ...]:
    eta, phi = ((np.arange(n) + 0.5 - n / 2) * pixel for n in values.shape)
    return eta, phi, values.T  # a mesh has its first axis upwards: phi


def _matrix(pixels: ArrayLike, pixel: float) -> NDArray[np.float64]:
    image = np.asarray(pixels, dtype=np.float64)
    if image.ndim != 2 or not image.size or not np.isfinite(image).all():
        raise DataError(f"expected a matrix (H, W) of finite pixels, got shape {image.shape}")
    if not pixel > 0:
        raise DataError(f"expected a pixel width above 0 in eta and phi, got {pixel}")
    return image
