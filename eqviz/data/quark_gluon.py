"""The quark/gluon jets of EnergyFlow (1810.05165; Zenodo 3164691): NumPy files, without unpickling.

``X`` (n, M, 4) holds (pT [GeV], rapidity, azimuth, PDG id) of each particle, zero-padded; ``y`` is 0 for
gluons and 1 for quarks. The particles' masses follow from their ids.
"""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from eqviz.data.dataset import JetDataset
from eqviz.data.jets import JetBatch
from eqviz.data.particle_ids import masses
from eqviz.errors import DataError

_DAMAGED = (OSError, EOFError, ValueError, TypeError, AttributeError, zipfile.BadZipFile, zlib.error)
META = {
    "class_names": ["gluon", "quark"],
    "scalar_names": ["pdg"],
    "source": "10.5281/zenodo.3164691",
}


def read(path: str | Path, n_jets: int | None = None) -> JetDataset:
    """The jets of one file (or its first ``n_jets``), the PDG ids as scalars.

    ``eqviz.data.particle_ids.with_features`` turns the ids into what a network takes; ``eqviz.data.load``
    does so by itself for a converted file.

    Raises:
        DataError: no such file, truncated, pickled objects in it, arrays missing or of other shapes, NaN,
            negative pT, ids of unstable particles, labels other than 0 and 1.
    """
    x, y = _arrays(Path(path))
    try:
        batch = _batch(x[:n_jets], y[:n_jets])
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    return JetDataset(batch, Path(path).stem, META)


def convert(source: str | Path, target: str | Path) -> Path:
    """Write the jets of one file as Parquet; raises DataError and StoreError."""
    read(source).to_parquet(target)
    return Path(target)


def _arrays(path: Path) -> tuple[NDArray[Any], NDArray[Any]]:
    if not path.is_file():
        raise DataError(f"expected a .npz file with the arrays X and y, found no file at {path}")
    try:
        # Opened here: np.load forgets to close a damaged file.
        with path.open("rb") as handle, np.load(handle, allow_pickle=False) as stored:
            names = list(stored.files) if hasattr(stored, "files") else []
            arrays = [stored[name] for name in ("X", "y") if name in names]
    except _DAMAGED as error:
        raise DataError(
            f"{path} is not a whole .npz file of plain numbers ({error}); it may be truncated: fetch it again"
        ) from error
    if len(arrays) < 2:
        raise DataError(f"expected the arrays X and y in {path}, got {names}")
    return arrays[0], arrays[1]


def _batch(x: NDArray[Any], y: NDArray[Any]) -> JetBatch:
    if x.ndim != 3 or x.shape[2] != 4 or y.shape != x.shape[:1] or x.dtype.kind != "f":
        raise DataError(
            f"expected X of shape (n, M, 4) as (pT, rapidity, phi, PDG id) and y of shape (n,), got "
            f"{x.shape} of {x.dtype} and {y.shape}"
        )
    if not np.isin(y, (0, 1)).all():
        raise DataError(f"expected labels 0 (gluon) and 1 (quark), got {np.unique(y)[:5].tolist()}")
    if not np.isfinite(x).all() or (x[:, :, 0] < 0).any():
        raise DataError("expected finite particles with pT of 0 or more, got NaN, infinity or negative pT")
    present = x[:, :, 0] > 0
    pt, rapidity, phi, pdg = x[present].astype(np.float64).T
    mass = masses(pdg)
    transverse = np.hypot(pt, mass)
    momentum = [pt * np.cos(phi), pt * np.sin(phi), transverse * np.sinh(rapidity)]
    # From the momenta, not m_T cosh y: the file stores momenta, so that both ways give the same bits.
    energy = np.sqrt(sum(component**2 for component in momentum) + mass**2)
    return JetBatch(
        p4=torch.from_numpy(np.column_stack([energy, *momentum])),
        offsets=torch.from_numpy(np.concatenate([[0], np.cumsum(present.sum(axis=1))]).astype(np.int64)),
        scalars=torch.from_numpy(pdg[:, None].copy()),
        label=torch.from_numpy(y.astype(np.int64)),
    )
