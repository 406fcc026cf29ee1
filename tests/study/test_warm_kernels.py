"""Forked kernels: the same results as ordinary ones, and nothing left behind however they end."""

from __future__ import annotations

import importlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest
from jupyter_client.manager import KernelManager
from nbclient.exceptions import DeadKernelError

from eqviz.study import kernels, warm
from eqviz.study.execute import _papermill

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="kernels are forked on Linux only"
)
LIGHT = (
    "import sys; sys.path.remove(''); from eqviz.study import warm; "
    "warm.MODULES = ('ipykernel.kernelapp',); warm.main()"
)
COMMAND = [sys.executable, "-m", "ipykernel_launcher", "-f"]


@pytest.fixture
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.setenv(name, "1")
    monkeypatch.delenv(kernels.SWITCH, raising=False)


@pytest.fixture
def light(one_thread: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Kernels are forked from a process that has imported ipykernel only."""
    monkeypatch.setattr(kernels, "_PROGRAM", LIGHT)
    yield
    kernels.shut_down()


def run(folder: Path, code: str, **parameters: Any) -> str:
    """What the notebook of one cell prints."""
    book = nbformat.v4.new_notebook()
    book.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    book.cells = [
        nbformat.v4.new_code_cell("seed: int = 0", metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell(code),
    ]
    nbformat.write(book, folder / "given.ipynb")
    _papermill(folder / "given.ipynb", folder / "done.ipynb", parameters, timeout=120)
    outputs = nbformat.read(folder / "done.ipynb", as_version=4).cells[-1].outputs
    return "".join(out["text"] for out in outputs if out.get("name") == "stdout")


TRAIN = """\
import hashlib, os, sys
from pathlib import Path
import lightning.fabric.utilities.imports as lightning
import holoviews, matplotlib, numpy, torch
from tqdm.auto import tqdm
from eqviz.training import Experiment, run_experiment
plan = {"model": {"name": "pfn", "params": {}}, "data": {"n_train": 40, "n_val": 20, "n_test": 20},
        "training": {"epochs": 1}, "evaluation": {"gammas": [10.0], "n_jets": 8, "timing_jets": 0},
        "seed": seed, "run_id": "tiny"}
made = run_experiment(Experiment.from_mapping(plan), store, progress=False)
files = [made.folder / name for name in ("scores.parquet", "invariance.csv")]
print([(name, value.sum().item(), value.std().item()) for name, value in made.model().state_dict().items()])
print([hashlib.sha256(file.read_bytes()).hexdigest() for file in files])
print(Path.cwd(), sys.path, len(sys.argv[0]), sys.ps1, __name__, torch.get_num_threads(), os.environ["TOKEN"])
print(matplotlib.get_backend(), tqdm, holoviews.extension, lightning._IS_INTERACTIVE)
print("own", os.getppid(), float(torch.rand(1)), float(numpy.random.rand()))
"""


@pytest.mark.slow
def test_a_forked_kernel_gives_the_results_of_an_ordinary_one(
    tmp_path: Path, one_thread: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TOKEN", "from outside")
    said = {}
    for name in ("first", "second", "ordinary"):
        if name == "ordinary":
            monkeypatch.setenv(kernels.SWITCH, "0")
        text = run(tmp_path, f"store = {name!r}\n{TRAIN}", seed=3)
        said[name], _, own = text.partition("own ")
        said[f"{name} own"] = own.split()
    try:
        parent = str(kernels._state[kernels.NAME].process.pid)
    finally:
        kernels.shut_down()
    assert said["first"] == said["second"] == said["ordinary"] != ""
    assert str(tmp_path) in said["first"] and "from outside" in said["first"]
    assert [said[f"{name} own"][0] for name in ("first", "second", "ordinary")] == [
        parent,
        parent,
        str(os.getpid()),
    ]
    # what was not seeded differs
    for number in (1, 2):
        assert said["first own"][number] != said["second own"][number]


def test_death_is_reported_and_leaves_no_zombie(tmp_path: Path, light: None) -> None:
    with pytest.raises(DeadKernelError):
        run(tmp_path, "import os; os.kill(os.getpid(), 9)")
    assert "alive" in run(tmp_path, "print('alive')")
    parent = psutil.Process(kernels._state[kernels.NAME].process.pid)
    deadline = time.monotonic() + 20
    while parent.children():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert parent.num_threads() == 1
    kernels.shut_down()
    assert not parent.is_running()


def test_a_kernel_can_be_interrupted_and_asked_for_its_end(tmp_path: Path, light: None) -> None:
    with kernels.warm_kernels():
        manager = KernelManager(kernel_name="python3")
        manager.start_kernel(cwd=str(tmp_path))
    client = manager.client()
    client.start_channels()
    client.wait_for_ready(timeout=60)
    try:
        client.execute("import time\nprint('begun')\ntime.sleep(100)")
        while client.get_iopub_msg(timeout=60)["msg_type"] != "stream":
            pass
        manager.interrupt_kernel()
        reply = client.get_shell_msg(timeout=60)["content"]
        assert reply["status"] == "error" and reply["ename"] == "KeyboardInterrupt"
        assert manager.is_alive()
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    assert not manager.is_alive()


def test_exit_codes_and_timeouts(tmp_path: Path, light: None) -> None:
    process = kernels.fork_kernel([*COMMAND, str(tmp_path / "wait.json")], os.environ, str(tmp_path))
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.2)
    assert process.poll() is None
    process.terminate()
    assert process.wait(30) == process.poll() == -signal.SIGTERM
    process.kill()  # of one that has ended: nothing
    other = kernels.fork_kernel([*COMMAND[:-1], "--version"], os.environ, str(tmp_path))
    assert other.wait(30) == 0


@pytest.mark.parametrize(
    ("written", "code"), [(b"12\n-9\n", -9), (b"12\n0\n", 0), (b"12\n", -9), (b"", None)]
)
def test_an_exit_is_read_however_it_arrives(written: bytes, code: int | None) -> None:
    """Also where the parent dies before it can write one."""
    ours, theirs = os.pipe()
    os.write(theirs, written)
    os.close(theirs)
    if code is None:
        with pytest.raises(OSError, match="does not answer"):
            kernels.ForkedProcess(ours)
        return
    process = kernels.ForkedProcess(ours)
    assert (process.pid, process.wait(5), process.poll()) == (12, code, code)


ORPHAN = f"""\
import os, sys, time
from eqviz.study import kernels
kernels._PROGRAM = {LIGHT!r}
kernel = kernels.fork_kernel([*{COMMAND!r}, sys.argv[1]], os.environ, ".")
print(kernels._state[kernels.NAME].process.pid, kernel.pid, flush=True)
time.sleep(600)
"""


def test_a_killed_study_leaves_no_process(tmp_path: Path, one_thread: None) -> None:
    command = [sys.executable, "-c", ORPHAN, str(tmp_path / "kernel.json")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        family = [psutil.Process(int(pid)) for pid in process.stdout.readline().split()]
        process.kill()
    assert len(family) == 2
    _, alive = psutil.wait_procs(family, timeout=20)
    assert alive == []


def test_what_cannot_be_forked_is_an_ordinary_kernel(
    tmp_path: Path, light: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(kernels, "_said", set())
    (tmp_path / "selectors.py").write_text("x = 'own'")
    monkeypatch.chdir(tmp_path)
    code = "import os; print(os.getppid())"
    assert int(run(tmp_path, code)) == int(run(tmp_path, code)) == os.getpid()
    assert [record.message for record in caplog.records if record.name == kernels.__name__] == [
        "ordinary kernels, which import everything anew: the kernel's folder holds modules of the same names "
        "as installed ones"
    ]
    with pytest.raises(OSError, match="expected the command of an IPython kernel"):
        kernels.fork_kernel(["R", "--slave"], os.environ, ".")


def test_threads_forbid_a_fork() -> None:
    importlib.import_module("ipykernel.kernelapp")
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    try:
        assert "started threads" in str(warm.unfit())
    finally:
        done.set()
        thread.join()


def test_a_process_that_cannot_serve_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def main_with(program: str) -> str | None:
        monkeypatch.setattr(kernels, "_PROGRAM", program)
        warm_process = kernels._Warm(sys.executable, os.environ)
        try:
            return warm_process.trouble
        finally:
            warm_process.close()

    assert main_with("raise SystemExit") == "the process that forks kernels did not start"
    patch = "warm.MODULES = (); warm.unfit = lambda: 'no luck'"
    assert main_with(f"from eqviz.study import warm; {patch}; warm.main()") == "no luck"


def test_the_socket_that_closes_ends_the_service() -> None:
    ours, theirs = socket.socketpair()
    ours.close()
    with theirs:
        assert warm.serve(theirs) is None
