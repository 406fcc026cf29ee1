"""Groups by the names that people write: ``"C4"``, ``"SU(5)"``, ``"S_6"``, ``"SU(3) x U(1)"``."""

from __future__ import annotations

import re
from collections.abc import Callable

from eqviz.errors import UnknownNameError
from eqviz.groups.base import GROUPS, Group
from eqviz.groups.permutation import symmetric
from eqviz.groups.planar import cyclic, dihedral
from eqviz.groups.product import direct_product
from eqviz.groups.unitary import su

_FAMILIES: list[tuple[str, Callable[[int], Group]]] = [
    (r"C_?(\d+)", cyclic),
    (r"D_?(\d+)", dihedral),
    (r"S_?(\d+)", symmetric),
    (r"SU\((\d+)\)", su),
]


def named_group(name: str) -> Group:
    """The group of a name; factors of a direct product are separated by ``x``.

    Registered names come first, so that ``"SU(2)"`` is the group of spins.

    Raises:
        UnknownNameError: no such group, with the registered names.
        ConfigError: a member of a family that does not exist, such as ``"C0"``.
    """
    text = " ".join(name.replace("×", "x").split())
    if text in GROUPS:
        return GROUPS.get(text)()
    for pattern, family in _FAMILIES:
        if match := re.fullmatch(pattern, text):
            return family(int(match[1]))
    factors = re.split(r"\s+x\s+", text)
    if len(factors) > 1:
        return direct_product(*(named_group(factor) for factor in factors))
    raise UnknownNameError("group", name, GROUPS.names())
