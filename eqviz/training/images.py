"""What a network needs to know of detector images before it is trained on them: their scale."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from eqviz.data.image_dataset import ImageDataset
from eqviz.data.image_scaling import ImageScaling
from eqviz.data.labelled import LabelledSet
from eqviz.errors import ConfigError
from eqviz.models import MODELS
from eqviz.models.base import make_config

_CHUNK = 128


def fitted(name: str, params: dict[str, Any], train_set: LabelledSet[Any] | None) -> dict[str, Any]:
    """The parameters of model ``name``, for images with the pixels' spread in the training images.

    A ``pixel_std`` that is given stays.

    Raises:
        ConfigError: a network that does not take images, or other channels than the images have.
    """
    if not isinstance(train_set, ImageDataset):
        return params
    model = MODELS.get(name)
    if "pixel_std" not in {field.name for field in fields(model.config_class)}:
        raise ConfigError(
            f"expected a network that takes detector images, got {name!r}; set data.images to false"
        )
    config = make_config(model, params)
    channels = train_set.batch.layout.channels
    if config.in_channels != len(channels):
        raise ConfigError(
            f"expected {name}.in_channels of {len(channels)} for images of {', '.join(channels)}, "
            f"got {config.in_channels}"
        )
    if config.pixel_std:
        return params
    # the network will want the coarser images, too, and they are made once
    finer = train_set.batch.layout.width > config.n_pixels
    batch = (train_set.coarser(config.n_pixels) if finer else train_set).batch
    pieces = (batch.select(range(at, min(at + _CHUNK, len(batch)))) for at in range(0, len(batch), _CHUNK))
    return {**params, "pixel_std": ImageScaling.fit(pieces, size=config.n_pixels).std}
