"""Public data sets from the network: checked, resumable, and honest about what went wrong."""

from __future__ import annotations

import errno
import hashlib
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from eqviz.data.atomic import require_space
from eqviz.errors import DownloadError, StoreError
from eqviz.registry import Registry

TIMEOUT = (10, 60)  # seconds to connect, seconds of silence
BLOCK = 1 << 20
STREAM = 1 << 16  # what a broken connection can lose

PUBLIC: Registry[Callable[..., Path]] = Registry("public data set")


@dataclass(frozen=True)
class RemoteFile:
    """One published file: where it is, its md5 sum, its size in bytes, and the page to get it by hand."""

    url: str
    md5: str
    size: int
    page: str = ""

    @property
    def name(self) -> str:
        return self.url.rpartition("/")[2].partition("?")[0]


def fetch(name: str, *, progress: bool = True) -> Path:
    """Download and convert a public data set; returns its folder. What is there already is kept.

    Raises:
        UnknownNameError: no public data set of that name.
        DownloadError: no network, an interrupted download, a wrong checksum; says what to do by hand.
        StoreError: too little space, or a folder that cannot be written.
    """
    return PUBLIC.get(name)(progress=progress)


def cache_folder() -> Path:
    """Where downloads live: EQVIZ_CACHE, or the platform's cache folder."""
    if named := os.environ.get("EQVIZ_CACHE"):
        return Path(named).expanduser()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "eqviz"


def download(file: RemoteFile, folder: str | Path, *, progress: bool = True) -> Path:
    """Fetch one file into ``folder`` and check it; an interrupted download is resumed by the next call.

    A file that is there already is used if its checksum is right, and never touched if it is not.

    Raises:
        DownloadError: as :func:`fetch`.
        StoreError: too little space, or a folder that cannot be written.
    """
    target = Path(folder) / file.name
    if target.exists():
        if (found := md5(target)) != file.md5:
            raise DownloadError(
                f"{target} has the md5 sum {found}, expected {file.md5}; it was left as it is: "
                "move it away and run this again to fetch the published file"
            )
        return target
    try:
        import pooch
    except ImportError as error:
        raise DownloadError(
            f"fetching data needs pooch: pip install 'eqviz[data]'; {_by_hand(file, target)}"
        ) from error
    partial = target.with_name(f".{target.name}.partial")
    have = partial.stat().st_size if partial.exists() else 0
    require_space(folder, max(file.size - have, 0), f"downloading {file.name}")
    pooch.get_logger().setLevel("WARNING")
    try:
        pooch.retrieve(
            file.url,
            known_hash=f"md5:{file.md5}",
            fname=target.name,
            path=target.parent,
            downloader=_Resuming(file, partial, progress),
        )
    except ValueError as error:  # pooch deletes what does not match
        raise DownloadError(
            f"the checksum of {file.url} is wrong and the download was deleted: {error}; "
            f"run this again later. {_by_hand(file, target)}"
        ) from error
    except StoreError:
        raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS):
            raise StoreError(f"cannot write {target}: {error}; free some space or set EQVIZ_CACHE") from error
        raise DownloadError(f"could not fetch {file.url}: {error}. {_by_hand(file, target)}") from error
    return target


def md5(path: str | Path) -> str:
    """md5 sum of a file, as hexadecimal digits (a check against damage, not against malice)."""
    digest = hashlib.md5(usedforsecurity=False)
    with Path(path).open("rb") as handle:
        while block := handle.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _by_hand(file: RemoteFile, target: Path) -> str:
    return (
        f"Without a network: fetch {file.name} ({file.size / 1e6:.0f} MB) from {file.page or file.url} "
        f"on another machine, put it at {target}, and run this again"
    )


class _Resuming:
    """Downloader for pooch that goes on where an earlier attempt stopped, as long as bytes arrive."""

    def __init__(self, file: RemoteFile, partial: Path, progress: bool) -> None:
        self.file = file
        self.partial = partial
        self.progress = progress

    def __call__(self, url: str, output_file: str, pooch: Any) -> None:
        from requests.exceptions import ChunkedEncodingError, ConnectionError, ReadTimeout

        while (before := self._size()) < self.file.size or before == 0:
            try:
                self._attempt(url)
            except (ConnectionError, ChunkedEncodingError, ReadTimeout):
                if self._size() <= before:
                    raise
                continue
            if self._size() <= before:
                break  # a server that ends early; the checksum decides
        self.partial.replace(output_file)

    def _size(self) -> int:
        return self.partial.stat().st_size if self.partial.exists() else 0

    def _attempt(self, url: str) -> None:
        import requests

        have = self._size()
        headers = {"Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
            response.raise_for_status()
            resumed = response.status_code == requests.codes.partial_content
            with (
                self.partial.open("ab" if resumed else "wb") as out,
                tqdm(
                    total=self.file.size,
                    initial=have if resumed else 0,
                    unit="B",
                    unit_scale=True,
                    desc=self.file.name,
                    disable=not self.progress,
                ) as bar,
            ):
                for block in response.iter_content(STREAM):
                    out.write(block)
                    bar.update(len(block))
