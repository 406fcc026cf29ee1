"""The top-tagging reference set (1902.09914; Zenodo 2603256, CC-BY-4.0), from HDF5 to ragged Parquet.

Two layouts are read, told apart by themselves: the published pandas table (columns ``E_i, PX_i, PY_i,
PZ_i``, ``truthE`` ..., ``is_signal_new``) and the converted arrays (``Pmu``, ``Nobj``, ``is_signal``,
``truth_Pmu``). The stored energies are float32, so a constituent's m^2 is rounding noise: constituents are
kept massless, E = |p| in float64, and the zero padding is dropped.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from eqviz.data.atomic import require_space
from eqviz.data.catalogue import DATASETS, SPLITS
from eqviz.data.dataset import JetDataset
from eqviz.data.fetch import PUBLIC, RemoteFile, cache_folder, download
from eqviz.data.frames import Frame, open_hdf5, read_rows
from eqviz.data.jets import JetBatch
from eqviz.data.storage import read_header, read_parquet, write_parquet
from eqviz.errors import DataError, DownloadError

RECORD = "https://zenodo.org/records/2603256"
# md5 sums and sizes as Zenodo lists them
FILES = {
    "train": RemoteFile(
        f"{RECORD}/files/train.h5", "45663819f47c13724f67eb0fd80bfa5c", 1_038_496_555, RECORD
    ),
    "val": RemoteFile(f"{RECORD}/files/val.h5", "dca4b7248027618f041f9baa86d360fc", 347_378_076, RECORD),
    "test": RemoteFile(f"{RECORD}/files/test.h5", "13163479dee30a5fe546e4536cc3d04d", 347_849_376, RECORD),
}
META = {"class_names": ["QCD", "top"], "source": "10.5281/zenodo.2603256", "licence": "CC-BY-4.0"}
CHUNK = 20_000  # rows of 804 float32: 64 MB
MASSLESS = 0.01  # float32 noise is 1e-7; a larger |E - |p|| / E means other columns or other particles


class Source(Protocol):
    """An open file: its number of jets, and some of them as padded arrays."""

    def __enter__(self) -> Source: ...

    def __exit__(self, *_: object) -> None: ...

    def __len__(self) -> int: ...

    def read(self, start: int, stop: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Momenta (n, N, 4) as (E, px, py, pz), label (n,), true momentum (n, 4)."""


class PublishedFile:
    """The pandas table as published."""

    def __init__(self, path: str | Path) -> None:
        self._frame = Frame(path, "table")
        slots = sum(name.startswith("E_") for name in self._frame.columns) or 200
        self._momenta = [f"{c}_{i}" for i in range(slots) for c in ("E", "PX", "PY", "PZ")]
        self._truth = ["truthE", "truthPX", "truthPY", "truthPZ"]
        try:
            self._frame.require([*self._momenta, *self._truth, "is_signal_new"])
        except DataError:
            self.__exit__()
            raise

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *_: object) -> None:
        self._frame.__exit__(None, None, None)

    def __len__(self) -> int:
        return len(self._frame)

    def read(self, start: int, stop: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        rows = self._frame.read(start, stop)
        momenta = self._frame.take(rows, self._momenta).reshape(len(rows), -1, 4)
        return momenta, self._frame.take(rows, ["is_signal_new"])[:, 0], self._frame.take(rows, self._truth)


class ConvertedFile:
    """The arrays Pmu (n, N, 4), Nobj (n,), is_signal (n,) and truth_Pmu (n, 4)."""

    def __init__(self, path: str | Path) -> None:
        self._file = open_hdf5(path)
        shapes = {name: self._file[name].shape for name in _CONVERTED if name in self._file}
        n = next(iter(shapes.values()))[0] if shapes else 0
        slots = shapes.get("Pmu", (n, 0, 4))[1:2]
        expected = {"Pmu": (n, *slots, 4), "Nobj": (n,), "is_signal": (n,), "truth_Pmu": (n, 4)}
        if shapes != expected:
            self._file.close()
            raise DataError(f"expected arrays of shapes {expected} in {path}, got {shapes}")

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __len__(self) -> int:
        return int(self._file["Nobj"].shape[0])

    def read(self, start: int, stop: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        momenta, counts, label, truth = (read_rows(self._file[name], start, stop) for name in _CONVERTED)
        beyond = np.arange(momenta.shape[1]) >= counts[:, None]
        return np.where(beyond[:, :, None], 0, momenta), label, truth


_CONVERTED = ("Pmu", "Nobj", "is_signal", "truth_Pmu")


def open_source(path: str | Path) -> Source:
    """Open a file of either layout.

    Raises:
        DataError: no such file, truncated, not HDF5, or of neither layout.
    """
    with open_hdf5(path) as file:
        keys = set(file)
    if "Pmu" in keys:
        return ConvertedFile(path)
    if "table" in keys:
        return PublishedFile(path)
    raise DataError(
        f"expected the key 'table' (the published file) or {', '.join(_CONVERTED)} (the converted one) "
        f"in {path}, got {sorted(keys)}"
    )


def iterate(path: str | Path, chunk: int = CHUNK, start: int = 0) -> Iterator[JetBatch]:
    """Jets of a file of either layout, ``chunk`` rows at a time, from row ``start`` on."""
    with open_source(path) as source:
        for first in range(start, len(source), chunk):
            momenta, label, truth = source.read(first, min(first + chunk, len(source)))
            yield _ragged(momenta, label, truth, f"{path}, rows from {first}")


def convert(source: str | Path, target: str | Path, *, progress: bool = True, chunk: int = CHUNK) -> Path:
    """Convert one file to Parquet; killed and called again, it goes on where it stopped.

    Finished chunks wait in a hidden folder beside ``target``, which appears only when it is whole.
    A target that was made from the same source is left as it is.

    Raises:
        DataError: the source is wrong or damaged, or the target exists and was made from something else.
        StoreError: full disk or unwritable folder.
    """
    source, target = Path(source), Path(target)
    with open_source(source) as file:
        n_jets = len(file)
    origin: dict[str, Any] = {"file": source.name, "bytes": source.stat().st_size, "jets": n_jets}
    if target.exists():
        if read_header(target).meta.get("origin") != origin:
            raise DataError(f"{target} exists and was not made from {source}; move it or name another target")
        return target
    # chunks and joined file, each at most as large as the compressed source
    require_space(target.parent, 2 * origin["bytes"], f"converting {source.name}")
    folder = target.with_name(f".{target.name}.parts")
    parts = [folder / f"{start:09d}.parquet" for start in range(0, n_jets, chunk)]
    stamp = {**origin, "chunk": chunk}
    with tqdm(total=n_jets, unit=" jets", desc=source.name, disable=not progress) as bar:
        done = 0
        while done < len(parts) and _made_from(parts[done], stamp):
            done += 1
        bar.update(min(done * chunk, n_jets))
        for part, batch in zip(parts[done:], iterate(source, chunk, start=done * chunk)):
            write_parquet(part, [batch], meta=stamp)
            bar.update(len(batch))
    batches = (read_parquet(part)[0] for part in parts) if parts else [JetBatch.from_arrays([], labels=[])]
    write_parquet(target, batches, name="toptag", meta={**META, "origin": origin})
    _remove(folder)
    return target


def fetch_toptag(*, progress: bool = True, folder: str | Path | None = None) -> Path:
    """Download the three files, check them, and convert them; returns the folder of Parquet files."""
    place = cache_folder() / "toptag" if folder is None else Path(folder)
    for split in SPLITS:
        if not (target := place / f"{split}.parquet").is_file():
            convert(download(FILES[split], place, progress=progress), target, progress=progress)
    return place


PUBLIC.register(
    "toptag",
    summary="top-tagging reference set: 1.2M/0.4M/0.4M jets, 1.7 GB to download, CC-BY-4.0",
    reference="1902.09914",
)(fetch_toptag)


@DATASETS.register(
    "toptag",
    summary="top-tagging reference set, once `eqviz data fetch toptag` has run",
    reference="1902.09914",
)
def load_toptag(split: str) -> JetDataset:
    """One split of the reference set from the cache folder."""
    path = cache_folder() / "toptag" / f"{split}.parquet"
    if not path.is_file():
        raise DownloadError(
            f"expected the top-tagging reference set in {path.parent}, found no {path.name}; "
            "run `eqviz data fetch toptag` (1.7 GB), or set EQVIZ_CACHE to the folder that holds toptag/"
        )
    return JetDataset.from_parquet(path)


def _ragged(momenta: NDArray[Any], label: NDArray[Any], truth: NDArray[Any], where: str) -> JetBatch:
    present = (momenta[:, :, 1:] != 0).any(axis=2)
    flat = momenta[present].astype(np.float64)
    energy = np.sqrt(np.sum(flat[:, 1:] ** 2, axis=1))
    stored = flat[:, 0].copy()
    jet = np.nonzero(present)[0]
    for bad, expected in (
        (~np.isfinite(flat).all(axis=1), "finite momenta"),
        (stored < 0, "energies of 0 or more"),
        (np.abs(stored - energy) > MASSLESS * energy, "massless constituents, E = |p|"),
    ):
        if bad.any():
            row = int(np.argmax(bad))
            raise DataError(
                f"expected {expected}, got (E, px, py, pz) = {flat[row].tolist()} GeV in jet {jet[row]} of "
                f"{where} ({int(bad.sum())} such constituents)"
            )
    if not np.isin(label, (0, 1)).all():
        raise DataError(f"expected labels 0 (QCD) and 1 (top), got {np.unique(label)[:5]} in {where}")
    if not np.isfinite(truth).all():
        raise DataError(f"expected finite true momenta, got NaN or infinity in {where}")
    flat[:, 0] = energy
    offsets = np.concatenate([[0], np.cumsum(present.sum(axis=1))]).astype(np.int64)
    return JetBatch(
        p4=torch.from_numpy(flat),
        offsets=torch.from_numpy(offsets),
        scalars=torch.zeros(len(flat), 0, dtype=torch.float64),
        label=torch.from_numpy(label.astype(np.int64)),
        target=torch.from_numpy(truth.astype(np.float64)),
    )


def _made_from(part: Path, stamp: dict[str, Any]) -> bool:
    try:
        return read_header(part).meta == stamp
    except DataError:
        return False


def _remove(folder: Path) -> None:
    """Delete finished chunks, and what a killed process left of an unfinished one."""
    if folder.is_dir():
        for part in (*folder.glob("*.parquet"), *folder.glob(".*.parquet.*.part")):
            part.unlink()
        folder.rmdir()
