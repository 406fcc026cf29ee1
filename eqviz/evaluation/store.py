"""Runs in a folder: written to a temporary name and renamed, so a killed run leaves nothing half-made."""

from __future__ import annotations

import os
import re
import shutil
import socket
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from eqviz.errors import ConfigError, EqvizError, StoreError, UnknownNameError
from eqviz.evaluation.checks import inspect
from eqviz.evaluation.environment import now
from eqviz.evaluation.files import write_bytes, write_json
from eqviz.evaluation.run import Run, Scores, write_run

__all__ = ["Run", "RunStore", "Scores", "write_run"]

_SAFE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}")
_HOST = re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname()) or "host"
_ABANDONED_SECONDS = 24 * 3600.0  # for temporary folders of other machines on a shared disk
_ATTACHMENTS = ("notebook.ipynb", "report.html")


class RunStore:
    """The runs below ``root``, one folder each; it need not exist before the first run.

    Folders whose names start with a dot are temporary: ``.<id>@<host>@<pid>@<random>`` while a run is
    written or replaced, ``.work/<id>`` while it trains.
    """

    def __init__(self, root: Path | str = "runs") -> None:
        self.root = Path(root)

    def runs(self) -> list[Run]:
        """All runs, newest first; damaged and failed ones are listed with ``problem`` set."""
        if not self.root.is_dir():
            return []
        folders = [path for path in self.root.iterdir() if path.is_dir() and _SAFE_ID.fullmatch(path.name)]
        return sorted(
            (inspect(path) for path in folders), key=lambda run: (run.created, run.id), reverse=True
        )

    def get(self, run_id: str) -> Run:
        """The run called ``run_id``; raises UnknownNameError listing the known ones."""
        folder = self.root / run_id
        if not _SAFE_ID.fullmatch(run_id) or not folder.is_dir():
            raise UnknownNameError("run", run_id, [run.id for run in self.runs()])
        return inspect(folder)

    def __contains__(self, run_id: str) -> bool:
        return bool(_SAFE_ID.fullmatch(run_id)) and (self.root / run_id).is_dir()

    @contextmanager
    def create(self, run_id: str, *, replace: bool = False) -> Iterator[Path]:
        """A temporary folder that becomes ``runs/<run_id>`` when the block ends without an exception.

        A failed or damaged run of the same name gives way; a sound one only with ``replace``.

        Raises:
            ConfigError: a name that is not safe as a folder name.
            StoreError: the run exists, the folder left behind is not a complete run, or the disk is full.
        """
        self._check_free(run_id, replace)
        self.clean()
        temporary = self._temporary(run_id)
        try:
            temporary.mkdir(parents=True)
            yield temporary
            run = inspect(temporary)
            if run.problem is not None and not run.failed:
                raise StoreError(f"run {run_id!r} was not stored, it is incomplete: {run.problem}")
            _sync(temporary)
            self._check_free(run_id, replace)
            self._move(temporary, run_id)
        except OSError as error:
            if isinstance(error, EqvizError):
                raise
            raise StoreError(
                f"cannot store run {run_id!r} in {self.root}: {error}; check free space"
            ) from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def record_failure(self, run_id: str, config: Mapping[str, Any], traceback: str) -> Run:
        """Store that ``run_id`` failed, with its traceback; an older run of that name gives way."""
        lines = [line for line in traceback.strip().splitlines() if line.strip()]
        error = lines[-1].strip() if lines else "unknown error"
        with self.create(run_id, replace=True) as folder:
            write_json(folder / "config.json", {"run_id": run_id, **config})
            write_json(folder / "error.json", {"error": error, "traceback": traceback, "created": now()})
        return self.get(run_id)

    def attach(self, run_id: str, name: str, content: bytes) -> Path:
        """Put ``notebook.ipynb`` or ``report.html`` into a finished run; returns its path."""
        if name not in _ATTACHMENTS:
            raise ConfigError(f"expected one of {', '.join(_ATTACHMENTS)} to attach, got {name!r}")
        path = self.get(run_id).folder / name
        write_bytes(path, content)
        return path

    def workspace(self, run_id: str) -> Path:
        """The folder where ``run_id`` keeps its checkpoints while it trains; survives a kill."""
        _check_id(run_id)
        return self.root / ".work" / run_id

    def clean(self) -> list[Path]:
        """Remove what killed processes left behind; returns what was removed."""
        removed = []
        for path in list(self.root.glob(".*@*@*@*")) if self.root.is_dir() else []:
            if _abandoned(path):
                target = self.root / path.name[1:].split("@")[0]
                if path.name.endswith("-old") and not target.exists():
                    path.rename(target)  # killed between the two renames of a replacement
                    continue
                shutil.rmtree(path, ignore_errors=True)
                removed.append(path)
        return removed

    def _temporary(self, run_id: str, suffix: str = "") -> Path:
        return self.root / f".{run_id}@{_HOST}@{os.getpid()}@{uuid.uuid4().hex[:8]}{suffix}"

    def _check_free(self, run_id: str, replace: bool) -> None:
        _check_id(run_id)
        folder = self.root / run_id
        if not replace and folder.exists() and inspect(folder).problem is None:
            raise StoreError(
                f"run {run_id!r} exists in {self.root}; choose another name or ask to replace it"
            )

    def _move(self, temporary: Path, run_id: str) -> None:
        target = self.root / run_id
        old = self._temporary(run_id, suffix="-old")
        if target.exists():
            target.rename(old)
        temporary.rename(target)
        shutil.rmtree(old, ignore_errors=True)


def _check_id(run_id: str) -> None:
    if not _SAFE_ID.fullmatch(run_id):
        raise ConfigError(
            "expected a run name of 1 to 100 letters, digits and . _ + - that starts with a letter or digit, "
            f"got {run_id!r}"
        )


def _abandoned(path: Path) -> bool:
    host, pid = path.name.split("@")[1:3]
    if host == _HOST and pid.isdigit():
        return not psutil.pid_exists(int(pid))
    return time.time() - path.stat().st_mtime > _ABANDONED_SECONDS


def _sync(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as stream:
                os.fsync(stream.fileno())
