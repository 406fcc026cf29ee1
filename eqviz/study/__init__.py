"""Studies: grids of notebook runs on local workers, resumable, ending in one report page.

The YAML file is read by :func:`load_study`, run by :func:`run_study`; `eqviz study FILE` does both.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_PUBLIC = {
    "Study": "eqviz.study.config",
    "load_study": "eqviz.study.config",
    "Plan": "eqviz.study.plan",
    "PlannedRun": "eqviz.study.plan",
    "make_plan": "eqviz.study.plan",
    "StudyResult": "eqviz.study.runner",
    "run_study": "eqviz.study.runner",
    "write_report": "eqviz.study.report",
}
__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'eqviz.study' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return __all__
