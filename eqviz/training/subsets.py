"""Which jets a run sees: a data set, how many of each split, and whether as constituents or as images."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eqviz import data
from eqviz.data.labelled import LabelledSet
from eqviz.errors import ConfigError, DataError
from eqviz.evaluation.environment import fingerprint
from eqviz.evaluation.settings import check_types
from eqviz.models.base import require


@dataclass(frozen=True)
class DataConfig:
    """Which jets: a registered data set or a path, and how many of each split (None: all).

    Without training only test jets are read, and n_train and n_val are recorded as 0.

    The subsets are those of ``seed``, larger ones contain smaller ones: 1 % of the training jets are among
    the 5 % of the same seed. ``fingerprint``, where given, must match, so that a repeated run cannot silently
    see other jets.

    Attributes:
        name: of the data set, or a path.
        n_train, n_val, n_test: jets of each split.
        seed: of the subsets.
        fingerprint: of all jets that the run sees.
        images: the detector images of these jets (:func:`eqviz.data.load_images`), not their constituents.
        train_fraction: the part of the training jets to train on; with it ``n_train`` is left out, or is the
            number that follows.
        train_pool: how many training jets ``train_fraction`` is a part of (None: all).
    """

    name: str = "top_sample"
    n_train: int | None = None
    n_val: int | None = None
    n_test: int | None = None
    seed: int = 0
    fingerprint: str | None = None
    images: bool = False
    train_fraction: float | None = None
    train_pool: int | None = None

    def __post_init__(self) -> None:
        check_types(self, "data")
        fraction = self.train_fraction
        part = fraction is None or 0 < fraction <= 1
        require(part, "data.train_fraction", "larger than 0 and at most 1", fraction)
        meant = fraction is not None or self.train_pool is None
        require(meant, "data.train_pool", "given together with data.train_fraction", self.train_pool)


@dataclass(frozen=True, eq=False)
class Subsets:
    """The sets of a run by split, and the rows (n,) of the test jets in their split."""

    sets: dict[str, LabelledSet[Any]]
    test_rows: NDArray[np.int64]

    def describe(self, config: DataConfig) -> dict[str, Any]:
        """What config.json says of them: sizes and joint fingerprint.

        Raises:
            DataError: the fingerprint is not the expected one.
        """
        prints = "".join(fingerprint(part) for part in self.sets.values())
        joint = hashlib.sha256(prints.encode()).hexdigest()
        if config.fingerprint not in (None, joint):
            raise DataError(
                f"expected jets with the fingerprint {config.fingerprint}, got {joint}: the data set has "
                "changed since; get the original one, or leave data.fingerprint out"
            )
        sizes = {f"n_{split}": len(self.sets.get(split, ())) for split in data.SPLITS}
        return {**sizes, "fingerprint": joint}


def load_subsets(config: DataConfig, trains: bool) -> Subsets:
    """The subsets of all splits that are needed.

    Raises:
        ConfigError: more jets than there are, or a fraction of so few that a class is missing.
        DataError, UnknownNameError: no such data.
    """
    sets: dict[str, LabelledSet[Any]] = {}
    rows = np.zeros(0, dtype=np.int64)
    load: Any = data.load_images if config.images else data.load
    for split in data.SPLITS if trains else ("test",):
        jets = load(config.name, split)
        n = _wanted(config, split, jets)
        rows = np.arange(n) if n == len(jets) else jets.stratified_order(config.seed)[:n]
        sets[split] = jets if n == len(jets) else jets.select(rows)
    return Subsets(sets, rows)


def _wanted(config: DataConfig, split: str, jets: LabelledSet[Any]) -> int:
    if split == "train" and config.train_fraction is not None:
        return _fraction(config, config.train_fraction, jets)
    wanted = getattr(config, f"n_{split}")
    n = len(jets) if wanted is None else wanted
    _check_size(f"n_{split}", n, config, jets)
    return n


def _fraction(config: DataConfig, fraction: float, jets: LabelledSet[Any]) -> int:
    pool = len(jets) if config.train_pool is None else config.train_pool
    _check_size("train_pool", pool, config, jets)
    n = round(fraction * pool)
    if config.n_train not in (None, n):
        raise ConfigError(
            f"expected data.n_train to be left out or {n}, which is {fraction:g} of {pool:,} jets, "
            f"got {config.n_train}"
        )
    order = jets.labels[jets.stratified_order(config.seed)]
    first = {int(value): int(np.flatnonzero(order == value)[0]) + 1 for value in np.unique(order)}
    missing = [jets.class_names[value] for value, least in first.items() if least > n]
    if missing:
        raise ConfigError(
            "expected data.train_fraction to leave training jets of every class, "
            f"got {fraction:g} of {pool:,}, which is {n} without any of {', '.join(missing)}; "
            f"take {max(first.values()) / pool:.2g} or more"
        )
    return n


def _check_size(name: str, n: int, config: DataConfig, jets: LabelledSet[Any]) -> None:
    if not 1 <= n <= len(jets):
        raise ConfigError(f"expected data.{name} of 1 to {len(jets)} for {config.name}, got {n}")
