"""Where a run was made: everything that could explain another number on another machine."""

from __future__ import annotations

import hashlib
import platform
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eqviz.data.labelled import LabelledSet

PACKAGES = (
    "eqviz", "torch", "numpy", "scipy", "lightning", "torchmetrics", "scikit-learn", "safetensors",
    "pyarrow", "escnn", "lie-learn", "awkward", "vector", "pythia8mc", "fastjet",
)  # fmt: skip


def describe() -> dict[str, Any]:
    """Python, platform, CPU, GPU, threads and the versions of the packages that matter (None: absent)."""
    import psutil
    import torch

    cuda = torch.cuda.is_available()
    return {
        "created": now(),
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "cpu": _cpu_name(),
        "cores": psutil.cpu_count(logical=True),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "gpu": torch.cuda.get_device_name() if cuda else None,
        "cuda": torch.version.cuda,
        "threads": torch.get_num_threads(),
        "packages": {name: _version(name) for name in PACKAGES},
    }


def now() -> str:
    """The time in UTC as an ISO 8601 string, microseconds included (runs are sorted by it)."""
    return datetime.now(UTC).isoformat()


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def fingerprint(dataset: LabelledSet[Any]) -> str:
    """SHA-256 of the jets (momenta, multiplicities, scalars, labels) or images (pixels, labels), in order."""
    batch = dataset.batch
    names = (
        ("p4", "offsets", "scalars", "label")
        if hasattr(batch, "p4")
        else ("value", "index", "offsets", "label")
    )
    digest = hashlib.sha256()
    for part in (getattr(batch, name) for name in names):
        if part is not None:
            digest.update(f"{tuple(part.shape)}".encode())
            digest.update(part.detach().cpu().contiguous().numpy().data)
    return digest.hexdigest()
