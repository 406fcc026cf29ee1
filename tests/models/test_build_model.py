"""Names and values of parameters."""

from __future__ import annotations

import dataclasses
from typing import Literal

import pytest

from eqviz.errors import ConfigError, UnknownNameError
from eqviz.models import MODELS, build_model, n_parameters
from eqviz.models.base import checked_value


def test_unknown_models_list_the_known_ones():
    with pytest.raises(UnknownNameError, match=r"unknown model 'lorentnet'.*Did you mean 'lorentznet'"):
        build_model("lorentnet")


@pytest.mark.parametrize(
    ("value", "hint", "expected"),
    [
        (3, int, 3),
        (3, float, 3.0),
        ([1, 2], tuple[int, ...], (1, 2)),
        ((1, 2.0), tuple[int, float], (1, 2.0)),
        (None, float | None, None),
        (1, float | None, 1.0),
        ("batch", int | Literal["batch"] | None, "batch"),
        (True, bool, True),
    ],
)
def test_values_that_fit(value, hint, expected):
    result = checked_value("model.x", value, hint)
    assert result == expected
    assert type(result) is type(expected)


@pytest.mark.parametrize(
    ("value", "hint", "spelled"),
    [
        (True, int, "int"),
        (2.0, int, "int"),
        ("3", float, "float"),
        (1, bool, "bool"),
        ([1, "2"], tuple[int, ...], "tuple"),
        ((1,), tuple[int, int], "tuple"),
        ("best", Literal["a", "b"], "'a' or 'b'"),
        (None, int, "int"),
        ("x", int | Literal["batch"] | None, "int or 'batch' or None"),
    ],
)
def test_values_that_do_not_fit(value, hint, spelled):
    with pytest.raises(ConfigError, match=rf"expected model.x to be .*{spelled}.*got"):
        checked_value("model.x", value, hint)


@pytest.mark.parametrize(("name", "count"), [("lorentznet", 224_072), ("pfn", 82_458), ("d4cnn", 33_162)])
def test_parameter_counts_of_the_papers(name, count):
    assert n_parameters(build_model(name)) == count


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("lorentznet", {"n_blocks": 0}),
        ("lorentznet", {"hidden": 0}),
        ("lorentznet", {"n_scalars": 1}),
        ("lorentznet", {"clamp": 0.0}),
        ("lorentznet", {"pool_size": 0}),
        ("pfn", {"phi": []}),
        ("pfn", {"f": [10, -1]}),
        ("pfn", {"n_scalars": -1}),
        ("d4cnn", {"kernel_size": 4}),
        ("d4cnn", {"group": "D3"}),
        ("d4cnn", {"n_pixels": 1}),
        ("d4cnn", {"fields": []}),
    ],
)
def test_impossible_values(name, params):
    with pytest.raises(ConfigError, match=rf"expected {name}\.{next(iter(params))} to be"):
        build_model(name, **params)


def test_every_field_is_documented_and_has_a_default():
    for entry in MODELS:
        config = entry.factory.config_class
        documented = "".join(base.__doc__ or "" for base in config.__mro__)
        for field in dataclasses.fields(config):
            assert f"{field.name}:" in documented, f"{config.__name__}.{field.name} lacks a line"
            assert field.default is not dataclasses.MISSING
