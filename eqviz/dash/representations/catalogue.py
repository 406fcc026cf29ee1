"""Groups, irreps and weights by the names that the Representations tab holds: bounded and cached."""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache
from math import prod

from eqviz.errors import ConfigError
from eqviz.groups import GROUPS
from eqviz.groups.affine import AffineGroup
from eqviz.groups.base import Group, Irrep
from eqviz.groups.cartan import Weight
from eqviz.groups.finite import FiniteGroup
from eqviz.groups.irrep_names import (
    algebra_of,
    irrep_names,
    named_irrep,
    named_symmetry,
    named_weight,
    weight_name,
)
from eqviz.groups.lorentz import FullLorentzGroup, LorentzGroup
from eqviz.groups.product import ProductGroup
from eqviz.groups.simple import SimpleAlgebra
from eqviz.groups.weight_points import WeightPoints, weight_points

MAX_ORDER = 720
MAX_FACTORS = 4
MAX_RANK = 20


@lru_cache(maxsize=1)
def group_menu() -> tuple[str, ...]:
    """Names of all registered groups, of a few members of each family and of simple algebras."""
    families = {
        "SU(N)": ["SU(3)", "SU(4)", "SU(5)", "SU(6)"], "C_n": ["C_4", "C_8"], "D_n": ["D_4", "D_6"],
        "S_n": ["S_3", "S_4", "S_5", "S_6"],
    }  # fmt: skip
    first = ["SU(2)", "SO(3)", "SU(N)", "U(1)", "Standard Model", "SO+(1,3)", "O(1,3)", "SO(2,4)"]
    ordered = sorted(GROUPS.names(), key=lambda name: [*first, name].index(name))
    names = [member for name in ordered for member in families.get(name, [name])]
    return (*names, "SO(10)", "Sp(6)", "G_2", "F_4", "E_6", "E_7", "E_8")


@lru_cache(maxsize=128)
def symmetry(name: str) -> Group | SimpleAlgebra:
    """The group or algebra of a name.

    Raises:
        EqvizError: no such group, or one that is too large for this page.
    """
    if len(name) > 60 or len(re.split(r"\s+[x×]\s+", name)) > MAX_FACTORS:
        raise ConfigError(f"expected the name of a group with at most {MAX_FACTORS} factors, got {name!r}")
    ranks = [int(digits) for digits in re.findall(r"\d+", name)]
    if max(ranks, default=0) > 2 * MAX_ORDER:
        raise ConfigError(f"{name!r} is too large for this page; use eqviz.groups")
    found = named_symmetry(name)
    for factor in factors_of(found):
        algebra = algebra_of(factor)
        if algebra is not None and algebra.rank > MAX_RANK:
            raise ConfigError(f"expected a rank of at most {MAX_RANK} here, got {algebra.rank} for {name}")
        if isinstance(factor, FiniteGroup) and factor.order > MAX_ORDER:
            raise ConfigError(
                f"expected at most {MAX_ORDER} elements here, got {factor.order} for {factor.name}"
            )
    return found


def factors_of(found: Group | SimpleAlgebra) -> list[Group | SimpleAlgebra]:
    """The factors of a direct product, or the group itself."""
    return list(found.factors) if isinstance(found, ProductGroup) else [found]


@lru_cache(maxsize=128)
def irrep_menu(name: str) -> tuple[str, ...]:
    """Names of small irreps of a group."""
    return tuple(irrep_names(symmetry(name)))


def default_irreps(name: str) -> tuple[str, str]:
    """Two irreps whose product says something: the adjoint's square, two vectors, quark times antiquark."""
    known = {"Standard Model": ("(3, 2, charge 1)", "(3bar, 1, charge -4)"), "SU(2)": ("spin 1", "spin 1/2")}
    known |= {"SO(10)": ("16", "16"), "SU(5)": ("5bar", "10"), "SO(2,4)": ("6", "6")}
    known |= {"E_6": ("27", "27"), "E_7": ("56", "56")}
    menu = irrep_menu(name)
    if name in known:
        return known[name]
    found = symmetry(name)
    algebra = algebra_of(found)
    if algebra is not None:
        return (algebra.name_of(algebra.adjoint()),) * 2
    for wanted in ("(1/2, 1/2)", "l = 1", "irrep 1,1", "irrep 1", "irrep (3, 1)"):
        if wanted in menu:
            return wanted, wanted
    last = menu[min(len(menu) - 1, 1)] if not isinstance(found, ProductGroup) else menu[-1]
    return last, last


@lru_cache(maxsize=256)
def irrep(name: str, text: str) -> Irrep | Weight:
    """The irrep that is called ``text``; of a simple algebra its highest weight.

    Raises:
        EqvizError: no such irrep, or one that is too large for this page.
    """
    found = symmetry(name)
    if isinstance(found, SimpleAlgebra):
        return named_weight(found, text)
    if any(_spinning(factor) for factor in factors_of(found)):
        size = prod(2 * abs(float(Fraction(x))) + 1 for x in re.findall(r"\d{1,4}(?:/[1-9])?", text))
        if size > 2000:
            raise ConfigError(f"{text!r} of {name} is too large for this page; use eqviz.groups")
    return named_irrep(found, text)


def _spinning(factor: Group | SimpleAlgebra) -> bool:
    group = factor.linear_group if isinstance(factor, AffineGroup) else factor
    return isinstance(group, LorentzGroup)


def irrep_name(name: str, text: str) -> str:
    """The irrep's own name."""
    chosen, found = irrep(name, text), symmetry(name)
    if isinstance(chosen, Irrep):
        return chosen.name
    assert isinstance(found, SimpleAlgebra)
    return weight_name(found, chosen)


def dimension(name: str, text: str) -> int:
    """Number of states of an irrep."""
    chosen, found = irrep(name, text), symmetry(name)
    if isinstance(chosen, Irrep):
        return chosen.dimension
    assert isinstance(found, SimpleAlgebra)
    return found.dimension_of(chosen)


@lru_cache(maxsize=128)
def diagram(name: str, text: str) -> WeightPoints:
    """The picture of an irrep's weights.

    Raises:
        EqvizError: see :func:`irrep` and :func:`eqviz.groups.weight_points.weight_points`.
    """
    return weight_points(symmetry(name), irrep(name, text))


def uses_solver(found: Group | SimpleAlgebra) -> bool:
    """Whether couplings come from the general solver, whose time grows fast with the dimensions."""
    for factor in factors_of(found):
        group = factor.linear_group if isinstance(factor, AffineGroup) else factor
        if isinstance(group, FullLorentzGroup | FiniteGroup):
            return True
    return False


Ticks = list[tuple[float, str]] | None


def ticks(axes: tuple[str, str], reach: float) -> tuple[Ticks, Ticks]:
    """Ticks in the field's own units where positions are in those of the algebra: T₃ and Y of SU(3)."""
    if not (axes[0].endswith("T₃") and axes[1].endswith("Y")):
        return None, None
    return _every(Fraction(1, 2), 2**0.5, reach), _every(Fraction(1, 3), 1.5**0.5, reach)


def _every(step: Fraction, scale: float, reach: float) -> Ticks:
    """At most nine multiples of ``step`` within ``reach``, which is ``scale`` times the axis' own unit."""
    while (count := int(reach / scale / step)) > 4:
        step = 1 if step < 1 else 2 * step  # type: ignore[assignment]
    return [(float(i * step) * scale, _fraction(i * step)) for i in range(-count, count + 1)]


def _fraction(value: Fraction) -> str:
    return str(value).replace("-", "−")
