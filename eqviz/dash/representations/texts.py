"""Texts and table rows of the Representations tab."""

from __future__ import annotations

import csv
import io
from typing import Any

from eqviz.dash.representations import catalogue
from eqviz.errors import EqvizError
from eqviz.groups import GROUPS
from eqviz.groups.base import Group
from eqviz.groups.irrep_names import algebra_of

MAX_ROWS = 40


def about(name: str) -> str:
    """One line about a group: what it is, how many generators or elements, and the source."""
    found = catalogue.symmetry(name)
    if not isinstance(found, Group):
        return f"{found.name}: simple Lie algebra of rank {found.rank} with {found.dimension} generators"
    entry = GROUPS.entry(name) if name in GROUPS else None
    family = {"SU": "SU(N)", "C_": "C_n", "D_": "D_n", "S_": "S_n"}.get(name[:2])
    if entry is None and family and " x " not in name:
        entry = GROUPS.entry(family)
    size = f"{found.algebra_dimension} generators" if found.algebra_dimension else f"{found.order} elements"
    kind = "" if not found.algebra_dimension else ", compact" if found.compact else ", not compact"
    rank = algebra_of(found)
    kind += f", rank {rank.rank}" if rank is not None else ""
    return f"{entry.summary}; {size}{kind} ({entry.reference})" if entry else f"{size}{kind}"


def table_columns(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Columns of the decomposition, with Dynkin labels and Casimirs where they are known."""
    columns = [{"key": "irrep", "title": "irrep", "kind": "text"}]
    if any(row["labels"] for row in rows):
        columns.append({"key": "labels", "title": "Dynkin labels", "kind": "text"})
    columns += [{"key": name, "title": name} for name in ("dimension", "multiplicity", "states")]
    if rows and rows[0]["casimir"] is not None:
        hint = "quadratic Casimir, 4/3 for the triplet of SU(3)"
        columns.append({"key": "casimir", "title": "C₂", "hint": hint})
    return columns


def table_rows(rows: list[dict[str, Any]], chosen: str, colour: str) -> list[dict[str, Any]]:
    """The first rows for a DataTable; the one called ``chosen`` is marked."""
    out = []
    for row in rows[:MAX_ROWS]:
        cells: dict[str, Any] = {key: {"text": str(row[key])} for key in ("irrep", "labels")}
        for key in ("dimension", "multiplicity", "states"):
            cells[key] = {"text": f"{row[key]:,}", "value": row[key]}
        if row["casimir"] is not None:
            cells["casimir"] = {"text": str(row["casimir"]), "value": float(row["casimir"])}
        key = row_key(row)
        out.append({"id": key, "cells": cells, "colour": colour, "on": key == chosen})
    return out


def row_key(row: dict[str, Any]) -> str:
    """The text by which a row's irrep is found again."""
    return str(row["labels"] or row["irrep"])


def table_csv(found: Any) -> str:
    """All rows of the decomposition."""
    names = ["irrep", "labels", "dimension", "multiplicity", "states", "casimir"]
    out = io.StringIO()
    writer = csv.DictWriter(out, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(found if isinstance(found, list) else [])
    return out.getvalue()


def count_text(rows: list[dict[str, Any]]) -> str:
    """``6 irreps, 5 different``."""
    total = sum(row["multiplicity"] for row in rows)
    text = f"{total} irrep{'' if total == 1 else 's'}"
    return text if total == len(rows) else f"{text}, {len(rows)} different"


def sum_text(rows: list[dict[str, Any]]) -> str:
    """``27 ⊕ 10 ⊕ 10bar ⊕ 2·8 ⊕ 1``, the first eight terms."""
    terms = [
        f"{row['multiplicity']}·{row['irrep']}" if row["multiplicity"] > 1 else row["irrep"] for row in rows
    ]
    return " ⊕ ".join(terms[:8]) + (" ⊕ …" if len(terms) > 8 else "")


def waiting_text(found: Any) -> str:
    """What stands in place of an answer that is not there: the error, or that it is being worked out."""
    if isinstance(found, EqvizError):
        text = str(found)
        return text if text.endswith(".") else text + "."
    return "Working it out …"
