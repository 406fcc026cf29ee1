"""Pictures of convolutions: plain, group, relaxed and steerable."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from eqviz.dash.filters.look import Look, Picture, some
from eqviz.evaluation.learned.base import Array
from eqviz.evaluation.learned.planar import (
    Copies,
    Filters,
    copies,
    departures,
    read_filters,
    symmetric_part,
)
from eqviz.evaluation.learned.waves import coefficient_names, harmonics, read_block
from eqviz.layers.relaxed import RelaxedConv
from eqviz.plots import filters as plots
from eqviz.plots.weights import weight_table

ORIENTED = "φ to the right, η upwards, in pixels; blue is positive, vermilion negative"


def kernels(look: Look) -> list[Picture]:
    """Plain convolutions and patch embeddings: all filters, the chosen one, its angular frequencies."""
    pictures, blocks = [], {}
    out, come = look.channel, look.source
    for state in look.states:
        found: Filters = look.read(state, read_filters)
        blocks[state] = kernel = found.weights[out, come][None, None]
        several = look.window(len(found.outputs), out)
        text = f"{some(several, len(found.outputs)).capitalize()} filters from {look.names[1]}"
        maps = found.weights[several.start : several.stop, come]
        pictures.append(framed(look, "Filters by output", "filters", state, text, maps, several, out))
        if len(found.inputs) > 1:
            several = look.window(len(found.inputs), come)
            text = f"What {look.names[0]} takes from {some(several, len(found.inputs))} inputs"
            maps = found.weights[out, several.start : several.stop]
            pictures.append(framed(look, "Filters by input", "inputs", state, text, maps, several, come))
        text = f"{look.names[0].capitalize()} from {look.names[1]}: {ORIENTED}"
        draw = partial(plots.kernel_map, kernel[0, 0], dark=look.dark)
        pictures.append(look.picture("The chosen filter", "filter", state, text, draw))
    size = kernel.shape[-1]
    return [*pictures, spectrum(look, blocks)] if size % 2 and size > 1 else pictures


def framed(
    look: Look, title: str, stem: str, state: str, text: str, maps: Array, numbers: range, chosen: int
) -> Picture:
    """Some of a layer's filters by number, the chosen one framed."""
    draw = tiles(look, maps, [str(i + 1) for i in numbers], chosen - numbers.start)
    return look.picture(title, stem, state, f"{text}, the chosen one framed: {ORIENTED}", draw)


def tiles(
    look: Look, maps: Array, names: Sequence[str], chosen: int | None = None, columns: int | None = None
) -> Callable[[], Any]:
    """Draws maps side by side."""
    return partial(plots.mosaic, maps, names, chosen=chosen, columns=columns, dark=look.dark)


def group(look: Look) -> list[Picture]:
    """Group convolutions: the copies by group element, the base filter, and how a relaxed one departs."""
    pictures, blocks, module = [], {}, look.layer.module
    for state in look.states:
        filters: Filters = look.read(state, read_filters)
        found = copies(filters, look.channel, look.source)
        blocks[state] = found.base[:, None]
        across = _across(found)
        rows = "rotations in the upper row, reflections below: " if len(found.names) > found.columns else ""
        text = f"One filter moved by the {len(found.names)} elements of {filters.group}, e framed; "
        draw = tiles(look, found.kernels, found.names, 0, across)
        pictures.append(
            look.picture("Copies by group element", "copies", state, text + rows + ORIENTED, draw)
        )
        if len(found.components) > 1:
            text = f"The filter of e on each component of {look.names[1]}, which is a function on the group"
            draw = tiles(look, found.base, found.components, 0, across)
            pictures.append(look.picture("Base filter by input component", "base", state, text, draw))
        if isinstance(module, RelaxedConv):
            pictures.append(_departure(look, state, found, across))
    if isinstance(module, RelaxedConv):
        pictures.append(_departures(look))
    return [*pictures, spectrum(look, blocks)]


def _across(found: Copies) -> int:
    """Maps in a row: all rotations, or half of them where there are many and no reflections."""
    return found.columns if len(found.names) > found.columns or found.columns <= 4 else found.columns // 2


def _departure(look: Look, state: str, found: Copies, across: int) -> Picture:
    left: Filters = look.read(state, symmetric_part)
    gone = found.kernels - copies(left, look.channel, look.source).kernels
    size = float(np.linalg.norm(gone)) / max(float(np.linalg.norm(found.kernels)), 1e-300)
    text = f"The copies less what equal weights for all elements make of them: {size:.1%} of the filters"
    draw = tiles(look, gone, found.names, None, across)
    return look.picture("Departure from the symmetry", "departure", state, text, draw)


def _departures(look: Look) -> Picture:
    found = {state: look.read(state, departures) for state in look.states}
    names = next(iter(found.values()))[0]
    values = {state: sizes for state, (_, sizes) in found.items()}
    draw = look.bars(names, values, "departure of the weights", "group element")
    text = "Distance of each element's weights of the filter banks from their mean, relative to the mean."
    return Picture("Size of the departure", "departure-sizes", text, draw, True)


def steerable(look: Look) -> list[Picture]:
    """SO(2) and O(2): the expanded kernel, profiles of its harmonics, coefficients by ring and frequency."""
    pictures, blocks = [], {}
    for state in look.states:
        filters: Filters = look.read(state, read_filters)
        out, come = filters.outputs[look.channel].kind, filters.inputs[look.source].kind
        block = filters.block(look.channel, look.source)
        blocks[state] = read = np.einsum("op,pqyx,iq->oiyx", read_block(out), block, read_block(come))
        names = [f"{a}←{b}" for a in coefficient_names(out) for b in coefficient_names(come)]
        flat = read.reshape(-1, *read.shape[2:])
        text = (
            f"From each coefficient of {look.names[1]} to each of {look.names[0]}; 0 is the invariant part, "
            f"kc and ks the cosine and sine of frequency k; {ORIENTED}"
        )
        draw = tiles(look, flat, names, None, read.shape[1] if read.shape[1] > 1 else None)
        pictures.append(look.picture("Expanded kernel", "expanded", state, text, draw))
        pictures += [_profiles(look, state, flat, names), _rings(look, state, flat)]
    return [*pictures, spectrum(look, blocks)]


def _profiles(look: Look, state: str, kernels: Array, names: Sequence[str]) -> Picture:
    best = int((kernels**2).sum((1, 2)).argmax())
    found, r = harmonics(kernels[best]), radii(kernels.shape[-1])
    count = found.share.shape[-1]
    colours, curves = plots.frequency_colours(count, look.symmetry, look.dark), []
    size = max(float(np.abs(found.cos).max()), float(np.abs(found.sin).max()))
    for k in range(count):
        wave = f"{'' if k == 1 else k}φ"
        for word, values, dash in zip(("cos", "sin"), found.profile(k, r), ("solid", "dotdash")):
            if np.abs(values).max() > 1e-6 * size:
                curves.append((f"{word} {wave}" if k else "no angle", values, colours[k], dash))
    text = (
        f"Of the strongest kernel, {names[best]}, the sum of these radial functions times their waves; the "
        "pixel in the centre has a value of its own"
    )
    draw = partial(plots.radial_profiles, r, curves, dark=look.dark)
    return look.picture("Radial profile × harmonic", "profile", state, text, draw)


def radii(size: int) -> Array:
    """Distances from the centre in pixels, without the centre: its ring is one pixel and no wider."""
    return np.linspace(0.05, size / 2 + 0.5, 120)


def _rings(look: Look, state: str, kernels: Array) -> Picture:
    found = harmonics(kernels)
    radii, top = sorted(set(found.radius.tolist())), int(found.frequency.max())
    table = np.full((len(radii), top + 1), np.nan)
    strength = np.sqrt((found.amplitude() ** 2).sum(0))
    for radius, k, value in zip(found.radius, found.frequency, strength):
        table[radii.index(radius), int(k)] = value
    text = (
        "Coefficient of each ring and angular frequency, root of the sum of squares over the components; "
        "empty: pixels cannot tell this wave from a slower one"
    )
    draw = partial(
        weight_table, table, [f"{radius:g}" for radius in radii], [str(k) for k in range(top + 1)],
        label="coefficient", xlabel="angular frequency k", ylabel="radius of the ring [pixels]",
        limits=(0.0, float(np.nanmax(table)) or 1.0), colours=look.ramp(), dark=look.dark, height=300,
    )  # fmt: skip
    return look.picture("Learned coefficients", "rings", state, text, draw)


def spectrum(look: Look, blocks: dict[str, Array]) -> Picture:
    """Share of every angular frequency in the filters (a, b, size, size) of each state."""
    values = {}
    for state, block in blocks.items():
        flat = block.reshape(-1, *block.shape[-2:])
        found, energy = harmonics(flat), (flat**2).sum((1, 2))
        shares = np.append(energy @ found.share, energy @ found.rest)
        values[state] = shares / max(float(energy.sum()), 1e-300)
    names = [str(k) for k in range(len(next(iter(values.values()))) - 1)]
    text = "Share of the filter's energy in waves cos kφ and sin kφ about its centre"
    if max(v[-1] for v in values.values()) > 1e-9:
        names.append("rest")
        text += "; the rest is finer than a steerable kernel of this size may be"
    values = {state: v[: len(names)] for state, v in values.items()}
    draw = look.bars(names, values, "share of the energy", "angular frequency k")
    return Picture("Spectrum over angular frequency", "spectrum", f"{text}.", draw)
