"""Read the LorentzNet weights that its authors released."""

from __future__ import annotations

import re
from pathlib import Path

import torch
from torch import Tensor

from eqviz.errors import CheckpointError

# name in the released files -> name here
_NAMES = (
    (r"^module\.", ""),
    (r"^embedding\.", "embed."),
    (r"^graph_dec\.", "head."),
    (r"^LGEBs\.(\d+)\.phi_e\.0\.", r"blocks.\1.edge.linear."),
    (r"^LGEBs\.(\d+)\.phi_e\.1\.", r"blocks.\1.edge.norm."),
    (r"^LGEBs\.(\d+)\.phi_e\.3\.", r"blocks.\1.hidden."),
    (r"^LGEBs\.(\d+)\.phi_m\.0\.", r"blocks.\1.gate."),
    (r"^LGEBs\.(\d+)\.phi_h\.", r"blocks.\1.update."),
    (r"^LGEBs\.(\d+)\.phi_x\.", r"blocks.\1.coordinate."),
)


def read_published(path: str | Path) -> tuple[dict[str, Tensor], dict[str, int]]:
    """The released weights under the names of :class:`eqviz.models.lorentznet.LorentzNet`, and their sizes.

    Raises:
        CheckpointError: missing, damaged, not plain tensors, or of another network.
    """
    raw = read_tensors(Path(path))
    state = {}
    for key, value in raw.items():
        for pattern, replacement in _NAMES:
            key = re.sub(pattern, replacement, key)
        state[key] = value
    blocks = [int(match[1]) for key in state if (match := re.match(r"blocks\.(\d+)\.", key))]
    if not blocks or "embed.weight" not in state or "head.3.weight" not in state:
        raise CheckpointError(
            f"{path}: expected released LorentzNet weights (embedding, LGEBs.*, graph_dec), "
            f"got {', '.join(sorted(raw)[:4])} ..."
        )
    hidden, n_scalars = state["embed.weight"].shape
    return state, {
        "n_blocks": max(blocks) + 1,
        "hidden": hidden,
        "n_scalars": n_scalars,
        "n_classes": len(state["head.3.weight"]),
    }


def read_tensors(path: Path) -> dict[str, Tensor]:
    """A released table of tensors; nothing else in a file is opened.

    Raises:
        CheckpointError: missing, damaged, or it holds more than tensors.
    """
    if not path.is_file():
        raise CheckpointError(f"expected a weights file at {path}, found none")
    try:
        raw = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises UnpicklingError, RuntimeError, EOFError, KeyError ...
        raise CheckpointError(
            f"{path}: damaged, or it holds more than tensors and is not opened ({type(error).__name__})"
        ) from error
    if not isinstance(raw, dict) or not all(isinstance(value, Tensor) for value in raw.values()):
        raise CheckpointError(f"{path}: expected a table of tensors, got {type(raw).__name__}")
    return dict(raw)
