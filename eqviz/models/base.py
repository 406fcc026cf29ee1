"""What every network has in common: a frozen config, a declared symmetry, logits from a JetBatch."""

from __future__ import annotations

import dataclasses
import types
from typing import Any, ClassVar, Literal, Union, get_args, get_origin, get_type_hints

import torch
from torch import Tensor, nn

from eqviz.data.jets import JetBatch
from eqviz.errors import ConfigError, UnknownNameError
from eqviz.registry import Registry


class JetModel(nn.Module):
    """A network that takes a ragged batch of jets and gives one row of logits per jet.

    Class attributes:
        name: the name in the registry.
        symmetry: the group under which the answer is invariant, ``"none"``, ``"S_n"``, ``"D4"``,
            ``"SO+(1,3)"`` ...
        exact: whether that invariance holds for any weights (up to rounding) or only approximately.
        config_class: the frozen dataclass of its parameters.
        original: a published implementation kept with its quirks (padding, clamps, rounding noise as input);
            it owes none of the promises that the other networks keep.

    Attributes:
        config: the parameters that this network was built with.
        stable: for networks of four-momenta: compute in a canonical frame, without cancellation.
    """

    name: ClassVar[str] = ""
    symmetry: ClassVar[str] = "none"
    exact: ClassVar[bool] = True
    config_class: ClassVar[type]
    original: ClassVar[bool] = False

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.config = config
        self.stable: bool = bool(getattr(config, "stable", False))

    def forward(self, batch: JetBatch) -> Tensor:
        """Logits (B, classes) in the dtype of the parameters; momenta arrive in float64."""
        raise NotImplementedError

    @property
    def dtype(self) -> torch.dtype:
        """The floating-point type of the parameters, and so of the arithmetic and the logits."""
        return next(self.parameters()).dtype


MODELS: Registry[type[JetModel]] = Registry("model")
register_model = MODELS.register


def build_model(name: str, **params: Any) -> JetModel:
    """The network called ``name``, freshly initialised.

    Args:
        name: a name in ``MODELS``.
        params: fields of its config dataclass; those left out take their defaults.

    Raises:
        UnknownNameError: no such model or no such parameter; lists the valid ones.
        ConfigError: a value of a wrong type or an impossible one.

    >>> n_parameters(build_model("lorentznet"))
    224072
    """
    model = MODELS.get(name)
    return model(make_config(model, params))


def make_config(model: type[JetModel], params: dict[str, Any]) -> Any:
    """The config of ``model`` with every name and type checked; lists become tuples."""
    config_class = model.config_class
    hints = get_type_hints(config_class)
    fields = {field.name for field in dataclasses.fields(config_class)}
    values = {}
    for key, value in params.items():
        if key not in fields:
            raise UnknownNameError(f"parameter of model {model.name!r}", key, fields)
        values[key] = checked_value(f"{model.name}.{key}", value, hints[key])
    return config_class(**values)


def checked_value(name: str, value: Any, hint: Any) -> Any:
    """``value`` as the type ``hint`` says, or a ConfigError.

    Knows int, float (takes an int), bool, str, None, Literal, unions and ``tuple[T, ...]`` (takes a list).
    """
    for option in _options(hint):
        accepted, result = _accept(value, option)
        if accepted:
            return result
    raise ConfigError(f"expected {name} to be {_spell(hint)}, got {value!r} ({type(value).__name__})")


def n_parameters(model: nn.Module) -> int:
    """The number of trainable numbers."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def require(condition: bool, name: str, expected: str, value: Any) -> None:
    """Raise a ConfigError unless ``condition``: the check that config dataclasses use."""
    if not condition:
        raise ConfigError(f"expected {name} to be {expected}, got {value!r}")


def _options(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def _accept(value: Any, hint: Any) -> tuple[bool, Any]:
    origin = get_origin(hint)
    if origin is Literal:
        return any(value == choice and type(value) is type(choice) for choice in get_args(hint)), value
    if origin is tuple:
        return _accept_tuple(value, get_args(hint))
    if hint in (None, type(None)):
        return value is None, value
    if hint is float:
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return is_number, float(value) if is_number else value
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool), value
    return isinstance(value, hint), value


def _accept_tuple(value: Any, arguments: tuple[Any, ...]) -> tuple[bool, Any]:
    if not isinstance(value, (list, tuple)):
        return False, value
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        arguments = (arguments[0],) * len(value)
    if len(arguments) != len(value):
        return False, value
    pairs = [_accept(item, hint) for item, hint in zip(value, arguments)]
    return all(accepted for accepted, _ in pairs), tuple(item for _, item in pairs)


def _spell(hint: Any) -> str:
    names = []
    for option in _options(hint):
        if get_origin(option) is Literal:
            names += [repr(choice) for choice in get_args(option)]
        elif option is type(None):
            names.append("None")
        else:
            names.append(getattr(option, "__name__", str(option)) if not get_origin(option) else str(option))
    return " or ".join(names)
