from __future__ import annotations

import numpy as np
import pytest

from eqviz.errors import ConfigError
from eqviz.groups import lorentz, su, su2
from eqviz.groups.describe import brackets, product_matrix, product_table


def test_brackets():
    rows = {row["bracket"]: row["value"] for row in brackets(lorentz())}
    assert rows["[Jx, Jy]"] == "1 Jz" and rows["[Kx, Ky]"] == "- 1 Jz"
    assert "[Jx, Kx]" not in rows and len(brackets(su2())) == 3


def test_products():
    octet = su(3).irrep("8")
    rows = product_table(octet, octet)
    assert [(row["irrep"], row["multiplicity"]) for row in rows][-2:] == [("8", 2), ("1", 1)]
    assert sum(row["states"] for row in rows) == 64
    matrix, blocks = product_matrix(octet, octet)
    assert [width for _, width in blocks] == [27, 10, 10, 8, 8, 1]
    assert np.allclose(matrix.T @ matrix, np.eye(64), atol=1e-12)
    with pytest.raises(ConfigError, match="1200"):
        product_matrix(su(3).irrep("64"), su(3).irrep("27"))
