"""Read the LGN weights that its authors released."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from torch import Tensor

from eqviz.errors import CheckpointError
from eqviz.models.published.weights import read_tensors

# name in the released files -> name here
_NAMES = (
    (r"^rad_funcs\.rad_funcs\.(\d+)\.", r"levels.\1.radial."),
    (r"^input_func_atom\.(lin\.)?", "embed."),
    (r"^lgn_cg\.atom_levels\.(\d+)\.cat_mix\.mix_reps\.", r"levels.\1.mix."),
    (r"^output_layer_atom\.lin\.", "head."),
)
_PERCEPTRON = re.compile(r"^lgn_cg\.mlp_levels\.(\d+)\.linear\.(\d+)\.")


def read_lgn(path: str | Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Released weights under the names of :class:`eqviz.models.published.lgn.LGNOriginal`, and their sizes.

    Raises:
        CheckpointError: missing, damaged, not plain tensors, or of another network.
    """
    raw = read_tensors(Path(path))
    state = {_renamed(key): value for key, value in raw.items()}
    levels = [int(match[1]) for key in state if (match := re.match(r"levels\.(\d+)\.", key))]
    embedding = state.get("embed.weights.(1, 1)")
    if not levels or embedding is None or "head.bias" not in state:
        raise CheckpointError(
            f"{path}: expected released LGN weights (input_func_atom, lgn_cg, rad_funcs, output_layer_atom), "
            f"got {', '.join(sorted(raw)[:4])} ..."
        )
    mixed = (state.get(f"levels.{index}.mix.weights.(0, 0)") for index in range(max(levels) + 1))
    channels = [embedding.shape[1], *(weight.shape[1] for weight in mixed if weight is not None)]
    return state, {"channels": channels, "momenta_in": True, "n_classes": len(state["head.bias"])}


def _renamed(key: str) -> str:
    for pattern, replacement in _NAMES:
        key = re.sub(pattern, replacement, key)
    return _PERCEPTRON.sub(lambda found: f"levels.{found[1]}.mlp.{2 * int(found[2])}.", key)
