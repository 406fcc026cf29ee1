"""Networks on images: time to build, and what their plain export costs beside a CNN of the same shape."""

from __future__ import annotations

import time
import warnings
from importlib.util import find_spec

import torch
from torch import Tensor, nn

from benchmarks.measure import interleaved, rows
from benchmarks.registry import Row, Settings, register
from eqviz.layers.fieldconv import FieldConv
from eqviz.layers.fields import FieldKind, FieldType
from eqviz.layers.kernels import _cached_constants, kernel_table, kernel_tensor
from eqviz.layers.plain_stack import PlainStack, plan_layers
from eqviz.layers.planar_stack import FieldStack
from eqviz.layers.steerable import load_escnn, planar_space
from eqviz.models import JetModel, build_model

SHAPE = {"n_pixels": 125, "in_channels": 3, "channels": (16, 32, 64), "depth": 6}
NETWORKS: dict[str, tuple[str, dict[str, object]]] = {
    "CNN": ("cnn", {}),
    "C4": ("groupcnn", {"group": "C4"}),
    "C8": ("groupcnn", {"group": "C8"}),
    "D4": ("groupcnn", {"group": "D4"}),
    "D8": ("groupcnn", {"group": "D8"}),
    "SO(2) regular": ("steerable_cnn", {"group": "SO(2)"}),
    "SO(2) irreps": ("steerable_cnn", {"group": "SO(2)", "fields": "irreps"}),
    "O(2) quotient": ("steerable_cnn", {"group": "O(2)", "fields": "quotient"}),
}


@register(
    "planar",
    summary="group and steerable networks on images: building, and exported inference beside a CNN",
    reference="arXiv:1911.08251",
)
def run(settings: Settings) -> list[Row]:
    torch.manual_seed(0)
    repeats = 2 if settings.quick else 5
    found = [] if settings.device != "cpu" else [*build_rows(repeats), *escnn_rows(settings)]
    with torch.no_grad():
        return found + export_rows(settings)


def build_rows(repeats: int) -> list[Row]:
    """18 convolutions at 125 x 125 with as many parameters as the CNN, kernels made from nothing."""
    times = {name: [_build_seconds(name) for _ in range(repeats)] for name in NETWORKS}
    return rows("build", times, 1.0, "s", "18 convolutions, 3 x 125 x 125, rule parameters")


def _build_seconds(name: str) -> float:
    for cache in (kernel_table, kernel_tensor, _cached_constants):
        cache.cache_clear()
    start = time.process_time()
    network(name)
    return time.process_time() - start


def network(name: str, **params: object) -> JetModel:
    """One of the networks of the table at full size."""
    model, own = NETWORKS[name]
    rule = {} if model == "cnn" else {"rule": "parameters"}
    return build_model(model, **SHAPE, **rule, **own, **params)


def escnn_rows(settings: Settings) -> list[Row]:
    """One wide layer, C8 regular fields: escnn with its default initialisation, without, and ours."""
    if not find_spec("escnn"):
        return []
    width = 8 if settings.quick else 32
    enn = load_escnn().nn
    space = planar_space("C8")
    theirs = enn.FieldType(space, width * [space.regular_repr])
    ours = FieldType(((FieldKind("C8", "regular"), width),))
    functions = {
        "eqviz": lambda: FieldConv(ours, ours, 5),
        "escnn": lambda: enn.R2Conv(theirs, theirs, 5, bias=False, recompute=True),
        "escnn, initialize=False": lambda: enn.R2Conv(
            theirs, theirs, 5, bias=False, recompute=True, initialize=False
        ),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        times = interleaved(functions, 1 if settings.quick else 3, "cpu")
    return rows("build one layer", times, 1e3, "ms", f"C8, {width} regular fields, 5 x 5, kernels cached")


def export_rows(settings: Settings) -> list[Row]:
    """Evaluation of a network, its export, and a CNN with exactly as many channels in every layer."""
    batch, repeats = (1, 1) if settings.quick else (2 if settings.device == "cpu" else 64, 5)
    images = torch.rand(batch, 3, 125, 125, device=settings.device)
    found = []
    for name in NETWORKS:
        if name == "CNN" or (settings.quick and name not in ("D4", "SO(2) irreps")):
            continue
        model = network(name).to(settings.device).eval()
        exported, twin = model.export(), same_shape(model).to(settings.device)
        verify(model, exported, images)
        functions = {
            "CNN of the same shape": lambda n=twin: n(images),
            "exported": lambda n=exported: n(images),
            "as trained": lambda n=model: n.classify(images),
        }
        times = interleaved(functions, repeats, settings.device)
        found += rows(f"{name}: inference", times, 1e3 / batch, "ms/image", f"batch {batch}, 125 x 125")
    return found


def same_shape(model: JetModel) -> nn.Module:
    """A plain network with as many channels, kernels and poolings, exported, too."""
    trunk = model.trunk
    assert isinstance(trunk, FieldStack)
    plan = plan_layers(model.config.n_pixels, model.config.channels, model.config.depth, 5)
    wide = [
        type(step)(layer.conv.out_type.channels, step.kernel_size, step.window)
        for step, layer in zip(plan, trunk.layers)
    ]
    return PlainStack(3, wide).eval().export()


def verify(model: JetModel, exported: nn.Module, images: Tensor) -> None:
    """The exported network answers the same."""
    expected, got = model.classify(images), exported(images)
    if not torch.allclose(got, expected, rtol=1e-5, atol=1e-5 * float(expected.abs().max())):
        raise AssertionError(f"the export of {model.name} differs by {float((got - expected).abs().max())}")
