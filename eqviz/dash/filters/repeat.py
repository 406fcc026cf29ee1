"""How to repeat the pictures of the Filters tab: a few lines of Python for every family of layers."""

from __future__ import annotations

from pathlib import Path
from string import Template
from typing import Any

from eqviz.dash.filters import data
from eqviz.dash.filters.look import Look
from eqviz.evaluation.run import Run

_HEAD = """\
from eqviz.evaluation.learned import find_layer, initial_model, moved
from eqviz.evaluation.store import RunStore

run = RunStore($root).get($run)
model = $network
"""
_BODIES: dict[str, str] = {
    "kernels": """\
from eqviz.evaluation.learned.planar import read_filters
from eqviz.evaluation.learned.waves import harmonics
from eqviz.plots.filters import kernel_map, mosaic

filters = read_filters(find_layer(model, $key).module)
kernel = filters.weights[$channel, $source]
figures = [mosaic(filters.weights[:64, $source]), kernel_map(kernel)]
if kernel.shape[-1] % 2:
    print(harmonics(kernel).share)
""",
    "group": """\
from eqviz.evaluation.learned.planar import copies, read_filters
from eqviz.evaluation.learned.waves import harmonics
from eqviz.plots.filters import mosaic

found = copies(read_filters(find_layer(model, $key).module), $channel, $source)
figures = [mosaic(found.kernels, found.names, columns=found.columns), mosaic(found.base, found.components)]
print(harmonics(found.base).share)
""",
    "steerable": """\
from eqviz.evaluation.learned.planar import read_filters
from eqviz.evaluation.learned.waves import harmonics
from eqviz.plots.filters import mosaic

block = read_filters(find_layer(model, $key).module).block($channel, $source)
figures = [mosaic(block.reshape(-1, *block.shape[-2:]), columns=block.shape[1])]
print(harmonics(block).share)
""",
    "harmonic": """\
from eqviz.evaluation.learned.harmonic import read_complex_filter
from eqviz.plots.filters import kernel_map, phase_map

found = read_complex_filter(find_layer(model, $key).module, $channel, $source)
figures = [kernel_map(found.amplitude), phase_map(found.angle)]
print(found.order, found.phase, found.radius, found.weights)
""",
    "attention": """\
from eqviz.data import load, load_images
from eqviz.evaluation.learned.vit import read_attention
from eqviz.plots.learned import attention_map

jets = load_images($data, "test") if $images else load($data, "test")
found = read_attention(model, jets.batch.select([$jet]), int($key.rpartition(".")[2]))
query = $source - 1 if $source else None
figure = attention_map(
    found.map($channel, query), found.image.sum(0), half_width=model.config.half_width, query=query
)
""",
    "degrees": """\
from eqviz.evaluation.learned.spherical import read_degrees

found = read_degrees(find_layer(model, $key).module)
print(found.per_degree, found.couplings[$channel])
""",
    "bells": """\
import numpy as np
from eqviz.evaluation.learned.lgn import read_bells
from eqviz.plots.learned import function_of_invariant

f = read_bells(find_layer(model, $key).module, model.config.scale)
x = np.append(0, np.geomspace(1e-3, 1e6, 200))
curves = [(f"channel {c + 1}", y, {}) for c, y in enumerate(f(x)[$source])]
figure = function_of_invariant(x, curves, xlabel="|(p_i - p_j)^2|", ylabel="f")
""",
    "gate": """\
import numpy as np
from eqviz.data import load
from eqviz.evaluation.learned.lorentznet import read_block
from eqviz.plots.learned import map_of_invariants

jets = load($data, "test").batch
seen = read_block(model, $key, jets.select(range(min(60, len(jets)))))
y = np.append(0, np.geomspace(1e-3, 1e5, 80))
x = -2 * y[::-1]
grid = np.meshgrid(x, y)
gate, message = seen.at(grid[0].ravel(), grid[1].ravel(), $source)
print(gate.reshape(81, 81), message[:, $channel].reshape(81, 81))
""",
    "mixing": """\
from eqviz.evaluation.learned.pelican import read_mixing
from eqviz.plots.weights import paired_bars, weight_table

found = read_mixing(find_layer(model, $key).module)
figures = [
    paired_bars(found.names, found.norms()[:, $channel], ylabel="length of the weights"),
    weight_table(found.weights[:, :, $channel], found.names),
]
""",
    "encoding": """\
import numpy as np
from eqviz.evaluation.learned.pelican import read_encoding
from eqviz.plots.learned import function_of_invariant

f, d = read_encoding(find_layer(model, $key).module), np.append(0, np.geomspace(1e-3, 1e5, 200))
figure = function_of_invariant(d, [("", f(d)[$channel], {})], xlabel="p_i.p_j", ylabel="encoded")
""",
    "phi": """\
import numpy as np
from eqviz.evaluation.learned.pfn import phi_maps
from eqviz.plots.learned import plane_map

places = np.linspace(-0.8, 0.8, 49)
figure = plane_map(phi_maps(model, places, places, share=0.1)[$channel], 0.8, label="Phi")
""",
    "formula": """\
from eqviz.evaluation.learned.pelican import read_formula

formula = read_formula(model)
for h in range(len(formula.b)):
    print(formula.terms(h), formula.u[h], formula.v[h])
print(formula.c)
""",
    "moved": "print(*moved(run.model(), initial_model(run)), sep='\\n')\n",
}
_BODIES["patches"] = _BODIES["kernels"]


def code(look: Look, root: Path | str) -> str:
    """Python that makes the arrays and pictures of a layer again."""
    config: dict[str, Any] = look.run.config.get("data", {})
    fields = {
        "root": str(root), "run": look.run.id, "key": look.layer.key, "channel": look.channel,
        "source": look.source, "jet": look.jet, "data": str(config.get("name", "")),
        "images": bool(config.get("images")),
    }  # fmt: skip
    network = "run.model()" if look.states[0] == data.AFTER else "initial_model(run)"
    return _filled(_HEAD + _BODIES[look.layer.family], network, fields)


def moved_code(run: Run, root: Path | str) -> str:
    """Python that tells how far every module moved."""
    return _filled(_HEAD + _BODIES["moved"], "run.model()", {"root": str(root), "run": run.id})


def _filled(template: str, network: str, fields: dict[str, Any]) -> str:
    values = {key: repr(value) for key, value in fields.items()}
    return Template(template).substitute(network=network, **values)
