"""Downloads from a server on this machine that behaves, breaks off, lies, or is not there."""

from __future__ import annotations

import errno
import hashlib
import re
import socket
import sys
import threading
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import numpy as np
import pytest

from eqviz.data import JetBatch, JetDataset, toptag
from eqviz.data.fetch import PUBLIC, RemoteFile, cache_folder, download, fetch
from eqviz.errors import DownloadError, StoreError, UnknownNameError

pytest.importorskip("pooch")
CONTENT = np.random.default_rng(0).bytes(3_000_000)


class Server:
    """Serves CONTENT; ``cut`` breaks each answer off after so many bytes, ``ranges`` honours Range."""

    def __init__(self):
        self.content, self.cut, self.ranges, self.requests = CONTENT, None, True, []
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, self))
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.01,))
        self.thread.start()

    @property
    def file(self) -> RemoteFile:
        url = f"http://127.0.0.1:{self.http.server_port}/files/jets.h5?download=1"
        return RemoteFile(url, hashlib.md5(CONTENT).hexdigest(), len(CONTENT), "https://example.org/record")

    def close(self):
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()


class Handler(BaseHTTPRequestHandler):
    def __init__(self, server, *args):
        self.state = server
        super().__init__(*args)

    def log_message(self, *_):
        pass

    def do_GET(self):
        asked = self.headers.get("Range")
        self.state.requests.append(asked)
        if not self.path.startswith("/files/jets.h5"):
            return self.send_error(404)
        start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1]) if asked and self.state.ranges else 0
        body = self.state.content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: self.state.cut])


@pytest.fixture
def server():
    running = Server()
    yield running
    running.close()


def names(folder) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_a_good_file_is_fetched_once(server, tmp_path):
    target = download(server.file, tmp_path / "new" / "folder", progress=False)
    assert target.read_bytes() == CONTENT and names(target.parent) == ["jets.h5"]
    assert download(server.file, target.parent, progress=False) == target
    assert server.requests == [None]


def test_progress_is_shown(server, tmp_path, capsys):
    download(server.file, tmp_path)
    assert "jets.h5" in capsys.readouterr().err


def test_a_broken_connection_is_resumed(server, tmp_path):
    server.cut = 1_200_000
    assert download(server.file, tmp_path, progress=False).read_bytes() == CONTENT
    first, second, third = (int(re.sub(r"\D", "", asked or "0")) for asked in server.requests)
    assert first == 0 and 1_100_000 < second <= 1_200_000 and second + 1_100_000 < third <= 2_400_000
    assert names(tmp_path) == ["jets.h5"]


def test_without_ranges_what_came_is_kept_for_a_better_day(server, tmp_path):
    server.cut, server.ranges = 1_200_000, False
    with pytest.raises(DownloadError, match="could not fetch"):
        download(server.file, tmp_path, progress=False)
    assert names(tmp_path) == [".jets.h5.partial"]
    server.cut = None
    assert download(server.file, tmp_path, progress=False).read_bytes() == CONTENT
    assert names(tmp_path) == ["jets.h5"]


def test_the_next_call_resumes(server, tmp_path):
    (tmp_path / ".jets.h5.partial").write_bytes(CONTENT[:1000])
    assert download(server.file, tmp_path, progress=False).read_bytes() == CONTENT
    assert server.requests == ["bytes=1000-"]


@pytest.mark.parametrize("kept", [b"", b"garbage", bytes(4_000_000)])
def test_a_wrong_checksum_leaves_nothing(server, tmp_path, kept):
    (tmp_path / "mine.txt").write_text("the user's")
    if kept:
        (tmp_path / ".jets.h5.partial").write_bytes(kept)
    else:
        server.content = bytes(len(CONTENT))
    with pytest.raises(DownloadError, match=r"checksum.*deleted"):
        download(server.file, tmp_path, progress=False)
    assert names(tmp_path) == ["mine.txt"]
    server.content = CONTENT
    assert download(server.file, tmp_path, progress=False).read_bytes() == CONTENT


def test_a_server_that_ends_early_without_a_word(server, tmp_path):
    server.content = CONTENT[:5000]
    with pytest.raises(DownloadError):
        download(server.file, tmp_path, progress=False)
    assert "jets.h5" not in names(tmp_path)


def test_a_file_put_there_by_hand(server, tmp_path):
    target = tmp_path / "jets.h5"
    target.write_bytes(b"something of the user's")
    with pytest.raises(DownloadError, match="left as it is: move it away"):
        download(server.file, tmp_path, progress=False)
    assert target.read_bytes() == b"something of the user's"
    target.write_bytes(CONTENT)
    assert download(server.file, tmp_path, progress=False) == target
    assert server.requests == []


def test_no_network(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: refuses
        port = taken.getsockname()[1]
        file = RemoteFile(f"http://127.0.0.1:{port}/jets.h5", "0" * 32, 10, "https://example.org/record")
        with pytest.raises(DownloadError) as error:
            download(file, tmp_path, progress=False)
    message = str(error.value)
    assert "https://example.org/record" in message and f"put it at {tmp_path / 'jets.h5'}" in message
    assert names(tmp_path) == []


def test_a_missing_file_is_not_asked_for_twice(server, tmp_path):
    gone = replace(server.file, url=server.file.url.replace("jets.h5", "gone.h5"))
    with pytest.raises(DownloadError, match="404"):
        download(gone, tmp_path, progress=False)
    assert len(server.requests) == 1 and names(tmp_path) == []


def test_too_little_space_is_told_first(server, tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=2_000_000))
    with pytest.raises(StoreError, match=r"expected 3 MB free.*got 2 MB"):
        download(server.file, tmp_path / "new", progress=False)
    assert names(tmp_path) == [] and server.requests == []


def test_a_disk_that_fills_up_keeps_what_came(server, tmp_path, monkeypatch):
    class Full:
        def __init__(self, **_):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def update(self, _):
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("eqviz.data.fetch.tqdm", Full)
        with pytest.raises(StoreError, match="free some space"):
            download(server.file, tmp_path, progress=False)
    assert names(tmp_path) == [".jets.h5.partial"]
    assert download(server.file, tmp_path, progress=False).read_bytes() == CONTENT


def test_an_unwritable_folder(server, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises((StoreError, DownloadError)):
        download(server.file, tmp_path / "file", progress=False)


def test_without_pooch(server, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(DownloadError, match=r"pip install 'eqviz\[data\]'"):
        download(server.file, tmp_path, progress=False)


def test_the_cache_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("EQVIZ_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("EQVIZ_CACHE")
    assert cache_folder().name == "eqviz"


def test_fetch_downloads_and_converts(server, tmp_path, monkeypatch):
    h5py = pytest.importorskip("h5py")
    made = tmp_path / "made.h5"
    with h5py.File(made, "w") as file:
        file["Pmu"] = np.array([[[5, 0, 3, 4], [0, 0, 0, 0]]], dtype=np.float32)
        file["Nobj"], file["is_signal"], file["truth_Pmu"] = [1], [1], np.ones((1, 4))
    server.content = made.read_bytes()
    small = replace(server.file, md5=hashlib.md5(server.content).hexdigest(), size=len(server.content))
    files = {split: replace(small, url=small.url + f"&/{split}.h5") for split in ("train", "val", "test")}
    monkeypatch.setattr(toptag, "FILES", files)
    monkeypatch.setenv("EQVIZ_CACHE", str(tmp_path))
    folder = fetch("toptag", progress=False)
    assert folder == tmp_path / "toptag" and len(server.requests) == 3
    for split in files:
        data = JetDataset.from_parquet(folder / f"{split}.parquet")
        assert data.batch.p4.tolist() == JetBatch.from_arrays([[[5, 0, 3, 4]]]).p4.tolist()
    assert fetch("toptag", progress=False) == folder and len(server.requests) == 3


def test_what_is_public():
    assert "toptag" in PUBLIC
    with pytest.raises(UnknownNameError, match="expected one of: toptag"):
        fetch("jetclass")
    for file in toptag.FILES.values():
        assert re.fullmatch("[0-9a-f]{32}", file.md5) and file.url.startswith("https://zenodo.org/")
    assert [file.name for file in toptag.FILES.values()] == ["train.h5", "val.h5", "test.h5"]
