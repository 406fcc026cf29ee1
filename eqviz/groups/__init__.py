"""The catalogue of symmetry groups: generators, irreps, tensor products, Clebsch-Gordan tables.

NumPy in float64 only. Every module of this folder that registers a group is found by itself.

>>> vector = lorentz().irrep("1/2", "1/2")
>>> [irrep.name for irrep, _ in lorentz().product(vector, vector)]
['(0, 0)', '(0, 1)', '(1, 0)', '(1, 1)']
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from eqviz.groups.base import (
    GROUPS,
    Action,
    Element,
    Group,
    Irrep,
    Representation,
    direct_sum,
    register_group,
    tensor_product,
)

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

from eqviz.groups.affine import e2, poincare, se2, se3  # noqa: E402
from eqviz.groups.conformal import conformal  # noqa: E402
from eqviz.groups.lorentz import full_lorentz, lorentz  # noqa: E402
from eqviz.groups.names import named_group  # noqa: E402
from eqviz.groups.permutation import symmetric  # noqa: E402
from eqviz.groups.physics import beam, so11, standard_model  # noqa: E402
from eqviz.groups.planar import cyclic, dihedral, o2, so2  # noqa: E402
from eqviz.groups.principal_series import PrincipalSeries  # noqa: E402
from eqviz.groups.product import direct_product  # noqa: E402
from eqviz.groups.rotations import so3, su2  # noqa: E402
from eqviz.groups.simple import simple_algebra  # noqa: E402
from eqviz.groups.unitary import su, u1  # noqa: E402

__all__ = [
    "GROUPS",
    "Action",
    "Element",
    "Group",
    "Irrep",
    "PrincipalSeries",
    "Representation",
    "beam",
    "conformal",
    "cyclic",
    "dihedral",
    "direct_product",
    "direct_sum",
    "e2",
    "full_lorentz",
    "lorentz",
    "named_group",
    "o2",
    "poincare",
    "register_group",
    "se2",
    "se3",
    "simple_algebra",
    "so2",
    "so3",
    "so11",
    "standard_model",
    "su",
    "su2",
    "symmetric",
    "tensor_product",
    "u1",
]
