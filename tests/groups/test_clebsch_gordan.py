from __future__ import annotations

import numpy as np
import pytest

from eqviz.errors import ConfigError
from eqviz.groups import GROUPS, cyclic, dihedral, lorentz, o2, so2, symmetric
from eqviz.groups.clebsch_gordan import (
    clebsch_gordan,
    decompose,
    intertwiners,
    intertwining_residual,
    invariants,
    multiplicity,
)
from eqviz.groups.rotations import so3


@pytest.fixture(params=GROUPS.names())
def group(request):
    return GROUPS.get(request.param)()


def test_couplings_of_every_group_intertwine(group):
    irreps = sorted(group.irreps(5), key=lambda irrep: irrep.dimension)[:3]
    for first in irreps:
        for second in irreps:
            found = 0
            for third in irreps:
                table = clebsch_gordan(first, second, third)
                assert intertwining_residual(table, first, second, third) < 1e-10
                found += len(table)
                if group.compact and len(table):
                    gram = np.einsum("aijk,bijl->abkl", table, table.conj())
                    if not _is_complex_type(third):
                        expected = np.einsum("ab,kl->abkl", np.eye(len(table)), np.eye(third.dimension))
                        assert np.allclose(gram, expected, atol=1e-10)
            assert found <= first.dimension * second.dimension * 2


def _is_complex_type(irrep):
    """Real irreps whose commutant is larger than the real numbers (C_n, SO(2) in two dimensions)."""
    return len(intertwiners(irrep, irrep)) > 1


def test_the_metric_is_the_only_invariant_of_two_vectors():
    vector = lorentz().vector()
    (form,) = invariants(vector * vector)
    assert np.allclose(np.abs(form.reshape(4, 4)), np.eye(4) / 2, atol=1e-12)
    assert np.allclose(form.reshape(4, 4) / form[0], np.diag([1, -1, -1, -1]), atol=1e-12)
    assert len(invariants(vector)) == 0
    assert len(invariants(vector * vector * vector * vector)) == 4  # three pairings and epsilon
    full = GROUPS.get("O(1,3)")().vector()
    assert len(invariants(full * full * full * full)) == 3


def test_known_counts():
    assert multiplicity(so3().irrep(2), so3().irrep(1) ** 2) == 1
    assert decompose(so3().irrep(1) * so3().irrep(2), so3().irreps(5)) == {"l = 1": 1, "l = 2": 1, "l = 3": 1}
    wave = so2().irrep(2)
    assert len(intertwiners(wave, wave)) == 2  # a real irrep of complex type
    assert len(intertwiners(o2().irrep(1, 2), o2().irrep(1, 2))) == 1
    regular = dihedral(4).regular()
    assert [len(intertwiners(irrep, regular)) for irrep in dihedral(4).irreps(10)] == [1, 1, 2, 1, 1]
    assert len(intertwiners(cyclic(5).regular(), cyclic(5).regular())) == 5
    # equivariant maps between order-0, 1, 2 tensors: Bell numbers (arXiv:1812.09902)
    tensors = [symmetric(4).tensor(order) for order in range(3)]
    counts = [[len(intertwiners(a, b)) for a in tensors] for b in tensors]
    assert counts == [[1, 1, 2], [1, 2, 5], [2, 5, 15]]


def test_reproducible_and_real():
    l1, l2 = so3().irrep(1), so3().irrep(2)
    first, again = (clebsch_gordan(l1, l2, l2) for _ in range(2))
    assert first.dtype == np.float64 and np.array_equal(first, again)
    maps = intertwiners(symmetric(3).tensor(2), symmetric(3).tensor(2))
    assert np.allclose(np.einsum("aij,bij->ab", maps, maps), np.eye(14), atol=1e-12)


def test_impossible_requests():
    with pytest.raises(ConfigError, match="one group"):
        intertwiners(lorentz().vector(), cyclic(4).defining)
    with pytest.raises(ConfigError, match="closed form"):
        intertwiners(so3().irrep(100) * so3().irrep(3), so3().irrep(100))
