"""Pictures of harmonic networks, vision transformers, and Clebsch-Gordan networks on the sphere."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from eqviz.dash import library
from eqviz.dash.filters import data
from eqviz.dash.filters.look import Look, Picture, some
from eqviz.dash.filters.planar import framed, radii
from eqviz.evaluation.learned.harmonic import ComplexFilter, read_complex_filter
from eqviz.evaluation.learned.spherical import Degrees, read_degrees
from eqviz.evaluation.learned.vit import Attention, read_attention
from eqviz.plots import filters as plots
from eqviz.plots.learned import EVEN, about_one, attention_map
from eqviz.plots.style import group_colour
from eqviz.plots.weights import weight_table


def harmonic(look: Look) -> list[Picture]:
    """Complex filters: amplitude, phase and profile of the chosen one, and all filters."""
    pictures = []
    name = f"{look.names[0]} from {look.names[1]}"
    for state in look.states:
        found: ComplexFilter = look.read(state, read_complex_filter, look.channel, look.source)
        k, top = found.order, float(found.amplitude.max()) or 1.0
        amplitude = partial(
            plots.kernel_map, found.amplitude, limits=(0.0, top), colours=look.ramp(), label="|W|",
            dark=look.dark,
        )  # fmt: skip
        text = f"|W| of {name}, an angular wave of frequency {k}; φ to the right, η upwards, in pixels"
        pictures.append(look.picture("Amplitude", "amplitude", state, text, amplitude))
        beta = f"{found.phase:.2f}".replace("-", "−")
        turns = f"turns {k} times around the centre from" if k else "is everywhere, or opposite to,"
        text = f"arg W {turns} the learned β = {beta} rad"
        phase = partial(plots.phase_map, found.angle, dark=look.dark)
        pictures.append(look.picture("Phase", "phase", state, text, phase))
        r = radii(len(found.real))
        curve = (f"R(r), k = {k}", found.profile(r), group_colour(look.symmetry, look.dark), "solid")
        text = "R(r) of the filter R(r) exp(i (k φ + β)), a sum over rings of pixels"
        text += f"; the pixel in the centre {'is 0, a wave has no phase there' if k else 'has its own value'}"
        profile = partial(plots.radial_profiles, r, [curve], dark=look.dark)
        pictures.append(look.picture("Radial profile", "profile", state, text, profile))
    return pictures + [_all_outputs(look, state) for state in look.states]


def _all_outputs(look: Look, state: str) -> Picture:
    count = len(look.layer.channels)
    several = look.window(count, look.channel)
    maps = np.stack([look.read(state, read_complex_filter, i, look.source).real for i in several])
    text = f"Real parts of {some(several, count)} filters from {look.names[1]}"
    return framed(look, "Filters by output", "filters", state, text, maps, several, look.channel)


def attention(look: Look) -> list[Picture]:
    """Attention of the chosen head on the chosen jet, and of all heads."""
    batch = library.test_images(look.run).select([look.jet])
    block, query = int(look.layer.key.rpartition(".")[2]), look.source - 1 if look.source else None
    looks = "the framed patch" if query is not None else "the mean over all patches"
    pictures = []
    for state in look.states:
        model: Any = data.network(look.run, state)
        found: Attention = read_attention(model, batch, block)
        reach = model.config.half_width * found.side * found.patch_size / model.config.n_pixels
        text = f"Attention of {look.names[0]} from {looks} on test jet {look.jet}; dots are pixels; 1 is even"
        draw = partial(
            attention_map, found.map(look.channel, query), found.image.sum(0), half_width=reach, query=query,
            dark=look.dark,
        )  # fmt: skip
        pictures.append(look.picture("Attention on the image", "attention", state, text, draw))
        maps = np.stack([found.map(i, query).T for i in range(len(found.weights))]) * found.side**2
        draw = partial(
            plots.mosaic, maps, [f"head {i + 1}" for i in range(len(maps))], chosen=look.channel,
            limits=about_one(maps), label=EVEN, dark=look.dark,
        )  # fmt: skip
        text = f"All heads from {looks}, η to the right, φ upwards; blue is more than an even share"
        pictures.append(look.picture("All heads", "heads", state, text, draw))
    return pictures


def degrees(look: Look) -> list[Picture]:
    """Clebsch-Gordan layers on the sphere: sizes of the weights by degree and by product."""
    found: dict[str, Degrees] = {state: look.read(state, read_degrees) for state in look.states}
    values = {state: one.per_degree for state, one in found.items()}
    draw = look.bars(
        [name.removeprefix("l = ") for name in look.layer.channels],
        values,
        "size of the weights",
        "degree l of the output",
    )
    text = "Root mean square of the weights that are mixed into each degree l of the output."
    pictures = [Picture("Weights by degree", "degrees", text, draw, True)]
    for state, one in found.items():
        matrix = one.couplings[look.channel]
        names = [str(l) for l in range(len(matrix))]  # noqa: E741
        draw = partial(
            weight_table, matrix, names, names, label="size of the weights", xlabel="l₂", ylabel="l₁",
            limits=(0.0, float(np.nanmax(matrix)) or 1.0), colours=look.ramp(), dark=look.dark,
        )  # fmt: skip
        text = (
            f"Weights of the products of degrees l₁ ≤ l₂ in {look.names[0]}, beside "
            f"{one.direct[look.channel]:.3g} of its own input; empty: no such product"
        )
        title = f"Products into {look.names[0]}"
        pictures.append(look.picture(title, "products", state, text, draw))
    return pictures
