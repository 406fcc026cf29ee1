"""Files that are either whole or not there."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from eqviz.errors import StoreError


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` that takes its place when the block ends well.

    A block that raises, or a process that is killed, leaves ``path`` as it was.

    Raises:
        StoreError: the disk is full, or the folder cannot be written.
    """
    target = Path(path)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield part
        with part.open("rb") as handle:
            os.fsync(handle.fileno())
        part.replace(target)
    except OSError as error:
        raise _store_error(target, error) from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def require_space(folder: str | Path, needed: int, what: str) -> None:
    """Raise StoreError unless the disk of ``folder`` has ``needed`` bytes free for ``what``."""
    place = Path(folder).absolute()
    existing = next(parent for parent in (place, *place.parents) if parent.exists())
    free = shutil.disk_usage(existing).free
    if free < needed:
        raise StoreError(
            f"expected {needed / 1e6:.0f} MB free in {place} for {what}, got {free / 1e6:.0f} MB; "
            "free some space or choose another folder"
        )


def _store_error(target: Path, error: OSError) -> StoreError:
    if isinstance(error, StoreError):
        return error
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return StoreError(
            f"the disk (or quota) is full: {target} was not written and nothing half-made is left; "
            "free some space or choose another folder, then run the same command again"
        )
    return StoreError(f"cannot write {target}: {error}; check that its folder exists and can be written")
