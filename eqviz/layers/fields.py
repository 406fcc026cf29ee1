"""Fields on the plane: what sits at a pixel and how it turns (arXiv:1911.08251, section 2).

A feature map is a stack of fields. Each is a scalar, a vector of an irrep, or a function on the group
(regular) or on a quotient of it. Functions on SO(2) and O(2) are band-limited and stored as samples, so
that a ReLU acts on every sample as on the channels of a finite group's regular field (arXiv:2106.06020).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from eqviz.errors import ConfigError
from eqviz.groups import Element, Group, Representation
from eqviz.groups.composite import direct_sum
from eqviz.groups.planar import cyclic, dihedral, o2, so2

Matrix = NDArray[np.float64]


def planar_group(name: str) -> Group:
    """C_n, D_n, SO(2) or O(2) from "C4", "D8", "SO(2)" or "O(2)".

    >>> planar_group("D4").order
    8
    """
    if name in ("SO(2)", "O(2)"):
        return so2() if name == "SO(2)" else o2()
    kind, order = name[:1], name[1:]
    if kind not in ("C", "D") or not order.isdigit() or int(order) < 1:
        raise ConfigError(f"expected a planar group such as 'C4', 'D8', 'SO(2)' or 'O(2)', got {name!r}")
    return cyclic(int(order)) if kind == "C" else dihedral(int(order))


@dataclass(frozen=True)
class FieldKind:
    """One kind of field: ``FieldKind("D4", "regular")``, ``FieldKind("SO(2)", "irrep 1")``.

    Names: "trivial"; "regular" (finite groups); for SO(2) and O(2) "irrep k" or "irrep j,k", and
    "regular L" or "quotient L", functions of frequencies up to L on the group, on SO(2)/C_2 (directions
    without an arrow) or on O(2)/{1, f} (directions).

    Raises (on use):
        ConfigError: no such group or kind.
    """

    group: str
    name: str

    @property
    def channels(self) -> int:
        """Numbers per pixel: the dimension of an irrep, group elements, or samples of a function."""
        return int(self.reader.shape[1])

    @property
    def reader(self) -> Matrix:
        """(d, channels) orthonormal rows: from what is stored to the coefficients that ``law`` acts on."""
        return _details(self.group, self.name)[1]

    @property
    def law(self) -> Representation:
        """The representation of the coefficients."""
        return _details(self.group, self.name)[0]

    @property
    def pointwise(self) -> bool:
        """Whether a function of each channel alone is equivariant (for samples: to the band limit)."""
        return not self.name.startswith("irrep") or (self.channels == 1 and self.has_mean)

    @property
    def has_mean(self) -> bool:
        """Whether the average over channels is invariant, so that a constant may be added."""
        return self.name == "trivial" or self.name.startswith(("regular", "quotient"))


@dataclass(frozen=True)
class FieldType:
    """A stack of fields, ``count`` of each kind, in this order; the channels of one field are neighbours.

    >>> FieldType(((FieldKind("D4", "trivial"), 2), (FieldKind("D4", "regular"), 3))).channels
    26
    """

    parts: tuple[tuple[FieldKind, int], ...]

    @property
    def channels(self) -> int:
        """Channels of the whole stack."""
        return sum(kind.channels * count for kind, count in self.parts)

    @property
    def n_fields(self) -> int:
        """Fields of the whole stack."""
        return sum(count for _, count in self.parts)

    @property
    def group(self) -> str:
        """The group's name."""
        return self.parts[0][0].group

    def slices(self) -> Iterator[tuple[FieldKind, int, slice]]:
        """Kind, count and channels of each part."""
        ends = np.cumsum([0, *(kind.channels * count for kind, count in self.parts)]).tolist()
        for (kind, count), (start, end) in zip(self.parts, pairwise(ends)):
            yield kind, count, slice(start, end)

    def law(self, element: Element) -> Iterator[tuple[slice, int, Matrix, Matrix]]:
        """Channels, count, reader and matrix of ``element`` on the coefficients, for each part."""
        for kind, count, at in self.slices():
            yield at, count, kind.reader, np.asarray(kind.law(element)).real

    def __str__(self) -> str:
        return " + ".join(f"{count} {kind.name}" for kind, count in self.parts) + f" of {self.group}"


def scalars(group: str, count: int) -> FieldType:
    """``count`` scalar fields: images, and what a network without a symmetry has."""
    return FieldType(((FieldKind(group, "trivial"), count),))


@lru_cache(maxsize=256)
def _details(group_name: str, name: str) -> tuple[Representation, Matrix]:
    group, (word, *rest) = planar_group(group_name), name.split()
    finite = group.order is not None
    if word == "trivial" and not rest:
        return group.trivial(), _frozen(np.eye(1))
    if word == "regular" and finite and not rest:
        return group.regular(), _frozen(np.eye(int(group.order or 1)))  # type: ignore[attr-defined]
    try:
        numbers = [int(part) for part in rest[0].split(",")] if len(rest) == 1 else []
    except ValueError:
        numbers = []
    if numbers and not finite:
        if word == "irrep":
            irrep = group.irrep(*numbers)
            return irrep, _frozen(np.eye(irrep.dimension))
        if word in ("regular", "quotient") and len(numbers) == 1 and numbers[0] >= 0:
            return _functions(group, word, numbers[0])
    raise ConfigError(
        f"expected a field of {group_name}: 'trivial', "
        f"{'regular' if finite else 'irrep k, regular L or quotient L'}, got {name!r}"
    )


def _functions(group: Group, word: str, top: int) -> tuple[Representation, Matrix]:
    """Functions on SO(2), O(2), or a quotient of it, sampled so that quarter turns permute the samples."""
    flips = group.name == "O(2)"
    step = 2 if word == "quotient" and not flips else 1
    n = 4 * -(-(2 * (top // step) + 2) // 4)
    frequencies = list(range(0, top + 1, step))
    angles = 2 * np.pi / step * np.arange(n) / n
    if not flips:
        return direct_sum(*(group.irrep(k) for k in frequencies)), _frozen(_waves(frequencies, angles))
    rows, vectors = _waves(frequencies, angles), [group.irrep(1, k) for k in frequencies[1:]]
    if word == "quotient":
        return direct_sum(group.irrep(0, 0), *vectors), _frozen(rows)
    # f maps (angle, sheet) to (-angle, other sheet): the odd half turns with sine and cosine exchanged
    odd = rows.copy()
    odd[1::2], odd[2::2] = rows[2::2], -rows[1::2]
    law = direct_sum(group.irrep(0, 0), *vectors, group.irrep(1, 0), *vectors)
    return law, _frozen(np.block([[rows, rows], [odd, -odd]]) / np.sqrt(2))


def _waves(frequencies: list[int], angles: Matrix) -> Matrix:
    """Orthonormal rows 1, cos, sin, ... at equally spaced angles."""
    rows = [np.ones_like(angles)]
    for k in frequencies[1:]:
        rows += [np.sqrt(2) * np.cos(k * angles), np.sqrt(2) * np.sin(k * angles)]
    return np.stack(rows) / np.sqrt(len(angles))


def _frozen(matrix: Matrix) -> Matrix:
    matrix.setflags(write=False)
    return matrix
