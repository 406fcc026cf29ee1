"""The Lightning module: one step of training, one pass of validation, the schedule of the learning rate."""

from __future__ import annotations

import math
from typing import Any

import lightning as L
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from eqviz.data.jets import JetBatch
from eqviz.errors import TrainingError
from eqviz.evaluation.metrics import classification_metrics
from eqviz.training.config import TrainConfig


class JetClassifier(L.LightningModule):
    """Cross-entropy training of a network that maps a JetBatch to logits (B, classes).

    Attributes:
        summary: after each epoch train_loss and train_accuracy (averages over the epoch's steps, while the
            weights move and dropout is on), val_loss, val_accuracy and val_auc (of the epoch's last weights).
    """

    def __init__(self, model: nn.Module, config: TrainConfig, steps_per_epoch: int) -> None:
        super().__init__()
        self.model = model
        self.settings = config
        self.steps_per_epoch = steps_per_epoch
        self.summary: dict[str, float] = {}
        self._sums = np.zeros(3)
        self._validated: list[tuple[NDArray[np.int64], NDArray[np.float64]]] = []

    def configure_optimizers(self) -> Any:
        """AdamW with a learning rate that changes at every step."""
        config = self.settings
        optimiser = torch.optim.AdamW(
            self.model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        warmup = round(config.warmup_epochs * self.steps_per_epoch)
        total = config.epochs * self.steps_per_epoch

        def factor(step: int) -> float:
            return schedule(step, warmup, total, config.final_fraction)

        scheduler = torch.optim.lr_scheduler.LambdaLR(optimiser, factor)
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def transfer_batch_to_device(
        self, batch: JetBatch, device: torch.device, dataloader_idx: int
    ) -> JetBatch:
        """Momenta stay float64 on every device."""
        return batch.to(device)

    def on_train_batch_start(self, batch: JetBatch, batch_idx: int) -> None:
        """Make an epoch's randomness a function of seed and epoch alone: resuming needs no saved state.

        Not in ``on_train_epoch_start``, which Lightning leaves out of the first epoch after a resumption.
        """
        if batch_idx > 0:
            return
        sequence = np.random.SeedSequence([self.settings.seed, self.current_epoch])
        torch.manual_seed(int(sequence.generate_state(1)[0]))
        self._sums = np.zeros(3)

    def training_step(self, batch: JetBatch, batch_idx: int) -> Tensor:
        """The mean loss of a batch; raises TrainingError when it is not finite."""
        assert batch.label is not None
        logits = self.model(batch)
        loss = functional.cross_entropy(logits, batch.label)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise TrainingError(self._diverged(f"the loss is {value} at step {batch_idx}"))
        correct = float((logits.detach().argmax(dim=1) == batch.label).sum())
        self._sums += [value * len(batch), correct, len(batch)]
        return loss

    def on_validation_epoch_start(self) -> None:
        """Forget the last validation."""
        self._validated = []

    def validation_step(self, batch: JetBatch, batch_idx: int) -> None:
        """Collect labels and logits."""
        assert batch.label is not None
        logits = self.model(batch).double().cpu().numpy()
        if not np.isfinite(logits).all():
            raise TrainingError(self._diverged("the network answers NaN or infinity to validation jets"))
        self._validated.append((batch.label.cpu().numpy(), logits))

    def on_validation_epoch_end(self) -> None:
        """Summarise the epoch."""
        labels, logits = (np.concatenate(parts) for parts in zip(*self._validated))
        found = classification_metrics(labels, logits, n_bootstrap=0)
        loss, correct, n = self._sums
        # plain floats: a NumPy scalar in a checkpoint would need unpickling
        self.summary = {"train_loss": float(loss / n), "train_accuracy": float(correct / n)}
        self.summary |= {f"val_{name}": found[name]["value"] for name in ("loss", "accuracy", "auc")}

    def _diverged(self, what: str) -> str:
        return (
            f"training diverged in epoch {self.current_epoch + 1} of {self.settings.epochs}: {what}; try a "
            f"smaller training.learning_rate (now {self.settings.learning_rate:g}), a longer "
            f"training.warmup_epochs (now {self.settings.warmup_epochs:g}) or a smaller "
            f"training.gradient_clip (now {self.settings.gradient_clip:g})"
        )


def schedule(step: int, warmup: int, total: int, final: float) -> float:
    """Learning rate over its largest value: linear up over ``warmup`` steps, then half a cosine to ``final``.

    >>> [schedule(step, 2, 6, 0.0) for step in (0, 1, 2, 4, 6)]
    [0.5, 1.0, 1.0, 0.5, 0.0]
    """
    if step < warmup:
        return (step + 1) / warmup
    progress = min((step - warmup) / max(total - warmup, 1), 1.0)
    return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * progress))
