"""Trains the network of test_train.py in a process that kills itself at a given step (never, if negative)."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from helpers import toy_jets

from eqviz.models import build_model
from eqviz.training import TrainConfig, train
from eqviz.training.callbacks import Progress

CONFIG = TrainConfig(epochs=4, batch_size=8, learning_rate=3e-3, seed=5, device="cpu", threads=1)


def main(folder: Path, kill_at: int) -> None:
    def listener(progress: Progress) -> None:
        if progress.row is None and progress.epoch * progress.steps + progress.step == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    torch.manual_seed(1)
    model = build_model("lorentznet", n_blocks=2, hidden=6)
    train(model, toy_jets(30), toy_jets(16, seed=1), CONFIG, folder, progress=False, listener=listener)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
