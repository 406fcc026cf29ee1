"""What a vision transformer looks at: patch embedding and attention on one image (arXiv:2010.11929)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from eqviz.data.image_batch import ImageBatch
from eqviz.data.jets import JetBatch
from eqviz.evaluation.learned.base import Array, LearnedLayer, numbered, shows, to_array
from eqviz.models.vit import PatchTransformer, ViT


@dataclass(frozen=True, eq=False)
class Attention:
    """Attention of one block on one image.

    Attributes:
        image: (C, N, N), rows along eta, columns along phi, filled up to whole patches.
        weights: (heads, patches, patches), from each patch (row) to each; rows add up to 1.
        side: patches along each side; patches count along phi first, from the corner of smallest eta and phi.
        patch_size: pixels along each side of a patch.
    """

    image: Array
    weights: Array
    side: int
    patch_size: int

    def map(self, head: int, query: int | None) -> Array:
        """(side, side) attention of a patch, or the mean over all patches for None."""
        rows = self.weights[head]
        row = rows.mean(0) if query is None else rows[query]
        return row.reshape(self.side, self.side)


@torch.no_grad()
def read_attention(model: ViT, batch: JetBatch | ImageBatch, block: int) -> Attention:
    """Attention of ``block`` on the first jet or image of ``batch``."""
    images, trunk = model.images(batch), model.trunk
    weights = trunk.attention_maps(images)[block][0]
    missing = trunk.side * trunk.patch_size - images.shape[-1]
    before = missing // 2
    padded = torch.nn.functional.pad(images[0], (before, missing - before, before, missing - before))
    return Attention(to_array(padded), to_array(weights), trunk.side, trunk.patch_size)


@shows(PatchTransformer)
def _transformer(path: str, module: Any) -> list[LearnedLayer]:
    size, embed = module.patch_size, module.embed
    title = f"patch embedding, {size} × {size} pixels → {embed.out_channels} numbers"
    outputs, inputs = numbered("filter", embed.out_channels), numbered("input", embed.in_channels)
    found = [LearnedLayer(f"{path}.embed", title, "patches", outputs, inputs, embed)]
    queries = ("all patches, on average", *numbered("patch", module.side**2))
    for index, block in enumerate(module.blocks):
        key, heads = f"{path}.blocks.{index}", numbered("head", block.n_heads)
        found.append(LearnedLayer(key, f"attention of block {index + 1}", "attention", heads, queries, block))
    return found
