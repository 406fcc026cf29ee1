"""What is asked of a product of two irreps, how long it may take, and the answers, shared by all sessions."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from math import prod
from threading import RLock
from typing import Any, Protocol

from eqviz.dash.representations.catalogue import dimension, factors_of, irrep, symmetry, uses_solver
from eqviz.errors import ConfigError, EqvizError
from eqviz.groups.base import Array, Irrep
from eqviz.groups.describe import product_matrix, product_table
from eqviz.groups.finite import FiniteGroup
from eqviz.groups.irrep_names import algebra_of, labels_text, weight_name
from eqviz.groups.lorentz import FullLorentzGroup
from eqviz.groups.simple import SimpleAlgebra

MAX_PAIRS = 2500
MAX_SOLVED = 100
MAX_WEIGHTS = 50_000
_QUICK_STATES = 1000
_QUICK_PAIRS = 300
_QUICK_SOLVED = 36
_MAX_KEPT = 64


@dataclass(frozen=True)
class Question:
    """One thing to work out: ``"table"`` or ``"couplings"`` of two irreps of a group, all by name."""

    kind: str
    group: str
    first: str
    second: str

    def quick(self) -> bool:
        """Whether the answer takes a few ten milliseconds at most."""
        found = symmetry(self.group)
        sizes = [dimension(self.group, text) for text in (self.first, self.second)]
        algebra = algebra_of(found)
        if self.kind == "table" and algebra is not None:
            return min(sizes) <= _QUICK_STATES
        if isinstance(found, SimpleAlgebra) or prod(sizes) > MAX_PAIRS:
            return True  # refused at once
        if uses_solver(found):
            if prod(sizes) > MAX_SOLVED and (self.kind == "couplings" or isinstance(found, FullLorentzGroup)):
                return True  # so is this
            small = all(f.order <= 48 for f in factors_of(found) if isinstance(f, FiniteGroup))
            return prod(sizes) <= _QUICK_SOLVED and small
        return prod(sizes) <= _QUICK_PAIRS

    def answer(self) -> Any:
        """Work it out.

        Raises:
            EqvizError: the request is impossible or too large.
        """
        return table(self) if self.kind == "table" else couplings(self)


def table(question: Question) -> list[dict[str, Any]]:
    """Rows of the decomposition: irrep, labels, dimension, multiplicity, states and, if known, casimir."""
    name = question.group
    found, a, b = symmetry(name), irrep(name, question.first), irrep(name, question.second)
    algebra = algebra_of(found)
    if algebra is None:
        assert isinstance(a, Irrep) and isinstance(b, Irrep)
        _check_pairs(a, b, MAX_SOLVED if isinstance(found, FullLorentzGroup) else MAX_PAIRS)
        return [{**row, "labels": "", "casimir": None} for row in product_table(a, b)]
    weights = [x.label if isinstance(x, Irrep) else x for x in (a, b)]
    small = min(algebra.weight_count(weight) for weight in weights)
    if small > MAX_WEIGHTS:
        raise ConfigError(
            f"the smaller factor has {small} different weights, more than {MAX_WEIGHTS} to multiply here"
        )
    return [
        {
            "irrep": weight_name(algebra, weight),
            "labels": labels_text(weight),
            "dimension": algebra.dimension_of(weight),
            "multiplicity": count,
            "states": count * algebra.dimension_of(weight),
            "casimir": algebra.casimir(weight),
        }
        for weight, count in algebra.tensor(*weights).items()
    ]


def couplings(question: Question) -> tuple[Array, list[tuple[str, int]]]:
    """All Clebsch-Gordan coefficients of the product, see ``eqviz.groups.describe.product_matrix``."""
    name = question.group
    found, a, b = symmetry(name), irrep(name, question.first), irrep(name, question.second)
    if not (isinstance(a, Irrep) and isinstance(b, Irrep)):
        raise ConfigError(
            f"Irreps of {name} are known by their weights; states and Clebsch-Gordan coefficients "
            "are written down for SU(N), SO(3), the Lorentz group and finite groups"
        )
    if uses_solver(found):
        _check_pairs(a, b, MAX_SOLVED)
    matrix, blocks = product_matrix(a, b)
    matrix.setflags(write=False)
    return matrix, blocks


def _check_pairs(a: Irrep, b: Irrep, limit: int) -> None:
    pairs = a.dimension * b.dimension
    if pairs > limit:
        raise ConfigError(f"{a.name} x {b.name} has {pairs} states, more than {limit} to work out on a page")


class Asked(Hashable, Protocol):
    """What can be asked: hashable, says whether the page may wait for it, and works out its answer."""

    def quick(self) -> bool:
        """Whether the answer takes a few ten milliseconds at most."""

    def answer(self) -> Any:
        """Work it out; raises an EqvizError where that is impossible."""


class Answers:
    """Answers by question, shared by all sessions; errors are answers too."""

    def __init__(self) -> None:
        self._lock = RLock()
        self._kept: OrderedDict[Hashable, Any] = OrderedDict()

    def get(self, question: Asked) -> Any:
        """The answer, the EqvizError that says why there is none, or None while it is not worked out."""
        with self._lock:
            if question in self._kept:
                self._kept.move_to_end(question)
            return self._kept.get(question)

    def done(self, question: Asked) -> bool:
        """Whether there is an answer."""
        with self._lock:
            return question in self._kept

    def work_out(self, question: Asked) -> None:
        """Work out the answer."""
        try:
            value = question.answer()
        except EqvizError as error:
            value = error
        with self._lock:
            self._kept[question] = value
            # of each kind by itself: steps of a slider must not push out what took seconds
            alike = [asked for asked in self._kept if type(asked) is type(question)]
            for asked in alike[:-_MAX_KEPT]:
                del self._kept[asked]

    def at_once(self, question: Asked) -> Any:
        """Like :meth:`get`, working out what is quick."""
        if not self.done(question):
            try:
                quick = question.quick()
            except EqvizError:
                quick = True  # the answer is the error
            if quick:
                self.work_out(question)
        return self.get(question)


CATALOGUE = Answers()
