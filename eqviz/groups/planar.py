"""Symmetries of the plane: C_n, D_n, SO(2), O(2), with the real irreps that field types are made of.

Conventions are those of escnn: r rotates counter-clockwise by 2 pi / n, f reflects y -> -y, and an irrep of
D_n or O(2) is labelled (j, k) by its reflection and rotation frequencies.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from eqviz.errors import ConfigError
from eqviz.groups.base import Action, Array, Element, Exp, Group, Irrep, Power, Representation, register_group
from eqviz.groups.finite import MAX_ORDER, FiniteGroup

REFERENCE = "arXiv:1911.08251"
FLIP: Array = np.diag([1.0, -1.0])
TURN: Array = np.array([[0.0, -1.0], [1.0, 0.0]])


def rotation(angle: float) -> Array:
    """(2, 2) counter-clockwise rotation by ``angle`` radians."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s], [s, c]])


class _Planar(Group):
    """What the four families share: elements by angle and reflection, irreps by frequencies."""

    n: int | None = None
    reflections = False

    def rotation(self, angle: float) -> Element:
        """The rotation by ``angle`` radians; for C_n and D_n a multiple of 2 pi / n."""
        if self.n is None:
            return self.element(Exp((float(angle),)), label=f"rotation by {np.degrees(angle):.4g} deg")
        steps = round(angle * self.n / (2 * np.pi))
        if not np.isclose(steps * 2 * np.pi / self.n, angle, atol=1e-9):
            raise ConfigError(f"expected a multiple of 2 pi / {self.n} for {self.name}, got {angle} radians")
        return self.element(Power(0, steps % self.n))

    def _rotation_part(self, k: int) -> tuple[list[Array], list[Array]]:
        """Generators and discrete rotation of the two-dimensional irrep of frequency k."""
        if self.n is None:
            return [k * TURN], []
        return [], [rotation(2 * np.pi * k / self.n)]

    def _one_dimensional(self, sign: float, flip: float) -> tuple[list[Array], list[Array]]:
        if self.n is None:
            generators, discrete = [np.zeros((1, 1))], []
        else:
            generators, discrete = [], [np.full((1, 1), sign)]
        return generators, discrete + [np.full((1, 1), flip)] * self.reflections

    def irrep(self, *label: Any) -> Irrep:
        """The irrep (k,) of C_n and SO(2), or (j, k) of D_n and O(2).

        Raises:
            ConfigError: no such irrep.
        """
        labels = f"(j, k) with {self._allowed()}" if self.reflections else f"(k,) with {self._allowed()}"
        if len(label) != 1 + self.reflections or not all(isinstance(x, int | np.integer) for x in label):
            raise ConfigError(f"expected an irrep label {labels} for {self.name}, got {label!r}")
        j, k = (int(label[0]), int(label[1])) if self.reflections else (1, int(label[0]))
        half = self.n is not None and 2 * k == self.n
        one_dimensional = k == 0 or half
        exists = k >= 0 and j in (0, 1) and (self.n is None or 2 * k <= self.n)
        if not exists or (j == 0 and not one_dimensional):
            raise ConfigError(f"expected an irrep label {labels} for {self.name}, got {label!r}")
        if one_dimensional:
            parts = self._one_dimensional(-1.0 if half else 1.0, -1.0 if j else 1.0)
        else:
            generators, discrete = self._rotation_part(k)
            parts = generators, discrete + [FLIP] * self.reflections
        name = f"irrep {','.join(str(int(x)) for x in label)}"
        exponential = (lambda c: rotation(k * c[0])) if self.n is None and not one_dimensional else None
        return Irrep(
            self, *parts, name=name, dimension=1 if one_dimensional else 2, label=label,
            exponential=exponential,
        )  # fmt: skip

    def product(self, first: Irrep, second: Irrep) -> list[tuple[Irrep, int]]:
        """Frequencies add and subtract."""
        if self.n is not None:
            return super().product(first, second)
        self.check_irreps(first, second)
        k1, k2 = first.label[-1], second.label[-1]
        found: dict[tuple[int, ...], int] = {}
        for k in (k1 + k2, abs(k1 - k2)) if k1 and k2 else (k1 + k2,):
            for label, count in self._with_frequency(k, first, second):
                found[label] = found.get(label, 0) + count
        return [(self.irrep(*label), count) for label, count in found.items()]

    def _with_frequency(self, k: int, first: Irrep, second: Irrep) -> list[tuple[tuple[int, ...], int]]:
        if not self.reflections:
            return [((k,), 1 if k or not first.label[0] else 2)]
        if k:
            return [((1, k), 1)]
        if first.label[1]:  # two equal waves couple to a scalar and to a pseudoscalar
            return [((0, 0), 1), ((1, 0), 1)]
        return [(((first.label[0] + second.label[0]) % 2, 0), 1)]

    def _allowed(self) -> str:
        top = "k >= 0" if self.n is None else f"0 <= k <= {self.n // 2}"
        return f"{top}, j in {{0, 1}}, j = 0 only for one-dimensional ones" if self.reflections else top

    def irreps(self, limit: int = 6) -> list[Irrep]:
        """The irreps of lowest frequency."""
        frequencies = range(limit) if self.n is None else range(self.n // 2 + 1)
        labels: list[tuple[int, ...]] = []
        for k in frequencies:
            alone = k == 0 or (self.n is not None and 2 * k == self.n)
            labels += [(0, k), (1, k)] if self.reflections and alone else []
            labels += [(1, k)] if self.reflections and not alone else []
            labels += [] if self.reflections else [(k,)]
        return [self.irrep(*label) for label in labels[:limit]]

    def trivial(self) -> Irrep:
        """Scalars."""
        return self.irrep(0, 0) if self.reflections else self.irrep(0)

    def vector(self) -> Representation:
        """Vectors (x, y) of the plane."""
        return self.defining


class _FinitePlanar(_Planar, FiniteGroup):
    n: int

    @property
    def order(self) -> int:
        return self.n * (1 + self.reflections)

    @cached_property
    def _elements(self) -> list[Element]:
        rotations: list[tuple[Power, ...]] = [(Power(0, k),) if k else () for k in range(self.n)]
        flipped = [(*word, Power(1)) for word in rotations] if self.reflections else []
        return [self.element(*word) for word in rotations + flipped]


def _check_n(n: int) -> int:
    if not isinstance(n, int | np.integer) or not 1 <= n <= MAX_ORDER // 2:
        raise ConfigError(f"expected a number of rotations 1 <= n <= {MAX_ORDER // 2}, got {n!r}")
    return int(n)


@register_group("C_n", summary="rotations of the plane by multiples of 2 pi / n", reference=REFERENCE)
def cyclic(n: int = 4) -> _FinitePlanar:
    """C_n, the n rotations."""
    return _CYCLIC.get(n) or _CYCLIC.setdefault(n, _finite(_check_n(n), False))


@register_group("D_n", summary="rotations by 2 pi / n and reflections", reference=REFERENCE)
def dihedral(n: int = 4) -> _FinitePlanar:
    """D_n, n rotations and n reflections (order 2 n)."""
    return _DIHEDRAL.get(n) or _DIHEDRAL.setdefault(n, _finite(_check_n(n), True))


_CYCLIC: dict[int, _FinitePlanar] = {}
_DIHEDRAL: dict[int, _FinitePlanar] = {}


def _finite(n: int, reflections: bool) -> _FinitePlanar:
    group = _FinitePlanar(
        f"{'D' if reflections else 'C'}_{n}",
        (),
        [rotation(2 * np.pi / n)] + [FLIP] * reflections,
        discrete_names=("r", "f")[: 1 + reflections],
        defining_name="vector",
    )
    group.n, group.reflections = n, reflections
    return group


@register_group("SO(2)", summary="rotations of the plane", reference=REFERENCE)
def so2() -> _Planar:
    """SO(2)."""
    return _continuous(False)


@register_group("O(2)", summary="rotations and reflections of the plane", reference=REFERENCE)
def o2() -> _Planar:
    """O(2)."""
    return _continuous(True)


def _continuous(reflections: bool) -> _Planar:
    group = _Planar(
        "O(2)" if reflections else "SO(2)",
        [TURN],
        [FLIP] * reflections,
        generator_names=("J",),
        discrete_names=("f",)[:reflections],
        defining_name="vector",
        exponential=lambda c: rotation(c[0]),
    )
    group.reflections = reflections
    return group


def image_action(group: Group, height_axis: int = -2, width_axis: int = -1) -> Action:
    """Rotations and reflections of C_1, C_2, C_4, D_1, D_2 or D_4 moving the pixels of an image exactly.

    The rows of an image count y from below (as in a histogram of eta and phi), its columns count x.

    Raises:
        ConfigError: a rotation that does not map the pixel grid onto itself.
    """
    if not isinstance(group, _FinitePlanar) or group.n not in (1, 2, 4):
        raise ConfigError(f"expected a group of quarter turns (C_4, D_4 or a subgroup), got {group.name}")

    def act(element: Element, x: ArrayLike) -> Any:
        return _move_pixels(element.matrix, np.asarray(x), height_axis, width_axis)

    return Action(group, act, "pixels")


def _move_pixels(matrix: Array, image: np.ndarray, height_axis: int, width_axis: int) -> np.ndarray:
    height, width = image.shape[height_axis], image.shape[width_axis]
    if height != width:
        raise ConfigError(f"expected square images, got {height} x {width} pixels")
    whole = np.rint(matrix).astype(int)
    # the new image at position p shows the old one at g^-1 p; positions are odd integers about the centre
    place = 2 * np.arange(width) - (width - 1)
    y, x = np.meshgrid(place, place, indexing="ij")
    old_x = whole[0, 0] * x + whole[1, 0] * y
    old_y = whole[0, 1] * x + whole[1, 1] * y
    moved = np.moveaxis(image, (height_axis, width_axis), (-2, -1))
    moved = moved[..., (old_y + width - 1) // 2, (old_x + width - 1) // 2]
    return np.moveaxis(moved, (-2, -1), (height_axis, width_axis))
