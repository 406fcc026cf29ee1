"""What a training can be told, checked when it is written down and not hours later."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from eqviz.evaluation.settings import check_types
from eqviz.models.base import require


@dataclass(frozen=True)
class TrainConfig:
    """Parameters of a training (AdamW, linear warm-up, cosine to ``final_fraction``, early stopping).

    Attributes:
        epochs: passes over the training jets; 0 keeps the initial weights.
        batch_size: jets per step.
        bucket: train on batches of similar multiplicity. Saves some padding, but such batches differ in
            their shares of the classes and in everything that grows with multiplicity, so that batch
            normalisation learns other statistics than it is later used with: validation gets worse.
        learning_rate: the largest, reached after ``warmup_epochs`` (which may be a fraction).
        weight_decay: of AdamW (1711.05101).
        final_fraction: last learning rate over the largest.
        patience: epochs without a better ``monitor`` before stopping; 0 never stops early.
        monitor: which validation number chooses the weights that are kept.
        gradient_clip: largest norm of the gradient; 0 does not clip.
        seed: of batch order and dropout. (Initial weights are the caller's.)
        device: "auto" takes CUDA where there is one.
        threads: CPU threads for PyTorch; 0 leaves them as they are.
        deterministic: refuse algorithms whose result depends on timing (on a GPU: warn about them).

    Raises:
        ConfigError: a value of a wrong type or out of range.
    """

    epochs: int = 20
    batch_size: int = 64
    bucket: bool = False
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    warmup_epochs: float = 1.0
    final_fraction: float = 0.01
    patience: int = 5
    monitor: Literal["val_loss", "val_auc"] = "val_loss"
    gradient_clip: float = 1.0
    seed: int = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: int = 0
    deterministic: bool = True

    def __post_init__(self) -> None:
        check_types(self, "training")
        for name in ("learning_rate", "weight_decay", "warmup_epochs", "final_fraction", "gradient_clip"):
            value = getattr(self, name)
            require(math.isfinite(value) and value >= 0, f"training.{name}", "0 or larger", value)
        for name in ("epochs", "patience", "seed", "threads"):
            require(getattr(self, name) >= 0, f"training.{name}", "0 or larger", getattr(self, name))
        require(self.batch_size >= 1, "training.batch_size", "1 or larger", self.batch_size)
        require(self.learning_rate > 0, "training.learning_rate", "larger than 0", self.learning_rate)
        require(self.final_fraction <= 1, "training.final_fraction", "at most 1", self.final_fraction)
