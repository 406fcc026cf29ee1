"""The kernels' benchmark: checks first, every row, and no time for a wrong kernel."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

pytest.importorskip("triton", reason="Triton is not installed")


@pytest.fixture
def kernels(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2]))
    from benchmarks import kernels

    return kernels


def test_dry_run_has_every_row(kernels):
    from benchmarks.registry import Settings

    rows = kernels.run(Settings("cpu", 1, quick=True))
    names = {row.quantity for row in rows}
    operations = ("minkowski_gram", "minkowski_message", "pair_aggregate", "pair_mix", "mix_message")
    for operation in (*operations, "bell_aggregate", "cg_products"):
        assert {f"{operation}: forward", f"{operation}: forward + backward"} <= names
        units = {row.unit for row in rows if row.quantity == f"{operation}: forward"}
        assert units == {"ms", "GB/s", "TFLOP/s", "% roofline"}
    for network in kernels.NETWORKS:
        assert {
            f"{network}: training",
            f"{network}: epoch of 1.2M jets",
            f"{network}: memory of a step",
        } <= names
    assert torch.get_float32_matmul_precision() == "highest"
    assert kernels.run(Settings("cpu", 1)) == [], "nothing is reported of a machine without a GPU"


def test_wrong_kernel_is_not_timed(kernels, monkeypatch):
    from eqviz.ops import dispatch

    jets, _ = kernels.sample(kernels.Settings("cpu", 1, quick=True))
    case = kernels.cases(jets, tiny=True)[-1]
    right = case.function

    def wrong(*inputs):
        return [out * (1.01 if dispatch.wants_triton(out) else 1.0) for out in right(*inputs)]

    monkeypatch.setattr(kernels, "cases", lambda *_: [replace(case, function=wrong)])
    with pytest.raises(AssertionError, match="cg_products: result 0 is wrong by"):
        kernels.verify_all(jets, {}, True)
