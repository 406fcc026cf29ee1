"""Jets from Pythia 8 and FastJet in one Parquet file: top quarks against QCD, or quarks against gluons.

With images, each jet comes with what a detector would see of it and its surroundings, from the same event.

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

from eqviz.data.calorimeter_config import ImageConfig
from eqviz.data.detector_config import DetectorConfig
from eqviz.data.generate_chunks import make_chunks, read_chunk
from eqviz.data.generate_events import Jets, import_generator
from eqviz.data.generate_recipe import LABELS, RECIPES, TASKS, Recipe
from eqviz.data.image_batch import ImageBatch
from eqviz.data.image_storage import LAYOUT, round_mantissa
from eqviz.data.jets import JetBatch
from eqviz.data.particle_ids import masses
from eqviz.data.storage import read_header, write_parquet
from eqviz.errors import ConfigError, DataError, StoreError, UnknownNameError

__all__ = ["CLASS_NAMES", "DetectorConfig", "ImageConfig", "Plan", "Recipe", "generate", "round_mantissa"]

CLASS_NAMES = list(TASKS["top"][1])
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
        signal: share of top or quark jets, 0 to 1.
        seed: 0 or more.
        chunk_size: jets per chunk.
        mantissa_bits: of the stored float32 momenta, 8 to 23; 23 keeps them as they are, fewer compress
            better (15 bits: 1.5e-5 relative).
        task: "top" (against QCD) or "quark_gluon".
        images: the detector of the images; None makes none.
    """

    n_jets: int
    signal: float = 0.5
    seed: int = 1
    chunk_size: int = 500
    mantissa_bits: int = 23
    recipe: Recipe = field(default_factory=Recipe)
    detector: DetectorConfig = field(default_factory=DetectorConfig)
    task: str = "top"
    images: ImageConfig | None = None

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise UnknownNameError("task", self.task, TASKS)
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
        background, signal = TASKS[self.task][0]
        for process, n_jets in ((background, self.n_jets - n_signal), (signal, n_signal)):
            starts = range(0, n_jets, self.chunk_size)
            for number, start in enumerate(starts):
                key = ChunkKey(process, number, min(self.chunk_size, n_jets - start))
                keys.append(((number + 0.5) / len(starts), key))
        return [key for _, key in sorted(keys)]

    def meta(self, name: str) -> dict[str, Any]:
        """What the file says of itself: call, seed, cuts, detector, versions."""
        arguments = f"n_jets={self.n_jets}, signal={self.signal}, seed={self.seed}"
        arguments += f", chunk_size={self.chunk_size}, mantissa_bits={self.mantissa_bits}"
        content = {**asdict(self), "recipe": self.recipe.as_meta()}
        # Files of tops without images say nothing of what they are not.
        if self.task == "top":
            del content["task"]
        else:
            arguments += f", task={self.task!r}"
        if self.images is None:
            del content["images"]
        else:
            arguments += ", images=ImageConfig()" if self.images == ImageConfig() else ", images=..."
            content[LAYOUT] = self.images.layout.as_meta()
        if self.recipe.particle_level:
            content["scalar_names"] = ["pdg"]
        text = json.dumps(
            {
                "command": f"eqviz.data.pythia.generate({name!r}, {arguments})",
                "class_names": list(TASKS[self.task][1]),
                **content,
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
    task: str = "top",
    images: ImageConfig | None = None,
    resume: bool = True,
    overwrite: bool = False,
    progress: bool = True,
) -> Path:
    """Make jets and write them to the Parquet file ``out``.

    A run that was stopped goes on where it was: chunks wait in the folder ``<out>.parts``, which is removed
    at the end. Called again with the same arguments after the end, it returns at once.

    Args:
        n_jets, signal, seed, chunk_size, mantissa_bits, recipe, detector, task, images: see :class:`Plan`.
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
        recipe=recipe or RECIPES.get(task, Recipe()),
        detector=detector or DetectorConfig(),
        task=task,
        images=images,
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


def _row_groups(plan: Plan, folder: Path) -> Iterator[JetBatch | tuple[JetBatch, ImageBatch]]:
    keys = plan.chunks()
    for start in range(0, len(keys), _CHUNKS_PER_ROW_GROUP):
        group = keys[start : start + _CHUNKS_PER_ROW_GROUP]
        chunks = [read_chunk(folder, key) for key in group]
        labels = np.repeat([LABELS[key.process] for key in group], [key.n_jets for key in group])
        rng = np.random.default_rng([plan.seed, _SHUFFLE_STREAM, start])
        batch = _batch(chunks, labels, plan.mantissa_bits)
        order = rng.permutation(len(batch))
        if plan.images is None:
            yield batch.select(order)
        else:
            yield batch.select(order), _images(chunks, plan.images).select(order)


def _batch(chunks: list[Jets], labels: NDArray[np.int64], mantissa_bits: int) -> JetBatch:
    momenta = np.concatenate([chunk.momenta for chunk in chunks])
    p3 = round_mantissa(momenta, mantissa_bits).astype(np.float64)
    pdg = np.concatenate([chunk.pdg for chunk in chunks])
    mass2 = np.square(masses(pdg)) if len(pdg) else 0.0  # no codes: massless by convention
    p4 = np.column_stack([np.sqrt(np.einsum("ni,ni->n", p3, p3) + mass2), p3])
    lengths = np.concatenate([chunk.lengths for chunk in chunks])
    return JetBatch(
        p4=torch.from_numpy(p4),
        offsets=torch.from_numpy(np.concatenate([[0], np.cumsum(lengths)])),
        scalars=torch.from_numpy(pdg.astype(np.float64).reshape(len(p4), 1 if len(pdg) else 0)),
        label=torch.from_numpy(labels),
        target=torch.from_numpy(np.concatenate([chunk.target for chunk in chunks])),
    )


def _images(chunks: list[Jets], config: ImageConfig) -> ImageBatch:
    lengths = np.concatenate([chunk.pixel_lengths for chunk in chunks]).astype(np.int64)
    return ImageBatch(
        layout=config.layout,
        value=torch.from_numpy(np.concatenate([chunk.pixel_value for chunk in chunks])),
        index=torch.from_numpy(np.concatenate([chunk.pixel_index for chunk in chunks]).astype(np.int64)),
        offsets=torch.from_numpy(np.concatenate([[0], np.cumsum(lengths)])),
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"
