from __future__ import annotations

import collections
import collections.abc
from fractions import Fraction

import numpy as np
import pytest

from eqviz.errors import ConfigError
from eqviz.groups.clebsch_gordan import clebsch_gordan, intertwining_residual
from eqviz.groups.rotations import (
    cg_table,
    real_cg_table,
    so3,
    su2,
    twice_spin,
    vector_to_l1,
    wigner_d,
    wigner_small_d,
)

ANGLES = (0.4, 1.3, -2.1)


def test_clebsch_gordan_agrees_with_sympy():
    sympy = pytest.importorskip("sympy")
    from sympy.physics.quantum.cg import CG

    rng = np.random.default_rng(0)
    for _ in range(40):
        a, b = rng.integers(0, 21, 2).tolist()
        c = int(rng.choice(range(abs(a - b), a + b + 1, 2)))
        m1, m2 = int(rng.choice(range(-a, a + 1, 2))), int(rng.choice(range(-b, b + 1, 2)))
        if abs(m1 + m2) > c:
            continue
        halves = [sympy.Rational(x, 2) for x in (a, m1, b, m2, c, m1 + m2)]
        expected = float(sympy.N(CG(*halves).doit()))
        ours = cg_table(a, b, c)[(a - m1) // 2, (b - m2) // 2, (c - m1 - m2) // 2]
        assert abs(ours - expected) < 1e-12, halves


def test_wigner_d_agrees_with_sympy():
    sympy = pytest.importorskip("sympy")
    from sympy.physics.quantum.spin import Rotation

    for twice in (1, 2, 3):
        expected = [
            [
                complex(sympy.N(Rotation.D(*(sympy.Rational(x, 2) for x in (twice, m, n)), *ANGLES).doit()))
                for n in range(twice, -twice - 1, -2)
            ]
            for m in range(twice, -twice - 1, -2)
        ]
        assert np.allclose(wigner_d(Fraction(twice, 2), *ANGLES), expected, atol=1e-12)


@pytest.mark.parametrize("degree", range(11))
def test_wigner_d_agrees_with_lie_learn(degree, monkeypatch):
    """The real matrices are the same; the complex ones are conjugate, in the order m = -l ... l."""
    monkeypatch.setattr(collections, "Iterable", collections.abc.Iterable, raising=False)  # gone since 3.10
    wigner = pytest.importorskip("lie_learn.representations.SO3.wigner_d")
    theirs = wigner.wigner_D_matrix(degree, *ANGLES, field="complex", normalization="quantum")
    ours = wigner_d(degree, *ANGLES)[::-1, ::-1]
    assert np.allclose(ours.conj(), theirs, atol=1e-12)
    theirs = wigner.wigner_D_matrix(degree, *ANGLES, field="real", normalization="quantum")
    assert np.allclose(so3().irrep(degree)(so3().euler(*ANGLES)), theirs, atol=1e-12)


def test_real_clebsch_gordan_agrees_with_e3nn():
    """e3nn quantizes along y: its (x, y, z) are our (y, z, x); one sign per table is free."""
    o3 = pytest.importorskip("e3nn.o3")
    for l1, l2, l3 in [(1, 1, 0), (1, 1, 1), (1, 1, 2), (2, 1, 2), (2, 3, 4), (4, 4, 4)]:
        theirs = np.asarray(o3.wigner_3j(l1, l2, l3)) * np.sqrt(2 * l3 + 1)
        ours = real_cg_table(2 * l1, 2 * l2, 2 * l3)
        sign = np.sign(np.sum(ours * theirs))
        assert np.allclose(ours, sign * theirs, atol=1e-6)  # theirs is stored in float32


def test_small_d_and_known_values():
    beta = 0.7
    assert np.allclose(
        wigner_small_d("1/2", beta),
        [[np.cos(beta / 2), -np.sin(beta / 2)], [np.sin(beta / 2), np.cos(beta / 2)]],
    )
    assert np.isclose(wigner_small_d(2, beta)[2, 2], 1.5 * np.cos(beta) ** 2 - 0.5)
    d = wigner_small_d(10, beta)
    assert np.allclose(d @ d.T, np.eye(21), atol=1e-13)
    assert np.allclose(su2().irrep(10)(su2().euler(*ANGLES)), wigner_d(10, *ANGLES), atol=1e-12)


def test_spinors_need_two_turns():
    half, vector = su2().irrep(0.5), so3().irrep(1)
    assert np.allclose(half(su2().rotation(2 * np.pi, "x")), -np.eye(2))
    assert np.allclose(half(su2().rotation(4 * np.pi, "x")), np.eye(2))
    turned = so3().rotation(0.7, [1, 2, 3])
    swap = vector_to_l1()
    assert np.allclose(vector(turned), swap @ turned.matrix @ swap.T)


@pytest.mark.parametrize("group", [su2(), so3()], ids=str)
def test_tables_are_unitary_and_covariant(group):
    spins = [0.5, 1, 1.5, 4] if group is su2() else [1, 2, 4]
    for j1 in spins:
        for j2 in spins:
            tables = []
            for twice in range(int(2 * abs(j1 - j2)), int(2 * (j1 + j2)) + 1, 2):
                j3 = Fraction(twice, 2)
                irreps = [group.irrep(j) for j in (j1, j2, j3)]
                table = group.clebsch_gordan(*irreps)
                assert intertwining_residual(table, *irreps) < 1e-12
                tables.append(table.reshape(-1, len(table[0, 0, 0])))
            square = np.concatenate(tables, axis=1)  # all couplings: a unitary change of basis
            assert np.allclose(square.T @ square, np.eye(len(square)), atol=1e-12)


def test_closed_form_is_the_general_solvers_up_to_a_sign():
    for group, spins in ((su2(), ("1/2", 1, "3/2")), (so3(), (2, 1, 2))):
        irreps = [group.irrep(j) for j in spins]
        ours = group.clebsch_gordan(*irreps)
        general = clebsch_gordan(*irreps)
        assert general.shape == ours.shape
        phase = np.vdot(general, ours) / np.linalg.norm(ours) ** 2
        assert np.isclose(abs(phase), 1) and np.allclose(general * phase, ours, atol=1e-10)


def test_spin_ten_is_accurate():
    table = cg_table(20, 20, 20)[None]
    assert intertwining_residual(table, *[su2().irrep(10)] * 3) < 1e-11
    assert np.allclose(np.einsum("aijk,aijl->kl", table, table), np.eye(21), atol=1e-13)


def test_impossible_requests():
    for spin in (0.3, -1, "x", None, 101, float("nan")):
        with pytest.raises(ConfigError, match="expected a spin"):
            twice_spin(spin)
    with pytest.raises(ConfigError, match=r"use SU\(2\)"):
        so3().irrep("1/2")
    with pytest.raises(ConfigError, match="one label"):
        su2().irrep(1, 2)
    with pytest.raises(ConfigError, match="no real basis"):
        real_cg_table(1, 1, 2)
    with pytest.raises(ConfigError, match=r"irrep of SO\(3\)"):
        so3().clebsch_gordan(so3().irrep(1), so3().irrep(1), su2().irrep(1))
    assert len(su2().clebsch_gordan(su2().irrep(1), su2().irrep(1), su2().irrep(3))) == 0
