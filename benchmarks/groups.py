"""Clebsch-Gordan tables and decompositions, e3nn's and escnn's beside ours where they are installed."""

from __future__ import annotations

import os
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec

import numpy as np

from benchmarks.measure import rows
from benchmarks.registry import Row, Settings, register
from eqviz.groups import simple_algebra, su
from eqviz.groups.cache import cached_tables
from eqviz.groups.ladder import ladder_couplings
from eqviz.groups.lorentz_irreps import build_tables
from eqviz.groups.rotations import cg_table, real_basis, real_cg_table, spin_matrices

OURS = "eqviz"
TOP = 3
TRIPLES = [
    (a, b, c) for a in range(TOP + 1) for b in range(TOP + 1) for c in range(abs(a - b), min(a + b, TOP) + 1)
]


@register(
    "groups",
    summary="Clebsch-Gordan tables from nothing and from the cache, decompositions",
    reference="arXiv:1009.0437",
)
def run(settings: Settings) -> list[Row]:
    if settings.device != "cpu":
        return []
    with own_cache():
        return [*so3_rows(settings), *table_rows(settings)]


@contextmanager
def own_cache() -> Iterator[None]:
    """An empty folder for tables, so that "from nothing" is true."""
    before = os.environ.get("EQVIZ_CACHE")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["EQVIZ_CACHE"] = folder
        try:
            yield
        finally:
            os.environ.pop("EQVIZ_CACHE")
            if before is not None:
                os.environ["EQVIZ_CACHE"] = before


def so3_rows(settings: Settings) -> list[Row]:
    """All real SO(3) tables to l = TOP: ours, e3nn's wigner_3j, escnn's numerical route."""
    routes: dict[str, Callable[[], object]] = {OURS: ours_so3}
    if find_spec("e3nn"):
        verify_e3nn()
        routes["e3nn"] = e3nn_so3
    if find_spec("escnn") and not find_spec("py3nj") and not settings.quick:
        routes["escnn"] = escnn_so3
    repeats = 1 if settings.quick else 3
    times = {name: [seconds(route) for _ in range(repeats)] for name, route in routes.items()}
    return rows(f"SO(3) tables to l = {TOP}", times, 1e3, "ms", f"{len(TRIPLES)} tables, nothing cached")


def ours_so3() -> list[np.ndarray]:
    for function in (cg_table, real_cg_table, real_basis, spin_matrices):
        function.cache_clear()
    return [real_cg_table(2 * a, 2 * b, 2 * c) for a, b, c in TRIPLES]


def e3nn_so3() -> list[object]:
    from e3nn.o3 import _wigner  # the uncached routine behind o3.wigner_3j

    _wigner._so3_clebsch_gordan.cache_clear()
    _wigner._su2_clebsch_gordan.cache_clear()
    return [_wigner._so3_clebsch_gordan(a, b, c) for a, b, c in TRIPLES]


def verify_e3nn() -> None:
    """The tables that are timed are the same up to a sign."""
    from e3nn.o3 import wigner_3j

    for a, b, c in TRIPLES:
        theirs = np.asarray(wigner_3j(a, b, c)) * np.sqrt(2 * c + 1)
        ours = real_cg_table(2 * a, 2 * b, 2 * c)
        sign = np.sign(np.sum(ours * theirs))
        if not np.allclose(ours, sign * theirs, atol=1e-5):
            raise AssertionError(f"e3nn and eqviz disagree for {(a, b, c)}")


def escnn_so3() -> list[object]:
    """escnn's route without py3nj, by SciPy's SVD: scikit-learn refuses the matrix that it is given."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from escnn.group import _clebsh_gordan, _numerical, so3_group
    so3_group(TOP)
    _numerical.randomized_svd = None
    numerical = _clebsh_gordan._clebsh_gordan_tensor.func  # without its cache on disk
    return [numerical((a,), (b,), (c,), "SO3") for a, b, c in TRIPLES]


def table_rows(settings: Settings) -> list[Row]:
    """What the catalogue promises: Lorentz tables, SU(3) 27 x 27, the adjoint square of E_8, cached loads."""
    repeats = 1 if settings.quick else 5
    return [
        *timed("Lorentz tables to (3/2, 3/2)", lorentz_tables, repeats, "529 tables, from nothing"),
        *timed("SU(3) 27 x 27", su3_tables, repeats, "all 24 irreps, generators included"),
        *timed("E_8 248 x 248", e8_square, repeats, "decomposition, roots included"),
        *timed("cached table", cached_load(), repeats, "SU(3) 27 x 27 -> 64, 2 copies, from disk"),
    ]


def lorentz_tables() -> None:
    cg_table.cache_clear()
    spin_matrices.cache_clear()
    tables = build_tables(3)
    if len(tables) != 529:
        raise AssertionError(f"expected 529 tables, got {len(tables)}")


def su3_tables() -> None:
    from eqviz.groups.gelfand_tsetlin import gelfand_tsetlin

    gelfand_tsetlin.cache_clear()
    group = su(3)
    irrep, norm = group.irrep("27"), 0.0
    for third, copies in group.product(irrep, irrep):
        norm += float(np.sum(ladder_couplings(irrep.ladder, irrep.ladder, third.ladder, copies) ** 2))
    if not np.isclose(norm, 27**2):
        raise AssertionError(f"the couplings are not a unitary matrix: {norm}")


def e8_square() -> None:
    from eqviz.groups import cartan, weights

    for function in (cartan._positive_roots, weights._dominant_multiplicities, weights.weight_system):
        function.cache_clear()
    algebra = type(simple_algebra("E_8"))(cartan.CartanType("E", 8))
    if str(algebra.tensor(algebra.adjoint(), algebra.adjoint())) != "30380 + 27000 + 3875 + 248 + 1":
        raise AssertionError("the square of the adjoint of E_8 is wrong")


def cached_load() -> Callable[[], None]:
    group = su(3)
    irrep, third = group.irrep("27"), group.irrep("64")
    made = group.clebsch_gordan(irrep, irrep, third)
    key = f"{group.name} {irrep.label} x {irrep.label} -> {third.label}"

    def load() -> None:
        table = cached_tables(key, lambda: {})["table"]
        if not np.array_equal(table, made):
            raise AssertionError("the cache holds another table")

    return load


def timed(quantity: str, function: Callable[[], object], repeats: int, setting: str) -> list[Row]:
    return rows(quantity, {OURS: [seconds(function) for _ in range(repeats)]}, 1e3, "ms", setting)


def seconds(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start
