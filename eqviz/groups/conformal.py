"""The conformal group of space-time, SO(2,4) ~ SU(2,2): algebra, irreps, action on points and momenta.

Points x are light-like six-vectors X with x^mu = X^mu / (X^4 + X^5), metric (+, -, -, -, -, +). Coefficients
of the fifteen generators are rotation angles J, rapidities K, the logarithm of a scale D, a translation P and
a special conformal translation C, which acts as x -> (x - c x^2) / (1 - 2 c.x + c^2 x^2). Finite-dimensional
irreps carry the Dynkin labels of SU(4), whose complexified algebra is the same: (1, 0, 0) is the twistor,
(0, 1, 0) the six-vector, (1, 0, 1) the adjoint. Source: G. Mack, A. Salam, Ann. Phys. 53 (1969) 174.
"""

from __future__ import annotations

from functools import lru_cache, reduce
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from eqviz.errors import ConfigError
from eqviz.groups.base import Action, Array, Element, Group, Irrep, register_group
from eqviz.groups.branching import Branching, remove_nodes
from eqviz.groups.ladder import Ladder
from eqviz.groups.lorentz import vector_generators
from eqviz.groups.unitary import su
from eqviz.kinematics import METRIC

REFERENCE = "Mack and Salam, Ann. Phys. 53 (1969) 174"
METRIC6: Array = np.diag([1.0, -1.0, -1.0, -1.0, -1.0, 1.0])
NAMES = ("Jx", "Jy", "Jz", "Kx", "Ky", "Kz", "D", "Pt", "Px", "Py", "Pz", "Ct", "Cx", "Cy", "Cz")
MAX_DIMENSION = 300


def six_vector_generators() -> Array:
    """(15, 6, 6) generators in the order of ``NAMES``."""
    x = np.zeros((15, 6, 6))
    x[:6, :4, :4] = vector_generators()
    x[6, 4, 5] = x[6, 5, 4] = -1.0
    for mu in range(4):
        lower = METRIC[mu, mu]
        # translation: X^mu grows by a^mu (X4 + X5), X5 - X4 by -2 a.X
        x[7 + mu, mu, 4:] = 1.0
        x[7 + mu, 4, mu], x[7 + mu, 5, mu] = lower, -lower
        # special conformal: X^mu grows by c^mu (X5 - X4), X4 + X5 by -2 c.X
        x[11 + mu, mu, 4:] = -1.0, 1.0
        x[11 + mu, 4, mu], x[11 + mu, 5, mu] = -lower, -lower
    return x


@lru_cache(maxsize=1)
def twistor_generators() -> Array:
    """(15, 4, 4) traceless matrices of the twistor: the half of the Clifford algebra with chirality +1."""
    pauli = np.array([[[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]])
    one = np.eye(2)
    factors = [(pauli[0], one, one), (pauli[1], one, one)]
    factors += [(pauli[2], pauli[i], one) for i in (0, 1)] + [(pauli[2], pauli[2], pauli[i]) for i in (0, 1)]
    gammas = [reduce(np.kron, row) * (1 if METRIC6[a, a] > 0 else 1j) for a, row in enumerate(factors)]
    chirality = reduce(np.kron, [pauli[2]] * 3).diagonal().real
    keep = np.flatnonzero(chirality > 0)
    made = []
    for x in six_vector_generators():
        omega = x @ METRIC6  # both indices up; gamma matrices below carry the metric
        lowered = METRIC6 @ omega @ METRIC6
        total = sum(lowered[a, b] * (gammas[a] @ gammas[b]) for a in range(6) for b in range(6)) / 4
        made.append(total[np.ix_(keep, keep)])
    return np.array(made)


def linear_combination(ladder: Ladder, matrix: Array) -> Array:
    """The image of a traceless 4 x 4 matrix in an irrep of the complexified SU(4)."""
    n = ladder.type.rank + 1
    raising = {(j, j + 1): ladder.lowering[j].T for j in range(n - 1)}
    for gap in range(2, n):
        for i in range(n - gap):
            a, b = raising[i, i + 1], raising[i + 1, i + gap]
            raising[i, i + gap] = a @ b - b @ a
    total = np.zeros((ladder.dimension, ladder.dimension), dtype=np.complex128)
    for (i, j), e in raising.items():
        total += matrix[i, j] * e + matrix[j, i] * e.T
    diagonal = ladder.weights @ np.cumsum(np.diag(matrix))[:-1]
    return total + np.diag(diagonal)


class ConformalGroup(Group):
    """The identity component of SO(2,4), by its six-vector."""

    def _coefficients(self, start: int, values: ArrayLike, what: str) -> Array:
        array = np.atleast_1d(np.asarray(values, dtype=np.float64))
        size = 1 if start == 6 else 4
        if array.shape != (size,) or not np.isfinite(array).all():
            raise ConfigError(f"expected {size} finite numbers for a {what}, got {values!r}")
        c = np.zeros(15)
        c[start : start + size] = array
        return c

    def translation(self, a: ArrayLike) -> Element:
        """x -> x + a."""
        return self.exp(self._coefficients(7, a, "translation"), label=f"translation by {_text(a)}")

    def special(self, c: ArrayLike) -> Element:
        """x -> (x - c x^2) / (1 - 2 c.x + c^2 x^2)."""
        return self.exp(
            self._coefficients(11, c, "special conformal map"), label=f"special conformal {_text(c)}"
        )

    def dilatation(self, scale: float) -> Element:
        """x -> scale x for a positive scale."""
        if not scale > 0:
            raise ConfigError(f"expected a positive scale, got {scale}")
        return self.exp(self._coefficients(6, np.log(scale), "scale"), label=f"scale by {scale:.3g}")

    def lorentz(self, coefficients: ArrayLike) -> Element:
        """Rotation angles and rapidities, six numbers."""
        values = np.asarray(coefficients, dtype=np.float64)
        if values.shape != (6,):
            raise ConfigError(f"expected three angles and three rapidities, got {coefficients!r}")
        return self.exp(np.concatenate([values, np.zeros(9)]))

    def sample(self, rng: np.random.Generator) -> Element:
        """An exponential with normal coefficients of width 0.4 (the group is far from compact)."""
        return self.exp(0.4 * rng.normal(size=15))

    def points(self) -> Action:
        """Events (..., 4) as (t, x, y, z) move conformally; those sent to infinity become infinite."""

        def act(element: Element, x: Any) -> Array:
            moved = embed(np.asarray(x, dtype=np.float64)) @ element.matrix.T
            with np.errstate(divide="ignore", invalid="ignore"):
                return moved[..., :4] / (moved[..., 4] + moved[..., 5])[..., None]

        return Action(self, act, "points of space-time")

    def scale_factor(self, element: Element, x: ArrayLike) -> Array:
        """Omega(x) with (x' - y')^2 = Omega(x) Omega(y) (x - y)^2."""
        moved = embed(np.asarray(x, dtype=np.float64)) @ element.matrix.T
        return 1 / (moved[..., 4] + moved[..., 5])

    def irrep(self, *label: Any) -> Irrep:
        """By three Dynkin labels of SU(4) or its names: ``irrep(0, 1, 0)``, ``irrep("15")``.

        Raises:
            ConfigError: no such irrep, or more than 300 dimensions.
        """
        inner = su(4).irrep(*label)
        if inner.dimension > MAX_DIMENSION:
            raise ConfigError(f"{inner.name} of SO(2,4) has more than {MAX_DIMENSION} dimensions")
        made = [linear_combination(inner.ladder, x) for x in twistor_generators()]
        return Irrep(self, made, name=inner.name, label=inner.label)

    def trivial(self) -> Irrep:
        """Scalars."""
        return Irrep(self, np.zeros((15, 1, 1)), name="1", label=(0, 0, 0))

    def irreps(self, limit: int = 5) -> list[Irrep]:
        """The smallest finite-dimensional irreps."""
        return [self.irrep(*irrep.label) for irrep in su(4).irreps(limit)]

    def product(self, first: Irrep, second: Irrep) -> list[tuple[Irrep, int]]:
        """As for SU(4)."""
        self.check_irreps(first, second)
        parts = su(4).algebra.tensor(first.label, second.label)
        return [(self.irrep(*weight), count) for weight, count in parts.items()]

    def clebsch_gordan(self, first: Irrep, second: Irrep, third: Irrep) -> Array:
        """The tables of SU(4): couplings do not see which real form of the algebra acts."""
        self.check_irreps(first, second, third)
        return su(4).clebsch_gordan(*(su(4).irrep(*irrep.label) for irrep in (first, second, third)))

    def lorentz_content(self, irrep: Irrep) -> Branching:
        """SU(2) x SU(2) multiplets, by dimension (2k + 1, 2n + 1), with twice the weight under D."""
        self.check_irreps(irrep)
        return remove_nodes("SU(4)", 2).branch(irrep.label)


def _text(values: ArrayLike) -> str:
    return "(" + ", ".join(f"{x:.3g}" for x in np.atleast_1d(np.asarray(values, dtype=np.float64))) + ")"


def embed(x: Array) -> Array:
    """The light-like six-vectors (..., 6) of points (..., 4), with X^4 + X^5 = 1."""
    squared = np.einsum("...i,ij,...j->...", x, METRIC, x)[..., None]
    return np.concatenate([x, (1 + squared) / 2, (1 - squared) / 2], axis=-1)


@register_group("SO(2,4)", summary="conformal maps of space-time, ~ SU(2,2)", reference=REFERENCE)
@lru_cache(maxsize=1)
def conformal() -> ConformalGroup:
    """The conformal group of four-dimensional space-time."""
    return ConformalGroup(
        "SO(2,4)", six_vector_generators(), generator_names=NAMES, compact=False, defining_name="six-vector"
    )
