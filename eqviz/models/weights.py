"""Weights on disk: safetensors with the model's name and config as JSON; nothing is ever unpickled."""

from __future__ import annotations

import dataclasses
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor

from eqviz.errors import CheckpointError, ConfigError, StoreError
from eqviz.models.base import JetModel, build_model

FORMAT = "eqviz-weights-1"
_PICKLE_STARTS = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")


def save_model(model: JetModel, path: str | Path) -> None:
    """Write weights, name and config to ``path``; a reader never sees a half-written file.

    Raises:
        StoreError: the folder is missing, not writable or full.
    """
    target = Path(path)
    config = dataclasses.asdict(model.config)
    state = {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
    metadata = {"format": FORMAT, "model": model.name, "config": json.dumps(config)}
    write_atomically(target, to_bytes(state, metadata))


def load_model(path: str | Path, build: Callable[..., JetModel] = build_model) -> JetModel:
    """The network saved at ``path``, in its saved dtype, in evaluation mode, on the CPU.

    Args:
        path: a file that :func:`save_model` wrote.
        build: what makes a network of its name and config.

    Raises:
        CheckpointError: not a weights file of eqviz, truncated, a pickle, of an unknown architecture, or
            with tensors that do not fit it.
    """
    state, metadata = _read(Path(path))
    model = _build(Path(path), metadata, build)
    floats = {value.dtype for value in state.values() if value.is_floating_point()}
    if torch.float64 in floats:
        model.double()
    _fill(model, state, Path(path))
    return model.eval()


def load_weights(model: JetModel, path: str | Path) -> None:
    """Fill ``model`` with the weights at ``path``, which must be of the same architecture and sizes.

    Raises:
        CheckpointError: as :func:`load_model`, and where the file holds another model.
    """
    state, metadata = _read(Path(path))
    if metadata["model"] != model.name:
        raise CheckpointError(f"{path}: expected weights of {model.name!r}, got {metadata['model']!r}")
    _fill(model, state, Path(path))


def write_atomically(target: Path, content: bytes) -> None:
    """Write to a temporary name beside ``target`` and rename; StoreError where that fails."""
    temporary = None
    try:
        with tempfile.NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}.", delete=False) as file:
            temporary = Path(file.name)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)  # temporary files are born readable by their owner alone
        temporary.replace(target)
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise StoreError(f"cannot write {target}: {error.strerror or error}") from error


def check_fits(model: torch.nn.Module, state: dict[str, Tensor], source: str) -> None:
    """Raise a CheckpointError that names the tensors which are missing, unknown or of another shape."""
    own = model.state_dict()
    problems = [f"{key} is missing" for key in own.keys() - state.keys()]
    problems += [f"{key} is unknown" for key in state.keys() - own.keys()]
    problems += [
        f"{key} has shape {tuple(state[key].shape)} instead of {tuple(own[key].shape)}"
        for key in own.keys() & state.keys()
        if own[key].shape != state[key].shape
    ]
    if problems:
        shown = "; ".join(sorted(problems)[:4])
        raise CheckpointError(
            f"{source}: expected weights for this network, but {shown}"
            f"{f' and {len(problems) - 4} more' if len(problems) > 4 else ''}; was it another architecture?"
        )


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    if not path.is_file():
        raise CheckpointError(f"expected a weights file at {path}, found none")
    with path.open("rb") as file:
        start = file.read(4)
    if start.startswith(_PICKLE_STARTS):
        raise CheckpointError(
            f"{path}: expected safetensors, got a pickle, which could run any code; it is not opened. "
            "Save weights with eqviz.save_model; published LorentzNet files go to LorentzNet.from_published"
        )
    try:
        with safe_open(str(path), framework="pt", device="cpu") as file:
            metadata = file.metadata() or {}
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (no iterator)
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(
            f"{path}: damaged or not a safetensors file ({error}); copy or save it again"
        ) from error
    if metadata.get("format") != FORMAT or "model" not in metadata or "config" not in metadata:
        raise CheckpointError(
            f"{path}: expected a file written by eqviz.save_model ({FORMAT}), "
            f"got safetensors with the metadata {sorted(metadata) or 'none'}"
        )
    return state, metadata


def _build(path: Path, metadata: dict[str, str], build: Callable[..., JetModel]) -> JetModel:
    try:
        config: Any = json.loads(metadata["config"])
        if not isinstance(config, dict):
            raise ConfigError(f"expected a config of names and values, got {config!r}")
        return build(metadata["model"], **config)
    except (ConfigError, json.JSONDecodeError) as error:
        raise CheckpointError(f"{path}: cannot build the network it was saved from: {error}") from error


def _fill(model: torch.nn.Module, state: dict[str, Tensor], path: Path) -> None:
    check_fits(model, state, str(path))
    model.load_state_dict(state)
