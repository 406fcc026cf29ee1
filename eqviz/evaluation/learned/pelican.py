"""PELICAN's learned maps: weights of the aggregations, the encoding of products, nanoPELICAN as a formula."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from eqviz.evaluation.learned.base import Array, LearnedLayer, numbered, shows, to_array
from eqviz.layers.pair_encoding import EXPONENT_FLOOR, PairEncoding
from eqviz.layers.pelican_maps import NodesToPairs, PairMixing, PairsToJet, PairsToNodes
from eqviz.layers.permutation_equivariant import PermutationEquivariant
from eqviz.layers.weighted_maps import WeightedMixing
from eqviz.models.nanopelican import NanoPelican

# In the order of the weights; r, c: means over a row and a column, t: of the diagonal, s: of everything.
MAPS = (
    "x_ij", "x_ji", "δ_ij x_ii", "x_jj", "x_ii", "δ_ij c_i", "c_j", "c_i", "δ_ij r_i", "r_j", "r_i",
    "t", "δ_ij t", "s", "δ_ij s",
)  # fmt: skip
SAFE_MAPS = ("x_ij", "x_ji", "x_ii", "r_i", "c_i", "x_jj", "r_j", "c_j", "t", "s")
NODE_MAPS = ("δ_ij x_i", "x_j", "x_i", "δ_ij mean", "mean")
GENERIC = (
    "x_ij", "x_ji", "x_ii", "r_i", "c_i", "x_jj", "r_j", "c_j", "δ_ij x_ii", "δ_ij r_i", "δ_ij c_i",
    "t", "s", "δ_ij t", "δ_ij s",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Mixing:
    """A linear map that mixes permutation-equivariant aggregations.

    Attributes:
        names: of the aggregations.
        weights: (maps, in channels, out channels).
        powers: (maps, in channels) learned exponents of (N / 49), 0 where there are none.
    """

    names: tuple[str, ...]
    weights: Array
    powers: Array

    def norms(self) -> Array:
        """(maps, out channels) lengths over the input channels."""
        return np.sqrt((self.weights**2).sum(1))


@torch.no_grad()
def read_mixing(module: Any) -> Mixing:
    """The weights of any of the layers that aggregate."""
    if isinstance(module, PairMixing):
        weights = to_array(module.weights())
        found = to_array(module.exponents).T
        powers = np.concatenate([np.zeros((len(weights) - len(found), found.shape[1])), found])
        return Mixing(MAPS, weights, powers)
    if isinstance(module, PermutationEquivariant):
        weights = to_array(module.weight[:, 0])
        generic = GENERIC if len(weights) == len(GENERIC) else ("t", "s")
        return Mixing(generic, weights, np.zeros(weights.shape[:2]))
    if isinstance(module, WeightedMixing):
        weights = to_array(module.weight)
        return Mixing(SAFE_MAPS, weights, np.zeros(weights.shape[:2]))
    coefficients, exponents = to_array(module.coefficients), to_array(module.exponents)
    if isinstance(module, PairsToNodes):
        powers = np.concatenate([np.zeros((1, exponents.shape[1])), exponents])
        return Mixing(("x_ii", "r_i", "c_i", "t", "s"), coefficients, powers)
    names = NODE_MAPS if isinstance(module, NodesToPairs) else ("s", "t")
    return Mixing(names, np.moveaxis(coefficients, 2, 0), exponents.T)


@dataclass(frozen=True, eq=False)
class Encoding:
    """Channels sign(y) ((1 + |y|)^a - 1) / a of y = w d + b, with d = p_i.p_j in GeV^2; (C,) each."""

    weight: Array
    bias: Array
    exponent: Array

    def __call__(self, d: Array) -> Array:
        """(C, n) at d (n,) in GeV^2."""
        y = self.weight[:, None] * d + self.bias[:, None]
        a = self.exponent[:, None]
        return np.sign(y) * np.expm1(a * np.log1p(np.abs(y))) / a


def read_encoding(module: PairEncoding) -> Encoding:
    """The learned functions of a product."""
    exponent = EXPONENT_FLOOR + to_array(module.alpha) ** 2
    return Encoding(to_array(module.weight), to_array(module.bias), exponent)


@dataclass(frozen=True, eq=False)
class Formula:
    """nanoPELICAN written down: (H, 15) w, (H,) b, u and v, and c, for two classes.

        z_ij^h = b_h + sum_m w_hm f_m(d)_ij,    d_ij = log(1 + p_i.p_j) or p_i.p_j
        y = c + sum_h [ u_h mean_ij max(0, z_ij^h) + v_h mean_i max(0, z_ii^h) ]

    y is the logit of the signal minus that of the background.
    """

    w: Array
    b: Array
    u: Array
    v: Array
    c: float
    encoded: bool
    massless: bool

    def terms(self, channel: int) -> list[tuple[str, float]]:
        """z_ij of one channel as names and numbers; for light-like particles what is equal is put together.

        Then d_ii = 0 and d_ij = d_ji, so that columns are rows and diagonals vanish.
        """
        w = self.w[channel]
        if not self.massless:
            return [("", float(self.b[channel])), *zip(GENERIC, w.tolist())]
        at = {name: float(w[index]) for index, name in enumerate(GENERIC)}
        return [
            ("", float(self.b[channel])),
            ("d_ij", at["x_ij"] + at["x_ji"]),
            ("r_i", at["r_i"] + at["c_i"]),
            ("r_j", at["r_j"] + at["c_j"]),
            ("s", at["s"]),
            ("δ_ij r_i", at["δ_ij r_i"] + at["δ_ij c_i"]),
            ("δ_ij s", at["δ_ij s"]),
        ]

    def evaluate(self, products: Array) -> float:
        """y of one jet from the matrix (N, N) of products p_i.p_j in GeV^2, term by term as written."""
        d = np.sign(products) * np.log1p(np.abs(products)) if self.encoded else products
        one, same = np.ones_like(d), np.eye(len(d))
        r, c, x = d.mean(1), d.mean(0), np.diag(d)
        maps = {
            "": one, "d_ij": d, "x_ij": d, "x_ji": d.T, "x_ii": x[:, None] * one, "x_jj": one * x,
            "r_i": r[:, None] * one, "r_j": one * r, "c_i": c[:, None] * one, "c_j": one * c,
            "t": x.mean() * one, "s": d.mean() * one, "δ_ij x_ii": same * x, "δ_ij r_i": same * r,
            "δ_ij c_i": same * c, "δ_ij t": same * x.mean(), "δ_ij s": same * d.mean(),
        }  # fmt: skip
        y = self.c
        for h in range(len(self.b)):
            z = np.maximum(sum(value * maps[name] for name, value in self.terms(h)), 0)
            y += self.u[h] * z.mean() + self.v[h] * np.diag(z).mean()
        return float(y)


def read_formula(model: NanoPelican) -> Formula:
    """The numbers of a nanoPELICAN with two classes."""
    pool = to_array(model.pool.weight[:, 0, :, 0])  # mean trace, mean of all
    assert model.pool.bias is not None
    return Formula(
        to_array(model.hidden.weight[:, 0, 0]).T,
        to_array(model.bias),
        pool[1],
        pool[0],
        float(model.pool.bias.detach().sum()),
        model.config.encoding == "log",
        model.config.massless and model.config.reference in ("none", "beams"),
    )


@shows(NanoPelican)
def _nano(path: str, module: Any) -> list[LearnedLayer]:
    if module.scores != 1:
        return []
    channels = numbered("hidden channel", module.config.hidden)
    return [LearnedLayer("formula", "the whole network as a formula", "formula", channels, ("all",), module)]


@shows(PairMixing, WeightedMixing, PermutationEquivariant, NodesToPairs, PairsToJet, PairsToNodes)
def _mixing(path: str, module: Any) -> list[LearnedLayer]:
    found = read_mixing(module)
    maps, come, out = found.weights.shape
    number = path.rpartition(".")[2]
    words = {
        PairMixing: "pairs → pairs", WeightedMixing: "pairs → pairs", NodesToPairs: "labels → pairs",
        PairsToJet: "pairs → jet", PairsToNodes: "pairs → particles",
    }.get(type(module), "pairs → pairs" if maps > 2 else "pairs → jet")  # fmt: skip
    block = f" of block {int(number) + 1}" if number.isdigit() else ""
    title = f"{words}{block}: {maps} aggregations, {come} → {out} channels"
    return [LearnedLayer(path, title, "mixing", numbered("channel", out), ("all",), module)]


@shows(PairEncoding)
def _encoding(path: str, module: Any) -> list[LearnedLayer]:
    channels = numbered("channel", len(module.weight))
    return [LearnedLayer(path, "encoding of the products", "encoding", channels, ("all",), module)]
