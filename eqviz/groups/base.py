"""A group is its generators; everything else follows from them.

>>> import numpy as np
>>> boost = Group("SO+(1,1)", generators=[[[0.0, 1.0], [1.0, 0.0]]], generator_names=("K",), compact=False)
>>> bool(np.isclose(boost.exp([1.0]).matrix[0, 0], np.cosh(1.0)))
True
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eqviz.errors import ConfigError
from eqviz.groups.composite import DirectSum, Dual, TensorProduct, direct_sum, tensor_product
from eqviz.groups.elements import Array, Element, Exp, Factor, Power
from eqviz.groups.representation import Action, Irrep, Representation, as_matrices
from eqviz.registry import Registry

__all__ = [
    "GROUPS",
    "Action",
    "Array",
    "DirectSum",
    "Dual",
    "Element",
    "Exp",
    "Factor",
    "Group",
    "Irrep",
    "Power",
    "Representation",
    "TensorProduct",
    "direct_sum",
    "register_group",
    "tensor_product",
]

GROUPS: Registry[Callable[..., Group]] = Registry("group")
"""Factories of all groups; each can be called without arguments and then gives a small example."""

Factory = TypeVar("Factory", bound=Callable[..., "Group"])


def register_group(name: str, *, summary: str, reference: str) -> Callable[[Factory], Factory]:
    """Decorator that files a factory in :data:`GROUPS` and keeps its type."""

    def add(factory: Factory) -> Factory:
        GROUPS.register(name, summary=summary, reference=reference)(factory)
        return factory

    return add


class Group:
    """A matrix group given by its generators in a faithful (defining) representation.

    Two groups are equal if they have the same name and the same defining generators.

    Args:
        name: for instance ``"SO+(1,3)"``.
        generators: (k, d, d) a basis of the Lie algebra; empty for a finite group.
        discrete_generators: (m, d, d) elements that, with the exponentials, generate the group.
        generator_names, discrete_names: k and m names, used to describe elements.
        compact: whether unitary (orthogonal) representations are expected.
        defining_name: what the defining representation is called.
    """

    def __init__(
        self,
        name: str,
        generators: ArrayLike | Iterable[ArrayLike] = (),
        discrete_generators: ArrayLike | Iterable[ArrayLike] = (),
        *,
        generator_names: Sequence[str] | None = None,
        discrete_names: Sequence[str] | None = None,
        compact: bool = True,
        defining_name: str = "defining",
        exponential: Callable[[tuple[float, ...]], Array] | None = None,
    ) -> None:
        continuous = as_matrices(generators)
        discrete = as_matrices(discrete_generators, continuous.shape[1] if len(continuous) else None)
        self.name = name
        self.compact = compact
        self.generator_names = tuple(generator_names or (f"X{i + 1}" for i in range(len(continuous))))
        self.discrete_names = tuple(discrete_names or (f"h{i + 1}" for i in range(len(discrete))))
        self._defining = Representation(
            self,
            continuous,
            discrete,
            name=defining_name,
            dimension=(continuous if len(continuous) else discrete).shape[1],
            exponential=exponential,
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Group):
            return NotImplemented
        a, b = self._defining, other._defining
        return self is other or (
            self.name == other.name
            and np.array_equal(a.generators, b.generators)
            and np.array_equal(a.discrete_generators, b.discrete_generators)
        )

    def __hash__(self) -> int:
        return hash((self.name, self._defining.generators.shape, self._defining.discrete_generators.shape))

    def __repr__(self) -> str:
        return f"<group {self.name}>"

    @property
    def defining(self) -> Representation:
        """The faithful representation that defines the group."""
        return self._defining

    @property
    def algebra_dimension(self) -> int:
        """Number of continuous generators; 0 for a discrete group."""
        return len(self.generator_names)

    @property
    def order(self) -> int | None:
        """Number of elements, or None for an infinite group."""
        return None

    def elements(self) -> list[Element]:
        """All elements of a finite group."""
        raise ConfigError(f"{self.name} cannot be enumerated; use samples(n, seed) instead")

    def identity(self) -> Element:
        """The neutral element."""
        return Element(self)

    def element(self, *factors: Factor, label: str = "") -> Element:
        """The product of factors, the leftmost acting last."""
        return Element(self, factors, label)

    def exp(self, coefficients: ArrayLike, label: str = "") -> Element:
        """exp(sum_i c_i X_i) from the k coefficients."""
        values = np.asarray(coefficients, dtype=np.float64)
        if values.shape != (self.algebra_dimension,) or not np.isfinite(values).all():
            raise ConfigError(
                f"expected {self.algebra_dimension} finite coefficients ({', '.join(self.generator_names)}) "
                f"for {self.name}, got {coefficients!r}"
            )
        return Element(self, (Exp(tuple(values.tolist())),), label)

    def discrete(self, index: int | str, exponent: int = 1) -> Element:
        """A discrete generator, by number or name, to an integer power."""
        if isinstance(index, str):
            if index not in self.discrete_names:
                raise ConfigError(
                    f"expected a discrete generator of {self.name} among {self.discrete_names}, got {index!r}"
                )
            index = self.discrete_names.index(index)
        return Element(self, (Power(index, exponent),))

    def sample(self, rng: np.random.Generator) -> Element:
        """A random element: a discrete word, then an exponential with normal coefficients."""
        word = [Power(i) for i in rng.permutation(len(self.discrete_names)).tolist() if rng.random() < 0.5]
        factors: list[Factor] = list(word)
        if self.algebra_dimension:
            factors.append(Exp(tuple(rng.normal(size=self.algebra_dimension).tolist())))
        return Element(self, tuple(factors))

    def samples(self, n: int, seed: int = 0) -> list[Element]:
        """``n`` random elements, the same for the same seed."""
        rng = np.random.default_rng(seed)
        return [self.sample(rng) for _ in range(n)]

    def trivial(self) -> Irrep:
        """The one-dimensional representation by ones: scalars."""
        k, m = self.algebra_dimension, len(self.discrete_names)
        return Irrep(
            self, np.zeros((k, 1, 1)), np.ones((m, 1, 1)), name="scalar", dimension=1, label=("trivial",)
        )

    def scalar(self) -> Irrep:
        """Another name for :meth:`trivial`."""
        return self.trivial()

    def adjoint(self) -> Representation:
        """The Lie algebra as a representation: (ad X_i)_kj = f_ij^k."""
        if not self.algebra_dimension:
            raise ConfigError(f"{self.name} has no Lie algebra, hence no adjoint representation")
        return Representation(
            self,
            self.structure_constants.transpose(0, 2, 1),
            [self._adjoint_of(h) for h in self._defining.discrete_generators],
            name="adjoint",
            dimension=self.algebra_dimension,
        )

    def _adjoint_of(self, matrix: Array) -> Array:
        moved = matrix @ self._defining.generators @ np.linalg.inv(matrix)
        return self._expand(moved).T

    def _expand(self, matrices: Array) -> NDArray[np.float64]:
        """Coefficients (n, k) of matrices (n, d, d) in the basis of the Lie algebra."""
        basis = _real_rows(self._defining.generators)
        rows = _real_rows(matrices)
        coefficients, _, rank, _ = np.linalg.lstsq(basis.T, rows.T, rcond=None)
        if rank < len(basis):
            raise ConfigError(f"expected linearly independent generators of {self.name}, got rank {rank}")
        residual = np.abs(coefficients.T @ basis - rows).max(initial=0.0)
        if residual > 1e-9 * max(1.0, np.abs(rows).max(initial=0.0)):
            raise ConfigError(
                f"the generators of {self.name} do not close: commutators leave the span by {residual:.2g}"
            )
        return coefficients.T

    @cached_property
    def structure_constants(self) -> NDArray[np.float64]:
        """f with [X_i, X_j] = sum_k f[i, j, k] X_k, (k, k, k).

        Raises:
            ConfigError: the generators are linearly dependent or do not close.
        """
        x, k = self._defining.generators, self.algebra_dimension
        if not k:
            return np.zeros((0, 0, 0))
        return self._expand(commutators(x, x).reshape(k * k, *x.shape[1:])).reshape(k, k, k)

    def representation(
        self,
        generators: ArrayLike | Iterable[ArrayLike],
        discrete_generators: ArrayLike | Iterable[ArrayLike] = (),
        *,
        name: str,
    ) -> Representation:
        """A representation from matrices, refused if they do not obey the group's algebra.

        Raises:
            ConfigError: wrong number or shape, or commutators that differ from the structure constants.
        """
        made = Representation(self, generators, discrete_generators, name=name)
        residual = algebra_residual(made)
        if residual > 1e-8:
            raise ConfigError(
                f"{name!r} is no representation of {self.name}: its commutators miss the structure constants "
                f"by {residual:.2g}"
            )
        return made

    def product(self, first: Irrep, second: Irrep) -> list[tuple[Irrep, int]]:
        """The irreps in a tensor product with their multiplicities.

        Raises:
            ConfigError: another group's irreps, or a group whose irreps are not all listed.
        """
        raise ConfigError(f"{self.name} has no list of irreps that a product could be decomposed into")

    def clebsch_gordan(self, first: Irrep, second: Irrep, third: Irrep) -> Array:
        """The couplings z_k = sum_ij C[a, i, j, k] x_i y_j, shape (m, d1, d2, d3), m the multiplicity.

        Orthonormal for unitary irreps: sum_ij C[a, i, j, k] C[b, i, j, l]^* = delta_ab delta_kl. Closed form
        where the group has one, otherwise :func:`eqviz.groups.clebsch_gordan.clebsch_gordan`.
        """
        from eqviz.groups.clebsch_gordan import clebsch_gordan  # that module is built on this one

        return clebsch_gordan(first, second, third)

    def check_irreps(self, *irreps: Representation) -> None:
        """Raise a ConfigError unless all are of this group."""
        for irrep in irreps:
            if irrep.group != self:
                raise ConfigError(f"expected an irrep of {self.name}, got {irrep.name} of {irrep.group.name}")

    def irreps(self, limit: int = 4) -> list[Irrep]:
        """About ``limit`` of the smallest irreps, for tests, tables and menus."""
        return [self.trivial()][:limit]

    def irrep(self, *label: Any) -> Irrep:
        """The irrep with the field's label."""
        raise ConfigError(f"{self.name} has no labelled irreps here, so {label!r} does not exist")


def _real_rows(matrices: Array) -> NDArray[np.float64]:
    """(n, d, d) complex matrices as real rows (n, 2 d d), so that coefficients come out real."""
    flat = np.asarray(matrices).reshape(len(matrices), -1)
    return np.concatenate([flat.real, flat.imag], axis=1)


def commutators(a: Array, b: Array) -> Array:
    """[a_i, b_j], shape (len(a), len(b), d, d)."""
    products = np.einsum("aij,bjk->abik", a, b)
    return products - np.einsum("bij,ajk->abik", b, a)


def algebra_residual(representation: Representation) -> float:
    """Largest entry of [rho(X_i), rho(X_j)] - f_ij^k rho(X_k), over the largest generator entry squared."""
    x = representation.generators
    if not len(x):
        return 0.0
    f = representation.group.structure_constants
    difference = commutators(x, x) - np.tensordot(f, x, axes=1)
    return float(np.abs(difference).max() / max(1.0, np.abs(x).max() ** 2))
