"""Pictures of what networks on constituents have learned: functions of invariants, aggregations, filters."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from eqviz.dash.filters import data
from eqviz.dash.filters.look import Look, Picture
from eqviz.evaluation.learned.base import Array
from eqviz.evaluation.learned.lgn import Radial, read_bells
from eqviz.evaluation.learned.lorentznet import Seen
from eqviz.evaluation.learned.pelican import Encoding, Mixing, read_encoding, read_mixing
from eqviz.evaluation.learned.pfn import phi_against_share, phi_maps, real_particles
from eqviz.plots import learned as plots
from eqviz.plots.filters import frequency_colours, mosaic, radial_profiles
from eqviz.plots.style import GROUP_COLOURS, MUTED, group_colour, mix
from eqviz.plots.weights import weight_table

DIFFERENCE, PRODUCT = "(pᵢ − pⱼ)²", "pᵢ·pⱼ"
_PIXELS = 49
_MAPS = 25


def bells(look: Look) -> list[Picture]:
    """LGN: the functions of every channel, and the bells that the chosen one is made of."""
    pairs = data.pairs(look.run)
    size = np.abs(pairs.norm)
    x = _axis(0.0, float(np.quantile(size, 0.9995)))
    scale = float(data.network(look.run, data.AFTER).config.scale)
    found: dict[str, Radial] = {state: look.read(state, read_bells, scale) for state in look.states}
    curves: list[tuple[str, Array, dict[str, Any]]] = []
    for state, radial in found.items():
        for c, values in enumerate(radial(x)[look.source]):
            label = look.layer.channels[c]
            if look.state == data.BOTH and state == data.BEFORE:
                label = f"{label}, {data.STATES[state]}" if c == look.channel else ""
            curves.append((label, values, _line(look, c, len(radial.weights[0]), state)))
    more: dict[str, Any] = {"xlabel": f"|{DIFFERENCE}|", "ylabel": "f", "real": size, "dark": look.dark}
    shaded = f"below: the pairs of {pairs.n_jets} real jets, shaded where 95 % of them are"
    text = f"The weight f of the neighbours j in {look.names[1]} against the invariant of the pair; {shaded}."
    draw = partial(plots.function_of_invariant, x, curves, **more)
    pictures = [Picture("Radial functions", "radial", text, draw)]
    for state, radial in found.items():
        terms = radial.terms(look.source, look.channel, x)
        colours = frequency_colours(len(terms), look.symmetry, look.dark)
        widths = 1 / np.sqrt(radial.decay)
        colours = [colours[i] for i in np.argsort(np.argsort(widths))]
        made = [
            (f"{width:.3g} GeV", term, {"color": colour, "line_width": 1.4})
            for width, term, colour in zip(widths, terms, colours)
        ]
        constant = radial.weights[look.source, look.channel, -1]
        text = (
            f"The bells w / (1 + c²|x|) that add up to {look.names[0]} with the constant {constant:.3g}; "
            f"widths 1/c from {widths.min():.2g} (light) to {widths.max():.3g} GeV (deep)"
        )
        draw = partial(
            plots.function_of_invariant, x, made, **{**more, "ylabel": "w / (1 + c²|x|)"}, show_legend=False
        )
        pictures.append(look.picture("The bells it is made of", "bells", state, text, draw))
    return pictures


def _axis(low: float, high: float, n: int = 240) -> Array:
    """Places between two numbers in GeV^2, equally spaced on a symmetric-logarithmic axis."""
    ends = plots.symlog([low, high])
    return plots.from_symlog(np.linspace(ends[0], ends[1], n))


def _line(look: Look, channel: int, count: int, state: str) -> dict[str, Any]:
    """The chosen channel stands out; what was before training is grey."""
    chosen = channel == look.channel
    colour = frequency_colours(count, look.symmetry, look.dark)[channel]
    if state == data.BEFORE and look.state == data.BOTH:
        colour = mix(colour, MUTED[look.dark], 0.85)
    return {"color": colour, "line_width": 3.2 if chosen else 1.3, "alpha": 1.0 if chosen else 0.75}


def gate(look: Look) -> list[Picture]:
    """LorentzNet: the gate over both invariants, the gates of real pairs, and one channel of the message."""
    pictures = []
    for state in look.states:
        seen = data.seen(look.run, state, look.layer.key)
        real = seen.of(look.source)
        norm, dot = seen.norm[real], seen.dot[real]
        x = _axis(*_reach(norm), 81)
        y = _axis(*_reach(dot), 81)
        grid = np.meshgrid(x, y)
        gates, messages = seen.at(grid[0].ravel(), grid[1].ravel(), look.source)
        shape = (len(y), len(x))
        more: dict[str, Any] = {
            "xlabel": DIFFERENCE,
            "ylabel": PRODUCT,
            "real": (norm, dot),
            "dark": look.dark,
        }
        kind = look.names[1]
        where = f"lines hold 50, 90 and 99 % of {real.sum():,} real pairs of {seen.n_jets} jets"
        text = f"The gate φ_m of {kind} for the mean features of such pairs; {where}"
        text += "" if look.source else "; light-like particles have (pᵢ − pⱼ)² = −2 pᵢ·pⱼ at first"
        draw = partial(
            plots.map_of_invariants, x, y, gates.reshape(shape), label="gate", limits=(0.0, 1.0), **more
        )
        pictures.append(look.picture("Gate over the invariants", "gate", state, text, draw, True))
        channel = messages[:, look.channel].reshape(shape)
        limits = (0.0, float(channel.max()) or 1.0)
        text = f"{look.names[0].capitalize()} of the gated message of {kind}, never negative; {where}"
        draw = partial(plots.map_of_invariants, x, y, channel, label="message", limits=limits, **more)
        pictures.append(look.picture("Message over the invariants", "message", state, text, draw))
    found = {state: data.seen(look.run, state, look.layer.key) for state in look.states}
    return [*pictures, *(_gates(look, state, seen) for state, seen in found.items())]


def _reach(values: Array) -> tuple[float, float]:
    low, high = (float(v) for v in np.quantile(values, [0.0005, 0.9995]))
    return min(low, 0.0), max(high, 0.0) or 1.0


def _gates(look: Look, state: str, seen: Seen) -> Picture:
    gates, _ = seen.messages()
    colours = (group_colour(look.symmetry, look.dark), GROUP_COLOURS["D_n"][look.dark])
    groups = [
        (name, seen.dot[seen.of(kind)], gates[seen.of(kind)], colour)
        for kind, (name, colour) in enumerate(zip(look.layer.sources, colours))
    ]
    text = (
        f"Median and central 95 % of the gates of real pairs of {seen.n_jets} jets in bins of their product"
    )
    draw = partial(
        plots.band_against_invariant, (0.0, float(np.quantile(seen.dot, 0.9995))), groups,
        xlabel=PRODUCT, ylabel="gate", ylim=(0, 1.02), dark=look.dark,
    )  # fmt: skip
    return look.picture("Gates of real pairs", "gates", state, text, draw, True)


def mixing(look: Look) -> list[Picture]:
    """PELICAN: how much each aggregation counts, and the weights of one output channel."""
    found: dict[str, Mixing] = {state: look.read(state, read_mixing) for state in look.states}
    one = next(iter(found.values()))
    letters = "r, c: means over row and column; t: over the diagonal; s: over everything; δ: on the diagonal"
    values = {state: mixed.norms()[:, look.channel] for state, mixed in found.items()}
    text = f"Length of the weights of each aggregation in {look.names[0]}; {letters}."
    draw: Any = look.bars(indexed(one.names), values, "length of the weights", "")
    pictures = [Picture("Aggregations of this channel", "aggregations", text, draw)]
    for state, mixed in found.items():
        rows, (_, come, _) = indexed(mixed.names), mixed.weights.shape
        if come > 1:
            text = f"Weights of the {len(rows)} aggregations of {come} input channels in {look.names[0]}"
            draw = partial(
                weight_table, mixed.weights[:, :, look.channel], rows, xlabel="input channel", dark=look.dark
            )
            pictures.append(look.picture("Weights by input channel", "weights", state, text, draw))
        if len(look.layer.channels) > 1:
            norms = mixed.norms()
            text = f"Length of the weights of each aggregation in all {norms.shape[1]} output channels"
            draw = partial(
                weight_table, norms, rows, xlabel="output channel", label="length", colours=look.ramp(),
                limits=(0.0, float(norms.max()) or 1.0), dark=look.dark,
            )  # fmt: skip
            pictures.append(look.picture("All channels", "channels", state, text, draw, True))
    if np.any([mixed.powers for mixed in found.values()]):
        means = {state: mixed.powers.mean(1) for state, mixed in found.items()}
        text = "Power α of (N / 49)^α on each aggregation of N particles, mean over input channels."
        bars = look.bars(indexed(one.names), means, "mean power of N", "")
        pictures.append(Picture("Dependence on multiplicity", "powers", text, bars, True))
    return pictures


def indexed(names: Sequence[str]) -> list[str]:
    """Names with real indices: ``x_ij`` as xᵢⱼ."""
    small = str.maketrans("ij", "ᵢⱼ")
    return [
        " ".join(a + b.translate(small) for a, _, b in (w.partition("_") for w in n.split())) for n in names
    ]


def encoding(look: Look) -> list[Picture]:
    """PELICAN: the learned functions of a product."""
    pairs = data.pairs(look.run)
    safe = look.run.model_name == "pelican-irc"
    x = _axis(0.0, 2.0 if safe else float(np.quantile(pairs.dot, 0.9995)))
    pictures = []
    for state in look.states:
        found: Encoding = look.read(state, read_encoding)
        values = found(x)
        order = sorted(range(len(values)), key=lambda c: c == look.channel)[-24:]
        curves = [
            (
                look.layer.channels[c] if c == look.channel else "",
                values[c],
                _line(look, c, len(values), state),
            )
            for c in order
        ]
        name = "1 − cos of the angle in the rest frame" if safe else PRODUCT
        w, b, a = (float(v[look.channel]) for v in (found.weight, found.bias, found.exponent))
        text = (
            f"{look.names[0].capitalize()}, sign(y) ((1 + |y|)^a − 1) / a with a = {a:.3g} of "
            f"y = {w:.3g} d {'−' if b < 0 else '+'} {abs(b):.3g}, bold among {len(curves)} of {len(values)}"
        )
        text += "" if safe else f"; below: the pairs of {pairs.n_jets} real jets"
        draw = partial(
            plots.function_of_invariant, x, curves, xlabel=name, ylabel="encoded", dark=look.dark,
            real=None if safe else pairs.dot, unit="" if safe else "GeV²",
        )  # fmt: skip
        pictures.append(look.picture("Encoding of the products", "encoding", state, text, draw))
    return pictures


def phi(look: Look) -> list[Picture]:
    """PFN: filters over the plane at the pT fraction of a typical particle, and their radial dependence."""
    pictures = []
    batch = data.sample(look.run)
    for state in look.states:
        model: Any = data.network(look.run, state)
        inputs, answers = real_particles(model, batch)
        share, reach = typical_share(inputs[:, 0]), typical_reach(inputs)
        maps = plane_maps(model, share, reach)
        jets = f"pT fraction {share:.2g} (half of the pT of {len(batch)} jets is in harder particles)"
        text = f"Φ of {look.names[0]} for a particle of {jets}; 95 % of the pT is inside"
        draw = partial(
            plots.plane_map, maps[look.channel], reach, label="Φ", radius=None, symmetry=look.symmetry,
            dark=look.dark,
        )  # fmt: skip
        pictures.append(look.picture("Filter over the plane", "phi", state, text, draw))
        strength = (answers * inputs[:, :1]).mean(0)
        busy = np.argsort(-strength, kind="stable")[:_MAPS]
        chosen = int(np.flatnonzero(busy == look.channel)[0]) if look.channel in busy else None
        shown = maps[busy] / np.maximum(maps[busy].max((1, 2), keepdims=True), 1e-12)
        draw = partial(
            mosaic, np.swapaxes(shown, 1, 2), [str(i + 1) for i in busy], columns=5, chosen=chosen,
            limits=(0.0, 1.0), colours=look.ramp(), label="Φ / its largest value", dark=look.dark,
        )  # fmt: skip
        text = f"The {len(busy)} filters that real particles excite most, each over |Δη|, |Δφ| < {reach:.2g}"
        pictures.append(look.picture("The busiest filters", "busiest", state, text, draw))
        pictures.append(_distances(look, state, model, reach))
    return pictures


def _distances(look: Look, state: str, model: Any, reach: float) -> Picture:
    shares, distance = np.array([0.01, 0.05, 0.2, 0.5]), np.linspace(0, reach, 60)
    values = phi_against_share(model, shares, distance)[look.channel]
    colours = frequency_colours(len(shares), look.symmetry, look.dark)
    curves = [
        (f"pT fraction {z:g}", row, colour, "solid") for z, row, colour in zip(shares, values.T, colours)
    ]
    draw = partial(
        radial_profiles, distance, curves, ylabel="Φ, mean over the direction", dark=look.dark,
        xlabel="distance from the jet axis ΔR",
    )  # fmt: skip
    text = f"{look.names[0].capitalize()} against the distance from the axis for four pT fractions"
    return look.picture("Against distance and pT", "distance", state, text, draw)


def typical_share(share: Array) -> float:
    """The pT fraction such that half of all pT is in harder particles."""
    order = np.sort(share)
    return float(order[np.searchsorted(np.cumsum(order), order.sum() / 2)])


def typical_reach(inputs: Array) -> float:
    """Half the side of the square around the axis that holds 95 % of the pT, a multiple of 0.05."""
    distance = np.abs(inputs[:, 1:3]).max(1)
    order = np.argsort(distance, kind="stable")
    held = np.cumsum(inputs[order, 0])
    return max(0.05, float(np.ceil(distance[order[np.searchsorted(held, 0.95 * held[-1])]] / 0.05) * 0.05))


def plane_maps(model: Any, share: float, reach: float) -> Array:
    """All filters over the plane, (latent, eta, phi)."""
    places = (np.arange(_PIXELS) + 0.5) / _PIXELS * 2 * reach - reach
    return phi_maps(model, places, places, share)
