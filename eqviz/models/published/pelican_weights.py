"""Read PELICAN weights under the names of the authors' code, and hand them to the clean network."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from torch import Tensor

from eqviz.errors import CheckpointError
from eqviz.models.published.weights import read_tensors

# name in the authors' files -> name in the clean network
_NAMES = (
    (r"^linear\.", "pairs.encoding."),
    (r"^input_encoder\.rank2_alphas$", "pairs.encoding.alpha"),
    (r"^net2to2\.message_layers\.(\d+)\.linear\.0\.", r"pairs.messages.\1."),
    (r"^net2to2\.message_layers\.(\d+)\.normlayer\.", r"pairs.norms.\1."),
    (r"^net2to2\.eq_layers\.(\d+)\.coefs00$", r"pairs.mixings.\1.maps_in"),
    (r"^net2to2\.eq_layers\.(\d+)\.coefs01$", r"pairs.mixings.\1.maps_out"),
    (r"^net2to2\.eq_layers\.(\d+)\.coefs10$", r"pairs.mixings.\1.mix_in"),
    (r"^net2to2\.eq_layers\.(\d+)\.coefs11$", r"pairs.mixings.\1.mix_out"),
    (r"^net2to2\.eq_layers\.(\d+)\.bias$", r"pairs.mixings.\1.bias"),
    (r"^net2to2\.eq_layers\.(\d+)\.diag_bias$", r"pairs.mixings.\1.diagonal_bias"),
    (r"^net2to2\.eq_layers\.(\d+)\.alphas\.0$", r"pairs.mixings.\1.exponents"),
    (r"^msg_2to0\.linear\.0\.", "pairs.messages.{last}."),
    (r"^msg_2to0\.normlayer\.", "pairs.norms.{last}."),
    (r"^agg_2to0\.coefs$", "pool.coefficients"),
    (r"^agg_2to0\.bias$", "pool.bias"),
    (r"^agg_2to0\.alphas\.0$", "pool.exponents"),
    (r"^mlp_out\.linear\.0\.", "head."),
    (r"^eq1to2\.coefs$", "pairs.labels.coefficients"),
    (r"^eq1to2\.bias$", "pairs.labels.bias"),
    (r"^eq1to2\.alphas\.0$", "pairs.labels.exponents"),
)
_FLAT = ("pairs.encoding.weight", "pool.bias")
_SQUEEZED = re.compile(r"exponents$")


def read_pelican(path: str | Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The weights as they are named in the file, and their sizes as config fields (``n_labels`` among them).

    Raises:
        CheckpointError: missing, damaged, not plain tensors, or of another network.
    """
    state = read_tensors(Path(path))
    blocks = [int(match[1]) for key in state if (match := re.match(r"net2to2\.eq_layers\.(\d+)\.", key))]
    needed = ("linear.weight", "msg_2to0.linear.0.weight", "mlp_out.linear.0.weight")
    if not blocks or any(key not in state for key in needed):
        raise CheckpointError(
            f"{path}: expected PELICAN weights (net2to2.eq_layers.*, msg_2to0, mlp_out), "
            f"got {', '.join(sorted(state)[:4])} ..."
        )
    message, hidden = state["msg_2to0.linear.0.weight"].shape
    labels = state.get("eq1to2.coefs")
    return state, {
        "hidden": hidden,
        "message": message,
        "n_blocks": max(blocks) + 1,
        "n_classes": len(state["mlp_out.linear.0.weight"]),
        "n_labels": 0 if labels is None else labels.shape[0],
        "label_channels": 0 if labels is None else labels.shape[1],
    }


def to_clean(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same weights under the names and in the shapes of :class:`eqviz.models.pelican.Pelican`."""
    last = 1 + max(int(match[1]) for key in state if (match := re.match(r"net2to2\.eq_layers\.(\d+)\.", key)))
    out = {}
    for key, value in state.items():
        for pattern, replacement in _NAMES:
            key = re.sub(pattern, replacement.replace("{last}", str(last)), key)
        if key in _FLAT:
            value = value.flatten()
        elif _SQUEEZED.search(key):
            value = value.reshape(value.shape[1:3])
        out[key] = value
    return out
