"""Settings as frozen dataclasses: read from mappings, every name and type checked."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, get_origin, get_type_hints

from eqviz.errors import ConfigError, UnknownNameError
from eqviz.models.base import checked_value, require

T = TypeVar("T")


@dataclass(frozen=True)
class EvalConfig:
    """What is measured on a trained network, and how finely.

    Attributes:
        n_bootstrap: resamples for the errors of the metrics.
        n_jets: jets in the invariance scans, the same for all networks on a data set.
        gammas: Lorentz factors of the boosts; empty leaves them out.
        axes: directions of the boosts.
        references: reference vectors that move along with the jets, or stay fixed in the lab (boosts along
            z and x, in the network's own arithmetic).
        dtypes: arithmetic of the networks in the scans.
        variants: "stable" and "naive" arithmetic, for networks that were built with the stable one; others
            have but one. A published network with its own arithmetic is scanned in that alone.
        angles: rotations about the beam and about random axes, in radians; empty leaves them out.
        plane_angles: turns of all test jets in the (eta, phi) plane, in degrees (deposits or
            constituents are turned before pixels are made); empty leaves them out.
        permutations: how many random orders of the constituents.
        batch_size: jets per forward pass.
        timing_jets: jets in the batch that is timed; 0 leaves it out.
        timing_repeats: forward passes that are timed.
    """

    n_bootstrap: int = 200
    n_jets: int = 100
    gammas: tuple[float, ...] = (1.0, 2.0, 10.0, 100.0, 1000.0, 10000.0)
    axes: tuple[Literal["x", "y", "z", "random"], ...] = ("z", "x", "random")
    references: tuple[Literal["moved", "fixed"], ...] = ("moved", "fixed")
    dtypes: tuple[Literal["float32", "float64"], ...] = ("float32",)
    variants: tuple[Literal["stable", "naive"], ...] = ("stable", "naive")
    angles: tuple[float, ...] = (0.1, 0.5, 1.0, 2.0, 3.0)
    plane_angles: tuple[float, ...] = ()
    permutations: int = 3
    batch_size: int = 256
    timing_jets: int = 32
    timing_repeats: int = 5

    def __post_init__(self) -> None:
        check_types(self, "evaluation")
        for name in ("n_bootstrap", "permutations", "timing_jets"):
            require(getattr(self, name) >= 0, f"evaluation.{name}", "0 or larger", getattr(self, name))
        for name in ("n_jets", "batch_size", "timing_repeats"):
            require(getattr(self, name) >= 1, f"evaluation.{name}", "1 or larger", getattr(self, name))
        factors = all(math.isfinite(gamma) and gamma >= 1 for gamma in self.gammas)
        require(factors, "evaluation.gammas", "Lorentz factors of 1 or larger", self.gammas)
        finite = all(math.isfinite(angle) for angle in self.plane_angles)
        require(finite, "evaluation.plane_angles", "finite angles in degrees", self.plane_angles)
        for name in ("axes", "references", "dtypes", "variants"):
            chosen = getattr(self, name)
            require(len(chosen) > 0, f"evaluation.{name}", "one or more", chosen)


def check_types(config: Any, where: str) -> None:
    """Check the fields of a frozen dataclass against its annotations; integers become floats where asked."""
    for name, hint in get_type_hints(type(config)).items():
        kind = dict if get_origin(hint) is dict else hint
        value = checked_value(f"{where}.{name}", getattr(config, name), kind)
        object.__setattr__(config, name, value)


def from_mapping(kind: type[T], values: Mapping[str, Any], where: str) -> T:
    """``kind(**values)``; unknown names list the valid ones.

    Raises:
        UnknownNameError: a name that ``kind`` does not have.
        ConfigError: not a mapping, or missing or impossible values.
    """
    if not isinstance(values, Mapping):
        raise ConfigError(f"expected {where} to be a mapping of names to values, got {values!r}")
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    for name in values:
        if name not in fields:
            raise UnknownNameError(f"parameter of {where}", str(name), fields)
    missing = [
        name
        for name, field in fields.items()
        if field.default is field.default_factory is dataclasses.MISSING and name not in values
    ]
    if missing:
        raise ConfigError(f"expected {where} to give {', '.join(missing)}, got {sorted(values)}")
    return kind(**values)
