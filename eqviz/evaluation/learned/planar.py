"""Filters of convolutions as arrays: plain, group, steerable, relaxed.

Kernels are (rows, columns) of pixels, rows along eta upwards and columns along phi, as the network applies
them. A layer maps fields to fields; between two fields the filter is (out components, in components, size,
size): one kernel for plain channels, |G| x |G| for functions on a finite group.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from eqviz.evaluation.learned.base import Array, LearnedLayer, shows, to_array
from eqviz.groups import Element
from eqviz.layers.fieldconv import FieldConv
from eqviz.layers.fields import FieldKind, FieldType, planar_group
from eqviz.layers.relaxed import RelaxedConv
from eqviz.layers.steerable import SteerableStack


@dataclass(frozen=True)
class Field:
    """A field among the channels of a layer: its name, kind (None: a plain channel) and channels."""

    name: str
    kind: FieldKind | None
    start: int
    stop: int


@dataclass(frozen=True, eq=False)
class Filters:
    """All filters of one convolution.

    Attributes:
        weights: (out channels, in channels, size, size).
        outputs, inputs: the fields that the channels belong to.
        group: name of the group, "" for a plain convolution.
    """

    weights: Array
    outputs: tuple[Field, ...]
    inputs: tuple[Field, ...]
    group: str = ""

    def block(self, output: int, source: int) -> Array:
        """(out components, in components, size, size) between two fields."""
        out, come = self.outputs[output], self.inputs[source]
        return self.weights[out.start : out.stop, come.start : come.stop]


@torch.no_grad()
def read_filters(module: nn.Module) -> Filters:
    """The filters of a plain, steerable or relaxed convolution, or of escnn's."""
    if isinstance(module, FieldConv):
        outputs, inputs = fields_of(module.out_type), fields_of(module.in_type)
        return Filters(to_array(module.filter()), outputs, inputs, module.out_type.group)
    if isinstance(module, nn.Conv2d):
        return _plain(module)
    return _from_escnn(module)


def _plain(conv: nn.Conv2d) -> Filters:
    """Of grouped convolutions each output has its own inputs: they are numbered within the group."""
    weights = to_array(conv.weight)
    names = ("channel", "input")
    outputs, inputs = (
        tuple(Field(f"{word} {i + 1}", None, i, i + 1) for i in range(count))
        for word, count in zip(names, weights.shape[:2])
    )
    return Filters(weights, outputs, inputs)


def fields_of(field_type: FieldType) -> tuple[Field, ...]:
    """The fields of a stack, one by one."""
    found = []
    for kind, count, at in field_type.slices():
        for index in range(count):
            start = at.start + index * kind.channels
            found.append(Field(field_name(kind, index), kind, start, start + kind.channels))
    return tuple(found)


def kind_words(kind: FieldKind) -> str:
    """A kind of field in words: "scalar", "vector of k = 2", "function on D4" ..."""
    word, *rest = kind.name.split()
    if word == "trivial":
        return "scalar"
    if word == "irrep":
        return f"vector of k = {rest[0].split(',')[-1]}"
    top = f" to k = {rest[0]}" if rest else ""
    return f"function on {kind.group}{'/C2' if word == 'quotient' else ''}{top}"


def field_name(kind: FieldKind, index: int) -> str:
    """``scalar 1``, ``vector 2 of k = 1``, ``field 3`` for a function on the group."""
    word, *rest = kind.name.split()
    if word == "irrep":
        return f"vector {index + 1} of k = {rest[0].split(',')[-1]}"
    return f"{'scalar' if word == 'trivial' else 'field'} {index + 1}"


def _from_escnn(conv: Any) -> Filters:
    """escnn counts rows of pixels downwards: its r is our r^-1, and the channels are put in our order."""
    weights = to_array(conv.expand_parameters()[0])
    name = str(conv.out_type.gspace.fibergroup.name)  # "C4" or "D4"
    group = name if name[:1] in "CD" else ""
    outputs, rows = _escnn_fields(conv.out_type, group)
    inputs, columns = _escnn_fields(conv.in_type, group)
    return Filters(weights[rows][:, columns], outputs, inputs, group)


def _escnn_fields(field_type: Any, group: str) -> tuple[tuple[Field, ...], list[int]]:
    """The fields, and for every channel in our order where escnn has it."""
    places = escnn_order(field_type.gspace, group)
    fields, order, start = [], list[int](), 0
    for index, representation in enumerate(field_type.representations):
        size = representation.size
        kind = FieldKind(group, "regular" if size > 1 else "trivial")
        fields.append(Field(field_name(kind, index), kind, start, start + size))
        order += [start + place for place in (places if size > 1 else [0])]
        start += size
    return tuple(fields), order


def escnn_order(space: Any, group: str) -> list[int]:
    """Where each of our elements stands among escnn's, by what they do to the plane with rows upwards."""
    flip = np.diag([1.0, -1.0])
    theirs = [flip @ np.asarray(space.basespace_action(g)) @ flip for g in space.fibergroup.elements]
    ours = [g.matrix for g in planar_group(group).elements()]
    return [int(np.argmin([np.abs(matrix - m).max() for m in theirs])) for matrix in ours]


def element_name(element: Element) -> str:
    """``e``, ``r``, ``r²``, ``f``, ``r² f``."""
    powers = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
    words = ("e" if str(element) == "identity" else str(element)).split()
    return " ".join(word.partition("^")[0] + word.partition("^")[2].translate(powers) for word in words)


@dataclass(frozen=True, eq=False)
class Copies:
    """One filter and its turned and reflected copies.

    Attributes:
        names: of the group elements, rotations first, then the reflections.
        columns: rotations in the group: elements come in rows of this many.
        kernels: (|G|, size, size) K[g, g k], the copy that g makes of K[e, k].
        base: (components, size, size) K[e, k] for every component k of the input.
        components: names of these components; one for a scalar.
    """

    names: tuple[str, ...]
    columns: int
    kernels: Array
    base: Array
    components: tuple[str, ...]


def copies(filters: Filters, output: int, source: int, component: int = 0) -> Copies:
    """The filter from ``component`` of the input field to a field of functions on a finite group.

    K[g, g k](x) = K[e, k](g^-1 x): one filter psi_k, moved by every g (arXiv:1602.07576, eq. 11).
    """
    elements = planar_group(filters.group).elements()
    names = tuple(element_name(g) for g in elements)
    block, kind = filters.block(output, source), filters.inputs[source].kind
    assert kind is not None
    rows = [0 if kind.channels == 1 else int(_moved(kind, g)[component]) for g in elements]
    columns = sum(np.linalg.det(g.matrix) > 0 for g in elements)
    components = names if kind.channels > 1 else ("scalar",)
    return Copies(names, int(columns), block[np.arange(len(elements)), rows], block[0], components)


def _moved(kind: FieldKind, element: Element) -> Array:
    """(|G|,) where each component of a regular field goes."""
    return np.rint(np.asarray(kind.law(element)).real).argmax(0)


@torch.no_grad()
def symmetric_part(conv: RelaxedConv) -> Filters:
    """The filters with the mean of the element-dependent weights: what is left when the symmetry holds."""
    symmetric = deepcopy(conv)  # networks are shared between pages
    weights = symmetric.element_weights
    weights.copy_(weights.mean(1, keepdim=True).expand_as(weights))
    return read_filters(symmetric)


def departures(conv: RelaxedConv) -> tuple[tuple[str, ...], Array]:
    """Names of the group elements and how far the weights of each are from their mean, relative to it."""
    weights = to_array(conv.element_weights)
    mean = weights.mean(1, keepdims=True)
    size = max(float(np.linalg.norm(mean)), 1e-300)
    names = tuple(element_name(g) for g in planar_group(conv.out_type.group).elements())
    return names, np.linalg.norm(weights - mean, axis=0) / size


@shows(nn.Conv2d, FieldConv)
def _convolution(path: str, module: Any) -> list[LearnedLayer]:
    if isinstance(module, nn.Conv2d):
        family, size = "kernels", module.kernel_size[0]
        filters = _plain(module)
        outputs, inputs = filters.outputs, filters.inputs
    else:
        group, size = module.out_type.group, module.kernel_size
        family = "steerable" if planar_group(group).order is None else "group"
        outputs, inputs = fields_of(module.out_type), fields_of(module.in_type)
    return [_entry(path, module, family, size, outputs, inputs)]


@shows(SteerableStack)
def _escnn_stack(path: str, module: Any) -> list[LearnedLayer]:
    found = []
    for index, part in enumerate(module.body):
        if hasattr(part, "expand_parameters"):
            name = str(part.out_type.gspace.fibergroup.name)
            (outputs, _), (inputs, _) = (_escnn_fields(t, name) for t in (part.out_type, part.in_type))
            size = part.kernel_size
            found.append(_entry(f"{path}.body.{index}", part, "group", size, outputs, inputs))
    return found


def _entry(
    path: str,
    module: nn.Module,
    family: str,
    size: int,
    outputs: tuple[Field, ...],
    inputs: tuple[Field, ...],
) -> LearnedLayer:
    come, to = _count(inputs), _count(outputs)
    come = come.partition(" ")[0] if come.partition(" ")[2] == to.partition(" ")[2] else come
    title = f"{size} × {size} convolution, {come} → {to}"
    channels, sources = (tuple(field.name for field in fields) for fields in (outputs, inputs))
    return LearnedLayer(path, title, family, channels, sources, module)


def _count(fields: tuple[Field, ...]) -> str:
    words = {"channel" if field.kind is None else kind_words(field.kind) for field in fields}
    word = words.pop() if len(words) == 1 else "field"
    if len(fields) == 1:
        return f"1 {word}"
    return f"{len(fields)} " + (word.replace("function", "functions") if "function" in word else f"{word}s")
