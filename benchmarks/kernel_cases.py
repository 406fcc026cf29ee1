"""One case per GPU kernel: inputs of the published networks' sizes, operation counts and least bytes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from eqviz.data.jets import JetBatch
from eqviz.layers.events import BEAMS, prepare
from eqviz.ops.lorentz_cg import ProductGroup, bell_aggregate, cg_products
from eqviz.ops.minkowski_gram import minkowski_features
from eqviz.ops.minkowski_message import MessageWeights, minkowski_message
from eqviz.ops.pairs import PairLayout
from eqviz.ops.permutation_2to2 import MirrorPairs, Spread, mix_message, pair_aggregate, pair_mix


class Sizes(NamedTuple):
    """LorentzNet's width, channels of PELICAN 208k, and components, channels and bells of LGN."""

    width: int = 72
    message: int = 78
    hidden: int = 132
    components: int = 20
    channels: int = 4
    bells: int = 20


TINY = Sizes(6, 3, 4, 5, 2, 3)


@dataclass(frozen=True)
class Case:
    """An operation on given inputs.

    Attributes:
        name: of the operation.
        function: of tensors, several results.
        inputs: the tensors.
        flops, bytes: operations of the forward pass; every input read and every output written once.
        precision: the arithmetic that counts: "fp32", "tf32", "fp64".
        plain: the same as plain tensor code, for PyTorch's compiler; None where it has no such form.
    """

    name: str
    function: Callable[..., Any]
    inputs: tuple[Tensor, ...]
    flops: float
    bytes: float
    precision: str = "fp32"
    plain: Callable[..., Any] | None = None

    def double(self) -> Case:
        """The same in float64."""
        return replace(self, inputs=tuple(x.detach().double().requires_grad_() for x in self.inputs))

    def compiled(self, compiler: bool) -> Case:
        """The plain form, compiled if there is a compiler for the device."""
        assert self.plain is not None
        return replace(self, function=torch.compile(self.plain, dynamic=False) if compiler else self.plain)

    def outputs(self) -> list[Tensor]:
        out = self.function(*self.inputs)
        return [out] if isinstance(out, Tensor) else list(out)

    def forward(self) -> None:
        """For timing."""
        with torch.no_grad():
            self.outputs()

    def step(self) -> list[Tensor]:
        """Gradients of a fixed loss."""
        out = self.outputs()
        ones = [torch.ones_like(value) for value in out]
        return list(torch.autograd.grad(out, self.inputs, ones, materialize_grads=True))

    def results(self) -> list[Tensor]:
        """Outputs and gradients."""
        return [*(value.detach() for value in self.outputs()), *self.step()]


def cases(batch: JetBatch, tiny: bool = False) -> list[Case]:
    """All of them for one batch, on its device; ``tiny``: few channels."""
    sizes = TINY if tiny else Sizes()
    events = prepare(batch, BEAMS)
    device, layout = batch.p4.device, events.layout
    generator = torch.Generator(device="cpu").manual_seed(0)

    def random(*shape: int, scale: float = 1.0) -> Tensor:
        values = torch.randn(*shape, generator=generator) * scale
        return values.to(device).requires_grad_()

    pairs = MirrorPairs.build(events.lengths)
    real = float(events.lengths.double().square().sum())
    return [
        gram(layout.to_slots(events.p4), layout, real),
        message(random, layout, real, sizes.width),
        *permutation(random, pairs, real, sizes),
        bells(random, layout, real, sizes),
        products(random, layout, sizes),
    ]


def gram(p4: Tensor, layout: PairLayout, real: float) -> Case:
    mask = layout.pair_mask

    def function(p4: Tensor) -> Tensor:
        return minkowski_features(p4, layout, torch.float32, "matrix").T * mask

    return Case(
        "minkowski_gram", function, (p4.requires_grad_(),), 40 * real, 32 * len(p4) + 8 * real, "fp64"
    )


def message(random: Callable[..., Tensor], layout: PairLayout, real: float, width: int) -> Case:
    scale = width**-0.5
    nodes = random(layout.n_slots, width), random(layout.n_slots, width), random(layout.n_pairs, 2)
    square, row, vector = (width, width), (1, width), (width,)
    shapes = ((width, 2), square, vector, row, (1,), square, vector, row)
    inputs = (*nodes, *(random(*shape, scale=scale) for shape in shapes))
    i, j = layout.pair_index
    mask = layout.pair_mask[:, None]

    def function(*tensors: Tensor) -> Any:
        return minkowski_message(*tensors[:3], MessageWeights(*tensors[3:]), layout)

    def plain(u: Tensor, v: Tensor, s: Tensor, ws: Tensor, wh: Tensor, bh: Tensor, *rest: Tensor) -> Any:
        wg, bg, wc, bc, vc = rest
        r = torch.relu(torch.relu(u[i] + v[j] + s @ ws.T) @ wh.T + bh)
        m = r * torch.sigmoid(r @ wg.T + bg) * mask
        c = torch.relu(m @ wc.T + bc) @ vc.T
        return torch.zeros_like(u).index_add(0, i, m), (c * mask).squeeze(1)

    work = real * (4 * width**2 + 12 * width)
    traffic = 12 * layout.n_slots * width + 12 * real
    return Case("minkowski_message", function, inputs, work, traffic, "tf32", plain)


def permutation(random: Callable[..., Tensor], pairs: MirrorPairs, real: float, sizes: Sizes) -> list[Case]:
    narrow, hidden = sizes.message, sizes.hidden
    i, j = pairs.ends
    a = random(pairs.n_rows, narrow)
    with torch.no_grad():
        for block in pairs.blocks:  # both rows of (i, i) are equal
            first, second = block.halves(a)
            same = block.halves(i)[0] == block.halves(j)[0]
            second[same] = first[same]
    scale = narrow**-0.5
    weights = random(hidden, narrow, scale=scale), random(hidden, narrow, scale=scale)
    nodes = tuple(random(pairs.n_nodes, hidden) for _ in range(3))
    head = random(narrow, hidden, scale=hidden**-0.5), random(narrow)

    def aggregate(a: Tensor) -> Any:
        return pair_aggregate(a, pairs)

    def mix(a: Tensor, even: Tensor, odd: Tensor, *nodes: Tensor) -> Any:
        return pair_mix(a, even, odd, Spread(*nodes), pairs, 0.01)

    def both(a: Tensor, even: Tensor, odd: Tensor, u: Tensor, v: Tensor, d: Tensor, *head: Tensor) -> Any:
        out, found = mix_message(a, even, odd, Spread(u, v, d), *head, pairs, 0.01)
        return out, *found[:3]

    work, wide = 2 * real * narrow * hidden, 4 * real * (narrow + hidden)
    return [
        Case("pair_aggregate", aggregate, (a,), 2 * real * narrow, 4 * real * narrow),
        Case("pair_mix", mix, (a, *weights, *nodes), work, wide, "tf32"),
        Case("mix_message", both, (a, *weights, *nodes, *head), 2 * work, 8 * real * narrow, "tf32"),
    ]


def bells(random: Callable[..., Tensor], layout: PairLayout, real: float, sizes: Sizes) -> Case:
    _, _, _, components, channels, count = sizes
    norm = random(layout.n_pairs).detach().abs()
    for tile in layout.tiles:
        dense = tile.pairs(norm)
        dense.copy_((dense + dense.transpose(1, 2)).clone())
    x, decay = random(components, channels, layout.n_slots), random(count).detach().square().requires_grad_()

    def function(x: Tensor, decay: Tensor, weights: Tensor) -> Any:
        return bell_aggregate(x, norm.to(x.dtype), decay, weights, layout, components)

    inputs = (x, decay, random(2, channels, count + 1))
    work = real * channels * (4 * count + 4 * components)
    return Case("bell_aggregate", function, inputs, work, 12 * x.numel() + 4 * real)


def products(random: Callable[..., Tensor], layout: PairLayout, sizes: Sizes) -> Case:
    components, channels = sizes.components, sizes.channels
    x, y = (random(components, channels, layout.n_slots) for _ in range(2))
    plan = (ProductGroup((0, components), (0, components)),)
    table = torch.zeros(components, components**2)
    index = torch.arange(10 * components)
    table[index % components, (index * 37) % components**2] = 0.5
    tables = {dtype: (table.to(x.device, dtype),) for dtype in (torch.float32, torch.float64)}

    def function(x: Tensor, y: Tensor) -> Any:
        return cg_products(x, y, plan, tables[x.dtype])

    return Case("cg_products", function, (x, y), 30 * x.numel(), 12 * x.numel())
