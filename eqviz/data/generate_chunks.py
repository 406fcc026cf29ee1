"""Chunks of generated jets on disk: written whole, in any number of processes, found again after a kill."""

from __future__ import annotations

import json
import multiprocessing
import os
import threading
import zipfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from eqviz.data.atomic import replacing
from eqviz.data.generate_events import Jets, make_jets
from eqviz.data.generate_recipe import LABELS
from eqviz.errors import ConfigError, GeneratorError, StoreError

if TYPE_CHECKING:
    from eqviz.data.pythia import ChunkKey, Plan

PLAN_FILE = "plan.json"


def make_chunks(plan: Plan, folder: Path, meta: dict[str, Any], processes: int, progress: bool) -> None:
    """Make the chunks of ``plan`` that ``folder`` does not hold yet.

    Raises:
        ConfigError: the folder holds chunks of another plan.
        GeneratorError: the generator failed or a process died.
        StoreError: full disk or unwritable folder.
    """
    _claim(folder, meta)
    keys = plan.chunks()
    missing = [key for key in keys if not _is_whole(folder, key)]
    done = sum(key.n_jets for key in keys) - sum(key.n_jets for key in missing)
    with tqdm(total=plan.n_jets, initial=done, unit="jet", desc="jets", disable=not progress) as bar:
        for n_jets in _work(plan, folder, missing, min(processes, len(missing))):
            bar.update(n_jets)


def read_chunk(folder: Path, key: ChunkKey) -> Jets:
    """The jets of a finished chunk; raises StoreError where it is missing or damaged."""
    path = chunk_path(folder, key)
    try:
        # Opened here: np.load forgets to close a damaged file.
        with path.open("rb") as handle, np.load(handle, allow_pickle=False) as stored:
            jets = Jets(*(stored[name] for name in Jets._fields))
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise StoreError(f"expected a whole chunk of jets at {path}, got: {error}; run again") from error
    if len(jets.lengths) != key.n_jets or int(jets.lengths.sum()) != len(jets.momenta):
        raise StoreError(
            f"expected {key.n_jets} jets in {path}, got {len(jets.lengths)}; delete it, run again"
        )
    return jets


def chunk_path(folder: Path, key: ChunkKey) -> Path:
    """Where the chunk lies."""
    return folder / f"{key.process}-{key.number:06d}.npz"


def write_chunk(plan: Plan, folder: Path, key: ChunkKey) -> int:
    """Make one chunk and write it whole; returns its number of jets."""
    seed = (plan.seed, LABELS[key.process], key.number)
    jets = make_jets(key.process, key.n_jets, seed, plan.recipe, plan.detector, plan.images)
    with replacing(chunk_path(folder, key)) as part, part.open("wb") as handle:
        np.savez(handle, **jets._asdict())
    return key.n_jets


def _claim(folder: Path, meta: dict[str, Any]) -> None:
    plan_file = folder / PLAN_FILE
    text = json.dumps(meta, indent=1, sort_keys=True)
    if plan_file.exists():
        if plan_file.read_text() != text:
            raise ConfigError(
                f"{folder} holds chunks of a run with other arguments or versions; call with those, say "
                "resume=False to throw them away, or choose another name"
            )
        return
    with replacing(plan_file) as part:
        part.write_text(text)


def _is_whole(folder: Path, key: ChunkKey) -> bool:
    if not chunk_path(folder, key).exists():
        return False
    try:
        read_chunk(folder, key)
    except StoreError:
        return False
    return True


def _work(plan: Plan, folder: Path, keys: list[ChunkKey], processes: int) -> Iterator[int]:
    if processes <= 1:
        for key in keys:
            yield write_chunk(plan, folder, key)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context, initializer=_end_with_parent) as pool:
        futures = [pool.submit(write_chunk, plan, folder, key) for key in keys]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BrokenProcessPool as error:
            raise GeneratorError(
                "a generator process died (out of memory?); finished chunks are kept, run the same again"
            ) from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _end_with_parent() -> None:
    """A killed parent must not leave its processes behind."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
