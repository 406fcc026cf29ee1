"""One run: a notebook executed by papermill in its own kernel, then filed with its HTML page in the store."""

from __future__ import annotations

import json
import os
import re
import tempfile
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eqviz.evaluation.store import RunStore
from eqviz.study.page import notebook_page
from eqviz.study.plan import PlannedRun

NOTEBOOK, PAGE = "notebook.ipynb", "report.html"
_COLOUR_CODE = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Outcome:
    """How a run ended: ``error`` is None, or the last line of its traceback. Seconds are wall time."""

    run_id: str
    seconds: float
    error: str | None = None


def is_complete(store: RunStore, run_id: str) -> bool:
    """True where ``run_id`` is stored and sound and its notebook went through to the end."""
    if run_id not in store:
        return False
    run = store.get(run_id)
    attached = all((run.folder / name).is_file() for name in (NOTEBOOK, PAGE))
    return run.problem is None and attached and notebook_error(run.folder) is None


def notebook_error(folder: Path) -> str | None:
    """The traceback with which the executed notebook of a run ended, or None where it did not fail."""
    try:
        cells = json.loads((folder / NOTEBOOK).read_text(encoding="utf-8"))["cells"]
    except (OSError, ValueError, KeyError):
        return None
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    for output in outputs:
        if output.get("output_type") == "error":
            return _COLOUR_CODE.sub("", "\n".join(output.get("traceback", [])))
    return None


def execute_run(run: PlannedRun, notebook: Path, runs: Path, scratch: Path, timeout: float) -> Outcome:
    """Execute ``notebook`` for ``run`` and attach the result; a failure is recorded, never raised.

    Where the notebook stored a sound run before it failed (an assertion about it, say), the run is kept and
    its notebook shows the failure.

    Args:
        runs: the root of the run store, as the notebook shall see it from the current folder.
        scratch: folder for temporary files, which the caller removes.
        timeout: seconds allowed for one cell.
    """
    start = time.monotonic()
    store = RunStore(runs)
    error = None
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        output = Path(folder) / NOTEBOOK
        try:
            _papermill(notebook, output, {**run.parameters, "run_id": run.run_id, "runs": str(runs)}, timeout)
            if not _is_sound(store, run.run_id):
                raise RuntimeError(f"the notebook ended without storing a sound run {run.run_id!r}")
        except Exception as failure:
            error = last_line(_text(failure))
            if not _is_sound(store, run.run_id):
                record_failure(store, run, failure)
        if output.is_file():
            _attach(store, run, output, error)
    return Outcome(run.run_id, time.monotonic() - start, error)


def _is_sound(store: RunStore, run_id: str) -> bool:
    return run_id in store and store.get(run_id).problem is None


def record_failure(store: RunStore, run: PlannedRun, failure: BaseException) -> str:
    """File ``failure`` under the run's name; returns the last line of its traceback."""
    earlier = store.get(run.run_id) if run.run_id in store else None
    known = earlier.config if earlier is not None and earlier.failed else {}
    config = {
        "label": run.label,
        "model": {"name": run.parameters.get("model", ""), "params": run.parameters.get("model_params", {})},
        "data": {"name": run.parameters.get("data", "")},
        "seed": run.parameters.get("seed"),
        "parameters": dict(run.parameters),
    }
    text = _text(failure)
    store.record_failure(run.run_id, {**config, **known}, text)
    return last_line(text)


def _text(failure: BaseException) -> str:
    """The traceback; papermill keeps the kernel's own one."""
    text = getattr(failure, "traceback", None)
    if isinstance(text, list):
        text = "\n".join(text)
    if not isinstance(text, str):
        text = "".join(traceback.format_exception(failure))
    return _COLOUR_CODE.sub("", text)


def last_line(text: str) -> str:
    """The last line of a traceback that is not empty: the error itself."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "unknown error")


def _papermill(notebook: Path, output: Path, parameters: Mapping[str, Any], timeout: float) -> None:
    import papermill
    from traitlets.config import Config

    from eqviz.study.kernels import warm_kernels

    with _socket_folder(output.parent) as folder, warm_kernels():
        # Unix sockets instead of TCP ports: nobody else on the machine can talk to the kernel.
        sockets = Config(KernelManager={"transport": "ipc", "ip": str(folder / "kernel")})
        papermill.execute_notebook(
            str(notebook),
            str(output),
            parameters=dict(parameters),
            progress_bar=False,
            cwd=str(Path.cwd()),
            execution_timeout=round(timeout),
            config=sockets,
        )


@contextmanager
def _socket_folder(folder: Path) -> Iterator[Path]:
    """``folder``, or a short-lived one in /tmp where its name is too long for a Unix socket (107 bytes)."""
    if len(os.fsencode(folder)) <= 90:
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="eqviz-", dir="/tmp") as short:
        yield Path(short)


def _attach(store: RunStore, run: PlannedRun, output: Path, error: str | None) -> None:
    page = notebook_page(output, title=f"{run.label} · {run.run_id}", error=error)
    store.attach(run.run_id, NOTEBOOK, output.read_bytes())
    store.attach(run.run_id, PAGE, page.encode())
