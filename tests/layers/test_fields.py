"""Fields on the plane: group laws of every kind, what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from eqviz.errors import ConfigError
from eqviz.layers.fields import FieldKind, FieldType, planar_group

KINDS = [
    ("C8", "regular"),
    ("D4", "regular"),
    ("SO(2)", "irrep 2"),
    ("SO(2)", "regular 3"),
    ("SO(2)", "quotient 4"),
    ("O(2)", "irrep 1,0"),
    ("O(2)", "regular 3"),
    ("O(2)", "quotient 2"),
]


@pytest.mark.parametrize(("group", "name"), KINDS)
def test_reader_is_orthonormal_and_the_law_permutes_samples_under_quarter_turns(group, name):
    kind, planar = FieldKind(group, name), planar_group(group)
    reader = kind.reader
    np.testing.assert_allclose(reader @ reader.T, np.eye(len(reader)), atol=1e-12)
    quarter = planar.rotation(np.pi / 2)
    there_and_back = kind.law(quarter) @ kind.law(quarter.inverse())
    np.testing.assert_allclose(there_and_back, np.eye(len(reader)), atol=1e-12)
    if name.startswith("irrep"):
        return
    # a ReLU of samples is equivariant exactly where the group permutes them
    elements = [quarter, *([planar.discrete("f")] if group[0] in "DO" else [])]
    samples = np.random.default_rng(0).normal(size=len(reader)) @ reader
    for element in elements:
        moved = reader.T @ kind.law(element) @ reader @ samples
        np.testing.assert_allclose(np.sort(moved), np.sort(samples), atol=1e-12)
        rectified = reader @ np.maximum(moved, 0)
        np.testing.assert_allclose(rectified, kind.law(element) @ reader @ np.maximum(samples, 0), atol=1e-12)


def test_regular_fields_of_o2_are_functions_on_the_group():
    kind = FieldKind("O(2)", "regular 2")
    assert kind.law.dimension == 2 * 5
    group, rng = planar_group("O(2)"), np.random.default_rng(1)
    angle, other = rng.uniform(0, 6, size=2)
    g, h = group.rotation(angle) * group.discrete("f"), group.rotation(other)
    np.testing.assert_allclose(kind.law(g * h), kind.law(g) @ kind.law(h), atol=1e-12)


def test_stacks_count_and_describe_themselves():
    stack = FieldType(((FieldKind("D4", "trivial"), 2), (FieldKind("D4", "regular"), 3)))
    assert (stack.channels, stack.n_fields, stack.group) == (26, 5, "D4")
    assert str(stack) == "2 trivial + 3 regular of D4"
    assert [at for _, _, at in stack.slices()] == [slice(0, 2), slice(2, 26)]


@pytest.mark.parametrize(
    ("group", "name", "message"),
    [
        ("S3", "trivial", "planar group such as 'C4'"),
        ("C4", "regular 2", "field of C4: 'trivial', regular, got"),
        ("SO(2)", "regular", "irrep k, regular L or quotient L"),
        ("SO(2)", "irrep x", "got 'irrep x'"),
        ("O(2)", "irrep 2", "irrep label"),
    ],
)
def test_unknown_fields_are_refused(group, name, message):
    with pytest.raises(ConfigError, match=message):
        _ = FieldKind(group, name).channels
