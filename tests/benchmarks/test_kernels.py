"""The kernels' benchmark: checks first, every row, and nothing lost where parts fail."""

from __future__ import annotations

import csv
import math
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers import run_without
from torch.utils._python_dispatch import TorchDispatchMode

pytest.importorskip("triton", reason="Triton is not installed")
ROOT = Path(__file__).parents[2]
OPERATIONS = (
    "minkowski_gram",
    "minkowski_message",
    "pair_aggregate",
    "pair_mix",
    "mix_message",
    "bell_aggregate",
    "cg_products",
)
# A bare GPU machine has PyTorch, Triton and NumPy; the command must do with these.
LACKING = ("escnn", "lie_learn", "panel", "papermill", "holoviews", "pelican", "torch_geometric", "e3nn")
DRY_RUN = """
from benchmarks.__main__ import main
main(["--gpu", "--dry"])
"""


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))


@pytest.mark.slow
def test_dry_run_on_a_bare_machine_has_every_row(tmp_path):
    environment = {key: value for key, value in os.environ.items() if key != "TRITON_INTERPRET"}
    environment |= {"TMPDIR": str(tmp_path), "OMP_NUM_THREADS": "1"}
    result = run_without(LACKING, DRY_RUN, cwd=ROOT, env=environment)
    assert result.returncode == 0, result.stderr[-2000:]
    (path,) = tmp_path.glob("*/kernels-gpu.csv")
    with path.open() as file:
        rows = list(csv.DictReader(file))
    assert rows[0]["quantity"] == "checks", "nothing is timed before the checks"
    found = {(row["quantity"], row["unit"]) for row in rows}
    of = {}
    for row in rows:
        of.setdefault(row["quantity"], set()).add(row["implementation"])
    for operation in OPERATIONS:
        for part in ("forward", "forward + backward"):
            units = {unit for quantity, unit in found if quantity == f"{operation}: {part}"}
            assert units == {"ms", "GB/s", "TFLOP/s", "% roofline"}
            assert {"kernel", "eager"} <= of[f"{operation}: memory of {part}"]
    assert "compiled" in of["minkowski_message: forward + backward"]
    for network in ("LorentzNet", "PELICAN 208k", "LGN"):
        for quantity in ("training", "epoch of 1.2M jets"):
            assert of[f"{network}: {quantity}"] == {"kernel", "eager", "kernel, recorded"}
        assert of[f"{network}: memory of a step"] == {"kernel", "eager"}
    ceilings = [row["quantity"] for row in rows if row["implementation"] == "machine"]
    assert ceilings == ["copy", *(f"matrix product {name}" for name in ("fp32", "tf32", "bf16", "fp64"))]
    missing = [row for row in rows if "not measured" in row["note"]]
    assert [row["quantity"] for row in missing] == ["PELICAN 208k, pelican-lite compiled"]
    assert "ModuleNotFoundError" in missing[0]["note"] and missing[0]["value"] == "nan"


def test_wrong_kernel_is_not_timed(monkeypatch):
    from benchmarks import kernels
    from eqviz.ops import dispatch

    jets, _ = kernels.sample(kernels.Settings("cpu", 1, quick=True))
    case = kernels.cases(jets, tiny=True)[-1]
    right = case.function

    def wrong(*inputs):
        return [out * (1.01 if dispatch.wants_triton(out) else 1.0) for out in right(*inputs)]

    monkeypatch.setattr(kernels, "cases", lambda *_: [replace(case, function=wrong)])
    reported = []
    monkeypatch.setattr(kernels, "TINY", {})
    with pytest.raises(AssertionError, match="cg_products: result 0 is wrong by"):
        kernels.run(kernels.Settings("cpu", 1, quick=True, report=reported.extend))
    assert reported == [] and torch.get_float32_matmul_precision() == "highest"


def test_checks_that_take_too_long_time_nothing(monkeypatch):
    from benchmarks import gpu, kernels

    reported = []
    monkeypatch.setattr(kernels, "verify_all", lambda *_: time.sleep(5))
    settings = kernels.Settings("cpu", 1, quick=True, seconds=0.05, report=reported.extend)
    with pytest.raises(gpu.Overrun):
        kernels.run(settings)
    assert reported == []


@pytest.fixture(params=["LorentzNet", "PELICAN 208k", "LGN"])
def tiny(request):
    """A network of few channels, and a batch of two jets."""
    from benchmarks import kernels, steps

    jets, _ = kernels.sample(kernels.Settings("cpu", 1, quick=True))
    return steps.network(*steps.TINY[request.param], jets).train(), jets


class Waiting(TorchDispatchMode):
    """Refuses operations after which the host waits for the GPU."""

    NAMES = ("_local_scalar_dense", "nonzero", "masked_select", "is_nonzero", "equal", "_unique2", "bincount")

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        masks = name.startswith(("index", "_index")) and any(
            isinstance(i, torch.Tensor) and i.dtype in (torch.bool, torch.uint8)
            for i in (args[1] if len(args) > 1 and isinstance(args[1], (list, tuple)) else ())
        )
        assert name not in self.NAMES and not masks, f"{func} waits for the GPU"
        return func(*args, **(kwargs or {}))


def test_step_of_a_prepared_batch_never_waits(tiny, monkeypatch):
    """Which is what a CUDA graph takes; a mode sees no operators within ours, patched methods do."""
    from benchmarks.steps import training_step
    from eqviz.ops.dispatch import use_kernels

    model, jets = tiny
    with use_kernels("triton"):
        prepared = model.prepare(jets)
        step = training_step(model, lambda: model.network(prepared), jets.label)
        step()  # what a layout computes once

        def refused(*_, **__):
            raise AssertionError("the host waits for the GPU")

        for name in ("item", "tolist", "nonzero", "__bool__", "__int__", "__float__", "__index__"):
            monkeypatch.setattr(torch.Tensor, name, refused)
        with Waiting():
            step()
        with pytest.raises(AssertionError, match="waits for the GPU"):
            jets.label.sum().item()
    with pytest.raises(AssertionError, match=r"masked_select|nonzero|index"), Waiting():
        jets.label[jets.label > 0]


def test_prepared_step_is_the_step(tiny):
    """Loss and gradients of what is recorded are those of what training runs."""
    model, jets = tiny
    model.eval()
    found = []
    for forward in (lambda: model(jets), lambda: model.network(model.prepare(jets))):
        loss = torch.nn.functional.cross_entropy(forward(), jets.label)
        found.append((loss, *torch.autograd.grad(loss, list(model.parameters()), materialize_grads=True)))
    torch.testing.assert_close(found[0], found[1])


@pytest.mark.parametrize("mode", ["triton", "reference", "auto"])
def test_networks_under_autocast(tiny, mode):
    from eqviz.ops.dispatch import use_kernels

    model, jets = tiny
    losses = []
    for enabled in (False, True):
        model.zero_grad()
        with use_kernels(mode):
            with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
                loss = torch.nn.functional.cross_entropy(model.eval()(jets).float(), jets.label)
            loss.backward()
        assert all(p.grad is None or p.grad.dtype == torch.float32 for p in model.parameters())
        assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())
        losses.append(loss.detach())
    torch.testing.assert_close(losses[1], losses[0], rtol=0.05, atol=0)


def test_no_row_without_a_gpu():
    from benchmarks import kernels

    assert kernels.run(kernels.Settings("cpu", 1)) == []


def test_parts_that_fail_are_written_down_and_the_rest_goes_on():
    from benchmarks.gpu import Budget
    from benchmarks.registry import Row

    told = []
    budget = Budget(60.0, told.extend)

    def full():
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 60 GiB")

    def broken():
        raise ValueError("no such layout\nsecond line")

    budget.part("peer", "batch 512", 10, full)
    budget.part("case", "", 10, broken)
    budget.part("slow", "", 0.05, lambda: time.sleep(5))
    budget.part("right", "", 10, lambda: [Row("right", "kernel", 1, 1, 1, "ms", "")])
    budget.part("long", "", 1000, lambda: pytest.fail("there is no time for it"))
    assert told == budget.rows and [row.quantity for row in told] == ["peer", "case", "slow", "right", "long"]
    notes = ["out of GPU memory", "ValueError: no such layout", "stopped after 0 s", "", "it may take 1000"]
    for row, note in zip(told, notes, strict=True):
        assert row.note.endswith(note) and math.isnan(row.value) == (note != "")
    with pytest.raises(AssertionError, match="wrong"):
        budget.part("check", "", 10, lambda: (_ for _ in ()).throw(AssertionError("wrong")))


def test_roofline_names_what_binds():
    from benchmarks.gpu import rate, roofline

    ceilings = {"bytes": 4e12, "tf32": 4e14, "fp32": 5e13}
    assert roofline(4e14, 4e11, ceilings, "tf32") == (1.0, "tf32")
    assert roofline(4e13, 8e12, ceilings, "tf32") == (2.0, "bytes")
    row = rate("copy", "machine", 8.0, [4.0, 2.0, 1.0], "GB/s", "")
    assert (row.value, row.low, row.high) == (4.0, 2.0, 8.0)


def test_killed_command_leaves_what_it_had(monkeypatch, tmp_path):
    from benchmarks import __main__ as command
    from benchmarks.registry import BENCHMARKS, Row

    def interrupted(settings):
        settings.report([Row("copy", "machine", 1, 1, 1, "GB/s", "")])
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "RESULTS", tmp_path)
    monkeypatch.setattr(command, "discover", lambda _: None)
    monkeypatch.setattr(BENCHMARKS, "get", lambda _: interrupted)
    from benchmarks import kernels  # noqa: F401

    with pytest.raises(KeyboardInterrupt):
        command.main(["kernels"])
    (left,) = tmp_path.iterdir()
    assert left.name == "kernels-cpu.partial.csv" and len(left.read_text().splitlines()) == 2


@pytest.mark.parametrize(("arguments", "says"), [(["--dry"], "--gpu --dry"), (["--gpu"], "sees no GPU")])
def test_command_refuses_what_it_cannot_do(arguments, says, monkeypatch):
    from benchmarks import __main__ as command

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit, match=says):
        command.main(arguments)
