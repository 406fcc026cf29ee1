"""Irreps by the text that people write: ``"8"``, ``"spin 1/2"``, ``"(1/2, 1/2)"``, ``"(3, 2, charge 1)"``."""

from __future__ import annotations

import re
from fractions import Fraction
from itertools import product
from typing import Any

from eqviz.errors import ConfigError
from eqviz.groups.base import Group, Irrep
from eqviz.groups.cartan import Weight
from eqviz.groups.conformal import ConformalGroup
from eqviz.groups.names import named_group
from eqviz.groups.physics import GENERATION, standard_model
from eqviz.groups.product import OuterIrrep, ProductGroup
from eqviz.groups.simple import SimpleAlgebra, simple_algebra
from eqviz.groups.unitary import SpecialUnitaryGroup

_PREFIX = re.compile(r"^(spin|irrep|charge|weight|l\s*=)\s*")
_SIMPLE = re.compile(r"([A-G])_?\d+|(SO|Spin|Sp)\(\d+\)")
_MENU = 12
# Naming an irrep means listing all smaller ones: few in high rank, very many in low rank.
_LARGEST = {1: 2_000, 2: 30_000, 3: 300_000}
_LARGEST_ELSE = 2_000_000


def named_symmetry(name: str) -> Group | SimpleAlgebra:
    """The group with explicit matrices, or the simple Lie algebra, of this name.

    ``"D_6"`` is the dihedral group, as everywhere; the algebra is ``"SO(12)"``.

    Raises:
        UnknownNameError: no such group.
        ConfigError: a member of a family that does not exist.
    """
    text = " ".join(name.split())
    if not re.match(r"[CD]_?\d+$|SO\([23]\)$", text) and _SIMPLE.fullmatch(text):
        return simple_algebra(text)
    return named_group(text)


def algebra_of(symmetry: Group | SimpleAlgebra) -> SimpleAlgebra | None:
    """The simple Lie algebra by whose highest weights the irreps are labelled; None for other groups."""
    if isinstance(symmetry, SimpleAlgebra):
        return symmetry
    return symmetry.algebra if isinstance(symmetry, SpecialUnitaryGroup) else None


def irrep_names(symmetry: Group | SimpleAlgebra, limit: int = _MENU) -> list[str]:
    """Names of small irreps for a menu; for the Standard Model, its particles."""
    if isinstance(symmetry, SimpleAlgebra):
        size = symmetry.dimension
        while len(symmetry.irreps_up_to(size)) < 6:
            size *= 4
        found = symmetry.irreps_up_to(min(size, largest_named(symmetry)))
        return [symmetry.name_of(weight) for weight in found[:limit]]
    if isinstance(symmetry, ProductGroup):
        if symmetry == standard_model():
            bosons = [("8", "1", 0), ("1", "3", 0), ("1", "1", 0), ("1", "2", 3)]
            irreps = [fermion.irrep() for fermion in GENERATION]
            return [irrep.name for irrep in [*irreps, *(symmetry.irrep(*label) for label in bosons)]]
        per_factor = [factor.irreps(4 if len(symmetry.factors) == 2 else 3) for factor in symmetry.factors]
        made = [OuterIrrep(symmetry, parts).name for parts in product(*per_factor)]
        return made[: 4 * limit]
    return [irrep.name for irrep in symmetry.irreps(limit)]


def named_irrep(group: Group, text: str) -> Irrep:
    """The irrep that is called ``text`` or has these labels (``"1, 1"`` for the octet of SU(3)).

    Raises:
        ConfigError: no such irrep, or one that is too large to be named.
    """
    algebra = algebra_of(group)
    if algebra is not None:
        return group.irrep(*named_weight(algebra, text))
    if not isinstance(group, ProductGroup | ConformalGroup):
        for irrep in group.irreps(_MENU):
            if irrep.name == text.strip():
                return irrep
    inner = _PREFIX.sub("", text.strip())
    parts = _split(inner[1:-1] if _wrapped(inner) else inner)
    if isinstance(group, ProductGroup):
        if len(parts) != len(group.factors):
            raise ConfigError(
                f"expected {len(group.factors)} labels, one per factor of {group.name}, got {text!r}"
            )
        return OuterIrrep(group, [named_irrep(factor, part) for factor, part in zip(group.factors, parts)])
    by_name = isinstance(group, ConformalGroup) and len(parts) == 1  # the names of SU(4)
    return group.irrep(*(parts if by_name else [_token(part) for part in parts]))


def named_weight(algebra: SimpleAlgebra, text: str) -> Weight:
    """The highest weight of an irrep by name (``"10bar"``) or Dynkin labels (``"0, 3"``).

    Raises:
        ConfigError: no such irrep, or a dimension beyond what can be named.
    """
    inner = text.strip()
    parts = _split(inner[1:-1] if _wrapped(inner) else inner)
    limit = largest_named(algebra)
    if len(parts) == 1 and (algebra.rank > 1 or not _wrapped(inner)):
        digits = re.match(r"\d+", parts[0])
        if digits and len(digits[0]) < 12 and int(digits[0]) <= limit:
            return algebra.weight(parts[0])
        if digits:
            raise ConfigError(f"irreps of {algebra.name} are named up to dimension {limit}, got {text!r}")
        return algebra.weight(parts[0])
    weight = algebra.weight([_token(part) for part in parts])
    if max(weight) > limit or algebra.dimension_of(weight) > limit:
        raise ConfigError(f"{text!r} of {algebra.name} has a dimension above {limit}, too large to show")
    return weight


def largest_named(algebra: SimpleAlgebra) -> int:
    """The largest dimension for which a name is found in a moment."""
    return _LARGEST.get(algebra.rank, _LARGEST_ELSE)


def weight_name(algebra: SimpleAlgebra, weight: Weight) -> str:
    """The irrep's name, or dimension and Dynkin labels where a name would take too long to find."""
    size = algebra.dimension_of(weight)
    quick = {"E": 2_000_000, "F": 300_000}.get(algebra.type.family, 30_000)
    if size <= min(largest_named(algebra), quick):
        return algebra.name_of(weight)
    return f"{size:,} {labels_text(weight)}"


def labels_text(weight: Weight) -> str:
    """``(1,1)``."""
    return "(" + ",".join(str(x) for x in weight) + ")"


def _wrapped(text: str) -> bool:
    """Whether one pair of parentheses holds everything."""
    if not (text.startswith("(") and text.endswith(")")):
        return False
    depth = 0
    for place, letter in enumerate(text):
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if depth == 0:
            return place == len(text) - 1
    return False


def _split(text: str) -> list[str]:
    """At the commas outside of parentheses; a trailing comma counts for nothing."""
    parts, depth, start = [], 0, 0
    for place, letter in enumerate(text):
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if letter == "," and depth == 0:
            parts.append(text[start:place].strip())
            start = place + 1
    last = text[start:].strip()
    return [*parts, last] if last or not parts else parts


def _token(text: str) -> Any:
    """Integers and half-integers as numbers; anything else stays text for the group to refuse."""
    if re.fullmatch(r"[+-]?\d{1,4}", text):
        return int(text)
    if re.fullmatch(r"[+-]?\d{1,4}(/[1-9]\d{0,2}|\.\d{1,3})", text):
        return Fraction(text)
    return text
