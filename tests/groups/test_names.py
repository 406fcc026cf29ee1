from __future__ import annotations

import pytest

from eqviz.errors import ConfigError, UnknownNameError
from eqviz.groups import GROUPS, cyclic, dihedral, named_group, su, symmetric


def test_names():
    for name in GROUPS.names():
        assert named_group(name) == GROUPS.get(name)()
    assert named_group("C4") == cyclic(4) and named_group("D_6") == dihedral(6)
    assert named_group("S_5") == symmetric(5) and named_group("SU(4)") == su(4)
    assert named_group("SU(3) x U(1)").irrep("3", 2).dimension == 3
    assert named_group("S_3 × C2").order == 12


def test_unknown_names():
    with pytest.raises(UnknownNameError, match=r"SO\+\(1,3\)"):
        named_group("SO(1,3)")
    with pytest.raises(ConfigError, match="number of rotations"):
        named_group("C0")
    with pytest.raises(UnknownNameError, match="nonsense"):
        named_group("C4 x nonsense")
