from __future__ import annotations

from fractions import Fraction
from time import perf_counter

import numpy as np
import pytest

from eqviz.errors import ConfigError
from eqviz.groups.branching import Subalgebra, remove_from_extended, remove_nodes
from eqviz.groups.cartan import CartanType, parse_type
from eqviz.groups.simple import simple_algebra

# dimension, order of the Weyl group, dual Coxeter number (Humphreys; Di Francesco et al., table 13.1)
FACTS = {
    "SU(2)": (3, 2, 2),
    "SU(3)": (8, 6, 3),
    "SU(6)": (35, 720, 6),
    "SO(5)": (10, 8, 3),
    "SO(9)": (36, 384, 7),
    "Sp(8)": (36, 384, 5),
    "SO(10)": (45, 1920, 8),
    "G_2": (14, 12, 4),
    "F_4": (52, 1152, 9),
    "E_6": (78, 51840, 12),
    "E_7": (133, 2903040, 18),
    "E_8": (248, 696729600, 30),
}


@pytest.mark.parametrize("name", FACTS)
def test_roots_weyl_group_and_casimir(name):
    algebra = simple_algebra(name)
    assert (algebra.dimension, algebra.type.weyl_order, algebra.type.dual_coxeter_number) == FACTS[name]
    assert algebra.dimension_of(algebra.adjoint()) == algebra.dimension
    assert algebra.casimir(algebra.adjoint()) == algebra.type.dual_coxeter_number
    assert algebra.type.half_lengths.count(Fraction(1)) >= 1 and max(algebra.type.half_lengths) == 1
    inverse = np.array(algebra.type.inverse_cartan)
    assert (inverse @ algebra.type.cartan_matrix == np.eye(algebra.rank, dtype=int)).all()


@pytest.mark.parametrize(
    ("name", "factors", "expected"),
    [
        ("SU(2)", ("2", "2", "2"), "4 + 2 + 2"),
        ("SU(3)", ("3", "3bar"), "8 + 1"),
        ("SU(3)", ("8", "8"), "27 + 10 + 10bar + 8 + 8 + 1"),
        ("SU(3)", ("3", "3", "3"), "10 + 8 + 8 + 1"),
        ("SU(5)", ("5bar", "10"), "45bar + 5"),
        ("SO(10)", ("16", "16"), "126 + 120 + 10"),
        ("SO(10)", ("16", "16bar"), "210 + 45 + 1"),
        ("Sp(6)", ("6", "6"), "21 + 14 + 1"),
        ("G_2", ("7", "7"), "27 + 14 + 7 + 1"),
        ("F_4", ("26", "26"), "324 + 273 + 52 + 26 + 1"),
        ("E_6", ("27", "27bar"), "650 + 78 + 1"),
        ("E_7", ("56", "56"), "1539 + 1463 + 133 + 1"),
    ],
)
def test_known_tensor_products(name, factors, expected):
    product = simple_algebra(name).tensor(*factors)
    assert str(product) == expected
    dimensions = [simple_algebra(name).dimension_of(f) for f in factors]
    assert product.dimension == np.prod(dimensions)


def test_highest_weights_of_the_grand_unified_products():
    assert dict(simple_algebra("SU(5)").tensor((0, 0, 0, 1), (0, 1, 0, 0))) == {
        (0, 1, 0, 1): 1,
        (1, 0, 0, 0): 1,
    }
    product = simple_algebra("SO(10)").tensor((0, 0, 0, 0, 1), (0, 0, 0, 0, 1))
    assert dict(product) == {(0, 0, 0, 0, 2): 1, (0, 0, 1, 0, 0): 1, (1, 0, 0, 0, 0): 1}


def test_square_of_the_adjoint_of_e8_is_fast():
    start = perf_counter()
    product = simple_algebra("E_8").tensor("248", "248")
    assert perf_counter() - start < 10
    assert str(product) == "30380 + 27000 + 3875 + 248 + 1"


@pytest.mark.parametrize("name", ["SU(2)", "SU(4)", "SO(7)", "Sp(6)", "SO(8)", "G_2", "F_4"])
def test_weight_systems(name):
    """Freudenthal against Weyl: multiplicities add up; the system is invariant and has the right index."""
    algebra = simple_algebra(name)
    for irrep in algebra.irreps_up_to(120)[:6]:
        weights, counts = algebra.weights(irrep)
        assert counts.sum() == algebra.dimension_of(irrep)
        assert len(weights) == len(np.unique(weights, axis=0)) == algebra.weight_count(irrep)
        assert not (weights * counts[:, None]).sum(axis=0).any()
        norms = sum(int(c) * algebra.type.inner(w, w) for w, c in zip(weights.tolist(), counts))
        assert norms == 2 * algebra.rank * algebra.index(irrep)  # trace of the Cartan generators squared


@pytest.mark.parametrize("name", ["SU(3)", "SO(8)", "G_2"])
def test_products_of_characters(name):
    """Klimyk's decomposition against the multiplied characters at a random torus element."""
    algebra = simple_algebra(name)
    angles = np.random.default_rng(0).uniform(0, 2 * np.pi, algebra.rank)

    def character(irrep):
        weights, counts = algebra.weights(irrep)
        return np.sum(counts * np.exp(1j * weights @ angles))

    irreps = algebra.irreps_up_to(30)[:7]
    for first in irreps:
        for second in irreps:
            total = sum(count * character(w) for w, count in algebra.tensor(first, second).items())
            assert np.isclose(total, character(first) * character(second), atol=1e-8)


def test_casimir_index_reality_and_names():
    su3, so10 = simple_algebra("SU(3)"), simple_algebra("SO(10)")
    assert (su3.casimir("3"), su3.casimir("8"), su3.index("6")) == (Fraction(4, 3), 3, Fraction(5, 2))
    assert (su3.dual("10"), su3.name_of((0, 3)), su3.name_of((4, 0))) == ((0, 3), "10bar", "15'")
    assert su3.weight("15") == (2, 1) and su3.weight("15'bar") == (0, 4)
    assert so10.reality("16") == "complex" and so10.reality("10") == "real"
    assert simple_algebra("SU(2)").reality((1,)) == simple_algebra("E7").reality("56") == "pseudoreal"
    assert simple_algebra("SU(4)").reality("6") == "real"
    # triality: three irreps of dimension 8
    assert [simple_algebra("SO(8)").name_of(w) for w in np.eye(4, dtype=int)[[0, 2, 3]]] == ["8", "8'", "8''"]


@pytest.mark.parametrize(
    ("subalgebra", "irrep", "expected"),
    [
        (remove_nodes("SU(5)", 3), "5", "(3, 1)(2) + (1, 2)(-3)"),
        (remove_nodes("SU(5)", 3), "10", "(3, 2)(-1) + (3bar, 1)(4) + (1, 1)(-6)"),
        (remove_nodes("SO(10)", 5), "16", "(10)(-1) + (5bar)(3) + (1)(-5)"),
        (remove_nodes("E_6", 6), "27", "(16)(-1) + (10)(2) + (1)(-4)"),
        (remove_nodes("SU(3)", 1, 2), "3", "(-1)(-2) + (-1)(1) + (2)(1)"),
        (remove_from_extended("E_8", 1), "248", "128' + 120"),
        (remove_from_extended("E_8", 2), "248", "84 + 84bar + 80"),
        (remove_from_extended("E_8", 8), "248", "(133, 1) + (56, 2) + (1, 3)"),
        (remove_from_extended("E_6", 4), "27", "(3, 3, 1) + (3bar, 1, 3bar) + (1, 3bar, 3)"),
        (remove_from_extended("G_2", 1), "7", "3 + 3bar + 1"),
        (remove_from_extended("F_4", 4), "26", "16 + 9 + 1"),
        (remove_from_extended("SO(10)", 2), "16", "(4, 1, 2) + (4bar, 2, 1)"),
    ],
)
def test_branching(subalgebra, irrep, expected):
    assert str(subalgebra.branch(irrep)) == expected


def test_branching_in_steps_and_special_embeddings():
    chain = remove_nodes("SO(10)", 5).then(0, remove_nodes("SU(5)", 3))
    assert str(chain) == "SO(10) > SU(3) x SU(2) x U(1) x U(1)"
    assert len(chain.branch("16").names()) == 6  # one generation with a right-handed neutrino
    su3, so3 = simple_algebra("SU(3)"), simple_algebra("SU(2)")
    none = np.zeros((0, 2), dtype=np.int64)
    special = Subalgebra(su3, (so3,), np.array([[2, 2]]), none)  # 3 -> spin 1
    assert str(special.branch("8")) == "5 + 3"
    with pytest.raises(ConfigError, match="does not come from a subalgebra"):
        Subalgebra(su3, (so3,), np.array([[2, 1]]), none)


@pytest.mark.parametrize(
    "name", ["SU(1)", "SO(4)", "Sp(5)", "E9", "E_5", "G3", "F_2", "H4", "U(1)", "B1", "A65"]
)
def test_algebras_that_do_not_exist(name):
    with pytest.raises(ConfigError):
        parse_type(name)


def test_impossible_requests():
    su3 = simple_algebra("SU(3)")
    with pytest.raises(ConfigError, match=r"dominant.*\(1, 0\)"):
        su3.dimension_of((-1, 1))
    with pytest.raises(ConfigError, match="2 integer Dynkin labels"):
        su3.dimension_of((1, 0, 0))
    with pytest.raises(ConfigError, match="it has 15, 15bar, 15', 15'bar"):
        su3.weight("15''")
    with pytest.raises(ConfigError, match="none of this dimension"):
        su3.weight("4")
    with pytest.raises(ConfigError, match="dominant_weights"):
        simple_algebra("E8").weights((1,) * 8)
    with pytest.raises(ConfigError, match="between 1 and 4"):
        remove_nodes("SU(5)", 5)
    with pytest.raises(ConfigError, match="integer rank"):
        CartanType("A", 2.0)
    with pytest.raises(ConfigError, match="at least one"):
        su3.tensor()
