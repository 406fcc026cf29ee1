"""Data sets by name or by path."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from eqviz.data.dataset import JetDataset
from eqviz.data.labelled import LabelledSet
from eqviz.data.particle_ids import with_features
from eqviz.errors import ConfigError, DataError, UnknownNameError
from eqviz.registry import Registry

SPLITS = ("train", "val", "test")
SAMPLES = Path(__file__).parent / "samples"

S = TypeVar("S", bound=LabelledSet[Any])

DATASETS: Registry[Callable[[str], JetDataset]] = Registry("data set")


def load(name_or_path: str | Path, split: str) -> JetDataset:
    """Jets of one split: of a registered data set, a folder, or a single file.

    A folder holds ``{train,val,test}.parquet``, or one ``*_train.parquet`` and so on. A single file whose
    name ends in the split is taken whole. Any other file is cut into disjoint parts of 60, 20 and 20 %,
    always the same, with the classes' proportions kept. Particle codes become features that a network can
    take (``eqviz.data.particle_ids``).

    Args:
        name_or_path: a name of :data:`DATASETS` or a path.
        split: "train", "val" or "test".

    Raises:
        UnknownNameError: no such name, and no such path either.
        DataError: the split is missing or its file is damaged.
        DownloadError: a public data set that has not been fetched.
    """
    return find(name_or_path, split, DATASETS, lambda path: with_features(JetDataset.from_parquet(path)))


def find(
    name_or_path: str | Path, split: str, known: Registry[Callable[[str], S]], read: Callable[[Path], S]
) -> S:
    """One split by a name that ``known`` has, or of a folder or file that ``read`` reads, as :func:`load`."""
    if split not in SPLITS:
        raise ConfigError(f"expected a split of {', '.join(SPLITS)}, got {split!r}")
    if (name := str(name_or_path)) in known:
        return known.get(name)(split)
    path = Path(name_or_path).expanduser()
    if path.is_dir():
        return read(_in_folder(path, split))
    if path.is_file():
        return _part(read, path, split)
    if path.suffix or len(path.parts) > 1:
        raise DataError(f"expected a folder or a Parquet file of the {known.kind}, found nothing at {path}")
    raise UnknownNameError(known.kind, name, known.names())


def _in_folder(folder: Path, split: str) -> Path:
    if (exact := folder / f"{split}.parquet").is_file():
        return exact
    found = sorted(folder.glob(f"*_{split}.parquet"))
    if len(found) != 1:
        raise DataError(
            f"expected {split}.parquet, or one *_{split}.parquet, in {folder}, "
            f"got {[file.name for file in found] or 'none'}"
        )
    return found[0]


def _part(read: Callable[[Path], S], path: Path, split: str) -> S:
    named = path.stem.rpartition("_")[2]
    if named in SPLITS and named != split:
        raise DataError(f"expected the split {split!r}, but {path} holds {named!r}; give its folder instead")
    data = read(path)
    if named == split:
        return data
    n = len(data)
    train, val = round(0.6 * n), round(0.8 * n)
    parts = {"train": slice(0, train), "val": slice(train, val), "test": slice(val, n)}
    return data.select(data.stratified_order(seed=0)[parts[split]])


@DATASETS.register(
    "top_sample",
    summary="top against QCD jets made with Pythia 8 and a detector emulation; ships with eqviz",
    reference="the recipe of 1902.09914, section 2",
)
def top_sample(split: str) -> JetDataset:
    """The shipped sample: hadronic tops (1) against QCD jets (0), pT 550 to 650 GeV, anti-kT 0.8."""
    return JetDataset.from_parquet(SAMPLES / f"top_{split}.parquet")


@DATASETS.register(
    "qg_sample",
    summary="quark against gluon jets (Z + jet, particle ids), and their images; ships with eqviz",
    reference="the recipe of 1810.05165, section 5",
)
def qg_sample(split: str) -> JetDataset:
    """The shipped sample: quark (1) against gluon jets (0), pT 500 to 550 GeV, anti-kT 0.4, particle level.

    Scalars are ``particle_ids.FEATURES``; ``load_images("qg_sample", split)`` gives the same jets' images.
    """
    return with_features(JetDataset.from_parquet(SAMPLES / f"qg_{split}.parquet"))


@DATASETS.register(
    "top_images",
    summary="top against QCD jets of which images ship, too; for comparisons on the same jets",
    reference="the recipe of 1902.09914, section 2",
)
def top_images(split: str) -> JetDataset:
    """Top (1) against QCD jets (0) as in top_sample, and ``load_images("top_images", split)`` of the same."""
    return JetDataset.from_parquet(SAMPLES / f"topimg_{split}.parquet")
