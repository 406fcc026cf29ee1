"""Timing and memory of networks whose cost is known."""

from __future__ import annotations

import time

import pytest
import torch
from helpers import toy_jets
from torch import Tensor, nn

from eqviz.data.jets import JetBatch
from eqviz.errors import ConfigError
from eqviz.evaluation.timing import ms_per_jet, peak_memory_mb


class Costly(nn.Module):
    """Sleeps ``seconds`` and fills ``megabytes`` for a while."""

    def __init__(self, seconds: float = 0.0, megabytes: int = 0) -> None:
        super().__init__()
        self.seconds, self.megabytes = seconds, megabytes
        self.weight = nn.Parameter(torch.zeros(()))

    def forward(self, batch: JetBatch) -> Tensor:
        time.sleep(self.seconds)
        ballast = torch.ones(self.megabytes * 2**17, dtype=torch.float64)
        return self.weight + ballast.sum() * torch.zeros(len(batch), 2)


def test_time_is_that_of_the_pass_per_jet() -> None:
    found = ms_per_jet(Costly(seconds=0.02).train(), toy_jets(10).batch, repeats=3)
    assert 2.0 <= found.value < 20.0 and found.error >= 0
    assert (found.threads, found.batch_size) == (torch.get_num_threads(), 10)


def test_memory_is_that_of_the_pass() -> None:
    jets = toy_jets(4).batch
    small, large = peak_memory_mb(Costly(), jets), peak_memory_mb(Costly(megabytes=200), jets)
    assert 0 <= small < 50 and 150 < large < 300


def test_nothing_to_time_is_named() -> None:
    with pytest.raises(ConfigError, match="expected jets"):
        ms_per_jet(Costly(), toy_jets(2).batch.select([]))
