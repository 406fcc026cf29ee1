"""Representations: matrices for the generators, hence for every element, and actions on anything."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import expm

from eqviz.errors import ConfigError
from eqviz.groups.elements import Array, Element, Exp, Factor

if TYPE_CHECKING:
    from eqviz.groups.base import Group


def as_matrices(matrices: ArrayLike | Iterable[ArrayLike], dimension: int | None = None) -> Array:
    """Stack square matrices into a read-only (k, d, d) array, float64 or, if needed, complex128."""
    array = np.asarray(matrices if isinstance(matrices, np.ndarray) else list(matrices))  # type: ignore[arg-type]
    if array.size == 0:
        array = np.zeros((0, dimension or 1, dimension or 1))
    if array.ndim != 3 or array.shape[1] != array.shape[2] or dimension not in (None, array.shape[1]):
        size = "d" if dimension is None else dimension
        raise ConfigError(f"expected generators of shape (k, {size}, {size}), got {array.shape}")
    array = array.astype(np.complex128 if np.iscomplexobj(array) else np.float64)
    if not np.isfinite(array).all():
        raise ConfigError("expected finite generator matrices, got NaN or infinity")
    array.setflags(write=False)
    return array


class Representation:
    """A finite-dimensional linear representation, real or complex.

    Convention: a group element near the identity is exp(sum_i c_i X_i) without a factor i, so that the
    generators of a unitary representation are anti-Hermitian (a physicist's Hermitian T_i is i X_i).

    Attributes:
        group: the group that is represented.
        dimension: d, the size of its matrices.
        is_complex: whether matrices are complex128 (otherwise float64).
        name: how it is called in the field.

    Args:
        exponential: closed form for exp(sum_i c_i X_i), given the k coefficients; scipy's expm otherwise.
    """

    group: Group
    dimension: int
    is_complex: bool
    name: str
    _exponential: Callable[[tuple[float, ...]], Array] | None = None

    def __init__(
        self,
        group: Group,
        generators: ArrayLike | Iterable[ArrayLike],
        discrete_generators: ArrayLike | Iterable[ArrayLike] = (),
        *,
        name: str,
        dimension: int | None = None,
        exponential: Callable[[tuple[float, ...]], Array] | None = None,
    ) -> None:
        continuous = as_matrices(generators, dimension)
        size = dimension or (continuous.shape[1] if len(continuous) else None)
        discrete = as_matrices(discrete_generators, size)
        for kind, came, expected in (
            ("generators", len(continuous), len(group.generator_names)),
            ("discrete generators", len(discrete), len(group.discrete_names)),
        ):
            if came != expected:
                raise ConfigError(f"expected {expected} {kind} for {group.name}, got {came} in {name!r}")
        self._generators = continuous if len(continuous) else as_matrices((), discrete.shape[1])
        self._discrete_generators = discrete
        self._exponential = exponential
        is_complex = np.iscomplexobj(continuous) or np.iscomplexobj(discrete)
        self._describe(group, name, self._generators.shape[1], is_complex)

    def _describe(self, group: Group, name: str, dimension: int, is_complex: bool) -> None:
        self.group, self.name, self.dimension, self.is_complex = group, name, dimension, is_complex

    @property
    def generators(self) -> Array:
        """(k, d, d) images of the Lie algebra's generators, read-only."""
        return self._generators

    @property
    def discrete_generators(self) -> Array:
        """(m, d, d) images of the discrete generators, read-only."""
        return self._discrete_generators

    def exp(self, coefficients: Sequence[float]) -> Array:
        """exp(sum_i c_i X_i), (d, d)."""
        if self._exponential is not None:
            return self._exponential(tuple(coefficients))
        return expm(np.tensordot(np.asarray(coefficients, dtype=np.float64), self.generators, axes=1))

    def __call__(self, element: Element) -> Array:
        """The matrix of a group element, (d, d)."""
        if element.group != self.group:
            raise ConfigError(f"expected an element of {self.group.name}, got one of {element.group.name}")
        return self._matrix(element)

    def _matrix(self, element: Element) -> Array:
        identity = np.eye(self.dimension, dtype=np.complex128 if self.is_complex else np.float64)
        return reduce(np.matmul, (self._factor(factor) for factor in element.factors), identity)

    def _factor(self, factor: Factor) -> Array:
        if isinstance(factor, Exp):
            return self.exp(factor.coefficients)
        return np.linalg.matrix_power(self.discrete_generators[factor.index], factor.exponent)

    def act(self, element: Element, x: ArrayLike, axes: int | Sequence[int] = -1) -> Array:
        """The element applied to vectors that lie along ``axes`` of ``x``, in float64 (complex128).

        Several consecutive axes are read as one, row-major: an (n, n) tensor of S_n has ``axes=(-2, -1)``.
        """
        array = np.asarray(x)
        if array.dtype != np.complex128:
            array = array.astype(np.complex128 if np.iscomplexobj(array) else np.float64)
        chosen = [axes] if isinstance(axes, int) else list(axes)
        chosen = [axis % array.ndim for axis in chosen] if array.ndim else []
        moved = np.moveaxis(array, chosen, range(-len(chosen), 0)) if chosen else array
        size = int(np.prod([array.shape[axis] for axis in chosen]))
        if size != self.dimension or not chosen:
            raise ConfigError(
                f"expected vectors of dimension {self.dimension} for {self.name} along axes {axes}, "
                f"got an array of shape {array.shape}"
            )
        flat = self._apply(element, moved.reshape(*moved.shape[: moved.ndim - len(chosen)], size))
        return np.moveaxis(flat.reshape(moved.shape), range(-len(chosen), 0), chosen)

    def _apply(self, element: Element, rows: Array) -> Array:
        """The element applied to row vectors (..., d)."""
        return rows @ self(element).T

    def on_axes(self, *axes: int) -> Action:
        """This representation acting along the given axes of an array, for the equivariance checker."""
        return Action(self.group, lambda g, x: self.act(g, x, axes), f"{self.name} on axes {axes}")

    def dual(self) -> Representation:
        """The contragredient representation g -> rho(g^-1)^T."""
        from eqviz.groups.composite import Dual  # the composites are built on this module

        return Dual(self)

    def conjugate(self) -> Representation:
        """The complex conjugate representation."""
        from eqviz.groups.composite import Conjugate

        return self if not self.is_complex else Conjugate(self)

    def __add__(self, other: Representation) -> Representation:
        from eqviz.groups.composite import direct_sum

        return direct_sum(self, other)

    def __mul__(self, other: Representation) -> Representation:
        from eqviz.groups.composite import tensor_product

        return tensor_product(self, other)

    def __rmul__(self, copies: int) -> Representation:
        if not isinstance(copies, int) or copies < 1:
            raise ConfigError(f"expected a positive number of copies of {self.name}, got {copies!r}")
        from eqviz.groups.composite import direct_sum

        return direct_sum(*[self] * copies)

    def __pow__(self, order: int) -> Representation:
        """The ``order``-fold tensor product; order 0 is the trivial representation."""
        if order < 0:
            raise ConfigError(f"expected a tensor power >= 0, got {order}")
        from eqviz.groups.composite import tensor_product

        return tensor_product(*[self] * order) if order else self.group.trivial()

    def __repr__(self) -> str:
        return f"<{self.group.name}: {self.name}, dimension {self.dimension}>"


class Irrep(Representation):
    """An irreducible representation with the field's own label, such as (j,) or (k, n).

    ``label`` is unique among the irreps of one group.
    """

    def __init__(self, *args: Any, label: tuple[Any, ...], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.label = label


@dataclass(frozen=True)
class Action:
    """How a group acts on any object, linear or not: ``act(element, x)`` returns the moved object.

    This is how containers and images enter the equivariance checker, for instance
    ``Action(lorentz(), lambda g, jets: jets.transformed(g.matrix))``.
    """

    group: Group
    act: Callable[[Element, Any], Any]
    name: str = "action"
