"""Jets from Pythia 8 and FastJet in one Parquet file: top quarks against QCD, as in the reference set.

The work is cut into chunks. Each has its own seed, derived from (seed, process, chunk), and its own Pythia,
and is written whole beside the output; so any number of processes gives the same file, and so does a run
that was killed and started again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from shutil import rmtree
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from eqviz.data.detector_config import DetectorConfig
from eqviz.data.generate_chunks import make_chunks, read_chunk
from eqviz.data.generate_events import LABELS, Jets, Recipe, import_generator
from eqviz.data.jets import JetBatch
from eqviz.data.storage import read_header, write_parquet
from eqviz.errors import ConfigError, DataError, StoreError

__all__ = ["DetectorConfig", "Plan", "Recipe", "generate"]

CLASS_NAMES = ["QCD", "top"]
_CHUNKS_PER_ROW_GROUP = 16
_SHUFFLE_STREAM = 2**31  # keeps the shuffles' seeds apart from those of the chunks


class ChunkKey(NamedTuple):
    """One unit of work: ``n_jets`` jets of ``process``, made with the seed (seed, label, number)."""

    process: str
    number: int
    n_jets: int


@dataclass(frozen=True)
class Plan:
    """Everything that decides the contents of a file, and nothing else.

    Attributes:
        n_jets: in all.
        signal: share of top jets, 0 to 1.
        seed: 0 or more.
        chunk_size: jets per chunk.
        mantissa_bits: of the stored float32 momenta, 8 to 23; 23 keeps them as they are, fewer compress
            better (15 bits: 1.5e-5 relative).
    """

    n_jets: int
    signal: float = 0.5
    seed: int = 1
    chunk_size: int = 500
    mantissa_bits: int = 23
    recipe: Recipe = field(default_factory=Recipe)
    detector: DetectorConfig = field(default_factory=DetectorConfig)

    def __post_init__(self) -> None:
        for name, low, high in (
            ("n_jets", 1, 10**9),
            ("signal", 0, 1),
            ("seed", 0, 2**63 - 1),
            ("chunk_size", 1, 10**6),
            ("mantissa_bits", 8, 23),
        ):
            value = getattr(self, name)
            number = float if name == "signal" else int
            if isinstance(value, bool) or not isinstance(value, (int, number)) or not low <= value <= high:
                raise ConfigError(f"expected {name} as {number.__name__} from {low} to {high}, got {value!r}")

    def chunks(self) -> list[ChunkKey]:
        """All chunks in the order in which they are stored: both processes advance alike."""
        n_signal = round(self.n_jets * self.signal)
        keys = []
        for process, n_jets in (("qcd", self.n_jets - n_signal), ("top", n_signal)):
            starts = range(0, n_jets, self.chunk_size)
            for number, start in enumerate(starts):
                key = ChunkKey(process, number, min(self.chunk_size, n_jets - start))
                keys.append(((number + 0.5) / len(starts), key))
        return [key for _, key in sorted(keys)]

    def meta(self, name: str) -> dict[str, Any]:
        """What the file says of itself: call, seed, cuts, detector, versions."""
        arguments = f"n_jets={self.n_jets}, signal={self.signal}, seed={self.seed}"
        arguments += f", chunk_size={self.chunk_size}, mantissa_bits={self.mantissa_bits}"
        text = json.dumps(
            {
                "command": f"eqviz.data.pythia.generate({name!r}, {arguments})",
                "class_names": CLASS_NAMES,
                **asdict(self),
                "versions": {package: _version(package) for package in ("pythia8mc", "fastjet", "numpy")},
            }
        )
        return json.loads(text)  # as it will be read back: lists, not tuples


def generate(
    out: str | Path,
    *,
    n_jets: int,
    signal: float = 0.5,
    seed: int = 1,
    processes: int = 1,
    chunk_size: int = 500,
    mantissa_bits: int = 23,
    recipe: Recipe | None = None,
    detector: DetectorConfig | None = None,
    resume: bool = True,
    overwrite: bool = False,
    progress: bool = True,
) -> Path:
    """Make jets and write them to the Parquet file ``out``.

    A run that was stopped goes on where it was: chunks wait in the folder ``<out>.parts``, which is removed
    at the end. Called again with the same arguments after the end, it returns at once.

    Args:
        n_jets, signal, seed, chunk_size, mantissa_bits, recipe, detector: see :class:`Plan`.
        processes: how many work at once; more than one needs ``if __name__ == "__main__":`` in a script.
        resume: False throws finished chunks away and starts from nothing.
        overwrite: replace a file ``out`` that was made with other arguments.
        progress: show a progress bar.

    Returns:
        The path of the file.

    Raises:
        GeneratorError: Pythia or FastJet is missing or fails.
        ConfigError: impossible arguments, or chunks of another run in the way.
        StoreError: full disk, unwritable folder, or another file in the way.
    """
    if isinstance(processes, bool) or not isinstance(processes, int) or processes < 1:
        raise ConfigError(f"expected processes of 1 or more, got {processes!r}")
    plan = Plan(
        n_jets=n_jets,
        signal=signal,
        seed=seed,
        chunk_size=chunk_size,
        mantissa_bits=mantissa_bits,
        recipe=recipe or Recipe(),
        detector=detector or DetectorConfig(),
    )
    path = Path(out)
    import_generator()  # say at once that it is missing
    meta, folder = plan.meta(path.name), path.with_name(path.name + ".parts")
    if _finished(path, meta, overwrite):
        rmtree(folder, ignore_errors=True)
        return path
    if not resume:
        rmtree(folder, ignore_errors=True)
    make_chunks(plan, folder, meta, processes, progress)
    write_parquet(path, _row_groups(plan, folder), name=path.stem, meta=meta)
    rmtree(folder, ignore_errors=True)
    return path


def _finished(path: Path, meta: dict[str, Any], overwrite: bool) -> bool:
    if not path.exists():
        return False
    try:
        if read_header(path).meta == meta:
            return True
    except DataError:
        pass  # not ours: only overwrite may touch it
    if overwrite:
        return False
    raise StoreError(
        f"{path} exists and was made with other arguments or versions; choose another name, remove it, "
        "or say overwrite=True"
    )


def _row_groups(plan: Plan, folder: Path) -> Iterator[JetBatch]:
    keys = plan.chunks()
    for start in range(0, len(keys), _CHUNKS_PER_ROW_GROUP):
        group = keys[start : start + _CHUNKS_PER_ROW_GROUP]
        chunks = [read_chunk(folder, key) for key in group]
        labels = np.repeat([LABELS[key.process] for key in group], [key.n_jets for key in group])
        rng = np.random.default_rng([plan.seed, _SHUFFLE_STREAM, start])
        batch = _batch(chunks, labels, plan.mantissa_bits)
        yield batch.select(rng.permutation(len(batch)))


def _batch(chunks: list[Jets], labels: NDArray[np.int64], mantissa_bits: int) -> JetBatch:
    momenta = np.concatenate([chunk.momenta for chunk in chunks])
    p3 = round_mantissa(momenta, mantissa_bits).astype(np.float64)
    p4 = np.column_stack([np.sqrt(np.einsum("ni,ni->n", p3, p3)), p3])
    lengths = np.concatenate([chunk.lengths for chunk in chunks])
    return JetBatch(
        p4=torch.from_numpy(p4),
        offsets=torch.from_numpy(np.concatenate([[0], np.cumsum(lengths)])),
        scalars=torch.zeros(len(p4), 0, dtype=torch.float64),
        label=torch.from_numpy(labels),
        target=torch.from_numpy(np.concatenate([chunk.target for chunk in chunks])),
    )


def round_mantissa(values: NDArray[np.float32], bits: int) -> NDArray[np.float32]:
    """float32 numbers rounded to the nearest with ``bits`` (0 to 23) bits after the leading one."""
    drop = 23 - bits
    if drop == 0:
        return values
    raw = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    half, mask = np.uint32(1 << (drop - 1)), np.uint32(0xFFFFFFFF << drop & 0xFFFFFFFF)
    return ((raw + half) & mask).view(np.float32)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"
